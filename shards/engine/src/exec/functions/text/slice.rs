//! Functions that take parts of a string: substring, left, right, trim, overlay.

use super::{Function, args, regex};
use DataType::*;
use types::{DataType, Error, Result, SqlState, Value};

pub static FUNCTIONS: &[Function] = &[
    Function::new("text_substr", &[Text, Int4, Int4], Text, |_, a| {
        substring(
            args::text(a, 0)?,
            args::int4(a, 1)?,
            Some(args::int4(a, 2)?),
        )
    })
    .sql("substring"),
    Function::new("text_substr_no_len", &[Text, Int4], Text, |_, a| {
        substring(args::text(a, 0)?, args::int4(a, 1)?, None)
    })
    .sql("substring"),
    Function::new("substr_len", &[Text, Int4, Int4], Text, |_, a| {
        substring(
            args::text(a, 0)?,
            args::int4(a, 1)?,
            Some(args::int4(a, 2)?),
        )
    })
    .sql("substr"),
    Function::new("substr", &[Text, Int4], Text, |_, a| {
        substring(args::text(a, 0)?, args::int4(a, 1)?, None)
    }),
    Function::new("textregexsubstr", &[Text, Text], Text, |_, a| {
        regex::substring(args::text(a, 0)?, args::text(a, 1)?)
    })
    .sql("substring"),
    Function::new("similar_substr", &[Text, Text, Text], Text, |_, a| {
        let pattern = regex::similar(args::text(a, 1)?, Some(args::text(a, 2)?))?;
        regex::substring(args::text(a, 0)?, &pattern)
    })
    .sql("substring"),
    Function::new("text_left", &[Text, Int4], Text, |_, a| {
        Ok(left(args::text(a, 0)?, args::int4(a, 1)?).into())
    })
    .sql("left"),
    Function::new("text_right", &[Text, Int4], Text, |_, a| {
        Ok(right(args::text(a, 0)?, args::int4(a, 1)?).into())
    })
    .sql("right"),
    Function::new("btrim", &[Text, Text], Text, |_, a| trim(a, true, true)),
    Function::new("btrim1", &[Text], Text, |_, a| {
        Ok(args::text(a, 0)?.trim_matches(' ').into())
    })
    .sql("btrim"),
    Function::new("ltrim", &[Text, Text], Text, |_, a| trim(a, true, false)),
    Function::new("ltrim1", &[Text], Text, |_, a| {
        Ok(args::text(a, 0)?.trim_start_matches(' ').into())
    })
    .sql("ltrim"),
    Function::new("rtrim", &[Text, Text], Text, |_, a| trim(a, false, true)),
    Function::new("rtrim1", &[Text], Text, |_, a| {
        Ok(args::text(a, 0)?.trim_end_matches(' ').into())
    })
    .sql("rtrim"),
    Function::new("textoverlay", &[Text, Text, Int4, Int4], Text, |_, a| {
        overlay(
            args::text(a, 0)?,
            args::text(a, 1)?,
            args::int4(a, 2)?,
            args::int4(a, 3)?,
        )
    })
    .sql("overlay"),
    Function::new("textoverlay_no_len", &[Text, Text, Int4], Text, |_, a| {
        let new = args::text(a, 1)?;
        let len = i32::try_from(new.chars().count()).unwrap_or(i32::MAX);
        overlay(args::text(a, 0)?, new, args::int4(a, 2)?, len)
    })
    .sql("overlay"),
];

/// The 0-based half-open range that SQL's 1-based start and length mean: what lies before 1 counts against the length.
pub fn bounds(start: i32, len: Option<i32>) -> Result<(usize, usize)> {
    let start = i64::from(start) - 1;
    let end = match len {
        None => i64::MAX,
        Some(len) if len < 0 => {
            return Err(Error::new(
                SqlState::SUBSTRING_ERROR,
                "negative substring length not allowed",
            ));
        }
        Some(len) => start + i64::from(len),
    };
    let clamp = |v: i64| usize::try_from(v).unwrap_or(0);
    Ok((clamp(start), clamp(end)))
}

fn substring(s: &str, start: i32, len: Option<i32>) -> Result<Value> {
    let (from, to) = bounds(start, len)?;
    Ok(cut(s, from, to).into())
}

/// Characters `from..to`, as far as there are any.
fn cut(s: &str, from: usize, to: usize) -> &str {
    if from >= to {
        return "";
    }
    let at = |n: usize| s.char_indices().nth(n).map_or(s.len(), |(i, _)| i);
    let begin = at(from);
    let end = match to.checked_sub(from) {
        Some(n) if to != usize::MAX => s[begin..]
            .char_indices()
            .nth(n)
            .map_or(s.len(), |(i, _)| begin + i),
        _ => s.len(),
    };
    &s[begin..end]
}

/// Negative n: all but the last |n|.
fn left(s: &str, n: i32) -> &str {
    match usize::try_from(n) {
        Ok(n) => cut(s, 0, n),
        Err(_) => {
            let keep = s.chars().count().saturating_sub(n.unsigned_abs() as usize);
            cut(s, 0, keep)
        }
    }
}

/// Negative n: all but the first |n|.
fn right(s: &str, n: i32) -> &str {
    match usize::try_from(n) {
        Ok(n) => cut(s, s.chars().count().saturating_sub(n), usize::MAX),
        Err(_) => cut(s, n.unsigned_abs() as usize, usize::MAX),
    }
}

fn trim(a: &[Value], start: bool, end: bool) -> Result<Value> {
    let set: Vec<char> = args::text(a, 1)?.chars().collect();
    let mut s = args::text(a, 0)?;
    if start {
        s = s.trim_start_matches(set.as_slice());
    }
    if end {
        s = s.trim_end_matches(set.as_slice());
    }
    Ok(s.into())
}

fn overlay(s: &str, new: &str, start: i32, len: i32) -> Result<Value> {
    if start <= 0 {
        return Err(Error::new(
            SqlState::SUBSTRING_ERROR,
            "negative substring length not allowed",
        ));
    }
    let start = start as usize - 1;
    // A negative length repeats characters, as in PostgreSQL.
    let resume = usize::try_from(start as i64 + i64::from(len)).unwrap_or(0);
    let head = cut(s, 0, start);
    let tail = cut(s, resume, usize::MAX);
    super::build::concatenate(&[head, new, tail])
}
