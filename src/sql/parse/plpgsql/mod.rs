//! Bodies of functions in PL/pgSQL: text to a tree of statements.
//!
//! Owns: which statements there are, and the words for those that are not (0A000). Asked by: CREATE FUNCTION, which keeps the text, and
//! whoever carries a body out. Never: looks a table, column or type up; expressions and SQL stay text, for the binder.
//! Bounds: `STATEMENTS_MAX` statements, `DEPTH_MAX` of them inside each other (54001).
//! Source: PostgreSQL 15, `pl_gram.y` and chapter 43 of its manual.

mod conditions;
mod raise;
mod statement;
#[cfg(test)]
mod tests;

pub(crate) use raise::Raise;
pub use raise::{Level, RaiseOption, state};

use super::cursor::Cursor;
use super::{Lines, errors};
use sqlparser::ast;
use sqlparser::tokenizer::Token;
use types::{Error, Result, SqlState, limits};

const STATEMENTS_MAX: usize = 10_000;
const DEPTH_MAX: usize = 32;

#[derive(Debug)]
pub(crate) struct Body {
    pub variables: Vec<Variable>,
    pub steps: Vec<Step>,
}

#[derive(Debug)]
pub(crate) struct Variable {
    pub name: String,
    pub ty: ast::DataType,
    pub constant: bool,
    pub not_null: bool,
    /// An expression's text.
    pub default: Option<String>,
    pub line: u64,
}

#[derive(Debug)]
pub(crate) struct Step {
    pub line: u64,
    pub act: Act,
}

/// One statement. Strings are texts of expressions and of SQL.
#[derive(Debug)]
pub(crate) enum Act {
    Assign {
        to: Target,
        value: String,
        /// The whole statement.
        shown: String,
    },
    /// The first branch whose condition is true.
    If {
        branches: Vec<(String, Vec<Step>)>,
        otherwise: Vec<Step>,
    },
    Return(Returned),
    Raise(Box<Raise>),
    /// A query that is run for what it does.
    Perform(String),
    Run {
        sql: String,
        into: Option<Into>,
    },
    Nothing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    New,
    Old,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Column(Side, String),
    /// By its place among the declared ones.
    Variable(usize),
    Found,
}

/// Where the first row of a query goes.
#[derive(Debug)]
pub(crate) struct Into {
    pub targets: Vec<Target>,
    /// Exactly one row.
    pub strict: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returned {
    Null,
    Row(Side),
    /// COALESCE: the first of them that there is.
    Either(Side, Side),
}

/// Names that the language gives a meaning: none can be declared.
pub(crate) const GIVEN: [&str; 11] = [
    "found",
    "tg_name",
    "tg_when",
    "tg_level",
    "tg_op",
    "tg_relid",
    "tg_relname",
    "tg_table_name",
    "tg_table_schema",
    "tg_nargs",
    "tg_argv",
];

/// Reads the body of a trigger's function.
pub(crate) fn read(text: &str) -> Result<Body> {
    if text.len() > limits::STATEMENT_BYTES_MAX {
        return Err(too_complex());
    }
    let tokens = errors::tokenize(text)?;
    let lines = Lines::of(text);
    let reader = Reader {
        c: Cursor::new(&tokens, text, &lines),
        variables: Vec::new(),
        statements: 0,
        depth: 0,
    };
    reader.body()
}

struct Reader<'a> {
    c: Cursor<'a>,
    variables: Vec<Variable>,
    statements: usize,
    depth: usize,
}

impl Reader<'_> {
    /// `[DECLARE …] BEGIN … END [;]`
    fn body(mut self) -> Result<Body> {
        if self.c.peek() == Some(&Token::ShiftLeft) {
            return Err(labels());
        }
        if self.c.accept("declare") {
            while !self.c.is("begin") {
                if self.c.accept("declare") {
                    continue;
                }
                let variable = self.variable()?;
                self.variables.push(variable);
            }
        }
        self.c.expect("begin")?;
        let steps = self.steps(&["end", "exception"])?;
        if self.c.is("exception") {
            return Err(
                Error::unsupported("EXCEPTION blocks of PL/pgSQL are not supported")
                    .with_hint("An error ends the statement that the trigger was called for."),
            );
        }
        self.c.expect("end")?;
        if let Some(Token::Word(_)) = self.c.peek() {
            self.c.next();
        }
        self.c.accept_token(&Token::SemiColon);
        self.c.expect_end()?;
        Ok(Body {
            variables: self.variables,
            steps,
        })
    }

    /// `name [CONSTANT] type [NOT NULL] [{DEFAULT | := | =} expression];`
    fn variable(&mut self) -> Result<Variable> {
        let line = self.c.line();
        if self.c.at_end() {
            return Err(self.c.error());
        }
        let place = self.c.clone();
        let name = self.c.name()?;
        let known = |v: &Variable| v.name == name;
        if self.variables.iter().any(known)
            || GIVEN.contains(&name.as_str())
            || matches!(name.as_str(), "new" | "old")
        {
            return Err(place.error_of("duplicate declaration"));
        }
        if self.c.is("alias") {
            return Err(Error::unsupported("ALIAS in PL/pgSQL is not supported"));
        }
        if self.c.is("cursor") || self.c.second_is("cursor") {
            return Err(Error::unsupported("cursors in PL/pgSQL are not supported"));
        }
        let constant = self.c.accept("constant");
        if self.c.is("record") {
            return Err(
                Error::unsupported("variables of type record are not supported").with_hint(
                    "SELECT … INTO takes as many scalar variables as there are columns.",
                ),
            );
        }
        let ty = self.c.data_type()?;
        if self.c.peek() == Some(&Token::Mod) {
            return Err(Error::unsupported("%TYPE and %ROWTYPE are not supported")
                .with_hint("Name the type."));
        }
        if self.c.is("collate") {
            return Err(Error::unsupported(
                "COLLATE of PL/pgSQL variables is not supported",
            ));
        }
        let not_null = self.c.accept("not") && {
            self.c.expect("null")?;
            true
        };
        let given = self.c.accept("default")
            || self.c.accept_token(&Token::Assignment)
            || self.c.accept_token(&Token::Eq);
        let default = match given {
            true => Some(self.expression(|t| *t == Token::SemiColon)?),
            false => None,
        };
        if not_null && default.is_none() {
            return Err(Error::new(
                SqlState::NULL_VALUE_NOT_ALLOWED,
                format!(
                    "variable \"{name}\" must have a default value, since it's declared NOT NULL"
                ),
            ));
        }
        self.c.expect_token(&Token::SemiColon)?;
        Ok(Variable {
            name,
            ty,
            constant,
            not_null,
            default,
            line,
        })
    }

    /// The text up to a token that ends it, which is left; 42601 where there is none.
    fn expression(&mut self, ends: impl Fn(&Token) -> bool) -> Result<String> {
        let piece = self.c.piece(ends)?;
        match piece.at_end() {
            true => Err(self.c.error_of("missing expression")),
            false => Ok(piece.text(None)),
        }
    }
}

fn word(token: &Token, word: &str) -> bool {
    matches!(token, Token::Word(w) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(word))
}

fn labels() -> Error {
    Error::unsupported("labels in PL/pgSQL are not supported")
}

fn too_complex() -> Error {
    Error::new(
        SqlState::STATEMENT_TOO_COMPLEX,
        "the function is too complex",
    )
    .with_detail(format!(
        "A body has at most {STATEMENTS_MAX} statements, {DEPTH_MAX} of them inside each other."
    ))
}
