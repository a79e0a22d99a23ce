//! Where the items of select lists are in a text.
//!
//! Owns: which words end a list, which the grammar crate does not say of each expression. Asked by: `bind::restate`.
//! Never: reads inside an item. Bounds: one pass over the tokens for each list. Source: PostgreSQL 15's `gram.y`, `simple_select`.

use super::{errors, split};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};

/// From its first character up to behind its last, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    pub start: u32,
    pub end: u32,
}

/// The items behind each SELECT; `None` where there is no SELECT.
pub(crate) fn spots(sql: &str, selects: &[u32]) -> Option<Vec<Vec<Spot>>> {
    let tokens = errors::tokenize(sql).ok()?;
    let lines = split::Lines::of(sql);
    let seen = |t: &TokenWithSpan| !matches!(t.token, Token::Whitespace(_));
    let words: Vec<TokenWithSpan> = tokens.into_iter().filter(seen).collect();
    let place = |t: &TokenWithSpan| {
        Some((
            lines.position(t.span.start)? - 1,
            lines.position(t.span.end)? - 1,
        ))
    };
    let of = |select: &u32| {
        let at = words
            .iter()
            .position(|t| place(t).is_some_and(|(start, _)| start == *select))?;
        if !is(&words.get(at)?.token, Keyword::SELECT) {
            return None;
        }
        let items = items(&words, behind_distinct(&words, at + 1));
        let spot = |(first, last): &(usize, usize)| {
            let (start, _) = place(words.get(*first)?)?;
            let (_, end) = place(words.get(*last)?)?;
            Some(Spot { start, end })
        };
        items.iter().map(spot).collect()
    };
    selects.iter().map(of).collect()
}

fn is(token: &Token, keyword: Keyword) -> bool {
    matches!(token, Token::Word(w) if w.quote_style.is_none() && w.keyword == keyword)
}

fn depth(token: &Token) -> i32 {
    match token {
        Token::LParen | Token::LBracket | Token::LBrace => 1,
        Token::RParen | Token::RBracket | Token::RBrace => -1,
        _ => 0,
    }
}

/// Behind ALL, DISTINCT, or DISTINCT ON (…).
fn behind_distinct(words: &[TokenWithSpan], at: usize) -> usize {
    let is_at = |at: usize, keyword| words.get(at).is_some_and(|t| is(&t.token, keyword));
    if is_at(at, Keyword::ALL) {
        return at + 1;
    }
    if !is_at(at, Keyword::DISTINCT) {
        return at;
    }
    if !is_at(at + 1, Keyword::ON) {
        return at + 1;
    }
    let mut open = 0;
    for (i, t) in words.iter().enumerate().skip(at + 2) {
        open += depth(&t.token);
        if open == 0 {
            return i + 1;
        }
    }
    words.len()
}

/// First and last words of the items that begin here.
fn items(words: &[TokenWithSpan], begin: usize) -> Vec<(usize, usize)> {
    let mut out = Vec::new();
    let (mut first, mut open) = (begin, 0);
    for at in begin..=words.len() {
        let token = words.get(at).map(|t| &t.token);
        let ended = token.is_none_or(|t| open == 0 && ends_list(words, at, t));
        if ended || (open == 0 && token == Some(&Token::Comma)) {
            if first < at {
                out.push((first, at - 1));
            }
            first = at + 1;
        }
        if ended {
            break;
        }
        open += token.map_or(0, depth);
    }
    out
}

fn ends_list(words: &[TokenWithSpan], at: usize, token: &Token) -> bool {
    const ENDS: [Keyword; 13] = [
        Keyword::FROM,
        Keyword::WHERE,
        Keyword::GROUP,
        Keyword::HAVING,
        Keyword::WINDOW,
        Keyword::UNION,
        Keyword::INTERSECT,
        Keyword::EXCEPT,
        Keyword::ORDER,
        Keyword::LIMIT,
        Keyword::OFFSET,
        Keyword::FETCH,
        Keyword::FOR,
    ];
    let before = |back: usize| {
        at.checked_sub(back)
            .and_then(|i| words.get(i))
            .map(|t| &t.token)
    };
    let is_before = |back, keyword| before(back).is_some_and(|t| is(t, keyword));
    match token {
        Token::RParen | Token::SemiColon | Token::EOF => true,
        token if ENDS.iter().any(|end| is(token, *end)) => {
            // `IS DISTINCT FROM`, `WITHIN GROUP`, `t.order` and `AS limit` are of an item.
            let compared = is_before(1, Keyword::DISTINCT)
                && (is_before(2, Keyword::IS) || is_before(2, Keyword::NOT));
            let part = before(1) == Some(&Token::Period)
                || is_before(1, Keyword::AS)
                || is_before(1, Keyword::WITHIN);
            !compared && !part
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(sql: &str) -> Vec<Vec<String>> {
        let selects: Vec<u32> = sql
            .match_indices("select")
            .map(|(at, _)| at as u32)
            .collect();
        let cut = |s: &Spot| sql[s.start as usize..s.end as usize].to_owned();
        let spots = spots(sql, &selects).unwrap();
        spots.iter().map(|s| s.iter().map(cut).collect()).collect()
    }

    #[test]
    fn items_end_where_their_list_does() {
        assert_eq!(
            shown("select a, b + (select max(x), y from u) as c, d is distinct from e from t"),
            [
                vec![
                    "a",
                    "b + (select max(x), y from u) as c",
                    "d is distinct from e"
                ],
                vec!["max(x)", "y"]
            ]
        );
        assert_eq!(
            shown(
                "select distinct on (a, b) a, array[1,2] as limit, t.order, rank() within group (order by x) union select 1"
            ),
            [
                vec![
                    "a",
                    "array[1,2] as limit",
                    "t.order",
                    "rank() within group (order by x)"
                ],
                vec!["1"]
            ]
        );
        assert_eq!(shown("select from t"), [Vec::<String>::new()]);
        assert_eq!(
            shown("select all 'from', \"from\""),
            [vec!["'from'", "\"from\""]]
        );
        assert_eq!(spots("table t", &[0]), None);
    }
}
