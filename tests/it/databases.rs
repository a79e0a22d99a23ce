//! Databases: what is in one is not in another, by any protocol, after a kill, a backup and another number of partitions.

use crate::support::{Server, client_runtime, code, on_server, refused, run, value};
use std::process::Command;
use std::time::{Duration, Instant};
use tokio_postgres::{Client, NoTls};

async fn try_into(server: &Server, database: &str) -> Result<Client, tokio_postgres::Error> {
    server.connect_to(database).await
}

async fn into(server: &Server, database: &str) -> Client {
    try_into(server, database).await.unwrap()
}

/// SQLSTATE and message.
async fn failure(client: &Client, sql: &str) -> (String, String) {
    let error = client.batch_execute(sql).await.unwrap_err();
    let said = error.as_db_error().map(|e| e.message().to_owned());
    (code(&error), said.unwrap_or_default())
}

/// Each statement by itself, as CREATE and DROP DATABASE must be.
async fn each(client: &Client, sql: &str) {
    for statement in sql.split(';').filter(|s| !s.trim().is_empty()) {
        run(client, statement).await;
    }
}

async fn names(client: &Client, sql: &str) -> Vec<String> {
    let rows = client.query(sql, &[]).await.unwrap();
    rows.iter().map(|r| r.get(0)).collect()
}

const ALL: &str = "select datname::text from pg_database order by 1";

#[test]
fn what_is_in_one_database_is_not_in_another() {
    for cores in [1, 2, 4] {
        on_server(cores, &[], async |server, first| {
            assert_eq!(
                names(&first, ALL).await,
                ["postgres", "rustydb", "template0", "template1"]
            );
            run(
                &first,
                "create database shop encoding 'UTF8' template template0 lc_collate 'C'",
            )
            .await;
            run(&first, "create schema app; create table t (a int primary key); create table app.only (a int)").await;
            let shop = into(server, "shop").await;
            let current: String = value(&shop, "select current_database()::text").await;
            assert_eq!(current, "shop");
            assert_eq!(
                value::<i64>(
                    &shop,
                    "select count(*) from pg_class where relname in ('t', 'only')"
                )
                .await,
                0
            );
            assert_eq!(refused(&shop, "select * from t").await, "42P01");
            assert_eq!(refused(&shop, "select * from app.only").await, "42P01");
            // The same names mean other things, also where plans are kept and rows are found by their keys alone.
            run(&shop, "create schema app; create table t (a int primary key, b text); create type mood as enum ('ok')").await;
            run(&shop, "insert into t values (1, 'shop'), (2, 'shop')").await;
            run(&first, "insert into t values (1)").await;
            for _ in 0..4 {
                assert_eq!(value::<i64>(&shop, "select count(*) from t").await, 2);
                assert_eq!(value::<i64>(&first, "select count(*) from t").await, 1);
                let b: String = value(&shop, "select b from t where a = 1").await;
                assert_eq!(b, "shop");
                assert_eq!(
                    first
                        .query("select * from t where a = 1", &[])
                        .await
                        .unwrap()[0]
                        .len(),
                    1
                );
            }
            // A change of one does not disturb writers of the other.
            run(&shop, "begin; insert into t values (3, 'x')").await;
            run(
                &first,
                "alter table t add column c int default 7; drop table app.only",
            )
            .await;
            run(&shop, "insert into t values (4, 'x'); commit").await;
            assert_eq!(value::<i64>(&shop, "select count(*) from t").await, 4);
            let catalogs = "select distinct table_catalog::text from information_schema.tables";
            assert_eq!(names(&shop, catalogs).await, ["shop"]);
            assert_eq!(names(&first, catalogs).await, ["rustydb"]);
            // Over its own name, and over another's.
            assert_eq!(
                value::<i64>(&shop, "select count(*) from shop.public.t").await,
                4
            );
            assert_eq!(
                value::<i64>(&shop, "select count(shop.public.t.a) from public.t").await,
                4
            );
            assert_eq!(
                failure(&shop, "select * from rustydb.public.t").await,
                (
                    "0A000".into(),
                    "cross-database references are not implemented: \"rustydb.public.t\"".into()
                )
            );
            assert_eq!(
                refused(&shop, "create table rustydb.public.u (a int)").await,
                "0A000"
            );
            run(
                &shop,
                "create table shop.public.u (a int); drop table shop.public.u",
            )
            .await;
        });
    }
}

#[test]
fn databases_are_made_and_dropped_as_postgresql_does() {
    on_server(2, &[], async |server, first| {
        let words = |code: &str, said: &str| (code.to_owned(), said.to_owned());
        let missing = try_into(server, "none").await.err().unwrap();
        let said = missing.as_db_error().unwrap();
        assert_eq!(
            (code(&missing).as_str(), said.message()),
            ("3D000", "database \"none\" does not exist")
        );
        let shut = try_into(server, "template0").await.err().unwrap();
        assert_eq!(code(&shut), "55000");
        run(&first, "create database d").await;
        for (sql, code, said) in [
            (
                "create database d",
                "42P04",
                "database \"d\" already exists",
            ),
            (
                "create database e template x",
                "3D000",
                "template database \"x\" does not exist",
            ),
            (
                "create database e encoding 'LATIN1'",
                "0A000",
                "ENCODING 'LATIN1' is not supported",
            ),
            (
                "create database e lc_collate 'en_US.UTF-8'",
                "0A000",
                "LC_COLLATE 'en_US.UTF-8' is not supported",
            ),
            (
                "create database e connection limit 3",
                "0A000",
                "a connection limit of a database is not supported",
            ),
            (
                "create database e nonsense 3",
                "42601",
                "option \"nonsense\" not recognized",
            ),
            (
                "drop database none",
                "3D000",
                "database \"none\" does not exist",
            ),
            (
                "drop database rustydb",
                "55006",
                "cannot drop the currently open database",
            ),
            (
                "drop database template1",
                "42809",
                "cannot drop a template database",
            ),
            (
                "alter database d rename to postgres",
                "42P04",
                "database \"postgres\" already exists",
            ),
            (
                "alter database rustydb rename to e",
                "0A000",
                "current database cannot be renamed",
            ),
            (
                "alter database d set nonsense = 1",
                "42704",
                "unrecognized configuration parameter \"nonsense\"",
            ),
        ] {
            assert_eq!(failure(&first, sql).await, words(code, said), "{sql}");
        }
        for what in ["create database e", "drop database d"] {
            run(&first, "begin").await;
            assert_eq!(refused(&first, what).await, "25001");
            run(&first, "rollback").await;
            assert_eq!(refused(&first, &format!("{what}; select 1")).await, "25001");
        }
        each(
            &first,
            "drop database if exists none; alter database d rename to e",
        )
        .await;
        run(
            &first,
            "comment on database e is 'said'; alter database e owner to rustydb",
        )
        .await;
        run(&first, "alter database e set search_path = app, public; alter database e set timezone to 'Asia/Tokyo'").await;
        let said: String = value(
            &first,
            "select shobj_description(oid, 'pg_database') from pg_database where datname = 'e'",
        )
        .await;
        assert_eq!(said, "said");
        let e = into(server, "e").await;
        let shown: String = value(&e, "show search_path").await;
        assert_eq!(shown, "app, public");
        run(&e, "set timezone to 'UTC'; reset timezone").await;
        let shown: String = value(&e, "show timezone").await;
        assert_eq!(shown, "Asia/Tokyo");
        run(&e, "create schema app; create table t (a int)").await;
        assert_eq!(
            refused(&first, "create database copy template e").await,
            "0A000"
        );
        // It is in use, and this waits for those who are going.
        let begun = Instant::now();
        let used = first.batch_execute("drop database e").await.unwrap_err();
        let used = used.as_db_error().unwrap();
        assert_eq!(
            used.message(),
            "database \"e\" is being accessed by other users"
        );
        assert_eq!(
            used.detail(),
            Some("There is 1 other session using the database.")
        );
        assert!(begun.elapsed() < Duration::from_secs(20));
        assert_eq!(
            refused(&first, "alter database e rename to f").await,
            "55006"
        );
        // Its doors are open again.
        drop(into(server, "e").await);
        drop(e);
        run(&first, "drop database e").await;
        assert_eq!(code(&try_into(server, "e").await.err().unwrap()), "3D000");
        assert_eq!(
            names(&first, ALL).await,
            ["postgres", "rustydb", "template0", "template1"]
        );
    });
}

#[test]
fn force_ends_the_sessions_that_are_in_a_database_on_any_shard() {
    on_server(2, &[], async |server, first| {
        run(&first, "create database d").await;
        let mut inside = Vec::new();
        for _ in 0..4 {
            inside.push(into(server, "d").await);
        }
        run(
            &inside[0],
            "create table t (a int); begin; insert into t values (1)",
        )
        .await;
        let busy = inside.pop().unwrap();
        let running = tokio::spawn(async move {
            busy.batch_execute("select count(*) from generate_series(1, 10000000000)")
                .await
        });
        tokio::time::sleep(Duration::from_millis(100)).await;
        run(&first, "drop database d with (force)").await;
        let ended = code(&running.await.unwrap().unwrap_err());
        assert!(
            ["57P01", "57014", "lost"].contains(&ended.as_str()),
            "{ended}"
        );
        for client in &inside {
            let gone = client.batch_execute("select 1").await.unwrap_err();
            assert!(
                ["57P01", "lost"].contains(&code(&gone).as_str()),
                "{gone:?}"
            );
        }
        assert_eq!(code(&try_into(server, "d").await.err().unwrap()), "3D000");
        // The name is free, and what was there is not.
        run(&first, "create database d").await;
        assert_eq!(
            refused(&into(server, "d").await, "select * from t").await,
            "42P01"
        );
    });
}

#[test]
fn a_rename_that_is_rolled_back_leaves_the_name_and_the_door() {
    on_server(2, &[], async |server, first| {
        each(&first, "create database d; begin").await;
        run(
            &first,
            "alter database d rename to e; comment on database e is 'x'",
        )
        .await;
        let shut = try_into(server, "d").await.err().unwrap();
        assert_eq!(code(&shut), "57P03");
        run(&first, "rollback").await;
        let begun = Instant::now();
        while try_into(server, "d").await.is_err() {
            assert!(begun.elapsed() < Duration::from_secs(10), "shut for ever");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(code(&try_into(server, "e").await.err().unwrap()), "3D000");
    });
}

#[test]
fn locks_that_clients_name_and_notifications_are_of_one_database() {
    on_server(2, &[], async |server, first| {
        each(&first, "create database d; select pg_advisory_lock(7)").await;
        let (other, same) = (into(server, "d").await, server.connect().await);
        assert!(value::<bool>(&other, "select pg_try_advisory_lock(7)").await);
        assert!(!value::<bool>(&same, "select pg_try_advisory_lock(7)").await);
        let port = server.raw().peer_addr().unwrap().port();
        let mut heard = Vec::new();
        for database in ["rustydb", "d"] {
            let config = format!("host=127.0.0.1 port={port} user=rustydb dbname={database}");
            let (client, mut connection) = tokio_postgres::connect(&config, NoTls).await.unwrap();
            let (sent, told) = std::sync::mpsc::channel();
            tokio::spawn(async move {
                while let Some(Ok(message)) =
                    std::future::poll_fn(|cx| connection.poll_message(cx)).await
                {
                    if let tokio_postgres::AsyncMessage::Notification(n) = message {
                        let _ = sent.send(n.payload().to_owned());
                    }
                }
            });
            client.batch_execute("listen c").await.unwrap();
            heard.push((client, told));
        }
        run(&first, "notify c, 'one'").await;
        run(&other, "notify c, 'two'").await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        let got = |n: usize| heard[n].1.try_iter().collect::<Vec<String>>();
        assert_eq!(
            (got(0), got(1)),
            (vec!["one".to_owned()], vec!["two".to_owned()])
        );
    });
}

#[test]
fn http_speaks_to_the_database_that_the_header_names() {
    on_server(2, &[], async |server, first| {
        each(&first, "create database d; create table here (a int)").await;
        run(&into(server, "d").await, "create table there (a int)").await;
        let ask = |header: &str, sql: &str| {
            let body = serde_json::json!({ "sql": sql }).to_string();
            server.http_with("POST", "/api/v1/query", header, &body)
        };
        assert_eq!(ask("", "select * from here").0, 200);
        assert_eq!(ask("x-database: d\r\n", "select * from there").0, 200);
        assert_eq!(ask("x-database: d\r\n", "select * from here").0, 404);
        assert_eq!(ask("x-database: none\r\n", "select 1").0, 404);
        let (_, listed) = server.http_with("GET", "/api/v1/tables", "x-database: d\r\n", "");
        assert!(
            listed.contains("there") && !listed.contains("\"here\""),
            "{listed}"
        );
    });
}

const MADE: &str =
    "create database d; create database gone; drop database gone; drop database postgres;
    comment on database d is 'said'; create table t (a int); insert into t values (1)";
const INSIDE: &str = "create table t (a int primary key, b serial, c text default 'x');
    create index on t (c); insert into t (a) select g from generate_series(1, 300) g;
    create view v as select a from t where a > 100; create function one() returns int language sql as 'select 1'";

async fn is_as_made(first: &Client, inside: &Client) {
    assert_eq!(
        names(first, ALL).await,
        ["d", "rustydb", "template0", "template1"]
    );
    assert_eq!(value::<i64>(first, "select count(*) from t").await, 1);
    assert_eq!(value::<i64>(inside, "select count(*) from v").await, 200);
    assert_eq!(value::<i32>(inside, "select one()").await, 1);
    assert_eq!(
        value::<i64>(inside, "select count(*) from t where c = 'x'").await,
        300
    );
    assert_eq!(value::<i32>(inside, "select a from t where a = 7").await, 7);
    assert_eq!(refused(inside, "insert into t values (7)").await, "23505");
    run(inside, "begin; insert into t values (1000); rollback").await;
}

#[test]
fn databases_are_there_after_a_kill_and_with_another_number_of_partitions() {
    let data = tempfile::tempdir().unwrap();
    let dir = data.path().join("data");
    let runtime = client_runtime();
    let server = Server::start(&dir, 2);
    runtime.block_on(async {
        let first = server.connect().await;
        each(&first, MADE).await;
        run(&into(&server, "d").await, INSIDE).await;
    });
    server.kill();
    let check = |cores: usize| {
        let server = Server::start(&dir, cores);
        runtime.block_on(async {
            is_as_made(&server.connect().await, &into(&server, "d").await).await;
        });
        server.stop();
    };
    check(1);
    let done = Command::new(env!("CARGO_BIN_EXE_rustydb-shard"))
        .args(["repartition", "--partitions", "3", "--data-dir"])
        .arg(&dir)
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
    check(4);
}

#[test]
fn databases_are_in_a_backup() {
    let root = tempfile::tempdir().unwrap();
    let backups = root.path().join("backups").display().to_string();
    let server = Server::with_flags(&root.path().join("data"), 2, &["--backup-dir", &backups]);
    let runtime = client_runtime();
    runtime.block_on(async {
        let first = server.connect().await;
        each(&first, MADE).await;
        run(&into(&server, "d").await, INSIDE).await;
        run(&first, "backup to 'one'").await;
    });
    server.stop();
    let to = root.path().join("restored");
    let done = Command::new(env!("CARGO_BIN_EXE_rustydb-shard"))
        .args(["restore", "--from", &format!("{backups}/one"), "--data-dir"])
        .arg(&to)
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
    let server = Server::start(&to, 2);
    runtime.block_on(async {
        is_as_made(&server.connect().await, &into(&server, "d").await).await;
    });
    server.stop();
}

#[test]
fn temporary_tables_of_a_killed_server_go_from_every_database() {
    let data = tempfile::tempdir().unwrap();
    let dir = data.path().join("data");
    let runtime = client_runtime();
    let server = Server::start(&dir, 2);
    runtime.block_on(async {
        run(&server.connect().await, "create database d").await;
        run(
            &into(&server, "d").await,
            "create temp table t (a int); insert into t values (1)",
        )
        .await;
        server.kill();
        let server = Server::start(&dir, 2);
        let inside = into(&server, "d").await;
        let left = "select count(*) from pg_namespace where nspname like 'pg\\_temp\\_%'";
        assert_eq!(value::<i64>(&inside, left).await, 0);
        server.stop();
    });
}
