//! What programs ask of the session that they run for: definitions and settings, and taking back a part of a transaction.
//!
//! Owns: the questions. Asked by: `machine`. Answered by: session, which is above this room. Never: runs what reads or changes rows.

use engine::catalog::Catalog;
use engine::exec::{Context, SessionInfo};
use engine::txn::Stop;
use futures_util::future::LocalBoxFuture;
use sql::Statement;
use std::sync::Arc;
use types::Result;

pub trait Host {
    /// As a statement that begins now finds them.
    fn now(&self) -> (Arc<Catalog>, Arc<SessionInfo>);

    /// Carries out a definition, a setting or another statement that gives no rows.
    fn carry_out<'a>(
        &'a self,
        statement: &'a Statement,
        ctx: Arc<Context>,
        stop: &'a Arc<Stop>,
    ) -> LocalBoxFuture<'a, Result<()>>;

    /// What is done from now on can be taken back.
    fn protect(&self) -> Result<Mark>;

    /// It will not be.
    fn keep(&self, mark: Mark);

    /// It is. After an error only the whole transaction can be rolled back.
    fn take_back(&self, mark: Mark) -> LocalBoxFuture<'_, Result<()>>;
}

/// A moment in a transaction that it can go back to.
#[derive(Clone, Copy, Debug)]
pub struct Mark(pub u32);
