//! `=`, `<>`, `<`, `<=`, `>`, `>=` of every type that has an order.
//!
//! Owns: which pairs of types compare without a cast. Asked by: the registry. Never: decides the order itself; that is
//! `types::order`, except for integers (the hot path) and for pairs that need the session's time zone.
//! Source: PostgreSQL 15 `pg_operator.dat`.

use super::{ANY_ARRAY, ANY_ENUM, Function, args};
use crate::exec::{Context, cast};
use DataType::*;
use std::cmp::Ordering;
use types::{DataType, Result, Value, order};

/// Six functions for each row: the operand types, their comparison, and the names of = <> < <= > >=.
macro_rules! comparisons {
    ($($left:ident, $right:ident, $cmp:ident $vol:ident: $eq:literal $ne:literal $lt:literal $le:literal $gt:literal $ge:literal;)*) => {
        pub static FUNCTIONS: &[Function] = &[$(
            Function::new($eq, &[$left, $right], Bool, |c, a| Ok(Value::Bool($cmp(c, a)?.is_eq()))).$vol().op("=").compares(alone!($cmp), Ordering::is_eq),
            Function::new($ne, &[$left, $right], Bool, |c, a| Ok(Value::Bool($cmp(c, a)?.is_ne()))).$vol().op("<>").compares(alone!($cmp), Ordering::is_ne),
            Function::new($lt, &[$left, $right], Bool, |c, a| Ok(Value::Bool($cmp(c, a)?.is_lt()))).$vol().op("<").compares(alone!($cmp), Ordering::is_lt),
            Function::new($le, &[$left, $right], Bool, |c, a| Ok(Value::Bool($cmp(c, a)?.is_le()))).$vol().op("<=").compares(alone!($cmp), Ordering::is_le),
            Function::new($gt, &[$left, $right], Bool, |c, a| Ok(Value::Bool($cmp(c, a)?.is_gt()))).$vol().op(">").compares(alone!($cmp), Ordering::is_gt),
            Function::new($ge, &[$left, $right], Bool, |c, a| Ok(Value::Bool($cmp(c, a)?.is_ge()))).$vol().op(">=").compares(alone!($cmp), Ordering::is_ge),
        )*];
    };
}

/// The order of two values where it depends on nothing else.
macro_rules! alone {
    (zoned) => {
        None
    };
    (blank_padded) => {
        Some(padded)
    };
    ($other:ident) => {
        Some(order::compare)
    };
}

comparisons! {
    Int4, Int4, integers immutable: "int4eq" "int4ne" "int4lt" "int4le" "int4gt" "int4ge";
    Int4, Int8, integers immutable: "int48eq" "int48ne" "int48lt" "int48le" "int48gt" "int48ge";
    Int4, Int2, integers immutable: "int42eq" "int42ne" "int42lt" "int42le" "int42gt" "int42ge";
    Int8, Int4, integers immutable: "int84eq" "int84ne" "int84lt" "int84le" "int84gt" "int84ge";
    Int8, Int8, integers immutable: "int8eq" "int8ne" "int8lt" "int8le" "int8gt" "int8ge";
    Int8, Int2, integers immutable: "int82eq" "int82ne" "int82lt" "int82le" "int82gt" "int82ge";
    Int2, Int4, integers immutable: "int24eq" "int24ne" "int24lt" "int24le" "int24gt" "int24ge";
    Int2, Int8, integers immutable: "int28eq" "int28ne" "int28lt" "int28le" "int28gt" "int28ge";
    Int2, Int2, integers immutable: "int2eq" "int2ne" "int2lt" "int2le" "int2gt" "int2ge";
    Text, Text, values immutable: "texteq" "textne" "text_lt" "text_le" "text_gt" "text_ge";
    Text, Name, values immutable: "texteqname" "textnename" "textltname" "textlename" "textgtname" "textgename";
    Bool, Bool, values immutable: "booleq" "boolne" "boollt" "boolle" "boolgt" "boolge";
    Float8, Float8, values immutable: "float8eq" "float8ne" "float8lt" "float8le" "float8gt" "float8ge";
    Float8, Float4, values immutable: "float84eq" "float84ne" "float84lt" "float84le" "float84gt" "float84ge";
    Float4, Float8, values immutable: "float48eq" "float48ne" "float48lt" "float48le" "float48gt" "float48ge";
    Float4, Float4, values immutable: "float4eq" "float4ne" "float4lt" "float4le" "float4gt" "float4ge";
    Numeric, Numeric, values immutable: "numeric_eq" "numeric_ne" "numeric_lt" "numeric_le" "numeric_gt" "numeric_ge";
    Bpchar, Bpchar, blank_padded immutable: "bpchareq" "bpcharne" "bpcharlt" "bpcharle" "bpchargt" "bpcharge";
    Name, Text, values immutable: "nameeqtext" "namenetext" "namelttext" "nameletext" "namegttext" "namegetext";
    Name, Name, values immutable: "nameeq" "namene" "namelt" "namele" "namegt" "namege";
    InternalChar, InternalChar, values immutable: "chareq" "charne" "charlt" "charle" "chargt" "charge";
    Bytea, Bytea, values immutable: "byteaeq" "byteane" "bytealt" "byteale" "byteagt" "byteage";
    Date, Date, values immutable: "date_eq" "date_ne" "date_lt" "date_le" "date_gt" "date_ge";
    Date, Timestamp, zoned immutable: "date_eq_timestamp" "date_ne_timestamp" "date_lt_timestamp" "date_le_timestamp" "date_gt_timestamp" "date_ge_timestamp";
    Date, Timestamptz, zoned stable: "date_eq_timestamptz" "date_ne_timestamptz" "date_lt_timestamptz" "date_le_timestamptz" "date_gt_timestamptz" "date_ge_timestamptz";
    Time, Time, values immutable: "time_eq" "time_ne" "time_lt" "time_le" "time_gt" "time_ge";
    Timestamp, Date, zoned immutable: "timestamp_eq_date" "timestamp_ne_date" "timestamp_lt_date" "timestamp_le_date" "timestamp_gt_date" "timestamp_ge_date";
    Timestamp, Timestamp, values immutable: "timestamp_eq" "timestamp_ne" "timestamp_lt" "timestamp_le" "timestamp_gt" "timestamp_ge";
    Timestamp, Timestamptz, zoned stable: "timestamp_eq_timestamptz" "timestamp_ne_timestamptz" "timestamp_lt_timestamptz" "timestamp_le_timestamptz" "timestamp_gt_timestamptz" "timestamp_ge_timestamptz";
    Timestamptz, Date, zoned stable: "timestamptz_eq_date" "timestamptz_ne_date" "timestamptz_lt_date" "timestamptz_le_date" "timestamptz_gt_date" "timestamptz_ge_date";
    Timestamptz, Timestamp, zoned stable: "timestamptz_eq_timestamp" "timestamptz_ne_timestamp" "timestamptz_lt_timestamp" "timestamptz_le_timestamp" "timestamptz_gt_timestamp" "timestamptz_ge_timestamp";
    Timestamptz, Timestamptz, values immutable: "timestamptz_eq" "timestamptz_ne" "timestamptz_lt" "timestamptz_le" "timestamptz_gt" "timestamptz_ge";
    Interval, Interval, values immutable: "interval_eq" "interval_ne" "interval_lt" "interval_le" "interval_gt" "interval_ge";
    Uuid, Uuid, values immutable: "uuid_eq" "uuid_ne" "uuid_lt" "uuid_le" "uuid_gt" "uuid_ge";
    Inet, Inet, values immutable: "network_eq" "network_ne" "network_lt" "network_le" "network_gt" "network_ge";
    Macaddr, Macaddr, values immutable: "macaddr_eq" "macaddr_ne" "macaddr_lt" "macaddr_le" "macaddr_gt" "macaddr_ge";
    Macaddr8, Macaddr8, values immutable: "macaddr8_eq" "macaddr8_ne" "macaddr8_lt" "macaddr8_le" "macaddr8_gt" "macaddr8_ge";
    Jsonb, Jsonb, values immutable: "jsonb_eq" "jsonb_ne" "jsonb_lt" "jsonb_le" "jsonb_gt" "jsonb_ge";
    Oid, Oid, integers immutable: "oideq" "oidne" "oidlt" "oidle" "oidgt" "oidge";
    ANY_ENUM, ANY_ENUM, values immutable: "enum_eq" "enum_ne" "enum_lt" "enum_le" "enum_gt" "enum_ge";
    ANY_ARRAY, ANY_ARRAY, values immutable: "array_eq" "array_ne" "array_lt" "array_le" "array_gt" "array_ge";
}

fn integers(_: &Context, a: &[Value]) -> Result<Ordering> {
    Ok(args::int(a, 0)?.cmp(&args::int(a, 1)?))
}

fn values(_: &Context, a: &[Value]) -> Result<Ordering> {
    let (left, right) = args::two(a)?;
    Ok(order::compare(left, right))
}

fn padded(left: &Value, right: &Value) -> Ordering {
    order::compare_as(Bpchar, left, right)
}

fn blank_padded(_: &Context, a: &[Value]) -> Result<Ordering> {
    let trimmed = |i| args::text(a, i).map(|s| s.trim_end_matches(' '));
    Ok(trimmed(0)?.cmp(trimmed(1)?))
}

/// A date or timestamp against one with time zone: both as instants.
fn zoned(ctx: &Context, a: &[Value]) -> Result<Ordering> {
    let (left, right) = args::two(a)?;
    if matches!(left, Value::Timestamptz(_)) || matches!(right, Value::Timestamptz(_)) {
        let instant = |v: &Value| cast::to_timestamptz(v, &ctx.session.forms.zone);
        Ok(instant(left)?.cmp(&instant(right)?))
    } else {
        Ok(cast::to_timestamp(left)?.cmp(&cast::to_timestamp(right)?))
    }
}
