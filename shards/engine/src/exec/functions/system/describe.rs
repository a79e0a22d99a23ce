//! Definitions of catalog objects as text.
//!
//! Source: PostgreSQL 15 `ruleutils.c`.

use super::super::args;
use super::{Function, type_name};
use crate::catalog::{Relation, Table};
use crate::exec::Context;
use crate::exec::functions::{self, ANY, quote_identifier};
use DataType::*;
use types::{DataType, Result, Value};

pub static FUNCTIONS: &[Function] = &[
    Function::new("pg_get_expr", &[Text, Oid], Text, |_, a| Ok(a[0].clone())).stable(),
    Function::new("pg_get_expr_ext", &[Text, Oid, Bool], Text, |_, a| {
        Ok(a[0].clone())
    })
    .sql("pg_get_expr")
    .stable(),
    Function::new("pg_get_indexdef", &[Oid], Text, |c, a| {
        index(c, args::oid(a, 0)?, 0)
    })
    .stable(),
    Function::new("pg_get_indexdef_ext", &[Oid, Int4, Bool], Text, |c, a| {
        index(c, args::oid(a, 0)?, args::int4(a, 1)?)
    })
    .sql("pg_get_indexdef")
    .stable(),
    Function::new("pg_get_constraintdef", &[Oid], Text, |c, a| {
        constraint(c, args::oid(a, 0)?)
    })
    .stable(),
    Function::new("pg_get_constraintdef_ext", &[Oid, Bool], Text, |c, a| {
        constraint(c, args::oid(a, 0)?)
    })
    .sql("pg_get_constraintdef")
    .stable(),
    Function::new("pg_get_function_result", &[Oid], Text, |_, a| {
        Ok(functions::by_oid(args::oid(a, 0)?).map_or(Value::Null, |f| pseudo_name(f.ret).into()))
    })
    .stable(),
    Function::new("pg_get_function_arguments", &[Oid], Text, |_, a| {
        arguments(args::oid(a, 0)?)
    })
    .stable(),
    Function::new(
        "pg_get_function_identity_arguments",
        &[Oid],
        Text,
        |_, a| arguments(args::oid(a, 0)?),
    )
    .stable(),
];

/// Functions about what this server has none of, or cannot tell from a statement's snapshot.
macro_rules! absent {
    ($($name:literal $sql:literal [$($arg:ident)*] $ret:ident $value:expr;)*) => {
        pub static ABSENT: &[Function] = &[$(
            Function::new($name, &[$($arg),*], $ret, |_, _| Ok($value)).sql($sql).stable(),
        )*];
    };
}

absent! {
    "obj_description" "obj_description" [Oid Name] Text Value::Null;
    "obj_description_oid" "obj_description" [Oid] Text Value::Null;
    "col_description" "col_description" [Oid Int4] Text Value::Null;
    "shobj_description" "shobj_description" [Oid Name] Text Value::Null;
    "pg_get_serial_sequence" "pg_get_serial_sequence" [Text Text] Text Value::Null;
    "pg_relation_is_publishable" "pg_relation_is_publishable" [Regclass] Bool false.into();
    "pg_get_partkeydef" "pg_get_partkeydef" [Oid] Text Value::Null;
    "pg_get_statisticsobjdef_columns" "pg_get_statisticsobjdef_columns" [Oid] Text Value::Null;
    "pg_get_viewdef" "pg_get_viewdef" [Oid] Text Value::Null;
    "pg_get_viewdef_ext" "pg_get_viewdef" [Oid Bool] Text Value::Null;
    "pg_get_ruledef" "pg_get_ruledef" [Oid] Text Value::Null;
    "pg_get_ruledef_ext" "pg_get_ruledef" [Oid Bool] Text Value::Null;
    "pg_get_triggerdef" "pg_get_triggerdef" [Oid] Text Value::Null;
    "pg_get_triggerdef_ext" "pg_get_triggerdef" [Oid Bool] Text Value::Null;
    "pg_get_functiondef" "pg_get_functiondef" [Oid] Text Value::Null;
    "pg_get_function_sqlbody" "pg_get_function_sqlbody" [Oid] Text Value::Null;
    "pg_tablespace_location" "pg_tablespace_location" [Oid] Text "".into();
    "pg_table_size" "pg_table_size" [Regclass] Int8 Value::Null;
    "pg_indexes_size" "pg_indexes_size" [Regclass] Int8 Value::Null;
    "pg_relation_size" "pg_relation_size" [Regclass] Int8 Value::Null;
    "pg_total_relation_size" "pg_total_relation_size" [Regclass] Int8 Value::Null;
    "pg_database_size_oid" "pg_database_size" [Oid] Int8 Value::Null;
    "pg_database_size_name" "pg_database_size" [Name] Int8 Value::Null;
    "pg_tablespace_size_oid" "pg_tablespace_size" [Oid] Int8 Value::Null;
    "pg_tablespace_size_name" "pg_tablespace_size" [Name] Int8 Value::Null;
}

/// Everything there is lies in public or pg_catalog, both on the search path.
macro_rules! visible {
    ($($name:literal)*) => {
        pub static VISIBLE: &[Function] = &[
            Function::new("pg_table_is_visible", &[Oid], Bool, |c, a| Ok(table_is_visible(c, args::oid(a, 0)?).into())).stable(),
            $(Function::new($name, &[Oid], Bool, |_, _| Ok(true.into())).stable(),)*
        ];
    };
}

visible! {
    "pg_type_is_visible" "pg_function_is_visible" "pg_operator_is_visible" "pg_opclass_is_visible"
    "pg_opfamily_is_visible" "pg_collation_is_visible" "pg_conversion_is_visible" "pg_statistics_obj_is_visible"
    "pg_ts_config_is_visible" "pg_ts_dict_is_visible" "pg_ts_parser_is_visible" "pg_ts_template_is_visible"
}

fn table_is_visible(ctx: &Context, oid: u32) -> bool {
    // Relations of information_schema are the only ones off the path; they have no fixed oids below user objects'.
    match ctx.catalog.relation_by_oid(oid) {
        Some(Relation::Table(t) | Relation::Index(t, _) | Relation::PrimaryKey(t)) => {
            t.schema == crate::catalog::model::PUBLIC
        }
        None => crate::exec::cast::regclass_name(oid, ctx).is_some(),
    }
}

fn columns(table: &Table, ordinals: &[usize]) -> String {
    let quoted = ordinals
        .iter()
        .filter_map(|i| table.columns.get(*i))
        .map(|c| quote_identifier(&c.name));
    quoted.collect::<Vec<_>>().join(", ")
}

/// `CREATE [UNIQUE] INDEX name ON schema.table USING btree (columns)`.
pub fn index_definition(table: &Table, name: &str, ordinals: &[usize], unique: bool) -> String {
    format!(
        "CREATE {}INDEX {} ON {}.{} USING btree ({})",
        if unique { "UNIQUE " } else { "" },
        quote_identifier(name),
        quote_identifier(&table.schema),
        quote_identifier(&table.name),
        columns(table, ordinals)
    )
}

/// The whole definition, or with `column` > 0 the n-th column alone.
fn index(ctx: &Context, oid: u32, column: i32) -> Result<Value> {
    let (table, name, ordinals, unique) = match ctx.catalog.relation_by_oid(oid) {
        Some(Relation::Index(t, i)) => (t, i.name.clone(), i.columns.clone(), i.unique),
        Some(Relation::PrimaryKey(t)) => {
            let (name, key) = (t.primary_key_name.clone(), t.primary_key.clone());
            (t, name, key, true)
        }
        _ => return Ok(Value::Null),
    };
    Ok(match usize::try_from(column) {
        Ok(0) | Err(_) => index_definition(&table, &name, &ordinals, unique).into(),
        Ok(n) => match ordinals.get(n - 1) {
            Some(i) => columns(&table, &[*i]).into(),
            None => "".into(),
        },
    })
}

/// `pg_constraint.oid` of a table's CHECK: above every oid that is counted out, distinct while a table has at most 64.
///
/// Those of keys are the oids of their indexes.
pub fn check_oid(table: u32, ordinal: usize) -> u32 {
    (1 << 31) | (table << 6) | (ordinal as u32 & 63)
}

fn constraint(ctx: &Context, oid: u32) -> Result<Value> {
    let text = match ctx.catalog.relation_by_oid(oid) {
        Some(Relation::PrimaryKey(t)) => format!("PRIMARY KEY ({})", columns(&t, &t.primary_key)),
        Some(Relation::Index(t, i)) if i.constraint => {
            format!("UNIQUE ({})", columns(&t, &i.columns))
        }
        Some(_) => return Ok(Value::Null),
        None => {
            let checks = ctx.catalog.tables.values().flat_map(|t| {
                let number = t.checks.iter().enumerate();
                number.map(|(i, check)| (check_oid(t.id.0, i), check))
            });
            match checks.into_iter().find(|(o, _)| *o == oid) {
                Some((_, check)) => format!("CHECK ({})", check.sql),
                None => return Ok(Value::Null),
            }
        }
    };
    Ok(text.into())
}

fn arguments(oid: u32) -> Result<Value> {
    let Some(f) = functions::by_oid(oid) else {
        return Ok(Value::Null);
    };
    let mut types: Vec<String> = f.args.iter().map(|t| pseudo_name(*t)).collect();
    if f.variadic
        && let Some(last) = types.last_mut()
    {
        last.insert_str(0, "VARIADIC ");
    }
    Ok(types.join(", ").into())
}

/// A type's name, the pseudo-types of signatures included.
fn pseudo_name(ty: DataType) -> String {
    match ty {
        functions::ANY_ELEMENT => "anyelement".to_owned(),
        functions::ANY_ARRAY => "anyarray".to_owned(),
        ANY => "\"any\"".to_owned(),
        other => type_name(other, None),
    }
}
