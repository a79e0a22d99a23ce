//! Rows as values: making them, their fields, comparing them, and what json makes of them.
//!
//! Owns: the functions without a name in SQL by which the binder makes a row (`ROW`, and `ROW_OR_NULL` for one that an outer
//! join may have made up) and reads one (`FIELD`). Their first argument says what the row looks like: a record of NULLs.
//! Never: knows names of a named type's fields; `SHOWN` asks the catalog before json is made.
//! Source: PostgreSQL 15 manual, 8.16 and 9.24.5; `rowtypes.c`, `execExprInterp.c` (`ExecEvalRowNullInt`), `json.c`.

use super::args;
use super::{ANY_ELEMENT, Function, row_text_of};
use crate::exec::Context;
use crate::plan::Expr;
use DataType::*;
use std::cmp::Ordering;
use std::sync::Arc;
use types::order::compare_as;
use types::{DataType, Error, Result, SqlState, Value};

/// A row of the values behind its template.
pub const ROW: &str = "row_of";
/// A row, or NULL where its second argument is true.
pub const ROW_OR_NULL: &str = "row_or_null";
/// A field by its number from 0; NULL where the row is.
pub const FIELD: &str = "record_field";
/// With the names of fields and labels that the catalog has.
pub const SHOWN: &str = "record_shown";
pub const IS_NULL: &str = "record_is_null";
pub const IS_NOT_NULL: &str = "record_is_not_null";

pub static FUNCTIONS: &[Function] = &[
    Function::new(ROW, &[Record, ANY_ELEMENT], Record, |_, a| match a {
        [template, values @ ..] => row(template, values),
        [] => Err(misused()),
    })
    .sql("")
    .variadic()
    .lax(),
    Function::new(
        ROW_OR_NULL,
        &[Record, Bool, ANY_ELEMENT],
        Record,
        |_, a| match a {
            [_, Value::Bool(true), ..] => Ok(Value::Null),
            [template, _, values @ ..] => row(template, values),
            _ => Err(misused()),
        },
    )
    .sql("")
    .variadic()
    .lax(),
    Function::new(FIELD, &[Record, Int4], ANY_ELEMENT, |_, a| {
        let at = usize::try_from(args::int4(a, 1)?).unwrap_or(usize::MAX);
        let values = args::record(a, 0)?.values();
        Ok(values.get(at).cloned().unwrap_or(Value::Null))
    })
    .sql(""),
    Function::new(SHOWN, &[ANY_ELEMENT], ANY_ELEMENT, |ctx, a| {
        let (Some(v), []) = (a.first(), a.get(1..).unwrap_or(&[])) else {
            return Err(misused());
        };
        ctx.catalog.named_record(v)
    })
    .sql("")
    .stable(),
    Function::new(IS_NULL, &[Record], Bool, |_, a| {
        null_test(a, Value::is_null).map(Value::Bool)
    })
    .sql("")
    .lax(),
    Function::new(IS_NOT_NULL, &[Record], Bool, |_, a| {
        let present = a.first().is_some_and(|v| !v.is_null());
        Ok(Value::Bool(present && null_test(a, |v| !v.is_null())?))
    })
    .sql("")
    .lax(),
    Function::new("record_eq", &[Record, Record], Bool, |_, a| {
        equal(a).map(Value::Bool)
    })
    .op("="),
    Function::new("record_ne", &[Record, Record], Bool, |_, a| {
        equal(a).map(|e| Value::Bool(!e))
    })
    .op("<>"),
    Function::new("record_lt", &[Record, Record], Bool, |_, a| {
        order(a).map(|o| Value::Bool(o.is_lt()))
    })
    .op("<"),
    Function::new("record_le", &[Record, Record], Bool, |_, a| {
        order(a).map(|o| Value::Bool(o.is_le()))
    })
    .op("<="),
    Function::new("record_gt", &[Record, Record], Bool, |_, a| {
        order(a).map(|o| Value::Bool(o.is_gt()))
    })
    .op(">"),
    Function::new("record_ge", &[Record, Record], Bool, |_, a| {
        order(a).map(|o| Value::Bool(o.is_ge()))
    })
    .op(">="),
    Function::new("btrecordcmp", &[Record, Record], Int4, |_, a| {
        order(a).map(|o| Value::Int4(o as i32))
    }),
    Function::new("row_to_json", &[Record], Json, |ctx, a| to_json(ctx, a, "")).stable(),
    Function::new("row_to_json_pretty", &[Record, Bool], Json, |ctx, a| {
        let apart = if args::boolean(a, 1)? { "\n " } else { "" };
        to_json(ctx, a, apart)
    })
    .sql("row_to_json")
    .stable(),
];

/// The values of a row that a statement makes, by its expression.
pub fn made_of(e: &Expr) -> Option<(&types::Record, &[Expr])> {
    let Expr::Call { func, args, .. } = e else {
        return None;
    };
    let (template, values) = match (func.0.name, args.as_slice()) {
        (ROW, [template, values @ ..]) => (template, values),
        (ROW_OR_NULL, [template, _, values @ ..]) => (template, values),
        _ => return None,
    };
    match template {
        Expr::Const(Value::Record(r), _) => Some((r, values)),
        _ => None,
    }
}

fn row(template: &Value, values: &[Value]) -> Result<Value> {
    let Value::Record(template) = template else {
        return Err(misused());
    };
    let record = template.with(values.to_vec())?;
    Ok(Value::Record(Arc::new(record)))
}

/// Of a row whether all its fields are so; NULL is NULL.
fn null_test(a: &[Value], is: fn(&Value) -> bool) -> Result<bool> {
    match a {
        [Value::Null] => Ok(true),
        [Value::Record(r)] => Ok(r.values().iter().all(is)),
        _ => Err(misused()),
    }
}

fn equal(a: &[Value]) -> Result<bool> {
    compared(a, "could not identify an equality operator for type").map(Ordering::is_eq)
}

fn order(a: &[Value]) -> Result<Ordering> {
    compared(a, "could not identify a comparison function for type")
}

/// NULLs are equal here, and above everything.
fn compared(a: &[Value], unordered: &str) -> Result<Ordering> {
    let (left, right) = (args::record(a, 0)?, args::record(a, 1)?);
    for (n, ((f, l), (g, r))) in left.pairs().zip(right.pairs()).enumerate() {
        if f.ty != g.ty {
            return Err(Error::new(
                SqlState::DATATYPE_MISMATCH,
                format!(
                    "cannot compare dissimilar column types {} and {} at record column {}",
                    f.ty,
                    g.ty,
                    n + 1
                ),
            ));
        }
        if !f.ty.is_ordered() {
            let message = format!("{unordered} {}", f.ty);
            return Err(Error::new(SqlState::UNDEFINED_FUNCTION, message));
        }
        let found = compare_as(f.ty, l, r);
        if found.is_ne() {
            return Ok(found);
        }
    }
    if left.values().len() != right.values().len() {
        return Err(Error::new(
            SqlState::DATATYPE_MISMATCH,
            "cannot compare record types with different numbers of columns",
        ));
    }
    Ok(Ordering::Equal)
}

fn to_json(ctx: &Context, a: &[Value], apart: &str) -> Result<Value> {
    let mut out = String::new();
    row_text_of(args::record(a, 0)?, apart, &ctx.session.forms, &mut out);
    args::check_size(out.len())?;
    Ok(Value::Json(out.into()))
}

#[cold]
fn misused() -> Error {
    Error::internal("a function of rows without its row")
}
