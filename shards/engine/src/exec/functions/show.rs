//! Values whose type only the value tells: as text, as jsonb.
//!
//! Asked by: functions that take `"any"` (concat, format, to_jsonb, jsonb_agg …).

use super::args::make_json;
use crate::exec::{Context, cast};
use DataType::*;
use std::borrow::Cow;
use std::sync::Arc;
use types::json::write_string;
use types::text::Forms;
use types::text::forms::DateStyle;
use types::{DataType, Result, Value};

/// The type a value has by its variant; every kind of string is text.
pub fn natural_type(v: &Value) -> DataType {
    match v {
        Value::Null => Unknown,
        Value::Bool(_) => Bool,
        Value::Int2(_) => Int2,
        Value::Int4(_) => Int4,
        Value::Int8(_) => Int8,
        Value::Float4(_) => Float4,
        Value::Float8(_) => Float8,
        Value::Numeric(_) => Numeric,
        Value::Text(_) => Text,
        Value::Bytea(_) => Bytea,
        Value::Date(_) => Date,
        Value::Time(_) => Time,
        Value::Timestamp(_) => Timestamp,
        Value::Timestamptz(_) => Timestamptz,
        Value::Interval(_) => Interval,
        Value::Uuid(_) => Uuid,
        Value::Jsonb(_) => Jsonb,
        Value::Oid(_) => Oid,
        Value::Reg(_) => Regclass,
        Value::Array(a) => a.element.array().unwrap_or(TextArray),
        Value::Json(_) => Json,
        Value::Enum(e) => Enum(e.ty),
        Value::Record(r) => r.ty(),
        Value::Inet(i) if i.is_cidr() => Cidr,
        Value::Inet(_) => Inet,
        Value::Macaddr(_) => Macaddr,
        Value::Macaddr8(_) => Macaddr8,
    }
}

/// The text output of a value that is not NULL.
pub fn shown<'a>(v: &'a Value, ctx: &Context) -> Cow<'a, str> {
    match v {
        Value::Text(s) => Cow::Borrowed(s),
        _ => Cow::Owned(cast::print(v, natural_type(v), ctx)),
    }
}

/// `to_jsonb`: numbers, booleans, arrays, rows and json keep their kind, the rest becomes a string.
pub fn to_json(v: &Value, forms: &Forms) -> Result<types::Json> {
    use types::Json as J;
    Ok(match v {
        Value::Null => J::Null,
        Value::Bool(b) => J::Bool(*b),
        Value::Int2(_) | Value::Int4(_) | Value::Int8(_) => {
            J::Number(types::Numeric::from(v.as_i64().unwrap_or(0)))
        }
        Value::Numeric(n) if n.is_finite() => J::Number(n.clone()),
        Value::Float4(f) if f.is_finite() => J::Number(cast::print_in(v, Float4, forms).parse()?),
        Value::Float8(f) if f.is_finite() => J::Number(cast::print_in(v, Float8, forms).parse()?),
        Value::Jsonb(j) => (**j).clone(),
        Value::Json(s) => J::parse(s)?,
        Value::Array(a) => {
            let items: Result<Vec<J>> = a.items.iter().map(|i| to_json(i, forms)).collect();
            J::Array(items?)
        }
        Value::Record(r) => {
            let pairs = r.pairs();
            let pairs = pairs.map(|(f, v)| Ok((f.name.to_string(), to_json(v, forms)?)));
            J::object(pairs.collect::<Result<_>>()?)
        }
        Value::Text(s) => J::String(s.to_string()),
        _ => J::String(json_string(v, forms)),
    })
}

/// `to_json`: as `to_jsonb`, written at once; json is taken as it is.
pub fn json_text_of(v: &Value, forms: &Forms, out: &mut String) {
    match v {
        Value::Null => out.push_str("null"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Int2(_) | Value::Int4(_) | Value::Int8(_) => {
            out.push_str(&cast::print_in(v, natural_type(v), forms));
        }
        Value::Numeric(n) if n.is_finite() => {
            out.push_str(&cast::print_in(v, Numeric, forms));
        }
        Value::Float4(f) if f.is_finite() => out.push_str(&cast::print_in(v, Float4, forms)),
        Value::Float8(f) if f.is_finite() => out.push_str(&cast::print_in(v, Float8, forms)),
        Value::Jsonb(j) => j.write(out),
        Value::Json(s) => out.push_str(s),
        Value::Array(a) => {
            out.push('[');
            for (i, item) in a.items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                json_text_of(item, forms, out);
            }
            out.push(']');
        }
        Value::Record(r) => row_text_of(r, "", forms, out),
        Value::Text(s) => write_string(s, out),
        _ => write_string(&json_string(v, forms), out),
    }
}

/// A row as an object, with this behind each comma.
pub fn row_text_of(r: &types::Record, apart: &str, forms: &Forms, out: &mut String) {
    out.push('{');
    for (i, (field, value)) in r.pairs().enumerate() {
        if i > 0 {
            out.push(',');
            out.push_str(apart);
        }
        write_string(&field.name, out);
        out.push(':');
        json_text_of(value, forms, out);
    }
    out.push('}');
}

/// The text of what becomes a string: ISO 8601 with a T between date and time.
fn json_string(v: &Value, forms: &Forms) -> String {
    let dated = matches!(
        v,
        Value::Date(_) | Value::Timestamp(_) | Value::Timestamptz(_)
    );
    let mut text = match dated && forms.dates != DateStyle::Iso {
        true => cast::print_in(v, natural_type(v), &forms.iso()),
        false => cast::print_in(v, natural_type(v), forms),
    };
    if matches!(v, Value::Timestamp(_) | Value::Timestamptz(_))
        && let Some(at) = text.find(' ').filter(|_| !text.ends_with("BC"))
    {
        text.replace_range(at..=at, "T");
        if matches!(v, Value::Timestamptz(_)) {
            complete_offset(&mut text);
        }
    }
    text
}

/// JSON wants minutes in an offset: `+00` becomes `+00:00`.
fn complete_offset(text: &mut String) {
    let sign = text.rfind(['+', '-']);
    if sign.is_some_and(|i| text.len() - i == 3) {
        text.push_str(":00");
    }
}

pub fn json_value(j: Option<&types::Json>) -> Value {
    j.map_or(Value::Null, |j| make_json(j.clone()))
}

/// The text of a jsonb as `->>` gives it: strings bare, null as NULL.
pub fn json_text(j: Option<&types::Json>) -> Value {
    match j {
        None | Some(types::Json::Null) => Value::Null,
        Some(types::Json::String(s)) => Value::Text(Arc::from(s.as_str())),
        Some(other) => json_print(other).into(),
    }
}

pub fn json_print(j: &types::Json) -> String {
    let mut out = String::new();
    j.write(&mut out);
    out
}

/// The member at an index (negative from the end) of an array.
pub fn json_at(j: &types::Json, index: i64) -> Option<&types::Json> {
    let types::Json::Array(items) = j else {
        return None;
    };
    let at = if index < 0 {
        items
            .len()
            .checked_sub(usize::try_from(index.unsigned_abs()).ok()?)?
    } else {
        usize::try_from(index).ok()?
    };
    items.get(at)
}

/// `jsonb[key or index]`.
pub fn json_subscript(j: &types::Json, index: &Value) -> Value {
    let found = match index {
        Value::Text(key) => match j {
            types::Json::Array(_) => key.parse().ok().and_then(|i| json_at(j, i)),
            _ => j.get(key),
        },
        other => other.as_i64().and_then(|i| json_at(j, i)),
    };
    json_value(found)
}
