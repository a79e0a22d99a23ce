//! Operators: pull-based, batch by batch.
//!
//! Owns: the operator tree of one running statement and what each operator does. Asked by: the front's session, through
//! `open`; expressions with subqueries come back here too. Never: knows where rows live; a `Source` brings them.
//! Nothing runs ahead of `next`. Everything lives on the shard of the session.
//! Bounds: what operators keep is counted by `Memory`, and what it has no room for goes to temporary files (`spill`); `Exec::check` is asked once a batch for deadline and cancellation;
//! loops yield at least every 256 rows.

mod advise;
mod aggregate;
mod distinct;
pub(crate) mod groups;
mod hash_join;
mod kept;
mod lateral;
mod limit;
mod lock_rows;
mod lookup;
mod merge;
mod rows;
mod scope;
mod set_op;
mod settle;
mod simple;
mod sort;
mod sources;
pub mod spool;
mod stream;
mod subquery;

pub use advise::AdvisoryKey;
pub use lock_rows::Locked;
pub use settle::{keys_of_arrays, settle_access, settle_expr, settle_scan};
pub use spool::Spool;
pub use subquery::eval_row;

use super::Context;
use super::memory::{Memory, full};
use super::spill::Space;
use crate::plan::{Advise, Given, LockRows, Plan, Scan};
use futures_util::future::LocalBoxFuture;
use runtime::TempDir;
use scope::Scope;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use subquery::Answers;
use types::limits::{BATCH_BYTES_MAX, BATCH_ROWS_MAX};
use types::{Error, Result, Row, RowBatch};

/// Where rows come from: the front's router (all partitions), or a test's memory.
pub trait Source {
    /// Starts a scan. It is self-contained: no `Outer` and no `Subquery` is left in it.
    fn scan(
        &self,
        scan: Arc<Scan>,
        ctx: Arc<Context>,
    ) -> LocalBoxFuture<'_, Result<Box<dyn RowSource>>>;

    /// Locks rows of a table; `None` for each that is skipped or gone.
    fn lock<'a>(
        &'a self,
        _spec: &'a LockRows,
        _addresses: Vec<Vec<u8>>,
        _ctx: Arc<Context>,
    ) -> LocalBoxFuture<'a, Result<Vec<Option<Locked>>>> {
        Box::pin(async { Err(Error::unsupported("these rows cannot be locked")) })
    }

    /// Takes or gives back an advisory lock: whether it was to be had, or had been had.
    fn advise<'a>(
        &'a self,
        _spec: &'a Advise,
        _key: AdvisoryKey,
    ) -> LocalBoxFuture<'a, Result<bool>> {
        Box::pin(async { Err(Error::unsupported("advisory locks here")) })
    }

    /// Announces a text on a channel when the transaction commits.
    fn notify(&self, _channel: &str, _text: &str) -> Result<()> {
        Err(Error::unsupported("notifications here"))
    }
}

/// A stream of row batches. Dropping it ends what feeds it.
pub trait RowSource {
    /// The next batch; `None` at the end, and then always.
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<RowBatch>>>;
}

/// What all operators of one statement share.
pub struct Exec {
    pub ctx: Arc<Context>,
    pub source: Rc<dyn Source>,
    pub memory: Memory,
    /// Deadline and cancellation: an error ends the statement.
    pub check: Rc<dyn Fn() -> Result<()>>,
    /// Where operators put rows aside; without it they refuse what does not fit.
    pub(crate) temp: Option<TempDir>,
    /// What the changes in WITH have returned, by their numbers.
    given: RefCell<BTreeMap<usize, Rc<Spool>>>,
    answers: Answers,
}

impl Exec {
    pub fn new(
        ctx: Arc<Context>,
        source: Rc<dyn Source>,
        memory: Memory,
        check: Rc<dyn Fn() -> Result<()>>,
    ) -> Exec {
        Exec {
            ctx,
            source,
            memory,
            check,
            temp: None,
            given: RefCell::default(),
            answers: Answers::default(),
        }
    }

    /// Operators over their memory spill to temporary files there.
    pub fn with_temp(mut self, temp: TempDir) -> Exec {
        self.temp = Some(temp);
        self
    }

    /// The rows of a change in WITH.
    pub fn give(&self, slot: usize, rows: Spool) {
        self.given.borrow_mut().insert(slot, Rc::new(rows));
    }

    /// A temporary file for an operator; 53200 when there is nowhere to make one.
    async fn space(&self, operator: &'static str) -> Result<Space> {
        match &self.temp {
            Some(temp) => Space::open(temp, &self.memory, operator).await,
            None => Err(full(operator, self.memory.bytes_max())),
        }
    }
}

/// The operator tree of a plan; nothing runs until `next`.
pub fn open(plan: Arc<Plan>, exec: Rc<Exec>) -> Result<Box<dyn RowSource>> {
    open_with_outer(plan, exec, Vec::new())
}

/// As `open`, inside enclosing queries: their current rows, the nearest last.
pub fn open_with_outer(
    plan: Arc<Plan>,
    exec: Rc<Exec>,
    outer: Vec<Row>,
) -> Result<Box<dyn RowSource>> {
    build(&plan, &exec, &Rc::new(outer))
}

fn build(plan: &Plan, exec: &Rc<Exec>, outer: &Rc<Vec<Row>>) -> Result<Box<dyn RowSource>> {
    let scope = Scope {
        exec: exec.clone(),
        outer: outer.clone(),
    };
    Ok(match plan {
        Plan::Scan(scan) => Box::new(sources::ScanRows::new(scope, scan)),
        Plan::System(table) => Box::new(sources::SystemRows::new(scope, table)),
        Plan::Values { rows } => Box::new(sources::ValueRows::new(scope, rows)),
        Plan::OneRow => Box::new(Batches::new(vec![Row::new()])),
        Plan::Function(function) => Box::new(sources::FunctionRows::new(scope, function)),
        Plan::Filter { input, predicate } => {
            let input = build(input, exec, outer)?;
            Box::new(simple::Filter::new(scope, input, predicate))
        }
        Plan::Project { input, exprs } => {
            let input = build(input, exec, outer)?;
            Box::new(simple::Project::new(scope, input, exprs))
        }
        Plan::Join(join) if join.lateral => {
            let left = build(&join.left, exec, outer)?;
            Box::new(lateral::Lateral::new(scope, left, join))
        }
        Plan::Join(join) => {
            let left = build(&join.left, exec, outer)?;
            let right = build(&join.right, exec, outer)?;
            Box::new(hash_join::HashJoin::new(scope, left, right, join))
        }
        Plan::Aggregate(spec) => {
            let input = build(&spec.input, exec, outer)?;
            Box::new(aggregate::HashAggregate::new(scope, input, spec))
        }
        Plan::Sort { input, keys, top } => {
            let input = build(input, exec, outer)?;
            Box::new(sort::Sort::new(scope, input, keys, *top))
        }
        Plan::Limit {
            input,
            limit,
            offset,
        } => {
            let input = build(input, exec, outer)?;
            Box::new(limit::Limit::new(scope, input, limit, offset))
        }
        Plan::Distinct { input } => {
            let input = build(input, exec, outer)?;
            Box::new(distinct::Distinct::new(scope, input))
        }
        Plan::DistinctOn { input, keys } => {
            let input = build(input, exec, outer)?;
            Box::new(distinct::DistinctOn::new(scope, input, keys))
        }
        Plan::SetOp {
            op,
            all,
            left,
            right,
        } => {
            let left = build(left, exec, outer)?;
            let right = build(right, exec, outer)?;
            set_op::build(scope, *op, *all, left, right)
        }
        Plan::Given(given) => given_rows(given, exec)?,
        Plan::Notify { input } => advise::announce(scope, input, exec, outer)?,
        Plan::Advise(spec) => advise::build(scope, spec, exec, outer)?,
        Plan::LockRows(spec) => lock_rows::build(scope, spec, exec, outer)?,
    })
}

fn given_rows(given: &Given, exec: &Exec) -> Result<Box<dyn RowSource>> {
    let rows = exec.given.borrow().get(&given.slot).cloned();
    Ok(Box::new(spool::Spooled::new(rows.ok_or_else(lost)?)))
}

/// A broken invariant: what an operator has just made is gone.
fn lost() -> Error {
    Error::internal("an operator lost its state")
}

/// Full enough to be passed on.
fn is_full(batch: &RowBatch) -> bool {
    batch.len() >= BATCH_ROWS_MAX || batch.bytes >= BATCH_BYTES_MAX
}

/// Rows already in memory, given out batch by batch.
struct Batches(std::vec::IntoIter<Row>);

impl Batches {
    fn new(rows: Vec<Row>) -> Batches {
        Batches(rows.into_iter())
    }

    fn take(&mut self) -> Option<RowBatch> {
        let mut batch = RowBatch::new();
        while !is_full(&batch)
            && let Some(row) = self.0.next()
        {
            batch.push(row);
        }
        (!batch.is_empty()).then_some(batch)
    }
}

impl RowSource for Batches {
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<RowBatch>>> {
        Box::pin(async { Ok(self.take()) })
    }
}

#[cfg(test)]
mod tests;
