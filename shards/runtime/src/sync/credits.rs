//! Permits in a named unit.
//!
//! Owns: how many are out and who waits, in order of arrival. Never: hands out more than the ceiling, lets a small
//! request overtake a large one that came before.
//! Bounds: the ceiling; a waiter a waiting future.

use super::{store, wake};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

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
