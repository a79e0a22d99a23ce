//! The uncommitted writes of one transaction in one partition that are in memory.
//!
//! Owns: per tree, the newest value of each key it wrote (`None` = deleted), and its share of the partition's count of
//! such bytes. Bounds: `TXN_WRITE_BYTES_MAX`, then 53200; `Partition::relieve` moves them to the page file long before.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::rc::Rc;
use types::{Error, Result, SqlState, TreeId, limits};

pub type Payload = Option<Vec<u8>>;
/// A key with what was written under it.
pub type Entry = (Vec<u8>, Payload);

pub struct WriteSet {
    trees: BTreeMap<TreeId, BTreeMap<Vec<u8>, Payload>>,
    bytes: usize,
    bytes_max: usize,
    count: usize,
    /// Over all transactions of the partition.
    total: Rc<Cell<usize>>,
}

/// Memory of one entry besides its bytes: two `Vec`s and its share of a tree node.
pub(super) const ENTRY_OVERHEAD: usize = 64;

fn entry_bytes(key: &[u8], value: &Payload) -> usize {
    key.len() + value.as_ref().map_or(0, Vec::len) + ENTRY_OVERHEAD
}

impl Default for WriteSet {
    fn default() -> WriteSet {
        WriteSet::new(Rc::default())
    }
}

impl Drop for WriteSet {
    fn drop(&mut self) {
        self.total.set(self.total.get() - self.bytes);
    }
}

impl WriteSet {
    /// Counts its bytes in `total` too.
    pub fn new(total: Rc<Cell<usize>>) -> WriteSet {
        WriteSet {
            trees: BTreeMap::new(),
            bytes: 0,
            bytes_max: limits::TXN_WRITE_BYTES_MAX,
            count: 0,
            total,
        }
    }

    pub fn put(&mut self, tree: TreeId, key: Vec<u8>, value: Payload) -> Result<()> {
        let added = entry_bytes(&key, &value);
        if self.bytes + added > self.bytes_max {
            return Err(too_much(self.bytes_max));
        }
        let length = key.len();
        match self.trees.entry(tree).or_default().insert(key, value) {
            Some(old) => self.took(length + old.map_or(0, |v| v.len()) + ENTRY_OVERHEAD),
            None => self.count += 1,
        }
        self.bytes += added;
        self.total.set(self.total.get() + added);
        Ok(())
    }

    /// As if the key had not been written.
    pub fn remove(&mut self, tree: TreeId, key: &[u8]) {
        let entries = self.trees.get_mut(&tree);
        if let Some(value) = entries.and_then(|entries| entries.remove(key)) {
            self.count -= 1;
            self.took(entry_bytes(key, &value));
        }
    }

    fn took(&mut self, bytes: usize) {
        self.bytes -= bytes;
        self.total.set(self.total.get() - bytes);
    }

    /// Forgets a write that has been staged, unless it was written again meanwhile.
    pub fn forget(&mut self, tree: TreeId, key: &[u8], value: &Payload) {
        let Some(entries) = self.trees.get_mut(&tree) else {
            return;
        };
        if entries.get(key) == Some(value) {
            entries.remove(key);
            self.count -= 1;
            self.took(entry_bytes(key, value));
        }
    }

    /// `Some(None)`: deleted here.
    pub fn get(&self, tree: TreeId, key: &[u8]) -> Option<&Payload> {
        self.trees.get(&tree)?.get(key)
    }

    pub fn touches(&self, tree: TreeId) -> bool {
        self.trees.get(&tree).is_some_and(|t| !t.is_empty())
    }

    /// Entries of one tree in key order within bounds.
    pub fn range<'a>(
        &'a self,
        tree: TreeId,
        lower: Bound<&'a [u8]>,
        upper: Bound<&'a [u8]>,
    ) -> impl Iterator<Item = (&'a Vec<u8>, &'a Payload)> {
        self.trees
            .get(&tree)
            .filter(|_| !ends_before_it_begins(lower, upper))
            .into_iter()
            .flat_map(move |t| t.range::<[u8], _>((lower, upper)))
    }

    /// Whether it wrote a key from `lower` up to `upper` (exclusive; `None` = the end).
    pub fn has_between(&self, tree: TreeId, lower: &[u8], upper: Option<&[u8]>) -> bool {
        if upper.is_some_and(|u| u <= lower) {
            return false;
        }
        let upper = upper.map_or(Bound::Unbounded, Bound::Excluded);
        self.range(tree, Bound::Included(lower), upper)
            .next()
            .is_some()
    }

    pub fn iter(&self) -> impl Iterator<Item = (TreeId, &Vec<u8>, &Payload)> {
        self.after(None)
    }

    /// Everything behind a key, in order of trees and keys.
    pub fn after<'a>(
        &'a self,
        last: Option<(TreeId, &'a [u8])>,
    ) -> impl Iterator<Item = (TreeId, &'a Vec<u8>, &'a Payload)> {
        let first = last.map_or(TreeId(0), |(tree, _)| tree);
        self.trees.range(first..).flat_map(move |(tree, entries)| {
            let lower = match last {
                Some((t, key)) if t == *tree => Bound::Excluded(key),
                _ => Bound::Unbounded,
            };
            entries
                .range::<[u8], _>((lower, Bound::Unbounded))
                .map(|(k, v)| (*tree, k, v))
        })
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn len(&self) -> usize {
        self.count
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

fn too_much(max: usize) -> Error {
    Error::new(SqlState::OUT_OF_MEMORY, "transaction writes too much")
        .with_detail(format!(
            "A transaction may hold {max} bytes of writes in a partition's memory."
        ))
        .with_hint("Split it into several transactions.")
}

/// Such a range has nothing in it, and is none to a map.
fn ends_before_it_begins(lower: Bound<&[u8]>, upper: Bound<&[u8]>) -> bool {
    match (lower, upper) {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Excluded(l), Bound::Excluded(u)) => l >= u,
        (Bound::Included(l) | Bound::Excluded(l), Bound::Included(u) | Bound::Excluded(u)) => l > u,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_counted_through_overwrites_and_forgetting() {
        let total = Rc::new(Cell::new(0));
        let mut w = WriteSet::new(total.clone());
        let t = TreeId(7);
        w.put(t, vec![1], Some(vec![0; 100])).unwrap();
        w.put(t, vec![1], None).unwrap();
        assert_eq!((w.len(), w.bytes()), (1, 1 + ENTRY_OVERHEAD));
        w.forget(t, &[1], &Some(vec![0; 100]));
        assert_eq!(w.len(), 1, "written again since it was staged");
        assert_eq!(total.get(), w.bytes());
        w.forget(t, &[1], &None);
        assert!(w.is_empty());
        assert_eq!((w.bytes(), total.get()), (0, 0));
        w.put(t, vec![1], None).unwrap();
        drop(w);
        assert_eq!(total.get(), 0);
    }

    #[test]
    fn one_byte_over_the_ceiling_is_refused_and_nothing_is_lost() {
        let mut w = WriteSet::default();
        w.bytes_max = 1000;
        let value = 1000 - 1 - ENTRY_OVERHEAD;
        w.put(TreeId(1), vec![1], Some(vec![0; value])).unwrap();
        let e = w.put(TreeId(1), vec![2], None).unwrap_err();
        assert_eq!(e.code(), SqlState::OUT_OF_MEMORY);
        assert_eq!(w.len(), 1);
    }

    #[test]
    fn a_range_that_ends_before_it_begins_is_empty() {
        let mut w = WriteSet::default();
        w.put(TreeId(1), vec![3], None).unwrap();
        let (five, one): (&[u8], &[u8]) = (&[5], &[1]);
        let count = |lower, upper| w.range(TreeId(1), lower, upper).count();
        assert_eq!(count(Bound::Included(five), Bound::Excluded(one)), 0);
        assert_eq!(count(Bound::Excluded(five), Bound::Excluded(five)), 0);
        assert_eq!(count(Bound::Included(one), Bound::Excluded(five)), 1);
    }

    #[test]
    fn a_walk_goes_on_behind_any_key_of_any_tree() {
        let mut w = WriteSet::default();
        let all: Vec<(TreeId, Vec<u8>)> = (1..4u32)
            .flat_map(|t| (0..3u8).map(move |k| (TreeId(t), vec![k])))
            .collect();
        for (tree, key) in &all {
            w.put(*tree, key.clone(), None).unwrap();
        }
        for (n, (tree, key)) in all.iter().enumerate() {
            let rest: Vec<_> = w
                .after(Some((*tree, key)))
                .map(|(t, k, _)| (t, k.clone()))
                .collect();
            assert_eq!(rest, all[n + 1..]);
        }
    }
}
