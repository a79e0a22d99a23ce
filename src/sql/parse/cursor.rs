//! A reader over one statement's tokens for the commands read by hand.
//!
//! Owns: looking at tokens. Never: recurses.

use super::errors::Source;
use super::{Lines, parser};
use sqlparser::ast::{DataType, Ident, ObjectName};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};
use types::{Error, Result};

#[derive(Clone)]
pub(super) struct Cursor<'a> {
    tokens: &'a [TokenWithSpan],
    /// Of the next token that is not blank.
    at: usize,
    source: Source<'a>,
}

impl<'a> Cursor<'a> {
    pub fn new(tokens: &'a [TokenWithSpan], sql: &'a str, lines: &'a Lines) -> Cursor<'a> {
        let mut cursor = Cursor {
            tokens,
            at: 0,
            source: Source { sql, lines },
        };
        cursor.skip_blanks();
        cursor
    }

    fn skip_blanks(&mut self) {
        while matches!(self.tokens.get(self.at), Some(t) if matches!(t.token, Token::Whitespace(_)))
        {
            self.at += 1;
        }
    }

    pub fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.at).map(|t| &t.token)
    }

    /// The token after the next.
    pub fn peek_second(&self) -> Option<&'a Token> {
        let rest = self.tokens.get(self.at + 1..)?;
        let mut rest = rest.iter().map(|t| &t.token);
        rest.find(|t| !matches!(t, Token::Whitespace(_)))
    }

    pub fn next(&mut self) -> Option<&'a Token> {
        let token = self.tokens.get(self.at)?;
        self.at += 1;
        self.skip_blanks();
        Some(&token.token)
    }

    pub fn at_end(&self) -> bool {
        self.peek().is_none()
    }

    /// The next token is this word, unquoted, in any case.
    pub fn is(&self, word: &str) -> bool {
        is_word(self.peek(), word)
    }

    pub fn second_is(&self, word: &str) -> bool {
        is_word(self.peek_second(), word)
    }

    pub fn accept(&mut self, word: &str) -> bool {
        let found = self.is(word);
        if found {
            self.next();
        }
        found
    }

    pub fn accept_token(&mut self, token: &Token) -> bool {
        let found = self.peek() == Some(token);
        if found {
            self.next();
        }
        found
    }

    pub fn expect(&mut self, word: &str) -> Result<()> {
        if self.accept(word) {
            Ok(())
        } else {
            Err(self.error())
        }
    }

    pub fn expect_token(&mut self, token: &Token) -> Result<()> {
        if self.accept_token(token) {
            Ok(())
        } else {
            Err(self.error())
        }
    }

    pub fn expect_end(&self) -> Result<()> {
        if self.at_end() {
            Ok(())
        } else {
            Err(self.error())
        }
    }

    /// 42601 at the next token.
    pub fn error(&self) -> Error {
        self.source.at_token(self.tokens.get(self.at))
    }

    /// An identifier, folded to lower case unless quoted.
    pub fn name(&mut self) -> Result<String> {
        match self.peek() {
            Some(Token::Word(w)) => {
                self.next();
                Ok(fold(w))
            }
            _ => Err(self.error()),
        }
    }

    /// An identifier as it is written.
    pub fn ident(&mut self) -> Result<Ident> {
        let span = self.tokens.get(self.at).map(|t| t.span);
        match (self.peek(), span) {
            (Some(Token::Word(w)), Some(span)) => {
                self.next();
                Ok(Ident {
                    value: w.value.clone(),
                    quote_style: w.quote_style,
                    span,
                })
            }
            _ => Err(self.error()),
        }
    }

    /// A reader of what there is up to the next comma or closing parenthesis that is not inside others.
    pub fn element(&mut self) -> Cursor<'a> {
        let mut depth = 0usize;
        let rest = self.tokens.get(self.at..).unwrap_or(&[]);
        let ends = |t: &TokenWithSpan| match t.token {
            Token::LParen | Token::LBracket => {
                depth += 1;
                false
            }
            Token::RParen | Token::RBracket if depth > 0 => {
                depth -= 1;
                false
            }
            Token::RParen => true,
            Token::Comma => depth == 0,
            _ => false,
        };
        let length = rest.iter().position(ends).unwrap_or(rest.len());
        let own = rest.get(..length).unwrap_or(rest);
        self.at += length;
        self.skip_blanks();
        let mut element = Cursor {
            tokens: own,
            at: 0,
            source: self.source,
        };
        element.skip_blanks();
        element
    }

    /// Takes the parentheses that follow the word out of what is left, and answers a reader of what is in them.
    pub fn cut_after(&self, word: &str) -> Option<(Vec<TokenWithSpan>, Cursor<'a>)> {
        let rest = self.tokens.get(self.at..)?;
        let mut depth = 0usize;
        let (mut begins, mut after_word) = (None, false);
        for (i, t) in rest.iter().enumerate() {
            match &t.token {
                Token::Whitespace(_) => continue,
                Token::LParen if depth == 0 && after_word => {
                    begins = Some(i);
                    depth += 1;
                }
                Token::LParen => depth += 1,
                Token::RParen => {
                    depth = depth.saturating_sub(1);
                    if let (0, Some(from)) = (depth, begins) {
                        let mut left = rest.get(..from)?.to_vec();
                        left.extend_from_slice(rest.get(i + 1..)?);
                        let mut inner = Cursor {
                            tokens: rest.get(from + 1..i)?,
                            at: 0,
                            source: self.source,
                        };
                        inner.skip_blanks();
                        return Some((left, inner));
                    }
                }
                _ => {}
            }
            after_word = depth == 0 && is_word(Some(&t.token), word);
        }
        None
    }

    /// Nothing is left.
    pub fn skip_all(&mut self) {
        self.at = self.tokens.len();
    }

    /// The tokens that are left.
    pub fn rest(&self) -> &'a [TokenWithSpan] {
        self.tokens.get(self.at..).unwrap_or(&[])
    }

    /// Runs the grammar's parser over all of these tokens, which are of this statement.
    pub fn whole<T>(
        &self,
        tokens: Vec<TokenWithSpan>,
        read: impl FnOnce(&mut Parser<'static>) -> Result<T, ParserError>,
    ) -> Result<T> {
        let mut parser = parser(tokens.clone());
        let out = read(&mut parser).map_err(|e| self.source.syntax(e, &tokens))?;
        let left = tokens.get(parser.index()..).unwrap_or(&[]);
        let mut left = left
            .iter()
            .filter(|t| !matches!(t.token, Token::Whitespace(_)));
        match left.next() {
            Some(t) => Err(self.source.at_token(Some(t))),
            None => Ok(out),
        }
    }

    /// The line that the next token is in, from 1; of the last one at the end.
    pub fn line(&self) -> u64 {
        let token = self.tokens.get(self.at).or(self.tokens.last());
        token.map_or(1, |t| t.span.start.line)
    }

    /// A reader of what there is up to a token that ends it and is not in parentheses. Takes the tokens, not that one.
    /// 42601 at the end.
    pub fn piece(&mut self, ends: impl Fn(&Token) -> bool) -> Result<Cursor<'a>> {
        let mut depth = 0usize;
        let rest = self.rest();
        let last = |t: &TokenWithSpan| {
            match t.token {
                Token::LParen | Token::LBracket => depth += 1,
                Token::RParen | Token::RBracket => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0 && ends(&t.token)
        };
        let Some(length) = rest.iter().position(last) else {
            return Err(self.source.at_token(None));
        };
        self.at += length;
        let mut piece = Cursor {
            tokens: rest.get(..length).unwrap_or(rest),
            at: 0,
            source: self.source,
        };
        piece.skip_blanks();
        Ok(piece)
    }

    /// The text from the next token to the end of what this reads, or up to where another has come.
    pub fn text(&self, upto: Option<&Cursor<'a>>) -> String {
        let end = upto.map_or(self.tokens.len(), |c| c.at);
        let rest = self.tokens.get(self.at..end).unwrap_or(&[]);
        let blank = |t: &&TokenWithSpan| !matches!(t.token, Token::Whitespace(_));
        let last = rest.iter().rfind(blank);
        match (rest.first(), last) {
            (Some(first), Some(last)) => self.source.text(first.span.start, last.span.end),
            _ => String::new(),
        }
    }

    /// 42601 at the next token, in these words.
    pub fn error_of(&self, what: &str) -> Error {
        let e = self.error();
        let place = e.message().trim_start_matches("syntax error").to_owned();
        let e2 = Error::new(e.code(), format!("{what}{place}"));
        match e.position() {
            Some(at) => e2.at(at),
            None => e2,
        }
    }

    /// `[schema.]name`
    pub fn object_name(&mut self) -> Result<ObjectName> {
        let mut parts = Vec::new();
        loop {
            let span = self.tokens.get(self.at).map(|t| t.span);
            match (self.peek(), span) {
                (Some(Token::Word(w)), Some(span)) => {
                    self.next();
                    parts.push(Ident {
                        value: w.value.clone(),
                        quote_style: w.quote_style,
                        span,
                    });
                }
                _ => return Err(self.error()),
            }
            if !self.accept_token(&Token::Period) {
                return Ok(ObjectName::from(parts));
            }
        }
    }

    /// Names after names, with commas between.
    pub fn object_names(&mut self) -> Result<Vec<ObjectName>> {
        let mut names = vec![self.object_name()?];
        while self.accept_token(&Token::Comma) {
            names.push(self.object_name()?);
        }
        Ok(names)
    }

    pub fn string(&mut self) -> Result<String> {
        match self.peek() {
            Some(
                Token::SingleQuotedString(s)
                | Token::EscapedStringLiteral(s)
                | Token::UnicodeStringLiteral(s),
            ) => {
                self.next();
                Ok(s.clone())
            }
            Some(Token::DollarQuotedString(s)) => {
                self.next();
                Ok(s.value.clone())
            }
            _ => Err(self.error()),
        }
    }

    pub fn data_type(&mut self) -> Result<DataType> {
        self.sub(|p| p.parse_data_type())
    }

    /// Runs the grammar's parser from here and continues after what it read.
    pub fn sub<T>(
        &mut self,
        read: impl FnOnce(&mut Parser<'static>) -> Result<T, ParserError>,
    ) -> Result<T> {
        let rest = self.tokens.get(self.at..).unwrap_or(&[]);
        let mut parser = parser(rest.to_vec());
        let out = read(&mut parser).map_err(|e| self.source.syntax(e, rest))?;
        self.at = (self.at + parser.index()).min(self.tokens.len());
        self.skip_blanks();
        Ok(out)
    }

    /// The script's text from the next token to the end of the statement.
    pub fn rest_of(&self, text: &str) -> String {
        let (Some(first), Some(here)) = (self.tokens.first(), self.tokens.get(self.at)) else {
            return String::new();
        };
        let position = |t: &TokenWithSpan| self.source.lines.position(t.span.start).unwrap_or(1);
        let skip = position(here).saturating_sub(position(first)) as usize;
        text.chars().skip(skip).collect()
    }
}

fn is_word(token: Option<&Token>, word: &str) -> bool {
    matches!(token, Some(Token::Word(w)) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(word))
}

pub(super) fn fold(w: &Word) -> String {
    crate::bind::names::fold(&w.value, w.quote_style.is_some())
}
