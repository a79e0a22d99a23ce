//! Definitions of catalog objects as text.
//!
//! Source: PostgreSQL 15 `ruleutils.c`.

use super::super::args;
use super::{Function, type_name};
use crate::catalog::qualify::{query_shown, shown};
use crate::catalog::{Relation, TableKind, path, system};
use crate::exec::functions::{self, ANY, quote_identifier};
use crate::exec::{Context, cast};
use crate::plan::SystemTable;
use DataType::*;
use types::{DataType, Error, Result, SqlState, TableId, Value};

pub static FUNCTIONS: &[Function] = &[
    Function::new("pg_get_expr", &[Text, Oid], Text, |c, a| {
        Ok(shown(c, args::text(a, 0)?, None).into())
    })
    .stable(),
    Function::new("pg_get_expr_ext", &[Text, Oid, Bool], Text, |c, a| {
        Ok(shown(c, args::text(a, 0)?, None).into())
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
    Function::new("pg_get_partkeydef", &[Oid], Text, |c, a| {
        placement(c, args::oid(a, 0)?)
    })
    .stable(),
    Function::new("pg_get_triggerdef", &[Oid], Text, |c, a| {
        Ok(trigger(c, args::oid(a, 0)?, false))
    })
    .stable(),
    Function::new("pg_get_triggerdef_ext", &[Oid, Bool], Text, |c, a| {
        Ok(trigger(c, args::oid(a, 0)?, a[1] == Value::Bool(true)))
    })
    .sql("pg_get_triggerdef")
    .stable(),
    Function::new("pg_get_viewdef", &[Oid], Text, |c, a| {
        view(c, args::oid(a, 0)?)
    })
    .stable(),
    Function::new("pg_get_viewdef_ext", &[Oid, Bool], Text, |c, a| {
        view(c, args::oid(a, 0)?)
    })
    .sql("pg_get_viewdef")
    .stable(),
    Function::new("pg_get_viewdef_name", &[Text], Text, |c, a| {
        named_view(c, args::text(a, 0)?)
    })
    .sql("pg_get_viewdef")
    .stable(),
    Function::new("pg_get_viewdef_name_ext", &[Text, Bool], Text, |c, a| {
        named_view(c, args::text(a, 0)?)
    })
    .sql("pg_get_viewdef")
    .stable(),
    Function::new("pg_get_viewdef_wrap", &[Oid, Int4], Text, |c, a| {
        view(c, args::oid(a, 0)?)
    })
    .sql("pg_get_viewdef")
    .stable(),
    Function::new("pg_get_serial_sequence", &[Text, Text], Text, |c, a| {
        serial(c, args::text(a, 0)?, args::text(a, 1)?)
    })
    .stable(),
    Function::new("obj_description", &[Oid, Name], Text, |c, a| {
        let class = system::class_oid(args::text(a, 1)?);
        Ok(comment(c, Some(class), args::oid(a, 0)?, 0))
    })
    .stable(),
    Function::new("obj_description_oid", &[Oid], Text, |c, a| {
        Ok(comment(c, None, args::oid(a, 0)?, 0))
    })
    .sql("obj_description")
    .stable(),
    Function::new("shobj_description", &[Oid, Name], Text, |c, a| {
        let found = match args::text(a, 1)? {
            "pg_database" => c.catalog.databases.get(args::oid(a, 0)?),
            _ => None,
        };
        let said = found.and_then(|d| d.comment.as_deref());
        Ok(said.map_or(Value::Null, Value::from))
    })
    .stable(),
    Function::new("col_description", &[Oid, Int4], Text, |c, a| {
        let class = system::class_oid("pg_class");
        Ok(comment(c, Some(class), args::oid(a, 0)?, args::int4(a, 1)?))
    })
    .stable(),
    Function::new("pg_get_function_result", &[Oid], Text, |c, a| {
        let oid = args::oid(a, 0)?;
        if let Some(f) = c.catalog.functions.get(&oid) {
            if f.is_procedure() {
                return Ok(Value::Null);
            }
            return Ok(shown(c, &c.catalog.function_result(f), None).into());
        }
        Ok(functions::by_oid(oid).map_or(Value::Null, |f| pseudo_name(f.ret).into()))
    })
    .stable(),
    Function::new("pg_get_function_arguments", &[Oid], Text, |c, a| {
        arguments(c, args::oid(a, 0)?, true)
    })
    .stable(),
    Function::new("pg_get_functiondef", &[Oid], Text, |c, a| {
        let found = c.catalog.functions.get(&args::oid(a, 0)?);
        Ok(found.map_or(Value::Null, |f| {
            let text = c.catalog.function_definition(f);
            c.catalog.named(&text).into_owned().into()
        }))
    })
    .stable(),
    Function::new(
        "pg_get_function_identity_arguments",
        &[Oid],
        Text,
        |c, a| arguments(c, args::oid(a, 0)?, false),
    )
    .stable(),
    Function::new(
        "pg_relation_is_updatable",
        &[Regclass, Bool],
        Int4,
        |c, a| Ok(Value::Int4(changes_of(c, args::oid(a, 0)?))),
    )
    .stable(),
    Function::new(
        "pg_column_is_updatable",
        &[Regclass, Int2, Bool],
        Bool,
        |c, a| {
            let (oid, number) = (args::oid(a, 0)?, args::int(a, 1)?);
            let at = usize::try_from(number - 1).ok();
            Ok(match c.catalog.views.get(&TableId(oid)) {
                Some(view) => at.is_some_and(|at| view.updatable.contains(&at)),
                None => number > 0 && changes_of(c, oid) != 0,
            }
            .into())
        },
    )
    .stable(),
];

/// What can be done with a relation: INSERT is 8, UPDATE 4, DELETE 16.
fn changes_of(ctx: &Context, oid: u32) -> i32 {
    const ALL: i32 = 8 + 4 + 16;
    let id = TableId(oid);
    let table = ctx.catalog.tables.get(&id);
    let table = table.is_some_and(|t| !matches!(t.kind, TableKind::Materialized { .. }));
    let view = ctx.catalog.views.get(&id).is_some_and(|v| v.is_updatable());
    if table || view { ALL } else { 0 }
}

/// Functions about what this server has none of, or cannot tell from a statement's snapshot.
macro_rules! absent {
    ($($name:literal $sql:literal [$($arg:ident)*] $ret:ident $value:expr;)*) => {
        pub static ABSENT: &[Function] = &[$(
            Function::new($name, &[$($arg),*], $ret, |_, _| Ok($value)).sql($sql).stable(),
        )*];
    };
}

absent! {
    "pg_relation_is_publishable" "pg_relation_is_publishable" [Regclass] Bool false.into();
    "pg_get_statisticsobjdef_columns" "pg_get_statisticsobjdef_columns" [Oid] Text Value::Null;
    "pg_get_ruledef" "pg_get_ruledef" [Oid] Text Value::Null;
    "pg_get_ruledef_ext" "pg_get_ruledef" [Oid Bool] Text Value::Null;
    "pg_get_function_sqlbody" "pg_get_function_sqlbody" [Oid] Text Value::Null;
    "pg_tablespace_location" "pg_tablespace_location" [Oid] Text "".into();
    "pg_tablespace_size_oid" "pg_tablespace_size" [Oid] Int8 Value::Null;
    "pg_tablespace_size_name" "pg_tablespace_size" [Name] Int8 Value::Null;
}

/// Functions, types and the like lie in pg_catalog, which is always on the search path.
macro_rules! visible {
    ($($name:literal)*) => {
        pub static VISIBLE: &[Function] = &[
            Function::new("pg_table_is_visible", &[Oid], Bool, |c, a| Ok(table_is_visible(c, args::oid(a, 0)?))).stable(),
            Function::new("pg_function_is_visible", &[Oid], Bool, |c, a| Ok(function_is_visible(c, args::oid(a, 0)?))).stable(),
            Function::new("pg_type_is_visible", &[Oid], Bool, |c, a| Ok(type_is_visible(c, args::oid(a, 0)?))).stable(),
            $(Function::new($name, &[Oid], Bool, |c, a| Ok(system_is_visible(c, $name, args::oid(a, 0)?))).stable(),)*
        ];
    };
}

visible! {
    "pg_operator_is_visible" "pg_opclass_is_visible"
    "pg_opfamily_is_visible" "pg_collation_is_visible" "pg_conversion_is_visible" "pg_statistics_obj_is_visible"
    "pg_ts_config_is_visible" "pg_ts_dict_is_visible" "pg_ts_parser_is_visible" "pg_ts_template_is_visible"
}

/// Relations of information_schema alone are off the path. NULL for none.
fn table_is_visible(ctx: &Context, oid: u32) -> Value {
    match system::all().iter().find(|r| r.oid == oid) {
        Some(r) => (r.schema_oid() == system::PG_CATALOG_OID).into(),
        None => {
            let relation = ctx.catalog.relation_by_oid(oid);
            let composite = || ctx.catalog.composite(oid).map(|t| t.name.clone());
            let name = relation.map(|r| r.name().to_owned()).or_else(composite);
            name.map_or(Value::Null, |name| {
                (cast::regclass_oid(None, &name, ctx) == Some(oid)).into()
            })
        }
    }
}

fn function_is_visible(ctx: &Context, oid: u32) -> Value {
    match ctx.catalog.functions.get(&oid) {
        Some(f) => {
            let path = path::searched(ctx);
            let seen = ctx.catalog.functions_named(&path, None, &f.name);
            seen.iter().any(|s| s.oid == oid).into()
        }
        None => true.into(),
    }
}

/// NULL for none; a user's is in the first schema of the path that has a type of its name.
fn type_is_visible(ctx: &Context, oid: u32) -> Value {
    let Some(ty) = ctx.catalog.type_of_oid(oid) else {
        return Value::Null;
    };
    let name = ty.user_oid().and_then(|of| ctx.catalog.name_of_type(of));
    let Some((_, name)) = name else {
        return true.into();
    };
    let seen = ctx.catalog.user_type(&path::searched(ctx), None, name);
    let same = seen.and_then(DataType::user_oid) == ty.user_oid();
    same.into()
}

/// What the system has of these is in pg_catalog, and nobody makes others; NULL for none.
fn system_is_visible(ctx: &Context, function: &str, oid: u32) -> Value {
    let name = match function {
        // Too many to look at each time.
        "pg_operator_is_visible" if oid != 0 => return true.into(),
        "pg_opclass_is_visible" => "pg_opclass",
        "pg_opfamily_is_visible" => "pg_opfamily",
        "pg_collation_is_visible" => "pg_collation",
        _ => return Value::Null,
    };
    let table = SystemTable {
        schema: "pg_catalog".into(),
        name: name.into(),
    };
    let rows = system::rows(&table, ctx);
    let known = rows.iter().any(|row| row.first() == Some(&Value::Oid(oid)));
    if known { true.into() } else { Value::Null }
}

/// By its name, which may say its schema. 42P01 where there is no such relation.
fn named_view(ctx: &Context, name: &str) -> Result<Value> {
    let found = cast::cast(name.into(), Text, Regclass, -1, true, ctx)?;
    view(ctx, args::oid(&[found], 0)?)
}

fn trigger(ctx: &Context, oid: u32, pretty: bool) -> Value {
    let found = ctx.catalog.trigger(oid);
    found.map_or(Value::Null, |t| {
        let text = ctx.catalog.trigger_definition(t, pretty);
        shown(ctx, &text, None).into()
    })
}

fn view(ctx: &Context, oid: u32) -> Result<Value> {
    let query = system::view_query(&ctx.catalog, oid);
    Ok(query.map_or(Value::Null, |q| query_shown(ctx, q).into()))
}

fn comment(ctx: &Context, class: Option<u32>, object: u32, column: i32) -> Value {
    let mut comments = ctx.catalog.comments.iter();
    let found = comments.find(|(key, _)| {
        key.object == object && key.column == column && class.is_none_or(|c| c == key.class)
    });
    let schemas = system::class_oid("pg_namespace");
    let public = object == system::PUBLIC_OID && class.is_none_or(|c| c == schemas);
    match found {
        Some((_, text)) => Value::from(&**text),
        None if public && column == 0 => system::PUBLIC_COMMENT.into(),
        None => Value::Null,
    }
}

/// The sequence of a table's column, as `schema.name`.
fn serial(ctx: &Context, table: &str, column: &str) -> Result<Value> {
    let parts = cast::split_name(table)?;
    let (schema, name) = match parts.as_slice() {
        [name] => (None, name.as_str()),
        [schema, name] => (Some(schema.as_str()), name.as_str()),
        _ => return Err(no_table(table)),
    };
    let path = path::searched(ctx);
    let no_column = || {
        Error::new(
            SqlState::UNDEFINED_COLUMN,
            format!("column \"{column}\" of relation \"{name}\" does not exist"),
        )
    };
    let found = match ctx.catalog.find(&path, schema, name) {
        Some(Relation::Table(found)) => found,
        // Of a view no column has one.
        Some(Relation::View(v)) if v.columns.iter().any(|c| c.name == column) => {
            return Ok(Value::Null);
        }
        Some(Relation::View(_)) => return Err(no_column()),
        _ => return Err(no_table(&parts.join("."))),
    };
    let at = found.column(column).and_then(|at| found.columns.get(at));
    let at = at.ok_or_else(no_column)?;
    let sequence = system::serial_sequence(&ctx.catalog, found.id.0, at.number);
    Ok(sequence.map_or(Value::Null, |s| {
        let (schema, name) = (quote_identifier(&s.schema), quote_identifier(&s.name));
        Value::from(format!("{schema}.{name}"))
    }))
}

fn no_table(name: &str) -> Error {
    Error::new(
        SqlState::UNDEFINED_TABLE,
        format!("relation \"{name}\" does not exist"),
    )
}

/// The whole definition, or with `column` > 0 the n-th column alone.
fn index(ctx: &Context, oid: u32, column: i32) -> Result<Value> {
    let Some(i) = system::indexes(&ctx.catalog).find(|i| i.oid == oid) else {
        return Ok(Value::Null);
    };
    let nth = match usize::try_from(column) {
        Ok(0) | Err(_) => return Ok(shown(ctx, &system::index_definition(&i, true), None).into()),
        Ok(n) => n - 1,
    };
    if let Some(part) = i.parts.get(nth) {
        return Ok(shown(ctx, &system::part_definition(i.table, part, false), None).into());
    }
    let included = nth.checked_sub(i.parts.len());
    let column = included.and_then(|n| i.table.columns.get(*i.include.get(n)?));
    Ok(column.map_or("".into(), |c| quote_identifier(&c.name).into_owned().into()))
}

fn constraint(ctx: &Context, oid: u32) -> Result<Value> {
    if let Some((_, _, check)) = system::domain_checks(&ctx.catalog).find(|c| c.0 == oid) {
        return Ok(shown(ctx, &format!("CHECK ({})", check.sql), None).into());
    }
    let found = system::constraints(&ctx.catalog).find(|c| c.oid == oid);
    Ok(found.map_or(Value::Null, |c| {
        shown(ctx, &system::constraint_definition(&c), None).into()
    }))
}

/// What PARTITION BY said.
fn placement(ctx: &Context, oid: u32) -> Result<Value> {
    let table = ctx.catalog.tables.get(&TableId(oid));
    let Some(table) = table.filter(|t| !t.placement.is_empty()) else {
        return Ok(Value::Null);
    };
    let columns = table.placement.iter().filter_map(|c| table.columns.get(*c));
    let names: Vec<_> = columns.map(|c| quote_identifier(&c.name)).collect();
    Ok(format!("HASH ({})", names.join(", ")).into())
}

fn arguments(ctx: &Context, oid: u32, defaults: bool) -> Result<Value> {
    if let Some(f) = ctx.catalog.functions.get(&oid) {
        return Ok(shown(ctx, &ctx.catalog.function_arguments(f, defaults), None).into());
    }
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
        functions::ANY_NONARRAY => "anynonarray".to_owned(),
        other => type_name(other, None),
    }
}
