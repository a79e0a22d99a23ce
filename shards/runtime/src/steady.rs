//! A future of glommio's that is polled for other reasons too.
//!
//! Owns: `Steady`, which polls it only when glommio woke it: glommio keeps one more waker for each poll, so that a wait in
//! a select loop would collect them without end.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

pub(crate) struct Steady<F> {
    inner: Pin<Box<F>>,
    flag: Arc<Flag>,
    waker: Waker,
}

struct Flag {
    woken: AtomicBool,
    outer: atomic_waker::AtomicWaker,
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.outer.wake();
    }
}

impl<F: Future> Steady<F> {
    pub(crate) fn new(inner: F) -> Steady<F> {
        let flag = Arc::new(Flag {
            woken: AtomicBool::new(true),
            outer: atomic_waker::AtomicWaker::new(),
        });
        Steady {
            inner: Box::pin(inner),
            waker: Waker::from(flag.clone()),
            flag,
        }
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.flag.outer.register(cx.waker());
        if !self.flag.woken.swap(false, Ordering::Acquire) {
            return Poll::Pending;
        }
        let mut inner = Context::from_waker(&self.waker);
        self.inner.as_mut().poll(&mut inner)
    }
}
