//! NUMERIC in keys: see `key` for the layout.

use super::CodecError;
use super::bytes::Reader;
use num_bigint::{BigInt, Sign};
use types::Numeric;

const NEG_INFINITY: u8 = 0x10;
const NEGATIVE: u8 = 0x20;
const ZERO: u8 = 0x30;
const POSITIVE: u8 = 0x40;
const INFINITY: u8 = 0x50;
const NAN: u8 = 0x60;
/// The exponent is between -16,383 and 131,072; biased it fits three bytes.
const EXPONENT_BIAS: i64 = 1 << 23;

pub(super) fn put_numeric(n: &Numeric, out: &mut Vec<u8>) {
    let Some((mantissa, scale)) = n.parts() else {
        out.push(match n {
            Numeric::NegInfinity => NEG_INFINITY,
            Numeric::Infinity => INFINITY,
            _ => NAN,
        });
        return;
    };
    let (class, flip) = match mantissa.sign() {
        Sign::NoSign => {
            out.push(ZERO);
            return;
        }
        Sign::Minus => (NEGATIVE, 0xff),
        Sign::Plus => (POSITIVE, 0x00),
    };
    out.push(class);
    let digits = decimal_digits(&mantissa);
    // 0.d1d2… × 10^exponent with d1 not zero.
    let exponent = digits.len() as i64 - i64::from(scale);
    let biased = (exponent + EXPONENT_BIAS) as u32;
    out.extend(biased.to_be_bytes()[1..].iter().map(|b| b ^ flip));
    let used = digits.iter().rposition(|d| *d != 0).map_or(0, |i| i + 1);
    for pair in digits[..used].chunks(2) {
        let value = pair[0] * 10 + pair.get(1).copied().unwrap_or(0);
        out.push((value + 1) ^ flip);
    }
    out.push(flip);
}

/// Digits of |v|, most significant first.
fn decimal_digits(v: &BigInt) -> Vec<u8> {
    match u64::try_from(v.magnitude()) {
        Ok(small) => small.to_string().bytes().map(|b| b - b'0').collect(),
        Err(_) => v.magnitude().to_radix_be(10),
    }
}

pub(super) fn take_numeric(r: &mut Reader<'_>) -> Result<Numeric, CodecError> {
    let corrupt = || CodecError::Corrupt {
        what: "not a numeric key",
    };
    let (sign, flip) = match r.u8()? {
        NEG_INFINITY => return Ok(Numeric::NegInfinity),
        NEGATIVE => (Sign::Minus, 0xff),
        ZERO => return Ok(Numeric::zero()),
        POSITIVE => (Sign::Plus, 0x00),
        INFINITY => return Ok(Numeric::Infinity),
        NAN => return Ok(Numeric::NaN),
        _ => return Err(corrupt()),
    };
    let [a, b, c] = r.array::<3>()?.map(|b| b ^ flip);
    let exponent = i64::from(u32::from_be_bytes([0, a, b, c])) - EXPONENT_BIAS;
    let mut digits = Vec::new();
    loop {
        match r.u8()? ^ flip {
            0 => break,
            pair @ 1..=100 => digits.extend([(pair - 1) / 10, (pair - 1) % 10]),
            _ => return Err(corrupt()),
        }
    }
    if digits.last() == Some(&0) {
        digits.pop();
    }
    let scale = digits.len() as i64 - exponent;
    let mantissa = BigInt::from_radix_be(sign, &digits, 10).ok_or_else(corrupt)?;
    if !(-131_072..=i64::from(types::numeric::SCALE_MAX)).contains(&scale) {
        return Err(corrupt());
    }
    let (mantissa, scale) = if scale < 0 {
        let power = types::numeric::pow10(scale.unsigned_abs() as u32);
        (mantissa * power, 0)
    } else {
        (mantissa, scale as u32)
    };
    Numeric::from_parts(mantissa, scale).map_err(|_| corrupt())
}
