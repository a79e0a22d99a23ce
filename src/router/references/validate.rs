//! A foreign key that becomes one: the rows that are there already.
//!
//! Owns: the pass over the referring table. Asked by: `define`, which keeps both tables from being written meanwhile.
//! Bounds: the keys of so many rows at a time as `LOOK_BYTES` hold.

use super::super::{Router, odd};
use super::Keys;
use super::pending::{Batch, LOOK_BYTES};
use engine::codec::key;
use engine::shard::Reply;
use engine::shard::call::PartitionCall;
use engine::shard::entries::pick;
use types::{Result, TableId};

impl Router {
    /// 23503 for a row of `table` that refers to nothing by the foreign key of this oid.
    pub(in crate::router) async fn all_refer(
        &self,
        env: &Keys<'_>,
        table: TableId,
        oid: u32,
    ) -> Result<()> {
        let Some((table, of)) = env.ctx.catalog.foreign_key(table, oid) else {
            return Ok(());
        };
        let types = table.types_of(&of.columns);
        let mut batch = Batch::default();
        for partition in self.partition_ids() {
            let mut resume = None;
            loop {
                let call = PartitionCall::Export {
                    txn: env.by.clone(),
                    table: table.clone(),
                    resume,
                };
                let Reply::Keyed { rows, resume: next } = self.call(partition, call).await? else {
                    return Err(odd());
                };
                for (_, row) in rows {
                    let values = pick(&row, &of.columns);
                    let nulls = values.iter().filter(|v| v.is_null()).count();
                    if nulls > 0 {
                        if of.full && nulls < values.len() {
                            return Err(super::pending::mixed(table, of));
                        }
                        continue;
                    }
                    let mut bytes = Vec::new();
                    key::encode(&values, &types, &mut bytes)?;
                    batch.want((table.id, oid), bytes, values)?;
                }
                if batch.bytes() > LOOK_BYTES {
                    self.present_all(env, &mut batch).await?;
                }
                env.by.stop.check()?;
                resume = next;
                if resume.is_none() {
                    break;
                }
            }
        }
        self.present_all(env, &mut batch).await
    }

    async fn present_all(&self, env: &Keys<'_>, batch: &mut Batch) -> Result<()> {
        for (id, keys) in batch.take_wanted() {
            self.present(env, id, keys).await?;
        }
        Ok(())
    }
}
