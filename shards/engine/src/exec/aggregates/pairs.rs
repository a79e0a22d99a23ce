//! corr, covar_* and regr_*: statistics of pairs of numbers.
//!
//! Owns: one state for all of them, the sums of PostgreSQL's Youngs-Cramer update. Never: counts a pair with a NULL.
//! Source: PostgreSQL 15 `float.c` (`float8_regr_accum`, `float8_regr_combine`).

use super::Accumulator;
use super::numbers::{items, state};
use super::simple::bad_state;
use crate::exec::functions::out_of_range;
use types::{Error, Result, Value};

/// The accumulators of this file, by unique name.
pub fn accumulator(func: &str) -> Option<Box<dyn Accumulator>> {
    let wanted = match func {
        "regr_count" => Wanted::Count,
        "regr_sxx" => Wanted::Sxx,
        "regr_syy" => Wanted::Syy,
        "regr_sxy" => Wanted::Sxy,
        "regr_avgx" => Wanted::AverageX,
        "regr_avgy" => Wanted::AverageY,
        "regr_r2" => Wanted::R2,
        "regr_slope" => Wanted::Slope,
        "regr_intercept" => Wanted::Intercept,
        "covar_pop" => Wanted::CovariancePopulation,
        "covar_samp" => Wanted::CovarianceSample,
        "corr" => Wanted::Correlation,
        _ => return None,
    };
    Some(Box::new(Pairs {
        wanted,
        sums: Sums::default(),
    }))
}

#[derive(Clone, Copy)]
enum Wanted {
    Count,
    Sxx,
    Syy,
    Sxy,
    AverageX,
    AverageY,
    R2,
    Slope,
    Intercept,
    CovariancePopulation,
    CovarianceSample,
    Correlation,
}

struct Pairs {
    wanted: Wanted,
    sums: Sums,
}

/// Count, sums, and sums of squared deviations.
#[derive(Clone, Copy, Default)]
struct Sums {
    n: f64,
    x: f64,
    y: f64,
    xx: f64,
    yy: f64,
    xy: f64,
}

impl Sums {
    fn add(&mut self, x: f64, y: f64) -> Result<()> {
        let before = *self;
        self.n += 1.0;
        self.x += x;
        self.y += y;
        if before.n > 0.0 {
            let (dx, dy) = (x * self.n - self.x, y * self.n - self.y);
            let scale = 1.0 / (self.n * before.n);
            self.xx += dx * dx * scale;
            self.yy += dy * dy * scale;
            self.xy += dx * dy * scale;
            return self.check([before.x, x], [before.y, y]);
        }
        if !x.is_finite() {
            (self.xx, self.xy) = (f64::NAN, f64::NAN);
        }
        if !y.is_finite() {
            (self.yy, self.xy) = (f64::NAN, f64::NAN);
        }
        Ok(())
    }

    /// Finite numbers that have become infinite are an overflow; others make the deviations NaN.
    fn check(&mut self, xs: [f64; 2], ys: [f64; 2]) -> Result<()> {
        let all = [self.x, self.y, self.xx, self.yy, self.xy];
        if !all.iter().any(|v| v.is_infinite()) {
            return Ok(());
        }
        let finite = |v: [f64; 2]| v.iter().all(|v| v.is_finite());
        let (x, y) = (finite(xs), finite(ys));
        let over = (x && (self.x.is_infinite() || self.xx.is_infinite()))
            || (y && (self.y.is_infinite() || self.yy.is_infinite()))
            || (x && y && self.xy.is_infinite());
        if over {
            return Err(out_of_range("value out of range: overflow"));
        }
        for v in [&mut self.xx, &mut self.yy, &mut self.xy] {
            if v.is_infinite() {
                *v = f64::NAN;
            }
        }
        Ok(())
    }

    fn combine(&mut self, other: &Sums) -> Result<()> {
        if self.n == 0.0 {
            *self = *other;
            return Ok(());
        }
        if other.n == 0.0 {
            return Ok(());
        }
        let before = *self;
        let n = before.n + other.n;
        let dx = before.x / before.n - other.x / other.n;
        let dy = before.y / before.n - other.y / other.n;
        *self = Sums {
            n,
            x: before.x + other.x,
            y: before.y + other.y,
            xx: before.xx + other.xx + before.n * other.n * dx * dx / n,
            yy: before.yy + other.yy + before.n * other.n * dy * dy / n,
            xy: before.xy + other.xy + before.n * other.n * dx * dy / n,
        };
        self.check([before.x, other.x], [before.y, other.y])
    }

    fn wanted(&self, wanted: Wanted) -> Option<f64> {
        let Sums {
            n,
            x,
            y,
            xx,
            yy,
            xy,
        } = *self;
        if n < 1.0 {
            return None;
        }
        match wanted {
            Wanted::Count => Some(n),
            Wanted::Sxx => Some(xx),
            Wanted::Syy => Some(yy),
            Wanted::Sxy => Some(xy),
            Wanted::AverageX => Some(x / n),
            Wanted::AverageY => Some(y / n),
            Wanted::CovariancePopulation => Some(xy / n),
            Wanted::CovarianceSample => (n >= 2.0).then(|| xy / (n - 1.0)),
            Wanted::Correlation => (xx != 0.0 && yy != 0.0).then(|| xy / (xx * yy).sqrt()),
            Wanted::R2 if xx == 0.0 => None,
            Wanted::R2 if yy == 0.0 => Some(1.0),
            Wanted::R2 => Some((xy * xy) / (xx * yy)),
            Wanted::Slope => (xx != 0.0).then(|| xy / xx),
            Wanted::Intercept => (xx != 0.0).then(|| (y - x * xy / xx) / n),
        }
    }
}

impl Accumulator for Pairs {
    fn update(&mut self, args: &[Value]) -> Result<()> {
        match args {
            [Value::Float8(y), Value::Float8(x)] => self.sums.add(*x, *y),
            [_, _] => Ok(()),
            _ => Err(Error::internal("an aggregate of two arguments")),
        }
    }

    fn partial(&self) -> Value {
        let s = &self.sums;
        let all = [s.n, s.x, s.y, s.xx, s.yy, s.xy];
        state(all.into_iter().map(Value::Float8).collect())
    }

    fn merge(&mut self, partial: &Value) -> Result<()> {
        let all: Vec<f64> = items(partial)?
            .iter()
            .filter_map(|v| match v {
                Value::Float8(v) => Some(*v),
                _ => None,
            })
            .collect();
        let [n, x, y, xx, yy, xy] = all[..] else {
            return Err(bad_state(partial));
        };
        self.sums.combine(&Sums {
            n,
            x,
            y,
            xx,
            yy,
            xy,
        })
    }

    fn finish(&self) -> Result<Value> {
        if let Wanted::Count = self.wanted {
            return Ok(Value::Int8(self.sums.n as i64));
        }
        let answer = self.sums.wanted(self.wanted);
        Ok(answer.map_or(Value::Null, Value::Float8))
    }

    fn memory(&self) -> usize {
        size_of::<Self>()
    }
}
