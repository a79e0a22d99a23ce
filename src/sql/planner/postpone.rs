//! What a query computes beside its order is computed in that order, and of a LIMIT's rows alone.
//!
//! Owns: moving columns that call volatile functions above the sort, and, where only the first rows are wanted, those with
//! subqueries. Asked by: `planner`, first: a subquery of few rows is then not made a join with all. Never: moves what the order is by.
//! Source: PostgreSQL 15, `make_sort_input_target` in `planner.c`.

use super::rename::{has_subquery, rename, renamed};
use super::shape::types;
use engine::plan::{Expr, Plan};
use std::collections::BTreeSet;
use types::DataType;

pub(super) fn rewrite(plan: &mut Plan) {
    match plan {
        Plan::Limit {
            input,
            limit: Some(_),
            ..
        } => {
            behind_sort(input, true);
            behind_limit(plan);
        }
        Plan::Sort { .. } => behind_sort(plan, false),
        _ => {}
    }
    plan.inputs_mut().into_iter().for_each(rewrite);
}

/// A projection with subqueries is made of the rows that the LIMIT leaves.
fn behind_limit(plan: &mut Plan) {
    let Plan::Limit { input, .. } = plan else {
        return;
    };
    let Plan::Project {
        input: below,
        exprs,
    } = &mut **input
    else {
        return;
    };
    if exprs.iter().any(has_subquery) && !exprs.iter().any(Expr::is_volatile) {
        let (below, exprs) = (std::mem::take(&mut **below), std::mem::take(exprs));
        **input = below;
        *plan = Plan::Project {
            input: Box::new(std::mem::take(plan)),
            exprs,
        };
    }
}

fn behind_sort(plan: &mut Plan, limited: bool) {
    match plan {
        Plan::Project { input, .. } => behind_sort(input, limited),
        Plan::Sort { .. } => split(plan, limited),
        _ => {}
    }
}

fn split(plan: &mut Plan, limited: bool) {
    let Plan::Sort { input, keys, .. } = plan else {
        return;
    };
    let Plan::Project {
        input: below,
        exprs,
    } = &mut **input
    else {
        return;
    };
    let ordered: BTreeSet<usize> = keys.iter().flat_map(|k| k.expr.columns()).collect();
    let is_late = |i: usize, e: &Expr| {
        !ordered.contains(&i) && (e.is_volatile() || limited && has_subquery(e))
    };
    let late: BTreeSet<usize> = exprs
        .iter()
        .enumerate()
        .filter(|(i, e)| is_late(*i, e))
        .map(|(i, _)| i)
        .collect();
    if late.is_empty() {
        return;
    }
    let read: BTreeSet<usize> = late.iter().flat_map(|i| exprs[*i].columns()).collect();
    let known = types(below);
    let (mut kept, mut above) = (Vec::new(), Vec::new());
    let early = exprs.len() - late.len();
    for (i, e) in std::mem::take(exprs).into_iter().enumerate() {
        if late.contains(&i) {
            above.push(renamed(&e, &|c| early + read.range(..c).count()));
        } else {
            above.push(Expr::Column(kept.len(), e.ty()));
            kept.push(e);
        }
    }
    kept.extend(read.iter().map(|c| {
        let ty = known.get(*c).copied().unwrap_or(DataType::Unknown);
        Expr::Column(*c, ty)
    }));
    *exprs = kept;
    for key in keys.iter_mut() {
        rename(&mut key.expr, &|c| c - late.range(..c).count());
    }
    *plan = Plan::Project {
        input: Box::new(std::mem::take(plan)),
        exprs: above,
    };
}
