//! What `bind` answers: one statement with every name looked up, every type settled, ready to be carried out.
//!
//! Owns: `Statement` and the small types inside it. Asked by: session (carries statements out) and the planner (refines
//! the plans inside). Never: holds SQL text to be parsed later, except PREPARE's, which is a statement of its own.

use engine::catalog::{Catalog, Table};
use engine::exec::Context;
use engine::plan::{Ddl, Delete, Expr, Insert, Query, Update};
use std::sync::Arc;
use types::{Column, DataType};

/// What a statement is bound against.
pub struct BindEnv<'a> {
    pub catalog: &'a Arc<Catalog>,
    /// Types the client gave for `$1`, `$2` …; `None` and missing ones are inferred.
    pub param_types: &'a [Option<DataType>],
    /// User, database, settings and time zone: what literals may depend on.
    pub context: &'a Context,
}

/// A bound statement, its parameters and what it returns.
#[derive(Clone, Debug)]
pub struct Bound {
    pub statement: Statement,
    /// One type for every parameter, given or inferred.
    pub params: Vec<DataType>,
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
    Ddl(Ddl),
    Explain {
        statement: Box<Statement>,
        options: ExplainOptions,
    },
    /// `columns`: ordinals in the order of the data's fields. Columns not among them get their default.
    CopyFrom {
        table: Arc<Table>,
        columns: Vec<usize>,
        options: CopyOptions,
    },
    CopyTo {
        query: Query,
        options: CopyOptions,
    },
    Begin {
        isolation: Option<Isolation>,
        read_only: Option<bool>,
    },
    Commit,
    Rollback,
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
        tables: Vec<String>,
        analyze: bool,
    },
    /// Empty: every table.
    Analyze {
        tables: Vec<String>,
    },
    Checkpoint,
    Backup {
        name: String,
        /// Only what was logged since this one.
        base: Option<String>,
    },
    /// CLOSE ALL and UNLISTEN *: there never is a cursor or a channel to end, so only the answer remains.
    Nothing {
        tag: &'static str,
    },
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

impl Statement {
    /// It changes rows or the catalog: refused in a read-only transaction.
    pub fn writes(&self) -> bool {
        match self {
            Statement::Insert(_)
            | Statement::Update(_)
            | Statement::Delete(_)
            | Statement::Ddl(_)
            | Statement::CopyFrom { .. } => true,
            Statement::Query(query) => query.plan.locks_rows(),
            Statement::Explain { statement, options } => options.analyze && statement.writes(),
            _ => false,
        }
    }
}
