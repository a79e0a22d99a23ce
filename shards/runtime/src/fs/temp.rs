//! Temporary files that a crash leaves no trace of.
//!
//! Owns: the files of one shard that exist only while they are open: made without a name (O_TMPFILE), or where the file
//! system has none, named and unlinked before the first byte; and the count of the bytes they take. Asked by: operators
//! that spill. Never: syncs, names a file for longer than it takes to unlink it (a crash in between leaves an empty file,
//! which `Dir::clear` removes at the next start).
//! Bounds: `TempQuota`, over all shards of the process; one more byte is `TempError::Quota`. A file's bytes count from
//! their first write until the file is dropped.
//! Source: open(2), O_TMPFILE.

use super::{Dir, File, OpenMode, io_error_is_disk_full};
use crate::io::{IoBuf, ReadBuf, RingFile};
use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use types::{Error, SqlState};

/// Why a temporary file could not be made, written or read.
#[derive(Debug, thiserror::Error)]
pub enum TempError {
    #[error("temporary files would take more than {bytes_max} bytes")]
    Quota { bytes_max: u64 },
    #[error("could not {what} temporary file: {error}")]
    Io {
        what: &'static str,
        error: io::Error,
    },
}

impl From<TempError> for Error {
    fn from(e: TempError) -> Error {
        match e {
            TempError::Quota { bytes_max } => Error::new(
                SqlState::CONFIGURATION_LIMIT_EXCEEDED,
                format!(
                    "temporary file size exceeds temp_file_limit ({}kB)",
                    bytes_max / 1024
                ),
            )
            .with_hint("The limit is the server's setting \"temp_bytes_max\"."),
            TempError::Io { ref error, .. } if io_error_is_disk_full(error) => {
                Error::new(SqlState::DISK_FULL, e.to_string()).with_hint("Check free disk space.")
            }
            TempError::Io { .. } => Error::new(SqlState::IO_ERROR, e.to_string()),
        }
    }
}

/// The bytes that temporary files of the process may take together. Shared by all shards: one atomic addition for each
/// block by which a file grows.
#[derive(Debug)]
pub struct TempQuota {
    bytes_max: u64,
    used: AtomicU64,
}

impl TempQuota {
    pub fn new(bytes_max: u64) -> Arc<TempQuota> {
        Arc::new(TempQuota {
            bytes_max,
            used: AtomicU64::new(0),
        })
    }

    pub fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    /// Bytes that the files open now take.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: u64) -> Result<(), TempError> {
        let grown = |used: u64| used.checked_add(bytes).filter(|n| *n <= self.bytes_max);
        self.used
            .try_update(Ordering::Relaxed, Ordering::Relaxed, grown)
            .map(drop)
            .map_err(|_| TempError::Quota {
                bytes_max: self.bytes_max,
            })
    }

    fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// What one shard's temporary files have done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TempStats {
    pub files_open: u64,
    /// Bytes that those take.
    pub bytes_held: u64,
    pub files_made: u64,
    pub bytes_written: u64,
    pub bytes_read: u64,
}

/// Where one shard makes temporary files. Cheap to clone.
#[derive(Clone)]
pub struct TempDir(Rc<Room>);

struct Room {
    dir: Dir,
    quota: Arc<TempQuota>,
    /// The file system has no O_TMPFILE.
    named: Cell<bool>,
    stats: Cell<TempStats>,
}

impl Room {
    fn count(&self, change: impl FnOnce(&mut TempStats)) {
        let mut stats = self.stats.get();
        change(&mut stats);
        self.stats.set(stats);
    }
}

impl TempDir {
    pub fn new(dir: Dir, quota: Arc<TempQuota>) -> TempDir {
        TempDir(Rc::new(Room {
            dir,
            quota,
            named: Cell::new(false),
            stats: Cell::default(),
        }))
    }

    /// As on a file system without O_TMPFILE.
    #[cfg(test)]
    pub(super) fn always_named(self) -> TempDir {
        self.0.named.set(true);
        self
    }

    pub fn stats(&self) -> TempStats {
        self.0.stats.get()
    }

    pub fn quota(&self) -> &TempQuota {
        &self.0.quota
    }

    /// An empty file, gone when it is dropped. Direct where the file system has O_DIRECT.
    pub async fn create(&self) -> Result<TempFile, TempError> {
        let file = match self.open().await {
            Ok(file) => file,
            Err(error) => {
                let what = "create";
                return Err(TempError::Io { what, error });
            }
        };
        self.0.count(|s| {
            s.files_open += 1;
            s.files_made += 1;
        });
        Ok(TempFile {
            file,
            room: self.0.clone(),
            len: Cell::new(0),
        })
    }

    async fn open(&self) -> io::Result<File> {
        let dir = &self.0.dir;
        if !self.0.named.get() {
            match RingFile::open_nameless(dir.path()).await {
                Ok(ring) => return Ok(File { ring }),
                Err(error) if has_no_nameless(&error) => self.0.named.set(true),
                Err(error) => return Err(error),
            }
        }
        let name = format!("{}-{:016x}", crate::current_shard(), crate::random_u64());
        let mode = OpenMode {
            create: true,
            truncate: true,
            direct: true,
        };
        let file = dir.open_file(&name, mode).await?;
        dir.remove(&name).await?;
        Ok(file)
    }
}

/// open(2): EOPNOTSUPP by a file system, EISDIR by a kernel that does not know O_TMPFILE.
fn has_no_nameless(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EOPNOTSUPP | libc::EISDIR | libc::EINVAL)
    )
}

/// An open temporary file. Positions and lengths are multiples of `IO_ALIGN`.
pub struct TempFile {
    file: File,
    room: Rc<Room>,
    /// What it takes: the end of its furthest write.
    len: Cell<u64>,
}

impl TempFile {
    /// Bytes it takes.
    pub fn len(&self) -> u64 {
        self.len.get()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The whole buffer or an error; the buffer comes back for reuse.
    pub async fn write_at(&self, pos: u64, buf: IoBuf) -> Result<IoBuf, TempError> {
        let bytes = buf.len() as u64;
        let end = pos.saturating_add(bytes);
        let more = end.saturating_sub(self.len.get());
        if more > 0 {
            self.room.quota.take(more)?;
            self.len.set(end);
        }
        self.room.count(|s| {
            s.bytes_held += more;
            s.bytes_written += bytes;
        });
        let what = "write to";
        let written = self.file.write_at(pos, buf).await;
        written.map_err(|error| TempError::Io { what, error })
    }

    /// Up to `len` bytes from `pos`; fewer only at the end of the file.
    pub async fn read_at(&self, pos: u64, len: usize) -> Result<ReadBuf, TempError> {
        let what = "read from";
        let read = self.file.read_at(pos, len).await;
        let buf = read.map_err(|error| TempError::Io { what, error })?;
        self.room.count(|s| s.bytes_read += buf.len() as u64);
        Ok(buf)
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let len = self.len.get();
        self.room.quota.give_back(len);
        self.room.count(|s| {
            s.files_open -= 1;
            s.bytes_held -= len;
        });
    }
}

#[cfg(test)]
#[path = "temp_tests.rs"]
mod tests;
