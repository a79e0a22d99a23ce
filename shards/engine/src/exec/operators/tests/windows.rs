//! Window functions and recursion within their memory and over it.

use super::spill::{both, many, tight};
use super::*;
use crate::plan::{
    Frame, FrameBound, FrameExclude, FrameUnits, Recursive, Window, WindowCall, WindowFunc,
    WithScan,
};

/// A budget of this is over after a few hundred rows.
const TINY: usize = 128 << 10;

fn function(func: WindowFunc, args: Vec<Expr>) -> WindowCall {
    WindowCall {
        func,
        args,
        filter: None,
        ty: DataType::Int8,
    }
}

fn sum(column: usize) -> WindowCall {
    function(WindowFunc::Aggregate("sum_int4".into()), vec![col(column)])
}

/// Over rows sorted by column 2.
fn window(rows: &[Row], frame: Frame, calls: Vec<WindowCall>) -> Plan {
    Plan::Window(Box::new(Window {
        input: Plan::Sort {
            input: Box::new(values(3, rows)),
            keys: vec![asc(col(2))],
            top: None,
        },
        partition: Vec::new(),
        order: vec![asc(col(2))],
        frame,
        calls,
    }))
}

fn rows(count: i32) -> Vec<Row> {
    let row = |i| vec![Value::Int4(i % 7), Value::Int4(i * 31 % 11), Value::Int4(i)];
    (0..count).map(row).collect()
}

fn whole_partition() -> Frame {
    Frame {
        units: FrameUnits::Rows,
        start: FrameBound::UnboundedPreceding,
        end: FrameBound::UnboundedFollowing,
        exclude: FrameExclude::CurrentRow,
    }
}

#[test]
fn a_partition_larger_than_memory_is_put_aside_and_answers_the_same() {
    let data = rows(4_000);
    let calls = || {
        let last = function(WindowFunc::LastValue, vec![col(2)]);
        let back = function(WindowFunc::Lag, vec![col(2), int(1_500)]);
        let buckets = function(WindowFunc::Ntile, vec![int(7)]);
        vec![last, back, buckets]
    };
    let (expected, spilled) = both(|| window(&data, whole_partition(), calls()));
    assert_eq!(expected, spilled);
}

#[test]
fn a_running_total_holds_few_rows() {
    let data = rows(4_000);
    let calls = || {
        vec![
            sum(1),
            function(WindowFunc::RowNumber, Vec::new()),
            function(WindowFunc::Rank, Vec::new()),
        ]
    };
    let plan = |data: &[Row]| {
        Plan::Window(Box::new(Window {
            input: values(3, data),
            partition: Vec::new(),
            order: vec![asc(col(2))],
            frame: Frame::usual(),
            calls: calls(),
        }))
    };
    let mut bench = Bench::new();
    bench.bytes_max = 64 << 10;
    let outcome = bench.run(plan(&data));
    assert_eq!(outcome.result.unwrap().len(), 4_000);
    assert_eq!((outcome.spilled, outcome.left_over), (0, 0));
}

#[test]
fn a_moving_sum_is_the_sum_of_its_frame() {
    let data = rows(500);
    let frame = || Frame {
        units: FrameUnits::Rows,
        start: FrameBound::Preceding(Expr::Const(Value::Int8(2), DataType::Int8)),
        end: FrameBound::Following(Expr::Const(Value::Int8(3), DataType::Int8)),
        exclude: FrameExclude::NoOthers,
    };
    let got = Bench::new().rows(window(&data, frame(), vec![sum(1)]));
    for (i, row) in got.iter().enumerate() {
        let from = i.saturating_sub(2);
        let to = (i + 4).min(data.len());
        let terms = data[from..to].iter().filter_map(|r| r[1].as_i64());
        assert_eq!(row[3], Value::Int8(terms.sum()), "row {i}");
    }
}

#[test]
fn a_recursion_ends_when_a_round_brings_nothing_and_spills_a_large_round() {
    let data = many(vec![(Value::Int4(1), Value::Int4(2))], 3_000);
    let scan = WithScan {
        id: 7,
        name: "t".into(),
        types: vec![DataType::Int4; 3],
    };
    let plan = || {
        Plan::Recursive(Box::new(Recursive {
            id: 7,
            base: values(3, &data),
            step: Plan::Project {
                input: Box::new(Plan::Filter {
                    input: Box::new(Plan::WorkTable(scan.clone())),
                    predicate: op("<", col(0), int(3)),
                }),
                exprs: vec![op("+", col(0), int(1)), col(1), col(2)],
            },
            distinct: false,
        }))
    };
    let got = tight(TINY, plan());
    assert_eq!(got.len(), 3 * data.len());
    assert_eq!(got.last().map(|r| r[0].clone()), Some(Value::Int4(3)));
}
