//! Loops.
//!
//! Owns: their turns. The rows of a query are gathered before the first turn, so that the query does not see what the turns do. Never:
//! goes on past the statement's deadline. Source: PostgreSQL 15, `pl_exec.c` (`exec_stmt_fori`, `exec_for_query`).

use super::{Flow, Machine};
use crate::router::said_in;
use engine::exec::operators::stash::Stashed;
use engine::exec::operators::{RowSource, Stash};
use sql::program::{How, Into, Loop, Put, Rows, Step, Target, Text, Use};
use std::rc::Rc;
use types::{DataType, Error, Result, SqlState, Value};

/// What becomes of a loop after one of its turns.
enum Turn {
    Next,
    Over,
    Left(Flow),
}

/// A loop that counts.
struct Counted {
    variable: usize,
    from: i32,
    to: i32,
    by: i32,
    reverse: bool,
}

impl Machine<'_> {
    pub(super) async fn looped(&mut self, one: &Loop, line: u64) -> Result<Flow> {
        match &one.how {
            How::Forever => self.forever(one, None, line).await,
            How::While(condition) => self.forever(one, Some(condition), line).await,
            How::Count { .. } => {
                let counted = self.bounds(&one.how).await;
                let what = "at FOR with integer loop variable";
                let counted = counted.map_err(|e| self.at(e, line, what))?;
                self.count(one, counted).await
            }
            How::Rows { into, rows } => {
                let what = match rows {
                    Rows::Query(_) => "at FOR over SELECT rows",
                    Rows::Execute { .. } => "at FOR over EXECUTE statement",
                };
                let gathered = Box::pin(self.gathered(into, rows)).await;
                let (stash, put) = gathered.map_err(|e| self.at(e, line, what))?;
                Box::pin(self.each_row(one, stash, put, (line, what))).await
            }
            How::Each { to, array } => {
                let what = "at FOREACH over array";
                let items = self.items(to, array).await;
                let (element, items) = items.map_err(|e| self.at(e, line, what))?;
                self.each_item(one, to, (element, items), line).await
            }
        }
    }

    async fn forever(&mut self, one: &Loop, condition: Option<&Text>, line: u64) -> Result<Flow> {
        loop {
            if let Some(condition) = condition {
                let goes = self.is_true(condition).await;
                if !goes.map_err(|e| self.at(e, line, "at WHILE"))? {
                    return Ok(Flow::On);
                }
            }
            match self.one_turn(one.label.as_ref(), &one.steps).await? {
                Turn::Next => {}
                Turn::Over => return Ok(Flow::On),
                Turn::Left(flow) => return Ok(flow),
            }
        }
    }

    async fn one_turn(&mut self, label: Option<&String>, steps: &[Step]) -> Result<Turn> {
        self.turn().await?;
        Ok(match self.steps(steps).await? {
            Flow::On => Turn::Next,
            Flow::Leave { exit, label: of } if of.is_none() || of.as_ref() == label => match exit {
                true => Turn::Over,
                false => Turn::Next,
            },
            other => Turn::Left(other),
        })
    }

    async fn bounds(&self, how: &How) -> Result<Counted> {
        let How::Count {
            variable,
            from,
            to,
            by,
            reverse,
        } = how
        else {
            return Err(Error::internal("a loop that does not count"));
        };
        let (from, to) = (
            self.limit(from, "lower bound").await?,
            self.limit(to, "upper bound").await?,
        );
        let by = match by {
            Some(by) => self.limit(by, "BY value").await?,
            None => 1,
        };
        if by <= 0 {
            return Err(Error::new(
                SqlState::INVALID_PARAMETER_VALUE,
                "BY value of FOR loop must be greater than zero",
            ));
        }
        Ok(Counted {
            variable: *variable,
            from,
            to,
            by,
            reverse: *reverse,
        })
    }

    async fn limit(&self, text: &Text, what: &str) -> Result<i32> {
        match self.value(text, Use::Int4).await? {
            Value::Int4(n) => Ok(n),
            _ => Err(Error::new(
                SqlState::NULL_VALUE_NOT_ALLOWED,
                format!("{what} of FOR loop cannot be null"),
            )),
        }
    }

    async fn count(&mut self, one: &Loop, counted: Counted) -> Result<Flow> {
        let mut at = Some(counted.from);
        let mut found = false;
        let mut left = Flow::On;
        while let Some(now) = at {
            let over = match counted.reverse {
                true => now < counted.to,
                false => now > counted.to,
            };
            if over {
                break;
            }
            found = true;
            self.set(self.program.slot(counted.variable), Value::Int4(now));
            match self.one_turn(one.label.as_ref(), &one.steps).await? {
                Turn::Next => {}
                Turn::Over => break,
                Turn::Left(flow) => {
                    left = flow;
                    break;
                }
            }
            at = match counted.reverse {
                true => now.checked_sub(counted.by),
                false => now.checked_add(counted.by),
            };
        }
        self.found(found);
        Ok(left)
    }

    async fn gathered(&mut self, into: &Into, rows: &Rows) -> Result<(Stash, Put)> {
        let used = Use::Rows(into);
        match rows {
            Rows::Query(text) => {
                let run = self.program.run(text, used, &self.moment())?;
                let env = self.env(self.ctx.clone());
                let stash = self.all_rows(&env, &run.statement).await;
                let stash =
                    stash.map_err(|e| said_in(e, format!("SQL statement \"{}\"", text.sql)))?;
                Ok((stash, run.put.clone()))
            }
            Rows::Execute { sql, using } => self.executed_rows(sql, using, used).await,
        }
    }

    async fn each_row(
        &mut self,
        one: &Loop,
        stash: Stash,
        put: Put,
        (line, what): (u64, &str),
    ) -> Result<Flow> {
        let none = stash.is_empty();
        let mut rows = Stashed::new(Rc::new(stash));
        let mut left = Flow::On;
        if none {
            self.put_row(&put, None)?;
        }
        'rows: while let Some(batch) = rows.next().await? {
            for row in batch.rows {
                let done = self.put_row(&put, Some(row));
                done.map_err(|e| self.at(e, line, what))?;
                match self.one_turn(one.label.as_ref(), &one.steps).await? {
                    Turn::Next => {}
                    Turn::Over => break 'rows,
                    Turn::Left(flow) => {
                        left = flow;
                        break 'rows;
                    }
                }
            }
        }
        self.found(!none);
        Ok(left)
    }

    async fn items(&mut self, to: &Target, array: &Text) -> Result<(DataType, Vec<Value>)> {
        let computed = self.program.value(array, Use::Any, &self.moment())?;
        let value = self.computed(&computed).await?;
        let wrong = |message: String| Err(Error::new(SqlState::DATATYPE_MISMATCH, message));
        let Some(element) = computed.ty().element() else {
            return wrong(format!(
                "FOREACH expression must yield an array, not type {}",
                computed.ty()
            ));
        };
        // It is a place.
        self.program.place(to, &self.moment())?;
        match value {
            Value::Array(a) => Ok((element, a.items.clone())),
            Value::Null => Err(Error::new(
                SqlState::NULL_VALUE_NOT_ALLOWED,
                "FOREACH expression must not be null",
            )),
            _ => wrong("FOREACH expression must yield an array".into()),
        }
    }

    async fn each_item(
        &mut self,
        one: &Loop,
        to: &Target,
        (element, items): (DataType, Vec<Value>),
        line: u64,
    ) -> Result<Flow> {
        let found = !items.is_empty();
        let mut left = Flow::On;
        for item in items {
            let done = self.assign_cast(to, item, element);
            done.map_err(|e| self.at(e, line, "at FOREACH over array"))?;
            match self.one_turn(one.label.as_ref(), &one.steps).await? {
                Turn::Next => {}
                Turn::Over => break,
                Turn::Left(flow) => {
                    left = flow;
                    break;
                }
            }
        }
        self.found(found);
        Ok(left)
    }
}
