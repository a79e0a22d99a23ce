//! Rows: `(1,"a b",)`.
//!
//! Source: PostgreSQL 15 `record_in`, `record_out`.

use super::forms::Forms;
use super::{format as format_value, invalid_literal};
use crate::{Error, Record, Result};

pub fn format(r: &Record, forms: &Forms, out: &mut String) {
    out.push('(');
    let mut item = String::new();
    for (i, (field, v)) in r.pairs().enumerate() {
        if i > 0 {
            out.push(',');
        }
        if v.is_null() {
            continue;
        }
        item.clear();
        format_value(v, field.ty, forms, &mut item);
        if !needs_quotes(&item) {
            out.push_str(&item);
            continue;
        }
        out.push('"');
        for c in item.chars() {
            if matches!(c, '"' | '\\') {
                out.push(c);
            }
            out.push(c);
        }
        out.push('"');
    }
    out.push(')');
}

fn needs_quotes(s: &str) -> bool {
    s.is_empty()
        || s.bytes().any(|b| {
            matches!(b, b'"' | b'\\' | b'(' | b')' | b',' | 0x0b) || b.is_ascii_whitespace()
        })
}

fn malformed(s: &str, detail: &str) -> Error {
    invalid_literal(format!("malformed record literal: \"{s}\"")).with_detail(detail)
}

/// The texts of so many fields, `None` = NULL; 22P02 for fewer or more.
pub fn parse(s: &str, fields: usize) -> Result<Vec<Option<String>>> {
    let mut rest = trim_start(s);
    rest = rest
        .strip_prefix('(')
        .ok_or_else(|| malformed(s, "Missing left parenthesis."))?;
    let mut out = Vec::with_capacity(fields);
    for i in 0..fields {
        if i > 0 {
            rest = rest
                .strip_prefix(',')
                .ok_or_else(|| malformed(s, "Too few columns."))?;
        }
        if rest.starts_with([',', ')']) {
            out.push(None);
            continue;
        }
        let (item, tail) = one(rest, s)?;
        out.push(Some(item));
        rest = tail;
    }
    let tail = rest
        .strip_prefix(')')
        .ok_or_else(|| malformed(s, "Too many columns."))?;
    match trim_start(tail) {
        "" => Ok(out),
        _ => Err(malformed(s, "Junk after right parenthesis.")),
    }
}

/// A field's text and what follows it.
fn one<'a>(text: &'a str, s: &str) -> Result<(String, &'a str)> {
    let mut out = String::new();
    let mut quoted = false;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            ',' | ')' if !quoted => return Ok((out, &text[at..])),
            '\\' => match chars.next() {
                Some((_, c)) => out.push(c),
                None => break,
            },
            '"' if !quoted => quoted = true,
            '"' if chars.next_if(|(_, c)| *c == '"').is_some() => out.push('"'),
            '"' => quoted = false,
            c => out.push(c),
        }
    }
    Err(malformed(s, "Unexpected end of input."))
}

fn trim_start(s: &str) -> &str {
    s.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '\u{b}')
}
