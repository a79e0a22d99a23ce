//! Commits whose records are in the log and not yet on the disk.
//!
//! Owns: the queue of them, in the order of their records, and the one task that carries out those that a flush has made
//! durable: all of them are decided, then each puts its writes where they belong, gives back the locks that it still has and is answered.
//! Asked by: `commit`. Never: depends on who waits for the answer: a commit that has been appended runs to its end.
//! Bounds: one entry for each transaction that is committing here, at most one a connection; the log's backlog by `Store::admit`;
//! garbage that is still to be collected by `UNCOLLECTED_MAX` writes.

use super::commit::{Decides, stopping, unknown};
use super::partition::{Partition, bump};
use super::state::TxnState;
use futures_util::future::FutureExt;
use runtime::sync::oneshot;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use types::{Lsn, Result, Ts};

/// The answer to a commit: resolves when it is durable and done.
pub enum Landing {
    /// It has written nothing.
    Done(Ts),
    Due(oneshot::Receiver<Result<Ts>>),
}

impl Landing {
    pub async fn done(self) -> Result<Ts> {
        match self {
            Landing::Done(ts) => Ok(ts),
            Landing::Due(answer) => answer.await.unwrap_or_else(|_| Err(stopping())),
        }
    }
}

struct Flight {
    state: Rc<TxnState>,
    ts: Ts,
    end: Lsn,
    answer: oneshot::Sender<Result<Ts>>,
}

/// Writes after which nothing has been collected, before commits wait for that.
const UNCOLLECTED_MAX: usize = 4096;

#[derive(Default)]
pub(super) struct Landings {
    queue: RefCell<VecDeque<Flight>>,
    /// Somebody is at it.
    going: Cell<bool>,
    /// Writes after which nothing has been collected, and whether somebody is at that.
    uncollected: Cell<usize>,
    collecting: Cell<bool>,
}

impl Partition {
    /// `state` has a record that ends at `end` and commits it at `ts`. From here on the record may be found at the next start.
    pub(super) fn lands(
        self: &Rc<Self>,
        state: &Rc<TxnState>,
        (ts, end): (Ts, Lsn),
        decides: &Decides,
    ) -> Landing {
        if !decides.participants.is_empty() {
            let start = *state.pins.borrow().last().unwrap_or(&end);
            self.pin(start);
            self.decisions.borrow_mut().insert(state.xid, (ts, start));
        }
        let (answer, answered) = oneshot::channel();
        self.landings.queue.borrow_mut().push_back(Flight {
            state: state.clone(),
            ts,
            end,
            answer,
        });
        if !self.landings.going.replace(true) {
            let this = self.clone();
            runtime::spawn(async move { this.land().await }).detach();
        }
        Landing::Due(answered)
    }

    /// Until nothing is in flight.
    async fn land(self: Rc<Self>) {
        loop {
            let first = self.landings.queue.borrow().front().map(|f| f.end);
            let Some(first) = first else {
                self.landings.going.set(false);
                return;
            };
            let durable = self.wait_durable(first).await;
            let down = self.landed(durable.is_ok());
            for flight in &down {
                if durable.is_ok() {
                    flight.state.decided.set(Some(flight.ts));
                }
            }
            self.settled.notify_all();
            for flight in down {
                match &durable {
                    Ok(()) => self.carry_out(flight),
                    Err(e) => drop(flight.answer.send(Err(unknown(e)))),
                }
                runtime::yield_if_needed().await;
            }
            while self.landings.uncollected.get() > UNCOLLECTED_MAX {
                self.settled.notified().await;
            }
        }
    }

    /// Collects about as much as writes have left behind, now or, when pages have to be waited for, by and by.
    fn collects(self: &Rc<Self>, writes: usize) {
        let landings = &self.landings;
        landings
            .uncollected
            .set(landings.uncollected.get() + writes);
        if landings.collecting.replace(true) {
            return;
        }
        let this = self.clone();
        let mut work = Box::pin(async move {
            loop {
                let writes = this.landings.uncollected.take();
                this.settled.notify_all();
                if writes == 0 || this.fenced().is_some() {
                    break;
                }
                let horizon = this.snapshots.lowest();
                if let Err(e) = this.collect_for(writes, horizon).await {
                    this.fence(&e);
                }
            }
            this.landings.collecting.set(false);
        });
        if (&mut work).now_or_never().is_none() {
            runtime::spawn(work).detach();
        }
    }

    /// Those that a flush has made durable; all of them when there will not be another.
    fn landed(&self, durable: bool) -> Vec<Flight> {
        let mut queue = self.landings.queue.borrow_mut();
        let end = self.store.wal_durable();
        let down = match durable {
            true => queue.iter().take_while(|f| f.end <= end).count(),
            false => queue.len(),
        };
        queue.drain(..down).collect()
    }

    /// What has to wait for pages goes on by itself.
    fn carry_out(self: &Rc<Self>, flight: Flight) {
        let first = !self.is_behind(&flight.state, flight.ts);
        if first && let Some(done) = self.put_here(&flight.state, flight.ts) {
            let writes = flight.state.writes.borrow().len();
            self.ends(flight, done);
            self.collects(writes);
            return;
        }
        let this = self.clone();
        let mut work = Box::pin(async move {
            let done = this.apply_behind(&flight.state, flight.ts).await;
            this.ends(flight, done);
        });
        if (&mut work).now_or_never().is_none() {
            runtime::spawn(work).detach();
        }
    }

    fn ends(&self, flight: Flight, done: Result<()>) {
        let Flight {
            state, ts, answer, ..
        } = flight;
        let answered = match done {
            Ok(()) => {
                bump(&self.counters.commits);
                self.bar(&state);
                self.end(&state);
                Ok(ts)
            }
            Err(e) => Err(unknown(&e)),
        };
        // Whoever asked may have gone away.
        let _ = answer.send(answered);
    }
}
