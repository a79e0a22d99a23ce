//! Dates, times, timestamps and intervals: parsing, printing and calendar arithmetic.
//!
//! Owns: PostgreSQL's proleptic Gregorian calendar (days and microseconds since 2000-01-01), its ranges, and the step
//! between UTC and local time. `parse` and `interval` read text, `format` writes it, `fields` has extract, date_trunc and
//! age, `arith` sums and differences.
//! Asked by: text and binary forms, the engine's functions. Never: reads a clock; "now" is given.
//! Bounds: dates 4713-11-24 BC to 5874897-12-31, timestamps to 294276-12-31; outside is 22008.
//! Source: PostgreSQL 15 `datetime.c`, `timestamp.c`, `date.c`; day arithmetic after H. Hinnant, "chrono-Compatible
//! Low-Level Date Algorithms".

pub mod arith;
pub mod fields;
pub mod format;
pub mod interval;
pub mod parse;
pub mod range;
mod styles;
pub mod zone;

#[cfg(test)]
mod tests;

use crate::{Error, Result, SqlState};

pub const MICROS_PER_SECOND: i64 = 1_000_000;
pub const MICROS_PER_MINUTE: i64 = 60 * MICROS_PER_SECOND;
pub const MICROS_PER_HOUR: i64 = 60 * MICROS_PER_MINUTE;
pub const MICROS_PER_DAY: i64 = 24 * MICROS_PER_HOUR;
/// From 1970-01-01 to 2000-01-01.
pub const UNIX_TO_PG_DAYS: i64 = 10_957;
pub const UNIX_TO_PG_MICROS: i64 = UNIX_TO_PG_DAYS * MICROS_PER_DAY;
/// Julian day of 2000-01-01.
pub const JULIAN_DAY_ZERO: i64 = 2_451_545;

pub const DATE_MIN: i32 = -2_451_545;
/// One past the last date.
pub const DATE_END: i32 = 2_145_031_949;
pub const DATE_INFINITY: i32 = i32::MAX;
pub const DATE_NEG_INFINITY: i32 = i32::MIN;
pub const TIMESTAMP_MIN: i64 = -211_813_488_000_000_000;
/// One past the last timestamp.
pub const TIMESTAMP_END: i64 = 9_223_371_331_200_000_000;
pub const INFINITY: i64 = i64::MAX;
pub const NEG_INFINITY: i64 = i64::MIN;

/// A calendar day; year 0 is 1 BC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Civil {
    pub year: i64,
    pub month: u32,
    pub day: u32,
}

/// The day that is `days` after 2000-01-01.
pub fn civil(days: i64) -> Civil {
    let z = days + UNIX_TO_PG_DAYS + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    Civil {
        year: yoe + era * 400 + i64::from(month <= 2),
        month: month as u32,
        day: (doy - (153 * mp + 2) / 5 + 1) as u32,
    }
}

/// Days from 2000-01-01 to this day. The month is 1..=12; the day may lie outside the month and is then carried.
pub fn day_number(year: i64, month: u32, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let mp = (i64::from(month) + 9) % 12;
    let doy = (153 * mp + 2) / 5 + day - 1;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    era * 146_097 + doe - 719_468 - UNIX_TO_PG_DAYS
}

pub fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// `month` is 1..=12.
pub fn days_in_month(year: i64, month: u32) -> u32 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Whole days and the microseconds of the day, which are never negative.
pub fn split(micros: i64) -> (i64, i64) {
    (
        micros.div_euclid(MICROS_PER_DAY),
        micros.rem_euclid(MICROS_PER_DAY),
    )
}

pub fn is_finite(micros: i64) -> bool {
    micros != INFINITY && micros != NEG_INFINITY
}

pub fn is_finite_date(days: i32) -> bool {
    days != DATE_INFINITY && days != DATE_NEG_INFINITY
}

pub fn date_out_of_range() -> Error {
    Error::new(SqlState::DATETIME_FIELD_OVERFLOW, "date out of range")
}

pub fn timestamp_out_of_range() -> Error {
    Error::new(SqlState::DATETIME_FIELD_OVERFLOW, "timestamp out of range")
}

pub fn interval_out_of_range() -> Error {
    Error::new(SqlState::DATETIME_FIELD_OVERFLOW, "interval out of range")
}

/// A finite date within range.
pub fn check_date(days: i64) -> Result<i32> {
    i32::try_from(days)
        .ok()
        .filter(|d| (DATE_MIN..DATE_END).contains(d))
        .ok_or_else(date_out_of_range)
}

/// A finite timestamp within range.
pub fn check_timestamp(micros: i128) -> Result<i64> {
    i64::try_from(micros)
        .ok()
        .filter(|t| (TIMESTAMP_MIN..TIMESTAMP_END).contains(t))
        .ok_or_else(timestamp_out_of_range)
}

/// Midnight of a date, infinities kept; 22008 `date out of range for timestamp`.
pub fn date_to_timestamp(days: i32) -> Result<i64> {
    match days {
        DATE_INFINITY => Ok(INFINITY),
        DATE_NEG_INFINITY => Ok(NEG_INFINITY),
        days => check_timestamp(i128::from(days) * i128::from(MICROS_PER_DAY)).map_err(|_| {
            Error::new(
                SqlState::DATETIME_FIELD_OVERFLOW,
                "date out of range for timestamp",
            )
        }),
    }
}

/// The date of a timestamp, infinities kept.
pub fn timestamp_to_date(micros: i64) -> i32 {
    match micros {
        INFINITY => DATE_INFINITY,
        NEG_INFINITY => DATE_NEG_INFINITY,
        micros => split(micros).0 as i32,
    }
}
