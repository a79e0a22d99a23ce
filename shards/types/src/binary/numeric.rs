//! NUMERIC in base 10000: count, weight, sign, display scale, digits.

use super::{malformed, take, wrong_size};
use crate::numeric::pow10;
use crate::{Numeric, Result};
use num_bigint::{BigInt, Sign};
use num_traits::Zero;

const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const INFINITY: u16 = 0xD000;
const NEG_INFINITY: u16 = 0xF000;

pub(super) fn encode(n: &Numeric, out: &mut Vec<u8>) {
    let head = |out: &mut Vec<u8>, count: u16, weight: i16, sign: u16, scale: u16| {
        out.extend_from_slice(&count.to_be_bytes());
        out.extend_from_slice(&weight.to_be_bytes());
        out.extend_from_slice(&sign.to_be_bytes());
        out.extend_from_slice(&scale.to_be_bytes());
    };
    let Some((mantissa, scale)) = n.parts() else {
        let sign = match n {
            Numeric::Infinity => INFINITY,
            Numeric::NegInfinity => NEG_INFINITY,
            _ => NAN,
        };
        // The infinities go out with the scale PostgreSQL sends for them.
        let scale = if sign == NAN { 0 } else { 0x20 };
        return head(out, 0, 0, sign, scale);
    };
    if mantissa.is_zero() {
        return head(out, 0, 0, 0, scale as u16);
    }
    // Decimal digits padded on both sides so that groups of four meet the point.
    let mut digits = mantissa.magnitude().to_radix_be(10);
    let tail = (4 - scale as usize % 4) % 4;
    digits.resize(digits.len() + tail, 0);
    let lead = (4 - digits.len() % 4) % 4;
    digits.splice(0..0, std::iter::repeat_n(0, lead));
    let groups: Vec<u16> = digits
        .chunks_exact(4)
        .map(|c| c.iter().fold(0, |v, d| v * 10 + u16::from(*d)))
        .collect();
    let weight = groups.len() as i64 - 1 - (scale as usize).div_ceil(4) as i64;
    let first = groups.iter().position(|g| *g != 0).unwrap_or(0);
    let last = groups.iter().rposition(|g| *g != 0).unwrap_or(0);
    let sign = if mantissa.sign() == Sign::Minus {
        NEGATIVE
    } else {
        0
    };
    let used = &groups[first..=last];
    head(
        out,
        used.len() as u16,
        (weight - first as i64) as i16,
        sign,
        scale as u16,
    );
    for group in used {
        out.extend_from_slice(&group.to_be_bytes());
    }
}

pub(super) fn decode(bytes: &[u8]) -> Result<Numeric> {
    let mut rest = bytes;
    let count = u16::from_be_bytes(*take::<2>(&mut rest)?);
    let weight = i64::from(i16::from_be_bytes(*take::<2>(&mut rest)?));
    let sign = u16::from_be_bytes(*take::<2>(&mut rest)?);
    let scale = u16::from_be_bytes(*take::<2>(&mut rest)?);
    if rest.len() != usize::from(count) * 2 {
        return Err(wrong_size());
    }
    let negative = match sign {
        0 => false,
        NEGATIVE => true,
        NAN => return Ok(Numeric::NaN),
        INFINITY => return Ok(Numeric::Infinity),
        NEG_INFINITY => return Ok(Numeric::NegInfinity),
        _ => return Err(malformed("invalid sign in external \"numeric\" value")),
    };
    if u32::from(scale) > crate::numeric::SCALE_MAX {
        return Err(malformed("invalid scale in external \"numeric\" value"));
    }
    let mut digits = Vec::with_capacity(usize::from(count) * 4);
    for pair in rest.chunks_exact(2) {
        let group = u16::from_be_bytes([pair[0], pair[1]]);
        if group >= 10_000 {
            return Err(malformed("invalid digit in external \"numeric\" value"));
        }
        digits.extend(
            [group / 1_000, group / 100 % 10, group / 10 % 10, group % 10].map(|d| d as u8),
        );
    }
    // The digits are an integer times 10000^(weight - count + 1).
    let power = (weight - i64::from(count) + 1) * 4;
    let sign = if negative { Sign::Minus } else { Sign::Plus };
    let digits = if digits.is_empty() { vec![0] } else { digits };
    let mantissa = BigInt::from_radix_be(sign, &digits, 10)
        .ok_or_else(|| malformed("invalid digit in external \"numeric\" value"))?;
    let value = if power >= 0 {
        Numeric::from_parts(mantissa * pow10(power as u32), 0)?
    } else if power >= -i64::from(crate::numeric::SCALE_MAX) {
        Numeric::from_parts(mantissa, power.unsigned_abs() as u32)?
    } else {
        return Err(crate::numeric::overflow());
    };
    // Digits hidden behind the display scale are cut, as `numeric_recv` does.
    value.trunc(i32::from(scale))
}
