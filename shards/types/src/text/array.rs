//! One-dimensional arrays: `{a,"b c",NULL}`.
//!
//! Source: PostgreSQL 15 `array_in`, `array_out`.

use super::forms::Forms;
use super::{ParseEnv, format as format_value, parse as parse_value, trim};
use crate::{Array, DataType, Error, Result, SqlState, Value};
use std::sync::Arc;

pub fn format(a: &Array, element: DataType, forms: &Forms, out: &mut String) {
    out.push('{');
    let mut item = String::new();
    for (i, v) in a.items.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        if v.is_null() {
            out.push_str("NULL");
            continue;
        }
        item.clear();
        format_value(v, element, forms, &mut item);
        if needs_quotes(&item) {
            out.push('"');
            for c in item.chars() {
                if matches!(c, '"' | '\\') {
                    out.push('\\');
                }
                out.push(c);
            }
            out.push('"');
        } else {
            out.push_str(&item);
        }
    }
    out.push('}');
}

/// Items with blanks between them.
pub fn format_vector(a: &Array, forms: &Forms, out: &mut String) {
    for (i, v) in a.items.iter().enumerate() {
        if i > 0 {
            out.push(' ');
        }
        format_value(v, a.element, forms, out);
    }
}

pub fn parse_vector(s: &str, ty: DataType, env: &ParseEnv<'_>) -> Result<Value> {
    let element = ty
        .element()
        .ok_or_else(|| Error::internal(format!("{ty} is not an array type")))?;
    let items = s.split_ascii_whitespace();
    let items = items.map(|item| parse_value(item, element, -1, env));
    Ok(Value::Array(Arc::new(Array {
        element,
        items: items.collect::<Result<_>>()?,
    })))
}

fn needs_quotes(s: &str) -> bool {
    s.is_empty()
        || s.eq_ignore_ascii_case("null")
        || s.bytes().any(|b| {
            matches!(b, b'"' | b'\\' | b'{' | b'}' | b',' | 0x0b) || b.is_ascii_whitespace()
        })
}

fn malformed(s: &str, detail: &str) -> Error {
    Error::new(
        SqlState::INVALID_TEXT_REPRESENTATION,
        format!("malformed array literal: \"{s}\""),
    )
    .with_detail(detail)
}

pub fn parse(s: &str, ty: DataType, typmod: i32, env: &ParseEnv<'_>) -> Result<Value> {
    let element = ty
        .element()
        .ok_or_else(|| Error::internal(format!("{ty} is not an array type")))?;
    let body = trim(s);
    let (body, count) = bounds(body, s)?;
    let Some(inner) = body.strip_prefix('{') else {
        return Err(malformed(
            s,
            "Array value must start with \"{\" or dimension information.",
        ));
    };
    let (items, tail) = items(inner, s, element, typmod, env)?;
    if !trim(tail).is_empty() {
        return Err(malformed(s, "Junk after closing right brace."));
    }
    if count.is_some_and(|c| c != items.len()) {
        return Err(malformed(
            s,
            "Specified array dimensions do not match array contents.",
        ));
    }
    Ok(Value::Array(Arc::new(Array { element, items })))
}

/// Items up to the closing brace, and what follows it.
fn items<'a>(
    inner: &'a str,
    s: &str,
    element: DataType,
    typmod: i32,
    env: &ParseEnv<'_>,
) -> Result<(Vec<Value>, &'a str)> {
    let mut items = Vec::new();
    let mut rest = inner.trim_start();
    if let Some(tail) = rest.strip_prefix('}') {
        return Ok((items, tail));
    }
    loop {
        let (item, tail) = one(rest, s)?;
        items.push(match item {
            None => Value::Null,
            Some(text) => parse_value(&text, element, typmod, env)?,
        });
        rest = tail.trim_start();
        if let Some(tail) = rest.strip_prefix(',') {
            rest = tail;
        } else if let Some(tail) = rest.strip_prefix('}') {
            return Ok((items, tail));
        } else {
            return Err(malformed(s, "Unexpected end of input."));
        }
    }
}

/// `[1:3]=` in front: the items' text and how many there must be. Only the lower bound 1 is stored, so any other is
/// refused.
fn bounds<'a>(body: &'a str, s: &str) -> Result<(&'a str, Option<usize>)> {
    let Some(rest) = body.strip_prefix('[') else {
        return Ok((body, None));
    };
    let (range, tail) = rest
        .split_once(']')
        .ok_or_else(|| malformed(s, "Missing \"]\" after array dimensions."))?;
    let tail = tail
        .trim_start()
        .strip_prefix('=')
        .ok_or_else(|| malformed(s, "Missing \"=\" after array dimensions."))?;
    let (lower, upper) = range.split_once(':').unwrap_or(("1", range));
    if lower.trim() != "1" {
        return Err(Error::unsupported(
            "arrays with a lower bound other than 1 are not supported",
        ));
    }
    let count = upper
        .trim()
        .parse()
        .map_err(|_| malformed(s, "Missing array dimension value."))?;
    Ok((tail.trim_start(), Some(count)))
}

/// One item (`None` = NULL) and what follows it.
fn one<'a>(text: &'a str, s: &str) -> Result<(Option<String>, &'a str)> {
    let text = text.trim_start();
    match text.strip_prefix('"') {
        Some(rest) => quoted(rest, s),
        None => bare(text, s),
    }
}

fn quoted<'a>(text: &'a str, s: &str) -> Result<(Option<String>, &'a str)> {
    let mut out = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => {
                let tail = text[at + 1..].trim_start();
                if !tail.is_empty() && !tail.starts_with([',', '}']) {
                    return Err(malformed(s, "Unexpected array element."));
                }
                return Ok((Some(out), tail));
            }
            '\\' => out.extend(chars.next().map(|(_, c)| c)),
            c => out.push(c),
        }
    }
    Err(malformed(s, "Unexpected end of input."))
}

fn bare<'a>(text: &'a str, s: &str) -> Result<(Option<String>, &'a str)> {
    let mut out = String::new();
    let mut escaped = false;
    // Blanks at the end do not belong to the item, unless escaped.
    let mut keep = 0;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => {
                out.extend(chars.next().map(|(_, c)| c));
                escaped = true;
                keep = out.len();
            }
            '"' => return Err(malformed(s, "Unexpected array element.")),
            '{' => {
                return Err(Error::unsupported(
                    "multidimensional arrays are not supported",
                ));
            }
            ',' | '}' => {
                out.truncate(keep);
                if out.is_empty() {
                    return Err(malformed(s, &format!("Unexpected \"{c}\" character.")));
                }
                let null = !escaped && out.eq_ignore_ascii_case("null");
                return Ok((if null { None } else { Some(out) }, &text[at..]));
            }
            c => {
                out.push(c);
                if !c.is_ascii_whitespace() {
                    keep = out.len();
                }
            }
        }
    }
    Err(malformed(s, "Unexpected end of input."))
}
