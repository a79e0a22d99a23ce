//! The chain.

use super::measured::{Measured, Permit, Trace};
use crate::service::{
    Answer, CancelKey, Forms, Hello, Notification, Operation, Prepared, Protocol, Reply, Request,
    Session as Served, TxnStatus,
};
use crate::session::{Node, Session};
use engine::txn::Stop;
use futures_util::future::LocalBoxFuture;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use types::{Error, Result, SqlState};

#[derive(Clone, Debug)]
pub struct ChainOptions {
    /// Requests waiting or running on this shard.
    pub pending_max: usize,
    /// Longer requests are logged; zero logs none.
    pub slow: Duration,
}

/// One per shard.
pub struct Chain {
    node: Rc<Node>,
    options: ChainOptions,
    pending: Rc<Cell<usize>>,
}

impl Chain {
    pub fn new(node: Rc<Node>, options: ChainOptions) -> Rc<Chain> {
        Rc::new(Chain {
            node,
            options,
            pending: Rc::new(Cell::new(0)),
        })
    }

    /// Requests waiting or running here.
    pub fn pending(&self) -> usize {
        self.pending.get()
    }

    /// Authenticates and opens a session. Until identity exists every user name is let in: the server listens on loopback only.
    pub fn open(self: &Rc<Self>, hello: Hello) -> Result<Rc<dyn Served>> {
        let protocol = hello.protocol;
        let session = self.node.open(hello).inspect_err(|e| {
            self.node
                .metrics
                .request(protocol.name(), "open", Some(e.code()));
        })?;
        self.node.metrics.request(protocol.name(), "open", None);
        Ok(Rc::new(ChainSession {
            chain: self.clone(),
            session,
            protocol,
        }))
    }

    fn run<'a>(&self, session: &'a Session, protocol: Protocol, request: Request) -> Answer<'a> {
        // Begin.
        let deadline = earliest(request.timeout, session.statement_timeout());
        let stop = || {
            let stop = Stop::at(deadline.map(|d| runtime::Instant::now() + d));
            stop.limit_locks(session.lock_timeout());
            stop
        };
        let trace = Trace {
            metrics: self.node.metrics.clone(),
            protocol,
            operation: name(&request.op),
            id: request.id,
            began: runtime::Instant::now(),
            slow: self.options.slow,
            text: text(&request.op),
        };
        // Admit. A transaction that has begun is let through to its end: it holds what others wait for, and a refusal in
        // its middle would have to fail it. There are no more of them than connections.
        let ends =
            matches!(request.op, Operation::Sync | Operation::Failed) || session.is_in_block();
        let permit = match self.admit(ends) {
            Ok(permit) => permit,
            Err(e) => {
                trace.finish(Some(&e));
                return Answer::Now(Err(e));
            }
        };
        // Work.
        match session.work(request, stop) {
            Answer::Now(result) => Answer::Now(finished(result, trace, permit)),
            Answer::Apart(work) => {
                Answer::Apart(Box::pin(async move { finished(work.await, trace, permit) }))
            }
            Answer::Later(work) => {
                Answer::Later(Box::pin(async move { finished(work.await, trace, permit) }))
            }
        }
    }

    fn admit(&self, regardless: bool) -> Result<Permit> {
        if self.pending.get() >= self.options.pending_max && !regardless {
            return Err(Error::new(
                SqlState::CONFIGURATION_LIMIT_EXCEEDED,
                "too many requests are pending",
            )
            .with_detail(format!(
                "This shard runs at most {} at a time.",
                self.options.pending_max
            ))
            .with_hint("Retry after a moment."));
        }
        Ok(Permit::take(&self.pending, &self.node.metrics))
    }
}

/// What has results ends with them.
fn finished(result: Result<Reply>, trace: Trace, permit: Permit) -> Result<Reply> {
    match result {
        Ok(Reply::Results(results)) => Ok(Reply::Results(Box::new(Measured::new(
            results, trace, permit,
        )))),
        Ok(reply) => {
            trace.finish(None);
            Ok(reply)
        }
        Err(e) => {
            trace.finish(Some(&e));
            Err(e)
        }
    }
}

fn earliest(a: Option<Duration>, b: Option<Duration>) -> Option<Duration> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

fn name(op: &Operation) -> &'static str {
    match op {
        Operation::Script { .. } => "script",
        Operation::Query { .. } => "query",
        Operation::Parse { .. } => "parse",
        Operation::DescribeStatement { .. } | Operation::DescribePortal { .. } => "describe",
        Operation::Bind { .. } => "bind",
        Operation::Execute { .. } => "execute",
        Operation::Run { .. } => "run",
        Operation::CloseStatement { .. } | Operation::ClosePortal { .. } => "close",
        Operation::Sync => "sync",
        Operation::Failed => "failed",
    }
}

/// The statement's text, for the slow log.
fn text(op: &Operation) -> Option<Arc<str>> {
    match op {
        Operation::Script { sql } | Operation::Query { sql, .. } | Operation::Parse { sql, .. } => {
            Some(sql.clone())
        }
        _ => None,
    }
}

/// A session behind the chain.
struct ChainSession {
    chain: Rc<Chain>,
    session: Rc<Session>,
    protocol: Protocol,
}

impl Served for ChainSession {
    fn call(&self, request: Request) -> Answer<'_> {
        self.chain.run(&self.session, self.protocol, request)
    }

    fn cancel_key(&self) -> CancelKey {
        self.session.cancel_key()
    }

    fn silence_max(&self) -> Option<Duration> {
        self.session.silence_max()
    }

    fn status(&self) -> TxnStatus {
        self.session.status()
    }

    fn notifications(&self) -> Result<Vec<Notification>> {
        self.session.notifications()
    }

    fn notified(&self) -> LocalBoxFuture<'static, ()> {
        let session = self.session.clone();
        Box::pin(async move { session.notified().await })
    }

    fn parameters(&self) -> Vec<(String, String)> {
        self.session.parameters()
    }

    fn prepared(&self, statement: &str) -> Result<Prepared> {
        self.session.prepared(statement)
    }

    fn forms(&self) -> Forms {
        self.session.forms()
    }
}
