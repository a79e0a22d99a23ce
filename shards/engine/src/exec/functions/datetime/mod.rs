//! Date and time operators and functions.
//!
//! Owns: their signatures, and which clock each "now" is. The calendar is `types::time`.
//! Asked by: the registry. Never: reads a clock, but for `clock_timestamp` and `timeofday`, which promise to.
//! Source: PostgreSQL 15 manual, section 9.9; `date.c`, `timestamp.c`.

mod numbers;
mod operators;
mod overlaps;
mod parts;
mod pattern;

use super::Function;

pub use parts::clock_now;

pub static FUNCTIONS: &[&[Function]] = &[
    operators::FUNCTIONS,
    parts::FUNCTIONS,
    parts::NOW,
    pattern::FUNCTIONS,
    numbers::FUNCTIONS,
    overlaps::FUNCTIONS,
];
