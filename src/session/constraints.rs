//! When foreign keys are looked at and AFTER triggers called: at the end of each statement; keys also at SET CONSTRAINTS …
//! IMMEDIATE, and before the commit.
//!
//! Owns: which names SET CONSTRAINTS means. Never: decides what is wrong (`router::references`).
//! Source: PostgreSQL 15, SET CONSTRAINTS.

use super::Session;
use super::statement::{Started, Work};
use super::utility::ended;
use crate::router::modify::WriteEnv;
use engine::txn::Stop;
use std::sync::Arc;
use types::{Error, Result, SqlState};

impl Session {
    /// A statement has ended.
    pub(super) async fn settle_statement(&self, stop: &Arc<Stop>) -> Result<()> {
        let txn = self.block.borrow().txn();
        match txn {
            Some(txn) if !txn.references.is_quiet() || !txn.triggers.is_empty() => {
                let env = self.settling_env(stop)?;
                Box::pin(self.settle_in(&env)).await
            }
            _ => Ok(()),
        }
    }

    /// The transaction is about to commit: nothing may be left that is wrong.
    pub(super) async fn settle_all(&self) -> Result<()> {
        let txn = self.block.borrow().txn();
        match txn {
            Some(txn) if txn.references.waits() || !txn.triggers.is_empty() => {
                let running = self.running.borrow().clone();
                let stop = running.unwrap_or_else(|| Stop::at(None));
                let env = self.settling_env(&stop)?;
                Box::pin(self.settle_in(&env)).await?;
                Box::pin(self.node.router.settle_deferred(&env)).await
            }
            _ => Ok(()),
        }
    }

    /// Foreign keys first, whose actions may have triggers too.
    async fn settle_in(&self, env: &WriteEnv) -> Result<()> {
        self.node.router.settle_references(env).await?;
        self.node.router.fire_after(env).await
    }

    fn settling_env(&self, stop: &Arc<Stop>) -> Result<WriteEnv> {
        Ok(self.own_work(stop)?.write_env())
    }

    /// `names` empty: all of them.
    pub(super) async fn set_constraints(
        &self,
        names: &[String],
        deferred: bool,
        work: &Work<'_>,
    ) -> Result<Started> {
        let warning = (!self.is_in_transaction_block()).then(|| {
            Error::new(
                SqlState::NO_ACTIVE_SQL_TRANSACTION,
                "SET CONSTRAINTS can only be used in transaction blocks",
            )
        });
        let pending = &work.txn.references;
        if names.is_empty() {
            pending.defer_all(deferred);
        }
        for name in names {
            let mut found = false;
            for table in work.ctx.catalog.tables.values() {
                for key in table.foreign_keys.iter().filter(|k| k.name == *name) {
                    if !key.deferrable {
                        return Err(not_deferrable(name));
                    }
                    found = true;
                    pending.defer(key.oid, deferred);
                }
                found |= has_other(table, name, found)?;
            }
            if !found {
                return Err(Error::new(
                    SqlState::UNDEFINED_OBJECT,
                    format!("constraint \"{name}\" does not exist"),
                ));
            }
        }
        if !deferred {
            // What still is deferred waits on.
            self.node.router.settle_immediate(&work.write_env()).await?;
        }
        Ok(ended("SET CONSTRAINTS", warning))
    }
}

/// 42809 for a constraint of another kind: none of those can wait.
fn has_other(table: &engine::catalog::Table, name: &str, found: bool) -> Result<bool> {
    let key = table.has_key() && table.primary_key_name == name;
    let unique = |i: &Arc<engine::catalog::Index>| i.constraint && i.name == name;
    if !found
        && (key || table.indexes.iter().any(unique) || table.checks.iter().any(|c| c.name == name))
    {
        return Err(not_deferrable(name));
    }
    Ok(false)
}

fn not_deferrable(name: &str) -> Error {
    Error::new(
        SqlState::WRONG_OBJECT_TYPE,
        format!("constraint \"{name}\" is not deferrable"),
    )
}
