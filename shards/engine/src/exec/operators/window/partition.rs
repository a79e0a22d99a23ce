//! The rows of one partition, by their place in it.
//!
//! Owns: the input, and where in it the partition ends. Asked by: the parts of this operator. Rows are read from the input
//! when somebody asks for them, and forgotten when nobody will again: a running total holds two.
//! A row held has what was computed from it in front (`made` values), then the input's columns.
//! Bounds: those of `Spool`.

use super::super::RowSource;
use super::super::rows::same;
use super::super::scope::{Exprs, Scope};
use super::super::spool::Spool;
use super::super::stream::Rows;
use std::rc::Rc;
use types::{Result, Row};

pub(super) struct Partition {
    pub(super) scope: Scope,
    input: Rows,
    /// What is computed from each row.
    made: Exprs,
    /// Where the partition's keys are in a row held.
    keys: Vec<usize>,
    key: Row,
    /// The first row of the partition after this one.
    next: Option<Row>,
    ended: bool,
    held: Spool,
}

impl Partition {
    pub(super) fn new(
        scope: Scope,
        input: Box<dyn RowSource>,
        made: Exprs,
        keys: Vec<usize>,
    ) -> Partition {
        Partition {
            held: Spool::new(&scope, "WindowAgg"),
            scope,
            input: Rows::live(input),
            made,
            keys,
            key: Row::new(),
            next: None,
            ended: false,
        }
    }

    /// Goes on to the next partition; `false` when there is none.
    pub(super) async fn begin(&mut self) -> Result<bool> {
        self.held.clear()?;
        self.ended = false;
        let next = match self.next.take() {
            Some(row) => Some(row),
            None => self.read().await?,
        };
        let Some(row) = next else {
            return Ok(false);
        };
        self.key = self.key_of(&row);
        self.held.push(row).await?;
        Ok(true)
    }

    fn key_of(&self, row: &Row) -> Row {
        let value = |at: &usize| row.get(*at).cloned().unwrap_or_default();
        self.keys.iter().map(value).collect()
    }

    async fn read(&mut self) -> Result<Option<Row>> {
        let Some(row) = self.input.next(&self.scope).await? else {
            return Ok(None);
        };
        if self.made.is_empty() {
            return Ok(Some(row));
        }
        let mut out = self.scope.row(&self.made, &row).await?;
        out.extend(row);
        Ok(Some(out))
    }

    /// Whether the partition has a row at this place.
    pub(super) async fn has(&mut self, place: u64) -> Result<bool> {
        while !self.ended && self.held.end() <= place {
            let Some(row) = self.read().await? else {
                self.ended = true;
                break;
            };
            if self.keys.is_empty() || same(&self.key, &self.key_of(&row)) {
                self.held.push(row).await?;
            } else {
                self.next = Some(row);
                self.ended = true;
            }
        }
        Ok(place < self.held.end())
    }

    /// How many rows it has.
    pub(super) async fn len(&mut self) -> Result<u64> {
        self.has(u64::MAX).await?;
        Ok(self.held.end())
    }

    /// The row at a place that `has` has confirmed and `forget` has not passed.
    pub(super) async fn row(&mut self, place: u64) -> Result<Rc<Row>> {
        self.held.row(place).await
    }

    /// Nobody will ask for a row before this place again.
    pub(super) fn forget(&mut self, before: u64) {
        self.held.forget(before);
    }
}
