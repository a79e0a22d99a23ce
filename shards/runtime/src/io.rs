//! The ring's view of files: aligned buffers and one open file.
//!
//! Owns: `IoBuf`, and `RingFile`, which cuts each transfer into operations the device takes.
//! Asked by: `fs` alone (`IoBuf` is public). Never: knows a name, a directory or a format.
//! Bounds: no single operation is over `IO_MAX`; larger ones on polled queues can hang (glommio issues 633, 635).
//! Source: io_uring(7), open(2) for the rules of O_DIRECT.

use crate::executor::panic_message;
use futures_util::FutureExt;
use glommio::io::{BufferedFile, DmaBuffer, DmaFile, OpenOptions};
use std::io;
use std::ops::{Deref, DerefMut};
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::rc::Rc;

/// Alignment of positions, lengths and memory for O_DIRECT. 4096 suits every device of today.
pub const IO_ALIGN: usize = 4096;

/// The largest single operation, in bytes.
pub const IO_MAX: usize = 512 * 1024;

/// A heap buffer aligned to 4096 bytes. Its length need not be a multiple; direct I/O wants it to be one.
pub struct IoBuf(Option<DmaBuffer>);

impl IoBuf {
    pub fn zeroed(len: usize) -> IoBuf {
        if len == 0 {
            return IoBuf(None);
        }
        let mut buf = glommio::allocate_dma_buffer_global(len);
        buf.as_bytes_mut().fill(0);
        IoBuf(Some(buf))
    }

    pub fn copied(bytes: &[u8]) -> IoBuf {
        if bytes.is_empty() {
            return IoBuf(None);
        }
        let mut buf = glommio::allocate_dma_buffer_global(bytes.len());
        buf.as_bytes_mut().copy_from_slice(bytes);
        IoBuf(Some(buf))
    }

    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, DmaBuffer::len)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Keeps the first `len` bytes; longer than `len()` changes nothing.
    pub fn truncate(&mut self, len: usize) {
        if len == 0 {
            self.0 = None;
        } else if let Some(buf) = &mut self.0
            && len < buf.len()
        {
            buf.trim_to_size(len);
        }
    }
}

impl Deref for IoBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], DmaBuffer::as_bytes)
    }
}

impl DerefMut for IoBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.0.as_mut().map_or(&mut [], DmaBuffer::as_bytes_mut)
    }
}

impl std::fmt::Debug for IoBuf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "IoBuf({} bytes)", self.len())
    }
}

/// An open file as the ring has it.
pub(crate) enum RingFile {
    Direct(DmaFile),
    Buffered(BufferedFile),
    #[cfg(feature = "simulation")]
    Simulated(crate::sim::OpenFile),
}

impl RingFile {
    /// Opens for reading and writing. `direct` falls back to buffered where the file system has no O_DIRECT.
    pub(crate) async fn open(
        path: &Path,
        create: bool,
        truncate: bool,
        direct: bool,
    ) -> io::Result<RingFile> {
        #[cfg(feature = "simulation")]
        if let Some(disk) = crate::sim::disk() {
            let file = disk.open(path, create, truncate, direct).await?;
            return Ok(RingFile::Simulated(file));
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        options.create(create).truncate(truncate).mode(0o600);
        RingFile::open_as(&options, path, direct).await
    }

    /// A file without a name on the file system of `dir` (O_TMPFILE), direct where there is O_DIRECT.
    pub(crate) async fn open_nameless(dir: &Path) -> io::Result<RingFile> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).tmpfile(true).mode(0o600);
        RingFile::open_as(&options, dir, true).await
    }

    async fn open_as(options: &OpenOptions, path: &Path, direct: bool) -> io::Result<RingFile> {
        if direct {
            // It unwraps the outcome of statfs(2) on the path, which someone may remove meanwhile.
            let opening = AssertUnwindSafe(options.dma_open(path));
            match opening.catch_unwind().await {
                Ok(Ok(file)) => return Ok(RingFile::Direct(file)),
                Ok(Err(error)) if refuses_direct(error.raw_os_error()) => {}
                Ok(Err(error)) => return Err(error.into()),
                Err(panic) => return Err(io::Error::other(panic_message(panic.as_ref()))),
            }
        }
        Ok(RingFile::Buffered(options.buffered_open(path).await?))
    }

    pub(crate) fn is_direct(&self) -> bool {
        match self {
            RingFile::Direct(_) => true,
            RingFile::Buffered(_) => false,
            #[cfg(feature = "simulation")]
            RingFile::Simulated(file) => file.is_direct(),
        }
    }

    /// Up to `len` bytes from `pos`; fewer only at the end of the file.
    pub(crate) async fn read(&self, pos: u64, len: usize) -> io::Result<IoBuf> {
        #[cfg(feature = "simulation")]
        if let RingFile::Simulated(file) = self {
            return Ok(IoBuf::copied(&file.read(pos, len).await?));
        }
        let mut out = IoBuf::zeroed(len);
        let mut done = 0;
        while done < len {
            let want = (len - done).min(IO_MAX);
            let at = offset(pos, done)?;
            let got = match self {
                RingFile::Direct(file) => file.read_at_aligned(at, want).await?,
                RingFile::Buffered(file) => file.read_at(at, want).await?,
                #[cfg(feature = "simulation")]
                RingFile::Simulated(_) => break,
            };
            let n = got.len().min(want);
            out[done..done + n].copy_from_slice(&got[..n]);
            done += n;
            // A direct read that ends off the alignment has met the end of the file.
            if n == 0 || (self.is_direct() && n % IO_ALIGN != 0) {
                break;
            }
        }
        out.truncate(done);
        Ok(out)
    }

    /// The whole buffer or an error. Gives the buffer back.
    pub(crate) async fn write(&self, pos: u64, buf: IoBuf) -> io::Result<IoBuf> {
        match self {
            RingFile::Direct(file) => write_direct(file, pos, buf).await,
            RingFile::Buffered(file) => write_buffered(file, pos, &buf).await.map(|()| buf),
            #[cfg(feature = "simulation")]
            RingFile::Simulated(file) => file.write(pos, &buf).await.map(|()| buf),
        }
    }

    pub(crate) async fn sync_data(&self) -> io::Result<()> {
        match self {
            RingFile::Direct(file) => file.fdatasync().await?,
            RingFile::Buffered(file) => file.fdatasync().await?,
            #[cfg(feature = "simulation")]
            RingFile::Simulated(file) => file.sync().await?,
        }
        Ok(())
    }

    pub(crate) async fn size(&self) -> io::Result<u64> {
        Ok(match self {
            RingFile::Direct(file) => file.file_size().await?,
            RingFile::Buffered(file) => file.file_size().await?,
            #[cfg(feature = "simulation")]
            RingFile::Simulated(file) => file.size().await?,
        })
    }

    pub(crate) async fn set_size(&self, len: u64) -> io::Result<()> {
        match self {
            RingFile::Direct(file) => file.truncate(len).await?,
            RingFile::Buffered(file) => file.truncate(len).await?,
            #[cfg(feature = "simulation")]
            RingFile::Simulated(file) => file.resize(len, false).await?,
        }
        Ok(())
    }

    /// Reserves blocks for the first `len` bytes; the size becomes at least `len`.
    pub(crate) async fn allocate(&self, len: u64) -> io::Result<()> {
        match self {
            RingFile::Direct(file) => file.pre_allocate(len, false).await?,
            RingFile::Buffered(file) => file.pre_allocate(len, false).await?,
            #[cfg(feature = "simulation")]
            RingFile::Simulated(file) => file.resize(len, true).await?,
        }
        Ok(())
    }

    pub(crate) async fn close(self) -> io::Result<()> {
        match self {
            RingFile::Direct(file) => {
                file.close().await?;
            }
            RingFile::Buffered(file) => file.close().await?,
            #[cfg(feature = "simulation")]
            RingFile::Simulated(_) => {}
        }
        Ok(())
    }
}

fn refuses_direct(errno: Option<i32>) -> bool {
    matches!(errno, Some(libc::EINVAL | libc::EOPNOTSUPP))
}

fn offset(pos: u64, done: usize) -> io::Result<u64> {
    pos.checked_add(done as u64)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the position overflows"))
}

async fn write_direct(file: &DmaFile, pos: u64, buf: IoBuf) -> io::Result<IoBuf> {
    let Some(whole) = buf.0 else {
        return Ok(buf);
    };
    let len = whole.len();
    let whole = Rc::new(whole);
    let mut done = 0;
    while done < len {
        let want = (len - done).min(IO_MAX);
        let at = offset(pos, done)?;
        let n = if want == len {
            file.write_rc_at(whole.clone(), at).await?
        } else {
            // The ring takes whole buffers only, so a part is copied: a long write pays one memcpy.
            let mut part = glommio::allocate_dma_buffer_global(want);
            let bytes = &whole.as_bytes()[done..done + want];
            part.as_bytes_mut().copy_from_slice(bytes);
            file.write_at(part, at).await?
        };
        done += progress(n, want)?;
    }
    Ok(IoBuf(Some(match Rc::try_unwrap(whole) {
        Ok(buf) => buf,
        // The ring still holds its share of a finished operation.
        Err(shared) => match IoBuf::copied(shared.as_bytes()).0 {
            Some(copy) => copy,
            None => return Ok(IoBuf(None)),
        },
    })))
}

/// How far a direct write got, in whole aligned blocks; what is left is written again from there.
fn progress(written: usize, wanted: usize) -> io::Result<usize> {
    let whole = if written >= wanted {
        wanted
    } else {
        written - written % IO_ALIGN
    };
    if whole == 0 {
        return Err(io::Error::new(
            io::ErrorKind::WriteZero,
            "the device took no bytes",
        ));
    }
    Ok(whole)
}

async fn write_buffered(file: &BufferedFile, pos: u64, bytes: &[u8]) -> io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        let want = (bytes.len() - done).min(IO_MAX);
        let part = bytes[done..done + want].to_vec();
        let n = file.write_at(part, offset(pos, done)?).await?;
        if n == 0 {
            return Err(io::Error::new(
                io::ErrorKind::WriteZero,
                "the device took no bytes",
            ));
        }
        done += n;
    }
    Ok(())
}
