//! Aggregates: their signatures and their running states.
//!
//! Owns: `Accumulator`, one per aggregate and group. Asked by: the aggregate operators, on the shard that owns the rows (then
//! `partial`) and where partial states meet (`merge`, `finish`).
//! Never: sees DISTINCT, FILTER or ORDER BY; the operators apply them before `update`.
//! Bounds: `memory` says what a state holds; the operators count it against the query's budget.
//! Source: PostgreSQL 15 manual, section 9.21; `numeric.c`, `float.c` (Youngs-Cramer sums of squares).

mod collect;
mod numbers;
mod ordered;
mod pairs;
mod simple;
mod totals;

pub use ordered::direct_args;

use super::batch::Column;
use super::functions::{ANY, ANY_ARRAY, ANY_ELEMENT, ANY_ENUM, Function};
use DataType::*;
use types::text::Forms;
use types::{DataType, Error, Result, Value};

/// One aggregate over one group.
pub trait Accumulator {
    /// Takes one row's arguments, already of the resolved types.
    fn update(&mut self, args: &[Value]) -> Result<()>;
    /// As `update` for these of a column's rows, in their order; no column for an aggregate without arguments.
    fn update_many(&mut self, column: Option<&Column<'_>>, rows: &[u32]) -> Result<()> {
        for row in rows {
            match column {
                Some(column) => self.update(&[column.value(*row as usize)?])?,
                None => self.update(&[])?,
            }
        }
        Ok(())
    }
    /// Takes the oldest row's arguments out again; `false` when this state cannot do that exactly.
    fn remove(&mut self, _args: &[Value]) -> Result<bool> {
        Ok(false)
    }
    /// The state as a value that can travel between shards and to disk. NULL only where no row changed it.
    fn partial(&self) -> Value;
    /// Adds another state of the same aggregate, over rows that came later.
    fn merge(&mut self, partial: &Value) -> Result<()>;
    fn finish(&self) -> Result<Value>;
    /// Approximate bytes held.
    fn memory(&self) -> usize;
}

/// A fresh state, by the name that `resolve::aggregate` gave. `forms` are how the session writes moments, which json shows.
pub fn accumulator(func: &str, forms: &Forms) -> Result<Box<dyn Accumulator>> {
    if let Some(element) = func.strip_prefix("array_agg:") {
        let by_name = |t: &&DataType| t.name() == element;
        let known = DataType::ALL.iter().find(by_name).copied();
        let own = || match element.strip_prefix("row ") {
            Some(oid) => oid.parse().ok().map(DataType::Composite),
            None => element.parse().ok().map(DataType::Enum),
        };
        return known
            .or_else(own)
            .map(|e| Box::new(collect::ArrayAgg::new(e)) as Box<dyn Accumulator>)
            .ok_or_else(|| unknown(func));
    }
    totals::accumulator(func)
        .or_else(|| simple::accumulator(func))
        .or_else(|| numbers::accumulator(func))
        .or_else(|| collect::accumulator(func, forms))
        .or_else(|| pairs::accumulator(func))
        .or_else(|| ordered::accumulator(func))
        .ok_or_else(|| unknown(func))
}

fn unknown(func: &str) -> Error {
    Error::internal(format!("unknown aggregate {func}"))
}

/// Whether states made in different places may be merged: not where the result depends on the order of the rows.
pub fn is_mergeable(func: &str) -> bool {
    let ordered = func.starts_with("array_agg") || func.starts_with("string_agg");
    !(ordered || func.starts_with("json") || direct_args(func, 0).is_some())
}

/// An aggregate's signature; its body is an `Accumulator`, so being called as a function is a broken invariant.
const fn aggregate(
    name: &'static str,
    sql: &'static str,
    args: &'static [DataType],
    ret: DataType,
) -> Function {
    Function::lax_named(name, sql, args, ret, |_, _| {
        Err(Error::internal("aggregate called as a function"))
    })
}

/// Extremes: one row per type that has them.
macro_rules! extremes {
    ($($ty:ident $min:literal $max:literal;)*) => {
        static EXTREMES: &[Function] = &[$(
            aggregate($min, "min", &[$ty], $ty),
            aggregate($max, "max", &[$ty], $ty),
        )*];
    };
}

extremes! {
    Int2 "min_int2" "max_int2";
    Int4 "min_int4" "max_int4";
    Int8 "min_int8" "max_int8";
    Oid "min_oid" "max_oid";
    Float4 "min_float4" "max_float4";
    Float8 "min_float8" "max_float8";
    Numeric "min_numeric" "max_numeric";
    Text "min_text" "max_text";
    Bpchar "min_bpchar" "max_bpchar";
    Date "min_date" "max_date";
    Time "min_time" "max_time";
    Timestamp "min_timestamp" "max_timestamp";
    Timestamptz "min_timestamptz" "max_timestamptz";
    Interval "min_interval" "max_interval";
    Inet "min_inet" "max_inet";
    ANY_ARRAY "min_array" "max_array";
    ANY_ENUM "min_enum" "max_enum";
}

/// The six of the variance family: by number type and by float.
macro_rules! variances {
    ($($sql:literal $numeric:literal $int2:literal $int4:literal $int8:literal $float4:literal $float8:literal;)*) => {
        static VARIANCES: &[Function] = &[$(
            aggregate($numeric, $sql, &[Numeric], Numeric),
            aggregate($int2, $sql, &[Int2], Numeric),
            aggregate($int4, $sql, &[Int4], Numeric),
            aggregate($int8, $sql, &[Int8], Numeric),
            aggregate($float4, $sql, &[Float4], Float8),
            aggregate($float8, $sql, &[Float8], Float8),
        )*];
    };
}

variances! {
    "stddev" "stddev_numeric" "stddev_int2" "stddev_int4" "stddev_int8" "stddev_float4" "stddev_float8";
    "stddev_samp" "stddev_samp_numeric" "stddev_samp_int2" "stddev_samp_int4" "stddev_samp_int8" "stddev_samp_float4" "stddev_samp_float8";
    "stddev_pop" "stddev_pop_numeric" "stddev_pop_int2" "stddev_pop_int4" "stddev_pop_int8" "stddev_pop_float4" "stddev_pop_float8";
    "variance" "variance_numeric" "variance_int2" "variance_int4" "variance_int8" "variance_float4" "variance_float8";
    "var_samp" "var_samp_numeric" "var_samp_int2" "var_samp_int4" "var_samp_int8" "var_samp_float4" "var_samp_float8";
    "var_pop" "var_pop_numeric" "var_pop_int2" "var_pop_int4" "var_pop_int8" "var_pop_float4" "var_pop_float8";
}

static OTHERS: &[Function] = &[
    aggregate("count", "count", &[ANY], Int8),
    aggregate("sum_int2", "sum", &[Int2], Int8),
    aggregate("sum_int4", "sum", &[Int4], Int8),
    aggregate("sum_int8", "sum", &[Int8], Numeric),
    aggregate("sum_numeric", "sum", &[Numeric], Numeric),
    aggregate("sum_float4", "sum", &[Float4], Float4),
    aggregate("sum_float8", "sum", &[Float8], Float8),
    aggregate("sum_interval", "sum", &[Interval], Interval),
    aggregate("avg_int2", "avg", &[Int2], Numeric),
    aggregate("avg_int4", "avg", &[Int4], Numeric),
    aggregate("avg_int8", "avg", &[Int8], Numeric),
    aggregate("avg_numeric", "avg", &[Numeric], Numeric),
    aggregate("avg_float4", "avg", &[Float4], Float8),
    aggregate("avg_float8", "avg", &[Float8], Float8),
    aggregate("avg_interval", "avg", &[Interval], Interval),
    aggregate("bool_and", "bool_and", &[Bool], Bool),
    aggregate("every", "every", &[Bool], Bool),
    aggregate("bool_or", "bool_or", &[Bool], Bool),
    aggregate("bit_and_int2", "bit_and", &[Int2], Int2),
    aggregate("bit_and_int4", "bit_and", &[Int4], Int4),
    aggregate("bit_and_int8", "bit_and", &[Int8], Int8),
    aggregate("bit_or_int2", "bit_or", &[Int2], Int2),
    aggregate("bit_or_int4", "bit_or", &[Int4], Int4),
    aggregate("bit_or_int8", "bit_or", &[Int8], Int8),
    aggregate("bit_xor_int2", "bit_xor", &[Int2], Int2),
    aggregate("bit_xor_int4", "bit_xor", &[Int4], Int4),
    aggregate("bit_xor_int8", "bit_xor", &[Int8], Int8),
    aggregate("string_agg", "string_agg", &[Text, Text], Text),
    aggregate("string_agg_bytea", "string_agg", &[Bytea, Bytea], Bytea),
    aggregate("array_agg", "array_agg", &[ANY_ELEMENT], ANY_ARRAY),
    aggregate("corr", "corr", &[Float8, Float8], Float8),
    aggregate("covar_pop", "covar_pop", &[Float8, Float8], Float8),
    aggregate("covar_samp", "covar_samp", &[Float8, Float8], Float8),
    aggregate("regr_avgx", "regr_avgx", &[Float8, Float8], Float8),
    aggregate("regr_avgy", "regr_avgy", &[Float8, Float8], Float8),
    aggregate("regr_sxx", "regr_sxx", &[Float8, Float8], Float8),
    aggregate("regr_syy", "regr_syy", &[Float8, Float8], Float8),
    aggregate("regr_sxy", "regr_sxy", &[Float8, Float8], Float8),
    aggregate("regr_r2", "regr_r2", &[Float8, Float8], Float8),
    aggregate("regr_slope", "regr_slope", &[Float8, Float8], Float8),
    aggregate(
        "regr_intercept",
        "regr_intercept",
        &[Float8, Float8],
        Float8,
    ),
    aggregate("regr_count", "regr_count", &[Float8, Float8], Int8),
    aggregate(
        "percentile_cont_float8",
        "percentile_cont",
        &[Float8, Float8],
        Float8,
    ),
    aggregate(
        "percentile_cont_interval",
        "percentile_cont",
        &[Float8, Interval],
        Interval,
    ),
    aggregate(
        "percentile_cont_float8_array",
        "percentile_cont",
        &[Float8Array, Float8],
        Float8Array,
    ),
    aggregate(
        "percentile_cont_interval_array",
        "percentile_cont",
        &[Float8Array, Interval],
        IntervalArray,
    ),
    aggregate(
        "percentile_disc",
        "percentile_disc",
        &[Float8, ANY_ELEMENT],
        ANY_ELEMENT,
    ),
    aggregate(
        "percentile_disc_array",
        "percentile_disc",
        &[Float8Array, ANY_ELEMENT],
        ANY_ARRAY,
    ),
    aggregate("mode", "mode", &[ANY_ELEMENT], ANY_ELEMENT),
    aggregate("json_agg", "json_agg", &[ANY], Json),
    aggregate("json_object_agg", "json_object_agg", &[ANY, ANY], Json),
    aggregate("jsonb_agg", "jsonb_agg", &[ANY], Jsonb),
    aggregate("jsonb_object_agg", "jsonb_object_agg", &[ANY, ANY], Jsonb),
];

/// Every aggregate's signature.
pub fn all() -> impl Iterator<Item = &'static Function> {
    OTHERS.iter().chain(EXTREMES).chain(VARIANCES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signature_has_an_accumulator() {
        for f in all() {
            let name = match f.name {
                "array_agg" => "array_agg:int4",
                other => other,
            };
            assert!(accumulator(name, &Forms::UTC).is_ok(), "{name}");
        }
    }
}
