//! Directories and files through the ring.
//!
//! Owns: the open files of a shard and the rules that make small metadata durable (write aside, fsync, rename,
//! fsync the directory). Asked by: `storage`. Never: retries a failed fsync, knows what the bytes mean.
//! Bounds: one operation on the device is at most 512 KiB; longer transfers are cut, and what is under way counts as
//! `Share::Disk` of the shard's buffers. Listing and probing a
//! directory go to the helper threads, so that a slow directory does not stall a shard.
//! Source: open(2), fsync(2), rename(2), flock(2).

use crate::blocking;
pub use crate::io::{IO_ALIGN, IO_MAX};
use crate::io::{InFlight, IoBuf, ReadBuf, RingFile};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

mod temp;
pub use temp::{TempDir, TempError, TempFile, TempQuota, TempStats};

/// The file that `Dir::lock` locks.
const LOCK_NAME: &str = "LOCK";

/// The longest file that `read_small` accepts, in bytes.
pub const SMALL_MAX: u64 = 64 * 1024 * 1024;

/// True when a write failed for lack of room: ENOSPC, EDQUOT, or a device that took no byte.
pub fn io_error_is_disk_full(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT))
        || matches!(
            error.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::WriteZero
        )
}

/// A directory. Cheap to clone; holds no descriptor.
#[derive(Clone, Debug)]
pub struct Dir {
    path: Rc<PathBuf>,
}

/// Held by the one process (and the one `Dir`) that may use a directory; released on drop or when the process dies.
#[derive(Debug)]
pub struct DirLock {
    /// None on a simulated disk, which nobody else can have.
    _file: Option<std::fs::File>,
}

/// How `Dir::open_file` opens. Files are always readable and writable.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenMode {
    pub create: bool,
    pub truncate: bool,
    /// O_DIRECT: positions and lengths must be multiples of 4096. Buffered where the file system has none.
    pub direct: bool,
}

impl Dir {
    /// Opens the directory, creating it and its parents (mode 0700) where missing. Whatever was created is durable when
    /// this returns, also by a process that was killed before it had said so.
    pub async fn open_or_create(path: &Path) -> io::Result<Dir> {
        let path = std::path::absolute(path)?;
        let mut missing = Vec::new();
        let mut known = path.as_path();
        while !exists(known).await? {
            missing.push(known);
            match known.parent() {
                Some(parent) => known = parent,
                None => break,
            }
        }
        if let Some(parent) = known.parent() {
            match sync_dir(parent).await {
                // A directory that may not be read was not created by this program.
                Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {}
                other => other?,
            }
        }
        for dir in missing.into_iter().rev() {
            make_dir(dir).await?;
            if let Some(parent) = dir.parent() {
                sync_dir(parent).await?;
            }
        }
        Ok(Dir {
            path: Rc::new(canonical(path).await?),
        })
    }

    /// Opens a directory that there is.
    pub async fn open(path: &Path) -> io::Result<Dir> {
        #[cfg(feature = "simulation")]
        if let Some(disk) = crate::sim::disk() {
            return match disk.exists(path).await? {
                true => Ok(Dir {
                    path: Rc::new(path.to_path_buf()),
                }),
                false => Err(io::ErrorKind::NotFound.into()),
            };
        }
        let path = path.to_path_buf();
        let path = on_helper(move || {
            let path = path.canonicalize()?;
            std::fs::read_dir(&path).map(|_| path)
        })
        .await?;
        Ok(Dir {
            path: Rc::new(path),
        })
    }

    /// Absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Refused with `WouldBlock` while someone else holds it. Blocks on the disk, so call it at start.
    pub fn lock(&self) -> io::Result<DirLock> {
        #[cfg(feature = "simulation")]
        if crate::sim::in_run().is_some() {
            return Ok(DirLock { _file: None });
        }
        let file = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(self.path.join(LOCK_NAME))?;
        match file.try_lock() {
            Ok(()) => Ok(DirLock { _file: Some(file) }),
            Err(std::fs::TryLockError::Error(error)) => Err(error),
            Err(std::fs::TryLockError::WouldBlock) => Err(io::Error::new(
                io::ErrorKind::WouldBlock,
                format!(
                    "the directory {} is in use by another process",
                    self.path.display()
                ),
            )),
        }
    }

    /// Names of files and directories in it, sorted. Names that are not UTF-8 are left out.
    pub async fn list(&self) -> io::Result<Vec<String>> {
        #[cfg(feature = "simulation")]
        if let Some(disk) = crate::sim::disk() {
            return disk.list(&self.path).await;
        }
        let path = self.path.to_path_buf();
        on_helper(move || {
            let mut names = Vec::new();
            for entry in std::fs::read_dir(&path)? {
                if let Ok(name) = entry?.file_name().into_string() {
                    names.push(name);
                }
            }
            names.sort_unstable();
            Ok(names)
        })
        .await
    }

    pub async fn exists(&self, name: &str) -> io::Result<bool> {
        exists(&self.join(name)?).await
    }

    /// Removes everything in it, directories with what they hold. Durable after `sync`.
    pub async fn clear(&self) -> io::Result<()> {
        let path = self.path.to_path_buf();
        on_helper(move || {
            for entry in std::fs::read_dir(&path)? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    std::fs::remove_dir_all(entry.path())?;
                } else {
                    std::fs::remove_file(entry.path())?;
                }
            }
            Ok(())
        })
        .await
    }

    /// Removes a file. Durable after `sync`.
    pub async fn remove(&self, name: &str) -> io::Result<()> {
        let path = self.join(name)?;
        #[cfg(feature = "simulation")]
        if let Some(disk) = crate::sim::disk() {
            return disk.remove(&self.path, name).await;
        }
        let _flight = InFlight::begin();
        Ok(glommio::io::remove(path).await?)
    }

    /// Removes a directory with everything in it. Durable after `sync`.
    pub async fn remove_dir(&self, name: &str) -> io::Result<()> {
        let path = self.join(name)?;
        on_helper(move || std::fs::remove_dir_all(path)).await
    }

    /// Replaces `to` if it exists. Durable after `sync`.
    pub async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (old, new) = (self.join(from)?, self.join(to)?);
        #[cfg(feature = "simulation")]
        if let Some(disk) = crate::sim::disk() {
            return disk.rename(&self.path, from, to).await;
        }
        let _flight = InFlight::begin();
        Ok(glommio::io::rename(old, new).await?)
    }

    /// Makes creations, removals and renames in this directory durable.
    pub async fn sync(&self) -> io::Result<()> {
        sync_dir(&self.path).await
    }

    /// Copies a file of another directory into this one, over one of that name. Its bytes are durable, its name is after
    /// `sync`. Returns how many there were.
    pub async fn copy_from(&self, other: &Dir, name: &str) -> io::Result<u64> {
        let (from, to) = (other.join(name)?, self.join(name)?);
        on_helper(move || {
            let bytes = std::fs::copy(from, &to)?;
            std::fs::File::open(to)?.sync_all()?;
            Ok(bytes)
        })
        .await
    }

    /// Opens a directory in this one, creating it where missing; it is durable when this returns.
    pub async fn subdir(&self, name: &str) -> io::Result<Dir> {
        Dir::open_or_create(&self.join(name)?).await
    }

    pub async fn open_file(&self, name: &str, mode: OpenMode) -> io::Result<File> {
        let path = self.join(name)?;
        let ring = RingFile::open(&path, mode.create, mode.truncate, mode.direct).await?;
        Ok(File { ring })
    }

    /// A whole file of at most `SMALL_MAX` bytes.
    pub async fn read_small(&self, name: &str) -> io::Result<Vec<u8>> {
        let file = self.open_file(name, OpenMode::default()).await?;
        let bytes = read_whole(&file).await;
        file.close().await?;
        bytes
    }

    /// Replaces the file's contents: after a crash it has either the old bytes or the new ones.
    pub async fn write_small_atomic(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let aside = Dir::aside(name);
        let mode = OpenMode {
            create: true,
            truncate: true,
            direct: false,
        };
        let file = self.open_file(&aside, mode).await?;
        let written = write_whole(&file, bytes).await;
        file.close().await?;
        written?;
        self.rename(&aside, name).await?;
        self.sync().await
    }

    /// The file that `write_small_atomic` renames to `name`; a crash may leave it, and it never counts.
    pub fn aside(name: &str) -> String {
        format!("{name}.new")
    }

    /// One component only: a name can never lead out of the directory.
    fn join(&self, name: &str) -> io::Result<PathBuf> {
        let mut parts = Path::new(name).components();
        match (parts.next(), parts.next()) {
            (Some(Component::Normal(only)), None) if only == name && !name.contains('\0') => {
                Ok(self.path.join(name))
            }
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("\"{name}\" is not the name of a file in a directory"),
            )),
        }
    }
}

async fn exists(path: &Path) -> io::Result<bool> {
    #[cfg(feature = "simulation")]
    if let Some(disk) = crate::sim::disk() {
        return disk.exists(path).await;
    }
    let path = path.to_path_buf();
    on_helper(move || path.try_exists()).await
}

async fn make_dir(path: &Path) -> io::Result<()> {
    #[cfg(feature = "simulation")]
    if let Some(disk) = crate::sim::disk() {
        return disk.make_dir(path).await;
    }
    let path = path.to_path_buf();
    on_helper(move || {
        let mut builder = std::fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        // Another shard may be quicker.
        builder.recursive(true).create(&path)
    })
    .await
}

async fn sync_dir(path: &Path) -> io::Result<()> {
    #[cfg(feature = "simulation")]
    if let Some(disk) = crate::sim::disk() {
        return disk.sync_dir(path).await;
    }
    let _flight = InFlight::begin();
    let dir = glommio::io::Directory::open(path).await?;
    let synced = dir.sync().await;
    dir.close().await?;
    Ok(synced?)
}

/// The directory's own path, without links.
async fn canonical(path: PathBuf) -> io::Result<PathBuf> {
    #[cfg(feature = "simulation")]
    if crate::sim::in_run().is_some() {
        return Ok(path);
    }
    on_helper(move || {
        let path = path.canonicalize()?;
        match path.is_dir() {
            true => Ok(path),
            false => Err(io::ErrorKind::NotADirectory.into()),
        }
    })
    .await
}

async fn read_whole(file: &File) -> io::Result<Vec<u8>> {
    let size = file.size().await?;
    if size > SMALL_MAX {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("a file of {size} bytes is over the {SMALL_MAX} that are read at once"),
        ));
    }
    let mut bytes = Vec::with_capacity(size as usize);
    while bytes.len() < size as usize {
        let want = (size as usize - bytes.len()).min(IO_MAX);
        let piece = file.read_at(bytes.len() as u64, want).await?;
        if piece.is_empty() {
            break;
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// In pieces, so that however long the file is only one of them is in a buffer.
async fn write_whole(file: &File, bytes: &[u8]) -> io::Result<()> {
    let mut at = 0;
    for piece in bytes.chunks(IO_MAX) {
        let mut buf = IoBuf::take(piece.len()).await;
        buf.copy_from_slice(piece);
        file.write_at(at, buf).await?;
        at += piece.len() as u64;
    }
    file.sync_data().await
}

async fn on_helper<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    match blocking(work).await {
        Ok(outcome) => outcome,
        Err(panicked) => Err(io::Error::other(panicked)),
    }
}

/// An open file of one shard. Dropping it closes it in the background; `close` reports the outcome.
pub struct File {
    ring: RingFile,
}

impl File {
    /// Whether O_DIRECT is in effect.
    pub fn is_direct(&self) -> bool {
        self.ring.is_direct()
    }

    /// Up to `len` bytes from `pos`; fewer only at the end of the file.
    pub async fn read_at(&self, pos: u64, len: usize) -> io::Result<ReadBuf> {
        self.check(pos, len)?;
        self.ring.read(pos, len).await
    }

    /// The whole buffer or an error; the buffer comes back for reuse. After an error any part may be written.
    pub async fn write_at(&self, pos: u64, buf: IoBuf) -> io::Result<IoBuf> {
        self.check(pos, buf.len())?;
        self.ring.write(pos, buf, false).await
    }

    /// As `write_at` and then `sync_data`, for these bytes alone, in one operation where the system has it.
    pub async fn write_durable_at(&self, pos: u64, buf: IoBuf) -> io::Result<IoBuf> {
        self.check(pos, buf.len())?;
        self.ring.write(pos, buf, true).await
    }

    /// fdatasync: data and size are on the device when this returns Ok. After an error nothing is known about
    /// what was written since the last success; do not call it again in the hope of a better answer.
    pub async fn sync_data(&self) -> io::Result<()> {
        self.ring.sync_data().await
    }

    pub async fn size(&self) -> io::Result<u64> {
        self.ring.size().await
    }

    /// Cuts or extends (with zeros) to `len` bytes.
    pub async fn truncate(&self, len: u64) -> io::Result<()> {
        self.ring.set_size(len).await
    }

    /// Reserves room for the first `len` bytes, so that later writes there cannot fail with a full disk.
    pub async fn allocate(&self, len: u64) -> io::Result<()> {
        self.ring.allocate(len).await
    }

    pub async fn close(self) -> io::Result<()> {
        self.ring.close().await
    }

    fn check(&self, pos: u64, len: usize) -> io::Result<()> {
        let aligned = pos.is_multiple_of(IO_ALIGN as u64) && len.is_multiple_of(IO_ALIGN);
        if self.is_direct() && !aligned {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("direct I/O at {pos} of {len} bytes is not aligned to {IO_ALIGN}"),
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "fs_tests.rs"]
mod tests;
