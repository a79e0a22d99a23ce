//! Ceilings from outside: what fits works, one more gets its error, and room comes back.

use crate::support::{Server, client_runtime, code, on_server, value};
use std::io::{Read, Write};
use std::time::Duration;
use types::limits::{OPERATOR_CHAIN_MAX, STATEMENT_BYTES_MAX, STATEMENT_DEPTH_MAX};

#[test]
fn connections_up_to_the_ceiling_and_room_after_one_has_gone() {
    let data = tempfile::tempdir().unwrap();
    let flags = ["--connections-max", "8"];
    let server = Server::with_flags(&data.path().join("data"), 1, &flags);
    client_runtime().block_on(async {
        let mut clients = Vec::new();
        for _ in 0..8 {
            clients.push(server.connect().await);
        }
        let config = format!(
            "host=127.0.0.1 port={} user=rustydb dbname=rustydb",
            server.port
        );
        let connect = async || tokio_postgres::connect(&config, tokio_postgres::NoTls).await;
        assert_eq!(code(&connect().await.err().unwrap()), "53300");
        let (status, body) = server.http("POST", "/api/v1/query", "{\"sql\":\"select 1\"}");
        assert_eq!(status, 503, "{body}");
        clients.pop();
        let mut tries = 0;
        while let Err(error) = connect().await {
            assert_eq!(code(&error), "53300");
            tries += 1;
            assert!(tries < 500, "the slot did not come back");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        for client in &clients {
            client.simple_query("select 1").await.unwrap();
        }
    });
    server.stop();
}

#[test]
fn prepared_statements_up_to_the_ceiling() {
    on_server(1, &[], async |_, client| {
        let prepare: Vec<String> = (0..1_000)
            .map(|n| format!("prepare s{n} as select {n}"))
            .collect();
        client.batch_execute(&prepare.join(";")).await.unwrap();
        let refused = client.batch_execute("prepare s1000 as select 1").await;
        assert_eq!(code(&refused.unwrap_err()), "54000");
        client.batch_execute("deallocate s7").await.unwrap();
        client
            .batch_execute("prepare s1000 as select 1; execute s1000")
            .await
            .unwrap();
    });
}

#[test]
fn requests_over_the_ceiling_are_refused_over_both_protocols() {
    let data = tempfile::tempdir().unwrap();
    let flags = ["--pending-max", "2", "--statement-timeout", "0"];
    let server = Server::with_flags(&data.path().join("data"), 1, &flags);
    client_runtime().block_on(async {
        let (a, b, c) = (
            server.connect().await,
            server.connect().await,
            server.connect().await,
        );
        let long = "select count(*) from generate_series(1, 2000000000) g";
        let cancels = [a.cancel_token(), b.cancel_token()];
        let refused = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let over_pg = c.simple_query("select 1").await;
            let over_http = server.query("select 1");
            for cancel in cancels {
                cancel.cancel_query(tokio_postgres::NoTls).await.unwrap();
            }
            (over_pg, over_http)
        };
        let (a, b, (over_pg, (status, body))) =
            tokio::join!(a.simple_query(long), b.simple_query(long), refused);
        assert_eq!(code(&over_pg.unwrap_err()), "53400");
        assert_eq!((status, &body["error"]["code"]), (429, &"53400".into()));
        assert_eq!(code(&a.unwrap_err()), "57014");
        assert_eq!(code(&b.unwrap_err()), "57014");
        c.simple_query("select 1").await.unwrap();
    });
    server.stop();
}

#[test]
fn bodies_and_messages_over_the_ceiling() {
    let data = tempfile::tempdir().unwrap();
    let flags = [
        "--http-body-bytes-max",
        "64KiB",
        "--frame-bytes-max",
        "64KiB",
    ];
    let server = Server::with_flags(&data.path().join("data"), 1, &flags);
    let sql = |bytes: usize| {
        let frame = "select ''".len();
        format!("select '{}'", "x".repeat(bytes - frame))
    };
    // Of a Query message the text's end is a byte too.
    client_runtime().block_on(async {
        let client = server.connect().await;
        client.simple_query(&sql((64 << 10) - 1)).await.unwrap();
        let refused = client.simple_query(&sql(64 << 10)).await.unwrap_err();
        assert_eq!(code(&refused), "54000");
    });
    let body = |bytes: usize| {
        let frame = "{\"sql\":\"\"}".len();
        format!("{{\"sql\":\"{}\"}}", sql(bytes - frame))
    };
    let at = server.http("POST", "/api/v1/query", &body(64 << 10));
    assert_eq!(at.0, 200, "{}", at.1);
    let over = server.http("POST", "/api/v1/query", &body((64 << 10) + 1));
    assert_eq!(over.0, 413, "{}", over.1);
    server.stop();
}

/// Of one statement.
const RELATIONS_MAX: usize = 256;

/// What a generator writes nests deep and chains long: all of it runs at the maximum, and is refused at one more.
#[test]
fn statements_nest_and_chain_as_deep_as_the_ceilings_say() {
    let (deep, long) = (STATEMENT_DEPTH_MAX, OPERATOR_CHAIN_MAX);
    let nested = |open: &str, close: &str, n: usize| {
        format!("select {}1{}", open.repeat(n), close.repeat(n))
    };
    let chain = |first: &str, more: &str, n: usize| format!("{first}{}", more.repeat(n));
    type Form<'a> = (&'a str, Box<dyn Fn(usize) -> String + 'a>, usize);
    let forms: Vec<Form> = vec![
        ("parentheses", Box::new(|n| nested("(", ")", n)), deep),
        ("subqueries", Box::new(|n| nested("(select ", ")", n)), deep),
        (
            "derived tables",
            Box::new(|n| {
                let (open, close) = ("select a from (".repeat(n), ") q".repeat(n));
                format!("{open}select 1 as a{close}")
            }),
            RELATIONS_MAX,
        ),
        (
            "coalesce",
            Box::new(|n| nested("coalesce(null, ", ")", n)),
            deep,
        ),
        ("abs", Box::new(|n| nested("abs(1 + ", ")", n)), deep),
        (
            "case",
            Box::new(|n| nested("case when true then ", " end", n)),
            deep,
        ),
        (
            "or",
            Box::new(|n| chain("select 1 from t where a = 0", " or a = 1", n)),
            long - 1,
        ),
        (
            "and",
            Box::new(|n| chain("select 1 from t where a > 0", " and a > 1", n)),
            long - 1,
        ),
        (
            "text",
            Box::new(|n| chain("select 'a'", " || 'a'", n)),
            long,
        ),
        (
            "sums",
            Box::new(|n| chain("select a from t where a < 1", " + a", n)),
            long - 1,
        ),
    ];
    on_server(2, &["--statement-timeout", "0"], async |_, client| {
        client
            .batch_execute("create table t (a int); insert into t values (1)")
            .await
            .unwrap();
        for (what, form, max) in &forms {
            eprintln!("{what}");
            client.batch_execute(&form(*max)).await.unwrap();
            let prepared = client.prepare(&form(*max)).await.unwrap();
            client.query(&prepared, &[]).await.unwrap();
            let refused = client.batch_execute(&form(max + 2)).await.unwrap_err();
            assert_eq!(code(&refused), "54001", "{what}");
        }
        // Chains in chains: this many brackets with so long chains would be deeper than any stack.
        let levels =
            |n: usize| (0..n).fold("a".to_owned(), |e, _| format!("({e}{})", "+a".repeat(900)));
        client
            .batch_execute(&format!("select {} from t where a < 1", levels(5)))
            .await
            .unwrap();
        let refused = client
            .batch_execute(&format!("select {} from t", levels(60)))
            .await;
        assert_eq!(code(&refused.unwrap_err()), "54001");
        let union = chain("select 1", " union all select 1", 1500);
        assert_eq!(client.query(&union, &[]).await.unwrap().len(), 1501);
    });
}

/// Files, long documents and multi-row INSERTs.
#[test]
fn long_messages_are_taken() {
    on_server(2, &[], async |_, client| {
        client
            .batch_execute("create table b (id int primary key, a bytea)")
            .await
            .unwrap();
        let file = vec![7u8; 10_000_000];
        client
            .execute("insert into b values (1, $1)", &[&file])
            .await
            .unwrap();
        assert_eq!(
            value::<i32>(&client, "select length(a) from b").await,
            10_000_000
        );
        let back = client
            .query_one("select a from b where id = $1", &[&1])
            .await
            .unwrap();
        assert_eq!(back.get::<_, Vec<u8>>(0), file);
        let text = "x".repeat(50_000_000);
        let length = client
            .query_one("select length($1)", &[&text])
            .await
            .unwrap();
        assert_eq!(length.get::<_, i32>(0), 50_000_000);
        let text = "x".repeat(STATEMENT_BYTES_MAX - 17);
        let sql = format!("select length('{text}')");
        assert_eq!(value::<i32>(&client, &sql).await as usize, text.len());
        let refused = client.batch_execute(&format!("{sql} ")).await.unwrap_err();
        assert_eq!(code(&refused), "54000");
        client
            .batch_execute("create table m (a int, b text)")
            .await
            .unwrap();
        let rows: Vec<String> = (0..200_000)
            .map(|n| format!("({n}, 'value {n}')"))
            .collect();
        let insert = format!("insert into m values {}", rows.join(", "));
        client.batch_execute(&insert).await.unwrap();
        assert_eq!(
            value::<i64>(&client, "select count(*) from m").await,
            200_000
        );
    });
}

#[test]
fn a_startup_that_does_not_end_is_ended() {
    let data = tempfile::tempdir().unwrap();
    let flags = ["--authentication-timeout", "1s"];
    let server = Server::with_flags(&data.path().join("data"), 1, &flags);
    // Nothing at all, half a length, half a packet.
    for bytes in [&b""[..], &[0, 0], &[0, 0, 0, 50, 0, 3, 0, 0, b'u']] {
        let mut stream = server.raw();
        stream.write_all(bytes).unwrap();
        let mut said = Vec::new();
        // Ends (with or without an error) rather than running into the test's own patience.
        let ended = stream.read_to_end(&mut said);
        assert!(
            ended.is_ok() || ended.is_err_and(|e| e.kind() == std::io::ErrorKind::ConnectionReset)
        );
    }
    assert_eq!(server.query("select 1").0, 200);
    server.stop();
}

#[test]
fn parameters_without_values_are_named() {
    on_server(1, &[], async |_, client| {
        let refused = client.simple_query("select $1::int").await.unwrap_err();
        assert_eq!(code(&refused), "42P02");
    });
}
