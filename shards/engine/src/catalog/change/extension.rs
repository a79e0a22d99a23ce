//! CREATE EXTENSION.
//!
//! Source: PostgreSQL 15, `extension.c`.

use super::Change;
use crate::catalog::extensions::{self, Extension};
use crate::catalog::stored::Object;
use crate::catalog::system::EXTENSION;
use crate::plan::ddl::CreateExtension;
use std::sync::Arc;
use types::{Error, Result, SqlState};

impl Change {
    pub(super) fn create_extension(&mut self, new: &CreateExtension) -> Result<()> {
        self.tag = "CREATE EXTENSION";
        let name = &new.name;
        if self.catalog.extension_named(name).is_some() || name == EXTENSION {
            let exists = format!("extension \"{name}\" already exists");
            if !new.if_not_exists {
                return Err(Error::new(SqlState::DUPLICATE_OBJECT, exists));
            }
            self.notices.push(Error::new(
                SqlState::DUPLICATE_OBJECT,
                format!("{exists}, skipping"),
            ));
            return Ok(());
        }
        let Some(known) = extensions::known(name) else {
            let message = format!("extension \"{name}\" is not available");
            return Err(Error::unsupported(message)
                .with_hint("pg_available_extensions lists those that are."));
        };
        if let Some(version) = new.version.as_ref().filter(|v| **v != known.version) {
            return Err(Error::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!(
                    "extension \"{name}\" has no installation script nor update path for version \"{version}\""
                ),
            ));
        }
        self.known_schema(&new.schema)?;
        let extension = Extension {
            oid: self.catalog.next_oid,
            name: name.clone(),
            schema: new.schema.clone(),
        };
        self.catalog.next_oid += extensions::OIDS;
        for function in extension.functions() {
            let mut all = self.catalog.functions.values();
            let taken = all.any(|f| {
                f.schema == function.schema
                    && f.name == function.name
                    && f.same_arguments(&function)
            });
            if taken {
                return Err(Error::new(
                    SqlState::DUPLICATE_FUNCTION,
                    format!(
                        "function \"{}\" already exists with same argument types",
                        function.name
                    ),
                ));
            }
        }
        let said = super::comment::of_extension(extension.oid);
        self.catalog.comments.insert(said, known.comment.into());
        self.touched(Object::Comment(said));
        self.put_extension(extension);
        Ok(())
    }

    pub(super) fn put_extension(&mut self, extension: Extension) {
        self.touched(Object::Extension(extension.oid));
        self.catalog.put_extension(extension);
    }

    pub(super) fn remove_extension(&mut self, oid: u32) {
        self.catalog.extensions.remove(&oid);
        self.touched(Object::Extension(oid));
        self.forget_comments(crate::catalog::system::class_oid("pg_extension"), oid);
    }

    pub(super) fn existing_extension(&self, name: &str) -> Result<u32> {
        if name == EXTENSION {
            return Ok(crate::catalog::system::EXTENSION_OID);
        }
        match self.catalog.extension_named(name) {
            Some(found) => Ok(found.oid),
            None => Err(Error::new(
                SqlState::UNDEFINED_OBJECT,
                format!("extension \"{name}\" does not exist"),
            )),
        }
    }

    pub(super) fn dropped_extension(&self, name: &str) -> Result<u32> {
        match self.existing_extension(name)? {
            crate::catalog::system::EXTENSION_OID => Err(Error::new(
                SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
                format!(
                    "cannot drop extension {name} because it is required by the database system"
                ),
            )),
            oid => Ok(oid),
        }
    }

    /// DROP ROLE IF EXISTS of none that there is.
    pub(super) fn no_roles(&mut self, notices: &[Error]) {
        self.tag = "DROP ROLE";
        self.notices.extend(notices.iter().cloned());
    }

    /// Those of a schema that has another name now.
    pub(super) fn move_extensions(&mut self, from: &str, to: &str) {
        let all: Vec<Arc<Extension>> = self.catalog.extensions.values().cloned().collect();
        for old in all.into_iter().filter(|e| e.schema == from) {
            let mut next = Extension::clone(&old);
            next.schema = to.to_owned();
            self.put_extension(next);
        }
    }

    /// 2BP01 for a function that its extension cannot do without.
    pub(super) fn not_of_extension(&self, function: &crate::catalog::Function) -> Result<()> {
        let Some(extension) = self.catalog.extension_of(function) else {
            return Ok(());
        };
        let (shown, name) = (self.catalog.function_signature(function), &extension.name);
        Err(Error::new(
            SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
            format!("cannot drop function {shown} because extension {name} requires it"),
        )
        .with_hint(format!("You can drop extension {name} instead.")))
    }
}
