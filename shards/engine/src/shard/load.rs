//! Rows and entries put straight into trees that only the loading transaction can reach.
//!
//! Owns: the way around transactions' memory, and around the WAL where nobody needs it for a backup, for COPY into a table made or truncated in the same transaction, for building an index and
//! for rewriting a table. The cells are stamped `FROZEN`; they become reachable when the catalog that names their tree
//! commits, and a partition with such cells makes a checkpoint before its commit or prepare record. A crash before that
//! leaves a tree that no catalog names, which start drops.

use super::call::{Address, Load, LoadCall, LoadEntry, Reply};
use super::constraints::{check, duplicate, index_detail, key_detail, row_size};
use super::entries::{encode_address, local_key, pick, unique_key};
use super::{Shard, ShardReply};
use crate::catalog::{Index, Table};
use crate::codec::row;
use crate::exec::Context;
use crate::txn::record::Ops;
use crate::txn::state::TxnState;
use crate::txn::{Partition, TxnRef, versions};
use std::cell::RefCell;
use std::rc::Rc;
use types::{Error, Result, Row, SqlState, TreeId, Ts};

impl Shard {
    pub(super) async fn load(&self, p: &Rc<Partition>, call: LoadCall) -> ShardReply {
        let txn = call.txn;
        let state = p.txn(&txn);
        state.active()?;
        state.loaded.set(true);
        let log = p.load_log(&state);
        let indexes = call.table.indexes.iter().map(|i| i.tree);
        let mut trees: Vec<TreeId> = indexes.chain([call.table.tree]).collect();
        if let Load::Entries { index, .. } = &call.what {
            trees.push(index.tree);
        }
        let _loading = p.load_into(trees);
        let loader = Loader {
            p,
            state: &state,
            table: &call.table,
            layout: call.table.layout(),
            log: log.map(RefCell::new),
        };
        let mut count = 0;
        match call.what {
            Load::Rows { rows, ctx } => {
                p.loaded(call.table.tree, rows.len());
                for row in rows {
                    let key = self.new_key(&call.table, &row)?;
                    loader.row(&key, &row, &ctx).await?;
                    count += 1;
                    pause(count, &txn).await?;
                }
            }
            Load::Entries { index, entries } => {
                for entry in entries {
                    loader.entry(&index, entry).await?;
                    count += 1;
                    pause(count, &txn).await?;
                }
            }
        }
        if let Some(log) = loader.log {
            p.log_loaded(&state, log.into_inner()).await?;
        }
        Ok(Reply::Count(count))
    }
}

async fn pause(count: u64, txn: &TxnRef) -> Result<()> {
    if count.is_multiple_of(128) {
        txn.stop.check()?;
        runtime::yield_if_needed().await;
    }
    Ok(())
}

struct Loader<'a> {
    p: &'a Partition,
    state: &'a TxnState,
    table: &'a Table,
    layout: row::Layout,
    /// What is to be logged.
    log: Option<RefCell<Ops>>,
}

impl Loader<'_> {
    async fn row(&self, key: &[u8], row: &Row, ctx: &Context) -> Result<()> {
        let table = self.table;
        check(table, row, ctx)?;
        if table.has_key() && self.taken(table.tree, key).await? {
            let values = pick(row, &table.primary_key);
            let forms = &ctx.session.forms;
            let detail = key_detail(table, &table.primary_key, &values, forms);
            return Err(duplicate(table, &table.primary_key_name, &detail));
        }
        let mut bytes = Vec::new();
        row::encode(row, &self.layout, &mut bytes);
        row_size(&bytes)?;
        self.put(table.tree, key, &bytes).await?;
        for index in table.indexes.iter().filter(|i| !i.unique) {
            if let Some(entry) = local_key(table, index, row, key, ctx)? {
                self.put(index.tree, &entry, key).await?;
            }
        }
        Ok(())
    }

    async fn entry(&self, index: &Index, entry: LoadEntry) -> Result<()> {
        if !index.unique {
            return self.put(index.tree, &entry.key, &entry.row.key).await;
        }
        if self.taken(index.tree, &entry.key).await? {
            let utc = types::text::Forms::UTC;
            let detail = index_detail(self.table, index, &entry.values, &utc);
            return Err(Error::new(
                SqlState::UNIQUE_VIOLATION,
                format!("could not create unique index \"{}\"", index.name),
            )
            .with_detail(format!("{detail} is duplicated."))
            .with_table(&self.table.schema, &self.table.name)
            .with_constraint(&index.name));
        }
        self.put(index.tree, &entry.key, &encode_address(&entry.row))
            .await
    }

    async fn put(&self, tree: TreeId, key: &[u8], payload: &[u8]) -> Result<()> {
        // It may have been rolled back meanwhile; its trees are then about to be dropped.
        self.state.active()?;
        if let Some(log) = &self.log {
            let full = {
                let mut ops = log.borrow_mut();
                ops.push(tree, key, &Some(payload.to_vec()));
                ops.is_full().then(|| std::mem::take(&mut *ops))
            };
            if let Some(ops) = full {
                self.p.log_loaded(self.state, ops).await?;
            }
        }
        let cell = versions::cell_key(key, versions::FROZEN);
        self.p
            .store
            .put(tree, &cell, &versions::cell_value(Some(payload)))
            .await
            .map_err(Error::from)
    }

    /// Whether the transaction has the key already, loaded or written.
    async fn taken(&self, tree: TreeId, key: &[u8]) -> Result<bool> {
        if let Some(own) = self.state.get(tree, key).await? {
            return Ok(own.is_some());
        }
        let newest = versions::newest(&self.p.store, tree, key, Ts(u64::MAX)).await?;
        Ok(newest.is_some_and(|(_, payload)| payload.is_some()))
    }
}

/// The entry that a row of address `row` has in `index`, if it has one.
pub fn entry_of(
    table: &Table,
    index: &Index,
    values: &Row,
    row: Address,
    ctx: &Context,
) -> Result<Option<LoadEntry>> {
    let entry = match index.unique {
        true => unique_key(table, index, values, &row, ctx)?,
        false => local_key(table, index, values, &row.key, ctx)?.map(|key| (key, Row::new())),
    };
    Ok(entry.map(|(key, values)| LoadEntry { key, row, values }))
}
