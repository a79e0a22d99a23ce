//! Conversions to rows of a named type.
//!
//! Asked by: `cast` alone. Never: converts between two named types; there is no such cast. Source: PostgreSQL 15,
//! `record_in`, `coerce_record_to_complex`.

use super::cast;
use crate::catalog::Attribute;
use crate::catalog::composites::undefined;
use crate::exec::Context;
use std::sync::Arc;
use types::{DataType, Error, Record, Result, SqlState, Value, text};

/// A row from its text.
pub fn read(s: &str, oid: u32, ctx: &Context) -> Result<Value> {
    let attributes = ctx.catalog.attributes(oid).ok_or_else(|| undefined(oid))?;
    let texts = text::parse_record(s, attributes.len())?;
    let values = texts
        .into_iter()
        .map(|t| t.map_or(Value::Null, Value::from));
    made(
        oid,
        &attributes,
        values.map(|v| (v, DataType::Unknown)),
        ctx,
    )
}

/// The fields of a row of no name, each assigned to its attribute.
pub fn of_record(r: &Record, oid: u32, ctx: &Context) -> Result<Value> {
    let attributes = ctx.catalog.attributes(oid).ok_or_else(|| undefined(oid))?;
    if attributes.len() != r.values().len() {
        let ty = DataType::Composite(oid);
        let detail = match attributes.len() > r.values().len() {
            true => "Input has too few columns.",
            false => "Input has too many columns.",
        };
        let message = format!("cannot cast type record to {ty}");
        return Err(Error::new(SqlState::CANNOT_COERCE, message).with_detail(detail));
    }
    let values = r.pairs().map(|(f, v)| (v.clone(), f.ty));
    made(oid, &attributes, values, ctx)
}

fn made(
    oid: u32,
    attributes: &[Attribute],
    values: impl Iterator<Item = (Value, DataType)>,
    ctx: &Context,
) -> Result<Value> {
    let mut out = Vec::with_capacity(attributes.len());
    for (a, (value, from)) in attributes.iter().zip(values) {
        let value = cast(value, from, a.ty, a.typmod, false, ctx)?;
        ctx.catalog.hold_to_domain(a.declared, &value, ctx)?;
        out.push(value);
    }
    let fields = attributes.iter().map(Attribute::field).collect();
    let record = Record::new(DataType::Composite(oid), fields, out)?;
    Ok(Value::Record(Arc::new(record)))
}
