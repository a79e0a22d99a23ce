//! What is known of one column of a plan's rows.
//!
//! Owns: how many different values there are, and where a value lies among them. Asked by: `estimate` and `selectivity`.

use super::{DISTINCT, Output};
use engine::catalog::Table;
use engine::catalog::statistics::ColumnStatistics;
use engine::plan::Expr;
use std::cmp::Ordering;
use types::{DataType, Value, order};

#[derive(Clone, Debug)]
pub(in crate::planner) struct Column<'a> {
    pub ty: DataType,
    /// Different values that are not NULL.
    pub distinct: f64,
    pub null_frac: f64,
    /// Each value is there at most once.
    pub unique: bool,
    /// Of the table's column that it is.
    pub known: Option<&'a ColumnStatistics>,
}

impl<'a> Column<'a> {
    pub(super) fn of_table(
        table: &Table,
        at: usize,
        ty: DataType,
        rows: f64,
        known: Option<&'a ColumnStatistics>,
    ) -> Column<'a> {
        let alone = |columns: &[usize]| columns == [at];
        let index =
            |i: &std::sync::Arc<engine::catalog::Index>| i.is_key().is_some_and(|key| alone(&key));
        let unique = alone(&table.primary_key) || table.valid_indexes().any(index);
        let distinct = match known.map(|k| f64::from(k.distinct)) {
            _ if unique => rows,
            Some(d) if d < 0.0 => -d * rows,
            Some(d) if d > 0.0 => d,
            _ if ty == DataType::Bool => 2.0,
            _ => DISTINCT.min(rows),
        };
        Column {
            ty,
            distinct: distinct.max(1.0),
            null_frac: known.map_or(0.0, |k| f64::from(k.null_frac)),
            unique,
            known,
        }
    }

    pub(super) fn unknown(ty: DataType, rows: f64) -> Column<'a> {
        let distinct = if ty == DataType::Bool { 2.0 } else { DISTINCT };
        Column {
            ty,
            distinct: distinct.min(rows).max(1.0),
            null_frac: 0.0,
            unique: false,
            known: None,
        }
    }

    pub(super) fn of_expr(e: &Expr, input: &Output<'a>) -> Column<'a> {
        match e {
            Expr::Column(at, ty) => match input.columns.get(*at) {
                Some(column) => column.clone(),
                None => Column::unknown(*ty, input.rows),
            },
            Expr::Cast { expr, to, .. } => Column {
                ty: *to,
                ..Column::of_expr(expr, input)
            },
            e => {
                // At most one value for each of what it reads.
                let reads = e.columns();
                let columns = reads.iter().filter_map(|at| input.columns.get(*at));
                let most: f64 = columns.map(Column::values).product();
                let distinct = most.min(input.rows).max(1.0);
                Column {
                    distinct,
                    ..Column::unknown(e.ty(), input.rows)
                }
            }
        }
    }

    /// Average bytes of a value.
    pub(super) fn width(&self) -> u32 {
        use DataType::{Bool, Date, Float4, Int2, Int4, Interval, Text, Uuid};
        match self.ty {
            Bool => 1,
            Int2 => 2,
            Int4 | Date | Float4 => 4,
            Uuid | Interval => 16,
            _ if self.known.is_some_and(|k| k.width > 0) => self.known.map_or(0, |k| k.width),
            Text => 32,
            _ => 8,
        }
    }

    /// Different values, NULL among them.
    pub(super) fn values(&self) -> f64 {
        self.distinct + if self.null_frac > 0.0 { 1.0 } else { 0.0 }
    }

    /// Of `before` rows so many are left, chosen by something else.
    pub(super) fn thin(&mut self, before: f64, rows: f64) {
        if self.unique {
            self.distinct = rows.max(1.0);
            return;
        }
        let each = before / self.distinct.max(1.0);
        let gone = (1.0 - (rows / before).min(1.0)).powf(each);
        self.distinct = (self.distinct * (1.0 - gone)).min(rows).max(1.0);
    }

    /// The part of the rows that have this value.
    pub(super) fn equal(&self, value: Option<&Value>) -> f64 {
        let not_null = 1.0 - self.null_frac;
        if self.unique {
            return not_null / self.distinct;
        }
        let Some(known) = self.known.filter(|k| !k.common.is_empty()) else {
            return not_null / self.distinct;
        };
        let Some(value) = value else {
            return not_null / self.distinct;
        };
        let same = |c: &&(Value, f32)| self.compare(&c.0, value) == Ordering::Equal;
        if let Some((_, part)) = known.common.iter().find(same) {
            return f64::from(*part);
        }
        let common: f64 = known.common.iter().map(|(_, part)| f64::from(*part)).sum();
        let others = self.distinct - known.common.len() as f64;
        match known.bounds.is_empty() && others < 1.0 {
            // All values are known, and it is none of them.
            true => 0.0,
            false => (not_null - common).max(0.0) / others.max(1.0),
        }
    }

    /// The part of the rows whose value is below this one, or also equal to it.
    pub(super) fn below(&self, value: &Value, or_equal: bool) -> Option<f64> {
        let known = self.known?;
        if known.common.is_empty() && known.bounds.len() < 2 {
            return None;
        }
        let is_below = |v: &Value| match self.compare(v, value) {
            Ordering::Less => true,
            Ordering::Equal => or_equal,
            Ordering::Greater => false,
        };
        let common: f64 = known.common.iter().map(|(_, part)| f64::from(*part)).sum();
        let below = known.common.iter().filter(|(v, _)| is_below(v));
        let below: f64 = below.map(|(_, part)| f64::from(*part)).sum();
        let rest = (1.0 - self.null_frac - common).max(0.0);
        Some(below + rest * self.place(&known.bounds, value))
    }

    /// Where in the histogram the value lies: 0 to 1.
    fn place(&self, bounds: &[Value], value: &Value) -> f64 {
        let after = bounds.partition_point(|b| self.compare(b, value) == Ordering::Less);
        if bounds.len() < 2 || after == 0 {
            return 0.0;
        }
        let Some(upper) = bounds.get(after) else {
            return 1.0;
        };
        let lower = &bounds[after - 1];
        let inside = match (number(lower), number(value), number(upper)) {
            (Some(l), Some(v), Some(u)) if u > l => ((v - l) / (u - l)).clamp(0.0, 1.0),
            _ => 0.5,
        };
        ((after - 1) as f64 + inside) / (bounds.len() - 1) as f64
    }

    fn compare(&self, a: &Value, b: &Value) -> Ordering {
        match (a, b) {
            (Value::Date(_), Value::Timestamp(_)) | (Value::Timestamp(_), Value::Date(_)) => {
                let place = |v| number(v).unwrap_or(0.0);
                place(a).total_cmp(&place(b))
            }
            _ => order::compare_as(self.ty, a, b),
        }
    }
}

/// Values between which one can measure.
fn number(value: &Value) -> Option<f64> {
    Some(match value {
        // A date may be compared with a timestamp.
        Value::Date(d) => f64::from(*d) * 86_400e6,
        Value::Time(t) => *t as f64,
        Value::Timestamp(t) | Value::Timestamptz(t) => *t as f64,
        Value::Float4(f) => f64::from(*f),
        Value::Float8(f) => *f,
        Value::Numeric(n) => n.to_f64(),
        Value::Text(s) => {
            // The first bytes as digits of a fraction.
            let digits = s.bytes().take(6);
            return Some(
                digits
                    .fold((0.0, 1.0), |(sum, unit), b| {
                        let unit = unit / 256.0;
                        (sum + f64::from(b) * unit, unit)
                    })
                    .0,
            );
        }
        value => value.as_i64()? as f64,
    })
}
