//! Short names for the values that catalog rows are made of.

use crate::catalog::Table;
use std::sync::Arc;
use types::{Array, DataType, Reg, Value};

/// The owner of everything: the one user there is.
pub const OWNER: u32 = 10;

/// `pg_database_owner`, the owner of the schema `public`: a role that the owner of the database is a member of.
pub const DATABASE_OWNER: u32 = 6171;

pub fn oid(v: u32) -> Value {
    Value::Oid(v)
}

/// Name, text, varchar.
pub fn text(v: &str) -> Value {
    Value::from(v)
}

/// A default as PostgreSQL shows it, where tools compare that with what they would write: CURRENT_DATE and its like in capitals, negative
/// numbers with their type, `bpchar` for a text of no length.
pub fn default(sql: &str) -> String {
    const WORDS: [&str; 10] = [
        "current_catalog",
        "current_date",
        "current_role",
        "current_schema",
        "current_time",
        "current_timestamp",
        "current_user",
        "localtime",
        "localtimestamp",
        "session_user",
    ];
    let word = sql.split('(').next().unwrap_or(sql);
    if WORDS.contains(&word) && (word.len() == sql.len() || sql.ends_with(')')) || sql == "user" {
        return sql.to_uppercase();
    }
    if let Some(literal) = sql.strip_suffix("'::character") {
        return format!("{literal}'::bpchar");
    }
    let digits = sql.strip_prefix('-').unwrap_or_default();
    let number = digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if !number {
        return sql.to_owned();
    }
    let ty = match sql.parse::<i64>() {
        Ok(n) if i32::try_from(n).is_ok() => "integer",
        Ok(_) => "bigint",
        Err(_) => "numeric",
    };
    format!("'{sql}'::{ty}")
}

/// `"char"`.
pub fn ch(v: &'static str) -> Value {
    Value::from(v)
}

pub fn yes(v: bool) -> Value {
    Value::Bool(v)
}

pub fn int2(v: i16) -> Value {
    Value::Int2(v)
}

pub fn int4(v: i32) -> Value {
    Value::Int4(v)
}

pub fn null() -> Value {
    Value::Null
}

/// regproc: the oid of a function and its name; (0, "-") is none.
pub fn proc(oid: u32, name: &str) -> Value {
    Value::Reg(Reg {
        oid,
        name: Arc::from(name),
    })
}

pub fn no_proc() -> Value {
    proc(0, "-")
}

pub fn array(element: DataType, items: Vec<Value>) -> Value {
    Value::Array(Arc::new(Array { element, items }))
}

/// Attribute numbers (1-based) of columns (0-based).
pub fn attnums(table: &Table, columns: &[usize]) -> Value {
    let present = columns.iter().filter_map(|c| table.columns.get(*c));
    let items = present.map(|c| Value::Int2(c.number));
    array(DataType::Int2, items.collect())
}

#[cfg(test)]
mod tests {
    use super::default;

    #[test]
    fn defaults_show_as_in_postgresql() {
        for (stored, shown) in [
            ("current_timestamp", "CURRENT_TIMESTAMP"),
            ("current_timestamp(3)", "CURRENT_TIMESTAMP(3)"),
            ("current_timestamp + 1", "current_timestamp + 1"),
            ("user", "USER"),
            ("now()", "now()"),
            ("'abc'::character", "'abc'::bpchar"),
            ("'abc'::character varying", "'abc'::character varying"),
            ("-1", "'-1'::integer"),
            ("-3000000000", "'-3000000000'::bigint"),
            ("-1.5", "'-1.5'::numeric"),
            ("- 1", "- 1"),
            ("-1 + 2", "-1 + 2"),
            ("5", "5"),
        ] {
            assert_eq!(default(stored), shown);
        }
    }
}
