//! Rows that say their own types: what operators put aside in temporary files.
//!
//! ```text
//! | values: varint | value … |
//! value = | tag: 1 byte | as in `row` |      array = | tag | type of the elements, as in `record` | items: varint | value … |
//! ```
//!
//! Owns: the form. Asked by: `exec::spill`. Never: outlives the process that wrote it, so it has no version.
//! Items of an array carry tags of their own: an aggregate's state is an array of different types.
//! Bounds: arrays nest `DEPTH_MAX` deep; bytes that are not ours give XX001, never a panic.

use super::CodecError;
use super::bytes::{Reader, put_varint};
use super::record::{self, put_type, take_type};
use super::row::{put_value, take_value};
use std::sync::Arc;
use types::{Array, DataType, EnumValue, Result, Row, Value};

/// Rows inside a state inside a row; no more is ever written.
const DEPTH_MAX: usize = 8;
/// Room made for values before any is seen, so that a damaged count cannot take memory.
const VALUES_RESERVED: usize = 256;

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const ARRAY: u8 = 3;

/// Types by tag, from `FIRST` on.
const FIRST: u8 = 4;
const TYPES: [DataType; 21] = [
    DataType::Int2,
    DataType::Int4,
    DataType::Int8,
    DataType::Float4,
    DataType::Float8,
    DataType::Numeric,
    DataType::Text,
    DataType::Bytea,
    DataType::Date,
    DataType::Time,
    DataType::Timestamp,
    DataType::Timestamptz,
    DataType::Interval,
    DataType::Uuid,
    DataType::Jsonb,
    DataType::Oid,
    DataType::Json,
    DataType::Inet,
    DataType::Cidr,
    DataType::Macaddr,
    DataType::Macaddr8,
];
/// All kinds of `reg…` are one kind of value.
const REG: u8 = FIRST + TYPES.len() as u8;
/// An enum: the oid of its type, then its place.
const ENUM: u8 = REG + 1;
/// A row, behind its length.
const RECORD: u8 = ENUM + 1;

/// Appends the row.
pub fn encode(row: &[Value], out: &mut Vec<u8>) {
    put_varint(row.len(), out);
    row.iter().for_each(|v| put(v, out));
}

/// The row of exactly these bytes.
pub fn decode(bytes: &[u8]) -> Result<Row> {
    let mut r = Reader::new(bytes);
    let row = take_values(&mut r, 0)?;
    if !r.rest().is_empty() {
        return Err(corrupt("it goes on after its end").into());
    }
    Ok(row)
}

fn put(v: &Value, out: &mut Vec<u8>) {
    let tag = match v {
        Value::Null => return out.push(NULL),
        Value::Bool(b) => return out.push(if *b { TRUE } else { FALSE }),
        Value::Array(a) => {
            out.push(ARRAY);
            put_type(a.element, out);
            return encode(&a.items, out);
        }
        Value::Int2(_) => 0,
        Value::Int4(_) => 1,
        Value::Int8(_) => 2,
        Value::Float4(_) => 3,
        Value::Float8(_) => 4,
        Value::Numeric(_) => 5,
        Value::Text(_) => 6,
        Value::Bytea(_) => 7,
        Value::Date(_) => 8,
        Value::Time(_) => 9,
        Value::Timestamp(_) => 10,
        Value::Timestamptz(_) => 11,
        Value::Interval(_) => 12,
        Value::Uuid(_) => 13,
        Value::Jsonb(_) => 14,
        Value::Oid(_) => 15,
        Value::Json(_) => 16,
        Value::Inet(i) => 17 + u8::from(i.is_cidr()),
        Value::Macaddr(_) => 19,
        Value::Macaddr8(_) => 20,
        Value::Reg(_) => 21,
        Value::Enum(e) => {
            out.push(ENUM);
            out.extend_from_slice(&e.ty.to_le_bytes());
            out.extend_from_slice(&e.order.to_le_bytes());
            return;
        }
        Value::Record(_) => {
            out.push(RECORD);
            return put_value(v, out);
        }
    };
    out.push(FIRST + tag);
    put_value(v, out);
}

fn take_values(r: &mut Reader<'_>, depth: usize) -> Result<Vec<Value>, CodecError> {
    let count = r.varint()?;
    let mut values = Vec::with_capacity(count.min(VALUES_RESERVED));
    for _ in 0..count {
        values.push(take(r, depth)?);
    }
    Ok(values)
}

fn take(r: &mut Reader<'_>, depth: usize) -> Result<Value, CodecError> {
    match r.u8()? {
        NULL => Ok(Value::Null),
        FALSE => Ok(Value::Bool(false)),
        TRUE => Ok(Value::Bool(true)),
        ARRAY if depth >= DEPTH_MAX => Err(corrupt("arrays nested too deep")),
        ARRAY => {
            let element = take_type(r)?;
            let items = take_values(r, depth + 1)?;
            Ok(Value::Array(Arc::new(Array { element, items })))
        }
        ENUM => Ok(Value::Enum(EnumValue {
            ty: u32::from_le_bytes(r.array()?),
            order: i64::from_le_bytes(r.array()?),
        })),
        RECORD => record::take(&mut Reader::new(r.prefixed()?), 0),
        REG => take_value(r, DataType::Regclass),
        tag => match TYPES.get(usize::from(tag.wrapping_sub(FIRST))) {
            Some(ty) => take_value(r, *ty),
            None => Err(corrupt("a value of no type")),
        },
    }
}

fn corrupt(what: &'static str) -> CodecError {
    CodecError::Corrupt { what }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::{Interval, Json, Numeric, Record, RecordField, Reg};

    fn record(ty: DataType, name: &str, of: DataType, value: Value) -> Value {
        let fields = Arc::from([RecordField::new(name, of)]);
        Value::Record(Arc::new(Record::new(ty, fields, vec![value]).unwrap()))
    }

    fn samples() -> Row {
        let array = |element, items| Value::Array(Arc::new(Array { element, items }));
        vec![
            Value::Null,
            Value::Bool(true),
            Value::Bool(false),
            Value::Int2(-2),
            Value::Int4(i32::MIN),
            Value::Int8(i64::MAX),
            Value::Float4(-0.0),
            Value::Float8(f64::INFINITY),
            Value::Numeric(Numeric::from(-12_345_678_901_234_567_890i128)),
            Value::Numeric(Numeric::NaN),
            Value::from("grün"),
            Value::Bytea(Arc::from(&[0u8, 255][..])),
            Value::Date(-1),
            Value::Time(5),
            Value::Timestamp(i64::MIN),
            Value::Timestamptz(7),
            Value::Interval(Interval {
                months: 1,
                days: -2,
                micros: 3,
            }),
            Value::Uuid(uuid::Uuid::from_u128(99)),
            Value::Jsonb(Arc::new(Json::Array(vec![Json::Null, Json::Bool(true)]))),
            Value::Oid(17),
            Value::Json("[1, 2]".into()),
            Value::Enum(EnumValue {
                ty: 16400,
                order: -5,
            }),
            array(
                DataType::Enum(16400),
                vec![Value::Enum(EnumValue {
                    ty: 16400,
                    order: 7,
                })],
            ),
            Value::Reg(Reg {
                oid: 3,
                name: "t".into(),
            }),
            array(DataType::Int4, vec![Value::Int4(1), Value::Null]),
            record(DataType::Record, "a", DataType::Text, "x y".into()),
            array(
                DataType::Composite(16500),
                vec![
                    record(
                        DataType::Composite(16500),
                        "",
                        DataType::Enum(16400),
                        Value::Null,
                    ),
                    Value::Null,
                ],
            ),
            array(
                DataType::Unknown,
                vec![
                    Value::from("mixed"),
                    Value::Int8(1),
                    array(DataType::Unknown, vec![]),
                ],
            ),
        ]
    }

    #[test]
    fn a_row_comes_back_as_it_was() {
        let mut bytes = Vec::new();
        encode(&samples(), &mut bytes);
        assert_eq!(decode(&bytes).unwrap(), samples());
        bytes.clear();
        encode(&[], &mut bytes);
        assert_eq!(decode(&bytes).unwrap(), Row::new());
    }

    #[test]
    fn damaged_bytes_are_an_error_and_never_a_panic() {
        let mut bytes = Vec::new();
        encode(&samples(), &mut bytes);
        for end in 0..bytes.len() {
            assert!(decode(&bytes[..end]).is_err(), "cut at {end}");
        }
        for at in 0..bytes.len() {
            for flip in [1, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] ^= flip;
                let _ = decode(&damaged);
            }
        }
        let deep = [vec![1], [ARRAY, 0, 23, 0, 0, 0, 1].repeat(1000)].concat();
        assert!(decode(&deep).is_err());
    }
}
