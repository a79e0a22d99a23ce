//! SERIALIZABLE: what snapshots alone would let through fails with 40001, and what is harmless does not.

use crate::support::{Server, code, on_server, value};
use tokio_postgres::Client;

const LEVEL: &str = "begin isolation level serializable";
const PLACES: [(usize, &str); 3] = [(1, "1"), (2, "2"), (4, "4")];

async fn two(server: &Server) -> (Client, Client) {
    let (a, b) = (server.connect().await, server.connect().await);
    for c in [&a, &b] {
        c.batch_execute(LEVEL).await.unwrap();
    }
    (a, b)
}

/// Both do their part, then both commit. Whether each did.
async fn both(server: &Server, first: [&str; 2], second: [&str; 2]) -> [bool; 2] {
    let (a, b) = two(server).await;
    let mut went = [true, true];
    for step in [first, second, ["commit", "commit"]] {
        for (client, (sql, went)) in [&a, &b].into_iter().zip(step.into_iter().zip(&mut went)) {
            if !*went {
                continue;
            }
            if let Err(e) = client.batch_execute(sql).await {
                assert_eq!(code(&e), "40001", "{sql}: {e:?}");
                *went = false;
            }
        }
    }
    went
}

fn not_both(went: [bool; 2], what: &str) {
    assert_ne!(went, [true, true], "{what}");
}

#[test]
fn write_skew_fails_over_any_rows_and_partitions() {
    for (cores, partitions) in PLACES {
        let flags = ["--partitions", partitions];
        on_server(cores, &flags, async |server, client| {
            let table = "create table d (id int primary key, on_call int);
                insert into d select g, 1 from generate_series(1, 40) g";
            client.batch_execute(table).await.unwrap();
            for other in 2..=12 {
                let read = format!("select sum(on_call) from d where id in (1, {other})");
                let write = |id| format!("update d set on_call = 0 where id = {id}");
                let (one, two) = (write(1), write(other));
                let went = both(server, [&read, &read], [&one, &two]).await;
                not_both(went, &read);
                client
                    .batch_execute("update d set on_call = 1")
                    .await
                    .unwrap();
            }
        });
    }
}

#[test]
fn what_was_not_there_is_read_too() {
    for (cores, partitions) in PLACES {
        let flags = ["--partitions", partitions];
        on_server(cores, &flags, async |server, client| {
            let tables = "create table t (id int primary key, g int, u int unique);
                create index on t (g);
                insert into t select i, i % 5, i from generate_series(1, 20) i";
            client.batch_execute(tables).await.unwrap();
            let reads = [
                "select count(*) from t",
                "select sum(id) from t where id > 15",
                "select * from t where g = 77",
                "select * from t where g between 70 and 90",
                "select count(*) from t where u in (1000, 1001)",
                "select * from t where id in (1000, 1001)",
                "select count(*) from t a join t b on a.g = b.g",
                "delete from t where g = 77",
                "update t set u = u where u in (1000, 1001)",
            ];
            for read in reads {
                let insert = |id| format!("insert into t values ({id}, 77, {id})");
                let (a, b) = (insert(1000), insert(1001));
                let went = both(server, [read, read], [&a, &b]).await;
                not_both(went, read);
                assert_ne!(went, [false, false], "{read}: nobody got on");
                client
                    .batch_execute("delete from t where id >= 1000")
                    .await
                    .unwrap();
            }
        });
    }
}

#[test]
fn a_reader_between_two_writers_sees_an_order_that_there_was() {
    // Fekete, O'Neil, O'Neil 2004: the anomaly that only a transaction which writes nothing can see.
    on_server(2, &["--partitions", "2"], async |server, client| {
        let table =
            "create table a (id int primary key, n int); insert into a values (1, 0), (2, 0)";
        client.batch_execute(table).await.unwrap();
        for (x, y) in [(1, 2), (2, 1)] {
            client.batch_execute("update a set n = 0").await.unwrap();
            let (withdraw, deposit) = two(server).await;
            let sum = "select sum(n) from a";
            assert_eq!(value::<i64>(&withdraw, sum).await, 0);
            let add = format!("update a set n = n + 20 where id = {y}; commit");
            deposit.batch_execute(&add).await.unwrap();
            client.batch_execute(LEVEL).await.unwrap();
            assert_eq!(value::<i64>(&client, sum).await, 20);
            client.batch_execute("commit").await.unwrap();
            let fee = format!("update a set n = n - 11 where id = {x}");
            let late = match withdraw.batch_execute(&fee).await {
                Ok(()) => withdraw.batch_execute("commit").await,
                failed => failed,
            };
            assert_eq!(code(&late.unwrap_err()), "40001");
        }
    });
}

#[test]
fn those_that_do_not_meet_and_those_that_only_read_all_commit() {
    for (cores, partitions) in PLACES {
        let flags = ["--partitions", partitions];
        on_server(cores, &flags, async |server, client| {
            let table = "create table t (id int primary key, n int);
                insert into t select g, 0 from generate_series(1, 40) g";
            client.batch_execute(table).await.unwrap();
            let read = |id| format!("select n from t where id = {id}");
            let write = |id| format!("update t set n = n + 1 where id = {id}");
            for n in 1..20 {
                let (a, b) = (read(n), read(n + 20));
                let (c, d) = (write(n), write(n + 20));
                assert_eq!(both(server, [&a, &b], [&c, &d]).await, [true, true]);
            }
            let (a, b) = two(server).await;
            assert_eq!(value::<i64>(&a, "select sum(n) from t").await, 38);
            b.batch_execute("update t set n = 0; commit").await.unwrap();
            assert_eq!(value::<i64>(&a, "select sum(n) from t").await, 38);
            a.batch_execute("commit").await.unwrap();
            let shown = value::<String>(&client, "show default_transaction_isolation").await;
            assert_eq!(shown, "read committed");
        });
    }
}

/// Nobody's reads are remembered longer than the transaction.
async fn forgotten(server: &Server) {
    let begun = std::time::Instant::now();
    loop {
        let (_, text) = server.http("GET", "/metrics", "");
        let mut open = text
            .lines()
            .filter(|l| l.starts_with("rustydb_partition_serializable_readers{"));
        assert!(open.clone().count() > 0);
        if open.all(|l| l.ends_with(" 0.0")) {
            return;
        }
        assert!(begun.elapsed().as_secs() < 10, "{text}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[test]
fn a_statement_by_itself_is_tried_again_until_it_fits() {
    for (cores, partitions) in PLACES {
        let flags = ["--partitions", partitions];
        on_server(cores, &flags, async |server, client| {
            let table = "create table t (id int primary key, n int); insert into t values (1, 0), (2, 0), (3, 0)";
            client.batch_execute(table).await.unwrap();
            let work = (0..4).map(async |n| {
                let c = server.connect().await;
                let level = ["serializable", "repeatable read"][n % 2];
                let set = format!("set default_transaction_isolation = '{level}'");
                c.batch_execute(&set).await.unwrap();
                let (mut done, mut failed) = (0, 0);
                for i in 0..25 {
                    // A scan of everything, and a subquery that other partitions answer.
                    let sql = "update t set n = n + 1 where id = (select 1 + ($1::int) % 3)";
                    let outcome = match i % 2 {
                        0 => c.execute(sql, &[&i]).await.map(|_| ()),
                        _ => c.batch_execute(&sql.replace("$1", &i.to_string())).await,
                    };
                    match outcome {
                        Ok(()) => done += 1,
                        Err(e) => {
                            assert_eq!(code(&e), "40001");
                            failed += 1;
                        }
                    }
                }
                (done, failed)
            });
            let all = futures_util::future::join_all(work).await;
            let done: i64 = all.iter().map(|(d, _)| d).sum();
            let failed: i64 = all.iter().map(|(_, f)| f).sum();
            assert!(failed <= 10, "{all:?}");
            assert_eq!(value::<i64>(&client, "select sum(n) from t").await, done);
            forgotten(server).await;
        });
    }
}

#[test]
fn reads_are_forgotten_however_a_transaction_ends() {
    on_server(2, &["--partitions", "4"], async |server, client| {
        let table = "create table t (id int primary key, n int);
            insert into t select g, 0 from generate_series(1, 5000) g";
        client.batch_execute(table).await.unwrap();
        let write = "update t set n = n + 1 where id in (1, 2)";
        for end in ["commit", "rollback", "select 1/0", ""] {
            for with_write in [false, true] {
                let c = server.connect().await;
                c.batch_execute(LEVEL).await.unwrap();
                // More keys than are kept one by one.
                let keys = "select count(n) from t where id in (select id from t where id % 2 = 0)";
                assert_eq!(value::<i64>(&c, keys).await, 2500);
                if with_write {
                    c.batch_execute(write).await.unwrap();
                }
                match end {
                    "" => drop(c),
                    "select 1/0" => assert!(c.batch_execute(end).await.is_err()),
                    _ => c.batch_execute(end).await.unwrap(),
                }
                forgotten(server).await;
            }
        }
    });
}

#[test]
fn a_kept_snapshot_is_not_mixed_with_a_later_definition() {
    for (cores, partitions) in PLACES {
        let flags = ["--partitions", partitions];
        on_server(cores, &flags, async |server, client| {
            let tables = "create table t (id int primary key, v int);
                create table u (id int primary key, n bigint);
                insert into t select i, i from generate_series(1, 5) i";
            for level in ["repeatable read", "serializable"] {
                for change in [
                    "truncate t",
                    "alter table t add column w int default 7",
                    "alter table t alter column v type bigint using v + 1",
                ] {
                    client.batch_execute(tables).await.unwrap();
                    let reader = server.connect().await;
                    let begin = format!("begin isolation level {level}");
                    reader.batch_execute(&begin).await.unwrap();
                    let sum = "select sum(v)::bigint from t";
                    assert_eq!(value::<i64>(&reader, sum).await, 15);
                    client.batch_execute(change).await.unwrap();
                    // Of another table nothing is known that could be wrong.
                    let count = "select count(*) from u";
                    assert_eq!(value::<i64>(&reader, count).await, 0);
                    match reader.query_one(sum, &[]).await {
                        Ok(row) => assert_eq!(row.get::<_, i64>(0), 15, "{level}: {change}"),
                        Err(e) => assert_eq!(code(&e), "40001", "{level}: {change}"),
                    }
                    reader.batch_execute("rollback").await.unwrap();

                    // Nor are the two mixed by what is written into the new one.
                    client.batch_execute("drop table t, u; ").await.unwrap();
                    client.batch_execute(tables).await.unwrap();
                    reader.batch_execute(&begin).await.unwrap();
                    assert_eq!(value::<i64>(&reader, sum).await, 15);
                    client.batch_execute(change).await.unwrap();
                    let insert = reader.batch_execute("insert into t values (50, 50)").await;
                    assert_eq!(code(&insert.unwrap_err()), "40001", "{level}: {change}");
                    reader.batch_execute("rollback").await.unwrap();
                    client.batch_execute("drop table t, u").await.unwrap();
                }
            }
            // Write skew over a table that is emptied: one of them fails.
            client.batch_execute(tables).await.unwrap();
            let (a, b) = two(server).await;
            assert_eq!(value::<i64>(&a, "select count(*) from t").await, 5);
            assert_eq!(value::<i64>(&b, "select count(*) from u").await, 0);
            b.batch_execute("truncate t; commit").await.unwrap();
            let late = match a.batch_execute("insert into u values (1, 5)").await {
                Ok(()) => a.batch_execute("commit").await,
                failed => failed,
            };
            assert_eq!(code(&late.unwrap_err()), "40001");
        });
    }
}

#[test]
fn what_defines_something_goes_by_the_newest_catalog() {
    on_server(2, &["--partitions", "2"], async |server, client| {
        let reader = server.connect().await;
        let begin = "begin isolation level repeatable read; select 1";
        reader.batch_execute(begin).await.unwrap();
        client
            .batch_execute("create table t (id int primary key)")
            .await
            .unwrap();
        reader
            .batch_execute("create table mine (id int); insert into mine values (1)")
            .await
            .unwrap();
        let count = "select count(*) from mine, t";
        assert_eq!(value::<i64>(&reader, count).await, 0);
        reader.batch_execute("commit").await.unwrap();
    });
}
