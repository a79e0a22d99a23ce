//! Making what is sent to shards self-contained.
//!
//! Owns: replacing enclosing rows and subqueries by constants in a scan, or in an UPDATE's or DELETE's filter and access,
//! and turning `key = ANY (array)` into exact keys, or ranges of an index, once the array is known. Asked by: `ShardRows`, and by the session before
//! it sends a change. Never: touches a subquery that reads the expression's own row.
//! Bounds: `KEYS_MAX` exact keys.

use super::Exec;
use super::lookup::fitted;
use super::rows::RowSet;
use super::subquery::{all_values, eval_row, subquery};
use crate::catalog::{Index, Table};
use crate::exec::eval::{Env, eval};
use crate::plan::{Access, Bitmap, Comparison, Each, Expr, KeyRange, Plan, Scan, SubqueryKind};
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
        Access::Each(each) => keys_of_each(&scan.table, &each, exec)?,
        Access::Full => {
            keys_of_filter(&scan.table, scan.filter.as_ref(), exec)?.unwrap_or(Access::Full)
        }
        access => access,
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
        Access::Each(_) => false,
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

/// As `settle_scan`, for how an UPDATE or DELETE finds its rows; its filter is settled.
pub async fn settle_access(
    table: &Table,
    access: &Access,
    filter: Option<&Expr>,
    exec: &Rc<Exec>,
    outer: &[Row],
) -> Result<Access> {
    let mut access = access.clone();
    for e in access.exprs_mut() {
        if needs_settling(e) {
            *e = settle_expr(e, exec, outer).await?;
        }
    }
    match access {
        Access::Keys(keys) if keys.len() > 1 => distinct_keys(keys, exec),
        Access::Each(each) => keys_of_each(table, &each, exec),
        Access::Full => Ok(keys_of_filter(table, filter, exec)?.unwrap_or(Access::Full)),
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

fn keys_of_each(table: &Table, each: &Each, exec: &Exec) -> Result<Access> {
    let Some(values) = elements(&each.array, exec)? else {
        return Ok(Access::Full);
    };
    let access = keyed(table, each.index.as_ref(), &values);
    Ok(access.unwrap_or(Access::Full))
}

/// Where all rows would be read, and the settled filter asks for `key = ANY (array)`: exactly those keys, or what the primary key
/// that begins with it, or an index that is not unique, has for them.
fn keys_of_filter(table: &Table, filter: Option<&Expr>, exec: &Exec) -> Result<Option<Access>> {
    for condition in filter.map(conditions).unwrap_or_default() {
        let Some((column, array)) = any_of(condition) else {
            continue;
        };
        let leads = table.has_key() && table.primary_key.first() == Some(&column);
        let first = |i: &&Arc<Index>| {
            let part = i.parts.first().and_then(|p| p.column());
            part == Some(column) && !i.unique && i.predicate.is_none()
        };
        let index = table.valid_indexes().find(first);
        if !leads && index.is_none() {
            continue;
        }
        if let Some(values) = elements(array, exec)?
            && let Some(access) = keyed(table, index.filter(|_| !leads), &values)
        {
            return Ok(Some(access));
        }
    }
    Ok(None)
}

fn conditions(filter: &Expr) -> &[Expr] {
    match filter {
        Expr::And(items) => items,
        single => std::slice::from_ref(single),
    }
}

/// A column, and the array of which it has to be an element.
fn any_of(condition: &Expr) -> Option<(usize, &Expr)> {
    let Expr::ArrayQuantified {
        left,
        op,
        array,
        all: false,
    } = condition
    else {
        return None;
    };
    let (Comparison::Eq, ..) = op.comparison_between()? else {
        return None;
    };
    match &**left {
        Expr::Column(column, _) => Some((*column, array)),
        // An integer, or text, is compared as a wider one: what its column cannot hold matches nothing.
        Expr::Cast { expr, to, .. } => match &**expr {
            Expr::Column(column, from) if from.is_integer() && to.is_integer() => {
                Some((*column, array))
            }
            _ => None,
        },
        _ => None,
    }
}

/// What an array of no row holds; `None` where that is not to be known here.
fn elements(array: &Expr, exec: &Exec) -> Result<Option<Vec<Value>>> {
    if !array.columns().is_empty() || array.is_volatile() {
        return Ok(None);
    }
    let env = Env {
        ctx: &exec.ctx,
        outer: &[],
    };
    Ok(match eval(array, &[], &env)? {
        Value::Array(array) => Some(array.items.clone()),
        Value::Null => Some(Vec::new()),
        _ => None,
    })
}

/// Rows whose first column of the key, or of an index, is one of these; `None` where there are too many, or of another form.
fn keyed(table: &Table, index: Option<&Arc<Index>>, values: &[Value]) -> Option<Access> {
    let ty = match index {
        Some(index) => index.parts.first()?.ty(table),
        None => table.columns.get(*table.primary_key.first()?)?.ty,
    };
    let (mut seen, mut keys) = (RowSet::default(), Vec::new());
    for value in values {
        let fitted = fitted(value, ty)?;
        let Some(key) = fitted.constant() else {
            continue;
        };
        if let Expr::Const(value, _) = &key
            && seen.intern(std::slice::from_ref(value)).1
        {
            keys.push(vec![key]);
        }
        if keys.len() > KEYS_MAX {
            return None;
        }
    }
    let range = |prefix| KeyRange {
        prefix,
        ..KeyRange::default()
    };
    let exact = index.is_none() && table.primary_key.len() == 1;
    Some(match exact || keys.is_empty() {
        true => Access::Keys(keys),
        false => Access::Bitmap(Bitmap::Entries {
            index: index.cloned(),
            ranges: keys.into_iter().map(range).collect(),
        }),
    })
}
