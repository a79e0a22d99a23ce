//! ANALYZE without being asked.
//!
//! Owns: how much each table has been changed since it was last looked at, and when that is enough: as PostgreSQL's autovacuum,
//! more than `ROWS` and a tenth of the rows that the last ANALYZE found. Asked by: shard 0's main, once.
//! Never: waits for a lock longer than `PATIENCE` (the next round tries again), touches temporary tables, or counts what was changed before
//! the server started.
//! Bounds: one number a table; one table at a time. Source: PostgreSQL 15 manual, 25.1.6.

use super::Node;
use crate::telemetry::Metrics;
use engine::catalog::{Catalog, Table};
use engine::plan::ddl::Ddl;
use engine::shard::{Reply, ShardCall};
use engine::txn::Stop;
use runtime::Instant;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use types::{Result, TreeId};

/// Changes that do not matter, however small a table is: PostgreSQL's `autovacuum_analyze_threshold`.
const ROWS: u64 = 50;
/// One in so many rows: its `autovacuum_analyze_scale_factor`.
const SHARE: u64 = 10;
/// How long a table's turn may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs as long as the shard; a zero `every` is never.
pub async fn tend(node: Rc<Node>, every: Duration) {
    if every.is_zero() {
        return;
    }
    let mut changed: HashMap<TreeId, u64> = HashMap::new();
    loop {
        runtime::sleep(every).await;
        // A shard that cannot answer is stopping.
        let Ok(replies) = node.router.ask_all(|| ShardCall::TakeChanged).await else {
            continue;
        };
        for reply in replies {
            if let Reply::Changed(counts) = reply {
                for (tree, n) in counts {
                    *changed.entry(tree).or_default() += n;
                }
            }
        }
        round(&node, &mut changed).await;
    }
}

async fn round(node: &Rc<Node>, changed: &mut HashMap<TreeId, u64>) {
    let catalogs = node.router.shard.catalogs();
    let mut left = HashMap::new();
    for catalog in catalogs.iter() {
        for table in catalog.tables.values().filter(|t| !t.is_temporary()) {
            let Some(n) = changed.get(&table.tree).copied() else {
                continue;
            };
            if n <= enough(catalog, table) {
                left.insert(table.tree, n);
                continue;
            }
            match analyze(node, catalog, table).await {
                Ok(()) => Metrics::current().tables_analyzed.inc(),
                Err(error) => {
                    tracing::debug!(%error, table = table.name, "not analyzed; the next round tries again");
                    left.insert(table.tree, n);
                }
            }
        }
    }
    // What is of no table, such as an index or what was dropped, is forgotten.
    *changed = left;
}

fn enough(catalog: &Catalog, table: &Table) -> u64 {
    let known = catalog.statistics.get(&table.id);
    ROWS + known.map_or(0, |s| s.rows) / SHARE
}

/// In a session and a transaction of its own.
async fn analyze(node: &Rc<Node>, catalog: &Catalog, table: &Arc<Table>) -> Result<()> {
    let session = node.open_own(catalog.database_name())?;
    let stop = Stop::at(Some(Instant::now() + PATIENCE));
    let outcome = async {
        let work = session.own_work(&stop)?;
        let found = node.router.statistics(&work.txn, &stop, table).await?;
        let tables = vec![(table.id, Arc::new(found))];
        session.define(&Ddl::Statistics { tables }, &work).await
    };
    let outcome = outcome.await;
    session.ends_block(outcome, &stop).await.map(drop)
}
