//! jsonb functions and operators.
//!
//! Owns: their signatures; `change` has what makes new documents, `find` what looks into one, `path` what evaluates a jsonpath.
//! Source: PostgreSQL 15 manual, section 9.16; `jsonfuncs.c`, `jsonb_op.c`.

mod change;
mod find;
mod path;
pub mod path_functions;

use super::args::{self, make_json};
use super::show::{json_at, json_print, json_text, json_value, to_json};
use super::{ANY, ANY_ELEMENT, Function};
use DataType::*;
use std::sync::Arc;
use types::{Array, DataType, Error, Json as Tree, Result, SqlState, Value};

pub static FUNCTIONS: &[Function] = &[
    // The binder puts it around what jsonb_to_record and jsonb_to_recordset read.
    Function::new("jsonb_record", &[Jsonb], Jsonb, |_, a| {
        if matches!(args::jsonb(a, 0)?, Tree::Object(_)) {
            return Ok(a[0].clone());
        }
        Err(Error::new(
            SqlState::INVALID_PARAMETER_VALUE,
            "argument of jsonb_to_recordset must be an array of objects",
        ))
    })
    .sql(""),
    // A null within is none of SQL's.
    Function::new("jsonb_or_null", &[Jsonb], Jsonb, |_, a| {
        Ok(match args::jsonb(a, 0)? {
            Tree::Null => Value::Null,
            _ => a[0].clone(),
        })
    })
    .sql(""),
    // And what they make an array of.
    Function::new("jsonb_texts", &[Jsonb], TextArray, |_, a| {
        texts(args::jsonb(a, 0)?)
    })
    .sql(""),
    Function::new("jsonb_object_field", &[Jsonb, Text], Jsonb, |_, a| {
        Ok(json_value(field(a)?))
    })
    .op("->"),
    Function::new("jsonb_object_field_text", &[Jsonb, Text], Text, |_, a| {
        Ok(json_text(field(a)?))
    })
    .op("->>"),
    Function::new("jsonb_array_element", &[Jsonb, Int4], Jsonb, |_, a| {
        Ok(json_value(element(a)?))
    })
    .op("->"),
    Function::new("jsonb_array_element_text", &[Jsonb, Int4], Text, |_, a| {
        Ok(json_text(element(a)?))
    })
    .op("->>"),
    Function::new(
        "jsonb_extract_path_op",
        &[Jsonb, TextArray],
        Jsonb,
        |_, a| Ok(json_value(find::path(a)?)),
    )
    .op("#>"),
    Function::new(
        "jsonb_extract_path_text_op",
        &[Jsonb, TextArray],
        Text,
        |_, a| Ok(json_text(find::path(a)?)),
    )
    .op("#>>"),
    Function::new("jsonb_extract_path", &[Jsonb, Text], Jsonb, |_, a| {
        Ok(json_value(find::steps(a)?))
    })
    .variadic(),
    Function::new("jsonb_extract_path_text", &[Jsonb, Text], Text, |_, a| {
        Ok(json_text(find::steps(a)?))
    })
    .variadic(),
    Function::new("jsonb_contains", &[Jsonb, Jsonb], Bool, |_, a| {
        Ok(find::contains(args::jsonb(a, 0)?, args::jsonb(a, 1)?).into())
    })
    .op("@>"),
    Function::new("jsonb_contained", &[Jsonb, Jsonb], Bool, |_, a| {
        Ok(find::contains(args::jsonb(a, 1)?, args::jsonb(a, 0)?).into())
    })
    .op("<@"),
    Function::new("jsonb_exists", &[Jsonb, Text], Bool, |_, a| {
        Ok(find::exists(args::jsonb(a, 0)?, args::text(a, 1)?).into())
    })
    .op("?"),
    Function::new("jsonb_exists_any", &[Jsonb, TextArray], Bool, |_, a| {
        find::exists_of(a, false)
    })
    .op("?|"),
    Function::new("jsonb_exists_all", &[Jsonb, TextArray], Bool, |_, a| {
        find::exists_of(a, true)
    })
    .op("?&"),
    Function::new("jsonb_concat", &[Jsonb, Jsonb], Jsonb, |_, a| {
        change::concat(a)
    })
    .op("||"),
    Function::new("jsonb_delete", &[Jsonb, Text], Jsonb, |_, a| {
        change::delete_keys(args::jsonb(a, 0)?, &[args::text(a, 1)?])
    })
    .op("-"),
    Function::new("jsonb_delete_idx", &[Jsonb, Int4], Jsonb, |_, a| {
        change::delete_index(a)
    })
    .sql("jsonb_delete")
    .op("-"),
    Function::new("jsonb_delete_array", &[Jsonb, TextArray], Jsonb, |_, a| {
        let keys: Vec<&str> = args::array(a, 1)?
            .items
            .iter()
            .filter_map(Value::as_str)
            .collect();
        change::delete_keys(args::jsonb(a, 0)?, &keys)
    })
    .sql("jsonb_delete")
    .op("-"),
    Function::new("jsonb_delete_path", &[Jsonb, TextArray], Jsonb, |_, a| {
        change::delete_path(a)
    })
    .op("#-"),
    Function::new(
        "jsonb_set_create",
        &[Jsonb, TextArray, Jsonb],
        Jsonb,
        |_, a| change::set(a, true),
    )
    .sql("jsonb_set"),
    Function::new(
        "jsonb_set",
        &[Jsonb, TextArray, Jsonb, Bool],
        Jsonb,
        |_, a| change::set(a, args::boolean(a, 3)?),
    ),
    Function::new(
        "jsonb_set_lax_plain",
        &[Jsonb, TextArray, Jsonb],
        Jsonb,
        |_, a| change::set_lax(a),
    )
    .sql("jsonb_set_lax")
    .lax(),
    Function::new(
        "jsonb_set_lax_create",
        &[Jsonb, TextArray, Jsonb, Bool],
        Jsonb,
        |_, a| change::set_lax(a),
    )
    .sql("jsonb_set_lax")
    .lax(),
    Function::new(
        "jsonb_set_lax",
        &[Jsonb, TextArray, Jsonb, Bool, Text],
        Jsonb,
        |_, a| change::set_lax(a),
    )
    .lax(),
    Function::new(
        "jsonb_insert_before",
        &[Jsonb, TextArray, Jsonb],
        Jsonb,
        |_, a| change::insert(a, false),
    )
    .sql("jsonb_insert"),
    Function::new(
        "jsonb_insert",
        &[Jsonb, TextArray, Jsonb, Bool],
        Jsonb,
        |_, a| change::insert(a, args::boolean(a, 3)?),
    ),
    Function::new("jsonb_strip_nulls", &[Jsonb], Jsonb, |_, a| {
        Ok(make_json(change::strip_nulls(args::jsonb(a, 0)?)))
    }),
    Function::new("jsonb_typeof", &[Jsonb], Text, |_, a| {
        Ok(find::kind(args::jsonb(a, 0)?).into())
    }),
    Function::new("jsonb_array_length", &[Jsonb], Int4, |_, a| {
        find::length(args::jsonb(a, 0)?)
    }),
    Function::new("jsonb_pretty", &[Jsonb], Text, |_, a| {
        let mut out = String::new();
        args::jsonb(a, 0)?.write_pretty(0, &mut out);
        Ok(out.into())
    }),
    Function::new("to_jsonb", &[ANY_ELEMENT], Jsonb, |c, a| {
        to_json(&a[0], &c.session.forms).map(make_json)
    })
    .stable(),
    Function::new("jsonb_build_array_noargs", &[], Jsonb, |_, _| {
        Ok(make_json(Tree::Array(Vec::new())))
    })
    .sql("jsonb_build_array"),
    Function::new("jsonb_build_object_noargs", &[], Jsonb, |_, _| {
        Ok(make_json(Tree::Object(Vec::new())))
    })
    .sql("jsonb_build_object"),
    Function::new("jsonb_build_array", &[ANY], Jsonb, |c, a| {
        let items: Result<Vec<Tree>> = a.iter().map(|v| to_json(v, &c.session.forms)).collect();
        Ok(make_json(Tree::Array(items?)))
    })
    .lax()
    .variadic()
    .stable(),
    Function::new("jsonb_build_object", &[ANY], Jsonb, |c, a| {
        change::build_object(c, a)
    })
    .lax()
    .variadic()
    .stable(),
    Function::new("jsonb_object", &[TextArray], Jsonb, |_, a| {
        change::object_of_pairs(args::array(a, 0)?)
    }),
    Function::new(
        "jsonb_object_two_arg",
        &[TextArray, TextArray],
        Jsonb,
        |_, a| change::object_of_two(args::array(a, 0)?, args::array(a, 1)?),
    )
    .sql("jsonb_object"),
];

/// The elements of an array as texts.
fn texts(json: &Tree) -> Result<Value> {
    let Tree::Array(items) = json else {
        return match json {
            Tree::Null => Ok(Value::Null),
            _ => Err(Error::new(
                SqlState::INVALID_TEXT_REPRESENTATION,
                "expected JSON array",
            )),
        };
    };
    if items.iter().any(|i| matches!(i, Tree::Array(_))) {
        return Err(Error::unsupported(
            "an array of arrays from a field of jsonb",
        ));
    }
    Ok(Value::Array(Arc::new(Array {
        element: Text,
        items: items.iter().map(|i| json_text(Some(i))).collect(),
    })))
}

fn field(a: &[Value]) -> Result<Option<&Tree>> {
    Ok(args::jsonb(a, 0)?.get(args::text(a, 1)?))
}

fn element(a: &[Value]) -> Result<Option<&Tree>> {
    let (json, at) = (args::jsonb(a, 0)?, i64::from(args::int4(a, 1)?));
    // PostgreSQL stores a scalar as an array of one, and its operators show that.
    Ok(match json {
        Tree::Array(_) | Tree::Object(_) => json_at(json, at),
        scalar => matches!(at, 0 | -1).then_some(scalar),
    })
}

fn refuse(message: impl Into<String>) -> Error {
    Error::new(SqlState::INVALID_PARAMETER_VALUE, message)
}
