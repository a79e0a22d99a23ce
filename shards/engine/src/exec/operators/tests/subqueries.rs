//! Subqueries in expressions, and settling scans.

use super::*;
use crate::plan::SubqueryKind;
use types::SqlState;

fn subquery(plan: Plan, kind: SubqueryKind, ty: DataType) -> Expr {
    let correlated = !plan.outer_refs().is_empty();
    Expr::Subquery {
        plan: Arc::new(plan),
        kind,
        correlated,
        ty,
    }
}

fn quantified(left: Expr, symbol: &str, all: bool, rows: &[Row]) -> Expr {
    let resolved = resolve::operator(symbol, Some(DataType::Int4), DataType::Int4).unwrap();
    let kind = SubqueryKind::Quantified {
        left: Box::new(left),
        op: FuncRef(resolved.func),
        all,
    };
    subquery(values(1, rows), kind, DataType::Bool)
}

fn value(e: Expr) -> Result<Value> {
    let plan = project(Plan::OneRow, vec![e]);
    Ok(Bench::new().run(plan).result?.remove(0).remove(0))
}

#[test]
fn a_scalar_subquery_is_one_row_or_null() {
    let scalar = |rows: &[Row]| {
        value(subquery(
            values(1, rows),
            SubqueryKind::Scalar,
            DataType::Int4,
        ))
    };
    assert_eq!(scalar(&[ints(&[7])]).unwrap(), Value::Int4(7));
    assert_eq!(scalar(&[]).unwrap(), Value::Null);
    let error = scalar(&[ints(&[1]), ints(&[2])]).unwrap_err();
    assert_eq!(error.code(), SqlState::CARDINALITY_VIOLATION);
}

#[test]
fn in_and_not_in_follow_nulls() {
    let (yes, no, unknown) = (Value::Bool(true), Value::Bool(false), Value::Null);
    let with_null = [ints(&[1]), vec![Value::Null]];
    let plain = [ints(&[1]), ints(&[2])];
    let null = || constant(Value::Null);
    let is_in = |left: Expr, rows: &[Row]| value(quantified(left, "=", false, rows)).unwrap();
    let not_in = |left: Expr, rows: &[Row]| value(quantified(left, "<>", true, rows)).unwrap();
    assert_eq!(is_in(int(1), &with_null), yes);
    assert_eq!(is_in(int(3), &with_null), unknown);
    assert_eq!(is_in(int(3), &plain), no);
    assert_eq!(is_in(null(), &plain), unknown);
    assert_eq!(is_in(null(), &[]), no);
    assert_eq!(not_in(int(1), &with_null), no);
    assert_eq!(not_in(int(3), &with_null), unknown);
    assert_eq!(not_in(int(3), &plain), yes);
    assert_eq!(not_in(null(), &[]), yes);
    let greater = |all| value(quantified(int(2), ">", all, &plain)).unwrap();
    assert_eq!((greater(false), greater(true)), (yes, no));
}

#[test]
fn a_branch_not_taken_runs_no_subquery() {
    let two = subquery(
        values(1, &[ints(&[1]), ints(&[2])]),
        SubqueryKind::Scalar,
        DataType::Int4,
    );
    let case = |taken: bool| Expr::Case {
        branches: vec![(constant(Value::Bool(taken)), int(0))],
        otherwise: Some(Box::new(two.clone())),
        ty: DataType::Int4,
    };
    assert_eq!(value(case(true)).unwrap(), Value::Int4(0));
    assert!(value(case(false)).is_err());
    let bad = op("=", two.clone(), int(1));
    let and = Expr::And(vec![constant(Value::Bool(false)), bad.clone()]);
    assert_eq!(value(and).unwrap(), Value::Bool(false));
    let or = Expr::Or(vec![constant(Value::Bool(true)), bad]);
    assert_eq!(value(or).unwrap(), Value::Bool(true));
}

#[test]
fn an_uncorrelated_subquery_runs_once_and_a_correlated_one_once_for_each_value() {
    let mut bench = Bench::new();
    let table = bench.table(1, 2, &[ints(&[1, 10]), ints(&[2, 20])]);
    let rows: Vec<Row> = (0..100).map(|i| ints(&[i % 3])).collect();
    let scan = || filter(Plan::scan(table.clone()), op("=", col(0), outer(1, 0)));
    let inner = project(scan(), vec![col(1)]);
    let correlated = subquery(inner, SubqueryKind::Scalar, DataType::Int4);
    let outcome = bench.run(project(values(1, &rows), vec![correlated]));
    assert_eq!(outcome.scans, 3);
    let got = outcome.result.unwrap();
    assert_eq!(got[..3], [vec![Value::Null], ints(&[10]), ints(&[20])]);
    let exists = subquery(
        Plan::scan(table.clone()),
        SubqueryKind::Exists,
        DataType::Bool,
    );
    let outcome = bench.run(filter(values(1, &rows), exists));
    assert_eq!((outcome.scans, outcome.result.unwrap().len()), (1, 100));
}

#[test]
fn a_scan_is_sent_without_enclosing_rows_or_subqueries() {
    let mut bench = Bench::new();
    let table = bench.table(1, 2, &[ints(&[1, 10]), ints(&[2, 20])]);
    let Plan::Scan(mut scan) = Plan::scan(table) else {
        unreachable!("a scan")
    };
    let lowest = subquery(
        values(1, &[ints(&[2])]),
        SubqueryKind::Scalar,
        DataType::Int4,
    );
    scan.filter = Some(Expr::And(vec![
        op("=", col(0), outer(1, 0)),
        op(">=", col(0), lowest),
        quantified(col(1), "=", false, &[ints(&[20]), ints(&[30])]),
    ]));
    let exists = subquery(Plan::Scan(scan), SubqueryKind::Exists, DataType::Bool);
    let rows: Vec<Row> = (0..4).map(|i| ints(&[i])).collect();
    assert_eq!(bench.rows(filter(values(1, &rows), exists)), [ints(&[2])]);
}

#[test]
fn exact_keys_are_settled_once_each_and_null_keys_dropped() {
    let mut bench = Bench::new();
    let table = bench.table(1, 2, &[ints(&[1, 10]), ints(&[2, 20])]);
    let Plan::Scan(mut scan) = Plan::scan(table) else {
        unreachable!("a scan")
    };
    let keys = [
        int(2),
        int(2),
        constant(Value::Null),
        op("+", int(1), int(0)),
    ];
    scan.access = Access::Keys(keys.into_iter().map(|k| vec![k]).collect());
    let settled = runtime::block_on(async move {
        let source = Rc::new(MemorySource::default());
        let exec = Exec::new(context(), source, Memory::new(1 << 20), Rc::new(|| Ok(())));
        super::super::settle_scan(&scan, &Rc::new(exec), &[])
            .await
            .unwrap()
    });
    let Access::Keys(keys) = &settled.access else {
        panic!("keys stay keys");
    };
    assert_eq!(keys.len(), 2);
}

#[test]
fn a_key_equal_to_any_of_an_array_is_looked_up() {
    let rows: Vec<Row> = (0..9).map(|i| ints(&[i, i])).collect();
    let mut bench = Bench::new();
    let table = bench.table(1, 2, &rows);
    let items = vec![Value::Int4(3), Value::Null, Value::Int4(3), Value::Int4(7)];
    let array = Value::Array(Arc::new(types::Array {
        element: DataType::Int4,
        items,
    }));
    let Expr::Call { func, .. } = op("=", col(0), int(1)) else {
        unreachable!("a call")
    };
    let Plan::Scan(mut scan) = Plan::scan(table) else {
        unreachable!("a scan")
    };
    scan.filter = Some(Expr::ArrayQuantified {
        left: Box::new(col(0)),
        op: func,
        array: Box::new(Expr::Const(array, DataType::Int4Array)),
        all: false,
    });
    let plain = scan.clone();
    let settled = runtime::block_on(async move {
        let source = Rc::new(MemorySource::default());
        let exec = Exec::new(context(), source, Memory::new(1 << 20), Rc::new(|| Ok(())));
        super::super::settle_scan(&plain, &Rc::new(exec), &[])
            .await
            .unwrap()
    });
    assert!(matches!(&settled.access, Access::Keys(keys) if keys.len() == 2));
    assert_eq!(bench.rows(Plan::Scan(scan)), [ints(&[3, 3]), ints(&[7, 7])]);
}
