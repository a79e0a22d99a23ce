//! OVERLAPS of two spans of time.
//!
//! Source: PostgreSQL 15, `overlaps_timestamp`.

use super::super::Function;
use DataType::*;
use types::{DataType, Value};

macro_rules! overlaps {
    ($($ty:ident $name:literal;)*) => {
        pub static FUNCTIONS: &[Function] = &[$(
            Function::new($name, &[$ty, $ty, $ty, $ty], Bool, |_, a| Ok(overlap(a))).sql("overlaps").lax(),
        )*];
    };
}

overlaps! {
    Timestamptz "overlaps_timestamptz";
    Timestamp "overlaps_timestamp";
    Time "overlaps_time";
}

fn micros(v: &Value) -> Option<i64> {
    match v {
        Value::Timestamptz(t) | Value::Timestamp(t) | Value::Time(t) => Some(*t),
        _ => None,
    }
}

/// Its ends in order; of one that is not known, the other is the first. `None`: neither is known.
fn span(a: &[Value]) -> Option<(i64, Option<i64>)> {
    match (micros(a.first()?), micros(a.get(1)?)) {
        (Some(from), Some(to)) => Some((from.min(to), Some(from.max(to)))),
        (Some(one), None) | (None, Some(one)) => Some((one, None)),
        (None, None) => None,
    }
}

fn overlap(a: &[Value]) -> Value {
    let (Some(first), Some(second)) = (a.get(..2).and_then(span), a.get(2..).and_then(span)) else {
        return Value::Null;
    };
    if first.0 == second.0 {
        return match (first.1, second.1) {
            (Some(_), Some(_)) => true.into(),
            _ => Value::Null,
        };
    }
    let (earlier, later) = match first.0 < second.0 {
        true => (first, second),
        false => (second, first),
    };
    match (earlier.1, later.1) {
        (None, _) => Value::Null,
        (Some(end), _) if later.0 < end => true.into(),
        (_, None) => Value::Null,
        _ => false.into(),
    }
}
