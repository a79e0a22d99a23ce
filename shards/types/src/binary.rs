//! Values to and from PostgreSQL's binary form.
//!
//! Owns: the send and receive functions of every type. Asked by: the wire and binary COPY.
//! Bounds: every length is checked before it is used; what is not the type's form is 22P03, never a panic.
//! Source: PostgreSQL 15's type send and receive functions; numeric as `numeric_send` (base 10000).

mod numeric;

use crate::network::{Inet, Mac, Mac8};
use crate::{Array, DataType, Error, Interval, Json, Record, Reg};
use crate::{Result, SqlState, Value, json, time};
use std::sync::Arc;

/// jsonb's version byte.
const JSONB_VERSION: u8 = 1;

/// Appends the binary form. NULL appends nothing: its form is the caller's.
pub fn encode(v: &Value, ty: DataType, out: &mut Vec<u8>) {
    match v {
        Value::Null => {}
        Value::Bool(b) => out.push(u8::from(*b)),
        Value::Int2(v) => out.extend_from_slice(&v.to_be_bytes()),
        Value::Int4(v) | Value::Date(v) => out.extend_from_slice(&v.to_be_bytes()),
        Value::Int8(v) | Value::Time(v) | Value::Timestamp(v) | Value::Timestamptz(v) => {
            out.extend_from_slice(&v.to_be_bytes());
        }
        Value::Float4(v) => out.extend_from_slice(&v.to_be_bytes()),
        Value::Float8(v) => out.extend_from_slice(&v.to_be_bytes()),
        Value::Numeric(n) => numeric::encode(n, out),
        Value::Text(s) if ty == DataType::Jsonpath => {
            out.push(JSONB_VERSION);
            out.extend_from_slice(s.as_bytes());
        }
        Value::Text(s) | Value::Json(s) => out.extend_from_slice(s.as_bytes()),
        Value::Bytea(b) => out.extend_from_slice(b),
        Value::Interval(i) => {
            out.extend_from_slice(&i.micros.to_be_bytes());
            out.extend_from_slice(&i.days.to_be_bytes());
            out.extend_from_slice(&i.months.to_be_bytes());
        }
        Value::Uuid(u) => out.extend_from_slice(u.as_bytes()),
        Value::Inet(i) => i.to_wire(out),
        Value::Macaddr(m) => out.extend_from_slice(&m.0),
        Value::Macaddr8(m) => out.extend_from_slice(&m.0),
        Value::Jsonb(j) => {
            out.push(JSONB_VERSION);
            let mut text = String::new();
            j.write(&mut text);
            out.extend_from_slice(text.as_bytes());
        }
        Value::Oid(oid) => out.extend_from_slice(&oid.to_be_bytes()),
        Value::Reg(r) => out.extend_from_slice(&r.oid.to_be_bytes()),
        // Its label takes its place before it gets here.
        Value::Enum(e) => out.extend_from_slice(&e.order.to_be_bytes()),
        Value::Array(a) => encode_array(a, ty.element().unwrap_or(a.element), out),
        Value::Record(r) => encode_record(r, out),
    }
}

fn encode_record(r: &Record, out: &mut Vec<u8>) {
    out.extend_from_slice(&(r.values().len() as i32).to_be_bytes());
    for (field, value) in r.pairs() {
        out.extend_from_slice(&field.ty.oid().to_be_bytes());
        encode_item(value, field.ty, out);
    }
}

/// A value with its length before it.
fn encode_item(item: &Value, ty: DataType, out: &mut Vec<u8>) {
    if item.is_null() {
        return out.extend_from_slice(&(-1i32).to_be_bytes());
    }
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    encode(item, ty, out);
    let len = (out.len() - at - 4) as i32;
    out[at..at + 4].copy_from_slice(&len.to_be_bytes());
}

fn encode_array(a: &Array, element: DataType, out: &mut Vec<u8>) {
    let nulls = a.items.iter().any(Value::is_null);
    let dimensions: i32 = if a.items.is_empty() { 0 } else { 1 };
    out.extend_from_slice(&dimensions.to_be_bytes());
    out.extend_from_slice(&i32::from(nulls).to_be_bytes());
    out.extend_from_slice(&element.oid().to_be_bytes());
    if a.items.is_empty() {
        return;
    }
    out.extend_from_slice(&(a.items.len() as i32).to_be_bytes());
    out.extend_from_slice(&1i32.to_be_bytes());
    for item in &a.items {
        encode_item(item, element, out);
    }
}

/// 22P03.
pub(crate) fn malformed(what: impl Into<String>) -> Error {
    Error::new(SqlState::INVALID_BINARY_REPRESENTATION, what)
}

fn wrong_size() -> Error {
    malformed("incorrect binary data format")
}

fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N]> {
    bytes.try_into().map_err(|_| wrong_size())
}

/// Reads one value that takes all of `bytes`.
pub fn decode(bytes: &[u8], ty: DataType) -> Result<Value> {
    Ok(match ty {
        DataType::Bool => Value::Bool(fixed::<1>(bytes)?[0] != 0),
        DataType::Int2 => Value::Int2(i16::from_be_bytes(fixed(bytes)?)),
        DataType::Int4 => Value::Int4(i32::from_be_bytes(fixed(bytes)?)),
        DataType::Int8 => Value::Int8(i64::from_be_bytes(fixed(bytes)?)),
        DataType::Float4 => Value::Float4(f32::from_be_bytes(fixed(bytes)?)),
        DataType::Float8 => Value::Float8(f64::from_be_bytes(fixed(bytes)?)),
        DataType::Numeric => Value::Numeric(numeric::decode(bytes)?),
        // Who has the catalog finds an enum's label.
        DataType::Text
        | DataType::Varchar
        | DataType::Bpchar
        | DataType::Unknown
        | DataType::Enum(_) => Value::from(utf8(bytes)?),
        DataType::Name => Value::from(crate::text::cut_identifier(utf8(bytes)?)),
        DataType::InternalChar => Value::from(letter(bytes)?),
        DataType::Bytea => Value::Bytea(bytes.into()),
        DataType::Date => Value::Date(date(i32::from_be_bytes(fixed(bytes)?))?),
        DataType::Time => Value::Time(time_of_day(i64::from_be_bytes(fixed(bytes)?))?),
        DataType::Timestamp => Value::Timestamp(timestamp(i64::from_be_bytes(fixed(bytes)?))?),
        DataType::Timestamptz => Value::Timestamptz(timestamp(i64::from_be_bytes(fixed(bytes)?))?),
        DataType::Inet | DataType::Cidr => Value::Inet(Inet::from_wire(bytes, ty)?),
        DataType::Macaddr => Value::Macaddr(Mac(fixed(bytes)?)),
        DataType::Macaddr8 if bytes.len() == 6 => Value::Macaddr8(Mac(fixed(bytes)?).into()),
        DataType::Macaddr8 => Value::Macaddr8(Mac8(fixed(bytes)?)),
        DataType::Interval => interval(&fixed::<16>(bytes)?),
        DataType::Uuid => Value::Uuid(uuid::Uuid::from_bytes(fixed(bytes)?)),
        DataType::Jsonb => Value::Jsonb(Arc::new(jsonb(bytes)?)),
        DataType::Json => {
            let text = utf8(bytes)?;
            json::raw::check(text)?;
            Value::Json(text.into())
        }
        DataType::Jsonpath => match bytes.split_first() {
            Some((&JSONB_VERSION, text)) => {
                Value::from(json::path::JsonPath::parse(utf8(text)?)?.to_string())
            }
            _ => return Err(malformed("unsupported jsonpath version number")),
        },
        DataType::Oid => Value::Oid(u32::from_be_bytes(fixed(bytes)?)),
        // So does he the types of a row's fields.
        DataType::Composite(_) => Value::Bytea(bytes.into()),
        DataType::Record => {
            return Err(Error::unsupported(
                "input of anonymous composite types is not implemented",
            ));
        }
        ty if ty.is_reg() => {
            let oid = u32::from_be_bytes(fixed(bytes)?);
            let name = match DataType::from_oid(oid) {
                Some(t) if ty == DataType::Regtype => Arc::from(t.sql_name()),
                _ => Arc::from(oid.to_string()),
            };
            Value::Reg(Reg { oid, name })
        }
        DataType::Void => Value::Null,
        DataType::EnumArray(_) => match decode_array(bytes, ty)? {
            Value::Array(a) => Value::Array(Arc::new(Array {
                element: DataType::Text,
                items: a.items.clone(),
            })),
            other => other,
        },
        array => decode_array(bytes, array)?,
    })
}

fn letter(bytes: &[u8]) -> Result<&str> {
    let text = utf8(bytes)?;
    if text.len() != 1 && text.chars().count() != 1 {
        return Err(wrong_size());
    }
    Ok(text.trim_end_matches('\0'))
}

fn utf8(bytes: &[u8]) -> Result<&str> {
    let invalid = |at: usize| {
        let shown: Vec<String> = bytes[at..]
            .iter()
            .take(4)
            .map(|b| format!("0x{b:02x}"))
            .collect();
        Error::new(
            SqlState::CHARACTER_NOT_IN_REPERTOIRE,
            format!(
                "invalid byte sequence for encoding \"UTF8\": {}",
                shown.join(" ")
            ),
        )
    };
    let text = std::str::from_utf8(bytes).map_err(|e| invalid(e.valid_up_to()))?;
    match bytes.iter().position(|b| *b == 0) {
        None => Ok(text),
        Some(_) => Err(Error::new(
            SqlState::CHARACTER_NOT_IN_REPERTOIRE,
            "invalid byte sequence for encoding \"UTF8\": 0x00",
        )),
    }
}

fn date(days: i32) -> Result<i32> {
    if !time::is_finite_date(days) {
        return Ok(days);
    }
    time::check_date(i64::from(days))
}

fn time_of_day(micros: i64) -> Result<i64> {
    if (0..=time::MICROS_PER_DAY).contains(&micros) {
        return Ok(micros);
    }
    Err(Error::new(
        SqlState::DATETIME_FIELD_OVERFLOW,
        "time out of range",
    ))
}

fn timestamp(micros: i64) -> Result<i64> {
    if !time::is_finite(micros) {
        return Ok(micros);
    }
    time::check_timestamp(i128::from(micros))
}

fn interval(b: &[u8; 16]) -> Value {
    let [
        m0,
        m1,
        m2,
        m3,
        m4,
        m5,
        m6,
        m7,
        d0,
        d1,
        d2,
        d3,
        n0,
        n1,
        n2,
        n3,
    ] = *b;
    Value::Interval(Interval {
        micros: i64::from_be_bytes([m0, m1, m2, m3, m4, m5, m6, m7]),
        days: i32::from_be_bytes([d0, d1, d2, d3]),
        months: i32::from_be_bytes([n0, n1, n2, n3]),
    })
}

fn jsonb(bytes: &[u8]) -> Result<Json> {
    match bytes.split_first() {
        Some((&JSONB_VERSION, text)) => Json::parse(utf8(text)?),
        Some((version, _)) => Err(Error::internal(format!(
            "unsupported jsonb version number {version}"
        ))),
        None => Err(short()),
    }
}

fn short() -> Error {
    Error::new(
        SqlState::PROTOCOL_VIOLATION,
        "insufficient data left in message",
    )
}

/// Big-endian fields off the front of a message.
pub(super) fn take<'a, const N: usize>(bytes: &mut &'a [u8]) -> Result<&'a [u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>().ok_or_else(short)?;
    *bytes = rest;
    Ok(head)
}

/// The bytes of each field of a row whose fields have these types.
pub fn record_items<'a>(bytes: &'a [u8], types: &[DataType]) -> Result<Vec<Option<&'a [u8]>>> {
    let mut rest = bytes;
    let count = i32::from_be_bytes(*take::<4>(&mut rest)?);
    if usize::try_from(count) != Ok(types.len()) {
        let expected = types.len();
        let message = format!("wrong number of columns: {count}, expected {expected}");
        return Err(Error::new(SqlState::DATATYPE_MISMATCH, message));
    }
    let mut items = Vec::with_capacity(types.len());
    for (n, ty) in types.iter().enumerate() {
        let oid = u32::from_be_bytes(*take::<4>(&mut rest)?);
        if oid != ty.oid() {
            let message = format!(
                "binary data has type {oid} ({}) instead of expected {} ({ty}) in record column {}",
                DataType::from_oid(oid).map_or("unknown", DataType::sql_name),
                ty.oid(),
                n + 1
            );
            return Err(Error::new(SqlState::DATATYPE_MISMATCH, message));
        }
        items.push(item(&mut rest)?);
    }
    match rest {
        [] => Ok(items),
        _ => Err(wrong_size()),
    }
}

/// The bytes behind a length; `None` of NULL.
fn item<'a>(rest: &mut &'a [u8]) -> Result<Option<&'a [u8]>> {
    let len = i32::from_be_bytes(*take::<4>(rest)?);
    if len == -1 {
        return Ok(None);
    }
    let len = usize::try_from(len).map_err(|_| wrong_size())?;
    let (item, tail) = rest.split_at_checked(len).ok_or_else(short)?;
    *rest = tail;
    Ok(Some(item))
}

fn decode_array(bytes: &[u8], ty: DataType) -> Result<Value> {
    let element = ty
        .element()
        .ok_or_else(|| Error::internal(format!("{ty} is not an array type")))?;
    let mut rest = bytes;
    let int = |rest: &mut &[u8]| take::<4>(rest).map(|b| i32::from_be_bytes(*b));
    let dimensions = int(&mut rest)?;
    let flags = int(&mut rest)?;
    let oid = u32::from_be_bytes(*take::<4>(&mut rest)?);
    if !(0..=1).contains(&flags) {
        return Err(malformed("invalid array flags"));
    }
    if oid != element.oid() {
        return Err(Error::new(
            SqlState::DATATYPE_MISMATCH,
            format!(
                "binary data has array element type {oid} ({}) instead of expected {} ({element})",
                DataType::from_oid(oid).map_or("unknown", DataType::sql_name),
                element.oid(),
            ),
        ));
    }
    let mut items = Vec::new();
    match dimensions {
        0 => {}
        1 => {
            let count = int(&mut rest)?;
            if int(&mut rest)? != 1 {
                return Err(Error::unsupported(
                    "arrays with a lower bound other than 1 are not supported",
                ));
            }
            for _ in 0..count {
                let item = item(&mut rest)?;
                items.push(item.map_or(Ok(Value::Null), |item| decode(item, element))?);
            }
        }
        d if d > 0 => {
            return Err(Error::unsupported(
                "multidimensional arrays are not supported",
            ));
        }
        d => return Err(malformed(format!("invalid number of dimensions: {d}"))),
    }
    if !rest.is_empty() {
        return Err(wrong_size());
    }
    Ok(Value::Array(Arc::new(Array { element, items })))
}
