//! The words every other crate speaks: ids, values, types, rows, errors and hard ceilings.
//!
//! Owns: the vocabulary of the data plane and the pure conversions of a value to and from its PostgreSQL
//! text and binary forms, which the wire, COPY, HTTP and casts must agree on.
//! Asked by: everything. Never: does I/O, reads a clock, knows a protocol or a table.

pub mod binary;
pub mod datatype;
pub mod error;
pub mod ids;
pub mod json;
pub mod limits;
pub mod marks;
pub mod network;
pub mod numeric;
pub mod order;
pub mod record;
pub mod row;
pub mod sqlstate;
pub mod text;
pub mod time;
pub mod value;

pub use datatype::DataType;
pub use error::{Error, Result};
pub use ids::*;
pub use json::Json;
pub use numeric::Numeric;
pub use record::{Record, RecordField};
pub use row::{Column, Row, RowBatch, Schema};
pub use sqlstate::SqlState;
pub use value::{Array, EnumValue, Interval, Reg, Value};
