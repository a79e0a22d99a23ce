//! `min` and `max` of a table are its first rows in an order.
//!
//! Owns: making `max(a)` of all rows `max` of the first row in the order of `a`, backwards, that has an `a`, where the key or an
//! index has that order. Asked by: `planner`, before aggregates are split over the partitions. Never: touches groups, or what stands
//! beside other aggregates.
//! Source: PostgreSQL 15, `planagg.c`.

use super::conjuncts::{join, split};
use super::estimate::Estimator;
use super::limits;
use super::rename::substitute;
use engine::plan::{
    Aggregate, AggregateCall, AggregateMode, Expr, Join, JoinKind, Keep, Plan, Scan, SortKey,
};

/// More of them are computed in one pass.
const CALLS_MAX: usize = 8;

pub(super) fn rewrite(plan: &mut Plan, on: &Estimator) {
    if let Plan::Aggregate(aggregate) = plan
        && let Some(extremes) = extremes(aggregate, on)
    {
        *plan = extremes;
        return;
    }
    for input in plan.inputs_mut() {
        rewrite(input, on);
    }
}

/// One row of all of them.
fn extremes(aggregate: &Aggregate, on: &Estimator) -> Option<Plan> {
    let Plan::Scan(scan) = &aggregate.input else {
        return None;
    };
    let calls = &aggregate.aggregates;
    let whole = aggregate.mode == AggregateMode::Complete && aggregate.seeds.is_empty();
    let cut = scan.partial.is_some() || scan.limit.is_some() || scan.top.is_some();
    let plain = aggregate.groups.is_empty() && whole && !cut;
    if !plain || calls.is_empty() || calls.len() > CALLS_MAX {
        return None;
    }
    let each = calls.iter().map(|call| extreme(aggregate, scan, call, on));
    let each: Vec<Plan> = each.collect::<Option<_>>()?;
    let mut width = 0;
    each.into_iter().reduce(|left, right| {
        width += 1;
        Plan::Join(Box::new(Join {
            kind: JoinKind::Inner,
            left,
            right,
            left_width: width,
            right_width: 1,
            left_keys: Vec::new(),
            right_keys: Vec::new(),
            filter: None,
            lateral: false,
            keep: Keep::Either,
        }))
    })
}

fn extreme(
    aggregate: &Aggregate,
    scan: &Scan,
    call: &AggregateCall,
    on: &Estimator,
) -> Option<Plan> {
    let descending = match call.func.split_once('_')?.0 {
        "min" => false,
        "max" => true,
        _ => return None,
    };
    let ([arg], false, None) = (call.args.as_slice(), call.distinct, &call.filter) else {
        return None;
    };
    if !call.order.is_empty() || !matches!(arg, Expr::Column(..)) {
        return None;
    }
    let over_table = match &scan.project {
        Some(exprs) => substitute(arg, exprs)?,
        None => arg.clone(),
    };
    let there = Expr::Not(Box::new(Expr::IsNull(Box::new(over_table))));
    let conditions = scan.filter.clone().into_iter().flat_map(split);
    let mut scan = scan.clone();
    scan.filter = join(conditions.chain([there]).collect());
    let keys = vec![SortKey {
        expr: arg.clone(),
        descending,
        nulls_first: descending,
    }];
    let mut sorted = Plan::Sort {
        input: Box::new(Plan::Scan(Box::new(scan))),
        keys,
        top: None,
    };
    limits::is_found_first(&mut sorted, on).then(|| {
        Plan::Aggregate(Box::new(Aggregate {
            input: sorted,
            aggregates: vec![call.clone()],
            ..aggregate.clone()
        }))
    })
}
