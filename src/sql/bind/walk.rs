//! Walking bound expressions and the plans inside them, in place.
//!
//! Owns: what a reference to an enclosing row means from the inside of subqueries, and when two expressions are the same.
//! Never: knows an expression's parts (`engine::plan` lists them) or changes meaning; callers decide.
//! Bounds: recursion as deep as the bound tree, which the caps on the syntax tree bound.

use engine::plan::{AggregateCall, Expr, Plan, SortKey};
use std::mem::discriminant;
use std::sync::Arc;
use types::{Result, Value};

/// The direct parts of an expression. Of a subquery only its left operand: the plan is another row's business.
pub(super) fn parts(e: &mut Expr, f: &mut dyn FnMut(&mut Expr) -> Result<()>) -> Result<()> {
    e.children_mut().into_iter().try_for_each(f)
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

/// Every expression of a plan's operators with the number of rows around it; a lateral join adds one for its right side.
pub(super) fn plan_exprs(
    plan: &mut Plan,
    inside: usize,
    f: &mut dyn FnMut(&mut Expr, usize) -> Result<()>,
) -> Result<()> {
    if let Plan::Join(join) = plan {
        plan_exprs(&mut join.left, inside, f)?;
        plan_exprs(&mut join.right, inside + usize::from(join.lateral), f)?;
    } else {
        for input in plan.inputs_mut() {
            plan_exprs(input, inside, f)?;
        }
    }
    plan.exprs_mut().into_iter().try_for_each(|e| f(e, inside))
}

/// Columns of the row moved right by `by`, also where subqueries read them.
pub(super) fn shift_columns(e: &mut Expr, by: usize) {
    e.each_mut(&mut |x| match x {
        Expr::Column(i, _) => *i += by,
        Expr::Subquery { plan, .. } => {
            // The callback does not fail.
            let _ = plan_exprs(Arc::make_mut(plan), 1, &mut |x, inside| {
                outers(x, inside, &mut |x, inside| {
                    if let Expr::Outer { depth, column, .. } = x
                        && *depth == inside
                    {
                        *column += by;
                    }
                    Ok(())
                })
            });
        }
        _ => {}
    });
}

/// The expression as a query `by` rows further in sees it. It must hold no subquery.
pub(super) fn lift(e: &Expr, by: usize) -> Expr {
    let mut out = e.clone();
    out.each_mut(&mut |x| match x {
        Expr::Column(column, ty) => {
            *x = Expr::Outer {
                depth: by,
                column: *column,
                ty: *ty,
            };
        }
        Expr::Outer { depth, .. } => *depth += by,
        _ => {}
    });
    out
}

/// The expression as the query `by` rows further out sees it. It must read no nearer row, except of subqueries inside it.
pub(super) fn move_out(e: &mut Expr, by: usize) {
    // The callback does not fail.
    let _ = outers(e, 0, &mut |x, inside| {
        let Expr::Outer { depth, column, ty } = x else {
            return Ok(());
        };
        if inside == 0 && *depth == by {
            *x = Expr::Column(*column, *ty);
        } else {
            *depth = depth.saturating_sub(by);
        }
        Ok(())
    });
}

/// Nodes of an expression, subquery plans not counted (they are shared).
pub(super) fn size(e: &Expr) -> usize {
    let mut n = 0;
    e.each(&mut |_| n += 1);
    n
}

/// Same computation: structure, functions and types.
pub(crate) fn same(a: &Expr, b: &Expr) -> bool {
    if !same_node(a, b) {
        return false;
    }
    let (x, y) = (a.children(), b.children());
    x.len() == y.len() && x.into_iter().zip(y).all(|(x, y)| same(x, y))
}

/// What two expressions are, their parts aside.
fn same_node(a: &Expr, b: &Expr) -> bool {
    use Expr as E;
    if discriminant(a) != discriminant(b) || a.ty() != b.ty() {
        return false;
    }
    match (a, b) {
        (E::Const(x, _), E::Const(y, _)) => same_value(x, y),
        (E::Param(x, _), E::Param(y, _)) => x == y,
        (E::Column(x, _), E::Column(y, _)) => x == y,
        (
            E::Outer { depth, column, .. },
            E::Outer {
                depth: d,
                column: c,
                ..
            },
        ) => (depth, column) == (d, c),
        (E::Call { func, .. }, E::Call { func: g, .. }) => func == g,
        (
            E::Cast {
                typmod, explicit, ..
            },
            E::Cast {
                typmod: t,
                explicit: e,
                ..
            },
        ) => (typmod, explicit) == (t, e),
        (
            E::IsBool { value, negated, .. },
            E::IsBool {
                value: v,
                negated: n,
                ..
            },
        ) => (value, negated) == (v, n),
        (
            E::Distinct { eq, negated, .. },
            E::Distinct {
                eq: q, negated: n, ..
            },
        ) => eq == q && negated == n,
        (E::NullIf { eq, .. }, E::NullIf { eq: q, .. }) => eq == q,
        (E::Extreme { greatest, .. }, E::Extreme { greatest: g, .. }) => greatest == g,
        (
            E::InList { eq, negated, .. },
            E::InList {
                eq: q, negated: n, ..
            },
        ) => eq == q && negated == n,
        (E::ArrayQuantified { op, all, .. }, E::ArrayQuantified { op: o, all: l, .. }) => {
            op == o && all == l
        }
        // ELSE is a part like the others: without this CASE a THEN b … could be taken for … ELSE a.
        (
            E::Case { branches, .. },
            E::Case {
                branches: other, ..
            },
        ) => branches.len() == other.len(),
        // What a plan is shows in its debug text; WITH queries in it have numbers, by which two texts of one query differ.
        (
            E::Subquery { plan, kind, .. },
            E::Subquery {
                plan: p, kind: k, ..
            },
        ) => Arc::ptr_eq(plan, p) || format!("{kind:?}{plan:?}") == format!("{k:?}{p:?}"),
        _ => true,
    }
}

/// The very same value: a NaN is itself, while 0 is not -0, and 1.0 not 1.00, since what is computed from them differs.
fn same_value(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Float4(x), Value::Float4(y)) => x.to_bits() == y.to_bits(),
        (Value::Float8(x), Value::Float8(y)) => x.to_bits() == y.to_bits(),
        (Value::Numeric(x), Value::Numeric(y)) => x == y && x.scale() == y.scale(),
        (Value::Array(x), Value::Array(y)) => {
            x.element == y.element && same_values(&x.items, &y.items)
        }
        (Value::Record(x), Value::Record(y)) => {
            x.ty() == y.ty() && x.fields() == y.fields() && same_values(x.values(), y.values())
        }
        (Value::Jsonb(x), Value::Jsonb(y)) => x == y && x.to_string() == y.to_string(),
        (x, y) => x == y,
    }
}

fn same_values(a: &[Value], b: &[Value]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_value(a, b))
}

/// Same aggregate over the same rows.
pub(super) fn same_aggregate(a: &AggregateCall, b: &AggregateCall) -> bool {
    let key = |(x, y): (&SortKey, &SortKey)| {
        x.descending == y.descending && x.nulls_first == y.nulls_first && same(&x.expr, &y.expr)
    };
    a.func == b.func
        && a.distinct == b.distinct
        && a.ty == b.ty
        && a.args.len() == b.args.len()
        && a.args.iter().zip(&b.args).all(|(x, y)| same(x, y))
        && match (&a.filter, &b.filter) {
            (Some(x), Some(y)) => same(x, y),
            (None, None) => true,
            _ => false,
        }
        && a.order.len() == b.order.len()
        && a.order.iter().zip(&b.order).all(key)
}
