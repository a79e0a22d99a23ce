//! What a pool has done, in numbers.
//!
//! Owns: the counters of a class and what of them leaves the pool. Never: is wrong by a race: a pool has one thread.

use super::class::{CLASSES, Class};

/// One class of a pool. Counts are since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClassStats {
    pub class: Class,
    /// The most there can be in use.
    pub ceiling: usize,
    pub in_use: usize,
    /// The most there were in use.
    pub high_water: usize,
    /// In memory and in nobody's use.
    pub free: usize,
    pub taken: u64,
    /// Asked for without waiting, and not given.
    pub refused: u64,
    /// Waiting now.
    pub waiting: usize,
    pub waits: u64,
    /// Of waits that ended, with a buffer or without.
    pub wait_ns: u64,
}

/// A pool at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolStats {
    pub classes: [ClassStats; CLASSES],
    pub bytes_max: usize,
    pub bytes_in_use: usize,
    pub bytes_high_water: usize,
    /// Memory held ready.
    pub bytes_free: usize,
}

impl PoolStats {
    pub fn of(&self, class: Class) -> ClassStats {
        self.classes[class.index()]
    }
}

#[derive(Clone, Copy, Default)]
pub(super) struct Counts {
    pub in_use: usize,
    pub high_water: usize,
    pub taken: u64,
    pub refused: u64,
    pub waits: u64,
    pub wait_ns: u64,
}
