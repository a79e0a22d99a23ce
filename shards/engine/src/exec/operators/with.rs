//! WITH queries that run once, however often they are read.
//!
//! Owns: their rows, as far as some reader has come; the first reader to get further brings more. Asked by: `build`.
//! Never: runs a query that nobody reads, or further than it is read.
//! Bounds: those of `Spool`.

use super::scope::Scope;
use super::spool::Spool;
use super::{Exec, RowSource, build, is_full, lost};
use crate::plan::{Plan, With, WithScan};
use futures_util::future::LocalBoxFuture;
use futures_util::lock::Mutex;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use types::{Result, Row, RowBatch};

/// The WITH queries and rounds of recursion in sight of one statement's operators, by their numbers. The operators above
/// their readers own them.
#[derive(Default)]
pub(crate) struct Shared(RefCell<HashMap<u32, Weak<Rows>>>);

impl Shared {
    /// What is in sight here, for what stands inside and adds to it.
    pub(super) fn inside(&self) -> Shared {
        Shared(RefCell::new(self.0.borrow().clone()))
    }

    pub(super) fn set(&self, id: u32, rows: &Rc<Rows>) {
        self.0.borrow_mut().insert(id, Rc::downgrade(rows));
    }

    fn get(&self, id: u32) -> Result<Rc<Rows>> {
        self.0
            .borrow()
            .get(&id)
            .and_then(Weak::upgrade)
            .ok_or_else(lost)
    }
}

/// Rows that several read, also at the same time: subqueries of several rows run at once. Who brings more keeps the others waiting.
pub(super) struct Rows(Mutex<State>);

struct State {
    spool: Spool,
    from: From,
}

enum From {
    /// Not begun: the query, and where it stands.
    Query(Box<Plan>, Scope),
    Source(Box<dyn RowSource>),
    Nothing,
}

impl Rows {
    /// Rows that are all there.
    pub(super) fn of(spool: Spool) -> Rc<Rows> {
        let from = From::Nothing;
        Rc::new(Rows(Mutex::new(State { spool, from })))
    }
}

/// What reads WITH queries, and those queries.
pub(super) struct WithAll {
    input: Box<dyn RowSource>,
    _queries: Vec<Rc<Rows>>,
}

impl WithAll {
    /// Makes the queries known, then builds what reads them. Within an enclosing row only what is inside of it knows them: for the
    /// next row, which may be under way at the same time, there are others.
    pub(super) fn new(with: &With, scope: &Scope) -> Result<WithAll> {
        let scope = scope.of_this_row();
        let mut queries = Vec::with_capacity(with.queries.len());
        for query in &with.queries {
            let state = State {
                spool: Spool::new(&scope, "CTE Scan"),
                from: From::Query(Box::new(query.plan.clone()), scope.clone()),
            };
            let rows = Rc::new(Rows(Mutex::new(state)));
            scope.exec.shared.set(query.id, &rows);
            queries.push(rows);
        }
        Ok(WithAll {
            input: build(&with.input, &scope.exec, &scope.outer)?,
            _queries: queries,
        })
    }
}

impl RowSource for WithAll {
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<RowBatch>>> {
        self.input.next()
    }
}

/// One reader.
pub(super) struct WithRows {
    exec: Rc<Exec>,
    scope: Scope,
    rows: Rc<Rows>,
    place: u64,
}

impl WithRows {
    pub(super) fn new(scope: Scope, scan: &WithScan) -> Result<WithRows> {
        Ok(WithRows {
            rows: scope.exec.shared.get(scan.id)?,
            exec: scope.exec.clone(),
            scope,
            place: 0,
        })
    }

    async fn batch(&mut self) -> Result<Option<RowBatch>> {
        (self.exec.check)()?;
        let mut state = self.rows.0.lock().await;
        let mut out = RowBatch::new();
        while !is_full(&out) {
            if self.place < state.spool.end() {
                let row = state.spool.row(self.place).await?;
                out.push(Row::clone(&row));
                self.place += 1;
                self.scope.step(self.place).await?;
            } else if !out.is_empty() || !state.more().await? {
                break;
            }
        }
        drop(state);
        Ok((!out.is_empty()).then_some(out))
    }
}

impl State {
    /// Brings rows that nobody has read yet; `false` when there are none.
    async fn more(&mut self) -> Result<bool> {
        if let From::Query(plan, scope) = &self.from {
            self.from = From::Source(build(plan, &scope.exec, &scope.outer)?);
        }
        let From::Source(source) = &mut self.from else {
            return Ok(false);
        };
        let Some(batch) = source.next().await? else {
            self.from = From::Nothing;
            return Ok(false);
        };
        for row in batch.rows {
            self.spool.push(row).await?;
        }
        Ok(true)
    }
}

impl RowSource for WithRows {
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<RowBatch>>> {
        Box::pin(self.batch())
    }
}
