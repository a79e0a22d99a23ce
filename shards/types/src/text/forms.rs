//! How a session shows its values and reads them: TimeZone, DateStyle, IntervalStyle and bytea_output.
//!
//! Owns: what each setting may be, and how it is spelt. Asked by: input and output of values, settings.
//! Never: decides how a date or an interval looks; `time` does. Source: PostgreSQL 15, `check_datestyle`, `miscadmin.h`.

use jiff::tz::TimeZone;

#[derive(Clone, Debug, PartialEq)]
pub struct Forms {
    pub zone: TimeZone,
    pub dates: DateStyle,
    pub order: DateOrder,
    pub intervals: IntervalStyle,
    pub bytes: BytesForm,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DateStyle {
    #[default]
    Iso,
    Sql,
    Postgres,
    German,
}

/// Of numbers in a date, where the first one is no year by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DateOrder {
    #[default]
    Mdy,
    Dmy,
    Ymd,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IntervalStyle {
    #[default]
    Postgres,
    PostgresVerbose,
    SqlStandard,
    Iso8601,
}

/// bytea_output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BytesForm {
    #[default]
    Hex,
    Escape,
}

/// Why a text is no DateStyle.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    Word(String),
    Conflict,
}

impl Forms {
    pub const UTC: Forms = Forms {
        zone: TimeZone::UTC,
        dates: DateStyle::Iso,
        order: DateOrder::Mdy,
        intervals: IntervalStyle::Postgres,
        bytes: BytesForm::Hex,
    };

    /// With dates as ISO 8601 has them, whatever the session shows.
    pub fn iso(&self) -> Forms {
        Forms {
            dates: DateStyle::Iso,
            ..self.clone()
        }
    }
}

impl DateStyle {
    fn name(self) -> &'static str {
        match self {
            DateStyle::Iso => "ISO",
            DateStyle::Sql => "SQL",
            DateStyle::Postgres => "Postgres",
            DateStyle::German => "German",
        }
    }
}

impl DateOrder {
    fn name(self) -> &'static str {
        match self {
            DateOrder::Mdy => "MDY",
            DateOrder::Dmy => "DMY",
            DateOrder::Ymd => "YMD",
        }
    }
}

/// DateStyle's value, where what it does not say stays as it is.
pub fn date_style(
    text: &str,
    now: (DateStyle, DateOrder),
) -> Result<(DateStyle, DateOrder), Refused> {
    let (mut style, mut order) = (None, None);
    for word in text.split(',').map(str::trim) {
        let lower = word.trim_matches('"').to_ascii_lowercase();
        let begins = |with: &str| lower.starts_with(with);
        let (of_style, of_order) = match lower.as_str() {
            "iso" => (Some(DateStyle::Iso), None),
            "sql" => (Some(DateStyle::Sql), None),
            _ if begins("postgres") => (Some(DateStyle::Postgres), None),
            "german" => (Some(DateStyle::German), None),
            "ymd" => (None, Some(DateOrder::Ymd)),
            "dmy" => (None, Some(DateOrder::Dmy)),
            _ if begins("euro") => (None, Some(DateOrder::Dmy)),
            "mdy" | "us" => (None, Some(DateOrder::Mdy)),
            _ if begins("noneuro") => (None, Some(DateOrder::Mdy)),
            "default" => {
                style.get_or_insert(DateStyle::Iso);
                order.get_or_insert(DateOrder::Mdy);
                continue;
            }
            _ => return Err(Refused::Word(word.trim_matches('"').to_owned())),
        };
        if of_style.is_some_and(|s| *style.get_or_insert(s) != s)
            || of_order.is_some_and(|o| *order.get_or_insert(o) != o)
        {
            return Err(Refused::Conflict);
        }
    }
    if style == Some(DateStyle::German) {
        order.get_or_insert(DateOrder::Dmy);
    }
    Ok((style.unwrap_or(now.0), order.unwrap_or(now.1)))
}

/// As SHOW shows it.
pub fn date_style_text((style, order): (DateStyle, DateOrder)) -> String {
    format!("{}, {}", style.name(), order.name())
}

/// `None` for what is none.
pub fn interval_style(text: &str) -> Option<IntervalStyle> {
    Some(match text {
        "postgres" => IntervalStyle::Postgres,
        "postgres_verbose" => IntervalStyle::PostgresVerbose,
        "sql_standard" => IntervalStyle::SqlStandard,
        "iso_8601" => IntervalStyle::Iso8601,
        _ => return None,
    })
}

/// `None` for what is none.
pub fn bytes_form(text: &str) -> Option<BytesForm> {
    match text {
        "hex" => Some(BytesForm::Hex),
        "escape" => Some(BytesForm::Escape),
        _ => None,
    }
}
