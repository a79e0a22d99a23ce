//! Making new jsonb documents.

use super::super::args::{self, check_size, make_json};
use super::super::{natural_type, shown};
use super::{json_print, refuse, to_json};
use crate::exec::Context;
use types::{Array, Error, Json, Result, SqlState, Value};

/// Objects merge, anything else is joined as arrays.
pub fn concat(a: &[Value]) -> Result<Value> {
    let (left, right) = (args::jsonb(a, 0)?, args::jsonb(a, 1)?);
    check_size(left.memory() + right.memory())?;
    if let (Json::Object(x), Json::Object(y)) = (left, right) {
        return Ok(make_json(Json::object(
            x.iter().chain(y).cloned().collect(),
        )));
    }
    let items = |j: &Json| match j {
        Json::Array(items) => items.clone(),
        other => vec![other.clone()],
    };
    let mut all = items(left);
    all.extend(items(right));
    Ok(make_json(Json::Array(all)))
}

/// Fields of an object by key, strings of an array by value.
pub fn delete_keys(j: &Json, keys: &[&str]) -> Result<Value> {
    let unwanted = |s: &str| keys.contains(&s);
    Ok(make_json(match j {
        Json::Object(fields) => Json::Object(
            fields
                .iter()
                .filter(|(k, _)| !unwanted(k))
                .cloned()
                .collect(),
        ),
        Json::Array(items) => {
            let kept = items
                .iter()
                .filter(|i| !matches!(i, Json::String(s) if unwanted(s)));
            Json::Array(kept.cloned().collect())
        }
        _ => return Err(refuse("cannot delete from scalar")),
    }))
}

pub fn delete_index(a: &[Value]) -> Result<Value> {
    match args::jsonb(a, 0)? {
        Json::Array(items) => {
            let mut items = items.clone();
            if let Some(i) = resolve(i64::from(args::int4(a, 1)?), items.len()) {
                items.remove(i);
            }
            Ok(make_json(Json::Array(items)))
        }
        Json::Object(_) => Err(refuse("cannot delete from object using integer index")),
        _ => Err(refuse("cannot delete from scalar")),
    }
}

/// An index that may count from the end, if it is within.
fn resolve(index: i64, len: usize) -> Option<usize> {
    let at = if index < 0 {
        len.checked_sub(usize::try_from(index.unsigned_abs()).ok()?)?
    } else {
        usize::try_from(index).ok()?
    };
    (at < len).then_some(at)
}

pub fn delete_path(a: &[Value]) -> Result<Value> {
    let path = path_of(args::array(a, 1)?)?;
    let mut j = args::jsonb(a, 0)?.clone();
    if !is_container(&j) {
        return Err(refuse("cannot delete path in scalar"));
    }
    edit(&mut j, &path, 1, &mut |place| {
        match place {
            Place::Field(fields, key) => fields.retain(|(k, _)| k != key),
            Place::Item(items, index) => {
                if let Some(i) = resolve(index, items.len()) {
                    items.remove(i);
                }
            }
        }
        Ok(())
    })?;
    Ok(make_json(j))
}

/// Replaces what is there; adds it where the last step alone is missing, if `create`.
pub fn set(a: &[Value], create: bool) -> Result<Value> {
    let path = path_of(args::array(a, 1)?)?;
    let new = args::jsonb(a, 2)?;
    let mut j = args::jsonb(a, 0)?.clone();
    if !is_container(&j) {
        return Err(refuse("cannot set path in scalar"));
    }
    check_size(j.memory() + new.memory())?;
    edit(&mut j, &path, 1, &mut |place| {
        match place {
            Place::Field(fields, key) => {
                if create || fields.iter().any(|(k, _)| k == key) {
                    put(fields, key, new.clone());
                }
            }
            Place::Item(items, index) => match resolve(index, items.len()) {
                Some(i) => items[i] = new.clone(),
                None if !create => {}
                None if index < 0 => items.insert(0, new.clone()),
                None => items.push(new.clone()),
            },
        }
        Ok(())
    })?;
    Ok(make_json(j))
}

/// What becomes of a NULL is the last argument's to say.
pub fn set_lax(a: &[Value]) -> Result<Value> {
    let create = a.get(3).map_or(Ok(true), |_| args::boolean(a, 3));
    if a.iter().take(2).chain(a.get(3)).any(Value::is_null) {
        return Ok(Value::Null);
    }
    let treatment = match a.get(4) {
        None => "use_json_null",
        Some(_) => args::text(a, 4).unwrap_or_default(),
    };
    if !a[2].is_null() {
        return set(a, create?);
    }
    match treatment {
        "raise_exception" => Err(Error::new(
            SqlState::NULL_VALUE_NOT_ALLOWED,
            "JSON value must not be null",
        )
        .with_detail(
            "Exception was raised because null_value_treatment is \"raise_exception\".",
        )
        .with_hint("To avoid, either change the null_value_treatment argument or ensure that an SQL NULL is not passed.")),
        "return_target" => Ok(a[0].clone()),
        "delete_key" => delete_path(&a[..2]),
        "use_json_null" => {
            let null = make_json(Json::Null);
            set(&[a[0].clone(), a[1].clone(), null], create?)
        }
        _ => Err(refuse(
            "null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", or \"raise_exception\"",
        )),
    }
}

pub fn insert(a: &[Value], after: bool) -> Result<Value> {
    let path = path_of(args::array(a, 1)?)?;
    let new = args::jsonb(a, 2)?;
    let mut j = args::jsonb(a, 0)?.clone();
    if !is_container(&j) {
        return Err(refuse("cannot set path in scalar"));
    }
    check_size(j.memory() + new.memory())?;
    edit(&mut j, &path, 1, &mut |place| {
        match place {
            Place::Field(fields, key) => {
                if fields.iter().any(|(k, _)| k == key) {
                    return Err(refuse("cannot replace existing key")
                        .with_hint("Try using the function jsonb_set to replace key value."));
                }
                put(fields, key, new.clone());
            }
            Place::Item(items, index) => {
                let at = match resolve(index, items.len()) {
                    Some(i) => i + usize::from(after),
                    None if index < 0 => 0,
                    None => items.len(),
                };
                items.insert(at, new.clone());
            }
        }
        Ok(())
    })?;
    Ok(make_json(j))
}

fn is_container(j: &Json) -> bool {
    matches!(j, Json::Array(_) | Json::Object(_))
}

fn put(fields: &mut Vec<(String, Json)>, key: &str, value: Json) {
    fields.retain(|(k, _)| k != key);
    fields.push((key.to_owned(), value));
    if let Json::Object(sorted) = Json::object(std::mem::take(fields)) {
        *fields = sorted;
    }
}

fn path_of(steps: &Array) -> Result<Vec<&str>> {
    let step = |(i, v): (usize, &'_ Value)| match v {
        Value::Text(_) => Ok(i),
        _ => Err(Error::new(
            SqlState::NULL_VALUE_NOT_ALLOWED,
            format!("path element at position {} is null", i + 1),
        )),
    };
    steps
        .items
        .iter()
        .enumerate()
        .try_for_each(|s| step(s).map(drop))?;
    Ok(steps.items.iter().filter_map(Value::as_str).collect())
}

/// The place that a path's last step names, in its container.
enum Place<'a> {
    Field(&'a mut Vec<(String, Json)>, &'a str),
    Item(&'a mut Vec<Json>, i64),
}

/// Calls `f` at the end of the path; does nothing where the way there is missing.
fn edit(
    j: &mut Json,
    path: &[&str],
    position: usize,
    f: &mut dyn FnMut(Place) -> Result<()>,
) -> Result<()> {
    let Some((step, rest)) = path.split_first() else {
        return Ok(());
    };
    match j {
        Json::Object(fields) if rest.is_empty() => f(Place::Field(fields, step)),
        Json::Object(fields) => match fields.iter_mut().find(|(k, _)| k == step) {
            Some((_, inner)) => edit(inner, rest, position + 1, f),
            None => Ok(()),
        },
        Json::Array(items) => {
            let index: i32 = step.trim().parse().map_err(|_| {
                Error::new(
                    SqlState::INVALID_TEXT_REPRESENTATION,
                    format!("path element at position {position} is not an integer: \"{step}\""),
                )
            })?;
            let index = i64::from(index);
            if rest.is_empty() {
                return f(Place::Item(items, index));
            }
            match resolve(index, items.len()) {
                Some(i) => edit(&mut items[i], rest, position + 1, f),
                None => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

/// Fields that are null go, at any depth; nulls in arrays stay.
pub fn strip_nulls(j: &Json) -> Json {
    match j {
        Json::Object(fields) => {
            let kept = fields.iter().filter(|(_, v)| *v != Json::Null);
            Json::Object(kept.map(|(k, v)| (k.clone(), strip_nulls(v))).collect())
        }
        Json::Array(items) => Json::Array(items.iter().map(strip_nulls).collect()),
        other => other.clone(),
    }
}

pub fn build_object(ctx: &Context, a: &[Value]) -> Result<Value> {
    if a.len() % 2 == 1 {
        return Err(refuse("argument list must have even number of elements").with_hint(
            "The arguments of jsonb_build_object() must consist of alternating keys and values.",
        ));
    }
    let mut fields = Vec::with_capacity(a.len() / 2);
    for (i, pair) in a.chunks(2).enumerate() {
        let key = match &pair[0] {
            Value::Null => {
                return Err(refuse(format!(
                    "argument {}: key must not be null",
                    i * 2 + 1
                )));
            }
            Value::Jsonb(j) if is_container(j) => {
                return Err(refuse(
                    "key value must be scalar, not array, composite, or json",
                ));
            }
            Value::Jsonb(j) => json_print(j),
            Value::Json(_) => {
                return Err(refuse(
                    "key value must be scalar, not array, composite, or json",
                ));
            }
            v if natural_type(v).is_array() => {
                return Err(refuse(
                    "key value must be scalar, not array, composite, or json",
                ));
            }
            v => shown(v, ctx).into_owned(),
        };
        fields.push((key, to_json(&pair[1], &ctx.session.forms)?));
    }
    Ok(make_json(Json::object(fields)))
}

fn text_or_null(v: &Value) -> Json {
    v.as_str()
        .map_or(Json::Null, |s| Json::String(s.to_owned()))
}

fn key_of(v: &Value) -> Result<String> {
    v.as_str().map(str::to_owned).ok_or_else(|| {
        Error::new(
            SqlState::NULL_VALUE_NOT_ALLOWED,
            "null value not allowed for object key",
        )
    })
}

pub fn object_of_pairs(items: &Array) -> Result<Value> {
    if items.items.len() % 2 == 1 {
        return Err(Error::new(
            SqlState(*b"2202E"),
            "array must have even number of elements",
        ));
    }
    let pair = |p: &[Value]| Ok((key_of(&p[0])?, text_or_null(&p[1])));
    let fields: Result<Vec<(String, Json)>> = items.items.chunks(2).map(pair).collect();
    Ok(make_json(Json::object(fields?)))
}

pub fn object_of_two(keys: &Array, values: &Array) -> Result<Value> {
    if keys.items.len() != values.items.len() {
        return Err(Error::new(
            SqlState(*b"2202E"),
            "mismatched array dimensions",
        ));
    }
    let pair = |(k, v)| Ok((key_of(k)?, text_or_null(v)));
    let fields: Result<Vec<(String, Json)>> =
        keys.items.iter().zip(&values.items).map(pair).collect();
    Ok(make_json(Json::object(fields?)))
}
