//! What was committed is there after a restart, whatever the number of cores, and what was rolled back is not. (`kill` does it
//! again and again under load.)

use crate::support::{Server, client_runtime, on_server};

#[test]
fn the_same_directory_gives_the_same_rows_with_any_number_of_cores() {
    let data = tempfile::tempdir().unwrap();
    let dir = data.path().join("data");
    let list = "select id, t, u from mixed order by id";
    let sql = "create table mixed (id int primary key, t text, u text unique);
        insert into mixed select g, 'row ' || g, 'u' || g from generate_series(1, 500) g;
        update mixed set t = upper(t) where id % 3 = 0;
        delete from mixed where id % 7 = 0;
        create index mixed_t on mixed (t)";
    let server = Server::start(&dir, 4);
    client_runtime().block_on(async {
        server.connect().await.batch_execute(sql).await.unwrap();
    });
    let (status, expected) = server.query(list);
    assert_eq!(status, 200);
    assert_eq!(expected["row_count"], 429);
    server.stop();
    for cores in [1, 2, 4] {
        let server = Server::start(&dir, cores);
        assert_eq!(server.query(list), (200, expected.clone()), "{cores} cores");
        let (_, one) = server.query("select id from mixed where u = 'u9'");
        assert_eq!(one["rows"][0]["id"], 9);
        let (_, by_index) = server.query("select id from mixed where t = 'ROW 9'");
        assert_eq!(by_index["rows"][0]["id"], 9);
        server.stop();
    }
}

#[test]
fn a_rolled_back_definition_leaves_no_trace() {
    on_server(2, &[], async |_, client| {
        let run = async |sql: &str| client.batch_execute(sql).await;
        run("create table kept (id int primary key); insert into kept values (1), (2)")
            .await
            .unwrap();
        run("begin; truncate kept; insert into kept values (3); create table gone (a int); rollback")
            .await
            .unwrap();
        let rows = client.query("select id from kept order by id", &[]).await;
        assert_eq!(rows.unwrap().len(), 2);
        assert!(client.query("select * from gone", &[]).await.is_err());
    });
}

#[test]
fn rows_and_keys_of_any_size_are_kept_or_refused() {
    let data = tempfile::tempdir().unwrap();
    let dir = data.path().join("data");
    let server = Server::start(&dir, 2);
    assert_eq!(server.query("create table k (k text primary key)").0, 200);
    assert_eq!(
        server
            .query("create table w (id int primary key, v text)")
            .0,
        200
    );
    let mut kept = 0;
    for length in 1_005..1_030 {
        let (status, body) = server.query(&format!("insert into k values (repeat('x', {length}))"));
        match status {
            200 => kept += 1,
            _ => assert_eq!(body["error"]["code"], "54000", "{length}: {body}"),
        }
    }
    for short in 0..40 {
        let length = (16 << 20) - short;
        let sql = format!("insert into w values ({short}, repeat('x', {length}))");
        let (status, body) = server.query(&sql);
        assert!(
            status == 200 || body["error"]["code"] == "54000",
            "{length}: {body}"
        );
    }
    let count = |server: &Server, table: &str| {
        let (_, body) = server.query(&format!("select count(*) from {table}"));
        body["rows"][0].clone()
    };
    let (keys, rows) = (count(&server, "k"), count(&server, "w"));
    assert!(keys.to_string().contains(&kept.to_string()), "{keys}");
    server.kill();
    let server = Server::start(&dir, 2);
    assert_eq!((count(&server, "k"), count(&server, "w")), (keys, rows));
    server.stop();
}

#[test]
fn rows_loaded_by_a_definition_that_was_rolled_back_are_gone() {
    on_server(2, &[], async |_, client| {
        let count = async |table: &str| {
            let sql = format!("select count(*) from {table}");
            client.query_one(&sql, &[]).await.unwrap().get::<_, i64>(0)
        };
        let copy = async |table: &str| {
            let sink = client
                .copy_in::<_, &[u8]>(&format!("copy {table} from stdin"))
                .await
                .unwrap();
            let mut sink = std::pin::pin!(sink);
            futures_util::SinkExt::send(&mut sink, &b"1\n2\n3\n"[..])
                .await
                .unwrap();
            sink.finish().await.unwrap();
        };
        for _ in 0..3 {
            client
                .batch_execute("begin; create table a (id int primary key)")
                .await
                .unwrap();
            copy("a").await;
            assert_eq!(count("a").await, 3);
            client
                .batch_execute("rollback; create table b (id int primary key)")
                .await
                .unwrap();
            assert_eq!(count("b").await, 0);
            copy("b").await;
            client.batch_execute("begin; truncate b").await.unwrap();
            copy("b").await;
            client
                .batch_execute("rollback; begin; truncate b")
                .await
                .unwrap();
            assert_eq!(count("b").await, 0);
            client.batch_execute("rollback").await.unwrap();
            assert_eq!(count("b").await, 3);
            client.batch_execute("drop table b").await.unwrap();
        }
        // An index that could not be made leaves nothing for the next try.
        client
            .batch_execute("create table d (id int primary key, v int); insert into d values (1, 7), (2, 7), (3, 8)")
            .await
            .unwrap();
        let refused = client
            .batch_execute("create unique index d_v on d (v)")
            .await;
        assert_eq!(refused.unwrap_err().code().unwrap().code(), "23505");
        client
            .batch_execute("delete from d where id = 2; create unique index d_v on d (v)")
            .await
            .unwrap();
    });
}

#[test]
fn a_statement_prepared_against_a_rolled_back_table_is_planned_again() {
    on_server(2, &[], async |_, client| {
        client
            .batch_execute("begin; create table a (x int)")
            .await
            .unwrap();
        let statement = client.prepare("select * from a").await.unwrap();
        client
            .batch_execute(
                "rollback; create table a (y text, z int); insert into a values ('t', 1)",
            )
            .await
            .unwrap();
        let refused = client.query(&statement, &[]).await.unwrap_err();
        assert_eq!(refused.code().unwrap().code(), "0A000", "{refused:?}");
    });
}

#[test]
fn skipped_rows_of_several_batches_leave_no_lock() {
    on_server(2, &[], async |server, client| {
        let other = server.connect().await;
        client
            .batch_execute("create table t (id int primary key, v int); insert into t select g, 0 from generate_series(1, 2000) g")
            .await
            .unwrap();
        for rows in [1_024, 1_025, 2_000] {
            let sql = format!(
                "insert into t select g, 1 from generate_series(1, {rows}) g on conflict (id) do nothing"
            );
            assert_eq!(client.execute(&sql, &[]).await.unwrap(), 0);
        }
        other
            .batch_execute("set statement_timeout = '2s'; update t set v = v + 1; truncate t")
            .await
            .unwrap();
    });
}

#[test]
fn an_idle_transaction_sees_what_its_isolation_level_says() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(&data.path().join("data"), 2);
    client_runtime().block_on(async {
        let (a, b) = (server.connect().await, server.connect().await);
        let count = async || {
            a.query_one("select count(*) from t", &[])
                .await
                .unwrap()
                .get::<_, i64>(0)
        };
        b.batch_execute("create table t (id int primary key)")
            .await
            .unwrap();
        for (level, later) in [("read committed", 3), ("repeatable read", 2)] {
            b.batch_execute("truncate t; insert into t values (1)")
                .await
                .unwrap();
            a.batch_execute(&format!("begin isolation level {level}"))
                .await
                .unwrap();
            // The snapshot is the first query's, not BEGIN's.
            b.batch_execute("insert into t values (2)").await.unwrap();
            assert_eq!(count().await, 2);
            b.batch_execute("insert into t values (3)").await.unwrap();
            assert_eq!(count().await, later, "{level}");
            a.batch_execute("commit").await.unwrap();
        }
    });
    server.stop();
}
