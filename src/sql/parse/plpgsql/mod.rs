//! Bodies of functions in PL/pgSQL, and of DO: text to a tree of statements.
//!
//! Owns: which statements there are, what names of variables mean where, and the words for what there is not (0A000). Asked by: CREATE
//! FUNCTION, which keeps the text, and whoever carries a body out. Never: looks a table, column or type up; expressions and SQL stay
//! text, for the binder.
//! Bounds: `STATEMENTS_MAX` statements, `DEPTH_MAX` of them inside each other (54001), `VARIABLES_MAX` variables.
//! Source: PostgreSQL 15, `pl_gram.y` and chapter 43 of its manual.

mod block;
mod conditions;
mod diagnostics;
mod loops;
mod names;
mod raise;
mod statement;
#[cfg(test)]
mod tests;
mod tree;

pub use raise::{Level, Raise, RaiseOption, state};
pub use tree::*;

use super::cursor::Cursor;
use super::{Lines, errors};
use sqlparser::tokenizer::Token;
use types::{Error, Result, SqlState, limits};

const STATEMENTS_MAX: usize = 10_000;
const DEPTH_MAX: usize = 32;
const VARIABLES_MAX: usize = 5_000;

/// What the language gives the functions of triggers, FOUND first, which it gives all.
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

/// What a body is of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Of<'a> {
    Trigger,
    /// Its name, the names of its arguments, whether it gives a set of rows, and whether RETURN has to say a value.
    Function {
        name: &'a str,
        args: &'a [Option<String>],
        set: bool,
        value: bool,
    },
    Block,
}

pub(crate) fn read(text: &str, of: Of) -> Result<Body> {
    if text.len() > limits::STATEMENT_BYTES_MAX {
        return Err(too_complex());
    }
    let (text, conflict) = options(text)?;
    let tokens = errors::tokenize(&text)?;
    let lines = Lines::of(&text);
    let mut reader = Reader {
        c: Cursor::new(&tokens, &text, &lines),
        of,
        variables: Vec::new(),
        scopes: vec![Scope::default()],
        scope: 0,
        texts: 0,
        statements: 0,
        depth: 0,
        loops: Vec::new(),
        caught: 0,
    };
    reader.given();
    let block = reader.outermost()?;
    Ok(Body {
        variables: reader.variables,
        scopes: reader.scopes,
        texts: reader.texts,
        conflict,
        block,
    })
}

struct Reader<'a> {
    c: Cursor<'a>,
    of: Of<'a>,
    variables: Vec<Variable>,
    scopes: Vec<Scope>,
    /// Where it is now.
    scope: usize,
    texts: usize,
    statements: usize,
    depth: usize,
    /// The blocks and loops that it is inside of: their labels, and whether it is a loop.
    loops: Vec<(Option<String>, bool)>,
    /// Handlers that it is inside of.
    caught: usize,
}

impl Reader<'_> {
    fn given(&mut self) {
        let (names, label): (Vec<String>, _) = match self.of {
            Of::Trigger => (GIVEN.iter().map(|n| (*n).to_owned()).collect(), None),
            Of::Block => (vec!["found".into()], None),
            Of::Function { name, args, .. } => {
                let named = args.iter().map(|a| a.clone().unwrap_or_default());
                let all = std::iter::once("found".to_owned()).chain(named);
                (all.collect(), Some(name.to_owned()))
            }
        };
        let numbers = 0..names.len();
        let variable = |name| Variable {
            name,
            ty: VariableType::Given,
            constant: false,
            not_null: false,
            default: None,
            line: 0,
        };
        self.variables = names.into_iter().map(variable).collect();
        self.scopes = vec![Scope {
            around: None,
            label,
            variables: numbers.collect(),
            aliases: Vec::new(),
        }];
    }

    fn outermost(&mut self) -> Result<Block> {
        let label = self.label()?;
        let line = self.c.line();
        let block = self.block(label, line)?;
        self.c.accept_token(&Token::SemiColon);
        self.c.expect_end()?;
        Ok(block)
    }

    /// The text up to a token that ends it, which is left; 42601 where there is none.
    fn expression(&mut self, ends: impl Fn(&Token) -> bool) -> Result<Text> {
        let piece = self.c.piece(ends)?;
        match piece.at_end() {
            true => Err(self.c.error_of("missing expression")),
            false => Ok(self.text(piece.text(None))),
        }
    }

    /// Up to the semicolon, which is left.
    fn upto_semicolon(&mut self) -> Result<Text> {
        self.expression(|t| *t == Token::SemiColon)
    }

    fn text(&mut self, sql: String) -> Text {
        let number = self.texts;
        self.texts += 1;
        Text {
            sql,
            scope: self.scope,
            before: self.variables.len(),
            number,
        }
    }

    fn ends(&mut self) -> Result<()> {
        self.c.expect_token(&Token::SemiColon)
    }
}

/// Takes the lines that begin with `#` away, and answers what they say.
fn options(text: &str) -> Result<(std::borrow::Cow<'_, str>, Conflict)> {
    let mut conflict = Conflict::default();
    if !text.trim_start().starts_with('#') {
        return Ok((text.into(), conflict));
    }
    let mut out = String::with_capacity(text.len());
    let mut begun = false;
    for line in text.split_inclusive('\n') {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["#variable_conflict", what] if !begun => {
                conflict = match *what {
                    "error" => Conflict::Error,
                    "use_variable" => Conflict::Variable,
                    "use_column" => Conflict::Column,
                    other => {
                        let message = format!("syntax error at or near \"{other}\"");
                        return Err(Error::new(SqlState::SYNTAX_ERROR, message));
                    }
                };
                // Lines keep their numbers.
                out.push('\n');
            }
            ["#print_strict_params" | "#option", ..] if !begun => {
                return Err(Error::unsupported(format!(
                    "{} of PL/pgSQL is not supported",
                    words[0]
                )));
            }
            [] => out.push_str(line),
            _ => {
                begun = true;
                out.push_str(line);
            }
        }
    }
    Ok((out.into(), conflict))
}

fn word(token: &Token, word: &str) -> bool {
    matches!(token, Token::Word(w) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(word))
}

fn syntax(message: impl std::convert::Into<String>) -> Error {
    Error::new(SqlState::SYNTAX_ERROR, message)
}

fn too_complex() -> Error {
    Error::new(
        SqlState::STATEMENT_TOO_COMPLEX,
        "the function is too complex",
    )
    .with_detail(format!(
        "A body has at most {STATEMENTS_MAX} statements, {DEPTH_MAX} of them inside each other, and {VARIABLES_MAX} variables."
    ))
}
