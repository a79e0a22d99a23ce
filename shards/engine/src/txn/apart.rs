//! What a transaction's writes were before the statement that writes now.
//!
//! Owns: for a statement that must not see what it does itself (a change in WITH, a change whose expressions read tables),
//! the earlier value of each key that it writes. Asked by: `TxnState` for every write, and by what such a statement reads.
//! Never: tells other transactions anything; a commit takes the newest values.
//! Bounds: `UNDO_BYTES_MAX` of one statement in one partition. With more nothing is kept, and what the statement then reads
//! of the partition ends with 53200.

use super::state::{UNDO_BYTES_MAX, UNDO_OVERHEAD};
use super::writes::Payload;
use std::collections::BTreeMap;
use types::{Error, Result, SqlState, TreeId};

#[derive(Default)]
pub(super) struct Before {
    /// The number of the statement; 0 of one that sees what it writes.
    statement: u32,
    /// Of each key, what was in memory: `None` = nothing.
    trees: BTreeMap<TreeId, BTreeMap<Vec<u8>, Option<Payload>>>,
    bytes: usize,
    full: bool,
}

impl Before {
    /// A call of this statement is about to write.
    pub(super) fn at(&mut self, statement: u32) {
        if self.statement != statement {
            *self = Before {
                statement,
                ..Before::default()
            };
        }
    }

    /// Earlier values are kept, so what was written may not leave memory.
    pub(super) fn keeps(&self) -> bool {
        self.statement > 0 && !self.full
    }

    /// It is the statement's first write of the key: `before` is what was there.
    pub(super) fn keep(&mut self, tree: TreeId, key: &[u8], before: Option<&Payload>) {
        if !self.keeps() {
            return;
        }
        let keys = self.trees.entry(tree).or_default();
        if keys.contains_key(key) {
            return;
        }
        let old = before
            .iter()
            .copied()
            .flatten()
            .map(Vec::len)
            .sum::<usize>();
        self.bytes += key.len() + old + UNDO_OVERHEAD;
        keys.insert(key.to_vec(), before.cloned());
        if self.bytes > UNDO_BYTES_MAX {
            self.full = true;
            self.trees.clear();
        }
    }

    /// The key's earlier value, where the reader is the statement that has written it since.
    pub(super) fn of(
        &self,
        reader: u32,
        tree: TreeId,
        key: &[u8],
    ) -> Result<Option<&Option<Payload>>> {
        if reader == 0 || reader != self.statement {
            return Ok(None);
        }
        if self.full {
            return Err(Error::new(
                SqlState::OUT_OF_MEMORY,
                "statement writes too much beside what it reads",
            )
            .with_detail(format!(
                "It may hold {UNDO_BYTES_MAX} bytes of such writes in a partition."
            ))
            .with_hint("Read and write in statements of their own."));
        }
        Ok(self.trees.get(&tree).and_then(|keys| keys.get(key)))
    }

    /// The statement itself has written the key. Known as long as earlier values are kept.
    pub(super) fn has(&self, statement: u32, tree: TreeId, key: &[u8]) -> bool {
        let keys = self.trees.get(&tree);
        statement > 0
            && statement == self.statement
            && keys.is_some_and(|keys| keys.contains_key(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: TreeId = TreeId(1);

    #[test]
    fn a_statement_finds_what_was_there_before_its_first_write_and_the_next_one_nothing() {
        let mut before = Before::default();
        before.at(7);
        before.keep(TREE, b"a", Some(&Some(vec![1])));
        before.keep(TREE, b"a", Some(&Some(vec![2])));
        before.keep(TREE, b"b", None);
        let of = |b: &Before, n, key: &[u8]| b.of(n, TREE, key).unwrap().cloned();
        assert_eq!(of(&before, 7, b"a"), Some(Some(Some(vec![1]))));
        assert_eq!(of(&before, 7, b"b"), Some(None));
        assert_eq!(of(&before, 7, b"c"), None);
        assert_eq!(of(&before, 0, b"a"), None, "another reader sees what is");
        before.at(8);
        assert_eq!(of(&before, 8, b"a"), None);
        assert!(!before.has(8, TREE, b"a"));
    }

    #[test]
    fn one_byte_over_the_ceiling_refuses_reads_and_lets_writes_go_on() {
        let mut before = Before::default();
        before.at(1);
        let fits = vec![0; UNDO_BYTES_MAX - UNDO_OVERHEAD - 1];
        before.keep(TREE, b"a", Some(&Some(fits)));
        assert!(before.keeps() && before.of(1, TREE, b"a").is_ok());
        before.keep(TREE, b"", None);
        let refused = before.of(1, TREE, b"a").unwrap_err();
        assert_eq!(refused.code(), SqlState::OUT_OF_MEMORY);
        assert!(!before.keeps());
    }
}
