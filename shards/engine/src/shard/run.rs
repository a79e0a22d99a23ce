//! Operators run where the rows are: a part of a plan over the rows of one partition.
//!
//! Owns: the operators of parts that have not given all their rows yet, between the calls that ask for them. Asked by: the
//! router, a batch a call. Never: reads another partition: what such a plan joins is placed alike.
//! Its rows are read as a scan's are, batch by batch at the transaction's snapshot, so nothing of a tree is held between two
//! calls. A part whose asker is gone is dropped at the next tick.
//! Bounds: `RUNS_MAX` parts a shard, one more: 53400. Each keeps at most its `Share` and spills as operators elsewhere do.

use super::bitmap::Bitmapped;
use super::call::{Reach, Reply, Resume, ScanCall};
use super::route::{self, Route};
use super::{Shard, ShardReply, meter};
use crate::exec::Context;
use crate::exec::memory::{Memory, Share};
use crate::exec::operators::{Exec, RowSource, Source, open};
use crate::exec::profile::Pages;
use crate::plan::{Access, Plan, Scan};
use crate::txn::{Partition, TxnRef};
use futures_util::future::LocalBoxFuture;
use runtime::TempDir;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::sync::{Arc, Weak as Remote};
use types::limits::RUNS_MAX;
use types::{Error, PartitionId, Result, RowBatch, ShardId, SqlState};

/// The next rows of a part of a plan.
pub struct RunCall {
    pub txn: TxnRef,
    pub plan: Arc<Plan>,
    pub ctx: Arc<Context>,
    pub id: RunId,
    /// Lives as long as somebody wants the rows.
    pub asker: Arc<()>,
    pub share: Share,
    /// Some rows have been given.
    pub goes_on: bool,
    pub measured: bool,
}

/// Which run, over all partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RunId {
    pub shard: ShardId,
    pub number: u64,
}

/// A shard's parts under way.
#[derive(Default)]
pub(super) struct Runs {
    kept: RefCell<HashMap<(PartitionId, RunId), Kept>>,
    temp: OnceCell<TempDir>,
    /// Of the last one that was begun from here.
    number: Cell<u64>,
}

struct Kept {
    rows: Box<dyn RowSource>,
    asker: Remote<()>,
}

impl Runs {
    pub(super) fn next(&self, shard: ShardId) -> RunId {
        let number = self.number.get() + 1;
        self.number.set(number);
        RunId { shard, number }
    }

    /// Those that nobody waits for any more end.
    pub(super) fn forget(&self) {
        let mut kept = self.kept.borrow_mut();
        let gone: Vec<Kept> = (kept.extract_if(|_, k| k.asker.strong_count() == 0))
            .map(|(_, k)| k)
            .collect();
        drop(kept);
        drop(gone);
    }

    /// For the next call.
    fn keep(&self, key: (PartitionId, RunId), kept: Kept) -> Result<()> {
        let mut all = self.kept.borrow_mut();
        if all.len() >= RUNS_MAX {
            return Err(too_many());
        }
        all.insert(key, kept);
        Ok(())
    }

    fn take(&self, key: &(PartitionId, RunId)) -> Option<Box<dyn RowSource>> {
        self.kept.borrow_mut().remove(key).map(|k| k.rows)
    }
}

impl Shard {
    /// Where operators put aside what does not fit; without it they refuse.
    pub fn use_temp(&self, temp: TempDir) {
        let _ = self.runs.temp.set(temp);
    }

    pub(super) async fn run(self: &Rc<Self>, p: &Rc<Partition>, call: RunCall) -> ShardReply {
        let key = (p.id, call.id);
        let asker = Arc::downgrade(&call.asker);
        let measured = call.measured;
        let mut rows = match call.goes_on {
            true => self.runs.take(&key),
            false => Some(self.begin_run(p, call)?),
        }
        .ok_or_else(|| Error::internal("a run under way is not known"))?;
        let (batch, pages) = match measured {
            true => meter::pages(&p.store, rows.next()).await,
            false => (rows.next().await, Pages::default()),
        };
        let Some(batch) = batch? else {
            return Ok(Reply::Rows {
                batch: RowBatch::new(),
                resume: None,
                pages,
            });
        };
        self.runs.keep(key, Kept { rows, asker })?;
        Ok(Reply::Rows {
            batch,
            resume: Some(Resume(Vec::new())),
            pages,
        })
    }

    fn begin_run(self: &Rc<Self>, p: &Rc<Partition>, call: RunCall) -> Result<Box<dyn RowSource>> {
        let memory = Memory::of(call.share);
        let source = Here {
            shard: Rc::downgrade(self),
            partition: p.clone(),
            txn: call.txn.clone(),
            memory: memory.clone(),
        };
        let stop = call.txn.stop;
        let exec = Exec::new(
            call.ctx,
            Rc::new(source),
            memory,
            Rc::new(move || stop.check()),
        );
        let exec = match self.runs.temp.get() {
            Some(temp) => exec.with_temp(temp.clone()),
            None => exec,
        };
        open(call.plan, Rc::new(exec))
    }
}

fn too_many() -> Error {
    Error::new(
        SqlState::CONFIGURATION_LIMIT_EXCEEDED,
        format!("more than {RUNS_MAX} queries are joined in the partitions of one shard"),
    )
}

/// The rows of one partition, as one transaction sees them.
struct Here {
    shard: Weak<Shard>,
    partition: Rc<Partition>,
    txn: TxnRef,
    memory: Memory,
}

impl Source for Here {
    fn scan(
        &self,
        scan: Arc<Scan>,
        ctx: Arc<Context>,
    ) -> LocalBoxFuture<'_, Result<Box<dyn RowSource>>> {
        let rows = || -> Result<Box<dyn RowSource>> {
            let shard = self.shard.upgrade().ok_or_else(gone)?;
            let reach = reach(&scan, &ctx, self.partition.id, shard.partition_count)?;
            let mut scanned = Scanned {
                shard: self.shard.clone(),
                partition: self.partition.clone(),
                txn: self.txn.clone(),
                scan: scan.clone(),
                ctx: ctx.clone(),
                reach,
                resume: None,
            };
            let Access::Bitmap(bitmap) = &scan.access else {
                return Ok(Box::new(scanned));
            };
            let wanted = scanned.reach.take().is_some();
            let spans = wanted.then(|| route::spans(&scan.table, bitmap, &ctx));
            let memory = self.memory.clone();
            Ok(Box::new(Bitmapped::new(
                scanned,
                spans.transpose()?,
                memory,
            )))
        };
        Box::pin(std::future::ready(rows()))
    }
}

/// What of a partition a scan is about, if anything. Entries of a unique index may lie elsewhere: then all rows are looked at.
fn reach(scan: &Scan, ctx: &Context, here: PartitionId, partitions: u16) -> Result<Option<Reach>> {
    let route = route::route(&scan.table, &scan.access, &scan.homes, ctx, partitions)?;
    Ok(match route {
        Route::Nowhere => None,
        Route::Unique { .. } => Some(Reach::All),
        Route::Partitions(parts) => {
            let mut parts = parts.into_iter();
            parts.find(|(p, _)| *p == here).map(|(_, reach)| reach)
        }
    })
}

fn gone() -> Error {
    Error::internal("a shard that has ended is asked for rows")
}

pub(super) struct Scanned {
    shard: Weak<Shard>,
    pub(super) partition: Rc<Partition>,
    pub(super) txn: TxnRef,
    pub(super) scan: Arc<Scan>,
    ctx: Arc<Context>,
    /// Nothing at the end.
    pub(super) reach: Option<Reach>,
    resume: Option<Resume>,
}

impl Scanned {
    /// The indexes that the plan knows are still there.
    pub(super) fn live(&self) -> Result<()> {
        let shard = self.shard.upgrade().ok_or_else(gone)?;
        shard.live(&self.scan.table, self.ctx.catalog.version)
    }

    pub(super) async fn batch(&mut self) -> Result<Option<RowBatch>> {
        while let Some(reach) = self.reach.take() {
            let shard = self.shard.upgrade().ok_or_else(gone)?;
            let call = ScanCall {
                txn: self.txn.clone(),
                scan: self.scan.clone(),
                ctx: self.ctx.clone(),
                reach: reach.clone(),
                resume: self.resume.take(),
                measured: false,
            };
            let Reply::Rows { batch, resume, .. } = shard.scan(&self.partition, call).await? else {
                return Err(Error::internal("a scan gives rows"));
            };
            if resume.is_some() {
                (self.reach, self.resume) = (Some(reach), resume);
            }
            if !batch.is_empty() {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }
}

impl RowSource for Scanned {
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<RowBatch>>> {
        Box::pin(self.batch())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nothing;

    impl RowSource for Nothing {
        fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<RowBatch>>> {
            Box::pin(async { Ok(None) })
        }
    }

    #[test]
    fn runs_are_kept_up_to_their_ceiling_and_as_long_as_somebody_asks() {
        let (runs, asker) = (Runs::default(), Arc::new(()));
        let kept = || Kept {
            rows: Box::new(Nothing),
            asker: Arc::downgrade(&asker),
        };
        let mut keys = Vec::new();
        for _ in 0..RUNS_MAX {
            let key = (PartitionId(0), runs.next(ShardId(0)));
            runs.keep(key, kept()).unwrap();
            keys.push(key);
        }
        let more = (PartitionId(0), runs.next(ShardId(0)));
        let refused = runs.keep(more, kept()).unwrap_err();
        assert_eq!(refused.code(), SqlState::CONFIGURATION_LIMIT_EXCEEDED);
        assert!(runs.take(&keys[0]).is_some() && runs.take(&keys[0]).is_none());
        runs.keep(more, kept()).unwrap();
        runs.forget();
        assert_eq!(runs.kept.borrow().len(), RUNS_MAX);
        drop(asker);
        runs.forget();
        assert_eq!(runs.kept.borrow().len(), 0);
    }
}
