//! LIMIT known at planning bounds what is below it.
//!
//! Owns: `Sort::top`, `Scan::limit` and `Scan::top`: a sort that wants its first rows wants the first ones of each partition, and
//! where a partition gives its rows in that order anyway it may stop after them; the same of what runs in the partitions. Asked by: `planner`, last. Never: removes the
//! Limit or the Sort itself.
//! Bounds: `TOP_MAX` rows are chosen where they are; more are sorted where all of them meet.

use super::rename::{has_subquery, substitute};
use crate::bind::walk;
use engine::catalog::{KeyPart, Table};
use engine::plan::{Access, Expr, KeyRange, Plan, Scan, SortKey, Top};
use types::{DataType, Value};

/// First rows of a partition.
const TOP_MAX: u64 = 10_000;

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
        Plan::Sort { input, keys, top } => {
            *top = Some(top.map_or(rows, |t| t.min(rows)));
            match &mut **input {
                Plan::Scan(scan) => first(scan, keys, rows),
                Plan::Gather { input } if rows <= TOP_MAX && keys.iter().all(is_free) => {
                    sort_below(input, keys, rows);
                }
                _ => {}
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
            apply(left, rows);
            apply(right, rows);
        }
        _ => {}
    }
}

fn is_free(key: &SortKey) -> bool {
    !has_subquery(&key.expr) && !key.expr.is_volatile()
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
fn first(scan: &mut Scan, keys: &[SortKey], rows: u64) {
    let free = scan.partial.is_none() && scan.limit.is_none() && !scan.addressed;
    if !free || rows > TOP_MAX {
        return;
    }
    let Some(keys) = over_table(scan, keys) else {
        return;
    };
    if comes_in_order(scan, &keys) {
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

/// Whether the rows of a partition come in this order. Where an index has it, or its opposite, rows are found by that.
fn comes_in_order(scan: &mut Scan, keys: &[SortKey]) -> bool {
    let table = scan.table.clone();
    let ascending = |columns: &[usize]| -> Vec<KeyPart> {
        columns.iter().map(|c| KeyPart::ascending(*c)).collect()
    };
    let primary = ascending(&table.primary_key);
    match &mut scan.access {
        Access::Full => match direction(&table, &primary, 0, keys, true) {
            Some(false) => true,
            Some(true) => {
                scan.access = Access::KeyRange(KeyRange {
                    backward: true,
                    ..KeyRange::default()
                });
                true
            }
            None if scan.filter.is_none() => by_index(scan, &table, keys),
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
        Access::Keys(_) | Access::Index { .. } | Access::Bitmap(_) => false,
    }
}

fn by_index(scan: &mut Scan, table: &Table, keys: &[SortKey]) -> bool {
    for index in table.valid_indexes() {
        if index.unique || index.predicate.is_some() {
            continue;
        }
        if let Some(backward) = direction(table, &index.parts, 0, keys, false) {
            let range = KeyRange {
                backward,
                ..KeyRange::default()
            };
            let index = index.clone();
            scan.access = Access::Index { index, range };
            return true;
        }
    }
    false
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
