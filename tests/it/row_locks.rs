//! SELECT … FOR UPDATE and FOR SHARE: who waits, who is refused, who skips, and what is seen under the lock.

use crate::support::{Server, code, on_server, value};
use std::time::Duration;
use tokio_postgres::Client;

const TABLE: &str = "create table t (id int primary key, n int, s text);
    insert into t select g, 0, 'row ' || g from generate_series(1, 40) g";
const PLACES: [(usize, &str); 3] = [(1, "1"), (2, "2"), (4, "4")];

async fn begun(server: &Server, sql: &str) -> Client {
    let client = server.connect().await;
    client.batch_execute("begin").await.unwrap();
    client.batch_execute(sql).await.unwrap();
    client
}

async fn ids(client: &Client, sql: &str) -> Vec<i32> {
    let rows = client.query(sql, &[]).await.unwrap();
    rows.iter().map(|r| r.get(0)).collect()
}

async fn refusal(client: &Client, sql: &str) -> String {
    code(&client.batch_execute(sql).await.unwrap_err())
}

/// Whether the statement waits for `holder`; it then ends, and so does the statement.
async fn waits(client: &Client, sql: &str, holder: Client) -> bool {
    let mut statement = std::pin::pin!(client.batch_execute(sql));
    let early = tokio::time::timeout(Duration::from_millis(150), &mut statement).await;
    holder.batch_execute("commit").await.unwrap();
    match early {
        Ok(done) => {
            done.unwrap();
            false
        }
        Err(_) => {
            statement.await.unwrap();
            true
        }
    }
}

#[test]
fn a_locked_row_is_waited_for_refused_or_skipped() {
    for (cores, partitions) in PLACES {
        let flags = ["--partitions", partitions];
        on_server(cores, &flags, async |server, client| {
            client.batch_execute(TABLE).await.unwrap();
            let lock = "select * from t where id in (3, 7) for update";
            let holder = begun(server, lock).await;
            let all = "select id from t order by id";
            let rest: Vec<i32> = (1..=40).filter(|id| ![3, 7].contains(id)).collect();
            let skip = format!("{all} for update skip locked");
            assert_eq!(ids(&client, &skip).await, rest);
            assert_eq!(ids(&client, all).await.len(), 40);
            for word in ["update", "no key update", "share", "key share"] {
                let nowait = format!("{all} for {word} of t nowait");
                assert_eq!(refusal(&client, &nowait).await, "55P03", "{nowait}");
            }
            assert!(waits(&client, "update t set n = 1 where id = 7", holder).await);
            let holder = begun(server, lock).await;
            assert!(waits(&client, "select 1 from t where id = 3 for share", holder).await);
            let holder = begun(server, lock).await;
            assert!(!waits(&client, "update t set n = 1 where id = 8", holder).await);
            client.batch_execute("set lock_timeout = 50").await.unwrap();
            let _holder = begun(server, lock).await;
            assert_eq!(
                refusal(&client, "select 1 from t for update").await,
                "55P03"
            );
        });
    }
}

#[test]
fn a_row_of_a_join_is_looked_at_again_and_the_tables_that_are_not_named_stay_free() {
    for (cores, partitions) in PLACES {
        let flags = ["--partitions", partitions];
        on_server(cores, &flags, async |server, client| {
            let other = "create table u (id int primary key, t int, m int);
                insert into u select g, g, g * 10 from generate_series(1, 40) g";
            client.batch_execute(TABLE).await.unwrap();
            client.batch_execute(other).await.unwrap();
            let change = "update t set n = 5 where id = 2; update t set n = 50 where id = 3; delete from t where id = 4";
            let holder = begun(server, change).await;
            let sql = "select t.id, t.n + u.m from u join t on t.id = u.t and t.n < 10 where u.id < 6 order by u.id desc for update of t";
            let mut rows = std::pin::pin!(client.query(sql, &[]));
            let early = tokio::time::timeout(Duration::from_millis(150), &mut rows).await;
            assert!(early.is_err());
            holder.batch_execute("commit").await.unwrap();
            let rows = rows.await.unwrap();
            let got: Vec<(i32, i32)> = rows.iter().map(|r| (r.get(0), r.get(1))).collect();
            assert_eq!(got, [(5, 50), (2, 25), (1, 10)]);
            let join = "select 1 from u join t on t.id = u.t where u.id = 7";
            let _holder = begun(server, &format!("{join} for update of t")).await;
            let nowait = "select 1 from t where id = 7 for update nowait";
            assert_eq!(refusal(&client, nowait).await, "55P03");
            client
                .batch_execute("update u set m = 1 where id = 7")
                .await
                .unwrap();
            let skip = "select t.id from u join t on t.id = u.t where u.id between 6 and 8 order by 1 for share of u for update of t skip locked";
            assert_eq!(ids(&client, skip).await, [6, 8]);
        });
    }
}

#[test]
fn sharers_share_and_keep_writers_out() {
    on_server(2, &["--partitions", "2"], async |server, client| {
        client.batch_execute(TABLE).await.unwrap();
        let share = "select * from t where id < 5 for share";
        let a = begun(server, share).await;
        let b = begun(server, share).await;
        let nowait = "select 1 from t where id = 2 for update nowait";
        assert_eq!(refusal(&client, nowait).await, "55P03");
        assert_eq!(refusal(&a, nowait).await, "55P03");
        a.batch_execute("rollback").await.unwrap();
        let write = "update t set n = n + 1 where id = 2";
        b.batch_execute(write).await.unwrap();
        assert!(waits(&client, write, b).await);
        assert_eq!(
            value::<i32>(&client, "select n from t where id = 2").await,
            2
        );
    });
}

#[test]
fn what_is_answered_is_the_row_under_the_lock() {
    for (cores, partitions) in PLACES {
        let flags = ["--partitions", partitions];
        on_server(cores, &flags, async |server, client| {
            client.batch_execute(TABLE).await.unwrap();
            let change = "update t set n = n + 5, s = 'new' where id = 4;
                update t set n = 100 where id = 5; delete from t where id = 6";
            let holder = begun(server, change).await;
            let read = "select id, n, s, n * 2 from t where id between 3 and 7 and n < 50 order by id for update";
            let mut rows = std::pin::pin!(client.query(read, &[]));
            let early = tokio::time::timeout(Duration::from_millis(150), &mut rows).await;
            assert!(early.is_err());
            holder.batch_execute("commit").await.unwrap();
            let rows = rows.await.unwrap();
            let seen: Vec<(i32, i32, i32)> = rows
                .iter()
                .map(|r| (r.get(0), r.get(1), r.get(3)))
                .collect();
            assert_eq!(seen, [(3, 0, 0), (4, 5, 10), (7, 0, 0)]);
            assert_eq!(rows[1].get::<_, String>(2), "new");
            // A snapshot that is older than the row cannot have it.
            client
                .batch_execute("begin isolation level repeatable read; select 1 from t")
                .await
                .unwrap();
            let other = server.connect().await;
            other
                .batch_execute("update t set n = 1 where id = 3")
                .await
                .unwrap();
            assert_eq!(refusal(&client, read).await, "40001");
        });
    }
}

#[test]
fn workers_share_a_queue_and_lock_no_more_than_they_take() {
    for (cores, partitions) in PLACES {
        let flags = ["--partitions", partitions];
        on_server(cores, &flags, async |server, client| {
            client.batch_execute(TABLE).await.unwrap();
            let next = "select id from t where n = 0 order by id limit 1 for update skip locked";
            let mut holders = Vec::new();
            for wanted in 1..=5 {
                let worker = server.connect().await;
                worker.batch_execute("begin").await.unwrap();
                assert_eq!(ids(&worker, next).await, [wanted]);
                holders.push(worker);
            }
            drop(holders);
            let take =
                "update t set n = 1 where id = (select id from t where n = 0 order by id limit 1
                for update skip locked) returning id";
            let workers = (0..4).map(async |_| {
                let worker = server.connect().await;
                let mut taken = Vec::new();
                loop {
                    let rows = worker.query(take, &[]).await.unwrap();
                    match rows.first() {
                        Some(row) => taken.push(row.get::<_, i32>(0)),
                        None => return taken,
                    }
                }
            });
            let all = futures_util::future::join_all(workers).await;
            let mut all: Vec<i32> = all.into_iter().flatten().collect();
            all.sort_unstable();
            assert_eq!(all, (1..=40).collect::<Vec<_>>());
        });
    }
}

#[test]
fn transfers_that_read_for_update_lose_nothing() {
    for (cores, partitions) in PLACES {
        let flags = ["--partitions", partitions];
        on_server(cores, &flags, async |server, client| {
            client.batch_execute(TABLE).await.unwrap();
            let work = (0..4).map(async |w: i32| {
                let c = server.connect().await;
                for i in 0..20 {
                    let id = (w * 7 + i) % 3 + 1;
                    c.batch_execute("begin").await.unwrap();
                    let read = format!("select n from t where id = {id} for update");
                    let n = value::<i32>(&c, &read).await;
                    let write = format!("update t set n = {} where id = {id}; commit", n + 1);
                    c.batch_execute(&write).await.unwrap();
                }
            });
            futures_util::future::join_all(work).await;
            assert_eq!(value::<i64>(&client, "select sum(n) from t").await, 80);
        });
    }
}

#[test]
fn what_cannot_be_locked_is_refused_with_its_reason() {
    on_server(1, &[], async |_, client| {
        client.batch_execute(TABLE).await.unwrap();
        for (sql, wanted) in [
            ("select distinct n from t for update", "0A000"),
            ("select count(*) from t for update", "0A000"),
            ("select n from t group by n for share", "0A000"),
            ("select id from t union select 2 from t for update", "0A000"),
            (
                "select * from t a left join t b using (id) for update",
                "0A000",
            ),
            (
                "select * from t a, lateral (select a.n) b for update of a",
                "0A000",
            ),
            ("select * from (select * from t) x for update", "0A000"),
            ("select * from t for update of u", "42P01"),
            ("select * from t a for update of t", "42P01"),
            ("select * from t for update nowait skip locked", "42601"),
        ] {
            assert_eq!(refusal(&client, sql).await, wanted, "{sql}");
        }
        client.batch_execute("begin read only").await.unwrap();
        assert_eq!(
            refusal(&client, "select 1 from t for update").await,
            "25006"
        );
        client.batch_execute("rollback").await.unwrap();
        let key = "select substring('abcdef' from 2 for key) from (select 3 as key) k";
        assert_eq!(value::<String>(&client, key).await, "bcd");
        for sql in [
            "select * from t a where id in (select id from t where n = 0) order by s || id, n desc limit 3 offset 1 for update of a",
            "select (select max(n) from t) from t where id = 3 for no key update",
            "with w as (select id from t where id < 3 for update) select * from w join t on t.id = w.id",
        ] {
            let rows = client.query(sql, &[]).await.unwrap();
            assert!(!rows.is_empty(), "{sql}");
        }
        let plan = client
            .query(
                "explain select id from t order by n limit 1 for update",
                &[],
            )
            .await
            .unwrap();
        let lines: Vec<String> = plan.iter().map(|r| r.get(0)).collect();
        assert!(lines.iter().any(|l| l.contains("LockRows")), "{lines:?}");
    });
}

#[test]
fn what_a_row_lock_guards_is_seen_by_whoever_gets_it_next() {
    for (cores, partitions) in PLACES {
        let flags = ["--partitions", partitions];
        on_server(cores, &flags, async |server, client| {
            let tables = "create table p (id int primary key, open bool not null);
                create table c (id int primary key, p int not null);
                insert into p select g, true from generate_series(1, 60) g";
            client.batch_execute(tables).await.unwrap();
            let other = server.connect().await;
            // One adds to what is open; the other closes what has nothing.
            let adds = async {
                for id in 1..=60 {
                    let lock = format!("select open from p where id = {id} for share");
                    client.batch_execute("begin").await.unwrap();
                    if value::<bool>(&client, &lock).await {
                        let add = format!("insert into c values ({id}, {id})");
                        client.batch_execute(&add).await.unwrap();
                    }
                    client.batch_execute("commit").await.unwrap();
                }
            };
            let closes = async {
                for id in 1..=60 {
                    let lock = format!("begin; select open from p where id = {id} for update");
                    other.batch_execute(&lock).await.unwrap();
                    let has = format!("select count(*) from c where p = {id}");
                    if value::<i64>(&other, &has).await == 0 {
                        let close = format!("update p set open = false where id = {id}");
                        other.batch_execute(&close).await.unwrap();
                    }
                    other.batch_execute("commit").await.unwrap();
                }
            };
            tokio::join!(adds, closes);
            let wrong = "select count(*) from c join p on p.id = c.p where not p.open";
            assert_eq!(value::<i64>(&client, wrong).await, 0);
        });
    }
}
