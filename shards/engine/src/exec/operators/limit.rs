//! LIMIT and OFFSET.
//!
//! Owns: how many rows to skip and to pass. Asked by: `build`. Never: pulls its input again once it has enough; the input
//! is dropped then, which ends what feeds it.

use super::RowSource;
use super::scope::{Exprs, Scope};
use crate::plan::Expr;
use futures_util::future::LocalBoxFuture;
use types::{Error, Result, RowBatch, SqlState, Value};

pub(crate) struct Limit {
    scope: Scope,
    input: Option<Box<dyn RowSource>>,
    limit: Exprs,
    offset: Exprs,
    left: Option<Left>,
}

struct Left {
    skip: u64,
    pass: u64,
}

impl Limit {
    pub(crate) fn new(
        scope: Scope,
        input: Box<dyn RowSource>,
        limit: &Option<Expr>,
        offset: &Option<Expr>,
    ) -> Limit {
        Limit {
            scope,
            input: Some(input),
            limit: Exprs::new(limit),
            offset: Exprs::new(offset),
            left: None,
        }
    }

    async fn settle(&self) -> Result<Left> {
        let limit = self.scope.row(&self.limit, &[]).await?;
        let offset = self.scope.row(&self.offset, &[]).await?;
        Ok(Left {
            pass: count(
                limit.first(),
                "LIMIT",
                SqlState::INVALID_ROW_COUNT_IN_LIMIT_CLAUSE,
            )?
            .unwrap_or(u64::MAX),
            skip: count(
                offset.first(),
                "OFFSET",
                SqlState::INVALID_ROW_COUNT_IN_RESULT_OFFSET_CLAUSE,
            )?
            .unwrap_or(0),
        })
    }

    async fn batch(&mut self) -> Result<Option<RowBatch>> {
        let mut left = match self.left.take() {
            Some(left) => left,
            None => self.settle().await?,
        };
        loop {
            let Some(input) = &mut self.input else {
                return Ok(None);
            };
            if left.pass == 0 {
                self.input = None;
                return Ok(None);
            }
            let Some(batch) = input.next().await? else {
                self.input = None;
                return Ok(None);
            };
            let (skip, pass) = (left.skip, left.pass);
            let count = batch.len() as u64;
            left.skip -= skip.min(count);
            if skip >= count {
                continue;
            }
            let out = if skip == 0 && pass >= count {
                batch
            } else {
                let kept = batch
                    .rows
                    .into_iter()
                    .skip(to_usize(skip))
                    .take(to_usize(pass));
                RowBatch::from(kept.collect::<Vec<_>>())
            };
            left.pass -= out.len() as u64;
            self.left = Some(left);
            return Ok(Some(out));
        }
    }
}

fn to_usize(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// NULL and absence are no limit.
fn count(value: Option<&Value>, word: &str, code: SqlState) -> Result<Option<u64>> {
    let n = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(value) => value
            .as_i64()
            .ok_or_else(|| Error::internal(format!("{word} is not a bigint")))?,
    };
    let n = u64::try_from(n);
    n.map(Some)
        .map_err(|_| Error::new(code, format!("{word} must not be negative")))
}

impl RowSource for Limit {
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<RowBatch>>> {
        Box::pin(self.batch())
    }
}
