//! Identifiers: folding, cutting, and the schemas there are.

use sqlparser::ast::{Ident, ObjectName, ObjectNamePart};
use types::{Error, Result, SqlState, limits};

/// Lower case unless quoted, cut at 63 bytes on a character boundary.
pub fn fold(name: &str, quoted: bool) -> String {
    let mut out = if quoted {
        name.to_string()
    } else {
        name.to_lowercase()
    };
    if out.len() > limits::IDENTIFIER_BYTES_MAX {
        let mut end = limits::IDENTIFIER_BYTES_MAX;
        while !out.is_char_boundary(end) {
            end -= 1;
        }
        out.truncate(end);
    }
    out
}

pub fn ident(i: &Ident) -> String {
    fold(&i.value, i.quote_style.is_some())
}

/// The parts of a dotted name.
pub fn parts(name: &ObjectName) -> Result<Vec<String>> {
    name.0
        .iter()
        .map(|p| match p {
            ObjectNamePart::Identifier(i) => Ok(ident(i)),
            ObjectNamePart::Function(_) => {
                Err(Error::new(SqlState::SYNTAX_ERROR, "syntax error in a name"))
            }
        })
        .collect()
}

/// `[schema.]name`; a database before it is refused, ours as well, which the caller does not know.
pub fn qualified(name: &ObjectName) -> Result<(Option<String>, String)> {
    qualified_in(name, "")
}

/// `[[database.]schema.]name`; 0A000 for a database that is not this one.
pub fn qualified_in(name: &ObjectName, database: &str) -> Result<(Option<String>, String)> {
    let mut all = parts(name)?;
    let (last, schema, database_of) = (all.pop(), all.pop(), all.pop());
    match (last, schema, database_of, all.len()) {
        (Some(name), None, ..) => Ok((None, name)),
        (Some(name), Some(schema), None, _) => Ok((Some(schema), name)),
        (Some(name), Some(schema), Some(own), 0) if own == database => Ok((Some(schema), name)),
        (.., 0) => Err(Error::unsupported(format!(
            "cross-database references are not implemented: \"{}\"",
            parts(name)?.join(".")
        ))),
        _ => Err(Error::new(
            SqlState::SYNTAX_ERROR,
            format!(
                "improper qualified name (too many dotted names): {}",
                parts(name)?.join(".")
            ),
        )),
    }
}

/// The identifier that a position can be taken from.
pub fn first_ident(name: &ObjectName) -> Option<&Ident> {
    name.0.iter().find_map(|p| match p {
        ObjectNamePart::Identifier(i) => Some(i),
        ObjectNamePart::Function(_) => None,
    })
}

/// The identifier that a dotted name ends with.
pub fn last_ident(name: &ObjectName) -> Option<&Ident> {
    match name.0.last()? {
        ObjectNamePart::Identifier(i) => Some(i),
        ObjectNamePart::Function(_) => None,
    }
}

/// The last part of a dotted name, folded.
pub fn first_last(name: &ObjectName) -> Option<String> {
    last_ident(name).map(ident)
}

/// A function named with a schema that holds none.
pub fn unknown_function_schema(schema: &str, name: &str) -> Error {
    if matches!(schema, "public" | "pg_temp" | "information_schema") {
        return Error::new(
            SqlState::UNDEFINED_FUNCTION,
            format!("function {schema}.{name} does not exist"),
        );
    }
    unknown_schema(schema)
}

pub fn unknown_schema(schema: &str) -> Error {
    Error::new(
        SqlState::INVALID_SCHEMA_NAME,
        format!("schema \"{schema}\" does not exist"),
    )
}
