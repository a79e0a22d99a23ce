//! The frame: which rows of the partition the current row's calls see.
//!
//! Owns: peers and both ends of the frame. Asked by: the operator, for one row after the other; both ends only move forward.
//! Never: holds a row longer than it compares it. Source: PostgreSQL 15 `nodeWindowAgg.c` (`update_frameheadpos`,
//! `update_frametailpos`).

use super::super::sort::Direction;
use super::partition::Partition;
use super::range::in_range;
use crate::plan::{Expr, Frame, FrameBound, FrameExclude, FrameUnits};
use smallvec::SmallVec;
use std::rc::Rc;
use types::{Error, Result, Row, SqlState, Value, order};

/// Rows that order alike.
pub(super) struct Peers {
    order: Vec<usize>,
    /// Of the current row's group: its number, first place and, once somebody asked, the place after its last.
    pub(super) number: u64,
    pub(super) start: u64,
    end: Option<u64>,
    row: Option<Rc<Row>>,
}

impl Peers {
    pub(super) fn new(order: Vec<usize>) -> Peers {
        Peers {
            order,
            number: 0,
            start: 0,
            end: None,
            row: None,
        }
    }

    pub(super) fn reset(&mut self) {
        (self.number, self.start, self.end, self.row) = (0, 0, None, None);
    }

    /// The current row is the one at `place`.
    pub(super) fn enter(&mut self, place: u64, row: &Rc<Row>) {
        if let Some(last) = &self.row
            && !alike(&self.order, last, row)
        {
            self.number += 1;
            self.start = place;
            self.end = None;
        }
        self.row = Some(row.clone());
    }

    pub(super) async fn end(&mut self, place: u64, rows: &mut Partition) -> Result<u64> {
        if let Some(end) = self.end {
            return Ok(end);
        }
        let end = match &self.row {
            Some(row) if !self.order.is_empty() => {
                group_end(&self.order, row.clone(), place, rows).await?
            }
            _ => rows.len().await?,
        };
        self.end = Some(end);
        Ok(end)
    }
}

fn alike(order: &[usize], a: &Row, b: &Row) -> bool {
    order.iter().all(|at| match (a.get(*at), b.get(*at)) {
        (Some(a), Some(b)) if a.is_null() || b.is_null() => a.is_null() && b.is_null(),
        (Some(a), Some(b)) => order::compare(a, b).is_eq(),
        _ => false,
    })
}

/// The place after the last peer of `row`, which is at `place`.
async fn group_end(order: &[usize], row: Rc<Row>, place: u64, rows: &mut Partition) -> Result<u64> {
    let mut end = place + 1;
    while rows.has(end).await? && alike(order, &row, &*rows.row(end).await?) {
        end += 1;
        step(rows, end).await?;
    }
    Ok(end)
}

/// Loops over rows in memory pass no operator that asks: now and then asks whether the statement may go on.
pub(super) async fn step(rows: &Partition, n: u64) -> Result<()> {
    rows.scope.step(n).await
}

/// One end of the frame, offsets evaluated; those of ROWS and GROUPS are negative for PRECEDING.
#[derive(Clone)]
enum Bound {
    Unbounded,
    Current,
    Rows(i128),
    Groups(i128),
    Range { offset: Value, preceding: bool },
}

impl Bound {
    fn of(
        bound: &FrameBound,
        units: FrameUnits,
        offset: Option<Value>,
        word: &str,
    ) -> Result<Bound> {
        let preceding = match bound {
            FrameBound::UnboundedPreceding | FrameBound::UnboundedFollowing => {
                return Ok(Bound::Unbounded);
            }
            FrameBound::CurrentRow => return Ok(Bound::Current),
            FrameBound::Preceding(_) => true,
            FrameBound::Following(_) => false,
        };
        let offset = offset.unwrap_or_default();
        if offset.is_null() {
            return Err(Error::new(
                SqlState::NULL_VALUE_NOT_ALLOWED,
                format!("frame {word} offset must not be null"),
            ));
        }
        if units == FrameUnits::Range {
            return Ok(Bound::Range { offset, preceding });
        }
        let n = offset
            .as_i64()
            .ok_or_else(|| Error::internal("a frame's offset is not a bigint"))?;
        if n < 0 {
            return Err(Error::new(
                SqlState::INVALID_PRECEDING_OR_FOLLOWING_SIZE,
                format!("frame {word} offset must not be negative"),
            ));
        }
        let n = i128::from(n);
        let n = if preceding { -n } else { n };
        Ok(match units {
            FrameUnits::Rows => Bound::Rows(n),
            FrameUnits::Groups | FrameUnits::Range => Bound::Groups(n),
        })
    }
}

/// How far an end of the frame has come.
#[derive(Default)]
struct Reached {
    place: u64,
    /// The number of the group that begins there; for GROUPS.
    group: u64,
}

/// Places of the rows in the frame: from `start` to before `end`, those excluded still among them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Span {
    pub(super) start: u64,
    pub(super) end: u64,
    /// Left out, from the first to before the second, twice.
    excluded: [(u64, u64); 2],
}

impl Span {
    pub(super) fn is_whole(&self) -> bool {
        self.excluded == [(0, 0); 2]
    }

    /// The runs of rows that are in the frame, none of them empty.
    pub(super) fn parts(&self) -> SmallVec<[(u64, u64); 3]> {
        let mut parts = SmallVec::new();
        let mut at = self.start;
        for (from, to) in self.excluded.into_iter().filter(|(from, to)| from < to) {
            let end = from.min(self.end);
            if at < end {
                parts.push((at, end));
            }
            at = at.max(to);
        }
        if at < self.end {
            parts.push((at, self.end));
        }
        parts
    }
}

/// The frame of one window.
pub(super) struct Frames {
    units: FrameUnits,
    start: Bound,
    end: Bound,
    exclude: FrameExclude,
    order: Vec<usize>,
    direction: Direction,
    head: Reached,
    tail: Reached,
}

impl Frames {
    pub(super) async fn new(
        frame: &Frame,
        order: Vec<usize>,
        direction: Direction,
        rows: &Partition,
    ) -> Result<Frames> {
        let start = evaluated(frame.start.offset(), rows).await?;
        let end = evaluated(frame.end.offset(), rows).await?;
        Ok(Frames {
            units: frame.units,
            start: Bound::of(&frame.start, frame.units, start, "starting")?,
            end: Bound::of(&frame.end, frame.units, end, "ending")?,
            exclude: frame.exclude,
            order,
            direction,
            head: Reached::default(),
            tail: Reached::default(),
        })
    }

    pub(super) fn reset(&mut self) {
        (self.head, self.tail) = (Reached::default(), Reached::default());
    }

    /// The first row that a later frame may still want, the current one being at `place`.
    pub(super) fn forgets_before(&self, place: u64, peers: &Peers) -> u64 {
        let mut first = place;
        if matches!(self.exclude, FrameExclude::Group | FrameExclude::Ties) {
            first = first.min(peers.start);
        }
        for (bound, reached) in [(&self.start, &self.head), (&self.end, &self.tail)] {
            if matches!(bound, Bound::Groups(_) | Bound::Range { .. }) {
                first = first.min(reached.place);
            }
        }
        first
    }

    /// Whether frames of later rows begin where those of earlier ones do.
    pub(super) fn starts_at_first(&self) -> bool {
        matches!(self.start, Bound::Unbounded)
    }

    pub(super) async fn span(
        &mut self,
        place: u64,
        row: &Rc<Row>,
        peers: &mut Peers,
        rows: &mut Partition,
    ) -> Result<Span> {
        let start = self.start_at(place, row, peers, rows).await?;
        let end = self.end_at(place, row, peers, rows).await?;
        let excluded = match self.exclude {
            FrameExclude::NoOthers => [(0, 0); 2],
            FrameExclude::CurrentRow => [(place, place + 1), (0, 0)],
            FrameExclude::Group => [(peers.start, peers.end(place, rows).await?), (0, 0)],
            FrameExclude::Ties => {
                let end = peers.end(place, rows).await?;
                [(peers.start, place), (place + 1, end)]
            }
        };
        // A frame without rows may begin anywhere.
        let end = end.max(start);
        Ok(Span {
            start,
            end,
            excluded,
        })
    }

    async fn start_at(
        &mut self,
        place: u64,
        row: &Rc<Row>,
        peers: &Peers,
        rows: &mut Partition,
    ) -> Result<u64> {
        Ok(match self.start.clone() {
            Bound::Unbounded => 0,
            Bound::Current if self.units == FrameUnits::Rows => place,
            Bound::Current => peers.start,
            Bound::Rows(n) => shifted(place, n),
            Bound::Groups(n) => {
                let group = shifted(peers.number, n);
                reach_group(&mut self.head, group, &self.order, rows).await?
            }
            Bound::Range { offset, preceding } => {
                self.reach_start(row, &offset, preceding, rows).await?
            }
        })
    }

    /// The place after the frame's last row.
    async fn end_at(
        &mut self,
        place: u64,
        row: &Rc<Row>,
        peers: &mut Peers,
        rows: &mut Partition,
    ) -> Result<u64> {
        Ok(match self.end.clone() {
            Bound::Unbounded => rows.len().await?,
            Bound::Current if self.units == FrameUnits::Rows => place + 1,
            Bound::Current => peers.end(place, rows).await?,
            Bound::Rows(n) => {
                let last = shifted(place, n.saturating_add(1));
                match last.checked_sub(1) {
                    Some(at) if !rows.has(at).await? => rows.len().await?,
                    _ => last,
                }
            }
            Bound::Groups(n) => {
                let after = shifted(peers.number, n.saturating_add(1));
                reach_group(&mut self.tail, after, &self.order, rows).await?
            }
            Bound::Range { offset, preceding } => {
                self.reach_end(row, &offset, preceding, rows).await?
            }
        })
    }

    fn key(&self, row: &Row) -> Value {
        let at = self.order.first().copied().unwrap_or(usize::MAX);
        row.get(at).cloned().unwrap_or_default()
    }

    /// Moves the head to the first row that is not before the offset.
    async fn reach_start(
        &mut self,
        row: &Row,
        offset: &Value,
        preceding: bool,
        rows: &mut Partition,
    ) -> Result<u64> {
        let current = self.key(row);
        let (descending, nulls_first) = self.direction.parts();
        while rows.has(self.head.place).await? {
            let head = self.key(&*rows.row(self.head.place).await?);
            let stays = match (head.is_null(), current.is_null()) {
                (false, false) => {
                    let back = preceding != descending;
                    let zone = &rows.scope.exec.ctx.session.forms.zone;
                    in_range(&head, &current, offset, back, descending, zone)?
                }
                (head, current) if nulls_first => !head || current,
                (head, current) => head || !current,
            };
            if stays {
                break;
            }
            self.head.place += 1;
            step(rows, self.head.place).await?;
        }
        Ok(self.head.place)
    }

    /// Moves the tail to the first row that is after the offset.
    async fn reach_end(
        &mut self,
        row: &Row,
        offset: &Value,
        preceding: bool,
        rows: &mut Partition,
    ) -> Result<u64> {
        let current = self.key(row);
        let (descending, nulls_first) = self.direction.parts();
        while rows.has(self.tail.place).await? {
            let tail = self.key(&*rows.row(self.tail.place).await?);
            let passes = match (tail.is_null(), current.is_null()) {
                (false, false) => {
                    let back = preceding != descending;
                    let zone = &rows.scope.exec.ctx.session.forms.zone;
                    in_range(&tail, &current, offset, back, !descending, zone)?
                }
                (tail, _) if nulls_first => tail,
                (_, current) => current,
            };
            if !passes {
                break;
            }
            self.tail.place += 1;
            step(rows, self.tail.place).await?;
        }
        Ok(self.tail.place)
    }
}

/// Where the group of that number begins, or the partition's end.
async fn reach_group(
    reached: &mut Reached,
    group: u64,
    order: &[usize],
    rows: &mut Partition,
) -> Result<u64> {
    while reached.group < group && rows.has(reached.place).await? {
        let row = rows.row(reached.place).await?;
        reached.place = group_end(order, row, reached.place, rows).await?;
        reached.group += 1;
    }
    Ok(reached.place)
}

fn shifted(place: u64, by: i128) -> u64 {
    u64::try_from(i128::from(place).saturating_add(by).max(0)).unwrap_or(u64::MAX)
}

async fn evaluated(offset: Option<&Expr>, rows: &Partition) -> Result<Option<Value>> {
    let Some(offset) = offset else {
        return Ok(None);
    };
    let exprs = super::super::scope::Exprs::new([offset]);
    Ok(rows.scope.row(&exprs, &[]).await?.pop())
}
