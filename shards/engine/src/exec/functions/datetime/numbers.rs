//! to_char of numbers, and to_number.
//!
//! Owns: the numeric template language: 9 0 . D , G S MI PL SG PR L V RN TH EEEE FM and text in quotes.
//! Source: PostgreSQL 15 manual, section 9.8 (tables 9.30 and 9.31); `formatting.c`.

use super::super::args::{self, make_numeric};
use super::Function;
use super::pattern::ordinal_suffix;
use DataType::*;
use types::{DataType, Error, Numeric, Result, SqlState, Value};

pub static FUNCTIONS: &[Function] = &[
    Function::new("int4_to_char", &[Int4, Text], Text, |_, a| {
        to_char(&Numeric::from(args::int(a, 0)?), args::text(a, 1)?)
    })
    .sql("to_char")
    .stable(),
    Function::new("int8_to_char", &[Int8, Text], Text, |_, a| {
        to_char(&Numeric::from(args::int(a, 0)?), args::text(a, 1)?)
    })
    .sql("to_char")
    .stable(),
    Function::new(
        "numeric_to_char",
        &[DataType::Numeric, Text],
        Text,
        |_, a| to_char(args::numeric(a, 0)?, args::text(a, 1)?),
    )
    .sql("to_char")
    .stable(),
    Function::new("float4_to_char", &[Float4, Text], Text, |_, a| {
        to_char(&Numeric::from_f32(args::float4(a, 0)?), args::text(a, 1)?)
    })
    .sql("to_char")
    .stable(),
    Function::new("float8_to_char", &[Float8, Text], Text, |_, a| {
        to_char(&Numeric::from_f64(args::float(a, 0)?), args::text(a, 1)?)
    })
    .sql("to_char")
    .stable(),
    Function::new(
        "numeric_to_number",
        &[Text, Text],
        DataType::Numeric,
        |_, a| to_number(args::text(a, 0)?),
    )
    .sql("to_number")
    .stable(),
];

/// A place of the template.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    /// 9, or 0 (true).
    Digit(bool),
    Point,
    Comma,
    Sign,
    Minus,
    Plus,
    PlusMinus,
    Currency,
    Ordinal(bool),
    Literal(char),
}

#[derive(Default)]
struct Template {
    parts: Vec<Part>,
    fill: bool,
    brackets: bool,
    roman: Option<bool>,
    scientific: bool,
    /// Digits after V: the value is multiplied by this power of ten.
    shift: Option<u32>,
}

const TOO_LONG: usize = 16_383;

fn template(text: &str) -> Template {
    let mut t = Template::default();
    let mut rest = text;
    let keywords: &[(&str, Part)] = &[
        ("9", Part::Digit(false)),
        ("0", Part::Digit(true)),
        (".", Part::Point),
        ("D", Part::Point),
        (",", Part::Comma),
        ("G", Part::Comma),
        ("SG", Part::PlusMinus),
        ("S", Part::Sign),
        ("MI", Part::Minus),
        ("PL", Part::Plus),
        ("L", Part::Currency),
    ];
    while let Some(c) = rest.chars().next().filter(|_| t.parts.len() < TOO_LONG) {
        let upper: String = rest
            .chars()
            .take(4)
            .collect::<String>()
            .to_ascii_uppercase();
        let skip = if upper.starts_with("FM") {
            t.fill = true;
            2
        } else if upper.starts_with("PR") {
            t.brackets = true;
            2
        } else if upper.starts_with("RN") {
            t.roman = Some(rest.starts_with("rn"));
            2
        } else if upper.starts_with("TH") {
            t.parts.push(Part::Ordinal(rest.starts_with("th")));
            2
        } else if upper.starts_with("EEEE") {
            t.scientific = true;
            4
        } else if upper.starts_with('V') {
            t.shift = Some(0);
            1
        } else if let Some((word, part)) = keywords.iter().find(|(w, _)| upper.starts_with(w)) {
            if let (Part::Digit(_), Some(shift)) = (part, &mut t.shift) {
                *shift += 1;
            }
            t.parts.push(*part);
            word.len()
        } else if c == '"' {
            let end = rest[1..].find('"').map_or(rest.len(), |i| i + 2);
            let inner = rest[1..end].trim_end_matches('"');
            t.parts.extend(inner.chars().map(Part::Literal));
            end
        } else {
            t.parts.push(Part::Literal(c));
            c.len_utf8()
        };
        rest = &rest[skip..];
    }
    t
}

fn to_char(n: &Numeric, format: &str) -> Result<Value> {
    let t = template(format);
    if let Some(lower) = t.roman {
        let roman = roman(n);
        let roman = if lower { roman.to_lowercase() } else { roman };
        return Ok(if t.fill {
            roman
        } else {
            format!("{roman:>15}")
        }
        .into());
    }
    if t.scientific {
        return scientific(n, &t);
    }
    let whole = t.parts.iter().take_while(|p| **p != Part::Point);
    let before = whole.filter(|p| matches!(p, Part::Digit(_))).count();
    let all = t
        .parts
        .iter()
        .filter(|p| matches!(p, Part::Digit(_)))
        .count();
    let after = all - before;
    let mut value = n.clone();
    if let Some(shift) = t.shift {
        value = value.mul(
            &"1".parse::<Numeric>()?
                .mul(&Numeric::from(10i128.pow(shift.min(38))))?,
        )?;
    }
    if value.is_nan() {
        return Ok(if t.fill { "NaN" } else { " NaN" }.into());
    }
    let digits = digits_of(&value, before, after)?;
    // A sign nobody asked for stands before the first digit.
    let placed = |p: &Part| matches!(p, Part::Sign | Part::Minus | Part::Plus | Part::PlusMinus);
    let minus_placed = t.parts.iter().any(|p| placed(p) && *p != Part::Plus);
    let automatic = !minus_placed && !t.brackets;
    let negative = value.is_negative() && digits.iter().any(|d| !matches!(d, '0'));
    Ok(assemble(&t, &digits, before, negative, automatic).into())
}

/// `before + after` digits, `#` where the number does not fit.
fn digits_of(value: &Numeric, before: usize, after: usize) -> Result<Vec<char>> {
    let overflow = || vec!['#'; before + after];
    if !value.is_finite() {
        return Ok(overflow());
    }
    let rounded = value
        .abs()
        .round(i32::try_from(after).unwrap_or(0))?
        .to_string();
    let (whole, fraction) = rounded.split_once('.').unwrap_or((&rounded, ""));
    let whole = if whole == "0" { "" } else { whole };
    if whole.len() > before {
        return Ok(overflow());
    }
    let leading = std::iter::repeat_n('0', before - whole.len());
    let trailing = std::iter::repeat_n('0', after.saturating_sub(fraction.len()));
    Ok(leading
        .chain(whole.chars())
        .chain(fraction.chars().take(after))
        .chain(trailing)
        .collect())
}

/// Writes the template with the digits in it.
struct Printer<'a> {
    template: &'a Template,
    digits: &'a [char],
    /// Digits before the point.
    before: usize,
    /// The first digit printed, and the end of those after the point.
    first: usize,
    end: usize,
    negative: bool,
    /// S stands first: its sign floats to the first digit.
    leading_sign: bool,
    /// A sign is still to be put before the first digit.
    sign_due: bool,
    out: String,
}

fn assemble(
    template: &Template,
    digits: &[char],
    before: usize,
    negative: bool,
    automatic: bool,
) -> String {
    let is_mark = |p: &&Part| !matches!(p, Part::Literal(_) | Part::Currency);
    let leading_sign = template.parts.iter().find(is_mark) == Some(&Part::Sign);
    let printer = Printer {
        template,
        digits,
        before,
        first: first_printed(template, digits, before),
        end: trailing(template, digits, before),
        negative,
        leading_sign,
        sign_due: automatic || template.brackets || leading_sign,
        out: String::new(),
    };
    printer.run()
}

/// The first significant digit, a forced zero, or the last digit before the point.
fn first_printed(t: &Template, digits: &[char], before: usize) -> usize {
    let zeros = t.parts.iter().filter_map(|p| match p {
        Part::Digit(zero) => Some(*zero),
        _ => None,
    });
    let forced = zeros.enumerate().find(|(_, zero)| *zero).map(|(i, _)| i);
    let significant = digits.iter().position(|c| *c != '0');
    let first = significant
        .unwrap_or(digits.len())
        .min(forced.unwrap_or(usize::MAX));
    if first < before {
        return first;
    }
    let keep_zero = !t.parts.contains(&Part::Point) || (t.fill && significant.is_none());
    if keep_zero {
        before.saturating_sub(1)
    } else {
        before
    }
}

impl Printer<'_> {
    fn run(mut self) -> String {
        let mut at = 0;
        for part in &self.template.parts {
            match part {
                Part::Digit(_) => {
                    self.digit(at);
                    at += 1;
                }
                Part::Point => {
                    self.put_sign();
                    self.out.push('.');
                }
                Part::Comma if at > self.first || (self.first == 0 && at > 0) => self.out.push(','),
                Part::Comma => self.blank(),
                Part::Currency => self.out.push(' '),
                Part::Literal(c) => self.out.push(*c),
                Part::Ordinal(lower) => self.ordinal(*lower),
                sign => self.placed_sign(*sign),
            }
        }
        if self.template.brackets {
            if self.negative {
                self.out.push('>');
            } else {
                self.blank();
            }
        }
        self.out
    }

    /// A place left empty, unless FM takes it away.
    fn blank(&mut self) {
        if !self.template.fill {
            self.out.push(' ');
        }
    }

    fn digit(&mut self, at: usize) {
        let printed = if at < self.before {
            at >= self.first
        } else {
            at < self.end
        };
        if at >= self.before || printed {
            self.put_sign();
        }
        if printed {
            self.out.push(self.digits[at]);
        } else if at < self.before {
            self.blank();
        }
    }

    /// The sign that stands before the first digit, once.
    fn put_sign(&mut self) {
        if !std::mem::take(&mut self.sign_due) {
            return;
        }
        match (self.leading_sign, self.template.brackets, self.negative) {
            (true, ..) => self.out.push(if self.negative { '-' } else { '+' }),
            (_, true, true) => self.out.push('<'),
            (_, false, true) => self.out.push('-'),
            (_, _, false) => self.blank(),
        }
    }

    /// A sign with a place of its own.
    fn placed_sign(&mut self, part: Part) {
        let sign = if self.negative { '-' } else { '+' };
        match part {
            Part::Sign if self.leading_sign => {}
            Part::Sign | Part::PlusMinus => self.out.push(sign),
            Part::Minus if self.negative => self.out.push('-'),
            Part::Plus if !self.negative => self.out.push('+'),
            _ => self.blank(),
        }
    }

    fn ordinal(&mut self, lower: bool) {
        if self.negative {
            return;
        }
        let whole: String = self.digits[..self.before].iter().collect();
        let suffix = ordinal_suffix(&whole);
        self.out.push_str(&match lower {
            true => suffix.to_owned(),
            false => suffix.to_uppercase(),
        });
    }
}

/// Up to where fraction digits are printed: FM drops trailing zeros that stand at a 9.
fn trailing(t: &Template, digits: &[char], before: usize) -> usize {
    if !t.fill {
        return digits.len();
    }
    let zeros: Vec<bool> = t
        .parts
        .iter()
        .filter_map(|p| match p {
            Part::Digit(zero) => Some(*zero),
            _ => None,
        })
        .collect();
    let mut end = digits.len();
    while end > before && digits[end - 1] == '0' && !zeros[end - 1] {
        end -= 1;
    }
    end
}

/// `d.ddde+xx` with as many digits after the point as the template has.
fn scientific(n: &Numeric, t: &Template) -> Result<Value> {
    let after = t
        .parts
        .iter()
        .skip_while(|p| **p != Part::Point)
        .filter(|p| matches!(p, Part::Digit(_)))
        .count();
    let sign = if n.is_negative() {
        "-"
    } else if t.fill {
        ""
    } else {
        " "
    };
    let (mantissa, exponent) = match n.abs() {
        finite if finite.is_finite() => {
            let text = finite.to_string();
            let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
            let digits = format!("{whole}{fraction}");
            let first = digits.find(|c| c != '0');
            match first {
                None => (Numeric::zero(), 0),
                Some(first) => {
                    let exponent = whole.len() as i64 - 1 - first as i64;
                    let scaled = format!("{}.{}", &digits[first..=first], &digits[first + 1..]);
                    (scaled.trim_end_matches('.').parse::<Numeric>()?, exponent)
                }
            }
        }
        _ => return Ok(format!("{sign}#").into()),
    };
    let places = i32::try_from(after).unwrap_or(0);
    let mut rounded = mantissa.round(places)?;
    let mut exponent = exponent;
    if rounded.compare(&Numeric::from(10i64)).is_ge() {
        rounded = Numeric::from(1i64).round(places)?;
        exponent += 1;
    }
    let exponent_sign = if exponent < 0 { '-' } else { '+' };
    Ok(format!("{sign}{rounded}e{exponent_sign}{:02}", exponent.abs()).into())
}

fn roman(n: &Numeric) -> String {
    const STEPS: [(i64, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    let value = n.round(0).ok().and_then(|n| n.to_i64());
    let Some(mut rest) = value.filter(|v| (1..4000).contains(v)) else {
        return "#".repeat(15);
    };
    let mut out = String::new();
    for (step, letters) in STEPS {
        while rest >= step {
            out.push_str(letters);
            rest -= step;
        }
    }
    out
}

/// The digits, point and sign of the text; a template's other characters only say what may be skipped.
fn to_number(text: &str) -> Result<Value> {
    let mut kept = String::new();
    let negative = text.contains('-') || (text.contains('<') && text.contains('>'));
    for c in text.chars() {
        if c.is_ascii_digit() || (c == '.' && !kept.contains('.')) {
            kept.push(c);
        }
    }
    if !kept.bytes().any(|b| b.is_ascii_digit()) {
        return Err(Error::new(
            SqlState::INVALID_TEXT_REPRESENTATION,
            format!("invalid input syntax for type numeric: \"{}\"", text.trim()),
        ));
    }
    let n: Numeric = kept.trim_end_matches('.').parse()?;
    Ok(make_numeric(if negative { n.neg() } else { n }))
}
