//! Integers, oids and floats.

use super::{invalid, trim};
use crate::{DataType, Error, Result, SqlState};
use std::fmt::Write;

pub fn integer(v: i64, out: &mut String) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = v.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if v < 0 {
        out.push('-');
    }
    out.push_str(std::str::from_utf8(&digits[at..]).unwrap_or("0"));
}

fn out_of_range(s: &str, ty: DataType) -> Error {
    Error::new(
        SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
        format!("value \"{s}\" is out of range for type {ty}"),
    )
}

/// Within the range of an integer type.
pub fn parse_integer(s: &str, ty: DataType) -> Result<i64> {
    let body = trim(s);
    let digits = body.strip_prefix(['+', '-']).unwrap_or(body);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(invalid(s, ty));
    }
    let v: i64 = body.parse().map_err(|_| out_of_range(s, ty))?;
    let fits = match ty {
        DataType::Int2 => i16::try_from(v).is_ok(),
        DataType::Int4 => i32::try_from(v).is_ok(),
        _ => true,
    };
    if fits {
        Ok(v)
    } else {
        Err(out_of_range(s, ty))
    }
}

pub fn parse_oid(s: &str) -> Result<u32> {
    let body = trim(s);
    let digits = body.strip_prefix(['+', '-']).unwrap_or(body);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(invalid(s, DataType::Oid));
    }
    let v: i64 = body.parse().map_err(|_| out_of_range(s, DataType::Oid))?;
    // Negative numbers of 32 bits wrap, as in C's strtoul.
    match v {
        v if v < 0 => i32::try_from(v)
            .map(|v| v as u32)
            .map_err(|_| out_of_range(s, DataType::Oid)),
        v => u32::try_from(v).map_err(|_| out_of_range(s, DataType::Oid)),
    }
}

/// Shortest digits that read back as the same number; an exponent below 1e-4 and from `fixed_below` up.
fn shortest(scientific: &str, fixed_below: i32, out: &mut String) {
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    out.push_str(sign);
    if !(-4..fixed_below).contains(&exponent) {
        let mark = if exponent < 0 { '-' } else { '+' };
        let _ = write!(out, "{mantissa}e{mark}{:02}", exponent.abs());
        return;
    }
    let digits: String = mantissa.chars().filter(|c| *c != '.').collect();
    if exponent < 0 {
        out.push_str("0.");
        out.extend(std::iter::repeat_n('0', (-exponent - 1) as usize));
        out.push_str(&digits);
        return;
    }
    let whole = exponent as usize + 1;
    if digits.len() <= whole {
        out.push_str(&digits);
        out.extend(std::iter::repeat_n('0', whole - digits.len()));
    } else {
        out.push_str(&digits[..whole]);
        out.push('.');
        out.push_str(&digits[whole..]);
    }
}

/// As `float8out` prints with extra_float_digits 1.
pub fn float8(v: f64, out: &mut String) {
    if special(v, out) {
        return;
    }
    let mut text = format!("{v:e}");
    if between_neighbours(&text, v, v.next_up() - v) {
        text = (0..17)
            .map(|n| format!("{v:.n$e}"))
            .find(|t| t.parse() == Ok(v) && !between_neighbours(t, v, v.next_up() - v))
            .unwrap_or(text);
    }
    shortest(&text, 15, out);
}

/// As `float4out`.
pub fn float4(v: f32, out: &mut String) {
    if special(f64::from(v), out) {
        return;
    }
    let (wide, gap) = (f64::from(v), f64::from(v.next_up()) - f64::from(v));
    let mut text = format!("{v:e}");
    if between_neighbours(&text, wide, gap) {
        text = (0..9)
            .map(|n| format!("{v:.n$e}"))
            .find(|t| t.parse() == Ok(v) && !between_neighbours(t, wide, gap))
            .unwrap_or(text);
    }
    shortest(&text, 6, out);
}

/// Whether a decimal lies exactly half way from `v` to the next float. It reads back as `v` only by the rule of ties;
/// PostgreSQL prints more digits then. This can happen only among large whole numbers.
fn between_neighbours(scientific: &str, v: f64, gap: f64) -> bool {
    let size = v.abs();
    if !(1.6e7..1e38).contains(&size) || gap < 2.0 {
        return false;
    }
    let Ok(decimal) = scientific.trim_start_matches('-').parse::<crate::Numeric>() else {
        return false;
    };
    let exact = size as i128;
    decimal
        .to_i128()
        .is_some_and(|d| (d - exact).abs() == (gap.abs() as i128) / 2)
}

fn special(v: f64, out: &mut String) -> bool {
    if v.is_nan() {
        out.push_str("NaN");
    } else if v.is_infinite() {
        out.push_str(if v > 0.0 { "Infinity" } else { "-Infinity" });
    } else {
        return false;
    }
    true
}

enum Float<'a> {
    Special(f64),
    /// Digits for the standard library's parser, and whether they say zero.
    Digits(&'a str, bool),
}

fn scan_float(s: &str, ty: DataType) -> Result<Float<'_>> {
    let body = trim(s);
    let (negative, rest) = match body.as_bytes().first() {
        Some(b'-') => (true, &body[1..]),
        Some(b'+') => (false, &body[1..]),
        _ => (false, body),
    };
    if rest.eq_ignore_ascii_case("nan") {
        return Ok(Float::Special(f64::NAN));
    }
    if rest.eq_ignore_ascii_case("infinity") || rest.eq_ignore_ascii_case("inf") {
        return Ok(Float::Special(if negative {
            f64::NEG_INFINITY
        } else {
            f64::INFINITY
        }));
    }
    let (mantissa, exponent) = match rest.find(['e', 'E']) {
        Some(at) => (&rest[..at], Some(&rest[at + 1..])),
        None => (rest, None),
    };
    let digits = mantissa.bytes().filter(u8::is_ascii_digit).count();
    let points = mantissa.bytes().filter(|b| *b == b'.').count();
    let exponent_fits = exponent.is_none_or(|e| {
        let e = e.strip_prefix(['+', '-']).unwrap_or(e);
        !e.is_empty() && e.bytes().all(|b| b.is_ascii_digit())
    });
    if digits == 0 || points > 1 || digits + points != mantissa.len() || !exponent_fits {
        return Err(invalid(s, ty));
    }
    let zero = mantissa.bytes().all(|b| b == b'0' || b == b'.');
    Ok(Float::Digits(body, zero))
}

fn float_range(s: &str, ty: DataType) -> Error {
    Error::new(
        SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
        format!("\"{}\" is out of range for type {ty}", trim(s)),
    )
}

pub fn parse_float8(s: &str) -> Result<f64> {
    let ty = DataType::Float8;
    match scan_float(s, ty)? {
        Float::Special(v) => Ok(v),
        Float::Digits(body, zero) => {
            let v: f64 = body.parse().map_err(|_| invalid(s, ty))?;
            if v.is_infinite() || (v == 0.0 && !zero) {
                return Err(float_range(s, ty));
            }
            Ok(v)
        }
    }
}

pub fn parse_float4(s: &str) -> Result<f32> {
    let ty = DataType::Float4;
    match scan_float(s, ty)? {
        Float::Special(v) => Ok(v as f32),
        Float::Digits(body, zero) => {
            let v: f32 = body.parse().map_err(|_| invalid(s, ty))?;
            if v.is_infinite() || (v == 0.0 && !zero) {
                return Err(float_range(s, ty));
            }
            Ok(v)
        }
    }
}
