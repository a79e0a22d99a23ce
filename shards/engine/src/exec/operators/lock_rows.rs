//! SELECT … FOR UPDATE and FOR SHARE: locks the rows that come, and passes them on as they are under their locks.
//!
//! Owns: what becomes of a row that changed since the snapshot: under READ COMMITTED it is looked at again as it is now, and
//! left out when it does not match any more (its place in the order stays). Asked by: `build`. Never: locks more rows than it
//! passes on, where a LIMIT above may want no more. Bounds: the addresses of one input batch, and one batch out.
//! Source: PostgreSQL 15, `nodeLockRows.c` and the manual's "The Locking Clause".

use super::scope::Scope;
use super::{Exec, RowSource, eval_row};
use crate::plan::LockRows as Spec;
use futures_util::future::LocalBoxFuture;
use std::rc::Rc;
use types::limits::BATCH_ROWS_MAX;
use types::{Error, Result, Row, RowBatch, Value};

/// Rows locked between two looks at what came of them, where nobody may want less.
const TOGETHER: usize = 64;
const _: () = assert!(TOGETHER <= BATCH_ROWS_MAX);

/// A row as it is under its lock.
pub struct Locked {
    pub row: Row,
    /// It is another one than the snapshot has.
    pub changed: bool,
    /// The statement itself has written it: of one that does not see what it writes.
    pub again: bool,
}

struct LockRows {
    scope: Scope,
    input: Box<dyn RowSource>,
    spec: Rc<Spec>,
    /// Addresses of rows that are not locked yet.
    waiting: std::vec::IntoIter<Row>,
}

pub(super) fn build(
    scope: Scope,
    spec: &Spec,
    exec: &Rc<Exec>,
    outer: &Rc<Vec<Row>>,
) -> Result<Box<dyn RowSource>> {
    Ok(Box::new(LockRows {
        scope,
        input: super::build(&spec.input, exec, outer)?,
        spec: Rc::new(spec.clone()),
        waiting: Vec::new().into_iter(),
    }))
}

impl LockRows {
    async fn addresses(&mut self) -> Result<Vec<Vec<u8>>> {
        let most = if self.spec.one_by_one { 1 } else { TOGETHER };
        loop {
            let next: Vec<Row> = self.waiting.by_ref().take(most).collect();
            if !next.is_empty() {
                let address = |row: Row| match row.into_iter().nth(self.spec.address) {
                    Some(Value::Bytea(bytes)) => Ok(bytes.to_vec()),
                    _ => Err(Error::internal("a row to lock without an address")),
                };
                return next.into_iter().map(address).collect();
            }
            match self.input.next().await? {
                Some(batch) => self.waiting = batch.rows.into_iter(),
                None => return Ok(Vec::new()),
            }
        }
    }

    async fn batch(&mut self) -> Result<Option<RowBatch>> {
        loop {
            (self.scope.exec.check)()?;
            let addresses = self.addresses().await?;
            if addresses.is_empty() {
                return Ok(None);
            }
            let exec: &Rc<Exec> = &self.scope.exec;
            let rows = exec
                .source
                .lock(&self.spec, addresses, exec.ctx.clone())
                .await?;
            let mut out = RowBatch::new();
            for Locked { row, changed, .. } in rows.into_iter().flatten() {
                let keep = match &self.spec.filter {
                    Some(filter) if changed => {
                        let kept = eval_row(filter, &row, exec, &self.scope.outer).await?;
                        kept == Value::Bool(true)
                    }
                    _ => true,
                };
                if keep {
                    out.push(row);
                }
            }
            if !out.is_empty() {
                return Ok(Some(out));
            }
        }
    }
}

impl RowSource for LockRows {
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<RowBatch>>> {
        Box::pin(self.batch())
    }
}
