//! The four operations, remainder, rounding and comparison of NUMERIC.
//!
//! Owns: result scales. Source: PostgreSQL 15 `numeric.c` (`add_var`, `mul_var`, `select_div_scale`, `mod_var`).

use super::{Numeric, SCALE_MAX, overflow, small};
use crate::{Error, Result, SqlState};
use num_bigint::{BigInt, Sign};
use num_traits::{One, Signed, ToPrimitive, Zero};
use std::borrow::Cow;
use std::cmp::Ordering;

/// A quotient carries at least so many significant digits.
pub(super) const SIGNIFICANT_MIN: i64 = 16;
/// The most digits after the point that a function chooses by itself.
pub(super) const RESULT_SCALE_MAX: i64 = 1_000;

/// 10^`n`.
pub fn pow10(n: u32) -> BigInt {
    if n <= 38 {
        return BigInt::from(10u128.pow(n));
    }
    BigInt::from(10u8).pow(n)
}

/// `mantissa` of scale `from` at scale `to`, half away from zero.
pub(super) fn rescale(mantissa: &BigInt, from: u32, to: u32) -> BigInt {
    match to.cmp(&from) {
        Ordering::Equal => mantissa.clone(),
        Ordering::Greater => mantissa * pow10(to - from),
        Ordering::Less => div_round(mantissa, &pow10(from - to)),
    }
}

/// `a / b` rounded half away from zero; `b` is not zero.
pub(super) fn div_round(a: &BigInt, b: &BigInt) -> BigInt {
    let quotient = a / b;
    let rest = a - &quotient * b;
    if rest.magnitude() * 2u8 < *b.magnitude() {
        return quotient;
    }
    if (a.sign() == Sign::Minus) != (b.sign() == Sign::Minus) {
        quotient - 1
    } else {
        quotient + 1
    }
}

fn division_by_zero() -> Error {
    Error::new(SqlState::DIVISION_BY_ZERO, "division by zero")
}

type Parts<'a> = (Cow<'a, BigInt>, u32);

/// Both finite, brought to one scale.
fn align(a: Parts<'_>, b: Parts<'_>) -> (BigInt, BigInt, u32) {
    let scale = a.1.max(b.1);
    let lift = |p: Parts<'_>| {
        if p.1 == scale {
            p.0.into_owned()
        } else {
            rescale(&p.0, p.1, scale)
        }
    };
    (lift(a), lift(b), scale)
}

impl Numeric {
    pub fn add(&self, other: &Numeric) -> Result<Numeric> {
        if let Some(sum) = small::add(self, other) {
            return Ok(sum);
        }
        match (self.parts(), other.parts()) {
            (Some(a), Some(b)) if a.1 == b.1 => {
                Numeric::from_parts(a.0.as_ref() + b.0.as_ref(), a.1)
            }
            (Some(a), Some(b)) => {
                let (a, b, scale) = align(a, b);
                Numeric::from_parts(a + b, scale)
            }
            _ => Ok(match (self, other) {
                (Numeric::NaN, _) | (_, Numeric::NaN) => Numeric::NaN,
                (Numeric::Infinity, Numeric::NegInfinity)
                | (Numeric::NegInfinity, Numeric::Infinity) => Numeric::NaN,
                (Numeric::Infinity, _) | (_, Numeric::Infinity) => Numeric::Infinity,
                _ => Numeric::NegInfinity,
            }),
        }
    }

    pub fn sub(&self, other: &Numeric) -> Result<Numeric> {
        self.add(&other.neg())
    }

    pub fn mul(&self, other: &Numeric) -> Result<Numeric> {
        if let Some(product) = small::mul(self, other) {
            return Ok(product);
        }
        if let (Some((a, sa)), Some((b, sb))) = (self.parts(), other.parts()) {
            return Numeric::from_parts(a.as_ref() * b.as_ref(), sa + sb);
        }
        if self.is_nan() || other.is_nan() || self.is_zero() || other.is_zero() {
            return Ok(Numeric::NaN);
        }
        Ok(if self.is_negative() == other.is_negative() {
            Numeric::Infinity
        } else {
            Numeric::NegInfinity
        })
    }

    pub fn div(&self, other: &Numeric) -> Result<Numeric> {
        if self.is_nan() || other.is_nan() {
            return Ok(Numeric::NaN);
        }
        if other.is_zero() {
            return Err(division_by_zero());
        }
        if let Some(quotient) = small::div(self, other) {
            return Ok(quotient);
        }
        match (self.parts(), other.parts()) {
            (Some((a, sa)), Some((b, sb))) => {
                let scale = div_scale((&a, sa), (&b, sb));
                quotient((&a, sa), (&b, sb), scale)
            }
            (None, None) => Ok(Numeric::NaN),
            (Some(_), None) => Ok(Numeric::zero()),
            (None, Some(_)) => Ok(if self.is_negative() == other.is_negative() {
                Numeric::Infinity
            } else {
                Numeric::NegInfinity
            }),
        }
    }

    /// `div()`: the quotient cut to an integer.
    pub fn div_trunc(&self, other: &Numeric) -> Result<Numeric> {
        match (self.parts(), other.parts()) {
            (Some(a), Some(b)) if !b.0.is_zero() => {
                let (a, b, _) = align(a, b);
                Numeric::from_parts(a / b, 0)
            }
            _ => self.div(other),
        }
    }

    /// The remainder of truncated division; it has the sign of the dividend.
    pub fn rem(&self, other: &Numeric) -> Result<Numeric> {
        if self.is_nan() || other.is_nan() {
            return Ok(Numeric::NaN);
        }
        if other.is_zero() {
            return Err(division_by_zero());
        }
        match (self.parts(), other.parts()) {
            (Some(a), Some(b)) => {
                let (a, b, scale) = align(a, b);
                Numeric::from_parts(a % b, scale)
            }
            (None, _) => Ok(Numeric::NaN),
            (Some(_), None) => Ok(self.clone()),
        }
    }

    pub fn neg(&self) -> Numeric {
        match self {
            Numeric::Small(mantissa, scale) => match mantissa.checked_neg() {
                Some(negated) => Numeric::Small(negated, *scale),
                None => Numeric::raw(-BigInt::from(*mantissa), u32::from(*scale)),
            },
            Numeric::Large(d) => Numeric::raw(-&d.mantissa, d.scale),
            Numeric::NaN => Numeric::NaN,
            Numeric::Infinity => Numeric::NegInfinity,
            Numeric::NegInfinity => Numeric::Infinity,
        }
    }

    pub fn abs(&self) -> Numeric {
        if self.is_negative() {
            self.neg()
        } else {
            self.clone()
        }
    }

    /// -1, 0 or 1; NaN stays NaN.
    pub fn sign(&self) -> Numeric {
        match self {
            Numeric::NaN => Numeric::NaN,
            n if n.is_zero() => Numeric::zero(),
            n if n.is_negative() => Numeric::from(-1i64),
            _ => Numeric::from(1i64),
        }
    }

    /// PostgreSQL's total order: -Infinity, numbers, Infinity, NaN. 1.0 and 1.00 are equal.
    pub fn compare(&self, other: &Numeric) -> Ordering {
        if let Some(order) = small::compare(self, other) {
            return order;
        }
        let rank = |n: &Numeric| match n {
            Numeric::NegInfinity => 0,
            Numeric::Small(..) | Numeric::Large(_) => 1,
            Numeric::Infinity => 2,
            Numeric::NaN => 3,
        };
        match (self.parts(), other.parts()) {
            (Some((a, sa)), Some((b, sb))) => {
                if sa == sb || a.sign() != b.sign() {
                    return a.cmp(&b);
                }
                let (a, b, _) = align((a, sa), (b, sb));
                a.cmp(&b)
            }
            _ => rank(self).cmp(&rank(other)),
        }
    }

    /// `round(v, places)`: half away from zero; negative places round before the point.
    pub fn round(&self, places: i32) -> Result<Numeric> {
        if let Some(rounded) = small::round(self, places) {
            return Ok(rounded);
        }
        self.with_places(places, rescale)
    }

    /// `trunc(v, places)`: towards zero.
    pub fn trunc(&self, places: i32) -> Result<Numeric> {
        self.with_places(places, |m, from, to| {
            if to >= from {
                rescale(m, from, to)
            } else {
                m / pow10(from - to)
            }
        })
    }

    fn with_places(
        &self,
        places: i32,
        cut: impl Fn(&BigInt, u32, u32) -> BigInt,
    ) -> Result<Numeric> {
        let Some((mantissa, scale)) = self.parts() else {
            return Ok(self.clone());
        };
        let places = places.clamp(-131_073, SCALE_MAX as i32);
        if places >= 0 {
            return Numeric::from_parts(cut(&mantissa, scale, places as u32), places as u32);
        }
        let before = places.unsigned_abs();
        // Seen with `before` more decimals the position asked for is the unit.
        let units = cut(&mantissa, scale + before, 0);
        Numeric::from_parts(units * pow10(before), 0)
    }

    pub fn floor(&self) -> Result<Numeric> {
        self.to_whole(-1)
    }

    pub fn ceil(&self) -> Result<Numeric> {
        self.to_whole(1)
    }

    fn to_whole(&self, step: i32) -> Result<Numeric> {
        let Some((mantissa, scale)) = self.parts() else {
            return Ok(self.clone());
        };
        let unit = pow10(scale);
        let mut whole = mantissa.as_ref() / &unit;
        let rest = mantissa.as_ref() - &whole * &unit;
        if (step < 0 && rest.is_negative()) || (step > 0 && rest.is_positive()) {
            whole += step;
        }
        Numeric::from_parts(whole, 0)
    }

    /// Fits the precision and scale of a `numeric(p,s)`, rounded to it; `None` when it does not.
    pub fn fit(&self, precision: i32, scale: i32) -> Result<Option<Numeric>> {
        let rounded = match self {
            Numeric::Small(..) | Numeric::Large(_) => self.round(scale)?,
            Numeric::NaN => return Ok(Some(Numeric::NaN)),
            Numeric::Infinity | Numeric::NegInfinity => return Ok(None),
        };
        let before = match &rounded {
            Numeric::Small(mantissa, own) => small::digit_count(*mantissa) - i64::from(*own),
            Numeric::Large(d) => super::digit_count(&d.mantissa) as i64 - i64::from(d.scale),
            Numeric::NaN | Numeric::Infinity | Numeric::NegInfinity => return Ok(None),
        };
        if !rounded.is_zero() && before > i64::from(precision - scale) {
            return Ok(None);
        }
        Ok(Some(rounded))
    }

    /// Without trailing zeros after the point (`trim_scale`).
    pub fn trim_scale(&self) -> Numeric {
        let Some((mantissa, scale)) = self.parts() else {
            return self.clone();
        };
        let min = min_scale(&mantissa, scale);
        Numeric::raw(rescale(&mantissa, scale, min), min)
    }
}

/// The smallest scale that loses nothing.
fn min_scale(mantissa: &BigInt, scale: u32) -> u32 {
    if mantissa.is_zero() {
        return 0;
    }
    let zeros = match mantissa.to_i128() {
        Some(mut small) => {
            let mut zeros = 0;
            while small % 10 == 0 {
                small /= 10;
                zeros += 1;
            }
            zeros
        }
        None => {
            let digits = mantissa.magnitude().to_radix_le(10);
            digits.iter().take_while(|d| **d == 0).count() as u32
        }
    };
    scale - zeros.min(scale)
}

/// The first base-10000 digit and its weight, as PostgreSQL stores them; (0, 0) for zero.
pub(super) fn leading(mantissa: &BigInt, scale: u32) -> (i64, i64) {
    if mantissa.is_zero() {
        return (0, 0);
    }
    let digits = super::digit_count(mantissa) as i64;
    let exponent = digits - i64::from(scale) - 1;
    let weight = exponent.div_euclid(4);
    let wanted = exponent.rem_euclid(4) + 1;
    let first = if wanted >= digits {
        mantissa.magnitude() * pow10((wanted - digits) as u32).magnitude()
    } else {
        mantissa.magnitude() / pow10((digits - wanted) as u32).magnitude()
    };
    (weight, first.to_i64().unwrap_or(0))
}

fn div_scale(a: (&BigInt, u32), b: (&BigInt, u32)) -> u32 {
    let (weight_a, first_a) = leading(a.0, a.1);
    let (weight_b, first_b) = leading(b.0, b.1);
    quotient_scale((weight_a, first_a, a.1), (weight_b, first_b, b.1))
}

/// Of the operands' weights, first digits and scales.
pub(super) fn quotient_scale(a: (i64, i64, u32), b: (i64, i64, u32)) -> u32 {
    let mut weight = a.0 - b.0;
    // Equal first digits leave it open; the quotient is then taken to be below one.
    if a.1 <= b.1 {
        weight -= 1;
    }
    (SIGNIFICANT_MIN - weight * 4)
        .max(i64::from(a.2))
        .max(i64::from(b.2))
        .clamp(0, RESULT_SCALE_MAX) as u32
}

/// `a / b` at `scale`; `b` is not zero.
pub(super) fn quotient(a: (&BigInt, u32), b: (&BigInt, u32), scale: u32) -> Result<Numeric> {
    // a·10^-sa / b·10^-sb at 10^-scale: a · 10^(scale + sb - sa) / b.
    let shift = i64::from(scale) + i64::from(b.1) - i64::from(a.1);
    let value = if shift >= 0 {
        div_round(&(a.0 * pow10(shift as u32)), b.0)
    } else {
        div_round(a.0, &(b.0 * pow10(shift.unsigned_abs() as u32)))
    };
    Numeric::from_parts(value, scale)
}

/// `base` to a whole power by squaring, exact.
pub(super) fn pow_exact(base: &BigInt, mut n: u32) -> Result<BigInt> {
    if base.bits() * u64::from(n) > 4 * (super::DIGITS_BEFORE_MAX + u64::from(SCALE_MAX)) {
        return Err(overflow());
    }
    let mut square = base.clone();
    let mut result = BigInt::one();
    while n > 0 {
        if n & 1 == 1 {
            result *= &square;
        }
        n >>= 1;
        if n > 0 {
            square = &square * &square;
        }
    }
    Ok(result)
}
