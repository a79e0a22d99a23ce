//! What a request produces, written for the client at its speed; and COPY, where the client sends too.
//!
//! Owns: turning `Event`s into messages. Asked by: `conn` (scripts) and `extended` (portals).
//! Never: asks for the next event while the socket does not take the last one.
//! Bounds: what `wire` gathers; a long value goes out in pieces, none of which is copied as a whole. COPY data is passed on
//! in the pieces in which it arrives.
//! Source: PostgreSQL documentation, "COPY Operations".

use super::codec::{Formats, Message};
use super::conn::{Conn, End, Fail};
use super::encode::{Output, compose};
use super::error::ProtocolError;
use super::framing::Frame;
use super::values::{self, Long, Style};
use crate::service::{CopyInput, Event, Forms, Results, Whole};
use futures_lite::io::{AsyncRead, AsyncWrite};
use std::sync::Arc;
use types::{Column, Error, Result, RowBatch, Value};

/// How rows are to be written.
pub(super) struct Shape {
    /// Whether a RowDescription goes before the rows (scripts), or Describe is there for that (portals).
    describe: bool,
    formats: Formats,
    pub columns: Option<Arc<Vec<Column>>>,
    forms: Option<Forms>,
}

impl Shape {
    pub fn described() -> Shape {
        Shape {
            describe: true,
            formats: Formats::default(),
            columns: None,
            forms: None,
        }
    }

    pub fn bound(formats: Formats, columns: Option<Arc<Vec<Column>>>) -> Shape {
        Shape {
            describe: false,
            formats,
            columns,
            forms: None,
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
            let event = match results.ready() {
                Some(event) => event,
                None => match self.wire.watch(results.next()).await? {
                    Ok(Some(event)) => event,
                    Ok(None) => return Ok(Ok(())),
                    Err(error) => return Ok(Err(Fail::Door(error))),
                },
            };
            match event {
                Event::Columns(columns) => {
                    if let Err(error) = self.columns(columns, shape).await? {
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
                        self.wire.put(Output::copy_done).await?;
                    }
                    self.wire.put(|out| out.command_complete(&tag)).await?;
                }
                Event::Empty => self.wire.put(Output::empty_query).await?,
                Event::Suspended => self.wire.put(Output::portal_suspended).await?,
                Event::Notice(notice) => {
                    self.wire.put(|out| out.notice_response(&notice)).await?;
                }
                Event::Parameter { name, value } => {
                    let status = |out: &mut Output| out.parameter_status(&name, &value);
                    self.wire.put(status).await?;
                }
                Event::CopyIn { columns, binary } => {
                    self.wire.put(|out| out.copy_in(columns, binary)).await?;
                    if let Err(fail) = self.copy_in(results).await? {
                        return Ok(Err(fail));
                    }
                }
                Event::CopyOut { columns, binary } => {
                    copying_out = true;
                    self.wire.put(|out| out.copy_out(columns, binary)).await?;
                }
                Event::CopyData(rows) => {
                    for row in rows.iter() {
                        self.wire.begin(|out| out.copy_data(row.len())).await?;
                        self.wire.bytes(row).await?;
                        self.wire.whole();
                        self.wire.flush_if_full().await?;
                    }
                }
            }
            self.wire.flush_if_full().await?;
        }
    }

    /// Writes `head` and all rows of a statement that has ended, in one piece if they are short.
    pub(super) async fn whole(
        &mut self,
        whole: Whole,
        formats: &Formats,
        head: impl Fn(&mut Output),
    ) -> Result<Result<(), Fail>, End> {
        let forms = self.session.forms();
        let style = Style {
            columns: whole.columns.as_ref().map_or(&[], |c| &c[..]),
            formats,
            forms: &forms,
        };
        if whole.rows.rows.iter().any(|row| style.has_long(row)) {
            self.wire.put(head).await?;
            let mut shape = Shape::bound(formats.clone(), whole.columns);
            if let Err(fail) = Box::pin(self.rows(whole.rows, &mut shape)).await? {
                return Ok(Err(fail));
            }
            self.wire.put(|out| out.command_complete(whole.tag)).await?;
            return Ok(Ok(()));
        }
        let written = self.wire.try_put(|out| {
            head(out);
            for row in &whole.rows.rows {
                values::data_row(out, row, style)?;
            }
            out.command_complete(whole.tag);
            Ok(())
        });
        Ok(written.await?.map_err(Fail::Own))
    }

    async fn columns(
        &mut self,
        columns: Arc<Vec<Column>>,
        shape: &mut Shape,
    ) -> Result<Result<()>, End> {
        if let Err(error) = shape.formats.check(columns.len()) {
            return Ok(Err(error));
        }
        if shape.describe {
            let described = |out: &mut Output| out.row_description(&columns, &shape.formats);
            self.wire.put(described).await?;
        }
        shape.columns = Some(columns);
        // An earlier statement of the script may have changed it.
        shape.forms = None;
        Ok(Ok(()))
    }

    async fn rows(&mut self, batch: RowBatch, shape: &mut Shape) -> Result<Result<(), Fail>, End> {
        let Some(columns) = shape.columns.as_ref() else {
            return Ok(Err(Fail::Own(ProtocolError::RowsWithoutColumns.into())));
        };
        let forms = shape.forms.get_or_insert_with(|| self.session.forms());
        let style = Style {
            columns,
            formats: &shape.formats,
            forms,
        };
        for row in &batch.rows {
            let written = match style.has_long(row) {
                true => self.long_row(row, style).await?,
                false => {
                    let whole = |out: &mut Output| values::data_row(out, row, style);
                    self.wire.try_put(whole).await?
                }
            };
            if let Err(error) = written {
                return Ok(Err(Fail::Own(error)));
            }
            self.wire.flush_if_full().await?;
        }
        Ok(Ok(()))
    }

    /// A row with values that are sent from where they are.
    async fn long_row(&mut self, row: &[Value], style: Style<'_>) -> Result<Result<()>, End> {
        let length = match compose(|out| style.row_length(row, out)) {
            Ok(length) => length,
            Err(error) => return Ok(Err(error)),
        };
        let head = |out: &mut Output| {
            out.head(b'D', length);
            out.bytes()
                .extend_from_slice(&style.field_count().to_be_bytes());
        };
        self.wire.begin(head).await?;
        for (index, value) in style.values(row) {
            let Some(long) = style.long(index, value) else {
                let field = |out: &mut Output| style.field(index, value, out);
                self.wire.begin(field).await?;
                continue;
            };
            // Checked with the row's length.
            let length = (long.len() as u32).to_be_bytes();
            self.wire.bytes(&length).await?;
            match long {
                Long::Bytes(bytes) => self.wire.bytes(bytes).await?,
                Long::Hex(bytes) => {
                    self.wire.bytes(values::HEX_MARK).await?;
                    for part in bytes.chunks(values::HEX_BYTES) {
                        let digits = |out: &mut Output| values::hex(part, out.bytes());
                        self.wire.begin(digits).await?;
                        self.wire.flush_if_full().await?;
                    }
                }
            }
        }
        self.wire.whole();
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
