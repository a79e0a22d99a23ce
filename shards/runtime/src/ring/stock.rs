//! Buffers lent to the kernel, which picks one when something arrives.
//!
//! Owns: the ring of buffers that is shared with the kernel and the buffers in it. Asked by: `Ring` alone.
//! Never: waits for a buffer; what the pool does not give now is asked for again after the next completions.
//! Bounds: `STOCK` buffers of 4 KiB from `Extra`: with the pool short of memory it runs dry, and sockets read into
//! buffers of their own. A socket that waits for its peer has none.
//! Source: io_uring_register(2), IORING_REGISTER_PBUF_RING.

use crate::buffers::{Buffer, Class, Pool, Share};
use io_uring::Submitter;
use io_uring::types::BufRingEntry;
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::io;
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::atomic::{AtomicU16, Ordering};

/// Buffers lent at most: a power of two.
pub(super) const STOCK: usize = 64;

/// The only group there is.
pub(super) const GROUP: u16 = 0;

const _: () = assert!(STOCK.is_power_of_two() && STOCK <= 1 << 15);

pub(super) struct Stock {
    pool: Rc<Pool>,
    entries: Entries,
    /// By number; None once the kernel has received into it.
    buffers: Vec<Option<Buffer>>,
    empty: Vec<u16>,
    tail: u16,
}

/// The memory that the kernel reads: aligned to a page.
struct Entries {
    first: NonNull<BufRingEntry>,
    layout: Layout,
}

impl Entries {
    fn new() -> io::Result<Entries> {
        let layout = Layout::from_size_align(STOCK * size_of::<BufRingEntry>(), 4096);
        let layout = layout.map_err(io::Error::other)?;
        // SAFETY: the layout is not empty.
        let memory = unsafe { alloc_zeroed(layout) };
        let first = NonNull::new(memory.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Entries { first, layout })
    }
}

impl Drop for Entries {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout. The ring that knew of it is closed, see `Ring::close`.
        unsafe { dealloc(self.first.as_ptr().cast(), self.layout) };
    }
}

impl Stock {
    pub(super) fn register(submitter: &Submitter<'_>, pool: Rc<Pool>) -> io::Result<Stock> {
        let entries = Entries::new()?;
        let address = entries.first.as_ptr() as u64;
        // SAFETY: the memory has room for `STOCK` entries and is freed after the ring.
        unsafe { submitter.register_buf_ring_with_flags(address, STOCK as u16, GROUP, 0) }?;
        Ok(Stock {
            pool,
            entries,
            buffers: (0..STOCK).map(|_| None).collect(),
            empty: (0..STOCK as u16).rev().collect(),
            tail: 0,
        })
    }

    /// Buffers that the kernel has, or has used without our knowing yet.
    pub(super) fn lent(&self) -> usize {
        STOCK - self.empty.len()
    }

    /// What the kernel has received into.
    pub(super) fn take(&mut self, number: u16) -> Option<Buffer> {
        let buffer = self.buffers.get_mut(usize::from(number))?.take()?;
        self.empty.push(number);
        Some(buffer)
    }

    /// Lends buffers until there are `most`, as far as the pool has some to spare.
    pub(super) fn restock(&mut self, most: usize) {
        let before = self.tail;
        while self.lent() < most
            && let Some(number) = self.empty.last().copied()
        {
            let Some(mut buffer) = self.pool.try_take(Share::Extra, Class::Kib4) else {
                break;
            };
            self.empty.pop();
            let spare = buffer.spare();
            let at = usize::from(self.tail) & (STOCK - 1);
            // SAFETY: `at` is within the ring, and the kernel does not look at entries beyond the tail.
            let entry = unsafe { &mut *self.entries.first.as_ptr().add(at) };
            entry.set_addr(spare.as_mut_ptr() as u64);
            entry.set_len(spare.len() as u32);
            entry.set_bid(number);
            if let Some(slot) = self.buffers.get_mut(usize::from(number)) {
                *slot = Some(buffer);
            }
            self.tail = self.tail.wrapping_add(1);
        }
        if self.tail != before {
            // SAFETY: the tail is where the kernel documents it, in the first entry; it is read there atomically.
            let tail =
                unsafe { &*BufRingEntry::tail(self.entries.first.as_ptr()).cast::<AtomicU16>() };
            tail.store(self.tail, Ordering::Release);
        }
    }
}
