//! What `bind` answers: one statement with every name looked up, every type settled, ready to be carried out.
//!
//! Owns: `Statement` and the small types inside it. Asked by: session (carries statements out) and the planner (refines
//! the plans inside). Never: holds SQL text to be parsed later, except PREPARE's, which is a statement of its own.

use engine::catalog::{Catalog, Table};
use engine::exec::Context;
use engine::plan::{
    Ddl, Delete, Expr, Insert, Merge, MergeWord, Plan, QualifiedName, Query, Returning, Update,
};
use std::collections::BTreeSet;
use std::sync::Arc;
use types::{Column, DataType};

/// What a statement is bound against.
#[derive(Clone, Copy)]
pub struct BindEnv<'a> {
    pub catalog: &'a Arc<Catalog>,
    /// Types the client gave for `$1`, `$2` …; `None` and missing ones are inferred.
    pub param_types: &'a [Option<DataType>],
    /// User, database, settings and time zone: what literals may depend on.
    pub context: &'a Context,
    /// For a parameter that is a LIMIT or OFFSET, the most that it is in this plan (`Statement::row_parameters`).
    pub rows: &'a [Option<u64>],
}

/// A bound statement, its parameters and what it returns.
#[derive(Clone, Debug)]
pub struct Bound {
    pub statement: Statement,
    /// One type for every parameter, given or inferred.
    pub params: Arc<[DataType]>,
    /// The rows it returns; `None` for a statement that returns none.
    pub columns: Option<Arc<Vec<Column>>>,
}

/// What EXPLAIN shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExplainOptions {
    /// The statement is run, and what its operators did is shown.
    pub analyze: bool,
    pub costs: bool,
    pub timing: bool,
    pub summary: bool,
    /// Pages found and read.
    pub buffers: bool,
    /// Calls and rows of each shard.
    pub shards: bool,
    pub json: bool,
}

/// Everything a client can ask for in SQL.
#[derive(Clone, Debug)]
pub enum Statement {
    Query(Query),
    Insert(Insert),
    Update(Update),
    Delete(Delete),
    Merge(Merge),
    /// Changes in WITH, in their order and with their names, and the statement that may read what they return.
    With {
        changes: Vec<(String, Statement)>,
        main: Box<Statement>,
    },
    Ddl(Ddl),
    /// Makes the relation and fills it with the query's rows.
    Fill {
        ddl: Ddl,
        query: Query,
    },
    Explain {
        statement: Box<Statement>,
        options: ExplainOptions,
    },
    /// `columns`: ordinals in the order of the data's fields. Columns not among them get their default.
    CopyFrom {
        table: Arc<Table>,
        columns: Vec<usize>,
        /// Over the table's row: whether it is wanted.
        filter: Option<Expr>,
        options: CopyOptions,
    },
    CopyTo {
        query: Query,
        options: CopyOptions,
    },
    Begin {
        /// It was START TRANSACTION.
        start: bool,
        isolation: Option<Isolation>,
        read_only: Option<bool>,
    },
    /// `chain`: another transaction like it begins at once.
    Commit {
        chain: bool,
    },
    Rollback {
        chain: bool,
    },
    Savepoint {
        name: String,
    },
    Release {
        name: String,
    },
    RollbackTo {
        name: String,
    },
    /// SET TRANSACTION (`session` false: this transaction) or SET SESSION CHARACTERISTICS (true: later ones).
    SetTransaction {
        isolation: Option<Isolation>,
        read_only: Option<bool>,
        session: bool,
    },
    /// SET CONSTRAINTS; no names: ALL.
    SetConstraints {
        names: Vec<String>,
        deferred: bool,
    },
    /// `value` None = DEFAULT. Lists are joined by `, ` as SHOW prints them.
    Set {
        name: String,
        value: Option<String>,
        local: bool,
    },
    /// `all` for SHOW ALL.
    Show {
        name: String,
    },
    /// `None` for RESET ALL.
    Reset {
        name: Option<String>,
    },
    /// DISCARD ALL, PLANS, SEQUENCES or TEMP.
    Discard(Discard),
    /// `None` for DEALLOCATE ALL.
    Deallocate {
        name: Option<String>,
    },
    Prepare {
        name: String,
        types: Vec<DataType>,
        text: Arc<str>,
    },
    ExecutePrepared {
        name: String,
        args: Vec<Expr>,
    },
    /// Empty: every table.
    Vacuum {
        tables: Vec<QualifiedName>,
        analyze: bool,
    },
    /// Empty: every table.
    Analyze {
        tables: Vec<QualifiedName>,
    },
    Checkpoint,
    Backup {
        name: String,
        /// Only what was logged since this one.
        base: Option<String>,
    },
    /// `text`: the statement's own.
    Declare {
        name: String,
        query: Query,
        scroll: Scroll,
        hold: bool,
        text: Arc<str>,
    },
    Fetch {
        name: String,
        way: Way,
        /// MOVE: no rows are wanted.
        moves: bool,
    },
    /// `None` for CLOSE ALL.
    Close {
        name: Option<String>,
    },
    LockTable {
        tables: Vec<Arc<Table>>,
        /// Nobody else may write.
        exclusive: bool,
        nowait: bool,
    },
    Listen {
        channel: String,
    },
    /// `None` for UNLISTEN *.
    Unlisten {
        channel: Option<String>,
    },
    Notify {
        channel: String,
        text: String,
    },
    /// The text of a body in PL/pgSQL.
    Do {
        body: Arc<str>,
    },
    /// A call of a procedure: a row of what goes out, which is that of these parameters where variables stand for it. No columns: nothing
    /// does.
    Call {
        query: Query,
        out: Vec<Option<u16>>,
    },
    /// The empty statement of a portal, and what is so already.
    Nothing {
        tag: &'static str,
    },
}

/// Whether a cursor can go back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scroll {
    Yes,
    No,
    /// If that costs little.
    Unsaid,
}

/// Where FETCH and MOVE go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// So many rows; negative: back. `None`: all that are left.
    Forward(Option<i64>),
    BackwardAll,
    /// To this row, and no other; negative: from the end.
    Absolute(i64),
    Relative(i64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discard {
    All,
    Plans,
    Sequences,
    Temp,
}

/// READ UNCOMMITTED is READ COMMITTED, as in PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    ReadCommitted,
    RepeatableRead,
    Serializable,
}

impl Isolation {
    /// As settings spell it.
    pub fn name(self) -> &'static str {
        match self {
            Isolation::ReadCommitted => "read committed",
            Isolation::RepeatableRead => "repeatable read",
            Isolation::Serializable => "serializable",
        }
    }
}

/// How COPY's data looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyOptions {
    pub format: CopyFormat,
    /// One byte: tab in text, comma in CSV.
    pub delimiter: u8,
    /// `\N` in text, empty in CSV.
    pub null: String,
    /// The first line names the columns.
    pub header: bool,
    /// With HEADER MATCH the names must be the columns'.
    pub header_match: bool,
    pub quote: u8,
    pub escape: u8,
    /// CSV: columns whose values are always quoted (COPY TO) …
    pub force_quote: ForceColumns,
    /// … never read as NULL …
    pub force_not_null: Vec<String>,
    /// … read as NULL even when quoted.
    pub force_null: Vec<String>,
    /// FREEZE asks for rows visible to all at once; every version here is cleaned the same way, so it changes nothing.
    pub freeze: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ForceColumns {
    #[default]
    None,
    All,
    Columns(Vec<String>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyFormat {
    Text,
    Csv,
    Binary,
}

impl CopyOptions {
    /// A format's own defaults.
    pub fn of(format: CopyFormat) -> CopyOptions {
        let csv = format == CopyFormat::Csv;
        CopyOptions {
            format,
            delimiter: if csv { b',' } else { b'\t' },
            null: if csv { String::new() } else { "\\N".into() },
            header: false,
            header_match: false,
            quote: b'"',
            escape: b'"',
            force_quote: ForceColumns::None,
            force_not_null: Vec::new(),
            force_null: Vec::new(),
            freeze: false,
        }
    }
}

fn slots(plan: &Plan, out: &mut BTreeSet<usize>) {
    if let Plan::Given(given) = plan {
        out.insert(given.slot);
    }
    plan.exprs().into_iter().for_each(|e| slots_inside(e, out));
    plan.inputs().into_iter().for_each(|p| slots(p, out));
}

fn slots_inside(e: &Expr, out: &mut BTreeSet<usize>) {
    e.each(&mut |e| {
        if let Expr::Subquery { plan, .. } = e {
            slots(plan, out);
        }
    });
}

impl Statement {
    /// Of a change.
    pub fn returning(&self) -> Option<&Returning> {
        match self {
            Statement::Insert(i) => i.returning.as_ref(),
            Statement::Update(u) => u.returning.as_ref(),
            Statement::Delete(d) => d.returning.as_ref(),
            Statement::Merge(m) => m.returning.as_ref(),
            _ => None,
        }
    }

    /// The changes in WITH whose rows it reads.
    pub fn slots(&self) -> BTreeSet<usize> {
        let mut out = BTreeSet::new();
        let mut exprs: Vec<&Expr> = self
            .returning()
            .into_iter()
            .flat_map(|r| &r.exprs)
            .collect();
        match self {
            Statement::Query(q) => slots(&q.plan, &mut out),
            Statement::Insert(i) => {
                slots(&i.source, &mut out);
                exprs.extend(i.on_conflict.iter().flat_map(|c| c.action.exprs()));
            }
            Statement::Update(u) => {
                exprs.extend(u.assignments.iter().map(|a| &a.expr).chain(&u.filter));
            }
            Statement::Delete(d) => exprs.extend(&d.filter),
            Statement::Merge(m) => {
                slots(&m.source, &mut out);
                exprs.extend(m.exprs());
            }
            _ => {}
        }
        exprs.into_iter().for_each(|e| slots_inside(e, &mut out));
        out
    }

    /// As errors name it.
    pub fn verb(&self) -> &'static str {
        match self {
            Statement::Insert(_) => "INSERT",
            Statement::Update(_) => "UPDATE",
            Statement::Delete(_) => "DELETE",
            Statement::Merge(m) => match m.word {
                MergeWord::Update => "UPDATE",
                MergeWord::Delete => "DELETE",
                MergeWord::Merge => "MERGE",
            },
            Statement::With { changes, .. } => {
                changes.first().map_or("this command", |(_, c)| c.verb())
            }
            Statement::CopyFrom { .. } => "COPY FROM",
            Statement::Query(_) => "SELECT FOR UPDATE or FOR SHARE",
            _ => "this command",
        }
    }

    pub fn changes_rows(&self) -> bool {
        matches!(
            self,
            Statement::Insert(_)
                | Statement::Update(_)
                | Statement::Delete(_)
                | Statement::Merge(_)
                | Statement::With { .. }
        )
    }

    /// The parameters of a query that are a LIMIT or an OFFSET, each once.
    pub fn row_parameters(&self) -> Vec<u16> {
        let mut found = Vec::new();
        if let Statement::Query(query)
        | Statement::Declare { query, .. }
        | Statement::CopyTo { query, .. } = self
        {
            query.plan.any(&mut |p| {
                if let Plan::Limit { limit, offset, .. } = p {
                    let both = limit.iter().chain(offset).filter_map(row_parameter);
                    found.extend(both);
                }
                false
            });
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// It calls functions, which may change rows.
    pub fn calls(&self) -> bool {
        let plan = |p: &Plan| p.any(&mut |p| matches!(p, Plan::Call(call) if call.volatile));
        let expr = |e: &Expr| {
            e.any(&mut |e| matches!(e, Expr::Subquery { plan: inner, .. } if plan(inner)))
        };
        let mut returned = self.returning().into_iter().flat_map(|r| &r.exprs);
        returned.any(expr)
            || match self {
                Statement::Query(q)
                | Statement::Fill { query: q, .. }
                | Statement::CopyTo { query: q, .. }
                | Statement::Declare { query: q, .. } => plan(&q.plan),
                Statement::Insert(i) => {
                    let conflict = i.on_conflict.iter().flat_map(|c| c.action.exprs());
                    plan(&i.source) || conflict.into_iter().any(expr)
                }
                Statement::Update(u) => {
                    let mut exprs = u.assignments.iter().map(|a| &a.expr).chain(&u.filter);
                    exprs.any(expr)
                }
                Statement::Delete(d) => d.filter.iter().any(expr),
                Statement::Merge(m) => plan(&m.source) || m.exprs().into_iter().any(expr),
                Statement::With { changes, main } => {
                    main.calls() || changes.iter().any(|(_, c)| c.calls())
                }
                Statement::Explain { statement, options } => options.analyze && statement.calls(),
                Statement::ExecutePrepared { args, .. } => args.iter().any(expr),
                Statement::Do { .. } | Statement::Call { .. } => true,
                Statement::CopyFrom { table, .. } => {
                    let defaults = table.columns.iter().filter_map(|c| c.default.as_ref());
                    defaults.map(|d| &d.expr).any(expr)
                }
                _ => false,
            }
    }

    /// It finds rows of tables, of which it might find those that functions put there meanwhile.
    pub fn finds_rows(&self) -> bool {
        match self {
            Statement::Insert(i) => {
                i.on_conflict.is_some() || i.source.any(&mut |p| matches!(p, Plan::Scan(_)))
            }
            _ => true,
        }
    }

    /// It reads or changes rows, or begins or ends a transaction: nothing that a client has to be told in its middle.
    pub fn is_one_exchange(&self) -> bool {
        matches!(
            self,
            Statement::Begin { .. }
                | Statement::Commit { .. }
                | Statement::Rollback { .. }
                | Statement::Query(_)
                | Statement::Insert(_)
                | Statement::Update(_)
                | Statement::Delete(_)
                | Statement::Merge(_)
        )
    }

    /// It changes rows or the catalog: refused in a read-only transaction.
    pub fn writes(&self) -> bool {
        match self {
            Statement::Insert(_)
            | Statement::Update(_)
            | Statement::Delete(_)
            | Statement::Merge(_)
            | Statement::With { .. }
            | Statement::Ddl(_)
            | Statement::Fill { .. }
            | Statement::CopyFrom { .. } => true,
            Statement::Query(query) => query.plan.locks_rows(),
            Statement::Explain { statement, options } => options.analyze && statement.writes(),
            _ => false,
        }
    }
}

/// The parameter that a number of rows is.
pub(crate) fn row_parameter(e: &Expr) -> Option<u16> {
    match e {
        Expr::Param(n, _) => Some(*n),
        Expr::Cast { expr, .. } => row_parameter(expr),
        _ => None,
    }
}
