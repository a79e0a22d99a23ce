//! What is taken from a pool.
//!
//! Owns: `Hold`, a count in the pool, and `Buffer`, a count with memory. Both give themselves back when dropped.
//! Never: shows bytes that nobody wrote since it was taken, but through `spare`, which is there to be written.

use super::class::Class;
use super::limits::Share;
use super::pool::Pool;
use glommio::io::DmaBuffer;
use std::fmt;
use std::ops::Deref;
use std::rc::Rc;

/// Bytes that count as in use until it is dropped.
#[must_use = "what is held goes back when this is dropped"]
pub struct Hold {
    pool: Rc<Pool>,
    share: Share,
    class: Class,
    units: usize,
}

impl Hold {
    /// For `units` that the pool has granted.
    pub(super) fn new(pool: Rc<Pool>, share: Share, class: Class, units: usize) -> Hold {
        Hold {
            pool,
            share,
            class,
            units,
        }
    }

    pub fn class(&self) -> Class {
        self.class
    }

    /// What it counts as.
    pub fn bytes(&self) -> usize {
        self.class.bytes() * self.units
    }

    /// Whether memory of `len` bytes is a buffer of its class.
    pub(crate) fn is_buffer(&self, len: usize) -> bool {
        self.units == 1 && len == self.class.bytes()
    }

    /// Memory of `len` bytes, whatever is in it: a free buffer when it is one of its class, else new.
    pub(crate) fn memory(&self, len: usize) -> DmaBuffer {
        match self.is_buffer(len) {
            true => self.pool.memory(self.class),
            false => super::pool::new_memory(len),
        }
    }

    /// Ends the hold; the memory lies free for the next one if it is a buffer.
    pub(crate) fn recycle(self, memory: DmaBuffer) {
        if self.is_buffer(memory.len()) {
            self.pool.recycle(self.class, memory);
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.pool.give_back(self.share, self.class, self.units);
    }
}

/// Memory of one class, aligned to 4096 bytes, filled from its start. Lives on the thread of its pool.
pub struct Buffer {
    /// None while it is dropped.
    inner: Option<(DmaBuffer, Hold)>,
    len: usize,
}

impl Buffer {
    pub(super) fn new(hold: Hold, bytes: usize) -> Buffer {
        let memory = hold.memory(bytes);
        Buffer {
            inner: Some((memory, hold)),
            len: 0,
        }
    }

    pub fn capacity(&self) -> usize {
        self.inner.as_ref().map_or(0, |(memory, _)| memory.len())
    }

    pub fn class(&self) -> Option<Class> {
        self.inner.as_ref().map(|(_, hold)| hold.class)
    }

    /// For whom it was taken.
    pub fn share(&self) -> Option<Share> {
        self.inner.as_ref().map(|(_, hold)| hold.share)
    }

    /// Room after what is filled. What is in it may be anything: it is there to be overwritten.
    pub fn spare(&mut self) -> &mut [u8] {
        let len = self.len;
        let memory = self.inner.as_mut().map(|(memory, _)| memory);
        memory.map_or(&mut [], |m| m.as_bytes_mut().split_at_mut(len).1)
    }

    /// The first `n` bytes of `spare` were written.
    pub fn advance(&mut self, n: usize) {
        self.len = self.len.saturating_add(n).min(self.capacity());
    }

    /// Copies as much as there is room for; how much that was.
    pub fn fill(&mut self, bytes: &[u8]) -> usize {
        let spare = self.spare();
        let n = spare.len().min(bytes.len());
        spare[..n].copy_from_slice(&bytes[..n]);
        self.advance(n);
        n
    }

    /// Drops the first `n` bytes; the rest moves to the front.
    pub fn shift(&mut self, n: usize) {
        let (n, len) = (n.min(self.len), self.len);
        if let Some((memory, _)) = &mut self.inner {
            memory.as_bytes_mut().copy_within(n..len, 0);
        }
        self.len = len - n;
    }

    pub fn clear(&mut self) {
        self.len = 0;
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let memory = self.inner.as_ref().map(|(memory, _)| memory.as_bytes());
        memory.map_or(&[], |bytes| &bytes[..self.len])
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some((memory, hold)) = self.inner.take() {
            hold.recycle(memory);
        }
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({} of {} bytes)", self.len, self.capacity())
    }
}
