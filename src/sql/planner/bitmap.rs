//! Rows that several looks at indexes find together.
//!
//! Owns: which indexes answer an OR, an IN or several conditions, and what that costs. Asked by: `access`. Never: drops
//! a condition: each row is checked again. Not of unique indexes, whose entries lie apart from their rows.
//! Bounds: `RANGES_MAX` ranges of one index, `LOOKS_MAX` indexes.
//! Source: PostgreSQL 15, `choose_bitmap_and` in `indxpath.c`: the best look first, then others as long as each makes it cheaper.

use super::access::{Bound, BoundKind, ascending, bounds, fewest, usable};
use super::conjuncts::split;
use super::cost;
use super::estimate::{Estimator, Output, selectivity};
use crate::bind::walk::same;
use engine::catalog::{Index, KeyPart, Table};
use engine::plan::{Bitmap, Expr, KeyRange};
use std::sync::Arc;

/// Ranges of one index: `IN` lists of more values are only checked.
const RANGES_MAX: usize = 1_024;
/// Looks combined by AND, and branches of an OR.
const LOOKS_MAX: usize = 16;

/// A set of rows.
struct Candidate {
    bitmap: Bitmap,
    /// Entries that are visited for it.
    entries: f64,
    /// What all its rows fulfil.
    conditions: Vec<Expr>,
}

/// The cheapest set for these conditions, and its cost with reading its rows; `None` where one range of one index, or none, does.
/// `several`: indexes may be looked at together.
pub(super) fn choose(
    table: &Table,
    conditions: &[Expr],
    several: bool,
    on: &Estimator,
) -> Option<(Bitmap, f64)> {
    let all = on.table(table);
    let ors = conditions.iter().filter(|_| several);
    let ors = ors.filter_map(|c| any_of(table, c, &all));
    let mut candidates: Vec<Candidate> = ors.collect();
    let most = if several { LOOKS_MAX } else { 1 };
    let guessed = on.guessed(conditions.to_vec());
    candidates.extend(looks(table, conditions, &guessed, &all));
    let mut chosen: Vec<Candidate> = Vec::new();
    let mut least = f64::INFINITY;
    while chosen.len() < most {
        let costs = candidates.iter().enumerate().map(|(at, c)| {
            let with = chosen.iter().chain([c]);
            (at, cost_of(with, &all))
        });
        let best = costs.min_by(|a, b| a.1.total_cmp(&b.1));
        match best {
            Some((at, cost)) if cost < least => {
                least = cost;
                chosen.push(candidates.swap_remove(at));
            }
            _ => break,
        }
    }
    let mut bitmaps: Vec<Bitmap> = chosen.into_iter().map(|c| c.bitmap).collect();
    let bitmap = match bitmaps.len() {
        1 => bitmaps.pop()?,
        _ => Bitmap::And(bitmaps),
    };
    let plain = match &bitmap {
        Bitmap::Entries { ranges, .. } => ranges.len() < 2,
        Bitmap::And(all) | Bitmap::Or(all) => all.is_empty(),
    };
    (!plain).then_some((bitmap, least))
}

fn cost_of<'c>(all: impl Iterator<Item = &'c Candidate>, rows: &Output) -> f64 {
    let (mut entries, mut conditions) = (0.0, Vec::<Expr>::new());
    for candidate in all {
        entries += candidate.entries;
        for c in &candidate.conditions {
            if !conditions.iter().any(|d| same(c, d)) {
                conditions.push(c.clone());
            }
        }
    }
    entries * cost::ENTRY + selectivity(&conditions, rows) * rows.rows * cost::FETCH_IN_ORDER
}

/// `a = 1 OR b = 2`, where an index answers each branch.
fn any_of(table: &Table, condition: &Expr, all: &Output) -> Option<Candidate> {
    let Expr::Or(items) = condition else {
        return None;
    };
    if items.len() > LOOKS_MAX {
        return None;
    }
    let (mut bitmaps, mut entries) = (Vec::new(), 0.0);
    for item in items {
        let own = split(item.clone());
        let looks = looks(table, &own, &own, all).into_iter();
        let best = looks.min_by(|a, b| a.entries.total_cmp(&b.entries))?;
        entries += best.entries;
        bitmaps.push(best.bitmap);
    }
    Some(Candidate {
        bitmap: Bitmap::Or(bitmaps),
        entries,
        conditions: vec![condition.clone()],
    })
}

/// One for each index that the conditions bound, and for the primary key. `guessed`: the conditions to estimate by.
fn looks(table: &Table, conditions: &[Expr], guessed: &[Expr], all: &Output) -> Vec<Candidate> {
    let bounds = bounds(table, conditions);
    let look = |index: Option<&Arc<Index>>, parts: &[KeyPart]| {
        let (ranges, used) = ranges(parts, &bounds)?;
        let conditions: Vec<Expr> = used.iter().map(|at| guessed[*at].clone()).collect();
        let mut entries = selectivity(&conditions, all) * all.rows;
        if let Some(predicate) = index.and_then(|i| i.predicate.as_ref()) {
            entries *= selectivity(&split(predicate.expr.clone()), all);
        }
        Some(Candidate {
            bitmap: Bitmap::Entries {
                index: index.cloned(),
                ranges,
            },
            entries: entries.max(1.0),
            conditions,
        })
    };
    let secondary = usable(table, conditions).filter(|i| !i.unique);
    let mut out: Vec<Candidate> = secondary.filter_map(|i| look(Some(i), &i.parts)).collect();
    if table.has_key() {
        out.extend(look(None, &ascending(&table.primary_key)));
    }
    out
}

/// Equal on the first parts to any of their values, then bounded on the next; and the conditions that say so.
fn ranges(parts: &[KeyPart], bounds: &[Bound]) -> Option<(Vec<KeyRange>, Vec<usize>)> {
    let mut prefixes: Vec<Vec<Expr>> = vec![Vec::new()];
    let mut used = Vec::new();
    let (mut lower, mut upper) = (None, None);
    for part in parts {
        let equal = fewest(bounds, part);
        if let Some((at, values)) = equal
            && prefixes.len().saturating_mul(values.len()) <= RANGES_MAX
        {
            let extended = prefixes.iter().flat_map(|prefix| {
                values.iter().map(|v| {
                    let mut longer = prefix.clone();
                    longer.push(v.clone());
                    longer
                })
            });
            prefixes = extended.collect();
            used.push(at);
            continue;
        }
        for b in bounds.iter().filter(|b| b.of.is(part)) {
            let side = match &b.kind {
                BoundKind::Lower(e, inclusive) => (&mut lower, e, *inclusive),
                BoundKind::Upper(e, inclusive) => (&mut upper, e, *inclusive),
                BoundKind::Equal(_) => continue,
            };
            if side.0.is_none() {
                *side.0 = Some((side.1.clone(), side.2));
                used.push(b.at);
            }
        }
        break;
    }
    let range = |prefix: Vec<Expr>| KeyRange {
        prefix,
        lower: lower.clone(),
        upper: upper.clone(),
        backward: false,
    };
    (!used.is_empty()).then(|| (prefixes.into_iter().map(range).collect(), used))
}
