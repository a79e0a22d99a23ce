//! The time zone of a session, in the spellings that SET takes.
//!
//! Owns: offsets from Greenwich as numbers and intervals, which are shown as zones of POSIX whose sign is the other way. Never: knows
//! zones by name (`types::time::zone` does). Source: PostgreSQL 15, `variable.c` (`check_timezone`).

use types::text::{self, ParseEnv};
use types::{DataType, Error, Result, SqlState, Value, time};

/// No place on earth has more, nor does `types::time::zone` read more.
const SECONDS_MAX: i64 = 16 * 3_600;

const SECOND_MICROS: i64 = 1_000_000;

/// The value in the form SHOW prints.
pub(super) fn canonical(value: &str) -> Result<String> {
    let trimmed = value.trim();
    let lower = trimmed.to_ascii_lowercase();
    let hours = trimmed.parse::<f64>().ok().filter(|h| h.is_finite());
    let name = match (lower.as_str(), lower.strip_prefix("interval"), hours) {
        ("utc" | "z" | "local" | "default", ..) => "UTC".to_owned(),
        (_, Some(offset), _) => {
            let seconds = interval(value, offset.trim().trim_matches('\''))?;
            of_offset(value, seconds)?
        }
        (.., Some(hours)) => of_offset(value, (hours * 3_600.0) as i64)?,
        _ => value.to_owned(),
    };
    read(&name).map_err(|_| invalid(value)).map(|_| name)
}

/// A zone in that form.
pub(super) fn read(value: &str) -> Result<jiff::tz::TimeZone> {
    match value.split_once('>') {
        // What an offset is called is left to whoever sets it.
        Some((name, offset)) if name.starts_with('<') => {
            time::zone::parse_setting(&format!("UTC{offset}"))
        }
        _ => time::zone::parse_setting(value),
    }
}

/// Seconds east of Greenwich.
fn interval(value: &str, text: &str) -> Result<i64> {
    let env = ParseEnv {
        forms: &types::text::Forms::UTC,
        now_micros: 0,
    };
    let Ok(Value::Interval(i)) = text::parse(text, DataType::Interval, -1, &env) else {
        return Err(invalid(value));
    };
    let no = |what: &str| {
        Err(invalid(value).with_detail(format!("Cannot specify {what} in time zone interval.")))
    };
    match (i.months, i.days) {
        (0, 0) => Ok(i.micros / SECOND_MICROS),
        (0, _) => no("days"),
        _ => no("months"),
    }
}

fn of_offset(value: &str, seconds: i64) -> Result<String> {
    if seconds.abs() >= SECONDS_MAX {
        return Err(invalid(value).with_detail("UTC timezone offset is out of range."));
    }
    let (east, west) = if seconds < 0 { ('-', '+') } else { ('+', '-') };
    let all = seconds.unsigned_abs();
    let (hours, minutes, rest) = (all / 3_600, all / 60 % 60, all % 60);
    let shown = match (minutes, rest) {
        (0, 0) => format!("{hours:02}"),
        (_, 0) => format!("{hours:02}:{minutes:02}"),
        _ => format!("{hours:02}:{minutes:02}:{rest:02}"),
    };
    Ok(format!("<{east}{shown}>{west}{shown}"))
}

fn invalid(value: &str) -> Error {
    Error::new(
        SqlState::INVALID_PARAMETER_VALUE,
        format!("invalid value for parameter \"TimeZone\": \"{value}\""),
    )
}
