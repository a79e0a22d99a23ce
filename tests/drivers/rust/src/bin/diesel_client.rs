//! Diesel over libpq, against the server that PGHOST and its kin name. Exits 0 when every check holds.

use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error};

diesel::table! {
    author (id) {
        id -> Integer,
        name -> Text,
    }
}

diesel::table! {
    book (id) {
        id -> Integer,
        author_id -> Integer,
        title -> Text,
        pages -> Nullable<BigInt>,
        tags -> Array<Text>,
    }
}

diesel::joinable!(book -> author (author_id));
diesel::allow_tables_to_appear_in_same_query!(author, book);

#[derive(Insertable)]
#[diesel(table_name = book)]
struct New<'a> {
    author_id: i32,
    title: &'a str,
    pages: Option<i64>,
    tags: Vec<String>,
}

#[derive(Queryable, Selectable, Debug, PartialEq)]
#[diesel(table_name = book, check_for_backend(diesel::pg::Pg))]
struct Book {
    title: String,
    pages: Option<i64>,
    tags: Vec<String>,
}

fn main() {
    if std::env::args().any(|a| a == "--probe") {
        return;
    }
    // All of it is in libpq's environment.
    let mut conn = PgConnection::establish("postgresql://").unwrap();
    conn.batch_execute(
        "create table author (id serial primary key, name text not null unique);
         create table book (id serial primary key, author_id int not null references author, title text not null,
            pages bigint, tags text[] not null);",
    )
    .unwrap();
    run(&mut conn).unwrap();
    conn.batch_execute("drop table book, author").unwrap();
}

fn run(conn: &mut PgConnection) -> QueryResult<()> {
    let names = ["ann", "bob"].map(|n| author::name.eq(n));
    let ids: Vec<i32> = diesel::insert_into(author::table).values(names).returning(author::id).get_results(conn)?;
    assert_eq!(ids, [1, 2]);
    let new = |author_id, title, pages| New { author_id, title, pages, tags: vec!["t".into()] };
    diesel::insert_into(book::table)
        .values([new(1, "one", Some(10)), new(1, "two", None), new(2, "three", Some(30))])
        .execute(conn)?;
    let again = diesel::insert_into(author::table).values(author::name.eq("ann"));
    match again.execute(conn) {
        Err(Error::DatabaseError(DatabaseErrorKind::UniqueViolation, about)) => {
            assert_eq!(about.constraint_name(), Some("author_name_key"));
        }
        other => panic!("{other:?}"),
    }
    diesel::insert_into(author::table)
        .values(author::name.eq("ann"))
        .on_conflict(author::name)
        .do_update()
        .set(author::name.eq("Ann"))
        .execute(conn)?;
    let found: Vec<(String, Book)> = book::table
        .inner_join(author::table)
        .filter(book::title.like("t%").or(book::pages.gt(5)))
        .order((author::name.desc(), book::title))
        .select((author::name, Book::as_select()))
        .load(conn)?;
    let shown: Vec<String> = found.iter().map(|(a, b)| format!("{a} {} {:?}", b.title, b.pages)).collect();
    assert_eq!(shown, ["bob three Some(30)", "Ann one Some(10)", "Ann two None"]);
    let counts: Vec<(i32, i64)> = book::table
        .group_by(book::author_id)
        .select((book::author_id, diesel::dsl::count_star()))
        .order(book::author_id)
        .load(conn)?;
    assert_eq!(counts, [(1, 2), (2, 1)]);
    assert_eq!(diesel::update(book::table.find(1)).set(book::pages.eq(book::pages + 1)).execute(conn)?, 1);
    let undone = conn.transaction::<(), Error, _>(|conn| {
        diesel::delete(book::table).execute(conn)?;
        let inner = conn.transaction::<(), Error, _>(|conn| diesel::sql_query("select 1 / 0").execute(conn).map(drop));
        assert!(inner.is_err());
        assert_eq!(book::table.count().get_result::<i64>(conn)?, 0);
        Err(Error::RollbackTransaction)
    });
    assert!(matches!(undone, Err(Error::RollbackTransaction)));
    let any: Vec<Option<i64>> = book::table
        .filter(book::id.eq_any([1, 3]))
        .order(book::id)
        .select(book::pages)
        .for_update()
        .load(conn)?;
    assert_eq!(any, [Some(11), Some(30)]);
    Ok(())
}
