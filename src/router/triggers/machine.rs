//! Calling a trigger's function for one row.
//!
//! Owns: the values of NEW and OLD, and what is made of the row that the function returns; and statements inside of others. Never: runs
//! the program itself (`router::machine` does). Source: PostgreSQL 15, `pl_exec.c` (`plpgsql_exec_trigger`).

use super::{Armed, Sides};
use crate::router::machine::{Gave, Machine, Scene};
use crate::router::modify::WriteEnv;
use crate::router::{Router, Txn, references};
use engine::catalog::triggers::Event;
use engine::catalog::{Table, path};
use engine::exec::Context;
use engine::exec::operators::Stash;
use sql::Statement;
use sql::program::{Side, given};
use std::sync::Arc;
use types::{Error, Result, Row, SqlState, Value};

/// A trigger that is called, and for what.
pub(super) struct Called<'a> {
    pub armed: &'a Armed,
    pub table: &'a Arc<Table>,
    pub event: Event,
}

/// The slots of NEW and OLD; NULLs for one that the event has not.
pub(super) fn rows(table: &Table, sides: Sides<'_>) -> Vec<Value> {
    let width = table.columns.len();
    let mut out = Vec::with_capacity(2 * width + 16);
    for side in [sides.new, sides.old] {
        let end = out.len() + width;
        out.extend(side.into_iter().flatten().take(width).cloned());
        out.resize(end, Value::Null);
    }
    out
}

impl Router {
    /// What the function returns: a row, or nothing.
    pub(super) async fn call_trigger(
        &self,
        env: &WriteEnv,
        called: Called<'_>,
        sides: Sides<'_>,
    ) -> Result<Option<Row>> {
        env.by.stop.check()?;
        runtime::yield_if_needed().await;
        env.source.deep.one_more()?;
        let program = &called.armed.program;
        let mut params = rows(called.table, sides);
        params.push(Value::Bool(false));
        params.extend(given(
            &called.armed.trigger,
            called.table,
            called.event.name(),
        ));
        let settings = &called.armed.settings;
        let ctx = path::set(&env.ctx, settings);
        let ctx = Context {
            params,
            triggers_deep: env.source.deep.triggers as i32 + 1,
            ..ctx.unwrap_or_else(|| Context::clone(&env.ctx))
        };
        let scene = Scene {
            router: self,
            source: &env.source,
            exec: &env.exec,
            txn: &env.txn,
            apart: env.by.apart,
            deep: env.source.deep.in_trigger(),
            volatile: true,
            settled: !settings.is_empty(),
        };
        let mut machine = Machine::new(scene, program, ctx, None);
        machine.has(sides.new.is_some(), sides.old.is_some());
        let gave = Box::pin(machine.run()).await?;
        let of = |side: Side| match side {
            Side::New => sides.new.map(|_| machine.side(Side::New)),
            Side::Old => sides.old.map(|_| machine.side(Side::Old)),
        };
        match gave {
            Gave::Side(side) => Ok(of(side)),
            Gave::Value(Value::Record(r)) => {
                let row = r.values().to_vec();
                match row.len() == called.table.columns.len() {
                    true => Ok(Some(row)),
                    false => Err(Error::new(
                        SqlState::DATATYPE_MISMATCH,
                        "returned row structure does not match the structure of the triggering table",
                    )),
                }
            }
            Gave::Value(Value::Null) | Gave::Nothing => Ok(None),
            Gave::Value(_) => Err(Error::new(
                SqlState::DATATYPE_MISMATCH,
                "cannot return non-composite value from function returning composite type",
            )),
            Gave::End => Err(Error::new(
                SqlState::FUNCTION_EXECUTED_NO_RETURN_STATEMENT,
                "control reached end of trigger procedure without RETURN",
            )
            .with_context(format!("PL/pgSQL function {}", program.shown))),
        }
    }

    /// A statement inside of another: what is owed so far waits until it has settled its own.
    pub(in crate::router) async fn change_within(
        &self,
        env: &WriteEnv,
        statement: &Statement,
    ) -> Result<(u64, Option<Stash>)> {
        let _around = references::SetAside::of(&env.txn);
        let _waiting = Waiting::of(&env.txn);
        let out = self.change(env, statement).await?;
        self.settle_references(env).await?;
        self.fire_after(env).await?;
        Ok((out.count, out.rows))
    }
}

/// What AFTER triggers of the statement around wait for. What one that has failed waited for is forgotten.
struct Waiting<'a>(&'a Txn, Option<Stash>);

impl<'a> Waiting<'a> {
    fn of(txn: &'a Txn) -> Waiting<'a> {
        Waiting(txn, txn.triggers.rows.take())
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.triggers.rows.replace(self.1.take());
    }
}
