//! json that stays the text it was: checked once, then looked into as pieces of that text.
//!
//! Owns: the check, and finding members in a text that has passed it. Never: makes a tree, changes a byte; keys that come
//! twice are both there.
//! Bounds: nesting as in the parser; what is found borrows from the text.
//! Source: PostgreSQL 15 manual, 8.14; `jsonfuncs.c`.

use super::parse;
use crate::{Error, Result};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Null,
    Bool,
    Number,
    String,
    Array,
    Object,
}

/// 22P02 with PostgreSQL's detail for what is not JSON, 54001 when nested too deep.
pub fn check(text: &str) -> Result<()> {
    parse::check(text)
}

/// What a valid text is.
pub fn kind(text: &str) -> Kind {
    match text.trim_start_matches(BLANKS).as_bytes().first() {
        Some(b'{') => Kind::Object,
        Some(b'[') => Kind::Array,
        Some(b'"') => Kind::String,
        Some(b't' | b'f') => Kind::Bool,
        Some(b'n') => Kind::Null,
        _ => Kind::Number,
    }
}

/// The items of an array; none of anything else.
pub fn items(text: &str) -> Items<'_> {
    Items::of(text, b'[')
}

/// Key (its text) and value of each member of an object; none of anything else.
pub fn fields(text: &str) -> Fields<'_> {
    Fields(Items::of(text, b'{'))
}

/// The value of a key, the last where it comes twice.
pub fn field<'a>(text: &'a str, key: &str) -> Result<Option<&'a str>> {
    let mut found = None;
    for member in fields(text) {
        let (name, value) = member?;
        if name == key {
            found = Some(value);
        }
    }
    Ok(found)
}

/// The item at an index, which may count from the end.
pub fn item(text: &str, index: i64) -> Option<&str> {
    let skip = match usize::try_from(index) {
        Ok(at) => at,
        Err(_) => {
            let from_end = usize::try_from(index.unsigned_abs()).ok()?;
            items(text).count().checked_sub(from_end)?
        }
    };
    items(text).nth(skip)
}

/// What `->>` gives: a string without its quotes, NULL for null, anything else as it is written.
pub fn unquoted(text: &str) -> Result<Option<String>> {
    match kind(text) {
        Kind::Null => Ok(None),
        Kind::String => parse::string(text.trim_start_matches(BLANKS)).map(Some),
        Kind::Bool | Kind::Number | Kind::Array | Kind::Object => {
            Ok(Some(text.trim_matches(BLANKS).to_owned()))
        }
    }
}

const BLANKS: [char; 4] = [' ', '\t', '\n', '\r'];

/// The members of one array or object, as they are written.
#[derive(Clone, Debug)]
pub struct Items<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Items<'a> {
    fn of(text: &'a str, open: u8) -> Items<'a> {
        let start = text.len() - text.trim_start_matches(BLANKS).len();
        match text.as_bytes().get(start) {
            Some(b) if *b == open => Items {
                text,
                at: start + 1,
            },
            _ => Items {
                text,
                at: text.len(),
            },
        }
    }

    fn blanks(&mut self) {
        let rest = self.text.get(self.at..).unwrap_or_default();
        self.at = self.text.len() - rest.trim_start_matches(BLANKS).len();
    }

    /// Steps over a separator, if it is next.
    fn over(&mut self, separator: u8) {
        self.blanks();
        if self.text.as_bytes().get(self.at) == Some(&separator) {
            self.at += 1;
        }
        self.blanks();
    }

    /// The value that begins here; `None` at the end.
    fn value(&mut self) -> Option<&'a str> {
        let start = self.at;
        match self.text.as_bytes().get(start)? {
            b']' | b'}' => return None,
            _ => self.at = end_of(self.text.as_bytes(), start),
        }
        self.text.get(start..self.at)
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        self.over(b',');
        self.value()
    }
}

#[derive(Clone, Debug)]
pub struct Fields<'a>(Items<'a>);

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(String, &'a str)>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.over(b',');
        let key = self.0.value()?;
        self.0.over(b':');
        let value = self.0.value();
        Some(parse::string(key).and_then(|key| {
            let value = value.ok_or_else(|| Error::internal("a key without a value in json"))?;
            Ok((key, value))
        }))
    }
}

/// The end of the value at `at`, in a valid text.
fn end_of(bytes: &[u8], mut at: usize) -> usize {
    let mut depth = 0usize;
    while let Some(b) = bytes.get(at) {
        match b {
            b'"' => at = end_of_string(bytes, at),
            b'[' | b'{' => {
                depth += 1;
                at += 1;
            }
            b']' | b'}' => {
                if depth == 0 {
                    return at;
                }
                depth -= 1;
                at += 1;
            }
            b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' if depth == 0 => return at,
            _ => {
                at += 1;
                continue;
            }
        }
        if depth == 0 {
            return at;
        }
    }
    at
}

fn end_of_string(bytes: &[u8], mut at: usize) -> usize {
    at += 1;
    while let Some(b) = bytes.get(at) {
        at += match b {
            b'"' => return at + 1,
            b'\\' => 2,
            _ => 1,
        };
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        r#" { "a" : [1, {"x":"]"} ,"\"}"], "b":null , "a":"\u00e9\n", "c\"":-1.50e3 } "#;

    #[test]
    fn members_are_pieces_of_the_text() {
        check(TEXT).unwrap();
        let all: Vec<(String, &str)> = fields(TEXT).map(Result::unwrap).collect();
        let own = |(k, v): (&str, &'static str)| (k.to_owned(), v);
        let wanted = [
            ("a", r#"[1, {"x":"]"} ,"\"}"]"#),
            ("b", "null"),
            ("a", r#""\u00e9\n""#),
            ("c\"", "-1.50e3"),
        ];
        assert_eq!(all, wanted.map(own));
        let array = all[0].1;
        let found: Vec<&str> = items(array).collect();
        assert_eq!(found, ["1", r#"{"x":"]"}"#, r#""\"}""#]);
        assert_eq!(item(array, -2), Some(r#"{"x":"]"}"#));
        assert_eq!((item(array, 3), item(array, -4)), (None, None));
        assert_eq!(items("[ ]").count() + fields("{}").count(), 0);
        assert_eq!(
            items("{}").count() + fields("[1]").count() + items("7").count(),
            0
        );
    }

    #[test]
    fn the_last_of_equal_keys_is_found_and_strings_lose_their_quotes() {
        let last = field(TEXT, "a").unwrap().unwrap();
        assert_eq!(unquoted(last).unwrap().unwrap(), "é\n");
        assert_eq!(unquoted(" null").unwrap(), None);
        assert_eq!(unquoted(" [1, 2] ").unwrap().unwrap(), "[1, 2]");
        assert_eq!(field(TEXT, "z").unwrap(), None);
    }

    #[test]
    fn an_escape_that_is_no_text_is_json_all_the_same() {
        for text in [r#""\u0000""#, r#""\ud800""#] {
            check(text).unwrap();
            assert!(unquoted(text).is_err());
        }
        assert!(check(r#""\u00g0""#).is_err());
        assert!(check(&"[".repeat(100_000)).is_err());
    }
}
