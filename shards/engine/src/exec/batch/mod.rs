//! Expressions over many rows at a time.
//!
//! Owns: what of an expression can be computed column by column (`program`), and how (`kernels`, `texts`). Asked by: `exec::fragment`,
//! for a scan's filter, groups and aggregates. Never: gives another answer than `exec::eval`, or an error: where a row would raise
//! one, or has a form that no kernel takes, the whole run gives nothing and the rows are evaluated one by one.
//! A kernel computes its operands for all rows, also where AND, OR or CASE would not reach them: nothing is seen of that.
//! Bounds: one vector an operation, each as long as the rows it is asked for.
//! Source: Boncz, Zukowski, Nes, MonetDB/X100: Hyper-Pipelining Query Execution (2005).

mod compare;
mod kernels;
mod program;
mod texts;
mod vector;

#[cfg(test)]
mod tests;

pub(crate) use program::Program;
pub(crate) use vector::{Column, Data, Vector};
