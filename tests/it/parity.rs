//! Each scenario over each protocol: the same outcome, in that protocol's words.

use crate::support::{Server, client_runtime, code, on_server};
use std::time::{Duration, Instant};

/// SQLSTATE of a statement over both protocols; "00000" is success.
fn outcomes(server: &Server, sql: &str) -> [String; 2] {
    let over_pg = client_runtime().block_on(async {
        let client = server.connect().await;
        match client.simple_query(sql).await {
            Ok(_) => "00000".to_owned(),
            Err(e) => code(&e),
        }
    });
    let (status, json) = server.query(sql);
    let over_http = match status {
        200 => "00000".to_owned(),
        _ => json["error"]["code"].as_str().unwrap_or("lost").to_owned(),
    };
    [over_pg, over_http]
}

#[test]
fn every_scenario_ends_the_same_over_both_protocols() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::with_flags(
        &data.path().join("data"),
        2,
        &[
            "--statement-timeout",
            "2s",
            "--query-bytes-max",
            "1MiB",
            "--temp-bytes-max",
            "2MiB",
        ],
    );
    let (status, _) = server.query("create table t (id int primary key, v text)");
    assert_eq!(status, 200);
    let endless = "select count(*) from generate_series(1, 1000000000) g";
    let nested = format!("select {}1{}", "(".repeat(10_000), ")".repeat(10_000));
    let scenarios = [
        ("select 1", "00000"),
        (
            "insert into t values (1, 'a') on conflict do nothing",
            "00000",
        ),
        ("selec 1", "42601"),
        ("select * from nowhere", "42P01"),
        ("select nothing from t", "42703"),
        ("select 1/0", "22012"),
        ("select 99999999999::int", "22003"),
        ("insert into t values (2, 'b'), (2, 'c')", "23505"),
        ("select id from t group by v", "42803"),
        ("create table t (a int)", "42P07"),
        ("grant select on t to x", "0A000"),
        (
            "select array_agg(g) from generate_series(1, 1000000) g",
            "53200",
        ),
        (
            "select g from generate_series(1, 1000000) g order by g desc",
            "53400",
        ),
        (endless, "57014"),
        (&nested, "54001"),
    ];
    for (sql, expected) in scenarios {
        let shown: String = sql.chars().take(60).collect();
        assert_eq!(outcomes(&server, sql), [expected, expected], "{shown}");
    }
    server.stop();
}

#[test]
fn a_cancel_request_ends_the_statement_and_the_session_goes_on() {
    on_server(2, &[], async |_, client| {
        let token = client.cancel_token();
        let sql = "select count(*) from generate_series(1, 1000000000) g";
        let began = Instant::now();
        let cancel = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            token.cancel_query(tokio_postgres::NoTls).await.unwrap();
        };
        let (outcome, ()) = tokio::join!(client.simple_query(sql), cancel);
        assert_eq!(outcome.unwrap_err().code().unwrap().code(), "57014");
        assert!(began.elapsed() < Duration::from_secs(10));
        assert_eq!(
            client
                .query_one("select 7", &[])
                .await
                .unwrap()
                .get::<_, i32>(0),
            7
        );
    });
}

#[test]
fn an_unknown_database_is_refused_with_3d000() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(&data.path().join("data"), 1);
    client_runtime().block_on(async {
        let config = format!("host=127.0.0.1 port={} user=a dbname=nope", server.port);
        let refused = tokio_postgres::connect(&config, tokio_postgres::NoTls).await;
        assert_eq!(refused.err().unwrap().code().unwrap().code(), "3D000");
    });
    server.stop();
}
