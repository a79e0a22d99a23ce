//! The catalog's bytes, held still: definitions are stored as their types are declared in the engine, so a variant moved
//! there would silently give old directories another meaning.
//!
//! When this fails, either a declaration changed by accident (append new variants at the end, new fields need a new
//! version), or the old bytes must stay readable. Run with `GOLDEN_WRITE=path` to write the new text.

use crate::support::{Server, client_runtime};
use runtime::Dir;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::ControlFlow;
use storage::{Options, Store};
use types::TreeId;

const GOLDEN: &str = include_str!("../format/catalog2.txt");
const CATALOG: TreeId = TreeId(1);
/// Bytes of a version's timestamp at the end of a key.
const STAMP: usize = 8;

const DEFINITIONS: &str = "create table one (
        id int primary key,
        name varchar(20) not null default 'none',
        price numeric(10,2) check (price >= 0 and price < 1000 or price is null),
        kind text default lower('A' || 'b') check (kind in ('ab', 'cd') and not kind like '%x'),
        made timestamptz default now(),
        tags text[] default array['a', null],
        data jsonb default '{\"a\": [1, true]}',
        n bigint default coalesce(null, 1 + 2 * 3) check (case when n > 5 then n <> 9 else n between 1 and 4 end),
        unique (name, n)
    );
    create index one_kind on one (kind, made);
    create table keyless (a smallint, b double precision default -1.5, c date, d uuid, e bytea, f interval, g bool);
    insert into keyless values (1, 2.5, '2020-01-02', null, '\\x00ff', '1 day', true);
    analyze keyless";

fn cells(server: Server) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let path = server.data().join("p0000");
    server.stop();
    runtime::block_on(async move {
        let dir = Dir::open(&path).await.unwrap();
        let (store, mut replay) = Store::open(dir, Options::default()).await.unwrap();
        while replay.next().await.unwrap().is_some() {}
        let mut found = BTreeMap::new();
        store
            .scan(CATALOG, b"", &mut |key, value| {
                // The newest version comes first.
                let key = key[..key.len() - STAMP].to_vec();
                found.entry(key).or_insert_with(|| value.to_vec());
                ControlFlow::Continue(())
            })
            .await
            .unwrap();
        store.close().await.unwrap();
        found
    })
}

/// Of types, functions and triggers, which `DEFINITIONS` has none of.
const OTHERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/format/catalog6.txt");

const OTHER_DEFINITIONS: &str = "create table t (id int primary key, a text);
    create type mood as enum ('sad', 'ok');
    alter type mood add value 'meh' before 'ok';
    create domain positive as int default 7 constraint above check (value > 0);
    create domain even as positive not null check (value % 2 = 0);
    create domain good as mood check (value > 'sad');
    create table u (v even, g good default 'ok');
    create function one(n int, by positive default 2) returns int language sql immutable strict as 'select n * by';
    create function rows_of(k int) returns table (id int, a text) language sql stable as 'select * from t where id = k';
    create function all_t() returns setof t language sql as 'select * from t';
    create table w (x int default one(3) check (one(x, 1) > 0));
    create function stamp() returns trigger language plpgsql as 'begin new.a := tg_argv[0]; return new; end';
    create trigger stamp before insert or update of a on t for each row when (new.a <> 'x') execute function stamp('it', 2);
    create trigger later after delete on t for each row execute function stamp();
    create trigger once before delete on t for each statement execute function stamp();
    alter table t disable trigger later;
    create function parts(n int, out tens int, inout ones int) language sql set search_path = public, app as 'select n / 10, ones';
    create function fixed(n int) returns bigint return (select count(*) from t where id = n);
    create function added(n int) returns int language sql as 'insert into t values (n) returning id; select n';
    create table x (a int default added(1) check (added(a) > 0));
    alter table x disable trigger all";

/// Of databases, of which nothing is stored before one is made.
const DATABASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/format/catalog8.txt");

const DATABASE_DEFINITIONS: &str = "create table t (id int primary key);
    create database d is_template true;
    comment on database d is 'said';
    alter database d set search_path = app, public;
    drop database postgres";

const INSIDE: &str = "create schema app;
    create table app.t (id int primary key, n serial);
    create view v as select id from app.t;
    comment on table app.t is 'inside'";

/// Of extensions, whose functions are not stored.
const EXTENSIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/format/catalog7.txt");

const EXTENSION_DEFINITIONS: &str = "create extension \"uuid-ossp\";
    create schema app;
    create extension pgcrypto with schema app;
    comment on extension pgcrypto is 'said';
    create table t (id uuid primary key default uuid_generate_v4(), said text check (app.digest(said, 'sha1') <> ''))";

#[test]
fn extensions_are_stored_as_the_golden_bytes_say() {
    let golden = std::fs::read_to_string(EXTENSIONS).unwrap_or_default();
    stored(EXTENSION_DEFINITIONS, &golden, "GOLDEN_WRITE_EXTENSIONS");
}

#[test]
fn definitions_are_stored_as_the_golden_bytes_say() {
    stored(DEFINITIONS, GOLDEN, "GOLDEN_WRITE");
}

#[test]
fn types_functions_and_triggers_are_stored_as_the_golden_bytes_say() {
    let golden = std::fs::read_to_string(OTHERS).unwrap();
    stored(OTHER_DEFINITIONS, &golden, "GOLDEN_WRITE_OTHERS");
}

#[test]
fn databases_are_stored_as_the_golden_bytes_say() {
    let golden = std::fs::read_to_string(DATABASES).unwrap_or_default();
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(&data.path().join("data"), 1);
    client_runtime().block_on(async {
        let client = server.connect().await;
        // None of these may be one of several in a request.
        for definition in DATABASE_DEFINITIONS.split(';') {
            client.batch_execute(definition).await.unwrap();
        }
        let inside = server.connect_to("d").await.unwrap();
        inside.batch_execute(INSIDE).await.unwrap();
    });
    compared(server, &golden, "GOLDEN_WRITE_DATABASES");
}

fn stored(definitions: &str, golden: &str, write: &str) {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(&data.path().join("data"), 1);
    client_runtime().block_on(async {
        let client = server.connect().await;
        client.batch_execute(definitions).await.unwrap();
    });
    compared(server, golden, write);
}

fn compared(server: Server, golden: &str, write: &str) {
    let mut now = String::new();
    for (key, value) in cells(server) {
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        let _ = writeln!(now, "{}", hex(&key));
        for run in value.chunks(48) {
            let _ = writeln!(now, "  {}", hex(run));
        }
    }
    if let Some(path) = std::env::var_os(write) {
        std::fs::write(path, &now).unwrap();
    }
    assert!(
        now == golden,
        "the catalog's bytes changed; now they are\n{now}"
    );
}
