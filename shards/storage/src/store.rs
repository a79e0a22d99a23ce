//! The store of one partition: what the engine sees.
//!
//! Owns: the state of the trees behind one `RefCell`, the log and the page file.
//! Asked by: the engine. Never: holds a borrow across an `.await`, or changes anything before all it needs is there.
//! Bounds: a call holds at most as many pins as its path is deep; half of the pool can be pinned across waits.

use crate::ahead::{Ahead, Reader};
use crate::checkpoint::Last;
use crate::error::StorageError;
use crate::fence::Fence;
use crate::options::{Options, Policy};
use crate::page::node::{self, Stored};
use crate::page::{Page, PageId};
use crate::tree::{First, Ready, Stall, State, Visit};
use crate::wait::Waits;
use crate::wal::{Appended, Wal};
use crate::writer::{Writer, Writes};
use runtime::{File, Notify};
use std::cell::{Cell, RefCell};
use std::ops::ControlFlow;
use std::rc::{Rc, Weak};
use std::time::Duration;
use types::limits::{CELL_KEY_BYTES_MAX, CELL_VALUE_BYTES_MAX};
use types::{Lsn, TreeId};

/// Cells that `apply` changes between two looks at the clock.
const APPLY_RUN: usize = 64;

/// Why a synchronous read could not be done.
#[derive(Debug)]
pub enum TryError {
    /// Fetch the page and start again.
    Miss(PageId),
    /// A value is too long for the pool to hold at once: use the call that waits.
    TooLarge,
    Error(StorageError),
}

/// What a scan calls with each key and value; it goes on until told to break.
pub type Visitor<'f> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'f;

/// What `Store::apply_watched` calls after each put.
pub type Watch<'f> = dyn FnMut(&[u8], Option<&[u8]>) + 'f;

/// One change of `Store::apply`.
#[derive(Clone, Copy, Debug)]
pub enum Op<'a> {
    Put {
        tree: TreeId,
        key: &'a [u8],
        value: &'a [u8],
    },
    Delete {
        tree: TreeId,
        key: &'a [u8],
    },
}

#[derive(Default)]
pub(crate) struct StoreCounters {
    pub reads: Cell<u64>,
    pub writes: Writes,
    pub checkpoints: Cell<u64>,
    pub checkpoint_ns: Cell<u64>,
}

/// The pages, trees and log of one partition. Lives on one shard.
pub struct Store {
    pub(crate) this: Weak<Store>,
    /// Seeds every checksum.
    pub(crate) id: u64,
    pub(crate) state: RefCell<State>,
    pub(crate) file: File,
    pub(crate) wal: Rc<Wal>,
    pub(crate) fence: Rc<Fence>,
    pub(crate) options: Options,
    /// A read has ended.
    pub(crate) loaded: Notify,
    /// A write back has ended.
    pub(crate) written: Notify,
    pub(crate) checkpointing: Cell<bool>,
    pub(crate) checkpointed: Notify,
    pub(crate) resizing: Cell<bool>,
    pub(crate) resized: Notify,
    /// `State::frees` when the last compaction began.
    pub(crate) compacted_at: Cell<u64>,
    /// The log's end when it was last asked whether one is due.
    pub(crate) asked_at: Cell<u64>,
    pub(crate) sweeping: Cell<bool>,
    pub(crate) swept: Notify,
    pub(crate) last: RefCell<Last>,
    pub(crate) token: Cell<u64>,
    pub(crate) counters: StoreCounters,
    pub(crate) writer: Writer,
    pub(crate) ahead: Ahead,
}

impl Drop for Store {
    fn drop(&mut self) {
        // The flusher keeps the log alive, and the log the flusher.
        self.wal.abandon();
    }
}

impl Store {
    // --- the log

    /// Waits until the log's buffer has room for a record of `bytes`.
    pub async fn admit(&self, bytes: usize) -> Result<(), StorageError> {
        self.wal.admit(bytes).await
    }

    /// Whether `admit` has nothing to wait for.
    pub fn has_room(&self, bytes: usize) -> bool {
        self.wal.has_room(bytes)
    }

    /// Appends a record to the log's buffer. It is on disk when `durable(end)` has returned.
    pub fn append(&self, payload: &[u8]) -> Result<Appended, StorageError> {
        self.wal.append(payload)
    }

    /// Waits until everything before `lsn` is on disk.
    pub async fn durable(&self, lsn: Lsn) -> Result<(), StorageError> {
        self.wal.durable(lsn).await
    }

    /// As `durable`, for what nobody waits for: it goes along with what others want, or alone after `most`.
    pub async fn durable_within(&self, lsn: Lsn, most: Duration) -> Result<(), StorageError> {
        self.wal.durable_within(lsn, most).await
    }

    /// The position behind the last record appended.
    pub fn wal_end(&self) -> Lsn {
        Lsn(self.wal.end())
    }

    /// The position up to which the log is on disk.
    pub fn wal_durable(&self) -> Lsn {
        Lsn(self.wal.durable_end())
    }

    // --- reading

    pub async fn get(&self, tree: TreeId, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        let mut waits = Waits::new();
        loop {
            let found = self
                .state
                .borrow()
                .get(tree, key, |v| v.map(<[u8]>::to_vec));
            match found {
                Ok(value) => return Ok(value),
                Err(Stall::Value(tree, long)) => {
                    if let Some(bytes) = self.read_value(tree, key, &long).await? {
                        return Ok(Some(bytes));
                    }
                }
                Err(stall) => self.relieve(stall, &mut waits).await?,
            }
        }
    }

    /// Calls `f` with the value of `key` where it lies in its page, without waiting.
    pub fn try_get<R>(
        &self,
        tree: TreeId,
        key: &[u8],
        f: impl FnOnce(Option<&[u8]>) -> R,
    ) -> Result<R, TryError> {
        let state = self.state.borrow();
        state
            .get(tree, key, f)
            .map_err(|stall| self.refused(&state, stall))
    }

    /// Calls `f` with the first cell at or after `from`, without waiting and without looking further than the leaf it
    /// belongs to. `None`: it has to be waited for, or `f` says so.
    pub fn first_here<R>(
        &self,
        tree: TreeId,
        from: &[u8],
        f: impl FnOnce(First<'_>) -> Option<R>,
    ) -> Option<R> {
        let found = self.state.borrow().first_here(tree, from, f);
        found.ok().flatten().flatten()
    }

    /// Where a leaf begins that ends, as far as cells before `key` go, at `key` (or at the end of the tree, without one).
    /// `None`: no cell is before it. Source of scans that go backwards, which read a leaf's cells from there on.
    pub async fn leaf_before(
        &self,
        tree: TreeId,
        key: Option<&[u8]>,
    ) -> Result<Option<Vec<u8>>, StorageError> {
        let mut waits = Waits::new();
        loop {
            let found = self.state.borrow().leaf_before(tree, key);
            match found {
                Ok(first) => return Ok(first),
                Err(stall) => self.relieve(stall, &mut waits).await?,
            }
        }
    }

    /// Visits the cells from `from` on, in key order, until `f` breaks. Each page's cells are visited in one go;
    /// between pages changes may happen, but no cell that was there throughout is missed or seen twice.
    /// `f` may read other trees with the `try_` calls; it must not change any.
    pub async fn scan(
        &self,
        tree: TreeId,
        from: &[u8],
        f: &mut Visitor<'_>,
    ) -> Result<(), StorageError> {
        let mut from = from.to_vec();
        let mut ready: Ready = None;
        let mut waits = Waits::new();
        let mut ahead = Reader::new(self, tree, &from);
        loop {
            let visit = self
                .state
                .borrow()
                .scan_leaf(tree, &mut from, &mut ready, f);
            match visit {
                Ok(Visit::Done) => {
                    ahead.pause(self, &from);
                    return Ok(());
                }
                Ok(Visit::More) => {
                    waits.pins.clear();
                    ahead.step(self, &from);
                    runtime::yield_if_needed().await;
                }
                Err(Stall::Value(tree, long)) => {
                    let bytes = self.read_value(tree, &from, &long).await?;
                    ready = bytes.map(|bytes| (long.value, bytes));
                }
                Err(stall) => self.relieve(stall, &mut waits).await?,
            }
        }
    }

    /// As `scan`, without waiting: all of it or an error. `f` may have been called before an error.
    pub fn try_scan(&self, tree: TreeId, from: &[u8], f: &mut Visitor<'_>) -> Result<(), TryError> {
        let state = self.state.borrow();
        let mut from = from.to_vec();
        loop {
            match state.scan_leaf(tree, &mut from, &mut None, f) {
                Ok(Visit::Done) => return Ok(()),
                Ok(Visit::More) => {}
                Err(stall) => return Err(self.refused(&state, stall)),
            }
        }
    }

    // --- changing

    /// Inserts or replaces.
    pub async fn put(&self, tree: TreeId, key: &[u8], value: &[u8]) -> Result<(), StorageError> {
        self.fence.check()?;
        check_cell(key, value)?;
        if is_long(key, value) {
            let (long, mut owned) = self.write_value(tree, value).await?;
            let bytes = long.encode();
            return self
                .drive(|state| {
                    state.put(tree, key, Stored::Overflow(&bytes))?;
                    owned.attach(state);
                    Ok(())
                })
                .await;
        }
        self.drive(|state| state.put(tree, key, Stored::Inline(value)).map(drop))
            .await
    }

    /// False when there was no such key.
    pub async fn delete(&self, tree: TreeId, key: &[u8]) -> Result<bool, StorageError> {
        self.fence.check()?;
        self.drive(|state| state.delete(tree, key)).await
    }

    /// Does all changes in order, as `put` and `delete` would, yielding now and then. After an error those before the
    /// failed one are done.
    pub async fn apply<'a>(
        &self,
        ops: &mut dyn Iterator<Item = Op<'a>>,
    ) -> Result<(), StorageError> {
        self.apply_watched(ops, &mut |_, _| {}).await
    }

    /// As `apply`. Calls `watch` after each put with its key and the key behind it, `None` when that is not known.
    pub async fn apply_watched<'a>(
        &self,
        ops: &mut dyn Iterator<Item = Op<'a>>,
        watch: &mut Watch<'_>,
    ) -> Result<(), StorageError> {
        loop {
            self.fence.check()?;
            let run = self.apply_run(ops, watch);
            self.wake_writer();
            let Some(op) = run? else {
                return Ok(());
            };
            match op {
                Op::Put { tree, key, value } => {
                    self.put(tree, key, value).await?;
                    watch(key, None);
                }
                Op::Delete { tree, key } => {
                    self.delete(tree, key).await?;
                }
            }
            runtime::yield_if_needed().await;
        }
    }

    /// As `apply_watched` of few changes, without waiting; `false`: something would have had to be waited for. Then some are done, and
    /// doing them again changes nothing.
    pub fn apply_here<'a>(
        &self,
        ops: &mut dyn Iterator<Item = Op<'a>>,
        watch: &mut Watch<'_>,
    ) -> Result<bool, StorageError> {
        self.fence.check()?;
        let run = self.apply_run(ops, watch);
        self.wake_writer();
        run.map(|left| left.is_none())
    }

    /// Changes what is resident; returns the first change that has to wait, or the last of a run.
    fn apply_run<'a>(
        &self,
        ops: &mut dyn Iterator<Item = Op<'a>>,
        watch: &mut Watch<'_>,
    ) -> Result<Option<Op<'a>>, StorageError> {
        let _changing = self.fence.while_changing();
        let mut state = self.state.borrow_mut();
        for _ in 0..APPLY_RUN {
            let Some(op) = ops.next() else {
                return Ok(None);
            };
            let done = match op {
                Op::Put { tree, key, value } => {
                    check_cell(key, value)?;
                    if is_long(key, value) {
                        return Ok(Some(op));
                    }
                    state.put(tree, key, Stored::Inline(value)).map(|placed| {
                        watch(key, state.key_behind(placed));
                    })
                }
                Op::Delete { tree, key } => state.delete(tree, key).map(drop),
            };
            match done {
                Ok(()) => {}
                Err(Stall::Error(e)) => return Err(e),
                Err(_) => return Ok(Some(op)),
            }
        }
        Ok(ops.next())
    }

    /// Takes the tree away at once and frees its pages. Not logged: the engine repeats it after a crash.
    pub async fn drop_tree(&self, tree: TreeId) -> Result<(), StorageError> {
        self.fence.check()?;
        {
            let mut state = self.state.borrow_mut();
            let Some(info) = state.trees.remove(&tree) else {
                return Ok(());
            };
            state.doomed.push((tree, info));
        }
        self.sweep().await
    }

    // --- the pool

    /// Which frames the pool gives up first from now on. Pages stay where they are; looks at every frame once.
    pub fn set_policy(&self, policy: Policy) {
        self.state.borrow_mut().pool.set_policy(policy);
    }

    pub fn policy(&self) -> Policy {
        self.state.borrow().pool.policy()
    }

    // --- what there is

    /// Trees that have had a cell and were not dropped, ascending.
    pub fn trees(&self) -> Vec<TreeId> {
        let mut trees: Vec<TreeId> = self.state.borrow().trees.keys().copied().collect();
        trees.sort_unstable();
        trees
    }

    /// Cells in a tree, kept by put and delete.
    pub fn tree_cells(&self, tree: TreeId) -> u64 {
        self.state.borrow().trees.get(&tree).map_or(0, |t| t.cells)
    }

    /// Pages that the tree takes, without those that older versions of it wait for a checkpoint in.
    pub async fn tree_pages(&self, tree: TreeId) -> Result<u64, StorageError> {
        let (mut from, mut pages) = (Vec::new(), 0);
        let mut waits = Waits::new();
        loop {
            let measured = self.state.borrow().measure(tree, &mut from, &mut pages);
            match measured {
                Ok(false) => return Ok(pages),
                Ok(true) => {
                    waits.pins.clear();
                    runtime::yield_if_needed().await;
                }
                Err(stall) => self.relieve(stall, &mut waits).await?,
            }
        }
    }

    /// Engine bytes of the checkpoint opened or last written.
    pub fn meta(&self) -> Vec<u8> {
        self.last.borrow().superblock.meta.clone()
    }

    /// The reason why writing has ended, if it has.
    pub fn fenced(&self) -> Option<String> {
        self.fence.reason()
    }

    /// Waits for a running checkpoint, flushes the log and ends its flusher and the writer. Writes no checkpoint of
    /// its own.
    pub async fn close(&self) -> Result<(), StorageError> {
        self.writer.end().await;
        loop {
            let written = self.written.notified();
            if self.state.borrow().pool.writing() == 0 {
                break;
            }
            written.await;
        }
        while self.checkpointing.get() {
            self.checkpointed.notified().await;
        }
        self.wal.close().await
    }
}

impl Store {
    fn refused(&self, state: &State, stall: Stall) -> TryError {
        match refused(state, stall) {
            TryError::Error(e) => TryError::Error(self.noticed(e)),
            other => other,
        }
    }
}

fn refused(state: &State, stall: Stall) -> TryError {
    match stall {
        Stall::Miss(id) => TryError::Miss(id),
        Stall::Error(e) => TryError::Error(e),
        Stall::Value(tree, long) => {
            let fits = long.bytes as usize <= state.pool.frames() * size_of::<Page>() / 4;
            match state.missing_page(tree, &long) {
                Ok(Some(id)) if fits => TryError::Miss(id),
                Ok(_) => TryError::TooLarge,
                Err(Stall::Error(e)) => TryError::Error(e),
                Err(_) => TryError::TooLarge,
            }
        }
        // Reading needs no room.
        Stall::Frames(_) | Stall::Grow(_) => TryError::TooLarge,
    }
}

fn is_long(key: &[u8], value: &[u8]) -> bool {
    node::leaf_cell_bytes(key.len(), value.len()) > node::LEAF_CELL_MAX
}

fn check_cell(key: &[u8], value: &[u8]) -> Result<(), StorageError> {
    if key.len() > CELL_KEY_BYTES_MAX {
        return Err(StorageError::KeyTooLong {
            bytes: key.len(),
            max: CELL_KEY_BYTES_MAX,
        });
    }
    if value.len() > CELL_VALUE_BYTES_MAX {
        return Err(StorageError::ValueTooLong {
            bytes: value.len(),
            max: CELL_VALUE_BYTES_MAX,
        });
    }
    Ok(())
}
