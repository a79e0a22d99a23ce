//! Text to date, time and timestamp.
//!
//! Owns: the meaning of the tokens `scan` finds, numbers of a date in DateStyle's order. Asked by: `text::parse`.
//! Accepts what PostgreSQL accepts: ISO, `20240131`, `Jan 31 2024`, `31-Jan-2024`, `1/31/2024`, `J2451187`, `2024.031`,
//! AM/PM, BC, day names (ignored), zones by offset, name or abbreviation, `now`, `today`, `epoch`, `infinity`, `allballs`.
//! Source: PostgreSQL 15 `DecodeDateTime`, `DecodeDate`, `DecodeNumber`, `DecodeTime`.

mod decode;
mod scan;

use super::{
    DATE_INFINITY, DATE_NEG_INFINITY, INFINITY, JULIAN_DAY_ZERO, MICROS_PER_DAY, MICROS_PER_SECOND,
    NEG_INFINITY, UNIX_TO_PG_DAYS, UNIX_TO_PG_MICROS, check_date, check_timestamp, split, zone,
};
use crate::text::Forms;
use crate::{Error, Result, SqlState};
use jiff::tz::TimeZone;

pub(super) use scan::{Kind, scan};

/// What a literal is read against: the session's forms and the transaction's "now".
#[derive(Clone, Copy)]
pub struct ParseEnv<'a> {
    pub forms: &'a Forms,
    /// Microseconds since 2000-01-01 UTC.
    pub now_micros: i64,
}

/// Why a literal is refused; the caller words it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Format,
    Field,
    /// A month or day that another DateStyle might have accepted.
    MonthDay,
    Displacement,
    Zone(String),
}

impl Refusal {
    pub fn error(self, text: &str, type_name: &str) -> Error {
        match self {
            Refusal::Format => Error::new(
                SqlState::INVALID_DATETIME_FORMAT,
                format!("invalid input syntax for type {type_name}: \"{text}\""),
            ),
            Refusal::Field => Error::new(
                SqlState::DATETIME_FIELD_OVERFLOW,
                format!("date/time field value out of range: \"{text}\""),
            ),
            Refusal::MonthDay => Refusal::Field
                .error(text, type_name)
                .with_hint("Perhaps you need a different \"datestyle\" setting."),
            Refusal::Displacement => Error::new(
                SqlState::INVALID_TIME_ZONE_DISPLACEMENT,
                format!("time zone displacement out of range: \"{text}\""),
            ),
            Refusal::Zone(name) => Error::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("time zone \"{name}\" not recognized"),
            ),
        }
    }
}

/// A zone written in the literal.
#[derive(Clone, Debug)]
pub(super) enum Zone {
    Seconds(i32),
    Named(TimeZone),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Special {
    Infinity,
    NegInfinity,
    Epoch,
    Now,
    Today,
    Tomorrow,
    Yesterday,
}

/// What a literal says.
#[derive(Clone, Debug, Default)]
pub(super) struct Parsed {
    pub special: Option<Special>,
    /// Days since 2000-01-01.
    pub date: Option<i64>,
    /// Microseconds of the day.
    pub time: Option<i64>,
    pub zone: Option<Zone>,
}

pub fn date(text: &str, env: &ParseEnv<'_>) -> Result<i32> {
    let parsed = decode::decode(text, env.forms.order).map_err(|r| r.error(text, "date"))?;
    let days = match parsed.special {
        Some(Special::Infinity) => return Ok(DATE_INFINITY),
        Some(Special::NegInfinity) => return Ok(DATE_NEG_INFINITY),
        Some(Special::Epoch) => -UNIX_TO_PG_DAYS,
        Some(special) => split(local_special(special, env)).0,
        None => parsed
            .date
            .ok_or_else(|| Refusal::Format.error(text, "date"))?,
    };
    check_date(days).map_err(|_| {
        Error::new(
            SqlState::DATETIME_FIELD_OVERFLOW,
            format!("date out of range: \"{text}\""),
        )
    })
}

pub fn time(text: &str, env: &ParseEnv<'_>) -> Result<i64> {
    let parsed =
        decode::decode_time_only(text, env.forms.order).map_err(|r| r.error(text, "time"))?;
    match (parsed.special, parsed.time) {
        (Some(Special::Now), _) => Ok(split(zone::to_local(&env.forms.zone, env.now_micros)).1),
        (None, Some(time)) => Ok(time),
        _ => Err(Refusal::Format.error(text, "time")),
    }
}

pub fn timestamp(text: &str, env: &ParseEnv<'_>) -> Result<i64> {
    let parsed = decode::decode(text, env.forms.order).map_err(|r| r.error(text, "timestamp"))?;
    let micros = match parsed.special {
        Some(Special::Infinity) => return Ok(INFINITY),
        Some(Special::NegInfinity) => return Ok(NEG_INFINITY),
        Some(Special::Epoch) => return Ok(-UNIX_TO_PG_MICROS),
        Some(Special::Now) => return Ok(zone::to_local(&env.forms.zone, env.now_micros)),
        _ => local_micros(&parsed, env).ok_or_else(|| Refusal::Format.error(text, "timestamp"))?,
    };
    check_timestamp(micros).map_err(|_| out_of_range(text))
}

pub fn timestamptz(text: &str, env: &ParseEnv<'_>) -> Result<i64> {
    const NAME: &str = "timestamp with time zone";
    let parsed = decode::decode(text, env.forms.order).map_err(|r| r.error(text, NAME))?;
    match parsed.special {
        Some(Special::Infinity) => return Ok(INFINITY),
        Some(Special::NegInfinity) => return Ok(NEG_INFINITY),
        Some(Special::Epoch) => return Ok(-UNIX_TO_PG_MICROS),
        Some(Special::Now) => return Ok(env.now_micros),
        _ => {}
    }
    let local = local_micros(&parsed, env).ok_or_else(|| Refusal::Format.error(text, NAME))?;
    let clamped = i64::try_from(local).map_err(|_| out_of_range(text))?;
    let seconds = match &parsed.zone {
        Some(Zone::Seconds(s)) => *s,
        Some(Zone::Named(tz)) => zone::local_offset(tz, clamped),
        None => zone::local_offset(&env.forms.zone, clamped),
    };
    check_timestamp(local - i128::from(seconds) * i128::from(MICROS_PER_SECOND))
        .map_err(|_| out_of_range(text))
}

fn out_of_range(text: &str) -> Error {
    Error::new(
        SqlState::DATETIME_FIELD_OVERFLOW,
        format!("timestamp out of range: \"{text}\""),
    )
}

/// Midnight of today, tomorrow or yesterday (or now itself) in the session's zone.
fn local_special(special: Special, env: &ParseEnv<'_>) -> i64 {
    let now = zone::to_local(&env.forms.zone, env.now_micros);
    let midnight = split(now).0 * MICROS_PER_DAY;
    match special {
        Special::Today => midnight,
        Special::Tomorrow => midnight + MICROS_PER_DAY,
        Special::Yesterday => midnight - MICROS_PER_DAY,
        _ => now,
    }
}

fn local_micros(parsed: &Parsed, env: &ParseEnv<'_>) -> Option<i128> {
    let days = match parsed.special {
        Some(special) => split(local_special(special, env)).0,
        None => parsed.date?,
    };
    let time = parsed.time.unwrap_or(0);
    Some(i128::from(days) * i128::from(MICROS_PER_DAY) + i128::from(time))
}

/// Days since 2000-01-01 of a Julian day number.
fn from_julian(day: i64) -> i64 {
    day - JULIAN_DAY_ZERO
}
