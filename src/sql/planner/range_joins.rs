//! A join by ranges looks for each left row's range in an index.
//!
//! Owns: `a JOIN b ON b.at BETWEEN a.begins AND a.ends` as a LATERAL join, whose right side reads the range of an index that the left row
//! says. Without it every pair of rows is compared. Asked by: `planner`, when inputs are what they will be. Never: for a join with equal
//! keys, which are hashed, unless many rows have each of them; nor where only one end of the range is known: that may be half of the table.
//! Source: PostgreSQL 15, parameterized paths (`joinpath.c`).

use super::access::{ascending, bounds, choose_for_scan, key_range, usable};
use super::conjuncts::{equal, equality, join, split};
use super::estimate::Estimator;
use super::first_rows::swap;
use super::rename::{has_subquery, renamed, substitute};
use engine::catalog::Table;
use engine::plan::{Access, Expr, Join, JoinKind, KeyRange, Plan, Scan};

/// In a table of fewer rows comparing all costs less than asking for some.
const ROWS_MIN: f64 = 500.0;

/// Where keys are equal as well, comparing fewer rows of the same keys costs less than asking for those in the range: 3,000 lookups
/// took 600 ms, 3,000,000 comparisons 1,370 (two cores, without link-time optimization).
const PAIRS_MIN: f64 = 500.0;

/// Looks at every join of the plan.
pub(super) fn rewrite(plan: &mut Plan, on: &Estimator) {
    // What is joined within each partition has equal keys that place it.
    if matches!(plan, Plan::Gather { .. }) {
        return;
    }
    for input in plan.inputs_mut() {
        rewrite(input, on);
    }
    if looked_up(plan, on) {
        return;
    }
    if let Plan::Join(join) = plan
        && join.kind == JoinKind::Inner
        && matches!(join.left, Plan::Scan(_))
    {
        let mut other = plan.clone();
        swap(&mut other);
        if let Plan::Project { input, .. } = &mut other
            && looked_up(input, on)
        {
            *plan = other;
        }
    }
}

/// Makes the right side one that is looked up, if it can be.
fn looked_up(plan: &mut Plan, on: &Estimator) -> bool {
    let Plan::Join(join) = plan else {
        return false;
    };
    let Some(scan) = by_range(join, on) else {
        return false;
    };
    join.lateral = true;
    (join.filter, join.left_keys, join.right_keys) = Default::default();
    join.right = Plan::Scan(Box::new(scan));
    true
}

/// The right table's rows of one left row.
fn by_range(join: &Join, on: &Estimator) -> Option<Scan> {
    let kinds = [
        JoinKind::Inner,
        JoinKind::Left,
        JoinKind::Semi,
        JoinKind::Anti,
    ];
    let fits = kinds.contains(&join.kind) && !join.lateral;
    let (Some(filter), Plan::Scan(scan), true) = (&join.filter, &join.right, fits) else {
        return None;
    };
    // Of exact keys some conditions are gone.
    let bare = !matches!(scan.access, Access::Keys(_))
        && scan.partial.is_none()
        && scan.limit.is_none()
        && scan.top.is_none()
        && !scan.addressed;
    if !bare || on.rows(&join.right) < ROWS_MIN {
        return None;
    }
    let keyed = !join.left_keys.is_empty();
    if keyed && pairs(join, on) < PAIRS_MIN {
        return None;
    }
    let inside = scan.filter.iter().chain(scan.project.iter().flatten());
    let mut joined = equal_keys(join)?;
    joined.push(filter.clone());
    // What reads an enclosing row would read another one inside.
    let plain = |e: &Expr| !is_of_row(e) && !has_subquery(e);
    if !inside.chain(&joined).all(plain) || joined.iter().any(Expr::is_volatile) {
        return None;
    }
    let inside = seen_from_inside(join, scan);
    let joined = joined.iter().map(|c| substitute(c, &inside));
    let joined = joined.collect::<Option<Vec<Expr>>>()?;
    let conditions: Vec<Expr> = scan.filter.iter().cloned().chain(joined).collect();
    let conditions: Vec<Expr> = conditions.into_iter().flat_map(split).collect();
    if !has_both_ends(&scan.table, &conditions) {
        return None;
    }
    let mut scan = Scan {
        filter: self::join(conditions),
        access: Access::Full,
        ..(**scan).clone()
    };
    choose_for_scan(&mut scan, on);
    let looks_up = match &scan.access {
        Access::KeyRange(range) | Access::Index { range, .. } if keyed => is_between(range),
        _ => !keyed && scan.access.exprs().into_iter().any(is_of_row),
    };
    looks_up.then_some(scan)
}

/// Right rows of each left one that hashing its keys would compare.
fn pairs(join: &Join, on: &Estimator) -> f64 {
    let mut by_keys = join.clone();
    (by_keys.kind, by_keys.filter) = (JoinKind::Inner, None);
    let left = on.rows(&join.left);
    on.rows(&Plan::Join(Box::new(by_keys))) / left.max(1.0)
}

/// The keys as conditions over a joined row; `None` where their types have no equality of their own.
fn equal_keys(join: &Join) -> Option<Vec<Expr>> {
    let keys = join.left_keys.iter().zip(&join.right_keys);
    let equal = |(left, right): (&Expr, &Expr)| {
        let right = renamed(right, &|c| c + join.left_width);
        let func = equality(left.ty()).filter(|_| left.ty() == right.ty())?;
        Some(equal(left.clone(), right, func))
    };
    keys.map(equal).collect()
}

/// The columns of a joined row: those of the left one are the enclosing row's, those of the right one what the scan makes of its table's.
fn seen_from_inside(join: &Join, scan: &Scan) -> Vec<Expr> {
    let left = super::types(&join.left).into_iter().enumerate();
    let outer = |(column, ty)| Expr::Outer {
        depth: 1,
        column,
        ty,
    };
    let mut out: Vec<Expr> = left.map(outer).collect();
    match &scan.project {
        Some(exprs) => out.extend(exprs.iter().cloned()),
        None => {
            let columns = scan.table.columns.iter().enumerate();
            out.extend(columns.map(|(at, c)| Expr::Column(at, c.ty)));
        }
    }
    out
}

/// What the left row says bounds the primary key or an index on both sides, or is equal to a part of it.
fn has_both_ends(table: &Table, conditions: &[Expr]) -> bool {
    let bounds = bounds(table, conditions);
    let key = ascending(&table.primary_key);
    let indexes = usable(table, conditions).map(|i| i.parts.as_slice());
    std::iter::once(key.as_slice()).chain(indexes).any(|parts| {
        let range = key_range(parts, &bounds);
        is_between(&range) || range.prefix.iter().any(is_of_row)
    })
}

/// Both its ends are known, by the left row.
fn is_between(range: &KeyRange) -> bool {
    match (&range.lower, &range.upper) {
        (Some((low, _)), Some((high, _))) => is_of_row(low) || is_of_row(high),
        _ => false,
    }
}

/// It reads the left row.
fn is_of_row(e: &Expr) -> bool {
    e.any(&mut |e| matches!(e, Expr::Outer { .. }))
}
