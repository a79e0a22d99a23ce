//! What depends on what.
//!
//! Owns: the edges, found by looking at the whole catalog: definitions are rare. Asked by: DROP and ALTER.
//! Source: PostgreSQL 15, `dependency.c`.

use crate::catalog::objects::{Function, UserType, UserTypeKind};
use crate::catalog::{Catalog, ColumnDef, Stated, Table, TableKind, Trigger};
use crate::exec::eval::columns_used;
use crate::exec::functions::domains::cast_to_domain;
use crate::exec::functions::is_from;
use crate::plan::Expr;
use std::collections::BTreeSet;
use std::sync::Arc;
use types::TableId;

/// Something that can be dropped.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::catalog) enum Node {
    Schema(String),
    /// Materialized views are tables.
    Table(TableId),
    View(TableId),
    Sequence(TableId),
    Type(u32),
    Function(u32),
    Extension(u32),
    /// By number.
    Column(TableId, i16),
    Default(TableId, i16),
    /// By name, of this table.
    Constraint(TableId, String),
    Index(TableId, TableId),
    /// By name, of this table.
    Trigger(TableId, String),
}

/// Whether a dependent object goes silently with what it depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::catalog) enum Bond {
    Normal,
    Auto,
}

/// What depends directly on a node.
pub(in crate::catalog) fn dependents(catalog: &Catalog, node: &Node) -> Vec<(Node, Bond)> {
    let mut out = Vec::new();
    match node {
        Node::Schema(name) => in_schema(catalog, name, &mut out),
        Node::Table(id) => {
            let referring = catalog.tables.values().filter(|t| t.id != *id);
            for t in referring {
                let keys = t.foreign_keys.iter().filter(|f| f.referenced == *id);
                out.extend(keys.map(|f| (Node::Constraint(t.id, f.name.clone()), Bond::Normal)));
            }
            readers(catalog, *id, None, &mut out);
            users(catalog, id.0, &mut out);
            owned(catalog, *id, None, &mut out);
        }
        Node::View(id) => {
            readers(catalog, *id, None, &mut out);
            users(catalog, id.0, &mut out);
        }
        Node::Sequence(id) => {
            for t in catalog.tables.values() {
                let uses = t.columns.iter().filter(|c| {
                    let default = c.default.as_ref();
                    default.is_some_and(|d| super::sequence::names(&d.expr, *id))
                });
                out.extend(uses.map(|c| (Node::Default(t.id, c.number), Bond::Normal)));
            }
            for t in catalog.types.values().filter(|t| t.is_domain()) {
                let default = catalog.domain_default(t.oid);
                if default.is_some_and(|d| super::sequence::names(&d.expr, *id)) {
                    out.push((Node::Type(t.oid), Bond::Normal));
                }
            }
            users(catalog, id.0, &mut out);
            readers(catalog, *id, None, &mut out);
        }
        Node::Type(oid) => {
            for t in catalog.tables.values() {
                let of = t.columns.iter().filter(|c| c.declared == *oid);
                out.extend(of.map(|c| (Node::Column(t.id, c.number), Bond::Normal)));
                naming_type(t, *oid, &mut out);
            }
            let over = |t: &&Arc<UserType>| t.oid != *oid && is_made_of(t, *oid);
            let over = catalog.types.values().filter(over);
            out.extend(over.map(|t| (Node::Type(t.oid), Bond::Normal)));
            users(catalog, *oid, &mut out);
            firing(catalog, |t| uses(t, *oid), &mut out);
        }
        Node::Function(oid) => {
            users(catalog, *oid, &mut out);
            calling(catalog, *oid, &mut out);
            let called = |t: &Trigger| t.function == *oid || uses(t, *oid);
            firing(catalog, called, &mut out);
        }
        Node::Extension(oid) => {
            let functions = catalog.functions.values();
            let own = |f: &&Arc<Function>| catalog.extension_of(f).is_some_and(|e| e.oid == *oid);
            out.extend(
                functions
                    .filter(own)
                    .map(|f| (Node::Function(f.oid), Bond::Auto)),
            );
        }
        Node::Column(table, number) => {
            if let Some(t) = catalog.tables.get(table) {
                of_column(catalog, t, *number, &mut out);
            }
            firing(catalog, |t| names(t, *table, *number), &mut out);
            readers(catalog, *table, Some(*number), &mut out);
            owned(catalog, *table, Some(*number), &mut out);
        }
        Node::Constraint(table, name) => {
            if let Some(t) = catalog.tables.get(table) {
                of_key(catalog, t, name, &mut out);
            }
        }
        Node::Index(table, index) => relying(catalog, *table, *index, &mut out),
        Node::Default(..) | Node::Trigger(..) => {}
    }
    out
}

fn in_schema(catalog: &Catalog, name: &str, out: &mut Vec<(Node, Bond)>) {
    let mut all: Vec<(u32, Node)> = Vec::new();
    let tables = catalog.tables.values().filter(|t| t.schema == name);
    all.extend(tables.map(|t| (t.id.0, Node::Table(t.id))));
    let views = catalog.views.values().filter(|v| v.schema == name);
    all.extend(views.map(|v| (v.id.0, Node::View(v.id))));
    let free = |s: &&Arc<crate::catalog::Sequence>| s.schema == name && s.owner.is_none();
    let sequences = catalog.sequences.values().filter(free);
    all.extend(sequences.map(|s| (s.id.0, Node::Sequence(s.id))));
    let types = catalog.types.values().filter(|t| t.schema == name);
    all.extend(types.map(|t| (t.oid, Node::Type(t.oid))));
    let functions = catalog.functions.values();
    let functions = functions.filter(|f| f.schema == name && !f.is_built_in());
    all.extend(functions.map(|f| (f.oid, Node::Function(f.oid))));
    let extensions = catalog.extensions.values().filter(|e| e.schema == name);
    all.extend(extensions.map(|e| (e.oid, Node::Extension(e.oid))));
    all.sort();
    out.extend(all.into_iter().map(|(_, node)| (node, Bond::Normal)));
}

fn firing(catalog: &Catalog, fits: impl Fn(&Trigger) -> bool, out: &mut Vec<(Node, Bond)>) {
    let all = catalog.triggers.values().filter(|t| fits(t));
    out.extend(all.map(|t| (Node::Trigger(t.table, t.name.clone()), Bond::Normal)));
}

/// The trigger names the column.
fn names(t: &Trigger, table: TableId, number: i16) -> bool {
    let mut when = t.when.iter().flat_map(|w| &w.columns);
    t.table == table && (t.columns.contains(&number) || when.any(|c| *c == number))
}

/// The trigger's condition names the type or function.
fn uses(t: &Trigger, oid: u32) -> bool {
    t.when.as_ref().is_some_and(|w| w.uses.contains(&oid))
}

/// Every stated query, and what it belongs to.
pub(in crate::catalog) fn stated(catalog: &Catalog) -> impl Iterator<Item = (Node, &Stated)> {
    let views = catalog.views.values().map(|v| (Node::View(v.id), &v.query));
    let materialized = catalog.tables.values().filter_map(|t| match &t.kind {
        TableKind::Materialized { query, .. } => Some((Node::Table(t.id), query)),
        TableKind::Ordinary | TableKind::Temporary(_) => None,
    });
    let functions = catalog.functions.values();
    let functions = functions.map(|f| (Node::Function(f.oid), &f.body));
    views.chain(materialized).chain(functions)
}

/// What has the body of a function in one of its expressions.
fn calling(catalog: &Catalog, oid: u32, out: &mut Vec<(Node, Bond)>) {
    for t in catalog.tables.values() {
        let checks = t.checks.iter().filter(|c| is_from(&c.expr, oid));
        out.extend(checks.map(|c| (Node::Constraint(t.id, c.name.clone()), Bond::Normal)));
        for c in &t.columns {
            if c.default.as_ref().is_some_and(|d| is_from(&d.expr, oid)) {
                out.push((Node::Default(t.id, c.number), Bond::Normal));
            }
            if c.generated.as_ref().is_some_and(|g| is_from(&g.expr, oid)) {
                out.push((Node::Column(t.id, c.number), Bond::Normal));
            }
        }
    }
    let of_domain = |t: &&Arc<UserType>| {
        catalog
            .domain_default(t.oid)
            .is_some_and(|d| is_from(&d.expr, oid))
            || t.domain_checks().iter().any(|c| is_from(&c.expr, oid))
    };
    let domains = catalog.types.values().filter(of_domain);
    out.extend(domains.map(|t| (Node::Type(t.oid), Bond::Normal)));
    let defaults = |f: &&Arc<Function>| {
        let mut defaults = f.args.iter().filter_map(|a| a.default.as_ref());
        defaults.any(|d| is_from(&d.expr, oid))
    };
    let functions = catalog.functions.values().filter(defaults);
    out.extend(functions.map(|f| (Node::Function(f.oid), Bond::Normal)));
}

/// Views that read a relation, or that column of it.
fn readers(catalog: &Catalog, id: TableId, column: Option<i16>, out: &mut Vec<(Node, Bond)>) {
    for (node, query) in stated(catalog) {
        let reads = query.reads.iter().any(|r| {
            r.relation == id
                && column.is_none_or(|n| r.columns.iter().any(|c| c.used && c.number == n))
        });
        if reads {
            out.push((node, Bond::Normal));
        }
    }
}

/// Views that name a sequence, type or function.
fn users(catalog: &Catalog, oid: u32, out: &mut Vec<(Node, Bond)>) {
    let named = stated(catalog).filter(|(_, query)| query.uses.contains(&oid));
    out.extend(named.map(|(node, _)| (node, Bond::Normal)));
}

/// Checks and defaults that name a type, of columns that are not of it: those go with their columns.
fn naming_type(t: &Table, oid: u32, out: &mut Vec<(Node, Bond)>) {
    let names = |e: &Expr| names_type(e, oid);
    let own = |at: &usize| t.columns.get(*at).is_some_and(|c| c.declared == oid);
    for c in t.checks.iter().filter(|c| names(&c.expr)) {
        if !columns_used(&c.expr).iter().any(own) {
            out.push((Node::Constraint(t.id, c.name.clone()), Bond::Normal));
        }
    }
    let other = |c: &&ColumnDef| c.declared != oid && c.ty.user_oid() != Some(oid);
    for c in t.columns.iter().filter(other) {
        if c.default.as_ref().is_some_and(|d| names(&d.expr)) {
            out.push((Node::Default(t.id, c.number), Bond::Normal));
        }
    }
}

fn names_type(e: &Expr, oid: u32) -> bool {
    let mut found = false;
    e.each(&mut |x| {
        found |= x.ty().user_oid() == Some(oid) || cast_to_domain(x) == Some(oid);
    });
    found
}

/// Whether a domain is over the type, or its expressions name it, or an attribute is of it.
fn is_made_of(t: &UserType, oid: u32) -> bool {
    match &t.kind {
        UserTypeKind::Domain {
            base,
            default,
            checks,
            ..
        } => {
            base.user_oid() == Some(oid)
                || default.as_ref().is_some_and(|d| names_type(&d.expr, oid))
                || checks.iter().any(|c| names_type(&c.expr, oid))
        }
        UserTypeKind::Composite { attributes } => attributes.iter().any(|a| a.declared == oid),
        UserTypeKind::Enum { .. } => false,
    }
}

fn owned(catalog: &Catalog, table: TableId, column: Option<i16>, out: &mut Vec<(Node, Bond)>) {
    for s in catalog.sequences.values() {
        if let Some((t, n)) = s.owner
            && t == table
            && column.is_none_or(|c| c == n)
        {
            out.push((Node::Sequence(s.id), Bond::Auto));
        }
    }
}

/// Keys, checks and indexes of a column go with it; generated columns and others' foreign keys do not.
fn of_column(catalog: &Catalog, t: &Arc<Table>, number: i16, out: &mut Vec<(Node, Bond)>) {
    let Some(at) = t.ordinal(number) else {
        return;
    };
    for c in &t.checks {
        if columns_used(&c.expr).contains(&at) {
            out.push((Node::Constraint(t.id, c.name.clone()), Bond::Auto));
        }
    }
    for f in &t.foreign_keys {
        if f.columns.contains(&at) {
            out.push((Node::Constraint(t.id, f.name.clone()), Bond::Auto));
        }
    }
    if t.primary_key.contains(&at) {
        out.push((
            Node::Constraint(t.id, t.primary_key_name.clone()),
            Bond::Auto,
        ));
    }
    for i in &t.indexes {
        if index_columns(i).contains(&at) {
            let node = match i.constraint {
                true => Node::Constraint(t.id, i.name.clone()),
                false => Node::Index(t.id, i.id),
            };
            out.push((node, Bond::Auto));
        }
    }
    for c in &t.columns {
        let reads = c
            .generated
            .as_ref()
            .is_some_and(|g| columns_used(&g.expr).contains(&at));
        if reads && c.number != number {
            out.push((Node::Column(t.id, c.number), Bond::Normal));
        }
    }
    for other in catalog.tables.values() {
        for f in &other.foreign_keys {
            if f.referenced == t.id && f.referenced_columns.contains(&at) {
                out.push((Node::Constraint(other.id, f.name.clone()), Bond::Normal));
            }
        }
    }
}

/// Ordinals of every column that an index reads.
pub(super) fn index_columns(index: &crate::catalog::Index) -> BTreeSet<usize> {
    let mut out = index_expr_columns(index);
    out.extend(index.include.iter().copied());
    out.extend(index.parts.iter().filter_map(|part| part.column()));
    out
}

/// Those that its expressions and its predicate read.
pub(super) fn index_expr_columns(index: &crate::catalog::Index) -> BTreeSet<usize> {
    let mut out = BTreeSet::new();
    for part in &index.parts {
        if let crate::catalog::PartOf::Expr(e) = &part.of {
            out.extend(columns_used(&e.expr));
        }
    }
    if let Some(predicate) = &index.predicate {
        out.extend(columns_used(&predicate.expr));
    }
    out
}

fn of_key(catalog: &Catalog, t: &Arc<Table>, name: &str, out: &mut Vec<(Node, Bond)>) {
    if t.has_key() && t.primary_key_name == name {
        relying(catalog, t.id, t.primary_key_id, out);
        // Views that group by it.
        users(catalog, t.primary_key_id.0, out);
    }
    if let Some(i) = t.indexes.iter().find(|i| i.constraint && i.name == name) {
        relying(catalog, t.id, i.id, out);
    }
}

/// Foreign keys that rely on an index.
fn relying(catalog: &Catalog, table: TableId, index: TableId, out: &mut Vec<(Node, Bond)>) {
    for other in catalog.tables.values() {
        for f in &other.foreign_keys {
            if f.referenced == table && f.index == index {
                out.push((Node::Constraint(other.id, f.name.clone()), Bond::Normal));
            }
        }
    }
}

/// As messages name a node.
pub(super) fn describe(catalog: &Catalog, node: &Node) -> String {
    let table = |id: &TableId| match catalog.tables.get(id) {
        Some(t) => match t.kind {
            TableKind::Materialized { .. } => {
                format!("materialized view {}", shown(&t.schema, &t.name))
            }
            TableKind::Ordinary | TableKind::Temporary(_) => {
                format!("table {}", shown(&t.schema, &t.name))
            }
        },
        None => format!("table {id}"),
    };
    let column = |id: &TableId, number: &i16| {
        let found = catalog.tables.get(id);
        let name = found.and_then(|t| t.columns.get(t.ordinal(*number)?));
        format!(
            "column {} of {}",
            name.map_or("?", |c| c.name.as_str()),
            table(id)
        )
    };
    match node {
        Node::Schema(name) => format!("schema {name}"),
        Node::Table(id) => table(id),
        Node::View(id) => match catalog.views.get(id) {
            Some(v) => format!("view {}", shown(&v.schema, &v.name)),
            None => format!("view {id}"),
        },
        Node::Sequence(id) => match catalog.sequences.get(id) {
            Some(s) => format!("sequence {}", shown(&s.schema, &s.name)),
            None => format!("sequence {id}"),
        },
        Node::Type(oid) => match catalog.types.get(oid) {
            Some(t) => format!("type {}", shown(&t.schema, &t.name)),
            None => format!("type {oid}"),
        },
        Node::Function(oid) => match catalog.functions.get(oid) {
            Some(f) => format!("function {}", catalog.function_signature(f)),
            None => format!("function {oid}"),
        },
        Node::Extension(oid) => match catalog.extensions.get(oid) {
            Some(e) => format!("extension {}", e.name),
            None => format!("extension {oid}"),
        },
        Node::Column(id, number) => column(id, number),
        Node::Default(id, number) => format!("default value for {}", column(id, number)),
        Node::Constraint(id, name) => format!("constraint {name} on {}", table(id)),
        Node::Trigger(id, name) => format!("trigger {name} on {}", table(id)),
        Node::Index(id, index) => {
            let found = catalog.tables.get(id);
            let name = found.and_then(|t| t.indexes.iter().find(|i| i.id == *index));
            format!("index {}", name.map_or("?", |i| i.name.as_str()))
        }
    }
}

/// With its schema unless that is `public`.
fn shown(schema: &str, name: &str) -> String {
    match schema {
        crate::catalog::model::PUBLIC => name.to_owned(),
        schema => format!("{schema}.{name}"),
    }
}
