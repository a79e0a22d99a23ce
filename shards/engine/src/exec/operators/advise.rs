//! Advisory locks: a row in, a lock asked for or given back, the answer out. And `pg_notify`: a row in, an announcement.
//!
//! Owns: what is a key. Asked by: `build`. Never: asks for a lock when a part of its key is NULL (the answer is NULL then, as of
//! any strict function). Bounds: one input batch. Source: PostgreSQL 15, "Advisory Lock Functions".

use super::scope::Scope;
use super::{Batches, Exec, RowSource};
use crate::plan::{Advise, Plan};
use futures_util::future::LocalBoxFuture;
use std::rc::Rc;
use types::{Error, Result, Row, RowBatch, Value};

/// What somebody locks: one number or two, which are never the same thing, in a database.
pub type AdvisoryKey = [u8; 13];

struct Advisory {
    scope: Scope,
    input: Box<dyn RowSource>,
    spec: Rc<Advise>,
}

pub(super) fn build(
    scope: Scope,
    spec: &Advise,
    exec: &Rc<Exec>,
    outer: &Rc<Vec<Row>>,
) -> Result<Box<dyn RowSource>> {
    Ok(Box::new(Advisory {
        scope,
        input: super::build(&spec.input, exec, outer)?,
        spec: Rc::new(spec.clone()),
    }))
}

impl Advisory {
    async fn batch(&mut self) -> Result<Option<RowBatch>> {
        let Some(batch) = self.input.next().await? else {
            return Ok(None);
        };
        let mut out: Vec<Row> = Vec::with_capacity(batch.rows.len());
        for row in batch.rows {
            (self.scope.exec.check)()?;
            let answer = match key(&row, self.scope.exec.ctx.catalog.database)? {
                Some(key) => {
                    let done = self.scope.exec.source.advise(&self.spec, key).await?;
                    match self.spec.act.returns() {
                        types::DataType::Bool => Value::Bool(done),
                        _ => Value::Text("".into()),
                    }
                }
                None => Value::Null,
            };
            out.push(vec![answer]);
        }
        Ok(Batches::new(out).take())
    }
}

impl RowSource for Advisory {
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<RowBatch>>> {
        Box::pin(self.batch())
    }
}

/// Each row's channel and text are announced.
struct Announce {
    scope: Scope,
    input: Box<dyn RowSource>,
}

pub(super) fn announce(
    scope: Scope,
    input: &Plan,
    exec: &Rc<Exec>,
    outer: &Rc<Vec<Row>>,
) -> Result<Box<dyn RowSource>> {
    let input = super::build(input, exec, outer)?;
    Ok(Box::new(Announce { scope, input }))
}

impl Announce {
    async fn batch(&mut self) -> Result<Option<RowBatch>> {
        let Some(batch) = self.input.next().await? else {
            return Ok(None);
        };
        let mut out: Vec<Row> = Vec::with_capacity(batch.rows.len());
        for row in batch.rows {
            (self.scope.exec.check)()?;
            let text = |at: usize| match row.get(at) {
                Some(Value::Text(text)) => Ok(&**text),
                // A NULL is an empty text, as PostgreSQL has it.
                Some(Value::Null) => Ok(""),
                _ => Err(Error::internal("a notification of another type")),
            };
            self.scope.exec.source.notify(text(0)?, text(1)?)?;
            out.push(vec![Value::Text("".into())]);
        }
        Ok(Batches::new(out).take())
    }
}

impl RowSource for Announce {
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<RowBatch>>> {
        Box::pin(self.batch())
    }
}

/// `None` when there is a NULL in it. No column at all is the key of a call that needs none.
fn key(row: &[Value], database: u32) -> Result<Option<AdvisoryKey>> {
    let mut key = [0; 13];
    let number = match row {
        [] => [0; 8],
        [Value::Int8(n)] => n.to_be_bytes(),
        [Value::Int4(a), Value::Int4(b)] => {
            key[0] = 1;
            let (a, b) = (u64::from(*a as u32), u64::from(*b as u32));
            (a << 32 | b).to_be_bytes()
        }
        _ if row.iter().any(Value::is_null) => return Ok(None),
        _ => return Err(Error::internal("an advisory lock's key of other types")),
    };
    key[1..9].copy_from_slice(&number);
    key[9..].copy_from_slice(&database.to_be_bytes());
    Ok(Some(key))
}
