//! Joins against nested loops.

use super::*;
use crate::plan::{Join, JoinKind, Keep};
use proptest::prelude::*;

const KINDS: [JoinKind; 6] = [
    JoinKind::Inner,
    JoinKind::Left,
    JoinKind::Right,
    JoinKind::Full,
    JoinKind::Semi,
    JoinKind::Anti,
];

fn join(kind: JoinKind, left: Plan, right: Plan, keys: bool, filter: Option<Expr>) -> Plan {
    let key = |e: Expr| if keys { vec![e] } else { Vec::new() };
    Plan::Join(Box::new(Join {
        kind,
        left,
        right,
        left_width: 2,
        right_width: 2,
        left_keys: key(col(0)),
        right_keys: key(col(0)),
        filter,
        lateral: false,
        keep: Keep::Either,
    }))
}

/// Every pair tried; `key` = first columns must be equal; `less` = second columns must be `<`.
fn model(kind: JoinKind, left: &[Row], right: &[Row], key: bool, less: bool) -> Vec<Row> {
    let number = |v: &Value| v.as_i64();
    let matches = |l: &Row, r: &Row| {
        let equal = matches!((number(&l[0]), number(&r[0])), (Some(a), Some(b)) if a == b);
        let below = matches!((number(&l[1]), number(&r[1])), (Some(a), Some(b)) if a < b);
        (!key || equal) && (!less || below)
    };
    let nulls = vec![Value::Null; 2];
    let pair = |l: &Row, r: &Row| [l.clone(), r.clone()].concat();
    let mut out = Vec::new();
    let mut matched = vec![false; right.len()];
    for l in left {
        let mut any = false;
        for (i, r) in right.iter().enumerate().filter(|(_, r)| matches(l, r)) {
            any = true;
            matched[i] = true;
            if !matches!(kind, JoinKind::Semi | JoinKind::Anti) {
                out.push(pair(l, r));
            }
        }
        match kind {
            JoinKind::Semi if any => out.push(l.clone()),
            JoinKind::Anti if !any => out.push(l.clone()),
            JoinKind::Left | JoinKind::Full if !any => out.push(pair(l, &nulls)),
            _ => {}
        }
    }
    if matches!(kind, JoinKind::Right | JoinKind::Full) {
        let alone = right.iter().zip(matched).filter(|(_, m)| !m);
        out.extend(alone.map(|(r, _)| pair(&nulls, r)));
    }
    out
}

fn row() -> impl Strategy<Value = Row> {
    let value = || prop_oneof![1 => Just(Value::Null), 6 => (0..4i32).prop_map(Value::Int4)];
    (value(), value()).prop_map(|(a, b)| vec![a, b])
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    proptest::collection::vec(row(), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn every_join_gives_what_a_nested_loop_gives(left in rows(), right in rows(), less: bool) {
        let bench = Bench::new();
        let on = less.then(|| op("<", col(1), col(3)));
        for kind in KINDS {
            for keys in [true, false] {
                let plan = join(kind, values(2, &left), values(2, &right), keys, on.clone());
                let expected = model(kind, &left, &right, keys, less);
                prop_assert_eq!(sorted(bench.rows(plan)), sorted(expected), "{:?} {}", kind, keys);
            }
        }
    }

    #[test]
    fn a_join_with_a_table_gives_what_a_nested_loop_gives(left in rows(), right in rows()) {
        let mut bench = Bench::new();
        let keyed: Vec<Row> = right.iter().filter(|r| !r[0].is_null()).cloned().collect();
        let mut unique: Vec<Row> = Vec::new();
        for row in keyed {
            if unique.iter().all(|u| u[0] != row[0]) {
                unique.push(row);
            }
        }
        let table = bench.table(1, 2, &unique);
        for kind in KINDS {
            let plan = join(kind, values(2, &left), Plan::scan(table.clone()), true, None);
            let expected = model(kind, &left, &unique, true, false);
            prop_assert_eq!(sorted(bench.rows(plan)), sorted(expected), "{:?}", kind);
        }
    }
}

/// `kind` over `below`, which is a join of the first two inputs.
fn two_joins(below: JoinKind, kind: JoinKind, key: usize, inputs: [Plan; 3]) -> Plan {
    let [a, b, c] = inputs;
    let both = !matches!(below, JoinKind::Semi | JoinKind::Anti);
    let mut plan = join(kind, join(below, a, b, true, None), c, true, None);
    if let Plan::Join(top) = &mut plan {
        top.left_width = if both { 4 } else { 2 };
        top.left_keys = vec![col(if both { key } else { 0 })];
    }
    plan
}

#[test]
fn what_joins_tell_the_scans_under_them_changes_no_answer() {
    let mut bench = Bench::new();
    let rows =
        |n: i32, times: i32| -> Vec<Row> { (0..n).map(|i| ints(&[i, i * times % n])).collect() };
    let inputs = [rows(6000, 7), rows(5000, 11), rows(40, 3)];
    let scans: Vec<Plan> = (1..)
        .zip(&inputs)
        .map(|(id, rows)| Plan::scan(bench.table(id, 2, rows)))
        .collect();
    for below in KINDS {
        for kind in KINDS {
            for key in [0, 1, 3] {
                let [a, b, c] = &inputs;
                let given = [values(2, a), values(2, b), values(2, c)];
                let expected = sorted(bench.rows(two_joins(below, kind, key, given)));
                let [a, b, c] = &scans[..] else { return };
                let read = [a.clone(), b.clone(), c.clone()];
                let got = sorted(bench.rows(two_joins(below, kind, key, read)));
                assert_eq!(got, expected, "{below:?} {kind:?} {key}");
            }
        }
    }
}

#[test]
fn a_join_keeps_the_order_of_a_large_left_input() {
    let left: Vec<Row> = (0..9000).map(|i| ints(&[i % 7, i])).collect();
    let right: Vec<Row> = (0..7).map(|i| ints(&[i, i])).collect();
    let plan = join(
        JoinKind::Inner,
        values(2, &left),
        values(2, &right),
        true,
        None,
    );
    let got: Vec<Value> = Bench::new()
        .rows(plan)
        .into_iter()
        .map(|r| r[1].clone())
        .collect();
    assert_eq!(got, (0..9000).map(Value::Int4).collect::<Vec<_>>());
}

#[test]
fn a_join_over_its_budget_is_refused_by_name_and_returns_its_memory() {
    let mut bench = Bench::new();
    bench.bytes_max = 64 << 10;
    let rows: Vec<Row> = (0..20_000).map(|i| ints(&[i, i])).collect();
    let plan = join(
        JoinKind::Inner,
        values(2, &rows),
        values(2, &rows),
        true,
        None,
    );
    let outcome = bench.run(plan);
    let error = outcome.result.unwrap_err();
    assert_eq!(error.code(), types::SqlState::OUT_OF_MEMORY);
    assert!(error.detail().unwrap().starts_with("Hash Join"));
    assert!(outcome.peak <= 64 << 10);
    assert_eq!(outcome.left_over, 0);
}

fn lateral(kind: JoinKind, left: &[Row], right: Plan) -> Plan {
    Plan::Join(Box::new(Join {
        kind,
        left: values(2, left),
        right,
        left_width: 2,
        right_width: 2,
        left_keys: Vec::new(),
        right_keys: Vec::new(),
        filter: None,
        lateral: true,
        keep: Keep::Either,
    }))
}

#[test]
fn a_lateral_side_sees_each_left_row() {
    let left = [
        ints(&[1, 10]),
        ints(&[2, 20]),
        vec![Value::Null, Value::Int4(0)],
    ];
    let right = [ints(&[1, 5]), ints(&[2, 6]), ints(&[2, 7])];
    let side = || filter(values(2, &right), op("=", col(0), outer(1, 0)));
    for kind in [
        JoinKind::Inner,
        JoinKind::Left,
        JoinKind::Semi,
        JoinKind::Anti,
    ] {
        let got = Bench::new().rows(lateral(kind, &left, side()));
        assert_eq!(got, model(kind, &left, &right, true, false), "{kind:?}");
    }
}

#[test]
fn few_left_rows_are_looked_up_instead_of_reading_the_right_table() {
    let mut bench = Bench::new();
    let rows: Vec<Row> = (0..5000).map(|i| ints(&[i, i])).collect();
    let table = bench.table(1, 2, &rows);
    bench.bytes_max = 64 << 10;
    let left = [ints(&[7, 0]), ints(&[4999, 1]), ints(&[9999, 2])];
    for kind in [
        JoinKind::Inner,
        JoinKind::Left,
        JoinKind::Semi,
        JoinKind::Anti,
    ] {
        let plan = join(
            kind,
            values(2, &left),
            Plan::scan(table.clone()),
            true,
            None,
        );
        let expected = model(kind, &left, &rows, true, false);
        assert_eq!(bench.rows(plan), expected, "{kind:?}");
    }
}

#[test]
fn a_small_left_input_joins_a_right_one_larger_than_the_budget() {
    let mut bench = Bench::new();
    bench.bytes_max = 256 << 10;
    let right: Vec<Row> = (0..20_000).map(|i| ints(&[i % 5, i])).collect();
    let left = [ints(&[3, 0]), ints(&[8, 1])];
    for kind in [JoinKind::Inner, JoinKind::Left] {
        let plan = join(kind, values(2, &left), values(2, &right), true, None);
        let expected = model(kind, &left, &right, true, false);
        assert_eq!(sorted(bench.rows(plan)), sorted(expected), "{kind:?}");
    }
}
