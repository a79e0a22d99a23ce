// node-postgres against the server that PGHOST and its kin name. Exits 0 when every check holds.
'use strict';
const assert = require('node:assert');
const { Client, Pool } = require('pg');

const VALUES = [
  ['boolean', true],
  ['smallint', -5],
  ['integer', 2147483647],
  ['bigint', '9223372036854775807'],
  ['real', 1.5],
  ['double precision', 0.1],
  ['numeric', '123456789012345678.0000000001'],
  ['text', 'é😀\n'],
  ['varchar(10)', 'varying'],
  ['char(5)', 'ab   '],
  ['bytea', Buffer.from([0, 255, 128])],
  ['timestamptz', new Date('2024-02-29T12:34:56.789Z')],
  ['uuid', '12345678-1234-5678-1234-567812345678'],
  ['jsonb', { a: [1, null, 'x'] }],
  ['integer[]', [1, null, 3]],
  ['text[]', ['a b', '', 'q"q']],
];

async function types(client) {
  for (const [type, value] of VALUES) {
    const { rows } = await client.query(`select $1::${type} as v`, [value]);
    assert.deepStrictEqual(rows[0].v, value, type);
    const none = await client.query(`select $1::${type} as v`, [null]);
    assert.strictEqual(none.rows[0].v, null, type);
  }
}

async function statements(client) {
  for (let n = 0; n < 10; n++) {
    const query = { name: 'plus', text: 'select $1::int + 1 as v', values: [n] };
    assert.strictEqual((await client.query(query)).rows[0].v, n + 1);
  }
  const many = await client.query('select 1 as a; select 2 as b; select 3 as c');
  assert.deepStrictEqual(many.map((r) => r.rows[0]), [{ a: 1 }, { b: 2 }, { c: 3 }]);
}

async function errors(client) {
  await assert.rejects(client.query('select * from no_such_table'), (e) => {
    assert.strictEqual(e.code, '42P01');
    assert.strictEqual(e.position, '15');
    return true;
  });
  await assert.rejects(client.query('select 1 / $1::int', [0]), { code: '22012' });
  assert.strictEqual((await client.query('select 1 as v')).rows[0].v, 1);
}

async function transactions(client) {
  await client.query('create table node_tx (id int primary key, v text)');
  await client.query('begin');
  await client.query('insert into node_tx values ($1, $2)', [1, 'lost']);
  await client.query('rollback');
  await client.query('begin');
  const inserted = await client.query('insert into node_tx values ($1, $2), ($3, $4) returning id', [1, 'a', 2, 'b']);
  assert.strictEqual(inserted.rowCount, 2);
  await client.query('commit');
  const { rows } = await client.query('select id, v from node_tx order by id');
  assert.deepStrictEqual(rows, [{ id: 1, v: 'a' }, { id: 2, v: 'b' }]);
  await client.query('drop table node_tx');
}

async function composites(client) {
  await client.query('create type spot as (x int, label text)');
  await client.query('create table node_spot (id int primary key, at spot)');
  await client.query('insert into node_spot values ($1, $2)', [1, '(4,"a b")']);
  const { rows, fields } = await client.query('select at, (at).x, s, row(id, at) as r from node_spot s where at = $1::spot', ['(4,"a b")']);
  assert.deepStrictEqual(rows, [{ at: '(4,"a b")', x: 4, s: '(1,"(4,""a b"")")', r: '(1,"(4,""a b"")")' }]);
  assert.strictEqual(fields[3].dataTypeID, 2249);
  await client.query('drop table node_spot');
  await client.query('drop type spot');
}

async function pool() {
  const pool = new Pool({ max: 5 });
  const all = await Promise.all(Array.from({ length: 50 }, (_, n) => pool.query('select $1::int as v', [n])));
  assert.deepStrictEqual(all.map((r) => r.rows[0].v), Array.from({ length: 50 }, (_, n) => n));
  await pool.end();
}

async function main() {
  const client = new Client();
  await client.connect();
  for (const check of [types, statements, errors, transactions, composites]) {
    console.log('node:', check.name);
    await check(client);
  }
  await client.end();
  await pool();
  const wrong = new Client({ database: 'no_such_database' });
  await assert.rejects(wrong.connect(), { code: '3D000' });
}

main().catch((e) => {
  console.error(e);
  process.exit(1);
});
