//! Changes of the catalog: from one snapshot and a statement to the next snapshot and what must be done for it.
//!
//! Owns: names, oids and the checks PostgreSQL makes of a definition against what exists. Asked by: the session, which
//! holds the catalog's lock, carries out the `Work` and commits. Never: touches rows itself.

use super::model::PUBLIC;
use super::statistics::Statistics;
use super::{Catalog, Index, Relation, Table};
use crate::plan::{CreateTable, Ddl, Key};
use std::sync::Arc;
use types::{Error, Result, SqlState, TableId, TreeId, limits};

/// The next catalog and what goes with it.
pub struct Change {
    pub catalog: Catalog,
    /// Tables that are new, different or gone.
    pub changed: Vec<TableId>,
    /// Existing tables that nobody may write while this happens.
    pub locks: Vec<TableId>,
    pub work: Vec<Work>,
    /// Trees nobody needs once it has committed.
    pub dropped: Vec<TreeId>,
    /// Trees that only this transaction can reach until then.
    pub fresh: Vec<TreeId>,
    pub notices: Vec<Error>,
    pub tag: &'static str,
}

/// Rows to be moved for a change.
pub enum Work {
    /// Fill `index` of `table` from its rows.
    BuildIndex {
        table: Arc<Table>,
        index: Arc<Index>,
    },
    /// Copy the rows of `old` into `new`, which has another key.
    Rewrite { old: Arc<Table>, new: Arc<Table> },
}

/// What `ddl` makes of `catalog`.
pub fn plan(catalog: &Catalog, ddl: &Ddl) -> Result<Change> {
    let mut change = Change {
        catalog: Catalog {
            version: catalog.version + 1,
            ..catalog.clone()
        },
        changed: Vec::new(),
        locks: Vec::new(),
        work: Vec::new(),
        dropped: Vec::new(),
        fresh: Vec::new(),
        notices: Vec::new(),
        tag: "",
    };
    match ddl {
        Ddl::CreateTable(def) => change.create_table(def)?,
        Ddl::DropTable { names, if_exists } => change.drop_tables(names, *if_exists)?,
        Ddl::CreateIndex {
            name,
            table,
            columns,
            unique,
            if_not_exists,
        } => {
            change.create_index(name.as_deref(), table, columns, *unique, *if_not_exists)?;
        }
        Ddl::DropIndex { names, if_exists } => change.drop_indexes(names, *if_exists)?,
        Ddl::Truncate { names } => change.truncate(names)?,
        Ddl::Statistics { tables } => change.statistics(tables),
        Ddl::AddPrimaryKey {
            table,
            name,
            columns,
        } => change.add_primary_key(table, name.as_deref(), columns)?,
        Ddl::AddUnique {
            table,
            name,
            columns,
        } => change.add_unique(table, name.as_deref(), columns)?,
    }
    Ok(change)
}

impl Change {
    /// Whether anything is different from before.
    pub fn is_noop(&self) -> bool {
        self.changed.is_empty()
    }

    fn create_table(&mut self, def: &CreateTable) -> Result<()> {
        self.tag = "CREATE TABLE";
        if self.catalog.relation_by_name(None, &def.name).is_some() {
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
            schema: PUBLIC.into(),
            name: def.name.clone(),
            tree,
            columns: def.columns.clone(),
            primary_key: Vec::new(),
            primary_key_id: TableId(0),
            primary_key_name: String::new(),
            indexes: Vec::new(),
            checks: def.checks.clone(),
        };
        if let Some(key) = &def.primary_key {
            self.set_primary_key(&mut table, key)?;
        }
        for key in &def.uniques {
            let index = self.new_index(&table, key.name.as_deref(), &key.columns, true, true)?;
            table.indexes.push(Arc::new(index));
        }
        self.put(table);
        Ok(())
    }

    fn drop_tables(&mut self, names: &[String], if_exists: bool) -> Result<()> {
        self.tag = "DROP TABLE";
        for name in names {
            match self.catalog.relation_by_name(None, name) {
                Some(Relation::Table(table)) => {
                    self.locks.push(table.id);
                    self.drop_trees(&table);
                    self.catalog.tables.remove(&table.id);
                    self.catalog.statistics.remove(&table.id);
                    self.changed.push(table.id);
                }
                Some(_) => {
                    return Err(Error::new(
                        SqlState::WRONG_OBJECT_TYPE,
                        format!("\"{name}\" is not a table"),
                    )
                    .with_hint("Use DROP INDEX to remove an index."));
                }
                None if if_exists => {
                    self.skip(format!("table \"{name}\" does not exist, skipping"))
                }
                None => {
                    return Err(Error::new(
                        SqlState::UNDEFINED_TABLE,
                        format!("table \"{name}\" does not exist"),
                    ));
                }
            }
        }
        Ok(())
    }

    fn create_index(
        &mut self,
        name: Option<&str>,
        table: &str,
        columns: &[String],
        unique: bool,
        if_not_exists: bool,
    ) -> Result<()> {
        self.tag = "CREATE INDEX";
        let table = self.existing(table)?;
        if let Some(name) = name
            && self.catalog.relation_by_name(None, name).is_some()
        {
            return self.exists(name, if_not_exists);
        }
        let columns = ordinals(&table, columns)?;
        self.add_index(&table, name, &columns, unique, false)
    }

    fn add_unique(&mut self, table: &str, name: Option<&str>, columns: &[String]) -> Result<()> {
        self.tag = "ALTER TABLE";
        let table = self.existing(table)?;
        if let Some(name) = name
            && self.catalog.relation_by_name(None, name).is_some()
        {
            return self.exists(name, false);
        }
        let columns = ordinals(&table, columns)?;
        self.add_index(&table, name, &columns, true, true)
    }

    fn add_index(
        &mut self,
        table: &Arc<Table>,
        name: Option<&str>,
        columns: &[usize],
        unique: bool,
        constraint: bool,
    ) -> Result<()> {
        let index = Arc::new(self.new_index(table, name, columns, unique, constraint)?);
        let mut next = Table::clone(table);
        next.indexes.push(index.clone());
        self.locks.push(table.id);
        let next = self.put(next);
        self.work.push(Work::BuildIndex { table: next, index });
        Ok(())
    }

    fn drop_indexes(&mut self, names: &[String], if_exists: bool) -> Result<()> {
        self.tag = "DROP INDEX";
        for name in names {
            match self.catalog.relation_by_name(None, name) {
                Some(Relation::Index(table, index)) if index.constraint => {
                    return Err(required(name, &table.name, &index.name));
                }
                Some(Relation::PrimaryKey(table)) => return Err(required(name, &table.name, name)),
                Some(Relation::Index(table, index)) => {
                    self.locks.push(table.id);
                    self.dropped.push(index.tree);
                    let mut next = Table::clone(&table);
                    next.indexes.retain(|i| i.id != index.id);
                    self.put(next);
                }
                Some(Relation::Table(_)) => {
                    return Err(Error::new(
                        SqlState::WRONG_OBJECT_TYPE,
                        format!("\"{name}\" is not an index"),
                    )
                    .with_hint("Use DROP TABLE to remove a table."));
                }
                None if if_exists => {
                    self.skip(format!("index \"{name}\" does not exist, skipping"))
                }
                None => {
                    return Err(Error::new(
                        SqlState::UNDEFINED_OBJECT,
                        format!("index \"{name}\" does not exist"),
                    ));
                }
            }
        }
        Ok(())
    }

    fn truncate(&mut self, names: &[String]) -> Result<()> {
        self.tag = "TRUNCATE TABLE";
        for name in names {
            let table = self.existing(name)?;
            if self.changed.contains(&table.id) {
                continue;
            }
            self.locks.push(table.id);
            self.drop_trees(&table);
            let mut next = Table::clone(&table);
            next.tree = self.tree();
            next.indexes = next
                .indexes
                .iter()
                .map(|i| {
                    Arc::new(Index {
                        tree: self.tree(),
                        ..Index::clone(i)
                    })
                })
                .collect();
            self.put(next);
        }
        Ok(())
    }

    fn add_primary_key(
        &mut self,
        table: &str,
        name: Option<&str>,
        columns: &[String],
    ) -> Result<()> {
        self.tag = "ALTER TABLE";
        let old = self.existing(table)?;
        if old.has_key() {
            return Err(Error::new(
                SqlState::INVALID_TABLE_DEFINITION,
                format!(
                    "multiple primary keys for table \"{}\" are not allowed",
                    old.name
                ),
            ));
        }
        let key = Key {
            name: name.map(String::from),
            columns: ordinals(&old, columns)?,
        };
        self.locks.push(old.id);
        self.drop_trees(&old);
        let mut new = Table::clone(&old);
        new.tree = self.tree();
        self.set_primary_key(&mut new, &key)?;
        for ordinal in &key.columns {
            new.columns[*ordinal].not_null = true;
        }
        // Entries of secondary indexes name the row's key, so they are rebuilt with it.
        new.indexes = new
            .indexes
            .iter()
            .map(|i| {
                Arc::new(Index {
                    tree: self.tree(),
                    ..Index::clone(i)
                })
            })
            .collect();
        let new = self.put(new);
        self.work.push(Work::Rewrite {
            old,
            new: new.clone(),
        });
        for index in &new.indexes {
            self.work.push(Work::BuildIndex {
                table: new.clone(),
                index: index.clone(),
            });
        }
        Ok(())
    }

    fn set_primary_key(&mut self, table: &mut Table, key: &Key) -> Result<()> {
        let name = match &key.name {
            Some(name) if self.taken(table, name) => {
                return Err(Error::new(
                    SqlState::DUPLICATE_TABLE,
                    format!("relation \"{name}\" already exists"),
                ));
            }
            Some(name) => name.clone(),
            None => self.choose(table, &[], "pkey"),
        };
        table.primary_key = key.columns.clone();
        table.primary_key_name = name;
        table.primary_key_id = TableId(self.oid());
        Ok(())
    }

    fn new_index(
        &mut self,
        table: &Table,
        name: Option<&str>,
        columns: &[usize],
        unique: bool,
        constraint: bool,
    ) -> Result<Index> {
        let name = match name {
            Some(name) if self.taken(table, name) => {
                return Err(Error::new(
                    SqlState::DUPLICATE_TABLE,
                    format!("relation \"{name}\" already exists"),
                ));
            }
            Some(name) => name.to_string(),
            None => {
                let names: Vec<&str> = columns
                    .iter()
                    .map(|c| table.columns[*c].name.as_str())
                    .collect();
                self.choose(table, &names, if constraint { "key" } else { "idx" })
            }
        };
        let id = TableId(self.oid());
        let tree = self.tree();
        Ok(Index {
            id,
            name,
            tree,
            columns: columns.to_vec(),
            unique,
            constraint,
        })
    }

    /// `table_col_suffix`, with a number when that is taken.
    fn choose(&self, table: &Table, columns: &[&str], suffix: &str) -> String {
        let mut stem = table.name.clone();
        for column in columns {
            stem.push('_');
            stem.push_str(column);
        }
        let room = limits::IDENTIFIER_BYTES_MAX - suffix.len() - 4;
        while stem.len() > room {
            stem.pop();
        }
        let plain = format!("{stem}_{suffix}");
        if !self.taken(table, &plain) {
            return plain;
        }
        let mut n = 1;
        loop {
            let numbered = format!("{stem}_{suffix}{n}");
            if !self.taken(table, &numbered) {
                return numbered;
            }
            n += 1;
        }
    }

    /// Also looks at `table`, which may not be in the catalog yet.
    fn taken(&self, table: &Table, name: &str) -> bool {
        self.catalog.relation_by_name(None, name).is_some()
            || table.name == name
            || (table.has_key() && table.primary_key_name == name)
            || table.indexes.iter().any(|i| i.name == name)
    }

    fn existing(&self, name: &str) -> Result<Arc<Table>> {
        match self.catalog.relation_by_name(None, name) {
            Some(Relation::Table(table)) => Ok(table),
            Some(_) => Err(Error::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("\"{name}\" is not a table"),
            )),
            None => Err(Error::new(
                SqlState::UNDEFINED_TABLE,
                format!("relation \"{name}\" does not exist"),
            )),
        }
    }

    fn exists(&mut self, name: &str, skip: bool) -> Result<()> {
        let error = Error::new(
            SqlState::DUPLICATE_TABLE,
            format!("relation \"{name}\" already exists"),
        );
        if !skip {
            return Err(error);
        }
        self.notices.push(Error::new(
            SqlState::DUPLICATE_TABLE,
            format!("{}, skipping", error.message()),
        ));
        Ok(())
    }

    fn skip(&mut self, notice: String) {
        self.notices
            .push(Error::new(SqlState::SUCCESSFUL_COMPLETION, notice));
    }

    /// A table that has gone meanwhile is passed over.
    fn statistics(&mut self, tables: &[(TableId, Arc<Statistics>)]) {
        self.tag = "ANALYZE";
        for (id, statistics) in tables {
            if self.catalog.tables.contains_key(id) {
                self.changed.push(*id);
                self.catalog.statistics.insert(*id, statistics.clone());
            }
        }
    }

    fn drop_trees(&mut self, table: &Table) {
        self.dropped.push(table.tree);
        self.dropped.extend(table.indexes.iter().map(|i| i.tree));
    }

    fn put(&mut self, table: Table) -> Arc<Table> {
        let table = Arc::new(table);
        self.changed.push(table.id);
        self.catalog.tables.insert(table.id, table.clone());
        table
    }

    fn oid(&mut self) -> u32 {
        let oid = self.catalog.next_oid;
        self.catalog.next_oid += 1;
        oid
    }

    fn tree(&mut self) -> TreeId {
        let tree = TreeId(self.oid());
        self.fresh.push(tree);
        tree
    }
}

fn ordinals(table: &Table, columns: &[String]) -> Result<Vec<usize>> {
    if columns.len() > limits::INDEX_COLUMNS_MAX {
        return Err(Error::new(
            SqlState::TOO_MANY_COLUMNS,
            format!(
                "cannot use more than {} columns in an index",
                limits::INDEX_COLUMNS_MAX
            ),
        ));
    }
    let find = |name: &String| {
        table.column(name).ok_or_else(|| {
            Error::new(
                SqlState::UNDEFINED_COLUMN,
                format!("column \"{name}\" does not exist"),
            )
        })
    };
    columns.iter().map(find).collect()
}

fn required(name: &str, table: &str, constraint: &str) -> Error {
    Error::new(
        SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
        format!(
            "cannot drop index {name} because constraint {constraint} on table {table} requires it"
        ),
    )
    .with_hint(format!(
        "You can drop constraint {constraint} on table {table} instead."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::ColumnDef;
    use types::DataType;

    fn table(name: &str, key: bool) -> Ddl {
        let column = |name: &str| ColumnDef {
            name: name.into(),
            ty: DataType::Int4,
            typmod: -1,
            not_null: false,
            default: None,
        };
        Ddl::CreateTable(CreateTable {
            name: name.into(),
            if_not_exists: false,
            columns: vec![column("a"), column("b")],
            primary_key: key.then(|| Key {
                name: None,
                columns: vec![0],
            }),
            uniques: vec![Key {
                name: None,
                columns: vec![1],
            }],
            checks: Vec::new(),
        })
    }

    #[test]
    fn generated_names_and_oids_do_not_collide() {
        let c = plan(&Catalog::empty(2), &table("t", true)).unwrap();
        let t = c.catalog.table_by_name(None, "t").unwrap().clone();
        assert_eq!(
            (t.primary_key_name.as_str(), t.indexes[0].name.as_str()),
            ("t_pkey", "t_b_key")
        );
        let index = |columns: &[&str]| Ddl::CreateIndex {
            name: None,
            table: "t".into(),
            columns: columns.iter().map(|c| c.to_string()).collect(),
            unique: false,
            if_not_exists: false,
        };
        let c = plan(&c.catalog, &index(&["b"])).unwrap();
        let c = plan(&c.catalog, &index(&["b"])).unwrap();
        let t = c.catalog.table_by_name(None, "t").unwrap();
        assert_eq!(t.indexes[1].name, "t_b_idx");
        assert_eq!(t.indexes[2].name, "t_b_idx1");
        let mut ids = vec![t.id.0, t.tree.0, t.primary_key_id.0];
        ids.extend(t.indexes.iter().flat_map(|i| [i.id.0, i.tree.0]));
        let n = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), n);
    }

    #[test]
    fn truncate_gives_new_trees_and_drops_the_old() {
        let c = plan(&Catalog::empty(1), &table("t", true)).unwrap();
        let before = c.catalog.table_by_name(None, "t").unwrap().clone();
        let c = plan(
            &c.catalog,
            &Ddl::Truncate {
                names: vec!["t".into(), "t".into()],
            },
        )
        .unwrap();
        let after = c.catalog.table_by_name(None, "t").unwrap();
        assert_ne!(before.tree, after.tree);
        assert_eq!(c.dropped, vec![before.tree, before.indexes[0].tree]);
        assert_eq!(c.fresh, vec![after.tree, after.indexes[0].tree]);
        assert_eq!(c.locks, vec![before.id]);
    }

    #[test]
    fn an_index_behind_a_constraint_cannot_be_dropped() {
        let c = plan(&Catalog::empty(1), &table("t", true)).unwrap();
        for name in ["t_pkey", "t_b_key"] {
            let e = plan(
                &c.catalog,
                &Ddl::DropIndex {
                    names: vec![name.into()],
                    if_exists: false,
                },
            )
            .err()
            .unwrap();
            assert_eq!(e.code(), SqlState::DEPENDENT_OBJECTS_STILL_EXIST);
        }
    }
}
