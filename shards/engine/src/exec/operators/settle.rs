//! Making what is sent to shards self-contained.
//!
//! Owns: replacing enclosing rows and subqueries by constants in a scan, or in an UPDATE's or DELETE's filter and access,
//! and turning `key = ANY (array)` into exact keys once the array is known. Asked by: `ShardRows`, and by the session before
//! it sends a change. Never: touches a subquery that reads the expression's own row.
//! Bounds: `KEYS_MAX` exact keys.

use super::Exec;
use super::rows::RowSet;
use super::subquery::{all_values, eval_row, subquery};
use crate::catalog::Table;
use crate::exec::eval::{Env, eval};
use crate::plan::{Access, Comparison, Expr, Plan, Scan, SubqueryKind};
use futures_util::future::LocalBoxFuture;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use types::{DataType, Error, Result, Row, Value};

/// An array of more values is a filter, not keys.
const KEYS_MAX: usize = 1_024;

/// Replaces references to enclosing rows and subqueries that do not read the expression's own row by constants.
pub fn settle_expr<'a>(
    e: &'a Expr,
    exec: &'a Rc<Exec>,
    outer: &'a [Row],
) -> LocalBoxFuture<'a, Result<Expr>> {
    Box::pin(async move {
        match e {
            Expr::Outer { .. } => {
                let value = eval_row(e, &[], exec, outer).await?;
                Ok(Expr::Const(value, e.ty()))
            }
            Expr::Subquery { plan, kind, ty, .. } if reads_no_row(&plan.outer_refs()) => {
                settle_subquery(plan, kind, *ty, exec, outer).await
            }
            e => {
                let mut copy = e.clone();
                for child in copy.children_mut() {
                    if needs_settling(child) {
                        *child = settle_expr(child, exec, outer).await?;
                    }
                }
                Ok(copy)
            }
        }
    })
}

async fn settle_subquery(
    plan: &Arc<Plan>,
    kind: &SubqueryKind,
    ty: DataType,
    exec: &Rc<Exec>,
    outer: &[Row],
) -> Result<Expr> {
    let SubqueryKind::Quantified { left, op, all } = kind else {
        let value = subquery(plan, kind, ty, &[], exec, outer).await?;
        return Ok(Expr::Const(value, ty));
    };
    let left = Box::new(settle_expr(left, exec, outer).await?);
    let mut inner = outer.to_vec();
    inner.push(Row::new());
    let element = op.0.args.get(1).copied().unwrap_or(left.ty());
    let Some(array) = element.array() else {
        return Err(Error::internal("a quantified subquery over an array type"));
    };
    let values = all_values(plan, kind, element, exec, inner).await?;
    Ok(Expr::ArrayQuantified {
        left,
        op: *op,
        array: Box::new(Expr::Const(values, array)),
        all: *all,
    })
}

fn reads_no_row(reads: &BTreeSet<(usize, usize)>) -> bool {
    reads.iter().all(|(depth, _)| *depth > 1)
}

/// It reads rows of its own, or those of an enclosing query.
pub fn needs_settling(e: &Expr) -> bool {
    e.any(&mut |e| matches!(e, Expr::Outer { .. } | Expr::Subquery { .. }))
}

/// The scan with nothing in it that reads outside its table: ready to be sent.
pub async fn settle_scan(scan: &Scan, exec: &Rc<Exec>, outer: &[Row]) -> Result<Arc<Scan>> {
    let mut plan = Plan::Scan(Box::new(scan.clone()));
    for e in plan.exprs_mut() {
        if needs_settling(e) {
            *e = settle_expr(e, exec, outer).await?;
        }
    }
    let Plan::Scan(mut scan) = plan else {
        return Err(Error::internal("a scan stays a scan"));
    };
    scan.access = match std::mem::replace(&mut scan.access, Access::Full) {
        Access::Keys(keys) if keys.len() > 1 => distinct_keys(keys, exec)?,
        access => keys_of_arrays(&scan.table, access, scan.filter.as_ref(), exec)?,
    };
    Ok(Arc::new(*scan))
}

/// The same for a plan that runs in the partitions.
pub(super) fn settle_plan<'a>(
    plan: &'a mut Plan,
    exec: &'a Rc<Exec>,
    outer: &'a [Row],
) -> LocalBoxFuture<'a, Result<()>> {
    Box::pin(async move {
        if let Plan::Scan(scan) = plan {
            if !is_settled(scan) {
                let settled = settle_scan(scan, exec, outer).await?;
                **scan = Arc::unwrap_or_clone(settled);
            }
            return Ok(());
        }
        for e in plan.exprs_mut() {
            if needs_settling(e) {
                *e = settle_expr(e, exec, outer).await?;
            }
        }
        for input in plan.inputs_mut() {
            settle_plan(input, exec, outer).await?;
        }
        Ok(())
    })
}

/// Whether `settle_scan` would change anything.
pub fn is_settled(scan: &Scan) -> bool {
    let access = match &scan.access {
        Access::Keys(keys) => keys.len() == 1,
        Access::KeyRange(_) | Access::Index { .. } | Access::Bitmap(_) => true,
        Access::Full => !scan.filter.iter().any(|f| f.any(&mut is_any_of_array)),
    };
    let expr = |e: &Expr| !needs_settling(e);
    access
        && scan.access.exprs().into_iter().all(expr)
        && scan.homes.iter().flatten().all(expr)
        && scan.filter.iter().all(expr)
        && scan.project.iter().flatten().all(expr)
        && scan.partial.is_none()
}

fn is_any_of_array(e: &Expr) -> bool {
    matches!(e, Expr::ArrayQuantified { all: false, .. })
}

/// As `settle_scan`, for how an UPDATE or DELETE finds its rows.
pub async fn settle_access(access: &Access, exec: &Rc<Exec>, outer: &[Row]) -> Result<Access> {
    let mut access = access.clone();
    for e in access.exprs_mut() {
        if needs_settling(e) {
            *e = settle_expr(e, exec, outer).await?;
        }
    }
    match access {
        Access::Keys(keys) if keys.len() > 1 => distinct_keys(keys, exec),
        access => Ok(access),
    }
}

/// Several keys become constants, each different one once and none with NULL, so that no row is found twice.
fn distinct_keys(keys: Vec<Vec<Expr>>, exec: &Exec) -> Result<Access> {
    let env = Env {
        ctx: &exec.ctx,
        outer: &[],
    };
    let mut seen = RowSet::default();
    let mut out = Vec::with_capacity(keys.len());
    for key in keys {
        let values = key.iter().map(|e| eval(e, &[], &env));
        let values = values.collect::<Result<Row>>()?;
        if values.iter().any(Value::is_null) || !seen.intern(&values).1 {
            continue;
        }
        let typed = values.into_iter().zip(&key);
        out.push(typed.map(|(v, e)| Expr::Const(v, e.ty())).collect());
    }
    Ok(Access::Keys(out))
}

/// Where all rows would be read, and the settled filter asks for `key = ANY (array)`: exactly those keys.
pub fn keys_of_arrays(
    table: &Table,
    access: Access,
    filter: Option<&Expr>,
    exec: &Exec,
) -> Result<Access> {
    let (Access::Full, Some(filter)) = (&access, filter) else {
        return Ok(access);
    };
    let env = Env {
        ctx: &exec.ctx,
        outer: &[],
    };
    for condition in conditions(filter) {
        if let Some(keys) = listed_keys(table, condition, &env)? {
            return distinct_keys(keys, exec);
        }
    }
    Ok(access)
}

fn conditions(filter: &Expr) -> &[Expr] {
    match filter {
        Expr::And(items) => items,
        single => std::slice::from_ref(single),
    }
}

/// The keys of `key = ANY (array)` over a primary key of one column of exactly the array's type.
fn listed_keys(table: &Table, condition: &Expr, env: &Env) -> Result<Option<Vec<Vec<Expr>>>> {
    let Expr::ArrayQuantified {
        left,
        op,
        array,
        all: false,
    } = condition
    else {
        return Ok(None);
    };
    let (Expr::Column(column, ty), Some((Comparison::Eq, operand))) = (&**left, op.comparison())
    else {
        return Ok(None);
    };
    let is_key = *table.primary_key == [*column];
    let known = array.columns().is_empty() && !array.is_volatile();
    if !is_key || !known || operand != *ty || array.ty().element() != Some(*ty) {
        return Ok(None);
    }
    Ok(match eval(array, &[], env)? {
        Value::Array(array) if array.items.len() <= KEYS_MAX => {
            let key = |v: &Value| vec![Expr::Const(v.clone(), *ty)];
            Some(array.items.iter().map(key).collect())
        }
        Value::Null => Some(Vec::new()),
        _ => None,
    })
}
