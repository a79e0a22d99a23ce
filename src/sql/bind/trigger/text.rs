//! The texts in a body: expressions and statements, each bound by a binder of its own.

use super::super::call::{Arguments, only_expr};
use super::super::scope::Scope;
use super::super::user_type::Declared;
use super::super::{Binder, Clause, Cx, unplaced};
use super::Computed;
use crate::parse::{self, Ast, Parsed};
use crate::planner;
use crate::statement::{BindEnv, Statement};
use engine::catalog::ColumnDef;
use engine::exec::cast::{self, CastContext};
use engine::exec::eval::has_subquery;
use engine::plan::{Expr, Plan, Query};
use sqlparser::ast;
use std::rc::Rc;
use std::sync::Arc;
use types::{Column, DataType, Error, Result, SqlState};

/// What a text is bound in.
pub(super) struct Place<'a> {
    pub env: &'a BindEnv<'a>,
    pub types: &'a [Option<DataType>],
    pub around: &'a Rc<Scope>,
}

impl Place<'_> {
    fn read<T>(
        &self,
        text: &str,
        bind: impl for<'b> FnOnce(&mut Binder<'b>, &'b Parsed) -> Result<T>,
    ) -> Result<T> {
        let parsed = parse::parse(text).map_err(unplaced)?;
        let [parsed] = parsed.as_slice() else {
            return Err(Error::new(SqlState::SYNTAX_ERROR, "syntax error"));
        };
        let mut binder = Binder::new(self.env, &parsed.lines);
        binder.params = self.types.to_vec();
        binder.text = parsed.text.clone();
        binder.overriding = parsed.overriding;
        binder.subscripts = &parsed.subscripts;
        binder.around = Some(self.around.clone());
        // A function of a trigger has no arguments: `$1` means nothing.
        binder.arguments = Some(Arguments {
            function: String::new(),
            names: Vec::new(),
            values: Vec::new(),
        });
        bind(&mut binder, parsed).map_err(unplaced)
    }

    /// An expression, or a query of one value without its SELECT. `to`: what it is assigned to.
    pub fn value(&self, text: &str, to: Option<&ColumnDef>) -> Result<Computed> {
        let computed = self.read(&format!("SELECT {text}"), |b, parsed| {
            let Ast::Sql(statement) = &parsed.ast else {
                return Err(Error::new(SqlState::SYNTAX_ERROR, "syntax error"));
            };
            let ast::Statement::Query(q) = &**statement else {
                return Err(Error::new(SqlState::SYNTAX_ERROR, "syntax error"));
            };
            if let Some(e) = only_expr(q) {
                let mut cx = Cx::new(Rc::default(), Clause::Select);
                match b.expr(e, &mut cx) {
                    Ok(e) => return b.as_assigned(e, to).map(Computed::Expr),
                    Err(e) if e.code() != SqlState::GROUPING_ERROR => return Err(e),
                    // An aggregate, which only a query has.
                    Err(_) => {}
                }
            }
            let query = b.top_query(q)?;
            let [column] = query.columns.as_slice() else {
                return Err(Error::new(
                    SqlState::SYNTAX_ERROR,
                    format!("query returned {} columns", query.columns.len()),
                ));
            };
            let value = Expr::Column(0, column.ty);
            let value = b.as_assigned(value, to)?;
            Ok(Computed::Query { query, value })
        })?;
        Ok(self.planned(computed))
    }

    /// What looks into tables is a query of one row.
    fn planned(&self, computed: Computed) -> Computed {
        let (query, value) = match computed {
            Computed::Expr(e) if !has_subquery(&e) => return Computed::Expr(e),
            Computed::Expr(e) => {
                let value = Expr::Column(0, e.ty());
                let columns = Arc::new(vec![Column::new("?column?", e.ty())]);
                let plan = Plan::Project {
                    input: Box::new(Plan::OneRow),
                    exprs: vec![e],
                };
                (Query { plan, columns }, value)
            }
            Computed::Query { query, value } => (query, value),
        };
        match planner::optimize(Statement::Query(query), self.env.catalog, self.env.context) {
            Statement::Query(query) => Computed::Query { query, value },
            // The planner leaves a query a query.
            _ => Computed::Expr(value),
        }
    }

    /// A statement in SQL; where its rows go, if they do.
    pub fn statement(
        &self,
        text: &str,
        into: Option<&[ColumnDef]>,
    ) -> Result<(Statement, Vec<Expr>)> {
        let (statement, values) = self.read(text, |b, parsed| {
            let Ast::Sql(s) = &parsed.ast else {
                return Err(refused());
            };
            let statement = b.statement(s)?;
            let statement = b.with_changes(statement);
            let returned = match &statement {
                Statement::Query(q) => Some(q.columns.clone()),
                Statement::Insert(_)
                | Statement::Update(_)
                | Statement::Delete(_)
                | Statement::Merge(_) => statement.returning().map(|r| r.columns.clone()),
                _ => return Err(refused()),
            };
            let Some(into) = into else {
                return match returned {
                    Some(_) => Err(no_destination(matches!(statement, Statement::Query(_)))),
                    None => Ok((statement, Vec::new())),
                };
            };
            let Some(columns) = returned else {
                return Err(Error::new(
                    SqlState::SYNTAX_ERROR,
                    "INTO used with a command that cannot return data",
                ));
            };
            let mut values = Vec::with_capacity(into.len());
            for (at, to) in into.iter().enumerate() {
                values.push(match columns.get(at) {
                    Some(c) => b.as_assigned(Expr::Column(at, c.ty), Some(to))?,
                    None => Expr::Const(types::Value::Null, to.ty),
                });
            }
            Ok((statement, values))
        })?;
        Ok((
            planner::optimize(statement, self.env.catalog, self.env.context),
            values,
        ))
    }

    /// PERFORM: a query without its SELECT.
    pub fn perform(&self, text: &str) -> Result<Statement> {
        let statement = self.read(&format!("SELECT {text}"), |b, parsed| match &parsed.ast {
            Ast::Sql(s) => match b.statement(s)? {
                query @ Statement::Query(_) => Ok(query),
                _ => Err(refused()),
            },
            Ast::Command(_) => Err(refused()),
        })?;
        Ok(planner::optimize(
            statement,
            self.env.catalog,
            self.env.context,
        ))
    }
}

impl Binder<'_> {
    /// The value as PL/pgSQL assigns it: by an assignment's cast or, where there is none, through its text.
    fn as_assigned(&mut self, e: Expr, to: Option<&ColumnDef>) -> Result<Expr> {
        let Some(to) = to else {
            return self.settle_unknown(e);
        };
        let from = e.ty();
        let e = match from == to.ty
            || from == DataType::Unknown
            || cast::can_cast(from, to.ty, CastContext::Assignment)
        {
            true => self.assign(e, to)?,
            false => {
                let text = self.explicit_cast(e, DataType::Text, -1)?;
                self.explicit_cast(text, to.ty, to.typmod)?
            }
        };
        match self.env.catalog.is_domain(to.declared) {
            true => self.declared_cast(
                e,
                Declared {
                    ty: to.ty,
                    typmod: to.typmod,
                    declared: to.declared,
                },
            ),
            false => Ok(e),
        }
    }
}

fn refused() -> Error {
    Error::unsupported("this statement is not supported in PL/pgSQL")
}

fn no_destination(query: bool) -> Error {
    let e = Error::new(
        SqlState::SYNTAX_ERROR,
        "query has no destination for result data",
    );
    match query {
        true => e.with_hint("If you want to discard the results of a SELECT, use PERFORM instead."),
        false => e,
    }
}
