//! A statement with its parameters that one request begins and ends: known from before, or prepared and sent whole.
//!
//! Owns: the order in which the shortest ways are tried: a row looked up, a row changed, a block begun or committed; what is left
//! is carried out as any other statement. Asked by: `statement` and `portal`. Never: does anything that the long way would not.

use super::execution::Execution;
use super::transaction::Block;
use super::utility::begun;
use super::{Planned, Session};
use crate::service::{Answer, Reply, Whole};
use crate::telemetry::StatementKind;
use engine::txn::Stop;
use engine::txn::landing::Landing;
use sql::{Parsed, Statement};
use std::rc::Rc;
use std::sync::Arc;
use types::{Column, DataType, Result, RowBatch, Value};

pub(super) struct Once {
    pub parsed: Rc<Parsed>,
    pub planned: Rc<Planned>,
    pub params: Vec<Value>,
}

/// What it had begun cannot be cancelled any more when it is dropped.
pub(super) struct Ended<'a>(pub &'a Session, pub Arc<Stop>);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        let mut running = self.0.running.borrow_mut();
        if running.take_if(|stop| Arc::ptr_eq(stop, &self.1)).is_some() {
            self.0.activity.ends();
        }
    }
}

/// Values whose text only the catalog knows.
pub(super) fn has_labels(columns: &[Column]) -> bool {
    let labelled = |ty: DataType| ty.user_oid().is_some() || ty.has_records();
    columns.iter().any(|c| labelled(c.ty))
}

impl Session {
    /// A transaction that is not in a block ends with it.
    pub(super) fn once(&self, once: Once, stop: impl Fn() -> Arc<Stop>) -> Result<Answer<'_>> {
        if let Some(answer) = self.looked_up_at_once(&once, &stop)? {
            return Ok(answer);
        }
        let once = match self.edited_at_once(once, &stop)? {
            Ok(answer) => return Ok(answer),
            Err(once) => once,
        };
        if let Some(answer) = self.turned_at_once(once.planned.statement())? {
            return Ok(answer);
        }
        Ok(Answer::Now(Ok(self.begun(once, stop())?)))
    }

    /// Carries it out in the long way.
    pub(super) fn begun(&self, once: Once, stop: Arc<Stop>) -> Result<Reply> {
        let Once {
            parsed,
            planned,
            params,
        } = once;
        let execution = Execution::known(self.this()?, parsed, planned, params, stop);
        Ok(Reply::Results(Box::new(execution)))
    }

    /// BEGIN and COMMIT, where nothing comes with them.
    fn turned_at_once(&self, statement: &Statement) -> Result<Option<Answer<'_>>> {
        match statement {
            Statement::Begin {
                start,
                isolation,
                read_only,
            } if self.block.borrow().is_idle() => {
                let began = runtime::Instant::now();
                self.begin_block(*isolation, *read_only)?;
                Ok(Some(Answer::Now(Ok(self.turned(begun(*start), began)))))
            }
            Statement::Commit { chain: false } => self.committed_at_once(),
            _ => Ok(None),
        }
    }

    fn committed_at_once(&self) -> Result<Option<Answer<'_>>> {
        let began = runtime::Instant::now();
        let landing = {
            let mut block = self.block.borrow_mut();
            let Block::Explicit(active) = &*block else {
                return Ok(None);
            };
            if !self.is_quiet(active) || self.has_assigned() || self.temporary.may_be() {
                return Ok(None);
            }
            let Some(landing) = active.txn.commit_here() else {
                return Ok(None);
            };
            *block = Block::Idle;
            landing
        };
        self.portals.borrow_mut().clear();
        self.temporary.has_committed();
        let metrics = &self.node.metrics;
        let landing = landing.inspect_err(|_| metrics.transactions_aborted.inc())?;
        if let Landing::Done(_) = landing {
            metrics.transactions_committed.inc();
            return Ok(Some(Answer::Now(Ok(self.turned("COMMIT", began)))));
        }
        Ok(Some(Answer::Later(Box::pin(async move {
            match landing.done().await {
                Ok(_) => metrics.transactions_committed.inc(),
                Err(e) => {
                    metrics.transactions_aborted.inc();
                    return Err(self.named(e));
                }
            }
            Ok(self.turned("COMMIT", began))
        }))))
    }

    fn turned(&self, tag: &'static str, began: runtime::Instant) -> Reply {
        let metrics = &self.node.metrics;
        metrics.statement(StatementKind::Transaction, began.elapsed());
        Reply::Whole(Whole {
            columns: None,
            rows: RowBatch::new(),
            tag,
        })
    }
}
