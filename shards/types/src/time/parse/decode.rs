//! The meaning of a literal's tokens.

use super::scan::{Kind, scan};
use super::{Parsed, Refusal, Special, Zone, from_julian};
use crate::text::forms::DateOrder;
use crate::time::{
    MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND, day_number,
    days_in_month, zone,
};

type Step<T = ()> = Result<T, Refusal>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Half {
    Am,
    Pm,
}

enum Word {
    Month(u32),
    Weekday,
    Half(Half),
    Era(bool),
    /// `t`, `at`, `on` and the like.
    Noise,
    IsoTime,
    Julian,
    AllBalls,
    Special(Special),
}

fn word(w: &str) -> Option<Word> {
    Some(match w {
        "jan" | "january" => Word::Month(1),
        "feb" | "february" => Word::Month(2),
        "mar" | "march" => Word::Month(3),
        "apr" | "april" => Word::Month(4),
        "may" => Word::Month(5),
        "jun" | "june" => Word::Month(6),
        "jul" | "july" => Word::Month(7),
        "aug" | "august" => Word::Month(8),
        "sep" | "sept" | "september" => Word::Month(9),
        "oct" | "october" => Word::Month(10),
        "nov" | "november" => Word::Month(11),
        "dec" | "december" => Word::Month(12),
        "sun" | "sunday" | "mon" | "monday" | "tue" | "tues" | "tuesday" | "wed" | "weds"
        | "wednesday" | "thu" | "thur" | "thurs" | "thursday" | "fri" | "friday" | "sat"
        | "saturday" => Word::Weekday,
        "am" => Word::Half(Half::Am),
        "pm" => Word::Half(Half::Pm),
        "ad" => Word::Era(false),
        "bc" => Word::Era(true),
        "at" | "on" => Word::Noise,
        "t" => Word::IsoTime,
        "j" | "jd" | "julian" => Word::Julian,
        "allballs" => Word::AllBalls,
        "infinity" => Word::Special(Special::Infinity),
        "-infinity" => Word::Special(Special::NegInfinity),
        "epoch" => Word::Special(Special::Epoch),
        "now" => Word::Special(Special::Now),
        "today" => Word::Special(Special::Today),
        "tomorrow" => Word::Special(Special::Tomorrow),
        "yesterday" => Word::Special(Special::Yesterday),
        _ => return None,
    })
}

pub(super) fn is_keyword(w: &str) -> bool {
    // Single letters are units, as in `1h30m`; zones are not keywords, so that `GMT+3` stays one word.
    word(w).is_some() || matches!(w, "d" | "h" | "m" | "s" | "y")
}

#[derive(Default)]
struct State {
    year: Option<i64>,
    month: Option<u32>,
    day: Option<u32>,
    /// Day of the year.
    ordinal: Option<u32>,
    julian: Option<i64>,
    two_digits: bool,
    text_month: bool,
    bc: bool,
    half: Option<Half>,
    time: Option<i64>,
    zone: Option<Zone>,
    special: Option<Special>,
    julian_next: bool,
    time_next: bool,
    /// A date is not expected.
    time_only: bool,
    order: DateOrder,
}

pub(super) fn decode(text: &str, order: DateOrder) -> Step<Parsed> {
    run(text, order, false)
}

/// A time of day, perhaps after a date.
pub(super) fn decode_time_only(text: &str, order: DateOrder) -> Step<Parsed> {
    run(text, order, true)
}

fn run(text: &str, order: DateOrder, time_only: bool) -> Step<Parsed> {
    let tokens = scan(text).ok_or(Refusal::Format)?;
    if tokens.is_empty() {
        return Err(Refusal::Format);
    }
    let mut s = State {
        time_only,
        order,
        ..State::default()
    };
    for (kind, token) in &tokens {
        match kind {
            Kind::Date => s.date_token(token)?,
            Kind::Time => s.clock(token)?,
            Kind::Offset => s.offset(token)?,
            Kind::Number => s.number_token(token)?,
            Kind::Word | Kind::SignedWord => s.word_token(token)?,
        }
    }
    s.finish()
}

impl State {
    fn has_date(&self) -> bool {
        self.julian.is_some()
            || (self.year.is_some()
                && (self.ordinal.is_some() || (self.month.is_some() && self.day.is_some())))
    }

    fn date_token(&mut self, token: &str) -> Step {
        let digits = token.starts_with(|c: char| c.is_ascii_digit());
        if self.has_date() || (self.month.is_some() && self.day.is_some()) || self.time_next {
            if !digits {
                return self.named_zone(token);
            }
            // A run-together time with its zone: hhmmss-zz.
            let at = token.find(['-', '+']).ok_or(Refusal::Format)?;
            self.time_next = false;
            self.run_together(&token[..at])?;
            return self.offset(&token[at..]);
        }
        if !digits && self.special.is_some() {
            return self.named_zone(token);
        }
        if !digits && zone::by_name(token).is_some() {
            return self.named_zone(token);
        }
        self.date_parts(token)
    }

    fn date_parts(&mut self, token: &str) -> Step {
        // Text months count first, so that the numbers around them are placed knowing it.
        let parts = split_parts(token);
        if parts.len() > 3 {
            return Err(Refusal::Format);
        }
        for part in &parts {
            if part.starts_with(|c: char| c.is_ascii_alphabetic()) {
                match word(part) {
                    Some(Word::Month(m)) if self.month.is_none() => {
                        self.month = Some(m);
                        self.text_month = true;
                    }
                    _ if zone_like(token) => return Err(Refusal::Zone(token.to_string())),
                    _ => return Err(Refusal::Format),
                }
            }
        }
        for part in &parts {
            if part.starts_with(|c: char| c.is_ascii_digit()) {
                self.number(part)?;
            }
        }
        let known = [
            self.year.is_some(),
            self.month.is_some(),
            self.day.is_some(),
        ];
        if self.ordinal.is_none() && known != [true; 3] {
            return Err(Refusal::Format);
        }
        Ok(())
    }

    /// One number of a date: which field it is depends on its length and on what is known already.
    fn number(&mut self, digits: &str) -> Step {
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Refusal::Format);
        }
        let value: i64 = digits.parse().map_err(|_| Refusal::Field)?;
        let len = digits.len();
        let small = u32::try_from(value).map_err(|_| Refusal::Field)?;
        let year = len >= 3 || self.order == DateOrder::Ymd;
        match (self.year, self.month, self.day) {
            (Some(_), None, None) if len == 3 && (1..=366).contains(&value) => {
                self.ordinal = Some(small);
            }
            (None, None, None) if year => self.set_year(value, len),
            (None, None, None) if self.order == DateOrder::Dmy => self.day = Some(small),
            (None, None, None) => self.month = Some(small),
            (Some(_), None, _) => self.month = Some(small),
            (None, Some(_), None) if self.text_month && year => self.set_year(value, len),
            (None, Some(_), None) => self.day = Some(small),
            (Some(year), Some(_), None) => {
                if self.text_month && len >= 3 && self.two_digits {
                    // The first number was the day after all.
                    self.day = u32::try_from(year).ok();
                    self.set_year(value, len);
                } else {
                    self.day = Some(small);
                }
            }
            (None, None, Some(_)) => self.month = Some(small),
            (None, Some(_), Some(_)) => self.set_year(value, len),
            (Some(_), Some(_), Some(_)) => return self.run_together(digits),
        }
        Ok(())
    }

    fn set_year(&mut self, value: i64, len: usize) {
        self.year = Some(value);
        self.two_digits = len <= 2;
    }

    fn number_token(&mut self, token: &str) -> Step {
        if std::mem::take(&mut self.julian_next) {
            return self.julian(token);
        }
        if std::mem::take(&mut self.time_next) {
            return self.run_together(token);
        }
        let whole = token.split('.').next().unwrap_or("");
        if token.contains('.') {
            // `1999.008` is a year and its day; anything else with a point is a time.
            if !self.has_date() && !self.time_only && whole.len() < 5 {
                return self.date_parts(token);
            }
            return self.run_together(token);
        }
        if self.time_only && self.time.is_none() {
            return match token.len() {
                4 | 6 => self.run_together(token),
                _ => Err(Refusal::Format),
            };
        }
        if token.len() >= 6 && (!self.has_date() || self.time.is_none()) {
            return self.run_together(token);
        }
        self.number(token)
    }

    fn julian(&mut self, token: &str) -> Step {
        let (whole, fraction) = token.split_once('.').unwrap_or((token, ""));
        self.julian = Some(whole.parse().map_err(|_| Refusal::Field)?);
        if !fraction.is_empty() {
            let part: f64 = format!("0.{fraction}")
                .parse()
                .map_err(|_| Refusal::Format)?;
            self.time = Some((part * MICROS_PER_DAY as f64).round_ties_even() as i64);
        }
        Ok(())
    }

    /// `yyyymmdd`, `yymmdd`, then `hhmmss[.f]` or `hhmm`.
    fn run_together(&mut self, token: &str) -> Step {
        let (digits, fraction) = token.split_once('.').unwrap_or((token, ""));
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Refusal::Format);
        }
        let len = digits.len();
        let pair = |from: usize| digits[from..from + 2].parse::<u32>().unwrap_or(0);
        let dateless =
            !self.time_only && self.year.is_none() && self.month.is_none() && self.day.is_none();
        if dateless
            && self.julian.is_none()
            && len >= 6
            && fraction.is_empty()
            && self.time.is_none()
        {
            let year = digits[..len - 4].parse().map_err(|_| Refusal::Field)?;
            self.set_year(year, len - 4);
            self.month = Some(pair(len - 4));
            self.day = Some(pair(len - 2));
            return Ok(());
        }
        if self.time.is_some() {
            return Err(Refusal::Format);
        }
        let (hour, minute, second) = match len {
            6 => (pair(0), pair(2), pair(4)),
            4 if fraction.is_empty() => (pair(0), pair(2), 0),
            2 if fraction.is_empty() => (pair(0), 0, 0),
            _ => return Err(Refusal::Format),
        };
        self.set_time(
            i64::from(hour),
            i64::from(minute),
            i64::from(second),
            micros_of(fraction)?,
        )
    }

    fn clock(&mut self, token: &str) -> Step {
        if self.time.is_some() {
            return Err(Refusal::Format);
        }
        self.time_next = false;
        let (head, fraction) = token.split_once('.').unwrap_or((token, ""));
        let mut parts = head.split(':');
        let mut next = || match parts.next() {
            None => Ok(None),
            Some("") => Err(Refusal::Format),
            Some(p) => p.parse::<i64>().map(Some).map_err(|_| Refusal::Field),
        };
        let (hour, minute, second) = (next()?, next()?, next()?);
        if parts.next().is_some() {
            return Err(Refusal::Format);
        }
        let fraction = micros_of(fraction)?;
        match (hour, minute, second) {
            (Some(h), Some(m), Some(s)) => self.set_time(h, m, s, fraction),
            // mm:ss.fff reads as minutes and seconds.
            (Some(m), Some(s), None) if token.contains('.') => self.set_time(0, m, s, fraction),
            (Some(h), Some(m), None) => self.set_time(h, m, 0, 0),
            _ => Err(Refusal::Format),
        }
    }

    fn set_time(&mut self, hour: i64, minute: i64, second: i64, micros: i64) -> Step {
        let total = hour
            .checked_mul(MICROS_PER_HOUR)
            .and_then(|h| h.checked_add(minute * MICROS_PER_MINUTE))
            .map(|t| t + second * MICROS_PER_SECOND + micros);
        match total {
            Some(t) if hour <= 24 && minute <= 59 && second <= 60 && t <= MICROS_PER_DAY => {
                self.time = Some(t);
                Ok(())
            }
            _ => Err(Refusal::Field),
        }
    }

    fn offset(&mut self, token: &str) -> Step {
        match zone::offset(token) {
            Ok(Some(seconds)) if self.zone.is_none() => {
                self.zone = Some(Zone::Seconds(seconds));
                Ok(())
            }
            Ok(Some(more)) => match self.zone {
                // `UTC+3`-like: an abbreviation then an offset.
                Some(Zone::Seconds(base)) => {
                    self.zone = Some(Zone::Seconds(base + more));
                    Ok(())
                }
                _ => Err(Refusal::Format),
            },
            Ok(None) => Err(Refusal::Format),
            Err(()) => Err(Refusal::Displacement),
        }
    }

    fn named_zone(&mut self, token: &str) -> Step {
        let tz = zone::parse(token).map_err(|_| Refusal::Zone(token.to_string()))?;
        if self.zone.is_some() {
            return Err(Refusal::Format);
        }
        self.zone = Some(Zone::Named(tz));
        Ok(())
    }

    fn word_token(&mut self, token: &str) -> Step {
        if let Some(seconds) = zone::abbreviation(token) {
            if self.zone.is_some() {
                return Err(Refusal::Format);
            }
            self.zone = Some(Zone::Seconds(seconds));
            return Ok(());
        }
        match word(token) {
            Some(Word::Month(m)) => {
                if let (Some(first), false, None) = (self.month, self.text_month, self.day) {
                    // `31 Jan 2024`: the number taken for a month was the day.
                    self.day = Some(first);
                } else if self.month.is_some() {
                    return Err(Refusal::Format);
                }
                self.month = Some(m);
                self.text_month = true;
            }
            Some(Word::Weekday | Word::Noise) => {}
            Some(Word::Half(half)) => self.half = Some(half),
            Some(Word::Era(bc)) => self.bc = bc,
            Some(Word::IsoTime) => self.time_next = true,
            Some(Word::Julian) => self.julian_next = true,
            Some(Word::AllBalls) if self.time.is_none() => {
                self.time = Some(0);
                self.zone = Some(Zone::Seconds(0));
            }
            Some(Word::Special(special)) if self.special.is_none() && !self.has_date() => {
                self.special = Some(special);
            }
            None if self.has_date() || self.time.is_some() => {
                return self.named_zone(token).map_err(|_| Refusal::Format);
            }
            _ => return Err(Refusal::Format),
        }
        Ok(())
    }

    fn finish(self) -> Step<Parsed> {
        if self.julian_next || self.time_next {
            return Err(Refusal::Format);
        }
        let any_date = self.year.is_some() || self.month.is_some() || self.day.is_some();
        let date = match self.julian {
            Some(day) => Some(from_julian(day)),
            None if any_date => Some(self.calendar()?),
            None => None,
        };
        let mut time = self.time;
        if let (Some(half), Some(t)) = (self.half, time) {
            let hour = t / MICROS_PER_HOUR;
            if hour > 12 {
                return Err(Refusal::Field);
            }
            time = Some(match (half, hour) {
                (Half::Am, 12) => t - 12 * MICROS_PER_HOUR,
                (Half::Pm, 0..=11) => t + 12 * MICROS_PER_HOUR,
                _ => t,
            });
        }
        let dated = date.is_some() || self.special.is_some();
        if !dated && (!self.time_only || time.is_none()) {
            return Err(Refusal::Format);
        }
        // Which offset a named zone has depends on the day.
        if date.is_none() && self.time_only && matches!(self.zone, Some(Zone::Named(_))) {
            return Err(Refusal::Format);
        }
        Ok(Parsed {
            special: self.special,
            date,
            time,
            zone: self.zone,
        })
    }

    fn calendar(&self) -> Step<i64> {
        let mut year = self.year.ok_or(Refusal::Format)?;
        if self.bc {
            if year <= 0 {
                return Err(Refusal::Field);
            }
            year = 1 - year;
        } else if self.two_digits {
            year += if year < 70 { 2000 } else { 1900 };
        } else if year <= 0 {
            return Err(Refusal::Field);
        }
        if year > 6_000_000 {
            return Err(Refusal::Field);
        }
        if let Some(ordinal) = self.ordinal {
            return Ok(day_number(year, 1, i64::from(ordinal)));
        }
        let month = self.month.ok_or(Refusal::Format)?;
        let day = self.day.ok_or(Refusal::Format)?;
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return Err(Refusal::MonthDay);
        }
        if day > days_in_month(year, month) {
            return Err(Refusal::Field);
        }
        Ok(day_number(year, month, i64::from(day)))
    }
}

/// Runs of digits and runs of letters.
fn split_parts(token: &str) -> Vec<&str> {
    token
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|p| !p.is_empty())
        .collect()
}

/// Looks like `Area/City`.
fn zone_like(token: &str) -> bool {
    token.contains('/') && !token.starts_with(|c: char| c.is_ascii_digit())
}

/// Decimals of a second, rounded to microseconds.
fn micros_of(fraction: &str) -> Step<i64> {
    if fraction.is_empty() {
        return Ok(0);
    }
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Refusal::Format);
    }
    let seconds: f64 = format!("0.{fraction}")
        .parse()
        .map_err(|_| Refusal::Format)?;
    Ok((seconds * 1e6).round_ties_even() as i64)
}
