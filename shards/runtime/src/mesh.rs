//! Lanes between shards: call and reply, and notes.
//!
//! Owns: for each ordered pair of shards a lane of calls, a lane of replies and a lane of notes (all `rtrb`, one
//! producer and one consumer), and for each shard one inbox: a bitmap of who has sent something and one waker
//! (or the bell of its shard's ring, where it has one).
//! Asked by: `engine` and `router`, one mesh a message class. Never: takes a lock, clones a waker per message,
//! drops a message that was accepted, nests: a handler must not wait for a call of its own class (asserted in
//! debug builds), because shards that wait for each other's credits would never stop waiting.
//! Bounds: `credits` calls in flight from one shard to another; a caller waits for a credit before it sends. A
//! call's credit returns when its reply arrives, so the reply lane (as long as the call lane) can never be full,
//! and a shard never waits to answer. A lane holds `credits` notes; the sender of one more waits.
//! Source: design.md §4 "Messages"; the measurements behind the choice of ring are in `benches/mailbox.rs`.

mod lanes;
mod pump;

use crate::executor::ring;
use crate::sync::{Credits, Notify};
use crate::task::spawn;
use lanes::{Call, Inbox, Lanes, Presence, lanes};
use pump::{Pending, WaitReply, nests, pump};
use slab::Slab;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use types::ShardId;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The other shard closed its port, or this one did.
    #[error("shard {0} does not take calls any more")]
    Closed(ShardId),
    #[error("a handler on shard {0} panicked")]
    Panicked(ShardId),
    #[error("there is no shard {0} in this mesh")]
    NoSuchShard(ShardId),
    /// The local path is a direct function call; a message to oneself is a programming error.
    #[error("shard {0} sent a message to itself")]
    ToSelf(ShardId),
}

impl From<CallError> for types::Error {
    fn from(error: CallError) -> types::Error {
        let code = match error {
            CallError::Closed(_) => types::SqlState::ADMIN_SHUTDOWN,
            CallError::Panicked(_) | CallError::NoSuchShard(_) | CallError::ToSelf(_) => {
                types::SqlState::INTERNAL_ERROR
            }
        };
        types::Error::new(code, error.to_string())
    }
}

/// What a port has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MeshStats {
    /// Calls sent.
    pub calls: u64,
    /// Replies to them that arrived.
    pub replies: u64,
    /// Replies that nobody waited for any more.
    pub replies_unwanted: u64,
    /// Notes sent.
    pub notes: u64,
    /// Calls and notes received and handed to the handler.
    pub served: u64,
    /// Handlers that panicked here.
    pub panics: u64,
    /// Calls that had to wait for a credit.
    pub credit_waits: u64,
    /// Notes that had to wait for room.
    pub note_waits: u64,
    /// The most messages ever found in one incoming lane.
    pub lane_depth_max: u64,
    /// Times this shard woke another.
    pub wakes: u64,
}

/// One shard's end of a mesh, before that shard has it. `Send`: made by whoever starts the shards, bound by the
/// shard itself.
pub struct Port<Q, R> {
    presence: Presence,
    credits: usize,
    /// By shard; None for oneself.
    lanes: Vec<Option<Lanes<Q, R>>>,
}

/// Makes the ports of `shards` shards, in order. `credits` (at least 1) is the number of calls that may be in
/// flight, and of notes that may wait, from each shard to each other. Memory grows with shards² × credits.
pub fn mesh<Q: Send + 'static, R: Send + 'static>(
    shards: usize,
    credits: usize,
) -> Vec<Port<Q, R>> {
    let credits = credits.max(1);
    let inboxes: Arc<[Inbox]> = (0..shards).map(|_| Inbox::new(shards)).collect();
    let mut rows: Vec<Vec<Option<Lanes<Q, R>>>> = (0..shards)
        .map(|_| (0..shards).map(|_| None).collect())
        .collect();
    for a in 0..shards {
        let (upto, after) = rows.split_at_mut(a + 1);
        let Some(row) = upto.last_mut() else { continue };
        for (ours, theirs) in row.iter_mut().skip(a + 1).zip(after) {
            let (here, there) = lanes(credits);
            *ours = Some(here);
            theirs[a] = Some(there);
        }
    }
    rows.into_iter()
        .enumerate()
        .map(|(me, lanes)| Port {
            presence: Presence {
                me,
                inboxes: inboxes.clone(),
            },
            credits,
            lanes,
        })
        .collect()
}

impl<Q: Send + 'static, R: Send + 'static> Port<Q, R> {
    pub fn shard(&self) -> ShardId {
        ShardId(self.presence.me as u16)
    }

    /// Takes the port into its shard and starts receiving. Calls wait in their lanes until `serve`.
    pub fn bind(self) -> Rc<BoundPort<Q, R>> {
        let credits = self.credits;
        let peers = self
            .lanes
            .into_iter()
            .map(|lanes| {
                lanes.map(|lanes| Peer {
                    lanes: RefCell::new(lanes),
                    credits: Credits::new("mesh calls", credits),
                    pending: RefCell::new(Slab::new()),
                    room: Notify::new(),
                })
            })
            .collect();
        let port = Rc::new(BoundPort {
            me: self.presence.me,
            presence: self.presence,
            peers,
            handler: RefCell::new(None),
            at_once: RefCell::new(None),
            running: Cell::new(0),
            stats: Cell::new(MeshStats::default()),
        });
        if let Some(ring) = ring() {
            let (me, inboxes) = (port.me, port.presence.inboxes.clone());
            if let Some(bell) = ring.bell(Rc::new(move || inboxes[me].heard())) {
                // Bound once: `self` is gone.
                let _ = port.presence.inboxes[port.me].bell.set(bell);
            }
        }
        spawn(pump(port.clone())).detach();
        port
    }
}

type BoxedReply<R> = Pin<Box<dyn Future<Output = R>>>;
type Handler<Q, R> = Rc<dyn Fn(ShardId, Q) -> BoxedReply<R>>;
/// Answers what has nothing to wait for.
type AtOnce<Q, R> = Rc<dyn Fn(ShardId, &Q) -> Option<R>>;

/// A shard's end of a mesh, on that shard.
pub struct BoundPort<Q, R> {
    me: usize,
    presence: Presence,
    peers: Vec<Option<Peer<Q, R>>>,
    handler: RefCell<Option<Handler<Q, R>>>,
    at_once: RefCell<Option<AtOnce<Q, R>>>,
    /// Handlers of calls that have not answered yet.
    running: Cell<usize>,
    stats: Cell<MeshStats>,
}

struct Peer<Q, R> {
    lanes: RefCell<Lanes<Q, R>>,
    credits: Credits,
    pending: RefCell<Slab<Pending<R>>>,
    /// Of senders of notes.
    room: Notify,
}

impl<Q: Send + 'static, R: Send + 'static> BoundPort<Q, R> {
    pub fn shard(&self) -> ShardId {
        ShardId(self.me as u16)
    }

    pub fn shards(&self) -> usize {
        self.peers.len()
    }

    /// Waits for a credit, sends, waits for the reply. Dropping the future after it sent is allowed: the reply is
    /// thrown away when it arrives, and the credit returns then.
    pub async fn call(&self, to: ShardId, q: Q) -> Result<R, CallError> {
        let peer = self.peer(to)?;
        debug_assert!(
            !nests(self.class()),
            "a handler on shard {} waits for a call of its own class",
            self.me
        );
        if peer.credits.available() == 0 {
            self.count(|s| s.credit_waits += 1);
        }
        let permit = peer.credits.acquire(1).await;
        self.check_open(to)?;
        let slot = peer.pending.borrow_mut().insert(Pending::new(permit));
        let waiting = WaitReply::new(peer, slot);
        let call = Call {
            slot: slot as u32,
            q,
        };
        if peer.lanes.borrow_mut().calls_out.push(call).is_err() {
            debug_assert!(false, "a call lane is full although there was a credit");
            return Err(CallError::Closed(to));
        }
        self.count(|s| s.calls += 1);
        self.signal(to);
        waiting.await
    }

    /// Sends a message without a reply, waiting while the lane is full. `Ok` means it is in the lane.
    pub async fn note(&self, to: ShardId, q: Q) -> Result<(), CallError> {
        let peer = self.peer(to)?;
        let mut q = q;
        let mut waited = false;
        loop {
            self.check_open(to)?;
            match self.push_note(peer, q) {
                Ok(()) => break,
                Err(back) => q = back,
            }
            if !std::mem::replace(&mut waited, true) {
                self.count(|s| s.note_waits += 1);
            }
            peer.room.notified().await;
        }
        self.count(|s| s.notes += 1);
        self.signal(to);
        Ok(())
    }

    /// Like `note`, or gives the message back at once when the lane is full or the other side closed.
    pub fn try_note(&self, to: ShardId, q: Q) -> Result<(), Q> {
        let (Ok(peer), Ok(())) = (self.peer(to), self.check_open(to)) else {
            return Err(q);
        };
        let pushed = peer.lanes.borrow_mut().notes_out.push(q);
        if let Err(rtrb::PushError::Full(q)) = pushed {
            return Err(q);
        }
        self.count(|s| s.notes += 1);
        self.signal(to);
        Ok(())
    }

    /// Serves calls and notes from now on: each is handed to `handler`, whose future runs as a task of its own on
    /// the latency queue; tasks of one sender's messages start in the order of sending. A handler's panic becomes
    /// `CallError::Panicked` at the caller and goes to the panic hook. The reply to a note is thrown away.
    pub fn serve<H, F>(self: &Rc<Self>, handler: H)
    where
        H: Fn(ShardId, Q) -> F + 'static,
        F: Future<Output = R> + 'static,
    {
        let boxed: Handler<Q, R> = Rc::new(move |from, q| Box::pin(handler(from, q)));
        self.handler.replace(Some(boxed));
        // What arrived before stays in its lanes unannounced: have the pump look at all of them.
        for from in 0..self.peers.len() {
            self.presence.inboxes[self.me].signal(from);
        }
    }

    /// Calls are shown to `f` first: what it answers costs no future. A panic in it is the handler's.
    pub fn answer_at_once(&self, f: impl Fn(ShardId, &Q) -> Option<R> + 'static) {
        self.at_once.replace(Some(Rc::new(f)));
    }

    pub fn stats(&self) -> MeshStats {
        self.stats.get()
    }

    /// Calls to `to` that have not been answered.
    pub fn in_flight(&self, to: ShardId) -> usize {
        self.peer(to)
            .map_or(0, |peer| peer.credits.ceiling() - peer.credits.available())
    }

    /// Takes no new calls from others and makes none: callers get `Closed`. Handlers that run still answer.
    pub fn close(&self) {
        self.presence.close();
    }

    pub fn is_closed(&self) -> bool {
        self.presence.inboxes[self.me]
            .closed
            .load(Ordering::Acquire)
    }

    /// Tells mesh classes apart, for the assertion against nesting.
    fn class(&self) -> usize {
        self.presence.inboxes.as_ptr() as usize
    }

    fn peer(&self, to: ShardId) -> Result<&Peer<Q, R>, CallError> {
        let index = usize::from(to.0);
        debug_assert!(index != self.me, "shard {index} sends a message to itself");
        match self.peers.get(index) {
            Some(Some(peer)) => Ok(peer),
            Some(None) => Err(CallError::ToSelf(to)),
            None => Err(CallError::NoSuchShard(to)),
        }
    }

    fn check_open(&self, to: ShardId) -> Result<(), CallError> {
        for shard in [usize::from(to.0), self.me] {
            if self.presence.inboxes[shard].closed.load(Ordering::Acquire) {
                return Err(CallError::Closed(ShardId(shard as u16)));
            }
        }
        Ok(())
    }

    fn push_note(&self, peer: &Peer<Q, R>, q: Q) -> Result<(), Q> {
        let mut lanes = peer.lanes.borrow_mut();
        let Err(rtrb::PushError::Full(q)) = lanes.notes_out.push(q) else {
            return Ok(());
        };
        // Announce the wait before the last look: either this push finds the room that the other side made, or
        // the other side finds the announcement after it made room.
        lanes.blocked_out.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        match lanes.notes_out.push(q) {
            Ok(()) => Ok(()),
            Err(rtrb::PushError::Full(q)) => Err(q),
        }
    }

    fn signal(&self, to: ShardId) {
        if self.presence.inboxes[usize::from(to.0)].signal(self.me) {
            self.count(|s| s.wakes += 1);
        }
    }

    fn count(&self, f: impl FnOnce(&mut MeshStats)) {
        let mut stats = self.stats.get();
        f(&mut stats);
        self.stats.set(stats);
    }
}

#[cfg(test)]
#[path = "mesh_tests.rs"]
mod tests;
