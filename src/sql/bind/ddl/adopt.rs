//! ADD CONSTRAINT … USING INDEX: an index that is there becomes a constraint.
//!
//! Owns: which indexes may. Never: looks at rows: the index is unique already. Source: PostgreSQL 15, `transformIndexConstraint`.

use super::super::{Binder, names};
use super::draft::Draft;
use super::table;
use engine::catalog::{Index, Relation as Found};
use engine::plan::ddl::{Key, TableAction};
use sqlparser::ast::ConstraintUsingIndex;
use std::sync::Arc;
use types::{Error, Result, SqlState};

impl Binder<'_> {
    pub(super) fn use_index(
        &self,
        d: &mut Draft,
        c: &ConstraintUsingIndex,
        primary: bool,
    ) -> Result<()> {
        table::refuse_characteristics(c.characteristics.as_ref())?;
        let name = names::ident(&c.index_name);
        let index = self.usable_index(d, &name);
        let index = index.map_err(|e| self.at(e, c.index_name.span))?;
        let columns = index.columns().unwrap_or_default();
        let wanted = c.name.as_ref().map_or_else(|| name.clone(), names::ident);
        if wanted != name {
            let message = format!(
                "ALTER TABLE / ADD CONSTRAINT USING INDEX will rename index \"{name}\" to \"{wanted}\""
            );
            d.notices
                .push(Error::new(SqlState::SUCCESSFUL_COMPLETION, message));
        }
        if primary && d.table.has_key() {
            return Err(table::second_key(&d.table.name));
        }
        if primary {
            d.table.primary_key.clone_from(&columns);
        }
        let key = primary.then(|| Key {
            name: Some(wanted.clone()),
            columns,
            ..Key::default()
        });
        d.actions.push(TableAction::UseIndex {
            index: index.id,
            name: wanted,
            key,
        });
        Ok(())
    }

    fn usable_index(&self, d: &Draft, name: &str) -> Result<Arc<Index>> {
        let refused = |state, message| Err(Error::new(state, message));
        let associated = || {
            let message = format!("index \"{name}\" is already associated with a constraint");
            refused(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
        };
        let (table, index) = match self.find(Some(&d.table.schema), name) {
            Some(Found::Index(table, index)) => (table, index),
            Some(Found::PrimaryKey(_)) => {
                return associated().map(|()| Arc::default());
            }
            _ => {
                let message = format!("index \"{name}\" does not exist");
                return Err(Error::new(SqlState::UNDEFINED_OBJECT, message));
            }
        };
        let own = d.table.indexes.iter().find(|i| i.id == index.id);
        if own.is_none_or(|i| i.constraint) && (index.constraint || table.id == d.table.id) {
            associated()?;
        }
        if table.id != d.table.id {
            let message = format!(
                "index \"{name}\" does not belong to table \"{}\"",
                d.table.name
            );
            refused(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message)?;
        }
        if index.invalid {
            let message = format!("index \"{name}\" is not valid");
            refused(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message)?;
        }
        let usual = |k: &engine::catalog::KeyPart| !k.descending && !k.nulls_first;
        let message = if !index.unique {
            format!("\"{name}\" is not a unique index")
        } else if index.columns().is_none() {
            format!("index \"{name}\" contains expressions")
        } else if index.predicate.is_some() {
            format!("\"{name}\" is a partial index")
        } else if let Some(at) = index.parts.iter().position(|k| !usual(k)) {
            let at = at + 1;
            format!("index \"{name}\" column number {at} does not have default sorting behavior")
        } else {
            return Ok(index);
        };
        let detail = "Cannot create a primary key or unique constraint using such an index.";
        Err(Error::new(SqlState::WRONG_OBJECT_TYPE, message).with_detail(detail))
    }
}
