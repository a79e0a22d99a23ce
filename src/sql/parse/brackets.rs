//! `((SELECT 1) UNION (SELECT 2))` as a value: where an expression begins the grammar crate takes a second parenthesis for one of an
//! expression. And `x = ANY (VALUES (1), (2))`, which it takes for a call, and `x IN ((SELECT 1), 2)`, whose first value it takes for all.
//!
//! Owns: a SELECT of everything around such a query, and a COALESCE around such a value, on the token stream. Asked by: `parse`, before
//! anything else. Never: touches one that stands where only a query can. Bounds: one pass; `caps` has counted the parentheses.
//! Source: PostgreSQL 15's `gram.y`, `select_with_parens`.

use super::respell::begins_value;
use super::rewrite::{is, keyword};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};

pub(super) fn tokens(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let looked_at = |t: &TokenWithSpan| {
        joins_queries(&t.token) || is(&t.token, Keyword::VALUES) || is(&t.token, Keyword::IN)
    };
    if !tokens.iter().any(looked_at) {
        return tokens;
    }
    let found = queries(&tokens);
    let values = listed(&tokens);
    if found.is_empty() && values.is_empty() {
        return tokens;
    }
    let mut out = Vec::with_capacity(tokens.len() + 6 * found.len());
    for (at, token) in tokens.into_iter().enumerate() {
        let span = token.span;
        let plain = |t: Token| TokenWithSpan::new(t, span);
        if values.iter().any(|(open, _)| *open == at) {
            out.push(keyword(Keyword::NoKeyword, "coalesce", span));
            out.push(plain(Token::LParen));
        }
        let ends_value = values.iter().any(|(_, close)| *close == at);
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
        if ends_value {
            out.push(plain(Token::RParen));
        }
    }
    out
}

/// The parentheses around each query that is the first of several values behind IN.
fn listed(tokens: &[TokenWithSpan]) -> Vec<(usize, usize)> {
    let seen = tokens.iter().enumerate();
    let seen = seen.filter(|(_, t)| !matches!(t.token, Token::Whitespace(_)));
    let seen: Vec<(usize, &Token)> = seen.map(|(at, t)| (at, &t.token)).collect();
    let mut out = Vec::new();
    for (n, around) in seen.windows(4).enumerate() {
        let [
            (_, word),
            (_, Token::LParen),
            (open, Token::LParen),
            (_, first),
        ] = around
        else {
            continue;
        };
        if !is(word, Keyword::IN) || !is(first, Keyword::SELECT) {
            continue;
        }
        let mut depth = 0usize;
        let closes = |(_, t): &(usize, &Token)| {
            match t {
                Token::LParen => depth += 1,
                Token::RParen => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0
        };
        let length = seen.iter().skip(n + 2).position(closes);
        let close = length.and_then(|l| seen.get(n + 2 + l));
        let behind = length.and_then(|l| seen.get(n + 3 + l));
        if let (Some((close, _)), Some((_, Token::Comma))) = (close, behind) {
            out.push((*open, *close));
        }
    }
    out
}

/// An open parenthesis.
struct Open {
    at: usize,
    /// An expression may begin with it.
    begins: bool,
    /// It is of ANY, SOME or ALL.
    quantified: bool,
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
                quantified: before.is_some_and(quantifies),
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
            self.found |= self.quantified && is(t, Keyword::VALUES);
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

fn quantifies(token: &Token) -> bool {
    let words = [Keyword::ANY, Keyword::SOME, Keyword::ALL];
    words.iter().any(|w| is(token, *w))
}

fn joins_queries(token: &Token) -> bool {
    let words = [Keyword::UNION, Keyword::INTERSECT, Keyword::EXCEPT];
    words.iter().any(|w| is(token, *w))
}
