//! Statements in SQL that a body has: queries, changes of rows, definitions.
//!
//! Owns: INTO, FOUND, ROW_COUNT and what else GET DIAGNOSTICS answers. Each is a statement of its own in the same transaction. Asked by:
//! `flow`. Never: ends a transaction. Source: PostgreSQL 15, `pl_exec.c` (`exec_stmt_execsql`, `exec_stmt_getdiag`).

use super::Machine;
use crate::router::modify::{WriteEnv, first_of};
use crate::router::said_in;
use engine::exec::operators::{Stash, open_in_place};
use sql::Statement;
use sql::program::{Diagnostic, Into, Put, Target, Text, Use};
use types::{DataType, Error, Result, Row, SqlState, Value};

/// What a statement has done.
pub(super) struct Did {
    /// Rows that it found or changed; `None`: it is a statement of no rows.
    pub count: Option<u64>,
    /// The first of what it gives.
    pub rows: Vec<Row>,
}

impl Machine<'_> {
    pub(super) async fn perform(&mut self, text: &Text) -> Result<()> {
        let run = self.program.run(text, Use::Perform, &self.moment())?;
        let shown = |e| said_in(e, format!("SQL statement \"SELECT {}\"", text.sql));
        let Statement::Query(query) = &run.statement else {
            return Err(Error::internal("PERFORM of no query"));
        };
        let env = self.env(self.ctx.clone());
        let mut source = open_in_place(&query.plan, &env.exec).map_err(shown)?;
        let mut count = 0;
        while let Some(batch) = source.next().await.map_err(shown)? {
            count += batch.len() as u64;
        }
        self.did(Some(count));
        Ok(())
    }

    pub(super) async fn sql(&mut self, text: &Text, into: Option<&Into>) -> Result<()> {
        let used = Use::Statement(into);
        self.now();
        let run = self.program.run(text, used, &self.moment())?;
        let ctx = self.ctx.clone();
        let strict = into.is_some_and(|i| i.strict);
        let did = self.carry_out(&run.statement, ctx, into.is_some(), strict);
        let did = did
            .await
            .map_err(|e| said_in(e, format!("SQL statement \"{}\"", text.sql)))?;
        self.did(did.count);
        if into.is_some() {
            self.first_row(&run.statement, &run.put, did.rows, strict)?;
        }
        self.now();
        Ok(())
    }

    /// CALL: what goes out goes to the variables that stand there.
    pub(super) async fn call_procedure(&mut self, text: &Text) -> Result<()> {
        self.now();
        let run = self.program.run(text, Use::Call, &self.moment())?;
        let ctx = self.ctx.clone();
        let did = self.carry_out(&run.statement, ctx, true, false).await;
        let did = did.map_err(|e| said_in(e, format!("SQL statement \"{}\"", text.sql)))?;
        let Statement::Call { query, out } = &run.statement else {
            return Err(Error::internal("CALL of no procedure"));
        };
        let row = did.rows.into_iter().next().unwrap_or_default();
        let columns = query.columns.iter();
        for ((slot, value), column) in out.iter().zip(row).zip(columns) {
            let variable = slot.and_then(|s| usize::from(s).checked_sub(self.program.slot(0)));
            let Some(variable) = variable else {
                return Err(Error::new(
                    SqlState::SYNTAX_ERROR,
                    format!(
                        "procedure parameter \"{}\" is an output parameter but corresponding argument is not writable",
                        column.name
                    ),
                ));
            };
            self.assign_cast(&Target::Variable(variable), value, column.ty)?;
        }
        self.now();
        Ok(())
    }

    pub(super) fn did(&mut self, count: Option<u64>) {
        self.row_count = count.unwrap_or(0);
        if let Some(count) = count {
            self.found(count > 0);
        }
    }

    /// INTO: one row, or none, or STRICT.
    pub(super) fn first_row(
        &mut self,
        statement: &Statement,
        put: &Put,
        rows: Vec<Row>,
        strict: bool,
    ) -> Result<()> {
        if rows.is_empty() && strict {
            return Err(Error::new(
                SqlState::NO_DATA_FOUND,
                "query returned no rows",
            ));
        }
        if rows.len() > 1 && (strict || statement.changes_rows()) {
            let e = Error::new(SqlState::TOO_MANY_ROWS, "query returned more than one row");
            return Err(e.with_hint("Make sure the query returns a single row, or use LIMIT 1."));
        }
        self.put_row(put, rows.into_iter().next())
    }

    /// `wanted`: the first of its rows are.
    pub(super) async fn carry_out(
        &mut self,
        statement: &Statement,
        ctx: std::sync::Arc<engine::exec::Context>,
        wanted: bool,
        strict: bool,
    ) -> Result<Did> {
        match statement {
            Statement::Query(query) | Statement::Call { query, .. } => {
                let most = match (wanted, strict) {
                    (true, false) => 1,
                    (true, true) => 2,
                    (false, _) => usize::MAX,
                };
                let env = self.env(ctx);
                let mut source = open_in_place(&query.plan, &env.exec)?;
                let (mut rows, mut count) = (Vec::new(), 0);
                while count < most
                    && let Some(batch) = source.next().await?
                {
                    let own = batch.rows.into_iter().take(most - count);
                    match wanted {
                        true => {
                            rows.extend(own);
                            count = rows.len();
                        }
                        false => count += own.count(),
                    }
                }
                Ok(Did {
                    count: Some(count as u64),
                    rows,
                })
            }
            Statement::Insert(_)
            | Statement::Update(_)
            | Statement::Delete(_)
            | Statement::Merge(_) => {
                self.may_change(statement)?;
                let env = self.env(ctx);
                let router = self.scene.router;
                let (count, rows) = Box::pin(router.change_within(&env, statement)).await?;
                let rows = match wanted {
                    true => first_of(rows, 2).await?,
                    false => Vec::new(),
                };
                Ok(Did {
                    count: Some(count),
                    rows,
                })
            }
            other => {
                if !self.scene.volatile {
                    return Err(Error::unsupported(format!(
                        "{} is not allowed in a non-volatile function",
                        other.verb()
                    )));
                }
                let stop = self.scene.source.txn.stop.clone();
                let host = self.host()?.clone();
                host.carry_out(other, ctx, &stop).await?;
                Ok(Did {
                    count: None,
                    rows: Vec::new(),
                })
            }
        }
    }

    fn may_change(&self, change: &Statement) -> Result<()> {
        if !self.scene.volatile {
            return Err(Error::unsupported(format!(
                "{} is not allowed in a non-volatile function",
                change.verb()
            )));
        }
        if !self.scene.source.read_only {
            return Ok(());
        }
        Err(Error::new(
            SqlState::READ_ONLY_SQL_TRANSACTION,
            format!(
                "cannot execute {} in a read-only transaction",
                change.verb()
            ),
        ))
    }

    /// Everything that a query, or a change, gives.
    pub(super) async fn all_rows(&self, env: &WriteEnv, statement: &Statement) -> Result<Stash> {
        let mut out = Stash::new(&env.exec, "rows of a loop");
        match statement {
            Statement::Query(query) => {
                let mut source = open_in_place(&query.plan, &env.exec)?;
                out.fill(&mut *source).await?;
            }
            change => {
                self.may_change(change)?;
                let router = self.scene.router;
                let (_, rows) = Box::pin(router.change_within(env, change)).await?;
                if let Some(rows) = rows {
                    out = rows;
                }
                out.seal().await?;
            }
        }
        Ok(out)
    }

    pub(super) fn diagnostics(&mut self, items: &[(Target, Diagnostic)]) -> Result<()> {
        let caught = self.caught.last().cloned();
        let e = caught.as_ref();
        for (to, item) in items {
            let text = |of: Option<&str>| Value::from(of.unwrap_or("").to_owned());
            let (value, ty) = match item {
                Diagnostic::RowCount => (Value::Int8(self.row_count as i64), DataType::Int8),
                Diagnostic::Context => {
                    let shown = format!("PL/pgSQL function {}", self.program.shown);
                    (text(Some(&shown)), DataType::Text)
                }
                Diagnostic::State => {
                    let code = e.map(|e| e.code().to_string());
                    (text(code.as_deref()), DataType::Text)
                }
                Diagnostic::Message => (text(e.map(Error::message)), DataType::Text),
                Diagnostic::Detail => (text(e.and_then(Error::detail)), DataType::Text),
                Diagnostic::Hint => (text(e.and_then(Error::hint)), DataType::Text),
                Diagnostic::Column => (text(e.and_then(Error::column)), DataType::Text),
                Diagnostic::Constraint => (text(e.and_then(Error::constraint)), DataType::Text),
                Diagnostic::Table => (text(e.and_then(Error::table)), DataType::Text),
                Diagnostic::Schema => (text(e.and_then(Error::schema)), DataType::Text),
                Diagnostic::ErrorContext => (text(e.and_then(Error::context)), DataType::Text),
                Diagnostic::Datatype => (text(None), DataType::Text),
            };
            self.assign_cast(to, value, ty)?;
        }
        Ok(())
    }
}
