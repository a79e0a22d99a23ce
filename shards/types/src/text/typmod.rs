//! Type modifiers: lengths of varchar(n) and char(n), precision and scale of numeric, decimals of times.
//!
//! Source: PostgreSQL 15 `varchar()`, `bpchar()`, `numeric()`, `AdjustTimestampForTypmod`.

use crate::time::range::Range;
use crate::time::{INFINITY, MICROS_PER_SECOND, NEG_INFINITY};
use crate::{Array, DataType, Error, Interval, Numeric, Result, SqlState, Value};
use std::sync::Arc;

/// What a `typmod` adds for its header: varchar(3) is 7.
const HEADER: i32 = 4;

/// Makes a value fit its type's modifier. `explicit` casts cut strings silently; assignments refuse what would lose more
/// than blanks (22001). Numbers are rounded (22003 when too large).
pub fn apply_typmod(v: Value, ty: DataType, typmod: i32, explicit: bool) -> Result<Value> {
    if typmod < 0 {
        return Ok(v);
    }
    Ok(match (ty, v) {
        (_, Value::Array(a)) => {
            let element = a.element;
            let items: Result<Vec<Value>> = a
                .items
                .iter()
                .map(|i| apply_typmod(i.clone(), element, typmod, explicit))
                .collect();
            Value::Array(Arc::new(Array {
                element,
                items: items?,
            }))
        }
        (DataType::Varchar, Value::Text(s)) => Value::Text(varchar(s, typmod, explicit)?),
        (DataType::Bpchar, Value::Text(s)) => Value::Text(bpchar(s, typmod, explicit)?),
        (DataType::Numeric, Value::Numeric(n)) => Value::Numeric(numeric(n, typmod)?),
        (DataType::Time, Value::Time(t)) => Value::Time(round(t, typmod)),
        (DataType::Timestamp, Value::Timestamp(t)) => Value::Timestamp(round(t, typmod)),
        (DataType::Timestamptz, Value::Timestamptz(t)) => Value::Timestamptz(round(t, typmod)),
        (DataType::Interval, Value::Interval(i)) => Value::Interval(interval(i, typmod)),
        (_, v) => v,
    })
}

fn too_long(ty: DataType, max: usize) -> Error {
    Error::new(
        SqlState::STRING_DATA_RIGHT_TRUNCATION,
        format!("value too long for type {ty}({max})"),
    )
}

fn length(typmod: i32) -> usize {
    usize::try_from(typmod - HEADER).unwrap_or(0)
}

/// Byte position after `max` characters, if there are more.
fn cut_at(s: &str, max: usize) -> Option<usize> {
    if s.len() <= max {
        return None;
    }
    s.char_indices().nth(max).map(|(at, _)| at)
}

fn varchar(s: Arc<str>, typmod: i32, explicit: bool) -> Result<Arc<str>> {
    let max = length(typmod);
    let Some(at) = cut_at(&s, max) else {
        return Ok(s);
    };
    if !explicit && s[at..].bytes().any(|b| b != b' ') {
        return Err(too_long(DataType::Varchar, max));
    }
    Ok(Arc::from(&s[..at]))
}

fn bpchar(s: Arc<str>, typmod: i32, explicit: bool) -> Result<Arc<str>> {
    let max = length(typmod);
    if let Some(at) = cut_at(&s, max) {
        if !explicit && s[at..].bytes().any(|b| b != b' ') {
            return Err(too_long(DataType::Bpchar, max));
        }
        return Ok(Arc::from(&s[..at]));
    }
    let have = s.chars().count();
    if have == max {
        return Ok(s);
    }
    let mut padded = String::with_capacity(s.len() + max - have);
    padded.push_str(&s);
    padded.extend(std::iter::repeat_n(' ', max - have));
    Ok(padded.into())
}

/// Precision and scale of a numeric's modifier; the scale may be negative.
pub(crate) fn precision_and_scale(typmod: i32) -> (i32, i32) {
    let packed = typmod - HEADER;
    let scale = packed & 0x7ff;
    // 11 bits, signed.
    let scale = if scale >= 0x400 { scale - 0x800 } else { scale };
    ((packed >> 16) & 0xffff, scale)
}

fn numeric(n: Numeric, typmod: i32) -> Result<Numeric> {
    let (precision, scale) = precision_and_scale(typmod);
    if let Some(fitted) = n.fit(precision, scale)? {
        return Ok(fitted);
    }
    let detail = match n {
        Numeric::Small(..) | Numeric::Large(_) => {
            let digits = precision - scale;
            let power = if digits == 0 {
                "1".to_string()
            } else {
                format!("10^{digits}")
            };
            format!(
                "A field with precision {precision}, scale {scale} must round to an absolute value less than {power}."
            )
        }
        Numeric::NaN | Numeric::Infinity | Numeric::NegInfinity => format!(
            "A field with precision {precision}, scale {scale} cannot hold an infinite value."
        ),
    };
    Err(Error::new(
        SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
        "numeric field overflow",
    )
    .with_detail(detail))
}

/// To `decimals` of a second, half away from zero.
fn round(micros: i64, decimals: i32) -> i64 {
    if !(0..6).contains(&decimals) || micros == INFINITY || micros == NEG_INFINITY {
        return micros;
    }
    let unit = MICROS_PER_SECOND / 10i64.pow(decimals as u32);
    let half = unit / 2;
    if micros >= 0 {
        micros.saturating_add(half) / unit * unit
    } else {
        micros.saturating_sub(half) / unit * unit
    }
}

fn interval(v: Interval, typmod: i32) -> Interval {
    let range = Range::of(typmod);
    let v = range.cut(v);
    Interval {
        micros: round(v.micros, range.decimals().unwrap_or(6)),
        ..v
    }
}
