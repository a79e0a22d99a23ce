//! Walking bound expressions and the plans inside them, in place.
//!
//! Owns: the list of an expression's and a plan's parts, once. Never: changes meaning; callers decide.
//! Bounds: recursion as deep as the bound tree, which the caps on the syntax tree bound.

use engine::plan::{Access, AggregateCall, Expr, KeyRange, Partial, Plan, SortKey, SubqueryKind};
use std::sync::Arc;
use types::Result;

type Visit<'f> = &'f mut dyn FnMut(&mut Expr) -> Result<()>;

/// The direct parts of an expression. Of a subquery only its left operand: the plan is another row's business.
pub(super) fn parts(e: &mut Expr, f: Visit) -> Result<()> {
    match e {
        Expr::Const(..) | Expr::Param(..) | Expr::Column(..) | Expr::Outer { .. } => Ok(()),
        Expr::Call { args, .. } => each(args, f),
        Expr::Cast { expr, .. } | Expr::IsBool { expr, .. } => f(expr),
        Expr::Not(x) | Expr::IsNull(x) => f(x),
        Expr::And(items) | Expr::Or(items) => each(items, f),
        Expr::Coalesce(items, _) | Expr::Array(items, _) => each(items, f),
        Expr::Extreme { items, .. } => each(items, f),
        Expr::Distinct { left, right, .. } | Expr::NullIf { left, right, .. } => {
            f(left)?;
            f(right)
        }
        Expr::Case {
            branches,
            otherwise,
            ..
        } => {
            for (condition, result) in branches {
                f(condition)?;
                f(result)?;
            }
            match otherwise {
                Some(o) => f(o),
                None => Ok(()),
            }
        }
        Expr::InList { expr, items, .. } => {
            f(expr)?;
            each(items, f)
        }
        Expr::ArrayQuantified { left, array, .. } => {
            f(left)?;
            f(array)
        }
        Expr::Subscript { array, index, .. } => {
            f(array)?;
            f(index)
        }
        Expr::Subquery { kind, .. } => match kind {
            SubqueryKind::Quantified { left, .. } => f(left),
            SubqueryKind::Scalar | SubqueryKind::Exists | SubqueryKind::Array => Ok(()),
        },
    }
}

fn each(items: &mut [Expr], f: Visit) -> Result<()> {
    items.iter_mut().try_for_each(f)
}

/// Every reference to a row around `e`'s own, in `e` and in the subqueries inside it. `inside` is how many rows `e` itself
/// is inside of the row that the caller counts from (0: it is over that row). The callback gets the `Outer` node and how
/// many rows inside it stands: `depth == inside` means the caller's row, `depth > inside` one further out.
pub(super) fn outers(
    e: &mut Expr,
    inside: usize,
    f: &mut dyn FnMut(&mut Expr, usize) -> Result<()>,
) -> Result<()> {
    if let Expr::Outer { depth, .. } = e {
        if *depth >= inside {
            f(e, inside)?;
        }
        return Ok(());
    }
    if let Expr::Subquery {
        plan,
        correlated: true,
        ..
    } = e
    {
        plan_exprs(Arc::make_mut(plan), inside + 1, &mut |x, inside| {
            outers(x, inside, f)
        })?;
    }
    parts(e, &mut |x| outers(x, inside, f))
}

type VisitAt<'f> = &'f mut dyn FnMut(&mut Expr, usize) -> Result<()>;

/// Every expression of a plan's operators with the number of rows around it; a lateral join adds one for its right side.
pub(super) fn plan_exprs(plan: &mut Plan, inside: usize, f: VisitAt) -> Result<()> {
    match plan {
        Plan::System(_) | Plan::OneRow => Ok(()),
        Plan::Scan(scan) => {
            access_exprs(&mut scan.access, inside, f)?;
            at(scan.filter.as_mut(), inside, f)?;
            at(scan.project.iter_mut().flatten(), inside, f)?;
            match &mut scan.partial {
                Some(Partial { groups, aggregates }) => {
                    at(groups, inside, f)?;
                    aggregates
                        .iter_mut()
                        .try_for_each(|a| aggregate_exprs(a, inside, f))
                }
                None => Ok(()),
            }
        }
        Plan::Values { rows } => at(rows.iter_mut().flatten(), inside, f),
        Plan::Function(call) => at(&mut call.args, inside, f),
        Plan::Filter { input, predicate } => {
            plan_exprs(input, inside, f)?;
            f(predicate, inside)
        }
        Plan::Project { input, exprs } => {
            plan_exprs(input, inside, f)?;
            at(exprs, inside, f)
        }
        Plan::Join(join) => {
            plan_exprs(&mut join.left, inside, f)?;
            let right = inside + usize::from(join.lateral);
            plan_exprs(&mut join.right, right, f)?;
            at(&mut join.left_keys, inside, f)?;
            at(&mut join.right_keys, inside, f)?;
            at(join.filter.as_mut(), inside, f)
        }
        Plan::Aggregate(aggregate) => {
            plan_exprs(&mut aggregate.input, inside, f)?;
            at(&mut aggregate.groups, inside, f)?;
            aggregate
                .aggregates
                .iter_mut()
                .try_for_each(|a| aggregate_exprs(a, inside, f))
        }
        Plan::Sort { input, keys, .. } => {
            plan_exprs(input, inside, f)?;
            at(keys.iter_mut().map(|k| &mut k.expr), inside, f)
        }
        Plan::Limit {
            input,
            limit,
            offset,
        } => {
            plan_exprs(input, inside, f)?;
            at(limit.as_mut(), inside, f)?;
            at(offset.as_mut(), inside, f)
        }
        Plan::Distinct { input } => plan_exprs(input, inside, f),
        Plan::DistinctOn { input, keys } => {
            plan_exprs(input, inside, f)?;
            at(keys, inside, f)
        }
        Plan::SetOp { left, right, .. } => {
            plan_exprs(left, inside, f)?;
            plan_exprs(right, inside, f)
        }
    }
}

fn at<'e>(exprs: impl IntoIterator<Item = &'e mut Expr>, inside: usize, f: VisitAt) -> Result<()> {
    exprs.into_iter().try_for_each(|e| f(e, inside))
}

fn access_exprs(access: &mut Access, inside: usize, f: VisitAt) -> Result<()> {
    match access {
        Access::Full => Ok(()),
        Access::Keys(keys) => at(keys.iter_mut().flatten(), inside, f),
        Access::KeyRange(range) | Access::Index { range, .. } => range_exprs(range, inside, f),
    }
}

fn range_exprs(range: &mut KeyRange, inside: usize, f: VisitAt) -> Result<()> {
    at(&mut range.prefix, inside, f)?;
    at(range.lower.iter_mut().map(|(e, _)| e), inside, f)?;
    at(range.upper.iter_mut().map(|(e, _)| e), inside, f)
}

fn aggregate_exprs(a: &mut AggregateCall, inside: usize, f: VisitAt) -> Result<()> {
    at(&mut a.args, inside, f)?;
    at(a.filter.as_mut(), inside, f)?;
    at(a.order.iter_mut().map(|k| &mut k.expr), inside, f)
}

/// Columns of the row moved right by `by`; `Outer` stays.
pub(super) fn shift_columns(e: &mut Expr, by: usize) {
    if let Expr::Column(i, _) = e {
        *i += by;
        return;
    }
    let _ = parts(e, &mut |x| {
        shift_columns(x, by);
        Ok(())
    });
}

/// The expression as a query `depth` rows further in sees it. It must hold no subquery.
pub(super) fn lift(e: &Expr, depth: usize) -> Expr {
    let mut out = e.clone();
    lift_in_place(&mut out, depth);
    out
}

fn lift_in_place(e: &mut Expr, depth: usize) {
    match e {
        Expr::Column(column, ty) => {
            *e = Expr::Outer {
                depth,
                column: *column,
                ty: *ty,
            };
            return;
        }
        Expr::Outer { depth: d, .. } => {
            *d += depth;
            return;
        }
        _ => {}
    }
    let _ = parts(e, &mut |x| {
        lift_in_place(x, depth);
        Ok(())
    });
}

/// Nodes of an expression, subquery plans not counted (they are shared).
pub(super) fn size(e: &Expr) -> usize {
    let mut n = 0;
    visit(e, &mut |_| n += 1);
    n
}

/// Every node, outside in; subquery plans are not entered.
pub(super) fn visit(e: &Expr, f: &mut dyn FnMut(&Expr)) {
    engine::exec::eval::walk(e, f);
}

/// Same computation: literal structure, functions and types. Subqueries are equal only when they are the same one.
pub(super) fn same(a: &Expr, b: &Expr) -> bool {
    match (a, b) {
        (Expr::Const(x, t), Expr::Const(y, u)) => t == u && x == y,
        (Expr::Param(x, _), Expr::Param(y, _)) => x == y,
        (Expr::Column(x, _), Expr::Column(y, _)) => x == y,
        (
            Expr::Outer { depth, column, .. },
            Expr::Outer {
                depth: d,
                column: c,
                ..
            },
        ) => depth == d && column == c,
        (
            Expr::Call { func, args, ty },
            Expr::Call {
                func: g,
                args: b,
                ty: u,
            },
        ) => func == g && ty == u && all_same(args, b),
        (
            Expr::Cast {
                expr,
                to,
                typmod,
                explicit,
            },
            Expr::Cast {
                expr: x,
                to: t,
                typmod: m,
                explicit: e,
            },
        ) => to == t && typmod == m && explicit == e && same(expr, x),
        (Expr::And(x), Expr::And(y)) | (Expr::Or(x), Expr::Or(y)) => all_same(x, y),
        (Expr::Not(x), Expr::Not(y)) | (Expr::IsNull(x), Expr::IsNull(y)) => same(x, y),
        (
            Expr::IsBool {
                expr,
                value,
                negated,
            },
            Expr::IsBool {
                expr: x,
                value: v,
                negated: n,
            },
        ) => value == v && negated == n && same(expr, x),
        (
            Expr::Distinct {
                left,
                right,
                negated,
                ..
            },
            Expr::Distinct {
                left: l,
                right: r,
                negated: n,
                ..
            },
        ) => negated == n && same(left, l) && same(right, r),
        (
            Expr::NullIf { left, right, .. },
            Expr::NullIf {
                left: l, right: r, ..
            },
        ) => same(left, l) && same(right, r),
        (Expr::Coalesce(x, t), Expr::Coalesce(y, u)) => t == u && all_same(x, y),
        (Expr::Array(x, t), Expr::Array(y, u)) => t == u && all_same(x, y),
        (
            Expr::Extreme {
                items, greatest, ..
            },
            Expr::Extreme {
                items: i,
                greatest: g,
                ..
            },
        ) => greatest == g && all_same(items, i),
        (Expr::Case { .. }, Expr::Case { .. }) => same_case(a, b),
        (
            Expr::InList {
                expr,
                items,
                eq,
                negated,
            },
            Expr::InList {
                expr: x,
                items: i,
                eq: q,
                negated: n,
            },
        ) => eq == q && negated == n && same(expr, x) && all_same(items, i),
        (
            Expr::ArrayQuantified {
                left,
                op,
                array,
                all,
            },
            Expr::ArrayQuantified {
                left: l,
                op: o,
                array: r,
                all: w,
            },
        ) => op == o && all == w && same(left, l) && same(array, r),
        (
            Expr::Subscript { array, index, .. },
            Expr::Subscript {
                array: x, index: i, ..
            },
        ) => same(array, x) && same(index, i),
        (Expr::Subquery { plan, .. }, Expr::Subquery { plan: p, .. }) => Arc::ptr_eq(plan, p),
        _ => false,
    }
}

fn same_case(a: &Expr, b: &Expr) -> bool {
    let (
        Expr::Case {
            branches,
            otherwise,
            ..
        },
        Expr::Case {
            branches: others,
            otherwise: last,
            ..
        },
    ) = (a, b)
    else {
        return false;
    };
    branches.len() == others.len()
        && branches
            .iter()
            .zip(others)
            .all(|((c, r), (d, s))| same(c, d) && same(r, s))
        && match (otherwise, last) {
            (Some(x), Some(y)) => same(x, y),
            (None, None) => true,
            _ => false,
        }
}

fn all_same(a: &[Expr], b: &[Expr]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(x, y)| same(x, y))
}

/// Same aggregate over the same rows.
pub(super) fn same_aggregate(a: &AggregateCall, b: &AggregateCall) -> bool {
    let key = |x: &SortKey, y: &SortKey| {
        x.descending == y.descending && x.nulls_first == y.nulls_first && same(&x.expr, &y.expr)
    };
    a.func == b.func
        && a.distinct == b.distinct
        && a.ty == b.ty
        && all_same(&a.args, &b.args)
        && match (&a.filter, &b.filter) {
            (Some(x), Some(y)) => same(x, y),
            (None, None) => true,
            _ => false,
        }
        && a.order.len() == b.order.len()
        && a.order.iter().zip(&b.order).all(|(x, y)| key(x, y))
}
