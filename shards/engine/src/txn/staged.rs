//! Writes of a transaction that outgrew memory, in a tree of their own.
//!
//! Owns: that tree, which no catalog names: it is dropped with the last holder, and by the next start after a crash.
//! Layout: key = tree u32 big-endian, then the key; value = 1 then the payload, or the single byte 0 for a deletion.
//! Asked by: the calls that write (`Partition::relieve`), `TxnState` (reads), commits and cursors (a run at a time).
//! Never: is logged. A commit logs its entries as chunks and then puts them where they belong.
//! Bounds: a transaction keeps up to a quarter of the partition's `txn_memory_bytes`, and when all of them together hold
//! more than that at most `KEPT_BYTES`; a run of entries by count and bytes; the tree by the disk (53100).

use super::Partition;
use super::state::TxnState;
use super::versions::{cell_value, payload};
use super::writes::{Entry, Payload};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::rc::Rc;
use storage::{Op, Store};
use types::limits::{BATCH_BYTES_MAX, CELL_KEY_BYTES_MAX, KEY_BYTES_MAX};
use types::{Error, Result, TreeId};

/// Trees from here on are transactions' own. The catalog gives numbers from 16,384 up, one a table or index ever made.
pub const FIRST_TREE: u32 = 0xF000_0000;
const PREFIX: usize = 4;
const _: () = assert!(KEY_BYTES_MAX + PREFIX <= CELL_KEY_BYTES_MAX);
/// Entries of one run.
const RUN: usize = 512;
/// A transaction with no more writes than this is never staged: that would cost more than it gives.
const KEPT_BYTES: usize = 64 << 10;

impl Partition {
    /// Stages the transaction's writes once they take too much memory. Every call that writes asks for it row by row.
    pub async fn relieve(&self, state: &TxnState) -> Result<()> {
        if !self.needs_relief(state) {
            return Ok(());
        }
        let staged = {
            let mut staged = state.staged.borrow_mut();
            let tree = || {
                let n = self.next_staged.get();
                self.next_staged.set(n.wrapping_add(1));
                TreeId(FIRST_TREE | (n & !FIRST_TREE))
            };
            staged
                .get_or_insert_with(|| Rc::new(Staged::new(self.store.clone(), tree())))
                .clone()
        };
        self.stage(state, &staged).await
    }

    /// Whether `relieve` has something to do.
    pub fn needs_relief(&self, state: &TxnState) -> bool {
        let own = state.writes.borrow().bytes();
        let crowded = self.writes_in_memory.get() > self.txn_memory_bytes;
        // What was staged could not be taken back, nor be told from what was there before.
        !state.stays_in_memory() && own > KEPT_BYTES && (own > self.txn_memory_bytes / 4 || crowded)
    }

    /// Moves all that is in memory. Until a write is staged it is found in memory, so readers miss nothing.
    pub(super) async fn stage(&self, state: &TxnState, staged: &Staged) -> Result<()> {
        // Another call of the transaction may be at it: two would overtake each other.
        if state.staging.replace(true) {
            return Ok(());
        }
        let _staging = Staging(state);
        loop {
            let run: Vec<(TreeId, Vec<u8>, Payload)> = {
                let writes = state.writes.borrow();
                let first = writes.iter().take(RUN);
                first.map(|(t, k, v)| (t, k.clone(), v.clone())).collect()
            };
            if run.is_empty() {
                return Ok(());
            }
            staged.put(&run).await?;
            let mut writes = state.writes.borrow_mut();
            for (tree, key, value) in &run {
                writes.forget(*tree, key, value);
            }
        }
    }
}

struct Staging<'a>(&'a TxnState);

impl Drop for Staging<'_> {
    fn drop(&mut self) {
        self.0.staging.set(false);
    }
}

pub struct Staged {
    store: Rc<Store>,
    tree: TreeId,
    touched: RefCell<BTreeSet<TreeId>>,
}

impl Drop for Staged {
    fn drop(&mut self) {
        let (store, tree) = (self.store.clone(), self.tree);
        runtime::spawn_background(async move {
            // A store that cannot is fenced, and says so to everyone.
            if let Err(error) = store.drop_tree(tree).await {
                tracing::warn!(%error, %tree, "a transaction's staged writes were not dropped");
            }
        })
        .detach();
    }
}

fn staged_key(tree: TreeId, key: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(PREFIX + key.len());
    out.extend_from_slice(&tree.0.to_be_bytes());
    out.extend_from_slice(key);
    out
}

fn split(cell: &[u8]) -> Option<(TreeId, &[u8])> {
    let (tree, key) = cell.split_first_chunk::<PREFIX>()?;
    Some((TreeId(u32::from_be_bytes(*tree)), key))
}

/// A run of staged entries, and where the next one begins.
pub struct Run<K> {
    pub entries: Vec<K>,
    pub next: Option<Vec<u8>>,
}

impl Staged {
    pub(super) fn new(store: Rc<Store>, tree: TreeId) -> Staged {
        Staged {
            store,
            tree,
            touched: RefCell::new(BTreeSet::new()),
        }
    }

    pub fn touches(&self, tree: TreeId) -> bool {
        self.touched.borrow().contains(&tree)
    }

    pub(super) async fn put(&self, entries: &[(TreeId, Vec<u8>, Payload)]) -> Result<()> {
        let cells: Vec<(Vec<u8>, Vec<u8>)> = entries
            .iter()
            .map(|(tree, key, value)| (staged_key(*tree, key), cell_value(value.as_deref())))
            .collect();
        self.touched
            .borrow_mut()
            .extend(entries.iter().map(|(tree, ..)| *tree));
        let mut ops = cells.iter().map(|(key, value)| Op::Put {
            tree: self.tree,
            key,
            value,
        });
        Ok(self.store.apply(&mut ops).await?)
    }

    pub async fn get(&self, tree: TreeId, key: &[u8]) -> Result<Option<Payload>> {
        match self.store.get(self.tree, &staged_key(tree, key)).await? {
            Some(value) => payload(&value)
                .map(|p| Some(p.map(<[u8]>::to_vec)))
                .ok_or_else(|| super::versions::corrupt(self.tree)),
            None => Ok(None),
        }
    }

    /// Entries of one tree from `from` on and below `upper`.
    pub async fn range(
        &self,
        tree: TreeId,
        from: &[u8],
        upper: Option<&[u8]>,
    ) -> Result<Run<Entry>> {
        let mut run = Run {
            entries: Vec::new(),
            next: None,
        };
        let cell = staged_key(tree, from);
        let end = self
            .visit(&cell, &mut |t, key, value| {
                if t != tree || upper.is_some_and(|u| key >= u) {
                    return false;
                }
                run.entries.push((key.to_vec(), value));
                true
            })
            .await?;
        run.next = end.and_then(|cell| {
            let (t, key) = split(&cell)?;
            (t == tree && upper.is_none_or(|u| key < u)).then(|| key.to_vec())
        });
        Ok(run)
    }

    /// Entries of all trees from the staged key `from` on.
    pub(super) async fn all(&self, from: &[u8]) -> Result<Run<(TreeId, Vec<u8>, Payload)>> {
        let mut entries = Vec::new();
        let next = self
            .visit(from, &mut |tree, key, value| {
                entries.push((tree, key.to_vec(), value));
                true
            })
            .await?;
        Ok(Run { entries, next })
    }

    /// Calls `f` until it says false or a run is full; then returns the first cell it was not called with.
    async fn visit(
        &self,
        from: &[u8],
        f: &mut dyn FnMut(TreeId, &[u8], Payload) -> bool,
    ) -> Result<Option<Vec<u8>>> {
        let (mut count, mut bytes) = (0, 0);
        let (mut next, mut corrupt) = (None, false);
        self.store
            .scan(self.tree, from, &mut |cell, value| {
                if count >= RUN || bytes >= BATCH_BYTES_MAX {
                    next = Some(cell.to_vec());
                    return ControlFlow::Break(());
                }
                let (Some((tree, key)), Some(value)) = (split(cell), payload(value)) else {
                    corrupt = true;
                    return ControlFlow::Break(());
                };
                count += 1;
                bytes += cell.len() + value.map_or(0, <[u8]>::len);
                if f(tree, key, value.map(<[u8]>::to_vec)) {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            })
            .await
            .map_err(Error::from)?;
        if corrupt {
            return Err(super::versions::corrupt(self.tree));
        }
        Ok(next)
    }
}
