//! Entries of secondary indexes: their keys and payloads.
//!
//! Owns: what an entry looks like. Local index: key = indexed values then the row's key, payload = the row's key. Unique
//! index: key = indexed values (then the row's address where one is NULL and NULLs are distinct), payload = address.
//! A row for which an index's predicate is not true has no entry there.

use super::call::{Address, EntriesCall, KeySpan, Reply, Resume};
use super::cursor::Cursor;
use super::{Shard, ShardReply};
use crate::catalog::{Index, PartOf, Table};
use crate::codec::key;
use crate::exec::Context;
use crate::exec::eval::{self, Env};
use crate::txn::Partition;
use crate::txn::state::TxnState;
use std::ops::ControlFlow;
use types::limits::BATCH_ROWS_MAX;
use types::{Error, PartitionId, Result, Row, SqlState, Value};

/// The key of a row of a table that has one.
pub fn row_key(table: &Table, row: &Row) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    key::encode(
        &pick(row, &table.primary_key),
        &table.types_of(&table.primary_key),
        &mut out,
    )?;
    Ok(out)
}

/// These columns of a row.
pub fn pick(row: &Row, columns: &[usize]) -> Vec<Value> {
    columns
        .iter()
        .map(|c| row.get(*c).cloned().unwrap_or_default())
        .collect()
}

/// The values that a row has in an index; `None`: it has no entry there.
pub fn indexed(index: &Index, row: &Row, ctx: &Context) -> Result<Option<Row>> {
    let env = Env { ctx, outer: &[] };
    if let Some(predicate) = &index.predicate
        && !eval::eval_bool(&predicate.expr, row, &env)?
    {
        return Ok(None);
    }
    let mut values = Row::with_capacity(index.parts.len());
    for part in &index.parts {
        values.push(match &part.of {
            PartOf::Column(c) => row.get(*c).cloned().unwrap_or_default(),
            PartOf::Expr(e) => eval::eval(&e.expr, row, &env)?,
        });
    }
    Ok(Some(values))
}

/// The beginning of the entries with these values of the index's first parts.
pub fn index_key(table: &Table, index: &Index, values: &[Value]) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    for (part, value) in index.parts.iter().zip(values) {
        key::encode_ordered(value, part.ty(table), part.order(), &mut out)?;
    }
    fits(&out)?;
    Ok(out)
}

/// The entry of a row in a local index, if it has one.
pub fn local_key(
    table: &Table,
    index: &Index,
    row: &Row,
    row_key: &[u8],
    ctx: &Context,
) -> Result<Option<Vec<u8>>> {
    let Some(values) = indexed(index, row, ctx)? else {
        return Ok(None);
    };
    let mut out = index_key(table, index, &values)?;
    out.extend_from_slice(row_key);
    fits(&out)?;
    Ok(Some(out))
}

/// The entry of a row in a unique index, if it has one, and the values in it.
pub fn unique_key(
    table: &Table,
    index: &Index,
    row: &Row,
    address: &Address,
    ctx: &Context,
) -> Result<Option<(Vec<u8>, Row)>> {
    let Some(values) = indexed(index, row, ctx)? else {
        return Ok(None);
    };
    let mut out = index_key(table, index, &values)?;
    if !index.nulls_not_distinct && values.iter().any(Value::is_null) {
        out.extend_from_slice(&encode_address(address));
        fits(&out)?;
    }
    Ok(Some((out, values)))
}

fn fits(entry: &[u8]) -> Result<()> {
    let max = types::limits::KEY_BYTES_MAX;
    if entry.len() > max {
        return Err(Error::new(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            format!("index row size {} exceeds maximum {max}", entry.len()),
        ));
    }
    Ok(())
}

pub fn encode_address(address: &Address) -> Vec<u8> {
    let mut out = address.partition.0.to_be_bytes().to_vec();
    out.extend_from_slice(&address.key);
    out
}

pub fn decode_address(bytes: &[u8]) -> Result<Address> {
    match bytes.split_at_checked(2) {
        Some((p, key)) => Ok(Address {
            partition: PartitionId(u16::from_be_bytes([p[0], p[1]])),
            key: key.to_vec(),
        }),
        None => Err(Error::new(
            SqlState::DATA_CORRUPTED,
            "an entry of a unique index is cut short",
        )),
    }
}

/// Writes what a row's change means for the local indexes.
pub fn write_local(
    state: &TxnState,
    table: &Table,
    row_key: &[u8],
    old: Option<&Row>,
    new: Option<&Row>,
    ctx: &Context,
) -> Result<()> {
    for index in table.indexes.iter().filter(|i| !i.unique) {
        let entry = |row: Option<&Row>| match row {
            Some(row) => local_key(table, index, row, row_key, ctx),
            None => Ok(None),
        };
        let (before, after) = (entry(old)?, entry(new)?);
        if before == after {
            continue;
        }
        if let Some(key) = before {
            state.write(index.tree, key, None)?;
        }
        if let Some(key) = after {
            state.write(index.tree, key, Some(row_key.to_vec()))?;
        }
    }
    Ok(())
}

/// Row keys of a local index's entries within a span, as the transaction sees them, from `from` on; at most `most`.
pub async fn local_rows(cursor: &mut Cursor<'_>, most: usize) -> Result<Vec<Vec<u8>>> {
    let mut rows = Vec::new();
    while cursor
        .run(&mut |_, payload| {
            rows.push(payload.to_vec());
            Ok(if rows.len() >= most {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            })
        })
        .await?
    {}
    Ok(rows)
}

/// The span's bounds, or from where a batch before ended.
pub fn start(span: &KeySpan, resume: Option<Resume>) -> Vec<u8> {
    resume.map_or_else(|| span.lower.clone(), |r| r.0)
}

impl Shard {
    /// Addresses of the rows whose unique entries lie in a span.
    pub(super) async fn entries(&self, p: &Partition, call: EntriesCall) -> ShardReply {
        let from = start(&call.span, call.resume);
        let mut cursor = Cursor::open(p, &call.txn, call.index.tree, from, call.span.upper).await?;
        let found = local_rows(&mut cursor, BATCH_ROWS_MAX).await?;
        let rows = found
            .iter()
            .map(|payload| decode_address(payload))
            .collect::<Result<_>>()?;
        Ok(Reply::Addresses {
            rows,
            resume: cursor.position().map(Resume),
        })
    }
}
