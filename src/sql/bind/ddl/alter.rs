//! ALTER: actions bound one after the other, each against what those before have made of the table.
//!
//! Owns: the expressions in them, bound against a draft (`draft`). Never: decides what becomes of rows (`catalog::change` does). Source:
//! PostgreSQL 15, `tablecmds.c`, for the order of checks and wording.

use super::super::user_type::Declared;
use super::super::{Binder, Clause, Cx, names, syntax, unsupported};
use super::draft::Draft;
use super::foreign::foreign_key;
use super::sequence::changed_identity;
use super::{index_columns, kind, table};
use crate::parse::define::{Action, Alter, ObjectKind, SequenceOptions};
use crate::parse::{self, Ast};
use crate::statement::Statement;
use engine::catalog::{Check, ColumnDef, Relation as Found, Table, View};
use engine::exec::cast::{self, CastContext};
use engine::plan::ddl::{self, AlterTarget, Ddl, Key, TableAction, ViewAction};
use engine::plan::{CreateTable, Expr};
use sqlparser::ast::{self, AlterColumnOperation, AlterTableOperation, TableConstraint};
use std::sync::Arc;
use types::{DataType, Error, Result, SqlState};

impl<'a> Binder<'a> {
    pub(super) fn alter(&mut self, a: &'a Alter) -> Result<Statement> {
        let mut notices = Vec::new();
        let target = self.alter_target(a, &mut notices)?;
        for action in &a.actions {
            if let Action::Owner(role) = action {
                self.may_own(role)?;
            }
        }
        Ok(Statement::Ddl(Ddl::Alter(ddl::Alter {
            kind: kind(a.kind),
            target,
            notices,
        })))
    }

    /// There are no roles but the session's own, and the one that owns the schema `public`.
    fn may_own(&self, role: &str) -> Result<()> {
        let user = &self.env.context.session.user;
        let itself = ["current_role", "current_user", "session_user"];
        if *role == **user || itself.contains(&role) {
            return Ok(());
        }
        if role == "pg_database_owner" {
            return Err(unsupported("another owner than the user"));
        }
        Err(Error::new(
            SqlState::UNDEFINED_OBJECT,
            format!("role \"{role}\" does not exist"),
        ))
    }

    fn alter_target(&mut self, a: &'a Alter, notices: &mut Vec<Error>) -> Result<AlterTarget> {
        if matches!(a.kind, ObjectKind::Type | ObjectKind::Domain) {
            return self.alter_type(a);
        }
        if let Some(signature) = &a.function {
            return self.alter_function(signature, &a.actions);
        }
        let (schema, base) = self.qualified(&a.name)?;
        if a.kind == ObjectKind::Schema {
            return match a.actions.as_slice() {
                [Action::RenameTo(to)] => Ok(AlterTarget::Schema {
                    from: base,
                    to: names::ident(to),
                }),
                [Action::Owner(_)] => Ok(AlterTarget::Nothing),
                _ => Err(syntax("syntax error in ALTER SCHEMA")),
            };
        }
        let Some(found) = self.find(schema.as_deref(), &base) else {
            return missing(a, schema.as_deref(), &base, notices);
        };
        let wrong = |what: &str| Err(not_a(&base, what));
        match (a.kind, found) {
            (ObjectKind::Table | ObjectKind::MaterializedView, Found::Table(t)) => {
                self.alter_table(&t, &a.actions, notices)
            }
            (ObjectKind::Table | ObjectKind::View, Found::View(v)) => view_action(&v, &a.actions),
            (ObjectKind::Table | ObjectKind::Sequence, Found::Sequence(s)) => {
                match a.actions.as_slice() {
                    [Action::RenameTo(to)] => Ok(AlterTarget::Sequence {
                        id: s.id,
                        action: ddl::SequenceAction::RenameTo(names::ident(to)),
                    }),
                    [Action::SetSchema(to)] => Ok(AlterTarget::Sequence {
                        id: s.id,
                        action: ddl::SequenceAction::SetSchema(names::ident(to)),
                    }),
                    [Action::Owner(_)] => Ok(AlterTarget::Nothing),
                    [Action::Sequence(options)] => self.alter_sequence(&s, options),
                    _ => wrong("a table"),
                }
            }
            (
                ObjectKind::Table | ObjectKind::Index,
                found @ (Found::Index(..) | Found::PrimaryKey(_)),
            ) => match a.actions.as_slice() {
                [Action::RenameTo(to)] => Ok(AlterTarget::Index {
                    id: types::TableId(found.oid()),
                    to: names::ident(to),
                }),
                [Action::Storage(None, storage)] => super::parameters::of_index(storage),
                _ => Err(unsupported("this ALTER INDEX")),
            },
            (ObjectKind::View, _) => wrong("a view"),
            (ObjectKind::MaterializedView, _) => wrong("a materialized view"),
            (ObjectKind::Sequence, _) => wrong("a sequence"),
            (ObjectKind::Index, _) => wrong("an index"),
            (
                ObjectKind::Schema
                | ObjectKind::Type
                | ObjectKind::Domain
                | ObjectKind::Function
                | ObjectKind::Procedure
                | ObjectKind::Extension,
                _,
            ) => wrong("a schema"),
        }
    }

    fn alter_table(
        &mut self,
        table: &Arc<Table>,
        actions: &'a [Action],
        notices: &mut Vec<Error>,
    ) -> Result<AlterTarget> {
        let mut draft = Draft {
            table: Table::clone(table),
            actions: Vec::new(),
            notices: Vec::new(),
        };
        for action in actions {
            self.table_action(&mut draft, action)?;
        }
        notices.append(&mut draft.notices);
        Ok(AlterTarget::Table {
            id: table.id,
            since: table.since,
            actions: draft.actions,
        })
    }

    fn table_action(&mut self, d: &mut Draft, action: &'a Action) -> Result<()> {
        match action {
            Action::Plain(operation) => self.plain_action(d, operation),
            Action::RenameTo(to) => {
                d.actions.push(TableAction::RenameTo(names::ident(to)));
                Ok(())
            }
            Action::RenameColumn { from, to } => {
                let triggers = self.env.catalog.triggers_of(d.table.id);
                let conditions = triggers.filter_map(|t| Some((t.oid, t.when.clone()?)));
                d.rename_column(from, to, conditions.collect())
            }
            Action::FireTriggers(name, how) => {
                d.actions.push(super::trigger::firing(name, *how));
                Ok(())
            }
            Action::RenameConstraint { from, to } => {
                d.actions.push(TableAction::RenameConstraint {
                    from: names::ident(from),
                    to: names::ident(to),
                });
                Ok(())
            }
            Action::SetSchema(schema) => {
                d.actions.push(TableAction::SetSchema(names::ident(schema)));
                Ok(())
            }
            Action::SetTiming {
                name,
                deferrable,
                initially_deferred,
            } => {
                d.actions.push(TableAction::SetTiming {
                    name: names::ident(name),
                    deferrable: *deferrable,
                    initially_deferred: *initially_deferred,
                });
                Ok(())
            }
            Action::Owner(_) => Ok(()),
            Action::Storage(None, storage) => self.storage(&d.table, None, storage),
            Action::Storage(Some(column), storage) => {
                let column = d.column(column)?;
                self.storage(&d.table, d.table.columns.get(column), storage)
            }
            Action::AddIdentity {
                column,
                always,
                options,
            } => d.add_identity(column, *always, options),
            Action::ChangeIdentity {
                column,
                always,
                options,
            } => self.change_identity(d, column, *always, options),
            Action::DropIdentity { column, if_exists } => d.drop_identity(column, *if_exists),
            Action::DropExpression { column, if_exists } => d.drop_expression(column, *if_exists),
            Action::Sequence(_)
            | Action::Function(..)
            | Action::Attribute(_)
            | Action::AddValue { .. }
            | Action::RenameValue { .. }
            | Action::DomainDefault(_)
            | Action::DomainNotNull(_) => Err(syntax("syntax error in ALTER TABLE")),
        }
    }

    fn change_identity(
        &self,
        d: &mut Draft,
        column: &ast::Ident,
        always: Option<bool>,
        options: &SequenceOptions,
    ) -> Result<()> {
        let at = d.column(column)?;
        let c = &d.table.columns[at];
        let known = c
            .identity
            .and_then(|i| self.env.catalog.sequences.get(&i.sequence));
        let changed = known.map(|s| changed_identity(s, options)).transpose()?;
        let (sequence, restart) = match changed {
            Some((sequence, restart)) => (Some(Box::new(sequence)), restart),
            None => (None, None),
        };
        d.actions.push(TableAction::SetIdentity {
            number: c.number,
            always,
            sequence,
            restart,
        });
        Ok(())
    }

    fn plain_action(&mut self, d: &mut Draft, operation: &'a AlterTableOperation) -> Result<()> {
        match operation {
            AlterTableOperation::AddColumn {
                if_not_exists,
                column_def,
                ..
            } => self.add_column(d, column_def, *if_not_exists),
            AlterTableOperation::DropColumn {
                column_names,
                if_exists,
                drop_behavior,
                ..
            } => {
                let cascade = matches!(drop_behavior, Some(ast::DropBehavior::Cascade));
                for name in column_names {
                    d.drop_column(name, *if_exists, cascade)?;
                }
                Ok(())
            }
            AlterTableOperation::AlterColumn { column_name, op } => {
                self.alter_column(d, column_name, op)
            }
            AlterTableOperation::AddConstraint {
                constraint,
                not_valid,
            } => self.add_constraint(d, constraint, *not_valid),
            AlterTableOperation::DropConstraint {
                if_exists,
                name,
                drop_behavior,
            } => {
                let cascade = matches!(drop_behavior, Some(ast::DropBehavior::Cascade));
                d.drop_constraint(&names::ident(name), *if_exists, cascade)
            }
            AlterTableOperation::ValidateConstraint { name } => {
                let name = names::ident(name);
                d.actions.push(TableAction::Validate { name });
                Ok(())
            }
            _ => Err(unsupported("this ALTER TABLE")),
        }
    }

    fn add_column(
        &mut self,
        d: &mut Draft,
        c: &'a ast::ColumnDef,
        if_not_exists: bool,
    ) -> Result<()> {
        let (column, serial) = self.column_definition(c)?;
        if d.table.column(&column.name).is_some() {
            let message = format!(
                "column \"{}\" of relation \"{}\" already exists",
                column.name, d.table.name
            );
            if if_not_exists {
                d.notices.push(Error::new(
                    SqlState::DUPLICATE_COLUMN,
                    format!("{message}, skipping"),
                ));
                return Ok(());
            }
            return Err(Error::new(SqlState::DUPLICATE_COLUMN, message));
        }
        let at = d.table.columns.len();
        // The column's options are those of a table of the same columns.
        let mut columns = d.table.columns.clone();
        columns.push(column);
        let mut made = CreateTable {
            schema: d.table.schema.clone(),
            name: d.table.name.clone(),
            columns,
            sequences: serial.map(|s| s.at(at)).into_iter().collect(),
            checks: Vec::new(),
            ..CreateTable::default()
        };
        for option in &c.options {
            let given = option.name.as_ref();
            self.column_option(&mut made, at, given, &option.option)?;
        }
        let Some(mut column) = made.columns.pop() else {
            return Err(Error::internal("a column out of range"));
        };
        column.number = d.table.next_number();
        if made.primary_key.is_some() {
            column.not_null = true;
        }
        d.table.columns.push(column.clone());
        let sequence = made.sequences.pop();
        d.actions.push(TableAction::AddColumn {
            column: Box::new(column),
            sequence: sequence.map(Box::new),
        });
        if let Some(key) = made.primary_key {
            d.add_primary_key(key)?;
        }
        for key in made.uniques {
            d.actions.push(TableAction::AddUnique(key));
        }
        for check in made.checks {
            d.add_check(check, true);
        }
        for key in made.foreign_keys {
            let key = Box::new(key);
            d.actions.push(TableAction::AddForeignKey(key));
        }
        Ok(())
    }

    fn alter_column(
        &mut self,
        d: &mut Draft,
        name: &ast::Ident,
        op: &'a AlterColumnOperation,
    ) -> Result<()> {
        let at = d.column(name)?;
        let number = d.table.columns[at].number;
        match op {
            AlterColumnOperation::SetNotNull | AlterColumnOperation::DropNotNull => {
                let on = matches!(op, AlterColumnOperation::SetNotNull);
                d.table.columns[at].not_null = on;
                d.actions.push(TableAction::SetNotNull { number, on });
                Ok(())
            }
            AlterColumnOperation::SetDefault { value } => {
                d.refuse_default(at)?;
                let column = d.table.columns[at].clone();
                let default = Some(self.column_default(value, &column)?);
                d.table.columns[at].default.clone_from(&default);
                d.actions.push(TableAction::SetDefault { number, default });
                Ok(())
            }
            AlterColumnOperation::DropDefault => {
                d.refuse_default(at)?;
                d.table.columns[at].default = None;
                let default = None;
                d.actions.push(TableAction::SetDefault { number, default });
                Ok(())
            }
            AlterColumnOperation::SetDataType {
                data_type, using, ..
            } => self.set_type(d, at, data_type, using.as_ref()),
            AlterColumnOperation::AddGenerated { .. } => Err(unsupported("this ALTER COLUMN")),
        }
    }

    fn set_type(
        &mut self,
        d: &mut Draft,
        at: usize,
        data_type: &ast::DataType,
        using: Option<&'a ast::Expr>,
    ) -> Result<()> {
        let Declared {
            ty,
            typmod,
            declared,
        } = self.declared_type(data_type)?;
        let old = d.table.columns[at].clone();
        self.can_be_stored(&old.name, ty)?;
        if old.generated.is_some() {
            return Err(unsupported("changing the type of a generated column"));
        }
        if old.identity.is_some() && !ty.is_integer() {
            return Err(Error::new(
                SqlState::INVALID_PARAMETER_VALUE,
                "identity column type must be smallint, integer, or bigint",
            ));
        }
        let new = ColumnDef {
            ty,
            typmod,
            declared,
            default: None,
            ..old.clone()
        };
        // USING the column as it is says nothing.
        let itself =
            |e: &ast::Expr| matches!(e, ast::Expr::Identifier(i) if names::ident(i) == old.name);
        let using = using.filter(|e| !itself(super::super::select::unnested(e)));
        let using = self.converted(d, at, &new, using)?;
        let default = match &old.default {
            Some(default) => Some(engine::catalog::Default {
                sql: default.sql.clone(),
                expr: self
                    .assign(default.expr.clone(), &new)
                    .map_err(|e| no_cast(e, &new, "default for column"))?,
            }),
            None => None,
        };
        d.table.columns[at] = ColumnDef {
            default: default.clone(),
            missing: None,
            ..new
        };
        let checks = self.rebound_checks(d, at)?;
        d.table.checks.clone_from(&checks);
        d.actions.push(TableAction::SetType {
            number: old.number,
            ty,
            typmod,
            declared,
            using,
            default,
            checks,
        });
        Ok(())
    }

    /// The new value over the old row; `None` where values stay as they are stored.
    fn converted(
        &mut self,
        d: &Draft,
        at: usize,
        new: &ColumnDef,
        using: Option<&'a ast::Expr>,
    ) -> Result<Option<Expr>> {
        let (old, ty, typmod) = (&d.table.columns[at], new.ty, new.typmod);
        Ok(match using {
            Some(e) => {
                let scope = self.table_scope(&d.table, None);
                let mut cx = Cx::new(scope, Clause::Transform);
                let bound = self.expr(e, &mut cx)?;
                table::plain_definition(&bound, "transform expression")?;
                Some(
                    self.assign(bound, new)
                        .map_err(|e| no_cast(e, new, "result of USING clause for column"))?,
                )
            }
            None if as_stored(old, new) && !self.is_held(old, new) => None,
            None => {
                let value = Expr::Column(at, old.ty);
                if old.ty != ty && !cast::can_cast(old.ty, ty, CastContext::Assignment) {
                    return Err(Error::new(
                        SqlState::DATATYPE_MISMATCH,
                        format!(
                            "column \"{}\" cannot be cast automatically to type {ty}",
                            old.name
                        ),
                    )
                    .with_hint(format!(
                        "You might need to specify \"USING {}::{}\".",
                        old.name,
                        engine::exec::functions::system::type_name(ty, Some(typmod.into()))
                    )));
                }
                Some(self.assign(value, new)?)
            }
        })
    }

    /// Values of the column are held to a domain that they were not held to.
    fn is_held(&self, old: &ColumnDef, new: &ColumnDef) -> bool {
        old.declared != new.declared && self.env.catalog.is_constrained(new.declared)
    }

    /// The table's checks, those over the column read again from their text.
    fn rebound_checks(&mut self, d: &Draft, at: usize) -> Result<Vec<Check>> {
        let mut out = Vec::with_capacity(d.table.checks.len());
        for check in &d.table.checks {
            if !check.expr.columns().contains(&at) {
                out.push(check.clone());
                continue;
            }
            let parsed = parse::parse(&format!("select {}", check.sql))?;
            let Some(e) = parsed.first().and_then(|p| match &p.ast {
                Ast::Sql(s) => only_expr(s),
                Ast::Command(_) => None,
            }) else {
                return Err(Error::internal("a check's text is no expression"));
            };
            let Some(first) = parsed.first() else {
                return Err(Error::internal("a check without a text"));
            };
            let mut inner = Binder::new(self.env, &first.lines);
            let (expr, _) = inner.bound_check(&d.table.columns, &d.table.name, e)?;
            out.push(Check {
                name: check.name.clone(),
                sql: check.sql.clone(),
                expr,
            });
        }
        Ok(out)
    }

    fn add_constraint(
        &mut self,
        d: &mut Draft,
        constraint: &'a TableConstraint,
        not_valid: bool,
    ) -> Result<()> {
        match constraint {
            TableConstraint::PrimaryKey(k) => {
                table::refuse_characteristics(k.characteristics.as_ref())?;
                if !k.include.is_empty() {
                    return Err(unsupported("PRIMARY KEY with INCLUDE"));
                }
                let columns = d.key_columns(&index_columns(&k.columns)?)?;
                let name = k.name.as_ref().map(names::ident);
                d.add_primary_key(Key {
                    name,
                    columns,
                    ..Key::default()
                })
            }
            TableConstraint::Unique(k) => {
                table::refuse_characteristics(k.characteristics.as_ref())?;
                let include: Vec<String> = k.include.iter().map(names::ident).collect();
                let key = Key {
                    columns: d.key_columns(&index_columns(&k.columns)?)?,
                    name: k.name.as_ref().map(names::ident),
                    nulls_not_distinct: table::nulls_not_distinct(k),
                    include: d.key_columns(&include)?,
                };
                d.actions.push(TableAction::AddUnique(key));
                Ok(())
            }
            TableConstraint::Check(c) => {
                let inherited = super::table::inherited(c)?;
                let (expr, sql) =
                    self.bound_check(&d.table.columns.clone(), &d.table.name.clone(), inherited)?;
                let name = c.name.as_ref().map(names::ident).unwrap_or_default();
                d.add_check(Check { name, sql, expr }, !not_valid);
                Ok(())
            }
            TableConstraint::ForeignKey(k) => {
                let columns = k.columns.iter().map(names::ident).collect();
                let referenced = self.referenced(&k.foreign_table, &d.name())?;
                let mut key = foreign_key(k, None, columns, referenced)?;
                key.not_valid = not_valid;
                d.actions.push(TableAction::AddForeignKey(Box::new(key)));
                Ok(())
            }
            TableConstraint::Exclude(_) => Err(unsupported("EXCLUDE")),
            TableConstraint::UniqueUsingIndex(c) => self.use_index(d, c, false),
            TableConstraint::PrimaryKeyUsingIndex(c) => self.use_index(d, c, true),
            _ => Err(unsupported("this ALTER TABLE")),
        }
    }
}

fn not_a(name: &str, what: &str) -> Error {
    let message = format!("\"{name}\" is not {what}");
    Error::new(SqlState::WRONG_OBJECT_TYPE, message)
}

/// 42P01, or a notice.
fn missing(
    a: &Alter,
    schema: Option<&str>,
    name: &str,
    notices: &mut Vec<Error>,
) -> Result<AlterTarget> {
    let shown = match schema {
        Some(s) => format!("{s}.{name}"),
        None => name.to_owned(),
    };
    let message = format!("relation \"{shown}\" does not exist");
    if a.if_exists {
        let notice = format!("{message}, skipping");
        notices.push(Error::new(SqlState::SUCCESSFUL_COMPLETION, notice));
        return Ok(AlterTarget::Nothing);
    }
    Err(Error::new(SqlState::UNDEFINED_TABLE, message))
}

/// Values of the old type are stored as those of the new one are, in the same order, and all of them are allowed.
fn as_stored(old: &ColumnDef, new: &ColumnDef) -> bool {
    let text = |ty| matches!(ty, DataType::Text | DataType::Varchar);
    if text(old.ty) && text(new.ty) {
        return new.typmod < 0 || (old.typmod >= 0 && old.typmod <= new.typmod);
    }
    old.ty == new.ty && (new.typmod == old.typmod || new.typmod < 0)
}

fn no_cast(e: Error, column: &ColumnDef, what: &str) -> Error {
    if e.code() != SqlState::DATATYPE_MISMATCH {
        return e;
    }
    let message = format!(
        "{what} \"{}\" cannot be cast automatically to type {}",
        column.name, column.ty
    );
    Error::new(SqlState::DATATYPE_MISMATCH, message)
}

/// `SELECT e`.
fn only_expr(s: &ast::Statement) -> Option<&ast::Expr> {
    let ast::Statement::Query(q) = s else {
        return None;
    };
    let ast::SetExpr::Select(select) = &*q.body else {
        return None;
    };
    match select.projection.as_slice() {
        [ast::SelectItem::UnnamedExpr(e)] => Some(e),
        _ => None,
    }
}

fn view_action(v: &Arc<View>, actions: &[Action]) -> Result<AlterTarget> {
    let action = match actions {
        [Action::RenameTo(to)] => ViewAction::RenameTo(names::ident(to)),
        [Action::SetSchema(schema)] => ViewAction::SetSchema(names::ident(schema)),
        [Action::RenameColumn { from, to }] => {
            let from = names::ident(from);
            let Some(at) = v.columns.iter().position(|c| c.name == from) else {
                return Err(Error::new(
                    SqlState::UNDEFINED_COLUMN,
                    format!("column \"{from}\" does not exist"),
                ));
            };
            ViewAction::RenameColumn {
                number: at as i16 + 1,
                to: names::ident(to),
            }
        }
        [Action::Owner(_)] => return Ok(AlterTarget::Nothing),
        [Action::Storage(None, storage)] => return super::parameters::of_view(storage),
        _ => return Err(unsupported("this ALTER VIEW")),
    };
    Ok(AlterTarget::View {
        id: v.id,
        since: v.since,
        action,
    })
}
