//! LIMIT known at planning, or what it is at most, bounds what is below it.
//!
//! Owns: `Sort::top`, `Scan::limit` and `Scan::top`: a sort that wants its first rows wants the first ones of each partition, and
//! where a partition gives its rows in that order anyway, or an index does, it may stop after them; the same of what runs in the partitions,
//! of the left side of a left join, and of windows that look back alone. Asked by: `planner`, last. Never: removes the
//! Limit or the Sort itself.
//! Bounds: `TOP_MAX` rows are chosen where they are; more are sorted where all of them meet.

use super::access::{ascending, bounds, key_range, of_range, usable};
use super::conjuncts::split;
use super::cost;
use super::estimate::{Estimator, selectivity};
use super::first_rows;
use super::rename::{has_subquery, substitute};
use super::window_rows;
use crate::bind::walk;
use engine::catalog::{KeyPart, Table};
use engine::plan::{Access, Expr, JoinKind, KeyRange, Plan, Scan, SortKey, Top};
use std::sync::Arc;
use types::{DataType, Value};

/// First rows of a partition.
pub(super) const TOP_MAX: u64 = 10_000;

/// Bounds what each LIMIT in the plan stands on.
pub(super) fn bound(plan: &mut Plan, on: &Estimator) {
    if let Plan::Limit {
        input,
        limit: Some(limit),
        offset,
    } = plan
        && let Some(rows) = rows(limit, offset.as_ref(), on)
    {
        apply(input, rows, on);
    }
    if let Plan::Filter { input, predicate } = plan
        && let Some(rows) = window_rows::wanted(input, predicate, on)
        && let Some(input) = window_rows::below(input, None)
    {
        apply(input, rows, on);
    }
    for input in plan.inputs_mut() {
        bound(input, on);
    }
}

/// Has the first row of a sorted scan found without reading the others, if that can be.
pub(super) fn is_found_first(sorted: &mut Plan, on: &Estimator) -> bool {
    apply(sorted, 1, on);
    let Plan::Sort { input, .. } = sorted else {
        return false;
    };
    matches!(&**input, Plan::Scan(scan) if scan.limit == Some(1))
}

fn rows(limit: &Expr, offset: Option<&Expr>, on: &Estimator) -> Option<u64> {
    let offset = match offset {
        None => 0,
        Some(e) => on.row_count(e)?,
    };
    on.row_count(limit)?.checked_add(offset)
}

fn apply(plan: &mut Plan, rows: u64, on: &Estimator) {
    match plan {
        Plan::Project { input, .. } => apply(input, rows, on),
        Plan::Sort { input, keys, top } => {
            *top = Some(top.map_or(rows, |t| t.min(rows)));
            match &mut **input {
                Plan::Scan(scan) => first(scan, keys, rows, on),
                Plan::Gather { input } if rows <= TOP_MAX && keys.iter().all(is_free) => {
                    sort_below(input, keys, rows);
                    first_rows::rewrite(input, rows, on);
                }
                below if rows <= TOP_MAX => match window_rows::below(below, Some(keys)) {
                    Some(input) => apply(input, rows, on),
                    None => {
                        first_of_left(below, keys, rows, on);
                        first_rows::rewrite(plan, rows, on);
                    }
                },
                _ => {}
            }
        }
        Plan::Join(_) | Plan::Filter { .. } => first_rows::rewrite(plan, rows, on),
        Plan::Window(_) => {
            if let Some(input) = window_rows::below(plan, None) {
                apply(input, rows, on);
            }
        }
        Plan::Gather { input } => {
            let rows = i64::try_from(rows).unwrap_or(i64::MAX);
            let limit = Expr::Const(Value::Int8(rows), DataType::Int8);
            **input = Plan::Limit {
                input: Box::new(std::mem::take(&mut **input)),
                limit: Some(limit),
                offset: None,
            };
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
            apply(left, rows, on);
            apply(right, rows, on);
        }
        _ => {}
    }
}

pub(super) fn is_free(key: &SortKey) -> bool {
    !has_subquery(&key.expr) && !key.expr.is_volatile()
}

/// A left join has each row of its left side at least once: the first rows by what is there come of the first ones there.
fn first_of_left(plan: &mut Plan, keys: &[SortKey], rows: u64, on: &Estimator) {
    match plan {
        Plan::Project { input, exprs } => {
            let key = |k: &SortKey| {
                let expr = substitute(&k.expr, exprs)?;
                Some(SortKey { expr, ..k.clone() })
            };
            if let Some(keys) = keys.iter().map(key).collect::<Option<Vec<_>>>() {
                first_of_left(input, &keys, rows, on);
            }
        }
        Plan::Join(join) if join.kind == JoinKind::Left => {
            let width = join.left_width;
            let of_left = |k: &SortKey| is_free(k) && k.expr.columns().iter().all(|c| *c < width);
            if !keys.iter().all(of_left) {
                return;
            }
            let input = Box::new(std::mem::take(&mut join.left));
            join.left = Plan::Sort {
                input,
                keys: keys.to_vec(),
                top: None,
            };
            apply(&mut join.left, rows, on);
        }
        _ => {}
    }
}

/// The first rows of each partition.
fn sort_below(input: &mut Box<Plan>, keys: &[SortKey], rows: u64) {
    **input = Plan::Sort {
        input: Box::new(std::mem::take(&mut **input)),
        keys: keys.to_vec(),
        top: Some(rows),
    };
}

/// The first rows of the scan in the order of these keys over its output.
pub(super) fn first(scan: &mut Scan, keys: &[SortKey], rows: u64, on: &Estimator) {
    let free = scan.partial.is_none() && scan.limit.is_none() && !scan.addressed;
    if !free || rows > TOP_MAX {
        return;
    }
    let Some(keys) = over_table(scan, keys) else {
        return;
    };
    if comes_in_order(scan, &keys) || by_index(scan, &keys, rows, on) {
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

/// Whether the rows of a partition come in this order, forward or backward.
fn comes_in_order(scan: &mut Scan, keys: &[SortKey]) -> bool {
    let table = scan.table.clone();
    let primary = ascending(&table.primary_key);
    match &mut scan.access {
        Access::Full => match direction(&table, &primary, 0, keys, true) {
            Some(backward) => {
                if backward {
                    scan.access = Access::KeyRange(KeyRange {
                        backward: true,
                        ..KeyRange::default()
                    });
                }
                true
            }
            None => false,
        },
        Access::KeyRange(range) => {
            let way = direction(&table, &primary, range.prefix.len(), keys, true);
            range.backward = way == Some(true);
            way.is_some()
        }
        Access::Index { index, range } if !index.unique => {
            let way = direction(&table, &index.parts, range.prefix.len(), keys, false);
            range.backward = way == Some(true);
            way.is_some()
        }
        Access::Keys(_) | Access::Index { .. } | Access::Bitmap(_) | Access::Each(_) => false,
    }
}

/// Finds the rows by the key or an index that has them in this order, or its opposite, where it is cheaper to read on until there
/// are enough of them than to find all and choose.
fn by_index(scan: &mut Scan, keys: &[SortKey], rows: u64, on: &Estimator) -> bool {
    // Those keys are what is left of a condition.
    if matches!(scan.access, Access::Keys(_)) {
        return false;
    }
    let table = scan.table.clone();
    let conditions: Vec<Expr> = scan.filter.clone().into_iter().flat_map(split).collect();
    let bounds = bounds(&table, &conditions);
    let guessed = on.guessed(conditions.clone());
    let all = on.table(&table);
    let wanted = selectivity(&guessed, &all) * all.rows;
    // What has to be passed to find so many, where those that are wanted lie anywhere among the others.
    let cost = |range: &KeyRange, parts: &[KeyPart], each: f64| {
        let found = selectivity(&of_range(range, parts, &bounds, &guessed), &all) * all.rows;
        let passed = rows as f64 * found / wanted.max(1.0);
        cost::CALL + passed.min(found) * each
    };
    let mut least = match scan.filter.is_none() && matches!(scan.access, Access::Full) {
        true => f64::INFINITY,
        false => cost::access(&table, &scan.access, scan.filter.as_ref(), on),
    };
    let mut best = None;
    let primary = ascending(&table.primary_key);
    let range = key_range(&primary, &bounds);
    if table.has_key()
        && let Some(backward) = direction(&table, &primary, range.prefix.len(), keys, true)
        && cost(&range, &primary, cost::VISIT) < least
    {
        least = cost(&range, &primary, cost::VISIT);
        best = Some(Access::KeyRange(KeyRange { backward, ..range }));
    }
    let indexes: Vec<_> = usable(&table, &conditions).filter(|i| !i.unique).collect();
    // Behind the indexed values an entry has the row's key, which tells all entries apart.
    for behind in [&[], primary.as_slice()] {
        for index in &indexes {
            let range = key_range(&index.parts, &bounds);
            let cost = cost(&range, &index.parts, cost::FETCH);
            let parts = [index.parts.as_slice(), behind].concat();
            if cost < least
                && let Some(backward) =
                    direction(&table, &parts, range.prefix.len(), keys, !behind.is_empty())
            {
                least = cost;
                let (index, range) = (Arc::clone(index), KeyRange { backward, ..range });
                best = Some(Access::Index { index, range });
            }
        }
    }
    match best {
        Some(access) => {
            scan.access = access;
            true
        }
        None => false,
    }
}

/// Whether rows that lie in the order of these parts, of which the first `equal` are the same for all, come in the order of the
/// keys when they are read forward (`false`) or backward. `whole`: no two rows have the same values of all parts.
fn direction(
    table: &Table,
    parts: &[KeyPart],
    equal: usize,
    keys: &[SortKey],
    whole: bool,
) -> Option<bool> {
    let (same, rest) = parts.split_at_checked(equal)?;
    let mut rest = rest.iter();
    let mut way = None;
    for key in keys {
        let is = |p: &KeyPart| walk::same(&p.expr(table), &key.expr);
        if same.iter().any(is) {
            continue;
        }
        let Some(part) = rest.next() else {
            // The whole key decides; what follows it has nothing left to do.
            return way.filter(|_| whole);
        };
        if !is(part) {
            return None;
        }
        let column = part.column().and_then(|c| table.columns.get(c));
        let backward = key.descending != part.descending;
        let nulls = (key.nulls_first != part.nulls_first) == backward;
        if !nulls && !column.is_some_and(|c| c.not_null) {
            return None;
        }
        if *way.get_or_insert(backward) != backward {
            return None;
        }
    }
    way
}
