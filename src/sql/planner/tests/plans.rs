//! What the planner makes of typical statements, as EXPLAIN shows it.

use super::{bound, catalog};
use crate::sql::planner::{explain, explain_json, optimize};

fn check(cases: &[(&str, &str)]) {
    let catalog = catalog();
    let mut wrong = String::new();
    for (sql, expected) in cases {
        let plan = optimize(bound(sql), &catalog);
        let got = explain(&plan, &catalog).join("\n");
        let expected: Vec<&str> = expected
            .lines()
            .skip(1)
            .map(|l| &l[8.min(l.len())..])
            .collect();
        let expected = expected.join("\n").trim_end().to_string();
        if got != expected {
            wrong.push_str(&format!("{sql}\nwant\n{expected}\ngot\n{got}\n\n"));
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn print_all() {
    let catalog = catalog();
    for sql in super::answers::QUERIES
        .iter()
        .chain(super::answers::ORDERED)
    {
        let plan = optimize(bound(sql), &catalog);
        println!("{sql}\n    {}\n", explain(&plan, &catalog).join("\n    "));
    }
    check(&[]);
    let _ = explain_json(&bound("select 1"), &catalog);
}
