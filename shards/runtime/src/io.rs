//! The ring's view of files: aligned buffers and one open file.
//!
//! Owns: `IoBuf` (what is written), `ReadBuf` (what was read), and `RingFile`, which cuts each transfer into operations
//! the device takes. Asked by: `fs` alone (the buffers are public). Never: knows a name, a directory or a format.
//! Bounds: no single operation is over `IO_MAX`; larger ones on polled queues can hang (glommio issues 633, 635). Each
//! counts as `Share::Disk` of the shard's general buffers while it is under way; one that its caller abandons no longer
//! counts, although the device may still be at it.
//!
//! Of the memory itself the pool gives what fits: glommio's buffers cannot be lengthened once cut, so a write of exactly a
//! class's length has a pooled buffer, another has memory of its own that is counted as the classes that cover it. What is
//! read is counted as well and handed on without a copy.
//!
//! Direct reads, writes and syncs go through the shard's own ring where it has one, which the pump looks at anyway; glommio
//! opens, closes, resizes and does all of it where there is none.
//! Source: io_uring(7), open(2) for the rules of O_DIRECT.

use crate::buffers::{self, Hold, Share};
use crate::executor::{self, panic_message};
use crate::ring::Ring;
use futures_util::FutureExt;
use glommio::io::{BufferedFile, DmaBuffer, DmaFile, OpenOptions, ReadResult};
use std::cell::Cell;
use std::io;
use std::ops::{Deref, DerefMut};
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::rc::Rc;

/// Alignment of positions, lengths and memory for O_DIRECT. 4096 suits every device of today.
pub const IO_ALIGN: usize = 4096;

/// The largest single operation, in bytes.
pub const IO_MAX: usize = 512 * 1024;

/// Bytes to be written, aligned to 4096. The length need not be a multiple; direct I/O wants it to be one.
pub struct IoBuf {
    memory: Option<DmaBuffer>,
    /// None when its owner counts it elsewhere.
    hold: Option<Hold>,
}

impl IoBuf {
    /// Waits for `len` bytes (at most `IO_MAX`) of the shard's buffers. What is in them may be anything: the caller
    /// writes all of them, and holds no other of these meanwhile.
    pub async fn take(len: usize) -> IoBuf {
        debug_assert!(len <= IO_MAX, "{len}");
        if len == 0 {
            return IoBuf::zeroed(0);
        }
        let hold = buffers::current().hold(Share::Disk, len).await;
        IoBuf {
            memory: Some(hold.memory(len)),
            hold: Some(hold),
        }
    }

    /// Memory beside the pool, counted by whoever keeps it (an operator's, a query's).
    pub fn zeroed(len: usize) -> IoBuf {
        let memory = (len > 0).then(|| {
            let mut memory = glommio::allocate_dma_buffer_global(len);
            memory.as_bytes_mut().fill(0);
            memory
        });
        IoBuf { memory, hold: None }
    }

    /// As `zeroed`, with these bytes.
    pub fn copied(bytes: &[u8]) -> IoBuf {
        let mut buf = IoBuf::zeroed(bytes.len());
        buf.copy_from_slice(bytes);
        buf
    }

    pub fn len(&self) -> usize {
        self.memory.as_ref().map_or(0, DmaBuffer::len)
    }

    pub fn is_empty(&self) -> bool {
        self.memory.is_none()
    }

    /// Keeps the first `len` bytes; longer than `len()` changes nothing.
    pub fn truncate(&mut self, len: usize) {
        if len == 0 {
            self.memory = None;
        } else if let Some(memory) = &mut self.memory
            && len < memory.len()
        {
            memory.trim_to_size(len);
        }
    }
}

impl Deref for IoBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.memory.as_ref().map_or(&[], DmaBuffer::as_bytes)
    }
}

impl DerefMut for IoBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.memory
            .as_mut()
            .map_or(&mut [], DmaBuffer::as_bytes_mut)
    }
}

impl Drop for IoBuf {
    fn drop(&mut self) {
        if let (Some(memory), Some(hold)) = (self.memory.take(), self.hold.take()) {
            hold.recycle(memory);
        }
    }
}

impl std::fmt::Debug for IoBuf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "IoBuf({} bytes)", self.len())
    }
}

/// Bytes that were read, as the ring gave them. They count as under way until it is dropped, or kept.
#[derive(Default)]
pub struct ReadBuf {
    bytes: Read,
    hold: Option<Hold>,
}

#[derive(Default)]
enum Read {
    #[default]
    Nothing,
    Ring(ReadResult),
    Own(IoBuf),
}

impl ReadBuf {
    /// For who keeps them longer than it takes to look at them, and counts them himself.
    pub fn keep(mut self) -> ReadBuf {
        self.hold = None;
        self
    }

    fn own(bytes: IoBuf) -> ReadBuf {
        ReadBuf {
            bytes: Read::Own(bytes),
            hold: None,
        }
    }
}

impl Deref for ReadBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.bytes {
            Read::Nothing => &[],
            Read::Ring(bytes) => bytes,
            Read::Own(bytes) => bytes,
        }
    }
}

impl std::fmt::Debug for ReadBuf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ReadBuf({} bytes)", self.len())
    }
}

thread_local! {
    static IN_FLIGHT: Cell<usize> = const { Cell::new(0) };
}

/// Operations on this thread's files that have not ended: the executor's rings are to be looked at.
pub(crate) fn in_flight() -> usize {
    IN_FLIGHT.get()
}

/// One of them, until dropped.
pub(crate) struct InFlight;

impl InFlight {
    pub(crate) fn begin() -> InFlight {
        IN_FLIGHT.set(IN_FLIGHT.get() + 1);
        InFlight
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        IN_FLIGHT.set(IN_FLIGHT.get() - 1);
    }
}

async fn under_way(len: usize) -> Hold {
    buffers::current().hold(Share::Disk, len).await
}

/// An open file as the ring has it.
pub(crate) enum RingFile {
    /// Shared with operations under way.
    Direct(Rc<DmaFile>),
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
                Ok(Ok(file)) => return Ok(RingFile::Direct(Rc::new(file))),
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
    pub(crate) async fn read(&self, pos: u64, len: usize) -> io::Result<ReadBuf> {
        if len == 0 {
            return Ok(ReadBuf::default());
        }
        if let RingFile::Direct(file) = self
            && let Some(ring) = executor::ring()
        {
            return read_direct(&ring, file, pos, len).await;
        }
        let _flight = InFlight::begin();
        let want = len.min(IO_MAX);
        let hold = under_way(want).await;
        let first = match self {
            RingFile::Direct(file) => file.read_at_aligned(pos, want).await?,
            RingFile::Buffered(file) => file.read_at(pos, want).await?,
            #[cfg(feature = "simulation")]
            RingFile::Simulated(file) => {
                let bytes = file.read(pos, len).await?;
                return Ok(ReadBuf::own(IoBuf::copied(&bytes)));
            }
        };
        let got = first.len().min(want);
        if got == len || self.ends(got) {
            let bytes = ReadResult::slice(&first, 0, got);
            return Ok(ReadBuf {
                bytes: bytes.map_or(Read::Nothing, Read::Ring),
                hold: Some(hold),
            });
        }
        let mut out = IoBuf::zeroed(len);
        out[..got].copy_from_slice(&first[..got]);
        drop((first, hold));
        self.read_rest(pos, got, out).await.map(ReadBuf::own)
    }

    /// What a long read, or one that the device cut short, still lacks.
    async fn read_rest(&self, pos: u64, from: usize, mut out: IoBuf) -> io::Result<IoBuf> {
        let (mut done, len) = (from, out.len());
        while done < len {
            let want = (len - done).min(IO_MAX);
            let at = offset(pos, done)?;
            let _hold = under_way(want).await;
            let got = match self {
                RingFile::Direct(file) => file.read_at_aligned(at, want).await?,
                RingFile::Buffered(file) => file.read_at(at, want).await?,
                #[cfg(feature = "simulation")]
                RingFile::Simulated(_) => break,
            };
            let n = got.len().min(want);
            out[done..done + n].copy_from_slice(&got[..n]);
            done += n;
            if self.ends(n) {
                break;
            }
        }
        out.truncate(done);
        Ok(out)
    }

    /// A direct read that ends off the alignment has met the end of the file, as one that gives nothing has.
    fn ends(&self, got: usize) -> bool {
        got == 0 || (self.is_direct() && !got.is_multiple_of(IO_ALIGN))
    }

    /// The whole buffer or an error. Gives the buffer back. `durable`: as if `sync_data` followed, which may cost less.
    pub(crate) async fn write(&self, pos: u64, buf: IoBuf, durable: bool) -> io::Result<IoBuf> {
        let _hold = match (buf.len(), &buf.hold) {
            (1.., None) => Some(under_way(buf.len().min(IO_MAX)).await),
            _ => None,
        };
        if let RingFile::Direct(file) = self
            && let Some(ring) = executor::ring()
        {
            return write_ring(&ring, file, pos, buf, durable).await;
        }
        let flight = InFlight::begin();
        let buf = match self {
            RingFile::Direct(file) => write_direct(file, pos, buf).await?,
            RingFile::Buffered(file) => write_buffered(file, pos, &buf).await.map(|()| buf)?,
            #[cfg(feature = "simulation")]
            RingFile::Simulated(file) => file.write(pos, &buf).await.map(|()| buf)?,
        };
        drop(flight);
        if durable {
            self.sync_data().await?;
        }
        Ok(buf)
    }

    pub(crate) async fn sync_data(&self) -> io::Result<()> {
        if let RingFile::Direct(file) = self
            && let Some(ring) = executor::ring()
        {
            return ring.sync_file(file).await;
        }
        let _flight = InFlight::begin();
        match self {
            RingFile::Direct(file) => file.fdatasync().await?,
            RingFile::Buffered(file) => file.fdatasync().await?,
            #[cfg(feature = "simulation")]
            RingFile::Simulated(file) => file.sync().await?,
        }
        Ok(())
    }

    pub(crate) async fn size(&self) -> io::Result<u64> {
        let _flight = InFlight::begin();
        Ok(match self {
            RingFile::Direct(file) => file.file_size().await?,
            RingFile::Buffered(file) => file.file_size().await?,
            #[cfg(feature = "simulation")]
            RingFile::Simulated(file) => file.size().await?,
        })
    }

    pub(crate) async fn set_size(&self, len: u64) -> io::Result<()> {
        let _flight = InFlight::begin();
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
        let _flight = InFlight::begin();
        match self {
            RingFile::Direct(file) => file.pre_allocate(len, false).await?,
            RingFile::Buffered(file) => file.pre_allocate(len, false).await?,
            #[cfg(feature = "simulation")]
            RingFile::Simulated(file) => file.resize(len, true).await?,
        }
        Ok(())
    }

    pub(crate) async fn close(self) -> io::Result<()> {
        let _flight = InFlight::begin();
        match self {
            // An operation that nobody waits for closes it at its end.
            RingFile::Direct(file) => match Rc::try_unwrap(file) {
                Ok(file) => drop(file.close().await?),
                Err(shared) => drop(shared),
            },
            RingFile::Buffered(file) => file.close().await?,
            #[cfg(feature = "simulation")]
            RingFile::Simulated(_) => {}
        }
        Ok(())
    }
}

async fn read_direct(ring: &Ring, file: &Rc<DmaFile>, pos: u64, len: usize) -> io::Result<ReadBuf> {
    let mut out: Option<IoBuf> = None;
    let mut done = 0;
    while done < len {
        let want = (len - done).min(IO_MAX);
        let hold = under_way(want).await;
        let memory = glommio::allocate_dma_buffer_global(want.next_multiple_of(IO_ALIGN));
        let (n, mut memory) = ring.read_file(file, offset(pos, done)?, memory).await?;
        let got = n.min(want);
        let ends = got < want && !got.is_multiple_of(IO_ALIGN) || got == 0;
        if done == 0 && (ends || got == len) {
            memory.trim_to_size(got);
            let bytes = match got {
                0 => IoBuf::zeroed(0),
                _ => IoBuf {
                    memory: Some(memory),
                    hold: None,
                },
            };
            return Ok(ReadBuf {
                bytes: Read::Own(bytes),
                hold: Some(hold),
            });
        }
        let whole = out.get_or_insert_with(|| IoBuf::zeroed(len));
        let part = memory.as_bytes().get(..got).unwrap_or_default();
        whole[done..done + got].copy_from_slice(part);
        done += got;
        if ends {
            break;
        }
    }
    let mut out = out.unwrap_or_else(|| IoBuf::zeroed(0));
    out.truncate(done);
    Ok(ReadBuf::own(out))
}

async fn write_ring(
    ring: &Ring,
    file: &Rc<DmaFile>,
    pos: u64,
    mut buf: IoBuf,
    durable: bool,
) -> io::Result<IoBuf> {
    let Some(mut memory) = buf.memory.take() else {
        return Ok(buf);
    };
    let (len, mut done) = (memory.len(), 0);
    while done < len {
        let part = done..len.min(done + IO_MAX);
        let (at, want) = (offset(pos, done)?, part.len());
        let wrote = ring.write_file(file, at, memory, part, durable).await?;
        done += progress(wrote.0, want)?;
        memory = wrote.1;
    }
    buf.memory = Some(memory);
    Ok(buf)
}

fn refuses_direct(errno: Option<i32>) -> bool {
    matches!(errno, Some(libc::EINVAL | libc::EOPNOTSUPP))
}

fn offset(pos: u64, done: usize) -> io::Result<u64> {
    pos.checked_add(done as u64)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the position overflows"))
}

async fn write_direct(file: &DmaFile, pos: u64, mut buf: IoBuf) -> io::Result<IoBuf> {
    let Some(whole) = buf.memory.take() else {
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
    buf.memory = match Rc::try_unwrap(whole) {
        Ok(memory) => Some(memory),
        // The ring still holds its share of a finished operation.
        Err(shared) => IoBuf::copied(shared.as_bytes()).memory.take(),
    };
    Ok(buf)
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
