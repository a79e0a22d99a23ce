//! `f(t.*)` and `(x).*` as the grammar crate reads them: with a field of a name that nobody writes in the star's place.
//!
//! Owns: that respelling on the token stream, behind `)` and `]` anywhere, and behind a table's name among the arguments of a
//! call or where an operator follows. Elsewhere (`SELECT t.*`, `VALUES (new.*)`) the crate reads the star itself. Source: PostgreSQL 15's `gram.y`, indirection.

use super::rewrite::is;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};

/// What stands for the star: a character of the private use area is in it.
pub(crate) const STAR: &str = "*\u{e002}";

/// A printed expression with stars again.
pub(super) fn shown(text: &str) -> String {
    text.replace(&format!("\"{STAR}\""), "*")
}

/// Which parentheses are open, and whether they are a call's.
#[derive(Default)]
pub(super) struct Calls(Vec<bool>);

impl Calls {
    /// Notes the token that comes behind `out`, or changes it.
    pub fn respell(&mut self, token: &mut Token, out: &mut [TokenWithSpan]) {
        if goes_on(token) {
            let seen = |t: &(usize, &TokenWithSpan)| !is_blank(&t.1.token);
            let last = out.iter().enumerate().rev().find(seen).map(|(at, _)| at);
            if let Some(at) = last
                && let Some((star, before)) = out.get_mut(..=at).and_then(<[_]>::split_last_mut)
                && star.token == Token::Mul
                && names_row(before)
            {
                star.token = field();
            }
        }
        match token {
            Token::LParen => self.0.push(seen(out).next().is_some_and(is_called)),
            Token::RParen => {
                self.0.pop();
            }
            Token::Word(w) if begins_query(w) && seen(out).next() == Some(&Token::LParen) => {
                if let Some(call) = self.0.last_mut() {
                    *call = false;
                }
            }
            Token::Mul if self.is_field(out) => *token = field(),
            _ => {}
        }
    }

    fn is_field(&self, out: &[TokenWithSpan]) -> bool {
        let mut before = seen(out);
        if before.next() != Some(&Token::Period) {
            return false;
        }
        match before.next() {
            Some(Token::RParen | Token::RBracket) => true,
            Some(Token::Word(_)) => self.0.last() == Some(&true),
            _ => false,
        }
    }
}

fn field() -> Token {
    Token::Word(Word {
        value: STAR.to_owned(),
        quote_style: Some('"'),
        keyword: Keyword::NoKeyword,
    })
}

/// What follows a value, and never `SELECT t.*`.
fn goes_on(token: &Token) -> bool {
    matches!(token, Token::DoubleColon | Token::Eq | Token::Neq) || is(token, Keyword::IS)
}

/// The tokens end with a name and a period.
fn names_row(out: &[TokenWithSpan]) -> bool {
    let mut before = seen(out);
    before.next() == Some(&Token::Period) && matches!(before.next(), Some(Token::Word(_)))
}

/// The last tokens that are not blank, the last first.
fn seen(out: &[TokenWithSpan]) -> impl Iterator<Item = &Token> {
    let tokens = out.iter().rev().map(|t| &t.token);
    tokens.filter(|t| !is_blank(t))
}

fn is_blank(token: &Token) -> bool {
    matches!(token, Token::Whitespace(_))
}

/// A name in front of a parenthesis that is a function's, or ROW's.
fn is_called(before: &Token) -> bool {
    let words = [
        Keyword::VALUES,
        Keyword::IN,
        Keyword::SELECT,
        Keyword::INSERT,
    ];
    matches!(before, Token::Word(_)) && !words.iter().any(|w| is(before, *w))
}

fn begins_query(w: &Word) -> bool {
    w.quote_style.is_none() && matches!(w.keyword, Keyword::SELECT | Keyword::WITH)
}
