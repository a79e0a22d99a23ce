//! Functions that make strings out of parts: concat, repeat, pad, replace, quote, format's helpers.

use super::{ANY, Function, args, lax_variadic, text_array};
use crate::exec::Context;
use crate::exec::functions::keywords::{self, Category};
use crate::exec::functions::{check_size, shown};
use DataType::*;
use std::borrow::Cow;
use types::{DataType, Error, Result, SqlState, Value};

pub static FUNCTIONS: &[Function] = &[
    lax_variadic("text_concat", &[ANY], Text, concat)
        .sql("concat")
        .stable(),
    lax_variadic("text_concat_ws", &[Text, ANY], Text, concat_ws)
        .sql("concat_ws")
        .stable(),
    Function::new("repeat", &[Text, Int4], Text, |_, a| {
        repeat(args::text(a, 0)?, args::int4(a, 1)?)
    }),
    Function::new("lpad", &[Text, Int4, Text], Text, |_, a| {
        pad(a, args::text(a, 2)?, true)
    }),
    Function::new("lpad_blank", &[Text, Int4], Text, |_, a| pad(a, " ", true)).sql("lpad"),
    Function::new("rpad", &[Text, Int4, Text], Text, |_, a| {
        pad(a, args::text(a, 2)?, false)
    }),
    Function::new("rpad_blank", &[Text, Int4], Text, |_, a| pad(a, " ", false)).sql("rpad"),
    Function::new("replace_text", &[Text, Text, Text], Text, |_, a| replace(a)).sql("replace"),
    Function::new("translate", &[Text, Text, Text], Text, |_, a| translate(a)),
    Function::new("quote_ident", &[Text], Text, |_, a| {
        Ok(quote_identifier(args::text(a, 0)?).into_owned().into())
    }),
    Function::new("quote_literal", &[Text], Text, |_, a| {
        Ok(quote_literal(args::text(a, 0)?).into())
    }),
    Function::new("quote_literal_any", &[ANY], Text, |c, a| {
        Ok(quote_literal(&shown(&a[0], c)).into())
    })
    .sql("quote_literal")
    .stable(),
    Function::new("quote_nullable", &[Text], Text, quote_nullable).lax(),
    Function::new("quote_nullable_any", &[ANY], Text, quote_nullable)
        .sql("quote_nullable")
        .lax()
        .stable(),
    Function::new("text_to_array", &[Text, Text], TextArray, |_, a| {
        string_to_array(a)
    })
    .sql("string_to_array")
    .lax(),
    Function::new(
        "text_to_array_null",
        &[Text, Text, Text],
        TextArray,
        |_, a| string_to_array(a),
    )
    .sql("string_to_array")
    .lax(),
    Function::new("split_part", &[Text, Text, Int4], Text, |_, a| {
        split_part(a)
    }),
    Function::new("parse_ident", &[Text], TextArray, |_, a| {
        Ok(text_array(
            crate::exec::cast::split_name(args::text(a, 0)?)?
                .into_iter()
                .map(Some),
        ))
    }),
];

pub fn concatenate(parts: &[&str]) -> Result<Value> {
    check_size(parts.iter().map(|p| p.len()).sum())?;
    Ok(parts.concat().into())
}

/// NULLs are left out.
fn concat(ctx: &Context, a: &[Value]) -> Result<Value> {
    let mut out = String::new();
    for v in a.iter().filter(|v| !v.is_null()) {
        out.push_str(&shown(v, ctx));
        check_size(out.len())?;
    }
    Ok(out.into())
}

fn concat_ws(ctx: &Context, a: &[Value]) -> Result<Value> {
    let Some((separator, rest)) = a.split_first() else {
        return Ok(Value::Null);
    };
    if separator.is_null() {
        return Ok(Value::Null);
    }
    let separator = args::text(a, 0)?;
    let mut out = String::new();
    for (i, v) in rest.iter().filter(|v| !v.is_null()).enumerate() {
        if i > 0 {
            out.push_str(separator);
        }
        out.push_str(&shown(v, ctx));
        check_size(out.len())?;
    }
    Ok(out.into())
}

fn repeat(s: &str, count: i32) -> Result<Value> {
    let count = usize::try_from(count).unwrap_or(0);
    check_size(s.len().saturating_mul(count))?;
    Ok(s.repeat(count).into())
}

fn pad(a: &[Value], fill: &str, left: bool) -> Result<Value> {
    let s = args::text(a, 0)?;
    let wanted = usize::try_from(args::int4(a, 1)?).unwrap_or(0);
    let have = s.chars().count();
    if have >= wanted {
        return Ok(s.chars().take(wanted).collect::<String>().into());
    }
    let missing = if fill.is_empty() { 0 } else { wanted - have };
    check_size(s.len().saturating_add(missing.saturating_mul(4)))?;
    let padding: String = fill.chars().cycle().take(missing).collect();
    Ok(if left {
        padding + s
    } else {
        s.to_owned() + &padding
    }
    .into())
}

fn replace(a: &[Value]) -> Result<Value> {
    let (s, from, to) = (args::text(a, 0)?, args::text(a, 1)?, args::text(a, 2)?);
    if from.is_empty() {
        return Ok(s.into());
    }
    let hits = s.matches(from).count();
    check_size(s.len().saturating_add(hits.saturating_mul(to.len())))?;
    Ok(s.replace(from, to).into())
}

fn translate(a: &[Value]) -> Result<Value> {
    let (s, from, to) = (args::text(a, 0)?, args::text(a, 1)?, args::text(a, 2)?);
    let to: Vec<char> = to.chars().collect();
    let mut map = hashbrown::HashMap::<char, Option<char>>::new();
    for (i, c) in from.chars().enumerate() {
        // The first mention of a character counts.
        map.entry(c).or_insert(to.get(i).copied());
    }
    let out: String = s
        .chars()
        .filter_map(|c| map.get(&c).copied().unwrap_or(Some(c)))
        .collect();
    Ok(out.into())
}

pub fn chr(code: i32) -> Result<Value> {
    let refuse = |m: String| Err(Error::new(SqlState::PROGRAM_LIMIT_EXCEEDED, m));
    if code == 0 {
        return refuse("null character not permitted".to_owned());
    }
    if code < 0 {
        return Err(Error::new(
            SqlState::INVALID_PARAMETER_VALUE,
            "character number must be positive",
        ));
    }
    match u32::try_from(code).ok().and_then(char::from_u32) {
        Some(c) => Ok(c.to_string().into()),
        None => refuse(format!(
            "requested character too large for encoding: {code}"
        )),
    }
}

/// Quoted unless it is a plain lower-case identifier that is no keyword.
pub fn quote_identifier(s: &str) -> Cow<'_, str> {
    let plain = s
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_lowercase() || b == b'_')
        && s.bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && matches!(keywords::category(s), None | Some(Category::Unreserved));
    if plain {
        Cow::Borrowed(s)
    } else {
        Cow::Owned(format!("\"{}\"", s.replace('"', "\"\"")))
    }
}

/// With the `E''` form where there is a backslash.
pub fn quote_literal(s: &str) -> String {
    let doubled = s.replace('\'', "''");
    if s.contains('\\') {
        format!("E'{}'", doubled.replace('\\', "\\\\"))
    } else {
        format!("'{doubled}'")
    }
}

fn quote_nullable(ctx: &Context, a: &[Value]) -> Result<Value> {
    Ok(match a.first() {
        None | Some(Value::Null) => "NULL".into(),
        Some(v) => quote_literal(&shown(v, ctx)).into(),
    })
}

/// NULL separator: one item a character; empty separator: one item; a third argument names the item that becomes NULL.
pub fn split_to_items(a: &[Value]) -> Result<Option<Vec<Option<String>>>> {
    if a.first().is_none_or(Value::is_null) {
        return Ok(None);
    }
    let s = args::text(a, 0)?;
    let null = match a.get(2) {
        None | Some(Value::Null) => None,
        Some(_) => Some(args::text(a, 2)?),
    };
    let item = |part: &str| (Some(part) != null).then(|| part.to_owned());
    Ok(Some(if s.is_empty() {
        Vec::new()
    } else if a.get(1).is_none_or(Value::is_null) {
        s.chars()
            .map(|c| item(c.encode_utf8(&mut [0; 4])))
            .collect()
    } else {
        match args::text(a, 1)? {
            "" => vec![item(s)],
            separator => s.split(separator).map(item).collect(),
        }
    }))
}

fn string_to_array(a: &[Value]) -> Result<Value> {
    Ok(split_to_items(a)?.map_or(Value::Null, text_array))
}

fn split_part(a: &[Value]) -> Result<Value> {
    let (s, separator, field) = (args::text(a, 0)?, args::text(a, 1)?, args::int4(a, 2)?);
    if field == 0 {
        return Err(Error::new(
            SqlState::INVALID_PARAMETER_VALUE,
            "field position must not be zero",
        ));
    }
    if separator.is_empty() {
        return Ok(if field == 1 || field == -1 { s } else { "" }.into());
    }
    let n = usize::try_from(field.unsigned_abs()).unwrap_or(usize::MAX) - 1;
    let part = if field > 0 {
        s.split(separator).nth(n)
    } else {
        s.rsplit(separator).nth(n)
    };
    Ok(part.unwrap_or("").into())
}
