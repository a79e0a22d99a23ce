-- What a dump of this server says in words of its own, and PostgreSQL has to understand: names that the dump's empty path does not find.
create schema app;
set search_path = app, public;
create type kind as enum ('k1', 'k2');
create domain pos as int default 1 + 4 check (value > 0);
create domain dk as kind default 'k1' check (value <> 'k2'::kind);
create sequence sq;
create function chk(x int) returns bool language sql immutable as 'select x > 0';
create function total(x int) returns int language sql immutable as 'select x';
create function round(double precision, int) returns double precision language sql immutable as 'select $1 * 0 + 42';
create table x1 (id int default nextval('sq'::regclass) primary key, k kind check (k = 'k1'::kind), p pos, q pos default 7::pos, d dk,
    g bool generated always as (chk(id)) stored, check (chk(id)), ts time, n numeric);
create table orders (id int primary key, status text, total numeric(8, 2), parent int references orders);
create function trg() returns trigger language plpgsql as $$ begin return new; end $$;
create trigger t1 before insert on x1 for each row when (new.k = 'k1'::kind and chk(new.id)) execute function trg();
create view dup (a, "B") as select id, k from x1 -- the columns have names of their own
;
create view of_dup as select a, "B" from dup;
create view a1 as with q as (select id from x1) select q.id, o.status as s from q, orders as o;
create view a2 as select t.x from unnest(array[1]) with ordinality as t(x, n), orders as o;
create view a3 as with total(t, u) as (select id, total(id) from x1) select round(t, 1) as r, o.id from total, x1 as o;
create view a4 as select o.id from x1 as o(id, k) where exists (select from orders where extract(hour from o.ts) is distinct from 3);
create materialized view m1 as select count(*) as c from orders with no data;
create materialized view m2 as select c from m1 with no data;
create view m3 as select c from m2;
create index on orders (lower(status)) where status <> 'x';
insert into x1 (id, k) values (10, 'k1'), (default, 'k1');
