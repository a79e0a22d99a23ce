//! Conversions among dates, times, timestamps and intervals.

use super::cannot;
use crate::exec::Context;
use jiff::tz::TimeZone;
use types::{DataType, Result, Value};

pub fn convert(_: Value, from: DataType, to: DataType, _: &Context) -> Result<Value> {
    Err(cannot(from, to))
}

/// A date or timestamp as microseconds of local time.
pub fn to_timestamp(v: &Value) -> Result<i64> {
    match v {
        Value::Timestamp(t) | Value::Timestamptz(t) => Ok(*t),
        _ => Err(cannot(
            crate::exec::functions::natural_type(v),
            DataType::Timestamp,
        )),
    }
}

/// A date, local timestamp or instant as an instant.
pub fn to_timestamptz(v: &Value, _: &TimeZone) -> Result<i64> {
    match v {
        Value::Timestamptz(t) => Ok(*t),
        _ => Err(cannot(
            crate::exec::functions::natural_type(v),
            DataType::Timestamptz,
        )),
    }
}
