//! Functions in SQL: in the place of their calls on every layout, after a kill, and as they are now whoever planned before.

use crate::support::{after_a_kill, code, on_server, run, value};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

const FUNCTIONS: &str = "create table t (id int primary key, a int);
    insert into t select g, g * 10 from generate_series(1, 100) g;
    create function scaled(n int, by int default 2) returns int language sql immutable as 'select n * by';
    create function a_of(k int) returns int language sql stable as 'select a from t where id = k';
    create function near(k int, n int) returns table (id int, a int) language sql as
        'select t.id, t.a from t where t.id between k - n and k + n order by t.id'";

async fn holds(client: &Client) {
    let sum = "select sum(scaled(a_of(id)))::int from t where id <= 10";
    assert_eq!(value::<i32>(client, sum).await, 1100);
    let near = "select string_agg(n.a::text, ' ' order by n.a) from near(5, 1) n";
    assert_eq!(value::<String>(client, near).await, "40 50 60");
    let all = "select count(*) from t, near(t.id, 1)";
    assert_eq!(value::<i64>(client, all).await, 298);
}

#[test]
fn calls_answer_the_same_on_every_layout_and_after_a_kill() {
    after_a_kill(
        async |client| {
            run(client, FUNCTIONS).await;
            holds(client).await;
        },
        holds,
    );
}

#[test]
fn a_prepared_call_is_of_the_function_as_it_is_now() {
    on_server(2, &[], async |server, client| {
        run(&client, FUNCTIONS).await;
        let call = client.prepare("select scaled($1)").await.unwrap();
        assert_eq!(call.params(), [Type::INT4]);
        let one = async || -> i32 { client.query_one(&call, &[&7i32]).await.unwrap().get(0) };
        assert_eq!(one().await, 14);
        let other = server.connect().await;
        run(&other, "create or replace function scaled(n int, by int default 3) returns int language sql as 'select n * by'").await;
        assert_eq!(one().await, 21);
        run(&other, "drop function scaled").await;
        let e = client.query_one(&call, &[&7i32]).await.unwrap_err();
        assert_eq!(code(&e), "42883");
    });
}

#[test]
fn a_body_is_planned_as_the_query_that_it_is() {
    on_server(2, &[], async |_, client| {
        run(&client, FUNCTIONS).await;
        for sql in [
            "explain (costs off) select * from near(5, 0) where id = 5",
            "explain (costs off) select a_of(5)",
        ] {
            let rows = client.query(sql, &[]).await.unwrap();
            let plan: Vec<String> = rows.iter().map(|r| r.get(0)).collect();
            assert!(plan.join("\n").contains("t_pkey"), "{sql}: {plan:?}");
        }
    });
}

#[test]
fn bodies_inside_bodies_are_bounded() {
    on_server(1, &[], async |_, client| {
        run(
            &client,
            "create function f0(n int) returns int language sql as 'select n + 1'",
        )
        .await;
        for n in 1..=8 {
            let last = n - 1;
            run(&client, &format!("create function f{n}(n int) returns int language sql as 'select f{last}(n) + f{last}(n)'")).await;
        }
        assert_eq!(value::<i32>(&client, "select f4(1)").await, 32);
        // 511 bodies a call.
        assert_eq!(value::<i32>(&client, "select f8(0)").await, 256);
        // What a function calls is not looked into when it is made.
        let f9 = "create function f9(n int) returns int language sql as 'select f8(n) + f8(n)'";
        run(&client, f9).await;
        for sql in ["select f8(1) + f8(2)", "select f9(1)"] {
            let e = client.batch_execute(sql).await.unwrap_err();
            assert_eq!(code(&e), "54001", "{sql}");
        }
        run(
            &client,
            "create function d0() returns int language sql as 'select 1'",
        )
        .await;
        for n in 1..=32 {
            let last = n - 1;
            run(
                &client,
                &format!("create function d{n}() returns int language sql as 'select d{last}()'"),
            )
            .await;
        }
        assert_eq!(value::<i32>(&client, "select d31()").await, 1);
        let e = client.batch_execute("select d32()").await.unwrap_err();
        assert_eq!(code(&e), "54001");
        // One that is put into itself is called.
        let f0 = "create or replace function f0(n int) returns int language sql as 'select f2(n)'";
        run(&client, f0).await;
        let e = client.batch_execute("select f0(1)").await.unwrap_err();
        assert_eq!(code(&e), "54001");
    });
}

const CHANGES: &str = "create table stock (id int primary key, n int not null check (n >= 0));
    create table taken (id int, n int);
    insert into stock select g, 100 from generate_series(1, 20) g;
    create function take(i int, c int) returns int language sql as $$
        update stock set n = n - c where id = i;
        insert into taken values (i, c);
        select n from stock where id = i
    $$";

async fn taken(client: &Client) {
    let left = "select sum(n)::int from stock";
    assert_eq!(value::<i32>(client, left).await, 2000 - 35);
    assert_eq!(value::<i64>(client, "select count(*) from taken").await, 21);
}

#[test]
fn what_a_function_changes_is_its_transactions_on_every_layout_and_after_a_kill() {
    after_a_kill(
        async |client| {
            run(client, CHANGES).await;
            assert_eq!(value::<i32>(client, "select take(7, 5)").await, 95);
            let all = "select count(take(id, 1)) from stock";
            assert_eq!(value::<i64>(client, all).await, 20);
            // The last of three has too much: nothing of them stays.
            let e = client.simple_query("select take(g, 40 * g) from generate_series(1, 3) g");
            assert_eq!(code(&e.await.err().unwrap()), "23514");
            run(client, "begin; select take(1, 50); rollback").await;
            let e = client
                .simple_query("begin read only; select take(1, 1)")
                .await;
            assert_eq!(code(&e.err().unwrap()), "25006");
            run(
                client,
                "rollback; select take(id, 10) from stock where id = 3",
            )
            .await;
            run(client, "delete from taken where n = 10").await;
        },
        taken,
    );
}

#[test]
fn calls_inside_each_other_end_before_the_stack_does() {
    on_server(2, &[], async |_, client| {
        run(&client, "set check_function_bodies = off").await;
        run(
            &client,
            "create function down(n int) returns int language sql as 'select down(n - 1) + 1'",
        )
        .await;
        for call in ["select down(1)", "select * from down(1) where down > 0"] {
            let e = client.query(call, &[]).await.unwrap_err();
            assert_eq!(code(&e), "54001");
        }
        assert_eq!(value::<i32>(&client, "select 1").await, 1);
    });
}

#[test]
fn a_function_is_bound_again_when_what_it_reads_has_changed() {
    on_server(2, &[], async |server, client| {
        run(&client, CHANGES).await;
        let call = client.prepare("select take($1, 1)").await.unwrap();
        let one = async || client.query_one(&call, &[&1i32]).await;
        assert_eq!(one().await.unwrap().get::<_, i32>(0), 99);
        let other = server.connect().await;
        run(&other, "alter table taken rename to gone").await;
        let e = one().await.unwrap_err();
        assert_eq!(code(&e), "42P01");
        run(&other, "create table taken (id bigint, n bigint)").await;
        assert_eq!(one().await.unwrap().get::<_, i32>(0), 98);
        run(&other, "create schema app; create table app.stock (id int, n int); create table app.taken (id int, n int); insert into app.stock values (1, 10)").await;
        // The caller's path.
        run(&client, "set search_path = app").await;
        let shown = value::<i32>(&client, "select public.take(1, 3)").await;
        assert_eq!(shown, 7);
    });
}

#[test]
fn a_prepared_statement_means_the_names_of_the_search_path_as_it_is() {
    on_server(2, &[], async |_, client| {
        let tables = "create schema a1; create schema a2; create table a1.t (id int); create table a2.t (id int);
            insert into a1.t values (1); insert into a2.t values (2); set search_path = a1";
        client.batch_execute(tables).await.unwrap();
        let select = client.prepare("select id from t").await.unwrap();
        let insert = client.prepare("insert into t values ($1)").await.unwrap();
        client
            .batch_execute("prepare p as select id from t")
            .await
            .unwrap();
        for (path, id) in [("a1", 1), ("a2", 2), ("a1", 1), ("a2", 2)] {
            run(&client, &format!("set search_path = {path}")).await;
            assert_eq!(
                client
                    .query_one(&select, &[])
                    .await
                    .unwrap()
                    .get::<_, i32>(0),
                id
            );
            assert_eq!(value::<i32>(&client, "execute p").await, id);
        }
        client.execute(&insert, &[&7]).await.unwrap();
        let both = "select (select count(*) from a1.t) * 10 + (select count(*) from a2.t)";
        assert_eq!(value::<i64>(&client, both).await, 12);
        // Another row there is refused, as after a change of the table.
        run(&client, "alter table a2.t add b text").await;
        run(&client, "set search_path = a1").await;
        let all = client.prepare("select * from t").await.unwrap();
        run(&client, "prepare q as select * from t").await;
        run(&client, "set search_path = a2").await;
        assert_eq!(code(&client.query(&all, &[]).await.unwrap_err()), "0A000");
        let refused = client.simple_query("execute q").await.unwrap_err();
        assert_eq!(code(&refused), "0A000");
    });
}

#[test]
fn a_portal_gives_as_many_rows_of_a_change_as_are_asked_for() {
    on_server(2, &[], async |_, mut client| {
        run(&client, "create table t (id int primary key, a int)").await;
        run(
            &client,
            "insert into t select g, 0 from generate_series(1, 5) g",
        )
        .await;
        let transaction = client.transaction().await.unwrap();
        let change = "update t set a = a + 1 where id < 5 returning id";
        let portal = transaction.bind(change, &[]).await.unwrap();
        let rows = transaction.query_portal(&portal, 3).await.unwrap();
        assert_eq!(rows.len(), 3);
        let rest = transaction.query_portal(&portal, 0).await.unwrap();
        assert_eq!(rest.len(), 1);
        transaction.commit().await.unwrap();
        assert_eq!(value::<i64>(&client, "select sum(a) from t").await, 4);
    });
}
