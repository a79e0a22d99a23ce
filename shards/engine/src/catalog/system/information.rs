//! Rows of `information_schema`.
//!
//! Source: PostgreSQL 15's `information_schema.sql`.

use super::Constraint;
use super::definitions::{PG_CATALOG, relations};
use super::describe::{ConstraintKind, action_name, constraints, domain_checks};
use super::values::{self, int4, null, text};
use crate::catalog::{Catalog, Check, Sequence, Table, TableKind, UserType, UserTypeKind};
use crate::catalog::{path, qualify};
use crate::exec::Context;
use types::limits::ROW_BYTES_MAX;
use types::time::range::Range;
use types::{DataType, Row, Value};

const YES: &str = "YES";
const NO: &str = "NO";

pub(super) fn yes_no(v: bool) -> Value {
    text(if v { YES } else { NO })
}

pub(super) fn database(ctx: &Context) -> Value {
    text(&ctx.session.database)
}

pub(super) fn catalog_name(ctx: &Context) -> Vec<Row> {
    vec![vec![database(ctx)]]
}

pub(super) fn enabled_roles(ctx: &Context) -> Vec<Row> {
    vec![vec![text(&ctx.session.user)]]
}

pub(super) fn schemata(ctx: &Context) -> Vec<Row> {
    let row = |name: &str| -> Row {
        let mut row = vec![database(ctx), text(name), text(&ctx.session.user)];
        row.resize(7, Value::Null);
        row
    };
    let system = ["information_schema", PG_CATALOG, "public"].into_iter();
    let own = ctx.catalog.schemas.values().map(|s| s.name.as_str());
    system.chain(own).map(row).collect()
}

pub(super) fn tables(ctx: &Context) -> Vec<Row> {
    let own = path::temporary(ctx);
    let seen = |schema: &str| !schema.starts_with("pg_temp_") || schema == own;
    let row = |schema: &str, name: &str, view: bool, writable: bool| -> Row {
        vec![
            database(ctx),
            text(schema),
            text(name),
            text(match view {
                true => "VIEW",
                false if schema == own => "LOCAL TEMPORARY",
                false => "BASE TABLE",
            }),
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
    let user = ctx
        .catalog
        .tables
        .values()
        .filter(|t| !is_materialized(t) && seen(&t.schema));
    rows.extend(user.map(|t| row(&t.schema, &t.name, false, true)));
    let views = ctx.catalog.views.values().filter(|v| seen(&v.schema));
    rows.extend(views.map(|v| row(&v.schema, &v.name, true, v.is_updatable())));
    rows
}

/// They are not of the standard, so they are not in `information_schema`.
pub(super) fn is_materialized(t: &Table) -> bool {
    matches!(t.kind, TableKind::Materialized { .. })
}

pub(super) fn views(ctx: &Context) -> Vec<Row> {
    let row = |schema: &str, name: &str, definition: Value, of: (bool, Option<bool>)| -> Row {
        let (updatable, check) = of;

        let mut row = vec![
            database(ctx),
            text(schema),
            text(name),
            definition,
            text(match check {
                None => "NONE",
                Some(true) => "CASCADED",
                Some(false) => "LOCAL",
            }),
        ];
        row.extend([updatable, updatable, false, false, false].map(yes_no));
        row
    };
    let system = relations().iter().filter(|r| r.view);
    let own = ctx.catalog.views.values().map(|v| {
        let definition = crate::catalog::qualify::query_shown(ctx, &v.query);
        row(
            &v.schema,
            &v.name,
            text(&definition),
            (v.is_updatable(), v.check),
        )
    });
    let system = system.map(|r| row(r.schema, r.name, null(), (false, None)));
    system.chain(own).collect()
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
    /// GENERATED ALWAYS (true) or BY DEFAULT AS IDENTITY, with its sequence.
    identity: Option<(bool, &'a Sequence)>,
    generated: Option<&'a str>,
    /// The domain that it was declared with.
    domain: Option<&'a UserType>,
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

/// The fields of an interval type, with decimals behind them.
fn interval_type(ty: DataType, typmod: i32) -> Value {
    let suffix = match ty {
        DataType::Interval => Range::of(typmod).suffix(),
        _ => String::new(),
    };
    match suffix.strip_prefix(' ') {
        Some(fields) => text(&fields.to_uppercase()),
        None => null(),
    }
}

/// `data_type`.
pub(super) fn kind_of_type(ty: DataType) -> &'static str {
    match ty {
        ty if ty.is_array() => "ARRAY",
        DataType::Enum(_) | DataType::Composite(_) => "USER-DEFINED",
        ty => ty.sql_name(),
    }
}

/// `udt_catalog`, `udt_schema` and `udt_name`.
pub(super) fn udt(ty: DataType, ctx: &Context) -> [Value; 3] {
    let own = ty.user_oid();
    match own.and_then(|oid| ctx.catalog.name_of_type(oid)) {
        Some((schema, name)) if ty.is_array() => {
            [database(ctx), text(schema), text(&format!("_{name}"))]
        }
        Some((schema, name)) => [database(ctx), text(schema), text(name)],
        None => [database(ctx), text(PG_CATALOG), text(ty.name())],
    }
}

fn domain_of(catalog: &Catalog, declared: u32) -> Option<&UserType> {
    let found = catalog.types.get(&declared);
    found.map(|t| &**t).filter(|t| t.is_domain())
}

/// The type that a domain is over, which may be a domain.
fn directly_under(domain: &UserType) -> Option<(DataType, i32)> {
    match &domain.kind {
        UserTypeKind::Domain { base, typmod, .. } => Some((*base, *typmod)),
        UserTypeKind::Enum { .. } | UserTypeKind::Composite { .. } => None,
    }
}

pub(super) fn domains(ctx: &Context) -> Vec<Row> {
    let row = |d: &UserType| -> Option<Row> {
        let (ty, typmod) = directly_under(d)?;
        let default = ctx.catalog.domain_default(d.oid);
        let mut row = vec![
            database(ctx),
            text(&d.schema),
            text(&d.name),
            text(kind_of_type(ty)),
        ];
        row.extend(length_facts(ty, typmod));
        row.resize(12, Value::Null);
        row.extend(numeric_facts(ty, typmod));
        row.push(datetime_precision(ty, typmod));
        row.resize(18, Value::Null);
        row.push(default.map_or(Value::Null, |d| text(&d.sql)));
        row.extend(udt(ty, ctx));
        row.resize(26, Value::Null);
        row.push(text("1"));
        Some(row)
    };
    ctx.catalog.types.values().filter_map(|d| row(d)).collect()
}

pub(super) fn domain_constraints(ctx: &Context) -> Vec<Row> {
    let row = |(_, domain, check): (u32, &UserType, &Check)| -> Row {
        vec![
            database(ctx),
            text(&domain.schema),
            text(&check.name),
            database(ctx),
            text(&domain.schema),
            text(&domain.name),
            text(NO),
            text(NO),
        ]
    };
    domain_checks(&ctx.catalog).map(row).collect()
}

impl Column<'_> {
    fn row(&self, ctx: &Context) -> Row {
        // Of a domain over another: that one, which says no more.
        let under = self.domain.and_then(directly_under);
        let (ty, typmod) = under.unwrap_or((self.ty, self.typmod));
        let [precision, radix, scale] = numeric_facts(ty, typmod);
        let [characters, bytes] = length_facts(ty, typmod);
        let mut row = vec![
            database(ctx),
            text(self.schema),
            text(self.table),
            text(self.name),
            int4(self.number as i32),
            self.default.map_or(Value::Null, |sql| {
                text(&qualify::shown(ctx, &values::default(sql), None))
            }),
            yes_no(
                !self.not_null
                    && !self
                        .domain
                        .is_some_and(|d| ctx.catalog.domain_not_null(d.oid)),
            ),
            text(kind_of_type(ty)),
            characters,
            bytes,
            precision,
            radix,
            scale,
            datetime_precision(ty, typmod),
        ];
        row.push(interval_type(ty, typmod));
        // Interval's precision, character set and collation: none of it applies.
        row.resize(22, Value::Null);
        match self.domain {
            Some(d) => row.extend([database(ctx), text(&d.schema), text(&d.name)]),
            None => row.resize(25, Value::Null),
        }
        row.extend(udt(ty, ctx));
        row.resize(32, Value::Null);
        let identity = self.identity.is_some();
        row.extend([text(&self.number.to_string()), text(NO), yes_no(identity)]);
        if let Some((always, s)) = self.identity {
            let number = |n: i64| text(&n.to_string());
            row.push(text(if always { "ALWAYS" } else { "BY DEFAULT" }));
            row.extend([s.start, s.increment, s.max, s.min].map(number));
            row.push(yes_no(s.cycle));
        }
        row.resize(40, Value::Null);
        if !identity {
            row.push(text(NO));
        } else {
            row.resize(41, text(NO));
        }
        row.push(text(if self.generated.is_some() {
            "ALWAYS"
        } else {
            "NEVER"
        }));
        row.push(self.generated.map_or(Value::Null, text));
        row.push(yes_no(self.updatable));
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
                identity: None,
                generated: None,
                domain: None,
            };
            rows.push(column.row(ctx));
        }
    }
    for t in ctx.catalog.tables.values().filter(|t| !is_materialized(t)) {
        for c in &t.columns {
            let identity = c.identity.and_then(|i| {
                let sequence = ctx.catalog.sequences.get(&i.sequence)?;
                Some((i.always, &**sequence))
            });
            let column = Column {
                schema: &t.schema,
                table: &t.name,
                name: &c.name,
                number: c.number as usize,
                default: c.default.as_ref().map(|d| d.sql.as_str()),
                not_null: c.not_null,
                ty: c.ty,
                typmod: c.typmod,
                updatable: true,
                identity,
                generated: c.generated.as_ref().map(|g| g.sql.as_str()),
                domain: domain_of(&ctx.catalog, c.declared),
            };
            rows.push(column.row(ctx));
        }
    }
    for v in ctx.catalog.views.values() {
        for (i, c) in v.columns.iter().enumerate() {
            let column = Column {
                schema: &v.schema,
                table: &v.name,
                name: &c.name,
                number: i + 1,
                default: None,
                not_null: false,
                ty: c.ty,
                typmod: c.typmod,
                updatable: v.updatable.contains(&i),
                identity: None,
                generated: None,
                domain: None,
            };
            rows.push(column.row(ctx));
        }
    }
    rows
}

/// NOT NULL counts as a check here: name and clause, as PostgreSQL makes them up.
fn not_nulls(ctx: &Context) -> impl Iterator<Item = (String, String, &Table)> {
    ctx.catalog.tables.values().flat_map(|t| {
        let schema = super::objects::schema(&ctx.catalog, &t.schema);
        let columns = t.columns.iter().filter(|c| c.not_null);
        columns.map(move |c| {
            (
                format!("{schema}_{}_{}_not_null", t.id.0, c.number),
                format!("{} IS NOT NULL", c.name),
                &**t,
            )
        })
    })
}

pub(super) fn table_constraints(ctx: &Context) -> Vec<Row> {
    let row = |name: &str, table: &Table, kind: &str, timing: (bool, bool), nulls: Value| -> Row {
        vec![
            database(ctx),
            text(&table.schema),
            text(name),
            database(ctx),
            text(&table.schema),
            text(&table.name),
            text(kind),
            yes_no(timing.0),
            yes_no(timing.1),
            text(YES),
            nulls,
        ]
    };
    let named = constraints(&ctx.catalog).map(|c| {
        let (kind, nulls) = match c.kind {
            ConstraintKind::PrimaryKey => ("PRIMARY KEY", null()),
            ConstraintKind::Unique => ("UNIQUE", yes_no(!c.nulls_not_distinct())),
            ConstraintKind::Check => ("CHECK", null()),
            ConstraintKind::ForeignKey => ("FOREIGN KEY", null()),
        };
        let foreign = c.foreign.as_ref().map(|f| f.key);
        let timing = foreign.map_or((false, false), |k| (k.deferrable, k.initially_deferred));
        row(c.name, c.table, kind, timing, nulls)
    });
    let implied =
        not_nulls(ctx).map(|(name, _, table)| row(&name, table, "CHECK", (false, false), null()));
    named.chain(implied).collect()
}

pub(super) fn check_constraints(ctx: &Context) -> Vec<Row> {
    let row = |table: &Table, name: &str, clause: &str| -> Row {
        vec![database(ctx), text(&table.schema), text(name), text(clause)]
    };
    let checks = constraints(&ctx.catalog)
        .filter_map(|c| Some(row(c.table, c.name, &format!("({})", c.check?.sql))));
    let of_domains = domain_checks(&ctx.catalog).map(|(_, domain, check)| -> Row {
        let clause = text(&format!("({})", check.sql));
        let (schema, name) = (text(&domain.schema), text(&check.name));
        vec![database(ctx), schema, name, clause]
    });
    let implied = not_nulls(ctx).map(|(name, clause, table)| row(table, &name, &clause));
    checks.chain(of_domains).chain(implied).collect()
}

pub(super) fn key_column_usage(ctx: &Context) -> Vec<Row> {
    let keys = constraints(&ctx.catalog).filter(|c| c.kind != ConstraintKind::Check);
    keys.flat_map(|c| {
        let columns = named_columns(&c);
        let rows = columns.into_iter().enumerate().map(|(i, column)| -> Row {
            vec![
                database(ctx),
                text(&c.table.schema),
                text(c.name),
                database(ctx),
                text(&c.table.schema),
                text(&c.table.name),
                text(column),
                int4(i as i32 + 1),
                place_in_key(&c, i),
            ]
        });
        rows.collect::<Vec<Row>>()
    })
    .collect()
}

/// Which column of the referenced key a foreign key's column refers to.
fn place_in_key(c: &Constraint<'_>, at: usize) -> Value {
    let place = c.foreign.as_ref().and_then(|f| {
        let column = f.key.referenced_columns.get(at)?;
        let index = f.parent.indexes.iter().find(|i| i.id == f.key.index);
        let key = index.map_or_else(
            || f.parent.primary_key.clone(),
            |i| i.columns().unwrap_or_default(),
        );
        key.iter().position(|k| k == column)
    });
    place.map_or(Value::Null, |p| int4(p as i32 + 1))
}

pub(super) fn referential_constraints(ctx: &Context) -> Vec<Row> {
    let row = |c: Constraint<'_>| -> Option<Row> {
        let f = c.foreign?;
        let index = f.parent.indexes.iter().find(|i| i.id == f.key.index);
        let unique = index.map_or(f.parent.primary_key_name.as_str(), |i| i.name.as_str());
        // A plain unique index is no constraint.
        let constraint = index.is_none_or(|i| i.constraint);
        let shown = |v: Value| if constraint { v } else { null() };
        Some(vec![
            database(ctx),
            text(&c.table.schema),
            text(c.name),
            shown(database(ctx)),
            shown(text(&f.parent.schema)),
            shown(text(unique)),
            text(if f.key.full { "FULL" } else { "NONE" }),
            text(action_name(f.key.on_update)),
            text(action_name(f.key.on_delete)),
        ])
    };
    constraints(&ctx.catalog).filter_map(row).collect()
}

/// The table and columns that a constraint needs: a foreign key's are the referenced ones.
fn used<'a>(c: &Constraint<'a>) -> (&'a Table, Vec<&'a str>) {
    let Some(f) = &c.foreign else {
        return (c.table, named_columns(c));
    };
    let columns = f.key.referenced_columns.iter();
    let columns = columns.filter_map(|i| f.parent.columns.get(*i));
    (f.parent, columns.map(|c| c.name.as_str()).collect())
}

fn named_columns<'a>(c: &Constraint<'a>) -> Vec<&'a str> {
    let columns = c.columns.iter().filter_map(|i| c.table.columns.get(*i));
    columns.map(|c| c.name.as_str()).collect()
}

pub(super) fn constraint_column_usage(ctx: &Context) -> Vec<Row> {
    let rows = constraints(&ctx.catalog).flat_map(|c| {
        let (table, columns) = used(&c);
        let columns = columns.into_iter().map(|column| -> Row {
            vec![
                database(ctx),
                text(&table.schema),
                text(&table.name),
                text(column),
                database(ctx),
                text(&c.table.schema),
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
            text(&used(&c).0.schema),
            text(&used(&c).0.name),
            database(ctx),
            text(&c.table.schema),
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
