//! Opening a partition: the last checkpoint, then the WAL from where it says.
//!
//! Owns: redo. Every record that commits is put into the trees again; a put of a version is idempotent, so replaying what the
//! checkpoint already holds changes nothing. What was prepared and not decided is reinstated and reported: the caller
//! asks the coordinating partition and resolves it before anything is served.

use super::deadlock::Suspects;
use super::partition::Partition;
use super::record::{self, Record, WriteOp};
use super::{Clock, Options, Snapshots, versions};
use hashbrown::HashMap;
use std::rc::Rc;
use storage::{Replay, Store};
use types::{Error, Lsn, PartitionId, Result, SqlState, Ts, Xid};

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
    /// Above every tree there is, named by the catalog or not.
    pub trees_end: u32,
}

/// What a transaction logged before its Commit or Prepare record, and in it.
struct Logged {
    start: Lsn,
    /// Positions of its chunks: they are read again when it is known what became of it.
    chunks: Vec<Lsn>,
    ops: Vec<WriteOp>,
}

struct Prepared {
    ts: Ts,
    coordinator: PartitionId,
    logged: Logged,
}

/// Opens (or creates) the partition in `dir` and redoes its WAL.
pub async fn open(
    id: PartitionId,
    dir: runtime::Dir,
    options: &Options,
    clock: Rc<Clock>,
    snapshots: Rc<Snapshots>,
    suspects: Rc<Suspects>,
) -> Result<(Rc<Partition>, Recovered)> {
    let (store, replay) = Store::open(dir, options.storage.clone()).await?;
    let partition = Rc::new(Partition::new(
        id, store, clock, snapshots, suspects, options,
    ));
    let mut found = Recovered::default();
    if let Ok(stamp) = <[u8; 8]>::try_from(partition.store.meta().as_slice()) {
        found.newest = Ts(u64::from_le_bytes(stamp));
    }
    let mut redo = Redo {
        partition: &partition,
        replay,
        until: options.restore_to.unwrap_or(Ts(u64::MAX)),
        chunks: HashMap::new(),
        prepared: HashMap::new(),
    };
    while let Some((start, bytes)) = redo.replay.next().await? {
        found.records += 1;
        redo.record(start, record::decode(&bytes)?, &mut found)
            .await?;
    }
    for (xid, p) in std::mem::take(&mut redo.prepared) {
        found.in_doubt.push((xid, p.coordinator));
        redo.reinstate(xid, p).await?;
    }
    if options.restore_to.is_some() {
        // A log needs a first segment, to be told from one that is missing.
        let at = partition.store.append(&record::mark(found.newest))?;
        partition.store.durable(at.end).await?;
    }
    Ok((partition, found))
}

struct Redo<'a> {
    partition: &'a Partition,
    replay: Replay,
    /// What was committed later never was.
    until: Ts,
    chunks: HashMap<Xid, Vec<Lsn>>,
    prepared: HashMap<Xid, Prepared>,
}

impl Redo<'_> {
    async fn record(&mut self, start: Lsn, record: Record, found: &mut Recovered) -> Result<()> {
        match record {
            Record::Chunk { xid, .. } => self.chunks.entry(xid).or_default().push(start),
            Record::Commit {
                xid,
                ts,
                participants,
                ops,
            } => {
                found.newest = found.newest.max(ts);
                if ts > self.until {
                    self.chunks.remove(&xid);
                    return Ok(());
                }
                if !participants.is_empty() {
                    self.partition.pin(start);
                    self.partition
                        .decisions
                        .borrow_mut()
                        .insert(xid, (ts, start));
                    found.decisions.push((xid, ts));
                }
                let logged = self.logged(xid, start, ops);
                self.redo(ts, logged).await?;
            }
            Record::Prepare {
                xid,
                ts,
                coordinator,
                ops,
            } => {
                found.newest = found.newest.max(ts);
                let logged = self.logged(xid, start, ops);
                let prepared = Prepared {
                    ts,
                    coordinator,
                    logged,
                };
                self.prepared.insert(xid, prepared);
            }
            Record::CommitPrepared { xid, ts } => {
                found.newest = found.newest.max(ts);
                if let Some(p) = self.prepared.remove(&xid)
                    && ts <= self.until
                {
                    self.redo(ts, p.logged).await?;
                }
            }
            Record::AbortPrepared { xid } => {
                self.prepared.remove(&xid);
            }
            Record::Mark { ts } => found.newest = found.newest.max(ts),
            Record::Unlogged { .. } => {}
        }
        Ok(())
    }

    fn logged(&mut self, xid: Xid, start: Lsn, ops: Vec<WriteOp>) -> Logged {
        let chunks = self.chunks.remove(&xid).unwrap_or_default();
        Logged {
            start: chunks.first().copied().unwrap_or(start),
            chunks,
            ops,
        }
    }

    async fn chunk(&self, at: Lsn) -> Result<Vec<WriteOp>> {
        match record::decode(&self.replay.again(at).await?)? {
            Record::Chunk { ops, .. } => Ok(ops),
            _ => Err(Error::new(
                SqlState::DATA_CORRUPTED,
                format!("the log record at {at} is not the chunk it was"),
            )),
        }
    }

    async fn redo(&self, ts: Ts, logged: Logged) -> Result<()> {
        for at in &logged.chunks {
            self.put(ts, &self.chunk(*at).await?).await?;
        }
        self.put(ts, &logged.ops).await
    }

    /// Undecided: its writes wait as they did before the crash.
    async fn reinstate(&self, xid: Xid, p: Prepared) -> Result<()> {
        let state = self.partition.new_txn(xid);
        for at in &p.logged.chunks {
            for op in self.chunk(*at).await? {
                state.write(op.tree, op.key, op.value)?;
            }
            self.partition.relieve(&state).await?;
        }
        for op in p.logged.ops {
            state.write(op.tree, op.key, op.value)?;
        }
        self.partition.reinstate(state, p.ts, p.logged.start);
        Ok(())
    }

    async fn put(&self, ts: Ts, ops: &[WriteOp]) -> Result<()> {
        for op in ops {
            let cell = versions::cell_key(&op.key, ts);
            self.partition
                .store
                .put(op.tree, &cell, &versions::cell_value(op.value.as_deref()))
                .await?;
            self.partition.garbage.push(ts, op.tree, &op.key);
        }
        Ok(())
    }
}
