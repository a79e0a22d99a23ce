//! Which side of a hash join is kept.
//!
//! Owns: `Join::keep`. Asked by: `planner`, once the inputs are what they will be. Never: for joins whose kind decides it,
//! nor where the left side is not known to be the smaller one.

use super::estimate::Estimator;
use engine::plan::{JoinKind, Keep, Plan};

/// In a plan of more the right side is kept: each estimate looks at all that is below.
const JOINS_MAX: usize = 32;

/// Looks at every join of the plan.
pub(super) fn choose(plan: &mut Plan, on: &Estimator) {
    if joins(plan) <= JOINS_MAX {
        each(plan, on);
    }
}

fn joins(plan: &Plan) -> usize {
    let below: usize = plan.inputs().into_iter().map(joins).sum();
    below + usize::from(matches!(plan, Plan::Join(_)))
}

fn each(plan: &mut Plan, on: &Estimator) {
    for input in plan.inputs_mut() {
        each(input, on);
    }
    let Plan::Join(join) = plan else {
        return;
    };
    let free = match join.kind {
        JoinKind::Inner | JoinKind::Left | JoinKind::Semi | JoinKind::Anti => !join.lateral,
        JoinKind::Right | JoinKind::Full => false,
    };
    let open = join.keep != Keep::Right && !join.left_keys.is_empty();
    if free && open && on.rows(&join.left) < on.rows(&join.right) {
        join.keep = Keep::Left;
    }
}
