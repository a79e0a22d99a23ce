//! Operators: pull-based, batch by batch.
//!
//! Owns: the operator tree of one running statement and what each operator does. Asked by: the front's session, through
//! `open`; expressions with subqueries come back here too. Never: knows where rows live; a `Source` brings them.
//! Nothing runs ahead of `next`. Everything lives on the shard of the session.
//! Bounds: what operators keep is counted by `Memory`; `Exec::check` is asked once a batch for deadline and cancellation.

use super::Context;
use super::memory::Memory;
use crate::plan::{Plan, Scan};
use futures_util::future::LocalBoxFuture;
use std::rc::Rc;
use std::sync::Arc;
use types::{Error, Result, Row, RowBatch};

/// Where rows come from: the front's router (all partitions), or a test's memory.
pub trait Source {
    /// Starts a scan. It is self-contained: no `Outer` and no `Subquery` is left in it.
    fn scan(
        &self,
        scan: Arc<Scan>,
        ctx: Arc<Context>,
    ) -> LocalBoxFuture<'_, Result<Box<dyn RowSource>>>;
}

/// A stream of row batches. Dropping it ends what feeds it.
pub trait RowSource {
    /// The next batch, never empty; `None` at the end, and then always.
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<RowBatch>>>;
}

/// What all operators of one statement share.
pub struct Exec {
    pub ctx: Arc<Context>,
    pub source: Rc<dyn Source>,
    pub memory: Memory,
    /// Deadline and cancellation: an error ends the statement.
    pub check: Rc<dyn Fn() -> Result<()>>,
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

fn build(plan: &Plan, exec: &Rc<Exec>, _outer: &Rc<Vec<Row>>) -> Result<Box<dyn RowSource>> {
    match plan {
        Plan::Scan(scan) => Ok(Box::new(ScanSource {
            scan: Arc::new((**scan).clone()),
            exec: exec.clone(),
            rows: None,
        })),
        Plan::OneRow => Ok(Box::new(Once(Some(RowBatch::from(vec![Row::new()]))))),
        _ => Err(Error::unsupported("this kind of query")),
    }
}

/// One batch, then the end.
struct Once(Option<RowBatch>);

impl RowSource for Once {
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<RowBatch>>> {
        Box::pin(async { Ok(self.0.take()) })
    }
}

struct ScanSource {
    scan: Arc<Scan>,
    exec: Rc<Exec>,
    rows: Option<Box<dyn RowSource>>,
}

impl RowSource for ScanSource {
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<RowBatch>>> {
        Box::pin(async {
            (self.exec.check)()?;
            let rows = match &mut self.rows {
                Some(rows) => rows,
                none => {
                    let opened = self
                        .exec
                        .source
                        .scan(self.scan.clone(), self.exec.ctx.clone());
                    none.insert(opened.await?)
                }
            };
            rows.next().await
        })
    }
}
