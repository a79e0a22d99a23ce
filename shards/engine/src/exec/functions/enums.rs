//! enum_first, enum_last and enum_range.
//!
//! Their arguments only say which type is meant, and may be NULL: the binder adds the type's oid as one more.
//! Source: PostgreSQL 15 manual, section 9.10; `enum.c`.

use super::{ANY_ARRAY, ANY_ENUM, Function};
use crate::exec::Context;
use std::sync::Arc;
use types::{Array, DataType, EnumValue, Error, Result, SqlState, Value};

pub static FUNCTIONS: &[Function] = &[
    Function::new("enum_first", &[ANY_ENUM], ANY_ENUM, |c, a| {
        let (ty, orders) = orders(c, a)?;
        end(ty, orders.first())
    })
    .lax()
    .stable(),
    Function::new("enum_last", &[ANY_ENUM], ANY_ENUM, |c, a| {
        let (ty, orders) = orders(c, a)?;
        end(ty, orders.last())
    })
    .lax()
    .stable(),
    Function::new("enum_range_all", &[ANY_ENUM], ANY_ARRAY, |c, a| {
        let (ty, orders) = orders(c, a)?;
        Ok(range(ty, orders.into_iter()))
    })
    .sql("enum_range")
    .lax()
    .stable(),
    Function::new(
        "enum_range_bounds",
        &[ANY_ENUM, ANY_ENUM],
        ANY_ARRAY,
        |c, a| {
            let (ty, orders) = orders(c, a)?;
            let bound = |i: usize| match a.get(i) {
                Some(Value::Enum(e)) => Some(e.order),
                _ => None,
            };
            let (low, high) = (bound(0), bound(1));
            let within = |o: &i64| low.is_none_or(|l| l <= *o) && high.is_none_or(|h| *o <= h);
            Ok(range(ty, orders.into_iter().filter(within)))
        },
    )
    .sql("enum_range")
    .lax()
    .stable(),
];

/// The type that is meant, and the places of its labels.
fn orders(ctx: &Context, a: &[Value]) -> Result<(u32, Vec<i64>)> {
    let Some(Value::Oid(ty)) = a.last() else {
        return Err(Error::internal("a function of enums without their type"));
    };
    let labels = ctx.catalog.labels(*ty);
    Ok((*ty, labels.iter().map(|l| l.order).collect()))
}

fn end(ty: u32, order: Option<&i64>) -> Result<Value> {
    match order {
        Some(order) => Ok(Value::Enum(EnumValue { ty, order: *order })),
        None => Err(Error::new(
            SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("enum {} contains no values", DataType::Enum(ty)),
        )),
    }
}

fn range(ty: u32, orders: impl Iterator<Item = i64>) -> Value {
    Value::Array(Arc::new(Array {
        element: DataType::Enum(ty),
        items: orders
            .map(|order| Value::Enum(EnumValue { ty, order }))
            .collect(),
    }))
}
