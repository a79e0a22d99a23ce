//! CREATE, ALTER and DROP DATABASE, and COMMENT ON it.
//!
//! Owns: which databases there may be. Never: looks who is in one; the session does, after this has found that it may go.
//! Bounds: `DATABASES_MAX`. Source: PostgreSQL 15, `dbcommands.c`.

use super::Change;
use crate::catalog::databases::FIRST_OID;
use crate::catalog::stored::Object;
use crate::catalog::{Catalogs, Database, Databases};
use crate::plan::ddl::DatabaseChange;
use std::sync::Arc;
use types::limits::DATABASES_MAX;
use types::{Error, Result, SqlState};

impl Change {
    pub(super) fn of_database(&mut self, what: &DatabaseChange, all: &Catalogs) -> Result<()> {
        self.tag = match what {
            DatabaseChange::Create { .. } => "CREATE DATABASE",
            DatabaseChange::Drop { .. } => "DROP DATABASE",
            _ => "ALTER DATABASE",
        };
        if let DatabaseChange::Create {
            name,
            template,
            is_template,
            allows_connections,
        } = what
        {
            self.is_free(name)?;
            self.is_template(template, all)?;
            let oid = self.oid();
            let next = Database {
                is_template: *is_template,
                allows_connections: *allows_connections,
                ..Database::new(oid, name)
            };
            return self.put_database(next);
        }
        let Some(found) = self.catalog.databases.named(what.name()).cloned() else {
            return self.no_database(what);
        };
        let mut next = Database::clone(&found);
        match what {
            DatabaseChange::Create { .. } | DatabaseChange::Same { .. } => return Ok(()),
            DatabaseChange::Drop { .. } => return self.drop_database(&found, all),
            DatabaseChange::Rename { to, .. } => {
                self.is_free(to)?;
                if found.oid == self.catalog.database {
                    return Err(Error::unsupported("current database cannot be renamed"));
                }
                stays(&found, "renamed")?;
                next.name.clone_from(to);
            }
            DatabaseChange::Options {
                is_template,
                allows_connections,
                ..
            } => {
                if *allows_connections == Some(false) && found.oid == self.catalog.database {
                    return Err(Error::new(
                        SqlState::INVALID_PARAMETER_VALUE,
                        "cannot disallow connections for current database",
                    ));
                }
                next.is_template = is_template.unwrap_or(next.is_template);
                next.allows_connections = allows_connections.unwrap_or(next.allows_connections);
            }
            DatabaseChange::Set { setting, value, .. } => match (setting, value) {
                (None, _) => next.settings.clear(),
                (Some(setting), value) => {
                    next.settings.retain(|(name, _)| name != setting);
                    if let Some(value) = value {
                        next.settings.push((setting.clone(), value.clone()));
                    }
                }
            },
        }
        self.put_database(next)
    }

    pub(super) fn comment_database(&mut self, name: &str, text: Option<&str>) -> Result<()> {
        let Some(found) = self.catalog.databases.named(name) else {
            return Err(missing(name));
        };
        let mut next = Database::clone(found);
        next.comment = text.map(str::to_owned);
        self.put_database(next)
    }

    fn no_database(&mut self, what: &DatabaseChange) -> Result<()> {
        let error = missing(what.name());
        match what {
            DatabaseChange::Drop {
                if_exists: true, ..
            } => {
                self.skip(format!("{}, skipping", error.message()));
                Ok(())
            }
            _ => Err(error),
        }
    }

    fn drop_database(&mut self, found: &Database, all: &Catalogs) -> Result<()> {
        if found.is_template {
            return Err(Error::new(
                SqlState::WRONG_OBJECT_TYPE,
                "cannot drop a template database",
            ));
        }
        if found.oid == self.catalog.database {
            return Err(Error::new(
                SqlState::OBJECT_IN_USE,
                "cannot drop the currently open database",
            ));
        }
        stays(found, "dropped")?;
        let gone = all.of(found.oid).cloned();
        if let Some(gone) = &gone {
            self.dropped.extend(gone.trees());
        }
        self.gone = gone;
        let mut databases = Databases::clone(&self.catalog.databases);
        databases.remove(found.oid);
        self.touched(Object::Database(found.oid));
        self.take_databases(databases);
        Ok(())
    }

    fn put_database(&mut self, database: Database) -> Result<()> {
        let mut databases = Databases::clone(&self.catalog.databases);
        databases.put(database);
        if databases.len() > DATABASES_MAX {
            return Err(Error::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("a server can have at most {DATABASES_MAX} databases"),
            ));
        }
        self.take_databases(databases);
        Ok(())
    }

    /// Once one is stored, all are.
    fn take_databases(&mut self, databases: Databases) {
        for database in databases.iter() {
            self.touched(Object::Database(database.oid));
        }
        self.catalog.databases = Arc::new(databases);
    }

    fn is_free(&self, name: &str) -> Result<()> {
        match self.catalog.databases.named(name) {
            None => Ok(()),
            Some(_) => Err(Error::new(
                SqlState::DUPLICATE_DATABASE,
                format!("database \"{name}\" already exists"),
            )),
        }
    }

    /// There is nothing in it to be copied.
    fn is_template(&self, name: &str, all: &Catalogs) -> Result<()> {
        let Some(found) = self.catalog.databases.named(name) else {
            return Err(Error::new(
                SqlState::INVALID_CATALOG_NAME,
                format!("template database \"{name}\" does not exist"),
            ));
        };
        let empty = match found.oid == self.catalog.database {
            true => self.catalog.has_nothing(),
            false => all.of(found.oid).is_none_or(|c| c.has_nothing()),
        };
        match empty {
            true => Ok(()),
            false => Err(Error::unsupported(format!(
                "copying the database \"{name}\", which is not empty, is not supported"
            ))
            .with_hint("TEMPLATE template0 makes an empty database.")),
        }
    }
}

/// Clients that name no database come to the first one.
fn stays(found: &Database, what: &str) -> Result<()> {
    match found.oid {
        FIRST_OID => Err(Error::unsupported(format!(
            "the database \"{}\" cannot be {what}",
            found.name
        ))
        .with_hint("It is the one that the server itself and HTTP without a database's name use.")),
        _ => Ok(()),
    }
}

pub(super) fn missing(name: &str) -> Error {
    Error::new(
        SqlState::INVALID_CATALOG_NAME,
        format!("database \"{name}\" does not exist"),
    )
}
