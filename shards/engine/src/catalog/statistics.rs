//! What ANALYZE knows of a table: how many rows, and of each column its nulls, widths, distinct and common values.
//!
//! Owns: the estimates and how they follow from a sample. Asked by: ANALYZE, `pg_class` and `pg_stats`.
//! Never: reads a table. Bounds: `TARGET` common values and as many bounds a column, values of at most `WIDTH_MAX` bytes.
//! Source: PostgreSQL 15, analyze.c (`compute_scalar_stats`); Haas and Stokes 1998 for the number of distinct values.

use super::Table;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use types::{DataType, Row, Value, order};

/// Common values, and bounds of the histogram, at the most: PostgreSQL's `default_statistics_target`.
pub const TARGET: usize = 100;
/// Rows of a sample over all partitions, as PostgreSQL's.
pub const SAMPLE_ROWS: usize = 300 * TARGET;
/// Wider values count as wide and not null, and no more.
pub const WIDTH_MAX: usize = 1_024;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Statistics {
    pub rows: u64,
    /// In the table's order.
    pub columns: Vec<ColumnStatistics>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ColumnStatistics {
    pub null_frac: f32,
    /// Average, in bytes.
    pub width: u32,
    /// As PostgreSQL's `n_distinct`: negative is a share of the rows.
    pub distinct: f32,
    /// With the share of the rows that each has, most common first.
    pub common: Vec<(Value, f32)>,
    /// Divide the other values into parts of the same size.
    pub bounds: Vec<Value>,
}

impl Statistics {
    /// From a random sample of a table of `rows` rows.
    pub fn of(table: &Table, rows: u64, sample: &[Row]) -> Statistics {
        let column = |(n, c): (usize, &super::ColumnDef)| {
            let values = sample.iter().filter_map(|row| row.get(n));
            of_column(c.ty, rows, sample.len(), values)
        };
        Statistics {
            rows,
            columns: table.columns.iter().enumerate().map(column).collect(),
        }
    }
}

fn of_column<'a>(
    ty: DataType,
    rows: u64,
    sampled: usize,
    values: impl Iterator<Item = &'a Value>,
) -> ColumnStatistics {
    let mut narrow: Vec<&Value> = Vec::new();
    let (mut nulls, mut wide, mut width) = (0usize, 0usize, 0usize);
    for value in values {
        match value.memory().saturating_sub(size_of::<Value>()) {
            _ if value.is_null() => nulls += 1,
            bytes if bytes > WIDTH_MAX => {
                wide += 1;
                width += bytes;
            }
            bytes => {
                width += if bytes == 0 { 8 } else { bytes };
                narrow.push(value);
            }
        }
    }
    if sampled == 0 || nulls == sampled {
        return ColumnStatistics {
            null_frac: if sampled == 0 { 0.0 } else { 1.0 },
            ..ColumnStatistics::default()
        };
    }
    narrow.sort_unstable_by(|a, b| order::compare_as(ty, a, b));
    let runs = runs(ty, &narrow);
    let not_null = sampled - nulls;
    let share = |n: usize| n as f32 / sampled as f32;
    let common = common(&runs, narrow.len(), wide, share);
    ColumnStatistics {
        null_frac: share(nulls),
        width: (width / not_null) as u32,
        distinct: distinct(&runs, wide, not_null, sampled, rows),
        bounds: bounds(ty, &narrow, &common),
        common,
    }
}

/// Equal values of a sorted sample: the first of them, and how many there are.
fn runs<'a>(ty: DataType, sorted: &[&'a Value]) -> Vec<(&'a Value, usize)> {
    let mut runs: Vec<(&Value, usize)> = Vec::new();
    for value in sorted {
        match runs.last_mut() {
            Some((last, n)) if order::compare_as(ty, last, value) == Ordering::Equal => *n += 1,
            _ => runs.push((value, 1)),
        }
    }
    runs
}

fn distinct(
    runs: &[(&Value, usize)],
    wide: usize,
    not_null: usize,
    sampled: usize,
    rows: u64,
) -> f32 {
    let rows = rows.max(sampled as u64) as f64;
    let live = rows * not_null as f64 / sampled as f64;
    // Wide values are taken to be different from each other.
    let once = runs.iter().filter(|(_, n)| *n == 1).count() + wide;
    let seen = runs.len() + wide;
    if once == not_null {
        return -(not_null as f32 / sampled as f32);
    }
    let estimate = if once == 0 {
        seen as f64
    } else {
        let (n, d, f1) = (not_null as f64, seen as f64, once as f64);
        (n * d / (n - f1 + f1 * n / live)).clamp(d, live)
    };
    match estimate > 0.1 * rows {
        true => -(estimate / rows) as f32,
        false => estimate.round() as f32,
    }
}

/// Those that are clearly more common than the average; all there are when they are few.
fn common(
    runs: &[(&Value, usize)],
    narrow: usize,
    wide: usize,
    share: impl Fn(usize) -> f32,
) -> Vec<(Value, f32)> {
    let mut often: Vec<_> = runs.iter().filter(|(_, n)| *n > 1).collect();
    let complete = runs.len() <= TARGET && often.len() == runs.len() && wide == 0;
    if !complete {
        let average = narrow as f64 / runs.len().max(1) as f64;
        often.retain(|(_, n)| *n as f64 > average * 1.25);
    }
    often.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    let common = often.into_iter().take(TARGET);
    common.map(|(v, n)| ((*v).clone(), share(*n))).collect()
}

fn bounds(ty: DataType, sorted: &[&Value], common: &[(Value, f32)]) -> Vec<Value> {
    let is_common = |v: &Value| {
        let same = |c: &(Value, f32)| order::compare_as(ty, &c.0, v) == Ordering::Equal;
        common.iter().any(same)
    };
    let rest: Vec<&Value> = sorted.iter().copied().filter(|v| !is_common(v)).collect();
    let different = runs(ty, &rest).len();
    if different < 2 {
        return Vec::new();
    }
    let parts = (different - 1).min(TARGET);
    (0..=parts)
        .filter_map(|i| rest.get(i * (rest.len() - 1) / parts))
        .map(|v| (*v).clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(values: &[Value], rows: u64) -> ColumnStatistics {
        of_column(DataType::Int4, rows, values.len(), values.iter())
    }

    #[test]
    fn a_unique_column_has_as_many_values_as_rows_and_even_bounds() {
        let values: Vec<Value> = (0..10_000).map(Value::Int4).collect();
        let s = column(&values, 1_000_000);
        assert_eq!((s.distinct, s.null_frac), (-1.0, 0.0));
        assert!(s.common.is_empty());
        assert_eq!(s.bounds.len(), TARGET + 1);
        assert_eq!(s.bounds[0], Value::Int4(0));
        assert_eq!(s.bounds[TARGET / 2], Value::Int4(4_999));
        assert_eq!(s.bounds[TARGET], Value::Int4(9_999));
    }

    #[test]
    fn few_values_are_all_common_with_their_shares() {
        let values: Vec<Value> = (0..1_000)
            .map(|i| match i % 10 {
                0..5 => Value::Int4(7),
                5..8 => Value::Int4(8),
                8 => Value::Int4(9),
                _ => Value::Null,
            })
            .collect();
        let s = column(&values, 50_000);
        assert_eq!(s.null_frac, 0.1);
        assert_eq!(s.distinct, 3.0);
        let common = [(7, 0.5), (8, 0.3), (9, 0.1)].map(|(v, f)| (Value::Int4(v), f));
        assert_eq!(s.common, common);
        assert!(s.bounds.is_empty());
    }

    #[test]
    fn a_skewed_column_has_its_peaks_and_a_histogram_of_the_rest() {
        let values: Vec<Value> = (0..10_000)
            .map(|i| Value::Int4(if i % 4 == 0 { -1 } else { i }))
            .collect();
        let s = column(&values, 100_000);
        assert_eq!(s.common, [(Value::Int4(-1), 0.25)]);
        assert_eq!(s.bounds.first(), Some(&Value::Int4(1)));
        // 7,501 values in 10,000 rows, 7,500 of them once.
        assert!((-0.232..-0.230).contains(&s.distinct), "{}", s.distinct);
    }

    #[test]
    fn no_rows_and_nothing_but_nulls_are_no_trouble() {
        assert_eq!(column(&[], 0), ColumnStatistics::default());
        let nulls = column(&[Value::Null, Value::Null], 2);
        assert_eq!((nulls.null_frac, nulls.bounds.len()), (1.0, 0));
    }
}
