//! Cutting a date template into tokens.

/// What one keyword stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Field {
    /// The last so many digits of the year; 4 is all of it.
    Year(u8),
    YearComma,
    IsoYear(u8),
    Century,
    Quarter,
    Month,
    MonthName,
    MonthShort,
    MonthRoman,
    Week,
    WeekOfMonth,
    IsoWeek,
    Day,
    DayOfYear,
    IsoDayOfYear,
    DayOfWeek,
    IsoDayOfWeek,
    DayName,
    DayShort,
    Julian,
    Hour12,
    Hour24,
    Minute,
    Second,
    Millisecond,
    Microsecond,
    /// So many digits of a second's fraction.
    Fraction(u8),
    SecondOfDay,
    /// AM or PM; with dots.
    Meridiem(bool),
    /// BC or AD; with dots.
    Era(bool),
    ZoneName,
    ZoneHours,
    ZoneMinutes,
    Offset,
}

/// How a keyword was written, which names follow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Case {
    Upper,
    Lower,
    Capital,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Token {
    Literal(char),
    Field {
        field: Field,
        case: Case,
        /// FM: no padding.
        fill: bool,
        /// TH or th.
        ordinal: Option<Case>,
    },
}

/// Longest first among those that begin alike.
const KEYWORDS: &[(&str, Field)] = &[
    ("A.D.", Field::Era(true)),
    ("B.C.", Field::Era(true)),
    ("A.M.", Field::Meridiem(true)),
    ("P.M.", Field::Meridiem(true)),
    ("AD", Field::Era(false)),
    ("BC", Field::Era(false)),
    ("AM", Field::Meridiem(false)),
    ("PM", Field::Meridiem(false)),
    ("CC", Field::Century),
    ("DAY", Field::DayName),
    ("DDD", Field::DayOfYear),
    ("DD", Field::Day),
    ("DY", Field::DayShort),
    ("D", Field::DayOfWeek),
    ("FF1", Field::Fraction(1)),
    ("FF2", Field::Fraction(2)),
    ("FF3", Field::Fraction(3)),
    ("FF4", Field::Fraction(4)),
    ("FF5", Field::Fraction(5)),
    ("FF6", Field::Fraction(6)),
    ("HH24", Field::Hour24),
    ("HH12", Field::Hour12),
    ("HH", Field::Hour12),
    ("IDDD", Field::IsoDayOfYear),
    ("ID", Field::IsoDayOfWeek),
    ("IW", Field::IsoWeek),
    ("IYYY", Field::IsoYear(4)),
    ("IYY", Field::IsoYear(3)),
    ("IY", Field::IsoYear(2)),
    ("I", Field::IsoYear(1)),
    ("J", Field::Julian),
    ("MI", Field::Minute),
    ("MM", Field::Month),
    ("MONTH", Field::MonthName),
    ("MON", Field::MonthShort),
    ("MS", Field::Millisecond),
    ("OF", Field::Offset),
    ("Q", Field::Quarter),
    ("RM", Field::MonthRoman),
    ("SSSSS", Field::SecondOfDay),
    ("SSSS", Field::SecondOfDay),
    ("SS", Field::Second),
    ("TZH", Field::ZoneHours),
    ("TZM", Field::ZoneMinutes),
    ("TZ", Field::ZoneName),
    ("US", Field::Microsecond),
    ("WW", Field::Week),
    ("W", Field::WeekOfMonth),
    ("Y,YYY", Field::YearComma),
    ("YYYY", Field::Year(4)),
    ("YYY", Field::Year(3)),
    ("YY", Field::Year(2)),
    ("Y", Field::Year(1)),
];

/// Every character of the template belongs to a token; text in double quotes is literal.
pub fn scan(template: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = template;
    let mut fill = false;
    while let Some(c) = rest.chars().next() {
        if let Some(after) = prefix(rest, &["FM", "fm"]) {
            fill = true;
            rest = after;
        } else if let Some(after) = prefix(rest, &["TM", "tm", "FX", "fx"]) {
            rest = after;
        } else if let Some((field, case, after)) = keyword(rest) {
            let ordinal = match after.get(..2) {
                Some("TH") => Some(Case::Upper),
                Some("th") => Some(Case::Lower),
                _ => None,
            };
            rest = if ordinal.is_some() {
                &after[2..]
            } else {
                after
            };
            tokens.push(Token::Field {
                field,
                case,
                fill: std::mem::take(&mut fill),
                ordinal,
            });
        } else if c == '"' {
            rest = quoted(&rest[1..], &mut tokens);
        } else if c == '\\' && rest[1..].starts_with('"') {
            tokens.push(Token::Literal('"'));
            rest = &rest[2..];
        } else {
            tokens.push(Token::Literal(c));
            rest = &rest[c.len_utf8()..];
        }
    }
    tokens
}

fn prefix<'a>(rest: &'a str, words: &[&str]) -> Option<&'a str> {
    words.iter().find_map(|w| rest.strip_prefix(w))
}

fn keyword(rest: &str) -> Option<(Field, Case, &str)> {
    KEYWORDS.iter().find_map(|(word, field)| {
        let written = rest.get(..word.len())?;
        let named = matches!(
            field,
            Field::MonthName | Field::MonthShort | Field::DayName | Field::DayShort
        );
        let case = if written == *word {
            Case::Upper
        } else if written == word.to_ascii_lowercase() {
            Case::Lower
        } else if named
            && written[1..] == word[1..].to_ascii_lowercase()
            && written[..1] == word[..1]
        {
            Case::Capital
        } else {
            return None;
        };
        Some((*field, case, &rest[word.len()..]))
    })
}

/// Literal text up to the closing quote, where a backslash makes the next character literal.
fn quoted<'a>(rest: &'a str, tokens: &mut Vec<Token>) -> &'a str {
    let mut chars = rest.char_indices();
    while let Some((i, c)) = chars.next() {
        match c {
            '"' => return &rest[i + 1..],
            '\\' => {
                if let Some((_, next)) = chars.next() {
                    tokens.push(Token::Literal(next));
                }
            }
            c => tokens.push(Token::Literal(c)),
        }
    }
    ""
}
