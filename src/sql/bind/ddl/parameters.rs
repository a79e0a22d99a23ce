//! Storage parameters: `WITH (fillfactor = 70, …)` of tables and indexes.
//!
//! Owns: which there are. They are advice, checked and not kept. Source: PostgreSQL 15, `reloptions.c`.

use super::super::{names, unsupported};
use sqlparser::ast::{self, SqlOption};
use types::{Error, Result, SqlState};

/// `fillfactor`, 10 to 100, and what is said of a machinery that is not there.
pub(super) fn one(o: &SqlOption) -> Result<()> {
    let SqlOption::KeyValue { key, value } = o else {
        return Err(unsupported("this storage parameter"));
    };
    self::value(key, value)
}

pub(super) fn value(key: &ast::Ident, value: &ast::Expr) -> Result<()> {
    let name = names::ident(key);
    let elsewhere = [
        "toast_tuple_target",
        "parallel_workers",
        "log_autovacuum_min_duration",
        "vacuum_index_cleanup",
        "vacuum_truncate",
        "user_catalog_table",
    ];
    let without_oids = name == "oids" && value.to_string().eq_ignore_ascii_case("false");
    if without_oids || name.starts_with("autovacuum_") || elsewhere.contains(&name.as_str()) {
        return Ok(());
    }
    if name != "fillfactor" {
        return Err(Error::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("unrecognized parameter \"{name}\""),
        ));
    }
    let number = match value {
        ast::Expr::Value(v) => match &v.value {
            ast::Value::Number(n, _) | ast::Value::SingleQuotedString(n) => n.parse::<i64>().ok(),
            _ => None,
        },
        _ => None,
    };
    match number {
        Some(10..=100) => Ok(()),
        Some(n) => Err(Error::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("value {n} out of bounds for option \"fillfactor\""),
        )
        .with_detail("Valid values are between \"10\" and \"100\".")),
        None => Err(Error::new(
            SqlState::INVALID_PARAMETER_VALUE,
            "invalid value for integer option \"fillfactor\"",
        )),
    }
}
