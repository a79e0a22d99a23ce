//! Functions about the session, the server and the catalog.
//!
//! Owns: what `psql`'s backslash commands and drivers ask. Asked by: the registry.
//! Never: makes a number up: what this server cannot know here (sizes on disk) is NULL, and kinds of objects that do not exist
//! (views, sequences, triggers, comments …) have no definition or description.
//! Source: PostgreSQL 15 manual, section 9.26; the queries of psql 15's `describe.c`.

mod advisory;
mod describe;
mod sequences;
mod session;
mod types;

use super::Function;

pub use advisory::{advisory, observed};
pub use sequences::sequence_function;
pub use types::{cast_function, type_name};

pub static FUNCTIONS: &[&[Function]] = &[
    session::FUNCTIONS,
    advisory::FUNCTIONS,
    sequences::FUNCTIONS,
    session::PRIVILEGES,
    describe::FUNCTIONS,
    describe::ABSENT,
    describe::VISIBLE,
    types::FUNCTIONS,
    types::PER_TYPE,
];
