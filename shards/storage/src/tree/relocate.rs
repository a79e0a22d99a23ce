//! Giving a leaf and its ancestors a place further ahead in the file, and merging it with its neighbour.
//!
//! Owns: one step of compaction: the leaf that covers a key. Asked by: the store.
//! Never: moves a page of the current epoch: it has the first free place there was when it was placed; reads a leaf only
//! to merge it.

use super::{Stall, State, overflow_of};
use crate::page::PageId;
use crate::page::node::{self, ROOM, Stored};
use types::TreeId;

/// Two leaves become one when they fill no more than this.
const MERGED_MAX: usize = ROOM / 8 * 7;

/// What a step did.
pub(crate) struct Relocation {
    pub moved: bool,
    /// Keys whose long values have pages behind the target, of older epochs.
    pub long: Vec<Vec<u8>>,
    /// Where the next leaf begins.
    pub next: Option<Vec<u8>>,
}

impl State {
    /// Moves the path to the leaf that covers `from` if any of it lies behind `target`.
    pub fn relocate(
        &mut self,
        tree: TreeId,
        from: &[u8],
        target: PageId,
    ) -> Result<Relocation, Stall> {
        let mut step = Relocation {
            moved: false,
            long: Vec::new(),
            next: None,
        };
        let Some(info) = self.trees.get(&tree).copied() else {
            return Ok(step);
        };
        let mut id = info.root;
        let mut behind = id >= target;
        for level in (1..=info.level).rev() {
            let frame = self.resident(id, tree, level)?;
            let page = self.pool.page(frame);
            let child = node::child_for(page, from);
            if child < node::count(page) {
                step.next = Some(node::key(page, child).to_vec());
            }
            id = node::child(page, child);
            behind |= id >= target;
        }
        if !behind && info.overflows == 0 && self.pool.find(id).is_none() {
            return Ok(step);
        }
        let mut path = self.descend(tree, &info, from)?;
        let page = self.pool.page(path.leaf);
        for i in 0..node::count(page) {
            let stored = node::stored(page, i);
            if matches!(stored, Stored::Overflow(_))
                && let Some(long) = overflow_of(stored, id)?
                && long.value.epoch != self.epoch
                && self.data_pages(tree, &long)?.iter().any(|p| *p >= target)
            {
                step.long.push(node::key(page, i).to_vec());
            }
        }
        let right = self.with_right(tree, &path);
        let right = right.filter(|(_, both)| *both <= MERGED_MAX);
        let copies = self.copies(&path);
        if right.is_some() || (behind && copies > 0) {
            // The neighbour must stay where it is while room is made for the path.
            let pin = right.map(|(frame, _)| self.pool.pin(frame));
            self.reserve(Some(&path), copies, copies)?;
            drop(pin);
            self.make_current(tree, &mut path)?;
            step.moved = true;
        }
        if let Some((frame, _)) = right {
            self.merge_right(tree, &path, frame);
            step.next = Some(from.to_vec());
        }
        Ok(step)
    }
}
