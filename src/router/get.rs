//! One row by its key: here, or asked of the shard that has it.
//!
//! Asked by: `session::point`. Never: reads for a serializable transaction.

use super::{Router, odd};
use engine::shard::call::{GetCall, PartitionCall};
use engine::shard::{Lookup, Reply};
use types::{PartitionId, Result, Row, Ts, Xid};

impl Router {
    /// As the reader sees it, if this shard has the partition and nothing has to be waited for.
    pub fn row_here(
        &self,
        partition: PartitionId,
        what: (&Lookup, &[u8]),
        reader: (Option<Xid>, Ts),
        version: u64,
    ) -> Option<Result<Option<Row>>> {
        let found = self.shard.row_here(partition, what, reader, version)?;
        self.metrics.statements_single.inc();
        Some(found)
    }

    pub async fn get(&self, partition: PartitionId, call: GetCall) -> Result<Option<Row>> {
        self.metrics.statements_single.inc();
        match self.call(partition, PartitionCall::Get(call)).await? {
            Reply::Row(row) => Ok(row),
            _ => Err(odd()),
        }
    }

    pub fn partitions(&self) -> u16 {
        self.shard.partition_count
    }
}
