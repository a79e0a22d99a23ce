//! extract, date_part and date_trunc.
//!
//! Owns: field names and what each is of a timestamp, a date, a time and an interval.
//! Asked by: the functions `extract` (numeric) and `date_part` (the same as a double), `date_trunc`.
//! Source: PostgreSQL 15 `timestamp_part_common`, `timestamp_trunc`, `interval_part_common`, `extract_date`.

use super::{
    Civil, INFINITY, JULIAN_DAY_ZERO, MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE,
    MICROS_PER_SECOND, UNIX_TO_PG_MICROS, civil, day_number, is_finite, split, zone,
};
use crate::{DataType, Error, Interval, Numeric, Result, SqlState};
use jiff::tz::TimeZone;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Field {
    Microseconds,
    Milliseconds,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
    Decade,
    Century,
    Millennium,
    Julian,
    IsoYear,
    Dow,
    IsoDow,
    Doy,
    Epoch,
    Timezone,
    TimezoneHour,
    TimezoneMinute,
}

impl Field {
    /// By PostgreSQL's names and abbreviations, whatever the case.
    pub fn parse(name: &str) -> Option<Field> {
        Some(match name.to_ascii_lowercase().as_str() {
            "microseconds" | "microsecond" | "us" | "usec" | "usecs" | "useconds" => {
                Field::Microseconds
            }
            "milliseconds" | "millisecond" | "ms" | "msec" | "msecs" | "mseconds" => {
                Field::Milliseconds
            }
            "second" | "seconds" | "sec" | "secs" | "s" => Field::Second,
            "minute" | "minutes" | "min" | "mins" | "m" => Field::Minute,
            "hour" | "hours" | "hr" | "hrs" | "h" => Field::Hour,
            "day" | "days" | "d" => Field::Day,
            "week" | "weeks" | "w" => Field::Week,
            "month" | "months" | "mon" | "mons" => Field::Month,
            "quarter" | "qtr" => Field::Quarter,
            "year" | "years" | "y" | "yr" | "yrs" => Field::Year,
            "decade" | "decades" | "dec" | "decs" => Field::Decade,
            "century" | "centuries" | "cent" | "c" => Field::Century,
            "millennium" | "millennia" | "mil" | "mils" => Field::Millennium,
            "julian" | "jd" | "j" => Field::Julian,
            "isoyear" => Field::IsoYear,
            "dow" => Field::Dow,
            "isodow" => Field::IsoDow,
            "doy" => Field::Doy,
            "epoch" => Field::Epoch,
            "timezone" => Field::Timezone,
            "timezone_hour" | "timezone_h" => Field::TimezoneHour,
            "timezone_minute" | "timezone_m" => Field::TimezoneMinute,
            _ => return None,
        })
    }
}

fn not_recognized(name: &str, ty: DataType) -> Error {
    Error::new(
        SqlState::INVALID_PARAMETER_VALUE,
        format!(
            "unit \"{}\" not recognized for type {ty}",
            name.to_ascii_lowercase()
        ),
    )
}

fn not_supported(name: &str, ty: DataType) -> Error {
    Error::unsupported(format!(
        "unit \"{}\" not supported for type {ty}",
        name.to_ascii_lowercase()
    ))
}

fn number(mantissa: i128, scale: u32) -> Result<Numeric> {
    Numeric::from_parts(mantissa.into(), scale)
}

/// ISO 8601 week and its year.
pub fn iso_week(day: i64) -> (i64, i64) {
    let year = civil(day).year;
    let starts = |year: i64| {
        // The week with January 4 in it is the first.
        let fourth = day_number(year, 1, 4);
        fourth - (iso_dow(fourth) - 1)
    };
    let year = if day < starts(year) {
        year - 1
    } else if day >= starts(year + 1) {
        year + 1
    } else {
        year
    };
    ((day - starts(year)) / 7 + 1, year)
}

/// Monday 1 to Sunday 7. 2000-01-01 was a Saturday.
pub fn iso_dow(day: i64) -> i64 {
    (day + 5).rem_euclid(7) + 1
}

fn century(year: i64) -> i64 {
    if year > 0 {
        (year + 99) / 100
    } else {
        -((99 - (year - 1)) / 100)
    }
}

fn millennium(year: i64) -> i64 {
    if year > 0 {
        (year + 999) / 1_000
    } else {
        -((999 - (year - 1)) / 1_000)
    }
}

/// Fields of a calendar day; `None` for what a day has not.
fn of_day(field: Field, day: i64) -> Option<i64> {
    let c = civil(day);
    Some(match field {
        Field::Day => i64::from(c.day),
        Field::Week => iso_week(day).0,
        Field::Month => i64::from(c.month),
        Field::Quarter => i64::from(c.month - 1) / 3 + 1,
        Field::Year => shown_year(c.year),
        Field::Decade => c.year.div_euclid(10),
        Field::Century => century(c.year),
        Field::Millennium => millennium(c.year),
        Field::Julian => day + JULIAN_DAY_ZERO,
        Field::IsoYear => shown_year(iso_week(day).1),
        Field::Dow => iso_dow(day) % 7,
        Field::IsoDow => iso_dow(day),
        Field::Doy => day - day_number(c.year, 1, 1) + 1,
        _ => return None,
    })
}

/// There is no year 0: 1 BC is -1.
fn shown_year(year: i64) -> i64 {
    if year > 0 { year } else { year - 1 }
}

/// Fields of the time of day.
fn of_time(field: Field, micros: i64) -> Option<Result<Numeric>> {
    let in_minute = i128::from(micros % MICROS_PER_MINUTE);
    Some(match field {
        Field::Microseconds => number(in_minute, 0),
        Field::Milliseconds => number(in_minute, 3),
        Field::Second => number(in_minute, 6),
        Field::Minute => number(i128::from(micros / MICROS_PER_MINUTE % 60), 0),
        Field::Hour => number(i128::from(micros / MICROS_PER_HOUR), 0),
        _ => return None,
    })
}

/// Of an infinite moment: infinity for fields that grow with time, NULL (`None`) for the ones that go round.
fn of_infinity(field: Field, positive: bool) -> Option<Numeric> {
    match field {
        Field::Year
        | Field::Decade
        | Field::Century
        | Field::Millennium
        | Field::Julian
        | Field::IsoYear
        | Field::Epoch => Some(if positive {
            Numeric::Infinity
        } else {
            Numeric::NegInfinity
        }),
        _ => None,
    }
}

/// `extract(name from timestamp)`; `None` is NULL.
pub fn extract_timestamp(name: &str, micros: i64) -> Result<Option<Numeric>> {
    let ty = DataType::Timestamp;
    let field = Field::parse(name).ok_or_else(|| not_recognized(name, ty))?;
    if !is_finite(micros) {
        return Ok(of_infinity(field, micros == INFINITY));
    }
    match field {
        Field::Timezone | Field::TimezoneHour | Field::TimezoneMinute => {
            Err(not_supported(name, ty))
        }
        Field::Epoch => number(i128::from(micros) + i128::from(UNIX_TO_PG_MICROS), 6).map(Some),
        _ => local_field(field, micros).ok_or_else(|| not_supported(name, ty))?,
    }
}

/// `extract(name from timestamptz)` in a zone.
pub fn extract_timestamptz(name: &str, micros: i64, tz: &TimeZone) -> Result<Option<Numeric>> {
    let ty = DataType::Timestamptz;
    let field = Field::parse(name).ok_or_else(|| not_recognized(name, ty))?;
    if !is_finite(micros) {
        return Ok(of_infinity(field, micros == INFINITY));
    }
    let offset = i128::from(zone::offset_at(tz, micros));
    match field {
        Field::Timezone => number(offset, 0).map(Some),
        Field::TimezoneHour => number(offset / 3_600, 0).map(Some),
        Field::TimezoneMinute => number(offset / 60 % 60, 0).map(Some),
        Field::Epoch => number(i128::from(micros) + i128::from(UNIX_TO_PG_MICROS), 6).map(Some),
        _ => {
            local_field(field, zone::to_local(tz, micros)).ok_or_else(|| not_supported(name, ty))?
        }
    }
}

fn local_field(field: Field, micros: i64) -> Option<Result<Option<Numeric>>> {
    let (day, rest) = split(micros);
    if field == Field::Julian {
        return Some(julian(day, rest).map(Some));
    }
    if let Some(v) = of_day(field, day) {
        return Some(number(i128::from(v), 0).map(Some));
    }
    of_time(field, rest).map(|r| r.map(Some))
}

/// A Julian date with the part of the day that has passed.
fn julian(day: i64, rest: i64) -> Result<Numeric> {
    let whole = Numeric::from(day + JULIAN_DAY_ZERO);
    let part = Numeric::from(rest).div(&Numeric::from(MICROS_PER_DAY))?;
    whole.add(&part)
}

/// `extract(name from date)`.
pub fn extract_date(name: &str, days: i32) -> Result<Option<Numeric>> {
    let ty = DataType::Date;
    let field = Field::parse(name).ok_or_else(|| not_recognized(name, ty))?;
    if !super::is_finite_date(days) {
        let positive = days == super::DATE_INFINITY;
        return match field {
            Field::Microseconds
            | Field::Milliseconds
            | Field::Second
            | Field::Minute
            | Field::Hour
            | Field::Timezone
            | Field::TimezoneHour
            | Field::TimezoneMinute => Err(not_supported(name, ty)),
            _ => Ok(of_infinity(field, positive)),
        };
    }
    let day = i64::from(days);
    if field == Field::Epoch {
        return number(i128::from(day + super::UNIX_TO_PG_DAYS) * 86_400, 0).map(Some);
    }
    let v = of_day(field, day).ok_or_else(|| not_supported(name, ty))?;
    number(i128::from(v), 0).map(Some)
}

/// `extract(name from time)`.
pub fn extract_time(name: &str, micros: i64) -> Result<Numeric> {
    let ty = DataType::Time;
    let field = Field::parse(name).ok_or_else(|| not_recognized(name, ty))?;
    if field == Field::Epoch {
        return number(i128::from(micros), 6);
    }
    of_time(field, micros).ok_or_else(|| not_supported(name, ty))?
}

/// `extract(name from interval)`.
pub fn extract_interval(name: &str, v: &Interval) -> Result<Numeric> {
    let ty = DataType::Interval;
    let field = Field::parse(name).ok_or_else(|| not_recognized(name, ty))?;
    let (years, months) = (i128::from(v.months / 12), i128::from(v.months % 12));
    match field {
        Field::Day => number(i128::from(v.days), 0),
        Field::Month => number(months, 0),
        Field::Quarter => number(months / 3 + 1, 0),
        Field::Year => number(years, 0),
        Field::Decade => number(years / 10, 0),
        Field::Century => number(years / 100, 0),
        Field::Millennium => number(years / 1_000, 0),
        Field::Epoch => {
            // A year counts 365.25 days here, a month 30.
            let days = years * 36_525 + months * 3_000 + i128::from(v.days) * 100;
            number(days * 864_000_000 + i128::from(v.micros), 6)
        }
        _ => of_time(field, v.micros).ok_or_else(|| not_supported(name, ty))?,
    }
}

/// Units only, not the fields that merely describe a moment.
fn trunc_field(name: &str, ty: DataType) -> Result<Field> {
    let describes = |f: &Field| {
        matches!(
            f,
            Field::Julian | Field::IsoYear | Field::Dow | Field::IsoDow | Field::Doy | Field::Epoch
        )
    };
    Field::parse(name)
        .filter(|f| !describes(f))
        .ok_or_else(|| not_recognized(name, ty))
}

/// `date_trunc(name, timestamp)`.
pub fn trunc_timestamp(name: &str, micros: i64) -> Result<i64> {
    let ty = DataType::Timestamp;
    if !is_finite(micros) {
        return Ok(micros);
    }
    let field = trunc_field(name, ty)?;
    trunc(field, micros).ok_or_else(|| not_supported(name, ty))
}

/// `date_trunc(name, timestamptz)` in a zone.
pub fn trunc_timestamptz(name: &str, micros: i64, tz: &TimeZone) -> Result<i64> {
    let ty = DataType::Timestamptz;
    if !is_finite(micros) {
        return Ok(micros);
    }
    let field = trunc_field(name, ty)?;
    let local = zone::to_local(tz, micros);
    let cut = trunc(field, local).ok_or_else(|| not_supported(name, ty))?;
    let below_day = matches!(
        field,
        Field::Microseconds | Field::Milliseconds | Field::Second | Field::Minute | Field::Hour
    );
    if below_day {
        // The offset stays the one of the moment, also within a repeated hour.
        return Ok(micros - (local - cut));
    }
    zone::to_utc(tz, cut)
}

fn trunc(field: Field, micros: i64) -> Option<i64> {
    let (day, _) = split(micros);
    let c = civil(day);
    let first = |year: i64, month: u32| Some(day_number(year, month, 1) * MICROS_PER_DAY);
    match field {
        Field::Microseconds => Some(micros),
        Field::Milliseconds => Some(micros - micros.rem_euclid(1_000)),
        Field::Second => Some(micros - micros.rem_euclid(MICROS_PER_SECOND)),
        Field::Minute => Some(micros - micros.rem_euclid(MICROS_PER_MINUTE)),
        Field::Hour => Some(micros - micros.rem_euclid(MICROS_PER_HOUR)),
        Field::Day => Some(day * MICROS_PER_DAY),
        Field::Week => Some((day - (iso_dow(day) - 1)) * MICROS_PER_DAY),
        Field::Month => first(c.year, c.month),
        Field::Quarter => first(c.year, (c.month - 1) / 3 * 3 + 1),
        Field::Year => first(c.year, 1),
        Field::Decade => first(c.year.div_euclid(10) * 10, 1),
        Field::Century => first((c.year - 1).div_euclid(100) * 100 + 1, 1),
        Field::Millennium => first((c.year - 1).div_euclid(1_000) * 1_000 + 1, 1),
        _ => None,
    }
}

/// `date_trunc(name, interval)`.
pub fn trunc_interval(name: &str, v: &Interval) -> Result<Interval> {
    let ty = DataType::Interval;
    let field = trunc_field(name, ty)?;
    let months = |each: i32| Interval {
        months: v.months / each * each,
        ..Interval::default()
    };
    let micros = |each: i64| Interval {
        micros: v.micros / each * each,
        ..*v
    };
    Ok(match field {
        Field::Microseconds => *v,
        Field::Milliseconds => micros(1_000),
        Field::Second => micros(MICROS_PER_SECOND),
        Field::Minute => micros(MICROS_PER_MINUTE),
        Field::Hour => micros(MICROS_PER_HOUR),
        Field::Day => Interval { micros: 0, ..*v },
        Field::Month => months(1),
        Field::Quarter => months(3),
        Field::Year => months(12),
        Field::Decade => months(120),
        Field::Century => months(1_200),
        Field::Millennium => months(12_000),
        Field::Week => {
            return Err(
                not_supported(name, ty).with_detail("Months usually have fractional weeks.")
            );
        }
        _ => return Err(not_supported(name, ty)),
    })
}

/// Year, month and day as `make_date` takes them (a negative year is BC); 22008 when there is no such day.
pub fn make_date(year: i32, month: i32, day: i32) -> Result<i32> {
    let out = || {
        Error::new(
            SqlState::DATETIME_FIELD_OVERFLOW,
            format!("date field value out of range: {year}-{month:02}-{day:02}"),
        )
    };
    let astronomical = match year {
        0 => return Err(out()),
        y if y < 0 => i64::from(y) + 1,
        y => i64::from(y),
    };
    let month = u32::try_from(month)
        .ok()
        .filter(|m| (1..=12).contains(m))
        .ok_or_else(out)?;
    let last = super::days_in_month(astronomical, month) as i32;
    if !(1..=last).contains(&day) {
        return Err(out());
    }
    super::check_date(day_number(astronomical, month, i64::from(day))).map_err(|_| {
        Error::new(
            SqlState::DATETIME_FIELD_OVERFLOW,
            format!("date out of range: {year}-{month:02}-{day:02}"),
        )
    })
}

/// The calendar day of a date.
pub fn civil_of(days: i32) -> Civil {
    civil(i64::from(days))
}
