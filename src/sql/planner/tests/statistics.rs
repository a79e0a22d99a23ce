//! What the planner chooses by what ANALYZE has found.

use super::{bound, catalog, explained};
use crate::planner::optimize;
use engine::catalog::Catalog;
use engine::catalog::statistics::Statistics;
use engine::exec::eval::blank;
use std::sync::Arc;
use types::{Row, Value};

/// A table's name, how many rows it has, and what they are.
type Filled<'a> = (&'a str, u64, &'a dyn Fn(i32) -> Row);

/// The catalog after ANALYZE of tables with these rows.
fn analyzed(tables: &[Filled]) -> Catalog {
    let mut catalog = Catalog::clone(&catalog());
    for (name, rows, row) in tables {
        let table = catalog.table_by_name(None, name).unwrap().clone();
        let sample: Vec<Row> = (0..(*rows).min(1_000) as i32).map(row).collect();
        let statistics = Statistics::of(&table, *rows, &sample);
        catalog.statistics.insert(table.id, Arc::new(statistics));
    }
    catalog
}

fn plan(sql: &str, catalog: &Catalog) -> String {
    let statement = optimize(bound(sql), catalog, blank());
    explained(&statement, catalog).text().join("\n")
}

/// `t`: unique `a`, `b` of so many values, a text.
fn t(values: i32) -> impl Fn(i32) -> Row {
    move |i| vec![Value::Int4(i), Value::Int4(i % values), Value::from("x")]
}

fn pair(i: i32) -> Row {
    vec![Value::Int4(i / 10), Value::Int4(i % 10), Value::Int4(i)]
}

fn loose(i: i32) -> Row {
    vec![Value::Int4(i), Value::Int4(i % 50)]
}

#[test]
fn an_index_is_used_where_it_leaves_few_rows_and_not_where_it_leaves_most() {
    let sql = "select * from t where b = 1";
    let many = plan(sql, &analyzed(&[("t", 100_000, &t(2))]));
    assert!(many.starts_with("Seq Scan on t"), "{many}");
    let few = plan(sql, &analyzed(&[("t", 100_000, &t(500))]));
    assert!(few.starts_with("Index Scan using t_0_idx on t"), "{few}");
}

#[test]
fn a_range_is_as_wide_as_the_histogram_says() {
    let catalog = analyzed(&[("t", 100_000, &t(1_000))]);
    let wide = plan("select * from t where b > 10", &catalog);
    assert!(wide.starts_with("Seq Scan"), "{wide}");
    let narrow = plan("select * from t where b > 990", &catalog);
    assert!(narrow.starts_with("Index Scan"), "{narrow}");
}

#[test]
fn the_smaller_side_of_a_join_is_kept() {
    let sql = "select * from loose, t where loose.n = t.b";
    let hashed = |plan: &str| {
        plan.lines()
            .skip_while(|l| !l.contains("Hash\n") && !l.ends_with("Hash"))
            .nth(1)
            .map(str::to_owned)
    };
    let few = analyzed(&[("t", 100_000, &t(500)), ("loose", 50, &loose)]);
    let text = plan(sql, &few);
    assert!(hashed(&text).is_some_and(|l| l.contains("loose")), "{text}");
    let many = analyzed(&[("t", 50, &t(500)), ("loose", 100_000, &loose)]);
    let text = plan(sql, &many);
    assert!(hashed(&text).is_some_and(|l| l.contains(" t")), "{text}");
}

#[test]
fn a_semi_join_keeps_its_left_side_when_that_is_the_smaller_one() {
    let catalog = analyzed(&[("t", 50, &t(5)), ("loose", 100_000, &loose)]);
    let text = plan("select * from t where b in (select n from loose)", &catalog);
    assert!(text.starts_with("Hash Semi Join"), "{text}");
    let at = |what: &str| text.find(what).unwrap_or(usize::MAX);
    assert!(at("->  Hash\n") < at("on t"), "{text}");
}

#[test]
fn what_a_large_table_restricts_is_joined_with_the_other_inputs_before() {
    let catalog = analyzed(&[("t", 100, &t(50)), ("loose", 100_000, &loose)]);
    let sql = "select * from loose l, t where l.m = t.a and t.b = 7 \
               and not exists (select 1 from loose o where o.n = l.n and o.m <> l.m)";
    let text = plan(sql, &catalog);
    assert!(text.starts_with("Hash Anti Join"), "{text}");
}

#[test]
fn joins_begin_where_few_rows_are_left() {
    let catalog = analyzed(&[
        ("t", 100_000, &t(50)),
        ("pair", 100_000, &pair),
        ("loose", 100_000, &loose),
    ]);
    let sql =
        "select * from pair, loose, t where pair.k = loose.m and loose.n = t.b and loose.m = 7";
    let text = plan(sql, &catalog);
    // The join with one row of `loose` comes first, so that `t` meets little.
    let depth = |what: &str| {
        let line = text.lines().find(|l| l.contains(what)).unwrap_or_default();
        line.len() - line.trim_start().len()
    };
    assert!(depth("on loose") >= depth("on t"), "{text}");
    assert!(!text.contains("Nested Loop"), "{text}");
}

#[test]
fn a_subquery_for_each_row_becomes_groups_where_there_are_many_rows() {
    let catalog = analyzed(&[("t", 100_000, &t(50)), ("loose", 10_000, &loose)]);
    for condition in [
        "loose.m = t.b",
        // A sum of constants that might fail, but does not.
        "loose.m = t.b and loose.n < 1000 + 1",
    ] {
        let sql = format!("select * from t where b < (select max(n) from loose where {condition})");
        let many = plan(&sql, &catalog);
        assert!(
            !many.contains("SubPlan") && many.contains("Aggregate"),
            "{many}"
        );
    }
}

#[test]
fn estimates_are_shown() {
    let catalog = analyzed(&[("t", 100_000, &t(2))]);
    let statement = optimize(bound("select a from t where b = 1"), &catalog, blank());
    let mut explained = explained(&statement, &catalog);
    explained.options.costs = true;
    let text = explained.text().join("\n");
    assert!(text.contains("rows=50000 width=4)"), "{text}");
}

#[test]
fn what_all_branches_of_an_or_demand_joins_by_hash() {
    let catalog = analyzed(&[]);
    let sql = "select * from t, u where (t.a = u.t_a and t.b = 1) or (t.a = u.t_a and u.x = 'a')";
    let text = plan(sql, &catalog);
    assert!(text.contains("Hash Cond"), "{text}");
    let all = plan(
        "select * from t where (a = 1 and b = 2) or (a = 1 and b = 2 and s = 'x')",
        &catalog,
    );
    assert!(
        all.contains("Index Cond: (a = 1)") && !all.contains(" OR "),
        "{all}"
    );
}
