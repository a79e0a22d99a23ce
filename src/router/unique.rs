//! Keeping unique indexes in step: their entries live where the indexed values hash to, not with their rows.

use super::commit::Txn;
use super::{Router, odd};
use engine::catalog::{Index, Table};
use engine::codec::key;
use engine::shard::Reply;
use engine::shard::call::{Address, EntryChange, PartitionCall, UniqueCall, UniqueChange};
use engine::shard::entries::{pick, unique_key};
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
    ) -> Result<()> {
        for index in table.indexes.iter().filter(|i| i.unique) {
            let before = old
                .map(|r| unique_key(table, index, r, address))
                .transpose()?;
            let after = new
                .map(|r| unique_key(table, index, r, address))
                .transpose()?;
            if before == after {
                continue;
            }
            if let (Some(key), Some(row)) = (before, old) {
                self.removed
                    .push(change(index, key, row, EntryChange::Remove));
            }
            if let (Some(key), Some(row)) = (after, new) {
                self.added.push(change(
                    index,
                    key,
                    row,
                    EntryChange::Add {
                        row: address.clone(),
                    },
                ));
            }
        }
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.added.is_empty()
    }
}

fn change(index: &Arc<Index>, key: Vec<u8>, row: &Row, change: EntryChange) -> UniqueChange {
    UniqueChange {
        index: index.clone(),
        key,
        change,
        values: pick(row, &index.columns()),
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

    /// Locks the entry `row` would take and answers who has it. A row with a NULL conflicts with none.
    pub(super) async fn holder(
        &self,
        txn: &Txn,
        by: &TxnRef,
        table: &Arc<Table>,
        index: &Arc<Index>,
        row: &Row,
    ) -> Result<Option<Address>> {
        let values = pick(row, &index.columns());
        if values.iter().any(Value::is_null) {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        key::encode(&values, &table.types_of(&index.columns()), &mut bytes)?;
        let check = UniqueChange {
            index: index.clone(),
            key: bytes,
            change: EntryChange::Check,
            values,
        };
        let partition = self.entry_partition(&check);
        txn.takes_part(partition);
        let call = UniqueCall {
            txn: by.clone(),
            table: table.clone(),
            changes: vec![check],
        };
        match self.call(partition, PartitionCall::Unique(call)).await? {
            Reply::Holders(mut holders) => Ok(holders.pop().flatten()),
            _ => Err(odd()),
        }
    }
}
