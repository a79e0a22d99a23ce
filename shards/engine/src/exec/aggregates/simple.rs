//! count, min, max, and the boolean and bit aggregates: states of one value.

use super::Accumulator;
use crate::exec::batch::Column;
use std::cmp::Ordering;
use types::{Error, Result, Value, order};

/// The accumulators of this file, by unique name.
pub fn accumulator(func: &str) -> Option<Box<dyn Accumulator>> {
    let fold = |f: fn(&Value, &Value) -> Result<Value>| {
        Some(Box::new(Fold {
            state: Value::Null,
            f,
        }) as Box<dyn Accumulator>)
    };
    match func {
        "count" => Some(Box::new(Count(0))),
        "min_bpchar" => fold(|a, b| Ok(pick(a, b, padded(a, b)? != Ordering::Greater))),
        "max_bpchar" => fold(|a, b| Ok(pick(a, b, padded(a, b)? != Ordering::Less))),
        "bool_and" | "every" => fold(|a, b| logic(a, b, |a, b| a && b)),
        "bool_or" => fold(|a, b| logic(a, b, |a, b| a || b)),
        _ if func.starts_with("min_") => {
            fold(|a, b| Ok(pick(a, b, order::compare(a, b) != Ordering::Greater)))
        }
        _ if func.starts_with("max_") => {
            fold(|a, b| Ok(pick(a, b, order::compare(a, b) != Ordering::Less)))
        }
        _ if func.starts_with("bit_and_") => fold(|a, b| bits(a, b, |a, b| a & b)),
        _ if func.starts_with("bit_or_") => fold(|a, b| bits(a, b, |a, b| a | b)),
        _ if func.starts_with("bit_xor_") => fold(|a, b| bits(a, b, |a, b| a ^ b)),
        _ => None,
    }
}

/// count(x) without NULLs; count(*) is given no arguments.
struct Count(i64);

impl Accumulator for Count {
    fn update(&mut self, args: &[Value]) -> Result<()> {
        if args.first().is_none_or(|v| !v.is_null()) {
            self.0 += 1;
        }
        Ok(())
    }

    fn update_many(&mut self, column: Option<&Column<'_>>, rows: &[u32]) -> Result<()> {
        let nulls = column.and_then(|c| c.vector.nulls.as_ref());
        let counted = match nulls {
            None => rows.len(),
            Some(nulls) => rows.iter().filter(|r| !nulls[**r as usize]).count(),
        };
        self.0 += counted as i64;
        Ok(())
    }

    fn remove(&mut self, args: &[Value]) -> Result<bool> {
        if args.first().is_none_or(|v| !v.is_null()) {
            self.0 -= 1;
        }
        Ok(true)
    }

    fn partial(&self) -> Value {
        Value::Int8(self.0)
    }

    fn merge(&mut self, partial: &Value) -> Result<()> {
        match partial {
            Value::Int8(n) => self.0 += n,
            other => return Err(bad_state(other)),
        }
        Ok(())
    }

    fn finish(&self) -> Result<Value> {
        Ok(Value::Int8(self.0))
    }

    fn memory(&self) -> usize {
        size_of::<Self>()
    }
}

/// NULL until the first value, then one value that each next one may replace; the state is its own partial form.
struct Fold {
    state: Value,
    f: fn(&Value, &Value) -> Result<Value>,
}

impl Accumulator for Fold {
    fn update(&mut self, args: &[Value]) -> Result<()> {
        match args {
            [v] => self.merge(v),
            _ => Err(Error::internal("an aggregate of one argument")),
        }
    }

    fn partial(&self) -> Value {
        self.state.clone()
    }

    fn merge(&mut self, partial: &Value) -> Result<()> {
        if partial.is_null() {
            return Ok(());
        }
        self.state = if self.state.is_null() {
            partial.clone()
        } else {
            (self.f)(&self.state, partial)?
        };
        Ok(())
    }

    fn finish(&self) -> Result<Value> {
        Ok(self.state.clone())
    }

    fn memory(&self) -> usize {
        size_of::<Self>() + self.state.memory()
    }
}

fn pick(a: &Value, b: &Value, first: bool) -> Value {
    if first { a.clone() } else { b.clone() }
}

fn padded(a: &Value, b: &Value) -> Result<Ordering> {
    match (a, b) {
        (Value::Text(a), Value::Text(b)) => {
            Ok(a.trim_end_matches(' ').cmp(b.trim_end_matches(' ')))
        }
        _ => Err(bad_state(b)),
    }
}

fn logic(a: &Value, b: &Value, f: fn(bool, bool) -> bool) -> Result<Value> {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => Ok(Value::Bool(f(*a, *b))),
        _ => Err(bad_state(b)),
    }
}

fn bits(a: &Value, b: &Value, f: fn(i64, i64) -> i64) -> Result<Value> {
    match (a, b) {
        (Value::Int2(a), Value::Int2(b)) => Ok(Value::Int2(f(i64::from(*a), i64::from(*b)) as i16)),
        (Value::Int4(a), Value::Int4(b)) => Ok(Value::Int4(f(i64::from(*a), i64::from(*b)) as i32)),
        (Value::Int8(a), Value::Int8(b)) => Ok(Value::Int8(f(*a, *b))),
        _ => Err(bad_state(b)),
    }
}

#[cold]
pub fn bad_state(v: &Value) -> Error {
    Error::internal(format!("not an aggregate's state: {v:?}"))
}
