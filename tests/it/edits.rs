//! A statement that changes one row by its key goes a way of its own: what it does and says is what the statement would do
//! in the long way, alone and in a block, whoever else is at the row.

use crate::support::{code, on_server, run, value};
use std::time::Duration;
use tokio_postgres::{Client, SimpleQueryMessage};

/// Two tables that are to stay the same: one is changed by keys, the other in ways that find no key.
const TABLES: &str = "
    create table short (id int primary key, a int not null check (a < 1000), b text default 'none', c int generated always as (a * 2) stored);
    create table long (id int primary key, a int not null check (a < 1000), b text default 'none', c int generated always as (a * 2) stored);
    create index on short (a); create index on long (a); create index on short (b) where a > 50; create index on long (b) where a > 50";

/// The same change in both ways.
fn pair(n: u64) -> (String, String) {
    let (key, a) = (n / 7 % 40, n / 3 % 1010);
    let a = match n % 11 {
        0 => "null".to_owned(),
        _ => a.to_string(),
    };
    match n % 10 {
        8 => (
            format!(
                "insert into short (id, a) values ({key}, {a}) on conflict do nothing returning a"
            ),
            format!(
                "insert into long (id, a) select {key}, {a} on conflict do nothing returning a"
            ),
        ),
        9 => (
            format!(
                "insert into short (id, a) values ({key}, {a}) on conflict (id) do update set a = short.a + 1, b = excluded.a where short.a < 500 returning *"
            ),
            format!(
                "insert into long (id, a) select {key}, {a} on conflict (id) do update set a = long.a + 1, b = excluded.a where long.a < 500 returning *"
            ),
        ),
        0 | 1 => (
            format!("insert into short (id, a) values ({key}, {a}) returning id, a, b, c"),
            format!("insert into long (id, a) select {key}, {a} returning id, a, b, c"),
        ),
        2 | 3 => (
            format!("update short set a = a + {a}, b = 'u' || a where id = {key}"),
            format!("update long set a = a + {a}, b = 'u' || a where id + 0 = {key}"),
        ),
        4 => (
            format!("update short set a = {a} where id = {key} and a > 100 returning *"),
            format!("update long set a = {a} where id + 0 = {key} and a > 100 returning *"),
        ),
        5 => (
            format!("delete from short where id = {key} returning b, a"),
            format!("delete from long where id + 0 = {key} returning b, a"),
        ),
        6 => (
            format!("update short set b = null where id = {key}"),
            format!("update long set b = null where id + 0 = {key}"),
        ),
        _ => (
            format!("delete from short where id = {key} and b is null"),
            format!("delete from long where id + 0 = {key} and b is null"),
        ),
    }
}

/// Rows and the number of rows, or the error's code.
async fn said(client: &Client, sql: &str) -> Result<(Vec<Vec<Option<String>>>, u64), String> {
    let messages = client.simple_query(sql).await.map_err(|e| code(&e))?;
    let (mut rows, mut count) = (Vec::new(), 0);
    for message in messages {
        match message {
            SimpleQueryMessage::Row(row) => {
                let value = |i| row.get(i).map(str::to_owned);
                rows.push((0..row.len()).map(value).collect());
            }
            SimpleQueryMessage::CommandComplete(n) => count = n,
            _ => {}
        }
    }
    Ok((rows, count))
}

async fn same(client: &Client) {
    for table in ["short", "long"] {
        // By the index and by the rows.
        let of = |filter| format!("select count(*) from {table} where {filter}");
        let indexed: i64 = value(client, &of("a > 50 and a < 400")).await;
        let scanned: i64 = value(client, &of("a + 0 > 50 and a + 0 < 400")).await;
        assert_eq!(indexed, scanned);
    }
    let differ = "select count(*) from (select * from short except select * from long) x";
    assert_eq!(value::<i64>(client, differ).await, 0);
    let count = |table| format!("select count(*) from {table}");
    let short: i64 = value(client, &count("short")).await;
    assert_eq!(short, value::<i64>(client, &count("long")).await);
}

#[test]
fn a_change_by_key_does_and_says_what_the_long_way_does() {
    for cores in [1, 2, 4] {
        on_server(cores, &[], async |_, client| {
            run(&client, TABLES).await;
            let mut seed = 88172645463325252u64;
            let mut next = || {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                seed >> 8
            };
            for _ in 0..600 {
                let (short, long) = pair(next());
                let (short_said, long_said) =
                    (said(&client, &short).await, said(&client, &long).await);
                assert_eq!(short_said, long_said, "{short}");
            }
            same(&client).await;
            // In blocks, some of which fail or go back.
            for block in 0..80 {
                let block_of = next();
                let level = ["read committed", "repeatable read", "serializable"][block % 3];
                run(&client, &format!("begin isolation level {level}")).await;
                for n in 0..block_of % 6 {
                    let (short, long) = pair(next());
                    if n == 2 {
                        run(&client, "savepoint s").await;
                    }
                    let short_said = said(&client, &short).await;
                    if short_said.is_err() {
                        // The other one would hear that the transaction has failed.
                        break;
                    }
                    assert_eq!(short_said, said(&client, &long).await, "{short}");
                    if n == 4 && block_of % 5 == 0 {
                        run(&client, "rollback to s").await;
                    }
                }
                let end = if block_of % 4 == 0 {
                    "rollback"
                } else {
                    "commit"
                };
                run(&client, end).await;
            }
            same(&client).await;
        });
    }
}

#[test]
fn a_row_that_another_has_locked_is_waited_for_and_looked_at_again() {
    for cores in [1, 4] {
        on_server(cores, &[], async |server, client| {
            run(
                &client,
                "create table t (id int primary key, a int); insert into t select g, 0 from generate_series(1, 9) g",
            )
            .await;
            let other = server.connect().await;
            let update = "update t set a = a + 1 where id = $1 and a < 100";
            let update = other.prepare(update).await.unwrap();
            for id in 1..=9i32 {
                run(
                    &client,
                    &format!("begin; update t set a = 50 where id = {id}"),
                )
                .await;
                let params: [&(dyn tokio_postgres::types::ToSql + Sync); 1] = [&id];
                let waits = other.execute(&update, &params);
                let ends = async {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    let then = match id % 3 {
                        0 => format!("update t set a = 100 where id = {id}; commit"),
                        1 => format!("delete from t where id = {id}; commit"),
                        _ => "rollback".into(),
                    };
                    run(&client, &then).await;
                };
                let (changed, ()) = tokio::join!(waits, ends);
                // Full, gone, as it was.
                assert_eq!(changed.unwrap(), [0, 0, 1][id as usize % 3], "{id}");
            }
            // A snapshot that another has overtaken.
            run(
                &client,
                "begin isolation level repeatable read; select 1 from t",
            )
            .await;
            run(
                &other,
                "update t set a = 7 where id = 2; insert into t values (20, 0)",
            )
            .await;
            assert_eq!(
                said(&client, "update t set a = 9 where id = 20")
                    .await
                    .unwrap()
                    .1,
                0
            );
            let overtaken = said(&client, "update t set a = 9 where id = 2").await;
            assert_eq!(overtaken.unwrap_err(), "40001");
            run(&client, "rollback").await;
            // Two who wait for each other.
            run(&client, "begin; update t set a = 1 where id = 2").await;
            run(&other, "begin; update t set a = 1 where id = 5").await;
            let (one, two) = tokio::join!(
                said(&client, "update t set a = 2 where id = 5"),
                said(&other, "update t set a = 2 where id = 2")
            );
            let codes: Vec<String> = [one, two].into_iter().filter_map(Result::err).collect();
            assert_eq!(codes, ["40P01"]);
        });
    }
}

/// A change that fails after it had to wait, or in another shard, takes nothing with it but what is its own.
#[test]
fn a_change_that_fails_leaves_the_savepoint_and_nothing_of_itself() {
    for cores in [1, 2, 4] {
        on_server(cores, &[], async |server, client| {
            run(
                &client,
                "create table t (id int primary key, a int); insert into t select g, 1 from generate_series(1, 40) g",
            )
            .await;
            let other = server.connect().await;
            for id in 1..=12 {
                let kept = format!("begin; update t set a = 2 where id = {id}; savepoint s");
                run(&client, &kept).await;
                // In one shard or another, at once or behind a lock.
                let taken = format!("insert into t values ({}, 9)", id + 12);
                assert_eq!(said(&client, &taken).await.unwrap_err(), "23505");
                run(&client, "rollback to s").await;
                run(
                    &other,
                    &format!("begin; select 1 from t where id = {} for update", id + 24),
                )
                .await;
                run(&client, "set local lock_timeout = '20ms'").await;
                let waits = format!("update t set a = 9 where id = {}", id + 24);
                assert_eq!(said(&client, &waits).await.unwrap_err(), "55P03");
                run(&client, "rollback to s").await;
                run(&other, "rollback").await;
                run(
                    &client,
                    &format!("update t set a = 3 where id = {}; commit", id + 12),
                )
                .await;
            }
            let counted = "select string_agg(n || '*' || a, ' ' order by a) from (select a, count(*) n from t group by a) x";
            assert_eq!(value::<String>(&client, counted).await, "16*1 12*2 12*3");
            // What RETURNING says may fail too, and then the change is not made.
            for change in [
                "update t set a = 0 where id = 40 returning 1 / a",
                "delete from t where id = 40 returning 1 / (a - 1)",
                "insert into t values (40, 0) on conflict (id) do update set a = 0 returning 1 / t.a",
            ] {
                assert_eq!(said(&client, change).await.unwrap_err(), "22012");
                run(&client, "begin; select 1 from t where id = 40 for update").await;
                let waits = said(&other, change);
                let ends = async {
                    tokio::time::sleep(Duration::from_millis(30)).await;
                    run(&client, "commit").await;
                };
                let (waited, ()) = tokio::join!(waits, ends);
                assert_eq!(waited.unwrap_err(), "22012", "{change}");
                assert_eq!(
                    value::<i32>(&client, "select a from t where id = 40").await,
                    1
                );
            }
            let rows = "insert into t select g, 0 from generate_series(50, 53) g returning 1 / a";
            assert_eq!(said(&client, rows).await.unwrap_err(), "22012");
            assert_eq!(value::<i64>(&client, "select count(*) from t").await, 40);
            assert_eq!(server.metric("rustydb_partition_locks_held"), 0.0);
        });
    }
}

#[test]
fn one_counter_counts_every_commit() {
    for cores in [1, 2, 4] {
        on_server(cores, &[], async |server, client| {
            run(
                &client,
                "create table t (id int primary key, a int); insert into t values (1, 0), (2, 0)",
            )
            .await;
            let mut clients = Vec::new();
            for _ in 0..8 {
                clients.push(server.connect().await);
            }
            let work = clients.iter().enumerate().map(|(n, client)| async move {
                let update = "update t set a = a + 1 where id = $1 returning a";
                let update = client.prepare(update).await.unwrap();
                for round in 0..50 {
                    // Both rows in one order, so that nobody waits in a circle.
                    if (n + round) % 3 == 0 {
                        run(client, "begin").await;
                        client.query_one(&update, &[&1]).await.unwrap();
                        client.query_one(&update, &[&2]).await.unwrap();
                        run(client, if round % 2 == 0 { "commit" } else { "rollback" }).await;
                    } else {
                        client.query_one(&update, &[&1]).await.unwrap();
                    }
                }
            });
            let single = || server.metric("rustydb_statements_single_total");
            let before = single();
            futures_util::future::join_all(work).await;
            assert!(single() - before >= 400.0, "they went the short way");
            let both = (0..8).flat_map(|n| (0..50).map(move |round| (n, round)));
            let blocks = both.clone().filter(|(n, round)| (n + round) % 3 == 0);
            let kept = blocks.clone().filter(|(_, round)| round % 2 == 0).count() as i32;
            let alone = 400 - blocks.count() as i32;
            let of = |id| format!("select a from t where id = {id}");
            assert_eq!(value::<i32>(&client, &of(1)).await, kept + alone);
            assert_eq!(value::<i32>(&client, &of(2)).await, kept);
        });
    }
}

/// A client that goes away while its change waits for a lock leaves nothing behind.
#[test]
fn a_change_whose_client_has_gone_is_not_made() {
    on_server(2, &[], async |server, client| {
        run(
            &client,
            "create table t (id int primary key, a int); insert into t select g, 0 from generate_series(1, 8) g",
        )
        .await;
        for id in 1..=8 {
            run(
                &client,
                &format!("begin; select * from t where id = {id} for update"),
            )
            .await;
            let mut other = std::process::Command::new("psql")
                .args(["-X", "-h", "127.0.0.1", "-U", "rustydb", "-d", "rustydb"])
                .args(["-p", &server.port.to_string()])
                .args(["-c", &format!("update t set a = 1 where id = {id}")])
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap();
            let waiting = || server.metric("rustydb_partition_lock_waiters");
            while waiting() == 0.0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            other.kill().unwrap();
            other.wait().unwrap();
            while waiting() > 0.0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            run(&client, "commit").await;
        }
        // Their locks too are gone.
        run(&client, "set lock_timeout = '2s'; update t set a = a + 10").await;
        let sum: i64 = value(&client, "select sum(a) from t").await;
        assert_eq!(sum, 80);
    });
}

#[test]
fn a_sequence_gives_the_key_of_a_row_that_is_inserted_and_the_session_remembers_it() {
    for cores in [1, 2] {
        on_server(cores, &[], async |server, client| {
            let single = || server.metric("rustydb_statements_single_total");
            run(
                &client,
                "create table s (id serial primary key, v int); create sequence other;
                 create table i (id bigint generated always as identity primary key, v int default nextval('other'), check (v < 100));
                 create table few (id smallint generated by default as identity (maxvalue 3) primary key, v int)",
            )
            .await;
            let into = client
                .prepare("insert into s (v) values ($1) returning id")
                .await
                .unwrap();
            let before = single();
            for n in 1..=20 {
                let row = client.query_one(&into, &[&n]).await.unwrap();
                assert_eq!(row.get::<_, i32>(0), n);
                let sql = format!("insert into s (v) values ({n}) on conflict do nothing");
                assert_eq!(said(&client, &sql).await, Ok((vec![], 1)));
                run(
                    &client,
                    "select setval('s_id_seq', currval('s_id_seq') - 1)",
                )
                .await;
                run(&client, &format!("delete from s where id = {n} + 1")).await;
            }
            // But for the first time of each.
            let short = single() - before;
            assert!(short >= 38.0, "{short} went the short way");
            // Each of two sequences, in a block, and after one that failed.
            run(
                &client,
                "begin; insert into i default values; insert into i (v) values (7)",
            )
            .await;
            assert_eq!(value::<i64>(&client, "select lastval()").await, 2);
            assert_eq!(
                code_of(&client, "insert into i (v) values (100)").await,
                "23514"
            );
            run(&client, "rollback; insert into i default values").await;
            let sql = "select id || ' ' || v from i";
            assert_eq!(value::<String>(&client, sql).await, "4 2");
            // What is not evaluated takes none.
            let kept = "insert into i (v) values (coalesce(5, nextval('other')))";
            run(&client, kept).await;
            assert_eq!(value::<i64>(&client, "select nextval('other')").await, 3);
            // Its end, inside a block and outside.
            for _ in 0..3 {
                run(&client, "insert into few (v) values (1)").await;
            }
            let full = "insert into few (v) values (1)";
            assert_eq!(code_of(&client, full).await, "2200H");
            run(&client, "begin").await;
            assert_eq!(code_of(&client, full).await, "2200H");
            assert_eq!(code_of(&client, "select 1").await, "25P02");
            run(&client, "rollback").await;
            // Another session's plan is the same, its memory is not.
            let other = server.connect().await;
            let sql = "select currval('s_id_seq')";
            assert_eq!(code_of(&other, sql).await, "55000");
        });
    }
}

async fn code_of(client: &Client, sql: &str) -> String {
    said(client, sql).await.unwrap_err()
}
