//! CREATE INDEX CONCURRENTLY: who writes the table goes on, and the index has what the table has; what fails leaves an index that
//! is not valid, kept up and not used.

use crate::support::{Server, after_a_kill, code, on_server, refused, run, value};
use futures_util::future::join_all;
use std::cell::Cell;
use std::time::{Duration, Instant};
use tokio_postgres::Client;

const PLACES: [(usize, &str); 3] = [(1, "1"), (2, "2"), (2, "3")];

const TABLE: &str = "create table t (id int primary key, a int, b text, u int, n int default 0);
    insert into t select g, g % 50, 'b' || g % 7, g, 0 from generate_series(1, 6000) g";

/// A transaction that has written the table and is open: it was there before the index.
async fn older(server: &Server) -> Client {
    let client = server.connect().await;
    run(&client, "begin; update t set n = n + 1 where id = 1").await;
    client
}

async fn is_valid(client: &Client, index: &str) -> bool {
    let sql = format!("select indisvalid from pg_index where indexrelid = '{index}'::regclass");
    value(client, &sql).await
}

async fn plan(client: &Client, sql: &str) -> String {
    let rows = client.query(&format!("explain {sql}"), &[]).await.unwrap();
    let lines = rows.iter().map(|r| r.get::<_, &str>(0));
    lines.collect::<Vec<_>>().join("\n")
}

/// Waits until the build of an index does this.
async fn phase(client: &Client, phase: &str) {
    let sql = "select count(*) from pg_stat_progress_create_index where phase = $1";
    let until = Instant::now() + Duration::from_secs(20);
    while client
        .query_one(sql, &[&phase])
        .await
        .unwrap()
        .get::<_, i64>(0)
        == 0
    {
        assert!(Instant::now() < until, "no build is {phase}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What a worker does next, to one row: none of them waits for two others. The first row is the older transaction's.
fn change(worker: usize, round: usize) -> String {
    let id = (round * 7919 + worker * 104_729) % 5999 + 2;
    let hot = round % 3 + 2;
    let new = 10_000 + round * 16 + worker;
    match round % 11 {
        0 => format!("update t set a = a + 1 where id = {id}"),
        1 => format!("update t set n = n + 1 where id = {hot}"),
        2 => format!("delete from t where id = {id}"),
        3 => format!("insert into t values ({new}, {round} % 50, 'new', -{new})"),
        4 => format!(
            "insert into t values ({id}, 3, 'b3', {id}) on conflict (id) do update set a = 9, b = 'up'"
        ),
        5 => format!("begin; update t set a = 17, u = 0 where id = {id}; rollback"),
        6 => format!(
            "begin; savepoint s; delete from t where id = {id}; rollback to s;
            update t set b = 'B' || b, a = null where id = {id}; commit"
        ),
        7 => {
            format!("update t set a = (a + 1) % 50, u = u + 100000 where id = {id} and u < 100000")
        }
        8 => format!("update t set id = id + 1000000, u = u + 1000000 where id = {id}"),
        9 => format!(
            "begin isolation level serializable; update t set a = a + 2 where id = {hot}; commit"
        ),
        _ => format!("update t set a = a - 1 where id = {hot}"),
    }
}

/// Workers change the table until they are told to stop. Answers how many statements ended well, and the longest.
async fn work(server: &Server, workers: usize, stop: &Cell<bool>) -> (usize, Duration) {
    let mut all = Vec::new();
    for _ in 0..workers {
        all.push(server.connect().await);
    }
    let done = join_all(all.iter().enumerate().map(|(worker, client)| async move {
        let (mut done, mut longest, mut round) = (0, Duration::ZERO, 0);
        while !stop.get() {
            round += 1;
            let began = Instant::now();
            let outcome = client.batch_execute(&change(worker, round)).await;
            longest = longest.max(began.elapsed());
            match outcome {
                Ok(()) => done += 1,
                Err(e) => {
                    // Among themselves they meet; the table's definition is no matter of theirs.
                    let told = format!("{e:?}");
                    assert!(!told.contains("definition"), "{told}");
                    let usual = ["40001", "40P01", "23505"].contains(&code(&e).as_str());
                    assert!(usual, "{} {told}", change(worker, round));
                    run(client, "rollback").await;
                }
            }
        }
        (done, longest)
    }))
    .await;
    let sum = done.iter().map(|d| d.0).sum();
    (sum, done.iter().map(|d| d.1).max().unwrap())
}

/// Every row is found by every index, and nothing else.
async fn equal(client: &Client) {
    for index in ["t_a", "t_expr", "t_u"] {
        assert!(is_valid(client, index).await, "{index}");
    }
    let plan = plan(client, "select a, id from t where a = 9").await;
    assert!(plan.contains("Index Only Scan using t_a"), "{plan}");
    for a in -2..60 {
        // By the entries alone, by the entries and the rows, by the rows.
        let mut seen = Vec::new();
        for (what, condition) in [
            ("sum(id)", format!("a = {a}")),
            ("sum(id + 0 * length(b))", format!("a = {a}")),
            ("sum(id)", format!("a + 0 = {a}")),
        ] {
            let sql = format!("select count(*), coalesce({what}, 0) from t where {condition}");
            let row = client.query_one(&sql, &[]).await.unwrap();
            seen.push((row.get::<_, i64>(0), row.get::<_, i64>(1)));
        }
        assert_eq!((seen[0], seen[1]), (seen[2], seen[2]), "a = {a}");
    }
    for b in ["B0", "B3", "BB3", "NEW", "UP"] {
        let count = |c: String| format!("select count(*) from t where a > 4 and {c}");
        let through: i64 = value(client, &count(format!("upper(b) = '{b}'"))).await;
        let around: i64 = value(client, &count(format!("upper(b) || '' = '{b}'"))).await;
        assert_eq!(through, around, "{b}");
    }
    let rows = client.query("select id, u from t", &[]).await.unwrap();
    let find = client
        .prepare("select id from t where u = $1")
        .await
        .unwrap();
    for row in rows {
        let (id, u): (i32, i32) = (row.get(0), row.get(1));
        let found = client.query(&find, &[&u]).await.unwrap();
        assert_eq!(found.len(), 1, "u = {u}");
        assert_eq!(found[0].get::<_, i32>(0), id, "u = {u}");
    }
}

#[test]
fn an_index_built_under_load_has_what_its_table_has_and_no_writer_waits_for_it() {
    for (cores, partitions) in PLACES {
        let flags = ["--partitions", partitions];
        on_server(cores, &flags, async |server, client| {
            run(&client, TABLE).await;
            let (stop, older) = (Cell::new(false), older(server).await);
            let (second, third) = (server.connect().await, server.connect().await);
            let watcher = server.connect().await;
            let builds = async {
                let held = async {
                    phase(&watcher, "waiting for writers before build").await;
                    // The builds cannot go on, and everybody else does.
                    tokio::time::sleep(Duration::from_secs(2)).await;
                    for index in ["t_a", "t_expr", "t_u"] {
                        assert!(!is_valid(&watcher, index).await);
                    }
                    run(&older, "update t set a = 33, u = -1 where id = 1; commit").await;
                };
                let local = "create index concurrently t_a on t (a)";
                let expr = "create index concurrently t_expr on t (upper(b)) where a > 4";
                let unique = "create unique index concurrently t_u on t (u)";
                tokio::join!(
                    held,
                    run(&client, local),
                    run(&second, expr),
                    run(&third, unique)
                );
                stop.set(true);
            };
            let ((), (done, longest)) = tokio::join!(builds, work(server, 4, &stop));
            assert!(done > 100, "{done} changes");
            assert!(
                longest < Duration::from_millis(1500),
                "one took {longest:?}"
            );
            equal(&client).await;
        });
    }
}

#[test]
fn two_rows_of_one_value_leave_an_index_that_is_not_valid_and_is_no_arbiter() {
    for (cores, partitions) in PLACES {
        let flags = ["--partitions", partitions];
        on_server(cores, &flags, async |_, client| {
            run(&client, TABLE).await;
            run(&client, "update t set u = 5 where id = 4000").await;
            let build = "create unique index concurrently t_u on t (u)";
            let e = client.batch_execute(build).await.unwrap_err();
            let e = e.as_db_error().unwrap();
            assert_eq!(e.code().code(), "23505");
            assert_eq!(e.message(), "could not create unique index \"t_u\"");
            assert_eq!(e.detail(), Some("Key (u)=(5) is duplicated."));
            assert!(!is_valid(&client, "t_u").await);
            let twice: i64 = value(&client, "select count(*) from t where u = 5").await;
            assert_eq!(twice, 2);
            let upsert = "insert into t values (7000, 0, '', 7000) on conflict (u) do nothing";
            assert_eq!(refused(&client, upsert).await, "42P10");
            let child = "create table c (u int references t (u))";
            assert_eq!(refused(&client, child).await, "42830");
            // It is kept up: what it has it holds new rows to.
            run(&client, "insert into t values (7001, 0, '', 7001)").await;
            let again = "insert into t values (7002, 0, '', 7001)";
            assert_eq!(refused(&client, again).await, "23505");
            assert_eq!(refused(&client, build).await, "42P07");
            assert_eq!(refused(&client, "reindex index t_u").await, "23505");
            assert!(!is_valid(&client, "t_u").await);
            run(&client, "delete from t where id = 4000").await;
            run(&client, "reindex index t_u").await;
            assert!(is_valid(&client, "t_u").await);
            assert_eq!(client.execute(upsert, &[]).await.unwrap(), 1);
            run(&client, "drop index t_u").await;
            run(&client, "create unique index concurrently t_u on t (u)").await;
            assert!(is_valid(&client, "t_u").await);
        });
    }
}

#[test]
fn a_value_that_comes_twice_while_the_index_is_built_is_found() {
    on_server(2, &[], async |server, client| {
        run(&client, TABLE).await;
        let (older, watcher) = (older(server).await, server.connect().await);
        let meanwhile = async {
            phase(&watcher, "waiting for writers before build").await;
            // A row that was there has the value, and no entry yet; of those that come now the second one is refused.
            run(&watcher, "insert into t values (9000, 0, '', 77)").await;
            let third = "insert into t values (9001, 0, '', 77)";
            assert_eq!(refused(&watcher, third).await, "23505");
            // A row that goes takes no other's entry with it.
            run(
                &watcher,
                "insert into t values (9002, 0, '', 78); delete from t where id = 78",
            )
            .await;
            run(&older, "commit").await;
        };
        let build = "create unique index concurrently t_u on t (u)";
        let (outcome, ()) = tokio::join!(client.batch_execute(build), meanwhile);
        assert_eq!(code(&outcome.unwrap_err()), "23505");
        run(&client, "delete from t where id = 9000; drop index t_u").await;
        run(&client, build).await;
        let found: i32 = value(&client, "select id from t where u = 78").await;
        assert_eq!(found, 9002);
    });
}

#[test]
fn the_index_is_used_only_when_no_snapshot_is_older_than_its_entries() {
    on_server(2, &[], async |server, client| {
        run(&client, TABLE).await;
        let (reader, watcher) = (server.connect().await, server.connect().await);
        let older = older(server).await;
        let meanwhile = async {
            phase(&watcher, "waiting for writers before build").await;
            // Every statement from before is over by now, and the writer is what is waited for.
            tokio::time::sleep(Duration::from_millis(500)).await;
            let begin = "begin isolation level repeatable read; select 1 from t limit 1";
            run(&reader, begin).await;
            run(&watcher, "update t set a = 3 where id = 20").await;
            run(&older, "commit").await;
            phase(&watcher, "waiting for old snapshots").await;
            assert!(!is_valid(&watcher, "t_a").await);
            let seen: i64 = value(&reader, "select count(*) from t where a = 20").await;
            assert_eq!(seen, 120);
            run(&reader, "commit").await;
        };
        let build = run(&client, "create index concurrently t_a on t (a)");
        tokio::join!(build, meanwhile);
        assert!(is_valid(&client, "t_a").await);
        let seen: i64 = value(&client, "select count(*) from t where a = 20").await;
        assert_eq!(seen, 119);
    });
}

#[test]
fn a_build_that_is_cancelled_leaves_an_index_that_can_be_dropped_or_built_anew() {
    on_server(2, &[], async |server, client| {
        run(&client, TABLE).await;
        let older = older(server).await;
        run(&client, "set statement_timeout = '400ms'").await;
        for build in [
            "create index concurrently t_a on t (a)",
            "create index concurrently t_b on t (b)",
        ] {
            assert_eq!(refused(&client, build).await, "57014");
        }
        run(&client, "reset statement_timeout").await;
        run(&older, "commit").await;
        assert!(!is_valid(&client, "t_a").await);
        let plan = plan(&client, "select * from t where a = 3").await;
        assert!(!plan.contains("t_a"), "{plan}");
        let count: i64 = value(&client, "select count(*) from t where a = 3").await;
        assert_eq!(count, 120);
        run(&client, "drop index t_a; reindex index t_b").await;
        assert!(is_valid(&client, "t_b").await);
        let left: i64 = value(
            &client,
            "select count(*) from pg_class where relname = 't_a'",
        )
        .await;
        assert_eq!(left, 0);
    });
}

#[test]
fn emptying_the_table_makes_its_index_whole_and_dropping_it_ends_the_build() {
    on_server(2, &[], async |server, client| {
        run(&client, TABLE).await;
        let other = server.connect().await;
        let older = older(server).await;
        let meanwhile = async {
            phase(&other, "waiting for writers before build").await;
            run(&older, "commit").await;
            run(&other, "truncate t").await;
        };
        tokio::join!(
            run(&client, "create index concurrently t_a on t (a)"),
            meanwhile
        );
        assert!(is_valid(&client, "t_a").await);
        run(&client, "insert into t values (1, 1, 'x', 1)").await;
        run(&older, "begin; update t set n = 1 where id = 1").await;
        let meanwhile = async {
            phase(&other, "waiting for writers before build").await;
            let drop = other.batch_execute("drop index t_b");
            let (dropped, ()) = tokio::join!(drop, run(&older, "commit"));
            dropped.unwrap();
        };
        let build = client.batch_execute("create index concurrently t_b on t (b)");
        let (outcome, ()) = tokio::join!(build, meanwhile);
        // The drop may have come when all was done.
        if let Err(e) = outcome {
            assert_eq!(code(&e), "42704");
        }
    });
}

#[test]
fn it_is_refused_within_a_transaction() {
    on_server(1, &[], async |_, client| {
        run(&client, TABLE).await;
        let build = "create index concurrently t_a on t (a)";
        assert_eq!(refused(&client, &format!("begin; {build}")).await, "25001");
        run(&client, "rollback").await;
        assert_eq!(
            refused(&client, &format!("select 1; {build}")).await,
            "25001"
        );
        run(
            &client,
            "create index concurrently if not exists t_a on t (a)",
        )
        .await;
        run(
            &client,
            "create index concurrently if not exists t_a on t (a)",
        )
        .await;
        assert_eq!(refused(&client, build).await, "42P07");
        assert!(is_valid(&client, "t_a").await);
    });
}

#[test]
fn killed_in_the_middle_it_leaves_an_index_that_is_not_valid() {
    for wait in [0, 40, 120] {
        let before = async |client: &Client| {
            run(client, TABLE).await;
            run(client, "create table done (index text)").await;
            let builds = async {
                run(client, "create index concurrently t_a on t (a)").await;
                run(client, "create unique index concurrently t_u on t (u)").await;
            };
            let _ = tokio::time::timeout(Duration::from_millis(150 + wait), builds).await;
        };
        let after = async |client: &Client| {
            run(
                client,
                "insert into t values (8000, 5, 'x', 8000) on conflict (id) do update set a = 6",
            )
            .await;
            let sql = "select indexrelid::regclass::text, indisvalid from pg_index where indexrelid::regclass::text like 't_%'";
            for row in client.query(sql, &[]).await.unwrap() {
                let (index, valid): (String, bool) = (row.get(0), row.get(1));
                if index != "t_pkey" && !valid {
                    run(client, &format!("reindex index {index}")).await;
                }
            }
            for a in 0..50 {
                let count = |c: &str| format!("select count(*) from t where {c} = {a}");
                let through: i64 = value(client, &count("a")).await;
                let around: i64 = value(client, &count("a + 0")).await;
                assert_eq!(through, around);
            }
            let one: i64 = value(client, "select count(*) from t where u = 4711").await;
            assert_eq!(one, 1);
        };
        after_a_kill(before, after);
    }
}
