//! How a transaction ends in one partition.
//!
//! Owns: commit, prepare, the carrying out of a decision, abort, and the putting of committed writes into their trees.
//! Asked by: `shard`, `recovery`. Never: awaits from the timestamp of a commit to its place among those in flight and in
//! the WAL, and never answers by an abort once its record may be found at the next start (08007 then).
//! Bounds: a run of `RUN` writes at a time; records by `record::CHUNK_BYTES`, the WAL's backlog by `Store::admit`.

use super::landing::Landing;
use super::partition::{Partition, bump};
use super::record::Ops;
use super::state::{Status, TxnState};
use super::writes::Payload;
use super::{record, versions};
use runtime::sync::oneshot;
use smallvec::SmallVec;
use std::rc::Rc;
use std::time::Duration;
use storage::Op;
use types::{Error, Lsn, PartitionId, Result, SqlState, TreeId, Ts, Xid};

type Cell = (TreeId, Vec<u8>, Vec<u8>);

/// Writes that are handled between two looks at the clock.
const RUN: usize = 128;

/// A decision that has been carried out, for which nobody waits, is on disk after this at the latest.
pub const CARRIED_OUT_WITHIN: Duration = Duration::from_millis(20);

/// A commit with more writes is carried out in runs.
const HERE_MAX: usize = 32;

/// For a commit that also decides for transactions prepared elsewhere.
#[derive(Clone, Debug, Default)]
pub struct Decides {
    /// The latest of their prepare timestamps.
    pub at_least: Ts,
    pub participants: Vec<PartitionId>,
}

impl Partition {
    /// Commits what `xid` wrote here. Once begun it runs to its end, even if the caller goes away.
    pub async fn commit(self: &Rc<Self>, xid: Xid, decides: Decides) -> Result<Ts> {
        if let Some(begun) = self.commit_here(xid, &decides) {
            return begun?.done().await;
        }
        let Some(state) = self.txn_if_any(xid) else {
            return Ok(self.clock.now());
        };
        let this = self.clone();
        to_the_end(async move {
            let begun = match this.ready(&state).await {
                Ok(ops) => this.takes_off(&state, &decides, &ops),
                Err(e) => Err(e),
            };
            this.or_abort(&state, begun)?.done().await
        })
        .await
    }

    /// Begins a commit, unless something has to be waited for before its record is in the log.
    pub fn commit_here(self: &Rc<Self>, xid: Xid, decides: &Decides) -> Option<Result<Landing>> {
        let Some(state) = self.txn_if_any(xid) else {
            self.reads.end(xid);
            return Some(Ok(Landing::Done(self.clock.now())));
        };
        let idle = state.is_empty() && !state.loaded.get() && decides.participants.is_empty();
        // What rests on a record gets one of its own behind it.
        if idle && !self.rests(&state) {
            self.reads.end(xid);
            self.end(&state);
            return Some(Ok(Landing::Done(self.clock.now())));
        }
        let ops = self.ready_here(&state)?;
        let begun = self.takes_off(&state, decides, &ops);
        Some(self.or_abort(&state, begun))
    }

    /// Begins a commit, now or as soon as may be.
    pub fn commit_soon(self: &Rc<Self>, xid: Xid) -> Result<Landing> {
        if let Some(begun) = self.commit_here(xid, &Decides::default()) {
            return begun;
        }
        let this = self.clone();
        let (done, answer) = oneshot::channel();
        runtime::spawn(async move {
            let _ = done.send(this.commit(xid, Decides::default()).await);
        })
        .detach();
        Ok(Landing::Due(answer))
    }

    /// Forgets a transaction that has written nothing here, and its locks.
    pub fn leaves(&self, state: &TxnState) {
        self.reads.end(state.xid);
        self.end(state);
    }

    fn or_abort<T>(&self, state: &TxnState, outcome: Result<T>) -> Result<T> {
        if outcome.is_err() && state.status.get() == Status::Active {
            self.abort(state.xid);
        }
        outcome
    }

    /// From its timestamp to its place in the log.
    fn takes_off(
        self: &Rc<Self>,
        state: &Rc<TxnState>,
        decides: &Decides,
        ops: &[u8],
    ) -> Result<Landing> {
        self.reads.validate(state.xid)?;
        self.reads.wrote(state)?;
        let ts = Ts(self.clock.now().0.max(decides.at_least.0));
        self.clock.merge(ts);
        // Whoever changes what it read does so later.
        self.reads.end(state.xid);
        state.status.set(Status::Committing(ts));
        self.in_flight
            .borrow_mut()
            .insert((ts, state.xid), state.clone());
        let bytes = record::commit(state.xid, ts, &decides.participants, ops);
        let end = self.append(state, &bytes)?;
        if decides.participants.is_empty() {
            self.pass(state, end);
        }
        Ok(self.lands(state, (ts, end), decides))
    }

    /// Makes the writes durable without deciding; readers at or above the answered timestamp wait for the decision.
    pub async fn prepare(self: &Rc<Self>, xid: Xid, coordinator: PartitionId) -> Result<Ts> {
        let Some(state) = self.txn_if_any(xid) else {
            // It has only read here.
            self.reads.validate(xid)?;
            return Ok(self.clock.now());
        };
        let locks_tables = !state.exclusive.borrow().is_empty();
        if state.is_empty() && !state.loaded.get() && !locks_tables {
            // It only locked rows here: nothing to decide. What it writes elsewhere is not there to see yet, so they stay.
            self.reads.validate(xid)?;
            self.rested(&state).await?;
            return Ok(self.clock.now());
        }
        let this = self.clone();
        to_the_end(async move {
            let outcome = this.prepare_now(&state, coordinator).await;
            if outcome.is_err() && state.status.get() == Status::Active {
                this.abort(xid);
            }
            outcome
        })
        .await
    }

    async fn prepare_now(&self, state: &Rc<TxnState>, coordinator: PartitionId) -> Result<Ts> {
        let ops = self.ready(state).await?;
        self.reads.validate(state.xid)?;
        self.reads.wrote(state)?;
        let ts = self.clock.now();
        state.status.set(Status::Prepared(ts));
        self.in_flight
            .borrow_mut()
            .insert((ts, state.xid), state.clone());
        let end = self.append(state, &record::prepare(state.xid, ts, coordinator, &ops))?;
        self.wait_durable(end).await?;
        self.bar(state);
        bump(&self.counters.prepares);
        Ok(ts)
    }

    /// Carries out a decision to commit. Durable when it returns, on its own account no sooner than `within`; visible before
    /// that.
    pub async fn commit_prepared(
        self: &Rc<Self>,
        xid: Xid,
        ts: Ts,
        within: Duration,
    ) -> Result<()> {
        self.clock.merge(ts);
        self.reads.end(xid);
        let Some(state) = self.txn_if_any(xid) else {
            return Ok(());
        };
        if state.status.get() == Status::Active && state.is_empty() {
            self.end(&state);
            return Ok(());
        }
        let this = self.clone();
        to_the_end(async move {
            let end = this.append(&state, &record::commit_prepared(xid, ts))?;
            this.decide(&state, ts);
            this.apply(&state, ts).await?;
            bump(&this.counters.commits);
            this.end(&state);
            // The coordinator remembers the decision until then; nobody waits for that.
            let durable = this.store.durable_within(end, within).await;
            durable.map_err(Error::from).inspect_err(|e| this.fence(e))
        })
        .await
    }

    /// Every participant has carried out the decision: recovery no longer needs it.
    pub fn forget(&self, xid: Xid) {
        if let Some((_, start)) = self.decisions.borrow_mut().remove(&xid) {
            self.unpin(start);
        }
    }

    /// Drops what `xid` wrote and gives back its locks. A commit that has begun is not stopped.
    pub fn abort(&self, xid: Xid) {
        self.reads.end(xid);
        let Some(state) = self.txn_if_any(xid) else {
            self.locks.release(xid);
            return;
        };
        match state.status.get() {
            Status::Committing(_) | Status::Ended => return,
            Status::Prepared(_) => {
                // Not waited for: without the record recovery asks the coordinator and learns the same.
                if let Err(e) = self.store.append(&record::abort_prepared(xid)) {
                    tracing::warn!(partition = self.id.0, error = %e, "abort of a prepared transaction not logged");
                }
            }
            Status::Active => {}
        }
        self.lift(&state);
        bump(&self.counters.aborts);
        self.end(&state);
    }

    /// Everything a Commit or Prepare record waits for; returns its operations.
    async fn ready(&self, state: &Rc<TxnState>) -> Result<Vec<u8>> {
        self.check()?;
        state.active()?;
        if state.loaded.get() {
            self.checkpoint_now().await?;
        }
        if state.unlogged.get() {
            self.append(state, &record::unlogged(state.xid))?;
        }
        let last = self.log_chunks(state).await?;
        self.store.admit(last.len() + 64).await?;
        state.active()?;
        Ok(last)
    }

    /// As `ready`, for the usual commit: small, and with nothing to wait for.
    fn ready_here(&self, state: &TxnState) -> Option<Vec<u8>> {
        let writes = state.writes.borrow();
        let usual = self.check().is_ok()
            && state.active().is_ok()
            && !state.loaded.get()
            && !state.unlogged.get()
            && state.staged.borrow().is_none()
            && writes.bytes() <= record::CHUNK_BYTES
            && self.store.has_room(writes.bytes());
        usual.then(|| record::all(&writes))
    }

    /// Logs all but the last run of what the transaction wrote; returns that.
    async fn log_chunks(&self, state: &TxnState) -> Result<Vec<u8>> {
        let staged = state.staged.borrow().clone();
        let Some(staged) = staged else {
            let mut runs = record::cut(&state.writes.borrow());
            let last = runs.pop().unwrap_or_default();
            for run in runs {
                self.log_chunk(state, &run).await?;
            }
            return Ok(last);
        };
        self.stage(state, &staged).await?;
        let (mut ops, mut from) = (Ops::new(), Vec::new());
        loop {
            let run = staged.all(&from).await?;
            for (tree, key, value) in &run.entries {
                if ops.is_full() {
                    let full = std::mem::take(&mut ops);
                    self.log_chunk(state, &full.finish()).await?;
                }
                ops.push(*tree, key, value);
            }
            match run.next {
                Some(next) => from = next,
                None => return Ok(ops.finish()),
            }
            runtime::yield_if_needed().await;
        }
    }

    pub(super) async fn log_chunk(&self, state: &TxnState, ops: &[u8]) -> Result<()> {
        let bytes = record::chunk(state.xid, ops);
        self.store.admit(bytes.len()).await?;
        state.active()?;
        self.append(state, &bytes)?;
        Ok(())
    }

    /// From here on readers see the commit, though its writes are not in their trees yet.
    fn decide(&self, state: &TxnState, ts: Ts) {
        state.decided.set(Some(ts));
        self.settled.notify_all();
    }

    /// Appends a record that recovery needs until `state` ends.
    fn append(&self, state: &TxnState, bytes: &[u8]) -> Result<Lsn> {
        let at = self
            .store
            .append(bytes)
            .map_err(Error::from)
            .inspect_err(|e| self.fence(e))?;
        self.pin(at.start);
        state.pins.borrow_mut().push(at.start);
        Ok(at.end)
    }

    pub(super) async fn wait_durable(&self, end: Lsn) -> Result<()> {
        self.store
            .durable(end)
            .await
            .map_err(Error::from)
            .inspect_err(|e| self.fence(e))
    }

    /// As `apply`, if nothing has to be waited for; otherwise what it has done can be done again.
    pub(super) fn put_here(&self, state: &TxnState, ts: Ts) -> Option<Result<()>> {
        let writes = state.writes.borrow();
        if writes.len() > HERE_MAX || state.staged.borrow().is_some() {
            return None;
        }
        let cells = cells(writes.iter(), ts);
        let mut ops = cells.iter().map(put_of);
        let mut done = writes.iter();
        let mut left: SmallVec<[(TreeId, &[u8]); 4]> = SmallVec::new();
        let put = self.store.apply_here(&mut ops, &mut |_, behind| {
            if let Some((tree, key, value)) = done.next()
                && leaves_behind(key, value, behind)
            {
                left.push((tree, key));
            }
        });
        match put {
            Ok(true) => {}
            Ok(false) => return None,
            Err(e) => {
                let e = Error::from(e);
                self.fence(&e);
                return Some(Err(e));
            }
        }
        for (tree, key) in left {
            self.garbage.push(ts, tree, key);
        }
        self.changed.count(writes.iter().map(|(tree, ..)| tree));
        Some(Ok(()))
    }

    /// Puts the writes into the trees as versions of `ts`.
    pub(super) async fn apply(&self, state: &TxnState, ts: Ts) -> Result<()> {
        let horizon = self.snapshots.lowest();
        let staged = state.staged.borrow().clone();
        if let Some(staged) = staged {
            let mut from = Some(Vec::new());
            while let Some(first) = from.take() {
                let run = staged.all(&first).await?;
                self.put_run(&run.entries, ts, horizon).await?;
                from = run.next;
            }
        }
        let mut run: Vec<(TreeId, Vec<u8>, Payload)> = Vec::new();
        loop {
            run = {
                let writes = state.writes.borrow();
                let last = run.last().map(|(tree, key, _)| (*tree, key.as_slice()));
                let next = writes.after(last).take(RUN);
                next.map(|(tree, key, value)| (tree, key.clone(), value.clone()))
                    .collect()
            };
            if run.is_empty() {
                return Ok(());
            }
            self.put_run(&run, ts, horizon).await?;
        }
    }

    async fn put_run(&self, run: &[(TreeId, Vec<u8>, Payload)], ts: Ts, horizon: Ts) -> Result<()> {
        let put = async {
            let cells = cells(run.iter().map(|(tree, key, value)| (*tree, key, value)), ts);
            let mut ops = cells.iter().map(put_of);
            let mut done = run.iter();
            self.store
                .apply_watched(&mut ops, &mut |_, behind| {
                    if let Some((tree, key, value)) = done.next()
                        && leaves_behind(key, value, behind)
                    {
                        self.garbage.push(ts, *tree, key);
                    }
                })
                .await?;
            self.changed.count(run.iter().map(|(tree, ..)| *tree));
            self.collect_for(run.len(), horizon).await?;
            runtime::yield_if_needed().await;
            Ok(())
        };
        put.await.inspect_err(|e| self.fence(e))
    }

    pub(super) fn end(&self, state: &TxnState) {
        match state.status.replace(Status::Ended) {
            Status::Prepared(ts) | Status::Committing(ts) => {
                self.in_flight.borrow_mut().remove(&(ts, state.xid));
            }
            Status::Active | Status::Ended => {}
        }
        if state.passed.take().is_some() {
            self.passed.set(self.passed.get() - 1);
        }
        if state.reinstated.take() {
            self.doubts.set(self.doubts.get() - 1);
        }
        self.txns.borrow_mut().remove(&state.xid);
        for start in state.pins.borrow_mut().drain(..) {
            self.unpin(start);
        }
        self.locks.release(state.xid);
        self.settled.notify_all();
    }
}

/// Writes as versions of `ts`.
fn cells<'a>(
    writes: impl Iterator<Item = (TreeId, &'a Vec<u8>, &'a Payload)>,
    ts: Ts,
) -> SmallVec<[Cell; 4]> {
    let cell = |(tree, key, value): (TreeId, &Vec<u8>, &Payload)| {
        let value = versions::cell_value(value.as_deref());
        (tree, versions::cell_key(key, ts), value)
    };
    writes.map(cell).collect()
}

fn put_of((tree, key, value): &Cell) -> Op<'_> {
    Op::Put {
        tree: *tree,
        key,
        value,
    }
}

/// Whether a version that was put leaves one behind that may go some day; `behind` is the cell behind it, if that is known.
fn leaves_behind(key: &[u8], value: &Payload, behind: Option<&[u8]>) -> bool {
    value.is_none() || behind.is_none_or(|b| versions::is_of(b, key))
}

/// 08007: only the next start tells whether it was committed.
pub(super) fn unknown(e: &Error) -> Error {
    Error::new(
        SqlState::TRANSACTION_RESOLUTION_UNKNOWN,
        "the outcome of the commit is unknown",
    )
    .with_detail(e.message().to_owned())
    .with_hint("The partition is fenced. After a restart look whether the changes are there before repeating them.")
}

/// 57P01: whoever was to answer has gone.
pub(super) fn stopping() -> Error {
    Error::new(SqlState::ADMIN_SHUTDOWN, "the shard is stopping")
}

/// Runs `work` on its own task, so that a caller that goes away cannot leave it half done.
pub(super) async fn to_the_end<T: 'static>(
    work: impl Future<Output = Result<T>> + 'static,
) -> Result<T> {
    let (done, outcome) = oneshot::channel();
    runtime::spawn(async move {
        let _ = done.send(work.await);
    })
    .detach();
    outcome.await.unwrap_or_else(|_| Err(stopping()))
}
