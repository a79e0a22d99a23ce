//! ON CONFLICT's inference, where it names more than columns.
//!
//! Owns: taking `(expressions …) [WHERE predicate]` out of the token stream, as the grammar crate knows columns alone, and reading
//! it once its place has been found. In between it is a name that no client can write: it begins with a zero byte.
//! Source: PostgreSQL 15's `gram.y`, `opt_conf_expr`.

use super::errors::Source;
use super::{errors, parser, rewrite};
use sqlparser::ast::{Expr, Ident, IndexColumn};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};
use types::{Error, Result, SqlState};

const MARK: char = '\0';

/// What an INSERT means by its constraint.
pub(crate) struct Inference {
    pub parts: Vec<IndexColumn>,
    pub predicate: Option<Expr>,
}

/// Names in its place what the grammar crate would not read.
pub(super) fn tokens(tokens: Vec<TokenWithSpan>, source: Source) -> Result<Vec<TokenWithSpan>> {
    if tokens.iter().any(|t| is_marked(&t.token)) {
        return Err(Error::new(
            SqlState::SYNTAX_ERROR,
            "an identifier must not contain a zero byte",
        ));
    }
    let seen: Vec<usize> = (0..tokens.len())
        .filter(|i| !matches!(tokens[*i].token, Token::Whitespace(_)))
        .collect();
    let mut cuts = Vec::new();
    let on = |w: &[usize]| {
        is(&tokens[w[0]].token, Keyword::ON)
            && is(&tokens[w[1]].token, Keyword::CONFLICT)
            && tokens[w[2]].token == Token::LParen
    };
    for at in (0..seen.len().saturating_sub(2)).filter(|at| on(&seen[*at..*at + 3])) {
        if let Some((from, to)) = inference(&tokens, &seen[at + 2..]) {
            cuts.push((from, to));
        }
    }
    if cuts.is_empty() {
        return Ok(tokens);
    }
    Ok(cut(tokens, &cuts, source))
}

/// From the parenthesis to before DO; `None` where there are just columns.
fn inference(tokens: &[TokenWithSpan], seen: &[usize]) -> Option<(usize, usize)> {
    let mut depth = 0usize;
    let (mut close, mut plain) = (None, true);
    for (n, i) in seen.iter().enumerate() {
        match &tokens[*i].token {
            Token::LParen => depth += 1,
            Token::RParen => {
                depth = depth.checked_sub(1)?;
                if depth == 0 && close.is_none() {
                    close = Some(n);
                }
            }
            Token::Word(_) if depth == 0 && is(&tokens[*i].token, Keyword::DO) => {
                let close = close?;
                plain &= close + 1 == n;
                let (from, to) = (seen[0], seen[n - 1]);
                return (!plain).then_some((from, to));
            }
            Token::Word(_) | Token::Comma if depth == 1 && close.is_none() => {
                // Two words in a row are more than a column.
                let before = &tokens[seen[n - 1]].token;
                let word = |t: &Token| matches!(t, Token::Word(_));
                plain &= !(word(before) && word(&tokens[*i].token));
            }
            _ if close.is_none() => plain = false,
            _ => {}
        }
    }
    None
}

fn cut(tokens: Vec<TokenWithSpan>, cuts: &[(usize, usize)], source: Source) -> Vec<TokenWithSpan> {
    let mut out = Vec::with_capacity(tokens.len());
    let mut cuts = cuts.iter().peekable();
    let ends: Vec<_> = tokens.iter().map(|t| t.span.end).collect();
    for (i, token) in tokens.into_iter().enumerate() {
        let Some((from, to)) = cuts.peek() else {
            out.push(token);
            continue;
        };
        if i == *from {
            let text = source.text(token.span.start, ends[*to]);
            let word = Token::Word(Word {
                value: format!("{MARK}{text}"),
                quote_style: Some('"'),
                keyword: Keyword::NoKeyword,
            });
            let parts = [Token::LParen, word, Token::RParen];
            out.extend(parts.map(|t| TokenWithSpan::new(t, token.span)));
        } else if i < *from {
            out.push(token);
        }
        if i == *to {
            cuts.next();
        }
    }
    out
}

/// What was taken out; `None`: it is a column.
pub(crate) fn read(columns: &[Ident]) -> Result<Option<Inference>> {
    let [only] = columns else {
        return Ok(None);
    };
    let Some(text) = only.value.strip_prefix(MARK) else {
        return Ok(None);
    };
    let lines = super::Lines::of(text);
    let source = Source {
        sql: text,
        lines: &lines,
    };
    let tokens = rewrite::tokens(errors::tokenize(text)?, source)?;
    let mut parser = parser(tokens);
    let mut run = || {
        parser.expect_token(&Token::LParen)?;
        let parts = parser.parse_comma_separated(|p| p.parse_create_index_expr())?;
        parser.expect_token(&Token::RParen)?;
        let predicate = match parser.parse_keyword(Keyword::WHERE) {
            true => Some(parser.parse_expr()?),
            false => None,
        };
        parser.expect_token(&Token::EOF)?;
        Ok(Inference { parts, predicate })
    };
    match run() {
        Ok(inference) => Ok(Some(inference)),
        Err(e) => Err(source.syntax(e, &parser.into_tokens())),
    }
}

fn is(token: &Token, keyword: Keyword) -> bool {
    matches!(token, Token::Word(w) if w.quote_style.is_none() && w.keyword == keyword)
}

fn is_marked(token: &Token) -> bool {
    matches!(token, Token::Word(w) if w.value.starts_with(MARK))
}
