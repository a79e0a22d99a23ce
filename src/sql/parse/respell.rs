//! Spellings that mean something else by what is around them.
//!
//! Owns: `TABLE t` as the query of WITH and INSERT, `LIKE ALL (…)`, `substring(s SIMILAR p ESCAPE e)`. Asked by: `rewrite`, token by token.
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
}

pub(super) struct Respelling {
    /// The statement begins with WITH or INSERT, and its query has not come.
    query_comes: bool,
    open: Vec<Inside>,
}

impl Respelling {
    pub fn of(first: Option<&TokenWithSpan>) -> Respelling {
        let begins = |w| matches!(first, Some(t) if is(&t.token, w));
        Respelling {
            query_comes: begins(Keyword::WITH) || begins(Keyword::INSERT),
            open: Vec::new(),
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
                } else {
                    Inside::Anything
                });
            }
            Token::RParen => {
                self.open.pop();
            }
            Token::Word(w) if w.quote_style.is_none() => match (w.keyword, self.open.last_mut()) {
                (Keyword::SIMILAR, Some(inside @ Inside::Substring)) => {
                    *inside = Inside::Pattern;
                    *token = keyword(Keyword::FROM, "FROM", span);
                }
                (Keyword::ESCAPE, Some(Inside::Pattern)) => {
                    *token = keyword(Keyword::FOR, "FOR", span);
                }
                (Keyword::ALL, _) => like(out, before),
                _ => {}
            },
            _ => {}
        }
        query
    }
}

/// `[NOT] LIKE` before ALL becomes the operator that it stands for.
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
        not.token = Token::Whitespace(Whitespace::Space);
    }
    out[at].token = match (case, negated) {
        (true, false) => Token::DoubleTilde,
        (true, true) => Token::ExclamationMarkDoubleTilde,
        (false, false) => Token::DoubleTildeAsterisk,
        (false, true) => Token::ExclamationMarkDoubleTildeAsterisk,
    };
}
