//! What GET DIAGNOSTICS asks for.
//!
//! Owns: the names of its items. Never: answers them. Source: PostgreSQL 15, `pl_gram.y` (`getdiag_item`), manual 43.5.5 and 43.6.8.1.

use super::{Diagnostic, syntax};
use crate::parse::cursor::Cursor;
use types::{Error, Result};

/// Names, what they mean, and whether they are of an error that was caught.
const ITEMS: [(&str, Diagnostic, bool); 12] = [
    ("row_count", Diagnostic::RowCount, false),
    ("pg_context", Diagnostic::Context, false),
    ("returned_sqlstate", Diagnostic::State, true),
    ("message_text", Diagnostic::Message, true),
    ("pg_exception_detail", Diagnostic::Detail, true),
    ("pg_exception_hint", Diagnostic::Hint, true),
    ("pg_exception_context", Diagnostic::ErrorContext, true),
    ("column_name", Diagnostic::Column, true),
    ("constraint_name", Diagnostic::Constraint, true),
    ("pg_datatype_name", Diagnostic::Datatype, true),
    ("table_name", Diagnostic::Table, true),
    ("schema_name", Diagnostic::Schema, true),
];

pub(super) fn item(c: &mut Cursor, stacked: bool) -> Result<Diagnostic> {
    let place = c.clone();
    let name = c.name()?;
    if name == "pg_routine_oid" || name == "result_oid" {
        return Err(Error::unsupported(format!(
            "GET DIAGNOSTICS {} is not supported",
            name.to_ascii_uppercase()
        )));
    }
    let Some((_, item, of_error)) = ITEMS.iter().find(|(n, ..)| *n == name) else {
        return Err(place.error_of("unrecognized GET DIAGNOSTICS item"));
    };
    if *of_error != stacked {
        let which = if stacked { "STACKED" } else { "CURRENT" };
        return Err(syntax(format!(
            "diagnostics item {} is not allowed in GET {which} DIAGNOSTICS",
            name.to_ascii_uppercase()
        )));
    }
    Ok(*item)
}
