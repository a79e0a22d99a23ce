//! Parameters set in a transaction: what is left of them after its end, and what the client is told.

use crate::support::{code, on_server, value};

#[test]
fn what_a_block_sets_lasts_as_long_as_it_should() {
    on_server(1, &[], async |_, client| {
        let show = "show application_name";
        client
            .batch_execute("set application_name = 'a'")
            .await
            .unwrap();
        for (block, after) in [
            ("begin; set local application_name = 'x'; commit", "a"),
            ("begin; set local application_name = 'x'; rollback", "a"),
            ("begin; set application_name = 'b'; rollback", "a"),
            (
                "begin; set application_name = 'b'; set local application_name = 'x'; commit",
                "b",
            ),
            (
                "begin; set local application_name = 'x'; set application_name = 'c'; commit",
                "c",
            ),
            (
                "begin; set local application_name = 'x'; set application_name = 'd'; rollback",
                "c",
            ),
            (
                "begin; set local application_name = 'x'; reset application_name; set local application_name to 'y'; commit",
                "",
            ),
            ("set application_name = 'e'", "e"),
            // A script of several statements is a block, too.
            (
                "set local application_name = 'x'; show application_name",
                "e",
            ),
            (
                "set local application_name = 'x'; begin; commit; select 1",
                "e",
            ),
            (
                "set application_name = 'f'; commit; set application_name = 'e'",
                "e",
            ),
            ("set local application_name = 'x'", "e"),
            (
                "begin; set local application_name = 'x'; set local application_name = 'y'; end",
                "e",
            ),
        ] {
            client.batch_execute(block).await.unwrap();
            let shown = value::<String>(&client, show).await;
            assert_eq!(shown, after, "{block}");
        }
        client
            .batch_execute(
                "begin; set local my.tenant = 'seven'; set local timezone = 'Asia/Tokyo'",
            )
            .await
            .unwrap();
        assert_eq!(
            value::<String>(&client, "show timezone").await,
            "Asia/Tokyo"
        );
        assert_eq!(value::<String>(&client, "show my.tenant").await, "seven");
        let failed = client.batch_execute("select 1/0").await.unwrap_err();
        assert_eq!(code(&failed), "22012");
        client.batch_execute("commit").await.unwrap();
        assert_eq!(value::<String>(&client, "show timezone").await, "UTC");
        // It has been there, and has no value any more.
        assert_eq!(value::<String>(&client, "show my.tenant").await, "");
        // A session that goes in the middle leaves nothing.
        client
            .batch_execute("begin; set local statement_timeout = 1")
            .await
            .unwrap();
    });
}

#[test]
fn a_limit_for_one_transaction_ends_with_it() {
    on_server(1, &[], async |_, client| {
        let show = "show statement_timeout";
        let before = value::<String>(&client, show).await;
        client
            .batch_execute("begin; set local statement_timeout = 30")
            .await
            .unwrap();
        let slow = "select count(*) from generate_series(1, 100000000)";
        let stopped = client.batch_execute(slow).await.unwrap_err();
        assert_eq!(code(&stopped), "57014");
        client.batch_execute("rollback").await.unwrap();
        assert_eq!(value::<String>(&client, show).await, before);
    });
}

/// `"$user"` is first in the path: a plan that one user's statement has made is not another's.
#[test]
fn the_same_text_means_each_users_own_tables() {
    on_server(1, &[], async |server, client| {
        for user in ["ann", "bob"] {
            let made = format!(
                "create schema {user}; create table {user}.t (id int primary key, whose text);
                 insert into {user}.t values (1, '{user}')"
            );
            client.batch_execute(&made).await.unwrap();
        }
        let (ann, bob) = (
            server.connect_as("ann").await,
            server.connect_as("bob").await,
        );
        for _ in 0..4 {
            for (client, user) in [(&ann, "ann"), (&bob, "bob")] {
                let found = client.simple_query("select whose from t where id = 1");
                let found = found.await.unwrap();
                let row = found.iter().find_map(|m| match m {
                    tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0),
                    _ => None,
                });
                assert_eq!(row, Some(user));
                let found = client.query_one("select whose from t where id = $1", &[&1]);
                assert_eq!(found.await.unwrap().get::<_, String>(0), user);
            }
        }
    });
}

#[test]
fn a_script_is_a_transaction_block_for_what_it_sets() {
    on_server(1, &[], async |_, client| {
        let shown = async |script: &str| {
            let rows = client.simple_query(script).await.unwrap();
            let row = |m: &tokio_postgres::SimpleQueryMessage| match m {
                tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                _ => None,
            };
            rows.iter().filter_map(row).collect::<Vec<_>>().join(" ")
        };
        let local = "set local work_mem = '3MB'; show work_mem";
        assert_eq!(shown(local).await, "3MB");
        assert_ne!(shown("show work_mem").await, "3MB");
        let error = client
            .batch_execute("set statement_timeout = '7s'; select 1/0")
            .await
            .unwrap_err();
        assert_eq!(code(&error), "22012");
        assert_ne!(shown("show statement_timeout").await, "7s");
        let level = "set transaction isolation level serializable; show transaction_isolation";
        assert_eq!(shown(level).await, "serializable");
        assert_eq!(shown("show transaction_isolation").await, "read committed");
        for alone in ["vacuum", "discard all"] {
            let error = client.batch_execute(&format!("{alone}; select 1")).await;
            assert_eq!(code(&error.unwrap_err()), "25001", "{alone}");
            client.batch_execute(alone).await.unwrap();
        }
    });
}

#[test]
fn a_transaction_is_told_what_it_is_like_before_its_first_query() {
    on_server(1, &[], async |_, client| {
        let level = "set transaction isolation level";
        for (block, refused) in [
            (format!("begin; show work_mem; {level} serializable"), false),
            (format!("begin; select 1; {level} serializable"), true),
            (format!("begin; select 1; {level} read committed"), false),
            (
                format!("begin; insert into t values (1); {level} repeatable read"),
                true,
            ),
            (
                "begin read only; select 1; set transaction read write".into(),
                true,
            ),
            ("begin; select 1; set transaction read only".into(), false),
        ] {
            client
                .batch_execute("create table if not exists t (a int)")
                .await
                .unwrap();
            let result = client.batch_execute(&block).await;
            let found = result.err().map(|e| code(&e));
            assert_eq!(found.as_deref(), refused.then_some("25001"), "{block}");
            client.batch_execute("rollback").await.unwrap();
        }
    });
}

/// A LIMIT that is a parameter is as good as one that is written.
#[test]
fn a_limit_that_is_a_parameter_stops_what_is_below_it() {
    on_server(2, &[], async |_, client| {
        client
            .batch_execute(
                "create table t (id int primary key, at int); create index on t (at);
                 insert into t select g, g * 7919 % 10007 from generate_series(1, 5000) g; analyze t;
                 prepare page as select id, at from t order by at desc limit $1 offset $2",
            )
            .await
            .unwrap();
        let rows = client
            .query("explain execute page (10, 20)", &[])
            .await
            .unwrap();
        let plan: Vec<String> = rows.iter().map(|r| r.get(0)).collect();
        assert!(
            plan.iter()
                .any(|l| l.contains("Scan Backward using t_at_idx")),
            "{plan:?}"
        );
        let sql = "select id from t order by at desc limit $1 offset $2";
        let page = client.prepare(sql).await.unwrap();
        let all = client
            .query("select id from t order by at desc", &[])
            .await
            .unwrap();
        let all: Vec<i32> = all.iter().map(|r| r.get(0)).collect();
        // More kinds than there are plans kept, and back to the first.
        let numbers = [
            0_i64, 1, 2, 3, 8, 9, 64, 100, 1000, 4999, 5000, 6000, 20_000, 3,
        ];
        for limit in numbers {
            for offset in [0_i64, 5, 4096] {
                let rows = client.query(&page, &[&limit, &offset]).await.unwrap();
                let ids: Vec<i32> = rows.iter().map(|r| r.get(0)).collect();
                let (from, n) = (offset as usize, limit as usize);
                let expected: Vec<i32> = all.iter().skip(from).take(n).copied().collect();
                assert_eq!(ids, expected, "limit {limit} offset {offset}");
            }
        }
        let none: Option<i64> = None;
        let rows = client.query(&page, &[&none, &none]).await.unwrap();
        assert_eq!(rows.len(), 5000);
        let failed = client.query(&page, &[&-1_i64, &0_i64]).await.unwrap_err();
        assert_eq!(code(&failed), "2201W");
    });
}

#[test]
fn set_config_tells_the_client_what_set_tells() {
    on_server(1, &[], async |server, _| {
        let config = format!("host=127.0.0.1 port={} user=rustydb", server.port);
        let connected = tokio_postgres::connect(&config, tokio_postgres::NoTls);
        let (client, mut connection) = connected.await.unwrap();
        let work = async {
            let zone = "select set_config('TimeZone', 'America/Chicago', false)";
            client.simple_query(zone).await.unwrap();
            let name = "select set_config('application_name', 'x', false)";
            client.query_one(name, &[]).await.unwrap();
        };
        tokio::select! {
            () = work => {}
            _ = std::future::poll_fn(|cx| connection.poll_message(cx)) => panic!("it has ended"),
        }
        let zone = connection.parameter("TimeZone");
        assert_eq!(zone, Some("America/Chicago"));
        assert_eq!(connection.parameter("application_name"), Some("x"));
    });
}
