//! Carrying out one bound statement.
//!
//! Owns: the statement's snapshot, its retries when a table's definition changed under its plan, and what it answers.

use super::copy::{CopyIn, CopyOut};
use super::execution::Execution;
use super::once::Once;
use super::portal::Progress;
use super::{Planned, Session, temporary};
use crate::router::host::Host;
use crate::router::modify::{Outcome, WriteEnv};
use crate::router::scan::TxnSource;
use crate::router::{Deep, Txn};
use crate::service::{Answer, Reply};
use crate::telemetry::StatementKind;
use engine::exec::Context;
use engine::exec::memory::Memory;
use engine::exec::operators::stash::Stashed;
use engine::exec::operators::{Exec, RowSource, Stash, open_in_place};
use engine::exec::profile::Profile;
use engine::plan::{Expr, MergeWord, Plan, Query};
use engine::shard::call::STALE;
use engine::txn::{Isolation, Stop};
use sql::{Kind, Parsed, Statement};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use types::{Column, DataType, Error, Result, Row, RowBatch, SqlState, Value};

/// How often a statement is planned again because a table's definition changed meanwhile.
const REPLANS_MAX: u32 = 50;
const REPLAN_PAUSE: Duration = Duration::from_millis(2);

/// A statement under way or done.
pub enum Started {
    Query {
        kind: StatementKind,
        running: Running,
        columns: Arc<Vec<Column>>,
    },
    Done {
        kind: StatementKind,
        columns: Option<Arc<Vec<Column>>>,
        rows: RowBatch,
        tag: String,
        notices: Vec<Error>,
    },
    /// Settings changed that clients are told.
    Told {
        parameters: Vec<(String, String)>,
        tag: String,
    },
    CopyIn(Box<CopyIn>),
    CopyOut(Box<CopyOut>),
}

/// A query whose rows are being taken.
pub struct Running {
    /// Rows taken but not yet given out.
    left: RowBatch,
    source: Option<Box<dyn RowSource>>,
    rows: u64,
    /// The one its operators look at.
    stop: Arc<Stop>,
    end: End,
}

/// What the end of a query is called.
enum End {
    /// By its kind and rows.
    Plain,
    Known(String),
    /// FETCH, and how many rows.
    Counted(&'static str),
}

impl Running {
    pub fn new(source: Box<dyn RowSource>, stop: &Arc<Stop>) -> Running {
        Running {
            left: RowBatch::new(),
            source: Some(source),
            rows: 0,
            stop: stop.clone(),
            end: End::Plain,
        }
    }

    /// Of rows that are all here.
    pub fn of(rows: RowBatch, stop: &Arc<Stop>) -> Running {
        Running {
            left: rows,
            source: None,
            rows: 0,
            stop: stop.clone(),
            end: End::Plain,
        }
    }

    /// Its end is known.
    pub fn called(mut self, tag: String) -> Running {
        self.end = End::Known(tag);
        self
    }

    /// Its end tells its rows under this name.
    pub fn counted(source: Box<dyn RowSource>, stop: &Arc<Stop>, name: &'static str) -> Running {
        let mut running = Running::new(source, stop);
        running.end = End::Counted(name);
        running
    }

    /// What was begun for an earlier request ends with this one.
    pub fn goes_on_for(&self, stop: &Arc<Stop>) {
        if !Arc::ptr_eq(&self.stop, stop) {
            self.stop.go_on_for(stop);
        }
    }

    /// Goes on where a portal was suspended, now for the request of `stop`. The tag then counts the rows of this
    /// execution.
    pub fn resumed(left: RowBatch, running: Option<Running>, stop: &Arc<Stop>) -> Running {
        if let Some(running) = &running {
            running.stop.go_on_for(stop);
        }
        let (source, stop, end) = running.map_or((None, stop.clone(), End::Plain), |r| {
            (r.source, r.stop, r.end)
        });
        Running {
            left,
            source,
            rows: 0,
            stop,
            end,
        }
    }

    pub async fn next(&mut self) -> Result<Option<RowBatch>> {
        if !self.left.is_empty() {
            return Ok(Some(std::mem::take(&mut self.left)));
        }
        let Some(source) = &mut self.source else {
            return Ok(None);
        };
        let batch = source.next().await?;
        if batch.is_none() {
            self.source = None;
        }
        Ok(batch)
    }

    /// Nothing more has to be asked for.
    pub fn is_all_here(&self) -> bool {
        self.source.is_none()
    }

    pub fn is_over(&self) -> bool {
        self.source.is_none() && self.left.is_empty()
    }

    pub fn put_back(&mut self, rows: Vec<Row>) {
        self.left = RowBatch::from(rows);
    }

    /// So many were given out.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    pub fn count(&mut self, rows: usize) {
        self.rows += rows as u64;
    }

    pub fn suspend(mut self) -> Progress {
        let left = std::mem::take(&mut self.left);
        Progress::Open {
            left,
            running: Some(self),
        }
    }

    pub fn tag(&self, kind: StatementKind) -> String {
        match (&self.end, kind) {
            (End::Known(tag), _) => tag.clone(),
            (End::Counted(name), _) => format!("{name} {}", self.rows),
            (End::Plain, StatementKind::Utility) => "EXPLAIN".into(),
            (End::Plain, _) => format!("SELECT {}", self.rows),
        }
    }
}

/// What one statement works in.
pub(super) struct Work<'a> {
    pub session: &'a Session,
    pub txn: Rc<Txn>,
    pub ctx: Arc<Context>,
    pub stop: &'a Arc<Stop>,
    /// It is a transaction by itself.
    pub alone: bool,
    /// It calls functions, which may change rows.
    pub calls: bool,
}

impl Work<'_> {
    /// The operators' surroundings, at a snapshot taken now (or the transaction's).
    pub fn exec(&self) -> Rc<Exec> {
        self.exec_for(None, self.calls)
    }

    /// With `profile` operators are measured. `apart`: the statement does not see what it writes.
    pub fn exec_for(&self, profile: Option<Rc<Profile>>, apart: bool) -> Rc<Exec> {
        self.exec_and_source(profile, apart).0
    }

    fn exec_and_source(
        &self,
        profile: Option<Rc<Profile>>,
        apart: bool,
    ) -> (Rc<Exec>, Rc<TxnSource>) {
        let node = &self.session.node;
        let work_bytes = self.session.settings.borrow().work_bytes();
        let memory = Memory::with_work(node.options.query_bytes_max, work_bytes);
        let snapshot = self.txn.statement();
        if apart {
            self.txn.sees_no_own_writes();
        }
        let source = TxnSource {
            router: self.session.node.router.clone(),
            txn: self.txn.reference(self.stop),
            owner: self.txn.clone(),
            advisory: self.session.advisory.clone(),
            announcements: self.session.announcements.clone(),
            notices: self.session.notices.clone(),
            pid: self.session.key.pid,
            sequences: self.session.sequences.clone(),
            snapshot,
            measured: profile.is_some(),
            share: memory.share(),
            deep: Deep::default(),
            read_only: self.session.block.borrow().is_read_only(),
            host: self.session.this().ok().map(|s| s as Rc<dyn Host>),
        };
        let source = Rc::new(source);
        let stop = self.stop.clone();
        let exec = Exec::new(
            self.ctx.clone(),
            source.clone(),
            memory,
            Rc::new(move || stop.check()),
        );
        let exec = exec.with_temp(node.temp.clone()).with_profile(profile);
        let exec = match self.session.this() {
            Ok(session) => {
                let exec = exec.with_observer(session.clone());
                Rc::new(exec.with_configure(Rc::new(move |name, value, local| {
                    session.configure(name, value, local)
                })))
            }
            // It is going away: nobody will ask for its parameters.
            Err(_) => Rc::new(exec),
        };
        (exec, source)
    }

    pub fn write_env(&self) -> WriteEnv {
        self.write_env_for(None, false)
    }

    /// As `exec_for`.
    pub fn write_env_for(&self, profile: Option<Rc<Profile>>, apart: bool) -> WriteEnv {
        let (exec, source) = self.exec_and_source(profile, apart);
        WriteEnv {
            txn: self.txn.clone(),
            by: self.txn.reference(self.stop),
            ctx: self.ctx.clone(),
            exec,
            source,
            // What it read elsewhere has to be looked at before it commits.
            fuse: self.alone && !self.calls && self.txn.isolation != Isolation::Serializable,
        }
    }
}

impl Session {
    /// For what no statement asks for, in the transaction.
    pub(super) fn own_work<'a>(&'a self, stop: &'a Arc<Stop>) -> Result<Work<'a>> {
        let (txn, _) = self.ensure_transaction()?;
        Ok(Work {
            session: self,
            txn,
            ctx: self.context(Vec::new()),
            stop,
            alone: false,
            calls: false,
        })
    }

    pub(super) fn script(&self, text: &str, stop: impl Fn() -> Arc<Stop>) -> Result<Answer<'_>> {
        self.portals.borrow_mut().remove("");
        let shape = sql::shape(text);
        if let Some(shape) = &shape
            && let Some((parsed, planned)) = self.known(&shape.text, &shape.types)
        {
            let once = Once {
                parsed,
                planned,
                params: shape.numbers.to_vec(),
            };
            let answer = self.once(once, stop);
            return Ok(answer.unwrap_or_else(|e| Answer::Now(self.guarded_end(e))));
        }
        let statements = sql::parse(text).inspect_err(|_| {
            self.fail();
            self.settle_implicit();
        })?;
        if let Some(shape) = &shape
            && statements.len() == 1
        {
            self.learn(shape);
        }
        let execution = Execution::script(self.this()?, statements, stop());
        Ok(Answer::Now(Ok(Reply::Results(Box::new(execution)))))
    }

    /// One statement with its parameters as text.
    pub(super) fn query(
        &self,
        text: &str,
        params: Vec<Option<String>>,
        stop: Arc<Stop>,
    ) -> Result<Reply> {
        let mut statements = sql::parse(text)?;
        if statements.len() > 1 {
            return Err(Error::new(
                SqlState::SYNTAX_ERROR,
                "cannot run more than one statement in a request",
            ));
        }
        let Some(parsed) = statements.pop().map(Rc::new) else {
            return Err(Error::new(SqlState::SYNTAX_ERROR, "the statement is empty"));
        };
        if let Some(what) = needs_a_session(parsed.kind) {
            return Err(Error::unsupported(format!(
                "{what} is not supported in a request of its own: nothing of it would be left for the next one"
            ))
            .with_hint("Use the PostgreSQL protocol for statements that belong together."));
        }
        let ctx = self.context(Vec::new());
        let planned = self.plan(&parsed, &[], &ctx)?;
        if temporary::is_made(planned.statement(), &ctx) {
            return Err(Error::unsupported(
                "a temporary table, view or sequence is not supported in a request of its own: it would end with the request",
            ));
        }
        let types = planned.bound.params.clone();
        if types.len() != params.len() {
            return Err(Error::new(
                SqlState::PROTOCOL_VIOLATION,
                format!(
                    "{} parameters were given, but the statement has {}",
                    params.len(),
                    types.len()
                ),
            ));
        }
        let forms = self.forms();
        let env = types::text::ParseEnv {
            forms: &forms,
            now_micros: ctx.statement_micros,
        };
        let mut values = Vec::with_capacity(params.len());
        for (param, ty) in params.iter().zip(types.iter()) {
            values.push(match param {
                Some(text) if ty.element().is_some() => {
                    let array = types::text::parse(&array_literal(text), *ty, -1, &env)?;
                    ctx.catalog.from_labels(array, *ty, &ctx)?
                }
                Some(text) if ty.is_named() => {
                    let name = Value::text(text.as_str());
                    engine::exec::cast::cast(name, DataType::Text, *ty, -1, false, &ctx)?
                }
                Some(text) => types::text::parse(text, *ty, -1, &env)?,
                None => Value::Null,
            });
        }
        let types = types.iter().copied().map(Some).collect();
        let execution = Execution::single(self.this()?, parsed, types, values, stop);
        Ok(Reply::Results(Box::new(execution)))
    }

    /// Starts a statement. `planned` is what the client was told about it, if it was told; then it has the types.
    pub(super) async fn run(
        &self,
        parsed: &Rc<Parsed>,
        types: &[Option<DataType>],
        params: &[Value],
        planned: Option<&Rc<Planned>>,
        alone: bool,
        stop: &Arc<Stop>,
    ) -> Result<Started> {
        let mut attempt = 0;
        loop {
            let ctx = self.context(params.to_vec());
            let plan = match planned {
                Some(p) if self.is_current(p, &ctx) => p.clone(),
                Some(p) => self.plan(parsed, &p.types(), &ctx)?,
                None => self.plan(parsed, types, &ctx)?,
            };
            let plan = self.for_rows(plan, params, &ctx)?;
            has_all(&plan, params)?;
            stop.check()?;
            if self.looks_anew(plan.statement()) {
                continue;
            }
            if !matches!(plan.statement(), Statement::Query(_)) {
                let apart = self.without_transaction(plan.statement(), &ctx, stop);
                match Box::pin(apart).await {
                    Err(e) if is_replanned(&e, plan.statement()) && attempt < REPLANS_MAX => {
                        attempt += 1;
                        runtime::sleep(REPLAN_PAUSE).await;
                        continue;
                    }
                    Err(e) => return Err(e),
                    Ok(Some(started)) => return Ok(started),
                    Ok(None) => {}
                }
                if !Arc::ptr_eq(&self.catalog(), &ctx.catalog) {
                    // It has changed since the statement was planned, a moment ago.
                    continue;
                }
            }
            let began = self.block.borrow().is_idle();
            // `now()` is the transaction's beginning, which may be this statement's.
            let (txn, _) = self.ensure_transaction_at(ctx.statement_micros)?;
            let fresh = !txn.has_participants();
            let work = Work {
                session: self,
                txn,
                ctx,
                stop,
                alone: alone && began && !self.empties_tables(plan.statement()),
                calls: plan.calls,
            };
            match self.carry_out(&plan, &work).await {
                Err(e) if is_stale(&e) && fresh && began && attempt < REPLANS_MAX => {
                    attempt += 1;
                    self.takes_all_back(&work.txn);
                    runtime::sleep(REPLAN_PAUSE).await;
                }
                // Nothing has come of a query, and the next look at the tables is as good.
                Err(e) if is_stale(&e) && self.looks_again(&plan) && attempt < REPLANS_MAX => {
                    attempt += 1;
                    runtime::sleep(REPLAN_PAUSE).await;
                }
                other => return other,
            }
        }
    }

    /// It defines something, and was planned by the catalog that the transaction has kept.
    fn looks_anew(&self, statement: &Statement) -> bool {
        let newest = || self.node.router.shard.catalog(self.database);
        matches!(statement, Statement::Ddl(_)) && self.block.borrow().looks_anew(&newest())
    }

    /// The statement begins anew, and so does its transaction.
    fn takes_all_back(&self, txn: &Txn) {
        self.notices.take();
        txn.abort();
        self.settle_implicit();
    }

    fn looks_again(&self, planned: &Planned) -> bool {
        matches!(planned.statement(), Statement::Query(_))
            && !planned.calls
            && self.block.borrow().isolation() == Some("read committed")
    }

    async fn carry_out(&self, planned: &Rc<Planned>, work: &Work<'_>) -> Result<Started> {
        let statement = planned.statement();
        if statement.writes() {
            self.about_to_write(statement, work).await?;
        } else if planned.calls {
            self.may_write(work).await?;
        }
        match statement {
            Statement::Query(query) => {
                let columns = query.columns.clone();
                let running = match &planned.point {
                    Some(point) => point.run(work).await?,
                    None => Box::pin(start_query(query, work)).await?,
                };
                Ok(Started::Query {
                    kind: StatementKind::Select,
                    running,
                    columns,
                })
            }
            Statement::Insert(_)
            | Statement::Update(_)
            | Statement::Delete(_)
            | Statement::Merge(_) => {
                let apart = reads_beside(statement) || work.calls && statement.finds_rows();
                let env = work.write_env_for(None, apart);
                Box::pin(self.change(statement, &env, work)).await
            }
            Statement::With { changes, main } => {
                Box::pin(self.with_changes(changes, main, work)).await
            }
            other => Box::pin(self.utility(other, planned.took, work)).await,
        }
    }

    /// What a statement that writes has to pass first.
    pub(super) async fn about_to_write(
        &self,
        statement: &Statement,
        work: &Work<'_>,
    ) -> Result<()> {
        if self.block.borrow().is_read_only() {
            return Err(Error::new(
                SqlState::READ_ONLY_SQL_TRANSACTION,
                format!(
                    "cannot execute {} in a read-only transaction",
                    statement.verb()
                ),
            ));
        }
        self.may_write(work).await
    }

    /// What is read of it from now on has to be read before it changes anything.
    async fn may_write(&self, work: &Work<'_>) -> Result<()> {
        self.temporary.writes();
        if !self.cursors.borrow().is_empty() {
            Box::pin(self.settle_cursors(work.stop)).await?;
        }
        Ok(())
    }

    async fn with_changes(
        &self,
        changes: &[(String, Statement)],
        main: &Statement,
        work: &Work<'_>,
    ) -> Result<Started> {
        let mut env = work.write_env_for(None, true);
        env.fuse = false;
        let (read, unread) = in_turn(changes, main);
        for slot in read {
            self.give(&env, slot, &changes[slot].1).await?;
        }
        let started = match main {
            Statement::Query(query) => Ok(Started::Query {
                kind: StatementKind::Select,
                running: start_in(&query.plan, &env.exec, work.stop).await?,
                columns: query.columns.clone(),
            }),
            Statement::Insert(_)
            | Statement::Update(_)
            | Statement::Delete(_)
            | Statement::Merge(_) => self.change(main, &env, work).await,
            Statement::CopyTo { query, options } => {
                let running = start_in(&query.plan, &env.exec, work.stop).await?;
                let copy = CopyOut::of(running, query, options, work);
                Ok(Started::CopyOut(Box::new(copy)))
            }
            _ => Err(Error::unsupported(
                "a data-modifying statement in WITH is not supported here",
            )),
        }?;
        for slot in unread {
            self.give(&env, slot, &changes[slot].1).await?;
        }
        Ok(started)
    }

    /// Carries out a change in WITH, for others to read what it returns.
    async fn give(&self, env: &WriteEnv, slot: usize, change: &Statement) -> Result<()> {
        let out = self.node.router.change(env, change).await?;
        let stash = || Stash::new(&env.exec, "RETURNING");
        let mut rows = out.rows.unwrap_or_else(stash);
        rows.seal().await?;
        env.exec.give(slot, rows);
        Ok(())
    }

    async fn change(
        &self,
        statement: &Statement,
        env: &WriteEnv,
        work: &Work<'_>,
    ) -> Result<Started> {
        let out = self.node.router.change(env, statement).await?;
        let columns = statement.returning().map(|r| r.columns.clone());
        let (kind, verb) = match statement {
            Statement::Insert(_) => (StatementKind::Insert, "INSERT 0"),
            Statement::Delete(_) => (StatementKind::Delete, "DELETE"),
            Statement::Merge(m) => match m.word {
                MergeWord::Update => (StatementKind::Update, "UPDATE"),
                MergeWord::Delete => (StatementKind::Delete, "DELETE"),
                MergeWord::Merge => (StatementKind::Merge, "MERGE"),
            },
            _ => (StatementKind::Update, "UPDATE"),
        };
        self.wrote(kind, verb, columns, out, work).await
    }

    async fn wrote(
        &self,
        kind: StatementKind,
        verb: &str,
        columns: Option<Arc<Vec<Column>>>,
        out: Outcome,
        work: &Work<'_>,
    ) -> Result<Started> {
        self.node.metrics.rows_affected.add(out.count);
        let tag = format!("{verb} {}", out.count);
        let mut rows = RowBatch::new();
        if let (Some(mut stash), Some(columns)) = (out.rows, &columns) {
            match stash.take_held() {
                Some(held) => rows = held,
                None => {
                    stash.seal().await?;
                    let source = Box::new(Stashed::new(Rc::new(stash)));
                    let running = Running::new(source, work.stop).called(tag);
                    return Ok(Started::Query {
                        kind,
                        running,
                        columns: columns.clone(),
                    });
                }
            }
        }
        Ok(Started::Done {
            kind,
            columns,
            rows,
            tag,
            notices: Vec::new(),
        })
    }
}

/// Opens a query and takes its first rows, so that a stale plan shows before anything is sent.
pub(super) async fn start_query(query: &Query, work: &Work<'_>) -> Result<Running> {
    start_in(&query.plan, &work.exec(), work.stop).await
}

pub(super) async fn start_in(plan: &Plan, exec: &Rc<Exec>, stop: &Arc<Stop>) -> Result<Running> {
    let mut running = Running::new(open_in_place(plan, exec)?, stop);
    if let Some(first) = running.next().await? {
        running.left = first;
    }
    Ok(running)
}

/// The changes in WITH before and after the statement behind them: first what it reads, itself or through others.
/// Before a query, all of them, as its rows are not all there yet when it has started.
fn in_turn(changes: &[(String, Statement)], main: &Statement) -> (Vec<usize>, Vec<usize>) {
    if matches!(main, Statement::Query(_) | Statement::CopyTo { .. }) {
        return ((0..changes.len()).collect(), Vec::new());
    }
    let mut read = main.slots();
    for slot in (0..changes.len()).rev() {
        if read.contains(&slot) {
            read.extend(changes[slot].1.slots());
        }
    }
    (0..changes.len()).partition(|slot| read.contains(slot))
}

fn has_all(plan: &Planned, params: &[Value]) -> Result<()> {
    match plan.bound.params.len() > params.len() {
        true => Err(Error::new(
            SqlState::UNDEFINED_PARAMETER,
            format!("there is no parameter ${}", params.len() + 1),
        )),
        false => Ok(()),
    }
}

/// Its expressions read tables while it changes rows, so it must not see what it does.
pub(super) fn reads_beside(statement: &Statement) -> bool {
    let subquery = |e: &Expr| e.any(&mut |e| matches!(e, Expr::Subquery { .. }));
    let returning = statement.returning().into_iter().flat_map(|r| &r.exprs);
    let conflict = match statement {
        Statement::Insert(i) => i.on_conflict.as_ref().map(|c| &c.action),
        _ => None,
    };
    returning.into_iter().any(subquery)
        || conflict.is_some_and(|action| action.exprs().into_iter().any(subquery))
        || matches!(statement, Statement::Merge(m) if m.exprs().into_iter().any(subquery))
}

pub(super) fn is_stale(e: &Error) -> bool {
    e.code() == SqlState::SERIALIZATION_FAILURE && e.message() == STALE
}

/// Nothing has come of it.
fn is_replanned(e: &Error, statement: &Statement) -> bool {
    is_stale(e) && matches!(statement, Statement::Ddl(_))
}

/// Statements that only change what later ones of the session do.
fn needs_a_session(kind: Kind) -> Option<&'static str> {
    Some(match kind {
        Kind::Begin => "BEGIN",
        Kind::Commit => "COMMIT",
        Kind::Rollback | Kind::RollbackTo => "ROLLBACK",
        Kind::Savepoint => "SAVEPOINT",
        Kind::Set => "SET",
        Kind::Prepare => "PREPARE",
        Kind::Execute => "EXECUTE",
        Kind::Deallocate => "DEALLOCATE",
        Kind::Cursor => "a cursor",
        Kind::Listen => "LISTEN",
        Kind::Lock => "LOCK TABLE",
        _ => return None,
    })
}

/// A JSON array, as results have them, in PostgreSQL's spelling; any other text as it is.
fn array_literal(text: &str) -> String {
    match serde_json::from_str::<Vec<serde_json::Value>>(text) {
        Ok(items) => {
            let items: Vec<String> = items.iter().map(array_item).collect();
            format!("{{{}}}", items.join(","))
        }
        Err(_) => text.to_owned(),
    }
}

fn array_item(item: &serde_json::Value) -> String {
    let text = match item {
        serde_json::Value::Null => return "NULL".into(),
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Array(items) => {
            let items: Vec<String> = items.iter().map(array_item).collect();
            return format!("{{{}}}", items.join(","));
        }
        other => other.to_string(),
    };
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}
