//! Advisory locks: who has them, for how long, and what becomes of those who wait.

use crate::support::{Server, code, on_server, value};
use std::time::{Duration, Instant};
use tokio_postgres::Client;

const CORES: [usize; 3] = [1, 2, 4];

async fn has(c: &Client, call: &str) -> bool {
    value::<bool>(c, &format!("select {call}")).await
}

/// Whether somebody else could have it, who gives it back.
async fn free(c: &Client, key: &str) -> bool {
    let got = has(c, &format!("pg_try_advisory_lock({key})")).await;
    if got {
        assert!(has(c, &format!("pg_advisory_unlock({key})")).await);
    }
    got
}

async fn becomes_free(c: &Client, key: &str) {
    let start = Instant::now();
    while !free(c, key).await {
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "{key} is never free"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn run(c: &Client, sql: &str) {
    c.batch_execute(sql).await.unwrap();
}

#[test]
fn a_session_has_a_lock_until_it_gives_it_back_as_often_as_it_took_it() {
    for cores in CORES {
        on_server(cores, &[], async |server, a| {
            let b = server.connect().await;
            for key in ["1", "-9223372036854775808", "2, 3", "-1, 2147483647"] {
                run(&a, &format!("select pg_advisory_lock({key})")).await;
                assert!(has(&a, &format!("pg_try_advisory_lock({key})")).await);
                assert!(!free(&b, key).await);
                assert!(!has(&b, &format!("pg_advisory_unlock({key})")).await);
                assert!(has(&a, &format!("pg_advisory_unlock({key})")).await);
                assert!(!free(&b, key).await, "it took it twice");
                assert!(has(&a, &format!("pg_advisory_unlock({key})")).await);
                assert!(!has(&a, &format!("pg_advisory_unlock({key})")).await);
                assert!(free(&b, key).await);
            }
            // One number and two are different things: 2 << 32 | 3.
            run(&a, "select pg_advisory_lock(8589934595)").await;
            assert!(free(&b, "2, 3").await);
            run(
                &a,
                "select pg_advisory_lock(5), pg_advisory_lock(6), pg_advisory_unlock_all()",
            )
            .await;
            for key in ["5", "6", "8589934595"] {
                assert!(free(&b, key).await);
            }
            run(&a, "select pg_advisory_lock(5)").await;
            run(&a, "discard all").await;
            assert!(free(&b, "5").await);
            run(&a, "select pg_advisory_lock(5)").await;
            drop(a);
            becomes_free(&b, "5").await;
        });
    }
}

#[test]
fn sharers_keep_out_who_wants_it_alone() {
    for cores in CORES {
        on_server(cores, &[], async |server, a| {
            let (b, c) = (server.connect().await, server.connect().await);
            run(&a, "select pg_advisory_lock_shared(1)").await;
            assert!(has(&b, "pg_try_advisory_lock_shared(1)").await);
            assert!(!free(&c, "1").await);
            assert!(!has(&a, "pg_try_advisory_lock(1)").await);
            assert!(
                !has(&a, "pg_advisory_unlock(1)").await,
                "it has not taken it alone"
            );
            assert!(has(&b, "pg_advisory_unlock_shared(1)").await);
            assert!(has(&a, "pg_try_advisory_lock(1)").await, "the last sharer");
            assert!(!has(&b, "pg_try_advisory_lock_shared(1)").await);
            assert!(has(&a, "pg_advisory_unlock(1)").await);
            assert!(has(&a, "pg_advisory_unlock_shared(1)").await);
            assert!(free(&c, "1").await);
        });
    }
}

#[test]
fn a_transactions_lock_ends_with_it() {
    for cores in CORES {
        on_server(cores, &[], async |server, a| {
            let b = server.connect().await;
            run(&a, "begin; select pg_advisory_xact_lock(1)").await;
            assert!(has(&a, "pg_try_advisory_xact_lock(1)").await);
            assert!(!has(&a, "pg_advisory_unlock(1)").await);
            assert!(!free(&b, "1").await);
            run(&a, "commit").await;
            assert!(free(&b, "1").await, "as soon as the client knows");
            run(&a, "begin; select pg_advisory_xact_lock_shared(1)").await;
            assert!(!free(&b, "1").await);
            run(&a, "rollback").await;
            becomes_free(&b, "1").await;
            run(&a, "begin; select pg_advisory_xact_lock(1)").await;
            assert!(a.batch_execute("select 1/0").await.is_err());
            becomes_free(&b, "1").await;
            run(&a, "rollback; select pg_advisory_xact_lock(1)").await;
            becomes_free(&b, "1").await;
            // What the session has as well stays.
            run(
                &a,
                "select pg_advisory_lock(1); begin; select pg_advisory_xact_lock(1); commit",
            )
            .await;
            assert!(!free(&b, "1").await);
            run(
                &a,
                "begin; select pg_advisory_xact_lock(1), pg_advisory_unlock(1)",
            )
            .await;
            assert!(!free(&b, "1").await);
            run(&a, "end").await;
            assert!(free(&b, "1").await);
            run(
                &a,
                "begin read only; select pg_advisory_xact_lock(1); commit",
            )
            .await;
            run(&a, "begin; select pg_advisory_xact_lock(7)").await;
            drop(a);
            becomes_free(&b, "7").await;
        });
    }
}

async fn waiting(
    server: &Server,
    key: &'static str,
    setting: &str,
) -> tokio::task::JoinHandle<Result<(), tokio_postgres::Error>> {
    let client = server.connect().await;
    run(&client, setting).await;
    let waits = tokio::task::spawn_local(async move {
        let sql = format!("select pg_advisory_lock({key})");
        client.batch_execute(&sql).await
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    waits
}

#[test]
fn who_waits_gets_it_in_turn_and_who_gives_up_leaves_nothing() {
    for cores in CORES {
        on_server(cores, &[], async |server, a| {
            let all = async {
                run(&a, "select pg_advisory_lock(1)").await;
                let first = waiting(server, "1", "select 1").await;
                let late = waiting(server, "1", "set lock_timeout = '100ms'").await;
                let stopped = waiting(server, "1", "set statement_timeout = '100ms'").await;
                let gone = waiting(server, "1", "select 1").await;
                assert_eq!(code(&late.await.unwrap().unwrap_err()), "55P03");
                assert_eq!(code(&stopped.await.unwrap().unwrap_err()), "57014");
                gone.abort();
                assert!(!first.is_finished());
                assert!(has(&a, "pg_advisory_unlock(1)").await);
                // It ends its session, with its lock.
                first.await.unwrap().unwrap();
                becomes_free(&a, "1").await;
            };
            tokio::task::LocalSet::new().run_until(all).await;
        });
    }
}

#[test]
fn a_circle_of_waits_ends_with_40p01() {
    for cores in CORES {
        on_server(cores, &[], async |server, a| {
            let b = server.connect().await;
            for (first, second) in [("1", "2"), ("1", "3"), ("10, 1", "10, 2")] {
                run(&a, &format!("select pg_advisory_lock({first})")).await;
                run(&b, &format!("select pg_advisory_lock({second})")).await;
                let (to_a, to_b) = (
                    format!("select pg_advisory_lock({second})"),
                    format!("select pg_advisory_lock({first})"),
                );
                let victim = async |c: &Client, sql: &str| {
                    let ended = c.batch_execute(sql).await;
                    // The other one waits for what the victim still has.
                    if let Err(error) = &ended {
                        assert_eq!(code(error), "40P01");
                        run(c, "select pg_advisory_unlock_all()").await;
                    }
                    ended.is_err()
                };
                let began = Instant::now();
                let (one, other) =
                    futures_util::future::join(victim(&a, &to_a), victim(&b, &to_b)).await;
                assert!(one != other, "one of them, and not both");
                assert!(began.elapsed() < Duration::from_secs(10));
                run(&a, "select pg_advisory_unlock_all()").await;
                run(&b, "select pg_advisory_unlock_all()").await;
            }
        });
    }
}

#[test]
fn locks_are_taken_wherever_an_expression_is() {
    on_server(2, &[], async |server, a| {
        let b = server.connect().await;
        run(
            &a,
            "create table jobs (id int8 primary key, done bool);
             insert into jobs select g, false from generate_series(1, 5) g",
        )
        .await;
        run(&b, "select pg_advisory_lock(2)").await;
        let sql = "select id from jobs where pg_try_advisory_lock(id) order by id";
        let rows = a.query(sql, &[]).await.unwrap();
        let ids: Vec<i64> = rows.iter().map(|r| r.get(0)).collect();
        assert_eq!(ids, [1, 3, 4, 5]);
        let freed = "select count(*) from jobs where pg_advisory_unlock(id)";
        assert_eq!(value::<i64>(&a, freed).await, 4);
        let row = a
            .query_one(
                "select pg_try_advisory_lock($1), pg_try_advisory_lock($2, $3)",
                &[&2i64, &2i32, &2i32],
            )
            .await
            .unwrap();
        assert_eq!(
            (row.get::<_, bool>(0), row.get::<_, bool>(1)),
            (false, true)
        );
        let null = "select pg_try_advisory_lock(null::int8) is null";
        assert!(value::<bool>(&a, null).await);
        for sql in [
            "select pg_advisory_lock()",
            "select pg_advisory_lock('a'::bytea)",
            "select pg_advisory_lock(1, 2, 3)",
        ] {
            let refused = a.batch_execute(sql).await.unwrap_err();
            assert_eq!(code(&refused), "42883", "{sql}");
        }
    });
}
