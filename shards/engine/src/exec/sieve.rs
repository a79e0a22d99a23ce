//! What the keys of a join's kept rows are, told to where the other input's rows come from.
//!
//! Owns: a set of hashes in which a key that was put in is always found, and another one seldom (a Bloom filter whose bits for a
//! key are in one word). Made by: `hash_join`, once it has its kept rows, if rows without a match are of no use. Asked by:
//! `fragment`, in the partitions, so that rows that match nothing are neither read whole nor sent. Never: decides that rows match;
//! the join compares keys all the same.
//! Bounds: `WORDS_MAX` words; more than `KEYS_MAX` keys have no sieve.
//! Source: Putze, Sanders, Singler, Cache-, Hash- and Space-Efficient Bloom Filters (2007).

use hashbrown::DefaultHashBuilder;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use types::{Value, order};

/// 128 KiB.
const WORDS_MAX: usize = 16 << 10;
/// Keys a word where there is room; `KEYS_MAX` of them have twice as many.
const KEYS_PER_WORD: usize = 4;
const KEYS_MAX: usize = WORDS_MAX * KEYS_PER_WORD * 2;

/// The keys that matter, and the table's columns that have to have one of them.
#[derive(Clone, Debug)]
pub struct Sieve {
    pub columns: Vec<usize>,
    pub keys: Arc<Keys>,
}

pub struct Keys {
    hasher: DefaultHashBuilder,
    words: Vec<u64>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} words", self.words.len())
    }
}

impl Keys {
    /// Of `count` keys, hashed by `hash_values`.
    pub(crate) fn of(
        hasher: &DefaultHashBuilder,
        count: usize,
        hashes: impl Iterator<Item = u64>,
    ) -> Option<Keys> {
        if count > KEYS_MAX {
            return None;
        }
        let words = count.div_ceil(KEYS_PER_WORD).next_power_of_two();
        let mut keys = Keys {
            hasher: hasher.clone(),
            words: vec![0; words.min(WORDS_MAX)],
        };
        for hash in hashes {
            let (at, bits) = keys.place(hash);
            keys.words[at] |= bits;
        }
        Some(keys)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.words.len() * 8
    }

    /// Whether the key may be one of them; one with a NULL is none.
    pub(crate) fn may_have<'v>(&self, key: impl Iterator<Item = &'v Value> + Clone) -> bool {
        if key.clone().any(Value::is_null) {
            return false;
        }
        let (at, bits) = self.place(hash_values(&self.hasher, key));
        self.words[at] & bits == bits
    }

    /// As `may_have`, of a key that is one integer.
    #[inline]
    pub(crate) fn may_have_int(&self, key: i64) -> bool {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_i64(key);
        let (at, bits) = self.place(hasher.finish());
        self.words[at] & bits == bits
    }

    /// Four bits in a word.
    fn place(&self, hash: u64) -> (usize, u64) {
        let bit = |shift: u32| 1u64 << (hash >> shift & 63);
        let at = (hash >> 32) as usize & (self.words.len() - 1);
        (at, bit(0) | bit(6) | bit(12) | bit(18))
    }
}

/// Values that compare equal have equal hashes, across the number types too.
pub(crate) fn hash_values<'v>(
    state: &DefaultHashBuilder,
    values: impl Iterator<Item = &'v Value>,
) -> u64 {
    let mut hasher = state.build_hasher();
    for value in values {
        match value {
            Value::Null => hasher.write_u8(0),
            // As `order::hash` has them, of any width.
            Value::Int4(v) => hasher.write_i64(i64::from(*v)),
            Value::Int8(v) => hasher.write_i64(*v),
            value => order::hash(value, &mut hasher),
        }
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_found_and_few_others_are() {
        for count in [1usize, 100, 20_000, KEYS_MAX] {
            let hasher = DefaultHashBuilder::default();
            let key = |n: usize| [Value::Int8(n as i64 * 7), Value::from("k")];
            let hashes = (0..count).map(|n| hash_values(&hasher, key(n).iter()));
            let keys = Keys::of(&hasher, count, hashes).unwrap();
            let narrower = |n: usize| [Value::Int4(n as i32 * 7), Value::from("k")];
            assert!((0..count).all(|n| keys.may_have(narrower(n).iter())));
            let ints = (0..count).map(|n| hash_values(&hasher, [Value::Int4(n as i32)].iter()));
            let ints = Keys::of(&hasher, count, ints).unwrap();
            assert!((0..count).all(|n| ints.may_have_int(n as i64)));
            let others = (count..count + 10_000).filter(|n| keys.may_have(key(*n).iter()));
            assert!(others.count() < 2_000, "{count}");
            assert!(!keys.may_have([Value::Null, Value::from("k")].iter()));
        }
        let hasher = DefaultHashBuilder::default();
        assert!(Keys::of(&hasher, KEYS_MAX + 1, std::iter::empty()).is_none());
    }
}
