//! Functions, operators and casts against PostgreSQL's answers.
//!
//! `tests/calls.tsv` and `tests/casts.tsv` were written by PostgreSQL 15: a call with its arguments as `type:literal`, then
//! `=`, then the type and text of the result or `ERROR`, the SQLSTATE and the message.

use super::cast::{self, parse_type_name};
use super::eval::{Env, eval, fold, is_constant};
use super::{Context, SessionInfo, resolve};
use crate::catalog::Catalog;
use crate::plan::{Expr, FuncRef};
use std::sync::Arc;
use types::{DataType, Error, Result, Value, text};

mod aggregates;
mod expressions;
mod resolution;

fn context() -> Context {
    Context {
        params: Vec::new(),
        catalog: Arc::new(Catalog::empty(1)),
        transaction_micros: 0,
        statement_micros: 0,
        session: Arc::new(SessionInfo {
            cursors: None,
            user: "rustydb".to_owned(),
            database: "rustydb".to_owned(),
            backend_pid: 1,
            client_addr: None,
            server_port: 5433,
            server_start_micros: 0,
            forms: ::types::text::Forms::UTC,
            settings: Arc::default(),
        }),
        backup: None,
        building: Vec::new(),
        triggers_deep: 0,
    }
}

/// Undoes the escapes of the tables.
fn unescape(s: &str) -> String {
    let mut out = String::new();
    let mut chars = s.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, true) => out.push(match chars.next() {
                Some('n') => '\n',
                Some('t') => '\t',
                Some(other) => other,
                None => '\\',
            }),
            (c, _) => out.push(c),
        }
    }
    out
}

/// `type:literal` as a constant.
fn argument(arg: &str, ctx: &Context) -> Result<Expr> {
    let (ty, literal) = arg.split_once(':').expect("type:literal");
    if ty == "unknown" {
        let v = match literal {
            "null" => Value::Null,
            other => other.into(),
        };
        return Ok(Expr::Const(v, DataType::Unknown));
    }
    let ty = parse_type_name(ty).expect("a type");
    if ty.is_reg() {
        let v = cast::cast(literal.into(), DataType::Unknown, ty, -1, true, ctx)?;
        return Ok(Expr::Const(v, ty));
    }
    let env = text::ParseEnv {
        forms: &ctx.session.forms,
        now_micros: 0,
    };
    Ok(Expr::Const(text::parse(literal, ty, -1, &env)?, ty))
}

/// Casts arguments as the binder does.
fn call(r: resolve::Resolved, args: Vec<Expr>) -> Expr {
    let fit = |(e, to): (Expr, &DataType)| {
        if e.ty() == *to {
            return e;
        }
        Expr::Cast {
            expr: Box::new(e),
            to: *to,
            typmod: -1,
            explicit: false,
        }
    };
    Expr::Call {
        func: FuncRef(r.func),
        args: args.into_iter().zip(&r.arg_types).map(fit).collect(),
        ty: r.ret,
    }
}

fn answer(name: &str, args: &[&str], ctx: &Context) -> Result<(DataType, String)> {
    let args: Result<Vec<Expr>> = args.iter().map(|a| argument(&unescape(a), ctx)).collect();
    let args = args?;
    let types: Vec<DataType> = args.iter().map(Expr::ty).collect();
    let resolved = match name.strip_prefix("op ") {
        Some(symbol) => match types.as_slice() {
            [right] => resolve::operator(symbol, None, *right)?,
            [left, right] => resolve::operator(symbol, Some(*left), *right)?,
            _ => return Err(Error::internal("operators have one or two operands")),
        },
        None => resolve::function(name, &types)?,
    };
    let ty = resolved.ret;
    let e = call(resolved, args);
    let v = eval(&e, &[], &Env { ctx, outer: &[] })?;
    if is_constant(&e) {
        let folded = fold(e, Some(ctx));
        let again = eval(&folded, &[], &Env { ctx, outer: &[] })?;
        assert_eq!(
            format!("{v:?}"),
            format!("{again:?}"),
            "{name} folds to itself"
        );
    }
    if v.is_null() {
        return Ok((ty, "NULL".to_owned()));
    }
    let shown = cast::cast(v, ty, DataType::Text, -1, true, ctx)?;
    Ok((ty, shown.as_str().unwrap_or("?").to_owned()))
}

/// Compares every line of a table, and reports all differences at once.
fn check(table: &str, answer: impl Fn(&str, &[&str]) -> Result<(DataType, String)>) {
    let mut wrong = Vec::new();
    for line in table.lines() {
        let cells: Vec<&str> = line.split('\t').collect();
        let at = cells.iter().position(|c| *c == "=").expect("a result");
        let (name, args) = (unescape(cells[0]), &cells[1..at]);
        let expected = cells[at + 1..]
            .iter()
            .map(|c| unescape(c))
            .collect::<Vec<_>>()
            .join("\t");
        let got = match answer(&name, args) {
            Ok((ty, v)) => format!("{ty}\t{v}"),
            Err(e) => format!("ERROR {}\t{}", e.code(), e.message()),
        };
        if got != expected {
            wrong.push(format!("{line}\n    got {got}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn functions_and_operators_answer_as_postgresql_does() {
    let ctx = context();
    check(include_str!("tests/calls.tsv"), |name, args| {
        answer(name, args, &ctx)
    });
}

/// `varchar(3)` as a type and its typmod.
fn target(name: &str) -> (DataType, i32) {
    let ty = parse_type_name(name).expect("a type");
    let Some((_, inner)) = name.split_once('(') else {
        return (ty, if name == "char" { 5 } else { -1 });
    };
    let inner = inner.trim_end_matches(')');
    let mut numbers = inner
        .split(',')
        .map(|n| n.parse::<i32>().expect("a number"));
    let (first, second) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let typmod = match ty {
        DataType::Numeric => ((first << 16) | second) + 4,
        DataType::Timestamp => first,
        DataType::Interval => (0x7fff << 16) | first,
        _ => first + 4,
    };
    (ty, typmod)
}

#[test]
fn casts_answer_as_postgresql_does() {
    let ctx = context();
    check(include_str!("tests/casts.tsv"), |to, args| {
        let (to, typmod) = target(to);
        let arg = argument(&unescape(args[0]), &ctx)?;
        if !cast::can_cast(arg.ty(), to, cast::CastContext::Explicit) {
            return Err(Error::new(
                types::SqlState::CANNOT_COERCE,
                format!("cannot cast type {} to {to}", arg.ty()),
            ));
        }
        let e = Expr::Cast {
            expr: Box::new(arg),
            to,
            typmod,
            explicit: true,
        };
        let env = Env {
            ctx: &ctx,
            outer: &[],
        };
        let v = eval(&e, &[], &env)?;
        if v.is_null() {
            return Ok((to, "NULL".to_owned()));
        }
        let shown = cast::cast(v, to, DataType::Text, -1, true, &ctx)?;
        Ok((to, shown.as_str().unwrap_or("?").to_owned()))
    });
}
