//! The databases of a node: what each is called, and the catalog of each at one version.
//!
//! Owns: which databases there are at a first start, and how a transaction's catalog of one of them takes its place among the
//! others. A database is a catalog of its own over the same partitions: nothing in one can name what is in another, as their
//! objects are in no common map. Oids, trees and versions are numbered over all of them.
//! Asked by: shards, which hold the newest; sessions, which see the catalog of theirs alone.
//! Source: PostgreSQL 15, `pg_database`, `initdb`.

use super::stored::Object;
use super::{Catalog, Table};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use types::{TableId, TreeId};

/// The database that clients come to who name none, and HTTP's unless it asks for another.
pub const FIRST: &str = "rustydb";
/// Its oid. What is stored without a database's number is this one's.
pub const FIRST_OID: u32 = 5;
/// Those of the others at a first start.
const TEMPLATE1_OID: u32 = 1;
const TEMPLATE0_OID: u32 = 4;
const POSTGRES_OID: u32 = 6;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Database {
    pub oid: u32,
    pub name: String,
    pub is_template: bool,
    pub allows_connections: bool,
    pub comment: Option<String>,
    /// ALTER DATABASE … SET: what its sessions begin with.
    pub settings: Vec<(String, String)>,
}

impl Database {
    pub fn new(oid: u32, name: &str) -> Database {
        Database {
            oid,
            name: name.to_owned(),
            is_template: false,
            allows_connections: true,
            comment: None,
            settings: Vec::new(),
        }
    }

    fn template(oid: u32, name: &str, allows_connections: bool) -> Database {
        Database {
            is_template: true,
            allows_connections,
            ..Database::new(oid, name)
        }
    }
}

/// By oid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Databases(BTreeMap<u32, Arc<Database>>);

impl Databases {
    /// As a first start finds them, and every start until one of them is changed.
    pub fn first() -> Databases {
        let mut all = Databases::default();
        all.put(Database::template(TEMPLATE1_OID, "template1", true));
        all.put(Database::template(TEMPLATE0_OID, "template0", false));
        all.put(Database::new(FIRST_OID, FIRST));
        all.put(Database::new(POSTGRES_OID, "postgres"));
        all
    }

    pub fn put(&mut self, database: Database) {
        self.0.insert(database.oid, Arc::new(database));
    }

    pub fn remove(&mut self, oid: u32) {
        self.0.remove(&oid);
    }

    pub fn get(&self, oid: u32) -> Option<&Arc<Database>> {
        self.0.get(&oid)
    }

    pub fn named(&self, name: &str) -> Option<&Arc<Database>> {
        self.0.values().find(|d| d.name == name)
    }

    /// In the order of their oids.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Database>> {
        self.0.values()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// Every database's catalog.
#[derive(Clone, Debug)]
pub struct Catalogs {
    /// That of the newest of them.
    pub version: u64,
    /// Next oid for anything in any of them.
    pub next_oid: u32,
    databases: Arc<Databases>,
    all: BTreeMap<u32, Arc<Catalog>>,
}

impl Catalogs {
    /// As before a first start.
    pub fn empty(partitions: u16) -> Catalogs {
        let catalog = Catalog::empty(partitions);
        Catalogs::of_first(catalog)
    }

    /// Nothing but this in the first database.
    pub fn of_first(catalog: Catalog) -> Catalogs {
        let start = Catalogs {
            version: 0,
            next_oid: 0,
            databases: Arc::default(),
            all: BTreeMap::new(),
        };
        start.with(Arc::new(catalog))
    }

    pub fn of(&self, database: u32) -> Option<&Arc<Catalog>> {
        self.all.get(&database)
    }

    pub fn databases(&self) -> &Arc<Databases> {
        &self.databases
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Catalog>> {
        self.all.values()
    }

    /// Whichever database it is in.
    pub fn table(&self, id: TableId) -> Option<&Arc<Table>> {
        self.all.values().find_map(|c| c.table(id))
    }

    pub fn tables(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.all.values().flat_map(|c| c.tables.values())
    }

    /// Every tree that a table or index of any of them names.
    pub fn trees(&self) -> BTreeSet<TreeId> {
        self.all.values().flat_map(|c| c.trees()).collect()
    }

    /// A database's catalog, numbered as the next change of any of them is.
    pub fn base(&self, database: u32) -> Option<Arc<Catalog>> {
        let mut catalog = self.of(database)?.clone();
        if (catalog.version, catalog.next_oid) != (self.version, self.next_oid) {
            let own = Arc::make_mut(&mut catalog);
            (own.version, own.next_oid) = (self.version, self.next_oid);
        }
        Some(catalog)
    }

    /// With a database as a transaction has changed it, and what it has changed of which databases there are.
    pub fn with(&self, catalog: Arc<Catalog>) -> Catalogs {
        let mut next = self.clone();
        next.version = self.version.max(catalog.version);
        next.next_oid = self.next_oid.max(catalog.next_oid);
        let databases = catalog.databases.clone();
        if !Arc::ptr_eq(&databases, &self.databases) {
            next.all.retain(|oid, _| databases.get(*oid).is_some());
            for kept in next.all.values_mut() {
                Arc::make_mut(kept).databases = databases.clone();
            }
            for database in databases.iter() {
                let fresh = || Arc::new(catalog.fresh(database.oid));
                next.all.entry(database.oid).or_insert_with(fresh);
            }
            next.databases = databases;
        }
        next.all.insert(catalog.database, catalog);
        next
    }

    /// Every database's catalog, as it was read.
    pub(super) fn read(
        version: u64,
        next_oid: u32,
        databases: Databases,
        all: BTreeMap<u32, Catalog>,
    ) -> Catalogs {
        let databases = Arc::new(databases);
        let finish = |(oid, mut catalog): (u32, Catalog)| {
            (catalog.version, catalog.next_oid) = (version, next_oid);
            (catalog.database, catalog.databases) = (oid, databases.clone());
            catalog.index_referrers();
            (oid, Arc::new(catalog))
        };
        Catalogs {
            version,
            next_oid,
            all: all.into_iter().map(finish).collect(),
            databases,
        }
    }
}

impl Catalog {
    /// That of another database, which has nothing yet.
    fn fresh(&self, database: u32) -> Catalog {
        Catalog {
            version: self.version,
            next_oid: self.next_oid,
            database,
            databases: self.databases.clone(),
            ..Catalog::empty(self.partitions)
        }
    }

    /// What its sessions call themselves connected to.
    pub fn database_name(&self) -> &str {
        let own = self.databases.get(self.database);
        own.map_or("", |d| d.name.as_str())
    }

    /// Nobody has made anything in it.
    pub fn has_nothing(&self) -> bool {
        self.objects().is_empty()
    }

    /// Everything in it that has a cell of its own.
    pub fn objects(&self) -> Vec<Object> {
        let mut all: Vec<Object> = Vec::new();
        all.extend(self.tables.keys().map(|t| Object::Table(*t)));
        all.extend(self.schemas.keys().map(|s| Object::Schema(*s)));
        all.extend(self.views.keys().map(|v| Object::View(*v)));
        all.extend(self.sequences.keys().map(|s| Object::Sequence(*s)));
        all.extend(self.types.keys().map(|t| Object::Type(*t)));
        let own = self.functions.values().filter(|f| !f.is_built_in());
        all.extend(own.map(|f| Object::Function(f.oid)));
        all.extend(self.extensions.keys().map(|e| Object::Extension(*e)));
        all.extend(self.triggers.values().map(|t| Object::Trigger(t.oid)));
        all.extend(self.comments.keys().map(|c| Object::Comment(*c)));
        let indexes = self.tables.values().flat_map(|t| &t.indexes);
        let invalid = indexes.filter(|i| i.invalid);
        all.extend(invalid.map(|i| Object::InvalidIndex(i.id)));
        let off = self.tables.values().filter(|t| t.keys_off);
        all.extend(off.map(|t| Object::KeysOff(t.id)));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_one_database_leaves_the_others_and_numbers_go_on_over_all() {
        let all = Catalogs::empty(2);
        let mut first = Catalog::clone(&all.base(FIRST_OID).unwrap());
        first.version += 1;
        first.next_oid += 10;
        let next = all.with(Arc::new(first));
        let other = next.of(POSTGRES_OID).unwrap();
        assert_eq!(other.version, all.version);
        let base = next.base(POSTGRES_OID).unwrap();
        assert_eq!((base.version, base.next_oid), (next.version, next.next_oid));
    }

    #[test]
    fn a_new_database_is_empty_and_one_that_goes_is_gone() {
        let all = Catalogs::empty(2);
        let mut own = Catalog::clone(&all.base(FIRST_OID).unwrap());
        let mut databases = Databases::clone(&own.databases);
        databases.put(Database::new(20_000, "d"));
        databases.remove(POSTGRES_OID);
        own.databases = Arc::new(databases);
        let next = all.with(Arc::new(own));
        assert!(next.of(20_000).unwrap().has_nothing());
        assert_eq!(next.of(20_000).unwrap().database_name(), "d");
        assert!(next.of(POSTGRES_OID).is_none());
        assert!(next.iter().all(|c| c.databases.named("d").is_some()));
    }
}
