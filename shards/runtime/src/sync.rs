//! Waiting for one another on one executor: `oneshot`, `Notify`, `Credits`, a bounded `channel`.
//!
//! Owns: the waiters of each primitive, in order of arrival. Asked by: everything shard-local.
//! Never: leaves its thread (all of it is `!Send`), spins, or wakes a task without a reason.
//! Bounds: `Credits` hand out at most their ceiling, `channel` holds at most its capacity; waiters are futures of
//! the callers, so they are bounded by whatever bounds the callers.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// The other side is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the other side is closed")]
pub struct Closed;

fn store(slot: &RefCell<Option<Waker>>, cx: &Context<'_>) {
    let mut slot = slot.borrow_mut();
    if !slot.as_ref().is_some_and(|w| w.will_wake(cx.waker())) {
        *slot = Some(cx.waker().clone());
    }
}

fn wake(slot: &RefCell<Option<Waker>>) {
    let waker = slot.borrow_mut().take();
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// One value, once.
pub mod oneshot {
    use super::*;

    struct Shared<T> {
        value: RefCell<Option<T>>,
        waker: RefCell<Option<Waker>>,
        sender_gone: Cell<bool>,
        receiver_gone: Cell<bool>,
    }

    pub struct Sender<T>(Rc<Shared<T>>);
    pub struct Receiver<T>(Rc<Shared<T>>);

    pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
        let shared = Rc::new(Shared {
            value: RefCell::new(None),
            waker: RefCell::new(None),
            sender_gone: Cell::new(false),
            receiver_gone: Cell::new(false),
        });
        (Sender(shared.clone()), Receiver(shared))
    }

    impl<T> Sender<T> {
        /// Gives the value back when nobody waits for it any more.
        pub fn send(self, value: T) -> Result<(), T> {
            if self.0.receiver_gone.get() {
                return Err(value);
            }
            self.0.value.replace(Some(value));
            Ok(())
        }

        pub fn is_closed(&self) -> bool {
            self.0.receiver_gone.get()
        }
    }

    impl<T> Drop for Sender<T> {
        fn drop(&mut self) {
            self.0.sender_gone.set(true);
            wake(&self.0.waker);
        }
    }

    impl<T> Future for Receiver<T> {
        type Output = Result<T, Closed>;

        fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
            if let Some(value) = self.0.value.take() {
                return Poll::Ready(Ok(value));
            }
            if self.0.sender_gone.get() {
                return Poll::Ready(Err(Closed));
            }
            store(&self.0.waker, cx);
            Poll::Pending
        }
    }

    impl<T> Drop for Receiver<T> {
        fn drop(&mut self) {
            self.0.receiver_gone.set(true);
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Waiting,
    /// Woken by `notify_one`, which must pass to the next if this waiter is dropped before it noticed.
    One,
    All,
}

struct Waiter {
    turn: Cell<Turn>,
    waker: RefCell<Option<Waker>>,
}

/// Wakes those who wait now. A notification with nobody waiting is not kept.
///
/// To wait for a condition: create `notified()`, check the condition, then await. The future counts as waiting
/// from the moment it is created.
#[derive(Default)]
pub struct Notify {
    waiters: RefCell<VecDeque<Rc<Waiter>>>,
}

impl Notify {
    pub fn new() -> Notify {
        Notify::default()
    }

    pub fn notify_all(&self) {
        let waiters = std::mem::take(&mut *self.waiters.borrow_mut());
        for waiter in waiters {
            waiter.turn.set(Turn::All);
            wake(&waiter.waker);
        }
    }

    /// Wakes who has waited longest.
    pub fn notify_one(&self) {
        let waiter = self.waiters.borrow_mut().pop_front();
        if let Some(waiter) = waiter {
            waiter.turn.set(Turn::One);
            wake(&waiter.waker);
        }
    }

    pub fn notified(&self) -> Notified<'_> {
        let waiter = Rc::new(Waiter {
            turn: Cell::new(Turn::Waiting),
            waker: RefCell::new(None),
        });
        self.waiters.borrow_mut().push_back(waiter.clone());
        Notified {
            notify: self,
            waiter,
            done: false,
        }
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiters.borrow().len()
    }
}

pub struct Notified<'a> {
    notify: &'a Notify,
    waiter: Rc<Waiter>,
    done: bool,
}

impl Future for Notified<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.waiter.turn.get() != Turn::Waiting {
            self.done = true;
            return Poll::Ready(());
        }
        store(&self.waiter.waker, cx);
        Poll::Pending
    }
}

impl Drop for Notified<'_> {
    fn drop(&mut self) {
        match self.waiter.turn.get() {
            Turn::Waiting => {
                let mut waiters = self.notify.waiters.borrow_mut();
                waiters.retain(|w| !Rc::ptr_eq(w, &self.waiter));
            }
            Turn::One if !self.done => self.notify.notify_one(),
            Turn::One | Turn::All => {}
        }
    }
}

struct Ask {
    wanted: usize,
    granted: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

struct Pool {
    name: &'static str,
    ceiling: usize,
    available: Cell<usize>,
    asks: RefCell<VecDeque<Rc<Ask>>>,
    waits: Cell<u64>,
}

impl Pool {
    fn give_back(&self, n: usize) {
        self.available.set(self.available.get() + n);
        debug_assert!(self.available.get() <= self.ceiling, "{}", self.name);
        self.grant();
    }

    /// In order of arrival: a large request is not starved by small ones behind it.
    fn grant(&self) {
        loop {
            let ask = {
                let mut asks = self.asks.borrow_mut();
                match asks.front() {
                    Some(ask) if ask.wanted <= self.available.get() => asks.pop_front(),
                    _ => None,
                }
            };
            let Some(ask) = ask else { return };
            self.available.set(self.available.get() - ask.wanted);
            ask.granted.set(true);
            wake(&ask.waker);
        }
    }
}

/// Permits in a named unit (bytes, calls, slots), first come first served. Clones share the same pool.
#[derive(Clone)]
pub struct Credits(Rc<Pool>);

impl Credits {
    pub fn new(name: &'static str, n: usize) -> Credits {
        Credits(Rc::new(Pool {
            name,
            ceiling: n,
            available: Cell::new(n),
            asks: RefCell::new(VecDeque::new()),
            waits: Cell::new(0),
        }))
    }

    /// Waits for `n` credits. A request above the ceiling takes the whole ceiling: it runs alone instead of
    /// waiting for ever; who must refuse such a request compares with `ceiling()` first.
    pub async fn acquire(&self, n: usize) -> Permit {
        let n = n.min(self.0.ceiling);
        if let Some(permit) = self.try_acquire(n) {
            return permit;
        }
        self.0.waits.set(self.0.waits.get() + 1);
        let ask = Rc::new(Ask {
            wanted: n,
            granted: Cell::new(false),
            waker: RefCell::new(None),
        });
        self.0.asks.borrow_mut().push_back(ask.clone());
        Acquire {
            pool: self.0.clone(),
            ask,
            done: false,
        }
        .await
    }

    /// None when there are fewer than `n`, or when others wait already.
    pub fn try_acquire(&self, n: usize) -> Option<Permit> {
        if !self.0.asks.borrow().is_empty() || self.0.available.get() < n {
            return None;
        }
        self.0.available.set(self.0.available.get() - n);
        Some(Permit {
            pool: self.0.clone(),
            n,
        })
    }

    pub fn name(&self) -> &'static str {
        self.0.name
    }

    pub fn available(&self) -> usize {
        self.0.available.get()
    }

    pub fn ceiling(&self) -> usize {
        self.0.ceiling
    }

    /// How many acquisitions are waiting now.
    pub fn waiting(&self) -> usize {
        self.0.asks.borrow().len()
    }

    /// How many acquisitions ever had to wait.
    pub fn waits(&self) -> u64 {
        self.0.waits.get()
    }
}

/// Holds credits until it is dropped.
#[must_use = "credits are returned when the permit is dropped"]
pub struct Permit {
    pool: Rc<Pool>,
    n: usize,
}

impl Permit {
    pub fn amount(&self) -> usize {
        self.n
    }

    /// Gives back all but `n` now; keeps everything when `n` is not less than held.
    pub fn shrink(&mut self, n: usize) {
        if n < self.n {
            let extra = self.n - n;
            self.n = n;
            self.pool.give_back(extra);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.pool.give_back(self.n);
    }
}

struct Acquire {
    pool: Rc<Pool>,
    ask: Rc<Ask>,
    done: bool,
}

impl Future for Acquire {
    type Output = Permit;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Permit> {
        if self.ask.granted.get() {
            self.done = true;
            return Poll::Ready(Permit {
                pool: self.pool.clone(),
                n: self.ask.wanted,
            });
        }
        store(&self.ask.waker, cx);
        Poll::Pending
    }
}

impl Drop for Acquire {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        if self.ask.granted.get() {
            self.pool.give_back(self.ask.wanted);
        } else {
            let mut asks = self.pool.asks.borrow_mut();
            asks.retain(|ask| !Rc::ptr_eq(ask, &self.ask));
            drop(asks);
            // Whoever stood behind a large request may fit now.
            self.pool.grant();
        }
    }
}

/// Bounded, many senders, one receiver, one executor.
pub mod channel {
    use super::*;

    struct Shared<T> {
        queue: RefCell<VecDeque<T>>,
        capacity: usize,
        senders: Cell<usize>,
        receiver_gone: Cell<bool>,
        room: Notify,
        receiver: RefCell<Option<Waker>>,
    }

    pub struct Sender<T>(Rc<Shared<T>>);
    pub struct Receiver<T>(Rc<Shared<T>>);

    /// Why `try_send` gave the value back.
    #[derive(Debug, PartialEq, Eq)]
    pub enum TrySendError<T> {
        Full(T),
        Closed(T),
    }

    /// At most `n` values (at least 1) wait in it.
    pub fn bounded<T>(n: usize) -> (Sender<T>, Receiver<T>) {
        let shared = Rc::new(Shared {
            queue: RefCell::new(VecDeque::new()),
            capacity: n.max(1),
            senders: Cell::new(1),
            receiver_gone: Cell::new(false),
            room: Notify::new(),
            receiver: RefCell::new(None),
        });
        (Sender(shared.clone()), Receiver(shared))
    }

    impl<T> Sender<T> {
        /// Waits for room; `Closed` (and the value lost) when the receiver is gone.
        pub async fn send(&self, value: T) -> Result<(), Closed> {
            let mut value = value;
            loop {
                match self.try_send(value) {
                    Ok(()) => return Ok(()),
                    Err(TrySendError::Closed(_)) => return Err(Closed),
                    Err(TrySendError::Full(back)) => value = back,
                }
                self.0.room.notified().await;
            }
        }

        pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
            if self.0.receiver_gone.get() {
                return Err(TrySendError::Closed(value));
            }
            if self.0.queue.borrow().len() >= self.0.capacity {
                return Err(TrySendError::Full(value));
            }
            self.0.queue.borrow_mut().push_back(value);
            wake(&self.0.receiver);
            Ok(())
        }

        pub fn is_closed(&self) -> bool {
            self.0.receiver_gone.get()
        }

        pub fn len(&self) -> usize {
            self.0.queue.borrow().len()
        }

        pub fn is_empty(&self) -> bool {
            self.len() == 0
        }
    }

    impl<T> Clone for Sender<T> {
        fn clone(&self) -> Self {
            self.0.senders.set(self.0.senders.get() + 1);
            Sender(self.0.clone())
        }
    }

    impl<T> Drop for Sender<T> {
        fn drop(&mut self) {
            self.0.senders.set(self.0.senders.get() - 1);
            if self.0.senders.get() == 0 {
                wake(&self.0.receiver);
            }
        }
    }

    impl<T> Receiver<T> {
        /// None once all senders are gone and the queue is empty.
        pub async fn recv(&mut self) -> Option<T> {
            std::future::poll_fn(|cx| self.poll_recv(cx)).await
        }

        pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
            if let Some(value) = self.try_recv() {
                return Poll::Ready(Some(value));
            }
            if self.0.senders.get() == 0 {
                return Poll::Ready(None);
            }
            store(&self.0.receiver, cx);
            Poll::Pending
        }

        pub fn try_recv(&mut self) -> Option<T> {
            let value = self.0.queue.borrow_mut().pop_front();
            if value.is_some() {
                self.0.room.notify_one();
            }
            value
        }
    }

    impl<T> Drop for Receiver<T> {
        fn drop(&mut self) {
            self.0.receiver_gone.set(true);
            let rest = std::mem::take(&mut *self.0.queue.borrow_mut());
            drop(rest);
            self.0.room.notify_all();
        }
    }
}

#[cfg(test)]
#[path = "sync_tests.rs"]
mod tests;
