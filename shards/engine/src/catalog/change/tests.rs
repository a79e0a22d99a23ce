//! What definitions make of a catalog.

use super::*;
use crate::catalog::{ColumnDef, KeyPart};
use crate::plan::Key;
use crate::plan::ddl::{CreateTable, Drop, NewIndex, ObjectKind, QualifiedName};
use types::DataType;

fn context(catalog: &Catalog) -> Context {
    crate::catalog::system::context_of(catalog.clone())
}

fn change(catalog: &Catalog, ddl: &Ddl) -> Result<Change> {
    let all = Arc::new(Catalogs::of_first(catalog.clone()));
    plan(&all, catalog, ddl, &context(catalog))
}

fn named(name: &str) -> QualifiedName {
    QualifiedName {
        schema: "public".into(),
        name: name.into(),
    }
}

fn table(name: &str, key: bool) -> Ddl {
    let column = |name: &str, number| ColumnDef::new(name, DataType::Int4, number);
    Ddl::CreateTable(Box::new(CreateTable {
        schema: "public".into(),
        name: name.into(),
        columns: vec![column("a", 1), column("b", 2)],
        primary_key: key.then(|| Key {
            name: None,
            columns: vec![0],
        }),
        uniques: vec![Key {
            name: None,
            columns: vec![1],
        }],
        ..CreateTable::default()
    }))
}

#[test]
fn generated_names_and_oids_do_not_collide() {
    let c = change(&Catalog::empty(2), &table("t", true)).unwrap();
    let t = c.catalog.table_by_name(None, "t").unwrap().clone();
    assert_eq!(
        (t.primary_key_name.as_str(), t.indexes[0].name.as_str()),
        ("t_pkey", "t_b_key")
    );
    let index = |catalog: &Catalog| Ddl::CreateIndex {
        table: named("t"),
        since: catalog.table_by_name(None, "t").unwrap().since,
        new: Box::new(NewIndex {
            name: None,
            index: Index {
                parts: vec![KeyPart::ascending(1)],
                ..Index::default()
            },
        }),
        if_not_exists: false,
        concurrently: false,
    };
    let c = change(&c.catalog, &index(&c.catalog)).unwrap();
    let c = change(&c.catalog, &index(&c.catalog)).unwrap();
    let t = c.catalog.table_by_name(None, "t").unwrap();
    assert_eq!(t.indexes[1].name, "t_b_idx");
    assert_eq!(t.indexes[2].name, "t_b_idx1");
    let mut ids = vec![t.id.0, t.tree.0, t.primary_key_id.0];
    ids.extend(t.indexes.iter().flat_map(|i| [i.id.0, i.tree.0]));
    let n = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), n);
}

#[test]
fn truncate_gives_new_trees_and_drops_the_old() {
    let c = change(&Catalog::empty(1), &table("t", true)).unwrap();
    let before = c.catalog.table_by_name(None, "t").unwrap().clone();
    let truncate = Ddl::Truncate {
        tables: vec![named("t"), named("t")],
        restart: false,
        cascade: false,
    };
    let c = change(&c.catalog, &truncate).unwrap();
    let after = c.catalog.table_by_name(None, "t").unwrap();
    assert_ne!(before.tree, after.tree);
    assert_eq!(c.dropped, vec![before.tree, before.indexes[0].tree]);
    assert_eq!(c.fresh, vec![after.tree, after.indexes[0].tree]);
    assert_eq!(c.locks, vec![before.id]);
}

#[test]
fn an_index_behind_a_constraint_cannot_be_dropped() {
    let c = change(&Catalog::empty(1), &table("t", true)).unwrap();
    for name in ["t_pkey", "t_b_key"] {
        let drop = Ddl::Drop(Drop {
            kind: ObjectKind::Index,
            names: vec![named(name)],
            args: Vec::new(),
            if_exists: false,
            cascade: false,
            concurrently: false,
        });
        let e = change(&c.catalog, &drop).err().unwrap();
        assert_eq!(e.code(), SqlState::DEPENDENT_OBJECTS_STILL_EXIST);
    }
}
