//! What the system relations are called and what columns they have.
//!
//! Owns: name, oid, columns and row source of each. One place: a relation that is not here does not exist.

mod information;
mod tables;
mod tools;
mod views;

use super::SystemColumn;
use super::activity::{Asked, Live};
use crate::exec::Context;
use hashbrown::HashMap;
use std::sync::LazyLock;
use types::{DataType, Row};

/// Of `pg_namespace`, as `regnamespace` knows them.
pub const PG_CATALOG_OID: u32 = 11;
pub use crate::catalog::model::PUBLIC_OID;
pub const INFORMATION_SCHEMA_OID: u32 = 13_183;

pub(super) const PG_CATALOG: &str = "pg_catalog";
pub(super) const INFORMATION_SCHEMA: &str = "information_schema";

/// Makes all rows of a relation.
pub(super) type Source = fn(&Context) -> Vec<Row>;

/// Makes all rows of one that needs more than the session knows.
pub(super) type LiveSource = fn(&Context, &Live) -> Vec<Row>;

/// As it is written down: columns as `name type, …`.
pub(super) struct Definition {
    oid: u32,
    schema: &'static str,
    name: &'static str,
    view: bool,
    rows: Source,
    /// Where its rows are of the whole server's state.
    live: Option<(Asked, LiveSource)>,
    columns: &'static str,
}

const fn table(oid: u32, name: &'static str, rows: Source, columns: &'static str) -> Definition {
    Definition {
        oid,
        schema: PG_CATALOG,
        name,
        view: false,
        rows,
        live: None,
        columns,
    }
}

const fn view(oid: u32, name: &'static str, rows: Source, columns: &'static str) -> Definition {
    Definition {
        view: true,
        ..table(oid, name, rows, columns)
    }
}

const fn live(
    oid: u32,
    name: &'static str,
    live: (Asked, LiveSource),
    columns: &'static str,
) -> Definition {
    Definition {
        live: Some(live),
        ..view(oid, name, none, columns)
    }
}

const fn information(
    oid: u32,
    name: &'static str,
    rows: Source,
    columns: &'static str,
) -> Definition {
    Definition {
        schema: INFORMATION_SCHEMA,
        ..view(oid, name, rows, columns)
    }
}

/// Nothing of the kind exists on this server.
fn none(_: &Context) -> Vec<Row> {
    Vec::new()
}

/// A system relation.
pub struct Relation {
    pub oid: u32,
    pub schema: &'static str,
    pub name: &'static str,
    pub view: bool,
    pub columns: Vec<SystemColumn>,
    pub(super) rows: Source,
    pub(super) live: Option<(Asked, LiveSource)>,
}

impl Relation {
    pub fn schema_oid(&self) -> u32 {
        if self.schema == PG_CATALOG {
            PG_CATALOG_OID
        } else {
            INFORMATION_SCHEMA_OID
        }
    }
}

/// All of them, by oid within each kind.
pub fn relations() -> &'static [Relation] {
    &REGISTRY.all
}

/// `schema` "" searches `pg_catalog`.
pub fn find(schema: &str, name: &str) -> Option<&'static Relation> {
    let schema = if schema.is_empty() {
        PG_CATALOG
    } else {
        schema
    };
    let at = REGISTRY.names.get(&(schema, name))?;
    REGISTRY.all.get(*at)
}

struct Registry {
    all: Vec<Relation>,
    names: HashMap<(&'static str, &'static str), usize>,
}

/// Made once; read-only afterwards.
static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
    let lists = [
        tables::TABLES,
        views::VIEWS,
        tools::TOOLS,
        information::INFORMATION,
        information::PRIVILEGES,
    ];
    let all: Vec<Relation> = lists.into_iter().flatten().map(parse).collect();
    let names = all
        .iter()
        .enumerate()
        .map(|(i, r)| ((r.schema, r.name), i))
        .collect();
    Registry { all, names }
});

fn parse(d: &Definition) -> Relation {
    let column = |text: &'static str| {
        let (name, ty) = text.trim().split_once(' ').unwrap_or((text, "text"));
        SystemColumn {
            name,
            ty: type_of(ty.trim()),
        }
    };
    Relation {
        oid: d.oid,
        schema: d.schema,
        name: d.name,
        view: d.view,
        columns: d.columns.split(',').map(column).collect(),
        rows: d.rows,
        live: d.live,
    }
}

/// `char` is `"char"` here, as in PostgreSQL's headers.
fn type_of(name: &str) -> DataType {
    match name {
        "char" => DataType::InternalChar,
        "char[]" => DataType::InternalCharArray,
        other => DataType::by_name(other).unwrap_or(DataType::Text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_type_is_one_that_exists() {
        for d in [
            tables::TABLES,
            views::VIEWS,
            tools::TOOLS,
            information::INFORMATION,
            information::PRIVILEGES,
        ]
        .into_iter()
        .flatten()
        {
            for column in d.columns.split(',') {
                let ty = column.trim().split_once(' ').expect("a name and a type").1;
                let known = ty.starts_with("char") || DataType::by_name(ty).is_some();
                assert!(known, "{}: {column}", d.name);
            }
        }
    }

    #[test]
    fn names_and_oids_are_unique() {
        let mut oids: Vec<u32> = relations().iter().map(|r| r.oid).collect();
        oids.sort_unstable();
        oids.dedup();
        assert_eq!(oids.len(), relations().len());
        assert_eq!(REGISTRY.names.len(), relations().len());
    }
}
