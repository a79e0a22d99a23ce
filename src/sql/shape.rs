//! The shape of a statement: its text with parameters in place of the whole numbers that say which row, or what to put
//! there. Statements of one shape can share a plan, so a client that writes its values into the text need not have every
//! one of them read and planned.
//!
//! Owns: which numbers those are. A number behind a comparison or an arithmetic operator, or in the rows of an INSERT, has
//! the type that a parameter declared so has; one anywhere else may mean more than its value (`ORDER BY 1`, `varchar(10)`)
//! and stays. Asked by: session, before a text is read. Never: decides that a plan may be shared; what the numbers could
//! change about it is for `session::shapes` to see. Bounds: `TEXT_MAX`, `NUMBERS_MAX`; one pass over the text.

use smallvec::SmallVec;
use types::{DataType, Value};

/// Longer texts are read each time.
const TEXT_MAX: usize = 4 << 10;
const NUMBERS_MAX: usize = 32;

pub struct Shape {
    /// One statement, without blanks around it and without the semicolon.
    pub text: String,
    pub numbers: SmallVec<[Value; 4]>,
    pub types: SmallVec<[Option<DataType>; 4]>,
}

/// What stands before a number.
#[derive(Clone, Copy, PartialEq)]
enum Before {
    Operator,
    /// A parenthesis or comma in the rows of an INSERT.
    Item,
    Other,
}

/// The text of the one statement in `sql`, as `Parsed` has it when nothing needs to be looked at more closely.
pub fn statement_text(sql: &str) -> &str {
    let sql = sql.trim_matches([' ', '\t', '\n', '\r']);
    let sql = sql.strip_suffix(';').unwrap_or(sql);
    sql.trim_end_matches([' ', '\t', '\n', '\r'])
}

/// `None`: the text has to be read.
pub fn shape(sql: &str) -> Option<Shape> {
    let sql = statement_text(sql);
    if sql.len() > TEXT_MAX {
        return None;
    }
    let mut walk = Walk {
        sql,
        at: 0,
        copied: 0,
        before: Before::Other,
        insert: false,
        values: false,
        shape: Shape {
            text: String::with_capacity(sql.len() + 8),
            numbers: SmallVec::new(),
            types: SmallVec::new(),
        },
    };
    let first = walk.word();
    walk.insert = first.eq_ignore_ascii_case("insert");
    while walk.step()? {}
    walk.shape.text.push_str(sql.get(walk.copied..)?);
    Some(walk.shape)
}

struct Walk<'a> {
    sql: &'a str,
    at: usize,
    /// What is before it is in the shape's text.
    copied: usize,
    before: Before,
    insert: bool,
    /// The rows of an INSERT have begun.
    values: bool,
    shape: Shape,
}

fn in_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

impl<'a> Walk<'a> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.sql.as_bytes().get(self.at + ahead).copied()
    }

    /// The word that begins here; empty when none does.
    fn word(&mut self) -> &'a str {
        let from = self.at;
        while self.peek(0).is_some_and(in_word) {
            self.at += 1;
        }
        self.sql.get(from..self.at).unwrap_or_default()
    }

    /// Goes on by one token. `Some(false)` at the end, `None` at what only the grammar understands.
    fn step(&mut self) -> Option<bool> {
        let Some(byte) = self.peek(0) else {
            return Some(false);
        };
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => {
                self.at += 1;
                return Some(true);
            }
            b'0'..=b'9' => self.number()?,
            b'\'' | b'"' => self.quoted(byte)?,
            _ if in_word(byte) => {
                let word = self.word();
                self.values |= self.insert && word.eq_ignore_ascii_case("values");
                // E'…', B'…', U&'…'.
                if matches!(self.peek(0), Some(b'\'' | b'&')) {
                    return None;
                }
                self.before = Before::Other;
            }
            b'-' if self.peek(1) == Some(b'-') => return None,
            b'/' if self.peek(1) == Some(b'*') => return None,
            b'=' | b'<' | b'>' | b'+' | b'-' | b'*' | b'/' | b'%' => {
                self.at += 1;
                self.before = Before::Operator;
            }
            b'(' | b',' => {
                self.at += 1;
                self.before = match self.values {
                    true => Before::Item,
                    false => Before::Other,
                };
            }
            b')' | b'[' | b']' | b':' | b'|' | b'!' | b'~' | b'&' | b'#' | b'@' | b'^' => {
                self.at += 1;
                self.before = Before::Other;
            }
            // `a.b`; a number that begins with the point is not a whole one.
            b'.' => {
                self.at += 1;
                self.word();
                self.before = Before::Other;
            }
            // Parameters and quoting by dollars; further statements; what no token begins with.
            _ => return None,
        }
        Some(true)
    }

    fn quoted(&mut self, quote: u8) -> Option<()> {
        let rest = self.sql.as_bytes().get(self.at + 1..)?;
        let end = rest.iter().position(|b| *b == quote)?;
        self.at += end + 2;
        self.before = Before::Other;
        Some(())
    }

    fn number(&mut self) -> Option<()> {
        let from = self.at;
        while self.peek(0).is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        let digits = self.sql.get(from..self.at)?;
        let whole = !self.peek(0).is_some_and(|b| in_word(b) || b == b'.');
        let lifted = match self.before {
            Before::Operator | Before::Item if whole => number(digits),
            _ => None,
        };
        // `1.5`, `1e5`, `0x1f`: all of it.
        while self.peek(0).is_some_and(|b| in_word(b) || b == b'.') {
            self.at += 1;
        }
        self.before = Before::Other;
        let Some((value, ty)) = lifted else {
            return Some(());
        };
        if self.shape.numbers.len() >= NUMBERS_MAX {
            return None;
        }
        self.shape.numbers.push(value);
        self.shape.types.push(Some(ty));
        let text = &mut self.shape.text;
        text.push_str(self.sql.get(self.copied..from)?);
        text.push('$');
        text.push_str(itoa(self.shape.numbers.len()));
        self.copied = self.at;
        Some(())
    }
}

/// With the type that it has as a literal.
fn number(digits: &str) -> Option<(Value, DataType)> {
    let number: i64 = digits.parse().ok()?;
    Some(match i32::try_from(number) {
        Ok(small) => (Value::Int4(small), DataType::Int4),
        Err(_) => (Value::Int8(number), DataType::Int8),
    })
}

/// Up to `NUMBERS_MAX`, without the machinery of formatting.
fn itoa(n: usize) -> &'static str {
    const TEXTS: [&str; NUMBERS_MAX + 1] = [
        "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16",
        "17", "18", "19", "20", "21", "22", "23", "24", "25", "26", "27", "28", "29", "30", "31",
        "32",
    ];
    TEXTS.get(n).copied().unwrap_or("0")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape_of(sql: &str) -> String {
        match shape(sql) {
            None => "-".into(),
            Some(s) => format!("{} {:?}", s.text, s.numbers.as_slice()),
        }
    }

    #[test]
    fn numbers_that_are_only_values_are_taken_out() {
        let cases = [
            (
                "select a from t where id = 5;",
                "select a from t where id = $1 [Int4(5)]",
            ),
            (
                "update t set a = a + -45 where id=7",
                "update t set a = a + -$1 where id=$2 [Int4(45), Int4(7)]",
            ),
            (
                "delete from t where id = 3000000000",
                "delete from t where id = $1 [Int8(3000000000)]",
            ),
            (
                "insert into t (a, b) values (1, 'x2', 3), (4, now(), 5)",
                "insert into t (a, b) values ($1, 'x2', $2), ($3, now(), $4) [Int4(1), Int4(3), Int4(4), Int4(5)]",
            ),
            (
                "select 1 from t where a = 'it''s = 5' and \"b = 6\" = 7",
                "select 1 from t where a = 'it''s = 5' and \"b = 6\" = $1 [Int4(7)]",
            ),
        ];
        for (sql, expected) in cases {
            assert_eq!(shape_of(sql), expected);
        }
    }

    #[test]
    fn numbers_that_may_mean_more_stay() {
        let whole = |sql: &str| format!("{sql} []");
        for sql in [
            "select a from t order by 1",
            "select a from t limit 10 offset 5",
            "select a::numeric(10, 2) from t2",
            "select a from t where x = 1.5 or x = 1e3 or x = .5 or x = 0x1f",
            "select 99999999999999999999 where x = 99999999999999999999",
            "select a.5 from t",
            "begin",
        ] {
            assert_eq!(shape_of(sql), whole(sql));
        }
    }

    #[test]
    fn what_only_the_grammar_understands_is_left_to_it() {
        for sql in [
            "select 1; select 2",
            "select $1",
            "select $$a = 5$$",
            "select a = 5 -- = 6",
            "select a /* = 5 */",
            "select E'\\' = 5'",
            "select U&'x'",
            "select 'open = 5",
            "select \\x",
        ] {
            assert_eq!(shape_of(sql), "-", "{sql}");
        }
    }

    #[test]
    fn one_number_too_many_is_read_in_full() {
        let row = |n: usize| format!("insert into t values ({})", vec!["1"; n].join(","));
        assert_eq!(shape(&row(NUMBERS_MAX)).unwrap().numbers.len(), NUMBERS_MAX);
        assert!(shape(&row(NUMBERS_MAX + 1)).is_none());
        let long = |n: usize| format!("select '{}'", "x".repeat(n - 9));
        assert!(shape(&long(TEXT_MAX)).is_some());
        assert!(shape(&long(TEXT_MAX + 1)).is_none());
    }
}
