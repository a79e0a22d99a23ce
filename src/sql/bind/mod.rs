//! Names and types: a syntax tree becomes a bound statement.
//!
//! Owns: PostgreSQL's rules of visibility, coercion and naming. Asked by: session, through `bind`.
//! Never: runs an expression beyond turning literals into values; never clones or prints a user's syntax tree, except a
//! DEFAULT or CHECK of a table's definition, whose depth the caps have bounded.
//! Bounds: the syntax tree's depth (`parse::caps`), `RELATIONS_MAX` relations and `COPIED_NODES_MAX` copied nodes.
//! Source: PostgreSQL 15's `parse_*.c` for order of checks and wording.

mod agg;
mod around;
mod call;
mod case;
mod coerce;
mod colname;
mod command;
mod composite;
mod conflict;
mod datatype;
mod ddl;
mod expr;
mod from;
mod function;
mod group;
mod insert;
mod literal;
mod lock;
mod merge;
mod modify;
pub mod names;
mod operator;
mod ordered_set;
mod places;
pub mod program;
mod query;
mod restate;
pub mod routine;
mod rows;
mod scope;
mod select;
mod series;
mod setop;
mod sets;
mod special;
mod subquery;
mod targets;
mod through;
mod ties;
mod user_type;
mod variadic;
mod view;
pub(super) mod walk;
mod window;
mod with;

use super::parse::places::Subscripts;
use super::parse::plpgsql::Conflict;
use super::parse::{Ast, Lines, Overriding, Parsed};
use super::planner;
use super::statement::{BindEnv, Bound, Statement};
use engine::catalog::{Stated, path};
use engine::plan::Expr;
use scope::Scope;
use sqlparser::ast;
use sqlparser::tokenizer::Span;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use types::{Column, DataType, Error, Result, SqlState, limits};

/// Relations of one statement, those of inlined WITH queries counted each time: a plan is a tree that deep at most.
/// One more: 54001.
pub(super) const RELATIONS_MAX: usize = 256;
/// Expression nodes that BETWEEN, row comparisons and simple CASE may copy: they would otherwise double with each level
/// of nesting. More: 54001.
pub(super) const COPIED_NODES_MAX: usize = 200_000;

/// Looks every name up, settles every type and hands the plan to the planner.
pub fn bind(parsed: &Parsed, env: &BindEnv) -> Result<Bound> {
    let bound = bind_unplanned(parsed, env)?;
    Ok(Bound {
        statement: planner::optimize_for(bound.statement, env),
        ..bound
    })
}

/// `bind` without the planner: what the planner's answers are held against.
pub(super) fn bind_unplanned(parsed: &Parsed, env: &BindEnv) -> Result<Bound> {
    if env.param_types.len() > limits::PARAMETERS_MAX {
        return Err(too_many_parameters());
    }
    let mut each_call = false;
    loop {
        let mut binder = Binder::new(env, &parsed.lines);
        binder.params = env.param_types.to_vec();
        binder.text = parsed.text.clone();
        binder.overriding = parsed.overriding;
        binder.subscripts = &parsed.subscripts;
        binder.each_call = each_call;
        let statement = match &parsed.ast {
            Ast::Sql(s) => binder.statement(s)?,
            Ast::Command(c) => binder.command(c)?,
        };
        let statement = binder.with_changes(statement);
        if binder.must_call(&statement) {
            each_call = true;
            continue;
        }
        let params = binder.settled_params()?;
        let columns = columns_of(&statement);
        return Ok(Bound {
            statement,
            params: params.into(),
            columns,
        });
    }
}

/// What a statement returns as rows.
fn columns_of(statement: &Statement) -> Option<Arc<Vec<Column>>> {
    match statement {
        Statement::Query(q) => Some(q.columns.clone()),
        Statement::Insert(_)
        | Statement::Update(_)
        | Statement::Delete(_)
        | Statement::Merge(_) => statement.returning().map(|r| r.columns.clone()),
        Statement::With { main, .. } => columns_of(main),
        Statement::Call { query, .. } if !query.columns.is_empty() => Some(query.columns.clone()),
        Statement::Explain { .. } => {
            Some(Arc::new(vec![Column::new("QUERY PLAN", DataType::Text)]))
        }
        Statement::Show { name } if name == "all" => Some(Arc::new(
            ["name", "setting", "description"]
                .map(|n| Column::new(n, DataType::Text))
                .to_vec(),
        )),
        Statement::Show { name } => Some(Arc::new(vec![Column::new(
            shown_name(name),
            DataType::Text,
        )])),
        _ => None,
    }
}

/// Settings whose own spelling has capitals, which SHOW's column repeats.
fn shown_name(name: &str) -> String {
    match name {
        "datestyle" => "DateStyle".into(),
        "intervalstyle" => "IntervalStyle".into(),
        "timezone" => "TimeZone".into(),
        other => other.to_string(),
    }
}

/// The state of binding one statement.
struct Binder<'a> {
    env: &'a BindEnv<'a>,
    lines: &'a Lines,
    /// The statement's own.
    text: Arc<str>,
    /// `$1` …: given, inferred, or not known yet.
    params: Vec<Option<DataType>>,
    /// Rows of enclosing queries, nearest last.
    frames: Vec<Frame>,
    /// WITH queries in sight, innermost last.
    ctes: Vec<Cte<'a>>,
    /// Numbers given to WITH queries so far.
    with_ids: u32,
    /// Where this is inside of, when a recursive query must not read itself there.
    ban: Option<&'static str>,
    /// Changes in WITH, with their names.
    changes: Vec<(String, Statement)>,
    /// Queries around the one that is bound now; 0 is the statement itself.
    depth: usize,
    relations: usize,
    copied: usize,
    /// Schemas that names without one are looked up in.
    path: Vec<String>,
    /// The view whose query this is: what its names mean was decided when it was made.
    view: Option<&'a Stated>,
    /// What the statement reads, where somebody wants to know.
    reading: Option<RefCell<view::Reading>>,
    /// It is only stated: a materialized view in it may have no rows yet.
    unfilled: bool,
    /// INSERT … OVERRIDING … VALUE.
    overriding: Overriding,
    /// Of the columns that the statement assigns to.
    subscripts: &'a [Subscripts],
    /// Inside of a function's body: what it is called with.
    arguments: Option<call::Arguments>,
    /// Bodies of functions that the statement has so far.
    calls: usize,
    /// Bodies that this one is inside of, itself counted.
    bodies: usize,
    /// Oids of the functions whose bodies those are.
    inlining: Vec<u32>,
    /// What is bound is kept as a text: what it calls may not be there yet, or be another thing later.
    defining: bool,
    /// The body of a volatile function that reads tables has been put in the place of a call …
    looked: bool,
    /// … which is not done: each call sees what has been changed until then.
    each_call: bool,
    /// In a body in PL/pgSQL: the rows and variables around the statement.
    around: Option<Rc<Scope>>,
    /// What a name means there that a column has too.
    conflict: Conflict,
    /// The next SELECT may say INTO: it is the statement itself.
    into: bool,
}

/// A row that inner queries can refer to.
struct Frame {
    scope: Rc<Scope>,
    /// Where in its query the inner ones stand.
    clause: Clause,
    /// The aggregates of its query, where they are allowed there.
    aggregates: Option<agg::Collected>,
    /// Something inside referred to this row or one further out.
    crossed: Cell<bool>,
}

/// A WITH query: bound once, or anew at each reference.
struct Cte<'a> {
    name: String,
    columns: Vec<String>,
    query: &'a ast::Query,
    /// What a change returns: its number and columns, if it returns rows.
    change: Option<(usize, Option<Vec<Column>>)>,
    /// How many WITH queries and frames were in sight where it was written.
    ctes_before: usize,
    frames_before: usize,
    /// It may read itself.
    recursive: bool,
    materialized: Option<ast::CteAsMaterialized>,
    shared: Option<with::Shared>,
    work: Option<with::Work>,
}

/// Where an expression stands: what it may see and hold.
struct Cx {
    scope: Rc<Scope>,
    clause: Clause,
    /// Aggregates found so far, where they are allowed.
    aggregates: Option<agg::Collected>,
    /// Window calls found so far, where they are allowed.
    windows: Option<window::Collector>,
    /// Set-returning functions found so far, where they are allowed: in a select list.
    series: Option<Vec<engine::plan::TableFunction>>,
}

/// Named as PostgreSQL's errors name them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Clause {
    Select,
    Where,
    Having,
    GroupBy,
    OrderBy,
    JoinOn,
    Lateral,
    FromFunction,
    Values,
    Limit,
    Filter,
    Aggregate,
    Update,
    MergeWhen,
    Returning,
    Check,
    Default,
    Generated,
    Transform,
    Execute,
    Call,
    Window,
    WindowArguments,
    WindowRows,
    WindowRange,
    WindowGroups,
    CopyWhere,
    IndexExpression,
    IndexPredicate,
    TriggerWhen,
}

impl Clause {
    fn name(self) -> &'static str {
        match self {
            Clause::Select => "SELECT",
            Clause::Where => "WHERE",
            Clause::Having => "HAVING",
            Clause::GroupBy => "GROUP BY",
            Clause::OrderBy => "ORDER BY",
            Clause::JoinOn => "JOIN conditions",
            Clause::Lateral => "FROM clause of their own query level",
            Clause::FromFunction => "functions in FROM",
            Clause::Values => "VALUES",
            Clause::Limit => "LIMIT",
            Clause::Filter => "FILTER",
            Clause::Aggregate => "aggregate arguments",
            Clause::Update => "UPDATE",
            Clause::MergeWhen => "MERGE WHEN conditions",
            Clause::Returning => "RETURNING",
            Clause::Check => "check constraints",
            Clause::Default => "DEFAULT expressions",
            Clause::Generated => "column generation expressions",
            Clause::Transform => "transform expressions",
            Clause::Execute => "EXECUTE parameters",
            Clause::Call => "CALL arguments",
            Clause::Window => "window definitions",
            Clause::WindowArguments => "window function arguments",
            Clause::WindowRows => "window ROWS",
            Clause::WindowRange => "window RANGE",
            Clause::WindowGroups => "window GROUPS",
            Clause::CopyWhere => "COPY FROM WHERE conditions",
            Clause::IndexExpression => "index expressions",
            Clause::IndexPredicate => "index predicates",
            Clause::TriggerWhen => "trigger WHEN conditions",
        }
    }
}

impl Frame {
    /// A row whose query has no aggregates there.
    fn new(scope: Rc<Scope>, clause: Clause) -> Frame {
        Cx::new(scope, clause).frame()
    }
}

impl Cx {
    /// The row, for queries inside.
    fn frame(&self) -> Frame {
        Frame {
            scope: self.scope.clone(),
            clause: self.clause,
            aggregates: self.aggregates.clone(),
            crossed: Cell::new(false),
        }
    }

    fn new(scope: Rc<Scope>, clause: Clause) -> Cx {
        Cx {
            scope,
            clause,
            aggregates: None,
            windows: None,
            series: None,
        }
    }
}

impl<'a> Binder<'a> {
    /// What is bounded in a statement is counted over all texts that it is made of.
    fn counts_on_from(&mut self, other: &Binder<'_>) {
        self.relations = other.relations;
        self.with_ids = other.with_ids;
        self.copied = other.copied;
        self.calls = other.calls;
        self.looked |= other.looked;
    }

    /// It has to be bound once more, with calls where a body does not see what it has to.
    fn must_call(&self, statement: &Statement) -> bool {
        self.looked && !self.each_call && (statement.changes_rows() || statement.calls())
    }

    fn new(env: &'a BindEnv<'a>, lines: &'a Lines) -> Binder<'a> {
        Binder {
            env,
            lines,
            params: Vec::new(),
            frames: Vec::new(),
            ctes: Vec::new(),
            with_ids: 0,
            ban: None,
            changes: Vec::new(),
            depth: 0,
            text: Arc::from(""),
            relations: 0,
            copied: 0,
            path: path::searched(env.context),
            view: None,
            reading: None,
            unfilled: false,
            overriding: Overriding::Nothing,
            subscripts: &[],
            arguments: None,
            calls: 0,
            bodies: 0,
            inlining: Vec::new(),
            defining: false,
            looked: false,
            each_call: false,
            around: None,
            conflict: Conflict::Error,
            into: false,
        }
    }

    fn statement(&mut self, s: &'a ast::Statement) -> Result<Statement> {
        match s {
            ast::Statement::Query(q) => match changed_by(q) {
                Some(inner) => self.with_before(q, inner),
                None => match into_of(q) {
                    Some(into) => self.select_into(q, into),
                    None => self.top_query(q).map(Statement::Query),
                },
            },
            ast::Statement::Insert(i) => self.insert(i),
            ast::Statement::Update(u) => self.update(u),
            ast::Statement::Delete(d) => self.delete(d),
            ast::Statement::Merge(m) => self.merge_statement(m),
            ast::Statement::CreateIndex(i) => self.create_index(i),
            ast::Statement::Execute { .. } => self.execute(s),
            _ => Err(Error::unsupported("this statement is not supported")),
        }
    }

    /// 1-based position of a span's start, where it is known.
    fn position(&self, span: Span) -> Option<u32> {
        self.lines.position(span.start)
    }

    fn at(&self, e: Error, span: Span) -> Error {
        match self.position(span) {
            Some(p) if e.position().is_none() => e.at(p),
            _ => e,
        }
    }

    /// A copy of an expression, charged against the statement's budget.
    fn copy(&mut self, e: &Expr) -> Result<Expr> {
        self.copied = self.copied.saturating_add(walk::size(e));
        if self.copied > COPIED_NODES_MAX {
            return Err(too_complex("expressions copied too often"));
        }
        Ok(e.clone())
    }

    /// Counts one more relation.
    fn count_relation(&mut self) -> Result<()> {
        self.relations += 1;
        if self.relations > RELATIONS_MAX {
            return Err(too_complex(&format!("more than {RELATIONS_MAX} relations")));
        }
        Ok(())
    }

    /// 42P18 for a parameter that nothing gave a type.
    fn settled_params(&mut self) -> Result<Vec<DataType>> {
        let settle = |(i, ty): (usize, &Option<DataType>)| match ty {
            Some(ty) if *ty != DataType::Unknown => Ok(*ty),
            _ => Err(Error::new(
                SqlState::INDETERMINATE_DATATYPE,
                format!("could not determine data type of parameter ${}", i + 1),
            )),
        };
        self.params.iter().enumerate().map(settle).collect()
    }
}

/// `WITH … INSERT`, UPDATE or DELETE: the grammar crate makes it the body of a query.
fn changed_by(q: &ast::Query) -> Option<&ast::Statement> {
    match &*q.body {
        ast::SetExpr::Insert(s)
        | ast::SetExpr::Update(s)
        | ast::SetExpr::Delete(s)
        | ast::SetExpr::Merge(s) => Some(s),
        _ => None,
    }
}

/// `SELECT … INTO table`.
fn into_of(q: &ast::Query) -> Option<&ast::SelectInto> {
    match &*q.body {
        ast::SetExpr::Select(s) => s.into.as_ref(),
        _ => None,
    }
}

fn too_complex(detail: &str) -> Error {
    Error::new(SqlState::STATEMENT_TOO_COMPLEX, "statement is too complex").with_detail(detail)
}

fn too_many_parameters() -> Error {
    Error::new(
        SqlState::TOO_MANY_ARGUMENTS,
        format!("more than {} parameters", limits::PARAMETERS_MAX),
    )
}

fn syntax(message: impl Into<String>) -> Error {
    Error::new(SqlState::SYNTAX_ERROR, message)
}

/// As an error of a text that is kept: its position would be taken for one in the statement's.
pub fn unplaced(e: Error) -> Error {
    let mut plain = Error::new(e.code(), e.message());
    if let Some(detail) = e.detail() {
        plain = plain.with_detail(detail);
    }
    if let Some(hint) = e.hint() {
        plain = plain.with_hint(hint);
    }
    match e.context() {
        Some(context) => plain.with_context(context),
        None => plain,
    }
}

fn unsupported(what: &str) -> Error {
    Error::unsupported(format!("{what} is not supported"))
}
