//! Names: which are taken, and which are chosen where none is given.
//!
//! Source: PostgreSQL 15, `makeObjectName` and `ChooseRelationName`.

use super::Change;
use crate::catalog::{Relation, Table};
use crate::plan::ddl::QualifiedName;
use std::sync::Arc;
use types::{Error, Result, SqlState, limits};

impl Change {
    /// `table_col_suffix`, with a number when that is taken. `table` may not be in the catalog yet.
    pub(super) fn choose(&self, table: &Table, columns: &[&str], suffix: &str) -> String {
        let taken = |name: &str| self.taken(table, name);
        choose(&table.name, columns, suffix, taken)
    }

    /// Also looks at `table`, which may not be in the catalog yet.
    pub(super) fn taken(&self, table: &Table, name: &str) -> bool {
        self.is_taken(&table.schema, name)
            || table.name == name
            || (table.has_key() && table.primary_key_name == name)
            || table.indexes.iter().any(|i| i.name == name)
    }

    pub(super) fn is_taken(&self, schema: &str, name: &str) -> bool {
        self.catalog.relation_by_name(Some(schema), name).is_some()
    }

    /// A constraint of the table has the name.
    pub(super) fn is_constraint(table: &Table, name: &str) -> bool {
        table.checks.iter().any(|c| c.name == name)
            || table.foreign_keys.iter().any(|f| f.name == name)
            || (table.has_key() && table.primary_key_name == name)
            || table.indexes.iter().any(|i| i.constraint && i.name == name)
    }

    /// The table of that name; 42809 for other relations, 42P01 for none.
    pub(super) fn existing(&self, name: &QualifiedName) -> Result<Arc<Table>> {
        let found = self
            .catalog
            .relation_by_name(Some(&name.schema), &name.name);
        match found {
            Some(Relation::Table(table)) => Ok(table),
            Some(_) => Err(Error::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("\"{}\" is not a table", name.name),
            )),
            None => Err(super::no_relation(&name.name)),
        }
    }

    pub(super) fn known_schema(&self, schema: &str) -> Result<()> {
        match self.catalog.schema_oid(schema) {
            Some(_) => Ok(()),
            None => Err(no_schema(schema)),
        }
    }
}

pub(super) fn no_schema(schema: &str) -> Error {
    Error::new(
        SqlState::INVALID_SCHEMA_NAME,
        format!("schema \"{schema}\" does not exist"),
    )
}

/// Parts are cut, the longer first, so that the name with its suffix and a number fits.
pub(super) fn choose(
    stem: &str,
    columns: &[&str],
    suffix: &str,
    taken: impl Fn(&str) -> bool,
) -> String {
    let mut first = stem.to_owned();
    let mut second = columns.join("_");
    let room = limits::IDENTIFIER_BYTES_MAX - suffix.len() - 1 - usize::from(!second.is_empty());
    let mut number = 0;
    loop {
        let shown = match number {
            0 => String::new(),
            n => format!("{n}"),
        };
        while first.len() + second.len() + shown.len() > room {
            match first.len() > second.len() {
                true => first.pop(),
                false => second.pop(),
            };
        }
        let name = match second.is_empty() {
            true => format!("{first}_{suffix}{shown}"),
            false => format!("{first}_{second}_{suffix}{shown}"),
        };
        if !taken(&name) {
            return name;
        }
        number += 1;
    }
}
