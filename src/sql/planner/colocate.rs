//! What is joined or grouped by what places its rows is joined and grouped where they are.
//!
//! Owns: knowing by which columns of its output the rows of a plan are placed, and `Plan::Gather` around the largest parts of a
//! plan that can be done in each partition alone. Asked by: `planner`, once filters and columns are where they belong. Never:
//! moves what reads subqueries or gives another value each time; nor a scan whose rows are to be locked.
//! Two tables are placed alike when the columns that place them are as many and of the same types: the same values are then
//! in the same partition (`engine::catalog`, placement), so rows that agree in them meet there and nowhere else.

use super::cost;
use super::estimate::Estimator;
use super::push_filter::fits_scan;
use super::rename::has_subquery;
use crate::bind::walk::same;
use engine::exec::aggregates::is_mergeable;
use engine::plan::{Aggregate, AggregateCall, AggregateMode, Expr, Join, JoinKind, Plan, Scan};
use std::collections::BTreeSet;
use types::DataType;

/// A plan of more operators is left as it is: each is looked at once for every one above it.
const OPERATORS_MAX: usize = 256;

/// One of the columns that place the rows of a plan.
struct Place {
    ty: DataType,
    /// Columns of the output that have its value.
    columns: BTreeSet<usize>,
    /// The value itself, where all rows have one.
    value: Option<Expr>,
}

/// Does in the partitions what can be done there.
pub(super) fn place(plan: &mut Plan, on: &Estimator) {
    if operators(plan) <= OPERATORS_MAX {
        each(plan, false, on);
    }
}

fn operators(plan: &Plan) -> usize {
    1 + plan.inputs().into_iter().map(operators).sum::<usize>()
}

/// `shrinks`: of what comes out of the partitions only groups will.
fn each(plan: &mut Plan, shrinks: bool, on: &Estimator) {
    if is_worth(plan) && places(plan).is_some() {
        let here = cost::of(plan, on);
        let input = Box::new(std::mem::take(plan));
        *plan = Plan::Gather { input };
        if shrinks || cost::of(plan, on) <= here {
            return;
        }
        if let Plan::Gather { input } = plan {
            *plan = std::mem::take(&mut **input);
        }
    }
    let shrinks = matches!(plan, Plan::Aggregate(a) if can_split(a));
    for input in plan.inputs_mut() {
        each(input, shrinks, on);
    }
}

/// It does more than a scan, which is in the partitions anyway.
fn is_worth(plan: &Plan) -> bool {
    match plan {
        Plan::Join(_) | Plan::Distinct { .. } => true,
        Plan::Aggregate(a) if !a.aggregates.iter().all(splits) => true,
        _ => plan.inputs().into_iter().any(is_worth),
    }
}

/// Groups of each partition are made there by any scan (`partial`).
fn splits(call: &AggregateCall) -> bool {
    !call.distinct && call.order.is_empty() && is_mergeable(&call.func)
}

/// What places the rows of a plan that gives, partition by partition, what it gives over all; `None` of any other.
fn places(plan: &Plan) -> Option<Vec<Place>> {
    match plan {
        Plan::Scan(scan) => of_scan(scan),
        Plan::Filter { input, predicate } => is_free(predicate).then(|| places(input))?,
        Plan::Project { input, exprs } => {
            let below = exprs.iter().all(is_free).then(|| places(input))??;
            Some(below.into_iter().map(|p| p.among(exprs)).collect())
        }
        Plan::Join(join) => of_join(join),
        Plan::Aggregate(aggregate) => of_aggregate(aggregate),
        Plan::Distinct { input } => {
            let below = places(input)?;
            let whole = |p: &Place| !p.columns.is_empty() || p.value.is_some();
            below.iter().all(whole).then_some(below)
        }
        _ => None,
    }
}

/// A shard can compute it from the row.
fn is_free(e: &Expr) -> bool {
    !has_subquery(e) && !e.is_volatile()
}

fn of_scan(scan: &Scan) -> Option<Vec<Place>> {
    let table = &scan.table;
    let cut = scan.limit.is_some() || scan.top.is_some() || scan.partial.is_some();
    let fits = scan.filter.iter().all(fits_scan);
    if cut || scan.addressed || !table.has_key() || !fits {
        return None;
    }
    let place = |(at, column): (usize, &usize)| {
        let ty = table.columns.get(*column)?.ty;
        let outputs = match &scan.project {
            None => [*column].into(),
            Some(exprs) => positions(exprs, *column),
        };
        let value = match scan.homes.as_slice() {
            [home] => home.get(at).cloned(),
            _ => None,
        };
        Some(Place {
            ty,
            columns: outputs,
            value,
        })
    };
    table.placed_by().iter().enumerate().map(place).collect()
}

/// Where a column is among expressions.
fn positions(exprs: &[Expr], column: usize) -> BTreeSet<usize> {
    let is = |e: &Expr| matches!(e, Expr::Column(c, _) if *c == column);
    let all = exprs.iter().enumerate();
    all.filter(|(_, e)| is(e)).map(|(at, _)| at).collect()
}

impl Place {
    /// As the output of expressions over the row has it.
    fn among(self, exprs: &[Expr]) -> Place {
        let columns = self.columns.iter();
        Place {
            columns: columns.flat_map(|c| positions(exprs, *c)).collect(),
            ..self
        }
    }

    fn shifted(self, by: usize) -> Place {
        Place {
            columns: self.columns.iter().map(|c| c + by).collect(),
            ..self
        }
    }
}

fn of_join(join: &Join) -> Option<Vec<Place>> {
    let keys = join.left_keys.iter().chain(&join.right_keys);
    if join.lateral || !keys.chain(&join.filter).all(is_free) {
        return None;
    }
    let (left, right) = (places(&join.left)?, places(&join.right)?);
    let alike = left.iter().zip(&right).all(|(l, r)| meet(l, r, join));
    if left.len() != right.len() || !alike {
        return None;
    }
    let shifted = |p: Place| p.shifted(join.left_width);
    Some(match join.kind {
        JoinKind::Left | JoinKind::Semi | JoinKind::Anti => left,
        JoinKind::Right => right.into_iter().map(shifted).collect(),
        JoinKind::Inner => {
            let right = right.into_iter().map(shifted);
            let both = |(l, r): (Place, Place)| Place {
                ty: l.ty,
                columns: l.columns.union(&r.columns).copied().collect(),
                value: l.value.or(r.value),
            };
            left.into_iter().zip(right).map(both).collect()
        }
        // Either column may be NULL.
        JoinKind::Full => {
            let unknown = |p: Place| Place {
                ty: p.ty,
                columns: BTreeSet::new(),
                value: None,
            };
            left.into_iter().map(unknown).collect()
        }
    })
}

/// Rows meet only where both have the same value there.
fn meet(left: &Place, right: &Place, join: &Join) -> bool {
    if left.ty != right.ty {
        return false;
    }
    if let (Some(l), Some(r)) = (&left.value, &right.value)
        && same(l, r)
    {
        return true;
    }
    let is = |e: &Expr, place: &Place| matches!(e, Expr::Column(c, ty) if *ty == place.ty && place.columns.contains(c));
    let mut pairs = join.left_keys.iter().zip(&join.right_keys);
    pairs.any(|(l, r)| is(l, left) && is(r, right))
}

/// Groups that are whole in their partition.
fn of_aggregate(aggregate: &Aggregate) -> Option<Vec<Place>> {
    let calls = aggregate.aggregates.iter().flat_map(|c| {
        let order = c.order.iter().map(|k| &k.expr);
        c.args.iter().chain(&c.filter).chain(order)
    });
    let plain = aggregate.mode == AggregateMode::Complete
        && aggregate.seeds.is_empty()
        && !aggregate.groups.is_empty();
    if !plain || !aggregate.groups.iter().chain(calls).all(is_free) {
        return None;
    }
    let below = places(&aggregate.input)?.into_iter();
    let groups: Vec<Place> = below.map(|p| p.among(&aggregate.groups)).collect();
    let whole = |p: &Place| !p.columns.is_empty() || p.value.is_some();
    groups.iter().all(whole).then_some(groups)
}

/// Whether there can be partial groups of it.
fn can_split(aggregate: &Aggregate) -> bool {
    let calls = &aggregate.aggregates;
    let exprs = calls.iter().flat_map(|c| c.args.iter().chain(&c.filter));
    aggregate.mode == AggregateMode::Complete
        && aggregate.seeds.is_empty()
        && calls.iter().all(splits)
        && aggregate.groups.iter().chain(exprs).all(is_free)
}

/// The aggregation as one in each partition and one of their groups, where it can be that.
pub(super) fn split_over(aggregate: &mut Aggregate) {
    if !can_split(aggregate) {
        return;
    }
    let Plan::Gather { input } = &mut aggregate.input else {
        return;
    };
    let partial = Aggregate {
        input: std::mem::take(&mut **input),
        mode: AggregateMode::Partial,
        groups: aggregate.groups.clone(),
        aggregates: aggregate.aggregates.clone(),
        seeds: Vec::new(),
    };
    **input = Plan::Aggregate(Box::new(partial));
    super::partial::finish_above(aggregate);
}
