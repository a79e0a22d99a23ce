//! NUMERIC: an arbitrary-precision decimal with NaN and the infinities.
//!
//! Owns: the value, its text form, its limits and the conversions to and from machine numbers; `arith` has the four
//! operations and rounding, `math` the roots, powers and logarithms.
//! Asked by: text, binary and order here; the engine's functions and aggregates.
//! Never: keeps a number beyond PostgreSQL's limits, so memory of one value is bounded by `DIGITS_BEFORE_MAX` +
//! `SCALE_MAX` digits whatever exponent was written. A number whose digits fit 64 bits is always `Small`: it owns no memory, and
//! `small` has its arithmetic.
//! Source: PostgreSQL 15 `numeric.c`.

mod arith;
mod math;
mod small;

#[cfg(test)]
mod tests;

use crate::{Error, Result, SqlState};
use num_bigint::{BigInt, Sign};
use num_traits::{ToPrimitive, Zero};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

pub use arith::pow10;

/// Digits before the decimal point. One more: 22003 `value overflows numeric format`.
pub const DIGITS_BEFORE_MAX: u64 = 131_072;
/// Digits after the decimal point: input with more is refused, results are rounded to it.
pub const SCALE_MAX: u32 = 16_383;

/// Powers of ten that are exact as floats.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// Equal where the numbers are: 1.0 and 1.00 are, and so is NaN to itself.
#[derive(Clone, Debug)]
pub enum Numeric {
    /// A mantissa and the digits after the point that are shown.
    Small(i64, u16),
    /// As `Small`, of more digits.
    Large(Arc<Digits>),
    NaN,
    Infinity,
    NegInfinity,
}

/// A mantissa that does not fit 64 bits.
#[derive(Debug)]
pub struct Digits {
    mantissa: BigInt,
    scale: u32,
}

/// 22003.
pub fn overflow() -> Error {
    Error::new(
        SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
        "value overflows numeric format",
    )
}

impl Numeric {
    pub fn zero() -> Numeric {
        Numeric::Small(0, 0)
    }

    pub fn is_finite(&self) -> bool {
        matches!(self, Numeric::Small(..) | Numeric::Large(_))
    }

    /// `mantissa` × 10^-`scale`, checked against the limits; a longer scale than `SCALE_MAX` is rounded away.
    pub fn from_parts(mantissa: BigInt, scale: u32) -> Result<Numeric> {
        let (mantissa, scale) = if scale > SCALE_MAX {
            (arith::rescale(&mantissa, scale, SCALE_MAX), SCALE_MAX)
        } else {
            (mantissa, scale)
        };
        // 10^n has at least 3n bits, so short mantissas need no count.
        if mantissa.bits() > 3 * (DIGITS_BEFORE_MAX + u64::from(scale)) {
            let digits = digit_count(&mantissa);
            if digits > DIGITS_BEFORE_MAX + u64::from(scale) {
                return Err(overflow());
            }
        }
        Ok(Numeric::raw(mantissa, scale))
    }

    /// A scale of at most `SCALE_MAX`.
    fn raw(mantissa: BigInt, scale: u32) -> Numeric {
        match (mantissa.to_i64(), u16::try_from(scale)) {
            (Some(small), Ok(scale)) => Numeric::Small(small, scale),
            _ => Numeric::Large(Arc::new(Digits { mantissa, scale })),
        }
    }

    /// Mantissa and scale of a finite number.
    pub fn parts(&self) -> Option<(Cow<'_, BigInt>, u32)> {
        match self {
            Numeric::Small(mantissa, scale) => {
                Some((Cow::Owned(BigInt::from(*mantissa)), u32::from(*scale)))
            }
            Numeric::Large(d) => Some((Cow::Borrowed(&d.mantissa), d.scale)),
            Numeric::NaN | Numeric::Infinity | Numeric::NegInfinity => None,
        }
    }

    /// Digits after the point that are shown; 0 for NaN and the infinities.
    pub fn scale(&self) -> u32 {
        match self {
            Numeric::Small(_, scale) => u32::from(*scale),
            Numeric::Large(d) => d.scale,
            Numeric::NaN | Numeric::Infinity | Numeric::NegInfinity => 0,
        }
    }

    pub fn is_nan(&self) -> bool {
        matches!(self, Numeric::NaN)
    }

    pub fn is_zero(&self) -> bool {
        matches!(self, Numeric::Small(0, _))
    }

    pub fn is_negative(&self) -> bool {
        match self {
            Numeric::Small(mantissa, _) => *mantissa < 0,
            Numeric::Large(d) => d.mantissa.sign() == Sign::Minus,
            Numeric::NegInfinity => true,
            Numeric::Infinity | Numeric::NaN => false,
        }
    }

    /// Approximate heap memory in bytes.
    pub fn memory(&self) -> usize {
        match self {
            Numeric::Large(d) => {
                size_of::<Digits>() + (d.mantissa.bits() as usize).div_ceil(8) + 16
            }
            _ => 0,
        }
    }

    /// The shortest decimal that reads back as the same `f64`, cut to 15 significant digits as PostgreSQL's cast does.
    pub fn from_f64(v: f64) -> Numeric {
        Numeric::from_float(v, format!("{:.14e}", v))
    }

    /// As `from_f64`, with 6 significant digits.
    pub fn from_f32(v: f32) -> Numeric {
        Numeric::from_float(f64::from(v), format!("{:.5e}", v))
    }

    fn from_float(v: f64, text: String) -> Numeric {
        if v.is_nan() {
            return Numeric::NaN;
        }
        if v.is_infinite() {
            return if v > 0.0 {
                Numeric::Infinity
            } else {
                Numeric::NegInfinity
            };
        }
        // `d.ddde±x`: trailing zeros of the mantissa are not part of the value's scale.
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let digits = digits.trim_end_matches('0').trim_end_matches('.');
        format!("{digits}e{exponent}")
            .parse()
            .unwrap_or(Numeric::NaN)
    }

    /// The nearest `f64`; beyond its range an infinity.
    pub fn to_f64(&self) -> f64 {
        match self {
            Numeric::NaN => f64::NAN,
            Numeric::Infinity => f64::INFINITY,
            Numeric::NegInfinity => f64::NEG_INFINITY,
            Numeric::Small(mantissa, scale) => {
                // Both exact as floats: one division rounds once.
                if mantissa.unsigned_abs() < 1 << 53
                    && let Some(power) = POWERS.get(usize::from(*scale))
                {
                    return *mantissa as f64 / power;
                }
                nearest(mantissa, u32::from(*scale))
            }
            Numeric::Large(d) => nearest(&d.mantissa, d.scale),
        }
    }

    /// Rounded half away from zero; `None` when it does not fit (or is not finite).
    pub fn to_i64(&self) -> Option<i64> {
        self.to_i128().and_then(|v| i64::try_from(v).ok())
    }

    /// As `to_i64`, wider.
    pub fn to_i128(&self) -> Option<i128> {
        if let Numeric::Small(mantissa, scale) = self {
            let whole = small::rescale(*mantissa, u32::from(*scale), 0);
            if whole.is_some() {
                return whole;
            }
        }
        let (mantissa, scale) = self.parts()?;
        if scale == 0 {
            return mantissa.to_i128();
        }
        arith::rescale(&mantissa, scale, 0).to_i128()
    }

    /// The exact integer it is, if it is one and fits.
    pub fn as_integer(&self) -> Option<i64> {
        if let Numeric::Small(mantissa, scale) = self {
            let Some(unit) = 10i64.checked_pow(u32::from(*scale)) else {
                return (*mantissa == 0).then_some(0);
            };
            return (mantissa % unit == 0).then(|| mantissa / unit);
        }
        let (mantissa, scale) = self.parts()?;
        let whole = arith::rescale(&mantissa, scale, 0);
        (&whole * pow10(scale) == *mantissa)
            .then(|| whole.to_i64())
            .flatten()
    }
}

/// Decimal to binary correctly rounded: the standard library's parser does it.
fn nearest(mantissa: &dyn fmt::Display, scale: u32) -> f64 {
    format!("{mantissa}e-{scale}").parse().unwrap_or(f64::NAN)
}

impl PartialEq for Numeric {
    fn eq(&self, other: &Numeric) -> bool {
        self.compare(other).is_eq()
    }
}

impl Eq for Numeric {}

impl Hash for Numeric {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self.trim_scale() {
            Numeric::Small(mantissa, scale) => (mantissa, scale).hash(state),
            Numeric::Large(d) => (&d.mantissa, d.scale).hash(state),
            Numeric::NaN => state.write_u8(1),
            Numeric::Infinity => state.write_u8(2),
            Numeric::NegInfinity => state.write_u8(3),
        }
    }
}

/// Decimal digits of |v|; 0 for zero.
pub(crate) fn digit_count(v: &BigInt) -> u64 {
    match v.to_i128() {
        Some(0) => 0,
        Some(small) => u64::from(small.unsigned_abs().ilog10()) + 1,
        None => v.magnitude().to_radix_be(10).len() as u64,
    }
}

impl From<i64> for Numeric {
    fn from(v: i64) -> Numeric {
        Numeric::Small(v, 0)
    }
}

impl From<i128> for Numeric {
    fn from(v: i128) -> Numeric {
        match i64::try_from(v) {
            Ok(small) => Numeric::Small(small, 0),
            Err(_) => Numeric::raw(BigInt::from(v), 0),
        }
    }
}

impl Serialize for Numeric {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Numeric {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Numeric, D::Error> {
        let text = String::deserialize(d)?;
        text.parse()
            .map_err(|_| serde::de::Error::custom("not a numeric"))
    }
}

impl fmt::Display for Numeric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Numeric::NaN => f.write_str("NaN"),
            Numeric::Infinity => f.write_str("Infinity"),
            Numeric::NegInfinity => f.write_str("-Infinity"),
            Numeric::Small(mantissa, scale) => small::write(f, *mantissa, usize::from(*scale)),
            Numeric::Large(d) => {
                let digits = match d.mantissa.to_i128() {
                    Some(wide) => wide.unsigned_abs().to_string(),
                    None => d.mantissa.magnitude().to_str_radix(10),
                };
                let negative = d.mantissa.sign() == Sign::Minus;
                write_digits(f, negative, &digits, d.scale as usize)
            }
        }
    }
}

/// Digits with the point where the scale has it.
fn write_digits(
    f: &mut fmt::Formatter<'_>,
    negative: bool,
    digits: &str,
    scale: usize,
) -> fmt::Result {
    if negative {
        f.write_str("-")?;
    }
    if scale == 0 {
        return f.write_str(digits);
    }
    if digits.len() > scale {
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        f.write_str(whole)?;
        f.write_str(".")?;
        return f.write_str(fraction);
    }
    f.write_str("0.")?;
    for _ in digits.len()..scale {
        f.write_str("0")?;
    }
    f.write_str(digits)
}

impl std::str::FromStr for Numeric {
    type Err = Error;

    /// PostgreSQL's input: blanks around, an optional sign, digits, a point, an exponent; `NaN`, `inf`, `infinity`.
    fn from_str(text: &str) -> Result<Numeric> {
        let invalid = || {
            Error::new(
                SqlState::INVALID_TEXT_REPRESENTATION,
                format!("invalid input syntax for type numeric: \"{text}\""),
            )
        };
        let s = text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\u{b}');
        let (negative, body) = match s.as_bytes().first() {
            Some(b'-') => (true, &s[1..]),
            Some(b'+') => (false, &s[1..]),
            _ => (false, s),
        };
        if s.eq_ignore_ascii_case("nan") {
            return Ok(Numeric::NaN);
        }
        if body.eq_ignore_ascii_case("infinity") || body.eq_ignore_ascii_case("inf") {
            return Ok(if negative {
                Numeric::NegInfinity
            } else {
                Numeric::Infinity
            });
        }
        let (mantissa, exponent) = match body.find(['e', 'E']) {
            Some(at) => (&body[..at], Some(&body[at + 1..])),
            None => (body, None),
        };
        if exponent.is_none()
            && let Some(small) = small::read(negative, mantissa)
        {
            return Ok(small);
        }
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if whole.len() + fraction.len() == 0 || !all_digits(whole) || !all_digits(fraction) {
            return Err(invalid());
        }
        let exponent = match exponent {
            None => 0,
            Some(e) => {
                let digits = e.strip_prefix(['+', '-']).unwrap_or(e);
                if digits.is_empty() || !all_digits(digits) {
                    return Err(invalid());
                }
                e.parse::<i64>()
                    .ok()
                    .filter(|e| e.abs() < i64::from(i32::MAX / 2))
                    .ok_or_else(overflow)?
            }
        };
        build(negative, whole, fraction, exponent)
    }
}

/// The number of these digits, refused before any power of ten is computed when it is over the limits.
fn build(negative: bool, whole: &str, fraction: &str, exponent: i64) -> Result<Numeric> {
    let scale = fraction.len() as i64 - exponent;
    if scale > i64::from(SCALE_MAX) {
        return Err(overflow());
    }
    let digits = [whole, fraction].concat();
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return Ok(Numeric::raw(BigInt::zero(), scale.max(0) as u32));
    }
    if digits.len() as i64 - scale > DIGITS_BEFORE_MAX as i64 {
        return Err(overflow());
    }
    let mut mantissa = match digits.parse::<i64>() {
        Ok(small) => BigInt::from(small),
        Err(_) => BigInt::parse_bytes(digits.as_bytes(), 10).ok_or_else(overflow)?,
    };
    if scale < 0 {
        mantissa *= pow10(scale.unsigned_abs() as u32);
    }
    if negative {
        mantissa = -mantissa;
    }
    Ok(Numeric::raw(mantissa, scale.max(0) as u32))
}
