//! Rows of `pg_class`, `pg_attribute`, `pg_attrdef` and `pg_constraint`.

use super::definitions::{Relation, relations};
use super::describe::{ConstraintKind, attrdef_oid, constraints, domain_checks};
use super::indexes::{IndexInfo, indexes};
use super::objects;
use super::server::{BTREE, HEAP};
use super::types::{alignment, by_value, collation, storage};
use super::values::{self, OWNER, array, attnums, ch, int2, int4, null, oid, text, yes};
use crate::catalog::model::FIRST_USER_OID;
use crate::catalog::{
    Catalog, ColumnDef, Default, DroppedColumn, ForeignKey, ForeignKeyAction, Sequence, Table,
    TableKind, UserType, UserTypeKind, View,
};
use crate::exec::{Context, functions};
use std::sync::LazyLock;
use types::{DataType, Row, Value};

/// What differs between the rows of `pg_class`.
struct Class<'a> {
    oid: u32,
    name: &'a str,
    schema: u32,
    access_method: u32,
    file: u32,
    indexed: bool,
    kind: &'static str,
    columns: usize,
    checks: usize,
    /// It has triggers or foreign keys, or is referred to: what checks keys is triggers in PostgreSQL, and psql looks for keys only then.
    triggers: bool,
    /// -1 where it is not known.
    rows: f32,
}

impl Class<'_> {
    fn row(&self) -> Row {
        let table = matches!(self.kind, "r" | "m");
        vec![
            oid(self.oid),
            text(self.name),
            oid(self.schema),
            // A row of a table or view has a type of the same oid.
            oid(match self.kind {
                "r" | "m" | "v" | "c" if self.oid >= FIRST_USER_OID => self.oid,
                _ => 0,
            }),
            oid(0),
            oid(OWNER),
            oid(self.access_method),
            oid(self.file),
            oid(0),
            int4(0),
            Value::Float4(self.rows),
            int4(0),
            oid(0),
            yes(self.indexed),
            yes(false),
            ch("p"),
            ch(self.kind),
            int2(self.columns as i16),
            int2(self.checks as i16),
            yes(matches!(self.kind, "v" | "m")),
            yes(self.triggers),
            yes(false),
            yes(false),
            yes(false),
            yes(true),
            ch(if table { "d" } else { "n" }),
            yes(false),
            oid(0),
            Value::Int8(0),
            Value::Int8(0),
            null(),
            null(),
            null(),
        ]
    }
}

fn system_class(r: &Relation) -> Row {
    let class = Class {
        oid: r.oid,
        name: r.name,
        schema: r.schema_oid(),
        access_method: if r.view { 0 } else { HEAP },
        file: 0,
        indexed: false,
        kind: if r.view { "v" } else { "r" },
        columns: r.columns.len(),
        checks: 0,
        triggers: false,
        rows: -1.0,
    };
    class.row()
}

fn table_class(t: &Table, ctx: &Context) -> Row {
    let class = Class {
        oid: t.id.0,
        name: &t.name,
        schema: objects::schema(&ctx.catalog, &t.schema),
        access_method: HEAP,
        file: t.tree.0,
        indexed: t.has_key() || !t.indexes.is_empty(),
        kind: match t.kind {
            TableKind::Ordinary | TableKind::Temporary(_) => "r",
            TableKind::Materialized { .. } => "m",
        },
        columns: t.columns.len() + t.dropped.len(),
        checks: t.checks.len(),
        triggers: !t.foreign_keys.is_empty()
            || ctx.catalog.is_referenced(t.id)
            || ctx.catalog.has_triggers(t.id),
        rows: ctx
            .catalog
            .statistics
            .get(&t.id)
            .map_or(-1.0, |s| s.rows as f32),
    };
    let mut row = class.row();
    if let TableKind::Materialized { populated, .. } = &t.kind {
        row[POPULATED] = yes(*populated);
    }
    row
}

fn view_class(v: &View, catalog: &Catalog) -> Row {
    let class = Class {
        oid: v.id.0,
        name: &v.name,
        schema: objects::schema(catalog, &v.schema),
        access_method: 0,
        file: 0,
        indexed: false,
        kind: "v",
        columns: v.columns.len(),
        checks: 0,
        triggers: false,
        rows: -1.0,
    };
    let mut row = class.row();
    if let Some(cascaded) = v.check {
        let how = if cascaded { "cascaded" } else { "local" };
        let option = text(&format!("check_option={how}"));
        row[OPTIONS] = array(DataType::Text, vec![option]);
    }
    row
}

fn sequence_class(s: &Sequence, catalog: &Catalog) -> Row {
    let class = Class {
        oid: s.id.0,
        name: &s.name,
        schema: objects::schema(catalog, &s.schema),
        access_method: 0,
        file: s.id.0,
        indexed: false,
        kind: "S",
        columns: SEQUENCE_COLUMNS.len(),
        checks: 0,
        triggers: false,
        rows: 1.0,
    };
    class.row()
}

/// A composite type counts as a relation.
fn composite_class(t: &UserType, catalog: &Catalog) -> Option<Row> {
    let UserTypeKind::Composite { attributes } = &t.kind else {
        return None;
    };
    let class = Class {
        oid: t.oid,
        name: &t.name,
        schema: objects::schema(catalog, &t.schema),
        access_method: 0,
        file: 0,
        indexed: false,
        kind: "c",
        columns: attributes.len(),
        checks: 0,
        triggers: false,
        rows: -1.0,
    };
    Some(class.row())
}

const SEQUENCE_COLUMNS: [(&str, DataType); 3] = [
    ("last_value", DataType::Int8),
    ("log_cnt", DataType::Int8),
    ("is_called", DataType::Bool),
];

fn index_class(i: &IndexInfo<'_>, catalog: &Catalog) -> Row {
    let class = Class {
        oid: i.oid,
        name: i.name,
        schema: objects::schema(catalog, &i.table.schema),
        access_method: BTREE,
        file: i.tree,
        indexed: false,
        kind: "i",
        columns: i.parts.len() + i.include.len(),
        checks: 0,
        triggers: false,
        rows: -1.0,
    };
    class.row()
}

/// They never change, so they are made once.
static SYSTEM_CLASSES: LazyLock<Vec<Row>> =
    LazyLock::new(|| relations().iter().map(system_class).collect());

pub(super) fn class(ctx: &Context) -> Vec<Row> {
    let mut rows = SYSTEM_CLASSES.clone();
    rows.extend(ctx.catalog.tables.values().map(|t| table_class(t, ctx)));
    let catalog = &ctx.catalog;
    rows.extend(catalog.views.values().map(|v| view_class(v, catalog)));
    rows.extend(
        catalog
            .sequences
            .values()
            .map(|s| sequence_class(s, catalog)),
    );
    let types = catalog.types.values();
    rows.extend(types.filter_map(|t| composite_class(t, catalog)));
    rows.extend(indexes(catalog).map(|i| index_class(&i, catalog)));
    let temporary = catalog.schemas.values().filter(|s| s.temporary);
    let temporary: Vec<Value> = temporary.map(|s| oid(s.oid)).collect();
    for row in &mut rows {
        if temporary.contains(&row[NAMESPACE]) {
            row[PERSISTENCE] = ch("t");
        }
    }
    rows
}

/// Places of `relnamespace`, `relpersistence` and `relispopulated`.
const NAMESPACE: usize = 2;
const PERSISTENCE: usize = 15;
const POPULATED: usize = 24;
const OPTIONS: usize = 31;

/// What differs between the rows of `pg_attribute`.
struct Attribute<'a> {
    relation: u32,
    name: &'a str,
    ty: DataType,
    typmod: i32,
    number: usize,
    not_null: bool,
    default: bool,
    /// `a`, `d` or nothing.
    identity: &'static str,
    generated: bool,
}

impl Attribute<'_> {
    fn row(&self) -> Row {
        vec![
            oid(self.relation),
            text(self.name),
            oid(self.ty.oid()),
            int4(-1),
            int2(self.ty.len()),
            int2(self.number as i16),
            int4(i32::from(self.ty.is_array())),
            int4(-1),
            int4(self.typmod),
            yes(by_value(self.ty)),
            ch(alignment(self.ty)),
            ch(storage(self.ty)),
            ch(""),
            yes(self.not_null),
            yes(self.default),
            yes(false),
            ch(self.identity),
            ch(if self.generated { "s" } else { "" }),
            yes(false),
            yes(true),
            int4(0),
            oid(collation(self.ty)),
            null(),
            null(),
            null(),
            null(),
        ]
    }
}

/// A column that is nothing but its type.
fn plain(relation: u32, name: &str, (ty, typmod): (DataType, i32), at: usize) -> Row {
    let attribute = Attribute {
        relation,
        name,
        ty,
        typmod,
        number: at + 1,
        not_null: false,
        default: false,
        identity: "",
        generated: false,
    };
    attribute.row()
}

/// As PostgreSQL leaves them, so that numbers have no gaps.
fn dropped_attribute(relation: u32, d: &DroppedColumn) -> Row {
    let name = format!("........pg.dropped.{}........", d.number);
    let mut row = plain(relation, &name, (d.ty, -1), d.number.max(1) as usize - 1);
    for (at, value) in [(2, oid(0)), (18, yes(true))] {
        if let Some(slot) = row.get_mut(at) {
            *slot = value;
        }
    }
    row
}

fn system_attributes(r: &Relation) -> impl Iterator<Item = Row> + '_ {
    r.columns.iter().enumerate().map(|(i, c)| {
        let attribute = Attribute {
            relation: r.oid,
            name: c.name,
            ty: c.ty,
            typmod: -1,
            number: i + 1,
            // The key of a catalog table is never NULL.
            not_null: !r.view && c.name == "oid",
            default: false,
            identity: "",
            generated: false,
        };
        attribute.row()
    })
}

static SYSTEM_ATTRIBUTES: LazyLock<Vec<Row>> =
    LazyLock::new(|| relations().iter().flat_map(system_attributes).collect());

/// Places of `atttypid` and `atttypmod`.
const ATTRIBUTE_TYPE: usize = 2;
const ATTRIBUTE_TYPMOD: usize = 8;

pub(super) fn attribute(ctx: &Context) -> Vec<Row> {
    let mut rows = SYSTEM_ATTRIBUTES.clone();
    for t in ctx.catalog.tables.values() {
        rows.extend(t.columns.iter().map(|c| {
            let attribute = Attribute {
                relation: t.id.0,
                name: &c.name,
                ty: c.ty,
                typmod: c.typmod,
                number: c.number as usize,
                not_null: c.not_null,
                default: c.default.is_some() || c.generated.is_some(),
                identity: match c.identity {
                    Some(i) if i.always => "a",
                    Some(_) => "d",
                    None => "",
                },
                generated: c.generated.is_some(),
            };
            let mut row = attribute.row();
            if ctx.catalog.is_domain(c.declared) {
                row[ATTRIBUTE_TYPE] = oid(c.declared);
                row[ATTRIBUTE_TYPMOD] = int4(-1);
            }
            row
        }));
        rows.extend(t.dropped.iter().map(|d| dropped_attribute(t.id.0, d)));
    }
    for v in ctx.catalog.views.values() {
        let columns = v.columns.iter().enumerate();
        rows.extend(columns.map(|(i, c)| plain(v.id.0, &c.name, (c.ty, c.typmod), i)));
    }
    for t in ctx.catalog.types.values() {
        let UserTypeKind::Composite { attributes } = &t.kind else {
            continue;
        };
        rows.extend(attributes.iter().map(|a| {
            let at = a.number.max(1) as usize - 1;
            let mut row = plain(t.oid, &a.name, (a.ty, a.typmod), at);
            if ctx.catalog.is_domain(a.declared) {
                row[ATTRIBUTE_TYPE] = oid(a.declared);
                row[ATTRIBUTE_TYPMOD] = int4(-1);
            }
            row
        }));
    }
    for s in ctx.catalog.sequences.values() {
        let columns = SEQUENCE_COLUMNS.iter().enumerate();
        rows.extend(columns.map(|(i, (name, ty))| plain(s.id.0, name, (*ty, -1), i)));
    }
    for index in indexes(&ctx.catalog) {
        let columns = index.attributes();
        rows.extend(columns.iter().enumerate().map(|(i, (name, ty, typmod))| {
            let attribute = Attribute {
                relation: index.oid,
                name,
                ty: *ty,
                typmod: *typmod,
                number: i + 1,
                not_null: false,
                default: false,
                identity: "",
                generated: false,
            };
            attribute.row()
        }));
    }
    rows
}

fn shown(column: &ColumnDef, default: &Default) -> String {
    match column.generated {
        Some(_) => default.sql.clone(),
        None => values::default(&default.sql),
    }
}

pub(super) fn attrdef(ctx: &Context) -> Vec<Row> {
    let of_table = |t: &Table| {
        let columns = t.columns.iter().enumerate();
        let defaults = columns.filter_map(|(i, c)| {
            let default = c.generated.as_ref().or(c.default.as_ref())?;
            Some(vec![
                oid(attrdef_oid(t.id.0, i)),
                oid(t.id.0),
                int2(c.number),
                text(&shown(c, default)),
            ])
        });
        defaults.collect::<Vec<Row>>()
    };
    let tables = ctx.catalog.tables.values();
    tables.flat_map(|t| of_table(t)).collect()
}

pub(super) fn constraint(ctx: &Context) -> Vec<Row> {
    let row = |c: super::Constraint<'_>| -> Row {
        let kind = match c.kind {
            ConstraintKind::PrimaryKey => "p",
            ConstraintKind::Unique => "u",
            ConstraintKind::Check => "c",
            ConstraintKind::ForeignKey => "f",
        };
        let key = c.kind != ConstraintKind::Check;
        let foreign = c.foreign.as_ref();
        let of = |flag: fn(&ForeignKey) -> bool, other: bool| {
            yes(foreign.map_or(other, |f| flag(f.key)))
        };
        let act = |action: fn(&ForeignKey) -> ForeignKeyAction| {
            ch(foreign.map_or(" ", |f| action_letter(action(f.key))))
        };
        let equalities = || {
            foreign.map_or(Value::Null, |f| {
                let types = f.parent.types_of(&f.key.referenced_columns);
                let equal = |ty: &DataType| {
                    let found = crate::exec::resolve::operator("=", Some(*ty), *ty).ok();
                    oid(found.and_then(|r| functions::oid(r.func)).unwrap_or(0))
                };
                array(DataType::Oid, types.iter().map(equal).collect())
            })
        };
        vec![
            oid(c.oid),
            text(c.name),
            oid(objects::schema(&ctx.catalog, &c.table.schema)),
            ch(kind),
            of(|k| k.deferrable, false),
            of(|k| k.initially_deferred, false),
            of(|k| k.validated, true),
            oid(c.table.id.0),
            oid(0),
            oid(c.index_oid),
            oid(0),
            oid(foreign.map_or(0, |f| f.parent.id.0)),
            act(|k| k.on_update),
            act(|k| k.on_delete),
            ch(foreign.map_or(" ", |f| if f.key.full { "f" } else { "s" })),
            yes(true),
            int4(0),
            yes(key),
            attnums(c.table, &c.columns),
            foreign.map_or(Value::Null, |f| {
                attnums(f.parent, &f.key.referenced_columns)
            }),
            equalities(),
            equalities(),
            equalities(),
            match foreign.filter(|f| !f.key.delete_sets.is_empty()) {
                Some(f) => attnums(c.table, &f.key.delete_sets),
                None => null(),
            },
            null(),
            c.check.map_or(Value::Null, |check| text(&check.sql)),
        ]
    };
    let of_tables = constraints(&ctx.catalog).map(row);
    of_tables.chain(domain_constraints(ctx)).collect()
}

fn domain_constraints(ctx: &Context) -> impl Iterator<Item = Row> + '_ {
    domain_checks(&ctx.catalog).map(|(id, domain, check)| {
        let mut row = vec![
            oid(id),
            text(&check.name),
            oid(objects::schema(&ctx.catalog, &domain.schema)),
            ch("c"),
            yes(false),
            yes(false),
            yes(true),
            oid(0),
            oid(domain.oid),
            oid(0),
            oid(0),
            oid(0),
            ch(" "),
            ch(" "),
            ch(" "),
            yes(true),
            int4(0),
            yes(false),
        ];
        row.resize(25, Value::Null);
        row.push(text(&check.sql));
        row
    })
}

fn action_letter(action: ForeignKeyAction) -> &'static str {
    match action {
        ForeignKeyAction::NoAction => "a",
        ForeignKeyAction::Restrict => "r",
        ForeignKeyAction::Cascade => "c",
        ForeignKeyAction::SetNull => "n",
        ForeignKeyAction::SetDefault => "d",
    }
}
