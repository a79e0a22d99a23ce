//! Cutting a token stream into statements, and mapping line and column to positions in the script.
//!
//! Owns: `Lines`. Never: copies the script more than once.

use sqlparser::tokenizer::{Location, Token, TokenWithSpan};

/// Character offsets of the starts of a script's lines.
#[derive(Debug)]
pub struct Lines {
    starts: Vec<u32>,
}

impl Lines {
    pub fn of(sql: &str) -> Lines {
        let mut starts = vec![0];
        if sql.is_ascii() {
            let newlines = sql.bytes().enumerate().filter(|(_, b)| *b == b'\n');
            starts.extend(newlines.map(|(i, _)| i as u32 + 1));
        } else {
            let newlines = sql.chars().enumerate().filter(|(_, c)| *c == '\n');
            starts.extend(newlines.map(|(i, _)| i as u32 + 1));
        }
        Lines { starts }
    }

    /// 1-based character position; `None` for an unknown location.
    pub fn position(&self, at: Location) -> Option<u32> {
        let line = usize::try_from(at.line.checked_sub(1)?).ok()?;
        let column = u32::try_from(at.column).ok()?;
        Some(self.starts.get(line)?.saturating_add(column))
    }
}

/// One statement's tokens and text.
pub(super) struct Piece<'a> {
    pub tokens: Vec<TokenWithSpan>,
    pub text: &'a str,
}

/// Cuts at semicolons; pieces of nothing but blanks and comments are dropped.
pub(super) fn statements(sql: &str, tokens: Vec<TokenWithSpan>) -> Vec<Piece<'_>> {
    let mut out = Vec::new();
    let mut walk = Walk::new(sql);
    let mut current: Vec<TokenWithSpan> = Vec::new();
    for token in tokens {
        match token.token {
            Token::SemiColon | Token::EOF => push(&mut out, &mut current, &mut walk),
            Token::Whitespace(_) if current.is_empty() => {}
            _ => current.push(token),
        }
    }
    push(&mut out, &mut current, &mut walk);
    out
}

fn push<'a>(out: &mut Vec<Piece<'a>>, current: &mut Vec<TokenWithSpan>, walk: &mut Walk<'a>) {
    while matches!(current.last(), Some(t) if matches!(t.token, Token::Whitespace(_))) {
        current.pop();
    }
    let (Some(first), Some(last)) = (current.first(), current.last()) else {
        return;
    };
    let start = walk.byte(first.span.start);
    let end = walk.byte(last.span.end);
    out.push(Piece {
        text: &walk.sql[start..end.max(start)],
        tokens: std::mem::take(current),
    });
}

/// Walks forward through the text once, so that many statements on one line cost no more than one.
struct Walk<'a> {
    sql: &'a str,
    byte: usize,
    line: u64,
    column: u64,
}

impl<'a> Walk<'a> {
    fn new(sql: &'a str) -> Walk<'a> {
        Walk {
            sql,
            byte: 0,
            line: 1,
            column: 1,
        }
    }

    /// The byte offset of a location that is not before the last one asked for.
    fn byte(&mut self, at: Location) -> usize {
        for c in self.sql[self.byte..].chars() {
            if (self.line, self.column) >= (at.line, at.column) {
                break;
            }
            self.byte += c.len_utf8();
            if c == '\n' {
                self.line += 1;
                self.column = 1;
            } else {
                self.column += 1;
            }
        }
        self.byte
    }
}
