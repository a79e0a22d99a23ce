//! A change of one row by its key: here, or asked of the shard that has it.
//!
//! Asked by: `session::edit`. Never: writes for a serializable transaction.

use super::{Router, odd};
use engine::shard::call::{EditCall, PartitionCall};
use engine::shard::{Edited, Reply};
use types::{Result, Row};

impl Router {
    /// If this shard has the partition and nothing has to be waited for.
    pub fn edit_here(&self, call: &EditCall) -> Option<Result<Edited>> {
        let done = self.shard.edit_here(call)?;
        self.metrics.statements_single.inc();
        Some(done)
    }

    /// How many rows, and what RETURNING says.
    pub async fn edit(&self, call: EditCall) -> Result<(u64, Option<Row>)> {
        let partition = call.aim.partition;
        self.metrics.statements_single.inc();
        match self.call(partition, PartitionCall::Edit(call)).await? {
            Reply::Edited { count, row } => Ok((count, row)),
            _ => Err(odd()),
        }
    }
}
