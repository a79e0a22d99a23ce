//! Joins of two independent inputs.
//!
//! Owns: one input in memory, hashed by its keys (or in a list without keys), and the other streaming past. The right input
//! is kept unless the left one turns out to be small: then the right table is read by the left rows' keys where an index
//! allows it (`lookup`), else the left input is kept and the right one streams.
//! Asked by: `build`. Never: spills. NULL keys match nothing. Rows of the kept input without a match come last.
//! Bounds: the kept input counts against the query's memory; at most `AHEAD_ROWS_MAX` left rows are read ahead.

use super::lookup::{self, LOOKUPS_MAX};
use super::rows::RowSet;
use super::scope::{Exprs, Scope};
use super::sources::ScanRows;
use super::{RowSource, is_full};
use crate::exec::memory::Reservation;
use crate::plan::{Join, JoinKind, Plan, Scan};
use futures_util::future::LocalBoxFuture;
use std::collections::VecDeque;
use types::limits::BATCH_ROWS_MAX;
use types::{Result, Row, RowBatch, Value};

pub(crate) struct HashJoin {
    scope: Scope,
    kind: JoinKind,
    /// Left batches read ahead of their turn.
    ahead: VecDeque<RowBatch>,
    ahead_memory: Reservation,
    left: Box<dyn RowSource>,
    right: Option<Box<dyn RowSource>>,
    /// The right input when it is a table's rows.
    right_scan: Option<Scan>,
    /// The left input is the one in memory.
    swapped: bool,
    left_width: usize,
    right_width: usize,
    left_keys: Exprs,
    right_keys: Exprs,
    filter: Exprs,
    reservation: Reservation,
    table: Table,
    current: std::vec::IntoIter<Row>,
    probe: Option<Probe>,
    /// Left rows are at their end; the next right row to look at for RIGHT and FULL.
    tail: Option<usize>,
    steps: u32,
}

/// A left input of at most this many rows counts as small.
const AHEAD_ROWS_MAX: usize = 4 * BATCH_ROWS_MAX;
/// And of at most so many bytes.
const AHEAD_BYTES_MAX: usize = 1 << 20;

/// No further row in a chain.
const END: u32 = u32::MAX;

/// The right input.
#[derive(Default)]
struct Table {
    rows: Vec<Row>,
    matched: Vec<bool>,
    keys: RowSet,
    /// First row of each key.
    heads: Vec<u32>,
    /// Next row of the same key, in input order.
    next: Vec<u32>,
}

/// A left row being matched.
struct Probe {
    row: Row,
    candidate: u32,
    matched: bool,
}

impl HashJoin {
    pub(crate) fn new(
        scope: Scope,
        left: Box<dyn RowSource>,
        right: Box<dyn RowSource>,
        join: &Join,
    ) -> HashJoin {
        let operator = if join.left_keys.is_empty() {
            "Nested Loop"
        } else {
            "Hash Join"
        };
        HashJoin {
            reservation: scope.exec.memory.consumer(operator),
            ahead_memory: scope.exec.memory.consumer(operator),
            scope,
            kind: join.kind,
            ahead: VecDeque::new(),
            left,
            right_scan: match &join.right {
                Plan::Scan(scan) if !join.left_keys.is_empty() => Some((**scan).clone()),
                _ => None,
            },
            swapped: false,
            right: Some(right),
            left_width: join.left_width,
            right_width: join.right_width,
            left_keys: Exprs::new(&join.left_keys),
            right_keys: Exprs::new(&join.right_keys),
            filter: Exprs::new(&join.filter),
            table: Table::default(),
            current: Vec::new().into_iter(),
            probe: None,
            tail: None,
            steps: 0,
        }
    }

    /// Decides which input to keep, and reads it. False: there is nothing to join.
    async fn prepare(&mut self, right: Box<dyn RowSource>) -> Result<bool> {
        let left_decides = !matches!(self.kind, JoinKind::Right | JoinKind::Full);
        if self.left_keys.is_empty() || !left_decides || !self.look_ahead().await? {
            return self.load(right).await.map(|()| true);
        }
        if self.ahead.is_empty() {
            return Ok(false);
        }
        if let Some(narrowed) = self.lookup().await? {
            let right = Box::new(ScanRows::new(self.scope.clone(), &narrowed));
            self.load(right).await?;
        } else if matches!(self.kind, JoinKind::Inner | JoinKind::Left) {
            self.swapped = true;
            std::mem::swap(&mut self.left_keys, &mut self.right_keys);
            let kept = std::mem::replace(&mut self.left, right);
            let ahead = std::mem::take(&mut self.ahead);
            self.ahead_memory.set(0)?;
            self.load(Box::new(Ahead { ahead, rest: kept })).await?;
        } else {
            self.load(right).await?;
        }
        Ok(true)
    }

    /// Reads left batches while they are few; true when these are all.
    async fn look_ahead(&mut self) -> Result<bool> {
        let mut rows = 0;
        while rows <= AHEAD_ROWS_MAX && self.ahead_memory.bytes() <= AHEAD_BYTES_MAX {
            let Some(batch) = self.left.next().await? else {
                return Ok(true);
            };
            (self.scope.exec.check)()?;
            rows += batch.len();
            self.ahead_memory.grow(batch.bytes)?;
            if !batch.is_empty() {
                self.ahead.push_back(batch);
            }
        }
        Ok(false)
    }

    /// The right table's scan narrowed to what the left rows can match.
    async fn lookup(&mut self) -> Result<Option<Scan>> {
        let Some(scan) = &self.right_scan else {
            return Ok(None);
        };
        let mut keys = RowSet::default();
        for row in self.ahead.iter().flat_map(|b| &b.rows) {
            let key = self.scope.row(&self.left_keys, row).await?;
            if !key.iter().any(Value::is_null) {
                keys.intern(&key);
            }
            if keys.len() > LOOKUPS_MAX {
                return Ok(None);
            }
        }
        Ok(lookup::narrow(scan, &self.right_keys.list, &keys))
    }

    async fn load(&mut self, mut right: Box<dyn RowSource>) -> Result<()> {
        let mut keys: Vec<Row> = Vec::new();
        let hashed = !self.right_keys.is_empty();
        while let Some(batch) = right.next().await? {
            (self.scope.exec.check)()?;
            self.reservation.grow(batch.bytes + batch.len() * 8)?;
            for row in batch.rows {
                if hashed {
                    keys.push(self.scope.row(&self.right_keys, &row).await?);
                }
                self.table.rows.push(row);
                self.step().await?;
            }
        }
        let count = self.table.rows.len();
        self.table.matched = vec![false; count];
        self.table.next = vec![END; count];
        for (at, key) in keys.into_iter().enumerate().rev() {
            if key.iter().any(Value::is_null) {
                continue;
            }
            let before = self.table.keys.bytes();
            self.table.link(at, &key);
            self.reservation.grow(self.table.keys.bytes() - before)?;
            self.step().await?;
        }
        Ok(())
    }

    /// Counts a step of work; now and then yields, and asks whether the statement may go on.
    async fn step(&mut self) -> Result<()> {
        self.steps = self.steps.wrapping_add(1);
        if self.steps.is_multiple_of(256) {
            runtime::yield_if_needed().await;
        }
        if self.steps.is_multiple_of(4096) {
            (self.scope.exec.check)()?;
        }
        Ok(())
    }

    /// The first right row that may match.
    async fn start(&self, row: &[Value]) -> Result<u32> {
        if self.left_keys.is_empty() {
            return Ok(if self.table.rows.is_empty() { END } else { 0 });
        }
        let key = self.scope.row(&self.left_keys, row).await?;
        if key.iter().any(Value::is_null) {
            return Ok(END);
        }
        let found = self.table.keys.find(&key);
        Ok(found.map_or(END, |i| self.table.heads[i]))
    }

    fn after(&self, candidate: u32) -> u32 {
        let at = candidate as usize;
        if !self.left_keys.is_empty() {
            return self.table.next[at];
        }
        if at + 1 < self.table.rows.len() {
            candidate + 1
        } else {
            END
        }
    }

    /// Tries candidates of the probe until one matches (then the output row) or there are no more.
    async fn advance(&mut self, probe: &mut Probe) -> Result<Option<Row>> {
        while probe.candidate != END {
            let at = probe.candidate as usize;
            probe.candidate = self.after(probe.candidate);
            self.step().await?;
            let kept = &self.table.rows[at];
            let joined = match self.swapped {
                false => concat(&probe.row, kept),
                true => concat(kept, &probe.row),
            };
            if !self.filter.is_empty() && !self.scope.test(&self.filter, &joined).await? {
                continue;
            }
            probe.matched = true;
            self.table.matched[at] = true;
            match self.kind {
                JoinKind::Semi => {
                    probe.candidate = END;
                    return Ok(Some(std::mem::take(&mut probe.row)));
                }
                JoinKind::Anti => probe.candidate = END,
                JoinKind::Inner | JoinKind::Left | JoinKind::Right | JoinKind::Full => {
                    return Ok(Some(joined));
                }
            }
        }
        let padded = match self.kind {
            JoinKind::Anti if !probe.matched => Some(std::mem::take(&mut probe.row)),
            JoinKind::Left | JoinKind::Full if !probe.matched && !self.swapped => {
                Some(concat(&probe.row, &vec![Value::Null; self.right_width]))
            }
            _ => None,
        };
        probe.matched = true;
        Ok(padded)
    }

    async fn next_left(&mut self) -> Result<Option<Row>> {
        loop {
            if let Some(row) = self.current.next() {
                return Ok(Some(row));
            }
            let batch = match self.ahead.pop_front() {
                Some(batch) => {
                    self.ahead_memory.shrink(batch.bytes);
                    batch
                }
                None => match self.left.next().await? {
                    Some(batch) => batch,
                    None => return Ok(None),
                },
            };
            (self.scope.exec.check)()?;
            self.current = batch.rows.into_iter();
        }
    }

    /// Kept rows that nothing matched, padded on the other side.
    fn rest(&mut self, mut at: usize, out: &mut RowBatch) {
        let wanted = match self.kind {
            JoinKind::Right | JoinKind::Full => true,
            JoinKind::Left => self.swapped,
            JoinKind::Inner | JoinKind::Semi | JoinKind::Anti => false,
        };
        while wanted && at < self.table.rows.len() && !is_full(out) {
            if !self.table.matched[at] {
                let kept = &self.table.rows[at];
                out.push(match self.swapped {
                    false => concat(&vec![Value::Null; self.left_width], kept),
                    true => concat(kept, &vec![Value::Null; self.right_width]),
                });
            }
            at += 1;
        }
        self.tail = Some(at);
    }

    async fn batch(&mut self) -> Result<Option<RowBatch>> {
        if let Some(right) = self.right.take()
            && !self.prepare(right).await?
        {
            self.tail = Some(0);
        }
        let needs_right = matches!(
            self.kind,
            JoinKind::Inner | JoinKind::Semi | JoinKind::Right
        );
        if needs_right && !self.swapped && self.table.rows.is_empty() {
            return Ok(None);
        }
        let mut out = RowBatch::new();
        while !is_full(&out) {
            if let Some(at) = self.tail {
                self.rest(at, &mut out);
                break;
            }
            let mut probe = match self.probe.take() {
                Some(probe) => probe,
                None => match self.next_left().await? {
                    None => {
                        self.tail = Some(0);
                        continue;
                    }
                    Some(row) => Probe {
                        candidate: self.start(&row).await?,
                        row,
                        matched: false,
                    },
                },
            };
            match self.advance(&mut probe).await? {
                Some(row) => {
                    out.push(row);
                    let done = probe.candidate == END && probe.matched;
                    self.probe = (!done).then_some(probe);
                }
                None => self.step().await?,
            }
        }
        Ok((!out.is_empty()).then_some(out))
    }
}

/// Batches already read, then the rest.
struct Ahead {
    ahead: VecDeque<RowBatch>,
    rest: Box<dyn RowSource>,
}

impl RowSource for Ahead {
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<RowBatch>>> {
        Box::pin(async {
            match self.ahead.pop_front() {
                Some(batch) => Ok(Some(batch)),
                None => self.rest.next().await,
            }
        })
    }
}

impl Table {
    fn link(&mut self, at: usize, key: &[Value]) {
        let (number, new) = self.keys.intern(key);
        if new {
            self.heads.push(END);
        }
        self.next[at] = self.heads[number];
        self.heads[number] = at as u32;
    }
}

fn concat(left: &[Value], right: &[Value]) -> Row {
    let mut row = Row::with_capacity(left.len() + right.len());
    row.extend_from_slice(left);
    row.extend_from_slice(right);
    row
}

impl RowSource for HashJoin {
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<RowBatch>>> {
        Box::pin(self.batch())
    }
}
