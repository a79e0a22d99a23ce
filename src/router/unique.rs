//! Keeping unique indexes in step: their entries live where the indexed values hash to, not with their rows.

use super::commit::Txn;
use super::{Router, odd};
use engine::catalog::{Index, Table};
use engine::codec::key;
use engine::exec::Context;
use engine::shard::Reply;
use engine::shard::call::{Address, EntryChange, PartitionCall, UniqueCall, UniqueChange};
use engine::shard::entries::{index_key, indexed, unique_key};
use engine::txn::TxnRef;
use std::collections::BTreeMap;
use std::sync::Arc;
use types::{PartitionId, Result, Row, Value};

/// Changes of unique entries that a statement makes, gathered to be sent together.
#[derive(Default)]
pub struct UniqueDelta {
    removed: Vec<UniqueChange>,
    added: Vec<UniqueChange>,
}

impl UniqueDelta {
    /// A row appears, changes or goes.
    pub fn row(
        &mut self,
        table: &Table,
        address: &Address,
        old: Option<&Row>,
        new: Option<&Row>,
        ctx: &Context,
    ) -> Result<()> {
        for index in table.indexes.iter().filter(|i| i.unique) {
            let entry = |row: Option<&Row>| match row {
                Some(row) => unique_key(table, index, row, address, ctx),
                None => Ok(None),
            };
            let (before, after) = (entry(old)?, entry(new)?);
            if before.as_ref().map(|(key, _)| key) == after.as_ref().map(|(key, _)| key) {
                continue;
            }
            if let Some(entry) = before {
                let row = address.clone();
                let remove = EntryChange::Remove { row };
                self.removed.push(change(index, entry, remove));
            }
            if let Some(entry) = after {
                let row = address.clone();
                self.added
                    .push(change(index, entry, EntryChange::Add { row }));
            }
        }
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.added.is_empty()
    }
}

fn change(index: &Arc<Index>, (key, values): (Vec<u8>, Row), change: EntryChange) -> UniqueChange {
    UniqueChange {
        index: index.clone(),
        key,
        change,
        values,
    }
}

impl Router {
    /// Removals first, so that values may pass from one row to another within a statement.
    pub(super) async fn settle_unique(
        &self,
        txn: &Txn,
        by: &TxnRef,
        table: &Arc<Table>,
        delta: UniqueDelta,
    ) -> Result<()> {
        self.send_unique(txn, by, table, delta.removed).await?;
        self.send_unique(txn, by, table, delta.added).await
    }

    async fn send_unique(
        &self,
        txn: &Txn,
        by: &TxnRef,
        table: &Arc<Table>,
        changes: Vec<UniqueChange>,
    ) -> Result<()> {
        let mut parts: BTreeMap<PartitionId, Vec<UniqueChange>> = BTreeMap::new();
        for change in changes {
            parts
                .entry(self.entry_partition(&change))
                .or_default()
                .push(change);
        }
        for (partition, changes) in parts {
            txn.takes_part(partition);
            let call = UniqueCall {
                txn: by.clone(),
                table: table.clone(),
                version: None,
                changes,
            };
            self.call(partition, PartitionCall::Unique(call)).await?;
        }
        Ok(())
    }

    /// Where an entry lives: by its indexed values alone, so that equal values meet.
    fn entry_partition(&self, change: &UniqueChange) -> PartitionId {
        key::partition(&change.key, self.shard.partition_count)
    }

    /// Locks the entry `row` would take and answers who has it. A row without an entry conflicts with none, nor does one with
    /// a NULL where NULLs are distinct.
    pub(super) async fn holder(
        &self,
        txn: &Txn,
        by: &TxnRef,
        table: &Arc<Table>,
        index: &Arc<Index>,
        row: &Row,
        ctx: &Context,
    ) -> Result<Option<Address>> {
        let Some(values) = indexed(index, row, ctx)? else {
            return Ok(None);
        };
        if !index.nulls_not_distinct && values.iter().any(Value::is_null) {
            return Ok(None);
        }
        let check = UniqueChange {
            index: index.clone(),
            key: index_key(table, index, &values)?,
            change: EntryChange::Check,
            values,
        };
        let partition = self.entry_partition(&check);
        txn.takes_part(partition);
        let call = UniqueCall {
            txn: by.clone(),
            table: table.clone(),
            version: None,
            changes: vec![check],
        };
        match self.call(partition, PartitionCall::Unique(call)).await? {
            Reply::Holders(mut holders) => Ok(holders.pop().flatten()),
            _ => Err(odd()),
        }
    }
}
