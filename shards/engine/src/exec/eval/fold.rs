//! Constant folding.
//!
//! Owns: the computation, once at planning, of what can have only one value. Asked by: the binder and the planner.
//! Never: folds what may differ between executions (stable and volatile functions, conversions that need the time zone or
//! the catalog), nor what fails (the error belongs to the execution, which may never come to it).

use super::{Env, eval, transform};
use crate::catalog::Catalog;
use crate::exec::cast;
use crate::exec::functions::Volatility;
use crate::exec::{Context, SessionInfo};
use crate::plan::Expr;
use std::sync::{Arc, LazyLock};
use types::{DataType, Value};

/// For immutable parts, which look at nothing in it.
static BLANK: LazyLock<Context> = LazyLock::new(|| Context {
    params: Vec::new(),
    catalog: Arc::new(Catalog::empty(1)),
    transaction_micros: 0,
    statement_micros: 0,
    session: Arc::new(SessionInfo {
        cursors: None,
        user: String::new(),
        database: String::new(),
        backend_pid: 0,
        client_addr: None,
        server_port: 0,
        server_start_micros: 0,
        forms: types::text::Forms::UTC,
        settings: Arc::default(),
    }),
    backup: None,
    building: Vec::new(),
    triggers_deep: 0,
});

/// What immutable expressions may be evaluated in where no statement runs.
pub fn blank() -> &'static Context {
    &BLANK
}

/// `e` with its immutable constant parts computed.
pub fn fold(e: Expr, ctx: Option<&Context>) -> Expr {
    let ctx = ctx.unwrap_or(&BLANK);
    transform(e, &mut |e| fold_one(e, ctx, Volatility::Immutable))
}

/// As `fold`, and what is stable as it is in `ctx`: for estimates only, as a plan is used again later.
pub fn guess(e: Expr, ctx: &Context) -> Expr {
    transform(e, &mut |e| fold_one(e, ctx, Volatility::Stable))
}

/// One expression whose children are folded already; `most`: what its functions may be.
fn fold_one(e: Expr, ctx: &Context, most: Volatility) -> Expr {
    match e {
        Expr::And(items) => connective(items, false),
        Expr::Or(items) => connective(items, true),
        Expr::Case {
            branches,
            otherwise,
            ty,
        } => case(branches, otherwise, ty),
        e if is_foldable(&e, most) => match eval(&e, &[], &Env { ctx, outer: &[] }) {
            Ok(v) => Expr::Const(v, e.ty()),
            Err(_) => e,
        },
        e => e,
    }
}

/// Constants that do not decide are dropped, one that does ends the list.
fn connective(items: Vec<Expr>, decisive: bool) -> Expr {
    let mut kept = Vec::with_capacity(items.len());
    for item in items {
        match item {
            Expr::Const(Value::Bool(b), _) if b == decisive => {
                // What stands before it may still fail; PostgreSQL drops that too.
                return Expr::Const(Value::Bool(decisive), DataType::Bool);
            }
            Expr::Const(Value::Bool(_), _) => {}
            other => kept.push(other),
        }
    }
    let only_null = kept
        .iter()
        .all(|e| matches!(e, Expr::Const(Value::Null, _)));
    match kept.len() {
        0 => Expr::Const(Value::Bool(!decisive), DataType::Bool),
        _ if only_null => Expr::Const(Value::Null, DataType::Bool),
        1 => kept.swap_remove(0),
        _ if decisive => Expr::Or(kept),
        _ => Expr::And(kept),
    }
}

/// Branches that can never be taken go; one that always is ends the list.
fn case(branches: Vec<(Expr, Expr)>, otherwise: Option<Box<Expr>>, ty: DataType) -> Expr {
    let mut kept = Vec::with_capacity(branches.len());
    for (condition, result) in branches {
        match condition {
            Expr::Const(Value::Bool(true), _) if kept.is_empty() => return result,
            Expr::Const(Value::Bool(true), _) => {
                return Expr::Case {
                    branches: kept,
                    otherwise: Some(Box::new(result)),
                    ty,
                };
            }
            Expr::Const(..) => {}
            condition => kept.push((condition, result)),
        }
    }
    if kept.is_empty() {
        return otherwise.map_or(Expr::Const(Value::Null, ty), |e| *e);
    }
    Expr::Case {
        branches: kept,
        otherwise,
        ty,
    }
}

fn is_foldable(e: &Expr, most: Volatility) -> bool {
    let constant = |e: &Expr| matches!(e, Expr::Const(..));
    let stable = most == Volatility::Stable;
    let fits = |of: Volatility| of == Volatility::Immutable || of == most;
    match e {
        Expr::Call { func, args, .. } => fits(func.0.volatility) && args.iter().all(constant),
        Expr::Cast { expr, to, .. } => match &**expr {
            Expr::Const(v, from) => {
                stable || cast::is_immutable(*from, *to) || cast::reads_alike(v, *to)
            }
            _ => false,
        },
        Expr::Not(e) | Expr::IsNull(e) | Expr::IsBool { expr: e, .. } => constant(e),
        Expr::Coalesce(items, _) => items.iter().all(constant),
        Expr::Array(items, _) => items.iter().all(constant),
        Expr::Subscript { array, index, .. } => constant(array) && constant(index),
        Expr::Distinct {
            left, right, eq, ..
        }
        | Expr::NullIf {
            left, right, eq, ..
        } => constant(left) && constant(right) && fits(eq.0.volatility),
        Expr::Extreme { items, less, .. } => items.iter().all(constant) && fits(less.0.volatility),
        Expr::InList {
            expr, items, eq, ..
        } => constant(expr) && items.iter().all(constant) && fits(eq.0.volatility),
        Expr::ArrayQuantified {
            left, op, array, ..
        } => constant(left) && constant(array) && fits(op.0.volatility),
        _ => false,
    }
}
