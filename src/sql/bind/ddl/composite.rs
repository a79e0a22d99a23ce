//! CREATE TYPE … AS (…) and ALTER TYPE's attributes; which types columns can have.
//!
//! Owns: the attributes' types. Never: looks at what has the type (`catalog::change` does). Source: PostgreSQL 15, `heap.c`
//! (`CheckAttributeType`).

use super::super::user_type::Declared;
use super::super::{Binder, names};
use crate::parse::define::{Action, AttributeAction as Written};
use crate::statement::Statement;
use engine::catalog::Attribute;
use engine::plan::ddl::{AttributeAction, Ddl, TypeAction};
use sqlparser::ast;
use types::{DataType, Error, Result, SqlState};

impl<'a> Binder<'a> {
    pub(super) fn create_composite(
        &mut self,
        name: &ast::ObjectName,
        attributes: &'a [ast::ColumnDef],
    ) -> Result<Statement> {
        let name = self.creation(name, false)?;
        let attributes = attributes.iter().map(|a| self.attribute(a));
        let attributes = attributes.collect::<Result<_>>()?;
        Ok(Statement::Ddl(Ddl::CreateComposite { name, attributes }))
    }

    fn attribute(&self, written: &ast::ColumnDef) -> Result<Attribute> {
        let Declared {
            ty,
            typmod,
            declared,
        } = self.declared_type(&written.data_type)?;
        let name = names::ident(&written.name);
        self.can_be_stored(&name, ty)?;
        for option in &written.options {
            if let ast::ColumnOption::Collation(collation) = &option.option {
                self.known_collation(collation)?;
            }
        }
        Ok(Attribute {
            name,
            ty,
            typmod,
            declared,
            number: 0,
        })
    }

    /// The attributes' actions of an ALTER TYPE; `None` where it is another.
    pub(in super::super) fn attribute_actions(
        &mut self,
        actions: &'a [Action],
    ) -> Result<Option<TypeAction>> {
        let mut out = Vec::with_capacity(actions.len());
        for action in actions {
            let Action::Attribute(action) = action else {
                return Ok(None);
            };
            out.push(match action {
                Written::Add(column) => AttributeAction::Add(self.attribute(column)?),
                Written::Drop { name, if_exists } => AttributeAction::Drop {
                    name: names::ident(name),
                    if_exists: *if_exists,
                },
                Written::Rename { from, to } => AttributeAction::Rename {
                    from: names::ident(from),
                    to: names::ident(to),
                },
            });
        }
        Ok(Some(TypeAction::Attributes(out)))
    }

    /// 42P16 for a column of what no value can be kept of, 0A000 for rows of tables.
    pub(in super::super) fn can_be_stored(&self, name: &str, ty: DataType) -> Result<()> {
        let pseudo = matches!(
            ty,
            DataType::Unknown | DataType::Void | DataType::Record | DataType::RecordArray
        );
        if pseudo {
            return Err(Error::new(
                SqlState::INVALID_TABLE_DEFINITION,
                format!("column \"{name}\" has pseudo-type {ty}"),
            ));
        }
        let of_relation = |oid| !self.env.catalog.types.contains_key(&oid);
        match ty.user_oid() {
            Some(oid) if ty.has_records() && of_relation(oid) => Err(Error::unsupported(format!(
                "a column of the rows of a table or view is not supported: {}",
                self.type_text(ty)
            ))
            .with_hint("CREATE TYPE … AS (…) makes a type that columns can have.")),
            _ => Ok(()),
        }
    }
}
