//! Savepoints take back exactly what came after them, in every partition, and leave the rest of the transaction usable.

use crate::support::{on_server, refused, run, value};
use tokio_postgres::Client;

const TABLE: &str =
    "create table t (id int primary key, n int unique, v text); create index on t (v);
    insert into t select g, g, 'old' from generate_series(1, 100) g";

/// Count, sum, and what each way to the rows says of 'new'.
async fn state(client: &Client) -> (i64, i64, i64, i64) {
    (
        value(client, "select count(*) from t").await,
        value(client, "select coalesce(sum(n), 0)::bigint from t").await,
        value(client, "select count(*) from t where v = 'new'").await,
        value(client, "select count(*) from t where v || '' = 'new'").await,
    )
}

#[test]
fn what_came_after_a_savepoint_is_taken_back_and_nothing_else() {
    for cores in [1, 2, 4] {
        on_server(cores, &[], async |server, client| {
            let other = server.connect().await;
            run(&client, TABLE).await;
            let start = state(&client).await;
            run(&client, "begin; update t set v = 'new' where id <= 10").await;
            let first = state(&client).await;
            assert_eq!(first, (100, 5050, 10, 10));
            run(
                &client,
                "savepoint a; delete from t where id <= 20; insert into t select g, g, 'new' from generate_series(201, 230) g;
                 update t set v = 'new', n = n + 1000 where id between 50 and 60",
            )
            .await;
            let second = state(&client).await;
            assert_ne!(second, first);
            run(
                &client,
                "savepoint b; update t set v = 'new'; delete from t where id > 205",
            )
            .await;
            run(&client, "rollback to b").await;
            assert_eq!(state(&client).await, second);
            run(&client, "delete from t; insert into t values (1, 1, 'new'); rollback to savepoint b; rollback to a").await;
            assert_eq!(state(&client).await, first);
            // b went with a.
            run(&client, "savepoint c").await;
            assert_eq!(refused(&client, "rollback to b").await, "3B001");
            run(&client, "rollback to c; release c").await;
            // Keys that were taken back are free again, those that were deleted are taken again.
            run(&client, "insert into t values (201, 201, 'kept')").await;
            run(&client, "savepoint d").await;
            assert_eq!(
                refused(&client, "insert into t values (15, 900, 'x')").await,
                "23505"
            );
            assert_eq!(refused(&client, "select 1").await, "25P02");
            run(&client, "rollback to d").await;
            assert_eq!(
                refused(&client, "insert into t values (900, 55, 'x')").await,
                "23505"
            );
            run(&client, "rollback to d; release savepoint d").await;
            assert_eq!(state(&other).await, start);
            run(&client, "commit").await;
            assert_eq!(state(&other).await, (101, 5251, 10, 10));
        });
    }
}

#[test]
fn definitions_since_a_savepoint_are_taken_back() {
    on_server(2, &[], async |server, client| {
        run(&client, TABLE).await;
        run(&client, "begin; create table kept (id int primary key); insert into kept values (1); savepoint a").await;
        run(&client, "create table gone (id int); insert into gone select generate_series(1, 500); create index on t (n, v); insert into kept values (2)").await;
        run(&client, "rollback to a").await;
        assert_eq!(refused(&client, "select * from gone").await, "42P01");
        run(&client, "rollback to a").await;
        // The same name, another table: no plan of the first may be used.
        run(
            &client,
            "create table gone (a text, b text); insert into gone values ('x', 'y')",
        )
        .await;
        let b: String = value(&client, "select b from gone").await;
        assert_eq!(b, "y");
        run(
            &client,
            "truncate t; savepoint b; drop table kept; rollback to b",
        )
        .await;
        run(&client, "truncate t; insert into t values (1, 1, 'new'); rollback to a; insert into kept values (3); commit").await;
        let other = server.connect().await;
        let kept: i64 = value(&other, "select sum(id) from kept").await;
        assert_eq!(kept, 4);
        assert_eq!(state(&other).await, (100, 5050, 0, 0));
        assert_eq!(refused(&other, "select * from gone").await, "42P01");
    });
}

#[test]
fn a_transaction_that_failed_can_go_back_to_a_savepoint_or_end() {
    on_server(2, &[], async |server, client| {
        run(&client, TABLE).await;
        for outside in ["savepoint a", "release a", "rollback to a"] {
            assert_eq!(refused(&client, outside).await, "25P01", "{outside}");
        }
        run(
            &client,
            "begin; savepoint a; savepoint a; update t set v = 'new' where id = 1",
        )
        .await;
        assert_eq!(refused(&client, "select 1/0").await, "22012");
        assert_eq!(refused(&client, "savepoint b").await, "25P02");
        assert_eq!(refused(&client, "rollback to nowhere").await, "3B001");
        run(
            &client,
            "rollback to a; update t set v = 'new' where id = 2; release a; release a",
        )
        .await;
        assert_eq!(refused(&client, "release a").await, "3B001");
        // No savepoint is left: it is gone as a whole, and its locks are free.
        run(
            &server.connect().await,
            "update t set v = 'free' where id = 2",
        )
        .await;
        run(&client, "rollback").await;
        assert_eq!(state(&client).await, (100, 5050, 0, 0));
        run(
            &client,
            "begin; update t set v = 'new' where id = 3; savepoint a",
        )
        .await;
        assert_eq!(refused(&client, "select 1/0").await, "22012");
        run(&client, "commit").await;
        assert_eq!(state(&client).await, (100, 5050, 0, 0));
        run(&client, "begin; savepoint s").await;
        for _ in 0..50 {
            run(
                &client,
                "update t set n = n + 1000 where id <= 50; rollback to s",
            )
            .await;
        }
        run(
            &client,
            "update t set v = 'new' where id = 9; release s; commit",
        )
        .await;
        assert_eq!(state(&client).await, (100, 5050, 1, 1));
        run(&client, "begin").await;
        for n in 0..1_000 {
            run(&client, &format!("savepoint p{n}")).await;
        }
        assert_eq!(refused(&client, "savepoint more").await, "54000");
        run(&client, "rollback").await;
    });
}
