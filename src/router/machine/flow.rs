//! From statement to statement: what each does, and where it goes on.
//!
//! Owns: dispatch, IF, CASE, EXIT and CONTINUE. Each statement is run in a future of its own, as bodies nest.
//! Source: PostgreSQL 15, `pl_exec.c` (`exec_stmts`).

use super::{Flow, Gave, Machine};
use crate::router::said_in;
use futures_util::future::LocalBoxFuture;
use sql::program::{Act, Returned, Step, Target, Text, Use};
use types::{Error, Result, SqlState, Value};

impl Machine<'_> {
    pub(super) fn steps<'b>(&'b mut self, steps: &'b [Step]) -> LocalBoxFuture<'b, Result<Flow>> {
        Box::pin(async move {
            for step in steps {
                match self.step(step).await? {
                    Flow::On => {}
                    other => return Ok(other),
                }
            }
            Ok(Flow::On)
        })
    }

    async fn step(&mut self, step: &Step) -> Result<Flow> {
        let what = match &step.act {
            Act::Nothing => return Ok(Flow::On),
            Act::If { .. } => "at IF",
            Act::Case { .. } => "at CASE",
            Act::Block(block) => return self.block(block).await,
            Act::Loop(one) => return self.looped(one, step.line).await,
            Act::Return(returned) => return self.gives(returned, step.line).await,
            Act::Assign { .. } => "at assignment",
            Act::Leave { exit: true, .. } => "at EXIT",
            Act::Leave { exit: false, .. } => "at CONTINUE",
            Act::ReturnNext(_) => "at RETURN NEXT",
            Act::ReturnQuery(_) => "at RETURN QUERY",
            Act::Raise(_) | Act::Reraise => "at RAISE",
            Act::Assert { .. } => "at ASSERT",
            Act::Perform(_) => "at PERFORM",
            Act::Run { .. } => "at SQL statement",
            Act::Execute { .. } => "at EXECUTE",
            Act::Call(_) => "at CALL",
            Act::Diagnostics { stacked: false, .. } => "at GET DIAGNOSTICS",
            Act::Diagnostics { stacked: true, .. } => "at GET STACKED DIAGNOSTICS",
        };
        match &step.act {
            Act::If {
                branches,
                otherwise,
            } => {
                let found = self.branch(branches).await;
                match found.map_err(|e| self.at(e, step.line, what))? {
                    Some(steps) => self.steps(steps).await,
                    None => self.steps(otherwise).await,
                }
            }
            Act::Case {
                subject,
                branches,
                otherwise,
            } => {
                let chosen = self.case(subject.as_ref(), branches, otherwise.as_deref());
                let steps = chosen.await.map_err(|e| self.at(e, step.line, what))?;
                let flow = self.steps(steps).await;
                if let Some((n, _)) = subject {
                    self.forget(*n);
                }
                flow
            }
            act => {
                let done = self.act(act).await;
                done.map_err(|e| self.at(e, step.line, what))
            }
        }
    }

    /// What holds no statements itself.
    async fn act(&mut self, act: &Act) -> Result<Flow> {
        match act {
            Act::Assign {
                to,
                value,
                part,
                shown,
            } => {
                let used = if *part { Use::Part(to) } else { Use::To(to) };
                let computed = self.value(value, used).await;
                let computed =
                    computed.map_err(|e| said_in(e, format!("PL/pgSQL assignment \"{shown}\"")))?;
                self.assign(to, computed)?;
            }
            Act::Leave { exit, label, when } => {
                let goes = match when {
                    Some(when) => self.is_true(when).await?,
                    None => true,
                };
                if goes {
                    return Ok(Flow::Leave {
                        exit: *exit,
                        label: label.clone(),
                    });
                }
            }
            Act::ReturnNext(value) => self.return_next(value.as_ref()).await?,
            Act::ReturnQuery(rows) => Box::pin(self.return_query(rows)).await?,
            Act::Raise(raise) => self.raise(raise).await?,
            Act::Reraise => {
                return Err(self.caught.last().cloned().unwrap_or_else(|| {
                    Error::new(
                        SqlState(*b"0Z002"),
                        "RAISE without parameters cannot be used outside an exception handler",
                    )
                }));
            }
            Act::Assert { condition, message } => {
                self.assert(condition, message.as_ref()).await?;
            }
            Act::Perform(text) => Box::pin(self.perform(text)).await?,
            Act::Run { sql, into } => Box::pin(self.sql(sql, into.as_ref())).await?,
            Act::Execute { sql, using, into } => {
                Box::pin(self.execute(sql, using, into.as_ref())).await?;
            }
            Act::Call(text) => Box::pin(self.call_procedure(text)).await?,
            Act::Diagnostics { items, .. } => self.diagnostics(items)?,
            Act::If { .. }
            | Act::Case { .. }
            | Act::Block(_)
            | Act::Loop(_)
            | Act::Return(_)
            | Act::Nothing => {}
        }
        Ok(Flow::On)
    }

    pub(super) async fn is_true(&self, condition: &Text) -> Result<bool> {
        let value = self.value(condition, Use::Condition).await;
        let value =
            value.map_err(|e| said_in(e, format!("SQL expression \"{}\"", condition.sql)))?;
        Ok(value == Value::Bool(true))
    }

    /// The statements of the first branch whose condition is true.
    async fn branch<'b>(&self, branches: &'b [(Text, Vec<Step>)]) -> Result<Option<&'b [Step]>> {
        for (condition, steps) in branches {
            if self.is_true(condition).await? {
                return Ok(Some(steps));
            }
        }
        Ok(None)
    }

    async fn case<'b>(
        &mut self,
        subject: Option<&(usize, Text)>,
        branches: &'b [(Text, Vec<Step>)],
        otherwise: Option<&'b [Step]>,
    ) -> Result<&'b [Step]> {
        if let Some((number, text)) = subject {
            let computed = self.program.value(text, Use::Any, &self.moment())?;
            let value = self.computed(&computed).await?;
            self.finds(*number, computed.ty(), value);
        }
        let found = match self.branch(branches).await? {
            Some(steps) => Some(steps),
            None => otherwise,
        };
        found.ok_or_else(|| {
            Error::new(SqlState(*b"20000"), "case not found")
                .with_hint("CASE statement is missing ELSE part.")
        })
    }

    async fn gives(&mut self, returned: &Returned, line: u64) -> Result<Flow> {
        let is_there = |this: &Self, side| this.has_side(side);
        let gave = match returned {
            Returned::Nothing => Gave::Nothing,
            Returned::Null => Gave::Value(Value::Null),
            Returned::Row(side) => Gave::Side(*side),
            Returned::Either(first, second) => match is_there(self, *first) {
                true => Gave::Side(*first),
                false => Gave::Side(*second),
            },
            Returned::Value(text) => {
                let value = self.value(text, Use::Returned).await;
                let value = value.map_err(|e| {
                    let e = said_in(e, format!("SQL expression \"{}\"", text.sql));
                    self.at(e, line, "at RETURN")
                })?;
                Gave::Value(value)
            }
        };
        Ok(Flow::Returned(gave))
    }

    async fn assert(&self, condition: &Text, message: Option<&Text>) -> Result<()> {
        if self.value(condition, Use::Condition).await? == Value::Bool(true) {
            return Ok(());
        }
        let said = match message {
            Some(text) => match self.value(text, Use::Text).await? {
                Value::Text(text) => Some(text.to_string()),
                _ => None,
            },
            None => None,
        };
        let said = said.unwrap_or_else(|| "assertion failed".into());
        Err(Error::new(SqlState(*b"P0004"), said))
    }

    pub(super) fn assign(&mut self, to: &Target, value: Value) -> Result<()> {
        let place = self.program.place(to, &self.moment())?;
        self.put(&place, value)
    }
}
