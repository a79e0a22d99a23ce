//! Keys whose bytes compare as their values do.
//!
//! Owns: the order-preserving form. Byte comparison of two keys of the same types is `types::order::compare_as` of their
//! values, column by column, ascending, NULL last. Each value ends by itself (no encoding is a prefix of another), so the
//! bytes of the first columns are a prefix of exactly the keys that begin with those values.
//!
//! ```text
//! value   = 0x01 body | 0x02 (NULL)
//! bool    = 1 byte             ints, date, time, timestamps = big endian, sign bit flipped      oid = big endian
//! float   = IEEE bits, negative ones inverted, others with the sign bit set; -0 as 0, one NaN, highest
//! text    = bytes, 0x00 as 00 FF, then 00 00 (bytea too; bpchar without its trailing blanks)
//! numeric = class (10 -inf, 20 negative, 30 zero, 40 positive, 50 inf, 60 NaN), then for 20 and 40: decimal exponent
//!           + 2^23 in 3 bytes, digits in pairs + 1, 00; inverted for 20
//! interval= its span in microseconds (months of 30 days) as 16 bytes, sign bit flipped        uuid = 16 bytes
//! array   = values of the element type (each 01 … or 02), then 00       jsonb = see `key_json`
//! ```
//!
//! Parts of an index may lie otherwise (`Order`): descending ones have all their bits turned round, a NULL that comes before what
//! is ascending (or after what is descending) is 00 before that.
//!
//! What compares equal has equal bytes (1.0 and 1.00, 1 mon and 30 days), so decoding may give the normal form of a
//! value; the row keeps the exact one. Bounds: `KEY_BYTES_MAX` a key.

use super::CodecError;
use super::bytes::Reader;
use super::key_json::{put_json, take_json};
use super::key_number::{put_numeric, take_numeric};
use std::sync::Arc;
use types::limits::KEY_BYTES_MAX;
use types::network::{Inet, Mac, Mac8};
use types::order::{span, trimmed};
use types::{Array, DataType, EnumValue, Interval, PartitionId, Reg, Result, Row, Value};

/// First byte of a value that is not NULL.
pub const PRESENT: u8 = 0x01;
/// The whole of a NULL.
pub const NULL: u8 = 0x02;

/// A NULL before all values.
const NULL_LOW: u8 = 0x00;

/// Ends the items of an array; below both markers, so that a shorter array sorts first.
const END: u8 = 0x00;

/// Appends the key of `values`, the first `values.len()` columns of a key of `types`. 54000 when longer than
/// `KEY_BYTES_MAX` (then `out` is as before).
pub fn encode(values: &[Value], types: &[DataType], out: &mut Vec<u8>) -> Result<()> {
    let start = out.len();
    let mut run = || -> Result<(), CodecError> {
        for (i, v) in values.iter().enumerate() {
            let ty = types.get(i).copied().unwrap_or(DataType::Void);
            put_value(v, ty, out)?;
        }
        match out.len() - start {
            bytes if bytes > KEY_BYTES_MAX => Err(CodecError::KeyTooLong { bytes }),
            _ => Ok(()),
        }
    };
    let done = run();
    if done.is_err() {
        out.truncate(start);
    }
    Ok(done?)
}

/// In which order a part of a key lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Order {
    pub descending: bool,
    pub nulls_first: bool,
}

impl Order {
    /// The marker of NULL before anything is turned round.
    fn null(self) -> u8 {
        match self.nulls_first == self.descending {
            true => NULL,
            false => NULL_LOW,
        }
    }

    /// The byte that every value but NULL begins with.
    pub fn present(self) -> u8 {
        match self.descending {
            true => !PRESENT,
            false => PRESENT,
        }
    }
}

/// Appends one value of a key whose bytes lie in an order of their own.
pub fn encode_ordered(value: &Value, ty: DataType, order: Order, out: &mut Vec<u8>) -> Result<()> {
    let start = out.len();
    match value.is_null() {
        true => out.push(order.null()),
        false => encode_one(value, ty, out)?,
    }
    if order.descending {
        // No value's bytes begin another's, so turned round they are in the opposite order.
        out[start..].iter_mut().for_each(|b| *b = !*b);
    }
    Ok(())
}

/// Appends one column's value.
pub fn encode_one(value: &Value, ty: DataType, out: &mut Vec<u8>) -> Result<()> {
    encode(std::slice::from_ref(value), &[ty], out)
}

/// The values of a key, in normal form where several values share one encoding. Bytes after the last type are ignored.
pub fn decode(bytes: &[u8], types: &[DataType]) -> Result<Row> {
    let mut r = Reader::new(bytes);
    let mut row = Vec::with_capacity(types.len());
    for ty in types {
        row.push(take_value(&mut r, *ty)?);
    }
    Ok(row)
}

/// Whether decoding gives the value that was encoded, not only one that compares equal.
pub fn is_exact(ty: DataType) -> bool {
    matches!(
        ty,
        DataType::Bool
            | DataType::Int2
            | DataType::Int4
            | DataType::Int8
            | DataType::Oid
            | DataType::Text
            | DataType::Varchar
            | DataType::Name
            | DataType::Bytea
            | DataType::Date
            | DataType::Time
            | DataType::Timestamp
            | DataType::Timestamptz
            | DataType::Uuid
            | DataType::Inet
            | DataType::Cidr
            | DataType::Macaddr
            | DataType::Macaddr8
    )
}

/// How many bytes the first `types.len()` values of a key take.
pub fn prefix_len(bytes: &[u8], types: &[DataType]) -> Result<usize> {
    let mut r = Reader::new(bytes);
    for ty in types {
        take_value(&mut r, *ty)?;
    }
    Ok(bytes.len() - r.rest().len())
}

/// The least byte string above every key that begins with `prefix`; `None` when there is none.
pub fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let keep = prefix.iter().rposition(|b| *b != 0xff)?;
    let mut end = prefix[..=keep].to_vec();
    end[keep] += 1;
    Some(end)
}

/// The partition that owns a key: xxh3 of its bytes scaled to `0..partitions`. Part of the disk format.
pub fn partition(key_bytes: &[u8], partitions: u16) -> PartitionId {
    let hash = xxhash_rust::xxh3::xxh3_64(key_bytes);
    PartitionId(((u128::from(hash) * u128::from(partitions)) >> 64) as u16)
}

fn put_value(v: &Value, ty: DataType, out: &mut Vec<u8>) -> Result<(), CodecError> {
    if v.is_null() {
        out.push(NULL);
        return Ok(());
    }
    out.push(PRESENT);
    let mismatch = CodecError::Type { expected: ty };
    match (ty, v) {
        (DataType::Int2 | DataType::Int4 | DataType::Int8, _) => {
            return put_integer(v, ty, out);
        }
        (DataType::Bool, Value::Bool(b)) => out.push(u8::from(*b)),
        (DataType::Bpchar, Value::Text(s)) => put_bytes(trimmed(s), out),
        (
            DataType::Text
            | DataType::Varchar
            | DataType::Name
            | DataType::InternalChar
            | DataType::Jsonpath
            | DataType::Unknown,
            Value::Text(s),
        ) => put_bytes(s.as_bytes(), out),
        (DataType::Bytea, Value::Bytea(b)) => put_bytes(b, out),
        (DataType::Date, Value::Date(d)) => put_i32(*d, out),
        (DataType::Time, Value::Time(t))
        | (DataType::Timestamp, Value::Timestamp(t))
        | (DataType::Timestamptz, Value::Timestamptz(t)) => put_i64(*t, out),
        (DataType::Float4, Value::Float4(f)) => put_f32(*f, out),
        (DataType::Float8, Value::Float8(f)) => put_f64(*f, out),
        (DataType::Numeric, Value::Numeric(n)) => put_numeric(n, out),
        (DataType::Interval, Value::Interval(i)) => {
            let flipped = (span(i) as u128) ^ (1 << 127);
            out.extend_from_slice(&flipped.to_be_bytes());
        }
        (DataType::Uuid, Value::Uuid(u)) => out.extend_from_slice(u.as_bytes()),
        (DataType::Inet | DataType::Cidr, Value::Inet(i)) => put_inet(i, out),
        (DataType::Macaddr, Value::Macaddr(m)) => out.extend_from_slice(&m.0),
        (DataType::Macaddr8, Value::Macaddr8(m)) => out.extend_from_slice(&m.0),
        (DataType::Jsonb, Value::Jsonb(j)) => put_json(j, out),
        (DataType::Enum(_), Value::Enum(e)) => put_i64(e.order, out),
        (DataType::Json, Value::Json(s)) => put_bytes(s.as_bytes(), out),
        (DataType::Oid, Value::Oid(oid)) => out.extend_from_slice(&oid.to_be_bytes()),
        (_, Value::Reg(r)) if ty.is_reg() || ty == DataType::Oid => {
            out.extend_from_slice(&r.oid.to_be_bytes());
        }
        (_, Value::Array(a)) => {
            let element = ty.element().ok_or(mismatch)?;
            for item in &a.items {
                put_value(item, element, out)?;
            }
            out.push(END);
        }
        _ => return Err(mismatch),
    }
    Ok(())
}

/// Integers of any width, stored in the column's.
fn put_integer(v: &Value, ty: DataType, out: &mut Vec<u8>) -> Result<(), CodecError> {
    let mismatch = || CodecError::Type { expected: ty };
    let wide = v.as_i64().ok_or_else(mismatch)?;
    match ty {
        DataType::Int2 => {
            let v = i16::try_from(wide).map_err(|_| mismatch())?;
            out.extend_from_slice(&((v as u16) ^ (1 << 15)).to_be_bytes());
        }
        DataType::Int4 => put_i32(i32::try_from(wide).map_err(|_| mismatch())?, out),
        _ => put_i64(wide, out),
    }
    Ok(())
}

/// How many bytes an address has, the network's bits, how many they are, the whole address.
fn put_inet(i: &Inet, out: &mut Vec<u8>) {
    let octets = i.octets();
    out.push(octets.len() as u8);
    out.extend_from_slice(&i.network().octets());
    out.push(i.bits());
    out.extend_from_slice(&octets);
}

fn take_inet(r: &mut Reader<'_>, cidr: bool) -> Result<Inet, CodecError> {
    let size = usize::from(r.u8()?);
    r.take(size)?;
    let bits = r.u8()?;
    let octets = r.take(size)?;
    Inet::from_octets(octets, bits, cidr).ok_or(CodecError::Corrupt {
        what: "not an address",
    })
}

fn put_i32(v: i32, out: &mut Vec<u8>) {
    out.extend_from_slice(&((v as u32) ^ (1 << 31)).to_be_bytes());
}

fn put_i64(v: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&((v as u64) ^ (1 << 63)).to_be_bytes());
}

fn put_f32(v: f32, out: &mut Vec<u8>) {
    // Widening keeps the order and is exact, but costs four bytes; the same rule fits 32 bits.
    let v = if v.is_nan() { f32::NAN.abs() } else { v + 0.0 };
    let bits = v.to_bits();
    let key = if bits >> 31 == 1 {
        !bits
    } else {
        bits | (1 << 31)
    };
    out.extend_from_slice(&key.to_be_bytes());
}

fn put_f64(v: f64, out: &mut Vec<u8>) {
    // Adding zero turns -0 into 0.
    let v = if v.is_nan() { f64::NAN.abs() } else { v + 0.0 };
    let bits = v.to_bits();
    let key = if bits >> 63 == 1 {
        !bits
    } else {
        bits | (1 << 63)
    };
    out.extend_from_slice(&key.to_be_bytes());
}

/// Bytes that end by themselves: 00 becomes 00 FF, 00 00 ends.
pub(super) fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    let mut rest = bytes;
    while let Some(zero) = rest.iter().position(|b| *b == 0) {
        out.extend_from_slice(&rest[..=zero]);
        out.push(0xff);
        rest = &rest[zero + 1..];
    }
    out.extend_from_slice(rest);
    out.extend_from_slice(&[0, 0]);
}

pub(super) fn take_bytes(r: &mut Reader<'_>) -> Result<Vec<u8>, CodecError> {
    let mut out = Vec::new();
    loop {
        match r.u8()? {
            0 => match r.u8()? {
                0 => return Ok(out),
                _ => out.push(0),
            },
            b => out.push(b),
        }
    }
}

pub(super) fn take_text(r: &mut Reader<'_>) -> Result<String, CodecError> {
    String::from_utf8(take_bytes(r)?).map_err(|_| CodecError::Corrupt {
        what: "text that is not UTF-8",
    })
}

fn take_value(r: &mut Reader<'_>, ty: DataType) -> Result<Value, CodecError> {
    match r.u8()? {
        NULL => Ok(Value::Null),
        PRESENT => take_body(r, ty),
        _ => Err(CodecError::Corrupt {
            what: "not a key value",
        }),
    }
}

fn take_body(r: &mut Reader<'_>, ty: DataType) -> Result<Value, CodecError> {
    Ok(match ty {
        DataType::Bool => Value::Bool(r.u8()? != 0),
        DataType::Int2 => Value::Int2((u16::from_be_bytes(r.array()?) ^ (1 << 15)) as i16),
        DataType::Int4 => Value::Int4(take_i32(r)?),
        DataType::Int8 => Value::Int8(take_i64(r)?),
        DataType::Date => Value::Date(take_i32(r)?),
        DataType::Time => Value::Time(take_i64(r)?),
        DataType::Timestamp => Value::Timestamp(take_i64(r)?),
        DataType::Timestamptz => Value::Timestamptz(take_i64(r)?),
        DataType::Float4 => {
            let key = u32::from_be_bytes(r.array()?);
            let bits = if key >> 31 == 1 {
                key ^ (1 << 31)
            } else {
                !key
            };
            Value::Float4(f32::from_bits(bits))
        }
        DataType::Float8 => {
            let key = u64::from_be_bytes(r.array()?);
            let bits = if key >> 63 == 1 {
                key ^ (1 << 63)
            } else {
                !key
            };
            Value::Float8(f64::from_bits(bits))
        }
        DataType::Numeric => Value::Numeric(take_numeric(r)?),
        DataType::Text
        | DataType::Varchar
        | DataType::Bpchar
        | DataType::Name
        | DataType::InternalChar
        | DataType::Jsonpath
        | DataType::Unknown => Value::Text(take_text(r)?.into()),
        DataType::Bytea => Value::Bytea(take_bytes(r)?.into()),
        DataType::Interval => {
            let span = (u128::from_be_bytes(r.array()?) ^ (1 << 127)) as i128;
            Value::Interval(interval_of(span))
        }
        DataType::Uuid => Value::Uuid(uuid::Uuid::from_bytes(r.array()?)),
        DataType::Inet | DataType::Cidr => Value::Inet(take_inet(r, ty == DataType::Cidr)?),
        DataType::Macaddr => Value::Macaddr(Mac(r.array()?)),
        DataType::Macaddr8 => Value::Macaddr8(Mac8(r.array()?)),
        DataType::Jsonb => Value::Jsonb(Arc::new(take_json(r)?)),
        DataType::Json => Value::Json(take_text(r)?.into()),
        DataType::Oid => Value::Oid(u32::from_be_bytes(r.array()?)),
        ty if ty.is_reg() => {
            let oid = u32::from_be_bytes(r.array()?);
            let name = Arc::from(oid.to_string());
            Value::Reg(Reg { oid, name })
        }
        DataType::Void => Value::Null,
        DataType::Enum(ty) => Value::Enum(EnumValue {
            ty,
            order: take_i64(r)?,
        }),
        array => take_items(r, array)?,
    })
}

fn take_items(r: &mut Reader<'_>, ty: DataType) -> Result<Value, CodecError> {
    let element = ty.element().ok_or(CodecError::Corrupt {
        what: "not an array",
    })?;
    let mut items = Vec::new();
    loop {
        match r.u8()? {
            END => return Ok(Value::Array(Arc::new(Array { element, items }))),
            NULL => items.push(Value::Null),
            PRESENT => items.push(take_body(r, element)?),
            _ => {
                return Err(CodecError::Corrupt {
                    what: "not an array item",
                });
            }
        }
    }
}

fn take_i32(r: &mut Reader<'_>) -> Result<i32, CodecError> {
    Ok((u32::from_be_bytes(r.array()?) ^ (1 << 31)) as i32)
}

fn take_i64(r: &mut Reader<'_>) -> Result<i64, CodecError> {
    Ok((u64::from_be_bytes(r.array()?) ^ (1 << 63)) as i64)
}

/// An interval of this span: as many months as fit, then days, then microseconds.
fn interval_of(span: i128) -> Interval {
    const DAY: i128 = 86_400_000_000;
    let months = clamp_i32(span / (DAY * 30));
    let rest = span - i128::from(months) * DAY * 30;
    let days = clamp_i32(rest / DAY);
    let rest = rest - i128::from(days) * DAY;
    Interval {
        months,
        days,
        micros: rest.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64,
    }
}

fn clamp_i32(v: i128) -> i32 {
    v.clamp(i128::from(i32::MIN), i128::from(i32::MAX)) as i32
}
