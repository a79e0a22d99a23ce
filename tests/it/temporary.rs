//! Temporary tables belong to one session, and end with it, however it ends.

use crate::support::{after_a_kill, code, on_server, value};
use std::io::{Read, Write};
use std::time::{Duration, Instant};
use tokio_postgres::Client;

const LEFT: &str = "select count(*) from pg_namespace where nspname like 'pg\\_temp\\_%'";
const RELATIONS: &str = "select count(*) from pg_class where relpersistence = 't'";

/// Sessions end behind their clients' backs.
async fn becomes_none(client: &Client) {
    let start = Instant::now();
    while value::<i64>(client, LEFT).await + value::<i64>(client, RELATIONS).await > 0 {
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "something is left"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[test]
fn each_session_has_its_own_table_of_one_name() {
    for cores in [1, 2, 4] {
        on_server(cores, &[], async |server, first| {
            let (second, third) = (server.connect().await, server.connect().await);
            first
                .batch_execute("create table t (a int); insert into t values (0)")
                .await
                .unwrap();
            for (client, a) in [(&first, 1), (&second, 2)] {
                let sql = format!(
                    "create temp table t (a int primary key, b serial); insert into t values ({a}), ({})",
                    a + 10
                );
                client.batch_execute(&sql).await.unwrap();
            }
            let own = "select min(a) from t";
            // Again and again: a plan that comes again is kept, and not for the others.
            for _ in 0..4 {
                assert_eq!(value::<i32>(&first, own).await, 1);
                assert_eq!(value::<i32>(&second, own).await, 2);
                assert_eq!(value::<i32>(&third, own).await, 0);
            }
            let other: String = value(
                &second,
                "select nspname::text from pg_namespace where oid = pg_my_temp_schema()",
            )
            .await;
            let stranger = first.query(&format!("select * from {other}.t"), &[]).await;
            assert_eq!(code(&stranger.unwrap_err()), "0A000");
            drop(second);
            let start = Instant::now();
            while value::<i64>(&first, LEFT).await > 1 {
                assert!(
                    start.elapsed() < Duration::from_secs(20),
                    "the other's table is left"
                );
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            first.batch_execute("drop table t").await.unwrap();
            assert_eq!(value::<i32>(&first, own).await, 0);
        });
    }
}

#[test]
fn what_a_session_had_is_gone_when_its_connection_breaks() {
    on_server(2, &[], async |server, client| {
        let mut raw = server.raw();
        let user = b"user\0rustydb\0database\0rustydb\0\0";
        let mut bytes = (8 + user.len() as u32).to_be_bytes().to_vec();
        bytes.extend(196_608u32.to_be_bytes());
        bytes.extend(user);
        // In messages of their own: BEGIN would take the definition into its transaction.
        for sql in [
            "create temp table t (a int)\0",
            "begin; insert into t values (1)\0",
        ] {
            bytes.push(b'Q');
            bytes.extend((4 + sql.len() as u32).to_be_bytes());
            bytes.extend(sql.as_bytes());
        }
        raw.write_all(&bytes).unwrap();
        let start = Instant::now();
        while value::<i64>(&client, RELATIONS).await == 0 {
            assert!(start.elapsed() < Duration::from_secs(20), "no table");
        }
        let mut some = [0; 16];
        assert!(raw.read(&mut some).unwrap() > 0);
        drop(raw);
        becomes_none(&client).await;
    });
}

#[test]
fn a_killed_servers_temporary_tables_are_gone_at_the_next_start() {
    after_a_kill(
        async |client| {
            let sql = "create table lasting (a int); insert into lasting values (1);
            create temp table t (a int primary key); insert into t select generate_series(1, 1000);
            create temp view v as select * from t; create temp sequence s";
            client.batch_execute(sql).await.unwrap();
        },
        async |client| {
            becomes_none(client).await;
            assert_eq!(
                value::<i64>(client, "select count(*) from lasting").await,
                1
            );
            let sql = "create temp table t (a int); insert into t values (5)";
            client.batch_execute(sql).await.unwrap();
            assert_eq!(value::<i64>(client, "select count(*) from t").await, 1);
        },
    );
}

#[test]
fn rows_go_at_each_commit_where_the_table_says_so() {
    for cores in [1, 2, 4] {
        on_server(cores, &[], async |_, client| {
            let run = async |sql: &str| client.batch_execute(sql).await.unwrap();
            run("create temp table t (a int primary key, b int unique) on commit delete rows")
                .await;
            for _ in 0..3 {
                run("insert into t values (1, 1)").await;
                run("begin; insert into t select g, g from generate_series(1, 100) g").await;
                assert_eq!(value::<i64>(&client, "select count(*) from t").await, 100);
                run("commit").await;
                assert_eq!(value::<i64>(&client, "select count(*) from t").await, 0);
            }
            let id = 7i32;
            client
                .execute("insert into t values ($1, $1)", &[&id])
                .await
                .unwrap();
            assert_eq!(value::<i64>(&client, "select count(*) from t").await, 0);
        });
    }
}

#[test]
fn a_request_over_http_makes_nothing_temporary() {
    on_server(1, &[], async |server, _| {
        for sql in [
            "create temp table t (a int)",
            "create temp table t as select 1 as a",
            "create temp sequence t",
            "create temp view t as select 1 as a",
        ] {
            assert_eq!(server.query(sql).0, 501, "{sql}");
        }
    });
}
