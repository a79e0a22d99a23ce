//! The order of rows in memory by their keys.
//!
//! Owns: a stable merge sort over places instead of rows. A place has the number of its row and a word that orders as the row's first key
//! does, as far as 64 bits go; the keys themselves are looked at where words are equal. Asked by: `sort`, and `kept` for ORDER BY inside
//! aggregates. Never: holds its shard for longer than some comparisons: it sorts `CHUNK` places, merges as many, and yields.
//! Bounds: `PLACE_BYTES` for each row, beside the rows. Source: abbreviated keys, PostgreSQL 15 `sortsupport.h`.

use super::scope::Scope;
use super::sort::{Direction, compare_keys};
use std::cmp::Ordering;
use types::{Result, Value};

/// Places sorted at once, and merged between two yields.
const CHUNK: usize = 1024;

/// Two lists of places: those merged, and what they are merged into.
pub(crate) const PLACE_BYTES: usize = 2 * size_of::<Place>();

#[derive(Clone, Copy)]
struct Place {
    word: u64,
    row: u32,
}

/// What the words of one column stand for: those of different kinds do not order as the values do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Integer,
    Float,
    Numeric,
    Date,
    Moment,
    Time,
    Bool,
    Text,
    Bytes,
    Uuid,
}

impl Kind {
    /// Different values have different words.
    fn is_whole(self) -> bool {
        !matches!(self, Kind::Numeric | Kind::Text | Kind::Bytes | Kind::Uuid)
    }
}

/// A value's kind, and a word that orders as values of this kind do.
fn word(value: &Value) -> Option<(Kind, u64)> {
    let signed = |i: i64| (i as u64) ^ (1 << 63);
    Some(match value {
        Value::Int2(i) => (Kind::Integer, signed(i64::from(*i))),
        Value::Int4(i) => (Kind::Integer, signed(i64::from(*i))),
        Value::Int8(i) => (Kind::Integer, signed(*i)),
        Value::Float4(f) => (Kind::Float, float(f64::from(*f))),
        Value::Float8(f) => (Kind::Float, float(*f)),
        // The nearest float of the greater of two is not the lesser.
        Value::Numeric(n) => (Kind::Numeric, float(n.to_f64())),
        Value::Date(d) => (Kind::Date, signed(i64::from(*d))),
        Value::Timestamp(t) | Value::Timestamptz(t) => (Kind::Moment, signed(*t)),
        Value::Time(t) => (Kind::Time, signed(*t)),
        Value::Bool(b) => (Kind::Bool, u64::from(*b)),
        Value::Text(s) => (Kind::Text, beginning(s.as_bytes())),
        Value::Bytea(b) => (Kind::Bytes, beginning(b)),
        Value::Uuid(u) => (Kind::Uuid, beginning(u.as_bytes())),
        _ => return None,
    })
}

/// NaN is above all, and -0 is 0.
fn float(f: f64) -> u64 {
    if f.is_nan() {
        return u64::MAX;
    }
    let bits = (f + 0.0).to_bits();
    match bits >> 63 {
        0 => bits | 1 << 63,
        _ => !bits,
    }
}

/// The first eight bytes; zeros behind a shorter text.
fn beginning(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    let n = bytes.len().min(8);
    word[..n].copy_from_slice(&bytes[..n]);
    u64::from_be_bytes(word)
}

/// How much of the order the words say.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Says {
    /// Rows of one word have the same keys.
    All,
    /// They have the same first key.
    First,
    /// Their keys have to be compared.
    Some,
}

/// The rows' places, in their order.
async fn places<T>(
    rows: &[T],
    keys: fn(&T) -> &[Value],
    directions: &[Direction],
) -> (Vec<Place>, Says) {
    let numbered = || (0..rows.len() as u32).map(|row| Place { word: 0, row });
    let Some((descending, nulls_first)) = directions.first().map(|d| d.parts()) else {
        return (numbered().collect(), Says::Some);
    };
    let mut kind = None;
    let mut nulls = false;
    let mut out = Vec::with_capacity(rows.len());
    for (place, row) in numbered().zip(rows) {
        if place.row.is_multiple_of(CHUNK as u32) {
            runtime::yield_if_needed().await;
        }
        let first = keys(row).first();
        let word = match first.map(|v| (v.is_null(), word(v))) {
            Some((true, _)) => {
                nulls = true;
                if nulls_first { 0 } else { u64::MAX }
            }
            Some((false, Some((of, word)))) if *kind.get_or_insert(of) == of => match descending {
                true => !word,
                false => word,
            },
            // Nothing is known of all of them then.
            _ => return (numbered().collect(), Says::Some),
        };
        out.push(Place { word, ..place });
    }
    // A NULL has the word of a value.
    let says = match kind.is_none_or(Kind::is_whole) && !nulls {
        true if directions.len() == 1 => Says::All,
        true => Says::First,
        false => Says::Some,
    };
    (out, says)
}

/// Sorted; rows with equal keys stay as they came.
pub(crate) async fn sort_by_keys<T>(
    held: Vec<T>,
    keys: fn(&T) -> &[Value],
    directions: &[Direction],
    scope: &Scope,
) -> Result<Vec<T>> {
    let (mut list, says) = places(&held, keys, directions).await;
    let compare = |a: &Place, b: &Place| {
        let same = || {
            let (x, y) = (keys(&held[a.row as usize]), keys(&held[b.row as usize]));
            match says {
                Says::All => Ordering::Equal,
                Says::First => compare_keys(&x[1..], &y[1..], &directions[1..]),
                Says::Some => compare_keys(x, y, directions),
            }
        };
        let by_word = a.word.cmp(&b.word);
        by_word.then_with(same).then(a.row.cmp(&b.row))
    };
    for chunk in list.chunks_mut(CHUNK) {
        chunk.sort_unstable_by(compare);
        runtime::yield_if_needed().await;
    }
    let mut width = CHUNK;
    let mut spare = Vec::new();
    while width < list.len() {
        (scope.exec.check)()?;
        spare.clear();
        spare.reserve_exact(list.len());
        for pair in list.chunks(2 * width) {
            let (mut a, mut b) = pair.split_at(width.min(pair.len()));
            while !a.is_empty() || !b.is_empty() {
                merge_some(&mut a, &mut b, &mut spare, &compare);
                runtime::yield_if_needed().await;
            }
        }
        std::mem::swap(&mut list, &mut spare);
        width *= 2;
    }
    drop(spare);
    let mut rows: Vec<Option<T>> = held.into_iter().map(Some).collect();
    let mut out = Vec::with_capacity(rows.len());
    for places in list.chunks(CHUNK) {
        let taken = places.iter().map(|p| rows[p.row as usize].take());
        out.extend(taken.flatten());
        runtime::yield_if_needed().await;
    }
    Ok(out)
}

/// The next `CHUNK` places of two sorted lists.
fn merge_some<'p>(
    a: &mut &'p [Place],
    b: &mut &'p [Place],
    out: &mut Vec<Place>,
    compare: &impl Fn(&Place, &Place) -> Ordering,
) {
    for _ in 0..CHUNK {
        let from = match (a.first(), b.first()) {
            (Some(x), Some(y)) if compare(x, y).is_le() => &mut *a,
            (Some(_), None) => &mut *a,
            (_, Some(_)) => &mut *b,
            (None, None) => return,
        };
        if let Some((first, rest)) = from.split_first() {
            out.push(*first);
            *from = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::order;

    #[test]
    fn words_order_as_values_do() {
        let floats = [
            f64::NEG_INFINITY,
            -1.5,
            -f64::MIN_POSITIVE,
            -0.0,
            0.0,
            1e-300,
            2.0,
            f64::INFINITY,
            f64::NAN,
        ];
        let ints = [i64::MIN, -7, -1, 0, 1, 300, i64::MAX];
        let texts = ["", "a", "a\0", "ab", "abcdefgh", "abcdefghi", "b", "é"];
        let numbers = [
            "-1e40",
            "-1.5",
            "0",
            "1.5",
            "1.50",
            "1e400",
            "9007199254740993",
            "NaN",
        ];
        let lists: [Vec<Value>; 6] = [
            numbers.map(|n| Value::Numeric(n.parse().unwrap())).to_vec(),
            floats.map(Value::Float8).to_vec(),
            ints.map(Value::Int8).to_vec(),
            texts.map(Value::from).to_vec(),
            ints.map(Value::Timestamptz).to_vec(),
            [i32::MIN, -1, 0, i32::MAX].map(Value::Date).to_vec(),
        ];
        for list in &lists {
            for (a, b) in list.iter().flat_map(|a| list.iter().map(move |b| (a, b))) {
                let (x, y) = (word(a).unwrap(), word(b).unwrap());
                assert!(x.0 == y.0);
                let wanted = order::compare(a, b);
                match x.0.is_whole() {
                    true => assert_eq!(x.1.cmp(&y.1), wanted, "{a:?} {b:?}"),
                    false => assert!(x.1 == y.1 || x.1.cmp(&y.1) == wanted, "{a:?} {b:?}"),
                }
            }
        }
    }

    #[test]
    fn values_of_several_kinds_and_null_are_compared_themselves() {
        let says = |rows: &[Vec<Value>], keys: usize| {
            let (rows, directions) = (rows.to_vec(), vec![Direction::ASCENDING; keys]);
            runtime::block_on(async move { places(&rows, Vec::as_slice, &directions).await.1 })
        };
        let one = |v: Value| vec![v];
        let both = [one(Value::Int8(1)), one(Value::Float8(0.5))];
        assert!(says(&both, 1) == Says::Some);
        let null = [one(Value::Int8(i64::MAX)), one(Value::Null)];
        assert!(says(&null, 1) == Says::Some);
        let ints = [one(Value::Int8(2)), one(Value::Int4(1))];
        assert!(says(&ints, 1) == Says::All);
        assert!(says(&[vec![Value::Int8(2), Value::Null]], 2) == Says::First);
    }
}
