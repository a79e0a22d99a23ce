//! Whose turn it is on an executor: time slices, the passes over the ring between them, and timers.
//!
//! Owns: how much of the current round each class of tasks has used, the tasks that wait for their turn, the timers of
//! the shard and the one task ("pulse") that fires timers, and starts rounds where the ring's pump does not.
//! Asked by: `task` before and after each poll, `time` for sleeping, the ring's pump. Never: interrupts a poll; a task that
//! does not yield holds its shard.
//! Bounds: in one round the latency class runs for `preempt`, the background class for a quarter of it; then the
//! ring is looked at, and the next round begins. So neither class can keep the other, a message or a timer
//! waiting for longer than that plus one poll. Who found the round used up is called, `CALLED` at a time, in the order in which they
//! came, and before all who come later: else those whom the ring brings back again and again would pass the others for ever.
//!
//! Why glommio's own preemption is switched off: its executor parks with tasks ready to run when the preempt timer
//! expires between being armed and the first look at it (`run_task_queues` answers "nothing ran"), which happens
//! as soon as the thread loses its core there, and then sleeps until something else arrives. And its reactor walks
//! over all timers in each pass, which 10,000 idle connections would pay for; here it sees a handful.

use crate::executor::Context;
use crate::time::monotonic_ns;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as Cx, Poll, Waker};
use std::time::Duration;

/// What glommio is told about preemption: never.
pub(crate) const NEVER: Duration = Duration::from_secs(24 * 3600);

/// No poll for this long means that the executor looked at the ring meanwhile: a new round, unless somebody waits for it.
const GAP_NS: u64 = 5_000;

/// Tasks of a class that are called in one round.
const CALLED: usize = 32;

/// The pulse beats at least this often. It and the slower `backstop` bound any sleep of glommio's that should not
/// have been.
const BEAT_NS: u64 = 50_000_000;

/// How far ahead the pulse sets its timer to come back after one pass over the ring.
const PASS: Duration = Duration::from_micros(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Latency,
    Background,
}

/// Deadline, then a number that keeps equal deadlines apart.
pub(crate) type TimerKey = (u64, u64);

pub(crate) struct Turns {
    budgets: [u64; 2],
    used: [Cell<u64>; 2],
    running: Cell<Option<(Class, u64)>>,
    last_end: Cell<u64>,
    lines: [Line; 2],
    polls: Cell<u64>,
    /// When the background class was polled last.
    background: Cell<u64>,
    timers: RefCell<BTreeMap<TimerKey, Waker>>,
    timers_made: Cell<u64>,
    pulse: RefCell<Option<Waker>>,
    /// What the pulse waits for; 0 while it runs.
    pulse_at: Cell<u64>,
}

/// Those of a class who wait for their turn.
#[derive(Default)]
struct Line {
    /// Called, and the round was used up before they ran.
    first: RefCell<VecDeque<Waker>>,
    others: RefCell<VecDeque<Waker>>,
    /// Called and not polled since.
    called: Cell<usize>,
}

impl Line {
    fn is_empty(&self) -> bool {
        self.first.borrow().is_empty() && self.others.borrow().is_empty()
    }

    /// Who has not waited yet must.
    fn holds(&self) -> bool {
        self.called.get() > 0 || !self.is_empty()
    }

    fn call(&self) {
        let mut woken = 0;
        while woken < CALLED {
            let next = self.first.borrow_mut().pop_front();
            let next = next.or_else(|| self.others.borrow_mut().pop_front());
            let Some(waker) = next else { break };
            waker.wake();
            woken += 1;
        }
        // A task that was cancelled never answers.
        self.called.set(woken);
    }
}

impl Turns {
    pub(crate) fn new(preempt: Duration) -> Turns {
        let preempt = u64::try_from(preempt.as_nanos())
            .unwrap_or(u64::MAX)
            .max(10_000);
        Turns {
            budgets: [preempt, preempt / 4],
            used: [Cell::new(0), Cell::new(0)],
            running: Cell::new(None),
            last_end: Cell::new(0),
            lines: Default::default(),
            polls: Cell::new(0),
            background: Cell::new(0),
            timers: RefCell::new(BTreeMap::new()),
            timers_made: Cell::new(0),
            pulse: RefCell::new(None),
            pulse_at: Cell::new(0),
        }
    }

    /// Before a poll. False, with the waker kept for a later round, when the class has used up this one or others wait for it.
    /// `again`: it was so the last time.
    pub(crate) fn begin(&self, class: Class, again: bool, cx: &Cx<'_>) -> bool {
        let now = monotonic_ns();
        self.polls.set(self.polls.get() + 1);
        if class == Class::Background {
            self.background.set(now);
        }
        if now.saturating_sub(self.last_end.get()) > GAP_NS && !self.somebody_waits() {
            self.new_round();
        }
        let line = &self.lines[class as usize];
        if again {
            line.called.set(line.called.get().saturating_sub(1));
        }
        let passes = again || !line.holds();
        if passes && self.used[class as usize].get() < self.budgets[class as usize] {
            self.running.set(Some((class, now)));
            return true;
        }
        self.last_end.set(now);
        let nobody = !self.somebody_waits();
        let queue = if again { &line.first } else { &line.others };
        queue.borrow_mut().push_back(cx.waker().clone());
        if nobody {
            self.wake_pulse();
        }
        false
    }

    fn somebody_waits(&self) -> bool {
        self.lines.iter().any(|line| !line.is_empty())
    }

    /// After the poll.
    pub(crate) fn end(&self) {
        if let Some((class, start)) = self.running.take() {
            let now = monotonic_ns();
            let used = &self.used[class as usize];
            used.set(used.get() + now.saturating_sub(start));
            self.last_end.set(now);
        }
    }

    /// Whether the task that runs now has used up its class's share of the round.
    pub(crate) fn spent(&self) -> bool {
        self.running.get().is_some_and(|(class, start)| {
            let used = self.used[class as usize].get();
            used + monotonic_ns().saturating_sub(start) >= self.budgets[class as usize]
        })
    }

    /// Times that a task was about to be polled.
    pub(crate) fn polls(&self) -> u64 {
        self.polls.get()
    }

    /// Nobody of the background waits for its turn, and none has run for so long.
    pub(crate) fn is_quiet(&self, now: u64, background: u64) -> bool {
        self.lines[Class::Background as usize].is_empty()
            && now.saturating_sub(self.background.get()) > background
    }

    /// Has `waker` woken at `deadline` (or soon after).
    pub(crate) fn set_timer(&self, deadline: u64, waker: Waker) -> TimerKey {
        let number = self.timers_made.get();
        self.timers_made.set(number.wrapping_add(1));
        self.timers.borrow_mut().insert((deadline, number), waker);
        if deadline < self.pulse_at.get() {
            self.wake_pulse();
        }
        (deadline, number)
    }

    /// False when the timer has fired.
    pub(crate) fn change_timer(&self, key: TimerKey, waker: &Waker) -> bool {
        match self.timers.borrow_mut().get_mut(&key) {
            Some(known) => {
                known.clone_from(waker);
                true
            }
            None => false,
        }
    }

    pub(crate) fn clear_timer(&self, key: TimerKey) {
        let waker = self.timers.borrow_mut().remove(&key);
        drop(waker);
    }

    fn new_round(&self) {
        for used in &self.used {
            used.set(0);
        }
    }

    fn wake_pulse(&self) {
        let waker = self.pulse.borrow_mut().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(crate) fn next_timer(&self) -> Option<u64> {
        self.timers.borrow().first_key_value().map(|(key, _)| key.0)
    }

    pub(crate) fn fire(&self, now: u64) {
        loop {
            let due = {
                let mut timers = self.timers.borrow_mut();
                match timers.first_entry() {
                    Some(first) if first.key().0 <= now => Some(first.remove()),
                    _ => None,
                }
            };
            match due {
                Some(waker) => waker.wake(),
                None => return,
            }
        }
    }

    /// The ring is about to be looked at: a new round for the latency class. Those who are called run before those whom the ring
    /// brings.
    pub(crate) fn next_round(&self) {
        let line = &self.lines[Class::Latency as usize];
        if !line.is_empty() {
            self.used[Class::Latency as usize].set(0);
            line.call();
        }
    }

    fn resume(&self) {
        self.new_round();
        for line in &self.lines {
            line.call();
        }
    }
}

/// Fires timers and starts rounds, for as long as the executor lives.
pub(crate) async fn pulse(context: Rc<Context>) {
    let turns = &context.turns;
    loop {
        let round_over = turns.somebody_waits();
        let now = monotonic_ns();
        if round_over {
            one_pass().await;
            turns.resume();
        } else {
            let beat = now + BEAT_NS;
            let at = turns.next_timer().map_or(beat, |next| next.min(beat));
            Beat::new(turns, now, at).await;
        }
        turns.fire(monotonic_ns());
    }
}

/// Comes back when the executor has run out of ready tasks and looked at the ring.
async fn one_pass() {
    let mut wait = PASS;
    let mut timer = glommio::timer::Timer::new(wait);
    let mut armed = false;
    std::future::poll_fn(|cx| {
        if armed {
            return Poll::Ready(());
        }
        // A timer that expired before it was armed would not have let the executor look.
        while Pin::new(&mut timer).poll(cx).is_ready() {
            wait *= 2;
            timer = glommio::timer::Timer::new(wait);
        }
        armed = true;
        Poll::Pending
    })
    .await;
}

/// Waits for a time, or for a reason to compute it anew.
struct Beat<'a> {
    turns: &'a Turns,
    timer: glommio::timer::Timer,
    at: u64,
    armed: bool,
}

impl<'a> Beat<'a> {
    fn new(turns: &'a Turns, now: u64, at: u64) -> Beat<'a> {
        let wait = Duration::from_nanos(at.saturating_sub(now));
        Beat {
            turns,
            timer: glommio::timer::Timer::new(wait),
            at,
            armed: false,
        }
    }
}

impl Future for Beat<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Cx<'_>) -> Poll<()> {
        // Armed once: glommio's timer adds another entry with each poll.
        if self.armed || Pin::new(&mut self.timer).poll(cx).is_ready() {
            self.turns.pulse_at.set(0);
            return Poll::Ready(());
        }
        self.armed = true;
        self.turns.pulse_at.set(self.at);
        self.turns.pulse.replace(Some(cx.waker().clone()));
        Poll::Pending
    }
}

/// A second and a third timer that are always armed, in case the pulse itself is ready to run and glommio sleeps.
pub(crate) async fn backstop(period: Duration) {
    loop {
        glommio::timer::sleep(period).await;
    }
}

#[cfg(test)]
#[path = "turns_tests.rs"]
mod tests;
