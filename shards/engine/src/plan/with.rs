//! WITH queries as data.
//!
//! Owns: queries that run once however often they are read, and recursive ones. Asked by: sql (builds), exec (runs). A WITH
//! query that is read once is no operator: the binder puts its plan where it is read.

use super::Plan;
use serde::{Deserialize, Serialize};
use types::DataType;

/// Makes WITH queries known to its input and to each other, those before to those after. None reads a row around it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct With {
    pub queries: Vec<WithQuery>,
    pub input: Plan,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WithQuery {
    /// Its number in the statement.
    pub id: u32,
    pub name: String,
    pub plan: Plan,
}

/// Rows of a WITH query, or of the last round of the recursive query that it is inside of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WithScan {
    pub id: u32,
    pub name: String,
    pub types: Vec<DataType>,
}

/// The rows of `base`, then of `step` over the rows of the round before, until a round brings none.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Recursive {
    /// Of the `WorkTable` in `step`.
    pub id: u32,
    pub base: Plan,
    pub step: Plan,
    /// UNION without ALL: a row that was there before does not count.
    pub distinct: bool,
}
