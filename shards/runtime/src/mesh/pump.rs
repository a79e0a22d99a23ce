//! The receiving side of a port: one task that empties the lanes, and the wrappers around handlers and replies.
//!
//! Owns: the slots of calls that wait for a reply, the running handlers. Asked by: the mesh alone.
//! Never: waits for a handler (one that waits becomes its own task), leaves a call without an answer while both shards live.
//! Bounds: `BATCH` calls and notes from one sender before the next sender has its turn; handlers running here are
//! at most `credits` calls a sender, and as many notes as were sent: a handler of notes must be short.

use super::lanes::{Call, Outcome, Reply};
use super::{AtOnce, BoundPort, CallError, Handler, Peer};
use crate::executor::report_panic;
use crate::sync::Permit;
use crate::task::{need_yield, spawn, yield_now};
use futures_util::FutureExt;
use std::cell::Cell;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{Ordering, fence};
use std::task::{Context, Poll, Waker};
use types::ShardId;

/// Messages taken from one lane before the next lane has its turn.
const BATCH: usize = 64;

/// A call of ours on its way. Its slot's number is on the wire, so it stays taken until the reply has come.
pub(super) struct Pending<R> {
    /// The credit of the call, until the reply has come.
    permit: Option<Permit>,
    waker: Option<Waker>,
    /// False once the caller went away.
    wanted: bool,
    reply: Option<Result<R, CallError>>,
}

impl<R> Pending<R> {
    pub(super) fn new(permit: Permit) -> Pending<R> {
        Pending {
            permit: Some(permit),
            waker: None,
            wanted: true,
            reply: None,
        }
    }
}

/// Waits for the reply in one slot.
pub(super) struct WaitReply<'a, Q, R> {
    peer: &'a Peer<Q, R>,
    /// None when done.
    slot: Option<usize>,
}

impl<'a, Q, R> WaitReply<'a, Q, R> {
    pub(super) fn new(peer: &'a Peer<Q, R>, slot: usize) -> WaitReply<'a, Q, R> {
        WaitReply {
            peer,
            slot: Some(slot),
        }
    }
}

impl<Q, R> Future for WaitReply<'_, Q, R> {
    type Output = Result<R, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut slots = self.peer.pending.borrow_mut();
        let Some(pending) = self.slot.and_then(|slot| slots.get_mut(slot)) else {
            return Poll::Pending;
        };
        let Some(reply) = pending.reply.take() else {
            let known = pending.waker.as_ref();
            if !known.is_some_and(|w| w.will_wake(cx.waker())) {
                pending.waker = Some(cx.waker().clone());
            }
            return Poll::Pending;
        };
        drop(slots);
        if let Some(slot) = self.slot.take() {
            drop(self.peer.pending.borrow_mut().try_remove(slot));
        }
        Poll::Ready(reply)
    }
}

impl<Q, R> Drop for WaitReply<'_, Q, R> {
    fn drop(&mut self) {
        let Some(slot) = self.slot else { return };
        let mut slots = self.peer.pending.borrow_mut();
        match slots.get_mut(slot) {
            Some(pending) if pending.reply.is_none() => {
                pending.wanted = false;
                pending.waker = None;
            }
            _ => {
                let unread = slots.try_remove(slot);
                drop(slots);
                drop(unread);
            }
        }
    }
}

/// Empties the lanes of `port` for as long as its executor lives.
pub(super) async fn pump<Q: Send + 'static, R: Send + 'static>(port: Rc<BoundPort<Q, R>>) {
    /// Others must hear of it when the executor ends, even if someone still holds the port.
    struct Leave<Q, R>(Rc<BoundPort<Q, R>>);
    impl<Q, R> Drop for Leave<Q, R> {
        fn drop(&mut self) {
            self.0.presence.leave();
        }
    }
    let port = Leave(port);
    let mut word = 0;
    loop {
        let mut bits = std::future::poll_fn(|cx| poll_dirty(&port.0, &mut word, cx)).await;
        let mut more = false;
        while bits != 0 {
            let from = word * 64 + bits.trailing_zeros() as usize;
            bits &= bits - 1;
            if port.0.drain(from) {
                port.0.presence.inboxes[port.0.me].signal_oneself(from);
                more = true;
            }
        }
        if more || need_yield() {
            yield_now().await;
        }
    }
}

/// The next word of the inbox with something in it, beginning after the last one so that none starves.
fn poll_dirty<Q, R>(port: &BoundPort<Q, R>, word: &mut usize, cx: &mut Context<'_>) -> Poll<u64> {
    let inbox = &port.presence.inboxes[port.me];
    inbox.waker.register(cx.waker());
    for _ in 0..inbox.dirty.len() {
        *word = (*word + 1) % inbox.dirty.len();
        let bits = inbox.dirty[*word].swap(0, Ordering::AcqRel);
        if bits != 0 {
            return Poll::Ready(bits);
        }
    }
    Poll::Pending
}

impl<Q: Send + 'static, R: Send + 'static> BoundPort<Q, R> {
    /// Takes what `from` has sent. True when some of it is left for the next turn.
    fn drain(self: &Rc<Self>, from: usize) -> bool {
        let Some(Some(peer)) = self.peers.get(from) else {
            self.leave_when_done();
            return false;
        };
        let inbox = &self.presence.inboxes[from];
        // Read before the replies: what was sent before leaving is in the lane now.
        let gone = inbox.gone.load(Ordering::Acquire);
        let closed = inbox.closed.load(Ordering::Acquire);
        self.take_replies(peer, from);
        if gone {
            self.fail_pending(peer, from);
        }
        let more = self.take_calls(peer, from) | self.take_notes(peer, from);
        // The signal may mean room in our lane of notes, or that nobody will ever make some.
        if closed || peer.room.waiting() > 0 {
            peer.room.notify_all();
        }
        self.leave_when_done();
        more
    }

    fn take_replies(&self, peer: &Peer<Q, R>, from: usize) {
        let depth = peer.lanes.borrow().replies_in.slots();
        self.count(|s| s.lane_depth_max = s.lane_depth_max.max(depth as u64));
        loop {
            let reply = peer.lanes.borrow_mut().replies_in.pop();
            let Ok(Reply { slot, outcome }) = reply else {
                return;
            };
            let shard = ShardId(from as u16);
            let result = match outcome {
                Outcome::Done(r) => Ok(r),
                Outcome::Panicked => Err(CallError::Panicked(shard)),
                Outcome::Refused => Err(CallError::Closed(shard)),
            };
            self.arrive(peer, slot as usize, result);
        }
    }

    fn arrive(&self, peer: &Peer<Q, R>, slot: usize, result: Result<R, CallError>) {
        let mut slots = peer.pending.borrow_mut();
        let Some(pending) = slots.get_mut(slot) else {
            debug_assert!(false, "a reply to a call that was not sent");
            return;
        };
        let permit = pending.permit.take();
        if pending.wanted {
            pending.reply = Some(result);
            let waker = pending.waker.take();
            drop(slots);
            if let Some(waker) = waker {
                waker.wake();
            }
            self.count(|s| s.replies += 1);
        } else {
            slots.remove(slot);
            drop(slots);
            self.count(|s| s.replies_unwanted += 1);
        }
        drop(permit);
    }

    /// The peer left: no reply will come.
    fn fail_pending(&self, peer: &Peer<Q, R>, from: usize) {
        let waiting: Vec<usize> = {
            let slots = peer.pending.borrow();
            let open = slots.iter().filter(|(_, pending)| pending.permit.is_some());
            open.map(|(slot, _)| slot).collect()
        };
        for slot in waiting {
            let closed = CallError::Closed(ShardId(from as u16));
            self.arrive(peer, slot, Err(closed));
        }
    }

    fn take_calls(self: &Rc<Self>, peer: &Peer<Q, R>, from: usize) -> bool {
        let handler = self.handler.borrow().clone();
        let at_once = self.at_once.borrow().clone();
        let refuse = self.is_closed();
        if handler.is_none() && !refuse {
            return false;
        }
        let depth = peer.lanes.borrow().calls_in.slots();
        self.count(|s| s.lane_depth_max = s.lane_depth_max.max(depth as u64));
        let mut taken = 0;
        while taken < depth.min(BATCH) {
            let call = peer.lanes.borrow_mut().calls_in.pop();
            let Ok(Call { slot, q }) = call else { break };
            taken += 1;
            match &handler {
                Some(handler) if !refuse => {
                    self.count(|s| s.served += 1);
                    let looked = at_once.as_ref().and_then(|f| self.look(f, from, &q));
                    match looked {
                        Some(outcome) => self.reply(from, slot, outcome),
                        None => self.begin(handler, from, slot, q),
                    }
                }
                _ => self.reply(from, slot, Outcome::Refused),
            }
            if need_yield() {
                break;
            }
        }
        depth > taken
    }

    fn begin(self: &Rc<Self>, handler: &Handler<Q, R>, from: usize, slot: u32, q: Q) {
        self.running.set(self.running.get() + 1);
        let mut work = Box::pin(self.clone().answer(handler.clone(), from, slot, q));
        // Many wait for nothing, and need no task of their own.
        if work.as_mut().now_or_never().is_none() {
            spawn(work).detach();
        }
    }

    /// The outcome of what is answered at once.
    fn look(&self, f: &AtOnce<Q, R>, from: usize, q: &Q) -> Option<Outcome<R>> {
        let asked = AssertUnwindSafe(|| f(ShardId(from as u16), q));
        match std::panic::catch_unwind(asked) {
            Ok(answered) => answered.map(Outcome::Done),
            Err(payload) => {
                report_panic(payload.as_ref());
                self.count(|s| s.panics += 1);
                Some(Outcome::Panicked)
            }
        }
    }

    fn take_notes(self: &Rc<Self>, peer: &Peer<Q, R>, from: usize) -> bool {
        let handler = self.handler.borrow().clone();
        let refuse = self.is_closed();
        if handler.is_none() && !refuse {
            return false;
        }
        let depth = peer.lanes.borrow().notes_in.slots();
        self.count(|s| s.lane_depth_max = s.lane_depth_max.max(depth as u64));
        for _ in 0..depth.min(BATCH) {
            let note = peer.lanes.borrow_mut().notes_in.pop();
            let Ok(q) = note else { break };
            if let Some(handler) = handler.as_ref().filter(|_| !refuse) {
                self.count(|s| s.served += 1);
                let port = self.clone();
                let handler = handler.clone();
                spawn(async move {
                    port.handle(handler, from, q).await;
                })
                .detach();
            }
        }
        if depth > 0 {
            // See `push_note` for the other half.
            fence(Ordering::SeqCst);
            let blocked = peer.lanes.borrow().blocked_in.clone();
            if blocked.swap(false, Ordering::SeqCst) {
                self.signal(ShardId(from as u16));
            }
        }
        depth > BATCH
    }

    async fn answer(self: Rc<Self>, handler: Handler<Q, R>, from: usize, slot: u32, q: Q) {
        let outcome = match self.handle(handler, from, q).await {
            Some(r) => Outcome::Done(r),
            None => Outcome::Panicked,
        };
        self.running.set(self.running.get() - 1);
        self.reply(from, slot, outcome);
        self.leave_when_done();
    }

    /// None when the handler panicked.
    async fn handle(&self, handler: Handler<Q, R>, from: usize, q: Q) -> Option<R> {
        let class = self.class();
        let guarded = async move {
            let mut work = pin!(async move { handler(ShardId(from as u16), q).await });
            std::future::poll_fn(move |cx| in_handler(class, || work.as_mut().poll(cx))).await
        };
        match AssertUnwindSafe(guarded).catch_unwind().await {
            Ok(r) => Some(r),
            Err(payload) => {
                report_panic(payload.as_ref());
                self.count(|s| s.panics += 1);
                None
            }
        }
    }

    fn reply(&self, to: usize, slot: u32, outcome: Outcome<R>) {
        if let Some(Some(peer)) = self.peers.get(to) {
            let pushed = peer
                .lanes
                .borrow_mut()
                .replies_out
                .push(Reply { slot, outcome });
            debug_assert!(pushed.is_ok(), "a reply lane is full");
            self.signal(ShardId(to as u16));
        }
    }

    /// After `close`, and once the last handler answered, the others need not wait for us.
    fn leave_when_done(&self) {
        if self.is_closed() && self.running.get() == 0 {
            self.presence.leave();
        }
    }
}

thread_local! {
    /// The mesh class whose handler is being polled.
    static IN_HANDLER: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Whether a call of this class, made now, would be made by a handler of the same class.
pub(super) fn nests(class: usize) -> bool {
    IN_HANDLER.get() == Some(class)
}

fn in_handler<T>(class: usize, poll: impl FnOnce() -> T) -> T {
    struct Restore(Option<usize>);
    impl Drop for Restore {
        fn drop(&mut self) {
            IN_HANDLER.set(self.0);
        }
    }
    let _restore = Restore(IN_HANDLER.replace(Some(class)));
    poll()
}
