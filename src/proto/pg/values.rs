//! Values to and from their bytes in Bind and DataRow.
//!
//! Owns: the choice between text and binary for each column and parameter, and the shortest way for the types that
//! most rows are made of. Asked by: `extended` (parameters) and `results` (rows).
//! Never: knows how a type is written; that is `types::text` and `types::binary`, which COPY, HTTP and casts share.
//! Bounds: a row on the wire is at most `encode::ROW_BYTES_MAX` bytes; one more is 54000. Texts and byteas of 32 KiB and
//! more are not copied into a row but sent from where they are, so that a row of any length needs no buffer of it.

use super::codec::{self, Format, Formats};
use super::encode::{Output, ROW_BYTES_MAX};
use super::error::ProtocolError;
use crate::net::wall_micros;
use crate::service::Forms;
use bytes::Bytes;
use std::io::Write;
use types::{Column, DataType, Result, Value, binary, text};

/// How the values of rows are written.
#[derive(Clone, Copy)]
pub struct Style<'a> {
    pub columns: &'a [Column],
    pub formats: &'a Formats,
    pub forms: &'a Forms,
}

/// What of a row need not be copied to be sent.
#[derive(Clone, Copy)]
pub enum Long<'a> {
    Bytes(&'a [u8]),
    /// A bytea as text.
    Hex(&'a [u8]),
}

/// A value at least this long is sent from where it is.
const LONG_BYTES: usize = 32 << 10;

/// Bytes of a bytea that are turned to text at once.
pub const HEX_BYTES: usize = 16 << 10;

impl<'a> Style<'a> {
    fn fields<'r>(self, row: &'r [Value]) -> impl Iterator<Item = (usize, &'r Value)>
    where
        'a: 'r,
    {
        let count = self.columns.len();
        (0..count).map(|index| (index, row.get(index).unwrap_or(&Value::Null)))
    }

    /// The value as it is, if it is long and needs no writing out.
    pub fn long<'r>(self, index: usize, value: &'r Value) -> Option<Long<'r>> {
        match (value, self.formats.at(index)) {
            (Value::Text(s) | Value::Json(s), _) if s.len() >= LONG_BYTES => {
                Some(Long::Bytes(s.as_bytes()))
            }
            (Value::Bytea(b), Format::Binary) if b.len() >= LONG_BYTES => Some(Long::Bytes(b)),
            (Value::Bytea(b), Format::Text) if b.len() >= LONG_BYTES => Some(Long::Hex(b)),
            _ => None,
        }
    }

    pub fn has_long(self, row: &[Value]) -> bool {
        self.fields(row).any(|(i, v)| self.long(i, v).is_some())
    }

    /// The row's values in order, for who writes them one by one.
    pub fn values<'r>(self, row: &'r [Value]) -> impl Iterator<Item = (usize, &'r Value)>
    where
        'a: 'r,
    {
        self.fields(row)
    }

    /// Length of a DataRow's body.
    pub fn row_length(self, row: &[Value], out: &mut Output) -> Result<usize> {
        let mut length = FIELDS_BYTES;
        for (index, value) in self.fields(row) {
            length += match self.long(index, value) {
                Some(long) => 4 + long.len(),
                None => {
                    let start = out.bytes().len();
                    self.field(index, value, out);
                    let length = out.bytes().len() - start;
                    out.bytes().truncate(start);
                    length
                }
            };
            if length > ROW_BYTES_MAX {
                return Err(ProtocolError::RowTooLarge(ROW_BYTES_MAX).into());
            }
        }
        Ok(length)
    }

    /// A value with its length before it.
    pub fn field(self, index: usize, value: &Value, out: &mut Output) {
        if value.is_null() {
            out.bytes().extend_from_slice(&(-1i32).to_be_bytes());
            return;
        }
        let ty = (self.columns.get(index)).map_or(DataType::Text, |column| column.ty);
        let start = out.bytes().len();
        out.bytes().extend_from_slice(&[0; 4]);
        match self.formats.at(index) {
            Format::Text => text_value(value, ty, self.forms, out),
            Format::Binary => binary::encode(value, ty, out.bytes()),
        }
        let bytes = out.bytes();
        let length = bytes.len() - start - 4;
        if let Some(field) = bytes.get_mut(start..start + 4) {
            // Checked against ROW_BYTES_MAX, far below 2^31, before the row is ended.
            field.copy_from_slice(&(length as u32).to_be_bytes());
        }
    }

    pub fn field_count(self) -> u16 {
        u16::try_from(self.columns.len()).unwrap_or(u16::MAX)
    }
}

impl Long<'_> {
    pub fn len(self) -> usize {
        match self {
            Long::Bytes(bytes) => bytes.len(),
            Long::Hex(bytes) => HEX_MARK.len() + 2 * bytes.len(),
        }
    }
}

/// The count of a row's fields.
const FIELDS_BYTES: usize = 2;

/// A bytea's text begins with it.
pub const HEX_MARK: &[u8] = b"\\x";

/// Writes one DataRow. After an error the row is taken back: `out` is as it was.
pub fn data_row(out: &mut Output, row: &[Value], style: Style<'_>) -> Result<()> {
    out.begin(b'D');
    let fields = style.field_count();
    out.bytes().extend_from_slice(&fields.to_be_bytes());
    for (index, value) in style.fields(row) {
        style.field(index, value, out);
        if out.open_bytes() > ROW_BYTES_MAX {
            out.abandon();
            return Err(ProtocolError::RowTooLarge(ROW_BYTES_MAX).into());
        }
    }
    out.end();
    Ok(())
}

/// The hexadecimal digits of a part of a bytea.
pub fn hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.reserve(2 * bytes.len());
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

fn text_value(value: &Value, ty: DataType, forms: &Forms, out: &mut Output) {
    let (out, scratch) = out.parts();
    let written = match value {
        Value::Text(s) | Value::Json(s) => {
            out.extend_from_slice(s.as_bytes());
            return;
        }
        Value::Bool(b) => {
            out.push(if *b { b't' } else { b'f' });
            return;
        }
        Value::Int4(v) => write!(out, "{v}"),
        Value::Int8(v) => write!(out, "{v}"),
        Value::Int2(v) => write!(out, "{v}"),
        _ => {
            text::format(value, ty, forms, scratch);
            out.extend_from_slice(scratch.as_bytes());
            return;
        }
    };
    debug_assert!(written.is_ok(), "writing to memory cannot fail");
}

/// Decodes Bind's parameters; there are as many `params` as `types`.
pub fn parameters(
    params: &[Option<Bytes>],
    formats: &Formats,
    types: &[DataType],
    forms: &Forms,
) -> Result<Vec<Value>> {
    let env = text::ParseEnv {
        forms,
        now_micros: wall_micros(),
    };
    let mut values = Vec::with_capacity(params.len());
    for (index, (param, ty)) in params.iter().zip(types).enumerate() {
        let Some(bytes) = param else {
            values.push(Value::Null);
            continue;
        };
        values.push(match formats.at(index) {
            Format::Text => {
                let text = codec::utf8(bytes)?;
                match ty {
                    DataType::Text | DataType::Varchar => Value::text(text),
                    // What the name stands for is not known here.
                    ty if ty.is_named() => Value::text(text),
                    _ => text::parse(text, *ty, -1, &env)?,
                }
            }
            Format::Binary => {
                let value = binary::decode(bytes, *ty)?;
                if let Value::Text(text) = &value {
                    // A NUL is valid UTF-8, but no text of PostgreSQL's has one.
                    codec::utf8(text.as_bytes())?;
                }
                value
            }
        });
    }
    Ok(values)
}
