//! The closed list of what a shard may be asked, and its answers. Everything here crosses cores, so it is `Send`.

use super::edit::{Aim, Edit};
use super::get::Lookup;
pub use super::run::{RunCall, RunId};
use crate::catalog::{Catalogs, Index, Sequence, Table};
use crate::exec::Context;
use crate::exec::operators::{AdvisoryKey, Locked};
use crate::exec::profile::Pages;
use crate::plan::{Assignment, Expr, LockWait, RowLock, Scan};
use crate::txn::backup::Sealed;
use crate::txn::commit::Decides;
use crate::txn::deadlock::Wait;
use crate::txn::{Isolation, Stop, TxnRef};
use std::path::PathBuf;
use std::sync::Arc;
use storage::Stats as StoreStats;
use types::{Error, Lsn, PartitionId, Result, Row, RowBatch, TableId, TreeId, Ts, Xid};

/// A call, stamped with its sender's clock.
pub struct Envelope {
    pub stamp: Ts,
    pub call: ShardCall,
}

pub type ShardReply = Result<Reply>;

pub enum ShardCall {
    /// Of one partition, which the shard must own.
    Partition(PartitionId, PartitionCall),
    /// Reads the newest catalog snapshot from now on.
    Publish(Arc<Catalogs>),
    /// Trees that no catalog names any more.
    DropTrees(Vec<TreeId>),
    /// A checkpoint of every partition.
    Checkpoint,
    Stats,
    /// The bytes of these trees in its partitions: `Count`.
    TreeBytes(Vec<TreeId>),
    /// How much has been changed in each tree since the last such call: `Changed`.
    TakeChanged,
    /// Who waits for whose locks.
    Waits,
    /// Ends a wait that is part of a cycle, if it still goes on.
    EndWait {
        wait: Wait,
        cycle: String,
    },
    /// Which frames the buffer pools give up first from now on.
    SetPolicy(storage::Policy),
    /// Start: what recovery found in this shard's partitions.
    Recovered,
    /// Start: the clock's base, what became of transactions in doubt, and the catalog.
    Begin {
        base: u64,
        resolved: Vec<Resolution>,
        catalog: Arc<Catalogs>,
    },
    /// Start, partition 0 only: the catalog as it is on disk.
    LoadCatalog,
}

impl ShardCall {
    /// Whether the answer may have to wait for another transaction to end.
    pub fn may_wait_for_locks(&self) -> bool {
        match self {
            ShardCall::Partition(_, call) => !matches!(
                call,
                PartitionCall::Prepare { .. }
                    | PartitionCall::Commit { .. }
                    | PartitionCall::CommitPrepared { .. }
                    | PartitionCall::Abort { .. }
                    | PartitionCall::Forget { .. }
                    | PartitionCall::Unadvise { .. }
            ),
            _ => false,
        }
    }
}

/// A transaction in doubt in one partition: committed at this time, or not at all.
#[derive(Clone, Debug)]
pub struct Resolution {
    pub partition: PartitionId,
    pub xid: Xid,
    pub committed: Option<Ts>,
}

pub enum PartitionCall {
    /// One row by its key: `Row`.
    Get(GetCall),
    /// A change of one row by its key: `Edited`.
    Edit(EditCall),
    Scan(ScanCall),
    /// Operators over its rows: `Rows`, with a `resume` while there may be more.
    Run(RunCall),
    Insert(InsertCall),
    Update(UpdateCall),
    Delete(DeleteCall),
    /// Rows that are locked get their new values, or go: `Modified`, with all of them in their order.
    Rewrite(RewriteCall),
    /// Entries of unique indexes whose columns hash to this partition.
    Unique(UniqueCall),
    /// Of an index that is built beside writers.
    Build(BuildCall),
    /// Looks up entries of one index: the keys of their rows.
    Entries(EntriesCall),
    /// Locks rows, and answers them as they are then.
    LockRows(LockRowsCall),
    /// Keys that rows elsewhere refer to: they stay until the transaction ends.
    References(ReferencesCall),
    /// Rows that refer to keys.
    Referrers(ReferrersCall),
    /// An advisory lock: `Count(1)` when it has it.
    Advise(AdviseCall),
    /// Of a sequence whose state is here.
    Sequence(SequenceCall),
    /// Gives it back, or all of them.
    Unadvise {
        xid: Xid,
        key: Option<AdvisoryKey>,
    },
    /// Whole rows with their keys, at the transaction's snapshot: for building indexes and rewriting tables.
    Export {
        txn: TxnRef,
        table: Arc<Table>,
        resume: Option<Resume>,
    },
    /// At most so many rows of a table, chosen at random.
    Sample {
        txn: TxnRef,
        table: Arc<Table>,
        rows_max: usize,
    },
    /// Rows or entries straight into a tree that only the transaction can reach.
    Load(LoadCall),
    /// No writer but the transaction until it ends.
    LockTable {
        txn: TxnRef,
        table: TableId,
        /// Of the catalog that will follow.
        version: u64,
    },
    /// LOCK TABLE, until the transaction ends: `Count(1)` when it has it.
    HoldTable(HoldTableCall),
    /// Partition 0: no other change of the catalog until the transaction ends. Answers the newest catalog.
    LockCatalog {
        txn: TxnRef,
    },
    /// Partition 0: cells of the catalog's tree.
    WriteCatalog {
        txn: TxnRef,
        cells: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    },
    Prepare {
        xid: Xid,
        coordinator: PartitionId,
    },
    Commit {
        xid: Xid,
        decides: Decides,
    },
    CommitPrepared {
        xid: Xid,
        ts: Ts,
    },
    Abort {
        xid: Xid,
    },
    /// Takes back what the transaction wrote since a savepoint.
    RollbackTo {
        xid: Xid,
        savepoint: u32,
    },
    /// The coordinator's decision has been carried out everywhere.
    Forget {
        xid: Xid,
    },
    Vacuum {
        trees: Vec<TreeId>,
    },
    Backup {
        step: BackupStep,
        stop: Arc<Stop>,
    },
}

impl PartitionCall {
    /// The transaction that it reads for, if what that reads must stay as it is.
    pub fn serializable(&self) -> Option<Xid> {
        let txn = match self {
            PartitionCall::Scan(c) => &c.txn,
            PartitionCall::Run(c) => &c.txn,
            PartitionCall::Insert(c) => &c.txn,
            PartitionCall::Update(c) => &c.txn,
            PartitionCall::Delete(c) => &c.txn,
            PartitionCall::LockRows(c) => &c.txn,
            PartitionCall::Entries(c) => &c.txn,
            PartitionCall::Export { txn, .. } | PartitionCall::Sample { txn, .. } => txn,
            _ => return None,
        };
        (txn.isolation == Isolation::Serializable).then_some(txn.xid)
    }

    /// The transaction that it writes for, under a savepoint.
    pub(super) fn writer(&self) -> Option<&TxnRef> {
        self.changes().filter(|txn| txn.savepoint > 0)
    }

    /// The transaction that it looks at rows for as they are under its locks, whatever its snapshot.
    pub(super) fn locker(&self) -> Option<Xid> {
        match self {
            PartitionCall::LockRows(c) => Some(c.txn.xid),
            call => call.changes().map(|txn| txn.xid),
        }
    }

    fn changes(&self) -> Option<&TxnRef> {
        let txn = match self {
            PartitionCall::Edit(c) => &c.txn,
            PartitionCall::Insert(c) => &c.txn,
            PartitionCall::Update(c) => &c.txn,
            PartitionCall::Delete(c) => &c.txn,
            PartitionCall::Rewrite(c) => &c.txn,
            PartitionCall::Unique(c) => &c.txn,
            PartitionCall::Load(c) => &c.txn,
            PartitionCall::Build(BuildCall::Fill(c)) => &c.txn,
            PartitionCall::LockTable { txn, .. }
            | PartitionCall::LockCatalog { txn }
            | PartitionCall::WriteCatalog { txn, .. } => txn,
            _ => return None,
        };
        Some(txn)
    }
}

/// What a partition does for a backup, in this order. An incremental one has no `Begin` and no `Copy`.
#[derive(Clone, Debug)]
pub enum BackupStep {
    Begin,
    Copy {
        to: PathBuf,
    },
    Seal {
        to: PathBuf,
        from: Option<Lsn>,
    },
    /// Also after a failure.
    End,
}

/// Which keys of a tree a call is about. Bounds are encoded (`codec::key`).
#[derive(Clone, Debug)]
pub enum Reach {
    All,
    /// Exactly these row keys.
    Keys(Vec<Vec<u8>>),
    /// Row keys from `lower` (inclusive) up to `upper` (exclusive; `None` = the end).
    Range(KeySpan),
    /// Entries of a local index.
    Index {
        index: Arc<Index>,
        span: KeySpan,
    },
    /// The same of several spans, for what changes rows; a scan takes a bitmap. Of the rows themselves where the tree is theirs.
    Entries {
        tree: TreeId,
        spans: Vec<KeySpan>,
    },
}

#[derive(Clone, Debug, Default)]
pub struct KeySpan {
    pub lower: Vec<u8>,
    pub upper: Option<Vec<u8>>,
}

/// One row of one partition, for a transaction whose reads nobody has to remember.
pub struct GetCall {
    pub txn: TxnRef,
    pub lookup: Arc<Lookup>,
    pub key: Vec<u8>,
    /// Of the catalog that it was planned with.
    pub version: u64,
}

/// Rows of one partition, a batch at a time.
pub struct ScanCall {
    pub txn: TxnRef,
    pub scan: Arc<Scan>,
    pub ctx: Arc<Context>,
    pub reach: Reach,
    /// Where the batch before ended.
    pub resume: Option<Resume>,
    /// The pages that it uses are to be counted.
    pub measured: bool,
}

/// Opaque to callers: a key to go on from, or a place in `Reach::Keys`.
#[derive(Clone, Debug)]
pub struct Resume(pub(super) Vec<u8>);

pub struct InsertCall {
    pub txn: TxnRef,
    pub ctx: Arc<Context>,
    pub table: Arc<Table>,
    pub rows: Vec<Row>,
    /// For rows already known to conflict: the keys of the rows that have their place, one each.
    pub existing: Option<Vec<Vec<u8>>>,
    pub on_conflict: Conflict,
    /// Commits at once: no other partition takes part.
    pub commit: bool,
}

/// What to do about a row whose primary key exists.
#[derive(Clone, Debug)]
pub enum Conflict {
    Error,
    Nothing,
    /// Over the existing row's columns followed by the new one's.
    Update {
        assignments: Arc<Vec<Assignment>>,
        filter: Option<Expr>,
    },
    /// Locks the existing row and answers it: the caller decides.
    Lock,
}

/// For a transaction whose reads nobody has to remember.
pub struct EditCall {
    pub txn: TxnRef,
    pub ctx: Arc<Context>,
    pub edit: Arc<Edit>,
    pub aim: Aim,
    /// The statement is its own transaction.
    pub commit: bool,
}

pub struct UpdateCall {
    pub txn: TxnRef,
    pub ctx: Arc<Context>,
    pub table: Arc<Table>,
    pub reach: Reach,
    pub filter: Option<Expr>,
    pub assignments: Arc<Vec<Assignment>>,
    /// The old and new rows are wanted (RETURNING, unique indexes).
    pub rows_wanted: bool,
    pub commit: bool,
    pub resume: Option<Resume>,
}

pub struct DeleteCall {
    pub txn: TxnRef,
    pub ctx: Arc<Context>,
    pub table: Arc<Table>,
    pub reach: Reach,
    pub filter: Option<Expr>,
    pub rows_wanted: bool,
    pub commit: bool,
    pub resume: Option<Resume>,
}

pub struct RewriteCall {
    pub txn: TxnRef,
    pub ctx: Arc<Context>,
    pub table: Arc<Table>,
    /// By their keys; `None`: it is deleted.
    pub rows: Vec<(Vec<u8>, Option<Row>)>,
}

pub enum BuildCall {
    /// Entries for rows that are there: `Filled`.
    Fill(BackfillCall),
    /// A row as a snapshot sees it: `Row`.
    Look {
        txn: TxnRef,
        table: Arc<Table>,
        key: Vec<u8>,
        /// Of the catalog that the table is from.
        version: u64,
    },
    /// Transactions that have locked the table for writing, or whole: `Writers`.
    Writers { table: TableId },
}

/// A run of rows of one partition, in a transaction of its own, which it commits.
pub struct BackfillCall {
    /// Serializable: what it reads must be as it was when its entries are there.
    pub txn: TxnRef,
    pub ctx: Arc<Context>,
    pub table: Arc<Table>,
    /// A local one.
    pub index: Arc<Index>,
    pub rows_max: usize,
    /// One row, under its lock, as it is then.
    pub locked: bool,
    pub resume: Option<Resume>,
}

pub struct UniqueCall {
    pub txn: TxnRef,
    pub table: Arc<Table>,
    /// Of whoever builds the index: the version of the catalog that it goes by. Who changes rows has said so to their partitions.
    pub version: Option<u64>,
    pub changes: Vec<UniqueChange>,
}

pub struct UniqueChange {
    pub index: Arc<Index>,
    /// Encoded indexed columns (then the row's key where one is NULL).
    pub key: Vec<u8>,
    pub change: EntryChange,
    /// The indexed values, for the error's detail.
    pub values: Row,
}

#[derive(Clone, Debug)]
pub enum EntryChange {
    /// Lock the entry and look whether a row has it.
    Check,
    /// Claim the entry for the row of this address; 23505 when another row has it.
    Add { row: Address },
    /// Give up the entry of the row of this address. Where the index is not valid it may be another row's.
    Remove { row: Address },
}

/// Where a row is: its partition and its key there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub partition: PartitionId,
    pub key: Vec<u8>,
}

pub struct AdviseCall {
    /// Its xid is that in whose name the lock is kept.
    pub txn: TxnRef,
    pub key: AdvisoryKey,
    pub shared: bool,
    pub waits: bool,
}

pub struct HoldTableCall {
    pub txn: TxnRef,
    pub table: Arc<Table>,
    /// Nobody else may write.
    pub exclusive: bool,
    pub waits: bool,
}

pub struct SequenceCall {
    pub sequence: Arc<Sequence>,
    pub act: SequenceAct,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SequenceAct {
    /// At most so many values, at least one.
    Next { count: u32 },
    /// `called`: the next value is the one after it.
    Set { value: i64, called: bool },
    /// How far it is, without a change.
    Look,
    /// Whatever is kept under its state's number is nobody's.
    Forget,
}

pub struct LockRowsCall {
    pub txn: TxnRef,
    pub ctx: Arc<Context>,
    pub table: Arc<Table>,
    pub keys: Vec<Vec<u8>>,
    pub lock: RowLock,
    pub wait: LockWait,
}

pub struct ReferencesCall {
    pub txn: TxnRef,
    pub ctx: Arc<Context>,
    pub table: Arc<Table>,
    /// The tree of the unique index that has the keys; `None`: they are primary keys.
    pub index: Option<TreeId>,
    pub keys: Vec<Vec<u8>>,
}

pub struct ReferrersCall {
    /// Its snapshot is one of now.
    pub txn: TxnRef,
    pub table: Arc<Table>,
    /// Whose values the keys are, in that order.
    pub columns: Vec<usize>,
    pub via: Via,
    pub keys: Arc<Vec<Vec<u8>>>,
    /// One row for each key will do.
    pub once: bool,
    pub resume: Option<Resume>,
}

/// How rows are found by some of their columns.
#[derive(Clone, Debug)]
pub enum Via {
    /// All are looked at.
    Rows,
    /// The columns begin the primary key.
    PrimaryKey,
    /// They begin the index.
    Index(Arc<Index>),
}

pub struct EntriesCall {
    pub txn: TxnRef,
    pub table: Arc<Table>,
    pub index: Arc<Index>,
    pub span: KeySpan,
    pub resume: Option<Resume>,
}

pub struct LoadCall {
    pub txn: TxnRef,
    pub table: Arc<Table>,
    pub what: Load,
}

pub enum Load {
    /// Whole rows of the table, into its tree and its local indexes.
    Rows { rows: Vec<Row>, ctx: Arc<Context> },
    /// Entries of one index.
    Entries {
        index: Arc<Index>,
        entries: Vec<LoadEntry>,
    },
}

pub struct LoadEntry {
    pub key: Vec<u8>,
    pub row: Address,
    /// The indexed values, for the error's detail.
    pub values: Row,
}

pub enum Reply {
    /// The row of one key, if there is one.
    Row(Option<Row>),
    /// How many rows (none or one), and what RETURNING says.
    Edited {
        count: u64,
        row: Option<Row>,
    },
    Done,
    Rows {
        batch: RowBatch,
        resume: Option<Resume>,
        /// Zero unless the call is measured.
        pages: Pages,
    },
    /// Of an INSERT: what became of each row, in order.
    Inserted(Vec<Inserted>),
    Modified(Modified),
    /// For each change of a `UniqueCall`: the row that had the entry.
    Holders(Vec<Option<Address>>),
    /// For each key of a `ReferencesCall`: whether a row has it.
    Found(Vec<bool>),
    /// Which of a `ReferrersCall`'s keys, and a row that has it.
    Referrers {
        rows: Vec<(usize, Address)>,
        resume: Option<Resume>,
    },
    /// For each key of a `LockRowsCall`.
    Locked(Vec<Option<Locked>>),
    Addresses {
        rows: Vec<Address>,
        resume: Option<Resume>,
    },
    /// Rows with their keys, for moving a table's rows.
    Keyed {
        rows: Vec<(Vec<u8>, Row)>,
        resume: Option<Resume>,
    },
    Changed(Vec<(TreeId, u64)>),
    /// Of how many rows it is a sample.
    Sample {
        seen: u64,
        rows: Vec<Row>,
    },
    /// Of a `SequenceCall`: the values taken; of `Look` the last one and whether it has been given.
    Sequence {
        values: Vec<i64>,
        called: bool,
    },
    Count(u64),
    /// Rows that were looked at.
    Filled {
        rows: u64,
        resume: Option<Resume>,
    },
    Writers(Vec<Xid>),
    Sealed(Sealed),
    Waits(Vec<Wait>),
    At(Ts),
    Catalog(Arc<Catalogs>),
    Stats(Box<ShardStats>),
    Recovered {
        found: Vec<(PartitionId, crate::txn::recovery::Recovered)>,
        /// Partitions that could not be opened.
        lost: Vec<PartitionId>,
    },
}

impl Reply {
    /// It has values of rows in it, not only how many.
    pub(super) fn tells(&self) -> bool {
        match self {
            Reply::Done | Reply::Count(_) | Reply::At(_) | Reply::Edited { row: None, .. } => false,
            Reply::Modified(done) => !done.changes.is_empty(),
            _ => true,
        }
    }
}

#[derive(Debug)]
pub enum Inserted {
    Row {
        key: Vec<u8>,
        row: Row,
    },
    Skipped,
    /// ON CONFLICT DO UPDATE took the other way.
    Updated(Change),
    /// Its place is taken by the row of this key, which is locked.
    Taken {
        key: Vec<u8>,
        old: Row,
        excluded: Row,
    },
}

/// A row before and after; `new` is `None` when it was deleted.
#[derive(Debug)]
pub struct Change {
    pub key: Vec<u8>,
    pub old: Row,
    pub new: Option<Row>,
    /// Its key changed: it is deleted here and must be inserted where the new key belongs.
    pub moved: bool,
}

#[derive(Debug, Default)]
pub struct Modified {
    pub count: u64,
    /// Where wanted, or moved.
    pub changes: Vec<Change>,
    pub resume: Option<Resume>,
}

/// One shard's numbers.
#[derive(Clone, Debug, Default)]
pub struct ShardStats {
    pub partitions: Vec<PartitionStats>,
    /// Partitions that could not be opened, and why.
    pub lost: Vec<(PartitionId, String)>,
    pub snapshots_open: u64,
    pub calls: u64,
}

#[derive(Clone, Debug)]
pub struct PartitionStats {
    pub partition: PartitionId,
    pub store: StoreStats,
    pub commits: u64,
    pub prepares: u64,
    pub aborts: u64,
    pub conflicts: u64,
    pub versions_pruned: u64,
    pub locks_held: u64,
    pub lock_waiters: u64,
    pub txns_open: u64,
    /// Serializable transactions whose reads are remembered.
    pub readers_open: u64,
    /// Keys that wait for the collection of their older versions.
    pub garbage_queued: u64,
    /// Versions that only a sweep finds.
    pub garbage_missed: u64,
    pub fenced: Option<String>,
}

/// The statement was planned against a table that has changed since: plan it again.
pub fn stale(table: &Table) -> Error {
    Error::new(types::SqlState::SERIALIZATION_FAILURE, STALE).with_table(&table.schema, &table.name)
}

/// The message by which a stale plan is recognised.
pub const STALE: &str =
    "could not serialize access due to a concurrent change of the table's definition";

const _: () = {
    const fn sendable<T: Send>() {}
    sendable::<Envelope>();
    sendable::<ShardReply>();
};
