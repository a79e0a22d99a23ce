//! The shortest ways of the commonest query: the row of one primary key, asked of the one partition that may have it.
//!
//! Owns: telling such queries when they are planned. Asked by: `statement`, and through `once` for a statement that
//! came whole. Never: reads by itself; the call is the same that the operators would make, without the
//! operators; where only columns are given out (`Lookup`) it is a row's, and outside of a block it needs no transaction
//! either, as nobody can tell that there was one.
//! Bounds: one call, one row.

use super::Session;
use super::once::{Ended, Once, has_labels};
use super::statement::{Running, Work, is_stale};
use super::transaction::Block;
use crate::router::Txn;
use crate::service::{Answer, Reply, Whole};
use crate::telemetry::StatementKind;
use engine::exec::operators::is_settled;
use engine::plan::{Access, Plan, Scan};
use engine::shard::Lookup;
use engine::shard::call::GetCall;
use engine::txn::{Isolation, Stop, TxnRef};
use sql::Statement;
use std::rc::Rc;
use std::sync::Arc;
use types::{Column, PartitionId, Result, Row, RowBatch};

pub struct Point {
    scan: Arc<Scan>,
    lookup: Option<Arc<Lookup>>,
}

impl Point {
    pub fn of(statement: &Statement) -> Option<Point> {
        let Statement::Query(query) = statement else {
            return None;
        };
        let Plan::Scan(scan) = &query.plan else {
            return None;
        };
        let one_key = matches!(&scan.access, Access::Keys(keys) if keys.len() == 1);
        let scan = (one_key && is_settled(scan)).then(|| Arc::new(Scan::clone(scan)))?;
        let lookup = match has_labels(&query.columns) {
            true => None,
            false => Lookup::of(&scan).map(Arc::new),
        };
        Some(Point { scan, lookup })
    }

    pub fn is_lookup(&self) -> bool {
        self.lookup.is_some()
    }

    /// What it finds, which is all there is.
    pub(super) async fn run(&self, work: &Work<'_>) -> Result<Running> {
        work.stop.check()?;
        let _snapshot = work.txn.statement();
        let txn = work.txn.reference(work.stop);
        let router = &work.session.node.router;
        let rows = router.row(txn, &self.scan, &work.ctx).await?;
        Ok(Running::of(rows, work.stop))
    }
}

/// Who looks a row up.
enum Reader {
    /// A transaction of which nothing else would be known.
    Nobody,
    /// The open block's.
    Txn(Rc<Txn>),
}

impl Session {
    /// `None`: it is not only a row that is asked for, or not in a transaction that may be asked for one so.
    pub(super) fn looked_up_at_once(
        &self,
        once: &Once,
        stop: impl Fn() -> Arc<Stop>,
    ) -> Result<Option<Answer<'_>>> {
        let planned = &once.planned;
        let lookup = planned.point.as_ref().and_then(|p| p.lookup.as_ref());
        let (Some(lookup), Some(columns)) = (lookup, &planned.bound.columns) else {
            return Ok(None);
        };
        let router = &self.node.router;
        let Some(reader) = self.reader() else {
            return Ok(None);
        };
        if planned.own.is_some() || planned.version != router.shard.catalog_version(self.database) {
            return Ok(None);
        }
        let began = runtime::Instant::now();
        let Some((partition, key)) = lookup.address(&once.params, router.partitions())? else {
            return Ok(Some(Answer::Now(Ok(self.looked(
                None,
                columns,
                (reader, began),
            )))));
        };
        let (xid, snapshot, _guard) = match &reader {
            Reader::Nobody => (None, router.shard.now(), None),
            Reader::Txn(txn) => {
                let guard = txn.statement();
                (Some(txn.xid), guard.ts, Some(guard))
            }
        };
        let found = router.row_here(partition, (lookup, &key), (xid, snapshot), planned.version);
        if let Some(found) = found {
            return match found {
                Ok(row) => Ok(Some(Answer::Now(Ok(self.looked(
                    row,
                    columns,
                    (reader, began),
                ))))),
                // Planned anew by whoever carries it out.
                Err(e) if is_stale(&e) => Ok(None),
                Err(e) => Err(e),
            };
        }
        let again = Once {
            parsed: once.parsed.clone(),
            planned: planned.clone(),
            params: once.params.clone(),
        };
        let (this, stop) = (self.this()?, stop());
        let alone = matches!(reader, Reader::Nobody);
        let asked = async move { this.asked(again, reader, (partition, key), stop).await };
        Ok(Some(match alone {
            true => Answer::Apart(Box::pin(asked)),
            false => Answer::Later(Box::pin(asked)),
        }))
    }

    /// Who a row would be looked up for.
    fn reader(&self) -> Option<Reader> {
        let reader = match &*self.block.borrow() {
            Block::Idle => Reader::Nobody,
            Block::Explicit(active) if active.has_own_catalog() => return None,
            Block::Explicit(active) => Reader::Txn(active.txn.clone()),
            // Ends with the request, or has failed.
            Block::Implicit(_) | Block::Failed { .. } => return None,
        };
        let serializable = match &reader {
            Reader::Nobody => {
                self.settings.borrow().transaction().0 == sql::Isolation::Serializable
            }
            Reader::Txn(txn) => txn.isolation == Isolation::Serializable,
        };
        (!serializable).then_some(reader)
    }

    /// Of another shard, or of one that has to wait for something.
    async fn asked(
        &self,
        once: Once,
        reader: Reader,
        (partition, key): (PartitionId, Vec<u8>),
        stop: Arc<Stop>,
    ) -> Result<Reply> {
        let began = runtime::Instant::now();
        let planned = once.planned.clone();
        let point = planned.point.as_ref();
        let (Some(lookup), Some(columns)) =
            (point.and_then(|p| p.lookup.clone()), &planned.bound.columns)
        else {
            return self.begun(once, stop);
        };
        let router = &self.node.router;
        let alone = matches!(reader, Reader::Nobody);
        let (txn, _guard) = match &reader {
            Reader::Txn(txn) => {
                let guard = txn.statement();
                (txn.reference(&stop), guard)
            }
            Reader::Nobody => {
                let guard = Rc::new(router.shard.snapshot());
                let txn = TxnRef {
                    xid: router.shard.new_xid(),
                    snapshot: guard.ts,
                    isolation: Isolation::ReadCommitted,
                    savepoint: 0,
                    apart: 0,
                    stop: stop.clone(),
                };
                (txn, guard)
            }
        };
        let call = GetCall {
            txn,
            lookup,
            key,
            version: planned.version,
        };
        *self.running.borrow_mut() = Some(stop.clone());
        let running = Ended(self, stop.clone());
        let found = router.get(partition, call).await;
        drop(running);
        match found {
            Ok(row) => Ok(self.looked(row, columns, (reader, began))),
            Err(e) if is_stale(&e) => self.begun(once, stop),
            Err(e) => {
                if !alone {
                    self.fail();
                }
                Err(self.named(e))
            }
        }
    }

    /// What the client is told, and what is counted.
    fn looked(
        &self,
        row: Option<Row>,
        columns: &Arc<Vec<Column>>,
        (reader, began): (Reader, runtime::Instant),
    ) -> Reply {
        let metrics = &self.node.metrics;
        let tag = match row {
            Some(_) => "SELECT 1",
            None => "SELECT 0",
        };
        let mut rows = RowBatch::new();
        if let Some(row) = row {
            rows.push(row);
            metrics.rows_returned.inc();
        }
        if matches!(reader, Reader::Nobody) {
            metrics.transactions_committed.inc();
        }
        metrics.statement(StatementKind::Select, began.elapsed());
        Reply::Whole(Whole {
            columns: Some(columns.clone()),
            rows,
            tag,
        })
    }
}
