//! Advisory locks of one session: numbers that mean something to its client.
//!
//! Owns: how often the session and its transaction have taken which lock. Asked by: `TxnSource` for the functions that take
//! and give back, `Txn` at its end, session when it goes. Never: asks a partition for what the session has already; lets a
//! session wait for itself. Who has taken a lock for itself alone and shares it too keeps it for itself until both are back.
//! Bounds: what a transaction may lock in a partition (`TXN_LOCK_BYTES_MAX`). Exists once per session, on its shard. Its waits
//! are looked at for deadlocks among advisory locks, not over them and row locks together: those end with `lock_timeout`.
//! Source: PostgreSQL 15, "Advisory Locks".

use super::scan::TxnSource;
use super::{Router, odd};
use engine::exec::operators::AdvisoryKey;
use engine::plan::{Advise, AdvisoryAct};
use engine::shard::Reply;
use engine::shard::call::{AdviseCall, PartitionCall};
use engine::txn::TxnRef;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use types::{PartitionId, Result, Xid};

pub struct Advisory {
    router: Rc<Router>,
    /// In whose name partitions keep the locks.
    holder: OnceCell<Xid>,
    held: RefCell<HashMap<AdvisoryKey, Counts>>,
}

/// How often a lock was taken: shared, and alone.
#[derive(Clone, Copy, Default)]
struct Counts {
    session: [u32; 2],
    transaction: [u32; 2],
}

impl Counts {
    fn is_none(&self) -> bool {
        self.session == [0, 0] && self.transaction == [0, 0]
    }

    /// Whether what there is is enough for one more.
    fn covers(&self, shared: bool) -> bool {
        let alone = self.session[1] + self.transaction[1] > 0;
        alone || (shared && !self.is_none())
    }
}

impl TxnSource {
    pub(super) async fn advised(&self, spec: &Advise, key: AdvisoryKey) -> Result<bool> {
        let advisory = &self.advisory;
        match spec.act {
            AdvisoryAct::Lock | AdvisoryAct::TryLock => {
                if spec.for_transaction {
                    self.owner.advised(advisory.clone());
                }
                advisory.take(&self.txn, key, spec).await
            }
            AdvisoryAct::Unlock => advisory.give(key, spec.shared).await,
            AdvisoryAct::UnlockAll => {
                advisory.give_all().await;
                Ok(true)
            }
        }
    }
}

impl Advisory {
    pub fn new(router: Rc<Router>) -> Rc<Advisory> {
        Rc::new(Advisory {
            router,
            holder: OnceCell::new(),
            held: RefCell::default(),
        })
    }

    async fn take(&self, txn: &TxnRef, key: AdvisoryKey, spec: &Advise) -> Result<bool> {
        let counts = self.counts(key);
        if !counts.covers(spec.shared) {
            let asked = Asked {
                advisory: self,
                key,
                is_new: counts.is_none(),
                answered: Cell::new(false),
            };
            let has = self.ask(txn, key, spec).await;
            asked.answered.set(true);
            if has.is_err() && counts.is_none() {
                // It may have been granted in the same moment.
                self.tell(vec![key]).await;
            }
            if !has? {
                return Ok(false);
            }
        }
        let mut held = self.held.borrow_mut();
        let counts = held.entry(key).or_default();
        let taken = match spec.for_transaction {
            true => &mut counts.transaction,
            false => &mut counts.session,
        };
        let n = &mut taken[usize::from(!spec.shared)];
        *n = n.saturating_add(1);
        Ok(true)
    }

    async fn ask(&self, txn: &TxnRef, key: AdvisoryKey, spec: &Advise) -> Result<bool> {
        let mut txn = txn.clone();
        txn.xid = *self.holder.get_or_init(|| self.router.shard.new_xid());
        let call = PartitionCall::Advise(AdviseCall {
            txn,
            key,
            shared: spec.shared,
            waits: spec.act == AdvisoryAct::Lock,
        });
        match self.router.call(self.partition(key), call).await? {
            Reply::Count(n) => Ok(n > 0),
            _ => Err(odd()),
        }
    }

    /// `false` when the session has not taken it, or only its transaction has.
    async fn give(&self, key: AdvisoryKey, shared: bool) -> Result<bool> {
        let free = {
            let mut held = self.held.borrow_mut();
            let Some(counts) = held.get_mut(&key) else {
                return Ok(false);
            };
            let n = &mut counts.session[usize::from(!shared)];
            let Some(less) = n.checked_sub(1) else {
                return Ok(false);
            };
            *n = less;
            counts.is_none()
        };
        if free {
            self.held.borrow_mut().remove(&key);
            self.tell(vec![key]).await;
        }
        Ok(true)
    }

    /// Everything that was taken for longer than a transaction.
    pub async fn give_all(&self) {
        let keys = self.without(|counts| counts.session = [0, 0]);
        self.tell(keys).await;
    }

    /// What the transaction took goes with it.
    pub async fn end_of_transaction(&self) {
        let keys = self.without(|counts| counts.transaction = [0, 0]);
        self.tell(keys).await;
    }

    /// The same, in the background.
    pub fn transaction_is_gone(&self) {
        let keys = self.without(|counts| counts.transaction = [0, 0]);
        self.tell_later(keys);
    }

    /// The keys of which nothing is left.
    fn without(&self, change: impl Fn(&mut Counts)) -> Vec<AdvisoryKey> {
        let mut gone = Vec::new();
        self.held.borrow_mut().retain(|key, counts| {
            change(counts);
            if counts.is_none() {
                gone.push(*key);
            }
            !counts.is_none()
        });
        gone
    }

    fn counts(&self, key: AdvisoryKey) -> Counts {
        self.held.borrow().get(&key).copied().unwrap_or_default()
    }

    /// Any spread will do, as long as all sessions have the same.
    fn partition(&self, key: AdvisoryKey) -> PartitionId {
        let mixed = key.iter().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3)
        });
        let partitions = u64::from(self.router.shard.partition_count).max(1);
        PartitionId(((mixed >> 32) % partitions) as u16)
    }

    async fn tell(&self, keys: Vec<AdvisoryKey>) {
        if let Some(holder) = self.holder.get() {
            let keys = keys.into_iter().map(|k| (self.partition(k), Some(k)));
            unadvise(self.router.clone(), *holder, keys.collect()).await;
        }
    }

    fn tell_later(&self, keys: Vec<AdvisoryKey>) {
        let holder = self.holder.get().filter(|_| !keys.is_empty());
        if let Some(holder) = holder {
            let keys = keys.into_iter().map(|k| (self.partition(k), Some(k)));
            let all = keys.collect();
            runtime::spawn(unadvise(self.router.clone(), *holder, all)).detach();
        }
    }
}

/// Each partition and key, or all of the holder's there. A partition that does not answer is out of service, and so are its
/// locks.
async fn unadvise(router: Rc<Router>, holder: Xid, all: Vec<(PartitionId, Option<AdvisoryKey>)>) {
    for (partition, key) in all {
        let call = PartitionCall::Unadvise { xid: holder, key };
        if let Err(error) = router.call(partition, call).await {
            tracing::debug!(%error, "an advisory lock was not given back");
        }
    }
}

impl Drop for Advisory {
    fn drop(&mut self) {
        let held = self.held.take();
        let partitions: BTreeSet<PartitionId> = held.keys().map(|k| self.partition(*k)).collect();
        if let Some(holder) = self.holder.get()
            && !partitions.is_empty()
        {
            let all = partitions.into_iter().map(|p| (p, None)).collect();
            runtime::spawn(unadvise(self.router.clone(), *holder, all)).detach();
        }
    }
}

/// A request for a lock that is not answered yet. Whoever gives up on it must not have it afterwards.
struct Asked<'a> {
    advisory: &'a Advisory,
    key: AdvisoryKey,
    is_new: bool,
    answered: Cell<bool>,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if self.is_new && !self.answered.get() {
            self.advisory.tell_later(vec![self.key]);
        }
    }
}
