//! Visiting and rewriting expressions.
//!
//! Bounds: visiting keeps its own stack; rewriting follows the first operands of calls in a loop, so long left-deep chains
//! need no call stack. Neither looks into the plans of subqueries, but for the columns that these read.

use crate::exec::functions::Volatility;
use crate::plan::{Expr, SubqueryKind};
use std::collections::BTreeSet;
use types::{DataType, Value};

/// Calls `f` with `e` and each expression inside, parents first, left to right.
pub fn walk(e: &Expr, f: &mut dyn FnMut(&Expr)) {
    let mut pending = vec![e];
    while let Some(e) = pending.pop() {
        f(e);
        let from = pending.len();
        push_children(e, &mut pending);
        pending[from..].reverse();
    }
}

pub fn has_subquery(e: &Expr) -> bool {
    any(e, |e| matches!(e, Expr::Subquery { .. }))
}

/// Whether `e` has one value for a whole statement without looking at parameters: no column, outer reference, parameter,
/// volatile function or subquery.
pub fn is_constant(e: &Expr) -> bool {
    !any(e, |e| match e {
        Expr::Column(..) | Expr::Outer { .. } | Expr::Param(..) | Expr::Subquery { .. } => true,
        Expr::Call { func, .. } => func.0.volatility == Volatility::Volatile,
        _ => false,
    })
}

/// Ordinals of the input columns that `e` reads.
pub fn columns_used(e: &Expr) -> BTreeSet<usize> {
    let mut used = BTreeSet::new();
    walk(e, &mut |e| match e {
        Expr::Column(i, _) => {
            used.insert(*i);
        }
        Expr::Subquery { plan, .. } => {
            let nearest = plan
                .outer_refs()
                .into_iter()
                .filter(|(depth, _)| *depth == 1);
            used.extend(nearest.map(|(_, column)| column));
        }
        _ => {}
    });
    used
}

fn any(e: &Expr, test: impl Fn(&Expr) -> bool) -> bool {
    let mut pending = vec![e];
    while let Some(e) = pending.pop() {
        if test(e) {
            return true;
        }
        push_children(e, &mut pending);
    }
    false
}

fn push_children<'a>(e: &'a Expr, out: &mut Vec<&'a Expr>) {
    match e {
        Expr::Const(..) | Expr::Param(..) | Expr::Column(..) | Expr::Outer { .. } => {}
        Expr::Call { args: items, .. }
        | Expr::And(items)
        | Expr::Or(items)
        | Expr::Coalesce(items, _)
        | Expr::Array(items, _)
        | Expr::Extreme { items, .. } => out.extend(items),
        Expr::Cast { expr, .. }
        | Expr::Not(expr)
        | Expr::IsNull(expr)
        | Expr::IsBool { expr, .. } => {
            out.push(expr);
        }
        Expr::Distinct { left, right, .. } | Expr::NullIf { left, right, .. } => {
            out.extend([left.as_ref(), right.as_ref()]);
        }
        Expr::ArrayQuantified { left, array, .. } => out.extend([left.as_ref(), array.as_ref()]),
        Expr::Subscript { array, index, .. } => out.extend([array.as_ref(), index.as_ref()]),
        Expr::InList { expr, items, .. } => {
            out.push(expr);
            out.extend(items);
        }
        Expr::Case {
            branches,
            otherwise,
            ..
        } => {
            for (condition, result) in branches {
                out.extend([condition, result]);
            }
            out.extend(otherwise.as_deref());
        }
        Expr::Subquery { kind, .. } => {
            if let SubqueryKind::Quantified { left, .. } = kind {
                out.push(left);
            }
        }
    }
}

/// Rebuilds `e` with `f` applied to each expression, children before parents.
pub fn transform(e: Expr, f: &mut dyn FnMut(Expr) -> Expr) -> Expr {
    let mut chain = Vec::new();
    let mut at = e;
    loop {
        match at {
            Expr::Call { func, mut args, ty } if !args.is_empty() => {
                let first = std::mem::replace(&mut args[0], nothing());
                chain.push((func, args, ty));
                at = first;
            }
            leaf => {
                at = leaf;
                break;
            }
        }
    }
    at = transform_children(at, f);
    at = f(at);
    for (func, mut args, ty) in chain.into_iter().rev() {
        for arg in args.iter_mut().skip(1) {
            let old = std::mem::replace(arg, nothing());
            *arg = transform(old, f);
        }
        args[0] = at;
        at = f(Expr::Call { func, args, ty });
    }
    at
}

fn nothing() -> Expr {
    Expr::Const(Value::Null, DataType::Unknown)
}

#[inline(never)]
fn transform_children(mut e: Expr, f: &mut dyn FnMut(Expr) -> Expr) -> Expr {
    let mut each = |child: &mut Expr| {
        let old = std::mem::replace(child, nothing());
        *child = transform(old, f);
    };
    match &mut e {
        Expr::Const(..) | Expr::Param(..) | Expr::Column(..) | Expr::Outer { .. } => {}
        Expr::Call { args: items, .. }
        | Expr::And(items)
        | Expr::Or(items)
        | Expr::Coalesce(items, _)
        | Expr::Array(items, _)
        | Expr::Extreme { items, .. } => items.iter_mut().for_each(each),
        Expr::Cast { expr, .. }
        | Expr::Not(expr)
        | Expr::IsNull(expr)
        | Expr::IsBool { expr, .. } => {
            each(expr);
        }
        Expr::Distinct { left, right, .. } | Expr::NullIf { left, right, .. } => {
            each(left);
            each(right);
        }
        Expr::ArrayQuantified { left, array, .. } => {
            each(left);
            each(array);
        }
        Expr::Subscript { array, index, .. } => {
            each(array);
            each(index);
        }
        Expr::InList { expr, items, .. } => {
            each(expr);
            items.iter_mut().for_each(each);
        }
        Expr::Case {
            branches,
            otherwise,
            ..
        } => {
            for (condition, result) in branches {
                each(condition);
                each(result);
            }
            if let Some(e) = otherwise {
                each(e);
            }
        }
        Expr::Subquery { kind, .. } => {
            if let SubqueryKind::Quantified { left, .. } = kind {
                each(left);
            }
        }
    }
    e
}
