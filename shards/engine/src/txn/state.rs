//! A transaction as one partition sees it.
//!
//! Owns: its writes here, in memory or staged, and how far its end has come. Asked by: `Partition` and the calls that
//! write. Never: outlives what it staged: the tree goes when the last holder lets go of the state.
//! Bounds: the writes in memory by `WriteSet`.

use super::staged::Staged;
use super::writes::{Payload, WriteSet};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use types::{Error, Lsn, Result, SqlState, TableId, TreeId, Ts, Xid};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    Active,
    Prepared(Ts),
    Committing(Ts),
    Ended,
}

/// Exists from the transaction's first lock or write in the partition until it ends.
pub struct TxnState {
    pub xid: Xid,
    pub writes: RefCell<WriteSet>,
    /// Where writes go that outgrew memory. What is in `writes` is newer.
    pub(super) staged: RefCell<Option<Rc<Staged>>>,
    /// Writes are on their way from memory to `staged`.
    pub(super) staging: Cell<bool>,
    pub status: Cell<Status>,
    /// Committed at this time, durably: readers see its writes though they are not all in their trees yet.
    pub(super) decided: Cell<Option<Ts>>,
    /// It put rows straight into trees that only it can reach: they must be in a checkpoint before it commits.
    pub loaded: Cell<bool>,
    /// Some of those rows are not in the log.
    pub(super) unlogged: Cell<bool>,
    /// Tables it keeps others from writing, and the catalog's version that will follow.
    pub(super) exclusive: RefCell<Vec<(TableId, u64)>>,
    pub(super) pins: RefCell<Vec<Lsn>>,
}

impl TxnState {
    pub(super) fn new(xid: Xid, writes: WriteSet) -> TxnState {
        TxnState {
            xid,
            writes: RefCell::new(writes),
            staged: RefCell::new(None),
            staging: Cell::new(false),
            status: Cell::new(Status::Active),
            decided: Cell::new(None),
            loaded: Cell::new(false),
            unlogged: Cell::new(false),
            exclusive: RefCell::new(Vec::new()),
            pins: RefCell::new(Vec::new()),
        }
    }

    pub fn active(&self) -> Result<()> {
        match self.status.get() {
            Status::Active => Ok(()),
            _ => Err(Error::new(
                SqlState::QUERY_CANCELED,
                "the transaction has ended",
            )),
        }
    }

    /// Call `Partition::relieve` now and then: what is written stays in memory until then.
    pub fn write(&self, tree: TreeId, key: Vec<u8>, value: Payload) -> Result<()> {
        self.active()?;
        self.writes.borrow_mut().put(tree, key, value)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.writes.borrow().is_empty() && self.staged.borrow().is_none()
    }

    pub(super) fn touches(&self, tree: TreeId) -> bool {
        let staged = self.staged.borrow();
        self.writes.borrow().touches(tree) || staged.as_ref().is_some_and(|s| s.touches(tree))
    }

    /// False when it has certainly not written the key.
    pub(super) fn may_have(&self, tree: TreeId, key: &[u8]) -> bool {
        let staged = self.staged.borrow();
        self.writes.borrow().get(tree, key).is_some()
            || staged.as_ref().is_some_and(|s| s.touches(tree))
    }

    /// What it wrote: `Some(None)` = deleted.
    pub async fn get(&self, tree: TreeId, key: &[u8]) -> Result<Option<Payload>> {
        if let Some(payload) = self.writes.borrow().get(tree, key) {
            return Ok(Some(payload.clone()));
        }
        let staged = self.staged.borrow().clone();
        match staged {
            Some(staged) if staged.touches(tree) => staged.get(tree, key).await,
            _ => Ok(None),
        }
    }
}
