//! Making two nodes of one that is full, and handing the separator up.
//!
//! Owns: where a node is cut. An insert behind the last cell leaves the node full and starts the next one, so an
//! ascending load fills its pages; any other insert cuts at the middle of the bytes.
//! Asked by: put, with enough frames and pages reserved. Never: fails for want of room: a cell takes at most half of
//! a node, so some cut always fits.

use super::{DEPTH_MAX, Path, State};
use crate::error::StorageError;
use crate::page::node::{self, ROOM, Stored};
use crate::page::{self, PAGE_BYTES, Page, PageId};
use crate::pool::FrameId;
use smallvec::SmallVec;
use types::TreeId;

type Separator = SmallVec<[u8; 64]>;

impl State {
    /// Puts a new cell at slot `i` of the path's leaf, which has no room for it.
    pub(super) fn split_leaf(
        &mut self,
        tree: TreeId,
        path: Path,
        i: usize,
        key: &[u8],
        value: Stored<'_>,
    ) -> Result<(), StorageError> {
        let (right_id, right) = self.new_node(tree, 0)?;
        let old = *self.pool.page(path.leaf);
        let n = node::count(&old);
        let separator = if i == n && n > 0 {
            let done = node::insert_leaf(self.pool.page_mut(right), 0, key, value);
            debug_assert!(done, "an empty node has room");
            shortest_between(node::key(&old, n - 1), key)
        } else {
            let new = node::leaf_cell_bytes(key.len(), value.len());
            let cut = cut_leaf(&old, i, new);
            self.fill_half(path.leaf, &old, 0..cut, i, key, value);
            self.fill_half(right, &old, cut..n + 1, i, key, value);
            let left = self.pool.page(path.leaf);
            let last = node::key(left, node::count(left) - 1);
            shortest_between(last, node::key(self.pool.page(right), 0))
        };
        self.hand_up(tree, path, separator, right_id)
    }

    /// Rebuilds a leaf from a run of the old leaf's cells with the new one among them.
    fn fill_half(
        &mut self,
        frame: FrameId,
        old: &Page,
        run: std::ops::Range<usize>,
        i: usize,
        key: &[u8],
        value: Stored<'_>,
    ) {
        let page = self.pool.page_mut(frame);
        node::init(page, 0);
        for at in run {
            if at == i {
                let last = node::count(page);
                let done = node::insert_leaf(page, last, key, value);
                debug_assert!(done, "the cut counted the room");
            } else {
                node::append_from(page, old, if at < i { at } else { at - 1 });
            }
        }
    }

    /// Inserts `separator` and the node at its right above the path's lowest node, splitting upwards.
    fn hand_up(
        &mut self,
        tree: TreeId,
        mut path: Path,
        mut separator: Separator,
        mut right: PageId,
    ) -> Result<(), StorageError> {
        while let Some(step) = path.inner.pop() {
            let page = self.pool.page_mut(step.frame);
            if node::insert_inner(page, step.child, &separator, right) {
                return Ok(());
            }
            (separator, right) =
                self.split_inner(tree, step.frame, step.child, &separator, right)?;
        }
        let Some(info) = self.trees.get(&tree).copied() else {
            return Ok(());
        };
        if info.level + 1 >= DEPTH_MAX {
            return Err(StorageError::page(info.root, "tree too deep"));
        }
        let (root, frame) = self.new_node(tree, info.level + 1)?;
        let page = self.pool.page_mut(frame);
        node::set_child(page, 0, info.root);
        let done = node::insert_inner(page, 0, &separator, right);
        debug_assert!(done, "an empty node has room");
        if let Some(info) = self.trees.get_mut(&tree) {
            info.root = root;
            info.level += 1;
        }
        Ok(())
    }

    /// Splits a full inner node that has to take `separator` at slot `i`; returns what goes up.
    fn split_inner(
        &mut self,
        tree: TreeId,
        left: FrameId,
        i: usize,
        separator: &[u8],
        child: PageId,
    ) -> Result<(Separator, PageId), StorageError> {
        let old = *self.pool.page(left);
        let (right_id, right) = self.new_node(tree, node::level(&old))?;
        let n = node::count(&old);
        // The separators with the new one among them; the one at `up` moves up.
        let entry = |at: usize| -> (&[u8], PageId) {
            match at.cmp(&i) {
                std::cmp::Ordering::Less => (node::key(&old, at), node::child(&old, at + 1)),
                std::cmp::Ordering::Equal => (separator, child),
                std::cmp::Ordering::Greater => (node::key(&old, at - 1), node::child(&old, at)),
            }
        };
        let up = if i == n {
            n - 1
        } else {
            cut_inner(n + 1, |at| node::inner_cell_bytes(entry(at).0.len()))
        };
        let (key_up, first) = entry(up);
        let fill = |page: &mut Page, first: PageId, run: std::ops::Range<usize>| {
            node::init(page, node::level(&old));
            node::set_child(page, 0, first);
            for (slot, at) in run.enumerate() {
                let (key, child) = entry(at);
                let done = node::insert_inner(page, slot, key, child);
                debug_assert!(done, "the cut counted the room");
            }
        };
        fill(self.pool.page_mut(left), node::child(&old, 0), 0..up);
        fill(self.pool.page_mut(right), first, up + 1..n + 1);
        Ok((Separator::from_slice(key_up), right_id))
    }
}

/// The shortest text above `low` and not above `high`.
fn shortest_between(low: &[u8], high: &[u8]) -> Separator {
    let shared = low.iter().zip(high).take_while(|(a, b)| a == b).count();
    Separator::from_slice(&high[..(shared + 1).min(high.len())])
}

/// How many of the `n + 1` cells (the new one of `new` bytes at slot `i`) stay left: as near to half of the bytes as
/// both halves allow.
fn cut_leaf(old: &Page, i: usize, new: usize) -> usize {
    let n = node::count(old);
    let bytes = |at: usize| match at.cmp(&i) {
        std::cmp::Ordering::Less => node::cell_bytes(old, at),
        std::cmp::Ordering::Equal => new,
        std::cmp::Ordering::Greater => node::cell_bytes(old, at - 1),
    };
    let total: usize = (0..=n).map(bytes).sum();
    let mut left = 0;
    let mut best = (usize::MAX, 1);
    for at in 0..n {
        left += bytes(at);
        let right = total - left;
        if left <= ROOM && right <= ROOM {
            best = best.min((left.abs_diff(right), at + 1));
        }
    }
    best.1
}

/// Which of `n` separators moves up.
fn cut_inner(n: usize, bytes: impl Fn(usize) -> usize) -> usize {
    let total: usize = (0..n).map(&bytes).sum();
    let mut left = 0;
    let mut best = (usize::MAX, n / 2);
    for up in 0..n {
        let right = total - left - bytes(up);
        if up > 0 && up + 1 < n && left <= ROOM && right <= ROOM {
            best = best.min((left.abs_diff(right), up));
        }
        left += bytes(up);
    }
    best.1
}

const _: () = assert!(PAGE_BYTES == page::HEADER + ROOM);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_separator_divides_its_neighbours(mut a in prop::collection::vec(0u8..3, 0..6), mut b in prop::collection::vec(0u8..3, 0..6)) {
            if a > b { std::mem::swap(&mut a, &mut b); }
            prop_assume!(a != b);
            let s = shortest_between(&a, &b);
            prop_assert!(a.as_slice() < s.as_slice() && s.as_slice() <= b.as_slice());
        }
    }
}
