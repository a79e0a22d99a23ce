//! Foreign keys: what a statement has done to both their ends, settled when it ends or at the commit.
//!
//! Owns: the order. RESTRICT first, then CASCADE, SET NULL and SET DEFAULT round by round until no further key goes, then
//! NO ACTION, then the keys that rows began to refer to. Asked by: session, after each statement that writes and before a
//! commit. Never: relies on the statement's snapshot: what the locks of the keys (`engine::shard::references`) keep out is
//! seen by none, everything else by a snapshot that is taken under them.
//! Bounds: `pending`; `KEYS` keys a call; `ROUNDS_MAX` rounds (54001). A confirmed violation is 23503.
//! Source: PostgreSQL 15, CREATE TABLE (REFERENCES), `ri_triggers.c`.

mod actions;
mod children;
pub mod pending;
mod search;
mod validate;

use super::modify::WriteEnv;
use super::{Router, Txn};
use engine::catalog::{Catalog, ForeignKey, ForeignKeyAction, Table};
use engine::exec::Context;
use engine::txn::{Isolation, TxnRef};
use pending::{Batch, KeyId, LOOK_BYTES, action};
use std::sync::Arc;
use types::{Error, Result, Row, SqlState};

/// The table of a foreign key, the key, and the table it refers to; `None` when one of them is gone.
fn ends(catalog: &Catalog, id: KeyId) -> Option<(&Arc<Table>, &ForeignKey, &Arc<Table>)> {
    let (child, key) = catalog.foreign_key(id.0, id.1)?;
    Some((child, key, catalog.table(key.referenced)?))
}

/// Keys that one call asks for.
const KEYS: usize = 1_024;
/// Rounds of actions that follow from one another.
const ROUNDS_MAX: usize = 100_000;

/// What a look-up of keys works in.
pub struct Keys<'a> {
    pub txn: &'a Txn,
    pub by: &'a TxnRef,
    pub ctx: &'a Arc<Context>,
}

impl WriteEnv {
    fn keys(&self) -> Keys<'_> {
        Keys {
            txn: &self.txn,
            by: &self.by,
            ctx: &self.ctx,
        }
    }
}

impl Router {
    /// A row was written by a statement; either side may be missing.
    pub(super) fn owes(
        &self,
        env: &WriteEnv,
        table: &Table,
        old: Option<&Row>,
        new: Option<&Row>,
    ) -> Result<()> {
        if table.keys_off {
            return Ok(());
        }
        let pending = &env.txn.references;
        if let Some(new) = new
            && !table.foreign_keys.is_empty()
        {
            pending.child(table, old, new)?;
        }
        if let Some(old) = old
            && env.ctx.catalog.is_referenced(table.id)
        {
            pending.parent(&env.ctx.catalog, table, old, new)?;
        }
        Ok(())
    }

    /// In the middle of a statement: what can be settled already is, if there is much of it.
    pub(super) async fn relieve(&self, env: &WriteEnv) -> Result<()> {
        let pending = &env.txn.references;
        if pending.now.borrow().bytes() < LOOK_BYTES || pending.settling.get() {
            return Ok(());
        }
        Box::pin(self.look(env)).await
    }

    async fn look(&self, env: &WriteEnv) -> Result<()> {
        let pending = &env.txn.references;
        let mut left = self.actions(env).await?;
        // Neither what still has children nor what has no parent is wrong before the statement ends.
        let children = pending.now.borrow_mut().take_wanted();
        let gone = left.take_gone();
        for (id, keys) in gone {
            self.still_referred(env, id, keys, &mut left).await?;
        }
        for (id, keys) in children {
            self.missing(&env.keys(), id, keys, &mut left).await?;
        }
        *pending.now.borrow_mut() = left;
        Ok(())
    }

    /// The statement has ended.
    pub async fn settle_references(&self, env: &WriteEnv) -> Result<()> {
        if env.txn.references.is_quiet() {
            return Ok(());
        }
        let left = self.actions(env).await?;
        self.verify(env, left).await?;
        let rest = env.txn.references.now.take();
        self.verify(env, rest).await
    }

    /// What was deferred, but for those constraints that still are.
    pub async fn settle_immediate(&self, env: &WriteEnv) -> Result<()> {
        let pending = &env.txn.references;
        let later = pending.later.borrow().clone();
        // Only when all is well: a savepoint may bring back the time before.
        let keep = self.still_deferred(env, later).await?;
        pending.later.replace(keep);
        Ok(())
    }

    async fn still_deferred(&self, env: &WriteEnv, mut later: Batch) -> Result<Batch> {
        let pending = &env.txn.references;
        let mut keep = Batch::default();
        let waits = |id: &KeyId| {
            let key = env.ctx.catalog.foreign_key(id.0, id.1);
            key.is_some_and(|(_, key)| pending.is_deferred(key))
        };
        for (id, keys) in later.take_gone() {
            match waits(&id) {
                true => keys
                    .into_iter()
                    .try_for_each(|(k, gone)| keep.put_gone(id, k, gone))?,
                false => self.unreferred(env, id, keys, false).await?,
            }
        }
        for (id, keys) in later.take_wanted() {
            match waits(&id) {
                true => keys
                    .into_iter()
                    .try_for_each(|(k, w)| keep.put_wanted(id, k, w))?,
                false => self.present(&env.keys(), id, keys).await?,
            }
        }
        Ok(keep)
    }

    /// The transaction is about to commit.
    pub async fn settle_deferred(&self, env: &WriteEnv) -> Result<()> {
        let later = env.txn.references.later.take();
        self.verify(env, later).await
    }

    /// Takes the actions that follow from keys that went, and then from what they did. What is left is NO ACTION's.
    async fn actions(&self, env: &WriteEnv) -> Result<Batch> {
        let pending = &env.txn.references;
        let _settling = Settling::begin(&pending.settling);
        let mut left = Batch::default();
        for _ in 0..ROUNDS_MAX {
            env.by.stop.check()?;
            let gone = pending.now.borrow_mut().take_gone();
            if gone.is_empty() {
                return Ok(left);
            }
            let mut acts = Vec::new();
            for (id, keys) in gone {
                let Some((child, key)) = env.ctx.catalog.foreign_key(id.0, id.1) else {
                    continue;
                };
                let (updated, deleted): (_, Vec<_>) =
                    keys.into_iter().partition(|(_, gone)| gone.new.is_some());
                for (keys, updated) in [(deleted, false), (updated, true)] {
                    if keys.is_empty() {
                        continue;
                    }
                    match action(key, updated) {
                        ForeignKeyAction::NoAction => {
                            for (bytes, gone) in keys {
                                left.put_gone(id, bytes, gone)?;
                            }
                        }
                        ForeignKeyAction::Restrict => {
                            let keys = keys.into_iter().collect();
                            self.unreferred(env, id, keys, true).await?;
                        }
                        what => {
                            // The default may be the very key that went.
                            if what == ForeignKeyAction::SetDefault {
                                for (bytes, gone) in &keys {
                                    left.put_gone(id, bytes.clone(), gone.clone())?;
                                }
                            }
                            acts.push((child.clone(), key.clone(), what, keys));
                        }
                    }
                }
            }
            for (child, key, what, keys) in acts {
                self.act(env, &child, &key, what, keys).await?;
            }
        }
        Err(Error::new(
            SqlState::STATEMENT_TOO_COMPLEX,
            "too many foreign key actions follow from one another",
        ))
    }

    /// 23503 unless nobody refers to what went, and what rows refer to is there.
    async fn verify(&self, env: &WriteEnv, mut batch: Batch) -> Result<()> {
        for (id, keys) in batch.take_gone() {
            self.unreferred(env, id, keys, false).await?;
        }
        for (id, keys) in batch.take_wanted() {
            self.present(&env.keys(), id, keys).await?;
        }
        Ok(())
    }
}

/// What a statement owes waits while another one runs inside of it.
pub(super) struct SetAside<'a> {
    txn: &'a Txn,
    now: Batch,
    settling: bool,
}

impl<'a> SetAside<'a> {
    pub fn of(txn: &'a Txn) -> SetAside<'a> {
        SetAside {
            txn,
            now: txn.references.now.take(),
            settling: txn.references.settling.replace(false),
        }
    }
}

impl Drop for SetAside<'_> {
    fn drop(&mut self) {
        let pending = &self.txn.references;
        pending.now.replace(std::mem::take(&mut self.now));
        pending.settling.set(self.settling);
    }
}

/// While it lives, what is written waits for the next round instead of starting its own.
struct Settling<'a>(&'a std::cell::Cell<bool>);

impl<'a> Settling<'a> {
    fn begin(flag: &'a std::cell::Cell<bool>) -> Settling<'a> {
        flag.set(true);
        Settling(flag)
    }
}

impl Drop for Settling<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

/// The transaction, seeing everything that is committed.
fn latest(by: &TxnRef, snapshot: types::Ts) -> TxnRef {
    TxnRef {
        snapshot,
        isolation: Isolation::ReadCommitted,
        ..by.clone()
    }
}

/// 23503 of a row that refers to nothing.
pub fn violation(table: &Table, key: &ForeignKey) -> Error {
    Error::new(
        SqlState::FOREIGN_KEY_VIOLATION,
        format!(
            "insert or update on table \"{}\" violates foreign key constraint \"{}\"",
            table.name, key.name
        ),
    )
    .with_table(&table.schema, &table.name)
    .with_constraint(&key.name)
}

/// 23503 of a key that is needed.
fn needed(parent: &Table, child: &Table, key: &ForeignKey) -> Error {
    Error::new(
        SqlState::FOREIGN_KEY_VIOLATION,
        format!(
            "update or delete on table \"{}\" violates foreign key constraint \"{}\" on table \"{}\"",
            parent.name, key.name, child.name
        ),
    )
    .with_table(&child.schema, &child.name)
    .with_constraint(&key.name)
}
