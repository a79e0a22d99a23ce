//! Kernels against evaluation row by row: the same values, scales included, and the same errors.

use super::{Column, Program};
use crate::catalog::{ColumnDef, Table};
use crate::codec::columns::Columns;
use crate::codec::row::{Layout, encode};
use crate::exec::Context;
use crate::exec::eval::{Env, blank, eval};
use crate::exec::fragment::Fragment;
use crate::exec::functions::by_name;
use crate::exec::sieve::{Keys, Sieve, hash_values};
use crate::plan::{AggregateCall, Expr, FuncRef, Partial, Plan, Scan};
use hashbrown::DefaultHashBuilder;
use proptest::prelude::*;
use std::sync::Arc;
use types::{DataType, Result, Row, TableId, TreeId, Value};

const TYPES: [DataType; 9] = [
    DataType::Int4,
    DataType::Int8,
    DataType::Numeric,
    DataType::Text,
    DataType::Bpchar,
    DataType::Date,
    DataType::Float8,
    DataType::Bool,
    DataType::Numeric,
];

/// Choices, one after another; zeros at the end.
struct Dice<'a>(std::slice::Iter<'a, u8>);

impl Dice<'_> {
    fn roll(&mut self, sides: u8) -> u8 {
        self.0.next().map_or(0, |b| b % sides)
    }

    fn of<T: Copy>(&mut self, items: &[T]) -> T {
        items[usize::from(self.roll(items.len() as u8))]
    }
}

fn numeric(text: &str) -> Value {
    Value::Numeric(text.parse().unwrap())
}

/// `plain`: NUMERIC of two digits after the point, as most columns have it.
fn value(ty: DataType, plain: bool, dice: &mut Dice) -> Value {
    let texts = ["", "a", "ab", "abc  ", "b a", "ba%", "x_y", "aba", "é"];
    match ty {
        DataType::Int4 => Value::Int4(dice.of(&[0, 1, -1, 7, 100, i32::MAX, i32::MIN])),
        DataType::Int8 => Value::Int8(dice.of(&[0, 1, -3, 50, 100, i64::MAX, i64::MIN])),
        DataType::Date => Value::Date(dice.of(&[0, 1, -400, 9_000, i32::MAX, i32::MIN])),
        DataType::Float8 => {
            Value::Float8(dice.of(&[0.0, -0.0, 1.5, f64::NAN, f64::INFINITY, 1e300, 1e-300]))
        }
        DataType::Bool => Value::Bool(dice.roll(2) == 1),
        DataType::Bpchar => Value::text(format!("{:<4}", dice.of(&texts))),
        DataType::Text => Value::from(dice.of(&texts)),
        _ if plain => {
            numeric(dice.of(&["0.00", "1.50", "-2.25", "100.00", "92233720368547758.07"]))
        }
        _ => numeric(dice.of(&[
            "0",
            "1.5",
            "-2.250",
            "NaN",
            "Infinity",
            "1e40",
            "9223372036854775807",
            "0.000",
        ])),
    }
}

fn row(dice: &mut Dice, nulls: bool) -> Row {
    let value = |(at, ty): (usize, &DataType)| match nulls && dice.roll(5) == 0 {
        true => Value::Null,
        false => value(*ty, at == 2, dice),
    };
    TYPES.iter().enumerate().map(value).collect()
}

fn call(name: &str, args: Vec<Expr>) -> Expr {
    let func = by_name(name).unwrap();
    Expr::Call {
        func: FuncRef(func),
        args,
        ty: func.ret,
    }
}

fn leaf(ty: DataType, dice: &mut Dice) -> Expr {
    let places: Vec<usize> = (0..TYPES.len()).filter(|at| TYPES[*at] == ty).collect();
    match dice.roll(3) {
        0 => Expr::Const(value(ty, false, dice), ty),
        _ => Expr::Column(dice.of(&places), ty),
    }
}

fn number(ty: DataType, depth: u8, dice: &mut Dice) -> Expr {
    let names: &[&str] = match ty {
        DataType::Int4 => &["int4pl", "int4mi", "int4mul"],
        DataType::Int8 => &["int8pl", "int8mi", "int8mul"],
        DataType::Numeric => &["numeric_add", "numeric_sub", "numeric_mul", "numeric_div"],
        DataType::Float8 => &["float8pl", "float8mi", "float8mul"],
        _ => return leaf(ty, dice),
    };
    if depth == 0 || dice.roll(2) == 0 {
        return match (ty, dice.roll(4)) {
            (DataType::Int8 | DataType::Numeric, 0) => Expr::Cast {
                expr: Box::new(leaf(DataType::Int4, dice)),
                to: ty,
                typmod: -1,
                explicit: false,
            },
            _ => leaf(ty, dice),
        };
    }
    let name = dice.of(names);
    call(
        name,
        vec![number(ty, depth - 1, dice), number(ty, depth - 1, dice)],
    )
}

fn condition(depth: u8, dice: &mut Dice) -> Expr {
    let several = |dice: &mut Dice| {
        let count = 2 + dice.roll(2);
        (0..count)
            .map(|_| condition(depth.saturating_sub(1), dice))
            .collect()
    };
    match dice.roll(if depth == 0 { 6 } else { 10 }) {
        0 => Expr::Column(7, DataType::Bool),
        1 => {
            let name = dice.of(&["textlike", "textnlike"]);
            let pattern = dice.of(&["a%", "%a", "%a%b%", "ab", "", "%", "a_", "%a%a%", "a\\"]);
            let pattern = Expr::Const(Value::from(pattern), DataType::Text);
            call(name, vec![Expr::Column(3, DataType::Text), pattern])
        }
        2 => {
            let (ty, eq) = dice.of(&[
                (DataType::Int4, "int4eq"),
                (DataType::Text, "texteq"),
                (DataType::Bpchar, "bpchareq"),
                (DataType::Numeric, "numeric_eq"),
            ]);
            Expr::InList {
                expr: Box::new(leaf(ty, dice)),
                items: (0..dice.of(&[3, 20]))
                    .map(|_| Expr::Const(value(ty, false, dice), ty))
                    .collect(),
                eq: FuncRef(by_name(eq).unwrap()),
                negated: dice.roll(2) == 1,
            }
        }
        3 | 4 => {
            let (ty, names) = dice.of(&[
                (
                    DataType::Int4,
                    ["int4eq", "int4ne", "int4lt", "int4le", "int4gt", "int4ge"],
                ),
                (
                    DataType::Int8,
                    ["int8eq", "int8ne", "int8lt", "int8le", "int8gt", "int8ge"],
                ),
                (
                    DataType::Date,
                    [
                        "date_eq", "date_ne", "date_lt", "date_le", "date_gt", "date_ge",
                    ],
                ),
                (
                    DataType::Text,
                    [
                        "texteq", "textne", "text_lt", "text_le", "text_gt", "text_ge",
                    ],
                ),
                (
                    DataType::Bpchar,
                    [
                        "bpchareq", "bpcharne", "bpcharlt", "bpcharle", "bpchargt", "bpcharge",
                    ],
                ),
                (
                    DataType::Float8,
                    [
                        "float8eq", "float8ne", "float8lt", "float8le", "float8gt", "float8ge",
                    ],
                ),
                (
                    DataType::Numeric,
                    [
                        "numeric_eq",
                        "numeric_ne",
                        "numeric_lt",
                        "numeric_le",
                        "numeric_gt",
                        "numeric_ge",
                    ],
                ),
            ]);
            let name = dice.of(&names);
            call(name, vec![number(ty, depth, dice), number(ty, depth, dice)])
        }
        5 => {
            let name = dice.of(&[
                "date_lt_timestamp",
                "date_ge_timestamp",
                "date_eq_timestamp",
            ]);
            let micros = dice.of(&[0, 1, -86_400_000_000, i64::MAX, i64::MIN]);
            let other = Expr::Const(Value::Timestamp(micros), DataType::Timestamp);
            call(name, vec![leaf(DataType::Date, dice), other])
        }
        6 => Expr::Not(Box::new(condition(depth - 1, dice))),
        7 => Expr::IsNull(Box::new(number(DataType::Numeric, depth, dice))),
        8 => Expr::Or(several(dice)),
        _ => Expr::And(several(dice)),
    }
}

fn layout() -> Layout {
    Layout::plain(TYPES.to_vec())
}

fn stored(rows: &[Row]) -> Vec<Vec<u8>> {
    let bytes = |row: &Row| {
        let mut bytes = Vec::new();
        encode(row, &layout(), &mut bytes);
        bytes
    };
    rows.iter().map(bytes).collect()
}

/// Values with the scales that are shown.
fn shown<T: std::fmt::Debug>(v: &T) -> String {
    format!("{v:?}")
}

fn table() -> Table {
    let column =
        |(at, ty): (usize, &DataType)| ColumnDef::new(format!("c{at}"), *ty, at as i16 + 1);
    Table {
        id: TableId(1),
        name: "t".into(),
        tree: TreeId(1),
        columns: TYPES.iter().enumerate().map(column).collect(),
        ..Table::default()
    }
}

fn scan(edit: impl FnOnce(&mut Scan)) -> Arc<Scan> {
    let Plan::Scan(mut scan) = Plan::scan(Arc::new(table())) else {
        unreachable!("a scan")
    };
    edit(&mut scan);
    Arc::new(*scan)
}

/// What a scan gives of rows that are taken one by one, and of stored ones.
fn both(scan: &Arc<Scan>, rows: &[Row]) -> (Result<Vec<Row>>, Result<Vec<Row>>) {
    let ctx: Arc<Context> = Arc::new(blank().clone());
    let mut single = Fragment::new(scan.clone(), ctx.clone());
    let one = |f: &mut Fragment| {
        rows.iter().try_for_each(|row| f.push(row.clone()))?;
        Ok(f.take()?.rows)
    };
    let mut batched = Fragment::new(scan.clone(), ctx);
    let many = |f: &mut Fragment| {
        let layout = layout();
        let mut out = Vec::new();
        for bytes in stored(rows) {
            f.push_stored(&layout, &bytes)?;
            if f.batch_full() {
                out.extend(f.take()?.rows);
            }
        }
        out.extend(f.take()?.rows);
        Ok(out)
    };
    (one(&mut single), many(&mut batched))
}

fn same_answers(scan: &Arc<Scan>, rows: &[Row]) -> std::result::Result<(), TestCaseError> {
    match both(scan, rows) {
        (Ok(one), Ok(many)) => prop_assert_eq!(shown(&one), shown(&many)),
        (Err(one), Err(many)) => prop_assert_eq!(one.code(), many.code()),
        (one, many) => prop_assert!(false, "{:?} and {:?}", one, many),
    }
    Ok(())
}

fn many_rows(choices: &[u8], nulls: bool) -> Vec<Row> {
    // More than are taken one by one, several batches of them.
    let mut dice = Dice(choices.iter());
    let some: Vec<Row> = (0..40).map(|_| row(&mut dice, nulls)).collect();
    some.iter().cycle().take(2_500).cloned().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn kernels_give_what_evaluation_gives(
        choices in proptest::collection::vec(any::<u8>(), 60),
        cells in proptest::collection::vec(any::<u8>(), 400),
        nulls: bool,
    ) {
        let mut dice = Dice(choices.iter());
        let ty = dice.of(&[DataType::Int4, DataType::Int8, DataType::Numeric, DataType::Float8, DataType::Bool]);
        let e = match ty {
            DataType::Bool => condition(2, &mut dice),
            ty => number(ty, 2, &mut dice),
        };
        let mut dice = Dice(cells.iter());
        let rows: Vec<Row> = (0..20).map(|_| row(&mut dice, nulls)).collect();
        let mut columns = Columns::new(&layout(), &[true; TYPES.len()]);
        for bytes in stored(&rows) {
            columns.push(&bytes).unwrap();
        }
        let mut program = Program::default();
        let Some(at) = program.add(&e, &columns, blank()) else {
            return Ok(());
        };
        // Every other row, so that places are not positions.
        let numbers: Vec<u32> = (0..rows.len() as u32).step_by(2).collect();
        let Some(done) = program.run(&columns, &numbers) else {
            return Ok(());
        };
        let column = Column { vector: &done[at], ty, bytes: columns.bytes() };
        let env = Env { ctx: blank(), outer: &[] };
        for (at, number) in numbers.iter().enumerate() {
            let expected = eval(&e, &rows[*number as usize], &env);
            prop_assert_eq!(shown(&column.value(at)), shown(&expected), "{:?} of {:?}", e, rows[*number as usize]);
        }
    }

    #[test]
    fn filters_over_batches_let_through_what_they_do_row_by_row(
        choices in proptest::collection::vec(any::<u8>(), 60),
        cells in proptest::collection::vec(any::<u8>(), 400),
        nulls: bool,
    ) {
        let mut dice = Dice(choices.iter());
        let count = 1 + dice.roll(3);
        let conjuncts: Vec<Expr> = (0..count).map(|_| condition(1, &mut dice)).collect();
        let hasher = DefaultHashBuilder::default();
        let column = dice.of(&[0, 1, 3]);
        let keys = (0..4).map(|_| value(TYPES[column], false, &mut dice));
        let hashes: Vec<u64> = keys.map(|v| hash_values(&hasher, [v].iter())).collect();
        let keys = Keys::of(&hasher, hashes.len(), hashes.into_iter()).unwrap();
        let sieved = dice.roll(2) == 0;
        let scan = scan(|scan| {
            scan.filter = Some(Expr::And(conjuncts));
            if sieved {
                scan.sieves = vec![Sieve { columns: vec![column], keys: Arc::new(keys) }];
            }
        });
        let rows = many_rows(&cells, nulls);
        match sieved {
            // How many rows a sieve that is of no use lets through is not said.
            true => {
                let (one, many) = both(&scan, &rows);
                prop_assert_eq!(one.is_ok(), many.is_ok());
            }
            false => same_answers(&scan, &rows)?,
        }
    }

    #[test]
    fn groups_over_batches_are_those_of_single_rows(
        choices in proptest::collection::vec(any::<u8>(), 60),
        cells in proptest::collection::vec(any::<u8>(), 400),
        nulls: bool,
    ) {
        let mut dice = Dice(choices.iter());
        let aggregates = [
            ("count", None),
            ("sum_numeric", Some(DataType::Numeric)),
            ("avg_numeric", Some(DataType::Numeric)),
            ("sum_int4", Some(DataType::Int4)),
            ("avg_int8", Some(DataType::Int8)),
            ("sum_int8", Some(DataType::Int8)),
            ("min_text", Some(DataType::Text)),
            ("max_date", Some(DataType::Date)),
            ("sum_float8", Some(DataType::Float8)),
            ("stddev_numeric", Some(DataType::Numeric)),
            ("count", Some(DataType::Bpchar)),
        ];
        let calls = (0..3).map(|_| {
            let (func, ty) = dice.of(&aggregates);
            AggregateCall {
                func: func.into(),
                args: ty.map(|ty| number(ty, 1, &mut dice)).into_iter().collect(),
                distinct: false,
                filter: (dice.roll(4) == 0).then(|| condition(1, &mut dice)),
                order: Vec::new(),
                ty: ty.unwrap_or(DataType::Int8),
            }
        }).collect();
        let groups = (0..dice.roll(3)).map(|_| {
            let ty = dice.of(&TYPES);
            match ty {
                DataType::Bool => condition(0, &mut dice),
                ty => number(ty, 1, &mut dice),
            }
        }).collect();
        let scan = scan(|scan| scan.partial = Some(Partial { groups, aggregates: calls }));
        same_answers(&scan, &many_rows(&cells, nulls))?;
    }
}

#[test]
fn rows_too_old_for_a_column_are_taken_as_they_are() {
    let old = Layout::plain(TYPES[..2].to_vec());
    let mut newer = table();
    newer.columns[2].missing = Some(numeric("5.00"));
    let new = newer.layout();
    let mut columns = Columns::new(&new, &[true; TYPES.len()]);
    let mut bytes = Vec::new();
    encode(&[Value::Int4(1), Value::Null], &old, &mut bytes);
    columns.push(&bytes).unwrap();
    let mut row = Row::new();
    columns.row(0, &mut row).unwrap();
    assert_eq!(
        row[..4],
        [Value::Int4(1), Value::Null, numeric("5.00"), Value::Null]
    );
    assert!(columns.decimals(2, &[0]).is_none() && columns.texts(3, &[0]).is_none());
    assert_eq!(columns.ints(0, &[0]), Some(vec![1]));
}

#[test]
fn damaged_rows_are_refused_when_they_are_added() {
    let row: Row = row(&mut Dice([].iter()), false);
    let bytes = stored(&[row]).remove(0);
    let mut columns = Columns::new(&layout(), &[true; TYPES.len()]);
    for end in 0..bytes.len() {
        assert!(columns.push(&bytes[..end]).is_err(), "{end}");
    }
    assert_eq!(columns.len(), 0);
    columns.push(&bytes).unwrap();
    assert_eq!(columns.value(0, 0).unwrap(), Value::Int4(0));
}

#[test]
fn programs_have_ceilings() {
    let columns = Columns::new(&layout(), &[true; TYPES.len()]);
    let column = || Expr::Column(0, DataType::Int4);
    let added = |e: &Expr| Program::default().add(e, &columns, blank()).is_some();
    // Those of integers and texts are searched, and may be of any length.
    let list = |ty: DataType, at: usize, eq: &str, items: i32| {
        let item = |v: i32| match ty {
            DataType::Int4 => Value::Int4(v),
            _ => Value::Float8(f64::from(v)),
        };
        let items = (0..items).map(|v| Expr::Const(item(v), ty));
        Expr::InList {
            expr: Box::new(Expr::Column(at, ty)),
            items: items.collect(),
            eq: FuncRef(by_name(eq).unwrap()),
            negated: false,
        }
    };
    let floats = |items| list(DataType::Float8, 6, "float8eq", items);
    assert!(added(&floats(64)) && !added(&floats(65)));
    assert!(added(&list(DataType::Int4, 0, "int4eq", 30_000)));
    let chain = |length: i32| {
        let one = || Expr::Const(Value::Int4(1), DataType::Int4);
        (1..length).fold(column(), |e, _| call("int4pl", vec![e, one()]))
    };
    assert!(added(&chain(64)) && !added(&chain(65)) && !added(&chain(1_000)));
}
