//! Bytes of rows and keys, as they stand in pages and WAL records.
//!
//! Owns: three forms of the same values: `key` keeps their order in plain byte comparison, `row` is compact and fast, `tagged`
//! needs no types to be read and lives in temporary files only. `pick` reads of a row what is wanted, when it is wanted,
//! and `columns` of many rows.
//! Asked by: the shard (rows, indexes), the router (`key::partition`), operators that spill (`tagged`). Never: does I/O, knows a table.
//! Bounds: keys of `KEY_BYTES_MAX`; bytes that are not ours give XX001, never a panic.

pub(crate) mod columns;
pub mod key;
pub mod pick;
pub mod row;
pub mod tagged;

mod bytes;
mod key_json;
mod key_number;
mod record;

#[cfg(test)]
mod tests;

use types::{DataType, Error, SqlState, limits::KEY_BYTES_MAX};

/// What can go wrong between values and bytes.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    #[error("index row size {bytes} exceeds maximum {KEY_BYTES_MAX}")]
    KeyTooLong { bytes: usize },
    #[error("stored value is damaged: {what}")]
    Corrupt { what: &'static str },
    #[error("stored form is of version {found}, this server reads up to {supported}")]
    NewerFormat { found: u8, supported: u8 },
    /// A value that is not of its column's type: a missing cast above.
    #[error("value of another type where {expected} is stored")]
    Type { expected: DataType },
}

impl From<CodecError> for Error {
    fn from(e: CodecError) -> Error {
        let code = match e {
            CodecError::KeyTooLong { .. } => SqlState::PROGRAM_LIMIT_EXCEEDED,
            CodecError::Corrupt { .. } | CodecError::NewerFormat { .. } => SqlState::DATA_CORRUPTED,
            CodecError::Type { .. } => SqlState::INTERNAL_ERROR,
        };
        Error::new(code, e.to_string())
    }
}
