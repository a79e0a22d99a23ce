//! FOR UPDATE and FOR SHARE behind a SELECT.
//!
//! Owns: what a locking clause may stand behind, and the operators it makes: the rows are found, filtered and sorted by what
//! the snapshot has, then locked one after the other, and what is selected is computed from the rows as they are then.
//! Of a join, `join` does it for each table. Never: locks rows of a subquery in FROM (0A000). Source: PostgreSQL 15, `transformLockingClause`.

mod join;

use super::names;
use super::query::Rel;
use super::scope::Scope;
use super::select::Block;
use engine::catalog::Table;
use engine::plan::{Expr, LockRows, LockWait, Plan, RowLock, SortKey};
use sqlparser::ast::{self, LockType, NonBlock};
use std::sync::Arc;
use types::{DataType, Error, Result, SqlState};

/// The locking clauses of one SELECT as one, and whether a LIMIT may want fewer rows than there are.
#[derive(Clone, Copy)]
pub(super) struct Locking<'a> {
    pub clauses: &'a [ast::LockClause],
    pub limited: bool,
}

impl Locking<'_> {
    fn word(&self) -> &'static str {
        match self.lock() {
            RowLock::Update => "FOR UPDATE",
            RowLock::Share => "FOR SHARE",
        }
    }

    /// The strongest.
    fn lock(&self) -> RowLock {
        let update = |c: &ast::LockClause| matches!(c.lock_type, LockType::Update);
        match self.clauses.iter().any(update) {
            true => RowLock::Update,
            false => RowLock::Share,
        }
    }

    /// NOWAIT before SKIP LOCKED, as PostgreSQL has it.
    fn wait(&self) -> LockWait {
        let has = |wanted: &NonBlock| {
            let is = |c: &ast::LockClause| c.nonblock.as_ref() == Some(wanted);
            self.clauses.iter().any(is)
        };
        match (has(&NonBlock::Nowait), has(&NonBlock::SkipLocked)) {
            (true, _) => LockWait::NoWait,
            (_, true) => LockWait::Skip,
            _ => LockWait::Wait,
        }
    }

    pub(super) fn not_with(&self, what: &str) -> Error {
        Error::unsupported(format!("{} is not allowed with {what}", self.word()))
    }

    /// Rows of the result must be rows of the table.
    pub(super) fn check(
        &self,
        block: &Block,
        aggregates: bool,
        windows: bool,
        series: bool,
    ) -> Result<()> {
        let distinct = block.distinct || block.distinct_on.is_some();
        let refused = [
            (distinct, "DISTINCT clause"),
            (aggregates, "GROUP BY, HAVING or aggregate functions"),
            (windows, "window functions"),
            (series, "set-returning functions in the target list"),
        ];
        match refused.into_iter().find(|(is, _)| *is) {
            Some((_, what)) => Err(self.not_with(what)),
            None => Ok(()),
        }
    }

    fn names_only(&self, alias: &str) -> Result<()> {
        for of in self.clauses.iter().filter_map(|c| c.of.as_ref()) {
            let name = of.0.last().and_then(|p| p.as_ident()).map(names::ident);
            if name.as_deref() != Some(alias) {
                let name = name.unwrap_or_default();
                return Err(Error::new(
                    SqlState::UNDEFINED_TABLE,
                    format!(
                        "relation \"{name}\" in {} clause not found in FROM clause",
                        self.word()
                    ),
                ));
            }
        }
        Ok(())
    }
}

/// Puts the locking between the rows as they are found and what is selected of them.
pub(super) fn locked(
    input: Plan,
    scope: &Scope,
    block: Block,
    locking: Locking<'_>,
) -> Result<Rel> {
    let (alone, single) = (only_table(&input), scope.relations.as_slice());
    let (true, [only]) = (alone, single) else {
        return join::locked(input, scope, block, locking);
    };
    let Some((input, table, filter)) = addressed(input) else {
        return Err(Error::internal("a table that is none"));
    };
    let alias = only.alias.as_str();
    locking.names_only(alias)?;
    let address = Expr::Column(table.columns.len(), DataType::Bytea);
    let (mut exprs, mut keys): (Vec<Expr>, Vec<SortKey>) = (Vec::new(), Vec::new());
    for key in block.keys {
        let Expr::Column(target, ty) = key.expr else {
            return Err(Error::internal("a sort key that is no target"));
        };
        let target = block.targets.get(target);
        exprs.extend(target.map(|t| t.expr.clone()));
        keys.push(SortKey {
            expr: Expr::Column(exprs.len() - 1, ty),
            ..key
        });
    }
    exprs.push(address);
    let address = exprs.len() - 1;
    let mut rows = Plan::Project {
        input: Box::new(input),
        exprs,
    };
    if !keys.is_empty() {
        rows = Plan::Sort {
            input: Box::new(rows),
            keys,
            top: None,
        };
    }
    let lock = Plan::LockRows(Box::new(LockRows {
        input: rows,
        table,
        address,
        within: None,
        filter,
        lock: locking.lock(),
        wait: locking.wait(),
        one_by_one: locking.limited,
    }));
    let shown = block.targets.into_iter().take(block.shown);
    let (exprs, columns) = shown.map(|t| (t.expr, t.column)).unzip();
    Ok(Rel {
        plan: Plan::Project {
            input: Box::new(lock),
            exprs,
        },
        columns,
    })
}

fn only_table(plan: &Plan) -> bool {
    match plan {
        Plan::Scan(_) => true,
        Plan::Filter { input, .. } => only_table(input),
        _ => false,
    }
}

/// The scan of one table, perhaps with a filter over it, with the rows' addresses behind their columns.
fn addressed(plan: Plan) -> Option<(Plan, Arc<Table>, Option<Expr>)> {
    match plan {
        Plan::Scan(mut scan) => {
            scan.addressed = true;
            let table = scan.table.clone();
            Some((Plan::Scan(scan), table, None))
        }
        Plan::Filter { input, predicate } => {
            let (input, table, _) = addressed(*input)?;
            let filter = predicate.clone();
            let input = Box::new(input);
            Some((Plan::Filter { input, predicate }, table, Some(filter)))
        }
        _ => None,
    }
}
