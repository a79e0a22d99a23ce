//! Functions of sequences: a row of arguments in, the answer out.
//!
//! Owns: strictness. Asked by: `build`. Never: knows where a sequence's state is; the `Source` does. Bounds: one input batch.

use super::scope::Scope;
use super::{Batches, Exec, RowSource};
use crate::plan::{SequenceCall, SequenceFunction};
use futures_util::future::LocalBoxFuture;
use std::rc::Rc;
use types::{Result, Row, RowBatch, Value};

struct Sequence {
    scope: Scope,
    input: Box<dyn RowSource>,
    function: SequenceFunction,
}

pub(super) fn build(
    scope: Scope,
    call: &SequenceCall,
    exec: &Rc<Exec>,
    outer: &Rc<Vec<Row>>,
) -> Result<Box<dyn RowSource>> {
    Ok(Box::new(Sequence {
        scope,
        input: super::build(&call.input, exec, outer)?,
        function: call.function,
    }))
}

impl Sequence {
    async fn batch(&mut self) -> Result<Option<RowBatch>> {
        let Some(batch) = self.input.next().await? else {
            return Ok(None);
        };
        let mut out: Vec<Row> = Vec::with_capacity(batch.rows.len());
        let exec = &self.scope.exec;
        for args in batch.rows {
            (exec.check)()?;
            out.push(if args.iter().any(Value::is_null) {
                vec![Value::Null; self.function.returns().len()]
            } else {
                exec.source
                    .sequence(self.function, &args, &exec.ctx)
                    .await?
            });
        }
        Ok(Batches::new(out).take())
    }
}

impl RowSource for Sequence {
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<RowBatch>>> {
        Box::pin(self.batch())
    }
}
