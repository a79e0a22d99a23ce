//! The JSON parser: one pass, recursion bounded.

use super::Json;
use crate::{Error, Result, SqlState};

/// Arrays and objects inside one another; one more is 54001. Printing, comparing and dropping recurse as deep.
pub const DEPTH_MAX: usize = 512;

pub(super) fn parse(text: &str) -> Result<Json> {
    whole(text, true)
}

/// Whether the text is JSON, without making anything of it. Escapes need only be written well: that they make no text is
/// an error of who wants the text.
pub(super) fn check(text: &str) -> Result<()> {
    whole(text, false).map(drop)
}

fn whole(text: &str, build: bool) -> Result<Json> {
    let mut parser = Parser { text, at: 0, build };
    let value = parser.value(0)?;
    parser.blanks();
    if parser.at < text.len() {
        return Err(parser.unexpected("Expected end of input, but found"));
    }
    Ok(value)
}

/// The text of a string at the front of `token`, which is valid.
pub(super) fn string(token: &str) -> Result<String> {
    let mut parser = Parser {
        text: token,
        at: 0,
        build: true,
    };
    parser.string()
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    /// Whether there is to be a tree; else all values are null.
    build: bool,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Result<Json> {
        if depth > DEPTH_MAX {
            return Err(Error::new(
                SqlState::STATEMENT_TOO_COMPLEX,
                "stack depth limit exceeded",
            )
            .with_detail(format!("JSON is nested deeper than {DEPTH_MAX} levels.")));
        }
        self.blanks();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => Ok(Json::String(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't' | b'f' | b'n') => self.word(),
            _ => Err(self.unexpected("Expected JSON value, but found")),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json> {
        self.at += 1;
        let (mut pairs, mut first) = (Vec::new(), true);
        self.blanks();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Json::Object(pairs));
        }
        loop {
            self.blanks();
            if self.peek() != Some(b'"') {
                return Err(self.unexpected(if first {
                    "Expected string or \"}\", but found"
                } else {
                    "Expected string, but found"
                }));
            }
            let key = self.string()?;
            self.blanks();
            if self.peek() != Some(b':') {
                return Err(self.unexpected("Expected \":\", but found"));
            }
            self.at += 1;
            let value = self.value(depth + 1)?;
            if self.build {
                pairs.push((key, value));
            }
            first = false;
            self.blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(Json::object(pairs));
                }
                _ => return Err(self.unexpected("Expected \",\" or \"}\", but found")),
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Json> {
        self.at += 1;
        let mut items = Vec::new();
        self.blanks();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Json::Array(items));
        }
        loop {
            let value = self.value(depth + 1)?;
            if self.build {
                items.push(value);
            }
            self.blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(Json::Array(items));
                }
                _ => return Err(self.unexpected("Expected \",\" or \"]\", but found")),
            }
        }
    }

    fn word(&mut self) -> Result<Json> {
        let token = self.lexeme()?;
        let value = match token {
            "true" => Json::Bool(true),
            "false" => Json::Bool(false),
            _ => Json::Null,
        };
        self.at += token.len();
        Ok(value)
    }

    fn number(&mut self) -> Result<Json> {
        let token = self.lexeme()?;
        let value = match self.build {
            true => Json::Number(token.parse()?),
            false => Json::Null,
        };
        self.at += token.len();
        Ok(value)
    }

    /// The token at the cursor; refused when it is none of JSON's. Empty at the end.
    fn lexeme(&self) -> Result<&str> {
        let rest = &self.text[self.at..];
        let Some(first) = rest.chars().next() else {
            return Ok("");
        };
        let (len, valid) = match first {
            '{' | '}' | '[' | ']' | ',' | ':' => (1, true),
            '"' => {
                let mut ahead = Parser { ..*self };
                ahead.string()?;
                (ahead.at - self.at, true)
            }
            '-' | '0'..='9' => number_len(rest.as_bytes()),
            c if is_word(c) => {
                let len = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                (len, matches!(&rest[..len], "true" | "false" | "null"))
            }
            c => (c.len_utf8(), false),
        };
        if !valid {
            return Err(invalid(format!("Token \"{}\" is invalid.", &rest[..len])));
        }
        Ok(&rest[..len])
    }

    fn string(&mut self) -> Result<String> {
        let start = self.at;
        self.at += 1;
        let mut out = String::new();
        loop {
            let run = &self.text[self.at..];
            let end = run
                .find(|c: char| c == '"' || c == '\\' || c < ' ')
                .ok_or_else(|| invalid(format!("Token \"{}\" is invalid.", &self.text[start..])))?;
            if self.build {
                out.push_str(&run[..end]);
            }
            self.at += end;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') if self.at + 1 == self.text.len() => {
                    let token = &self.text[start..];
                    return Err(invalid(format!("Token \"{token}\" is invalid.")));
                }
                Some(b'\\') => out.push(self.escape()?),
                c => {
                    return Err(invalid(format!(
                        "Character with value 0x{:02x} must be escaped.",
                        c.unwrap_or(0)
                    )));
                }
            }
        }
    }

    fn escape(&mut self) -> Result<char> {
        let c = self.text[self.at + 1..].chars().next();
        let Some(c) = c else {
            return Err(invalid("Token \"\\\" is invalid.".to_string()));
        };
        self.at += 1 + c.len_utf8();
        Ok(match c {
            '"' | '\\' | '/' => c,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => return self.unicode(),
            other => {
                return Err(invalid(format!(
                    "Escape sequence \"\\{other}\" is invalid."
                )));
            }
        })
    }

    fn unicode(&mut self) -> Result<char> {
        let high = self.four_digits()?;
        if !self.build {
            return Ok(char::REPLACEMENT_CHARACTER);
        }
        let code = match high {
            0xD800..=0xDBFF => {
                if !self.text[self.at..].starts_with("\\u") {
                    return Err(low_surrogate());
                }
                self.at += 2;
                let low = self.four_digits()?;
                if !(0xDC00..=0xDFFF).contains(&low) {
                    return Err(low_surrogate());
                }
                0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)
            }
            0xDC00..=0xDFFF => return Err(low_surrogate()),
            0 => {
                return Err(Error::new(
                    SqlState::UNTRANSLATABLE_CHARACTER,
                    "unsupported Unicode escape sequence",
                )
                .with_detail("\\u0000 cannot be converted to text."));
            }
            other => other,
        };
        char::from_u32(code).ok_or_else(low_surrogate)
    }

    fn four_digits(&mut self) -> Result<u32> {
        let hex = self.text.get(self.at..self.at + 4);
        let code = hex
            .filter(|h| h.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|h| u32::from_str_radix(h, 16).ok())
            .ok_or_else(|| {
                invalid("\"\\u\" must be followed by four hexadecimal digits.".to_string())
            })?;
        self.at += 4;
        Ok(code)
    }

    fn unexpected(&self, what: &str) -> Error {
        match self.lexeme() {
            Ok("") => invalid("The input string ended unexpectedly.".to_string()),
            Ok(token) => invalid(format!("{what} \"{token}\".")),
            Err(e) => e,
        }
    }
}

/// Part of a run that PostgreSQL's lexer takes as one.
fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii()
}

/// Bytes of the number at the front, with what is glued to it, and whether it is one.
fn number_len(bytes: &[u8]) -> (usize, bool) {
    let mut at = usize::from(bytes.first() == Some(&b'-'));
    let digits = |at: &mut usize| {
        let start = *at;
        while bytes.get(*at).is_some_and(u8::is_ascii_digit) {
            *at += 1;
        }
        *at - start
    };
    let start = at;
    let mut valid = match bytes.get(at) {
        Some(b'0') => {
            at += 1;
            true
        }
        _ => digits(&mut at) > 0,
    };
    if at > start && bytes.get(at) == Some(&b'.') {
        at += 1;
        valid &= digits(&mut at) > 0;
    }
    if at > start && matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1;
        if matches!(bytes.get(at), Some(b'+' | b'-')) {
            at += 1;
        }
        valid &= digits(&mut at) > 0;
    }
    let glued = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_' || !b.is_ascii();
    while bytes.get(at).is_some_and(glued) {
        at += 1;
        valid = false;
    }
    (at, valid)
}

fn low_surrogate() -> Error {
    invalid("Unicode low surrogate must follow a high surrogate.".to_string())
}

fn invalid(detail: String) -> Error {
    Error::new(
        SqlState::INVALID_TEXT_REPRESENTATION,
        "invalid input syntax for type json",
    )
    .with_detail(detail)
}
