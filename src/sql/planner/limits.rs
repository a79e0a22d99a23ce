//! LIMIT known at planning bounds what is below it.
//!
//! Owns: `Sort::top` and `Scan::limit`. Asked by: `planner`, last. Never: removes the Limit itself.

use engine::plan::{Expr, Plan};
use types::Value;

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
        Plan::Sort { top, .. } => *top = Some(top.map_or(rows, |t| t.min(rows))),
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
