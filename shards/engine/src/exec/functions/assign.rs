//! A value with another one in a part of it: what UPDATE and INSERT make of `a[2] = 5`, `j['k'] = '1'` and `c.f = 3`.
//!
//! Owns: functions without a name in SQL that the binder calls, with something empty for a NULL that is assigned into.
//! Never: makes an array that begins with another number than 1, which there are none of (0A000).
//! Bounds: what fills gaps is counted before it is made (54000).
//! Source: PostgreSQL 15, `arrayfuncs.c` (`array_set_element`, `array_set_slice`), `arraysubs.c`, `jsonbsubs.c`, `jsonfuncs.c` (`setPath`).

use super::args::{check_size, make_json};
use super::{ANY_ARRAY, ANY_ELEMENT, Function};
use DataType::*;
use std::sync::Arc;
use types::{Array, DataType, Error, Json as Tree, Result, SqlState, Value};

/// `(array, value, subscript, …)`
pub const ELEMENT: &str = "array_set_element";
/// `(array, values, lower, upper, …)`; a bound that is left out is `false`.
pub const SLICE: &str = "array_set_slice";
/// `(document, value, step, …)`
pub const DOCUMENT: &str = "jsonb_set_element";
/// `(what rows look like, row, number from 0, value)`
pub const FIELD: &str = "record_set_field";

/// PostgreSQL's `MaxArraySize`.
const ITEMS_MAX: usize = 134_217_727;

pub static FUNCTIONS: &[Function] = &[
    Function::new(
        ELEMENT,
        &[ANY_ARRAY, ANY_ELEMENT, Int4],
        ANY_ARRAY,
        |_, a| match a {
            [array, value, subscripts @ ..] => element(array, value, subscripts),
            _ => Err(misused()),
        },
    )
    .sql("")
    .variadic()
    .lax(),
    Function::new(
        SLICE,
        &[ANY_ARRAY, ANY_ARRAY, Int4],
        ANY_ARRAY,
        |_, a| match a {
            [array, values, bounds @ ..] => slice(array, values, bounds),
            _ => Err(misused()),
        },
    )
    .sql("")
    .variadic()
    .lax(),
    Function::new(DOCUMENT, &[Jsonb, Jsonb, Text], Jsonb, |_, a| match a {
        [Value::Jsonb(document), value, path @ ..] => into_document(document, value, path),
        _ => Err(misused()),
    })
    .sql("")
    .variadic()
    .lax(),
    Function::new(
        FIELD,
        &[Record, Record, Int4, ANY_ELEMENT],
        Record,
        |_, a| match a {
            [Value::Record(like), row, Value::Int4(at), value] => {
                let mut values = match row {
                    Value::Record(r) => r.values().to_vec(),
                    _ => like.values().to_vec(),
                };
                let field = usize::try_from(*at).ok().and_then(|at| values.get_mut(at));
                *field.ok_or_else(misused)? = value.clone();
                Ok(Value::Record(Arc::new(like.with(values)?)))
            }
            _ => Err(misused()),
        },
    )
    .sql("")
    .lax(),
];

fn element(array: &Value, value: &Value, subscripts: &[Value]) -> Result<Value> {
    let mut whole = own(array)?;
    let at: Vec<i32> = (subscripts.iter().map(subscript)).collect::<Result<_>>()?;
    let [at] = one_dimension(&whole, &at)? else {
        return Err(misused());
    };
    let at = place(*at)?;
    if at > whole.items.len() && whole.items.is_empty() {
        return Err(other_bound());
    }
    extend(&mut whole, at + 1)?;
    whole.items[at] = value.clone();
    Ok(Value::Array(Arc::new(whole)))
}

fn slice(array: &Value, values: &Value, bounds: &[Value]) -> Result<Value> {
    let mut whole = own(array)?;
    let bound = |v: &Value| match v {
        Value::Bool(false) => Ok(None),
        given => subscript(given).map(Some),
    };
    let bounds: Vec<Option<i32>> = (bounds.iter().map(bound)).collect::<Result<_>>()?;
    let Value::Array(values) = values else {
        return Ok(Value::Array(Arc::new(whole)));
    };
    if whole.items.is_empty() && bounds.contains(&None) {
        return Err(subscript_error("array slice subscript must provide both boundaries").with_detail(
            "When assigning to a slice of an empty array value, slice boundaries must be fully specified.",
        ));
    }
    let pairs: Vec<(Option<i32>, Option<i32>)> = bounds
        .chunks(2)
        .map(|b| (b.first().copied().flatten(), b.get(1).copied().flatten()))
        .collect();
    let [(lower, upper)] = one_dimension(&whole, &pairs)? else {
        return Err(misused());
    };
    let last = i32::try_from(whole.items.len()).unwrap_or(i32::MAX);
    let (lower, upper) = (lower.unwrap_or(1), upper.unwrap_or(last));
    let count = i64::from(upper) - i64::from(lower) + 1;
    if count < 0 || (count == 0 && !whole.items.is_empty()) {
        return Err(subscript_error(
            "upper bound cannot be less than lower bound",
        ));
    }
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    if values.items.len() < count {
        return Err(subscript_error("source array too small"));
    }
    if count == 0 {
        return Ok(Value::Array(Arc::new(whole)));
    }
    let from = place(lower)?;
    if from > 0 && whole.items.is_empty() {
        return Err(other_bound());
    }
    extend(&mut whole, from + count)?;
    whole.items[from..from + count].clone_from_slice(&values.items[..count]);
    Ok(Value::Array(Arc::new(whole)))
}

fn own(array: &Value) -> Result<Array> {
    match array {
        Value::Array(a) => Ok(Array::clone(a)),
        _ => Err(misused()),
    }
}

fn subscript(v: &Value) -> Result<i32> {
    match v {
        Value::Int4(at) => Ok(*at),
        _ => Err(Error::new(
            SqlState::NULL_VALUE_NOT_ALLOWED,
            "array subscript in assignment must not be null",
        )),
    }
}

fn one_dimension<'a, T>(array: &Array, subscripts: &'a [T]) -> Result<&'a [T]> {
    match subscripts {
        [_] => Ok(subscripts),
        _ if array.items.is_empty() => Err(Error::unsupported(
            "arrays of more than one dimension are not supported",
        )),
        _ => Err(subscript_error("wrong number of array subscripts")),
    }
}

fn place(subscript: i32) -> Result<usize> {
    match usize::try_from(subscript) {
        Ok(at) if at > 0 => Ok(at - 1),
        _ => Err(other_bound()),
    }
}

/// NULLs up to so many items.
fn extend(array: &mut Array, items: usize) -> Result<()> {
    if items > array.items.len() {
        if items > ITEMS_MAX {
            return Err(Error::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("array size exceeds the maximum allowed ({ITEMS_MAX})"),
            ));
        }
        check_size(items.saturating_mul(size_of::<Value>()))?;
        array.items.resize(items, Value::Null);
    }
    Ok(())
}

fn other_bound() -> Error {
    Error::unsupported("arrays that begin with another subscript than 1 are not supported")
}

fn subscript_error(message: &str) -> Error {
    Error::new(SqlState(*b"2202E"), message)
}

fn into_document(document: &Tree, value: &Value, path: &[Value]) -> Result<Value> {
    let mut steps = Vec::with_capacity(path.len());
    for step in path {
        steps.push(step.as_str().ok_or_else(|| {
            Error::new(
                SqlState::NULL_VALUE_NOT_ALLOWED,
                "jsonb subscript in assignment must not be null",
            )
        })?);
    }
    if steps.len() > types::json::DEPTH_MAX {
        return Err(Error::new(
            SqlState::STATEMENT_TOO_COMPLEX,
            "too many subscripts",
        ));
    }
    let value = match value {
        Value::Jsonb(j) => Tree::clone(j),
        _ => Tree::Null,
    };
    let mut document = document.clone();
    check_size(document.memory() + value.memory())?;
    put(&mut document, &steps, 0, value)?;
    Ok(make_json(document))
}

fn put(within: &mut Tree, path: &[&str], level: usize, value: Tree) -> Result<()> {
    let Some(step) = path.get(level) else {
        *within = value;
        return Ok(());
    };
    match within {
        Tree::Array(items) => {
            let at = index_in(step, level, items.len())?;
            if at < items.len() {
                return put(&mut items[at], path, level + 1, value);
            }
            fill(items, at)?;
            items.push(new_path(path.get(level + 1..).unwrap_or(&[]), value)?);
        }
        Tree::Object(fields) => {
            if let Some((_, inner)) = fields.iter_mut().find(|(k, _)| k == step) {
                return put(inner, path, level + 1, value);
            }
            let inner = new_path(path.get(level + 1..).unwrap_or(&[]), value)?;
            let mut all = std::mem::take(fields);
            all.push(((*step).to_owned(), inner));
            *within = Tree::object(all);
        }
        _ => {
            return Err(Error::new(
                SqlState::INVALID_PARAMETER_VALUE,
                "cannot replace existing key",
            )
            .with_detail("The path assumes key is a composite object, but it is a scalar value."));
        }
    }
    Ok(())
}

/// Below what was not there: arrays for steps that are numbers, objects for others.
fn new_path(path: &[&str], value: Tree) -> Result<Tree> {
    let mut out = value;
    for step in path.iter().rev() {
        out = match integer(step) {
            Some(at) => {
                let mut items = Vec::new();
                fill(&mut items, usize::try_from(at).unwrap_or(0))?;
                items.push(out);
                Tree::Array(items)
            }
            None => Tree::Object(vec![((*step).to_owned(), out)]),
        };
    }
    Ok(out)
}

fn fill(items: &mut Vec<Tree>, count: usize) -> Result<()> {
    if count > items.len() {
        check_size(count.saturating_mul(size_of::<Tree>()))?;
        items.resize(count, Tree::Null);
    }
    Ok(())
}

/// From the end where it is negative.
fn index_in(step: &str, level: usize, len: usize) -> Result<usize> {
    let position = level + 1;
    let at = integer(step).ok_or_else(|| {
        Error::new(
            SqlState::INVALID_TEXT_REPRESENTATION,
            format!("path element at position {position} is not an integer: \"{step}\""),
        )
    })?;
    let from_end = |at: i32| len.checked_sub(usize::try_from(at.unsigned_abs()).ok()?);
    let found = match usize::try_from(at) {
        Ok(at) => Some(at),
        Err(_) => from_end(at),
    };
    found.ok_or_else(|| {
        Error::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("path element at position {position} is out of range: {at}"),
        )
    })
}

/// As C's `strtol` reads it: blanks before it are nothing, behind it a mistake.
fn integer(step: &str) -> Option<i32> {
    step.trim_start().parse().ok()
}

#[cold]
fn misused() -> Error {
    Error::internal("an assignment without its parts")
}
