//! Reading the log back after a start.
//!
//! Owns: the walk from the redo position to the end, the decision what the end is, and the cleaning behind it.
//! The first bad record is the torn end of the last flush, unless something proves that it was durable once: the
//! checkpoint's own word, a later record that knew it, or a later segment. Then it is damage, and nothing is changed.
//! Behind the end everything is cut off, so that no bytes of a lost group can ever line up with new records.
//! Asked by: the engine, once. Never: keeps more than a window and one record in memory.
//! Bounds: windows of 256 KiB; a record's length is believed only within its segment.

use super::Wal;
use super::record::{self, HEADER, SEGMENT_HEADER};
use crate::error::StorageError;
use crate::page::PAGE_BYTES;
use runtime::{Dir, File, IoBuf, OpenMode, ReadBuf};
use std::rc::Rc;
use types::Lsn;

const WINDOW: usize = 256 * 1024;

/// The log's records from the checkpoint's redo position on. Nothing can be appended before it has come to its end.
pub struct Replay {
    wal: Rc<Wal>,
    segments: Vec<u64>,
    /// Index of the segment being read.
    at: usize,
    reader: Option<Reader>,
    position: u64,
    /// The checksum of the record before it.
    last: Option<u32>,
    /// The checkpoint knew the log durable up to here.
    known: u64,
    done: bool,
    /// What lies behind the end is left alone, and nothing can be appended.
    read_only: bool,
}

enum Found {
    Record(Vec<u8>, u32),
    /// No whole record here.
    Nothing,
}

impl Replay {
    pub(crate) async fn begin(
        wal: &Rc<Wal>,
        redo: Lsn,
        known: Lsn,
    ) -> Result<Replay, StorageError> {
        let segments = segments(&wal.dir).await?;
        let at = segments.partition_point(|s| *s <= redo.0);
        if at == 0 && (!segments.is_empty() || known.0 != record::FIRST_LSN) {
            return Err(StorageError::wal(
                redo,
                "the segment to begin with is missing",
            ));
        }
        Ok(Replay {
            wal: wal.clone(),
            segments,
            at: at.saturating_sub(1),
            reader: None,
            position: redo.0,
            last: None,
            known: known.0,
            done: false,
            read_only: false,
        })
    }

    /// Where the next record would be. After the last one: the log's end.
    pub fn position(&self) -> Lsn {
        Lsn(self.position)
    }

    /// For looking only.
    pub(crate) fn read_only(mut self) -> Replay {
        self.read_only = true;
        self
    }

    /// The next record with the position of its first byte. `None` at the end: from then on the log can be appended to.
    pub async fn next(&mut self) -> Result<Option<(Lsn, Vec<u8>)>, StorageError> {
        if self.done {
            return Ok(None);
        }
        if self.segments.get(self.at + 1) == Some(&self.position) && self.enter_next().await? {
            self.at += 1;
        }
        match self.read(self.position).await? {
            Found::Record(payload, checksum) => {
                let start = self.position;
                self.last = Some(checksum);
                self.position += (HEADER + payload.len()) as u64;
                Ok(Some((Lsn(start), payload)))
            }
            Found::Nothing => {
                self.finish().await?;
                self.done = true;
                Ok(None)
            }
        }
    }

    /// The record at a position that `next` has named, once more.
    pub async fn again(&self, at: Lsn) -> Result<Vec<u8>, StorageError> {
        let after = self.segments.partition_point(|s| *s <= at.0);
        let missing = || StorageError::wal(at, "the record was there and is gone");
        let start = self.segments[..after].last().ok_or_else(missing)?;
        let mut reader = Reader::open(&self.wal.dir, *start).await?;
        match reader.record(self.wal.store, at.0).await? {
            Found::Record(payload, _) => Ok(payload),
            Found::Nothing => Err(missing()),
        }
    }

    /// Opens the next segment. False when its first block is not one: it was being created.
    async fn enter_next(&mut self) -> Result<bool, StorageError> {
        let start = self.segments[self.at + 1];
        let mut reader = Reader::open(&self.wal.dir, start).await?;
        if !reader.is_segment(self.wal.store).await? {
            return Ok(false);
        }
        if let Some(link) = reader.before
            && (link.start.0 != self.segments[self.at]
                || self.last.is_some_and(|last| last != link.checksum))
        {
            let detail = "the segment does not go on from the one before it";
            return Err(StorageError::wal(Lsn(start), detail));
        }
        self.reader = Some(reader);
        Ok(true)
    }

    async fn read(&mut self, lsn: u64) -> Result<Found, StorageError> {
        let Some(start) = self.segments.get(self.at).copied() else {
            return Ok(Found::Nothing);
        };
        let reader = match &mut self.reader {
            Some(reader) => reader,
            empty => {
                let mut reader = Reader::open(&self.wal.dir, start).await?;
                if !reader.is_segment(self.wal.store).await? {
                    if lsn > start || self.known > start {
                        return Err(StorageError::wal(Lsn(start), "not a log segment"));
                    }
                    return Ok(Found::Nothing);
                }
                empty.insert(reader)
            }
        };
        reader.record(self.wal.store, lsn).await
    }

    async fn finish(&mut self) -> Result<(), StorageError> {
        let end = self.position;
        if end < self.known {
            return Err(StorageError::wal(
                Lsn(end),
                format!(
                    "bad record, but the log was durable up to {:#x}",
                    self.known
                ),
            ));
        }
        for start in self.segments.iter().skip(self.at + 1) {
            let mut reader = Reader::open(&self.wal.dir, *start).await?;
            if reader.is_segment(self.wal.store).await?
                && let Found::Record(..) = reader.record(self.wal.store, *start).await?
            {
                let detail = format!("bad record, but the segment at {start:#x} was begun");
                return Err(StorageError::wal(Lsn(end), detail));
            }
        }
        if let Some(reader) = &mut self.reader
            && let Some(later) = reader.witness(self.wal.store, end).await?
        {
            let detail = format!("bad record, but the one at {later:#x} knew it durable");
            return Err(StorageError::wal(Lsn(end), detail));
        }
        match self.read_only {
            true => Ok(()),
            false => self.clean(end).await,
        }
    }

    /// Cuts the log at `end` and lets it go on from there.
    async fn clean(&mut self, end: u64) -> Result<(), StorageError> {
        let dir = &self.wal.dir;
        let mut keep = self.segments.clone();
        match self.reader.take() {
            // A segment without a record goes too: the next one would have its name.
            Some(reader) if reader.start < end => {
                keep.truncate(self.at + 1);
                reader.cut(end).await?;
            }
            _ => keep.truncate(self.at),
        }
        for start in &self.segments[keep.len()..] {
            let name = record::segment_name(Lsn(*start));
            dir.remove(&name)
                .await
                .map_err(|e| StorageError::io(format!("delete {name}"), e))?;
        }
        dir.sync()
            .await
            .map_err(|e| StorageError::io("sync the directory", e))?;
        let spare = dir
            .exists(super::spare::SPARE)
            .await
            .map_err(|e| StorageError::io("look for a spare segment", e))?;
        // What `again` may still be asked for goes with the next checkpoint.
        let begin = match self.wal.new_history {
            true => record::after_history(end),
            false => end,
        };
        let last = self.last.filter(|_| !self.wal.new_history);
        self.wal.begin(begin, last, keep.into(), spare);
        Ok(())
    }
}

/// First positions of the segments in a directory, ascending.
pub(crate) async fn segments(dir: &Dir) -> Result<Vec<u64>, StorageError> {
    let names = dir
        .list()
        .await
        .map_err(|e| StorageError::io("list the directory", e))?;
    let mut found: Vec<u64> = names
        .iter()
        .filter_map(|n| record::segment_start(n))
        .map(|lsn| lsn.0)
        .collect();
    found.sort_unstable();
    Ok(found)
}

/// One segment, read through a window.
struct Reader {
    name: String,
    file: File,
    start: u64,
    /// What its first block says of the segment before.
    before: Option<record::Link>,
    size: u64,
    window: ReadBuf,
    window_at: u64,
}

impl Reader {
    async fn open(dir: &Dir, start: u64) -> Result<Reader, StorageError> {
        let name = record::segment_name(Lsn(start));
        let mode = OpenMode {
            create: false,
            truncate: false,
            direct: true,
        };
        let io = |e| StorageError::io(format!("open {name}"), e);
        let file = dir.open_file(&name, mode).await.map_err(io)?;
        let size = file.size().await.map_err(io)?;
        Ok(Reader {
            name,
            file,
            start,
            before: None,
            size,
            window: ReadBuf::default(),
            window_at: 0,
        })
    }

    fn offset(&self, lsn: u64) -> u64 {
        lsn - self.start + SEGMENT_HEADER as u64
    }

    async fn is_segment(&mut self, store: u64) -> Result<bool, StorageError> {
        let mut block = Vec::new();
        self.read(0, SEGMENT_HEADER, &mut block).await?;
        match record::parse_segment_header(&block) {
            Some((other, ..)) if other != store => Err(StorageError::wal(
                Lsn(self.start),
                "a log segment of another store",
            )),
            Some((_, start, before)) => {
                self.before = before;
                Ok(start.0 == self.start)
            }
            None => Ok(false),
        }
    }

    /// Moves the window to cover `need` bytes at `at`, as far as the file has them.
    async fn slide(&mut self, at: u64, need: usize) -> Result<(), StorageError> {
        let end = self.window_at + self.window.len() as u64;
        if at >= self.window_at && at < end && (at + need as u64 <= end || end >= self.size) {
            return Ok(());
        }
        let from = at / PAGE_BYTES as u64 * PAGE_BYTES as u64;
        self.window = ReadBuf::default();
        let read = self.file.read_at(from, WINDOW).await;
        let read = read.map_err(|e| StorageError::io(format!("read {}", self.name), e))?;
        // One a partition, at the start: replaying what is in it reads pages.
        self.window = read.keep();
        self.window_at = from;
        Ok(())
    }

    /// Appends up to `len` bytes from offset `at` to `out`; fewer at the end of the file.
    async fn read(
        &mut self,
        mut at: u64,
        len: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), StorageError> {
        let wanted = out.len() + len;
        while out.len() < wanted && at < self.size {
            self.slide(at, 1).await?;
            let skip = (at - self.window_at) as usize;
            let Some(there) = self.window.get(skip..).filter(|w| !w.is_empty()) else {
                break;
            };
            let n = there.len().min(wanted - out.len());
            out.extend_from_slice(&there[..n]);
            at += n as u64;
        }
        Ok(())
    }

    async fn record(&mut self, store: u64, lsn: u64) -> Result<Found, StorageError> {
        let at = self.offset(lsn);
        let mut head = Vec::with_capacity(HEADER);
        self.read(at, HEADER, &mut head).await?;
        let Some(frame) = record::frame(&head, lsn) else {
            return Ok(Found::Nothing);
        };
        let body = at + HEADER as u64;
        if body + frame.payload as u64 > self.size {
            return Ok(Found::Nothing);
        }
        let mut payload = Vec::with_capacity(frame.payload);
        self.read(body, frame.payload, &mut payload).await?;
        Ok(if frame.check(store, &payload) {
            Found::Record(payload, frame.checksum())
        } else {
            Found::Nothing
        })
    }

    /// Looks behind a bad record at `bad` for a whole one that was appended when `bad` was durable.
    async fn witness(&mut self, store: u64, bad: u64) -> Result<Option<u64>, StorageError> {
        let mut at = self.offset(bad) + 1;
        while at + HEADER as u64 <= self.size {
            self.slide(at, HEADER).await?;
            let skip = (at - self.window_at) as usize;
            let there = self.window.get(skip..).unwrap_or(&[]);
            let whole = there.len().saturating_sub(HEADER - 1);
            let first = lsn_of(self.start, at);
            let hit = match there.iter().all(|b| *b == 0) {
                true => None,
                false => (0..whole)
                    .map(|i| (i, first + i as u64))
                    .find(|(i, lsn)| there[i + 8..i + 16] == lsn.to_le_bytes()),
            };
            let Some((i, lsn)) = hit else {
                if whole == 0 {
                    return Ok(None);
                }
                at += whole as u64;
                continue;
            };
            let knew = record::frame(&there[i..], lsn).is_some_and(|f| f.durable > bad);
            if knew && let Found::Record(..) = self.record(store, lsn).await? {
                return Ok(Some(lsn));
            }
            at += i as u64 + 1;
        }
        Ok(None)
    }

    /// Zeros and cuts everything at and behind `end`.
    async fn cut(mut self, end: u64) -> Result<(), StorageError> {
        let offset = self.offset(end);
        let base = offset / PAGE_BYTES as u64 * PAGE_BYTES as u64;
        let mut bytes = Vec::new();
        self.read(base, (offset - base) as usize, &mut bytes)
            .await?;
        let io = |e| StorageError::io(format!("cut {}", self.name), e);
        if bytes.is_empty() {
            self.file.truncate(base).await.map_err(io)?;
        } else {
            let mut block = IoBuf::take(PAGE_BYTES).await;
            block[..bytes.len()].copy_from_slice(&bytes);
            block[bytes.len()..].fill(0);
            let whole = base + PAGE_BYTES as u64;
            self.file.truncate(whole).await.map_err(io)?;
            self.file.write_at(base, block).await.map_err(io)?;
        }
        self.file.sync_data().await.map_err(io)?;
        self.file.close().await.map_err(io)
    }
}

fn lsn_of(start: u64, offset: u64) -> u64 {
    start + offset - SEGMENT_HEADER as u64
}
