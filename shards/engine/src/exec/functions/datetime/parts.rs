//! extract, date_trunc, make_*, AT TIME ZONE, and the several "now"s.

use super::super::args::{self, make_numeric};
use super::Function;
use crate::exec::Context;
use DataType::*;
use types::time::{
    self, MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE, fields, is_finite, is_finite_date,
    timestamp_to_date, zone,
};
use types::{DataType, Error, Numeric, Result, SqlState, Value};

const NUMERIC: DataType = DataType::Numeric;

pub static FUNCTIONS: &[Function] = &[
    Function::new("extract_date", &[Text, Date], NUMERIC, |_, a| {
        exact(fields::extract_date(args::text(a, 0)?, args::date(a, 1)?)?)
    })
    .sql("extract"),
    Function::new("extract_time", &[Text, Time], NUMERIC, |_, a| {
        exact(Some(fields::extract_time(
            args::text(a, 0)?,
            args::time(a, 1)?,
        )?))
    })
    .sql("extract"),
    Function::new("extract_timestamp", &[Text, Timestamp], NUMERIC, |_, a| {
        exact(fields::extract_timestamp(
            args::text(a, 0)?,
            args::timestamp(a, 1)?,
        )?)
    })
    .sql("extract"),
    Function::new(
        "extract_timestamptz",
        &[Text, Timestamptz],
        NUMERIC,
        |c, a| exact(extract_instant(c, a)?),
    )
    .sql("extract")
    .stable(),
    Function::new("extract_interval", &[Text, Interval], NUMERIC, |_, a| {
        exact(Some(fields::extract_interval(
            args::text(a, 0)?,
            &args::interval(a, 1)?,
        )?))
    })
    .sql("extract"),
    Function::new("date_part", &[Text, Date], Float8, |_, a| {
        float(fields::extract_date(args::text(a, 0)?, args::date(a, 1)?)?)
    }),
    Function::new("time_part", &[Text, Time], Float8, |_, a| {
        float(Some(fields::extract_time(
            args::text(a, 0)?,
            args::time(a, 1)?,
        )?))
    })
    .sql("date_part"),
    Function::new("timestamp_part", &[Text, Timestamp], Float8, |_, a| {
        float(fields::extract_timestamp(
            args::text(a, 0)?,
            args::timestamp(a, 1)?,
        )?)
    })
    .sql("date_part"),
    Function::new("timestamptz_part", &[Text, Timestamptz], Float8, |c, a| {
        float(extract_instant(c, a)?)
    })
    .sql("date_part")
    .stable(),
    Function::new("interval_part", &[Text, Interval], Float8, |_, a| {
        float(Some(fields::extract_interval(
            args::text(a, 0)?,
            &args::interval(a, 1)?,
        )?))
    })
    .sql("date_part"),
    Function::new("timestamp_trunc", &[Text, Timestamp], Timestamp, |_, a| {
        fields::trunc_timestamp(args::text(a, 0)?, args::timestamp(a, 1)?).map(Value::Timestamp)
    })
    .sql("date_trunc"),
    Function::new(
        "timestamptz_trunc",
        &[Text, Timestamptz],
        Timestamptz,
        |c, a| {
            fields::trunc_timestamptz(
                args::text(a, 0)?,
                args::timestamp(a, 1)?,
                &c.session.forms.zone,
            )
            .map(Value::Timestamptz)
        },
    )
    .sql("date_trunc")
    .stable(),
    Function::new(
        "timestamptz_trunc_zone",
        &[Text, Timestamptz, Text],
        Timestamptz,
        |_, a| {
            let tz = zone::parse(args::text(a, 2)?)?;
            fields::trunc_timestamptz(args::text(a, 0)?, args::timestamp(a, 1)?, &tz)
                .map(Value::Timestamptz)
        },
    )
    .sql("date_trunc")
    .stable(),
    Function::new("interval_trunc", &[Text, Interval], Interval, |_, a| {
        fields::trunc_interval(args::text(a, 0)?, &args::interval(a, 1)?).map(Value::Interval)
    })
    .sql("date_trunc"),
    Function::new(
        "timestamp_bin",
        &[Interval, Timestamp, Timestamp],
        Timestamp,
        |_, a| bin(a).map(Value::Timestamp),
    )
    .sql("date_bin"),
    Function::new(
        "timestamptz_bin",
        &[Interval, Timestamptz, Timestamptz],
        Timestamptz,
        |_, a| bin(a).map(Value::Timestamptz),
    )
    .sql("date_bin"),
    Function::new("make_date", &[Int4, Int4, Int4], Date, |_, a| {
        fields::make_date(args::int4(a, 0)?, args::int4(a, 1)?, args::int4(a, 2)?).map(Value::Date)
    }),
    Function::new("make_time", &[Int4, Int4, Float8], Time, |_, a| {
        clock(a, 0).map(Value::Time)
    }),
    Function::new(
        "make_timestamp",
        &[Int4, Int4, Int4, Int4, Int4, Float8],
        Timestamp,
        |_, a| local(a).map(Value::Timestamp),
    ),
    Function::new(
        "make_timestamptz",
        &[Int4, Int4, Int4, Int4, Int4, Float8],
        Timestamptz,
        |c, a| zone::to_utc(&c.session.forms.zone, local(a)?).map(Value::Timestamptz),
    )
    .stable(),
    Function::new(
        "make_timestamptz_at_timezone",
        &[Int4, Int4, Int4, Int4, Int4, Float8, Text],
        Timestamptz,
        |_, a| zone::to_utc(&zone::parse(args::text(a, 6)?)?, local(a)?).map(Value::Timestamptz),
    )
    .sql("make_timestamptz")
    .stable(),
    Function::new("make_interval_0", &[], Interval, |_, a| make_interval(a)).sql("make_interval"),
    Function::new("make_interval_1", &[Int4], Interval, |_, a| {
        make_interval(a)
    })
    .sql("make_interval"),
    Function::new("make_interval_2", &[Int4, Int4], Interval, |_, a| {
        make_interval(a)
    })
    .sql("make_interval"),
    Function::new("make_interval_3", &[Int4, Int4, Int4], Interval, |_, a| {
        make_interval(a)
    })
    .sql("make_interval"),
    Function::new(
        "make_interval_4",
        &[Int4, Int4, Int4, Int4],
        Interval,
        |_, a| make_interval(a),
    )
    .sql("make_interval"),
    Function::new(
        "make_interval_5",
        &[Int4, Int4, Int4, Int4, Int4],
        Interval,
        |_, a| make_interval(a),
    )
    .sql("make_interval"),
    Function::new(
        "make_interval_6",
        &[Int4, Int4, Int4, Int4, Int4, Int4],
        Interval,
        |_, a| make_interval(a),
    )
    .sql("make_interval"),
    Function::new(
        "make_interval",
        &[Int4, Int4, Int4, Int4, Int4, Int4, Float8],
        Interval,
        |_, a| make_interval(a),
    ),
    Function::new("timestamp_zone", &[Text, Timestamp], Timestamptz, |_, a| {
        zone::to_utc(&zone::parse(args::text(a, 0)?)?, args::timestamp(a, 1)?)
            .map(Value::Timestamptz)
    })
    .sql("timezone"),
    Function::new(
        "timestamptz_zone",
        &[Text, Timestamptz],
        Timestamp,
        |_, a| {
            Ok(Value::Timestamp(zone::to_local(
                &zone::parse(args::text(a, 0)?)?,
                args::timestamp(a, 1)?,
            )))
        },
    )
    .sql("timezone"),
    Function::new(
        "timestamp_izone",
        &[Interval, Timestamp],
        Timestamptz,
        |_, a| {
            zone::shift(args::timestamp(a, 1)?, -seconds_of(args::interval(a, 0)?)?)
                .map(Value::Timestamptz)
        },
    )
    .sql("timezone"),
    Function::new(
        "timestamptz_izone",
        &[Interval, Timestamptz],
        Timestamp,
        |_, a| {
            zone::shift(args::timestamp(a, 1)?, seconds_of(args::interval(a, 0)?)?)
                .map(Value::Timestamp)
        },
    )
    .sql("timezone"),
    Function::new("float8_timestamptz", &[Float8], Timestamptz, |_, a| {
        from_epoch(args::float(a, 0)?)
    })
    .sql("to_timestamp"),
    Function::new("date_finite", &[Date], Bool, |_, a| {
        Ok(is_finite_date(args::date(a, 0)?).into())
    })
    .sql("isfinite"),
    Function::new("timestamp_finite", &[Timestamp], Bool, |_, a| {
        Ok(is_finite(args::timestamp(a, 0)?).into())
    })
    .sql("isfinite"),
    Function::new("timestamptz_finite", &[Timestamptz], Bool, |_, a| {
        Ok(is_finite(args::timestamp(a, 0)?).into())
    })
    .sql("isfinite"),
    Function::new("interval_finite", &[Interval], Bool, |_, _| Ok(true.into())).sql("isfinite"),
];

/// The names without parentheses (CURRENT_DATE …) are bound to these too.
pub static NOW: &[Function] = &[
    Function::new("now", &[], Timestamptz, |c, _| {
        Ok(Value::Timestamptz(c.transaction_micros))
    })
    .stable(),
    Function::new("now_transaction", &[], Timestamptz, |c, _| {
        Ok(Value::Timestamptz(c.transaction_micros))
    })
    .sql("transaction_timestamp")
    .stable(),
    Function::new("now_current", &[], Timestamptz, |c, _| {
        Ok(Value::Timestamptz(c.transaction_micros))
    })
    .sql("current_timestamp")
    .stable(),
    Function::new("statement_timestamp", &[], Timestamptz, |c, _| {
        Ok(Value::Timestamptz(c.statement_micros))
    })
    .stable(),
    Function::new("clock_timestamp", &[], Timestamptz, |_, _| {
        Ok(Value::Timestamptz(clock_now()))
    })
    .volatile(),
    Function::new("timeofday", &[], Text, |c, _| {
        let now = Value::Timestamptz(clock_now());
        let template = Value::from("Dy Mon DD HH24:MI:SS.US YYYY TZ");
        super::pattern::instant(c, &[now, template])
    })
    .volatile(),
    Function::new("localtimestamp", &[], Timestamp, |c, _| {
        Ok(Value::Timestamp(local_now(c)))
    })
    .stable(),
    Function::new("localtime", &[], Time, |c, _| {
        Ok(Value::Time(time::split(local_now(c)).1))
    })
    .stable(),
    Function::new("current_time", &[], Time, |c, _| {
        Ok(Value::Time(time::split(local_now(c)).1))
    })
    .stable(),
    Function::new("current_date", &[], Date, |c, _| {
        Ok(Value::Date(timestamp_to_date(local_now(c))))
    })
    .stable(),
    Function::new("pg_postmaster_start_time", &[], Timestamptz, |c, _| {
        Ok(Value::Timestamptz(c.session.server_start_micros))
    })
    .stable(),
];

fn exact(n: Option<Numeric>) -> Result<Value> {
    Ok(n.map_or(Value::Null, make_numeric))
}

fn float(n: Option<Numeric>) -> Result<Value> {
    Ok(n.map_or(Value::Null, |n| Value::Float8(n.to_f64())))
}

fn extract_instant(ctx: &Context, a: &[Value]) -> Result<Option<Numeric>> {
    fields::extract_timestamptz(
        args::text(a, 0)?,
        args::timestamp(a, 1)?,
        &ctx.session.forms.zone,
    )
}

fn local_now(ctx: &Context) -> i64 {
    zone::to_local(&ctx.session.forms.zone, ctx.transaction_micros)
}

/// Microseconds since 2000-01-01 UTC, as the machine has them now.
pub fn clock_now() -> i64 {
    runtime::wall_micros() - time::UNIX_TO_PG_MICROS
}

fn overflow(message: impl Into<String>) -> Error {
    Error::new(SqlState::DATETIME_FIELD_OVERFLOW, message)
}

/// Hour, minute and second from argument `at` on, as microseconds of the day.
fn clock(a: &[Value], at: usize) -> Result<i64> {
    let (hour, minute, second) = (
        args::int4(a, at)?,
        args::int4(a, at + 1)?,
        args::float(a, at + 2)?,
    );
    let refuse = || {
        overflow(format!(
            "time field value out of range: {hour}:{minute:02}:{second:02}"
        ))
    };
    let in_range =
        (0..=24).contains(&hour) && (0..60).contains(&minute) && (0.0..=60.0).contains(&second);
    if !in_range {
        return Err(refuse());
    }
    let micros = i64::from(hour) * MICROS_PER_HOUR
        + i64::from(minute) * MICROS_PER_MINUTE
        + (second * 1e6).round_ties_even() as i64;
    if micros > MICROS_PER_DAY {
        return Err(refuse());
    }
    Ok(micros)
}

fn local(a: &[Value]) -> Result<i64> {
    let date = fields::make_date(args::int4(a, 0)?, args::int4(a, 1)?, args::int4(a, 2)?)?;
    let midnight = time::date_to_timestamp(date)?;
    time::check_timestamp(i128::from(midnight) + i128::from(clock(a, 3)?))
}

/// Years, months, weeks, days, hours, minutes, seconds; those not given are 0.
fn make_interval(a: &[Value]) -> Result<Value> {
    let int = |i: usize| {
        if i < a.len().min(6) {
            args::int(a, i)
        } else {
            Ok(0)
        }
    };
    let seconds = if a.len() > 6 { args::float(a, 6)? } else { 0.0 };
    let out = || overflow("interval out of range");
    if !seconds.is_finite() || seconds.abs() > 9.2e12 {
        return Err(out());
    }
    let months = int(0)? * 12 + int(1)?;
    let days = int(2)? * 7 + int(3)?;
    let micros = int(4)? * MICROS_PER_HOUR + int(5)? * MICROS_PER_MINUTE;
    let micros = micros.checked_add((seconds * 1e6).round_ties_even() as i64);
    Ok(Value::Interval(types::Interval {
        months: i32::try_from(months).map_err(|_| out())?,
        days: i32::try_from(days).map_err(|_| out())?,
        micros: micros.ok_or_else(out)?,
    }))
}

/// An offset given as an interval of time, in seconds.
fn seconds_of(v: types::Interval) -> Result<i32> {
    if v.months != 0 || v.days != 0 {
        return Err(Error::new(
            SqlState::INVALID_PARAMETER_VALUE,
            "interval time zone must not include months or days",
        ));
    }
    i32::try_from(v.micros / time::MICROS_PER_SECOND).map_err(|_| time::timestamp_out_of_range())
}

fn from_epoch(seconds: f64) -> Result<Value> {
    if seconds.is_infinite() {
        return Ok(Value::Timestamptz(if seconds > 0.0 {
            time::INFINITY
        } else {
            time::NEG_INFINITY
        }));
    }
    let unix = (seconds * 1e6).round_ties_even();
    if unix.is_nan() {
        return Err(overflow("timestamp cannot be NaN"));
    }
    if unix.abs() > 9.3e18 {
        return Err(overflow(format!("timestamp out of range: \"{seconds}\"")));
    }
    let micros = unix as i128 - i128::from(time::UNIX_TO_PG_MICROS);
    time::check_timestamp(micros).map(Value::Timestamptz)
}

/// The start of the stride, counted from an origin, that a timestamp lies in.
fn bin(a: &[Value]) -> Result<i64> {
    let stride = args::interval(a, 0)?;
    let (at, origin) = (args::timestamp(a, 1)?, args::timestamp(a, 2)?);
    if !is_finite(at) {
        return Ok(at);
    }
    if !is_finite(origin) {
        return Err(overflow("origin out of range"));
    }
    if stride.months != 0 {
        return Err(Error::unsupported(
            "timestamps cannot be binned into intervals containing months or years",
        ));
    }
    let width = i64::from(stride.days)
        .checked_mul(MICROS_PER_DAY)
        .and_then(|d| d.checked_add(stride.micros));
    let width = width.ok_or_else(|| overflow("interval out of range"))?;
    if width <= 0 {
        return Err(overflow("stride must be greater than zero"));
    }
    let since = i128::from(at) - i128::from(origin);
    time::check_timestamp(i128::from(at) - since.rem_euclid(i128::from(width)))
}
