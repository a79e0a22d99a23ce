//! Evaluating a bound expression over one row.
//!
//! Owns: SQL's three-valued logic, laziness (CASE, COALESCE, AND, OR stop at what decides), strictness.
//! Asked by: operators and the shard's scans, once per row. Never: runs a subquery; the operators do that first.
//! Bounds: a left-deep chain of operators, however long, is walked in a loop, not by recursion; other nesting is bounded by
//! `limits::STATEMENT_DEPTH_MAX`.

mod fold;
mod lists;
mod walk;

pub use fold::{blank, fold, guess};
pub use walk::{columns_used, has_subquery, is_constant, transform, walk};

use super::Context;
use super::cast;
use super::functions::Function;
use crate::plan::Expr;
use smallvec::SmallVec;
use types::{Error, Result, SqlState, Value};

/// What an expression sees besides its row.
#[derive(Clone, Copy)]
pub struct Env<'a> {
    pub ctx: &'a Context,
    /// Rows of the enclosing queries, the nearest last.
    pub outer: &'a [&'a [Value]],
}

/// The value of `e` over `row`.
pub fn eval(e: &Expr, row: &[Value], env: &Env) -> Result<Value> {
    match e {
        Expr::Const(v, _) => Ok(v.clone()),
        Expr::Column(i, _) => row.get(*i).cloned().ok_or_else(|| no_column(*i, row.len())),
        Expr::Call { func, args, .. } => match &args[..] {
            [left, right] => match at_hand(left, row, env) {
                Some(left) => infix(func.0, left, right, row, env),
                None => spine(e, row, env),
            },
            _ => spine(e, row, env),
        },
        Expr::Cast { .. } | Expr::Not(_) | Expr::IsNull(_) => spine(e, row, env),
        _ => other(e, row, env),
    }
}

/// A condition's verdict: NULL is false.
pub fn eval_bool(e: &Expr, row: &[Value], env: &Env) -> Result<bool> {
    match eval(e, row, env)? {
        Value::Bool(b) => Ok(b),
        Value::Null => Ok(false),
        v => Err(not_boolean(&v)),
    }
}

/// The chain of first operands from `e` down to one that is no call, then up again.
fn spine(e: &Expr, row: &[Value], env: &Env) -> Result<Value> {
    let mut chain: SmallVec<[&Expr; 8]> = SmallVec::new();
    let mut at = e;
    let mut value = loop {
        let first = match at {
            Expr::Call { args, .. } => match args.first() {
                Some(first) => first,
                None => break call(at, None, row, env)?,
            },
            Expr::Cast { expr, .. } | Expr::Not(expr) | Expr::IsNull(expr) => expr.as_ref(),
            leaf => break eval(leaf, row, env)?,
        };
        chain.push(at);
        at = first;
    };
    for node in chain.iter().rev() {
        value = match node {
            Expr::Cast {
                expr,
                to,
                typmod,
                explicit,
            } => cast::cast(value, expr.ty(), *to, *typmod, *explicit, env.ctx)?,
            Expr::Not(_) => match value {
                Value::Bool(b) => Value::Bool(!b),
                Value::Null => Value::Null,
                v => return Err(not_boolean(&v)),
            },
            Expr::IsNull(_) => Value::Bool(value.is_null()),
            _ => call(node, Some(value), row, env)?,
        };
    }
    Ok(value)
}

/// The value of `e` where nothing has to be computed for it.
fn at_hand<'a>(e: &'a Expr, row: &'a [Value], env: &'a Env) -> Option<&'a Value> {
    match e {
        Expr::Const(v, _) => Some(v),
        Expr::Column(i, _) => row.get(*i),
        Expr::Param(n, _) => env.ctx.params.get(usize::from(*n)),
        _ => None,
    }
}

/// A function of two arguments, the first already evaluated. What only compares them copies neither.
fn infix(func: &Function, left: &Value, right: &Expr, row: &[Value], env: &Env) -> Result<Value> {
    let computed;
    let right = match at_hand(right, row, env) {
        Some(right) => right,
        None => {
            computed = eval(right, row, env)?;
            &computed
        }
    };
    verdict_or_call(func, left, right, env)
}

fn verdict_or_call(func: &Function, left: &Value, right: &Value, env: &Env) -> Result<Value> {
    if func.strict && (left.is_null() || right.is_null()) {
        return Ok(Value::Null);
    }
    if let Some(comparison) = &func.comparison {
        return Ok(Value::Bool(comparison.holds(left, right)));
    }
    (func.eval)(env.ctx, &[left.clone(), right.clone()])
}

/// A call whose first argument, if it has one, is already evaluated.
fn call(e: &Expr, first: Option<Value>, row: &[Value], env: &Env) -> Result<Value> {
    let Expr::Call { func, args, .. } = e else {
        return Err(Error::internal("not a call"));
    };
    match (&args[..], &first) {
        ([_], Some(_)) => return apply(func.0, first.as_slice(), env.ctx),
        ([_, right], Some(left)) => return infix(func.0, left, right, row, env),
        _ => {}
    }
    let mut values: SmallVec<[Value; 4]> = SmallVec::new();
    values.extend(first);
    for arg in args.iter().skip(1) {
        values.push(eval(arg, row, env)?);
    }
    apply(func.0, &values, env.ctx)
}

/// A function of evaluated arguments, minding its strictness.
pub fn apply(func: &Function, args: &[Value], ctx: &Context) -> Result<Value> {
    if func.strict && args.iter().any(Value::is_null) {
        return Ok(Value::Null);
    }
    (func.eval)(ctx, args)
}

/// Everything but constants, columns and calls; apart, to keep the frames of `eval` small.
#[inline(never)]
fn other(e: &Expr, row: &[Value], env: &Env) -> Result<Value> {
    match e {
        Expr::Param(n, _) => parameter(*n, env),
        Expr::Outer { depth, column, .. } => outer(*depth, *column, env),
        Expr::And(items) => lists::connective(items, false, row, env),
        Expr::Or(items) => lists::connective(items, true, row, env),
        Expr::IsBool {
            expr,
            value,
            negated,
        } => {
            let found = match eval(expr, row, env)? {
                Value::Bool(b) => Some(b),
                Value::Null => None,
                v => return Err(not_boolean(&v)),
            };
            Ok(Value::Bool((found == *value) != *negated))
        }
        Expr::Distinct {
            left,
            right,
            eq,
            negated,
        } => {
            let (l, r) = (eval(left, row, env)?, eval(right, row, env)?);
            let same = match (l.is_null(), r.is_null()) {
                (true, true) => true,
                (false, false) => is_true(&apply(eq.0, &[l, r], env.ctx)?),
                _ => false,
            };
            Ok(Value::Bool(same == *negated))
        }
        Expr::Case {
            branches,
            otherwise,
            ..
        } => {
            for (condition, result) in branches {
                if eval_bool(condition, row, env)? {
                    return eval(result, row, env);
                }
            }
            otherwise
                .as_ref()
                .map_or(Ok(Value::Null), |e| eval(e, row, env))
        }
        Expr::Coalesce(items, _) => {
            for item in items {
                let v = eval(item, row, env)?;
                if !v.is_null() {
                    return Ok(v);
                }
            }
            Ok(Value::Null)
        }
        _ => lists::other(e, row, env),
    }
}

fn parameter(n: u16, env: &Env) -> Result<Value> {
    env.ctx.params.get(usize::from(n)).cloned().ok_or_else(|| {
        Error::new(
            SqlState::UNDEFINED_PARAMETER,
            format!("there is no parameter ${}", u32::from(n) + 1),
        )
    })
}

fn outer(depth: usize, column: usize, env: &Env) -> Result<Value> {
    env.outer
        .len()
        .checked_sub(depth)
        .and_then(|i| env.outer.get(i))
        .and_then(|row| row.get(column))
        .cloned()
        .ok_or_else(|| Error::internal(format!("no outer column {column} at depth {depth}")))
}

fn is_true(v: &Value) -> bool {
    matches!(v, Value::Bool(true))
}

#[cold]
fn no_column(i: usize, width: usize) -> Error {
    Error::internal(format!("column {i} of a row of {width}"))
}

#[cold]
fn not_boolean(v: &Value) -> Error {
    Error::internal(format!("a condition gave {v:?}"))
}
