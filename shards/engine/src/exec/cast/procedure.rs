//! regprocedure: a function by its name and the types of its arguments, `f(integer,text)`.
//!
//! Asked by: `reg`. Bounds: those of a name. Source: PostgreSQL 15, `regprocedurein`, `format_procedure`.

use super::typename;
use crate::catalog::{enums, path, qualify, system};
use crate::exec::functions::{self, quote_identifier};
use crate::exec::{Context, cast};
use types::{DataType, Error, Result, SqlState};

/// The oid of the function that is written.
pub fn read(s: &str, ctx: &Context) -> Result<u32> {
    let (name, types) = s.split_once('(').ok_or_else(|| malformed("left"))?;
    let types = types.trim_end().strip_suffix(')');
    let types = types.ok_or_else(|| malformed("right"))?;
    let ty = |t: &str| {
        let found = typename::parse(t).or_else(|| enums::by_text(t, ctx));
        let oid = found.map(DataType::oid).or_else(|| typename::pseudo_oid(t));
        oid.ok_or_else(|| {
            let message = format!("type \"{}\" does not exist", t.trim());
            Error::new(SqlState::UNDEFINED_OBJECT, message)
        })
    };
    let types: Vec<u32> = match types.trim() {
        "" => Vec::new(),
        list => list
            .split(',')
            .map(|t| ty(t.trim()))
            .collect::<Result<_>>()?,
    };
    let parts = cast::split_name(name)?;
    let (schema, name) = match parts.as_slice() {
        [name] => (None, name.as_str()),
        [schema, name] => (Some(schema.as_str()), name.as_str()),
        _ => return Err(undefined(s)),
    };
    let own = |f: &&&'static functions::Function| oids(f.args).eq(types.iter().copied());
    let in_system = schema.is_none_or(|s| s == "pg_catalog");
    let system = functions::overloads(name).iter().find(own);
    let system = system.filter(|_| in_system).and_then(|f| functions::oid(f));
    let users = || {
        let found = ctx
            .catalog
            .functions_named(&path::searched(ctx), schema, name);
        let takes = |f: &&std::sync::Arc<crate::catalog::Function>| {
            f.args.iter().map(|a| a.ty.oid()).eq(types.iter().copied())
        };
        found.iter().find(takes).map(|f| f.oid)
    };
    system.or_else(users).ok_or_else(|| undefined(s))
}

/// As it prints: with its schema where the path does not find it.
pub fn shown(oid: u32, ctx: &Context) -> Option<String> {
    if let Some(f) = functions::by_oid(oid) {
        let types: Vec<&str> = oids(f.args)
            .map(|oid| system_name(oid).unwrap_or("???"))
            .collect();
        return Some(format!("{}({})", quote_identifier(f.sql), types.join(",")));
    }
    let f = ctx.catalog.functions.get(&oid)?;
    let path = path::searched(ctx);
    let ty = |ty: DataType| {
        let own = qualify::type_name(&ctx.catalog, &path, ty);
        own.unwrap_or_else(|| ty.sql_name().to_owned())
    };
    let types: Vec<String> = f.args.iter().map(|a| ty(a.ty)).collect();
    let name = quote_identifier(&f.name);
    let found = ctx.catalog.functions_named(&path, None, &f.name);
    let seen = found.iter().any(|g| g.oid == oid);
    let name = match seen {
        true => name.into_owned(),
        false => format!("{}.{name}", quote_identifier(&f.schema)),
    };
    Some(format!("{name}({})", types.join(",")))
}

fn oids(args: &'static [DataType]) -> impl Iterator<Item = u32> {
    args.iter().map(|ty| system::signature_oid(*ty))
}

fn system_name(oid: u32) -> Option<&'static str> {
    let known = DataType::from_oid(oid).map(DataType::sql_name);
    known.or_else(|| typename::pseudo_name(oid))
}

fn malformed(which: &str) -> Error {
    Error::new(
        SqlState::INVALID_TEXT_REPRESENTATION,
        format!("expected a {which} parenthesis"),
    )
}

fn undefined(s: &str) -> Error {
    Error::new(
        SqlState::UNDEFINED_FUNCTION,
        format!("function \"{s}\" does not exist"),
    )
}
