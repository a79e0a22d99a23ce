//! Queries as trees of operators.

use super::{AggregateCall, Expr, Recursive, SortKey, Window, With, WithScan};
use crate::catalog::{Index, Table};
use crate::exec::sieve::{Keys, Sieve};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use types::{Column, DataType, Value};

/// An operator and its inputs. Output rows are described by `Query::columns` at the top; inside, ordinals suffice.
/// Definitions are stored with plans in them, by the places of the variants: a new one goes to the end.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub enum Plan {
    /// Scattered to the partitions that may hold matching rows; filter, projection, partial aggregate and limit run there.
    Scan(Box<Scan>),
    /// A table of `pg_catalog` or `information_schema`, made from the catalog snapshot: all its columns.
    System(SystemTable),
    Values {
        rows: Vec<Vec<Expr>>,
    },
    /// One row of no columns: SELECT without FROM.
    #[default]
    OneRow,
    Function(TableFunction),
    Filter {
        input: Box<Plan>,
        predicate: Expr,
    },
    Project {
        input: Box<Plan>,
        exprs: Vec<Expr>,
    },
    Join(Box<Join>),
    Aggregate(Box<Aggregate>),
    Sort {
        input: Box<Plan>,
        keys: Vec<SortKey>,
        /// Only the first so many rows are wanted (LIMIT + OFFSET known at planning).
        top: Option<u64>,
    },
    /// NULL limit = no limit.
    Limit {
        input: Box<Plan>,
        limit: Option<Expr>,
        offset: Option<Expr>,
    },
    /// Whole rows compared.
    Distinct {
        input: Box<Plan>,
    },
    /// DISTINCT ON: the first row of each run of equal keys; the input is sorted by them.
    DistinctOn {
        input: Box<Plan>,
        keys: Vec<Expr>,
    },
    SetOp {
        op: SetOp,
        all: bool,
        left: Box<Plan>,
        right: Box<Plan>,
    },
    /// FOR UPDATE and FOR SHARE: the table's rows whose addresses come in, under their locks.
    LockRows(Box<LockRows>),
    /// An advisory lock for each input row, which is its key: one `int8`, or two `int4`. Output: what the function answers.
    Advise(Box<Advise>),
    Window(Box<Window>),
    With(Box<With>),
    /// A WITH query's rows.
    WithScan(WithScan),
    Recursive(Box<Recursive>),
    /// In the step of a recursive query: the rows of the round before.
    WorkTable(WithScan),
    /// set_config() for each input row, which has its three arguments. Output: the parameter's new value.
    Configure {
        input: Box<Plan>,
    },
    /// Each row once for each grouping set: the row, the groups' values (NULL where the set has them not), the set's number from 1.
    Expand {
        input: Box<Plan>,
        groups: Vec<Expr>,
        /// For each set, which of the groups it has.
        sets: Vec<Vec<bool>>,
    },
    /// The rows that a change in WITH has returned.
    Given(Given),
    /// `pg_notify`: a channel and a text a row, announced when the transaction commits. Output: what the function answers.
    Notify {
        input: Box<Plan>,
    },
    /// For each input row, which are its arguments, what a function of sequences answers.
    Sequence(Box<SequenceCall>),
    /// Run in each partition over the rows that are there: all that meet in it are placed alike.
    Gather {
        input: Box<Plan>,
    },
    /// `pg_sleep`, `pg_sleep_for` and `pg_sleep_until`: a time a row, which is let pass. Output: what the function answers.
    Sleep {
        input: Box<Plan>,
    },
    /// What only the server as a whole knows or can do, of each row of arguments. Output: what the function answers.
    Observe {
        input: Box<Plan>,
        what: Observe,
    },
    /// A user's function that is called: for each input row, which are its arguments, what it returns.
    Call(Box<FunctionCall>),
    /// Enough rows are taken from `first`; where it has fewer than so many, all of them from `whole` instead.
    FirstRows {
        first: Box<Plan>,
        whole: Box<Plan>,
        rows: u64,
    },
}

/// A call of a user's function whose body is not put in its place.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FunctionCall {
    pub input: Plan,
    /// Its oid.
    pub function: u32,
    pub name: String,
    /// Of the rows that it returns.
    pub types: Vec<DataType>,
    /// Any number of rows for a call, rather than one.
    pub set: bool,
    pub volatile: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Observe {
    /// `pg_cancel_backend` and, with `end`, `pg_terminate_backend`.
    Signal { end: bool },
    /// `pg_relation_size` and its like.
    Bytes(TreesOf),
}

impl Observe {
    pub fn returns(self) -> DataType {
        match self {
            Observe::Signal { .. } => DataType::Bool,
            Observe::Bytes(_) => DataType::Int8,
        }
    }
}

/// What of a relation is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TreesOf {
    /// Itself.
    Relation,
    /// A table's secondary indexes.
    Indexes,
    /// Both.
    All,
    /// All relations of a database.
    Database,
}

/// Which of the statement's changes, and what its rows look like.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Given {
    pub name: String,
    pub slot: usize,
    pub columns: Vec<Column>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SequenceCall {
    pub input: Plan,
    pub function: SequenceFunction,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SequenceFunction {
    /// `nextval(regclass)`
    Next,
    /// `currval(regclass)`
    Current,
    /// `lastval()`
    Last,
    /// `setval(regclass, bigint [, boolean])`
    Set,
    /// `pg_sequence_last_value(regclass)`: NULL before the first value.
    Reached,
    /// A sequence read as a table of one row: `last_value`, `log_cnt`, `is_called`.
    Row,
}

impl SequenceFunction {
    /// The types of what it answers.
    pub fn returns(self) -> &'static [DataType] {
        match self {
            SequenceFunction::Row => &[DataType::Int8, DataType::Int8, DataType::Bool],
            SequenceFunction::Next
            | SequenceFunction::Current
            | SequenceFunction::Last
            | SequenceFunction::Set
            | SequenceFunction::Reached => &[DataType::Int8],
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Advise {
    pub input: Plan,
    pub act: AdvisoryAct,
    pub shared: bool,
    /// Until the transaction ends, rather than until it is given back or the session ends.
    pub for_transaction: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AdvisoryAct {
    Lock,
    TryLock,
    Unlock,
    UnlockAll,
}

impl AdvisoryAct {
    pub fn returns(self) -> DataType {
        match self {
            AdvisoryAct::Lock | AdvisoryAct::UnlockAll => DataType::Void,
            AdvisoryAct::TryLock | AdvisoryAct::Unlock => DataType::Bool,
        }
    }
}

/// Locks rows of one table. Output: the table's row, or the input's with the table's in its place.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LockRows {
    pub input: Plan,
    pub table: Arc<Table>,
    /// The column of the input with the row's address.
    pub address: usize,
    /// Where the table's columns begin in the input, which is then the output. Its rows without an address pass.
    pub within: Option<usize>,
    /// Over the output: whether a row that has changed is still wanted.
    pub filter: Option<Expr>,
    pub lock: RowLock,
    pub wait: LockWait,
    /// No row is locked before the one before it has been taken: a LIMIT above may want no more.
    pub one_by_one: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RowLock {
    Update,
    Share,
}

/// What to do about a row that somebody else has locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LockWait {
    Wait,
    NoWait,
    Skip,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SetOp {
    Union,
    Intersect,
    Except,
}

/// Rows of one base table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Scan {
    pub table: Arc<Table>,
    pub access: Access,
    /// What the columns that place the rows are equal to, where the filter says so (see `Homes`). Not stored with an expression.
    #[serde(skip)]
    pub homes: Homes,
    /// Only rows with one of these keys are wanted; others may come. Found out while a statement runs.
    #[serde(skip)]
    pub sieves: Vec<Sieve>,
    /// Over the table's row. No correlated subquery may be in here; `Outer` may (replaced by constants before it is sent).
    pub filter: Option<Expr>,
    /// Output expressions over the table's row; `None` = the row as it is.
    pub project: Option<Vec<Expr>>,
    /// Groups and partial states instead of rows (then the `Aggregate` above has mode `Final`).
    pub partial: Option<Partial>,
    /// Each partition may stop after so many output rows.
    pub limit: Option<u64>,
    /// Of each batch that a partition makes only the first rows in an order are wanted.
    pub top: Option<Top>,
    /// Behind the table's columns its row has its address, as bytes.
    pub addressed: bool,
}

impl Scan {
    /// Of the output's rows only those are wanted whose columns have one of these keys; nothing comes of it where columns of the
    /// output are not the table's, or where rows are counted.
    pub fn sift(&mut self, columns: &[usize], keys: &Arc<Keys>) {
        if self.limit.is_some() || self.top.is_some() {
            return;
        }
        let width = self.table.columns.len();
        let of = |at: &usize| {
            let e = match (&self.partial, &self.project) {
                (Some(partial), _) => partial.groups.get(*at)?,
                (None, Some(exprs)) => exprs.get(*at)?,
                (None, None) => return Some(*at),
            };
            match e {
                Expr::Column(column, _) => Some(*column),
                _ => None,
            }
        };
        let columns: Option<Vec<usize>> = columns.iter().map(of).collect();
        if let Some(columns) = columns.filter(|c| c.iter().all(|i| *i < width)) {
            let keys = keys.clone();
            self.sieves.push(Sieve { columns, keys });
        }
    }
}

/// For each combination of values that the columns of `Table::placed_by` may have, those values, already of their columns' types
/// and over no row. Empty: nothing is known of them.
pub type Homes = Vec<Vec<Expr>>;

/// The first rows in an order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Top {
    /// Over the table's row.
    pub keys: Vec<SortKey>,
    pub rows: u64,
}

/// How matching rows are found. Expressions have no input row (parameters, constants, outer references).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Access {
    Full,
    /// Exactly these primary keys (one expression per key column, already of the column's type); each goes to one partition.
    Keys(Vec<Vec<Expr>>),
    /// A range of the primary key, over all partitions.
    KeyRange(KeyRange),
    /// A secondary index.
    Index {
        index: Arc<Index>,
        range: KeyRange,
    },
    /// Several looks at indexes together, for a scan alone; the rows come in the order of their keys.
    Bitmap(Bitmap),
    /// Equal to an element of an array that is known when it runs: `exec::operators::settle` makes `Keys` or a `Bitmap` of it, or
    /// `Full` where there are too many. Nothing is sent to a shard before that.
    Each(Each),
}

/// On the first column of an index that is not unique, for a scan alone, or on the primary key's only one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Each {
    pub index: Option<Arc<Index>>,
    pub array: Expr,
}

/// Row keys as entries have them. Rows that are found are checked by the scan's whole filter.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Bitmap {
    /// Of an index that is not unique, or of the primary key, in any of these ranges.
    Entries {
        index: Option<Arc<Index>>,
        ranges: Vec<KeyRange>,
    },
    And(Vec<Bitmap>),
    Or(Vec<Bitmap>),
}

/// Equal on the first `prefix` columns, then optionally bounded on the next.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct KeyRange {
    pub prefix: Vec<Expr>,
    /// (bound, inclusive)
    pub lower: Option<(Expr, bool)>,
    pub upper: Option<(Expr, bool)>,
    /// A partition's rows come in the opposite order.
    pub backward: bool,
}

/// Aggregation where the rows are. Output: the groups' values, then for each aggregate its partial state (see `exec::aggregates`).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Partial {
    /// Over the table's row.
    pub groups: Vec<Expr>,
    pub aggregates: Vec<AggregateCall>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Join {
    pub kind: JoinKind,
    pub left: Plan,
    pub right: Plan,
    /// Columns of the left and of the right input (needed to pad with NULLs).
    pub left_width: usize,
    pub right_width: usize,
    /// Hash keys: left_keys[i] over the left row = right_keys[i] over the right row, of the same type. Empty: nested loop.
    pub left_keys: Vec<Expr>,
    pub right_keys: Vec<Expr>,
    /// Over left columns followed by right columns.
    pub filter: Option<Expr>,
    /// The right side sees the left row as `Outer { depth: 1 }` and is run once per left row.
    pub lateral: bool,
    /// Which input is kept while the other one streams past, where the kind leaves the choice.
    pub keep: Keep,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Keep {
    /// The right one, or the left one where that turns out to be small.
    Either,
    /// The left one, which is taken to be the smaller one.
    Left,
    /// The right one: rows come in the left one's order.
    Right,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JoinKind {
    Inner,
    Left,
    Right,
    Full,
    /// Left rows with a match; output = left columns.
    Semi,
    /// Left rows without a match; output = left columns.
    Anti,
}

/// Output: group values, then one value per aggregate.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Aggregate {
    pub input: Plan,
    pub mode: AggregateMode,
    /// In mode `Final` the groups are the first columns of the input and this holds just `Column`s.
    pub groups: Vec<Expr>,
    pub aggregates: Vec<AggregateCall>,
    /// Numbers of grouping sets that have no group: the last of `groups` is the set's number, the others are NULL. Each gives
    /// a row even where no row comes in.
    pub seeds: Vec<i32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AggregateMode {
    /// Rows in, results out.
    Complete,
    /// Groups and partial states in (from `Partial`), results out.
    Final,
    /// Rows in, groups and partial states out: in each partition, under `Gather`.
    Partial,
}

/// A system relation by schema and name, e.g. ("pg_catalog", "pg_class"). Its columns are in `catalog::system`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemTable {
    pub schema: String,
    pub name: String,
}

/// A function in FROM: `generate_series`, `unnest`, …; one output column each (plus an ordinal one WITH ORDINALITY).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TableFunction {
    pub name: String,
    pub args: Vec<Expr>,
    pub columns: Vec<Column>,
    pub ordinality: bool,
    /// Functions that give their columns beside this one's, row by row, NULL where one has no more; none has an ordinality.
    pub beside: Vec<TableFunction>,
}

impl TableFunction {
    /// The columns of all functions, without the ordinal one.
    pub fn all_columns(&self) -> impl Iterator<Item = &Column> {
        let beside = self.beside.iter().flat_map(|f| &f.columns);
        self.columns.iter().chain(beside)
    }
}

impl Plan {
    /// Whether it locks rows, itself or in a subquery.
    pub fn locks_rows(&self) -> bool {
        let inside = |e: &Expr| {
            e.any(&mut |e| matches!(e, Expr::Subquery { plan, .. } if plan.locks_rows()))
        };
        matches!(self, Plan::LockRows(_))
            || self.exprs().into_iter().any(inside)
            || self.inputs().into_iter().any(Plan::locks_rows)
    }

    /// This operator, or one below it or in its expressions, satisfies `f`.
    pub fn any(&self, f: &mut dyn FnMut(&Plan) -> bool) -> bool {
        if f(self) {
            return true;
        }
        let mut inside =
            |e: &Expr| e.any(&mut |e| matches!(e, Expr::Subquery { plan, .. } if plan.any(f)));
        self.exprs().into_iter().any(&mut inside) || self.inputs().into_iter().any(|p| p.any(f))
    }

    /// A scan of everything: what the binder writes and the planner refines.
    pub fn scan(table: Arc<Table>) -> Plan {
        Plan::Scan(Box::new(Scan {
            table,
            access: Access::Full,
            homes: Homes::new(),
            sieves: Vec::new(),
            filter: None,
            project: None,
            partial: None,
            limit: None,
            top: None,
            addressed: false,
        }))
    }

    /// Literal rows.
    pub fn constants(rows: Vec<Vec<(Value, types::DataType)>>) -> Plan {
        let row = |r: Vec<(Value, types::DataType)>| {
            r.into_iter().map(|(v, t)| Expr::Const(v, t)).collect()
        };
        Plan::Values {
            rows: rows.into_iter().map(row).collect(),
        }
    }
}
