//! What definitions make of a catalog.

use super::*;
use crate::catalog::stored;
use crate::catalog::{ColumnDef, KeyPart};
use crate::plan::Key;
use crate::plan::ddl::{BuildStep, CreateTable, Drop, NewIndex, ObjectKind, QualifiedName};
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
            ..Key::default()
        }),
        uniques: vec![Key {
            name: None,
            columns: vec![1],
            ..Key::default()
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

fn concurrently(catalog: &Catalog) -> Ddl {
    Ddl::CreateIndex {
        table: named("t"),
        since: catalog.table_by_name(None, "t").unwrap().since,
        new: Box::new(NewIndex {
            name: None,
            index: Index {
                parts: vec![KeyPart::ascending(0)],
                ..Index::default()
            },
        }),
        if_not_exists: false,
        concurrently: true,
    }
}

#[test]
fn plans_from_before_an_index_write_on_until_its_builder_has_waited_for_them() {
    let c = change(&Catalog::empty(1), &table("t", true)).unwrap();
    let first = c.catalog.table_by_name(None, "t").unwrap().since;
    let c = change(&c.catalog, &concurrently(&c.catalog)).unwrap();
    assert!(c.locks.is_empty() && c.work.is_empty());
    let one = c.catalog.table_by_name(None, "t").unwrap().clone();
    assert!(one.takes_writes_of(first) && !one.takes_writes_of(first - 1));
    assert_eq!(one.valid_indexes().count() + 1, one.indexes.len());
    let c = change(&c.catalog, &concurrently(&c.catalog)).unwrap();
    let two = c.catalog.table_by_name(None, "t").unwrap().clone();
    assert!(two.takes_writes_of(first) && two.takes_writes_of(one.since));
    let step = |index: usize, step| Ddl::IndexBuild {
        table: one.id,
        index: two.indexes[index].id,
        step,
    };
    let since = one.since;
    let c = change(&c.catalog, &step(1, BuildStep::Known { since })).unwrap();
    let known = c.catalog.table_by_name(None, "t").unwrap();
    // The second index is still waited for.
    assert!(!known.takes_writes_of(first) && known.takes_writes_of(since));
    let c = change(&c.catalog, &step(1, BuildStep::Valid)).unwrap();
    assert!(c.changed.contains(&Object::InvalidIndex(two.indexes[1].id)));
    let valid = c.catalog.table_by_name(None, "t").unwrap().clone();
    assert!(valid.takes_writes_of(since) && valid.takes_writes_of(two.since));
    let empty = Ddl::Truncate {
        tables: vec![named("t")],
        restart: false,
        cascade: false,
    };
    let c = change(&c.catalog, &empty).unwrap();
    let other = c.catalog.table_by_name(None, "t").unwrap();
    assert!(!other.takes_writes_of(valid.since));
    assert_eq!(other.valid_indexes().count(), other.indexes.len());
}

#[test]
fn that_an_index_is_not_valid_is_stored_and_goes_with_its_table() {
    let c = change(&Catalog::empty(1), &table("t", true)).unwrap();
    let before = c.changed.clone();
    let c = change(&c.catalog, &concurrently(&c.catalog)).unwrap();
    let mut all = before;
    all.extend(c.changed.iter().copied());
    let cells = stored::encode(&c.catalog, &all).unwrap();
    let live = |cells: Vec<stored::Cell>| cells.into_iter().filter_map(|(k, v)| Some((k, v?)));
    let read = stored::decode(1, live(cells)).unwrap();
    let first = read.of(crate::catalog::databases::FIRST_OID).unwrap();
    let t = first.table_by_name(None, "t").unwrap();
    assert_eq!(
        t.indexes.iter().map(|i| i.invalid).collect::<Vec<_>>(),
        [false, true]
    );
    let gone = stored::erase(&c.catalog).unwrap();
    let drop = Ddl::Drop(Drop {
        kind: ObjectKind::Table,
        names: vec![named("t")],
        args: Vec::new(),
        if_exists: false,
        cascade: false,
        concurrently: false,
    });
    let dropped = change(&c.catalog, &drop).unwrap();
    let cell = stored::encode(&dropped.catalog, &dropped.changed).unwrap();
    let key = |(key, value): &stored::Cell| (value.is_none() && key[0] == 12).then(|| key.clone());
    assert_eq!(
        gone.iter().filter_map(key).collect::<Vec<_>>(),
        cell.iter().filter_map(key).collect::<Vec<_>>()
    );
    assert_eq!(cell.iter().filter_map(key).count(), 1);
}
