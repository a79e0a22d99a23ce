//! Conversions among dates, times, timestamps and intervals.
//!
//! Source: PostgreSQL 15 `date.c`, `timestamp.c`.

use super::cannot;
use crate::exec::Context;
use DataType::*;
use jiff::tz::TimeZone;
use types::time::{MICROS_PER_DAY, date_to_timestamp, is_finite, split, timestamp_to_date, zone};
use types::{DataType, Result, Value};

pub fn convert(v: Value, from: DataType, to: DataType, ctx: &Context) -> Result<Value> {
    let tz = &ctx.session.forms.zone;
    match (&v, to) {
        (Value::Date(_), Timestamp) => to_timestamp(&v).map(Value::Timestamp),
        (Value::Date(_) | Value::Timestamp(_), Timestamptz) => {
            to_timestamptz(&v, tz).map(Value::Timestamptz)
        }
        (Value::Timestamp(t), Date) => Ok(Value::Date(timestamp_to_date(*t))),
        (Value::Timestamp(t), Time) => Ok(time_of(*t)),
        (Value::Timestamptz(t), Timestamp) => Ok(Value::Timestamp(zone::to_local(tz, *t))),
        (Value::Timestamptz(t), Date) => Ok(Value::Date(timestamp_to_date(zone::to_local(tz, *t)))),
        (Value::Timestamptz(t), Time) => Ok(time_of(zone::to_local(tz, *t))),
        (Value::Time(t), Interval) => Ok(Value::Interval(types::Interval {
            micros: *t,
            ..types::Interval::default()
        })),
        // Only the time part counts, taken into one day.
        (Value::Interval(i), Time) => Ok(Value::Time(i.micros.rem_euclid(MICROS_PER_DAY))),
        _ => Err(cannot(from, to)),
    }
}

/// A date or timestamp as microseconds of local time.
pub fn to_timestamp(v: &Value) -> Result<i64> {
    match v {
        Value::Date(d) => date_to_timestamp(*d),
        Value::Timestamp(t) | Value::Timestamptz(t) => Ok(*t),
        _ => Err(cannot(crate::exec::functions::natural_type(v), Timestamp)),
    }
}

/// A date, local timestamp or instant as an instant.
pub fn to_timestamptz(v: &Value, tz: &TimeZone) -> Result<i64> {
    match v {
        Value::Timestamptz(t) => Ok(*t),
        _ => zone::to_utc(tz, to_timestamp(v)?),
    }
}

/// NULL for an infinity, which has no time of day.
fn time_of(micros: i64) -> Value {
    if is_finite(micros) {
        Value::Time(split(micros).1)
    } else {
        Value::Null
    }
}
