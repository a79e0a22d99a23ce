//! PostgreSQL's spellings that the grammar crate does not know, respelled on the token stream.
//!
//! Owns: operators followed by a sign (`a>-1`), `x ISNULL`, `f(t.*)`, `FROM ONLY t`, `TABLE t`, `mood 'ok'` of a user's type, `BETWEEN SYMMETRIC`, `TRIM(BOTH FROM s)`, `FOR UPDATE OF a, b`, strings continued on the next
//! line, and `SELECT 1 ON CONFLICT`, whose ON it would take for a name. Never: moves a token, so positions in errors stay those of the text. Source: PostgreSQL 15's `gram.y`, 4.1.2.1.

use super::errors::Source;
use super::frame;
use super::respell::Respelling;
use super::star::Calls;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Whitespace, Word};
use types::Result;

/// The same statement in words the grammar crate reads as PostgreSQL does.
pub(super) fn tokens(tokens: Vec<TokenWithSpan>, source: Source) -> Result<Vec<TokenWithSpan>> {
    let mut out: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len() + 4);
    let copy = matches!(tokens.first(), Some(t) if is(&t.token, Keyword::COPY));
    let function = makes_function(&tokens);
    let queries = matches!(tokens.first(), Some(t) if begins_query(&t.token));
    let mut respelling = Respelling::of(tokens.first());
    // Index in `out` of the last token that is not blank.
    let mut last: Option<usize> = None;
    let mut calls = Calls::default();
    // In `out`: where the tables but the last of one locking clause end.
    let mut locked: Vec<usize> = Vec::new();
    for mut token in tokens {
        if matches!(token.token, Token::Whitespace(_)) {
            out.push(token);
            continue;
        }
        no_operator(&mut token.token);
        weaker_lock(&token.token, &mut out);
        let is_query = respelling.respell(&mut token, &mut out, last);
        frame::respell(&mut token.token, &mut out);
        calls.respell(&mut token.token, &mut out);
        let end = out.len();
        if token.token == Token::Comma && locks_another(&mut out, token.span) {
            locked.push(end);
            last = Some(out.len() - 1);
            continue;
        }
        if !locked.is_empty() {
            locks_alike(&token, &mut out, &mut locked);
        }
        if is(&token.token, Keyword::VALUES) && of_defaults(&mut out, token.span) {
            last = Some(out.len() - 1);
            continue;
        }
        names_nothing(&token, &mut out, &mut last);
        if respelling.arguments(&token, &mut out, &mut last, queries) {
            continue;
        }
        if is_string(&token.token)
            && !copy
            && let Some(at) = joined(&mut out, last, &token, (function, queries), source)?
        {
            last = Some(at);
            continue;
        }
        let before = last.and_then(|i| out.get(i)).map(|t| &t.token);
        if let Some(parts) = with_signs(&token.token) {
            let with_span = |t| TokenWithSpan::new(t, token.span);
            out.extend(parts.into_iter().map(with_span));
            last = Some(out.len() - 1);
            continue;
        }
        if token.token == Token::DoubleExclamationMark {
            return Err(source.at_token(Some(&token)));
        }
        let begins = last.is_none() || is_query || before.is_some_and(query_follows);
        if matches!(before, Some(b) if names_follow(b)) && is(&token.token, Keyword::ONLY) {
            continue;
        }
        if last.is_some() && is_word(&token.token, "isnull") {
            out.extend(is_null(token.span));
            last = Some(out.len() - 1);
            continue;
        }
        word(&mut token, &mut out, last, begins);
        last = Some(out.len());
        out.push(token);
    }
    Ok(out)
}

/// TABLE as a query, SYMMETRIC, and FROM behind what is trimmed. `begins`: a query may begin here.
fn word(
    token: &mut TokenWithSpan,
    out: &mut Vec<TokenWithSpan>,
    last: Option<usize>,
    begins: bool,
) {
    let before = last.and_then(|i| out.get(i)).map(|t| &t.token);
    let span = token.span;
    if is(&token.token, Keyword::TABLE) && begins {
        out.extend(select_all(span));
        *token = keyword(Keyword::FROM, "FROM", span);
    } else if is_word(&token.token, "symmetric")
        && matches!(before, Some(b) if is(b, Keyword::BETWEEN))
    {
        // No operator of PostgreSQL 15 is spelled so; the binder takes it for the word it replaces.
        token.token = Token::DoubleExclamationMark;
    } else if is(&token.token, Keyword::FROM) && matches!(before, Some(b) if trims(b)) {
        out.push(TokenWithSpan::new(
            Token::SingleQuotedString(" ".into()),
            span,
        ));
        out.push(blank(span));
    }
}

/// An operator that PostgreSQL has not.
fn no_operator(token: &mut Token) {
    if *token == Token::DoubleEq {
        *token = Token::CustomBinaryOperator("==".into());
    }
}

/// TABLE behind it is a query.
fn query_follows(before: &Token) -> bool {
    *before == Token::LParen
        || [Keyword::UNION, Keyword::INTERSECT, Keyword::EXCEPT]
            .iter()
            .any(|w| is(before, *w))
}

/// CREATE [OR REPLACE] FUNCTION, or PROCEDURE.
fn makes_function(tokens: &[TokenWithSpan]) -> bool {
    let words = tokens.iter().map(|t| &t.token);
    let mut words = words.filter(|t| !matches!(t, Token::Whitespace(_)));
    words.next().is_some_and(|t| is(t, Keyword::CREATE))
        && words
            .take(3)
            .any(|t| is(t, Keyword::FUNCTION) || is(t, Keyword::PROCEDURE))
}

fn is_null(span: sqlparser::tokenizer::Span) -> [TokenWithSpan; 3] {
    let (is, null) = (Keyword::IS, Keyword::NULL);
    [
        keyword(is, "IS", span),
        blank(span),
        keyword(null, "NULL", span),
    ]
}

fn select_all(span: sqlparser::tokenizer::Span) -> [TokenWithSpan; 4] {
    [
        keyword(Keyword::SELECT, "SELECT", span),
        blank(span),
        TokenWithSpan::new(Token::Mul, span),
        blank(span),
    ]
}

/// ON CONFLICT behind a SELECT whose last item ON would name.
fn names_nothing(token: &TokenWithSpan, out: &mut Vec<TokenWithSpan>, last: &mut Option<usize>) {
    if is(&token.token, Keyword::CONFLICT)
        && let Some(on) = last.filter(|on| is(&out[*on].token, Keyword::ON))
        && is_bare_select(&out[..on])
    {
        let added = where_true(token.span);
        *last = Some(on + added.len());
        out.splice(on..on, added);
    }
}

/// What the tokens end with is a SELECT without FROM.
fn is_bare_select(tokens: &[TokenWithSpan]) -> bool {
    let mut depth = 0;
    for token in tokens.iter().rev().map(|t| &t.token) {
        match token {
            Token::RParen | Token::RBracket => depth += 1,
            Token::LParen | Token::LBracket => depth -= 1,
            Token::Word(w) if depth == 0 => match w.keyword {
                Keyword::SELECT => return true,
                Keyword::FROM
                | Keyword::WHERE
                | Keyword::GROUP
                | Keyword::HAVING
                | Keyword::WINDOW
                | Keyword::ORDER
                | Keyword::LIMIT
                | Keyword::OFFSET
                | Keyword::FETCH
                | Keyword::FOR
                | Keyword::VALUES
                | Keyword::INTO => return false,
                _ => {}
            },
            _ => {}
        }
    }
    false
}

fn where_true(span: sqlparser::tokenizer::Span) -> [TokenWithSpan; 4] {
    [
        keyword(Keyword::WHERE, "WHERE", span),
        blank(span),
        keyword(Keyword::TRUE, "TRUE", span),
        blank(span),
    ]
}

/// `INSERT DEFAULT VALUES` of MERGE: what VALUES does not name gets its default.
fn of_defaults(out: &mut Vec<TokenWithSpan>, span: sqlparser::tokenizer::Span) -> bool {
    let seen = |t: &(usize, &TokenWithSpan)| !matches!(t.1.token, Token::Whitespace(_));
    let mut before = out.iter().enumerate().rev().filter(seen);
    let (Some((at, default)), Some((_, insert))) = (before.next(), before.next()) else {
        return false;
    };
    if !is(&default.token, Keyword::DEFAULT) || !is(&insert.token, Keyword::INSERT) {
        return false;
    }
    out.truncate(at);
    out.push(keyword(Keyword::VALUES, "VALUES", span));
    out.push(TokenWithSpan::new(Token::LParen, span));
    out.push(keyword(Keyword::DEFAULT, "DEFAULT", span));
    out.push(TokenWithSpan::new(Token::RParen, span));
    true
}

/// FOR NO KEY UPDATE and FOR KEY SHARE: the same lock as without.
fn weaker_lock(token: &Token, out: &mut [TokenWithSpan]) {
    if !is(token, Keyword::UPDATE) && !is(token, Keyword::SHARE) {
        return;
    }
    let seen = |t: &&mut TokenWithSpan| !matches!(t.token, Token::Whitespace(_));
    let mut before = out.iter_mut().rev().filter(seen);
    let (Some(key), Some(next)) = (before.next(), before.next()) else {
        return;
    };
    let gone = || Token::Whitespace(Whitespace::Space);
    if !is(&key.token, Keyword::KEY) {
        return;
    }
    if is(&next.token, Keyword::FOR) {
        key.token = gone();
    } else if is(&next.token, Keyword::NO)
        && before.next().is_some_and(|t| is(&t.token, Keyword::FOR))
    {
        key.token = gone();
        next.token = gone();
    }
}

/// The comma of `FOR UPDATE OF a, b` becomes `FOR UPDATE OF`.
fn locks_another(out: &mut Vec<TokenWithSpan>, span: sqlparser::tokenizer::Span) -> bool {
    let seen = |t: &&TokenWithSpan| !matches!(t.token, Token::Whitespace(_));
    let mut before = out.iter().rev().filter(seen);
    if !matches!(before.next().map(|t| &t.token), Some(Token::Word(_))) {
        return false;
    }
    let (Some(of), Some(lock), Some(locking)) = (before.next(), before.next(), before.next())
    else {
        return false;
    };
    let locks = is(&lock.token, Keyword::UPDATE) || is(&lock.token, Keyword::SHARE);
    if !is(&of.token, Keyword::OF) || !locks || !is(&locking.token, Keyword::FOR) {
        return false;
    }
    let mut words = vec![locking.token.clone(), lock.token.clone(), of.token.clone()];
    words = words
        .into_iter()
        .flat_map(|word| [Token::Whitespace(Whitespace::Space), word])
        .collect();
    out.extend(words.into_iter().map(|word| TokenWithSpan::new(word, span)));
    true
}

/// NOWAIT and SKIP LOCKED behind a list of tables are about each of them.
fn locks_alike(token: &TokenWithSpan, out: &mut Vec<TokenWithSpan>, locked: &mut Vec<usize>) {
    let span = token.span;
    let words = match &token.token {
        t if is(t, Keyword::NOWAIT) => vec![keyword(Keyword::NOWAIT, "NOWAIT", span)],
        t if is(t, Keyword::LOCKED) => vec![
            keyword(Keyword::SKIP, "SKIP", span),
            blank(span),
            keyword(Keyword::LOCKED, "LOCKED", span),
        ],
        t if is(t, Keyword::FOR) => return locked.clear(),
        _ => return,
    };
    for at in std::mem::take(locked).into_iter().rev() {
        let words = std::iter::once(blank(span)).chain(words.iter().cloned());
        out.splice(at..at, words);
    }
}

/// An operator and the signs that follow it at once, if the tokenizer took them for one: only one with these characters in
/// it may end in a sign.
fn with_signs(token: &Token) -> Option<Vec<Token>> {
    let Token::CustomBinaryOperator(text) = token else {
        return None;
    };
    let head = text.trim_end_matches(['+', '-']);
    let special = ['~', '!', '@', '#', '%', '^', '&', '|', '`', '?'];
    if head.is_empty() || head.len() == text.len() || text.contains(special) {
        return None;
    }
    let mut parts = operator(head);
    parts.extend(text[head.len()..].chars().map(|c| match c {
        '-' => Token::Minus,
        _ => Token::Plus,
    }));
    Some(parts)
}

fn operator(text: &str) -> Vec<Token> {
    let dialect = sqlparser::dialect::PostgreSqlDialect {};
    sqlparser::tokenizer::Tokenizer::new(&dialect, text)
        .tokenize()
        .unwrap_or_else(|_| vec![Token::CustomBinaryOperator(text.to_owned())])
}

/// A string that belongs to what is before it: where both are then.
fn joined(
    out: &mut Vec<TokenWithSpan>,
    last: Option<usize>,
    token: &TokenWithSpan,
    (function, queries): (bool, bool),
    source: Source,
) -> Result<Option<usize>> {
    let before = last.and_then(|i| out.get(i)).map(|t| &t.token);
    if matches!(before, Some(b) if is_string(b)) {
        continued(out, last, token.clone(), source)?;
        return Ok(last);
    }
    // A function's body is a string.
    if !function && matches!(before, Some(b) if is(b, Keyword::AS)) {
        return Err(source.at_token(Some(token)));
    }
    let moved = of_interval(out, last, token) || (queries && of_user_type(out, last, token));
    Ok(moved.then(|| out.len() - 1))
}

/// The grammar crate reads all of it.
fn begins_query(token: &Token) -> bool {
    let words = [
        Keyword::SELECT,
        Keyword::INSERT,
        Keyword::UPDATE,
        Keyword::DELETE,
        Keyword::WITH,
        Keyword::VALUES,
    ];
    words.iter().any(|w| is(token, *w))
}

/// `interval(3) 'text'` becomes `'text'::interval(3)`.
fn of_interval(out: &mut Vec<TokenWithSpan>, last: Option<usize>, text: &TokenWithSpan) -> bool {
    let Some(first) = last.and_then(|at| at.checked_sub(3)) else {
        return false;
    };
    let is_type = match out.get(first..first + 4) {
        Some([interval, open, number, close]) => {
            is(&interval.token, Keyword::INTERVAL)
                && open.token == Token::LParen
                && matches!(number.token, Token::Number(..))
                && close.token == Token::RParen
        }
        _ => false,
    };
    if is_type {
        let name = out.drain(first..).collect::<Vec<_>>();
        out.push(text.clone());
        out.push(TokenWithSpan::new(Token::DoubleColon, text.span));
        out.extend(name.into_iter().take(4));
    }
    is_type
}

/// `[schema.]type 'text'` becomes `'text'::[schema.]type`, where the type is no word of the grammar's.
fn of_user_type(out: &mut Vec<TokenWithSpan>, last: Option<usize>, text: &TokenWithSpan) -> bool {
    let Some(at) = last else { return false };
    let is_name = |t: Option<&TokenWithSpan>| match t.map(|t| &t.token) {
        Some(Token::Word(w)) if w.quote_style.is_some() => true,
        Some(Token::Word(w)) => {
            w.keyword == Keyword::NoKeyword && !w.value.eq_ignore_ascii_case("uescape")
        }
        _ => false,
    };
    if !is_name(out.get(at)) {
        return false;
    }
    // Any word may be a schema's name.
    let schema = at.checked_sub(2).and_then(|schema| out.get(schema));
    let dotted = matches!(schema.map(|t| &t.token), Some(Token::Word(_)))
        && matches!(out[at - 1].token, Token::Period);
    let first = if dotted { at - 2 } else { at };
    if first > 0 && matches!(out[first - 1].token, Token::Period | Token::DoubleColon) {
        return false;
    }
    let name = out.drain(first..=at).collect::<Vec<_>>();
    out.truncate(first);
    out.push(text.clone());
    out.push(TokenWithSpan::new(Token::DoubleColon, text.span));
    out.extend(name);
    true
}

/// A string after a string: one string if a line break is between them, else a mistake.
fn continued(
    out: &mut [TokenWithSpan],
    last: Option<usize>,
    token: TokenWithSpan,
    source: Source,
) -> Result<()> {
    let Some(last) = last else {
        return Err(source.at_token(Some(&token)));
    };
    let between = out.get(last + 1..).unwrap_or(&[]);
    let broken = between.iter().any(|t| match &t.token {
        Token::Whitespace(Whitespace::Newline) => true,
        Token::Whitespace(Whitespace::SingleLineComment { comment, .. }) => comment.ends_with('\n'),
        _ => false,
    });
    let (Some(head), Token::SingleQuotedString(tail)) = (out.get_mut(last), &token.token) else {
        return Err(source.at_token(Some(&token)));
    };
    if !broken {
        return Err(source.at_token(Some(&token)));
    }
    match &mut head.token {
        Token::SingleQuotedString(s) | Token::EscapedStringLiteral(s) => s.push_str(tail),
        _ => return Err(source.at_token(Some(&token))),
    }
    Ok(())
}

/// Of words that are none of the grammar crate's.
pub(super) fn is_word(token: &Token, word: &str) -> bool {
    matches!(token, Token::Word(w) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(word))
}

pub(super) fn is(token: &Token, keyword: Keyword) -> bool {
    matches!(token, Token::Word(w) if w.quote_style.is_none() && w.keyword == keyword)
}

fn is_string(token: &Token) -> bool {
    matches!(
        token,
        Token::SingleQuotedString(_) | Token::EscapedStringLiteral(_)
    )
}

/// A table's name can follow, so ONLY can.
fn names_follow(token: &Token) -> bool {
    is(token, Keyword::FROM) || is(token, Keyword::JOIN) || is(token, Keyword::UPDATE)
}

fn trims(token: &Token) -> bool {
    is(token, Keyword::BOTH) || is(token, Keyword::LEADING) || is(token, Keyword::TRAILING)
}

pub(super) fn keyword(
    keyword: Keyword,
    text: &str,
    span: sqlparser::tokenizer::Span,
) -> TokenWithSpan {
    let word = Word {
        value: text.into(),
        quote_style: None,
        keyword,
    };
    TokenWithSpan::new(Token::Word(word), span)
}

pub(super) fn blank(span: sqlparser::tokenizer::Span) -> TokenWithSpan {
    TokenWithSpan::new(Token::Whitespace(Whitespace::Space), span)
}
