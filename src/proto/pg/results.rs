//! What a request produces, written for the client at its speed; and COPY, where the client sends too.
//!
//! Owns: turning `Event`s into messages. Asked by: `conn` (scripts) and `extended` (portals).
//! Never: asks for the next event while the socket does not take the last one.
//! Bounds: `wire::FLUSH_BYTES` plus one row of output; COPY data is passed on in the pieces in which it arrives.
//! Source: PostgreSQL documentation, "COPY Operations".

use super::codec::{Formats, Message};
use super::conn::{Conn, End, Fail};
use super::error::ProtocolError;
use super::framing::Frame;
use super::values;
use crate::service::{CopyInput, Event, Results, TimeZone};
use futures_lite::io::{AsyncRead, AsyncWrite};
use std::sync::Arc;
use types::{Column, Error, Result, RowBatch};

/// How rows are to be written.
pub(super) struct Shape {
    /// Whether a RowDescription goes before the rows (scripts), or Describe is there for that (portals).
    describe: bool,
    formats: Formats,
    pub columns: Option<Arc<Vec<Column>>>,
    zone: Option<TimeZone>,
}

impl Shape {
    pub fn described() -> Shape {
        Shape {
            describe: true,
            formats: Formats::default(),
            columns: None,
            zone: None,
        }
    }

    pub fn bound(formats: Formats, columns: Option<Arc<Vec<Column>>>) -> Shape {
        Shape {
            describe: false,
            formats,
            columns,
            zone: None,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Conn<'_, S> {
    /// Writes everything that `results` produces.
    pub(super) async fn pump(
        &mut self,
        results: &mut dyn Results,
        shape: &mut Shape,
    ) -> Result<Result<(), Fail>, End> {
        let mut copying_out = false;
        loop {
            let event = match self.wire.watch(results.next()).await? {
                Ok(Some(event)) => event,
                Ok(None) => return Ok(Ok(())),
                Err(error) => return Ok(Err(Fail::Door(error))),
            };
            match event {
                Event::Columns(columns) => {
                    if let Err(error) = self.columns(columns, shape) {
                        return Ok(Err(Fail::Own(error)));
                    }
                }
                Event::Rows(batch) => {
                    if let Err(fail) = self.rows(batch, shape).await? {
                        return Ok(Err(fail));
                    }
                }
                Event::Complete { tag } => {
                    if std::mem::take(&mut copying_out) {
                        self.wire.out.copy_done();
                    }
                    self.wire.out.command_complete(&tag);
                }
                Event::Empty => self.wire.out.empty_query(),
                Event::Suspended => self.wire.out.portal_suspended(),
                Event::Notice(notice) => self.wire.out.notice_response(&notice),
                Event::Parameter { name, value } => self.wire.out.parameter_status(&name, &value),
                Event::CopyIn { columns, binary } => {
                    self.wire.out.copy_in(columns, binary);
                    if let Err(fail) = self.copy_in(results).await? {
                        return Ok(Err(fail));
                    }
                }
                Event::CopyOut { columns, binary } => {
                    copying_out = true;
                    self.wire.out.copy_out(columns, binary);
                }
                Event::CopyData(rows) => {
                    for row in rows.iter() {
                        self.wire.out.copy_data(row);
                        self.wire.flush_if_full().await?;
                    }
                }
            }
            self.wire.flush_if_full().await?;
        }
    }

    fn columns(&mut self, columns: Arc<Vec<Column>>, shape: &mut Shape) -> Result<()> {
        if !shape.formats.fits(columns.len()) {
            return Err(ProtocolError::ResultFormats {
                formats: shape.formats.count(),
                columns: columns.len(),
            }
            .into());
        }
        if shape.describe {
            self.wire.out.row_description(&columns, &shape.formats);
        }
        shape.columns = Some(columns);
        // An earlier statement of the script may have changed it.
        shape.zone = None;
        Ok(())
    }

    async fn rows(&mut self, batch: RowBatch, shape: &mut Shape) -> Result<Result<(), Fail>, End> {
        let Some(columns) = shape.columns.as_ref() else {
            return Ok(Err(Fail::Own(ProtocolError::RowsWithoutColumns.into())));
        };
        let zone = shape.zone.get_or_insert_with(|| self.session.time_zone());
        for row in &batch.rows {
            let out = &mut self.wire.out;
            let written =
                values::data_row(out, row, columns, &shape.formats, zone, &mut self.scratch);
            if let Err(error) = written {
                return Ok(Err(Fail::Own(error)));
            }
            self.wire.flush_if_full().await?;
        }
        Ok(Ok(()))
    }

    /// Passes the client's data to `results` until the client ends it. After an error the rest of the data is
    /// discarded: by `conn` after a simple query, by skipping to Sync in an extended sequence.
    async fn copy_in(&mut self, results: &mut dyn Results) -> Result<Result<(), Fail>, End> {
        self.wire.flush().await?;
        loop {
            let (input, last) = match self.copy_input().await? {
                Ok(Some(input)) => input,
                Ok(None) => continue,
                Err(error) => return Ok(Err(Fail::Own(error))),
            };
            if let Err(error) = self.wire.watch(results.copy(input)).await? {
                return Ok(Err(Fail::Door(error)));
            }
            if last {
                return Ok(Ok(()));
            }
        }
    }

    /// The next piece of a COPY and whether it is the last; `None` for what is ignored during one.
    async fn copy_input(&mut self) -> Result<Result<Option<(CopyInput, bool)>>, End> {
        let (tag, body) = match self.wire.frame().await? {
            Frame::CopyData(data) => return Ok(Ok(Some((CopyInput::Data(data), false)))),
            Frame::Message { tag, body } => (tag, body),
        };
        Ok(match Message::decode(tag, body) {
            Ok(Message::CopyDone) => Ok(Some((CopyInput::Done, true))),
            Ok(Message::CopyFail(reason)) => Ok(Some((CopyInput::Fail(reason), true))),
            Ok(Message::Flush | Message::Sync) => Ok(None),
            Ok(Message::Terminate) => return Err(End::Closed),
            Ok(_) => Err(ProtocolError::DuringCopy(tag).into()),
            Err(error) => Err(Error::from(error)),
        })
    }
}
