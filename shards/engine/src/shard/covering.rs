//! Rows as an index's entries have them, where nothing else of them is wanted: the rows themselves are not read.
//!
//! Owns: which entries can stand for their rows, and taking the values out of them. Asked by: `scan`. An entry is seen by the
//! same transactions as what it was made from, as every change of the values writes another; so unlike PostgreSQL's this needs
//! no map of pages that all may see. Not for unique indexes, whose entries live apart from their rows.

use crate::catalog::{Index, Table};
use crate::codec::key;
use types::{DataType, Result, Row, Value};

pub struct Covering {
    width: usize,
    /// Ordinals and types of the entry's parts, and of the row's key behind them.
    parts: Vec<usize>,
    part_types: Vec<DataType>,
    key: Vec<usize>,
    key_types: Vec<DataType>,
}

impl Covering {
    /// `wanted`: by column, whether its value is.
    pub fn of(table: &Table, index: &Index, wanted: &[bool]) -> Option<Covering> {
        if !index.has_values(table, wanted) {
            return None;
        }
        // What lies otherwise is not decoded, nor is anything behind it.
        let plain = index.parts.iter().map_while(|p| p.as_in_keys());
        let parts: Vec<usize> = plain.collect();
        Some(Covering {
            width: table.columns.len(),
            part_types: table.types_of(&parts),
            parts,
            key_types: table.types_of(&table.primary_key),
            key: table.primary_key.clone(),
        })
    }

    /// The row of this entry, with NULL where a value was not wanted.
    pub fn row(&self, entry: &[u8], row_key: &[u8]) -> Result<Row> {
        let mut row = vec![Value::Null; self.width];
        let parts = key::decode(entry, &self.part_types)?;
        let key = key::decode(row_key, &self.key_types)?;
        let parts = self.parts.iter().zip(parts);
        for (column, value) in parts.chain(self.key.iter().zip(key)) {
            if let Some(slot) = row.get_mut(*column) {
                *slot = value;
            }
        }
        Ok(row)
    }
}
