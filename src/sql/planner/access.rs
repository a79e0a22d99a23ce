//! How a scan, an UPDATE or a DELETE finds its rows.
//!
//! Owns: reading conditions as bounds on key columns and choosing between exact keys, a range of the primary key, a
//! secondary index and all rows. Asked by: `push_filter` for scans, `planner` for UPDATE and DELETE. Never: drops a
//! condition, except equalities that exact keys imply: rows found are checked again.
//! An index with a predicate counts where the conditions imply it. A bound has the column's own type; a wider integer is narrowed
//! when it is known: to NULL, or to the nearest value where a range ends there.
//! Where equalities say in which partitions the rows can be, that is kept beside the access (`Homes`).
//! Bounds: `KEYS_MAX` exact keys; with more the primary key's range or a full scan is used. `HOMES_MAX` homes.

use super::conjuncts::{join, split};
use super::estimate::{DISTINCT, Estimator, selectivity};
use super::implied::implies;
use super::rename::{has_subquery, is_row_free};
use super::{bitmap, cost};
use crate::bind::walk::same;
use engine::catalog::{Index, KeyPart, PartOf, Table};
use engine::exec::functions::{ANY_ENUM, KEYS, LIMITS, by_name, is_narrowed};
use engine::plan::{Access, Comparison, Each, Expr, FuncRef, Homes, KeyRange, Scan};
use std::sync::Arc;
use types::{DataType, Value};

/// Elements of an array that is not known yet, as PostgreSQL supposes.
const ELEMENTS: f64 = 10.0;

/// Exact keys of one statement: each costs a lookup.
const KEYS_MAX: usize = 1_024;

/// Values of what places the rows: of more, all partitions are asked.
const HOMES_MAX: usize = 64;

/// How rows are found.
pub(super) struct Found {
    pub(super) access: Access,
    pub(super) homes: Homes,
    /// What of the conditions still has to be checked.
    pub(super) filter: Option<Expr>,
}

pub(super) fn choose_for_scan(scan: &mut Scan, on: &Estimator) {
    if !matches!(scan.access, Access::Full) {
        return;
    }
    let found = find(&scan.table, scan.filter.take(), true, on);
    (scan.access, scan.homes, scan.filter) = (found.access, found.homes, found.filter);
}

/// The access of what changes rows by these conditions.
pub(super) fn choose(table: &Table, filter: Option<Expr>, on: &Estimator) -> Found {
    find(table, filter, false, on)
}

/// `several`: indexes may be looked at together.
fn find(table: &Table, filter: Option<Expr>, several: bool, on: &Estimator) -> Found {
    let conditions: Vec<Expr> = filter.into_iter().flat_map(split).collect();
    let bounds = bounds(table, &conditions);
    let homes = homes(table, &bounds);
    if let Some((keys, implied)) = exact_keys(table, &bounds) {
        let kept = conditions.into_iter().enumerate();
        let kept = kept.filter(|(at, _)| !implied.contains(at));
        return Found {
            access: Access::Keys(keys),
            homes,
            filter: join(kept.map(|(_, c)| c).collect()),
        };
    }
    let (mut access, least) = match on.knows(table) {
        true => cheapest(table, &conditions, &bounds, on),
        false => longest(table, &conditions, &bounds, on),
    };
    let mut least = least;
    if let Some((each, cost)) = each(table, &conditions, on)
        && (cost < least || matches!(access, Access::Full) && !on.knows(table))
    {
        (access, least) = (Access::Each(each), cost);
    }
    if let Some((bitmap, cost)) = bitmap::choose(table, &conditions, several, on)
        && cost < least
    {
        access = Access::Bitmap(bitmap);
    }
    Found {
        access,
        homes,
        filter: join(conditions),
    }
}

/// What the conditions say of columns, and of expressions that indexes have.
pub(super) fn bounds<'e>(table: &Table, conditions: &'e [Expr]) -> Vec<Bound<'e>> {
    let numbered = conditions.iter().enumerate();
    numbered.filter_map(|(at, c)| bound(c, table, at)).collect()
}

/// By what ANALYZE has found: the fewest rows to visit, where one found by an index counts for several of a full scan; and what
/// that costs.
fn cheapest(table: &Table, conditions: &[Expr], bounds: &[Bound], on: &Estimator) -> (Access, f64) {
    let all = on.table(table);
    let guessed = on.guessed(conditions.to_vec());
    let part = |range: &KeyRange, parts: &[KeyPart]| {
        selectivity(&of_range(range, parts, bounds, &guessed), &all) * all.rows
    };
    let mut best = Access::Full;
    let mut least = all.rows * cost::VISIT;
    let key = ascending(&table.primary_key);
    let primary = key_range(&key, bounds);
    if is_bounded(&primary) {
        // It can cost no more than everything.
        least = part(&primary, &key) * cost::VISIT;
        best = Access::KeyRange(primary);
    }
    for index in usable(table, conditions) {
        let range = key_range(&index.parts, bounds);
        let mut found = match (is_bounded(&range), &index.predicate) {
            (true, _) => part(&range, &index.parts),
            (false, Some(_)) => all.rows,
            (false, None) => continue,
        };
        if let Some(predicate) = &index.predicate {
            found *= selectivity(&split(predicate.expr.clone()), &all);
        }
        let cost = found * cost::FETCH;
        if cost < least {
            least = cost;
            let index = index.clone();
            best = Access::Index { index, range };
        }
    }
    (best, least)
}

/// The conditions that a range of these parts sees to.
pub(super) fn of_range(
    range: &KeyRange,
    parts: &[KeyPart],
    bounds: &[Bound],
    conditions: &[Expr],
) -> Vec<Expr> {
    let used = parts.get(..=range.prefix.len()).unwrap_or(parts);
    let counts = |b: &&Bound| used.iter().any(|p| b.of.is(p));
    let seen_to = bounds.iter().filter(counts);
    seen_to.map(|b| conditions[b.at].clone()).collect()
}

/// `key = ANY ($1)`: which elements there are is known when it runs.
fn each(table: &Table, conditions: &[Expr], on: &Estimator) -> Option<(Each, f64)> {
    let all = on.table(table);
    let mut best: Option<(Each, f64)> = None;
    for c in conditions {
        let Expr::ArrayQuantified {
            left,
            op,
            array,
            all: false,
        } = c
        else {
            continue;
        };
        let Some((Comparison::Eq, left_ty, element)) = op.comparison_between() else {
            continue;
        };
        let Some(of) = subject(left, settled(left_ty, left), table) else {
            continue;
        };
        let given = is_row_free(array) && !array.is_volatile();
        if !given || !is_settled_as(element, of.ty(table)) {
            continue;
        }
        let elements = match &**array {
            Expr::Array(items, _) => items.len() as f64,
            _ => ELEMENTS,
        };
        let mut consider = |index: Option<&Arc<Index>>, cost: f64| {
            if best.as_ref().is_none_or(|(_, least)| cost < *least) {
                let array = (**array).clone();
                let index = index.cloned();
                best = Some((Each { index, array }, cost));
            }
        };
        let key = ascending(&table.primary_key);
        if let [part] = key.as_slice()
            && of.is(part)
        {
            consider(None, elements * cost::LOOKUP);
        }
        for index in usable(table, conditions).filter(|i| !i.unique) {
            if index.parts.first().is_some_and(|p| of.is(p)) {
                let one = match of {
                    Subject::Column(at) => all.columns.get(at).map_or(1.0, |c| 1.0 / c.distinct),
                    Subject::Expr(_) => 1.0 / DISTINCT,
                };
                let rows = elements * one * all.rows;
                consider(Some(index), rows * (cost::ENTRY + cost::FETCH_IN_ORDER));
            }
        }
    }
    best
}

/// Whether an array's element becomes a key of the column when it is known (`exec::operators::settle`).
fn is_settled_as(element: DataType, column: DataType) -> bool {
    use DataType::{Bytea, Date, Inet, Macaddr, Macaddr8, Numeric, Timestamp, Timestamptz, Uuid};
    let alike = element == column
        && matches!(
            column,
            Bytea | Date | Numeric | Timestamp | Timestamptz | Uuid | Inet | Macaddr | Macaddr8
        );
    alike || element.is_integer() && column.is_integer() || same_form(element, column)
}

pub(super) fn is_bounded(range: &KeyRange) -> bool {
    !range.prefix.is_empty() || range.lower.is_some() || range.upper.is_some()
}

/// By how much the conditions say, where nothing is known of the rows. Nothing is cheaper, but than reading all of them.
fn longest(table: &Table, conditions: &[Expr], bounds: &[Bound], on: &Estimator) -> (Access, f64) {
    let primary = key_range(&ascending(&table.primary_key), bounds);
    let mut best_score = score(&primary, true);
    let mut best = (best_score > 0).then_some(Access::KeyRange(primary));
    for index in usable(table, conditions) {
        let range = key_range(&index.parts, bounds);
        let unique = index.unique && range.prefix.len() == index.parts.len();
        // That a predicate holds says as much as a bound on both sides, and is sure to leave rows out.
        let partial = if index.predicate.is_some() { 2 } else { 0 };
        let score = score(&range, false) + partial + if unique { 100 } else { 0 };
        if score > best_score {
            best_score = score;
            let index = index.clone();
            best = Some(Access::Index { index, range });
        }
    }
    match best {
        Some(access) => (access, 0.0),
        None => (Access::Full, on.table(table).rows * cost::VISIT),
    }
}

pub(super) fn ascending(columns: &[usize]) -> Vec<KeyPart> {
    columns.iter().map(|c| KeyPart::ascending(*c)).collect()
}

/// Indexes with an entry for every row that the conditions want.
pub(super) fn usable<'t>(
    table: &'t Table,
    conditions: &[Expr],
) -> impl Iterator<Item = &'t Arc<Index>> {
    let complete = |i: &&Arc<Index>| match &i.predicate {
        Some(predicate) => implies(conditions, &predicate.expr),
        None => true,
    };
    table.valid_indexes().filter(complete)
}

/// Zero is not worth it. A one-sided range pays only in the primary key, whose rows lie in its order.
fn score(range: &KeyRange, primary: bool) -> usize {
    let bounds = usize::from(range.lower.is_some()) + usize::from(range.upper.is_some());
    let score = range.prefix.len() * 4 + bounds;
    match (primary, score) {
        (false, 0 | 1) => 0,
        // At the same length the primary key saves the second lookup.
        (true, 1..) => score + 1,
        _ => score,
    }
}

/// A condition on a column, or on what an index has an expression for.
pub(super) struct Bound<'e> {
    pub(super) of: Subject<'e>,
    /// Which condition.
    pub(super) at: usize,
    pub(super) kind: BoundKind,
}

#[derive(Clone, Copy)]
pub(super) enum Subject<'e> {
    Column(usize),
    Expr(&'e Expr),
}

impl Subject<'_> {
    pub(super) fn is(&self, part: &KeyPart) -> bool {
        match (self, &part.of) {
            (Subject::Column(c), PartOf::Column(p)) => c == p,
            (Subject::Expr(e), PartOf::Expr(p)) => same(e, &p.expr),
            (Subject::Column(_), PartOf::Expr(_)) | (Subject::Expr(_), PartOf::Column(_)) => false,
        }
    }

    fn equals(&self, other: &Subject) -> bool {
        match (self, other) {
            (Subject::Column(a), Subject::Column(b)) => a == b,
            (Subject::Expr(a), Subject::Expr(b)) => same(a, b),
            (Subject::Column(_), Subject::Expr(_)) | (Subject::Expr(_), Subject::Column(_)) => {
                false
            }
        }
    }

    fn ty(&self, table: &Table) -> DataType {
        match self {
            Subject::Column(c) => table.columns.get(*c).map_or(DataType::Void, |c| c.ty),
            Subject::Expr(e) => e.ty(),
        }
    }
}

pub(super) enum BoundKind {
    /// Equal to one of these.
    Equal(Vec<Expr>),
    Lower(Expr, bool),
    Upper(Expr, bool),
}

pub(super) fn bound<'e>(c: &'e Expr, table: &Table, at: usize) -> Option<Bound<'e>> {
    match c {
        Expr::Call { func, args, .. } => {
            let (comparison, left_ty, right_ty) =
                func.comparison_between().or_else(|| of_moments(*func))?;
            let [left, right] = args.as_slice() else {
                return None;
            };
            let (left_ty, right_ty) = (settled(left_ty, left), settled(right_ty, right));
            let (of, e, comparison) = match subject(left, left_ty, table) {
                Some(of) if is_row_free(right) => (of, right, comparison),
                _ => (subject(right, right_ty, table)?, left, comparison.flip()),
            };
            let ty = of.ty(table);
            let lower = |(e, too)| BoundKind::Lower(e, too);
            let upper = |(e, too)| BoundKind::Upper(e, too);
            let kind = match comparison {
                Comparison::Eq => BoundKind::Equal(vec![fitted(e, ty)?]),
                Comparison::Lt => upper(limit(e, ty, false)?),
                Comparison::Le => upper(limit(e, ty, true)?),
                Comparison::Gt => lower(limit(e, ty, false)?),
                Comparison::Ge => lower(limit(e, ty, true)?),
                Comparison::Ne => return None,
            };
            Some(Bound { of, at, kind })
        }
        Expr::InList {
            expr,
            items,
            eq,
            negated: false,
        } => {
            let (Comparison::Eq, ty, _) = eq.comparison_between()? else {
                return None;
            };
            let of = subject(expr, settled(ty, expr), table)?;
            let items = items.iter().map(|e| fitted(e, of.ty(table)));
            let kind = BoundKind::Equal(items.collect::<Option<Vec<_>>>()?);
            Some(Bound { of, at, kind })
        }
        Expr::ArrayQuantified {
            left,
            op,
            array,
            all: false,
        } => {
            let (Comparison::Eq, ty, element) = op.comparison_between()? else {
                return None;
            };
            let of = subject(left, settled(ty, left), table)?;
            let to = of.ty(table);
            let items = match &**array {
                Expr::Array(items, _) => items.iter().map(|e| fitted(e, to)).collect(),
                Expr::Const(Value::Array(known), _) => {
                    let items = known.items.iter();
                    let typed = items.map(|v| fitted(&Expr::Const(v.clone(), element), to));
                    typed.collect::<Option<Vec<_>>>()
                }
                _ => None,
            };
            let kind = BoundKind::Equal(items?);
            Some(Bound { of, at, kind })
        }
        Expr::Or(items) => any_equal(items, table, at).or_else(|| in_order(items, table, at)),
        _ => None,
    }
}

/// `a = 1 OR a = 2`.
fn any_equal<'e>(items: &'e [Expr], table: &Table, at: usize) -> Option<Bound<'e>> {
    let mut of: Option<Subject<'e>> = None;
    let mut all = Vec::new();
    for item in items {
        let bound = bound(item, table, at)?;
        let BoundKind::Equal(values) = bound.kind else {
            return None;
        };
        if !of.get_or_insert(bound.of).equals(&bound.of) {
            return None;
        }
        all.extend(values);
    }
    let kind = BoundKind::Equal(all);
    Some(Bound { of: of?, at, kind })
}

/// `(a, b) > (1, 2)`, which the binder makes `a > 1 OR (a = 1 AND b > 2)` of: `a >= 1`.
fn in_order<'e>(items: &'e [Expr], table: &Table, at: usize) -> Option<Bound<'e>> {
    let mut found: Option<(Subject<'e>, Expr, bool)> = None;
    for item in items {
        let first = match item {
            Expr::And(both) => both.first()?,
            single => single,
        };
        let Bound { of, kind, .. } = bound(first, table, at)?;
        let (value, lower) = match kind {
            BoundKind::Lower(e, _) => (e, Some(true)),
            BoundKind::Upper(e, _) => (e, Some(false)),
            BoundKind::Equal(mut values) if values.len() == 1 => (values.pop()?, None),
            BoundKind::Equal(_) => return None,
        };
        match &found {
            None => found = Some((of, value, lower?)),
            Some((known, limit, is_lower)) => {
                let fits = known.equals(&of) && same(given(limit), given(&value));
                if !fits || lower.is_some_and(|l| l != *is_lower) {
                    return None;
                }
            }
        }
    }
    let (of, limit, is_lower) = found?;
    let kind = match is_lower {
        true => BoundKind::Lower(limit, true),
        false => BoundKind::Upper(limit, true),
    };
    Some(Bound { of, at, kind })
}

/// A comparison of enums is of the one that its operands are.
fn settled(ty: DataType, operand: &Expr) -> DataType {
    if ty == ANY_ENUM { operand.ty() } else { ty }
}

/// The table's column under a comparison over type `ty`, where comparing it as that type keeps its order.
fn key_column(e: &Expr, ty: DataType, table: &Table) -> Option<usize> {
    let column = match e {
        Expr::Column(column, _) => *column,
        Expr::Cast {
            expr, typmod: -1, ..
        } => match &**expr {
            Expr::Column(column, from) if widens(*from, ty) => *column,
            _ => return None,
        },
        _ => return None,
    };
    (column < table.columns.len()).then_some(column)
}

/// What a comparison over type `ty` is about.
fn subject<'e>(e: &'e Expr, ty: DataType, table: &Table) -> Option<Subject<'e>> {
    if let Some(column) = key_column(e, ty, table) {
        return Some(Subject::Column(column));
    }
    if is_row_free(e) || !has_expressions(table) {
        return None;
    }
    Some(Subject::Expr(match e {
        Expr::Cast {
            expr,
            typmod: -1,
            explicit: false,
            ..
        } if widens(expr.ty(), ty) => expr,
        e => e,
    }))
}

fn has_expressions(table: &Table) -> bool {
    let mut parts = table.valid_indexes().flat_map(|i| &i.parts);
    parts.any(|p| p.column().is_none())
}

/// Each value of `from` is the same value of `to`, in the same order.
fn widens(from: DataType, to: DataType) -> bool {
    use DataType::{Cidr, Inet, Int2, Int4, Int8, Numeric, Text, Varchar};
    matches!(
        (from, to),
        (Int2, Int4 | Int8 | Numeric)
            | (Int4, Int8 | Numeric)
            | (Int8, Numeric)
            | (Varchar, Text)
            | (Text, Varchar)
            | (Cidr, Inet)
    )
}

/// The other side as the value of the column's type that is equal to it; `None` where the types are not known to agree.
fn fitted(e: &Expr, ty: DataType) -> Option<Expr> {
    converted(e, ty).or_else(|| narrow(e, ty, &KEYS))
}

/// The other side as where a range of the column's type begins or ends, and whether that counts too.
fn limit(e: &Expr, ty: DataType, too: bool) -> Option<(Expr, bool)> {
    match converted(e, ty) {
        Some(e) => Some((e, too)),
        None => narrow(e, ty, &LIMITS).map(|e| (e, true)),
    }
}

/// An integer that may be too wide for the column.
fn narrow(e: &Expr, ty: DataType, functions: &[&str; 2]) -> Option<Expr> {
    let name = match ty {
        DataType::Int2 => functions[0],
        DataType::Int4 => functions[1],
        _ => return None,
    };
    let fits = e.ty().is_integer() && is_row_free(e) && !e.is_volatile();
    fits.then_some(Expr::Call {
        func: FuncRef(by_name(name)?),
        args: vec![e.clone()],
        ty,
    })
}

/// What was narrowed.
fn given(e: &Expr) -> &Expr {
    match e {
        Expr::Call { func, args, .. } if is_narrowed(func.0.name) => args.first().unwrap_or(e),
        e => e,
    }
}

/// The same value in the column's type; `None` where that might change it.
fn converted(e: &Expr, ty: DataType) -> Option<Expr> {
    if !is_row_free(e) || e.is_volatile() {
        return None;
    }
    if e.ty() == ty || same_form(e.ty(), ty) {
        return Some(e.clone());
    }
    match e {
        // int4 column, int4 parameter, compared as int8.
        Expr::Cast { expr, to, .. } if expr.ty() == ty && widens(ty, *to) => Some((**expr).clone()),
        Expr::Const(value, _) if ty.is_integer() => narrowed(value, ty).map(|v| Expr::Const(v, ty)),
        e if widens(e.ty(), ty) || is_moment_of(e.ty(), ty) => Some(Expr::Cast {
            expr: Box::new(e.clone()),
            to: ty,
            typmod: -1,
            explicit: false,
        }),
        _ => None,
    }
}

/// A comparison of dates and times of two types.
fn of_moments(func: FuncRef) -> Option<(Comparison, DataType, DataType)> {
    let [left, right] = *func.0.args else {
        return None;
    };
    let mixed = is_moment_of(left, right) || is_moment_of(right, left);
    let comparison = Comparison::of_operator(func.0.operator)?;
    mixed.then_some((comparison, left, right))
}

/// A date or a time without a zone, compared with one that has it, is the moment that it is in the session's zone.
fn is_moment_of(from: DataType, to: DataType) -> bool {
    use DataType::{Date, Timestamp, Timestamptz};
    matches!(
        (from, to),
        (Date, Timestamp | Timestamptz) | (Timestamp, Timestamptz)
    )
}

fn same_form(a: DataType, b: DataType) -> bool {
    use DataType::{Cidr, Inet, Text, Varchar};
    matches!(
        (a, b),
        (Text | Varchar, Text | Varchar) | (Inet | Cidr, Inet | Cidr)
    )
}

fn narrowed(value: &Value, ty: DataType) -> Option<Value> {
    let n = match value {
        Value::Null => return Some(Value::Null),
        Value::Numeric(n) => n.as_integer()?,
        value => value.as_i64()?,
    };
    match ty {
        DataType::Int2 => i16::try_from(n).ok().map(Value::Int2),
        DataType::Int4 => i32::try_from(n).ok().map(Value::Int4),
        DataType::Int8 => Some(Value::Int8(n)),
        _ => None,
    }
}

/// Every column of the primary key is equal to something; and the conditions that say so.
fn exact_keys(table: &Table, bounds: &[Bound]) -> Option<(Vec<Vec<Expr>>, Vec<usize>)> {
    if !table.has_key() {
        return None;
    }
    combined(&table.primary_key, bounds, KEYS_MAX)
}

/// What places the rows is equal to something, without a subquery: those are run once, for the filter.
fn homes(table: &Table, bounds: &[Bound]) -> Homes {
    if !table.has_key() {
        return Homes::new();
    }
    let known = combined(table.placed_by(), bounds, HOMES_MAX);
    let homes = known.map(|(homes, _)| homes).unwrap_or_default();
    match homes.iter().flatten().any(has_subquery) {
        true => Homes::new(),
        false => homes,
    }
}

/// Each of these columns is equal to something: all combinations, `most` of them, and the conditions that say so.
fn combined(
    columns: &[usize],
    bounds: &[Bound],
    most: usize,
) -> Option<(Vec<Vec<Expr>>, Vec<usize>)> {
    let mut keys: Vec<Vec<Expr>> = vec![Vec::new()];
    let mut implied = Vec::new();
    for column in columns {
        let (at, values) = fewest(bounds, &KeyPart::ascending(*column))?;
        if keys.len().saturating_mul(values.len()) > most {
            return None;
        }
        implied.push(at);
        let extended = keys.iter().flat_map(|key| {
            values.iter().map(|v| {
                let mut key = key.clone();
                key.push(v.clone());
                key
            })
        });
        keys = extended.collect();
    }
    Some((keys, implied))
}

/// The equality with the fewest alternatives.
pub(super) fn fewest<'b>(bounds: &'b [Bound], part: &KeyPart) -> Option<(usize, &'b Vec<Expr>)> {
    let equal = bounds.iter().filter(|b| b.of.is(part));
    let equal = equal.filter_map(|b| match &b.kind {
        BoundKind::Equal(values) => Some((b.at, values)),
        _ => None,
    });
    equal.min_by_key(|(_, values)| values.len())
}

/// Equalities on the first parts, then bounds on the next one.
pub(super) fn key_range(parts: &[KeyPart], bounds: &[Bound]) -> KeyRange {
    let mut range = KeyRange::default();
    for part in parts {
        let single = fewest(bounds, part).filter(|(_, values)| values.len() == 1);
        if let Some((_, values)) = single {
            range.prefix.extend(values.iter().cloned());
            continue;
        }
        for b in bounds.iter().filter(|b| b.of.is(part)) {
            match &b.kind {
                BoundKind::Lower(e, inclusive) if range.lower.is_none() => {
                    range.lower = Some((e.clone(), *inclusive));
                }
                BoundKind::Upper(e, inclusive) if range.upper.is_none() => {
                    range.upper = Some((e.clone(), *inclusive));
                }
                _ => {}
            }
        }
        break;
    }
    range
}
