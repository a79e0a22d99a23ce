//! Sort: stable, in memory while the rows fit, else by sorted runs on disk that are merged.
//!
//! Owns: the order of ORDER BY. Asked by: `build`, and `kept` for ORDER BY inside aggregates. When only the first rows are
//! wanted it drops the others early, so that those alone need room. Sorting runs in steps of `RUN` rows with a yield
//! between, so that a large sort does not hold its shard.
//! Bounds: the rows of one run are what the operator may keep of the query's memory.

use super::merge::Merge;
use super::scope::{Exprs, Scope};
use super::sorted::{PLACE_BYTES, sort_by_keys};
use super::{Batches, RowSource, is_full};
use crate::exec::memory::Reservation;
use crate::exec::spill::{self, Run, Space, Writer};
use crate::plan::SortKey;
use futures_util::future::LocalBoxFuture;
use std::cmp::Ordering;
use std::rc::Rc;
use types::row::row_bytes;
use types::{Result, Row, RowBatch, Value, order};

/// Rows put aside between two yields, and the least that are sorted to find the first of them.
const RUN: usize = 256;

/// How one key orders.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Direction {
    descending: bool,
    nulls_first: bool,
}

impl Direction {
    pub(crate) const ASCENDING: Direction = Direction {
        descending: false,
        nulls_first: false,
    };

    pub(crate) fn of(key: &SortKey) -> Direction {
        Direction {
            descending: key.descending,
            nulls_first: key.nulls_first,
        }
    }

    /// Descending, and NULL before all else.
    pub(crate) fn parts(self) -> (bool, bool) {
        (self.descending, self.nulls_first)
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

impl Keyed {
    /// What it takes, with its place in the lists that sorting makes.
    fn bytes(&self) -> usize {
        row_bytes(&self.row) + row_bytes(&self.keys) + size_of::<Keyed>() + PLACE_BYTES
    }
}

pub(crate) struct Sort {
    scope: Scope,
    input: Box<dyn RowSource>,
    keys: Exprs,
    directions: Rc<[Direction]>,
    top: Option<usize>,
    reservation: Reservation,
    space: Option<Space>,
    runs: Vec<Run>,
    sorted: Option<Sorted>,
}

enum Sorted {
    Held(Batches),
    /// What is left to give out at most.
    Merged(Merge, usize),
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
            space: None,
            runs: Vec::new(),
            sorted: None,
        }
    }

    async fn run(&mut self) -> Result<Sorted> {
        let can_spill = self.scope.exec.temp.is_some();
        let mut held: Vec<Keyed> = Vec::new();
        // The last of the first rows that are wanted: what does not come before it is not among them.
        let mut bound: Option<Row> = None;
        while let Some(batch) = self.input.next().await? {
            (self.scope.exec.check)()?;
            for (i, row) in batch.rows.into_iter().enumerate() {
                let keys = self.scope.row(&self.keys, &row).await?;
                let is_late = |b: &Row| compare_keys(&keys, b, &self.directions).is_ge();
                if bound.as_ref().is_some_and(is_late) {
                    continue;
                }
                let keyed = Keyed { keys, row };
                let bytes = keyed.bytes();
                if !spill::keep(&mut self.reservation, bytes, can_spill)? {
                    held = self.make_room(held).await?;
                    if !self.reservation.keep(bytes) {
                        self.write_run(std::mem::take(&mut held)).await?;
                        self.reservation.grow(bytes)?;
                    }
                }
                held.push(keyed);
                if i % RUN == RUN - 1 {
                    runtime::yield_if_needed().await;
                }
            }
            if let Some(top) = self.top
                && held.len() / 2 >= top.max(RUN)
            {
                held = self.cut(held, top).await?;
                bound = held.last().map(|last| last.keys.clone());
            }
        }
        if self.runs.is_empty() {
            let mut sorted = self.sort(held).await?;
            sorted.truncate(self.top.unwrap_or(usize::MAX));
            let rows = sorted.into_iter().map(|k| k.row).collect();
            return Ok(Sorted::Held(Batches::new(rows)));
        }
        self.write_run(held).await?;
        let space = self.space().await?;
        let runs = std::mem::take(&mut self.runs);
        let merge = Merge::of(runs, &self.directions, &space, &self.scope, "Sort").await?;
        Ok(Sorted::Merged(merge, self.top.unwrap_or(usize::MAX)))
    }

    /// Full: drops what is not among the first, or writes all of it as a run.
    async fn make_room(&mut self, held: Vec<Keyed>) -> Result<Vec<Keyed>> {
        if let Some(top) = self.top
            && held.len() / 2 >= top
        {
            return self.cut(held, top).await;
        }
        self.write_run(held).await?;
        Ok(Vec::new())
    }

    async fn space(&mut self) -> Result<Space> {
        if self.space.is_none() {
            self.space = Some(self.scope.exec.space("Sort").await?);
        }
        self.space.clone().ok_or_else(super::lost)
    }

    async fn write_run(&mut self, held: Vec<Keyed>) -> Result<()> {
        if held.is_empty() {
            return Ok(());
        }
        let mut sorted = self.sort(held).await?;
        sorted.truncate(self.top.unwrap_or(usize::MAX));
        let mut writer = Writer::new(&self.space().await?);
        for keyed in sorted {
            let mut row = keyed.keys;
            row.extend(keyed.row);
            writer.push(&row).await?;
            self.scope.step(writer.rows()).await?;
        }
        self.runs.push(writer.finish().await?);
        self.reservation.set(0)
    }

    /// Keeps the first `top` of what is held; earlier rows win ties because the sort is stable.
    async fn cut(&mut self, held: Vec<Keyed>, top: usize) -> Result<Vec<Keyed>> {
        let mut held = self.sort(held).await?;
        let dropped = held.drain(top.min(held.len())..);
        let bytes = dropped.map(|k| k.bytes()).sum();
        self.reservation.shrink(bytes);
        Ok(held)
    }

    async fn sort(&self, held: Vec<Keyed>) -> Result<Vec<Keyed>> {
        sort_by_keys(held, |k| &k.keys, &self.directions, &self.scope).await
    }
}

async fn merged(
    merge: &mut Merge,
    keys: usize,
    left: &mut usize,
    scope: &Scope,
) -> Result<Option<RowBatch>> {
    (scope.exec.check)()?;
    let mut out = RowBatch::new();
    while *left > 0
        && !is_full(&out)
        && let Some(mut row) = merge.next().await?
    {
        row.drain(..keys.min(row.len()));
        out.push(row);
        *left -= 1;
        if out.len().is_multiple_of(RUN) {
            runtime::yield_if_needed().await;
        }
    }
    Ok((!out.is_empty()).then_some(out))
}

impl RowSource for Sort {
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<RowBatch>>> {
        Box::pin(async {
            if self.sorted.is_none() {
                self.sorted = Some(self.run().await?);
            }
            match &mut self.sorted {
                Some(Sorted::Merged(merge, left)) => {
                    merged(merge, self.keys.len(), left, &self.scope).await
                }
                Some(Sorted::Held(batches)) => Ok(batches.take()),
                None => Ok(None),
            }
        })
    }
}
