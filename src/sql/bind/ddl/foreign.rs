//! REFERENCES and FOREIGN KEY, as written.
//!
//! Owns: the clauses. Never: looks up the referenced table (whoever changes the catalog does).

use super::super::{Binder, names, syntax, unsupported};
use engine::catalog::ForeignKeyAction;
use engine::plan::{NewForeignKey, QualifiedName};
use sqlparser::ast::{
    ConstraintCharacteristics, ConstraintReferenceMatchKind, DeferrableInitial,
    ForeignKeyConstraint, Ident, ObjectName, ReferentialAction,
};
use types::Result;

impl Binder<'_> {
    /// The table that REFERENCES names; the one that is being defined is there already.
    pub(super) fn referenced(
        &self,
        name: &ObjectName,
        own: &QualifiedName,
    ) -> Result<QualifiedName> {
        let (schema, base) = self.qualified(name)?;
        if base == own.name && schema.as_ref().is_none_or(|s| *s == own.schema) {
            return Ok(own.clone());
        }
        match self.find(schema.as_deref(), &base) {
            Some(found) => Ok(QualifiedName {
                schema: found.schema().to_owned(),
                name: found.name().to_owned(),
            }),
            None => Err(self.no_relation(schema.as_deref(), &base, &base)),
        }
    }
}

/// `columns`: those of the table, which a column's own REFERENCES does not say. `referenced`: the table, in its schema. `referenced`: the table, found in its schema.
pub(super) fn foreign_key(
    k: &ForeignKeyConstraint,
    given: Option<&Ident>,
    columns: Vec<String>,
    referenced: QualifiedName,
) -> Result<NewForeignKey> {
    let full = match k.match_kind {
        None | Some(ConstraintReferenceMatchKind::Simple) => false,
        Some(ConstraintReferenceMatchKind::Full) => true,
        Some(ConstraintReferenceMatchKind::Partial) => {
            return Err(unsupported("MATCH PARTIAL"));
        }
    };
    let (deferrable, initially_deferred) = timing(k.characteristics.as_ref())?;
    Ok(NewForeignKey {
        name: given.or(k.name.as_ref()).map(names::ident),
        columns,
        referenced,
        referenced_columns: k.referred_columns.iter().map(names::ident).collect(),
        full,
        on_delete: action(k.on_delete.as_ref()),
        on_update: action(k.on_update.as_ref()),
        delete_sets: Vec::new(),
        deferrable,
        initially_deferred,
        not_valid: false,
    })
}

fn action(a: Option<&ReferentialAction>) -> ForeignKeyAction {
    match a {
        None | Some(ReferentialAction::NoAction) => ForeignKeyAction::NoAction,
        Some(ReferentialAction::Restrict) => ForeignKeyAction::Restrict,
        Some(ReferentialAction::Cascade) => ForeignKeyAction::Cascade,
        Some(ReferentialAction::SetNull) => ForeignKeyAction::SetNull,
        Some(ReferentialAction::SetDefault) => ForeignKeyAction::SetDefault,
    }
}

/// Whether it may be deferred, and is at first.
pub(super) fn timing(c: Option<&ConstraintCharacteristics>) -> Result<(bool, bool)> {
    let Some(c) = c else {
        return Ok((false, false));
    };
    if c.enforced.is_some() {
        return Err(syntax("syntax error at or near \"enforced\""));
    }
    let deferred = matches!(c.initially, Some(DeferrableInitial::Deferred));
    match c.deferrable {
        Some(false) if deferred => Err(syntax(
            "constraint declared INITIALLY DEFERRED must be DEFERRABLE",
        )),
        Some(deferrable) => Ok((deferrable, deferred)),
        None => Ok((deferred, deferred)),
    }
}
