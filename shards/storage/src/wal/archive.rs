//! The archive: a copy of every finished segment, made before a checkpoint may delete it.
//!
//! Owns: how far the log is archived, and the task that copies. A segment is finished when a later one has been begun, or
//! when `switch` has closed it. A copy is written aside, synced and renamed, so whatever has a segment's name in the archive
//! is whole. A segment of the archive is never written over: one of the same name must have the same bytes.
//! Asked by: the log. Never: fences the store: what cannot be archived stays in the log and is tried again.
//! Bounds: one segment at a time; the log grows for as long as the archive does not take it.

use super::copy::part;
use super::{Wal, record};
use crate::error::StorageError;
use record::SEGMENT_HEADER;
use runtime::{Dir, Notify, OpenMode, Task};
use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;
use types::Lsn;

/// Between two tries, and the longest that a finished segment is not noticed.
const RETRY: Duration = Duration::from_secs(1);

/// What the archive has taken. `waiting` is the bytes of log that are not in it yet.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct ArchiveStats {
    pub segments: u64,
    pub failures: u64,
    pub waiting: u64,
}

pub(super) struct Archive {
    to: Option<PathBuf>,
    /// Everything before this position is in the archive.
    reached: Cell<u64>,
    segments: Cell<u64>,
    failures: Cell<u64>,
    work: Notify,
    task: RefCell<Option<Task<()>>>,
}

impl Archive {
    pub fn new(to: Option<PathBuf>) -> Archive {
        Archive {
            to,
            reached: Cell::new(0),
            segments: Cell::new(0),
            failures: Cell::new(0),
            work: Notify::new(),
            task: RefCell::new(None),
        }
    }

    /// The log may be deleted up to here.
    pub fn reached(&self) -> u64 {
        match self.to {
            Some(_) => self.reached.get(),
            None => u64::MAX,
        }
    }

    pub fn end(&self) {
        drop(self.task.borrow_mut().take());
    }
}

impl Wal {
    /// Closes the segment that is being written: the next record begins another, and the archive may have this one.
    pub fn switch(&self) {
        self.buffer.borrow_mut().switch = true;
        self.archive.work.notify_one();
    }

    pub fn archive_stats(&self) -> ArchiveStats {
        // Without an archive `reached` is above everything.
        let begun = self.archive.reached().max(self.begins());
        ArchiveStats {
            segments: self.archive.segments.get(),
            failures: self.archive.failures.get(),
            waiting: self.durable_end().saturating_sub(begun),
        }
    }

    pub(super) fn start_archiver(self: &Rc<Self>) {
        let Some(path) = self.archive.to.clone() else {
            return;
        };
        let this = Rc::downgrade(self);
        let task = runtime::spawn_background(async move {
            loop {
                let Some(wal) = this.upgrade() else {
                    return;
                };
                if let Err(error) = wal.archive_all(&path).await {
                    wal.archive.failures.set(wal.archive.failures.get() + 1);
                    let path = path.display();
                    tracing::warn!(%error, %path, "log segment not archived; tried again");
                }
                let work = wal.archive.work.notified();
                let _ = runtime::timeout(RETRY, work).await;
                drop(wal);
            }
        });
        *self.archive.task.borrow_mut() = Some(task);
    }

    /// The first segment that is finished and not archived, and its end.
    fn to_archive(&self) -> Option<(u64, u64)> {
        let buffer = self.buffer.borrow();
        let at = buffer
            .segments
            .partition_point(|start| *start < self.archive.reached.get());
        let start = *buffer.segments.get(at)?;
        match buffer.segments.get(at + 1) {
            Some(next) if *next < buffer.durable => Some((start, *next)),
            Some(_) => None,
            None if buffer.switch && buffer.durable == buffer.end && start < buffer.end => {
                Some((start, buffer.end))
            }
            None => None,
        }
    }

    async fn archive_all(&self, path: &std::path::Path) -> Result<(), StorageError> {
        if self.to_archive().is_none() {
            return Ok(());
        }
        let io = |e| StorageError::io("open the archive", e);
        let dir = Dir::open_or_create(path).await.map_err(io)?;
        while let Some((start, end)) = self.to_archive() {
            let name = record::segment_name(Lsn(start));
            if dir.exists(&name).await.map_err(io)? {
                self.compare(start, end, &dir, &name).await?;
            } else {
                let aside = Dir::aside(&name);
                self.copy_segment(start, end, &dir, &aside).await?;
                let io = |e| StorageError::io(format!("name {name} in the archive"), e);
                dir.rename(&aside, &name).await.map_err(io)?;
                dir.sync().await.map_err(io)?;
                self.archive.segments.set(self.archive.segments.get() + 1);
            }
            self.archive.reached.set(end);
        }
        Ok(())
    }

    /// The archive's segment of this name must be the same: it was archived before the last restart.
    async fn compare(
        &self,
        start: u64,
        end: u64,
        dir: &Dir,
        name: &str,
    ) -> Result<(), StorageError> {
        let io = |e| StorageError::io(format!("compare {name} with the archive's"), e);
        let mode = OpenMode {
            create: false,
            truncate: false,
            direct: true,
        };
        let own = self.dir.open_file(name, mode).await.map_err(io)?;
        let other = dir.open_file(name, mode).await.map_err(io)?;
        let length = end - start + SEGMENT_HEADER as u64;
        let mut same = other.size().await.map_err(io)? == length.next_multiple_of(4096);
        let mut at = 0;
        while same && at < length {
            let (a, b) = (
                part(&own, at, length).await.map_err(io)?,
                part(&other, at, length).await.map_err(io)?,
            );
            // Behind the end the one has what was there before, the other zeros.
            let n = a.len().min((length - at) as usize);
            same = a[..n] == b[..n];
            at += n as u64;
        }
        own.close().await.map_err(io)?;
        other.close().await.map_err(io)?;
        match same {
            true => Ok(()),
            false => Err(StorageError::wal(
                Lsn(start),
                format!("the archive has another {name}: it belongs to another history"),
            )),
        }
    }
}
