//! What a statement that is not in the plan cache pays first: text to syntax tree.
//!
//! `point` is a read by primary key, `update` a statement of TPC-B, `insert_1000` a thousand rows in one statement
//! (throughput in bytes), `join` a query of a few lines.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sql::parse::parse;
use std::hint::black_box;

const POINT: &str = "select abalance from pgbench_accounts where aid = 4711";
const UPDATE: &str = "update pgbench_accounts set abalance = abalance + -1234 where aid = 4711";
const JOIN: &str = "select b.bid, count(*), sum(a.abalance) from pgbench_accounts a \
     join pgbench_branches b on b.bid = a.bid left join pgbench_tellers t on t.bid = b.bid and t.tbalance > 0 \
     where a.aid between 1 and 1000 and b.bbalance <> 0 group by b.bid having count(*) > 10 \
     order by 2 desc, 1 limit 20";

fn parsing(c: &mut Criterion) {
    let rows: Vec<String> = (0..1000)
        .map(|i| format!("({i}, 'name {i}', {i}.5, null)"))
        .collect();
    let insert = format!(
        "insert into t (id, name, price, note) values {}",
        rows.join(", ")
    );
    let mut group = c.benchmark_group("parse");
    for (name, sql) in [
        ("point", POINT),
        ("update", UPDATE),
        ("join", JOIN),
        ("insert_1000", insert.as_str()),
    ] {
        group.throughput(Throughput::Bytes(sql.len() as u64));
        group.bench_function(name, |b| {
            b.iter(|| parse(black_box(sql)).expect("good SQL"))
        });
    }
    group.finish();
}

criterion_group!(benches, parsing);
criterion_main!(benches);
