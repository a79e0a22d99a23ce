//! Waiting for one another on one executor: `oneshot`, `Notify`, `Credits`, a bounded `channel`.
//!
//! Owns: the waiters of each primitive, in order of arrival. Asked by: everything shard-local.
//! Never: leaves its thread (all of it is `!Send`), spins, or wakes a task without a reason.
//! Bounds: `Credits` hand out at most their ceiling, `channel` holds at most its capacity; waiters are futures of
//! the callers, so they are bounded by whatever bounds the callers.

pub mod channel;
mod credits;
mod notify;
pub mod oneshot;

pub use credits::{Credits, Permit};
pub use notify::{Notified, Notify};

use std::cell::RefCell;
use std::task::{Context, Waker};

/// The other side is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the other side is closed")]
pub struct Closed;

pub(crate) fn store(slot: &RefCell<Option<Waker>>, cx: &Context<'_>) {
    let mut slot = slot.borrow_mut();
    if !slot.as_ref().is_some_and(|w| w.will_wake(cx.waker())) {
        *slot = Some(cx.waker().clone());
    }
}

pub(crate) fn wake(slot: &RefCell<Option<Waker>>) {
    let waker = slot.borrow_mut().take();
    if let Some(waker) = waker {
        waker.wake();
    }
}

#[cfg(test)]
#[path = "sync_tests.rs"]
mod tests;
