//! Grouping, here and at the shards.

use super::*;
use crate::plan::{Aggregate, AggregateMode, Partial};
use proptest::prelude::*;

fn aggregate(input: Plan, groups: Vec<Expr>, aggregates: Vec<AggregateCall>) -> Plan {
    Plan::Aggregate(Box::new(Aggregate {
        input,
        mode: AggregateMode::Complete,
        groups,
        aggregates,
        seeds: Vec::new(),
    }))
}

fn calls() -> Vec<AggregateCall> {
    let mut counted = call("count", vec![col(1)]);
    counted.filter = Some(op(">", col(1), int(2)));
    vec![
        call("count", Vec::new()),
        counted,
        call("sum", vec![col(1)]),
        call("avg", vec![col(1)]),
        call("min", vec![col(1)]),
        call("max", vec![col(1)]),
    ]
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let value = |max: i32| prop_oneof![1 => Just(Value::Null), 5 => (0..max).prop_map(Value::Int4)];
    let row = (value(3), value(9)).prop_map(|(a, b)| vec![a, b]);
    proptest::collection::vec(row, 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn partial_groups_merged_are_the_groups(rows in rows(), grouped: bool) {
        let mut bench = Bench::new();
        let table = bench.table(1, 2, &rows);
        let groups = if grouped { vec![col(0)] } else { Vec::new() };
        let whole = aggregate(Plan::scan(table.clone()), groups.clone(), calls());
        let Plan::Scan(mut scan) = Plan::scan(table) else { unreachable!("a scan") };
        scan.partial = Some(Partial { groups: groups.clone(), aggregates: calls() });
        let split = Plan::Aggregate(Box::new(Aggregate {
            input: Plan::Scan(scan),
            mode: AggregateMode::Final,
            groups: groups.iter().enumerate().map(|(i, _)| col(i)).collect(),
            aggregates: calls(),
seeds: Vec::new(),
}));
        prop_assert_eq!(sorted(bench.rows(split)), sorted(bench.rows(whole)));
    }

    #[test]
    fn groups_hold_every_row_once(rows in rows()) {
        let plan = aggregate(values(2, &rows), vec![col(0)], vec![call("count", Vec::new())]);
        for group in Bench::new().rows(plan) {
            let count = rows.iter().filter(|r| r[0] == group[0]).count();
            prop_assert_eq!(&group[1], &Value::Int8(count as i64));
        }
    }
}

#[test]
fn without_group_by_there_is_one_row_even_of_nothing() {
    let plan = aggregate(values(2, &[]), Vec::new(), calls());
    let got = Bench::new().rows(plan);
    assert_eq!(got.len(), 1);
    assert_eq!(got[0][..2], [Value::Int8(0), Value::Int8(0)]);
    assert!(got[0][2..].iter().all(Value::is_null));
    let grouped = aggregate(values(2, &[]), vec![col(0)], calls());
    assert!(Bench::new().rows(grouped).is_empty());
}

#[test]
fn distinct_and_order_apply_inside_the_call() {
    let rows = [ints(&[0, 3]), ints(&[0, 1]), ints(&[0, 3]), ints(&[0, 2])];
    let mut distinct = call("count", vec![col(1)]);
    distinct.distinct = true;
    let mut ordered = call("array_agg", vec![col(1)]);
    ordered.order = vec![SortKey {
        descending: true,
        ..asc(col(1))
    }];
    let mut both = call("array_agg", vec![col(1)]);
    both.distinct = true;
    let plan = aggregate(values(2, &rows), Vec::new(), vec![distinct, ordered, both]);
    let got = Bench::new().rows(plan).remove(0);
    assert_eq!(got[0], Value::Int8(3));
    let items = |v: &Value| match v {
        Value::Array(array) => array.items.clone(),
        _ => Vec::new(),
    };
    assert_eq!(items(&got[1]), ints(&[3, 3, 2, 1]));
    assert_eq!(items(&got[2]), ints(&[1, 2, 3]));
}

#[test]
fn too_many_groups_are_refused() {
    let mut bench = Bench::new();
    bench.bytes_max = 64 << 10;
    let rows: Vec<Row> = (0..20_000).map(|i| ints(&[i, i])).collect();
    let plan = aggregate(values(2, &rows), vec![col(0)], calls());
    let outcome = bench.run(plan);
    let error = outcome.result.unwrap_err();
    assert_eq!(error.code(), types::SqlState::OUT_OF_MEMORY);
    assert_eq!(outcome.left_over, 0);
}
