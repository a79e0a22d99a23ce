//! Array functions and operators.
//!
//! Arrays have one dimension and a lower bound of 1 (see `types::Array`); the empty array has none.
//! Source: PostgreSQL 15 manual, section 9.19.

use super::args::{self, check_size};
use super::{ANY_ARRAY, ANY_ELEMENT, Function, shown};
use crate::exec::Context;
use DataType::*;
use std::sync::Arc;
use types::{Array, DataType, Error, Result, SqlState, Value, order};

pub static FUNCTIONS: &[Function] = &[
    Function::new(
        "array_append",
        &[ANY_ARRAY, ANY_ELEMENT],
        ANY_ARRAY,
        |_, a| join(&a[0], &a[1]),
    )
    .op("||")
    .lax(),
    Function::new(
        "array_prepend",
        &[ANY_ELEMENT, ANY_ARRAY],
        ANY_ARRAY,
        |_, a| prepend(&a[0], &a[1]),
    )
    .op("||")
    .lax(),
    Function::new("array_cat", &[ANY_ARRAY, ANY_ARRAY], ANY_ARRAY, |_, a| {
        cat(&a[0], &a[1])
    })
    .op("||")
    .lax(),
    Function::new("arraycontains", &[ANY_ARRAY, ANY_ARRAY], Bool, |_, a| {
        Ok(contains(args::array(a, 0)?, args::array(a, 1)?).into())
    })
    .op("@>"),
    Function::new("arraycontained", &[ANY_ARRAY, ANY_ARRAY], Bool, |_, a| {
        Ok(contains(args::array(a, 1)?, args::array(a, 0)?).into())
    })
    .op("<@"),
    Function::new("arrayoverlap", &[ANY_ARRAY, ANY_ARRAY], Bool, |_, a| {
        Ok(overlap(args::array(a, 0)?, args::array(a, 1)?).into())
    })
    .op("&&"),
    Function::new(
        "array_slice",
        &[ANY_ARRAY, Int4, Int4],
        ANY_ARRAY,
        |_, a| {
            let array = args::array(a, 0)?;
            let (from, to) = (args::int4(a, 1)?, args::int4(a, 2)?);
            let from = usize::try_from(from.max(1)).unwrap_or(1) - 1;
            let to = usize::try_from(to.max(0))
                .unwrap_or(0)
                .min(array.items.len());
            let items = array.items.get(from..to).unwrap_or_default().to_vec();
            let element = array.element;
            Ok(Value::Array(Arc::new(Array { element, items })))
        },
    )
    .sql(""),
    Function::new("array_length", &[ANY_ARRAY, Int4], Int4, |_, a| {
        bound(a, |n| n)
    }),
    Function::new("array_upper", &[ANY_ARRAY, Int4], Int4, |_, a| {
        bound(a, |n| n)
    }),
    Function::new("array_lower", &[ANY_ARRAY, Int4], Int4, |_, a| {
        bound(a, |_| 1)
    }),
    Function::new(
        "array_upper_int2vector",
        &[Int2vector, Int4],
        Int4,
        |_, a| bound(a, |n| n - 1),
    )
    .sql("array_upper"),
    Function::new(
        "array_lower_int2vector",
        &[Int2vector, Int4],
        Int4,
        |_, a| bound(a, |_| 0),
    )
    .sql("array_lower"),
    Function::new("array_dims_int2vector", &[Int2vector], Text, |_, a| {
        Ok(dimensions(args::array(a, 0)?.items.len(), 0))
    })
    .sql("array_dims"),
    Function::new("array_upper_oidvector", &[Oidvector, Int4], Int4, |_, a| {
        bound(a, |n| n - 1)
    })
    .sql("array_upper"),
    Function::new("array_lower_oidvector", &[Oidvector, Int4], Int4, |_, a| {
        bound(a, |_| 0)
    })
    .sql("array_lower"),
    Function::new("array_dims_oidvector", &[Oidvector], Text, |_, a| {
        Ok(dimensions(args::array(a, 0)?.items.len(), 0))
    })
    .sql("array_dims"),
    Function::new("array_ndims", &[ANY_ARRAY], Int4, |_, a| {
        Ok(if args::array(a, 0)?.items.is_empty() {
            Value::Null
        } else {
            Value::Int4(1)
        })
    }),
    Function::new("array_dims", &[ANY_ARRAY], Text, |_, a| {
        Ok(dimensions(args::array(a, 0)?.items.len(), 1))
    }),
    Function::new("array_cardinality", &[ANY_ARRAY], Int4, |_, a| {
        count(args::array(a, 0)?.items.len())
    })
    .sql("cardinality"),
    Function::new(
        "width_bucket_array",
        &[ANY_ELEMENT, ANY_ARRAY],
        Int4,
        |_, a| {
            let thresholds = &args::array(a, 1)?.items;
            if thresholds.iter().any(Value::is_null) {
                return Err(Error::new(
                    SqlState::NULL_VALUE_NOT_ALLOWED,
                    "thresholds array must not contain NULLs",
                ));
            }
            count(thresholds.partition_point(|t| types::order::compare(t, &a[0]).is_le()))
        },
    )
    .sql("width_bucket"),
    Function::new("array_position", &[ANY_ARRAY, ANY_ELEMENT], Int4, |_, a| {
        position(a, 1)
    })
    .lax(),
    Function::new(
        "array_position_start",
        &[ANY_ARRAY, ANY_ELEMENT, Int4],
        Int4,
        |_, a| {
            if a[2].is_null() {
                return Err(Error::new(
                    SqlState::NULL_VALUE_NOT_ALLOWED,
                    "initial position must not be null",
                ));
            }
            position(a, args::int4(a, 2)?)
        },
    )
    .sql("array_position")
    .lax(),
    Function::new(
        "array_positions",
        &[ANY_ARRAY, ANY_ELEMENT],
        Int4Array,
        |_, a| positions(a),
    )
    .lax(),
    Function::new(
        "array_remove",
        &[ANY_ARRAY, ANY_ELEMENT],
        ANY_ARRAY,
        |_, a| remove(a),
    )
    .lax(),
    Function::new(
        "array_replace",
        &[ANY_ARRAY, ANY_ELEMENT, ANY_ELEMENT],
        ANY_ARRAY,
        |_, a| replace(a),
    )
    .lax(),
    Function::new(
        "array_fill",
        &[ANY_ELEMENT, Int4Array],
        ANY_ARRAY,
        |_, a| fill(a),
    )
    .lax(),
    Function::new("trim_array", &[ANY_ARRAY, Int4], ANY_ARRAY, |_, a| trim(a)),
    Function::new("array_to_text", &[ANY_ARRAY, Text], Text, |c, a| {
        to_text(c, a, None)
    })
    .sql("array_to_string")
    .stable(),
    Function::new(
        "array_to_text_null",
        &[ANY_ARRAY, Text, Text],
        Text,
        |c, a| {
            if a[0].is_null() || a[1].is_null() {
                return Ok(Value::Null);
            }
            let null = if a[2].is_null() {
                None
            } else {
                Some(args::text(a, 2)?)
            };
            to_text(c, a, null)
        },
    )
    .sql("array_to_string")
    .lax()
    .stable(),
];

fn make(like: &Array, items: Vec<Value>) -> Value {
    Value::Array(Arc::new(Array {
        element: like.element,
        items,
    }))
}

fn count(n: usize) -> Result<Value> {
    Ok(Value::Int4(i32::try_from(n).unwrap_or(i32::MAX)))
}

fn same(a: &Value, b: &Value) -> bool {
    match (a.is_null(), b.is_null()) {
        (false, false) => order::compare(a, b).is_eq(),
        (x, y) => x && y,
    }
}

fn single(element: &Value) -> Result<Value> {
    Ok(Value::Array(Arc::new(Array {
        element: super::natural_type(element),
        items: vec![element.clone()],
    })))
}

fn join(array: &Value, element: &Value) -> Result<Value> {
    let Value::Array(a) = array else {
        return single(element);
    };
    check_size(array.memory())?;
    let mut items = a.items.clone();
    items.push(element.clone());
    Ok(make(a, items))
}

fn prepend(element: &Value, array: &Value) -> Result<Value> {
    let Value::Array(a) = array else {
        return single(element);
    };
    check_size(array.memory())?;
    let items = std::iter::once(element).chain(&a.items).cloned().collect();
    Ok(make(a, items))
}

fn cat(left: &Value, right: &Value) -> Result<Value> {
    match (left, right) {
        (Value::Array(a), Value::Array(b)) => {
            check_size(left.memory() + right.memory())?;
            Ok(make(a, a.items.iter().chain(&b.items).cloned().collect()))
        }
        (Value::Null, other) | (other, _) => Ok(other.clone()),
    }
}

/// NULL elements match nothing.
fn contains(whole: &Array, part: &Array) -> bool {
    let has = |v: &Value| !v.is_null() && whole.items.iter().any(|w| !w.is_null() && same(w, v));
    part.items.iter().all(has)
}

fn overlap(a: &Array, b: &Array) -> bool {
    let has = |v: &Value| !v.is_null() && b.items.iter().any(|w| !w.is_null() && same(w, v));
    a.items.iter().any(has)
}

/// NULL for an empty array. Vectors begin with 0.
fn dimensions(n: usize, first: usize) -> Value {
    match n {
        0 => Value::Null,
        n => format!("[{first}:{}]", n + first - 1).into(),
    }
}

/// NULL for an empty array or any dimension but the first.
fn bound(a: &[Value], f: impl Fn(i32) -> i32) -> Result<Value> {
    let n = args::array(a, 0)?.items.len();
    if n == 0 || args::int4(a, 1)? != 1 {
        return Ok(Value::Null);
    }
    Ok(Value::Int4(f(i32::try_from(n).unwrap_or(i32::MAX))))
}

fn position(a: &[Value], start: i32) -> Result<Value> {
    let (Value::Array(array), Some(wanted)) = (&a[0], a.get(1)) else {
        return Ok(Value::Null);
    };
    let skip = usize::try_from(i64::from(start) - 1).unwrap_or(0);
    let at = array.items.iter().skip(skip).position(|v| same(v, wanted));
    at.map_or(Ok(Value::Null), |i| count(skip + i + 1))
}

fn positions(a: &[Value]) -> Result<Value> {
    let (Value::Array(array), Some(wanted)) = (&a[0], a.get(1)) else {
        return Ok(Value::Null);
    };
    let hits = (1i32..).zip(&array.items).filter(|(_, v)| same(v, wanted));
    Ok(Value::Array(Arc::new(Array {
        element: Int4,
        items: hits.map(|(i, _)| Value::Int4(i)).collect(),
    })))
}

fn remove(a: &[Value]) -> Result<Value> {
    let (Value::Array(array), Some(unwanted)) = (&a[0], a.get(1)) else {
        return Ok(Value::Null);
    };
    let kept = array.items.iter().filter(|v| !same(v, unwanted));
    Ok(make(array, kept.cloned().collect()))
}

fn replace(a: &[Value]) -> Result<Value> {
    let (Value::Array(array), Some(from), Some(to)) = (&a[0], a.get(1), a.get(2)) else {
        return Ok(Value::Null);
    };
    let swap = |v: &Value| if same(v, from) { to.clone() } else { v.clone() };
    Ok(make(array, array.items.iter().map(swap).collect()))
}

fn fill(a: &[Value]) -> Result<Value> {
    let [element, Value::Array(dimensions)] = a else {
        return Err(Error::new(
            SqlState::NULL_VALUE_NOT_ALLOWED,
            "dimension array or low bound array cannot be null",
        ));
    };
    let n = match dimensions.items.as_slice() {
        [] => 0,
        [Value::Int4(n)] => usize::try_from(*n).unwrap_or(0),
        _ => {
            return Err(Error::unsupported(
                "arrays of more than one dimension are not supported",
            ));
        }
    };
    check_size(n.saturating_mul(element.memory()))?;
    Ok(Value::Array(Arc::new(Array {
        element: super::natural_type(element),
        items: vec![element.clone(); n],
    })))
}

fn trim(a: &[Value]) -> Result<Value> {
    let array = args::array(a, 0)?;
    let have = array.items.len();
    let drop = usize::try_from(args::int4(a, 1)?)
        .ok()
        .filter(|n| *n <= have);
    let drop = drop.ok_or_else(|| {
        Error::new(
            SqlState(*b"2202E"),
            format!("number of elements to trim must be between 0 and {have}"),
        )
    })?;
    Ok(make(array, array.items[..have - drop].to_vec()))
}

/// NULL elements are left out unless `null` names a text for them.
fn to_text(ctx: &Context, a: &[Value], null: Option<&str>) -> Result<Value> {
    let (array, separator) = (args::array(a, 0)?, args::text(a, 1)?);
    let mut out = String::new();
    let mut first = true;
    for item in &array.items {
        let text = match (item.is_null(), null) {
            (true, None) => continue,
            (true, Some(null)) => null.into(),
            _ => shown(item, ctx),
        };
        if !first {
            out.push_str(separator);
        }
        out.push_str(&text);
        check_size(out.len())?;
        first = false;
    }
    Ok(out.into())
}
