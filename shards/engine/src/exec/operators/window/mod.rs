//! WindowAgg: window functions over input that is sorted by partition and order.
//!
//! Owns: going through each partition row by row; `partition` holds its rows, `frame` says which of them the current row
//! sees, `calls` what each function makes of them. Asked by: `build`. Never: sorts; the plan has a Sort below.
//! Bounds: what is held of a partition spills to disk; states of aggregates count against the query's memory (53200).
//! Source: PostgreSQL 15 `nodeWindowAgg.c`.

mod calls;
mod frame;
mod partition;
mod range;

use super::scope::{Exprs, Scope};
use super::sort::Direction;
use super::{RowSource, is_full};
use crate::plan::{Expr, Frame, Window};
use calls::{Call, Here};
use frame::{Frames, Peers};
use futures_util::future::LocalBoxFuture;
use partition::Partition;
use types::{Result, RowBatch};

pub(crate) struct WindowAgg {
    rows: Partition,
    peers: Peers,
    frame: Frame,
    frames: Option<Frames>,
    order: Vec<usize>,
    direction: Direction,
    calls: Vec<Call>,
    wants_frame: bool,
    /// Values in front of a held row that are not the input's.
    made: usize,
    /// The current row of an open partition.
    at: Option<u64>,
}

/// Where an expression's value is in a row held: computed, or a column of the input.
enum Place {
    Made(usize),
    Column(usize),
}

/// Expressions to compute for each row.
#[derive(Default)]
struct Made<'a>(Vec<&'a Expr>);

impl<'a> Made<'a> {
    fn place(&mut self, e: &'a Expr) -> Place {
        if let Expr::Column(i, _) = e {
            return Place::Column(*i);
        }
        self.0.push(e);
        Place::Made(self.0.len() - 1)
    }
}

impl WindowAgg {
    pub(crate) fn new(scope: Scope, input: Box<dyn RowSource>, spec: &Window) -> Result<WindowAgg> {
        let mut made = Made::default();
        let partition: Vec<Place> = spec.partition.iter().map(|e| made.place(e)).collect();
        let order: Vec<Place> = spec.order.iter().map(|k| made.place(&k.expr)).collect();
        let mut places = Vec::with_capacity(spec.calls.len());
        for call in &spec.calls {
            let args: Vec<Place> = call.args.iter().map(|e| made.place(e)).collect();
            places.push((args, call.filter.as_ref().map(|e| made.place(e))));
        }
        let width = made.0.len();
        let slot = |place: &Place| match place {
            Place::Made(i) => *i,
            Place::Column(i) => width + i,
        };
        let slots = |places: &[Place]| places.iter().map(slot).collect::<Vec<usize>>();
        let exprs = Exprs::new(made.0.iter().copied());
        let rows = Partition::new(scope, input, exprs, slots(&partition));
        let mut calls = Vec::with_capacity(spec.calls.len());
        for (call, (args, filter)) in spec.calls.iter().zip(&places) {
            calls.push(Call::new(
                call,
                slots(args),
                filter.as_ref().map(slot),
                &rows,
            )?);
        }
        let order = slots(&order);
        Ok(WindowAgg {
            rows,
            peers: Peers::new(order.clone()),
            frame: spec.frame.clone(),
            frames: None,
            order,
            direction: spec
                .order
                .first()
                .map_or(Direction::ASCENDING, Direction::of),
            wants_frame: calls.iter().any(Call::wants_frame),
            calls,
            made: width,
            at: None,
        })
    }

    /// Stands at the next row; `None` at the end of the input.
    async fn advance(&mut self) -> Result<Option<u64>> {
        if let Some(at) = self.at
            && self.rows.has(at + 1).await?
        {
            self.at = Some(at + 1);
            return Ok(self.at);
        }
        if !self.rows.begin().await? {
            self.at = None;
            return Ok(None);
        }
        self.peers.reset();
        match &mut self.frames {
            Some(frames) => frames.reset(),
            None if self.wants_frame => {
                let order = self.order.clone();
                let frames = Frames::new(&self.frame, order, self.direction, &self.rows);
                self.frames = Some(frames.await?);
            }
            None => {}
        }
        self.calls.iter_mut().try_for_each(Call::reset)?;
        self.at = Some(0);
        Ok(self.at)
    }

    async fn batch(&mut self) -> Result<Option<RowBatch>> {
        let mut out = RowBatch::new();
        while !is_full(&out) {
            let Some(place) = self.advance().await? else {
                break;
            };
            let row = self.rows.row(place).await?;
            self.peers.enter(place, &row);
            let span = match &mut self.frames {
                Some(frames) => {
                    let span = frames.span(place, &row, &mut self.peers, &mut self.rows);
                    Some(span.await?)
                }
                None => None,
            };
            let mut result = row.get(self.made..).unwrap_or_default().to_vec();
            let here = Here {
                place,
                row: &row,
                span,
            };
            for call in &mut self.calls {
                result.push(call.value(&here, &mut self.peers, &mut self.rows).await?);
            }
            out.push(result);
            self.forget(place, span);
            frame::step(&self.rows, place).await?;
        }
        Ok((!out.is_empty()).then_some(out))
    }

    /// Lets go of rows that nobody will look at again.
    fn forget(&mut self, place: u64, span: Option<frame::Span>) {
        let (mut first, from_first) = match &self.frames {
            Some(f) => (f.forgets_before(place, &self.peers), f.starts_at_first()),
            None => (place, false),
        };
        for call in &self.calls {
            first = first.min(call.forgets_before(place, span, from_first));
        }
        self.rows.forget(first);
    }
}

impl RowSource for WindowAgg {
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<RowBatch>>> {
        Box::pin(self.batch())
    }
}
