//! regclass, regtype, regproc, regnamespace: oids that read and print as names.
//!
//! Asked by: `cast`. Looks names up in the statement's catalog snapshot, then among the system relations.

use super::{cannot, cut_name, typename};
use crate::catalog::Relation;
use crate::catalog::model::PUBLIC;
use crate::exec::{Context, functions};
use DataType::*;
use std::sync::Arc;
use types::{DataType, Error, Reg, Result, SqlState, Value};

/// Schemas and their oids, as `pg_namespace` shows them.
pub const NAMESPACES: &[(u32, &str)] = &[
    (11, "pg_catalog"),
    (2200, PUBLIC),
    (13_183, "information_schema"),
];

/// PostgreSQL's fixed oids of its catalog tables.
const SYSTEM_TABLES: &[(u32, &str)] = &[
    (826, "pg_default_acl"),
    (1213, "pg_tablespace"),
    (1214, "pg_shdepend"),
    (1247, "pg_type"),
    (1249, "pg_attribute"),
    (1255, "pg_proc"),
    (1259, "pg_class"),
    (1260, "pg_authid"),
    (1261, "pg_auth_members"),
    (1262, "pg_database"),
    (1417, "pg_foreign_server"),
    (1418, "pg_user_mapping"),
    (2224, "pg_sequence"),
    (2328, "pg_foreign_data_wrapper"),
    (2396, "pg_shdescription"),
    (2600, "pg_aggregate"),
    (2601, "pg_am"),
    (2602, "pg_amop"),
    (2603, "pg_amproc"),
    (2604, "pg_attrdef"),
    (2605, "pg_cast"),
    (2606, "pg_constraint"),
    (2607, "pg_conversion"),
    (2608, "pg_depend"),
    (2609, "pg_description"),
    (2610, "pg_index"),
    (2611, "pg_inherits"),
    (2612, "pg_language"),
    (2613, "pg_largeobject"),
    (2615, "pg_namespace"),
    (2616, "pg_opclass"),
    (2617, "pg_operator"),
    (2618, "pg_rewrite"),
    (2619, "pg_statistic"),
    (2620, "pg_trigger"),
    (2753, "pg_opfamily"),
    (2964, "pg_db_role_setting"),
    (2995, "pg_largeobject_metadata"),
    (3079, "pg_extension"),
    (3118, "pg_foreign_table"),
    (3256, "pg_policy"),
    (3350, "pg_partitioned_table"),
    (3381, "pg_statistic_ext"),
    (3394, "pg_init_privs"),
    (3429, "pg_statistic_ext_data"),
    (3456, "pg_collation"),
    (3466, "pg_event_trigger"),
    (3501, "pg_enum"),
    (3541, "pg_range"),
    (3576, "pg_transform"),
    (3592, "pg_shseclabel"),
    (3596, "pg_seclabel"),
    (3600, "pg_ts_dict"),
    (3601, "pg_ts_parser"),
    (3602, "pg_ts_config"),
    (3603, "pg_ts_config_map"),
    (3764, "pg_ts_template"),
    (6000, "pg_replication_origin"),
    (6100, "pg_subscription"),
    (6102, "pg_subscription_rel"),
    (6104, "pg_publication"),
    (6106, "pg_publication_rel"),
    (6237, "pg_publication_namespace"),
    (6243, "pg_parameter_acl"),
];

pub fn convert(v: Value, from: DataType, to: DataType, ctx: &Context) -> Result<Value> {
    if from.is_reg() {
        return match (&v, to) {
            (Value::Reg(r), Oid) => Ok(Value::Oid(r.oid)),
            (Value::Reg(r), Int4) => Ok(Value::Int4(r.oid as i32)),
            (Value::Reg(r), Int8) => Ok(Value::Int8(i64::from(r.oid))),
            (Value::Reg(r), _) if to.category() == 'S' => Ok(Value::Text(r.name.clone())),
            _ => Err(cannot(from, to)),
        };
    }
    match &v {
        Value::Text(s) => named(s.trim(), to, ctx),
        _ => {
            let oid = match v {
                Value::Int4(i) => Some(i as u32),
                _ => v.as_i64().and_then(|i| u32::try_from(i).ok()),
            };
            let oid = oid.ok_or_else(|| functions::out_of_range("OID out of range"))?;
            Ok(reg(oid, name_of(oid, to, ctx)))
        }
    }
}

fn reg(oid: u32, name: Option<String>) -> Value {
    Value::Reg(Reg {
        oid,
        name: match name {
            Some(name) => name.into(),
            None if oid == 0 => Arc::from("-"),
            None => oid.to_string().into(),
        },
    })
}

/// Input: a number, `-`, or a name that may be qualified and quoted.
fn named(s: &str, to: DataType, ctx: &Context) -> Result<Value> {
    if s == "-" {
        return Ok(reg(0, None));
    }
    if !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit()) {
        let oid = s.parse::<u32>().map_err(|_| {
            Error::new(
                SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                format!("value \"{s}\" is out of range for type oid"),
            )
        })?;
        return Ok(reg(oid, name_of(oid, to, ctx)));
    }
    if to == Regtype {
        return regtype(s);
    }
    let parts = split_name(s)?;
    let (schema, name) = match parts.as_slice() {
        [name] => (None, name.as_str()),
        [schema, name] => (Some(schema.as_str()), name.as_str()),
        [database, schema, name] if *database == ctx.session.database => {
            (Some(schema.as_str()), name.as_str())
        }
        _ => return Err(invalid_name()),
    };
    match to {
        Regclass => {
            let oid = regclass_oid(schema, name, ctx).ok_or_else(|| {
                Error::new(
                    SqlState::UNDEFINED_TABLE,
                    format!("relation \"{}\" does not exist", parts.join(".")),
                )
            })?;
            Ok(reg(oid, name_of(oid, to, ctx)))
        }
        Regnamespace => NAMESPACES
            .iter()
            .find(|(_, n)| schema.is_none() && *n == name)
            .map(|(oid, n)| reg(*oid, Some((*n).to_owned())))
            .ok_or_else(|| {
                Error::new(
                    SqlState::INVALID_SCHEMA_NAME,
                    format!("schema \"{name}\" does not exist"),
                )
            }),
        _ => functions::proc_oid(name)
            .map(|oid| reg(oid, Some(name.to_owned())))
            .ok_or_else(|| {
                Error::new(
                    SqlState::UNDEFINED_FUNCTION,
                    format!("function \"{name}\" does not exist"),
                )
            }),
    }
}

/// The oid of a table, index or system relation.
pub fn regclass_oid(schema: Option<&str>, name: &str, ctx: &Context) -> Option<u32> {
    if matches!(schema, None | Some("pg_catalog"))
        && let Some((oid, _)) = SYSTEM_TABLES.iter().find(|(_, n)| *n == name)
    {
        return Some(*oid);
    }
    ctx.catalog.relation_by_name(schema, name).map(|r| match r {
        Relation::Table(t) => t.id.0,
        Relation::Index(_, i) => i.id.0,
        Relation::PrimaryKey(t) => t.primary_key_id.0,
    })
}

/// How a relation prints: without its schema where the search path finds it.
pub fn regclass_name(oid: u32, ctx: &Context) -> Option<String> {
    if let Some((_, name)) = SYSTEM_TABLES.iter().find(|(o, _)| *o == oid) {
        return Some((*name).to_owned());
    }
    let (schema, name) = match ctx.catalog.relation_by_oid(oid)? {
        Relation::Table(t) => (t.schema.clone(), t.name.clone()),
        Relation::Index(t, i) => (t.schema.clone(), i.name.clone()),
        Relation::PrimaryKey(t) => (t.schema.clone(), t.primary_key_name.clone()),
    };
    let name = functions::quote_identifier(&name).into_owned();
    if schema == PUBLIC {
        Some(name)
    } else {
        Some(format!("{}.{name}", functions::quote_identifier(&schema)))
    }
}

fn name_of(oid: u32, to: DataType, ctx: &Context) -> Option<String> {
    match to {
        Regclass => regclass_name(oid, ctx),
        Regtype => DataType::from_oid(oid).map(|t| t.sql_name().to_owned()),
        Regnamespace => {
            let found = NAMESPACES.iter().find(|(o, _)| *o == oid);
            found.map(|(_, n)| (*n).to_owned())
        }
        _ => functions::by_oid(oid).map(|f| f.sql.to_owned()),
    }
}

fn regtype(s: &str) -> Result<Value> {
    match typename::parse(s) {
        Some(ty) => Ok(reg(ty.oid(), Some(ty.sql_name().to_owned()))),
        None => Err(Error::new(
            SqlState::UNDEFINED_OBJECT,
            format!("type \"{s}\" does not exist"),
        )),
    }
}

/// `a.b` and `"A b".c` into their parts, unquoted ones in lower case.
pub fn split_name(s: &str) -> Result<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = s.trim();
    loop {
        let (part, after) = match rest.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let end = rest.find('.').unwrap_or(rest.len());
                let bare = rest[..end].trim();
                if bare.is_empty() || bare.contains(['"', ' ']) {
                    return Err(invalid_name());
                }
                (bare.to_lowercase(), &rest[end..])
            }
        };
        parts.push(cut_name(&part).to_owned());
        match after.trim_start().strip_prefix('.') {
            Some(next) => rest = next.trim_start(),
            None if after.trim().is_empty() => return Ok(parts),
            None => return Err(invalid_name()),
        }
    }
}

/// The text up to the closing quote, doubled quotes halved, and what follows it.
fn unquote(s: &str) -> Result<(String, &str)> {
    let mut part = String::new();
    let mut chars = s.char_indices().peekable();
    while let Some((i, c)) = chars.next() {
        if c != '"' {
            part.push(c);
        } else if chars.next_if(|(_, c)| *c == '"').is_some() {
            part.push('"');
        } else if part.is_empty() {
            return Err(invalid_name());
        } else {
            return Ok((part, &s[i + 1..]));
        }
    }
    Err(invalid_name())
}

#[cold]
fn invalid_name() -> Error {
    Error::new(SqlState(*b"42602"), "invalid name syntax")
}
