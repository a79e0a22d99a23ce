//! Taking a column or a constraint out of a table.
//!
//! Owns: what becomes of ordinals when a column goes: in keys, indexes, checks, foreign keys, generated columns, statistics,
//! and in foreign keys of other tables. Rows stay as they are stored, unless the key that they are found by goes.

use super::graph::index_columns;
use super::{Change, Work};
use crate::catalog::stored::Object;
use crate::catalog::system::class_oid;
use crate::catalog::{DroppedColumn, Index, PartOf, Table};
use crate::plan::{Expr, Plan};
use std::sync::Arc;
use types::{Error, Result, SqlState, TableId};

impl Change {
    pub(super) fn remove_column(&mut self, table: TableId, number: i16) -> Result<()> {
        let old = self.table(table)?;
        let mut next = Table::clone(&old);
        self.locks.push(table);
        let Some(at) = take_column(&mut next, number) else {
            return Ok(());
        };
        self.lost_column(table, at, number);
        self.put(next);
        Ok(())
    }

    /// What others and the statistics know of a table that lost a column.
    pub(super) fn lost_column(&mut self, table: TableId, at: usize, number: i16) {
        if let Some(statistics) = self.catalog.statistics.get(&table) {
            let mut next = statistics.as_ref().clone();
            if at < next.columns.len() {
                next.columns.remove(at);
            }
            self.catalog.statistics.insert(table, Arc::new(next));
            self.touched(Object::Table(table));
        }
        let class = class_oid("pg_class");
        let key = crate::catalog::objects::CommentKey {
            class,
            object: table.0,
            column: i32::from(number),
        };
        if self.catalog.comments.remove(&key).is_some() {
            self.touched(Object::Comment(key));
        }
        let others: Vec<Arc<Table>> = self.catalog.tables.values().cloned().collect();
        for other in others {
            let refers = other.foreign_keys.iter().any(|f| f.referenced == table);
            if !refers || other.id == table {
                continue;
            }
            let mut next = Table::clone(&other);
            for f in next
                .foreign_keys
                .iter_mut()
                .filter(|f| f.referenced == table)
            {
                f.referenced_columns.iter_mut().for_each(|c| lower(c, at));
            }
            self.locks.push(other.id);
            self.put(next);
        }
    }

    pub(super) fn remove_constraint(&mut self, table: TableId, name: &str) -> Result<()> {
        let old = self.table(table)?;
        let mut next = Table::clone(&old);
        self.locks.push(table);
        let trees = take_constraint(&mut next, name);
        self.dropped.extend(trees.into_iter().flatten());
        if old.has_key() && !next.has_key() {
            // Rows are found by hidden numbers from now on.
            self.drop_trees(&next);
            next.tree = self.tree();
            next.indexes = self.emptied(&next.indexes);
            let next = self.put(next);
            let row = next.columns.iter().enumerate();
            let row = row.map(|(at, c)| Expr::Column(at, c.ty)).collect();
            self.work.push(Work::Rewrite {
                old,
                new: next.clone(),
                row,
            });
            self.build_unique(&next);
            return Ok(());
        }
        self.put(next);
        Ok(())
    }

    /// Local indexes are filled with the rows; those over the whole table are filled from them.
    pub(super) fn build_unique(&mut self, table: &Arc<Table>) {
        for index in table.indexes.iter().filter(|i| i.unique) {
            self.work.push(Work::BuildIndex {
                table: table.clone(),
                index: index.clone(),
                again: false,
            });
        }
    }
}

/// Takes the column with this number out, if there is one: its ordinal.
pub(super) fn take_column(table: &mut Table, number: i16) -> Option<usize> {
    let at = table.ordinal(number)?;
    let column = table.columns.remove(at);
    let place = table.dropped.partition_point(|d| d.number < number);
    table.dropped.insert(
        place,
        DroppedColumn {
            number,
            ty: column.ty,
        },
    );
    table.primary_key.iter_mut().for_each(|c| lower(c, at));
    table.placement.iter_mut().for_each(|c| lower(c, at));
    table.indexes = table.indexes.iter().map(|i| without(i, at)).collect();
    for check in &mut table.checks {
        shift(&mut check.expr, at);
    }
    for f in &mut table.foreign_keys {
        f.columns.iter_mut().for_each(|c| lower(c, at));
        f.delete_sets.iter_mut().for_each(|c| lower(c, at));
        if f.referenced == table.id {
            f.referenced_columns.iter_mut().for_each(|c| lower(c, at));
        }
    }
    for column in &mut table.columns {
        if let Some(generated) = &mut column.generated {
            shift(&mut generated.expr, at);
        }
    }
    Some(at)
}

fn without(index: &Arc<Index>, at: usize) -> Arc<Index> {
    if index_columns(index).iter().all(|c| *c < at) {
        return index.clone();
    }
    let mut next = Index::clone(index);
    for part in &mut next.parts {
        match &mut part.of {
            PartOf::Column(c) => lower(c, at),
            PartOf::Expr(e) => shift(&mut e.expr, at),
        }
    }
    next.include.iter_mut().for_each(|c| lower(c, at));
    if let Some(predicate) = &mut next.predicate {
        shift(&mut predicate.expr, at);
    }
    Arc::new(next)
}

fn lower(ordinal: &mut usize, gone: usize) {
    if *ordinal > gone {
        *ordinal -= 1;
    }
}

/// Columns behind the one that is gone come one nearer.
fn shift(e: &mut Expr, gone: usize) {
    e.each_mut(&mut |e| match e {
        Expr::Column(c, _) => lower(c, gone),
        Expr::Subquery { plan, .. } => shift_inside(Arc::make_mut(plan), gone, 1),
        _ => {}
    });
}

/// What a plan reads of the row that it is `deep` queries inside of. There is no join in what a definition keeps.
fn shift_inside(plan: &mut Plan, gone: usize, deep: usize) {
    for e in plan.exprs_mut() {
        e.each_mut(&mut |e| match e {
            Expr::Outer { depth, column, .. } if *depth == deep => lower(column, gone),
            Expr::Subquery { plan, .. } => shift_inside(Arc::make_mut(plan), gone, deep + 1),
            _ => {}
        });
    }
    let inputs = plan.inputs_mut();
    inputs.into_iter().for_each(|p| shift_inside(p, gone, deep));
}

/// Takes the constraint out: the trees that go with it. `None`: there is none of that name.
pub(super) fn take_constraint(table: &mut Table, name: &str) -> Option<Vec<types::TreeId>> {
    if table.has_key() && table.primary_key_name == name {
        table.primary_key.clear();
        table.placement.clear();
        table.primary_key_name.clear();
        table.primary_key_id = TableId(0);
        return Some(Vec::new());
    }
    if let Some(at) = table.checks.iter().position(|c| c.name == name) {
        table.checks.remove(at);
        return Some(Vec::new());
    }
    if let Some(at) = table.foreign_keys.iter().position(|f| f.name == name) {
        table.foreign_keys.remove(at);
        return Some(Vec::new());
    }
    let at = table
        .indexes
        .iter()
        .position(|i| i.constraint && i.name == name)?;
    let index = table.indexes.remove(at);
    Some(vec![index.tree])
}

pub(super) fn no_constraint(table: &Table, name: &str) -> Error {
    Error::new(
        SqlState::UNDEFINED_OBJECT,
        format!(
            "constraint \"{name}\" of relation \"{}\" does not exist",
            table.name
        ),
    )
}
