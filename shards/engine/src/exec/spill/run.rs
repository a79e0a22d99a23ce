//! Runs: rows written one after the other, and read in the same order.
//!
//! A run is a stream of bytes over linked blocks: for each row its length in 4 bytes, which never straddle two blocks, and
//! the row as `codec::tagged` has it, which may. Owns: the buffers of a run's writer and readers.
//! Bounds: one block each, and the length of a row that needs more than one.

use super::block::{HEAD, Space, damaged};
use crate::codec::tagged;
use crate::exec::memory::Reservation;
use runtime::{IoBuf, ReadBuf};
use types::row::row_bytes;
use types::{Error, Result, Row, SqlState};

const PREFIX: usize = 4;

/// Rows on disk.
pub(crate) struct Run {
    space: Space,
    first: Option<u32>,
    rows: u64,
    bytes: u64,
    row_bytes_max: usize,
}

/// A run being written.
pub(crate) struct Writer {
    space: Space,
    memory: Reservation,
    first: Option<u32>,
    /// The block that `buf` will be.
    block: u32,
    buf: IoBuf,
    /// Bytes of `buf` in use, its head among them. 0: there is no buffer yet.
    filled: usize,
    row: Vec<u8>,
    rows: u64,
    bytes: u64,
    row_bytes_max: usize,
}

impl Writer {
    pub(crate) fn new(space: &Space) -> Writer {
        Writer {
            space: space.clone(),
            memory: space.consumer(),
            first: None,
            block: 0,
            buf: IoBuf::zeroed(0),
            filled: 0,
            row: Vec::new(),
            rows: 0,
            bytes: 0,
            row_bytes_max: 0,
        }
    }

    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    pub(crate) async fn push(&mut self, row: &Row) -> Result<()> {
        self.row.clear();
        tagged::encode(row, &mut self.row);
        let len = u32::try_from(self.row.len()).map_err(|_| too_long())?;
        if self.filled == 0 {
            self.begin()?;
        }
        let block = self.space.block_bytes();
        self.memory.set(block + self.row.capacity())?;
        if block - self.filled < PREFIX {
            self.next_block().await?;
        }
        self.append(&len.to_le_bytes());
        let mut done = 0;
        while done < self.row.len() {
            if self.filled == block {
                self.next_block().await?;
            }
            let part = (self.row.len() - done).min(block - self.filled);
            let end = self.filled + part;
            self.buf[self.filled..end].copy_from_slice(&self.row[done..done + part]);
            self.filled = end;
            done += part;
        }
        if self.row.capacity() > block {
            self.row = Vec::new();
            self.memory.set(block)?;
        }
        self.rows += 1;
        self.bytes += u64::from(len);
        self.row_bytes_max = self.row_bytes_max.max(row_bytes(row));
        Ok(())
    }

    fn begin(&mut self) -> Result<()> {
        let bytes = self.space.block_bytes();
        self.memory.set(bytes)?;
        self.buf = IoBuf::zeroed(bytes);
        self.filled = HEAD;
        self.block = self.space.allocate()?;
        self.first = Some(self.block);
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) {
        let end = self.filled + bytes.len();
        self.buf[self.filled..end].copy_from_slice(bytes);
        self.filled = end;
    }

    async fn next_block(&mut self) -> Result<()> {
        let next = self.space.allocate()?;
        let buf = std::mem::replace(&mut self.buf, IoBuf::zeroed(0));
        let used = self.filled - HEAD;
        self.buf = self.space.write(self.block, buf, used, Some(next)).await?;
        self.block = next;
        self.filled = HEAD;
        Ok(())
    }

    pub(crate) async fn finish(self) -> Result<Run> {
        if self.filled > 0 {
            let used = self.filled - HEAD;
            self.space.write(self.block, self.buf, used, None).await?;
        }
        Ok(Run {
            space: self.space,
            first: self.first,
            rows: self.rows,
            bytes: self.bytes,
            row_bytes_max: self.row_bytes_max,
        })
    }
}

fn too_long() -> Error {
    Error::new(
        SqlState::PROGRAM_LIMIT_EXCEEDED,
        "a row of 4 GiB cannot be put into a temporary file",
    )
}

impl Run {
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// What its largest row takes in memory.
    pub(crate) fn row_bytes_max(&self) -> usize {
        self.row_bytes_max
    }

    /// Reads it for the last time: blocks become free as they are passed.
    pub(crate) fn drain(self) -> Reader {
        self.reader(true)
    }

    /// Reads it once, and leaves it.
    pub(crate) fn read(&self) -> Reader {
        self.reader(false)
    }

    fn reader(&self, drains: bool) -> Reader {
        Reader {
            memory: self.space.consumer(),
            space: self.space.clone(),
            drains,
            rows_left: self.rows,
            bytes_left: self.bytes,
            block: None,
            next: self.first,
            buf: ReadBuf::default(),
            at: 0,
            end: 0,
            row: Vec::new(),
        }
    }
}

/// The rows of a run, in the order they were written.
pub(crate) struct Reader {
    space: Space,
    memory: Reservation,
    drains: bool,
    rows_left: u64,
    bytes_left: u64,
    /// The block in `buf`, and the one after it.
    block: Option<u32>,
    next: Option<u32>,
    buf: ReadBuf,
    at: usize,
    end: usize,
    /// A row that straddles blocks.
    row: Vec<u8>,
}

impl Reader {
    pub(crate) async fn next(&mut self) -> Result<Option<Row>> {
        if self.rows_left == 0 {
            self.leave();
            self.memory.set(0)?;
            return Ok(None);
        }
        if self.end - self.at < PREFIX {
            self.refill().await?;
        }
        let prefix = self.buf[self.at..self.end].first_chunk().copied();
        let len = u32::from_le_bytes(prefix.ok_or_else(damaged)?) as usize;
        self.at += PREFIX;
        self.rows_left -= 1;
        let left = self.bytes_left.checked_sub(len as u64);
        self.bytes_left = left.ok_or_else(damaged)?;
        if len <= self.end - self.at {
            let from = self.at;
            self.at += len;
            return tagged::decode(&self.buf[from..self.at]).map(Some);
        }
        self.straddling(len).await.map(Some)
    }

    async fn straddling(&mut self, len: usize) -> Result<Row> {
        let block = self.space.block_bytes();
        self.memory.set(block + len)?;
        let mut bytes = std::mem::take(&mut self.row);
        bytes.clear();
        bytes.reserve_exact(len);
        loop {
            let part = (len - bytes.len()).min(self.end - self.at);
            bytes.extend_from_slice(&self.buf[self.at..self.at + part]);
            self.at += part;
            if bytes.len() == len {
                break;
            }
            self.refill().await?;
        }
        let row = tagged::decode(&bytes);
        if len <= block {
            self.row = bytes;
        } else {
            drop(bytes);
            self.memory.set(block)?;
        }
        row
    }

    async fn refill(&mut self) -> Result<()> {
        self.leave();
        let next = self.next.ok_or_else(damaged)?;
        if self.memory.bytes() == 0 {
            self.memory.grow(self.space.block_bytes())?;
        }
        let (buf, used, after) = self.space.read(next).await?;
        self.buf = buf;
        (self.at, self.end) = (HEAD, HEAD + used);
        self.block = Some(next);
        self.next = after;
        Ok(())
    }

    /// Done with the block at hand.
    fn leave(&mut self) {
        self.buf = ReadBuf::default();
        (self.at, self.end) = (0, 0);
        if let Some(block) = self.block.take()
            && self.drains
        {
            self.space.release(block);
        }
    }
}
