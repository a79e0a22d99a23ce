//! Values to and from their bytes in Bind and DataRow.
//!
//! Owns: the choice between text and binary for each column and parameter, and the shortest way for the types that
//! most rows are made of. Asked by: `extended` (parameters) and `results` (rows).
//! Never: knows how a type is written; that is `types::text` and `types::binary`, which COPY, HTTP and casts share.
//! Bounds: a row on the wire is at most `encode::ROW_BYTES_MAX` bytes; one more is 54000.

use super::codec::{self, Format, Formats};
use super::encode::{Output, ROW_BYTES_MAX};
use super::error::ProtocolError;
use crate::net::wall_micros;
use crate::service::TimeZone;
use bytes::Bytes;
use std::io::Write;
use types::{Column, DataType, Result, Value, binary, text};

/// Writes one DataRow. After an error the row is taken back: `out` is as it was.
pub fn data_row(
    out: &mut Output,
    row: &[Value],
    columns: &[Column],
    formats: &Formats,
    zone: &TimeZone,
    scratch: &mut String,
) -> Result<()> {
    out.begin(b'D');
    let fields = u16::try_from(columns.len()).unwrap_or(u16::MAX);
    out.bytes().extend_from_slice(&fields.to_be_bytes());
    for (index, column) in columns.iter().enumerate() {
        let value = row.get(index).unwrap_or(&Value::Null);
        let bytes = out.bytes();
        let start = bytes.len();
        if value.is_null() {
            bytes.extend_from_slice(&(-1i32).to_be_bytes());
            continue;
        }
        bytes.extend_from_slice(&[0; 4]);
        match formats.at(index) {
            Format::Text => text_value(value, column.ty, zone, bytes, scratch),
            Format::Binary => binary::encode(value, column.ty, bytes),
        }
        let length = bytes.len() - start - 4;
        if let Some(field) = bytes.get_mut(start..start + 4) {
            // Checked against ROW_BYTES_MAX, far below 2^31, before the row is ended.
            field.copy_from_slice(&(length as u32).to_be_bytes());
        }
        if out.open_bytes() > ROW_BYTES_MAX {
            out.abandon();
            return Err(ProtocolError::RowTooLarge(ROW_BYTES_MAX).into());
        }
    }
    out.end();
    Ok(())
}

fn text_value(
    value: &Value,
    ty: DataType,
    zone: &TimeZone,
    out: &mut Vec<u8>,
    scratch: &mut String,
) {
    let written = match value {
        Value::Text(s) => {
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
            scratch.clear();
            text::format(value, ty, zone, scratch);
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
    zone: &TimeZone,
) -> Result<Vec<Value>> {
    let env = text::ParseEnv {
        tz: zone,
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
