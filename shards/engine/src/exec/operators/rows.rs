//! Rows as keys: equality and hashing by SQL's rules, NULL equal to NULL as GROUP BY and DISTINCT want it.
//!
//! Owns: `RowSet`, which gives each different row a small number. Asked by: joins, grouping, DISTINCT, set operations,
//! IN (subquery). Never: counts memory by itself; its owner reserves what `bytes` says.

use crate::exec::sieve::hash_values;
use hashbrown::{DefaultHashBuilder, HashTable};
use std::cmp::Ordering;
use types::row::row_bytes;
use types::{Row, Value, order};

/// Different rows, numbered from 0 in the order of their first appearance.
#[derive(Default)]
pub(crate) struct RowSet {
    hasher: DefaultHashBuilder,
    /// Each row's hash and number.
    table: HashTable<(u64, u32)>,
    rows: Vec<Row>,
    bytes: usize,
}

/// What a table slot and a vector slot cost beside the row.
const SLOT_BYTES: usize = 24;

impl RowSet {
    /// The row's number, and whether it is new. Only a new row is copied.
    pub(crate) fn intern(&mut self, row: &[Value]) -> (usize, bool) {
        let hash = hash_row(&self.hasher, row);
        if let Some(at) = self.look_up(hash, row) {
            return (at, false);
        }
        let at = self.rows.len();
        self.rows.push(row.to_vec());
        self.bytes += self.rows[at].capacity().saturating_sub(row.len()) + SLOT_BYTES;
        self.bytes += row_bytes(&self.rows[at]);
        self.table
            .insert_unique(hash, (hash, at as u32), |(hash, _)| *hash);
        (at, true)
    }

    /// The row's number if it is there.
    pub(crate) fn find(&self, row: &[Value]) -> Option<usize> {
        self.look_up(hash_row(&self.hasher, row), row)
    }

    fn look_up(&self, hash: u64, row: &[Value]) -> Option<usize> {
        let is_it = |(h, at): &(u64, u32)| *h == hash && same(&self.rows[*at as usize], row);
        let found = self.table.find(hash, is_it);
        found.map(|(_, at)| *at as usize)
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Memory held, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn row(&self, at: usize) -> &Row {
        &self.rows[at]
    }

    pub(crate) fn into_rows(self) -> Vec<Row> {
        self.rows
    }
}

/// Equal column by column, NULL equal to NULL.
pub(crate) fn same(a: &[Value], b: &[Value]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_value(a, b))
}

pub(super) fn same_value(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Null, Value::Null) => true,
        (Value::Null, _) | (_, Value::Null) => false,
        (Value::Int4(a), Value::Int4(b)) => a == b,
        (Value::Int8(a), Value::Int8(b)) => a == b,
        _ => order::compare(a, b) == Ordering::Equal,
    }
}

fn hash_row(state: &DefaultHashBuilder, row: &[Value]) -> u64 {
    hash_values(state, row.iter())
}
