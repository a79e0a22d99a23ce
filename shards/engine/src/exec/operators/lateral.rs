//! LATERAL joins: the right side is opened anew for each left row, which it sees as its nearest enclosing row.
//!
//! Owns: the current left row and the open right side, and those of the rows that follow, whose first batches are asked for at the same
//! time: they wait for shards, each for itself. Asked by: `build`. Never: keeps more of a right side than a batch; opens several where
//! something else than rows comes of it. Bounds: `Scope::at_once` open right sides, twice as many as the time before.
//! RIGHT and FULL do not exist for LATERAL, as in PostgreSQL.

use super::scope::{Exprs, Scope};
use super::{RowSource, build, is_full};
use crate::plan::{Join, JoinKind, Plan};
use futures_util::future::LocalBoxFuture;
use futures_util::stream::{self, StreamExt};
use std::collections::VecDeque;
use std::rc::Rc;
use types::{Error, Result, Row, RowBatch, Value};

pub(crate) struct Lateral {
    scope: Scope,
    kind: JoinKind,
    left: Box<dyn RowSource>,
    right: Rc<Plan>,
    right_width: usize,
    left_keys: Exprs,
    right_keys: Exprs,
    filter: Exprs,
    current: std::vec::IntoIter<Row>,
    open: Option<Open>,
    /// Those of the next rows.
    ready: VecDeque<Result<Open>>,
    /// So many are opened together, the next time.
    together: usize,
    /// Nothing comes of a right side but its rows.
    free: bool,
}

/// One left row and its right side.
struct Open {
    row: Row,
    keys: Row,
    rows: Box<dyn RowSource>,
    batch: std::vec::IntoIter<Row>,
    matched: bool,
}

impl Lateral {
    pub(crate) fn new(scope: Scope, left: Box<dyn RowSource>, join: &Join) -> Lateral {
        let right = Rc::new(join.right.clone());
        if let Some(profile) = &scope.exec.profile {
            profile.same(&join.right, &right);
        }
        Lateral {
            scope,
            kind: join.kind,
            left,
            right,
            right_width: join.right_width,
            left_keys: Exprs::new(&join.left_keys),
            right_keys: Exprs::new(&join.right_keys),
            filter: Exprs::new(&join.filter),
            current: Vec::new().into_iter(),
            open: None,
            ready: VecDeque::new(),
            together: 1,
            free: !join.right.is_volatile() && !join.right.locks_rows(),
        }
    }

    async fn open_next(&mut self) -> Result<Option<Open>> {
        if let Some(open) = self.ready.pop_front() {
            return open.map(Some);
        }
        while self.current.len() == 0 {
            let Some(batch) = self.left.next().await? else {
                return Ok(None);
            };
            self.current = batch.rows.into_iter();
        }
        (self.scope.exec.check)()?;
        runtime::yield_if_needed().await;
        let most = if self.free { self.scope.at_once() } else { 1 };
        let together = self.together.min(most);
        // A LIMIT may want no more than the first.
        self.together = (together * 2).min(most);
        let rows: Vec<Row> = self.current.by_ref().take(together).collect();
        let opened = stream::iter(rows).map(|row| self.opened(row));
        let mut opened: VecDeque<Result<Open>> = opened.buffered(together).collect().await;
        let first = opened.pop_front();
        self.ready = opened;
        first.transpose()
    }

    async fn opened(&self, row: Row) -> Result<Open> {
        let outer = Rc::new(self.scope.inside(&row));
        let keys = self.scope.row(&self.left_keys, &row).await?;
        let mut rows = build(&self.right, &self.scope.exec, &outer)?;
        let batch = rows.next().await?.map(|b| b.rows).unwrap_or_default();
        Ok(Open {
            row,
            keys,
            rows,
            batch: batch.into_iter(),
            matched: false,
        })
    }

    /// The next output row for this left row; `None` when it has no more.
    async fn advance(&self, open: &mut Open) -> Result<Option<Row>> {
        loop {
            let Some(right) = open.batch.next() else {
                match open.rows.next().await? {
                    Some(batch) => open.batch = batch.rows.into_iter(),
                    None => return self.unmatched(open),
                }
                runtime::yield_if_needed().await;
                continue;
            };
            if !self.matches(open, &right).await? {
                continue;
            }
            let mut joined = open.row.clone();
            joined.extend(right);
            if !self.filter.is_empty() && !self.scope.test(&self.filter, &joined).await? {
                continue;
            }
            open.matched = true;
            match self.kind {
                JoinKind::Inner | JoinKind::Left => return Ok(Some(joined)),
                JoinKind::Semi => return Ok(Some(open.row.clone())),
                JoinKind::Anti => return Ok(None),
                JoinKind::Right | JoinKind::Full => return Err(invalid()),
            }
        }
    }

    async fn matches(&self, open: &Open, right: &[Value]) -> Result<bool> {
        if self.right_keys.is_empty() {
            return Ok(true);
        }
        let keys = self.scope.row(&self.right_keys, right).await?;
        let no_null = !keys.iter().any(Value::is_null);
        Ok(no_null && super::rows::same(&open.keys, &keys))
    }

    fn unmatched(&self, open: &Open) -> Result<Option<Row>> {
        Ok(match self.kind {
            JoinKind::Left if !open.matched => {
                let mut row = open.row.clone();
                row.resize(row.len() + self.right_width, Value::Null);
                Some(row)
            }
            JoinKind::Anti if !open.matched => Some(open.row.clone()),
            JoinKind::Right | JoinKind::Full => return Err(invalid()),
            _ => None,
        })
    }

    /// After an output row: whether this left row may give more.
    fn goes_on(&self, open: &Open) -> bool {
        open.matched && matches!(self.kind, JoinKind::Inner | JoinKind::Left)
    }
}

fn invalid() -> Error {
    Error::internal("a LATERAL join is RIGHT or FULL")
}

impl RowSource for Lateral {
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<RowBatch>>> {
        Box::pin(async {
            let mut out = RowBatch::new();
            while !is_full(&out) {
                let mut open = match self.open.take() {
                    Some(open) => open,
                    None => match self.open_next().await? {
                        Some(open) => open,
                        None => break,
                    },
                };
                if let Some(row) = self.advance(&mut open).await? {
                    out.push(row);
                    if self.goes_on(&open) {
                        self.open = Some(open);
                    }
                }
            }
            Ok((!out.is_empty()).then_some(out))
        })
    }
}
