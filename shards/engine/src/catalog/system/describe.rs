//! Constraints of user tables, and the clauses that would make them.
//!
//! Asked by: the rows of `pg_constraint`, and functions such as `pg_get_constraintdef`.
//! Constraints that the catalog model keeps without an oid of their own get one derived from their table's, so that it
//! is the same in every snapshot: those of an index share its oid, checks and defaults have the upper bits set.

use super::indexes::table_indexes;
use crate::catalog::path;
use crate::catalog::{Catalog, Check, ForeignKey, ForeignKeyAction, Index, Table, UserType};
use crate::exec::eval::columns_used;
use crate::exec::functions::quote_identifier;
use std::sync::Arc;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConstraintKind {
    PrimaryKey,
    Unique,
    Check,
    ForeignKey,
}

pub struct Constraint<'a> {
    pub oid: u32,
    pub name: &'a str,
    pub table: &'a Arc<Table>,
    pub kind: ConstraintKind,
    /// Columns it is over, 0-based.
    pub columns: Vec<usize>,
    /// 0 for a check; of a foreign key the one in the referenced table.
    pub index_oid: u32,
    pub check: Option<&'a Check>,
    pub foreign: Option<Foreign<'a>>,
}

impl Constraint<'_> {
    /// Of a UNIQUE constraint.
    pub fn nulls_not_distinct(&self) -> bool {
        self.index().is_some_and(|i| i.nulls_not_distinct)
    }

    fn index(&self) -> Option<&Arc<Index>> {
        let mut indexes = self.table.indexes.iter();
        indexes.find(|i| i.id.0 == self.index_oid)
    }
}

/// A foreign key and the table that it refers to.
pub struct Foreign<'a> {
    pub key: &'a ForeignKey,
    pub parent: &'a Arc<Table>,
}

/// Every constraint, table by table.
pub fn constraints(catalog: &Catalog) -> impl Iterator<Item = Constraint<'_>> {
    let tables = catalog.tables.values();
    tables.flat_map(|t| table_constraints(t).chain(foreign_keys(catalog, t)))
}

fn foreign_keys<'a>(
    catalog: &'a Catalog,
    table: &'a Arc<Table>,
) -> impl Iterator<Item = Constraint<'a>> {
    table.foreign_keys.iter().filter_map(move |key| {
        let parent = catalog.table(key.referenced)?;
        Some(Constraint {
            oid: key.oid,
            name: &key.name,
            table,
            kind: ConstraintKind::ForeignKey,
            columns: key.columns.clone(),
            index_oid: key.index.0,
            check: None,
            foreign: Some(Foreign { key, parent }),
        })
    })
}

fn table_constraints(table: &Arc<Table>) -> impl Iterator<Item = Constraint<'_>> {
    let checks = table
        .checks
        .iter()
        .enumerate()
        .map(move |(i, c)| Constraint {
            oid: check_oid(table.id.0, i),
            name: &c.name,
            table,
            kind: ConstraintKind::Check,
            columns: columns_used(&c.expr).into_iter().collect(),
            index_oid: 0,
            check: Some(c),
            foreign: None,
        });
    let keys = table_indexes(table)
        .filter(|i| i.constraint)
        .map(|i| Constraint {
            oid: i.oid,
            name: i.name,
            table: i.table,
            kind: if i.primary {
                ConstraintKind::PrimaryKey
            } else {
                ConstraintKind::Unique
            },
            columns: i.columns(),
            index_oid: i.oid,
            check: None,
            foreign: None,
        });
    checks.chain(keys)
}

/// The checks of domains, each with its oid.
pub fn domain_checks(catalog: &Catalog) -> impl Iterator<Item = (u32, &UserType, &Check)> {
    catalog.types.values().flat_map(|t| {
        let checks = t.domain_checks().iter().enumerate();
        checks.map(|(i, c)| (check_oid(t.oid, i), &**t, c))
    })
}

/// `pg_constraint.oid` of a table's check, or of a domain's.
fn check_oid(table: u32, ordinal: usize) -> u32 {
    derived_oid(0x8000_0000, table, ordinal, 256)
}

/// `pg_attrdef.oid` of a column's default.
pub fn attrdef_oid(table: u32, column: usize) -> u32 {
    derived_oid(0xC000_0000, table, column, 2_048)
}

fn derived_oid(class: u32, table: u32, ordinal: usize, each: u32) -> u32 {
    let place = table.wrapping_mul(each).wrapping_add(ordinal as u32);
    class | (place & 0x3FFF_FFFF)
}

pub(super) fn column_list(table: &Table, columns: &[usize]) -> String {
    let names = columns
        .iter()
        .filter_map(|c| table.columns.get(*c))
        .map(|c| quote_identifier(&c.name));
    names.collect::<Vec<_>>().join(", ")
}

/// What happens to rows that refer to a key, as REFERENCES says it.
pub fn action_name(action: ForeignKeyAction) -> &'static str {
    match action {
        ForeignKeyAction::NoAction => "NO ACTION",
        ForeignKeyAction::Restrict => "RESTRICT",
        ForeignKeyAction::Cascade => "CASCADE",
        ForeignKeyAction::SetNull => "SET NULL",
        ForeignKeyAction::SetDefault => "SET DEFAULT",
    }
}

fn foreign_definition(table: &Table, foreign: &Foreign<'_>) -> String {
    let (key, parent) = (foreign.key, foreign.parent);
    let mut out = format!(
        "FOREIGN KEY ({}) REFERENCES {}({})",
        column_list(table, &key.columns),
        path::shown(&parent.schema, &parent.name),
        column_list(parent, &key.referenced_columns)
    );
    if key.full {
        out.push_str(" MATCH FULL");
    }
    for (when, action) in [("UPDATE", key.on_update), ("DELETE", key.on_delete)] {
        if action != ForeignKeyAction::NoAction {
            out.push_str(&format!(" ON {when} {}", action_name(action)));
        }
    }
    if !key.delete_sets.is_empty() {
        out.push_str(&format!(" ({})", column_list(table, &key.delete_sets)));
    }
    if key.deferrable {
        out.push_str(" DEFERRABLE");
    }
    if key.initially_deferred {
        out.push_str(" INITIALLY DEFERRED");
    }
    if !key.validated {
        out.push_str(" NOT VALID");
    }
    out
}

/// As `pg_get_constraintdef` prints it.
pub fn constraint_definition(c: &Constraint<'_>) -> String {
    if let Some(foreign) = &c.foreign {
        return foreign_definition(c.table, foreign);
    }
    match (c.kind, c.check) {
        (ConstraintKind::PrimaryKey, _) => {
            format!("PRIMARY KEY ({})", column_list(c.table, &c.columns))
        }
        (ConstraintKind::Unique, _) => {
            let same = match c.nulls_not_distinct() {
                true => " NULLS NOT DISTINCT",
                false => "",
            };
            let columns = column_list(c.table, &c.columns);
            let include = c.index().map_or(&[][..], |i| i.include.as_slice());
            match include {
                [] => format!("UNIQUE{same} ({columns})"),
                more => format!(
                    "UNIQUE{same} ({columns}) INCLUDE ({})",
                    column_list(c.table, more)
                ),
            }
        }
        (ConstraintKind::Check, Some(check)) => format!("CHECK ({})", check.sql),
        (ConstraintKind::Check | ConstraintKind::ForeignKey, _) => String::new(),
    }
}
