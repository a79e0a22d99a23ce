//! Subscripts of what is assigned to: `SET a[2] = 5`, `INSERT INTO t (a[1:2])`, which the grammar crate takes no brackets in.
//!
//! Owns: taking them out of the token stream and reading them. In their place is a field whose name no client can write: a zero
//! byte, and the number of the subscripts in `Parsed::subscripts`. Asked by: `read`, behind `infer`, which has refused such names.
//! Never: moves a token. Bounds: `caps` has counted the tokens. Source: PostgreSQL 15's `gram.y`, `set_target`, `insert_column_item`.

use super::errors::Source;
use super::{parser, rewrite::is};
use sqlparser::ast::{AccessExpr, Expr, Ident};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};
use types::Result;

const MARK: &str = "\0[";

/// The brackets behind one name.
pub(crate) type Subscripts = Vec<AccessExpr>;

/// Names in their places, and the subscripts by these names' numbers.
pub(super) fn tokens(
    tokens: Vec<TokenWithSpan>,
    source: Source,
) -> Result<(Vec<TokenWithSpan>, Vec<Subscripts>)> {
    let mut found = Vec::new();
    if tokens.iter().any(|t| t.token == Token::LBracket) {
        let seen = (0..tokens.len()).filter(|i| !matches!(tokens[*i].token, Token::Whitespace(_)));
        let seen: Vec<usize> = seen.collect();
        let scan = Scan {
            tokens: &tokens,
            seen: &seen,
        };
        scan.statement(&mut found);
    }
    if found.is_empty() {
        return Ok((tokens, Vec::new()));
    }
    let subscripts = found.iter().map(|(from, to)| {
        let inside = tokens.get(*from..=*to).unwrap_or(&[]);
        read(inside, source)
    });
    let subscripts = subscripts.collect::<Result<Vec<_>>>()?;
    Ok((cut(tokens, &found), subscripts))
}

/// The number of the subscripts that stand in the place of this part of a name.
pub(crate) fn number(part: &Ident) -> Option<usize> {
    part.value.strip_prefix(MARK)?.parse().ok()
}

/// What is to be read, by numbers of tokens that are not blank.
struct Scan<'a> {
    tokens: &'a [TokenWithSpan],
    seen: &'a [usize],
}

/// From a bracket to the last one behind the same name, in the tokens.
type Found = Vec<(usize, usize)>;

impl<'a> Scan<'a> {
    fn token(&self, at: usize) -> Option<&'a Token> {
        let at = self.seen.get(at)?;
        self.tokens.get(*at).map(|t| &t.token)
    }

    fn is(&self, at: usize, word: Keyword) -> bool {
        self.token(at).is_some_and(|t| is(t, word))
    }

    fn statement(&self, found: &mut Found) {
        // Depths at which a list of assignments goes on behind a comma.
        let mut lists: Vec<usize> = Vec::new();
        let (mut depth, mut at) = (0usize, 0);
        while let Some(token) = self.token(at) {
            let mut next = at + 1;
            match token {
                Token::LParen | Token::LBracket => depth += 1,
                Token::RParen | Token::RBracket => {
                    depth = depth.saturating_sub(1);
                    lists.retain(|d| *d <= depth);
                }
                Token::Comma if lists.last() == Some(&depth) => {
                    next = self.assigned(next, found).unwrap_or(next);
                }
                Token::Word(w) if w.quote_style.is_none() => match w.keyword {
                    Keyword::SET => {
                        lists.push(depth);
                        next = self.assigned(next, found).unwrap_or(next);
                    }
                    Keyword::WHERE | Keyword::RETURNING => lists.retain(|d| *d < depth),
                    Keyword::INSERT => next = self.columns(next, found).unwrap_or(next),
                    _ => {}
                },
                _ => {}
            }
            at = next;
        }
    }

    /// `a[1] =`, `(a[1], b) =`: where the equals sign is.
    fn assigned(&self, from: usize, found: &mut Found) -> Option<usize> {
        let mut inside = Vec::new();
        let at = match self.token(from)? {
            Token::LParen => self.list(from, &mut inside)?,
            _ => self.name(from, &mut inside)?,
        };
        if self.token(at)? != &Token::Eq {
            return None;
        }
        found.extend(inside);
        Some(at)
    }

    /// Behind INSERT: `INTO t AS x (a[1], b)`, or without INTO in MERGE. Where it ends.
    fn columns(&self, from: usize, found: &mut Found) -> Option<usize> {
        let mut at = from;
        if self.is(at, Keyword::INTO) {
            at = self.name(at + 1, &mut Vec::new())?;
            if self.is(at, Keyword::AS) {
                at += 1;
            }
            if matches!(self.token(at)?, Token::Word(_)) {
                at += 1;
            }
        }
        let mut inside = Vec::new();
        let end = self.list(at, &mut inside)?;
        found.extend(inside);
        Some(end)
    }

    /// Names in parentheses: where they end.
    fn list(&self, from: usize, found: &mut Found) -> Option<usize> {
        if self.token(from)? != &Token::LParen {
            return None;
        }
        let mut at = from + 1;
        loop {
            at = self.name(at, found)?;
            match self.token(at)? {
                Token::Comma => at += 1,
                Token::RParen => return Some(at + 1),
                _ => return None,
            }
        }
    }

    /// A name with fields and subscripts: where it ends.
    fn name(&self, from: usize, found: &mut Found) -> Option<usize> {
        let Token::Word(_) = self.token(from)? else {
            return None;
        };
        let mut at = from + 1;
        loop {
            match self.token(at) {
                Some(Token::Period) => {
                    let Some(Token::Word(_)) = self.token(at + 1) else {
                        return None;
                    };
                    at += 2;
                }
                Some(Token::LBracket) => {
                    let end = self.brackets(at)?;
                    found.push((*self.seen.get(at)?, *self.seen.get(end - 1)?));
                    at = end;
                }
                _ => return Some(at),
            }
        }
    }

    /// Pairs of brackets, one behind the other: where they end.
    fn brackets(&self, from: usize) -> Option<usize> {
        let (mut depth, mut at) = (0usize, from);
        loop {
            match self.token(at)? {
                Token::LBracket | Token::LParen => depth += 1,
                Token::RBracket | Token::RParen => depth = depth.checked_sub(1)?,
                _ => {}
            }
            at += 1;
            if depth == 0 && self.token(at) != Some(&Token::LBracket) {
                return Some(at);
            }
        }
    }
}

fn read(brackets: &[TokenWithSpan], source: Source) -> Result<Subscripts> {
    let Some(first) = brackets.first() else {
        return Ok(Vec::new());
    };
    let mut tokens = vec![TokenWithSpan::new(word("a".into()), first.span)];
    tokens.extend(brackets.iter().cloned());
    let mut parser = parser(tokens);
    let read = parser.parse_expr();
    let next = parser.peek_token_ref();
    if read.is_ok() && next.token != Token::EOF {
        return Err(source.at_token(Some(next)));
    }
    match read {
        Ok(Expr::CompoundFieldAccess { access_chain, .. }) => Ok(access_chain),
        Ok(_) => Err(source.at_token(Some(first))),
        Err(e) => Err(source.syntax(e, &parser.into_tokens())),
    }
}

fn cut(tokens: Vec<TokenWithSpan>, found: &[(usize, usize)]) -> Vec<TokenWithSpan> {
    let mut out = Vec::with_capacity(tokens.len());
    let mut cuts = found.iter().enumerate().peekable();
    for (i, token) in tokens.into_iter().enumerate() {
        let Some((number, (from, to))) = cuts.peek() else {
            out.push(token);
            continue;
        };
        if i == *from {
            let name = word(format!("{MARK}{number}"));
            out.push(TokenWithSpan::new(Token::Period, token.span));
            out.push(TokenWithSpan::new(name, token.span));
        } else if i < *from {
            out.push(token);
        }
        if i == *to {
            cuts.next();
        }
    }
    out
}

fn word(value: String) -> Token {
    Token::Word(Word {
        value,
        quote_style: Some('"'),
        keyword: Keyword::NoKeyword,
    })
}
