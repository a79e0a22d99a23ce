//! The kept rows of a join, found by their keys.
//!
//! Owns: the rows, which of them have matched, and chains of rows with the same key in input order. Asked by: `pass`.
//! A key that is one integer is in the hash table itself; else one that is columns of its row is looked at there, and one that is
//! computed is kept beside, once. Without keys every row is a candidate. A row whose key has a NULL is in no chain.
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
    slots: HashTable<Slot>,
    /// Some key is not one integer.
    by_hash: bool,
    /// First and last row of each key.
    ends: Vec<(u32, u32)>,
    /// Next row of the same key.
    next: Vec<u32>,
}

/// A key.
#[derive(Clone, Copy)]
struct Slot {
    /// The integer that it is, or its hash.
    word: u64,
    number: u32,
    /// Its first row.
    first: u32,
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
        let (hash, word, found) = match (&columns, &key) {
            (Some(columns), _) => self.searched(columns.iter().map(|i| &row[*i])),
            (None, key) => self.searched(key.iter().flatten()),
        };
        if let Some(number) = found {
            let last = std::mem::replace(&mut self.ends[number].1, at);
            self.next[last as usize] = at;
            return false;
        }
        let number = self.ends.len() as u32;
        self.ends.push((at, at));
        self.computed.extend(key);
        let slot = Slot {
            word,
            number,
            first: at,
        };
        let (by_hash, hasher) = (self.by_hash, &self.hasher);
        self.slots
            .insert_unique(hash, slot, |slot| hash_of(slot, by_hash, hasher));
        true
    }

    /// A new row's key: its hash, what its slot has of it, and its number if it is there.
    fn searched<'v>(
        &mut self,
        key: impl Iterator<Item = &'v Value> + Clone,
    ) -> (u64, u64, Option<usize>) {
        let whole = integer(key.clone());
        if whole.is_none() && !self.by_hash {
            self.slots_by_hash();
        }
        let (hash, found) = self.search(key);
        let word = match whole {
            Some(i) if !self.by_hash => i as u64,
            _ => hash,
        };
        (hash, word, found.map(|slot| slot.number as usize))
    }

    /// From now on keys are of other kinds too.
    fn slots_by_hash(&mut self) {
        self.by_hash = true;
        let slots: Vec<Slot> = self.slots.drain().collect();
        for mut slot in slots {
            slot.word = hash_of(&slot, false, &self.hasher);
            self.slots.insert_unique(slot.word, slot, |slot| slot.word);
        }
    }

    /// A key's hash, and where it is if it is there.
    #[inline]
    fn search<'v>(&self, key: impl Iterator<Item = &'v Value> + Clone) -> (u64, Option<&Slot>) {
        let hash = hash_values(&self.hasher, key.clone());
        if !self.by_hash {
            let found = match integer(key.clone()) {
                Some(i) => self.slots.find(hash, |slot| slot.word == i as u64),
                None => {
                    let one = |slot: &Slot| [Value::Int8(slot.word as i64)];
                    let same = |slot: &Slot| pairwise(key.clone(), one(slot).iter());
                    self.slots.find(hash, same)
                }
            };
            return (hash, found);
        }
        let same = |number: u32| {
            let own = match &self.columns {
                None => return pairwise(key.clone(), self.computed[number as usize].iter()),
                Some(columns) => columns,
            };
            let row = &self.rows[self.ends[number as usize].0 as usize];
            pairwise(key.clone(), own.iter().map(|i| &row[*i]))
        };
        let found = self
            .slots
            .find(hash, |slot| slot.word == hash && same(slot.number));
        (hash, found)
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
        let hash = |slot: &Slot| hash_of(slot, self.by_hash, &self.hasher);
        let hashes = self.slots.iter().map(hash);
        Keys::of(&self.hasher, self.keys(), hashes)
    }

    /// The first candidate for a key.
    pub(super) fn find<'v>(&self, key: impl Iterator<Item = &'v Value> + Clone) -> u32 {
        if key.clone().any(Value::is_null) {
            return END;
        }
        self.search(key).1.map_or(END, |slot| slot.first)
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

/// A key that is one integer.
#[inline]
fn integer<'v>(mut key: impl Iterator<Item = &'v Value>) -> Option<i64> {
    let i = match key.next()? {
        Value::Int2(i) => i64::from(*i),
        Value::Int4(i) => i64::from(*i),
        Value::Int8(i) => *i,
        _ => return None,
    };
    key.next().is_none().then_some(i)
}

/// As `hash_values` has it.
fn hash_of(slot: &Slot, by_hash: bool, hasher: &DefaultHashBuilder) -> u64 {
    match by_hash {
        true => slot.word,
        false => hash_values(hasher, [Value::Int8(slot.word as i64)].iter()),
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
