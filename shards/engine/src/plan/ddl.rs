//! Statements that define relations, with names already checked against PostgreSQL's rules and expressions bound.

use crate::catalog::statistics::Statistics;
use crate::catalog::{Check, ColumnDef};
use std::sync::Arc;
use types::TableId;

/// A change of the catalog. Names are of relations in `public`; whether they exist is decided when it is carried out.
#[derive(Clone, Debug)]
pub enum Ddl {
    CreateTable(CreateTable),
    DropTable {
        names: Vec<String>,
        if_exists: bool,
    },
    CreateIndex {
        name: Option<String>,
        table: String,
        columns: Vec<String>,
        unique: bool,
        if_not_exists: bool,
    },
    DropIndex {
        names: Vec<String>,
        if_exists: bool,
    },
    Truncate {
        names: Vec<String>,
    },
    /// What ANALYZE has found.
    Statistics {
        tables: Vec<(TableId, Arc<Statistics>)>,
    },
    /// ALTER TABLE … ADD [CONSTRAINT name] PRIMARY KEY (…): re-partitions the table's rows.
    AddPrimaryKey {
        table: String,
        name: Option<String>,
        columns: Vec<String>,
    },
    /// ALTER TABLE … ADD [CONSTRAINT name] UNIQUE (…)
    AddUnique {
        table: String,
        name: Option<String>,
        columns: Vec<String>,
    },
}

#[derive(Clone, Debug)]
pub struct CreateTable {
    pub name: String,
    pub if_not_exists: bool,
    /// NOT NULL already set on the primary key's columns.
    pub columns: Vec<ColumnDef>,
    pub primary_key: Option<Key>,
    pub uniques: Vec<Key>,
    /// Names already chosen (`t_c_check`).
    pub checks: Vec<Check>,
}

/// A key constraint: its name if one was given, and ordinals of its columns.
#[derive(Clone, Debug)]
pub struct Key {
    pub name: Option<String>,
    pub columns: Vec<usize>,
}
