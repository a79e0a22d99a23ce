//! Comparison kernels.
//!
//! Owns: `=` and its like between two vectors, or a vector and a constant. The order is `types::order`'s. Asked by: `program`.

use super::kernels::{either_null, numeric_at};
use super::program::{Arg, Kind};
use super::vector::{Data, Vector};
use crate::plan::Comparison;
use std::cmp::Ordering;
use types::Numeric;
use types::order::compare_floats;

/// The first operand is a vector.
pub(super) fn compare(
    comparison: Comparison,
    kind: Kind,
    left: &Arg,
    right: &Arg,
    done: &[Vector],
    bytes: &[u8],
) -> Option<Vector> {
    let Arg::Of(at) = left else {
        return None;
    };
    let left = &done[*at];
    let other = match right {
        Arg::Of(at) => Some(&done[*at]),
        _ => None,
    };
    let verdicts = match kind {
        Kind::Ints => ints(comparison, left, right, other)?,
        Kind::Floats => floats(comparison, left, right, other)?,
        Kind::Decimals => decimals(comparison, left, right, other)?,
        Kind::Texts => texts(comparison, left, right, other, bytes, |t| t)?,
        Kind::Padded => texts(comparison, left, right, other, bytes, trimmed)?,
    };
    Some(Vector {
        data: Data::Bools(verdicts),
        nulls: either_null(left, other),
    })
}

/// A loop of its own for each comparison.
fn verdicts<T: PartialOrd>(
    comparison: Comparison,
    pairs: impl Iterator<Item = (T, T)>,
) -> Vec<bool> {
    match comparison {
        Comparison::Eq => pairs.map(|(a, b)| a == b).collect(),
        Comparison::Ne => pairs.map(|(a, b)| a != b).collect(),
        Comparison::Lt => pairs.map(|(a, b)| a < b).collect(),
        Comparison::Le => pairs.map(|(a, b)| a <= b).collect(),
        Comparison::Gt => pairs.map(|(a, b)| a > b).collect(),
        Comparison::Ge => pairs.map(|(a, b)| a >= b).collect(),
    }
}

fn holds(comparison: Comparison, order: Ordering) -> bool {
    match comparison {
        Comparison::Eq => order.is_eq(),
        Comparison::Ne => order.is_ne(),
        Comparison::Lt => order.is_lt(),
        Comparison::Le => order.is_le(),
        Comparison::Gt => order.is_gt(),
        Comparison::Ge => order.is_ge(),
    }
}

fn ints(c: Comparison, left: &Vector, right: &Arg, other: Option<&Vector>) -> Option<Vec<bool>> {
    let Data::Ints(a) = &left.data else {
        return None;
    };
    match (right, other.map(|o| &o.data)) {
        (Arg::Int(b), _) => Some(verdicts(c, a.iter().map(|a| (*a, *b)))),
        (_, Some(Data::Ints(b))) => Some(verdicts(c, a.iter().copied().zip(b.iter().copied()))),
        _ => None,
    }
}

fn floats(c: Comparison, left: &Vector, right: &Arg, other: Option<&Vector>) -> Option<Vec<bool>> {
    let Data::Floats(a) = &left.data else {
        return None;
    };
    let verdict = |(a, b): (&f64, &f64)| holds(c, compare_floats(*a, *b));
    match (right, other.map(|o| &o.data)) {
        (Arg::Float(b), _) => Some(a.iter().map(|a| verdict((a, b))).collect()),
        (_, Some(Data::Floats(b))) => Some(a.iter().zip(b).map(verdict).collect()),
        _ => None,
    }
}

fn decimals(
    c: Comparison,
    left: &Vector,
    right: &Arg,
    other: Option<&Vector>,
) -> Option<Vec<bool>> {
    if let Data::Decimals(a, scale) = &left.data {
        match (right, other.map(|o| &o.data)) {
            (Arg::Decimal(b, other), _) => {
                if let Some(b) = lifted(*b, *other, *scale) {
                    return Some(verdicts(c, a.iter().map(|a| (*a, b))));
                }
                if let Some(unit) = other.checked_sub(*scale).and_then(unit) {
                    let wide = |a: &i64| (i128::from(*a) * unit, i128::from(*b));
                    return Some(verdicts(c, a.iter().map(wide)));
                }
            }
            (_, Some(Data::Decimals(b, other))) if other == scale => {
                return Some(verdicts(c, a.iter().copied().zip(b.iter().copied())));
            }
            _ => {}
        }
    }
    let number = match right {
        Arg::Decimal(mantissa, scale) => Some(Numeric::Small(*mantissa, *scale)),
        _ => None,
    };
    let rows = left.data.len();
    let verdict = |at: usize| {
        let a = numeric_at(&left.data, at)?;
        let order = match (&number, other) {
            (Some(b), _) => a.compare(b),
            (None, Some(b)) => a.compare(&numeric_at(&b.data, at)?),
            _ => return None,
        };
        Some(holds(c, order))
    };
    (0..rows).map(verdict).collect()
}

/// 10^n that any 64-bit number can be multiplied with in 128 bits.
fn unit(n: u16) -> Option<i128> {
    (n <= 18).then(|| 10i128.pow(u32::from(n)))
}

/// A mantissa of scale `from` at the scale `to`, where nothing is lost.
fn lifted(mantissa: i64, from: u16, to: u16) -> Option<i64> {
    let wide = i128::from(mantissa) * unit(to.checked_sub(from)?)?;
    i64::try_from(wide).ok()
}

fn texts(
    c: Comparison,
    left: &Vector,
    right: &Arg,
    other: Option<&Vector>,
    bytes: &[u8],
    seen: impl Fn(&[u8]) -> &[u8],
) -> Option<Vec<bool>> {
    let Data::Texts(a) = &left.data else {
        return None;
    };
    let text = |(from, n): &(u32, u32)| seen(&bytes[*from as usize..][..*n as usize]);
    match (right, other.map(|o| &o.data)) {
        (Arg::Text(b), _) => {
            let b = seen(b.as_bytes());
            Some(verdicts(c, a.iter().map(|a| (text(a), b))))
        }
        (_, Some(Data::Texts(b))) => {
            let pairs = a.iter().zip(b).map(|(a, b)| (text(a), text(b)));
            Some(verdicts(c, pairs))
        }
        _ => None,
    }
}

/// The bytes of a bpchar that count.
pub(super) fn trimmed(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|b| *b != b' ').map_or(0, |at| at + 1);
    &text[..end]
}
