//! Printing in other styles than ISO and postgres: DateStyle SQL, Postgres and German; IntervalStyle postgres_verbose, sql_standard and
//! iso_8601.
//!
//! Asked by: `format`, which has the usual ones. Never: prints an infinity; `format` does.
//! Source: PostgreSQL 15 `EncodeDateOnly`, `EncodeDateTime`, `EncodeInterval`.

use super::fields::iso_dow;
use super::format::{offset, seconds, time, two};
use super::{Civil, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND, civil, split};
use crate::Interval;
use crate::text::forms::{DateOrder, DateStyle, Forms};
use std::fmt::Write;

const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Day, month and year in the style's order; whether the year is before Christ is said behind all.
fn day(c: Civil, forms: &Forms, out: &mut String) {
    let (day, month) = (i64::from(c.day), i64::from(c.month));
    let (first, second) = match (forms.dates, forms.order) {
        (DateStyle::German, _) | (_, DateOrder::Dmy) => (day, month),
        _ => (month, day),
    };
    let sign = match forms.dates {
        DateStyle::German => '.',
        DateStyle::Sql => '/',
        DateStyle::Postgres | DateStyle::Iso => '-',
    };
    two(first, out);
    out.push(sign);
    two(second, out);
    out.push(sign);
    year(c, out);
}

fn year(c: Civil, out: &mut String) {
    let year = if c.year <= 0 { 1 - c.year } else { c.year };
    let _ = write!(out, "{year:04}");
}

fn era(c: Civil, out: &mut String) {
    if c.year <= 0 {
        out.push_str(" BC");
    }
}

pub(super) fn date(days: i64, forms: &Forms, out: &mut String) {
    let c = civil(days);
    day(c, forms, out);
    era(c, out);
}

/// A wall time, and how far east its zone is and what that is called.
pub(super) fn timestamp(
    local: i64,
    zone: Option<(i32, Option<String>)>,
    forms: &Forms,
    out: &mut String,
) {
    let (days, rest) = split(local);
    let c = civil(days);
    let words = forms.dates == DateStyle::Postgres;
    if words {
        let name = |names: &[&'static str], at: usize| names.get(at).copied().unwrap_or("");
        out.push_str(name(&DAYS, (iso_dow(days) % 7) as usize));
        let month = name(&MONTHS, (c.month as usize).saturating_sub(1));
        let day = c.day;
        let _ = match forms.order {
            DateOrder::Dmy => write!(out, " {day:02} {month} "),
            _ => write!(out, " {month} {day:02} "),
        };
        time(rest, out);
        out.push(' ');
        year(c, out);
    } else {
        day(c, forms, out);
        out.push(' ');
        time(rest, out);
    }
    match zone {
        Some((_, Some(name))) => {
            let _ = write!(out, " {name}");
        }
        Some((east, None)) => {
            if words {
                out.push(' ');
            }
            offset(east, out);
        }
        None => {}
    }
    era(c, out);
}

/// Hours, minutes and the rest, all of one sign.
fn clock(micros: i64) -> (i64, i64, i64) {
    let hours = micros / MICROS_PER_HOUR;
    let minutes = micros / MICROS_PER_MINUTE % 60;
    (hours, minutes, micros % MICROS_PER_MINUTE)
}

/// Seconds without a leading zero.
fn bare_seconds(micros: i64, out: &mut String) {
    let micros = micros.abs();
    let mut text = String::new();
    seconds(micros, &mut text);
    match micros < 10 * MICROS_PER_SECOND {
        true => out.push_str(text.get(1..).unwrap_or("")),
        false => out.push_str(&text),
    }
}

/// `@ 1 year 2 mons -3 days 4 hours ago`
pub(super) fn verbose(v: &Interval, out: &mut String) {
    let (hours, minutes, rest) = clock(v.micros);
    let parts = [
        (i64::from(v.months / 12), "year"),
        (i64::from(v.months % 12), "mon"),
        (i64::from(v.days), "day"),
        (hours, "hour"),
        (minutes, "min"),
    ];
    let parts = parts.iter().filter(|(value, _)| *value != 0);
    let first = parts.clone().map(|(value, _)| *value).next();
    let before = first.unwrap_or(rest) < 0;
    out.push('@');
    for (value, unit) in parts {
        let value = if before { -value } else { *value };
        let plural = if value == 1 { "" } else { "s" };
        let _ = write!(out, " {value} {unit}{plural}");
    }
    if rest != 0 {
        out.push_str(if (rest < 0) != before { " -" } else { " " });
        bare_seconds(rest, out);
        let plural = if rest.abs() == MICROS_PER_SECOND {
            ""
        } else {
            "s"
        };
        let _ = write!(out, " sec{plural}");
    } else if first.is_none() {
        out.push_str(" 0");
    }
    if before {
        out.push_str(" ago");
    }
}

/// `1-2`, `3 4:05:06`, or all with their signs.
pub(super) fn sql_standard(v: &Interval, out: &mut String) {
    let signs = [
        i64::from(v.months).signum(),
        i64::from(v.days).signum(),
        v.micros.signum(),
    ];
    let (negative, positive) = (signs.contains(&-1), signs.contains(&1));
    if !negative && !positive {
        return out.push('0');
    }
    let (years, months) = ((v.months / 12).abs(), (v.months % 12).abs());
    let days = i64::from(v.days).abs();
    let (hours, minutes, rest) = clock(v.micros);
    let (hours, minutes, rest) = (hours.abs(), minutes.abs(), rest.abs());
    let mixed = negative && positive || v.months != 0 && (v.days != 0 || v.micros != 0);
    if mixed {
        let sign = |n: i64| if n < 0 { '-' } else { '+' };
        let [of_months, of_days, of_micros] = signs.map(sign);
        let _ = write!(
            out,
            "{of_months}{years}-{months} {of_days}{days} {of_micros}{hours}:{minutes:02}:"
        );
        return seconds(rest, out);
    }
    if negative {
        out.push('-');
    }
    if v.months != 0 {
        let _ = write!(out, "{years}-{months}");
        return;
    }
    if days != 0 {
        let _ = write!(out, "{days} ");
    }
    let _ = write!(out, "{hours}:{minutes:02}:");
    seconds(rest, out);
}

/// `P1Y2M3DT4H5M6.7S`
pub(super) fn iso_8601(v: &Interval, out: &mut String) {
    if *v == Interval::default() {
        return out.push_str("PT0S");
    }
    let (hours, minutes, rest) = clock(v.micros);
    let part = |value: i64, unit: char, out: &mut String| {
        if value != 0 {
            let _ = write!(out, "{value}{unit}");
        }
    };
    out.push('P');
    part(i64::from(v.months / 12), 'Y', out);
    part(i64::from(v.months % 12), 'M', out);
    part(i64::from(v.days), 'D', out);
    if v.micros != 0 {
        out.push('T');
    }
    part(hours, 'H', out);
    part(minutes, 'M', out);
    if rest != 0 {
        if rest < 0 {
            out.push('-');
        }
        bare_seconds(rest, out);
        out.push('S');
    }
}
