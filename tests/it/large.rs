//! Transactions larger than the memory they may take: they complete, and the server's memory stays what it was.

use crate::support::{Server, client_runtime, on_server, value};
use futures_util::SinkExt;
use std::pin::pin;
use tokio_postgres::Client;

/// The least a partition can be given: everything but the first rows is staged.
const SMALL: [&str; 2] = ["--txn-memory-bytes", "64KiB"];
const TABLE: &str = "create table t (id int primary key, n int, v text);
    create index on t (n); create unique index on t (v)";
const FILL: &str = "insert into t select g, g % 100, 'v' || g from generate_series(1, 30000) g";

/// Every way to the rows that `FILL`, an update and a delete leave.
async fn check(client: &Client) {
    let count = "select count(*) from t";
    assert_eq!(value::<i64>(client, count).await, 27_000);
    let sum = "select sum(id) from t where n >= 0";
    assert_eq!(value::<i64>(client, sum).await, 405_000_000);
    let by_index = "select count(*) from t where n = 7";
    assert_eq!(value::<i64>(client, by_index).await, 300);
    let by_unique = "select id from t where v = 'u10002'";
    assert_eq!(value::<i32>(client, by_unique).await, 10_002);
    let by_key = "select v from t where id = 29999";
    assert_eq!(value::<String>(client, by_key).await, "v29999");
    let ordered = "select string_agg(id::text, ',') from (select id from t where id > 9 order by id limit 3) s";
    assert_eq!(value::<String>(client, ordered).await, "11,12,13");
    for gone in [
        "select count(*) from t where id = 20",
        "select count(*) from t where v = 'v10002'",
    ] {
        assert_eq!(value::<i64>(client, gone).await, 0, "{gone}");
    }
}

async fn fill(client: &Client) {
    client.batch_execute(FILL).await.unwrap();
    let changes = "update t set v = 'u' || id where id % 3 = 0;
        update t set v = 'u' || id where id % 2 = 0 and id % 3 <> 0;
        delete from t where id % 10 = 0";
    client.batch_execute(changes).await.unwrap();
}

#[test]
fn a_transaction_larger_than_its_memory_sees_its_writes_and_nobody_else_does() {
    for cores in [1, 2, 4] {
        on_server(cores, &SMALL, async |server, client| {
            let other = server.connect().await;
            client.batch_execute(TABLE).await.unwrap();
            for end in ["rollback", "commit"] {
                client.batch_execute("begin").await.unwrap();
                fill(&client).await;
                check(&client).await;
                let seen: i64 = value(&other, "select count(*) from t").await;
                assert_eq!(seen, 0);
                client.batch_execute(end).await.unwrap();
            }
            check(&client).await;
            check(&other).await;
        });
    }
}

#[test]
fn a_large_commit_survives_a_kill_and_is_seen_whole_or_not_at_all() {
    let data = tempfile::tempdir().unwrap();
    let path = data.path().join("data");
    for cores in [2, 1] {
        let server = Server::with_flags(&path, cores, &SMALL);
        client_runtime().block_on(async {
            let (client, reader) = (server.connect().await, server.connect().await);
            client
                .batch_execute("drop table if exists t")
                .await
                .unwrap();
            client.batch_execute(TABLE).await.unwrap();
            client.batch_execute("begin").await.unwrap();
            fill(&client).await;
            let mut counts = Vec::new();
            let mut commit = pin!(client.batch_execute("commit"));
            loop {
                let read = value::<i64>(&reader, "select count(*) from t");
                tokio::select! {
                    biased;
                    done = &mut commit => break done.unwrap(),
                    count = read => counts.push(count),
                }
            }
            assert!(counts.iter().all(|n| [0, 27_000].contains(n)), "{counts:?}");
            assert!(counts.is_sorted());
            check(&reader).await;
        });
        server.kill();
        let server = Server::start(&path, cores);
        client_runtime().block_on(async { check(&server.connect().await).await });
        server.stop();
    }
}

/// `LARGE_ROWS=10000000` is the full size.
#[test]
fn a_copy_of_any_number_of_rows_is_one_transaction_of_bounded_memory() {
    let rows: u64 = std::env::var("LARGE_ROWS").map_or(300_000, |n| n.parse().unwrap());
    let flags = ["--txn-memory-bytes", "4MiB", "--statement-timeout", "0"];
    on_server(2, &flags, async |server, client| {
        let table = "create table t (id bigint primary key, v text)";
        client.batch_execute(table).await.unwrap();
        let before = server.resident_bytes();
        let mut sink = pin!(client.copy_in("copy t from stdin").await.unwrap());
        let mut most = 0;
        for first in (0..rows).step_by(5_000) {
            let mut lines = String::new();
            for id in first..rows.min(first + 5_000) {
                lines.push_str(&format!("{id}\tsome text of row {id}\n"));
            }
            sink.send(bytes::Bytes::from(lines)).await.unwrap();
            most = most.max(server.resident_bytes());
        }
        assert_eq!(sink.finish().await.unwrap(), rows);
        most = most.max(server.resident_bytes());
        let count: i64 = value(&client, "select count(*) from t").await;
        assert_eq!(count as u64, rows);
        // Two pools of 32 MiB fill up; locks become a table's at 64 MiB a partition.
        let grown = most.saturating_sub(before) >> 20;
        assert!(grown < 320, "grew by {grown} MiB");
    });
}

/// Of the server alone, in MiB.
fn resident_mib(server: &Server) -> u64 {
    server.resident_bytes() >> 20
}

#[test]
fn a_table_ten_times_the_pool_is_scanned_and_changed_in_flat_memory() {
    // Two pools of 4 MiB, and a table of more than 80.
    let flags = [
        "--pool-bytes",
        "4MiB",
        "--txn-memory-bytes",
        "1MiB",
        "--wal-segment-bytes",
        "1MiB",
        "--checkpoint-wal-bytes",
        "8MiB",
        "--statement-timeout",
        "0",
    ];
    const ROWS: i64 = 42_000;
    on_server(2, &flags, async |server, client| {
        client
            .batch_execute(
                "create table t (id int primary key, n int, v text); create index on t (n)",
            )
            .await
            .unwrap();
        for first in (1..ROWS).step_by(6_000) {
            let last = first + 5_999;
            let fill = format!(
                "insert into t select g, g % 1000, repeat(chr(97 + g % 26), 1900) from generate_series({first}, {last}) g"
            );
            client.batch_execute(&fill).await.unwrap();
        }
        let check = async |sum: i64| {
            assert_eq!(value::<i64>(&client, "select count(*) from t").await, ROWS);
            assert_eq!(value::<i64>(&client, "select sum(n) from t").await, sum);
            let bytes = value::<i64>(&client, "select sum(length(v)) from t").await;
            assert_eq!(bytes, ROWS * 1_900);
        };
        let sum = (ROWS / 1_000) * (999 * 1_000 / 2);
        check(sum).await;
        let data = std::fs::metadata(server.data().join("p0000/data.pages")).unwrap();
        assert!(data.len() > 40 << 20, "{} bytes a partition", data.len());
        let before = resident_mib(server);
        let mut most = before;
        for round in 1..=2 {
            client
                .batch_execute("update t set n = n + 1")
                .await
                .unwrap();
            most = most.max(resident_mib(server));
            check(sum + round * ROWS).await;
            most = most.max(resident_mib(server));
        }
        let by_index: i64 = value(&client, "select count(*) from t where n = 503").await;
        assert_eq!(by_index, ROWS / 1_000);
        // What an update of all rows keeps a row of: its lock, and the key that has an old version.
        assert!(most <= before + 48, "{before} MiB grew to {most}");
    });
}
