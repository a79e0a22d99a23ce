//! A LIMIT over a join reads the first rows of one side before it reads all of them.
//!
//! Owns: `Plan::FirstRows`: the plan with the side that has the order cut off after as many rows as are likely to give enough, and
//! the plan itself for when they do not. Asked by: `limits`. Never: for what may be done once only, or where most rows of that side
//! would be read in any case. Source: the idea is that of PostgreSQL's plans with a low startup cost; a try that may fail is ours, as
//! joins here are hashed.
//! Bounds: a try reads `TOP_MAX` rows of that side at most, and a quarter of them.

use super::estimate::Estimator;
use super::limits::{TOP_MAX, first, is_free};
use super::rename::{rename, substitute};
use super::shape::types;
use engine::plan::{Expr, Join, JoinKind, Keep, Plan, SortKey};

/// More rows of the side than should be needed: what is joined to them is not spread evenly.
const SPARE: f64 = 2.0;
/// Fewer are not worth asking for.
const LEAST: f64 = 32.0;

/// Puts a try in front of a sort over a join, or of a join, of which only the first rows are wanted.
pub(super) fn rewrite(plan: &mut Plan, rows: u64, on: &Estimator) {
    if rows == 0 || rows > TOP_MAX || !is_repeatable(plan) {
        return;
    }
    let mut tried = plan.clone();
    let (keys, below) = match &mut tried {
        Plan::Sort { input, keys, .. } => (keys.clone(), &mut **input),
        other => (Vec::new(), other),
    };
    if !is_join(below) || !keys.iter().all(is_free) {
        return;
    }
    let given = on.rows(below);
    if given < SPARE * rows as f64 {
        return;
    }
    let mut cut = |side: &mut Plan, keys: &[SortKey]| {
        let all = on.rows(side);
        let most = (SPARE * rows as f64 * (all / given).max(1.0)).max(LEAST);
        if most > TOP_MAX as f64 || most * 4.0 > all {
            return false;
        }
        cut_off(side, keys, most as u64, on)
    };
    if at_ordered_side(below, &keys, &mut cut) {
        *plan = Plan::FirstRows {
            first: Box::new(tried),
            whole: Box::new(std::mem::take(plan)),
            rows,
        };
    }
}

fn is_join(plan: &Plan) -> bool {
    match plan {
        Plan::Join(_) => true,
        Plan::Project { input, .. } | Plan::Filter { input, .. } => is_join(input),
        _ => false,
    }
}

/// Nothing comes of running a part of it that is not in what it answers.
fn is_repeatable(plan: &Plan) -> bool {
    let once = |p: &Plan| matches!(p, Plan::WorkTable(_) | Plan::FirstRows { .. });
    !plan.is_volatile() && !plan.locks_rows() && !plan.any(&mut |p| once(p))
}

/// Calls `f` with the table whose order the rows have, and the keys over its output. The join's rows come of that side's, in a join
/// of all kinds that keep its order; a right side changes places.
fn at_ordered_side(
    plan: &mut Plan,
    keys: &[SortKey],
    f: &mut dyn FnMut(&mut Plan, &[SortKey]) -> bool,
) -> bool {
    match plan {
        Plan::Scan(_) => f(plan, keys),
        Plan::Filter { input, .. } => at_ordered_side(input, keys, f),
        Plan::Project { input, exprs } => {
            let key = |k: &SortKey| {
                let expr = substitute(&k.expr, exprs)?;
                Some(SortKey { expr, ..k.clone() })
            };
            let keys = keys.iter().map(key).collect::<Option<Vec<_>>>();
            keys.is_some_and(|keys| at_ordered_side(input, &keys, f))
        }
        Plan::Join(join) => {
            let width = join.left_width;
            let of_left = |k: &SortKey| k.expr.columns().iter().all(|c| *c < width);
            let of_right = |k: &SortKey| k.expr.columns().iter().all(|c| *c >= width);
            match join.kind {
                JoinKind::Right | JoinKind::Full => false,
                _ if keys.iter().all(of_left) => {
                    if join.keep == Keep::Either {
                        join.keep = Keep::Left;
                    }
                    at_ordered_side(&mut join.left, keys, f)
                }
                JoinKind::Inner if !join.lateral && keys.iter().all(of_right) => {
                    let mut keys = keys.to_vec();
                    for key in &mut keys {
                        rename(&mut key.expr, &|c| c - width);
                    }
                    swap(plan);
                    let Plan::Project { input, .. } = plan else {
                        return false;
                    };
                    let Plan::Join(join) = &mut **input else {
                        return false;
                    };
                    at_ordered_side(&mut join.left, &keys, f)
                }
                _ => false,
            }
        }
        _ => false,
    }
}

/// An inner join with its sides in each other's place, and its columns as they were.
pub(super) fn swap(plan: &mut Plan) {
    let of = types(plan);
    let Plan::Join(join) = plan else {
        return;
    };
    let (left, right) = (join.left_width, join.right_width);
    let place = move |c: usize| if c < left { c + right } else { c - left };
    let mut filter = join.filter.take();
    filter.iter_mut().for_each(|e| rename(e, &place));
    let swapped = Join {
        kind: JoinKind::Inner,
        left: std::mem::take(&mut join.right),
        right: std::mem::take(&mut join.left),
        left_width: right,
        right_width: left,
        left_keys: std::mem::take(&mut join.right_keys),
        right_keys: std::mem::take(&mut join.left_keys),
        filter,
        lateral: false,
        keep: Keep::Left,
    };
    let columns = of.into_iter().enumerate();
    *plan = Plan::Project {
        input: Box::new(Plan::Join(Box::new(swapped))),
        exprs: columns.map(|(i, ty)| Expr::Column(place(i), ty)).collect(),
    };
}

/// Only the first rows of a table, in this order.
fn cut_off(side: &mut Plan, keys: &[SortKey], most: u64, on: &Estimator) -> bool {
    let Plan::Scan(scan) = side else {
        return false;
    };
    if scan.partial.is_some() || scan.limit.is_some() || scan.top.is_some() || scan.addressed {
        return false;
    }
    if keys.is_empty() {
        scan.limit = Some(most);
        return true;
    }
    first(scan, keys, most, on);
    *side = Plan::Sort {
        input: Box::new(std::mem::take(side)),
        keys: keys.to_vec(),
        top: Some(most),
    };
    true
}
