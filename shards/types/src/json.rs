//! jsonb: parsed JSON with PostgreSQL's normal form (keys sorted by length then bytes, the last duplicate wins).
//!
//! Owns: the tree, its parser (numbers keep every digit) and its printer; `raw` looks into json that stays text.
//! Asked by: text and binary forms, jsonb functions, the HTTP codecs.
//! Bounds: nesting of `DEPTH_MAX`, one more is 54001; memory is linear in the text.
//! Source: RFC 8259; PostgreSQL 15 `jsonapi.c` for the wording of errors.

mod parse;
pub mod path;
pub mod raw;

use crate::{Numeric, Result};
use serde::{Deserialize, Serialize};
use std::fmt::Write;

pub use parse::DEPTH_MAX;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Json {
    Null,
    Bool(bool),
    Number(Numeric),
    String(String),
    Array(Vec<Json>),
    /// Sorted by (length, bytes) of the key, keys unique.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Parses a whole text. 22P02 with PostgreSQL's detail, 54001 when nested too deep.
    pub fn parse(text: &str) -> Result<Json> {
        parse::parse(text)
    }

    /// An object in normal form from pairs in any order.
    pub fn object(mut pairs: Vec<(String, Json)>) -> Json {
        // Stable, so of equal keys the last one given is the last of its run.
        pairs.sort_by(|a, b| key_order(&a.0, &b.0));
        let mut unique: Vec<(String, Json)> = Vec::with_capacity(pairs.len());
        for pair in pairs {
            match unique.last_mut() {
                Some(last) if last.0 == pair.0 => *last = pair,
                _ => unique.push(pair),
            }
        }
        Json::Object(unique)
    }

    /// The member of an object.
    pub fn get(&self, key: &str) -> Option<&Json> {
        match self {
            Json::Object(pairs) => pairs
                .binary_search_by(|p| key_order(&p.0, key))
                .ok()
                .map(|i| &pairs[i].1),
            _ => None,
        }
    }

    /// Compact with PostgreSQL's spaces: `{"a": [1, 2]}`.
    pub fn write(&self, out: &mut String) {
        match self {
            Json::Null => out.push_str("null"),
            Json::Bool(true) => out.push_str("true"),
            Json::Bool(false) => out.push_str("false"),
            Json::Number(n) => {
                let _ = write!(out, "{n}");
            }
            Json::String(s) => write_string(s, out),
            Json::Array(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push_str(", ");
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Json::Object(pairs) => {
                out.push('{');
                for (i, (key, value)) in pairs.iter().enumerate() {
                    if i > 0 {
                        out.push_str(", ");
                    }
                    write_string(key, out);
                    out.push_str(": ");
                    value.write(out);
                }
                out.push('}');
            }
        }
    }

    /// Indented by four, as `jsonb_pretty`.
    pub fn write_pretty(&self, depth: usize, out: &mut String) {
        let indent = |n: usize, out: &mut String| out.extend(std::iter::repeat_n(' ', n * 4));
        match self {
            Json::Array(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    out.push_str(if i > 0 { ",\n" } else { "\n" });
                    indent(depth + 1, out);
                    item.write_pretty(depth + 1, out);
                }
                out.push('\n');
                indent(depth, out);
                out.push(']');
            }
            Json::Object(pairs) => {
                out.push('{');
                for (i, (key, value)) in pairs.iter().enumerate() {
                    out.push_str(if i > 0 { ",\n" } else { "\n" });
                    indent(depth + 1, out);
                    write_string(key, out);
                    out.push_str(": ");
                    value.write_pretty(depth + 1, out);
                }
                out.push('\n');
                indent(depth, out);
                out.push('}');
            }
            scalar => scalar.write(out),
        }
    }

    /// Approximate memory in bytes.
    pub fn memory(&self) -> usize {
        size_of::<Json>()
            + match self {
                Json::Null | Json::Bool(_) => 0,
                Json::Number(n) => n.memory(),
                Json::String(s) => s.len(),
                Json::Array(a) => a.iter().map(Json::memory).sum(),
                Json::Object(o) => o.iter().map(|(k, v)| k.len() + 24 + v.memory()).sum(),
            }
    }
}

impl std::fmt::Display for Json {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = String::new();
        self.write(&mut out);
        f.write_str(&out)
    }
}

fn key_order(a: &str, b: &str) -> std::cmp::Ordering {
    a.len()
        .cmp(&b.len())
        .then_with(|| a.as_bytes().cmp(b.as_bytes()))
}

/// Quoted and escaped as `escape_json` does.
pub fn write_string(s: &str, out: &mut String) {
    out.push('"');
    for c in s.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
