//! Arithmetic and logic over vectors.
//!
//! Owns: + - * of numbers, AND, OR, NOT, and where results are NULL. Asked by: `program`. What would be an error for one row, and
//! what leaves the range of its type, gives nothing: then rows are evaluated one by one.

use super::program::{Arg, Arithmetic};
use super::vector::{Data, Vector};
use types::numeric::SCALE_MAX;
use types::{DataType, Numeric};

impl Data {
    pub(crate) fn len(&self) -> usize {
        match self {
            Data::Ints(v) | Data::Decimals(v, _) => v.len(),
            Data::Floats(v) => v.len(),
            Data::Numerics(v) => v.len(),
            Data::Texts(v) => v.len(),
            Data::Bools(v) => v.len(),
        }
    }
}

/// NULL where one of them is.
pub(super) fn either_null(a: &Vector, b: Option<&Vector>) -> Option<Vec<bool>> {
    match (&a.nulls, b.and_then(|b| b.nulls.as_ref())) {
        (Some(a), Some(b)) => Some(a.iter().zip(b).map(|(a, b)| a | b).collect()),
        (Some(nulls), None) | (None, Some(nulls)) => Some(nulls.clone()),
        (None, None) => None,
    }
}

pub(super) fn nulls_of(v: &Vector, rows: usize) -> Vec<bool> {
    v.nulls.clone().unwrap_or_else(|| vec![false; rows])
}

pub(super) fn numeric_at(data: &Data, at: usize) -> Option<Numeric> {
    match data {
        Data::Decimals(v, scale) => Some(Numeric::Small(v[at], *scale)),
        Data::Numerics(v) => Some(v[at].clone()),
        _ => None,
    }
}

/// An operand for each row.
enum Operand<'a> {
    Each(&'a Vector),
    One(&'a Arg),
}

fn operand<'a>(arg: &'a Arg, done: &'a [Vector]) -> Operand<'a> {
    match arg {
        Arg::Of(at) => Operand::Each(&done[*at]),
        arg => Operand::One(arg),
    }
}

pub(super) fn arithmetic(
    operation: Arithmetic,
    ty: DataType,
    left: &Arg,
    right: &Arg,
    done: &[Vector],
) -> Option<Vector> {
    let (left, right) = (operand(left, done), operand(right, done));
    let (first, second) = match (&left, &right) {
        (Operand::Each(a), Operand::Each(b)) => (*a, Some(*b)),
        (Operand::Each(v), _) | (_, Operand::Each(v)) => (*v, None),
        _ => return None,
    };
    let nulls = either_null(first, second);
    let data = match ty {
        DataType::Float8 => floats(operation, &left, &right)?,
        DataType::Numeric => match decimals(operation, &left, &right) {
            Some(data) => data,
            None => numerics(operation, &left, &right, first.data.len())?,
        },
        _ => {
            let range = match ty {
                DataType::Int2 => i64::from(i16::MIN)..=i64::from(i16::MAX),
                DataType::Int4 => i64::from(i32::MIN)..=i64::from(i32::MAX),
                _ => i64::MIN..=i64::MAX,
            };
            let out = whole(operation, ints(&left)?, ints(&right)?)?;
            if !out.iter().all(|v| range.contains(v)) {
                return None;
            }
            Data::Ints(out)
        }
    };
    Some(Vector { data, nulls })
}

/// Numbers of 64 bits, or one for all rows.
#[derive(Clone, Copy)]
enum Whole<'a> {
    Each(&'a [i64]),
    One(i64),
}

fn ints<'a>(operand: &Operand<'a>) -> Option<Whole<'a>> {
    match operand {
        Operand::Each(v) => match &v.data {
            Data::Ints(v) => Some(Whole::Each(v)),
            _ => None,
        },
        Operand::One(Arg::Int(v)) => Some(Whole::One(*v)),
        Operand::One(_) => None,
    }
}

fn whole(operation: Arithmetic, left: Whole<'_>, right: Whole<'_>) -> Option<Vec<i64>> {
    match operation {
        Arithmetic::Add => zipped(left, right, i64::overflowing_add),
        Arithmetic::Sub => zipped(left, right, i64::overflowing_sub),
        Arithmetic::Mul => zipped(left, right, i64::overflowing_mul),
    }
}

/// Nothing when one of them overflows.
#[inline]
fn zipped(
    left: Whole<'_>,
    right: Whole<'_>,
    f: impl Fn(i64, i64) -> (i64, bool),
) -> Option<Vec<i64>> {
    let mut overflowed = false;
    let mut each = |a: i64, b: i64| {
        let (v, over) = f(a, b);
        overflowed |= over;
        v
    };
    let out: Vec<i64> = match (left, right) {
        (Whole::Each(a), Whole::Each(b)) => a.iter().zip(b).map(|(a, b)| each(*a, *b)).collect(),
        (Whole::Each(a), Whole::One(b)) => a.iter().map(|a| each(*a, b)).collect(),
        (Whole::One(a), Whole::Each(b)) => b.iter().map(|b| each(a, *b)).collect(),
        (Whole::One(_), Whole::One(_)) => return None,
    };
    (!overflowed).then_some(out)
}

fn mantissas<'a>(operand: &Operand<'a>) -> Option<(Whole<'a>, u16)> {
    match operand {
        Operand::Each(v) => match &v.data {
            Data::Decimals(v, scale) => Some((Whole::Each(v), *scale)),
            _ => None,
        },
        Operand::One(Arg::Decimal(mantissa, scale)) => Some((Whole::One(*mantissa), *scale)),
        Operand::One(_) => None,
    }
}

/// Where all of it fits 64 bits.
fn decimals(operation: Arithmetic, left: &Operand<'_>, right: &Operand<'_>) -> Option<Data> {
    let ((left, a), (right, b)) = (mantissas(left)?, mantissas(right)?);
    if operation == Arithmetic::Mul {
        let scale = a + b;
        let fits = u32::from(scale) <= SCALE_MAX;
        return fits
            .then(|| whole(operation, left, right))?
            .map(|v| Data::Decimals(v, scale));
    }
    let scale = a.max(b);
    let unit = |from: u16| 10i64.checked_pow(u32::from(scale - from));
    let lift = |v: Whole<'_>, from: u16| match v {
        _ if from == scale => Some(None),
        Whole::One(v) => v.checked_mul(unit(from)?).map(|v| Some(vec![v])),
        v => zipped(v, Whole::One(unit(from)?), i64::overflowing_mul).map(Some),
    };
    let (lifted_left, lifted_right) = (lift(left, a)?, lift(right, b)?);
    let left = at_scale(left, lifted_left.as_deref());
    let right = at_scale(right, lifted_right.as_deref());
    Some(Data::Decimals(whole(operation, left, right)?, scale))
}

fn at_scale<'a>(v: Whole<'a>, lifted: Option<&'a [i64]>) -> Whole<'a> {
    match (v, lifted) {
        (Whole::One(_), Some([one])) => Whole::One(*one),
        (_, Some(lifted)) => Whole::Each(lifted),
        (v, None) => v,
    }
}

fn numerics(
    operation: Arithmetic,
    left: &Operand<'_>,
    right: &Operand<'_>,
    rows: usize,
) -> Option<Data> {
    let number = |operand: &Operand<'_>, at: usize| match operand {
        Operand::Each(v) => numeric_at(&v.data, at),
        Operand::One(Arg::Decimal(mantissa, scale)) => Some(Numeric::Small(*mantissa, *scale)),
        Operand::One(_) => None,
    };
    let one = |at: usize| {
        let (a, b) = (number(left, at)?, number(right, at)?);
        match operation {
            Arithmetic::Add => a.add(&b).ok(),
            Arithmetic::Sub => a.sub(&b).ok(),
            Arithmetic::Mul => a.mul(&b).ok(),
        }
    };
    (0..rows)
        .map(one)
        .collect::<Option<_>>()
        .map(Data::Numerics)
}

/// What is not finite, or nothing of something, may be an error.
fn floats(operation: Arithmetic, left: &Operand<'_>, right: &Operand<'_>) -> Option<Data> {
    let rows = match (left, right) {
        (Operand::Each(v), _) | (_, Operand::Each(v)) => v.data.len(),
        _ => return None,
    };
    let number = |operand: &Operand<'_>, at: usize| match operand {
        Operand::Each(v) => match &v.data {
            Data::Floats(v) => Some(v[at]),
            _ => None,
        },
        Operand::One(Arg::Float(v)) => Some(*v),
        Operand::One(_) => None,
    };
    let one = |at: usize| {
        let (a, b) = (number(left, at)?, number(right, at)?);
        let v = match operation {
            Arithmetic::Add => a + b,
            Arithmetic::Sub => a - b,
            Arithmetic::Mul => a * b,
        };
        let vanished = operation == Arithmetic::Mul && v == 0.0 && a != 0.0 && b != 0.0;
        (v.is_finite() && !vanished).then_some(v)
    };
    (0..rows).map(one).collect::<Option<_>>().map(Data::Floats)
}

/// AND (`decisive` false) or OR (true).
pub(super) fn connective(items: &[usize], decisive: bool, done: &[Vector]) -> Option<Vector> {
    let (first, rest) = items.split_first()?;
    let mut out = done[*first].clone();
    for at in rest {
        let (Data::Bools(all), Data::Bools(more)) = (&mut out.data, &done[*at].data) else {
            return None;
        };
        let other = &done[*at].nulls;
        if out.nulls.is_none() && other.is_none() {
            match decisive {
                true => all.iter_mut().zip(more).for_each(|(a, b)| *a |= b),
                false => all.iter_mut().zip(more).for_each(|(a, b)| *a &= b),
            }
            continue;
        }
        let mut nulls = out.nulls.take().unwrap_or_else(|| vec![false; all.len()]);
        for (row, verdict) in all.iter_mut().enumerate() {
            let (a, b) = (
                (!nulls[row]).then_some(*verdict),
                (!other.as_ref().is_some_and(|n| n[row])).then_some(more[row]),
            );
            let decided = a == Some(decisive) || b == Some(decisive);
            nulls[row] = !decided && (a.is_none() || b.is_none());
            *verdict = decided == decisive;
        }
        out.nulls = Some(nulls);
    }
    matches!(out.data, Data::Bools(_)).then_some(out)
}

pub(super) fn negate(v: &Vector) -> Option<Vector> {
    let Data::Bools(verdicts) = &v.data else {
        return None;
    };
    Some(Vector {
        data: Data::Bools(verdicts.iter().map(|v| !v).collect()),
        nulls: v.nulls.clone(),
    })
}
