//! Rows that the coordinator has locked and computed anew: their new versions are written, or their deletions.

use super::call::{Change, Modified, Reply, RewriteCall};
use super::entries::write_local;
use super::update::put;
use super::{Shard, ShardReply};
use crate::codec::row;
use crate::txn::Partition;
use std::rc::Rc;
use types::{Error, Result, Row};

impl Shard {
    pub(super) async fn rewrite(&self, p: &Rc<Partition>, call: RewriteCall) -> ShardReply {
        let state = self
            .enter(p, &call.txn, &call.table, call.ctx.catalog.version)
            .await?;
        let (table, layout) = (&*call.table, call.table.layout());
        let mut out = Modified::default();
        for (n, (key, new)) in call.rows.into_iter().enumerate() {
            // Held already: it cannot have changed since it was read under this lock.
            p.lock_row(&call.txn, &state, table.id, table.tree, &key)
                .await?;
            let payload = match state.get(table.tree, &key).await? {
                Some(own) => own,
                None => {
                    let newest = p.latest(&state, table.tree, &key).await?;
                    newest.and_then(|(_, row)| row)
                }
            };
            let old: Option<Result<Row>> = payload.map(|bytes| row::decode(&bytes, &layout));
            let old = old.transpose()?;
            let old = old.ok_or_else(gone)?;
            out.changes.push(match new {
                Some(new) => put(&state, (table, &call.ctx, &layout), key, old, new, true)?,
                None => {
                    write_local(&state, table, &key, Some(&old), None, &call.ctx)?;
                    state.write(table.tree, key.clone(), None)?;
                    Change {
                        key,
                        old,
                        new: None,
                        moved: false,
                    }
                }
            });
            out.count += 1;
            p.relieve(&state).await?;
            if n % 64 == 63 {
                call.txn.stop.check()?;
                runtime::yield_if_needed().await;
            }
        }
        Ok(Reply::Modified(out))
    }
}

/// Its lock is the transaction's own, so it is the transaction that has deleted it since.
fn gone() -> Error {
    super::changed_meanwhile(false)
}
