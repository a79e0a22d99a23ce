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
    table: HashTable<u32>,
    rows: Vec<Row>,
    bytes: usize,
}

/// What a table slot and a vector slot cost beside the row.
const SLOT_BYTES: usize = 16;

impl RowSet {
    /// The row's number, and whether it is new. Only a new row is copied.
    pub(crate) fn intern(&mut self, row: &[Value]) -> (usize, bool) {
        let hash = hash_row(&self.hasher, row);
        if let Some(&at) = self
            .table
            .find(hash, |&i| same(&self.rows[i as usize], row))
        {
            return (at as usize, false);
        }
        let at = self.rows.len();
        let (hasher, rows) = (&self.hasher, &mut self.rows);
        rows.push(row.to_vec());
        self.bytes += rows[at].capacity().saturating_sub(row.len()) + SLOT_BYTES;
        self.bytes += row_bytes(&rows[at]);
        self.table
            .insert_unique(hash, at as u32, |&i| hash_row(hasher, &rows[i as usize]));
        (at, true)
    }

    /// The row's number if it is there.
    pub(crate) fn find(&self, row: &[Value]) -> Option<usize> {
        let hash = hash_row(&self.hasher, row);
        let found = self
            .table
            .find(hash, |&i| same(&self.rows[i as usize], row));
        found.map(|&i| i as usize)
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
