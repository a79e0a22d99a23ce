//! Short names for the values that catalog rows are made of.

use crate::catalog::Table;
use std::sync::Arc;
use types::{Array, DataType, Reg, Value};

/// The owner of everything: the one user there is.
pub const OWNER: u32 = 10;

/// `pg_database_owner`, the owner of the schema `public`: a role that the owner of the database is a member of.
pub const DATABASE_OWNER: u32 = 6171;

pub fn oid(v: u32) -> Value {
    Value::Oid(v)
}

/// Name, text, varchar.
pub fn text(v: &str) -> Value {
    Value::from(v)
}

/// `"char"`.
pub fn ch(v: &'static str) -> Value {
    Value::from(v)
}

pub fn yes(v: bool) -> Value {
    Value::Bool(v)
}

pub fn int2(v: i16) -> Value {
    Value::Int2(v)
}

pub fn int4(v: i32) -> Value {
    Value::Int4(v)
}

pub fn null() -> Value {
    Value::Null
}

/// regproc: the oid of a function and its name; (0, "-") is none.
pub fn proc(oid: u32, name: &str) -> Value {
    Value::Reg(Reg {
        oid,
        name: Arc::from(name),
    })
}

pub fn no_proc() -> Value {
    proc(0, "-")
}

pub fn array(element: DataType, items: Vec<Value>) -> Value {
    Value::Array(Arc::new(Array { element, items }))
}

/// Attribute numbers (1-based) of columns (0-based).
pub fn attnums(table: &Table, columns: &[usize]) -> Value {
    let present = columns.iter().filter_map(|c| table.columns.get(*c));
    let items = present.map(|c| Value::Int2(c.number));
    array(DataType::Int2, items.collect())
}
