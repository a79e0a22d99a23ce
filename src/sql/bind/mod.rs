//! Names and types: a syntax tree becomes a bound statement.

pub mod names;

use super::parse::Parsed;
use super::statement::{BindEnv, Bound};
use types::{Error, Result};

/// Looks every name up and settles every type.
pub fn bind(parsed: &Parsed, env: &BindEnv) -> Result<Bound> {
    let _ = (parsed, env);
    Err(Error::unsupported("statement"))
}
