//! The total order of values and a hash that agrees with it.
//!
//! Owns: SQL's comparison of two values of one type (or of one family: numbers; strings). Asked by: operators that sort,
//! group and join, comparison functions, and the tests of `engine::codec::key`, whose bytes keep this order.
//! Rules: NULL last; NaN above every number and equal to itself, -0 = 0; text by bytes (C collation); bpchar without
//! its trailing blanks; jsonb, arrays and rows as PostgreSQL orders them; intervals with months of 30 days of 24 hours.
//! Never: converts with loss: an integer and a float compare exactly.

use crate::{DataType, Interval, Json, Numeric, Record, Value};
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

/// Order of two values; Null after everything.
pub fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Int4(a), Value::Int4(b)) => a.cmp(b),
        (Value::Int8(a), Value::Int8(b)) => a.cmp(b),
        (Value::Text(a), Value::Text(b)) | (Value::Json(a), Value::Json(b)) => {
            a.as_bytes().cmp(b.as_bytes())
        }
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Null, _) => Ordering::Greater,
        (_, Value::Null) => Ordering::Less,
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Bytea(a), Value::Bytea(b)) => a.cmp(b),
        (Value::Date(a), Value::Date(b)) => a.cmp(b),
        (Value::Time(a), Value::Time(b)) => a.cmp(b),
        (
            Value::Timestamp(a) | Value::Timestamptz(a),
            Value::Timestamp(b) | Value::Timestamptz(b),
        ) => a.cmp(b),
        (Value::Interval(a), Value::Interval(b)) => span(a).cmp(&span(b)),
        (Value::Uuid(a), Value::Uuid(b)) => a.cmp(b),
        (Value::Enum(a), Value::Enum(b)) => a.order.cmp(&b.order),
        (Value::Inet(a), Value::Inet(b)) => a.compare(b),
        (Value::Macaddr(a), Value::Macaddr(b)) => a.cmp(b),
        (Value::Macaddr8(a), Value::Macaddr8(b)) => a.cmp(b),
        (Value::Jsonb(a), Value::Jsonb(b)) => compare_json(a, b),
        (Value::Array(a), Value::Array(b)) => {
            let bpchar = a.element == DataType::Bpchar;
            compare_items(&a.items, &b.items, bpchar)
        }
        (Value::Record(a), Value::Record(b)) => compare_records(a, b),
        _ => match (number(a), number(b)) {
            (Some(a), Some(b)) => compare_numbers(&a, &b),
            _ => kind(a).cmp(&kind(b)),
        },
    }
}

/// As `compare`, for values of this type: bpchar (and arrays of it) ignore trailing blanks.
pub fn compare_as(ty: DataType, a: &Value, b: &Value) -> Ordering {
    match (ty, a, b) {
        (DataType::Bpchar, Value::Text(a), Value::Text(b)) => trimmed(a).cmp(trimmed(b)),
        (DataType::BpcharArray, Value::Array(a), Value::Array(b)) => {
            compare_items(&a.items, &b.items, true)
        }
        _ => compare(a, b),
    }
}

/// Values that compare equal hash equally, across the number types too.
pub fn hash(v: &Value, state: &mut impl Hasher) {
    match v {
        Value::Null => state.write_u8(0),
        Value::Bool(b) => b.hash(state),
        Value::Text(s) | Value::Json(s) => s.as_bytes().hash(state),
        Value::Bytea(b) => b.hash(state),
        Value::Date(d) => d.hash(state),
        Value::Time(t) | Value::Timestamp(t) | Value::Timestamptz(t) => t.hash(state),
        Value::Interval(i) => span(i).hash(state),
        Value::Uuid(u) => u.as_bytes().hash(state),
        Value::Enum(e) => e.order.hash(state),
        Value::Inet(i) => (i.address(), i.bits()).hash(state),
        Value::Macaddr(m) => m.hash(state),
        Value::Macaddr8(m) => m.hash(state),
        Value::Jsonb(j) => hash_json(j, state),
        Value::Array(a) => {
            state.write_usize(a.items.len());
            for item in &a.items {
                hash_as(a.element, item, state);
            }
        }
        Value::Record(r) => {
            state.write_usize(r.values().len());
            r.pairs().for_each(|(f, v)| hash_as(f.ty, v, state));
        }
        Value::Int2(_)
        | Value::Int4(_)
        | Value::Int8(_)
        | Value::Float4(_)
        | Value::Float8(_)
        | Value::Numeric(_)
        | Value::Oid(_)
        | Value::Reg(_) => {
            if let Some(n) = number(v) {
                hash_number(&n, state);
            }
        }
    }
}

/// `hash` in agreement with `compare_as`.
pub fn hash_as(ty: DataType, v: &Value, state: &mut impl Hasher) {
    match (ty, v) {
        (DataType::Bpchar, Value::Text(s)) => trimmed(s).hash(state),
        _ => hash(v, state),
    }
}

/// The bytes of a bpchar that count.
pub fn trimmed(s: &str) -> &[u8] {
    s.trim_end_matches(' ').as_bytes()
}

/// Microseconds of an interval with months of 30 days and days of 24 hours: what it compares by.
pub fn span(i: &Interval) -> i128 {
    let days = i128::from(i.months) * 30 + i128::from(i.days);
    days * 86_400_000_000 + i128::from(i.micros)
}

fn compare_items(a: &[Value], b: &[Value], bpchar: bool) -> Ordering {
    let ty = if bpchar {
        DataType::Bpchar
    } else {
        DataType::Text
    };
    a.iter()
        .zip(b)
        .map(|(a, b)| compare_as(ty, a, b))
        .find(|o| o.is_ne())
        .unwrap_or(a.len().cmp(&b.len()))
}

/// By their fields from the left, then the shorter first.
fn compare_records(a: &Record, b: &Record) -> Ordering {
    a.pairs()
        .zip(b.values())
        .map(|((field, a), b)| compare_as(field.ty, a, b))
        .find(|o| o.is_ne())
        .unwrap_or(a.values().len().cmp(&b.values().len()))
}

enum Number<'a> {
    Int(i64),
    Float(f64),
    Numeric(&'a Numeric),
}

fn number(v: &Value) -> Option<Number<'_>> {
    Some(match v {
        Value::Float4(f) => Number::Float(f64::from(*f)),
        Value::Float8(f) => Number::Float(*f),
        Value::Numeric(n) => Number::Numeric(n),
        other => Number::Int(other.as_i64()?),
    })
}

fn compare_numbers(a: &Number<'_>, b: &Number<'_>) -> Ordering {
    match (a, b) {
        (Number::Int(a), Number::Int(b)) => a.cmp(b),
        (Number::Float(a), Number::Float(b)) => compare_floats(*a, *b),
        (Number::Numeric(a), Number::Numeric(b)) => a.compare(b),
        (Number::Int(a), Number::Float(b)) => compare_int_float(*a, *b),
        (Number::Float(a), Number::Int(b)) => compare_int_float(*b, *a).reverse(),
        (Number::Int(a), Number::Numeric(b)) => Numeric::from(*a).compare(b),
        (Number::Numeric(a), Number::Int(b)) => a.compare(&Numeric::from(*b)),
        (Number::Float(a), Number::Numeric(b)) => exact(*a).compare(b),
        (Number::Numeric(a), Number::Float(b)) => a.compare(&exact(*b)),
    }
}

/// NaN highest and equal to itself; -0 = 0.
pub fn compare_floats(a: f64, b: f64) -> Ordering {
    match a.partial_cmp(&b) {
        Some(o) => o,
        None => a.is_nan().cmp(&b.is_nan()),
    }
}

fn compare_int_float(a: i64, b: f64) -> Ordering {
    if b.is_nan() || b >= 9.3e18 {
        return Ordering::Less;
    }
    if b <= -9.3e18 {
        return Ordering::Greater;
    }
    // |b| < 2^64 here: its whole part is exact in an i128.
    let whole = b.trunc();
    i128::from(a)
        .cmp(&(whole as i128))
        .then(compare_floats(0.0, b - whole))
}

/// A float's exact decimal value.
fn exact(v: f64) -> Numeric {
    if v.is_nan() {
        return Numeric::NaN;
    }
    if v.is_infinite() {
        return if v > 0.0 {
            Numeric::Infinity
        } else {
            Numeric::NegInfinity
        };
    }
    // The shortest exact form: at most 1,074 decimals.
    format!("{v:.1074}").parse().unwrap_or(Numeric::NaN)
}

fn hash_number(n: &Number<'_>, state: &mut impl Hasher) {
    let float = match n {
        Number::Int(i) => return i.hash(state),
        Number::Float(f) => *f,
        Number::Numeric(n) => match n.as_integer() {
            Some(i) => return i.hash(state),
            None => n.to_f64(),
        },
    };
    if float.fract() == 0.0 && (-9.2e18..9.2e18).contains(&float) {
        return (float as i64).hash(state);
    }
    if float.is_nan() {
        return state.write_u64(u64::MAX);
    }
    float.to_bits().hash(state);
}

/// Values of different families never meet in a typed plan; this keeps the order total all the same.
fn kind(v: &Value) -> u8 {
    match v {
        Value::Bool(_) => 1,
        Value::Int2(_)
        | Value::Int4(_)
        | Value::Int8(_)
        | Value::Float4(_)
        | Value::Float8(_)
        | Value::Numeric(_)
        | Value::Oid(_)
        | Value::Reg(_) => 2,
        Value::Text(_) => 3,
        Value::Bytea(_) => 4,
        Value::Date(_) => 5,
        Value::Time(_) => 6,
        Value::Timestamp(_) | Value::Timestamptz(_) => 7,
        Value::Interval(_) => 8,
        Value::Uuid(_) => 9,
        Value::Jsonb(_) => 10,
        Value::Array(_) => 11,
        Value::Json(_) => 12,
        Value::Enum(_) => 13,
        Value::Record(_) => 14,
        Value::Inet(_) => 15,
        Value::Macaddr(_) => 16,
        Value::Macaddr8(_) => 17,
        Value::Null => 18,
    }
}

/// jsonb's order at the top level, where an empty array sorts below everything (a quirk PostgreSQL keeps).
pub fn compare_json(a: &Json, b: &Json) -> Ordering {
    let empty = |j: &Json| matches!(j, Json::Array(items) if items.is_empty());
    match (empty(a), empty(b)) {
        (true, true) => Ordering::Equal,
        // Only scalars and arrays are both stored as arrays; an object is above an array either way.
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => compare_nested(a, b),
    }
}

fn compare_nested(a: &Json, b: &Json) -> Ordering {
    match (a, b) {
        (Json::String(a), Json::String(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Json::Number(a), Json::Number(b)) => a.compare(b),
        (Json::Bool(a), Json::Bool(b)) => a.cmp(b),
        (Json::Array(a), Json::Array(b)) => a.len().cmp(&b.len()).then_with(|| {
            a.iter()
                .zip(b)
                .map(|(a, b)| compare_nested(a, b))
                .find(|o| o.is_ne())
                .unwrap_or(Ordering::Equal)
        }),
        (Json::Object(a), Json::Object(b)) => a.len().cmp(&b.len()).then_with(|| {
            a.iter()
                .zip(b)
                .map(|(a, b)| {
                    let keys = a.0.as_bytes().cmp(b.0.as_bytes());
                    keys.then_with(|| compare_nested(&a.1, &b.1))
                })
                .find(|o| o.is_ne())
                .unwrap_or(Ordering::Equal)
        }),
        _ => json_rank(a).cmp(&json_rank(b)),
    }
}

fn json_rank(j: &Json) -> u8 {
    match j {
        Json::Null => 0,
        Json::String(_) => 1,
        Json::Number(_) => 2,
        Json::Bool(_) => 3,
        Json::Array(_) => 4,
        Json::Object(_) => 5,
    }
}

fn hash_json(j: &Json, state: &mut impl Hasher) {
    state.write_u8(json_rank(j));
    match j {
        Json::Null => {}
        Json::Bool(b) => b.hash(state),
        Json::Number(n) => hash_number(&Number::Numeric(n), state),
        Json::String(s) => s.hash(state),
        Json::Array(items) => {
            state.write_usize(items.len());
            items.iter().for_each(|i| hash_json(i, state));
        }
        Json::Object(pairs) => {
            state.write_usize(pairs.len());
            for (key, value) in pairs {
                key.hash(state);
                hash_json(value, state);
            }
        }
    }
}
