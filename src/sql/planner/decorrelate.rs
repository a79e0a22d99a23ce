//! Scalar subqueries that read the row around them, as joins with groups.
//!
//! Owns: turning `x < (SELECT 0.2 * avg(q) FROM l WHERE l.k = t.k)` in a WHERE, a select list or an aggregate's arguments into a left join
//! with the aggregates of the subquery grouped by what it is compared by, where that costs less than running it for each row. Asked by:
//! `planner`, after `semi_join`.
//! Never: touches a subquery that is not one aggregation, is tied to the row by more than equalities, or could fail for a group that no
//! row asks for. Without a group the aggregates are what they are over nothing: 0 for count, else NULL.
//! Bounds: `JOINS_MAX` joins for one list of expressions.
//! Source: Kim 1982, with the outer join that Ganski and Wong 1987 found missing.

use super::conjuncts::{as_hashable, filtered, join as and, split};
use super::cost;
use super::estimate::{Estimator, selectivity};
use super::rename::{has_subquery, leave_level, renamed};
use super::semi_join::{across, reads_outer};
use super::shape::types;
use engine::plan::{
    Access, Aggregate, AggregateCall, AggregateMode, Expr, Join, JoinKind, Keep, Plan, SubqueryKind,
};
use std::sync::Arc;
use types::{DataType, Value};

const JOINS_MAX: usize = 8;

/// Rewrites every WHERE, select list and aggregation of the plan, outermost first.
pub(super) fn rewrite(plan: &mut Plan, on: &Estimator) {
    match plan {
        Plan::Filter { input, predicate } => {
            let mut conditions = split(predicate.clone());
            if conditions.iter().any(has_candidate) && !is_ordered(input) {
                let below = std::mem::take(&mut **input);
                *plan = over_filter(below, &mut conditions, on);
            }
        }
        Plan::Project { input, exprs } if exprs.iter().any(has_candidate) && !is_ordered(input) => {
            let rows = on.rows(input);
            let below = std::mem::take(&mut **input);
            **input = joined(below, exprs.iter_mut(), rows, on);
        }
        Plan::Aggregate(aggregate)
            if aggregate_exprs(aggregate).any(has_candidate) && !is_ordered(&aggregate.input) =>
        {
            let rows = on.rows(&aggregate.input);
            let below = std::mem::take(&mut aggregate.input);
            let calls = aggregate.aggregates.iter_mut();
            let args = calls.flat_map(|call| call.args.iter_mut().chain(&mut call.filter));
            aggregate.input = joined(below, args, rows, on);
        }
        _ => {}
    }
    for input in plan.inputs_mut() {
        rewrite(input, on);
    }
}

fn over_filter(below: Plan, conditions: &mut Vec<Expr>, on: &Estimator) -> Plan {
    let outer = types(&below);
    let plain = conditions.iter().filter(|c| !has_subquery(c));
    let plain: Vec<Expr> = plain.cloned().collect();
    let input = on.output(&below);
    let rows = input.rows * selectivity(&plain, &input);
    let below = joined(below, conditions.iter_mut(), rows, on);
    let plan = filtered(below, std::mem::take(conditions));
    if types(&plan).len() == outer.len() {
        return plan;
    }
    let columns = outer.into_iter().enumerate();
    Plan::Project {
        input: Box::new(plan),
        exprs: columns.map(|(i, ty)| Expr::Column(i, ty)).collect(),
    }
}

/// The rows with the groups of what pays for so many of them behind their columns, which the expressions read instead.
fn joined<'e>(
    mut below: Plan,
    exprs: impl Iterator<Item = &'e mut Expr>,
    rows: f64,
    on: &Estimator,
) -> Plan {
    let mut joins = 0;
    for e in exprs {
        for subplan in candidates(e) {
            let grouped = Grouped::group(&subplan).filter(|g| g.pays(rows, on));
            if let Some(grouped) = grouped.filter(|_| joins < JOINS_MAX) {
                below = grouped.over(below, e);
                joins += 1;
            }
        }
    }
    below
}

/// The rows come in an order, which a join that is made in parts would not keep.
pub(super) fn is_ordered(plan: &Plan) -> bool {
    match plan {
        Plan::Sort { .. } | Plan::DistinctOn { .. } | Plan::Window(_) => true,
        Plan::Project { input, .. } | Plan::Filter { input, .. } | Plan::Limit { input, .. } => {
            is_ordered(input)
        }
        Plan::Join(join) => is_ordered(&join.left),
        _ => false,
    }
}

fn has_candidate(e: &Expr) -> bool {
    !candidates(e).is_empty()
}

/// Scalar subqueries of an expression that read its row, each once.
fn candidates(e: &Expr) -> Vec<Arc<Plan>> {
    let mut found: Vec<Arc<Plan>> = Vec::new();
    e.each(&mut |e| {
        if let Expr::Subquery {
            plan,
            kind: SubqueryKind::Scalar,
            correlated: true,
            ..
        } = e
            && !plan.is_volatile()
            && plan.outer_refs().iter().any(|(depth, _)| *depth == 1)
            && !found.iter().any(|other| Arc::ptr_eq(other, plan))
        {
            found.push(plan.clone());
        }
    });
    if e.is_volatile() {
        found.clear();
    }
    found
}

/// A subquery with its groups.
struct Grouped {
    subplan: Arc<Plan>,
    /// The columns that the row is compared with, then the aggregates.
    plan: Plan,
    /// Equalities whose one side reads the row, and whose other side is a column of `plan` from `RIGHT` on.
    ties: Vec<Expr>,
    /// The subquery's value over the columns of `plan`, of a group that may not be there.
    value: Expr,
}

const RIGHT: usize = 1 << 32;

impl Grouped {
    fn group(subplan: &Arc<Plan>) -> Option<Grouped> {
        // What constants give cannot fail any more.
        let mut folded = (**subplan).clone();
        super::fold_constants(&mut folded);
        let (value, aggregate) = match &folded {
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
            && !aggregate_exprs(aggregate)
                .any(|e| reads_outer(e) || has_subquery(e) || may_fail(e))
            && aggregate.aggregates.iter().all(is_null_over_nothing)
            && !input.outer_refs().iter().any(outside)
            && !has_failing(input);
        if !simple {
            return None;
        }
        let (mut groups, mut ties, mut rest) = (Vec::new(), Vec::new(), Vec::new());
        for condition in split(predicate.clone()) {
            if may_fail(&condition) {
                return None;
            }
            if !reads_outer(&condition) {
                rest.push(condition);
                continue;
            }
            let (inner, tie) = tie(&condition, groups.len())?;
            groups.push(inner);
            ties.push(tie);
        }
        let value = or_nothing(&value, groups.len(), aggregate);
        let mut plan = Plan::Aggregate(Box::new(Aggregate {
            input: filtered((**input).clone(), rest),
            mode: AggregateMode::Complete,
            groups,
            aggregates: aggregate.aggregates.clone(),
            seeds: Vec::new(),
        }));
        leave_level(&mut plan);
        Some(Grouped {
            subplan: subplan.clone(),
            plan,
            ties,
            value,
        })
    }

    /// For so many rows. What an index finds of a table of which nothing is known may be next to nothing of it.
    fn pays(&self, rows: f64, on: &Estimator) -> bool {
        let each = super::optimize_plan((*self.subplan).clone(), on);
        let guessed = |p: &Plan| match p {
            Plan::Scan(scan) => !on.knows(&scan.table) && !matches!(scan.access, Access::Full),
            _ => false,
        };
        if each.any(&mut |p| guessed(p)) {
            return false;
        }
        let all = super::optimize_plan(self.plan.clone(), on);
        cost::of(&all, on) + rows < (cost::RUN + cost::of(&each, on)) * rows
    }

    /// The join; in the expression the group's value stands in place of the subquery.
    fn over(self, left: Plan, e: &mut Expr) -> Plan {
        let left_width = types(&left).len();
        let right_width = types(&self.plan).len();
        let place = |i: usize| match i.checked_sub(RIGHT) {
            Some(i) => i + left_width,
            None => i,
        };
        let ties: Vec<Expr> = self.ties.iter().map(|t| renamed(t, &place)).collect();
        let value = renamed(&self.value, &|i| i + left_width);
        e.each_mut(&mut |e| {
            if matches!(e, Expr::Subquery { plan, .. } if Arc::ptr_eq(plan, &self.subplan)) {
                *e = value.clone();
            }
        });
        Plan::Join(Box::new(Join {
            kind: JoinKind::Left,
            left,
            right_width,
            right: self.plan,
            left_width,
            left_keys: Vec::new(),
            right_keys: Vec::new(),
            filter: and(ties),
            lateral: false,
            keep: Keep::Right,
        }))
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

/// It could be an error where another row is none: what nobody asks for must not end the statement.
fn may_fail(e: &Expr) -> bool {
    use DataType::{Float4, Float8, Int2, Int4, Int8, Numeric, Text, Varchar};
    let wider = |from: DataType, to: DataType| {
        let order = [Int2, Int4, Int8, Numeric, Float8];
        let place = |ty| order.iter().position(|t| *t == ty);
        let texts = |ty| matches!(ty, Text | Varchar | DataType::Bpchar | DataType::Name);
        from == to
            || place(from) <= place(to) && place(from).is_some()
            || (from, to) == (Float4, Float8)
            || texts(from) && texts(to)
            || (from, to) == (DataType::Date, DataType::Timestamp)
    };
    e.any(&mut |e| match e {
        Expr::Call { func, ty, .. } => match func.0.operator {
            "=" | "<>" | "<" | "<=" | ">" | ">=" | "||" => false,
            "+" | "-" | "*" => *ty != Numeric,
            "" => !["lower", "upper", "length"].contains(&func.0.sql),
            _ => true,
        },
        Expr::Cast {
            expr, to, typmod, ..
        } => !matches!(**expr, Expr::Const(..)) && (*typmod >= 0 || !wider(expr.ty(), *to)),
        Expr::Subscript { .. } => true,
        _ => false,
    })
}

/// The same of all expressions of a plan.
fn has_failing(plan: &Plan) -> bool {
    plan.exprs().into_iter().any(may_fail) || plan.inputs().into_iter().any(has_failing)
}

/// Or what counts, which is 0: `or_nothing` sees to that. Ranks of a value that is in no row are not.
fn is_null_over_nothing(call: &AggregateCall) -> bool {
    let ranks = ["rank", "dense_rank", "percent_rank", "cume_dist"];
    !ranks.iter().any(|name| call.func.starts_with(name))
}

/// The value over the columns of the groups, behind so many keys; what counts is 0 where there is no group.
fn or_nothing(value: &Expr, keys: usize, aggregate: &Aggregate) -> Expr {
    let mut value = renamed(value, &|i| i + keys);
    value.each_mut(&mut |e| {
        let Expr::Column(i, ty) = e else {
            return;
        };
        let (i, ty) = (*i, *ty);
        let call = i
            .checked_sub(keys)
            .and_then(|i| aggregate.aggregates.get(i));
        if call.is_some_and(|c| ["count", "regr_count"].contains(&&*c.func)) {
            let zero = Expr::Const(Value::Int8(0), DataType::Int8);
            *e = Expr::Coalesce(vec![Expr::Column(i, ty), zero], ty);
        }
    });
    value
}
