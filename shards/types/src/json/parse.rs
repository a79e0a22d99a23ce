//! The JSON parser: one pass, recursion bounded.

use super::Json;
use crate::{Error, Result, SqlState};

/// Arrays and objects inside one another; one more is 54001. Printing, comparing and dropping recurse as deep.
pub const DEPTH_MAX: usize = 512;

pub(super) fn parse(text: &str) -> Result<Json> {
    let mut parser = Parser { text, at: 0 };
    let value = parser.value(0)?;
    parser.blanks();
    if parser.at < text.len() {
        return Err(parser.unexpected("Expected end of input, but found"));
    }
    Ok(value)
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
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
            Some(c) if c.is_ascii_alphabetic() => self.word(),
            _ => Err(self.unexpected("Expected JSON value, but found")),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json> {
        self.at += 1;
        let mut pairs = Vec::new();
        self.blanks();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Json::Object(pairs));
        }
        loop {
            self.blanks();
            if self.peek() != Some(b'"') {
                return Err(self.unexpected(if pairs.is_empty() {
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
            pairs.push((key, self.value(depth + 1)?));
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
            items.push(self.value(depth + 1)?);
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
        let token = self.token();
        let value = match token {
            "true" => Json::Bool(true),
            "false" => Json::Bool(false),
            "null" => Json::Null,
            _ => return Err(invalid(format!("Token \"{token}\" is invalid."))),
        };
        self.at += token.len();
        Ok(value)
    }

    /// The run of letters, digits and signs at the cursor, as error messages show it.
    fn token(&self) -> &str {
        let rest = &self.text[self.at..];
        let part =
            |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '+' | '.') || !c.is_ascii();
        let end = rest.find(|c| !part(c)).unwrap_or(rest.len());
        if end > 0 {
            return &rest[..end];
        }
        &rest[..rest.chars().next().map_or(0, char::len_utf8)]
    }

    fn number(&mut self) -> Result<Json> {
        let token = self.token();
        let bytes = token.as_bytes();
        let mut at = usize::from(bytes[0] == b'-');
        let digits = |at: &mut usize| {
            let start = *at;
            while bytes.get(*at).is_some_and(u8::is_ascii_digit) {
                *at += 1;
            }
            *at - start
        };
        let start = at;
        let whole = digits(&mut at);
        let mut valid = whole == 1 || (whole > 1 && bytes[start] != b'0');
        if valid && bytes.get(at) == Some(&b'.') {
            at += 1;
            valid = digits(&mut at) > 0;
        }
        if valid && matches!(bytes.get(at), Some(b'e' | b'E')) {
            at += 1;
            if matches!(bytes.get(at), Some(b'+' | b'-')) {
                at += 1;
            }
            valid = digits(&mut at) > 0;
        }
        if !valid || at != bytes.len() {
            return Err(invalid(format!("Token \"{token}\" is invalid.")));
        }
        let value = token.parse()?;
        self.at += at;
        Ok(Json::Number(value))
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
            out.push_str(&run[..end]);
            self.at += end;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
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
        if self.at >= self.text.len() {
            return invalid("The input string ended unexpectedly.".to_string());
        }
        let token = self.token();
        invalid(format!("{what} \"{token}\"."))
    }
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
