//! Calls of users' functions: a row of arguments in, what the function returns out.
//!
//! Owns: the order of calls; the next is made when the rows of the one before have been taken. Asked by: `build`. Never: knows what a
//! function does; the `Source` does. Bounds: one input batch, and the rows of one call, which go to a temporary file where they are many.

use super::scope::Scope;
use super::stash::Stashed;
use super::{Exec, RowSource, Stash, is_full};
use crate::plan::FunctionCall;
use futures_util::future::LocalBoxFuture;
use std::rc::Rc;
use types::{Result, Row, RowBatch};

/// What a call gives.
pub enum Called {
    One(Row),
    /// Sealed.
    Rows(Box<Stash>),
}

struct Calls {
    scope: Scope,
    input: Box<dyn RowSource>,
    call: Rc<FunctionCall>,
    args: std::vec::IntoIter<Row>,
    rows: Option<Stashed>,
}

pub(super) fn build(
    scope: Scope,
    call: &FunctionCall,
    exec: &Rc<Exec>,
    outer: &Rc<Vec<Row>>,
) -> Result<Box<dyn RowSource>> {
    Ok(Box::new(Calls {
        scope,
        input: super::build(&call.input, exec, outer)?,
        call: Rc::new(FunctionCall {
            input: Default::default(),
            ..call.clone()
        }),
        args: Vec::new().into_iter(),
        rows: None,
    }))
}

impl Calls {
    async fn batch(&mut self) -> Result<Option<RowBatch>> {
        let mut out = RowBatch::new();
        while !is_full(&out) {
            if let Some(rows) = &mut self.rows {
                match rows.next().await? {
                    Some(batch) if out.is_empty() => return Ok(Some(batch)),
                    Some(batch) => batch.rows.into_iter().for_each(|row| out.push(row)),
                    None => self.rows = None,
                }
                continue;
            }
            let Some(args) = self.args.next() else {
                match self.input.next().await? {
                    Some(batch) => self.args = batch.rows.into_iter(),
                    None => break,
                }
                continue;
            };
            let exec = &self.scope.exec;
            (exec.check)()?;
            match exec.source.call(&self.call, args, exec).await? {
                Called::One(row) => out.push(row),
                Called::Rows(stash) => self.rows = Some(Stashed::new(Rc::new(*stash))),
            }
        }
        Ok((!out.is_empty()).then_some(out))
    }
}

impl RowSource for Calls {
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<RowBatch>>> {
        Box::pin(self.batch())
    }
}
