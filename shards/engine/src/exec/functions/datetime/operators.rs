//! + - * / on dates, times, timestamps and intervals.

use super::super::args;
use super::Function;
use crate::exec::Context;
use DataType::*;
use types::time::{arith, date_to_timestamp, is_finite_date, zone};
use types::{DataType, Error, Result, SqlState, Value};

pub static FUNCTIONS: &[Function] = &[
    Function::new("date_pli", &[Date, Int4], Date, |_, a| days(a, 0, 1, 1)).op("+"),
    Function::new("integer_pl_date", &[Int4, Date], Date, |_, a| {
        days(a, 1, 0, 1)
    })
    .op("+"),
    Function::new("date_mii", &[Date, Int4], Date, |_, a| days(a, 0, 1, -1)).op("-"),
    Function::new("date_mi", &[Date, Date], Int4, |_, a| {
        date_minus(args::date(a, 0)?, args::date(a, 1)?)
    })
    .op("-"),
    Function::new("date_pl_interval", &[Date, Interval], Timestamp, |_, a| {
        date_moved(a, 0, 1, false)
    })
    .op("+"),
    Function::new("interval_pl_date", &[Interval, Date], Timestamp, |_, a| {
        date_moved(a, 1, 0, false)
    })
    .op("+"),
    Function::new("date_mi_interval", &[Date, Interval], Timestamp, |_, a| {
        date_moved(a, 0, 1, true)
    })
    .op("-"),
    Function::new("datetime_pl", &[Date, Time], Timestamp, |_, a| {
        date_time(a, 0, 1)
    })
    .op("+"),
    Function::new("timedate_pl", &[Time, Date], Timestamp, |_, a| {
        date_time(a, 1, 0)
    })
    .op("+"),
    Function::new("time_pl_interval", &[Time, Interval], Time, |_, a| {
        Ok(Value::Time(arith::time_plus(
            args::time(a, 0)?,
            &args::interval(a, 1)?,
        )))
    })
    .op("+"),
    Function::new("interval_pl_time", &[Interval, Time], Time, |_, a| {
        Ok(Value::Time(arith::time_plus(
            args::time(a, 1)?,
            &args::interval(a, 0)?,
        )))
    })
    .op("+"),
    Function::new("time_mi_interval", &[Time, Interval], Time, |_, a| {
        let back = arith::interval_neg(&args::interval(a, 1)?)?;
        Ok(Value::Time(arith::time_plus(args::time(a, 0)?, &back)))
    })
    .op("-"),
    Function::new("time_mi_time", &[Time, Time], Interval, |_, a| {
        Ok(Value::Interval(types::Interval {
            micros: args::time(a, 0)? - args::time(a, 1)?,
            ..types::Interval::default()
        }))
    })
    .op("-"),
    Function::new(
        "timestamp_pl_interval",
        &[Timestamp, Interval],
        Timestamp,
        |_, a| moved(a, 0, 1, false),
    )
    .op("+"),
    Function::new(
        "interval_pl_timestamp",
        &[Interval, Timestamp],
        Timestamp,
        |_, a| moved(a, 1, 0, false),
    )
    .op("+"),
    Function::new(
        "timestamp_mi_interval",
        &[Timestamp, Interval],
        Timestamp,
        |_, a| moved(a, 0, 1, true),
    )
    .op("-"),
    Function::new(
        "timestamptz_pl_interval",
        &[Timestamptz, Interval],
        Timestamptz,
        |c, a| moved_in_zone(c, a, 0, 1, false),
    )
    .op("+")
    .stable(),
    Function::new(
        "interval_pl_timestamptz",
        &[Interval, Timestamptz],
        Timestamptz,
        |c, a| moved_in_zone(c, a, 1, 0, false),
    )
    .op("+")
    .stable(),
    Function::new(
        "timestamptz_mi_interval",
        &[Timestamptz, Interval],
        Timestamptz,
        |c, a| moved_in_zone(c, a, 0, 1, true),
    )
    .op("-")
    .stable(),
    Function::new("timestamp_mi", &[Timestamp, Timestamp], Interval, |_, a| {
        difference(a)
    })
    .op("-"),
    Function::new(
        "timestamptz_mi",
        &[Timestamptz, Timestamptz],
        Interval,
        |_, a| difference(a),
    )
    .op("-"),
    Function::new("interval_pl", &[Interval, Interval], Interval, |_, a| {
        two(a, arith::interval_add)
    })
    .op("+"),
    Function::new("interval_mi", &[Interval, Interval], Interval, |_, a| {
        two(a, arith::interval_sub)
    })
    .op("-"),
    Function::new("interval_um", &[Interval], Interval, |_, a| {
        one(a, arith::interval_neg)
    })
    .op("-"),
    Function::new("interval_mul", &[Interval, Float8], Interval, |_, a| {
        scaled(a, 0, 1, arith::interval_mul)
    })
    .op("*"),
    Function::new("mul_d_interval", &[Float8, Interval], Interval, |_, a| {
        scaled(a, 1, 0, arith::interval_mul)
    })
    .op("*"),
    Function::new("interval_div", &[Interval, Float8], Interval, |_, a| {
        scaled(a, 0, 1, arith::interval_div)
    })
    .op("/"),
    Function::new("interval_justify_hours", &[Interval], Interval, |_, a| {
        one(a, arith::justify_hours)
    })
    .sql("justify_hours"),
    Function::new("interval_justify_days", &[Interval], Interval, |_, a| {
        one(a, arith::justify_days)
    })
    .sql("justify_days"),
    Function::new(
        "interval_justify_interval",
        &[Interval],
        Interval,
        |_, a| one(a, arith::justify_interval),
    )
    .sql("justify_interval"),
    Function::new(
        "timestamp_age",
        &[Timestamp, Timestamp],
        Interval,
        |_, a| age(args::timestamp(a, 0)?, args::timestamp(a, 1)?),
    )
    .sql("age"),
    Function::new(
        "timestamptz_age",
        &[Timestamptz, Timestamptz],
        Interval,
        |c, a| {
            let local = |i| args::timestamp(a, i).map(|t| zone::to_local(&c.session.forms.zone, t));
            age(local(0)?, local(1)?)
        },
    )
    .sql("age")
    .stable(),
    Function::new("timestamp_age_today", &[Timestamp], Interval, |c, a| {
        age(today(c), args::timestamp(a, 0)?)
    })
    .sql("age")
    .stable(),
    Function::new("timestamptz_age_today", &[Timestamptz], Interval, |c, a| {
        age(
            today(c),
            zone::to_local(&c.session.forms.zone, args::timestamp(a, 0)?),
        )
    })
    .sql("age")
    .stable(),
];

fn days(a: &[Value], date: usize, count: usize, sign: i64) -> Result<Value> {
    let n = i64::from(args::int4(a, count)?) * sign;
    arith::date_plus(args::date(a, date)?, n).map(Value::Date)
}

fn date_minus(x: i32, y: i32) -> Result<Value> {
    if !is_finite_date(x) || !is_finite_date(y) {
        return Err(Error::new(
            SqlState::DATETIME_FIELD_OVERFLOW,
            "cannot subtract infinite dates",
        ));
    }
    // Both lie within PostgreSQL's range of dates, whose width fits.
    Ok(Value::Int4(x.wrapping_sub(y)))
}

fn step(a: &[Value], i: usize, back: bool) -> Result<types::Interval> {
    let v = args::interval(a, i)?;
    if back { arith::interval_neg(&v) } else { Ok(v) }
}

fn date_moved(a: &[Value], date: usize, by: usize, back: bool) -> Result<Value> {
    let midnight = date_to_timestamp(args::date(a, date)?)?;
    arith::timestamp_plus(midnight, &step(a, by, back)?).map(Value::Timestamp)
}

fn date_time(a: &[Value], date: usize, time: usize) -> Result<Value> {
    let v = types::Interval {
        micros: args::time(a, time)?,
        ..types::Interval::default()
    };
    arith::timestamp_plus(date_to_timestamp(args::date(a, date)?)?, &v).map(Value::Timestamp)
}

fn moved(a: &[Value], at: usize, by: usize, back: bool) -> Result<Value> {
    arith::timestamp_plus(args::timestamp(a, at)?, &step(a, by, back)?).map(Value::Timestamp)
}

fn moved_in_zone(ctx: &Context, a: &[Value], at: usize, by: usize, back: bool) -> Result<Value> {
    let by = step(a, by, back)?;
    arith::timestamptz_plus(args::timestamp(a, at)?, &by, &ctx.session.forms.zone)
        .map(Value::Timestamptz)
}

fn difference(a: &[Value]) -> Result<Value> {
    arith::timestamp_minus(args::timestamp(a, 0)?, args::timestamp(a, 1)?).map(Value::Interval)
}

type Op1 = fn(&types::Interval) -> Result<types::Interval>;
type Op2 = fn(&types::Interval, &types::Interval) -> Result<types::Interval>;
type Scale = fn(&types::Interval, f64) -> Result<types::Interval>;

fn one(a: &[Value], f: Op1) -> Result<Value> {
    f(&args::interval(a, 0)?).map(Value::Interval)
}

fn two(a: &[Value], f: Op2) -> Result<Value> {
    f(&args::interval(a, 0)?, &args::interval(a, 1)?).map(Value::Interval)
}

fn scaled(a: &[Value], interval: usize, factor: usize, f: Scale) -> Result<Value> {
    f(&args::interval(a, interval)?, args::float(a, factor)?).map(Value::Interval)
}

fn age(x: i64, y: i64) -> Result<Value> {
    arith::age(x, y).map(Value::Interval)
}

/// Midnight of the transaction's day, in local time.
fn today(ctx: &Context) -> i64 {
    let local = zone::to_local(&ctx.session.forms.zone, ctx.transaction_micros);
    local - types::time::split(local).1
}
