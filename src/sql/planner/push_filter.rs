//! Conditions move down to where they drop rows first, in the end into scans.
//!
//! Owns: which operator a condition may pass. Asked by: `planner`. Never: moves a condition past LIMIT, past DISTINCT ON,
//! into the side of an outer join that may be padded, or a volatile one past anything that changes how often it runs.
//! A condition with a subquery over the row, or with `op ANY (subquery)`, stays above the scan: a shard cannot run it.

use super::conjuncts::{filtered, join, split};
use super::estimate::Estimator;
use super::rename::{has_subquery, reads_row_inside, renamed, substitute};
use super::{access, join_order};
use engine::plan::{
    Aggregate, AggregateMode, Expr, Join, JoinKind, Plan, Scan, SubqueryKind, Window,
};

/// The plan under these conditions over its output.
pub(super) fn push(plan: Plan, conditions: Vec<Expr>, on: &Estimator) -> Plan {
    match plan {
        Plan::Filter { input, predicate } => {
            let mut all = split(predicate);
            all.extend(conditions);
            push(*input, all, on)
        }
        Plan::Project { input, exprs } => {
            let (down, stay) = sort_out(conditions, |c| {
                (!c.is_volatile()).then(|| substitute(c, &exprs)).flatten()
            });
            let input = Box::new(push(*input, down, on));
            filtered(Plan::Project { input, exprs }, stay)
        }
        Plan::Sort {
            input,
            keys,
            top: None,
        } => Plan::Sort {
            input: Box::new(push(*input, conditions, on)),
            keys,
            top: None,
        },
        Plan::Distinct { input } => {
            let (down, stay) = sort_out(conditions, |c| (!c.is_volatile()).then(|| c.clone()));
            let input = Box::new(push(*input, down, on));
            filtered(Plan::Distinct { input }, stay)
        }
        Plan::SetOp {
            op,
            all,
            left,
            right,
        } => {
            let movable = |c: &Expr| (!c.is_volatile() && !has_subquery(c)).then(|| c.clone());
            let (down, stay) = sort_out(conditions, movable);
            let plan = Plan::SetOp {
                op,
                all,
                left: Box::new(push(*left, down.clone(), on)),
                right: Box::new(push(*right, down, on)),
            };
            filtered(plan, stay)
        }
        Plan::Aggregate(aggregate) => push_aggregate(*aggregate, conditions, on),
        Plan::With(mut with) => {
            for query in &mut with.queries {
                query.plan = push(std::mem::take(&mut query.plan), Vec::new(), on);
            }
            with.input = push(std::mem::take(&mut with.input), conditions, on);
            Plan::With(with)
        }
        Plan::Window(window) => push_window(*window, conditions, on),
        Plan::Join(join) => push_join(*join, conditions, on),
        Plan::Scan(scan) => push_scan(*scan, conditions, on),
        mut plan => {
            for input in plan.inputs_mut() {
                *input = push(std::mem::take(input), Vec::new(), on);
            }
            filtered(plan, conditions)
        }
    }
}

/// Conditions that `f` takes (as it rewrites them), and the others.
fn sort_out(conditions: Vec<Expr>, f: impl Fn(&Expr) -> Option<Expr>) -> (Vec<Expr>, Vec<Expr>) {
    let mut taken = Vec::new();
    let mut others = Vec::new();
    for condition in conditions {
        match f(&condition) {
            Some(condition) => taken.push(condition),
            None => others.push(condition),
        }
    }
    (taken, others)
}

fn push_scan(mut scan: Scan, conditions: Vec<Expr>, on: &Estimator) -> Plan {
    let bare = scan.project.is_none() && scan.partial.is_none() && scan.limit.is_none();
    let (down, stay) = sort_out(conditions, |c| (bare && fits_scan(c)).then(|| c.clone()));
    let mut all: Vec<Expr> = scan.filter.take().into_iter().flat_map(split).collect();
    all.extend(down);
    scan.filter = join(all);
    access::choose_for_scan(&mut scan, on);
    filtered(Plan::Scan(Box::new(scan)), stay)
}

/// A shard can evaluate it once enclosing rows and subqueries have become constants, and those constants would have been
/// needed in any case: not under CASE or COALESCE.
pub(super) fn fits_scan(c: &Expr) -> bool {
    if !has_subquery(c) {
        return true;
    }
    let quantified = |e: &Expr| {
        matches!(
            e,
            Expr::Subquery {
                kind: SubqueryKind::Quantified { .. },
                ..
            }
        )
    };
    let lazy = |e: &Expr| matches!(e, Expr::Case { .. } | Expr::Coalesce(..) | Expr::Or(_));
    !reads_row_inside(c)
        && !c.is_volatile()
        && !c.any(&mut |e| quantified(e))
        && !c.any(&mut |e| lazy(e) && has_subquery(e))
}

/// Only conditions on group values pass: they decide over whole groups.
fn push_aggregate(mut aggregate: Aggregate, conditions: Vec<Expr>, on: &Estimator) -> Plan {
    let groups = aggregate.groups.len();
    let seedless = aggregate.seeds.is_empty();
    let passes = groups > 0 && seedless && aggregate.mode == AggregateMode::Complete;
    let (down, stay) = sort_out(conditions, |c| {
        let columns = c.columns();
        let over_groups = passes && !columns.is_empty() && columns.iter().all(|i| *i < groups);
        let movable = over_groups && !c.is_volatile();
        movable.then(|| substitute(c, &aggregate.groups)).flatten()
    });
    aggregate.input = push(std::mem::take(&mut aggregate.input), down, on);
    filtered(Plan::Aggregate(Box::new(aggregate)), stay)
}

/// Only conditions on what the rows are partitioned by pass: they decide over whole partitions.
fn push_window(mut window: Window, conditions: Vec<Expr>, on: &Estimator) -> Plan {
    let by = |i: &usize| {
        let mut keys = window.partition.iter();
        keys.any(|e| matches!(e, Expr::Column(c, _) if c == i))
    };
    let (down, stay) = sort_out(conditions, |c| {
        let columns = c.columns();
        let whole = !columns.is_empty() && columns.iter().all(by);
        (whole && !c.is_volatile()).then(|| c.clone())
    });
    window.input = push(std::mem::take(&mut window.input), down, on);
    filtered(Plan::Window(Box::new(window)), stay)
}

fn push_join(mut join: Join, conditions: Vec<Expr>, on: &Estimator) -> Plan {
    if join.lateral {
        return push_lateral(join, conditions, on);
    }
    join.kind = narrowed(&join, &conditions);
    match join.kind {
        _ if join_order::is_tree(&join) => join_order::arrange(join, conditions, on),
        JoinKind::Inner | JoinKind::Left | JoinKind::Semi | JoinKind::Anti => {
            push_left(join, conditions, on)
        }
        JoinKind::Right => push_right(join, conditions, on),
        JoinKind::Full => {
            push_sides(&mut join, Vec::new(), Vec::new(), on);
            filtered(Plan::Join(Box::new(join)), conditions)
        }
    }
}

/// An outer join whose padded rows the conditions refuse is a narrower join.
fn narrowed(join: &Join, conditions: &[Expr]) -> JoinKind {
    let left = join.left_width;
    let width = left + join.right_width;
    let refuses =
        |range: std::ops::Range<usize>| conditions.iter().any(|c| refuses_nulls(c, &range));
    match join.kind {
        JoinKind::Left if refuses(left..width) => JoinKind::Inner,
        JoinKind::Right if refuses(0..left) => JoinKind::Inner,
        JoinKind::Full => match (refuses(0..left), refuses(left..width)) {
            (true, true) => JoinKind::Inner,
            (true, false) => JoinKind::Left,
            (false, true) => JoinKind::Right,
            (false, false) => JoinKind::Full,
        },
        kind => kind,
    }
}

/// Never true when all columns of the range are NULL.
fn refuses_nulls(c: &Expr, range: &std::ops::Range<usize>) -> bool {
    match c {
        Expr::And(items) => items.iter().any(|i| refuses_nulls(i, range)),
        Expr::Or(items) => items.iter().all(|i| refuses_nulls(i, range)),
        Expr::Not(inner) => match &**inner {
            Expr::IsNull(e) => null_if_null(e, range),
            e => null_if_null(e, range),
        },
        Expr::InList { expr, .. } => null_if_null(expr, range),
        e => null_if_null(e, range),
    }
}

/// NULL when all columns of the range are.
fn null_if_null(e: &Expr, range: &std::ops::Range<usize>) -> bool {
    match e {
        Expr::Column(i, _) => range.contains(i),
        Expr::Call { func, args, .. } => {
            func.0.strict && args.iter().any(|a| null_if_null(a, range))
        }
        Expr::Cast { expr, .. } => null_if_null(expr, range),
        _ => false,
    }
}

/// Left, Semi, Anti: conditions over left columns move left; in ON, those over right columns move right.
fn push_left(mut join: Join, conditions: Vec<Expr>, on: &Estimator) -> Plan {
    let left = join.left_width;
    let (mut to_left, stay) = sort_out(conditions, |c| {
        let over_left = c.columns().iter().all(|i| *i < left);
        (over_left && !c.is_volatile()).then(|| c.clone())
    });
    let own: Vec<Expr> = join.filter.take().into_iter().flat_map(split).collect();
    let (to_right, own) = sort_out(own, |c| over_right_only(c, left));
    let (more_left, own) = sort_out(own, |c| {
        let columns = c.columns();
        let over_left = !columns.is_empty() && columns.iter().all(|i| *i < left);
        (join.kind == JoinKind::Semi && over_left && !c.is_volatile()).then(|| c.clone())
    });
    to_left.extend(more_left);
    join.filter = super::conjuncts::join(own);
    push_sides(&mut join, to_left, to_right, on);
    filtered(Plan::Join(Box::new(join)), stay)
}

/// The mirror image of a LEFT join.
fn push_right(mut join: Join, conditions: Vec<Expr>, on: &Estimator) -> Plan {
    let left = join.left_width;
    let (to_right, stay) = sort_out(conditions, |c| over_right_only(c, left));
    let own: Vec<Expr> = join.filter.take().into_iter().flat_map(split).collect();
    let (to_left, own) = sort_out(own, |c| {
        let columns = c.columns();
        let over_left = !columns.is_empty() && columns.iter().all(|i| *i < left);
        (over_left && !c.is_volatile()).then(|| c.clone())
    });
    join.filter = super::conjuncts::join(own);
    push_sides(&mut join, to_left, to_right, on);
    filtered(Plan::Join(Box::new(join)), stay)
}

/// The condition as the right side sees it, where it reads nothing else.
fn over_right_only(c: &Expr, left: usize) -> Option<Expr> {
    let columns = c.columns();
    let fits = !columns.is_empty() && columns.iter().all(|i| *i >= left) && !c.is_volatile();
    fits.then(|| renamed(c, &|i| i - left))
}

/// Pushes into both inputs, then takes hash keys out of what is left of ON.
fn push_sides(join: &mut Join, to_left: Vec<Expr>, to_right: Vec<Expr>, on: &Estimator) {
    join.left = push(std::mem::take(&mut join.left), to_left, on);
    join.right = push(std::mem::take(&mut join.right), to_right, on);
    let conditions = join.filter.take().into_iter().flat_map(split);
    let left = join.left_width;
    let mut rest = Vec::new();
    for c in conditions {
        match join_order::hash_key(&c, &|i| i < left) {
            Some((l, r)) => {
                join.left_keys.push(l);
                join.right_keys.push(renamed(&r, &|i| i - left));
            }
            None => rest.push(c),
        }
    }
    join.filter = super::conjuncts::join(rest);
}

/// Conditions over left columns move left; the right side depends on it and stays.
fn push_lateral(mut join: Join, conditions: Vec<Expr>, on: &Estimator) -> Plan {
    let left = join.left_width;
    let over_left = |c: &Expr| {
        let over_left = c.columns().iter().all(|i| *i < left);
        (over_left && !c.is_volatile()).then(|| c.clone())
    };
    let (mut to_left, stay) = sort_out(conditions, over_left);
    if join.kind == JoinKind::Inner {
        // Before the right side is run for a row that ON refuses.
        let own: Vec<Expr> = join.filter.take().into_iter().flat_map(split).collect();
        let (more_left, own) = sort_out(own, over_left);
        to_left.extend(more_left);
        join.filter = super::conjuncts::join(own);
    }
    join.left = push(std::mem::take(&mut join.left), to_left, on);
    join.right = push(std::mem::take(&mut join.right), Vec::new(), on);
    filtered(Plan::Join(Box::new(join)), stay)
}
