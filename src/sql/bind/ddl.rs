//! Definitions: CREATE, ALTER, DROP, COMMENT, TRUNCATE.
//!
//! Owns: what a definition must satisfy before the catalog is asked: names, types, keys, checks. Never: looks whether the
//! name is taken (the catalog's writer decides that). `WITH (fillfactor = n)` is the one storage parameter taken: PostgreSQL
//! itself calls it a hint about free space in pages, and pages here choose their own. Source: `parse_utilcmd.c`.

mod adopt;
mod alter;
mod composite;
mod domain;
mod draft;
mod foreign;
mod function;
mod index;
mod parameters;
mod placement;
mod sequence;
mod table;
mod trigger;

use super::{Binder, names, syntax};
use crate::parse::define::{self, Definition};
use crate::statement::Statement;
use engine::catalog::{Table, path};
use engine::plan::QualifiedName;
use engine::plan::ddl::{CommentTarget, CreateExtension, Ddl, Drop, ObjectKind};
use sqlparser::ast::{self, IndexColumn};
use types::{Error, Result, SqlState, limits};

impl<'a> Binder<'a> {
    pub(super) fn define(&mut self, d: &'a Definition) -> Result<Statement> {
        match d {
            Definition::Table(t) => self.create_table(t),
            Definition::View(v) => self.create_view(v),
            Definition::Sequence(s) => self.create_sequence(s),
            Definition::Schema {
                name,
                if_not_exists,
            } => Ok(Statement::Ddl(Ddl::CreateSchema {
                name: names::ident(name),
                if_not_exists: *if_not_exists,
                temporary: false,
            })),
            Definition::Enum { name, labels } => {
                let name = self.creation(name, false)?;
                let labels = labels.clone();
                Ok(Statement::Ddl(Ddl::CreateEnum { name, labels }))
            }
            Definition::Composite { name, attributes } => self.create_composite(name, attributes),
            Definition::Function(f) => self.create_function(f),
            Definition::Extension(e) => self.create_extension(e),
            Definition::NoRoles(names) => self.no_roles(names),
            Definition::Trigger(t) => self.create_trigger(t),
            Definition::RenameTrigger { name, table, to } => self.rename_trigger(name, table, to),
            Definition::DropTrigger {
                name,
                table,
                if_exists,
            } => self.drop_trigger(name, table, *if_exists),
            Definition::Database(what) => Ok(Statement::Ddl(Ddl::Database(what.clone()))),
            Definition::Domain { name, column } => self.create_domain(name, column),
            Definition::Alter(a) => self.alter(a),
            Definition::Drop(d) => self.drop(d),
            Definition::Truncate {
                tables,
                restart,
                cascade,
            } => {
                let table = |t| self.base_table(t).map(|t| name_of(&t));
                Ok(Statement::Ddl(Ddl::Truncate {
                    tables: tables.iter().map(table).collect::<Result<_>>()?,
                    restart: *restart,
                    cascade: *cascade,
                }))
            }
            Definition::Comment { on, text } => {
                let on = self.comment_target(on)?;
                let text = text.clone();
                Ok(Statement::Ddl(Ddl::Comment { on, text }))
            }
            Definition::Reindex {
                what,
                name,
                concurrently,
            } => self.reindex(*what, name, *concurrently),
            Definition::Refresh {
                name,
                with_data,
                concurrently,
            } => self.refresh(name, *with_data, *concurrently),
        }
    }

    /// 55006 for the user's own.
    fn no_roles(&self, roles: &[String]) -> Result<Statement> {
        let user = &self.env.context.session.user;
        let own = ["current_role", "current_user", "session_user"];
        if roles.iter().any(|r| own.contains(&r.as_str())) {
            return Err(Error::new(
                SqlState::INVALID_PARAMETER_VALUE,
                "cannot use special role specifier in DROP ROLE",
            ));
        }
        if roles.iter().any(|r| **r == **user) {
            return Err(Error::new(
                SqlState::OBJECT_IN_USE,
                "current user cannot be dropped",
            ));
        }
        let skipped = |role: &String| {
            let message = format!("role \"{role}\" does not exist, skipping");
            Error::new(SqlState::SUCCESSFUL_COMPLETION, message)
        };
        Ok(Statement::Ddl(Ddl::NoRoles {
            notices: roles.iter().map(skipped).collect(),
        }))
    }

    fn create_extension(&self, e: &define::ExtensionDef) -> Result<Statement> {
        let schema = match &e.schema {
            Some(schema) => names::ident(schema),
            None => path::creation(self.env.context)?,
        };
        Ok(Statement::Ddl(Ddl::CreateExtension(CreateExtension {
            name: e.name.clone(),
            schema,
            version: e.version.clone(),
            if_not_exists: e.if_not_exists,
        })))
    }

    fn drop(&mut self, d: &define::DropDef) -> Result<Statement> {
        if d.concurrently && d.names.len() > 1 {
            return Err(Error::unsupported(
                "DROP INDEX CONCURRENTLY does not support dropping multiple objects",
            ));
        }
        if d.concurrently && d.cascade {
            return Err(Error::unsupported(
                "DROP INDEX CONCURRENTLY does not support CASCADE",
            ));
        }
        let name = |n: &ast::ObjectName| match d.kind {
            define::ObjectKind::Schema | define::ObjectKind::Extension => {
                let (_, name) = self.qualified(n)?;
                let schema = String::new();
                Ok(QualifiedName { schema, name })
            }
            define::ObjectKind::Type | define::ObjectKind::Domain => self.type_named(n),
            _ => self.named(n),
        };
        let mut names: Vec<QualifiedName> = d.names.iter().map(name).collect::<Result<_>>()?;
        let mut args = Vec::new();
        for f in &d.functions {
            names.push(self.function_name_of(&f.name)?);
            args.push(self.signature(f)?);
        }
        Ok(Statement::Ddl(Ddl::Drop(Drop {
            kind: kind(d.kind),
            names,
            args,
            if_exists: d.if_exists,
            cascade: d.cascade,
            concurrently: d.concurrently,
        })))
    }

    fn comment_target(&self, on: &define::CommentOn) -> Result<CommentTarget> {
        Ok(match on {
            define::CommentOn::Object(
                k @ (define::ObjectKind::Schema | define::ObjectKind::Extension),
                name,
            ) => {
                let (_, name) = self.qualified(name)?;
                let schema = String::new();
                CommentTarget::Object(kind(*k), QualifiedName { schema, name })
            }
            define::CommentOn::Object(
                k @ (define::ObjectKind::Type | define::ObjectKind::Domain),
                name,
            ) => CommentTarget::Object(kind(*k), self.type_named(name)?),
            define::CommentOn::Object(k, name) => {
                CommentTarget::Object(kind(*k), self.named(name)?)
            }
            define::CommentOn::Function(f) => CommentTarget::Function {
                name: self.function_name_of(&f.name)?,
                args: self.signature(f)?,
            },
            define::CommentOn::Column(name) => {
                let mut parts = name.0.clone();
                let column = ast::ObjectName(parts.pop().into_iter().collect());
                let (_, column) = self.qualified(&column)?;
                if parts.is_empty() {
                    return Err(syntax("column name must be qualified"));
                }
                let relation = self.named(&ast::ObjectName(parts))?;
                CommentTarget::Column { relation, column }
            }
            define::CommentOn::Constraint { name, table } => CommentTarget::Constraint {
                table: self.named(table)?,
                name: names::ident(name),
            },
            define::CommentOn::Trigger { name, table } => CommentTarget::Trigger {
                table: self.named(table)?,
                name: names::ident(name),
            },
            define::CommentOn::Database(name) => CommentTarget::Database(name.clone()),
        })
    }

    /// An existing relation by its name: where it was found, else where it would be made.
    pub(super) fn named(&self, name: &ast::ObjectName) -> Result<QualifiedName> {
        let (schema, base) = self.qualified(name)?;
        if let Some(found) = self.find(schema.as_deref(), &base) {
            return Ok(QualifiedName {
                schema: found.schema().to_owned(),
                name: base,
            });
        }
        let schema = match schema {
            Some(schema) => schema,
            None => path::creation(self.env.context).unwrap_or_else(|_| "public".into()),
        };
        Ok(QualifiedName { schema, name: base })
    }

    /// Where something of this name is made.
    pub(super) fn creation(
        &self,
        name: &ast::ObjectName,
        temporary: bool,
    ) -> Result<QualifiedName> {
        let (schema, name) = self.qualified(name)?;
        let own = path::temporary(self.env.context);
        let schema = match (schema, temporary) {
            (None, false) => path::creation(self.env.context)?,
            (None, true) => own,
            (Some(s), _) if s == "pg_temp" || s == own => own,
            (Some(_), true) => {
                return Err(Error::new(
                    SqlState::INVALID_TABLE_DEFINITION,
                    "cannot create temporary relation in non-temporary schema",
                ));
            }
            (Some(s), false) if s == "pg_catalog" || s == "information_schema" => {
                return Err(Error::new(
                    SqlState::INSUFFICIENT_PRIVILEGE,
                    format!("permission denied to create \"{s}.{name}\""),
                )
                .with_detail("System catalog modifications are currently disallowed."));
            }
            (Some(s), false) => match self.env.catalog.schema_oid(&s) {
                Some(_) => s,
                None => return Err(names::unknown_schema(&s)),
            },
        };
        Ok(QualifiedName { schema, name })
    }
}

fn name_of(table: &Table) -> QualifiedName {
    QualifiedName {
        schema: table.schema.clone(),
        name: table.name.clone(),
    }
}

fn kind(kind: define::ObjectKind) -> ObjectKind {
    match kind {
        define::ObjectKind::Table => ObjectKind::Table,
        define::ObjectKind::View => ObjectKind::View,
        define::ObjectKind::MaterializedView => ObjectKind::MaterializedView,
        define::ObjectKind::Sequence => ObjectKind::Sequence,
        define::ObjectKind::Index => ObjectKind::Index,
        define::ObjectKind::Schema => ObjectKind::Schema,
        define::ObjectKind::Type => ObjectKind::Type,
        define::ObjectKind::Domain => ObjectKind::Domain,
        define::ObjectKind::Function => ObjectKind::Function,
        define::ObjectKind::Procedure => ObjectKind::Procedure,
        define::ObjectKind::Extension => ObjectKind::Extension,
    }
}

/// Columns of a key constraint, each at most once.
pub(super) fn index_columns(columns: &[IndexColumn]) -> Result<Vec<String>> {
    if columns.len() > limits::INDEX_COLUMNS_MAX {
        return Err(Error::new(
            SqlState::TOO_MANY_COLUMNS,
            format!(
                "cannot use more than {} columns in an index",
                limits::INDEX_COLUMNS_MAX
            ),
        ));
    }
    let mut out: Vec<String> = Vec::with_capacity(columns.len());
    for c in columns {
        let options = &c.column.options;
        let plain =
            options.sort.is_none() && options.nulls_first.is_none() && c.operator_class.is_none();
        let (ast::Expr::Identifier(i), true) = (&c.column.expr, plain) else {
            return Err(syntax("a key constraint has columns alone"));
        };
        let name = names::ident(i);
        if out.contains(&name) {
            return Err(Error::new(
                SqlState::DUPLICATE_COLUMN,
                format!("column \"{name}\" appears twice in a key or index"),
            ));
        }
        out.push(name);
    }
    Ok(out)
}
