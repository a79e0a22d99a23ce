//! jsonb in keys.
//!
//! ```text
//! 01 empty array at the top    02 null    03 string (bytes, 00 00)    04 numeric    05 bool, 1 byte
//! 06 array: count in 4 bytes, items    07 object: count in 4 bytes, (key as bytes, value)*
//! ```
//!
//! Source of the order: PostgreSQL 15 `compareJsonbContainers`.

use super::CodecError;
use super::bytes::Reader;
use super::key::{put_bytes, take_text};
use super::key_number::{put_numeric, take_numeric};
use types::Json;

const EMPTY_TOP: u8 = 1;
const NULL: u8 = 2;
const STRING: u8 = 3;
const NUMBER: u8 = 4;
const BOOL: u8 = 5;
const ARRAY: u8 = 6;
const OBJECT: u8 = 7;
/// Nesting of a key; a key of `KEY_BYTES_MAX` bytes cannot hold more.
const DEPTH_MAX: usize = 512;

pub(super) fn put_json(j: &Json, out: &mut Vec<u8>) {
    match j {
        Json::Array(items) if items.is_empty() => out.push(EMPTY_TOP),
        other => put_nested(other, out),
    }
}

fn put_nested(j: &Json, out: &mut Vec<u8>) {
    match j {
        Json::Null => out.push(NULL),
        Json::String(s) => {
            out.push(STRING);
            put_bytes(s.as_bytes(), out);
        }
        Json::Number(n) => {
            out.push(NUMBER);
            put_numeric(n, out);
        }
        Json::Bool(b) => out.extend_from_slice(&[BOOL, u8::from(*b)]),
        Json::Array(items) => {
            out.push(ARRAY);
            out.extend_from_slice(&(items.len() as u32).to_be_bytes());
            items.iter().for_each(|i| put_nested(i, out));
        }
        Json::Object(pairs) => {
            out.push(OBJECT);
            out.extend_from_slice(&(pairs.len() as u32).to_be_bytes());
            for (key, value) in pairs {
                put_bytes(key.as_bytes(), out);
                put_nested(value, out);
            }
        }
    }
}

pub(super) fn take_json(r: &mut Reader<'_>) -> Result<Json, CodecError> {
    take_nested(r, 0)
}

fn take_nested(r: &mut Reader<'_>, depth: usize) -> Result<Json, CodecError> {
    let corrupt = CodecError::Corrupt {
        what: "not a jsonb key",
    };
    if depth > DEPTH_MAX {
        return Err(corrupt);
    }
    Ok(match r.u8()? {
        EMPTY_TOP => Json::Array(Vec::new()),
        NULL => Json::Null,
        STRING => Json::String(take_text(r)?),
        NUMBER => Json::Number(take_numeric(r)?),
        BOOL => Json::Bool(r.u8()? != 0),
        ARRAY => {
            let count = u32::from_be_bytes(r.array()?);
            let mut items = Vec::new();
            for _ in 0..count {
                items.push(take_nested(r, depth + 1)?);
            }
            Json::Array(items)
        }
        OBJECT => {
            let count = u32::from_be_bytes(r.array()?);
            let mut pairs = Vec::new();
            for _ in 0..count {
                let key = take_text(r)?;
                pairs.push((key, take_nested(r, depth + 1)?));
            }
            Json::Object(pairs)
        }
        _ => return Err(corrupt),
    })
}
