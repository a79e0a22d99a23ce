//! ON CONFLICT: which constraint is meant, and what to do then.
//!
//! Owns: inference of the constraint from columns or name, and the scope of `excluded`. Source: `transformOnConflictClause`.

use super::scope::Scope;
use super::through::{Change, Target};
use super::{Binder, Clause, Cx, names, syntax, walk};
use crate::parse::Lines;
use crate::parse::infer::{self, Inference};
use crate::planner::{implies, split};
use engine::catalog::{Index, KeyPart, Table};
use engine::plan::{ConflictAction, ConflictTarget, OnConflict};
use sqlparser::ast::{self, OnConflictAction};
use std::rc::Rc;
use std::sync::Arc;
use types::{Error, Result, SqlState};

impl<'a> Binder<'a> {
    pub(super) fn on_conflict(
        &mut self,
        c: &'a ast::OnConflict,
        changed: &Target,
        alias: Option<&ast::Ident>,
    ) -> Result<OnConflict> {
        let table = &*changed.named;
        let target = match &c.conflict_target {
            None => None,
            Some(ast::ConflictTarget::Columns(columns)) => Some(match infer::read(columns)? {
                Some(inference) => self.inferred(&inference, table)?,
                None => self.conflict_columns(columns, table)?,
            }),
            Some(ast::ConflictTarget::OnConstraint(name)) => Some(by_name(name, table)?),
        };
        let action = match &c.action {
            OnConflictAction::DoNothing => ConflictAction::Nothing,
            OnConflictAction::DoUpdate(update) => {
                if target.is_none() {
                    return Err(syntax(
                        "ON CONFLICT DO UPDATE requires inference specification or constraint name",
                    )
                    .with_hint("For example, ON CONFLICT (column_name)."));
                }
                let mut cx = Cx::new(conflict_scope(changed, alias), Clause::Update);
                let assignments = self.assignments(&update.assignments, table, &mut cx);
                let assignments = assignments.map_err(|e| changed.explained(Change::Update, e))?;
                let filter = match &update.selection {
                    Some(e) => {
                        cx.clause = Clause::Where;
                        let e = self.expr(e, &mut cx)?;
                        Some(self.condition(e, "WHERE")?)
                    }
                    None => None,
                };
                ConflictAction::Update {
                    assignments,
                    filter,
                }
            }
        };
        Ok(OnConflict { target, action })
    }

    fn conflict_columns(&self, columns: &[ast::Ident], table: &Table) -> Result<ConflictTarget> {
        let mut wanted = Vec::with_capacity(columns.len());
        for i in columns {
            let name = names::ident(i);
            let ordinal = table.column(&name).ok_or_else(|| {
                self.at(
                    Error::new(
                        SqlState::UNDEFINED_COLUMN,
                        format!("column \"{name}\" does not exist"),
                    ),
                    i.span,
                )
            })?;
            wanted.push(ordinal);
        }
        wanted.sort_unstable();
        wanted.dedup();
        let same = |key: &[usize]| {
            let mut key = key.to_vec();
            key.sort_unstable();
            key == wanted
        };
        if table.has_key() && same(&table.primary_key) {
            return Ok(ConflictTarget::PrimaryKey);
        }
        let found = (table.valid_indexes()).find(|i| i.is_key().is_some_and(|key| same(&key)));
        found
            .map(|i| ConflictTarget::Unique(i.clone()))
            .ok_or_else(no_constraint)
    }

    /// The unique index over just these parts, whose predicate the one given here implies.
    fn inferred(&self, inference: &Inference, table: &Table) -> Result<ConflictTarget> {
        let lines = Lines::of("");
        let mut inner = Binder::new(self.env, &lines);
        let parts = inference.parts.iter().map(|p| inner.index_part(table, p));
        let wanted = parts.collect::<Result<Vec<_>>>()?;
        let given = match &inference.predicate {
            Some(e) => split(inner.index_predicate(table, e)?.expr),
            None => Vec::new(),
        };
        let columns: Option<Vec<usize>> = wanted.iter().map(KeyPart::column).collect();
        let mut key = table.primary_key.clone();
        key.sort_unstable();
        if let Some(mut columns) = columns {
            columns.sort_unstable();
            columns.dedup();
            if table.has_key() && columns == key {
                return Ok(ConflictTarget::PrimaryKey);
            }
        }
        let is = |a: &KeyPart, b: &KeyPart| walk::same(&a.expr(table), &b.expr(table));
        let has = |some: &[KeyPart], p: &KeyPart| some.iter().any(|q| is(p, q));
        let matches = |i: &&Arc<Index>| {
            i.unique
                && wanted.iter().all(|p| has(&i.parts, p))
                && i.parts.iter().all(|p| has(&wanted, p))
                && (i.predicate.as_ref()).is_none_or(|p| implies(&given, &p.expr))
        };
        let found = table.valid_indexes().find(matches);
        found
            .map(|i| ConflictTarget::Unique(i.clone()))
            .ok_or_else(no_constraint)
    }
}

/// The existing row under the table's name, then the proposed one as `excluded`.
fn conflict_scope(changed: &Target, alias: Option<&ast::Ident>) -> Rc<Scope> {
    let own = changed.scope(alias);
    let mut other = changed.scope(None);
    for excluded in &mut other.relations {
        excluded.alias = "excluded".into();
        (excluded.schema, excluded.table) = (None, None);
    }
    let other = other.shifted(own.width);
    let mut scope = own;
    scope.width += other.width;
    scope.relations.extend(other.relations);
    scope.visible.extend(other.visible);
    Rc::new(scope)
}

fn no_constraint() -> Error {
    Error::new(
        SqlState::INVALID_COLUMN_REFERENCE,
        "there is no unique or exclusion constraint matching the ON CONFLICT specification",
    )
}

fn by_name(name: &ast::ObjectName, table: &Table) -> Result<ConflictTarget> {
    let (_, name) = names::qualified(name)?;
    if table.has_key() && table.primary_key_name == name {
        return Ok(ConflictTarget::PrimaryKey);
    }
    let mut constraints = table.indexes.iter().filter(|i| i.unique && i.constraint);
    match constraints.find(|i| i.name == name) {
        Some(i) => Ok(ConflictTarget::Unique(i.clone())),
        None => Err(Error::new(
            SqlState::UNDEFINED_OBJECT,
            format!(
                "constraint \"{name}\" for table \"{}\" does not exist",
                table.name
            ),
        )),
    }
}
