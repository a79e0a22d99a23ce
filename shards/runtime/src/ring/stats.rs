//! What the network's ring has done, in numbers.

use std::cell::Cell;

/// One shard's ring at one moment. Counts are since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingStats {
    /// Under way now.
    pub operations: usize,
    /// Buffers that the kernel has to receive into.
    pub lent: usize,
    /// Calls of io_uring_enter(2).
    pub enters: u64,
    pub completions: u64,
    pub cancels: u64,
    /// Times a socket found no buffer and waited for readiness instead.
    pub starved: u64,
}

#[derive(Default)]
pub(super) struct Count(Cell<u64>);

impl Count {
    pub(super) fn bump(&self) {
        self.0.set(self.0.get() + 1);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.get()
    }
}

#[derive(Default)]
pub(super) struct Counts {
    pub(super) enters: Count,
    pub(super) completions: Count,
    pub(super) cancels: Count,
    pub(super) starved: Count,
}
