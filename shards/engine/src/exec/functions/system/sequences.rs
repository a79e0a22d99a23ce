//! The names of the functions of sequences. `operators::sequence` does what they say.

use super::Function;
use crate::plan::SequenceFunction;
use DataType::*;
use types::{DataType, Error};

pub static FUNCTIONS: &[Function] = &[
    Function::new("nextval_oid", &[Regclass], Int8, |_, _| Err(elsewhere()))
        .sql("nextval")
        .volatile(),
    Function::new("currval_oid", &[Regclass], Int8, |_, _| Err(elsewhere()))
        .sql("currval")
        .volatile(),
    Function::new("lastval", &[], Int8, |_, _| Err(elsewhere())).volatile(),
    Function::new("setval_oid", &[Regclass, Int8], Int8, |_, _| {
        Err(elsewhere())
    })
    .sql("setval")
    .volatile(),
    Function::new("setval3_oid", &[Regclass, Int8, Bool], Int8, |_, _| {
        Err(elsewhere())
    })
    .sql("setval")
    .volatile(),
    Function::new("pg_sequence_last_value", &[Regclass], Int8, |_, _| {
        Err(elsewhere())
    })
    .volatile(),
];

/// Where no statement runs: checks, indexes, generated columns.
fn elsewhere() -> Error {
    Error::unsupported("sequences are not supported here")
}

/// What a function of that name does.
pub fn sequence_function(name: &str) -> Option<SequenceFunction> {
    Some(match name {
        "nextval" => SequenceFunction::Next,
        "currval" => SequenceFunction::Current,
        "lastval" => SequenceFunction::Last,
        "setval" => SequenceFunction::Set,
        "pg_sequence_last_value" => SequenceFunction::Reached,
        _ => return None,
    })
}
