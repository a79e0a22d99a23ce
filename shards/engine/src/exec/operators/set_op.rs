//! UNION, INTERSECT and EXCEPT, each with and without ALL.
//!
//! Owns: how often each row of the right input appears. Asked by: `build`. Never: orders its output.
//! When the right input's different rows fill their memory they stay, and rows of both inputs that are not among them go to
//! parts on disk; each pair of parts is then two inputs of their own.
//! Bounds: the right input's different rows count against the query's memory.

use super::distinct::Distinct;
use super::rows::RowSet;
use super::scope::Scope;
use super::stream::Rows;
use super::{RowSource, is_full};
use crate::exec::memory::Reservation;
use crate::exec::spill::{self, Parted, Run, Space};
use crate::plan::SetOp;
use futures_util::future::LocalBoxFuture;
use types::{Result, Row, RowBatch};

const OPERATOR: &str = "HashSetOp";

pub(crate) fn build(
    scope: Scope,
    op: SetOp,
    all: bool,
    left: Box<dyn RowSource>,
    right: Box<dyn RowSource>,
) -> Box<dyn RowSource> {
    let rows: Box<dyn RowSource> = match op {
        SetOp::Union => Box::new(Append {
            left: Some(left),
            right,
        }),
        SetOp::Intersect | SetOp::Except => Box::new(Count {
            reservation: scope.exec.memory.consumer(OPERATOR),
            scope: scope.clone(),
            except: op == SetOp::Except,
            all,
            left: Rows::live(left),
            right: Some(Rows::live(right)),
            rows: RowSet::default(),
            counts: Vec::new(),
            space: None,
            aside: None,
            pairs: Vec::new(),
            level: 0,
        }),
    };
    if all {
        rows
    } else {
        Box::new(Distinct::new(scope, rows))
    }
}

/// The left rows, then the right ones.
struct Append {
    left: Option<Box<dyn RowSource>>,
    right: Box<dyn RowSource>,
}

impl RowSource for Append {
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<RowBatch>>> {
        Box::pin(async {
            if let Some(left) = &mut self.left {
                if let Some(batch) = left.next().await? {
                    return Ok(Some(batch));
                }
                self.left = None;
            }
            self.right.next().await
        })
    }
}

/// Left rows by how often the right input has them.
struct Count {
    scope: Scope,
    except: bool,
    all: bool,
    left: Rows,
    right: Option<Rows>,
    rows: RowSet,
    /// How many right rows are not yet paired with a left one.
    counts: Vec<u64>,
    reservation: Reservation,
    space: Option<Space>,
    /// Once there was no more room: the right rows that are not among `rows`, and as many parts for left rows like them.
    aside: Option<(Vec<Run>, Parted)>,
    /// Right and left parts still to be read, and their level.
    pairs: Vec<(Run, Run, u32)>,
    level: u32,
}

impl Count {
    async fn load(&mut self, mut right: Rows) -> Result<()> {
        let can_spill = self.scope.exec.temp.is_some();
        let mut aside: Option<Parted> = None;
        while let Some(row) = right.next(&self.scope).await? {
            if let Some(aside) = &mut aside {
                match self.rows.find(&row) {
                    Some(at) => self.counts[at] += 1,
                    None => aside.push(aside.part(&row), &row).await?,
                }
                continue;
            }
            let (at, new) = self.rows.intern(&row);
            if !new {
                self.counts[at] += 1;
                continue;
            }
            self.counts.push(1);
            let more = self.rows.bytes() + self.counts.len() * 8 - self.reservation.bytes();
            if !spill::keep(&mut self.reservation, more, can_spill)? {
                self.reservation.grow(more)?;
                let space = match self.space.take() {
                    Some(space) => space,
                    None => self.scope.exec.space(OPERATOR).await?,
                };
                aside = Some(Parted::new(&space, self.level));
                self.space = Some(space);
            }
        }
        if let (Some(aside), Some(space)) = (aside, &self.space) {
            let same = Parted::of(space, aside.level(), aside.parts());
            self.aside = Some((aside.finish().await?, same));
        }
        Ok(())
    }

    /// Without ALL only presence counts; `Distinct` above drops repeated rows.
    async fn keeps(&mut self, row: &Row) -> Result<bool> {
        let Some(at) = self.rows.find(row) else {
            if let Some((right, left)) = &mut self.aside {
                let part = left.part(row);
                if right[part].rows() > 0 {
                    left.push(part, row).await?;
                    return Ok(false);
                }
            }
            return Ok(self.except);
        };
        if !self.all {
            return Ok(!self.except);
        }
        let paired = self.counts[at] > 0;
        self.counts[at] -= u64::from(paired);
        Ok(paired != self.except)
    }

    /// Goes on with what was put aside; `false` when there is nothing.
    async fn next_pair(&mut self) -> Result<bool> {
        self.rows = RowSet::default();
        self.counts = Vec::new();
        self.reservation.set(0)?;
        if let Some((right, left)) = self.aside.take() {
            let level = left.level() + 1;
            let pairs = right.into_iter().zip(left.finish().await?);
            let filled = pairs.filter(|(_, left)| left.rows() > 0);
            self.pairs.extend(filled.map(|(r, l)| (r, l, level)));
        }
        let Some((right, left, level)) = self.pairs.pop() else {
            self.left = Rows::nothing();
            return Ok(false);
        };
        self.right = Some(Rows::drain(right));
        self.left = Rows::drain(left);
        self.level = level;
        Ok(true)
    }

    async fn batch(&mut self) -> Result<Option<RowBatch>> {
        let mut out = RowBatch::new();
        while !is_full(&out) {
            if let Some(right) = self.right.take() {
                self.load(right).await?;
            }
            if !out.is_empty() && self.left.at_batch_end() {
                break;
            }
            match self.left.next(&self.scope).await? {
                Some(row) => {
                    if self.keeps(&row).await? {
                        out.push(row);
                    }
                }
                None if self.next_pair().await? => {}
                None => break,
            }
        }
        Ok((!out.is_empty()).then_some(out))
    }
}

impl RowSource for Count {
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<RowBatch>>> {
        Box::pin(self.batch())
    }
}
