//! Text to interval: PostgreSQL's verbose form, SQL's `1-2 3 4:05:06`, and ISO 8601 durations.
//!
//! Owns: how fractions of a unit spill into the next lower one. Asked by: `text::parse`, casts.
//! Bounds: months and days in 32 bits, microseconds in 64; beyond is 22015.
//! Source: PostgreSQL 15 `DecodeInterval`, `DecodeISO8601Interval`.

use super::parse::{Kind, scan};
use super::range::Range;
use super::{
    MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND, interval_out_of_range,
};
use crate::text::forms::IntervalStyle;
use crate::{Error, Interval, Result, SqlState};

/// Longest literal looked at (PostgreSQL's MAXDATELEN and then some).
const TEXT_BYTES_MAX: usize = 256;

enum Refusal {
    Format,
    Field,
    /// Each field fits, their sum does not.
    Range,
}

type Step<T = ()> = std::result::Result<T, Refusal>;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unit {
    Microsecond,
    Millisecond,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
    Decade,
    Century,
    Millennium,
}

fn unit(word: &str) -> Option<Unit> {
    Some(match word {
        "us" | "usec" | "usecs" | "usecond" | "useconds" | "microsecon" | "microsecond"
        | "microseconds" => Unit::Microsecond,
        "ms" | "msec" | "msecs" | "msecond" | "mseconds" | "millisecon" | "millisecond"
        | "milliseconds" => Unit::Millisecond,
        "s" | "sec" | "secs" | "second" | "seconds" => Unit::Second,
        "m" | "min" | "mins" | "minute" | "minutes" => Unit::Minute,
        "h" | "hr" | "hrs" | "hour" | "hours" => Unit::Hour,
        "d" | "day" | "days" => Unit::Day,
        "w" | "week" | "weeks" => Unit::Week,
        "mon" | "mons" | "month" | "months" => Unit::Month,
        "y" | "yr" | "yrs" | "year" | "years" => Unit::Year,
        "dec" | "decs" | "decade" | "decades" => Unit::Decade,
        "c" | "cent" | "century" | "centuries" => Unit::Century,
        "mil" | "mils" | "millennia" | "millennium" => Unit::Millennium,
        _ => return None,
    })
}

/// 22007 for what is not an interval, 22015 for a field out of range. The range says what a bare number counts.
pub fn parse(text: &str, range: Range, style: IntervalStyle) -> Result<Interval> {
    let refused = |r| match r {
        Refusal::Format => Error::new(
            SqlState::INVALID_DATETIME_FORMAT,
            format!("invalid input syntax for type interval: \"{text}\""),
        ),
        Refusal::Field => Error::new(
            SqlState::INTERVAL_FIELD_OVERFLOW,
            format!("interval field value out of range: \"{text}\""),
        ),
        Refusal::Range => interval_out_of_range(),
    };
    if text.len() > TEXT_BYTES_MAX {
        return Err(refused(Refusal::Format));
    }
    let trimmed = text.trim();
    let parsed = if trimmed.starts_with('P') {
        iso(trimmed)
    } else {
        verbose(text, range)
    };
    let mut sum = parsed.map_err(refused)?;
    if style == IntervalStyle::SqlStandard && negates_all(trimmed) {
        sum.make_negative();
    }
    sum.finish().map_err(refused)
}

/// Fields before they are checked to fit.
#[derive(Default)]
struct Sum {
    years: i64,
    months: i64,
    days: i64,
    micros: i128,
}

impl Sum {
    fn finish(self) -> Step<Interval> {
        let years = i32::try_from(self.years).map_err(|_| Refusal::Field)?;
        let months = i32::try_from(self.months).map_err(|_| Refusal::Field)?;
        let months = i64::from(years) * 12 + i64::from(months);
        Ok(Interval {
            months: i32::try_from(months).map_err(|_| Refusal::Range)?,
            days: i32::try_from(self.days).map_err(|_| Refusal::Field)?,
            micros: i64::try_from(self.micros).map_err(|_| Refusal::Field)?,
        })
    }

    /// `whole` units and a fraction of one (of the same sign).
    fn add(&mut self, unit: Unit, whole: i64, fraction: f64) -> Step {
        match unit {
            Unit::Microsecond => self.add_micros(whole, 1, fraction),
            Unit::Millisecond => self.add_micros(whole, 1_000, fraction),
            Unit::Second => self.add_micros(whole, MICROS_PER_SECOND, fraction),
            Unit::Minute => self.add_micros(whole, MICROS_PER_MINUTE, fraction),
            Unit::Hour => self.add_micros(whole, MICROS_PER_HOUR, fraction),
            Unit::Day => {
                self.add_days(whole)?;
                self.add_fraction_days(fraction);
            }
            Unit::Week => {
                self.add_days(whole.checked_mul(7).ok_or(Refusal::Field)?)?;
                self.add_fraction_days(fraction * 7.0);
            }
            Unit::Month => {
                self.add_months(whole)?;
                self.add_fraction_days(fraction * 30.0);
            }
            Unit::Year => self.add_years(whole, fraction, 1)?,
            Unit::Decade => self.add_years(whole, fraction, 10)?,
            Unit::Century => self.add_years(whole, fraction, 100)?,
            Unit::Millennium => self.add_years(whole, fraction, 1_000)?,
        }
        Ok(())
    }

    fn add_micros(&mut self, whole: i64, scale: i64, fraction: f64) {
        self.micros += i128::from(whole) * i128::from(scale);
        self.add_fraction_micros(fraction * scale as f64);
    }

    fn add_fraction_micros(&mut self, micros: f64) {
        let whole = micros.trunc();
        let rest = micros - whole;
        self.micros += whole as i128;
        if rest > 0.5 {
            self.micros += 1;
        } else if rest < -0.5 {
            self.micros -= 1;
        }
    }

    fn add_fraction_days(&mut self, days: f64) {
        let whole = days.trunc();
        self.days += whole as i64;
        self.add_fraction_micros((days - whole) * MICROS_PER_DAY as f64);
    }

    fn add_days(&mut self, days: i64) -> Step {
        self.days = self.days.checked_add(days).ok_or(Refusal::Field)?;
        Ok(())
    }

    fn add_months(&mut self, months: i64) -> Step {
        self.months = self.months.checked_add(months).ok_or(Refusal::Field)?;
        Ok(())
    }

    fn add_years(&mut self, whole: i64, fraction: f64, scale: i64) -> Step {
        let years = whole.checked_mul(scale).ok_or(Refusal::Field)?;
        self.years = self.years.checked_add(years).ok_or(Refusal::Field)?;
        self.add_months((fraction * scale as f64 * 12.0).round_ties_even() as i64)
    }

    fn make_negative(&mut self) {
        self.years = -self.years.abs();
        self.months = -self.months.abs();
        self.days = -self.days.abs();
        self.micros = -self.micros.abs();
    }

    fn negate(&mut self) {
        self.years = -self.years;
        self.months = -self.months;
        self.days = -self.days;
        self.micros = -self.micros;
    }
}

/// The SQL standard's one sign for all fields: a minus in front, and no sign behind it.
fn negates_all(text: &str) -> bool {
    let signed = |field: &str| field.starts_with(['-', '+']);
    let mut fields = text.split_ascii_whitespace();
    fields.next().is_some_and(|first| first.starts_with('-')) && !fields.any(signed)
}

/// A signed decimal as its whole part and the fraction, both with its sign.
fn decimal(text: &str) -> Step<(i64, f64)> {
    let (negative, body) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let (whole, fraction) = body.split_once('.').unwrap_or((body, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !digits(whole) || !digits(fraction) {
        return Err(Refusal::Format);
    }
    let whole: i64 = match whole {
        "" => 0,
        w => w.parse().map_err(|_| Refusal::Field)?,
    };
    let fraction: f64 = match fraction {
        "" => 0.0,
        f => format!("0.{f}").parse().map_err(|_| Refusal::Format)?,
    };
    Ok(if negative {
        (-whole, -fraction)
    } else {
        (whole, fraction)
    })
}

/// Read from the end, so that a unit is known before its number.
fn verbose(text: &str, range: Range) -> Step<Sum> {
    let mut tokens = scan(text).ok_or(Refusal::Format)?;
    // An `@` in front is noise and was dropped by the scanner.
    let ago = tokens.last().is_some_and(|(_, t)| t == "ago");
    if ago {
        tokens.pop();
    }
    let mut sum = Sum::default();
    let mut pending: Option<Unit> = None;
    // What a number before the last one counts, where it does not say it: of hours the days, else it is a mistake.
    let mut before: Option<Unit> = None;
    let mut seen: Vec<Unit> = Vec::new();
    let mut used = false;
    for (kind, token) in tokens.iter().rev() {
        match kind {
            Kind::Time => clock(token, 1, range, &mut sum, &mut pending, &mut seen)?,
            Kind::Offset if token.contains(':') => {
                let sign = if token.starts_with('-') { -1 } else { 1 };
                clock(&token[1..], sign, range, &mut sum, &mut pending, &mut seen)?;
            }
            Kind::Date | Kind::Number | Kind::Offset => {
                let unit = pending.take().or(before).unwrap_or(range.last_unit());
                amount(token, unit, &mut sum, &mut seen)?;
                before = Some(match unit {
                    _ if dash(token).is_some() => Unit::Month,
                    Unit::Hour => Unit::Day,
                    same => same,
                });
            }
            Kind::Word => match unit(token) {
                Some(u) => {
                    pending = Some(u);
                    continue;
                }
                None => return Err(Refusal::Format),
            },
            Kind::SignedWord => return Err(Refusal::Format),
        }
        used = true;
    }
    if !used {
        return Err(Refusal::Format);
    }
    if ago {
        sum.negate();
    }
    Ok(sum)
}

/// Each unit once.
fn mark(seen: &mut Vec<Unit>, unit: Unit) -> Step {
    if seen.contains(&unit) {
        return Err(Refusal::Format);
    }
    seen.push(unit);
    Ok(())
}

/// Where the dash of SQL's year-month is.
fn dash(token: &str) -> Option<usize> {
    token.get(1..)?.find('-').map(|i| i + 1)
}

fn amount(token: &str, unit: Unit, sum: &mut Sum, seen: &mut Vec<Unit>) -> Step {
    if let Some(at) = dash(token) {
        // SQL's year-month.
        let (years, months) = (&token[..at], &token[at + 1..]);
        let (years, _) = decimal(years)?;
        let (months, fraction) = decimal(months)?;
        if !(0..12).contains(&months) {
            return Err(Refusal::Field);
        }
        mark(seen, Unit::Year)?;
        mark(seen, Unit::Month)?;
        let sign = if token.starts_with('-') { -1 } else { 1 };
        sum.add_years(years, 0.0, 1)?;
        return sum.add(Unit::Month, sign * months, sign as f64 * fraction);
    }
    let (whole, fraction) = decimal(token)?;
    mark(seen, unit)?;
    sum.add(unit, whole, fraction)
}

/// `h:m[:s[.f]]`, `m:s.f`; what stands before it is days.
fn clock(
    token: &str,
    sign: i64,
    range: Range,
    sum: &mut Sum,
    pending: &mut Option<Unit>,
    seen: &mut Vec<Unit>,
) -> Step {
    for unit in [Unit::Hour, Unit::Minute, Unit::Second] {
        mark(seen, unit)?;
    }
    let (head, fraction) = token.split_once('.').unwrap_or((token, ""));
    let parts: Vec<&str> = head.split(':').collect();
    let number = |s: &str| -> Step<i64> {
        if s.is_empty() || !s.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Refusal::Format);
        }
        s.parse().map_err(|_| Refusal::Field)
    };
    let (h, m, s) = match parts[..] {
        [h, m, s] => (number(h)?, number(m)?, number(s)?),
        [m, s] if token.contains('.') || range.begins_with_minutes() => (0, number(m)?, number(s)?),
        [h, m] => (number(h)?, number(m)?, 0),
        _ => return Err(Refusal::Format),
    };
    if m > 59 || s > 60 {
        return Err(Refusal::Field);
    }
    let (_, fraction) = decimal(&format!("0.{fraction}"))?;
    let mut time = Sum::default();
    time.add_micros(h, MICROS_PER_HOUR, 0.0);
    time.add_micros(m, MICROS_PER_MINUTE, 0.0);
    time.add_micros(s, MICROS_PER_SECOND, fraction);
    sum.micros += time.micros * i128::from(sign);
    *pending = Some(Unit::Day);
    Ok(())
}

/// `P1Y2M3DT4H5M6.7S`, `P1W`, `P0001-02-03T04:05:06`.
fn iso(text: &str) -> Step<Sum> {
    let body = text.strip_prefix('P').ok_or(Refusal::Format)?;
    let (date, time) = match body.split_once('T') {
        Some((d, t)) => (d, Some(t)),
        None => (body, None),
    };
    let mut sum = Sum::default();
    if date.is_empty() && time.is_none() {
        return Err(Refusal::Format);
    }
    let dashed = date.chars().skip(1).any(|c| c == '-');
    if dashed && !date.ends_with(|c: char| c.is_ascii_alphabetic()) {
        iso_alternative_date(date, &mut sum)?;
    } else {
        designators(date, &mut sum, |c| match c {
            'Y' => Some(Unit::Year),
            'M' => Some(Unit::Month),
            'W' => Some(Unit::Week),
            'D' => Some(Unit::Day),
            _ => None,
        })?;
    }
    match time {
        Some(t) if t.contains(':') => {
            clock(t, 1, Range::WHOLE, &mut sum, &mut None, &mut Vec::new())?;
        }
        Some(t) => designators(t, &mut sum, |c| match c {
            'H' => Some(Unit::Hour),
            'M' => Some(Unit::Minute),
            'S' => Some(Unit::Second),
            _ => None,
        })?,
        None => {}
    }
    Ok(sum)
}

fn iso_alternative_date(date: &str, sum: &mut Sum) -> Step {
    for (part, unit) in date.split('-').zip([Unit::Year, Unit::Month, Unit::Day]) {
        let (whole, fraction) = decimal(part)?;
        sum.add(unit, whole, fraction)?;
    }
    Ok(())
}

fn designators(text: &str, sum: &mut Sum, unit_of: impl Fn(char) -> Option<Unit>) -> Step {
    let mut rest = text;
    while !rest.is_empty() {
        let at = rest
            .find(|c: char| c.is_ascii_alphabetic())
            .ok_or(Refusal::Format)?;
        let (whole, fraction) = decimal(&rest[..at])?;
        let letter = char::from(rest.as_bytes()[at]);
        let unit = unit_of(letter).ok_or(Refusal::Format)?;
        sum.add(unit, whole, fraction)?;
        rest = &rest[at + 1..];
    }
    Ok(())
}
