//! Typed access to a function's arguments.
//!
//! Owns: the unwrapping of a `Value` whose variant the resolver has already guaranteed.
//! Asked by: the function bodies. Never: converts; a mismatch is an internal error, not a panic.

use std::sync::Arc;
use types::network::{Inet, Mac, Mac8};
use types::{Array, Error, Interval, Json, Numeric, Record, Result, Value, limits};

#[cold]
fn mismatch(args: &[Value], i: usize, wanted: &str) -> Error {
    Error::internal(match args.get(i) {
        Some(v) => format!("argument {} is {v:?}, not {wanted}", i + 1),
        None => format!("argument {} is missing", i + 1),
    })
}

/// Both operands of an infix function.
pub fn two(args: &[Value]) -> Result<(&Value, &Value)> {
    match args {
        [left, right] => Ok((left, right)),
        _ => Err(mismatch(args, 1, "an operand")),
    }
}

macro_rules! getters {
    ($($(#[$doc:meta])* $name:ident -> $ty:ty, $what:literal, $($pattern:pat => $value:expr),+;)*) => {
        $($(#[$doc])* pub fn $name(args: &[Value], i: usize) -> Result<$ty> {
            match args.get(i) {
                $(Some($pattern) => Ok($value),)+
                _ => Err(mismatch(args, i, $what)),
            }
        })*
    };
}

getters! {
    boolean -> bool, "boolean", Value::Bool(b) => *b;
    /// Any integer or oid.
    int -> i64, "integer",
        Value::Int4(v) => i64::from(*v), Value::Int8(v) => *v, Value::Int2(v) => i64::from(*v),
        Value::Oid(v) => i64::from(*v), Value::Reg(r) => i64::from(r.oid);
    int4 -> i32, "integer", Value::Int4(v) => *v;
    /// Either float.
    float -> f64, "double precision", Value::Float8(v) => *v, Value::Float4(v) => f64::from(*v);
    float4 -> f32, "real", Value::Float4(v) => *v;
    date -> i32, "date", Value::Date(v) => *v;
    time -> i64, "time", Value::Time(v) => *v;
    /// Either timestamp.
    timestamp -> i64, "timestamp", Value::Timestamp(v) => *v, Value::Timestamptz(v) => *v;
    interval -> Interval, "interval", Value::Interval(v) => *v;
    oid -> u32, "oid", Value::Oid(v) => *v, Value::Reg(r) => r.oid;
}

macro_rules! borrowers {
    ($($name:ident -> $ty:ty, $what:literal, $variant:ident;)*) => {
        $(pub fn $name(args: &[Value], i: usize) -> Result<&$ty> {
            match args.get(i) {
                Some(Value::$variant(v)) => Ok(v),
                _ => Err(mismatch(args, i, $what)),
            }
        })*
    };
}

borrowers! {
    text -> str, "text", Text;
    json -> str, "json", Json;
    bytea -> [u8], "bytea", Bytea;
    numeric -> Numeric, "numeric", Numeric;
    jsonb -> Json, "jsonb", Jsonb;
    array -> Array, "array", Array;
    record -> Record, "record", Record;
    inet -> Inet, "inet", Inet;
    macaddr -> Mac, "macaddr", Macaddr;
    macaddr8 -> Mac8, "macaddr8", Macaddr8;
}

pub fn make_numeric(n: Numeric) -> Value {
    Value::Numeric(n)
}

pub fn make_json(j: Json) -> Value {
    Value::Jsonb(Arc::new(j))
}

pub fn make_bytes(b: Vec<u8>) -> Value {
    Value::Bytea(b.into())
}

/// 54000 for a result that would be larger than a value may be.
pub fn check_size(bytes: usize) -> Result<()> {
    if bytes <= limits::VALUE_BYTES_MAX {
        return Ok(());
    }
    Err(Error::new(
        types::SqlState::PROGRAM_LIMIT_EXCEEDED,
        "requested length too large",
    ))
}
