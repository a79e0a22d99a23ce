//! Rows as values: what they are called and typed, what they hold, and how deep they are inside each other.
//!
//! Owns: the construction, which is where nesting is counted. Asked by: the functions that make rows, codecs, the binder (for
//! the shape of a row that a statement makes). Never: finds the columns of a named type; the catalog does. A record of a named
//! type that comes from disk has no names in it, so who needs them asks the catalog.
//! Bounds: `limits::RECORD_DEPTH_MAX` records inside each other, arrays of them counted through; one more is 54001.

use crate::{DataType, Error, Result, SqlState, Value, limits};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A row: of a named type, or of what a statement says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// `Record` or `Composite`.
    ty: DataType,
    fields: Arc<[RecordField]>,
    /// As many as there are fields.
    values: Vec<Value>,
    depth: u8,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordField {
    pub name: Arc<str>,
    pub ty: DataType,
}

impl RecordField {
    pub fn new(name: impl Into<Arc<str>>, ty: DataType) -> RecordField {
        RecordField {
            name: name.into(),
            ty,
        }
    }
}

impl Record {
    /// 54001 for one inside too many others.
    pub fn new(ty: DataType, fields: Arc<[RecordField]>, values: Vec<Value>) -> Result<Record> {
        if fields.len() != values.len() {
            return Err(Error::internal("a record of another number of values"));
        }
        let inside = values.iter().map(depth).max().unwrap_or(0);
        if usize::from(inside) >= limits::RECORD_DEPTH_MAX {
            return Err(Error::new(
                SqlState::STATEMENT_TOO_COMPLEX,
                format!(
                    "more than {} records inside each other",
                    limits::RECORD_DEPTH_MAX
                ),
            ));
        }
        Ok(Record {
            ty,
            fields,
            values,
            depth: inside + 1,
        })
    }

    /// NULL in each field: says what rows look like.
    pub fn template(ty: DataType, fields: Vec<RecordField>) -> Record {
        let values = vec![Value::Null; fields.len()];
        Record {
            ty,
            fields: fields.into(),
            values,
            depth: 1,
        }
    }

    /// The same row with other values in it.
    pub fn with(&self, values: Vec<Value>) -> Result<Record> {
        Record::new(self.ty, self.fields.clone(), values)
    }

    pub fn ty(&self) -> DataType {
        self.ty
    }

    pub fn fields(&self) -> &Arc<[RecordField]> {
        &self.fields
    }

    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// Values with their fields.
    pub fn pairs(&self) -> impl ExactSizeIterator<Item = (&RecordField, &Value)> {
        self.fields.iter().zip(&self.values)
    }

    pub fn memory(&self) -> usize {
        64 + self.values.iter().map(Value::memory).sum::<usize>()
    }
}

fn depth(v: &Value) -> u8 {
    match v {
        Value::Record(r) => r.depth,
        Value::Array(a) if a.element.is_record() => a.items.iter().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(inside: Value) -> Result<Value> {
        let fields = Arc::from([RecordField::new("f1", DataType::Record)]);
        Record::new(DataType::Record, fields, vec![inside]).map(|r| Value::Record(Arc::new(r)))
    }

    #[test]
    fn so_many_records_are_inside_each_other_and_no_more() {
        let mut value = Value::Int4(1);
        for _ in 0..limits::RECORD_DEPTH_MAX {
            value = around(value).unwrap();
        }
        let e = around(value.clone()).unwrap_err();
        assert_eq!(e.code(), SqlState::STATEMENT_TOO_COMPLEX);
        let array = Value::Array(Arc::new(crate::Array {
            element: DataType::Record,
            items: vec![Value::Null, value],
        }));
        assert!(around(array).is_err());
    }
}
