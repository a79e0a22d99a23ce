//! A partition's part of a backup: an image that is held, its copy, and the log behind it up to one moment.
//!
//! Owns: whether one is being taken, and that everything committed meanwhile is in the log, loads too. Asked by: `shard`.
//! The copy of the image and the log from its redo position to the seal have every commit up to the seal's time, and of
//! transactions over several partitions what recovery needs to settle them as their coordinator did.
//! Never: stops a reader or writer. Bounds: one backup a process; `Store::hold` for what it keeps.

use super::commit::to_the_end;
use super::partition::Partition;
use super::record::{self, Ops};
use super::state::TxnState;
use super::{Options, Stop};
use runtime::Dir;
use std::cell::{Cell, RefCell};
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::time::Duration;
use storage::{Image, PAGE_BYTES};
use types::{Error, Lsn, Result, SqlState, Ts};

/// How often a wait looks whether the backup was stopped.
const STOP_POLL: Duration = Duration::from_millis(20);

/// How far the backup of the process is. Crosses cores; nothing waits for it.
#[derive(Default)]
pub struct BackupProgress {
    /// The backend that takes it; 0 when none does.
    pid: AtomicI32,
    total: AtomicU64,
    done: AtomicU64,
}

impl BackupProgress {
    /// 55006 when another is being taken.
    pub fn begin(&self, pid: i32) -> Result<()> {
        let taken = self
            .pid
            .compare_exchange(0, pid, Ordering::AcqRel, Ordering::Acquire);
        if taken.is_err() {
            return Err(Error::new(
                SqlState::OBJECT_IN_USE,
                "a backup is being taken already",
            ));
        }
        self.total.store(0, Ordering::Relaxed);
        self.done.store(0, Ordering::Relaxed);
        Ok(())
    }

    pub fn end(&self) {
        self.pid.store(0, Ordering::Release);
    }

    /// Pid, bytes there are, bytes copied.
    pub fn now(&self) -> Option<(i32, u64, u64)> {
        match self.pid.load(Ordering::Acquire) {
            0 => None,
            pid => Some((
                pid,
                self.total.load(Ordering::Relaxed),
                self.done.load(Ordering::Relaxed),
            )),
        }
    }

    fn more(&self, bytes: u64) {
        self.total.fetch_add(bytes, Ordering::Relaxed);
    }

    fn did(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// Of one partition.
pub(super) struct Backup {
    image: RefCell<Option<Rc<Image>>>,
    /// Loads are logged also when there is no backup.
    log_loads: bool,
    running: Cell<bool>,
    archive_timeout: Option<Duration>,
    marked: Cell<Option<runtime::Instant>>,
}

impl Backup {
    pub fn new(options: &Options) -> Backup {
        Backup {
            image: RefCell::new(None),
            log_loads: options.log_loads,
            running: Cell::new(false),
            archive_timeout: options.archive_timeout,
            marked: Cell::new(None),
        }
    }
}

/// Where a partition's part of a backup ends.
#[derive(Clone, Copy, Debug)]
pub struct Sealed {
    pub store: u64,
    /// Replay begins here; of an incremental one, what the base has ends here.
    pub from: Lsn,
    pub end: Lsn,
    /// Everything committed up to here is before `end`.
    pub ts: Ts,
    pub pages: u64,
}

impl Partition {
    /// Takes an image and holds it. From here on loads are logged; those that are not and run are waited for.
    pub async fn backup_begin(self: &Rc<Self>, stop: &Stop) -> Result<()> {
        self.backup.running.set(true);
        self.log_loads.set(true);
        while self.has_unlogged() {
            stop.check()?;
            let _ = runtime::timeout(STOP_POLL, self.settled.notified()).await;
        }
        let this = self.clone();
        to_the_end(async move { this.checkpoint_now().await }).await?;
        stop.check()?;
        let Some(image) = self.store.hold().await? else {
            return Err(Error::internal("an image is held already"));
        };
        self.progress().more(image.pages() * PAGE_BYTES as u64);
        *self.backup.image.borrow_mut() = Some(Rc::new(image));
        Ok(())
    }

    fn has_unlogged(&self) -> bool {
        self.txns.borrow().values().any(|t| t.unlogged.get())
    }

    fn progress(&self) -> &BackupProgress {
        &self.snapshots.horizon().backup
    }

    /// Copies the held image into `to`.
    pub async fn backup_copy(&self, to: &Path, stop: &Stop) -> Result<()> {
        let image = self.backup.image.borrow().clone();
        let Some(image) = image else {
            return Err(Error::internal("no image is held"));
        };
        let dir = directory(to).await?;
        let mut before = 0;
        let mut tell = |pages: u64| {
            self.progress().did((pages - before) * PAGE_BYTES as u64);
            before = pages;
            stop.check().is_ok()
        };
        match self.store.copy_image(&image, &dir, &mut tell).await? {
            true => Ok(()),
            false => stop.check(),
        }
    }

    /// Copies the log from `from` on (else from the image's redo position) up to now, everything committed until now in it.
    pub async fn backup_seal(&self, to: &Path, from: Option<Lsn>, stop: &Stop) -> Result<Sealed> {
        let image = self.backup.image.borrow().clone();
        let begins = self.store.wal_begin();
        let from = match (from, &image) {
            (Some(from), _) if from < begins => return Err(gone(self, from, begins)),
            (Some(from), _) => {
                self.backup.running.set(true);
                self.store.hold_log(from);
                from
            }
            (None, Some(image)) => image.redo(),
            (None, None) => return Err(Error::internal("no image is held")),
        };
        let (ts, end) = self.mark().await?;
        self.progress().more(end.0 - from.0);
        let dir = directory(to).await?;
        let mut before = 0;
        let mut tell = |bytes: u64| {
            self.progress().did(bytes - before);
            before = bytes;
            stop.check().is_ok()
        };
        if !self.store.copy_log(from, end, &dir, &mut tell).await? {
            stop.check()?;
        }
        Ok(Sealed {
            store: self.store.id(),
            from,
            end,
            ts,
            pages: image.map_or(0, |i| i.pages()),
        })
    }

    /// Lets go of what is held, whatever became of the backup.
    pub fn backup_end(&self) {
        if self.backup.running.replace(false) {
            self.backup.image.borrow_mut().take();
            self.store.let_go();
            self.log_loads.set(self.backup.log_loads);
        }
    }

    /// A record behind which nothing of an earlier time comes; durable. Its time and its end.
    pub async fn mark(&self) -> Result<(Ts, Lsn)> {
        self.store.admit(64).await?;
        // No await between the reading of the clock and the record's place in the log.
        let ts = self.clock.now();
        let at = self.store.append(&record::mark(ts))?;
        self.store.durable(at.end).await?;
        Ok((ts, at.end))
    }

    /// Closes the log's segment with a mark when it is time, so that the archive is never further behind.
    pub async fn mark_for_archive(&self) -> Result<()> {
        let Some(every) = self.backup.archive_timeout else {
            return Ok(());
        };
        let now = runtime::Instant::now();
        let last = self.backup.marked.get().unwrap_or(now);
        if self.backup.marked.get().is_none() || last.elapsed() >= every {
            self.backup.marked.set(Some(now));
        }
        if last.elapsed() >= every {
            self.mark().await?;
            self.store.switch_segment();
        }
        Ok(())
    }

    /// Where a load that begins now logs its rows; `None` when they stay in the pages alone.
    pub fn load_log(&self, state: &TxnState) -> Option<Ops> {
        if self.log_loads.get() {
            return Some(Ops::new());
        }
        state.unlogged.set(true);
        None
    }

    pub async fn log_loaded(&self, state: &TxnState, ops: Ops) -> Result<()> {
        self.log_chunk(state, &ops.finish()).await
    }
}

async fn directory(path: &Path) -> Result<Dir> {
    Dir::open_or_create(path).await.map_err(|e| {
        Error::new(
            SqlState::IO_ERROR,
            format!("could not create the directory \"{}\": {e}", path.display()),
        )
    })
}

fn gone(p: &Partition, from: Lsn, begins: Lsn) -> Error {
    Error::new(
        SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("partition {} has no log from the base backup on", p.id),
    )
    .with_detail(format!(
        "The base ends at {:#x} and the log begins at {:#x}.",
        from.0, begins.0
    ))
    .with_hint("Take a full backup, and set wal_keep_bytes so that the log reaches back to it.")
}
