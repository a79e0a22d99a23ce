//! Blocks: their variables begin, and what they do is taken back when it fails and a handler is there.
//!
//! Owns: which handler an error is for. What a block with handlers has done is taken back as by ROLLBACK TO; its variables keep their
//! values. Never: catches a cancellation or a failed ASSERT by OTHERS. Source: PostgreSQL 15, `pl_exec.c` (`exec_stmt_block`).

use super::{Flow, Machine};
use futures_util::future::LocalBoxFuture;
use sql::program::{Block, Condition, Handler, Kind, Target, Use};
use types::{Error, Result, SqlState, Value};

impl Machine<'_> {
    pub(super) fn block<'b>(&'b mut self, block: &'b Block) -> LocalBoxFuture<'b, Result<Flow>> {
        Box::pin(async move {
            for number in &block.declared {
                let begun = self.begin(*number).await;
                let line = self.line_of(*number);
                begun.map_err(|e| {
                    self.at(
                        e,
                        line,
                        "during statement block local variable initialization",
                    )
                })?;
            }
            let flow = match block.handlers.is_empty() {
                true => self.steps(&block.steps).await?,
                false => self.guarded(block).await?,
            };
            Ok(match flow {
                Flow::Leave {
                    exit: true,
                    label: Some(label),
                } if block.label.as_ref() == Some(&label) => Flow::On,
                other => other,
            })
        })
    }

    fn line_of(&self, number: usize) -> u64 {
        let variable = self.program.body.variables.get(number);
        variable.map_or(0, |v| v.line)
    }

    /// A variable's first value.
    async fn begin(&mut self, number: usize) -> Result<()> {
        let program = self.program;
        let declared = program.body.variables.get(number);
        let target = Target::Variable(number);
        self.forget(number);
        let value = match declared.and_then(|v| v.default.as_ref()) {
            Some(text) => self.value(text, Use::Default(number)).await?,
            None => self.unset(number)?,
        };
        if value.is_null() && matches!(self.kind(number), Some(Kind::Record)) {
            return Ok(());
        }
        self.assign(&target, value)
    }

    /// NULL, unless it is of a domain that has none.
    fn unset(&self, number: usize) -> Result<Value> {
        let variable = self.program.variables.get(number);
        let Some(v) = variable.filter(|v| self.ctx.catalog.is_domain(v.column.declared)) else {
            return Ok(Value::Null);
        };
        self.cast_to(Value::Null, v.column.ty, &v.column)
    }

    async fn guarded(&mut self, block: &Block) -> Result<Flow> {
        let mark = self.host()?.protect()?;
        let e = match self.steps(&block.steps).await {
            Ok(flow) => {
                self.host()?.keep(mark);
                return Ok(flow);
            }
            Err(e) => e,
        };
        let handler = block.handlers.iter().find(|h| is_for(h, &e));
        let Some(handler) = handler else {
            // Whoever catches it takes more back.
            self.host()?.keep(mark);
            return Err(e);
        };
        self.host()?.take_back(mark).await?;
        self.now();
        let state = Value::from(e.code().to_string());
        let message = self.ctx.catalog.named(e.message()).into_owned();
        self.assign(&Target::Variable(handler.state), state)?;
        self.assign(&Target::Variable(handler.message), Value::from(message))?;
        self.caught.push(e);
        let flow = self.steps(&handler.steps).await;
        self.caught.pop();
        flow
    }
}

fn is_for(handler: &Handler, e: &Error) -> bool {
    let code = e.code();
    handler.conditions.iter().any(|condition| match condition {
        Condition::Others => code != SqlState::QUERY_CANCELED && code != SqlState(*b"P0004"),
        Condition::State(SqlState([a, b, b'0', b'0', b'0'])) => code.0.starts_with(&[*a, *b]),
        Condition::State(state) => code == *state,
    })
}
