//! Columns that nobody reads are not brought.
//!
//! Owns: which columns of each operator are read above it, down to the scans, which then project only those; and moving a
//! projection into the scan under it. What is volatile is computed though nobody reads it, as in PostgreSQL. Asked by: `planner`, after filters are where they belong. Never: changes the rows or
//! the columns of the whole plan.

use super::rename::{has_subquery, rename, rename_outer, substitute};
use engine::plan::{Aggregate, Expr, Join, JoinKind, Plan, Scan, SortKey, Window, With};
use std::collections::BTreeSet;

type Columns = BTreeSet<usize>;

/// Where the old columns are now.
struct Layout(Option<Vec<usize>>);

impl Layout {
    /// Nothing moved.
    const SAME: Layout = Layout(None);

    fn of(&self, old: usize) -> usize {
        match &self.0 {
            None => old,
            Some(kept) => kept.binary_search(&old).unwrap_or(old),
        }
    }

    fn apply(&self, e: &mut Expr) {
        if self.0.is_some() {
            rename(e, &|i| self.of(i));
        }
    }
}

/// The plan with unread columns gone inside; its own output stays as it is.
pub(super) fn prune(plan: Plan) -> Plan {
    let all = (0..super::shape::width(&plan)).collect();
    narrow(plan, &all).0
}

/// The plan with at least the `needed` columns, in their old order, and where they are.
fn narrow(plan: Plan, needed: &Columns) -> (Plan, Layout) {
    match plan {
        Plan::Scan(scan) => narrow_scan(*scan, needed),
        Plan::Project { input, exprs } => narrow_project(*input, exprs, needed),
        Plan::Filter {
            input,
            mut predicate,
        } => {
            let (input, layout) = narrow_under(*input, needed, [&predicate]);
            layout.apply(&mut predicate);
            let input = Box::new(input);
            (Plan::Filter { input, predicate }, layout)
        }
        Plan::Sort { input, keys, top } => narrow_sort(*input, keys, top, needed),
        Plan::Limit {
            input,
            limit,
            offset,
        } => {
            let (input, layout) = narrow(*input, needed);
            let plan = Plan::Limit {
                input: Box::new(input),
                limit,
                offset,
            };
            (plan, layout)
        }
        Plan::DistinctOn { input, mut keys } => {
            let (input, layout) = narrow_under(*input, needed, &keys);
            keys.iter_mut().for_each(|k| layout.apply(k));
            let input = Box::new(input);
            (Plan::DistinctOn { input, keys }, layout)
        }
        Plan::Join(join) => narrow_join(*join, needed),
        Plan::Aggregate(aggregate) => narrow_aggregate(*aggregate, needed),
        Plan::Window(window) => narrow_window(*window, needed),
        // Whole rows are compared, or locked by: every column is read.
        mut plan @ (Plan::Distinct { .. }
        | Plan::FirstRows { .. }
        | Plan::SetOp { .. }
        | Plan::LockRows(_)
        | Plan::Advise(_)
        | Plan::Notify { .. }
        | Plan::Sleep { .. }
        | Plan::Observe { .. }
        | Plan::Configure { .. }
        | Plan::Gather { .. }
        | Plan::Sequence(_)
        | Plan::Call(_)
        | Plan::Recursive(_)) => {
            for input in plan.inputs_mut() {
                *input = prune(std::mem::take(input));
            }
            (plan, Layout::SAME)
        }
        Plan::With(with) => narrow_with(*with, needed),
        Plan::Expand { .. } => narrow_expand(plan, needed),
        plan @ (Plan::System(_)
        | Plan::Values { .. }
        | Plan::OneRow
        | Plan::Given(_)
        | Plan::Function(_)
        | Plan::WithScan(_)
        | Plan::WorkTable(_)) => (plan, Layout::SAME),
    }
}

/// As `narrow`, where the operator above also reads `exprs`.
fn narrow_under<'a>(
    input: Plan,
    needed: &Columns,
    exprs: impl IntoIterator<Item = &'a Expr>,
) -> (Plan, Layout) {
    let mut needed = needed.clone();
    needed.extend(exprs.into_iter().flat_map(|e| e.columns()));
    narrow(input, &needed)
}

fn narrow_sort(
    input: Plan,
    mut keys: Vec<SortKey>,
    top: Option<u64>,
    needed: &Columns,
) -> (Plan, Layout) {
    let (input, layout) = narrow_under(input, needed, keys.iter().map(|k| &k.expr));
    keys.iter_mut().for_each(|k| layout.apply(&mut k.expr));
    let input = Box::new(input);
    (Plan::Sort { input, keys, top }, layout)
}

fn narrow_scan(mut scan: Scan, needed: &Columns) -> (Plan, Layout) {
    if scan.project.is_some() || scan.partial.is_some() {
        return (Plan::Scan(Box::new(scan)), Layout::SAME);
    }
    let types = super::shape::scan_types(&scan);
    let width = types.len();
    if needed.len() >= width {
        return (Plan::Scan(Box::new(scan)), Layout::SAME);
    }
    let kept: Vec<usize> = needed.iter().copied().filter(|i| *i < width).collect();
    let column = |i: &usize| Expr::Column(*i, types[*i]);
    scan.project = Some(kept.iter().map(column).collect());
    (Plan::Scan(Box::new(scan)), Layout(Some(kept)))
}

fn narrow_project(input: Plan, exprs: Vec<Expr>, needed: &Columns) -> (Plan, Layout) {
    let width = exprs.len();
    let wanted = |(i, e): &(usize, Expr)| needed.contains(i) || e.is_volatile();
    let exprs = exprs.into_iter().enumerate().filter(wanted);
    let (kept, exprs): (Vec<usize>, Vec<Expr>) = exprs.unzip();
    let shrinks = kept.len() < width;
    let layout = if shrinks {
        Layout(Some(kept))
    } else {
        Layout::SAME
    };
    let (input, mut exprs) = merged(input, exprs);
    if let Plan::Scan(mut scan) = input {
        let bare = scan.project.is_none() && scan.partial.is_none();
        if bare && exprs.iter().all(|e| !has_subquery(e) && !e.is_volatile()) {
            scan.project = Some(exprs);
            return (Plan::Scan(scan), layout);
        }
        let (input, inner) = narrow_under(Plan::Scan(scan), &Columns::new(), &exprs);
        exprs.iter_mut().for_each(|e| inner.apply(e));
        let input = Box::new(input);
        return (Plan::Project { input, exprs }, layout);
    }
    let (input, inner) = narrow_under(input, &Columns::new(), &exprs);
    exprs.iter_mut().for_each(|e| inner.apply(e));
    if is_identity(&exprs, &input) {
        return (input, layout);
    }
    let input = Box::new(input);
    (Plan::Project { input, exprs }, layout)
}

/// Two projections as one, where the lower one only moves columns.
fn merged(input: Plan, exprs: Vec<Expr>) -> (Plan, Vec<Expr>) {
    let Plan::Project {
        input: below,
        exprs: lower,
    } = input
    else {
        return (input, exprs);
    };
    let moves = lower.iter().all(|e| matches!(e, Expr::Column(..)));
    let both = exprs.iter().map(|e| substitute(e, &lower));
    match both.collect::<Option<Vec<_>>>().filter(|_| moves) {
        Some(exprs) => merged(*below, exprs),
        None => {
            let input = Plan::Project {
                input: below,
                exprs: lower,
            };
            (input, exprs)
        }
    }
}

fn is_identity(exprs: &[Expr], input: &Plan) -> bool {
    let in_place = |(i, e): (usize, &Expr)| matches!(e, Expr::Column(c, _) if *c == i);
    exprs.iter().enumerate().all(in_place) && super::shape::width(input) == exprs.len()
}

fn narrow_join(mut join: Join, needed: &Columns) -> (Plan, Layout) {
    let left_width = join.left_width;
    let mut all = needed.clone();
    all.extend(join.filter.iter().flat_map(|e| e.columns()));
    let mut left: Columns = all.iter().copied().filter(|i| *i < left_width).collect();
    let right = all.iter().filter(|i| **i >= left_width);
    let mut right: Columns = right.map(|i| i - left_width).collect();
    left.extend(join.left_keys.iter().flat_map(|e| e.columns()));
    right.extend(join.right_keys.iter().flat_map(|e| e.columns()));
    if join.lateral {
        let refs = join.right.outer_refs().into_iter();
        left.extend(refs.filter(|(depth, _)| *depth == 1).map(|(_, c)| c));
    }
    let (new_left, left_layout) = narrow(std::mem::take(&mut join.left), &left);
    let (new_right, right_layout) = narrow(std::mem::take(&mut join.right), &right);
    join.left = new_left;
    join.right = new_right;
    join.left_keys.iter_mut().for_each(|e| left_layout.apply(e));
    join.right_keys
        .iter_mut()
        .for_each(|e| right_layout.apply(e));
    if join.lateral && left_layout.0.is_some() {
        rename_outer(&mut join.right, &|i| left_layout.of(i));
    }
    let kept_left = left_layout.0.unwrap_or_else(|| (0..left_width).collect());
    let right_width = join.right_width;
    let kept_right = right_layout.0.unwrap_or_else(|| (0..right_width).collect());
    join.left_width = kept_left.len();
    join.right_width = kept_right.len();
    let mut kept = kept_left;
    kept.extend(kept_right.iter().map(|i| i + left_width));
    let layout = Layout(Some(kept));
    if let Some(filter) = &mut join.filter {
        layout.apply(filter);
    }
    let layout = match (join.kind, layout.0) {
        (JoinKind::Semi | JoinKind::Anti, Some(mut kept)) => {
            kept.truncate(join.left_width);
            Layout(Some(kept))
        }
        (_, kept) => Layout(kept),
    };
    (Plan::Join(Box::new(join)), layout)
}

fn narrow_aggregate(mut aggregate: Aggregate, needed: &Columns) -> (Plan, Layout) {
    let groups = aggregate.groups.len();
    let mut kept: Vec<usize> = (0..groups).collect();
    let mut at = groups;
    aggregate.aggregates.retain(|call| {
        let wanted = needed.contains(&at) || call.exprs().any(Expr::is_volatile);
        kept.extend(wanted.then_some(at));
        at += 1;
        wanted
    });
    let mut plan = Plan::Aggregate(Box::new(aggregate));
    let read = plan.exprs().into_iter().flat_map(|e| e.columns()).collect();
    let mut layout = Layout::SAME;
    if let Plan::Aggregate(aggregate) = &mut plan {
        let (input, inner) = narrow(std::mem::take(&mut aggregate.input), &read);
        aggregate.input = input;
        layout = inner;
    }
    for e in plan.exprs_mut() {
        layout.apply(e);
    }
    (plan, Layout(Some(kept)))
}

fn narrow_with(mut with: With, needed: &Columns) -> (Plan, Layout) {
    for query in &mut with.queries {
        query.plan = prune(std::mem::take(&mut query.plan));
    }
    let (input, layout) = narrow(std::mem::take(&mut with.input), needed);
    with.input = input;
    (Plan::With(Box::new(with)), layout)
}

/// Calls that nobody reads are not made; a window without any is its input.
fn narrow_window(mut window: Window, needed: &Columns) -> (Plan, Layout) {
    let width = super::shape::width(&window.input);
    let mut at = width;
    let mut kept_calls = Vec::new();
    window.calls.retain(|call| {
        let wanted = needed.contains(&at) || call.exprs().any(Expr::is_volatile);
        kept_calls.extend(wanted.then_some(at));
        at += 1;
        wanted
    });
    let below = needed.iter().copied().filter(|i| *i < width).collect();
    if window.calls.is_empty() {
        // Narrower by the calls, also where nothing below has moved.
        let (input, layout) = narrow(window.input, &below);
        let kept = layout.0.unwrap_or_else(|| (0..width).collect());
        return (input, Layout(Some(kept)));
    }
    let mut plan = Plan::Window(Box::new(window));
    let read: Columns = plan.exprs().into_iter().flat_map(|e| e.columns()).collect();
    let mut layout = Layout::SAME;
    if let Plan::Window(window) = &mut plan {
        let all = read.union(&below).copied().collect();
        let (input, inner) = narrow(std::mem::take(&mut window.input), &all);
        window.input = input;
        layout = inner;
    }
    for e in plan.exprs_mut() {
        layout.apply(e);
    }
    let mut kept = layout.0.unwrap_or_else(|| (0..width).collect());
    kept.extend(kept_calls);
    (plan, Layout(Some(kept)))
}

/// The groups and the set's number stay; of the row what is read.
fn narrow_expand(plan: Plan, needed: &Columns) -> (Plan, Layout) {
    let Plan::Expand {
        input,
        mut groups,
        sets,
    } = plan
    else {
        return (plan, Layout::SAME);
    };
    let width = super::shape::width(&input);
    let below = needed.iter().copied().filter(|i| *i < width).collect();
    let (input, layout) = narrow_under(*input, &below, &groups);
    groups.iter_mut().for_each(|e| layout.apply(e));
    let mut kept = layout.0.unwrap_or_else(|| (0..width).collect());
    kept.extend(width..=width + groups.len());
    let input = Box::new(input);
    let plan = Plan::Expand {
        input,
        groups,
        sets,
    };
    (plan, Layout(Some(kept)))
}
