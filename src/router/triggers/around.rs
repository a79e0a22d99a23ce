//! Triggers of statements: called once before a statement and once after it, whether it concerns rows or not.
//!
//! Owns: which events a statement is, and their order. Asked by: `Router::change`, and COPY. What is to be called after waits behind the
//! rows of the statement (`Queue`), as one without sides. Never: calls for what foreign keys do.
//! Source: PostgreSQL 15, `nodeModifyTable.c` (`fireBSTriggers`, `fireASTriggers`).

use super::machine::Called;
use super::{Armed, Sides, waiting};
use crate::router::Router;
use crate::router::modify::WriteEnv;
use engine::catalog::Table;
use engine::catalog::triggers::Event;
use engine::exec::eval::{self, Env};
use engine::exec::operators::Stash;
use engine::plan::{Act, Assignment, ConflictAction, MergeWord};
use sql::Statement;
use std::sync::Arc;
use types::{Result, Value};

/// What a statement is to its table: events, with the columns that an UPDATE assigns to.
pub struct Around {
    table: Arc<Table>,
    events: Vec<(Event, Vec<usize>)>,
}

const NO_SIDES: Sides<'static> = Sides {
    old: None,
    new: None,
};

impl Around {
    /// `None` for what has no such triggers.
    pub fn of(env: &WriteEnv, statement: &Statement) -> Option<Around> {
        if env.ctx.catalog.triggers.is_empty() {
            return None;
        }
        let columns = |list: &[Assignment]| list.iter().map(|a| a.column).collect::<Vec<_>>();
        let (table, events) = match statement {
            Statement::Insert(i) => {
                let mut events = vec![(Event::Insert, Vec::new())];
                let action = i.on_conflict.as_ref().map(|c| &c.action);
                if let Some(ConflictAction::Update { assignments, .. }) = action {
                    events.push((Event::Update, columns(assignments)));
                }
                (&i.table, events)
            }
            Statement::Update(u) => (&u.table, vec![(Event::Update, columns(&u.assignments))]),
            Statement::Delete(d) => (&d.table, vec![(Event::Delete, Vec::new())]),
            Statement::Merge(m) => {
                let acts = m.whens.iter().map(|w| &w.act);
                let mut events: Vec<(Event, Vec<usize>)> = Vec::new();
                for act in acts {
                    let (event, set) = match act {
                        Act::Nothing => continue,
                        Act::Insert(_) => (Event::Insert, Vec::new()),
                        Act::Update(list) => (Event::Update, columns(list)),
                        Act::Delete => (Event::Delete, Vec::new()),
                    };
                    match events.iter_mut().find(|(e, _)| *e == event) {
                        Some((_, known)) => known.extend(set),
                        None => events.push((event, set)),
                    }
                }
                let place = |e: Event| match e {
                    Event::Insert => 0,
                    Event::Update => 1,
                    Event::Delete => 2,
                };
                debug_assert!(m.word == MergeWord::Merge || events.len() == 1);
                events.sort_by_key(|(e, _)| place(*e));
                (&m.table, events)
            }
            _ => return None,
        };
        Around::with(env, table, events)
    }

    /// Of a COPY.
    pub fn of_copy(env: &WriteEnv, table: &Arc<Table>) -> Option<Around> {
        Around::with(env, table, vec![(Event::Insert, Vec::new())])
    }

    fn with(
        env: &WriteEnv,
        table: &Arc<Table>,
        mut events: Vec<(Event, Vec<usize>)>,
    ) -> Option<Around> {
        let catalog = &env.ctx.catalog;
        events.retain(|(event, _)| catalog.fires_around(table.id, *event));
        (!events.is_empty()).then(|| Around {
            table: table.clone(),
            events,
        })
    }
}

impl Router {
    pub async fn before_statement(&self, env: &WriteEnv, around: &Around) -> Result<()> {
        for (event, set) in &around.events {
            for armed in self.armed_around(env, around, true, (*event, set))? {
                let called = Called {
                    armed: &armed,
                    table: &around.table,
                    event: *event,
                };
                self.call_trigger(env, called, NO_SIDES).await?;
            }
        }
        Ok(())
    }

    /// The statement has done what it does: its AFTER triggers wait behind those of its rows.
    pub async fn after_statement(&self, env: &WriteEnv, around: &Around) -> Result<()> {
        // That of ON CONFLICT DO UPDATE before that of INSERT.
        for (event, set) in around.events.iter().rev() {
            let mut which = Vec::new();
            for armed in self.armed_around(env, around, false, (*event, set))? {
                which.extend_from_slice(&armed.trigger.oid.to_be_bytes());
            }
            if which.is_empty() {
                continue;
            }
            let queue = &env.txn.triggers.rows;
            let stash = queue.take();
            let mut stash = stash.unwrap_or_else(|| Stash::new(&env.exec, "AFTER triggers"));
            let row = waiting(around.table.id, *event, which, NO_SIDES);
            stash.push(row).await?;
            queue.replace(Some(stash));
        }
        Ok(())
    }

    fn armed_around(
        &self,
        env: &WriteEnv,
        around: &Around,
        before: bool,
        (event, set): (Event, &[usize]),
    ) -> Result<Vec<std::rc::Rc<Armed>>> {
        let mut out = Vec::new();
        for trigger in env.ctx.catalog.triggers_of(around.table.id) {
            let meant = trigger.statement && trigger.before == before && trigger.is_of(event);
            if !meant || !trigger.is_enabled() {
                continue;
            }
            let armed = self.armed(trigger, &around.table, &env.ctx)?;
            let named = armed.columns.is_empty() || armed.columns.iter().any(|c| set.contains(c));
            if event == Event::Update && !named {
                continue;
            }
            let within = Env {
                ctx: &env.ctx,
                outer: &[],
            };
            let wanted = match &armed.when {
                Some(when) => eval::eval(when, &[], &within)? == Value::Bool(true),
                None => true,
            };
            if wanted {
                out.push(armed);
            }
        }
        Ok(out)
    }
}
