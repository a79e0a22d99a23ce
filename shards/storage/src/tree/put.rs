//! Insert or replace one cell.
//!
//! Owns: the order of a put: find, make sure of everything, copy the path if a checkpoint may refer to it, change.
//! Asked by: the store. Never: fails after the first change. Bounds: see `tree`.

use super::{Path, Stall, State, Tree, overflow_of};
use crate::page::node::{self, Stored};
use crate::pool::FrameId;
use types::TreeId;

/// The leaf and the slot of a cell.
pub(crate) type Placed = Option<(FrameId, usize)>;

impl State {
    /// Puts `value` under `key`. An older value's pages are freed. Returns where the cell is, unless its leaf was split.
    pub fn put(&mut self, tree: TreeId, key: &[u8], value: Stored<'_>) -> Result<Placed, Stall> {
        let Some(info) = self.trees.get(&tree).copied() else {
            return self.plant(tree, key, value).map(|()| None);
        };
        let mut path = self.descend(tree, &info, key)?;
        let page = self.pool.page(path.leaf);
        let found = node::search(page, key);
        let new = node::leaf_cell_bytes(key.len(), value.len());
        let mut old_pages = Vec::new();
        let mut old_overflow = false;
        let fits = match found {
            Ok(i) => {
                let at = self.pool.page_id(path.leaf);
                if let Some(old) = overflow_of(node::stored(page, i), at)? {
                    self.value_pages(tree, &old, &mut old_pages)?;
                    old_overflow = true;
                }
                node::room(page) + node::cell_bytes(page, i) >= new
            }
            Err(_) => node::room(page) >= new,
        };
        let copies = self.copies(&path);
        let splits = if fits { 0 } else { path.depth() + 2 };
        if copies + splits > 0 {
            self.reserve(Some(&path), copies + splits, copies + splits)?;
            self.make_current(tree, &mut path)?;
        }
        let leaf = path.leaf;
        self.change_leaf(tree, path, found, key, value, fits)?;
        for (id, born) in old_pages {
            self.free_page(id, born);
        }
        if let Some(info) = self.trees.get_mut(&tree) {
            info.cells += u64::from(found.is_err());
            info.overflows += u64::from(value.is_overflow());
            info.overflows -= u64::from(old_overflow);
        }
        let slot = match found {
            Ok(slot) | Err(slot) => slot,
        };
        Ok(fits.then_some((leaf, slot)))
    }

    /// The key of the cell behind one that was just put, if that is certain to be the next.
    pub fn key_behind(&self, placed: Placed) -> Option<&[u8]> {
        let (leaf, slot) = placed?;
        let page = self.pool.page(leaf);
        (slot + 1 < node::count(page)).then(|| node::key(page, slot + 1))
    }

    fn change_leaf(
        &mut self,
        tree: TreeId,
        path: Path,
        found: Result<usize, usize>,
        key: &[u8],
        value: Stored<'_>,
        fits: bool,
    ) -> Result<(), Stall> {
        let leaf = self.pool.page_mut(path.leaf);
        let done = match found {
            Ok(i) if fits => node::replace_leaf(leaf, i, value),
            Err(i) if fits => node::insert_leaf(leaf, i, key, value),
            Ok(i) => {
                node::remove(leaf, i);
                self.split_leaf(tree, path, i, key, value)?;
                true
            }
            Err(i) => {
                self.split_leaf(tree, path, i, key, value)?;
                true
            }
        };
        debug_assert!(done, "room was checked");
        Ok(())
    }

    /// The first cell of a tree makes the tree.
    fn plant(&mut self, tree: TreeId, key: &[u8], value: Stored<'_>) -> Result<(), Stall> {
        self.reserve(None, 1, 1)?;
        let (root, frame) = self.new_node(tree, 0)?;
        let done = node::insert_leaf(self.pool.page_mut(frame), 0, key, value);
        debug_assert!(done, "a cell takes at most half of a node");
        self.trees.insert(
            tree,
            Tree {
                root,
                level: 0,
                cells: 1,
                overflows: u64::from(value.is_overflow()),
            },
        );
        Ok(())
    }
}
