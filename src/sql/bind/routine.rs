//! The body of a function in SQL, bound for its calls: statements that the router runs one after the other.
//!
//! Owns: what a body may have, and that its last statement gives what the function returns. The arguments are the parameters of each
//! statement, so it is planned once. Asked by: the router, at the first call under a catalog, a search path and a time zone; CREATE
//! FUNCTION, to say now what is wrong with a body. Never: runs anything.
//! Bounds: those of a statement for each. Source: PostgreSQL 15, `functions.c` (`init_sql_fcache`, `check_sql_fn_retval`).

use super::call::rows::row_of;
use super::call::{Argument, Arguments};
use super::{Binder, changed_by, columns_of, into_of, unplaced};
use crate::parse::{self, Ast, Parsed};
use crate::planner;
use crate::statement::{BindEnv, Statement};
use engine::catalog::Function;
use engine::exec::cast::{self, CastContext};
use engine::plan::{Expr, Query};
use sqlparser::ast;
use std::rc::Rc;
use std::sync::Arc;
use types::{Column, DataType, Error, Result, SqlState};

#[derive(Debug)]
pub struct Routine {
    pub name: Rc<str>,
    pub statements: Vec<Statement>,
    /// What a call gives, over the rows of the last statement; where that is a named type's row, it is one value. Empty: nothing.
    pub outputs: Vec<Expr>,
}

/// Binds what a function does. `defining`: it is only made, and what it calls is not looked into.
pub fn compile(f: &Function, env: &BindEnv, defining: bool) -> Result<Routine> {
    let parsed = parse::parse(&f.body.sql).map_err(unplaced)?;
    let mut statements = Vec::with_capacity(parsed.len());
    let mut outputs = Vec::new();
    for (at, one) in parsed.iter().enumerate() {
        let last = at + 1 == parsed.len();
        let (statement, gives) = within((f, defining), env, one, last).map_err(unplaced)?;
        statements.push(planner::optimize(statement, env.catalog, env.context));
        outputs = gives;
    }
    if outputs.is_empty() && !f.result_types().is_empty() {
        let detail = "Function's final statement must be SELECT or INSERT/UPDATE/DELETE RETURNING.";
        return Err(mismatch(f, detail.into()));
    }
    Ok(Routine {
        name: f.name.as_str().into(),
        statements,
        outputs,
    })
}

/// One statement; what the function gives over its rows, where it is the last.
fn within(
    (f, defining): (&Function, bool),
    env: &BindEnv,
    parsed: &Parsed,
    last: bool,
) -> Result<(Statement, Vec<Expr>)> {
    let mut each_call = false;
    loop {
        let mut binder = Binder::new(env, &parsed.lines);
        binder.text = parsed.text.clone();
        binder.overriding = parsed.overriding;
        binder.subscripts = &parsed.subscripts;
        binder.each_call = each_call;
        binder.defining = defining;
        binder.takes_arguments(f);
        if f.oid != 0 {
            binder.inlining.push(f.oid);
        }
        let wanted = if last { f.result_types() } else { Vec::new() };
        let (statement, outputs) = binder.of_routine(f, parsed, &wanted)?;
        if !binder.must_call(&statement) {
            return Ok((statement, outputs));
        }
        each_call = true;
    }
}

impl<'a> Binder<'a> {
    /// Names and arguments as the body of the function sees them.
    pub(super) fn takes_arguments(&mut self, f: &'a Function) {
        if f.fixed {
            self.path.clone_from(&f.body.path);
            self.view = Some(&f.body);
        }
        self.params = f.args.iter().map(|a| Some(a.ty)).collect();
        let value = |(n, ty): (usize, DataType)| Argument::Value(Expr::Param(n as u16, ty));
        self.arguments = Some(Arguments {
            function: f.name.clone(),
            names: f.args.iter().map(|a| a.name.clone()).collect(),
            values: f.args.iter().map(|a| a.ty).enumerate().map(value).collect(),
        });
    }

    fn of_routine(
        &mut self,
        f: &Function,
        parsed: &'a Parsed,
        wanted: &[DataType],
    ) -> Result<(Statement, Vec<Expr>)> {
        let Ast::Sql(s) = &parsed.ast else {
            return Err(refused());
        };
        let statement = match &**s {
            ast::Statement::Query(q)
                if !wanted.is_empty() && changed_by(q).is_none() && into_of(q).is_none() =>
            {
                let mut rel = self.query_in(q, true)?;
                if !is_row(f, &rel.columns) {
                    check_result(f, wanted, &rel.columns)?;
                    self.coerce_outputs(&mut rel, wanted, CastContext::Assignment)?;
                }
                Statement::Query(Query {
                    plan: rel.plan,
                    columns: Arc::new(rel.columns),
                })
            }
            _ => self.statement(s)?,
        };
        if !self.changes.is_empty() {
            return Err(Error::unsupported(
                "data-modifying statements in WITH are not supported in functions",
            )
            .with_hint("A function may have several statements."));
        }
        if !matches!(
            statement,
            Statement::Query(_)
                | Statement::Insert(_)
                | Statement::Update(_)
                | Statement::Delete(_)
                | Statement::Merge(_)
        ) {
            return Err(refused());
        }
        let outputs = match columns_of(&statement) {
            Some(columns) if !wanted.is_empty() => self.results(f, wanted, &columns)?,
            _ => Vec::new(),
        };
        Ok((statement, outputs))
    }

    /// The last statement's columns as what the function returns.
    fn results(
        &mut self,
        f: &Function,
        wanted: &[DataType],
        columns: &[Column],
    ) -> Result<Vec<Expr>> {
        if let ([only], true) = (columns, is_row(f, columns)) {
            return Ok(vec![Expr::Column(0, only.ty)]);
        }
        check_result(f, wanted, columns)?;
        let mut out = Vec::with_capacity(wanted.len());
        for (at, (column, to)) in columns.iter().zip(wanted).enumerate() {
            let e = Expr::Column(at, column.ty);
            let e = self.coerce(e, *to, -1, CastContext::Assignment)?;
            let e =
                e.ok_or_else(|| mismatch(f, format!("Actual return type is {}.", column.ty)))?;
            out.push(match f.returns.columns.is_empty() {
                true => self.held(e, f.returns.declared)?,
                false => e,
            });
        }
        match f.row_type() {
            Some(ty) => Ok(vec![row_of(f, ty, out)?]),
            None => Ok(out),
        }
    }
}

/// One column: the very row that the function returns.
fn is_row(f: &Function, columns: &[Column]) -> bool {
    matches!(columns, [only] if Some(only.ty) == f.row_type())
}

/// 42P13 where the last statement does not give what the function returns.
fn check_result(f: &Function, wanted: &[DataType], columns: &[Column]) -> Result<()> {
    if wanted.len() == 1 && columns.len() != 1 {
        let detail = "Final statement must return exactly one column.";
        return Err(mismatch(f, detail.into()));
    }
    if columns.len() != wanted.len() {
        let what = match columns.len() < wanted.len() {
            true => "few",
            false => "many",
        };
        return Err(mismatch(
            f,
            format!("Final statement returns too {what} columns."),
        ));
    }
    for (at, (column, to)) in columns.iter().zip(wanted).enumerate() {
        if column.ty == *to
            || column.ty == DataType::Unknown
            || cast::can_cast(column.ty, *to, CastContext::Assignment)
        {
            continue;
        }
        let detail = match f.returns.columns.is_empty() {
            true => format!("Actual return type is {}.", column.ty),
            false => format!(
                "Final statement returns {} instead of {to} at column {}.",
                column.ty,
                at + 1
            ),
        };
        return Err(mismatch(f, detail));
    }
    Ok(())
}

pub(super) fn mismatch(f: &Function, detail: String) -> Error {
    let shown = match (f.row_type(), f.returns.columns.as_slice()) {
        (Some(row), _) => row.to_string(),
        (None, []) => f.returns.ty.to_string(),
        (None, [only]) => only.ty.to_string(),
        (None, _) => "record".into(),
    };
    Error::new(
        SqlState::INVALID_FUNCTION_DEFINITION,
        format!("return type mismatch in function declared to return {shown}"),
    )
    .with_detail(detail)
}

fn refused() -> Error {
    Error::unsupported("this statement is not supported in functions")
        .with_hint("A function's body is queries, INSERT, UPDATE, DELETE and MERGE.")
}
