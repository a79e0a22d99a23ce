//! Freeing all pages of a dropped tree.
//!
//! Owns: the walk over a tree that no one can reach any more. It may wait for pages, and a checkpoint may run
//! meanwhile: until the walk has ended the tree stays among the doomed ones, which a checkpoint keeps with the
//! directory, and then all its pages are freed in one step. A crash in between repeats the walk.
//! Asked by: the store. Never: reads leaves of a tree without long values.
//! Bounds: 16 bytes a page of the tree.

use super::{Stall, State, Tree, overflow_of};
use crate::page::node;
use crate::page::{self, PageId};
use types::TreeId;

pub(crate) struct Walk {
    pub tree: TreeId,
    info: Tree,
    /// Nodes to visit with their levels.
    ahead: Vec<(PageId, u8)>,
    found: Vec<(PageId, u64)>,
}

impl Walk {
    pub fn new(tree: TreeId, info: Tree) -> Walk {
        Walk {
            tree,
            info,
            ahead: vec![(info.root, info.level)],
            found: Vec::new(),
        }
    }

    /// Visits a node. False when there is none left.
    pub fn step(&mut self, state: &State) -> Result<bool, Stall> {
        let Some((id, level)) = self.ahead.last().copied() else {
            return Ok(false);
        };
        if level == 0 && self.info.overflows == 0 {
            // The epoch is unknown without reading the leaf: 0 stands for "maybe in a checkpoint".
            self.ahead.pop();
            self.found.push((id, 0));
            return Ok(true);
        }
        let frame = state.resident(id, self.tree, level)?;
        let page = state.pool.page(frame);
        if level == 0 {
            let mut pages = Vec::new();
            for i in 0..node::count(page) {
                if let Some(long) = overflow_of(node::stored(page, i), id)? {
                    state.value_pages(self.tree, &long, &mut pages)?;
                }
            }
            self.found.append(&mut pages);
            self.ahead.pop();
        } else {
            self.ahead.pop();
            self.ahead
                .extend((0..=node::count(page)).map(|i| (node::child(page, i), level - 1)));
        }
        self.found.push((id, page::epoch(page)));
        Ok(true)
    }

    /// Frees what was found; the tree is no longer doomed.
    pub fn finish(self, state: &mut State) {
        let before = state.doomed.len();
        let root = self.info.root;
        state.doomed.retain(|(_, info)| info.root != root);
        if state.doomed.len() == before {
            return;
        }
        for (id, born) in self.found {
            state.free_page(id, born);
        }
    }
}
