//! Indexes over all partitions: unique ones hold whoever writes where, they stay equal to their tables, and a build shows its numbers.

use crate::support::{Server, code, on_server};
use tokio_postgres::Client;

const PLACES: [(usize, &str); 3] = [(1, "1"), (2, "2"), (4, "4")];

async fn number(client: &Client, sql: &str) -> i64 {
    client.query_one(sql, &[]).await.unwrap().get(0)
}

async fn clients(server: &Server, n: usize) -> Vec<Client> {
    let mut all = Vec::new();
    for _ in 0..n {
        all.push(server.connect().await);
    }
    all
}

#[test]
fn of_many_who_insert_the_same_expression_one_does() {
    for (cores, partitions) in PLACES {
        let flags = ["--partitions", partitions];
        on_server(cores, &flags, async |server, client| {
            let table = "create table t (id int primary key, mail text, gone bool default false);
                create unique index t_mail on t (lower(mail) desc) where not gone";
            client.batch_execute(table).await.unwrap();
            let all = clients(server, 8).await;
            for round in 0..10 {
                let tries = all.iter().enumerate().map(|(n, c)| async move {
                    let (id, mail) = (round * 100 + n, format!("{}@{round}", ["A", "a"][n % 2]));
                    let sql = format!("insert into t values ({id}, '{mail}')");
                    c.batch_execute(&sql).await
                });
                let done = futures_util::future::join_all(tries).await;
                let refused = done.iter().filter_map(|d| d.as_ref().err());
                assert!(refused.map(code).all(|c| c == "23505"));
                assert_eq!(
                    done.iter().filter(|d| d.is_ok()).count(),
                    1,
                    "{cores} cores"
                );
            }
            let kept = "select count(*) from t where lower(mail) >= 'a@' and not gone";
            assert_eq!(number(&client, kept).await, 10);
            // What leaves the predicate makes room; nobody comes back into a taken place.
            client
                .batch_execute("update t set gone = true")
                .await
                .unwrap();
            let upsert = "insert into t values (5000, 'A@3') on conflict (lower(mail)) where not gone do nothing";
            assert_eq!(client.execute(upsert, &[]).await.unwrap(), 1);
            assert_eq!(client.execute(upsert, &[]).await.unwrap(), 0);
            let back = client.batch_execute("update t set gone = false where mail like '%@3'");
            assert_eq!(code(&back.await.unwrap_err()), "23505");
        });
    }
}

#[test]
fn an_index_has_what_its_table_has_after_concurrent_changes() {
    for (cores, partitions) in PLACES {
        let flags = ["--partitions", partitions];
        on_server(cores, &flags, async |server, client| {
            let table = "create table t (id int primary key, n int, s text);
                create index t_part on t (n desc nulls last) where n % 2 = 0;
                create index t_expr on t ((n % 10), upper(s) desc);
                create unique index t_whole on t ((id * 2) desc) include (s);
                insert into t select g, g, 's' || g from generate_series(1, 400) g";
            client.batch_execute(table).await.unwrap();
            let all = clients(server, 4).await;
            let work = all.iter().enumerate().map(|(w, c)| async move {
                for round in 0..60 {
                    let id = (round * 37 + w * 11) % 400 + 1;
                    let sql = match round % 4 {
                        0 => format!("update t set n = n + 1, s = s || '!' where id = {id}"),
                        1 => format!("delete from t where id = {id}"),
                        2 => format!("insert into t values ({id}, {round}, 'new') on conflict (id) do update set n = null"),
                        _ => format!("begin; update t set n = 7 where id = {id}; rollback"),
                    };
                    // Deadlocks and conflicts are not what this is about.
                    let _ = c.batch_execute(&sql).await;
                }
            });
            futures_util::future::join_all(work).await;
            for again in [false, true] {
                if again {
                    client.batch_execute("reindex table t").await.unwrap();
                }
                for (through, around) in [
                    ("n % 2 = 0 and n > 20", "n % 2 + 0 = 0 and n + 0 > 20"),
                    ("n % 10 = 3", "(n + 0) % 10 = 3"),
                    (
                        "n % 10 = 7 and upper(s) < 'S3'",
                        "(n + 0) % 10 = 7 and s || '' < 's3'",
                    ),
                    ("id * 2 >= 100 and id * 2 < 300", "id >= 50 and id < 150"),
                ] {
                    let count = |c: &str| format!("select count(*) from t where {c}");
                    let expected = number(&client, &count(around)).await;
                    assert_eq!(
                        number(&client, &count(through)).await,
                        expected,
                        "{through}"
                    );
                }
            }
        });
    }
}

#[test]
fn a_build_shows_how_far_it_is() {
    on_server(2, &[], async |server, client| {
        let table = "create table t (id int primary key, n int);
            insert into t select g, g % 1000 from generate_series(1, 60000) g";
        client.batch_execute(table).await.unwrap();
        let pid: i32 = client
            .query_one("select pg_backend_pid()", &[])
            .await
            .unwrap()
            .get(0);
        let watcher = server.connect().await;
        let sql = "select pid, command, tuples_done, partitions_total, partitions_done, relid = 't'::regclass
            from pg_stat_progress_create_index";
        let sql = watcher.prepare(sql).await.unwrap();
        let mut seen = Vec::new();
        for build in ["create index t_n on t (n desc)", "reindex index t_n"] {
            let mut build = std::pin::pin!(client.batch_execute(build));
            loop {
                let rows = tokio::select! {
                    done = &mut build => break done.unwrap(),
                    rows = watcher.query(&sql, &[]) => rows.unwrap(),
                };
                seen.extend(rows);
            }
        }
        assert!(!seen.is_empty(), "nobody saw it");
        let mut last = 0;
        for row in &seen {
            assert_eq!(row.get::<_, i32>(0), pid);
            assert_eq!((row.get::<_, i64>(3), row.get::<_, bool>(5)), (2, true));
            let (rows, partitions): (i64, i64) = (row.get(2), row.get(4));
            assert!(rows <= 60_000 && partitions <= 2, "{rows} {partitions}");
            // The second one begins anew.
            if row.get::<_, &str>(1) == "CREATE INDEX" {
                assert!(rows >= last);
                last = rows;
            }
        }
        assert!(watcher.query(&sql, &[]).await.unwrap().is_empty());
    });
}
