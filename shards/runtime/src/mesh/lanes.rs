//! The rings between two shards and the inbox of one.
//!
//! Owns: what crosses threads: the six rings of a pair, the bitmap and waker of a receiver, and the word that a
//! shard has left. Asked by: the mesh alone. Never: runs a handler or holds a credit.
//! Bounds: each ring holds `credits` messages.

use crate::ring::Bell;
use atomic_waker::AtomicWaker;
use rtrb::{Consumer, Producer, RingBuffer};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

pub(super) struct Call<Q> {
    /// The caller's slot for the reply.
    pub(super) slot: u32,
    pub(super) q: Q,
}

pub(super) enum Outcome<R> {
    Done(R),
    Panicked,
    /// The port closed before the handler saw the call.
    Refused,
}

pub(super) struct Reply<R> {
    pub(super) slot: u32,
    pub(super) outcome: Outcome<R>,
}

/// What others tell a shard: who has something for it, and how to wake it.
pub(super) struct Inbox {
    /// One bit a sender.
    pub(super) dirty: Box<[AtomicU64]>,
    pub(super) waker: AtomicWaker,
    /// Rung instead, where the owner has one.
    pub(super) bell: OnceLock<Arc<Bell>>,
    /// Takes no new calls.
    pub(super) closed: AtomicBool,
    /// Will not answer any more either.
    pub(super) gone: AtomicBool,
}

impl Inbox {
    pub(super) fn new(shards: usize) -> Inbox {
        Inbox {
            dirty: (0..shards.div_ceil(64))
                .map(|_| AtomicU64::new(0))
                .collect(),
            waker: AtomicWaker::new(),
            bell: OnceLock::new(),
            closed: AtomicBool::new(false),
            gone: AtomicBool::new(false),
        }
    }

    /// Marks `from` and wakes the owner if it does not know yet. Returns whether it woke.
    ///
    /// Not lost: the owner registers its waker and then takes the bits. A bit set before the taking is seen by
    /// it, with all that was written before the bit; one set after finds the word clear and wakes.
    pub(super) fn signal(&self, from: usize) -> bool {
        let bit = 1 << (from % 64);
        let fresh = self.dirty[from / 64].fetch_or(bit, Ordering::AcqRel) & bit == 0;
        if fresh {
            match self.bell.get() {
                Some(bell) => bell.ring(),
                None => self.waker.wake(),
            }
        }
        fresh
    }

    /// As `signal`, by the owner.
    pub(super) fn signal_oneself(&self, from: usize) {
        self.dirty[from / 64].fetch_or(1 << (from % 64), Ordering::AcqRel);
        self.waker.wake();
    }

    /// On the owner's thread, when its bell was rung.
    pub(super) fn heard(&self) {
        if self
            .dirty
            .iter()
            .any(|word| word.load(Ordering::Acquire) != 0)
        {
            self.waker.wake();
        }
    }
}

/// The lanes of one shard with one other.
pub(super) struct Lanes<Q, R> {
    pub(super) calls_out: Producer<Call<Q>>,
    pub(super) calls_in: Consumer<Call<Q>>,
    pub(super) replies_out: Producer<Reply<R>>,
    pub(super) replies_in: Consumer<Reply<R>>,
    pub(super) notes_out: Producer<Q>,
    pub(super) notes_in: Consumer<Q>,
    /// Set by us when we wait for room in `notes_out`.
    pub(super) blocked_out: Arc<AtomicBool>,
    /// Set by them when they wait for room in `notes_in`.
    pub(super) blocked_in: Arc<AtomicBool>,
}

/// Both ends of the six rings between two shards.
pub(super) fn lanes<Q, R>(credits: usize) -> (Lanes<Q, R>, Lanes<Q, R>) {
    let (calls_ab, calls_at_b) = RingBuffer::new(credits);
    let (calls_ba, calls_at_a) = RingBuffer::new(credits);
    let (replies_ab, replies_at_b) = RingBuffer::new(credits);
    let (replies_ba, replies_at_a) = RingBuffer::new(credits);
    let (notes_ab, notes_at_b) = RingBuffer::new(credits);
    let (notes_ba, notes_at_a) = RingBuffer::new(credits);
    let (a_blocked, b_blocked) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
    let a = Lanes {
        calls_out: calls_ab,
        calls_in: calls_at_a,
        replies_out: replies_ab,
        replies_in: replies_at_a,
        notes_out: notes_ab,
        notes_in: notes_at_a,
        blocked_out: a_blocked.clone(),
        blocked_in: b_blocked.clone(),
    };
    let b = Lanes {
        calls_out: calls_ba,
        calls_in: calls_at_b,
        replies_out: replies_ba,
        replies_in: replies_at_b,
        notes_out: notes_ba,
        notes_in: notes_at_b,
        blocked_out: b_blocked,
        blocked_in: a_blocked,
    };
    (a, b)
}

/// A shard's being there for the others. Dropping it tells them that it is not.
pub(super) struct Presence {
    pub(super) me: usize,
    pub(super) inboxes: Arc<[Inbox]>,
}

impl Presence {
    /// Takes no new calls; wakes everybody the first time.
    pub(super) fn close(&self) {
        if !self.inboxes[self.me].closed.swap(true, Ordering::AcqRel) {
            self.signal_all();
        }
    }

    /// Will answer nothing any more; wakes everybody the first time.
    pub(super) fn leave(&self) {
        self.close();
        if !self.inboxes[self.me].gone.swap(true, Ordering::AcqRel) {
            self.signal_all();
        }
    }

    /// Itself included.
    fn signal_all(&self) {
        for inbox in self.inboxes.iter() {
            inbox.signal(self.me);
        }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.leave();
    }
}
