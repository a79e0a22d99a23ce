//! Rows that are found by their keys and change with triggers around: those of a foreign key's action.
//!
//! Owns: the lock, the look whether a row is still meant, and the change of each. Asked by: `references`.

use super::Sides;
use crate::router::merge::meanwhile;
use crate::router::modify::{Outcome, WriteEnv, modified};
use crate::router::unique::UniqueDelta;
use crate::router::{Router, odd};
use engine::catalog::Table;
use engine::catalog::triggers::Event;
use engine::exec::operators::eval_row;
use engine::plan::{Assignment, Expr, LockWait, RowLock};
use engine::shard::Reply;
use engine::shard::call::{Address, LockRowsCall, PartitionCall, RewriteCall};
use std::sync::Arc;
use types::{PartitionId, Result, Row, Value};

impl Router {
    /// UPDATE (or DELETE, without assignments) of rows of one partition that still fit the filter. Those that a trigger leaves as they
    /// are count too: nothing has kept them from being changed.
    pub(in crate::router) async fn change_found(
        &self,
        env: &WriteEnv,
        table: &Arc<Table>,
        (partition, keys): (PartitionId, Vec<Vec<u8>>),
        filter: &Expr,
        assignments: Option<&[Assignment]>,
        out: &mut Outcome,
    ) -> Result<()> {
        env.txn.takes_part(partition);
        let call = LockRowsCall {
            txn: env.by.clone(),
            ctx: env.ctx.clone(),
            table: table.clone(),
            keys: keys.clone(),
            lock: RowLock::Update,
            wait: LockWait::Wait,
        };
        let call = PartitionCall::LockRows(call);
        let Reply::Locked(locked) = self.call(partition, call).await? else {
            return Err(odd());
        };
        for (key, locked) in keys.into_iter().zip(locked) {
            let Some(locked) = locked else { continue };
            if eval_row(filter, &locked.row, &env.exec, &[]).await? != Value::Bool(true) {
                continue;
            }
            out.count += 1;
            let address = Address { partition, key };
            self.change_one(env, table, address, locked.row, assignments)
                .await?;
        }
        Ok(())
    }

    async fn change_one(
        &self,
        env: &WriteEnv,
        table: &Arc<Table>,
        at: Address,
        old: Row,
        assignments: Option<&[Assignment]>,
    ) -> Result<()> {
        let event = match assignments {
            Some(_) => Event::Update,
            None => Event::Delete,
        };
        let set: Vec<usize> = assignments
            .unwrap_or_default()
            .iter()
            .map(|a| a.column)
            .collect();
        let mut new = assignments.map(|_| old.clone());
        for a in assignments.unwrap_or_default() {
            let value = eval_row(&a.expr, &old, &env.exec, &[]).await?;
            if let Some(slot) = new.as_mut().and_then(|row| row.get_mut(a.column)) {
                *slot = value;
            }
        }
        let fires = self.fires(env, table, event)?;
        if let Some(fires) = &fires {
            let sides = (Some(&old), new);
            let Some(left) = self.before(env, fires, table, sides, &set).await? else {
                return Ok(());
            };
            new = assignments.map(|_| left);
        }
        let call = RewriteCall {
            txn: env.by.clone(),
            ctx: env.ctx.clone(),
            table: table.clone(),
            rows: vec![(at.key, new)],
        };
        let reply = self
            .call(at.partition, PartitionCall::Rewrite(call))
            .await?;
        for change in modified(reply)?.changes {
            meanwhile(Some(&old), &change)?;
            let address = Address {
                partition: at.partition,
                key: change.key.clone(),
            };
            if table.has_unique_indexes() {
                let mut delta = UniqueDelta::default();
                let kept = change.new.as_ref().filter(|_| !change.moved);
                delta.row(table, &address, Some(&change.old), kept, &env.ctx)?;
                self.settle_unique(&env.txn, &env.by, table, delta).await?;
            }
            self.owes(env, table, Some(&change.old), change.new.as_ref())?;
            if let Some(fires) = &fires {
                let sides = Sides {
                    old: Some(&change.old),
                    new: change.new.as_ref(),
                };
                self.after(env, fires, table, sides, &set).await?;
            }
            if let (true, Some(row)) = (change.moved, change.new) {
                let mut moved = Outcome::new(None);
                let insert = self.insert_rows(env, table, vec![row], None, false, &mut moved);
                Box::pin(insert).await?;
            }
        }
        Ok(())
    }
}
