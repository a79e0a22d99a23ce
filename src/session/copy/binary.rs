//! COPY's binary format.
//!
//! Source: PostgreSQL 15 manual, COPY, "Binary Format".

use super::text::missing;
use super::{Decoder, Reader, Record};
use types::{Error, Result, SqlState, Value};

pub const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";

#[derive(Default)]
pub struct Binary {
    begun: bool,
}

impl Decoder for Binary {
    fn record(
        &mut self,
        input: &[u8],
        last: bool,
        reader: &Reader,
    ) -> Result<Option<(usize, Record)>> {
        let mut cursor = Cursor { input, at: 0 };
        let outcome = if self.begun {
            tuple(&mut cursor, reader)
        } else {
            header(&mut cursor)
        };
        match outcome {
            Ok(record) => {
                self.begun = true;
                Ok(Some((cursor.at, record)))
            }
            Err(Stop::Short) if last && (!self.begun || !input.is_empty()) => {
                Err(bad("unexpected EOF in COPY data"))
            }
            Err(Stop::Short) => Ok(None),
            Err(Stop::Bad(e)) => Err(e),
        }
    }
}

enum Stop {
    Short,
    Bad(Error),
}

impl From<Error> for Stop {
    fn from(e: Error) -> Stop {
        Stop::Bad(e)
    }
}

struct Cursor<'a> {
    input: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], Stop> {
        let end = self.at.checked_add(n).ok_or(Stop::Short)?;
        let bytes = self.input.get(self.at..end).ok_or(Stop::Short)?;
        self.at = end;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }
}

fn header(cursor: &mut Cursor<'_>) -> Result<Record, Stop> {
    if cursor.take(SIGNATURE.len())? != SIGNATURE {
        return Err(bad("COPY file signature not recognized").into());
    }
    let flags = u32::from_be_bytes(cursor.array()?);
    if flags >> 16 != 0 {
        return Err(bad("unrecognized critical flags in COPY file header").into());
    }
    let extension = u32::from_be_bytes(cursor.array()?);
    cursor.take(extension as usize)?;
    Ok(Record::Skip)
}

fn tuple(cursor: &mut Cursor<'_>, reader: &Reader) -> Result<Record, Stop> {
    let count = i16::from_be_bytes(cursor.array()?);
    if count == -1 {
        return Ok(Record::End);
    }
    if usize::try_from(count) != Ok(reader.fields.len()) {
        return Err(bad(&format!(
            "row field count is {count}, expected {}",
            reader.fields.len()
        ))
        .into());
    }
    let mut values = Vec::with_capacity(reader.fields.len());
    for field in &reader.fields {
        let len = i32::from_be_bytes(cursor.array()?);
        values.push(match usize::try_from(len) {
            Ok(len) => {
                let value = types::binary::decode(cursor.take(len)?, field.ty)?;
                let value = reader
                    .ctx
                    .catalog
                    .from_labels(value, field.ty, &reader.ctx)?;
                types::text::apply_typmod(value, field.ty, field.typmod, false)?
            }
            Err(_) if len == -1 => Value::Null,
            Err(_) => return Err(missing(field).into()),
        });
    }
    Ok(Record::Row(values))
}

fn bad(message: &str) -> Error {
    Error::new(SqlState::BAD_COPY_FILE_FORMAT, message)
}
