//! Sort: stable, in memory, with a bound when only the first rows are wanted.
//!
//! Owns: the order of ORDER BY. Asked by: `build`, and `groups` for ORDER BY inside aggregates. Never: spills; over the
//! query's memory it answers 53200. Sorting runs in steps of `RUN` rows with a yield between, so that a large sort does
//! not hold its shard.

use super::scope::{Exprs, Scope};
use super::{Batches, RowSource};
use crate::exec::memory::Reservation;
use crate::plan::SortKey;
use futures_util::future::LocalBoxFuture;
use std::cmp::Ordering;
use types::row::row_bytes;
use types::{Result, Row, RowBatch, Value, order};

/// Rows sorted at once, and rows merged between two yields: about 50 µs of comparisons.
const RUN: usize = 256;

/// How one key orders.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Direction {
    descending: bool,
    nulls_first: bool,
}

impl Direction {
    pub(crate) fn of(key: &SortKey) -> Direction {
        Direction {
            descending: key.descending,
            nulls_first: key.nulls_first,
        }
    }
}

/// The order of two rows' keys.
pub(crate) fn compare_keys(a: &[Value], b: &[Value], directions: &[Direction]) -> Ordering {
    for ((a, b), d) in a.iter().zip(b).zip(directions) {
        let nulls_first = if d.nulls_first {
            Ordering::Less
        } else {
            Ordering::Greater
        };
        let ordering = match (a.is_null(), b.is_null()) {
            (true, true) => Ordering::Equal,
            (true, false) => nulls_first,
            (false, true) => nulls_first.reverse(),
            (false, false) if d.descending => order::compare(b, a),
            (false, false) => order::compare(a, b),
        };
        if ordering.is_ne() {
            return ordering;
        }
    }
    Ordering::Equal
}

/// A row and its keys.
struct Keyed {
    keys: Row,
    row: Row,
}

pub(crate) struct Sort {
    scope: Scope,
    input: Box<dyn RowSource>,
    keys: Exprs,
    directions: Vec<Direction>,
    top: Option<usize>,
    reservation: Reservation,
    sorted: Option<Batches>,
}

impl Sort {
    pub(crate) fn new(
        scope: Scope,
        input: Box<dyn RowSource>,
        keys: &[SortKey],
        top: Option<u64>,
    ) -> Sort {
        Sort {
            reservation: scope.exec.memory.consumer("Sort"),
            scope,
            input,
            keys: Exprs::new(keys.iter().map(|k| &k.expr)),
            directions: keys.iter().map(Direction::of).collect(),
            top: top.map(|n| usize::try_from(n).unwrap_or(usize::MAX)),
            sorted: None,
        }
    }

    async fn run(&mut self) -> Result<Vec<Row>> {
        let mut held: Vec<Keyed> = Vec::new();
        while let Some(batch) = self.input.next().await? {
            (self.scope.exec.check)()?;
            for (i, row) in batch.rows.into_iter().enumerate() {
                let keys = self.scope.row(&self.keys, &row).await?;
                self.reservation.grow(row_bytes(&row) + row_bytes(&keys))?;
                held.push(Keyed { keys, row });
                if i % RUN == RUN - 1 {
                    runtime::yield_if_needed().await;
                }
            }
            if let Some(top) = self.top
                && held.len() / 2 >= top.max(RUN)
            {
                held = self.cut(held, top).await?;
            }
        }
        let mut sorted = self.sort(held).await?;
        sorted.truncate(self.top.unwrap_or(usize::MAX));
        Ok(sorted.into_iter().map(|k| k.row).collect())
    }

    /// Keeps the first `top` of what is held; earlier rows win ties because the sort is stable.
    async fn cut(&mut self, held: Vec<Keyed>, top: usize) -> Result<Vec<Keyed>> {
        let mut held = self.sort(held).await?;
        let dropped = held.drain(top.min(held.len())..);
        let bytes = dropped
            .map(|k| row_bytes(&k.row) + row_bytes(&k.keys))
            .sum();
        self.reservation.shrink(bytes);
        Ok(held)
    }

    /// A bottom-up merge sort over short sorted runs: stable, and it yields.
    async fn sort(&self, held: Vec<Keyed>) -> Result<Vec<Keyed>> {
        let directions = &self.directions;
        let mut runs: Vec<Vec<Keyed>> = Vec::new();
        let mut rest = held.into_iter();
        loop {
            let mut run: Vec<Keyed> = rest.by_ref().take(RUN).collect();
            if run.is_empty() {
                break;
            }
            run.sort_by(|a, b| compare_keys(&a.keys, &b.keys, directions));
            runs.push(run);
            runtime::yield_if_needed().await;
        }
        while runs.len() > 1 {
            (self.scope.exec.check)()?;
            let mut merged = Vec::with_capacity(runs.len().div_ceil(2));
            let mut pairs = runs.into_iter();
            while let Some(first) = pairs.next() {
                merged.push(match pairs.next() {
                    Some(second) => merge(first, second, directions).await,
                    None => first,
                });
            }
            runs = merged;
        }
        Ok(runs.pop().unwrap_or_default())
    }
}

async fn merge(first: Vec<Keyed>, second: Vec<Keyed>, directions: &[Direction]) -> Vec<Keyed> {
    let mut out = Vec::with_capacity(first.len() + second.len());
    let (mut a, mut b) = (first.into_iter().peekable(), second.into_iter().peekable());
    loop {
        let from_first = match (a.peek(), b.peek()) {
            (Some(x), Some(y)) => compare_keys(&x.keys, &y.keys, directions).is_le(),
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (None, None) => return out,
        };
        out.extend(if from_first { a.next() } else { b.next() });
        if out.len().is_multiple_of(RUN) {
            runtime::yield_if_needed().await;
        }
    }
}

impl RowSource for Sort {
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<RowBatch>>> {
        Box::pin(async {
            if self.sorted.is_none() {
                let rows = self.run().await?;
                self.sorted = Some(Batches::new(rows));
            }
            Ok(self.sorted.as_mut().and_then(Batches::take))
        })
    }
}
