//! `pg_catalog` and `information_schema`, made from a catalog snapshot.
//!
//! Owns: the system relations' columns and rows. Nothing is stored: each is computed from the snapshot, the function and
//! type registries and the session when it is read. A relation that is always empty is so because nothing of its kind
//! exists (no rules, no roles besides the session's, …); one that could only be made up is absent.
//! Asked by: the binder and planner (`columns`), the `System` operator (`rows`), functions that describe objects
//! (`indexes`, `constraints` and their definitions).
//! Never: reads a table's rows or counts them. Bounds: rows are linear in the number of relations and columns.
//! Source: PostgreSQL 15, chapter 53 (System Catalogs) and chapter 37 (The Information Schema).

pub mod activity;
pub mod definitions;
mod depend;
mod describe;
mod indexes;
mod information;
mod listing;
mod objects;
mod privileges;
mod procs;
mod relations;
mod routines;
mod server;
mod statistics;
mod triggers;
mod types;
mod values;

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(super) use tests::context_of;

use crate::exec::Context;
use crate::plan::SystemTable;
use ::types::{DataType, Row};

pub use definitions::{
    INFORMATION_SCHEMA_OID, PG_CATALOG_OID, PUBLIC_OID, Relation, find, relations as all,
};
pub use describe::{
    Constraint, ConstraintKind, attrdef_oid, constraint_definition, constraints, domain_checks,
};
pub use indexes::{IndexInfo, index_definition, indexes, part_definition, part_names, part_text};
pub use objects::{PUBLIC_COMMENT, serial_sequence, view_query};
pub use procs::{io_function, io_function_name, signature_oid};
pub use server::{EXTENSION, EXTENSION_OID};
pub use types::class_named;
pub use values::{DATABASE_OWNER, OWNER};

/// The oid of a system relation, as `pg_description.classoid` has it; 0 for none of that name.
pub fn class_oid(name: &str) -> u32 {
    find("pg_catalog", name).map_or(0, |r| r.oid)
}

/// A column of a system relation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SystemColumn {
    pub name: &'static str,
    pub ty: DataType,
}

/// Columns in order; `None` when there is no such relation. `schema` "" searches `pg_catalog`.
pub fn columns(schema: &str, table: &str) -> Option<&'static [SystemColumn]> {
    find(schema, table).map(|r| r.columns.as_slice())
}

/// Schema and name of every system relation.
pub fn names() -> impl Iterator<Item = (&'static str, &'static str)> {
    all().iter().map(|r| (r.schema, r.name))
}

/// What has to be asked of the whole server before its rows can be made, and what makes them.
pub fn asked(table: &SystemTable) -> Option<(activity::Asked, definitions::LiveSource)> {
    find(&table.schema, &table.name)?.live
}

/// All rows, each with every column in order; none for a relation that does not exist.
pub fn rows(table: &SystemTable, ctx: &Context) -> Vec<Row> {
    find(&table.schema, &table.name).map_or_else(Vec::new, |r| (r.rows)(ctx))
}
