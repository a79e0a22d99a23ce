//! Transactions: snapshots, versions, locks, commit.
//!
//! Owns: the meaning of time and visibility in one partition, its lock table, the writes of running transactions, the
//! records of its WAL. Asked by: `shard`. Never: knows SQL, plans or the network; other partitions are the caller's business.
//!
//! Model: multi-version, redo only. A transaction's writes stay in memory (`WriteSet`), or in a tree of their own once they
//! outgrow it (`Staged`), until it commits; then one WAL record makes them durable and they are put into the trees as
//! versions stamped with the commit's timestamp. Nothing uncommitted ever reaches a page that others read, so recovery
//! redoes and never undoes. Versions are cells whose key ends in the inverted timestamp. A reader at snapshot S that meets
//! a commit in flight at or below S waits until that is durable, and then reads its writes over the trees (Clock-SI, Du et
//! al. 2013, for the waiting).

mod apart;
pub mod backup;
pub mod build;
mod changed;
pub mod clock;
pub mod commit;
pub mod contents;
pub mod deadlock;
pub mod garbage;
pub mod history;
pub mod horizon;
pub mod landing;
pub mod locks;
pub mod partition;
mod passing;
pub mod reading;
pub mod reads;
pub mod record;
pub mod recovery;
pub mod staged;
pub mod state;
pub mod versions;
pub mod writes;

pub use clock::Clock;
pub use horizon::{Horizon, Snapshots};
pub use partition::Partition;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use types::{Error, Result, SqlState, Ts, Xid};

/// How a partition is opened.
#[derive(Clone, Debug)]
pub struct Options {
    pub storage: storage::Options,
    /// Writes of uncommitted transactions that a partition keeps in memory; more is staged in the page file.
    pub txn_memory_bytes: usize,
    /// Rows that could go into pages alone are logged too: there is an archive, or incremental backups are taken.
    pub log_loads: bool,
    /// How often a mark closes a segment of the log, so that the archive gets it.
    pub archive_timeout: Option<Duration>,
    /// What was committed later is left out, and the log begins a history of its own.
    pub restore_to: Option<Ts>,
}

/// See `TxnRef::apart`.
pub const WITHIN: u32 = 1 << 31;

/// The transaction a call belongs to, as a partition needs to know it.
#[derive(Clone, Debug)]
pub struct TxnRef {
    pub xid: Xid,
    pub snapshot: Ts,
    pub isolation: Isolation,
    /// What is written can be taken back to here; 0 is the transaction's beginning.
    pub savepoint: u32,
    /// The number of a statement that does not see what it writes itself; 0 of one that may. With `WITHIN` of a statement
    /// inside of that one: it sees everything, and the one around it sees nothing of what it writes.
    pub apart: u32,
    pub stop: Arc<Stop>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    ReadCommitted,
    RepeatableRead,
    Serializable,
}

impl Isolation {
    /// One snapshot for the whole transaction, and 40001 where what it writes has changed since.
    pub fn keeps_snapshot(self) -> bool {
        match self {
            Isolation::ReadCommitted => false,
            Isolation::RepeatableRead | Isolation::Serializable => true,
        }
    }
}

/// When a statement must end: at its deadline, or because its client or an operator said so. Seen by every shard that
/// works for the statement.
#[derive(Debug)]
pub struct Stop {
    cancelled: AtomicBool,
    /// Nanoseconds of the monotonic clock; 0 is none.
    deadline: AtomicU64,
    /// Nanoseconds that one lock is waited for; 0 is no limit.
    lock_timeout: AtomicU64,
    /// Ends with this one.
    also: OnceLock<Arc<Stop>>,
}

impl Stop {
    pub fn at(deadline: Option<runtime::Instant>) -> Arc<Stop> {
        Arc::new(Stop {
            cancelled: AtomicBool::new(false),
            deadline: AtomicU64::new(deadline.map_or(0, runtime::Instant::as_ns)),
            lock_timeout: AtomicU64::new(0),
            also: OnceLock::new(),
        })
    }

    /// 55P03 for whoever waits longer for one lock.
    pub fn limit_locks(&self, timeout: Option<Duration>) {
        let ns = timeout.map_or(0, |t| t.as_nanos() as u64);
        self.lock_timeout.store(ns, Ordering::Relaxed);
    }

    pub fn lock_timeout(&self) -> Option<Duration> {
        match self.lock_timeout.load(Ordering::Relaxed) {
            0 => None,
            ns => Some(Duration::from_nanos(ns)),
        }
    }

    /// What was begun under this one goes on for a later request, and ends with that.
    pub fn go_on_for(self: &Arc<Stop>, request: &Stop) {
        let deadline = request.deadline.load(Ordering::Relaxed);
        self.deadline.store(deadline, Ordering::Relaxed);
        self.limit_locks(request.lock_timeout());
        let _ = request.also.set(self.clone());
        if request.is_cancelled() {
            self.cancel();
        }
    }

    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
        if let Some(other) = self.also.get() {
            other.cancel();
        }
    }

    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    pub fn deadline(&self) -> Option<runtime::Instant> {
        match self.deadline.load(Ordering::Relaxed) {
            0 => None,
            ns => Some(runtime::Instant::from_ns(ns)),
        }
    }

    /// 57014 once it is time.
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() {
            return Err(Error::new(
                SqlState::QUERY_CANCELED,
                "canceling statement due to user request",
            ));
        }
        match self.deadline() {
            Some(at) if runtime::Instant::now() >= at => Err(Error::new(
                SqlState::QUERY_CANCELED,
                "canceling statement due to statement timeout",
            )),
            _ => Ok(()),
        }
    }
}
