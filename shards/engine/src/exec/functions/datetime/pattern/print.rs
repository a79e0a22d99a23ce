//! Writing a moment by a template.

use super::scan::{Case, Field, Token};
use types::time::{
    JULIAN_DAY_ZERO, MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND, civil,
    day_number, fields, split,
};
use types::{Error, Interval, Result, SqlState};

pub const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
pub const DAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];
pub const ROMAN_MONTHS: [&str; 12] = [
    "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII",
];

/// The fields of a timestamp, or of an interval (then there is no day number).
pub struct Moment {
    year: i64,
    /// 0 in an interval without months.
    month: i64,
    day: i64,
    hour: i64,
    /// Microseconds below the hour.
    rest: i64,
    day_number: Option<i64>,
    /// Seconds east of UTC and the zone's abbreviation.
    zone: Option<(i32, String)>,
}

impl Moment {
    pub fn of_timestamp(at: i64, zone: Option<(i32, String)>) -> Moment {
        let (day, micros) = split(at);
        let date = civil(day);
        Moment {
            year: date.year,
            month: i64::from(date.month),
            day: i64::from(date.day),
            hour: micros / MICROS_PER_HOUR,
            rest: micros % MICROS_PER_HOUR,
            day_number: Some(day),
            zone,
        }
    }

    pub fn of_interval(v: &Interval) -> Moment {
        Moment {
            year: i64::from(v.months / 12),
            month: i64::from(v.months % 12),
            day: i64::from(v.days),
            hour: v.micros / MICROS_PER_HOUR,
            rest: v.micros % MICROS_PER_HOUR,
            day_number: None,
            zone: None,
        }
    }

    fn day_number(&self) -> Result<i64> {
        self.day_number.ok_or_else(|| {
            Error::new(
                SqlState::INVALID_DATETIME_FORMAT,
                "invalid format specification for an interval value",
            )
            .with_hint("Intervals are not tied to specific calendar dates.")
        })
    }

    fn day_of_year(&self) -> Result<i64> {
        Ok(self.day_number()? - day_number(self.year, 1, 1) + 1)
    }

    fn micros_of_second(&self) -> i64 {
        self.rest % MICROS_PER_SECOND
    }

    /// Years before 1 are counted backwards from 1 BC; an interval's may be 0.
    fn shown_year(&self) -> i64 {
        if self.day_number.is_some() && self.year <= 0 {
            1 - self.year
        } else {
            self.year
        }
    }
}

pub fn print(tokens: &[Token], m: &Moment) -> Result<String> {
    let mut out = String::new();
    for token in tokens {
        match token {
            Token::Literal(c) => out.push(*c),
            Token::Field {
                field,
                case,
                fill,
                ordinal,
            } => {
                let from = out.len();
                write_field(*field, *case, *fill, m, &mut out)?;
                if let Some(case) = ordinal {
                    let suffix = ordinal_suffix(&out[from..]);
                    out.push_str(&cased(suffix, *case));
                }
            }
        }
    }
    Ok(out)
}

fn write_field(field: Field, case: Case, fill: bool, m: &Moment, out: &mut String) -> Result<()> {
    let mut number = |value: i64, width: usize| {
        // A minus sign widens the fields of a clock and the year.
        let widened = value < 0 && !matches!(field, Field::Day | Field::Month);
        let width = if fill {
            0
        } else {
            width + usize::from(widened)
        };
        out.push_str(&format!("{value:0width$}"));
        Ok(())
    };
    match field {
        Field::Year(4) => number(m.shown_year(), 4),
        Field::Year(n) => number(m.shown_year() % 10i64.pow(u32::from(n)), usize::from(n)),
        Field::IsoYear(n) => {
            let (_, year) = fields::iso_week(m.day_number()?);
            number(
                if n == 4 {
                    year
                } else {
                    year % 10i64.pow(u32::from(n))
                },
                usize::from(n),
            )
        }
        Field::Century => number(century(m.year), 2),
        Field::Month => number(m.month, 2),
        Field::Quarter if m.month == 0 => Ok(()),
        Field::Quarter => number((m.month - 1) / 3 + 1, 1),
        Field::Week => number((m.day_of_year()? - 1) / 7 + 1, 2),
        Field::WeekOfMonth => number((m.day - 1) / 7 + 1, 1),
        Field::IsoWeek => number(fields::iso_week(m.day_number()?).0, 2),
        Field::Day => number(m.day, 2),
        Field::DayOfYear => number(m.day_of_year()?, 3),
        Field::IsoDayOfYear => {
            let day = m.day_number()?;
            let (week, _) = fields::iso_week(day);
            number((week - 1) * 7 + fields::iso_dow(day), 3)
        }
        Field::DayOfWeek => number(fields::iso_dow(m.day_number()?) % 7 + 1, 1),
        Field::IsoDayOfWeek => number(fields::iso_dow(m.day_number()?), 1),
        Field::Julian => number(m.day_number()? + JULIAN_DAY_ZERO, 1),
        Field::Hour12 => number(if m.hour % 12 == 0 { 12 } else { m.hour % 12 }, 2),
        Field::Hour24 => number(m.hour, 2),
        Field::Minute => number(m.rest / MICROS_PER_MINUTE, 2),
        Field::Second => number(m.rest % MICROS_PER_MINUTE / MICROS_PER_SECOND, 2),
        Field::Millisecond => number(m.micros_of_second() / 1_000, 3),
        Field::Microsecond => number(m.micros_of_second(), 6),
        Field::Fraction(n) => {
            let digits = 10i64.pow(6 - u32::from(n));
            number(m.micros_of_second() / digits, usize::from(n))
        }
        Field::SecondOfDay => number(
            (m.hour * MICROS_PER_HOUR + m.rest) % MICROS_PER_DAY / MICROS_PER_SECOND,
            1,
        ),
        _ => {
            out.push_str(&words(field, case, fill, m)?);
            Ok(())
        }
    }
}

/// Fields that are not one number.
fn words(field: Field, case: Case, fill: bool, m: &Moment) -> Result<String> {
    let name = |names: &[&str], i: i64, width: usize| {
        let name = usize::try_from(i).ok().and_then(|i| names.get(i)).copied();
        let name = cased(name.unwrap_or(""), case);
        let width = if fill || name.is_empty() { 0 } else { width };
        format!("{name:width$}")
    };
    let weekday = || m.day_number().map(|d| fields::iso_dow(d) % 7);
    let either = |second: bool, names: [&str; 2], dots: bool| {
        let name = names[usize::from(second)];
        let name = if dots {
            name.chars().flat_map(|c| [c, '.']).collect()
        } else {
            name.to_owned()
        };
        cased_all(&name, case)
    };
    let (offset, zone) = match &m.zone {
        Some((offset, name)) => (*offset, name.as_str()),
        None => (0, ""),
    };
    let minutes = offset.abs() / 60;
    Ok(match field {
        Field::YearComma => {
            let year = m.shown_year();
            format!("{},{:03}", year / 1000, year % 1000)
        }
        Field::MonthName => name(&MONTHS, m.month - 1, 9),
        Field::MonthShort => name(&MONTHS.map(|n| &n[..3]), m.month - 1, 0),
        Field::MonthRoman => {
            let roman = usize::try_from(m.month - 1)
                .ok()
                .and_then(|i| ROMAN_MONTHS.get(i));
            let roman = cased_all(roman.copied().unwrap_or(""), case);
            if fill { roman } else { format!("{roman:4}") }
        }
        Field::DayName => name(&DAYS, weekday()?, 9),
        Field::DayShort => name(&DAYS.map(|n| &n[..3]), weekday()?, 0),
        Field::Meridiem(dots) => either(m.hour % 24 >= 12, ["AM", "PM"], dots),
        Field::Era(dots) => either(m.day_number.is_some() && m.year <= 0, ["AD", "BC"], dots),
        Field::ZoneName => cased_all(zone, case),
        Field::ZoneHours => format!("{}{:02}", sign(offset), minutes / 60),
        Field::ZoneMinutes => format!("{:02}", minutes % 60),
        Field::Offset if minutes % 60 == 0 => format!("{}{:02}", sign(offset), minutes / 60),
        Field::Offset => format!("{}{:02}:{:02}", sign(offset), minutes / 60, minutes % 60),
        _ => String::new(),
    })
}

fn sign(offset: i32) -> char {
    if offset < 0 { '-' } else { '+' }
}

fn century(year: i64) -> i64 {
    if year > 0 {
        (year - 1) / 100 + 1
    } else {
        year / 100 - 1
    }
}

/// A capitalised name in another case.
fn cased(name: &str, case: Case) -> String {
    match case {
        Case::Upper => name.to_uppercase(),
        Case::Lower => name.to_lowercase(),
        Case::Capital => name.to_owned(),
    }
}

fn cased_all(name: &str, case: Case) -> String {
    if case == Case::Lower {
        name.to_lowercase()
    } else {
        name.to_uppercase()
    }
}

/// st, nd, rd or th for the digits of a number.
pub fn ordinal_suffix(digits: &str) -> &'static str {
    let bytes = digits.as_bytes();
    let teen = bytes.len() > 1 && bytes[bytes.len() - 2] == b'1';
    match bytes.last() {
        Some(b'1') if !teen => "st",
        Some(b'2') if !teen => "nd",
        Some(b'3') if !teen => "rd",
        _ => "th",
    }
}
