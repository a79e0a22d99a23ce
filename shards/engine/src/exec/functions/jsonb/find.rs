//! Looking into a jsonb document.

use super::super::args;
use super::{json_at, refuse};
use types::{Json, Result, Value};

/// The second argument is an array of steps; a NULL step finds nothing.
pub fn path(a: &[Value]) -> Result<Option<&Json>> {
    walk(args::jsonb(a, 0)?, &args::array(a, 1)?.items)
}

/// The arguments after the first are the steps.
pub fn steps(a: &[Value]) -> Result<Option<&Json>> {
    walk(args::jsonb(a, 0)?, &a[1..])
}

fn walk<'a>(from: &'a Json, steps: &[Value]) -> Result<Option<&'a Json>> {
    let mut at = from;
    for step in steps {
        let next = step.as_str().and_then(|key| match at {
            Json::Array(_) => key.trim().parse().ok().and_then(|i| json_at(at, i)),
            _ => at.get(key),
        });
        match next {
            Some(found) => at = found,
            None => return Ok(None),
        }
    }
    Ok(Some(at))
}

/// Objects by their fields, arrays as sets; an array contains a bare scalar of its own at the top.
pub fn contains(whole: &Json, part: &Json) -> bool {
    match (whole, part) {
        (Json::Array(items), scalar) if !matches!(scalar, Json::Array(_) | Json::Object(_)) => {
            items.iter().any(|i| same(i, scalar))
        }
        _ => contains_inside(whole, part),
    }
}

fn contains_inside(whole: &Json, part: &Json) -> bool {
    match (whole, part) {
        (Json::Object(_), Json::Object(fields)) => fields
            .iter()
            .all(|(k, v)| whole.get(k).is_some_and(|w| contains_inside(w, v))),
        (Json::Array(items), Json::Array(wanted)) => wanted
            .iter()
            .all(|w| items.iter().any(|i| contains_inside(i, w))),
        (whole, part) => same(whole, part),
    }
}

fn same(a: &Json, b: &Json) -> bool {
    types::order::compare_json(a, b).is_eq()
}

/// A key of an object, a string of an array, or a string itself.
pub fn exists(j: &Json, key: &str) -> bool {
    match j {
        Json::Object(_) => j.get(key).is_some(),
        Json::Array(items) => items
            .iter()
            .any(|i| matches!(i, Json::String(s) if s == key)),
        Json::String(s) => s == key,
        _ => false,
    }
}

pub fn exists_of(a: &[Value], all: bool) -> Result<Value> {
    let j = args::jsonb(a, 0)?;
    let mut keys = args::array(a, 1)?.items.iter().filter_map(Value::as_str);
    Ok(if all {
        keys.all(|k| exists(j, k))
    } else {
        keys.any(|k| exists(j, k))
    }
    .into())
}

pub fn kind(j: &Json) -> &'static str {
    match j {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(_) => "number",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}

pub fn length(j: &Json) -> Result<Value> {
    match j {
        Json::Array(items) => Ok(Value::Int4(i32::try_from(items.len()).unwrap_or(i32::MAX))),
        Json::Object(_) => Err(refuse("cannot get array length of a non-array")),
        _ => Err(refuse("cannot get array length of a scalar")),
    }
}
