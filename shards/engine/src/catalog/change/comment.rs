//! COMMENT ON.

use super::Change;
use crate::catalog::Relation;
use crate::catalog::objects::CommentKey;
use crate::catalog::stored::Object;
use crate::catalog::system::class_oid;
use crate::plan::ddl::{CommentTarget, ObjectKind, QualifiedName};
use types::{Error, Result, SqlState};

impl Change {
    pub(super) fn comment(&mut self, on: &CommentTarget, text: Option<&str>) -> Result<()> {
        self.tag = "COMMENT";
        if let CommentTarget::Database(name) = on {
            return self.comment_database(name, text);
        }
        let key = match on {
            CommentTarget::Object(kind, name) => self.described(*kind, name)?,
            CommentTarget::Function { name, args } => {
                let found = self.function_named(name, args.as_deref())?;
                key(class_oid("pg_proc"), found.oid)
            }
            CommentTarget::Column { relation, column } => {
                self.described_column(relation, column)?
            }
            CommentTarget::Constraint { table, name } => {
                let table = self.existing(table)?;
                let catalog = &self.catalog;
                let mut all = crate::catalog::system::constraints(catalog);
                let found = all.find(|c| c.table.id == table.id && c.name == name);
                match found {
                    Some(c) => key(class_oid("pg_constraint"), c.oid),
                    None => {
                        return Err(Error::new(
                            SqlState::UNDEFINED_OBJECT,
                            format!(
                                "constraint \"{name}\" for table \"{}\" does not exist",
                                table.name
                            ),
                        ));
                    }
                }
            }
            CommentTarget::Trigger { table, name } => {
                let table = self.existing(table)?;
                let found = self.existing_trigger(&table, name)?;
                key(class_oid("pg_trigger"), found.oid)
            }
            CommentTarget::Database(name) => return Err(super::database::missing(name)),
        };
        match text {
            Some(text) => {
                self.catalog.comments.insert(key, text.into());
            }
            None => {
                self.catalog.comments.remove(&key);
            }
        }
        self.touched(Object::Comment(key));
        Ok(())
    }

    fn described(&self, kind: ObjectKind, name: &QualifiedName) -> Result<CommentKey> {
        match kind {
            ObjectKind::Schema => match self.catalog.schema_oid(&name.name) {
                Some(oid) => Ok(key(class_oid("pg_namespace"), oid)),
                None => Err(super::names::no_schema(&name.name)),
            },
            ObjectKind::Type | ObjectKind::Domain => {
                let ty = self.type_named(name)?;
                Ok(key(class_oid("pg_type"), ty.oid))
            }
            ObjectKind::Function | ObjectKind::Procedure => {
                let oid = self.function_named(name, None)?.oid;
                Ok(key(class_oid("pg_proc"), oid))
            }
            ObjectKind::Extension => Ok(of_extension(self.existing_extension(&name.name)?)),
            ObjectKind::Table
            | ObjectKind::View
            | ObjectKind::MaterializedView
            | ObjectKind::Sequence
            | ObjectKind::Index => {
                let found = self
                    .catalog
                    .relation_by_name(Some(&name.schema), &name.name);
                let found = found.ok_or_else(|| super::no_relation(&name.name))?;
                if super::drop::kind_of(&found) != kind {
                    let article = match kind {
                        ObjectKind::Index => "an",
                        _ => "a",
                    };
                    return Err(Error::new(
                        SqlState::WRONG_OBJECT_TYPE,
                        format!("\"{}\" is not {article} {}", name.name, kind.name()),
                    ));
                }
                Ok(key(class_oid("pg_class"), found.oid()))
            }
        }
    }

    fn described_column(&self, relation: &QualifiedName, column: &str) -> Result<CommentKey> {
        let found = self
            .catalog
            .relation_by_name(Some(&relation.schema), &relation.name);
        let number = match &found {
            Some(Relation::Table(t)) => {
                let at = t.column(column).and_then(|at| t.columns.get(at));
                at.map(|c| c.number)
            }
            Some(Relation::View(v)) => {
                let at = v.columns.iter().position(|c| c.name == column);
                at.map(|at| at as i16 + 1)
            }
            Some(Relation::Sequence(_) | Relation::Index(..) | Relation::PrimaryKey(_)) => {
                return Err(Error::new(
                    SqlState::WRONG_OBJECT_TYPE,
                    format!("cannot set comment on relation \"{}\"", relation.name),
                ));
            }
            None => return Err(super::no_relation(&relation.name)),
        };
        match (found, number) {
            (Some(relation), Some(number)) => Ok(CommentKey {
                column: i32::from(number),
                ..key(class_oid("pg_class"), relation.oid())
            }),
            _ => Err(Error::new(
                SqlState::UNDEFINED_COLUMN,
                format!(
                    "column \"{column}\" of relation \"{}\" does not exist",
                    relation.name
                ),
            )),
        }
    }
}

pub(super) fn of_extension(oid: u32) -> CommentKey {
    key(class_oid("pg_extension"), oid)
}

fn key(class: u32, object: u32) -> CommentKey {
    CommentKey {
        class,
        object,
        column: 0,
    }
}
