//! Rows, batches of them, and the description of their columns.

use crate::{DataType, Value};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The values of one row.
pub type Row = Vec<Value>;

/// What operators and shards pass: a bounded run of rows. Lives on one core at a time; moved, never shared.
#[derive(Debug, Default)]
pub struct RowBatch {
    pub rows: Vec<Row>,
    /// Approximate memory of `rows`, what memory budgets count.
    pub bytes: usize,
}

impl RowBatch {
    pub fn new() -> RowBatch {
        RowBatch::default()
    }

    pub fn push(&mut self, row: Row) {
        self.bytes += row_bytes(&row);
        self.rows.push(row);
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }
}

impl From<Vec<Row>> for RowBatch {
    fn from(rows: Vec<Row>) -> RowBatch {
        let bytes = rows.iter().map(row_bytes).sum();
        RowBatch { rows, bytes }
    }
}

/// Approximate memory of one row in bytes.
pub fn row_bytes(row: &Row) -> usize {
    size_of::<Row>() + row.iter().map(Value::memory).sum::<usize>()
}

/// One column of a result or of a table's row, as RowDescription describes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Column {
    pub name: String,
    pub ty: DataType,
    /// PostgreSQL's atttypmod: -1 for none; varchar(n)/char(n): n + 4; numeric(p,s): ((p << 16) | s) + 4.
    pub typmod: i32,
    /// `pg_class` oid of the table the column comes from; 0 when it is computed.
    pub table: u32,
    /// 1-based `attnum` in that table; 0 when it is computed.
    pub attnum: i16,
}

impl Column {
    pub fn new(name: impl Into<String>, ty: DataType) -> Column {
        Column {
            name: name.into(),
            ty,
            typmod: -1,
            table: 0,
            attnum: 0,
        }
    }
}

pub type Schema = Arc<Vec<Column>>;
