//! Waking those who wait for something to change.
//!
//! Owns: the waiters, in order of arrival. Never: keeps a notification that nobody waited for.
//! Bounds: a waiter a waiting future.

use super::{store, wake};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

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
