//! Square root, exponential, logarithms and powers of NUMERIC.
//!
//! Owns: the result scales PostgreSQL chooses (16 significant digits, never less than the arguments' scales) and the
//! series behind them, computed in fixed point with guard digits.
//! Bounds: a result scale is at most 1,000 digits; arguments that would overflow are refused before the work.
//! Source: PostgreSQL 15 `numeric.c` (`sqrt_var`, `exp_var`, `ln_var`, `log_var`, `power_var`, `power_var_int`).

use super::arith::{
    RESULT_SCALE_MAX, SIGNIFICANT_MIN, div_round, leading, pow_exact, pow10, quotient, rescale,
};
use super::{Numeric, digit_count, overflow};
use crate::{Error, Result, SqlState};
use num_bigint::BigInt;
use num_traits::{One, Signed, ToPrimitive, Zero};

/// log10(e).
const LOG10_E: f64 = std::f64::consts::LOG10_E;
/// Digits kept beyond the result's scale while a series is summed.
const GUARD: u32 = 12;
/// PostgreSQL's NUMERIC_MAX_RESULT_SCALE.
const EXPONENT_MAX: f64 = 2_000.0;

fn result_scale(wanted: i64, scales: &[u32]) -> u32 {
    let least = scales.iter().copied().max().unwrap_or(0);
    wanted.max(i64::from(least)).clamp(0, RESULT_SCALE_MAX) as u32
}

impl Numeric {
    pub fn sqrt(&self) -> Result<Numeric> {
        let Some((mantissa, scale)) = self.parts() else {
            return match self {
                Numeric::NegInfinity => Err(negative_root()),
                other => Ok(other.clone()),
            };
        };
        if mantissa.is_negative() {
            return Err(negative_root());
        }
        let (weight, _) = leading(&mantissa, scale);
        let digits = (weight + 1) * 4 / 2 - 1;
        let out = result_scale(SIGNIFICANT_MIN - digits, &[scale]);
        // One more digit than shown, then rounded: the root of m·10^-s at scale k is sqrt(m·10^(2k-s)).
        let wide = mantissa.as_ref() * pow10(2 * (out + 1).max(scale) - scale);
        let root = wide.sqrt();
        Numeric::from_parts(rescale(&root, (out + 1).max(scale), out), out)
    }

    pub fn exp(&self) -> Result<Numeric> {
        let Some((mantissa, scale)) = self.parts() else {
            return Ok(match self {
                Numeric::NegInfinity => Numeric::zero(),
                other => other.clone(),
            });
        };
        let val = (self.to_f64() * LOG10_E).clamp(-EXPONENT_MAX, EXPONENT_MAX);
        let out = result_scale(SIGNIFICANT_MIN - val as i64, &[scale]);
        if self.to_f64().abs() >= EXPONENT_MAX * 3.0 {
            if mantissa.is_positive() {
                return Err(overflow());
            }
            return Numeric::from_parts(BigInt::zero(), out);
        }
        let value = exp_fixed(&mantissa, scale, out)?;
        Numeric::from_parts(value, out)
    }

    pub fn ln(&self) -> Result<Numeric> {
        let Some((mantissa, scale)) = self.parts() else {
            return match self {
                Numeric::NegInfinity => Err(negative_logarithm()),
                other => Ok(other.clone()),
            };
        };
        check_logarithm(&mantissa)?;
        let weight = ln_weight(&mantissa, scale);
        let out = result_scale(SIGNIFICANT_MIN - weight, &[scale]);
        let work = out + GUARD;
        Numeric::from_parts(rescale(&ln_fixed(&mantissa, scale, work), work, out), out)
    }

    /// The logarithm of `self` to `base`.
    pub fn log(&self, base: &Numeric) -> Result<Numeric> {
        let (Some((b, sb)), Some((n, sn))) = (base.parts(), self.parts()) else {
            return log_of_special(base, self);
        };
        check_logarithm(&b)?;
        check_logarithm(&n)?;
        let base_weight = ln_weight(&b, sb);
        let num_weight = ln_weight(&n, sn);
        let out = result_scale(SIGNIFICANT_MIN - (num_weight - base_weight), &[sb, sn]);
        // The quotient loses as many digits as the divisor starts behind the point.
        let extra = base_weight.unsigned_abs().max(num_weight.unsigned_abs()) as u32;
        let work = out + GUARD + 2 * extra;
        let ln_base = ln_fixed(&b, sb, work);
        if ln_base.is_zero() {
            return Err(Error::new(SqlState::DIVISION_BY_ZERO, "division by zero"));
        }
        quotient((&ln_fixed(&n, sn, work), work), (&ln_base, work), out)
    }

    pub fn log10(&self) -> Result<Numeric> {
        self.log(&Numeric::from(10i64))
    }

    pub fn power(&self, exponent: &Numeric) -> Result<Numeric> {
        let (Some((base, sb)), Some((exp, se))) = (self.parts(), exponent.parts()) else {
            return power_of_special(self, exponent);
        };
        if base.is_zero() && exp.is_negative() {
            return Err(Error::new(
                SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION,
                "zero raised to a negative power is undefined",
            ));
        }
        if let Some(whole) = exponent.as_integer()
            && let Ok(whole) = i32::try_from(whole)
        {
            let out = result_scale(SIGNIFICANT_MIN, &[sb]);
            return power_whole(&base, sb, whole, out);
        }
        let whole = rescale(&exp, se, 0) * pow10(se) == *exp;
        if base.is_negative() && !whole {
            return Err(Error::new(
                SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION,
                "a negative number raised to a non-integer power yields a complex result",
            ));
        }
        if base.is_zero() {
            return Numeric::from_parts(BigInt::zero(), SIGNIFICANT_MIN as u32);
        }
        let odd = whole && (rescale(&exp, se, 0) % 2i32) != BigInt::zero();
        let result = power_real((&base.abs(), sb), (&exp, se))?;
        Ok(if base.is_negative() && odd {
            result.neg()
        } else {
            result
        })
    }
}

fn negative_root() -> Error {
    Error::new(
        SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION,
        "cannot take square root of a negative number",
    )
}

fn negative_logarithm() -> Error {
    Error::new(
        SqlState::INVALID_ARGUMENT_FOR_LOGARITHM,
        "cannot take logarithm of a negative number",
    )
}

fn check_logarithm(v: &BigInt) -> Result<()> {
    if v.is_zero() {
        return Err(Error::new(
            SqlState::INVALID_ARGUMENT_FOR_LOGARITHM,
            "cannot take logarithm of zero",
        ));
    }
    if v.is_negative() {
        return Err(negative_logarithm());
    }
    Ok(())
}

/// Decimal weight of ln(m·10^-s), estimated as PostgreSQL does so that result scales agree.
fn ln_weight(mantissa: &BigInt, scale: u32) -> i64 {
    let tenths = mantissa * 10;
    let unit = pow10(scale);
    if tenths >= &unit * 9 && tenths <= &unit * 11 {
        let beyond = (mantissa - unit).abs();
        if beyond.is_zero() {
            return 0;
        }
        let (weight, first) = leading(&beyond, scale);
        return weight * 4 + (first as f64).log10() as i64;
    }
    let (value, power) = approximate(mantissa, scale);
    let ln = value.ln() + power as f64 * std::f64::consts::LN_10;
    ln.abs().log10() as i64
}

/// (f, p) with m·10^-s ≈ f·10^p and f from the leading digits, for sizes an `f64` cannot hold.
fn approximate(mantissa: &BigInt, scale: u32) -> (f64, i64) {
    let cut = (digit_count(mantissa) as i64 - 17).max(0);
    let head = mantissa / pow10(cut as u32);
    (head.to_f64().unwrap_or(0.0), cut - i64::from(scale))
}

/// e^(m·10^-s) at scale `out`. |argument| < 6,000.
fn exp_fixed(mantissa: &BigInt, scale: u32, out: u32) -> Result<BigInt> {
    let approx = approximate(mantissa, scale);
    let size = (approx.0 * 10f64.powi(approx.1 as i32)).abs();
    // Halve the argument until the series converges fast; each later squaring doubles the relative error.
    let halvings = (size.max(1e-9).log2().ceil() as i64 + 8).max(0) as u32;
    let digits_before = (size * LOG10_E) as u32 + 2;
    let work = out + digits_before + halvings / 3 + GUARD;
    let one = pow10(work);
    let mut x = rescale(mantissa, scale, work);
    x >>= halvings;
    let mut sum = &one + &x;
    let mut term = x.clone();
    let mut n = 2u32;
    while !term.is_zero() && !term.abs().is_one() {
        term = &term * &x / &one / n;
        sum += &term;
        n += 1;
    }
    for _ in 0..halvings {
        sum = &sum * &sum / &one;
    }
    Ok(rescale(&sum, work, out))
}

/// ln(m·10^-s) at scale `out`, m > 0: repeated square roots towards one, then 2·artanh((x-1)/(x+1)).
fn ln_fixed(mantissa: &BigInt, scale: u32, out: u32) -> BigInt {
    let guard = 24;
    let work = out + guard;
    let one = pow10(work);
    // Take out powers of ten so that the fixed point holds the rest.
    let digits = digit_count(mantissa) as i64 - i64::from(scale);
    let power = if (0..=1).contains(&digits) { 0 } else { digits };
    let mut x = if power >= 0 {
        div_round(&(mantissa * &one), &pow10(scale + power as u32))
    } else {
        div_round(
            &(mantissa * &one * pow10(power.unsigned_abs() as u32)),
            &pow10(scale),
        )
    };
    let mut doublings = 0u32;
    let low = &one * 999 / 1000;
    let high = &one * 1001 / 1000;
    while x < low || x > high {
        x = (&x * &one).sqrt();
        doublings += 1;
    }
    let mut result = artanh_twice(&x, &one) << doublings;
    if power != 0 {
        result += ln_ten(work) * power;
    }
    rescale(&result, work, out)
}

fn artanh_twice(x: &BigInt, one: &BigInt) -> BigInt {
    let y = (x - one) * one / (x + one);
    let square = &y * &y / one;
    let mut sum = y.clone();
    let mut term = y;
    let mut n = 3u32;
    while !term.is_zero() && !term.abs().is_one() {
        term = &term * &square / one;
        sum += &term / n;
        n += 2;
    }
    sum * 2
}

/// ln(10) at `scale`: ln 10 = 3 ln 2 + ln 1.25, both by artanh.
fn ln_ten(scale: u32) -> BigInt {
    let work = scale + 10;
    let one = pow10(work);
    let two = artanh_twice(&(&one * 2), &one);
    let rest = artanh_twice(&(&one * 125 / 100), &one);
    rescale(&(two * 3 + rest), work, scale)
}

/// base^n for a whole n, at scale `out`.
fn power_whole(base: &BigInt, scale: u32, n: i32, out: u32) -> Result<Numeric> {
    if n == 0 {
        return Numeric::from_parts(pow10(out), out);
    }
    if base.is_zero() {
        return Numeric::from_parts(BigInt::zero(), out);
    }
    let (head, power) = approximate(&base.abs(), scale);
    let weight = f64::from(n) * (head.log10() + power as f64);
    if weight > 3.0 * 32_767.0 * 4.0 {
        return Err(overflow());
    }
    if weight + 1.0 < -f64::from(out) {
        return Numeric::from_parts(BigInt::zero(), out);
    }
    let count = n.unsigned_abs();
    if digit_count(base) * u64::from(count) <= 2_000 {
        let exact = pow_exact(base, count)?;
        let exact_scale = scale * count;
        return if n > 0 {
            Numeric::from_parts(rescale(&exact, exact_scale, out), out)
        } else {
            quotient((&BigInt::one(), 0), (&exact, exact_scale), out)
        };
    }
    let digits = 1 + i64::from(out) + weight as i64 + (f64::from(count)).ln() as i64 + 8;
    power_rounded((base, scale), n, digits.max(16) as u64, out)
}

/// Squaring with every intermediate cut to `digits` significant digits, so memory stays with the result's size.
fn power_rounded(base: (&BigInt, u32), n: i32, digits: u64, out: u32) -> Result<Numeric> {
    let cut = |m: BigInt, exponent: i64| {
        let have = digit_count(&m);
        if have <= digits + 4 {
            return (m, exponent);
        }
        let drop = have - digits;
        (div_round(&m, &pow10(drop as u32)), exponent + drop as i64)
    };
    let mut square = cut(base.0.clone(), -i64::from(base.1));
    let mut result = (BigInt::one(), 0i64);
    let mut left = n.unsigned_abs();
    while left > 0 {
        if left & 1 == 1 {
            result = cut(&result.0 * &square.0, result.1 + square.1);
        }
        left >>= 1;
        if left > 0 {
            square = cut(&square.0 * &square.0, square.1 * 2);
        }
    }
    let limit = 300_000;
    if result.1.abs() > limit {
        if (result.1 > 0) == (n > 0) {
            return Err(overflow());
        }
        return Numeric::from_parts(BigInt::zero(), out);
    }
    let (mantissa, scale) = if result.1 >= 0 {
        (result.0 * pow10(result.1 as u32), 0)
    } else {
        (result.0, result.1.unsigned_abs() as u32)
    };
    if n > 0 {
        Numeric::from_parts(rescale(&mantissa, scale, out), out)
    } else {
        quotient((&BigInt::one(), 0), (&mantissa, scale), out)
    }
}

/// e^(exp · ln base) for a positive base.
fn power_real(base: (&BigInt, u32), exp: (&BigInt, u32)) -> Result<Numeric> {
    let ln = ln_fixed(base.0, base.1, 24);
    let val = Numeric::raw(&ln * exp.0, 24 + exp.1).to_f64();
    if val.abs() > EXPONENT_MAX * 3.01 {
        if val > 0.0 {
            return Err(overflow());
        }
        return Numeric::from_parts(BigInt::zero(), RESULT_SCALE_MAX as u32);
    }
    let weight = (val * LOG10_E) as i64;
    let out = result_scale(SIGNIFICANT_MIN - weight, &[base.1, exp.1]);
    let before = digit_count(exp.0).saturating_sub(u64::from(exp.1)) as u32;
    let work = out + weight.unsigned_abs() as u32 + before + GUARD;
    let ln = ln_fixed(base.0, base.1, work);
    let argument = rescale(&(ln * exp.0), work + exp.1, work);
    Numeric::from_parts(exp_fixed(&argument, work, out)?, out)
}

fn log_of_special(base: &Numeric, num: &Numeric) -> Result<Numeric> {
    if base.is_nan() || num.is_nan() {
        return Ok(Numeric::NaN);
    }
    for v in [base, num] {
        if v.is_negative() {
            return Err(negative_logarithm());
        }
        if let Some((m, _)) = v.parts() {
            check_logarithm(&m)?;
        }
    }
    Ok(match (base, num) {
        (Numeric::Infinity, Numeric::Infinity) => Numeric::NaN,
        (Numeric::Infinity, _) => Numeric::zero(),
        _ => Numeric::Infinity,
    })
}

/// POSIX `pow()`'s rules, as PostgreSQL applies them to NaN and the infinities.
fn power_of_special(base: &Numeric, exp: &Numeric) -> Result<Numeric> {
    let one = Numeric::from(1i64);
    let base_is_one = base.compare(&one).is_eq();
    if base.is_nan() || exp.is_nan() {
        let defined = (base.is_nan() && exp.is_zero()) || (exp.is_nan() && base_is_one);
        return Ok(if defined { one } else { Numeric::NaN });
    }
    if base.is_zero() && exp.is_negative() {
        return Err(Error::new(
            SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION,
            "zero raised to a negative power is undefined",
        ));
    }
    if base_is_one || exp.is_zero() {
        return Ok(one);
    }
    if matches!(exp, Numeric::Infinity | Numeric::NegInfinity) {
        if base.is_zero() {
            return Ok(Numeric::zero());
        }
        let size = base.abs().compare(&one);
        return Ok(match (size, exp) {
            (std::cmp::Ordering::Equal, _) => one,
            (std::cmp::Ordering::Greater, Numeric::Infinity)
            | (std::cmp::Ordering::Less, Numeric::NegInfinity) => Numeric::Infinity,
            _ => Numeric::zero(),
        });
    }
    // The base is an infinity, the exponent finite and not zero.
    if matches!(base, Numeric::Infinity) {
        return Ok(if exp.is_negative() {
            Numeric::zero()
        } else {
            Numeric::Infinity
        });
    }
    let Some(whole) = exp.as_integer() else {
        return Err(Error::new(
            SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION,
            "a negative number raised to a non-integer power yields a complex result",
        ));
    };
    Ok(match (whole > 0, whole % 2 != 0) {
        (false, _) => Numeric::zero(),
        (true, true) => Numeric::NegInfinity,
        (true, false) => Numeric::Infinity,
    })
}
