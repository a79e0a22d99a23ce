//! The first rows of a window come of the first rows below it, where its functions look back alone.
//!
//! Owns: whether they do, and how many rows a condition on row_number() wants. Asked by: `limits`. Never: bounds a window with
//! partitions, or one that a row's peers behind the last wanted one belong to.
//! Source: PostgreSQL 15, `find_window_run_conditions` in `allpaths.c`; its WindowAgg stops by itself at a LIMIT.

use super::conjuncts::split;
use super::estimate::Estimator;
use super::rename::substitute;
use super::shape::width;
use crate::bind::walk;
use engine::plan::{
    Comparison, Expr, FrameBound, FrameExclude, FrameUnits, Plan, SortKey, Window, WindowCall,
    WindowFunc,
};

/// What gives the window below its rows, if the first ones of `plan` (in the order of `keys`, or as they come) need only as many.
pub(super) fn below<'a>(plan: &'a mut Plan, keys: Option<&[SortKey]>) -> Option<&'a mut Plan> {
    match plan {
        Plan::Project { input, exprs } => {
            let key = |k: &SortKey| {
                let expr = substitute(&k.expr, exprs)?;
                Some(SortKey { expr, ..k.clone() })
            };
            let keys = match keys {
                Some(keys) => Some(keys.iter().map(key).collect::<Option<Vec<_>>>()?),
                None => None,
            };
            below(input, keys.as_deref())
        }
        Plan::Window(window) => {
            let ordered = keys.is_none_or(|keys| same_order(keys, &window.order));
            let fits = ordered && window.partition.is_empty() && looks_back(window);
            fits.then_some(&mut window.input)
        }
        _ => None,
    }
}

/// How many of the window's first rows can satisfy the condition over `plan`, by what it says of row_number().
pub(super) fn wanted(plan: &Plan, predicate: &Expr, on: &Estimator) -> Option<u64> {
    match plan {
        Plan::Project { input, exprs } => wanted(input, &substitute(predicate, exprs)?, on),
        Plan::Window(window) => {
            let width = width(&window.input);
            let is_number = |e: &Expr| {
                let number = |at: usize| {
                    let call = at.checked_sub(width).and_then(|at| window.calls.get(at));
                    call.is_some_and(|c| c.func == WindowFunc::RowNumber)
                };
                matches!(e, Expr::Column(at, _) if number(*at))
            };
            let conditions = split(predicate.clone());
            let most = conditions.iter().filter_map(|c| at_most(c, is_number, on));
            most.min()
        }
        _ => None,
    }
}

/// `row_number() <= n` and its like.
fn at_most(condition: &Expr, is_number: impl Fn(&Expr) -> bool, on: &Estimator) -> Option<u64> {
    let Expr::Call { func, args, .. } = condition else {
        return None;
    };
    let (comparison, ..) = func.comparison_between()?;
    let (comparison, bound) = match &args[..] {
        [number, bound] if is_number(number) => (comparison, bound),
        [bound, number] if is_number(number) => (comparison.flip(), bound),
        _ => return None,
    };
    let bound = on.row_count(bound)?;
    match comparison {
        Comparison::Eq | Comparison::Le => Some(bound),
        Comparison::Lt => Some(bound.saturating_sub(1)),
        Comparison::Ne | Comparison::Gt | Comparison::Ge => None,
    }
}

fn same_order(keys: &[SortKey], order: &[SortKey]) -> bool {
    let same = |(a, b): (&SortKey, &SortKey)| {
        walk::same(&a.expr, &b.expr)
            && (a.descending, a.nulls_first) == (b.descending, b.nulls_first)
    };
    keys.len() == order.len() && keys.iter().zip(order).all(same)
}

fn looks_back(window: &Window) -> bool {
    let frame = &window.frame;
    let ends = match (frame.units, &frame.end) {
        (FrameUnits::Rows, FrameBound::CurrentRow | FrameBound::Preceding(_)) => true,
        (FrameUnits::Range | FrameUnits::Groups, FrameBound::CurrentRow) => has_no_peers(window),
        _ => false,
    };
    let in_frame = ends && frame.exclude == FrameExclude::NoOthers;
    window.calls.iter().all(|call| match &call.func {
        WindowFunc::RowNumber | WindowFunc::Rank | WindowFunc::DenseRank => true,
        WindowFunc::Lag => is_back(call),
        WindowFunc::FirstValue
        | WindowFunc::LastValue
        | WindowFunc::NthValue
        | WindowFunc::Aggregate(_) => in_frame,
        WindowFunc::PercentRank | WindowFunc::CumeDist | WindowFunc::Ntile | WindowFunc::Lead => {
            false
        }
    })
}

fn is_back(lag: &WindowCall) -> bool {
    match lag.args.get(1) {
        None => true,
        Some(Expr::Const(value, _)) => value.as_i64().is_some_and(|n| n >= 0),
        Some(_) => false,
    }
}

/// The order has all columns of the primary key.
fn has_no_peers(window: &Window) -> bool {
    let Plan::Sort { input, .. } = &window.input else {
        return false;
    };
    let Plan::Scan(scan) = &**input else {
        return false;
    };
    let key = &scan.table.primary_key;
    let stored = |e: &Expr| match e {
        Expr::Column(at, _) => match &scan.project {
            Some(exprs) => match exprs.get(*at) {
                Some(Expr::Column(at, _)) => Some(*at),
                _ => None,
            },
            None => Some(*at),
        },
        _ => None,
    };
    let ordered: Vec<usize> = (window.order.iter())
        .filter_map(|k| stored(&k.expr))
        .collect();
    scan.table.has_key() && key.iter().all(|column| ordered.contains(column))
}
