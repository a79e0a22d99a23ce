//! The shortest way of a statement that changes one row by its key.
//!
//! Owns: telling such statements when they are planned. Asked by: `once`. Never: writes by itself; the partition does, here
//! at once when it has nothing to wait for, and a statement that is its own transaction then waits for its commit alone.
//! Bounds: one call, one row.

use super::once::{Ended, Once, has_labels};
use super::transaction::Block;
use super::{Planned, Session};
use crate::router::Txn;
use crate::service::{Answer, Reply, Whole};
use crate::telemetry::StatementKind;
use engine::catalog::Catalog;
use engine::exec::Context;
use engine::shard::call::EditCall;
use engine::shard::{Aim, Edit, Edited};
use engine::txn::horizon::SnapshotGuard;
use engine::txn::{Isolation, Stop, TxnRef};
use futures_util::FutureExt;
use sql::Statement;
use std::rc::Rc;
use std::sync::Arc;
use types::{Error, Result, Row, RowBatch, Value};

/// Of a statement of so many parameters.
pub(super) fn of(statement: &Statement, catalog: &Catalog, params: usize) -> Option<Arc<Edit>> {
    let edit = match statement {
        Statement::Insert(insert) => Edit::of_insert(insert, catalog, params),
        Statement::Update(update) => Edit::of_update(update, catalog),
        Statement::Delete(delete) => Edit::of_delete(delete, catalog),
        _ => None,
    }?;
    let labelled = (statement.returning()).is_some_and(|r| has_labels(&r.columns));
    (!labelled).then(|| Arc::new(edit))
}

/// Whose change it is.
enum Writer {
    /// The statement's own transaction, which has not been begun.
    Alone,
    /// The open block's.
    Txn(Rc<Txn>),
}

impl Session {
    /// `Err`: it is another kind of statement, or in a transaction that has more to do.
    pub(super) fn edited_at_once(
        &self,
        once: Once,
        stop: impl Fn() -> Arc<Stop>,
    ) -> Result<std::result::Result<Answer<'_>, Once>> {
        let Some(edit) = once.planned.edit.clone() else {
            return Ok(Err(once));
        };
        let router = &self.node.router;
        let current = once.planned.own.is_none()
            && once.planned.version == router.shard.catalog_version(self.database)
            && self.cursors.borrow().is_empty();
        if self.writer().filter(|_| current).is_none() {
            return Ok(Err(once));
        }
        let began = runtime::Instant::now();
        if edit.sequences.is_empty() {
            let params = once.params.clone();
            return self.edit_with(once, (edit, params), stop(), began);
        }
        let mut given = Box::pin(self.with_next(edit, once.params.clone()));
        match (&mut given).now_or_never() {
            Some(given) => {
                let given = given.map_err(|e| self.not_given(e))?;
                self.edit_with(once, given, stop(), began)
            }
            None => {
                let stop = stop();
                Ok(Ok(Answer::Later(Box::pin(async move {
                    let given = given.await;
                    let given = given.map_err(|e| self.not_given(e))?;
                    match self.edit_with(once, given, stop.clone(), began)? {
                        Ok(Answer::Now(reply)) => reply,
                        Ok(Answer::Later(reply)) => reply.await,
                        Ok(Answer::Apart(reply)) => reply.await,
                        Err(once) => self.begun(once, stop),
                    }
                }))))
            }
        }
    }

    /// The parameters with what its sequences give.
    async fn with_next(
        &self,
        edit: Arc<Edit>,
        mut params: Vec<Value>,
    ) -> Result<(Arc<Edit>, Vec<Value>)> {
        let router = &self.node.router;
        let catalog = self.catalog();
        for id in &edit.sequences {
            let sequence = catalog.sequences.get(id);
            let sequence = sequence.ok_or_else(|| Error::internal("a sequence that is gone"))?;
            let next = router.next_value(&self.sequences, sequence).await?;
            params.push(Value::Int8(next));
        }
        Ok((edit, params))
    }

    /// A sequence has no next value.
    fn not_given(&self, e: Error) -> Error {
        match self.writer() {
            Some(writer) => self.edit_failed(&writer, e),
            None => self.named(e),
        }
    }

    fn edit_with(
        &self,
        once: Once,
        (edit, params): (Arc<Edit>, Vec<Value>),
        stop: Arc<Stop>,
        began: runtime::Instant,
    ) -> Result<std::result::Result<Answer<'_>, Once>> {
        let router = &self.node.router;
        let Some(writer) = self.writer() else {
            return Ok(Err(once));
        };
        let ctx = self.context(params);
        let home = match &writer {
            Writer::Alone => router.shard.home(),
            Writer::Txn(txn) => txn.home(),
        };
        let Some(aim) = edit.aim(&ctx, router.partitions(), home)? else {
            let nothing = self.edited(&once.planned, (0, None), &writer, began);
            return Ok(Ok(Answer::Now(Ok(nothing))));
        };
        let (call, guard) = self.call_for(&writer, (edit, aim), ctx, &stop);
        let Some(done) = router.edit_here(&call) else {
            let asked = self.edit_asked(once, call, (writer, guard), (stop, began));
            return Ok(Ok(Answer::Later(Box::pin(asked))));
        };
        let Edited {
            count,
            row,
            landing,
        } = match done {
            Err(e) if super::statement::is_stale(&e) => return Ok(Err(once)),
            done => done.map_err(|e| self.edit_failed(&writer, e))?,
        };
        let Some(landing) = landing else {
            let done = self.edited(&once.planned, (count, row), &writer, began);
            return Ok(Ok(Answer::Now(Ok(done))));
        };
        Ok(Ok(Answer::Later(Box::pin(async move {
            if let Err(e) = landing.done().await {
                return Err(self.edit_failed(&writer, e));
            }
            Ok(self.edited(&once.planned, (count, row), &writer, began))
        }))))
    }

    /// And the snapshot of a statement in a block.
    fn call_for(
        &self,
        writer: &Writer,
        (edit, aim): (Arc<Edit>, Aim),
        ctx: Arc<Context>,
        stop: &Arc<Stop>,
    ) -> (EditCall, Option<Rc<SnapshotGuard>>) {
        let (txn, guard) = match writer {
            Writer::Alone => (self.reference_alone(stop), None),
            Writer::Txn(txn) => {
                let guard = txn.statement();
                txn.takes_part(aim.partition);
                (txn.reference(stop), Some(guard))
            }
        };
        let call = EditCall {
            txn,
            ctx,
            edit,
            aim,
            commit: matches!(writer, Writer::Alone),
        };
        (call, guard)
    }

    /// `None`: the transaction has to see more of what is done in it.
    fn writer(&self) -> Option<Writer> {
        let (writer, isolation, read_only) = match &*self.block.borrow() {
            Block::Idle => {
                let (level, reads) = self.settings.borrow().transaction();
                let level = super::transaction::level(level);
                (Writer::Alone, level, reads)
            }
            Block::Explicit(active) if active.has_own_catalog() => return None,
            Block::Explicit(active) => {
                let txn = active.txn.clone();
                let isolation = txn.isolation;
                (Writer::Txn(txn), isolation, active.read_only)
            }
            Block::Implicit(_) | Block::Failed { .. } => return None,
        };
        // Nobody has to remember what it reads, and its commit empties no table.
        let usual = isolation != Isolation::Serializable && !self.temporary.may_be();
        (!read_only && usual).then_some(writer)
    }

    /// A transaction of one statement, seen by the partition alone.
    fn reference_alone(&self, stop: &Arc<Stop>) -> TxnRef {
        let shard = &self.node.router.shard;
        TxnRef {
            xid: shard.new_xid(),
            snapshot: shard.now(),
            isolation: Isolation::ReadCommitted,
            savepoint: 0,
            apart: 0,
            stop: stop.clone(),
        }
    }

    /// Of another shard, or of one that has to wait for something.
    async fn edit_asked(
        &self,
        once: Once,
        mut call: EditCall,
        (writer, guard): (Writer, Option<Rc<SnapshotGuard>>),
        (stop, began): (Arc<Stop>, runtime::Instant),
    ) -> Result<Reply> {
        let router = &self.node.router;
        // What was begun for it ends with it.
        let txn = match &writer {
            Writer::Txn(txn) => txn.clone(),
            Writer::Alone => {
                let txn = Txn::begin(router.clone(), Isolation::ReadCommitted);
                txn.takes_part(call.aim.partition);
                txn
            }
        };
        let _guard = guard.unwrap_or_else(|| {
            let guard = txn.statement();
            call.txn = txn.reference(&stop);
            guard
        });
        *self.running.borrow_mut() = Some(stop.clone());
        let running = Ended(self, stop.clone());
        let done = router.edit(call).await;
        drop(running);
        match done {
            Ok(done) => {
                if matches!(writer, Writer::Alone) {
                    txn.committed_by_call();
                }
                Ok(self.edited(&once.planned, done, &writer, began))
            }
            // Nothing has been done.
            Err(e) if super::statement::is_stale(&e) => self.begun(once, stop),
            Err(e) => {
                // What becomes of a block is for its savepoints to say.
                if matches!(writer, Writer::Alone) {
                    txn.abort();
                }
                Err(self.edit_failed(&writer, e))
            }
        }
    }

    fn edit_failed(&self, writer: &Writer, e: Error) -> Error {
        self.counts_failure(&e);
        if matches!(writer, Writer::Alone) {
            self.node.metrics.transactions_aborted.inc();
        }
        self.fail();
        self.named(e)
    }

    /// What the client is told, and what is counted.
    fn edited(
        &self,
        planned: &Planned,
        (count, row): (u64, Option<Row>),
        writer: &Writer,
        began: runtime::Instant,
    ) -> Reply {
        let (kind, tag) = match (planned.statement(), count) {
            (Statement::Insert(_), 0) => (StatementKind::Insert, "INSERT 0 0"),
            (Statement::Insert(_), _) => (StatementKind::Insert, "INSERT 0 1"),
            (Statement::Delete(_), 0) => (StatementKind::Delete, "DELETE 0"),
            (Statement::Delete(_), _) => (StatementKind::Delete, "DELETE 1"),
            (_, 0) => (StatementKind::Update, "UPDATE 0"),
            (_, _) => (StatementKind::Update, "UPDATE 1"),
        };
        let metrics = &self.node.metrics;
        metrics.rows_affected.add(count);
        if matches!(writer, Writer::Alone) {
            metrics.transactions_committed.inc();
        }
        metrics.statement(kind, began.elapsed());
        let mut rows = RowBatch::new();
        rows.rows.extend(row);
        Reply::Whole(Whole {
            columns: planned.bound.columns.clone(),
            rows,
            tag,
        })
    }
}
