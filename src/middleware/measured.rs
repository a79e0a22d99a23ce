//! The end of the chain: a request's place and its measurement last until its last result is taken or dropped.

use crate::service::{CopyInput, Event, Protocol, Results};
use crate::telemetry::Metrics;
use futures_util::future::LocalBoxFuture;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use types::{Error, RequestId, Result};

/// A request's place among those pending; given back on drop.
pub struct Permit {
    pending: Rc<Cell<usize>>,
    metrics: Rc<Metrics>,
}

impl Permit {
    pub fn take(pending: &Rc<Cell<usize>>, metrics: &Rc<Metrics>) -> Permit {
        pending.set(pending.get() + 1);
        metrics.requests_running.add(1);
        Permit {
            pending: pending.clone(),
            metrics: metrics.clone(),
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.pending.set(self.pending.get() - 1);
        self.metrics.requests_running.add(-1);
    }
}

/// What is written down about a request when it ends.
pub struct Trace {
    pub metrics: Rc<Metrics>,
    pub protocol: Protocol,
    pub operation: &'static str,
    pub id: RequestId,
    pub began: runtime::Instant,
    pub slow: Duration,
    pub text: Option<Arc<str>>,
}

/// Longest piece of a statement in the log.
const TEXT_MAX: usize = 1_024;

impl Trace {
    pub fn finish(&self, error: Option<&Error>) {
        self.metrics
            .request(self.protocol.name(), self.operation, error.map(Error::code));
        let took = self.began.elapsed();
        if !self.slow.is_zero() && took >= self.slow {
            self.metrics.slow_statements.inc();
            let sql = self.text.as_deref().unwrap_or("");
            let cut = (0..=sql.len().min(TEXT_MAX))
                .rev()
                .find(|i| sql.is_char_boundary(*i))
                .unwrap_or(0);
            tracing::warn!(
                request = format_args!("{:016x}", self.id.0),
                protocol = self.protocol.name(),
                operation = self.operation,
                took_ms = took.as_millis() as u64,
                sql = &sql[..cut],
                "slow request"
            );
        }
        if let Some(e) = error {
            tracing::debug!(
                request = format_args!("{:016x}", self.id.0),
                protocol = self.protocol.name(),
                operation = self.operation,
                code = e.code().as_str(),
                message = e.message(),
                "request failed"
            );
        }
    }
}

/// Results that finish their request when they end.
pub struct Measured {
    inner: Box<dyn Results>,
    trace: Option<Trace>,
    _permit: Permit,
}

impl Measured {
    pub fn new(inner: Box<dyn Results>, trace: Trace, permit: Permit) -> Measured {
        Measured {
            inner,
            trace: Some(trace),
            _permit: permit,
        }
    }

    fn ended(&mut self, error: Option<&Error>) {
        if let Some(trace) = self.trace.take() {
            trace.finish(error);
        }
    }
}

impl Results for Measured {
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<Event>>> {
        Box::pin(async {
            let outcome = self.inner.next().await;
            match &outcome {
                Ok(Some(_)) => {}
                Ok(None) => self.ended(None),
                Err(e) => self.ended(Some(e)),
            }
            outcome
        })
    }

    fn ready(&mut self) -> Option<Event> {
        self.inner.ready()
    }

    fn copy(&mut self, input: CopyInput) -> LocalBoxFuture<'_, Result<()>> {
        Box::pin(async {
            let outcome = self.inner.copy(input).await;
            if let Err(e) = &outcome {
                self.ended(Some(e));
            }
            outcome
        })
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        self.ended(None);
    }
}
