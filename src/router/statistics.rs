//! ANALYZE: a sample of a table from every partition.

use super::commit::Txn;
use super::{Router, odd};
use engine::catalog::Table;
use engine::catalog::statistics::{SAMPLE_ROWS, Statistics};
use engine::shard::Reply;
use engine::shard::call::PartitionCall;
use engine::txn::Stop;
use std::sync::Arc;
use types::Result;

impl Router {
    pub async fn statistics(
        &self,
        txn: &Txn,
        stop: &Arc<Stop>,
        table: &Arc<Table>,
    ) -> Result<Statistics> {
        let snapshot = self.shard.snapshot();
        let by = engine::txn::TxnRef {
            snapshot: snapshot.ts,
            ..txn.reference(stop)
        };
        let partitions = self.partition_ids().count().max(1);
        let (mut total, mut sample) = (0, Vec::new());
        for partition in self.partition_ids() {
            let call = PartitionCall::Sample {
                txn: by.clone(),
                table: table.clone(),
                rows_max: SAMPLE_ROWS / partitions,
            };
            let Reply::Sample { seen, rows } = self.call(partition, call).await? else {
                return Err(odd());
            };
            total += seen;
            sample.extend(rows);
        }
        Ok(Statistics::of(table, total, &sample))
    }
}
