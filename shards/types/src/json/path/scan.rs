//! The tokens of a jsonpath.
//!
//! Owns: what a name, a number and a string are in one. Asked by: `parse`. Bounds: one token at a time.
//! Source: PostgreSQL 15, `jsonpath_scan.l`.

use crate::{Error, Numeric, Result, SqlState};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A name without quotes: a key, or a word of the language.
    Word(String),
    String(String),
    Variable(String),
    Number(Numeric, String),
    /// A sign of one or two characters.
    Sign(&'static str),
    End,
}

const SIGNS: [&str; 27] = [
    "&&", "||", "==", "!=", "<>", "<=", ">=", "**", "<", ">", "!", "$", "@", "?", "(", ")", "[",
    "]", "{", "}", ".", ",", "*", "+", "-", "/", "%",
];

pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    /// Where the last token began.
    began: usize,
}

impl<'a> Scanner<'a> {
    pub fn new(text: &'a str) -> Scanner<'a> {
        Scanner {
            text,
            at: 0,
            began: 0,
        }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    /// 42601 at the last token.
    pub fn error(&self, what: &str) -> Error {
        let token = self.text.get(self.began..self.at).unwrap_or("");
        let at = match token {
            "" => "at end of jsonpath input".to_owned(),
            token => format!("at or near \"{token}\" of jsonpath input"),
        };
        Error::new(SqlState::SYNTAX_ERROR, format!("{what} {at}"))
    }

    fn skip(&mut self) -> Result<()> {
        loop {
            let rest = self.rest();
            let blanks = rest.len()
                - rest
                    .trim_start_matches([' ', '\t', '\n', '\r', '\x0c'])
                    .len();
            self.at += blanks;
            if !self.rest().starts_with("/*") {
                return Ok(());
            }
            self.began = self.at;
            match self.rest().find("*/") {
                Some(end) => self.at += end + 2,
                None => {
                    self.at = self.text.len();
                    return Err(self.error("unexpected end of comment"));
                }
            }
        }
    }

    pub fn next(&mut self) -> Result<Token> {
        self.skip()?;
        self.began = self.at;
        let rest = self.rest();
        let mut chars = rest.chars();
        let (Some(first), second) = (chars.next(), chars.next()) else {
            return Ok(Token::End);
        };
        if first == '"' {
            return self.string().map(Token::String);
        }
        if first == '$' {
            if second == Some('"') {
                self.at += 1;
                return self.string().map(Token::Variable);
            }
            if second.is_some_and(is_name) {
                self.at += 1;
                return self.name().map(Token::Variable);
            }
        }
        if first.is_ascii_digit() || first == '.' && second.is_some_and(|c| c.is_ascii_digit()) {
            return self.number();
        }
        if let Some(sign) = SIGNS.iter().find(|s| rest.starts_with(**s)) {
            self.at += sign.len();
            return Ok(Token::Sign(if *sign == "<>" { "!=" } else { sign }));
        }
        if first == '\\' || is_name(first) {
            return self.name().map(Token::Word);
        }
        self.at += first.len_utf8();
        Err(self.error("syntax error"))
    }

    fn number(&mut self) -> Result<Token> {
        let rest = self.rest();
        let digits = |from: usize| {
            let tail = rest.get(from..).unwrap_or("");
            tail.len() - tail.trim_start_matches(|c: char| c.is_ascii_digit()).len()
        };
        let mut end = digits(0);
        let whole = rest.get(..end).unwrap_or("");
        if rest.get(end..).is_some_and(|r| r.starts_with('.')) {
            end += 1 + digits(end + 1);
        }
        if rest.get(end..).is_some_and(|r| r.starts_with(['e', 'E'])) {
            let sign = usize::from(
                rest.get(end + 1..)
                    .is_some_and(|r| r.starts_with(['+', '-'])),
            );
            match digits(end + 1 + sign) {
                0 => {
                    self.at += end + 1;
                    return Err(self.error("invalid numeric literal"));
                }
                n => end += 1 + sign + n,
            }
        }
        self.at += end;
        if self.rest().chars().next().is_some_and(is_name)
            || whole.len() > 1 && whole.starts_with('0')
        {
            self.at += self.rest().chars().next().map_or(0, char::len_utf8);
            return Err(self.error("trailing junk after numeric literal"));
        }
        let text = rest.get(..end).unwrap_or("");
        let number = text.trim_end_matches('.').parse();
        let number = number.map_err(|_| self.error("invalid numeric literal"))?;
        Ok(Token::Number(number, text.to_owned()))
    }

    fn name(&mut self) -> Result<String> {
        let mut out = String::new();
        while let Some(c) = self.rest().chars().next() {
            if c == '\\' {
                out.push(self.escape()?);
            } else if is_name(c) {
                out.push(c);
                self.at += c.len_utf8();
            } else {
                break;
            }
        }
        Ok(out)
    }

    fn string(&mut self) -> Result<String> {
        self.at += 1;
        let mut out = String::new();
        loop {
            match self.rest().chars().next() {
                None => return Err(self.error("unterminated quoted string")),
                Some('"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some('\\') => out.push(self.escape()?),
                Some(c) => {
                    out.push(c);
                    self.at += c.len_utf8();
                }
            }
        }
    }

    fn escape(&mut self) -> Result<char> {
        self.at += 1;
        let Some(c) = self.rest().chars().next() else {
            return Err(self.error("unexpected end after backslash"));
        };
        self.at += c.len_utf8();
        Ok(match c {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            'x' => {
                let code = self
                    .hex(2)
                    .ok_or_else(|| self.error("invalid hexadecimal character sequence"))?;
                self.character(code)?
            }
            'u' => self.unicode()?,
            other => other,
        })
    }

    /// So many digits, which are passed.
    fn hex(&mut self, digits: usize) -> Option<u32> {
        let text = self.rest().get(..digits)?;
        let code = u32::from_str_radix(text, 16).ok()?;
        self.at += digits;
        Some(code)
    }

    fn unicode(&mut self) -> Result<char> {
        let invalid = "invalid Unicode escape sequence";
        if self.rest().starts_with('{') {
            let end = self.rest().find('}').filter(|end| (2..=7).contains(end));
            let text = end.and_then(|end| self.rest().get(1..end));
            let code = text.and_then(|t| u32::from_str_radix(t, 16).ok());
            let (Some(end), Some(code)) = (end, code) else {
                return Err(self.error(invalid));
            };
            self.at += end + 1;
            return self.character(code);
        }
        let code = self.hex(4).ok_or_else(|| self.error(invalid))?;
        if !(0xd800..0xdc00).contains(&code) {
            return self.character(code);
        }
        let low = match self.rest().starts_with("\\u") {
            true => {
                self.at += 2;
                self.hex(4).filter(|low| (0xdc00..0xe000).contains(low))
            }
            false => None,
        };
        let low = low.ok_or_else(|| {
            Error::new(
                SqlState::INVALID_TEXT_REPRESENTATION,
                "invalid input syntax for type jsonpath",
            )
            .with_detail("Unicode low surrogate must follow a high surrogate.")
        })?;
        self.character(0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00))
    }

    fn character(&self, code: u32) -> Result<char> {
        match char::from_u32(code) {
            Some('\0') => Err(Error::new(
                SqlState::UNTRANSLATABLE_CHARACTER,
                "unsupported Unicode escape sequence",
            )
            .with_detail("\\u0000 cannot be converted to text.")),
            Some(c) => Ok(c),
            None => Err(self.error("invalid Unicode escape sequence")),
        }
    }
}

/// All that does not end a name.
fn is_name(c: char) -> bool {
    !matches!(
        c,
        '?' | '%'
            | '$'
            | '.'
            | '['
            | ']'
            | '{'
            | '}'
            | '('
            | ')'
            | '|'
            | '&'
            | '!'
            | '='
            | '<'
            | '>'
            | '@'
            | '#'
            | ','
            | '*'
            | ':'
            | '-'
            | '+'
            | '/'
            | '\\'
            | '"'
            | ' '
            | '\t'
            | '\n'
            | '\r'
            | '\x0c'
    )
}
