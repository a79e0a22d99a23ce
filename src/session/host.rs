//! What programs in PL/pgSQL ask of the session they run for.
//!
//! Owns: statements of theirs that are no queries and change no rows, and savepoints without a name, which an EXCEPTION block goes back to.
//! Asked by: `router::machine`. Never: lets a program begin or end a transaction. Bounds: `SAVEPOINTS_MAX`, those of the client counted.

use super::Session;
use super::statement::{Started, Work};
use crate::router::host::{Host, Mark};
use engine::catalog::Catalog;
use engine::exec::{Context, SessionInfo};
use engine::plan::ddl::Ddl;
use engine::txn::Stop;
use futures_util::future::LocalBoxFuture;
use sql::Statement;
use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;
use types::{Error, Result, SqlState};

impl Host for Session {
    fn now(&self) -> (Arc<Catalog>, Arc<SessionInfo>) {
        (self.catalog(), self.info.borrow().clone())
    }

    fn carry_out<'a>(
        &'a self,
        statement: &'a Statement,
        ctx: Arc<Context>,
        stop: &'a Arc<Stop>,
    ) -> LocalBoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let _within = Within::begins(&self.within);
            self.carry_out_within(statement, ctx, stop).await
        })
    }

    fn protect(&self) -> Result<Mark> {
        self.savepoint_within().map(Mark)
    }

    fn keep(&self, mark: Mark) {
        self.release_within(mark.0);
    }

    fn take_back(&self, mark: Mark) -> LocalBoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let told = self.rollback_within(mark.0).await?;
            self.told.borrow_mut().extend(told);
            self.release_within(mark.0);
            Ok(())
        })
    }
}

/// A statement of a program is carried out; also one that is dropped before its end comes to it.
struct Within<'a>(&'a Cell<bool>, bool);

impl Within<'_> {
    fn begins(flag: &Cell<bool>) -> Within<'_> {
        Within(flag, flag.replace(true))
    }
}

impl Drop for Within<'_> {
    fn drop(&mut self) {
        self.0.set(self.1);
    }
}

impl Session {
    async fn carry_out_within(
        &self,
        statement: &Statement,
        ctx: Arc<Context>,
        stop: &Arc<Stop>,
    ) -> Result<()> {
        if let Some(what) = alone(statement) {
            return Err(Error::new(
                SqlState::ACTIVE_SQL_TRANSACTION,
                format!("{what} cannot be executed from a function"),
            ));
        }
        let (txn, _) = self.ensure_transaction()?;
        let work = Work {
            session: self,
            txn,
            ctx,
            stop,
            alone: false,
            calls: statement.calls(),
        };
        if statement.writes() {
            self.about_to_write(statement, &work).await?;
        }
        let started = match statement {
            Statement::Set { .. } | Statement::Reset { .. } | Statement::Nothing { .. } => {
                let apart = self.without_transaction(statement, &work.ctx, stop);
                let started = Box::pin(apart).await?;
                started.ok_or_else(|| Error::internal("a setting that is none"))?
            }
            Statement::Ddl(_)
            | Statement::Fill { .. }
            | Statement::SetConstraints { .. }
            | Statement::LockTable { .. }
            | Statement::Listen { .. }
            | Statement::Unlisten { .. }
            | Statement::Notify { .. }
            | Statement::Analyze { .. }
            | Statement::Do { .. } => {
                let utility = self.utility(statement, Duration::ZERO, &work);
                Box::pin(utility).await?
            }
            _ => {
                return Err(Error::unsupported(
                    "this statement is not supported in PL/pgSQL",
                ));
            }
        };
        self.told_within(started);
        Ok(())
    }

    /// What a statement has to tell waits for the end of the one that it is inside of.
    fn told_within(&self, started: Started) {
        match started {
            Started::Done { notices, .. } => {
                notices.into_iter().for_each(|n| self.notices.say(n));
            }
            Started::Told { parameters, .. } => {
                let mut told = self.told.borrow_mut();
                for (name, value) in parameters {
                    told.retain(|(n, _)| *n != name);
                    told.push((name, value));
                }
            }
            Started::Query { .. } | Started::CopyIn(_) | Started::CopyOut(_) => {}
        }
    }
}

/// What is a transaction by itself.
fn alone(statement: &Statement) -> Option<&'static str> {
    match statement {
        Statement::Ddl(Ddl::CreateIndex {
            concurrently: true, ..
        }) => Some("CREATE INDEX CONCURRENTLY"),
        Statement::Ddl(ddl) => ddl.alone(),
        _ => None,
    }
}
