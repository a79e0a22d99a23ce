//! The frames that are given up next, kept clean ahead of time.
//!
//! Owns: how many they are and when they may have been used up. Asked by: the background writer, and the store after
//! it has taken frames. Never: looks at more than the cold frames.
//! Bounds: an eighth of the frames, at most `COLD_MAX`, 32 MiB: what statements may take before the writer has had its
//! next turn. At 1 GB/s that is 30 ms.

use super::{FrameId, Pool};

const COLD_FRACTION: usize = 8;
const COLD_MAX: usize = 8192;
/// The writer looks again when this part of the cold frames has been taken.
const USED_FRACTION: usize = 4;

impl Pool {
    /// Frames that ought to be empty, or clean and cold.
    fn cold(&self) -> usize {
        (self.frames() / COLD_FRACTION).min(COLD_MAX)
    }

    /// As `claim_dirty`, among the cold frames.
    pub fn claim_cold(&mut self, n: usize) -> Vec<FrameId> {
        let looks = self.cold().saturating_sub(self.free());
        let claimed = match looks {
            0 => Vec::new(),
            _ => self.claim_among(n, looks),
        };
        if claimed.len() < n {
            self.taken = 0;
        }
        claimed
    }

    /// True when a good part of the cold frames may have been used up since `claim_cold` found no more.
    pub fn wants_writer(&self) -> bool {
        let cold = self.cold();
        self.taken > cold / USED_FRACTION && self.free() < cold && self.dirty() > 0
    }
}
