//! Cursors and the portals of the extended protocol are one name space, as in PostgreSQL.
//!
//! Owns: which of both has a name, and what FETCH and MOVE do with a portal that Bind has made: it becomes a cursor, where it
//! is, that can only go forward. Asked by: `cursor`, `portal`. Bounds: `PREPARED_MAX` of both together a session.
//! Source: PostgreSQL 15, `portalmem.c`, and `exec_bind_message` of `postgres.c`.

use super::super::Session;
use super::super::portal::{Portal, Progress, changed_rows, same_rows};
use super::super::statement::Work;
use super::{Cursor, State, unknown};
use engine::exec::CursorInfo;
use engine::exec::operators::Stash;
use engine::exec::operators::stash::Place;
use engine::plan::Query;
use engine::txn::Stop;
use sql::{Scroll, Statement};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use types::limits::PREPARED_MAX;
use types::{Column, Error, Result, SqlState};

impl Session {
    /// Of a new cursor or named portal: its name is free, and there is room for one more.
    pub(in super::super) fn is_free(&self, name: &str) -> Result<()> {
        let (portals, cursors) = (self.portals.borrow(), self.cursors.borrow());
        if portals.contains_key(name) || cursors.contains_key(name) {
            return Err(Error::new(
                SqlState::DUPLICATE_CURSOR,
                format!("cursor \"{name}\" already exists"),
            ));
        }
        if portals.len() + cursors.len() < PREPARED_MAX {
            return Ok(());
        }
        Err(Error::new(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            format!("a session can have at most {PREPARED_MAX} portals"),
        ))
    }

    /// What FETCH from it will give.
    pub(in super::super) fn fetched_columns(&self, name: &str) -> Result<Arc<Vec<Column>>> {
        if let Some(portal) = self.portals.borrow().get(name) {
            let columns = portal.borrow().planned.bound.columns.clone();
            return columns.ok_or_else(no_rows);
        }
        Ok(self.cursor(name)?.columns.clone())
    }

    /// The cursor of that name, or what was a portal until now.
    pub(super) async fn reached(&self, name: &str, stop: &Arc<Stop>) -> Result<Rc<Cursor>> {
        let portal = self.portals.borrow().get(name).cloned();
        let Some(portal) = portal else {
            return self.cursor(name);
        };
        let calls = portal.borrow().planned.calls;
        let cursor = Rc::new(self.adopted(name, &portal, stop).await?);
        self.portals.borrow_mut().remove(name);
        self.cursors
            .borrow_mut()
            .insert(name.to_string(), cursor.clone());
        self.cursors_changed();
        if calls {
            // As `declare` does.
            Box::pin(self.settle_cursors(stop)).await?;
        }
        Ok(cursor)
    }

    async fn adopted(
        &self,
        name: &str,
        portal: &Rc<RefCell<Portal>>,
        stop: &Arc<Stop>,
    ) -> Result<Cursor> {
        let (parsed, planned, params, given) = {
            let p = portal.borrow();
            (
                p.parsed.clone(),
                p.planned.clone(),
                p.params.clone(),
                p.given,
            )
        };
        let (Some(parsed), Statement::Query(query)) = (parsed, planned.statement()) else {
            return Err(no_rows());
        };
        let progress = std::mem::replace(&mut portal.borrow_mut().progress, Progress::Done);
        let ctx = self.context(params.to_vec());
        let (txn, _) = self.ensure_transaction_at(ctx.statement_micros)?;
        let work = Work {
            session: self,
            txn,
            ctx,
            stop,
            alone: false,
            calls: planned.calls,
        };
        match progress {
            Progress::New if self.is_current(&planned, &work.ctx) => {
                self.opened(name, query, Scroll::No, false, &parsed.text, &work)
                    .await
            }
            Progress::New => {
                let again = self.plan(&parsed, &planned.types(), &work.ctx)?;
                let Statement::Query(query) = again.statement() else {
                    return Err(no_rows());
                };
                if !same_rows(&again, &planned) {
                    return Err(changed_rows());
                }
                let work = Work {
                    calls: again.calls,
                    ..work
                };
                self.opened(name, query, Scroll::No, false, &parsed.text, &work)
                    .await
            }
            begun => Ok(self.going_on(name, &parsed.text, query, (given, begun), &work)),
        }
    }

    /// What has given out so many rows, or is done.
    fn going_on(
        &self,
        name: &str,
        text: &str,
        query: &Query,
        (given, begun): (u64, Progress),
        work: &Work<'_>,
    ) -> Cursor {
        let (mut pulled, running, ended) = match begun {
            Progress::Open { left, running } => (left.rows, running, false),
            Progress::New | Progress::Done => (Vec::new(), None, true),
        };
        pulled.reverse();
        let number = self.declared.get() + 1;
        self.declared.set(number);
        let state = State {
            running,
            failed: None,
            pulled,
            kept: Stash::new(&work.exec(), "a cursor"),
            from: given,
            known: given,
            at: given + u64::from(ended),
            ended,
            keeps: false,
            place: Place::default(),
        };
        Cursor {
            info: CursorInfo {
                name: name.to_string(),
                statement: text.to_string(),
                is_holdable: false,
                is_scrollable: false,
                micros: work.ctx.statement_micros,
            },
            columns: query.columns.clone(),
            forward_only: true,
            locks: query.plan.locks_rows(),
            of: Cell::new(Some(work.txn.xid)),
            number,
            state: RefCell::new(Some(Box::new(state))),
        }
    }

    /// CLOSE, and the protocol's Close: whether there was one of that name.
    pub(in super::super) fn closed(&self, name: &str) -> bool {
        let portal = self.portals.borrow_mut().remove(name);
        let cursor = self.cursors.borrow_mut().remove(name);
        if cursor.is_some() {
            self.cursors_changed();
        }
        portal.is_some() || cursor.is_some()
    }

    pub(super) fn close_known(&self, name: &str) -> Result<()> {
        match self.closed(name) {
            true => Ok(()),
            false => Err(unknown(name)),
        }
    }
}

fn no_rows() -> Error {
    Error::unsupported("FETCH from a portal is supported for queries only")
}
