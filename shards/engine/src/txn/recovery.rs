//! Opening a partition: the last checkpoint, then the WAL from where it says.
//!
//! Owns: redo. Every record that commits is put into the trees again; a put of a version is idempotent, so replaying what the
//! checkpoint already holds changes nothing. What was prepared and not decided is reinstated and reported: the caller
//! asks the coordinating partition and resolves it before anything is served.

use super::partition::{Partition, TxnState};
use super::record::{self, Record, WriteOp};
use super::writes::WriteSet;
use super::{Clock, Options, Snapshots, versions};
use hashbrown::HashMap;
use std::rc::Rc;
use storage::Store;
use types::{Lsn, PartitionId, Result, Ts, Xid};

/// What opening a partition found.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Newest timestamp in the checkpoint or the WAL.
    pub newest: Ts,
    /// Prepared here without a decision, and who decides.
    pub in_doubt: Vec<(Xid, PartitionId)>,
    /// Decisions taken here that participants may not have carried out.
    pub decisions: Vec<(Xid, Ts)>,
    pub records: u64,
}

struct Prepared {
    ts: Ts,
    coordinator: PartitionId,
    start: Lsn,
    ops: Vec<WriteOp>,
}

/// Opens (or creates) the partition in `dir` and redoes its WAL.
pub async fn open(
    id: PartitionId,
    dir: runtime::Dir,
    options: &Options,
    clock: Rc<Clock>,
    snapshots: Rc<Snapshots>,
) -> Result<(Rc<Partition>, Recovered)> {
    let (store, mut replay) = Store::open(dir, options.storage.clone()).await?;
    let partition = Rc::new(Partition::new(
        id,
        store,
        clock,
        snapshots,
        options.txn_write_bytes_max,
    ));
    let mut found = Recovered::default();
    if let Ok(stamp) = <[u8; 8]>::try_from(partition.store.meta().as_slice()) {
        found.newest = Ts(u64::from_le_bytes(stamp));
    }
    let mut redo = Redo {
        partition: &partition,
        chunks: HashMap::new(),
        prepared: HashMap::new(),
    };
    while let Some((start, bytes)) = replay.next().await? {
        found.records += 1;
        redo.record(start, record::decode(&bytes)?, &mut found)
            .await?;
    }
    for (xid, p) in redo.prepared {
        let state = TxnState::new(xid, WriteSet::default());
        for op in p.ops {
            state.write(op.tree, op.key, op.value)?;
        }
        partition.reinstate(state, p.ts, p.start);
        found.in_doubt.push((xid, p.coordinator));
    }
    Ok((partition, found))
}

struct Redo<'a> {
    partition: &'a Partition,
    chunks: HashMap<Xid, (Lsn, Vec<WriteOp>)>,
    prepared: HashMap<Xid, Prepared>,
}

impl Redo<'_> {
    async fn record(&mut self, start: Lsn, record: Record, found: &mut Recovered) -> Result<()> {
        match record {
            Record::Chunk { xid, mut ops } => {
                self.chunks
                    .entry(xid)
                    .or_insert_with(|| (start, Vec::new()))
                    .1
                    .append(&mut ops);
            }
            Record::Commit {
                xid,
                ts,
                participants,
                ops,
            } => {
                found.newest = found.newest.max(ts);
                if !participants.is_empty() {
                    self.partition.pin(start);
                    self.partition
                        .decisions
                        .borrow_mut()
                        .insert(xid, (ts, start));
                    found.decisions.push((xid, ts));
                }
                let (_, ops) = self.with_chunks(xid, start, ops);
                self.put(ts, &ops).await?;
            }
            Record::Prepare {
                xid,
                ts,
                coordinator,
                ops,
            } => {
                found.newest = found.newest.max(ts);
                let (start, ops) = self.with_chunks(xid, start, ops);
                self.prepared.insert(
                    xid,
                    Prepared {
                        ts,
                        coordinator,
                        start,
                        ops,
                    },
                );
            }
            Record::CommitPrepared { xid, ts } => {
                found.newest = found.newest.max(ts);
                if let Some(p) = self.prepared.remove(&xid) {
                    self.put(ts, &p.ops).await?;
                }
            }
            Record::AbortPrepared { xid } => {
                self.prepared.remove(&xid);
            }
        }
        Ok(())
    }

    fn with_chunks(&mut self, xid: Xid, start: Lsn, mut ops: Vec<WriteOp>) -> (Lsn, Vec<WriteOp>) {
        match self.chunks.remove(&xid) {
            Some((first, mut earlier)) => {
                earlier.append(&mut ops);
                (first, earlier)
            }
            None => (start, ops),
        }
    }

    async fn put(&self, ts: Ts, ops: &[WriteOp]) -> Result<()> {
        for op in ops {
            let cell = versions::cell_key(&op.key, ts);
            self.partition
                .store
                .put(op.tree, &cell, &versions::cell_value(op.value.as_deref()))
                .await?;
        }
        Ok(())
    }
}
