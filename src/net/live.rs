//! The connections of one shard that are open now, and counts of those that were.
//!
//! Owns: the number of open connections and who waits for it to be zero. Asked by: `net`'s accept loops (enter),
//! `server` (drain, metrics). Never: closes a connection; each protocol ends its own when it sees the drain.
//! Bounds: counters only.

use std::cell::Cell;
use std::rc::Rc;

/// Open connections of a shard; shared by its endpoints.
#[derive(Default)]
pub struct Live {
    open: Cell<u64>,
    accepted: Cell<u64>,
    refused: Cell<u64>,
    dropped: Cell<u64>,
    panicked: Cell<u64>,
    accept_errors: Cell<u64>,
    empty: runtime::Notify,
}

/// Counts since the start, except `open`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub open: u64,
    pub accepted: u64,
    /// No slot: told so in the protocol's words.
    pub refused: u64,
    /// No slot and too many refusals under way: closed without a word.
    pub dropped: u64,
    pub panicked: u64,
    pub accept_errors: u64,
}

/// Counts one connection as open until it is dropped.
pub struct Open(Rc<Live>);

impl Live {
    pub fn new() -> Rc<Live> {
        Rc::new(Live::default())
    }

    pub fn enter(self: &Rc<Live>) -> Open {
        self.open.set(self.open.get() + 1);
        Open(self.clone())
    }

    /// Returns once no connection is open.
    pub async fn drained(&self) {
        loop {
            let changed = self.empty.notified();
            if self.open.get() == 0 {
                return;
            }
            changed.await;
        }
    }

    pub fn stats(&self) -> Stats {
        Stats {
            open: self.open.get(),
            accepted: self.accepted.get(),
            refused: self.refused.get(),
            dropped: self.dropped.get(),
            panicked: self.panicked.get(),
            accept_errors: self.accept_errors.get(),
        }
    }

    pub(super) fn count_accepted(&self) {
        self.accepted.set(self.accepted.get() + 1);
    }

    pub(super) fn count_refused(&self) {
        self.refused.set(self.refused.get() + 1);
    }

    pub(super) fn count_dropped(&self) {
        self.dropped.set(self.dropped.get() + 1);
    }

    pub(super) fn count_panicked(&self) {
        self.panicked.set(self.panicked.get() + 1);
    }

    pub(super) fn count_accept_error(&self) {
        self.accept_errors.set(self.accept_errors.get() + 1);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let left = self.0.open.get().saturating_sub(1);
        self.0.open.set(left);
        if left == 0 {
            self.0.empty.notify_all();
        }
    }
}
