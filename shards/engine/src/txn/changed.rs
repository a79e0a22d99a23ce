//! How much has been changed in each tree since somebody asked.
//!
//! Owns: a count of the rows and entries that commits and loads have put into each tree. Asked by: what decides which tables to
//! analyze again. Never: says anything about rows that were rolled back, or survives a restart.
//! Bounds: one number a tree that was written since the last question.

use std::cell::RefCell;
use std::collections::HashMap;
use types::TreeId;

#[derive(Default)]
pub(super) struct Changed(RefCell<HashMap<TreeId, u64>>);

impl Changed {
    pub fn count(&self, trees: impl Iterator<Item = TreeId>) {
        let mut counts = self.0.borrow_mut();
        let mut run: Option<(TreeId, u64)> = None;
        for tree in trees {
            match &mut run {
                Some((of, n)) if *of == tree => *n += 1,
                other => {
                    if let Some((of, n)) = other.replace((tree, 1)) {
                        *counts.entry(of).or_default() += n;
                    }
                }
            }
        }
        if let Some((of, n)) = run {
            *counts.entry(of).or_default() += n;
        }
    }

    /// From here on it counts from nothing.
    pub fn take(&self) -> Vec<(TreeId, u64)> {
        self.0.take().into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_is_counted_once_under_its_tree() {
        let changed = Changed::default();
        changed.count([1, 1, 2, 1].into_iter().map(TreeId));
        changed.count([2].into_iter().map(TreeId));
        let mut taken = changed.take();
        taken.sort();
        assert_eq!(taken, [(TreeId(1), 3), (TreeId(2), 2)]);
        assert!(changed.take().is_empty());
    }
}
