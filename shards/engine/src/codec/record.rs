//! Rows inside of rows: values that say the types of their fields.
//!
//! ```text
//! record = | type | fields: varint | field … |      field = | name: varint and bytes | type | 0, or 1 and the value |
//! type = | kind: 1 byte | oid: 4 bytes |            kind = 0 the system's, 1 enum, 2 array of an enum, 3 row, 4 array of rows
//! ```
//!
//! Owns: the form. Asked by: `row` and `tagged`, for values behind a length. A row of a named type has no names in it: they are
//! the catalog's, and may change. Bounds: `RECORD_DEPTH_MAX` deep; bytes that are not ours give XX001, never a panic.

use super::CodecError;
use super::bytes::{Reader, put_varint};
use super::row::{put_value, take_value};
use std::sync::Arc;
use types::limits::RECORD_DEPTH_MAX;
use types::{Array, DataType, Record, RecordField, Value};

const NULL_ITEM: u8 = 0;
const ITEM: u8 = 1;
/// Fields room is made for before any is seen, so that a damaged count cannot take memory.
const FIELDS_RESERVED: usize = 64;

pub(super) fn put_type(ty: DataType, out: &mut Vec<u8>) {
    let (kind, oid) = match ty {
        DataType::Enum(oid) => (1, oid),
        DataType::EnumArray(of) => (2, of),
        DataType::Composite(oid) => (3, oid),
        DataType::CompositeArray(of) => (4, of),
        system => (0, system.oid()),
    };
    out.push(kind);
    out.extend_from_slice(&oid.to_le_bytes());
}

pub(super) fn take_type(r: &mut Reader<'_>) -> Result<DataType, CodecError> {
    let (kind, oid) = (r.u8()?, u32::from_le_bytes(r.array()?));
    match kind {
        0 => DataType::from_oid(oid).ok_or(corrupt("a type that is not there")),
        1 => Ok(DataType::Enum(oid)),
        2 => Ok(DataType::EnumArray(oid)),
        3 => Ok(DataType::Composite(oid)),
        4 => Ok(DataType::CompositeArray(oid)),
        _ => Err(corrupt("a type of no kind")),
    }
}

pub(super) fn put(record: &Record, out: &mut Vec<u8>) {
    put_type(record.ty(), out);
    put_varint(record.values().len(), out);
    let anonymous = record.ty() == DataType::Record;
    for (field, value) in record.pairs() {
        let name = if anonymous {
            field.name.as_bytes()
        } else {
            b""
        };
        put_varint(name.len(), out);
        out.extend_from_slice(name);
        put_type(field.ty, out);
        if value.is_null() {
            out.push(NULL_ITEM);
        } else {
            out.push(ITEM);
            put_value(value, out);
        }
    }
}

/// The record of these bytes, inside so many others.
pub(super) fn take(r: &mut Reader<'_>, depth: usize) -> Result<Value, CodecError> {
    if depth >= RECORD_DEPTH_MAX {
        return Err(corrupt("rows nested too deep"));
    }
    let ty = take_type(r)?;
    let count = r.varint()?;
    let mut fields = Vec::with_capacity(count.min(FIELDS_RESERVED));
    let mut values = Vec::with_capacity(count.min(FIELDS_RESERVED));
    for _ in 0..count {
        let name = std::str::from_utf8(r.prefixed()?);
        let name = name.map_err(|_| corrupt("a name that is not UTF-8"))?;
        let field = RecordField::new(name, take_type(r)?);
        values.push(take_item(r, field.ty, depth)?);
        fields.push(field);
    }
    let record = Record::new(ty, fields.into(), values);
    let record = record.map_err(|_| corrupt("rows nested too deep"))?;
    Ok(Value::Record(Arc::new(record)))
}

fn take_item(r: &mut Reader<'_>, ty: DataType, depth: usize) -> Result<Value, CodecError> {
    match (r.u8()?, ty.element()) {
        (NULL_ITEM, _) => Ok(Value::Null),
        (_, Some(element)) if element.is_record() => {
            take_array(&mut Reader::new(r.prefixed()?), element, depth + 1)
        }
        _ if ty.is_record() => take(&mut Reader::new(r.prefixed()?), depth + 1),
        _ => take_value(r, ty),
    }
}

/// An array of rows, as `row` writes arrays.
pub(super) fn take_array(
    r: &mut Reader<'_>,
    element: DataType,
    depth: usize,
) -> Result<Value, CodecError> {
    if u32::from_le_bytes(r.array()?) != element.oid() {
        return Err(corrupt("an array of another type"));
    }
    let count = r.varint()?;
    let mut items = Vec::with_capacity(count.min(FIELDS_RESERVED));
    for _ in 0..count {
        items.push(take_item(r, element, depth)?);
    }
    Ok(Value::Array(Arc::new(Array { element, items })))
}

fn corrupt(what: &'static str) -> CodecError {
    CodecError::Corrupt { what }
}
