//! set_config(): a session's parameter is set by an expression.
//!
//! Owns: a row in (name, value, whether for the transaction alone), the parameter's new value out. Asked by: `build`.
//! Never: knows a parameter; the session does (`Exec::configure`). Bounds: one input batch.

use super::scope::Scope;
use super::{Batches, RowSource};
use futures_util::future::LocalBoxFuture;
use types::{Error, Result, Row, RowBatch, SqlState, Value};

/// Sets a parameter (`None`: back to its default), for the transaction alone or not; what it is then.
pub type Configure = dyn Fn(&str, Option<&str>, bool) -> Result<String>;

pub(super) struct Configured {
    scope: Scope,
    input: Box<dyn RowSource>,
}

impl Configured {
    pub(super) fn new(scope: Scope, input: Box<dyn RowSource>) -> Configured {
        Configured { scope, input }
    }

    fn set(&self, row: &Row) -> Result<Row> {
        let [name, value, local] = row.as_slice() else {
            return Err(Error::internal("set_config takes three arguments"));
        };
        let Value::Text(name) = name else {
            return Err(Error::new(
                SqlState::NULL_VALUE_NOT_ALLOWED,
                "SET requires parameter name",
            ));
        };
        let value = match value {
            Value::Text(value) => Some(&**value),
            _ => None,
        };
        let Some(configure) = &self.scope.exec.configure else {
            return Err(Error::unsupported("set_config is not supported here"));
        };
        let now = configure(name, value, matches!(local, Value::Bool(true)))?;
        Ok(vec![Value::text(now)])
    }

    async fn batch(&mut self) -> Result<Option<RowBatch>> {
        let Some(batch) = self.input.next().await? else {
            return Ok(None);
        };
        (self.scope.exec.check)()?;
        let rows = batch.rows.iter().map(|row| self.set(row));
        let rows = rows.collect::<Result<Vec<_>>>()?;
        Ok(Batches::new(rows).take())
    }
}

impl RowSource for Configured {
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<RowBatch>>> {
        Box::pin(self.batch())
    }
}
