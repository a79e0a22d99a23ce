//! Enums keep their order and their labels over restarts, layouts and changes of the type, and drivers know them.

use crate::support::{after_a_kill, code, on_server, run, value};
use bytes::BytesMut;
use futures_util::SinkExt;
use tokio_postgres::types::{FromSql, IsNull, Kind, ToSql, Type, to_sql_checked};

const TYPE: &str = "create type mood as enum ('sad', 'ok', 'happy')";

/// A label, as drivers send and read it.
#[derive(Debug, PartialEq)]
struct Mood(String);

fn mood(label: &str) -> Mood {
    Mood(label.into())
}

impl ToSql for Mood {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        matches!(ty.kind(), Kind::Enum(_))
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Mood {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Mood, Box<dyn std::error::Error + Sync + Send>> {
        Ok(mood(std::str::from_utf8(raw)?))
    }

    fn accepts(ty: &Type) -> bool {
        matches!(ty.kind(), Kind::Enum(_))
    }
}

#[test]
fn drivers_send_and_read_labels_by_the_types_oid() {
    for cores in [1, 2, 4] {
        on_server(cores, &[], async |_, client| {
            run(&client, TYPE).await;
            run(
                &client,
                "create table p (m mood primary key, all_of mood[], n int)",
            )
            .await;
            let insert = "insert into p values ($1, $2, $3)";
            let insert = client.prepare(insert).await.unwrap();
            let Kind::Enum(labels) = insert.params()[0].kind() else {
                panic!("{:?}", insert.params());
            };
            assert_eq!(labels, &["sad", "ok", "happy"]);
            for (n, label) in ["happy", "sad", "ok"].into_iter().enumerate() {
                let list = vec![mood(label), mood("ok")];
                let params: &[&(dyn ToSql + Sync)] = &[&mood(label), &list, &(n as i32)];
                client.execute(&insert, params).await.unwrap();
            }
            let wrong: &[&(dyn ToSql + Sync)] = &[&mood("angry"), &None::<Vec<Mood>>, &9i32];
            let e = client.execute(&insert, wrong).await.unwrap_err();
            assert_eq!(code(&e), "22P02");
            let message = e.as_db_error().unwrap().message();
            assert_eq!(message, "invalid input value for enum mood: \"angry\"");
            let rows = client
                .query("select m, all_of from p order by m", &[])
                .await;
            let rows: Vec<(Mood, Vec<Mood>)> =
                rows.unwrap().iter().map(|r| (r.get(0), r.get(1))).collect();
            let wanted = ["sad", "ok", "happy"].map(|l| (mood(l), vec![mood(l), mood("ok")]));
            assert_eq!(rows, wanted);
            let one = "select n from p where m = $1";
            let n: i32 = client.query_one(one, &[&mood("ok")]).await.unwrap().get(0);
            assert_eq!(n, 2);
            let twice: &[&(dyn ToSql + Sync)] = &[&mood("ok"), &None::<Vec<Mood>>, &9i32];
            let e = client.execute(&insert, twice).await.unwrap_err();
            let detail = e.as_db_error().unwrap().detail().unwrap();
            assert_eq!(detail, "Key (m)=(ok) already exists.");
        });
    }
}

#[test]
fn labels_come_and_change_without_a_look_at_stored_rows() {
    after_a_kill(
        async |client| {
            run(client, TYPE).await;
            run(
                client,
                "create table p (id int primary key, m mood, ms mood[]); create index on p (m)",
            )
            .await;
            run(client, "insert into p select g, (enum_range(null::mood))[1 + g % 3], array['sad'::mood] from generate_series(1, 300) g").await;
            run(client, "alter type mood add value 'worst' before 'sad'; alter type mood add value 'meh' before 'ok'").await;
            run(
                client,
                "insert into p values (301, 'worst', '{meh,worst}'), (302, 'meh', null)",
            )
            .await;
            run(client, "alter type mood rename value 'happy' to 'glad'").await;
        },
        async |client| {
            let order =
                "select string_agg(m::text, ' ' order by m) from (select distinct m from p) x";
            let labels: String = value(client, order).await;
            assert_eq!(labels, "worst sad meh ok glad");
            let below = "select count(*) from p where m < 'ok'";
            assert_eq!(value::<i64>(client, below).await, 102);
            let glad = "select count(*) from p where m = 'glad'";
            assert_eq!(value::<i64>(client, glad).await, 100);
            let array = "select ms::text from p where id = 301";
            assert_eq!(value::<String>(client, array).await, "{meh,worst}");
        },
    );
}

#[test]
fn copy_reads_and_writes_labels() {
    on_server(2, &[], async |_, client| {
        run(&client, TYPE).await;
        run(&client, "create table p (m mood, ms mood[])").await;
        let sink = client.copy_in("copy p from stdin").await.unwrap();
        let mut sink = std::pin::pin!(sink);
        let lines = bytes::Bytes::from_static(b"happy\t{sad,NULL}\nsad\t\\N\n");
        sink.send(lines).await.unwrap();
        assert_eq!(sink.finish().await.unwrap(), 2);
        let sink = client.copy_in("copy p from stdin").await.unwrap();
        let mut sink = std::pin::pin!(sink);
        let sent = sink.send(bytes::Bytes::from_static(b"angry\t\\N\n")).await;
        let e = match sent {
            Ok(()) => sink.finish().await.unwrap_err(),
            Err(e) => e,
        };
        assert_eq!(code(&e), "22P02");
        let out = client
            .copy_out("copy (select * from p order by m) to stdout")
            .await
            .unwrap();
        let parts: Vec<_> = futures_util::TryStreamExt::try_collect(out).await.unwrap();
        let text: Vec<u8> = parts
            .iter()
            .flat_map(|b: &bytes::Bytes| b.to_vec())
            .collect();
        assert_eq!(text, b"sad\t\\N\nhappy\t{sad,NULL}\n");
    });
}
