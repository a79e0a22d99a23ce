//! Locks of rows that go on to the next transaction as soon as a commit is in the log, before it is on the disk.
//!
//! Owns: what makes that safe. Who gets such a lock sees the newest write of the row, of a commit in flight too, and from then on
//! rests on its record: all records of a partition reach the disk in their order, so his own commit cannot be there without
//! it; until it is there, no values that he has seen are told to anybody (`rested`). Writes that lie over others in flight go into the trees
//! behind them.
//! Asked by: `commit`, `landing`, and whatever looks at a row under its lock. Never: passes on the locks of a commit that
//! decides for other partitions, changes definitions or has staged its writes, nor lets anybody without the lock see it.
//! Bounds: those of the commits in flight.
//! Source: DeWitt et al., "Implementation Techniques for Main Memory Database Systems", 1984 (pre-committed transactions);
//! Johnson et al., "Aether", 2010 (early lock release).

use super::partition::Partition;
use super::state::{Status, TxnState};
use super::versions;
use std::rc::Rc;
use types::{Lsn, Result, TreeId, Ts, Xid};

type Version<T> = Option<(Ts, Option<T>)>;

impl Partition {
    /// The record of this commit is in the log and ends at `end`: whoever waits for its rows may have them.
    pub(super) fn pass(&self, state: &TxnState, end: Lsn) {
        let whole = state.staged.borrow().is_none() && !state.loaded.get();
        if whole && state.exclusive.borrow().is_empty() {
            state.passed.set(Some(end));
            self.passed.set(self.passed.get() + 1);
            self.locks.release_rows(state.xid);
        }
    }

    /// The newest commit in flight that has passed on the lock of a row which it has written.
    fn passed_on(&self, tree: TreeId, key: &[u8]) -> Option<(Ts, Rc<TxnState>)> {
        if self.passed.get() == 0 {
            return None;
        }
        let in_flight = self.in_flight.borrow();
        let mut newest_first = in_flight.iter().rev();
        let found = newest_first.find(|(_, s)| s.passed.get().is_some() && s.may_have(tree, key));
        found.map(|((ts, _), state)| (*ts, state.clone()))
    }

    /// The newest committed version, whatever the snapshot; call it under the key's lock, which `state` holds.
    pub async fn latest(
        &self,
        state: &TxnState,
        tree: TreeId,
        key: &[u8],
    ) -> Result<Version<Vec<u8>>> {
        if let Some((ts, from)) = self.passed_on(tree, key) {
            state.rest_on(&from);
            if state.serializable.get() {
                self.rested(state).await?;
            }
            let payload = from.writes.borrow().get(tree, key).cloned();
            return Ok(payload.map(|payload| (ts, payload)));
        }
        versions::newest(&self.store, tree, key, Ts(u64::MAX)).await
    }

    /// As `latest`, calling `f` with what there is where it lies; `None`: it has to be waited for.
    pub fn latest_here<R>(
        &self,
        state: &TxnState,
        tree: TreeId,
        key: &[u8],
        f: impl FnOnce(Version<&[u8]>) -> R,
    ) -> Option<Result<R>> {
        if let Some((ts, from)) = self.passed_on(tree, key) {
            state.rest_on(&from);
            let writes = from.writes.borrow();
            let payload = writes.get(tree, key);
            return Some(Ok(f(payload.map(|payload| (ts, payload.as_deref())))));
        }
        versions::newest_here(&self.store, tree, key, Ts(u64::MAX), f)
    }

    /// As `latest`, of what nobody else writes meanwhile.
    pub async fn stored(&self, tree: TreeId, key: &[u8]) -> Result<Version<Vec<u8>>> {
        versions::newest(&self.store, tree, key, Ts(u64::MAX)).await
    }

    /// It has seen what is not on the disk yet.
    pub fn rests(&self, state: &TxnState) -> bool {
        #[cfg(feature = "simulation")]
        if storage::planted::has(storage::planted::Planted::ToldEarly) {
            return false;
        }
        let end = state.rests_on.get();
        end.is_some_and(|end| end > self.store.wal_durable())
    }

    /// Once all that it has seen is on the disk.
    pub(super) async fn rested(&self, state: &TxnState) -> Result<()> {
        match state.rests_on.get() {
            Some(end) if self.rests(state) => self.wait_durable(end).await,
            _ => Ok(()),
        }
    }

    /// Once all that the transaction has seen here is on the disk: before anything of it is told.
    pub async fn tells(&self, xid: Xid) -> Result<()> {
        match self.txn_if_any(xid) {
            Some(state) => self.rested(&state).await,
            None => Ok(()),
        }
    }

    /// A commit before this one still has to put in what this one lies over.
    pub(super) fn is_behind(&self, state: &TxnState, ts: Ts) -> bool {
        let earlier = |s: &Rc<TxnState>| matches!(s.status.get(), Status::Committing(_));
        state.rests_on.get().is_some()
            && (self.in_flight.borrow())
                .range(..(ts, state.xid))
                .any(|(_, s)| earlier(s))
    }

    /// As `apply`, behind those before it.
    pub(super) async fn apply_behind(&self, state: &TxnState, ts: Ts) -> Result<()> {
        while self.is_behind(state, ts) {
            self.check()?;
            self.settled.notified().await;
        }
        self.apply(state, ts).await
    }
}

impl TxnState {
    fn rest_on(&self, from: &TxnState) {
        self.rests_on
            .set(self.rests_on.get().max(from.passed.get()));
    }
}
