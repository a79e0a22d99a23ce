//! Which fields an interval has and how many decimals of a second: `interval hour to minute`, `interval(3)`.
//!
//! Owns: PostgreSQL's packing of both in a modifier, its name, and what is cut off a value. Asked by: `text`, `format_type`, the
//! binder. Never: asks which fields a text names; `interval` does. Bounds: 0 to 6 decimals.
//! Source: PostgreSQL 15 `timestamp.c` (`intervaltypmodin`, `intervaltypmodout`, `AdjustIntervalForTypmod`).

use super::interval::Unit;
use super::{MICROS_PER_HOUR, MICROS_PER_MINUTE};
use crate::Interval;

const YEAR: i32 = 1 << 2;
const MONTH: i32 = 1 << 1;
const DAY: i32 = 1 << 3;
const HOUR: i32 = 1 << 10;
const MINUTE: i32 = 1 << 11;
const SECOND: i32 = 1 << 12;
const ALL: i32 = 0x7fff;
const ANY_DECIMALS: i32 = 0xffff;

/// Sets of fields that are a type, by their names.
const NAMED: &[(&str, i32)] = &[
    ("year", YEAR),
    ("month", MONTH),
    ("day", DAY),
    ("hour", HOUR),
    ("minute", MINUTE),
    ("second", SECOND),
    ("year to month", YEAR | MONTH),
    ("day to hour", DAY | HOUR),
    ("day to minute", DAY | HOUR | MINUTE),
    ("day to second", DAY | HOUR | MINUTE | SECOND),
    ("hour to minute", HOUR | MINUTE),
    ("hour to second", HOUR | MINUTE | SECOND),
    ("minute to second", MINUTE | SECOND),
];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    fields: i32,
    /// 0 to 6; `None`: as many as there are.
    decimals: Option<i32>,
}

impl Range {
    /// All fields.
    pub const WHOLE: Range = Range {
        fields: ALL,
        decimals: None,
    };

    /// By the fields' names in small letters, `""` for all; `None` for what is no type.
    pub fn named(fields: &str, decimals: Option<i32>) -> Option<Range> {
        let known = NAMED.iter().find(|(name, _)| *name == fields);
        let fields = match known {
            Some((_, fields)) => *fields,
            None if fields.is_empty() => ALL,
            None => return None,
        };
        let seconds = fields & SECOND != 0;
        (seconds || decimals.is_none()).then_some(Range { fields, decimals })
    }

    pub fn of(typmod: i32) -> Range {
        if typmod < 0 {
            return Range::WHOLE;
        }
        let decimals = typmod & 0xffff;
        Range {
            fields: (typmod >> 16) & ALL,
            decimals: (decimals != ANY_DECIMALS).then_some(decimals),
        }
    }

    /// -1 for all fields with all their decimals.
    pub fn typmod(self) -> i32 {
        if self == Range::WHOLE {
            return -1;
        }
        (self.fields << 16) | self.decimals.unwrap_or(ANY_DECIMALS)
    }

    /// What stands behind `interval` in the type's name, with the blank before it.
    pub fn suffix(self) -> String {
        let known = NAMED.iter().find(|(_, fields)| *fields == self.fields);
        let fields = known.map_or(String::new(), |(name, _)| format!(" {name}"));
        match self.decimals {
            Some(n) => format!("{fields}({n})"),
            None => fields,
        }
    }

    pub fn decimals(self) -> Option<i32> {
        self.decimals
    }

    /// What a number without a unit counts.
    pub(super) fn last_unit(self) -> Unit {
        match self.fields {
            YEAR => Unit::Year,
            f if f & SECOND != 0 => Unit::Second,
            f if f & MINUTE != 0 => Unit::Minute,
            f if f & HOUR != 0 => Unit::Hour,
            f if f & DAY != 0 => Unit::Day,
            _ => Unit::Month,
        }
    }

    /// `1:2` is minutes and seconds.
    pub(super) fn begins_with_minutes(self) -> bool {
        self.fields == MINUTE | SECOND
    }

    /// The value without what is below the last field, its decimals aside.
    pub fn cut(self, v: Interval) -> Interval {
        let down_to = |micros: i64, unit: i64| micros / unit * unit;
        let unit = match self.fields {
            ALL => return v,
            f if f & SECOND != 0 => 1,
            f if f & MINUTE != 0 => MICROS_PER_MINUTE,
            f if f & HOUR != 0 => MICROS_PER_HOUR,
            f => {
                let days = if f & DAY != 0 { v.days } else { 0 };
                let months = if f == YEAR {
                    v.months / 12 * 12
                } else {
                    v.months
                };
                return Interval {
                    months,
                    days,
                    micros: 0,
                };
            }
        };
        Interval {
            micros: down_to(v.micros, unit),
            ..v
        }
    }
}
