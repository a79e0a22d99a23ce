//! The catalog's immutable model: the catalog itself, tables and their columns.
//!
//! Owns: what a name stands for. Ordinals (`columns`, `primary_key`, `Expr::Column`) count a table's present columns; `number`
//! is PostgreSQL's `attnum`, never given twice, and says where a stored row has the column (`codec::row`).

use super::databases::Databases;
use super::extensions::Extension;
use super::index::Index;
use super::objects::{
    CommentKey, ForeignKey, Function, Schema, Sequence, Stated, Trigger, UserType, View,
};
use super::referrers::Referrers;
use super::statistics::Statistics;
use crate::plan::Expr;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use types::{Column, DataType, TableId, TreeId, Value};

/// First oid given to user objects, as in PostgreSQL.
pub const FIRST_USER_OID: u32 = 16_384;
/// The schema that there is from the start.
pub const PUBLIC: &str = "public";
/// Its oid.
pub const PUBLIC_OID: u32 = 2_200;

/// Everything that has a name in one database, at one version.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// Grows by one with each committed change.
    pub version: u64,
    /// How many partitions the data directory has; fixed when it is created.
    pub partitions: u16,
    /// Oid of the database that this is.
    pub database: u32,
    /// All there are.
    pub databases: Arc<Databases>,
    /// Schemas besides `public`, by oid.
    pub schemas: BTreeMap<u32, Arc<Schema>>,
    pub tables: BTreeMap<TableId, Arc<Table>>,
    pub views: BTreeMap<TableId, Arc<View>>,
    pub sequences: BTreeMap<TableId, Arc<Sequence>>,
    /// Enums and domains, by oid.
    pub types: BTreeMap<u32, Arc<UserType>>,
    /// By oid; those of extensions are among them.
    pub functions: BTreeMap<u32, Arc<Function>>,
    /// By oid.
    pub extensions: BTreeMap<u32, Arc<Extension>>,
    /// By table and name: the order in which they fire.
    pub triggers: BTreeMap<(TableId, String), Arc<Trigger>>,
    pub comments: BTreeMap<CommentKey, Arc<str>>,
    /// Made of `tables` (`index_referrers`).
    pub referrers: Referrers,
    /// What ANALYZE found, of the tables it was run on.
    pub statistics: BTreeMap<TableId, Arc<Statistics>>,
    /// Next oid for a table, index or tree.
    pub next_oid: u32,
}

/// A relation with rows. They live in `tree`, keyed by the primary key or by a hidden row id.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Table {
    pub id: TableId,
    pub schema: String,
    pub name: String,
    pub kind: TableKind,
    /// Changes when the table is truncated or rewritten: the old tree is dropped.
    pub tree: TreeId,
    /// The present ones, in order of their numbers.
    pub columns: Vec<ColumnDef>,
    /// Those that are gone but may have values in stored rows, in order of their numbers.
    pub dropped: Vec<DroppedColumn>,
    /// Ordinals of the key's columns in key order; empty for a table without one.
    pub primary_key: Vec<usize>,
    /// `pg_class` oid and name of the primary key's index; meaningless without a key.
    pub primary_key_id: TableId,
    pub primary_key_name: String,
    /// Ordinals of the key's columns whose hash says in which partition a row is; empty: the whole key.
    pub placement: Vec<usize>,
    pub indexes: Vec<Arc<Index>>,
    pub checks: Vec<Check>,
    /// Those of this table's own columns.
    pub foreign_keys: Vec<ForeignKey>,
    /// The version of the catalog in which this definition began.
    pub since: u64,
    /// Plans of definitions since this version may go on writing: those differ in indexes that are not valid yet, or were not.
    /// 0: there are none. Not stored: no plan outlives the process.
    #[serde(skip)]
    pub admits: u64,
    /// DISABLE TRIGGER ALL: its foreign keys, and those that refer to it, are not looked at when its rows change. Stored beside it.
    #[serde(skip)]
    pub keys_off: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum TableKind {
    #[default]
    Ordinary,
    /// Of one session; its schema is that session's.
    Temporary(OnCommit),
    Materialized {
        query: Stated,
        populated: bool,
    },
}

/// What a commit does to a temporary table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnCommit {
    #[default]
    PreserveRows,
    DeleteRows,
    Drop,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ColumnDef {
    pub name: String,
    pub ty: DataType,
    /// As in `types::Column`.
    pub typmod: i32,
    pub not_null: bool,
    pub default: Option<Default>,
    /// `attnum`, from 1.
    pub number: i16,
    pub identity: Option<Identity>,
    /// GENERATED ALWAYS AS (…) STORED: over the table's row.
    pub generated: Option<SqlExpr>,
    /// What rows have that were stored before the column was added.
    pub missing: Option<Value>,
    /// Oid of the domain or enum that the column was declared with; 0 for none.
    pub declared: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// GENERATED ALWAYS rather than BY DEFAULT.
    pub always: bool,
    pub sequence: TableId,
}

/// What is left of a dropped column: enough to step over its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DroppedColumn {
    pub number: i16,
    pub ty: DataType,
}

/// An expression: its text for `pg_get_expr`, and bound.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SqlExpr {
    pub sql: String,
    pub expr: Expr,
}

/// A DEFAULT has no input columns and is cast to the column's type.
pub type Default = SqlExpr;

/// Before the name of a view, in the name of a check that is its WITH CHECK OPTION: of the table as one statement has it.
pub const OF_VIEW: char = '\u{e006}';

/// A CHECK over the table's row.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Check {
    pub name: String,
    pub sql: String,
    pub expr: Expr,
}

impl Check {
    /// It calls functions, which run queries: it is a subquery over the row.
    pub fn calls(&self) -> bool {
        matches!(self.expr, Expr::Subquery { .. })
    }
}

/// What a name can stand for.
#[derive(Clone, Debug)]
pub enum Relation {
    Table(Arc<Table>),
    View(Arc<View>),
    Sequence(Arc<Sequence>),
    /// An index of this table.
    Index(Arc<Table>, Arc<Index>),
    /// The primary key's index of this table.
    PrimaryKey(Arc<Table>),
}

impl Catalog {
    /// The first database, with nothing in it, over `partitions` partitions.
    pub fn empty(partitions: u16) -> Catalog {
        Catalog {
            version: 1,
            partitions,
            database: super::databases::FIRST_OID,
            databases: Arc::new(Databases::first()),
            next_oid: FIRST_USER_OID,
            ..Catalog::default()
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

    /// Tables, views, sequences and indexes share one namespace.
    pub fn relation_by_name(&self, schema: Option<&str>, name: &str) -> Option<Relation> {
        let schema = schema.unwrap_or(PUBLIC);
        if let Some(t) = self.table_by_name(Some(schema), name) {
            return Some(Relation::Table(t.clone()));
        }
        let mut views = self.views.values();
        if let Some(v) = views.find(|v| v.name == name && v.schema == schema) {
            return Some(Relation::View(v.clone()));
        }
        let mut sequences = self.sequences.values();
        if let Some(s) = sequences.find(|s| s.name == name && s.schema == schema) {
            return Some(Relation::Sequence(s.clone()));
        }
        for t in self.tables.values().filter(|t| t.schema == schema) {
            if t.has_key() && t.primary_key_name == name {
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
        if let Some(v) = self.views.get(&id) {
            return Some(Relation::View(v.clone()));
        }
        if let Some(s) = self.sequences.get(&id) {
            return Some(Relation::Sequence(s.clone()));
        }
        for t in self.tables.values() {
            if t.has_key() && t.primary_key_id == id {
                return Some(Relation::PrimaryKey(t.clone()));
            }
            if let Some(i) = t.indexes.iter().find(|i| i.id == id) {
                return Some(Relation::Index(t.clone(), i.clone()));
            }
        }
        None
    }

    /// The oid of a schema that there is.
    pub fn schema_oid(&self, name: &str) -> Option<u32> {
        if name == PUBLIC {
            return Some(PUBLIC_OID);
        }
        let mut schemas = self.schemas.values();
        schemas.find(|s| s.name == name).map(|s| s.oid)
    }
}

impl Catalog {
    /// The schema of that oid.
    pub fn schema_name(&self, oid: u32) -> Option<&str> {
        if oid == PUBLIC_OID {
            return Some(PUBLIC);
        }
        self.schemas.get(&oid).map(|s| s.name.as_str())
    }
}

impl Relation {
    pub fn oid(&self) -> u32 {
        match self {
            Relation::Table(t) => t.id.0,
            Relation::View(v) => v.id.0,
            Relation::Sequence(s) => s.id.0,
            Relation::Index(_, i) => i.id.0,
            Relation::PrimaryKey(t) => t.primary_key_id.0,
        }
    }

    pub fn schema(&self) -> &str {
        match self {
            Relation::Table(t) | Relation::Index(t, _) | Relation::PrimaryKey(t) => &t.schema,
            Relation::View(v) => &v.schema,
            Relation::Sequence(s) => &s.schema,
        }
    }

    pub fn name(&self) -> &str {
        match self {
            Relation::Table(t) => &t.name,
            Relation::View(v) => &v.name,
            Relation::Sequence(s) => &s.name,
            Relation::Index(_, i) => &i.name,
            Relation::PrimaryKey(t) => &t.primary_key_name,
        }
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

    /// Those that have an entry for every row that should have one.
    pub fn valid_indexes(&self) -> impl Iterator<Item = &Arc<Index>> {
        self.indexes.iter().filter(|i| !i.invalid)
    }

    /// Whether what was planned with the definition that began with `since` writes all that this one asks for, or all that
    /// whoever builds its newest indexes does not wait for.
    pub fn takes_writes_of(&self, since: u64) -> bool {
        self.since == since || (self.admits > 0 && since >= self.admits)
    }

    pub fn has_unique_indexes(&self) -> bool {
        self.indexes.iter().any(|i| i.unique)
    }

    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.name == name)
    }

    /// The row's columns as a result describes them.
    pub fn schema(&self) -> Vec<Column> {
        let describe = |c: &ColumnDef| Column {
            name: c.name.clone(),
            ty: c.ty,
            typmod: c.typmod,
            table: self.id.0,
            attnum: c.number,
        };
        self.columns.iter().map(describe).collect()
    }

    pub fn has_key(&self) -> bool {
        !self.primary_key.is_empty()
    }

    /// The number that a column added now gets.
    pub fn next_number(&self) -> i16 {
        let present = self.columns.last().map_or(0, |c| c.number);
        let dropped = self.dropped.last().map_or(0, |c| c.number);
        present.max(dropped).saturating_add(1)
    }

    /// The ordinal of the column with this `attnum`.
    pub fn ordinal(&self, number: i16) -> Option<usize> {
        self.columns
            .binary_search_by_key(&number, |c| c.number)
            .ok()
    }

    pub fn is_temporary(&self) -> bool {
        matches!(self.kind, TableKind::Temporary(_))
    }

    /// How its rows lie in its tree.
    pub fn layout(&self) -> crate::codec::row::Layout {
        crate::codec::row::Layout::of(self)
    }
}

impl ColumnDef {
    /// A column that is nothing but its type.
    pub fn new(name: impl Into<String>, ty: DataType, number: i16) -> ColumnDef {
        ColumnDef {
            name: name.into(),
            ty,
            typmod: -1,
            not_null: false,
            default: None,
            number,
            identity: None,
            generated: None,
            missing: None,
            declared: 0,
        }
    }
}
