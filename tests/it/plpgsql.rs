//! PL/pgSQL beside other sessions: what blocks take back, where they wait, what ends them, and what they see of others' definitions.

use crate::support::{after_a_kill, code, on_server, refused, run, value};
use std::time::Duration;
use tokio_postgres::{Client, NoTls};

const TABLES: &str = "create table t (id int primary key, a text);
    create table said (seq serial, what text);
    create function add(x int, y int) returns int language plpgsql as $$
    begin
      return x + y;
    end $$;
    create procedure put(n int) language plpgsql as $$
    begin
      insert into t values (n, 'put');
    exception when unique_violation then
      update t set a = 'twice' where id = n;
    end $$";

async fn holds(client: &Client) {
    run(
        client,
        "truncate t, said;
         do $$
         begin
           for i in 1..40 loop
             begin
               insert into t values (i, 'first'), (i + 1000, 'second');
               if i % 2 = 0 then
                 raise exception 'even';
               end if;
             exception when raise_exception then
               insert into said (what) values (i::text);
             end;
           end loop;
           call put(1);
           call put(2);
         end $$",
    )
    .await;
    let counts = "select count(*) || ' ' || (select count(*) from said) from t";
    assert_eq!(value::<String>(client, counts).await, "41 20");
    let put = "select string_agg(a, ' ' order by id) from t where id in (1, 2)";
    assert_eq!(value::<String>(client, put).await, "twice put");
    let sum = "select sum(add(id, 1)) from t where id <= 3";
    assert_eq!(value::<i64>(client, sum).await, 9);
}

#[test]
fn handlers_take_back_their_blocks_on_every_layout_and_after_a_kill() {
    after_a_kill(
        async |client| {
            run(client, TABLES).await;
            holds(client).await;
        },
        holds,
    );
}

#[test]
fn what_a_block_defines_other_sessions_find_when_it_has_committed() {
    on_server(2, &[], async |server, client| {
        let other = server.connect().await;
        run(
            &client,
            "begin; do $$ begin create table made (x int); insert into made values (1); end $$",
        )
        .await;
        assert_eq!(refused(&other, "select * from made").await, "42P01");
        run(&client, "commit").await;
        assert_eq!(value::<i32>(&other, "select x from made").await, 1);
        // And a function that was bound before finds what is there now.
        run(
            &client,
            "create function all_made() returns bigint language plpgsql as
             'begin return (select sum(x) from made); end'",
        )
        .await;
        assert_eq!(value::<i64>(&client, "select all_made()").await, 1);
        run(
            &other,
            "drop table made; create table made (y text, x int); insert into made values ('a', 5)",
        )
        .await;
        assert_eq!(value::<i64>(&client, "select all_made()").await, 5);
    });
}

#[test]
fn a_lock_that_is_not_to_be_had_is_caught() {
    on_server(2, &[], async |server, client| {
        run(&client, TABLES).await;
        run(&client, "insert into t values (1, 'x'), (2, 'y')").await;
        let other = server.connect().await;
        run(&other, "begin; update t set a = 'locked' where id = 1").await;
        run(
            &client,
            "do $$
             begin
               update t set a = 'mine' where id = 2;
               begin
                 perform * from t where id = 1 for update nowait;
               exception when lock_not_available then
                 insert into said (what) values (sqlstate);
               end;
             end $$",
        )
        .await;
        assert_eq!(
            value::<String>(&client, "select what from said").await,
            "55P03"
        );
        run(&other, "commit").await;
        let both = "select string_agg(a, ' ' order by id) from t";
        assert_eq!(value::<String>(&client, both).await, "locked mine");
    });
}

#[test]
fn a_loop_that_has_no_end_is_cancelled_and_nothing_of_it_is_left() {
    on_server(2, &[], async |_, client| {
        run(&client, TABLES).await;
        let token = client.cancel_token();
        let cancel = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            token.cancel_query(NoTls).await.unwrap();
        };
        let body = "do $$ declare i int := 0; begin loop i := i + 1; begin insert into t values (i, ''); exception when others then null; end; end loop; end $$";
        let (outcome, ()) = tokio::join!(client.batch_execute(body), cancel);
        assert_eq!(code(&outcome.unwrap_err()), "57014");
        assert_eq!(value::<i64>(&client, "select count(*) from t").await, 0);
        run(&client, "insert into t values (1, 'goes on')").await;
    });
}

#[test]
fn a_client_that_goes_away_leaves_nothing_of_its_block() {
    on_server(2, &[], async |server, client| {
        run(&client, TABLES).await;
        let other = server.connect().await;
        let body = "do $$ begin create table gone (x int); begin insert into t values (1, ''); perform pg_sleep(30); exception when division_by_zero then null; end; end $$";
        let left = tokio::time::timeout(Duration::from_millis(300), other.batch_execute(body));
        assert!(left.await.is_err());
        let token = other.cancel_token();
        drop(other);
        token.cancel_query(NoTls).await.unwrap();
        // Its locks go as well.
        run(
            &client,
            "create table gone (x int); insert into t values (1, 'mine')",
        )
        .await;
    });
}

#[test]
fn calls_and_blocks_are_prepared_with_parameters() {
    on_server(2, &[], async |_, client| {
        run(&client, TABLES).await;
        let row = client.query_one("select add($1, $2)", &[&40, &2]);
        assert_eq!(row.await.unwrap().get::<_, i32>(0), 42);
        client.execute("call put($1)", &[&7]).await.unwrap();
        client
            .execute("do $$ begin call put(8); end $$", &[])
            .await
            .unwrap();
        assert_eq!(value::<i64>(&client, "select count(*) from t").await, 2);
        run(
            &client,
            "create procedure doubled(inout x int) language plpgsql as 'begin x := x * 2; end'",
        )
        .await;
        let row = client.query_one("call doubled($1)", &[&21]).await.unwrap();
        assert_eq!(row.get::<_, i32>("x"), 42);
    });
}

#[test]
fn rows_of_functions_and_loops_go_to_temporary_files() {
    on_server(2, &[], async |_, client| {
        run(&client, "set work_mem = '64kB'").await;
        run(
            &client,
            "create function many(n int) returns setof text language plpgsql as $$
             declare r record;
             begin
               for r in select g, repeat('x', 100) as x from generate_series(1, n) g loop
                 return next r.x;
               end loop;
               return query select repeat('y', 100) from generate_series(1, n);
             end $$",
        )
        .await;
        let all = "select count(*) from many(5000) where length(many) = 100";
        assert_eq!(value::<i64>(&client, all).await, 10_000);
    });
}

#[test]
fn what_is_inside_of_each_other_is_bounded() {
    on_server(2, &[], async |_, client| {
        run(
            &client,
            "create function deep(n int) returns int language plpgsql as $$
             begin
               if n = 0 then return 0; end if;
               begin
                 return 1 + deep(n - 1);
               exception when division_by_zero then
                 return -1;
               end;
             end $$",
        )
        .await;
        assert_eq!(value::<i32>(&client, "select deep(100)").await, 100);
        assert_eq!(refused(&client, "select deep(100000)").await, "54001");
        let itself = "do $a$ begin execute 'do $b$ begin perform deep(5); end $b$'; end $a$";
        run(&client, itself).await;
    });
}
