//! Window frames as the grammar crate reads them: EXCLUDE, and offsets that are bare strings.
//!
//! Owns: two respellings on the token stream. `ROWS … EXCLUDE TIES)` becomes `ORDER BY …, !! 'ties' ROWS …)`: no statement
//! of a user can spell that operator, and the binder takes it off again. Never: judges a frame.

use super::rewrite::{blank, is, keyword};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Whitespace};

/// What the token needs that comes behind `out`.
pub(super) fn respell(token: &mut Token, out: &mut Vec<TokenWithSpan>) {
    match token {
        Token::RParen => exclude(out),
        Token::SingleQuotedString(s) if offset_follows(out) => {
            *token = Token::EscapedStringLiteral(std::mem::take(s));
        }
        _ => {}
    }
}

/// The places of the last tokens that are not blank, the last first.
fn last_places(out: &[TokenWithSpan]) -> impl Iterator<Item = usize> {
    let seen = |i: &usize| {
        let token = out.get(*i).map(|t| &t.token);
        !matches!(token, Some(Token::Whitespace(_)))
    };
    (0..out.len()).rev().filter(seen)
}

/// A parenthesis is about to close: an EXCLUDE in front of it moves into the window's ORDER BY.
fn exclude(out: &mut Vec<TokenWithSpan>) {
    let last: Vec<usize> = last_places(out).take(3).collect();
    let word = |n: usize, text: &str| {
        let token = last.get(n).and_then(|i| out.get(*i)).map(|t| &t.token);
        matches!(token, Some(Token::Word(w)) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(text))
    };
    let (mark, words) = if word(1, "exclude") && word(0, "group") {
        ("group", 2)
    } else if word(1, "exclude") && word(0, "ties") {
        ("ties", 2)
    } else if word(2, "exclude") && word(1, "current") && word(0, "row") {
        ("row", 3)
    } else if word(2, "exclude") && word(1, "no") && word(0, "others") {
        ("others", 3)
    } else {
        return;
    };
    let Some((units, ordered)) = frame_start(out) else {
        return;
    };
    for place in last.into_iter().take(words) {
        if let Some(token) = out.get_mut(place) {
            token.token = Token::Whitespace(Whitespace::Space);
        }
    }
    let Some(span) = out.get(units).map(|t| t.span) else {
        return;
    };
    let mut inserted = Vec::new();
    if ordered {
        inserted.push(TokenWithSpan::new(Token::Comma, span));
    } else {
        inserted.push(keyword(Keyword::ORDER, "ORDER", span));
        inserted.push(blank(span));
        inserted.push(keyword(Keyword::BY, "BY", span));
    }
    let mark = Token::SingleQuotedString(mark.into());
    for token in [Token::DoubleExclamationMark, mark] {
        inserted.push(blank(span));
        inserted.push(TokenWithSpan::new(token, span));
    }
    inserted.push(blank(span));
    out.splice(units..units, inserted);
}

/// Where ROWS, RANGE or GROUPS stands in the window whose end is at hand, and whether ORDER BY stands before it.
fn frame_start(out: &[TokenWithSpan]) -> Option<(usize, bool)> {
    let mut depth = 0usize;
    let mut units = None;
    for (i, token) in out.iter().enumerate().rev() {
        match &token.token {
            Token::RParen => depth += 1,
            Token::LParen if depth == 0 => return units.map(|u| (u, false)),
            Token::LParen => depth -= 1,
            t if depth == 0 && units.is_none() => {
                let starts = [Keyword::ROWS, Keyword::RANGE, Keyword::GROUPS];
                if starts.into_iter().any(|k| is(t, k)) {
                    units = Some(i);
                }
            }
            t if depth == 0 && is(t, Keyword::ORDER) => return units.map(|u| (u, true)),
            _ => {}
        }
    }
    None
}

/// A string here is a frame's offset. The grammar crate would read it as an interval and stop before a cast.
fn offset_follows(out: &[TokenWithSpan]) -> bool {
    let mut last = last_places(out)
        .filter_map(|i| out.get(i))
        .map(|t| &t.token);
    match last.next() {
        Some(t) if is(t, Keyword::RANGE) => true,
        Some(t) if is(t, Keyword::BETWEEN) => last.next().is_some_and(|t| is(t, Keyword::RANGE)),
        Some(t) if is(t, Keyword::AND) => last.next().is_some_and(|t| {
            is(t, Keyword::PRECEDING) || is(t, Keyword::FOLLOWING) || is(t, Keyword::ROW)
        }),
        _ => false,
    }
}
