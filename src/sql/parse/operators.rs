//! `OPERATOR(pg_catalog.=) ANY (…)`, which the grammar crate reads only without ANY, ALL and SOME.
//!
//! Owns: the operator's sign in the place of that form, before one of the three; elsewhere it stays, as it binds differently. Asked
//! by: `parse`, before anything else. Never: looks the operator's schema up; there is one.
//! Source: PostgreSQL 15's `gram.y` (`subquery_Op`); psql and pg_dump write their patterns so.

use super::rewrite::is;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

pub(super) fn tokens(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let any = |t: &TokenWithSpan| is(&t.token, Keyword::OPERATOR);
    if !tokens.iter().any(any) {
        return tokens;
    }
    let mut out = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        match quantified(&tokens, at) {
            Some((sign, next)) => {
                out.push(TokenWithSpan::new(sign, token.span));
                at = next;
            }
            None => {
                out.push(token.clone());
                at += 1;
            }
        }
    }
    out
}

/// The sign, and where the text goes on.
fn quantified(tokens: &[TokenWithSpan], at: usize) -> Option<(Token, usize)> {
    let blank = |t: &Token| matches!(t, Token::Whitespace(_));
    let rest = tokens.get(at..)?.iter().enumerate();
    let mut words = rest.filter(|(_, t)| !blank(&t.token));
    let (_, first) = words.next()?;
    if !is(&first.token, Keyword::OPERATOR) || words.next()?.1.token != Token::LParen {
        return None;
    }
    let (_, mut sign) = words.next()?;
    while let Token::Word(_) = &sign.token {
        if words.next()?.1.token != Token::Period {
            return None;
        }
        sign = words.next()?.1;
    }
    let (close, end) = words.next()?;
    let (_, after) = words.next()?;
    let three = [Keyword::ANY, Keyword::ALL, Keyword::SOME];
    let quantified = three.iter().any(|k| is(&after.token, *k));
    let closed = end.token == Token::RParen;
    (quantified && closed).then(|| (sign.token.clone(), at + close + 1))
}
