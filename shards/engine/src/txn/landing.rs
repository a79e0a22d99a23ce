//! Commits whose records are in the log and not yet on the disk.
//!
//! Owns: the queue of them, in the order of their records, and the one task that carries out those that a flush has made
//! durable: all of them are decided, then each puts its writes where they belong, gives its locks back and is answered.
//! Asked by: `commit`. Never: depends on who waits for the answer: a commit that has been appended runs to its end.
//! Bounds: one entry for each transaction that is committing here, at most one a connection; the log's backlog by `Store::admit`.

use super::commit::{Decides, unknown};
use super::partition::{Partition, bump};
use super::state::TxnState;
use futures_util::future::FutureExt;
use runtime::sync::oneshot;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use types::{Error, Lsn, Result, SqlState, Ts};

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
            Landing::Due(answer) => answer.await.unwrap_or_else(|_| {
                Err(Error::new(
                    SqlState::ADMIN_SHUTDOWN,
                    "the shard is stopping",
                ))
            }),
        }
    }
}

struct Flight {
    state: Rc<TxnState>,
    ts: Ts,
    end: Lsn,
    answer: oneshot::Sender<Result<Ts>>,
}

#[derive(Default)]
pub(super) struct Landings {
    queue: RefCell<VecDeque<Flight>>,
    /// Somebody is at it.
    going: Cell<bool>,
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
            let mut writes = 0;
            for flight in down {
                writes += flight.state.writes.borrow().len();
                match &durable {
                    Ok(()) => self.carry_out(flight),
                    Err(e) => drop(flight.answer.send(Err(unknown(e)))),
                }
            }
            self.clear_away(writes);
        }
    }

    /// About as much as the writes have left behind.
    fn clear_away(self: &Rc<Self>, writes: usize) {
        let this = self.clone();
        let mut work = Box::pin(async move {
            let horizon = this.snapshots.lowest();
            if let Err(e) = this.collect_for(writes, horizon).await {
                this.fence(&e);
            }
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
        if let Some(done) = self.put_here(&flight.state, flight.ts) {
            self.ends(flight, done);
            return;
        }
        let this = self.clone();
        let mut work = Box::pin(async move {
            let done = this.apply(&flight.state, flight.ts).await;
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
