//! Look up one key, and visit cells in key order.
//!
//! Owns: the reading side of the trees. There are no links between leaves: a scan takes the separator at a leaf's
//! right from its ancestors and descends again from there, so it never depends on a page that may have moved.
//! Asked by: the store. Never: changes anything; works on a shared borrow, so a visitor may read other trees.

use super::{Path, Stall, State, Tree, overflow_of};
use crate::page::node::{self, Stored};
use crate::page::overflow::ValueId;
use crate::page::{self, Page, PageId};
use crate::store::Visitor;
use smallvec::SmallVec;
use types::TreeId;

/// What is left of a scan after a leaf.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Visit {
    /// More leaves; `from` says where to go on.
    More,
    Done,
}

/// What a leaf says about the first cell from some key on.
#[derive(Clone, Copy, Debug)]
pub enum First<'a> {
    Cell(&'a [u8], &'a [u8]),
    /// It is in another leaf, at or behind this key.
    Behind(&'a [u8]),
    /// There is none.
    End,
}

/// A long value that was read page by page for the cell a scan stands at.
pub(crate) type Ready = Option<(ValueId, Vec<u8>)>;

impl State {
    /// Calls `f` with the value of `key` where it lies; a long value is assembled first.
    pub fn get<R>(
        &self,
        tree: TreeId,
        key: &[u8],
        f: impl FnOnce(Option<&[u8]>) -> R,
    ) -> Result<R, Stall> {
        let Some(info) = self.trees.get(&tree) else {
            return Ok(f(None));
        };
        let path = self.descend(tree, info, key)?;
        let page = self.pool.page(path.leaf);
        let Ok(i) = node::search(page, key) else {
            return Ok(f(None));
        };
        let stored = node::stored(page, i);
        match overflow_of(stored, self.pool.page_id(path.leaf))? {
            None => Ok(f(Some(stored.bytes()))),
            Some(long) => {
                let value = self.assemble(tree, &long)?;
                Ok(f(Some(&value)))
            }
        }
    }

    /// Calls `f` with the first cell at or after `from`, as far as the leaf that covers `from` tells. `None`: its value does
    /// not lie there.
    pub fn first_here<R>(
        &self,
        tree: TreeId,
        from: &[u8],
        f: impl FnOnce(First<'_>) -> R,
    ) -> Result<Option<R>, Stall> {
        let Some(info) = self.trees.get(&tree) else {
            return Ok(Some(f(First::End)));
        };
        let path = self.descend(tree, info, from)?;
        let page = self.pool.page(path.leaf);
        let i = match node::search(page, from) {
            Ok(i) | Err(i) => i,
        };
        if i >= node::count(page) {
            let right = self.right_of(&path);
            return Ok(Some(f(right.map_or(First::End, First::Behind))));
        }
        Ok(match node::stored(page, i) {
            Stored::Inline(value) => Some(f(First::Cell(node::key(page, i), value))),
            _ => None,
        })
    }

    /// The identity of the long value under `key`, `None` when there is none.
    pub fn long_value(&self, tree: TreeId, key: &[u8]) -> Result<Option<ValueId>, Stall> {
        let Some(info) = self.trees.get(&tree) else {
            return Ok(None);
        };
        let path = self.descend(tree, info, key)?;
        let page = self.pool.page(path.leaf);
        let Ok(i) = node::search(page, key) else {
            return Ok(None);
        };
        let long = overflow_of(node::stored(page, i), self.pool.page_id(path.leaf))?;
        Ok(long.map(|l| l.value))
    }

    /// Visits the cells at and after `from` in the leaf that covers it, then moves `from` to what follows.
    /// On a stall `from` is the next cell to visit: nothing is visited twice. `ready` answers a `Stall::Value`.
    pub fn scan_leaf(
        &self,
        tree: TreeId,
        from: &mut Vec<u8>,
        ready: &mut Ready,
        f: &mut Visitor<'_>,
    ) -> Result<Visit, Stall> {
        let Some(info) = self.trees.get(&tree) else {
            return Ok(Visit::Done);
        };
        let path = self.descend(tree, info, from)?;
        let page = self.pool.page(path.leaf);
        let first = match node::search(page, from) {
            Ok(i) | Err(i) => i,
        };
        for i in first..node::count(page) {
            let key = node::key(page, i);
            let flow = match node::stored(page, i) {
                Stored::Inline(value) => f(key, value),
                stored => {
                    let value = self.long_at(tree, &path, stored, ready).inspect_err(|_| {
                        from.clear();
                        from.extend_from_slice(key);
                    })?;
                    f(key, &value)
                }
            };
            if flow.is_break() {
                return Ok(Visit::Done);
            }
        }
        Ok(self.next_leaf(info, &path, from))
    }

    fn long_at(
        &self,
        tree: TreeId,
        path: &Path,
        stored: Stored<'_>,
        ready: &mut Ready,
    ) -> Result<Vec<u8>, Stall> {
        let Some(long) = overflow_of(stored, self.pool.page_id(path.leaf))? else {
            return Ok(stored.bytes().to_vec());
        };
        match ready.take() {
            Some((value, bytes)) if value == long.value => Ok(bytes),
            _ => self.assemble(tree, &long),
        }
    }

    /// Moves `from` to the separator at the leaf's right.
    fn next_leaf(&self, info: &Tree, path: &Path, from: &mut Vec<u8>) -> Visit {
        debug_assert_eq!(path.inner.len(), usize::from(info.level));
        match self.right_of(path) {
            Some(separator) => {
                from.clear();
                from.extend_from_slice(separator);
                Visit::More
            }
            None => Visit::Done,
        }
    }

    /// The separator at the leaf's right; `None`: it is the last.
    fn right_of(&self, path: &Path) -> Option<&[u8]> {
        path.inner.iter().rev().find_map(|step| {
            let page = self.pool.page(step.frame);
            (step.child < node::count(page)).then(|| node::key(page, step.child))
        })
    }

    /// The frame of a page, without counting it as a use.
    fn peek(&self, id: PageId, tree: TreeId, level: u8) -> Option<&Page> {
        let page = self.pool.page(self.pool.find(id)?);
        (page::owner(page) == tree.0 && node::level(page) == level).then_some(page)
    }

    /// The first cell of the leaf in which the last cell before `key` lies (before the end, without one).
    pub fn leaf_before(&self, tree: TreeId, key: Option<&[u8]>) -> Result<Option<Vec<u8>>, Stall> {
        let Some(info) = self.trees.get(&tree) else {
            return Ok(None);
        };
        let mut before = key.map(<[u8]>::to_vec);
        let below = |page: &Page, before: Option<&[u8]>| match before.map(|k| node::search(page, k))
        {
            Some(Ok(i) | Err(i)) => i,
            None => node::count(page),
        };
        loop {
            let mut id = info.root;
            let mut left: Option<Vec<u8>> = None;
            for level in (1..=info.level).rev() {
                let page = self.pool.page(self.resident(id, tree, level)?);
                let child = below(page, before.as_deref());
                if let Some(n) = child.checked_sub(1) {
                    left = Some(node::key(page, n).to_vec());
                }
                id = node::child(page, child);
            }
            let page = self.pool.page(self.resident(id, tree, 0)?);
            if below(page, before.as_deref()) > 0 {
                return Ok(Some(node::key(page, 0).to_vec()));
            }
            // Nothing of this leaf lies before it: the one at its left then.
            match left {
                Some(separator) => before = Some(separator),
                None => return Ok(None),
            }
        }
    }

    /// The leaf that covers `key`, if the way there is resident.
    pub fn leaf_at(&self, tree: TreeId, key: &[u8]) -> Option<PageId> {
        let info = self.trees.get(&tree)?;
        let mut id = info.root;
        for level in (1..=info.level).rev() {
            let page = self.peek(id, tree, level)?;
            id = node::child(page, node::child_for(page, key));
        }
        Some(id)
    }

    /// Looks at up to `n` leaves from the one that covers `from` on. Those that are not resident are put in `missing`,
    /// in key order; an inner node that is not ends the search and is the last of them. Returns how many there were.
    pub fn leaves_from(
        &self,
        tree: TreeId,
        from: &[u8],
        n: usize,
        missing: &mut SmallVec<[PageId; 16]>,
    ) -> usize {
        let mut looking = Looking {
            tree,
            left: n,
            missing,
        };
        if let Some(info) = self.trees.get(&tree) {
            self.look(&mut looking, info.root, info.level, Some(from));
        }
        n - looking.left
    }

    /// False when the search has ended.
    fn look(&self, looking: &mut Looking<'_>, id: PageId, level: u8, from: Option<&[u8]>) -> bool {
        if level == 0 {
            if self.pool.find(id).is_none() {
                looking.missing.push(id);
            }
            looking.left -= 1;
            return looking.left > 0;
        }
        let Some(page) = self.peek(id, looking.tree, level) else {
            if self.pool.find(id).is_none() {
                looking.missing.push(id);
            }
            return false;
        };
        let first = from.map_or(0, |key| node::child_for(page, key));
        (first..=node::count(page)).all(|i| {
            let from = from.filter(|_| i == first);
            self.look(looking, node::child(page, i), level - 1, from)
        })
    }
}

struct Looking<'a> {
    tree: TreeId,
    /// Leaves that it may still look at; at least 1.
    left: usize,
    missing: &'a mut SmallVec<[PageId; 16]>,
}
