//! EXECUTE: a text that is a statement only when it is run.
//!
//! Owns: reading and binding it, with USING as its parameters; nothing of it is kept. Never: sees the body's variables.
//! Source: PostgreSQL 15, `pl_exec.c` (`exec_stmt_dynexecute`).

use super::Machine;
use crate::router::said_in;
use engine::exec::Context;
use engine::exec::operators::Stash;
use sql::program::{Into, Put, Text, Use};
use sql::{BindEnv, Bound, Kind, Parsed, Statement};
use std::sync::Arc;
use types::{DataType, Error, Result, SqlState, Value};

/// A text and its parameters.
struct Dynamic {
    sql: String,
    values: Vec<Value>,
    types: Vec<Option<DataType>>,
}

impl Machine<'_> {
    pub(super) async fn execute(
        &mut self,
        text: &Text,
        using: &[Text],
        into: Option<&Into>,
    ) -> Result<()> {
        let dynamic = self.dynamic(text, using).await?;
        let done = self.execute_all(&dynamic, into).await;
        done.map_err(|e| said_in(e, format!("SQL statement \"{}\"", dynamic.sql)))
    }

    async fn execute_all(&mut self, dynamic: &Dynamic, into: Option<&Into>) -> Result<()> {
        let all = sql::parse(&dynamic.sql).map_err(sql::unplaced)?;
        let strict = into.is_some_and(|i| i.strict);
        self.row_count = 0;
        let mut gave = false;
        for parsed in &all {
            self.now();
            let (bound, ctx) = self.bound(parsed, dynamic)?;
            let wanted = into.is_some() && bound.columns.is_some();
            let done = self.carry_out(&bound.statement, ctx, wanted, strict);
            let did = done.await?;
            self.row_count = did.count.unwrap_or(0);
            if let (Some(into), Some(columns)) = (into, &bound.columns) {
                let put =
                    self.program
                        .put_of(Use::Statement(Some(into)), columns, &self.moment())?;
                self.first_row(&bound.statement, &put, did.rows, strict)?;
                gave = true;
            }
        }
        self.now();
        if into.is_some() && !gave {
            return Err(Error::new(
                SqlState::SYNTAX_ERROR,
                "INTO used with a command that cannot return data",
            ));
        }
        Ok(())
    }

    /// The rows of FOR … IN EXECUTE and RETURN QUERY EXECUTE, and where each goes.
    pub(super) async fn executed_rows(
        &mut self,
        text: &Text,
        using: &[Text],
        used: Use<'_>,
    ) -> Result<(Stash, Put)> {
        let dynamic = self.dynamic(text, using).await?;
        let shown = |e| said_in(e, format!("SQL statement \"{}\"", dynamic.sql));
        let all = sql::parse(&dynamic.sql).map_err(|e| shown(sql::unplaced(e)))?;
        let [parsed] = all.as_slice() else {
            let message = "cannot open multi-query plan as cursor";
            return Err(Error::new(SqlState(*b"42P11"), message));
        };
        self.now();
        let (bound, ctx) = self.bound(parsed, &dynamic).map_err(shown)?;
        let Some(columns) = &bound.columns else {
            let message = format!("cannot open {} query as cursor", bound.statement.verb());
            return Err(Error::new(SqlState(*b"42P11"), message));
        };
        let put = self.program.put_of(used, columns, &self.moment())?;
        let env = self.env(ctx);
        let rows = self.all_rows(&env, &bound.statement).await;
        Ok((rows.map_err(shown)?, put))
    }

    async fn dynamic(&self, text: &Text, using: &[Text]) -> Result<Dynamic> {
        let sql = match self.value(text, Use::Text).await? {
            Value::Text(sql) => sql.to_string(),
            _ => {
                return Err(Error::new(
                    SqlState::NULL_VALUE_NOT_ALLOWED,
                    "query string argument of EXECUTE is null",
                ));
            }
        };
        let (mut values, mut types) = (Vec::new(), Vec::new());
        for text in using {
            let computed = self.program.value(text, Use::Any, &self.moment())?;
            values.push(self.computed(&computed).await?);
            types.push(Some(computed.ty()));
        }
        Ok(Dynamic { sql, values, types })
    }

    fn bound(&self, parsed: &Parsed, dynamic: &Dynamic) -> Result<(Bound, Arc<Context>)> {
        match parsed.kind {
            Kind::Begin | Kind::Commit | Kind::Rollback | Kind::RollbackTo | Kind::Savepoint => {
                return Err(Error::unsupported(
                    "EXECUTE of transaction commands is not implemented",
                ));
            }
            Kind::Copy => {
                return Err(Error::unsupported("cannot COPY to/from client in PL/pgSQL"));
            }
            _ => {}
        }
        let ctx = Context {
            params: dynamic.values.clone(),
            ..Context::clone(&self.ctx)
        };
        let env = BindEnv {
            catalog: &ctx.catalog,
            param_types: &dynamic.types,
            context: &ctx,
            rows: &[],
        };
        let bound = sql::bind(parsed, &env).map_err(sql::unplaced)?;
        if bound.params.len() > dynamic.values.len() {
            return Err(Error::new(
                SqlState::UNDEFINED_PARAMETER,
                format!("there is no parameter ${}", dynamic.values.len() + 1),
            ));
        }
        if let (Statement::Fill { .. }, Kind::Query) = (&bound.statement, parsed.kind) {
            return Err(
                Error::unsupported("EXECUTE of SELECT ... INTO is not implemented").with_hint(
                    "You might want to use EXECUTE ... INTO or EXECUTE CREATE TABLE ... AS instead.",
                ),
            );
        }
        Ok((bound, Arc::new(ctx)))
    }
}
