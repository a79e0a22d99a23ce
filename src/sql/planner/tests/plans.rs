//! What the planner makes of typical statements, as EXPLAIN shows it.

use super::{bound, catalog, explained};
use crate::Statement;
use crate::planner::optimize;
use engine::exec::eval::blank;
use engine::plan::{Access, Expr, Plan};

pub(super) fn check(cases: &[(&str, &str)]) {
    let catalog = catalog();
    let mut wrong = String::new();
    for (sql, expected) in cases {
        let plan = optimize(bound(sql), &catalog, blank());
        let got = explained(&plan, &catalog).text().join("\n");
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
fn rows_are_found_by_the_narrowest_access() {
    check(&[
        (
            "select * from t where a = 3",
            "
        Index Scan using t_pkey on t
          Index Cond: (a = 3)
          Partitions: 1 of 4",
        ),
        (
            "select s, a from t where a in (1, 3, 3, 99) and b > 1",
            "
        Index Scan using t_pkey on t
          Index Cond: (a = ANY (ARRAY[1, 3, 99]))
          Filter: (b > 1)
          Partitions: 3 of 4",
        ),
        (
            "select * from t where a = 3::int8 or a = 4",
            "
        Index Scan using t_pkey on t
          Index Cond: (a = ANY (ARRAY[3, 4]))
          Partitions: 2 of 4",
        ),
        (
            "select * from t where b = 2 and s like 'a%'",
            "
        Index Scan using t_0_idx on t
          Index Cond: (b = 2)
          Filter: (s ~~ 'a%'::text)
          Partitions: all 4",
        ),
        (
            "select * from t where a > 2 and a <= 6 and b is not null",
            "
        Index Scan using t_pkey on t
          Index Cond: ((a > 2) AND (a <= 6))
          Filter: (b IS NOT NULL)
          Partitions: all 4",
        ),
        (
            "select * from u where x = 'ab'",
            "
        Index Scan using u_0_idx on u
          Index Cond: (x = 'ab'::text)
          Partitions: all 4",
        ),
        (
            "select v from pair where k = 1 and l >= 1",
            "
        Index Scan using pair_pkey on pair
          Index Cond: ((k = 1) AND (l >= 1))
          Partitions: all 4",
        ),
        (
            "select * from u where x = 'a' or t_a = 3",
            "
        Seq Scan on u
          Filter: (((x)::text = 'a'::text) OR (t_a = 3))
          Partitions: all 4",
        ),
        (
            "select * from t where a = (select max(m) from loose)",
            "
        Index Scan using t_pkey on t
          Index Cond: (a = (SubPlan))
          Partitions: 1 of 4
          SubPlan 1
            ->  Finalize Aggregate
                  ->  Partial Aggregate
                        ->  Seq Scan on loose
                              Partitions: all 4",
        ),
    ]);
}

#[test]
fn joins_start_from_the_most_restricted_table() {
    check(&[
        (
            "select * from loose l1, loose l2, t where l1.m = t.a and l2.n = t.a and t.a = 2",
            "
        Hash Join
          Hash Cond: (t.a = loose.m)
          ->  Hash
                ->  Hash Join
                      Hash Cond: (t.a = loose.n)
                      ->  Hash
                            ->  Index Scan using t_pkey on t
                                  Index Cond: (a = 2)
                                  Partitions: 1 of 4
                      ->  Seq Scan on loose
                            Filter: (n = 2)
                            Partitions: all 4
          ->  Seq Scan on loose
                Filter: (m = 2)
                Partitions: all 4",
        ),
        (
            "select * from t left join u on t.a = u.t_a where u.x = 'a'",
            "
        Hash Join
          Hash Cond: (u.t_a = t.a)
          ->  Hash
                ->  Index Scan using u_0_idx on u
                      Index Cond: (x = 'a'::text)
                      Partitions: all 4
          ->  Seq Scan on t
                Partitions: all 4",
        ),
        (
            "select * from t left join u on t.a = u.t_a and u.x = 'a' where t.b < 4",
            "
        Hash Left Join
          Hash Cond: (t.a = u.t_a)
          ->  Seq Scan on t
                Filter: (b < 4)
                Partitions: all 4
          ->  Hash
                ->  Index Scan using u_0_idx on u
                      Index Cond: (x = 'a'::text)
                      Partitions: all 4",
        ),
        (
            "select * from t full join u on t.a = u.t_a where t.b > 1",
            "
        Hash Left Join
          Hash Cond: (t.a = u.t_a)
          ->  Hash
                ->  Seq Scan on t
                      Filter: (b > 1)
                      Partitions: all 4
          ->  Seq Scan on u
                Partitions: all 4",
        ),
    ]);
}

#[test]
fn subqueries_become_joins_where_they_can() {
    check(&[
        (
            "select * from t where not exists (select 1 from u where u.t_a = t.a)",
            "
        Hash Anti Join
          Hash Cond: (t.a = u.t_a)
          ->  Seq Scan on t
                Partitions: all 4
          ->  Hash
                ->  Seq Scan on u
                      Partitions: all 4",
        ),
        (
            "select * from t where b in (select n from loose where loose.m > t.a)",
            "
        Hash Semi Join
          Hash Cond: (t.b = loose.n)
          Join Filter: (loose.m > t.a)
          ->  Seq Scan on t
                Partitions: all 4
          ->  Hash
                ->  Seq Scan on loose
                      Partitions: all 4",
        ),
        (
            "select * from t where a not in (select t_a from u)",
            "
        Seq Scan on t
          Filter: (t.a <> ALL (SubPlan))
          Partitions: all 4
          SubPlan 1
            ->  Seq Scan on u
                  Partitions: all 4",
        ),
        (
            "select a, (select count(*) from u where u.t_a = t.a) from t",
            "
        Hash Left Join
          Hash Cond: (t.a = u.t_a)
          ->  Seq Scan on t
                Partitions: all 4
          ->  Hash
                ->  Finalize HashAggregate
                      Group Key: u.t_a
                      ->  Partial HashAggregate
                            Group Key: u.t_a
                            ->  Seq Scan on u
                                  Partitions: all 4",
        ),
    ]);
}

#[test]
fn groups_are_made_where_the_rows_are() {
    check(&[
        (
            "select b, count(*) from t group by b having b > 1 and count(*) > 1",
            "
        Finalize HashAggregate
          Group Key: t.b
          Filter: (count(*) > 1)
          ->  Partial HashAggregate
                Group Key: t.b
                ->  Seq Scan on t
                      Filter: (b > 1)
                      Partitions: all 4",
        ),
        (
            "select count(*) from t",
            "
        Finalize Aggregate
          ->  Partial Aggregate
                ->  Seq Scan on t
                      Partitions: all 4",
        ),
        (
            "select count(distinct b), max(s) from t where a > 1",
            "
        Aggregate
          ->  Index Scan using t_pkey on t
                Index Cond: (a > 1)
                Partitions: all 4",
        ),
    ]);
}

#[test]
fn limits_reach_what_they_stand_on() {
    check(&[(
        "select b from t where a > 1 order by s, a limit 3",
        "
        Limit
          ->  Sort
                Sort Key: t.s, t.a
                Rows Kept: 3
                ->  Index Scan using t_pkey on t
                      Index Cond: (a > 1)
                      Partitions: all 4
                      Each Partition: first 3 by t.s, t.a",
    )]);
}

#[test]
fn a_partition_stops_where_its_rows_come_in_the_wanted_order() {
    let limit = |sql: &str| {
        let Statement::Query(query) = optimize(bound(sql), &catalog(), blank()) else {
            panic!("a query");
        };
        let mut plan = &query.plan;
        while let Some(input) = plan.inputs().first() {
            plan = input;
        }
        let Plan::Scan(scan) = plan else {
            panic!("a scan at the bottom: {plan:?}");
        };
        (scan.limit, scan.top.as_ref().map(|t| t.rows))
    };
    assert_eq!(limit("select * from t order by a limit 3"), (Some(3), None));
    assert_eq!(
        limit("select * from pair where k = 1 order by l limit 3"),
        (Some(3), None)
    );
    assert_eq!(
        limit("select * from t order by a desc limit 3"),
        (Some(3), None)
    );
    assert_eq!(
        limit("select * from t order by b limit 3 offset 2"),
        (Some(5), None)
    );
    assert_eq!(
        limit("select * from t order by b desc limit 3"),
        (Some(3), None)
    );
    // The index has its NULLs at the other end.
    assert_eq!(
        limit("select * from t order by b desc nulls last limit 3"),
        (None, Some(3))
    );
    assert_eq!(limit("select * from t order by s limit 3"), (None, Some(3)));
    assert_eq!(
        limit("select * from loose order by m limit 3"),
        (None, Some(3))
    );
    assert_eq!(limit("select * from t order by a"), (None, None));
}

#[test]
fn changes_find_their_rows_as_queries_do() {
    check(&[
        (
            "update t set b = 1 where a = 7",
            "
        Update on t
          ->  Index Scan using t_pkey on t
                Index Cond: (a = 7)
                Partitions: 1 of 4",
        ),
        (
            "delete from t where b = 7 and s = 'x'",
            "
        Delete on t
          ->  Index Scan using t_0_idx on t
                Index Cond: (b = 7)
                Filter: (s = 'x'::text)
                Partitions: all 4",
        ),
        (
            "insert into loose select a, b from t where a = 1",
            "
        Insert on loose
          ->  Index Scan using t_pkey on t
                Index Cond: (a = 1)
                Partitions: 1 of 4",
        ),
    ]);
}

#[test]
fn a_change_keeps_its_whole_condition() {
    let statement = optimize(bound("update t set b = 1 where a = 7"), &catalog(), blank());
    let Statement::Update(update) = statement else {
        panic!("an update");
    };
    assert!(matches!(update.access, Access::Keys(_)) && update.filter.is_some());
}

#[test]
fn a_scan_brings_only_the_columns_that_are_read() {
    let Statement::Query(query) =
        optimize(bound("select s from t where b = 1"), &catalog(), blank())
    else {
        panic!("a query");
    };
    let Plan::Scan(scan) = query.plan else {
        panic!("a scan alone: {:?}", query.plan);
    };
    assert!(matches!(
        scan.project.as_deref(),
        Some([Expr::Column(2, _)])
    ));
}

#[test]
fn json_has_the_same_facts() {
    let catalog = catalog();
    let plan = optimize(bound("select * from t where a = 3"), &catalog, blank());
    let json = explained(&plan, &catalog).json();
    let node = &json[0]["Plan"];
    assert_eq!(node["Node Type"], "Index Scan");
    assert_eq!(node["Index Name"], "t_pkey");
    assert_eq!(node["Relation Name"], "t");
    assert_eq!(node["Index Cond"], "(a = 3)");
}
