//! Rows of `pg_depend` and `pg_rewrite`.
//!
//! Owns: which catalog row stands for what depends on something. A view's query is its `_RETURN` rule, whose oid is the view's: oids
//! are told apart by class. Asked by: `definitions`. Never: looks for dependencies of its own; `change::graph` knows them. What
//! goes with its table (columns, rows of system relations, pinned objects) has no row here.
//! Bounds: a row for each pair, linear in the definitions.
//! Source: PostgreSQL 15 manual, sections 53.18 and 53.44; the queries of `pg_dump` 15, which orders what it writes by this.

use super::describe::{attrdef_oid, constraints};
use super::indexes::indexes;
use super::values::{ch, int4, null, oid, text, yes};
use crate::catalog::change::graph::{Bond, Node, dependents, stated};
use crate::catalog::{Catalog, Stated, TableKind};
use crate::exec::Context;
use std::collections::BTreeSet;
use types::{Row, TableId};

const TYPE: u32 = 1247;
const PROC: u32 = 1255;
const CLASS: u32 = 1259;
const ATTRDEF: u32 = 2604;
const CONSTRAINT: u32 = 2606;
const REWRITE: u32 = 2618;
const NAMESPACE: u32 = 2615;
const TRIGGER: u32 = 2620;
const EXTENSION: u32 = 3079;

/// Class, object and column.
type Object = (u32, u32, i32);

/// What depends on what, and how.
type Edges = BTreeSet<(Object, Object, &'static str)>;

pub(super) fn depend(ctx: &Context) -> Vec<Row> {
    let catalog = &ctx.catalog;
    let mut edges = Edges::new();
    with_tables(catalog, &mut edges);
    for (node, query) in stated(catalog) {
        if let Some(from) = object(catalog, &node) {
            of_query(catalog, from, query, &mut edges);
        }
    }
    let types = catalog.types.keys();
    let types = types.map(|t| (Node::Type(*t), (TYPE, *t, 0)));
    let functions = catalog.functions.keys();
    let functions = functions.map(|f| (Node::Function(*f), (PROC, *f, 0)));
    let sequences = catalog.sequences.keys();
    let sequences = sequences.map(|s| (Node::Sequence(*s), (CLASS, s.0, 0)));
    for (node, to) in types.chain(functions).chain(sequences) {
        on(catalog, &node, to, &mut edges);
    }
    for e in catalog.extensions.values() {
        let schema = super::objects::schema(catalog, &e.schema);
        edges.insert(((EXTENSION, e.oid, 0), (NAMESPACE, schema, 0), "n"));
    }
    for f in catalog.functions.values() {
        if let Some(e) = catalog.extension_of(f) {
            edges.insert(((PROC, f.oid, 0), (EXTENSION, e.oid, 0), "e"));
        }
    }
    let row = |((class, object, column), (on, target, part), kind)| -> Row {
        vec![
            oid(class),
            oid(object),
            int4(column),
            oid(on),
            oid(target),
            int4(part),
            ch(kind),
        ]
    };
    edges.into_iter().map(row).collect()
}

/// Views and materialized views have a rule each.
pub(super) fn rules(ctx: &Context) -> Vec<Row> {
    let row = |id: TableId| -> Row {
        vec![
            oid(id.0),
            text("_RETURN"),
            oid(id.0),
            ch("1"),
            ch("O"),
            yes(true),
            null(),
            null(),
        ]
    };
    let views = ctx.catalog.views.keys().copied();
    let tables = ctx.catalog.tables.values();
    let materialized = tables.filter(|t| matches!(t.kind, TableKind::Materialized { .. }));
    views.chain(materialized.map(|t| t.id)).map(row).collect()
}

/// What goes with tables and their columns: sequences, constraints, indexes, defaults.
fn with_tables(catalog: &Catalog, edges: &mut Edges) {
    for s in catalog.sequences.values() {
        if let Some((table, number)) = s.owner {
            let kind = if s.internal { "i" } else { "a" };
            let column = (CLASS, table.0, i32::from(number));
            edges.insert(((CLASS, s.id.0, 0), column, kind));
        }
    }
    for c in constraints(catalog) {
        for column in &c.columns {
            let column = (CLASS, c.table.id.0, *column as i32 + 1);
            edges.insert(((CONSTRAINT, c.oid, 0), column, "a"));
        }
        if let Some(foreign) = &c.foreign {
            let index = (CLASS, foreign.key.index.0, 0);
            edges.insert(((CONSTRAINT, c.oid, 0), index, "n"));
            for column in &foreign.key.referenced_columns {
                let column = (CLASS, foreign.parent.id.0, *column as i32 + 1);
                edges.insert(((CONSTRAINT, c.oid, 0), column, "n"));
            }
        }
    }
    for i in indexes(catalog) {
        if i.constraint {
            edges.insert(((CLASS, i.oid, 0), (CONSTRAINT, i.oid, 0), "i"));
            continue;
        }
        for column in i.uses() {
            let column = (CLASS, i.table.id.0, column as i32 + 1);
            edges.insert(((CLASS, i.oid, 0), column, "a"));
        }
    }
    for t in catalog.tables.values() {
        for (i, c) in t.columns.iter().enumerate() {
            if c.default.is_some() {
                let default = (ATTRDEF, attrdef_oid(t.id.0, i), 0);
                edges.insert((default, (CLASS, t.id.0, i as i32 + 1), "a"));
            }
        }
    }
}

/// What a query reads and names.
fn of_query(catalog: &Catalog, from: Object, query: &Stated, edges: &mut Edges) {
    if from.0 == REWRITE {
        edges.insert((from, (CLASS, from.1, 0), "i"));
    }
    for read in &query.reads {
        let used = read.columns.iter().filter(|c| c.used);
        let mut parts: Vec<i32> = used.map(|c| i32::from(c.number)).collect();
        if parts.is_empty() {
            parts.push(0);
        }
        for part in parts {
            edges.insert((from, (CLASS, read.relation.0, part), "n"));
        }
    }
    let is_key = |oid: u32| {
        catalog
            .tables
            .values()
            .any(|t| t.has_key() && t.primary_key_id.0 == oid)
    };
    for &name in &query.uses {
        let class = if is_key(name) {
            CONSTRAINT
        } else if catalog.types.contains_key(&name) {
            TYPE
        } else if catalog.functions.contains_key(&name) {
            PROC
        } else if catalog.sequences.contains_key(&TableId(name)) {
            CLASS
        } else {
            continue;
        };
        edges.insert((from, (class, name, 0), "n"));
    }
}

/// All that depends on one thing and does not go with it.
fn on(catalog: &Catalog, node: &Node, to: Object, edges: &mut Edges) {
    for (dependent, bond) in dependents(catalog, node) {
        let from = match (dependent, node) {
            (_, _) if bond == Bond::Auto => None,
            // The expression, not the column.
            (Node::Column(table, number), Node::Function(_)) => {
                object(catalog, &Node::Default(table, number))
            }
            (dependent, _) => object(catalog, &dependent),
        };
        edges.extend(from.map(|from| (from, to, "n")));
    }
}

fn object(catalog: &Catalog, node: &Node) -> Option<Object> {
    let table = |id: &TableId| catalog.tables.get(id);
    Some(match node {
        Node::Schema(_) => return None,
        Node::Table(id) => match &table(id)?.kind {
            TableKind::Materialized { .. } => (REWRITE, id.0, 0),
            TableKind::Ordinary | TableKind::Temporary(_) => (CLASS, id.0, 0),
        },
        Node::View(id) => (REWRITE, id.0, 0),
        Node::Sequence(id) | Node::Index(_, id) => (CLASS, id.0, 0),
        Node::Type(oid) => (TYPE, *oid, 0),
        Node::Function(oid) => (PROC, *oid, 0),
        Node::Extension(oid) => (EXTENSION, *oid, 0),
        Node::Column(id, number) => (CLASS, id.0, i32::from(*number)),
        Node::Default(id, number) => {
            let at = table(id)?.ordinal(*number)?;
            (ATTRDEF, attrdef_oid(id.0, at), 0)
        }
        Node::Constraint(id, name) => {
            let mut all = constraints(catalog);
            let found = all.find(|c| c.table.id == *id && c.name == name)?;
            (CONSTRAINT, found.oid, 0)
        }
        Node::Trigger(id, name) => {
            let mut all = catalog.triggers.values();
            let found = all.find(|t| t.table == *id && t.name == *name)?;
            (TRIGGER, found.oid, 0)
        }
    })
}
