//! Planned and unplanned queries answer the same over random rows.

use super::{bound, catalog, context};
use crate::Statement;
use crate::planner::optimize;
use engine::catalog::Table;
use engine::exec::Context;
use engine::exec::eval::{Env, blank, eval};
use engine::exec::fragment::Fragment;
use engine::exec::memory::Memory;
use engine::exec::operators::{Exec, RowSource, Source, open};
use engine::plan::{Access, Bitmap, Expr, KeyRange, Plan, Scan};
use engine::shard::entries::indexed;
use engine::shard::route::{Route, partitions_of, route};
use futures_util::future::LocalBoxFuture;
use proptest::prelude::*;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use types::{Result, Row, RowBatch, Value, order};

/// Rows of each table, by its name.
type Data = HashMap<&'static str, Vec<Row>>;

struct MemorySource {
    data: Data,
    /// What runs in a partition sees its rows alone.
    only: Option<u16>,
}

const PARTITIONS: u16 = 4;

impl Source for MemorySource {
    fn run(
        &self,
        plan: Arc<Plan>,
        ctx: Arc<Context>,
    ) -> LocalBoxFuture<'_, Result<Box<dyn RowSource>>> {
        Box::pin(async move {
            let mut batches = Vec::new();
            for partition in partitions_of(&plan, &ctx, PARTITIONS)? {
                let source = MemorySource {
                    data: self.data.clone(),
                    only: Some(partition.0),
                };
                let memory = Memory::new(64 << 20);
                let exec = Exec::new(ctx.clone(), Rc::new(source), memory, Rc::new(|| Ok(())));
                let mut rows = open(plan.clone(), Rc::new(exec))?;
                while let Some(batch) = rows.next().await? {
                    batches.push(batch);
                }
            }
            Ok(Box::new(Given(batches.into_iter())) as Box<dyn RowSource>)
        })
    }

    fn scan(
        &self,
        scan: Arc<Scan>,
        ctx: Arc<Context>,
    ) -> LocalBoxFuture<'_, Result<Box<dyn RowSource>>> {
        Box::pin(async move {
            let rows = &self.data[scan.table.name.as_str()];
            let route = route(&scan.table, &scan.access, &scan.homes, &ctx, PARTITIONS)?;
            let asked: Vec<u16> = match route {
                Route::Nowhere => Vec::new(),
                Route::Partitions(parts) => parts.iter().map(|(p, _)| p.0).collect(),
                Route::Unique { .. } => (0..PARTITIONS).collect(),
            };
            let mut batches = Vec::new();
            for partition in asked {
                if self.only.is_some_and(|only| only != partition) {
                    continue;
                }
                let mut fragment = Fragment::new(scan.clone(), ctx.clone());
                let mut found = Vec::new();
                for (at, row) in rows.iter().enumerate() {
                    if home(&scan.table, at, row)? == partition && is_found(&scan, row, &ctx)? {
                        found.push(row.clone());
                    }
                }
                put_in_order(&scan, &mut found, &ctx);
                for row in found {
                    fragment.push(row)?;
                }
                batches.push(fragment.take()?);
            }
            Ok(Box::new(Given(batches.into_iter())) as Box<dyn RowSource>)
        })
    }
}

/// Rows of a partition come in the order of what they are found by: they are given in that of their key.
fn put_in_order(scan: &Scan, rows: &mut [Row], ctx: &Context) {
    let table = &scan.table;
    let env = Env { ctx, outer: &[] };
    let backward = match &scan.access {
        Access::KeyRange(range) => range.backward,
        Access::Index { index, range } => {
            // Rows with the same values stay in the order of their key.
            rows.sort_by(|a, b| {
                let mut parts = index.parts.iter().map(|p| {
                    let value = |row: &Row| eval(&p.expr(table), row, &env).unwrap();
                    let (a, b) = (value(a), value(b));
                    match (a.is_null(), b.is_null()) {
                        (false, false) if p.descending => order::compare(&b, &a),
                        (false, false) => order::compare(&a, &b),
                        (a, b) if p.nulls_first => b.cmp(&a),
                        (a, b) => a.cmp(&b),
                    }
                });
                parts.find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
            });
            range.backward
        }
        _ => false,
    };
    if backward {
        rows.reverse();
    }
}

/// The partition of row number `at`.
fn home(table: &Table, at: usize, row: &Row) -> Result<u16> {
    match table.has_key() {
        true => Ok(table.partition_of_row(row, PARTITIONS)?.0),
        false => Ok(at as u16 % PARTITIONS),
    }
}

struct Given(std::vec::IntoIter<RowBatch>);

impl RowSource for Given {
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<RowBatch>>> {
        Box::pin(async { Ok(self.0.next()) })
    }
}

fn is_in(table: &Table, bitmap: &Bitmap, row: &Row, ctx: &Context) -> Result<bool> {
    let env = Env { ctx, outer: &[] };
    match bitmap {
        Bitmap::Entries { index, ranges } => {
            let values = match index {
                Some(index) => indexed(index, row, ctx)?,
                None => Some(row_values(&table.primary_key, row)),
            };
            let Some(values) = values else {
                return Ok(false);
            };
            for range in ranges {
                if in_range(&values, range, &env)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Bitmap::And(all) => {
            for b in all {
                if !is_in(table, b, row, ctx)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        Bitmap::Or(all) => {
            for b in all {
                if is_in(table, b, row, ctx)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
    }
}

/// The scan's access finds the row: exactly the keys, exactly the range.
fn is_found(scan: &Scan, row: &Row, ctx: &Context) -> Result<bool> {
    let env = Env { ctx, outer: &[] };
    let table = &scan.table;
    match &scan.access {
        Access::Full => Ok(true),
        // Which elements there are is known when it runs: its filter decides here.
        Access::Each(_) => Ok(true),
        Access::Bitmap(bitmap) => is_in(table, bitmap, row, ctx),
        Access::Keys(keys) => {
            for key in keys {
                let mut equal = true;
                for (e, column) in key.iter().zip(&table.primary_key) {
                    equal &= compare(e, &row[*column], &env)? == Some(Ordering::Equal);
                }
                if equal {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Access::KeyRange(range) => in_range(&row_values(&table.primary_key, row), range, &env),
        Access::Index { index, range } => match indexed(index, row, ctx)? {
            Some(values) => in_range(&values, range, &env),
            None => Ok(false),
        },
    }
}

fn row_values(columns: &[usize], row: &Row) -> Row {
    columns.iter().map(|c| row[*c].clone()).collect()
}

fn in_range(values: &[Value], range: &KeyRange, env: &Env) -> Result<bool> {
    for (e, value) in range.prefix.iter().zip(values) {
        if compare(e, value, env)? != Some(Ordering::Equal) {
            return Ok(false);
        }
    }
    let next = values.get(range.prefix.len());
    for (bound, refused) in [
        (&range.lower, Ordering::Greater),
        (&range.upper, Ordering::Less),
    ] {
        let (Some((e, inclusive)), Some(value)) = (bound, next) else {
            continue;
        };
        match compare(e, value, env)? {
            Some(Ordering::Equal) if !inclusive => return Ok(false),
            Some(o) if o == refused => return Ok(false),
            None => return Ok(false),
            _ => {}
        }
    }
    Ok(true)
}

/// The bound's value against the column's, which must have its very form; `None` with NULL.
fn compare(e: &Expr, column: &Value, env: &Env) -> Result<Option<Ordering>> {
    let value = eval(e, &[], env)?;
    if value.is_null() || column.is_null() {
        return Ok(None);
    }
    let same = std::mem::discriminant(&value) == std::mem::discriminant(column);
    assert!(same, "a bound of another type: {value:?} for {column:?}");
    Ok(Some(order::compare(&value, column)))
}

fn run(plan: Plan, data: &Data) -> Result<Vec<Row>> {
    let data = data.clone();
    runtime::block_on(async move {
        let ctx = Arc::new(context(&catalog()));
        let source = Rc::new(MemorySource { data, only: None });
        let memory = Memory::new(64 << 20);
        let exec = Exec::new(ctx, source, memory.clone(), Rc::new(|| Ok(())));
        let mut rows = open(Arc::new(plan), Rc::new(exec))?;
        let mut out = Vec::new();
        while let Some(batch) = rows.next().await? {
            out.extend(batch.rows);
        }
        drop(rows);
        Ok(out)
    })
}

fn plan_of(statement: Statement) -> Plan {
    match statement {
        Statement::Query(query) => query.plan,
        other => panic!("not a query: {other:?}"),
    }
}

fn sorted(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort_by(|a, b| {
        let mut pairs = a.iter().zip(b).map(|(a, b)| order::compare(a, b));
        pairs.find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
    });
    rows
}

fn number(max: i32) -> impl Strategy<Value = Value> {
    prop_oneof![1 => Just(Value::Null), 6 => (0..max).prop_map(Value::Int4)]
}

fn text() -> impl Strategy<Value = Value> {
    prop_oneof![1 => Just(Value::Null), 4 => "[ab]{0,2}".prop_map(Value::from)]
}

/// Rows with keys 0, 1, 2 … where the table has one.
fn data() -> impl Strategy<Value = Data> {
    let many = |row: BoxedStrategy<Row>| proptest::collection::vec(row, 0..10);
    let t = many(
        (number(5), text())
            .prop_map(|(b, s)| vec![Value::Null, b, s])
            .boxed(),
    );
    let u = many(
        (number(8), text())
            .prop_map(|(a, x)| vec![Value::Null, a, x])
            .boxed(),
    );
    let pair = many(
        number(5)
            .prop_map(|v| vec![Value::Null, Value::Null, v])
            .boxed(),
    );
    let loose = many((number(5), number(5)).prop_map(|(m, n)| vec![m, n]).boxed());
    let placed = |width: usize| {
        let small = (0..4i32).prop_map(Value::Int4);
        many(proptest::collection::vec(small, width).boxed())
    };
    let (orders, lines) = (placed(3), placed(4));
    let wide = many(
        (number(4), number(4), text())
            .prop_map(|(x, y, z)| vec![Value::Null, x, y, z])
            .boxed(),
    );
    let all = (t, u, pair, loose, orders, lines, wide);
    all.prop_map(
        |(mut t, mut u, mut pair, loose, mut orders, mut lines, mut wide)| {
            for (row, i) in wide.iter_mut().zip(0..) {
                row[0] = Value::Int4(i);
            }
            unique(&mut orders, &[0, 1]);
            unique(&mut lines, &[0, 1, 2]);
            for (row, i) in t.iter_mut().zip(0..) {
                row[0] = Value::Int4(i);
            }
            for (row, i) in u.iter_mut().zip(0..) {
                row[0] = Value::Int8(i);
            }
            for (row, i) in pair.iter_mut().zip(0..) {
                row[0] = Value::Int4(i / 3);
                row[1] = Value::Int4(i % 3);
            }
            HashMap::from([
                ("t", t),
                ("u", u),
                ("pair", pair),
                ("loose", loose),
                ("orders", orders),
                ("lines", lines),
                ("wide", wide),
            ])
        },
    )
}

/// Without rows that have the key of another.
fn unique(rows: &mut Vec<Row>, key: &[usize]) {
    let mut seen = Vec::new();
    rows.retain(|row| {
        let key = row_values(key, row);
        let new = !seen.contains(&key);
        seen.push(key);
        new
    });
}

/// Queries whose order does not matter; none can fail.
const QUERIES: &[&str] = &[
    "select * from t where a = 3",
    "select s, a from t where a in (1, 3, 3, 99) and b > 1",
    "select * from t where a = 3::int8 or a = 4",
    "select * from t where b = 2 and s like 'a%'",
    "select * from t where a > 2 and a <= 6 and b is not null",
    "select * from u where x = 'a' or t_a = 3",
    "select * from u where x = 'ab'",
    "select * from u where a = 2",
    "select * from pair where k = 1 and l = 2",
    "select v from pair where k = 1 and l >= 1",
    "select * from pair where k in (0, 1) and l in (1, 2)",
    "select t.a, u.x from t, u where t.a = u.t_a and t.b > 1",
    "select * from t, u, loose where t.a = u.t_a and loose.m = t.b and u.x <> 'b'",
    "select * from loose l1, loose l2, t where l1.m = t.a and l2.n = t.a and t.a = 2",
    "select * from t join u on t.a = u.a join pair on pair.k = t.b and pair.v < 4 where u.x is not null",
    "select * from t left join u on t.a = u.t_a and u.x = 'a' where t.b < 4",
    "select * from t left join u on t.a = u.t_a where u.x = 'a'",
    "select * from t right join u on t.a = u.t_a and t.b = 1 where u.a > 0",
    "select * from t full join u on t.a = u.t_a where coalesce(t.a, 0) < 5",
    "select * from t full join u on t.a = u.t_a where t.b > 1",
    "select * from loose full join t on m = a and n > b",
    "select b, count(*), sum(a), avg(a) from t group by b",
    "select b, count(*) from t group by b having b > 1 and count(*) > 1",
    "select count(*) from t",
    "select count(distinct b), max(s) from t where a > 1",
    "select sum(v) filter (where l = 1), min(k) from pair",
    "select t.b, sum(pair.v) from t join pair on pair.k = t.a group by t.b",
    "select distinct b from t where b is not null",
    "select * from (select b, count(*) as n from t group by b) x where b = 2",
    "select * from (select a + 1 as c, s from t) x where c = 3",
    "select * from (select a, b from t union all select m, n from loose) x where a = 2",
    "select a from t intersect select m from loose",
    "select m from loose except all select a from t",
    "select * from (select a, b from t order by b, a limit 3) x where a > 0",
    "select * from t where exists (select 1 from u where u.t_a = t.a and u.x > 'a')",
    "select * from t where not exists (select 1 from u where u.t_a = t.a)",
    "select * from t where exists (select 1 from u where u.t_a < t.a) and b = 1",
    "select * from t where a in (select t_a from u)",
    "select * from t where b in (select n from loose where loose.m > t.a)",
    "select * from t where a not in (select t_a from u where t_a is not null)",
    "select * from t where a not in (select t_a from u)",
    "select * from t where a = (select max(m) from loose)",
    "select a, (select count(*) from u where u.t_a = t.a) from t",
    "select a, (select count(*) from loose where loose.m < t.b) from t where a > (select min(m) from loose)",
    "select * from t where exists (select 1 from u where u.t_a = t.a and exists (select 1 from loose where m = t.b and n = u.t_a))",
    "select case when a > 2 then (select max(n) from loose) else b end from t",
    "select t.a, x.n from t, lateral (select n from loose where loose.m = t.a) x",
    "select t.a, x.n from t left join lateral (select n, m from loose where loose.m = t.b) x on true where t.a > 0",
    "select * from t where 1 = 0 or b = 1",
    "select * from (values (1, 'a'), (2, 'b')) v(i, w) join t on t.a = v.i",
    "select l.m, g from loose l, generate_series(1, l.n) g",
    "select t1.a, t2.a from t t1, t t2 where t1.b = t2.b and t1.a < t2.a",
    "select * from t where (a, b) in ((1, 2), (2, 3))",
    "select * from t where (a = 1 and b = 2) or (a = 1 and b = 3)",
    "select 1 from t, u where t.a = 1",
    "select x.c from (select a as c, random() as r from t) x where x.c = 2",
    "select * from lines where customer = 1",
    "select * from lines where customer in (0, 2, null) and n > 1",
    "select count(*), sum(n) from lines where customer = 3 or customer = 1",
    "select * from orders o join lines l on o.customer = l.customer and o.id = l.id",
    "select * from orders o join lines l on o.customer = l.customer where o.id = 1 and l.n > 0",
    "select * from orders o left join lines l on o.customer = l.customer and o.id = l.id and l.n > 1",
    "select * from orders o full join lines l on o.customer = l.customer and o.id = l.id",
    "select * from orders o right join lines l on o.customer = l.customer and o.total < l.n",
    "select * from orders o where exists (select 1 from lines l where l.customer = o.customer and l.n = o.total)",
    "select * from orders o where not exists (select 1 from lines l where l.customer = o.customer and l.n = 2)",
    "select o.id, l.line from orders o join lines l on o.id = l.id where o.customer = 2 and l.customer = 2",
    "select o.id, l.line from orders o join lines l on o.id = l.id where o.customer = 2 and l.customer = 1",
    "select t.s, o.total, l.n from t join orders o on o.customer = t.a join lines l on l.customer = t.a and l.id = o.id",
    "select o.total, count(*), sum(n), min(line) from orders o join lines l on o.customer = l.customer group by o.total",
    "select count(*), sum(n) from orders o join lines l on o.customer = l.customer where o.total > 100",
    "select o.customer, count(distinct n), array_agg(n order by n) from orders o join lines l on o.customer = l.customer group by o.customer having count(*) > 1",
    "select customer, count(distinct n) from lines group by customer",
    "select distinct o.customer, l.n from orders o join lines l on o.customer = l.customer",
    "select o.customer, x.m from orders o join (select customer, max(n) as m from lines group by customer) x on x.customer = o.customer",
    "select * from orders o1 full join orders o2 on o1.customer = o2.customer join lines l on l.customer = o1.customer",
    "select * from orders o left join lines l on o.customer = l.customer and l.n = 1 left join orders p on p.customer = l.customer",
    "select o.id, (select sum(l.n) from lines l join orders p on l.customer = p.customer where l.customer = o.customer) from orders o",
    "select x.* from t, lateral (select o.id, l.n from orders o join lines l on o.customer = l.customer where o.customer = t.a) x",
    "select customer from orders intersect select customer from lines where customer = 1",
    "select * from wide where x = 1 or z = 'a'",
    "select * from wide where x = 1 or y = 2 or k = 3",
    "select k, z from wide where x in (1, 3, null) and k > 1",
    "select * from wide where (x = 1 or z = 'b') and y > 0",
    "select count(*), max(k) from wide where x = 1 or (y = 2 and x > 0)",
    "select * from wide where x = null or z = 'a'",
    "select a.k, b.k from wide a join wide b on a.k = b.x where a.x = 1 or a.y = 3",
    "select * from wide where (x = 1 or y = 1) and (x = 2 or z = 'a')",
];

/// Queries whose order matters.
const ORDERED: &[&str] = &[
    "select a, s from t order by b desc nulls last, a",
    "select b from t where a > 1 order by s, a limit 3",
    "select a from t order by a offset 2 limit 2",
    "select t.a from t join u on u.t_a = t.a order by u.a limit 2",
    "select distinct on (b) b, a from t order by b, a desc",
    "select b, count(*) from t group by b order by count(*) desc, b limit 2",
    "select a from t union select m from loose order by 1 limit 4",
    "select o.customer, o.id, l.n from orders o join lines l on o.customer = l.customer and o.id = l.id order by l.n desc, o.customer, o.id, l.line limit 3",
    "select o.customer, count(*) from orders o join lines l on o.customer = l.customer group by o.customer order by 2 desc, 1 limit 2",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn planning_never_changes_an_answer(data in data()) {
        for (queries, ordered) in [(QUERIES, false), (ORDERED, true)] {
            for sql in queries {
                let plain = run(plan_of(bound(sql)), &data).unwrap();
                let planned = plan_of(optimize(bound(sql), &catalog(), blank()));
                let got = run(planned, &data);
                let got = got.unwrap_or_else(|e| panic!("{sql}: {e}"));
                if ordered {
                    prop_assert_eq!(got, plain, "{}", sql);
                } else {
                    prop_assert_eq!(sorted(got), sorted(plain), "{}", sql);
                }
            }
        }
    }
}
