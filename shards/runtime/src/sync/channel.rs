//! A bounded queue on one executor: many senders, one receiver.
//!
//! Owns: the values that wait. Never: holds more than its capacity; a sender waits instead.
//! Bounds: the capacity that `bounded` was given, at least 1.

use super::{Closed, Notify, store, wake};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

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
