//! Conversions between types.
//!
//! Owns: what each cast computes, with PostgreSQL's rounding and errors; `rules` says which exist and where they apply unasked.
//! Asked by: `eval` (every `Expr::Cast`), the binder (literals, defaults), COPY and parameters through the same `cast`.
//! Never: parses or prints a value itself; that is `types::text`.
//! Source: PostgreSQL 15 manual, chapter 8 and CREATE CAST; `int.c`, `float.c`, `numeric.c`, `timestamp.c`, `regproc.c`.

mod composite;
mod numbers;
mod procedure;
mod reg;
mod rules;
mod temporal;
mod typename;

pub use reg::{regclass_name, regclass_oid, schema_name, schema_oid, split_name};
pub use rules::{CastContext, can_cast, is_immutable, is_preferred, reads_alike};
pub use temporal::{to_timestamp, to_timestamptz};
pub use typename::{parse as parse_type_name, pseudo_name};

use super::Context;
use DataType::*;
use std::sync::Arc;
use types::{Array, DataType, Error, Result, SqlState, Value, text};

/// `v` of type `from` as `to`. `explicit` cuts what is too long for varchar(n) and char(n) instead of refusing it.
pub fn cast(
    v: Value,
    from: DataType,
    to: DataType,
    typmod: i32,
    explicit: bool,
    ctx: &Context,
) -> Result<Value> {
    if v.is_null() {
        return Ok(v);
    }
    let converted = convert(v, from, to, typmod, ctx)?;
    if typmod < 0 {
        return Ok(converted);
    }
    text::apply_typmod(converted, to, typmod, explicit)
}

fn convert(v: Value, from: DataType, to: DataType, typmod: i32, ctx: &Context) -> Result<Value> {
    if from == to {
        return Ok(v);
    }
    if let (Some(f), Some(t)) = (from.element(), to.element()) {
        return array(v, f, t, ctx);
    }
    match (&v, to) {
        (Value::Text(s), Enum(oid)) => return ctx.catalog.enum_value(oid, s),
        (Value::Text(s), Composite(oid)) => return composite::read(s, oid, ctx),
        (Value::Record(_), Record) => return Ok(v),
        (Value::Record(r), Composite(oid)) => return composite::of_record(r, oid, ctx),
        (Value::Record(_) | Value::Enum(_), _) if to.category() != 'S' => {
            return Err(cannot(from, to));
        }
        _ => {}
    }
    if to.is_reg() || from.is_reg() {
        return reg::convert(v, from, to, ctx);
    }
    if to.category() == 'S' {
        return string(v, from, to, ctx);
    }
    if from.category() == 'S' || from == Unknown {
        return parsed(v, from, to, typmod, ctx);
    }
    if to.is_number() || from.is_number() || to == Oid || from == Oid {
        return numbers::convert(v, from, to);
    }
    match (&v, to) {
        (Value::Inet(i), Inet) => Ok(Value::Inet(i.plain())),
        (Value::Inet(i), Cidr) => Ok(Value::Inet(i.network())),
        (Value::Macaddr(m), Macaddr8) => Ok(Value::Macaddr8((*m).into())),
        (Value::Macaddr8(m), Macaddr) => m.short().map(Value::Macaddr),
        (Value::Jsonb(j), Bool) => match &**j {
            types::Json::Bool(b) => Ok(Value::Bool(*b)),
            other => Err(numbers::bad_json(other, to)),
        },
        (Value::Json(s), Jsonb) => Ok(Value::Jsonb(Arc::new(types::Json::parse(s)?))),
        (Value::Jsonb(_), Json) => Ok(Value::Json(print(&v, from, ctx).into())),
        (Value::Text(_), Text) => Ok(v),
        _ => temporal::convert(v, from, to, ctx),
    }
}

/// Each element by the same rule.
fn array(v: Value, from: DataType, to: DataType, ctx: &Context) -> Result<Value> {
    let Value::Array(a) = &v else {
        return Err(cannot(from, to));
    };
    let items: Result<Vec<Value>> = a
        .items
        .iter()
        .map(|item| cast(item.clone(), from, to, -1, true, ctx))
        .collect();
    Ok(Value::Array(Arc::new(Array {
        element: to,
        items: items?,
    })))
}

/// Into text, varchar, char(n) or name.
fn string(v: Value, from: DataType, to: DataType, ctx: &Context) -> Result<Value> {
    let text: Arc<str> = match (&v, from) {
        // char(n) loses its padding on the way to any other string type.
        (Value::Text(s), Bpchar) => s.trim_end_matches(' ').into(),
        (Value::Text(s) | Value::Json(s), _) => s.clone(),
        (Value::Bool(b), _) => if *b { "true" } else { "false" }.into(),
        // To a text with all its bits, unlike what is shown of it.
        (Value::Inet(i), _) if to != Name => {
            let mut text = String::new();
            i.write(true, &mut text);
            text.into()
        }
        _ => print(&v, from, ctx).into(),
    };
    if to == Name {
        return Ok(Value::Text(cut_name(&text).into()));
    }
    Ok(Value::Text(text))
}

/// Out of a string or literal, by the target's input syntax.
fn parsed(v: Value, from: DataType, to: DataType, typmod: i32, ctx: &Context) -> Result<Value> {
    let Value::Text(s) = &v else {
        // A parameter or column of unknown type that already has a value of the target's kind.
        return Ok(v);
    };
    let s = if from == Bpchar {
        s.trim_end_matches(' ')
    } else {
        s
    };
    let env = text::ParseEnv {
        forms: &ctx.session.forms,
        now_micros: ctx.transaction_micros,
    };
    // A length is applied afterwards, where it is known whether the cast is explicit.
    // Of an interval's literal it says what a bare number counts.
    let counts = from == Unknown && to == Interval;
    let typmod = if counts { typmod } else { -1 };
    let read = text::parse(s, to, typmod, &env)?;
    match to {
        EnumArray(oid) => array(read, Text, Enum(oid), ctx),
        CompositeArray(oid) => array(read, Text, Composite(oid), ctx),
        _ => Ok(read),
    }
}

/// The text output of a value.
pub fn print(v: &Value, ty: DataType, ctx: &Context) -> String {
    if (ty.user_oid().is_some() || ty.has_records())
        && let Some(labels) = ctx.catalog.labelled(v)
    {
        let ty = match (ty.has_records(), ty.is_array()) {
            (true, _) => ty,
            (false, true) => TextArray,
            (false, false) => Text,
        };
        return print_in(&labels, ty, &ctx.session.forms);
    }
    print_in(v, ty, &ctx.session.forms)
}

/// The text output of a value in a time zone.
pub fn print_in(v: &Value, ty: DataType, forms: &text::Forms) -> String {
    let mut out = String::new();
    text::format(v, ty, forms, &mut out);
    out
}

/// At most 63 bytes, at a character's boundary.
fn cut_name(s: &str) -> &str {
    let mut end = s.len().min(types::limits::IDENTIFIER_BYTES_MAX);
    while !s.is_char_boundary(end) {
        end -= 1;
    }
    &s[..end]
}

/// 42846.
#[cold]
fn cannot(from: DataType, to: DataType) -> Error {
    Error::new(
        SqlState::CANNOT_COERCE,
        format!("cannot cast type {from} to {to}"),
    )
}
