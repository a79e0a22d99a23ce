//! Row triggers: whatever way rows come, over all partitions, all or nothing with the statement, and after a kill.

use crate::support::{after_a_kill, code, on_server, refused, run, value};
use futures_util::SinkExt;
use tokio_postgres::Client;

const STAMPED: &str = "create table t (id int primary key, a text, n int default 0, updated_at timestamptz);
    create table audit (id serial primary key, op text, key int, old jsonb, new jsonb);
    create function stamp() returns trigger language plpgsql as $$
    begin
      new.updated_at := now();
      new.a := upper(new.a);
      return new;
    end $$;
    create function log() returns trigger language plpgsql as $$
    begin
      insert into audit (op, key, old, new)
        values (tg_op, coalesce(new.id, old.id), to_jsonb(old), to_jsonb(new));
      return null;
    end $$;
    create trigger stamp before insert or update on t for each row execute function stamp();
    create trigger log after insert or update or delete on t for each row execute function log('x')";

const OPS: &str = "select coalesce(string_agg(op || key, ' ' order by key, op), '') from audit";

async fn ops(client: &Client) -> String {
    value(client, OPS).await
}

async fn holds(client: &Client) {
    run(
        client,
        "truncate t, audit; insert into t (id, a) select g, 'r' || g from generate_series(1, 40) g",
    )
    .await;
    let stamped = "select count(*) from t where updated_at is not null and a = 'R' || id";
    assert_eq!(value::<i64>(client, stamped).await, 40);
    run(
        client,
        "update t set n = n + 1 where id <= 20; delete from t where id > 38",
    )
    .await;
    let counts = "select string_agg(op || n, ' ' order by op) from (select op, count(*) n from audit group by op) x";
    assert_eq!(
        value::<String>(client, counts).await,
        "DELETE2 INSERT40 UPDATE20"
    );
    let seen = "select count(*) from audit where op = 'UPDATE' and (new->>'n')::int = (old->>'n')::int + 1";
    assert_eq!(value::<i64>(client, seen).await, 20);
}

#[test]
fn rows_are_stamped_and_logged_on_every_layout_and_after_a_kill() {
    after_a_kill(
        async |client| {
            run(client, STAMPED).await;
            holds(client).await;
        },
        holds,
    );
}

#[test]
fn a_raised_error_undoes_the_statement_with_what_its_triggers_wrote() {
    on_server(4, &[], async |_, client| {
        run(&client, STAMPED).await;
        run(
            &client,
            "create function guard() returns trigger language plpgsql as $$
             begin
               if new.n < 0 then
                 raise exception 'n of % is %', new.id, new.n using errcode = '23514', hint = 'more';
               end if;
               return new;
             end $$;
             create trigger z_guard after insert or update on t for each row execute function guard();
             insert into t (id) select g from generate_series(1, 30) g",
        )
        .await;
        let e = client
            .batch_execute("update t set n = case id when 30 then -1 else 5 end")
            .await;
        let e = e.unwrap_err();
        let e = e.as_db_error().unwrap();
        assert_eq!(
            (e.code().code(), e.message(), e.hint()),
            ("23514", "n of 30 is -1", Some("more"))
        );
        assert!(
            e.where_()
                .unwrap()
                .contains("PL/pgSQL function guard() line 4 at RAISE")
        );
        assert_eq!(value::<i64>(&client, "select sum(n) from t").await, 0);
        assert_eq!(
            value::<i64>(&client, "select count(*) from audit").await,
            30
        );
        // A savepoint brings back the time before, and the transaction goes on.
        run(
            &client,
            "begin; update t set n = 1 where id = 1; savepoint s",
        )
        .await;
        assert_eq!(
            refused(&client, "insert into t (id, n) values (31, 1), (32, -1)").await,
            "23514"
        );
        run(
            &client,
            "rollback to s; update t set n = 2 where id = 2; commit",
        )
        .await;
        let updates =
            "select string_agg(key::text, ' ' order by id) from audit where op = 'UPDATE'";
        assert_eq!(value::<String>(&client, updates).await, "1 2");
        assert_eq!(value::<i64>(&client, "select count(*) from t").await, 30);
    });
}

#[test]
fn an_upsert_fires_what_it_turns_out_to_be() {
    on_server(2, &[], async |_, client| {
        run(&client, STAMPED).await;
        let upsert = "insert into t (id, a) values (1, 'b'), (2, 'c')
            on conflict (id) do update set a = excluded.a || 'x', n = t.n + 1";
        run(&client, "insert into t (id, a) values (1, 'a')").await;
        run(&client, upsert).await;
        assert_eq!(ops(&client).await, "INSERT1 UPDATE1 INSERT2");
        let rows = "select string_agg(a || n, ' ' order by id) from t";
        assert_eq!(value::<String>(&client, rows).await, "BX1 C0");
        run(
            &client,
            "insert into t (id) values (1), (3) on conflict do nothing",
        )
        .await;
        assert_eq!(ops(&client).await, "INSERT1 UPDATE1 INSERT2 INSERT3");
    });
}

#[test]
fn copied_merged_and_moved_rows_go_through_triggers() {
    on_server(4, &[], async |_, client| {
        run(&client, STAMPED).await;
        let sink = client.copy_in("copy t (id, a) from stdin").await.unwrap();
        let mut sink = std::pin::pin!(sink);
        let lines = bytes::Bytes::from("1\tx\n2\ty\n");
        sink.send(lines).await.unwrap();
        assert_eq!(sink.finish().await.unwrap(), 2);
        assert_eq!(ops(&client).await, "INSERT1 INSERT2");
        run(
            &client,
            "truncate audit;
             merge into t using (values (1, 'm'), (2, null), (3, 'n')) v (id, a) on t.id = v.id
               when matched and v.a is null then delete
               when matched then update set a = v.a
               when not matched then insert (id, a) values (v.id, v.a)",
        )
        .await;
        let sorted = "select string_agg(op || key, ' ' order by key) from audit";
        assert_eq!(
            value::<String>(&client, sorted).await,
            "UPDATE1 DELETE2 INSERT3"
        );
        // A row whose key changes is elsewhere, and has been updated.
        run(&client, "truncate audit; update t set id = id + 100").await;
        assert_eq!(
            value::<String>(&client, sorted).await,
            "UPDATE101 UPDATE103"
        );
        let rows = "select string_agg(id || a, ' ' order by id) from t";
        assert_eq!(value::<String>(&client, rows).await, "101M 103N");
    });
}

#[test]
fn rows_that_a_trigger_drops_are_neither_written_nor_counted() {
    on_server(2, &[], async |_, client| {
        run(
            &client,
            "create table t (id int primary key, a int);
             create function even() returns trigger language plpgsql as $$
             begin
               if coalesce(new.id, old.id) % 2 = 1 then return null; end if;
               return coalesce(new, old);
             end $$;
             create trigger even before insert or update or delete on t for each row execute function even()",
        )
        .await;
        let many = "insert into t select g, 0 from generate_series(1, 10) g";
        assert_eq!(client.execute(many, &[]).await.unwrap(), 5);
        run(&client, "alter table t disable trigger even; insert into t values (11, 0); alter table t enable trigger even").await;
        assert_eq!(client.execute("update t set a = 1", &[]).await.unwrap(), 5);
        assert_eq!(client.execute("delete from t", &[]).await.unwrap(), 5);
        assert_eq!(value::<i32>(&client, "select id from t").await, 11);
    });
}

#[test]
fn actions_of_foreign_keys_fire_the_triggers_of_children() {
    on_server(4, &[], async |_, client| {
        run(&client, STAMPED).await;
        run(
            &client,
            "create table p (id int primary key);
             alter table t add column p int references p on delete cascade on update cascade;
             insert into p select g from generate_series(1, 5) g;
             insert into t (id, p) select g, g % 5 + 1 from generate_series(1, 20) g;
             truncate audit;
             delete from p where id = 1",
        )
        .await;
        assert_eq!(value::<i64>(&client, "select count(*) from t").await, 16);
        let sorted = "select string_agg(op || key, ' ' order by key) from audit";
        assert_eq!(
            value::<String>(&client, sorted).await,
            "DELETE5 DELETE10 DELETE15 DELETE20"
        );
        run(&client, "truncate audit; update p set id = 12 where id = 2").await;
        assert_eq!(
            value::<String>(&client, sorted).await,
            "UPDATE1 UPDATE6 UPDATE11 UPDATE16"
        );
        assert_eq!(
            value::<i64>(&client, "select count(*) from t where p = 12").await,
            4
        );
        // What an action does is undone with its statement as well.
        run(
            &client,
            "truncate audit;
             create function no() returns trigger language plpgsql as 'begin raise exception ''no''; end';
             create trigger no before delete on t for each row when (old.id = 8) execute function no()",
        )
        .await;
        assert_eq!(refused(&client, "delete from p").await, "P0001");
        assert_eq!(value::<i64>(&client, "select count(*) from t").await, 16);
        assert_eq!(ops(&client).await, "");
    });
}

#[test]
fn triggers_inside_triggers_are_bounded() {
    on_server(2, &[], async |_, client| {
        run(
            &client,
            "create table t (id int primary key, deep int);
             create function on_and_on() returns trigger language plpgsql as $$
             begin
               if new.id < tg_argv[0]::int then
                 insert into t values (new.id + 1, pg_trigger_depth());
               end if;
               return null;
             end $$;
             create trigger on_and_on after insert on t for each row execute function on_and_on(19)",
        )
        .await;
        run(&client, "insert into t values (0, 0)").await;
        assert_eq!(
            value::<String>(&client, "select count(*) || ' ' || max(deep) from t").await,
            "20 19"
        );
        run(&client, "truncate t; create or replace trigger on_and_on after insert on t for each row execute function on_and_on(1000)").await;
        assert_eq!(
            refused(&client, "insert into t values (0, 0)").await,
            "54001"
        );
        assert_eq!(value::<i64>(&client, "select count(*) from t").await, 0);
        // The server has not noticed.
        run(
            &client,
            "drop function on_and_on() cascade; insert into t values (0, 0)",
        )
        .await;
    });
}

#[test]
fn rows_that_wait_for_triggers_go_to_temporary_files() {
    on_server(2, &[], async |_, client| {
        run(&client, STAMPED).await;
        run(&client, "set work_mem = '64kB'").await;
        let many =
            "insert into t (id, a) select g, repeat('x', 100) from generate_series(1, 3000) g";
        assert_eq!(client.execute(many, &[]).await.unwrap(), 3000);
        assert_eq!(
            value::<i64>(
                &client,
                "select count(*) from audit where length(new->>'a') = 100"
            )
            .await,
            3000
        );
    });
}

#[test]
fn a_statement_planned_before_fires_what_there_is_now() {
    on_server(2, &[], async |server, client| {
        run(
            &client,
            "create table t (id int primary key, a text); create table log (a text)",
        )
        .await;
        let insert = client
            .prepare("insert into t values ($1, 'a')")
            .await
            .unwrap();
        let update = client
            .prepare("update t set a = a || 'b' where id = $1")
            .await
            .unwrap();
        client.execute(&insert, &[&1i32]).await.unwrap();
        client.execute(&update, &[&1i32]).await.unwrap();
        let other = server.connect().await;
        run(
            &other,
            "create function f() returns trigger language plpgsql as $$
             begin insert into log values (tg_op || new.a); return new; end $$;
             create trigger f before insert or update on t for each row execute function f()",
        )
        .await;
        client.execute(&insert, &[&2i32]).await.unwrap();
        client.execute(&update, &[&2i32]).await.unwrap();
        let logged = "select string_agg(a, ' ') from log";
        assert_eq!(value::<String>(&client, logged).await, "INSERTa UPDATEab");
        run(
            &other,
            "create or replace function f() returns trigger language plpgsql as $$
             begin new.a := 'z'; return new; end $$",
        )
        .await;
        client.execute(&update, &[&2i32]).await.unwrap();
        assert_eq!(
            value::<String>(&client, "select a from t where id = 2").await,
            "z"
        );
        run(&other, "drop trigger f on t").await;
        client.execute(&update, &[&2i32]).await.unwrap();
        assert_eq!(
            value::<String>(&client, "select a from t where id = 2").await,
            "zb"
        );
        // In a transaction of its own the trigger is there before others see it, and goes with a rollback.
        run(&client, "begin; create trigger f before insert on t for each row execute function f(); insert into t values (3, 'q')").await;
        assert_eq!(
            value::<String>(&client, "select a from t where id = 3").await,
            "z"
        );
        run(&client, "rollback; insert into t values (3, 'q')").await;
        assert_eq!(
            value::<String>(&client, "select a from t where id = 3").await,
            "q"
        );
    });
}

#[test]
fn each_row_sees_what_the_rows_before_it_have_become() {
    on_server(4, &[], async |_, client| {
        run(
            &client,
            "create table line (doc int, no int, a text, primary key (doc, no));
             create function numbered() returns trigger language plpgsql as $$
             begin
               select coalesce(max(no), 0) + 1 into new.no from line where doc = new.doc;
               return new;
             end $$;
             create trigger numbered before insert on line for each row execute function numbered();
             insert into line (doc, a) select g % 3, 'a' from generate_series(1, 12) g",
        )
        .await;
        let numbers = "select string_agg(doc || '.' || no, ' ' order by doc, no) from line";
        assert_eq!(
            value::<String>(&client, numbers).await,
            "0.1 0.2 0.3 0.4 1.1 1.2 1.3 1.4 2.1 2.2 2.3 2.4"
        );
    });
}

#[test]
fn what_a_statement_must_not_see_of_itself_its_triggers_see() {
    on_server(2, &[], async |_, client| {
        run(
            &client,
            "create table t (id int primary key, a int);
             create table n (seen bigint);
             create function count_t() returns trigger language plpgsql as $$
             begin insert into n select count(*) from t; return new; end $$;
             create trigger count_t before insert on t for each row execute function count_t()",
        )
        .await;
        let both = "with x as (insert into t select g, 0 from generate_series(1, 4) g returning id)
            select (select count(*) from x) || ' ' || (select count(*) from t) || ' ' || (select count(*) from n)";
        assert_eq!(value::<String>(&client, both).await, "4 0 0");
        let seen = "select string_agg(seen::text, ' ' order by seen) from n";
        assert_eq!(value::<String>(&client, seen).await, "0 1 2 3");
    });
}

#[test]
fn a_row_that_its_own_trigger_changes_is_an_error() {
    on_server(2, &[], async |_, client| {
        run(
            &client,
            "create table t (id int primary key, a int);
             insert into t values (1, 1), (2, 2);
             create function f() returns trigger language plpgsql as $$
             begin update t set a = a + 100 where id = old.id; return new; end $$;
             create trigger f before update on t for each row when (pg_trigger_depth() = 0) execute function f()",
        )
        .await;
        let e = client
            .batch_execute("update t set a = 5 where id = 1")
            .await
            .unwrap_err();
        assert_eq!(code(&e), "27000");
        assert_eq!(value::<i64>(&client, "select sum(a) from t").await, 3);
    });
}

#[test]
fn what_a_trigger_says_comes_before_the_error_that_ends_its_statement() {
    on_server(2, &[], async |server, client| {
        run(
            &client,
            "create table p (id int primary key);
             create table c (id int primary key, p int references p);
             create function say() returns trigger language plpgsql as 'begin raise notice ''seen %'', new.id; return new; end';
             create trigger say before insert on c for each row execute function say()",
        )
        .await;
        let port = server.port.to_string();
        let psql = std::process::Command::new("psql")
            .args(["-X", "-h", "127.0.0.1", "-p", &port, "-U", "rustydb"])
            .args(["-c", "insert into c values (1, 99)"])
            .output()
            .unwrap();
        let said = String::from_utf8(psql.stderr).unwrap();
        let lines: Vec<&str> = said.lines().map(|l| l.split(':').next().unwrap()).collect();
        assert_eq!(lines, ["NOTICE", "ERROR", "DETAIL"], "{said}");
    });
}
