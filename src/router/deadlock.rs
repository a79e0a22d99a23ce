//! Deadlocks over several partitions.
//!
//! Owns: the gathering of all shards' waits when a statement has waited long for a lock of this shard, and the ending of one
//! of a cycle, with 40P01 and the cycle as its detail. Asked by: nobody; one task a shard, asleep while nobody waits long.
//! Never: runs for a wait shorter than the timeout. Bounds: one gathering at a time, at most one every `PAUSE`.

use super::{Router, odd};
use engine::shard::{Reply, ShardCall};
use engine::txn::deadlock::{self, Wait};
use std::rc::Weak;
use std::time::Duration;
use types::Result;

const PAUSE: Duration = Duration::from_millis(50);

/// Runs as long as the shard.
pub async fn watch(router: Weak<Router>) {
    loop {
        let Some(suspects) = router.upgrade().map(|r| r.shard.suspects().clone()) else {
            return;
        };
        let suspects = suspects.taken().await;
        let Some(router) = router.upgrade() else {
            return;
        };
        if let Err(error) = router.end_deadlocks(&suspects).await {
            tracing::warn!(%error, "deadlocks were not looked for; the next wait tries again");
        }
        runtime::sleep(PAUSE).await;
    }
}

impl Router {
    async fn end_deadlocks(&self, suspects: &[types::Xid]) -> Result<()> {
        let waits = self.waits().await?;
        let cycles = suspects.iter().filter_map(|s| deadlock::cycle(&waits, *s));
        let cycles: Vec<Vec<Wait>> = cycles.collect();
        if cycles.is_empty() {
            return Ok(());
        }
        let again = self.waits().await?;
        for cycle in cycles {
            let Some(victim) = deadlock::victim(&cycle) else {
                continue;
            };
            if deadlock::goes_on(&cycle, &again) {
                let call = ShardCall::EndWait {
                    wait: victim.clone(),
                    cycle: self.described(&cycle),
                };
                self.ask(self.shard.owner(victim.partition), call).await?;
            }
        }
        Ok(())
    }

    async fn waits(&self) -> Result<Vec<Wait>> {
        let mut all = Vec::new();
        for reply in self.ask_all(|| ShardCall::Waits).await? {
            let Reply::Waits(waits) = reply else {
                return Err(odd());
            };
            all.extend(waits);
        }
        Ok(all)
    }

    /// A line for each wait.
    fn described(&self, cycle: &[Wait]) -> String {
        let catalogs = self.shard.catalogs();
        let line = |(at, wait): (usize, &Wait)| {
            let table = match catalogs.table(wait.table) {
                Some(table) => format!("table \"{}\"", table.name),
                None => format!("relation {}", wait.table),
            };
            let what = if wait.row { "a row of " } else { "" };
            let by = cycle[(at + 1) % cycle.len()].waiter;
            format!(
                "Transaction {} waits for {what}{table} in partition {}; blocked by transaction {by}.",
                wait.waiter, wait.partition
            )
        };
        let lines: Vec<String> = cycle.iter().enumerate().map(line).collect();
        lines.join("\n")
    }
}
