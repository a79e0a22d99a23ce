//! Who, where and on what: session and server information, settings, privileges.

use super::super::args;
use super::Function;
use crate::catalog::{path, system};
use crate::exec::Context;
use crate::exec::functions::{ANY, check_size, quote_identifier};
use DataType::*;
use std::sync::Arc;
use types::network::Inet as Address;
use types::{Array, DataType, Error, Result, SqlState, Value};

/// What drivers take the server's abilities from.
const POSTGRES_VERSION: &str = "15.0";

pub static FUNCTIONS: &[Function] = &[
    Function::new("pgsql_version", &[], Text, |_, _| Ok(version().into()))
        .sql("version")
        .stable(),
    Function::new("current_user", &[], Name, |c, _| {
        Ok(c.session.user.as_str().into())
    })
    .stable(),
    Function::new("session_user", &[], Name, |c, _| {
        Ok(c.session.user.as_str().into())
    })
    .stable(),
    Function::new("user", &[], Name, |c, _| Ok(c.session.user.as_str().into())).stable(),
    Function::new("current_role", &[], Name, |c, _| {
        Ok(c.session.user.as_str().into())
    })
    .stable(),
    Function::new("current_database", &[], Name, |c, _| {
        Ok(c.session.database.as_str().into())
    })
    .stable(),
    Function::new("current_catalog", &[], Name, |c, _| {
        Ok(c.session.database.as_str().into())
    })
    .stable(),
    Function::new("current_schema", &[], Name, |c, _| {
        Ok(path::creation(c).map_or(Value::Null, Value::from))
    })
    .stable(),
    Function::new("current_schemas", &[Bool], NameArray, |c, a| {
        let implicit = args::boolean(a, 0)?;
        let mut all = if implicit {
            path::searched(c)
        } else {
            path::listed(c)
        };
        if implicit {
            let temporary = path::temporary(c);
            let at = usize::from(all.first() == Some(&temporary));
            all.insert(at, "pg_catalog".into());
        }
        Ok(names(all.iter().map(String::as_str)))
    })
    .stable(),
    Function::new("pg_backend_pid", &[], Int4, |c, _| {
        Ok(Value::Int4(c.session.backend_pid))
    })
    .stable(),
    Function::new("acldefault", &[InternalChar, Oid], TextArray, |c, a| {
        access(&c.session.user, args::text(a, 0)?)
    })
    .stable(),
    Function::new("pg_reload_conf", &[], Bool, |_, _| {
        runtime::watch_signals().reload();
        Ok(true.into())
    })
    .volatile(),
    Function::new("pg_is_in_recovery", &[], Bool, |_, _| Ok(false.into())).stable(),
    Function::new("inet_server_port", &[], Int4, |c, _| {
        Ok(Value::Int4(i32::from(c.session.server_port)))
    })
    .stable(),
    Function::new("inet_client_addr", &[], Inet, |c, _| {
        let address = c.session.client_addr.map(Address::host);
        Ok(address.map_or(Value::Null, Value::Inet))
    })
    .stable(),
    Function::new("show_config_by_name", &[Text], Text, |c, a| {
        setting(c, args::text(a, 0)?, false)
    })
    .sql("current_setting")
    .stable(),
    Function::new(
        "show_config_by_name_missing_ok",
        &[Text, Bool],
        Text,
        |c, a| setting(c, args::text(a, 0)?, args::boolean(a, 1)?),
    )
    .sql("current_setting")
    .stable(),
    // The binder makes an operator of it.
    Function::new("set_config_by_name", &[Text, Text, Bool], Text, |_, _| {
        Err(Error::internal("set_config called for one value"))
    })
    .sql("set_config")
    .lax()
    .volatile(),
    Function::new("pg_encoding_to_char", &[Int4], Name, |_, a| {
        Ok(match args::int4(a, 0)? {
            6 => "UTF8",
            0 => "SQL_ASCII",
            _ => "",
        }
        .into())
    })
    .stable(),
    Function::new("pg_char_to_encoding", &[Name], Int4, |_, a| {
        let name = args::text(a, 0)?.to_ascii_lowercase();
        Ok(Value::Int4(match name.as_str() {
            "utf8" | "utf-8" | "unicode" => 6,
            "sql_ascii" => 0,
            _ => -1,
        }))
    })
    .stable(),
    Function::new("getdatabaseencoding", &[], Name, |_, _| Ok("UTF8".into())).stable(),
    Function::new("pg_client_encoding", &[], Name, |_, _| Ok("UTF8".into())).stable(),
    Function::new("pg_my_temp_schema", &[], Oid, |c, _| {
        let own = c.catalog.schema_oid(&path::temporary(c));
        Ok(Value::Oid(own.unwrap_or(0)))
    })
    .stable(),
    Function::new("pg_is_other_temp_schema", &[Oid], Bool, |c, a| {
        let schema = c.catalog.schemas.get(&args::oid(a, 0)?);
        let other = schema.is_some_and(|s| s.temporary && s.name != path::temporary(c));
        Ok(other.into())
    })
    .stable(),
    Function::new("pg_get_userbyid", &[Oid], Name, |c, a| {
        Ok(match args::oid(a, 0)? {
            system::OWNER => c.session.user.as_str().into(),
            system::DATABASE_OWNER => "pg_database_owner".into(),
            other => format!("unknown (OID={other})").into(),
        })
    })
    .stable(),
    Function::new("pg_size_pretty", &[Int8], Text, |_, a| {
        Ok(pretty(i128::from(args::int(a, 0)?)).into())
    }),
    Function::new(
        "pg_size_pretty_numeric",
        &[DataType::Numeric],
        Text,
        |_, a| {
            let rounded = args::numeric(a, 0)?.round(0)?.to_i128();
            Ok(rounded.map_or(Value::Null, |n| pretty(n).into()))
        },
    )
    .sql("pg_size_pretty"),
    Function::new("pg_size_bytes", &[Text], Int8, |_, a| {
        size_bytes(args::text(a, 0)?)
    }),
    Function::new("pg_encoding_max_length", &[Int4], Int4, |_, a| {
        Ok(match args::int4(a, 0)? {
            6 => Value::Int4(4),
            0 => Value::Int4(1),
            _ => Value::Null,
        })
    }),
    Function::new("pg_jit_available", &[], Bool, |_, _| Ok(false.into())).volatile(),
    Function::new("pg_trigger_depth", &[], Int4, |c, _| {
        Ok(Value::Int4(c.triggers_deep))
    })
    .stable(),
    Function::new("pg_num_nulls", &[ANY], Int4, |_, a| Ok(count(a, true)))
        .sql("num_nulls")
        .lax()
        .variadic(),
    Function::new("pg_num_nonnulls", &[ANY], Int4, |_, a| Ok(count(a, false)))
        .sql("num_nonnulls")
        .lax()
        .variadic(),
    Function::new("gen_random_uuid", &[], Uuid, |_, _| {
        Ok(Value::Uuid(random_uuid()))
    })
    .volatile(),
];

/// One privilege function: for the current user, and for a named one.
macro_rules! privileges {
    ($($name:literal $named:literal $check:expr;)*) => {
        pub static PRIVILEGES: &[Function] = &[$(
            Function::new($name, &[ANY, Text], Bool, |c, a| $check(c, &a[0])).stable(),
            Function::new($named, &[ANY, ANY, Text], Bool, |c, a| $check(c, &a[1])).sql($name).stable(),
        )*
            Function::new("has_column_privilege", &[ANY, ANY, Text], Bool, |c, a| table(c, &a[0])).stable(),
            Function::new("pg_has_role", &[ANY, Text], Bool, |_, _| Ok(true.into())).stable(),
            Function::new("pg_has_role_named", &[ANY, ANY, Text], Bool, |_, _| Ok(true.into())).sql("pg_has_role").stable(),
        ];
    };
}

privileges! {
    "has_table_privilege" "has_table_privilege_named" table;
    "has_any_column_privilege" "has_any_column_privilege_named" table;
    "has_schema_privilege" "has_schema_privilege_named" granted;
    "has_database_privilege" "has_database_privilege_named" granted;
    "has_function_privilege" "has_function_privilege_named" granted;
    "has_type_privilege" "has_type_privilege_named" granted;
    "has_sequence_privilege" "has_sequence_privilege_named" granted;
    "has_tablespace_privilege" "has_tablespace_privilege_named" granted;
    "has_language_privilege" "has_language_privilege_named" granted;
}

/// What may be done with an object that nobody has granted or revoked anything of: by everybody, and by its owner, who is
/// the one user.
fn access(user: &str, kind: &str) -> Result<Value> {
    let (everybody, owner) = match kind {
        "c" => ("", ""),
        "r" => ("", "arwdDxt"),
        "s" => ("", "rwU"),
        "d" => ("Tc", "CTc"),
        "f" => ("X", "X"),
        "l" | "T" => ("U", "U"),
        "L" => ("", "rw"),
        "n" => ("", "UC"),
        "p" => ("", "sA"),
        "t" => ("", "C"),
        "F" | "S" => ("", "U"),
        _ => {
            return Err(Error::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("unrecognized object type abbreviation: \"{kind}\""),
            ));
        }
    };
    let user = quote_identifier(user);
    let all = [("", everybody), (&*user, owner)];
    let given = all.iter().filter(|(_, what)| !what.is_empty());
    let item = |(to, what): &(&str, &str)| Value::from(format!("{to}={what}/{user}"));
    Ok(Value::Array(Arc::new(Array {
        element: Text,
        items: given.map(item).collect(),
    })))
}

/// There is one user, and everything is theirs.
fn granted(_: &Context, _: &Value) -> Result<Value> {
    Ok(true.into())
}

/// As above, for a table that must exist if it is named.
fn table(ctx: &Context, relation: &Value) -> Result<Value> {
    if relation.as_str().is_some() {
        crate::exec::cast::cast(relation.clone(), Text, Regclass, -1, true, ctx)?;
    }
    Ok(true.into())
}

fn random_uuid() -> uuid::Uuid {
    let mut bytes = [0; 16];
    runtime::random_bytes(&mut bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

fn version() -> String {
    format!(
        "PostgreSQL {POSTGRES_VERSION} (RustyDB Shard {}) on {}-{}, {}-bit",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH,
        std::env::consts::OS,
        usize::BITS
    )
}

fn names<'a>(items: impl Iterator<Item = &'a str>) -> Value {
    Value::Array(Arc::new(Array {
        element: Name,
        items: items.map(Value::from).collect(),
    }))
}

fn setting(ctx: &Context, name: &str, missing_ok: bool) -> Result<Value> {
    let found = ctx
        .session
        .settings
        .iter()
        .find(|(n, _)| n.eq_ignore_ascii_case(name));
    match found {
        Some((_, value)) => {
            check_size(value.len())?;
            Ok(value.as_str().into())
        }
        None if missing_ok => Ok(Value::Null),
        None => Err(Error::new(
            SqlState::UNDEFINED_OBJECT,
            format!("unrecognized configuration parameter \"{name}\""),
        )),
    }
}

/// In the largest unit that leaves at most 10,239 (20,479 halves), rounded half away from zero.
fn pretty(bytes: i128) -> String {
    const UNITS: [&str; 6] = ["bytes", "kB", "MB", "GB", "TB", "PB"];
    if bytes.abs() < 10 * 1024 {
        return format!("{bytes} bytes");
    }
    // In half units from here on, so that the last step can round.
    let mut halves = bytes / 512;
    let mut unit = 1;
    while halves.abs() >= 20 * 1024 - 1 && unit + 1 < UNITS.len() {
        halves /= 1024;
        unit += 1;
    }
    let rounded = (halves + halves.signum()) / 2;
    format!("{rounded} {}", UNITS[unit])
}

/// The inverse: `10 GB`, `1.5MB`, a bare number of bytes.
fn size_bytes(text: &str) -> Result<Value> {
    let refuse = || {
        Error::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("invalid size: \"{text}\""),
        )
    };
    let body = text.trim();
    let end = body
        .find(|c: char| c.is_ascii_alphabetic() && !matches!(c, 'e' | 'E'))
        .unwrap_or(body.len());
    let number: types::Numeric = body[..end].trim().parse().map_err(|_| refuse())?;
    let shift = match body[end..].to_ascii_lowercase().as_str() {
        "" | "b" | "bytes" => 0,
        "kb" => 10,
        "mb" => 20,
        "gb" => 30,
        "tb" => 40,
        "pb" => 50,
        other => {
            return Err(refuse()
                .with_detail(format!("Invalid size unit: \"{other}\"."))
                .with_hint(
                    "Valid units are \"bytes\", \"kB\", \"MB\", \"GB\", \"TB\", and \"PB\".",
                ));
        }
    };
    let bytes = number
        .mul(&types::Numeric::from(1i64 << shift))?
        .round(0)?
        .to_i64();
    bytes
        .map(Value::Int8)
        .ok_or_else(|| Error::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "bigint out of range"))
}

fn count(a: &[Value], nulls: bool) -> Value {
    let n = a.iter().filter(|v| v.is_null() == nulls).count();
    Value::Int4(i32::try_from(n).unwrap_or(i32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_print_as_postgresql_prints_them() {
        let cases = [
            (10, "10 bytes"),
            (10_239, "10239 bytes"),
            (10_240, "10 kB"),
            (123_456_789, "118 MB"),
            (1_234_567_890_123, "1150 GB"),
            (-20_000, "-20 kB"),
            (100_000_000_000_000_000, "89 PB"),
        ];
        for (bytes, text) in cases {
            assert_eq!(pretty(bytes), text);
        }
    }
}
