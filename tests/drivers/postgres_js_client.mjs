// postgres.js and Drizzle over it, against the server that PGHOST and its kin name. Exits 0 when every check holds.
import assert from 'node:assert';
import { createRequire } from 'node:module';

// NODE_PATH is for `require` alone.
const require = createRequire(import.meta.url);
const postgres = require('postgres');
const { drizzle } = require('drizzle-orm/postgres-js');
const { eq, desc, sql: raw, relations } = require('drizzle-orm');
const pg = require('drizzle-orm/pg-core');

const sql = postgres({ max: 3, onnotice: () => {} });

await sql`create table thing (id serial primary key, name text not null, tags text[], extra jsonb, at timestamptz default now())`;
const rows = [{ name: 'a', tags: ['x', 'y,z'] }, { name: 'b', tags: null }];
const made = await sql`insert into thing ${sql(rows, 'name', 'tags')} returning id, name, tags`;
assert.deepStrictEqual([...made], [{ id: 1, ...rows[0] }, { id: 2, ...rows[1] }]);
await sql`update thing set extra = ${sql.json({ n: [1, 2] })} where id = ${1}`;
assert.deepStrictEqual((await sql`select extra from thing where id = any(${[1]})`)[0].extra, { n: [1, 2] });
await assert.rejects(sql`insert into thing (id, name) values (1, 'c')`, { code: '23505', constraint_name: 'thing_pkey' });
await sql.begin(async (t) => {
  await t`delete from thing`;
  await t.savepoint((s) => s`select 1 / 0`).catch((e) => assert.strictEqual(e.code, '22012'));
  assert.strictEqual((await t`select count(*)::int as n from thing`)[0].n, 0);
  throw new Error('taken back');
}).catch((e) => assert.strictEqual(e.message, 'taken back'));
let seen = 0;
await sql`select g from generate_series(1, 1000) g`.cursor(100, (batch) => { seen += batch.length; });
assert.strictEqual(seen, 1000);
await Promise.all(Array.from({ length: 20 }, (_, i) => sql`select ${i}::int as i`.then(([r]) => assert.strictEqual(r.i, i))));
await sql`drop table thing`;

const author = pg.pgTable('author', { id: pg.serial().primaryKey(), name: pg.varchar({ length: 40 }).notNull().unique() });
const book = pg.pgTable('book', {
  id: pg.uuid().primaryKey(),
  title: pg.text().notNull(),
  price: pg.numeric({ precision: 8, scale: 2 }).default('0'),
  authorId: pg.integer('author_id').notNull().references(() => author.id, { onDelete: 'cascade' }),
});
const schema = {
  author,
  book,
  authors: relations(author, ({ many }) => ({ books: many(book) })),
  books: relations(book, ({ one }) => ({ author: one(author, { fields: [book.authorId], references: [author.id] }) })),
};
const db = drizzle(sql, { schema });
await db.execute(raw`create table author (id serial primary key, name varchar(40) not null unique)`);
await db.execute(raw`create table book (id uuid primary key, title text not null, price numeric(8, 2) default 0,
  author_id int not null references author on delete cascade)`);
const [ann] = await db.insert(author).values({ name: 'ann' }).returning();
const id = (n) => `00000000-0000-0000-0000-00000000000${n}`;
await db.insert(book).values([
  { id: id(1), title: 'one', price: '9.50', authorId: ann.id },
  { id: id(2), title: 'two', authorId: ann.id },
]);
await db.update(book).set({ price: raw`${book.price} + 1` }).where(eq(book.title, 'one'));
const joined = await db.select({ title: book.title, price: book.price, by: author.name })
  .from(book).innerJoin(author, eq(author.id, book.authorId)).orderBy(desc(book.title));
assert.deepStrictEqual(joined, [
  { title: 'two', price: '0.00', by: 'ann' },
  { title: 'one', price: '10.50', by: 'ann' },
]);
await db.insert(author).values({ id: ann.id, name: 'anne' })
  .onConflictDoUpdate({ target: author.id, set: { name: raw`excluded.name` } });
const failed = await db.insert(book).values({ id: id(3), title: 'lost', authorId: 99 }).then(() => null, (e) => e);
assert.strictEqual((failed.cause ?? failed).code, '23503');
await db.transaction(async (t) => {
  await t.delete(author);
  assert.strictEqual((await t.select().from(book)).length, 0);
});
await db.execute(raw`drop table book, author`);
await sql.end();
console.log('postgres.js, drizzle: ok');
