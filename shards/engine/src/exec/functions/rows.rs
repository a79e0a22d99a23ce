//! The rows of set-returning functions.
//!
//! Asked by: `resolve::run_table_function`, which has the signatures.

use super::args;
use super::jsonb::path_functions;
use super::keywords;
use super::show::{json_print, json_text};
use super::text::{build, regex};
use crate::exec::Context;
use crate::exec::resolve::EXPAND_ARRAY;
use std::cmp::Ordering;
use std::sync::Arc;
use types::json::raw;
use types::{Error, Interval, Json, Numeric, Result, Row, SqlState, Value, time};

/// What a set-returning function gives.
pub type Rows = Box<dyn Iterator<Item = Result<Row>>>;

pub fn run(name: &str, a: &[Value], ctx: &Context) -> Result<Rows> {
    // Only the splitting functions mean something by a NULL, and only in their second place.
    let null = a.iter().position(Value::is_null);
    if null.is_some_and(|i| name != "string_to_table" || i == 0) {
        return Ok(Box::new(std::iter::empty()));
    }
    match name {
        "generate_series" => series(a, ctx),
        "generate_subscripts" => {
            let n = args::array(a, 0)?.items.len();
            let n = if args::int4(a, 1)? == 1 { n } else { 0 };
            // The binder says so of vectors.
            let first = a.get(2).map_or(Ok(1), |_| args::int4(a, 2))?;
            let end = i32::try_from(n).unwrap_or(i32::MAX).saturating_add(first);
            Ok(column((first..end).map(Value::Int4)))
        }
        "jsonb_path_query" => {
            let found = path_functions::all(a)?.into_iter();
            Ok(column(found.map(|json| Value::Jsonb(Arc::new(json)))))
        }
        "unnest" => {
            let array = Arc::new(args::array(a, 0)?.items.clone());
            let n = array.len();
            Ok(column((0..n).map(move |i| array[i].clone())))
        }
        EXPAND_ARRAY => {
            let items = args::array(a, 0)?.items.clone();
            let numbered = items.into_iter().zip(1..);
            Ok(Box::new(numbered.map(|(v, n)| Ok(vec![v, Value::Int4(n)]))))
        }
        "regexp_split_to_table" => {
            let flags = if a.len() > 2 { args::text(a, 2)? } else { "" };
            regex::no_global(flags, "regexp_split_to_table()", None)?;
            let parts = regex::split(args::text(a, 0)?, args::text(a, 1)?, flags)?;
            Ok(column(parts.into_iter().map(Value::from)))
        }
        "regexp_matches" => matches(a),
        // No table is a part of another.
        "pg_partition_ancestors" => Ok(Box::new(std::iter::empty())),
        "pg_get_keywords" => Ok(Box::new(keywords::rows().into_iter().map(Ok))),
        "pg_options_to_table" => Ok(options(&args::array(a, 0)?.items)),
        "string_to_table" => {
            let items = build::split_to_items(a)?.unwrap_or_default();
            let value = |i: Option<String>| i.map_or(Value::Null, Value::from);
            Ok(column(items.into_iter().map(value)))
        }
        _ => match a.first() {
            Some(Value::Json(s)) => raw_json_rows(name, s),
            _ => json_rows(name, args::jsonb(a, 0)?),
        },
    }
}

fn column(values: impl Iterator<Item = Value> + 'static) -> Rows {
    Box::new(values.map(|v| Ok(vec![v])))
}

/// Each `name=value`; without a value it is NULL.
fn options(all: &[Value]) -> Rows {
    let row = |option: &Value| -> Result<Row> {
        let option = args::text(std::slice::from_ref(option), 0)?;
        Ok(match option.split_once('=') {
            Some((name, value)) => vec![name.into(), value.into()],
            None => vec![option.into(), Value::Null],
        })
    };
    let rows: Vec<Result<Row>> = all.iter().map(row).collect();
    Box::new(rows.into_iter())
}

fn matches(a: &[Value]) -> Result<Rows> {
    let flags = if a.len() > 2 { args::text(a, 2)? } else { "" };
    let regex = regex::compile(args::text(a, 1)?, &flags.replace('g', ""))?;
    let limit = if flags.contains('g') { usize::MAX } else { 1 };
    let found = regex::each(&regex, args::text(a, 0)?, 0).take(limit);
    let found: Vec<Value> = found.map(|c| regex::groups(&c)).collect();
    Ok(column(found.into_iter()))
}

fn series(a: &[Value], ctx: &Context) -> Result<Rows> {
    match (&a[0], &a[1], a.get(2)) {
        (Value::Int4(from), Value::Int4(to), step) => {
            let step = step.and_then(Value::as_i64).unwrap_or(1);
            let values = integers(i64::from(*from), i64::from(*to), step)?;
            Ok(column(values.map(|v| Value::Int4(v as i32))))
        }
        (Value::Int8(from), Value::Int8(to), step) => {
            let step = step.and_then(Value::as_i64).unwrap_or(1);
            Ok(column(integers(*from, *to, step)?.map(Value::Int8)))
        }
        (Value::Numeric(from), Value::Numeric(to), step) => {
            let step = match step {
                Some(Value::Numeric(step)) => step.clone(),
                _ => Numeric::from(1i64),
            };
            numerics(from.clone(), to.clone(), step)
        }
        (Value::Timestamp(from), Value::Timestamp(to), Some(Value::Interval(step))) => {
            timestamps(*from, *to, *step, None)
        }
        (Value::Timestamptz(from), Value::Timestamptz(to), Some(Value::Interval(step))) => {
            timestamps(*from, *to, *step, Some(ctx.session.forms.zone.clone()))
        }
        _ => Err(Error::internal("generate_series of other types")),
    }
}

fn refuse(message: impl Into<String>) -> Error {
    Error::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn zero_step() -> Error {
    refuse("step size cannot equal zero")
}

fn integers(from: i64, to: i64, step: i64) -> Result<impl Iterator<Item = i64> + 'static> {
    if step == 0 {
        return Err(zero_step());
    }
    let within = move |v: &i64| if step > 0 { *v <= to } else { *v >= to };
    let next = move |v: &i64| v.checked_add(step).filter(within);
    Ok(std::iter::successors(Some(from).filter(within), next))
}

fn numerics(from: Numeric, to: Numeric, step: Numeric) -> Result<Rows> {
    for (value, what) in [(&from, "start"), (&to, "stop"), (&step, "step size")] {
        match value {
            Numeric::Small(..) | Numeric::Large(_) => {}
            Numeric::NaN => {
                return Err(refuse(
                    format!("{what} value cannot be NaN").replace("size value", "size"),
                ));
            }
            _ => {
                return Err(refuse(
                    format!("{what} value cannot be infinity").replace("size value", "size"),
                ));
            }
        }
    }
    if step.is_zero() {
        return Err(zero_step());
    }
    let past = if step.is_negative() {
        Ordering::Less
    } else {
        Ordering::Greater
    };
    let mut at = Some(from);
    Ok(Box::new(std::iter::from_fn(move || {
        let value = at.take().filter(|v| v.compare(&to) != past)?;
        match value.add(&step) {
            Ok(next) => at = Some(next),
            Err(e) => return Some(Err(e)),
        }
        Some(Ok(vec![args::make_numeric(value)]))
    })))
}

fn timestamps(from: i64, to: i64, step: Interval, tz: Option<jiff::tz::TimeZone>) -> Result<Rows> {
    let sign = types::order::span(&step).cmp(&0);
    if sign.is_eq() {
        return Err(zero_step());
    }
    let past = sign;
    let mut at = Some(from);
    Ok(Box::new(std::iter::from_fn(move || {
        let value = at.take().filter(|v| v.cmp(&to) != past)?;
        let next = match &tz {
            None => time::arith::timestamp_plus(value, &step),
            Some(tz) => time::arith::timestamptz_plus(value, &step, tz),
        };
        match next {
            Ok(next) => at = Some(next),
            Err(e) => return Some(Err(e)),
        }
        Some(Ok(vec![match tz {
            None => Value::Timestamp(value),
            Some(_) => Value::Timestamptz(value),
        }]))
    })))
}

fn json_rows(name: &str, j: &Json) -> Result<Rows> {
    let text = name.ends_with("_text");
    let value = move |j: &Json| {
        if text {
            json_text(Some(j))
        } else {
            args::make_json(j.clone())
        }
    };
    let rows: Vec<Row> = match (name, j) {
        ("jsonb_array_elements" | "jsonb_array_elements_text", Json::Array(items)) => {
            items.iter().map(|i| vec![value(i)]).collect()
        }
        ("jsonb_each" | "jsonb_each_text", Json::Object(fields)) => fields
            .iter()
            .map(|(k, v)| vec![k.as_str().into(), value(v)])
            .collect(),
        ("jsonb_object_keys", Json::Object(fields)) => fields
            .iter()
            .map(|(k, _)| vec![k.as_str().into()])
            .collect(),
        ("jsonb_array_elements" | "jsonb_array_elements_text", Json::Object(_)) => {
            return Err(refuse("cannot extract elements from an object"));
        }
        ("jsonb_array_elements" | "jsonb_array_elements_text", _) => {
            return Err(refuse("cannot extract elements from a scalar"));
        }
        ("jsonb_object_keys", Json::Array(_)) => {
            return Err(refuse("cannot call jsonb_object_keys on an array"));
        }
        ("jsonb_object_keys", _) => {
            return Err(refuse("cannot call jsonb_object_keys on a scalar"));
        }
        ("jsonb_each" | "jsonb_each_text", _) => {
            return Err(refuse(format!("cannot call {name} on a non-object")));
        }
        _ => {
            return Err(Error::internal(format!(
                "no set-returning function {name} over {}",
                json_print(j)
            )));
        }
    };
    Ok(Box::new(rows.into_iter().map(Ok)))
}

/// Rows over json that is text.
fn raw_json_rows(name: &str, json: &str) -> Result<Rows> {
    let text = name.ends_with("_text");
    let value = move |s: &str| -> Result<Value> {
        if !text {
            return Ok(Value::Json(s.into()));
        }
        Ok(raw::unquoted(s)?.map_or(Value::Null, Value::from))
    };
    let rows: Result<Vec<Row>> = match (name, raw::kind(json)) {
        ("json_array_elements" | "json_array_elements_text", raw::Kind::Array) => {
            raw::items(json).map(|i| Ok(vec![value(i)?])).collect()
        }
        ("json_each" | "json_each_text", raw::Kind::Object) => raw::fields(json)
            .map(|f| f.and_then(|(k, v)| Ok(vec![k.into(), value(v)?])))
            .collect(),
        ("json_object_keys", raw::Kind::Object) => raw::fields(json)
            .map(|f| f.map(|(k, _)| vec![k.into()]))
            .collect(),
        ("json_each" | "json_each_text", raw::Kind::Array) => {
            Err(refuse("cannot deconstruct an array as an object"))
        }
        ("json_each" | "json_each_text", _) => Err(refuse("cannot deconstruct a scalar")),
        ("json_object_keys", raw::Kind::Array) => {
            Err(refuse("cannot call json_object_keys on an array"))
        }
        (_, raw::Kind::Object) => Err(refuse(format!("cannot call {name} on a non-array"))),
        (_, _) => Err(refuse(format!("cannot call {name} on a scalar"))),
    };
    Ok(Box::new(rows?.into_iter().map(Ok)))
}
