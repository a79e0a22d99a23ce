//! A row asked for by its key alone, by a statement that is a transaction by itself, goes a way of its own: what comes back is
//! what a scan would give, whatever has happened to the row, the table and the session.

use crate::support::{after_a_kill, on_server, run};
use tokio_postgres::{Client, SimpleQueryMessage, Statement};

/// What the key's own way gives, and what a scan that cannot take it gives.
async fn both(client: &Client, columns: &str, key: i32) -> [Vec<Vec<Option<String>>>; 2] {
    let mut found = [
        format!("select {columns} from t where id = {key}"),
        format!("select {columns} from t where id + 0 = {key}"),
    ]
    .into_iter();
    let mut rows = async || {
        let messages = client.simple_query(&found.next().unwrap()).await.unwrap();
        let row = |m| match m {
            SimpleQueryMessage::Row(row) => {
                let value = |i| row.get(i).map(str::to_owned);
                Some((0..row.len()).map(value).collect())
            }
            _ => None,
        };
        messages.into_iter().filter_map(row).collect::<Vec<_>>()
    };
    // Twice, so that the shape of the text is known.
    [rows().await, rows().await]
}

async fn agree(client: &Client, columns: &str) {
    for key in [0, 1, 2, 17, 99, 100] {
        // The first of a shape is read, the later ones are known.
        for _ in 0..3 {
            let [short, scanned] = both(client, columns, key).await;
            assert_eq!(short, scanned, "{columns} of {key}");
        }
    }
}

async fn read(client: &Client, statement: &Statement, key: Option<i32>) -> Option<Option<String>> {
    let row = client.query_opt(statement, &[&key]).await.unwrap();
    row.map(|row| row.get(0))
}

const TABLE: &str = "create table t (id int primary key, a text, b numeric, c int[]);
    insert into t select g, 'a' || g, g / 3.0, array[g, null] from generate_series(1, 99) g";

#[test]
fn a_row_by_its_key_is_the_row_that_a_scan_finds() {
    for cores in [1, 2, 4] {
        on_server(cores, &[], async |_, client| {
            run(&client, TABLE).await;
            for columns in ["*", "a", "c, b, a", "a, a, id", "id"] {
                agree(&client, columns).await;
            }
            // Dropped, added, changed, gone.
            for change in [
                "alter table t drop column b",
                "alter table t add column b int default 7",
                "update t set a = repeat('x', 100000) where id = 17",
                "delete from t where id = 2",
                "alter table t alter column a type varchar(200000)",
            ] {
                run(&client, change).await;
                agree(&client, "*").await;
            }
        });
    }
}

#[test]
fn a_prepared_read_sees_each_commit_and_each_definition() {
    for cores in [1, 4] {
        on_server(cores, &[], async |server, client| {
            run(&client, TABLE).await;
            let select = "select a from t where id = $1";
            let select = client.prepare(select).await.unwrap();
            let other = server.connect().await;
            for key in 1..=99 {
                assert_eq!(
                    read(&client, &select, Some(key)).await,
                    Some(Some(format!("a{key}")))
                );
                run(&other, &format!("update t set a = 'b' where id = {key}")).await;
                assert_eq!(
                    read(&client, &select, Some(key)).await,
                    Some(Some("b".into()))
                );
            }
            assert_eq!(read(&client, &select, None).await, None);
            assert_eq!(read(&client, &select, Some(1000)).await, None);
            // In a transaction of its own: what it has written, and a snapshot that stays.
            run(
                &client,
                "begin isolation level repeatable read; update t set a = 'own' where id = 5",
            )
            .await;
            run(&other, "update t set a = 'theirs' where id = 6").await;
            assert_eq!(
                read(&client, &select, Some(5)).await,
                Some(Some("own".into()))
            );
            assert_eq!(
                read(&client, &select, Some(6)).await,
                Some(Some("b".into()))
            );
            assert_eq!(
                read(
                    &other,
                    &other
                        .prepare("select a from t where id = $1")
                        .await
                        .unwrap(),
                    Some(5)
                )
                .await,
                Some(Some("b".into()))
            );
            run(&client, "rollback").await;
            assert_eq!(
                read(&client, &select, Some(6)).await,
                Some(Some("theirs".into()))
            );
            // A definition that leaves the plan's columns as they are.
            run(&other, "alter table t drop column b; create index on t (a)").await;
            assert_eq!(
                read(&client, &select, Some(6)).await,
                Some(Some("theirs".into()))
            );
            run(&other, "truncate t").await;
            assert_eq!(read(&client, &select, Some(6)).await, None);
            run(&other, "drop table t").await;
            let gone = client.query_opt(&select, &[&Some(6)]).await.unwrap_err();
            assert_eq!(gone.code().unwrap().code(), "42P01");
            run(
                &other,
                "create table t (id int primary key, a text); insert into t values (6, 'new')",
            )
            .await;
            assert_eq!(
                read(&client, &select, Some(6)).await,
                Some(Some("new".into()))
            );
        });
    }
}

#[test]
fn changes_that_came_whole_are_durable_and_all_or_nothing() {
    after_a_kill(
        async |client| {
            run(client, TABLE).await;
            let insert = "insert into t (id, a) values ($1, $2), ($1 + 1, $2)";
            let insert = client.prepare(insert).await.unwrap();
            for key in (200..300).step_by(2) {
                client.execute(&insert, &[&key, &"kept"]).await.unwrap();
            }
            let twice = client.execute(&insert, &[&299, &"no"]).await.unwrap_err();
            assert_eq!(twice.code().unwrap().code(), "23505");
            // The session goes on, in no transaction.
            client.execute(&insert, &[&400, &"kept"]).await.unwrap();
        },
        async |client| {
            let rows = client.query("select id from t where a = 'kept' order by id", &[]);
            let ids: Vec<i32> = rows.await.unwrap().iter().map(|r| r.get(0)).collect();
            assert_eq!(ids, (200..300).chain([400, 401]).collect::<Vec<i32>>());
        },
    );
}

/// A client that does not wait for an answer before it asks again: reads of every shard and changes between them, in the
/// order in which they were asked.
#[test]
fn what_is_asked_without_waiting_is_answered_in_order() {
    for cores in [1, 2, 4] {
        on_server(cores, &[], async |_, client| {
            run(&client, TABLE).await;
            let select = client
                .prepare("select a from t where id = $1")
                .await
                .unwrap();
            let update = "update t set a = $2 where id = $1";
            let update = client.prepare(update).await.unwrap();
            let missing = "select a from t where id = $1 and 1 / (id - 7) is not null";
            let fails = client.prepare(missing).await.unwrap();
            for round in 0..20 {
                let asked = (0..200i32).map(|n| {
                    let (client, select, update, fails) = (&client, &select, &update, &fails);
                    async move {
                        let key = n % 99 + 1;
                        let value = format!("{round}/{n}");
                        match n % 10 {
                            3 => drop(client.execute(update, &[&key, &value]).await.unwrap()),
                            5 => {
                                let key = 7;
                                client.query(fails, &[&key]).await.unwrap_err();
                            }
                            _ => {
                                let row = client.query_one(select, &[&key]).await.unwrap();
                                let seen: String = row.get(0);
                                // The last change that was asked for before, or one of an earlier round.
                                let last = (0..n).rev().find(|m| m % 10 == 3 && m % 99 + 1 == key);
                                if let Some(m) = last {
                                    assert_eq!(seen, format!("{round}/{m}"), "{key}");
                                }
                            }
                        }
                    }
                });
                futures_util::future::join_all(asked).await;
            }
        });
    }
}
