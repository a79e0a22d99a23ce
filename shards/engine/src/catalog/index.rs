//! Indexes of tables: what their entries are made of, and in which order they lie.
//!
//! Owns: the definition of an index as the catalog keeps it, and what is equal to it. Never: touches an entry
//! (`shard::entries`). An expression's values and the predicate depend on the row alone: the binder takes immutable ones only.
//! Source: PostgreSQL 15, `pg_index` and `indexcmds.c`.

use super::Table;
use super::model::SqlExpr;
use crate::codec::key::{self, Order};
use crate::plan::Expr;
use serde::{Deserialize, Serialize};
use types::{DataType, TableId, TreeId};

/// A secondary index.
///
/// Not unique: entries live in the partition of their row, key = values of the parts then the row's key.
/// Unique: entries live in the partition that the values hash to, key = values (then the row's key where one is NULL),
/// value = the row's partition and key, so uniqueness holds over the whole table.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Index {
    pub id: TableId,
    pub name: String,
    pub tree: TreeId,
    pub parts: Vec<KeyPart>,
    /// Ordinals of INCLUDE's columns. Entries are without their values: rows are read for them.
    pub include: Vec<usize>,
    pub unique: bool,
    /// Two NULLs are the same (unique indexes only).
    pub nulls_not_distinct: bool,
    /// It backs a UNIQUE constraint (of the same name) rather than a plain CREATE UNIQUE INDEX.
    pub constraint: bool,
    /// Only rows for which it is true have entries.
    pub predicate: Option<SqlExpr>,
    /// Rows may be without their entries: writers keep those that there are, and nobody finds rows by it. Stored in a cell of
    /// its own (`stored`), which valid indexes have not.
    #[serde(skip)]
    pub invalid: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyPart {
    pub of: PartOf,
    pub descending: bool,
    pub nulls_first: bool,
    pub class: OpClass,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum PartOf {
    /// An ordinal.
    Column(usize),
    /// Over the table's row.
    Expr(SqlExpr),
}

/// How a part was said to be compared. Text is compared by its bytes, so that they all mean the same order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OpClass {
    /// Its type's own.
    #[default]
    Default,
    Varchar,
    TextPattern,
    VarcharPattern,
    BpcharPattern,
}

impl Index {
    /// Whether every row has an entry, which begins with the values of its first `n` columns as keys have them.
    pub fn finds_all(&self, n: usize) -> bool {
        let plain = |p: &KeyPart| p.as_in_keys().is_some();
        let first = self.parts.get(..n);
        self.predicate.is_none() && first.is_some_and(|parts| parts.iter().all(plain))
    }

    /// The ordinals of its key's columns; `None` where a part is an expression.
    pub fn columns(&self) -> Option<Vec<usize>> {
        self.parts.iter().map(KeyPart::column).collect()
    }

    /// Those of its first parts, as far as they are columns.
    pub fn leading_columns(&self) -> Vec<usize> {
        self.parts.iter().map_while(KeyPart::column).collect()
    }

    /// No two rows have the same values of these columns and no others.
    pub fn is_key(&self) -> Option<Vec<usize>> {
        (self.unique && self.predicate.is_none())
            .then(|| self.columns())
            .flatten()
    }

    /// Whether its entries have the very values of these columns (`wanted`, by ordinal), theirs or the row's key's.
    pub fn has_values(&self, table: &Table, wanted: &[bool]) -> bool {
        let parts: Vec<usize> = self.parts.iter().map_while(KeyPart::as_in_keys).collect();
        let has = |c: &usize| parts.contains(c) || table.primary_key.contains(c);
        let exact = |c: usize| table.columns.get(c).is_some_and(|c| key::is_exact(c.ty));
        let mut columns = (0..wanted.len()).filter(|c| wanted[*c]);
        !self.unique && columns.all(|c| has(&c) && exact(c))
    }

    /// The types of its parts.
    pub fn types(&self, table: &Table) -> Vec<DataType> {
        self.parts.iter().map(|p| p.ty(table)).collect()
    }
}

impl KeyPart {
    /// Ascending, NULLs last.
    pub fn ascending(column: usize) -> KeyPart {
        KeyPart {
            of: PartOf::Column(column),
            descending: false,
            nulls_first: false,
            class: OpClass::Default,
        }
    }

    pub fn column(&self) -> Option<usize> {
        match &self.of {
            PartOf::Column(c) => Some(*c),
            PartOf::Expr(_) => None,
        }
    }

    /// The column, where its values lie as they do in keys.
    pub fn as_in_keys(&self) -> Option<usize> {
        self.column()
            .filter(|_| !self.descending && !self.nulls_first)
    }

    pub fn ty(&self, table: &Table) -> DataType {
        match &self.of {
            PartOf::Column(c) => table.columns.get(*c).map_or(DataType::Void, |c| c.ty),
            PartOf::Expr(e) => e.expr.ty(),
        }
    }

    /// What it is, over the table's row.
    pub fn expr(&self, table: &Table) -> Expr {
        match &self.of {
            PartOf::Column(c) => Expr::Column(*c, self.ty(table)),
            PartOf::Expr(e) => e.expr.clone(),
        }
    }

    pub fn order(&self) -> Order {
        Order {
            descending: self.descending,
            nulls_first: self.nulls_first,
        }
    }
}

impl OpClass {
    /// As it is written, where it is not the type's own.
    pub fn name(self) -> Option<&'static str> {
        match self {
            OpClass::Default => None,
            OpClass::Varchar => Some("varchar_ops"),
            OpClass::TextPattern => Some("text_pattern_ops"),
            OpClass::VarcharPattern => Some("varchar_pattern_ops"),
            OpClass::BpcharPattern => Some("bpchar_pattern_ops"),
        }
    }
}
