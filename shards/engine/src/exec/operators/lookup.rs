//! Narrowing the right side of a join to the rows that a few left rows can match.
//!
//! Owns: turning the left rows' keys into exact keys, or ranges of the key or an index, of the right table's scan. Asked by: `hash_join`,
//! once it has seen all left rows and they are few. Never: changes which rows join; the join compares keys all the same.
//! Bounds: `LOOKUPS_MAX` different keys; with more the right table is read as planned.

use super::rows::RowSet;
use crate::catalog::Index;
use crate::catalog::statistics::Statistics;
use crate::plan::{Access, Bitmap, Expr, KeyRange, Scan};
use std::sync::Arc;
use types::{DataType, Row, Value};

pub(crate) const LOOKUPS_MAX: usize = 256;

/// A row that an index has found costs as much as several that a scan passes.
const FEW: f64 = 0.2;
/// Different values of a column of which nothing is known.
const UNKNOWN: f64 = 200.0;

/// The scan reading only rows whose `right_keys` (over its output) may equal one of `keys`.
///
/// `known`: what ANALYZE has found, by which an index that has too many rows for them is left alone.
pub(crate) fn narrow(
    scan: &Scan,
    right_keys: &[Expr],
    keys: &RowSet,
    known: Option<&Statistics>,
) -> Option<Scan> {
    let bare = matches!(scan.access, Access::Full) && scan.partial.is_none();
    let cut = scan.limit.is_some() || scan.top.is_some();
    if !bare || cut || keys.len() == 0 || keys.len() > LOOKUPS_MAX {
        return None;
    }
    let place = |column: &usize| {
        right_keys
            .iter()
            .position(|e| table_column(scan, e) == Some(*column))
    };
    let mut homes = scan.homes.clone();
    let access = match exact(scan, keys, &place) {
        Some(access) => access,
        None if keys.len() == 1 => {
            homes.extend(home(scan, keys.row(0), &place).filter(|_| homes.is_empty()));
            ranged(scan, keys.row(0), &place)?
        }
        None => {
            if homes.is_empty() {
                let each = (0..keys.len()).map(|at| home(scan, keys.row(at), &place));
                homes = each.collect::<Option<_>>().unwrap_or_default();
            }
            several(scan, keys, &place, known)?
        }
    };
    Some(Scan {
        access,
        homes,
        ..scan.clone()
    })
}

/// The table's column that an expression over the scan's output is.
fn table_column(scan: &Scan, e: &Expr) -> Option<usize> {
    let Expr::Column(at, _) = e else {
        return None;
    };
    match &scan.project {
        None => Some(*at),
        Some(exprs) => match exprs.get(*at)? {
            Expr::Column(column, _) => Some(*column),
            _ => None,
        },
    }
}

/// Every column of the primary key is joined on.
fn exact(scan: &Scan, keys: &RowSet, place: &dyn Fn(&usize) -> Option<usize>) -> Option<Access> {
    let table = &scan.table;
    let places = table.primary_key.iter().map(place);
    let places = places.collect::<Option<Vec<usize>>>()?;
    if places.is_empty() {
        return None;
    }
    let mut out = Vec::with_capacity(keys.len());
    for at in 0..keys.len() {
        let row = keys.row(at);
        let columns = places.iter().zip(&table.primary_key);
        let typed = columns.map(|(place, c)| fitted(&row[*place], table.columns[*c].ty));
        // A value that its column cannot hold matches nothing.
        match typed.collect::<Option<Vec<Fitted>>>()? {
            key if key.iter().any(|f| matches!(f, Fitted::Never)) => {}
            key => out.push(key.into_iter().filter_map(Fitted::constant).collect()),
        }
    }
    Some(Access::Keys(out))
}

/// What places the rows of one key, where that is joined on.
fn home(scan: &Scan, row: &Row, place: &dyn Fn(&usize) -> Option<usize>) -> Option<Vec<Expr>> {
    let table = &scan.table;
    let by = table.placed_by().iter();
    let value = |c: &usize| fitted(&row[place(c)?], table.columns[*c].ty)?.constant();
    let home: Vec<Expr> = by.map(value).collect::<Option<_>>()?;
    (table.has_key() && !home.is_empty()).then_some(home)
}

/// One key: an equality on the beginning of the primary key or of an index.
fn ranged(scan: &Scan, row: &Row, place: &dyn Fn(&usize) -> Option<usize>) -> Option<Access> {
    let table = &scan.table;
    let range = |columns: &[usize]| {
        let mut prefix = Vec::new();
        for column in columns {
            let value = place(column).and_then(|at| fitted(&row[at], table.columns[*column].ty));
            match value.and_then(Fitted::constant) {
                Some(e) => prefix.push(e),
                None => break,
            }
        }
        (!prefix.is_empty()).then_some(KeyRange {
            prefix,
            lower: None,
            upper: None,
            backward: false,
        })
    };
    if let Some(range) = range(&table.primary_key) {
        return Some(Access::KeyRange(range));
    }
    table.valid_indexes().find_map(|index| {
        // Entries of a partial index may be missing.
        let columns = index.predicate.is_none().then(|| index.columns())??;
        let range = range(&columns)?;
        let index = index.clone();
        Some(Access::Index { index, range })
    })
}

/// Several keys: what the primary key, or an index that is not unique, has for them in its first columns.
fn several(
    scan: &Scan,
    keys: &RowSet,
    place: &dyn Fn(&usize) -> Option<usize>,
    known: Option<&Statistics>,
) -> Option<Access> {
    let table = &scan.table;
    // The part of all rows that they have, taken alone from the column that says most.
    let is_few = |columns: &[usize]| {
        let Some(known) = known else { return true };
        let distinct = |c: &usize| match known.columns.get(*c).map(|k| f64::from(k.distinct)) {
            Some(part) if part < 0.0 => -part * known.rows as f64,
            Some(values) if values > 0.0 => values,
            _ => UNKNOWN,
        };
        let most = columns.iter().map(distinct).fold(1.0, f64::max);
        keys.len() as f64 / most <= FEW
    };
    let joined = |columns: &[usize]| -> Vec<(usize, DataType)> {
        let each = columns.iter();
        each.map_while(|c| Some((place(c)?, table.columns.get(*c)?.ty)))
            .collect()
    };
    let ranges = |columns: &[(usize, DataType)]| -> Option<Vec<KeyRange>> {
        let mut out = Vec::with_capacity(keys.len());
        for at in 0..keys.len() {
            let row = keys.row(at);
            let typed = columns.iter().map(|(place, ty)| fitted(&row[*place], *ty));
            match typed.collect::<Option<Vec<Fitted>>>()? {
                key if key.iter().any(|f| matches!(f, Fitted::Never)) => {}
                key => out.push(KeyRange {
                    prefix: key.into_iter().filter_map(Fitted::constant).collect(),
                    ..KeyRange::default()
                }),
            }
        }
        Some(out)
    };
    let few = |columns: &[usize]| {
        let used = columns.iter().take_while(|c| place(c).is_some());
        is_few(&used.copied().collect::<Vec<_>>())
    };
    let primary = match few(&table.primary_key) {
        true => joined(&table.primary_key),
        false => Vec::new(),
    };
    let plain = |i: &&Arc<Index>| !i.unique && i.predicate.is_none();
    let indexes = table.valid_indexes().filter(plain);
    let by_index = indexes.filter_map(|i| {
        let columns = i.columns().filter(|c| few(c))?;
        Some((Some(i), joined(&columns)))
    });
    let best = std::iter::once((None, primary)).chain(by_index);
    let (index, columns) = best.max_by_key(|(i, columns)| (columns.len(), i.is_none()))?;
    if columns.is_empty() {
        return None;
    }
    let ranges = ranges(&columns)?;
    Some(match ranges.is_empty() {
        true => Access::Keys(Vec::new()),
        false => Access::Bitmap(Bitmap::Entries {
            index: index.cloned(),
            ranges,
        }),
    })
}

pub(super) enum Fitted {
    Constant(Value, DataType),
    Never,
}

impl Fitted {
    pub(super) fn constant(self) -> Option<Expr> {
        match self {
            Fitted::Constant(value, ty) => Some(Expr::Const(value, ty)),
            Fitted::Never => None,
        }
    }
}

/// The value in the form that the column stores; `None` where the forms are not known to agree.
pub(super) fn fitted(value: &Value, ty: DataType) -> Option<Fitted> {
    let converted = match (ty, value) {
        (_, Value::Null) => None,
        (DataType::Int2, v) => i16::try_from(v.as_i64()?).ok().map(Value::Int2),
        (DataType::Int4, v) => i32::try_from(v.as_i64()?).ok().map(Value::Int4),
        (DataType::Int8, v) => Some(Value::Int8(v.as_i64()?)),
        (DataType::Text | DataType::Varchar, Value::Text(_))
        | (DataType::Uuid, Value::Uuid(_))
        | (DataType::Inet | DataType::Cidr, Value::Inet(_))
        | (DataType::Macaddr, Value::Macaddr(_))
        | (DataType::Macaddr8, Value::Macaddr8(_))
        | (DataType::Date, Value::Date(_))
        | (DataType::Bytea, Value::Bytea(_))
        | (DataType::Numeric, Value::Numeric(_))
        | (DataType::Timestamp, Value::Timestamp(_))
        | (DataType::Timestamptz, Value::Timestamptz(_)) => Some(value.clone()),
        _ => return None,
    };
    Some(converted.map_or(Fitted::Never, |v| Fitted::Constant(v, ty)))
}
