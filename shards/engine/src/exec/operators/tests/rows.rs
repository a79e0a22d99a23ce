//! Sorting, limits, set operations, fragments.

use super::*;
use crate::exec::sieve::{Keys, hash_values};
use crate::plan::SetOp;
use proptest::prelude::*;
use types::SqlState;

fn sort(rows: &[Row], keys: Vec<SortKey>, top: Option<u64>) -> Vec<Row> {
    let input = Box::new(values(2, rows));
    Bench::new().rows(Plan::Sort { input, keys, top })
}

fn limit(rows: &[Row], limit: Value, offset: Value) -> Result<Vec<Row>> {
    let plan = Plan::Limit {
        input: Box::new(values(1, rows)),
        limit: Some(constant(limit)),
        offset: Some(constant(offset)),
    };
    Bench::new().run(plan).result
}

fn set_op(op: SetOp, all: bool, left: &[Row], right: &[Row]) -> Vec<Row> {
    Bench::new().rows(Plan::SetOp {
        op,
        all,
        left: Box::new(values(1, left)),
        right: Box::new(values(1, right)),
    })
}

fn single() -> impl Strategy<Value = Vec<Row>> {
    let value = prop_oneof![1 => Just(Value::Null), 5 => (0..4i32).prop_map(Value::Int4)];
    proptest::collection::vec(value.prop_map(|v| vec![v]), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn set_operations_count_rows_as_sql_does(left in single(), right in single()) {
        let count = |rows: &[Row], row: &Row| rows.iter().filter(|r| *r == row).count();
        let mut all = left.clone();
        all.extend(right.iter().cloned());
        for op in [SetOp::Union, SetOp::Intersect, SetOp::Except] {
            for keep_all in [true, false] {
                let got = set_op(op, keep_all, &left, &right);
                for row in &all {
                    let (l, r) = (count(&left, row), count(&right, row));
                    let expected = match op {
                        SetOp::Union => l + r,
                        SetOp::Intersect => l.min(r),
                        SetOp::Except if keep_all => l.saturating_sub(r),
                        SetOp::Except => usize::from(l > 0 && r == 0),
                    };
                    let expected = if keep_all { expected } else { expected.min(1) };
                    prop_assert_eq!(count(&got, row), expected, "{:?} {}", op, keep_all);
                }
            }
        }
    }

    #[test]
    fn sorting_is_stable_and_top_is_its_beginning(
        keys in proptest::collection::vec(0..50i32, 0..2000),
        top in 0..40u64,
        descending: bool,
    ) {
        let rows: Vec<Row> = keys.iter().zip(0..).map(|(k, i)| ints(&[*k, i])).collect();
        let mut expected = keys.iter().copied().zip(0..).collect::<Vec<(i32, i32)>>();
        expected.sort_by_key(|(k, _)| if descending { -*k } else { *k });
        let expected: Vec<Row> = expected.iter().map(|(k, i)| ints(&[*k, *i])).collect();
        let key = SortKey { descending, ..asc(col(0)) };
        prop_assert_eq!(&sort(&rows, vec![key.clone()], None), &expected);
        let first = &expected[..expected.len().min(top as usize)];
        prop_assert_eq!(sort(&rows, vec![key], Some(top)), first);
    }
}

#[test]
fn nulls_stand_where_the_key_says() {
    let rows = [
        ints(&[1, 0]),
        vec![Value::Null, Value::Int4(0)],
        ints(&[2, 0]),
    ];
    for (descending, nulls_first, at) in [
        (false, false, 2),
        (false, true, 0),
        (true, true, 0),
        (true, false, 2),
    ] {
        let key = SortKey {
            expr: col(0),
            descending,
            nulls_first,
        };
        let got = sort(&rows, vec![key], None);
        assert!(got[at][0].is_null(), "{descending} {nulls_first}");
    }
}

#[test]
fn limit_and_offset_count_rows_and_refuse_negatives() {
    let rows: Vec<Row> = (0..3000).map(|i| ints(&[i])).collect();
    let got = limit(&rows, Value::Int8(2), Value::Int8(1500)).unwrap();
    assert_eq!(got, [ints(&[1500]), ints(&[1501])]);
    assert_eq!(
        limit(&rows, Value::Null, Value::Int8(2990)).unwrap().len(),
        10
    );
    assert_eq!(limit(&rows, Value::Int8(0), Value::Null).unwrap().len(), 0);
    let error = limit(&rows, Value::Int8(-1), Value::Null).unwrap_err();
    assert_eq!(error.code(), SqlState::INVALID_ROW_COUNT_IN_LIMIT_CLAUSE);
    assert_eq!(error.message(), "LIMIT must not be negative");
    let error = limit(&rows, Value::Null, Value::Int8(-1)).unwrap_err();
    assert_eq!(error.message(), "OFFSET must not be negative");
}

#[test]
fn distinct_on_keeps_the_first_of_each_run() {
    let rows = [ints(&[1, 9]), ints(&[1, 8]), ints(&[2, 7])];
    let got = Bench::new().rows(Plan::DistinctOn {
        input: Box::new(values(2, &rows)),
        keys: vec![col(0)],
    });
    assert_eq!(got, [ints(&[1, 9]), ints(&[2, 7])]);
}

#[test]
fn a_cancelled_statement_stops_in_the_middle() {
    let mut bench = Bench::new();
    let rows: Vec<Row> = (0..20_000).map(|i| ints(&[i])).collect();
    bench.checks = 5;
    let outcome = bench.run(filter(values(1, &rows), op(">", col(0), int(-1))));
    assert_eq!(outcome.result.unwrap_err().code(), SqlState::QUERY_CANCELED);
}

fn fragment(edit: impl FnOnce(&mut Scan)) -> Fragment {
    let Plan::Scan(mut scan) = Plan::scan(table(1, 3)) else {
        unreachable!("a scan")
    };
    edit(&mut scan);
    Fragment::new(Arc::new(*scan), context())
}

#[test]
fn a_fragment_wants_only_the_columns_it_reads() {
    assert_eq!(fragment(|_| {}).wanted(), [true; 3]);
    let one = fragment(|scan| {
        scan.project = Some(vec![col(2)]);
        scan.filter = Some(op("=", col(0), int(1)));
    });
    assert_eq!(one.wanted(), [true, false, true]);
    let none = fragment(|scan| scan.project = Some(Vec::new()));
    assert_eq!(none.wanted(), [false; 3]);
}

#[test]
fn a_fragment_stops_at_its_limit_and_fills_bounded_batches() {
    let mut limited = fragment(|scan| scan.limit = Some(2));
    for i in 0..5 {
        limited.push(ints(&[i, 0, 0])).unwrap();
    }
    assert!(limited.limit_reached());
    assert_eq!(limited.take().unwrap().len(), 2);
    let mut full = fragment(|_| {});
    let mut pushed = 0;
    while !full.batch_full() {
        full.push(ints(&[pushed, 0, 0])).unwrap();
        pushed += 1;
    }
    let batch = full.take().unwrap();
    assert!(batch.len() <= types::limits::BATCH_ROWS_MAX && !full.batch_full());
    assert_eq!(full.memory(), 0);
}

#[test]
fn a_sieve_holds_rows_back_while_that_is_of_use() {
    let hasher = hashbrown::DefaultHashBuilder::default();
    let sieve = |wanted: std::ops::Range<i32>| {
        let hashes = wanted
            .clone()
            .map(|i| hash_values(&hasher, ints(&[i]).iter()));
        Arc::new(Keys::of(&hasher, wanted.len(), hashes).unwrap())
    };
    let given = |keys: &Arc<Keys>| {
        let mut fragment = fragment(|scan| scan.sift(&[1], keys));
        for i in 0..1000 {
            fragment.push(ints(&[0, i, 0])).unwrap();
        }
        fragment.take().unwrap().rows
    };
    let few = given(&sieve(100..110));
    assert!((10..200).contains(&few.len()));
    assert!((100..110).all(|i| few.contains(&ints(&[0, i, 0]))));
    assert_eq!(
        given(&sieve(0..900)).len(),
        1000,
        "it let the first rows through"
    );
    let mut counted = fragment(|scan| {
        scan.limit = Some(5);
        scan.sift(&[1], &sieve(100..110));
    });
    counted.push(ints(&[0, 1, 0])).unwrap();
    assert_eq!(counted.take().unwrap().len(), 1);
}
