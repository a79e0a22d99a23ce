"""asyncpg (binary formats only) against the server that PGHOST and its kin name. Exits 0 when every check holds."""

import asyncio
import datetime as dt
import decimal
import io
import json
import uuid

import asyncpg

UTC = dt.timezone.utc
VALUES = [
    ("boolean", False),
    ("smallint", 32767),
    ("integer", -2147483648),
    ("bigint", 9223372036854775807),
    ("real", -2.25),
    ("double precision", 1e300),
    ("numeric", decimal.Decimal("-98765432109876543210.000000123")),
    ("text", "é😀"),
    ("varchar(10)", "varying"),
    ("char(5)", "ab   "),
    ("bytea", b"\x00\xff\x80"),
    ("date", dt.date(1, 1, 1)),
    ("time", dt.time(0, 0, 0, 1)),
    ("timestamp", dt.datetime(9999, 12, 31, 23, 59, 59, 999999)),
    ("timestamptz", dt.datetime(1970, 1, 1, tzinfo=UTC)),
    ("interval", dt.timedelta(days=400, seconds=3, microseconds=7)),
    ("uuid", uuid.UUID("00000000-0000-0000-0000-000000000001")),
]


async def types(conn):
    for sql_type, value in VALUES:
        got = await conn.fetchval(f"select $1::{sql_type}", value)
        assert got == value, (sql_type, got, value)
        assert await conn.fetchval(f"select $1::{sql_type}", None) is None
    got = await conn.fetchval("select $1::jsonb", json.dumps({"b": 1, "a": [None, "é"]}))
    assert json.loads(got) == {"b": 1, "a": [None, "é"]}
    columns = ", ".join(f"c{i} {t}" for i, (t, _) in enumerate(VALUES))
    await conn.execute(f"create table asyncpg_types (id int primary key, {columns})")
    marks = ", ".join(f"${i + 1}" for i in range(len(VALUES) + 1))
    await conn.execute(f"insert into asyncpg_types values ({marks})", 1, *[v for _, v in VALUES])
    row = await conn.fetchrow("select * from asyncpg_types where id = $1", 1)
    assert list(row.values())[1:] == [v for _, v in VALUES]
    await conn.execute("drop table asyncpg_types")


async def statements(conn):
    statement = await conn.prepare("select $1::int as a, $2::text as b")
    assert [a.name for a in statement.get_attributes()] == ["a", "b"]
    assert [p.name for p in statement.get_parameters()] == ["int4", "text"]
    for n in range(10):
        assert tuple(await statement.fetchrow(n, str(n))) == (n, str(n))


async def cursors(conn):
    await conn.execute("create table asyncpg_rows (id int primary key)")
    await conn.executemany("insert into asyncpg_rows values ($1)", [(n,) for n in range(300)])
    async with conn.transaction():
        # Portals with a row limit.
        cursor = await conn.cursor("select id from asyncpg_rows order by id")
        assert [r["id"] for r in await cursor.fetch(7)] == list(range(7))
        assert [r["id"] for r in await cursor.fetch(7)] == list(range(7, 14))
        seen = [r["id"] async for r in conn.cursor("select id from asyncpg_rows order by id", prefetch=50)]
        assert seen == list(range(300))
        # MOVE and FETCH of portals that Bind has made.
        cursor = await conn.cursor("select id from asyncpg_rows where id >= $1 order by id", 100)
        assert [r["id"] for r in await cursor.fetch(5)] == list(range(100, 105))
        assert await cursor.forward(10) == 10
        assert (await cursor.fetchrow())["id"] == 115
        assert await cursor.forward(1000) == 184
        assert await cursor.fetchrow() is None
        cursor = await conn.cursor("select id from asyncpg_rows order by id")
        assert await cursor.forward(3) == 3
        assert [r["id"] for r in await cursor.fetch(2)] == [3, 4]
    await conn.execute("drop table asyncpg_rows")


async def changed_tables(conn):
    """A prepared statement whose columns have changed is prepared again, without a word."""
    await conn.execute("create table asyncpg_changed (a int)")
    await conn.execute("insert into asyncpg_changed values (1)")
    query = "select * from asyncpg_changed where a = $1"
    assert tuple(await conn.fetchrow(query, 1)) == (1,)
    await conn.execute("alter table asyncpg_changed add b int default 7")
    for _ in range(3):
        assert tuple(await conn.fetchrow(query, 1)) == (1, 7)
    await conn.execute("drop table asyncpg_changed")


async def transactions(conn):
    await conn.execute("create table asyncpg_tx (id int primary key)")
    try:
        async with conn.transaction(isolation="repeatable_read"):
            await conn.execute("insert into asyncpg_tx values (1)")
            await conn.execute("insert into asyncpg_tx values ($1)", 1)
    except asyncpg.UniqueViolationError as e:
        assert e.sqlstate == "23505"
    else:
        raise AssertionError("no error")
    assert await conn.fetchval("select count(*) from asyncpg_tx") == 0
    async with conn.transaction():
        await conn.execute("insert into asyncpg_tx values ($1)", 1)
    assert await conn.fetchval("select count(*) from asyncpg_tx") == 1
    await conn.execute("drop table asyncpg_tx")


async def copy(conn):
    await conn.execute("create table asyncpg_copy (id int primary key, v text)")
    text = "".join(f"{n}\tv{n}\n" for n in range(3000)).encode()
    tag = await conn.copy_to_table("asyncpg_copy", source=io.BytesIO(text))
    assert tag == "COPY 3000", tag
    out = io.BytesIO()
    tag = await conn.copy_from_table("asyncpg_copy", output=out)
    assert tag == "COPY 3000", tag
    assert sorted(out.getvalue().splitlines()) == sorted(text.splitlines())
    await conn.execute("drop table asyncpg_copy")


async def composites(conn):
    await conn.execute("create type spot as (x int, label text)")
    await conn.execute("create table asyncpg_spot (id int primary key, at spot, been spot[])")
    await conn.execute("insert into asyncpg_spot values (1, $1, $2)", (4, "a b"), [(1, None), (None, "c")])
    row = await conn.fetchrow("select at, been, s, row(1, 'x'::text) as r from asyncpg_spot s")
    assert tuple(row["at"]) == (4, "a b") and row["at"]["label"] == "a b", row
    assert [tuple(been) for been in row["been"]] == [(1, None), (None, "c")], row
    assert row["s"]["at"]["x"] == 4, row
    assert tuple(row["r"]) == (1, "x"), row
    assert await conn.fetchval("select ($1::spot).x", (7, None)) == 7
    await conn.execute("drop table asyncpg_spot")
    await conn.execute("drop type spot")


async def cancel(conn):
    try:
        await conn.fetchval("select count(*) from generate_series(1, 2000000000)", timeout=0.3)
    except asyncio.TimeoutError:
        pass
    else:
        raise AssertionError("not cancelled")
    assert await conn.fetchval("select 1") == 1


async def main():
    conn = await asyncpg.connect()
    for check in (types, statements, cursors, changed_tables, transactions, copy, composites, cancel):
        print("asyncpg:", check.__name__, flush=True)
        await check(conn)
    await conn.close()
    try:
        await asyncpg.connect(database="no_such_database")
    except asyncpg.InvalidCatalogNameError:
        pass
    else:
        raise AssertionError("no error")


asyncio.run(main())
