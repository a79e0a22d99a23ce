//! EXISTS and IN as joins.
//!
//! Owns: turning `EXISTS (…)`, `NOT EXISTS (…)` and `x IN (…)` that a WHERE demands into Semi and Anti joins, so that the
//! subquery runs once instead of once a row; `(a, b) IN (…)` and its NOT are such. Asked by: `planner`, before filters move. Never: touches NOT IN, whose NULLs
//! an anti join would get wrong, nor a subquery that reads the outer row anywhere but in its own WHERE.

use super::conjuncts::{as_hashable, equal, filtered, join, split};
use super::decorrelate::is_ordered;
use super::rename::{has_subquery, leave_level, renamed};
use super::shape::types;
use engine::plan::{Expr, Join, JoinKind, Keep, Plan, SubqueryKind};
use std::sync::Arc;
use types::Value;

/// Rewrites every WHERE of the plan, outermost first.
pub(super) fn rewrite(plan: &mut Plan) {
    if let Plan::Filter { input, predicate } = plan {
        let conditions = split(predicate.clone()).into_iter().flat_map(demanded);
        let mut rest = Vec::new();
        let mut below = std::mem::take(&mut **input);
        for condition in conditions {
            below = match joined(below, &condition) {
                Ok(join) => join,
                Err(same) => {
                    rest.push(condition);
                    same
                }
            };
        }
        *plan = filtered(below, rest);
    }
    for input in plan.inputs_mut() {
        rewrite(input);
    }
}

/// What has to be true for the condition to be: `(a, b) IN (…)` is a CASE that tells false from NULL, and WHERE drops both.
fn demanded(condition: Expr) -> Vec<Expr> {
    let constant =
        |e: &Expr, wanted: bool| matches!(e, Expr::Const(Value::Bool(b), _) if *b == wanted);
    let null = |e: &Expr| matches!(e, Expr::Const(Value::Null, _));
    let (case, negated) = match &condition {
        Expr::Not(inner) => (&**inner, true),
        e => (e, false),
    };
    let Expr::Case {
        branches,
        otherwise: Some(otherwise),
        ..
    } = case
    else {
        return vec![condition];
    };
    let Some(((first, found), others)) = branches.split_first() else {
        return vec![condition];
    };
    let known = branches.iter().all(|(when, _)| is_certain(when));
    let refused = others.iter().all(|(_, then)| null(then));
    if !known || !refused || !constant(found, true) || !constant(otherwise, false) {
        return vec![condition];
    }
    match negated {
        false => vec![first.clone()],
        true => branches
            .iter()
            .flat_map(|(when, _)| refuted(when))
            .collect(),
    }
}

/// Conditions that hold together where this one does not.
fn refuted(when: &Expr) -> Vec<Expr> {
    let not = |e: &Expr| Expr::Not(Box::new(e.clone()));
    match when {
        Expr::And(items) => vec![Expr::Or(items.iter().map(not).collect())],
        e => vec![not(e)],
    }
}

/// Never NULL.
fn is_certain(e: &Expr) -> bool {
    match e {
        Expr::IsNull(_) => true,
        Expr::Subquery { kind, .. } => matches!(kind, SubqueryKind::Exists),
        Expr::And(items) | Expr::Or(items) => items.iter().all(is_certain),
        Expr::Not(inner) => is_certain(inner),
        _ => false,
    }
}

/// The join that answers this condition over `left`; `left` back when it cannot be one.
fn joined(left: Plan, condition: &Expr) -> Result<Plan, Plan> {
    let (kind, subplan, quantified) = match condition {
        Expr::Subquery {
            plan,
            kind: SubqueryKind::Exists,
            ..
        } => (JoinKind::Semi, plan, None),
        Expr::Not(inner) => match &**inner {
            Expr::Subquery {
                plan,
                kind: SubqueryKind::Exists,
                ..
            } => (JoinKind::Anti, plan, None),
            _ => return Err(left),
        },
        Expr::Subquery {
            plan,
            kind:
                SubqueryKind::Quantified {
                    left: x,
                    op,
                    all: false,
                },
            ..
        } if !has_subquery(x) && !x.is_volatile() => {
            let column = Expr::Column(0, op.0.args.get(1).copied().unwrap_or(x.ty()));
            let probe = equal((**x).clone(), column, *op);
            if as_hashable(&probe).is_none() {
                return Err(left);
            }
            (JoinKind::Semi, plan, Some((&**x, *op)))
        }
        _ => return Err(left),
    };
    if subplan.is_volatile() {
        return Err(left);
    }
    let left_width = types(&left).len();
    let Some(Side { plan, value, moved }) = side(subplan, quantified.is_some(), left_width) else {
        return Err(left);
    };
    let mut on = moved;
    if let Some((x, op)) = quantified {
        let value = renamed(&value, &|i| i + left_width);
        on.insert(0, equal(x.clone(), value, op));
    } else if on.is_empty() {
        // Nothing ties it to the row: it runs once as it is.
        return Err(left);
    }
    let right_width = types(&plan).len();
    let keep = match is_ordered(&left) {
        true => Keep::Right,
        false => Keep::Either,
    };
    Ok(Plan::Join(Box::new(Join {
        kind,
        left,
        right: plan,
        left_width,
        right_width,
        left_keys: Vec::new(),
        right_keys: Vec::new(),
        filter: join(on),
        lateral: false,
        keep,
    })))
}

/// The right side of the join.
struct Side {
    plan: Plan,
    /// What IN compares with, over the right row.
    value: Expr,
    /// Conditions that read both sides, over left then right columns.
    moved: Vec<Expr>,
}

fn side(subplan: &Arc<Plan>, is_in: bool, left_width: usize) -> Option<Side> {
    let reads_row = |plan: &Plan| plan.outer_refs().iter().any(|(depth, _)| *depth == 1);
    if !reads_row(subplan) {
        let mut plan = (**subplan).clone();
        let value = Expr::Column(0, types(&plan).first().copied()?);
        leave_level(&mut plan);
        let moved = Vec::new();
        return Some(Side { plan, value, moved });
    }
    let (body, value) = body(subplan, is_in)?;
    let Plan::Filter { input, predicate } = body else {
        return None;
    };
    if reads_row(input) {
        return None;
    }
    let mut moved = Vec::new();
    let mut rest = Vec::new();
    for condition in split(predicate.clone()) {
        if !reads_outer(&condition) {
            rest.push(condition);
        } else if has_subquery(&condition) {
            return None;
        } else {
            moved.push(across(condition, left_width));
        }
    }
    let mut plan = filtered((**input).clone(), rest);
    leave_level(&mut plan);
    if reads_outer(&value) {
        return None;
    }
    Some(Side { plan, value, moved })
}

/// The filter inside the subquery, under what does not matter to EXISTS (or IN), and the value of its first column.
fn body(plan: &Plan, is_in: bool) -> Option<(&Plan, Expr)> {
    let mut at = plan;
    let mut value: Option<Expr> = None;
    loop {
        match at {
            Plan::Project { input, exprs } => {
                if is_in {
                    let first = exprs.first()?;
                    value = Some(match value {
                        None => first.clone(),
                        Some(e) => super::rename::substitute(&e, exprs)?,
                    });
                }
                at = input;
            }
            Plan::Sort { input, .. } | Plan::Distinct { input } => at = input,
            Plan::Limit {
                input,
                limit: Some(Expr::Const(n, _)),
                offset: None,
            } if !is_in && n.as_i64().is_some_and(|n| n > 0) => at = input,
            Plan::Filter { input, .. } => {
                let first = types(input).first().copied();
                let value = match (value, first) {
                    (Some(value), _) => value,
                    (None, Some(ty)) => Expr::Column(0, ty),
                    (None, None) if !is_in => {
                        Expr::Const(types::Value::Null, types::DataType::Text)
                    }
                    (None, None) => return None,
                };
                return Some((at, value));
            }
            _ => return None,
        }
    }
}

/// It reads the row right around the subquery, also from subqueries of its own.
pub(super) fn reads_outer(e: &Expr) -> bool {
    e.any(&mut |e| match e {
        Expr::Outer { depth: 1, .. } => true,
        Expr::Subquery { plan, .. } => plan.outer_refs().iter().any(|(depth, _)| *depth == 2),
        _ => false,
    })
}

/// A condition of the subquery as one over left then right columns.
pub(super) fn across(mut condition: Expr, left_width: usize) -> Expr {
    condition.each_mut(&mut |e| match e {
        Expr::Column(i, _) => *i += left_width,
        Expr::Outer { depth, column, ty } if *depth == 1 => *e = Expr::Column(*column, *ty),
        Expr::Outer { depth, .. } => *depth -= 1,
        _ => {}
    });
    condition
}
