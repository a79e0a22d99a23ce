//! Rows about functions that users have made.
//!
//! Source: PostgreSQL 15's `pg_proc.h` and `information_schema.sql`.

use super::values::{OWNER, array, ch, int2, int4, no_proc, null, oid, text, yes};
use super::{information, objects};
use crate::catalog::Function;
use crate::catalog::generic::Generic;
use crate::exec::Context;
use types::{DataType, Row, Value};

/// `pg_language.oid` of c: what is not in SQL and came with an extension.
pub(super) const C: u32 = 13;
/// `pg_language.oid` of sql, and of plpgsql as most databases have it.
pub(super) const SQL: u32 = 14;
pub(super) const PLPGSQL: u32 = 13_564;
/// `trigger`.
const TRIGGER: u32 = 2279;
/// `record`.
const RECORD: u32 = 2249;

/// The oid of an argument's type: the domain, where it is one.
fn type_oid(ctx: &Context, ty: DataType, declared: u32) -> u32 {
    match ctx.catalog.is_domain(declared) || Generic::by_oid(declared).is_some() {
        true => declared,
        false => ty.oid(),
    }
}

fn return_oid(ctx: &Context, f: &Function) -> u32 {
    if f.is_of_triggers() {
        return TRIGGER;
    }
    if let Some(id) = f.returns.row_of {
        return id.0;
    }
    match f.returns.columns.as_slice() {
        [] => type_oid(ctx, f.returns.ty, f.returns.declared),
        [only] if f.returns.row_of.is_none() && f.written.is_empty() => only.ty.oid(),
        _ => RECORD,
    }
}

pub(super) fn procs(ctx: &Context) -> impl Iterator<Item = Row> + '_ {
    ctx.catalog.functions.values().map(|f| proc_row(ctx, f))
}

/// `proallargtypes`, `proargmodes` and `proargnames`: the columns of TABLE (…) are arguments that go out.
fn arguments(f: &Function, types: &[Value]) -> [Value; 3] {
    if !f.written.is_empty() {
        let types = f.written.iter().map(|w| match w.declared {
            0 => oid(w.ty.oid()),
            declared => oid(declared),
        });
        let modes = f.written.iter().map(|w| {
            ch(match w.mode {
                'o' => "o",
                'b' => "b",
                _ => "i",
            })
        });
        let names = f.written.iter().map(|w| w.name.as_deref().unwrap_or(""));
        return [
            array(DataType::Oid, types.collect()),
            array(DataType::InternalChar, modes.collect()),
            match f.written.iter().any(|w| w.name.is_some()) {
                true => array(DataType::Text, names.map(text).collect()),
                false => null(),
            },
        ];
    }
    let columns = match f.returns.row_of {
        Some(_) => &[],
        None => f.returns.columns.as_slice(),
    };
    let names = f.args.iter().map(|a| a.name.as_deref().unwrap_or(""));
    let names: Vec<&str> = names
        .chain(columns.iter().map(|c| c.name.as_str()))
        .collect();
    let names = match names.iter().any(|n| !n.is_empty()) {
        true => array(DataType::Text, names.into_iter().map(text).collect()),
        false => null(),
    };
    if columns.is_empty() {
        return [null(), null(), names];
    }
    let mut all = types.to_vec();
    all.extend(columns.iter().map(|c| oid(c.ty.oid())));
    let modes = types.iter().map(|_| "i").chain(columns.iter().map(|_| "t"));
    [
        array(DataType::Oid, all),
        array(DataType::InternalChar, modes.map(ch).collect()),
        names,
    ]
}

fn proc_row(ctx: &Context, f: &Function) -> Row {
    let types = f.args.iter().map(|a| type_oid(ctx, a.ty, a.declared));
    let types: Vec<Value> = types.map(oid).collect();
    let [all, modes, names] = arguments(f, &types);
    let defaults = f.args.iter().filter_map(|a| a.default.as_ref());
    let defaults: Vec<&str> = defaults.map(|d| d.sql.as_str()).collect();
    vec![
        oid(f.oid),
        text(&f.name),
        oid(objects::schema(&ctx.catalog, &f.schema)),
        oid(OWNER),
        oid(match f.is_program() {
            true => PLPGSQL,
            false if f.is_built_in() => C,
            false => SQL,
        }),
        Value::Float4(if f.is_built_in() { 1.0 } else { 100.0 }),
        Value::Float4(if f.returns.set { 1000.0 } else { 0.0 }),
        oid(0),
        no_proc(),
        ch(if f.is_procedure() { "p" } else { "f" }),
        yes(f.definer),
        yes(false),
        yes(f.strict),
        yes(f.returns.set),
        text(&f.volatility.to_string()),
        ch("u"),
        int2(f.args.len() as i16),
        int2(defaults.len() as i16),
        oid(return_oid(ctx, f)),
        array(DataType::Oid, types),
        all,
        modes,
        names,
        match defaults.is_empty() {
            true => null(),
            false => text(&defaults.join(", ")),
        },
        null(),
        text(&f.body.sql),
        null(),
        null(),
        match f.settings.is_empty() {
            true => null(),
            false => {
                let one = |(name, value): &(String, String)| text(&format!("{name}={value}"));
                array(DataType::Text, f.settings.iter().map(one).collect())
            }
        },
        null(),
    ]
}

/// Of `information_schema`.
pub(super) fn routines(ctx: &Context) -> Vec<Row> {
    let row = |f: &Function| -> Row {
        let database = || text(&ctx.session.database);
        let (schema, name) = (text(&f.schema), text(&f.name));
        let specific = text(&format!("{}_{}", f.name, f.oid));
        let mut row = vec![
            database(),
            schema.clone(),
            specific,
            database(),
            schema,
            name,
            text(if f.is_procedure() {
                "PROCEDURE"
            } else {
                "FUNCTION"
            }),
        ];
        row.resize(13, Value::Null);
        let single = f.returns.columns.is_empty();
        row.push(match single {
            _ if f.is_procedure() => Value::Null,
            true if f.is_of_triggers() => text("trigger"),
            true => text(information::kind_of_type(f.returns.ty)),
            false => text("record"),
        });
        row.resize(28, Value::Null);
        match single {
            _ if f.is_procedure() => {}
            true if f.is_of_triggers() => {
                row.extend([database(), text("pg_catalog"), text("trigger")]);
            }
            true => row.extend(information::udt(f.returns.ty, ctx)),
            false => row.extend([database(), text("pg_catalog"), text("record")]),
        }
        row.resize(35, Value::Null);
        let (body, language) = match f.is_program() {
            true => ("EXTERNAL", "PLPGSQL"),
            false if f.is_built_in() => ("EXTERNAL", "C"),
            false => ("SQL", "SQL"),
        };
        row.extend([text("0"), text(body), text(&f.body.sql)]);
        row.extend([Value::Null, text(language), text("SQL")]);
        row.push(information::yes_no(f.volatility == 'i'));
        row.extend([
            text("MODIFIES"),
            match f.is_procedure() {
                true => Value::Null,
                false => information::yes_no(f.strict),
            },
            Value::Null,
            text("YES"),
            int4(0),
        ]);
        row.resize(49, Value::Null);
        row.push(text(if f.definer { "DEFINER" } else { "INVOKER" }));
        row.resize(82, Value::Null);
        row
    };
    ctx.catalog.functions.values().map(|f| row(f)).collect()
}

pub(super) fn parameters(ctx: &Context) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for f in ctx.catalog.functions.values() {
        let args = f.args.iter().map(|a| (a.name.as_deref(), a.ty, "IN"));
        let columns = match f.returns.row_of {
            Some(_) => &[],
            None => f.returns.columns.as_slice(),
        };
        let columns = columns.iter().map(|c| (Some(c.name.as_str()), c.ty, "OUT"));
        for (at, (name, ty, mode)) in args.chain(columns).enumerate() {
            rows.push(vec![
                text(&ctx.session.database),
                text(&f.schema),
                text(&format!("{}_{}", f.name, f.oid)),
                int4(at as i32 + 1),
                text(mode),
                text("NO"),
                text("NO"),
                name.map_or(Value::Null, text),
                text(information::kind_of_type(ty)),
            ]);
            if let Some(row) = rows.last_mut() {
                row.resize(23, Value::Null);
                row.extend(information::udt(ty, ctx));
                row.resize(30, Value::Null);
                row.push(text(&(at + 1).to_string()));
                let default = f.args.get(at).and_then(|a| a.default.as_ref());
                row.push(default.map_or(Value::Null, |d| text(&d.sql)));
            }
        }
    }
    rows
}
