//! In how many partitions rows can be.
//!
//! Owns: the most partitions that an access asks, as far as planning can tell: parameters may hash together. Asked by: EXPLAIN and
//! `cost`. Never: decides where anything is sent (`engine::shard::route` does, by the values).

use crate::bind::walk::same;
use engine::catalog::Table;
use engine::plan::{Access, Expr, Homes, JoinKind, KeyRange, Plan};

/// At most so many of `all` partitions.
pub(super) fn asked_most(table: &Table, access: &Access, homes: &Homes, all: usize) -> usize {
    let placed = |columns: &[usize], range: &KeyRange| table.is_placed_by(columns, &range.prefix);
    let known = match homes.len() {
        0 => all,
        some => some,
    };
    let most = match access {
        Access::Full | Access::Bitmap(_) | Access::Each(_) => known,
        Access::Keys(keys) => places(table, keys),
        Access::KeyRange(range) if placed(&table.primary_key, range) => 1,
        Access::KeyRange(_) => known,
        // Its entries lie apart from their rows.
        Access::Index { index, .. } if index.unique => all,
        Access::Index { index, range } if placed(&index.leading_columns(), range) => 1,
        Access::Index { .. } => known,
    };
    most.min(all)
}

/// As `asked_most`, of a plan that runs in the partitions.
pub(super) fn run_most(plan: &Plan, all: usize) -> usize {
    match plan {
        Plan::Scan(scan) => asked_most(&scan.table, &scan.access, &scan.homes, all),
        Plan::Join(join) => {
            let (left, right) = (run_most(&join.left, all), run_most(&join.right, all));
            match join.kind {
                JoinKind::Inner | JoinKind::Semi => left.min(right),
                JoinKind::Left | JoinKind::Anti => left,
                JoinKind::Right => right,
                JoinKind::Full => (left + right).min(all),
            }
        }
        plan => match plan.inputs().as_slice() {
            [input] => run_most(input, all),
            _ => all,
        },
    }
}

/// Different values that these keys have for what places their rows.
fn places(table: &Table, keys: &[Vec<Expr>]) -> usize {
    let at = |column: &usize| table.primary_key.iter().position(|c| c == column);
    let by: Option<Vec<usize>> = table.placed_by().iter().map(at).collect();
    let Some(by) = by else {
        return keys.len();
    };
    let both =
        |a: Option<&Expr>, b: Option<&Expr>| matches!((a, b), (Some(a), Some(b)) if same(a, b));
    let mut different: Vec<&Vec<Expr>> = Vec::new();
    for key in keys {
        let alike = |other: &&Vec<Expr>| by.iter().all(|i| both(key.get(*i), other.get(*i)));
        if !different.iter().any(alike) {
            different.push(key);
        }
    }
    different.len()
}
