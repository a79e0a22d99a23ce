//! SQL text to bound, planned statements.
//!
//! Owns: the way from text to `Statement`: caps, grammar, names, types, plans. Asked by: session, and by the protocols
//! only through it. Never: reads a row, carries a statement out, or prints a user's syntax tree.
//! Bounds: bytes, tokens, nesting, operator chains and relations of a statement, all checked before recursion.
//! Source: PostgreSQL 15 manual, chapters 4, 7, 10 and part VI; the grammar is the `sqlparser` crate's.

pub mod bind;
pub mod parse;
pub mod planner;
mod shape;
pub mod statement;

pub use bind::{bind, program, routine, unplaced};
pub use parse::{Kind, Parsed, parse};
pub use shape::{Shape, shape, statement_text};
pub use statement::{
    BindEnv, Bound, CopyFormat, CopyOptions, Discard, ExplainOptions, ForceColumns, Isolation,
    Scroll, Statement, Way,
};

#[cfg(test)]
mod tests;
