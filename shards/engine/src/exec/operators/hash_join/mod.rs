//! Joins of two independent inputs.
//!
//! Owns: which input is kept in memory, hashed by its keys (or in a list without keys), while the other one streams past. The
//! right input is kept unless the left one turns out to be small: then the right table is read by the left rows' keys where
//! an index allows it (`lookup`), else the left input is kept and the right one streams, as it does where the plan says so.
//! Asked by: `build`. NULL keys match nothing. Rows of the kept input without a match come last. A kept input over its
//! memory is joined in parts (`pairs`), and then the output has no order.
//! Bounds: the kept rows count against the query's memory; at most `AHEAD_ROWS_MAX` left rows are read ahead.

mod pairs;
mod pass;
mod spec;
mod table;

use super::lookup::{self, LOOKUPS_MAX};
use super::rows::RowSet;
use super::scope::{Exprs, Scope};
use super::sources::ShardRows;
use super::stream::Rows;
use super::{RowSource, is_full};
use crate::exec::memory::Reservation;
use crate::exec::profile::Measure;
use crate::exec::sieve::Keys;
use crate::exec::spill::Run;
use crate::plan::{Join, JoinKind, Keep, Plan, Scan};
use futures_util::future::LocalBoxFuture;
use pairs::{Filled, Kept, Pairs, Probe, can_divide};
use pass::{Flags, Pass};
use spec::Spec;
use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::Arc;
use table::has_null;
use types::limits::BATCH_ROWS_MAX;
use types::{Result, RowBatch};

pub(crate) struct HashJoin {
    spec: Spec,
    /// Until the first row is asked for.
    inputs: Option<(Box<dyn RowSource>, Box<dyn RowSource>)>,
    /// The right input when it is a table's rows.
    right_scan: Option<Scan>,
    /// Puts its measure around another scan of it.
    measure: Option<Measure>,
    keep: Keep,
    pass: Option<Pass>,
    several: Option<Several>,
    pairs: Pairs,
    /// Kept rows with a NULL key, when they were put aside.
    alone: Option<Rows>,
}

/// Kept rows that come in several tables, and what streams past each.
struct Several {
    kept: Kept,
    probe: Run,
}

/// A left input of at most this many rows counts as small.
const AHEAD_ROWS_MAX: usize = 4 * BATCH_ROWS_MAX;
/// And of at most so many bytes.
const AHEAD_BYTES_MAX: usize = 1 << 20;

impl HashJoin {
    pub(crate) fn new(
        scope: Scope,
        left: Box<dyn RowSource>,
        right: Box<dyn RowSource>,
        join: &Join,
    ) -> HashJoin {
        let operator = if join.left_keys.is_empty() {
            "Nested Loop"
        } else {
            "Hash Join"
        };
        let profile = scope.exec.profile.clone();
        HashJoin {
            spec: Spec {
                scope,
                operator,
                kind: join.kind,
                swapped: false,
                left_width: join.left_width,
                right_width: join.right_width,
                probe_keys: Exprs::new(&join.left_keys),
                kept_keys: Exprs::new(&join.right_keys),
                filter: Exprs::new(&join.filter),
                steps: Cell::new(0),
            },
            inputs: Some((left, right)),
            right_scan: match &join.right {
                Plan::Scan(scan) if !join.left_keys.is_empty() => Some((**scan).clone()),
                _ => None,
            },
            measure: profile.map(|p| p.measurer(&join.right)),
            keep: join.keep,
            pass: None,
            several: None,
            pairs: Pairs::default(),
            alone: None,
        }
    }

    /// Decides which input to keep, and begins.
    async fn prepare(&mut self, left: Box<dyn RowSource>, right: Box<dyn RowSource>) -> Result<()> {
        let left_decides = !matches!(self.spec.kind, JoinKind::Right | JoinKind::Full);
        if !self.spec.is_keyed() || !left_decides {
            return self.begin(right, left).await;
        }
        let mut left = Ahead::of(left, &self.spec);
        let is_small = left.look(&self.spec).await?;
        if is_small && left.ahead.is_empty() {
            return Ok(());
        }
        if is_small && let Some(narrowed) = self.lookup(&left).await? {
            let mut right: Box<dyn RowSource> =
                Box::new(ShardRows::scan(self.spec.scope.clone(), &narrowed));
            if let Some(measure) = &self.measure {
                right = measure.around(right);
            }
            return self.begin(right, Box::new(left)).await;
        }
        if is_small && self.keep == Keep::Either || self.keep == Keep::Left {
            let spec = &mut self.spec;
            spec.swapped = true;
            std::mem::swap(&mut spec.probe_keys, &mut spec.kept_keys);
            return self.begin(Box::new(left), right).await;
        }
        self.begin(right, Box::new(left)).await
    }

    /// The right table's scan narrowed to what the left rows can match.
    async fn lookup(&mut self, left: &Ahead) -> Result<Option<Scan>> {
        let Some(scan) = &self.right_scan else {
            return Ok(None);
        };
        let spec = &self.spec;
        let mut keys = RowSet::default();
        for row in left.ahead.iter().flat_map(|b| &b.rows) {
            let key = spec.scope.row(&spec.probe_keys, row).await?;
            if !has_null(&key) {
                keys.intern(&key);
            }
            if keys.len() > LOOKUPS_MAX {
                return Ok(None);
            }
        }
        let known = spec.scope.exec.ctx.catalog.statistics.get(&scan.table.id);
        let known = known.map(|s| &**s);
        Ok(lookup::narrow(scan, &spec.kept_keys.list, &keys, known))
    }

    async fn begin(&mut self, kept: Box<dyn RowSource>, probe: Box<dyn RowSource>) -> Result<()> {
        let kept = Kept::new(Rows::live(kept));
        self.join(kept, Probe::Input(Box::new(Rows::live(probe))), 0)
            .await
    }

    /// Joins two inputs: at once, as pairs of parts, or table by table.
    async fn join(&mut self, mut kept: Kept, mut probe: Probe, level: u32) -> Result<()> {
        let mut filled = kept.fill(&self.spec).await?;
        if filled.all {
            self.sift(&mut filled, &mut probe);
            if !filled.table.is_empty() || self.spec.wants_probe() {
                self.pass = Some(Pass::only(filled.table, filled.memory, probe.rows()));
            }
            return Ok(());
        }
        if can_divide(&self.spec, &filled.table, level) {
            return self
                .pairs
                .divide(filled, kept, probe, level, &self.spec)
                .await;
        }
        let space = self.pairs.space(&self.spec).await?;
        let probe = probe.run(&space, &self.spec).await?;
        let memory = self.spec.scope.exec.memory.consumer(self.spec.operator);
        let flags = Flags::new(memory);
        let rows = Rows::read(&probe);
        self.pass = Some(Pass::of_several(
            filled.table,
            filled.memory,
            rows,
            false,
            flags,
        ));
        self.several = Some(Several { kept, probe });
        Ok(())
    }

    /// Tells the streaming input what is looked for in it, where rows without a match are of no use.
    fn sift(&self, filled: &mut Filled, probe: &mut Probe) {
        if self.spec.wants_probe() {
            return;
        }
        if let Some(columns) = &self.spec.probe_keys.columns
            && let Probe::Input(rows) = probe
            && let Some(keys) = filled.table.sieve()
            && filled.memory.keep(keys.bytes())
        {
            rows.sieve(columns, &Arc::new(keys));
        }
    }

    /// After a pass: the next table, the next pair. `false` at the end.
    async fn next_pass(&mut self) -> Result<bool> {
        if let Some((left, right)) = self.inputs.take() {
            self.prepare(left, right).await?;
            return Ok(true);
        }
        let flags = self.pass.take().and_then(Pass::into_flags);
        if let (Some(mut several), Some(flags)) = (self.several.take(), flags) {
            let filled = several.kept.fill(&self.spec).await?;
            let all = filled.all;
            let rows = if all {
                Rows::drain(several.probe)
            } else {
                let rows = Rows::read(&several.probe);
                self.several = Some(several);
                rows
            };
            let (table, memory) = (filled.table, filled.memory);
            self.pass = Some(Pass::of_several(table, memory, rows, all, flags));
            return Ok(true);
        }
        if let Some(pair) = self.pairs.pop() {
            let kept = Kept::new(Rows::drain(pair.kept));
            self.join(kept, Probe::Part(pair.probe), pair.level).await?;
            return Ok(true);
        }
        self.alone = self.pairs.alone().await?;
        Ok(self.alone.is_some())
    }

    async fn batch(&mut self) -> Result<Option<RowBatch>> {
        let mut out = RowBatch::new();
        while !is_full(&out) {
            if let Some(alone) = &mut self.alone {
                match alone.next(&self.spec.scope).await? {
                    Some(row) => out.push(self.spec.kept_alone(&row)),
                    None => break,
                }
                continue;
            }
            let row = match &mut self.pass {
                Some(pass) => pass.next(&self.spec).await?,
                None => None,
            };
            match row {
                Some(row) => out.push(row),
                None if self.next_pass().await? => {}
                None => break,
            }
        }
        Ok((!out.is_empty()).then_some(out))
    }
}

/// Batches already read, then the rest.
struct Ahead {
    ahead: VecDeque<RowBatch>,
    memory: Reservation,
    rest: Box<dyn RowSource>,
}

impl Ahead {
    fn of(rest: Box<dyn RowSource>, spec: &Spec) -> Ahead {
        Ahead {
            ahead: VecDeque::new(),
            memory: spec.scope.exec.memory.consumer(spec.operator),
            rest,
        }
    }

    /// Reads batches while they are few; true when these are all.
    async fn look(&mut self, spec: &Spec) -> Result<bool> {
        let mut rows = 0;
        while rows <= AHEAD_ROWS_MAX && self.memory.bytes() <= AHEAD_BYTES_MAX {
            let Some(batch) = self.rest.next().await? else {
                return Ok(true);
            };
            (spec.scope.exec.check)()?;
            rows += batch.len();
            let fits = self.memory.keep(batch.bytes);
            if !batch.is_empty() {
                self.ahead.push_back(batch);
            }
            // The last batch is at hand as any batch is; more are not read.
            if !fits {
                return Ok(false);
            }
        }
        Ok(false)
    }
}

impl RowSource for Ahead {
    fn sieve(&mut self, columns: &[usize], keys: &Arc<Keys>) {
        self.rest.sieve(columns, keys);
    }

    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<RowBatch>>> {
        Box::pin(async {
            match self.ahead.pop_front() {
                Some(batch) => {
                    self.memory.shrink(batch.bytes);
                    Ok(Some(batch))
                }
                None => self.rest.next().await,
            }
        })
    }
}

impl RowSource for HashJoin {
    /// To the input that the columns are of, where the rows it leaves out would have given none of use.
    fn sieve(&mut self, columns: &[usize], keys: &Arc<Keys>) {
        let (Some((left, right)), spec) = (&mut self.inputs, &self.spec) else {
            return;
        };
        let lefts = !matches!(spec.kind, JoinKind::Right | JoinKind::Full);
        if lefts && columns.iter().all(|c| *c < spec.left_width) {
            left.sieve(columns, keys);
        } else if spec.kind == JoinKind::Inner && columns.iter().all(|c| *c >= spec.left_width) {
            let columns: Vec<usize> = columns.iter().map(|c| c - spec.left_width).collect();
            right.sieve(&columns, keys);
        }
    }

    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<RowBatch>>> {
        Box::pin(self.batch())
    }
}
