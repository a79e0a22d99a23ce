//! Sums and differences of dates, times, timestamps and intervals.
//!
//! Owns: month-end clamping, the cascade of fractions when an interval is scaled, justification, age.
//! Source: PostgreSQL 15 `timestamp.c` (`timestamp_pl_interval`, `interval_mul`, `timestamp_age`), `date.c`.

use super::{
    MICROS_PER_DAY, MICROS_PER_SECOND, check_timestamp, civil, day_number, days_in_month,
    interval_out_of_range, is_finite, split, timestamp_out_of_range, zone,
};
use crate::{Error, Interval, Result, SqlState};
use jiff::tz::TimeZone;

const SECONDS_PER_DAY: f64 = 86_400.0;

/// `timestamp + interval`: months (the day clamped to the month's end), then days, then time.
pub fn timestamp_plus(micros: i64, v: &Interval) -> Result<i64> {
    if !is_finite(micros) {
        return Ok(micros);
    }
    let day = plus_months_and_days(micros, v)?;
    check_timestamp(i128::from(day) + i128::from(v.micros))
}

/// `timestamptz + interval`: months and days move the wall clock of the zone, the time part moves the instant.
pub fn timestamptz_plus(micros: i64, v: &Interval, tz: &TimeZone) -> Result<i64> {
    if !is_finite(micros) {
        return Ok(micros);
    }
    let moved = if v.months == 0 && v.days == 0 {
        micros
    } else {
        zone::to_utc(tz, plus_months_and_days(zone::to_local(tz, micros), v)?)?
    };
    check_timestamp(i128::from(moved) + i128::from(v.micros))
}

fn plus_months_and_days(micros: i64, v: &Interval) -> Result<i64> {
    let (mut days, rest) = split(micros);
    if v.months != 0 {
        let c = civil(days);
        let months = c.year * 12 + i64::from(c.month) - 1 + i64::from(v.months);
        let (year, month) = (months.div_euclid(12), months.rem_euclid(12) as u32 + 1);
        let day = c.day.min(days_in_month(year, month));
        days = day_number(year, month, i64::from(day));
    }
    days += i64::from(v.days);
    check_timestamp(i128::from(days) * i128::from(MICROS_PER_DAY) + i128::from(rest))
}

/// `timestamp - timestamp`: days and time, no months.
pub fn timestamp_minus(a: i64, b: i64) -> Result<Interval> {
    if !is_finite(a) || !is_finite(b) {
        return Err(Error::new(
            SqlState::DATETIME_FIELD_OVERFLOW,
            "cannot subtract infinite timestamps",
        ));
    }
    let micros = a.checked_sub(b).ok_or_else(interval_out_of_range)?;
    justify_hours(&Interval {
        months: 0,
        days: 0,
        micros,
    })
}

/// `time + interval`: the time part only, around the clock.
pub fn time_plus(micros: i64, v: &Interval) -> i64 {
    (micros + v.micros % MICROS_PER_DAY).rem_euclid(MICROS_PER_DAY)
}

pub fn interval_neg(v: &Interval) -> Result<Interval> {
    let negated = (
        v.months.checked_neg(),
        v.days.checked_neg(),
        v.micros.checked_neg(),
    );
    match negated {
        (Some(months), Some(days), Some(micros)) => Ok(Interval {
            months,
            days,
            micros,
        }),
        _ => Err(interval_out_of_range()),
    }
}

pub fn interval_add(a: &Interval, b: &Interval) -> Result<Interval> {
    let sums = (
        a.months.checked_add(b.months),
        a.days.checked_add(b.days),
        a.micros.checked_add(b.micros),
    );
    match sums {
        (Some(months), Some(days), Some(micros)) => Ok(Interval {
            months,
            days,
            micros,
        }),
        _ => Err(interval_out_of_range()),
    }
}

pub fn interval_sub(a: &Interval, b: &Interval) -> Result<Interval> {
    let differences = (
        a.months.checked_sub(b.months),
        a.days.checked_sub(b.days),
        a.micros.checked_sub(b.micros),
    );
    match differences {
        (Some(months), Some(days), Some(micros)) => Ok(Interval {
            months,
            days,
            micros,
        }),
        _ => Err(interval_out_of_range()),
    }
}

pub fn interval_mul(v: &Interval, factor: f64) -> Result<Interval> {
    scale(v, |field| field * factor)
}

pub fn interval_div(v: &Interval, divisor: f64) -> Result<Interval> {
    if divisor == 0.0 {
        return Err(Error::new(SqlState::DIVISION_BY_ZERO, "division by zero"));
    }
    scale(v, |field| field / divisor)
}

/// Fractions of months go to days (30 a month), fractions of days to time.
fn scale(v: &Interval, by: impl Fn(f64) -> f64) -> Result<Interval> {
    let whole = |x: f64| -> Result<i32> {
        if x.is_nan() || x >= 2_147_483_648.0 || x <= -2_147_483_649.0 {
            return Err(interval_out_of_range());
        }
        Ok(x as i32)
    };
    let months = whole(by(f64::from(v.months)))?;
    let days = whole(by(f64::from(v.days)))?;
    let month_days = round_micros((by(f64::from(v.months)) - f64::from(months)) * 30.0);
    let day_part = by(f64::from(v.days)) - f64::from(days) + month_days - month_days.trunc();
    let mut seconds = round_micros(day_part * SECONDS_PER_DAY);
    let mut extra = month_days.trunc() as i64;
    if seconds.abs() >= SECONDS_PER_DAY {
        let over = (seconds / SECONDS_PER_DAY).trunc();
        extra += over as i64;
        seconds -= over * SECONDS_PER_DAY;
    }
    let micros = (by(v.micros as f64) + seconds * MICROS_PER_SECOND as f64).round_ties_even();
    if micros.is_nan() || !(-9.223_372_036_854_775e18..9.223_372_036_854_775e18).contains(&micros) {
        return Err(interval_out_of_range());
    }
    Ok(Interval {
        months,
        days: i32::try_from(i64::from(days) + extra).map_err(|_| interval_out_of_range())?,
        micros: micros as i64,
    })
}

fn round_micros(v: f64) -> f64 {
    (v * 1e6).round_ties_even() / 1e6
}

/// Whole days out of the time part, signs made to agree.
pub fn justify_hours(v: &Interval) -> Result<Interval> {
    let mut days = i64::from(v.days) + v.micros / MICROS_PER_DAY;
    let mut micros = v.micros % MICROS_PER_DAY;
    if days > 0 && micros < 0 {
        micros += MICROS_PER_DAY;
        days -= 1;
    } else if days < 0 && micros > 0 {
        micros -= MICROS_PER_DAY;
        days += 1;
    }
    Ok(Interval {
        months: v.months,
        days: i32::try_from(days).map_err(|_| interval_out_of_range())?,
        micros,
    })
}

/// Whole months of 30 days out of the days.
pub fn justify_days(v: &Interval) -> Result<Interval> {
    let mut months = i64::from(v.months) + i64::from(v.days / 30);
    let mut days = v.days % 30;
    if months > 0 && days < 0 {
        days += 30;
        months -= 1;
    } else if months < 0 && days > 0 {
        days -= 30;
        months += 1;
    }
    Ok(Interval {
        months: i32::try_from(months).map_err(|_| interval_out_of_range())?,
        days,
        micros: v.micros,
    })
}

/// Both, with all signs made to agree.
pub fn justify_interval(v: &Interval) -> Result<Interval> {
    let mut days = i64::from(v.days) + v.micros / MICROS_PER_DAY;
    let mut micros = v.micros % MICROS_PER_DAY;
    let mut months = i64::from(v.months) + days / 30;
    days %= 30;
    if months > 0 && (days < 0 || (days == 0 && micros < 0)) {
        days += 30;
        months -= 1;
    } else if months < 0 && (days > 0 || (days == 0 && micros > 0)) {
        days -= 30;
        months += 1;
    }
    if days > 0 && micros < 0 {
        micros += MICROS_PER_DAY;
        days -= 1;
    } else if days < 0 && micros > 0 {
        micros -= MICROS_PER_DAY;
        days += 1;
    }
    Ok(Interval {
        months: i32::try_from(months).map_err(|_| interval_out_of_range())?,
        days: days as i32,
        micros,
    })
}

/// `age(a, b)` of two local timestamps: years, months, days and time as a calendar counts them.
pub fn age(a: i64, b: i64) -> Result<Interval> {
    if !is_finite(a) || !is_finite(b) {
        return Err(timestamp_out_of_range());
    }
    let (later, earlier, sign) = if a < b { (b, a, -1) } else { (a, b, 1) };
    let ((day_l, time_l), (day_e, time_e)) = (split(later), split(earlier));
    let (l, e) = (civil(day_l), civil(day_e));
    let mut months = (l.year - e.year) * 12 + i64::from(l.month) - i64::from(e.month);
    let mut days = i64::from(l.day) - i64::from(e.day);
    let mut micros = time_l - time_e;
    if micros < 0 {
        micros += MICROS_PER_DAY;
        days -= 1;
    }
    while days < 0 {
        // Borrowed from the month of the earlier moment.
        days += i64::from(days_in_month(e.year, e.month));
        months -= 1;
    }
    Ok(Interval {
        months: i32::try_from(sign * months).map_err(|_| interval_out_of_range())?,
        days: (sign * days) as i32,
        micros: sign * micros,
    })
}

/// `date + n`; infinities stay.
pub fn date_plus(days: i32, n: i64) -> Result<i32> {
    if !super::is_finite_date(days) {
        return Ok(days);
    }
    super::check_date(i64::from(days).saturating_add(n))
}
