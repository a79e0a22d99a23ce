//! How many pages a tree has.
//!
//! Owns: the count, branch by branch in key order, each found from the root anew, so that what changes between two of them does no
//! harm. Asked by: the store. Never: reads leaves of a tree without long values.
//! Bounds: one branch at a time: a node of the lowest inner level, or a leaf where there are long values.

use super::{Stall, State, overflow_of};
use crate::page::{node, overflow};
use types::TreeId;

impl State {
    /// Pages of the branch that covers `from`, with those of inner nodes that begin with it; then moves `from` to what
    /// follows. False at the end.
    pub fn measure(
        &self,
        tree: TreeId,
        from: &mut Vec<u8>,
        pages: &mut u64,
    ) -> Result<bool, Stall> {
        let Some(info) = self.trees.get(&tree) else {
            return Ok(false);
        };
        let lowest = u8::from(info.overflows == 0).min(info.level);
        let mut id = info.root;
        let mut right: Option<Vec<u8>> = None;
        // Nodes above, from the last one down whose first child this is not: no earlier branch was in them.
        let mut begun = 0;
        for level in (lowest + 1..=info.level).rev() {
            let page = self.pool.page(self.resident(id, tree, level)?);
            let child = node::child_for(page, from);
            begun = if child > 0 { 0 } else { begun + 1 };
            if child < node::count(page) {
                right = Some(node::key(page, child).to_vec());
            }
            id = node::child(page, child);
        }
        let page = self.pool.page(self.resident(id, tree, lowest)?);
        let mut found = 1 + begun;
        if lowest > 0 {
            found += node::count(page) as u64 + 1;
        } else {
            for i in 0..node::count(page) {
                if let Some(long) = overflow_of(node::stored(page, i), id)? {
                    let data = overflow::data_pages(long.bytes as usize);
                    found += (data + overflow::index_pages(data)) as u64;
                }
            }
        }
        *pages += found;
        let more = right.is_some();
        if let Some(separator) = right {
            *from = separator;
        }
        Ok(more)
    }
}
