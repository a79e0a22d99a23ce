//! Rows of a scan taken many at a time.
//!
//! Owns: rows that wait, and what of the scan's filter, groups and aggregates is computed over all of them at once. Asked by:
//! `Fragment`, once some rows have come, and not for a scan that counts its rows (`LIMIT`). Never: gives another result than row by row: the
//! conjuncts behind the first that no kernel takes, and whole runs that kernels give up, are evaluated as they always were.
//! Of several errors that the aggregates of one run would raise, another one may come first.
//! Bounds: `codec::columns` says how many rows wait; the keys of groups are kept for as long as the groups are, and started anew at
//! `PARTIAL_BYTES_MAX`.

use super::Fragment;
use crate::codec::columns::Columns;
use crate::codec::row::Layout;
use crate::exec::Context;
use crate::exec::batch::{Column, Data, Program, Vector};
use crate::exec::eval::{Env, eval_bool};
use crate::exec::operators::groups::Groups;
use crate::plan::{Expr, Scan};
use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;
use types::limits::{BATCH_BYTES_MAX, BATCH_ROWS_MAX, PARTIAL_BYTES_MAX};
use types::{DataType, Result, Row};

/// Rows that are let out may be more than a batch has by so many.
const ROWS_MIN: usize = 64;
/// And their stored bytes by so many.
const BYTES_MIN: usize = 16 << 10;
/// More groups are not sorted by: neighbours of one group are taken together.
const SORTED_MAX: usize = 1_024;

pub(super) struct Batched {
    pub(super) columns: Columns,
    stages: Vec<Stage>,
    /// Of the filter, what is evaluated row by row.
    rest: Option<Expr>,
    grouped: Option<Grouped>,
}

/// Neighbouring conjuncts over the same columns.
struct Stage {
    program: Program,
    verdict: usize,
}

struct Grouped {
    program: Program,
    keys: Vec<Key>,
    calls: Vec<Call>,
    known: Known,
}

enum Key {
    /// A column as it is stored.
    Stored(usize),
    Computed(usize, DataType),
}

struct Call {
    argument: Option<(usize, DataType)>,
    filter: Option<usize>,
}

impl Batched {
    /// Where it is of use.
    pub(super) fn of(
        scan: &Scan,
        wanted: &[bool],
        layout: &Layout,
        ctx: &Context,
    ) -> Option<Batched> {
        if scan.addressed || (scan.limit.is_some() && scan.partial.is_none()) {
            return None;
        }
        let columns = Columns::new(layout, wanted);
        let (stages, rest) = stages(scan.filter.as_ref(), &columns, ctx);
        let grouped = match rest {
            None => Grouped::of(scan, &columns, ctx),
            Some(_) => None,
        };
        let used = !stages.is_empty() || grouped.is_some() || !scan.sieves.is_empty();
        used.then_some(Batched {
            columns,
            stages,
            rest,
            grouped,
        })
    }

    /// Whether they have to be looked at before more come, where the output has this much already.
    pub(super) fn is_full(&self, rows: usize, bytes: usize) -> bool {
        if self.grouped.is_some() {
            return self.columns.is_full();
        }
        let rows = BATCH_ROWS_MAX.saturating_sub(rows).max(ROWS_MIN);
        let bytes = (BATCH_BYTES_MAX.saturating_sub(bytes) / 2).max(BYTES_MIN);
        self.columns.len() >= rows || self.columns.bytes().len() >= bytes
    }

    /// Bytes held.
    pub(super) fn memory(&self) -> usize {
        let known = self.grouped.as_ref().map_or(0, |g| g.known.memory());
        self.columns.memory() + known
    }

    /// The groups are gone.
    pub(super) fn forget(&mut self) {
        if let Some(grouped) = &mut self.grouped {
            grouped.known.clear();
        }
    }

    /// Rows that the computed part of the filter accepts.
    fn select(&self) -> Option<Vec<u32>> {
        let mut rows: Vec<u32> = (0..self.columns.len() as u32).collect();
        for (at, stage) in self.stages.iter().enumerate() {
            if rows.is_empty() {
                break;
            }
            let mut done = stage.program.run(&self.columns, &rows)?;
            let verdict = done.swap_remove(stage.verdict);
            let Data::Bools(accepted) = &verdict.data else {
                return None;
            };
            // What follows is evaluated behind NULL too, and might fail.
            let follows = &self.stages[at + 1..];
            let may_fail = self.rest.is_some() || follows.iter().any(|s| s.program.may_fail());
            if verdict.nulls.is_some() && may_fail {
                return None;
            }
            retain(&mut rows, |at| accepted[at] && !verdict.is_null(at));
        }
        Some(rows)
    }
}

/// The filter's conjuncts up to one that no kernel takes, and the others.
fn stages(filter: Option<&Expr>, columns: &Columns, ctx: &Context) -> (Vec<Stage>, Option<Expr>) {
    let conjuncts: &[Expr] = match filter {
        None => &[],
        Some(Expr::And(items)) => items,
        Some(one) => std::slice::from_ref(one),
    };
    let taken = |e: &&Expr| Program::default().add(e, columns, ctx).is_some();
    let count = conjuncts.iter().take_while(taken).count();
    let (computed, rest) = conjuncts.split_at(count);
    let mut stages = Vec::new();
    for run in computed.chunk_by(|a, b| a.columns() == b.columns()) {
        let mut program = Program::default();
        let whole = Expr::And(run.to_vec());
        if let Some(verdict) = program.add(&whole, columns, ctx) {
            stages.push(Stage { program, verdict });
        }
    }
    let rest = match rest {
        [] => None,
        [one] => Some(one.clone()),
        several => Some(Expr::And(several.to_vec())),
    };
    (stages, rest)
}

impl Grouped {
    fn of(scan: &Scan, columns: &Columns, ctx: &Context) -> Option<Grouped> {
        let partial = scan.partial.as_ref()?;
        let mut program = Program::default();
        let mut key = |e: &Expr| match e {
            Expr::Column(ordinal, _) => columns.slot(*ordinal).map(Key::Stored),
            e => Some(Key::Computed(program.add(e, columns, ctx)?, e.ty())),
        };
        let keys = partial.groups.iter().map(&mut key).collect::<Option<_>>()?;
        let mut calls = Vec::with_capacity(partial.aggregates.len());
        for call in &partial.aggregates {
            if call.distinct || !call.order.is_empty() || call.args.len() > 1 {
                return None;
            }
            let argument = match call.args.first() {
                Some(e) => Some((program.add(e, columns, ctx)?, e.ty())),
                None => None,
            };
            let filter = match &call.filter {
                Some(e) => Some(program.add(e, columns, ctx)?),
                None => None,
            };
            calls.push(Call { argument, filter });
        }
        Some(Grouped {
            program,
            keys,
            calls,
            known: Known::default(),
        })
    }

    /// Takes rows into their groups; `false`: they have to be taken one by one.
    fn take(&mut self, rows: &[u32], columns: &Columns, groups: &mut Groups) -> Result<bool> {
        let Some(done) = self.program.run(columns, rows) else {
            return Ok(false);
        };
        let Some(numbers) = self.numbers(rows, &done, columns, groups)? else {
            return Ok(false);
        };
        let mut order: Vec<u32> = (0..rows.len() as u32).collect();
        let number = |at: &u32| numbers.get(*at as usize).copied().unwrap_or_default();
        if groups.len() > 1 && groups.len() <= SORTED_MAX {
            order = sorted(&numbers, groups.len());
        }
        let mut some = Vec::new();
        for run in order.chunk_by(|a, b| number(a) == number(b)) {
            let Some(group) = run.first().map(number) else {
                continue;
            };
            for (i, call) in self.calls.iter().enumerate() {
                let run = match call.filter {
                    None => run,
                    Some(filter) => {
                        some.clear();
                        some.extend(run.iter().copied().filter(|at| holds(&done[filter], *at)));
                        &some
                    }
                };
                let column = call.argument.map(|(at, ty)| Column {
                    vector: &done[at],
                    ty,
                    bytes: columns.bytes(),
                });
                groups.update_many(group as usize, i, column.as_ref(), run)?;
            }
        }
        Ok(true)
    }

    /// The number of each row's group; none without GROUP BY.
    fn numbers(
        &mut self,
        rows: &[u32],
        done: &[Vector],
        columns: &Columns,
        groups: &mut Groups,
    ) -> Result<Option<Vec<u32>>> {
        if self.keys.is_empty() {
            groups.group(&[])?;
            return Ok(Some(Vec::new()));
        }
        let mut numbers = Vec::with_capacity(rows.len());
        let (mut key, mut before) = (Vec::new(), Vec::new());
        for (at, row) in rows.iter().enumerate() {
            std::mem::swap(&mut key, &mut before);
            key.clear();
            for part in &self.keys {
                let written = match part {
                    Key::Stored(slot) => columns.stored(*row, *slot, &mut key),
                    Key::Computed(op, _) => computed(&done[*op], at, columns.bytes(), &mut key),
                };
                if written.is_none() {
                    return Ok(None);
                }
            }
            if let Some(last) = numbers.last().copied()
                && key == before
            {
                numbers.push(last);
                continue;
            }
            let number = match self.known.find(&key) {
                Ok(number) => number,
                Err(hash) => {
                    let values = self.values(at, *row, done, columns)?;
                    let number = groups.group(&values)? as u32;
                    self.known.add(hash, &key, number);
                    number
                }
            };
            numbers.push(number);
        }
        Ok(Some(numbers))
    }

    fn values(&self, at: usize, row: u32, done: &[Vector], columns: &Columns) -> Result<Row> {
        let value = |key: &Key| match key {
            Key::Stored(slot) => columns.value(row, *slot),
            Key::Computed(op, ty) => Column {
                vector: &done[*op],
                ty: *ty,
                bytes: columns.bytes(),
            }
            .value(at),
        };
        self.keys.iter().map(value).collect()
    }
}

/// Positions by their groups, within a group in their order.
fn sorted(numbers: &[u32], groups: usize) -> Vec<u32> {
    let mut from = vec![0u32; groups + 1];
    numbers.iter().for_each(|n| from[*n as usize + 1] += 1);
    for at in 1..from.len() {
        from[at] += from[at - 1];
    }
    let mut order = vec![0; numbers.len()];
    for (at, number) in numbers.iter().enumerate() {
        let place = &mut from[*number as usize];
        order[*place as usize] = at as u32;
        *place += 1;
    }
    order
}

fn holds(v: &Vector, at: u32) -> bool {
    let at = at as usize;
    matches!(&v.data, Data::Bools(verdicts) if verdicts[at]) && !v.is_null(at)
}

/// A value as bytes that no other value of its vector has.
fn computed(v: &Vector, at: usize, bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
    if v.is_null(at) {
        out.push(0);
        return Some(());
    }
    out.push(1);
    match &v.data {
        Data::Ints(v) => out.extend_from_slice(&v[at].to_le_bytes()),
        Data::Floats(v) => out.extend_from_slice(&v[at].to_le_bytes()),
        Data::Bools(v) => out.push(u8::from(v[at])),
        Data::Decimals(v, scale) => {
            out.extend_from_slice(&v[at].to_le_bytes());
            out.extend_from_slice(&scale.to_le_bytes());
        }
        Data::Texts(v) => {
            let (from, n) = v[at];
            out.extend_from_slice(&n.to_le_bytes());
            out.extend_from_slice(bytes.get(from as usize..(from + n) as usize)?);
        }
        Data::Numerics(_) => return None,
    }
    Some(())
}

/// Groups by the bytes of their values. Different bytes may be one group: what is new here is asked of the groups.
#[derive(Default)]
struct Known {
    hasher: DefaultHashBuilder,
    table: HashTable<Entry>,
    bytes: Vec<u8>,
}

struct Entry {
    hash: u64,
    from: u32,
    to: u32,
    number: u32,
}

impl Known {
    /// The group's number, or the hash that `add` takes.
    fn find(&self, key: &[u8]) -> Result<u32, u64> {
        let hash = self.hasher.hash_one(key);
        let same = |e: &Entry| e.hash == hash && &self.bytes[e.from as usize..e.to as usize] == key;
        self.table.find(hash, same).map(|e| e.number).ok_or(hash)
    }

    fn add(&mut self, hash: u64, key: &[u8], number: u32) {
        if self.memory() >= PARTIAL_BYTES_MAX {
            self.clear();
        }
        let from = self.bytes.len() as u32;
        self.bytes.extend_from_slice(key);
        let to = self.bytes.len() as u32;
        let entry = Entry {
            hash,
            from,
            to,
            number,
        };
        self.table.insert_unique(hash, entry, |e| e.hash);
    }

    fn memory(&self) -> usize {
        self.bytes.capacity() + self.table.capacity() * size_of::<Entry>()
    }

    fn clear(&mut self) {
        self.table.clear();
        self.bytes.clear();
    }
}

impl Fragment {
    /// Looks at the rows that wait.
    pub(super) fn flush(&mut self, batched: &mut Batched) -> Result<()> {
        let outcome = self.look(batched);
        batched.columns.clear();
        outcome
    }

    fn look(&mut self, batched: &mut Batched) -> Result<()> {
        let Some(mut rows) = batched.select() else {
            for row in 0..batched.columns.len() as u32 {
                batched.columns.row(row, &mut self.row)?;
                if self.accepts()? {
                    self.put()?;
                }
            }
            return Ok(());
        };
        let Some(rest) = &batched.rest else {
            if !self.scan.sieves.is_empty() {
                self.sift(&batched.columns, &mut rows)?;
            }
            if rows.is_empty() {
                return Ok(());
            }
            if let (Some(grouped), Some(groups)) = (&mut batched.grouped, &mut self.groups)
                && grouped.take(&rows, &batched.columns, groups)?
            {
                return Ok(());
            }
            return self.let_out(&rows, &batched.columns);
        };
        for row in rows {
            batched.columns.row(row, &mut self.row)?;
            let env = Env {
                ctx: &self.ctx,
                outer: &[],
            };
            if eval_bool(rest, &self.row, &env)? && self.passes() {
                self.put()?;
            }
        }
        Ok(())
    }

    /// Rows that are accepted: where columns are all that is wanted of them, no others are read.
    fn let_out(&mut self, rows: &[u32], columns: &Columns) -> Result<()> {
        let slots = self.columns.iter().flatten().map(|c| columns.slot(*c));
        let slots: Option<Vec<usize>> = slots.collect();
        let plain = self.columns.is_some() && self.groups.is_none() && self.first.is_none();
        for row in rows {
            match &slots {
                Some(slots) if plain => {
                    let out = slots.iter().map(|slot| columns.value(*row, *slot));
                    self.batch.push(out.collect::<Result<Row>>()?);
                    self.rows_out += 1;
                }
                _ => {
                    columns.row(*row, &mut self.row)?;
                    self.put()?;
                }
            }
        }
        Ok(())
    }

    /// Leaves those that pass the sieves.
    fn sift(&mut self, columns: &Columns, rows: &mut Vec<u32>) -> Result<()> {
        if self.is_useless() {
            return Ok(());
        }
        let looked = rows.len() as u32;
        for sieve in &self.scan.sieves {
            let slots = sieve.columns.iter().map(|c| columns.slot(*c));
            let Some(slots) = slots.collect::<Option<Vec<usize>>>() else {
                continue;
            };
            let ints = match slots[..] {
                [slot] => columns
                    .ints(slot, rows)
                    .filter(|_| columns.ty(slot).is_integer()),
                _ => None,
            };
            let passed = match (ints, &slots[..]) {
                (Some(ints), [slot]) => {
                    let nulls = columns.nulls(*slot, rows);
                    let is_null = |at: usize| nulls.as_ref().is_some_and(|n| n[at]);
                    let passes =
                        |(at, key): (usize, &i64)| sieve.keys.may_have_int(*key) && !is_null(at);
                    ints.iter().enumerate().map(passes).collect::<Vec<bool>>()
                }
                _ => {
                    let passes = |row: &u32| {
                        let key = slots.iter().map(|slot| columns.value(*row, *slot));
                        let key = key.collect::<Result<Row>>()?;
                        Ok(sieve.keys.may_have(key.iter()))
                    };
                    rows.iter().map(passes).collect::<Result<_>>()?
                }
            };
            retain(rows, |at| passed[at]);
        }
        self.note(looked, rows.len() as u32);
        Ok(())
    }
}

/// Leaves what is at these positions.
fn retain(rows: &mut Vec<u32>, mut wanted: impl FnMut(usize) -> bool) {
    let mut at = 0;
    rows.retain(|_| {
        at += 1;
        wanted(at - 1)
    });
}
