//! Rows about what users have made besides tables: schemas, views, sequences, comments.
//!
//! Source: PostgreSQL 15's `system_views.sql` and `information_schema.sql`.

use super::definitions::{INFORMATION_SCHEMA_OID, PG_CATALOG_OID, PUBLIC_OID};
use super::server::{EXTENSION_COMMENT, EXTENSION_OID};
use super::values::{DATABASE_OWNER, OWNER, array, int4, null, oid, text, yes};
use crate::catalog::{Catalog, Sequence, Stated, TableKind};
use crate::exec::Context;
use types::{DataType, Reg, Row, Value};

/// What is said about the schema `public` until somebody says something else.
pub const PUBLIC_COMMENT: &str = "standard public schema";

pub(super) fn namespaces(ctx: &Context) -> Vec<Row> {
    // What everybody may do with `public` after initdb.
    let free = [
        "pg_database_owner=UC/pg_database_owner",
        "=U/pg_database_owner",
    ];
    let free = || array(DataType::Text, free.map(text).into());
    let row = |id, name: &str, owner| -> Row {
        let access = if owner == DATABASE_OWNER {
            free()
        } else {
            null()
        };
        vec![oid(id), text(name), oid(owner), access]
    };
    let mut rows = vec![
        row(PG_CATALOG_OID, "pg_catalog", OWNER),
        row(PUBLIC_OID, "public", DATABASE_OWNER),
        row(INFORMATION_SCHEMA_OID, "information_schema", OWNER),
    ];
    let own = ctx.catalog.schemas.values();
    rows.extend(own.map(|s| row(s.oid, &s.name, OWNER)));
    rows
}

/// The oid of a user's schema.
pub(super) fn schema(catalog: &Catalog, name: &str) -> u32 {
    catalog.schema_oid(name).unwrap_or(PUBLIC_OID)
}

pub(super) fn sequence(ctx: &Context) -> Vec<Row> {
    let row = |s: &Sequence| -> Row {
        vec![
            oid(s.id.0),
            oid(s.ty.oid()),
            Value::Int8(s.start),
            Value::Int8(s.increment),
            Value::Int8(s.max),
            Value::Int8(s.min),
            Value::Int8(s.cache),
            yes(s.cycle),
        ]
    };
    ctx.catalog.sequences.values().map(|s| row(s)).collect()
}

/// Where each is, is known to its home partition alone: `pg_sequence_last_value` asks it.
pub(super) fn sequences(ctx: &Context) -> Vec<Row> {
    let row = |s: &Sequence| -> Row {
        let ty = Reg {
            oid: s.ty.oid(),
            name: s.ty.sql_name().into(),
        };
        vec![
            text(&s.schema),
            text(&s.name),
            text(&ctx.session.user),
            Value::Reg(ty),
            Value::Int8(s.start),
            Value::Int8(s.min),
            Value::Int8(s.max),
            Value::Int8(s.increment),
            yes(s.cycle),
            Value::Int8(s.cache),
            null(),
        ]
    };
    ctx.catalog.sequences.values().map(|s| row(s)).collect()
}

/// Of `information_schema`: those of identity columns are not in it.
pub(super) fn information_sequences(ctx: &Context) -> Vec<Row> {
    let precision = |ty| match ty {
        DataType::Int2 => 16,
        DataType::Int4 => 32,
        _ => 64,
    };
    let row = |s: &Sequence| -> Row {
        vec![
            text(&ctx.session.database),
            text(&s.schema),
            text(&s.name),
            text(s.ty.sql_name()),
            int4(precision(s.ty)),
            int4(2),
            int4(0),
            text(&s.start.to_string()),
            text(&s.min.to_string()),
            text(&s.max.to_string()),
            text(&s.increment.to_string()),
            text(if s.cycle { "YES" } else { "NO" }),
        ]
    };
    let all = ctx.catalog.sequences.values().filter(|s| !s.internal);
    all.map(|s| row(s)).collect()
}

pub(super) fn descriptions(ctx: &Context) -> Vec<Row> {
    let comments = ctx.catalog.comments.iter();
    let row = |class: u32, object: u32, column: i32, comment: &str| -> Row {
        vec![oid(object), oid(class), int4(column), text(comment)]
    };
    let rows = comments.map(|(key, said)| row(key.class, key.object, key.column, said));
    let mut rows: Vec<Row> = rows.collect();
    let schemas = super::class_oid("pg_namespace");
    let mut said = ctx.catalog.comments.keys();
    if !said.any(|key| (key.class, key.object) == (schemas, PUBLIC_OID)) {
        rows.push(row(schemas, PUBLIC_OID, 0, PUBLIC_COMMENT));
    }
    let extensions = super::class_oid("pg_extension");
    let mut said = ctx.catalog.comments.keys();
    if said.any(|key| (key.class, key.object) == (extensions, EXTENSION_OID)) {
        return rows;
    }
    rows.push(row(extensions, EXTENSION_OID, 0, EXTENSION_COMMENT));
    rows
}

pub(super) fn materialized(ctx: &Context) -> Vec<Row> {
    let tables = ctx.catalog.tables.values();
    let rows = tables.filter_map(|t| match &t.kind {
        TableKind::Materialized { query, populated } => Some(vec![
            text(&t.schema),
            text(&t.name),
            text(&ctx.session.user),
            null(),
            yes(!t.indexes.is_empty()),
            yes(*populated),
            text(&crate::catalog::qualify::query_shown(ctx, query)),
        ]),
        TableKind::Ordinary | TableKind::Temporary(_) => None,
    });
    rows.collect()
}

/// The query of a view or materialized view.
pub fn view_query(catalog: &Catalog, id: u32) -> Option<&Stated> {
    let id = types::TableId(id);
    if let Some(view) = catalog.views.get(&id) {
        return Some(&view.query);
    }
    match &catalog.tables.get(&id)?.kind {
        TableKind::Materialized { query, .. } => Some(query),
        TableKind::Ordinary | TableKind::Temporary(_) => None,
    }
}

/// `schema.sequence` that goes with a table's column.
pub fn serial_sequence(catalog: &Catalog, table: u32, number: i16) -> Option<&Sequence> {
    let owner = Some((types::TableId(table), number));
    let mut all = catalog.sequences.values();
    all.find(|s| s.owner == owner).map(|s| &**s)
}
