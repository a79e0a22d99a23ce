//! How other shards wake one that sleeps.
//!
//! Owns: whether somebody has rung, whether the owner sleeps, and the pipe that its ring watches. Asked by: the mesh, from
//! any thread (`ring`); the pump, on its own (`rest`, `answer`). Never: says who rang; each inbox knows its senders. Never
//! an eventfd: the ring tells an eventfd itself, and the kernel does not signal one from within the write to another.
//! Bounds: one byte a sleep, however many ring.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

pub(crate) struct Bell {
    rung: AtomicBool,
    /// The owner sleeps, or is about to and will look at `rung` once more.
    resting: AtomicBool,
    reader: File,
    writer: File,
}

impl Bell {
    /// Of a pipe whose ends do not block.
    pub(super) fn new(reader: OwnedFd, writer: OwnedFd) -> Bell {
        Bell {
            rung: AtomicBool::new(false),
            resting: AtomicBool::new(false),
            reader: File::from(reader),
            writer: File::from(writer),
        }
    }

    /// From any thread, after what the owner is to find was put there.
    pub(crate) fn ring(&self) {
        // Who came first has woken the owner, if that was needed.
        if !self.rung.swap(true, Ordering::SeqCst) && self.resting.swap(false, Ordering::SeqCst) {
            self.write();
        }
    }

    /// Wakes the ring that watches it.
    fn write(&self) {
        // A full pipe has woken it already.
        if let Err(error) = (&self.writer).write(&[1])
            && error.kind() != io::ErrorKind::WouldBlock
        {
            tracing::error!(%error, "a shard could not be woken");
        }
    }

    /// Takes out of the pipe what is in it.
    pub(super) fn drain(&self) {
        let mut bytes = [0; 64];
        while matches!((&self.reader).read(&mut bytes), Ok(64)) {}
    }

    pub(super) fn is_rung(&self) -> bool {
        self.rung.load(Ordering::Relaxed)
    }

    /// The owner is about to sleep. False, and it must not, when somebody has rung.
    pub(super) fn rest(&self) -> bool {
        self.resting.store(true, Ordering::SeqCst);
        let quiet = !self.rung.load(Ordering::SeqCst);
        if !quiet {
            self.resting.store(false, Ordering::SeqCst);
        }
        quiet
    }

    /// The owner is awake. Whether somebody has rung since the last call.
    pub(super) fn answer(&self) -> bool {
        self.resting.store(false, Ordering::SeqCst);
        self.rung.swap(false, Ordering::SeqCst)
    }

    pub(super) fn fd(&self) -> RawFd {
        self.reader.as_raw_fd()
    }
}
