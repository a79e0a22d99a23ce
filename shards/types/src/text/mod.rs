//! Values to and from PostgreSQL's text form.
//!
//! Owns: the input and output functions of every type, with PostgreSQL's wording of errors. The wire, COPY, HTTP and casts
//! all come here, so they agree. Asked by: everything that shows or reads a value.
//! Never: looks up a catalog (names behind `regclass` are the engine's), reads a clock.
//! Bounds: output is linear in the value; nesting of jsonb and arrays is limited on input.
//! Source: PostgreSQL 15's type input and output functions; extra_float_digits 1.

pub mod array;
mod bytea;
pub mod forms;
mod number;
mod record;
mod typmod;

#[cfg(test)]
mod tests;

use crate::{DataType, Error, Json, Numeric, Reg, Result, SqlState, Value, json, limits, time};
use std::fmt::Write;
use std::sync::Arc;

use crate::network::{Inet, Mac, Mac8};
pub use crate::time::parse::ParseEnv;
use crate::time::range::Range;
pub use array::parse as parse_array;
pub use forms::Forms;
pub use number::{float4, float8};
pub use record::parse as parse_record;
pub use typmod::apply_typmod;

/// Appends the text form. NULL appends nothing: its form is the caller's (the wire sends a length of -1).
pub fn format(v: &Value, ty: DataType, forms: &Forms, out: &mut String) {
    match v {
        Value::Null => {}
        Value::Bool(b) => out.push(if *b { 't' } else { 'f' }),
        Value::Int2(v) => number::integer(i64::from(*v), out),
        Value::Int4(v) => number::integer(i64::from(*v), out),
        Value::Int8(v) => number::integer(*v, out),
        Value::Oid(v) => number::integer(i64::from(*v), out),
        Value::Float4(v) => number::float4(*v, out),
        Value::Float8(v) => number::float8(*v, out),
        Value::Numeric(n) => {
            let _ = write!(out, "{n}");
        }
        Value::Text(s) | Value::Json(s) => out.push_str(s),
        Value::Bytea(b) => bytea::format(b, forms.bytes, out),
        Value::Date(d) => time::format::date(*d, forms, out),
        Value::Time(t) => time::format::time(*t, out),
        Value::Timestamp(t) => time::format::timestamp(*t, forms, out),
        Value::Timestamptz(t) => time::format::timestamptz(*t, forms, out),
        Value::Interval(i) => time::format::interval(i, forms.intervals, out),
        Value::Uuid(u) => {
            let _ = write!(out, "{u}");
        }
        Value::Inet(i) => i.write(i.is_cidr(), out),
        Value::Macaddr(m) => {
            let _ = write!(out, "{m}");
        }
        Value::Macaddr8(m) => {
            let _ = write!(out, "{m}");
        }
        Value::Jsonb(j) => j.write(out),
        Value::Reg(r) => out.push_str(&r.name),
        Value::Enum(e) => {
            let _ = crate::marks::of_label(e.ty, e.order, out);
        }
        Value::Record(r) => record::format(r, forms, out),
        Value::Array(a) if ty.is_vector() => array::format_vector(a, forms, out),
        Value::Array(a) => array::format(a, ty.element().unwrap_or(a.element), forms, out),
    }
}

/// The text form by itself.
pub fn to_string(v: &Value, ty: DataType, forms: &Forms) -> String {
    let mut out = String::new();
    format(v, ty, forms, &mut out);
    out
}

/// Reads a literal, then applies the type's modifier as an assignment does.
pub fn parse(s: &str, ty: DataType, typmod: i32, env: &ParseEnv<'_>) -> Result<Value> {
    let v = match ty {
        DataType::Bool => Value::Bool(boolean(s)?),
        DataType::Int2 => Value::Int2(number::parse_integer(s, ty)? as i16),
        DataType::Int4 => Value::Int4(number::parse_integer(s, ty)? as i32),
        DataType::Int8 => Value::Int8(number::parse_integer(s, ty)?),
        DataType::Oid => Value::Oid(number::parse_oid(s)?),
        DataType::Float4 => Value::Float4(number::parse_float4(s)?),
        DataType::Float8 => Value::Float8(number::parse_float8(s)?),
        DataType::Numeric => Value::Numeric(s.parse::<Numeric>()?),
        DataType::Text | DataType::Varchar | DataType::Bpchar | DataType::Unknown => {
            Value::from(check_text(s)?)
        }
        DataType::Name => Value::from(cut_identifier(check_text(s)?)),
        DataType::InternalChar => {
            let end = s.chars().next().map_or(0, char::len_utf8);
            Value::from(&s[..end])
        }
        DataType::Bytea => Value::Bytea(bytea::parse(s)?.into()),
        DataType::Date => Value::Date(time::parse::date(s, env)?),
        DataType::Time => Value::Time(time::parse::time(s, env)?),
        DataType::Timestamp => Value::Timestamp(time::parse::timestamp(s, env)?),
        DataType::Timestamptz => Value::Timestamptz(time::parse::timestamptz(s, env)?),
        DataType::Interval => Value::Interval(time::interval::parse(
            s,
            Range::of(typmod),
            env.forms.intervals,
        )?),
        DataType::Uuid => Value::Uuid(uuid(s)?),
        DataType::Inet | DataType::Cidr => Value::Inet(Inet::parse(s, ty)?),
        DataType::Macaddr => Value::Macaddr(Mac::parse(s)?),
        DataType::Macaddr8 => Value::Macaddr8(Mac8::parse(s)?),
        DataType::Jsonb => Value::Jsonb(Arc::new(Json::parse(s)?)),
        DataType::Json => {
            json::raw::check(s)?;
            Value::Json(s.into())
        }
        DataType::Jsonpath => Value::from(json::path::JsonPath::parse(check_text(s)?)?.to_string()),
        ty if ty.is_reg() => reg(s, ty)?,
        DataType::Void => Value::Null,
        // Who has the catalog finds the label, and the types of a row's fields.
        DataType::Enum(_) | DataType::Composite(_) => Value::from(check_text(s)?),
        DataType::EnumArray(_) | DataType::CompositeArray(_) => {
            return array::parse(s, DataType::TextArray, -1, env);
        }
        DataType::Record => {
            return Err(Error::unsupported(
                "input of anonymous composite types is not implemented",
            ));
        }
        DataType::Int2vector | DataType::Oidvector => array::parse_vector(s, ty, env)?,
        array => return array::parse(s, array, typmod, env),
    };
    if typmod < 0 {
        return Ok(v);
    }
    apply_typmod(v, ty, typmod, false)
}

/// 22P02 in PostgreSQL's words.
pub(crate) fn invalid(s: &str, ty: DataType) -> Error {
    invalid_literal(format!("invalid input syntax for type {ty}: \"{s}\""))
}

/// 22P02.
pub(crate) fn invalid_literal(message: String) -> Error {
    Error::new(SqlState::INVALID_TEXT_REPRESENTATION, message)
}

/// Text holds no zero byte.
fn check_text(s: &str) -> Result<&str> {
    if s.as_bytes().contains(&0) {
        return Err(Error::new(
            SqlState::CHARACTER_NOT_IN_REPERTOIRE,
            "invalid byte sequence for encoding \"UTF8\": 0x00",
        ));
    }
    Ok(s)
}

/// At most 63 bytes, whole characters.
pub fn cut_identifier(s: &str) -> &str {
    &s[..s.floor_char_boundary(limits::IDENTIFIER_BYTES_MAX)]
}

fn boolean(s: &str) -> Result<bool> {
    let word = trim(s).to_ascii_lowercase();
    let starts = |full: &str, least: usize| word.len() >= least && full.starts_with(&word);
    if word == "1" || starts("true", 1) || starts("yes", 1) || starts("on", 2) {
        return Ok(true);
    }
    if word == "0" || starts("false", 1) || starts("no", 1) || starts("off", 2) {
        return Ok(false);
    }
    Err(invalid(s, DataType::Bool))
}

/// Without the blanks that C's `isspace` knows.
pub(crate) fn trim(s: &str) -> &str {
    s.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\u{b}')
}

/// 32 hexadecimal digits, in braces or not, a hyphen allowed after each four.
fn uuid(s: &str) -> Result<uuid::Uuid> {
    let bare = || invalid(s, DataType::Uuid);
    let body = match s.strip_prefix('{') {
        Some(rest) => rest.strip_suffix('}').ok_or_else(bare)?,
        None => s,
    };
    let mut value = 0u128;
    let mut digits = 0;
    let mut bytes = body.bytes().peekable();
    while let Some(b) = bytes.next() {
        let digit = char::from(b).to_digit(16).ok_or_else(bare)?;
        value = (value << 4) | u128::from(digit);
        digits += 1;
        if digits > 32 {
            return Err(bare());
        }
        if digits % 4 == 0 && digits < 32 && bytes.peek() == Some(&b'-') {
            bytes.next();
        }
    }
    if digits != 32 {
        return Err(bare());
    }
    Ok(uuid::Uuid::from_u128(value))
}

/// What an oid alias is without a catalog: its number, `-` for none, and the names of types.
fn reg(s: &str, ty: DataType) -> Result<Value> {
    let value = |oid: u32, name: &str| {
        Value::Reg(Reg {
            oid,
            name: Arc::from(name),
        })
    };
    if s == "-" {
        return Ok(value(0, "-"));
    }
    if !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit()) {
        let oid = number::parse_oid(s)?;
        let known = (ty == DataType::Regtype)
            .then(|| DataType::from_oid(oid))
            .flatten();
        return Ok(value(oid, known.map_or(s, |t| t.sql_name())));
    }
    let (code, what) = match ty {
        DataType::Regtype => {
            let bare = s.strip_prefix("pg_catalog.").unwrap_or(s);
            if let Some(t) = DataType::by_name(bare) {
                return Ok(value(t.oid(), t.sql_name()));
            }
            (SqlState::UNDEFINED_OBJECT, "type")
        }
        DataType::Regproc | DataType::Regprocedure => (SqlState::UNDEFINED_FUNCTION, "function"),
        DataType::Regnamespace => (SqlState::INVALID_SCHEMA_NAME, "schema"),
        _ => (SqlState::UNDEFINED_TABLE, "relation"),
    };
    Err(Error::new(code, format!("{what} \"{s}\" does not exist")))
}
