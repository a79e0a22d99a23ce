//! CREATE and ALTER TYPE.
//!
//! Owns: the labels' rules. Never: touches stored rows: their numbers stay what they are (`catalog::enums`).
//! Source: PostgreSQL 15, `typecmds.c`, `pg_enum.c`.

use super::Change;
use super::texts::Renamed;
use crate::catalog::enums;
use crate::catalog::objects::{EnumLabel, UserType, UserTypeKind};
use crate::catalog::stored::Object;
use crate::plan::ddl::{LabelPlace, QualifiedName, TypeAction};
use std::sync::Arc;
use types::{EnumValue, Error, Result, SqlState, limits};

impl Change {
    pub(super) fn create_enum(&mut self, name: &QualifiedName, labels: &[String]) -> Result<()> {
        self.tag = "CREATE TYPE";
        self.known_schema(&name.schema)?;
        self.free_type(&name.schema, &name.name)?;
        // Nothing may come between: the array's oid is known by the type's.
        let (oid, array_oid) = (self.oid(), self.oid());
        let mut made: Vec<EnumLabel> = Vec::with_capacity(labels.len());
        for label in labels {
            acceptable(label)?;
            if made.iter().any(|l| l.label == *label) {
                return Err(Error::new(
                    SqlState::UNIQUE_VIOLATION,
                    "duplicate key value violates unique constraint \"pg_enum_typid_label_index\"",
                )
                .with_detail(format!(
                    "Key (enumtypid, enumlabel)=({oid}, {label}) already exists."
                )));
            }
            let order = enums::place(&made, made.len())?;
            made.push(EnumLabel {
                oid: self.oid(),
                order,
                label: label.clone(),
            });
        }
        self.put_type(UserType {
            oid,
            array_oid,
            schema: name.schema.clone(),
            name: name.name.clone(),
            kind: UserTypeKind::Enum { labels: made },
        });
        Ok(())
    }

    pub(super) fn alter_type(&mut self, oid: u32, action: &TypeAction) -> Result<()> {
        let found = self.catalog.types.get(&oid).cloned();
        let mut next = found.map(|t| UserType::clone(&t)).ok_or_else(|| {
            Error::new(
                SqlState::UNDEFINED_OBJECT,
                format!("type with OID {oid} does not exist"),
            )
        })?;
        match action {
            TypeAction::RenameTo(to) => return self.rename_type(next, to),
            TypeAction::SetSchema(to) => {
                self.known_schema(to)?;
                if *to != next.schema {
                    self.free_type(to, &next.name)?;
                    self.free_relation(&next, to, &next.name)?;
                }
                next.schema.clone_from(to);
            }
            TypeAction::AddValue {
                label,
                if_not_exists,
                place,
            } => {
                acceptable(label)?;
                let mut labels = next.labels().to_vec();
                if labels.iter().any(|l| l.label == *label) {
                    if *if_not_exists {
                        self.notices.push(Error::new(
                            SqlState::DUPLICATE_OBJECT,
                            format!("enum label \"{label}\" already exists, skipping"),
                        ));
                        return Ok(());
                    }
                    return Err(label_exists(label));
                }
                let at = match place {
                    LabelPlace::Last => labels.len(),
                    LabelPlace::Before(other) => position(&labels, other)?,
                    LabelPlace::After(other) => position(&labels, other)? + 1,
                };
                let order = enums::place(&labels, at)?;
                let new = EnumLabel {
                    oid: self.oid(),
                    order,
                    label: label.clone(),
                };
                labels.insert(at, new);
                next.kind = UserTypeKind::Enum { labels };
            }
            TypeAction::Domain(action) => return self.alter_domain(next, action),
            TypeAction::Attributes(actions) => return self.alter_attributes(next, actions),
            TypeAction::RenameValue { from, to } => return self.rename_label(next, from, to),
        }
        self.put_type(next);
        Ok(())
    }

    fn rename_type(&mut self, ty: UserType, to: &str) -> Result<()> {
        self.free_type(&ty.schema, to)?;
        self.free_relation(&ty, &ty.schema, to)?;
        self.rename_in_texts(Renamed::Type(ty.oid, &ty.name, to));
        // Its own texts may have been among them.
        let own = self.catalog.types.get(&ty.oid);
        let mut next = own.map_or_else(|| ty.clone(), |own| UserType::clone(own));
        to.clone_into(&mut next.name);
        self.put_type(next);
        Ok(())
    }

    fn rename_label(&mut self, mut ty: UserType, from: &str, to: &str) -> Result<()> {
        acceptable(to)?;
        let mut labels = ty.labels().to_vec();
        let at = position(&labels, from)?;
        if labels.iter().any(|l| l.label == *to) {
            return Err(label_exists(to));
        }
        to.clone_into(&mut labels[at].label);
        let value = EnumValue {
            ty: ty.oid,
            order: labels[at].order,
        };
        self.rename_in_texts(Renamed::Label(value, from, to));
        ty.kind = UserTypeKind::Enum { labels };
        self.put_type(ty);
        Ok(())
    }

    /// 42710 where a type, or the array of one, has the name.
    pub(super) fn free_type(&self, schema: &str, name: &str) -> Result<()> {
        let path = [];
        match self.catalog.user_type(&path, Some(schema), name) {
            None => Ok(()),
            Some(_) => Err(Error::new(
                SqlState::DUPLICATE_OBJECT,
                format!("type \"{name}\" already exists"),
            )),
        }
    }

    pub(super) fn put_type(&mut self, ty: UserType) {
        self.touched(Object::Type(ty.oid));
        self.catalog.types.insert(ty.oid, Arc::new(ty));
    }
}

fn acceptable(label: &str) -> Result<()> {
    if label.len() <= limits::IDENTIFIER_BYTES_MAX && !label.is_empty() {
        return Ok(());
    }
    let error = Error::new(
        SqlState(*b"42602"),
        format!("invalid enum label \"{label}\""),
    );
    Err(error.with_detail(format!(
        "Labels must be {} bytes or less.",
        limits::IDENTIFIER_BYTES_MAX
    )))
}

fn position(labels: &[EnumLabel], label: &str) -> Result<usize> {
    let at = labels.iter().position(|l| l.label == label);
    at.ok_or_else(|| {
        Error::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("\"{label}\" is not an existing enum label"),
        )
    })
}

fn label_exists(label: &str) -> Error {
    Error::new(
        SqlState::DUPLICATE_OBJECT,
        format!("enum label \"{label}\" already exists"),
    )
}
