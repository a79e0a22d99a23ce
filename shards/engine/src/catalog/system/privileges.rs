//! Rows of `information_schema` about who may do what, about the elements of arrays, and about what views read.
//!
//! Nobody has granted anything: the one user owns all there is, and everybody reads the system's relations.
//! Source: PostgreSQL 15's `information_schema.sql`.

use super::definitions::relations;
use super::information::{database, is_materialized, udt, yes_no};
use super::values::text;
use crate::catalog::{Catalog, Relation, View};
use crate::exec::Context;
use types::{DataType, Row, Value};

const OF_TABLES: [&str; 7] = [
    "INSERT",
    "SELECT",
    "UPDATE",
    "DELETE",
    "TRUNCATE",
    "REFERENCES",
    "TRIGGER",
];
const OF_COLUMNS: [&str; 4] = ["UPDATE", "SELECT", "REFERENCES", "INSERT"];

/// Schema, name, columns, and whether it is the system's.
type Listed<'a> = (&'a str, &'a str, Vec<(&'a str, DataType)>, bool);

fn listed(catalog: &Catalog) -> impl Iterator<Item = Listed<'_>> {
    let system = relations().iter().map(|r| {
        let columns = r.columns.iter().map(|c| (c.name, c.ty)).collect();
        (r.schema, r.name, columns, true)
    });
    let tables = catalog.tables.values().filter(|t| !is_materialized(t));
    let tables = tables.map(|t| {
        let columns = t.columns.iter().map(|c| (c.name.as_str(), c.ty)).collect();
        (t.schema.as_str(), t.name.as_str(), columns, false)
    });
    let views = catalog.views.values().map(|v| {
        let columns = v.columns.iter().map(|c| (c.name.as_str(), c.ty)).collect();
        (v.schema.as_str(), v.name.as_str(), columns, false)
    });
    system.chain(tables).chain(views)
}

/// By whom and to whom, on what, which, and whether it may be passed on.
fn grant(ctx: &Context, to: &str, on: &[&str], what: &str) -> Row {
    let mut row = vec![text(&ctx.session.user), text(to), database(ctx)];
    row.extend(on.iter().map(|name| text(name)));
    row.extend([text(what), yes_no(to != "PUBLIC")]);
    row
}

pub(super) fn of_tables(ctx: &Context) -> Vec<Row> {
    let mut out = Vec::new();
    for (schema, name, _, system) in listed(&ctx.catalog) {
        let mut put = |to: &str, what: &str| {
            let mut row = grant(ctx, to, &[schema, name], what);
            row.push(yes_no(what == "SELECT"));
            out.push(row);
        };
        let user = &ctx.session.user;
        match system {
            true => ["PUBLIC", user].iter().for_each(|to| put(to, "SELECT")),
            false => OF_TABLES.iter().for_each(|what| put(user, what)),
        }
    }
    out
}

pub(super) fn of_columns(ctx: &Context) -> Vec<Row> {
    let mut out = Vec::new();
    for (schema, name, columns, system) in listed(&ctx.catalog) {
        let user = &ctx.session.user;
        for (column, _) in columns {
            let mut put = |to: &str, what: &str| {
                out.push(grant(ctx, to, &[schema, name, column], what));
            };
            match system {
                true => ["PUBLIC", user].iter().for_each(|to| put(to, "SELECT")),
                false => OF_COLUMNS.iter().for_each(|what| put(user, what)),
            }
        }
    }
    out
}

/// Of each column that holds arrays, what they hold.
pub(super) fn element_types(ctx: &Context) -> Vec<Row> {
    let mut out = Vec::new();
    for (schema, name, columns, _) in listed(&ctx.catalog) {
        for (at, (_, ty)) in columns.iter().enumerate() {
            let Some(element) = ty.element() else {
                continue;
            };
            let number = at + 1;
            let mut row = vec![
                database(ctx),
                text(schema),
                text(name),
                text("TABLE"),
                text(&number.to_string()),
                text(super::information::kind_of_type(element)),
            ];
            row.resize(21, Value::Null);
            row.extend(udt(element, ctx));
            row.resize(28, Value::Null);
            row.push(text(&format!("a{number}")));
            out.push(row);
        }
    }
    out
}

/// The views' names with those of what they read, and its columns that they name.
fn read_by_views(ctx: &Context) -> Vec<(&View, Relation, Vec<&str>)> {
    let mut out = Vec::new();
    for view in ctx.catalog.views.values() {
        for reads in &view.query.reads {
            if let Some(relation) = ctx.catalog.relation_by_oid(reads.relation.0) {
                let used = reads.columns.iter().filter(|c| c.used);
                out.push((&**view, relation, used.map(|c| c.name.as_str()).collect()));
            }
        }
    }
    out
}

fn usage(ctx: &Context, view: &View, relation: &Relation) -> Row {
    vec![
        database(ctx),
        text(&view.schema),
        text(&view.name),
        database(ctx),
        text(relation.schema()),
        text(relation.name()),
    ]
}

pub(super) fn view_tables(ctx: &Context) -> Vec<Row> {
    let all = read_by_views(ctx);
    let mut out: Vec<Row> = Vec::with_capacity(all.len());
    for (view, relation, _) in &all {
        let row = usage(ctx, view, relation);
        if out.last() != Some(&row) {
            out.push(row);
        }
    }
    out
}

pub(super) fn view_columns(ctx: &Context) -> Vec<Row> {
    let mut out = Vec::new();
    for (view, relation, columns) in &read_by_views(ctx) {
        for column in columns {
            let mut row = usage(ctx, view, relation);
            row.push(text(column));
            out.push(row);
        }
    }
    out
}
