//! Row locks of a query: to the partitions of the rows, answered in the rows' order.

use super::modify::WriteEnv;
use super::scan::TxnSource;
use super::{Router, odd};
use engine::catalog::Table;
use engine::exec::Context;
use engine::exec::operators::Locked;
use engine::plan::LockRows;
use engine::shard::Reply;
use engine::shard::call::{HoldTableCall, LockRowsCall, PartitionCall};
use engine::shard::entries::decode_address;
use std::collections::BTreeMap;
use std::sync::Arc;
use types::{Error, PartitionId, Result, SqlState};

impl Router {
    /// LOCK TABLE, in every partition and in their order, so that two of them do not wait for each other.
    pub async fn hold_table(
        &self,
        env: &WriteEnv,
        table: &Arc<Table>,
        exclusive: bool,
        nowait: bool,
    ) -> Result<()> {
        for partition in self.partition_ids() {
            env.txn.takes_part(partition);
            let call = HoldTableCall {
                txn: env.by.clone(),
                table: table.clone(),
                exclusive,
                waits: !nowait,
            };
            let call = PartitionCall::HoldTable(call);
            match self.call(partition, call).await? {
                Reply::Count(1..) => {}
                Reply::Count(_) => {
                    return Err(Error::new(
                        SqlState::LOCK_NOT_AVAILABLE,
                        format!("could not obtain lock on relation \"{}\"", table.name),
                    ));
                }
                _ => return Err(odd()),
            }
        }
        Ok(())
    }
}

impl TxnSource {
    /// One partition after the other, so that two statements over the same rows do not wait for each other.
    pub(super) async fn lock_rows(
        &self,
        spec: &LockRows,
        addresses: Vec<Vec<u8>>,
        ctx: Arc<Context>,
    ) -> Result<Vec<Option<Locked>>> {
        let mut out: Vec<Option<Locked>> = Vec::new();
        out.resize_with(addresses.len(), || None);
        let mut parts: BTreeMap<PartitionId, (Vec<usize>, Vec<Vec<u8>>)> = BTreeMap::new();
        for (place, address) in addresses.iter().enumerate() {
            let address = decode_address(address)?;
            let part = parts.entry(address.partition).or_default();
            part.0.push(place);
            part.1.push(address.key);
        }
        for (partition, (places, keys)) in parts {
            self.owner.locks_in(partition);
            let call = LockRowsCall {
                txn: self.txn.clone(),
                ctx: ctx.clone(),
                table: spec.table.clone(),
                keys,
                lock: spec.lock,
                wait: spec.wait,
            };
            let call = PartitionCall::LockRows(call);
            let Reply::Locked(rows) = self.router.call(partition, call).await? else {
                return Err(odd());
            };
            for (place, row) in places.into_iter().zip(rows) {
                if let Some(slot) = out.get_mut(place) {
                    *slot = row;
                }
            }
        }
        Ok(out)
    }
}
