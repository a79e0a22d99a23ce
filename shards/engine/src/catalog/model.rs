//! The catalog's immutable model.

use super::statistics::Statistics;
use crate::plan::Expr;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use types::{Column, DataType, TableId, TreeId};

/// First oid given to user objects, as in PostgreSQL.
pub const FIRST_USER_OID: u32 = 16_384;
/// The only user schema so far.
pub const PUBLIC: &str = "public";

/// All relations of the database at one version.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// Grows by one with each committed change.
    pub version: u64,
    /// How many partitions the data directory has; fixed when it is created.
    pub partitions: u16,
    pub tables: BTreeMap<TableId, Arc<Table>>,
    /// What ANALYZE found, of the tables it was run on.
    pub statistics: BTreeMap<TableId, Arc<Statistics>>,
    /// Next oid for a table, index or tree.
    pub next_oid: u32,
}

/// A base table. Rows live in `tree`, keyed by the primary key or by a hidden row id.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Table {
    pub id: TableId,
    pub schema: String,
    pub name: String,
    /// Changes when the table is truncated or rewritten: the old tree is dropped.
    pub tree: TreeId,
    pub columns: Vec<ColumnDef>,
    /// Ordinals of the key's columns in key order; empty for a table without one.
    pub primary_key: Vec<usize>,
    /// `pg_class` oid and name of the primary key's index; meaningless without a key.
    pub primary_key_id: TableId,
    pub primary_key_name: String,
    pub indexes: Vec<Arc<Index>>,
    pub checks: Vec<Check>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ColumnDef {
    pub name: String,
    pub ty: DataType,
    /// As in `types::Column`.
    pub typmod: i32,
    pub not_null: bool,
    pub default: Option<Default>,
}

/// A DEFAULT: its text for `pg_get_expr`, and bound (no input columns) and cast to the column's type.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Default {
    pub sql: String,
    pub expr: Expr,
}

/// A CHECK over the table's row.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Check {
    pub name: String,
    pub sql: String,
    pub expr: Expr,
}

/// A secondary index.
///
/// Not unique: entries live in the partition of their row, key = columns then the row's key.
/// Unique: entries live in the partition that the indexed columns hash to, key = columns (then the row's key where one is
/// NULL), value = the row's partition and key, so uniqueness holds over the whole table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Index {
    pub id: TableId,
    pub name: String,
    pub tree: TreeId,
    /// Ordinals of the indexed columns in index order.
    pub columns: Vec<usize>,
    pub unique: bool,
    /// It backs a UNIQUE constraint (of the same name) rather than a plain CREATE UNIQUE INDEX.
    pub constraint: bool,
}

/// What a name can stand for.
#[derive(Clone, Debug)]
pub enum Relation {
    Table(Arc<Table>),
    /// An index of this table.
    Index(Arc<Table>, Arc<Index>),
    /// The primary key's index of this table.
    PrimaryKey(Arc<Table>),
}

impl Catalog {
    /// An empty database over `partitions` partitions.
    pub fn empty(partitions: u16) -> Catalog {
        Catalog {
            version: 1,
            partitions,
            tables: BTreeMap::new(),
            statistics: BTreeMap::new(),
            next_oid: FIRST_USER_OID,
        }
    }

    pub fn table(&self, id: TableId) -> Option<&Arc<Table>> {
        self.tables.get(&id)
    }

    /// `schema` None = the search path (public).
    pub fn table_by_name(&self, schema: Option<&str>, name: &str) -> Option<&Arc<Table>> {
        let schema = schema.unwrap_or(PUBLIC);
        self.tables
            .values()
            .find(|t| t.name == name && t.schema == schema)
    }

    /// Tables, indexes and primary key indexes share one namespace.
    pub fn relation_by_name(&self, schema: Option<&str>, name: &str) -> Option<Relation> {
        if let Some(t) = self.table_by_name(schema, name) {
            return Some(Relation::Table(t.clone()));
        }
        let schema = schema.unwrap_or(PUBLIC);
        for t in self.tables.values().filter(|t| t.schema == schema) {
            if !t.primary_key.is_empty() && t.primary_key_name == name {
                return Some(Relation::PrimaryKey(t.clone()));
            }
            if let Some(i) = t.indexes.iter().find(|i| i.name == name) {
                return Some(Relation::Index(t.clone(), i.clone()));
            }
        }
        None
    }

    pub fn relation_by_oid(&self, oid: u32) -> Option<Relation> {
        let id = TableId(oid);
        if let Some(t) = self.tables.get(&id) {
            return Some(Relation::Table(t.clone()));
        }
        for t in self.tables.values() {
            if !t.primary_key.is_empty() && t.primary_key_id == id {
                return Some(Relation::PrimaryKey(t.clone()));
            }
            if let Some(i) = t.indexes.iter().find(|i| i.id == id) {
                return Some(Relation::Index(t.clone(), i.clone()));
            }
        }
        None
    }
}

impl Catalog {
    /// Every tree that a table or index names.
    pub fn trees(&self) -> std::collections::BTreeSet<TreeId> {
        let of = |t: &Arc<Table>| {
            std::iter::once(t.tree)
                .chain(t.indexes.iter().map(|i| i.tree))
                .collect::<Vec<_>>()
        };
        self.tables.values().flat_map(of).collect()
    }
}

impl Table {
    /// The types of the row's columns.
    pub fn types(&self) -> Vec<DataType> {
        self.columns.iter().map(|c| c.ty).collect()
    }

    /// The types of some of them, in that order.
    pub fn types_of(&self, columns: &[usize]) -> Vec<DataType> {
        columns
            .iter()
            .filter_map(|c| self.columns.get(*c))
            .map(|c| c.ty)
            .collect()
    }

    pub fn has_unique_indexes(&self) -> bool {
        self.indexes.iter().any(|i| i.unique)
    }

    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.name == name)
    }

    /// The row's columns as a result describes them.
    pub fn schema(&self) -> Vec<Column> {
        let describe = |(i, c): (usize, &ColumnDef)| Column {
            name: c.name.clone(),
            ty: c.ty,
            typmod: c.typmod,
            table: self.id.0,
            attnum: i as i16 + 1,
        };
        self.columns.iter().enumerate().map(describe).collect()
    }

    pub fn has_key(&self) -> bool {
        !self.primary_key.is_empty()
    }
}
