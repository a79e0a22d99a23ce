//! DELETE: as UPDATE finds and locks its rows, then a deletion is written.

use super::call::{Change, DeleteCall, Modified};
use super::entries::write_local;
use super::update::{Target, finish};
use super::{Shard, ShardReply};
use crate::txn::Partition;
use std::rc::Rc;

impl Shard {
    pub(super) async fn delete(&self, p: &Rc<Partition>, call: DeleteCall) -> ShardReply {
        let state = self
            .enter(p, &call.txn, &call.table, call.ctx.catalog.version)
            .await?;
        let target = Target {
            p,
            state: &state,
            txn: &call.txn,
            table: &call.table,
            ctx: &call.ctx,
            filter: call.filter.as_ref(),
            layout: call.table.layout(),
            takes_keys: call.ctx.catalog.is_key_referenced(&call.table),
        };
        let mut out = Modified::default();
        let mut resume = call.resume;
        loop {
            let (keys, next) = target.candidates(&call.reach, resume).await?;
            for (n, key) in keys.into_iter().enumerate() {
                if let Some(old) = target.lock(&key).await? {
                    write_local(&state, &call.table, &key, Some(&old), None, &call.ctx)?;
                    state.write(call.table.tree, key.clone(), None)?;
                    out.count += 1;
                    if call.rows_wanted {
                        out.changes.push(Change {
                            key,
                            old,
                            new: None,
                            moved: false,
                        });
                    }
                }
                p.relieve(&state).await?;
                if n % 64 == 63 {
                    runtime::yield_if_needed().await;
                }
            }
            resume = next;
            if resume.is_none() || !out.changes.is_empty() {
                break;
            }
        }
        finish(p, &call.txn, call.commit, out, resume).await
    }
}
