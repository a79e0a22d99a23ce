//! What the operators of one statement have done, for EXPLAIN ANALYZE.
//!
//! Owns: for each operator its runs, rows, time and what it asked of the shards. Asked by: `operators::build`, which then puts
//! a measure around every operator, and by EXPLAIN. Never: there when nobody asked for it; an operator costs nothing more then.
//! Operators are known by the address of their node in the plan, which must live as long as this; a copy of a node is told
//! with `same`.
//! Time is the wall clock between a question and its answer, what is waited for included.

use super::operators::RowSource;
use super::sieve::Keys;
use crate::plan::Plan;
use futures_util::future::LocalBoxFuture;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use types::{Result, RowBatch, ShardId};

/// What shards did for an operator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reached(pub BTreeMap<ShardId, ShardWork>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardWork {
    /// Another shard than the session's: each call is a hop.
    pub remote: bool,
    pub calls: u64,
    pub rows: u64,
    pub pages: Pages,
}

/// Pages that a call used: found in the pool, and read from the file for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pages {
    pub hits: u64,
    pub reads: u64,
}

impl Reached {
    pub fn add(&mut self, other: &Reached) {
        for (shard, work) in &other.0 {
            let sum = self.0.entry(*shard).or_default();
            sum.remote = work.remote;
            sum.calls += work.calls;
            sum.rows += work.rows;
            sum.pages.hits += work.pages.hits;
            sum.pages.reads += work.pages.reads;
        }
    }

    pub fn pages(&self) -> Pages {
        let mut sum = Pages::default();
        for work in self.0.values() {
            sum.hits += work.pages.hits;
            sum.reads += work.pages.reads;
        }
        sum
    }
}

/// One operator, over all its runs.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    pub loops: u64,
    pub rows: u64,
    /// Until the first row of each run, added up.
    pub startup: Duration,
    pub total: Duration,
    pub reached: Reached,
}

#[derive(Default)]
pub struct Profile {
    nodes: RefCell<HashMap<usize, Rc<RefCell<Measured>>>>,
    copies: RefCell<HashMap<usize, usize>>,
}

impl Profile {
    /// What an operator did; `None` when it never ran.
    pub fn of(&self, plan: &Plan) -> Option<Measured> {
        let nodes = self.nodes.borrow();
        nodes.get(&self.place(plan)).map(|m| m.borrow().clone())
    }

    /// `copy` is the same operator as `plan`, and so are their inputs.
    pub fn same(&self, plan: &Plan, copy: &Plan) {
        let place = self.place(plan);
        self.copies.borrow_mut().insert(address(copy), place);
        for (plan, copy) in plan.inputs().into_iter().zip(copy.inputs()) {
            self.same(plan, copy);
        }
    }

    /// The operator with a measure around it.
    pub(crate) fn measure(&self, plan: &Plan, source: Box<dyn RowSource>) -> Box<dyn RowSource> {
        self.measurer(plan).around(source)
    }

    pub(crate) fn measurer(&self, plan: &Plan) -> Measure {
        let mut nodes = self.nodes.borrow_mut();
        Measure(nodes.entry(self.place(plan)).or_default().clone())
    }

    fn place(&self, plan: &Plan) -> usize {
        let at = address(plan);
        self.copies.borrow().get(&at).copied().unwrap_or(at)
    }
}

fn address(plan: &Plan) -> usize {
    std::ptr::from_ref(plan) as usize
}

/// The measure of one operator.
pub(crate) struct Measure(Rc<RefCell<Measured>>);

impl Measure {
    pub(crate) fn around(&self, source: Box<dyn RowSource>) -> Box<dyn RowSource> {
        Box::new(Timed {
            source,
            of: self.0.clone(),
            began: false,
            spent: Duration::ZERO,
        })
    }
}

struct Timed {
    source: Box<dyn RowSource>,
    of: Rc<RefCell<Measured>>,
    /// It has given rows, or its end.
    began: bool,
    spent: Duration,
}

impl RowSource for Timed {
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<RowBatch>>> {
        Box::pin(async {
            let start = runtime::Instant::now();
            let batch = self.source.next().await?;
            self.spent += start.elapsed();
            let mut of = self.of.borrow_mut();
            if !self.began {
                self.began = true;
                of.loops += 1;
                of.startup += self.spent;
            }
            of.total += start.elapsed();
            of.rows += batch.as_ref().map_or(0, |b| b.len() as u64);
            Ok(batch)
        })
    }

    fn sieve(&mut self, columns: &[usize], keys: &Arc<Keys>) {
        self.source.sieve(columns, keys);
    }

    fn reached(&self) -> Reached {
        self.source.reached()
    }
}

impl Drop for Timed {
    fn drop(&mut self) {
        self.of.borrow_mut().reached.add(&self.source.reached());
    }
}
