//! Printing, of dates by DateStyle ISO and of intervals by IntervalStyle postgres here, by others in `styles`.
//!
//! Source: PostgreSQL 15 `EncodeDateOnly`, `EncodeDateTime`, `EncodeInterval`.

use super::styles;
use super::{
    DATE_INFINITY, DATE_NEG_INFINITY, INFINITY, MICROS_PER_HOUR, MICROS_PER_MINUTE,
    MICROS_PER_SECOND, NEG_INFINITY, civil, split, zone,
};
use crate::Interval;
use crate::text::forms::{DateStyle, Forms, IntervalStyle};
use std::fmt::Write;

pub fn date(days: i32, forms: &Forms, out: &mut String) {
    match days {
        DATE_INFINITY => out.push_str("infinity"),
        DATE_NEG_INFINITY => out.push_str("-infinity"),
        days if forms.dates != DateStyle::Iso => styles::date(i64::from(days), forms, out),
        days => {
            let bc = day(i64::from(days), out);
            if bc {
                out.push_str(" BC");
            }
        }
    }
}

pub fn time(micros: i64, out: &mut String) {
    two(micros / MICROS_PER_HOUR, out);
    out.push(':');
    two(micros / MICROS_PER_MINUTE % 60, out);
    out.push(':');
    seconds(micros % MICROS_PER_MINUTE, out);
}

pub fn timestamp(micros: i64, forms: &Forms, out: &mut String) {
    if infinite(micros, out) {
        return;
    }
    if forms.dates != DateStyle::Iso {
        return styles::timestamp(micros, None, forms, out);
    }
    let (days, rest) = split(micros);
    let bc = day(days, out);
    out.push(' ');
    time(rest, out);
    if bc {
        out.push_str(" BC");
    }
}

pub fn timestamptz(micros: i64, forms: &Forms, out: &mut String) {
    if infinite(micros, out) {
        return;
    }
    let offset = zone::offset_at(&forms.zone, micros);
    if forms.dates != DateStyle::Iso {
        let local = micros + i64::from(offset) * MICROS_PER_SECOND;
        let name = zone::abbreviation_at(&forms.zone, micros);
        return styles::timestamp(local, Some((offset, name)), forms, out);
    }
    let (days, rest) = split(micros + i64::from(offset) * MICROS_PER_SECOND);
    let bc = day(days, out);
    out.push(' ');
    time(rest, out);
    self::offset(offset, out);
    if bc {
        out.push_str(" BC");
    }
}

/// `+hh[:mm[:ss]]`.
pub fn offset(seconds: i32, out: &mut String) {
    out.push(if seconds < 0 { '-' } else { '+' });
    let seconds = i64::from(seconds.unsigned_abs());
    two(seconds / 3_600, out);
    if seconds % 3_600 != 0 {
        out.push(':');
        two(seconds / 60 % 60, out);
        if seconds % 60 != 0 {
            out.push(':');
            two(seconds % 60, out);
        }
    }
}

pub fn interval(v: &Interval, style: IntervalStyle, out: &mut String) {
    match style {
        IntervalStyle::Postgres => postgres(v, out),
        IntervalStyle::PostgresVerbose => styles::verbose(v, out),
        IntervalStyle::SqlStandard => styles::sql_standard(v, out),
        IntervalStyle::Iso8601 => styles::iso_8601(v, out),
    }
}

fn postgres(v: &Interval, out: &mut String) {
    let mut first = true;
    let mut after_negative = false;
    let mut part = |value: i64, unit: &str, out: &mut String| {
        if value == 0 {
            return;
        }
        let space = if first { "" } else { " " };
        let plus = if after_negative && value > 0 { "+" } else { "" };
        let plural = if value == 1 { "" } else { "s" };
        let _ = write!(out, "{space}{plus}{value} {unit}{plural}");
        after_negative = value < 0;
        first = false;
    };
    part(i64::from(v.months / 12), "year", out);
    part(i64::from(v.months % 12), "mon", out);
    part(i64::from(v.days), "day", out);
    if v.micros == 0 && !first {
        return;
    }
    if !first {
        out.push(' ');
    }
    if v.micros < 0 {
        out.push('-');
    } else if after_negative {
        out.push('+');
    }
    let micros = v.micros.unsigned_abs();
    let _ = write!(out, "{:02}:", micros / MICROS_PER_HOUR as u64);
    two((micros / MICROS_PER_MINUTE as u64 % 60) as i64, out);
    out.push(':');
    seconds((micros % MICROS_PER_MINUTE as u64) as i64, out);
}

fn infinite(micros: i64, out: &mut String) -> bool {
    match micros {
        INFINITY => out.push_str("infinity"),
        NEG_INFINITY => out.push_str("-infinity"),
        _ => return false,
    }
    true
}

/// `yyyy-mm-dd`; true when the year is BC.
fn day(days: i64, out: &mut String) -> bool {
    let c = civil(days);
    let bc = c.year <= 0;
    let year = if bc { 1 - c.year } else { c.year };
    let _ = write!(out, "{year:04}");
    out.push('-');
    two(i64::from(c.month), out);
    out.push('-');
    two(i64::from(c.day), out);
    bc
}

pub(super) fn two(v: i64, out: &mut String) {
    if (0..100).contains(&v) {
        out.push(char::from(b'0' + (v / 10) as u8));
        out.push(char::from(b'0' + (v % 10) as u8));
    } else {
        let _ = write!(out, "{v}");
    }
}

/// Seconds with as many decimals as are not zero.
pub(super) fn seconds(micros: i64, out: &mut String) {
    two(micros / MICROS_PER_SECOND, out);
    let mut fraction = micros % MICROS_PER_SECOND;
    if fraction == 0 {
        return;
    }
    let mut width = 6;
    while fraction % 10 == 0 {
        fraction /= 10;
        width -= 1;
    }
    let _ = write!(out, ".{fraction:0width$}");
}
