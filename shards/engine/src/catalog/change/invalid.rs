//! Indexes that are not valid: made so by CREATE INDEX CONCURRENTLY, whose later steps these are.
//!
//! Owns: which plans may go on writing beside such a step. Adding an index that nobody reads, or saying that it may be read, takes
//! no lock: plans made before are right in all but that index, and who builds it waits for their transactions. Asked by: the
//! session that builds. Never: touches an entry (`router::backfill`).

use super::super::stored::Object;
use super::super::{Catalog, Index, Table};
use super::Change;
use crate::plan::ddl::BuildStep;
use std::collections::BTreeSet;
use std::sync::Arc;
use types::{Error, Result, SqlState, TableId};

/// 42704: it was dropped while it was built.
pub fn gone(index: TableId) -> Error {
    Error::new(
        SqlState::UNDEFINED_OBJECT,
        format!("index with OID {index} was dropped while it was built"),
    )
}

impl Change {
    /// As `put`, for a change that leaves plans made before right enough to write.
    pub(super) fn put_admitting(&mut self, table: Table) -> Arc<Table> {
        let admits = match table.admits {
            0 => table.since,
            earlier => earlier,
        };
        let table = self.put(table);
        let table = Arc::new(Table {
            admits,
            ..Table::clone(&table)
        });
        self.catalog.tables.insert(table.id, table.clone());
        table
    }

    pub(super) fn index_build(
        &mut self,
        table: TableId,
        index: TableId,
        step: BuildStep,
    ) -> Result<()> {
        self.tag = "CREATE INDEX";
        let Some(old) = self.catalog.tables.get(&table).cloned() else {
            return Err(gone(index));
        };
        let is = |i: &&Arc<Index>| i.id == index;
        let Some(found) = old.indexes.iter().find(is) else {
            return Err(gone(index));
        };
        let mut next = Table::clone(&old);
        match step {
            // The definition is the same; after another change of it no older plan is admitted anyway.
            BuildStep::Known { since } => {
                if old.admits > 0 && old.admits < since {
                    next.admits = since;
                    self.touched(Object::Table(table));
                    self.catalog.tables.insert(table, Arc::new(next));
                }
            }
            BuildStep::Valid if found.invalid => {
                for slot in next.indexes.iter_mut().filter(|i| i.id == index) {
                    Arc::make_mut(slot).invalid = false;
                }
                self.put_admitting(next);
            }
            BuildStep::Valid => {}
        }
        Ok(())
    }

    /// What has to be stored of indexes that are not valid any more, or are now.
    pub(super) fn tell_invalid(&mut self, before: &Catalog) {
        let of = |catalog: &Catalog, table: &TableId| -> BTreeSet<TableId> {
            let table = catalog.tables.get(table).into_iter();
            let invalid = table.flat_map(|t| &t.indexes).filter(|i| i.invalid);
            invalid.map(|i| i.id).collect()
        };
        let mut different = Vec::new();
        for object in &self.changed {
            if let Object::Table(table) = object {
                let (was, is) = (of(before, table), of(&self.catalog, table));
                different.extend(was.symmetric_difference(&is).copied());
            }
        }
        for index in different {
            self.touched(Object::InvalidIndex(index));
        }
    }
}
