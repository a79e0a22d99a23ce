//! Rows repeated for grouping sets.
//!
//! Owns: which groups' values a set has. Asked by: `build`; an aggregation stands above, with the set's number among its
//! groups. Never: keeps a row beyond its batch.

use super::scope::{Exprs, Scope};
use super::stream::Rows;
use super::{RowSource, is_full};
use crate::plan::Expr;
use futures_util::future::LocalBoxFuture;
use types::{Result, Row, RowBatch, Value};

pub(super) struct Expand {
    scope: Scope,
    rows: Rows,
    groups: Exprs,
    sets: Vec<Vec<bool>>,
    /// A row, its groups' values and the next set.
    at: Option<(Row, Row, usize)>,
}

impl Expand {
    pub(super) fn new(
        scope: Scope,
        input: Box<dyn RowSource>,
        groups: &[Expr],
        sets: &[Vec<bool>],
    ) -> Expand {
        Expand {
            scope,
            rows: Rows::live(input),
            groups: Exprs::new(groups),
            sets: sets.to_vec(),
            at: None,
        }
    }

    async fn batch(&mut self) -> Result<Option<RowBatch>> {
        let mut out = RowBatch::new();
        while !is_full(&out) {
            let (row, values, set) = match self.at.take() {
                Some(at) => at,
                None => {
                    if !out.is_empty() && self.rows.at_batch_end() {
                        break;
                    }
                    let Some(row) = self.rows.next(&self.scope).await? else {
                        break;
                    };
                    let values = self.scope.row(&self.groups, &row).await?;
                    (row, values, 0)
                }
            };
            let Some(has) = self.sets.get(set) else {
                continue;
            };
            let mut wide = row.clone();
            let value = |(value, has): (&Value, &bool)| match has {
                true => value.clone(),
                false => Value::Null,
            };
            wide.extend(values.iter().zip(has).map(value));
            wide.push(Value::Int4(i32::try_from(set + 1).unwrap_or(i32::MAX)));
            out.push(wide);
            self.at = Some((row, values, set + 1));
        }
        Ok((!out.is_empty()).then_some(out))
    }
}

impl RowSource for Expand {
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<RowBatch>>> {
        Box::pin(self.batch())
    }
}
