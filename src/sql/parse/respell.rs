//! Spellings that mean something else by what is around them.
//!
//! Owns: `TABLE t` as the query of WITH and INSERT, `LIKE ANY (…)`, `substring(s SIMILAR p ESCAPE e)`, `ALTER COLUMN c TYPE t COLLATE "C"`,
//! `THEN interval END`, `FETCH FIRST (n) ROWS ONLY`, `NATIONAL CHARACTER`, `TABLESPACE pg_default`, `f(…) AS (a int)`. Asked by: `rewrite`, token by token.
//! Never: looks ahead. Bounds: a place for each open parenthesis, which `caps` has counted.
//! Source: PostgreSQL 15's `gram.y`.

use super::rewrite::{is, is_word, keyword};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Whitespace};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Anything,
    Substring,
    /// SIMILAR has come.
    Pattern,
    /// How many rows FETCH FIRST wants.
    Rows,
}

pub(super) struct Respelling {
    /// The statement begins with WITH or INSERT, and its query has not come.
    query_comes: bool,
    alters: bool,
    /// The statement begins with CREATE, ALTER, DROP or COMMENT.
    defines: bool,
    /// In ALTER, behind TYPE: the new type of a column.
    typed: bool,
    /// FETCH FIRST (n) has come, and is LIMIT (n) already.
    fetched: bool,
    open: Vec<Inside>,
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
            defines: begins(Keyword::CREATE)
                || begins(Keyword::ALTER)
                || begins(Keyword::DROP)
                || begins(Keyword::COMMENT),
            typed: false,
            fetched: false,
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

    /// VARIADIC becomes an argument by a name that no function has, which the binder knows: whether it was there. In `queries` the rows
    /// of functions get names.
    pub fn arguments(
        &self,
        token: &TokenWithSpan,
        out: &mut Vec<TokenWithSpan>,
        last: &mut Option<usize>,
        queries: bool,
    ) -> bool {
        if queries {
            unnamed_rows(token, out, last);
        }
        let before = last.and_then(|i| out.get(i)).map(|t| &t.token);
        let follows = matches!(before, Some(Token::LParen | Token::Comma));
        if self.defines || !follows || !is_word(&token.token, "variadic") {
            return false;
        }
        *last = Some(out.len() + 1);
        out.push(token.clone());
        out.push(TokenWithSpan::new(Token::RArrow, token.span));
        true
    }

    /// NATIONAL and `TABLESPACE pg_default` say what is so anyway.
    fn usual(&self, token: &mut TokenWithSpan, out: &mut [TokenWithSpan], before: Option<usize>) {
        let Token::Word(w) = &token.token else {
            return;
        };
        if self.defines && w.value.eq_ignore_ascii_case("pg_default") {
            if default_tablespace(out) {
                token.token = blank();
            }
        } else if matches!(w.keyword, Keyword::CHARACTER | Keyword::CHAR)
            && let Some(t) = before.and_then(|i| out.get_mut(i))
            && is(&t.token, Keyword::NATIONAL)
        {
            t.token = blank();
        }
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
        self.usual(token, out, before);
        match &token.token {
            Token::LParen => {
                let called = before.and_then(|i| out.get(i));
                let substring = called.is_some_and(|t| is(&t.token, Keyword::SUBSTRING));
                self.open.push(match substring {
                    true => Inside::Substring,
                    false if fetch_is_limit(out) => Inside::Rows,
                    false => Inside::Anything,
                });
            }
            Token::RParen => {
                let rows = self.open.pop() == Some(Inside::Rows);
                match rows && fetch_one_token(out) {
                    true => token.token = blank(),
                    false => self.fetched |= rows,
                }
            }
            Token::Word(w)
                if self.fetched
                    && matches!(w.keyword, Keyword::ROW | Keyword::ROWS | Keyword::ONLY) =>
            {
                self.fetched = w.keyword != Keyword::ONLY;
                token.token = blank();
            }
            Token::Comma if self.open.is_empty() => self.typed = false,
            Token::Word(w)
                if self.typed
                    && self.open.is_empty()
                    && is_collation(&w.value)
                    && drop_collate(out) =>
            {
                token.token = blank();
            }
            Token::Eq
            | Token::Neq
            | Token::Lt
            | Token::LtEq
            | Token::Gt
            | Token::GtEq
            | Token::Plus
            | Token::Minus => column_interval(out, before),
            Token::Word(w) if w.quote_style.is_none() => match (w.keyword, self.open.last_mut()) {
                (Keyword::SIMILAR, Some(inside @ Inside::Substring)) => {
                    *inside = Inside::Pattern;
                    *token = keyword(Keyword::FROM, "FROM", span);
                }
                (Keyword::ESCAPE, Some(Inside::Pattern)) => {
                    *token = keyword(Keyword::FOR, "FOR", span);
                }
                (Keyword::ALL | Keyword::ANY | Keyword::SOME, _) => like(out, before),
                (word, _) if ends_value(word) => column_interval(out, before),
                (Keyword::TYPE, None) => self.typed = self.alters,
                (Keyword::USING, None) => self.typed = false,
                _ => {}
            },
            _ => {}
        }
        query
    }
}

/// `THEN interval END`, `WHERE interval > 1`: no literal, but a column of that name.
fn column_interval(out: &mut [TokenWithSpan], before: Option<usize>) {
    let Some((last, rest)) = before.and_then(|at| out.get_mut(..=at)?.split_last_mut()) else {
        return;
    };
    let seen = |t: &&TokenWithSpan| !matches!(t.token, Token::Whitespace(_));
    let begun = rest.iter().rev().find(seen).map(|t| &t.token);
    if is(&last.token, Keyword::INTERVAL)
        && begun.is_some_and(begins_value)
        && let Token::Word(w) = &mut last.token
    {
        w.value = w.value.to_lowercase();
        w.quote_style = Some('"');
        w.keyword = Keyword::NoKeyword;
    }
}

/// An expression, and no type or literal, has ended.
fn ends_value(word: Keyword) -> bool {
    use Keyword as K;
    matches!(
        word,
        K::WHEN | K::THEN | K::ELSE | K::END | K::FROM | K::WHERE | K::GROUP | K::ORDER | K::AS
    ) || matches!(
        word,
        K::IS | K::AND | K::OR | K::NOT | K::IN | K::BETWEEN | K::ASC | K::DESC | K::LIMIT
    )
}

/// An expression follows, and no type.
pub(super) fn begins_value(token: &Token) -> bool {
    let words = [
        Keyword::CASE,
        Keyword::WHEN,
        Keyword::THEN,
        Keyword::ELSE,
        Keyword::WHERE,
        Keyword::HAVING,
        Keyword::AND,
        Keyword::OR,
        Keyword::NOT,
        Keyword::ON,
        Keyword::SET,
        Keyword::SELECT,
        Keyword::BY,
        Keyword::BETWEEN,
    ];
    let operators = [
        Token::Comma,
        Token::LParen,
        Token::Eq,
        Token::Neq,
        Token::Lt,
        Token::LtEq,
        Token::Gt,
        Token::GtEq,
        Token::Plus,
        Token::Minus,
    ];
    operators.contains(token) || words.iter().any(|w| is(token, *w))
}

/// The tokens end with FETCH FIRST, which becomes LIMIT.
fn fetch_is_limit(out: &mut [TokenWithSpan]) -> bool {
    let seen = |t: &&mut TokenWithSpan| !matches!(t.token, Token::Whitespace(_));
    let mut last = out.iter_mut().rev().filter(seen);
    let (Some(first), Some(fetch)) = (last.next(), last.next()) else {
        return false;
    };
    let is_first = is(&first.token, Keyword::FIRST) || is(&first.token, Keyword::NEXT);
    if !is_first || !is(&fetch.token, Keyword::FETCH) {
        return false;
    }
    first.token = blank();
    *fetch = keyword(Keyword::LIMIT, "LIMIT", fetch.span);
    true
}

/// What FETCH FIRST (…) wants is one token: the parenthesis goes, and it is FETCH FIRST again, which may say WITH TIES.
fn fetch_one_token(out: &mut [TokenWithSpan]) -> bool {
    let seen = |t: &&mut TokenWithSpan| !matches!(t.token, Token::Whitespace(_));
    let mut last = out.iter_mut().rev().filter(seen);
    let (Some(n), Some(open)) = (last.next(), last.next()) else {
        return false;
    };
    let one = matches!(n.token, Token::Number(..) | Token::Placeholder(_));
    if !one || open.token != Token::LParen {
        return false;
    }
    let Some(limit) = last.next() else {
        return false;
    };
    open.token = keyword(Keyword::FIRST, "FIRST", open.span).token;
    *limit = keyword(Keyword::FETCH, "FETCH", limit.span);
    true
}

/// `[USING INDEX] TABLESPACE` goes from the end of the tokens; whether it was there.
fn default_tablespace(out: &mut [TokenWithSpan]) -> bool {
    let seen = |t: &&mut TokenWithSpan| !matches!(t.token, Token::Whitespace(_));
    let mut last = out.iter_mut().rev().filter(seen);
    let Some(word) = last.next().filter(|t| is(&t.token, Keyword::TABLESPACE)) else {
        return false;
    };
    let (index, using) = (last.next(), last.next());
    if index.as_ref().is_some_and(|t| is(&t.token, Keyword::SET)) {
        return false;
    }
    word.token = blank();
    if let (Some(index), Some(using)) = (index, using)
        && is(&index.token, Keyword::INDEX)
        && is(&using.token, Keyword::USING)
    {
        index.token = blank();
        using.token = blank();
    }
    true
}

/// `f(…) AS (a int)`: columns without a name for their rows, which is then the function's.
fn unnamed_rows(token: &TokenWithSpan, out: &mut Vec<TokenWithSpan>, last: &mut Option<usize>) {
    use Keyword as K;
    let query = [
        K::SELECT,
        K::WITH,
        K::VALUES,
        K::TABLE,
        K::INSERT,
        K::UPDATE,
        K::DELETE,
        K::MERGE,
    ];
    if !matches!(token.token, Token::Word(_)) || query.iter().any(|w| is(&token.token, *w)) {
        return;
    }
    let seen = |(_, t): &(usize, &TokenWithSpan)| !matches!(t.token, Token::Whitespace(_));
    let mut before = out.iter().enumerate().rev().filter(seen);
    let (Some((open, t)), Some((_, name)), Some((_, close))) =
        (before.next(), before.next(), before.next())
    else {
        return;
    };
    if t.token != Token::LParen || !is(&name.token, K::AS) || close.token != Token::RParen {
        return;
    }
    let mut depth = 1usize;
    let called = before.find(|(_, t)| {
        match t.token {
            Token::RParen => depth += 1,
            Token::LParen if depth > 0 => depth -= 1,
            Token::LParen => {}
            _ => return depth == 0,
        }
        false
    });
    if let Some((_, function)) = called
        && let Token::Word(w) = &function.token
    {
        let mut alias = w.clone();
        alias.keyword = K::NoKeyword;
        if alias.quote_style.is_none() {
            alias.value = alias.value.to_lowercase();
            alias.quote_style = Some('"');
        }
        let alias = TokenWithSpan::new(Token::Word(alias), function.span);
        out.insert(open, alias);
        *last = last.map(|at| at + 1);
    }
}

/// COLLATE, and the schema behind it, go from the end of the tokens; whether they were there.
fn drop_collate(out: &mut [TokenWithSpan]) -> bool {
    let seen = |t: &&mut TokenWithSpan| !matches!(t.token, Token::Whitespace(_));
    let last = out.iter_mut().rev().filter(seen).take(3);
    let mut gone = Vec::new();
    for t in last {
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
