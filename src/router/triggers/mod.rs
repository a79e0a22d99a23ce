//! Row triggers: what is called before a row is written and after its statement.
//!
//! Owns: which triggers a change of a row fires, in their order, and the rows that AFTER triggers wait for. Asked by: whatever writes
//! rows, with each of them; session, at a statement's end. Never: reads a body (`sql::trigger` has bound it); costs a table without
//! triggers more than the look whether the catalog has any.
//! A table's rows come here before they are written, so a change of one with triggers finds its rows first (`merge`), and is
//! written where they are by their keys. What a body runs is a statement of its own in the same transaction: with a snapshot of its own,
//! what it owes foreign keys settled at its end, and its own AFTER triggers.
//! Bounds: `DEEP_MAX` triggers inside each other, and `STACK_BYTES_MAX` (54001); rows that wait are counted to the statement's memory, and go to
//! temporary files from there. Source: PostgreSQL 15, `trigger.c`, `execReplication.c`.

mod found;
mod machine;
pub mod notices;
mod programs;

pub use programs::Programs;

use super::Router;
use super::modify::WriteEnv;
use engine::catalog::triggers::Event;
use engine::catalog::{Table, Trigger};
use engine::exec::Context;
use engine::exec::eval::{self, Env};
use engine::exec::operators::stash::Stashed;
use engine::exec::operators::{RowSource, Stash};
use engine::plan::Expr;
use engine::shard::generate;
use machine::Called;
use sql::trigger::Program;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use types::{Error, Result, Row, SqlState, TableId, Value};

/// Triggers that are called from inside each other, and the stack they may take: half of a thread's.
const DEEP_MAX: u32 = 64;
const STACK_BYTES_MAX: usize = 1 << 20;

/// How many triggers a statement is inside of.
#[derive(Clone, Copy, Default)]
pub struct Deep {
    triggers: u32,
    /// Where the stack was when the first was called.
    stack: usize,
}

impl Deep {
    /// Of a statement in the function of a trigger.
    pub fn inside(self) -> Deep {
        let here = stack();
        Deep {
            triggers: self.triggers + 1,
            stack: if self.triggers == 0 { here } else { self.stack },
        }
    }

    /// 54001 where one more may not be called.
    fn one_more(self) -> Result<()> {
        let taken = match self.triggers {
            0 => 0,
            _ => self.stack.abs_diff(stack()),
        };
        match self.triggers >= DEEP_MAX || taken > STACK_BYTES_MAX {
            true => Err(too_deep()),
            false => Ok(()),
        }
    }
}

/// An address of about here. The tasks of a shard are polled from one place, so two of one task can be compared.
#[inline(never)]
fn stack() -> usize {
    let here = 0u8;
    std::ptr::from_ref(std::hint::black_box(&here)).addr()
}

/// A trigger, ready to be called.
pub struct Armed {
    pub trigger: Arc<Trigger>,
    pub program: Program,
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
}

impl Fires {
    pub fn has_before(&self) -> bool {
        !self.before.is_empty()
    }

    /// What is called before a row is written looks at what has been written until then: row by row.
    pub fn reads(&self) -> bool {
        self.before.iter().any(|a| a.program.reads)
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
            if !trigger.is_enabled() || !trigger.is_of(event) {
                continue;
            }
            let armed = self.programs.armed(trigger, table, &env.ctx)?;
            match trigger.before {
                true => before.push(armed),
                false => after.push(armed),
            }
        }
        Ok(Some(Rc::new(Fires {
            event,
            before,
            after,
        })))
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
                Ok(Some(row))
            }
            None => Ok(old.cloned()),
        }
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
        let follows = |c: usize| match fires.has_before() {
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
            let armed = self.programs.armed(trigger, table, &env.ctx)?;
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

/// A generated column changes with what it is computed from.
fn depends(table: &Table, column: usize, set: &[usize]) -> bool {
    let generated = table.columns.get(column).and_then(|c| c.generated.as_ref());
    generated.is_some_and(|g| eval::columns_used(&g.expr).iter().any(|c| set.contains(c)))
}

/// 54001.
fn too_deep() -> Error {
    Error::new(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded")
        .with_detail(format!(
            "Triggers are called from triggers {DEEP_MAX} deep at most, and {STACK_BYTES_MAX} bytes."
        ))
        .with_hint("A trigger's function changes rows that call it again. WHEN (pg_trigger_depth() = 0) ends that.")
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
