//! The task that keeps the network's ring going.
//!
//! Owns: when the ring is entered and when the pump sleeps. Asked by: the executor, which starts one a shard.
//! Never: keeps the executor for long from looking at its own rings. That costs it some ten system calls, so the pump goes
//! on by itself for `LOOK`, and sleeps in its own ring up to `LINGER` at a time, as long as the executor has nothing of its
//! own under way: no operation on a file, no task of the background, no timer that is due. Tasks of the latency class that wait for
//! their turn are called by it, before each turn of the ring.
//! Where it has a core of its own it may look for news for a while before it sleeps (`ShardOptions::spin`).
//! What the pump cannot know of (a signal) then waits for `LOOK` at most.
//! Bounds: one read of the eventfd under way, `OVERDUE` turns of our ring while that is waited for.

use super::Ring;
use crate::executor::Context as Executor;
use crate::io::in_flight;
use crate::steady::Steady;
use crate::time::monotonic_ns;
use glommio::io::BufferedFile;
use std::future::{Future, poll_fn};
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

/// Without a look at glommio's rings while they are quiet. Tasks of the background that were woken wait as long.
const LOOK: u64 = 1_000_000;

/// The same while they are not.
const LOOK_BUSY: u64 = 50_000;

/// One sleep in our own ring.
const LINGER: u64 = 100_000;

/// Turns of our ring while the executor has not come back from its own. Tasks that push and are told in turns would else keep it from
/// going there.
const OVERDUE: u32 = 4;

/// The background is busy when it ran within this.
const BACKGROUND: u64 = 300_000;

/// Runs as long as its executor. An error means that nobody would be woken any more.
pub(crate) async fn pump(ring: Rc<Ring>, executor: Rc<Executor>) -> std::io::Result<()> {
    let eventfd = ring.eventfd.borrow().as_ref().map(OwnedFd::try_clone);
    let Some(eventfd) = eventfd.transpose()? else {
        return Ok(());
    };
    // SAFETY: a descriptor of its own, given away here.
    let eventfd = Rc::new(unsafe { BufferedFile::from_raw_fd(eventfd.into_raw_fd()) });
    let mut pump = Pump {
        ring,
        eventfd,
        executor,
        told: None,
        polls: 0,
        looked: 0,
        overdue: 0,
        fresh: false,
    };
    poll_fn(|cx| pump.poll(cx)).await
}

type Told = Pin<Box<dyn Future<Output = std::io::Result<()>>>>;

struct Pump {
    ring: Rc<Ring>,
    eventfd: Rc<BufferedFile>,
    executor: Rc<Executor>,
    told: Option<Steady<Told>>,
    /// Of the executor's tasks, when this one was polled last.
    polls: u64,
    /// When the executor looked at its rings last, as far as we know.
    looked: u64,
    /// Turns of our ring since it began to wait for that.
    overdue: u32,
    /// Something has happened since it spun last.
    fresh: bool,
}

impl Pump {
    /// Looks for something to do without sleeping, once after each time that there was something. How much there was.
    fn spins(&mut self) -> usize {
        let most = self.executor.spin;
        if most == 0 || !std::mem::take(&mut self.fresh) {
            return 0;
        }
        let begun = monotonic_ns();
        while monotonic_ns().saturating_sub(begun) < most {
            if self.ring.has_news() {
                return self.ring.turn().max(1);
            }
            std::hint::spin_loop();
        }
        0
    }

    fn is_overdue(&mut self) -> bool {
        self.overdue = match self.told {
            Some(_) => self.overdue + 1,
            None => 0,
        };
        self.overdue > OVERDUE
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        self.ring.listen(false);
        let now = monotonic_ns();
        if let Some(told) = &mut self.told
            && let Poll::Ready(told) = told.poll(cx)
        {
            told?;
            // It is glommio who says so.
            (self.told, self.looked) = (None, now);
        }
        if self.is_overdue() {
            // Nobody who pushes wakes it from here on: the executor's ring does, after its next pass.
            self.ring.tell_pump()?;
            return Poll::Pending;
        }
        self.executor.turns.next_round();
        let mut happened = self.ring.turn();
        let polls = self.executor.turns.polls();
        let ran = std::mem::replace(&mut self.polls, polls) != polls;
        self.fresh |= happened > 0 || ran;
        let since = now.saturating_sub(self.looked);
        let quiet = self
            .executor
            .turns
            .next_timer()
            .map_or(u64::MAX, |at| at.saturating_sub(now));
        let look = match self.executor.turns.is_quiet(now, BACKGROUND) && in_flight() == 0 {
            true => LOOK.min(quiet),
            false => LOOK_BUSY,
        };
        if happened == 0 && !ran && look > LOOK_BUSY && since < look {
            // Nobody is ready to run: whoever was has run since the last time, and woke nobody.
            let most = LINGER.min(look - since);
            happened = match self.spins() {
                0 => self.ring.linger(Duration::from_nanos(most)),
                n => n,
            };
        }
        if (happened > 0 || ran) && since < look {
            // Behind those who were told, and whatever they push meanwhile.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.ring.waker.replace(Some(cx.waker().clone()));
        let eventfd = &self.eventfd;
        let told = self
            .told
            .get_or_insert_with(|| Steady::new(wait(eventfd.clone())));
        if let Poll::Ready(told) = told.poll(cx) {
            told?;
            self.told = None;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.ring.listen(true);
        if self.ring.is_due() || !self.ring.rest() {
            // It came while nobody listened, or was pushed by those who were told just now.
            self.ring.tell_pump()?;
        }
        Poll::Pending
    }
}

fn wait(eventfd: Rc<BufferedFile>) -> Told {
    Box::pin(async move {
        let read = eventfd.read_at(0, 8).await;
        read.map(drop).map_err(std::io::Error::from)
    })
}
