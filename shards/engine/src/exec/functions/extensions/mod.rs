//! The functions of extensions.
//!
//! Owns: their bodies. They have no name in SQL: one that CREATE EXTENSION makes (`catalog::extensions`) stands for each, as long as
//! there is the extension. Never: anything that an extension of PostgreSQL would keep.

mod crypt;
mod digest;
mod unixcrypt;
mod uuids;

use super::{Function, args};

pub static FUNCTIONS: &[&[Function]] = &[uuids::FUNCTIONS, digest::FUNCTIONS, crypt::FUNCTIONS];
