//! What statements bind to, as tables: SQL to columns, and SQL to the error PostgreSQL gives.

mod ceilings;

use super::{BindEnv, Bound, CopyFormat, CopyOptions, Statement, bind, parse};
use engine::catalog::{Catalog, ColumnDef, Index, KeyPart, Table};
use engine::exec::{Context, SessionInfo};
use engine::plan::{Ddl, Plan};
use std::sync::Arc;
use types::{DataType, Error, Result, TableId, TreeId};

fn column(name: &str, ty: DataType, typmod: i32, not_null: bool) -> ColumnDef {
    ColumnDef {
        typmod,
        not_null,
        ..ColumnDef::new(name, ty, 1)
    }
}

fn table(id: u32, name: &str, mut columns: Vec<ColumnDef>, key: Vec<usize>) -> Table {
    for (at, column) in columns.iter_mut().enumerate() {
        column.number = at as i16 + 1;
    }
    Table {
        id: TableId(id),
        schema: "public".into(),
        name: name.into(),
        tree: TreeId(id),
        columns,
        primary_key: key,
        primary_key_id: TableId(id + 1),
        primary_key_name: format!("{name}_pkey"),
        ..Table::default()
    }
}

/// `t(a int4 key, b text, c numeric(10,2), d timestamptz, e bool)`, `u(a int8, x varchar(10) unique, y int4)`.
fn catalog() -> Catalog {
    let mut catalog = Catalog::empty(2);
    let t = table(
        16384,
        "t",
        vec![
            column("a", DataType::Int4, -1, true),
            column("b", DataType::Text, -1, false),
            column("c", DataType::Numeric, ((10 << 16) | 2) + 4, false),
            column("d", DataType::Timestamptz, -1, false),
            column("e", DataType::Bool, -1, false),
        ],
        vec![0],
    );
    let mut u = table(
        16400,
        "u",
        vec![
            column("a", DataType::Int8, -1, false),
            column("x", DataType::Varchar, 14, false),
            column("y", DataType::Int4, -1, false),
        ],
        vec![],
    );
    u.indexes.push(Arc::new(Index {
        id: TableId(16402),
        name: "u_x_key".into(),
        tree: TreeId(16402),
        parts: vec![KeyPart::ascending(1)],
        unique: true,
        constraint: true,
        ..Index::default()
    }));
    for t in [t, u] {
        catalog.tables.insert(t.id, Arc::new(t));
    }
    catalog
}

fn bound_with(sql: &str, types: &[Option<DataType>]) -> Result<Bound> {
    let catalog = Arc::new(catalog());
    let context = Context {
        params: Vec::new(),
        catalog: catalog.clone(),
        transaction_micros: 0,
        statement_micros: 0,
        session: Arc::new(SessionInfo {
            cursors: None,
            user: "rustydb".into(),
            database: "rustydb".into(),
            backend_pid: 1,
            client_addr: None,
            server_port: 5433,
            server_start_micros: 0,
            forms: ::types::text::Forms::UTC,
            settings: Arc::default(),
        }),
        backup: None,
        building: Vec::new(),
        triggers_deep: 0,
    };
    let env = BindEnv {
        catalog: &catalog,
        param_types: types,
        context: &context,
        rows: &[],
    };
    let mut parsed = parse(sql)?;
    let Some(statement) = parsed.pop() else {
        return Err(Error::internal("nothing to bind"));
    };
    bind(&statement, &env)
}

fn bound(sql: &str) -> Result<Bound> {
    bound_with(sql, &[])
}

/// `name type, …` of what a statement returns.
fn shape(sql: &str) -> String {
    match bound(sql) {
        Ok(b) => match b.columns {
            Some(columns) => columns
                .iter()
                .map(|c| format!("{} {}", c.name, c.ty.name()))
                .collect::<Vec<_>>()
                .join(", "),
            None => "-".into(),
        },
        Err(e) => format!("{} {}", e.code(), e.message()),
    }
}

fn check(cases: &[(&str, &str)]) {
    let mut wrong = String::new();
    for (sql, expected) in cases {
        let got = shape(sql);
        if got != *expected {
            wrong.push_str(&format!("{sql}\n  want {expected}\n  got  {got}\n"));
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

const SHAPES: &[(&str, &str)] = &[
    ("select 1", "?column? int4"),
    (
        "select 3000000000, 1.5, 1e3",
        "?column? int8, ?column? numeric, ?column? numeric",
    ),
    (
        "select -2147483648, -9223372036854775808",
        "?column? int4, ?column? int8",
    ),
    (
        "select 'x', null, true",
        "?column? text, ?column? text, ?column? bool",
    ),
    (
        "select a, b as bb, t.c from t",
        "a int4, bb text, c numeric",
    ),
    (
        "select * from t",
        "a int4, b text, c numeric, d timestamptz, e bool",
    ),
    (
        "select t.*, u.x from t, u",
        "a int4, b text, c numeric, d timestamptz, e bool, x varchar",
    ),
    (
        "select a + 1, a::int8, cast(a as text), 'x'::varchar(3) from t",
        "?column? int4, a int8, a text, varchar varchar",
    ),
    (
        "select count(*), sum(a), avg(c), max(b) from t",
        "count int8, sum int8, avg numeric, max text",
    ),
    (
        "select case when a = 1 then 'x' else b end from t",
        "b text",
    ),
    (
        "select case when a = 1 then 1 else 2.5 end from t",
        "case numeric",
    ),
    (
        "select coalesce(b, 'x'), nullif(a, 1), greatest(a, 2) from t",
        "coalesce text, nullif int4, greatest int4",
    ),
    (
        "select exists(select 1), (select a from t limit 1), array[1, 2]",
        "exists bool, a int4, array _int4",
    ),
    (
        "select a in (1, 2), a between 1 and 2, b like 'x%' from t",
        "?column? bool, ?column? bool, ?column? bool",
    ),
    (
        "select * from t join u using (a)",
        "a int8, b text, c numeric, d timestamptz, e bool, x varchar, y int4",
    ),
    (
        "select * from t natural left join u",
        "a int8, b text, c numeric, d timestamptz, e bool, x varchar, y int4",
    ),
    (
        "select * from (values (1, 'a'), (2, 'b')) v(n, s)",
        "n int4, s text",
    ),
    ("values (1, 2.5), (2, 3)", "column1 int4, column2 numeric"),
    (
        "select 1 as n union all select 2.5 union all select null",
        "n numeric",
    ),
    (
        "with q as (select a from t) select q.a, r.a as ra from q, q r",
        "a int4, ra int4",
    ),
    (
        "select a, count(*) from t group by a having count(*) > 1 order by 2 desc, a",
        "a int4, count int8",
    ),
    (
        "select b, t.* from t group by a",
        "b text, a int4, b text, c numeric, d timestamptz, e bool",
    ),
    (
        "select distinct on (b) b, a from t order by b, a desc",
        "b text, a int4",
    ),
    (
        "insert into t values (1, 'x') returning a, b",
        "a int4, b text",
    ),
    ("insert into t (a) select y from u", "-"),
    (
        "update t set b = 'z', c = c + 1 where a = 1 returning *",
        "a int4, b text, c numeric, d timestamptz, e bool",
    ),
    ("delete from t where a in (select a from u)", "-"),
    (
        "create table z (id int primary key, v varchar(5) default 'x' check (v <> ''))",
        "-",
    ),
    ("show all", "name text, setting text, description text"),
    ("explain select 1", "QUERY PLAN text"),
    (
        "select t.a from t where exists (select 1 from u where u.a = t.a)",
        "a int4",
    ),
    (
        "select g, s from generate_series(1, 3) g, lateral (select g * 2 as s) q",
        "g int4, s int4",
    ),
    (
        "select (select count(*) from u where u.a = t.a) from t group by t.a",
        "count int8",
    ),
    (
        "select (a, b) = (1, 'x'), (a, b) in ((1, 'x')) from t",
        "?column? bool, ?column? bool",
    ),
    (
        "select current_user, current_schema",
        "current_user name, current_schema name",
    ),
];

#[test]
fn columns_are_named_and_typed_as_postgresql_does() {
    check(SHAPES);
}

const MISTAKES: &[(&str, &str)] = &[
    ("selct 1", "42601 syntax error at or near \"selct\""),
    ("select 1 from", "42601 syntax error at end of input"),
    (
        "select * from nosuch",
        "42P01 relation \"nosuch\" does not exist",
    ),
    (
        "select nosuch from t",
        "42703 column \"nosuch\" does not exist",
    ),
    (
        "select t.nosuch from t",
        "42703 column t.nosuch does not exist",
    ),
    (
        "select q.a from t",
        "42P01 missing FROM-clause entry for table \"q\"",
    ),
    (
        "select t.a from t q",
        "42P01 invalid reference to FROM-clause entry for table \"t\"",
    ),
    (
        "select a from t, u",
        "42702 column reference \"a\" is ambiguous",
    ),
    (
        "select 1 from t, t",
        "42712 table name \"t\" specified more than once",
    ),
    (
        "select a from t where a",
        "42804 argument of WHERE must be type boolean, not type integer",
    ),
    (
        "select b, count(*) from t group by e",
        "42803 column \"t.b\" must appear in the GROUP BY clause or be used in an aggregate function",
    ),
    (
        "select a from t where count(*) > 1",
        "42803 aggregate functions are not allowed in WHERE",
    ),
    (
        "select sum(count(*)) from t",
        "42803 aggregate function calls cannot be nested",
    ),
    (
        "select nosuch(1)",
        "42883 function nosuch(integer) does not exist",
    ),
    (
        "select 1 + true",
        "42883 operator does not exist: integer + boolean",
    ),
    (
        "select 'x'::int4",
        "22P02 invalid input syntax for type integer: \"x\"",
    ),
    ("select 1::nosuch", "42704 type \"nosuch\" does not exist"),
    (
        "select true::timestamptz",
        "42846 cannot cast type boolean to timestamp with time zone",
    ),
    (
        "select a from t order by 3",
        "42P10 ORDER BY position 3 is not in select list",
    ),
    (
        "select distinct a from t order by b",
        "42P10 for SELECT DISTINCT, ORDER BY expressions must appear in select list",
    ),
    (
        "select 1 union select 1, 2",
        "42601 each UNION query must have the same number of columns",
    ),
    (
        "select 1 union select true",
        "42804 UNION types integer and boolean cannot be matched",
    ),
    (
        "values (1), (2, 3)",
        "42601 VALUES lists must all be the same length",
    ),
    (
        "insert into t (a) values (1, 2)",
        "42601 INSERT has more expressions than target columns",
    ),
    (
        "insert into t (a, b) values (1)",
        "42601 INSERT has more target columns than expressions",
    ),
    (
        "insert into t (a, a) values (1, 2)",
        "42701 column \"a\" specified more than once",
    ),
    (
        "insert into t (zz) values (1)",
        "42703 column \"zz\" of relation \"t\" does not exist",
    ),
    (
        "insert into t (a) values (true)",
        "42804 column \"a\" is of type integer but expression is of type boolean",
    ),
    (
        "insert into t values (1) on conflict (b) do nothing",
        "42P10 there is no unique or exclusion constraint matching the ON CONFLICT specification",
    ),
    (
        "insert into u values (1) on conflict (x) do update set y = y",
        "42702 column reference \"y\" is ambiguous",
    ),
    (
        "update t set a = 1, a = 2",
        "42601 multiple assignments to same column \"a\"",
    ),
    (
        "update t set a = 1 from u, t",
        "42712 table name \"t\" specified more than once",
    ),
    (
        "select distinct a from t for update",
        "0A000 FOR UPDATE is not allowed with DISTINCT clause",
    ),
    (
        "select ctid from t",
        "0A000 system column ctid is not supported",
    ),
    (
        "select $1 is null",
        "42P18 could not determine data type of parameter $1",
    ),
    ("select $0", "42P02 there is no parameter $0"),
    (
        "select * from (select 1)",
        "42601 subquery in FROM must have an alias",
    ),
    (
        "select (select 1, 2)",
        "42601 subquery must return only one column",
    ),
    (
        "select *",
        "42601 SELECT * with no tables specified is not valid",
    ),
    (
        "create table z (a int, a int)",
        "42701 column \"a\" specified more than once",
    ),
    (
        "create table z (a int primary key, b int primary key)",
        "42P16 multiple primary keys for table \"z\" are not allowed",
    ),
    (
        "create table nosuch.z (a int)",
        "3F000 schema \"nosuch\" does not exist",
    ),
];

#[test]
fn mistakes_get_postgresql_s_errors() {
    check(MISTAKES);
}

#[test]
fn parameters_take_their_type_from_where_they_stand() {
    let cases: &[(&str, &[DataType])] = &[
        ("select a from t where a = $1", &[DataType::Int4]),
        ("select $1", &[DataType::Text]),
        (
            "insert into t (c, d, e) values ($1, $2, $3)",
            &[DataType::Numeric, DataType::Timestamptz, DataType::Bool],
        ),
        (
            "insert into t (a, b) select $1, $2",
            &[DataType::Int4, DataType::Text],
        ),
        (
            "update t set c = c + $1 where a = $2",
            &[DataType::Numeric, DataType::Int4],
        ),
        (
            "select a from t limit $1 offset $2",
            &[DataType::Int8, DataType::Int8],
        ),
        ("select a from t where a = any($1)", &[DataType::Int4Array]),
        (
            "select a from t where a in ($1, $2)",
            &[DataType::Int4, DataType::Int4],
        ),
        ("select $1::int8 + 1", &[DataType::Int8]),
    ];
    for (sql, types) in cases {
        match bound(sql) {
            Ok(b) => assert_eq!(*b.params, **types, "{sql}"),
            Err(e) => panic!("{sql}: {e}"),
        }
    }
}

#[test]
fn errors_point_at_the_character_where_postgresql_points() {
    for (sql, position) in [
        ("select nosuch from t", 8),
        ("select a\nfrom nosuch", 15),
        ("select 'ä', nosuch", 13),
        ("select 'abc'::int4 x y", 22),
        ("select 1; select nosuch", 18),
    ] {
        let e = bound(sql).expect_err(sql);
        assert_eq!(e.position(), Some(position), "{sql}: {e}");
    }
}

#[test]
fn a_script_is_cut_into_its_statements() {
    let texts = |sql: &str| -> Vec<String> {
        let parsed = parse(sql).expect(sql);
        parsed.iter().map(|p| p.text.to_string()).collect()
    };
    assert_eq!(
        texts("select 1; ; select 'a;b' ;"),
        ["select 1", "select 'a;b'"]
    );
    assert_eq!(texts(" -- nothing\n;"), [""; 0]);
    assert_eq!(texts("select 'ü'; select 2"), ["select 'ü'", "select 2"]);
}

#[test]
fn what_pgbench_sends_binds() {
    for sql in [
        "drop table if exists pgbench_accounts, pgbench_branches, pgbench_history, pgbench_tellers",
        "create table pgbench_accounts(aid int not null,bid int,abalance int,filler char(84)) with (fillfactor=100)",
        "truncate table t, u",
        "copy t from stdin with (freeze on)",
        "vacuum analyze t",
        "alter table u add primary key (a)",
        "BEGIN;",
        "END;",
    ] {
        if let Err(e) = bound(sql) {
            panic!("{sql}: {e}");
        }
    }
}

/// What a statement binds to, in Rust's own notation.
fn debug(sql: &str) -> String {
    match bound(sql) {
        Ok(b) => format!("{:?}", b.statement),
        Err(e) => e.to_string(),
    }
}

#[test]
fn settings_are_read_in_every_spelling() {
    let set = |name: &str, value: &str, local: bool| {
        format!("Set {{ name: \"{name}\", value: {value}, local: {local} }}")
    };
    for (sql, name, value, local) in [
        ("set x to 'y'", "x", "Some(\"y\")", false),
        ("SET LOCAL Work_Mem = 64", "work_mem", "Some(\"64\")", true),
        ("set session a.b = on", "a.b", "Some(\"on\")", false),
        ("set time zone 'UTC'", "timezone", "Some(\"UTC\")", false),
        ("set time zone local", "timezone", "None", false),
        (
            "set names 'utf8'",
            "client_encoding",
            "Some(\"utf8\")",
            false,
        ),
        (
            "set datestyle to iso, mdy",
            "datestyle",
            "Some(\"iso, mdy\")",
            false,
        ),
        ("set x to default", "x", "None", false),
        (
            "set extra_float_digits = -3",
            "extra_float_digits",
            "Some(\"-3\")",
            false,
        ),
        (
            "set search_path to \"$user\", public",
            "search_path",
            "Some(\"\\\"$user\\\", public\")",
            false,
        ),
    ] {
        assert_eq!(debug(sql), set(name, value, local), "{sql}");
    }
    assert_eq!(debug("show time zone"), "Show { name: \"TimeZone\" }");
    assert_eq!(
        debug("show transaction isolation level"),
        "Show { name: \"transaction_isolation\" }"
    );
    assert_eq!(debug("reset all"), "Reset { name: None }");
    assert_eq!(debug("discard all"), "Discard(All)");
    assert_eq!(debug("unlisten *"), "Unlisten { channel: None }");
    assert_eq!(debug("close all"), "Close { name: None }");
    assert_eq!(debug("deallocate all"), "Deallocate { name: None }");
}

#[test]
fn transactions_are_read_in_every_spelling() {
    let begin = |start: bool, i: &str, r: &str| {
        format!("Begin {{ start: {start}, isolation: {i}, read_only: {r} }}")
    };
    for (sql, isolation, read_only) in [
        ("begin", "None", "None"),
        ("begin work", "None", "None"),
        ("start transaction read only", "None", "Some(true)"),
        (
            "begin isolation level serializable, read write",
            "Some(Serializable)",
            "Some(false)",
        ),
        (
            "begin transaction isolation level repeatable read",
            "Some(RepeatableRead)",
            "None",
        ),
        (
            "begin isolation level read uncommitted not deferrable",
            "Some(ReadCommitted)",
            "None",
        ),
    ] {
        let start = sql.starts_with("start");
        assert_eq!(debug(sql), begin(start, isolation, read_only), "{sql}");
    }
    for sql in [
        "commit",
        "end",
        "commit work and no chain",
        "END TRANSACTION",
    ] {
        assert_eq!(debug(sql), "Commit { chain: false }", "{sql}");
    }
    for sql in ["rollback", "abort", "rollback transaction"] {
        assert_eq!(debug(sql), "Rollback { chain: false }", "{sql}");
    }
    assert_eq!(
        debug("set session characteristics as transaction isolation level serializable"),
        "SetTransaction { isolation: Some(Serializable), read_only: None, session: true }"
    );
}

#[test]
fn copy_takes_old_and_new_options() {
    let options = |sql: &str| match bound(sql).map(|b| b.statement) {
        Ok(Statement::CopyFrom { options, .. } | Statement::CopyTo { options, .. }) => options,
        other => panic!("{sql}: {other:?}"),
    };
    let text = CopyOptions::of(CopyFormat::Text);
    let csv = CopyOptions::of(CopyFormat::Csv);
    assert_eq!(options("copy t from stdin"), text);
    assert_eq!(options("copy t to stdout with (format csv)"), csv);
    assert_eq!(options("copy t (a, b) to stdout csv"), csv);
    assert_eq!(options("copy (select 1) to stdout with csv"), csv);
    let freeze = CopyOptions {
        freeze: true,
        ..text.clone()
    };
    assert_eq!(options("copy t from stdin with (freeze on)"), freeze);
    let header = CopyOptions {
        header: true,
        delimiter: b';',
        ..csv
    };
    assert_eq!(
        options("copy t from stdin csv header delimiter as ';'"),
        header
    );
    let null = CopyOptions {
        null: "-".into(),
        ..text
    };
    assert_eq!(options("copy t from stdin with null as '-'"), null);
    assert_eq!(options("copy t from stdin (null '-')"), null);
    let columns = match bound("copy t (c, a) from stdin").map(|b| b.statement) {
        Ok(Statement::CopyFrom { columns, .. }) => columns,
        other => panic!("{other:?}"),
    };
    assert_eq!(columns, [2, 0]);
    for (sql, message) in [
        (
            "copy t from stdin (format nosuch)",
            "COPY format \"nosuch\" not recognized",
        ),
        (
            "copy t from stdin (delimiter 'ab')",
            "COPY delimiter must be a single one-byte character",
        ),
        (
            "copy t (zz) from stdin",
            "column \"zz\" of relation \"t\" does not exist",
        ),
        (
            "copy t from '/etc/passwd'",
            "COPY to or from files of the server is not supported",
        ),
    ] {
        let e = bound(sql).expect_err(sql);
        assert_eq!(e.message(), message, "{sql}");
    }
}

#[test]
fn a_table_s_definition_is_complete() {
    let sql = "create table z (id int, n numeric(5,1) not null default 0 check (n >= 0), s text default 'x', \
               primary key (id), unique (s, n), check (n < 10), constraint named check (id <> 7))";
    let Ok(Statement::Ddl(Ddl::CreateTable(t))) = bound(sql).map(|b| b.statement) else {
        panic!("{}", debug(sql));
    };
    let columns: Vec<_> = t
        .columns
        .iter()
        .map(|c| (c.name.as_str(), c.typmod, c.not_null))
        .collect();
    assert_eq!(
        columns,
        [
            ("id", -1, true),
            ("n", ((5 << 16) | 1) + 4, true),
            ("s", -1, false)
        ]
    );
    assert_eq!(t.primary_key.map(|k| k.columns), Some(vec![0]));
    let uniques: Vec<_> = t.uniques.iter().map(|k| k.columns.clone()).collect();
    assert_eq!(uniques, [vec![2, 1]]);
    let checks: Vec<_> = t
        .checks
        .iter()
        .map(|c| (c.name.as_str(), c.sql.as_str()))
        .collect();
    assert_eq!(
        checks,
        [
            ("z_n_check", "(n >= 0)"),
            ("z_n_check1", "(n < 10)"),
            ("named", "(id <> 7)")
        ]
    );
    let defaults: Vec<_> = t
        .columns
        .iter()
        .map(|c| c.default.as_ref().map(|d| d.sql.as_str()))
        .collect();
    assert_eq!(defaults, [None, Some("0"), Some("'x'::text")]);
}

#[test]
fn inserted_rows_are_as_wide_as_the_table() {
    for sql in [
        "insert into t (b) values ('x')",
        "insert into t default values",
        "insert into t (c, a) select y, a from u",
        "insert into t values (1), (2)",
    ] {
        let Ok(Statement::Insert(insert)) = bound(sql).map(|b| b.statement) else {
            panic!("{}", debug(sql));
        };
        let widths: Vec<usize> = match &insert.source {
            Plan::Values { rows } => rows.iter().map(Vec::len).collect(),
            Plan::Project { exprs, .. } => vec![exprs.len()],
            Plan::Scan(s) => vec![s.project.as_ref().map_or(0, Vec::len)],
            other => panic!("{sql}: {other:?}"),
        };
        assert!(widths.iter().all(|w| *w == 5), "{sql}: {widths:?}");
    }
}
