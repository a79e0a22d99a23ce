//! Entries of unique indexes, in the partition that the indexed values hash to.

use super::call::{Address, EntryChange, Reply, UniqueCall, UniqueChange};
use super::constraints::{duplicate, index_detail};
use super::entries::{decode_address, encode_address};
use super::{Shard, ShardReply};
use crate::txn::Partition;
use crate::txn::locks::Mode;
use crate::txn::state::TxnState;
use std::rc::Rc;
use types::Result;

impl Shard {
    pub(super) async fn unique(&self, p: &Rc<Partition>, call: UniqueCall) -> ShardReply {
        let state = match call.version {
            Some(version) => self.enter(p, &call.txn, &call.table, version).await?,
            None => {
                let state = p.txn(&call.txn);
                p.lock_table(&call.txn, &state, call.table.id, Mode::Shared)
                    .await?;
                state
            }
        };
        let mut holders = Vec::with_capacity(call.changes.len());
        for change in &call.changes {
            let (table, tree) = (call.table.id, change.index.tree);
            p.lock_row(&call.txn, &state, table, tree, &change.key)
                .await?;
            holders.push(one(p, &state, &call, change).await?);
            p.relieve(&state).await?;
        }
        Ok(Reply::Holders(holders))
    }
}

async fn one(
    p: &Partition,
    state: &TxnState,
    call: &UniqueCall,
    change: &UniqueChange,
) -> Result<Option<Address>> {
    let tree = change.index.tree;
    let holder = match state.get(tree, &change.key).await? {
        Some(own) => own,
        None => p
            .latest(state, tree, &change.key)
            .await?
            .and_then(|(_, payload)| payload),
    };
    let holder = holder.map(|payload| decode_address(&payload)).transpose()?;
    match &change.change {
        EntryChange::Check => {}
        EntryChange::Remove { row } => {
            // Without a holder, too: whoever builds the index may have read the row before.
            if holder.as_ref().is_none_or(|h| h == row) {
                state.write(tree, change.key.clone(), None)?;
            }
        }
        EntryChange::Add { row } => {
            if holder.as_ref().is_some_and(|h| h != row) {
                let index = &change.index;
                let utc = types::text::Forms::UTC;
                let detail = index_detail(&call.table, index, &change.values, &utc);
                return Err(duplicate(&call.table, &index.name, &detail));
            }
            state.write(tree, change.key.clone(), Some(encode_address(row)))?;
        }
    }
    Ok(holder)
}
