//! CREATE and ALTER SCHEMA.

use super::Change;
use super::names::no_schema;
use crate::catalog::Schema;
use crate::catalog::model::PUBLIC;
use crate::catalog::stored::Object;
use std::sync::Arc;
use types::{Error, Result, SqlState};

impl Change {
    pub(super) fn create_schema(
        &mut self,
        name: &str,
        if_not_exists: bool,
        temporary: bool,
    ) -> Result<()> {
        self.tag = "CREATE SCHEMA";
        if !temporary {
            acceptable(name)?;
        }
        if self.catalog.schema_oid(name).is_some() {
            let message = format!("schema \"{name}\" already exists");
            if !if_not_exists {
                return Err(Error::new(SqlState::DUPLICATE_SCHEMA, message));
            }
            let notice = Error::new(SqlState::DUPLICATE_SCHEMA, format!("{message}, skipping"));
            self.notices.push(notice);
            return Ok(());
        }
        let oid = self.oid();
        self.touched(Object::Schema(oid));
        let schema = Schema {
            oid,
            name: name.to_owned(),
            temporary,
        };
        self.catalog.schemas.insert(oid, Arc::new(schema));
        Ok(())
    }

    /// Everything in it carries its name.
    pub(super) fn rename_schema(&mut self, from: &str, to: &str) -> Result<()> {
        self.tag = "ALTER SCHEMA";
        acceptable(to)?;
        if from == PUBLIC {
            return Err(Error::unsupported(
                "renaming the schema public is not supported",
            ));
        }
        let found = self.catalog.schemas.values().find(|s| s.name == from);
        let Some(schema) = found.cloned() else {
            return Err(no_schema(from));
        };
        if self.catalog.schema_oid(to).is_some() {
            return Err(Error::new(
                SqlState::DUPLICATE_SCHEMA,
                format!("schema \"{to}\" already exists"),
            ));
        }
        let mut next = Schema::clone(&schema);
        next.name = to.to_owned();
        self.touched(Object::Schema(schema.oid));
        self.catalog.schemas.insert(schema.oid, Arc::new(next));
        self.move_contents(from, to);
        Ok(())
    }

    fn move_contents(&mut self, from: &str, to: &str) {
        let tables: Vec<_> = self.catalog.tables.values().cloned().collect();
        for table in tables.into_iter().filter(|t| t.schema == from) {
            let mut next = crate::catalog::Table::clone(&table);
            next.schema = to.to_owned();
            self.locks.push(table.id);
            self.put(next);
        }
        let views: Vec<_> = self.catalog.views.values().cloned().collect();
        for view in views.into_iter().filter(|v| v.schema == from) {
            let mut next = crate::catalog::View::clone(&view);
            next.schema = to.to_owned();
            self.put_view(next);
        }
        let sequences: Vec<_> = self.catalog.sequences.values().cloned().collect();
        for sequence in sequences.into_iter().filter(|s| s.schema == from) {
            let mut next = crate::catalog::Sequence::clone(&sequence);
            next.schema = to.to_owned();
            self.put_sequence(next);
            self.respell(sequence.id);
        }
        let types: Vec<_> = self.catalog.types.values().cloned().collect();
        for ty in types.into_iter().filter(|t| t.schema == from) {
            let mut next = crate::catalog::UserType::clone(&ty);
            next.schema = to.to_owned();
            self.touched(Object::Type(ty.oid));
            self.catalog.types.insert(ty.oid, Arc::new(next));
        }
        self.move_extensions(from, to);
        let functions: Vec<_> = self.catalog.functions.values().cloned().collect();
        let own =
            |f: &std::sync::Arc<crate::catalog::Function>| f.schema == from && !f.is_built_in();
        for function in functions.into_iter().filter(own) {
            let mut next = crate::catalog::objects::Function::clone(&function);
            next.schema = to.to_owned();
            self.touched(Object::Function(function.oid));
            self.catalog.functions.insert(function.oid, Arc::new(next));
        }
    }
}

/// `pg_` is the system's.
fn acceptable(name: &str) -> Result<()> {
    if name.starts_with("pg_") {
        return Err(Error::new(
            SqlState::RESERVED_NAME,
            format!("unacceptable schema name \"{name}\""),
        )
        .with_detail("The prefix \"pg_\" is reserved for system schemas."));
    }
    if name == "information_schema" {
        return Err(Error::new(
            SqlState::DUPLICATE_SCHEMA,
            format!("schema \"{name}\" already exists"),
        ));
    }
    Ok(())
}
