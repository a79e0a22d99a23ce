//! In which partition a row is: by the hash of its key, or of those columns of the key that PARTITION BY HASH names.
//!
//! Asked by: whoever stores or looks for a row. Never: places a row without a key, which stays where it came in.
//! The hash is `codec::key::partition`, of the values as a key has them; part of the disk format.

use super::Table;
use crate::codec::key;
use types::{PartitionId, Result, Row, Value};

impl Table {
    /// Columns whose values say where a row is.
    pub fn placed_by(&self) -> &[usize] {
        match self.placement.is_empty() {
            true => &self.primary_key,
            false => &self.placement,
        }
    }

    /// Whether equal values in the first of these columns, one for each of `prefix`, place a row.
    pub fn is_placed_by<T>(&self, columns: &[usize], prefix: &[T]) -> bool {
        let given = columns.get(..prefix.len()).unwrap_or_default();
        self.has_key() && self.placed_by().iter().all(|c| given.contains(c))
    }

    /// Of the row with this key, which is encoded in `bytes`.
    pub fn partition_of_key(&self, bytes: &[u8], partitions: u16) -> Result<PartitionId> {
        if self.placement.is_empty() {
            return Ok(key::partition(bytes, partitions));
        }
        let values = key::decode(bytes, &self.types_of(&self.primary_key))?;
        let known = |column| place(&self.primary_key, column).and_then(|at| values.get(at));
        let found = self.partition_if_known(known, partitions)?;
        // Its columns are all in the key.
        Ok(found.unwrap_or(PartitionId(0)))
    }

    /// Of a row of a table with a key.
    pub fn partition_of_row(&self, row: &Row, partitions: u16) -> Result<PartitionId> {
        let found = self.partition_if_known(|column| row.get(column), partitions)?;
        Ok(found.unwrap_or(PartitionId(0)))
    }

    /// Of all rows with these values in these columns, if that is one.
    pub fn partition_with(
        &self,
        columns: &[usize],
        values: &[Value],
        partitions: u16,
    ) -> Result<Option<PartitionId>> {
        let known = |column| place(columns, column).and_then(|at| values.get(at));
        self.partition_if_known(known, partitions)
    }

    /// Of all rows with these values in the columns of `placed_by`; `None` of a table whose rows are not placed.
    pub fn partition_placed(
        &self,
        values: &[Value],
        partitions: u16,
    ) -> Result<Option<PartitionId>> {
        match self.has_key() {
            true => self.partition_with(self.placed_by(), values, partitions),
            false => Ok(None),
        }
    }

    fn partition_if_known<'v>(
        &self,
        known: impl Fn(usize) -> Option<&'v Value>,
        partitions: u16,
    ) -> Result<Option<PartitionId>> {
        let by = self.placed_by();
        let values: Option<Row> = by.iter().map(|c| known(*c).cloned()).collect();
        let Some(values) = values.filter(|v| !v.is_empty()) else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        key::encode(&values, &self.types_of(by), &mut bytes)?;
        Ok(Some(key::partition(&bytes, partitions)))
    }
}

fn place(columns: &[usize], column: usize) -> Option<usize> {
    columns.iter().position(|c| *c == column)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::ColumnDef;
    use types::DataType;

    fn table(placement: Vec<usize>) -> Table {
        let columns = ["a", "b", "c"];
        let columns = columns.map(|name| ColumnDef::new(name, DataType::Int4, 1));
        Table {
            columns: columns.to_vec(),
            primary_key: vec![2, 0],
            placement,
            ..Table::default()
        }
    }

    fn row(a: i32, c: i32) -> Row {
        vec![Value::Int4(a), Value::Null, Value::Int4(c)]
    }

    fn key_of(table: &Table, row: &Row) -> Vec<u8> {
        crate::shard::entries::row_key(table, row).unwrap()
    }

    #[test]
    fn a_key_and_its_row_are_in_the_same_partition() {
        for table in [
            table(vec![]),
            table(vec![0]),
            table(vec![2]),
            table(vec![0, 2]),
        ] {
            for n in 0..100 {
                let row = row(n, n * 7);
                let by_key = table.partition_of_key(&key_of(&table, &row), 8).unwrap();
                assert_eq!(table.partition_of_row(&row, 8).unwrap(), by_key);
            }
        }
    }

    #[test]
    fn rows_that_agree_in_what_places_them_live_together() {
        let table = table(vec![0]);
        let home = table.partition_of_row(&row(5, 0), 16).unwrap();
        for c in 0..100 {
            assert_eq!(table.partition_of_row(&row(5, c), 16).unwrap(), home);
        }
        let known = table.partition_with(&[0], &[Value::Int4(5)], 16).unwrap();
        assert_eq!(known, Some(home));
        let other = table.partition_with(&[2], &[Value::Int4(5)], 16).unwrap();
        assert_eq!(other, None);
        let homes = (0..100).map(|a| table.partition_of_row(&row(a, 0), 16).unwrap());
        assert!(homes.collect::<std::collections::BTreeSet<_>>().len() > 8);
    }

    #[test]
    fn the_whole_key_places_what_names_no_columns() {
        let table = table(vec![]);
        let row = row(3, 4);
        let known = table.partition_with(&[2, 0], &[row[2].clone(), row[0].clone()], 8);
        let bytes = key_of(&table, &row);
        assert_eq!(known.unwrap(), Some(key::partition(&bytes, 8)));
        assert_eq!(table.partition_with(&[2], &row[2..], 8).unwrap(), None);
    }
}
