//! `rustydb-shard repartition`: the same rows in another number of partitions.
//!
//! Owns: the order of it. The new partitions are written beside the old ones and made durable; then `FORMAT` names them,
//! in one step; then the old ones go. Killed before that step nothing has changed, after it everything; whoever opens the
//! directory next removes what does not count. Needs room for a second copy of the data.

use super::progress::Progress;
use crate::config::Config;
use crate::router::Router;
use crate::server::{StartError, bootstrap, directory, shard};
use crate::telemetry::Metrics;
use engine::shard::repartition::repartition as copy;
use engine::shard::{Layout, Shard};
use engine::txn::Horizon;
use runtime::Dir;
use runtime::mesh::mesh;
use std::rc::Rc;
use types::limits::PARTITIONS_MAX;
use types::{Error, ShardId};

/// Moves everything into `partitions` partitions; says what it did.
pub fn repartition(config: &Config, partitions: usize) -> Result<String, StartError> {
    let bad = |reason: String| StartError::Directory {
        path: config.data_dir.display().to_string(),
        reason,
    };
    if partitions == 0 || partitions > PARTITIONS_MAX {
        return Err(bad(format!(
            "it can have 1 to {PARTITIONS_MAX} partitions, not {partitions}"
        )));
    }
    let directory = directory::open_existing(config)?;
    let old = directory.layout;
    if usize::from(old.partitions) == partitions {
        return Ok(format!("there are {partitions} partitions already"));
    }
    let new = Layout {
        partitions: partitions as u16,
        generation: old.generation + 1,
    };
    let config_of_work = config.clone();
    let work = async move { work(&config_of_work, old, new).await };
    let rows = runtime::block_on(work).map_err(bad)?;
    drop(directory);
    Ok(format!(
        "{rows} rows moved from {} partitions to {partitions}",
        old.partitions
    ))
}

async fn work(config: &Config, old: Layout, new: Layout) -> Result<u64, String> {
    let dir = Dir::open(&config.data_dir)
        .await
        .map_err(|e| e.to_string())?;
    // Of one that was killed: what it wrote must not be taken for the new partitions.
    directory::clean(&dir, old).await?;
    let said = |e: Error| e.message().to_owned();
    let from = open(config, &dir, old).await.map_err(said)?;
    if let Some(reason) = from.fenced() {
        return Err(reason);
    }
    let port = mesh(1, 1).remove(0).bind();
    let router = Router::new(from.clone(), port, Metrics::current());
    bootstrap::begin(&router).await.map_err(said)?;
    let to = open(config, &dir, new).await.map_err(said)?;
    let mut progress = Progress::new("repartition");
    let rows = copy(&from, &to, &mut |done, total| progress.update(done, total))
        .await
        .map_err(said)?;
    to.close().await.map_err(said)?;
    from.close().await.map_err(said)?;
    directory::write(&dir, new).await?;
    directory::clean(&dir, new).await?;
    Ok(rows)
}

/// All partitions of a layout in this one executor.
async fn open(config: &Config, dir: &Dir, layout: Layout) -> types::Result<Rc<Shard>> {
    // Both layouts share the memory of a shard.
    let options = shard::options(config, 2 * usize::from(layout.partitions));
    Shard::open(ShardId(0), 1, dir, layout, &options, Horizon::new(1)).await
}
