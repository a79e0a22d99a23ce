//! Reads, writes and syncs of files.
//!
//! Owns: an operation's memory and its file until the kernel's last word of it, also when whoever waits for it goes away.
//! Asked by: `io`. Never: repeats an operation or cuts one to size; knows a position's meaning.
//! Bounds: none of its own: each operation is held against `Share::Disk` by its caller.
//! Source: io_uring_enter(2), IORING_OP_READ, WRITE and FSYNC; pwritev2(2) for RWF_DSYNC.

use super::{Complete, Done, Ring};
use glommio::io::{DmaBuffer, DmaFile};
use io_uring::{opcode, squeue, types};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::task::{Poll, Waker};

/// One operation. The ring keeps it until its completion.
struct Disk {
    /// Closed by nobody before the kernel has taken the operation.
    _file: Rc<DmaFile>,
    /// The kernel reads or writes it.
    memory: RefCell<Option<DmaBuffer>>,
    result: Cell<Option<i32>>,
    waker: RefCell<Option<Waker>>,
}

impl Complete for Disk {
    fn complete(&self, _: &Ring, done: Done) {
        self.result.set(Some(done.result));
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Ring {
    /// Reads from `pos` to the end of `memory`: how many bytes there were.
    pub(crate) async fn read_file(
        &self,
        file: &Rc<DmaFile>,
        pos: u64,
        mut memory: DmaBuffer,
    ) -> io::Result<(usize, DmaBuffer)> {
        let bytes = memory.as_bytes_mut();
        let (at, len) = (bytes.as_mut_ptr(), bytes.len() as u32);
        let read = opcode::Read::new(types::Fd(file.as_raw_fd()), at, len);
        let (n, memory) = self
            .on_disk(file, read.offset(pos).build(), Some(memory))
            .await?;
        let memory = memory.ok_or_else(lost)?;
        Ok((n, memory))
    }

    /// Writes these bytes of `memory` at `pos`: how many were taken. `durable`: they are on the device when it
    /// returns, as if by fdatasync.
    pub(crate) async fn write_file(
        &self,
        file: &Rc<DmaFile>,
        pos: u64,
        memory: DmaBuffer,
        part: Range<usize>,
        durable: bool,
    ) -> io::Result<(usize, DmaBuffer)> {
        let bytes = memory.as_bytes().get(part).unwrap_or_default();
        let (at, len) = (bytes.as_ptr(), bytes.len() as u32);
        let write = opcode::Write::new(types::Fd(file.as_raw_fd()), at, len).offset(pos);
        let write = write.rw_flags(if durable { libc::RWF_DSYNC } else { 0 });
        let (n, memory) = self.on_disk(file, write.build(), Some(memory)).await?;
        let memory = memory.ok_or_else(lost)?;
        Ok((n, memory))
    }

    /// fdatasync(2).
    pub(crate) async fn sync_file(&self, file: &Rc<DmaFile>) -> io::Result<()> {
        let sync = opcode::Fsync::new(types::Fd(file.as_raw_fd()));
        let sync = sync.flags(types::FsyncFlags::DATASYNC).build();
        self.on_disk(file, sync, None).await.map(drop)
    }

    async fn on_disk(
        &self,
        file: &Rc<DmaFile>,
        entry: squeue::Entry,
        memory: Option<DmaBuffer>,
    ) -> io::Result<(usize, Option<DmaBuffer>)> {
        if self.closing.get() {
            return Err(io::Error::other("the shard is stopping"));
        }
        let disk = Rc::new(Disk {
            _file: file.clone(),
            memory: RefCell::new(memory),
            result: Cell::new(None),
            waker: RefCell::new(None),
        });
        self.start(entry, disk.clone());
        let result = poll_fn(|cx| match disk.result.get() {
            Some(result) => Poll::Ready(result),
            None => {
                disk.waker.replace(Some(cx.waker().clone()));
                Poll::Pending
            }
        })
        .await;
        match usize::try_from(result) {
            Ok(n) => Ok((n, disk.memory.take())),
            Err(_) => Err(io::Error::from_raw_os_error(-result)),
        }
    }
}

/// Only one who waits takes the memory.
fn lost() -> io::Error {
    io::Error::other("the memory of an operation was lost")
}
