//! A whole machine in one thread, decided by a seed: executor, clock, randomness, disk.
//!
//! Owns: the order in which tasks run (a seeded choice among those that can), the clock (virtual: it jumps when nothing can
//! run), every random number, and the `Disk`. Asked by: tests, through `run`; the rest of this crate asks whether it is in
//! such a run before it touches the machine. Never: part of a shipped program (the feature `simulation`), a second thread.
//! The same seed, disk and program give the same run, as long as the program takes no decision from the order of a hash
//! map, an address, or a clock of its own.
//! Bounds: a run in which nothing can ever happen again panics instead of hanging.

mod disk;
mod fault;
mod image;
mod random;
mod sheet;
#[cfg(test)]
mod tests;

pub use disk::Disk;
pub(crate) use disk::OpenFile;
pub use fault::{Does, Fault, On, Until};
pub use image::{Change, Crash, Event, Image, NodeId, OpId};
pub use random::Random;

use crate::executor::{self, Context, try_context};
use slab::Slab;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context as Cx, Poll, Wake, Waker};

/// The wall clock at the beginning of every run: 2026-01-01.
const WALL_MICROS: i64 = 1_767_225_600_000_000;
/// The longest time that one poll takes, in nanoseconds.
const POLL_NS: u64 = 2_000;

/// The simulated machine of a run.
pub(crate) struct Machine {
    random: RefCell<Random>,
    disk: Disk,
    tasks: RefCell<Slab<Option<Running>>>,
    ready: Arc<Ready>,
}

type Running = Pin<Box<dyn Future<Output = ()>>>;

thread_local! {
    /// 0 outside of a run.
    static NOW: Cell<u64> = const { Cell::new(0) };
}

/// Nanoseconds on the virtual clock, in a simulated run.
pub(crate) fn monotonic_ns() -> Option<u64> {
    Some(NOW.get()).filter(|now| *now > 0)
}

pub(crate) fn wall_micros() -> Option<i64> {
    monotonic_ns().map(|now| WALL_MICROS + (now / 1_000) as i64)
}

pub(crate) fn random_u64() -> Option<u64> {
    in_run().map(|machine| machine.draw(Random::draw))
}

pub(crate) fn in_run() -> Option<Rc<Machine>> {
    try_context().and_then(|context| context.machine().cloned())
}

fn machine() -> io::Result<Rc<Machine>> {
    in_run().ok_or_else(|| io::Error::other("a simulated disk was used outside of its run"))
}

/// The disk of the running simulation.
pub(crate) fn disk() -> Option<Disk> {
    in_run().map(|machine| machine.disk.clone())
}

/// Runs one future, and what it spawns, on a simulated machine with this disk, as `ShardId(0)`. When it returns, tasks
/// that still exist are dropped and the disk stays as it is, with operations under way.
///
/// # Panics
/// When the future or a task panics (with the same payload), when nothing can happen any more, and when the thread runs an
/// executor already.
pub fn run<T: 'static>(seed: u64, disk: &Disk, fut: impl Future<Output = T> + 'static) -> T {
    let machine = Rc::new(Machine {
        random: RefCell::new(Random::new(seed)),
        disk: disk.clone(),
        tasks: RefCell::new(Slab::new()),
        ready: Arc::new(Ready::default()),
    });
    let _ends = Ends::begin(&machine);
    let outcome = executor::run_simulated(machine.clone(), fut, |context, main| {
        machine.drive(context, main)
    });
    match outcome {
        Ok(value) => value,
        Err(payload) => std::panic::resume_unwind(payload),
    }
}

/// Also when the run unwinds.
struct Ends<'a>(&'a Machine);

impl<'a> Ends<'a> {
    fn begin(machine: &'a Machine) -> Ends<'a> {
        NOW.set(1);
        Ends(machine)
    }
}

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        let tasks = self.0.tasks.take();
        drop(tasks);
        self.0.disk.halt();
        NOW.set(0);
    }
}

impl Machine {
    pub(crate) fn now(&self) -> u64 {
        NOW.get()
    }

    pub(crate) fn draw<T>(&self, f: impl FnOnce(&mut Random) -> T) -> T {
        f(&mut self.random.borrow_mut())
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        let key = self.tasks.borrow_mut().insert(Some(Box::pin(task)));
        self.ready.push(key);
    }

    /// Polls until the main future has ended.
    fn drive(&self, context: &Context, main: Running) {
        let root = self.tasks.borrow_mut().insert(Some(main));
        self.ready.push(root);
        loop {
            self.disk.advance(self.now());
            context.turns.fire(self.now());
            let Some(key) = self.ready.pick(&mut self.random.borrow_mut()) else {
                self.jump(context);
                continue;
            };
            if self.poll(key) && key == root {
                return;
            }
            let took = 1 + self.draw(|random| random.below(POLL_NS));
            NOW.set(self.now() + took);
        }
    }

    /// Nobody can run: on to the next thing that happens by itself.
    fn jump(&self, context: &Context) {
        let next = [self.disk.next_end(), context.turns.next_timer()];
        match next.into_iter().flatten().min() {
            Some(at) => NOW.set(at.max(self.now())),
            None => panic!("the simulated run is stuck: nothing can happen any more"),
        }
    }

    /// True when the task has ended.
    fn poll(&self, key: usize) -> bool {
        let task = self.tasks.borrow_mut().get_mut(key).and_then(Option::take);
        let Some(mut task) = task else {
            return false;
        };
        let waker = Waker::from(Arc::new(Wakes {
            key,
            ready: self.ready.clone(),
        }));
        match task.as_mut().poll(&mut Cx::from_waker(&waker)) {
            Poll::Ready(()) => {
                self.tasks.borrow_mut().try_remove(key);
                true
            }
            Poll::Pending => {
                if let Some(slot) = self.tasks.borrow_mut().get_mut(key) {
                    *slot = Some(task);
                }
                false
            }
        }
    }
}

/// The tasks that can run, each once.
#[derive(Default)]
struct Ready(Mutex<Vec<usize>>);

impl Ready {
    fn push(&self, key: usize) {
        let mut ready = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !ready.contains(&key) {
            ready.push(key);
        }
    }

    fn pick(&self, random: &mut Random) -> Option<usize> {
        let mut ready = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match ready.len() {
            0 => None,
            n => Some(ready.swap_remove(random.below(n as u64) as usize)),
        }
    }
}

struct Wakes {
    key: usize,
    ready: Arc<Ready>,
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.ready.push(self.key);
    }
}
