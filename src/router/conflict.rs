//! ON CONFLICT of a running INSERT.
//!
//! Owns: what partitions are told to do about a row whose place is taken, and DO UPDATE where they cannot: with subqueries over
//! the row, or of its key. Also which rows the statement has put in place or changed, as none may be changed twice.
//! Asked by: `insert`. Bounds: 16 bytes and their share of a table for each row that is put in place or changed, of the query's
//! memory (53200). Source: PostgreSQL 15, `ExecOnConflictUpdate`.

use super::Router;
use super::merge::meanwhile;
use super::modify::{Outcome, WriteEnv, modified};
use super::triggers::Sides;
use super::unique::UniqueDelta;
use engine::catalog::Table;
use engine::catalog::triggers::Event;
use engine::exec::memory::Reservation;
use engine::exec::operators::{eval_row, settle_expr};
use engine::plan::{Assignment, ConflictAction, Expr, Insert, OnConflict};
use engine::shard::call::{Address, Change, Conflict, PartitionCall, RewriteCall};
use engine::shard::entries::encode_address;
use engine::shard::insert::second_time;
use hashbrown::HashSet;
use std::cell::RefCell;
use std::sync::Arc;
use types::{PartitionId, Result, Row, Value};
use xxhash_rust::xxh3::xxh3_128;

/// One INSERT's ON CONFLICT, with its subqueries that read no row already answered.
pub struct OnTaken {
    pub spec: OnConflict,
    pub call: Conflict,
    touched: RefCell<Touched>,
}

struct Touched {
    rows: HashSet<u128>,
    held: Reservation,
}

/// Of one entry, at the table's usual fill.
const TOUCHED_BYTES: usize = 32;

impl OnTaken {
    pub async fn of(env: &WriteEnv, insert: &Insert) -> Result<Option<OnTaken>> {
        let Some(spec) = &insert.on_conflict else {
            return Ok(None);
        };
        let mut spec = spec.clone();
        let call = match &mut spec.action {
            ConflictAction::Nothing => Conflict::Nothing,
            ConflictAction::Update {
                assignments,
                filter,
            } => {
                for e in assignments
                    .iter_mut()
                    .map(|a| &mut a.expr)
                    .chain(filter.iter_mut())
                {
                    *e = settle_expr(e, &env.exec, &[]).await?;
                }
                match env.ctx.catalog.fires_on(insert.table.id, Event::Update) {
                    true => Conflict::Lock,
                    false => told(&insert.table, assignments, filter.as_ref()),
                }
            }
        };
        let touched = RefCell::new(Touched {
            rows: HashSet::new(),
            held: env.exec.memory.consumer("ON CONFLICT"),
        });
        Ok(Some(OnTaken {
            spec,
            call,
            touched,
        }))
    }

    /// 21000 when the statement has already put the row in place, or changed it.
    fn first_time(&self, address: &Address) -> Result<()> {
        let hash = xxh3_128(&encode_address(address));
        match self.touched.borrow().rows.contains(&hash) {
            true => Err(second_time()),
            false => Ok(()),
        }
    }

    /// As `first_time`, and it does now.
    pub fn touch(&self, address: &Address) -> Result<()> {
        if matches!(self.call, Conflict::Nothing | Conflict::Error) {
            return Ok(());
        }
        let mut touched = self.touched.borrow_mut();
        if touched.rows.len() == touched.rows.capacity() {
            let more = touched.rows.capacity().max(64);
            touched.held.grow(more * TOUCHED_BYTES)?;
            touched.rows.reserve(more);
        }
        match touched.rows.insert(xxh3_128(&encode_address(address))) {
            true => Ok(()),
            false => Err(second_time()),
        }
    }
}

/// What partitions can do by themselves they are told to do.
fn told(table: &Table, assignments: &[Assignment], filter: Option<&Expr>) -> Conflict {
    let subquery = |e: &Expr| e.any(&mut |e| matches!(e, Expr::Subquery { .. }));
    let mut exprs = assignments.iter().map(|a| &a.expr).chain(filter);
    let moves = assignments
        .iter()
        .any(|a| table.primary_key.contains(&a.column));
    if moves || exprs.any(subquery) {
        return Conflict::Lock;
    }
    Conflict::Update {
        assignments: Arc::new(assignments.to_vec()),
        filter: filter.cloned(),
    }
}

impl Router {
    /// DO UPDATE of a row that is locked.
    pub(super) async fn update_taken(
        &self,
        env: &WriteEnv,
        table: &Arc<Table>,
        on: &OnTaken,
        at: Address,
        (old, excluded): (Row, Row),
        out: &mut Outcome,
    ) -> Result<()> {
        let ConflictAction::Update {
            assignments,
            filter,
        } = &on.spec.action
        else {
            return Ok(());
        };
        on.first_time(&at)?;
        let mut new = old.clone();
        let mut both = old;
        both.extend(excluded);
        if let Some(filter) = filter
            && eval_row(filter, &both, &env.exec, &[]).await? != Value::Bool(true)
        {
            return Ok(());
        }
        on.touch(&at)?;
        for a in assignments {
            let value = eval_row(&a.expr, &both, &env.exec, &[]).await?;
            if let Some(slot) = new.get_mut(a.column) {
                *slot = value;
            }
        }
        let set: Vec<usize> = assignments.iter().map(|a| a.column).collect();
        let fires = self.fires(env, table, Event::Update)?;
        if let Some(fires) = &fires {
            both.truncate(table.columns.len());
            let sides = (Some(&both), Some(new));
            let Some(left) = self.before(env, fires, table, sides, &set).await? else {
                return Ok(());
            };
            new = left;
        }
        let call = RewriteCall {
            txn: env.by.clone(),
            ctx: env.ctx.clone(),
            table: table.clone(),
            rows: vec![(at.key, Some(new))],
        };
        let reply = self
            .call(at.partition, PartitionCall::Rewrite(call))
            .await?;
        for change in modified(reply)?.changes {
            if let Some(fires) = &fires {
                meanwhile(Some(&both), &change)?;
                let sides = Sides {
                    old: Some(&change.old),
                    new: change.new.as_ref(),
                };
                self.after(env, fires, table, sides, &set).await?;
            }
            self.taken_changed(env, table, at.partition, change, out)
                .await?;
        }
        Ok(())
    }

    async fn taken_changed(
        &self,
        env: &WriteEnv,
        table: &Arc<Table>,
        partition: PartitionId,
        change: Change,
        out: &mut Outcome,
    ) -> Result<()> {
        let Change {
            key,
            old,
            new,
            moved,
        } = change;
        if table.has_unique_indexes() {
            let mut delta = UniqueDelta::default();
            let kept = new.as_ref().filter(|_| !moved);
            let address = Address { partition, key };
            delta.row(table, &address, Some(&old), kept, &env.ctx)?;
            self.settle_unique(&env.txn, &env.by, table, delta).await?;
        }
        self.owes(env, table, Some(&old), new.as_ref())?;
        match new {
            Some(row) if moved => {
                // To its triggers it has been updated.
                let inserts = out.inserts.take();
                out.moving = true;
                let insert = self.insert_rows(env, table, vec![row], None, false, out);
                // It calls back for rows whose place is taken; this one has no ON CONFLICT.
                Box::pin(insert).await?;
                (out.inserts, out.moving) = (inserts, false);
                Ok(())
            }
            Some(row) => out.put(env, row, true).await,
            None => Ok(()),
        }
    }
}
