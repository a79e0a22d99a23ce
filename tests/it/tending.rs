//! Tables are analyzed without anybody asking.

use crate::support::{on_server, run, value};
use std::time::{Duration, Instant};
use tokio_postgres::Client;

/// What the last ANALYZE found.
async fn known(client: &Client, table: &str) -> f32 {
    let sql = format!("select reltuples from pg_class where relname = '{table}'");
    value(client, &sql).await
}

async fn becomes(client: &Client, table: &str, rows: f32) {
    let began = Instant::now();
    loop {
        let found = known(client, table).await;
        if found == rows {
            return;
        }
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "{table}: {found}, not {rows}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[test]
fn a_table_is_analyzed_when_more_than_50_rows_and_a_tenth_have_changed() {
    for cores in [1, 2] {
        on_server(
            cores,
            &["--analyze-interval", "100ms"],
            async |server, client| {
                run(
                &client,
                "create table t (id int primary key, v int); create table few (id int primary key)",
            )
            .await;
                run(
                    &client,
                    "insert into t select g, 1 from generate_series(1, 1000) g",
                )
                .await;
                becomes(&client, "t", 1000.0).await;
                // A tenth and 50 are not more than that.
                run(&client, "delete from t where id <= 150").await;
                run(&client, "insert into few select generate_series(1, 50)").await;
                run(
                    &client,
                    "begin; insert into few select generate_series(51, 200); rollback",
                )
                .await;
                tokio::time::sleep(Duration::from_millis(500)).await;
                assert_eq!(known(&client, "t").await, 1000.0);
                assert_eq!(known(&client, "few").await, -1.0);
                run(&client, "update t set v = 2 where id = 151").await;
                run(&client, "insert into few values (51)").await;
                becomes(&client, "t", 850.0).await;
                becomes(&client, "few", 51.0).await;
                // Rows that go past the writes of their transaction.
                run(
                &client,
                "begin; create table loaded (id int); insert into loaded select generate_series(1, 500); commit",
            )
            .await;
                becomes(&client, "loaded", 500.0).await;
                run(&client, "create database other").await;
                let other = server.connect_to("other").await.unwrap();
                run(
                    &other,
                    "create table there as select generate_series(1, 60) g",
                )
                .await;
                becomes(&other, "there", 60.0).await;
                assert!(server.metric("rustydb_tables_analyzed_total") >= 5.0);
            },
        );
    }
}

#[test]
fn nothing_is_analyzed_when_the_interval_is_0() {
    on_server(1, &["--analyze-interval", "0"], async |_, client| {
        run(
            &client,
            "create table t as select generate_series(1, 1000) g",
        )
        .await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(known(&client, "t").await, -1.0);
    });
}
