//! Enums: their labels, and the numbers that stored values have instead.
//!
//! Owns: the numbers. They order as the labels do and never change, so a label may get another text, and a new one a place
//! between others, without a look at stored rows. Labels begin `GAP` apart; one between two others takes the middle.
//! Asked by: casts, ALTER TYPE, what shows values and names of types to clients.
//! Bounds: `LABELS_MAX` labels; 32 times a label may be put between the two that were put in last, then 54000.

use super::model::PUBLIC;
use super::objects::{EnumLabel, UserType, UserTypeKind};
use super::{Catalog, path};
use crate::exec::Context;
use crate::exec::functions::quote_identifier;
use std::borrow::Cow;
use std::sync::Arc;
use types::datatype::COMPOSITE_ARRAY;
use types::marks::{self, Mark};
use types::{Array, DataType, EnumValue, Error, Result, Row, SqlState, Value};

/// Between labels that are declared one after the other.
pub const GAP: i64 = 1 << 32;
/// Labels of one type.
pub const LABELS_MAX: usize = 10_000;

/// Where a new label goes among the labels, before the one at `at`. 54000 where no number is left.
pub fn place(labels: &[EnumLabel], at: usize) -> Result<i64> {
    let before = at.checked_sub(1).and_then(|i| labels.get(i));
    let order = match (before, labels.get(at)) {
        (None, None) => Some(GAP),
        (Some(last), None) => last.order.checked_add(GAP),
        (None, Some(first)) => first.order.checked_sub(GAP),
        (Some(a), Some(b)) => Some(a.order.midpoint(b.order)).filter(|m| *m > a.order),
    };
    order.filter(|_| labels.len() < LABELS_MAX).ok_or_else(|| {
        Error::new(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            "no room for another label at this place of the enum",
        )
        .with_hint(
            "Create a type with the labels as they are to be, and change the columns' type to it.",
        )
    })
}

impl UserType {
    /// Of an enum, in their order.
    pub fn labels(&self) -> &[EnumLabel] {
        match &self.kind {
            UserTypeKind::Enum { labels } => labels,
            UserTypeKind::Domain { .. } | UserTypeKind::Composite { .. } => &[],
        }
    }

    /// As values have it; of a domain, as its name is looked up.
    pub fn data_type(&self) -> DataType {
        match self.kind {
            UserTypeKind::Composite { .. } => DataType::Composite(self.oid),
            UserTypeKind::Enum { .. } | UserTypeKind::Domain { .. } => DataType::Enum(self.oid),
        }
    }
}

impl Catalog {
    /// The labels of an enum, in their order; none of anything else.
    pub fn labels(&self, oid: u32) -> &[EnumLabel] {
        self.types.get(&oid).map_or(&[], |t| t.labels())
    }

    pub fn label(&self, value: EnumValue) -> Option<&str> {
        let labels = self.labels(value.ty);
        let at = labels
            .binary_search_by_key(&value.order, |l| l.order)
            .ok()?;
        labels.get(at).map(|l| l.label.as_str())
    }

    /// 22P02 for what is no label.
    pub fn enum_value(&self, ty: u32, label: &str) -> Result<Value> {
        let found = self.labels(ty).iter().find(|l| l.label == label);
        found
            .map(|l| Value::Enum(EnumValue { ty, order: l.order }))
            .ok_or_else(|| {
                Error::new(
                    SqlState::INVALID_TEXT_REPRESENTATION,
                    format!(
                        "invalid input value for enum {}: \"{label}\"",
                        DataType::Enum(ty)
                    ),
                )
            })
    }

    /// A user's type by its name, or by that of its array; each relation's rows have the type of its name.
    pub fn user_type(&self, path: &[String], schema: Option<&str>, name: &str) -> Option<DataType> {
        let own = |schema: &str, name: &str| {
            let mut types = self.types.values().filter(|t| t.schema == schema);
            let own = types.find(|t| t.name == name).map(|t| t.data_type());
            own.or_else(|| self.row_type(schema, name))
        };
        let within = |schema: &str| {
            let array = || own(schema, name.strip_prefix('_')?)?.array();
            own(schema, name).or_else(array)
        };
        match schema {
            Some(schema) => within(schema),
            None => path.iter().find_map(|schema| within(schema)),
        }
    }

    /// The type of this oid, the system's or a user's.
    pub fn type_of_oid(&self, oid: u32) -> Option<DataType> {
        let user = |oid: u32| match self.types.get(&oid) {
            Some(t) => Some(t.data_type()),
            None => self.attributes(oid).map(|_| DataType::Composite(oid)),
        };
        let array = || match oid & COMPOSITE_ARRAY {
            0 => user(oid.checked_sub(1)?).filter(|t| !t.is_record()),
            _ => user(oid ^ COMPOSITE_ARRAY).filter(|t| t.is_record()),
        };
        let found = DataType::from_oid(oid).or_else(|| user(oid));
        found.or_else(|| array()?.array())
    }

    /// As `format_type` prints a user's type; `None` for another.
    pub fn user_type_name(&self, ty: DataType) -> Option<String> {
        let (schema, name) = self.name_of_type(ty.user_oid()?)?;
        let mut out = quote_identifier(name).into_owned();
        if schema != PUBLIC {
            out = format!("{}.{out}", quote_identifier(schema));
        }
        if ty.is_array() {
            out.push_str("[]");
        }
        Some(out)
    }

    /// The schema and name of a user's type, a relation's for its rows'.
    pub fn name_of_type(&self, oid: u32) -> Option<(&str, &str)> {
        let id = types::TableId(oid);
        let own = self.types.get(&oid).map(|t| (&t.schema, &t.name));
        let table = || self.tables.get(&id).map(|t| (&t.schema, &t.name));
        let view = || self.views.get(&id).map(|v| (&v.schema, &v.name));
        let (schema, name) = own.or_else(table).or_else(view)?;
        Some((schema, name))
    }

    /// The text with names in the places of marks.
    pub fn named<'a>(&self, text: &'a str) -> Cow<'a, str> {
        marks::named(text, |mark| match mark {
            Mark::Type(oid) => self.user_type_name(DataType::Enum(oid)),
            Mark::Label { ty, order } => {
                let label = self.label(EnumValue { ty, order });
                label.map(str::to_owned)
            }
        })
    }

    /// The value of an enum whose label is a text yet, of a row that is bytes yet, or of an array of them.
    pub fn from_labels(&self, v: Value, ty: DataType, ctx: &Context) -> Result<Value> {
        match (&v, ty) {
            (Value::Text(s), DataType::Enum(oid)) => self.enum_value(oid, s),
            (Value::Text(_), DataType::Composite(_)) => {
                crate::exec::cast::cast(v, DataType::Text, ty, -1, false, ctx)
            }
            (Value::Array(a), DataType::EnumArray(oid)) => {
                let item = |v: &Value| self.from_labels(v.clone(), DataType::Enum(oid), ctx);
                Ok(Value::Array(Arc::new(Array {
                    element: DataType::Enum(oid),
                    items: a.items.iter().map(item).collect::<Result<_>>()?,
                })))
            }
            (Value::Bytea(b), DataType::Composite(oid)) => self.record_of_bytes(b, oid, ctx),
            (Value::Array(a), DataType::CompositeArray(oid)) => {
                let item = |v: &Value| self.from_labels(v.clone(), DataType::Composite(oid), ctx);
                Ok(Value::Array(Arc::new(Array {
                    element: DataType::Composite(oid),
                    items: a.items.iter().map(item).collect::<Result<_>>()?,
                })))
            }
            _ => Ok(v),
        }
    }

    /// As `labelled`, for whole rows.
    pub fn label_rows(&self, rows: &mut [Row]) {
        if self.types.is_empty() {
            return;
        }
        for value in rows.iter_mut().flatten() {
            if let Some(labels) = self.labelled(value) {
                *value = labels;
            }
        }
    }

    /// The value with labels as texts, for who knows no catalog.
    pub fn labelled(&self, v: &Value) -> Option<Value> {
        match v {
            Value::Enum(e) => Some(match self.label(*e) {
                Some(label) => label.into(),
                None => {
                    let mut text = String::new();
                    let _ = marks::of_label(e.ty, e.order, &mut text);
                    text.into()
                }
            }),
            Value::Array(a) if matches!(a.element, DataType::Enum(_)) || a.element.is_record() => {
                let item = |v: &Value| self.labelled(v).unwrap_or_else(|| v.clone());
                let element = match a.element.is_record() {
                    true => a.element,
                    false => DataType::Text,
                };
                Some(Value::Array(Arc::new(Array {
                    element,
                    items: a.items.iter().map(item).collect(),
                })))
            }
            Value::Record(r) => {
                let labels: Vec<Option<Value>> =
                    r.values().iter().map(|v| self.labelled(v)).collect();
                if labels.iter().all(Option::is_none) {
                    return None;
                }
                let values = labels.into_iter().zip(r.values());
                let values = values.map(|(label, v)| label.unwrap_or_else(|| v.clone()));
                let record = r.with(values.collect()).ok()?;
                Some(Value::Record(Arc::new(record)))
            }
            _ => None,
        }
    }
}

/// A user's type by the name that a text has for it.
pub fn by_text(text: &str, ctx: &Context) -> Option<DataType> {
    let (text, array) = match text.trim().strip_suffix("[]") {
        Some(element) => (element.trim_end(), true),
        None => (text.trim(), false),
    };
    let parts = crate::exec::cast::split_name(text).ok()?;
    let path = path::searched(ctx);
    let found = match parts.as_slice() {
        [name] => ctx.catalog.user_type(&path, None, name),
        [schema, name] => ctx.catalog.user_type(&path, Some(schema), name),
        _ => None,
    }?;
    if array { found.array() } else { Some(found) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(orders: &[i64]) -> Vec<EnumLabel> {
        let label = |order: &i64| EnumLabel {
            oid: 0,
            order: *order,
            label: order.to_string(),
        };
        orders.iter().map(label).collect()
    }

    #[test]
    fn a_new_label_is_between_its_neighbours_until_no_number_is_left() {
        assert_eq!(place(&[], 0).unwrap(), GAP);
        let mut all = labels(&[GAP, 2 * GAP]);
        assert_eq!(place(&all, 2).unwrap(), 3 * GAP);
        assert_eq!(place(&all, 0).unwrap(), 0);
        for n in 0.. {
            let Ok(order) = place(&all, 1) else {
                assert_eq!(n, 32);
                return;
            };
            assert!(all[0].order < order && order < all[1].order);
            all.insert(1, labels(&[order]).remove(0));
        }
    }

    #[test]
    fn a_type_has_so_many_labels_and_no_more() {
        let orders: Vec<i64> = (1..=LABELS_MAX as i64).map(|n| n * GAP).collect();
        let all = labels(&orders);
        assert!(place(&all[1..], LABELS_MAX - 1).is_ok());
        assert!(place(&all, LABELS_MAX).is_err());
    }
}
