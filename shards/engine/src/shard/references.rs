//! Foreign keys where the rows are: whether referenced keys exist, and which rows refer to a key.
//!
//! Owns: the lock of a referenced key. It is not its row's: changes that leave the key alone do not take it, so children
//! come and go beside them. Who refers to a key shares it; who takes a key away, or locks the row FOR UPDATE, has it alone.
//! A primary key's is named by the index's oid; the key of a unique index is its entry, and so is its lock.
//! Asked by: the router, once a statement (or batch) for many keys. Never: decides what a missing key or a child means.
//! Bounds: an answer has at most `BATCH_ROWS_MAX` rows and goes on from where it ended.

use super::call::{Address, ReferencesCall, ReferrersCall, Reply, Resume, Via, stale};
use super::cursor::Cursor;
use super::entries::{decode_address, pick};
use super::update::concurrent;
use super::{Shard, ShardReply};
use crate::catalog::Table;
use crate::codec::{key, row};
use crate::txn::locks::Mode;
use crate::txn::partition::bump;
use crate::txn::state::TxnState;
use crate::txn::{Isolation, Partition, TxnRef};
use hashbrown::HashMap;
use std::ops::ControlFlow;
use std::rc::Rc;
use types::limits::BATCH_ROWS_MAX;
use types::{Error, Result, SqlState, TreeId, Value};

/// What a primary key's locks are taken under beside its rows'; no tree has this number.
pub fn key_locks(table: &Table) -> TreeId {
    TreeId(table.primary_key_id.0)
}

/// Nobody refers to the key from now on.
pub async fn lock_key(
    p: &Partition,
    txn: &TxnRef,
    state: &TxnState,
    table: &Table,
    key: &[u8],
) -> Result<()> {
    p.lock_row(txn, state, table.id, key_locks(table), key)
        .await
}

impl Shard {
    /// Shares the keys' locks, and answers for each whether there is a row that has it.
    pub(super) async fn references(&self, p: &Rc<Partition>, call: ReferencesCall) -> ShardReply {
        let (txn, table) = (&call.txn, &call.table);
        let version = call.ctx.catalog.version;
        let state = self.enter(p, txn, table, version).await?;
        let (tree, locks) = match call.index {
            Some(tree) => (tree, tree),
            None => (table.tree, key_locks(table)),
        };
        for key in &call.keys {
            txn.stop.check()?;
            p.lock_row_as(txn, &state, table.id, locks, key, Mode::Shared)
                .await?;
        }
        // Only under the locks: what is there now stays, what is not has gone or is not committed yet.
        let snapshot = self.snapshot();
        let now = TxnRef {
            snapshot: snapshot.ts,
            isolation: Isolation::ReadCommitted,
            ..txn.clone()
        };
        let then = TxnRef {
            isolation: Isolation::ReadCommitted,
            ..txn.clone()
        };
        let mut found = Vec::with_capacity(call.keys.len());
        for (n, key) in call.keys.iter().enumerate() {
            let mut there = p.read(&now, tree, key).await?.is_some();
            if txn.isolation.keeps_snapshot() {
                let was = p.read(&then, tree, key).await?.is_some();
                if was && !there {
                    bump(&p.counters.conflicts);
                    return Err(concurrent());
                }
                there &= was;
            }
            found.push(there);
            if n % 64 == 63 {
                txn.stop.check()?;
                runtime::yield_if_needed().await;
            }
        }
        // A definition change may have come between two locks, before the table was locked here.
        self.live(table, version).map_err(|_| stale(table))?;
        Ok(Reply::Found(found))
    }

    /// Rows whose columns have one of the keys, as the snapshot sees them.
    pub(super) async fn referrers(&self, p: &Rc<Partition>, call: ReferrersCall) -> ShardReply {
        let search = Search {
            p,
            call: &call,
            rows: Vec::new(),
            hit: vec![false; call.keys.len()],
        };
        let (rows, resume) = match &call.via {
            Via::Rows => search.all().await?,
            Via::PrimaryKey => search.prefixes(call.table.tree, Entry::Row).await?,
            Via::Index(index) => {
                let entry = match index.unique {
                    true => Entry::Address,
                    false => Entry::RowKey,
                };
                search.prefixes(index.tree, entry).await?
            }
        };
        Ok(Reply::Referrers { rows, resume })
    }
}

/// What a cell that begins with a key says about the row.
#[derive(Clone, Copy)]
enum Entry {
    /// It is the row.
    Row,
    /// Its payload is the row's key.
    RowKey,
    /// Its payload is the row's address.
    Address,
}

struct Search<'a> {
    p: &'a Rc<Partition>,
    call: &'a ReferrersCall,
    /// Which of the keys, and the row.
    rows: Vec<(usize, Address)>,
    /// For each key: whether there is a row already.
    hit: Vec<bool>,
}

type Found = (Vec<(usize, Address)>, Option<Resume>);

impl Search<'_> {
    fn full(&self) -> bool {
        self.rows.len() >= BATCH_ROWS_MAX
    }

    fn found(&mut self, n: usize, address: Address) {
        if !(self.call.once && std::mem::replace(&mut self.hit[n], true)) {
            self.rows.push((n, address));
        }
    }

    /// Every row is looked at.
    async fn all(mut self) -> Result<Found> {
        let call = self.call;
        let table = &call.table;
        let keys = call.keys.iter().enumerate();
        let keys: HashMap<&[u8], usize> = keys.map(|(n, key)| (key.as_slice(), n)).collect();
        let types = table.types_of(&call.columns);
        let layout = table.layout();
        let from = call.resume.as_ref().map_or_else(Vec::new, |r| r.0.clone());
        let mut cursor = Cursor::open(self.p, &call.txn, table.tree, from, None).await?;
        while cursor
            .run(&mut |row_key, payload| {
                let values = pick(&row::decode(payload, &layout)?, &call.columns);
                if values.iter().any(Value::is_null) {
                    return Ok(ControlFlow::Continue(()));
                }
                let mut bytes = Vec::new();
                key::encode(&values, &types, &mut bytes)?;
                if let Some(n) = keys.get(bytes.as_slice()) {
                    let address = Address {
                        partition: self.p.id,
                        key: row_key.to_vec(),
                    };
                    self.found(*n, address);
                }
                Ok(match self.full() {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                })
            })
            .await?
        {}
        let resume = cursor.position().map(Resume);
        Ok((self.rows, resume))
    }

    /// Each key is looked up.
    async fn prefixes(mut self, tree: TreeId, entry: Entry) -> Result<Found> {
        let call = self.call;
        let (first, mut from) = match &call.resume {
            Some(resume) => split(resume)?,
            None => (0, None),
        };
        for (n, prefix) in call.keys.iter().enumerate().skip(first) {
            let start = from.take().unwrap_or_else(|| prefix.clone());
            let end = key::after_prefix(prefix);
            let mut cursor = Cursor::open(self.p, &call.txn, tree, start, end).await?;
            while cursor
                .run(&mut |cell, payload| {
                    let address = match entry {
                        Entry::Row => Address {
                            partition: self.p.id,
                            key: cell.to_vec(),
                        },
                        Entry::RowKey => Address {
                            partition: self.p.id,
                            key: payload.to_vec(),
                        },
                        Entry::Address => decode_address(payload)?,
                    };
                    self.found(n, address);
                    Ok(match self.call.once || self.full() {
                        true => ControlFlow::Break(()),
                        false => ControlFlow::Continue(()),
                    })
                })
                .await?
            {}
            if call.once && self.hit[n] && !self.full() {
                continue;
            }
            if let Some(position) = cursor.position() {
                let mut at = (n as u64).to_be_bytes().to_vec();
                at.extend_from_slice(&position);
                return Ok((self.rows, Some(Resume(at))));
            }
        }
        Ok((self.rows, None))
    }
}

/// Which key, and where in its range.
fn split(resume: &Resume) -> Result<(usize, Option<Vec<u8>>)> {
    match resume.0.split_first_chunk::<8>() {
        Some((n, position)) => Ok((u64::from_be_bytes(*n) as usize, Some(position.to_vec()))),
        None => Err(Error::new(
            SqlState::INTERNAL_ERROR,
            "a look-up goes on from nowhere",
        )),
    }
}
