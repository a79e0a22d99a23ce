//! COPY's text format.
//!
//! Source: PostgreSQL 15 manual, COPY, "Text Format".

use super::{Decoder, Field, Reader, Record, of_line};
use sql::CopyOptions;
use types::{Error, Result, SqlState, Value};

pub struct Text {
    delimiter: u8,
    null: String,
    header: bool,
    header_match: bool,
}

impl Text {
    pub fn new(options: &CopyOptions) -> Text {
        Text {
            delimiter: options.delimiter,
            null: options.null.clone(),
            header: options.header,
            header_match: options.header_match,
        }
    }
}

impl Decoder for Text {
    fn record(
        &mut self,
        input: &[u8],
        last: bool,
        reader: &Reader,
    ) -> Result<Option<(usize, Record)>> {
        let Some((line, taken)) = line(input, last) else {
            return Ok(None);
        };
        if line == b"\\." {
            return Ok(Some((taken, Record::End)));
        }
        let line = utf8(line)?;
        if std::mem::replace(&mut self.header, false) {
            if self.header_match {
                check_header(line.split(char::from(self.delimiter)), &reader.fields)
                    .map_err(|e| of_line(e, line.as_bytes()))?;
            }
            return Ok(Some((taken, Record::Skip)));
        }
        self.fields(line, reader)
            .map(|values| Some((taken, Record::Row(values))))
            .map_err(|e| of_line(e, line.as_bytes()))
    }
}

impl Text {
    fn fields(&self, line: &str, reader: &Reader) -> Result<Vec<Value>> {
        let mut values = Vec::with_capacity(reader.fields.len());
        let mut rest = (!reader.fields.is_empty() || !line.is_empty()).then_some(line);
        for field in &reader.fields {
            let Some(text) = rest else {
                return Err(missing(field));
            };
            let end = self.end_of_field(text.as_bytes());
            let (raw, after) = (&text[..end], text.get(end + 1..));
            rest = after;
            values.push(if raw == self.null {
                Value::Null
            } else if raw.contains('\\') {
                reader.value(field, &unescape(raw)?)?
            } else {
                reader.value(field, raw)?
            });
        }
        match rest {
            Some(_) => Err(extra()),
            None => Ok(values),
        }
    }

    fn end_of_field(&self, text: &[u8]) -> usize {
        let mut at = 0;
        while at < text.len() {
            match text[at] {
                b'\\' => at += 2,
                b if b == self.delimiter => return at,
                _ => at += 1,
            }
        }
        text.len()
    }
}

/// The first line of `input` without its end, and how many bytes it takes. A backslash keeps a line's end inside it.
fn line(input: &[u8], last: bool) -> Option<(&[u8], usize)> {
    let mut from = 0;
    while let Some(n) = input[from..].iter().position(|b| *b == b'\n') {
        let end = from + n;
        let backslashes = input[..end]
            .iter()
            .rev()
            .take_while(|b| **b == b'\\')
            .count();
        if backslashes % 2 == 0 {
            let text = &input[..end];
            return Some((text.strip_suffix(b"\r").unwrap_or(text), end + 1));
        }
        from = end + 1;
    }
    (last && !input.is_empty()).then(|| (input.strip_suffix(b"\r").unwrap_or(input), input.len()))
}

fn unescape(raw: &str) -> Result<String> {
    let bytes = raw.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] != b'\\' || at + 1 == bytes.len() {
            out.push(bytes[at]);
            at += 1;
            continue;
        }
        at += 1;
        let (byte, used) = match bytes[at] {
            b'b' => (8, 1),
            b'f' => (12, 1),
            b'n' => (b'\n', 1),
            b'r' => (b'\r', 1),
            b't' => (b'\t', 1),
            b'v' => (11, 1),
            b'x' => digits(&bytes[at + 1..], 16, 2).map_or((b'x', 1), |(b, n)| (b, n + 1)),
            b'0'..=b'7' => digits(&bytes[at..], 8, 3).unwrap_or((bytes[at], 1)),
            other => (other, 1),
        };
        out.push(byte);
        at += used;
    }
    String::from_utf8(out).map_err(|_| not_utf8())
}

/// Up to `most` digits of a base; their value (cut to a byte) and how many there were.
fn digits(bytes: &[u8], base: u32, most: usize) -> Option<(u8, usize)> {
    let n = bytes
        .iter()
        .take(most)
        .take_while(|b| char::from(**b).is_digit(base))
        .count();
    let text = std::str::from_utf8(&bytes[..n]).ok()?;
    u32::from_str_radix(text, base).ok().map(|v| (v as u8, n))
}

pub fn utf8(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|_| not_utf8())
}

fn not_utf8() -> Error {
    Error::new(
        SqlState::CHARACTER_NOT_IN_REPERTOIRE,
        "invalid byte sequence for encoding \"UTF8\"",
    )
}

pub fn missing(field: &Field) -> Error {
    Error::new(
        SqlState::BAD_COPY_FILE_FORMAT,
        format!("missing data for column \"{}\"", field.name),
    )
}

pub fn extra() -> Error {
    Error::new(
        SqlState::BAD_COPY_FILE_FORMAT,
        "extra data after last expected column",
    )
}

pub fn check_header<'a>(names: impl Iterator<Item = &'a str>, fields: &[Field]) -> Result<()> {
    let names: Vec<&str> = names.collect();
    let refused = |what: String| Error::new(SqlState::BAD_COPY_FILE_FORMAT, what);
    if names.len() != fields.len() {
        return Err(refused(format!(
            "wrong number of fields in header line: got {}, expected {}",
            names.len(),
            fields.len()
        )));
    }
    for (n, (name, field)) in names.into_iter().zip(fields).enumerate() {
        if name != field.name {
            return Err(refused(format!(
                "column name mismatch in header line field {}: got \"{name}\", expected \"{}\"",
                n + 1,
                field.name
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_mean_what_the_manual_says() {
        assert_eq!(unescape(r"a\tb\\c\x41\101\q").unwrap(), "a\tb\\cAAq");
        assert!(unescape(r"\xff").is_err(), "not UTF-8");
    }

    #[test]
    fn a_line_ends_at_an_unescaped_newline_only() {
        assert_eq!(line(b"a\\\nb\nc", false), Some((&b"a\\\nb"[..], 5)));
        assert_eq!(line(b"a\r\nb", false), Some((&b"a"[..], 3)));
        assert_eq!(line(b"ab", false), None);
        assert_eq!(line(b"ab", true), Some((&b"ab"[..], 2)));
    }
}
