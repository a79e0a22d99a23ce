//! CREATE TABLE, its keys and indexes, TRUNCATE.

use super::names::choose;
use super::{Change, Work, taken};
use crate::catalog::objects::CommentKey;
use crate::catalog::statistics::Statistics;
use crate::catalog::stored::Object;
use crate::catalog::system::{class_oid, part_names};
use crate::catalog::{Index, KeyPart, PartOf, Sequence, Table, TableKind};
use crate::plan::Key;
use crate::plan::ddl::{CreateTable, NewIndex, QualifiedName};
use crate::shard::call::stale;
use std::sync::Arc;
use types::{DataType, Error, Result, SqlState, TableId, limits};

impl Change {
    pub(super) fn create_table(&mut self, def: &CreateTable) -> Result<()> {
        self.tag = match (&def.materialized, def.filled) {
            (Some(_), _) => "CREATE MATERIALIZED VIEW",
            (None, true) => "CREATE TABLE AS",
            (None, false) => "CREATE TABLE",
        };
        self.known_schema(&def.schema)?;
        if self.is_taken(&def.schema, &def.name) {
            return self.exists(&def.name, def.if_not_exists);
        }
        if def.columns.len() > limits::COLUMNS_MAX {
            return Err(Error::new(
                SqlState::TOO_MANY_COLUMNS,
                format!("tables can have at most {} columns", limits::COLUMNS_MAX),
            ));
        }
        let id = self.oid();
        let tree = self.tree();
        let mut table = Table {
            id: TableId(id),
            schema: def.schema.clone(),
            name: def.name.clone(),
            kind: match (&def.materialized, def.temporary) {
                (Some((query, populated)), _) => TableKind::Materialized {
                    query: query.clone(),
                    populated: *populated,
                },
                (None, Some(on_commit)) => TableKind::Temporary(on_commit),
                (None, None) => TableKind::Ordinary,
            },
            tree,
            columns: def.columns.clone(),
            checks: def.checks.clone(),
            placement: def.placement.clone(),
            ..Table::default()
        };
        for sequence in &def.sequences {
            self.own_sequence(&mut table, sequence)?;
        }
        if let Some(key) = &def.primary_key {
            self.set_primary_key(&mut table, key)?;
        }
        for key in &def.uniques {
            let index = self.unique_index(&table, key)?;
            table.indexes.push(Arc::new(index));
        }
        for new in &def.indexes {
            let index = self.index(&table, new)?;
            table.indexes.push(Arc::new(index));
        }
        for spec in &def.foreign_keys {
            self.add_foreign_key(&mut table, spec)?;
        }
        for (ordinal, text) in &def.comments {
            let key = CommentKey {
                class: class_oid("pg_class"),
                object: id,
                column: *ordinal as i32 + 1,
            };
            self.catalog.comments.insert(key, text.as_str().into());
            self.touched(Object::Comment(key));
        }
        let filled = def.filled || def.materialized.as_ref().is_some_and(|(_, rows)| *rows);
        let table = self.put(table);
        self.fills = filled.then_some(table);
        Ok(())
    }

    /// `later`: it gets its entries after the change has committed, and is not valid until then.
    pub(super) fn create_index(
        &mut self,
        table: &QualifiedName,
        since: u64,
        new: &NewIndex,
        (if_not_exists, later): (bool, bool),
    ) -> Result<()> {
        self.tag = "CREATE INDEX";
        let table = self.existing(table)?;
        if let Some(name) = &new.name
            && self.is_taken(&table.schema, name)
        {
            return self.exists(name, if_not_exists);
        }
        if table.since != since {
            return Err(stale(&table));
        }
        let mut index = self.index(&table, new)?;
        index.invalid = later;
        let index = Arc::new(index);
        let mut next = Table::clone(&table);
        next.indexes.push(index.clone());
        if index.invalid {
            // Nobody waits, and nobody is waited for: whoever builds it does that.
            self.put_admitting(next);
            return Ok(());
        }
        self.locks.push(table.id);
        let next = self.put(next);
        self.work.push(Work::BuildIndex {
            table: next,
            index,
            again: false,
        });
        Ok(())
    }

    /// A primary key's index is the table itself, with nothing to fill it from.
    pub(super) fn reindex(&mut self, tables: &[TableId], index: Option<TableId>) -> Result<()> {
        self.tag = "REINDEX";
        for id in tables {
            let table = self.table(*id)?;
            let chosen = |i: &Index| index.is_none_or(|id| i.id == id);
            if !table.indexes.iter().any(|i| chosen(i)) {
                continue;
            }
            self.locks.push(table.id);
            let mut next = Table::clone(&table);
            for slot in &mut next.indexes {
                if chosen(slot) {
                    self.dropped.push(slot.tree);
                    let tree = self.tree();
                    *slot = Arc::new(Index {
                        tree,
                        invalid: false,
                        ..Index::clone(slot)
                    });
                }
            }
            let next = self.put(next);
            for index in next.indexes.iter().filter(|i| chosen(i)) {
                self.work.push(Work::BuildIndex {
                    table: next.clone(),
                    index: index.clone(),
                    again: true,
                });
            }
        }
        Ok(())
    }

    pub(super) fn truncate(
        &mut self,
        names: &[QualifiedName],
        restart: bool,
        cascade: bool,
    ) -> Result<()> {
        self.tag = "TRUNCATE TABLE";
        let mut tables = Vec::new();
        for name in names {
            let table = self.existing(name)?;
            if let TableKind::Materialized { .. } = table.kind {
                return Err(Error::new(
                    SqlState::WRONG_OBJECT_TYPE,
                    format!("\"{}\" is not a table", table.name),
                ));
            }
            if !tables.iter().any(|t: &Arc<Table>| t.id == table.id) {
                tables.push(table);
            }
        }
        self.referring(&mut tables, cascade)?;
        for table in tables {
            self.locks.push(table.id);
            self.drop_trees(&table);
            let mut next = Table::clone(&table);
            next.tree = self.tree();
            next.indexes = self.emptied(&next.indexes);
            self.put(next);
            if restart {
                for sequence in self.owned_by(table.id) {
                    let mut anew = Sequence::clone(&sequence);
                    let first = anew.start;
                    self.restart(&mut anew, first);
                    self.put_sequence(anew);
                }
            }
        }
        Ok(())
    }

    /// Tables with foreign keys to these: they are emptied as well, or it is refused.
    fn referring(&mut self, tables: &mut Vec<Arc<Table>>, cascade: bool) -> Result<()> {
        let mut at = 0;
        while let Some(table) = tables.get(at).cloned() {
            at += 1;
            let all: Vec<Arc<Table>> = self.catalog.tables.values().cloned().collect();
            for other in all {
                let refers = other.foreign_keys.iter().any(|f| f.referenced == table.id);
                if !refers || tables.iter().any(|t| t.id == other.id) {
                    continue;
                }
                if !cascade {
                    return Err(Error::unsupported(
                        "cannot truncate a table referenced in a foreign key constraint",
                    )
                    .with_detail(format!(
                        "Table \"{}\" references \"{}\".",
                        other.name, table.name
                    ))
                    .with_hint(format!(
                        "Truncate table \"{}\" at the same time, or use TRUNCATE ... CASCADE.",
                        other.name
                    )));
                }
                self.skip(format!("truncate cascades to table \"{}\"", other.name));
                tables.push(other);
            }
        }
        Ok(())
    }

    pub(super) fn set_primary_key(&mut self, table: &mut Table, key: &Key) -> Result<()> {
        ordered(table, &key.columns)?;
        let name = match &key.name {
            Some(name) if self.taken(table, name) => return Err(taken(name)),
            Some(name) => name.clone(),
            None => self.choose(table, &[], "pkey"),
        };
        table.primary_key = key.columns.clone();
        table.primary_key_name = name;
        table.primary_key_id = TableId(self.oid());
        Ok(())
    }

    /// The index of a UNIQUE constraint.
    pub(super) fn unique_index(&mut self, table: &Table, key: &Key) -> Result<Index> {
        let parts = key.columns.iter().map(|c| KeyPart::ascending(*c));
        let index = Index {
            parts: parts.collect(),
            unique: true,
            constraint: true,
            nulls_not_distinct: key.nulls_not_distinct,
            include: key.include.clone(),
            ..Index::default()
        };
        let name = key.name.clone();
        self.index(table, &NewIndex { name, index })
    }

    /// Gives a new index what it lacks.
    fn index(&mut self, table: &Table, new: &NewIndex) -> Result<Index> {
        let name = match &new.name {
            Some(name) if self.taken(table, name) => return Err(taken(name)),
            Some(name) => name.clone(),
            None => {
                let mut parts = new.index.parts.clone();
                parts.extend(new.index.include.iter().map(|c| KeyPart::ascending(*c)));
                let names = part_names(table, &parts);
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                self.choose(
                    table,
                    &names,
                    if new.index.constraint { "key" } else { "idx" },
                )
            }
        };
        for part in &new.index.parts {
            match &part.of {
                PartOf::Column(c) => ordered(table, &[*c])?,
                PartOf::Expr(e) => has_order(e.expr.ty())?,
            }
        }
        let id = TableId(self.oid());
        let tree = self.tree();
        Ok(Index {
            id,
            name,
            tree,
            ..new.index.clone()
        })
    }

    /// A table that has gone meanwhile is passed over.
    pub(super) fn statistics(&mut self, tables: &[(TableId, Arc<Statistics>)]) {
        self.tag = "ANALYZE";
        for (id, statistics) in tables {
            if self.catalog.tables.contains_key(id) {
                self.touched(Object::Table(*id));
                self.catalog.statistics.insert(*id, statistics.clone());
            }
        }
    }

    pub(super) fn drop_trees(&mut self, table: &Table) {
        self.dropped.push(table.tree);
        self.dropped.extend(table.indexes.iter().map(|i| i.tree));
    }

    /// `t_c_check` for a check over these columns of a table that is in the catalog.
    pub(super) fn free_check_name(table: &Table, columns: &[&str]) -> String {
        choose(&table.name, columns, "check", |name| {
            Change::is_constraint(table, name)
        })
    }
}

/// 42704 for columns whose values have no order.
fn ordered(table: &Table, columns: &[usize]) -> Result<()> {
    let mut types = columns.iter().filter_map(|c| table.columns.get(*c));
    types.try_for_each(|c| has_order(c.ty))
}

fn has_order(ty: DataType) -> Result<()> {
    if ty.has_records() {
        return Err(Error::unsupported(
            "keys and indexes of composite values are not supported",
        ));
    }
    if ty.is_ordered() {
        return Ok(());
    }
    Err(Error::new(
        SqlState::UNDEFINED_OBJECT,
        format!("data type {ty} has no default operator class for access method \"btree\""),
    )
    .with_hint(
        "You must specify an operator class for the index or define a default operator class for the data type.",
    ))
}
