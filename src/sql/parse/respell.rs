//! Spellings that mean something else by what is around them.
//!
//! Owns: `TABLE t` as the query of WITH and INSERT, `LIKE ANY (…)`, `substring(s SIMILAR p ESCAPE e)`, `ALTER COLUMN c TYPE t COLLATE "C"`,
//! `THEN interval END`, `FETCH FIRST (n) ROWS ONLY`. Asked by: `rewrite`, token by token.
//! Never: looks ahead. Bounds: a place for each open parenthesis, which `caps` has counted.
//! Source: PostgreSQL 15's `gram.y`.

use super::rewrite::{is, keyword};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Whitespace};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Anything,
    Substring,
    /// SIMILAR has come.
    Pattern,
    /// The number of rows of FETCH FIRST.
    Rows,
}

pub(super) struct Respelling {
    /// The statement begins with WITH or INSERT, and its query has not come.
    query_comes: bool,
    alters: bool,
    /// In ALTER, behind TYPE: the new type of a column.
    typed: bool,
    open: Vec<Inside>,
    /// FETCH FIRST (…) is a LIMIT now: ROWS ONLY is to come.
    rows_only: bool,
}

/// Text is compared by its bytes, as these collations do.
pub(crate) fn is_collation(name: &str) -> bool {
    matches!(name, "default" | "C" | "POSIX" | "ucs_basic")
}

impl Respelling {
    pub fn of(first: Option<&TokenWithSpan>) -> Respelling {
        let begins = |w| matches!(first, Some(t) if is(&t.token, w));
        Respelling {
            query_comes: begins(Keyword::WITH) || begins(Keyword::INSERT),
            alters: begins(Keyword::ALTER),
            typed: false,
            open: Vec::new(),
            rows_only: false,
        }
    }

    fn is_query(&mut self, token: &Token) -> bool {
        let Token::Word(w) = token else {
            return false;
        };
        if !self.query_comes || !self.open.is_empty() || w.quote_style.is_some() {
            return false;
        }
        let table = w.keyword == Keyword::TABLE;
        self.query_comes = !table && !matches!(w.keyword, Keyword::SELECT | Keyword::VALUES);
        table
    }

    /// The token as it is to be read; `before` is the last one in `out` that is not blank. Whether it is a TABLE that stands for
    /// SELECT * FROM.
    pub fn respell(
        &mut self,
        token: &mut TokenWithSpan,
        out: &mut [TokenWithSpan],
        before: Option<usize>,
    ) -> bool {
        let span = token.span;
        let query = self.is_query(&token.token);
        match &token.token {
            Token::LParen => {
                let called = before.and_then(|i| out.get(i)).map(|t| &t.token);
                let substring = matches!(called, Some(t) if is(t, Keyword::SUBSTRING));
                self.open.push(if substring {
                    Inside::Substring
                } else if limit(out, before) {
                    Inside::Rows
                } else {
                    Inside::Anything
                });
            }
            Token::RParen => self.rows_only = self.open.pop() == Some(Inside::Rows),
            Token::Word(w) if self.rows_only && w.quote_style.is_none() => match w.keyword {
                Keyword::ROW | Keyword::ROWS => token.token = blank(),
                Keyword::ONLY => {
                    self.rows_only = false;
                    token.token = blank();
                }
                _ => self.rows_only = false,
            },
            Token::Comma if self.open.is_empty() => self.typed = false,
            Token::Word(w) if self.typed && self.open.is_empty() && is_collation(&w.value) => {
                if drop_collate(out) {
                    token.token = blank();
                }
            }
            Token::Word(w) if w.quote_style.is_none() => match (w.keyword, self.open.last_mut()) {
                (Keyword::SIMILAR, Some(inside @ Inside::Substring)) => {
                    *inside = Inside::Pattern;
                    *token = keyword(Keyword::FROM, "FROM", span);
                }
                (Keyword::ESCAPE, Some(Inside::Pattern)) => {
                    *token = keyword(Keyword::FOR, "FOR", span);
                }
                (Keyword::ALL | Keyword::ANY | Keyword::SOME, _) => like(out, before),
                (Keyword::WHEN | Keyword::THEN | Keyword::ELSE | Keyword::END, _) => {
                    column_interval(out, before);
                }
                (Keyword::TYPE, None) => self.typed = self.alters,
                (Keyword::USING, None) => self.typed = false,
                _ => {}
            },
            _ => {}
        }
        query
    }
}

/// FETCH FIRST before a bracket becomes LIMIT: the grammar crate takes no expression there. Whether it did.
fn limit(out: &mut [TokenWithSpan], before: Option<usize>) -> bool {
    let Some((last, rest)) = before.and_then(|at| out.get_mut(..=at)?.split_last_mut()) else {
        return false;
    };
    let seen = |t: &&mut TokenWithSpan| !matches!(t.token, Token::Whitespace(_));
    let first = is(&last.token, Keyword::FIRST) || is(&last.token, Keyword::NEXT);
    let fetch = rest.iter_mut().rev().find(seen).filter(|_| first);
    let Some(fetch) = fetch.filter(|t| is(&t.token, Keyword::FETCH)) else {
        return false;
    };
    *fetch = keyword(Keyword::LIMIT, "LIMIT", fetch.span);
    last.token = blank();
    true
}

/// `THEN interval END`: no literal, but a column of that name.
fn column_interval(out: &mut [TokenWithSpan], before: Option<usize>) {
    let Some((last, rest)) = before.and_then(|at| out.get_mut(..=at)?.split_last_mut()) else {
        return;
    };
    let seen = |t: &&TokenWithSpan| !matches!(t.token, Token::Whitespace(_));
    let begins = [Keyword::CASE, Keyword::WHEN, Keyword::THEN, Keyword::ELSE];
    let begun = rest.iter().rev().find(seen);
    if is(&last.token, Keyword::INTERVAL)
        && begun.is_some_and(|t| begins.iter().any(|w| is(&t.token, *w)))
        && let Token::Word(w) = &mut last.token
    {
        w.value = w.value.to_lowercase();
        w.quote_style = Some('"');
        w.keyword = Keyword::NoKeyword;
    }
}

/// COLLATE, and the schema behind it, go from the end of the tokens; whether they were there.
fn drop_collate(out: &mut [TokenWithSpan]) -> bool {
    let seen = |t: &&mut TokenWithSpan| !matches!(t.token, Token::Whitespace(_));
    let mut last = out.iter_mut().rev().filter(seen).take(3);
    let mut gone = Vec::new();
    while let Some(t) = last.next() {
        let collate = is(&t.token, Keyword::COLLATE);
        gone.push(t);
        if collate {
            gone.into_iter().for_each(|t| t.token = blank());
            return true;
        }
    }
    false
}

fn blank() -> Token {
    Token::Whitespace(Whitespace::Space)
}

/// `[NOT] LIKE` before ALL, ANY or SOME becomes the operator that it stands for.
fn like(out: &mut [TokenWithSpan], before: Option<usize>) {
    let Some(at) = before else { return };
    let case = match out.get(at) {
        Some(t) if is(&t.token, Keyword::LIKE) => true,
        Some(t) if is(&t.token, Keyword::ILIKE) => false,
        _ => return,
    };
    let seen = |t: &&mut TokenWithSpan| !matches!(t.token, Token::Whitespace(_));
    let not = out[..at].iter_mut().rev().find(seen);
    let not = not.filter(|t| is(&t.token, Keyword::NOT));
    let negated = not.is_some();
    if let Some(not) = not {
        not.token = blank();
    }
    out[at].token = match (case, negated) {
        (true, false) => Token::DoubleTilde,
        (true, true) => Token::ExclamationMarkDoubleTilde,
        (false, false) => Token::DoubleTildeAsterisk,
        (false, true) => Token::ExclamationMarkDoubleTildeAsterisk,
    };
}
