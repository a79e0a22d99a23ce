-- Read by `psql -X -q`; psql.out has what psql 15 prints against PostgreSQL 15.
\set SHOW_CONTEXT never
\pset null '(null)'
create table psql_t (id integer primary key, name varchar(20) not null default 'x', price numeric(10,2), at timestamptz, unique (name));
\d psql_t
create index psql_price on psql_t (price);
\d psql_t
\dt psql_*
\di psql_*
insert into psql_t values (1, 'one', 1.5, '2024-02-29 12:00:00+00'), (2, 'two', null, null);
set timezone to 'UTC';
select * from psql_t order by id;
select 1 as a \; select 2 as b, 'x' as c;
\gset
\echo :b :c
\x on
select * from psql_t where id = 1;
\x off
copy psql_t (id, name) from stdin;
3	three
4	four\tand a tab
\.
copy (select id, name, price from psql_t order by id) to stdout;
\copy (select id, name from psql_t order by id) to stdout with csv header
begin;
delete from psql_t;
select count(*) from psql_t;
rollback;
select count(*) from psql_t;
\set VERBOSITY terse
select * from psql_nowhere;
insert into psql_t values (1);
select 1/0;
select 'no number'::integer;
\set VERBOSITY default
select * from psql_t where 1 = 'x';
select zzzz from psql_t as t;
\echo :ERROR :SQLSTATE
begin;
select 1/0;
select 1;
commit;
select id, name as label from psql_t \gdesc
drop table psql_t;
drop table if exists psql_t;
