//! tokio-postgres: binary formats, prepared statements, pipelining, portals, COPY, cancel.

use bytes::Bytes;
use futures_util::future::try_join_all;
use futures_util::{SinkExt, StreamExt, pin_mut};
use std::time::{Duration, SystemTime};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{FromSql, ToSql, Type};
use tokio_postgres::{Client, NoTls};

pub async fn check(port: u16) {
    let config = format!("host=127.0.0.1 port={port} user=rustydb dbname=rustydb");
    let (mut client, connection) = tokio_postgres::connect(&config, NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    types(&client).await;
    statements(&client).await;
    pipeline(&client).await;
    portals(&mut client).await;
    transactions(&mut client).await;
    copy(&client).await;
    cancel(&client).await;
    drop(client);
    connection.await.unwrap().unwrap();
    let wrong = format!("host=127.0.0.1 port={port} user=rustydb dbname=no_such");
    let error = tokio_postgres::connect(&wrong, NoTls).await.err().unwrap();
    assert_eq!(error.code(), Some(&SqlState::INVALID_CATALOG_NAME));
}

async fn echo<T>(client: &Client, sql_type: &str, value: T)
where
    T: ToSql + Sync + PartialEq + std::fmt::Debug + for<'a> FromSql<'a>,
{
    let sql = format!("select $1::{sql_type}, null::{sql_type}");
    let row = client.query_one(&sql, &[&value]).await.unwrap();
    assert_eq!(row.get::<_, T>(0), value, "{sql_type}");
    assert_eq!(row.get::<_, Option<T>>(1), None, "{sql_type}");
}

async fn types(client: &Client) {
    echo(client, "boolean", true).await;
    for v in [i16::MIN, -1, 0, i16::MAX] {
        echo(client, "smallint", v).await;
    }
    for v in [i32::MIN, 7, i32::MAX] {
        echo(client, "integer", v).await;
    }
    for v in [i64::MIN, 7, i64::MAX] {
        echo(client, "bigint", v).await;
    }
    for v in [f32::MIN_POSITIVE, -1.5, f32::INFINITY] {
        echo(client, "real", v).await;
    }
    for v in [f64::MAX, 0.1, f64::NEG_INFINITY] {
        echo(client, "double precision", v).await;
    }
    for v in ["", "é\u{1f600}", "a\tb\\"] {
        echo(client, "text", v.to_owned()).await;
        echo(client, "varchar(20)", v.to_owned()).await;
    }
    echo(client, "char(3)", "a  ".to_owned()).await;
    echo(client, "bytea", vec![0u8, 255, 128]).await;
    echo(client, "oid", 4_000_000_000u32).await;
    let time = SystemTime::UNIX_EPOCH + Duration::from_micros(1_709_208_000_000_001);
    echo(client, "timestamptz", time).await;
    echo(client, "timestamp", time).await;
    echo(client, "integer[]", vec![Some(1), None, Some(-3)]).await;
    echo(client, "text[]", vec!["a".to_owned(), String::new()]).await;
    echo(client, "double precision[]", Vec::<f64>::new()).await;
}

async fn statements(client: &Client) {
    let statement = client
        .prepare_typed(
            "select $1 + 1 as next, $2 as word",
            &[Type::INT8, Type::TEXT],
        )
        .await
        .unwrap();
    assert_eq!(statement.params(), [Type::INT8, Type::TEXT]);
    let columns: Vec<_> = statement.columns().iter().map(|c| c.name()).collect();
    assert_eq!(columns, ["next", "word"]);
    for n in 0..10i64 {
        let row = client.query_one(&statement, &[&n, &"w"]).await.unwrap();
        assert_eq!((row.get::<_, i64>(0), row.get::<_, &str>(1)), (n + 1, "w"));
    }
    let error = client.prepare("selec 1").await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::SYNTAX_ERROR));
    let error = client
        .query("select 1 / $1::int", &[&0i32])
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::DIVISION_BY_ZERO));
    let said = client.simple_query("select 1; select 2").await.unwrap();
    assert!(said.len() >= 4);
}

async fn pipeline(client: &Client) {
    let statement = client.prepare("select $1::int * 2").await.unwrap();
    let numbers: Vec<i32> = (0..500).collect();
    let rows = try_join_all(numbers.iter().map(|n| {
        let statement = &statement;
        async move { client.query_one(statement, &[n]).await }
    }))
    .await
    .unwrap();
    for (n, row) in rows.iter().enumerate() {
        assert_eq!(row.get::<_, i32>(0), n as i32 * 2);
    }
}

async fn portals(client: &mut Client) {
    let transaction = client.transaction().await.unwrap();
    let portal = transaction
        .bind("select g from generate_series(1, 100) g", &[])
        .await
        .unwrap();
    let mut seen = Vec::new();
    loop {
        let rows = transaction.query_portal(&portal, 30).await.unwrap();
        if rows.is_empty() {
            break;
        }
        assert!(rows.len() <= 30);
        seen.extend(rows.iter().map(|r| r.get::<_, i32>(0)));
    }
    assert_eq!(seen, (1..=100).collect::<Vec<i32>>());
    transaction.commit().await.unwrap();
}

async fn transactions(client: &mut Client) {
    client
        .batch_execute("create table tokio_tx (id int primary key, v text)")
        .await
        .unwrap();
    let transaction = client.transaction().await.unwrap();
    let insert = "insert into tokio_tx values ($1, $2)";
    transaction
        .execute(insert, &[&1i32, &"lost"])
        .await
        .unwrap();
    let error = transaction.execute(insert, &[&1i32, &"twice"]).await;
    let error = error.unwrap_err();
    let db = error.as_db_error().unwrap();
    assert_eq!(db.code(), &SqlState::UNIQUE_VIOLATION);
    assert_eq!(db.constraint(), Some("tokio_tx_pkey"));
    assert_eq!(db.table(), Some("tokio_tx"));
    let error = transaction.query("select 1", &[]).await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::IN_FAILED_SQL_TRANSACTION));
    transaction.rollback().await.unwrap();
    let transaction = client.transaction().await.unwrap();
    let count = transaction
        .execute(insert, &[&1i32, &"kept"])
        .await
        .unwrap();
    assert_eq!(count, 1);
    transaction.commit().await.unwrap();
    let rows = client.query("select v from tokio_tx", &[]).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].get::<_, &str>(0), "kept");
    client.batch_execute("drop table tokio_tx").await.unwrap();
}

async fn copy(client: &Client) {
    client
        .batch_execute("create table tokio_copy (id int primary key, v text)")
        .await
        .unwrap();
    let sink = client
        .copy_in::<_, Bytes>("copy tokio_copy from stdin")
        .await
        .unwrap();
    pin_mut!(sink);
    for n in 0..1000 {
        let line = format!("{n}\tvalue {n}\n");
        // Lines are cut so that no message ends where a line does.
        let (head, tail) = line.split_at(3);
        sink.send(Bytes::copy_from_slice(head.as_bytes()))
            .await
            .unwrap();
        sink.send(Bytes::copy_from_slice(tail.as_bytes()))
            .await
            .unwrap();
    }
    assert_eq!(sink.finish().await.unwrap(), 1000);
    let out = client
        .copy_out("copy (select * from tokio_copy order by id) to stdout")
        .await
        .unwrap();
    pin_mut!(out);
    let mut bytes = Vec::new();
    while let Some(piece) = out.next().await {
        bytes.extend_from_slice(&piece.unwrap());
    }
    let expected: String = (0..1000).map(|n| format!("{n}\tvalue {n}\n")).collect();
    assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    client.batch_execute("drop table tokio_copy").await.unwrap();
}

async fn cancel(client: &Client) {
    let token = client.cancel_token();
    let long = client.query("select count(*) from generate_series(1, 2000000000)", &[]);
    let (outcome, cancelled) = tokio::join!(long, async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        token.cancel_query(NoTls).await
    });
    cancelled.unwrap();
    assert_eq!(outcome.unwrap_err().code(), Some(&SqlState::QUERY_CANCELED));
    assert_eq!(
        client
            .query_one("select 1", &[])
            .await
            .unwrap()
            .get::<_, i32>(0),
        1
    );
}
