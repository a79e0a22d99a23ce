//! A semi join of a large table with few keys asks the table for these keys.
//!
//! Owns: `x IN (SELECT few)` as a join of the different keys with the table, in which the keys come first: a hash join that has seen few
//! rows on its left narrows the table on its right by an index (`exec::operators::lookup`), and is an ordinary hash join where they are
//! more than was thought. Asked by: `planner`, when inputs are what they will be. Never: for a table whose indexes do not begin with the
//! keys, or that something else narrows. Source: PostgreSQL 15, unique-ified inner relations (`create_unique_path`).

use super::access::usable;
use super::estimate::Estimator;
use super::shape::types;
use engine::plan::{Access, Expr, Join, JoinKind, Keep, Plan, Scan};

/// As many keys as `lookup` takes, nearly.
const KEYS_MAX: f64 = 200.0;
/// Of fewer rows of the table for each key there is nothing to save.
const ROWS_MIN: f64 = 20.0;

/// Looks at every join of the plan.
pub(super) fn rewrite(plan: &mut Plan, on: &Estimator) {
    for input in plan.inputs_mut() {
        rewrite(input, on);
    }
    let Plan::Join(join) = plan else {
        return;
    };
    let plain = join.kind == JoinKind::Semi && !join.lateral && join.filter.is_none();
    if !plain || join.left_keys.is_empty() || join.right.is_volatile() {
        return;
    }
    let Plan::Scan(scan) = &join.left else {
        return;
    };
    if !begins_index(scan, &join.left_keys) {
        return;
    }
    let few = on.rows(&join.right).max(1.0);
    if few <= KEYS_MAX
        && few * ROWS_MIN <= on.rows(&join.left)
        && let Plan::Join(join) = std::mem::take(plan)
    {
        *plan = driven(*join);
    }
}

/// The whole table, of which an index or the primary key begins with one of the keys.
fn begins_index(scan: &Scan, keys: &[Expr]) -> bool {
    let bare = matches!(scan.access, Access::Full)
        && scan.partial.is_none()
        && scan.limit.is_none()
        && scan.top.is_none()
        && !scan.addressed;
    let column = |e: &Expr| match (e, &scan.project) {
        (Expr::Column(at, _), None) => Some(*at),
        (Expr::Column(at, _), Some(exprs)) => match exprs.get(*at)? {
            Expr::Column(column, _) => Some(*column),
            _ => None,
        },
        _ => None,
    };
    let has = |first: Option<usize>| first.is_some() && keys.iter().any(|k| column(k) == first);
    let table = &scan.table;
    bare && (has(table.primary_key.first().copied())
        || usable(table, &[]).any(|i| has(i.parts.first().and_then(|p| p.column()))))
}

fn driven(join: Join) -> Plan {
    let width = join.right_keys.len();
    let left_keys = join.right_keys.iter().enumerate();
    let left_keys = left_keys.map(|(at, e)| Expr::Column(at, e.ty())).collect();
    let rows = types(&join.left).into_iter().enumerate();
    let exprs = rows.map(|(at, ty)| Expr::Column(width + at, ty)).collect();
    let keys = Plan::Project {
        input: Box::new(join.right),
        exprs: join.right_keys,
    };
    let joined = Join {
        kind: JoinKind::Inner,
        left: Plan::Distinct {
            input: Box::new(keys),
        },
        left_width: width,
        left_keys,
        right_width: join.left_width,
        right: join.left,
        right_keys: join.left_keys,
        filter: None,
        lateral: false,
        keep: Keep::Left,
    };
    Plan::Project {
        input: Box::new(Plan::Join(Box::new(joined))),
        exprs,
    }
}
