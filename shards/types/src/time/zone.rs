//! Time zones: names, offsets and the step between UTC and local time.
//!
//! Owns: PostgreSQL's choice for local times that a transition skips (the offset before it) or repeats (the one after
//! it), and its common abbreviations. The rules come from `jiff`'s bundled IANA database, not from the host.

use super::{
    INFINITY, MICROS_PER_DAY, MICROS_PER_SECOND, NEG_INFINITY, UNIX_TO_PG_MICROS, check_timestamp,
    is_finite, timestamp_out_of_range,
};
use crate::{Error, Result, SqlState};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

/// The calendar repeats after 400 years.
const CYCLE_MICROS: i64 = 146_097 * MICROS_PER_DAY;
/// Zone rules are asked between these years; later instants are looked up in an equivalent cycle.
const RULES_END_MICROS: i64 = 7_900 * 365 * MICROS_PER_DAY;

/// Moves a time into the years the zone rules cover.
fn within_rules(micros: i64) -> i64 {
    if micros < RULES_END_MICROS {
        return micros;
    }
    let beyond = micros - RULES_END_MICROS;
    micros - (beyond / CYCLE_MICROS + 1) * CYCLE_MICROS
}

/// Seconds east of UTC at an instant.
pub fn offset_at(tz: &TimeZone, utc_micros: i64) -> i32 {
    let unix = within_rules(utc_micros).saturating_add(UNIX_TO_PG_MICROS);
    match jiff::Timestamp::from_microsecond(unix) {
        Ok(t) => tz.to_offset(t).seconds(),
        Err(_) => 0,
    }
}

/// What the zone calls its offset at an instant: `CET`, `+03`.
pub fn abbreviation_at(tz: &TimeZone, utc_micros: i64) -> Option<String> {
    let unix = within_rules(utc_micros).saturating_add(UNIX_TO_PG_MICROS);
    let at = jiff::Timestamp::from_microsecond(unix).ok()?;
    Some(tz.to_offset_info(at).abbreviation().to_owned())
}

/// Local wall time of an instant; infinities stay.
pub fn to_local(tz: &TimeZone, utc_micros: i64) -> i64 {
    if !is_finite(utc_micros) {
        return utc_micros;
    }
    utc_micros + i64::from(offset_at(tz, utc_micros)) * MICROS_PER_SECOND
}

/// The instant of a local wall time; infinities stay.
pub fn to_utc(tz: &TimeZone, local_micros: i64) -> Result<i64> {
    if !is_finite(local_micros) {
        return Ok(local_micros);
    }
    let offset = local_offset(tz, local_micros);
    check_timestamp(i128::from(local_micros) - i128::from(offset) * i128::from(MICROS_PER_SECOND))
        .map_err(|_| timestamp_out_of_range())
}

/// Seconds east of UTC that a local wall time has.
pub fn local_offset(tz: &TimeZone, local_micros: i64) -> i32 {
    let unix = within_rules(local_micros).saturating_add(UNIX_TO_PG_MICROS);
    let Ok(as_utc) = jiff::Timestamp::from_microsecond(unix) else {
        return 0;
    };
    let civil = Offset::UTC.to_datetime(as_utc);
    let offset = match tz.to_ambiguous_timestamp(civil).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset,
        AmbiguousOffset::Gap { before, .. } => before,
        AmbiguousOffset::Fold { after, .. } => after,
    };
    offset.seconds()
}

/// `timestamptz AT TIME ZONE zone` and back: infinities stay, 22008 out of range.
pub fn shift(micros: i64, seconds: i32) -> Result<i64> {
    match micros {
        INFINITY | NEG_INFINITY => Ok(micros),
        m => check_timestamp(i128::from(m) + i128::from(seconds) * i128::from(MICROS_PER_SECOND)),
    }
}

/// Abbreviations that PostgreSQL's default set gives a fixed offset, in hours times four.
const ABBREVIATIONS: &[(&str, i32)] = &[
    ("z", 0),
    ("zulu", 0),
    ("utc", 0),
    ("uct", 0),
    ("ut", 0),
    ("gmt", 0),
    ("wet", 0),
    ("west", 4),
    ("bst", 4),
    ("cet", 4),
    ("cest", 8),
    ("met", 4),
    ("mest", 8),
    ("mez", 4),
    ("mesz", 8),
    ("eet", 8),
    ("eest", 12),
    ("msk", 12),
    ("msd", 16),
    ("sast", 8),
    ("pkt", 20),
    ("ist", 8),
    ("hkt", 32),
    ("sgt", 32),
    ("jst", 36),
    ("kst", 36),
    ("aest", 40),
    ("aedt", 44),
    ("acst", 38),
    ("acdt", 42),
    ("awst", 32),
    ("nzst", 48),
    ("nzdt", 52),
    ("ast", -16),
    ("adt", -12),
    ("est", -20),
    ("edt", -16),
    ("cst", -24),
    ("cdt", -20),
    ("mst", -28),
    ("mdt", -24),
    ("pst", -32),
    ("pdt", -28),
    ("akst", -36),
    ("akdt", -32),
    ("hst", -40),
    ("nst", -14),
    ("ndt", -10),
    ("brt", -12),
    ("art", -12),
];

/// Seconds east of UTC of an abbreviation, in lower case.
pub fn abbreviation(name: &str) -> Option<i32> {
    let found = ABBREVIATIONS.iter().find(|(n, _)| *n == name)?;
    Some(found.1 * 900)
}

/// A zone by IANA name or abbreviation, whatever the case.
pub fn by_name(name: &str) -> Option<TimeZone> {
    let lower = name.to_ascii_lowercase();
    if let Some(seconds) = abbreviation(&lower) {
        return fixed(seconds);
    }
    TimeZone::get(name).ok()
}

/// A fixed offset in seconds east of UTC.
pub fn fixed(seconds: i32) -> Option<TimeZone> {
    if seconds == 0 {
        return Some(TimeZone::UTC);
    }
    Offset::from_seconds(seconds).ok().map(TimeZone::fixed)
}

/// What `SET TIME ZONE` and `AT TIME ZONE` take: a name, or hours with POSIX's sign (`'+02'` is west of Greenwich).
/// 22023 `time zone "x" not recognized`.
pub fn parse(text: &str) -> Result<TimeZone> {
    if let Some(tz) = by_name(text.trim()) {
        return Ok(tz);
    }
    let unknown = || {
        Error::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("time zone \"{text}\" not recognized"),
        )
    };
    let body = text.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    let signed = if body.starts_with(['+', '-']) {
        body.to_string()
    } else if body.starts_with(|c: char| c.is_ascii_digit()) {
        format!("+{body}")
    } else {
        return Err(unknown());
    };
    let seconds = offset(&signed).ok().flatten().ok_or_else(unknown)?;
    fixed(-seconds).ok_or_else(unknown)
}

/// What the setting `TimeZone` takes: a number is hours east of Greenwich, anything else as `parse`.
/// 22023 `invalid value for parameter "TimeZone": "x"`.
pub fn parse_setting(text: &str) -> Result<TimeZone> {
    let hours = text.trim().parse::<f64>().ok().filter(|h| h.is_finite());
    let found = match hours {
        Some(hours) => fixed((hours * 3_600.0) as i32),
        None => parse(text).ok(),
    };
    found.ok_or_else(|| {
        Error::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("invalid value for parameter \"TimeZone\": \"{text}\""),
        )
    })
}

/// `+hh`, `+hhmm`, `+hh:mm`, `+hh:mm:ss`: seconds east of UTC. `None` is not an offset; the error is one too large.
#[allow(clippy::result_unit_err)]
pub fn offset(text: &str) -> Result<Option<i32>, ()> {
    let (sign, body) = match text.as_bytes().first() {
        Some(b'+') => (1, &text[1..]),
        Some(b'-') => (-1, &text[1..]),
        _ => return Ok(None),
    };
    let body = body.trim_start();
    let mut parts = body.split(':');
    let head = parts.next().unwrap_or("");
    if head.is_empty() || head.len() > 6 || !body.bytes().all(|b| b.is_ascii_digit() || b == b':') {
        return Ok(None);
    }
    let number = |s: Option<&str>| match s {
        None => Some(0),
        Some(s) => s.parse::<i32>().ok(),
    };
    let Some(first) = number(Some(head)) else {
        return Ok(None);
    };
    let (hours, minutes, seconds) = if body.contains(':') {
        let (m, s) = (number(parts.next()), number(parts.next()));
        match (m, s, parts.next()) {
            (Some(m), Some(s), None) => (first, m, s),
            _ => return Ok(None),
        }
    } else {
        match head.len() {
            0..=2 => (first, 0, 0),
            3..=4 => (first / 100, first % 100, 0),
            _ => (first / 10_000, first / 100 % 100, first % 100),
        }
    };
    if hours > 15 || minutes > 59 || seconds > 59 {
        return Err(());
    }
    Ok(Some(sign * (hours * 3_600 + minutes * 60 + seconds)))
}
