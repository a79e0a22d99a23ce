//! What a store is told when it is opened.
//!
//! Owns: the knobs, their defaults and their floors. Asked by: whoever opens a store. Never: read from a file here.

use crate::page::PAGE_BYTES;
pub use crate::pool::policy::Policy;
use std::path::PathBuf;
use std::time::Duration;

/// The pool never has fewer frames: a change of a deep tree and a few readers need that many at once.
pub(crate) const FRAMES_MIN: usize = 64;
const SEGMENT_BYTES_MIN: u64 = 64 << 10;

#[derive(Clone, Debug)]
pub struct Options {
    /// The buffer pool, in bytes. At least 256 KiB.
    pub pool_bytes: usize,
    /// A log segment, in bytes; a longer record gets one of its own. At least 64 KiB.
    pub wal_segment_bytes: u64,
    /// Log bytes in memory at which `admit` holds writers back; half of it starts a flush nobody waits for.
    pub wal_buffer_bytes: usize,
    /// Log bytes since the last checkpoint at which the next is due.
    pub checkpoint_wal_bytes: u64,
    /// Log bytes behind its end that checkpoints leave, for incremental backups.
    pub wal_keep_bytes: u64,
    /// Where finished segments are copied to before a checkpoint may delete them.
    pub archive: Option<PathBuf>,
    /// The log goes on at a position that no earlier history of the store has used: for a restored one.
    pub new_history: bool,
    pub policy: Policy,
    /// How long a call waits for a frame when all of the pool is pinned, before it fails.
    pub frame_wait: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            pool_bytes: 64 << 20,
            wal_segment_bytes: 16 << 20,
            wal_buffer_bytes: 8 << 20,
            checkpoint_wal_bytes: 256 << 20,
            wal_keep_bytes: 0,
            archive: None,
            new_history: false,
            policy: Policy::Clock,
            frame_wait: Duration::from_secs(5),
        }
    }
}

impl Options {
    pub(crate) fn frames(&self) -> usize {
        (self.pool_bytes / PAGE_BYTES)
            .max(FRAMES_MIN)
            .min(u32::MAX as usize)
    }

    pub(crate) fn segment_bytes(&self) -> u64 {
        self.wal_segment_bytes.max(SEGMENT_BYTES_MIN)
    }
}
