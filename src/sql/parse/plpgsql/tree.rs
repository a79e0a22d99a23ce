//! What a body in PL/pgSQL is when it has been read: blocks of statements, and texts of SQL that are still to be bound.
//!
//! Owns: the tree. Asked by: `bind::program`, which binds a text when it is come to, and the router, which walks the tree. Never: knows a
//! table, a type or a value. Bounds: those of the reader (`plpgsql`). Source: PostgreSQL 15, `plpgsql.h`.

use super::raise::Raise;
use sqlparser::ast;
use types::SqlState;

#[derive(Debug)]
pub struct Body {
    /// All there are, those that the function is given first; each has one number in all of the body.
    pub variables: Vec<Variable>,
    /// What names mean where; the first is the function's own.
    pub scopes: Vec<Scope>,
    /// How many texts there are.
    pub texts: usize,
    /// `#variable_conflict`.
    pub conflict: Conflict,
    pub block: Block,
}

/// What a name means that is a variable's and a column's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conflict {
    #[default]
    Error,
    Variable,
    Column,
}

#[derive(Debug, Default)]
pub struct Scope {
    pub around: Option<usize>,
    pub label: Option<String>,
    /// Their numbers.
    pub variables: Vec<usize>,
    /// Other names (ALIAS FOR) for the variables of these numbers.
    pub aliases: Vec<(String, usize)>,
}

#[derive(Debug)]
pub struct Variable {
    pub name: String,
    pub ty: VariableType,
    pub constant: bool,
    pub not_null: bool,
    pub default: Option<Text>,
    pub line: u64,
}

#[derive(Debug)]
pub enum VariableType {
    /// The function says it: an argument, or what the language gives.
    Given,
    Written(ast::DataType),
    /// `name%TYPE`: of a variable or a column.
    Like(ast::ObjectName),
    /// `name%ROWTYPE`
    RowOf(ast::ObjectName),
    Record,
    Text,
    Int4,
    /// That of the value it is given: what a CASE compares.
    Found,
}

/// A text of SQL: an expression, or a statement.
#[derive(Debug)]
pub struct Text {
    pub sql: String,
    pub scope: usize,
    /// Variables of this number and higher are declared behind it.
    pub before: usize,
    /// Counts all in the body.
    pub number: usize,
}

#[derive(Debug)]
pub struct Block {
    pub label: Option<String>,
    pub line: u64,
    /// Numbers of its variables.
    pub declared: Vec<usize>,
    pub steps: Vec<Step>,
    pub handlers: Vec<Handler>,
}

/// WHEN … THEN of an EXCEPTION.
#[derive(Debug)]
pub struct Handler {
    pub conditions: Vec<Condition>,
    /// Numbers of SQLSTATE and SQLERRM.
    pub state: usize,
    pub message: usize,
    pub steps: Vec<Step>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    Others,
    State(SqlState),
}

#[derive(Debug)]
pub struct Step {
    pub line: u64,
    pub act: Act,
}

#[derive(Debug)]
pub enum Act {
    Assign {
        to: Target,
        /// Of a part of it (`a[1]`): an UPDATE of a column called `a`.
        value: Text,
        part: bool,
        /// The whole statement.
        shown: String,
    },
    /// The first branch whose condition is true.
    If {
        branches: Vec<(Text, Vec<Step>)>,
        otherwise: Vec<Step>,
    },
    Case {
        /// The number of the variable that is compared, and its value.
        subject: Option<(usize, Text)>,
        branches: Vec<(Text, Vec<Step>)>,
        otherwise: Option<Vec<Step>>,
    },
    Block(Box<Block>),
    Loop(Box<Loop>),
    /// EXIT, or CONTINUE.
    Leave {
        exit: bool,
        label: Option<String>,
        when: Option<Text>,
    },
    Return(Returned),
    ReturnNext(Option<Text>),
    ReturnQuery(Rows),
    Raise(Box<Raise>),
    /// RAISE alone: what was caught.
    Reraise,
    Assert {
        condition: Text,
        message: Option<Text>,
    },
    /// A query that is run for what it does.
    Perform(Text),
    Run {
        sql: Text,
        into: Option<Into>,
    },
    Execute {
        sql: Text,
        using: Vec<Text>,
        into: Option<Into>,
    },
    /// CALL of a procedure; what it gives goes to these of its arguments.
    Call(Text),
    Diagnostics {
        /// Of the error that was caught.
        stacked: bool,
        items: Vec<(Target, Diagnostic)>,
    },
    Nothing,
}

#[derive(Debug)]
pub struct Loop {
    pub label: Option<String>,
    pub how: How,
    pub steps: Vec<Step>,
}

#[derive(Debug)]
pub enum How {
    Forever,
    While(Text),
    Count {
        variable: usize,
        from: Text,
        to: Text,
        by: Option<Text>,
        reverse: bool,
    },
    Rows {
        into: Into,
        rows: Rows,
    },
    Each {
        to: Target,
        array: Text,
    },
}

/// Where rows come from.
#[derive(Debug)]
pub enum Rows {
    Query(Text),
    Execute { sql: Text, using: Vec<Text> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    New,
    Old,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Column(Side, String),
    /// NEW or OLD as a whole.
    Side(Side),
    /// By its number.
    Variable(usize),
    /// Of a record or a row.
    Field(usize, String),
}

/// Where the first row of a query goes.
#[derive(Debug)]
pub struct Into {
    pub targets: Vec<Target>,
    /// Exactly one row.
    pub strict: bool,
}

#[derive(Debug)]
pub enum Returned {
    Nothing,
    Null,
    Row(Side),
    /// COALESCE: the first of them that there is.
    Either(Side, Side),
    Value(Text),
}

/// What GET DIAGNOSTICS asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Diagnostic {
    RowCount,
    Context,
    State,
    Message,
    Detail,
    Hint,
    Column,
    Constraint,
    Table,
    Schema,
    /// Of the type that an error is about: errors here do not know it.
    Datatype,
    ErrorContext,
}

/// How a text is used.
#[derive(Clone, Copy, Debug)]
pub enum Use<'a> {
    To(&'a Target),
    /// What the target is with a part of it changed.
    Part(&'a Target),
    /// The default of the variable of this number.
    Default(usize),
    Condition,
    Int4,
    /// Of whatever type it is.
    Any,
    Text,
    Perform,
    Statement(Option<&'a Into>),
    Rows(&'a Into),
    Returned,
    ReturnedRows,
    Call,
}

impl Body {
    /// Every text with its use.
    pub fn each<'a>(&'a self, f: &mut impl FnMut(&'a Text, Use<'a>)) {
        for (number, v) in self.variables.iter().enumerate() {
            if let Some(default) = &v.default {
                f(default, Use::Default(number));
            }
        }
        in_block(&self.block, f);
    }
}

fn in_block<'a>(block: &'a Block, f: &mut impl FnMut(&'a Text, Use<'a>)) {
    in_steps(&block.steps, f);
    block.handlers.iter().for_each(|h| in_steps(&h.steps, f));
}

fn in_steps<'a>(steps: &'a [Step], f: &mut impl FnMut(&'a Text, Use<'a>)) {
    for step in steps {
        in_act(&step.act, f);
    }
}

fn in_act<'a>(act: &'a Act, f: &mut impl FnMut(&'a Text, Use<'a>)) {
    match act {
        Act::Assign {
            to,
            value,
            part: true,
            ..
        } => f(value, Use::Part(to)),
        Act::Assign { to, value, .. } => f(value, Use::To(to)),
        Act::If {
            branches,
            otherwise,
        } => {
            in_branches(branches, f);
            in_steps(otherwise, f);
        }
        Act::Case {
            subject,
            branches,
            otherwise,
        } => {
            subject.iter().for_each(|(_, text)| f(text, Use::Any));
            in_branches(branches, f);
            in_steps(otherwise.as_deref().unwrap_or_default(), f);
        }
        Act::Block(block) => in_block(block, f),
        Act::Loop(one) => in_loop(one, f),
        Act::Leave { when, .. } => when.iter().for_each(|t| f(t, Use::Condition)),
        Act::Return(Returned::Value(text)) | Act::ReturnNext(Some(text)) => f(text, Use::Returned),
        Act::ReturnQuery(rows) => in_rows(rows, None, f),
        Act::Raise(raise) => {
            raise.args.iter().for_each(|t| f(t, Use::Any));
            raise.options.iter().for_each(|(_, t)| f(t, Use::Text));
        }
        Act::Assert { condition, message } => {
            f(condition, Use::Condition);
            message.iter().for_each(|t| f(t, Use::Text));
        }
        Act::Perform(text) => f(text, Use::Perform),
        Act::Run { sql, into } => f(sql, Use::Statement(into.as_ref())),
        Act::Execute { sql, using, .. } => {
            f(sql, Use::Text);
            using.iter().for_each(|t| f(t, Use::Any));
        }
        Act::Call(text) => f(text, Use::Call),
        Act::Return(_)
        | Act::ReturnNext(None)
        | Act::Reraise
        | Act::Diagnostics { .. }
        | Act::Nothing => {}
    }
}

fn in_branches<'a>(branches: &'a [(Text, Vec<Step>)], f: &mut impl FnMut(&'a Text, Use<'a>)) {
    for (condition, steps) in branches {
        f(condition, Use::Condition);
        in_steps(steps, f);
    }
}

fn in_rows<'a>(rows: &'a Rows, into: Option<&'a Into>, f: &mut impl FnMut(&'a Text, Use<'a>)) {
    match (rows, into) {
        (Rows::Query(text), Some(into)) => f(text, Use::Rows(into)),
        (Rows::Query(text), None) => f(text, Use::ReturnedRows),
        (Rows::Execute { sql, using }, _) => {
            f(sql, Use::Text);
            using.iter().for_each(|t| f(t, Use::Any));
        }
    }
}

fn in_loop<'a>(one: &'a Loop, f: &mut impl FnMut(&'a Text, Use<'a>)) {
    match &one.how {
        How::Forever => {}
        How::While(condition) => f(condition, Use::Condition),
        How::Count { from, to, by, .. } => {
            f(from, Use::Int4);
            f(to, Use::Int4);
            by.iter().for_each(|t| f(t, Use::Int4));
        }
        How::Rows { into, rows } => in_rows(rows, Some(into), f),
        How::Each { array, .. } => f(array, Use::Any),
    }
    in_steps(&one.steps, f);
}
