//! The kept rows of a join, found by their keys.
//!
//! Owns: the rows, which of them have matched, and chains of rows with the same key in input order. Asked by: `pass`.
//! A key that is columns of its row is looked at there; one that is computed is kept beside, once. Without keys every row is a
//! candidate. A row whose key has a NULL is in no chain.
//! Bounds: `cost` says what a row adds; the caller reserves it.

use super::super::rows::same_value;
use crate::exec::sieve::{Keys, hash_values};
use hashbrown::{DefaultHashBuilder, HashTable};
use std::rc::Rc;
use types::row::row_bytes;
use types::{Row, Value};

/// No further row in a chain.
pub(super) const END: u32 = u32::MAX;

#[derive(Default)]
pub(super) struct Table {
    pub(super) rows: Vec<Row>,
    pub(super) matched: Vec<bool>,
    /// Which columns of a row are its key.
    columns: Option<Rc<[usize]>>,
    /// By number: keys that are not.
    computed: Vec<Row>,
    hasher: DefaultHashBuilder,
    /// Each key's hash and number.
    numbers: HashTable<(u64, u32)>,
    /// First and last row of each key.
    ends: Vec<(u32, u32)>,
    /// Next row of the same key.
    next: Vec<u32>,
}

/// A row's place in the lists beside itself.
const ROW_BYTES: usize = 8;
/// A key's place in the lists beside itself.
const KEY_BYTES: usize = 32;

impl Table {
    pub(super) fn of(columns: Option<Rc<[usize]>>) -> Table {
        Table {
            columns,
            ..Table::default()
        }
    }

    /// What the row takes at most; how much less it is when its key is not new.
    pub(super) fn cost(&self, row: &Row, key: Option<&Row>) -> (usize, usize) {
        let key = match &self.columns {
            Some(_) => KEY_BYTES,
            None => key.map_or(0, |k| row_bytes(k) + KEY_BYTES),
        };
        (row_bytes(row) + ROW_BYTES + key, key)
    }

    /// A key is wanted, and this one has a NULL.
    pub(super) fn lacks_key(&self, row: &[Value], key: Option<&[Value]>) -> bool {
        match &self.columns {
            Some(columns) => columns.iter().any(|i| row[*i].is_null()),
            None => key.is_some_and(has_null),
        }
    }

    /// With the key where it is not columns of the row. Whether it was new.
    pub(super) fn push(&mut self, row: Row, key: Option<Row>) -> bool {
        let at = self.rows.len() as u32;
        let new = self.place(at, &row, key);
        self.rows.push(row);
        self.matched.push(false);
        self.next.push(END);
        new
    }

    fn place(&mut self, at: u32, row: &[Value], key: Option<Row>) -> bool {
        let (columns, keyed) = (self.columns.clone(), key.is_some());
        if self.lacks_key(row, key.as_deref()) || !(keyed || columns.is_some()) {
            return false;
        }
        let (hash, found) = match (&columns, &key) {
            (Some(columns), _) => self.search(columns.iter().map(|i| &row[*i])),
            (None, key) => self.search(key.iter().flatten()),
        };
        if let Some(number) = found {
            let last = std::mem::replace(&mut self.ends[number].1, at);
            self.next[last as usize] = at;
            return false;
        }
        let number = self.ends.len() as u32;
        self.ends.push((at, at));
        self.computed.extend(key);
        self.numbers
            .insert_unique(hash, (hash, number), |(hash, _)| *hash);
        true
    }

    /// A key's hash, and its number if it is there.
    fn search<'v>(&self, key: impl Iterator<Item = &'v Value> + Clone) -> (u64, Option<usize>) {
        let hash = hash_values(&self.hasher, key.clone());
        let same = |number: u32| {
            let own = match &self.columns {
                None => return pairwise(key.clone(), self.computed[number as usize].iter()),
                Some(columns) => columns,
            };
            let row = &self.rows[self.ends[number as usize].0 as usize];
            pairwise(key.clone(), own.iter().map(|i| &row[*i]))
        };
        let found = self
            .numbers
            .find(hash, |(other, number)| *other == hash && same(*number));
        (hash, found.map(|(_, number)| *number as usize))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Different keys.
    pub(super) fn keys(&self) -> usize {
        self.ends.len()
    }

    /// Its keys, for where the streaming rows come from, if they are not too many.
    pub(super) fn sieve(&self) -> Option<Keys> {
        let hashes = self.numbers.iter().map(|(hash, _)| *hash);
        Keys::of(&self.hasher, self.keys(), hashes)
    }

    /// The first candidate for a key.
    pub(super) fn find<'v>(&self, key: impl Iterator<Item = &'v Value> + Clone) -> u32 {
        if key.clone().any(Value::is_null) {
            return END;
        }
        self.search(key).1.map_or(END, |i| self.ends[i].0)
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

fn pairwise<'a, 'b>(
    a: impl Iterator<Item = &'a Value>,
    b: impl Iterator<Item = &'b Value>,
) -> bool {
    a.zip(b).all(|(a, b)| same_value(a, b))
}

pub(super) fn has_null(key: &[Value]) -> bool {
    key.iter().any(Value::is_null)
}
