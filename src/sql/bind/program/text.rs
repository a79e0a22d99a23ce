//! The texts in a body: expressions and statements, each bound by a binder of its own.

use super::super::call::{Argument, Arguments, only_expr};
use super::super::scope::Scope;
use super::super::user_type::Declared;
use super::super::{Binder, Clause, Cx, unplaced};
use super::{Computed, Put, Run};
use crate::parse::define::Definition;
use crate::parse::plpgsql::Conflict;
use crate::parse::{self, Ast, Command, Parsed};
use crate::planner;
use crate::statement::{BindEnv, Statement};
use engine::catalog::ColumnDef;
use engine::exec::cast::{self, CastContext};
use engine::exec::eval::has_subquery;
use engine::exec::functions::records::made_of;
use engine::plan::{Expr, Plan, Query};
use sqlparser::ast;
use std::rc::Rc;
use std::sync::Arc;
use types::{Column, DataType, Error, Result, SqlState};

/// What a text is bound in.
pub(super) struct Surroundings<'a> {
    pub env: &'a BindEnv<'a>,
    pub types: &'a [Option<DataType>],
    pub around: &'a Rc<Scope>,
    /// What `$1` … are: slots.
    pub arguments: &'a [(usize, DataType)],
    pub conflict: Conflict,
}

impl Surroundings<'_> {
    fn read<T>(
        &self,
        text: &str,
        bind: impl for<'b> Fn(&mut Binder<'b>, &'b Parsed) -> Result<(T, bool)>,
    ) -> Result<T> {
        let parsed = parse::parse(text).map_err(unplaced)?;
        let [parsed] = parsed.as_slice() else {
            return Err(Error::new(SqlState::SYNTAX_ERROR, "syntax error"));
        };
        let mut each_call = false;
        loop {
            let mut binder = Binder::new(self.env, &parsed.lines);
            let sees = sees_variables(&parsed.ast);
            if sees {
                binder.params = self.types.to_vec();
            }
            binder.text = parsed.text.clone();
            binder.overriding = parsed.overriding;
            binder.subscripts = &parsed.subscripts;
            binder.each_call = each_call;
            binder.conflict = self.conflict;
            binder.around = sees.then(|| self.around.clone());
            let value =
                |(slot, ty): &(usize, DataType)| Argument::Value(Expr::Param(*slot as u16, *ty));
            binder.arguments = Some(Arguments {
                function: String::new(),
                names: vec![None; self.arguments.len()],
                values: self.arguments.iter().map(value).collect(),
            });
            let (out, again) = bind(&mut binder, parsed).map_err(unplaced)?;
            if !again {
                return Ok(out);
            }
            each_call = true;
        }
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
                    Ok(e) => return Ok((Computed::Expr(b.as_assigned(e, to)?), false)),
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
            Ok((Computed::Query { query, value }, false))
        })?;
        Ok(self.planned(computed))
    }

    /// What `old` is with a part of it changed, by an UPDATE of a column that stands for it.
    pub fn part(&self, text: &str, old: &Expr, column: &ColumnDef) -> Result<Computed> {
        let computed = self.read(text, |b, parsed| {
            let syntax = || Error::new(SqlState::SYNTAX_ERROR, "syntax error in an assignment");
            let Ast::Sql(statement) = &parsed.ast else {
                return Err(syntax());
            };
            let ast::Statement::Update(update) = &**statement else {
                return Err(syntax());
            };
            let [assignment] = update.assignments.as_slice() else {
                return Err(syntax());
            };
            let ast::AssignmentTarget::ColumnName(name) = &assignment.target else {
                return Err(syntax());
            };
            let e = b.with_part(name, &assignment.value, old.clone(), column)?;
            Ok((Computed::Expr(e), false))
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

    /// A statement in SQL. `wanted`: where its rows go, if they do.
    pub fn statement(&self, text: &str, wanted: Option<&Destination>) -> Result<Run> {
        let (statement, columns, put) = self.read(text, |b, parsed| {
            let statement = match &parsed.ast {
                Ast::Sql(s) => b.statement(s)?,
                Ast::Command(c) => b.command(c)?,
            };
            let statement = b.with_changes(statement);
            let again = b.must_call(&statement);
            let columns = gives(&statement)?;
            let put = match (wanted, &columns) {
                (Some(put), Some(columns)) => put(b, columns)?,
                (None, None) => Put::Nowhere,
                (None, Some(_)) => {
                    return Err(no_destination(matches!(statement, Statement::Query(_))));
                }
                (Some(_), None) => {
                    return Err(Error::new(
                        SqlState::SYNTAX_ERROR,
                        "INTO used with a command that cannot return data",
                    ));
                }
            };
            Ok(((statement, columns, put), again))
        })?;
        Ok(Run {
            statement: planner::optimize(statement, self.env.catalog, self.env.context),
            columns,
            put,
        })
    }

    /// PERFORM: a query without its SELECT.
    pub fn perform(&self, text: &str) -> Result<Run> {
        let nowhere: &Destination = &|_, _| Ok(Put::Nowhere);
        let run = self.statement(&format!("SELECT {text}"), Some(nowhere))?;
        match run.statement {
            Statement::Query(_) => Ok(run),
            _ => Err(refused()),
        }
    }
}

/// What becomes of a row of these columns.
pub(super) type Destination<'d> = dyn for<'b> Fn(&mut Binder<'b>, &[Column]) -> Result<Put> + 'd;

/// The columns of what a statement gives; 0A000 for one that a body cannot have.
fn gives(statement: &Statement) -> Result<Option<Arc<Vec<Column>>>> {
    Ok(match statement {
        Statement::Query(q) => Some(q.columns.clone()),
        Statement::Insert(_)
        | Statement::Update(_)
        | Statement::Delete(_)
        | Statement::Merge(_) => statement.returning().map(|r| r.columns.clone()),
        Statement::Call { query, .. } => Some(query.columns.clone()),
        Statement::Ddl(_)
        | Statement::Fill { .. }
        | Statement::Set { .. }
        | Statement::Reset { .. }
        | Statement::SetConstraints { .. }
        | Statement::LockTable { .. }
        | Statement::Listen { .. }
        | Statement::Unlisten { .. }
        | Statement::Notify { .. }
        | Statement::Analyze { .. }
        | Statement::Do { .. }
        | Statement::Nothing { .. } => None,
        Statement::With { .. } => {
            return Err(Error::unsupported(
                "data-modifying statements in WITH are not supported in PL/pgSQL",
            )
            .with_hint("A body may have several statements."));
        }
        _ => return Err(refused()),
    })
}

/// Only the query of CREATE TABLE AS and the arguments of CALL, of all commands.
fn sees_variables(ast: &Ast) -> bool {
    match ast {
        Ast::Sql(_) | Ast::Command(Command::Call(_)) => true,
        Ast::Command(Command::Define(d)) => {
            matches!(&**d, Definition::Table(t) if t.filled.is_some())
        }
        Ast::Command(_) => false,
    }
}

impl Binder<'_> {
    /// The value as PL/pgSQL assigns it: by an assignment's cast or, where there is none, through its text.
    pub(super) fn as_assigned(&mut self, e: Expr, to: Option<&ColumnDef>) -> Result<Expr> {
        let Some(to) = to else {
            return self.settle_unknown(e);
        };
        let from = e.ty();
        // Of a record that is not made here it is seen when there is one.
        let late = from == DataType::Record && made_of(&e).is_none();
        if late && matches!(to.ty, DataType::Composite(_)) {
            return Ok(e);
        }
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
    Error::unsupported("this statement is not supported in PL/pgSQL").with_hint(
        "A body has queries, changes of rows, definitions and settings; send others from the client.",
    )
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
