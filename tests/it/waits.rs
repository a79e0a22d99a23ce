//! Waits that end: a cycle of them with 40P01 for one, a wait for a lock or for a silent client at its timeout.

use crate::support::{Server, code, on_server, value};
use std::time::{Duration, Instant};
use tokio_postgres::Client;

const TABLE: &str = "create table t (id int primary key, n int);
    insert into t select g, 0 from generate_series(1, 40) g";

async fn clients(server: &Server, n: usize) -> Vec<Client> {
    let mut all = Vec::new();
    for _ in 0..n {
        let client = server.connect().await;
        client
            .batch_execute("set statement_timeout = '20s'; begin")
            .await
            .unwrap();
        all.push(client);
    }
    all
}

fn update(id: usize) -> String {
    format!("update t set n = n + 1 where id = {id}")
}

/// Each client locks a row of its own and then wants its neighbour's. Returns who heard what, and how long it took.
async fn ring(clients: &[Client], first: usize) -> Vec<Result<(), tokio_postgres::Error>> {
    for (i, client) in clients.iter().enumerate() {
        client.batch_execute(&update(first + i)).await.unwrap();
    }
    let wants = clients.iter().enumerate().map(async |(i, client)| {
        let done = client
            .batch_execute(&update(first + (i + 1) % clients.len()))
            .await;
        // A victim gives way at once; the others end, and let the next go on.
        client
            .batch_execute(if done.is_ok() { "commit" } else { "rollback" })
            .await
            .unwrap();
        done
    });
    futures_util::future::join_all(wants).await
}

#[test]
fn a_cycle_over_any_partitions_has_one_victim_and_names_itself() {
    for (cores, partitions) in [(1, "1"), (1, "4"), (2, "2"), (4, "4")] {
        on_server(
            cores,
            &["--partitions", partitions],
            async |server, client| {
                client.batch_execute(TABLE).await.unwrap();
                for (n, first) in [(2, 1), (3, 5), (6, 10)] {
                    let clients = clients(server, n).await;
                    let begun = Instant::now();
                    let heard = ring(&clients, first).await;
                    let took = begun.elapsed();
                    let victims: Vec<_> = heard.iter().filter_map(|h| h.as_ref().err()).collect();
                    assert_eq!(victims.len(), 1, "{heard:?}");
                    assert_eq!(code(victims[0]), "40P01", "{heard:?}");
                    let detail = victims[0].as_db_error().unwrap().detail().unwrap();
                    assert!(
                        detail.matches("waits for a row of").count() == n
                            && detail.matches("blocked by transaction").count() == n,
                        "{detail}"
                    );
                    assert!(took < Duration::from_secs(8), "{took:?}");
                }
                let sum: i64 = value(&client, "select sum(n) from t").await;
                // Of each ring one client's two changes are missing.
                assert_eq!(sum, 2 * (1 + 2 + 5));
            },
        );
    }
}

#[test]
fn a_long_wait_that_is_no_cycle_is_left_alone() {
    on_server(2, &[], async |server, client| {
        client.batch_execute(TABLE).await.unwrap();
        let clients = clients(server, 3).await;
        clients[0].batch_execute(&update(1)).await.unwrap();
        clients[1].batch_execute(&update(2)).await.unwrap();
        // 3 waits for 2, which waits for 1, which takes its time.
        let (second, third) = (update(1), update(2));
        let wait = async {
            tokio::join!(clients[1].batch_execute(&second), async {
                tokio::time::sleep(Duration::from_millis(100)).await;
                // Behind the second, which has the row.
                clients[2].batch_execute(&third).await
            })
        };
        let end = async {
            tokio::time::sleep(Duration::from_millis(2_600)).await;
            clients[0].batch_execute("commit").await.unwrap();
        };
        let go_on = async {
            let (second, third) = wait.await;
            second.unwrap();
            third.unwrap();
        };
        // The third needs the second's end, which comes when it has its row.
        let finish = async {
            tokio::time::sleep(Duration::from_millis(3_000)).await;
            clients[1].batch_execute("commit").await.unwrap();
        };
        tokio::join!(go_on, end, finish);
        clients[2].batch_execute("commit").await.unwrap();
        let sum: i64 = value(&client, "select sum(n) from t").await;
        assert_eq!(sum, 4);
    });
}

#[test]
fn a_lock_is_waited_for_no_longer_than_its_timeout() {
    on_server(2, &[], async |server, client| {
        client.batch_execute(TABLE).await.unwrap();
        let holders = clients(server, 1).await;
        holders[0].batch_execute(&update(1)).await.unwrap();
        client
            .batch_execute("set lock_timeout = '150ms'")
            .await
            .unwrap();
        for sql in [update(1), "truncate t".into(), "delete from t".into()] {
            let begun = Instant::now();
            let refused = client.batch_execute(&sql).await.unwrap_err();
            assert_eq!(code(&refused), "55P03", "{sql}");
            let took = begun.elapsed();
            assert!(took >= Duration::from_millis(150) && took < Duration::from_secs(5));
        }
        holders[0].batch_execute("commit").await.unwrap();
        client.batch_execute(&update(1)).await.unwrap();
    });
}

#[test]
fn a_client_that_is_silent_in_a_transaction_is_sent_away_and_its_locks_are_free() {
    on_server(2, &[], async |server, client| {
        client.batch_execute(TABLE).await.unwrap();
        let silent = clients(server, 1).await;
        let set = "set idle_in_transaction_session_timeout = '300ms'";
        silent[0].batch_execute(set).await.unwrap();
        silent[0].batch_execute(&update(1)).await.unwrap();
        // Silence out of a transaction is nobody's business.
        client.batch_execute(set).await.unwrap();
        let begun = Instant::now();
        client.batch_execute(&update(1)).await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(600)).await;
        assert!(silent[0].batch_execute("commit").await.is_err());
        assert!(silent[0].is_closed());
        let n: i32 = value(&client, "select n from t where id = 1").await;
        assert_eq!(n, 1);
    });
}

#[test]
fn the_server_bounds_how_long_an_abandoned_transaction_lasts() {
    let flags = ["--idle-in-transaction-timeout", "200ms"];
    on_server(2, &flags, async |server, client| {
        client.batch_execute(TABLE).await.unwrap();
        let shown = "show idle_in_transaction_session_timeout";
        assert_eq!(value::<String>(&client, shown).await, "200ms");
        let snapshot = "begin isolation level repeatable read; select sum(n) from t";
        let own = server.connect().await;
        let set = "set idle_in_transaction_session_timeout = 0";
        own.batch_execute(set).await.unwrap();
        own.batch_execute(snapshot).await.unwrap();
        client.batch_execute(snapshot).await.unwrap();
        client.batch_execute(&update(1)).await.unwrap();
        let other = server.connect().await;
        // The lock is free as soon as the one who held it has been silent for too long.
        other.batch_execute(&update(1)).await.unwrap();
        let gone = client.batch_execute("select 1").await.unwrap_err();
        assert!(
            ["25P03", "lost"].contains(&code(&gone).as_str()),
            "{gone:?}"
        );
        own.batch_execute("commit").await.unwrap();
        let set =
            "set session characteristics as transaction isolation level serializable, read only";
        own.batch_execute(set).await.unwrap();
        let level = "show default_transaction_isolation";
        assert_eq!(value::<String>(&own, level).await, "serializable");
        let refused = own.batch_execute(&update(2)).await.unwrap_err();
        assert_eq!(code(&refused), "25006");
    });
}

#[test]
fn a_transaction_is_what_its_session_says_when_it_does_not() {
    on_server(1, &[], async |server, client| {
        client.batch_execute(TABLE).await.unwrap();
        let reader = server.connect().await;
        reader
            .batch_execute("set default_transaction_isolation = 'repeatable read'; begin")
            .await
            .unwrap();
        let sum = "select sum(n) from t";
        assert_eq!(value::<i64>(&reader, sum).await, 0);
        client.batch_execute(&update(1)).await.unwrap();
        assert_eq!(value::<i64>(&reader, sum).await, 0);
        reader
            .batch_execute("commit; set default_transaction_read_only = on")
            .await
            .unwrap();
        assert_eq!(value::<i64>(&reader, sum).await, 1);
        let refused = reader.batch_execute(&update(1)).await.unwrap_err();
        assert_eq!(code(&refused), "25006");
    });
}
