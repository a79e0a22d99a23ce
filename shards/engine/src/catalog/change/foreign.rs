//! From REFERENCES as it is written to a foreign key: the two sides' columns, the unique index that makes the key one, types.
//!
//! Owns: PostgreSQL's checks of it, in its order and words; the locks of tables that begin or cease to be referred to.
//! Never: looks at rows.
//! Source: `tablecmds.c`, ATAddForeignKeyConstraint, transformFkeyGetPrimaryKey, transformFkeyCheckAttrs.

use super::Change;
use crate::catalog::{Catalog, ForeignKey, Table};
use crate::plan::ddl::NewForeignKey;
use types::{DataType, Error, Result, SqlState, TableId, limits};

impl Change {
    /// Answers the new key's oid.
    pub(super) fn add_foreign_key(
        &mut self,
        table: &mut Table,
        spec: &NewForeignKey,
    ) -> Result<u32> {
        let mut key = resolve(&self.catalog, table, spec)?;
        if Change::is_constraint(table, &key.name) {
            return Err(Error::new(
                SqlState::DUPLICATE_OBJECT,
                format!(
                    "constraint \"{}\" for relation \"{}\" already exists",
                    key.name, table.name
                ),
            ));
        }
        key.oid = self.oid();
        let oid = key.oid;
        table.foreign_keys.push(key);
        Ok(oid)
    }

    /// Whoever changes a table must know who refers to it: where that is different from `before`, so is the definition.
    pub(super) fn renew_referenced(&mut self, before: &Catalog) {
        self.catalog.index_referrers();
        let of = |catalog: &Catalog, id: TableId| -> Vec<u32> {
            catalog.referrers(id).map(|(_, key)| key.oid).collect()
        };
        let both = before.referrers.keys().chain(self.catalog.referrers.keys());
        let mut changed: Vec<TableId> = both.copied().collect();
        changed.sort_unstable();
        changed.dedup();
        changed.retain(|id| of(before, *id) != of(&self.catalog, *id));
        for id in changed {
            self.locks.push(id);
            if let Some(table) = self.catalog.tables.get(&id) {
                let next = Table::clone(table);
                self.put(next);
            }
        }
    }
}

/// The key that `spec` means for `table`, which may not be in the catalog yet. Its name is chosen if it has none.
fn resolve(catalog: &Catalog, table: &Table, spec: &NewForeignKey) -> Result<ForeignKey> {
    let of_itself = spec.referenced.name == table.name && spec.referenced.schema == table.schema;
    let found = catalog.table_by_name(Some(&spec.referenced.schema), &spec.referenced.name);
    let parent: &Table = match found {
        _ if of_itself => table,
        Some(parent) => parent,
        None => return Err(no_relation(catalog, spec)),
    };
    if table.is_temporary() != parent.is_temporary() {
        let message = match table.is_temporary() {
            true => "constraints on temporary tables may reference only temporary tables",
            false => "constraints on permanent tables may reference only permanent tables",
        };
        return Err(Error::new(SqlState::INVALID_TABLE_DEFINITION, message));
    }
    let columns = ordinals(table, &spec.columns)?;
    let (referenced_columns, index) = match spec.referenced_columns.is_empty() {
        true => (primary_key(parent)?, parent.primary_key_id),
        false => {
            let ordinals = ordinals(parent, &spec.referenced_columns)?;
            let index = unique_over(parent, &ordinals)?;
            (ordinals, index)
        }
    };
    let delete_sets = delete_sets(table, spec, &columns)?;
    if columns.len() != referenced_columns.len() {
        return Err(Error::new(
            SqlState::INVALID_FOREIGN_KEY,
            "number of referencing and referenced columns for foreign key disagree",
        ));
    }
    let name = match &spec.name {
        Some(name) => name.clone(),
        None => choose(table, &columns),
    };
    for (column, referenced) in columns.iter().zip(&referenced_columns) {
        let (own, other) = (&table.columns[*column], &parent.columns[*referenced]);
        if !comparable(own.ty, other.ty) {
            return Err(Error::new(
                SqlState::DATATYPE_MISMATCH,
                format!("foreign key constraint \"{name}\" cannot be implemented"),
            )
            .with_detail(format!(
                "Key columns \"{}\" and \"{}\" are of incompatible types: {} and {}.",
                own.name, other.name, own.ty, other.ty
            )));
        }
    }
    Ok(ForeignKey {
        oid: 0,
        name,
        columns,
        referenced: parent.id,
        referenced_columns,
        index,
        full: spec.full,
        on_delete: spec.on_delete,
        on_update: spec.on_update,
        delete_sets,
        deferrable: spec.deferrable,
        initially_deferred: spec.initially_deferred,
        validated: !spec.not_valid,
    })
}

/// Values of the one are found among those of the other.
fn comparable(child: DataType, parent: DataType) -> bool {
    let integer = |ty| matches!(ty, DataType::Int2 | DataType::Int4 | DataType::Int8);
    let text = |ty| matches!(ty, DataType::Text | DataType::Varchar);
    child == parent
        || (integer(child) && (integer(parent) || parent == DataType::Numeric))
        || (text(child) && text(parent))
}

fn no_relation(catalog: &Catalog, spec: &NewForeignKey) -> Error {
    let name = &spec.referenced.name;
    match catalog.relation_by_name(Some(&spec.referenced.schema), name) {
        Some(_) => Error::new(
            SqlState::WRONG_OBJECT_TYPE,
            format!("referenced relation \"{name}\" is not a table"),
        ),
        None => Error::new(
            SqlState::UNDEFINED_TABLE,
            format!("relation \"{name}\" does not exist"),
        ),
    }
}

fn ordinals(table: &Table, names: &[String]) -> Result<Vec<usize>> {
    if names.len() > limits::INDEX_COLUMNS_MAX {
        return Err(Error::new(
            SqlState::TOO_MANY_COLUMNS,
            format!(
                "cannot have more than {} keys in a foreign key",
                limits::INDEX_COLUMNS_MAX
            ),
        ));
    }
    let ordinal = |name: &String| {
        table.column(name).ok_or_else(|| {
            Error::new(
                SqlState::UNDEFINED_COLUMN,
                format!("column \"{name}\" referenced in foreign key constraint does not exist"),
            )
        })
    };
    names.iter().map(ordinal).collect()
}

fn primary_key(parent: &Table) -> Result<Vec<usize>> {
    if parent.has_key() {
        return Ok(parent.primary_key.clone());
    }
    Err(Error::new(
        SqlState::UNDEFINED_OBJECT,
        format!(
            "there is no primary key for referenced table \"{}\"",
            parent.name
        ),
    ))
}

/// The primary key or a unique index over just these columns, in any order.
fn unique_over(parent: &Table, columns: &[usize]) -> Result<TableId> {
    for (n, column) in columns.iter().enumerate() {
        if columns[..n].contains(column) {
            return Err(Error::new(
                SqlState::INVALID_FOREIGN_KEY,
                "foreign key referenced-columns list must not contain duplicates",
            ));
        }
    }
    let same =
        |key: &[usize]| key.len() == columns.len() && key.iter().all(|c| columns.contains(c));
    if parent.has_key() && same(&parent.primary_key) {
        return Ok(parent.primary_key_id);
    }
    let mut indexes = parent.valid_indexes();
    match indexes.find(|i| i.is_key().is_some_and(|key| same(&key))) {
        Some(index) => Ok(index.id),
        None => Err(Error::new(
            SqlState::INVALID_FOREIGN_KEY,
            format!(
                "there is no unique constraint matching given keys for referenced table \"{}\"",
                parent.name
            ),
        )),
    }
}

fn delete_sets(table: &Table, spec: &NewForeignKey, columns: &[usize]) -> Result<Vec<usize>> {
    let sets = ordinals(table, &spec.delete_sets)?;
    for (name, column) in spec.delete_sets.iter().zip(&sets) {
        if !columns.contains(column) {
            return Err(Error::new(
                SqlState::INVALID_COLUMN_REFERENCE,
                format!(
                    "column \"{name}\" referenced in ON DELETE SET action must be part of foreign key"
                ),
            ));
        }
    }
    Ok(sets)
}

/// `table_a_b_fkey`, with a number when the table has a constraint of that name.
fn choose(table: &Table, columns: &[usize]) -> String {
    let mut stem = table.name.clone();
    for column in columns {
        stem.push('_');
        stem.push_str(&table.columns[*column].name);
    }
    const SUFFIX: &str = "_fkey";
    while stem.len() > limits::IDENTIFIER_BYTES_MAX - SUFFIX.len() - 4 {
        stem.pop();
    }
    let plain = format!("{stem}{SUFFIX}");
    if !Change::is_constraint(table, &plain) {
        return plain;
    }
    let mut n = 1;
    loop {
        let numbered = format!("{plain}{n}");
        if !Change::is_constraint(table, &numbered) {
            return numbered;
        }
        n += 1;
    }
}
