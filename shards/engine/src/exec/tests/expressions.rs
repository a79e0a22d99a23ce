//! Logic, laziness, folding, and the depth of chains.

use super::*;
use crate::exec::eval::{columns_used, has_subquery, transform, walk};
use crate::exec::functions::by_name;
use types::SqlState;

const TRUE: Option<bool> = Some(true);
const FALSE: Option<bool> = Some(false);

fn int(v: i32) -> Expr {
    Expr::Const(Value::Int4(v), DataType::Int4)
}

fn boolean(v: Option<bool>) -> Expr {
    Expr::Const(v.map_or(Value::Null, Value::Bool), DataType::Bool)
}

fn func(name: &str) -> FuncRef {
    FuncRef(by_name(name).expect("a function"))
}

fn apply(name: &str, args: Vec<Expr>) -> Expr {
    let func = func(name);
    let ty = func.0.ret;
    Expr::Call { func, args, ty }
}

/// Fails whenever it is evaluated.
fn failing() -> Expr {
    apply(
        "int4eq",
        vec![apply("int4div", vec![int(1), int(0)]), int(1)],
    )
}

fn run(e: &Expr) -> Result<Value> {
    let ctx = context();
    let env = Env {
        ctx: &ctx,
        outer: &[],
    };
    eval(e, &[], &env)
}

fn truth(e: &Expr) -> Option<bool> {
    match run(e) {
        Ok(Value::Bool(b)) => Some(b),
        Ok(Value::Null) => None,
        other => panic!("{other:?}"),
    }
}

#[test]
fn and_or_not_have_three_values() {
    for a in [TRUE, FALSE, None] {
        for b in [TRUE, FALSE, None] {
            let and = match (a, b) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            };
            let or = match (a, b) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            };
            let pair = || vec![boolean(a), boolean(b)];
            assert_eq!(truth(&Expr::And(pair())), and);
            assert_eq!(truth(&Expr::Or(pair())), or);
            assert_eq!(truth(&fold(Expr::And(pair()), None)), and);
            assert_eq!(truth(&fold(Expr::Or(pair()), None)), or);
        }
        assert_eq!(truth(&Expr::Not(Box::new(boolean(a)))), a.map(|a| !a));
    }
}

#[test]
fn what_decides_ends_the_evaluation() {
    assert_eq!(truth(&Expr::And(vec![boolean(FALSE), failing()])), FALSE);
    assert_eq!(truth(&Expr::Or(vec![boolean(TRUE), failing()])), TRUE);
    assert_eq!(
        run(&Expr::Coalesce(
            vec![boolean(TRUE), failing()],
            DataType::Bool
        )),
        Ok(Value::Bool(true))
    );
    let case = Expr::Case {
        branches: vec![(boolean(None), failing()), (boolean(TRUE), int(1))],
        otherwise: Some(Box::new(failing())),
        ty: DataType::Int4,
    };
    assert_eq!(run(&case), Ok(Value::Int4(1)));
    assert_eq!(run(&fold(case, None)), Ok(Value::Int4(1)));
}

#[test]
fn folding_keeps_errors_for_the_execution() {
    let folded = fold(failing(), None);
    assert!(matches!(folded, Expr::Call { .. }));
    assert_eq!(
        run(&folded).expect_err("fails").code(),
        SqlState::DIVISION_BY_ZERO
    );
}

#[test]
fn folding_leaves_what_changes_between_executions() {
    for name in ["now", "drandom", "clock_timestamp"] {
        assert!(
            matches!(fold(apply(name, vec![]), None), Expr::Call { .. }),
            "{name}"
        );
    }
    let zoned = Expr::Cast {
        expr: Box::new(Expr::Const("2024-01-01".into(), DataType::Text)),
        to: DataType::Timestamptz,
        typmod: -1,
        explicit: true,
    };
    assert!(matches!(fold(zoned, None), Expr::Cast { .. }));
    assert!(is_constant(&apply("now", vec![])));
    assert!(!is_constant(&apply("drandom", vec![])));
}

#[test]
fn in_follows_nulls() {
    let list = |expr: Expr, items: Vec<Expr>, negated| Expr::InList {
        expr: Box::new(expr),
        items,
        eq: func("int4eq"),
        negated,
    };
    let null = || Expr::Const(Value::Null, DataType::Int4);
    assert_eq!(truth(&list(int(1), vec![int(2), int(1)], false)), TRUE);
    assert_eq!(truth(&list(int(1), vec![int(2), null()], false)), None);
    assert_eq!(truth(&list(int(1), vec![int(1), null()], true)), FALSE);
    assert_eq!(truth(&list(int(1), vec![int(2)], true)), TRUE);
    assert_eq!(truth(&list(null(), vec![int(2)], false)), None);
}

#[test]
fn distinct_and_nullif_and_extremes_mind_nulls() {
    let null = || Expr::Const(Value::Null, DataType::Int4);
    let distinct = |l: Expr, r: Expr, negated| Expr::Distinct {
        left: Box::new(l),
        right: Box::new(r),
        eq: func("int4eq"),
        negated,
    };
    assert_eq!(truth(&distinct(null(), null(), false)), FALSE);
    assert_eq!(truth(&distinct(null(), int(1), false)), TRUE);
    assert_eq!(truth(&distinct(int(1), int(1), true)), TRUE);
    let nullif = |l: Expr, r: Expr| Expr::NullIf {
        left: Box::new(l),
        right: Box::new(r),
        eq: func("int4eq"),
        ty: DataType::Int4,
    };
    assert_eq!(run(&nullif(int(1), int(1))), Ok(Value::Null));
    assert_eq!(run(&nullif(int(1), null())), Ok(Value::Int4(1)));
    let extreme = |greatest| Expr::Extreme {
        items: vec![int(2), null(), int(3), int(1)],
        less: func("int4lt"),
        greatest,
        ty: DataType::Int4,
    };
    assert_eq!(run(&extreme(true)), Ok(Value::Int4(3)));
    assert_eq!(run(&extreme(false)), Ok(Value::Int4(1)));
}

#[test]
fn any_and_all_over_arrays_follow_nulls() {
    let array = |items: Vec<Option<i32>>| {
        let items = items
            .into_iter()
            .map(|i| i.map_or(Value::Null, Value::Int4));
        let a = types::Array {
            element: DataType::Int4,
            items: items.collect(),
        };
        Box::new(Expr::Const(Value::Array(Arc::new(a)), DataType::Int4Array))
    };
    let over = |items, op: &str, all| Expr::ArrayQuantified {
        left: Box::new(int(2)),
        op: func(op),
        array: array(items),
        all,
    };
    assert_eq!(truth(&over(vec![Some(1), Some(2)], "int4eq", false)), TRUE);
    assert_eq!(truth(&over(vec![Some(1), None], "int4eq", false)), None);
    assert_eq!(truth(&over(vec![], "int4eq", false)), FALSE);
    assert_eq!(truth(&over(vec![], "int4eq", true)), TRUE);
    assert_eq!(truth(&over(vec![Some(1), None], "int4gt", true)), None);
    assert_eq!(truth(&over(vec![Some(3), None], "int4gt", true)), FALSE);
}

#[test]
fn a_missing_parameter_or_column_is_an_error() {
    let missing = run(&Expr::Param(1, DataType::Int4)).expect_err("no $2");
    assert_eq!(missing.message(), "there is no parameter $2");
    assert!(run(&Expr::Column(0, DataType::Int4)).is_err());
}

#[test]
fn outer_rows_are_counted_from_the_nearest() {
    let ctx = context();
    let (far, near) = ([Value::Int4(1)], [Value::Int4(2)]);
    let env = Env {
        ctx: &ctx,
        outer: &[&far, &near],
    };
    let at = |depth| {
        let e = Expr::Outer {
            depth,
            column: 0,
            ty: DataType::Int4,
        };
        eval(&e, &[], &env)
    };
    assert_eq!(at(1), Ok(Value::Int4(2)));
    assert_eq!(at(2), Ok(Value::Int4(1)));
    assert!(at(3).is_err());
}

/// `c0 + 1 + 1 …` of the longest chain there may be, with casts and negations strewn in.
fn chain() -> Expr {
    let mut e = Expr::Column(0, DataType::Int8);
    for i in 0..types::limits::OPERATOR_CHAIN_MAX {
        e = apply("int84pl", vec![e, int(1)]);
        if i % 100 == 0 {
            e = Expr::Cast {
                expr: Box::new(e),
                to: DataType::Int8,
                typmod: -1,
                explicit: false,
            };
        }
    }
    e
}

#[test]
fn the_longest_chain_fits_half_of_a_shards_stack() {
    let work = || {
        let ctx = context();
        let e = fold(chain(), Some(&ctx));
        let e = transform(e, &mut |e| e);
        let mut calls = 0;
        walk(&e, &mut |e| {
            calls += usize::from(matches!(e, Expr::Call { .. }))
        });
        assert_eq!(calls, types::limits::OPERATOR_CHAIN_MAX);
        assert_eq!(columns_used(&e).len(), 1);
        assert!(!has_subquery(&e));
        let bytes = postcard::to_stdvec(&e.clone()).expect("encodes");
        let e: Expr = postcard::from_bytes(&bytes).expect("decodes");
        let env = Env {
            ctx: &ctx,
            outer: &[],
        };
        let v = eval(&e, &[Value::Int8(5)], &env);
        let sum = 5 + types::limits::OPERATOR_CHAIN_MAX as i64;
        assert_eq!(v, Ok(Value::Int8(sum)));
    };
    let thread = std::thread::Builder::new().stack_size(types::limits::SHARD_STACK_BYTES / 2);
    thread
        .spawn(work)
        .expect("starts")
        .join()
        .expect("finishes");
}
