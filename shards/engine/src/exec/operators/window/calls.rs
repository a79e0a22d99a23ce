//! What each window function answers for the current row.
//!
//! Owns: the state of each call within a partition: for aggregates the running state and the rows it stands for.
//! Asked by: the operator, for one row after the other. Never: adds a row to a state twice while the frame only grows; when
//! the frame's start moves, rows are taken out where the aggregate can, else the state begins anew.
//! Source: PostgreSQL 15 `windowfuncs.c`, `nodeWindowAgg.c` (`eval_windowaggregates`).

use super::frame::{Peers, Span, step};
use super::partition::Partition;
use crate::exec::aggregates::{Accumulator, accumulator};
use crate::exec::memory::Reservation;
use crate::plan::{Expr, WindowCall, WindowFunc};
use types::text::Forms;
use types::{Error, Result, Row, SqlState, Value};

pub(super) struct Call {
    func: WindowFunc,
    /// Where its arguments are in a row held.
    args: Vec<usize>,
    filter: Option<usize>,
    /// How far back lag looks, where that is the same for every row.
    back: Option<u64>,
    /// ntile's argument for the partition's first row.
    buckets: Option<Value>,
    running: Option<Running>,
}

/// The current row and what is known of its surroundings.
pub(super) struct Here<'a> {
    pub(super) place: u64,
    pub(super) row: &'a Row,
    pub(super) span: Option<Span>,
}

/// An aggregate over the rows from `from` to before `upto`.
struct Running {
    forms: Forms,
    state: Box<dyn Accumulator>,
    from: u64,
    upto: u64,
    answer: Option<Value>,
    memory: Reservation,
}

impl Call {
    pub(super) fn new(
        call: &WindowCall,
        args: Vec<usize>,
        filter: Option<usize>,
        rows: &Partition,
    ) -> Result<Call> {
        let forms = &rows.scope.exec.ctx.session.forms;
        let running = match &call.func {
            WindowFunc::Aggregate(name) => Some(Running {
                state: accumulator(name, forms)?,
                forms: forms.clone(),
                from: 0,
                upto: 0,
                answer: None,
                memory: rows.scope.exec.memory.consumer("WindowAgg"),
            }),
            _ => None,
        };
        let back = match call.args.get(1) {
            None => Some(1),
            Some(Expr::Const(value, _)) => value.as_i64().and_then(|n| u64::try_from(n).ok()),
            Some(_) => None,
        };
        Ok(Call {
            func: call.func.clone(),
            args,
            filter,
            back,
            buckets: None,
            running,
        })
    }

    pub(super) fn reset(&mut self) -> Result<()> {
        self.buckets = None;
        match &mut self.running {
            Some(running) => running.restart(&self.func, 0),
            None => Ok(()),
        }
    }

    /// It looks at the rows of the frame.
    pub(super) fn wants_frame(&self) -> bool {
        matches!(
            self.func,
            WindowFunc::Aggregate(_)
                | WindowFunc::FirstValue
                | WindowFunc::LastValue
                | WindowFunc::NthValue
        )
    }

    /// The first row that it may still want, the current one being at `place`.
    pub(super) fn forgets_before(&self, place: u64, span: Option<Span>, from_first: bool) -> u64 {
        let start = span.map_or(place, |s| s.start);
        match self.func {
            WindowFunc::Lag => self.back.map_or(0, |n| place.saturating_sub(n)),
            WindowFunc::FirstValue | WindowFunc::LastValue | WindowFunc::NthValue => start,
            WindowFunc::Aggregate(_) if from_first && span.is_some_and(|s| s.is_whole()) => {
                self.running.as_ref().map_or(place, |r| r.upto)
            }
            WindowFunc::Aggregate(_) => start,
            WindowFunc::RowNumber
            | WindowFunc::Rank
            | WindowFunc::DenseRank
            | WindowFunc::PercentRank
            | WindowFunc::CumeDist
            | WindowFunc::Ntile
            | WindowFunc::Lead => place,
        }
    }

    pub(super) async fn value(
        &mut self,
        here: &Here<'_>,
        peers: &mut Peers,
        rows: &mut Partition,
    ) -> Result<Value> {
        let place = here.place;
        Ok(match self.func {
            WindowFunc::RowNumber => whole(place + 1),
            WindowFunc::Rank => whole(peers.start + 1),
            WindowFunc::DenseRank => whole(peers.number + 1),
            WindowFunc::PercentRank => {
                let others = rows.len().await?.saturating_sub(1);
                Value::Float8(if others == 0 {
                    0.0
                } else {
                    peers.start as f64 / others as f64
                })
            }
            WindowFunc::CumeDist => {
                let upto = peers.end(place, rows).await?;
                Value::Float8(upto as f64 / rows.len().await? as f64)
            }
            WindowFunc::Ntile => self.ntile(here, rows).await?,
            WindowFunc::Lag => self.beside(here, rows, -1).await?,
            WindowFunc::Lead => self.beside(here, rows, 1).await?,
            WindowFunc::FirstValue => self.nth(here, rows, 0).await?,
            WindowFunc::LastValue => self.last(here, rows).await?,
            WindowFunc::NthValue => match self.argument(here.row, 1).as_i64() {
                None => Value::Null,
                Some(n @ 1..) => self.nth(here, rows, n as u64 - 1).await?,
                Some(_) => {
                    return Err(Error::new(
                        SqlState::INVALID_ARGUMENT_FOR_NTH_VALUE,
                        "argument of nth_value must be greater than zero",
                    ));
                }
            },
            WindowFunc::Aggregate(_) => self.aggregate(here, rows).await?,
        })
    }

    fn argument(&self, row: &Row, n: usize) -> Value {
        let value = self.args.get(n).and_then(|at| row.get(*at));
        value.cloned().unwrap_or_default()
    }

    /// The number of rows as equal in size as they can be, larger ones first.
    async fn ntile(&mut self, here: &Here<'_>, rows: &mut Partition) -> Result<Value> {
        let buckets = match &self.buckets {
            Some(buckets) => buckets.clone(),
            None => self.argument(here.row, 0),
        };
        self.buckets = Some(buckets.clone());
        let Some(n) = buckets.as_i64() else {
            return Ok(Value::Null);
        };
        let n = u64::try_from(n).ok().filter(|n| *n > 0).ok_or_else(|| {
            Error::new(
                SqlState::INVALID_ARGUMENT_FOR_NTILE,
                "argument of ntile must be greater than zero",
            )
        })?;
        let total = rows.len().await?;
        let (size, larger) = (total / n, total % n);
        let in_larger = larger * (size + 1);
        let bucket = if here.place < in_larger {
            here.place / (size + 1)
        } else {
            larger + (here.place - in_larger) / size.max(1)
        };
        Ok(Value::Int4(i32::try_from(bucket + 1).unwrap_or(i32::MAX)))
    }

    /// lag and lead.
    async fn beside(&self, here: &Here<'_>, rows: &mut Partition, sign: i128) -> Result<Value> {
        let offset = match self.args.len() {
            0 | 1 => 1,
            _ => match self.argument(here.row, 1).as_i64() {
                None => return Ok(Value::Null),
                Some(n) => i128::from(n),
            },
        };
        let wanted = u64::try_from(i128::from(here.place) + sign * offset);
        match wanted {
            Ok(place) if rows.has(place).await? => Ok(self.argument(&*rows.row(place).await?, 0)),
            _ => Ok(self.argument(here.row, 2)),
        }
    }

    async fn nth(&self, here: &Here<'_>, rows: &mut Partition, mut n: u64) -> Result<Value> {
        for (from, to) in here.span.iter().flat_map(Span::parts) {
            if n < to - from {
                if !rows.has(from + n).await? {
                    break;
                }
                return Ok(self.argument(&*rows.row(from + n).await?, 0));
            }
            n -= to - from;
        }
        Ok(Value::Null)
    }

    async fn last(&self, here: &Here<'_>, rows: &mut Partition) -> Result<Value> {
        let part = here.span.and_then(|s| s.parts().pop());
        match part {
            Some((_, to)) if rows.has(to - 1).await? => {
                Ok(self.argument(&*rows.row(to - 1).await?, 0))
            }
            _ => Ok(Value::Null),
        }
    }

    async fn aggregate(&mut self, here: &Here<'_>, rows: &mut Partition) -> Result<Value> {
        let (Some(running), Some(span)) = (&mut self.running, here.span) else {
            return Err(super::super::lost());
        };
        if !span.is_whole() {
            running.restart(&self.func, 0)?;
            for (from, to) in span.parts() {
                running.upto = from;
                running.add_upto(to, &self.args, self.filter, rows).await?;
            }
            return running.state.finish();
        }
        if (running.from, running.upto) == (span.start, span.end)
            && let Some(answer) = &running.answer
        {
            return Ok(answer.clone());
        }
        let overlaps = running.from <= span.start && span.start < running.upto;
        let grows = running.upto <= span.end;
        let kept = overlaps && grows && {
            running
                .drop_before(span.start, &self.args, self.filter, rows)
                .await?
        };
        if !kept && (running.from, running.upto) != (span.start, span.start) {
            running.restart(&self.func, span.start)?;
        }
        running
            .add_upto(span.end, &self.args, self.filter, rows)
            .await?;
        let answer = running.state.finish()?;
        running.answer = Some(answer.clone());
        Ok(answer)
    }
}

impl Running {
    fn restart(&mut self, func: &WindowFunc, from: u64) -> Result<()> {
        let WindowFunc::Aggregate(name) = func else {
            return Err(super::super::lost());
        };
        self.state = accumulator(name, &self.forms)?;
        self.memory.set(0)?;
        (self.from, self.upto, self.answer) = (from, from, None);
        Ok(())
    }

    async fn add_upto(
        &mut self,
        end: u64,
        args: &[usize],
        filter: Option<usize>,
        rows: &mut Partition,
    ) -> Result<()> {
        while self.upto < end && rows.has(self.upto).await? {
            let row = rows.row(self.upto).await?;
            if counts(&row, filter) {
                self.state.update(&arguments(&row, args))?;
                self.memory.set(self.state.memory())?;
            }
            self.upto += 1;
            step(rows, self.upto).await?;
        }
        // A frame may reach beyond the partition.
        self.upto = self.upto.max(end);
        Ok(())
    }

    /// Takes rows out of the state; `false` when it cannot.
    async fn drop_before(
        &mut self,
        start: u64,
        args: &[usize],
        filter: Option<usize>,
        rows: &mut Partition,
    ) -> Result<bool> {
        while self.from < start {
            let row = rows.row(self.from).await?;
            if counts(&row, filter) && !self.state.remove(&arguments(&row, args))? {
                return Ok(false);
            }
            self.from += 1;
            step(rows, self.from).await?;
        }
        Ok(true)
    }
}

fn counts(row: &Row, filter: Option<usize>) -> bool {
    filter.is_none_or(|at| matches!(row.get(at), Some(Value::Bool(true))))
}

fn arguments(row: &Row, args: &[usize]) -> smallvec::SmallVec<[Value; 2]> {
    let value = |at: &usize| row.get(*at).cloned().unwrap_or_default();
    args.iter().map(value).collect()
}

fn whole(n: u64) -> Value {
    Value::Int8(i64::try_from(n).unwrap_or(i64::MAX))
}
