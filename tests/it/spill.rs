//! Queries over their memory: they end as they would within it, and leave nothing in the data directory.

use crate::support::{Server, client_runtime};
use std::path::Path;
use std::time::Duration;
use tokio_postgres::{Client, SimpleQueryMessage};

/// About 20 MiB in memory: ten times what the sessions here let an operator keep.
const ROWS: i64 = 60_000;

async fn filled(client: &Client) {
    client
        .batch_execute(&format!(
            "create table big (id int primary key, k int, v text);
             insert into big select g, (g::bigint * 7919 % {ROWS})::int, repeat('x', 200) from generate_series(1, {ROWS}) g"
        ))
        .await
        .unwrap();
    client.batch_execute("set work_mem = '2MB'").await.unwrap();
}

/// What is in the data directory's room for temporary files, by name.
fn left(data: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(data.join("tmp")).unwrap();
    entries
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// A metric summed over all shards.
fn number(server: &Server, name: &str) -> f64 {
    let (_, text) = server.http("GET", "/metrics", "");
    let prefix = format!("{name}{{");
    let lines = text.lines().filter(|l| l.starts_with(&prefix));
    lines
        .map(|l| l.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
        .sum()
}

fn closed(server: &Server) {
    let open = || number(server, "rustydb_temp_files") + number(server, "rustydb_temp_bytes");
    let mut tries = 0;
    while open() > 0.0 {
        tries += 1;
        assert!(tries < 500, "a temporary file is still open");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn code(error: &tokio_postgres::Error) -> String {
    error.code().map_or("lost".into(), |c| c.code().to_owned())
}

#[test]
fn queries_ten_times_over_their_memory_give_their_rows() {
    let data = tempfile::tempdir().unwrap();
    let dir = data.path().join("data");
    let server = Server::start(&dir, 2);
    client_runtime().block_on(async {
        let client = server.connect().await;
        filled(&client).await;
        let rows = client
            .query("select k, v from big order by k", &[])
            .await
            .unwrap();
        let keys: Vec<i32> = rows.iter().map(|r| r.get(0)).collect();
        assert_eq!(keys, (0..ROWS as i32).collect::<Vec<_>>());
        let one = async |sql: &str| client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0);
        let sql = "select count(*) from big a join big b on a.k = b.id and a.v = b.v";
        assert_eq!(one(sql).await, ROWS - 1);
        let sql = "select count(*) from (select k, max(v) from big group by k) s";
        assert_eq!(one(sql).await, ROWS);
        assert_eq!(one("select count(distinct v || k) from big").await, ROWS);
        let sql = "select count(*) from (select k, v from big except select id, v from big) s";
        assert_eq!(one(sql).await, 1);
    });
    assert!(number(&server, "rustydb_temp_files_total") >= 5.0);
    assert!(number(&server, "rustydb_temp_written_bytes_total") > (ROWS * 200) as f64);
    closed(&server);
    assert_eq!(left(&dir), Vec::<String>::new());
    server.stop();
}

#[test]
fn a_query_over_the_ceiling_of_temporary_files_ends_with_53400_and_gives_them_back() {
    let data = tempfile::tempdir().unwrap();
    let dir = data.path().join("data");
    let flags = ["--temp-bytes-max", "4MiB"];
    let server = Server::with_flags(&dir, 2, &flags);
    client_runtime().block_on(async {
        let client = server.connect().await;
        filled(&client).await;
        for _ in 0..3 {
            let refused = client.query("select k, v from big order by k", &[]).await;
            let error = refused.unwrap_err();
            assert_eq!(code(&error), "53400");
            let message = error.as_db_error().unwrap().message();
            assert_eq!(
                message,
                "temporary file size exceeds temp_file_limit (4096kB)"
            );
            closed(&server);
        }
        let few = "select k, v from big where id <= 15000 order by k";
        assert_eq!(client.query(few, &[]).await.unwrap().len(), 15_000);
    });
    assert_eq!(left(&dir), Vec::<String>::new());
    server.stop();
}

#[test]
fn a_cancelled_or_abandoned_query_closes_its_temporary_files() {
    let data = tempfile::tempdir().unwrap();
    let dir = data.path().join("data");
    let server = Server::start(&dir, 2);
    client_runtime().block_on(async {
        let client = server.connect().await;
        filled(&client).await;
        let slow = "select a.k, a.v from big a, generate_series(1, 1000) g order by a.k";
        let cancel = client.cancel_token();
        let cancelling = async {
            while number(&server, "rustydb_temp_files") == 0.0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            cancel.cancel_query(tokio_postgres::NoTls).await.unwrap();
        };
        let (outcome, ()) = tokio::join!(client.query(slow, &[]), cancelling);
        assert_eq!(code(&outcome.unwrap_err()), "57014");
        closed(&server);
        // A cursor at its first rows holds its file; what ends the transaction closes it.
        let mut client = client;
        let transaction = client.transaction().await.unwrap();
        let portal = transaction
            .bind("select k, v from big order by k", &[])
            .await
            .unwrap();
        let rows = transaction.query_portal(&portal, 10).await.unwrap();
        assert_eq!(rows.len(), 10);
        assert!(number(&server, "rustydb_temp_bytes") > 0.0);
        transaction.rollback().await.unwrap();
        drop(portal);
        closed(&server);
    });
    assert_eq!(left(&dir), Vec::<String>::new());
    server.stop();
}

#[test]
fn kill_9_while_spilling_leaves_nothing_and_a_start_clears_what_it_finds() {
    let data = tempfile::tempdir().unwrap();
    let dir = data.path().join("data");
    let server = Server::start(&dir, 2);
    client_runtime().block_on(async {
        let client = server.connect().await;
        filled(&client).await;
        let slow = "select a.k, a.v from big a, generate_series(1, 1000) g order by a.k";
        let killing = async {
            while number(&server, "rustydb_temp_bytes") < (8 << 20) as f64 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            server.signal("KILL");
        };
        let (outcome, ()) = tokio::join!(client.query(slow, &[]), killing);
        assert!(outcome.is_err());
    });
    server.kill();
    assert_eq!(left(&dir), Vec::<String>::new());
    std::fs::write(dir.join("tmp/stray"), b"x").unwrap();
    let server = Server::start(&dir, 1);
    assert_eq!(left(&dir), Vec::<String>::new());
    assert_eq!(server.query("select count(*) from big").0, 200);
    server.stop();
}

#[test]
fn work_mem_is_a_setting_of_the_session_up_to_the_servers_ceiling() {
    let data = tempfile::tempdir().unwrap();
    let flags = ["--query-bytes-max", "16MiB"];
    let server = Server::with_flags(&data.path().join("data"), 1, &flags);
    client_runtime().block_on(async {
        let client = server.connect().await;
        let show = async || match &client.simple_query("show work_mem").await.unwrap()[1] {
            SimpleQueryMessage::Row(row) => row.get(0).unwrap().to_owned(),
            other => panic!("{other:?}"),
        };
        assert_eq!(show().await, "16MB");
        client.batch_execute("set work_mem = '4MB'").await.unwrap();
        assert_eq!(show().await, "4MB");
        client.batch_execute("set work_mem to 1024").await.unwrap();
        assert_eq!(show().await, "1MB");
        let refused = client.batch_execute("set work_mem = '17MB'").await;
        assert_eq!(code(&refused.unwrap_err()), "22023");
        client.batch_execute("reset work_mem").await.unwrap();
        assert_eq!(show().await, "16MB");
    });
    server.stop();
}
