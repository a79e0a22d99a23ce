//! Cursors: DECLARE, FETCH, MOVE, CLOSE.
//!
//! Owns: how far each has got, and the rows of those that can go back or outlive their transaction. Asked by: `statement`, and
//! by the ends of transactions. A cursor sees what there was when it was declared: before its transaction writes anything,
//! the rows it has not given yet are put aside. Never: runs ahead of FETCH otherwise.
//! Portals that Bind has made are reached by the same names (`adopted`). Bounds: `PREPARED_MAX` of both a session; what a cursor keeps is bounded as a query's memory is, and goes to
//! temporary files beyond that (`Stash`). Source: PostgreSQL 15, `pquery.c` and `portalcmds.c`.

mod adopted;

use super::Session;
use super::statement::{Running, Started, Work, is_stale, start_in};
use crate::telemetry::StatementKind;
use engine::exec::CursorInfo;
use engine::exec::operators::stash::Place;
use engine::exec::operators::{RowSource, Stash, open_in_place};
use engine::plan::{Plan, Query};
use engine::txn::Stop;
use futures_util::future::LocalBoxFuture;
use sql::{Scroll, Statement, Way};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use types::limits::{BATCH_BYTES_MAX, BATCH_ROWS_MAX};
use types::{Column, Error, Result, Row, RowBatch, SqlState, Xid};

pub struct Cursor {
    pub info: CursorInfo,
    pub columns: Arc<Vec<Column>>,
    /// Scrolling was refused or would cost too much.
    forward_only: bool,
    /// It locks the rows that it gives: they are as they are then.
    locks: bool,
    /// Of the transaction that declared it, until that commits, and after how many cursors of it.
    of: Cell<Option<Xid>>,
    number: u64,
    /// Away while a FETCH runs.
    state: RefCell<Option<Box<State>>>,
}

struct State {
    /// Rows to come, if there are any.
    running: Option<Running>,
    /// Of the first rows, for the first FETCH.
    failed: Option<Error>,
    /// Pulled, but not passed yet; in reverse.
    pulled: Vec<Row>,
    /// Rows from number `from` on that can be read again.
    kept: Stash,
    from: u64,
    /// Rows passed or put aside so far.
    known: u64,
    /// On this row: 0 before the first, one more than there are behind the last.
    at: u64,
    ended: bool,
    keeps: bool,
    place: Place,
}

/// Rows of one FETCH, one way.
#[derive(Clone, Copy)]
struct Steps {
    back: bool,
    /// `None`: all.
    left: Option<u64>,
}

impl State {
    /// The next row that nobody has seen.
    async fn pull(&mut self) -> Result<Option<Row>> {
        if let Some(e) = self.failed.take() {
            return Err(e);
        }
        loop {
            if let Some(row) = self.pulled.pop() {
                return Ok(Some(row));
            }
            let Some(running) = &mut self.running else {
                return Ok(None);
            };
            match running.next().await? {
                Some(batch) => {
                    self.pulled = batch.rows;
                    self.pulled.reverse();
                }
                // What it held, its snapshot too, goes.
                None => self.running = None,
            }
        }
    }

    /// Row number `n`, from 1, where that is known or the next.
    async fn row(&mut self, n: u64) -> Result<Option<Row>> {
        if n > self.from && n <= self.known {
            let at = n - self.from - 1;
            self.kept.seal().await?;
            return self.place.row(&self.kept, at).await;
        }
        if n != self.known + 1 {
            return Err(Error::internal("a cursor lost its place"));
        }
        let row = self.pull().await?;
        match &row {
            Some(row) => {
                self.known += 1;
                match self.keeps {
                    true => self.kept.push(row.clone()).await?,
                    false => self.from = self.known,
                }
            }
            None => self.ended = true,
        }
        Ok(row)
    }

    async fn forward(&mut self) -> Result<Option<Row>> {
        if self.ended && self.at >= self.known {
            self.at = self.known + 1;
            return Ok(None);
        }
        let row = self.row(self.at + 1).await?;
        self.at += 1;
        Ok(row)
    }

    async fn backward(&mut self) -> Result<Option<Row>> {
        self.at = self.at.saturating_sub(1);
        match self.at {
            0 => Ok(None),
            n => self.row(n).await,
        }
    }

    /// Moves, and answers the rows passed, up to a batch of them.
    async fn step(&mut self, steps: &mut Steps, stop: &Stop) -> Result<RowBatch> {
        let mut batch = RowBatch::new();
        while steps.left != Some(0) && batch.len() < BATCH_ROWS_MAX && batch.bytes < BATCH_BYTES_MAX
        {
            let row = match steps.back {
                true => self.backward().await?,
                false => self.forward().await?,
            };
            let Some(row) = row else {
                steps.left = Some(0);
                break;
            };
            if let Some(left) = &mut steps.left {
                *left -= 1;
            }
            batch.push(row);
        }
        stop.check()?;
        runtime::yield_if_needed().await;
        Ok(batch)
    }

    async fn skip(&mut self, mut steps: Steps, stop: &Stop) -> Result<u64> {
        let mut passed = 0;
        while steps.left != Some(0) {
            passed += self.step(&mut steps, stop).await?.len() as u64;
        }
        Ok(passed)
    }

    /// Everything it has not given yet, so that it needs its transaction no longer.
    async fn put_aside(&mut self) -> Result<()> {
        while let Some(row) = self.pull().await? {
            self.known += 1;
            self.kept.push(row).await?;
        }
        self.ended = true;
        self.keeps = true;
        self.kept.seal().await
    }
}

fn forward(n: u64) -> Steps {
    Steps {
        back: false,
        left: Some(n),
    }
}

fn backward(n: u64) -> Steps {
    Steps {
        back: true,
        left: Some(n),
    }
}

impl Cursor {
    fn going(&self, stop: &Arc<Stop>) -> Result<Box<State>> {
        let state = self.state.borrow_mut().take();
        let state = state.ok_or_else(|| {
            Error::new(
                SqlState::OBJECT_IN_USE,
                format!("cursor \"{}\" is already in use", self.info.name),
            )
        })?;
        if let Some(running) = &state.running {
            running.goes_on_for(stop);
        }
        Ok(state)
    }

    fn may_go_back(&self) -> Result<()> {
        if !self.forward_only {
            return Ok(());
        }
        Err(Error::new(
            SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
            "cursor can only scan forward",
        )
        .with_hint("Declare it with SCROLL option to enable backward scan."))
    }

    /// Goes to where the rows of a FETCH begin, and answers how many are wanted, and which way.
    async fn begin(&self, state: &mut State, way: Way, stop: &Stop) -> Result<Steps> {
        Ok(match way {
            Way::Forward(None) => Steps {
                back: false,
                left: None,
            },
            Way::BackwardAll => {
                self.may_go_back()?;
                Steps {
                    back: true,
                    left: None,
                }
            }
            Way::Forward(Some(0)) | Way::Relative(0) => self.again(state).await?,
            Way::Forward(Some(n)) if n > 0 => forward(n as u64),
            Way::Forward(Some(n)) => {
                self.may_go_back()?;
                backward(n.unsigned_abs())
            }
            Way::Relative(n) if n > 0 => {
                state.skip(forward(n as u64 - 1), stop).await?;
                forward(1)
            }
            Way::Relative(n) => {
                self.may_go_back()?;
                state.skip(backward(n.unsigned_abs() - 1), stop).await?;
                backward(1)
            }
            Way::Absolute(n) if n < 0 => {
                state
                    .skip(
                        Steps {
                            back: false,
                            left: None,
                        },
                        stop,
                    )
                    .await?;
                self.may_go_back()?;
                state.skip(backward(n.unsigned_abs() - 1), stop).await?;
                backward(1)
            }
            Way::Absolute(n) => {
                let n = n as u64;
                if n <= state.at && state.at > 0 {
                    self.may_go_back()?;
                    state.at = n.saturating_sub(1);
                } else {
                    state
                        .skip(forward((n - state.at).saturating_sub(1)), stop)
                        .await?;
                }
                forward(u64::from(n > 0))
            }
        })
    }

    /// The row it is on, once more.
    async fn again(&self, state: &mut State) -> Result<Steps> {
        let on_row = state.at > 0 && state.at <= state.known;
        if !on_row {
            return Ok(forward(0));
        }
        self.may_go_back()?;
        state.at -= 1;
        Ok(forward(1))
    }
}

/// The rows of one FETCH.
struct Fetching {
    cursor: Rc<Cursor>,
    steps: Steps,
    stop: Arc<Stop>,
}

impl Fetching {
    async fn batch(&mut self) -> Result<Option<RowBatch>> {
        if self.steps.left == Some(0) {
            return Ok(None);
        }
        // Not given back after an error: the transaction has failed, and the cursor with it.
        let mut state = self.cursor.going(&self.stop)?;
        let batch = state.step(&mut self.steps, &self.stop).await?;
        *self.cursor.state.borrow_mut() = Some(state);
        Ok((!batch.is_empty()).then_some(batch))
    }
}

impl RowSource for Fetching {
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<RowBatch>>> {
        Box::pin(self.batch())
    }
}

impl Session {
    pub(super) async fn declare(&self, statement: &Statement, work: &Work<'_>) -> Result<Started> {
        let Statement::Declare {
            name,
            query,
            scroll,
            hold,
            text,
        } = statement
        else {
            return Err(Error::internal("not a cursor"));
        };
        if !*hold && !self.is_in_transaction_block() {
            return Err(Error::new(
                SqlState::NO_ACTIVE_SQL_TRANSACTION,
                "DECLARE CURSOR can only be used in transaction blocks",
            ));
        }
        self.is_free(name)?;
        let cursor = self.opened(name, query, *scroll, *hold, text, work).await?;
        self.cursors
            .borrow_mut()
            .insert(name.clone(), Rc::new(cursor));
        self.cursors_changed();
        if work.calls {
            // What its functions change is changed now, at the place of this statement among the transaction's.
            Box::pin(self.settle_cursors(work.stop)).await?;
        }
        Ok(told("DECLARE CURSOR"))
    }

    async fn opened(
        &self,
        name: &str,
        query: &Query,
        scroll: Scroll,
        hold: bool,
        text: &Arc<str>,
        work: &Work<'_>,
    ) -> Result<Cursor> {
        let locks = query.plan.locks_rows();
        let scrolls = match scroll {
            Scroll::Yes => true,
            Scroll::No => false,
            Scroll::Unsaid => !locks && goes_back(&query.plan),
        };
        let exec = work.exec();
        let kept = Stash::new(&exec, "a cursor");
        let plan = &query.plan;
        let (running, failed) = match locks {
            // Its rows are locked when they are fetched.
            true => (
                Some(Running::new(open_in_place(plan, &exec)?, work.stop)),
                None,
            ),
            false => match start_in(plan, &exec, work.stop).await {
                Ok(running) => (Some(running), None),
                Err(e) if is_stale(&e) => return Err(e),
                Err(e) => (None, Some(e)),
            },
        };
        let number = self.declared.get() + 1;
        self.declared.set(number);
        let state = State {
            running,
            failed,
            pulled: Vec::new(),
            kept,
            from: 0,
            known: 0,
            at: 0,
            ended: false,
            keeps: scrolls,
            place: Place::default(),
        };
        Ok(Cursor {
            info: CursorInfo {
                name: name.to_string(),
                statement: text.to_string(),
                is_holdable: hold,
                is_scrollable: scrolls,
                micros: work.ctx.statement_micros,
            },
            columns: query.columns.clone(),
            forward_only: !scrolls,
            locks,
            of: Cell::new(Some(work.txn.xid)),
            number,
            state: RefCell::new(Some(Box::new(state))),
        })
    }

    pub(super) fn cursor(&self, name: &str) -> Result<Rc<Cursor>> {
        let found = self.cursors.borrow().get(name).cloned();
        found.ok_or_else(|| unknown(name))
    }

    /// Execute of a cursor: the next rows, at most so many if that is said.
    pub(super) async fn execute_cursor(
        &self,
        cursor: Rc<Cursor>,
        rows_max: Option<u64>,
        stop: &Arc<Stop>,
    ) -> Result<Started> {
        let way = Way::Forward(rows_max.map(|n| n as i64));
        let mut state = cursor.going(stop)?;
        let began = cursor.begin(&mut state, way, stop).await;
        *cursor.state.borrow_mut() = Some(state);
        Ok(fetching(cursor, began?, stop, "SELECT"))
    }

    pub(super) async fn fetch(
        &self,
        name: &str,
        way: Way,
        moves: bool,
        stop: &Arc<Stop>,
    ) -> Result<Started> {
        let cursor = self.reached(name, stop).await?;
        let mut state = cursor.going(stop)?;
        let began = cursor.begin(&mut state, way, stop).await;
        let passed = match &began {
            Ok(steps) if moves => state.skip(*steps, stop).await,
            _ => Ok(0),
        };
        *cursor.state.borrow_mut() = Some(state);
        let steps = began?;
        if moves {
            return Ok(told(&format!("MOVE {}", passed?)));
        }
        Ok(fetching(cursor, steps, stop, "FETCH"))
    }

    pub(super) fn close(&self, name: Option<&str>) -> Result<Started> {
        match name {
            Some(name) => {
                self.close_known(name)?;
                Ok(told("CLOSE CURSOR"))
            }
            None => {
                self.close_all();
                Ok(told("CLOSE CURSOR ALL"))
            }
        }
    }

    /// But for the one that may be running.
    pub(super) fn close_all(&self) {
        self.portals.borrow_mut().retain(|name, _| name.is_empty());
        self.cursors.borrow_mut().clear();
        self.cursors_changed();
    }

    /// Its transaction is about to write: rows not given yet are put aside as they are.
    pub(super) async fn settle_cursors(&self, stop: &Arc<Stop>) -> Result<()> {
        let all: Vec<Rc<Cursor>> = self.cursors.borrow().values().cloned().collect();
        for cursor in all {
            let live = cursor
                .state
                .borrow()
                .as_ref()
                .is_some_and(|s| s.running.is_some());
            if live && !cursor.locks {
                cursor.settle(stop).await?;
            }
        }
        Ok(())
    }

    /// The transaction is about to commit: those WITH HOLD stay, the others go.
    pub(super) async fn hold_cursors(&self, stop: &Arc<Stop>) -> Result<()> {
        if self.cursors.borrow().is_empty() {
            return Ok(());
        }
        self.cursors
            .borrow_mut()
            .retain(|_, c| c.info.is_holdable || c.of.get().is_none());
        Box::pin(self.settle_cursors(stop)).await?;
        self.cursors.borrow().values().for_each(|c| c.of.set(None));
        self.cursors_changed();
        Ok(())
    }

    /// The transaction is rolled back, or what it did since it had declared so many cursors.
    pub(super) fn forget_cursors(&self, since: u64) {
        let before = self.cursors.borrow().len();
        self.cursors
            .borrow_mut()
            .retain(|_, c| c.of.get().is_none() || c.number <= since);
        if self.cursors.borrow().len() != before {
            self.cursors_changed();
        }
    }

    /// What `pg_cursors` shows.
    fn cursors_changed(&self) {
        let cursors = self.cursors.borrow();
        let mut all: Vec<&Rc<Cursor>> = cursors.values().collect();
        all.sort_by_key(|c| c.number);
        let shown = all.into_iter().map(|c| c.info.clone()).collect();
        drop(cursors);
        *self.shown_cursors.borrow_mut() =
            Some(Arc::new(shown)).filter(|all: &Arc<Vec<_>>| !all.is_empty());
        self.settings_changed();
    }
}

impl Cursor {
    async fn settle(&self, stop: &Arc<Stop>) -> Result<()> {
        let mut state = self.going(stop)?;
        let done = state.put_aside().await;
        *self.state.borrow_mut() = Some(state);
        done
    }
}

/// Plans that PostgreSQL reads backwards without being asked to scroll.
fn goes_back(plan: &Plan) -> bool {
    match plan {
        Plan::Scan(scan) => scan.partial.is_none(),
        Plan::Values { .. }
        | Plan::OneRow
        | Plan::Function(_)
        | Plan::Sort { .. }
        | Plan::System(_) => true,
        Plan::Filter { input, .. } | Plan::Project { input, .. } | Plan::Limit { input, .. } => {
            goes_back(input)
        }
        Plan::SetOp {
            op,
            all,
            left,
            right,
        } => *op == engine::plan::SetOp::Union && *all && goes_back(left) && goes_back(right),
        _ => false,
    }
}

fn fetching(cursor: Rc<Cursor>, steps: Steps, stop: &Arc<Stop>, tag: &'static str) -> Started {
    let columns = cursor.columns.clone();
    let source = Fetching {
        cursor,
        steps,
        stop: stop.clone(),
    };
    Started::Query {
        kind: StatementKind::Select,
        running: Running::counted(Box::new(source), stop, tag),
        columns,
    }
}

fn unknown(name: &str) -> Error {
    Error::new(
        SqlState::INVALID_CURSOR_NAME,
        format!("cursor \"{name}\" does not exist"),
    )
}

fn told(tag: &str) -> Started {
    Started::Done {
        kind: StatementKind::Utility,
        columns: None,
        rows: RowBatch::new(),
        tag: tag.to_string(),
        notices: Vec::new(),
    }
}
