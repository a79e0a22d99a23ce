//! Triggers: what is called before a row is written and after its statement, and before and after a statement as such (`around`).
//!
//! Owns: which triggers a change of a row fires, in their order, and the rows that AFTER triggers wait for. Checks that call functions are
//! looked at with the triggers. Asked by: whatever writes rows, with each of them; session, at a statement's end. Never: reads a body (`sql::program` does); costs a table without
//! triggers more than the look whether the catalog has any.
//! A table's rows come here before they are written, so a change of one with triggers finds its rows first (`merge`), and is
//! written where they are by their keys. What a body runs is a statement of its own in the same transaction: with a snapshot of its own,
//! what it owes foreign keys settled at its end, and its own AFTER triggers.
//! Bounds: `Deep`; rows that wait are counted to the statement's memory, and go to
//! temporary files from there. Source: PostgreSQL 15, `trigger.c`, `execReplication.c`.

mod around;
mod found;
mod machine;
pub mod notices;

pub use around::Around;

use super::Router;
use super::modify::WriteEnv;
use engine::catalog::triggers::Event;
use engine::catalog::{Check, Table, Trigger, path};
use engine::exec::Context;
use engine::exec::eval::{self, Env};
use engine::exec::operators::stash::Stashed;
use engine::exec::operators::{RowSource, Stash, eval_row};
use engine::plan::Expr;
use engine::shard::{generate, violated};
use machine::Called;
use sql::BindEnv;
use sql::program::{self, Program};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use types::{Error, Result, Row, SqlState, TableId, Value};

/// A trigger, ready to be called.
pub struct Armed {
    pub trigger: Arc<Trigger>,
    pub program: Program,
    /// Of its function.
    settings: Vec<(String, String)>,
    /// Over the slots of NEW and OLD.
    when: Option<Expr>,
    /// Ordinals of UPDATE OF; empty: any.
    columns: Vec<usize>,
}

/// What an event on a table fires.
pub struct Fires {
    event: Event,
    before: Vec<Rc<Armed>>,
    after: Vec<Rc<Armed>>,
    /// A new row is held to checks that call functions.
    checks: bool,
}

impl Fires {
    /// Rows are looked at before they are written.
    pub fn has_before(&self) -> bool {
        self.checks || !self.before.is_empty()
    }

    /// What is called before a row is written looks at what has been written until then: row by row.
    pub fn reads(&self) -> bool {
        self.checks || self.before.iter().any(|a| a.program.reads)
    }
}

/// Rows that AFTER triggers wait for, of one statement.
#[derive(Default)]
pub struct Queue {
    rows: RefCell<Option<Stash>>,
}

impl Queue {
    pub fn is_empty(&self) -> bool {
        self.rows.borrow().is_none()
    }

    /// The statement has failed.
    pub fn forget(&self) {
        self.rows.take();
    }
}

/// A row as it was and as it is to be.
#[derive(Clone, Copy)]
pub struct Sides<'a> {
    pub old: Option<&'a Row>,
    pub new: Option<&'a Row>,
}

impl Router {
    /// What an event on the table fires; `None`: nothing.
    pub(super) fn fires(
        &self,
        env: &WriteEnv,
        table: &Arc<Table>,
        event: Event,
    ) -> Result<Option<Rc<Fires>>> {
        if !env.ctx.catalog.fires_on(table.id, event) {
            return Ok(None);
        }
        let (mut before, mut after) = (Vec::new(), Vec::new());
        for trigger in env.ctx.catalog.triggers_of(table.id) {
            if !trigger.is_enabled() || !trigger.is_of(event) || trigger.statement {
                continue;
            }
            let armed = self.armed(trigger, table, &env.ctx)?;
            match trigger.before {
                true => before.push(armed),
                false => after.push(armed),
            }
        }
        Ok(Some(Rc::new(Fires {
            event,
            before,
            after,
            checks: event != Event::Delete && table.checks.iter().any(Check::calls),
        })))
    }

    /// The trigger as it is called under this catalog.
    fn armed(
        &self,
        trigger: &Arc<Trigger>,
        table: &Arc<Table>,
        ctx: &Context,
    ) -> Result<Rc<Armed>> {
        let bind = || arm(trigger, table, ctx);
        self.programs.under(ctx, trigger.oid, bind)
    }

    /// BEFORE triggers: the row as it is to be written (of DELETE: as it is); `None`: nothing happens to it. `set`: the columns
    /// that an UPDATE assigns to.
    pub(super) async fn before(
        &self,
        env: &WriteEnv,
        fires: &Fires,
        table: &Arc<Table>,
        (old, mut new): (Option<&Row>, Option<Row>),
        set: &[usize],
    ) -> Result<Option<Row>> {
        if let Some(row) = &mut new {
            // Computed when the triggers are through.
            let generated = table.columns.iter().zip(row);
            let generated = generated.filter(|(c, _)| c.generated.is_some());
            generated.for_each(|(_, value)| *value = Value::Null);
        }
        for armed in &fires.before {
            let sides = Sides {
                old,
                new: new.as_ref(),
            };
            if !self.fits(env, (fires, armed), table, sides, set)? {
                continue;
            }
            let called = Called {
                armed,
                table,
                event: fires.event,
            };
            let Some(returned) = self.call_trigger(env, called, sides).await? else {
                return Ok(None);
            };
            if new.is_some() {
                new = Some(returned);
            }
        }
        match new {
            Some(mut row) => {
                generate(table, &mut row, &env.ctx)?;
                if fires.checks {
                    self.hold_to_checks(env, table, &row).await?;
                }
                Ok(Some(row))
            }
            None => Ok(old.cloned()),
        }
    }

    /// 23514 for checks that call functions. Where a NULL is not allowed, its partition says so.
    async fn hold_to_checks(&self, env: &WriteEnv, table: &Arc<Table>, row: &Row) -> Result<()> {
        let mut columns = table.columns.iter().zip(row);
        if columns.any(|(c, value)| c.not_null && value.is_null()) {
            return Ok(());
        }
        for check in table.checks.iter().filter(|c| c.calls()) {
            if eval_row(&check.expr, row, &env.exec, &[]).await? == Value::Bool(false) {
                return Err(violated(table, check, row, &env.ctx));
            }
        }
        Ok(())
    }

    /// A row has been written: AFTER triggers wait for the statement's end.
    pub(super) async fn after(
        &self,
        env: &WriteEnv,
        fires: &Fires,
        table: &Arc<Table>,
        sides: Sides<'_>,
        set: &[usize],
    ) -> Result<()> {
        let mut which = Vec::new();
        for armed in &fires.after {
            if self.fits(env, (fires, armed), table, sides, set)? {
                which.extend_from_slice(&armed.trigger.oid.to_be_bytes());
            }
        }
        if which.is_empty() {
            return Ok(());
        }
        let waiting = waiting(table.id, fires.event, which, sides);
        let queue = &env.txn.triggers.rows;
        let stash = queue.take();
        let mut stash = stash.unwrap_or_else(|| Stash::new(&env.exec, "AFTER triggers"));
        stash.push(waiting).await?;
        queue.replace(Some(stash));
        Ok(())
    }

    /// Whether a trigger wants the row: UPDATE OF, and WHEN.
    fn fits(
        &self,
        env: &WriteEnv,
        (fires, armed): (&Fires, &Armed),
        table: &Table,
        sides: Sides<'_>,
        set: &[usize],
    ) -> Result<bool> {
        // What a BEFORE trigger may change, all generated columns may follow.
        let follows = |c: usize| match !fires.before.is_empty() {
            true => table.columns.get(c).is_some_and(|c| c.generated.is_some()),
            false => depends(table, c, set),
        };
        let named = |c: &usize| set.contains(c) || follows(*c);
        if fires.event == Event::Update
            && !armed.columns.is_empty()
            && !armed.columns.iter().any(named)
        {
            return Ok(false);
        }
        let Some(when) = &armed.when else {
            return Ok(true);
        };
        let ctx = Context {
            params: machine::rows(table, sides),
            ..Context::clone(&env.ctx)
        };
        let within = Env {
            ctx: &ctx,
            outer: &[],
        };
        Ok(eval::eval(when, &[], &within)? == Value::Bool(true))
    }

    /// The statement has ended: its AFTER triggers are called, in the order of their rows.
    pub async fn fire_after(&self, env: &WriteEnv) -> Result<()> {
        while let Some(mut stash) = env.txn.triggers.rows.take() {
            stash.seal().await?;
            let mut rows = Stashed::new(Rc::new(stash));
            while let Some(batch) = rows.next().await? {
                for row in batch.rows {
                    Box::pin(self.fire_waiting(env, row)).await?;
                }
            }
        }
        Ok(())
    }

    async fn fire_waiting(&self, env: &WriteEnv, row: Row) -> Result<()> {
        let waited = Waited::of(row)?;
        let catalog = env.ctx.catalog.clone();
        let Some(table) = catalog.table(waited.table) else {
            return Ok(());
        };
        for oid in waited.which {
            let Some(trigger) = catalog.trigger(oid) else {
                continue;
            };
            let armed = self.armed(trigger, table, &env.ctx)?;
            let called = Called {
                armed: &armed,
                table,
                event: waited.event,
            };
            let sides = Sides {
                old: waited.old.as_ref(),
                new: waited.new.as_ref(),
            };
            self.call_trigger(env, called, sides).await?;
        }
        Ok(())
    }

    /// New rows before they are inserted: those that BEFORE triggers leave, as they leave them.
    pub(super) async fn before_insert(
        &self,
        env: &WriteEnv,
        fires: &Fires,
        table: &Arc<Table>,
        rows: Vec<Row>,
    ) -> Result<Vec<Row>> {
        let mut out = Vec::with_capacity(rows.len());
        for row in rows {
            let row = self
                .before(env, fires, table, (None, Some(row)), &[])
                .await?;
            out.extend(row);
        }
        Ok(out)
    }
}

fn arm(trigger: &Arc<Trigger>, table: &Arc<Table>, ctx: &Context) -> Result<Armed> {
    let function = ctx.catalog.functions.get(&trigger.function);
    let function = function.ok_or_else(|| {
        Error::new(
            SqlState::UNDEFINED_FUNCTION,
            format!("function with OID {} does not exist", trigger.function),
        )
    })?;
    let env = BindEnv {
        catalog: &ctx.catalog,
        param_types: &[],
        context: ctx,
        rows: &[],
    };
    let set = path::set(ctx, &function.settings);
    let within = BindEnv {
        context: set.as_ref().unwrap_or(ctx),
        ..env
    };
    let program = program::compile_trigger(function, table, &within).map_err(|e| {
        let place = format!("compilation of PL/pgSQL function \"{}\"", function.name);
        e.with_context(place)
    })?;
    Ok(Armed {
        program,
        settings: function.settings.clone(),
        when: program::when(trigger, table, &env)?,
        columns: trigger.ordinals(table),
        trigger: trigger.clone(),
    })
}

/// A generated column changes with what it is computed from.
fn depends(table: &Table, column: usize, set: &[usize]) -> bool {
    let generated = table.columns.get(column).and_then(|c| c.generated.as_ref());
    generated.is_some_and(|g| eval::columns_used(&g.expr).iter().any(|c| set.contains(c)))
}

/// A row of the queue: table, event, oids of triggers, which sides there are, and these.
fn waiting(table: TableId, event: Event, which: Vec<u8>, sides: Sides<'_>) -> Row {
    let code = match event {
        Event::Insert => 0,
        Event::Update => 1,
        Event::Delete => 2,
    };
    let width = |row: Option<&Row>| row.map_or(-1, |r| r.len() as i32);
    let mut out = vec![
        Value::Oid(table.0),
        Value::Int4(code),
        Value::Bytea(which.into()),
        Value::Int4(width(sides.old)),
        Value::Int4(width(sides.new)),
    ];
    out.extend(sides.old.into_iter().chain(sides.new).flatten().cloned());
    out
}

struct Waited {
    table: TableId,
    event: Event,
    which: Vec<u32>,
    old: Option<Row>,
    new: Option<Row>,
}

impl Waited {
    fn of(row: Row) -> Result<Waited> {
        let lost = || Error::internal("a row that waits for triggers is none");
        let mut values = row.into_iter();
        let head = [(); 5].map(|()| values.next());
        let [
            Some(Value::Oid(table)),
            Some(Value::Int4(code)),
            Some(Value::Bytea(which)),
            Some(Value::Int4(old)),
            Some(Value::Int4(new)),
        ] = head
        else {
            return Err(lost());
        };
        let event = match code {
            0 => Event::Insert,
            1 => Event::Update,
            2 => Event::Delete,
            _ => return Err(lost()),
        };
        let mut side = |width: i32| -> Option<Row> {
            let width = usize::try_from(width).ok()?;
            Some(values.by_ref().take(width).collect())
        };
        let (old, new) = (side(old), side(new));
        let oid = |b: &[u8]| b.try_into().map(u32::from_be_bytes).map_err(|_| lost());
        Ok(Waited {
            table: TableId(table),
            event,
            which: which.chunks(4).map(oid).collect::<Result<_>>()?,
            old,
            new,
        })
    }
}
