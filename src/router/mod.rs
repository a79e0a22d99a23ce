//! Which partitions a call goes to, and getting it there.
//!
//! Owns: a shard's way to every partition, the transaction as its coordinator sees it (`Txn`), two-phase commit. Asked by:
//! session. Never: looks into rows beyond what decides where they belong; knows SQL text or a protocol.
//! A call to a partition of this shard is a function call; to another, a message through the mesh. Bounds: the mesh's
//! credits; per scan one batch in hand and one on its way from each partition.

pub mod advisory;
pub mod backfill;
pub mod backup;
pub mod commit;
mod conflict;
pub mod deadlock;
mod deep;
mod define;
mod edit;
mod functions;
mod get;
pub mod host;
mod insert;
mod lock;
mod machine;
mod merge;
pub mod modify;
pub mod notify;
mod programs;
pub mod references;
pub mod scan;
pub mod sequence;
mod statistics;
pub mod triggers;
mod unique;

pub use commit::Txn;
pub use deep::Deep;
pub use define::DefineEnv;

use crate::service::CancelKey;
use crate::telemetry::{Metrics, MetricsSnapshot};
use engine::catalog::system::activity::SessionState;
use engine::shard::call::{PartitionCall, STALE};
use engine::shard::{Envelope, Reply, Shard, ShardCall, ShardReply};
use runtime::Credits;
use runtime::mesh::{BoundPort, CallError};
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use std::sync::Arc;
use types::{Error, PartitionId, Result, ShardId, SqlState, Ts, Xid, limits};

/// What shards send each other.
pub enum Message {
    Shard(Envelope),
    /// For the session registry of the shard that the key names.
    Cancel(CancelKey),
    /// The front's numbers and the engine's.
    Metrics,
    /// For the listeners of the shard that are in the database of that oid.
    Notify(u32, Arc<[notify::Note]>),
    /// Who is there.
    Sessions,
    /// For the session of that pid: `Count` of those there are.
    Signal(i32, Signal),
    /// For the shard's sessions in the database of that oid: `Count`.
    Door(u32, DoorAct),
}

/// What another session wants of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Nothing but to know whether it is there.
    Look,
    /// What it does is to end.
    Cancel,
    End,
}

/// What is wanted of those in a database; `session::databases`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DoorAct {
    Count,
    /// Nobody comes in any more …
    Shut,
    /// … until as many have opened it again.
    Open,
    /// Who is in has to go.
    End,
}

pub enum Answer {
    /// With the answering shard's clock.
    Shard(Box<ShardReply>, Ts),
    Done,
    Count(usize),
    Sessions(Vec<SessionState>),
    Metrics(Box<MetricsSnapshot>),
}

/// The partition of the catalog and its lock.
const CATALOG: PartitionId = PartitionId(0);

/// Of the mesh's credits to a shard, those that only calls which end a transaction may use: the others may all be taken by
/// calls that wait for the locks it holds.
const ENDING_CREDITS: usize = limits::LANE_CREDITS / 8;

/// One per shard.
pub struct Router {
    pub shard: Rc<Shard>,
    port: Rc<BoundPort<Message, Answer>>,
    /// For each shard: calls to it that may wait for locks.
    ordinary: Vec<Credits>,
    /// Partitions that running serializable transactions of this shard have read in.
    readers: RefCell<HashMap<Xid, BTreeSet<PartitionId>>>,
    programs: programs::Programs<triggers::Armed>,
    routines: programs::Programs<sql::routine::Routine>,
    functions: programs::Programs<sql::program::Program>,
    metrics: Rc<Metrics>,
}

impl Router {
    pub fn new(
        shard: Rc<Shard>,
        port: Rc<BoundPort<Message, Answer>>,
        metrics: Rc<Metrics>,
    ) -> Router {
        let ordinary = (0..shard.shards)
            .map(|_| Credits::new("calls", limits::LANE_CREDITS - ENDING_CREDITS))
            .collect();
        Router {
            shard,
            port,
            ordinary,
            readers: RefCell::default(),
            programs: programs::Programs::default(),
            routines: programs::Programs::default(),
            functions: programs::Programs::default(),
            metrics,
        }
    }

    /// Calls the owner of a partition.
    pub async fn call(&self, partition: PartitionId, call: PartitionCall) -> Result<Reply> {
        if let Some(xid) = call.serializable() {
            self.readers
                .borrow_mut()
                .entry(xid)
                .or_default()
                .insert(partition);
        }
        self.ask(
            self.shard.owner(partition),
            ShardCall::Partition(partition, call),
        )
        .await
    }

    /// Calls a shard.
    pub async fn ask(&self, to: ShardId, call: ShardCall) -> Result<Reply> {
        let envelope = Envelope {
            stamp: self.shard.now(),
            call,
        };
        if to == self.shard.id {
            return self.shard.handle(envelope).await;
        }
        let _permit = match self.ordinary.get(usize::from(to.0)) {
            Some(credits) if envelope.call.may_wait_for_locks() => Some(credits.acquire(1).await),
            _ => None,
        };
        match self.send(to, Message::Shard(envelope)).await? {
            Answer::Shard(reply, stamp) => {
                self.shard.saw(stamp);
                *reply
            }
            Answer::Done | Answer::Count(_) | Answer::Sessions(_) | Answer::Metrics(_) => {
                Err(Error::internal("a shard answered another question"))
            }
        }
    }

    /// Sends any message to another shard.
    pub async fn send(&self, to: ShardId, message: Message) -> Result<Answer> {
        self.port.call(to, message).await.map_err(|e| gone(to, &e))
    }

    /// Where a serializable transaction has read, which is forgotten here.
    fn take_readers(&self, xid: Xid) -> BTreeSet<PartitionId> {
        self.readers.borrow_mut().remove(&xid).unwrap_or_default()
    }

    /// Asks every shard, this one too; the first error wins.
    pub async fn ask_all(&self, call: impl Fn() -> ShardCall) -> Result<Vec<Reply>> {
        let asks = self.shard_ids().map(|to| self.ask(to, call()));
        futures_util::future::try_join_all(asks).await
    }

    /// Calls every partition at once; the first error wins.
    pub async fn call_all(
        &self,
        call: impl Fn(PartitionId) -> PartitionCall,
    ) -> Result<Vec<Reply>> {
        let calls = self.partition_ids().map(|p| self.call(p, call(p)));
        futures_util::future::try_join_all(calls).await
    }

    pub fn shard_ids(&self) -> impl Iterator<Item = ShardId> + use<> {
        (0..self.shard.shards as u16).map(ShardId)
    }

    pub fn partition_ids(&self) -> impl Iterator<Item = PartitionId> + use<> {
        (0..self.shard.partition_count).map(PartitionId)
    }

    pub fn port(&self) -> &Rc<BoundPort<Message, Answer>> {
        &self.port
    }
}

fn gone(to: ShardId, e: &CallError) -> Error {
    Error::new(
        SqlState::ADMIN_SHUTDOWN,
        format!("shard {to} did not answer: {e}"),
    )
}

/// Of an error's CONTEXT.
const CONTEXT_BYTES_MAX: usize = 4 << 10;

/// With one more line of CONTEXT, the outer ones last.
fn said_in(e: Error, place: String) -> Error {
    let context = match e.context() {
        Some(context) if context.len() > CONTEXT_BYTES_MAX => return e,
        Some(context) => format!("{context}\n{place}"),
        None => place,
    };
    e.with_context(context)
}

/// It was planned with a definition that is no more.
fn is_stale(e: &Error) -> bool {
    e.code() == SqlState::SERIALIZATION_FAILURE && e.message() == STALE
}

/// The answer had another shape than the question.
fn odd() -> Error {
    Error::internal("a shard answered another question")
}
