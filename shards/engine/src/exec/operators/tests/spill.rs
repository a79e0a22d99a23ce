//! Operators over their memory give what they give within it, and leave nothing behind.

use super::*;
use crate::plan::{Aggregate, AggregateMode, Join, JoinKind, Keep, SetOp};
use proptest::prelude::*;
use types::SqlState;

/// A budget of this is over after a few hundred rows.
const TINY: usize = 128 << 10;

/// Runs a plan within its memory and over it: rows in the first order and in the second.
pub(super) fn both(plan: impl Fn() -> Plan) -> (Vec<Row>, Vec<Row>) {
    let expected = Bench::new().rows(plan());
    (expected, tight(TINY, plan()))
}

/// The rows with a tiny budget; they must have been put aside, within it.
pub(super) fn tight(bytes_max: usize, plan: Plan) -> Vec<Row> {
    let mut bench = Bench::new();
    bench.bytes_max = bytes_max;
    bench.temp_bytes_max = Some(1 << 30);
    let outcome = bench.run(plan);
    let rows = outcome.result.unwrap();
    assert!(outcome.spilled > 0, "everything fit");
    assert!(outcome.peak <= bytes_max, "{} bytes", outcome.peak);
    assert_eq!(outcome.left_over, 0);
    rows
}

fn value(max: i32) -> impl Strategy<Value = Value> {
    prop_oneof![1 => Just(Value::Null), 9 => (0..max).prop_map(Value::Int4)]
}

/// Enough rows to be over `TINY`: those drawn, many times over, each copy with a number of its own.
pub(super) fn many(drawn: Vec<(Value, Value)>, copies: i32) -> Vec<Row> {
    let copy = |n: i32| {
        let drawn = drawn.clone();
        drawn
            .into_iter()
            .map(move |(a, b)| vec![a, b, Value::Int4(n)])
    };
    (0..copies).flat_map(copy).collect()
}

fn drawn(keys: i32) -> impl Strategy<Value = Vec<(Value, Value)>> {
    proptest::collection::vec((value(keys), value(50)), 40..60)
}

fn sort(rows: &[Row], top: Option<u64>) -> Plan {
    let down = SortKey {
        descending: true,
        ..asc(col(1))
    };
    Plan::Sort {
        input: Box::new(values(3, rows)),
        keys: vec![asc(col(0)), down],
        top,
    }
}

fn join(kind: JoinKind, left: &[Row], right: &[Row], keys: bool, filter: Option<Expr>) -> Plan {
    let key = |e: Expr| if keys { vec![e] } else { Vec::new() };
    Plan::Join(Box::new(Join {
        kind,
        left: values(3, left),
        right: values(3, right),
        left_width: 3,
        right_width: 3,
        left_keys: key(col(0)),
        right_keys: key(col(0)),
        filter,
        lateral: false,
        keep: Keep::Either,
    }))
}

const KINDS: [JoinKind; 6] = [
    JoinKind::Inner,
    JoinKind::Left,
    JoinKind::Right,
    JoinKind::Full,
    JoinKind::Semi,
    JoinKind::Anti,
];

fn aggregate(rows: &[Row], groups: Vec<Expr>, aggregates: Vec<AggregateCall>) -> Plan {
    Plan::Aggregate(Box::new(Aggregate {
        input: values(3, rows),
        mode: AggregateMode::Complete,
        groups,
        aggregates,
        seeds: Vec::new(),
    }))
}

fn calls() -> Vec<AggregateCall> {
    let mut filtered = call("count", vec![col(1)]);
    filtered.filter = Some(op(">", col(1), int(20)));
    vec![
        call("count", Vec::new()),
        filtered,
        call("sum", vec![col(1)]),
        call("avg", vec![col(1)]),
        call("min", vec![col(1)]),
        call("max", vec![col(1)]),
        call("array_agg", vec![col(2)]),
        call("jsonb_agg", vec![col(1)]),
    ]
}

fn kept_calls() -> Vec<AggregateCall> {
    let distinct = |name, column| AggregateCall {
        distinct: true,
        ..call(name, vec![col(column)])
    };
    let down = SortKey {
        descending: true,
        ..asc(col(1))
    };
    let ordered = AggregateCall {
        order: vec![down.clone()],
        ..call("array_agg", vec![col(2)])
    };
    let both = AggregateCall {
        order: vec![down],
        ..distinct("array_agg", 1)
    };
    vec![
        distinct("count", 2),
        distinct("sum", 1),
        ordered,
        both,
        call("count", Vec::new()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn a_sort_on_disk_is_the_sort_in_memory(drawn in drawn(9), top in 0..2000u64) {
        let rows = many(drawn, 60);
        // Stable: the order of rows with equal keys too.
        let (expected, got) = both(|| sort(&rows, None));
        prop_assert_eq!(&got, &expected);
        let mut bench = Bench::new();
        bench.bytes_max = TINY;
        bench.temp_bytes_max = Some(1 << 30);
        let first = bench.rows(sort(&rows, Some(top)));
        prop_assert_eq!(&first[..], &expected[..expected.len().min(top as usize)]);
    }

    #[test]
    fn joins_on_disk_are_the_joins_in_memory(left in drawn(40), right in drawn(40), less: bool) {
        let (left, right) = (many(left, 1), many(right, 45));
        let on = less.then(|| op("<", col(1), col(4)));
        for kind in KINDS {
            // Few left rows are kept themselves where the kind lets them be.
            let plan = join(kind, &left, &right, true, on.clone());
            let mut bench = Bench::new();
            let expected = bench.rows(plan.clone());
            bench.bytes_max = TINY;
            bench.temp_bytes_max = Some(1 << 30);
            prop_assert_eq!(sorted(bench.rows(plan)), sorted(expected), "{:?} small left", kind);
            let (expected, got) = both(|| join(kind, &right, &right[..1500.min(right.len())], true, Some(op("=", col(1), col(5)))));
            prop_assert_eq!(sorted(got), sorted(expected), "{:?}", kind);
        }
    }

    #[test]
    fn joins_of_one_key_or_none_end_on_disk_too(left in drawn(2), right in drawn(1)) {
        let (left, right) = (many(left, 3), many(right, 45));
        let on = op("=", col(1), op("+", col(4), col(5)));
        for kind in KINDS {
            for keys in [true, false] {
                let plan = || join(kind, &left, &right, keys, Some(on.clone()));
                let expected = Bench::new().rows(plan());
                let mut bench = Bench::new();
                bench.bytes_max = TINY;
                bench.temp_bytes_max = Some(1 << 30);
                let outcome = bench.run(plan());
                prop_assert!(outcome.peak <= TINY);
                prop_assert_eq!(sorted(outcome.result.unwrap()), sorted(expected), "{:?} {}", kind, keys);
            }
        }
    }

    #[test]
    fn groups_on_disk_are_the_groups_in_memory(drawn in drawn(30)) {
        let rows = many(drawn, 60);
        for groups in [vec![col(0)], vec![col(0), col(2)]] {
            let (expected, got) = both(|| aggregate(&rows, groups.clone(), calls()));
            prop_assert_eq!(sorted(got), sorted(expected));
            let (expected, got) = both(|| aggregate(&rows, groups.clone(), kept_calls()));
            prop_assert_eq!(sorted(got), sorted(expected));
        }
    }

    #[test]
    fn one_group_keeps_what_distinct_and_order_by_want_on_disk(drawn in drawn(30)) {
        let mut calls = kept_calls();
        // An array of them all would be over the budget: counting them in that order is not.
        calls[2] = AggregateCall { order: calls[2].order.clone(), ..call("count", vec![col(1)]) };
        let mut rows = many(drawn, 60);
        for (i, row) in rows.iter_mut().enumerate() {
            row[2] = Value::Int4((i % 2500) as i32);
        }
        let (expected, got) = both(|| aggregate(&rows, Vec::new(), calls.clone()));
        prop_assert_eq!(got, expected);
    }

    #[test]
    fn distinct_on_disk_is_distinct_in_memory(drawn in drawn(9)) {
        let mut rows = many(drawn.clone(), 60);
        rows.extend(many(drawn, 30));
        let plan = || Plan::Distinct { input: Box::new(values(3, &rows)) };
        let (expected, got) = both(plan);
        prop_assert_eq!(sorted(got), sorted(expected));
    }

    #[test]
    fn set_operations_on_disk_are_those_in_memory(left in drawn(9), right in drawn(9)) {
        let mut left_rows = many(left.clone(), 50);
        left_rows.extend(many(right.clone(), 30));
        let mut right_rows = many(right, 60);
        right_rows.extend(many(left, 40));
        for op in [SetOp::Union, SetOp::Intersect, SetOp::Except] {
            for all in [false, true] {
                let plan = || Plan::SetOp {
                    op,
                    all,
                    left: Box::new(values(3, &left_rows)),
                    right: Box::new(values(3, &right_rows)),
                };
                if op == SetOp::Union && all {
                    continue;
                }
                let (expected, got) = both(plan);
                prop_assert_eq!(sorted(got), sorted(expected), "{:?} {}", op, all);
            }
        }
    }
}

fn numbers(count: i32) -> Vec<Row> {
    (0..count)
        .map(|i| ints(&[i, i * 7919 % count, 0]))
        .collect()
}

#[test]
fn many_runs_are_merged_in_passes() {
    let rows = numbers(40_000);
    let got = tight(64 << 10, sort(&rows, None));
    assert_eq!(got, rows);
}

#[test]
fn parts_are_divided_until_they_fit() {
    let rows = numbers(20_000);
    let plan = join(JoinKind::Inner, &rows, &rows, true, None);
    assert_eq!(tight(64 << 10, plan).len(), rows.len());
    let plan = aggregate(&rows, vec![col(1)], vec![call("count", Vec::new())]);
    assert_eq!(tight(64 << 10, plan).len(), rows.len());
}

#[test]
fn the_state_of_one_group_must_fit_and_says_so() {
    let rows = numbers(20_000);
    let mut bench = Bench::new();
    bench.bytes_max = TINY;
    bench.temp_bytes_max = Some(1 << 30);
    let outcome = bench.run(aggregate(
        &rows,
        Vec::new(),
        vec![call("array_agg", vec![col(0)])],
    ));
    let error = outcome.result.unwrap_err();
    assert_eq!(error.code(), SqlState::OUT_OF_MEMORY);
    assert!(
        error
            .detail()
            .unwrap()
            .starts_with("One group of HashAggregate"),
        "{error:?}"
    );
    assert_eq!((outcome.left_over, outcome.temp_left), (0, 0));
}

#[test]
fn a_full_quota_ends_the_statement_and_leaves_nothing() {
    let rows = numbers(20_000);
    let plans = [
        sort(&rows, None),
        join(JoinKind::Full, &rows, &rows, true, None),
        aggregate(&rows, vec![col(0)], calls()),
        Plan::Distinct {
            input: Box::new(values(3, &rows)),
        },
    ];
    for plan in plans {
        let mut bench = Bench::new();
        bench.bytes_max = TINY;
        bench.temp_bytes_max = Some(100 << 10);
        let outcome = bench.run(plan);
        let error = outcome.result.unwrap_err();
        assert_eq!(error.code(), SqlState::CONFIGURATION_LIMIT_EXCEEDED);
        assert_eq!((outcome.left_over, outcome.temp_left), (0, 0));
    }
}

#[test]
fn a_cancel_while_spilling_leaves_nothing() {
    let rows = numbers(20_000);
    for checks in [10, 25, 40] {
        let mut bench = Bench::new();
        bench.bytes_max = TINY;
        bench.temp_bytes_max = Some(1 << 30);
        bench.checks = checks;
        let outcome = bench.run(sort(&rows, None));
        assert_eq!(outcome.result.unwrap_err().code(), SqlState::QUERY_CANCELED);
        assert!(outcome.spilled > 0);
        assert_eq!((outcome.left_over, outcome.temp_left), (0, 0));
    }
}

#[test]
fn operators_over_each_other_share_a_budget() {
    let rows = numbers(8_000);
    let inner = join(JoinKind::Inner, &rows, &rows, true, None);
    let grouped = Plan::Aggregate(Box::new(Aggregate {
        input: inner,
        mode: AggregateMode::Complete,
        groups: vec![col(1)],
        aggregates: vec![call("count", Vec::new())],
        seeds: Vec::new(),
    }));
    let plan = Plan::Sort {
        input: Box::new(Plan::Distinct {
            input: Box::new(grouped),
        }),
        keys: vec![asc(col(0))],
        top: None,
    };
    let got = tight(1 << 20, plan);
    let first: Vec<Value> = got.iter().map(|r| r[0].clone()).collect();
    assert_eq!(first, (0..8_000).map(Value::Int4).collect::<Vec<_>>());
}
