//! Statements that read or change rows.

use super::{Access, Expr, Homes, Plan};
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

impl ConflictAction {
    pub fn exprs(&self) -> Vec<&Expr> {
        match self {
            ConflictAction::Nothing => Vec::new(),
            ConflictAction::Update {
                assignments,
                filter,
            } => assignments.iter().map(|a| &a.expr).chain(filter).collect(),
        }
    }
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
    pub homes: Homes,
    pub filter: Option<Expr>,
    pub assignments: Vec<Assignment>,
    pub returning: Option<Returning>,
}

#[derive(Clone, Debug)]
pub struct Delete {
    pub table: Arc<Table>,
    pub access: Access,
    pub homes: Homes,
    pub filter: Option<Expr>,
    pub returning: Option<Returning>,
}

/// A change of rows that a query finds: UPDATE … FROM, DELETE … USING, those with subqueries over the row, and MERGE.
///
/// Its expressions are over the target's row, then the source's columns, then `computed`.
#[derive(Clone, Debug)]
pub struct Merge {
    pub word: MergeWord,
    pub table: Arc<Table>,
    /// Rows with the address of the target's row (NULL: there is none), the source's columns, then `computed`. Equal
    /// addresses come together, and all rows are found before the first is changed.
    pub source: Plan,
    /// Columns of the source.
    pub width: usize,
    /// Whether a target's row that has changed since is still meant.
    pub matches: Option<Expr>,
    /// What is computed beside finding the rows; again for a row that has changed since.
    pub computed: Vec<Expr>,
    /// The first that fits says what becomes of a row.
    pub whens: Vec<When>,
    pub returning: Option<Returning>,
}

/// What the client wrote: how it is named, and what a second source row for one target's row means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MergeWord {
    Update,
    Delete,
    /// 21000 instead of nothing.
    Merge,
}

#[derive(Clone, Debug)]
pub struct When {
    pub matched: bool,
    pub condition: Option<Expr>,
    pub act: Act,
}

#[derive(Clone, Debug)]
pub enum Act {
    Nothing,
    Update(Vec<Assignment>),
    Delete,
    /// A whole row of the table.
    Insert(Vec<Expr>),
}

impl When {
    pub fn exprs(&self) -> Vec<&Expr> {
        let mut out: Vec<&Expr> = self.condition.iter().collect();
        match &self.act {
            Act::Update(list) => out.extend(list.iter().map(|a| &a.expr)),
            Act::Insert(row) => out.extend(row),
            Act::Nothing | Act::Delete => {}
        }
        out
    }
}

impl Merge {
    /// Every expression that is evaluated while rows are changed.
    pub fn exprs(&self) -> Vec<&Expr> {
        let mut out: Vec<&Expr> = self.matches.iter().chain(&self.computed).collect();
        out.extend(self.whens.iter().flat_map(When::exprs));
        out.extend(self.returning.iter().flat_map(|r| &r.exprs));
        out
    }

    pub fn exprs_mut(&mut self) -> Vec<&mut Expr> {
        let mut out: Vec<&mut Expr> = self.matches.iter_mut().chain(&mut self.computed).collect();
        for when in &mut self.whens {
            out.extend(&mut when.condition);
            match &mut when.act {
                Act::Update(list) => out.extend(list.iter_mut().map(|a| &mut a.expr)),
                Act::Insert(row) => out.extend(row),
                Act::Nothing | Act::Delete => {}
            }
        }
        out.extend(self.returning.iter_mut().flat_map(|r| &mut r.exprs));
        out
    }
}
