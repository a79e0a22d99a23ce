//! A transaction as one partition sees it.
//!
//! Owns: its writes here, in memory or staged, and how far its end has come. Asked by: `Partition` and the calls that
//! write. Never: outlives what it staged: the tree goes when the last holder lets go of the state.
//! Bounds: the writes in memory by `WriteSet`.

use super::TxnRef;
use super::apart::Before;
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

/// One write and what was there before: `None` = nothing in memory.
struct Undone {
    savepoint: u32,
    tree: TreeId,
    key: Vec<u8>,
    before: Option<Payload>,
    bytes: usize,
}

/// What takes writes back, newest last.
#[derive(Default)]
struct Undo {
    writes: Vec<Undone>,
    bytes: usize,
}

/// Of one transaction in one partition, since its first savepoint: what is written under one stays in memory.
pub const UNDO_BYTES_MAX: usize = 64 << 20;
pub(super) const UNDO_OVERHEAD: usize = 96;

impl Undo {
    fn push(
        &mut self,
        savepoint: u32,
        tree: TreeId,
        key: Vec<u8>,
        before: Option<Payload>,
        written: usize,
    ) -> Result<()> {
        let old = before.iter().flatten().map(Vec::len).sum::<usize>();
        let bytes = key.len() + old + written + UNDO_OVERHEAD;
        if self.bytes + bytes > UNDO_BYTES_MAX {
            return Err(Error::new(
                SqlState::OUT_OF_MEMORY,
                "transaction writes too much since a savepoint",
            )
            .with_detail(format!(
                "It may hold {UNDO_BYTES_MAX} bytes of such writes in a partition."
            ))
            .with_hint("Release the savepoint, or write without one."));
        }
        self.bytes += bytes;
        self.writes.push(Undone {
            savepoint,
            tree,
            key,
            before,
            bytes,
        });
        Ok(())
    }

    /// The newest write since the savepoint.
    fn pop(&mut self, savepoint: u32) -> Option<Undone> {
        let write = self.writes.pop_if(|w| w.savepoint >= savepoint)?;
        self.bytes -= write.bytes;
        Some(write)
    }
}

/// Exists from the transaction's first lock or write in the partition until it ends.
pub struct TxnState {
    pub xid: Xid,
    pub writes: RefCell<WriteSet>,
    /// It gives way to those that have read what it wrote.
    pub(super) serializable: Cell<bool>,
    pub(super) savepoint: Cell<u32>,
    undo: RefCell<Undo>,
    before: RefCell<Before>,
    /// Calls that write for it and have not ended. Counted while there is a savepoint.
    pub(super) calls: Cell<u32>,
    /// Where writes go that outgrew memory. What is in `writes` is newer.
    pub(super) staged: RefCell<Option<Rc<Staged>>>,
    /// Writes are on their way from memory to `staged`.
    pub(super) staging: Cell<bool>,
    pub status: Cell<Status>,
    /// Committed at this time, durably: readers see its writes though they are not all in their trees yet.
    pub(super) decided: Cell<Option<Ts>>,
    /// Where its Commit record ends, once others may have the locks of its rows although that is not on the disk yet.
    pub(super) passed: Cell<Option<Lsn>>,
    /// The end of the last such record whose writes it has seen: it commits, and tells what it saw, after that is durable.
    pub(super) rests_on: Cell<Option<Lsn>>,
    /// Recovery has found it prepared.
    pub(super) reinstated: Cell<bool>,
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
            serializable: Cell::new(false),
            savepoint: Cell::new(0),
            undo: RefCell::default(),
            before: RefCell::default(),
            calls: Cell::new(0),
            staged: RefCell::new(None),
            staging: Cell::new(false),
            status: Cell::new(Status::Active),
            decided: Cell::new(None),
            passed: Cell::new(None),
            rests_on: Cell::new(None),
            reinstated: Cell::new(false),
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
        let savepoint = self.savepoint.get();
        if savepoint > 0 {
            let before = self.writes.borrow().get(tree, &key).cloned();
            let written = value.as_ref().map_or(0, Vec::len);
            let mut undo = self.undo.borrow_mut();
            undo.push(savepoint, tree, key.clone(), before, written)?;
        }
        let mut writes = self.writes.borrow_mut();
        let mut before = self.before.borrow_mut();
        if before.keeps() {
            before.keep(tree, &key, writes.get(tree, &key));
        }
        writes.put(tree, key, value)
    }

    /// Writes from now on are this statement's.
    pub(super) fn at_statement(&self, apart: u32) {
        self.before.borrow_mut().at(apart & !super::WITHIN);
    }

    /// What is in memory has to stay there.
    pub(super) fn stays_in_memory(&self) -> bool {
        self.savepoint.get() > 0 || self.before.borrow().keeps()
    }

    /// The statement, which does not see what it writes itself, has written the key.
    pub fn wrote_apart(&self, txn: &TxnRef, tree: TreeId, key: &[u8]) -> bool {
        self.before.borrow().has(txn.apart, tree, key)
    }

    /// What lay in memory before the statement that reads: `None` = what lies there now.
    pub(super) fn before(
        &self,
        apart: u32,
        tree: TreeId,
        key: &[u8],
    ) -> Result<Option<Option<Payload>>> {
        let before = self.before.borrow();
        Ok(before.of(apart, tree, key)?.cloned())
    }

    /// As `get`, as the statement sees it.
    pub(super) async fn seen(
        &self,
        apart: u32,
        tree: TreeId,
        key: &[u8],
    ) -> Result<Option<Payload>> {
        match self.before(apart, tree, key)? {
            None => self.get(tree, key).await,
            Some(Some(payload)) => Ok(Some(payload)),
            Some(None) => self.get_staged(tree, key).await,
        }
    }

    /// Writes from now on can be taken back to this savepoint; to none when it is 0.
    pub(super) fn at_savepoint(&self, savepoint: u32) {
        if self.savepoint.replace(savepoint) > 0 && savepoint == 0 {
            *self.undo.borrow_mut() = Undo::default();
        }
    }

    /// Takes back what was written since the savepoint. Locks stay.
    pub(super) fn rollback_to(&self, savepoint: u32) -> Result<()> {
        self.active()?;
        let mut writes = self.writes.borrow_mut();
        while let Some(write) = self.undo.borrow_mut().pop(savepoint) {
            match write.before {
                Some(before) => writes.put(write.tree, write.key, before)?,
                None => writes.remove(write.tree, &write.key),
            }
        }
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.writes.borrow().is_empty() && self.staged.borrow().is_none()
    }

    pub(super) fn touches(&self, tree: TreeId) -> bool {
        let staged = self.staged.borrow();
        self.writes.borrow().touches(tree) || staged.as_ref().is_some_and(|s| s.touches(tree))
    }

    /// False when it has certainly not written the key.
    pub fn may_have(&self, tree: TreeId, key: &[u8]) -> bool {
        let staged = self.staged.borrow();
        self.writes.borrow().get(tree, key).is_some()
            || staged.as_ref().is_some_and(|s| s.touches(tree))
    }

    /// What it wrote: `Some(None)` = deleted.
    pub async fn get(&self, tree: TreeId, key: &[u8]) -> Result<Option<Payload>> {
        if let Some(payload) = self.writes.borrow().get(tree, key) {
            return Ok(Some(payload.clone()));
        }
        self.get_staged(tree, key).await
    }

    async fn get_staged(&self, tree: TreeId, key: &[u8]) -> Result<Option<Payload>> {
        let staged = self.staged.borrow().clone();
        match staged {
            Some(staged) if staged.touches(tree) => staged.get(tree, key).await,
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_under_a_savepoint_stops_at_its_ceiling_and_is_taken_back() {
        let state = TxnState::new(Xid(1), WriteSet::default());
        let tree = TreeId(1);
        let write = |n: usize, bytes: usize| state.write(tree, vec![n as u8], Some(vec![1; bytes]));
        write(0, 10).unwrap();
        state.at_savepoint(1);
        let each = 1 << 20;
        let fit = UNDO_BYTES_MAX / (each + UNDO_OVERHEAD + 1);
        for n in 1..=fit {
            write(n, each).unwrap();
        }
        let refused = write(fit + 1, each).unwrap_err();
        assert_eq!(refused.code(), SqlState::OUT_OF_MEMORY);
        state.at_savepoint(2);
        write(0, 20).unwrap();
        state.rollback_to(2).unwrap();
        assert_eq!(
            state.writes.borrow().get(tree, &[0]),
            Some(&Some(vec![1; 10]))
        );
        state.rollback_to(1).unwrap();
        assert_eq!(state.writes.borrow().len(), 1);
        write(fit + 1, each).unwrap();
        state.at_savepoint(0);
        assert_eq!(state.undo.borrow().bytes, 0);
    }
}
