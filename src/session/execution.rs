//! A request's results, produced as the protocol asks for them.
//!
//! Owns: the sequence of statements of a script, or one portal's execution, and the ends of implicit transactions. Never:
//! runs ahead of `next`. Dropped before its end, it fails the transaction it was part of.

use super::copy::CopyIn;
use super::cursor::Cursor;
use super::portal::{Portal, Progress};
use super::statement::{Running, Started};
use super::transaction::aborted;
use super::{Planned, Session};
use crate::service::{CopyInput, Event, Results};
use crate::telemetry::StatementKind;
use engine::txn::Stop;
use futures_util::future::LocalBoxFuture;
use sql::{Kind, Parsed, Statement};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use types::{DataType, Error, Result, SqlState, Value};

/// How often a statement that is its own transaction is tried again after a conflict (40001), and the first pause: at most
/// so many microseconds, then up to twice as many, and so on.
const CONFLICT_RETRIES_MAX: u32 = 8;
const CONFLICT_PAUSE_US: u64 = 500;

pub struct Execution {
    session: Rc<Session>,
    source: Source,
    current: Current,
    events: VecDeque<Event>,
    stop: Arc<Stop>,
    kind: StatementKind,
    began: runtime::Instant,
    /// It has ended with this, once the client has seen what was said before.
    failure: Option<Error>,
    /// The client has seen the last event.
    ended: bool,
    /// All work is done, whether or not the client looks at the rest.
    finished: bool,
}

enum Source {
    /// What is left of a script. `alone`: it is one statement, its own transaction.
    Script {
        statements: VecDeque<Rc<Parsed>>,
        alone: bool,
    },
    /// One statement with parameters, its own transaction.
    Single {
        parsed: Rc<Parsed>,
        types: Vec<Option<DataType>>,
        params: Vec<Value>,
        planned: Option<Rc<Planned>>,
        taken: bool,
    },
    Portal {
        portal: Rc<RefCell<Portal>>,
        rows_left: Option<u64>,
        begun: bool,
    },
    /// A portal that DECLARE has made.
    Cursor {
        cursor: Rc<Cursor>,
        rows_max: Option<u64>,
        begun: bool,
    },
}

impl Source {
    /// Its transaction goes on until Sync.
    fn is_portal(&self) -> bool {
        matches!(self, Source::Portal { .. } | Source::Cursor { .. })
    }
}

enum Current {
    Nothing,
    Query(Running),
    CopyIn(Box<CopyIn>),
    CopyOut(Box<super::copy::CopyOut>),
}

impl Execution {
    pub fn script(session: Rc<Session>, statements: Vec<Parsed>, stop: Arc<Stop>) -> Execution {
        let alone = statements.len() == 1;
        let mut events = VecDeque::new();
        if statements.is_empty() {
            events.push_back(Event::Empty);
        }
        let statements = statements.into_iter().map(Rc::new).collect();
        Execution::new(session, Source::Script { statements, alone }, events, stop)
    }

    pub fn single(
        session: Rc<Session>,
        parsed: Rc<Parsed>,
        types: Vec<Option<DataType>>,
        params: Vec<Value>,
        stop: Arc<Stop>,
    ) -> Execution {
        let source = Source::Single {
            parsed,
            types,
            params,
            planned: None,
            taken: false,
        };
        Execution::new(session, source, VecDeque::new(), stop)
    }

    /// A script of one statement that was read before, with what is different this time.
    pub fn known(
        session: Rc<Session>,
        parsed: Rc<Parsed>,
        planned: Rc<Planned>,
        params: Vec<Value>,
        stop: Arc<Stop>,
    ) -> Execution {
        let source = Source::Single {
            parsed,
            types: Vec::new(),
            params,
            planned: Some(planned),
            taken: false,
        };
        Execution::new(session, source, VecDeque::new(), stop)
    }

    pub fn portal(
        session: Rc<Session>,
        portal: Rc<RefCell<Portal>>,
        rows_left: Option<u64>,
        stop: Arc<Stop>,
    ) -> Execution {
        let source = Source::Portal {
            portal,
            rows_left,
            begun: false,
        };
        Execution::new(session, source, VecDeque::new(), stop)
    }

    pub fn cursor(
        session: Rc<Session>,
        cursor: Rc<Cursor>,
        rows_max: Option<u64>,
        stop: Arc<Stop>,
    ) -> Execution {
        let source = Source::Cursor {
            cursor,
            rows_max,
            begun: false,
        };
        Execution::new(session, source, VecDeque::new(), stop)
    }

    fn new(
        session: Rc<Session>,
        source: Source,
        events: VecDeque<Event>,
        stop: Arc<Stop>,
    ) -> Execution {
        *session.running.borrow_mut() = Some(stop.clone());
        Execution {
            session,
            source,
            current: Current::Nothing,
            events,
            stop,
            kind: StatementKind::Utility,
            began: runtime::Instant::now(),
            failure: None,
            ended: false,
            finished: false,
        }
    }

    async fn step(&mut self) -> Result<Option<Event>> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            match std::mem::replace(&mut self.current, Current::Nothing) {
                Current::Nothing => {
                    // What the end of a script has to tell comes first.
                    if !self.advance().await? && self.events.is_empty() {
                        self.ended = true;
                        return Ok(None);
                    }
                }
                Current::Query(running) => self.rows(running).await?,
                Current::CopyOut(mut copy) => match copy.next().await? {
                    Some(data) => {
                        self.current = Current::CopyOut(copy);
                        return Ok(Some(Event::CopyData(data)));
                    }
                    None => self.complete(copy.tag()).await?,
                },
                Current::CopyIn(copy) => {
                    self.current = Current::CopyIn(copy);
                    return Err(Error::new(
                        SqlState::PROTOCOL_VIOLATION,
                        "COPY data expected",
                    ));
                }
            }
        }
    }

    /// Starts the next statement; `false` at the end of the request.
    async fn advance(&mut self) -> Result<bool> {
        match &mut self.source {
            Source::Script { statements, alone } => {
                let Some(parsed) = statements.pop_front() else {
                    self.end_of_script().await?;
                    return Ok(false);
                };
                let alone = *alone;
                self.session.scripted.set(!alone);
                self.begin(parsed, (Vec::new(), None), Vec::new(), alone)
                    .await?;
            }
            Source::Single {
                parsed,
                types,
                params,
                planned,
                taken,
            } => {
                if *taken {
                    self.end_of_script().await?;
                    return Ok(false);
                }
                *taken = true;
                self.session.scripted.set(false);
                let (parsed, params) = (parsed.clone(), std::mem::take(params));
                let known = (std::mem::take(types), planned.take());
                self.begin(parsed, known, params, true).await?;
            }
            Source::Portal { begun: true, .. } | Source::Cursor { begun: true, .. } => {
                return Ok(false);
            }
            Source::Cursor {
                cursor,
                rows_max,
                begun,
            } => {
                *begun = true;
                self.session.scripted.set(false);
                if self.session.block.borrow().is_failed() {
                    return Err(aborted());
                }
                let (cursor, rows_max) = (cursor.clone(), *rows_max);
                let fetched = self.session.execute_cursor(cursor, rows_max, &self.stop);
                let started = fetched.await?;
                self.take(started).await?;
            }
            Source::Portal { portal, begun, .. } => {
                *begun = true;
                self.session.scripted.set(false);
                let portal = portal.clone();
                self.begin_portal(&portal).await?;
            }
        }
        Ok(true)
    }

    async fn begin(
        &mut self,
        parsed: Rc<Parsed>,
        (types, planned): (Vec<Option<DataType>>, Option<Rc<Planned>>),
        params: Vec<Value>,
        alone: bool,
    ) -> Result<()> {
        self.began = runtime::Instant::now();
        self.session.refuse_if_failed(&parsed)?;
        let alone = alone && self.session.block.borrow().is_idle();
        let mut attempt = 0;
        loop {
            let run = self.session.run(
                &parsed,
                &types,
                &params,
                planned.as_ref(),
                alone,
                &self.stop,
            );
            // The end of a statement that is its own transaction is its commit.
            let outcome = match run.await {
                Ok(started) => self.take(started).await,
                Err(e) => Err(e),
            };
            match outcome {
                Err(e) if alone && self.tries_again(&e, &mut attempt).await => {}
                other => return other,
            }
        }
    }

    /// After a conflict of a statement of which nothing is left, and of which the client has seen nothing.
    async fn tries_again(&mut self, e: &Error, attempt: &mut u32) -> bool {
        if e.code() != SqlState::SERIALIZATION_FAILURE || *attempt >= CONFLICT_RETRIES_MAX {
            return false;
        }
        self.events.clear();
        self.session.notices.take();
        self.current = Current::Nothing;
        self.session.fail();
        self.session.settle_implicit();
        self.session.node.metrics.conflicts.inc();
        let most = CONFLICT_PAUSE_US << *attempt;
        *attempt += 1;
        let pause = Duration::from_micros(runtime::random_u64() % most);
        runtime::sleep(pause).await;
        self.stop.check().is_ok()
    }

    async fn begin_portal(&mut self, portal: &Rc<RefCell<Portal>>) -> Result<()> {
        let progress = std::mem::replace(&mut portal.borrow_mut().progress, Progress::Done);
        match progress {
            Progress::New => {
                let (parsed, params, planned) = {
                    let p = portal.borrow();
                    (p.parsed.clone(), p.params.clone(), p.planned.clone())
                };
                let Some(parsed) = parsed else {
                    self.events.push_back(Event::Empty);
                    return Ok(());
                };
                self.session.refuse_if_failed(&parsed)?;
                let first = self.session.block.borrow().is_idle();
                let mut attempt = 0;
                loop {
                    let known = Some(&planned);
                    let run = self
                        .session
                        .run(&parsed, &[], &params, known, false, &self.stop);
                    match run.await {
                        Ok(started) => return self.take(started).await,
                        Err(e) if first && self.tries_again(&e, &mut attempt).await => {}
                        Err(e) => return Err(e),
                    }
                }
            }
            Progress::Open { left, running } => {
                if self.session.block.borrow().is_failed() {
                    return Err(aborted());
                }
                self.kind = StatementKind::Select;
                self.current = Current::Query(Running::resumed(left, running, &self.stop));
                Ok(())
            }
            // A query's portal at its end just has no more rows; a change is not made twice.
            Progress::Done
                if matches!(portal.borrow().planned.statement(), Statement::Query(_)) =>
            {
                self.kind = StatementKind::Select;
                self.complete("SELECT 0".into()).await
            }
            Progress::Done => Err(Error::new(
                SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                "portal cannot be run",
            )),
        }
    }

    /// What functions of triggers have said until now, and set_config() has set.
    fn say(&mut self) {
        let told = self.session.told.take();
        self.events.extend(told.into_iter().map(parameter));
        if !self.session.notices.is_empty() {
            let said = self.session.wanted(self.session.notices.take());
            self.events.extend(said.into_iter().map(Event::Notice));
        }
    }

    async fn take(&mut self, started: Started) -> Result<()> {
        self.say();
        match started {
            Started::Query {
                kind,
                running,
                columns,
            } => {
                self.kind = kind;
                self.events.push_back(Event::Columns(columns));
                match running.is_all_here() {
                    true => self.rows(running).await?,
                    false => self.current = Current::Query(running),
                }
            }
            Started::Done {
                kind,
                columns,
                rows,
                tag,
                notices,
            } => {
                self.kind = kind;
                self.events.extend(notices.into_iter().map(Event::Notice));
                if let Some(columns) = columns {
                    self.events.push_back(Event::Columns(columns));
                    if self.source.is_portal() {
                        // It may take fewer of the rows at once.
                        let running = Running::of(rows, &self.stop).called(tag);
                        return self.rows(running).await;
                    }
                    if !rows.is_empty() {
                        self.events.push_back(Event::Rows(rows));
                    }
                }
                self.complete(tag).await?;
            }
            Started::Told { parameters, tag } => {
                self.kind = StatementKind::Utility;
                self.complete(tag).await?;
                self.events.extend(parameters.into_iter().map(parameter));
            }
            Started::CopyIn(copy) => {
                self.kind = StatementKind::Copy;
                self.events.push_back(Event::CopyIn {
                    columns: copy.columns(),
                    binary: copy.is_binary(),
                });
                self.current = Current::CopyIn(copy);
            }
            Started::CopyOut(copy) => {
                self.kind = StatementKind::Copy;
                self.events.push_back(Event::CopyOut {
                    columns: copy.columns(),
                    binary: copy.is_binary(),
                });
                self.current = Current::CopyOut(copy);
            }
        }
        Ok(())
    }

    /// The next rows of a query, as many as the portal may give.
    async fn rows(&mut self, mut running: Running) -> Result<()> {
        let Some(mut batch) = running.next().await? else {
            if matches!(&self.source, Source::Cursor { rows_max: Some(most), .. } if *most == running.rows())
            {
                self.suspended();
                return Ok(());
            }
            let tag = running.tag(self.kind);
            return self.complete(tag).await;
        };
        if let Source::Portal {
            portal,
            rows_left: Some(left),
            ..
        } = &mut self.source
        {
            if batch.len() as u64 > *left {
                let rest = batch.rows.split_off(*left as usize);
                running.put_back(rest);
            }
            *left -= batch.len() as u64;
            portal.borrow_mut().given += batch.len() as u64;
            if *left == 0 {
                let portal = portal.clone();
                self.count(&mut running, batch.len());
                if !batch.is_empty() {
                    self.events.push_back(Event::Rows(batch));
                }
                portal.borrow_mut().progress = running.suspend();
                self.suspended();
                return Ok(());
            }
        }
        self.count(&mut running, batch.len());
        self.events
            .push_back(Event::Rows(std::mem::take(&mut batch)));
        if running.is_over() {
            let tag = running.tag(self.kind);
            return self.complete(tag).await;
        }
        self.current = Current::Query(running);
        Ok(())
    }

    fn count(&self, running: &mut Running, rows: usize) {
        running.count(rows);
        self.session.node.metrics.rows_returned.add(rows as u64);
    }

    /// The portal has given as many rows as it may now.
    fn suspended(&mut self) {
        self.finished = true;
        self.events.push_back(Event::Suspended);
    }

    /// A statement is done: its transaction too, if it was one by itself.
    async fn complete(&mut self, tag: String) -> Result<()> {
        self.session.settle_statement(&self.stop).await?;
        self.say();
        let alone = match &self.source {
            Source::Script { alone, .. } => *alone,
            Source::Single { .. } => true,
            Source::Portal { .. } | Source::Cursor { .. } => false,
        };
        if alone {
            self.end_of_script().await?;
        }
        let metrics = &self.session.node.metrics;
        metrics.statement(self.kind, self.began.elapsed());
        self.finished = match &self.source {
            Source::Script { statements, .. } => {
                statements.is_empty() && !self.session.ends_with_script()
            }
            Source::Single { .. } | Source::Portal { .. } | Source::Cursor { .. } => true,
        };
        self.events.push_back(Event::Complete { tag });
        Ok(())
    }

    async fn end_of_script(&mut self) -> Result<()> {
        if !self.session.ends_at_once() {
            self.session.commit_block(&self.stop).await?;
        }
        if self.session.has_assigned() && !self.session.block.borrow().is_explicit() {
            let told = self.session.end_assigned(true);
            self.events.extend(told.into_iter().map(parameter));
        }
        Ok(())
    }

    /// The request ends with an error: nothing of it goes on.
    fn broke(&mut self, error: &Error) {
        self.ended = true;
        self.events.clear();
        self.current = Current::Nothing;
        // What other shards still do for it ends: a savepoint may be waiting for that.
        self.stop.cancel();
        self.session.counts_failure(error);
        self.session.fail();
        if !self.source.is_portal() {
            self.session.settle_implicit();
        }
        if self.session.has_assigned() && !self.session.block.borrow().is_explicit() {
            let told = self.session.end_assigned(false);
            self.events.extend(told.into_iter().map(parameter));
        }
    }
}

impl Execution {
    /// With labels and names for what only the catalog can name.
    fn named(&self, event: Event) -> Event {
        match event {
            Event::Rows(mut batch) => {
                self.session.catalog().label_rows(&mut batch.rows);
                Event::Rows(batch)
            }
            Event::Notice(e) => Event::Notice(self.session.named(e)),
            other => other,
        }
    }
}

impl Results for Execution {
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<Event>>> {
        Box::pin(async {
            if self.failure.is_some()
                && let Some(event) = self.events.pop_front()
            {
                return Ok(Some(self.named(event)));
            }
            if let Some(failure) = self.failure.take() {
                return Err(failure);
            }
            if self.ended {
                return Ok(None);
            }
            // As the statement leaves it: an error takes the transaction's own catalog with it.
            let catalog = self.session.catalog();
            match self.step().await {
                Ok(event) => Ok(event.map(|e| self.named(e))),
                Err(e) => {
                    self.say();
                    let mut said = std::mem::take(&mut self.events);
                    said.retain(|event| matches!(event, Event::Notice(_)));
                    self.broke(&e);
                    said.append(&mut self.events);
                    let e = e.reworded(|text| catalog.named(text).into_owned());
                    let Some(first) = said.pop_front() else {
                        return Err(e);
                    };
                    self.failure = Some(e);
                    self.events = said;
                    Ok(Some(self.named(first)))
                }
            }
        })
    }

    fn ready(&mut self) -> Option<Event> {
        let event = self.events.pop_front()?;
        Some(self.named(event))
    }

    fn copy(&mut self, input: CopyInput) -> LocalBoxFuture<'_, Result<()>> {
        Box::pin(async {
            let Current::CopyIn(mut copy) = std::mem::replace(&mut self.current, Current::Nothing)
            else {
                return Err(Error::new(
                    SqlState::PROTOCOL_VIOLATION,
                    "no COPY is in progress",
                ));
            };
            let outcome = match input {
                CopyInput::Data(data) => copy
                    .data(&data)
                    .await
                    .map(|()| self.current = Current::CopyIn(copy)),
                CopyInput::Done => match copy.finish().await {
                    Ok(tag) => self.complete(tag).await,
                    Err(e) => Err(e),
                },
                CopyInput::Fail(why) => Err(Error::new(
                    SqlState::QUERY_CANCELED,
                    format!("COPY from stdin failed: {why}"),
                )),
            };
            outcome.map_err(|e| {
                let named = self.session.named(e.clone());
                self.session.notices.take();
                self.broke(&e);
                named
            })
        })
    }
}

impl Drop for Execution {
    fn drop(&mut self) {
        *self.session.running.borrow_mut() = None;
        self.session.scripted.set(false);
        self.session.activity.ends();
        if self.ended || self.finished {
            return;
        }
        self.stop.cancel();
        self.session.fail();
        if !self.source.is_portal() {
            self.session.settle_implicit();
        }
        if !self.session.block.borrow().is_explicit() {
            self.session.end_assigned(false);
        }
    }
}

fn parameter((name, value): (String, String)) -> Event {
    Event::Parameter { name, value }
}

impl Session {
    pub(super) fn counts_failure(&self, error: &Error) {
        let metrics = &self.node.metrics;
        match error.code() {
            SqlState::SERIALIZATION_FAILURE => metrics.conflicts.inc(),
            SqlState::DEADLOCK_DETECTED => metrics.deadlocks.inc(),
            _ => {}
        }
    }

    /// Something is left to do when the script has ended.
    fn ends_with_script(&self) -> bool {
        let block = self.block.borrow();
        !block.is_explicit() && (!block.is_idle() || self.has_assigned())
    }

    /// 25P02 for anything but the end of a failed block.
    pub(super) fn refuse_if_failed(&self, parsed: &Parsed) -> Result<()> {
        if self.block.borrow().is_failed()
            && !matches!(
                parsed.kind,
                Kind::Commit | Kind::Rollback | Kind::RollbackTo
            )
        {
            return Err(aborted());
        }
        Ok(())
    }
}

impl Planned {
    pub fn statement(&self) -> &Statement {
        &self.bound.statement
    }
}
