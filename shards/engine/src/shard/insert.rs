//! INSERT: each row takes its key's lock, looks whether the key is taken, and is written or meets ON CONFLICT.

use super::call::{Change, Conflict, InsertCall, Inserted, Reply};
use super::constraints::{check, key_taken, row_size};
use super::entries::{row_key, write_local};
use super::update::{assign, generate};
use super::{Shard, ShardReply};
use crate::codec::row;
use crate::exec::eval::{self, Env};
use crate::plan::{Assignment, Expr};
use crate::txn::Partition;
use crate::txn::commit::Decides;
use crate::txn::partition::bump;
use crate::txn::state::TxnState;
use std::rc::Rc;
use types::{Error, Result, Row, SqlState};

impl Shard {
    pub(super) async fn insert(&self, p: &Rc<Partition>, mut call: InsertCall) -> ShardReply {
        let state = self
            .enter(p, &call.txn, &call.table, call.ctx.catalog.version)
            .await?;
        let rows = std::mem::take(&mut call.rows);
        let existing = call.existing.take();
        let mut insert = Insert {
            shard: self,
            p,
            state: &state,
            call: &call,
            layout: call.table.layout(),
            touched: Vec::new(),
        };
        let mut out = Vec::with_capacity(rows.len());
        for (n, row) in rows.into_iter().enumerate() {
            out.push(match &existing {
                Some(keys) => {
                    let key = keys
                        .get(n)
                        .cloned()
                        .ok_or_else(|| Error::internal("a conflict without a key"))?;
                    insert.conflict(key, row).await?
                }
                None => insert.row(row).await?,
            });
            p.relieve(&state).await?;
            if n % 64 == 63 {
                call.txn.stop.check()?;
                runtime::yield_if_needed().await;
            }
        }
        if call.commit {
            p.commit(call.txn.xid, Decides::default()).await?;
        }
        Ok(Reply::Inserted(out))
    }

    /// The key of a new row: its primary key, or a number above every earlier one.
    pub(super) fn new_key(&self, table: &crate::catalog::Table, row: &Row) -> Result<Vec<u8>> {
        if table.has_key() {
            row_key(table, row)
        } else {
            Ok(self.clock.now().0.to_be_bytes().to_vec())
        }
    }
}

/// 21000.
pub fn second_time() -> Error {
    Error::new(
        SqlState::CARDINALITY_VIOLATION,
        "ON CONFLICT DO UPDATE command cannot affect row a second time",
    )
    .with_hint(
        "Ensure that no rows proposed for insertion within the same command have duplicate constrained values.",
    )
}

struct Insert<'a> {
    shard: &'a Shard,
    p: &'a Rc<Partition>,
    state: &'a TxnState,
    call: &'a InsertCall,
    layout: row::Layout,
    /// Keys that DO UPDATE changed in this call.
    touched: Vec<Vec<u8>>,
}

impl Insert<'_> {
    async fn row(&mut self, row: Row) -> Result<Inserted> {
        let table = &self.call.table;
        check(table, &row, &self.call.ctx)?;
        let key = self.shard.new_key(table, &row)?;
        if table.has_key() {
            self.p
                .lock_row(&self.call.txn, self.state, table.id, table.tree, &key)
                .await?;
            if self.current(&key).await?.is_some() {
                return match &self.call.on_conflict {
                    Conflict::Error => Err(key_taken(table, &row, &self.call.ctx)),
                    Conflict::Nothing | Conflict::Update { .. } | Conflict::Lock => {
                        self.conflict(key, row).await
                    }
                };
            }
        }
        if self.updates() {
            self.touched.push(key.clone());
        }
        self.put(&key, None, &row)?;
        Ok(Inserted::Row { key, row })
    }

    /// What ON CONFLICT says for a row whose place the row of `key` has.
    async fn conflict(&mut self, key: Vec<u8>, excluded: Row) -> Result<Inserted> {
        let act = self.call.on_conflict.clone();
        if matches!(act, Conflict::Error | Conflict::Nothing) {
            return Ok(Inserted::Skipped);
        }
        if self.touched.contains(&key) {
            return Err(second_time());
        }
        self.p
            .lock_row(
                &self.call.txn,
                self.state,
                self.call.table.id,
                self.call.table.tree,
                &key,
            )
            .await?;
        // The one that had the place may have gone since; then there is nothing to update.
        let Some(old) = self.current(&key).await? else {
            return Ok(Inserted::Skipped);
        };
        match act {
            Conflict::Error | Conflict::Nothing => Ok(Inserted::Skipped),
            Conflict::Lock => Ok(Inserted::Taken { key, old, excluded }),
            Conflict::Update {
                assignments,
                filter,
            } => {
                let done =
                    self.update(key.clone(), old, excluded, &assignments, filter.as_ref())?;
                if matches!(done, Inserted::Updated(_)) {
                    self.touched.push(key);
                }
                Ok(done)
            }
        }
    }

    fn update(
        &self,
        key: Vec<u8>,
        old: Row,
        excluded: Row,
        assignments: &[Assignment],
        filter: Option<&Expr>,
    ) -> Result<Inserted> {
        let (table, ctx) = (&self.call.table, &self.call.ctx);
        let mut both = old.clone();
        both.extend(excluded);
        if let Some(filter) = filter
            && !eval::eval_bool(filter, &both, &Env { ctx, outer: &[] })?
        {
            return Ok(Inserted::Skipped);
        }
        let mut new = assign(&old, &both, assignments, ctx)?;
        generate(&self.call.table, &mut new, ctx)?;
        check(table, &new, ctx)?;
        if table.has_key() && row_key(table, &new)? != key {
            return Err(Error::unsupported(
                "ON CONFLICT DO UPDATE cannot change the primary key",
            ));
        }
        self.put(&key, Some(&old), &new)?;
        Ok(Inserted::Updated(Change {
            key,
            old,
            new: Some(new),
            moved: false,
        }))
    }

    fn updates(&self) -> bool {
        matches!(
            self.call.on_conflict,
            Conflict::Update { .. } | Conflict::Lock
        )
    }

    fn put(&self, key: &[u8], old: Option<&Row>, new: &Row) -> Result<()> {
        let table = &self.call.table;
        let mut bytes = Vec::new();
        row::encode(new, &self.layout, &mut bytes);
        row_size(&bytes)?;
        write_local(self.state, table, key, old, Some(new), &self.call.ctx)?;
        self.state.write(table.tree, key.to_vec(), Some(bytes))
    }

    /// The row of `key` now, under its lock: the transaction's own, or the newest committed.
    async fn current(&self, key: &[u8]) -> Result<Option<Row>> {
        let (table, txn) = (&self.call.table, &self.call.txn);
        let payload = match self.state.get(table.tree, key).await? {
            Some(own) => own,
            None => match self.p.latest(self.state, table.tree, key).await? {
                Some((ts, payload)) => {
                    let newer = ts > txn.snapshot && payload.is_some();
                    if newer && self.updates() && txn.isolation.keeps_snapshot() {
                        bump(&self.p.counters.conflicts);
                        return Err(super::update::concurrent());
                    }
                    payload
                }
                None => None,
            },
        };
        payload.map(|p| row::decode(&p, &self.layout)).transpose()
    }
}
