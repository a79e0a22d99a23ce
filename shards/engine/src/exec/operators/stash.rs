//! Rows kept in the order they came, to be read again, as often as wanted and from any place.
//!
//! Owns: the rows: first in memory, what does not fit there in runs of `CHUNK_ROWS` in a temporary file. Asked by: the front, for
//! RETURNING, for changes in WITH, and for cursors. Never: changes a row. Bounds: in memory what one operator may keep of
//! the query's memory, one chunk in hand for each reader, and a few bytes a chunk for the list of chunks.

use super::{Exec, RowSource, is_full};
use crate::exec::memory::{Memory, Reservation, full};
use crate::exec::spill::{self, Run, Space, Writer};
use futures_util::future::LocalBoxFuture;
use runtime::TempDir;
use std::rc::Rc;
use types::row::row_bytes;
use types::{Error, Result, Row, RowBatch};

/// Rows of one run, and the most bytes of it but for its last row.
const CHUNK_ROWS: u64 = 512;
const CHUNK_BYTES: usize = 256 << 10;

pub struct Stash {
    name: &'static str,
    memory: Memory,
    temp: Option<TempDir>,
    rows: Vec<Row>,
    held: Reservation,
    space: Option<Space>,
    /// With the number of the first row of each.
    chunks: Vec<(u64, Run)>,
    listed: Reservation,
    writer: Option<Writer>,
    written: usize,
    len: u64,
    bytes: u64,
}

impl Stash {
    pub fn new(exec: &Exec, name: &'static str) -> Stash {
        Stash {
            name,
            memory: exec.memory.clone(),
            temp: exec.temp.clone(),
            rows: Vec::new(),
            held: exec.memory.consumer(name),
            space: None,
            chunks: Vec::new(),
            listed: exec.memory.consumer(name),
            writer: None,
            written: 0,
            len: 0,
            bytes: 0,
        }
    }

    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All of it is in memory.
    pub fn is_held(&self) -> bool {
        self.space.is_none()
    }

    pub async fn push(&mut self, row: Row) -> Result<()> {
        let bytes = row_bytes(&row);
        self.bytes += bytes as u64;
        if self.space.is_none() {
            if spill::keep(&mut self.held, bytes, self.temp.is_some())? {
                self.len += 1;
                self.rows.push(row);
                return Ok(());
            }
            let temp = self.temp.as_ref();
            let temp = temp.ok_or_else(|| full(self.name, self.memory.bytes_max()))?;
            self.space = Some(Space::open(temp, &self.memory, self.name).await?);
        }
        let Some(space) = &self.space else {
            return Err(super::lost());
        };
        let writer = self.writer.get_or_insert_with(|| Writer::new(space));
        writer.push(&row).await?;
        self.len += 1;
        self.written += bytes;
        if writer.rows() >= CHUNK_ROWS || self.written >= CHUNK_BYTES {
            self.seal().await?;
        }
        Ok(())
    }

    /// What has been pushed can be read from now on.
    pub async fn seal(&mut self) -> Result<()> {
        if let Some(writer) = self.writer.take() {
            let run = writer.finish().await?;
            self.listed.grow(size_of::<(u64, Run)>() * 2)?;
            self.chunks.push((self.len - run.rows(), run));
            self.written = 0;
        }
        Ok(())
    }

    /// Everything an operator gives.
    pub async fn fill(&mut self, source: &mut dyn RowSource) -> Result<()> {
        while let Some(batch) = source.next().await? {
            for row in batch.rows {
                self.push(row).await?;
            }
            runtime::yield_if_needed().await;
        }
        self.seal().await
    }

    /// The rows, if all are in memory; the stash is empty then.
    pub fn take_held(&mut self) -> Option<RowBatch> {
        self.is_held().then(|| {
            (self.len, self.bytes) = (0, 0);
            RowBatch::from(std::mem::take(&mut self.rows))
        })
    }

    /// The run of rows around number `at` that are at hand together, and the number of the first.
    async fn chunk(&self, at: u64) -> Result<(u64, Vec<Row>)> {
        let Some(n) = self
            .chunks
            .partition_point(|(first, _)| *first <= at)
            .checked_sub(1)
        else {
            return Err(Error::internal("a row that was never put aside"));
        };
        let (first, run) = &self.chunks[n];
        let mut reader = run.read();
        let mut rows = Vec::new();
        while let Some(row) = reader.next().await? {
            rows.push(row);
        }
        Ok((*first, rows))
    }
}

/// A place in a stash.
#[derive(Default)]
pub struct Place {
    first: u64,
    hand: Vec<Row>,
    held: Option<Reservation>,
}

impl Place {
    /// Row number `at`, if there is one. Only what is sealed is found.
    pub async fn row(&mut self, stash: &Stash, at: u64) -> Result<Option<Row>> {
        if let Some(row) = usize::try_from(at).ok().and_then(|at| stash.rows.get(at)) {
            return Ok(Some(row.clone()));
        }
        if at >= stash.len {
            return Ok(None);
        }
        let in_hand = |p: &Place| {
            let n = at
                .checked_sub(p.first)
                .and_then(|n| usize::try_from(n).ok());
            n.and_then(|n| p.hand.get(n)).cloned()
        };
        if let Some(row) = in_hand(self) {
            return Ok(Some(row));
        }
        self.hand = Vec::new();
        (self.first, self.hand) = stash.chunk(at).await?;
        let held = self
            .held
            .get_or_insert_with(|| stash.memory.consumer(stash.name));
        held.set(self.hand.iter().map(row_bytes).sum())?;
        Ok(in_hand(self))
    }
}

/// All rows of a sealed stash, from its beginning.
pub struct Stashed {
    stash: Rc<Stash>,
    place: Place,
    next: u64,
}

impl Stashed {
    pub fn new(stash: Rc<Stash>) -> Stashed {
        Stashed {
            stash,
            place: Place::default(),
            next: 0,
        }
    }

    async fn batch(&mut self) -> Result<Option<RowBatch>> {
        let mut batch = RowBatch::new();
        while !is_full(&batch)
            && let Some(row) = self.place.row(&self.stash, self.next).await?
        {
            self.next += 1;
            batch.push(row);
        }
        runtime::yield_if_needed().await;
        Ok((!batch.is_empty()).then_some(batch))
    }
}

impl RowSource for Stashed {
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<RowBatch>>> {
        Box::pin(self.batch())
    }
}
