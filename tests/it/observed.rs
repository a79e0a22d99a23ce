//! Sessions as others see them, and what others can do to them.

use crate::support::{code, on_server, run, value};
use std::time::{Duration, Instant};
use tokio_postgres::{Client, SimpleQueryMessage};

const CORES: [usize; 3] = [1, 2, 4];

async fn pid(c: &Client) -> i32 {
    value(c, "select pg_backend_pid()").await
}

/// State and query of a session, by the simple protocol, as its own texts are.
async fn seen(c: &Client, pid: i32) -> Option<(String, String)> {
    let sql = format!("select state, query from pg_stat_activity where pid = {pid}");
    let rows = c.simple_query(&sql).await.unwrap();
    rows.iter().find_map(|m| match m {
        SimpleQueryMessage::Row(r) => Some((r.get(0)?.to_owned(), r.get(1)?.to_owned())),
        _ => None,
    })
}

async fn becomes(c: &Client, pid: i32, wanted: Option<(&str, &str)>) {
    let start = Instant::now();
    loop {
        let is = seen(c, pid).await;
        if is.as_ref().map(|(s, q)| (s.as_str(), q.as_str())) == wanted {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(10), "it is {is:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn every_session_of_every_shard_is_seen_with_what_it_does() {
    for cores in CORES {
        on_server(cores, &[], async |server, a| {
            let mut others = Vec::new();
            for _ in 0..8 {
                others.push(server.connect().await);
            }
            let count: i64 = value(&a, "select count(*) from pg_stat_activity").await;
            assert_eq!(count, 9);
            let b = &others[5];
            let there = pid(b).await;
            run(b, "begin").await;
            becomes(&a, there, Some(("idle in transaction", "begin"))).await;
            assert!(b.batch_execute("select 1/0").await.is_err());
            let failed = "idle in transaction (aborted)";
            becomes(&a, there, Some((failed, "select 1/0"))).await;
            run(b, "rollback").await;
            becomes(&a, there, Some(("idle", "rollback"))).await;
            let sleeping = b.batch_execute("select pg_sleep(0.3)");
            let looking = becomes(&a, there, Some(("active", "select pg_sleep(0.3)")));
            let (slept, ()) = tokio::join!(sleeping, looking);
            slept.unwrap();
            drop(others.remove(5));
            becomes(&a, there, None).await;
        });
    }
}

#[test]
fn a_statement_is_cancelled_and_a_session_ended_from_another() {
    for cores in CORES {
        on_server(cores, &[], async |server, a| {
            for _ in 0..4 {
                let b = server.connect().await;
                let there = pid(&b).await;
                let asked = async {
                    becomes(&a, there, Some(("active", "select pg_sleep(60)"))).await;
                    let sql = format!("select pg_cancel_backend({there})");
                    assert!(value::<bool>(&a, &sql).await);
                };
                let (slept, ()) = tokio::join!(b.batch_execute("select pg_sleep(60)"), asked);
                assert_eq!(code(&slept.unwrap_err()), "57014");
                run(&b, "select 1").await;
                let sql = format!("select pg_terminate_backend({there}, 10000)");
                assert!(
                    value::<bool>(&a, &sql).await,
                    "it has ended within its time"
                );
                assert!(b.batch_execute("select 1").await.is_err());
                let sql = format!("select pg_terminate_backend({there})");
                assert!(!value::<bool>(&a, &sql).await, "there is none any more");
            }
            let all = "select count(pg_terminate_backend(pid)) from pg_stat_activity where pid <> pg_backend_pid()";
            let b = server.connect().await;
            assert_eq!(value::<i64>(&a, all).await, 1);
            let start = Instant::now();
            while b.batch_execute("select 1").await.is_ok() {
                assert!(start.elapsed() < Duration::from_secs(10));
            }
        });
    }
}

#[test]
fn errors_name_the_schema_and_casts_their_lengths() {
    on_server(1, &[], async |_, a| {
        run(
            &a,
            "create schema s1; create table s1.t (id int primary key, v varchar(3) not null check (v <> 'x'))",
        )
        .await;
        for sql in [
            "insert into s1.t values (1, null)",
            "insert into s1.t values (1, 'x')",
            "insert into s1.t values (1, 'a'), (1, 'b')",
        ] {
            let error = a.batch_execute(sql).await.unwrap_err();
            let error = error.as_db_error().unwrap();
            assert_eq!(
                (error.schema(), error.table()),
                (Some("s1"), Some("t")),
                "{sql}"
            );
        }
    });
}
