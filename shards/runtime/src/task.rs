//! Tasks of one executor: spawn, join, cancel, yield.
//!
//! Owns: the wrapper around every spawned future. It keeps the result for whoever awaits the `Task`, catches the
//! panic that would otherwise unwind through the executor and turns it into the end of the run, and stays
//! reachable through the `Registry` so that an ending executor can drop what is left.
//! Asked by: everything that runs concurrently on a shard. Never: moves a task to another thread.
//! Bounds: none of its own. Whoever spawns per message or per connection holds a credit for it.

use crate::executor::{Backend, Context, PanicPayload, context, report_panic, try_context};
use crate::turns::Class;
use slab::Slab;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as Cx, Poll, Waker};

/// A task spawned on this executor. Await it for the output; dropping it cancels it, `detach` lets it run.
///
/// When the task panics the executor's run ends, so the `Task` stays pending.
#[must_use = "a task is cancelled when dropped: await it or detach it"]
pub struct Task<T> {
    body: Rc<dyn Body<T>>,
    detached: bool,
}

/// Spawns onto the latency queue: network, messages, requests.
pub fn spawn<T: 'static>(fut: impl Future<Output = T> + 'static) -> Task<T> {
    let context = context();
    spawn_into(&context, Class::Latency, fut)
}

/// Spawns onto the low-share queue: flush, checkpoint, collection of old versions.
pub fn spawn_background<T: 'static>(fut: impl Future<Output = T> + 'static) -> Task<T> {
    let context = context();
    spawn_into(&context, Class::Background, fut)
}

/// True when the running task has had its share and should yield. False outside of an executor.
pub fn need_yield() -> bool {
    try_context().is_some_and(|context| match &context.backend {
        Backend::Ring { .. } => context.turns.spent() || glommio::executor().need_preempt(),
        #[cfg(feature = "simulation")]
        Backend::Simulated(machine) => machine.draw(|random| random.one_in(4)),
    })
}

/// Yields when `need_yield`. Long work calls this every 50 to 100 µs.
pub async fn yield_if_needed() {
    if need_yield() {
        yield_now().await;
    }
}

/// Lets the other tasks of the queue, and the other queue, run first.
pub async fn yield_now() {
    let Some(context) = try_context() else { return };
    match &context.backend {
        Backend::Ring { .. } => glommio::executor().yield_task_queue_now().await,
        #[cfg(feature = "simulation")]
        Backend::Simulated(_) => futures_lite::future::yield_now().await,
    }
}

impl<T> Task<T> {
    pub fn detach(mut self) {
        self.detached = true;
    }

    /// Drops the task's future. It has stopped when this returns.
    pub async fn cancel(self) {
        self.body.cancel();
    }

    /// True when the output is there and awaiting it would not wait.
    pub fn is_finished(&self) -> bool {
        self.body.is_finished()
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        if !self.detached {
            self.body.cancel();
        }
    }
}

impl<T> Future for Task<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Cx<'_>) -> Poll<T> {
        self.body.poll_output(cx)
    }
}

trait Cancel {
    /// Drops the future now, or as soon as its current poll returns.
    fn cancel(&self);
    fn is_finished(&self) -> bool;
}

trait Body<T>: Cancel {
    fn poll_output(&self, cx: &mut Cx<'_>) -> Poll<T>;
}

/// The tasks of one executor that have not finished.
#[derive(Default)]
pub(crate) struct Registry {
    live: RefCell<Slab<Rc<dyn Cancel>>>,
}

impl Registry {
    pub(crate) fn len(&self) -> usize {
        self.live.borrow().len()
    }

    /// Drops every future there is. Destructors may spawn, so whoever needs an empty registry repeats this.
    pub(crate) fn cancel_all(&self) {
        let live: Vec<_> = {
            let live = self.live.borrow();
            live.iter().map(|(_, task)| task.clone()).collect()
        };
        for task in live {
            task.cancel();
        }
    }

    fn insert(&self, task: Rc<dyn Cancel>) -> usize {
        self.live.borrow_mut().insert(task)
    }

    fn remove(&self, key: usize) {
        let removed = self.live.borrow_mut().try_remove(key);
        // Dropped after the borrow: it may be the last reference.
        drop(removed);
    }
}

/// Tasks of the current executor that have not finished; 0 outside of one.
pub fn live_tasks() -> usize {
    try_context().map_or(0, |context| context.tasks.len())
}

fn spawn_into<F>(context: &Rc<Context>, class: Class, fut: F) -> Task<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let work = Rc::new(Work {
        class,
        context: context.clone(),
        key: Cell::new(None),
        future: RefCell::new(Some(Box::pin(fut))),
        output: RefCell::new(None),
        joiner: RefCell::new(None),
        cancelled: Cell::new(false),
        finished: Cell::new(false),
        deferred: Cell::new(false),
    });
    work.key.set(Some(context.tasks.insert(work.clone())));
    let runner = work.clone();
    let running = std::future::poll_fn(move |cx| runner.run(cx));
    match &context.backend {
        Backend::Ring {
            latency,
            background,
            ..
        } => {
            let queue = match class {
                Class::Latency => *latency,
                Class::Background => *background,
            };
            match glommio::spawn_local_into(running, queue) {
                Ok(task) => drop(task.detach()),
                Err(error) => panic!("the executor lost its own task queue: {error}"),
            }
        }
        #[cfg(feature = "simulation")]
        Backend::Simulated(machine) => machine.spawn(running),
    }
    Task {
        body: work,
        detached: false,
    }
}

struct Work<F: Future> {
    class: Class,
    context: Rc<Context>,
    /// In the registry, while not finished.
    key: Cell<Option<usize>>,
    /// Out of its cell while it is polled.
    future: RefCell<Option<Pin<Box<F>>>>,
    output: RefCell<Option<F::Output>>,
    joiner: RefCell<Option<Waker>>,
    cancelled: Cell<bool>,
    finished: Cell<bool>,
    /// It waits for its turn.
    deferred: Cell<bool>,
}

impl<F: Future> Work<F> {
    fn run(&self, cx: &mut Cx<'_>) -> Poll<()> {
        if self.finished.get() {
            return Poll::Ready(());
        }
        let turns = &self.context.turns;
        let begun = turns.begin(self.class, self.deferred.get(), cx);
        self.deferred.set(!begun);
        if !begun {
            return Poll::Pending;
        }
        let Some(mut future) = self.future.take() else {
            turns.end();
            return Poll::Ready(());
        };
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx)));
        turns.end();
        match polled {
            Ok(Poll::Pending) if self.cancelled.get() => {
                self.finish(future);
                Poll::Ready(())
            }
            Ok(Poll::Pending) => {
                self.future.replace(Some(future));
                Poll::Pending
            }
            Ok(Poll::Ready(output)) => {
                self.output.replace(Some(output));
                self.finish(future);
                if let Some(joiner) = self.joiner.take() {
                    joiner.wake();
                }
                Poll::Ready(())
            }
            Err(payload) => {
                self.fail(payload);
                self.finish(future);
                Poll::Ready(())
            }
        }
    }

    fn fail(&self, payload: PanicPayload) {
        report_panic(payload.as_ref());
        self.context.fail(payload);
    }

    /// Leaves the registry, then drops the future; a destructor's panic ends the run like any other.
    fn finish(&self, future: Pin<Box<F>>) {
        self.finished.set(true);
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(future)));
        if let Some(key) = self.key.take() {
            self.context.tasks.remove(key);
        }
        if let Err(payload) = dropped {
            self.fail(payload);
        }
    }
}

impl<F: Future> Cancel for Work<F> {
    fn cancel(&self) {
        self.cancelled.set(true);
        if let Some(future) = self.future.take() {
            self.finish(future);
        }
    }

    fn is_finished(&self) -> bool {
        self.finished.get()
    }
}

impl<F: Future> Body<F::Output> for Work<F> {
    fn poll_output(&self, cx: &mut Cx<'_>) -> Poll<F::Output> {
        if let Some(output) = self.output.take() {
            return Poll::Ready(output);
        }
        let mut joiner = self.joiner.borrow_mut();
        if !joiner.as_ref().is_some_and(|w| w.will_wake(cx.waker())) {
            *joiner = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}
