//! Rows of `information_schema`.
//!
//! Source: PostgreSQL 15's `information_schema.sql`.

use super::definitions::{PG_CATALOG, relations};
use super::describe::{ConstraintKind, constraints};
use super::values::{int4, null, text};
use super::{Constraint, Relation};
use crate::exec::Context;
use types::limits::ROW_BYTES_MAX;
use types::{DataType, Row, Value};

const YES: &str = "YES";
const NO: &str = "NO";

fn yes_no(v: bool) -> Value {
    text(if v { YES } else { NO })
}

fn database(ctx: &Context) -> Value {
    text(&ctx.session.database)
}

pub(super) fn catalog_name(ctx: &Context) -> Vec<Row> {
    vec![vec![database(ctx)]]
}

pub(super) fn enabled_roles(ctx: &Context) -> Vec<Row> {
    vec![vec![text(&ctx.session.user)]]
}

pub(super) fn schemata(ctx: &Context) -> Vec<Row> {
    let row = |name| -> Row {
        let mut row = vec![database(ctx), text(name), text(&ctx.session.user)];
        row.resize(7, Value::Null);
        row
    };
    ["information_schema", PG_CATALOG, "public"].map(row).into()
}

pub(super) fn tables(ctx: &Context) -> Vec<Row> {
    let row = |schema: &str, name: &str, view: bool, writable: bool| -> Row {
        vec![
            database(ctx),
            text(schema),
            text(name),
            text(if view { "VIEW" } else { "BASE TABLE" }),
            null(),
            null(),
            null(),
            null(),
            null(),
            yes_no(writable),
            text(NO),
            null(),
        ]
    };
    let system = relations().iter();
    let mut rows: Vec<Row> = system
        .map(|r| row(r.schema, r.name, r.view, false))
        .collect();
    let user = ctx.catalog.tables.values();
    rows.extend(user.map(|t| row(&t.schema, &t.name, false, true)));
    rows
}

pub(super) fn views(ctx: &Context) -> Vec<Row> {
    let row = |r: &Relation| -> Row {
        let mut row = vec![
            database(ctx),
            text(r.schema),
            text(r.name),
            null(),
            text("NONE"),
        ];
        row.extend([NO; 5].map(text));
        row
    };
    relations().iter().filter(|r| r.view).map(row).collect()
}

/// What differs between the rows of `columns`.
struct Column<'a> {
    schema: &'a str,
    table: &'a str,
    name: &'a str,
    number: usize,
    default: Option<&'a str>,
    not_null: bool,
    ty: DataType,
    typmod: i32,
    updatable: bool,
}

/// Precision, radix and scale.
fn numeric_facts(ty: DataType, typmod: i32) -> [Value; 3] {
    let of = |precision: i32, scale: Option<i32>| {
        let scale = scale.map_or(Value::Null, int4);
        [int4(precision), int4(2), scale]
    };
    match ty {
        DataType::Int2 => of(16, Some(0)),
        DataType::Int4 => of(32, Some(0)),
        DataType::Int8 => of(64, Some(0)),
        DataType::Float4 => of(24, None),
        DataType::Float8 => of(53, None),
        DataType::Numeric if typmod >= 4 => {
            let packed = typmod - 4;
            // The scale has 11 bits and a sign.
            let scale = ((packed & 0x7ff) ^ 1024) - 1024;
            [int4((packed >> 16) & 0xffff), int4(10), int4(scale)]
        }
        DataType::Numeric => [null(), int4(10), null()],
        _ => [null(), null(), null()],
    }
}

/// Length in characters, and in bytes.
fn length_facts(ty: DataType, typmod: i32) -> [Value; 2] {
    match ty {
        DataType::Varchar | DataType::Bpchar if typmod >= 4 => {
            [int4(typmod - 4), int4((typmod - 4).saturating_mul(4))]
        }
        DataType::Text | DataType::Varchar | DataType::Bpchar => {
            [null(), int4(ROW_BYTES_MAX as i32)]
        }
        _ => [null(), null()],
    }
}

fn datetime_precision(ty: DataType, typmod: i32) -> Value {
    match ty {
        DataType::Date => int4(0),
        DataType::Time | DataType::Timestamp | DataType::Timestamptz => {
            int4(if typmod < 0 { 6 } else { typmod })
        }
        DataType::Interval => match typmod & 0xffff {
            decimals @ 0..=6 if typmod >= 0 => int4(decimals),
            _ => int4(6),
        },
        _ => null(),
    }
}

impl Column<'_> {
    fn row(&self, ctx: &Context) -> Row {
        let [precision, radix, scale] = numeric_facts(self.ty, self.typmod);
        let [characters, bytes] = length_facts(self.ty, self.typmod);
        let shown = if self.ty.is_array() {
            "ARRAY"
        } else {
            self.ty.sql_name()
        };
        let mut row = vec![
            database(ctx),
            text(self.schema),
            text(self.table),
            text(self.name),
            int4(self.number as i32),
            self.default.map_or(Value::Null, text),
            yes_no(!self.not_null),
            text(shown),
            characters,
            bytes,
            precision,
            radix,
            scale,
            datetime_precision(self.ty, self.typmod),
        ];
        // Interval, character set, collation and domain: none of it applies.
        row.resize(25, Value::Null);
        row.extend([database(ctx), text(PG_CATALOG), text(self.ty.name())]);
        row.resize(32, Value::Null);
        row.extend([text(&self.number.to_string()), text(NO), text(NO)]);
        row.resize(40, Value::Null);
        row.extend([text(NO), text("NEVER"), null(), yes_no(self.updatable)]);
        row
    }
}

pub(super) fn columns(ctx: &Context) -> Vec<Row> {
    let mut rows = Vec::new();
    for r in relations() {
        for (i, c) in r.columns.iter().enumerate() {
            let column = Column {
                schema: r.schema,
                table: r.name,
                name: c.name,
                number: i + 1,
                default: None,
                not_null: !r.view && c.name == "oid",
                ty: c.ty,
                typmod: -1,
                updatable: false,
            };
            rows.push(column.row(ctx));
        }
    }
    for t in ctx.catalog.tables.values() {
        for (i, c) in t.columns.iter().enumerate() {
            let column = Column {
                schema: &t.schema,
                table: &t.name,
                name: &c.name,
                number: i + 1,
                default: c.default.as_ref().map(|d| d.sql.as_str()),
                not_null: c.not_null,
                ty: c.ty,
                typmod: c.typmod,
                updatable: true,
            };
            rows.push(column.row(ctx));
        }
    }
    rows
}

/// NOT NULL counts as a check here: name and clause, as PostgreSQL makes them up.
fn not_nulls(ctx: &Context) -> impl Iterator<Item = (String, String, &str)> {
    ctx.catalog.tables.values().flat_map(|t| {
        let columns = t.columns.iter().enumerate().filter(|(_, c)| c.not_null);
        columns.map(|(i, c)| {
            let schema = super::PUBLIC_OID;
            (
                format!("{schema}_{}_{}_not_null", t.id.0, i + 1),
                format!("{} IS NOT NULL", c.name),
                t.name.as_str(),
            )
        })
    })
}

pub(super) fn table_constraints(ctx: &Context) -> Vec<Row> {
    let row = |name: &str, table: &str, kind: &str, nulls: Value| -> Row {
        vec![
            database(ctx),
            text("public"),
            text(name),
            database(ctx),
            text("public"),
            text(table),
            text(kind),
            text(NO),
            text(NO),
            text(YES),
            nulls,
        ]
    };
    let named = constraints(&ctx.catalog).map(|c| {
        let (kind, nulls) = match c.kind {
            ConstraintKind::PrimaryKey => ("PRIMARY KEY", null()),
            ConstraintKind::Unique => ("UNIQUE", text(YES)),
            ConstraintKind::Check => ("CHECK", null()),
        };
        row(c.name, &c.table.name, kind, nulls)
    });
    let implied = not_nulls(ctx).map(|(name, _, table)| row(&name, table, "CHECK", null()));
    named.chain(implied).collect()
}

pub(super) fn check_constraints(ctx: &Context) -> Vec<Row> {
    let row = |name: &str, clause: &str| -> Row {
        vec![database(ctx), text("public"), text(name), text(clause)]
    };
    let checks =
        constraints(&ctx.catalog).filter_map(|c| Some(row(c.name, &format!("({})", c.check?.sql))));
    let implied = not_nulls(ctx).map(|(name, clause, _)| row(&name, &clause));
    checks.chain(implied).collect()
}

pub(super) fn key_column_usage(ctx: &Context) -> Vec<Row> {
    let keys = constraints(&ctx.catalog).filter(|c| c.kind != ConstraintKind::Check);
    keys.flat_map(|c| {
        let columns = named_columns(&c);
        let rows = columns.into_iter().enumerate().map(|(i, column)| -> Row {
            vec![
                database(ctx),
                text("public"),
                text(c.name),
                database(ctx),
                text("public"),
                text(&c.table.name),
                text(column),
                int4(i as i32 + 1),
                null(),
            ]
        });
        rows.collect::<Vec<Row>>()
    })
    .collect()
}

fn named_columns<'a>(c: &Constraint<'a>) -> Vec<&'a str> {
    let columns = c.columns.iter().filter_map(|i| c.table.columns.get(*i));
    columns.map(|c| c.name.as_str()).collect()
}

pub(super) fn constraint_column_usage(ctx: &Context) -> Vec<Row> {
    let rows = constraints(&ctx.catalog).flat_map(|c| {
        let columns = named_columns(&c).into_iter().map(|column| -> Row {
            vec![
                database(ctx),
                text("public"),
                text(&c.table.name),
                text(column),
                database(ctx),
                text("public"),
                text(c.name),
            ]
        });
        columns.collect::<Vec<Row>>()
    });
    rows.collect()
}

pub(super) fn constraint_table_usage(ctx: &Context) -> Vec<Row> {
    let keys = constraints(&ctx.catalog).filter(|c| c.kind != ConstraintKind::Check);
    let row = |c: Constraint<'_>| -> Row {
        vec![
            database(ctx),
            text("public"),
            text(&c.table.name),
            database(ctx),
            text("public"),
            text(c.name),
        ]
    };
    keys.map(row).collect()
}

pub(super) fn character_sets(ctx: &Context) -> Vec<Row> {
    vec![vec![
        null(),
        null(),
        text("UTF8"),
        text("UCS"),
        text("UTF8"),
        database(ctx),
        text(PG_CATALOG),
        text("C"),
    ]]
}

pub(super) fn collations(ctx: &Context) -> Vec<Row> {
    let row = |name| -> Row { vec![database(ctx), text(PG_CATALOG), text(name), text("NO PAD")] };
    ["default", "C", "POSIX"].map(row).into()
}
