//! `unistr`: characters by their numbers in a text.
//!
//! Source: PostgreSQL 15, `varlena.c` (`unistr`).

use super::super::args;
use types::{Error, Result, SqlState, Value};

/// `\\`, `\XXXX`, `\+XXXXXX`, `\uXXXX` and `\UXXXXXXXX`; halves of a character of UTF-16 belong together.
pub fn unistr(a: &[Value]) -> Result<Value> {
    let text = args::text(a, 0)?;
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut high: Option<u32> = None;
    while let Some(first) = rest.chars().next() {
        let plain = match rest.strip_prefix('\\') {
            None => Some((first, &rest[first.len_utf8()..])),
            Some(escaped) if escaped.starts_with('\\') => Some(('\\', &escaped[1..])),
            Some(_) => None,
        };
        if let Some((c, behind)) = plain {
            if high.is_some() {
                return Err(pair());
            }
            out.push(c);
            rest = behind;
            continue;
        }
        let (number, digits, behind) = escape(&rest[1..]).ok_or_else(invalid)?;
        rest = behind;
        let low = (0xdc00..0xe000).contains(&number);
        match high.take() {
            Some(high) if low => {
                let number = 0x10000 + ((high - 0xd800) << 10) + (number - 0xdc00);
                out.push(char::from_u32(number).ok_or_else(pair)?);
            }
            Some(_) => return Err(pair()),
            None if low => return Err(pair()),
            None if (0xd800..0xdc00).contains(&number) => high = Some(number),
            None => {
                let valid = char::from_u32(number).filter(|c| *c != '\0');
                out.push(valid.ok_or_else(|| {
                    Error::new(
                        SqlState::INVALID_PARAMETER_VALUE,
                        format!("invalid Unicode code point: {digits}"),
                    )
                })?);
            }
        }
    }
    match high {
        Some(_) => Err(pair()),
        None => Ok(out.into()),
    }
}

/// The number behind a backslash, its digits, and what follows.
fn escape(text: &str) -> Option<(u32, &str, &str)> {
    let (from, count) = match text.as_bytes().first()? {
        b'+' => (1, 6),
        b'u' => (1, 4),
        b'U' => (1, 8),
        _ => (0, 4),
    };
    let digits = text.get(from..from + count)?;
    let hex = digits.bytes().all(|b| b.is_ascii_hexdigit());
    let number = u32::from_str_radix(digits, 16).ok().filter(|_| hex)?;
    Some((number, digits, &text[from + count..]))
}

fn invalid() -> Error {
    Error::new(SqlState::SYNTAX_ERROR, "invalid Unicode escape")
        .with_hint("Unicode escapes must be \\XXXX, \\+XXXXXX, \\uXXXX, or \\UXXXXXXXX.")
}

fn pair() -> Error {
    Error::new(SqlState::SYNTAX_ERROR, "invalid Unicode surrogate pair")
}
