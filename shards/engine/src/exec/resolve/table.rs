//! Functions in FROM: their signatures and their rows.
//!
//! Owns: the list of set-returning functions. Asked by: the binder (`table_function`) and the `Function` operator.
//! Never: makes all rows at once where they can be counted out (`generate_series` holds only its position).
//! Bounds: functions over one value hold rows made from that value, itself at most `limits::VALUE_BYTES_MAX`.
//! Source: PostgreSQL 15 manual, section 9.25.

use super::select::{self, Choice};
use crate::exec::Context;
use crate::exec::functions::{ANY_ARRAY, ANY_ELEMENT, Function, rows};
use DataType::*;
use types::{DataType, Error, Result, Row, Value};

const fn set(
    name: &'static str,
    sql: &'static str,
    args: &'static [DataType],
    ret: DataType,
) -> Function {
    Function::lax_named(name, sql, args, ret, |_, _| {
        Err(Error::internal(
            "a set-returning function called for one value",
        ))
    })
}

/// Each item of an array with its number. Of `information_schema`, so its name has the schema in it.
pub const EXPAND_ARRAY: &str = "information_schema._pg_expandarray";

/// `ret` is the type of the (last) column.
static SIGNATURES: &[Function] = &[
    set(
        "generate_series_int4",
        "generate_series",
        &[Int4, Int4],
        Int4,
    ),
    set(
        "generate_series_step_int4",
        "generate_series",
        &[Int4, Int4, Int4],
        Int4,
    ),
    set(
        "generate_series_int8",
        "generate_series",
        &[Int8, Int8],
        Int8,
    ),
    set(
        "generate_series_step_int8",
        "generate_series",
        &[Int8, Int8, Int8],
        Int8,
    ),
    set(
        "generate_series_numeric",
        "generate_series",
        &[Numeric, Numeric],
        Numeric,
    ),
    set(
        "generate_series_step_numeric",
        "generate_series",
        &[Numeric, Numeric, Numeric],
        Numeric,
    ),
    set(
        "generate_series_timestamp",
        "generate_series",
        &[Timestamp, Timestamp, Interval],
        Timestamp,
    ),
    set(
        "generate_series_timestamptz",
        "generate_series",
        &[Timestamptz, Timestamptz, Interval],
        Timestamptz,
    ),
    set(
        "generate_subscripts",
        "generate_subscripts",
        &[ANY_ARRAY, Int4],
        Int4,
    ),
    set(
        "jsonb_path_query",
        "jsonb_path_query",
        &[Jsonb, Jsonpath],
        Jsonb,
    ),
    set(
        "jsonb_path_query_vars",
        "jsonb_path_query",
        &[Jsonb, Jsonpath, Jsonb],
        Jsonb,
    ),
    set(
        "jsonb_path_query_silent",
        "jsonb_path_query",
        &[Jsonb, Jsonpath, Jsonb, Bool],
        Jsonb,
    ),
    set("unnest", "unnest", &[ANY_ARRAY], ANY_ELEMENT),
    set("_pg_expandarray", EXPAND_ARRAY, &[ANY_ARRAY], ANY_ELEMENT),
    set(
        "regexp_split_to_table",
        "regexp_split_to_table",
        &[Text, Text],
        Text,
    ),
    set(
        "regexp_split_to_table_flags",
        "regexp_split_to_table",
        &[Text, Text, Text],
        Text,
    ),
    set("regexp_matches", "regexp_matches", &[Text, Text], TextArray),
    set(
        "regexp_matches_flags",
        "regexp_matches",
        &[Text, Text, Text],
        TextArray,
    ),
    set("string_to_table", "string_to_table", &[Text, Text], Text),
    set(
        "string_to_table_null",
        "string_to_table",
        &[Text, Text, Text],
        Text,
    ),
    set(
        "jsonb_array_elements",
        "jsonb_array_elements",
        &[Jsonb],
        Jsonb,
    ),
    set(
        "jsonb_array_elements_text",
        "jsonb_array_elements_text",
        &[Jsonb],
        Text,
    ),
    set("jsonb_each", "jsonb_each", &[Jsonb], Jsonb),
    set("jsonb_each_text", "jsonb_each_text", &[Jsonb], Text),
    set("jsonb_object_keys", "jsonb_object_keys", &[Jsonb], Text),
    set("json_array_elements", "json_array_elements", &[Json], Json),
    set(
        "json_array_elements_text",
        "json_array_elements_text",
        &[Json],
        Text,
    ),
    set("json_each", "json_each", &[Json], Json),
    set("json_each_text", "json_each_text", &[Json], Text),
    set("json_object_keys", "json_object_keys", &[Json], Text),
    set("pg_get_keywords", "pg_get_keywords", &[], Text),
    set(
        "pg_options_to_table",
        "pg_options_to_table",
        &[TextArray],
        Text,
    ),
    set(
        "pg_partition_ancestors",
        "pg_partition_ancestors",
        &[Regclass],
        Regclass,
    ),
];

/// Whether `name` is a set-returning function.
pub fn is_table_function(name: &str) -> bool {
    SIGNATURES.iter().any(|f| f.sql == name)
}

/// Types to cast the arguments to, and the columns with their types.
pub type Signature = (Vec<DataType>, Vec<(String, DataType)>);

/// 42883 for no such function.
pub fn table_function(name: &str, args: &[DataType]) -> Result<Signature> {
    let overloads: &'static [&'static Function] = overloads(name);
    match select::choose(overloads, args, false) {
        Choice::One(r) => {
            let columns = match name {
                "jsonb_each" | "jsonb_each_text" | "json_each" | "json_each_text" => {
                    vec![("key".to_owned(), Text), ("value".to_owned(), r.ret)]
                }
                "jsonb_array_elements"
                | "jsonb_array_elements_text"
                | "json_array_elements"
                | "json_array_elements_text" => {
                    vec![("value".to_owned(), r.ret)]
                }
                "pg_get_keywords" => {
                    let names = ["word", "catcode", "barelabel", "catdesc", "baredesc"];
                    let types = [Text, InternalChar, Bool, Text, Text];
                    names.map(str::to_owned).into_iter().zip(types).collect()
                }
                "pg_options_to_table" => {
                    let column = |name: &str| (name.to_owned(), r.ret);
                    vec![column("option_name"), column("option_value")]
                }
                EXPAND_ARRAY => vec![("x".to_owned(), r.ret), ("n".to_owned(), Int4)],
                other => vec![(other.to_owned(), r.ret)],
            };
            Ok((r.arg_types, columns))
        }
        Choice::None => Err(super::undefined(name, args)),
        Choice::Many => Err(super::ambiguous(name, args)),
    }
}

fn overloads(name: &str) -> &'static [&'static Function] {
    use std::sync::LazyLock;
    type ByName = hashbrown::HashMap<&'static str, Vec<&'static Function>>;
    static BY_NAME: LazyLock<ByName> = LazyLock::new(|| {
        let mut map = ByName::new();
        for f in SIGNATURES {
            map.entry(f.sql).or_default().push(f);
        }
        map
    });
    BY_NAME.get(name).map_or(&[], Vec::as_slice)
}

/// The rows for arguments of the types that `table_function` gave, one at a time. A NULL argument gives no rows.
pub fn run_table_function(
    name: &str,
    args: &[Value],
    ctx: &Context,
) -> Result<Box<dyn Iterator<Item = Result<Row>>>> {
    rows::run(name, args, ctx)
}
