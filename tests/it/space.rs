//! Room comes back by itself: old versions are collected in the background, and the files shrink to what lives.

use crate::support::{Server, client_runtime, on_server, value};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio_postgres::Client;

const ROWS: i64 = 20_000;
/// An encoded row, its key and what a page adds: about 130 bytes.
const LIVE_BYTES: u64 = 130 * ROWS as u64;

fn page_file_bytes(data: &Path) -> u64 {
    (0..2)
        .map(|p| data.join(format!("p{p:04}/data.pages")))
        .map(|path| std::fs::metadata(path).unwrap().len())
        .sum()
}

async fn churn(client: &Client, round: usize) {
    let sql = match round % 4 {
        0 => "update t set v = repeat('a', 100)",
        1 => "update t set v = repeat('b', 100) where id % 2 = 0",
        2 => "delete from t where id % 3 = 0",
        _ => {
            "insert into t select g, repeat('c', 100) from generate_series(1, 20000) g on conflict do nothing"
        }
    };
    client.batch_execute(sql).await.unwrap();
}

#[test]
fn after_churning_a_table_its_files_are_at_most_twice_the_live_data() {
    let flags = [
        "--checkpoint-wal-bytes",
        "4MiB",
        "--wal-segment-bytes",
        "1MiB",
    ];
    on_server(2, &flags, async |server, client| {
        let table = "create table t (id int primary key, v text)";
        client.batch_execute(table).await.unwrap();
        for round in 0..40 {
            churn(&client, round + 3).await;
        }
        let count: i64 = value(&client, "select count(*) from t").await;
        let live = LIVE_BYTES * count as u64 / ROWS as u64;
        let began = Instant::now();
        loop {
            let bytes = page_file_bytes(server.data());
            let waiting = server.metric("rustydb_partition_garbage_queued")
                + server.metric("rustydb_partition_garbage_missed");
            // What is less than three quarters of a mebibyte a partition is not worth the work.
            if bytes <= 2 * live + (3 << 19) && waiting == 0.0 {
                break;
            }
            assert!(
                began.elapsed() < Duration::from_secs(20),
                "{bytes} bytes for {live} live ones, {waiting} versions waiting"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
            // In the background a file is left alone that is a little too long; VACUUM packs it whatever it is.
            if began.elapsed() > Duration::from_secs(2) {
                client.batch_execute("vacuum").await.unwrap();
            }
        }
        assert_eq!(value::<i64>(&client, "select count(*) from t").await, count);
    });
}

#[test]
fn an_old_snapshot_keeps_its_versions_and_they_go_when_it_ends() {
    on_server(2, &[], async |server, client| {
        let reader = server.connect().await;
        client
            .batch_execute("create table t (id int primary key, n int); insert into t select g, 0 from generate_series(1, 500) g")
            .await
            .unwrap();
        reader
            .batch_execute("begin isolation level repeatable read")
            .await
            .unwrap();
        let sum = "select sum(n) from t";
        assert_eq!(value::<i64>(&reader, sum).await, 0);
        for _ in 0..5 {
            client
                .batch_execute("update t set n = n + 1")
                .await
                .unwrap();
        }
        client
            .batch_execute("delete from t where id > 250")
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_millis(400)).await;
        assert_eq!(value::<i64>(&reader, sum).await, 0);
        let count = "select count(*) from t";
        assert_eq!(value::<i64>(&reader, count).await, 500);
        reader.batch_execute("commit").await.unwrap();
        let began = Instant::now();
        // Five old versions of each row, and of those that are gone the last one and the deletion.
        loop {
            let queued = server.metric("rustydb_partition_garbage_queued");
            let pruned = server.metric("rustydb_partition_versions_pruned_total");
            if queued == 0.0 && pruned >= 3_000.0 {
                break;
            }
            assert!(
                began.elapsed() < Duration::from_secs(10),
                "{queued} queued, {pruned} pruned"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(value::<i64>(&reader, sum).await, 1_250);
    });
}

#[test]
fn analyze_finds_what_is_in_a_table_and_a_restart_knows_it() {
    let data = tempfile::tempdir().unwrap();
    let path = data.path().join("data");
    let shown = "select attname::text || ' ' || null_frac || ' ' || n_distinct || ' ' || \
                 coalesce(most_common_vals, '-') || ' ' || coalesce(array_length(string_to_array(histogram_bounds, ','), 1), 0) \
                 from pg_stats where tablename = 't' order by attname";
    let expected = ["id 0 -1 - 101", "kind 0 2 {b,a} 0", "n 0.5 50 - 0"];
    let check = async |client: &Client| {
        let rows = client.query(shown, &[]).await.unwrap();
        let rows: Vec<&str> = rows.iter().map(|r| r.get(0)).collect();
        assert_eq!(rows[..2], expected[..2]);
        assert!(rows[2].starts_with("n 0.5 50 {"), "{rows:?}");
        let count = "select reltuples::bigint from pg_class where relname = 't'";
        assert_eq!(value::<i64>(client, count).await, 20_000);
    };
    let server = Server::start(&path, 2);
    client_runtime().block_on(async {
        let client = server.connect().await;
        client
            .batch_execute(
                "create table t (id int primary key, kind text, n int);
                insert into t select g, case when g % 4 = 0 then 'a' else 'b' end,
                    case when g % 2 = 0 then g % 100 end from generate_series(1, 20000) g",
            )
            .await
            .unwrap();
        let unknown = "select reltuples::bigint from pg_class where relname = 't'";
        assert_eq!(value::<i64>(&client, unknown).await, -1);
        client
            .batch_execute("begin; analyze t; rollback")
            .await
            .unwrap();
        assert_eq!(value::<i64>(&client, unknown).await, -1);
        client.batch_execute("vacuum analyze t").await.unwrap();
        check(&client).await;
        let refused = client.batch_execute("analyze nowhere").await.unwrap_err();
        assert_eq!(refused.code().unwrap().code(), "42P01");
    });
    server.kill();
    let server = Server::start(&path, 1);
    client_runtime().block_on(async {
        let client = server.connect().await;
        check(&client).await;
        client.batch_execute("drop table t").await.unwrap();
        let left = "select count(*) from pg_stats";
        assert_eq!(value::<i64>(&client, left).await, 0);
    });
    server.stop();
}
