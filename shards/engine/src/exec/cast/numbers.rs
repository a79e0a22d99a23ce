//! Conversions among numbers, and between numbers and boolean, oid, "char" and jsonb.

use super::cannot;
use crate::exec::functions::out_of_range;
use DataType::*;
use types::{DataType, Error, Json as Tree, Result, SqlState, Value};

pub fn convert(v: Value, from: DataType, to: DataType) -> Result<Value> {
    match (&v, to) {
        (Value::Jsonb(j), _) => match &**j {
            Tree::Number(n) => convert(Value::Numeric(n.clone()), Numeric, to),
            other => Err(bad_json(other, to)),
        },
        (Value::Int4(i), Bool) => Ok(Value::Bool(*i != 0)),
        (Value::Bool(b), Int4) => Ok(Value::Int4(i32::from(*b))),
        (Value::Int4(i), InternalChar) => internal_char(*i),
        (Value::Text(s), Int4) if from == InternalChar => Ok(Value::Int4(
            s.bytes().next().map_or(0, |b| i32::from(b as i8)),
        )),
        (Value::Oid(oid), Int4) => Ok(Value::Int4(*oid as i32)),
        (_, Int2 | Int4 | Int8) => integer(whole(&v, from, to)?, to),
        (_, Oid) => {
            let i = v.as_i64().ok_or_else(|| cannot(from, to))?;
            let oid = match v {
                // A negative integer is taken for the oid of the same bits.
                Value::Int4(i) => Some(i as u32),
                Value::Int2(i) => Some(i32::from(i) as u32),
                _ => u32::try_from(i).ok(),
            };
            oid.map(Value::Oid)
                .ok_or_else(|| out_of_range("OID out of range"))
        }
        (_, Float8) => Ok(Value::Float8(float(&v, from, to)?)),
        (_, Float4) => single(float(&v, from, to)?),
        (_, DataType::Numeric) => Ok(Value::Numeric(match &v {
            Value::Numeric(n) => n.clone(),
            Value::Float8(f) => types::Numeric::from_f64(*f),
            Value::Float4(f) => types::Numeric::from_f32(*f),
            _ => types::Numeric::from(v.as_i64().ok_or_else(|| cannot(from, to))?),
        })),
        _ => Err(cannot(from, to)),
    }
}

/// The nearest integer: halves go to even from a float, away from zero from NUMERIC.
fn whole(v: &Value, from: DataType, to: DataType) -> Result<i64> {
    match v {
        Value::Float8(f) => nearest(*f, to),
        Value::Float4(f) => nearest(f64::from(*f), to),
        Value::Numeric(n) => match n {
            types::Numeric::NaN => Err(Error::unsupported(format!("cannot convert NaN to {to}"))),
            types::Numeric::Infinity | types::Numeric::NegInfinity => Err(Error::unsupported(
                format!("cannot convert infinity to {to}"),
            )),
            finite => finite.round(0)?.to_i64().ok_or_else(|| too_large(to)),
        },
        other => other.as_i64().ok_or_else(|| cannot(from, to)),
    }
}

fn nearest(f: f64, to: DataType) -> Result<i64> {
    let rounded = f.round_ties_even();
    // 2^63 itself is out; -2^63 is in. NaN fails both.
    if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&rounded) {
        return Ok(rounded as i64);
    }
    Err(too_large(to))
}

fn integer(i: i64, to: DataType) -> Result<Value> {
    let value = match to {
        Int2 => i16::try_from(i).ok().map(Value::Int2),
        Int4 => i32::try_from(i).ok().map(Value::Int4),
        _ => Some(Value::Int8(i)),
    };
    value.ok_or_else(|| too_large(to))
}

fn float(v: &Value, from: DataType, to: DataType) -> Result<f64> {
    match v {
        Value::Float8(f) => Ok(*f),
        Value::Float4(f) => Ok(f64::from(*f)),
        Value::Numeric(n) => {
            let f = n.to_f64();
            if f.is_infinite() && n.is_finite() || f == 0.0 && !n.is_zero() {
                return Err(out_of_range_text(n, to));
            }
            Ok(f)
        }
        other => match other.as_i64() {
            Some(i) => Ok(i as f64),
            None => Err(cannot(from, to)),
        },
    }
}

fn single(f: f64) -> Result<Value> {
    let narrow = f as f32;
    if narrow.is_infinite() && f.is_finite() {
        return Err(out_of_range("value out of range: overflow"));
    }
    if narrow == 0.0 && f != 0.0 {
        return Err(out_of_range("value out of range: underflow"));
    }
    Ok(Value::Float4(narrow))
}

fn internal_char(i: i32) -> Result<Value> {
    let byte = i8::try_from(i).map_err(|_| out_of_range("\"char\" out of range"))?;
    if byte == 0 {
        return Ok("".into());
    }
    match u8::try_from(byte) {
        Ok(ascii) => Ok(char::from(ascii).to_string().into()),
        // Not a character of UTF-8 by itself: shown as PostgreSQL shows it.
        Err(_) => Ok(format!("\\{:03o}", byte as u8).into()),
    }
}

#[cold]
fn too_large(to: DataType) -> Error {
    out_of_range(match to {
        Int2 => "smallint out of range",
        Int4 => "integer out of range",
        _ => "bigint out of range",
    })
}

#[cold]
fn out_of_range_text(n: &types::Numeric, to: DataType) -> Error {
    Error::new(
        SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
        format!("\"{n}\" is out of range for type {to}"),
    )
}

#[cold]
pub fn bad_json(j: &Tree, to: DataType) -> Error {
    let what = match j {
        Tree::Null => "null",
        Tree::Bool(_) => "boolean",
        Tree::Number(_) => "numeric",
        Tree::String(_) => "string",
        Tree::Array(_) => "array",
        Tree::Object(_) => "object",
    };
    Error::new(
        SqlState::INVALID_PARAMETER_VALUE,
        format!("cannot cast jsonb {what} to type {to}"),
    )
}
