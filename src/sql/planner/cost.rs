//! What a plan costs, in rows read where they are.
//!
//! Owns: the weights of the operators' steps, and how they add up. Asked by: the rules that choose, and EXPLAIN. The unit is
//! one row of a table visited by its shard; the other weights are relative to it, and guesses: nothing has been measured for them.
//! Never: a time; what is slow here is slow on any machine.

use super::estimate::Estimator;
use super::placed;
use engine::catalog::Table;
use engine::plan::{Access, Expr, Join, JoinKind, Keep, Plan, Scan, SetOp};

/// A row visited in a full scan.
pub(super) const VISIT: f64 = 1.0;
/// A row found by an index, which reads its table by key.
pub(super) const FETCH: f64 = 4.0;
/// A row of which the key is known already, read in the order of keys.
pub(super) const FETCH_IN_ORDER: f64 = 3.0;
/// An entry whose key is put into a set.
pub(super) const ENTRY: f64 = 0.5;
/// Reaching the partitions, once for each access.
pub(super) const CALL: f64 = 20.0;
/// A subquery run once more: its operators are made, and the shards' answers waited for.
pub(super) const RUN: f64 = 200.0;
/// A row that leaves its shard.
pub(super) const MOVE: f64 = 0.7;
/// A row put into a hash table, and a row looked up in one.
const KEEP: f64 = 1.5;
const PROBE: f64 = 0.8;
/// A row made.
pub(super) const OUT: f64 = 0.4;
/// A pair of rows held against each other.
const PAIR: f64 = 0.3;
/// A row looked up by its key, its call among it.
pub(super) const LOOKUP: f64 = 8.0;
/// Left rows for which the executor looks the right ones up, instead of reading them all.
pub(super) const LOOKUPS_MAX: f64 = 256.0;
/// Left rows that the executor keeps, whatever the right side is.
const AHEAD_MAX: f64 = 4_096.0;

/// A hash join without its inputs.
pub(super) fn hashed(left: f64, right: f64, rows: f64) -> f64 {
    let (kept, probe) = if left <= AHEAD_MAX {
        (left, right)
    } else {
        (right, left)
    };
    kept * KEEP + probe * PROBE + rows * OUT
}

/// A nested loop without its inputs.
pub(super) fn pairs(left: f64, right: f64, rows: f64) -> f64 {
    right * KEEP + left * right * PAIR + rows * OUT
}

/// For each left row, where the columns joined on are the primary key, or the beginning of that or of an index.
pub(super) fn looked_up(
    scan: &Scan,
    joined: &dyn Fn(&usize) -> bool,
    on: &Estimator,
) -> Option<f64> {
    if !matches!(scan.access, Access::Full) || scan.partial.is_some() {
        return None;
    }
    let table = &scan.table;
    let key = &table.primary_key;
    if !key.is_empty() && key.iter().all(joined) {
        return Some(LOOKUP);
    }
    let all = on.table(table);
    let rows = |columns: &[usize]| {
        let used = columns.iter().take_while(|c| joined(c));
        let distinct: f64 = used
            .filter_map(|c| all.columns.get(*c))
            .map(|c| c.distinct)
            .product();
        (columns.first().is_some_and(joined)).then(|| (all.rows / distinct.max(1.0)).max(1.0))
    };
    let plain = table
        .valid_indexes()
        .filter(|i| !i.unique && i.predicate.is_none());
    let each = plain.filter_map(|i| rows(&i.columns()?)).chain(rows(key));
    let least = each.min_by(f64::total_cmp)?;
    Some(LOOKUP + least * (ENTRY + FETCH_IN_ORDER))
}

/// The scan of a table.
pub(super) fn scan(scan: &Scan, on: &Estimator) -> f64 {
    access(&scan.table, &scan.access, scan.filter.as_ref(), on) + on.scanned(scan).rows * MOVE
}

/// Finding rows of a table.
pub(super) fn access(table: &Table, by: &Access, filter: Option<&Expr>, on: &Estimator) -> f64 {
    match by {
        Access::Full => CALL + on.table(table).rows * VISIT,
        Access::Keys(keys) => keys.len() as f64 * LOOKUP,
        Access::KeyRange(_) => CALL + on.found(table, by, filter).rows * VISIT,
        Access::Each(each) if each.index.is_none() => on.found(table, by, filter).rows * LOOKUP,
        Access::Bitmap(_) | Access::Each(_) => {
            CALL + on.found(table, by, filter).rows * (ENTRY + FETCH_IN_ORDER)
        }
        Access::Index { .. } => CALL + on.found(table, by, filter).rows * FETCH,
    }
}

/// What is spent before the first row: operators that need all of an input first have spent what that costs.
pub(super) fn startup(plan: &Plan, on: &Estimator) -> f64 {
    match plan {
        Plan::Aggregate(_) | Plan::Sort { .. } | Plan::Distinct { .. } => {
            plan.inputs().into_iter().map(|p| of(p, on)).sum()
        }
        Plan::Join(join) if !join.lateral => {
            let (kept, other) = match join.keep == Keep::Left {
                true => (&join.left, &join.right),
                false => (&join.right, &join.left),
            };
            of(kept, on) + startup(other, on)
        }
        plan => plan.inputs().first().map_or(0.0, |p| startup(p, on)),
    }
}

/// The whole plan.
pub(super) fn of(plan: &Plan, on: &Estimator) -> f64 {
    if let Plan::Gather { input } = plan {
        return in_partitions(input, on) + on.rows(input) * MOVE;
    }
    if let Plan::FirstRows { first, .. } = plan {
        return of(first, on);
    }
    let inputs: f64 = plan.inputs().into_iter().map(|p| of(p, on)).sum();
    let first = |on: &Estimator| plan.inputs().first().map_or(0.0, |p| on.rows(p));
    inputs
        + match plan {
            Plan::Scan(s) => scan(s, on),
            Plan::Join(join) => of_join(join, on),
            Plan::Filter { input, predicate } => {
                let slow = subplans(predicate, on);
                on.rows(input) * (PAIR + slow)
            }
            Plan::Project { input, exprs } => {
                let slow: f64 = exprs.iter().map(|e| subplans(e, on)).sum();
                on.rows(input) * (OUT + slow)
            }
            Plan::Aggregate(a) => on.rows(&a.input) * KEEP + on.rows(plan) * OUT,
            Plan::Sort { input, .. } => {
                let rows = on.rows(input).max(2.0);
                rows * rows.log2() * 0.1 + rows * OUT
            }
            Plan::Distinct { .. } | Plan::DistinctOn { .. } => first(on) * KEEP,
            Plan::SetOp { op, all, .. } => match (op, all) {
                (SetOp::Union, true) => on.rows(plan) * OUT,
                _ => on.rows(plan) * KEEP,
            },
            Plan::LockRows(_)
            | Plan::Advise(_)
            | Plan::Configure { .. }
            | Plan::Notify { .. }
            | Plan::Sleep { .. }
            | Plan::Observe { .. }
            | Plan::Sequence(_)
            | Plan::Call(_) => first(on) * LOOKUP,
            Plan::Window(_) => first(on) * KEEP,
            Plan::Recursive(_) => on.rows(plan) * KEEP,
            Plan::Limit { .. } | Plan::With(_) | Plan::Gather { .. } | Plan::FirstRows { .. } => {
                0.0
            }
            Plan::Expand { .. }
            | Plan::System(_)
            | Plan::Values { .. }
            | Plan::OneRow
            | Plan::Given(_)
            | Plan::Function(_)
            | Plan::WithScan(_)
            | Plan::WorkTable(_) => on.rows(plan) * OUT,
        }
}

/// What is done in each partition at the same time, and where no row has to leave its shard.
fn in_partitions(plan: &Plan, on: &Estimator) -> f64 {
    let parts = placed::run_most(plan, on.partitions());
    (of(plan, on) - moved(plan, on)).max(0.0) / parts.max(1) as f64
}

fn moved(plan: &Plan, on: &Estimator) -> f64 {
    match plan {
        Plan::Scan(scan) => on.scanned(scan).rows * MOVE,
        plan => plan.inputs().into_iter().map(|p| moved(p, on)).sum(),
    }
}

fn of_join(join: &Join, on: &Estimator) -> f64 {
    let (left, right) = (on.rows(&join.left), on.rows(&join.right));
    let rows = match join.kind {
        JoinKind::Semi | JoinKind::Anti => left,
        _ => left.max(right),
    };
    if join.lateral {
        return left * (CALL + of(&join.right, on));
    }
    match join.left_keys.is_empty() {
        true => pairs(left, right, rows),
        false => hashed(left, right, rows),
    }
}

/// What the correlated subqueries in an expression cost for each row.
fn subplans(e: &Expr, on: &Estimator) -> f64 {
    let mut sum = 0.0;
    e.each(&mut |e| {
        if let Expr::Subquery {
            plan,
            correlated: true,
            ..
        } = e
        {
            sum += of(plan, on);
        }
    });
    sum
}
