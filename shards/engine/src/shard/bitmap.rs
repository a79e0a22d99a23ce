//! Rows of a partition found by several looks at indexes together.
//!
//! Owns: the set of row keys that entries name, their unions and intersections, and reading the rows in the order of their keys.
//! Asked by: `run`. Never: decides that a row is wanted: the scan's filter is checked on every row.
//! Bounds: keys count against the run's memory; where they do not fit, all rows of the partition are read instead.
//! Source: PostgreSQL 15, `tidbitmap.c`; numbers as in Chambi et al., Better bitmap performance with Roaring bitmaps (2016).

use super::call::Reach;
use super::cursor::Cursor;
use super::route::Spans;
use super::run::Scanned;
use crate::catalog::Table;
use crate::codec::key;
use crate::exec::memory::{Memory, Reservation};
use crate::exec::operators::RowSource;
use crate::txn::{Partition, TxnRef};
use futures_util::future::LocalBoxFuture;
use roaring::RoaringTreemap;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use types::limits::BATCH_ROWS_MAX;
use types::{DataType, Result, RowBatch};

/// What a key in a set of bytes takes beside its bytes.
const KEY_BYTES: usize = 48;
/// What a number takes at most where they lie near each other; far apart they are few.
const NUMBER_BYTES: usize = 16;

/// Row keys, each once.
enum Keys {
    /// Of a primary key of one integer of so many bytes.
    Numbers(RoaringTreemap, usize),
    Bytes(BTreeSet<Box<[u8]>>),
}

impl Keys {
    fn none(table: &Table) -> Keys {
        let width = match table.types_of(&table.primary_key).as_slice() {
            [DataType::Int2] => Some(2),
            [DataType::Int4] => Some(4),
            [DataType::Int8] => Some(8),
            _ => None,
        };
        match width {
            Some(width) => Keys::Numbers(RoaringTreemap::new(), width),
            None => Keys::Bytes(BTreeSet::new()),
        }
    }

    /// What a new key takes; nothing for one that is there.
    fn add(&mut self, key: &[u8]) -> usize {
        match self {
            Keys::Numbers(numbers, width) => match number(key, *width) {
                Some(n) if numbers.insert(n) => NUMBER_BYTES,
                _ => 0,
            },
            Keys::Bytes(keys) => match keys.insert(key.into()) {
                true => key.len() + KEY_BYTES,
                false => 0,
            },
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Keys::Numbers(numbers, _) => numbers.is_empty(),
            Keys::Bytes(keys) => keys.is_empty(),
        }
    }

    /// Of both sets alike.
    fn and(&mut self, other: &Keys) {
        match (self, other) {
            (Keys::Numbers(a, _), Keys::Numbers(b, _)) => *a &= b,
            (Keys::Bytes(a), Keys::Bytes(b)) => a.retain(|key| b.contains(key)),
            // Of one table all keys are alike.
            (Keys::Numbers(..), Keys::Bytes(_)) | (Keys::Bytes(_), Keys::Numbers(..)) => {}
        }
    }

    /// Takes the first keys away, at most so many.
    fn first(&mut self, most: usize) -> Vec<Vec<u8>> {
        match self {
            Keys::Numbers(numbers, width) => {
                let some: Vec<u64> = numbers.iter().take(most).collect();
                if let Some(last) = some.last() {
                    numbers.remove_range(0..=*last);
                }
                some.into_iter().map(|n| bytes(n, *width)).collect()
            }
            Keys::Bytes(keys) => {
                let first = std::iter::from_fn(|| keys.pop_first());
                first.take(most).map(<[u8]>::into_vec).collect()
            }
        }
    }
}

/// An integer's key as a number of the same order.
fn number(key: &[u8], width: usize) -> Option<u64> {
    let (first, body) = key.split_first()?;
    if *first != key::PRESENT || body.len() != width {
        return None;
    }
    Some(body.iter().fold(0, |n, b| n << 8 | u64::from(*b)))
}

fn bytes(n: u64, width: usize) -> Vec<u8> {
    let mut out = vec![key::PRESENT];
    out.extend_from_slice(&n.to_be_bytes()[8 - width..]);
    out
}

/// What sets are made of.
struct Collector<'a> {
    p: &'a Partition,
    txn: &'a TxnRef,
    table: &'a Table,
    memory: Reservation,
}

impl Collector<'_> {
    /// Adds to `keys` what these spans have; `false` when that is too much.
    fn add<'s>(
        &'s mut self,
        spans: &'s Spans,
        keys: &'s mut Keys,
    ) -> LocalBoxFuture<'s, Result<bool>> {
        Box::pin(async move {
            match spans {
                Spans::Entries { tree, spans } => {
                    let rows = *tree == self.table.tree;
                    for span in spans {
                        let (from, upper) = (span.lower.clone(), span.upper.clone());
                        let mut cursor = Cursor::open(self.p, self.txn, *tree, from, upper).await?;
                        let mut more = true;
                        while more {
                            let mut bytes = 0;
                            more = cursor
                                .run(&mut |entry, row| {
                                    bytes += keys.add(if rows { entry } else { row });
                                    Ok(ControlFlow::Continue(()))
                                })
                                .await?;
                            if !self.memory.keep(bytes) {
                                return Ok(false);
                            }
                        }
                    }
                    Ok(true)
                }
                Spans::Or(all) => {
                    for spans in all {
                        if !self.add(spans, keys).await? {
                            return Ok(false);
                        }
                    }
                    Ok(true)
                }
                Spans::And(all) => {
                    let mut both: Option<Keys> = None;
                    for spans in all {
                        if both.as_ref().is_some_and(Keys::is_empty) {
                            break;
                        }
                        let mut own = Keys::none(self.table);
                        if !self.add(spans, &mut own).await? {
                            return Ok(false);
                        }
                        match &mut both {
                            Some(both) => both.and(&own),
                            none => *none = Some(own),
                        }
                    }
                    let both = both.unwrap_or_else(|| Keys::none(self.table));
                    let bytes = keys.union(both);
                    Ok(self.memory.keep(bytes))
                }
            }
        })
    }
}

impl Keys {
    /// What the new keys take.
    fn union(&mut self, other: Keys) -> usize {
        match (self, other) {
            (Keys::Numbers(a, _), Keys::Numbers(b, _)) => {
                let before = a.len();
                *a |= b;
                (a.len() - before) as usize * NUMBER_BYTES
            }
            (Keys::Bytes(a), Keys::Bytes(b)) => {
                let new = b.into_iter().map(|key| {
                    let bytes = key.len() + KEY_BYTES;
                    if a.insert(key) { bytes } else { 0 }
                });
                new.sum()
            }
            (Keys::Numbers(..), Keys::Bytes(_)) | (Keys::Bytes(_), Keys::Numbers(..)) => 0,
        }
    }
}

/// The rows of a scan whose access is a bitmap.
pub(super) struct Bitmapped {
    scanned: Scanned,
    spans: Option<Spans>,
    memory: Memory,
    keys: Option<(Keys, Reservation)>,
    given: u64,
}

impl Bitmapped {
    /// `spans`: nothing if no row is wanted.
    pub(super) fn new(scanned: Scanned, spans: Option<Spans>, memory: Memory) -> Bitmapped {
        Bitmapped {
            scanned,
            spans,
            memory,
            keys: None,
            given: 0,
        }
    }

    async fn collect(&mut self, spans: &Spans) -> Result<()> {
        let table = self.scanned.scan.table.clone();
        let mut keys = Keys::none(&table);
        let mut collector = Collector {
            p: &self.scanned.partition,
            txn: &self.scanned.txn,
            table: &table,
            memory: self.memory.consumer("Bitmap Heap Scan"),
        };
        if collector.add(spans, &mut keys).await? {
            self.keys = Some((keys, collector.memory));
        } else {
            self.scanned.reach = Some(Reach::All);
        }
        Ok(())
    }

    async fn batch(&mut self) -> Result<Option<RowBatch>> {
        if let Some(spans) = self.spans.take() {
            self.scanned.live()?;
            self.collect(&spans).await?;
        }
        loop {
            if let Some(batch) = self.scanned.batch().await? {
                self.given += batch.len() as u64;
                return Ok(Some(batch));
            }
            let scan = &self.scanned.scan;
            let enough = scan.limit.filter(|_| scan.partial.is_none());
            let Some((keys, _)) = self
                .keys
                .as_mut()
                .filter(|_| enough.is_none_or(|n| self.given < n))
            else {
                return Ok(None);
            };
            let first = keys.first(BATCH_ROWS_MAX);
            if first.is_empty() {
                self.keys = None;
                return Ok(None);
            }
            self.scanned.reach = Some(Reach::Keys(first));
        }
    }
}

impl RowSource for Bitmapped {
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<RowBatch>>> {
        Box::pin(self.batch())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::Value;

    #[test]
    fn integers_are_kept_as_numbers_in_the_order_of_their_keys() {
        for ty in [DataType::Int2, DataType::Int4, DataType::Int8] {
            let table = Table {
                columns: vec![crate::catalog::ColumnDef::new("a", ty, 1)],
                primary_key: vec![0],
                ..Table::default()
            };
            let mut keys = Keys::none(&table);
            let values = [3i16, -5, 0, i16::MIN, i16::MAX, 3];
            let value = |n: i16| match ty {
                DataType::Int2 => Value::Int2(n),
                DataType::Int4 => Value::Int4(n.into()),
                _ => Value::Int8(n.into()),
            };
            let key = |n: i16| {
                let mut out = Vec::new();
                key::encode(&[value(n)], &[ty], &mut out).unwrap();
                out
            };
            let sizes = values.map(|n| keys.add(&key(n)));
            assert_eq!(sizes[5], 0);
            assert!(matches!(keys, Keys::Numbers(..)));
            assert_eq!(keys.first(2), [key(i16::MIN), key(-5)]);
            assert_eq!(keys.first(9), [key(0), key(3), key(i16::MAX)]);
            assert!(keys.is_empty());
        }
    }

    #[test]
    fn sets_are_united_and_intersected() {
        let table = Table::default();
        let set = |all: &[&[u8]]| {
            let mut keys = Keys::none(&table);
            all.iter().for_each(|k| {
                keys.add(k);
            });
            keys
        };
        let mut a = set(&[b"a", b"b", b"c"]);
        a.and(&set(&[b"b", b"c", b"d"]));
        assert!(a.union(set(&[b"c", b"e"])) > 0);
        assert_eq!(a.union(set(&[b"e"])), 0);
        assert_eq!(a.first(9), [b"b".to_vec(), b"c".to_vec(), b"e".to_vec()]);
    }
}
