//! Remove one cell, and give back the room.
//!
//! Owns: the removal of empty nodes, and the merging of a node that is under a quarter full with a neighbour that is
//! in memory, when both fill at most three quarters of one. A neighbour is never fetched for that: the next delete
//! near it tries again. Asked by: the store. Never: fails after the first change.

use super::{Path, Stall, State, Step, overflow_of};
use crate::page::PageId;
use crate::page::node::{self, ROOM};
use crate::pool::FrameId;
use types::TreeId;

const SPARSE: usize = ROOM / 4;
const MERGED_MAX: usize = ROOM / 4 * 3;

impl State {
    /// False when there is no such key.
    pub fn delete(&mut self, tree: TreeId, key: &[u8]) -> Result<bool, Stall> {
        let Some(info) = self.trees.get(&tree).copied() else {
            return Ok(false);
        };
        let mut path = self.descend(tree, &info, key)?;
        let page = self.pool.page(path.leaf);
        let Ok(i) = node::search(page, key) else {
            return Ok(false);
        };
        let mut old_pages = Vec::new();
        let old = overflow_of(node::stored(page, i), self.pool.page_id(path.leaf))?;
        if let Some(old) = &old {
            self.value_pages(tree, old, &mut old_pages)?;
        }
        let copies = self.copies(&path);
        if copies > 0 {
            self.reserve(Some(&path), copies, copies)?;
            self.make_current(tree, &mut path)?;
        }
        let leaf = self.pool.page_mut(path.leaf);
        node::remove(leaf, i);
        let sparse = node::used(leaf) < SPARSE;
        for (id, born) in old_pages {
            self.free_page(id, born);
        }
        if let Some(info) = self.trees.get_mut(&tree) {
            info.cells = info.cells.saturating_sub(1);
            info.overflows -= u64::from(old.is_some());
        }
        if sparse && path.depth() > 0 {
            self.thin_out(tree, &path);
        }
        Ok(true)
    }

    /// Takes the path's leaf out of the tree if it is empty, then merges sparse nodes from there up.
    fn thin_out(&mut self, tree: TreeId, path: &Path) {
        let mut depth = path.depth();
        if node::count(self.pool.page(path.leaf)) == 0 {
            let leads_elsewhere = |d: &usize| node::count(self.pool.page(path.frame(*d))) > 0;
            let Some(keeper) = (0..depth).rev().find(leads_elsewhere) else {
                self.make_root(tree, self.pool.page_id(path.leaf), 0);
                self.free_frames((0..depth).map(|d| path.frame(d)));
                return;
            };
            let Step { frame, child } = path.inner[keeper];
            node::remove_child(self.pool.page_mut(frame), child);
            self.free_frames((keeper + 1..=depth).map(|d| path.frame(d)));
            depth = keeper;
        }
        self.merge_up(tree, path, depth);
    }

    /// Merges sparse nodes of a current path from `depth` up.
    fn merge_up(&mut self, tree: TreeId, path: &Path, mut depth: usize) {
        while depth > 0 {
            let frame = path.frame(depth);
            let above = &path.inner[depth - 1];
            if node::used(self.pool.page(frame)) >= SPARSE
                || !self.merge(tree, frame, above.frame, above.child)
            {
                return;
            }
            depth -= 1;
        }
        self.lower_root(tree, path.frame(0));
    }

    /// The bytes that a leaf and the one at its right under the same parent fill, when both are in memory.
    pub(super) fn with_right(&self, tree: TreeId, path: &Path) -> Option<(FrameId, usize)> {
        let Step { frame, child } = path.inner.last()?;
        let above = self.pool.page(*frame);
        if *child >= node::count(above) {
            return None;
        }
        let id = node::child(above, child + 1);
        self.pool.find(id)?;
        let right = self.resident(id, tree, 0).ok()?;
        let both = node::used(self.pool.page(path.leaf)) + node::used(self.pool.page(right));
        Some((right, both))
    }

    /// Moves the cells of the leaf at the right into a current path's.
    pub(super) fn merge_right(&mut self, tree: TreeId, path: &Path, right: FrameId) {
        if let Some(Step { frame, child }) = path.inner.last() {
            self.absorb(path.leaf, right, *frame, *child, false);
            self.merge_up(tree, path, path.depth() - 1);
        }
    }

    fn free_frames(&mut self, frames: impl Iterator<Item = FrameId>) {
        for frame in frames {
            let (id, born) = (self.pool.page_id(frame), self.pool.epoch(frame));
            self.free_page(id, born);
        }
    }

    fn make_root(&mut self, tree: TreeId, root: PageId, level: u8) {
        if let Some(info) = self.trees.get_mut(&tree) {
            (info.root, info.level) = (root, level);
        }
    }

    /// Merges the node with a neighbour under the same parent. False when none is in memory or they hold too much.
    fn merge(&mut self, tree: TreeId, frame: FrameId, parent: FrameId, child: usize) -> bool {
        let above = self.pool.page(parent);
        let level = node::level(self.pool.page(frame));
        let sides = [child.checked_sub(1), Some(child + 1)];
        for side in sides.into_iter().flatten() {
            if side > node::count(above) {
                continue;
            }
            let id = node::child(above, side);
            let Some(other) = self.pool.find(id) else {
                continue;
            };
            // A neighbour that is not what it should be is for the next reader of it to report.
            if self.resident(id, tree, level).is_err() {
                continue;
            }
            let between = child.min(side);
            let separator = match level {
                0 => 0,
                _ => node::inner_cell_bytes(node::key(above, between).len()),
            };
            let both = node::used(self.pool.page(frame)) + node::used(self.pool.page(other));
            if both + separator > MERGED_MAX {
                continue;
            }
            self.absorb(frame, other, parent, between, side < child);
            return true;
        }
        false
    }

    /// Moves all of `other` into `frame` and frees it.
    fn absorb(
        &mut self,
        frame: FrameId,
        other: FrameId,
        parent: FrameId,
        between: usize,
        other_is_left: bool,
    ) {
        let (own, its) = (*self.pool.page(frame), *self.pool.page(other));
        let (left, right) = if other_is_left {
            (&its, &own)
        } else {
            (&own, &its)
        };
        let above = *self.pool.page(parent);
        let page = self.pool.page_mut(frame);
        let level = node::level(&own);
        node::init(page, level);
        if level > 0 {
            node::set_child(page, 0, node::child(left, 0));
        }
        for i in 0..node::count(left) {
            node::append_from(page, left, i);
        }
        if level > 0 {
            let slot = node::count(page);
            let key = node::key(&above, between);
            let done = node::insert_inner(page, slot, key, node::child(right, 0));
            debug_assert!(done, "the sum was checked");
        }
        for i in 0..node::count(right) {
            node::append_from(page, right, i);
        }
        let id = self.pool.page_id(frame);
        let above = self.pool.page_mut(parent);
        node::set_child(above, between, id);
        node::remove(above, between);
        self.free_frames([other].into_iter());
    }

    /// While the root has one child only, that child becomes the root.
    fn lower_root(&mut self, tree: TreeId, mut root: FrameId) {
        loop {
            let page = self.pool.page(root);
            let level = node::level(page);
            if level == 0 || node::count(page) > 0 {
                return;
            }
            let only = node::child(page, 0);
            self.make_root(tree, only, level - 1);
            self.free_frames([root].into_iter());
            match self.resident(only, tree, level - 1) {
                Ok(frame) => root = frame,
                Err(_) => return,
            }
        }
    }
}
