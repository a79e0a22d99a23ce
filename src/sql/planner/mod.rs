//! Rules that make a bound statement cheaper without changing what it answers.
//!
//! Owns: the order of the rules; each lives in its own file. Asked by: `sql::bind`, at its end, and by session for EXPLAIN's
//! text. Never: reads rows, changes a result, or fails: what a rule cannot improve stays.
//! Source: the classic rewrites of Selinger's System R and PostgreSQL's planner, chapter 52 of its manual.

mod access;
mod bitmap;
mod colocate;
mod conjuncts;
mod cost;
mod decorrelate;
mod driven;
mod estimate;
mod explain;
mod extremes;
mod first_rows;
mod found_by;
mod implied;
mod join_order;
mod limits;
mod naming;
mod node;
mod order;
mod partial;
mod placed;
mod postpone;
mod prune;
mod push_filter;
mod range_joins;
mod rename;
mod semi_join;
mod shape;
mod sides;
mod window_rows;

#[cfg(test)]
mod tests;

pub(super) use conjuncts::split;
pub use explain::{Explained, Took};
pub(super) use implied::implies;
pub(super) use rename::{has_subquery, renamed, substitute};
pub(super) use shape::types;

use super::{BindEnv, Statement};
use access::Found;
use engine::catalog::{Catalog, Table};
use engine::exec::Context;
use engine::exec::eval::fold;
use engine::plan::{
    Access, Assignment, ConflictAction, Delete, Expr, Homes, Insert, Merge, Plan, Query, Returning,
    Update,
};
use estimate::Estimator;
use std::sync::Arc;

/// The statement with every plan inside it refined.
/// `context`: what stable functions say now, to estimate by.
pub fn optimize(statement: Statement, catalog: &Catalog, context: &Context) -> Statement {
    optimized(statement, &Estimator::new(catalog, context))
}

/// The same, knowing what its LIMIT and OFFSET are at most.
pub(super) fn optimize_for(statement: Statement, env: &BindEnv) -> Statement {
    let on = Estimator::new(env.catalog, env.context);
    optimized(statement, &on.with_rows(env.rows))
}

fn optimized(statement: Statement, on: &Estimator) -> Statement {
    match statement {
        Statement::Query(query) => Statement::Query(optimize_query(query, on)),
        Statement::CopyTo { query, options } => Statement::CopyTo {
            query: optimize_query(query, on),
            options,
        },
        Statement::Insert(insert) => Statement::Insert(optimize_insert(insert, on)),
        Statement::Update(update) => Statement::Update(optimize_update(update, on)),
        Statement::Delete(delete) => Statement::Delete(optimize_delete(delete, on)),
        Statement::Merge(merge) => Statement::Merge(optimize_merge(merge, on)),
        Statement::Declare {
            name,
            query,
            scroll,
            hold,
            text,
        } => Statement::Declare {
            name,
            query: optimize_query(query, on),
            scroll,
            hold,
            text,
        },
        Statement::With { changes, main } => Statement::With {
            changes: changes
                .into_iter()
                .map(|(name, change)| (name, optimized(change, on)))
                .collect(),
            main: Box::new(optimized(*main, on)),
        },
        Statement::Explain { statement, options } => Statement::Explain {
            statement: Box::new(optimized(*statement, on)),
            options,
        },
        other => other,
    }
}

fn optimize_query(query: Query, on: &Estimator) -> Query {
    Query {
        plan: optimize_plan(query.plan, on),
        columns: query.columns,
    }
}

/// A whole query or subquery.
fn optimize_plan(mut plan: Plan, on: &Estimator) -> Plan {
    fold_constants(&mut plan);
    postpone::rewrite(&mut plan);
    semi_join::rewrite(&mut plan);
    decorrelate::rewrite(&mut plan, on);
    optimize_subplans(&mut plan, on);
    let mut plan = prune::prune(push_filter::push(plan, Vec::new(), on));
    extremes::rewrite(&mut plan, on);
    colocate::place(&mut plan, on);
    partial::split_aggregates(&mut plan);
    driven::rewrite(&mut plan, on);
    range_joins::rewrite(&mut plan, on);
    sides::choose(&mut plan, on);
    limits::bound(&mut plan, on);
    plan
}

fn fold_constants(plan: &mut Plan) {
    plan.exprs_mut().into_iter().for_each(folded);
    plan.inputs_mut().into_iter().for_each(fold_constants);
}

fn folded(e: &mut Expr) {
    let nothing = Expr::Const(types::Value::Null, e.ty());
    *e = fold(std::mem::replace(e, nothing), None);
}

fn optimize_subplans(plan: &mut Plan, on: &Estimator) {
    for e in plan.exprs_mut() {
        optimize_inside(e, on);
    }
    for input in plan.inputs_mut() {
        optimize_subplans(input, on);
    }
}

/// The subqueries of an expression.
fn optimize_inside(e: &mut Expr, on: &Estimator) {
    e.each_mut(&mut |e| {
        if let Expr::Subquery { plan, .. } = e {
            let plan = Arc::make_mut(plan);
            *plan = optimize_plan(std::mem::take(plan), on);
        }
    });
}

fn optimize_insert(mut insert: Insert, on: &Estimator) -> Insert {
    insert.source = optimize_plan(insert.source, on);
    if let Some(on_conflict) = &mut insert.on_conflict
        && let ConflictAction::Update {
            assignments,
            filter,
        } = &mut on_conflict.action
    {
        assignments
            .iter_mut()
            .for_each(|a| optimize_inside(&mut a.expr, on));
        filter.iter_mut().for_each(|e| optimize_inside(e, on));
    }
    optimize_returning(&mut insert.returning, on);
    insert
}

fn optimize_update(mut update: Update, on: &Estimator) -> Update {
    let assignments = update.assignments.iter_mut();
    assignments.for_each(|a: &mut Assignment| {
        folded(&mut a.expr);
        optimize_inside(&mut a.expr, on);
    });
    optimize_returning(&mut update.returning, on);
    let found = find(&update.table, update.access, update.filter, on);
    (update.access, update.homes, update.filter) = (found.access, found.homes, found.filter);
    update
}

fn optimize_delete(mut delete: Delete, on: &Estimator) -> Delete {
    optimize_returning(&mut delete.returning, on);
    let found = find(&delete.table, delete.access, delete.filter, on);
    (delete.access, delete.homes, delete.filter) = (found.access, found.homes, found.filter);
    delete
}

fn optimize_merge(mut merge: Merge, on: &Estimator) -> Merge {
    merge.source = optimize_plan(merge.source, on);
    for e in merge.exprs_mut() {
        folded(e);
        optimize_inside(e, on);
    }
    merge
}

/// The whole filter stays: a row is checked again when it is changed, and where it reads subqueries only by it.
fn find(table: &Table, access: Access, mut filter: Option<Expr>, on: &Estimator) -> Found {
    filter.iter_mut().for_each(folded);
    filter.iter_mut().for_each(|e| optimize_inside(e, on));
    match access {
        Access::Full => Found {
            filter: filter.clone(),
            ..access::choose(table, filter, on)
        },
        access => Found {
            access,
            homes: Homes::new(),
            filter,
        },
    }
}

fn optimize_returning(returning: &mut Option<Returning>, on: &Estimator) {
    let exprs = returning.iter_mut().flat_map(|r| &mut r.exprs);
    exprs.for_each(|e| optimize_inside(e, on));
}
