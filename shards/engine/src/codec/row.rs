//! The compact form of a row.
//!
//! ```text
//! | version: 1 byte = 1 | columns: varint | null bitmap: ceil(columns / 8) bytes, bit set = NULL | values … |
//! ```
//!
//! Values that are not NULL follow in column order: bool 1 byte; integers, floats, dates and times in their width, little
//! endian; an enum's place among its labels 8 bytes; interval 16 bytes (micros, days, months); uuid 16 bytes; everything else a varint length and its bytes. A
//! numeric's bytes are one kind byte (0 finite, 1 NaN, 2 Infinity, 3 -Infinity), a varint scale and the mantissa as a
//! signed little-endian integer. jsonb, arrays and rows (`record`) nest these forms.
//!
//! Columns are stored by their numbers, so a dropped one keeps its place (NULL in rows written since). Rows written before a
//! column was added have fewer columns than the table: the rest is what the column says rows have that miss it, or NULL.
//! Hot path: one pass, no allocation besides the values' own.

use super::CodecError;
use super::bytes::{Reader, put_varint};
use super::record;
use crate::catalog::{ColumnDef, Table};
use num_bigint::BigInt;
use std::sync::Arc;
use types::network::{Inet, Mac, Mac8};
use types::{Array, DataType, EnumValue, Interval, Json, Numeric, Reg, Result, Row, Value};

/// The form written; older ones stay readable.
pub const VERSION: u8 = 1;

const NULL_ITEM: u8 = 0;
const ITEM: u8 = 1;
/// Nesting of jsonb accepted from storage; what the parser lets in is less.
const DEPTH_MAX: usize = 1_024;
/// Items room is made for before any is seen, so that a damaged count cannot take memory.
const ITEMS_RESERVED: usize = 256;

/// Where a table's columns are in its stored rows.
#[derive(Clone, Debug)]
pub struct Layout {
    /// By ordinal.
    pub(super) types: Vec<DataType>,
    /// By place; `None` when ordinals and places are the same.
    pub(super) places: Option<Vec<Place>>,
    /// Ordinal and place of columns that rows without them have a value of.
    pub(super) missing: Vec<(usize, usize, Value)>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) ty: DataType,
    /// `None`: dropped.
    pub(super) ordinal: Option<usize>,
}

impl Layout {
    /// Rows of just these columns.
    pub fn plain(types: Vec<DataType>) -> Layout {
        Layout {
            types,
            places: None,
            missing: Vec::new(),
        }
    }

    pub fn of(table: &Table) -> Layout {
        let place = |c: &ColumnDef| (c.number.max(1) - 1) as usize;
        let missing = table.columns.iter().enumerate().filter_map(|(at, c)| {
            let value = c.missing.as_ref().filter(|v| !v.is_null())?;
            Some((at, place(c), value.clone()))
        });
        let missing = missing.collect();
        let types = table.types();
        if table.dropped.is_empty() {
            return Layout {
                types,
                places: None,
                missing,
            };
        }
        let present = table.columns.iter().enumerate().map(|(at, c)| {
            let ordinal = Some(at);
            (c.number, Place { ty: c.ty, ordinal })
        });
        let dropped = table.dropped.iter().map(|d| {
            let ordinal = None;
            (d.number, Place { ty: d.ty, ordinal })
        });
        let mut places: Vec<(i16, Place)> = present.chain(dropped).collect();
        places.sort_by_key(|(number, _)| *number);
        Layout {
            types,
            places: Some(places.into_iter().map(|(_, place)| place).collect()),
            missing,
        }
    }

    /// By ordinal.
    pub fn types(&self) -> &[DataType] {
        &self.types
    }
}

/// Appends the row. Each value must be of its column's type.
pub fn encode(values: &[Value], layout: &Layout, out: &mut Vec<u8>) {
    out.push(VERSION);
    match &layout.places {
        None => put_values(values.iter().map(Some), values.len(), out),
        Some(places) => {
            let value = |p: &Place| p.ordinal.and_then(|at| values.get(at));
            put_values(places.iter().map(value), places.len(), out);
        }
    }
}

fn put_values<'a>(
    values: impl Iterator<Item = Option<&'a Value>>,
    count: usize,
    out: &mut Vec<u8>,
) {
    put_varint(count, out);
    let bitmap = out.len();
    out.resize(bitmap + count.div_ceil(8), 0);
    for (i, value) in values.enumerate() {
        match value {
            Some(v) if !v.is_null() => put_value(v, out),
            _ => out[bitmap + i / 8] |= 1 << (i % 8),
        }
    }
}

/// All columns.
pub fn decode(bytes: &[u8], layout: &Layout) -> Result<Row> {
    decode_where(bytes, layout, |_| true, layout.types.len())
}

/// Only the columns that are `wanted`; the others are Null and cost a skip. Columns past the last wanted one are not
/// looked at.
pub fn decode_some(bytes: &[u8], layout: &Layout, wanted: &[bool]) -> Result<Row> {
    let last = wanted.iter().rposition(|w| *w).map_or(0, |i| i + 1);
    decode_where(bytes, layout, |i| wanted.get(i) == Some(&true), last)
}

fn decode_where(
    bytes: &[u8],
    layout: &Layout,
    wanted: impl Fn(usize) -> bool,
    stop: usize,
) -> Result<Row> {
    let mut r = Reader::new(bytes);
    let (stored, nulls) = head(&mut r)?;
    let is_null = |i: usize| nulls[i / 8] & (1 << (i % 8)) != 0;
    let mut row = Vec::with_capacity(layout.types.len());
    let mut column = |at: usize, ty: DataType, wanted: bool| -> Result<Value> {
        Ok(if is_null(at) {
            Value::Null
        } else if wanted {
            take_value(&mut r, ty)?
        } else {
            skip_value(&mut r, ty)?;
            Value::Null
        })
    };
    match &layout.places {
        None => {
            for (i, ty) in layout.types.iter().enumerate().take(stored.min(stop)) {
                row.push(column(i, *ty, wanted(i))?);
            }
        }
        Some(places) => {
            for (i, place) in places.iter().enumerate().take(stored) {
                match place.ordinal {
                    Some(at) if at >= stop => break,
                    Some(at) => row.push(column(i, place.ty, wanted(at))?),
                    None => {
                        column(i, place.ty, false)?;
                    }
                }
            }
        }
    }
    row.resize(layout.types.len(), Value::Null);
    for (at, place, value) in &layout.missing {
        if *place >= stored {
            row[*at].clone_from(value);
        }
    }
    Ok(row)
}

/// How many columns are stored, and which of them are NULL.
pub(super) fn head<'a>(r: &mut Reader<'a>) -> Result<(usize, &'a [u8]), CodecError> {
    let version = r.u8()?;
    if version != VERSION {
        return Err(if version > VERSION {
            CodecError::NewerFormat {
                found: version,
                supported: VERSION,
            }
        } else {
            CodecError::Corrupt {
                what: "a row of no version",
            }
        });
    }
    let stored = r.varint()?;
    let nulls = r.take(stored.div_ceil(8))?;
    Ok((stored, nulls))
}

pub(super) fn put_value(v: &Value, out: &mut Vec<u8>) {
    match v {
        Value::Null => {}
        Value::Bool(b) => out.push(u8::from(*b)),
        Value::Int2(v) => out.extend_from_slice(&v.to_le_bytes()),
        Value::Int4(v) | Value::Date(v) => out.extend_from_slice(&v.to_le_bytes()),
        Value::Int8(v) | Value::Time(v) | Value::Timestamp(v) | Value::Timestamptz(v) => {
            out.extend_from_slice(&v.to_le_bytes())
        }
        Value::Float4(v) => out.extend_from_slice(&v.to_le_bytes()),
        Value::Float8(v) => out.extend_from_slice(&v.to_le_bytes()),
        Value::Oid(v) => out.extend_from_slice(&v.to_le_bytes()),
        Value::Text(s) | Value::Json(s) => put_bytes(s.as_bytes(), out),
        Value::Bytea(b) => put_bytes(b, out),
        Value::Interval(i) => {
            out.extend_from_slice(&i.micros.to_le_bytes());
            out.extend_from_slice(&i.days.to_le_bytes());
            out.extend_from_slice(&i.months.to_le_bytes());
        }
        Value::Uuid(u) => out.extend_from_slice(u.as_bytes()),
        Value::Inet(i) => nested(out, |out| {
            out.push(i.bits());
            out.extend_from_slice(&i.octets());
        }),
        Value::Macaddr(m) => out.extend_from_slice(&m.0),
        Value::Macaddr8(m) => out.extend_from_slice(&m.0),
        Value::Numeric(n) => nested(out, |out| put_numeric(n, out)),
        Value::Jsonb(j) => nested(out, |out| put_json(j, out)),
        Value::Enum(e) => out.extend_from_slice(&e.order.to_le_bytes()),
        Value::Reg(r) => nested(out, |out| {
            out.extend_from_slice(&r.oid.to_le_bytes());
            out.extend_from_slice(r.name.as_bytes());
        }),
        Value::Array(a) => nested(out, |out| put_array(a, out)),
        Value::Record(r) => nested(out, |out| record::put(r, out)),
    }
}

fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put_varint(bytes.len(), out);
    out.extend_from_slice(bytes);
}

/// A length and what `fill` appends. Short contents (the usual case) need no move.
fn nested(out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.push(0);
    fill(out);
    let len = out.len() - at - 1;
    if len < 0x80 {
        out[at] = len as u8;
        return;
    }
    let mut prefix = Vec::with_capacity(5);
    put_varint(len, &mut prefix);
    out.splice(at..at + 1, prefix);
}

fn put_numeric(n: &Numeric, out: &mut Vec<u8>) {
    if let Numeric::Small(mantissa, scale) = n {
        out.push(0);
        put_varint(usize::from(*scale), out);
        let bytes = mantissa.to_le_bytes();
        return out.extend_from_slice(&bytes[..signed_width(*mantissa)]);
    }
    let Some((mantissa, scale)) = n.parts() else {
        out.push(match n {
            Numeric::Infinity => 2,
            Numeric::NegInfinity => 3,
            _ => 1,
        });
        return;
    };
    out.push(0);
    put_varint(scale as usize, out);
    out.extend_from_slice(&mantissa.to_signed_bytes_le());
}

/// Bytes that a signed number needs, the first of them its lowest.
fn signed_width(v: i64) -> usize {
    let without_sign = if v < 0 { !v } else { v };
    (65 - without_sign.leading_zeros() as usize).div_ceil(8)
}

fn put_array(a: &Array, out: &mut Vec<u8>) {
    out.extend_from_slice(&a.element.oid().to_le_bytes());
    put_varint(a.items.len(), out);
    for item in &a.items {
        if item.is_null() {
            out.push(NULL_ITEM);
        } else {
            out.push(ITEM);
            put_value(item, out);
        }
    }
}

fn put_json(j: &Json, out: &mut Vec<u8>) {
    match j {
        Json::Null => out.push(0),
        Json::Bool(b) => out.push(1 + u8::from(*b)),
        Json::Number(n) => {
            out.push(3);
            nested(out, |out| put_numeric(n, out));
        }
        Json::String(s) => {
            out.push(4);
            put_bytes(s.as_bytes(), out);
        }
        Json::Array(items) => {
            out.push(5);
            put_varint(items.len(), out);
            items.iter().for_each(|i| put_json(i, out));
        }
        Json::Object(pairs) => {
            out.push(6);
            put_varint(pairs.len(), out);
            for (key, value) in pairs {
                put_bytes(key.as_bytes(), out);
                put_json(value, out);
            }
        }
    }
}

/// Stored width of types of fixed width.
pub(super) fn width(ty: DataType) -> Option<usize> {
    match ty {
        DataType::Bool => Some(1),
        DataType::Int2 => Some(2),
        DataType::Int4 | DataType::Float4 | DataType::Date | DataType::Oid => Some(4),
        DataType::Int8
        | DataType::Float8
        | DataType::Time
        | DataType::Timestamp
        | DataType::Timestamptz
        | DataType::Enum(_) => Some(8),
        DataType::Interval | DataType::Uuid => Some(16),
        DataType::Macaddr => Some(6),
        DataType::Macaddr8 => Some(8),
        DataType::Void => Some(0),
        _ => None,
    }
}

fn skip_value(r: &mut Reader<'_>, ty: DataType) -> Result<(), CodecError> {
    match width(ty) {
        Some(n) => r.take(n)?,
        None => r.prefixed()?,
    };
    Ok(())
}

pub(super) fn take_value(r: &mut Reader<'_>, ty: DataType) -> Result<Value, CodecError> {
    Ok(match ty {
        DataType::Bool => Value::Bool(r.u8()? != 0),
        DataType::Int2 => Value::Int2(i16::from_le_bytes(r.array()?)),
        DataType::Int4 => Value::Int4(i32::from_le_bytes(r.array()?)),
        DataType::Int8 => Value::Int8(i64::from_le_bytes(r.array()?)),
        DataType::Float4 => Value::Float4(f32::from_le_bytes(r.array()?)),
        DataType::Float8 => Value::Float8(f64::from_le_bytes(r.array()?)),
        DataType::Date => Value::Date(i32::from_le_bytes(r.array()?)),
        DataType::Time => Value::Time(i64::from_le_bytes(r.array()?)),
        DataType::Timestamp => Value::Timestamp(i64::from_le_bytes(r.array()?)),
        DataType::Timestamptz => Value::Timestamptz(i64::from_le_bytes(r.array()?)),
        DataType::Oid => Value::Oid(u32::from_le_bytes(r.array()?)),
        DataType::Interval => Value::Interval(Interval {
            micros: i64::from_le_bytes(r.array()?),
            days: i32::from_le_bytes(r.array()?),
            months: i32::from_le_bytes(r.array()?),
        }),
        DataType::Uuid => Value::Uuid(uuid::Uuid::from_bytes(r.array()?)),
        DataType::Inet | DataType::Cidr => {
            let mut inner = Reader::new(r.prefixed()?);
            let bits = inner.u8()?;
            let found = Inet::from_octets(inner.rest(), bits, ty == DataType::Cidr);
            Value::Inet(found.ok_or(CodecError::Corrupt {
                what: "not an address",
            })?)
        }
        DataType::Macaddr => Value::Macaddr(Mac(r.array()?)),
        DataType::Macaddr8 => Value::Macaddr8(Mac8(r.array()?)),
        DataType::Text
        | DataType::Varchar
        | DataType::Bpchar
        | DataType::Name
        | DataType::InternalChar
        | DataType::Jsonpath
        | DataType::Unknown => Value::Text(Arc::from(text(r.prefixed()?)?)),
        DataType::Bytea => Value::Bytea(Arc::from(r.prefixed()?)),
        DataType::Numeric => Value::Numeric(take_numeric(r.prefixed()?)?),
        DataType::Json => Value::Json(Arc::from(text(r.prefixed()?)?)),
        DataType::Jsonb => {
            let mut inner = Reader::new(r.prefixed()?);
            Value::Jsonb(Arc::new(take_json(&mut inner, 0)?))
        }
        ty if ty.is_reg() => {
            let mut inner = Reader::new(r.prefixed()?);
            Value::Reg(Reg {
                oid: u32::from_le_bytes(inner.array()?),
                name: Arc::from(text(inner.rest())?),
            })
        }
        DataType::Void => Value::Null,
        DataType::Enum(ty) => Value::Enum(EnumValue {
            ty,
            order: i64::from_le_bytes(r.array()?),
        }),
        DataType::Record | DataType::Composite(_) => {
            record::take(&mut Reader::new(r.prefixed()?), 0)?
        }
        array => take_array(r.prefixed()?, array)?,
    })
}

fn text(bytes: &[u8]) -> Result<&str, CodecError> {
    std::str::from_utf8(bytes).map_err(|_| CodecError::Corrupt {
        what: "text that is not UTF-8",
    })
}

fn take_numeric(bytes: &[u8]) -> Result<Numeric, CodecError> {
    let corrupt = CodecError::Corrupt {
        what: "not a numeric",
    };
    let mut r = Reader::new(bytes);
    match r.u8()? {
        0 => {
            let scale = r.varint()?;
            if scale > types::numeric::SCALE_MAX as usize {
                return Err(corrupt);
            }
            let mantissa = match r.rest() {
                // An i64's worth of digits is what nearly every numeric has.
                small if small.len() <= 8 && !small.is_empty() => {
                    let fill = if small[small.len() - 1] & 0x80 != 0 {
                        0xff
                    } else {
                        0
                    };
                    let mut wide = [fill; 8];
                    wide[..small.len()].copy_from_slice(small);
                    return Ok(Numeric::Small(i64::from_le_bytes(wide), scale as u16));
                }
                large => BigInt::from_signed_bytes_le(large),
            };
            Numeric::from_parts(mantissa, scale as u32).map_err(|_| corrupt)
        }
        1 => Ok(Numeric::NaN),
        2 => Ok(Numeric::Infinity),
        3 => Ok(Numeric::NegInfinity),
        _ => Err(corrupt),
    }
}

fn take_array(bytes: &[u8], ty: DataType) -> Result<Value, CodecError> {
    let mut r = Reader::new(bytes);
    let element = ty.element().ok_or(CodecError::Corrupt {
        what: "not an array",
    })?;
    if element.is_record() {
        return record::take_array(&mut r, element, 0);
    }
    if u32::from_le_bytes(r.array()?) != element.oid() {
        return Err(CodecError::Corrupt {
            what: "an array of another type",
        });
    }
    let count = r.varint()?;
    // Each item has at least its marker byte.
    let mut items = Vec::with_capacity(count.min(ITEMS_RESERVED));
    for _ in 0..count {
        items.push(match r.u8()? {
            NULL_ITEM => Value::Null,
            _ => take_value(&mut r, element)?,
        });
    }
    Ok(Value::Array(Arc::new(Array { element, items })))
}

fn take_json(r: &mut Reader<'_>, depth: usize) -> Result<Json, CodecError> {
    if depth > DEPTH_MAX {
        return Err(CodecError::Corrupt {
            what: "jsonb nested too deep",
        });
    }
    Ok(match r.u8()? {
        0 => Json::Null,
        1 => Json::Bool(false),
        2 => Json::Bool(true),
        3 => Json::Number(take_numeric(r.prefixed()?)?),
        4 => Json::String(text(r.prefixed()?)?.to_owned()),
        5 => {
            let count = r.varint()?;
            let mut items = Vec::with_capacity(count.min(ITEMS_RESERVED));
            for _ in 0..count {
                items.push(take_json(r, depth + 1)?);
            }
            Json::Array(items)
        }
        6 => {
            let count = r.varint()?;
            let mut pairs = Vec::with_capacity(count.min(ITEMS_RESERVED));
            for _ in 0..count {
                let key = text(r.prefixed()?)?.to_owned();
                pairs.push((key, take_json(r, depth + 1)?));
            }
            Json::Object(pairs)
        }
        _ => {
            return Err(CodecError::Corrupt {
                what: "not a jsonb value",
            });
        }
    })
}
