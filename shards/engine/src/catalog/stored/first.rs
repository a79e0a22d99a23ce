//! The first form of a table's cell: what directories have that were written before forms had numbers.
//!
//! Owns: those declarations, which never change, and what they mean today. Never: is written.

use super::super::{Check, Default};
use super::super::{ColumnDef, Index as Now, KeyPart, Table as Today};
use serde::Deserialize;
use std::sync::Arc;
use types::{DataType, TableId, TreeId};

#[derive(Deserialize)]
pub struct Table {
    id: TableId,
    schema: String,
    name: String,
    tree: TreeId,
    columns: Vec<Column>,
    primary_key: Vec<usize>,
    primary_key_id: TableId,
    primary_key_name: String,
    indexes: Vec<Index>,
    checks: Vec<Check>,
}

#[derive(Deserialize)]
struct Column {
    name: String,
    ty: DataType,
    typmod: i32,
    not_null: bool,
    default: Option<Default>,
}

#[derive(Deserialize)]
struct Index {
    id: TableId,
    name: String,
    tree: TreeId,
    columns: Vec<usize>,
    unique: bool,
    constraint: bool,
}

impl From<Table> for Today {
    fn from(t: Table) -> Today {
        let columns = t.columns.into_iter().enumerate();
        Today {
            id: t.id,
            schema: t.schema,
            name: t.name,
            tree: t.tree,
            columns: columns.map(|(at, c)| c.numbered(at as i16 + 1)).collect(),
            primary_key: t.primary_key,
            primary_key_id: t.primary_key_id,
            primary_key_name: t.primary_key_name,
            indexes: t.indexes.into_iter().map(|i| Arc::new(i.into())).collect(),
            checks: t.checks,
            ..Today::default()
        }
    }
}

impl Column {
    fn numbered(self, number: i16) -> ColumnDef {
        ColumnDef {
            typmod: self.typmod,
            not_null: self.not_null,
            default: self.default,
            ..ColumnDef::new(self.name, self.ty, number)
        }
    }
}

impl From<Index> for Now {
    fn from(i: Index) -> Now {
        Now {
            id: i.id,
            name: i.name,
            tree: i.tree,
            parts: i.columns.into_iter().map(KeyPart::ascending).collect(),
            unique: i.unique,
            constraint: i.constraint,
            ..Now::default()
        }
    }
}
