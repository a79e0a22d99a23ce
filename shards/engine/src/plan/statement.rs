//! Statements that read or change rows.

use super::{Access, Expr, Plan};
use crate::catalog::{Index, Table};
use std::sync::Arc;
use types::Column;

/// A query and what its rows look like.
#[derive(Clone, Debug)]
pub struct Query {
    pub plan: Plan,
    pub columns: Arc<Vec<Column>>,
}

/// INSERT. `source` yields whole table rows: defaults filled in, values cast to the columns' types (assignment casts).
#[derive(Clone, Debug)]
pub struct Insert {
    pub table: Arc<Table>,
    pub source: Plan,
    pub on_conflict: Option<OnConflict>,
    /// Over the stored row.
    pub returning: Option<Returning>,
}

/// RETURNING: expressions over the stored row, and their description.
#[derive(Clone, Debug)]
pub struct Returning {
    pub exprs: Vec<Expr>,
    pub columns: Arc<Vec<Column>>,
}

#[derive(Clone, Debug)]
pub struct OnConflict {
    /// `None`: any unique constraint (DO NOTHING only).
    pub target: Option<ConflictTarget>,
    pub action: ConflictAction,
}

#[derive(Clone, Debug)]
pub enum ConflictTarget {
    PrimaryKey,
    Unique(Arc<Index>),
}

#[derive(Clone, Debug)]
pub enum ConflictAction {
    Nothing,
    /// Expressions over the existing row's columns followed by the excluded row's.
    Update {
        assignments: Vec<Assignment>,
        filter: Option<Expr>,
    },
}

/// `column = expr`, cast to the column's type.
#[derive(Clone, Debug)]
pub struct Assignment {
    pub column: usize,
    pub expr: Expr,
}

/// UPDATE: expressions over the table's row.
#[derive(Clone, Debug)]
pub struct Update {
    pub table: Arc<Table>,
    pub access: Access,
    pub filter: Option<Expr>,
    pub assignments: Vec<Assignment>,
    pub returning: Option<Returning>,
}

#[derive(Clone, Debug)]
pub struct Delete {
    pub table: Arc<Table>,
    pub access: Access,
    pub filter: Option<Expr>,
    pub returning: Option<Returning>,
}
