//! String functions and operators.
//!
//! Owns: their signatures; the bodies are in this folder by subject. Asked by: the registry.
//! Never: counts bytes where PostgreSQL counts characters. Bounds: a result is at most `limits::VALUE_BYTES_MAX`.
//! Source: PostgreSQL 15 manual, section 9.4.

mod buckets;
pub mod build;
mod format;
mod hash;
pub mod like;
mod normal;
pub mod regex;
mod slice;
mod unistr;

use super::{ANY, ANY_NONARRAY, Eval, Function, args};
use DataType::*;
use types::{DataType, Result, Value};

pub use build::{quote_identifier, quote_literal};
pub use slice::bounds;

pub static FUNCTIONS: &[&[Function]] = &[
    BASIC,
    like::FUNCTIONS,
    regex::MATCHERS,
    regex::FUNCTIONS,
    regex::counted::FUNCTIONS,
    slice::FUNCTIONS,
    build::FUNCTIONS,
    buckets::FUNCTIONS,
    normal::FUNCTIONS,
    hash::FUNCTIONS,
    format::FUNCTIONS,
];

static BASIC: &[Function] = &[
    Function::new("textcat", &[Text, Text], Text, |_, a| {
        build::concatenate(&[args::text(a, 0)?, args::text(a, 1)?])
    })
    .op("||"),
    Function::new("textanycat", &[Text, ANY_NONARRAY], Text, any_concatenation)
        .op("||")
        .stable(),
    Function::new("anytextcat", &[ANY_NONARRAY, Text], Text, any_concatenation)
        .op("||")
        .stable(),
    Function::new("unistr", &[Text], Text, |_, a| unistr::unistr(a)),
    Function::new("textlen", &[Text], Int4, |_, a| {
        characters(args::text(a, 0)?)
    })
    .sql("length"),
    Function::new("bpcharlen", &[Bpchar], Int4, |_, a| {
        characters(args::text(a, 0)?.trim_end_matches(' '))
    })
    .sql("length"),
    Function::new("octetlen", &[Text], Int4, |_, a| {
        length(args::text(a, 0)?.len())
    })
    .sql("octet_length"),
    Function::new("bpcharoctetlen", &[Bpchar], Int4, |_, a| {
        length(args::text(a, 0)?.len())
    })
    .sql("octet_length"),
    Function::new("textbitlen", &[Text], Int4, |_, a| {
        length(args::text(a, 0)?.len() * 8)
    })
    .sql("bit_length"),
    Function::new("lower", &[Text], Text, |_, a| {
        map(a, |s| {
            s.chars().map(|c| single(c, c.to_lowercase())).collect()
        })
    }),
    Function::new("upper", &[Text], Text, |_, a| {
        map(a, |s| {
            s.chars().map(|c| single(c, c.to_uppercase())).collect()
        })
    }),
    Function::new("initcap", &[Text], Text, |_, a| map(a, initcap)),
    Function::new("ascii", &[Text], Int4, |_, a| {
        Ok(Value::Int4(
            args::text(a, 0)?.chars().next().map_or(0, |c| c as i32),
        ))
    }),
    Function::new("chr", &[Int4], Text, |_, a| build::chr(args::int4(a, 0)?)),
    Function::new("text_reverse", &[Text], Text, |_, a| {
        map(a, |s| s.chars().rev().collect())
    })
    .sql("reverse"),
    Function::new("text_starts_with", &[Text, Text], Bool, |_, a| {
        Ok(args::text(a, 0)?.starts_with(args::text(a, 1)?).into())
    })
    .sql("starts_with")
    .op("^@"),
    Function::new("textpos", &[Text, Text], Int4, |_, a| {
        position(args::text(a, 0)?, args::text(a, 1)?)
    })
    .sql("position"),
    Function::new("strpos", &[Text, Text], Int4, |_, a| {
        position(args::text(a, 0)?, args::text(a, 1)?)
    }),
];

/// `text || anything`, as its text; the argument's type is told by the value.
/// As a cast to text prints them, which for booleans is not as they are shown.
fn any_concatenation(ctx: &crate::exec::Context, a: &[Value]) -> Result<Value> {
    let (left, right) = args::two(a)?;
    let text = |v: &Value| match v {
        // As their casts to text.
        Value::Bool(b) => b.to_string(),
        Value::Inet(i) => {
            let mut text = String::new();
            i.write(true, &mut text);
            text
        }
        v => super::shown(v, ctx).into_owned(),
    };
    build::concatenate(&[&text(left), &text(right)])
}

/// Case maps of one character to several (ß to SS) are not applied, as in PostgreSQL.
fn single(c: char, mut mapped: impl ExactSizeIterator<Item = char>) -> char {
    match (mapped.len(), mapped.next()) {
        (1, Some(m)) => m,
        _ => c,
    }
}

fn map(a: &[Value], f: impl Fn(&str) -> String) -> Result<Value> {
    Ok(f(args::text(a, 0)?).into())
}

fn characters(s: &str) -> Result<Value> {
    length(s.chars().count())
}

/// Values are far below 2 GiB, so a length fits.
fn length(n: usize) -> Result<Value> {
    Ok(Value::Int4(i32::try_from(n).unwrap_or(i32::MAX)))
}

/// The first letter of each run of letters and digits in upper case, the others in lower.
fn initcap(s: &str) -> String {
    let mut inside = false;
    s.chars()
        .map(|c| {
            let mapped = if inside {
                single(c, c.to_lowercase())
            } else {
                single(c, c.to_uppercase())
            };
            inside = c.is_alphanumeric();
            mapped
        })
        .collect()
}

/// 1-based character position, 0 when absent.
fn position(s: &str, part: &str) -> Result<Value> {
    let at = s.find(part).map_or(0, |i| s[..i].chars().count() + 1);
    length(at)
}

/// An array of texts.
pub fn text_array(items: impl IntoIterator<Item = Option<String>>) -> Value {
    Value::Array(std::sync::Arc::new(types::Array {
        element: Text,
        items: items
            .into_iter()
            .map(|i| i.map_or(Value::Null, Value::from))
            .collect(),
    }))
}

/// For tables in this folder.
const fn lax_variadic(
    name: &'static str,
    args: &'static [DataType],
    ret: DataType,
    eval: Eval,
) -> Function {
    Function::new(name, args, ret, eval).lax().variadic()
}
