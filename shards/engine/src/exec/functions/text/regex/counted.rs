//! regexp_instr, regexp_substr and regexp_replace with a place to begin at and the number of a match.
//!
//! Source: PostgreSQL 15, `regexp.c`.

use super::{Function, args, check_size, compile, each, expand, no_global};
use DataType::*;
use types::{DataType, Error, Result, SqlState, Value};

/// With ever more of their arguments, all but the first two of which may be left out.
macro_rules! growing {
    ($($sql:literal $ret:ident $run:ident { $($name:literal [$($ty:ident)*];)* })*) => {
        pub static FUNCTIONS: &[Function] = &[$($(
            Function::new($name, &[$($ty),*], $ret, |_, a| $run(a)).sql($sql),
        )*)*];
    };
}

growing! {
    "regexp_instr" Int4 instr {
        "regexp_instr_no_start" [Text Text];
        "regexp_instr_no_n" [Text Text Int4];
        "regexp_instr_no_endoption" [Text Text Int4 Int4];
        "regexp_instr_no_flags" [Text Text Int4 Int4 Int4];
        "regexp_instr_no_subexpr" [Text Text Int4 Int4 Int4 Text];
        "regexp_instr" [Text Text Int4 Int4 Int4 Text Int4];
    }
    "regexp_substr" Text substr {
        "regexp_substr_no_start" [Text Text];
        "regexp_substr_no_n" [Text Text Int4];
        "regexp_substr_no_flags" [Text Text Int4 Int4];
        "regexp_substr_no_subexpr" [Text Text Int4 Int4 Text];
        "regexp_substr" [Text Text Int4 Int4 Text Int4];
    }
    "regexp_replace" Text replace_from {
        "textregexreplace_extended_no_n" [Text Text Text Int4];
        "textregexreplace_extended_no_flags" [Text Text Text Int4 Int4];
        "textregexreplace_extended" [Text Text Text Int4 Int4 Text];
    }
}

fn int(a: &[Value], at: usize, default: i32) -> Result<i32> {
    a.get(at).map_or(Ok(default), |_| args::int4(a, at))
}

fn text(a: &[Value], at: usize) -> Result<&str> {
    a.get(at).map_or(Ok(""), |_| args::text(a, at))
}

/// 22023 for what is under the least.
fn at_least(least: i32, name: &str, value: i32) -> Result<usize> {
    match value >= least {
        true => Ok(value as usize),
        false => Err(invalid(name, value)),
    }
}

fn invalid(name: &str, value: i32) -> Error {
    Error::new(
        SqlState::INVALID_PARAMETER_VALUE,
        format!("invalid value for parameter \"{name}\": {value}"),
    )
}

/// The byte where the search begins; `None` behind the end.
fn begin(s: &str, start: i32) -> Result<Option<usize>> {
    let before = at_least(1, "start", start)? - 1;
    let ends = s.char_indices().map(|(i, _)| i).chain([s.len()]);
    Ok(ends.into_iter().nth(before))
}

/// Where the part of a match lies that is asked for.
fn nth(
    a: &[Value],
    function: &str,
    flags: usize,
    subexpr: usize,
) -> Result<Option<(usize, usize)>> {
    let s = args::text(a, 0)?;
    let letters = text(a, flags)?;
    let from = begin(s, int(a, 2, 1)?)?;
    let n = at_least(1, "n", int(a, 3, 1)?)?;
    let part = at_least(0, "subexpr", int(a, subexpr, 0)?)?;
    no_global(letters, function, None)?;
    let regex = compile(args::text(a, 1)?, letters)?;
    let found = from.and_then(|from| each(&regex, s, from).nth(n - 1));
    Ok(found.and_then(|c| c.get(part).map(|m| (m.start(), m.end()))))
}

fn instr(a: &[Value]) -> Result<Value> {
    let s = args::text(a, 0)?;
    let option = int(a, 4, 0)?;
    if !(0..=1).contains(&option) {
        return Err(invalid("endoption", option));
    }
    let found = nth(a, "regexp_instr()", 5, 6)?;
    let at = found.map_or(0, |(start, end)| {
        let byte = if option == 1 { end } else { start };
        s.get(..byte).unwrap_or("").chars().count() + 1
    });
    Ok(Value::Int4(i32::try_from(at).unwrap_or(i32::MAX)))
}

fn substr(a: &[Value]) -> Result<Value> {
    let s = args::text(a, 0)?;
    let found = nth(a, "regexp_substr()", 4, 5)?;
    let part = found.and_then(|(start, end)| s.get(start..end));
    Ok(part.map_or(Value::Null, Value::from))
}

/// `n` 0: all of them.
fn replace_from(a: &[Value]) -> Result<Value> {
    let (s, new) = (args::text(a, 0)?, args::text(a, 2)?);
    let from = begin(s, int(a, 3, 1)?)?;
    let n = at_least(0, "n", int(a, 4, 1)?)?;
    let regex = compile(args::text(a, 1)?, &text(a, 5)?.replace('g', ""))?;
    let Some(from) = from else {
        return Ok(s.into());
    };
    let (skipped, most) = if n == 0 { (0, usize::MAX) } else { (n - 1, 1) };
    let mut out = String::with_capacity(s.len());
    let mut last = 0;
    for captures in each(&regex, s, from).skip(skipped).take(most) {
        let Some(whole) = captures.get(0) else {
            continue;
        };
        out.push_str(s.get(last..whole.start()).unwrap_or(""));
        expand(new, &captures, &mut out);
        check_size(out.len())?;
        last = whole.end();
    }
    out.push_str(s.get(last..).unwrap_or(""));
    Ok(out.into())
}
