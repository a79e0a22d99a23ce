//! The write-ahead log of one partition.
//!
//! Owns: the positions (end, durable), the bytes not yet on disk, the segments, and the one task that flushes them.
//! Asked by: the store. Never: knows what a payload means; never writes after a failed write or fsync.
//! Group commit: whoever needs a position durable says so and waits; the flusher writes all that is there and calls
//! fdatasync once for all. While it does, the next group gathers: there is no delay to tune.
//! Segments are a chain: each names the one before it and the checksum of its last record.
//! A log position is `segment start + offset in file - 4096`. Each start of the program begins a new segment; those
//! wholly below the redo position are deleted by a checkpoint, or kept as the spare one.
//! Bounds: `admit` holds writers back at `wal_buffer_bytes`; a record may exceed it alone.
//! Source: DeWitt et al. 1984 (group commit); Gray and Reuter 1992, chapter 9.

mod archive;
mod copy;
mod flush;
pub(crate) mod record;
pub mod replay;
mod spare;

pub use archive::ArchiveStats;

use crate::error::StorageError;
use crate::fence::Fence;
use crate::options::Options;
use archive::Archive;
use record::{FIRST_LSN, HEADER, Link, RECORD_BYTES_MAX, SEGMENT_HEADER};
use runtime::{Dir, Notify, Task};
use spare::Spare;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;
use types::Lsn;

/// Where a record lies: `durable(end)` means that it is on disk, replay from `start` begins with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Appended {
    pub start: Lsn,
    pub end: Lsn,
}

/// The bytes of one segment that are still in memory.
struct Chunk {
    /// The segment's first position.
    start: u64,
    /// Offset in the file of `bytes[0]`: a multiple of 4096.
    base: u64,
    /// From the last block boundary that is wholly durable to the segment's end.
    bytes: Vec<u8>,
    /// This many of `bytes` are on disk.
    durable: usize,
}

impl Chunk {
    fn new(store: u64, start: u64, before: Option<Link>) -> Chunk {
        Chunk {
            start,
            base: 0,
            bytes: record::segment_header(store, Lsn(start), before),
            durable: 0,
        }
    }

    /// Position behind the first `n` bytes.
    fn lsn_at(&self, n: usize) -> u64 {
        (self.start + self.base + n as u64).saturating_sub(SEGMENT_HEADER as u64)
    }
}

struct Buffer {
    /// The last one is being appended to. Empty until the log has been replayed.
    chunks: VecDeque<Chunk>,
    /// First positions of the segments that exist, ascending.
    segments: VecDeque<u64>,
    end: u64,
    /// The checksum of the last record, if it is known.
    last: Option<u32>,
    durable: u64,
    /// Somebody waits for this position.
    wanted: u64,
    /// The next record begins a segment.
    switch: bool,
    closing: bool,
}

/// Plain counters, gathered by `Store::stats`.
#[derive(Default)]
pub(crate) struct WalCounters {
    pub appends: Cell<u64>,
    pub bytes: Cell<u64>,
    pub written: Cell<u64>,
    pub fsyncs: Cell<u64>,
    pub fsync_ns: Cell<u64>,
    pub fsync_ns_max: Cell<u64>,
}

pub(crate) struct Wal {
    dir: Dir,
    pub store: u64,
    segment_bytes: u64,
    buffer_bytes: usize,
    /// Bytes behind the end that stay.
    keep_bytes: u64,
    new_history: bool,
    fence: Rc<Fence>,
    archive: Archive,
    /// Nothing from here on is deleted: a backup copies it.
    held: Cell<u64>,
    buffer: RefCell<Buffer>,
    /// The flusher has something to do.
    work: Notify,
    /// `durable` moved, or never will again.
    moved: Notify,
    flusher: RefCell<Option<Task<()>>>,
    spare: Cell<Spare>,
    /// The open segment's blocks were reserved and not written before: flushes into it.
    raw: Cell<Option<u32>>,
    preparing: RefCell<Option<Task<()>>>,
    pub counters: WalCounters,
}

impl Wal {
    pub fn new(dir: Dir, store: u64, options: &Options, fence: Rc<Fence>) -> Rc<Wal> {
        Rc::new(Wal {
            dir,
            store,
            segment_bytes: options.segment_bytes(),
            buffer_bytes: options.wal_buffer_bytes,
            keep_bytes: options.wal_keep_bytes,
            new_history: options.new_history,
            fence,
            archive: Archive::new(options.archive.clone()),
            held: Cell::new(u64::MAX),
            buffer: RefCell::new(Buffer {
                chunks: VecDeque::new(),
                segments: VecDeque::new(),
                end: FIRST_LSN,
                last: None,
                durable: FIRST_LSN,
                wanted: 0,
                switch: false,
                closing: false,
            }),
            work: Notify::new(),
            moved: Notify::new(),
            flusher: RefCell::new(None),
            spare: Cell::new(Spare::None),
            raw: Cell::new(None),
            preparing: RefCell::new(None),
            counters: WalCounters::default(),
        })
    }

    /// Starts appending at `end`, in a segment of its own. `last` is the checksum of the record before, if it is known.
    fn begin(self: &Rc<Self>, end: u64, last: Option<u32>, segments: VecDeque<u64>, spare: bool) {
        let mut buffer = self.buffer.borrow_mut();
        buffer.end = end;
        buffer.last = last;
        buffer.durable = end;
        buffer.segments = segments;
        drop(buffer);
        self.spare_has_come(spare);
        let wal = self.clone();
        *self.flusher.borrow_mut() = Some(runtime::spawn(wal.flush_loop()));
        self.start_archiver();
    }

    pub fn end(&self) -> u64 {
        self.buffer.borrow().end
    }

    pub fn durable_end(&self) -> u64 {
        self.buffer.borrow().durable
    }

    pub fn is_ready(&self) -> bool {
        self.flusher.borrow().is_some()
    }

    pub fn append(&self, payload: &[u8]) -> Result<Appended, StorageError> {
        self.fence.check()?;
        if payload.len() > RECORD_BYTES_MAX {
            return Err(StorageError::RecordTooLong {
                bytes: payload.len(),
                max: RECORD_BYTES_MAX,
            });
        }
        let mut buffer = self.buffer.borrow_mut();
        if buffer.closing {
            return Err(StorageError::Closed);
        }
        if !self.is_ready() {
            return Err(StorageError::NotReplayed);
        }
        let need = (HEADER + payload.len()) as u64;
        let (start, durable) = (buffer.end, buffer.durable);
        let fits = buffer.chunks.back().is_some_and(|c| {
            let filled = start - c.start;
            filled == 0 || (!buffer.switch && filled + need <= self.segment_bytes)
        });
        if !fits {
            buffer.switch = false;
            let link = |before: &u64, checksum| Link {
                start: Lsn(*before),
                checksum,
            };
            let before = buffer.segments.back().zip(buffer.last);
            let before = before.map(|(before, checksum)| link(before, checksum));
            buffer
                .chunks
                .push_back(Chunk::new(self.store, start, before));
            buffer.segments.push_back(start);
        }
        if let Some(chunk) = buffer.chunks.back_mut() {
            let sum = record::encode(self.store, start, durable, payload, &mut chunk.bytes);
            buffer.last = Some(sum);
        }
        buffer.end += need;
        if buffer.end - buffer.durable > self.buffer_bytes as u64 / 2 {
            self.work.notify_one();
        }
        self.counters.appends.set(self.counters.appends.get() + 1);
        self.counters.bytes.set(self.counters.bytes.get() + need);
        Ok(Appended {
            start: Lsn(start),
            end: Lsn(buffer.end),
        })
    }

    /// Waits until a record of `bytes` fits the buffer, or nothing else is in it.
    pub async fn admit(&self, bytes: usize) -> Result<(), StorageError> {
        loop {
            self.fence.check()?;
            if self.has_room(bytes) {
                return Ok(());
            }
            let moved = self.moved.notified();
            self.want(self.end());
            moved.await;
        }
    }

    /// Whether such a record fits now.
    pub fn has_room(&self, bytes: usize) -> bool {
        let buffer = self.buffer.borrow();
        let waiting = buffer.end - buffer.durable;
        waiting == 0 || waiting + bytes as u64 <= self.buffer_bytes as u64
    }

    fn want(&self, lsn: u64) {
        let mut buffer = self.buffer.borrow_mut();
        if lsn > buffer.wanted {
            buffer.wanted = lsn;
        }
        self.work.notify_one();
    }

    /// Waits until everything before `lsn` is on disk.
    pub async fn durable(&self, lsn: Lsn) -> Result<(), StorageError> {
        loop {
            let moved = {
                let buffer = self.buffer.borrow();
                debug_assert!(lsn.0 <= buffer.end, "position {lsn} was never appended");
                if lsn.0.min(buffer.end) <= buffer.durable {
                    return Ok(());
                }
                self.moved.notified()
            };
            self.fence.check()?;
            self.want(lsn.0.min(self.end()));
            moved.await;
        }
    }

    /// As `durable`, for what nobody waits for: it goes along with what others want, or alone after `most`.
    pub async fn durable_within(&self, lsn: Lsn, most: Duration) -> Result<(), StorageError> {
        let began = runtime::Instant::now();
        loop {
            let moved = self.moved.notified();
            if lsn.0 <= self.durable_end() {
                return Ok(());
            }
            self.fence.check()?;
            let left = most.saturating_sub(began.elapsed());
            if left.is_zero() || runtime::timeout(left, moved).await.is_err() {
                return self.durable(lsn).await;
            }
        }
    }

    /// Flushes what is there and ends the flusher.
    pub async fn close(&self) -> Result<(), StorageError> {
        self.buffer.borrow_mut().closing = true;
        let task = self.flusher.borrow_mut().take();
        if let Some(task) = task {
            self.work.notify_one();
            task.await;
        }
        drop(self.preparing.borrow_mut().take());
        self.archive.end();
        self.moved.notify_all();
        self.fence.check()
    }

    /// Ends the flusher at once; what is not on disk yet stays so.
    pub fn abandon(&self) {
        drop(self.flusher.borrow_mut().take());
        drop(self.preparing.borrow_mut().take());
        self.archive.end();
    }

    /// Deletes the segments wholly below `redo`, but never the last one that has a durable record, nor what is held, to be
    /// kept or not archived yet.
    pub async fn delete_below(&self, redo: Lsn) -> Result<(), StorageError> {
        let mut gone = Vec::new();
        let kept = self.end().saturating_sub(self.keep_bytes);
        let redo = (redo.0.min(kept))
            .min(self.held.get())
            .min(self.archive.reached());
        {
            let mut buffer = self.buffer.borrow_mut();
            while let Some(next) = buffer.segments.get(1).copied()
                && next <= redo
                && next < buffer.durable
            {
                gone.extend(buffer.segments.pop_front().map(|start| (start, next)));
            }
        }
        for (start, next) in &gone {
            self.retire(*start, *next).await?;
        }
        if !gone.is_empty() {
            self.dir
                .sync()
                .await
                .map_err(|e| StorageError::io("sync the directory", e))?;
        }
        Ok(())
    }
}
