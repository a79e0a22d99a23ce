//! Scans, and plans that run in the partitions: the router as the operators' source of rows.
//!
//! Owns: the calls under way for one of them, at most one per partition; the next is sent when a batch is taken, so a slow
//! consumer holds back every partition. Dropping a scan drops its calls.

use super::advisory::Advisory;
use super::host::Host;
use super::notify::Announcements;
use super::sequence::Sequences;
use super::triggers::notices::Notices;
use super::{Deep, Router, Txn, odd};
use engine::exec::Context;
use engine::exec::memory::Share;
use engine::exec::operators::{AdvisoryKey, Called, Exec, Locked, RowSource, Source};
use engine::exec::profile::{Pages, Reached, ShardWork};
use engine::exec::sieve::Keys;
use engine::plan::{Access, Advise, FunctionCall, LockRows, Plan, Scan, SequenceFunction};
use engine::shard::Reply;
use engine::shard::call::{
    Address, EntriesCall, KeySpan, PartitionCall, Reach, Resume, RunCall, RunId, ScanCall,
};
use engine::shard::route::{Route, partitions_of, route};
use engine::txn::TxnRef;
use engine::txn::horizon::SnapshotGuard;
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use types::{PartitionId, Result, Row, RowBatch, Value};

/// The rows one statement of one transaction sees.
pub struct TxnSource {
    pub router: Rc<Router>,
    pub txn: TxnRef,
    /// That transaction, to be told where it locks rows.
    pub owner: Rc<Txn>,
    /// Of its session.
    pub advisory: Rc<Advisory>,
    pub announcements: Rc<Announcements>,
    pub notices: Rc<Notices>,
    /// The session's.
    pub pid: i32,
    /// Of its session.
    pub sequences: Rc<Sequences>,
    /// Keeps what the statement sees from being collected.
    pub snapshot: Rc<SnapshotGuard>,
    /// What shards do is to be counted.
    pub measured: bool,
    /// What the statement's parts in the partitions may hold together.
    pub share: Share,
    /// Triggers and functions that this is inside of.
    pub deep: Deep,
    /// The transaction may change nothing.
    pub read_only: bool,
    /// Its session, if that goes on.
    pub host: Option<Rc<dyn Host>>,
}

impl TxnSource {
    /// Of a statement inside of this one.
    pub(super) fn within(&self, txn: TxnRef, snapshot: Rc<SnapshotGuard>, deep: Deep) -> TxnSource {
        TxnSource {
            router: self.router.clone(),
            txn,
            owner: self.owner.clone(),
            advisory: self.advisory.clone(),
            announcements: self.announcements.clone(),
            notices: self.notices.clone(),
            pid: self.pid,
            sequences: self.sequences.clone(),
            snapshot,
            measured: false,
            share: self.share,
            deep,
            read_only: self.read_only,
            host: self.host.clone(),
        }
    }
}

impl Source for TxnSource {
    fn scan(
        &self,
        scan: Arc<Scan>,
        ctx: Arc<Context>,
    ) -> LocalBoxFuture<'_, Result<Box<dyn RowSource>>> {
        Box::pin(async move {
            if matches!(scan.access, Access::Bitmap(_)) {
                // Its keys are kept where they are found.
                let scan = Scan::clone(&scan);
                return self.run(Arc::new(Plan::Scan(Box::new(scan))), ctx).await;
            }
            let parts = self.router.parts(&self.txn, &scan, &ctx).await?;
            Ok(self.gather(What::Scan(scan), ctx, parts))
        })
    }

    fn run(
        &self,
        plan: Arc<Plan>,
        ctx: Arc<Context>,
    ) -> LocalBoxFuture<'_, Result<Box<dyn RowSource>>> {
        let shard = &self.router.shard;
        let parts = || -> Result<Box<dyn RowSource>> {
            let partitions = partitions_of(&plan, &ctx, shard.partition_count)?;
            let what = What::Run {
                share: self.share.among(partitions.len()),
                plan,
                id: shard.new_run(),
                asker: Arc::default(),
            };
            let parts = partitions.into_iter().map(|p| (p, Reach::All)).collect();
            Ok(self.gather(what, ctx, parts))
        };
        Box::pin(std::future::ready(parts()))
    }

    fn lock<'a>(
        &'a self,
        spec: &'a LockRows,
        addresses: Vec<Vec<u8>>,
        ctx: Arc<Context>,
    ) -> LocalBoxFuture<'a, Result<Vec<Option<Locked>>>> {
        Box::pin(self.lock_rows(spec, addresses, ctx))
    }

    fn advise<'a>(
        &'a self,
        spec: &'a Advise,
        key: AdvisoryKey,
    ) -> LocalBoxFuture<'a, Result<bool>> {
        Box::pin(self.advised(spec, key))
    }

    fn notify(&self, channel: &str, text: &str) -> Result<()> {
        self.announcements.add(channel, text, self.pid)
    }

    fn sequence<'a>(
        &'a self,
        function: SequenceFunction,
        args: &'a [Value],
        ctx: &'a Context,
    ) -> LocalBoxFuture<'a, Result<Row>> {
        Box::pin(self.of_sequence(function, args, ctx))
    }

    fn call<'a>(
        &'a self,
        call: &'a FunctionCall,
        args: Row,
        exec: &'a Rc<Exec>,
    ) -> LocalBoxFuture<'a, Result<Called>> {
        Box::pin(self.called(call, args, exec))
    }
}

impl TxnSource {
    /// Asks all these partitions.
    fn gather(
        &self,
        what: What,
        ctx: Arc<Context>,
        parts: Vec<(PartitionId, Reach)>,
    ) -> Box<dyn RowSource> {
        let metrics = &self.router.metrics;
        if parts.len() > 1 {
            metrics.statements_scattered.inc()
        } else {
            metrics.statements_single.inc()
        }
        let mut rows = Gather {
            router: self.router.clone(),
            txn: self.txn.clone(),
            _snapshot: self.snapshot.clone(),
            what,
            ctx,
            pending: FuturesUnordered::new(),
            measured: self.measured,
            reached: Reached::default(),
        };
        for (partition, reach) in parts {
            rows.request((partition, reach, 0), None);
        }
        Box::new(rows)
    }
}

impl Router {
    /// The row of a scan that names one primary key.
    pub async fn row(&self, txn: TxnRef, scan: &Arc<Scan>, ctx: &Arc<Context>) -> Result<RowBatch> {
        self.metrics.statements_single.inc();
        let partitions = self.shard.partition_count;
        let route = route(&scan.table, &scan.access, &scan.homes, ctx, partitions)?;
        let Route::Partitions(parts) = route else {
            return Ok(RowBatch::new());
        };
        let Some((partition, reach)) = parts.into_iter().next() else {
            return Ok(RowBatch::new());
        };
        let call = ScanCall {
            txn,
            scan: scan.clone(),
            ctx: ctx.clone(),
            reach,
            resume: None,
            measured: false,
        };
        match self.call(partition, PartitionCall::Scan(call)).await? {
            Reply::Rows { batch, .. } => Ok(batch),
            _ => Err(odd()),
        }
    }

    async fn parts(
        &self,
        txn: &TxnRef,
        scan: &Scan,
        ctx: &Arc<Context>,
    ) -> Result<Vec<(PartitionId, Reach)>> {
        let partitions = self.shard.partition_count;
        match route(&scan.table, &scan.access, &scan.homes, ctx, partitions)? {
            Route::Nowhere => Ok(Vec::new()),
            Route::Partitions(parts) => Ok(parts),
            Route::Unique {
                index,
                span,
                partitions,
            } => {
                let rows = self
                    .addresses(txn, &scan.table, &index, &span, &partitions)
                    .await?;
                Ok(by_partition(rows))
            }
        }
    }

    /// The rows whose entries in a unique index lie in a span.
    pub(super) async fn addresses(
        &self,
        txn: &TxnRef,
        table: &Arc<engine::catalog::Table>,
        index: &Arc<engine::catalog::Index>,
        span: &KeySpan,
        partitions: &[PartitionId],
    ) -> Result<Vec<Address>> {
        let mut out = Vec::new();
        for partition in partitions {
            let mut resume = None;
            loop {
                let call = EntriesCall {
                    txn: txn.clone(),
                    table: table.clone(),
                    index: index.clone(),
                    span: span.clone(),
                    resume,
                };
                match self.call(*partition, PartitionCall::Entries(call)).await? {
                    Reply::Addresses { rows, resume: next } => {
                        out.extend(rows);
                        resume = next;
                    }
                    _ => return Err(odd()),
                }
                if resume.is_none() {
                    break;
                }
            }
        }
        Ok(out)
    }
}

/// Addresses grouped into reaches.
pub fn by_partition(rows: Vec<Address>) -> Vec<(PartitionId, Reach)> {
    let mut parts: BTreeMap<PartitionId, Vec<Vec<u8>>> = BTreeMap::new();
    for row in rows {
        parts.entry(row.partition).or_default().push(row.key);
    }
    parts
        .into_iter()
        .map(|(p, keys)| (p, Reach::Keys(keys)))
        .collect()
}

/// One partition's share of a scan: which of its rows, and how many it has given.
type Part = (PartitionId, Reach, u64);
type Pending = LocalBoxFuture<'static, (Part, Result<Reply>)>;

/// What is asked of each partition.
enum What {
    Scan(Arc<Scan>),
    Run {
        plan: Arc<Plan>,
        id: RunId,
        /// What has not been given at the end of this is dropped by its shards.
        asker: Arc<()>,
        share: Share,
    },
}

struct Gather {
    router: Rc<Router>,
    txn: TxnRef,
    _snapshot: Rc<SnapshotGuard>,
    what: What,
    ctx: Arc<Context>,
    pending: FuturesUnordered<Pending>,
    measured: bool,
    reached: Reached,
}

impl Gather {
    fn request(&mut self, part: Part, resume: Option<Resume>) {
        let (partition, reach) = (part.0, part.1.clone());
        let router = self.router.clone();
        let (txn, ctx, measured) = (self.txn.clone(), self.ctx.clone(), self.measured);
        let call = match &self.what {
            What::Scan(scan) => PartitionCall::Scan(ScanCall {
                txn,
                scan: scan.clone(),
                ctx,
                reach,
                resume,
                measured,
            }),
            What::Run {
                plan,
                id,
                asker,
                share,
            } => PartitionCall::Run(RunCall {
                txn,
                plan: plan.clone(),
                ctx,
                id: *id,
                asker: asker.clone(),
                share: *share,
                goes_on: resume.is_some(),
                measured,
            }),
        };
        self.pending.push(Box::pin(async move {
            let reply = router.call(partition, call).await;
            (part, reply)
        }));
    }

    /// No more rows of the partition are wanted.
    fn is_enough(&self, given: u64) -> bool {
        match &self.what {
            What::Scan(scan) => scan.limit.is_some_and(|most| given >= most),
            What::Run { .. } => false,
        }
    }

    fn count(&mut self, partition: PartitionId, rows: usize, pages: Pages) {
        let shard = &self.router.shard;
        let owner = shard.owner(partition);
        let work = ShardWork {
            remote: owner != shard.id,
            calls: 1,
            rows: rows as u64,
            pages,
        };
        self.reached.add(&Reached([(owner, work)].into()));
    }

    async fn next_batch(&mut self) -> Result<Option<RowBatch>> {
        while let Some(((partition, reach, given), reply)) = self.pending.next().await {
            let Reply::Rows {
                batch,
                resume,
                pages,
            } = reply?
            else {
                return Err(odd());
            };
            if self.measured {
                self.count(partition, batch.len(), pages);
            }
            let given = given + batch.len() as u64;
            if resume.is_some() && !self.is_enough(given) {
                self.request((partition, reach, given), resume);
            }
            if !batch.is_empty() {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }
}

impl RowSource for Gather {
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<RowBatch>>> {
        Box::pin(self.next_batch())
    }

    fn sieve(&mut self, columns: &[usize], keys: &Arc<Keys>) {
        if let What::Scan(scan) = &mut self.what {
            Arc::make_mut(scan).sift(columns, keys);
        }
    }

    fn reached(&self) -> Reached {
        self.reached.clone()
    }
}
