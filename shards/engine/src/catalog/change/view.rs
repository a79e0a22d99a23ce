//! CREATE, ALTER VIEW, and REFRESH MATERIALIZED VIEW.

use super::{Change, no_relation, taken};
use crate::catalog::stored::Object;
use crate::catalog::{Index, Relation, Table, TableKind, View, kept};
use crate::plan::ddl::{CreateView, ViewAction};
use std::sync::Arc;
use types::{Error, Result, SqlState, TableId};

impl Change {
    pub(super) fn create_view(&mut self, def: &CreateView) -> Result<()> {
        self.tag = "CREATE VIEW";
        if def.made_temporary {
            self.skip(format!(
                "view \"{}\" will be a temporary view",
                def.view.name
            ));
        }
        let mut view = def.view.clone();
        self.known_schema(&view.schema)?;
        match self
            .catalog
            .relation_by_name(Some(&view.schema), &view.name)
        {
            Some(Relation::View(old)) if def.or_replace => {
                replaces(&old, &view)?;
                view.id = old.id;
                if self.reads(&view, old.id) {
                    return Err(Error::new(
                        SqlState::INVALID_OBJECT_DEFINITION,
                        format!(
                            "infinite recursion detected in rules for relation \"{}\"",
                            view.name
                        ),
                    ));
                }
            }
            Some(_) if def.or_replace => {
                return Err(Error::new(
                    SqlState::WRONG_OBJECT_TYPE,
                    format!("\"{}\" is not a view", view.name),
                ));
            }
            Some(_) => return Err(taken(&view.name)),
            None => view.id = TableId(self.oid()),
        }
        self.put_view(view);
        Ok(())
    }

    /// Whether a view reads a relation, itself or through others.
    fn reads(&self, view: &View, relation: TableId) -> bool {
        let mut left: Vec<TableId> = view.query.reads.iter().map(|r| r.relation).collect();
        let mut seen = std::collections::BTreeSet::new();
        while let Some(id) = left.pop() {
            if id == relation {
                return true;
            }
            if seen.insert(id)
                && let Some(inner) = self.catalog.views.get(&id)
            {
                left.extend(inner.query.reads.iter().map(|r| r.relation));
            }
        }
        false
    }

    pub(super) fn put_view(&mut self, mut view: View) {
        view.since = self.catalog.version;
        self.touched(Object::View(view.id));
        self.catalog.views.insert(view.id, Arc::new(view));
    }

    pub(super) fn alter_view(
        &mut self,
        id: TableId,
        since: u64,
        action: &ViewAction,
    ) -> Result<()> {
        let found = self.catalog.views.get(&id).cloned();
        let Some(old) = found.filter(|v| v.since == since) else {
            return Err(no_relation(&id.to_string()));
        };
        let mut view = View::clone(&old);
        match action {
            ViewAction::RenameTo(name) => {
                if self.is_taken(&view.schema, name) {
                    return Err(taken(name));
                }
                view.name.clone_from(name);
            }
            ViewAction::SetSchema(schema) => {
                self.known_schema(schema)?;
                if self.is_taken(schema, &view.name) && *schema != view.schema {
                    return Err(super::alter::taken_in(&view.name, schema));
                }
                view.schema.clone_from(schema);
            }
            ViewAction::RenameColumn { number, to } => {
                if view.columns.iter().any(|c| c.name == *to) {
                    return Err(Error::new(
                        SqlState::DUPLICATE_COLUMN,
                        format!(
                            "column \"{to}\" of relation \"{}\" already exists",
                            view.name
                        ),
                    ));
                }
                let at = usize::try_from(*number - 1).ok();
                if let Some(column) = at.and_then(|at| view.columns.get_mut(at)) {
                    column.name.clone_from(to);
                }
                let names: Vec<&str> = view.columns.iter().map(|c| c.name.as_str()).collect();
                view.query.sql = kept::with_names(&view.query.sql, &view.name, &names);
            }
        }
        self.put_view(view);
        Ok(())
    }

    /// New trees: the rows come from the session, which runs the query.
    pub(super) fn refresh(&mut self, id: TableId, with_data: bool) -> Result<()> {
        self.tag = "REFRESH MATERIALIZED VIEW";
        let old = self.table(id)?;
        let TableKind::Materialized { query, .. } = &old.kind else {
            return Err(Error::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("\"{}\" is not a materialized view", old.name),
            ));
        };
        let kind = TableKind::Materialized {
            query: query.clone(),
            populated: with_data,
        };
        self.locks.push(old.id);
        self.drop_trees(&old);
        let mut next = Table::clone(&old);
        next.kind = kind;
        next.tree = self.tree();
        next.indexes = self.emptied(&next.indexes);
        let next = self.put(next);
        self.fills = with_data.then_some(next);
        Ok(())
    }

    /// The same indexes with nothing in them.
    pub(super) fn emptied(&mut self, indexes: &[Arc<Index>]) -> Vec<Arc<Index>> {
        let mut out = Vec::with_capacity(indexes.len());
        for index in indexes {
            out.push(Arc::new(Index {
                tree: self.tree(),
                // It is filled with the table's new rows.
                invalid: false,
                ..Index::clone(index)
            }));
        }
        out
    }
}

/// OR REPLACE may only add columns.
fn replaces(old: &View, new: &View) -> Result<()> {
    let refused = |message: String| Err(Error::new(SqlState::INVALID_TABLE_DEFINITION, message));
    if new.columns.len() < old.columns.len() {
        return refused("cannot drop columns from view".into());
    }
    for (before, after) in old.columns.iter().zip(&new.columns) {
        if before.name != after.name {
            let message = format!(
                "cannot change name of view column \"{}\" to \"{}\"",
                before.name, after.name
            );
            return Err(
                Error::new(SqlState::INVALID_TABLE_DEFINITION, message).with_hint(
                    "Use ALTER VIEW ... RENAME COLUMN ... to change name of view column instead.",
                ),
            );
        }
        if (before.ty, before.typmod) != (after.ty, after.typmod) {
            return refused(format!(
                "cannot change data type of view column \"{}\" from {} to {}",
                before.name,
                crate::exec::functions::system::type_name(before.ty, Some(before.typmod.into())),
                crate::exec::functions::system::type_name(after.ty, Some(after.typmod.into()))
            ));
        }
    }
    Ok(())
}
