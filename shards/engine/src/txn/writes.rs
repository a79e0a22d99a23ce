//! The uncommitted writes of one transaction in one partition.
//!
//! Owns: per tree, the newest value of each key it wrote (`None` = deleted). Bounds: the bytes it was made for, at most
//! `TXN_WRITE_BYTES_MAX`, then 53200.

use std::collections::BTreeMap;
use std::ops::Bound;
use types::{Error, Result, SqlState, TreeId, limits};

pub type Payload = Option<Vec<u8>>;

pub struct WriteSet {
    trees: BTreeMap<TreeId, BTreeMap<Vec<u8>, Payload>>,
    bytes: usize,
    bytes_max: usize,
    count: usize,
}

impl Default for WriteSet {
    fn default() -> WriteSet {
        WriteSet::new(limits::TXN_WRITE_BYTES_MAX)
    }
}

/// Memory of one entry besides its bytes: two `Vec`s and its share of a tree node.
const ENTRY_OVERHEAD: usize = 64;

impl WriteSet {
    pub fn new(bytes_max: usize) -> WriteSet {
        WriteSet {
            trees: BTreeMap::new(),
            bytes: 0,
            bytes_max: bytes_max.min(limits::TXN_WRITE_BYTES_MAX),
            count: 0,
        }
    }

    pub fn put(&mut self, tree: TreeId, key: Vec<u8>, value: Payload) -> Result<()> {
        let added = key.len() + value.as_ref().map_or(0, Vec::len) + ENTRY_OVERHEAD;
        if self.bytes + added > self.bytes_max {
            return Err(
                Error::new(SqlState::OUT_OF_MEMORY, "transaction writes too much")
                    .with_detail(format!(
                        "A transaction may hold {} bytes of writes in a partition.",
                        self.bytes_max
                    ))
                    .with_hint("Split it into several transactions."),
            );
        }
        let klen = key.len();
        match self.trees.entry(tree).or_default().insert(key, value) {
            Some(old) => {
                self.bytes -= (klen + old.map_or(0, |v| v.len()) + ENTRY_OVERHEAD).min(self.bytes)
            }
            None => self.count += 1,
        }
        self.bytes += added;
        Ok(())
    }

    /// Forgets a write, as if it had not been made.
    pub fn forget(&mut self, tree: TreeId, key: &[u8]) {
        if let Some(value) = self.trees.get_mut(&tree).and_then(|t| t.remove(key)) {
            self.count -= 1;
            self.bytes -=
                (key.len() + value.map_or(0, |v| v.len()) + ENTRY_OVERHEAD).min(self.bytes);
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
            .into_iter()
            .flat_map(move |t| t.range::<[u8], _>((lower, upper)))
    }

    pub fn iter(&self) -> impl Iterator<Item = (TreeId, &Vec<u8>, &Payload)> {
        self.trees
            .iter()
            .flat_map(|(tree, entries)| entries.iter().map(|(k, v)| (*tree, k, v)))
    }

    /// Moves the values out, to be put into trees; the keys stay known.
    pub fn take_values(&mut self) -> Vec<(TreeId, Vec<u8>, Payload)> {
        let mut out = Vec::with_capacity(self.count);
        for (tree, entries) in &mut self.trees {
            for (key, value) in entries {
                let kept = value.as_ref().map(|_| Vec::new());
                out.push((*tree, key.clone(), std::mem::replace(value, kept)));
            }
        }
        out
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_counted_through_overwrites_and_forgetting() {
        let mut w = WriteSet::default();
        let t = TreeId(7);
        w.put(t, vec![1], Some(vec![0; 100])).unwrap();
        w.put(t, vec![1], None).unwrap();
        assert_eq!((w.len(), w.bytes()), (1, 1 + ENTRY_OVERHEAD));
        w.forget(t, &[1]);
        assert!(w.is_empty());
        assert_eq!(w.bytes(), 0);
    }

    #[test]
    fn one_byte_over_the_ceiling_is_refused_and_nothing_is_lost() {
        let mut w = WriteSet::new(1000);
        let value = 1000 - 1 - ENTRY_OVERHEAD;
        w.put(TreeId(1), vec![1], Some(vec![0; value])).unwrap();
        let e = w.put(TreeId(1), vec![2], None).unwrap_err();
        assert_eq!(e.code(), SqlState::OUT_OF_MEMORY);
        assert_eq!(w.len(), 1);
    }
}
