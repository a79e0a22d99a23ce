//! What shard 0 does once every shard has recovered its partitions and before any of them serves.
//!
//! Owns: the clock's base (above every timestamp on disk), the fate of transactions in doubt (what their coordinator's
//! partition decided; nothing found means aborted), and the first catalog. A partition that could not be opened leaves
//! the others to serve, unless it is partition 0, which has the catalog.

use crate::router::Router;
use engine::shard::call::{PartitionCall, Resolution};
use engine::shard::{Reply, ShardCall};
use engine::txn::Clock;
use engine::txn::recovery::Recovered;
use std::collections::HashMap;
use std::sync::Arc;
use types::{Error, PartitionId, Result, ShardId, Ts, Xid};

pub async fn begin(router: &Router) -> Result<()> {
    let mut found: Vec<(PartitionId, Recovered)> = Vec::new();
    let mut lost: Vec<PartitionId> = Vec::new();
    for reply in router.ask_all(|| ShardCall::Recovered).await? {
        let Reply::Recovered {
            found: partitions,
            lost: unopened,
        } = reply
        else {
            return Err(odd());
        };
        found.extend(partitions);
        lost.extend(unopened);
    }
    let newest = found
        .iter()
        .map(|(_, r)| r.newest)
        .max()
        .unwrap_or_default();
    let decisions: HashMap<(PartitionId, Xid), Ts> = found
        .iter()
        .flat_map(|(p, r)| r.decisions.iter().map(|(xid, ts)| ((*p, *xid), *ts)))
        .collect();
    let resolved: Vec<Resolution> = found
        .iter()
        .flat_map(|(p, r)| {
            r.in_doubt
                .iter()
                .map(|(xid, coordinator)| (*p, *xid, *coordinator))
        })
        // What became of the others only their coordinator's partition knows: they stay in doubt.
        .filter(|(_, _, coordinator)| !lost.contains(coordinator))
        .map(|(partition, xid, coordinator)| Resolution {
            partition,
            xid,
            committed: decisions.get(&(coordinator, xid)).copied(),
        })
        .collect();
    let records: u64 = found.iter().map(|(_, r)| r.records).sum();
    if records > 0 {
        tracing::info!(records, in_doubt = resolved.len(), "recovered");
    }
    // Partition 0 is always shard 0's.
    let Reply::Catalog(catalog) = router.ask(ShardId(0), ShardCall::LoadCatalog).await? else {
        return Err(odd());
    };
    // A tree that no catalog names is dropped now, but until the next checkpoint a crash brings its rows back.
    let trees_end = found.iter().map(|(_, r)| r.trees_end).max().unwrap_or(0);
    let mut catalog = catalog;
    if catalog.next_oid < trees_end {
        Arc::make_mut(&mut catalog).next_oid = trees_end;
    }
    let base = Clock::base_above(newest);
    let begin = || ShardCall::Begin {
        base,
        resolved: resolved.clone(),
        catalog: catalog.clone(),
    };
    router.ask_all(begin).await?;
    // A partition that is out of service may have to ask for any of them at the next start.
    let settled = decisions.into_keys().filter(|_| lost.is_empty());
    for (partition, xid) in settled {
        router
            .call(partition, PartitionCall::Forget { xid })
            .await?;
    }
    Ok(())
}

fn odd() -> Error {
    Error::internal("a shard answered another question")
}
