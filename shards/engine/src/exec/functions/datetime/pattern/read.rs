//! Reading a text by a template, for to_date and to_timestamp.
//!
//! Owns: PostgreSQL's lenience: separators match any separators, blanks are skipped, a number takes its field's width only
//! where the next token is a number too.

use super::print::{DAYS, MONTHS, ROMAN_MONTHS};
use super::scan::{Case, Field, Token};
use types::time::{
    self, JULIAN_DAY_ZERO, MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND,
    day_number, days_in_month, fields,
};
use types::{Error, Result, SqlState};

/// Local time, and the offset if the text had one (seconds east of UTC).
pub struct Local {
    pub micros: i64,
    pub offset: Option<i32>,
}

#[derive(Default)]
struct Found {
    year: Option<i64>,
    iso_year: Option<i64>,
    century: Option<i64>,
    bc: bool,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    iso_week: Option<i64>,
    iso_day: Option<i64>,
    week: Option<i64>,
    julian: Option<i64>,
    hour: i64,
    twelve: bool,
    pm: Option<bool>,
    minute: i64,
    second: i64,
    micros: i64,
    second_of_day: Option<i64>,
    zone_hours: Option<(bool, i64)>,
    zone_minutes: i64,
}

pub fn read(text: &str, tokens: &[Token]) -> Result<Local> {
    let mut found = Found::default();
    let mut rest = text.trim_start();
    for (i, token) in tokens.iter().enumerate() {
        match token {
            Token::Literal(c) if c.is_alphanumeric() => {
                let mut chars = rest.chars();
                chars.next();
                rest = chars.as_str();
            }
            Token::Literal(_) => {
                rest = rest.trim_start_matches(|c: char| {
                    c.is_whitespace() || is_separator(c) && !signs_zone(tokens.get(i + 1))
                });
            }
            Token::Field { field, case, .. } => {
                if rest.is_empty() {
                    break;
                }
                let greedy = !matches!(tokens.get(i + 1), Some(Token::Field { field, .. }) if !is_name(*field));
                rest = found.take(*field, *case, rest.trim_start(), greedy)?;
            }
        }
    }
    found.settle(text)
}

fn is_separator(c: char) -> bool {
    c.is_ascii_punctuation()
}

/// Where a sign belongs to the next field.
fn signs_zone(next: Option<&Token>) -> bool {
    let zone = |f: &Field| matches!(f, Field::ZoneHours | Field::Offset | Field::ZoneName);
    matches!(next, Some(Token::Field { field, .. }) if zone(field))
}

fn is_name(field: Field) -> bool {
    matches!(
        field,
        Field::MonthName
            | Field::MonthShort
            | Field::MonthRoman
            | Field::DayName
            | Field::DayShort
            | Field::Meridiem(_)
            | Field::Era(_)
            | Field::ZoneName
            | Field::ZoneHours
            | Field::Offset
    )
}

fn label(field: Field) -> (&'static str, usize) {
    match field {
        Field::Year(n) => (
            ["Y", "YY", "YYY", "YYYY"][usize::from(n.clamp(1, 4)) - 1],
            usize::from(n),
        ),
        Field::IsoYear(n) => (
            ["I", "IY", "IYY", "IYYY"][usize::from(n.clamp(1, 4)) - 1],
            usize::from(n),
        ),
        Field::YearComma => ("Y,YYY", 5),
        Field::Century => ("CC", 2),
        Field::Quarter => ("Q", 1),
        Field::Month => ("MM", 2),
        Field::Week => ("WW", 2),
        Field::WeekOfMonth => ("W", 1),
        Field::IsoWeek => ("IW", 2),
        Field::Day => ("DD", 2),
        Field::DayOfYear => ("DDD", 3),
        Field::IsoDayOfYear => ("IDDD", 3),
        Field::DayOfWeek => ("D", 1),
        Field::IsoDayOfWeek => ("ID", 1),
        Field::Julian => ("J", 9),
        Field::Hour12 => ("HH12", 2),
        Field::Hour24 => ("HH24", 2),
        Field::Minute => ("MI", 2),
        Field::Second => ("SS", 2),
        Field::Millisecond => ("MS", 3),
        Field::Microsecond => ("US", 6),
        Field::Fraction(n) => ("FF", usize::from(n)),
        Field::SecondOfDay => ("SSSS", 5),
        _ => ("", 2),
    }
}

fn invalid(text: &str, what: &str) -> Error {
    Error::new(
        SqlState::INVALID_DATETIME_FORMAT,
        format!("invalid value \"{text}\" for \"{what}\""),
    )
}

/// The number at the start, its digits and what follows.
fn number(rest: &str, field: Field, greedy: bool) -> Result<(i64, usize, &str)> {
    let (name, width) = label(field);
    let signed = rest.starts_with(['-', '+']) && matches!(field, Field::Year(_) | Field::YearComma);
    let body = &rest[usize::from(signed)..];
    let limit = if greedy { 18 } else { width };
    let digits = body
        .bytes()
        .take(limit)
        .take_while(u8::is_ascii_digit)
        .count();
    if digits == 0 {
        let shown: String = rest.chars().take(width.max(1)).collect();
        return Err(invalid(&shown, name).with_detail("Value must be an integer."));
    }
    let value: i64 = body[..digits]
        .parse()
        .map_err(|_| invalid(&body[..digits], name))?;
    let value = if signed && rest.starts_with('-') {
        -value
    } else {
        value
    };
    Ok((value, digits, &body[digits..]))
}

impl Found {
    fn take<'a>(
        &mut self,
        field: Field,
        case: Case,
        rest: &'a str,
        greedy: bool,
    ) -> Result<&'a str> {
        match field {
            Field::MonthName | Field::MonthShort | Field::MonthRoman => {
                self.month_name(field, case, rest)
            }
            Field::DayName | Field::DayShort => {
                let (_, after) = name(rest, &DAYS, field == Field::DayShort)
                    .ok_or_else(|| unknown_name(rest, "DAY", case))?;
                Ok(after)
            }
            Field::Meridiem(dots) => {
                let (second, after) =
                    either(rest, "AM", "PM", dots).ok_or_else(|| unknown_name(rest, "AM", case))?;
                self.pm = Some(second);
                Ok(after)
            }
            Field::Era(dots) => {
                let (second, after) =
                    either(rest, "AD", "BC", dots).ok_or_else(|| unknown_name(rest, "BC", case))?;
                self.bc = second;
                Ok(after)
            }
            Field::ZoneHours | Field::Offset => self.zone(field, rest),
            Field::ZoneName => Err(Error::unsupported(
                "formatting field \"TZ\" is only supported in to_char",
            )),
            Field::YearComma => {
                let end = rest
                    .bytes()
                    .take_while(|b| b.is_ascii_digit() || *b == b',')
                    .count();
                let digits = rest[..end].replace(',', "");
                let year = digits.parse().map_err(|_| invalid(&rest[..end], "Y,YYY"))?;
                self.year = Some(year);
                Ok(&rest[end..])
            }
            _ => {
                let (value, digits, after) = number(rest, field, greedy)?;
                self.set(field, value, digits);
                Ok(after)
            }
        }
    }

    fn set(&mut self, field: Field, v: i64, digits: usize) {
        // A fraction's digits count from the left.
        let fraction = |unit: i64| v * unit / 10i64.pow(digits.min(18) as u32);
        match field {
            Field::Year(n) => self.year = Some(full_year(v, n, digits)),
            Field::IsoYear(n) => self.iso_year = Some(full_year(v, n, digits)),
            Field::Century => self.century = Some(v),
            Field::Month => self.month = Some(v),
            Field::Week => self.week = Some(v),
            Field::WeekOfMonth => self.day = self.day.or(Some((v - 1) * 7 + 1)),
            Field::IsoWeek => self.iso_week = Some(v),
            Field::Day => self.day = Some(v),
            Field::DayOfYear => self.day_of_year = Some(v),
            Field::IsoDayOfYear => {
                (self.iso_week, self.iso_day) = (Some((v - 1) / 7 + 1), Some((v - 1) % 7 + 1))
            }
            Field::IsoDayOfWeek => self.iso_day = Some(v),
            Field::Julian => self.julian = Some(v),
            Field::Hour12 => (self.hour, self.twelve) = (v, true),
            Field::Hour24 => self.hour = v,
            Field::Minute => self.minute = v,
            Field::Second => self.second = v,
            Field::Millisecond | Field::Fraction(_) | Field::Microsecond => {
                self.micros = fraction(MICROS_PER_SECOND);
            }
            Field::SecondOfDay => self.second_of_day = Some(v),
            Field::ZoneMinutes => self.zone_minutes = v,
            _ => {}
        }
    }

    fn month_name<'a>(&mut self, field: Field, case: Case, rest: &'a str) -> Result<&'a str> {
        if field == Field::MonthRoman {
            let upper = rest.to_uppercase();
            // The longest that fits: VIII before VII.
            let fits = |i: &usize| upper.starts_with(ROMAN_MONTHS[*i]);
            let best = (0..12).filter(fits).max_by_key(|i| ROMAN_MONTHS[*i].len());
            let i = best.ok_or_else(|| unknown_name(rest, "RM", case))?;
            self.month = Some(i as i64 + 1);
            return Ok(&rest[ROMAN_MONTHS[i].len()..]);
        }
        let short = field == Field::MonthShort;
        let label = if short { "MON" } else { "MONTH" };
        let (i, after) =
            name(rest, &MONTHS, short).ok_or_else(|| unknown_name(rest, label, case))?;
        self.month = Some(i as i64 + 1);
        Ok(after)
    }

    fn zone<'a>(&mut self, field: Field, rest: &'a str) -> Result<&'a str> {
        let negative = rest.starts_with('-');
        let body = rest.strip_prefix(['-', '+']).unwrap_or(rest);
        let (hours, _, mut after) = number(body, field, false)?;
        self.zone_hours = Some((negative, hours));
        if field == Field::Offset
            && let Some(minutes) = after.strip_prefix(':')
        {
            let (minutes, _, end) = number(minutes, field, false)?;
            self.zone_minutes = minutes;
            after = end;
        }
        Ok(after)
    }

    fn settle(self, text: &str) -> Result<Local> {
        let out = || {
            Error::new(
                SqlState::DATETIME_FIELD_OVERFLOW,
                format!("date/time field value out of range: \"{text}\""),
            )
        };
        let day = self.day_number().ok_or_else(out)?;
        let mut hour = self.hour;
        if self.twelve {
            if !(1..=12).contains(&hour) {
                return Err(Error::new(
                    SqlState::INVALID_DATETIME_FORMAT,
                    format!("hour \"{hour}\" is invalid for the 12-hour clock"),
                )
                .with_hint("Use the 24-hour clock, or give an hour between 1 and 12."));
            }
            match self.pm {
                Some(true) if hour < 12 => hour += 12,
                Some(false) if hour == 12 => hour = 0,
                _ => {}
            }
        }
        let in_range = (0..24).contains(&hour)
            && (0..60).contains(&self.minute)
            && (0..60).contains(&self.second);
        let clock = match self.second_of_day {
            Some(s) if (0..86_400).contains(&s) => s * MICROS_PER_SECOND,
            None if in_range => {
                hour * MICROS_PER_HOUR
                    + self.minute * MICROS_PER_MINUTE
                    + self.second * MICROS_PER_SECOND
            }
            _ => return Err(out()),
        };
        let micros = i128::from(day) * i128::from(MICROS_PER_DAY) + i128::from(clock + self.micros);
        let offset = self.zone_hours.map(|(negative, hours)| {
            let seconds = (hours.min(99) * 3600 + self.zone_minutes.min(99) * 60) as i32;
            if negative { -seconds } else { seconds }
        });
        Ok(Local {
            micros: time::check_timestamp(micros)?,
            offset,
        })
    }

    /// `None` where there is no such day.
    fn day_number(&self) -> Option<i64> {
        if let Some(julian) = self.julian {
            return Some(julian - JULIAN_DAY_ZERO);
        }
        if let (Some(year), Some(week)) = (self.iso_year, self.iso_week) {
            let fourth = day_number(year, 1, 4);
            let monday = fourth - (fields::iso_dow(fourth) - 1);
            return Some(monday + (week - 1) * 7 + self.iso_day.unwrap_or(1) - 1);
        }
        let mut year = match (self.year, self.century) {
            (Some(y), _) => y,
            (None, Some(c)) => (c - 1) * 100 + 1,
            (None, None) => 0,
        };
        if self.bc && year > 0 {
            year = 1 - year;
        }
        if year.abs() > 6_000_000 {
            return None;
        }
        if let Some(n) = self.day_of_year.or(self.week.map(|w| (w - 1) * 7 + 1)) {
            let last = if time::is_leap(year) { 366 } else { 365 };
            return (1..=last)
                .contains(&n)
                .then(|| day_number(year, 1, 1) + n - 1);
        }
        let month = u32::try_from(self.month.unwrap_or(1))
            .ok()
            .filter(|m| (1..=12).contains(m))?;
        let day = self.day.unwrap_or(1);
        let exists = (1..=i64::from(days_in_month(year, month))).contains(&day);
        exists.then(|| day_number(year, month, day))
    }
}

/// Years of fewer digits than four lie nearest to 2020.
fn full_year(v: i64, width: u8, digits: usize) -> i64 {
    if width >= 4 || digits > usize::from(width) || v < 0 {
        return v;
    }
    match v {
        0..70 => v + 2000,
        70..100 => v + 1900,
        100..520 => v + 2000,
        520..1000 => v + 1000,
        _ => v,
    }
}

fn name<'a>(rest: &'a str, names: &[&str], short: bool) -> Option<(usize, &'a str)> {
    names.iter().enumerate().find_map(|(i, full)| {
        let word = if short { &full[..3] } else { full };
        let start = rest.get(..word.len())?;
        start
            .eq_ignore_ascii_case(word)
            .then(|| (i, &rest[word.len()..]))
    })
}

fn either<'a>(rest: &'a str, first: &str, second: &str, dots: bool) -> Option<(bool, &'a str)> {
    [(first, false), (second, true)]
        .into_iter()
        .find_map(|(word, is_second)| {
            let dotted: String = word.chars().flat_map(|c| [c, '.']).collect();
            let word = if dots { dotted.as_str() } else { word };
            let start = rest.get(..word.len())?;
            start
                .eq_ignore_ascii_case(word)
                .then(|| (is_second, &rest[word.len()..]))
        })
}

/// The keyword is shown as the template has it.
fn unknown_name(rest: &str, what: &str, case: Case) -> Error {
    let what = match case {
        Case::Upper => what.to_owned(),
        Case::Lower => what.to_lowercase(),
        Case::Capital => what[..1].to_owned() + &what[1..].to_lowercase(),
    };
    let word = rest.split_whitespace().next().unwrap_or("");
    invalid(word, &what)
        .with_detail("The given value did not match any of the allowed values for this field.")
}
