//! Every way into a column of a domain is held to the domain, whatever changes it meanwhile and whoever planned before.

use crate::support::{after_a_kill, code, on_server, refused, run, value};
use futures_util::SinkExt;
use tokio_postgres::types::Type;

const TABLE: &str = "create domain positive as int default 7 check (value > 0);
    create domain short as varchar(3) not null check (value = lower(value));
    create table t (id int primary key, p positive, s short)";

#[test]
fn drivers_see_the_type_under_a_domain_and_are_held_to_it() {
    for cores in [1, 4] {
        on_server(cores, &[], async |_, client| {
            run(&client, TABLE).await;
            let insert = "insert into t values ($1, $2, $3)";
            let insert = client.prepare(insert).await.unwrap();
            assert_eq!(insert.params(), [Type::INT4, Type::INT4, Type::VARCHAR]);
            client
                .execute(&insert, &[&1i32, &5i32, &"a"])
                .await
                .unwrap();
            for (p, s, wanted) in [
                (Some(-5i32), Some("a"), "23514"),
                (Some(5), Some("A"), "23514"),
                (Some(5), None, "23502"),
                (Some(5), Some("long"), "22001"),
            ] {
                let e = client.execute(&insert, &[&2i32, &p, &s]).await.unwrap_err();
                assert_eq!(code(&e), wanted, "{p:?} {s:?}");
            }
            let select = client.prepare("select p, s from t").await.unwrap();
            let types: Vec<&Type> = select.columns().iter().map(|c| c.type_()).collect();
            assert_eq!(types, [&Type::INT4, &Type::VARCHAR]);
            run(
                &client,
                "alter domain positive add constraint few check (value < 10)",
            )
            .await;
            let e = client.execute(&insert, &[&2i32, &10i32, &"a"]).await;
            assert_eq!(code(&e.unwrap_err()), "23514");
            run(&client, "alter domain positive drop constraint few").await;
            client
                .execute(&insert, &[&2i32, &10i32, &"a"])
                .await
                .unwrap();
        });
    }
}

#[test]
fn copy_is_held_to_domains_and_has_their_defaults() {
    on_server(2, &[], async |_, client| {
        run(&client, TABLE).await;
        for (lines, wanted) in [
            ("1\ta\n2\tb\n", None),
            ("3\tc\n4\tD\n", Some("23514")),
            ("3\tc\n4\t\\N\n", Some("23502")),
        ] {
            let sink = client.copy_in("copy t (id, s) from stdin").await.unwrap();
            let mut sink = std::pin::pin!(sink);
            let sent = sink.send(bytes::Bytes::from(lines)).await;
            let out = match sent {
                Ok(()) => sink.finish().await.map(|_| ()),
                Err(e) => Err(e),
            };
            assert_eq!(
                out.map_err(|e| code(&e)).err().as_deref(),
                wanted,
                "{lines}"
            );
        }
        let all = "select string_agg(id || ' ' || p || ' ' || s, ',' order by id) from t";
        assert_eq!(value::<String>(&client, all).await, "1 7 a,2 7 b");
        // Into a table of the same transaction, which COPY loads another way.
        run(&client, "begin; create table fresh (p positive)").await;
        let sink = client.copy_in("copy fresh from stdin").await.unwrap();
        let mut sink = std::pin::pin!(sink);
        sink.send(bytes::Bytes::from("1\n-1\n")).await.unwrap();
        assert_eq!(code(&sink.finish().await.unwrap_err()), "23514");
        run(&client, "rollback").await;
    });
}

#[test]
fn domains_are_what_they_were_after_a_kill() {
    after_a_kill(
        async |client| {
            run(client, TABLE).await;
            run(
                client,
                "create domain over as positive check (value % 2 = 0)",
            )
            .await;
            run(
                client,
                "create table o (id int primary key, v over default 4)",
            )
            .await;
            run(
                client,
                "alter domain positive add constraint few check (value < 100)",
            )
            .await;
            run(client, "insert into o values (1, 2), (2, default)").await;
        },
        async |client| {
            for bad in ["-2", "3", "200"] {
                let sql = format!("update o set v = {bad} where id = 1");
                assert_eq!(refused(client, &sql).await, "23514", "{bad}");
            }
            let all = "select string_agg(v::text, ' ' order by id) from o";
            assert_eq!(value::<String>(client, all).await, "2 4");
            assert_eq!(refused(client, "drop domain positive").await, "2BP01");
        },
    );
}

#[test]
fn no_write_passes_a_constraint_that_is_added_meanwhile() {
    on_server(4, &[], async |server, client| {
        run(&client, TABLE).await;
        run(
            &client,
            "insert into t select g, g, 'a' from generate_series(1, 50) g",
        )
        .await;
        let mut writers = Vec::new();
        for n in 0..4 {
            let writer = server.connect().await;
            writers.push(tokio::spawn(async move {
                let insert = writer.prepare("insert into t values ($1, $2, 'a')").await;
                let insert = insert.unwrap();
                let mut refused = 0;
                for i in 0..200i32 {
                    let id = 1_000 * (n + 1) + i;
                    match writer.execute(&insert, &[&id, &(50 + i % 3)]).await {
                        Ok(_) => {}
                        Err(e) => {
                            assert_eq!(code(&e), "23514");
                            refused += 1;
                        }
                    }
                }
                refused
            }));
        }
        // Values that break it may be there already: then it is not added.
        let mut added = false;
        for _ in 0..20 {
            run(&client, "delete from t where p > 51").await;
            let add = "alter domain positive add constraint few check (value < 52)";
            match client.batch_execute(add).await {
                Ok(()) => {
                    added = true;
                    break;
                }
                Err(e) => assert_eq!(code(&e), "23514"),
            }
        }
        let mut refused = 0;
        for writer in writers {
            refused += writer.await.unwrap();
        }
        let over: i64 = value(&client, "select count(*) from t where p > 51").await;
        match added {
            true => assert_eq!(over, 0, "{refused} refused"),
            false => assert_eq!(refused, 0),
        }
    });
}
