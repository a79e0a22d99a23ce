//! Sorted runs on disk become one sorted stream.
//!
//! Owns: the k-way merge. Asked by: `sort`, and `kept` for DISTINCT and ORDER BY inside aggregates. A run's rows begin with
//! their sort keys. Rows that order alike come in the order of their runs, so runs in input order make a stable sort.
//! Bounds: at most `FAN_IN_MAX` runs at once, fewer where memory is short; more runs are merged in passes. Each run at hand
//! counts a block and its row.
//! Source: Knuth, The Art of Computer Programming 3, section 5.4.1.

use super::scope::Scope;
use super::sort::{Direction, compare_keys};
use crate::exec::memory::Reservation;
use crate::exec::spill::{Reader, Run, Space, Writer, places};
use std::rc::Rc;
use types::row::row_bytes;
use types::{Result, Row};

const FAN_IN_MAX: usize = 64;

/// The rows of some sorted runs, in order.
pub(crate) struct Merge {
    /// A heap, the least row first.
    heads: Vec<Head>,
    directions: Rc<[Direction]>,
    memory: Reservation,
}

struct Head {
    row: Row,
    /// The run's place among the merged.
    place: usize,
    reader: Reader,
}

impl Merge {
    /// Merges in passes until one more is enough.
    pub(crate) async fn of(
        mut runs: Vec<Run>,
        directions: &Rc<[Direction]>,
        space: &Space,
        scope: &Scope,
        operator: &'static str,
    ) -> Result<Merge> {
        loop {
            let row = runs.iter().map(Run::row_bytes_max).max().unwrap_or(0);
            let fan_in = places(space.memory(), space.block_bytes() + row, FAN_IN_MAX);
            if runs.len() <= fan_in {
                return Merge::begin(runs, directions, scope, operator).await;
            }
            let mut merged = Vec::with_capacity(runs.len().div_ceil(fan_in));
            let mut rest = runs.into_iter();
            loop {
                let some: Vec<Run> = rest.by_ref().take(fan_in).collect();
                if some.len() < 2 {
                    merged.extend(some);
                    break;
                }
                let merge = Merge::begin(some, directions, scope, operator).await?;
                merged.push(merge.into_run(space, scope).await?);
            }
            runs = merged;
        }
    }

    async fn begin(
        runs: Vec<Run>,
        directions: &Rc<[Direction]>,
        scope: &Scope,
        operator: &'static str,
    ) -> Result<Merge> {
        let mut merge = Merge {
            heads: Vec::with_capacity(runs.len()),
            directions: directions.clone(),
            memory: scope.exec.memory.consumer(operator),
        };
        for (place, run) in runs.into_iter().enumerate() {
            let mut reader = run.drain();
            if let Some(row) = reader.next().await? {
                merge.memory.grow(row_bytes(&row))?;
                merge.heads.push(Head { row, place, reader });
            }
        }
        for at in (0..merge.heads.len() / 2).rev() {
            merge.sink(at);
        }
        Ok(merge)
    }

    async fn into_run(mut self, space: &Space, scope: &Scope) -> Result<Run> {
        let mut writer = Writer::new(space);
        while let Some(row) = self.next().await? {
            writer.push(&row).await?;
            scope.step(writer.rows()).await?;
        }
        writer.finish().await
    }

    pub(crate) async fn next(&mut self) -> Result<Option<Row>> {
        let Some(head) = self.heads.first_mut() else {
            return Ok(None);
        };
        self.memory.shrink(row_bytes(&head.row));
        let out = match head.reader.next().await? {
            Some(next) => {
                self.memory.grow(row_bytes(&next))?;
                std::mem::replace(&mut head.row, next)
            }
            None => self.heads.swap_remove(0).row,
        };
        self.sink(0);
        Ok(Some(out))
    }

    /// Puts the head at `at` where it belongs below.
    fn sink(&mut self, mut at: usize) {
        loop {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            let mut least = at;
            for child in [left, right] {
                if child < self.heads.len() && self.is_before(child, least) {
                    least = child;
                }
            }
            if least == at {
                return;
            }
            self.heads.swap(at, least);
            at = least;
        }
    }

    fn is_before(&self, a: usize, b: usize) -> bool {
        let (a, b) = (&self.heads[a], &self.heads[b]);
        compare_keys(&a.row, &b.row, &self.directions)
            .then(a.place.cmp(&b.place))
            .is_lt()
    }
}
