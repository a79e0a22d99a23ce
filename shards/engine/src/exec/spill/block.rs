//! One operator's temporary file as blocks that are linked into runs.
//!
//! ```text
//! | checksum of the rest: 8 | next block: 4 (all ones = none) | bytes used: 4 | used bytes … |      little endian
//! ```
//!
//! Owns: which blocks are free. A block that has been read for the last time is written again, so that merging needs no
//! second copy of everything. Never: trusts what it reads: checksum, link and length are checked, XX001 otherwise.
//! Bounds: a block has 4 to 128 KiB, by the operator's memory. The list of free blocks counts in that; a block that finds
//! no room in it is not used again.

use crate::exec::memory::{Memory, Reservation};
use runtime::{IoBuf, ReadBuf, TempDir, TempFile};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use types::{Error, Result, SqlState};
use xxhash_rust::xxh3::xxh3_64;

/// Alignment of direct I/O, and the least block.
const ALIGN: usize = 4096;
const BLOCK_BYTES_MAX: usize = 128 << 10;
/// A block is this part of what the operator may keep: enough of them fit to merge or partition widely.
const BLOCKS_KEPT: usize = 256;

pub(super) const HEAD: usize = 16;
const NONE: u32 = u32::MAX;

/// Cheap to clone; the file goes with the last clone.
#[derive(Clone)]
pub(crate) struct Space(Rc<Inner>);

struct Inner {
    file: TempFile,
    memory: Memory,
    operator: &'static str,
    block_bytes: usize,
    /// Blocks the file has.
    made: Cell<u32>,
    free: RefCell<Vec<u32>>,
    listed: RefCell<Reservation>,
    /// For the copy that a transfer makes.
    _transfer: Reservation,
}

impl Space {
    pub(crate) async fn open(
        temp: &TempDir,
        memory: &Memory,
        operator: &'static str,
    ) -> Result<Space> {
        let block_bytes = block_bytes(memory.work_bytes());
        let transfer = memory.reserve(operator, block_bytes)?;
        Ok(Space(Rc::new(Inner {
            file: temp.create().await?,
            memory: memory.clone(),
            operator,
            block_bytes,
            made: Cell::new(0),
            free: RefCell::default(),
            listed: RefCell::new(memory.consumer(operator)),
            _transfer: transfer,
        })))
    }

    pub(crate) fn block_bytes(&self) -> usize {
        self.0.block_bytes
    }

    pub(crate) fn memory(&self) -> &Memory {
        &self.0.memory
    }

    pub(super) fn consumer(&self) -> Reservation {
        self.0.memory.consumer(self.0.operator)
    }

    /// The number of a block to write.
    pub(super) fn allocate(&self) -> Result<u32> {
        if let Some(block) = self.0.free.borrow_mut().pop() {
            return Ok(block);
        }
        let block = self.0.made.get();
        if block == NONE {
            return Err(Error::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                "a temporary file cannot have more blocks",
            ));
        }
        self.0.made.set(block + 1);
        Ok(block)
    }

    /// The block may be written again.
    pub(super) fn release(&self, block: u32) {
        let mut free = self.0.free.borrow_mut();
        let full = free.len() == free.capacity();
        let more = free.capacity().max(64);
        if !full || self.0.listed.borrow_mut().grow(more * 4).is_ok() {
            if full {
                free.reserve_exact(more);
            }
            free.push(block);
        }
    }

    /// Writes a block of `used` bytes after its head. Gives the buffer back unless it was the last of its run.
    pub(super) async fn write(
        &self,
        block: u32,
        mut buf: IoBuf,
        used: usize,
        next: Option<u32>,
    ) -> Result<IoBuf> {
        let end = HEAD + used;
        buf[8..12].copy_from_slice(&next.unwrap_or(NONE).to_le_bytes());
        buf[12..16].copy_from_slice(&(used as u32).to_le_bytes());
        let sum = xxh3_64(&buf[8..end]);
        buf[..8].copy_from_slice(&sum.to_le_bytes());
        if next.is_none() {
            buf.truncate(end.next_multiple_of(ALIGN));
        }
        let pos = u64::from(block) * self.0.block_bytes as u64;
        Ok(self.0.file.write_at(pos, buf).await?)
    }

    /// The block, how many bytes of it are used after its head, and the next one of its run.
    pub(super) async fn read(&self, block: u32) -> Result<(ReadBuf, usize, Option<u32>)> {
        let pos = u64::from(block) * self.0.block_bytes as u64;
        let buf = self.0.file.read_at(pos, self.0.block_bytes).await?.keep();
        let (used, next) = head(&buf).ok_or_else(damaged)?;
        if next != NONE && next >= self.0.made.get() {
            return Err(damaged());
        }
        Ok((buf, used, (next != NONE).then_some(next)))
    }
}

/// Bytes used and the next block, if all of it is as it was written.
fn head(buf: &[u8]) -> Option<(usize, u32)> {
    let sum = u64::from_le_bytes(*buf.first_chunk()?);
    let next = u32::from_le_bytes(*buf.get(8..)?.first_chunk()?);
    let used = u32::from_le_bytes(*buf.get(12..)?.first_chunk()?) as usize;
    let rest = buf.get(8..HEAD.checked_add(used)?)?;
    (xxh3_64(rest) == sum).then_some((used, next))
}

pub(super) fn damaged() -> Error {
    Error::new(
        SqlState::DATA_CORRUPTED,
        "a temporary file did not give back what was written to it",
    )
}

fn block_bytes(work_bytes: usize) -> usize {
    let share = work_bytes / BLOCKS_KEPT;
    (share - share % ALIGN).clamp(ALIGN, BLOCK_BYTES_MAX)
}
