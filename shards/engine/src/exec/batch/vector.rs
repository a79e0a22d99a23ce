//! The values of one expression for some rows.
//!
//! Owns: their form: one machine type a vector, and which of them are NULL. A NULL's place holds any value. Texts are places in the
//! bytes of the rows (`codec::columns`). Never: owns bytes of a text.

use types::{DataType, Error, Numeric, Result, Value};

#[derive(Clone, Debug)]
pub struct Vector {
    pub(crate) data: Data,
    /// `None`: there is no NULL.
    pub(crate) nulls: Option<Vec<bool>>,
}

#[derive(Clone, Debug)]
pub enum Data {
    /// Integers of any width, dates, times.
    Ints(Vec<i64>),
    Floats(Vec<f64>),
    /// Mantissas of one scale.
    Decimals(Vec<i64>, u16),
    Numerics(Vec<Numeric>),
    /// Begin and length.
    Texts(Vec<(u32, u32)>),
    Bools(Vec<bool>),
}

impl Vector {
    pub(crate) fn of(data: Data) -> Vector {
        Vector { data, nulls: None }
    }

    pub(crate) fn is_null(&self, at: usize) -> bool {
        self.nulls.as_ref().is_some_and(|n| n[at])
    }
}

/// A vector with what its values mean.
pub struct Column<'a> {
    pub(crate) vector: &'a Vector,
    pub(crate) ty: DataType,
    /// What texts are places in.
    pub(crate) bytes: &'a [u8],
}

impl<'a> Column<'a> {
    pub(crate) fn text(&self, (from, n): (u32, u32)) -> Option<&'a [u8]> {
        self.bytes.get(from as usize..(from + n) as usize)
    }

    /// As evaluation would have given it.
    pub(crate) fn value(&self, at: usize) -> Result<Value> {
        if self.vector.is_null(at) {
            return Ok(Value::Null);
        }
        Ok(match &self.vector.data {
            Data::Bools(v) => Value::Bool(v[at]),
            Data::Floats(v) => Value::Float8(v[at]),
            Data::Decimals(v, scale) => Value::Numeric(Numeric::Small(v[at], *scale)),
            Data::Numerics(v) => Value::Numeric(v[at].clone()),
            Data::Texts(v) => {
                let text = self.text(v[at]).and_then(|b| std::str::from_utf8(b).ok());
                Value::from(text.ok_or_else(|| Error::internal("a vector of other texts"))?)
            }
            Data::Ints(v) => match self.ty {
                DataType::Int2 => Value::Int2(v[at] as i16),
                DataType::Int4 => Value::Int4(v[at] as i32),
                DataType::Int8 => Value::Int8(v[at]),
                DataType::Date => Value::Date(v[at] as i32),
                DataType::Time => Value::Time(v[at]),
                DataType::Timestamp => Value::Timestamp(v[at]),
                DataType::Timestamptz => Value::Timestamptz(v[at]),
                ty => return Err(Error::internal(format!("a vector of {ty}"))),
            },
        })
    }
}
