//! LIMIT known at planning bounds what is below it.
//!
//! Owns: `Sort::top`, `Scan::limit` and `Scan::top`: a sort that wants its first rows wants the first ones of each partition, and
//! where a partition gives its rows in that order anyway it may stop after them. Asked by: `planner`, last. Never: removes the
//! Limit or the Sort itself.
//! Bounds: `TOP_MAX` rows are chosen where they are; more are sorted where all of them meet.

use super::rename::{has_subquery, substitute};
use engine::plan::{Access, Expr, Plan, Scan, SortKey, Top};
use types::Value;

/// First rows of a partition.
const TOP_MAX: u64 = 10_000;

/// Bounds what each constant LIMIT in the plan stands on.
pub(super) fn bound(plan: &mut Plan) {
    if let Plan::Limit {
        input,
        limit: Some(limit),
        offset,
    } = plan
        && let Some(rows) = rows(limit, offset.as_ref())
    {
        apply(input, rows);
    }
    for input in plan.inputs_mut() {
        bound(input);
    }
}

fn rows(limit: &Expr, offset: Option<&Expr>) -> Option<u64> {
    let offset = match offset {
        None => 0,
        Some(e) => constant(e)?,
    };
    constant(limit)?.checked_add(offset)
}

fn constant(e: &Expr) -> Option<u64> {
    match e {
        Expr::Const(Value::Null, _) => None,
        Expr::Const(value, _) => u64::try_from(value.as_i64()?).ok(),
        _ => None,
    }
}

fn apply(plan: &mut Plan, rows: u64) {
    match plan {
        Plan::Project { input, .. } => apply(input, rows),
        Plan::Sort { input, keys, top } => {
            *top = Some(top.map_or(rows, |t| t.min(rows)));
            if let Plan::Scan(scan) = &mut **input {
                first(scan, keys, rows);
            }
        }
        Plan::Scan(scan) if scan.partial.is_none() => {
            scan.limit = Some(scan.limit.map_or(rows, |l| l.min(rows)));
        }
        Plan::SetOp {
            op: engine::plan::SetOp::Union,
            all: true,
            left,
            right,
        } => {
            apply(left, rows);
            apply(right, rows);
        }
        _ => {}
    }
}

/// The first rows of the scan in the order of these keys over its output.
fn first(scan: &mut Scan, keys: &[SortKey], rows: u64) {
    let free = scan.partial.is_none() && scan.limit.is_none() && !scan.addressed;
    if !free || rows > TOP_MAX {
        return;
    }
    let Some(keys) = over_table(scan, keys) else {
        return;
    };
    if comes_in_order(scan, &keys) {
        scan.limit = Some(rows);
    } else {
        scan.top = Some(Top { keys, rows });
    }
}

/// The keys over the table's row; `None` where a shard cannot compute them.
fn over_table(scan: &Scan, keys: &[SortKey]) -> Option<Vec<SortKey>> {
    let key = |k: &SortKey| {
        let expr = match &scan.project {
            Some(exprs) => substitute(&k.expr, exprs)?,
            None => k.expr.clone(),
        };
        let outside = |e: &Expr| matches!(e, Expr::Outer { .. });
        let fits = !has_subquery(&expr) && !expr.is_volatile() && !expr.any(&mut |e| outside(e));
        fits.then(|| SortKey { expr, ..k.clone() })
    };
    keys.iter().map(key).collect()
}

/// The rows of a partition lie in the order of the primary key.
fn comes_in_order(scan: &Scan, keys: &[SortKey]) -> bool {
    let equal = match &scan.access {
        Access::Full => 0,
        Access::KeyRange(range) => range.prefix.len(),
        Access::Keys(_) | Access::Index { .. } => return false,
    };
    let mut order = scan.table.primary_key.iter();
    let mut next = order.nth(equal);
    if next.is_none() {
        return false;
    }
    for key in keys {
        let Some(column) = next else {
            // The whole key decides; what follows it has nothing left to do.
            return true;
        };
        if key.descending || !matches!(&key.expr, Expr::Column(c, _) if c == column) {
            return false;
        }
        next = order.next();
    }
    true
}
