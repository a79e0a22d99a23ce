//! Composite types: those of CREATE TYPE, and the one that each table and view has for its rows.
//!
//! Owns: what fields a row of a type has. The type of a relation's rows has the relation's own oid, and its name; a type of CREATE
//! TYPE is in `pg_class` under its own oid. Asked by: casts, functions of rows, the binder, `pg_type`. Never: holds a value.
//! Bounds: `COLUMNS_MAX` attributes.

use super::Catalog;
use super::objects::{Attribute, UserType, UserTypeKind, ViewColumn};
use crate::exec::Context;
use std::sync::Arc;
use types::{
    Array, DataType, Error, Record, RecordField, Result, SqlState, TableId, Value, binary,
};

impl Attribute {
    pub fn field(&self) -> RecordField {
        RecordField::new(self.name.as_str(), self.ty)
    }

    pub fn into_column(self) -> ViewColumn {
        ViewColumn {
            name: self.name,
            ty: self.ty,
            typmod: self.typmod,
        }
    }
}

impl Catalog {
    /// What rows of the type are made of; `None` where it is no type of rows.
    pub fn attributes(&self, oid: u32) -> Option<Vec<Attribute>> {
        if let Some(t) = self.types.get(&oid) {
            return match &t.kind {
                UserTypeKind::Composite { attributes } => Some(attributes.clone()),
                UserTypeKind::Enum { .. } | UserTypeKind::Domain { .. } => None,
            };
        }
        if let Some(table) = self.tables.get(&TableId(oid)) {
            let of = |c: &super::ColumnDef| Attribute {
                name: c.name.clone(),
                ty: c.ty,
                typmod: c.typmod,
                declared: c.declared,
                number: c.number,
            };
            return Some(table.columns.iter().map(of).collect());
        }
        let view = self.views.get(&TableId(oid))?;
        let of = |(at, c): (usize, &ViewColumn)| Attribute {
            name: c.name.clone(),
            ty: c.ty,
            typmod: c.typmod,
            declared: 0,
            number: i16::try_from(at + 1).unwrap_or(i16::MAX),
        };
        Some(view.columns.iter().enumerate().map(of).collect())
    }

    /// The type of CREATE TYPE … AS (…), which counts as a relation.
    pub fn composite(&self, oid: u32) -> Option<&UserType> {
        let found = self.types.get(&oid)?;
        found.data_type().is_record().then_some(&**found)
    }

    /// The fields of rows of the type.
    pub fn fields(&self, oid: u32) -> Option<Vec<RecordField>> {
        let attributes = self.attributes(oid)?;
        Some(attributes.iter().map(Attribute::field).collect())
    }

    /// The type of a relation's rows, by the relation's name.
    pub fn row_type(&self, schema: &str, name: &str) -> Option<DataType> {
        let table = || self.table_by_name(Some(schema), name).map(|t| t.id);
        let mut views = self.views.values();
        let view = views.find(|v| v.name == name && v.schema == schema);
        let id = view.map(|v| v.id).or_else(table)?;
        Some(DataType::Composite(id.0))
    }

    /// The row with the names that its fields have now, and with labels as texts: for who makes json of it.
    pub fn named_record(&self, v: &Value) -> Result<Value> {
        Ok(match v {
            Value::Record(r) => {
                let values = r.values().iter().map(|v| self.named_record(v));
                let values = values.collect::<Result<Vec<_>>>()?;
                let names = match r.ty() {
                    DataType::Composite(oid) => self.fields(oid),
                    _ => None,
                };
                let fields = r.fields().iter().enumerate().map(|(at, f)| {
                    let name = names.as_ref().and_then(|n| n.get(at));
                    RecordField::new(name.map_or(&f.name, |n| &n.name).clone(), f.ty)
                });
                let fields: Vec<RecordField> = fields.collect();
                Value::Record(Arc::new(Record::new(r.ty(), fields.into(), values)?))
            }
            Value::Array(a) if a.element.is_record() => {
                let items = a.items.iter().map(|v| self.named_record(v));
                Value::Array(Arc::new(Array {
                    element: a.element,
                    items: items.collect::<Result<_>>()?,
                }))
            }
            v => self.labelled(v).unwrap_or_else(|| v.clone()),
        })
    }

    /// A row as clients send it in binary.
    pub(super) fn record_of_bytes(&self, bytes: &[u8], oid: u32, ctx: &Context) -> Result<Value> {
        let attributes = self.attributes(oid).ok_or_else(|| undefined(oid))?;
        let types: Vec<DataType> = attributes.iter().map(|a| a.ty).collect();
        let items = binary::record_items(bytes, &types)?;
        let mut values = Vec::with_capacity(items.len());
        for (item, a) in items.into_iter().zip(&attributes) {
            let value = item.map_or(Ok(Value::Null), |item| binary::decode(item, a.ty))?;
            let value = self.from_labels(value, a.ty, ctx)?;
            ctx.catalog.hold_to_domain(a.declared, &value, ctx)?;
            values.push(value);
        }
        let fields = attributes.iter().map(Attribute::field).collect();
        let record = Record::new(DataType::Composite(oid), fields, values)?;
        Ok(Value::Record(Arc::new(record)))
    }
}

/// 42704 for a type that is gone.
pub fn undefined(oid: u32) -> Error {
    Error::new(
        SqlState::UNDEFINED_OBJECT,
        format!("type with OID {oid} does not exist"),
    )
}
