//! Plans as data: what the front's `sql` room produces and the operators run. No behaviour beyond small helpers.
//!
//! Owns: `Expr`, `Plan`, the statements that touch rows. Asked by: sql (builds), exec (runs), router (scatters).
//! Never: holds text to be parsed, executes anything.
//!
//! An expression reads one input row by ordinal (`Expr::Column`), rows of enclosing queries by depth (`Expr::Outer`), and
//! the statement's parameters. Types are settled when it is built: every cast is explicit, so evaluation never guesses.

pub mod compare;
pub mod ddl;
pub mod expr;
pub mod print;
pub mod query;
pub mod statement;
pub mod visit;
pub mod window;
pub mod with;

pub use compare::Comparison;
pub use ddl::{CreateTable, Ddl, Key, NewForeignKey, QualifiedName};
pub use expr::{AggregateCall, Expr, FuncRef, SortKey, SubqueryKind};
pub use query::{
    Access, Advise, AdvisoryAct, Aggregate, AggregateMode, Bitmap, Each, FunctionCall, Given,
    Homes, Join, JoinKind, Keep, KeyRange, LockRows, LockWait, Observe, Partial, Plan, RowLock,
    Scan, SequenceCall, SequenceFunction, SetOp, SystemTable, TableFunction, Top, TreesOf,
};
pub use statement::{
    Act, Assignment, ConflictAction, ConflictTarget, Delete, Insert, Merge, MergeWord, OnConflict,
    Query, Returning, Update, When,
};
pub use window::{Frame, FrameBound, FrameExclude, FrameUnits, Window, WindowCall, WindowFunc};
pub use with::{Recursive, With, WithQuery, WithScan};
