//! Rows one by one, from an operator or from a run on disk.
//!
//! Owns: the batch or block at hand. Asked by: operators that treat what they put aside as they treat their input.
//! Yields now and then, and asks whether the statement may go on.

use super::RowSource;
use super::scope::Scope;
use crate::exec::sieve::Keys;
use crate::exec::spill::{Reader, Run};
use std::sync::Arc;
use types::{Result, Row};

pub(crate) struct Rows {
    from: From,
    given: u64,
}

enum From {
    Live(Box<dyn RowSource>, std::vec::IntoIter<Row>),
    Run(Reader),
    Nothing,
}

impl Rows {
    pub(crate) fn live(source: Box<dyn RowSource>) -> Rows {
        Rows::new(From::Live(source, Vec::new().into_iter()))
    }

    pub(crate) fn nothing() -> Rows {
        Rows::new(From::Nothing)
    }

    /// For the last time.
    pub(crate) fn drain(run: Run) -> Rows {
        Rows::new(From::Run(run.drain()))
    }

    /// Once; the run stays.
    pub(crate) fn read(run: &Run) -> Rows {
        Rows::new(From::Run(run.read()))
    }

    fn new(from: From) -> Rows {
        Rows { from, given: 0 }
    }

    /// See `RowSource::sieve`; rows at hand stay.
    pub(crate) fn sieve(&mut self, columns: &[usize], keys: &Arc<Keys>) {
        if let From::Live(source, _) = &mut self.from {
            source.sieve(columns, keys);
        }
    }

    /// The next row would need another batch of the input.
    pub(crate) fn at_batch_end(&self) -> bool {
        matches!(&self.from, From::Live(_, batch) if batch.len() == 0)
    }

    pub(crate) async fn next(&mut self, scope: &Scope) -> Result<Option<Row>> {
        self.given += 1;
        scope.step(self.given).await?;
        match &mut self.from {
            From::Nothing => Ok(None),
            From::Run(reader) => reader.next().await,
            From::Live(source, batch) => loop {
                if let Some(row) = batch.next() {
                    return Ok(Some(row));
                }
                let Some(next) = source.next().await? else {
                    return Ok(None);
                };
                (scope.exec.check)()?;
                *batch = next.rows.into_iter();
            },
        }
    }
}
