//! The grammar crate's errors in PostgreSQL's words: 42601 `syntax error at or near "x"` with its position.
//!
//! Owns: the map. Never: shows the crate's own wording; it is kept as a detail only where it adds something.

use super::Lines;
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::ParserError;
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};
use types::{Error, Result, SqlState};

/// Cuts the text into tokens.
pub(super) fn tokenize(sql: &str) -> Result<Vec<TokenWithSpan>> {
    let dialect = PostgreSqlDialect {};
    Tokenizer::new(&dialect, sql)
        .tokenize_with_location()
        .map_err(|e| {
            let lines = Lines::of(sql);
            let source = Source { sql, lines: &lines };
            source.lexical(&e.message, e.location)
        })
}

/// The script that positions refer to.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub sql: &'a str,
    pub lines: &'a Lines,
}

impl Source<'_> {
    /// A parser's error.
    pub fn syntax(&self, e: ParserError, tokens: &[TokenWithSpan]) -> Error {
        match e {
            ParserError::RecursionLimitExceeded => {
                Error::new(SqlState::STATEMENT_TOO_COMPLEX, "statement is too complex")
            }
            ParserError::TokenizerError(m) | ParserError::ParserError(m) => {
                self.at_location(location_in(&m), tokens, &m)
            }
        }
    }

    /// 42601 at a token, by what stands there in the text.
    pub fn at_token(&self, token: Option<&TokenWithSpan>) -> Error {
        match token {
            Some(t) if t.token != Token::EOF => {
                let text = self.slice(t.span.start, t.span.end);
                self.error(format!("syntax error at or near \"{text}\""), t.span.start)
            }
            _ => {
                let end = self.sql.trim_end().chars().count() as u32 + 1;
                Error::new(SqlState::SYNTAX_ERROR, "syntax error at end of input").at(end)
            }
        }
    }

    fn at_location(&self, at: Option<Location>, tokens: &[TokenWithSpan], message: &str) -> Error {
        let found = at.and_then(|at| tokens.iter().find(|t| t.span.start == at));
        if found.is_some() || message.contains("found: EOF") {
            return self.at_token(found);
        }
        let shown = message
            .strip_prefix("sql parser error: ")
            .unwrap_or(message);
        Error::new(SqlState::SYNTAX_ERROR, "syntax error").with_detail(cut(shown))
    }

    fn lexical(&self, message: &str, at: Location) -> Error {
        let rest = self.slice(at, Location::of(u64::MAX, 1));
        let what = if message.contains("Unterminated string literal") {
            format!("unterminated quoted string at or near \"{}\"", cut(&rest))
        } else if message.contains("multi-line comment") {
            format!("unterminated /* comment at or near \"{}\"", cut(&rest))
        } else if message.contains("close delimiter") {
            format!(
                "unterminated quoted identifier at or near \"{}\"",
                cut(&rest)
            )
        } else if message.contains("Unterminated dollar-quoted") {
            format!(
                "unterminated dollar-quoted string at or near \"{}\"",
                cut(&rest)
            )
        } else {
            let first: String = rest.chars().take(1).collect();
            format!("syntax error at or near \"{first}\"")
        };
        self.error(what, at)
    }

    fn error(&self, message: String, at: Location) -> Error {
        let e = Error::new(SqlState::SYNTAX_ERROR, message);
        match self.lines.position(at) {
            Some(p) => e.at(p),
            None => e,
        }
    }

    /// The text between two locations, at most 256 characters of it.
    fn slice(&self, start: Location, end: Location) -> String {
        self.text(start, end).chars().take(256).collect()
    }

    /// What stands between two places.
    pub fn text(&self, start: Location, end: Location) -> String {
        let Some(from) = self.lines.position(start) else {
            return String::new();
        };
        let to = self.lines.position(end).unwrap_or(u32::MAX);
        let chars = self.sql.chars().skip(from as usize - 1);
        chars.take(to.saturating_sub(from) as usize).collect()
    }
}

/// `… at Line: 3, Column: 7`
fn location_in(message: &str) -> Option<Location> {
    let (_, tail) = message.rsplit_once("Line: ")?;
    let (line, column) = tail.split_once(", Column: ")?;
    Some(Location::of(
        line.parse().ok()?,
        column.trim().parse().ok()?,
    ))
}

fn cut(text: &str) -> String {
    text.chars().take(256).collect()
}
