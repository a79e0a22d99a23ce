//! The part of the rows for which conditions hold.
//!
//! Owns: reading conditions as comparisons with constants, pairs of them as ranges, and the fallback: trying the condition on
//! the common values and the histogram's bounds. Asked by: `estimate`, `access`, `join_order`.
//! Source: PostgreSQL 15, `clausesel.c`, `selfuncs.c`; its defaults where nothing is known.

use super::{Column, Output};
use crate::bind::walk::same;
use crate::planner::conjuncts::split;
use crate::planner::rename::{has_subquery, is_row_free};
use engine::exec::eval::fold;
use engine::plan::{Comparison, Expr};
use std::collections::BTreeMap;
use types::{DataType, Value};

const RANGE: f64 = 1.0 / 3.0;
/// A bound that a parameter gives. PostgreSQL plans such a statement again with its values; here the plan is made once, and an
/// index that was not worth it costs less than a table read whole for a few rows.
const GIVEN: f64 = 0.1;
/// Between two bounds.
const BETWEEN: f64 = 0.005;
const PATTERN: f64 = 0.005;
const OTHER: f64 = 1.0 / 3.0;
/// What a sample of a hundred values cannot tell from nothing.
const SAMPLE_MIN: f64 = 0.001;

/// All of these conditions hold.
pub(in crate::planner) fn selectivity(conditions: &[Expr], input: &Output) -> f64 {
    let mut product = 1.0;
    // By column: what a lower and an upper bound leave.
    let mut ranges: BTreeMap<usize, (Option<f64>, Option<f64>)> = BTreeMap::new();
    for c in conditions {
        match bound(c, input) {
            Some((column, true, part)) => {
                let lower = &mut ranges.entry(column).or_default().0;
                *lower = Some(lower.map_or(part, |p: f64| p.min(part)));
            }
            Some((column, false, part)) => {
                let upper = &mut ranges.entry(column).or_default().1;
                *upper = Some(upper.map_or(part, |p: f64| p.min(part)));
            }
            None if conditions.iter().any(|first| begins(first, c)) => {}
            None => product *= one(c, input),
        }
    }
    for (column, range) in ranges {
        product *= match range {
            (Some(lower), Some(upper)) => {
                let nulls = input.columns.get(column).map_or(0.0, |c| c.null_frac);
                let both = lower + upper + nulls - 1.0;
                let unknown = |part: f64| part == RANGE || part == GIVEN;
                match unknown(lower) || unknown(upper) {
                    true => BETWEEN,
                    false => both.max(0.000_1),
                }
            }
            (Some(part), None) | (None, Some(part)) => part,
            (None, None) => 1.0,
        };
    }
    product.clamp(0.0, 1.0)
}

/// `a <= x`, of `(a, b) < (x, y)`: what the rest of a comparison of rows leaves out of it is little.
fn begins(first: &Expr, rest: &Expr) -> bool {
    let (Expr::Call { args: first, .. }, Expr::Or(either)) = (first, rest) else {
        return false;
    };
    match either.as_slice() {
        [Expr::Call { args, .. }, Expr::And(_)] => {
            first.len() == args.len() && first.iter().zip(args).all(|(a, b)| same(a, b))
        }
        _ => false,
    }
}

/// Rows of two sides that an equality lets meet, as a part of all pairs.
pub(in crate::planner) fn join_fraction(left: &Column, right: &Column) -> f64 {
    let not_null = (1.0 - left.null_frac) * (1.0 - right.null_frac);
    not_null / left.distinct.max(right.distinct).max(1.0)
}

/// A bound on a column: whether a lower one, and the part of the rows it leaves.
fn bound(c: &Expr, input: &Output) -> Option<(usize, bool, f64)> {
    let (at, comparison, value) = compared(c)?;
    let column = input.columns.get(at)?;
    let (lower, or_equal) = match comparison {
        Comparison::Gt => (true, false),
        Comparison::Ge => (true, true),
        Comparison::Lt => (false, false),
        Comparison::Le => (false, true),
        Comparison::Eq | Comparison::Ne => return None,
    };
    let Some(value) = value else {
        return Some((at, lower, if is_given(c) { GIVEN } else { RANGE }));
    };
    let part = match lower {
        true => column
            .below(value, !or_equal)
            .map(|below| 1.0 - column.null_frac - below),
        false => column.below(value, or_equal),
    };
    let least = 1.0 / input.rows.max(1.0);
    Some((
        at,
        lower,
        part.map_or(RANGE, |p| p.clamp(least.min(1.0), 1.0)),
    ))
}

/// A column against something of no row; the value where it is known.
fn compared(c: &Expr) -> Option<(usize, Comparison, Option<&Value>)> {
    let Expr::Call { func, args, .. } = c else {
        return None;
    };
    let [left, right] = args.as_slice() else {
        return None;
    };
    let comparison = Comparison::of_operator(func.0.operator)?;
    if let (Some(at), true) = (bare(left), is_row_free(right)) {
        return Some((at, comparison, constant(right)));
    }
    if let (Some(at), true) = (bare(right), is_row_free(left)) {
        return Some((at, comparison.flip(), constant(left)));
    }
    None
}

/// It waits for a parameter, or for a row of an enclosing query.
fn is_given(c: &Expr) -> bool {
    c.any(&mut |e| matches!(e, Expr::Param(..) | Expr::Outer { .. }))
}

/// The column under conversions.
fn bare(e: &Expr) -> Option<usize> {
    match e {
        Expr::Column(at, _) => Some(*at),
        Expr::Cast { expr, .. } => bare(expr),
        _ => None,
    }
}

fn constant(e: &Expr) -> Option<&Value> {
    match e {
        Expr::Const(Value::Null, _) => None,
        Expr::Const(value, _) => Some(value),
        Expr::Cast { expr, .. } => constant(expr),
        _ => None,
    }
}

fn one(c: &Expr, input: &Output) -> f64 {
    match c {
        Expr::Const(Value::Bool(true), _) => 1.0,
        Expr::Const(..) => 0.0,
        Expr::And(_) => selectivity(&split(c.clone()), input),
        Expr::Or(items) => {
            let none: f64 = items.iter().map(|i| 1.0 - one_or_bound(i, input)).product();
            1.0 - none
        }
        Expr::Not(inner) => match &**inner {
            Expr::IsNull(e) => 1.0 - nulls(e, input),
            e => (1.0 - one_or_bound(e, input) - nulls(e, input)).max(0.0),
        },
        Expr::IsNull(e) => nulls(e, input),
        Expr::InList {
            expr,
            items,
            negated,
            ..
        } => {
            let Some(column) = bare(expr).and_then(|at| input.columns.get(at)) else {
                return if *negated { 1.0 - OTHER } else { OTHER };
            };
            let parts = items.iter().map(|i| column.equal(constant(i)));
            let part = parts.sum::<f64>().min(1.0);
            if *negated { 1.0 - part } else { part }
        }
        Expr::Column(at, DataType::Bool) => {
            let column = input.columns.get(*at);
            column.map_or(0.5, |c| c.equal(Some(&Value::Bool(true))))
        }
        c => match compared(c) {
            Some((at, Comparison::Eq, value)) => {
                let column = input.columns.get(at);
                column.map_or(BETWEEN, |c| c.equal(value))
            }
            Some((at, Comparison::Ne, value)) => {
                let column = input.columns.get(at);
                column.map_or(1.0, |c| (1.0 - c.null_frac - c.equal(value)).max(0.0))
            }
            _ => between_columns(c, input)
                .or_else(|| sampled(c, input))
                .unwrap_or_else(|| default(c)),
        },
    }
}

/// As `one`, where a bound stands alone.
fn one_or_bound(c: &Expr, input: &Output) -> f64 {
    match bound(c, input) {
        Some((_, _, part)) => part,
        None => one(c, input),
    }
}

fn nulls(e: &Expr, input: &Output) -> f64 {
    let columns = e.columns();
    let parts = columns.iter().filter_map(|at| input.columns.get(*at));
    parts.map(|c| c.null_frac).fold(0.0, f64::max)
}

/// Two columns of one row.
fn between_columns(c: &Expr, input: &Output) -> Option<f64> {
    let Expr::Call { func, args, .. } = c else {
        return None;
    };
    let [left, right] = args.as_slice() else {
        return None;
    };
    let (l, r) = (bare(left)?, bare(right)?);
    let fraction = join_fraction(input.columns.get(l)?, input.columns.get(r)?);
    match func.0.operator {
        "=" => Some(fraction),
        "<>" => Some(1.0 - fraction),
        _ => None,
    }
}

/// Any condition on one column whose values are known a little: tried on them.
fn sampled(c: &Expr, input: &Output) -> Option<f64> {
    let columns = c.columns();
    let at = *columns.first()?;
    if columns.len() > 1 || has_subquery(c) || c.is_volatile() {
        return None;
    }
    let known = input.columns.get(at)?.known?;
    let holds = |value: &Value| -> Option<bool> {
        let mut e = c.clone();
        e.each_mut(&mut |e| {
            if let Expr::Column(_, ty) = e {
                *e = Expr::Const(value.clone(), *ty);
            }
        });
        match fold(e, None) {
            Expr::Const(Value::Bool(b), _) => Some(b),
            Expr::Const(Value::Null, _) => Some(false),
            _ => None,
        }
    };
    let (mut part, mut common) = (0.0, 0.0);
    for (value, share) in &known.common {
        common += f64::from(*share);
        if holds(value)? {
            part += f64::from(*share);
        }
    }
    if !known.bounds.is_empty() {
        let mut inside = 0usize;
        for value in &known.bounds {
            inside += usize::from(holds(value)?);
        }
        let rest = (1.0 - common - f64::from(known.null_frac)).max(0.0);
        part += rest * inside as f64 / known.bounds.len() as f64;
    } else if known.common.is_empty() {
        return None;
    }
    Some(part.clamp(SAMPLE_MIN, 1.0))
}

/// Of conditions of which nothing is known.
fn default(c: &Expr) -> f64 {
    match c {
        Expr::Call { func, .. } => match func.0.operator {
            "=" => BETWEEN,
            "<>" => 1.0 - BETWEEN,
            "~~" | "~~*" | "~" | "~*" => PATTERN,
            "!~~" | "!~~*" | "!~" | "!~*" => 1.0 - PATTERN,
            _ => OTHER,
        },
        Expr::Distinct { negated, .. } => {
            if *negated {
                BETWEEN
            } else {
                1.0 - BETWEEN
            }
        }
        Expr::Subquery { .. } => 0.5,
        _ => OTHER,
    }
}
