//! Kept rows over their memory: both inputs are divided by key into pairs of parts, each joined on its own.
//!
//! Owns: the parts still to be joined, and kept rows with a NULL key, which match nothing. Asked by: the join, when its kept
//! rows do not fit. A part that does not fit is divided again; one that holds a single key, or a join without keys, goes in
//! several tables past the whole other part instead, so that it always ends.
//! Source: DeWitt et al., Implementation Techniques for Main Memory Database Systems (1984): GRACE and block nested loops.

use super::super::stream::Rows;
use super::spec::Spec;
use super::table::{Table, has_null};
use crate::exec::memory::Reservation;
use crate::exec::spill::{self, LEVELS_MAX, Parted, Run, Space, Writer};
use types::{Result, Row};

/// Kept rows on their way into tables.
pub(super) struct Kept {
    rows: Rows,
    /// Found no room in the last table.
    next: Option<Row>,
}

/// A table with what it takes, and whether it has all the rows.
pub(super) struct Filled {
    pub(super) table: Table,
    pub(super) memory: Reservation,
    pub(super) all: bool,
}

impl Kept {
    pub(super) fn new(rows: Rows) -> Kept {
        Kept { rows, next: None }
    }

    async fn next(&mut self, spec: &Spec) -> Result<Option<Row>> {
        match self.next.take() {
            Some(row) => Ok(Some(row)),
            None => self.rows.next(&spec.scope).await,
        }
    }

    /// A table of as many rows as fit, at least one. Rows that can give nothing are left out.
    pub(super) async fn fill(&mut self, spec: &Spec) -> Result<Filled> {
        let mut memory = spec.scope.exec.memory.consumer(spec.operator);
        let columns = spec.kept_keys.columns.clone();
        let mut table = Table::of(columns.clone());
        while let Some(row) = self.next(spec).await? {
            let key = match columns {
                Some(_) => None,
                None => spec.kept_key(&row).await?,
            };
            if !spec.wants_kept() && table.lacks_key(&row, key.as_deref()) {
                continue;
            }
            let (bytes, of_key) = table.cost(&row, key.as_ref());
            if !spill::keep(&mut memory, bytes, spec.can_spill())? {
                if !table.is_empty() {
                    self.next = Some(row);
                    let all = false;
                    return Ok(Filled { table, memory, all });
                }
                memory.grow(bytes)?;
            }
            if !table.push(row, key) {
                memory.shrink(of_key);
            }
        }
        let all = true;
        Ok(Filled { table, memory, all })
    }
}

/// Streaming rows: from an input, or on disk.
pub(super) enum Probe {
    Input(Box<Rows>),
    Part(Run),
}

impl Probe {
    pub(super) fn rows(self) -> Rows {
        match self {
            Probe::Input(rows) => *rows,
            Probe::Part(run) => Rows::drain(run),
        }
    }

    /// On disk, to be read more than once.
    pub(super) async fn run(self, space: &Space, spec: &Spec) -> Result<Run> {
        match self {
            Probe::Part(run) => Ok(run),
            Probe::Input(mut rows) => {
                let mut writer = Writer::new(space);
                while let Some(row) = rows.next(&spec.scope).await? {
                    writer.push(&row).await?;
                }
                writer.finish().await
            }
        }
    }
}

pub(super) struct Pair {
    pub(super) kept: Run,
    pub(super) probe: Run,
    pub(super) level: u32,
}

#[derive(Default)]
pub(super) struct Pairs {
    space: Option<Space>,
    waiting: Vec<Pair>,
    /// Kept rows with a NULL key, where they are wanted.
    alone: Option<Writer>,
}

/// Whether dividing can help.
pub(super) fn can_divide(spec: &Spec, table: &Table, level: u32) -> bool {
    spec.is_keyed() && table.keys() > 1 && level < LEVELS_MAX
}

impl Pairs {
    pub(super) fn pop(&mut self) -> Option<Pair> {
        self.waiting.pop()
    }

    /// The kept rows that were in no pair, once.
    pub(super) async fn alone(&mut self) -> Result<Option<Rows>> {
        match self.alone.take() {
            Some(writer) => Ok(Some(Rows::drain(writer.finish().await?))),
            None => Ok(None),
        }
    }

    pub(super) async fn space(&mut self, spec: &Spec) -> Result<Space> {
        let space = match self.space.take() {
            Some(space) => space,
            None => spec.scope.exec.space(spec.operator).await?,
        };
        self.space = Some(space.clone());
        Ok(space)
    }

    /// Divides both inputs; `filled` has the first of the kept rows.
    pub(super) async fn divide(
        &mut self,
        filled: Filled,
        mut kept: Kept,
        probe: Probe,
        level: u32,
        spec: &Spec,
    ) -> Result<()> {
        let space = self.space(spec).await?;
        let mut parted = Parted::new(&space, level);
        let Filled { table, memory, .. } = filled;
        for row in table.rows {
            self.put_kept(row, &mut parted, &space, spec).await?;
            spec.step().await?;
        }
        drop(memory);
        while let Some(row) = kept.next(spec).await? {
            self.put_kept(row, &mut parted, &space, spec).await?;
        }
        drop(kept);
        let parts = parted.parts();
        let kept = parted.finish().await?;
        let into = Parted::of(&space, level, parts);
        let probe = divide_probe(probe.rows(), &kept, into, spec).await?;
        let level = level + 1;
        for (kept, probe) in kept.into_iter().zip(probe) {
            let alone = kept.rows() > 0 && spec.wants_kept();
            if probe.rows() > 0 || alone {
                self.waiting.push(Pair { kept, probe, level });
            }
        }
        Ok(())
    }

    async fn put_kept(
        &mut self,
        row: Row,
        parted: &mut Parted,
        space: &Space,
        spec: &Spec,
    ) -> Result<()> {
        let key = spec.kept_key(&row).await?.unwrap_or_default();
        if !has_null(&key) {
            return parted.push(parted.part(&key), &row).await;
        }
        if spec.wants_kept() {
            let alone = self.alone.get_or_insert_with(|| Writer::new(space));
            alone.push(&row).await?;
        }
        Ok(())
    }
}

/// Streaming rows to the parts of their keys. Those that can give nothing are left out.
async fn divide_probe(
    mut rows: Rows,
    kept: &[Run],
    mut into: Parted,
    spec: &Spec,
) -> Result<Vec<Run>> {
    while let Some(row) = rows.next(&spec.scope).await? {
        let key = spec.scope.row(&spec.probe_keys, &row).await?;
        let matches_nothing = has_null(&key);
        let part = if matches_nothing { 0 } else { into.part(&key) };
        if spec.wants_probe() || !matches_nothing && kept[part].rows() > 0 {
            into.push(part, &row).await?;
        }
    }
    into.finish().await
}
