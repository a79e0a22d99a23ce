//! DROP, and everything that goes with what is dropped.

use super::Change;
use super::graph::{Bond, Node, dependents, describe};
use crate::catalog::objects::UserTypeKind;
use crate::catalog::stored::Object;
use crate::catalog::system::class_oid;
use crate::catalog::{Relation, Table, TableKind, UserType};
use crate::plan::ddl::{Drop, ObjectKind, QualifiedName};
use std::collections::BTreeSet;
use std::sync::Arc;
use types::{DataType, Error, Result, SqlState, TableId};

impl Change {
    pub(super) fn drop(&mut self, drop: &Drop) -> Result<()> {
        self.tag = match drop.kind {
            ObjectKind::Table => "DROP TABLE",
            ObjectKind::View => "DROP VIEW",
            ObjectKind::MaterializedView => "DROP MATERIALIZED VIEW",
            ObjectKind::Sequence => "DROP SEQUENCE",
            ObjectKind::Index => "DROP INDEX",
            ObjectKind::Schema => "DROP SCHEMA",
            ObjectKind::Type => "DROP TYPE",
            ObjectKind::Domain => "DROP DOMAIN",
            ObjectKind::Function => "DROP FUNCTION",
            ObjectKind::Procedure => "DROP PROCEDURE",
            ObjectKind::Extension => "DROP EXTENSION",
        };
        let mut roots = Vec::new();
        for (at, name) in drop.names.iter().enumerate() {
            let args = drop.args.get(at).and_then(|a| a.as_deref());
            match self.dropped_node(drop.kind, name, args) {
                Ok(node) => roots.push(node),
                Err(e) if drop.if_exists && is_missing(&e) => self.passed_over(drop.kind, name, &e),
                Err(e) => return Err(e),
            }
        }
        self.drop_nodes(roots, drop.cascade)
    }

    fn passed_over(&mut self, kind: ObjectKind, name: &QualifiedName, e: &Error) {
        let notice = match (kind, e.code()) {
            (_, SqlState::INVALID_SCHEMA_NAME) => format!("{}, skipping", e.message()),
            (ObjectKind::Function | ObjectKind::Procedure, _) => {
                match e.message().starts_with("could not find") {
                    true => format!("{} {}() does not exist, skipping", kind.name(), name.name),
                    false => format!("{}, skipping", e.message()),
                }
            }
            (ObjectKind::Domain, _) => format!("type \"{}\" does not exist, skipping", name.name),
            (kind, _) => format!("{} \"{}\" does not exist, skipping", kind.name(), name.name),
        };
        self.skip(notice);
    }

    fn dropped_node(
        &self,
        kind: ObjectKind,
        name: &QualifiedName,
        args: Option<&[(DataType, u32)]>,
    ) -> Result<Node> {
        match kind {
            ObjectKind::Schema => {
                if name.name == crate::catalog::model::PUBLIC {
                    return Err(Error::unsupported("DROP SCHEMA public is not supported"));
                }
                if name.name.starts_with("pg_") || name.name == "information_schema" {
                    return Err(Error::new(
                        SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
                        format!(
                            "cannot drop schema {} because it is required by the database system",
                            name.name
                        ),
                    ));
                }
                self.known_schema(&name.name)?;
                Ok(Node::Schema(name.name.clone()))
            }
            ObjectKind::Type | ObjectKind::Domain => {
                let ty = self.type_named(name)?;
                match (kind, &ty.kind) {
                    (
                        ObjectKind::Domain,
                        UserTypeKind::Enum { .. } | UserTypeKind::Composite { .. },
                    ) => Err(Error::new(
                        SqlState::WRONG_OBJECT_TYPE,
                        format!("\"{}\" is not a domain", name.name),
                    )),
                    _ => Ok(Node::Type(ty.oid)),
                }
            }
            ObjectKind::Function | ObjectKind::Procedure => {
                let wanted = kind == ObjectKind::Procedure;
                let found = self.function_named(name, args).map_err(|e| match wanted {
                    true => e.reworded(|text| text.replacen("function", "procedure", 1)),
                    false => e,
                })?;
                if found.is_procedure() != wanted {
                    return Err(Error::new(
                        SqlState::WRONG_OBJECT_TYPE,
                        format!(
                            "{} is not a {}",
                            self.catalog.function_signature(&found).replace(',', ", "),
                            kind.name()
                        ),
                    ));
                }
                self.not_of_extension(&found)?;
                Ok(Node::Function(found.oid))
            }
            ObjectKind::Extension => self.dropped_extension(&name.name).map(Node::Extension),
            ObjectKind::Table
            | ObjectKind::View
            | ObjectKind::MaterializedView
            | ObjectKind::Sequence
            | ObjectKind::Index => self.dropped_relation(kind, name),
        }
    }

    fn dropped_relation(&self, kind: ObjectKind, name: &QualifiedName) -> Result<Node> {
        self.known_schema(&name.schema)?;
        let found = self
            .catalog
            .relation_by_name(Some(&name.schema), &name.name);
        let Some(found) = found else {
            let code = match kind {
                ObjectKind::Index => SqlState::UNDEFINED_OBJECT,
                _ => SqlState::UNDEFINED_TABLE,
            };
            let message = format!("{} \"{}\" does not exist", kind.name(), name.name);
            return Err(Error::new(code, message));
        };
        let is = kind_of(&found);
        if is != kind {
            let article = if kind == ObjectKind::Index { "an" } else { "a" };
            let what = is.name();
            let upper = what.to_ascii_uppercase();
            let other = if is == ObjectKind::Index { "an" } else { "a" };
            return Err(Error::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("\"{}\" is not {article} {}", name.name, kind.name()),
            )
            .with_hint(format!("Use DROP {upper} to remove {other} {what}.")));
        }
        match found {
            Relation::Table(t) => Ok(Node::Table(t.id)),
            Relation::View(v) => Ok(Node::View(v.id)),
            Relation::Sequence(s) => match s.owner {
                Some((table, number)) if s.internal => {
                    let column = describe(&self.catalog, &Node::Column(table, number));
                    Err(Error::new(
                        SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
                        format!(
                            "cannot drop sequence {} because {column} requires it",
                            s.name
                        ),
                    )
                    .with_hint(format!("You can drop {column} instead.")))
                }
                _ => Ok(Node::Sequence(s.id)),
            },
            Relation::Index(t, i) if i.constraint => Err(required(&i.name, &t.name)),
            Relation::Index(t, i) => Ok(Node::Index(t.id, i.id)),
            Relation::PrimaryKey(t) => Err(required(&t.primary_key_name, &t.name)),
        }
    }

    pub(super) fn type_named(&self, name: &QualifiedName) -> Result<Arc<UserType>> {
        self.known_schema(&name.schema)?;
        let mut types = self.catalog.types.values();
        let found = types.find(|t| t.schema == name.schema && t.name == name.name);
        found.cloned().ok_or_else(|| {
            Error::new(
                SqlState::UNDEFINED_OBJECT,
                format!("type \"{}\" does not exist", name.name),
            )
        })
    }

    /// Drops these and what goes with them; what would have to go as well is an error, unless `cascade`.
    pub(super) fn drop_nodes(&mut self, roots: Vec<Node>, cascade: bool) -> Result<()> {
        let mut seen: BTreeSet<Node> = roots.iter().cloned().collect();
        let mut order: Vec<Node> = roots.clone();
        // What goes silently, so that it is not told of when something else would take it too.
        let mut at = 0;
        let mut told: Vec<(Node, Node)> = Vec::new();
        while let Some(node) = order.get(at).cloned() {
            at += 1;
            let mut found = dependents(&self.catalog, &node);
            found.sort_by_key(|(_, bond)| *bond == Bond::Normal);
            for (dependent, bond) in found {
                if self.within(&dependent, &seen) || !seen.insert(dependent.clone()) {
                    continue;
                }
                if bond == Bond::Normal {
                    told.push((dependent.clone(), node.clone()));
                }
                order.push(dependent);
            }
        }
        told.retain(|(dependent, _)| !roots.contains(dependent));
        if !told.is_empty() {
            match cascade {
                true => self.tell_cascade(&told),
                false => return Err(self.still_needed(&roots, &told)),
            }
        }
        for node in order.iter().rev() {
            self.remove(node)?;
        }
        Ok(())
    }

    /// A part of a table that goes itself.
    fn within(&self, node: &Node, seen: &BTreeSet<Node>) -> bool {
        match node {
            Node::Column(t, _)
            | Node::Constraint(t, _)
            | Node::Index(t, _)
            | Node::Trigger(t, _) => seen.contains(&Node::Table(*t)),
            Node::Default(t, n) => {
                seen.contains(&Node::Table(*t)) || seen.contains(&Node::Column(*t, *n))
            }
            _ => false,
        }
    }

    fn tell_cascade(&mut self, told: &[(Node, Node)]) {
        let lines: Vec<String> = told
            .iter()
            .map(|(node, _)| format!("drop cascades to {}", describe(&self.catalog, node)))
            .collect();
        let notice = match lines.as_slice() {
            [one] => Error::new(SqlState::SUCCESSFUL_COMPLETION, one.clone()),
            many => Error::new(
                SqlState::SUCCESSFUL_COMPLETION,
                format!("drop cascades to {} other objects", many.len()),
            )
            .with_detail(many.join("\n")),
        };
        self.notices.push(notice);
    }

    fn still_needed(&self, roots: &[Node], told: &[(Node, Node)]) -> Error {
        let lines: Vec<String> = told
            .iter()
            .map(|(node, on)| {
                format!(
                    "{} depends on {}",
                    describe(&self.catalog, node),
                    describe(&self.catalog, on)
                )
            })
            .collect();
        let (what, them) = match roots {
            [one] => (describe(&self.catalog, one), "it"),
            _ => ("desired object(s)".into(), "them"),
        };
        Error::new(
            SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
            format!("cannot drop {what} because other objects depend on {them}"),
        )
        .with_detail(lines.join("\n"))
        .with_hint("Use DROP ... CASCADE to drop the dependent objects too.")
    }

    fn remove(&mut self, node: &Node) -> Result<()> {
        match node {
            Node::Schema(name) => {
                let oid = self.catalog.schema_oid(name);
                if let Some(oid) = oid
                    && self.catalog.schemas.remove(&oid).is_some()
                {
                    self.touched(Object::Schema(oid));
                    self.forget_comments(class_oid("pg_namespace"), oid);
                }
            }
            Node::Table(id) => self.remove_table(*id),
            Node::View(id) => {
                self.catalog.views.remove(id);
                self.touched(Object::View(*id));
                self.forget_comments(class_oid("pg_class"), id.0);
            }
            Node::Sequence(id) => {
                self.catalog.sequences.remove(id);
                self.touched(Object::Sequence(*id));
                self.forget_comments(class_oid("pg_class"), id.0);
            }
            Node::Type(oid) => {
                self.catalog.types.remove(oid);
                self.touched(Object::Type(*oid));
                self.forget_comments(class_oid("pg_type"), *oid);
            }
            Node::Function(oid) => {
                self.catalog.functions.remove(oid);
                self.touched(Object::Function(*oid));
                self.forget_comments(class_oid("pg_proc"), *oid);
            }
            Node::Extension(oid) => self.remove_extension(*oid),
            Node::Column(table, number) => self.remove_column(*table, *number)?,
            Node::Default(table, number) => {
                let old = self.table(*table)?;
                let mut next = Table::clone(&old);
                if let Some(at) = next.ordinal(*number) {
                    next.columns[at].default = None;
                }
                self.locks.push(*table);
                self.put(next);
            }
            Node::Constraint(table, name) => self.remove_constraint(*table, name)?,
            Node::Trigger(table, name) => self.remove_trigger(*table, name),
            Node::Index(table, index) => {
                let old = self.table(*table)?;
                let mut next = Table::clone(&old);
                self.locks.push(*table);
                for i in next.indexes.iter().filter(|i| i.id == *index) {
                    self.dropped.push(i.tree);
                }
                next.indexes.retain(|i| i.id != *index);
                self.forget_comments(class_oid("pg_class"), index.0);
                self.put(next);
            }
        }
        Ok(())
    }

    fn remove_table(&mut self, id: TableId) {
        let Some(table) = self.catalog.tables.remove(&id) else {
            return;
        };
        self.locks.push(id);
        self.drop_trees(&table);
        let triggers = self.catalog.triggers_of(id);
        let triggers: Vec<String> = triggers.map(|t| t.name.clone()).collect();
        for name in triggers {
            self.remove_trigger(id, &name);
        }
        self.catalog.statistics.remove(&id);
        self.touched(Object::Table(id));
        let class = class_oid("pg_class");
        self.forget_comments(class, id.0);
        for index in &table.indexes {
            self.forget_comments(class, index.id.0);
        }
    }
}

/// What a relation is, to a statement that names its kind.
pub(super) fn kind_of(relation: &Relation) -> ObjectKind {
    match relation {
        Relation::Table(t) => match t.kind {
            TableKind::Ordinary | TableKind::Temporary(_) => ObjectKind::Table,
            TableKind::Materialized { .. } => ObjectKind::MaterializedView,
        },
        Relation::View(_) => ObjectKind::View,
        Relation::Sequence(_) => ObjectKind::Sequence,
        Relation::Index(..) | Relation::PrimaryKey(_) => ObjectKind::Index,
    }
}

/// What IF EXISTS is about.
fn is_missing(e: &Error) -> bool {
    matches!(
        e.code(),
        SqlState::UNDEFINED_TABLE
            | SqlState::UNDEFINED_OBJECT
            | SqlState::UNDEFINED_FUNCTION
            | SqlState::INVALID_SCHEMA_NAME
    )
}

/// An index behind a constraint.
fn required(name: &str, table: &str) -> Error {
    Error::new(
        SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
        format!("cannot drop index {name} because constraint {name} on table {table} requires it"),
    )
    .with_hint(format!(
        "You can drop constraint {name} on table {table} instead."
    ))
}
