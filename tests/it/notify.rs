//! LISTEN and NOTIFY over shards: when, in what order, how often, and to clients that are not asking.

use crate::support::{Server, code, on_server};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_postgres::{AsyncMessage, Client, NoTls};

type Heard = Arc<Mutex<Vec<(String, String)>>>;

/// A client, and what it is told between its requests.
async fn listener(server: &Server) -> (Client, Heard) {
    let port = server.raw().peer_addr().unwrap().port();
    let config = format!("host=127.0.0.1 port={port} user=rustydb dbname=rustydb");
    let (client, mut connection) = tokio_postgres::connect(&config, NoTls).await.unwrap();
    let heard = Heard::default();
    let told = heard.clone();
    tokio::spawn(async move {
        while let Some(Ok(message)) = std::future::poll_fn(|cx| connection.poll_message(cx)).await {
            if let AsyncMessage::Notification(n) = message {
                let heard = (n.channel().to_owned(), n.payload().to_owned());
                told.lock().unwrap().push(heard);
            }
        }
    });
    (client, heard)
}

/// Waits until so many have been heard; then whether they are these, and no more come.
async fn hears(heard: &Heard, wanted: &[(&str, &str)]) {
    for _ in 0..500 {
        if heard.lock().unwrap().len() >= wanted.len() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_millis(30)).await;
    let got = std::mem::take(&mut *heard.lock().unwrap());
    let got: Vec<(&str, &str)> = got.iter().map(|(c, t)| (c.as_str(), t.as_str())).collect();
    assert_eq!(got, wanted);
}

#[test]
fn an_idle_listener_on_any_shard_hears_each_once_when_it_is_committed() {
    on_server(2, &[], async |server, client| {
        let mut all = Vec::new();
        for _ in 0..6 {
            let (other, heard) = listener(server).await;
            other.batch_execute("listen a; listen \"B\"").await.unwrap();
            all.push((other, heard));
        }
        client
            .batch_execute(
                "begin; notify a, 'one'; notify a, 'one'; notify \"B\"; notify c, 'nobody'",
            )
            .await
            .unwrap();
        for (_, heard) in &all {
            hears(heard, &[]).await;
        }
        client
            .batch_execute("savepoint s; notify a, 'taken back'; rollback to s; select pg_notify('a', 'two'); commit")
            .await
            .unwrap();
        for (_, heard) in &all {
            hears(heard, &[("a", "one"), ("B", ""), ("a", "two")]).await;
        }
        client
            .batch_execute("begin; notify a, 'never'; rollback")
            .await
            .unwrap();
        let failed = client
            .batch_execute("begin; notify a, 'never'; select 1 / 0")
            .await;
        assert_eq!(code(&failed.unwrap_err()), "22012");
        client
            .batch_execute("rollback; select pg_notify('a', g::text) from generate_series(1, 3) g")
            .await
            .unwrap();
        all[0].0.batch_execute("unlisten a").await.unwrap();
        all[1].0.batch_execute("unlisten *").await.unwrap();
        for (_, heard) in &all {
            hears(heard, &[("a", "1"), ("a", "2"), ("a", "3")]).await;
        }
        client
            .batch_execute("notify a, 'later'; notify \"B\", 'later'")
            .await
            .unwrap();
        hears(&all[0].1, &[("B", "later")]).await;
        hears(&all[1].1, &[]).await;
        hears(&all[2].1, &[("a", "later"), ("B", "later")]).await;
    });
}

#[test]
fn a_client_in_a_transaction_is_told_when_that_ends_and_listens_from_its_commit_on() {
    on_server(2, &[], async |server, client| {
        let (other, heard) = listener(server).await;
        other.batch_execute("listen a").await.unwrap();
        other.batch_execute("begin; select 1").await.unwrap();
        client.batch_execute("notify a, 'meanwhile'").await.unwrap();
        hears(&heard, &[]).await;
        other
            .batch_execute("listen b; notify b, 'own'; rollback; notify b, 'unheard'")
            .await
            .unwrap();
        hears(&heard, &[("a", "meanwhile")]).await;
        other
            .batch_execute("begin; listen b; notify b, 'own'; commit")
            .await
            .unwrap();
        hears(&heard, &[("b", "own")]).await;
    });
}

#[test]
fn all_listeners_hear_in_the_order_of_commits() {
    on_server(2, &["--partitions", "4"], async |server, client| {
        client
            .batch_execute(
                "create table n (id int primary key, v int); insert into n values (1, 0)",
            )
            .await
            .unwrap();
        let mut all = Vec::new();
        for _ in 0..4 {
            let (other, heard) = listener(server).await;
            other.batch_execute("listen a").await.unwrap();
            all.push((other, heard));
        }
        let mut writers = Vec::new();
        for _ in 0..4 {
            let writer = server.connect().await;
            writers.push(tokio::spawn(async move {
                for _ in 0..20 {
                    let sql = "with u as (update n set v = v + 1 where id = 1 returning v) select pg_notify('a', v::text) from u";
                    writer.batch_execute(sql).await.unwrap();
                }
            }));
        }
        for writer in writers {
            writer.await.unwrap();
        }
        let wanted: Vec<String> = (1..=80).map(|n| n.to_string()).collect();
        let wanted: Vec<(&str, &str)> = wanted.iter().map(|n| ("a", n.as_str())).collect();
        for (_, heard) in &all {
            hears(heard, &wanted).await;
        }
    });
}

#[test]
fn names_and_texts_that_postgresql_refuses_are_refused() {
    on_server(1, &[], async |_, client| {
        for (sql, refused) in [
            ("select pg_notify('', 'x')".to_owned(), "22023"),
            ("select pg_notify(null, 'x')".to_owned(), "22023"),
            (
                format!("select pg_notify('{}', 'x')", "c".repeat(64)),
                "22023",
            ),
            (format!("notify a, '{}'", "x".repeat(8000)), "22023"),
            ("notify 'a'".to_owned(), "42601"),
        ] {
            let e = client.batch_execute(&sql).await.unwrap_err();
            assert_eq!(code(&e), refused, "{sql}");
        }
        client
            .batch_execute(&format!(
                "notify a, '{}'; select pg_notify('a', null)",
                "x".repeat(7999)
            ))
            .await
            .unwrap();
    });
}
