//! From a plan's `Access` to the partitions it concerns and the keys in each.
//!
//! Owns: evaluation of key expressions (they have no input row) and their encoding. Asked by: the router. A comparison with NULL
//! selects nothing.

use super::call::{KeySpan, Reach};
use crate::catalog::{Index, Table};
use crate::codec::key::{self, Order};
use crate::exec::Context;
use crate::exec::eval::{self, Env};
use crate::plan::{Access, Bitmap, Expr, Homes, JoinKind, KeyRange, Plan};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use types::{DataType, Error, PartitionId, Result, TreeId, Value};

/// Where to look.
pub enum Route {
    Nowhere,
    /// These partitions, each with its own reach.
    Partitions(Vec<(PartitionId, Reach)>),
    /// First the entries of a unique index in these partitions, which then name the rows.
    Unique {
        index: Arc<Index>,
        span: KeySpan,
        partitions: Vec<PartitionId>,
    },
}

/// `homes` are of the same conditions as the access.
pub fn route(
    table: &Table,
    access: &Access,
    homes: &Homes,
    ctx: &Context,
    partitions: u16,
) -> Result<Route> {
    let known = || homes_of(table, homes, ctx, partitions);
    match access {
        Access::Full | Access::Bitmap(_) => Ok(somewhere(known()?, partitions, &Reach::All)),
        Access::Each(_) => Err(Error::internal("an array of keys was not settled")),
        Access::Keys(keys) => keys_route(table, keys, ctx, partitions),
        Access::KeyRange(range) => {
            let parts = key_parts(table);
            let prefix = values(&range.prefix, ctx)?;
            let Some(span) = span(range, &prefix, &parts, ctx)? else {
                return Ok(Route::Nowhere);
            };
            let home = match table.partition_with(&table.primary_key, &prefix, partitions)? {
                Some(home) => Some([home].into()),
                None => known()?,
            };
            Ok(somewhere(home, partitions, &Reach::Range(span)))
        }
        Access::Index { index, range } => {
            index_route(table, (index, range), homes, ctx, partitions)
        }
    }
}

/// As `route`, of what changes rows. What one index, or the key, has for several ranges is asked for as such.
pub fn route_change(
    table: &Table,
    access: &Access,
    homes: &Homes,
    ctx: &Context,
    partitions: u16,
) -> Result<Route> {
    let Access::Bitmap(bitmap) = access else {
        return route(table, access, homes, ctx, partitions);
    };
    match spans(table, bitmap, ctx)? {
        Spans::Entries { spans, .. } if spans.is_empty() => Ok(Route::Nowhere),
        Spans::Entries { tree, spans } => {
            let homes = homes_of(table, homes, ctx, partitions)?;
            Ok(somewhere(
                homes,
                partitions,
                &Reach::Entries { tree, spans },
            ))
        }
        _ => route(table, access, homes, ctx, partitions),
    }
}

/// What of trees a bitmap is made of.
pub enum Spans {
    /// Of an index, or of the rows themselves.
    Entries {
        tree: TreeId,
        spans: Vec<KeySpan>,
    },
    And(Vec<Spans>),
    Or(Vec<Spans>),
}

pub fn spans(table: &Table, bitmap: &Bitmap, ctx: &Context) -> Result<Spans> {
    let each = |all: &[Bitmap]| -> Result<Vec<Spans>> {
        let each = all.iter().map(|b| spans(table, b, ctx));
        each.collect()
    };
    Ok(match bitmap {
        Bitmap::And(all) => Spans::And(each(all)?),
        Bitmap::Or(all) => Spans::Or(each(all)?),
        Bitmap::Entries { index, ranges } => {
            let parts: Vec<Part> = match index {
                Some(index) => {
                    let parts = index.parts.iter();
                    parts.map(|p| (p.ty(table), p.order())).collect()
                }
                None => key_parts(table),
            };
            let mut out = Vec::with_capacity(ranges.len());
            for range in ranges {
                let prefix = values(&range.prefix, ctx)?;
                out.extend(span(range, &prefix, &parts, ctx)?);
            }
            Spans::Entries {
                tree: index.as_ref().map_or(table.tree, |i| i.tree),
                spans: out,
            }
        }
    })
}

fn key_parts(table: &Table) -> Vec<Part> {
    let types = table.types_of(&table.primary_key).into_iter();
    types.map(|ty| (ty, Order::default())).collect()
}

/// The partitions in which a plan that runs in each may give rows.
pub fn partitions_of(plan: &Plan, ctx: &Context, partitions: u16) -> Result<BTreeSet<PartitionId>> {
    let all = || (0..partitions).map(PartitionId).collect();
    let of = |plan: &Plan| partitions_of(plan, ctx, partitions);
    Ok(match plan {
        Plan::Scan(scan) => match route(&scan.table, &scan.access, &scan.homes, ctx, partitions)? {
            Route::Nowhere => BTreeSet::new(),
            Route::Partitions(parts) => parts.into_iter().map(|(p, _)| p).collect(),
            Route::Unique { .. } => all(),
        },
        Plan::Join(join) => match join.kind {
            JoinKind::Inner | JoinKind::Semi => &of(&join.left)? & &of(&join.right)?,
            JoinKind::Left | JoinKind::Anti => of(&join.left)?,
            JoinKind::Right => of(&join.right)?,
            JoinKind::Full => &of(&join.left)? | &of(&join.right)?,
        },
        plan => match plan.inputs().as_slice() {
            [input] => of(input)?,
            _ => all(),
        },
    })
}

/// In these partitions, if it is known in which.
fn somewhere(homes: Option<BTreeSet<PartitionId>>, partitions: u16, reach: &Reach) -> Route {
    let parts: Vec<(PartitionId, Reach)> = match homes {
        Some(homes) => homes.into_iter().map(|p| (p, reach.clone())).collect(),
        None => (0..partitions)
            .map(|p| (PartitionId(p), reach.clone()))
            .collect(),
    };
    match parts.is_empty() {
        true => Route::Nowhere,
        false => Route::Partitions(parts),
    }
}

/// The partitions of these homes; `None`: they say nothing.
fn homes_of(
    table: &Table,
    homes: &Homes,
    ctx: &Context,
    partitions: u16,
) -> Result<Option<BTreeSet<PartitionId>>> {
    if homes.is_empty() {
        return Ok(None);
    }
    let mut out = BTreeSet::new();
    for home in homes {
        let values = values(home, ctx)?;
        if values.iter().any(Value::is_null) {
            continue;
        }
        match table.partition_placed(&values, partitions)? {
            Some(partition) => out.insert(partition),
            None => return Ok(None),
        };
    }
    Ok(Some(out))
}

fn keys_route(table: &Table, keys: &[Vec<Expr>], ctx: &Context, partitions: u16) -> Result<Route> {
    let types = table.types_of(&table.primary_key);
    let mut by_partition: BTreeMap<PartitionId, Vec<Vec<u8>>> = BTreeMap::new();
    for exprs in keys {
        let values = values(exprs, ctx)?;
        if values.iter().any(Value::is_null) {
            continue;
        }
        let mut bytes = Vec::new();
        key::encode(&values, &types, &mut bytes)?;
        by_partition
            .entry(table.partition_of_key(&bytes, partitions)?)
            .or_default()
            .push(bytes);
    }
    for keys in by_partition.values_mut() {
        // An IN list may name a key twice; its row is one all the same.
        keys.sort_unstable();
        keys.dedup();
    }
    if by_partition.is_empty() {
        return Ok(Route::Nowhere);
    }
    Ok(Route::Partitions(
        by_partition
            .into_iter()
            .map(|(p, keys)| (p, Reach::Keys(keys)))
            .collect(),
    ))
}

fn index_route(
    table: &Table,
    (index, range): (&Arc<Index>, &KeyRange),
    homes: &Homes,
    ctx: &Context,
    partitions: u16,
) -> Result<Route> {
    let parts = index.parts.iter().map(|p| (p.ty(table), p.order()));
    let prefix = values(&range.prefix, ctx)?;
    let Some(span) = span(range, &prefix, &parts.collect::<Vec<_>>(), ctx)? else {
        return Ok(Route::Nowhere);
    };
    if !index.unique {
        let columns = index.leading_columns();
        let home = match table.partition_with(&columns, &prefix, partitions)? {
            Some(home) => Some([home].into()),
            None => homes_of(table, homes, ctx, partitions)?,
        };
        let index = index.clone();
        return Ok(somewhere(home, partitions, &Reach::Index { index, span }));
    }
    // All columns given: the entry can be in one partition only.
    let partitions = if range.prefix.len() == index.parts.len() {
        vec![key::partition(&span.lower, partitions)]
    } else {
        (0..partitions).map(PartitionId).collect()
    };
    Ok(Route::Unique {
        index: index.clone(),
        span,
        partitions,
    })
}

/// What a part of a key is, and how it lies.
type Part = (DataType, Order);

/// The encoded bounds of a range; `None` when a NULL makes it empty.
fn span(
    range: &KeyRange,
    prefix_values: &[Value],
    parts: &[Part],
    ctx: &Context,
) -> Result<Option<KeySpan>> {
    if prefix_values.iter().any(Value::is_null) {
        return Ok(None);
    }
    let mut prefix = Vec::new();
    for (value, (ty, order)) in prefix_values.iter().zip(parts) {
        key::encode_ordered(value, *ty, *order, &mut prefix)?;
    }
    let next = parts.get(prefix_values.len()).copied();
    let (ty, order) = next.unwrap_or((DataType::Void, Order::default()));
    // What comes first in a descending part is bounded from above.
    let (first, last) = match order.descending {
        false => (&range.lower, &range.upper),
        true => (&range.upper, &range.lower),
    };
    if first.is_none() && last.is_none() {
        let upper = end_of(&prefix);
        return Ok(Some(KeySpan {
            lower: prefix,
            upper,
        }));
    }
    // A bound on one side alone must not run into the NULLs on the other.
    let mut present = prefix.clone();
    present.push(order.present());
    let mut out = KeySpan {
        upper: end_of(&present),
        lower: present,
    };
    if let Some((expr, inclusive)) = first {
        let Some(bytes) = bound(&prefix, expr, (ty, order), ctx)? else {
            return Ok(None);
        };
        out.lower = match inclusive {
            true => bytes,
            false => end_of(&bytes).unwrap_or(bytes),
        };
    }
    if let Some((expr, inclusive)) = last {
        let Some(bytes) = bound(&prefix, expr, (ty, order), ctx)? else {
            return Ok(None);
        };
        out.upper = match inclusive {
            true => end_of(&bytes),
            false => Some(bytes),
        };
    }
    Ok(Some(out))
}

fn bound(prefix: &[u8], expr: &Expr, (ty, order): Part, ctx: &Context) -> Result<Option<Vec<u8>>> {
    let value = eval::eval(expr, &[], &Env { ctx, outer: &[] })?;
    if value.is_null() {
        return Ok(None);
    }
    let mut bytes = prefix.to_vec();
    key::encode_ordered(&value, ty, order, &mut bytes)?;
    Ok(Some(bytes))
}

fn values(exprs: &[Expr], ctx: &Context) -> Result<Vec<Value>> {
    exprs
        .iter()
        .map(|e| eval::eval(e, &[], &Env { ctx, outer: &[] }))
        .collect()
}

/// The least byte string above every one that starts with `prefix`; `None` when there is none.
fn end_of(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut out = prefix.to_vec();
    while let Some(last) = out.last_mut() {
        if *last < 0xFF {
            *last += 1;
            return Some(out);
        }
        out.pop();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_prefix_is_above_all_that_start_with_it() {
        assert_eq!(end_of(&[1, 2]), Some(vec![1, 3]));
        assert_eq!(end_of(&[1, 0xFF, 0xFF]), Some(vec![2]));
        assert_eq!(end_of(&[0xFF]), None);
        assert_eq!(end_of(&[]), None);
    }
}
