//! Literals, parameters and typed strings.
//!
//! Owns: what a token of a value means before its context is known. Source: PostgreSQL 15 manual, 4.1.2.

use super::{Binder, syntax, too_many_parameters, unsupported};
use engine::plan::Expr;
use sqlparser::ast;
use sqlparser::tokenizer::Span;
use types::{DataType, Error, Numeric, Result, SqlState, Value, limits};

/// A string whose type the context decides.
pub(super) fn unknown(text: &str) -> Expr {
    Expr::Const(Value::text(text), DataType::Unknown)
}

impl<'a> Binder<'a> {
    pub(super) fn value(&mut self, v: &'a ast::ValueWithSpan) -> Result<Expr> {
        use ast::Value as V;
        match &v.value {
            V::Number(digits, _) => number(digits).map_err(|e| self.at(e, v.span)),
            V::SingleQuotedString(s)
            | V::EscapedStringLiteral(s)
            | V::UnicodeStringLiteral(s)
            | V::NationalStringLiteral(s) => self.string(s, v.span),
            V::DollarQuotedString(s) => self.string(&s.value, v.span),
            V::Boolean(b) => Ok(Expr::Const(Value::Bool(*b), DataType::Bool)),
            V::Null => Ok(Expr::Const(Value::Null, DataType::Unknown)),
            V::Placeholder(name) => self.param(name, v.span),
            V::HexStringLiteral(_) | V::SingleQuotedByteStringLiteral(_) => {
                Err(unsupported("a bit string"))
            }
            _ => Err(self.at(syntax("syntax error in a literal"), v.span)),
        }
    }

    fn string(&self, s: &str, span: Span) -> Result<Expr> {
        if s.contains('\0') {
            let e = Error::new(
                SqlState::CHARACTER_NOT_IN_REPERTOIRE,
                "invalid byte sequence for encoding \"UTF8\": 0x00",
            );
            return Err(self.at(e, span));
        }
        self.note_string(s, span);
        Ok(unknown(s))
    }

    fn param(&mut self, name: &str, span: Span) -> Result<Expr> {
        let n: Option<usize> = name.strip_prefix('$').and_then(|n| n.parse().ok());
        let Some(n) = n else {
            return Err(self.at(syntax(format!("syntax error at or near \"{name}\"")), span));
        };
        if n == 0 {
            let e = Error::new(
                SqlState::UNDEFINED_PARAMETER,
                "there is no parameter $0".to_string(),
            );
            return Err(self.at(e, span));
        }
        if n > limits::PARAMETERS_MAX {
            return Err(self.at(too_many_parameters(), span));
        }
        if let Some(argument) = self.argument(n - 1) {
            return argument.map_err(|e| self.at(e, span));
        }
        if self.params.len() < n {
            self.params.resize(n, None);
        }
        let ty = self.params.get(n - 1).copied().flatten();
        Ok(Expr::Param((n - 1) as u16, ty.unwrap_or(DataType::Unknown)))
    }

    /// `DATE '2024-01-31'`, `int4 '7'`.
    pub(super) fn typed_string(&mut self, t: &'a ast::TypedString) -> Result<Expr> {
        let to = self.declared_type(&t.data_type)?;
        let literal = self.value(&t.value)?;
        self.declared_cast(literal, to)
            .map_err(|e| self.at(e, t.value.span))
    }

    /// `INTERVAL '1 day'`, `INTERVAL '5' HOUR`.
    pub(super) fn interval(&mut self, i: &'a ast::Interval) -> Result<Expr> {
        let ast::Expr::Value(v) = &*i.value else {
            return Err(syntax("syntax error at or near \"interval\""));
        };
        let text = match self.value(v)? {
            Expr::Const(Value::Text(s), _) => s,
            _ => return Err(syntax("syntax error at or near \"interval\"")),
        };
        let typmod = interval_typmod(i)?;
        self.explicit_cast(unknown(&text), DataType::Interval, typmod)
            .map_err(|e| self.at(e, v.span))
    }
}

/// What an interval's literal says behind its text.
pub(super) fn interval_typmod(i: &ast::Interval) -> Result<i32> {
    let fields = [&i.leading_field, &i.last_field];
    let fields = fields
        .into_iter()
        .flatten()
        .map(|f| f.to_string().to_lowercase());
    let fields = fields.collect::<Vec<_>>().join(" to ");
    let decimals = match (i.leading_precision, i.fractional_seconds_precision) {
        // `second(2)`
        (Some(n), None) if i.last_field.is_none() && !fields.is_empty() => Some(n),
        (None, n) => n,
        _ => return Err(syntax("syntax error at or near \"(\"")),
    };
    super::datatype::interval(&fields, decimals)
}

/// int4, int8 or numeric by size.
pub(super) fn number(digits: &str) -> Result<Expr> {
    if let Ok(v) = digits.parse::<i32>() {
        return Ok(Expr::Const(Value::Int4(v), DataType::Int4));
    }
    if let Ok(v) = digits.parse::<i64>() {
        return Ok(Expr::Const(Value::Int8(v), DataType::Int8));
    }
    if digits.contains('_') || !plain_decimal(digits) {
        return Err(syntax(format!(
            "trailing junk after numeric literal at or near \"{digits}\""
        )));
    }
    let value: Numeric = digits
        .parse()
        .map_err(|_| syntax(format!("syntax error at or near \"{digits}\"")))?;
    Ok(Expr::Const(Value::Numeric(value), DataType::Numeric))
}

fn plain_decimal(digits: &str) -> bool {
    digits
        .bytes()
        .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'))
}
