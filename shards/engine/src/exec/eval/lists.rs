//! Expressions over several operands: AND/OR, IN, ANY/ALL, GREATEST, NULLIF, ARRAY, subscripts.

use super::{Env, apply, at_hand, eval, infix, is_true, not_boolean};
use crate::plan::{Expr, FuncRef};
use std::sync::Arc;
use types::{Array, DataType, Error, Result, Value};

/// AND (`decisive` false) or OR (true): stops at the first operand that decides; NULL if none does and one is NULL.
pub fn connective(items: &[Expr], decisive: bool, row: &[Value], env: &Env) -> Result<Value> {
    let mut unknown = false;
    for item in items {
        match eval(item, row, env)? {
            Value::Bool(b) if b == decisive => return Ok(Value::Bool(b)),
            Value::Bool(_) => {}
            Value::Null => unknown = true,
            v => return Err(not_boolean(&v)),
        }
    }
    Ok(if unknown {
        Value::Null
    } else {
        Value::Bool(!decisive)
    })
}

/// The rest of `Expr`.
pub fn other(e: &Expr, row: &[Value], env: &Env) -> Result<Value> {
    match e {
        Expr::NullIf {
            left, right, eq, ..
        } => {
            let (l, r) = (eval(left, row, env)?, eval(right, row, env)?);
            if l.is_null() || r.is_null() {
                return Ok(l);
            }
            let args = [l, r];
            if is_true(&apply(eq.0, &args, env.ctx)?) {
                return Ok(Value::Null);
            }
            let [l, _] = args;
            Ok(l)
        }
        Expr::Extreme {
            items,
            less,
            greatest,
            ..
        } => extreme(items, *less, *greatest, row, env),
        Expr::InList {
            expr,
            items,
            eq,
            negated,
        } => in_list(expr, items, *eq, *negated, row, env),
        Expr::ArrayQuantified {
            left,
            op,
            array,
            all,
        } => {
            let left = eval(left, row, env)?;
            let array = eval(array, row, env)?;
            quantified(&left, *op, &array, *all, env)
        }
        Expr::Array(items, ty) => {
            let values: Result<Vec<Value>> = items.iter().map(|i| eval(i, row, env)).collect();
            Ok(Value::Array(Arc::new(Array {
                element: ty.element().unwrap_or(DataType::Text),
                items: values?,
            })))
        }
        Expr::Subscript { array, index, .. } => {
            let array = eval(array, row, env)?;
            let index = eval(index, row, env)?;
            subscript(&array, &index)
        }
        Expr::Subquery { .. } => Err(Error::internal("a subquery reached plain evaluation")),
        _ => Err(Error::internal("an expression of no known kind")),
    }
}

/// NULLs are passed over; NULL only if all are.
fn extreme(
    items: &[Expr],
    less: FuncRef,
    greatest: bool,
    row: &[Value],
    env: &Env,
) -> Result<Value> {
    let mut best = Value::Null;
    for item in items {
        let v = eval(item, row, env)?;
        if v.is_null() {
            continue;
        }
        if best.is_null() {
            best = v;
            continue;
        }
        let pair = if greatest { [best, v] } else { [v, best] };
        let replace = is_true(&apply(less.0, &pair, env.ctx)?);
        let [first, second] = pair;
        best = if replace == greatest { second } else { first };
    }
    Ok(best)
}

fn in_list(
    expr: &Expr,
    items: &[Expr],
    eq: FuncRef,
    negated: bool,
    row: &[Value],
    env: &Env,
) -> Result<Value> {
    let computed;
    let left = match at_hand(expr, row, env) {
        Some(left) => left,
        None => {
            computed = eval(expr, row, env)?;
            &computed
        }
    };
    if left.is_null() && !items.is_empty() {
        return Ok(Value::Null);
    }
    let mut unknown = false;
    for item in items {
        match infix(eq.0, left, item, row, env)? {
            Value::Bool(true) => return Ok(Value::Bool(!negated)),
            Value::Null => unknown = true,
            _ => {}
        }
    }
    Ok(if unknown {
        Value::Null
    } else {
        Value::Bool(negated)
    })
}

/// `left op ANY/ALL (array)` over evaluated operands.
fn quantified(left: &Value, op: FuncRef, array: &Value, all: bool, env: &Env) -> Result<Value> {
    let items = match array {
        Value::Null => return Ok(Value::Null),
        Value::Array(a) => &a.items,
        v => return Err(Error::internal(format!("ANY over {v:?}"))),
    };
    let mut unknown = false;
    let mut pair = [left.clone(), Value::Null];
    for item in items {
        pair[1] = item.clone();
        match apply(op.0, &pair, env.ctx)? {
            Value::Bool(b) if b != all => return Ok(Value::Bool(b)),
            Value::Null => unknown = true,
            _ => {}
        }
    }
    Ok(if unknown {
        Value::Null
    } else {
        Value::Bool(all)
    })
}

/// NULL outside the bounds, as in PostgreSQL. A jsonb takes an integer or a key.
fn subscript(array: &Value, index: &Value) -> Result<Value> {
    match (array, index) {
        (Value::Null, _) | (_, Value::Null) => Ok(Value::Null),
        (Value::Array(a), i) => {
            let i = i
                .as_i64()
                .ok_or_else(|| Error::internal("a subscript is an integer"))?;
            let at = usize::try_from(i - 1).ok();
            Ok(at.and_then(|i| a.items.get(i)).cloned().unwrap_or_default())
        }
        (Value::Jsonb(j), i) => Ok(crate::exec::functions::json_subscript(j, i)),
        (v, _) => Err(Error::internal(format!("a subscript of {v:?}"))),
    }
}
