//! json functions and operators, on the text as it is.
//!
//! Owns: their signatures, and documents made as text with the blanks that PostgreSQL writes.
//! Source: PostgreSQL 15 manual, section 9.16; `json.c`, `jsonfuncs.c`.

use super::args::{self, check_size};
use super::show::{json_text_of, natural_type, shown};
use super::{ANY, ANY_ELEMENT, Function};
use crate::exec::Context;
use DataType::*;
use types::json::{raw, write_string};
use types::{Array, DataType, Error, Result, SqlState, Value};

/// An object of names and values by turns: in definitions that were stored before rows were values.
const ROW: &str = "json_row";

pub static FUNCTIONS: &[Function] = &[
    Function::new("json_object_field", &[Json, Text], Json, |_, a| {
        field(a).map(value)
    })
    .op("->"),
    Function::new("json_object_field_text", &[Json, Text], Text, |_, a| {
        text(field(a)?)
    })
    .op("->>"),
    Function::new("json_array_element", &[Json, Int4], Json, |_, a| {
        element(a).map(value)
    })
    .op("->"),
    Function::new("json_array_element_text", &[Json, Int4], Text, |_, a| {
        text(element(a)?)
    })
    .op("->>"),
    Function::new("json_extract_path_op", &[Json, TextArray], Json, |_, a| {
        walk(args::json(a, 0)?, &args::array(a, 1)?.items).map(value)
    })
    .op("#>"),
    Function::new(
        "json_extract_path_text_op",
        &[Json, TextArray],
        Text,
        |_, a| text(walk(args::json(a, 0)?, &args::array(a, 1)?.items)?),
    )
    .op("#>>"),
    Function::new("json_extract_path", &[Json, Text], Json, |_, a| {
        walk(args::json(a, 0)?, &a[1..]).map(value)
    })
    .variadic(),
    Function::new("json_extract_path_text", &[Json, Text], Text, |_, a| {
        text(walk(args::json(a, 0)?, &a[1..])?)
    })
    .variadic(),
    Function::new("json_typeof", &[Json], Text, |_, a| {
        Ok(match raw::kind(args::json(a, 0)?) {
            raw::Kind::Null => "null",
            raw::Kind::Bool => "boolean",
            raw::Kind::Number => "number",
            raw::Kind::String => "string",
            raw::Kind::Array => "array",
            raw::Kind::Object => "object",
        }
        .into())
    }),
    Function::new("json_array_length", &[Json], Int4, |_, a| {
        let json = args::json(a, 0)?;
        match raw::kind(json) {
            raw::Kind::Array => {
                let count = raw::items(json).count();
                Ok(Value::Int4(i32::try_from(count).unwrap_or(i32::MAX)))
            }
            raw::Kind::Object => Err(refuse("cannot get array length of a non-array")),
            _ => Err(refuse("cannot get array length of a scalar")),
        }
    }),
    Function::new("json_strip_nulls", &[Json], Json, |_, a| {
        let mut out = String::new();
        strip_nulls(args::json(a, 0)?, &mut out)?;
        Ok(Value::Json(out.into()))
    }),
    Function::new("to_json", &[ANY_ELEMENT], Json, to_json).stable(),
    Function::new("array_to_json", &[super::ANY_ARRAY], Json, to_json).stable(),
    Function::new("json_build_array_noargs", &[], Json, |_, _| {
        Ok(Value::Json("[]".into()))
    })
    .sql("json_build_array"),
    Function::new("json_build_object_noargs", &[], Json, |_, _| {
        Ok(Value::Json("{}".into()))
    })
    .sql("json_build_object"),
    Function::new("json_build_array", &[ANY], Json, build_array)
        .lax()
        .variadic()
        .stable(),
    Function::new("json_build_object", &[ANY], Json, build_object)
        .lax()
        .variadic()
        .stable(),
    Function::new(ROW, &[ANY], Json, row)
        .sql("")
        .lax()
        .variadic()
        .stable(),
    Function::new("json_object", &[TextArray], Json, |_, a| {
        object_of_pairs(args::array(a, 0)?)
    }),
    Function::new(
        "json_object_two_arg",
        &[TextArray, TextArray],
        Json,
        |_, a| object_of_two(args::array(a, 0)?, args::array(a, 1)?),
    )
    .sql("json_object"),
];

fn field(a: &[Value]) -> Result<Option<&str>> {
    raw::field(args::json(a, 0)?, args::text(a, 1)?)
}

fn element(a: &[Value]) -> Result<Option<&str>> {
    let index = i64::from(args::int4(a, 1)?);
    Ok(raw::item(args::json(a, 0)?, index))
}

fn value(found: Option<&str>) -> Value {
    found.map_or(Value::Null, |s| Value::Json(s.into()))
}

fn text(found: Option<&str>) -> Result<Value> {
    let text = found.map(raw::unquoted).transpose()?.flatten();
    Ok(text.map_or(Value::Null, Value::from))
}

/// A NULL step finds nothing.
fn walk<'a>(from: &'a str, steps: &[Value]) -> Result<Option<&'a str>> {
    let mut at = from;
    for step in steps {
        let Some(key) = step.as_str() else {
            return Ok(None);
        };
        let next = match raw::kind(at) {
            raw::Kind::Object => raw::field(at, key)?,
            raw::Kind::Array => key.trim().parse().ok().and_then(|i| raw::item(at, i)),
            _ => None,
        };
        match next {
            Some(found) => at = found,
            None => return Ok(None),
        }
    }
    Ok(Some(at))
}

/// Members of objects that are null go, at any depth, and the blanks with them.
fn strip_nulls(json: &str, out: &mut String) -> Result<()> {
    match raw::kind(json) {
        raw::Kind::Array => {
            out.push('[');
            for (i, item) in raw::items(json).enumerate() {
                if i > 0 {
                    out.push(',');
                }
                strip_nulls(item, out)?;
            }
            out.push(']');
        }
        raw::Kind::Object => {
            out.push('{');
            let mut first = true;
            for member in raw::fields(json) {
                let (key, value) = member?;
                if raw::kind(value) == raw::Kind::Null {
                    continue;
                }
                if !first {
                    out.push(',');
                }
                first = false;
                write_string(&key, out);
                out.push(':');
                strip_nulls(value, out)?;
            }
            out.push('}');
        }
        raw::Kind::String => write_string(&raw::unquoted(json)?.unwrap_or_default(), out),
        _ => out.push_str(json.trim()),
    }
    Ok(())
}

fn to_json(ctx: &Context, a: &[Value]) -> Result<Value> {
    let mut out = String::new();
    json_text_of(
        a.first().unwrap_or(&Value::Null),
        &ctx.session.forms,
        &mut out,
    );
    checked(out)
}

fn build_array(ctx: &Context, a: &[Value]) -> Result<Value> {
    let mut out = String::from("[");
    for (i, v) in a.iter().enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        json_text_of(v, &ctx.session.forms, &mut out);
    }
    out.push(']');
    checked(out)
}

fn build_object(ctx: &Context, a: &[Value]) -> Result<Value> {
    if a.len() % 2 == 1 {
        return Err(
            refuse("argument list must have even number of elements").with_hint(
                "The arguments of json_build_object() must consist of alternating keys and values.",
            ),
        );
    }
    let mut out = String::from("{");
    for (i, pair) in a.chunks_exact(2).enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        if pair[0].is_null() {
            return Err(refuse(format!("argument {} cannot be null", i * 2 + 1))
                .with_hint("Object keys should be text."));
        }
        write_string(&key(&pair[0], ctx)?, &mut out);
        out.push_str(" : ");
        json_text_of(&pair[1], &ctx.session.forms, &mut out);
    }
    out.push('}');
    checked(out)
}

fn key<'a>(v: &'a Value, ctx: &Context) -> Result<std::borrow::Cow<'a, str>> {
    let composed = matches!(v, Value::Json(_) | Value::Jsonb(_) | Value::Record(_));
    if composed || natural_type(v).is_array() {
        return Err(refuse(
            "key value must be scalar, not array, composite, or json",
        ));
    }
    Ok(shown(v, ctx))
}

fn row(ctx: &Context, a: &[Value]) -> Result<Value> {
    let mut out = String::from("{");
    for (i, pair) in a.chunks_exact(2).enumerate() {
        if i > 0 {
            out.push(',');
        }
        write_string(pair[0].as_str().unwrap_or_default(), &mut out);
        out.push(':');
        json_text_of(&pair[1], &ctx.session.forms, &mut out);
    }
    out.push('}');
    checked(out)
}

fn object_of_pairs(items: &Array) -> Result<Value> {
    if items.items.len() % 2 == 1 {
        return Err(Error::new(
            SqlState(*b"2202E"),
            "array must have even number of elements",
        ));
    }
    object(items.items.chunks_exact(2).map(|p| (&p[0], &p[1])))
}

fn object_of_two(keys: &Array, values: &Array) -> Result<Value> {
    if keys.items.len() != values.items.len() {
        return Err(Error::new(
            SqlState(*b"2202E"),
            "mismatched array dimensions",
        ));
    }
    object(keys.items.iter().zip(&values.items))
}

fn object<'a>(pairs: impl Iterator<Item = (&'a Value, &'a Value)>) -> Result<Value> {
    let mut out = String::from("{");
    for (i, (key, value)) in pairs.enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        let key = key.as_str().ok_or_else(|| {
            Error::new(
                SqlState::NULL_VALUE_NOT_ALLOWED,
                "null value not allowed for object key",
            )
        })?;
        write_string(key, &mut out);
        out.push_str(" : ");
        match value.as_str() {
            Some(s) => write_string(s, &mut out),
            None => out.push_str("null"),
        }
    }
    out.push('}');
    checked(out)
}

fn checked(out: String) -> Result<Value> {
    check_size(out.len())?;
    Ok(Value::Json(out.into()))
}

fn refuse(message: impl Into<String>) -> Error {
    Error::new(SqlState::INVALID_PARAMETER_VALUE, message)
}
