//! Operators: pull-based, batch by batch.
//!
//! Owns: the operator tree of one running statement and what each operator does. Asked by: the front's session and
//! `shard::run`, through `open`; expressions with subqueries come back here too. Never: knows where rows live; a `Source` brings them.
//! Nothing runs ahead of `next`. Everything lives on one shard: the session's, or that of the partition it runs in.
//! Bounds: what operators keep is counted by `Memory`, and what it has no room for goes to temporary files (`spill`); `Exec::check` is asked once a batch for deadline and cancellation;
//! loops yield at least every 256 rows.

mod advise;
mod aggregate;
mod call;
mod configure;
mod distinct;
mod expand;
mod first_rows;
pub(crate) mod groups;
mod hash_join;
mod kept;
mod lateral;
mod limit;
mod lock_rows;
mod lookup;
mod merge;
pub mod observe;
mod recursive;
mod rows;
mod scope;
mod sequence;
mod set_op;
mod settle;
mod simple;
mod sleep;
pub(crate) mod sort;
mod sorted;
mod sources;
mod spool;
pub mod stash;
mod stream;
mod subquery;
mod window;
mod with;

pub use advise::AdvisoryKey;
pub use call::Called;
pub use configure::Configure;
pub use lock_rows::Locked;
pub use scope::Rows;
pub use settle::{is_settled, needs_settling, settle_access, settle_expr, settle_scan};
pub use stash::Stash;
pub use subquery::eval_row;

use super::Context;
use super::memory::{Memory, full};
use super::profile::{Profile, Reached};
use super::sieve::Keys;
use super::spill::Space;
use crate::catalog::Catalog;
use crate::plan::{Advise, FunctionCall, Given, LockRows, Plan, Scan, SequenceFunction};
use futures_util::future::LocalBoxFuture;
use observe::Observed;
use runtime::TempDir;
use scope::Scope;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use subquery::Answers;
use types::limits::{BATCH_BYTES_MAX, BATCH_ROWS_MAX};
use types::{Error, Result, Row, RowBatch, Value};

/// Where rows come from: the front's router (all partitions), or a test's memory.
pub trait Source {
    /// Starts a scan. It is self-contained: no `Outer` and no `Subquery` is left in it.
    fn scan(
        &self,
        scan: Arc<Scan>,
        ctx: Arc<Context>,
    ) -> LocalBoxFuture<'_, Result<Box<dyn RowSource>>>;

    /// Starts a plan in each partition that may have rows for it. It is self-contained too.
    fn run(
        &self,
        _plan: Arc<Plan>,
        _ctx: Arc<Context>,
    ) -> LocalBoxFuture<'_, Result<Box<dyn RowSource>>> {
        Box::pin(async { Err(Error::internal("there are no partitions here")) })
    }

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

    /// What a function of sequences answers: as many values as it says it returns.
    fn sequence<'a>(
        &'a self,
        _function: SequenceFunction,
        _args: &'a [Value],
        _ctx: &'a Context,
    ) -> LocalBoxFuture<'a, Result<Row>> {
        Box::pin(async { Err(Error::unsupported("sequences here")) })
    }

    /// Calls a user's function.
    fn call<'a>(
        &'a self,
        _call: &'a FunctionCall,
        _args: Row,
        _exec: &'a Rc<Exec>,
    ) -> LocalBoxFuture<'a, Result<Called>> {
        Box::pin(async { Err(Error::unsupported("functions here")) })
    }
}

/// A stream of row batches. Dropping it ends what feeds it.
pub trait RowSource {
    /// The next batch; `None` at the end, and then always.
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<RowBatch>>>;

    /// Only rows whose columns have one of these keys will be of use; it may leave others out.
    fn sieve(&mut self, _columns: &[usize], _keys: &Arc<Keys>) {}

    /// What it has asked of shards itself; its inputs' questions are theirs.
    fn reached(&self) -> Reached {
        Reached::default()
    }
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
    /// Where operators are measured, when somebody wants to know.
    pub profile: Option<Rc<Profile>>,
    /// Rows are computed one at a time: what is computed for one may depend on what has become of the one before.
    pub one_by_one: Cell<bool>,
    /// What set_config() does.
    configure: Option<Rc<Configure>>,
    /// Who asks all shards.
    observer: Option<Rc<dyn observe::Observer>>,
    /// What the changes in WITH have returned, by their numbers.
    given: RefCell<BTreeMap<usize, Rc<Stash>>>,
    answers: Answers,
    shared: with::Shared,
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
            profile: None,
            one_by_one: Cell::default(),
            configure: None,
            observer: None,
            given: RefCell::default(),
            answers: Answers::default(),
            shared: with::Shared::default(),
        }
    }

    /// Operators over their memory spill to temporary files there.
    pub fn with_temp(mut self, temp: TempDir) -> Exec {
        self.temp = Some(temp);
        self
    }

    pub fn with_profile(mut self, profile: Option<Rc<Profile>>) -> Exec {
        self.profile = profile;
        self
    }

    /// set_config() calls this.
    pub fn with_configure(mut self, configure: Rc<Configure>) -> Exec {
        self.configure = Some(configure);
        self
    }

    /// What the server as a whole knows is asked of it.
    pub fn with_observer(mut self, observer: Rc<dyn observe::Observer>) -> Exec {
        self.observer = Some(observer);
        self
    }

    /// The rows of a change in WITH.
    pub fn give(&self, slot: usize, rows: Stash) {
        self.given.borrow_mut().insert(slot, Rc::new(rows));
    }

    /// Of a statement inside of this one, in its memory.
    pub fn within(&self, ctx: Arc<Context>, source: Rc<dyn Source>) -> Exec {
        Exec {
            ctx,
            source,
            memory: self.memory.clone(),
            check: self.check.clone(),
            temp: self.temp.clone(),
            profile: None,
            one_by_one: Cell::default(),
            configure: self.configure.clone(),
            observer: self.observer.clone(),
            given: RefCell::default(),
            answers: Answers::default(),
            shared: with::Shared::default(),
        }
    }

    /// The same statement with another catalog: its own, which has changed under way.
    pub fn with_catalog(&self, catalog: Arc<Catalog>) -> Rc<Exec> {
        let ctx = Context {
            catalog,
            ..Context::clone(&self.ctx)
        };
        Rc::new(self.part(Arc::new(ctx), with::Shared::default()))
    }

    /// The same statement for what is computed of one enclosing row: WITH queries and answers of subqueries inside are of that row.
    fn of_one_row(&self) -> Rc<Exec> {
        Rc::new(self.part(self.ctx.clone(), self.shared.inside()))
    }

    /// The same statement, with nothing remembered.
    fn part(&self, ctx: Arc<Context>, shared: with::Shared) -> Exec {
        Exec {
            profile: self.profile.clone(),
            one_by_one: self.one_by_one.clone(),
            given: RefCell::new(self.given.borrow().clone()),
            shared,
            ..self.within(ctx, self.source.clone())
        }
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

/// As `open`, of a plan that stays where it is: so its profile finds the operators again.
pub fn open_in_place(plan: &Plan, exec: &Rc<Exec>) -> Result<Box<dyn RowSource>> {
    build(plan, exec, &Rc::default())
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
    let source = operator(plan, exec, outer)?;
    Ok(match &exec.profile {
        Some(profile) => profile.measure(plan, source),
        None => source,
    })
}

fn operator(plan: &Plan, exec: &Rc<Exec>, outer: &Rc<Vec<Row>>) -> Result<Box<dyn RowSource>> {
    let scope = Scope::new(exec, outer);
    let below = |input: &Plan| build(input, exec, outer);
    Ok(match plan {
        Plan::Scan(scan) => Box::new(sources::ShardRows::scan(scope, scan)),
        Plan::System(table) => Box::new(sources::SystemRows::new(scope, table)),
        Plan::Values { rows } => Box::new(sources::ValueRows::new(scope, rows)),
        Plan::OneRow => Box::new(Batches::new(vec![Row::new()])),
        Plan::Function(function) => Box::new(sources::FunctionRows::new(scope, function)),
        Plan::Filter { input, predicate } => {
            Box::new(simple::Filter::new(scope, below(input)?, predicate))
        }
        Plan::Project { input, exprs } => {
            Box::new(simple::Project::new(scope, below(input)?, exprs))
        }
        Plan::Join(join) if join.lateral => {
            Box::new(lateral::Lateral::new(scope, below(&join.left)?, join))
        }
        Plan::Join(join) => {
            let (left, right) = (below(&join.left)?, below(&join.right)?);
            Box::new(hash_join::HashJoin::new(scope, left, right, join))
        }
        Plan::Aggregate(spec) => Box::new(aggregate::HashAggregate::new(
            scope,
            below(&spec.input)?,
            spec,
        )),
        Plan::Sort { input, keys, top } => {
            Box::new(sort::Sort::new(scope, below(input)?, keys, *top))
        }
        Plan::Limit {
            input,
            limit,
            offset,
        } => Box::new(limit::Limit::new(scope, below(input)?, limit, offset)),
        Plan::FirstRows { first, whole, rows } => {
            let (first, whole) = (below(first)?, below(whole)?);
            Box::new(first_rows::FirstRows::new(&scope, first, whole, *rows))
        }
        Plan::Distinct { input } => Box::new(distinct::Distinct::new(scope, below(input)?)),
        Plan::DistinctOn { input, keys } => {
            Box::new(distinct::DistinctOn::new(scope, below(input)?, keys))
        }
        Plan::SetOp {
            op,
            all,
            left,
            right,
        } => set_op::build(scope, *op, *all, below(left)?, below(right)?),
        Plan::Given(given) => given_rows(given, exec)?,
        Plan::Notify { input } => advise::announce(scope, input, exec, outer)?,
        Plan::Sleep { input } => Box::new(sleep::Sleep::new(scope, below(input)?)),
        Plan::Observe { input, what } => Box::new(Observed::new(scope, below(input)?, *what)),
        Plan::Advise(spec) => advise::build(scope, spec, exec, outer)?,
        Plan::With(with) => Box::new(with::WithAll::new(with, &scope)?),
        Plan::WithScan(scan) | Plan::WorkTable(scan) => Box::new(with::WithRows::new(scope, scan)?),
        Plan::Recursive(spec) => Box::new(recursive::Rounds::new(scope, spec)?),
        Plan::Expand {
            input,
            groups,
            sets,
        } => Box::new(expand::Expand::new(scope, below(input)?, groups, sets)),
        Plan::Gather { input } => Box::new(sources::ShardRows::plan(scope, input)),
        Plan::Configure { input } => Box::new(configure::Configured::new(scope, below(input)?)),
        Plan::Window(spec) => Box::new(window::WindowAgg::new(scope, below(&spec.input)?, spec)?),
        Plan::LockRows(spec) => lock_rows::build(scope, spec, exec, outer)?,
        Plan::Sequence(call) => sequence::build(scope, call, exec, outer)?,
        Plan::Call(call) => call::build(scope, call, exec, outer)?,
    })
}

fn given_rows(given: &Given, exec: &Exec) -> Result<Box<dyn RowSource>> {
    let rows = exec.given.borrow().get(&given.slot).cloned();
    Ok(Box::new(stash::Stashed::new(rows.ok_or_else(lost)?)))
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
