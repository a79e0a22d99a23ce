//! POSIX regular expressions: `~`, SIMILAR TO, and the regexp functions.
//!
//! Owns: the translation of PostgreSQL's advanced regular expressions to the `regex` crate's syntax, and a small cache of
//! compiled ones on each thread.
//! Never: backtracks (time is linear in the text), so back references and lookaround are refused with 0A000. Where
//! alternatives overlap the first that matches is taken, where PostgreSQL takes the longest.
//! Bounds: 64 compiled expressions a thread, each of at most 2 MiB.
//! Source: PostgreSQL 15 manual, section 9.7.3; `regexp.c`.

pub mod counted;
mod syntax;

use super::{Function, args, text_array};
use crate::exec::functions::check_size;
use DataType::*;
use regex::{Captures, Regex};
use std::cell::RefCell;
use types::{DataType, Error, Result, SqlState, Value};

pub use syntax::similar;

const CACHE_MAX: usize = 64;
const COMPILED_BYTES_MAX: usize = 2 << 20;

/// For each type on the left: ~, !~, ~*, !~*.
macro_rules! matchers {
    ($($ty:ident: $eq:literal $ne:literal $ieq:literal $ine:literal;)*) => {
        pub static MATCHERS: &[Function] = &[$(
            Function::new($eq, &[$ty, Text], Bool, |_, a| verdict(a, "", true)).op("~"),
            Function::new($ne, &[$ty, Text], Bool, |_, a| verdict(a, "", false)).op("!~"),
            Function::new($ieq, &[$ty, Text], Bool, |_, a| verdict(a, "i", true)).op("~*"),
            Function::new($ine, &[$ty, Text], Bool, |_, a| verdict(a, "i", false)).op("!~*"),
        )*];
    };
}

matchers! {
    Text: "textregexeq" "textregexne" "texticregexeq" "texticregexne";
    Bpchar: "bpcharregexeq" "bpcharregexne" "bpcharicregexeq" "bpcharicregexne";
    Name: "nameregexeq" "nameregexne" "nameicregexeq" "nameicregexne";
}

pub static FUNCTIONS: &[Function] = &[
    Function::new("similar_to_escape", &[Text, Text], Text, |_, a| {
        Ok(similar(args::text(a, 0)?, Some(args::text(a, 1)?))?.into())
    }),
    Function::new("similar_to_escape_1", &[Text], Text, |_, a| {
        Ok(similar(args::text(a, 0)?, None)?.into())
    })
    .sql("similar_to_escape"),
    Function::new("regexp_like_no_flags", &[Text, Text], Bool, |_, a| {
        verdict(a, "", true)
    })
    .sql("regexp_like"),
    Function::new("regexp_like", &[Text, Text, Text], Bool, |_, a| {
        verdict(a, args::text(a, 2)?, true)
    }),
    Function::new("regexp_match_no_flags", &[Text, Text], TextArray, |_, a| {
        first_match(a, "")
    })
    .sql("regexp_match"),
    Function::new("regexp_match", &[Text, Text, Text], TextArray, |_, a| {
        first_match(a, args::text(a, 2)?)
    }),
    Function::new("regexp_count_no_start", &[Text, Text], Int4, |_, a| {
        count(a, 1, "")
    })
    .sql("regexp_count"),
    Function::new(
        "regexp_count_no_flags",
        &[Text, Text, Int4],
        Int4,
        |_, a| count(a, args::int4(a, 2)?, ""),
    )
    .sql("regexp_count"),
    Function::new("regexp_count", &[Text, Text, Int4, Text], Int4, |_, a| {
        count(a, args::int4(a, 2)?, args::text(a, 3)?)
    }),
    Function::new(
        "textregexreplace_noopt",
        &[Text, Text, Text],
        Text,
        |_, a| replace(a, ""),
    )
    .sql("regexp_replace"),
    Function::new(
        "textregexreplace",
        &[Text, Text, Text, Text],
        Text,
        |_, a| replace(a, args::text(a, 3)?),
    )
    .sql("regexp_replace"),
    Function::new(
        "regexp_split_to_array_no_flags",
        &[Text, Text],
        TextArray,
        |_, a| split_to_array(a, ""),
    )
    .sql("regexp_split_to_array"),
    Function::new(
        "regexp_split_to_array",
        &[Text, Text, Text],
        TextArray,
        |_, a| split_to_array(a, args::text(a, 2)?),
    ),
];

thread_local! {
    /// Compiled expressions by flags and pattern, the most recently used last.
    static CACHE: RefCell<Vec<(String, String, Regex)>> = const { RefCell::new(Vec::new()) };
}

/// The compiled form of `pattern` with single-letter options; `g` is the caller's.
pub fn compile(pattern: &str, flags: &str) -> Result<Regex> {
    let cached = CACHE.with_borrow_mut(|cache| {
        let at = cache
            .iter()
            .position(|(f, p, _)| f == flags && p == pattern)?;
        let entry = cache.remove(at);
        let regex = entry.2.clone();
        cache.push(entry);
        Some(regex)
    });
    if let Some(regex) = cached {
        return Ok(regex);
    }
    let translated = syntax::translate(pattern, flags)?;
    let regex = regex::RegexBuilder::new(&translated)
        .size_limit(COMPILED_BYTES_MAX)
        .dfa_size_limit(COMPILED_BYTES_MAX)
        .build()
        .map_err(|e| syntax::refuse(&e))?;
    CACHE.with_borrow_mut(|cache| {
        if cache.len() >= CACHE_MAX {
            cache.remove(0);
        }
        cache.push((flags.to_owned(), pattern.to_owned(), regex.clone()));
    });
    Ok(regex)
}

fn verdict(a: &[Value], flags: &str, wanted: bool) -> Result<Value> {
    no_global(flags, "regexp_like()", None)?;
    let regex = compile(args::text(a, 1)?, flags)?;
    Ok((regex.is_match(args::text(a, 0)?) == wanted).into())
}

/// The first parenthesised part of the first match, or the whole match; NULL without one.
pub fn substring(s: &str, pattern: &str) -> Result<Value> {
    let regex = compile(pattern, "")?;
    let found = regex.captures(s).and_then(|c| {
        let part = if c.len() > 1 { c.get(1) } else { c.get(0) };
        part.map(|m| m.as_str())
    });
    Ok(found.map_or(Value::Null, Value::from))
}

/// From the match that begins at or behind `from` on, each behind the one before: an empty one may be right behind another.
pub fn each<'r, 's>(
    regex: &'r Regex,
    s: &'s str,
    from: usize,
) -> impl Iterator<Item = Captures<'s>> + use<'r, 's> {
    let mut at = Some(from);
    std::iter::from_fn(move || {
        let found = regex.captures_at(s, at?)?;
        let whole = found.get(0)?;
        at = match whole.is_empty() {
            false => Some(whole.end()),
            true => {
                let next = s.get(whole.end()..).and_then(|rest| rest.chars().next());
                next.map(|c| whole.end() + c.len_utf8())
            }
        };
        Some(found)
    })
}

/// The captures of one match, or the whole of it where there are none.
pub fn groups(captures: &Captures) -> Value {
    let first = usize::from(captures.len() > 1);
    text_array((first..captures.len()).map(|i| captures.get(i).map(|m| m.as_str().to_owned())))
}

fn first_match(a: &[Value], flags: &str) -> Result<Value> {
    no_global(
        flags,
        "regexp_match()",
        Some("Use the regexp_matches function instead."),
    )?;
    let regex = compile(args::text(a, 1)?, flags)?;
    let found = regex.captures(args::text(a, 0)?);
    Ok(found.map_or(Value::Null, |c| groups(&c)))
}

fn count(a: &[Value], start: i32, flags: &str) -> Result<Value> {
    no_global(flags, "regexp_count()", None)?;
    if start <= 0 {
        return Err(Error::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("invalid value for parameter \"start\": {start}"),
        ));
    }
    let s = args::text(a, 0)?;
    let from = s.char_indices().nth(start as usize - 1).map(|(i, _)| i);
    let Some(from) = from else {
        return Ok(Value::Int4(0));
    };
    let regex = compile(args::text(a, 1)?, flags)?;
    let hits = each(&regex, s, from).count();
    Ok(Value::Int4(i32::try_from(hits).unwrap_or(i32::MAX)))
}

/// `\1` to `\9` and `\&` in the replacement stand for parts of the match.
fn replace(a: &[Value], flags: &str) -> Result<Value> {
    let (s, new) = (args::text(a, 0)?, args::text(a, 2)?);
    let global = flags.contains('g');
    let regex = compile(args::text(a, 1)?, &flags.replace('g', ""))?;
    let mut out = String::with_capacity(s.len());
    let mut last = 0;
    for captures in each(&regex, s, 0) {
        let Some(whole) = captures.get(0) else {
            continue;
        };
        out.push_str(&s[last..whole.start()]);
        expand(new, &captures, &mut out);
        check_size(out.len())?;
        last = whole.end();
        if !global {
            break;
        }
    }
    out.push_str(&s[last..]);
    Ok(out.into())
}

fn expand(template: &str, captures: &Captures, out: &mut String) {
    let mut chars = template.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some(d @ '1'..='9') => {
                let group = captures.get(d as usize - '0' as usize);
                out.push_str(group.map_or("", |m| m.as_str()));
            }
            Some('&') => out.push_str(captures.get(0).map_or("", |m| m.as_str())),
            Some('\\') => out.push('\\'),
            Some(other) => {
                out.push('\\');
                out.push(other);
            }
            None => out.push('\\'),
        }
    }
}

/// The parts between matches; an empty match splits between characters, but not at the ends.
pub fn split(s: &str, pattern: &str, flags: &str) -> Result<Vec<String>> {
    let regex = compile(pattern, flags)?;
    let mut parts = Vec::new();
    let mut last = 0;
    for m in regex.find_iter(s) {
        if m.is_empty() && (m.start() == last || m.start() == s.len()) {
            continue;
        }
        parts.push(s[last..m.start()].to_owned());
        last = m.end();
    }
    parts.push(s[last..].to_owned());
    Ok(parts)
}

fn split_to_array(a: &[Value], flags: &str) -> Result<Value> {
    no_global(flags, "regexp_split_to_array()", None)?;
    let parts = split(args::text(a, 0)?, args::text(a, 1)?, flags)?;
    Ok(text_array(parts.into_iter().map(Some)))
}

/// The option `g` where it makes no sense.
pub fn no_global(flags: &str, function: &str, hint: Option<&str>) -> Result<()> {
    if !flags.contains('g') {
        return Ok(());
    }
    let e = Error::new(
        SqlState::INVALID_PARAMETER_VALUE,
        format!("{function} does not support the \"global\" option"),
    );
    Err(match hint {
        Some(hint) => e.with_hint(hint),
        None => e,
    })
}
