//! NUMERIC of up to 64 bits of digits, which nearly all are: no memory is asked for.
//!
//! Owns: arithmetic, order and text of `Small` numbers. Asked by: `arith` and `mod`, first; `None` means that the general
//! way has to be taken (an operand or the result is too large, or not a number), never an error.
//! Bounds: results between are 128 bits wide.

use super::arith::quotient_scale;
use super::{Numeric, SCALE_MAX, write_digits};
use num_bigint::BigInt;
use std::cmp::Ordering;
use std::fmt;

/// 10^18 is the largest power of ten of which any 64-bit multiple fits 128 bits with room for a sum.
const LIFT_MAX: u32 = 18;

const POWERS: [i128; LIFT_MAX as usize + 1] = {
    let mut powers = [1; LIFT_MAX as usize + 1];
    let mut n = 1;
    while n < powers.len() {
        powers[n] = powers[n - 1] * 10;
        n += 1;
    }
    powers
};

#[inline]
fn pair(a: &Numeric, b: &Numeric) -> Option<((i64, u32), (i64, u32))> {
    match (a, b) {
        (Numeric::Small(a, sa), Numeric::Small(b, sb)) => {
            Some(((*a, u32::from(*sa)), (*b, u32::from(*sb))))
        }
        _ => None,
    }
}

/// Of a scale up to `SCALE_MAX`.
#[inline]
fn number(mantissa: i128, scale: u32) -> Option<Numeric> {
    if scale > SCALE_MAX {
        return None;
    }
    Some(match i64::try_from(mantissa) {
        Ok(small) => Numeric::Small(small, scale as u16),
        Err(_) => Numeric::raw(BigInt::from(mantissa), scale),
    })
}

/// Both at the larger scale.
#[inline]
fn aligned(a: (i64, u32), b: (i64, u32)) -> Option<(i128, i128, u32)> {
    let scale = a.1.max(b.1);
    let lift = |v: (i64, u32)| Some(i128::from(v.0) * POWERS.get((scale - v.1) as usize)?);
    Some((lift(a)?, lift(b)?, scale))
}

#[inline]
pub(super) fn add(a: &Numeric, b: &Numeric) -> Option<Numeric> {
    let (a, b) = pair(a, b)?;
    if a.1 == b.1
        && let Some(sum) = a.0.checked_add(b.0)
    {
        return Some(Numeric::Small(sum, a.1 as u16));
    }
    let (a, b, scale) = aligned(a, b)?;
    number(a + b, scale)
}

#[inline]
pub(super) fn mul(a: &Numeric, b: &Numeric) -> Option<Numeric> {
    let (a, b) = pair(a, b)?;
    number(i128::from(a.0) * i128::from(b.0), a.1 + b.1)
}

/// Where the divisor is not zero.
pub(super) fn div(a: &Numeric, b: &Numeric) -> Option<Numeric> {
    let (a, b) = pair(a, b)?;
    let (weight_a, first_a) = leading(a);
    let (weight_b, first_b) = leading(b);
    let scale = quotient_scale((weight_a, first_a, a.1), (weight_b, first_b, b.1));
    let shift = (scale + b.1).checked_sub(a.1)?;
    let wide = i128::from(a.0).checked_mul(10i128.checked_pow(shift)?)?;
    number(div_round(wide, i128::from(b.0))?, scale)
}

#[inline]
pub(super) fn compare(a: &Numeric, b: &Numeric) -> Option<Ordering> {
    let (a, b) = pair(a, b)?;
    if a.1 == b.1 || a.0.signum() != b.0.signum() {
        return Some(a.0.cmp(&b.0));
    }
    let (a, b, _) = aligned(a, b)?;
    Some(a.cmp(&b))
}

pub(super) fn round(v: &Numeric, places: i32) -> Option<Numeric> {
    let Numeric::Small(mantissa, scale) = v else {
        return None;
    };
    let places = u32::try_from(places).ok()?;
    if places == u32::from(*scale) {
        return Some(v.clone());
    }
    number(rescale(*mantissa, u32::from(*scale), places)?, places)
}

/// At another scale, half away from zero.
pub(super) fn rescale(mantissa: i64, from: u32, to: u32) -> Option<i128> {
    let wide = i128::from(mantissa);
    if to >= from {
        return Some(wide * POWERS.get((to - from) as usize)?);
    }
    div_round(wide, *POWERS.get((from - to) as usize)?)
}

/// `a / b` rounded half away from zero.
fn div_round(a: i128, b: i128) -> Option<i128> {
    let quotient = a.checked_div(b)?;
    let rest = a - quotient * b;
    if rest.unsigned_abs() < b.unsigned_abs().div_ceil(2) {
        return Some(quotient);
    }
    Some(quotient + if (a < 0) == (b < 0) { 1 } else { -1 })
}

/// Decimal digits; 0 for zero.
pub(super) fn digit_count(mantissa: i64) -> i64 {
    let digits = mantissa.unsigned_abs().checked_ilog10();
    digits.map_or(0, |n| i64::from(n) + 1)
}

/// As `arith::leading`.
fn leading(v: (i64, u32)) -> (i64, i64) {
    if v.0 == 0 {
        return (0, 0);
    }
    let digits = digit_count(v.0);
    let exponent = digits - i64::from(v.1) - 1;
    let wanted = exponent.rem_euclid(4) + 1;
    let size = v.0.unsigned_abs();
    let first = if wanted >= digits {
        size * 10u64.pow((wanted - digits) as u32)
    } else {
        size / 10u64.pow((digits - wanted) as u32)
    };
    (exponent.div_euclid(4), first as i64)
}

/// Digits with at most one point, where they are few enough; what this does not take may still be a number.
pub(super) fn read(negative: bool, text: &str) -> Option<Numeric> {
    if text.len() > LIFT_MAX as usize {
        return None;
    }
    let (mut mantissa, mut digits, mut point) = (0i64, 0, None);
    for b in text.bytes() {
        match b {
            b'0'..=b'9' => {
                mantissa = mantissa * 10 + i64::from(b - b'0');
                digits += 1;
            }
            b'.' if point.is_none() => point = Some(digits),
            _ => return None,
        }
    }
    let scale = digits - point.unwrap_or(digits);
    let signed = if negative { -mantissa } else { mantissa };
    (digits > 0).then_some(Numeric::Small(signed, scale as u16))
}

pub(super) fn write(f: &mut fmt::Formatter<'_>, mantissa: i64, scale: usize) -> fmt::Result {
    // A 64-bit number has at most 20 digits.
    let mut text = [0u8; 20];
    let mut at = text.len();
    let mut rest = mantissa.unsigned_abs();
    loop {
        at -= 1;
        text[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    let digits = std::str::from_utf8(&text[at..]).map_err(|_| fmt::Error)?;
    write_digits(f, mantissa < 0, digits, scale)
}
