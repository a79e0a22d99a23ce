//! Row locks over a join: those of each table that is meant, one table after the other.
//!
//! Owns: which tables are meant, and by which clause; where the columns of a row are once the addresses of its parts are among
//! them. A row that has changed is put in the place of what was found, and the conditions of the whole query are looked at again.
//! Never: locks the side of an outer join that may be padded, as PostgreSQL does not; looks at the conditions of an outer join
//! again. Source: PostgreSQL 15, `transformLockingClause`, `nodeLockRows.c`.

use super::super::query::Rel;
use super::super::scope::{Relation, Scope};
use super::super::select::Block;
use super::super::{names, unsupported};
use super::Locking;
use crate::planner::renamed;
use engine::catalog::Table;
use engine::plan::{Expr, JoinKind, LockRows, LockWait, Plan, RowLock, SortKey};
use sqlparser::ast::{self, LockType, NonBlock};
use std::sync::Arc;
use types::{Error, Result, SqlState};

/// A table of FROM.
struct Leaf {
    table: Arc<Table>,
    /// Its first column, without addresses and with those of the locked tables.
    old: usize,
    new: usize,
    padded: bool,
    /// How it is to be locked, if it is.
    lock: Option<(RowLock, LockWait)>,
}

/// What a walk over FROM finds.
#[derive(Default)]
struct Leaves {
    tables: Vec<Leaf>,
    /// Conditions that a row must meet.
    conditions: Vec<Expr>,
}

pub(super) fn locked(
    input: Plan,
    scope: &Scope,
    block: Block,
    locking: Locking<'_>,
) -> Result<Rel> {
    let mut leaves = Leaves::default();
    let width = find(&input, 0, false, &mut leaves, &locking)?;
    meant(&mut leaves.tables, scope, &locking)?;
    let mut added = 0;
    for leaf in &mut leaves.tables {
        leaf.new = leaf.old + added;
        added += usize::from(leaf.lock.is_some());
    }
    // Behind each locked table stands the address of its row.
    let ends: Vec<usize> = leaves
        .tables
        .iter()
        .filter(|l| l.lock.is_some())
        .map(|l| l.old + l.table.columns.len())
        .collect();
    let place = |i: usize| i + ends.iter().filter(|end| **end <= i).count();
    let input = addressed(input, 0, &leaves.tables, &place);
    debug_assert!(width + added >= ends.len());
    let renamed = |e: &Expr| renamed(e, &place);
    let conditions: Vec<Expr> = leaves.conditions.iter().map(renamed).collect();
    let filter = (!conditions.is_empty()).then_some(Expr::And(conditions));
    let mut rows = sorted(input, &block, &renamed)?;
    for leaf in leaves.tables {
        let Some((lock, wait)) = leaf.lock else {
            continue;
        };
        rows = Plan::LockRows(Box::new(LockRows {
            input: rows,
            address: leaf.new + leaf.table.columns.len(),
            table: leaf.table,
            within: Some(leaf.new),
            filter: filter.clone(),
            lock,
            wait,
            one_by_one: locking.limited,
        }));
    }
    let shown = block.targets.into_iter().take(block.shown);
    let (exprs, columns) = shown.map(|t| (renamed(&t.expr), t.column)).unzip();
    Ok(Rel {
        plan: Plan::Project {
            input: Box::new(rows),
            exprs,
        },
        columns,
    })
}

fn sorted(input: Plan, block: &Block, renamed: &dyn Fn(&Expr) -> Expr) -> Result<Plan> {
    if block.keys.is_empty() {
        return Ok(input);
    }
    let mut keys = Vec::with_capacity(block.keys.len());
    for key in &block.keys {
        let target = match key.expr {
            Expr::Column(target, _) => block.targets.get(target),
            _ => None,
        };
        let Some(target) = target else {
            return Err(Error::internal("a sort key that is no target"));
        };
        keys.push(SortKey {
            expr: renamed(&target.expr),
            ..key.clone()
        });
    }
    Ok(Plan::Sort {
        input: Box::new(input),
        keys,
        top: None,
    })
}

/// The tables under FROM and WHERE from column `at` on; answers where the next item begins.
fn find(
    plan: &Plan,
    at: usize,
    padded: bool,
    out: &mut Leaves,
    locking: &Locking<'_>,
) -> Result<usize> {
    match plan {
        Plan::Scan(scan) => {
            out.tables.push(Leaf {
                table: scan.table.clone(),
                old: at,
                new: at,
                padded,
                lock: None,
            });
            Ok(at + scan.table.columns.len())
        }
        Plan::Filter { input, predicate } => {
            let end = find(input, at, padded, out, locking)?;
            out.conditions.push(predicate.clone());
            Ok(end)
        }
        Plan::Join(join) if join.lateral => {
            Err(unsupported(&format!("{} with LATERAL", locking.word())))
        }
        Plan::Join(join) => {
            let (left, right) = match join.kind {
                JoinKind::Left => (padded, true),
                JoinKind::Right => (true, padded),
                JoinKind::Full => (true, true),
                JoinKind::Inner | JoinKind::Semi | JoinKind::Anti => (padded, padded),
            };
            let middle = find(&join.left, at, left, out, locking)?;
            let end = find(&join.right, middle, right, out, locking)?;
            // Of a join in the padded part of another one nothing is asked again.
            if join.kind == JoinKind::Inner && !padded {
                out.conditions
                    .extend(join.filter.iter().map(|e| renamed(e, &|i| i + at)));
            }
            Ok(end)
        }
        plan => Ok(at + crate::planner::types(plan).len()),
    }
}

/// Which of the tables the clauses are about.
fn meant(tables: &mut [Leaf], scope: &Scope, locking: &Locking<'_>) -> Result<()> {
    for clause in locking.clauses {
        let named = match &clause.of {
            None => None,
            Some(of) => {
                let name = of.0.last().and_then(|p| p.as_ident()).map(names::ident);
                let name = name.unwrap_or_default();
                if !scope.relations.iter().any(|r| r.alias == name) {
                    return Err(Error::new(
                        SqlState::UNDEFINED_TABLE,
                        format!(
                            "relation \"{name}\" in {} clause not found in FROM clause",
                            word(clause)
                        ),
                    ));
                }
                Some(name)
            }
        };
        for relation in &scope.relations {
            if named.as_ref().is_some_and(|name| *name != relation.alias) {
                continue;
            }
            let first = first_column(relation);
            let leaf = tables.iter_mut().find(|l| Some(l.old) == first);
            match leaf.filter(|_| relation.base) {
                Some(leaf) => take(leaf, clause)?,
                None => {
                    return Err(unsupported(&format!(
                        "{} of \"{}\", which is no table,",
                        word(clause),
                        relation.alias
                    )));
                }
            }
        }
    }
    Ok(())
}

fn first_column(relation: &Relation) -> Option<usize> {
    match relation.columns.first().map(|e| &e.expr) {
        Some(Expr::Column(i, _)) => Some(*i),
        _ => None,
    }
}

/// The strongest lock that the clauses ask for; NOWAIT before SKIP LOCKED.
fn take(leaf: &mut Leaf, clause: &ast::LockClause) -> Result<()> {
    if leaf.padded {
        return Err(Error::unsupported(format!(
            "{} cannot be applied to the nullable side of an outer join",
            word(clause)
        )));
    }
    let lock = match clause.lock_type {
        LockType::Update => RowLock::Update,
        _ => RowLock::Share,
    };
    let wait = match clause.nonblock {
        Some(NonBlock::Nowait) => LockWait::NoWait,
        Some(NonBlock::SkipLocked) => LockWait::Skip,
        None => LockWait::Wait,
    };
    let (old_lock, old_wait) = leaf.lock.unwrap_or((RowLock::Share, LockWait::Wait));
    let lock = match (lock, old_lock) {
        (RowLock::Share, RowLock::Share) => RowLock::Share,
        _ => RowLock::Update,
    };
    let wait = match (wait, old_wait) {
        (LockWait::NoWait, _) | (_, LockWait::NoWait) => LockWait::NoWait,
        (LockWait::Skip, _) | (_, LockWait::Skip) => LockWait::Skip,
        (LockWait::Wait, LockWait::Wait) => LockWait::Wait,
    };
    leaf.lock = Some((lock, wait));
    Ok(())
}

fn word(clause: &ast::LockClause) -> &'static str {
    match clause.lock_type {
        LockType::Update => "FOR UPDATE",
        _ => "FOR SHARE",
    }
}

/// FROM and WHERE, with the addresses of the rows that are locked behind their columns. `at`: the plan's first column before.
fn addressed(plan: Plan, at: usize, tables: &[Leaf], place: &dyn Fn(usize) -> usize) -> Plan {
    let shifted = |e: &Expr| renamed(e, &|i| place(i + at) - place_of_first(at, tables));
    match plan {
        Plan::Scan(mut scan) => {
            let locked = tables.iter().any(|l| l.old == at && l.lock.is_some());
            scan.addressed = locked;
            Plan::Scan(scan)
        }
        Plan::Filter { input, predicate } => Plan::Filter {
            predicate: shifted(&predicate),
            input: Box::new(addressed(*input, at, tables, place)),
        },
        Plan::Join(mut join) => {
            let middle = at + join.left_width;
            let end = middle + join.right_width;
            join.filter = join.filter.as_ref().map(shifted);
            let added = |from: usize, to: usize| {
                let inside = |l: &&Leaf| l.lock.is_some() && l.old >= from && l.old < to;
                tables.iter().filter(inside).count()
            };
            join.left_width += added(at, middle);
            join.right_width += added(middle, end);
            join.left = addressed(std::mem::take(&mut join.left), at, tables, place);
            join.right = addressed(std::mem::take(&mut join.right), middle, tables, place);
            Plan::Join(join)
        }
        plan => plan,
    }
}

/// Where the column is now that was number `at`, of an item that begins there.
fn place_of_first(at: usize, tables: &[Leaf]) -> usize {
    let before = |l: &&Leaf| l.lock.is_some() && l.old + l.table.columns.len() <= at;
    at + tables.iter().filter(before).count()
}
