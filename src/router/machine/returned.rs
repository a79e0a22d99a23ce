//! What a function gives: a value, a row of what goes out, or rows one by one.
//!
//! Owns: RETURN NEXT, RETURN QUERY, and the row of a call. Never: keeps rows itself; they go to the stash of the call, and to a
//! temporary file where they are many. Source: PostgreSQL 15, `pl_exec.c` (`exec_stmt_return_next`, `exec_stmt_return_query`).

use super::put::mismatch;
use super::{Gave, Machine};
use crate::router::said_in;
use engine::exec::eval;
use engine::exec::operators::RowSource;
use engine::exec::operators::stash::Stashed;
use sql::program::{Put, Rows, Text, Use};
use std::rc::Rc;
use types::{Error, Result, Row, SqlState, Value};

impl Machine<'_> {
    pub(super) async fn return_next(&mut self, value: Option<&Text>) -> Result<()> {
        let row = match value {
            Some(text) => {
                let value = self.value(text, Use::Returned).await?;
                self.row_of(value)?
            }
            None => self.row_of_out()?,
        };
        self.give(row).await
    }

    pub(super) async fn return_query(&mut self, rows: &Rows) -> Result<()> {
        let used = Use::ReturnedRows;
        self.now();
        let (stash, put) = match rows {
            Rows::Query(text) => {
                let run = self.program.run(text, used, &self.moment())?;
                let env = self.env(self.ctx.clone());
                let rows = self.all_rows(&env, &run.statement).await;
                let shown = |e| said_in(e, format!("SQL statement \"{}\"", text.sql));
                (rows.map_err(shown)?, run.put.clone())
            }
            Rows::Execute { sql, using } => self.executed_rows(sql, using, used).await?,
        };
        let count = stash.len();
        let mut rows = Stashed::new(Rc::new(stash));
        while let Some(batch) = rows.next().await? {
            for row in batch.rows {
                let mut out = Vec::with_capacity(row.len());
                if let Put::Places(places) = &put {
                    for (_, value) in places {
                        out.push(eval::eval(value, &row, &self.within())?);
                    }
                }
                self.give(out).await?;
            }
            self.turn().await?;
        }
        self.did(Some(count));
        Ok(())
    }

    async fn give(&mut self, row: Row) -> Result<()> {
        match &mut self.rows {
            Some(rows) => rows.push(row).await,
            None => Err(Error::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "set-valued function called in context that cannot accept a set",
            )),
        }
    }

    /// The row of a call that gives one.
    pub(in crate::router) fn result(&self, gave: Gave) -> Result<Row> {
        let gives = &self.program.gives;
        if !gives.out.is_empty() {
            return self.row_of_out();
        }
        if gives.columns.is_empty() {
            // Of type void, which is not NULL.
            return Ok(vec![Value::from("")]);
        }
        match gave {
            Gave::Value(value) => self.row_of(value),
            Gave::End | Gave::Nothing | Gave::Side(_) => Err(Error::new(
                SqlState::FUNCTION_EXECUTED_NO_RETURN_STATEMENT,
                "control reached end of function without RETURN",
            )
            .with_context(format!("PL/pgSQL function {}", self.program.shown))),
        }
    }

    fn row_of(&self, value: Value) -> Result<Row> {
        let gives = &self.program.gives;
        if let Some(ty) = gives.row {
            return Ok(vec![self.as_row(value, ty)?]);
        }
        if gives.columns.len() <= 1 {
            return Ok(vec![value]);
        }
        let row = self.values_of(value)?;
        let row = row.unwrap_or_else(|| vec![Value::Null; gives.columns.len()]);
        match row.len() == gives.columns.len() {
            true => Ok(row),
            false => Err(mismatch(format!(
                "Number of returned columns ({}) does not match expected column count ({}).",
                row.len(),
                gives.columns.len()
            ))),
        }
    }

    /// The values of what goes out.
    fn row_of_out(&self) -> Result<Row> {
        let slots = self.program.gives.out.iter().map(|n| self.program.slot(*n));
        let value = |slot| self.ctx.params.get(slot).cloned().unwrap_or(Value::Null);
        Ok(slots.map(value).collect())
    }
}
