//! pg_sleep and its like: a row in, its time passes, the answer out.
//!
//! Owns: how long each of them means. Asked by: `build`. Never: keeps its shard from anything else meanwhile, or outlasts a cancel
//! request or the statement's deadline by more than `POLL`. Bounds: one input batch. Source: PostgreSQL 15, `pg_sleep`.

use super::scope::Scope;
use super::{Batches, RowSource};
use crate::exec::functions::clock_now;
use futures_util::future::LocalBoxFuture;
use std::time::Duration;
use types::{Error, Interval, Result, Row, RowBatch, Value};

/// How often it is looked whether the statement was stopped.
const POLL: Duration = Duration::from_millis(20);
/// Longer than any deadline; a sleep without an end ends with its statement.
const LONGEST: Duration = Duration::from_secs(1 << 40);
const DAY_SECONDS: i64 = 86_400;
/// As EXTRACT(EPOCH) counts them.
const MONTH_DAYS: i64 = 30;
const YEAR_SECONDS: i64 = 31_557_600;

pub(super) struct Sleep {
    scope: Scope,
    input: Box<dyn RowSource>,
}

impl Sleep {
    pub(super) fn new(scope: Scope, input: Box<dyn RowSource>) -> Sleep {
        Sleep { scope, input }
    }

    async fn batch(&mut self) -> Result<Option<RowBatch>> {
        let Some(batch) = self.input.next().await? else {
            return Ok(None);
        };
        let mut out: Vec<Row> = Vec::with_capacity(batch.rows.len());
        for row in batch.rows {
            out.push(match how_long(&row)? {
                None => vec![Value::Null],
                Some(most) => {
                    self.pass(most).await?;
                    vec![Value::Text("".into())]
                }
            });
        }
        Ok(Batches::new(out).take())
    }

    async fn pass(&self, most: Duration) -> Result<()> {
        let began = runtime::Instant::now();
        loop {
            (self.scope.exec.check)()?;
            let left = most.saturating_sub(began.elapsed());
            if left.is_zero() {
                return Ok(());
            }
            runtime::sleep(left.min(POLL)).await;
        }
    }
}

impl RowSource for Sleep {
    fn next(&mut self) -> LocalBoxFuture<'_, Result<Option<RowBatch>>> {
        Box::pin(self.batch())
    }
}

/// `None`: the argument is NULL. What is negative, or no number, is no time.
fn how_long(row: &Row) -> Result<Option<Duration>> {
    let micros = |n: i64| Duration::from_micros(u64::try_from(n).unwrap_or(0));
    Ok(Some(match row.as_slice() {
        [Value::Null] => return Ok(None),
        [Value::Float8(seconds)] if *seconds > 0.0 => {
            Duration::try_from_secs_f64(*seconds).map_or(LONGEST, |d| d.min(LONGEST))
        }
        [Value::Float8(_)] => Duration::ZERO,
        [Value::Interval(span)] => micros(span_micros(span)),
        [Value::Timestamptz(until)] => micros(until.saturating_sub(clock_now())),
        _ => return Err(Error::internal("a time to sleep of another type")),
    }))
}

fn span_micros(span: &Interval) -> i64 {
    let (years, months) = (i64::from(span.months) / 12, i64::from(span.months) % 12);
    let days = months * MONTH_DAYS + i64::from(span.days);
    let seconds = years * YEAR_SECONDS + days * DAY_SECONDS;
    span.micros
        .saturating_add(seconds.saturating_mul(1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_what_postgresql_takes_it_for() {
        let of = |value: Value| how_long(&vec![value]).unwrap();
        assert_eq!(of(Value::Null), None);
        for no_time in [-1.0, 0.0, f64::NAN, f64::NEG_INFINITY] {
            assert_eq!(of(Value::Float8(no_time)), Some(Duration::ZERO));
        }
        assert_eq!(of(Value::Float8(0.25)), Some(Duration::from_millis(250)));
        assert_eq!(of(Value::Float8(f64::INFINITY)), Some(LONGEST));
        let span = Interval {
            micros: 5,
            days: 1,
            months: 0,
        };
        let day = Duration::from_secs(86_400) + Duration::from_micros(5);
        assert_eq!(of(Value::Interval(span)), Some(day));
        assert_eq!(of(Value::Timestamptz(0)), Some(Duration::ZERO));
    }
}
