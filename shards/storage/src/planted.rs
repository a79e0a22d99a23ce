//! Bugs that a test plants here, to prove that the harness which looks for such bugs finds them.
//!
//! Owns: which checks this thread leaves out. Asked by: `page`, `wal::record` and the engine, under the feature `simulation` alone.
//! Never: part of a shipped binary. Other bugs (a skipped sync, a late write) are planted in the simulated disk.

use std::cell::Cell;

/// A check that can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// Pages are taken as they are read.
    PageChecksum,
    /// Log records are taken as they are read, if they name their position.
    RecordChecksum,
    /// What a transaction has seen of another that is not on the disk yet is told at once.
    ToldEarly,
}

thread_local! {
    static PLANTED: Cell<Option<Planted>> = const { Cell::new(None) };
}

/// On this thread, until the guard is dropped.
#[must_use = "the bug goes when the guard is dropped"]
pub fn plant(bug: Planted) -> Guard {
    PLANTED.set(Some(bug));
    Guard(())
}

pub struct Guard(());

impl Drop for Guard {
    fn drop(&mut self) {
        PLANTED.set(None);
    }
}

pub fn has(bug: Planted) -> bool {
    PLANTED.get() == Some(bug)
}
