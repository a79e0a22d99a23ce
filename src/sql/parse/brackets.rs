//! `((SELECT 1) UNION (SELECT 2))` as a value: where an expression begins the grammar crate takes a second parenthesis for one of an
//! expression.
//!
//! Owns: a SELECT of everything around such a query, on the token stream. Asked by: `parse`, before anything else. Never: touches one
//! that stands where only a query can. Bounds: one pass; `caps` has counted the parentheses.
//! Source: PostgreSQL 15's `gram.y`, `select_with_parens`.

use super::respell::begins_value;
use super::rewrite::{is, keyword};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};

pub(super) fn tokens(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let joins = |t: &TokenWithSpan| joins_queries(&t.token);
    if !tokens.iter().any(joins) {
        return tokens;
    }
    let found = queries(&tokens);
    if found.is_empty() {
        return tokens;
    }
    let mut out = Vec::with_capacity(tokens.len() + 6 * found.len());
    for (at, token) in tokens.into_iter().enumerate() {
        let span = token.span;
        let plain = |t: Token| TokenWithSpan::new(t, span);
        if found.iter().any(|(_, close)| *close == at) {
            out.push(plain(Token::RParen));
            out.push(plain(Token::Word(Word {
                value: "unnamed_subquery".into(),
                quote_style: Some('"'),
                keyword: Keyword::NoKeyword,
            })));
        }
        let opens = found.iter().any(|(open, _)| *open == at);
        out.push(token);
        if opens {
            out.push(keyword(Keyword::SELECT, "SELECT", span));
            out.push(plain(Token::Mul));
            out.push(keyword(Keyword::FROM, "FROM", span));
            out.push(plain(Token::LParen));
        }
    }
    out
}

/// An open parenthesis.
struct Open {
    at: usize,
    /// An expression may begin with it.
    begins: bool,
    first: First,
    /// Behind a query in parentheses there is one of the words that join two.
    found: bool,
}

/// What is first in it.
#[derive(PartialEq)]
enum First {
    Nothing,
    Query,
    Other,
}

/// The parentheses around each such query.
fn queries(tokens: &[TokenWithSpan]) -> Vec<(usize, usize)> {
    let mut open: Vec<Open> = Vec::new();
    let mut out = Vec::new();
    let mut before: Option<&Token> = None;
    let seen = tokens.iter().enumerate();
    for (at, token) in seen.filter(|(_, t)| !matches!(t.token, Token::Whitespace(_))) {
        match &token.token {
            Token::LParen => open.push(Open {
                at,
                begins: before.is_some_and(begins_value),
                first: First::Nothing,
                found: false,
            }),
            Token::RParen => {
                let Some(closed) = open.pop() else {
                    return Vec::new();
                };
                if closed.found {
                    out.push((closed.at, at));
                }
                // It was the first thing in what is around it.
                let query = closed.first == First::Query || closed.found;
                if let Some(around) = open.last_mut()
                    && around.first == First::Nothing
                {
                    around.first = if query { First::Query } else { First::Other };
                }
            }
            t => {
                if let (Some(inside), Some(before)) = (open.last_mut(), before) {
                    inside.word(t, before, tokens);
                }
            }
        }
        before = Some(&token.token);
    }
    out
}

impl Open {
    /// Something else than a parenthesis stands in it.
    fn word(&mut self, t: &Token, before: &Token, tokens: &[TokenWithSpan]) {
        if *before == Token::LParen {
            let query = [
                Keyword::SELECT,
                Keyword::VALUES,
                Keyword::WITH,
                Keyword::TABLE,
            ];
            self.first = match query.iter().any(|w| is(t, *w)) {
                true => First::Query,
                false => First::Other,
            };
            return;
        }
        self.found |= self.begins
            && self.first == First::Query
            && *before == Token::RParen
            && begins_with_parenthesis(tokens, self.at)
            && joins_queries(t);
    }
}

fn begins_with_parenthesis(tokens: &[TokenWithSpan], open: usize) -> bool {
    let mut behind = tokens.iter().skip(open + 1).map(|t| &t.token);
    behind.find(|t| !matches!(t, Token::Whitespace(_))) == Some(&Token::LParen)
}

fn joins_queries(token: &Token) -> bool {
    let words = [Keyword::UNION, Keyword::INTERSECT, Keyword::EXCEPT];
    words.iter().any(|w| is(token, *w))
}
