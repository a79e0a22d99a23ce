//! The hybrid logical clock: one per shard, all on the machine's monotonic clock plus one base.
//!
//! Owns: the order of commits and snapshots. `now` never repeats on a shard; a message from another shard carries its
//! sender's reading and `merge` puts this clock beyond it, so a commit decided after a snapshot was seen is stamped above
//! it. Because every shard reads the same monotonic clock, a client that saw a commit acknowledged finds it in a snapshot
//! taken afterwards on any shard. Bounds: nanoseconds since 1970 in 64 bits last until 2554.
//! Source: Kulkarni et al., "Logical Physical Clocks", 2014.

use std::cell::Cell;
use types::Ts;

pub struct Clock {
    /// Added to the monotonic clock; the same on all shards, at least the newest timestamp found on disk at start.
    base: Cell<u64>,
    last: Cell<u64>,
}

impl Clock {
    pub fn new(base: u64) -> Clock {
        Clock {
            base: Cell::new(base),
            last: Cell::new(0),
        }
    }

    /// A base by which readings are at least the wall clock's and above `floor`.
    pub fn base_above(floor: Ts) -> u64 {
        let wall = u64::try_from(runtime::wall_micros())
            .unwrap_or(0)
            .saturating_mul(1_000);
        wall.max(floor.0.saturating_add(1))
            .saturating_sub(runtime::monotonic_ns())
    }

    pub fn set_base(&self, base: u64) {
        self.base.set(base);
    }

    /// A reading above every earlier one of this shard.
    pub fn now(&self) -> Ts {
        let physical = self.base.get().saturating_add(runtime::monotonic_ns());
        let next = physical.max(self.last.get() + 1);
        self.last.set(next);
        Ts(next)
    }

    /// After a message stamped `seen`: later readings are above it.
    pub fn merge(&self, seen: Ts) {
        self.last.set(self.last.get().max(seen.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_are_strictly_increasing_and_pass_what_was_seen() {
        let clock = Clock::new(0);
        let first = clock.now();
        let second = clock.now();
        assert!(second > first);
        let ahead = Ts(second.0 + 1_000_000_000_000);
        clock.merge(ahead);
        assert!(clock.now() > ahead);
    }

    #[test]
    fn a_base_puts_the_clock_above_the_floor() {
        let floor = Ts(u64::try_from(runtime::wall_micros()).unwrap() * 1_000 + 3_600_000_000_000);
        let clock = Clock::new(Clock::base_above(floor));
        assert!(clock.now() > floor);
    }
}
