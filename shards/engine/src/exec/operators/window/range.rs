//! `RANGE … PRECEDING` and `FOLLOWING`: whether a value is within an offset of another.
//!
//! Owns: PostgreSQL's `in_range` support functions for each type that has one. Never: overflows: what is beyond a type's
//! range is before or after all of it. Source: PostgreSQL 15 `int.c`, `float.c`, `numeric.c`, `timestamp.c`, `date.c`.

use std::cmp::Ordering;
use types::time::{arith, date_to_timestamp};
use types::{Error, Interval, Numeric, Result, SqlState, Value, order};

/// `value <= base ± offset` where `less`, else `value >= base ± offset`; minus where `back`. None of the three is NULL.
pub(super) fn in_range(
    value: &Value,
    base: &Value,
    offset: &Value,
    back: bool,
    less: bool,
    zone: &jiff::tz::TimeZone,
) -> Result<bool> {
    if let (Some(v), Some(b), Some(o)) = (value.as_i64(), base.as_i64(), offset.as_i64()) {
        refuse(o < 0)?;
        let o = if back { -i128::from(o) } else { i128::from(o) };
        return Ok(holds(i128::from(v).cmp(&(i128::from(b) + o)), less));
    }
    match (value, base, offset) {
        (Value::Float4(v), Value::Float4(b), Value::Float8(o)) => {
            float(f64::from(*v), f64::from(*b), *o, back, less)
        }
        (Value::Float8(v), Value::Float8(b), Value::Float8(o)) => float(*v, *b, *o, back, less),
        (Value::Numeric(v), Value::Numeric(b), Value::Numeric(o)) => numeric(v, b, o, back, less),
        (value, base, Value::Interval(o)) => moved(value, base, o, back, less, zone),
        _ => Err(Error::internal("RANGE over types that have no offset")),
    }
}

fn holds(ordering: Ordering, less: bool) -> bool {
    if less {
        ordering.is_le()
    } else {
        ordering.is_ge()
    }
}

fn refuse(negative: bool) -> Result<()> {
    if negative {
        return Err(Error::new(
            SqlState::INVALID_PRECEDING_OR_FOLLOWING_SIZE,
            "invalid preceding or following size in window function",
        ));
    }
    Ok(())
}

fn float(v: f64, b: f64, o: f64, back: bool, less: bool) -> Result<bool> {
    refuse(o.is_nan() || o < 0.0)?;
    match (v.is_nan(), b.is_nan()) {
        (true, true) => return Ok(true),
        (true, false) => return Ok(!less),
        (false, true) => return Ok(less),
        (false, false) => {}
    }
    // Infinity minus infinity: every value is within an infinite offset of that end.
    if o.is_infinite() && b.is_infinite() && (b > 0.0) == back {
        return Ok(true);
    }
    let sum = if back { b - o } else { b + o };
    Ok(if less { v <= sum } else { v >= sum })
}

fn numeric(v: &Numeric, b: &Numeric, o: &Numeric, back: bool, less: bool) -> Result<bool> {
    refuse(o.is_nan() || o.is_negative())?;
    match (v.is_nan(), b.is_nan()) {
        (true, true) => return Ok(true),
        (true, false) => return Ok(!less),
        (false, true) => return Ok(less),
        (false, false) => {}
    }
    let sum = if back { b.sub(o)? } else { b.add(o)? };
    if sum.is_nan() {
        return Ok(true);
    }
    Ok(holds(v.compare(&sum), less))
}

fn moved(
    value: &Value,
    base: &Value,
    offset: &Interval,
    back: bool,
    less: bool,
    zone: &jiff::tz::TimeZone,
) -> Result<bool> {
    if let (Value::Time(v), Value::Time(b)) = (value, base) {
        refuse(offset.micros < 0)?;
        let o = i128::from(offset.micros);
        let sum = i128::from(*b) + if back { -o } else { o };
        return Ok(holds(i128::from(*v).cmp(&sum), less));
    }
    refuse(order::span(offset) < 0)?;
    let step = if back {
        arith::interval_neg(offset)?
    } else {
        *offset
    };
    let ordering = match (value, base) {
        (Value::Date(v), Value::Date(b)) => {
            let sum = arith::timestamp_plus(date_to_timestamp(*b)?, &step)?;
            date_to_timestamp(*v)?.cmp(&sum)
        }
        (Value::Timestamp(v), Value::Timestamp(b)) => v.cmp(&arith::timestamp_plus(*b, &step)?),
        (Value::Timestamptz(v), Value::Timestamptz(b)) => {
            v.cmp(&arith::timestamptz_plus(*b, &step, zone)?)
        }
        (Value::Interval(v), Value::Interval(b)) => {
            order::span(v).cmp(&order::span(&arith::interval_add(b, &step)?))
        }
        _ => return Err(Error::internal("RANGE over types that have no offset")),
    };
    Ok(holds(ordering, less))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;

    fn within(value: Value, base: Value, offset: Value, back: bool, less: bool) -> bool {
        in_range(&value, &base, &offset, back, less, &TimeZone::UTC).unwrap()
    }

    #[test]
    fn an_offset_beyond_the_type_reaches_everything() {
        let (low, high) = (Value::Int8(i64::MIN), Value::Int8(i64::MAX));
        assert!(within(low.clone(), high.clone(), high.clone(), false, true));
        assert!(within(high.clone(), low.clone(), high.clone(), true, false));
        assert!(!within(low, high.clone(), high, false, false));
    }

    #[test]
    fn nan_is_in_range_of_nan_alone_and_infinity_of_all_that_reach_it() {
        let nan = || Value::Float8(f64::NAN);
        let one = || Value::Float8(1.0);
        assert!(within(nan(), nan(), one(), true, false));
        assert!(!within(nan(), one(), one(), false, true));
        let infinity = || Value::Float8(f64::INFINITY);
        assert!(within(one(), infinity(), infinity(), true, false));
        assert!(!within(one(), infinity(), one(), true, false));
    }

    #[test]
    fn a_negative_offset_is_refused_with_its_own_code() {
        let refused = in_range(
            &Value::Int4(1),
            &Value::Int4(1),
            &Value::Int4(-1),
            false,
            true,
            &TimeZone::UTC,
        );
        assert_eq!(refused.unwrap_err().code().as_str(), "22013");
    }
}
