//! The session's transaction block: none, implicit (one script, or up to Sync), explicit, or failed.
//!
//! Owns: when a transaction begins and ends, its own catalog, and what is published after its commit.
//! Source: PostgreSQL 15 manual, 55.2.2.1 (multiple statements) and 55.2.3 (Sync).

use super::assigned::Parameters;
use super::databases::Vacated;
use super::listen::announce;
use super::savepoint::{Changes, Savepoints};
use super::{Session, now_micros};
use crate::router::Txn;
use crate::router::notify::Note;
use crate::service::TxnStatus;
use engine::catalog::{Catalog, Catalogs, Change};
use engine::txn::{self, Stop};
use sql::Isolation;
use std::cell::{Cell, OnceCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use types::{Error, Result, SqlState, TreeId};

pub enum Block {
    Idle,
    /// Ends with the script or at Sync.
    Implicit(Active),
    Explicit(Active),
    /// Rolled back already; an explicit one waits for the client to say so, an implicit one for Sync.
    Failed {
        explicit: bool,
        /// What it was like, for AND CHAIN.
        like: Characteristics,
        /// Not rolled back: the client can go back to a savepoint.
        saved: Option<Active>,
    },
}

/// Isolation and whether it only reads.
pub type Characteristics = (Option<txn::Isolation>, bool);

/// A running transaction.
pub struct Active {
    pub txn: Rc<Txn>,
    pub read_only: bool,
    started_micros: i64,
    /// As the transaction itself has changed its database's.
    catalogs: Option<Arc<Catalogs>>,
    /// The catalog that all its statements go by, as they do by one snapshot. Those that define something go by the newest.
    seen: OnceCell<Arc<Catalog>>,
    defines: Cell<bool>,
    dropped: Vec<TreeId>,
    fresh: BTreeSet<TreeId>,
    pub(super) savepoints: Savepoints,
    /// Databases that nobody may come into until it has ended.
    vacated: Vec<Vacated>,
}

impl Active {
    fn like(&self) -> Characteristics {
        (Some(self.txn.isolation), self.read_only)
    }

    fn keeps_catalog(&self) -> bool {
        self.txn.isolation.keeps_snapshot() && !self.defines.get()
    }

    pub(super) fn has_own_catalog(&self) -> bool {
        self.catalogs.is_some()
    }

    /// What SAVEPOINT keeps and ROLLBACK TO brings back.
    pub(super) fn changes(&self) -> Changes {
        Changes {
            catalogs: self.catalogs.clone(),
            dropped: self.dropped.clone(),
            fresh: self.fresh.clone(),
            made: self.txn.made(),
            cursors: 0,
            notes: (0, 0),
            parameters: Parameters::default(),
        }
    }

    pub(super) fn go_back(&mut self, to: Changes) {
        self.catalogs = to.catalogs;
        self.dropped = to.dropped;
        self.fresh = to.fresh;
    }
}

impl Block {
    pub fn status(&self) -> TxnStatus {
        match self {
            Block::Idle
            | Block::Implicit(_)
            | Block::Failed {
                explicit: false, ..
            } => TxnStatus::Idle,
            Block::Explicit(_) => TxnStatus::InTransaction,
            Block::Failed { explicit: true, .. } => TxnStatus::Failed,
        }
    }

    fn active(&self) -> Option<&Active> {
        match self {
            Block::Implicit(a) | Block::Explicit(a) => Some(a),
            Block::Idle | Block::Failed { .. } => None,
        }
    }

    /// The running transaction.
    pub(super) fn txn(&self) -> Option<Rc<Txn>> {
        self.active().map(|a| a.txn.clone())
    }

    /// Until the transaction has ended.
    pub(super) fn keep_vacated(&mut self, vacated: Vacated) {
        if let Some(active) = self.active_mut() {
            active.vacated.push(vacated);
        }
    }

    /// The transaction's own catalogs, if it has changed its database's.
    pub fn catalogs(&self) -> Option<Arc<Catalogs>> {
        self.active()?.catalogs.clone()
    }

    /// The catalog of a transaction that keeps its snapshot; its first statement finds the one there is `now`.
    pub fn seen(&self, now: impl FnOnce() -> Arc<Catalog>) -> Option<Arc<Catalog>> {
        let active = self.active().filter(|a| a.keeps_catalog())?;
        Some(active.seen.get_or_init(now).clone())
    }

    pub fn keeps_catalog(&self) -> bool {
        self.active().is_some_and(Active::keeps_catalog)
    }

    /// The transaction defines something: from now on it goes by the newest catalog. `true` when it went by another.
    pub fn looks_anew(&self, newest: &Arc<Catalog>) -> bool {
        self.active().is_some_and(|a| {
            let other = a.seen.get().is_some_and(|seen| !Arc::ptr_eq(seen, newest));
            !a.defines.replace(true) && other
        })
    }

    pub fn started_micros(&self) -> Option<i64> {
        Some(self.active()?.started_micros)
    }

    pub fn is_explicit(&self) -> bool {
        matches!(
            self,
            Block::Explicit(_) | Block::Failed { explicit: true, .. }
        )
    }

    pub fn is_failed(&self) -> bool {
        matches!(self, Block::Failed { .. })
    }

    pub fn is_idle(&self) -> bool {
        matches!(self, Block::Idle)
    }

    /// `None` where no transaction is open.
    pub fn isolation(&self) -> Option<&'static str> {
        Some(match self.active()?.txn.isolation {
            txn::Isolation::Serializable => "serializable",
            txn::Isolation::RepeatableRead => "repeatable read",
            txn::Isolation::ReadCommitted => "read committed",
        })
    }

    pub fn is_read_only(&self) -> bool {
        self.active().is_some_and(|a| a.read_only)
    }

    /// Only this transaction can reach the tree, and nothing that is put into it will be taken back alone.
    pub fn is_fresh(&self, tree: TreeId) -> bool {
        let of = |a: &Active| a.savepoints.is_empty() && a.fresh.contains(&tree);
        self.active().is_some_and(of)
    }

    /// Tells the transaction's own catalogs from those of others, and from those it has gone back behind.
    pub fn own(&self) -> Option<(types::Xid, u32)> {
        let of = |a: &Active| (a.txn.xid, a.savepoints.rollbacks());
        self.active().map(of)
    }

    pub(super) fn active_mut(&mut self) -> Option<&mut Active> {
        match self {
            Block::Implicit(a) | Block::Explicit(a) => Some(a),
            Block::Idle | Block::Failed { .. } => None,
        }
    }
}

/// 25P02.
pub fn aborted() -> Error {
    Error::new(
        SqlState::IN_FAILED_SQL_TRANSACTION,
        "current transaction is aborted, commands ignored until end of transaction block",
    )
}

impl Session {
    fn begin(&self, isolation: Option<Isolation>, read_only: Option<bool>) -> Result<Active> {
        self.begin_at(isolation, read_only, now_micros())
    }

    fn begin_at(
        &self,
        isolation: Option<Isolation>,
        read_only: Option<bool>,
        started_micros: i64,
    ) -> Result<Active> {
        let (default, reads) = self.settings.borrow().transaction();
        let isolation = isolation.unwrap_or(default);
        Ok(Active {
            txn: Txn::begin(self.node.router.clone(), level(isolation)),
            read_only: read_only.unwrap_or(reads),
            started_micros,
            catalogs: None,
            seen: OnceCell::new(),
            defines: Cell::new(false),
            vacated: Vec::new(),
            dropped: Vec::new(),
            fresh: BTreeSet::new(),
            savepoints: Savepoints::default(),
        })
    }

    /// The running transaction, begun if there is none. `true` when it was.
    pub(super) fn ensure_transaction(&self) -> Result<(Rc<Txn>, bool)> {
        self.ensure_transaction_at(now_micros())
    }

    /// As `ensure_transaction`; one that begins has begun at this moment, its first statement's.
    pub(super) fn ensure_transaction_at(&self, micros: i64) -> Result<(Rc<Txn>, bool)> {
        let mut block = self.block.borrow_mut();
        match &*block {
            Block::Failed { .. } => Err(aborted()),
            Block::Implicit(a) | Block::Explicit(a) => Ok((a.txn.clone(), false)),
            Block::Idle => {
                let active = self.begin_at(None, None, micros)?;
                let txn = active.txn.clone();
                *block = Block::Implicit(active);
                Ok((txn, true))
            }
        }
    }

    /// BEGIN. A warning when there is a block already.
    pub(super) fn begin_block(
        &self,
        isolation: Option<Isolation>,
        read_only: Option<bool>,
    ) -> Result<Option<Error>> {
        let mut block = self.block.borrow_mut();
        match std::mem::replace(&mut *block, Block::Idle) {
            Block::Idle => *block = Block::Explicit(self.begin(isolation, read_only)?),
            // Statements before it in the same script become part of it.
            Block::Implicit(active) if isolation.is_none() || !active.txn.has_looked() => {
                let mut active = active;
                if let Some(isolation) = isolation {
                    active.txn = Txn::begin(self.node.router.clone(), level(isolation));
                }
                active.read_only = read_only.unwrap_or(active.read_only);
                *block = Block::Explicit(active);
            }
            Block::Implicit(active) => {
                *block = Block::Implicit(active);
                return Err(Error::new(
                    SqlState::ACTIVE_SQL_TRANSACTION,
                    "SET TRANSACTION ISOLATION LEVEL must be called before any query",
                ));
            }
            Block::Explicit(active) => {
                *block = Block::Explicit(active);
                return Ok(Some(Error::new(
                    SqlState::ACTIVE_SQL_TRANSACTION,
                    "there is already a transaction in progress",
                )));
            }
            failed @ Block::Failed { .. } => {
                *block = failed;
                return Err(aborted());
            }
        }
        Ok(None)
    }

    /// AND CHAIN: what the next transaction will be like.
    pub(super) fn chained(&self, word: &str, chain: bool) -> Result<Option<Characteristics>> {
        if !chain {
            return Ok(None);
        }
        let block = self.block.borrow();
        match &*block {
            Block::Explicit(active) => Ok(Some((Some(active.txn.isolation), active.read_only))),
            Block::Failed {
                explicit: true,
                like,
                ..
            } => Ok(Some(*like)),
            Block::Idle | Block::Implicit(_) | Block::Failed { .. } => Err(Error::new(
                SqlState::NO_ACTIVE_SQL_TRANSACTION,
                format!("{word} AND CHAIN can only be used in transaction blocks"),
            )),
        }
    }

    pub(super) fn begin_chained(&self, like: Option<Characteristics>) -> Result<()> {
        if let Some((isolation, read_only)) = like {
            let mut active = self.begin(None, Some(read_only))?;
            if let Some(isolation) = isolation {
                active.txn = Txn::begin(self.node.router.clone(), isolation);
            }
            *self.block.borrow_mut() = Block::Explicit(active);
        }
        Ok(())
    }

    /// SET TRANSACTION: replaces the transaction if nothing has happened in it.
    pub(super) fn set_transaction(
        &self,
        isolation: Option<Isolation>,
        read_only: Option<bool>,
    ) -> Result<Option<Error>> {
        if !self.is_in_transaction_block() {
            return Ok(Some(Error::new(
                SqlState::NO_ACTIVE_SQL_TRANSACTION,
                "SET TRANSACTION can only be used in transaction blocks",
            )));
        }
        self.ensure_transaction()?;
        let router = self.node.router.clone();
        let mut block = self.block.borrow_mut();
        let Some(active) = block.active_mut() else {
            return Ok(None);
        };
        let refused = |message: &str| Err(Error::new(SqlState::ACTIVE_SQL_TRANSACTION, message));
        if let Some(wanted) = isolation.map(level).filter(|w| *w != active.txn.isolation) {
            if active.txn.has_looked() {
                return refused("SET TRANSACTION ISOLATION LEVEL must be called before any query");
            }
            if !active.savepoints.is_empty() {
                return refused(
                    "SET TRANSACTION ISOLATION LEVEL must not be called in a subtransaction",
                );
            }
            active.txn = Txn::begin(router, wanted);
        }
        if read_only == Some(false) && active.read_only && active.txn.has_looked() {
            return refused("transaction read-write mode must be set before any query");
        }
        active.read_only = read_only.unwrap_or(active.read_only);
        Ok(None)
    }

    /// Ends the block: commits, or ends what has failed. Answers the command tag.
    pub(super) async fn commit_block(&self, stop: &Arc<Stop>) -> Result<&'static str> {
        let settled = match self.settle_all().await {
            Ok(()) if !self.block.borrow().is_failed() => self.hold_cursors(stop).await,
            settled => settled,
        };
        let settled = match settled {
            Ok(()) => self.on_commit(stop).await,
            failed => failed,
        };
        if let Err(e) = settled {
            self.rollback_block();
            return Err(e);
        }
        let block = self.block.replace(Block::Idle);
        self.portals.borrow_mut().clear();
        match block {
            Block::Idle => Ok("COMMIT"),
            Block::Failed { .. } => {
                self.nothing_of_it();
                self.node.metrics.transactions_aborted.inc();
                Ok("ROLLBACK")
            }
            Block::Implicit(active) | Block::Explicit(active) => {
                self.commit_active(active, stop).await?;
                Ok("COMMIT")
            }
        }
    }

    /// Whether Sync has nothing to do but what this has done: no block is open, or an implicit one that has only read.
    pub(super) fn ends_at_once(&self) -> bool {
        let mut block = self.block.borrow_mut();
        match &*block {
            Block::Explicit(_) | Block::Failed { explicit: true, .. } => return true,
            Block::Failed { .. } => return false,
            Block::Idle => {}
            Block::Implicit(active) => {
                if self.temporary.has_written()
                    || self.has_assigned()
                    || !self.is_quiet(active)
                    || !active.txn.ends_at_once()
                {
                    return false;
                }
                self.node.metrics.transactions_committed.inc();
                *block = Block::Idle;
            }
        }
        self.portals.borrow_mut().clear();
        true
    }

    /// Nothing but its rows comes with its commit.
    pub(super) fn is_quiet(&self, active: &Active) -> bool {
        active.catalogs.is_none()
            && self.cursors.borrow().is_empty()
            && self.announcements.is_empty()
            && self.listening.acts() == 0
    }

    async fn commit_active(&self, active: Active, stop: &Arc<Stop>) -> Result<()> {
        let metrics = &self.node.metrics;
        let notes = self.announcements.take();
        let outcome = match self.listening.commit() {
            Ok(before) => {
                self.listens_or_not();
                let outcome = self.commit_with(active, notes, stop).await;
                if let (Err(_), Some(before)) = (&outcome, before) {
                    self.listening.restore(before);
                    self.listens_or_not();
                }
                outcome
            }
            Err(e) => {
                active.txn.abort();
                Err(e)
            }
        };
        if outcome.is_ok() {
            metrics.transactions_committed.inc()
        } else {
            metrics.transactions_aborted.inc()
        }
        outcome
    }

    async fn commit_with(&self, active: Active, notes: Vec<Note>, stop: &Arc<Stop>) -> Result<()> {
        let Active {
            txn,
            catalogs,
            dropped,
            vacated,
            ..
        } = active;
        if catalogs.is_none() && notes.is_empty() {
            return txn.commit().await;
        }
        Box::pin(self.commit_and_tell(txn, (catalogs, dropped, vacated), notes, stop)).await
    }

    /// Commits what others are then told of: another catalog, notifications.
    async fn commit_and_tell(
        &self,
        txn: Rc<Txn>,
        (catalogs, dropped, vacated): (Option<Arc<Catalogs>>, Vec<TreeId>, Vec<Vacated>),
        notes: Vec<Note>,
        stop: &Arc<Stop>,
    ) -> Result<()> {
        let router = self.node.router.clone();
        let turn = match notes.is_empty() {
            true => None,
            false => Some(router.notify_turn(txn.reference(stop)).await?),
        };
        // Commit, publication and what is announced belong together, whatever becomes of this session.
        let (node, database) = (self.node.clone(), self.database);
        let (done, outcome) = runtime::oneshot::channel();
        runtime::spawn(async move {
            let result = txn.commit().await;
            if result.is_ok() {
                if let Some(catalogs) = catalogs {
                    router.publish(catalogs, dropped).await;
                }
                if !notes.is_empty() {
                    announce(&node, database, notes).await;
                }
            }
            drop(turn);
            for vacated in vacated {
                vacated.leave().await;
            }
            let _ = done.send(result);
        })
        .detach();
        outcome.await.unwrap_or_else(|_| {
            Err(Error::new(
                SqlState::ADMIN_SHUTDOWN,
                "the shard is stopping",
            ))
        })
    }

    /// What the session was to do when its transaction commits, it will not.
    fn nothing_of_it(&self) {
        self.forget_cursors(0);
        self.announcements.back_to(0);
        self.listening.back_to(0);
    }

    /// Whether a transaction is open, whatever its state.
    pub fn is_in_block(&self) -> bool {
        !self.block.borrow().is_idle()
    }

    /// Of BEGIN, of a script of several statements, or inside of a program.
    pub(super) fn is_in_transaction_block(&self) -> bool {
        self.scripted.get() || self.within.get() || self.block.borrow().is_explicit()
    }

    /// ROLLBACK, or the end of everything when the session goes.
    /// Commits what has come about, or rolls back.
    pub(super) async fn ends_block<T>(&self, outcome: Result<T>, stop: &Arc<Stop>) -> Result<T> {
        match outcome {
            Ok(done) => self.commit_block(stop).await.map(|_| done),
            Err(e) => {
                self.rollback_block();
                Err(e)
            }
        }
    }

    pub(super) fn rollback_block(&self) {
        let block = self.block.replace(Block::Idle);
        self.portals.borrow_mut().clear();
        self.nothing_of_it();
        if let Block::Implicit(active)
        | Block::Explicit(active)
        | Block::Failed {
            saved: Some(active),
            ..
        } = block
        {
            active.txn.abort();
            self.node.metrics.transactions_aborted.inc();
        }
    }

    /// An error happened: what ran is rolled back.
    pub(super) fn fail(&self) {
        let mut block = self.block.borrow_mut();
        let explicit = block.is_explicit();
        *block = match std::mem::replace(&mut *block, Block::Idle) {
            Block::Idle => Block::Idle,
            failed @ Block::Failed { .. } => failed,
            Block::Explicit(active) if !active.savepoints.is_empty() => {
                active.txn.references.forget_statement();
                active.txn.triggers.forget();
                Block::Failed {
                    explicit,
                    like: active.like(),
                    saved: Some(active),
                }
            }
            Block::Implicit(active) | Block::Explicit(active) => {
                active.txn.abort();
                self.nothing_of_it();
                self.node.metrics.transactions_aborted.inc();
                Block::Failed {
                    explicit,
                    like: active.like(),
                    saved: None,
                }
            }
        };
    }

    /// Forgets an implicit transaction that has failed, or that a fused statement has committed.
    pub(super) fn settle_implicit(&self) {
        let mut block = self.block.borrow_mut();
        if matches!(
            *block,
            Block::Implicit(_)
                | Block::Failed {
                    explicit: false,
                    ..
                }
        ) {
            *block = Block::Idle;
        }
    }

    /// Takes in a change of the catalog.
    pub(super) fn defined(&self, change: Change) {
        if change.is_noop() {
            return;
        }
        if let Some(active) = self.block.borrow_mut().active_mut() {
            active.catalogs = Some(Arc::new(change.all.with(Arc::new(change.catalog))));
            active.dropped.extend(change.dropped);
            active.fresh.extend(change.fresh);
        }
    }
}

pub(super) fn level(isolation: Isolation) -> txn::Isolation {
    match isolation {
        Isolation::ReadCommitted => txn::Isolation::ReadCommitted,
        Isolation::RepeatableRead => txn::Isolation::RepeatableRead,
        Isolation::Serializable => txn::Isolation::Serializable,
    }
}
