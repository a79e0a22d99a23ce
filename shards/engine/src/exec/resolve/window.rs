//! Window functions that are no aggregates: their signatures.
//!
//! Asked by: the binder and `pg_proc`. Never: evaluates one; `operators::window` does. Source: PostgreSQL 15 manual, 9.22.

use super::select::{self, Choice};
use super::{ambiguous, undefined};
use crate::exec::functions::{ANY_ELEMENT, Function};
use crate::plan::WindowFunc;
use DataType::*;
use types::{DataType, Error, Result};

const fn window(
    name: &'static str,
    sql: &'static str,
    args: &'static [DataType],
    ret: DataType,
) -> Function {
    Function::lax_named(name, sql, args, ret, |_, _| {
        Err(Error::internal("a window function called for one value"))
    })
}

static SIGNATURES: &[Function] = &[
    window("window_row_number", "row_number", &[], Int8),
    window("window_rank", "rank", &[], Int8),
    window("window_dense_rank", "dense_rank", &[], Int8),
    window("window_percent_rank", "percent_rank", &[], Float8),
    window("window_cume_dist", "cume_dist", &[], Float8),
    window("window_ntile", "ntile", &[Int4], Int4),
    window("window_lag", "lag", &[ANY_ELEMENT], ANY_ELEMENT),
    window(
        "window_lag_with_offset",
        "lag",
        &[ANY_ELEMENT, Int4],
        ANY_ELEMENT,
    ),
    window(
        "window_lag_with_offset_and_default",
        "lag",
        &[ANY_ELEMENT, Int4, ANY_ELEMENT],
        ANY_ELEMENT,
    ),
    window("window_lead", "lead", &[ANY_ELEMENT], ANY_ELEMENT),
    window(
        "window_lead_with_offset",
        "lead",
        &[ANY_ELEMENT, Int4],
        ANY_ELEMENT,
    ),
    window(
        "window_lead_with_offset_and_default",
        "lead",
        &[ANY_ELEMENT, Int4, ANY_ELEMENT],
        ANY_ELEMENT,
    ),
    window(
        "window_first_value",
        "first_value",
        &[ANY_ELEMENT],
        ANY_ELEMENT,
    ),
    window(
        "window_last_value",
        "last_value",
        &[ANY_ELEMENT],
        ANY_ELEMENT,
    ),
    window(
        "window_nth_value",
        "nth_value",
        &[ANY_ELEMENT, Int4],
        ANY_ELEMENT,
    ),
];

/// Every signature.
pub fn window_functions() -> impl Iterator<Item = &'static Function> {
    SIGNATURES.iter()
}

/// A chosen window function.
#[derive(Clone, Debug)]
pub struct ResolvedWindow {
    pub func: WindowFunc,
    /// Cast the arguments to these.
    pub arg_types: Vec<DataType>,
    pub ret: DataType,
}

/// The window function `name` over these arguments; 42883 when there is none.
pub fn window_function(name: &str, args: &[DataType]) -> Result<ResolvedWindow> {
    use std::sync::LazyLock;
    type ByName = hashbrown::HashMap<&'static str, Vec<&'static Function>>;
    static BY_NAME: LazyLock<ByName> = LazyLock::new(|| {
        let mut map = ByName::new();
        for f in SIGNATURES {
            map.entry(f.sql).or_default().push(f);
        }
        map
    });
    let overloads = BY_NAME.get(name).map_or(&[][..], Vec::as_slice);
    let func = WindowFunc::by_name(name).ok_or_else(|| undefined(name, args))?;
    match select::choose(overloads, args, false) {
        Choice::One(r) => Ok(ResolvedWindow {
            func,
            arg_types: r.arg_types,
            ret: r.ret,
        }),
        Choice::None => Err(undefined(name, args)),
        Choice::Many => Err(ambiguous(name, args)),
    }
}
