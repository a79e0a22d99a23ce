//! The shard's ring: one io_uring of our own beside glommio's, on the same thread, for sockets and for what files read and
//! write.
//!
//! Owns: the ring, the operations under way on it and who is told of them (`Complete`), the buffers lent to the kernel
//! (`stock`), the bell by which other shards wake this one, and the one task (`pump`) that submits, reaps and sleeps.
//! Asked by: `net`, `mesh`, `io`. Never: knows a protocol or a file's name; sleeps for long: the pump does that on an eventfd
//! which glommio reads, so that timers and what glommio opens and closes wake it too.
//! Bounds: an operation a listener, two a socket, one for the bell and as many on files as `Share::Disk` lets be under way;
//! `STOCK` buffers of 4 KiB, `Extra` of the shard's pool; completions that do not fit the queue stay with the kernel until they do. `Drop` waits for operations to end and gives the memory
//! up rather than free what the kernel may still write into.
//! Source: io_uring(7), io_uring_setup(2) for SINGLE_ISSUER, DEFER_TASKRUN and TASKRUN_FLAG, io_uring_register(2) for
//! REGISTER_PBUF_RING and REGISTER_EVENTFD. Needs Linux 6.1; `Missing` names the part that the kernel has not.

#![allow(unsafe_code)]

mod bell;
mod disk;
#[cfg(feature = "echo")]
pub(crate) mod echo;
mod pump;
mod stats;
mod stock;

pub(crate) use bell::Bell;
pub(crate) use pump::pump;
pub use stats::RingStats;

use crate::buffers::{Buffer, Pool};
use crate::sync::wake;
use io_uring::{IoUring, cqueue, opcode, squeue, types};
use slab::Slab;
use stats::Counts;
use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::task::Waker;
use std::time::Duration;
use stock::{GROUP, STOCK, Stock};

/// Submissions gathered before they must go to the kernel.
const ENTRIES: u32 = 256;

/// Completions that fit the queue.
const COMPLETIONS: u32 = 4096;

/// io_uring_enter(2): also run what the kernel has put off until we ask.
const GETEVENTS: u32 = 1;

/// The completion of a cancel is nobody's business.
const NOBODY: u64 = u64::MAX;

/// Turns that the end of a ring gives to operations that were cancelled, and how long one waits: a device may be slow.
const LAST_TURNS: usize = 64;
const LAST_TURN: Duration = Duration::from_millis(2);

/// The kernel lacks something: sockets then wait for readiness instead.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {source}")]
pub struct Missing {
    pub what: &'static str,
    #[source]
    pub source: io::Error,
}

fn lacks(what: &'static str) -> impl Fn(io::Error) -> Missing {
    move |source| Missing { what, source }
}

/// What the kernel says of an operation.
pub(crate) struct Done {
    /// As the system call would return it, errors negative.
    pub(crate) result: i32,
    /// More of the same operation will come.
    pub(crate) more: bool,
    /// What was received, `result` bytes of it.
    pub(crate) buffer: Option<Buffer>,
}

/// Numbers of the calling shard's ring; None where its sockets wait for readiness.
pub fn network_stats() -> Option<RingStats> {
    crate::executor::ring().map(|ring| ring.stats())
}

/// What a completed `Ring::accept` has brought: called once for each.
pub(crate) fn accepted(fd: RawFd) -> OwnedFd {
    // SAFETY: the kernel has just made it, for whoever asked to accept.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Who is told of an operation. It keeps the descriptor open until the last word of it.
pub(crate) trait Complete {
    fn complete(&self, ring: &Ring, done: Done);
}

/// An operation under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key(u64);

impl Key {
    fn of(slot: usize, age: u32) -> Key {
        Key(u64::from(age) << 32 | slot as u64)
    }

    fn parts(self) -> (usize, u32) {
        (
            (self.0 & u64::from(u32::MAX)) as usize,
            (self.0 >> 32) as u32,
        )
    }
}

struct Op {
    age: u32,
    to: Rc<dyn Complete>,
}

pub(crate) struct Ring {
    uring: RefCell<Option<IoUring>>,
    ops: RefCell<Slab<Op>>,
    /// Sockets use the stock.
    lending: Cell<bool>,
    /// Sets apart operations that had the same slot.
    age: Cell<u32>,
    stock: RefCell<Option<Stock>>,
    arrived: RefCell<Vec<(u64, i32, u32)>>,
    /// The pump's, while it sleeps.
    waker: RefCell<Option<Waker>>,
    eventfd: RefCell<Option<OwnedFd>>,
    bell: RefCell<Option<Arc<Bell>>>,
    /// Told when the bell was rung.
    hears: RefCell<Vec<Rc<dyn Fn()>>>,
    closing: Cell<bool>,
    counts: Counts,
}

fn eventfd() -> Result<OwnedFd, Missing> {
    // SAFETY: a new descriptor that nobody else has, checked before it is owned.
    unsafe {
        match libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) {
            -1 => Err(lacks("an eventfd")(io::Error::last_os_error())),
            fd => Ok(OwnedFd::from_raw_fd(fd)),
        }
    }
}

fn bell() -> Result<Bell, Missing> {
    let mut ends = [-1; 2];
    // SAFETY: room for the two descriptors, which are new and nobody else's, checked before they are owned.
    unsafe {
        match libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) {
            -1 => Err(lacks("a pipe")(io::Error::last_os_error())),
            _ => Ok(Bell::new(
                OwnedFd::from_raw_fd(ends[0]),
                OwnedFd::from_raw_fd(ends[1]),
            )),
        }
    }
}

/// The bell's pipe was written to: what matters is that the ring woke.
struct Watching(Arc<Bell>);

impl Complete for Watching {
    fn complete(&self, ring: &Ring, done: Done) {
        self.0.drain();
        if !done.more && !ring.closing.get() {
            ring.watch(self.0.clone());
        }
    }
}

impl Ring {
    /// # Errors
    /// When the kernel lacks one of the things that the module's source names. Each is tried, not guessed.
    pub(crate) fn new(pool: Rc<Pool>) -> Result<Rc<Ring>, Missing> {
        let uring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .setup_cqsize(COMPLETIONS)
            .build(ENTRIES)
            .map_err(lacks("an io_uring with deferred task runs"))?;
        let (bell, eventfd) = (Arc::new(bell()?), eventfd()?);
        uring
            .submitter()
            .register_eventfd(eventfd.as_raw_fd())
            .map_err(lacks("an io_uring that tells an eventfd"))?;
        let stock = Stock::register(&uring.submitter(), pool)
            .map_err(lacks("an io_uring with rings of buffers"))?;
        let ring = Rc::new(Ring {
            uring: RefCell::new(Some(uring)),
            ops: RefCell::new(Slab::new()),
            lending: Cell::new(false),
            age: Cell::new(0),
            stock: RefCell::new(Some(stock)),
            arrived: RefCell::default(),
            waker: RefCell::new(None),
            eventfd: RefCell::new(Some(eventfd)),
            bell: RefCell::new(Some(bell.clone())),
            hears: RefCell::default(),
            closing: Cell::new(false),
            counts: Counts::default(),
        });
        ring.check()?;
        ring.watch(bell);
        Ok(ring)
    }

    /// Receives once, through all that a socket will use.
    fn check(&self) -> Result<(), Missing> {
        struct Seen(Cell<i32>, socket2::Socket);
        impl Complete for Seen {
            fn complete(&self, _: &Ring, done: Done) {
                let whole = done.more && done.buffer.is_some_and(|b| &b[..] == b"?");
                if whole && done.result == 1 {
                    self.0.set(0);
                } else if self.0.get() != 0 {
                    self.0.set(done.result.min(0));
                }
            }
        }
        let lacking = lacks("an io_uring that goes on receiving");
        let (ours, theirs) =
            socket2::Socket::pair(socket2::Domain::UNIX, socket2::Type::STREAM, None)
                .map_err(&lacking)?;
        theirs.send(b"?").map_err(&lacking)?;
        self.restock(1);
        let seen = Rc::new(Seen(Cell::new(-libc::ENOSYS), ours));
        let key = self.receive(seen.1.as_raw_fd(), seen.clone());
        self.turn();
        self.cancel(key);
        self.turn();
        match seen.0.get() {
            0 => Ok(()),
            error => Err(lacking(io::Error::from_raw_os_error(-error))),
        }
    }

    /// Receives from `fd` whenever there is something, until it ends, fails, is cancelled or finds no buffer.
    pub(crate) fn receive(&self, fd: RawFd, to: Rc<dyn Complete>) -> Key {
        self.start(opcode::RecvMulti::new(types::Fd(fd), GROUP).build(), to)
    }

    /// Sends all of `bytes`, or fails. They stay where they are until then.
    pub(crate) fn send(&self, fd: RawFd, bytes: &[u8], to: Rc<dyn Complete>) -> Key {
        let op = opcode::Send::new(types::Fd(fd), bytes.as_ptr(), bytes.len() as u32);
        self.start(op.flags(libc::MSG_WAITALL | libc::MSG_NOSIGNAL).build(), to)
    }

    /// Accepts from `fd` until it fails or is cancelled; each result is a descriptor.
    pub(crate) fn accept(&self, fd: RawFd, to: Rc<dyn Complete>) -> Key {
        let op = opcode::AcceptMulti::new(types::Fd(fd));
        let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        self.start(op.flags(flags).build(), to)
    }

    /// Says once that `fd` can be read (`POLLIN`) or written (`POLLOUT`).
    pub(crate) fn ready(&self, fd: RawFd, events: libc::c_short, to: Rc<dyn Complete>) -> Key {
        let events = u32::from(events as u16);
        self.start(opcode::PollAdd::new(types::Fd(fd), events).build(), to)
    }

    fn watch(&self, bell: Arc<Bell>) {
        let poll = opcode::PollAdd::new(types::Fd(bell.fd()), libc::POLLIN as u32);
        self.start(poll.multi(true).build(), Rc::new(Watching(bell)));
    }

    /// What others ring to wake this shard, and what is then called on it: it has to look for itself whether it was meant.
    pub(crate) fn bell(&self, heard: Rc<dyn Fn()>) -> Option<Arc<Bell>> {
        self.hears.borrow_mut().push(heard);
        self.bell.borrow().clone()
    }

    /// Whether the shard may sleep: nobody has rung.
    fn rest(&self) -> bool {
        self.bell.borrow().as_ref().is_none_or(|bell| bell.rest())
    }

    /// Tells those who may have been rung for.
    fn answer(&self) -> usize {
        let rung = self
            .bell
            .borrow()
            .as_ref()
            .is_some_and(|bell| bell.answer());
        if !rung {
            return 0;
        }
        for heard in self.hears.borrow().iter() {
            heard();
        }
        1
    }

    fn start(&self, entry: squeue::Entry, to: Rc<dyn Complete>) -> Key {
        let age = self.age.get();
        self.age.set(age.wrapping_add(1) & (u32::MAX >> 1));
        let slot = self.ops.borrow_mut().insert(Op { age, to });
        let key = Key::of(slot, age);
        self.push(entry.user_data(key.0));
        key
    }

    /// The operation ends soon, with one last completion, if it has not ended by itself.
    pub(crate) fn cancel(&self, key: Key) {
        let cancel = opcode::AsyncCancel::new(key.0).build();
        self.push(cancel.user_data(NOBODY).flags(squeue::Flags::SKIP_SUCCESS));
        self.counts.cancels.bump();
    }

    fn push(&self, entry: squeue::Entry) {
        {
            let mut uring = self.uring.borrow_mut();
            let Some(uring) = uring.as_mut() else { return };
            loop {
                // SAFETY: the memory of the entries made here is the stock's, which lives as long as the ring, or kept by
                // their `Complete` until the last completion, as their descriptors are.
                let pushed = unsafe { uring.submission().push(&entry) };
                if pushed.is_ok() {
                    break;
                }
                // Full: the kernel takes what there is. Its answers are reaped in the next turn.
                if let Err(error) = uring.submit() {
                    match error.raw_os_error() {
                        Some(libc::EINTR | libc::EAGAIN | libc::EBUSY) => {}
                        _ => {
                            tracing::error!(%error, "the shard's ring takes no more");
                            break;
                        }
                    }
                }
            }
        }
        wake(&self.waker);
    }

    /// Whether a `receive` would find a buffer. The kernel gets its buffers when the first socket asks.
    pub(crate) fn has_stock(&self) -> bool {
        if !self.lending.replace(true) {
            self.restock(STOCK);
        }
        let stock = self.stock.borrow();
        stock.as_ref().is_some_and(|stock| stock.lent() > 0)
    }

    /// Submits what was pushed, lets the kernel do what it has put off, and tells everybody what happened. How much that
    /// was.
    pub(crate) fn turn(&self) -> usize {
        let mut arrived = self.arrived.take();
        self.reap(&mut arrived);
        let happened = arrived.len();
        for (key, result, flags) in arrived.drain(..) {
            self.tell(key, result, flags);
        }
        self.arrived.replace(arrived);
        if happened > 0 && self.lending.get() {
            self.restock(STOCK);
        }
        happened + self.answer()
    }

    /// Sleeps in the kernel until something happens or `most` is over, then as `turn`.
    fn linger(&self, most: Duration) -> usize {
        if self.rest() {
            let uring = self.uring.borrow();
            let Some(uring) = uring.as_ref() else {
                return 0;
            };
            let most = types::Timespec::from(most);
            let arguments = types::SubmitArgs::new().timespec(&most);
            self.counts.enters.bump();
            if let Err(error) = uring.submitter().submit_with_args(1, &arguments) {
                match error.raw_os_error() {
                    Some(libc::ETIME | libc::EINTR | libc::EAGAIN | libc::EBUSY) => {}
                    _ => tracing::error!(%error, "the shard's ring failed"),
                }
            }
        }
        self.turn()
    }

    fn reap(&self, arrived: &mut Vec<(u64, i32, u32)>) {
        let mut uring = self.uring.borrow_mut();
        let Some(uring) = uring.as_mut() else { return };
        let (pushed, due) = {
            let queue = uring.submission();
            (queue.len(), queue.taskrun() || queue.cq_overflow())
        };
        if pushed > 0 || due {
            self.counts.enters.bump();
            // SAFETY: no argument is passed; what the entries refer to lives (see `push`).
            let entered = unsafe {
                uring
                    .submitter()
                    .enter::<libc::sigset_t>(pushed as u32, 0, GETEVENTS, None)
            };
            if let Err(error) = entered {
                match error.raw_os_error() {
                    // Again in the next turn, after what has arrived was taken.
                    Some(libc::EINTR | libc::EAGAIN | libc::EBUSY) => wake(&self.waker),
                    _ => tracing::error!(%error, "the shard's ring failed"),
                }
            }
        }
        let completions = uring.completion();
        arrived.extend(completions.map(|c| (c.user_data(), c.result(), c.flags())));
    }

    fn tell(&self, key: u64, result: i32, flags: u32) {
        let buffer = cqueue::buffer_select(flags).and_then(|number| {
            let mut stock = self.stock.borrow_mut();
            let taken = stock.as_mut().and_then(|stock| stock.take(number));
            taken.map(|mut buffer| {
                buffer.advance(usize::try_from(result).unwrap_or(0));
                buffer
            })
        });
        if key == NOBODY {
            return;
        }
        self.counts.completions.bump();
        let (slot, age) = Key(key).parts();
        let more = cqueue::more(flags);
        let to = {
            let mut ops = self.ops.borrow_mut();
            match ops.get(slot) {
                Some(op) if op.age == age && more => op.to.clone(),
                Some(op) if op.age == age => ops.remove(slot).to,
                _ => return,
            }
        };
        if result == -libc::ENOBUFS {
            self.counts.starved.bump();
        }
        to.complete(
            self,
            Done {
                result,
                more,
                buffer,
            },
        );
    }

    /// Lends the kernel what the pool gives in place of what was received into.
    fn restock(&self, most: usize) {
        if let Some(stock) = self.stock.borrow_mut().as_mut() {
            stock.restock(most);
        }
    }

    /// Whether a turn would find something to do.
    fn is_due(&self) -> bool {
        let mut uring = self.uring.borrow_mut();
        let Some(uring) = uring.as_mut() else {
            return false;
        };
        let queue = uring.submission();
        let pushed = !queue.is_empty() || queue.taskrun() || queue.cq_overflow();
        drop(queue);
        pushed || !uring.completion().is_empty()
    }

    /// Whether there is something to do, for who looks often.
    fn has_news(&self) -> bool {
        let bell = self.bell.borrow();
        bell.as_ref().is_some_and(|bell| bell.is_rung()) || self.is_due()
    }

    /// Whether the kernel writes to the eventfd when there is something to do.
    fn listen(&self, on: bool) {
        if let Some(uring) = self.uring.borrow_mut().as_mut() {
            let completions = uring.completion();
            match on {
                true => completions.enable_eventfd(),
                false => completions.disable_eventfd(),
            }
            // The look that follows must not come before the kernel can see it.
            fence(Ordering::SeqCst);
        }
    }

    /// As if the kernel had written to the eventfd.
    fn tell_pump(&self) -> io::Result<()> {
        let eventfd = self.eventfd.borrow();
        let Some(eventfd) = eventfd.as_ref() else {
            return Ok(());
        };
        let one = 1u64.to_ne_bytes();
        // SAFETY: eight bytes that live during the call, as eventfd(2) wants them.
        let written = unsafe { libc::write(eventfd.as_raw_fd(), one.as_ptr().cast(), one.len()) };
        match written {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    }

    pub(crate) fn stats(&self) -> RingStats {
        let stock = self.stock.borrow();
        RingStats {
            operations: self.ops.borrow().len(),
            lent: stock.as_ref().map_or(0, Stock::lent),
            enters: self.counts.enters.get(),
            completions: self.counts.completions.get(),
            cancels: self.counts.cancels.get(),
            starved: self.counts.starved.get(),
        }
    }

    /// Ends what is under way and closes the ring. Nothing can be started afterwards.
    pub(crate) fn close(&self) {
        self.finish();
        drop(self.eventfd.take());
        self.hears.borrow_mut().clear();
        drop(self.bell.take());
        let (uring, stock) = (self.uring.take(), self.stock.take());
        if self.ops.borrow().is_empty() {
            // The ring before the buffers that it was lent.
            drop(uring);
            drop(stock);
        } else {
            tracing::warn!("operations of the shard's ring have not ended");
            std::mem::forget((uring, stock));
        }
    }

    fn finish(&self) {
        self.closing.set(true);
        let keys: Vec<Key> = {
            let ops = self.ops.borrow();
            ops.iter().map(|(slot, op)| Key::of(slot, op.age)).collect()
        };
        for key in keys {
            self.cancel(key);
        }
        for _ in 0..LAST_TURNS {
            if self.turn() == 0 && !self.ops.borrow().is_empty() {
                self.linger(LAST_TURN);
            }
            if self.ops.borrow().is_empty() {
                break;
            }
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        self.close();
    }
}
