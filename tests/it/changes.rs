//! UPDATE … FROM, DELETE … USING, MERGE, changes in WITH and cursors where several sessions meet, or memory is short.

use crate::support::{Server, code, on_server, value};
use futures_util::SinkExt;
use std::time::Duration;
use tokio_postgres::{Client, SimpleQueryMessage};

const TABLES: &str = "create table t (id int primary key, n int not null);
    create table s (id int, d int);
    insert into t select g, 0 from generate_series(1, 8) g;
    insert into s select g, g * 10 from generate_series(1, 12) g";
const PLACES: [(usize, &str); 3] = [(1, "1"), (2, "2"), (2, "4")];

/// `sql` of a client that finds rows which `change` of another has written, and waits for its commit.
async fn after(
    server: &Server,
    client: &Client,
    change: &str,
    sql: &str,
) -> Result<Vec<String>, String> {
    let holder = server.connect().await;
    holder.batch_execute("begin").await.unwrap();
    holder.batch_execute(change).await.unwrap();
    let mut statement = std::pin::pin!(client.simple_query(sql));
    let early = tokio::time::timeout(Duration::from_millis(150), &mut statement).await;
    assert!(early.is_err(), "{sql} did not wait");
    holder.batch_execute("commit").await.unwrap();
    match statement.await {
        Ok(messages) => Ok(rows(&messages)),
        Err(e) => Err(code(&e)),
    }
}

/// Rows as text, sorted, or how many were changed.
fn rows(messages: &[SimpleQueryMessage]) -> Vec<String> {
    let mut out = Vec::new();
    for message in messages {
        match message {
            SimpleQueryMessage::Row(row) => {
                let values = (0..row.len()).map(|i| row.get(i).unwrap_or("NULL"));
                out.push(values.collect::<Vec<_>>().join(" "));
            }
            SimpleQueryMessage::CommandComplete(n) if out.is_empty() => out.push(n.to_string()),
            _ => {}
        }
    }
    out.sort();
    out
}

async fn all(client: &Client, sql: &str) -> Vec<String> {
    rows(&client.simple_query(sql).await.unwrap())
}

#[test]
fn a_row_that_changed_meanwhile_is_looked_at_again_with_what_it_was_found_by() {
    for (cores, partitions) in PLACES {
        on_server(
            cores,
            &["--partitions", partitions],
            async |server, client| {
                client.batch_execute(TABLES).await.unwrap();
                let change = "update t set n = 2 where id = 1; update t set n = 9 where id = 2; delete from t where id = 3";
                let update = "update t set n = t.n + s.d from s where s.id = t.id and t.n < 5 and t.id < 5 returning t.*, s.d";
                let found = after(server, &client, change, update).await.unwrap();
                assert_eq!(found, ["1 12 10", "4 40 40"]);
                let change = "update t set n = 77 where id = 5; update t set n = 1 where id = 6";
                let delete = "delete from t using s where s.id = t.id and t.n < 50 and t.id in (5, 6) returning t.id, t.n, s.d";
                let found = after(server, &client, change, delete).await.unwrap();
                assert_eq!(found, ["6 1 60"]);
                let change = "update t set n = n + 1 where id = 7";
                let subquery = "update t set n = (select s.d + t.n from s where s.id = t.id) where id = 7 returning n";
                let found = after(server, &client, change, subquery).await.unwrap();
                assert_eq!(found, ["71"]);
            },
        );
    }
}

#[test]
fn merge_inserts_for_a_row_that_is_gone_and_takes_the_clause_of_the_row_as_it_is() {
    for (cores, partitions) in PLACES {
        on_server(
            cores,
            &["--partitions", partitions],
            async |server, client| {
                client.batch_execute(TABLES).await.unwrap();
                let change = "delete from t where id = 1; update t set n = 100 where id = 2; update t set n = 3 where id = 3";
                let merge = "merge into t using (select * from s where id < 4) s on t.id = s.id
                when matched and t.n >= 100 then delete
                when matched then update set n = t.n + s.d
                when not matched then insert values (s.id, -s.d)";
                assert_eq!(after(server, &client, change, merge).await.unwrap(), ["3"]);
                let left = all(&client, "select * from t where id < 5").await;
                assert_eq!(left, ["1 -10", "3 33", "4 0"]);
            },
        );
    }
}

#[test]
fn a_snapshot_that_is_kept_refuses_rows_that_changed_meanwhile() {
    on_server(2, &[], async |server, client| {
        client.batch_execute(TABLES).await.unwrap();
        for level in ["repeatable read", "serializable"] {
            for sql in [
                "update t set n = d from s where s.id = t.id and t.id = 1",
                "delete from t using s where s.id = t.id and t.id = 1",
                "merge into t using s on s.id = t.id when matched then update set n = d",
            ] {
                client
                    .batch_execute(&format!("begin isolation level {level}"))
                    .await
                    .unwrap();
                client
                    .batch_execute("select count(*) from s")
                    .await
                    .unwrap();
                let refused =
                    after(server, &client, "update t set n = n + 1 where id = 1", sql).await;
                assert_eq!(refused.unwrap_err(), "40001", "{level}: {sql}");
                client.batch_execute("rollback").await.unwrap();
            }
        }
    });
}

#[test]
fn two_upserts_of_one_row_that_read_tables_add_up() {
    on_server(2, &["--partitions", "4"], async |server, client| {
        client.batch_execute(TABLES).await.unwrap();
        let other = server.connect().await;
        let sql = "insert into t values (1, 0) on conflict (id) do update set n = t.n + (select count(*) from s where s.id = t.id)";
        let one = async |client: &Client| {
            for _ in 0..25 {
                client.batch_execute(sql).await.unwrap();
            }
        };
        tokio::join!(one(&client), one(&other));
        assert_eq!(
            value::<i32>(&client, "select n from t where id = 1").await,
            50
        );
    });
}

#[test]
fn what_a_large_change_returns_goes_to_temporary_files() {
    on_server(2, &["--query-bytes-max", "8MiB"], async |_, client| {
        client
            .batch_execute("create table big (id int primary key, v text); set work_mem = '1MB'")
            .await
            .unwrap();
        let insert = "insert into big select g, repeat('x', 200) from generate_series(1, 100000) g returning id, v";
        assert_eq!(client.query(insert, &[]).await.unwrap().len(), 100_000);
        let update = "with u as (update big set v = v || 'y' where id <= 60000 returning id, v)
            select count(*), max(length(v)) from u";
        let row = client.query_one(update, &[]).await.unwrap();
        assert_eq!((row.get::<_, i64>(0), row.get::<_, i32>(1)), (60_000, 201));
        let join =
            "update big b set v = o.v || b.id from big o where o.id = b.id - 1 returning b.id, o.v";
        assert_eq!(client.query(join, &[]).await.unwrap().len(), 99_999);
    });
}

#[test]
fn a_cursor_of_many_rows_scrolls_and_is_held_in_little_memory() {
    on_server(2, &["--query-bytes-max", "8MiB"], async |_, client| {
        client
            .batch_execute(
                "create table big (id int primary key, v text);
                 insert into big select g, repeat('x', 200) from generate_series(1, 100000) g;
                 set work_mem = '1MB';
                 begin;
                 declare c scroll cursor with hold for select * from big order by id;
                 move 99990 in c;
                 update big set v = 'changed';
                 commit",
            )
            .await
            .unwrap();
        let ids = async |sql: &str| {
            let rows = client.query(sql, &[]).await.unwrap();
            rows.iter()
                .map(|r| (r.get::<_, i32>(0), r.get::<_, &str>(1).len()))
                .collect::<Vec<_>>()
        };
        assert_eq!(ids("fetch 2 from c").await, [(99_991, 200), (99_992, 200)]);
        assert_eq!(ids("fetch absolute 7 from c").await, [(7, 200)]);
        assert_eq!(ids("fetch all from c").await.len(), 99_993);
        assert_eq!(ids("fetch backward all from c").await.len(), 100_000);
        client.batch_execute("close c").await.unwrap();
    });
}

/// What COPY says: how many rows it took, or where it failed.
async fn copied(client: &Client, sql: &str, data: &'static str) -> Result<u64, String> {
    let sink = client.copy_in::<_, &[u8]>(sql).await.unwrap();
    let mut sink = std::pin::pin!(sink);
    sink.send(data.as_bytes()).await.unwrap();
    let done = sink.finish().await;
    done.map_err(|e| {
        e.as_db_error()
            .unwrap()
            .where_()
            .unwrap_or("nowhere")
            .to_owned()
    })
}

#[test]
fn copy_takes_the_rows_that_where_wants_and_says_where_it_failed() {
    on_server(2, &[], async |_, client| {
        let table = "create table c (a int, b text, d date default '2020-01-01')";
        client.batch_execute(table).await.unwrap();
        let wanted = "copy c (a, b) from stdin where a > 1 and b like 'x%' and d < '2021-01-01'";
        assert_eq!(
            copied(&client, wanted, "1\tx\n2\txy\n3\ty\n4\txz\n").await,
            Ok(2)
        );
        let csv = "copy c from stdin (format csv) where d > '2021-01-01'";
        assert_eq!(
            copied(&client, csv, "5,e,2020-05-05\n6,f,2022-05-05\n").await,
            Ok(1)
        );
        assert_eq!(all(&client, "select a from c").await, ["2", "4", "6"]);
        for (sql, data, context) in [
            (
                "copy c from stdin",
                "1\tb\t2020-01-01\nx1\tb\t\n",
                "COPY c, line 2, column a: \"x1\"",
            ),
            ("copy c from stdin", "1\tb\n", "COPY c, line 1: \"1\tb\""),
            (
                "copy c from stdin (format csv)",
                "1,b,2020-13-01\n",
                "COPY c, line 1, column d: \"2020-13-01\"",
            ),
            (
                "copy c from stdin (format csv)",
                "1,b,2020-01-01,x\n",
                "COPY c, line 1: \"1,b,2020-01-01,x\"",
            ),
        ] {
            assert_eq!(copied(&client, sql, data).await, Err(context.to_owned()));
        }
        for (sql, refused) in [
            ("copy c from stdin where (select true)", "0A000"),
            ("copy c from stdin where max(a) > 1", "42803"),
            ("copy c to stdout where a > 1", "42601"),
        ] {
            assert_eq!(
                code(&client.batch_execute(sql).await.unwrap_err()),
                refused,
                "{sql}"
            );
        }
    });
}

#[test]
fn a_chained_transaction_is_like_the_one_before_and_a_locked_table_keeps_writers_out() {
    on_server(2, &["--partitions", "4"], async |server, client| {
        client.batch_execute(TABLES).await.unwrap();
        let begin =
            "begin isolation level repeatable read; insert into t values (50, 1); commit and chain";
        client.batch_execute(begin).await.unwrap();
        let level = "show transaction_isolation";
        assert_eq!(value::<String>(&client, level).await, "repeatable read");
        client
            .batch_execute("delete from t; rollback and chain")
            .await
            .unwrap();
        assert_eq!(value::<String>(&client, level).await, "repeatable read");
        assert_eq!(value::<i64>(&client, "select count(*) from t").await, 9);
        client.batch_execute("commit").await.unwrap();
        let refused = client.batch_execute("commit and chain").await.unwrap_err();
        assert_eq!(code(&refused), "25P01");
        let other = server.connect().await;
        other
            .batch_execute("begin; lock table t in exclusive mode")
            .await
            .unwrap();
        client
            .batch_execute("set lock_timeout = 100")
            .await
            .unwrap();
        for sql in [
            "insert into t values (60, 1)",
            "begin; lock t nowait",
            "rollback; begin; lock t in share mode",
        ] {
            assert_eq!(
                code(&client.batch_execute(sql).await.unwrap_err()),
                "55P03",
                "{sql}"
            );
        }
        client
            .batch_execute("rollback; select count(*) from t")
            .await
            .unwrap();
        other
            .batch_execute("update t set n = 7; commit")
            .await
            .unwrap();
        client
            .batch_execute("begin; lock t, s in share row exclusive mode nowait; commit")
            .await
            .unwrap();
    });
}
