//! Statements at their ceilings: what the maximum costs, and one more refused.

use super::{Statement, bound};
use types::SqlState;

#[test]
fn subqueries_nested_to_the_maximum_bind_on_a_small_stack() {
    let work = || {
        let n = 60;
        let sql = format!("{}select 1{}", "select (".repeat(n), ")".repeat(n));
        bound(&sql).map(|b| matches!(b.statement, Statement::Query(_)))
    };
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(work);
    let joined = thread.expect("a thread").join().expect("no overflow");
    assert_eq!(joined, Ok(true));
}

#[test]
fn operator_chains_of_the_maximum_bind_on_a_small_stack() {
    let work = || {
        for more in ["+1", "::int", " or true", " and true"] {
            let first = if more.contains('t') { "true" } else { "1" };
            let first = if more == "::int" { "1" } else { first };
            let sql = format!("select {first}{}", more.repeat(1000));
            if let Err(e) = bound(&sql) {
                return Err(format!("{more}: {e}"));
            }
        }
        let sql = format!("select 1{}", " union all select 1".repeat(250));
        bound(&sql).map(|_| ()).map_err(|e| e.to_string())
    };
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(work);
    let joined = thread.expect("a thread").join().expect("no overflow");
    assert_eq!(joined, Ok(()));
}

#[test]
fn relations_of_the_maximum_bind_on_a_small_stack_and_one_more_is_refused() {
    let work = || {
        let join = |n: usize| {
            format!(
                "select 1 from t a0{}",
                (1..n)
                    .map(|i| format!(" join t a{i} on true"))
                    .collect::<String>()
            )
        };
        let comma = |n: usize| {
            format!(
                "select 1 from t a0{}",
                (1..n).map(|i| format!(", t a{i}")).collect::<String>()
            )
        };
        let nested = |n: usize| {
            let joins: String = (1..n).map(|i| format!(" join t a{i}")).collect();
            format!("select 1 from t a0{joins}{}", " on true".repeat(n - 1))
        };
        let max = crate::bind::RELATIONS_MAX;
        for sql in [join(max), comma(max)] {
            if let Err(e) = bound(&sql) {
                return Err(format!("{e}"));
            }
        }
        for sql in [join(max + 1), comma(max + 1), nested(max + 1)] {
            match bound(&sql) {
                Err(e) if e.code() == SqlState::STATEMENT_TOO_COMPLEX => {}
                other => return Err(format!("{:?}", other.map(|_| ()))),
            }
        }
        Ok(())
    };
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(work);
    let joined = thread.expect("a thread").join().expect("no overflow");
    assert_eq!(joined, Ok(()));
}

#[test]
fn what_doubles_with_each_level_is_refused_before_it_costs_memory() {
    let mut between = "a".to_string();
    for _ in 0..40 {
        between = format!("({between} between 1 and 2)::int");
    }
    let e = bound(&format!("select {between} from t")).expect_err("exponential");
    assert_eq!(e.code(), SqlState::STATEMENT_TOO_COMPLEX);
    let ctes = |how: &str| {
        let mut ctes = "with q0 as (select 1 as n)".to_string();
        for i in 1..40 {
            let before = i - 1;
            ctes.push_str(&format!(
                ", q{i} as {how} (select x.n from q{before} x, q{before} y)"
            ));
        }
        bound(&format!("{ctes} select * from q39"))
    };
    let e = ctes("not materialized").expect_err("exponential");
    assert_eq!(e.code(), SqlState::STATEMENT_TOO_COMPLEX);
    // Each runs once, however often it is read.
    assert!(ctes("").is_ok());
}
