//! One SQL value in memory. The type is kept beside it (column, expression), not in it.

use crate::network::{Inet, Mac, Mac8};
use crate::{DataType, Json, Numeric, Record};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Cheap to clone: everything larger than a word is behind an `Arc`.
///
/// text, varchar, char(n) (padded), name and "char" are all `Text`. Equality here is structural (for tests and
/// deduplication of plans); SQL comparison is in `engine::exec`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Default)]
pub enum Value {
    #[default]
    Null,
    Bool(bool),
    Int2(i16),
    Int4(i32),
    Int8(i64),
    Float4(f32),
    Float8(f64),
    Numeric(Numeric),
    Text(Arc<str>),
    Bytea(Arc<[u8]>),
    /// Days since 2000-01-01; i32::MIN and i32::MAX are -infinity and infinity.
    Date(i32),
    /// Microseconds since midnight, 0..=86_400_000_000.
    Time(i64),
    /// Microseconds since 2000-01-01 00:00; i64::MIN and i64::MAX are -infinity and infinity.
    Timestamp(i64),
    /// Microseconds since 2000-01-01 00:00 UTC; infinities as above.
    Timestamptz(i64),
    Interval(Interval),
    Uuid(uuid::Uuid),
    Jsonb(Arc<Json>),
    Oid(u32),
    Reg(Reg),
    Array(Arc<Array>),
    /// json: valid, and kept as it was written.
    Json(Arc<str>),
    Enum(EnumValue),
    Record(Arc<Record>),
    /// inet and cidr.
    Inet(Inet),
    Macaddr(Mac),
    Macaddr8(Mac8),
}

/// A label of an enum, by its place: the label's text is in the catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EnumValue {
    /// The type's oid.
    pub ty: u32,
    /// Orders as the labels do; never changes while the label is there.
    pub order: i64,
}

/// PostgreSQL's three independent fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
pub struct Interval {
    pub months: i32,
    pub days: i32,
    pub micros: i64,
}

/// An oid alias with the name it prints as.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reg {
    pub oid: u32,
    pub name: Arc<str>,
}

/// One-dimensional array, lower bound 1 (so have `int2vector` and `oidvector`, whose first item is 0 in PostgreSQL).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Array {
    pub element: DataType,
    pub items: Vec<Value>,
}

impl Value {
    #[inline]
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    pub fn text(s: impl Into<Arc<str>>) -> Value {
        Value::Text(s.into())
    }

    /// Approximate memory in bytes, heap included.
    pub fn memory(&self) -> usize {
        size_of::<Value>()
            + match self {
                Value::Text(s) | Value::Json(s) => s.len() + 16,
                Value::Bytea(b) => b.len() + 16,
                Value::Numeric(n) => n.memory(),
                Value::Jsonb(j) => j.memory() + 16,
                Value::Reg(r) => r.name.len() + 16,
                Value::Array(a) => a.items.iter().map(Value::memory).sum::<usize>() + 48,
                Value::Record(r) => r.memory(),
                Value::Null
                | Value::Bool(_)
                | Value::Int2(_)
                | Value::Int4(_)
                | Value::Int8(_)
                | Value::Float4(_)
                | Value::Float8(_)
                | Value::Date(_)
                | Value::Time(_)
                | Value::Timestamp(_)
                | Value::Timestamptz(_)
                | Value::Interval(_)
                | Value::Uuid(_)
                | Value::Oid(_)
                | Value::Enum(_)
                | Value::Inet(_)
                | Value::Macaddr(_)
                | Value::Macaddr8(_) => 0,
            }
    }

    /// The value as a 64-bit integer where it is an integer or an oid.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Value::Int2(v) => Some(i64::from(*v)),
            Value::Int4(v) => Some(i64::from(*v)),
            Value::Int8(v) => Some(*v),
            Value::Oid(v) => Some(i64::from(*v)),
            Value::Reg(r) => Some(i64::from(r.oid)),
            _ => None,
        }
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Text(s) => Some(s),
            _ => None,
        }
    }
}

impl From<&str> for Value {
    fn from(s: &str) -> Value {
        Value::Text(s.into())
    }
}

impl From<String> for Value {
    fn from(s: String) -> Value {
        Value::Text(s.into())
    }
}

impl From<bool> for Value {
    fn from(b: bool) -> Value {
        Value::Bool(b)
    }
}

impl From<i32> for Value {
    fn from(v: i32) -> Value {
        Value::Int4(v)
    }
}

impl From<i64> for Value {
    fn from(v: i64) -> Value {
        Value::Int8(v)
    }
}
