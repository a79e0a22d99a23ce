//! The extended flow: Parse, Bind, Describe, Execute, Close, Sync, message by message.
//!
//! Owns: one handler a message. Asked by: `conn`. Never: keeps a statement; the session does. What is kept here is
//! what only the protocol knows of a portal: its result formats, and its columns once they were seen.
//! After an error the rest is skipped up to Sync, which answers ReadyForQuery in any case.

use super::codec::{Bind, Target};
use super::conn::{Conn, End, Fail, Portal};
use super::encode::Output;
use super::error::ProtocolError;
use super::results::Shape;
use super::values;
use super::whole::Form;
use crate::service::{Operation, Reply, TxnStatus};
use futures_lite::io::{AsyncRead, AsyncWrite};
use std::sync::Arc;
use types::{Column, DataType, Error, Result, Value};

impl<S: AsyncRead + AsyncWrite + Unpin> Conn<'_, S> {
    pub(super) async fn parse(
        &mut self,
        name: String,
        sql: String,
        oids: &[u32],
        bytes: usize,
    ) -> Result<(), End> {
        let types = match oids.iter().map(|oid| parameter_type(*oid)).collect() {
            Ok(types) => types,
            Err(error) => return self.fail_extended(Fail::Own(error)).await,
        };
        let sql = sql.into();
        match self
            .call(Operation::Parse { name, sql, types }, bytes)
            .await?
        {
            Ok(_) => self.wire.put(Output::parse_complete).await?,
            Err(error) => return self.fail_extended(Fail::Door(error)).await,
        }
        Ok(self.wire.flush_if_full().await?)
    }

    pub(super) async fn bind(&mut self, bind: Bind, bytes: usize) -> Result<(), End> {
        let decoded = self.session.prepared(&bind.statement).and_then(|prepared| {
            let params = self.parameters(&bind, &prepared.params)?;
            Ok((prepared, params))
        });
        let (prepared, params) = match decoded {
            Ok(decoded) => decoded,
            Err(error) => {
                self.settle().await?;
                return self.fail_extended(Fail::Own(error)).await;
            }
        };
        if prepared.runs
            && bind.portal.is_empty()
            && let Some(described) = self.wire.rest_of_run()
        {
            let form = Form {
                columns: prepared.columns,
                formats: bind.result_formats,
                described,
                looks_up: prepared.looks_up,
            };
            return self.run_whole(bind.statement, (params, bytes), form).await;
        }
        self.settle().await?;
        let Bind {
            portal,
            statement,
            result_formats: formats,
            params: received,
            ..
        } = bind;
        // What came is not held while the statement runs: others may wait for such buffers.
        drop(received);
        let op = Operation::Bind {
            portal: portal.clone(),
            statement,
            params,
        };
        match self.call(op, bytes).await? {
            Ok(_) => self.wire.put(Output::bind_complete).await?,
            Err(error) => return self.fail_extended(Fail::Door(error)).await,
        }
        let columns = None;
        self.portals.insert(portal, Portal { formats, columns });
        Ok(self.wire.flush_if_full().await?)
    }

    fn parameters(&self, bind: &Bind, types: &[DataType]) -> Result<Vec<Value>> {
        if types.len() != bind.params.len() {
            return Err(ProtocolError::ParameterCount {
                given: bind.params.len(),
                statement: bind.statement.clone(),
                wanted: types.len(),
            }
            .into());
        }
        if types.is_empty() {
            return Ok(Vec::new());
        }
        let forms = self.session.forms();
        values::parameters(&bind.params, &bind.param_formats, types, &forms)
    }

    pub(super) async fn describe(&mut self, target: Target, bytes: usize) -> Result<(), End> {
        let described = match target {
            Target::Statement(name) => self.describe_statement(name, bytes).await?,
            Target::Portal(name) => self.describe_portal(name, bytes).await?,
        };
        match described {
            Ok(()) => Ok(self.wire.flush_if_full().await?),
            Err(fail) => self.fail_extended(fail).await,
        }
    }

    async fn describe_statement(
        &mut self,
        name: String,
        bytes: usize,
    ) -> Result<Result<(), Fail>, End> {
        let op = Operation::DescribeStatement { name };
        match self.call(op, bytes).await? {
            Ok(Reply::Statement { params, columns }) => {
                let described = |out: &mut Output| out.parameter_description(&params);
                self.wire.put(described).await?;
                // The formats are not known before Bind; PostgreSQL sends zeros, which mean text.
                self.describe_columns(columns.as_ref(), &Default::default())
                    .await?;
                Ok(Ok(()))
            }
            Ok(_) => Ok(Err(Fail::Own(unexpected_reply()))),
            Err(error) => Ok(Err(Fail::Door(error))),
        }
    }

    async fn describe_portal(
        &mut self,
        name: String,
        bytes: usize,
    ) -> Result<Result<(), Fail>, End> {
        let op = Operation::DescribePortal { name: name.clone() };
        let columns = match self.call(op, bytes).await? {
            Ok(Reply::Portal { columns }) => columns,
            Ok(_) => return Ok(Err(Fail::Own(unexpected_reply()))),
            Err(error) => return Ok(Err(Fail::Door(error))),
        };
        let formats = match self.portals.get_mut(&name) {
            Some(portal) => {
                portal.columns.clone_from(&columns);
                portal.formats.clone()
            }
            None => Default::default(),
        };
        if let Some(Err(error)) = columns.as_ref().map(|c| formats.check(c.len())) {
            return Ok(Err(Fail::Own(error)));
        }
        self.describe_columns(columns.as_ref(), &formats).await?;
        Ok(Ok(()))
    }

    async fn describe_columns(
        &mut self,
        columns: Option<&Arc<Vec<Column>>>,
        formats: &super::codec::Formats,
    ) -> Result<(), End> {
        let described = |out: &mut Output| match columns {
            Some(columns) => out.row_description(columns, formats),
            None => out.no_data(),
        };
        Ok(self.wire.put(described).await?)
    }

    pub(super) async fn execute(
        &mut self,
        portal: String,
        rows_max: u32,
        bytes: usize,
    ) -> Result<(), End> {
        let mut shape = match self.portals.get(&portal) {
            Some(portal) => Shape::bound(portal.formats.clone(), portal.columns.clone()),
            None => Shape::bound(Default::default(), None),
        };
        let op = Operation::Execute {
            portal: portal.clone(),
            rows_max,
        };
        let outcome = match self.call(op, bytes).await? {
            Ok(Reply::Results(mut results)) => {
                Box::pin(self.pump(results.as_mut(), &mut shape)).await?
            }
            Ok(_) => Err(Fail::Own(unexpected_reply())),
            Err(error) => Err(Fail::Door(error)),
        };
        if let Some(portal) = self.portals.get_mut(&portal) {
            portal.columns = shape.columns;
        }
        match outcome {
            Ok(()) => Ok(self.wire.flush_if_full().await?),
            Err(fail) => self.fail_extended(fail).await,
        }
    }

    pub(super) async fn close(&mut self, target: Target, bytes: usize) -> Result<(), End> {
        let op = match target {
            Target::Statement(name) => Operation::CloseStatement { name },
            Target::Portal(name) => {
                self.portals.remove(&name);
                Operation::ClosePortal { name }
            }
        };
        match self.call(op, bytes).await? {
            Ok(_) => self.wire.put(Output::close_complete).await?,
            Err(error) => return self.fail_extended(Fail::Door(error)).await,
        }
        Ok(self.wire.flush_if_full().await?)
    }

    pub(super) async fn sync(&mut self, bytes: usize) -> Result<(), End> {
        self.skipping = false;
        if let Err(error) = self.call(Operation::Sync, bytes).await? {
            self.report(Fail::Door(error)).await?;
        }
        if self.session.status() == TxnStatus::Idle {
            self.portals.clear();
        }
        self.ready().await
    }
}

/// Types from here on are users'.
const FIRST_USER_OID: u32 = 16_384;

/// 0 and `unknown` leave the type to the statement.
fn parameter_type(oid: u32) -> Result<Option<DataType>> {
    match DataType::from_oid(oid) {
        Some(DataType::Unknown) => Ok(None),
        Some(ty) => Ok(Some(ty)),
        None if oid == 0 => Ok(None),
        // A user's type, or its array: the session knows which.
        None if oid >= FIRST_USER_OID => Ok(Some(DataType::Enum(oid))),
        None => Err(ProtocolError::UnknownType(oid).into()),
    }
}

pub(super) fn unexpected_reply() -> Error {
    Error::internal("a request was answered with something else")
}
