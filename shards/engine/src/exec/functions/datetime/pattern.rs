//! to_char of dates and times, to_date, to_timestamp.
//!
//! Owns: the template language. `scan` cuts a template into tokens; `print` writes them, `read` reads them.
//! Source: PostgreSQL 15 manual, section 9.8; `formatting.c`.

mod print;
mod read;
mod scan;

use super::super::args;
use super::Function;
use crate::exec::Context;
use DataType::*;
use types::time::{is_finite, timestamp_to_date, zone};
use types::{DataType, Result, Value};

pub use print::ordinal_suffix;

pub static FUNCTIONS: &[Function] = &[
    Function::new("timestamp_to_char", &[Timestamp, Text], Text, |_, a| {
        let at = args::timestamp(a, 0)?;
        timestamp(at, None, args::text(a, 1)?)
    })
    .sql("to_char")
    .stable(),
    Function::new("timestamptz_to_char", &[Timestamptz, Text], Text, instant)
        .sql("to_char")
        .stable(),
    Function::new("interval_to_char", &[Interval, Text], Text, |_, a| {
        let fields = print::Moment::of_interval(&args::interval(a, 0)?);
        print::print(&scan::scan(args::text(a, 1)?), &fields).map(Value::from)
    })
    .sql("to_char")
    .stable(),
    Function::new("to_timestamp", &[Text, Text], Timestamptz, |c, a| {
        let local = read::read(args::text(a, 0)?, &scan::scan(args::text(a, 1)?))?;
        match local.offset {
            Some(seconds) => zone::shift(local.micros, -seconds),
            None => zone::to_utc(&c.session.forms.zone, local.micros),
        }
        .map(Value::Timestamptz)
    })
    .stable(),
    Function::new("to_date", &[Text, Text], Date, |_, a| {
        let local = read::read(args::text(a, 0)?, &scan::scan(args::text(a, 1)?))?;
        Ok(Value::Date(timestamp_to_date(local.micros)))
    })
    .stable(),
];

fn timestamp(at: i64, zone: Option<(i32, String)>, template: &str) -> Result<Value> {
    if template.is_empty() || !is_finite(at) {
        return Ok(Value::Null);
    }
    let moment = print::Moment::of_timestamp(at, zone);
    print::print(&scan::scan(template), &moment).map(Value::from)
}

/// A timestamptz and a template.
pub fn instant(ctx: &Context, a: &[Value]) -> Result<Value> {
    let at = args::timestamp(a, 0)?;
    let tz = &ctx.session.forms.zone;
    let offset = zone::offset_at(tz, at);
    let name = jiff::Timestamp::from_microsecond(at.saturating_add(types::time::UNIX_TO_PG_MICROS))
        .map(|t| tz.to_offset_info(t).abbreviation().to_owned())
        .unwrap_or_default();
    timestamp(
        zone::to_local(tz, at),
        Some((offset, name)),
        args::text(a, 1)?,
    )
}
