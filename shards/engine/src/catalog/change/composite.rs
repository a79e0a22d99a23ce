//! CREATE TYPE … AS (…), and what ALTER TYPE does to its attributes.
//!
//! Owns: that no stored row has fields that its type does not say: a type that something is of, or that an expression names, gets no
//! attribute and loses none (0A000); names change freely, as stored rows have none. Source: PostgreSQL 15, `tablecmds.c`.

use super::Change;
use super::graph::{Node, dependents};
use crate::catalog::objects::{Attribute, UserType, UserTypeKind};
use crate::plan::ddl::{AttributeAction, QualifiedName};
use std::collections::BTreeSet;
use types::datatype::COMPOSITE_ARRAY;
use types::{Error, Result, SqlState, limits};

impl Change {
    pub(super) fn create_composite(
        &mut self,
        name: &QualifiedName,
        attributes: &[Attribute],
    ) -> Result<()> {
        self.tag = "CREATE TYPE";
        self.known_schema(&name.schema)?;
        self.free_type(&name.schema, &name.name)?;
        if self.is_taken(&name.schema, &name.name) {
            return Err(taken(&name.name));
        }
        acceptable(attributes, |a| {
            format!("column \"{a}\" specified more than once")
        })?;
        let mut attributes = attributes.to_vec();
        number(&mut attributes);
        let oid = self.oid();
        self.put_type(UserType {
            oid,
            array_oid: oid | COMPOSITE_ARRAY,
            schema: name.schema.clone(),
            name: name.name.clone(),
            kind: UserTypeKind::Composite { attributes },
        });
        Ok(())
    }

    pub(super) fn alter_attributes(
        &mut self,
        mut next: UserType,
        actions: &[AttributeAction],
    ) -> Result<()> {
        let UserTypeKind::Composite { attributes } = &next.kind else {
            return Err(Error::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("\"{}\" is not a composite type", next.name),
            ));
        };
        let mut attributes = attributes.clone();
        for action in actions {
            match action {
                AttributeAction::Rename { from, to } => {
                    let at = position(&attributes, from)?;
                    attributes[at].name.clone_from(to);
                }
                AttributeAction::Add(attribute) => {
                    self.refuse_if_used(&next)?;
                    if self.has_within(attribute.declared, next.oid) {
                        return Err(Error::new(
                            SqlState::INVALID_TABLE_DEFINITION,
                            format!(
                                "composite type {} cannot be made a member of itself",
                                next.name
                            ),
                        ));
                    }
                    attributes.push(attribute.clone());
                }
                AttributeAction::Drop { name, if_exists } => match position(&attributes, name) {
                    Ok(at) => {
                        self.refuse_if_used(&next)?;
                        attributes.remove(at);
                    }
                    Err(_) if *if_exists => self.skip(format!(
                        "column \"{name}\" of relation \"{}\" does not exist, skipping",
                        next.name
                    )),
                    Err(e) => return Err(e),
                },
            }
        }
        acceptable(&attributes, |a| {
            format!(
                "column \"{a}\" of relation \"{}\" already exists",
                next.name
            )
        })?;
        number(&mut attributes);
        next.kind = UserTypeKind::Composite { attributes };
        self.put_type(next);
        Ok(())
    }

    /// 42P07 where a composite type, which counts as a relation, would have the name of another.
    pub(super) fn free_relation(&self, ty: &UserType, schema: &str, name: &str) -> Result<()> {
        match matches!(ty.kind, UserTypeKind::Composite { .. }) && self.is_taken(schema, name) {
            true => Err(taken(name)),
            false => Ok(()),
        }
    }

    fn refuse_if_used(&self, ty: &UserType) -> Result<()> {
        match dependents(&self.catalog, &Node::Type(ty.oid)).is_empty() {
            true => Ok(()),
            false => Err(Error::unsupported(format!(
                "adding or dropping attributes of type \"{}\", which something uses, is not supported",
                ty.name
            ))),
        }
    }

    /// Whether a type is another, or has it somewhere inside.
    fn has_within(&self, oid: u32, wanted: u32) -> bool {
        let (mut seen, mut left) = (BTreeSet::new(), vec![oid]);
        while let Some(oid) = left.pop() {
            if oid == wanted {
                return true;
            }
            if seen.insert(oid) {
                let inside = self.catalog.attributes(oid).unwrap_or_default();
                left.extend(inside.iter().filter_map(|a| a.ty.user_oid()));
            }
        }
        false
    }
}

fn position(attributes: &[Attribute], name: &str) -> Result<usize> {
    let at = attributes.iter().position(|a| a.name == name);
    at.ok_or_else(|| {
        Error::new(
            SqlState::UNDEFINED_COLUMN,
            format!("column \"{name}\" does not exist"),
        )
    })
}

fn acceptable(attributes: &[Attribute], twice: impl Fn(&str) -> String) -> Result<()> {
    if attributes.len() > limits::COLUMNS_MAX {
        return Err(Error::new(
            SqlState::TOO_MANY_COLUMNS,
            format!("tables can have at most {} columns", limits::COLUMNS_MAX),
        ));
    }
    let mut seen = BTreeSet::new();
    match attributes.iter().find(|a| !seen.insert(&a.name)) {
        None => Ok(()),
        Some(a) => Err(Error::new(SqlState::DUPLICATE_COLUMN, twice(&a.name))),
    }
}

fn number(attributes: &mut [Attribute]) {
    for (a, n) in attributes.iter_mut().zip(1..) {
        a.number = n;
    }
}

fn taken(name: &str) -> Error {
    Error::new(
        SqlState::DUPLICATE_TABLE,
        format!("relation \"{name}\" already exists"),
    )
}
