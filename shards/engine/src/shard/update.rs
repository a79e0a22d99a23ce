//! UPDATE: finds rows at the snapshot, locks each, looks at it again as it is now, and writes.
//!
//! Owns: what READ COMMITTED and REPEATABLE READ do about a row that changed since the snapshot: the former evaluates the
//! statement again on the newest version, the latter fails with 40001 (PostgreSQL manual, 13.2).

use super::call::{Change, KeySpan, Modified, Reach, Reply, Resume, UpdateCall};
use super::constraints::{check, row_size};
use super::cursor::Cursor;
use super::entries::{local_rows, row_key, start, write_local};
use super::references::lock_key;
use super::scan::{at_place, place};
use super::{Shard, ShardReply};
use crate::catalog::Table;
use crate::codec::row;
use crate::exec::Context;
use crate::exec::eval::{self, Env};
use crate::plan::{Assignment, Expr};
use crate::txn::commit::Decides;
use crate::txn::partition::bump;
use crate::txn::state::TxnState;
use crate::txn::{Partition, TxnRef};
use std::ops::ControlFlow;
use std::rc::Rc;
use types::limits::{BATCH_ROWS_MAX, QUERY_BYTES_MAX};
use types::{Error, Result, Row, SqlState, TreeId, Value};

impl Shard {
    pub(super) async fn update(&self, p: &Rc<Partition>, call: UpdateCall) -> ShardReply {
        let state = self
            .enter(p, &call.txn, &call.table, call.ctx.catalog.version)
            .await?;
        let target = Target {
            p,
            state: &state,
            txn: &call.txn,
            table: &call.table,
            ctx: &call.ctx,
            filter: call.filter.as_ref(),
            layout: call.table.layout(),
            takes_keys: call.ctx.catalog.is_key_referenced(&call.table)
                && (call.assignments.iter()).any(|a| call.table.primary_key.contains(&a.column)),
        };
        let mut out = Modified::default();
        let mut resume = call.resume;
        loop {
            let (keys, next) = target.candidates(&call.reach, resume).await?;
            for (n, key) in keys.into_iter().enumerate() {
                if let Some(old) = target.lock(&key).await? {
                    let change = update_row(&target, key, old, &call.assignments)?;
                    out.count += 1;
                    if call.rows_wanted || change.moved {
                        out.changes.push(change);
                    }
                }
                p.relieve(&state).await?;
                if n % 64 == 63 {
                    runtime::yield_if_needed().await;
                }
            }
            resume = next;
            if resume.is_none() || !out.changes.is_empty() {
                break;
            }
        }
        finish(p, &call.txn, call.commit, out, resume).await
    }
}

/// Commits when that was asked for and everything is done.
pub async fn finish(
    p: &Rc<Partition>,
    txn: &TxnRef,
    commit: bool,
    mut out: Modified,
    resume: Option<Resume>,
) -> ShardReply {
    if commit && resume.is_none() {
        p.commit(txn.xid, Decides::default()).await?;
    }
    out.resume = resume;
    Ok(Reply::Modified(out))
}

fn update_row(
    target: &Target<'_>,
    key: Vec<u8>,
    old: Row,
    assignments: &[Assignment],
) -> Result<Change> {
    let table = target.table;
    let new = assign(&old, &old, assignments, target.ctx)?;
    let moves = assignments
        .iter()
        .any(|a| table.primary_key.contains(&a.column));
    let within = (table, target.ctx, &target.layout);
    put(target.state, within, key, old, new, moves)
}

/// Writes a row's new version. `moves`: its key may be another one.
pub fn put(
    state: &TxnState,
    (table, ctx, layout): (&Table, &Context, &row::Layout),
    key: Vec<u8>,
    old: Row,
    mut new: Row,
    moves: bool,
) -> Result<Change> {
    generate(table, &mut new, ctx)?;
    check(table, &new, ctx)?;
    if moves && table.has_key() && row_key(table, &new)? != key {
        write_local(state, table, &key, Some(&old), None, ctx)?;
        state.write(table.tree, key.clone(), None)?;
        return Ok(Change {
            key,
            old,
            new: Some(new),
            moved: true,
        });
    }
    let mut bytes = Vec::new();
    row::encode(&new, layout, &mut bytes);
    row_size(&bytes)?;
    write_local(state, table, &key, Some(&old), Some(&new), ctx)?;
    state.write(table.tree, key.clone(), Some(bytes))?;
    Ok(Change {
        key,
        old,
        new: Some(new),
        moved: false,
    })
}

/// `old` with the assignments, which are evaluated over `input`.
pub fn assign(old: &Row, input: &Row, assignments: &[Assignment], ctx: &Context) -> Result<Row> {
    let mut new = old.clone();
    for a in assignments {
        let value: Value = eval::eval(&a.expr, input, &Env { ctx, outer: &[] })?;
        if let Some(slot) = new.get_mut(a.column) {
            *slot = value;
        }
    }
    Ok(new)
}

/// Computes the generated columns of a row that has changed.
pub fn generate(table: &Table, row: &mut Row, ctx: &Context) -> Result<()> {
    for (at, column) in table.columns.iter().enumerate() {
        if let Some(generated) = &column.generated {
            let value = eval::eval(&generated.expr, row, &Env { ctx, outer: &[] })?;
            if let Some(slot) = row.get_mut(at) {
                *slot = value;
            }
        }
    }
    Ok(())
}

/// 40001 of a snapshot that is too old.
pub fn concurrent() -> Error {
    Error::new(
        SqlState::SERIALIZATION_FAILURE,
        "could not serialize access due to concurrent update",
    )
}

/// 27000: a trigger before the change of a row has changed it, or it was to change and another row's trigger has.
pub fn changed_meanwhile(deleted: bool) -> Error {
    let what = if deleted { "deleted" } else { "updated" };
    Error::new(
        SqlState::TRIGGERED_DATA_CHANGE_VIOLATION,
        format!("tuple to be {what} was already modified by an operation triggered by the current command"),
    )
    .with_hint("Consider using an AFTER trigger instead of a BEFORE trigger to propagate changes to other rows.")
}

/// The rows an UPDATE or DELETE is about.
pub struct Target<'a> {
    pub p: &'a Partition,
    pub state: &'a TxnState,
    pub txn: &'a TxnRef,
    pub table: &'a Table,
    pub ctx: &'a Context,
    pub filter: Option<&'a Expr>,
    pub layout: row::Layout,
    /// Rows elsewhere may refer to the keys, and the statement takes keys away.
    pub takes_keys: bool,
}

impl Target<'_> {
    /// Keys of rows that match at the snapshot: a bounded run of them, and where the next begins.
    pub async fn candidates(
        &self,
        reach: &Reach,
        resume: Option<Resume>,
    ) -> Result<(Vec<Vec<u8>>, Option<Resume>)> {
        match reach {
            Reach::Keys(keys) => {
                let first = resume.as_ref().map_or(0, place);
                let run: Vec<Vec<u8>> = keys
                    .iter()
                    .skip(first)
                    .take(BATCH_ROWS_MAX)
                    .cloned()
                    .collect();
                let end = first + run.len();
                let mut matching = Vec::with_capacity(run.len());
                for key in run {
                    if let Some(payload) = self.p.read(self.txn, self.table.tree, &key).await?
                        && self.matches(&row::decode(&payload, &self.layout)?)?
                    {
                        matching.push(key);
                    }
                }
                Ok((matching, (end < keys.len()).then(|| at_place(end))))
            }
            Reach::All => self.range(Vec::new(), None, resume).await,
            Reach::Range(span) => {
                self.range(span.lower.clone(), span.upper.clone(), resume)
                    .await
            }
            Reach::Index { index, span } => {
                let spans = std::slice::from_ref(span);
                Ok((self.entries(index.tree, spans).await?, None))
            }
            Reach::Entries { tree, spans } => Ok((self.entries(*tree, spans).await?, None)),
        }
    }

    /// All at once: what is written later may put entries ahead of a cursor.
    async fn entries(&self, tree: TreeId, spans: &[KeySpan]) -> Result<Vec<Vec<u8>>> {
        let (mut keys, mut bytes) = (Vec::new(), 0);
        let mut keep = |key: Vec<u8>| {
            bytes += key.len() + size_of::<Vec<u8>>();
            keys.push(key);
            match bytes > QUERY_BYTES_MAX {
                true => Err(Error::new(
                    SqlState::OUT_OF_MEMORY,
                    "too many rows to change through an index",
                )),
                false => Ok(()),
            }
        };
        for span in spans {
            let (from, upper) = (start(span, None), span.upper.clone());
            if tree == self.table.tree {
                let mut from = Some(Resume(from));
                while from.is_some() {
                    let (run, next) = self.range(Vec::new(), upper.clone(), from).await?;
                    run.into_iter().try_for_each(&mut keep)?;
                    from = next;
                }
                continue;
            }
            let mut cursor = Cursor::open(self.p, self.txn, tree, from, upper).await?;
            while !cursor.at_end() {
                for key in local_rows(&mut cursor, BATCH_ROWS_MAX).await? {
                    if let Some(payload) = self.p.read(self.txn, self.table.tree, &key).await?
                        && self.matches(&row::decode(&payload, &self.layout)?)?
                    {
                        keep(key)?;
                    }
                }
            }
        }
        if spans.len() > 1 {
            // Two of them may be the same.
            keys.sort_unstable();
            keys.dedup();
        }
        Ok(keys)
    }

    async fn range(
        &self,
        lower: Vec<u8>,
        upper: Option<Vec<u8>>,
        resume: Option<Resume>,
    ) -> Result<(Vec<Vec<u8>>, Option<Resume>)> {
        let from = resume.map_or(lower, |r| r.0);
        let mut cursor = Cursor::open(self.p, self.txn, self.table.tree, from, upper).await?;
        let mut keys = Vec::new();
        while cursor
            .run(&mut |key, payload| {
                if self.filter.is_none() || self.matches(&row::decode(payload, &self.layout)?)? {
                    keys.push(key.to_vec());
                }
                Ok(if keys.len() >= BATCH_ROWS_MAX {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                })
            })
            .await?
        {}
        Ok((keys, cursor.position().map(Resume)))
    }

    fn matches(&self, row: &Row) -> Result<bool> {
        match self.filter {
            Some(filter) => eval::eval_bool(
                filter,
                row,
                &Env {
                    ctx: self.ctx,
                    outer: &[],
                },
            ),
            None => Ok(true),
        }
    }

    /// Locks a candidate and answers the row as it is now, if the statement still wants it. What the same statement has
    /// changed already, by another of its parts, it leaves alone.
    pub async fn lock(&self, key: &[u8]) -> Result<Option<Row>> {
        let tree = self.table.tree;
        if self.takes_keys {
            // Before the row: who refers to the key may change the row meanwhile.
            lock_key(self.p, self.txn, self.state, self.table, key).await?;
        }
        self.p
            .lock_row(self.txn, self.state, self.table.id, tree, key)
            .await?;
        if self.state.wrote_apart(self.txn, tree, key) {
            return Ok(None);
        }
        if let Some(own) = self.state.get(tree, key).await? {
            return own
                .map(|payload| row::decode(&payload, &self.layout))
                .transpose();
        }
        let Some((ts, payload)) = self.p.latest(self.state, tree, key).await? else {
            return Ok(None);
        };
        let changed = ts > self.txn.snapshot;
        if changed && self.txn.isolation.keeps_snapshot() {
            bump(&self.p.counters.conflicts);
            return Err(concurrent());
        }
        let Some(payload) = payload else {
            return Ok(None);
        };
        let row = row::decode(&payload, &self.layout)?;
        Ok(if changed && !self.matches(&row)? {
            None
        } else {
            Some(row)
        })
    }
}
