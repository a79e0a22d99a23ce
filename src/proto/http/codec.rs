//! JSON in and out: a request's body to a `Query`, rows to objects.
//!
//! Owns: `Query::parse`, `Columns` and `push_value`. Asked by: `query`. Pure functions over bytes; no I/O.
//! Never: builds SQL from what it read, rounds a number, makes JSON that does not parse.
//! Bounds: the body was bounded before it came here; nesting is bounded by serde_json (128); parameters by
//! `limits::PARAMETERS_MAX`. Source: RFC 8259; RFC 3339 for the `T` and the full offset of timestamps.

use super::error::Problem;
use crate::service::Forms;
use http::StatusCode;
use serde::Deserialize;
use std::fmt::Write;
use std::time::Duration;
use types::{Array, Column, DataType, Error, Row, SqlState, Value, limits};

/// The body of `POST /api/v1/query`.
#[derive(Debug, PartialEq)]
pub struct Query {
    pub sql: String,
    /// As text; `None` is NULL. Objects and arrays are their JSON, for `jsonb`.
    pub params: Vec<Option<String>>,
    pub timeout: Option<Duration>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawQuery {
    sql: String,
    #[serde(default)]
    params: Vec<serde_json::Value>,
    #[serde(default)]
    timeout: Option<RawTimeout>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawTimeout {
    Millis(u64),
    Text(String),
}

impl Query {
    pub fn parse(body: &[u8]) -> Result<Query, Problem> {
        let text = std::str::from_utf8(body).map_err(|e| {
            Error::new(
                SqlState::CHARACTER_NOT_IN_REPERTOIRE,
                format!("the body is not valid UTF-8 at byte {}", e.valid_up_to()),
            )
        })?;
        // The library would take an array for the fields in their order.
        let raw = match text.trim_start().starts_with('[') {
            false => serde_json::from_str::<RawQuery>(text).map_err(|e| e.to_string()),
            true => Err("it is an array".to_owned()),
        };
        let raw = raw.map_err(|e| {
            let message = format!("the body is not a valid query: {e}");
            Problem::http(StatusCode::BAD_REQUEST, message).with_hint(
                "send {\"sql\": text, \"params\": [values], \"timeout\": \"5s\"}; params and timeout may be left out",
            )
        })?;
        if raw.params.len() > limits::PARAMETERS_MAX {
            return Err(Error::new(
                SqlState::TOO_MANY_ARGUMENTS,
                format!(
                    "a statement has at most {} parameters",
                    limits::PARAMETERS_MAX
                ),
            )
            .into());
        }
        Ok(Query {
            sql: raw.sql,
            params: raw.params.into_iter().map(parameter_text).collect(),
            timeout: raw.timeout.map(timeout).transpose()?,
        })
    }
}

fn parameter_text(value: serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(text),
        serde_json::Value::Bool(b) => Some(b.to_string()),
        serde_json::Value::Number(n) => Some(n.to_string()),
        other @ (serde_json::Value::Array(_) | serde_json::Value::Object(_)) => {
            Some(other.to_string())
        }
    }
}

/// Milliseconds as a number, or text with its unit: `250ms`, `5s`, `1min`, `1h`.
fn timeout(raw: RawTimeout) -> Result<Duration, Problem> {
    let millis = match &raw {
        RawTimeout::Millis(n) => Some(*n),
        RawTimeout::Text(text) => [("ms", 1), ("s", 1_000), ("min", 60_000), ("h", 3_600_000)]
            .into_iter()
            .find_map(|(unit, factor)| {
                let number = text.strip_suffix(unit)?.trim_end();
                let digits = number.bytes().all(|b| b.is_ascii_digit());
                number
                    .parse::<u64>()
                    .ok()
                    .filter(|_| digits)?
                    .checked_mul(factor)
            }),
    };
    match millis {
        Some(millis) if millis > 0 => Ok(Duration::from_millis(millis)),
        _ => Err(Error::new(
            SqlState::INVALID_PARAMETER_VALUE,
            "the timeout must be milliseconds as a number, or a text such as \"250ms\", \"5s\" or \"1min\", and more than 0",
        )
        .into()),
    }
}

/// The columns of a result, with the keys its rows have as objects.
pub struct Columns {
    /// The description: `[{"name":…,"type":…},…]`.
    pub description: String,
    /// `"name":` of each column, escaped.
    keys: Vec<String>,
    types: Vec<DataType>,
}

impl Columns {
    pub fn new(columns: &[Column]) -> Columns {
        let names = unique_names(columns);
        let mut description = String::from("[");
        let mut keys = Vec::with_capacity(names.len());
        for (column, name) in columns.iter().zip(&names) {
            if !keys.is_empty() {
                description.push(',');
            }
            let mut key = String::new();
            push_string(name, &mut key);
            let _ = write!(description, "{{\"name\":{key},\"type\":");
            push_string(column.ty.sql_name(), &mut description);
            description.push('}');
            key.push(':');
            keys.push(key);
        }
        description.push(']');
        Columns {
            description,
            keys,
            types: columns.iter().map(|c| c.ty).collect(),
        }
    }

    /// A row as an object. A row of another width is our own mistake and is shown as far as both go.
    pub fn push_row(&self, row: &Row, forms: &Forms, out: &mut String) {
        out.push('{');
        for (i, ((key, ty), value)) in self.keys.iter().zip(&self.types).zip(row).enumerate() {
            if i > 0 {
                out.push(',');
            }
            out.push_str(key);
            push_value(value, *ty, forms, out);
        }
        out.push('}');
    }
}

/// A repeated name gets `_2`, `_3` …, passing over names that another column has.
fn unique_names(columns: &[Column]) -> Vec<String> {
    let mut taken: hashbrown::HashSet<&str> = columns.iter().map(|c| c.name.as_str()).collect();
    let mut seen: hashbrown::HashMap<&str, usize> = hashbrown::HashMap::new();
    let mut made: hashbrown::HashSet<String> = hashbrown::HashSet::new();
    let mut names = Vec::with_capacity(columns.len());
    for column in columns {
        let count = seen.entry(&column.name).or_insert(0);
        *count += 1;
        if *count == 1 {
            names.push(column.name.clone());
            continue;
        }
        let name = loop {
            let candidate = format!("{}_{count}", column.name);
            if !taken.contains(candidate.as_str()) && made.insert(candidate.clone()) {
                break candidate;
            }
            *count += 1;
        };
        names.push(name);
    }
    taken.clear();
    names
}

/// One value as JSON.
pub fn push_value(value: &Value, ty: DataType, forms: &Forms, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Int2(n) => push_display(n, out),
        Value::Int4(n) => push_display(n, out),
        Value::Int8(n) => push_display(n, out),
        Value::Oid(n) => push_display(n, out),
        Value::Float4(x) if x.is_finite() => push_number(serde_json::to_string(x), out),
        Value::Float8(x) if x.is_finite() => push_number(serde_json::to_string(x), out),
        Value::Numeric(n) if n.is_finite() => push_display(n, out),
        Value::Numeric(n) => push_string(&n.to_string(), out),
        Value::Text(text) => push_string(text, out),
        Value::Jsonb(json) => json.write(out),
        Value::Json(text) => out.push_str(text),
        Value::Array(array) => push_array(array, forms, out),
        Value::Reg(reg) => push_string(&reg.name, out),
        Value::Timestamp(_) | Value::Timestamptz(_) => {
            push_string(&iso_timestamp(&text_of(value, ty, forms)), out);
        }
        Value::Float4(_)
        | Value::Float8(_)
        | Value::Bytea(_)
        | Value::Date(_)
        | Value::Time(_)
        | Value::Interval(_)
        | Value::Uuid(_)
        | Value::Inet(_)
        | Value::Macaddr(_)
        | Value::Macaddr8(_)
        | Value::Enum(_)
        | Value::Record(_) => push_string(&text_of(value, ty, forms), out),
    }
}

fn push_array(array: &Array, forms: &Forms, out: &mut String) {
    out.push('[');
    for (i, item) in array.items.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        push_value(item, array.element, forms, out);
    }
    out.push(']');
}

/// As PostgreSQL prints it.
fn text_of(value: &Value, ty: DataType, forms: &Forms) -> String {
    let mut text = String::new();
    types::text::format(value, ty, forms, &mut text);
    text
}

/// `2024-01-31 12:00:00+02` → `2024-01-31T12:00:00+02:00`. Infinities and years before Christ, which ISO 8601's
/// common form cannot say, stay as PostgreSQL prints them.
fn iso_timestamp(text: &str) -> String {
    let Some((date, time)) = text.split_once(' ').filter(|_| !text.ends_with("BC")) else {
        return text.to_owned();
    };
    let offset = time.rfind(['+', '-']).map(|at| time.len() - at);
    match offset {
        Some(3) => format!("{date}T{time}:00"),
        _ => format!("{date}T{time}"),
    }
}

fn push_display(value: impl std::fmt::Display, out: &mut String) {
    let _ = write!(out, "{value}");
}

/// serde_json cannot fail on a finite float; were it to, null is still JSON.
fn push_number(text: serde_json::Result<String>, out: &mut String) {
    out.push_str(text.as_deref().unwrap_or("null"));
}

/// A JSON string with its quotes.
pub fn push_string(text: &str, out: &mut String) {
    out.push('"');
    let mut rest = text;
    // Most text needs no escape: copy the runs between those that do.
    while let Some(at) = rest.find(|c: char| c < ' ' || c == '"' || c == '\\') {
        let (plain, from) = rest.split_at(at);
        out.push_str(plain);
        let mut chars = from.chars();
        match chars.next() {
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some('\n') => out.push_str("\\n"),
            Some('\r') => out.push_str("\\r"),
            Some('\t') => out.push_str("\\t"),
            Some(c) => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            None => {}
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
    out.push('"');
}
