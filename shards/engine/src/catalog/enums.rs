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
            UserTypeKind::Domain { .. } => &[],
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

    /// A user's type by its name, or by that of its array.
    pub fn user_type(&self, path: &[String], schema: Option<&str>, name: &str) -> Option<DataType> {
        let within = |schema: &str| {
            let mut types = self.types.values().filter(|t| t.schema == schema);
            types.find_map(|t| match name.strip_prefix('_') {
                _ if t.name == name => Some(DataType::Enum(t.oid)),
                Some(element) if t.name == element => Some(DataType::EnumArray(t.oid)),
                _ => None,
            })
        };
        match schema {
            Some(schema) => within(schema),
            None => path.iter().find_map(|schema| within(schema)),
        }
    }

    /// The type of this oid, the system's or a user's.
    pub fn type_of_oid(&self, oid: u32) -> Option<DataType> {
        DataType::from_oid(oid).or_else(|| {
            if self.types.contains_key(&oid) {
                return Some(DataType::Enum(oid));
            }
            let of = oid.checked_sub(1)?;
            let array = self.types.get(&of).is_some_and(|t| t.array_oid == oid);
            array.then_some(DataType::EnumArray(of))
        })
    }

    /// As `format_type` prints a user's type; `None` for another.
    pub fn user_type_name(&self, ty: DataType) -> Option<String> {
        let found = self.types.get(&ty.user_oid()?)?;
        let mut name = quote_identifier(&found.name).into_owned();
        if found.schema != PUBLIC {
            name = format!("{}.{name}", quote_identifier(&found.schema));
        }
        if ty.is_array() {
            name.push_str("[]");
        }
        Some(name)
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

    /// The value of an enum, or of an array of them, whose labels are texts yet.
    pub fn from_labels(&self, v: Value, ty: DataType) -> Result<Value> {
        match (&v, ty) {
            (Value::Text(s), DataType::Enum(oid)) => self.enum_value(oid, s),
            (Value::Array(a), DataType::EnumArray(oid)) => {
                let item = |v: &Value| self.from_labels(v.clone(), DataType::Enum(oid));
                Ok(Value::Array(Arc::new(Array {
                    element: DataType::Enum(oid),
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
            Value::Array(a) if matches!(a.element, DataType::Enum(_)) => {
                let item = |v: &Value| self.labelled(v).unwrap_or_else(|| v.clone());
                Some(Value::Array(Arc::new(Array {
                    element: DataType::Text,
                    items: a.items.iter().map(item).collect(),
                })))
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
