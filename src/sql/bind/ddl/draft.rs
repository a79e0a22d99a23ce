//! A table as the actions of an ALTER TABLE so far leave it.
//!
//! Owns: the actions that need no expression bound. Asked by: `alter`. Source: PostgreSQL 15, `tablecmds.c`.

use super::super::names;
use super::sequence::identity_sequence;
use super::table;
use crate::parse::define::SequenceOptions;
use crate::parse::rename;
use engine::catalog::{Check, Table, TriggerWhen};
use engine::exec::functions::quote_identifier;
use engine::plan::QualifiedName;
use engine::plan::ddl::{Key, OwnedSequence, TableAction};
use sqlparser::ast;
use types::{Error, Result, SqlState};

/// What the next action is bound against.
pub(super) struct Draft {
    pub table: Table,
    pub actions: Vec<TableAction>,
    pub notices: Vec<Error>,
}

impl Draft {
    pub(super) fn name(&self) -> QualifiedName {
        QualifiedName {
            schema: self.table.schema.clone(),
            name: self.table.name.clone(),
        }
    }

    pub(super) fn column(&self, name: &ast::Ident) -> Result<usize> {
        let name = names::ident(name);
        self.table.column(&name).ok_or_else(|| {
            Error::new(
                SqlState::UNDEFINED_COLUMN,
                format!(
                    "column \"{name}\" of relation \"{}\" does not exist",
                    self.table.name
                ),
            )
        })
    }

    pub(super) fn key_columns(&self, columns: &[String]) -> Result<Vec<usize>> {
        let find = |name: &String| {
            let found = self.table.column(name);
            found.ok_or_else(|| table::no_key_column(name))
        };
        columns.iter().map(find).collect()
    }

    pub(super) fn add_primary_key(&mut self, key: Key) -> Result<()> {
        if self.table.has_key() {
            return Err(table::second_key(&self.table.name));
        }
        self.table.primary_key.clone_from(&key.columns);
        self.actions.push(TableAction::AddPrimaryKey(key));
        Ok(())
    }

    pub(super) fn add_check(&mut self, check: Check, validate: bool) {
        self.table.checks.push(check.clone());
        self.actions.push(TableAction::AddCheck { check, validate });
    }

    /// `triggers`: oids and conditions.
    pub(super) fn rename_column(
        &mut self,
        from: &ast::Ident,
        to: &ast::Ident,
        mut triggers: Vec<(u32, TriggerWhen)>,
    ) -> Result<()> {
        let name = names::ident(from);
        let Some(at) = self.table.column(&name) else {
            return Err(Error::new(
                SqlState::UNDEFINED_COLUMN,
                format!("column \"{name}\" does not exist"),
            ));
        };
        let to = names::ident(to);
        let number = self.table.columns[at].number;
        self.table.columns[at].name.clone_from(&to);
        let shown = quote_identifier(&to).into_owned();
        let table = self.table.name.clone();
        let renamed = |sql: &mut String| *sql = rename::renamed(sql, &table, &name, &shown);
        self.table
            .checks
            .iter_mut()
            .for_each(|c| renamed(&mut c.sql));
        let mut generated = Vec::new();
        for c in &mut self.table.columns {
            if let Some(expr) = &mut c.generated {
                renamed(&mut expr.sql);
                generated.push((c.number, expr.clone()));
            }
        }
        for (_, when) in &mut triggers {
            for row in ["new", "old"] {
                when.sql = rename::renamed(&when.sql, row, &name, &shown);
            }
        }
        self.actions.push(TableAction::RenameColumn {
            number,
            to,
            checks: self.table.checks.clone(),
            generated,
            triggers,
        });
        Ok(())
    }

    pub(super) fn drop_column(
        &mut self,
        name: &ast::Ident,
        if_exists: bool,
        cascade: bool,
    ) -> Result<()> {
        let at = match self.column(name) {
            Ok(at) => at,
            Err(e) if if_exists => {
                let notice = format!("{}, skipping", e.message());
                self.notices
                    .push(Error::new(SqlState::SUCCESSFUL_COMPLETION, notice));
                return Ok(());
            }
            Err(e) => return Err(e),
        };
        let number = self.table.columns[at].number;
        engine::catalog::change::without_column(&mut self.table, number);
        self.actions
            .push(TableAction::DropColumn { number, cascade });
        Ok(())
    }

    pub(super) fn drop_constraint(
        &mut self,
        name: &str,
        if_exists: bool,
        cascade: bool,
    ) -> Result<()> {
        if !engine::catalog::change::without_constraint(&mut self.table, name) {
            let message = format!(
                "constraint \"{name}\" of relation \"{}\" does not exist",
                self.table.name
            );
            if if_exists {
                let notice = format!("{message}, skipping");
                self.notices
                    .push(Error::new(SqlState::SUCCESSFUL_COMPLETION, notice));
                return Ok(());
            }
            return Err(Error::new(SqlState::UNDEFINED_OBJECT, message));
        }
        self.actions.push(TableAction::DropConstraint {
            name: name.to_owned(),
            cascade,
        });
        Ok(())
    }

    /// SET and DROP DEFAULT are not for columns that make their own values.
    pub(super) fn refuse_default(&self, at: usize) -> Result<()> {
        let c = &self.table.columns[at];
        let (what, hint) = match (c.identity.is_some(), c.generated.is_some()) {
            (true, _) => (
                "an identity column",
                "Use ALTER TABLE ... ALTER COLUMN ... DROP IDENTITY instead.",
            ),
            (_, true) => (
                "a generated column",
                "Use ALTER TABLE ... ALTER COLUMN ... DROP EXPRESSION instead.",
            ),
            _ => return Ok(()),
        };
        Err(Error::new(
            SqlState::SYNTAX_ERROR,
            format!(
                "column \"{}\" of relation \"{}\" is {what}",
                c.name, self.table.name
            ),
        )
        .with_hint(hint))
    }

    pub(super) fn add_identity(
        &mut self,
        column: &ast::Ident,
        always: bool,
        options: &SequenceOptions,
    ) -> Result<()> {
        let at = self.column(column)?;
        let c = &self.table.columns[at];
        if !c.not_null {
            return Err(Error::new(
                SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!(
                    "column \"{}\" of relation \"{}\" must be declared NOT NULL before identity can be added",
                    c.name, self.table.name
                ),
            ));
        }
        let has = match (c.identity.is_some(), c.default.is_some()) {
            (true, _) => Some("is already an identity column"),
            (_, true) => Some("already has a default value"),
            _ => None,
        };
        if let Some(has) = has {
            return Err(Error::new(
                SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!(
                    "column \"{}\" of relation \"{}\" {has}",
                    c.name, self.table.name
                ),
            ));
        }
        let sequence = identity_sequence(&self.table.schema, c, options)?;
        let number = c.number;
        let owned = OwnedSequence {
            column: at,
            sequence,
            identity: Some(always),
        };
        let sequence = Box::new(owned);
        self.actions
            .push(TableAction::AddIdentity { number, sequence });
        Ok(())
    }

    pub(super) fn drop_identity(&mut self, column: &ast::Ident, if_exists: bool) -> Result<()> {
        let at = self.column(column)?;
        let c = &mut self.table.columns[at];
        if c.identity.take().is_none() {
            let message = format!(
                "column \"{}\" of relation \"{}\" is not an identity column",
                c.name, self.table.name
            );
            return self.missing(message, if_exists);
        }
        let number = c.number;
        self.actions.push(TableAction::DropIdentity { number });
        Ok(())
    }

    pub(super) fn drop_expression(&mut self, column: &ast::Ident, if_exists: bool) -> Result<()> {
        let at = self.column(column)?;
        let c = &mut self.table.columns[at];
        if c.generated.take().is_none() {
            let message = format!(
                "column \"{}\" of relation \"{}\" is not a stored generated column",
                c.name, self.table.name
            );
            return self.missing(message, if_exists);
        }
        let number = c.number;
        self.actions.push(TableAction::DropExpression { number });
        Ok(())
    }

    pub(super) fn missing(&mut self, message: String, if_exists: bool) -> Result<()> {
        if !if_exists {
            return Err(Error::new(
                SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                message,
            ));
        }
        let notice = format!("{message}, skipping");
        self.notices
            .push(Error::new(SqlState::SUCCESSFUL_COMPLETION, notice));
        Ok(())
    }
}
