//! SELECT … FOR UPDATE and FOR SHARE: locks the rows that come, and passes them on as they are under their locks.
//!
//! Owns: what becomes of a row that changed since the snapshot: under READ COMMITTED it is looked at again as it is now, and
//! left out when it does not match any more (its place in the order stays). Asked by: `build`. Never: locks more rows than it
//! passes on, where a LIMIT above may want no more. Bounds: one input batch, and one batch out.
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
    /// Rows that are not locked yet.
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
    /// The next rows of the input that are to be locked together.
    async fn next_rows(&mut self) -> Result<Vec<Row>> {
        let most = if self.spec.one_by_one { 1 } else { TOGETHER };
        loop {
            let next: Vec<Row> = self.waiting.by_ref().take(most).collect();
            if !next.is_empty() {
                return Ok(next);
            }
            match self.input.next().await? {
                Some(batch) => self.waiting = batch.rows.into_iter(),
                None => return Ok(Vec::new()),
            }
        }
    }

    /// For each row its address; `None` where an outer join has padded it.
    fn addresses(&self, rows: &[Row]) -> Result<Vec<Option<Vec<u8>>>> {
        let address = |row: &Row| match row.get(self.spec.address) {
            Some(Value::Bytea(bytes)) => Ok(Some(bytes.to_vec())),
            Some(Value::Null) if self.spec.within.is_some() => Ok(None),
            _ => Err(Error::internal("a row to lock without an address")),
        };
        rows.iter().map(address).collect()
    }

    async fn batch(&mut self) -> Result<Option<RowBatch>> {
        loop {
            (self.scope.exec.check)()?;
            let rows = self.next_rows().await?;
            if rows.is_empty() {
                return Ok(None);
            }
            let addresses = self.addresses(&rows)?;
            let exec: &Rc<Exec> = &self.scope.exec;
            let wanted: Vec<Vec<u8>> = addresses.iter().flatten().cloned().collect();
            let locked = exec.source.lock(&self.spec, wanted, exec.ctx.clone());
            let mut locked = locked.await?.into_iter();
            let mut out = RowBatch::new();
            for (row, address) in rows.into_iter().zip(addresses) {
                if address.is_none() {
                    out.push(row);
                    continue;
                }
                let Some(Some(Locked {
                    row: own, changed, ..
                })) = locked.next()
                else {
                    continue;
                };
                let row = self.spec.placed(row, own);
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

impl Spec {
    /// The output for a row of the input, where the table's is now `own`.
    fn placed(&self, mut row: Row, own: Row) -> Row {
        let Some(first) = self.within else {
            return own;
        };
        for (slot, value) in row.iter_mut().skip(first).zip(own) {
            *slot = value;
        }
        row
    }
}

impl RowSource for LockRows {
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<RowBatch>>> {
        Box::pin(self.batch())
    }
}
