//! sum, avg, stddev and variance of numbers and intervals, but for sum and avg of NUMERIC (`totals`).
//!
//! Owns: the states: a checked 64-bit sum, a count with an exact sum (and sum of squares) in integers or NUMERIC, and
//! floating sums with PostgreSQL's Youngs-Cramer update.
//! Source: PostgreSQL 15 `numeric.c`, `float.c` (`float8_accum`, `float8_combine`).

use super::Accumulator;
use super::simple::bad_state;
use super::totals::{add_to, each, summed};
use crate::exec::batch::{Column, Data};
use crate::exec::functions::out_of_range;
use std::sync::Arc;
use types::{Array, DataType, Error, Interval, Numeric, Result, Value};

/// The accumulators of this file, by unique name.
pub fn accumulator(func: &str) -> Option<Box<dyn Accumulator>> {
    Some(match func {
        "sum_int2" | "sum_int4" => Box::new(IntegerSum::default()),
        "sum_int8" => Box::new(Exact::new(Wanted::Sum)),
        "sum_float4" => Box::new(FloatSum {
            sum: None,
            single: true,
        }),
        "sum_float8" => Box::new(FloatSum {
            sum: None,
            single: false,
        }),
        "sum_interval" => Box::new(Intervals {
            count: 0,
            sum: Interval::default(),
            average: false,
        }),
        "avg_interval" => Box::new(Intervals {
            count: 0,
            sum: Interval::default(),
            average: true,
        }),
        "avg_float4" | "avg_float8" => Box::new(Moments::new(Wanted::Average)),
        "avg_int2" | "avg_int4" | "avg_int8" => Box::new(Exact::new(Wanted::Average)),
        _ => {
            let (name, ty) = func.rsplit_once('_')?;
            let wanted = match name {
                "stddev" | "stddev_samp" => Wanted::StddevSample,
                "stddev_pop" => Wanted::StddevPopulation,
                "variance" | "var_samp" => Wanted::VarianceSample,
                "var_pop" => Wanted::VariancePopulation,
                _ => return None,
            };
            match ty {
                "float4" | "float8" => Box::new(Moments::new(wanted)),
                _ => Box::new(Exact::new(wanted)),
            }
        }
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Sum,
    Average,
    StddevSample,
    StddevPopulation,
    VarianceSample,
    VariancePopulation,
}

impl Wanted {
    fn needs_squares(self) -> bool {
        !matches!(self, Wanted::Sum | Wanted::Average)
    }

    fn is_sample(self) -> bool {
        matches!(self, Wanted::StddevSample | Wanted::VarianceSample)
    }

    fn is_deviation(self) -> bool {
        matches!(self, Wanted::StddevSample | Wanted::StddevPopulation)
    }
}

/// sum(smallint), sum(integer): bigint, NULL over no rows.
#[derive(Default)]
struct IntegerSum {
    sum: Option<i64>,
    /// Rows and states in it.
    terms: u64,
}

impl Accumulator for IntegerSum {
    fn update(&mut self, args: &[Value]) -> Result<()> {
        args.first().map_or(Ok(()), |v| self.merge(v))
    }

    fn update_many(&mut self, column: Option<&Column<'_>>, rows: &[u32]) -> Result<()> {
        let Some((column, Data::Ints(values))) = column.map(|c| (c, &c.vector.data)) else {
            return each(self, column, rows);
        };
        for row in rows {
            let at = *row as usize;
            if column.vector.is_null(at) {
                continue;
            }
            let sum = self.sum.unwrap_or(0).checked_add(values[at]);
            self.sum = Some(sum.ok_or_else(|| out_of_range("bigint out of range"))?);
            self.terms += 1;
        }
        Ok(())
    }

    fn partial(&self) -> Value {
        self.sum.map_or(Value::Null, Value::Int8)
    }

    fn merge(&mut self, partial: &Value) -> Result<()> {
        let Some(v) = partial.as_i64() else {
            return if partial.is_null() {
                Ok(())
            } else {
                Err(bad_state(partial))
            };
        };
        let sum = self.sum.unwrap_or(0).checked_add(v);
        self.sum = Some(sum.ok_or_else(|| out_of_range("bigint out of range"))?);
        self.terms += 1;
        Ok(())
    }

    fn remove(&mut self, args: &[Value]) -> Result<bool> {
        let Some(v) = args.first().and_then(Value::as_i64) else {
            return Ok(true);
        };
        self.terms = self.terms.saturating_sub(1);
        self.sum = match self.sum.and_then(|sum| sum.checked_sub(v)) {
            _ if self.terms == 0 => None,
            None => return Ok(false),
            sum => sum,
        };
        Ok(true)
    }

    fn finish(&self) -> Result<Value> {
        Ok(self.partial())
    }

    fn memory(&self) -> usize {
        size_of::<Self>()
    }
}

/// Count, sum and (for the variance family) sum of squares, exactly: in 128 bits while all is integer and fits.
struct Exact {
    wanted: Wanted,
    count: i64,
    whole: i128,
    whole_squares: i128,
    sum: Option<Numeric>,
    squares: Option<Numeric>,
}

impl Exact {
    fn new(wanted: Wanted) -> Exact {
        Exact {
            wanted,
            count: 0,
            whole: 0,
            whole_squares: 0,
            sum: None,
            squares: None,
        }
    }

    fn add_integer(&mut self, v: i64) -> Result<()> {
        let wide = i128::from(v);
        let squared = if self.wanted.needs_squares() {
            wide * wide
        } else {
            0
        };
        match (
            self.whole.checked_add(wide),
            self.whole_squares.checked_add(squared),
        ) {
            (Some(whole), Some(squares)) => {
                self.whole = whole;
                self.whole_squares = squares;
                Ok(())
            }
            _ => self.add_numeric(&Numeric::from(v)),
        }
    }

    fn add_numeric(&mut self, v: &Numeric) -> Result<()> {
        if self.wanted.needs_squares() {
            add_to(&mut self.squares, &v.mul(v)?)?;
        }
        add_to(&mut self.sum, v)
    }

    fn totals(&self) -> Result<(Numeric, Numeric)> {
        let total = |whole: i128, part: &Option<Numeric>| match part {
            None => Ok(Numeric::from(whole)),
            Some(p) if whole == 0 => Ok(p.clone()),
            Some(p) => p.add(&Numeric::from(whole)),
        };
        Ok((
            total(self.whole, &self.sum)?,
            total(self.whole_squares, &self.squares)?,
        ))
    }
}

impl Accumulator for Exact {
    fn update(&mut self, args: &[Value]) -> Result<()> {
        let Some(v) = args.first().filter(|v| !v.is_null()) else {
            return Ok(());
        };
        match v {
            Value::Numeric(n) => self.add_numeric(n)?,
            v => self.add_integer(v.as_i64().ok_or_else(|| bad_state(v))?)?,
        }
        self.count += 1;
        Ok(())
    }

    /// Integers are added up before they are added.
    fn update_many(&mut self, column: Option<&Column<'_>>, rows: &[u32]) -> Result<()> {
        let of = column.map(|c| (c.vector, &c.vector.data));
        let Some((vector, Data::Ints(values))) = of else {
            return each(self, column, rows);
        };
        let (sum, count) = summed(vector, values, rows);
        match self.whole.checked_add(sum) {
            Some(whole) if !self.wanted.needs_squares() => self.whole = whole,
            _ => return each(self, column, rows),
        }
        self.count += count;
        Ok(())
    }

    /// Integers alone: of NUMERIC the scale would stay.
    fn remove(&mut self, args: &[Value]) -> Result<bool> {
        let Some(v) = args.first().filter(|v| !v.is_null()) else {
            return Ok(true);
        };
        let Some(wide) = v.as_i64().map(i128::from) else {
            return Ok(false);
        };
        if self.sum.is_some() || self.squares.is_some() {
            return Ok(false);
        }
        self.count -= 1;
        self.whole -= wide;
        if self.wanted.needs_squares() {
            self.whole_squares -= wide * wide;
        }
        Ok(true)
    }

    fn partial(&self) -> Value {
        let numeric = |n: &Option<Numeric>| match n {
            Some(n) => Value::Numeric(n.clone()),
            None => Value::Null,
        };
        let wide = |v: i128| Value::Numeric(Numeric::from(v));
        state(vec![
            Value::Int8(self.count),
            wide(self.whole),
            wide(self.whole_squares),
            numeric(&self.sum),
            numeric(&self.squares),
        ])
    }

    fn merge(&mut self, partial: &Value) -> Result<()> {
        let [Value::Int8(count), parts @ ..] = items(partial)? else {
            return Err(bad_state(partial));
        };
        let [
            Value::Numeric(whole),
            Value::Numeric(squares),
            sum,
            sum_squares,
        ] = parts
        else {
            return Err(bad_state(partial));
        };
        self.count += count;
        for (mine, numeric, theirs) in [
            (&mut self.whole, &mut self.sum, whole),
            (&mut self.whole_squares, &mut self.squares, squares),
        ] {
            match theirs.to_i128().and_then(|t| mine.checked_add(t)) {
                Some(total) => *mine = total,
                None => add_to(numeric, theirs)?,
            }
        }
        if let Value::Numeric(n) = sum {
            add_to(&mut self.sum, n)?;
        }
        if let Value::Numeric(n) = sum_squares {
            add_to(&mut self.squares, n)?;
        }
        Ok(())
    }

    fn finish(&self) -> Result<Value> {
        if self.count == 0 || (self.wanted.is_sample() && self.count < 2) {
            return Ok(Value::Null);
        }
        let (sum, squares) = self.totals()?;
        let count = Numeric::from(self.count);
        let result = match self.wanted {
            Wanted::Sum => sum,
            Wanted::Average => sum.div(&count)?,
            _ if !sum.is_finite() => Numeric::NaN,
            wanted => {
                // (n * sum(x²) - sum(x)²) / (n * n) or / (n * (n - 1))
                let spread = count.mul(&squares)?.sub(&sum.mul(&sum)?)?;
                if spread.is_zero() || spread.is_negative() {
                    Numeric::zero()
                } else {
                    let other = self.count - i64::from(wanted.is_sample());
                    let variance = spread.div(&count.mul(&Numeric::from(other))?)?;
                    if wanted.is_deviation() {
                        variance.sqrt()?
                    } else {
                        variance
                    }
                }
            }
        };
        Ok(Value::Numeric(result))
    }

    fn memory(&self) -> usize {
        let heap = |n: &Option<Numeric>| n.as_ref().map_or(0, Numeric::memory);
        size_of::<Self>() + heap(&self.sum) + heap(&self.squares)
    }
}

/// sum(real) and sum(double precision).
struct FloatSum {
    sum: Option<f64>,
    single: bool,
}

impl Accumulator for FloatSum {
    fn update(&mut self, args: &[Value]) -> Result<()> {
        args.first().map_or(Ok(()), |v| self.merge(v))
    }

    fn partial(&self) -> Value {
        match self.sum {
            None => Value::Null,
            Some(v) if self.single => Value::Float4(v as f32),
            Some(v) => Value::Float8(v),
        }
    }

    fn merge(&mut self, partial: &Value) -> Result<()> {
        let v = match partial {
            Value::Null => return Ok(()),
            Value::Float4(v) => f64::from(*v),
            Value::Float8(v) => *v,
            other => return Err(bad_state(other)),
        };
        let old = self.sum.unwrap_or(0.0);
        let mut sum = old + v;
        if self.single {
            sum = f64::from(sum as f32);
        }
        if sum.is_infinite() && old.is_finite() && v.is_finite() {
            return Err(out_of_range("value out of range: overflow"));
        }
        self.sum = Some(sum);
        Ok(())
    }

    fn finish(&self) -> Result<Value> {
        Ok(self.partial())
    }

    fn memory(&self) -> usize {
        size_of::<Self>()
    }
}

/// N, Sx and Sxx of floats.
struct Moments {
    wanted: Wanted,
    n: f64,
    sx: f64,
    sxx: f64,
}

impl Moments {
    fn new(wanted: Wanted) -> Moments {
        Moments {
            wanted,
            n: 0.0,
            sx: 0.0,
            sxx: 0.0,
        }
    }
}

impl Accumulator for Moments {
    fn update(&mut self, args: &[Value]) -> Result<()> {
        let v = match args.first() {
            None | Some(Value::Null) => return Ok(()),
            Some(Value::Float4(v)) => f64::from(*v),
            Some(Value::Float8(v)) => *v,
            Some(other) => return Err(bad_state(other)),
        };
        let before = (self.n, self.sx, self.sxx);
        self.n += 1.0;
        self.sx += v;
        if before.0 > 0.0 {
            let spread = v * self.n - self.sx;
            self.sxx += spread * spread / (self.n * before.0);
            if self.sx.is_infinite() || self.sxx.is_infinite() {
                if before.1.is_finite() && v.is_finite() {
                    return Err(out_of_range("value out of range: overflow"));
                }
                self.sxx = f64::NAN;
            }
        } else if !v.is_finite() {
            self.sxx = f64::NAN;
        }
        Ok(())
    }

    fn partial(&self) -> Value {
        state(vec![
            Value::Float8(self.n),
            Value::Float8(self.sx),
            Value::Float8(self.sxx),
        ])
    }

    fn merge(&mut self, partial: &Value) -> Result<()> {
        let [Value::Float8(n), Value::Float8(sx), Value::Float8(sxx)] = items(partial)? else {
            return Err(bad_state(partial));
        };
        if *n == 0.0 {
            return Ok(());
        }
        if self.n == 0.0 {
            (self.n, self.sx, self.sxx) = (*n, *sx, *sxx);
            return Ok(());
        }
        let gap = self.sx / self.n - sx / n;
        let total = self.n + n;
        let overflowed = |v: f64, a: f64, b: f64| v.is_infinite() && a.is_finite() && b.is_finite();
        let (sum, squares) = (
            self.sx + sx,
            self.sxx + sxx + self.n * n * gap * gap / total,
        );
        if overflowed(sum, self.sx, *sx) || overflowed(squares, self.sxx, *sxx) {
            return Err(out_of_range("value out of range: overflow"));
        }
        (self.n, self.sx, self.sxx) = (total, sum, squares);
        Ok(())
    }

    fn finish(&self) -> Result<Value> {
        if self.n == 0.0 || (self.wanted.is_sample() && self.n < 2.0) {
            return Ok(Value::Null);
        }
        let divisor = if self.wanted.is_sample() {
            self.n - 1.0
        } else {
            self.n
        };
        Ok(Value::Float8(match self.wanted {
            Wanted::Sum => self.sx,
            Wanted::Average => self.sx / self.n,
            wanted if wanted.is_deviation() => (self.sxx / divisor).sqrt(),
            _ => self.sxx / divisor,
        }))
    }

    fn memory(&self) -> usize {
        size_of::<Self>()
    }
}

/// sum(interval) and avg(interval).
struct Intervals {
    count: i64,
    sum: Interval,
    average: bool,
}

impl Intervals {
    fn add(&mut self, v: &Interval, count: i64) -> Result<()> {
        self.sum = types::time::arith::interval_add(&self.sum, v)?;
        self.count += count;
        Ok(())
    }
}

impl Accumulator for Intervals {
    fn update(&mut self, args: &[Value]) -> Result<()> {
        match args.first() {
            None | Some(Value::Null) => Ok(()),
            Some(Value::Interval(v)) => self.add(v, 1),
            Some(other) => Err(bad_state(other)),
        }
    }

    fn partial(&self) -> Value {
        state(vec![Value::Int8(self.count), Value::Interval(self.sum)])
    }

    fn merge(&mut self, partial: &Value) -> Result<()> {
        let [Value::Int8(count), Value::Interval(sum)] = items(partial)? else {
            return Err(bad_state(partial));
        };
        self.add(sum, *count)
    }

    fn finish(&self) -> Result<Value> {
        if self.count == 0 {
            return Ok(Value::Null);
        }
        if !self.average {
            return Ok(Value::Interval(self.sum));
        }
        types::time::arith::interval_div(&self.sum, self.count as f64).map(Value::Interval)
    }

    fn memory(&self) -> usize {
        size_of::<Self>()
    }
}

/// A composite partial state, as an array of mixed items that no SQL sees.
pub fn state(items: Vec<Value>) -> Value {
    Value::Array(Arc::new(Array {
        element: DataType::Unknown,
        items,
    }))
}

pub fn items(partial: &Value) -> Result<&[Value], Error> {
    match partial {
        Value::Array(a) => Ok(&a.items),
        other => Err(bad_state(other)),
    }
}
