//! Which foreign keys refer to a table: the catalog's foreign keys, the other way round.
//!
//! Owns: the map, made anew with every change of the catalog, so that a statement on a table without referrers pays one
//! look-up. Asked by: the router, when keys go; the shard, before it takes one.

use super::{Catalog, ForeignKey, Table};
use crate::plan::Assignment;
use std::collections::BTreeMap;
use std::sync::Arc;
use types::TableId;

/// By referenced table: the referring tables, and which of their foreign keys.
pub type Referrers = BTreeMap<TableId, Vec<(TableId, usize)>>;

/// Whether a change may give the column another value.
pub fn changes(table: &Table, assignments: &[Assignment], column: usize) -> bool {
    let generated = (table.columns.get(column)).is_some_and(|c| c.generated.is_some());
    generated || assignments.iter().any(|a| a.column == column)
}

impl Catalog {
    /// To be called after tables have changed.
    pub fn index_referrers(&mut self) {
        let mut referrers = Referrers::new();
        for table in self.tables.values() {
            for (n, key) in table.foreign_keys.iter().enumerate() {
                let of = referrers.entry(key.referenced).or_default();
                of.push((table.id, n));
            }
        }
        self.referrers = referrers;
    }

    /// The foreign keys that refer to a table, each with the table that has it.
    pub fn referrers(&self, table: TableId) -> impl Iterator<Item = (&Arc<Table>, &ForeignKey)> {
        let of = self.referrers.get(&table).into_iter().flatten();
        of.filter_map(|(id, n)| {
            let table = self.table(*id)?;
            Some((table, table.foreign_keys.get(*n)?))
        })
    }

    pub fn is_referenced(&self, table: TableId) -> bool {
        self.referrers.contains_key(&table)
    }

    /// Whether foreign keys begin or end at columns that are assigned, or computed of them.
    pub fn touches_keys(&self, table: &Table, assignments: &[Assignment]) -> bool {
        let changes = |c: &usize| changes(table, assignments, *c);
        let mut own = table.foreign_keys.iter();
        own.any(|k| k.columns.iter().any(changes))
            || (self.referrers(table.id)).any(|(_, k)| k.referenced_columns.iter().any(changes))
    }

    /// Whether rows refer to the table's primary key.
    pub fn is_key_referenced(&self, table: &Table) -> bool {
        self.referrers(table.id)
            .any(|(_, key)| key.index == table.primary_key_id)
    }

    /// A foreign key by its table and oid, if there still is one.
    pub fn foreign_key(&self, table: TableId, oid: u32) -> Option<(&Arc<Table>, &ForeignKey)> {
        let table = self.table(table)?;
        let key = table.foreign_keys.iter().find(|k| k.oid == oid)?;
        Some((table, key))
    }
}
