//! LIKE and ILIKE.
//!
//! Owns: the matcher: `%` any run, `_` one character, a backslash makes the next literal. It backtracks only to the last `%`,
//! so its time is at most the product of the two lengths.
//! Source: PostgreSQL 15 `like_match.c`, `like.c`.

use super::{Function, args};
use crate::exec::Context;
use DataType::*;
use types::{DataType, Error, Result, SqlState, Value};

/// For each type on the left: LIKE, NOT LIKE, ILIKE, NOT ILIKE.
macro_rules! likes {
    ($($ty:ident: $like:literal $not:literal $ilike:literal $inot:literal;)*) => {
        pub static FUNCTIONS: &[Function] = &[$(
            Function::new($like, &[$ty, Text], Bool, |_, a| verdict(a, true)).op("~~"),
            Function::new($not, &[$ty, Text], Bool, |_, a| verdict(a, false)).op("!~~"),
            Function::new($ilike, &[$ty, Text], Bool, |_, a| folded(a, true)).op("~~*"),
            Function::new($inot, &[$ty, Text], Bool, |_, a| folded(a, false)).op("!~~*"),
        )*
            Function::new("like_escape", &[Text, Text], Text, |c, a| like_escape(c, a)),
            Function::new("bytealike", &[Bytea, Bytea], Bool, |_, a| {
                Ok(matches(args::bytea(a, 0)?, args::bytea(a, 1)?, false)?.into())
            })
            .op("~~"),
            Function::new("byteanlike", &[Bytea, Bytea], Bool, |_, a| {
                Ok((!matches(args::bytea(a, 0)?, args::bytea(a, 1)?, false)?).into())
            })
            .op("!~~"),
        ];
    };
}

likes! {
    Text: "textlike" "textnlike" "texticlike" "texticnlike";
    Bpchar: "bpcharlike" "bpcharnlike" "bpchariclike" "bpcharicnlike";
    Name: "namelike" "namenlike" "nameiclike" "nameicnlike";
}

fn verdict(a: &[Value], wanted: bool) -> Result<Value> {
    let (s, pattern) = (args::text(a, 0)?, args::text(a, 1)?);
    Ok((matches(s.as_bytes(), pattern.as_bytes(), true)? == wanted).into())
}

fn folded(a: &[Value], wanted: bool) -> Result<Value> {
    let (s, pattern) = (
        args::text(a, 0)?.to_lowercase(),
        args::text(a, 1)?.to_lowercase(),
    );
    Ok((matches(s.as_bytes(), pattern.as_bytes(), true)? == wanted).into())
}

/// Whether the whole of `s` matches. `characters`: `_` takes a character of UTF-8 rather than a byte.
pub fn matches(s: &[u8], pattern: &[u8], characters: bool) -> Result<bool> {
    let (mut i, mut p) = (0, 0);
    // Where to resume when what follows the last `%` does not match: pattern and text positions.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let step = match pattern.get(p) {
            Some(b'%') => {
                p += 1;
                if p == pattern.len() {
                    return Ok(true);
                }
                retry = Some((p, i));
                continue;
            }
            Some(b'_') => (i < s.len()).then(|| (char_end(s, i, characters), p + 1)),
            // Nothing left to match: not even the escape is looked at.
            Some(b'\\') if i == s.len() => None,
            Some(b'\\') => {
                let literal = pattern.get(p + 1).ok_or_else(ends_with_escape)?;
                (s.get(i) == Some(literal)).then_some((i + 1, p + 2))
            }
            Some(literal) => (s.get(i) == Some(literal)).then_some((i + 1, p + 1)),
            None if i == s.len() => return Ok(true),
            None => None,
        };
        match (step, retry) {
            (Some((next_i, next_p)), _) => (i, p) = (next_i, next_p),
            (None, Some((after, from))) if from < s.len() => {
                let from = char_end(s, from, characters);
                retry = Some((after, from));
                (i, p) = (from, after);
            }
            _ => return Ok(false),
        }
    }
}

fn char_end(s: &[u8], mut i: usize, characters: bool) -> usize {
    i += 1;
    while characters && s.get(i).is_some_and(|b| b & 0xC0 == 0x80) {
        i += 1;
    }
    i
}

#[cold]
fn ends_with_escape() -> Error {
    Error::new(
        SqlState::INVALID_ESCAPE_SEQUENCE,
        "LIKE pattern must not end with escape character",
    )
}

/// Rewrites a pattern with another escape character into one with a backslash.
fn like_escape(_: &Context, a: &[Value]) -> Result<Value> {
    let pattern = args::text(a, 0)?;
    let mut escapes = args::text(a, 1)?.chars();
    let escape = match (escapes.next(), escapes.next()) {
        (None, _) => None,
        (Some('\\'), None) => return Ok(pattern.into()),
        (c, None) => c,
        _ => {
            return Err(
                Error::new(SqlState::INVALID_ESCAPE_SEQUENCE, "invalid escape string")
                    .with_hint("Escape string must be empty or one character."),
            );
        }
    };
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut escaped = false;
    for c in pattern.chars() {
        if Some(c) == escape && !escaped {
            out.push('\\');
            escaped = true;
        } else {
            if c == '\\' && !escaped {
                out.push('\\');
            }
            out.push(c);
            escaped = false;
        }
    }
    Ok(out.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_follows_postgresql() {
        let cases = [
            ("abc", "abc", true),
            ("abc", "a%", true),
            ("abc", "_b_", true),
            ("abc", "%c", true),
            ("abc", "%b%", true),
            ("abc", "", false),
            ("", "%", true),
            ("", "", true),
            ("aXbXc", "a%X%c", true),
            ("ab", "a%b%c", false),
            ("héllo", "h_llo", true),
            ("日本", "__", true),
            ("日本", "_", false),
            ("a%c", "a\\%c", true),
            ("abc", "a\\%c", false),
            ("mississippi", "m%iss%pi", true),
            ("mississippi", "%issip%ss%", false),
        ];
        for (s, pattern, expected) in cases {
            let got = matches(s.as_bytes(), pattern.as_bytes(), true);
            assert_eq!(got, Ok(expected), "{s} LIKE {pattern}");
        }
        assert!(matches(b"abcd", b"abc\\", true).is_err());
    }
}
