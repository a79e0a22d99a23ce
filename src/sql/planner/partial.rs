//! Aggregation where the rows are.
//!
//! Owns: splitting an aggregation over a table into partial groups at the shards and their merge above. Asked by:
//! `planner`, after filters have reached the scan. Never: splits DISTINCT, ORDER BY or unmergeable aggregates, which must
//! see all rows of a group together.

use super::push_filter::fits_scan;
use super::rename::substitute;
use engine::exec::aggregates::is_mergeable;
use engine::plan::{Aggregate, AggregateCall, AggregateMode, Expr, Partial, Plan, Scan};

/// Splits every aggregation that allows it, in the whole plan.
pub(super) fn split_aggregates(plan: &mut Plan) {
    for input in plan.inputs_mut() {
        split_aggregates(input);
    }
    let Plan::Aggregate(aggregate) = plan else {
        return;
    };
    let Plan::Scan(scan) = &mut aggregate.input else {
        return super::colocate::split_over(aggregate);
    };
    if aggregate.mode != AggregateMode::Complete
        || scan.partial.is_some()
        || scan.limit.is_some()
        || scan.top.is_some()
    {
        return;
    }
    if let Some(partial) = partial(&aggregate.groups, &aggregate.aggregates, scan) {
        finish_above(aggregate);
        if let Plan::Scan(scan) = &mut aggregate.input {
            scan.project = None;
            scan.partial = Some(partial);
        }
    }
}

fn partial(groups: &[Expr], calls: &[AggregateCall], scan: &Scan) -> Option<Partial> {
    let mergeable = |c: &AggregateCall| !c.distinct && c.order.is_empty() && is_mergeable(&c.func);
    if !calls.iter().all(mergeable) {
        return None;
    }
    let at_table = |e: &Expr| {
        let e = match &scan.project {
            Some(exprs) => substitute(e, exprs)?,
            None => e.clone(),
        };
        (fits_scan(&e) && !e.is_volatile()).then_some(e)
    };
    let groups = groups.iter().map(at_table).collect::<Option<Vec<_>>>()?;
    let mut aggregates = Vec::with_capacity(calls.len());
    for call in calls {
        let filter = match &call.filter {
            Some(filter) => Some(at_table(filter)?),
            None => None,
        };
        aggregates.push(AggregateCall {
            args: call.args.iter().map(at_table).collect::<Option<Vec<_>>>()?,
            filter,
            ..call.clone()
        });
    }
    Some(Partial { groups, aggregates })
}

/// What the aggregation above still does: merge states by the group values in front of them.
pub(super) fn finish_above(aggregate: &mut Aggregate) {
    aggregate.mode = AggregateMode::Final;
    let groups = aggregate.groups.iter().enumerate();
    aggregate.groups = groups.map(|(i, e)| Expr::Column(i, e.ty())).collect();
    for call in &mut aggregate.aggregates {
        call.args.clear();
        call.filter = None;
    }
}
