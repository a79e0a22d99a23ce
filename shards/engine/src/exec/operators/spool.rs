//! Rows kept by their place, to be read in any order and more than once.
//!
//! Owns: the rows in memory and those put aside. Asked by: window functions (the rows of a partition), WITH queries that are
//! read more than once, recursive queries (the rows that the last round found). Never: asks an input; its owner pushes.
//! Bounds: what fits stays in memory; more goes to disk in segments of a block, each found by the place of its first row;
//! `CACHED` of them are in memory when they are read again. A segment's entry in that list counts against the query.

use super::lost;
use super::scope::Scope;
use crate::exec::memory::Reservation;
use crate::exec::spill::{self, Run, Space, Writer};
use std::collections::VecDeque;
use std::rc::Rc;
use types::row::row_bytes;
use types::{Result, Row};

/// For a window: the current row, both ends of a frame, and one that a call looks at.
const CACHED: usize = 4;

pub(crate) struct Spool {
    scope: Scope,
    operator: &'static str,
    held: VecDeque<Rc<Row>>,
    /// The place of the first row in `held`.
    first: u64,
    segments: VecDeque<Segment>,
    cached: VecDeque<(u64, Vec<Rc<Row>>, usize)>,
    memory: Reservation,
    listed: Reservation,
    space: Option<Space>,
}

struct Segment {
    first: u64,
    run: Run,
}

impl Spool {
    pub(crate) fn new(scope: &Scope, operator: &'static str) -> Spool {
        Spool {
            scope: scope.clone(),
            operator,
            held: VecDeque::new(),
            first: 0,
            segments: VecDeque::new(),
            cached: VecDeque::new(),
            memory: scope.exec.memory.consumer(operator),
            listed: scope.exec.memory.consumer(operator),
            space: None,
        }
    }

    /// Forgets everything; the next row's place is 0.
    pub(crate) fn clear(&mut self) -> Result<()> {
        self.held.clear();
        self.segments.clear();
        self.cached.clear();
        self.first = 0;
        self.listed.set(0)?;
        self.memory.set(0)
    }

    /// The place that the next row will have.
    pub(crate) fn end(&self) -> u64 {
        self.first + self.held.len() as u64
    }

    pub(crate) async fn push(&mut self, row: Row) -> Result<()> {
        let bytes = bytes(&row);
        let can_spill = self.scope.exec.temp.is_some();
        if !spill::keep(&mut self.memory, bytes, can_spill)? {
            self.put_aside().await?;
            if !self.memory.keep(bytes) {
                self.memory.grow(bytes)?;
            }
        }
        self.held.push_back(Rc::new(row));
        Ok(())
    }

    async fn put_aside(&mut self) -> Result<()> {
        let space = match self.space.take() {
            Some(space) => space,
            None => self.scope.exec.space(self.operator).await?,
        };
        let mut writer = Writer::new(&space);
        let (mut first, mut size) = (self.first, 0);
        let held = std::mem::take(&mut self.held);
        let last = self.first + held.len() as u64;
        for (row, place) in held.into_iter().zip(self.first..) {
            writer.push(&row).await?;
            size += row_bytes(&row);
            self.scope.step(place).await?;
            if size >= space.block_bytes() || place + 1 == last {
                let full = std::mem::replace(&mut writer, Writer::new(&space));
                let run = full.finish().await?;
                self.listed.grow(size_of::<Segment>())?;
                self.segments.push_back(Segment { first, run });
                (first, size) = (place + 1, 0);
            }
        }
        self.first = last;
        self.space = Some(space);
        self.memory.set(0)
    }

    /// The row at a place before `end` that `forget` has not passed.
    pub(crate) async fn row(&mut self, place: u64) -> Result<Rc<Row>> {
        if let Some(at) = place.checked_sub(self.first) {
            let row = self.held.get(usize::try_from(at).unwrap_or(usize::MAX));
            return row.cloned().ok_or_else(lost);
        }
        let after = self.segments.partition_point(|s| s.first <= place);
        let segment = after.checked_sub(1).and_then(|i| self.segments.get(i));
        let segment = segment.ok_or_else(lost)?;
        let first = segment.first;
        let at = usize::try_from(place - first).map_err(|_| lost())?;
        if let Some((_, rows, _)) = self.cached.iter().find(|(f, ..)| *f == first) {
            return rows.get(at).cloned().ok_or_else(lost);
        }
        let mut reader = segment.run.read();
        let (mut rows, mut size) = (Vec::new(), 0);
        while let Some(row) = reader.next().await? {
            size += bytes(&row);
            rows.push(Rc::new(row));
        }
        drop(reader);
        if self.cached.len() >= CACHED
            && let Some((_, _, gone)) = self.cached.pop_front()
        {
            self.listed.shrink(gone);
        }
        self.listed.grow(size)?;
        let row = rows.get(at).cloned().ok_or_else(lost);
        self.cached.push_back((first, rows, size));
        row
    }

    /// Nobody will ask for a row before this place again.
    pub(crate) fn forget(&mut self, before: u64) {
        while let Some(segment) = self.segments.front() {
            let end = self.segments.get(1).map_or(self.first, |s| s.first);
            if end > before {
                return;
            }
            let first = segment.first;
            self.segments.pop_front();
            self.listed.shrink(size_of::<Segment>());
            if let Some(at) = self.cached.iter().position(|(f, ..)| *f == first)
                && let Some((_, _, gone)) = self.cached.remove(at)
            {
                self.listed.shrink(gone);
            }
        }
        while self.first < before
            && let Some(row) = self.held.pop_front()
        {
            self.memory.shrink(bytes(&row));
            self.first += 1;
        }
    }
}

/// A row and its place in the list.
fn bytes(row: &Row) -> usize {
    row_bytes(row) + size_of::<Rc<Row>>() + 2 * size_of::<usize>()
}
