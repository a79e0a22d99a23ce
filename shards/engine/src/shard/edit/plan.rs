//! Which statements are edits, and of which row.
//!
//! Owns: `Edit`, made ready when a statement is planned, and its `Aim`, for one set of parameters. Asked by: session. Never: reads
//! or writes a row.

use super::super::call::Conflict;
use super::super::constraints::check;
use super::super::entries::row_key;
use super::super::locator::Locator;
use super::evaluated;
use crate::catalog::referrers::changes;
use crate::catalog::triggers::Event;
use crate::catalog::{Catalog, Table};
use crate::codec::row;
use crate::exec::Context;
use crate::exec::operators::needs_settling;
use crate::plan::{
    Assignment, ConflictAction, ConflictTarget, Delete, Expr, Insert, Plan, Returning,
    SequenceFunction, SubqueryKind, Update,
};
use std::sync::Arc;
use types::{DataType, PartitionId, Result, Row, TableId, Value};

/// A statement that changes one row by its key, made ready.
pub struct Edit {
    pub(super) table: Arc<Table>,
    pub(super) layout: row::Layout,
    pub(super) what: What,
    pub(super) returning: Option<Returning>,
    /// Whose next values are its last parameters, in this order.
    pub sequences: Vec<TableId>,
}

pub(super) enum What {
    /// The row, and what is computed of it.
    Insert {
        values: Vec<Expr>,
        project: Option<Vec<Expr>>,
        /// What becomes of it when its key is taken; never `Lock`.
        on_conflict: Conflict,
    },
    Update {
        locator: Locator,
        filter: Option<Expr>,
        assignments: Arc<Vec<Assignment>>,
    },
    Delete {
        locator: Locator,
        filter: Option<Expr>,
    },
}

/// Which row it is about.
pub struct Aim {
    pub partition: PartitionId,
    /// `None`: of a table without one.
    pub key: Option<Vec<u8>>,
    /// Of an INSERT.
    pub row: Option<Row>,
}

fn plain<'a>(exprs: impl IntoIterator<Item = &'a Expr>) -> bool {
    !exprs.into_iter().any(needs_settling)
}

fn returns_plain(returning: &Option<Returning>) -> bool {
    returning.iter().all(|r| plain(&r.exprs))
}

impl Edit {
    fn new(table: &Arc<Table>, what: What, returning: &Option<Returning>) -> Edit {
        Edit {
            layout: table.layout(),
            table: table.clone(),
            what,
            returning: returning.clone(),
            sequences: Vec::new(),
        }
    }

    /// Of a statement of so many parameters.
    pub fn of_insert(insert: &Insert, catalog: &Catalog, params: usize) -> Option<Edit> {
        let table = &insert.table;
        let on_conflict = of_conflict(insert, catalog)?;
        let reaches = table.has_unique_indexes()
            || !table.foreign_keys.is_empty()
            || catalog.acts_on(table.id, Event::Insert);
        let (values, project) = match &insert.source {
            Plan::Values { rows } => (rows, None),
            Plan::Project { input, exprs } => match &**input {
                Plan::Values { rows } => (rows, Some(exprs)),
                _ => return None,
            },
            _ => return None,
        };
        let [values] = &values[..] else { return None };
        let (mut values, mut project) = (values.clone(), project.cloned());
        let mut sequences = Vec::new();
        for e in values.iter_mut().chain(project.iter_mut().flatten()) {
            given_next(e, params, &mut sequences)?;
        }
        let simple = !reaches
            && plain(&values)
            && plain(project.iter().flatten())
            && returns_plain(&insert.returning);
        let what = What::Insert {
            values,
            project,
            on_conflict,
        };
        let edit = Edit::new(table, what, &insert.returning);
        simple.then_some(Edit { sequences, ..edit })
    }

    pub fn of_update(update: &Update, catalog: &Catalog) -> Option<Edit> {
        let table = &update.table;
        let reaches = table.has_unique_indexes() || moves(table, &update.assignments, catalog);
        let locator = Locator::of(table, &update.access)?;
        let simple = !reaches
            && plain(update.assignments.iter().map(|a| &a.expr))
            && plain(&update.filter)
            && returns_plain(&update.returning);
        let what = What::Update {
            locator,
            filter: update.filter.clone(),
            assignments: Arc::new(update.assignments.clone()),
        };
        simple.then(|| Edit::new(table, what, &update.returning))
    }

    pub fn of_delete(delete: &Delete, catalog: &Catalog) -> Option<Edit> {
        let table = &delete.table;
        let reaches = table.has_unique_indexes()
            || catalog.is_referenced(table.id)
            || catalog.acts_on(table.id, Event::Delete);
        let locator = Locator::of(table, &delete.access)?;
        let simple = !reaches && plain(&delete.filter) && returns_plain(&delete.returning);
        let what = What::Delete {
            locator,
            filter: delete.filter.clone(),
        };
        simple.then(|| Edit::new(table, what, &delete.returning))
    }

    /// It changes a row that is there.
    pub(super) fn changes_rows(&self) -> bool {
        match &self.what {
            What::Insert { on_conflict, .. } => matches!(on_conflict, Conflict::Update { .. }),
            What::Update { .. } | What::Delete { .. } => true,
        }
    }

    /// Where the row is, or will be if it has no place of its own: `home`. `None`: there is no such row.
    pub fn aim(&self, ctx: &Context, partitions: u16, home: PartitionId) -> Result<Option<Aim>> {
        let (values, project) = match &self.what {
            What::Update { locator, .. } | What::Delete { locator, .. } => {
                let at = locator.address(&ctx.params, partitions)?;
                return Ok(at.map(|(partition, key)| Aim {
                    partition,
                    key: Some(key),
                    row: None,
                }));
            }
            What::Insert {
                values, project, ..
            } => (values, project),
        };
        let mut row = evaluated(values, &[], ctx)?;
        if let Some(exprs) = project {
            row = evaluated(exprs, &row, ctx)?;
        }
        let table = &self.table;
        let (partition, key) = match table.has_key() {
            // A key of NULL is for the check of the row to refuse.
            true if table
                .primary_key
                .iter()
                .any(|c| row.get(*c).is_none_or(Value::is_null)) =>
            {
                check(table, &row, ctx)?;
                return Ok(None);
            }
            true => (
                table.partition_of_row(&row, partitions)?,
                Some(row_key(table, &row)?),
            ),
            false => (home, None),
        };
        Ok(Some(Aim {
            partition,
            key,
            row: Some(row),
        }))
    }

    pub(super) fn returned(&self, row: Option<&Row>, ctx: &Context) -> Result<Option<Row>> {
        let both = self.returning.as_ref().zip(row);
        both.map(|(r, row)| evaluated(&r.exprs, row, ctx))
            .transpose()
    }
}

/// A value that is a sequence's next one becomes a parameter. `None`: there are too many. What may not be evaluated (a part of
/// CASE or COALESCE) stays, so that it takes no value.
fn given_next(e: &mut Expr, params: usize, sequences: &mut Vec<TableId>) -> Option<()> {
    let e = match e {
        Expr::Cast { expr, .. } => &mut **expr,
        e => e,
    };
    if let Some(sequence) = next_of(e) {
        let place = u16::try_from(params + sequences.len()).ok()?;
        *e = Expr::Param(place, DataType::Int8);
        sequences.push(sequence);
    }
    Some(())
}

/// `nextval` of a sequence that is known.
fn next_of(e: &Expr) -> Option<TableId> {
    let Expr::Subquery {
        plan,
        kind: SubqueryKind::Scalar,
        ..
    } = e
    else {
        return None;
    };
    let Plan::Sequence(call) = &**plan else {
        return None;
    };
    let Plan::Project { input, exprs } = &call.input else {
        return None;
    };
    match (call.function, &**input, exprs.as_slice()) {
        (SequenceFunction::Next, Plan::OneRow, [Expr::Const(Value::Reg(named), _)]) => {
            Some(TableId(named.oid))
        }
        _ => None,
    }
}

/// Whether columns are assigned by which the row is found, or held to rows elsewhere, or triggers wait for it.
fn moves(table: &Table, assignments: &[Assignment], catalog: &Catalog) -> bool {
    let mut key = table.primary_key.iter();
    key.any(|c| changes(table, assignments, *c))
        || catalog.touches_keys(table, assignments)
        || catalog.acts_on(table.id, Event::Update)
}

/// `None`: it takes more than the row's partition.
fn of_conflict(insert: &Insert, catalog: &Catalog) -> Option<Conflict> {
    let Some(on) = &insert.on_conflict else {
        return Some(Conflict::Error);
    };
    // Without unique indexes it can only be the primary key.
    if matches!(on.target, Some(ConflictTarget::Unique(_))) {
        return None;
    }
    match &on.action {
        ConflictAction::Nothing => Some(Conflict::Nothing),
        ConflictAction::Update {
            assignments,
            filter,
        } => {
            let simple = plain(on.action.exprs()) && !moves(&insert.table, assignments, catalog);
            simple.then(|| Conflict::Update {
                assignments: Arc::new(assignments.clone()),
                filter: filter.clone(),
            })
        }
    }
}
