//! Calendar arithmetic is PostgreSQL's: `cases.tsv` holds an operation, its operands and what PostgreSQL 15 answered in the
//! time zone America/New_York.

use super::*;
use crate::text::forms::IntervalStyle;
use crate::text::{Forms, ParseEnv, parse, to_string};
use crate::{DataType, Interval, Numeric, Value};
use jiff::tz::TimeZone;

struct Reader {
    forms: Forms,
}

impl Reader {
    fn value(&self, s: &str, ty: DataType) -> Result<Value> {
        let env = ParseEnv {
            forms: &self.forms,
            now_micros: 0,
        };
        parse(s, ty, -1, &env)
    }

    fn timestamp(&self, s: &str) -> Result<i64> {
        match self.value(s, DataType::Timestamp)? {
            Value::Timestamp(t) => Ok(t),
            other => panic!("not a timestamp: {other:?}"),
        }
    }

    fn timestamptz(&self, s: &str) -> Result<i64> {
        match self.value(s, DataType::Timestamptz)? {
            Value::Timestamptz(t) => Ok(t),
            other => panic!("not a timestamptz: {other:?}"),
        }
    }

    fn interval(&self, s: &str) -> Interval {
        interval::parse(s, range::Range::WHOLE, IntervalStyle::Postgres).unwrap()
    }

    fn numeric(&self, n: Option<Numeric>) -> String {
        n.map_or(String::new(), |n| n.to_string())
    }

    fn show(&self, v: Value, ty: DataType) -> String {
        to_string(&v, ty, &self.forms)
    }

    fn show_interval(&self, i: Interval) -> String {
        self.show(Value::Interval(i), DataType::Interval)
    }

    fn run(&self, op: &str, a: &str, b: &str) -> Result<String> {
        let ts = |t| self.show(Value::Timestamp(t), DataType::Timestamp);
        let tz = |t| self.show(Value::Timestamptz(t), DataType::Timestamptz);
        let iv = |i| self.show_interval(i);
        Ok(match op {
            "ext_ts" => self.numeric(fields::extract_timestamp(a, self.timestamp(b)?)?),
            "ext_tz" => self.numeric(fields::extract_timestamptz(
                a,
                self.timestamptz(b)?,
                &self.forms.zone,
            )?),
            "ext_d" => match self.value(b, DataType::Date)? {
                Value::Date(d) => self.numeric(fields::extract_date(a, d)?),
                other => panic!("not a date: {other:?}"),
            },
            "ext_t" => match self.value(b, DataType::Time)? {
                Value::Time(t) => fields::extract_time(a, t)?.to_string(),
                other => panic!("not a time: {other:?}"),
            },
            "ext_iv" => fields::extract_interval(a, &self.interval(b))?.to_string(),
            "trunc_ts" => ts(fields::trunc_timestamp(a, self.timestamp(b)?)?),
            "trunc_tz" => tz(fields::trunc_timestamptz(
                a,
                self.timestamptz(b)?,
                &self.forms.zone,
            )?),
            "trunc_iv" => iv(fields::trunc_interval(a, &self.interval(b))?),
            "plus_ts" => ts(arith::timestamp_plus(
                self.timestamp(a)?,
                &self.interval(b),
            )?),
            "plus_tz" => {
                let sum = arith::timestamptz_plus(
                    self.timestamptz(a)?,
                    &self.interval(b),
                    &self.forms.zone,
                );
                tz(sum?)
            }
            "plus_t" => match self.value(a, DataType::Time)? {
                Value::Time(t) => {
                    let sum = Value::Time(arith::time_plus(t, &self.interval(b)));
                    self.show(sum, DataType::Time)
                }
                other => panic!("not a time: {other:?}"),
            },
            "minus" => iv(arith::timestamp_minus(
                self.timestamp(a)?,
                self.timestamp(b)?,
            )?),
            "age" => iv(arith::age(self.timestamp(a)?, self.timestamp(b)?)?),
            "mul" => iv(arith::interval_mul(&self.interval(a), b.parse().unwrap())?),
            "div" => iv(arith::interval_div(&self.interval(a), b.parse().unwrap())?),
            "iv_add" => iv(arith::interval_add(&self.interval(a), &self.interval(b))?),
            "iv_sub" => iv(arith::interval_sub(&self.interval(a), &self.interval(b))?),
            "neg" => iv(arith::interval_neg(&self.interval(a))?),
            "jh" => iv(arith::justify_hours(&self.interval(a))?),
            "jd" => iv(arith::justify_days(&self.interval(a))?),
            "ji" => iv(arith::justify_interval(&self.interval(a))?),
            "mkdate" => {
                let n: Vec<i32> = b.split(',').map(|p| p.parse().unwrap()).collect();
                let date = fields::make_date(n[0], n[1], n[2])?;
                self.show(Value::Date(date), DataType::Date)
            }
            other => panic!("unknown operation {other}"),
        })
    }
}

#[test]
fn arithmetic_and_fields_are_those_of_postgresql() {
    let reader = Reader {
        forms: Forms {
            zone: TimeZone::get("America/New_York").unwrap(),
            ..Forms::UTC
        },
    };
    let mut wrong = Vec::new();
    for line in include_str!("cases.tsv").lines() {
        let [op, a, b, expected] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("a line of four fields: {line}");
        };
        let found = reader.run(op, a, b).unwrap_or_else(|e| e.to_string());
        if found != expected {
            wrong.push(format!("{op} {a} | {b}: {found}, wanted {expected}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{}\n{} wrong",
        wrong.join("\n"),
        wrong.len()
    );
}

#[test]
fn days_and_calendar_agree_over_the_whole_range() {
    let mut day = i64::from(DATE_MIN);
    while day < i64::from(DATE_END) {
        let c = civil(day);
        assert_eq!(day_number(c.year, c.month, i64::from(c.day)), day);
        assert!((1..=days_in_month(c.year, c.month)).contains(&c.day));
        day += 99_991;
    }
    assert_eq!(
        civil(0),
        Civil {
            year: 2000,
            month: 1,
            day: 1
        }
    );
}

#[test]
fn zones_are_known_by_name_abbreviation_and_posix_offset() {
    let now = 757_382_400_000_000;
    let offset = |name: &str| zone::parse(name).map(|tz| zone::offset_at(&tz, now));
    assert_eq!(offset("UTC").unwrap(), 0);
    assert_eq!(offset("Europe/Berlin").unwrap(), 3_600);
    assert_eq!(offset("europe/berlin").unwrap(), 3_600);
    assert_eq!(offset("EST").unwrap(), -18_000);
    assert_eq!(offset("+02").unwrap(), -7_200);
    assert_eq!(offset("GMT+3").unwrap(), -10_800);
    let setting = |text: &str| zone::parse_setting(text).map(|tz| zone::offset_at(&tz, now));
    assert_eq!(setting("-7").unwrap(), -25_200);
    assert_eq!(setting("+02").unwrap(), 7_200);
    assert_eq!(setting("5.5").unwrap(), 19_800);
    assert_eq!(setting("Asia/Tokyo").unwrap(), 32_400);
    let e = setting("nowhere").unwrap_err();
    assert_eq!(
        e.message(),
        "invalid value for parameter \"TimeZone\": \"nowhere\""
    );
    let e = offset("Nowhere/City").unwrap_err();
    assert_eq!(e.message(), "time zone \"Nowhere/City\" not recognized");
}

/// PostgreSQL 15 wraps around silently in these (fixed in later versions).
#[test]
fn differences_that_do_not_fit_are_refused() {
    let first = TIMESTAMP_MIN;
    let last = TIMESTAMP_END - 1;
    assert!(arith::timestamp_minus(last, first).is_err());
    assert!(arith::age(INFINITY, first).is_err());
    assert!(arith::age(last, first).is_ok());
}
