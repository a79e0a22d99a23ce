//! Moving expressions between rows of different shapes.
//!
//! Owns: what must change in an expression, and in the subqueries inside it, when the row under it changes. Asked by: every
//! rule that moves an expression. Never: changes what an expression means over its own row.

use engine::plan::{Expr, Plan};
use std::sync::Arc;

/// Column `i` becomes column `f(i)`, also where subqueries inside read this row.
pub(super) fn rename(e: &mut Expr, f: &dyn Fn(usize) -> usize) {
    e.each_mut(&mut |e| match e {
        Expr::Column(i, _) => *i = f(*i),
        Expr::Subquery { plan, .. } => rename_outer(Arc::make_mut(plan), f),
        _ => {}
    });
}

pub(crate) fn renamed(e: &Expr, f: &dyn Fn(usize) -> usize) -> Expr {
    let mut e = e.clone();
    rename(&mut e, f);
    e
}

/// Column `i` of the row right around `plan` becomes `f(i)`.
pub(super) fn rename_outer(plan: &mut Plan, f: &dyn Fn(usize) -> usize) {
    edit_outer(plan, 0, &|depth, column| {
        let column = if depth == 1 { f(column) } else { column };
        (depth, column)
    });
}

/// The plan moves out of the query right around it, whose row it does not read.
pub(super) fn leave_level(plan: &mut Plan) {
    edit_outer(plan, 0, &|depth, column| (depth.max(2) - 1, column));
}

/// Rewrites (depth, column) of enclosing rows, as seen right inside the outermost level of `plan`.
fn edit_outer(plan: &mut Plan, level: usize, f: &dyn Fn(usize, usize) -> (usize, usize)) {
    for e in plan.exprs_mut() {
        e.each_mut(&mut |e| match e {
            Expr::Outer { depth, column, .. } if *depth > level => {
                let (d, c) = f(*depth - level, *column);
                (*depth, *column) = (d + level, c);
            }
            Expr::Subquery { plan, .. } => edit_outer(Arc::make_mut(plan), level + 1, f),
            _ => {}
        });
    }
    let lateral = matches!(plan, Plan::Join(join) if join.lateral);
    for (i, input) in plan.inputs_mut().into_iter().enumerate() {
        edit_outer(input, level + usize::from(lateral && i == 1), f);
    }
}

/// The expression with each column replaced by what computes it; `None` where that would compute something twice in a
/// visible way (volatile, subqueries) or a subquery inside reads more than plain columns.
pub(crate) fn substitute(e: &Expr, exprs: &[Expr]) -> Option<Expr> {
    let used = e.columns();
    let plain = |i: &usize| matches!(exprs.get(*i), Some(Expr::Column(..)));
    if has_subquery(e) {
        if !used.iter().all(plain) {
            return None;
        }
        return Some(renamed(e, &|i| match exprs.get(i) {
            Some(Expr::Column(j, _)) => *j,
            _ => i,
        }));
    }
    let fits = |i: &usize| {
        exprs
            .get(*i)
            .is_some_and(|e| !e.is_volatile() && !has_subquery(e))
    };
    if !used.iter().all(fits) {
        return None;
    }
    let mut out = e.clone();
    out.each_mut(&mut |e| {
        if let Expr::Column(i, _) = e {
            *e = exprs[*i].clone();
        }
    });
    Some(out)
}

pub(crate) fn has_subquery(e: &Expr) -> bool {
    e.any(&mut |e| matches!(e, Expr::Subquery { .. }))
}

/// A subquery inside reads the row of this expression.
pub(super) fn reads_row_inside(e: &Expr) -> bool {
    e.any(&mut |e| match e {
        Expr::Subquery { plan, .. } => plan.outer_refs().iter().any(|(depth, _)| *depth == 1),
        _ => false,
    })
}

/// It reads no row of its own query: constants, parameters, enclosing rows.
pub(super) fn is_row_free(e: &Expr) -> bool {
    e.columns().is_empty()
}
