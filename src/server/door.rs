//! The door of one shard.

use super::numbers;
use crate::middleware::Chain;
use crate::router::{Answer, Message, Router};
use crate::service::{CancelKey, ColumnInfo, Door, Hello, IndexInfo, Session, Slot, TableInfo};
use crate::session::Node;
use crate::telemetry;
use engine::catalog::{Catalog, Table};
use futures_util::future::LocalBoxFuture;
use runtime::{Credits, SignalWatch};
use std::rc::Rc;
use types::{Error, Result, SqlState};

pub struct ShardDoor {
    pub chain: Rc<Chain>,
    pub node: Rc<Node>,
    pub router: Rc<Router>,
    pub signals: SignalWatch,
    pub slots: Credits,
}

impl Door for ShardDoor {
    fn open(&self, hello: Hello) -> LocalBoxFuture<'_, Result<Rc<dyn Session>>> {
        Box::pin(async move {
            if self.is_draining() {
                return Err(Error::new(
                    SqlState::CANNOT_CONNECT_NOW,
                    "the database system is shutting down",
                ));
            }
            self.chain.open(hello)
        })
    }

    fn cancel(&self, key: CancelKey) -> LocalBoxFuture<'_, ()> {
        Box::pin(async move {
            let to = Node::shard_of(key);
            if to == self.router.shard.id {
                self.node.cancel(key);
            } else if usize::from(to.0) < self.router.shard.shards {
                // A key that names no session is ignored, as is a shard that is gone.
                let _ = self.router.send(to, Message::Cancel(key)).await;
            }
        })
    }

    fn ready(&self) -> LocalBoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            if self.is_draining() {
                return Err("the server is shutting down".into());
            }
            let replies = self
                .router
                .ask_all(|| engine::shard::ShardCall::Stats)
                .await
                .map_err(|e| e.to_string())?;
            for reply in replies {
                let engine::shard::Reply::Stats(stats) = reply else {
                    continue;
                };
                if let Some((_, reason)) = stats.lost.into_iter().next() {
                    return Err(reason);
                }
                for p in stats.partitions {
                    if let Some(reason) = p.fenced {
                        return Err(format!(
                            "partition {} is out of service: {reason}",
                            p.partition
                        ));
                    }
                }
            }
            Ok(())
        })
    }

    fn metrics(&self) -> LocalBoxFuture<'_, Result<String>> {
        Box::pin(async move {
            let mut all = vec![numbers::snapshot(&self.node).await?];
            for to in self
                .router
                .shard_ids()
                .filter(|s| *s != self.router.shard.id)
            {
                if let Answer::Metrics(snapshot) = self.router.send(to, Message::Metrics).await? {
                    all.push(*snapshot);
                }
            }
            Ok(telemetry::encode(&all))
        })
    }

    fn tables(&self, database: &str) -> Result<Vec<TableInfo>> {
        let catalogs = self.router.shard.catalogs();
        let found = catalogs.databases().named(database);
        let found = found.and_then(|d| catalogs.of(d.oid));
        let catalog = found.ok_or_else(|| {
            Error::new(
                SqlState::INVALID_CATALOG_NAME,
                format!("database \"{database}\" does not exist"),
            )
        })?;
        let tables = catalog.tables.values().filter(|t| !t.is_temporary());
        Ok(tables.map(|t| info(t, catalog)).collect())
    }

    fn draining(&self) -> LocalBoxFuture<'static, ()> {
        let signals = self.signals.clone();
        Box::pin(async move { signals.requested().await })
    }

    fn is_draining(&self) -> bool {
        self.signals.is_requested()
    }

    fn slot(&self) -> Result<Slot> {
        match self.slots.try_acquire(1) {
            Some(permit) => Ok(Slot(Box::new(permit))),
            None => Err(Error::new(
                SqlState::TOO_MANY_CONNECTIONS,
                "sorry, too many clients already",
            )),
        }
    }
}

fn info(table: &Table, catalog: &Catalog) -> TableInfo {
    let name = |ordinal: &usize| {
        table
            .columns
            .get(*ordinal)
            .map(|c| c.name.clone())
            .unwrap_or_default()
    };
    let column = |c: &engine::catalog::ColumnDef| ColumnInfo {
        name: c.name.clone(),
        data_type: {
            let name = engine::exec::functions::system::type_name(c.ty, Some(c.typmod.into()));
            catalog.named(&name).into_owned()
        },
        nullable: !c.not_null,
        default: c.default.as_ref().map(|d| d.sql.clone()),
    };
    let index = |i: &std::sync::Arc<engine::catalog::Index>| IndexInfo {
        name: i.name.clone(),
        columns: i
            .parts
            .iter()
            .map(|p| engine::catalog::system::part_text(table, p))
            .collect(),
        unique: i.unique,
    };
    TableInfo {
        schema: table.schema.clone(),
        name: table.name.clone(),
        columns: table.columns.iter().map(column).collect(),
        primary_key: table.primary_key.iter().map(name).collect(),
        indexes: table.indexes.iter().map(index).collect(),
    }
}
