//! A transaction as its coordinator sees it, and its end.
//!
//! Owns: the list of partitions that have a part in it. One participant: one `Commit` call and no other message. Several:
//! all but the first prepare; the first then writes the decision with its own part, and that record is the commit. What the
//! others still have to do is done in the background; recovery does it when the process dies meanwhile. Where it has only
//! locked rows it keeps the locks until the commit is durable: what they guard is what it has written elsewhere.
//! Never: leaves a prepared participant without an answer while this process lives, unless the decision's own outcome
//! is unknown (its partition was fenced in the middle): then only recovery may answer.

use super::Router;
use super::advisory::Advisory;
use super::references::pending::Pending;
use engine::shard::call::PartitionCall;
use engine::shard::{Reply, ShardCall};
use engine::txn::commit::Decides;
use engine::txn::horizon::SnapshotGuard;
use engine::txn::landing::Landing;
use engine::txn::{Isolation, Stop, TxnRef};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use types::{Error, PartitionId, Result, SqlState, TreeId, Ts, Xid};

/// How a transaction has ended, or begun to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    Open,
    Committed,
    Aborted,
}

/// One transaction on its session's shard.
pub struct Txn {
    pub xid: Xid,
    pub isolation: Isolation,
    router: Rc<Router>,
    /// REPEATABLE READ: the first statement's snapshot, kept to the end.
    snapshot: RefCell<Option<Rc<SnapshotGuard>>>,
    /// What the running statement sees.
    at: Cell<Ts>,
    /// Trees made by it, which only it can reach: dropped when it does not commit.
    fresh: RefCell<Vec<TreeId>>,
    participants: RefCell<BTreeSet<PartitionId>>,
    /// Where it has locked rows, and perhaps written nothing.
    lockers: RefCell<BTreeSet<PartitionId>>,
    /// What is written now can be taken back to it; 0 is none.
    savepoint: Cell<u32>,
    /// Statements so far, and the number of the running one if it does not see what it writes.
    statements: Cell<u32>,
    apart: Cell<u32>,
    /// What it owes its foreign keys.
    pub references: Pending,
    /// What its statement's AFTER triggers wait for.
    pub triggers: super::triggers::Queue,
    /// Its session's advisory locks, some of which end with it.
    advisory: RefCell<Option<Rc<Advisory>>>,
    end: Cell<End>,
}

impl Txn {
    pub fn begin(router: Rc<Router>, isolation: Isolation) -> Rc<Txn> {
        Rc::new(Txn {
            xid: router.shard.new_xid(),
            isolation,
            router,
            snapshot: RefCell::new(None),
            at: Cell::new(Ts(0)),
            fresh: RefCell::new(Vec::new()),
            participants: RefCell::new(BTreeSet::new()),
            lockers: RefCell::new(BTreeSet::new()),
            savepoint: Cell::new(0),
            statements: Cell::new(0),
            apart: Cell::new(0),
            references: Pending::default(),
            triggers: Default::default(),
            advisory: RefCell::new(None),
            end: Cell::new(End::Open),
        })
    }

    /// A statement begins: under READ COMMITTED it sees what has committed until now. Keep the guard as long as it reads.
    pub fn statement(&self) -> Rc<SnapshotGuard> {
        let known = self.snapshot.borrow().clone();
        let guard = known.unwrap_or_else(|| Rc::new(self.router.shard.snapshot()));
        if self.isolation.keeps_snapshot() {
            *self.snapshot.borrow_mut() = Some(guard.clone());
        }
        self.at.set(guard.ts);
        self.statements.set(self.statements.get().wrapping_add(1));
        self.apart.set(0);
        guard
    }

    /// The statement that has begun does not see what it writes.
    pub fn sees_no_own_writes(&self) {
        self.apart.set(self.statements.get());
    }

    /// These trees go if it does not commit. To be said before anything is put into them.
    pub fn makes(&self, trees: &[TreeId]) {
        self.fresh.borrow_mut().extend_from_slice(trees);
    }

    pub fn reference(&self, stop: &Arc<Stop>) -> TxnRef {
        TxnRef {
            xid: self.xid,
            snapshot: self.at.get(),
            isolation: self.isolation,
            savepoint: self.savepoint.get(),
            apart: self.apart.get(),
            stop: stop.clone(),
        }
    }

    /// To be said before a call that writes there is sent.
    pub fn takes_part(&self, partition: PartitionId) {
        self.participants.borrow_mut().insert(partition);
    }

    /// Where a change puts a row that has no place by its key: at home, or, if the transaction has written elsewhere alone,
    /// there, so that no more partitions than need be have a part in its commit.
    pub fn home(&self) -> PartitionId {
        let home = self.router.shard.home();
        let participants = self.participants.borrow();
        match participants.first() {
            Some(first) if participants.len() == 1 => *first,
            _ => home,
        }
    }

    /// To be said before a call that only locks rows there is sent.
    pub fn locks_in(&self, partition: PartitionId) {
        self.lockers.borrow_mut().insert(partition);
    }

    /// Where it has locked rows and written nothing, which is forgotten here.
    fn take_lockers(&self, writers: &[PartitionId]) -> Vec<PartitionId> {
        let lockers = std::mem::take(&mut *self.lockers.borrow_mut());
        let only = lockers.into_iter().filter(|p| !writers.contains(p));
        only.collect()
    }

    /// Statements from now on are under this savepoint; under none when it is 0.
    pub fn at_savepoint(&self, savepoint: u32) {
        self.savepoint.set(savepoint);
    }

    /// How many trees it has made.
    pub fn made(&self) -> usize {
        self.fresh.borrow().len()
    }

    /// Takes back everything since the savepoint, when `made` trees had been made. After an error only the whole
    /// transaction can be rolled back.
    pub async fn rollback_to(&self, savepoint: u32, made: usize) -> Result<()> {
        if self.end.get() == End::Aborted {
            return Err(rolled_back());
        }
        let xid = self.xid;
        let participants = self.participants.borrow().clone();
        let calls = participants.into_iter().map(|p| {
            let call = PartitionCall::RollbackTo { xid, savepoint };
            self.router.call(p, call)
        });
        for done in futures_util::future::join_all(calls).await {
            done?;
        }
        let trees = self.fresh.borrow_mut().split_off(made);
        if !trees.is_empty() {
            self.router
                .ask_all(|| ShardCall::DropTrees(trees.clone()))
                .await?;
        }
        Ok(())
    }

    /// Whether one of its statements has looked at, or changed, what there is.
    pub fn has_looked(&self) -> bool {
        self.statements.get() > 0 || self.has_participants()
    }

    pub fn has_participants(&self) -> bool {
        !self.participants.borrow().is_empty() || !self.lockers.borrow().is_empty()
    }

    /// A fused statement has committed all that was written: only locks may be left.
    pub fn committed_by_call(&self) {
        let writers: Vec<PartitionId> = std::mem::take(&mut *self.participants.borrow_mut())
            .into_iter()
            .collect();
        self.end.set(End::Committed);
        let lockers = self.take_lockers(&writers);
        release(&self.router, self.xid, Ts(0), lockers);
        self.unadvise();
    }

    /// Advisory locks were taken for it.
    pub fn advised(&self, advisory: Rc<Advisory>) {
        *self.advisory.borrow_mut() = Some(advisory);
    }

    fn unadvise(&self) {
        if let Some(advisory) = self.advisory.take() {
            advisory.transaction_is_gone();
        }
    }

    /// Commits everywhere or nowhere. Once called it runs to its end, even if the caller goes away.
    pub async fn commit(self: &Rc<Self>) -> Result<()> {
        let outcome = self.commit_everywhere().await;
        let advisory = self.advisory.take();
        if let Some(advisory) = advisory {
            Box::pin(advisory.end_of_transaction()).await;
        }
        outcome
    }

    /// Ends what has only read, under a level that remembers no reads, and holds nothing. `false`: it has to be committed.
    pub fn ends_at_once(&self) -> bool {
        let quiet = !self.has_participants()
            && self.isolation != Isolation::Serializable
            && !self.references.waits()
            && self.advisory.borrow().is_none()
            && self.fresh.borrow().is_empty();
        if quiet {
            self.end.set(End::Committed);
        }
        quiet
    }

    /// Begins the commit of what has written, or locked rows, in at most one partition, and that of this shard, if nothing
    /// has to be done before. `None`: `commit` does it.
    pub fn commit_here(&self) -> Option<Result<Landing>> {
        let owes = self.references.waits()
            || !self.triggers.is_empty()
            || self.isolation == Isolation::Serializable
            || self.advisory.borrow().is_some()
            || !self.fresh.borrow().is_empty()
            || self.end.get() != End::Open;
        if owes {
            return None;
        }
        let begun = {
            let (parts, lockers) = (self.participants.borrow(), self.lockers.borrow());
            let first = parts.iter().chain(&*lockers).next();
            match first {
                None => Ok(Landing::Done(self.router.shard.now())),
                Some(first) if parts.iter().chain(&*lockers).all(|p| p == first) => {
                    self.router.shard.commit_here(*first, self.xid)?
                }
                Some(_) => return None,
            }
        };
        self.end.set(End::Committed);
        self.participants.borrow_mut().clear();
        self.lockers.borrow_mut().clear();
        Some(begun)
    }

    async fn commit_everywhere(self: &Rc<Self>) -> Result<()> {
        match self.end.get() {
            End::Open => self.end.set(End::Committed),
            End::Committed => return Ok(()),
            End::Aborted => return Err(rolled_back()),
        }
        let participants: Vec<PartitionId> = std::mem::take(&mut *self.participants.borrow_mut())
            .into_iter()
            .collect();
        let (router, xid) = (self.router.clone(), self.xid);
        let mut readers = router.take_readers(xid);
        readers.retain(|p| !participants.contains(p));
        let readers: Vec<PartitionId> = readers.into_iter().collect();
        let mut lockers = self.take_lockers(&participants);
        let Some((first, others)) = participants.split_first() else {
            // What has only read is serial at its snapshot.
            forget_reads(router.clone(), xid, readers);
            if !lockers.is_empty() {
                Box::pin(commit_in(&router, xid, Ts(0), &lockers)).await;
            }
            return Ok(());
        };
        lockers.retain(|p| !readers.contains(p));
        let (first, others) = (*first, others.to_vec());
        let parts = Parts {
            first,
            others,
            readers,
            lockers,
        };
        let fresh = self.fresh.take();
        // Reads are remembered while the snapshot is held.
        let snapshot = self.snapshot.borrow().clone();
        let (done, outcome) = runtime::sync::oneshot::channel();
        runtime::spawn(async move {
            let _ = done.send(commit(&router, xid, parts, fresh).await);
            drop(snapshot);
        })
        .detach();
        outcome.await.unwrap_or_else(|_| {
            Err(Error::new(
                SqlState::ADMIN_SHUTDOWN,
                "the shard is stopping",
            ))
        })
    }

    /// Rolls back everywhere, in the background.
    pub fn abort(&self) {
        self.unadvise();
        if self.end.get() != End::Open {
            return;
        }
        self.end.set(End::Aborted);
        let (router, xid, fresh) = (self.router.clone(), self.xid, self.fresh.take());
        let mut participants = std::mem::take(&mut *self.participants.borrow_mut());
        participants.append(&mut self.lockers.borrow_mut());
        participants.append(&mut router.take_readers(xid));
        if participants.is_empty() {
            return;
        }
        let participants = participants.into_iter().collect();
        runtime::spawn(async move { abort(&router, xid, participants, &fresh).await }).detach();
    }
}

impl Drop for Txn {
    fn drop(&mut self) {
        self.abort();
    }
}

/// 25P02: nothing of it is left to be committed.
fn rolled_back() -> Error {
    Error::new(
        SqlState::IN_FAILED_SQL_TRANSACTION,
        "the transaction has been rolled back",
    )
}

/// Who has a part in a commit.
struct Parts {
    /// Decides.
    first: PartitionId,
    /// They have written too.
    others: Vec<PartitionId>,
    /// A serializable transaction has only read there, or locked too.
    readers: Vec<PartitionId>,
    /// It has only locked rows there.
    lockers: Vec<PartitionId>,
}

impl Parts {
    fn all(&self) -> Vec<PartitionId> {
        self.not_first().chain([self.first]).collect()
    }

    fn not_first(&self) -> impl Iterator<Item = PartitionId> {
        let others = self.others.iter().chain(&self.readers);
        others.chain(&self.lockers).copied()
    }
}

async fn commit(router: &Rc<Router>, xid: Xid, parts: Parts, fresh: Vec<TreeId>) -> Result<()> {
    let coordinator = parts.first;
    let prepares = parts.others.iter().chain(&parts.readers).map(|p| {
        let call = PartitionCall::Prepare { xid, coordinator };
        router.call(*p, call)
    });
    // All of them are waited for, failed or not, so that no Abort overtakes a Prepare.
    let mut at_least = Ts(0);
    let mut failure = None;
    for prepared in futures_util::future::join_all(prepares).await {
        match prepared {
            Ok(Reply::At(ts)) => at_least = at_least.max(ts),
            Ok(_) => failure = Some(super::odd()),
            Err(e) => failure = Some(e),
        }
    }
    if let Some(e) = failure {
        abort(router, xid, parts.all(), &fresh).await;
        return Err(e);
    }
    let decides = Decides {
        at_least,
        participants: parts.others.clone(),
    };
    let call = PartitionCall::Commit { xid, decides };
    match router.call(coordinator, call).await {
        Ok(Reply::At(ts)) if parts.others.is_empty() && parts.readers.is_empty() => {
            release(router, xid, ts, parts.lockers);
            Ok(())
        }
        Ok(Reply::At(ts)) => {
            let router = router.clone();
            runtime::spawn(async move { carry_out(&router, xid, ts, parts).await }).detach();
            Ok(())
        }
        Ok(_) => Err(super::odd()),
        Err(e) if is_unknown(&e) => Err(e),
        Err(e) => {
            abort(router, xid, parts.all(), &fresh).await;
            Err(e)
        }
    }
}

/// In the background.
fn forget_reads(router: Rc<Router>, xid: Xid, readers: Vec<PartitionId>) {
    if !readers.is_empty() {
        runtime::spawn(async move { abort_in(&router, xid, &readers).await }).detach();
    }
}

/// Gives back, in the background, the locks where nothing was written.
fn release(router: &Rc<Router>, xid: Xid, ts: Ts, lockers: Vec<PartitionId>) {
    if !lockers.is_empty() {
        let router = router.clone();
        runtime::spawn(async move { commit_in(&router, xid, ts, &lockers).await }).detach();
    }
}

async fn commit_in(router: &Rc<Router>, xid: Xid, ts: Ts, partitions: &[PartitionId]) {
    let calls = partitions
        .iter()
        .map(|p| router.call(*p, PartitionCall::CommitPrepared { xid, ts }));
    for outcome in futures_util::future::join_all(calls).await {
        if let Err(e) = outcome {
            tracing::debug!(%xid, error = %e, "locks not given back");
        }
    }
}

/// Tells the participants, and when all have it on disk lets the coordinator forget the decision.
async fn carry_out(router: &Rc<Router>, xid: Xid, ts: Ts, parts: Parts) {
    let others = parts.not_first();
    let calls = others.map(|p| router.call(p, PartitionCall::CommitPrepared { xid, ts }));
    let outcomes = futures_util::future::join_all(calls).await;
    match outcomes.into_iter().find_map(Result::err) {
        None => {
            let _ = router
                .call(parts.first, PartitionCall::Forget { xid })
                .await;
        }
        Some(e) => {
            tracing::warn!(%xid, error = %e, "a participant has not carried out a commit; its restart will")
        }
    }
}

/// Whether the decision may have been written: by the partition's own word, or because its shard is going and has not
/// answered. Then only recovery may tell the others.
fn is_unknown(e: &Error) -> bool {
    matches!(
        e.code(),
        SqlState::TRANSACTION_RESOLUTION_UNKNOWN | SqlState::ADMIN_SHUTDOWN
    )
}

/// The catalog's partition is told last, when the trees made are gone: its lock keeps others from making trees of the same
/// names.
async fn abort(router: &Rc<Router>, xid: Xid, participants: Vec<PartitionId>, fresh: &[TreeId]) {
    let (catalog, others): (Vec<_>, Vec<_>) =
        participants.into_iter().partition(|p| *p == super::CATALOG);
    abort_in(router, xid, &others).await;
    if !fresh.is_empty() {
        // A load that still runs in the catalog's partition ends with its batch, and is waited for.
        let trees = fresh.to_vec();
        if let Err(e) = router.ask_all(|| ShardCall::DropTrees(trees.clone())).await {
            tracing::warn!(error = %e, "trees of a transaction that was rolled back are not dropped; the next start will");
        }
    }
    abort_in(router, xid, &catalog).await;
}

async fn abort_in(router: &Rc<Router>, xid: Xid, participants: &[PartitionId]) {
    let calls = participants
        .iter()
        .map(|p| router.call(*p, PartitionCall::Abort { xid }));
    for outcome in futures_util::future::join_all(calls).await {
        if let Err(e) = outcome {
            tracing::debug!(%xid, error = %e, "an abort did not arrive");
        }
    }
}
