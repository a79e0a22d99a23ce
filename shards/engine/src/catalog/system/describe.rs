//! Indexes and constraints of user tables, and the statements that would make them.
//!
//! Asked by: the rows of `pg_index` and `pg_constraint`, and functions such as `pg_get_indexdef`.
//! Constraints that the catalog model keeps without an oid of their own get one derived from their table's, so that it
//! is the same in every snapshot: those of an index share its oid, checks and defaults have the upper bits set.

use crate::catalog::{Catalog, Check, Table};
use crate::exec::eval::columns_used;
use crate::exec::functions::quote_identifier;
use std::sync::Arc;

/// A primary key's or a secondary index.
pub struct IndexInfo<'a> {
    pub oid: u32,
    pub name: &'a str,
    pub table: &'a Arc<Table>,
    pub columns: &'a [usize],
    pub unique: bool,
    pub primary: bool,
    /// It backs a PRIMARY KEY or UNIQUE constraint of the same name.
    pub constraint: bool,
    /// Its tree; a primary key's is the table's.
    pub tree: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConstraintKind {
    PrimaryKey,
    Unique,
    Check,
}

pub struct Constraint<'a> {
    pub oid: u32,
    pub name: &'a str,
    pub table: &'a Arc<Table>,
    pub kind: ConstraintKind,
    /// Columns it is over, 0-based.
    pub columns: Vec<usize>,
    /// 0 for a check.
    pub index_oid: u32,
    pub check: Option<&'a Check>,
}

/// Every index, table by table.
pub fn indexes(catalog: &Catalog) -> impl Iterator<Item = IndexInfo<'_>> {
    catalog.tables.values().flat_map(table_indexes)
}

fn table_indexes(table: &Arc<Table>) -> impl Iterator<Item = IndexInfo<'_>> {
    let primary = table.has_key().then(|| IndexInfo {
        oid: table.primary_key_id.0,
        name: &table.primary_key_name,
        table,
        columns: &table.primary_key,
        unique: true,
        primary: true,
        constraint: true,
        tree: table.tree.0,
    });
    let secondary = table.indexes.iter().map(move |i| IndexInfo {
        oid: i.id.0,
        name: &i.name,
        table,
        columns: &i.columns,
        unique: i.unique,
        primary: false,
        constraint: i.constraint,
        tree: i.tree.0,
    });
    primary.into_iter().chain(secondary)
}

/// Every constraint, table by table.
pub fn constraints(catalog: &Catalog) -> impl Iterator<Item = Constraint<'_>> {
    catalog.tables.values().flat_map(table_constraints)
}

fn table_constraints(table: &Arc<Table>) -> impl Iterator<Item = Constraint<'_>> {
    let checks = table
        .checks
        .iter()
        .enumerate()
        .map(move |(i, c)| Constraint {
            oid: check_oid(table.id.0, i),
            name: &c.name,
            table,
            kind: ConstraintKind::Check,
            columns: columns_used(&c.expr).into_iter().collect(),
            index_oid: 0,
            check: Some(c),
        });
    let keys = table_indexes(table)
        .filter(|i| i.constraint)
        .map(|i| Constraint {
            oid: i.oid,
            name: i.name,
            table: i.table,
            kind: if i.primary {
                ConstraintKind::PrimaryKey
            } else {
                ConstraintKind::Unique
            },
            columns: i.columns.to_vec(),
            index_oid: i.oid,
            check: None,
        });
    checks.chain(keys)
}

/// `pg_constraint.oid` of a table's check.
fn check_oid(table: u32, ordinal: usize) -> u32 {
    derived_oid(0x8000_0000, table, ordinal, 256)
}

/// `pg_attrdef.oid` of a column's default.
pub fn attrdef_oid(table: u32, column: usize) -> u32 {
    derived_oid(0xC000_0000, table, column, 2_048)
}

fn derived_oid(class: u32, table: u32, ordinal: usize, each: u32) -> u32 {
    let place = table.wrapping_mul(each).wrapping_add(ordinal as u32);
    class | (place & 0x3FFF_FFFF)
}

fn column_list(table: &Table, columns: &[usize]) -> String {
    let names = columns
        .iter()
        .filter_map(|c| table.columns.get(*c))
        .map(|c| quote_identifier(&c.name));
    names.collect::<Vec<_>>().join(", ")
}

/// As `pg_get_indexdef` prints it; `qualified` puts the schema before the table's name.
pub fn index_definition(i: &IndexInfo<'_>, qualified: bool) -> String {
    let unique = if i.unique { "UNIQUE " } else { "" };
    let schema = if qualified {
        format!("{}.", quote_identifier(&i.table.schema))
    } else {
        String::new()
    };
    format!(
        "CREATE {unique}INDEX {} ON {schema}{} USING btree ({})",
        quote_identifier(i.name),
        quote_identifier(&i.table.name),
        column_list(i.table, i.columns)
    )
}

/// As `pg_get_constraintdef` prints it.
pub fn constraint_definition(c: &Constraint<'_>) -> String {
    match (c.kind, c.check) {
        (ConstraintKind::PrimaryKey, _) => {
            format!("PRIMARY KEY ({})", column_list(c.table, &c.columns))
        }
        (ConstraintKind::Unique, _) => format!("UNIQUE ({})", column_list(c.table, &c.columns)),
        (ConstraintKind::Check, Some(check)) => format!("CHECK ({})", check.sql),
        (ConstraintKind::Check, None) => String::new(),
    }
}
