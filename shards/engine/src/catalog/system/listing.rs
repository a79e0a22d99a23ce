//! Rows of `pg_tables`, `pg_indexes` and `pg_views`.

use super::definitions::relations;
use super::indexes::{index_definition, indexes};
use super::values::{null, text, yes};
use crate::catalog::{TableKind, qualify};
use crate::exec::Context;
use types::Row;

pub(super) fn tables(ctx: &Context) -> Vec<Row> {
    let row = |schema: &str, name: &str, indexed: bool| -> Row {
        vec![
            text(schema),
            text(name),
            text(&ctx.session.user),
            null(),
            yes(indexed),
            yes(false),
            yes(false),
            yes(false),
        ]
    };
    let system = relations().iter().filter(|r| !r.view);
    let mut rows: Vec<Row> = system.map(|r| row(r.schema, r.name, false)).collect();
    for t in ctx.catalog.tables.values() {
        if matches!(t.kind, TableKind::Materialized { .. }) {
            continue;
        }
        let indexed = t.has_key() || !t.indexes.is_empty();
        rows.push(row(&t.schema, &t.name, indexed));
    }
    rows
}

pub(super) fn indexes_of_tables(ctx: &Context) -> Vec<Row> {
    let row = |i: super::IndexInfo<'_>| -> Row {
        vec![
            text(&i.table.schema),
            text(&i.table.name),
            text(i.name),
            null(),
            text(&qualify::shown(ctx, &index_definition(&i, true), None)),
        ]
    };
    indexes(&ctx.catalog).map(row).collect()
}

/// The system views are computed, so there is no statement behind them.
pub(super) fn views(ctx: &Context) -> Vec<Row> {
    let system = relations().iter().filter(|r| r.view);
    let row = |r: &super::Relation| -> Row {
        vec![
            text(r.schema),
            text(r.name),
            text(&ctx.session.user),
            null(),
        ]
    };
    let own = ctx.catalog.views.values().map(|v| -> Row {
        vec![
            text(&v.schema),
            text(&v.name),
            text(&ctx.session.user),
            text(&qualify::query_shown(ctx, &v.query)),
        ]
    });
    system.map(row).chain(own).collect()
}
