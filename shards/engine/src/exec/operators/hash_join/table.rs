//! The kept rows of a join, found by their keys.
//!
//! Owns: the rows, which of them have matched, and chains of rows with the same key in input order. Asked by: `pass`.
//! Without keys every row is a candidate. A row whose key has a NULL is in no chain.
//! Bounds: `cost` says what a row adds; the caller reserves it.

use super::super::rows::RowSet;
use types::row::row_bytes;
use types::{Row, Value};

/// No further row in a chain.
pub(super) const END: u32 = u32::MAX;

#[derive(Default)]
pub(super) struct Table {
    pub(super) rows: Vec<Row>,
    pub(super) matched: Vec<bool>,
    keys: RowSet,
    /// First and last row of each key.
    ends: Vec<(u32, u32)>,
    /// Next row of the same key.
    next: Vec<u32>,
}

/// A row's place in the lists beside itself.
const ROW_BYTES: usize = 8;
/// A key's place in the lists beside itself.
const KEY_BYTES: usize = 24;

impl Table {
    /// What the row takes at most; how much less it is when its key is not new.
    pub(super) fn cost(row: &Row, key: Option<&Row>) -> (usize, usize) {
        let key = key.map_or(0, |k| row_bytes(k) + KEY_BYTES);
        (row_bytes(row) + ROW_BYTES + key, key)
    }

    /// Whether the key was new.
    pub(super) fn push(&mut self, row: Row, key: Option<&[Value]>) -> bool {
        let at = self.rows.len() as u32;
        self.rows.push(row);
        self.matched.push(false);
        self.next.push(END);
        let Some(key) = key.filter(|key| !has_null(key)) else {
            return false;
        };
        let (number, new) = self.keys.intern(key);
        if new {
            self.ends.push((at, at));
        } else {
            let last = std::mem::replace(&mut self.ends[number].1, at);
            self.next[last as usize] = at;
        }
        new
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Different keys.
    pub(super) fn keys(&self) -> usize {
        self.keys.len()
    }

    /// The first candidate for a key.
    pub(super) fn find(&self, key: &[Value]) -> u32 {
        if has_null(key) {
            return END;
        }
        self.keys.find(key).map_or(END, |i| self.ends[i].0)
    }

    /// The first candidate where there are no keys.
    pub(super) fn first(&self) -> u32 {
        if self.rows.is_empty() { END } else { 0 }
    }

    /// The candidate after this one.
    pub(super) fn after(&self, candidate: u32, keyed: bool) -> u32 {
        if keyed {
            return self.next[candidate as usize];
        }
        if (candidate as usize) + 1 < self.rows.len() {
            candidate + 1
        } else {
            END
        }
    }
}

pub(super) fn has_null(key: &[Value]) -> bool {
    key.iter().any(Value::is_null)
}
