//! One query's memory budget.
//!
//! Owns: the count of bytes that one statement's operators and results hold, its ceiling (`QUERY_BYTES_MAX` unless the
//! configuration says otherwise), and how much of it one operator may keep before it spills (`work_mem`). Asked by: every
//! operator that keeps rows, before it keeps them. Never: allocates; it only counts, so a refusal leaves nothing behind.
//! When it is full: operators that can spill do (`keep`), before the last quarter is touched: that is for buffers of those
//! that have spilled, and for one row at a time. What cannot spill (`grow`) gets 53200, with the operator's name.

use std::cell::Cell;
use std::rc::Rc;
use types::limits::WORK_BYTES_MIN;
use types::{Error, Result, SqlState};

/// A shared counter with a ceiling. Clones count against the same budget. Lives on one shard.
#[derive(Clone, Debug)]
pub struct Memory(Rc<Budget>);

/// What a part of a statement that runs elsewhere may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    pub bytes_max: usize,
    pub work_bytes: usize,
}

/// The least that each of many parts gets.
const SHARE_MIN: usize = 1 << 20;

impl Share {
    /// Of each of so many parts that run at the same time.
    pub fn among(self, parts: usize) -> Share {
        let parts = parts.max(1);
        let part = |all: usize, least: usize| (all / parts).max(least.min(all));
        Share {
            bytes_max: part(self.bytes_max, SHARE_MIN),
            work_bytes: part(self.work_bytes, WORK_BYTES_MIN),
        }
    }
}

#[derive(Debug)]
struct Budget {
    bytes_max: usize,
    work_bytes: usize,
    used: Cell<usize>,
    peak: Cell<usize>,
}

impl Memory {
    /// A budget of `bytes_max` bytes.
    pub fn new(bytes_max: usize) -> Memory {
        Memory::with_work(bytes_max, bytes_max)
    }

    /// A budget of `bytes_max` bytes of which one operator keeps at most `work_bytes` when it can spill.
    pub fn with_work(bytes_max: usize, work_bytes: usize) -> Memory {
        Memory(Rc::new(Budget {
            bytes_max,
            work_bytes: work_bytes.min(bytes_max),
            used: Cell::new(0),
            peak: Cell::new(0),
        }))
    }

    /// A budget as a share says.
    pub fn of(share: Share) -> Memory {
        Memory::with_work(share.bytes_max, share.work_bytes)
    }

    /// As much again as this budget has, for what the statement's parts in the partitions hold together.
    pub fn share(&self) -> Share {
        Share {
            bytes_max: self.0.bytes_max,
            work_bytes: self.0.work_bytes,
        }
    }

    /// Takes `bytes` for `operator`; 53200 when they do not fit. Returned when the reservation drops.
    pub fn reserve(&self, operator: &'static str, bytes: usize) -> Result<Reservation> {
        let mut reservation = self.consumer(operator);
        reservation.grow(bytes)?;
        Ok(reservation)
    }

    /// An empty reservation that `operator` will grow.
    pub fn consumer(&self, operator: &'static str) -> Reservation {
        Reservation {
            memory: self.clone(),
            operator,
            bytes: 0,
        }
    }

    /// Bytes reserved now.
    pub fn used(&self) -> usize {
        self.0.used.get()
    }

    /// The most bytes ever reserved at once.
    pub fn peak(&self) -> usize {
        self.0.peak.get()
    }

    /// The ceiling.
    pub fn bytes_max(&self) -> usize {
        self.0.bytes_max
    }

    /// What one operator may keep when it can spill.
    pub fn work_bytes(&self) -> usize {
        self.0.work_bytes
    }

    /// Bytes that could be reserved.
    pub fn free(&self) -> usize {
        self.0.bytes_max - self.0.used.get()
    }
}

/// Of the ceiling, the part that `keep` leaves alone: one in so many.
const RESERVE: usize = 4;
/// What each operator may keep of it all the same, so that it gets on: one in so many.
const FLOOR: usize = 64;

/// Bytes taken from a budget; given back on drop.
#[derive(Debug)]
pub struct Reservation {
    memory: Memory,
    operator: &'static str,
    bytes: usize,
}

impl Reservation {
    /// Takes `bytes` more; on refusal nothing changes.
    pub fn grow(&mut self, bytes: usize) -> Result<()> {
        let budget = &self.memory.0;
        let used = budget.used.get().saturating_add(bytes);
        if used > budget.bytes_max {
            return Err(full(self.operator, budget.bytes_max));
        }
        budget.used.set(used);
        budget.peak.set(budget.peak.get().max(used));
        self.bytes += bytes;
        Ok(())
    }

    /// Takes `bytes` more for what could be spilled instead; on `false` nothing changes.
    pub fn keep(&mut self, bytes: usize) -> bool {
        let budget = &self.memory.0;
        let own = self.bytes.saturating_add(bytes);
        let used = budget.used.get().saturating_add(bytes);
        let room = used <= budget.bytes_max - budget.bytes_max / RESERVE;
        let floor = own <= budget.bytes_max / FLOOR;
        own <= budget.work_bytes && (room || floor) && self.grow(bytes).is_ok()
    }

    /// Gives `bytes` back early.
    pub fn shrink(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        let budget = &self.memory.0;
        budget.used.set(budget.used.get() - bytes);
    }

    /// Makes the reservation exactly `bytes`.
    pub fn set(&mut self, bytes: usize) -> Result<()> {
        if bytes > self.bytes {
            self.grow(bytes - self.bytes)
        } else {
            self.shrink(self.bytes - bytes);
            Ok(())
        }
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// From now on a refusal names this.
    pub fn rename(&mut self, operator: &'static str) {
        self.operator = operator;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.shrink(self.bytes);
    }
}

/// The refusal, worded as PostgreSQL words a failed allocation.
pub(crate) fn full(operator: &str, bytes_max: usize) -> Error {
    Error::new(SqlState::OUT_OF_MEMORY, "out of memory").with_detail(format!(
        "{operator} would hold more than the {bytes_max} bytes that one query may use."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropping_a_reservation_returns_its_bytes() {
        let memory = Memory::new(100);
        let first = memory.reserve("Sort", 60).unwrap();
        assert_eq!(memory.used(), 60);
        drop(first);
        assert_eq!((memory.used(), memory.peak()), (0, 60));
    }

    #[test]
    fn the_ceiling_is_exact_and_a_refusal_takes_nothing() {
        let memory = Memory::new(100);
        let mut r = memory.reserve("Hash Join", 100).unwrap();
        let refused = r.grow(1).unwrap_err();
        assert_eq!(refused.code(), SqlState::OUT_OF_MEMORY);
        assert!(refused.detail().unwrap().starts_with("Hash Join"));
        assert_eq!(memory.used(), 100);
        r.set(40).unwrap();
        assert_eq!(memory.used(), 40);
    }

    #[test]
    fn what_can_spill_stops_at_its_share_and_leaves_a_reserve() {
        let memory = Memory::with_work(1280, 640);
        let mut first = memory.consumer("Sort");
        assert!(first.keep(640) && !first.keep(1));
        let mut second = memory.consumer("Hash Join");
        assert!(second.keep(320) && !second.keep(1));
        // A newcomer gets its floor from the reserve, and no more.
        let mut third = memory.consumer("HashAggregate");
        assert!(third.keep(20) && !third.keep(1));
        third.grow(300).unwrap();
        assert!(third.grow(1).is_err());
        assert_eq!(memory.free(), 0);
    }
}
