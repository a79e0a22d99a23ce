//! The functions and operators that evaluate a jsonpath.
//!
//! Owns: what becomes of what is found, and of errors. Asked by: the registry, and `rows` for the one that gives rows.
//! Source: PostgreSQL 15 manual, 9.16.2.

use super::super::{Function, args};
use super::path::{Evaluation, Failure, Flow};
use DataType::*;
use std::sync::Arc;
use types::json::path::JsonPath;
use types::{DataType, Error, Json, Result, SqlState, Value};

/// Each with no variables, with them, and with `silent`.
macro_rules! each_way {
    ($($name:literal $vars:literal $silent:literal $ty:ident $run:expr;)*) => {
        pub static FUNCTIONS: &[Function] = &[
            $(
                Function::new($name, &[Jsonb, Jsonpath], $ty, |_, a| $run(a)),
                Function::new($vars, &[Jsonb, Jsonpath, Jsonb], $ty, |_, a| $run(a)).sql($name),
                Function::new($silent, &[Jsonb, Jsonpath, Jsonb, Bool], $ty, |_, a| $run(a)).sql($name),
            )*
            Function::new("jsonb_path_exists_opr", &[Jsonb, Jsonpath], Bool, |_, a| {
                exists(&Call::new(a, true)?)
            })
            .op("@?"),
            Function::new("jsonb_path_match_opr", &[Jsonb, Jsonpath], Bool, |_, a| {
                matches(&Call::new(a, true)?)
            })
            .op("@@"),
        ];
    };
}

each_way! {
    "jsonb_path_exists" "jsonb_path_exists_vars" "jsonb_path_exists_silent" Bool |a| exists(&Call::new(a, false)?);
    "jsonb_path_match" "jsonb_path_match_vars" "jsonb_path_match_silent" Bool |a| matches(&Call::new(a, false)?);
    "jsonb_path_query_array" "jsonb_path_query_array_vars" "jsonb_path_query_array_silent" Jsonb |a| {
        Ok(Value::Jsonb(Arc::new(Json::Array(all(a)?))))
    };
    "jsonb_path_query_first" "jsonb_path_query_first_vars" "jsonb_path_query_first_silent" Jsonb |a| first(&Call::new(a, false)?);
}

struct Call<'a> {
    path: JsonPath,
    target: &'a Json,
    vars: &'a Json,
    silent: bool,
}

const NO_VARS: &Json = &Json::Object(Vec::new());

impl<'a> Call<'a> {
    fn new(a: &'a [Value], silent: bool) -> Result<Call<'a>> {
        let vars = match a.len() {
            0..=2 => NO_VARS,
            _ => args::jsonb(a, 2)?,
        };
        if !matches!(vars, Json::Object(_)) {
            return Err(Error::new(
                SqlState::INVALID_PARAMETER_VALUE,
                "\"vars\" argument is not an object",
            )
            .with_detail(
                "Jsonpath parameters should be encoded as key-value pairs of \"vars\" object.",
            ));
        }
        Ok(Call {
            path: JsonPath::parse(args::text(a, 1)?)?,
            target: args::jsonb(a, 0)?,
            vars,
            silent: silent || a.len() > 3 && args::boolean(a, 3)?,
        })
    }

    /// Gives out what is found; `None` when there was an error that is passed over.
    fn each(&self, emit: &mut dyn FnMut(Json) -> Flow) -> Result<Option<()>> {
        let evaluation = Evaluation::new(&self.path, self.target, self.vars);
        match evaluation.each(emit) {
            Ok(()) => Ok(Some(())),
            Err(Failure::Soft(_)) if self.silent => Ok(None),
            Err(Failure::Soft(e) | Failure::Hard(e)) => Err(e),
        }
    }
}

/// All that is found, without what comes behind an error that is passed over.
pub fn all(a: &[Value]) -> Result<Vec<Json>> {
    let mut found = Vec::new();
    Call::new(a, false)?.each(&mut |item| {
        found.push(item);
        Flow::More
    })?;
    Ok(found)
}

fn first(call: &Call<'_>) -> Result<Value> {
    let mut first = None;
    call.each(&mut |item| {
        first.get_or_insert(item);
        Flow::More
    })?;
    Ok(first.map_or(Value::Null, |json| Value::Jsonb(Arc::new(json))))
}

fn exists(call: &Call<'_>) -> Result<Value> {
    let mut any = false;
    let ended = call.each(&mut |_| {
        any = true;
        match call.path.lax {
            true => Flow::Enough,
            false => Flow::More,
        }
    })?;
    Ok(ended.map_or(Value::Null, |()| any.into()))
}

fn matches(call: &Call<'_>) -> Result<Value> {
    let mut found = Vec::new();
    let ended = call.each(&mut |item| {
        found.push(item);
        Flow::More
    })?;
    match (ended, found.as_slice()) {
        (Some(()), [Json::Bool(b)]) => Ok((*b).into()),
        (Some(()), [Json::Null]) | (None, _) => Ok(Value::Null),
        _ if call.silent => Ok(Value::Null),
        _ => Err(Error::new(
            SqlState::SINGLETON_SQL_JSON_ITEM_REQUIRED,
            "single boolean result is expected",
        )),
    }
}
