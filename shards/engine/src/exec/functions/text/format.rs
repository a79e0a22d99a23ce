//! `format()`: %s, %I and %L with positions, widths and flags.
//!
//! Source: PostgreSQL 15 manual, section 9.4.1; `text_format`.

use super::build::{quote_identifier, quote_literal};
use super::{ANY, Function, args, lax_variadic};
use crate::exec::Context;
use crate::exec::functions::{check_size, shown};
use DataType::*;
use types::{DataType, Error, Result, SqlState, Value};

pub static FUNCTIONS: &[Function] = &[lax_variadic("text_format", &[Text, ANY], Text, format)
    .sql("format")
    .stable()];

fn refuse(message: impl Into<String>) -> Error {
    Error::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn format(ctx: &Context, a: &[Value]) -> Result<Value> {
    if a.first().is_none_or(Value::is_null) {
        return Ok(Value::Null);
    }
    let mut f = Formatter {
        ctx,
        args: &a[1..],
        next: 0,
        out: String::new(),
    };
    let mut chars = args::text(a, 0)?.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            f.out.push(c);
        } else if chars.next_if_eq(&'%').is_some() {
            f.out.push('%');
        } else {
            f.specifier(&mut chars)?;
        }
        check_size(f.out.len())?;
    }
    Ok(f.out.into())
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

struct Formatter<'a> {
    ctx: &'a Context,
    args: &'a [Value],
    next: usize,
    out: String,
}

impl Formatter<'_> {
    /// `[position$][-][width]type` after the percent sign.
    fn specifier(&mut self, chars: &mut Chars) -> Result<()> {
        let mut position = None;
        let mut left = false;
        let mut width = number(chars)?;
        if width.is_some() && chars.next_if_eq(&'$').is_some() {
            position = width.take();
        }
        while chars.next_if_eq(&'-').is_some() {
            left = true;
        }
        if width.is_none() {
            width = number(chars)?;
        }
        if width.is_none() && chars.next_if_eq(&'*').is_some() {
            let at = number(chars)?;
            if at.is_some() && chars.next_if_eq(&'$').is_none() {
                return Err(refuse("width argument position must be ended by \"$\""));
            }
            let given = self.argument(at)?.as_i64().unwrap_or(0);
            left |= given < 0;
            width = Some(usize::try_from(given.unsigned_abs()).unwrap_or(usize::MAX));
        }
        let kind = chars.next().ok_or_else(unterminated)?;
        if !matches!(kind, 's' | 'I' | 'L') {
            return Err(
                refuse(format!("unrecognized format() type specifier \"{kind}\""))
                    .with_hint("For a single \"%\" use \"%%\"."),
            );
        }
        let value = self.argument(position)?;
        let text = match (kind, value.is_null()) {
            ('I', true) => {
                return Err(Error::new(
                    SqlState::NULL_VALUE_NOT_ALLOWED,
                    "null values cannot be formatted as an SQL identifier",
                ));
            }
            ('L', true) => "NULL".to_owned(),
            (_, true) => String::new(),
            ('I', _) => quote_identifier(&shown(&value, self.ctx)).into_owned(),
            ('L', _) => quote_literal(&shown(&value, self.ctx)),
            _ => shown(&value, self.ctx).into_owned(),
        };
        self.push(&text, width.unwrap_or(0), left)
    }

    fn argument(&mut self, position: Option<usize>) -> Result<Value> {
        let at = match position {
            Some(0) => {
                return Err(refuse(
                    "format specifies argument 0, but arguments are numbered from 1",
                ));
            }
            Some(n) => n - 1,
            None => self.next,
        };
        self.next = at + 1;
        let found = self.args.get(at).cloned();
        found.ok_or_else(|| refuse("too few arguments for format()"))
    }

    fn push(&mut self, text: &str, width: usize, left: bool) -> Result<()> {
        let missing = width.saturating_sub(text.chars().count());
        check_size(missing)?;
        if left {
            self.out.push_str(text);
        }
        self.out.extend(std::iter::repeat_n(' ', missing));
        if !left {
            self.out.push_str(text);
        }
        Ok(())
    }
}

fn number(chars: &mut Chars) -> Result<Option<usize>> {
    let mut found = None;
    while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
        chars.next();
        let value = found.unwrap_or(0usize) * 10 + digit as usize;
        if value > i32::MAX as usize {
            return Err(crate::exec::functions::out_of_range(
                "number is out of range",
            ));
        }
        found = Some(value);
    }
    Ok(found)
}

fn unterminated() -> Error {
    refuse("unterminated format() type specifier").with_hint("For a single \"%\" use \"%%\".")
}
