"""psycopg 3 against the server that PGHOST, PGPORT, PGUSER and PGDATABASE name. Exits 0 when every check holds."""

import datetime as dt
import decimal
import threading
import time
import uuid

import psycopg
from psycopg.types.json import Jsonb

UTC = dt.timezone.utc
VALUES = [
    ("boolean", True),
    ("smallint", -32768),
    ("integer", 2147483647),
    ("bigint", -9223372036854775808),
    ("real", 1.5),
    ("double precision", 0.1),
    ("numeric", decimal.Decimal("12345678901234567890.0987654321")),
    ("numeric(10,2)", decimal.Decimal("-0.50")),
    ("text", "é😀 'quoted' \\ back\nline"),
    ("varchar(10)", "varying"),
    ("char(5)", "ab   "),
    ("bytea", bytes(range(256))),
    ("date", dt.date(2024, 2, 29)),
    ("time", dt.time(23, 59, 59, 999999)),
    ("timestamp", dt.datetime(1999, 12, 31, 23, 59, 59, 123456)),
    ("timestamptz", dt.datetime(2024, 6, 1, 12, 0, 0, 1, tzinfo=UTC)),
    ("interval", dt.timedelta(days=-3, hours=4, microseconds=5)),
    ("uuid", uuid.UUID("12345678-1234-5678-1234-567812345678")),
    ("jsonb", {"a": [1, 2.5, None, "x"], "b": {"c": True}}),
    ("integer[]", [1, None, 3]),
    ("text[]", ["a b", "", "c,d", 'q"q']),
]


def parameter(sql_type, value):
    return Jsonb(value) if sql_type == "jsonb" else value


def types(conn):
    for binary in (False, True):
        fmt = "b" if binary else "t"
        for sql_type, value in VALUES:
            with conn.cursor(binary=binary) as cur:
                cur.execute(f"select %{fmt}::{sql_type}", [parameter(sql_type, value)])
                got = cur.fetchone()[0]
                assert got == value, (sql_type, binary, got, value)
                cur.execute(f"select %{fmt}::{sql_type}", [None])
                assert cur.fetchone()[0] is None, (sql_type, binary)
    columns = ", ".join(f"c{i} {t}" for i, (t, _) in enumerate(VALUES))
    conn.execute(f"create table psycopg_types (id int primary key, {columns})")
    marks = ", ".join(["%s"] * (len(VALUES) + 1))
    row = [parameter(t, v) for t, v in VALUES]
    conn.execute(f"insert into psycopg_types values ({marks})", [1, *row])
    for binary in (False, True):
        with conn.cursor(binary=binary) as cur:
            cur.execute("select * from psycopg_types where id = %s", [1])
            assert list(cur.fetchone()[1:]) == [v for _, v in VALUES]
    conn.execute("drop table psycopg_types")


def prepared(conn):
    for n in range(20):
        got = conn.execute("select %s::int + 1", [n], prepare=True).fetchone()
        assert got == (n + 1,), got


def errors(conn):
    try:
        conn.execute("select * from no_such_table")
    except psycopg.errors.UndefinedTable as e:
        assert e.sqlstate == "42P01"
        assert e.diag.message_primary == 'relation "no_such_table" does not exist'
        assert e.diag.statement_position == "15", e.diag.statement_position
        assert e.diag.severity == "ERROR"
    else:
        raise AssertionError("no error")
    try:
        conn.execute("select 1 / %s", [0])
    except psycopg.errors.DivisionByZero:
        pass
    else:
        raise AssertionError("no error")
    assert conn.execute("select 1").fetchone() == (1,)


def transactions(conn):
    conn.execute("create table psycopg_tx (id int primary key, v text)")
    with conn.transaction():
        conn.execute("insert into psycopg_tx values (1, 'kept')")
    try:
        with conn.transaction():
            conn.execute("insert into psycopg_tx values (2, 'lost')")
            raise RuntimeError
    except RuntimeError:
        pass
    try:
        with conn.transaction():
            conn.execute("insert into psycopg_tx values (3, 'lost')")
            conn.execute("insert into psycopg_tx values (1, 'twice')")
    except psycopg.errors.UniqueViolation as e:
        assert e.diag.constraint_name == "psycopg_tx_pkey", e.diag.constraint_name
    assert conn.execute("select * from psycopg_tx").fetchall() == [(1, "kept")]
    conn.execute("drop table psycopg_tx")


def copy(conn):
    conn.execute("create table psycopg_copy (id int primary key, v text)")
    rows = [(n, None if n % 7 == 0 else f"row\t{n}\n\\") for n in range(5000)]
    with conn.cursor() as cur:
        with cur.copy("copy psycopg_copy (id, v) from stdin") as writer:
            for row in rows:
                writer.write_row(row)
        assert cur.rowcount == len(rows), cur.rowcount
        with cur.copy("copy psycopg_copy to stdout") as reader:
            reader.set_types(["int4", "text"])
            assert sorted(reader.rows()) == rows
    try:
        with conn.cursor() as cur, cur.copy("copy psycopg_copy from stdin") as writer:
            writer.write("not a number\tx\n")
    except psycopg.errors.InvalidTextRepresentation:
        pass
    else:
        raise AssertionError("no error")
    try:
        with conn.cursor() as cur, cur.copy("copy psycopg_copy from stdin") as writer:
            writer.write_row((9999, "x"))
            raise RuntimeError("given up")
    except RuntimeError:
        pass
    assert conn.execute("select count(*) from psycopg_copy").fetchone() == (len(rows),)
    conn.execute("drop table psycopg_copy")


def named_cursors(conn):
    """DECLARE, then Describe of the portal of that name."""
    conn.execute("create table psycopg_rows (id int primary key)")
    conn.execute("insert into psycopg_rows select generate_series(0, 299)")
    with conn.transaction():
        for binary in (False, True):
            with conn.cursor("rows", binary=binary) as cur:
                cur.itersize = 70
                cur.execute("select id, 'x' from psycopg_rows where id >= %s order by id", [10])
                assert [c.name for c in cur.description] == ["id", "?column?"]
                assert [row[0] for row in cur] == list(range(10, 300))
        with conn.cursor("back", scrollable=True) as cur:
            cur.execute("select id from psycopg_rows order by id")
            cur.scroll(100)
            assert cur.fetchone() == (100,)
            cur.scroll(-50)
            assert cur.fetchmany(2) == [(51,), (52,)]
    with conn.cursor("held", withhold=True) as cur:
        cur.execute("select id from psycopg_rows order by id")
        assert len(cur.fetchall()) == 300
    try:
        conn.cursor("held").fetchall()
    except psycopg.errors.InvalidCursorName:
        pass
    else:
        raise AssertionError("no error")
    conn.execute("drop table psycopg_rows")


def pipeline(conn):
    conn.execute("create table psycopg_pipe (id int primary key)")
    with conn.pipeline() as pipe:
        cursors = []
        for n in range(200):
            cursors.append(conn.execute("insert into psycopg_pipe values (%s) returning id", [n]))
        pipe.sync()
        assert [c.fetchone()[0] for c in cursors] == list(range(200))
    try:
        with conn.pipeline():
            conn.execute("insert into psycopg_pipe values (1000)")
            conn.execute("insert into psycopg_pipe values (1)")
    except psycopg.errors.UniqueViolation:
        pass
    else:
        raise AssertionError("no error")
    assert conn.execute("select count(*) from psycopg_pipe").fetchone()[0] == 200
    conn.execute("drop table psycopg_pipe")


def composites(conn):
    from psycopg.types.composite import CompositeInfo, register_composite

    conn.execute("create type spot as (x int, label text)")
    conn.execute("create table psycopg_spot (id int primary key, at spot, been spot[])")
    info = CompositeInfo.fetch(conn, "spot")
    assert list(info.field_names) == ["x", "label"]
    register_composite(info, conn)
    spot = info.python_type
    conn.execute("insert into psycopg_spot values (1, %s, %s)", [spot(4, "a b"), [spot(1, None), spot(None, "c")]])
    for binary in (False, True):
        cur = conn.cursor(binary=binary)
        row = cur.execute("select at, been, (at).label from psycopg_spot").fetchone()
        assert row == (spot(4, "a b"), [spot(1, None), spot(None, "c")], "a b"), row
        # As text a record does not say the types of its fields.
        row = cur.execute("select row(1, 'x'::text, at) from psycopg_spot").fetchone()
        assert row == (((1, "x", spot(4, "a b")) if binary else ("1", "x", '(4,"a b")')),), row
    with conn.cursor() as cur, cur.copy("copy psycopg_spot (id, at) from stdin (format binary)") as writer:
        writer.set_types(["int4", "spot"])
        writer.write_row((2, spot(5, "copied")))
    assert conn.execute("select (at).label from psycopg_spot where id = 2").fetchone() == ("copied",)
    conn.execute("drop table psycopg_spot")
    conn.execute("drop type spot")


def told(conn):
    """Times are read in the zone that the server has told, however it was set: Django sets it with set_config()."""
    midday = dt.datetime(2024, 7, 1, 12, 0, tzinfo=UTC)
    for how in ("set timezone = 'Asia/Tokyo'", "select set_config('TimeZone', 'America/Chicago', false)"):
        conn.execute(how)
        zone = conn.execute("show timezone").fetchone()[0]
        assert conn.info.parameter_status("TimeZone") == zone, how
        got = conn.execute("select %s::timestamptz", [midday]).fetchone()[0]
        assert got == midday and got.utcoffset() != dt.timedelta(0), got
    with conn.transaction(force_rollback=True):
        conn.execute("select set_config('TimeZone', 'Asia/Tokyo', true)")
        assert conn.info.parameter_status("TimeZone") == "Asia/Tokyo"
    assert conn.info.parameter_status("TimeZone") == "America/Chicago"
    conn.execute("reset timezone")
    assert conn.info.parameter_status("TimeZone") == "UTC"


def cancel(conn):
    timer = threading.Timer(0.3, conn.cancel)
    timer.start()
    start = time.monotonic()
    try:
        conn.execute("select count(*) from generate_series(1, 2000000000)")
    except psycopg.errors.QueryCanceled:
        pass
    else:
        raise AssertionError("not cancelled")
    assert time.monotonic() - start < 10
    assert conn.execute("select 1").fetchone() == (1,)


def main():
    with psycopg.connect("", autocommit=True) as conn:
        assert conn.info.encoding == "utf-8"
        for check in (types, prepared, errors, transactions, copy, named_cursors, pipeline, composites, told, cancel):
            print("psycopg:", check.__name__, flush=True)
            check(conn)
    try:
        psycopg.connect("dbname=no_such_database")
    except psycopg.OperationalError as e:
        assert 'database "no_such_database" does not exist' in str(e), e
    else:
        raise AssertionError("no error")


main()
