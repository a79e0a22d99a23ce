//! What a transaction may read: its own writes, commits whose writes are still on their way, and the trees.
//!
//! Owns: the rule that a snapshot sees every commit at or before it. One that is not durable yet is waited for; one that
//! is, but has not put all its writes into their trees, is laid over them. Asked by: `shard`.
//! Never: waits for a commit after the snapshot, or for more than the statement's deadline.
//! Bounds: layers are the partition's commits in flight, one a connection at most.

use super::partition::Partition;
use super::state::TxnState;
use super::writes::{Entry, Payload};
use super::{Isolation, TxnRef, versions};
use std::ops::Bound;
use std::rc::Rc;
use std::time::Duration;
use types::limits::BATCH_BYTES_MAX;
use types::{Result, TreeId, Ts, Xid};

/// How often a reader that waits for a commit looks whether its statement was stopped.
const STOP_POLL: Duration = Duration::from_millis(20);
/// Entries that one run takes out of a layer.
const RUN: usize = 512;

/// Writes that lie over the trees, for one reader of one tree. Where two of them have the same key the later one wins, and
/// the reader's own come last.
pub struct Layers {
    tree: TreeId,
    states: Vec<Rc<TxnState>>,
    reader: Xid,
    apart: u32,
}

impl Partition {
    /// Waits until no commit in flight at or before `snapshot` that touches the key (or, without one, the tree) is
    /// undecided.
    async fn settle(
        &self,
        txn: &TxnRef,
        snapshot: Ts,
        tree: TreeId,
        key: Option<&[u8]>,
    ) -> Result<()> {
        self.clock.merge(snapshot);
        loop {
            self.check()?;
            if !self.is_unsettled(txn, snapshot, tree, key) {
                return Ok(());
            }
            let told = runtime::timeout(STOP_POLL, self.settled.notified());
            let _ = Box::pin(told).await;
            txn.stop.check()?;
        }
    }

    fn is_unsettled(&self, txn: &TxnRef, snapshot: Ts, tree: TreeId, key: Option<&[u8]>) -> bool {
        self.in_flight
            .borrow()
            .range(..=(snapshot, Xid(u64::MAX)))
            .any(|((_, xid), state)| {
                *xid != txn.xid
                    && state.decided.get().is_none()
                    && match key {
                        Some(key) => state.may_have(tree, key),
                        None => state.touches(tree),
                    }
            })
    }

    /// Decided commits at or before the snapshot that have not put all they wrote into their trees.
    fn decided(&self, txn: &TxnRef, tree: TreeId) -> Vec<Rc<TxnState>> {
        self.in_flight
            .borrow()
            .range(..=(txn.snapshot, Xid(u64::MAX)))
            .map(|(_, state)| state)
            .filter(|s| s.decided.get().is_some_and(|ts| ts <= txn.snapshot) && s.touches(tree))
            .cloned()
            .collect()
    }

    /// Everything that lies over the tree for a reader, once all it must see is decided.
    pub async fn layers(&self, txn: &TxnRef, tree: TreeId) -> Result<Layers> {
        self.settle(txn, txn.snapshot, tree, None).await?;
        let mut states = self.decided(txn, tree);
        if let Some(own) = self.txn_if_any(txn.xid).filter(|own| own.touches(tree)) {
            self.rested(&own).await?;
            states.push(own);
        }
        Ok(Layers {
            tree,
            states,
            reader: txn.xid,
            apart: txn.apart,
        })
    }

    /// The row as the transaction sees it: its own write, else the newest version at or before its snapshot.
    pub async fn read(&self, txn: &TxnRef, tree: TreeId, key: &[u8]) -> Result<Option<Vec<u8>>> {
        if let Some(own) = self.own(txn, tree, key).await? {
            return Ok(own);
        }
        self.reads_key(txn, tree, key);
        self.settle(txn, txn.snapshot, tree, Some(key)).await?;
        if txn.isolation == Isolation::Serializable {
            self.spoil_by_in_flight(txn, |state| state.may_have(tree, key));
            let newest = versions::newest(&self.store, tree, key, Ts(u64::MAX));
            let newest = Box::pin(newest).await?;
            if newest.is_some_and(|(ts, _)| ts > txn.snapshot) {
                self.reads.spoilt(txn.xid);
            }
        }
        // The later ones lie over those before them.
        for state in self.decided(txn, tree).into_iter().rev() {
            if let Some(payload) = Box::pin(state.get(tree, key)).await? {
                return Ok(payload);
            }
        }
        Ok(versions::newest(&self.store, tree, key, txn.snapshot)
            .await?
            .and_then(|(_, payload)| payload))
    }

    /// Calls `f` with the row as a transaction sees it whose reads nobody has to remember. `None` when something would have to
    /// be waited for or put together, or when it may have written the row itself; then `read` does it.
    pub fn read_here<R>(
        &self,
        xid: Option<Xid>,
        snapshot: Ts,
        tree: TreeId,
        key: &[u8],
        f: impl FnOnce(Option<&[u8]>) -> R,
    ) -> Option<Result<R>> {
        self.clock.merge(snapshot);
        let in_flight = self.in_flight.borrow();
        let mut before = in_flight.range(..=(snapshot, Xid(u64::MAX)));
        let own = xid.and_then(|xid| self.txn_if_any(xid));
        if own.is_some_and(|own| own.may_have(tree, key)) {
            return None;
        }
        if self.check().is_err() || before.any(|(_, state)| state.may_have(tree, key)) {
            return None;
        }
        versions::newest_here(&self.store, tree, key, snapshot, |found| {
            f(found.and_then(|(_, payload)| payload))
        })
    }

    /// Waits until nobody who has been in doubt since the start, and so has no lock, may have written the key.
    pub(super) async fn undoubted(&self, txn: &TxnRef, tree: TreeId, key: &[u8]) -> Result<()> {
        while self.is_doubted(tree, key) {
            self.check()?;
            let told = runtime::timeout(STOP_POLL, self.settled.notified());
            let _ = Box::pin(told).await;
            txn.stop.check()?;
        }
        Ok(())
    }

    pub fn is_doubted(&self, tree: TreeId, key: &[u8]) -> bool {
        let in_flight = self.in_flight.borrow();
        let written = |s: &Rc<TxnState>| s.reinstated.get() && s.may_have(tree, key);
        self.doubts.get() > 0 && in_flight.values().any(written)
    }

    /// What the transaction itself wrote, as its statement sees it: `Some(None)` = deleted.
    async fn own(&self, txn: &TxnRef, tree: TreeId, key: &[u8]) -> Result<Option<Payload>> {
        match self.txn_if_any(txn.xid) {
            Some(state) => {
                let own = Box::pin(state.seen(txn.apart, tree, key)).await?;
                if own.is_some() {
                    Box::pin(self.rested(&state)).await?;
                }
                Ok(own)
            }
            None => Ok(None),
        }
    }
}

impl Layers {
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    /// The next entries of all layers from `from` on and below `upper`, in key order. With a key: there are none between
    /// the last of them and that key, but may be from there on.
    pub async fn run(
        &self,
        from: &[u8],
        upper: Option<&[u8]>,
    ) -> Result<(Vec<Entry>, Option<Vec<u8>>)> {
        let mut merged: Vec<Entry> = Vec::new();
        let mut end: Option<Vec<u8>> = None;
        for state in &self.states {
            let staged = state.staged.borrow().clone();
            let mut runs = Vec::with_capacity(2);
            if let Some(staged) = staged.filter(|s| s.touches(self.tree)) {
                let run = staged.range(self.tree, from, upper).await?;
                runs.push((run.entries, run.next));
            }
            // Later than what was staged, and so over it.
            let apart = match state.xid == self.reader {
                true => self.apart,
                false => 0,
            };
            runs.push(in_memory(state, apart, self.tree, from, upper)?);
            for (entries, next) in runs {
                merged = overlaid(merged, entries);
                end = match (end, next) {
                    (Some(a), Some(b)) => Some(a.min(b)),
                    (a, b) => a.or(b),
                };
            }
        }
        if let Some(end) = &end {
            merged.truncate(merged.partition_point(|(key, _)| key < end));
        }
        Ok((merged, end))
    }
}

fn in_memory(
    state: &TxnState,
    apart: u32,
    tree: TreeId,
    from: &[u8],
    upper: Option<&[u8]>,
) -> Result<(Vec<Entry>, Option<Vec<u8>>)> {
    let writes = state.writes.borrow();
    let upper = upper.map_or(Bound::Unbounded, Bound::Excluded);
    let (mut entries, mut bytes) = (Vec::new(), 0);
    let all = writes.range(tree, Bound::Included(from), upper);
    for (n, (key, payload)) in all.enumerate() {
        if n >= RUN || bytes >= BATCH_BYTES_MAX {
            return Ok((entries, Some(key.clone())));
        }
        let payload = match state.before(apart, tree, key)? {
            None => payload.clone(),
            Some(Some(before)) => before,
            // Below it is what the statement sees.
            Some(None) => continue,
        };
        bytes += key.len() + payload.as_ref().map_or(0, Vec::len);
        entries.push((key.clone(), payload));
    }
    Ok((entries, None))
}

/// Both in key order; where both have a key, `over` wins.
pub fn overlaid(under: Vec<Entry>, over: Vec<Entry>) -> Vec<Entry> {
    if under.is_empty() {
        return over;
    }
    let mut out = Vec::with_capacity(under.len() + over.len());
    let mut over = over.into_iter().peekable();
    for pair in under {
        while let Some(next) = over.next_if(|(key, _)| *key < pair.0) {
            out.push(next);
        }
        match over.next_if(|(key, _)| *key == pair.0) {
            Some(same) => out.push(same),
            None => out.push(pair),
        }
    }
    out.extend(over);
    out
}
