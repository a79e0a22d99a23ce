//! Splits a date/time literal into tokens.
//!
//! Source: PostgreSQL 15 `ParseDateTime`.

/// What a token looks like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::time) enum Kind {
    Number,
    /// Digits or letters joined by `-`, `/` or `.`; also a zone's name.
    Date,
    /// With a colon.
    Time,
    /// A sign and digits: an offset, or a signed number of an interval.
    Offset,
    Word,
    /// A sign and letters.
    SignedWord,
}

/// Most tokens of a literal (PostgreSQL's MAXDATEFIELDS).
const TOKENS_MAX: usize = 25;

/// Tokens in lower case; `None` when there are too many or a character does not belong.
pub(in crate::time) fn scan(text: &str) -> Option<Vec<(Kind, String)>> {
    let lower = text.to_ascii_lowercase();
    let mut s = Scanner {
        bytes: lower.as_bytes(),
        at: 0,
    };
    let mut tokens = Vec::new();
    while let Some(c) = s.peek() {
        let start = s.at;
        let kind = match c {
            c if is_blank(c) => {
                s.at += 1;
                continue;
            }
            b'0'..=b'9' => s.number(),
            b'.' => {
                s.at += 1;
                s.run(|c| c.is_ascii_digit());
                Kind::Number
            }
            b'a'..=b'z' => s.word(),
            b'+' | b'-' => {
                let (kind, token) = s.signed()?;
                tokens.push((kind, token));
                continue;
            }
            c if c.is_ascii_punctuation() => {
                s.at += 1;
                continue;
            }
            _ => return None,
        };
        if tokens.len() >= TOKENS_MAX {
            return None;
        }
        tokens.push((kind, lower[start..s.at].to_string()));
    }
    (tokens.len() <= TOKENS_MAX).then_some(tokens)
}

fn is_blank(c: u8) -> bool {
    c.is_ascii_whitespace() || c == 0x0b
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn run(&mut self, part: impl Fn(u8) -> bool) {
        while self.peek().is_some_and(&part) {
            self.at += 1;
        }
    }

    fn number(&mut self) -> Kind {
        self.run(|c| c.is_ascii_digit());
        match self.peek() {
            Some(b':') => {
                self.run(|c| c.is_ascii_digit() || c == b':' || c == b'.');
                Kind::Time
            }
            Some(delimiter @ (b'-' | b'/' | b'.')) => {
                self.at += 1;
                if !self.peek().is_some_and(|c| c.is_ascii_digit()) {
                    self.run(|c| c.is_ascii_alphanumeric() || c == delimiter);
                    return Kind::Date;
                }
                self.run(|c| c.is_ascii_digit());
                if self.peek() == Some(delimiter) {
                    self.at += 1;
                    self.run(|c| c.is_ascii_digit() || c == delimiter);
                    return Kind::Date;
                }
                if delimiter == b'.' {
                    Kind::Number
                } else {
                    Kind::Date
                }
            }
            _ => Kind::Number,
        }
    }

    fn word(&mut self) -> Kind {
        let start = self.at;
        self.run(|c| c.is_ascii_alphabetic());
        let joined = match self.peek() {
            Some(b'-' | b'/' | b'.') => true,
            Some(c) if c == b'+' || c.is_ascii_digit() => {
                let word = &self.bytes[start..self.at];
                !super::decode::is_keyword(std::str::from_utf8(word).unwrap_or(""))
            }
            _ => false,
        };
        if !joined {
            return Kind::Word;
        }
        self.run(|c| {
            c.is_ascii_alphanumeric() || matches!(c, b'+' | b'-' | b'/' | b'_' | b'.' | b':')
        });
        Kind::Date
    }

    fn signed(&mut self) -> Option<(Kind, String)> {
        let sign = char::from(self.peek()?);
        self.at += 1;
        self.run(is_blank);
        let start = self.at;
        let kind = match self.peek()? {
            b'0'..=b'9' | b'.' => {
                self.run(|c| c.is_ascii_digit() || matches!(c, b':' | b'.' | b'-'));
                Kind::Offset
            }
            c if c.is_ascii_alphabetic() => {
                self.run(|c| c.is_ascii_alphabetic());
                Kind::SignedWord
            }
            _ => return None,
        };
        let body = std::str::from_utf8(&self.bytes[start..self.at]).ok()?;
        Some((kind, format!("{sign}{body}")))
    }
}
