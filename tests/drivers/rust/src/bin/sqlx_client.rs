//! sqlx, against the server that PGHOST and its kin name. Exits 0 when every check holds.
//! Without `describe`, which the checked macros use: it is an EXPLAIN of an EXECUTE.

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Acquire, Row};
use std::borrow::Cow;

type Thing = (i32, String, Option<Vec<String>>);

fn main() {
    if std::env::args().any(|a| a == "--probe") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(run()).unwrap();
}

async fn run() -> Result<(), sqlx::Error> {
    let pool = PgPoolOptions::new().max_connections(3).connect_with(PgConnectOptions::new()).await?;
    // Migrations take an advisory lock and keep a table of their own.
    let sql = "create table thing (id serial primary key, name text not null, tags text[], n bigint default 1);
        create unique index thing_name on thing (lower(name)) where n > 0;";
    let migrator = Migrator {
        migrations: Cow::Owned(vec![Migration::new(
            1,
            Cow::Borrowed("things"),
            MigrationType::Simple,
            Cow::Borrowed(sql),
            false,
        )]),
        ..Migrator::DEFAULT
    };
    migrator.run(&pool).await?;
    migrator.run(&pool).await?;

    let id: i32 = sqlx::query_scalar("insert into thing (name, tags) values ($1, $2) returning id")
        .bind("Ann")
        .bind(vec!["x".to_string(), "y,z".to_string()])
        .fetch_one(&pool)
        .await?;
    assert_eq!(id, 1);
    let refused = sqlx::query("insert into thing (name) values ('ANN')").execute(&pool).await;
    let refused = refused.unwrap_err();
    let refused = refused.as_database_error().unwrap();
    assert!(refused.is_unique_violation());
    assert_eq!(refused.constraint(), Some("thing_name"));
    let merged = "insert into thing (name) values ('ANN')
        on conflict (lower(name)) where n > 0 do update set n = thing.n + 1 returning n";
    assert_eq!(sqlx::query_scalar::<_, i64>(merged).fetch_one(&pool).await?, 2);

    let things: Vec<Thing> = sqlx::query_as("select id, name, tags from thing where id = any($1)")
        .bind(vec![1, 2])
        .fetch_all(&pool)
        .await?;
    let tags = Some(vec!["x".into(), "y,z".into()]);
    assert_eq!(things, [(1, "Ann".to_string(), tags)]);

    let mut conn = pool.acquire().await?;
    let mut outer = conn.begin().await?;
    sqlx::query("delete from thing").execute(&mut *outer).await?;
    let mut inner = outer.begin().await?;
    assert!(sqlx::query("select 1 / 0").execute(&mut *inner).await.is_err());
    inner.rollback().await?;
    let count: i64 = sqlx::query_scalar("select count(*) from thing").fetch_one(&mut *outer).await?;
    assert_eq!(count, 0);
    outer.rollback().await?;

    let row = sqlx::query("select 1::int2 a, 2.5::float8 b, null::text c, true d").fetch_one(&mut *conn).await?;
    assert_eq!((row.get::<i16, _>("a"), row.get::<f64, _>("b")), (1, 2.5));
    assert_eq!((row.get::<Option<String>, _>("c"), row.get::<bool, _>("d")), (None, true));
    sqlx::raw_sql("drop table thing; drop table _sqlx_migrations").execute(&mut *conn).await?;
    Ok(())
}
