//! Scalar subqueries that read the row around them, as joins with groups.
//!
//! Owns: turning `x < (SELECT 0.2 * avg(q) FROM l WHERE l.k = t.k)` in a WHERE into a left join with the subquery grouped by
//! what it is compared by, where that costs less than running it for each row. Asked by: `planner`, after `semi_join`.
//! Never: touches a subquery that is not one aggregation, or is tied to the row by more than equalities.
//! Without a group the subquery's value is what its aggregates give over nothing: 0 for count, else NULL.
//! Source: Kim 1982, with the outer join that Ganski and Wong 1987 found missing.

use super::conjuncts::{as_hashable, filtered, join as and, split};
use super::cost;
use super::estimate::{Estimator, selectivity};
use super::rename::{has_subquery, leave_level, renamed};
use super::semi_join::{across, reads_outer};
use super::shape::types;
use engine::exec::eval::fold;
use engine::plan::{Aggregate, AggregateMode, Expr, Join, JoinKind, Plan, SubqueryKind};
use std::sync::Arc;
use types::{DataType, Value};

/// Rewrites every WHERE of the plan, outermost first.
pub(super) fn rewrite(plan: &mut Plan, on: &Estimator) {
    if let Plan::Filter { input, predicate } = plan {
        let conditions = split(predicate.clone());
        if conditions.iter().any(|c| Grouped::of(c).is_some()) {
            *plan = joined(std::mem::take(&mut **input), conditions, on);
        }
    }
    for input in plan.inputs_mut() {
        rewrite(input, on);
    }
}

fn joined(mut below: Plan, conditions: Vec<Expr>, on: &Estimator) -> Plan {
    let outer = types(&below);
    let plain = conditions.iter().filter(|c| !has_subquery(c));
    let plain: Vec<Expr> = plain.cloned().collect();
    let input = on.output(&below);
    let rows = input.rows * selectivity(&plain, &input);
    let mut above = Vec::new();
    for condition in conditions {
        match Grouped::of(&condition).filter(|g| g.pays(rows, on)) {
            Some(grouped) => {
                let (plan, condition) = grouped.over(below, condition);
                below = plan;
                above.push(condition);
            }
            None => above.push(condition),
        }
    }
    let plan = filtered(below, above);
    if types(&plan).len() == outer.len() {
        return plan;
    }
    let columns = outer.into_iter().enumerate();
    Plan::Project {
        input: Box::new(plan),
        exprs: columns.map(|(i, ty)| Expr::Column(i, ty)).collect(),
    }
}

/// A subquery with its groups.
struct Grouped {
    subplan: Arc<Plan>,
    /// The columns that the row is compared with, then the value.
    plan: Plan,
    /// Equalities whose one side reads the row, and whose other side is a column of `plan` from `RIGHT` on.
    ties: Vec<Expr>,
    /// Where no group is.
    over_nothing: Value,
}

const RIGHT: usize = 1 << 32;

impl Grouped {
    /// Of the only subquery of a condition.
    fn of(condition: &Expr) -> Option<Grouped> {
        let mut found = Vec::new();
        condition.each(&mut |e| {
            if let Expr::Subquery { plan, kind, .. } = e {
                let scalar = matches!(kind, SubqueryKind::Scalar);
                found.push(scalar.then(|| plan.clone()));
            }
        });
        let [Some(subplan)] = found.as_slice() else {
            return None;
        };
        let correlated = subplan.outer_refs().iter().any(|(depth, _)| *depth == 1);
        if !correlated || condition.is_volatile() || subplan.is_volatile() {
            return None;
        }
        Grouped::group(subplan)
    }

    fn group(subplan: &Arc<Plan>) -> Option<Grouped> {
        let (value, aggregate) = match &**subplan {
            Plan::Project { input, exprs } => match (&**input, exprs.as_slice()) {
                (Plan::Aggregate(aggregate), [value]) => (value.clone(), aggregate),
                _ => return None,
            },
            Plan::Aggregate(aggregate) => {
                (Expr::Column(0, aggregate.aggregates.first()?.ty), aggregate)
            }
            _ => return None,
        };
        let Plan::Filter { input, predicate } = &aggregate.input else {
            return None;
        };
        let outside = |(depth, _): &(usize, usize)| *depth == 1;
        let simple = aggregate.groups.is_empty()
            && aggregate.mode == AggregateMode::Complete
            && !reads_outer(&value)
            && !has_subquery(&value)
            && !aggregate_exprs(aggregate).any(|e| reads_outer(e) || has_subquery(e))
            && !input.outer_refs().iter().any(outside);
        if !simple {
            return None;
        }
        let (mut groups, mut ties, mut rest) = (Vec::new(), Vec::new(), Vec::new());
        for condition in split(predicate.clone()) {
            if !reads_outer(&condition) {
                rest.push(condition);
                continue;
            }
            let (inner, tie) = tie(&condition, groups.len())?;
            groups.push(inner);
            ties.push(tie);
        }
        let over_nothing = over_nothing(&value, aggregate)?;
        let count = groups.len();
        let key = |(i, e): (usize, &Expr)| Expr::Column(i, e.ty());
        let mut exprs: Vec<Expr> = groups.iter().enumerate().map(key).collect();
        exprs.push(renamed(&value, &|i| i + count));
        let mut plan = Plan::Project {
            input: Box::new(Plan::Aggregate(Box::new(Aggregate {
                input: filtered((**input).clone(), rest),
                mode: AggregateMode::Complete,
                groups,
                aggregates: aggregate.aggregates.clone(),
                seeds: Vec::new(),
            }))),
            exprs,
        };
        leave_level(&mut plan);
        Some(Grouped {
            subplan: subplan.clone(),
            plan,
            ties,
            over_nothing,
        })
    }

    /// For so many rows.
    fn pays(&self, rows: f64, on: &Estimator) -> bool {
        let each = super::optimize_plan((*self.subplan).clone(), on);
        let all = super::optimize_plan(self.plan.clone(), on);
        cost::of(&all, on) + rows < cost::of(&each, on) * rows
    }

    /// The join, and the condition with the group's value in place of the subquery.
    fn over(self, left: Plan, mut condition: Expr) -> (Plan, Expr) {
        let left_width = types(&left).len();
        let right = types(&self.plan);
        let place = |i: usize| match i.checked_sub(RIGHT) {
            Some(i) => i + left_width,
            None => i,
        };
        let ties: Vec<Expr> = self.ties.iter().map(|t| renamed(t, &place)).collect();
        let at = left_width + right.len() - 1;
        let ty = right.last().copied().unwrap_or(DataType::Unknown);
        let value = match &self.over_nothing {
            Value::Null => Expr::Column(at, ty),
            // A key of a group that is there is not NULL.
            nothing => Expr::Case {
                branches: vec![(
                    Expr::IsNull(Box::new(Expr::Column(left_width, right[0]))),
                    Expr::Const(nothing.clone(), ty),
                )],
                otherwise: Some(Box::new(Expr::Column(at, ty))),
                ty,
            },
        };
        condition.each_mut(&mut |e| {
            if matches!(e, Expr::Subquery { .. }) {
                *e = value.clone();
            }
        });
        let join = Join {
            kind: JoinKind::Left,
            left,
            right_width: right.len(),
            right: self.plan,
            left_width,
            left_keys: Vec::new(),
            right_keys: Vec::new(),
            filter: and(ties),
            lateral: false,
            keep_left: false,
        };
        (Plan::Join(Box::new(join)), condition)
    }
}

fn aggregate_exprs(aggregate: &Aggregate) -> impl Iterator<Item = &Expr> {
    aggregate.aggregates.iter().flat_map(|call| {
        let order = call.order.iter().map(|k| &k.expr);
        call.args.iter().chain(&call.filter).chain(order)
    })
}

/// The inner side of an equality with the row, and the equality with that side as the group's column `at`.
fn tie(condition: &Expr, at: usize) -> Option<(Expr, Expr)> {
    let (left, right, _) = as_hashable(condition)?;
    if has_subquery(condition) {
        return None;
    }
    let of_row = |e: &Expr| reads_outer(e) && e.columns().is_empty();
    let of_group = |e: &Expr| !reads_outer(e) && !e.columns().is_empty();
    let inner = if of_row(left) && of_group(right) {
        right
    } else if of_row(right) && of_group(left) {
        left
    } else {
        return None;
    };
    let Expr::Call { func, args, ty } = condition else {
        return None;
    };
    let column = Expr::Column(RIGHT + at, inner.ty());
    let side = |e: &Expr| match std::ptr::eq(e, inner) {
        true => column.clone(),
        false => across(e.clone(), 0),
    };
    let tie = Expr::Call {
        func: *func,
        args: args.iter().map(side).collect(),
        ty: *ty,
    };
    Some((inner.clone(), tie))
}

/// The value of the subquery where its WHERE finds nothing; `None` where that is not known now.
fn over_nothing(value: &Expr, aggregate: &Aggregate) -> Option<Value> {
    let mut value = value.clone();
    value.each_mut(&mut |e| {
        if let Expr::Column(i, ty) = e {
            let counts = aggregate
                .aggregates
                .get(*i)
                .is_some_and(|c| c.func == "count");
            let nothing = if counts { Value::Int8(0) } else { Value::Null };
            *e = Expr::Const(nothing, *ty);
        }
    });
    match fold(value, None) {
        Expr::Const(value, _) => Some(value),
        _ => None,
    }
}
