//! regclass, regtype, regproc, regprocedure, regnamespace: oids that read and print as names.
//!
//! Asked by: `cast`. Looks names up in the statement's catalog snapshot, then among the system relations.

use super::{cannot, cut_name, procedure, typename};
use crate::catalog::enums;
use crate::catalog::{Catalog, path, qualify, system};
use crate::exec::{Context, functions};
use DataType::*;
use std::sync::Arc;
use types::{DataType, Error, Reg, Result, SqlState, Value};

const SYSTEM: [(u32, &str); 2] = [
    (system::PG_CATALOG_OID, "pg_catalog"),
    (system::INFORMATION_SCHEMA_OID, "information_schema"),
];

/// The oid of a schema, as `pg_namespace` has it.
pub fn schema_oid(catalog: &Catalog, name: &str) -> Option<u32> {
    let system = SYSTEM.iter().find(|(_, n)| *n == name).map(|(oid, _)| *oid);
    system.or_else(|| catalog.schema_oid(name))
}

/// The schema of that oid.
pub fn schema_name(catalog: &Catalog, oid: u32) -> Option<&str> {
    let system = SYSTEM
        .iter()
        .find(|(o, _)| *o == oid)
        .map(|(_, name)| *name);
    system.or_else(|| catalog.schema_name(oid))
}

pub fn convert(v: Value, from: DataType, to: DataType, ctx: &Context) -> Result<Value> {
    if from.is_reg() {
        return match (&v, to) {
            (Value::Reg(r), Oid) => Ok(Value::Oid(r.oid)),
            (Value::Reg(r), Regproc | Regprocedure) => Ok(reg(r.oid, name_of(r.oid, to, ctx))),
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
        return regtype(s, ctx);
    }
    if to == Regprocedure {
        let oid = procedure::read(s, ctx)?;
        return Ok(reg(oid, name_of(oid, to, ctx)));
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
        Regnamespace => schema_oid(&ctx.catalog, name)
            .filter(|_| schema.is_none())
            .map(|oid| reg(oid, Some(name.to_owned())))
            .ok_or_else(|| {
                Error::new(
                    SqlState::INVALID_SCHEMA_NAME,
                    format!("schema \"{name}\" does not exist"),
                )
            }),
        _ => functions::proc_oid(name)
            .or_else(|| system::io_function(name))
            .filter(|_| schema.is_none_or(|s| s == "pg_catalog"))
            .or_else(|| {
                let path = path::searched(ctx);
                let found = ctx.catalog.functions_named(&path, schema, name);
                found.first().map(|f| f.oid)
            })
            .map(|oid| reg(oid, Some(name.to_owned())))
            .ok_or_else(|| {
                Error::new(
                    SqlState::UNDEFINED_FUNCTION,
                    format!("function \"{name}\" does not exist"),
                )
            }),
    }
}

/// The oid of a table, index or system relation; without a schema, pg_catalog is searched first.
pub fn regclass_oid(schema: Option<&str>, name: &str, ctx: &Context) -> Option<u32> {
    if let Some(found) = system::find(schema.unwrap_or(""), name) {
        return Some(found.oid);
    }
    let path = path::searched(ctx);
    let found = ctx.catalog.find(&path, schema, name);
    found.map(|r| r.oid()).or_else(|| {
        let oid = ctx.catalog.user_type(&path, schema, name)?.user_oid()?;
        ctx.catalog.composite(oid).map(|t| t.oid)
    })
}

/// How a relation prints: without its schema where the search path finds it.
pub fn regclass_name(oid: u32, ctx: &Context) -> Option<String> {
    let (schema, name) = match ctx.catalog.relation_by_oid(oid) {
        Some(r) => (r.schema().to_owned(), r.name().to_owned()),
        None => match ctx.catalog.composite(oid) {
            Some(t) => (t.schema.clone(), t.name.clone()),
            None => {
                let found = system::all().iter().find(|r| r.oid == oid)?;
                (found.schema.to_owned(), found.name.to_owned())
            }
        },
    };
    let visible = schema == "pg_catalog" || regclass_oid(None, &name, ctx) == Some(oid);
    let name = functions::quote_identifier(&name).into_owned();
    if visible {
        Some(name)
    } else {
        Some(format!("{}.{name}", functions::quote_identifier(&schema)))
    }
}

fn name_of(oid: u32, to: DataType, ctx: &Context) -> Option<String> {
    match to {
        Regclass => regclass_name(oid, ctx),
        Regtype => {
            let Some(ty) = ctx.catalog.type_of_oid(oid) else {
                return typename::pseudo_name(oid).map(str::to_owned);
            };
            let path = path::searched(ctx);
            let own = qualify::type_name(&ctx.catalog, &path, ty);
            Some(own.unwrap_or_else(|| ty.sql_name().to_owned()))
        }
        Regnamespace => schema_name(&ctx.catalog, oid).map(str::to_owned),
        Regprocedure => procedure::shown(oid, ctx),
        _ => functions::by_oid(oid)
            .map(|f| f.sql)
            .or_else(|| system::io_function_name(oid))
            .or_else(|| ctx.catalog.functions.get(&oid).map(|f| f.name.as_str()))
            .map(str::to_owned),
    }
}

fn regtype(s: &str, ctx: &Context) -> Result<Value> {
    let found = typename::parse(s).or_else(|| enums::by_text(s, ctx));
    match found {
        Some(ty) => Ok(reg(ty.oid(), name_of(ty.oid(), Regtype, ctx))),
        None if typename::pseudo_oid(s).is_some() => {
            let oid = typename::pseudo_oid(s).unwrap_or_default();
            Ok(reg(oid, name_of(oid, Regtype, ctx)))
        }
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
