//! macaddr and macaddr8: the address of a network card, of 6 or 8 bytes.
//!
//! Owns: the spellings that PostgreSQL takes. Source: PostgreSQL 15, `macaddr_in`, `macaddr8_in`.

use crate::text::invalid;
use crate::{DataType, Error, Result, SqlState};
use std::fmt::{self, Write};

/// Bytes as they are written, the first one first.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct Mac(pub [u8; 6]);

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct Mac8(pub [u8; 8]);

impl Mac {
    /// `08:00:2b:01:02:03`, with `-`, in two or three groups, or without anything between.
    pub fn parse(text: &str) -> Result<Mac> {
        let refused = || invalid(text, DataType::Macaddr);
        let trimmed = text.trim_matches(|c: char| c.is_ascii_whitespace());
        if let Some(parts) = [':', '-'].iter().find_map(|sign| separate(trimmed, *sign)) {
            let mut bytes = [0; 6];
            for (byte, part) in bytes.iter_mut().zip(parts) {
                *byte = u8::from_str_radix(part, 16).map_err(|_| {
                    Error::new(
                        SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                        format!("invalid octet value in \"macaddr\" value: \"{text}\""),
                    )
                })?;
            }
            return Ok(Mac(bytes));
        }
        let forms = [(':', 6), ('-', 6), ('.', 4), ('-', 4), (' ', 12)];
        let bytes = forms
            .into_iter()
            .find_map(|(sign, length)| groups(trimmed, sign, length));
        <[u8; 6]>::try_from(bytes.ok_or_else(refused)?)
            .map(Mac)
            .map_err(|_| refused())
    }
}

/// Six numbers with this sign between them.
fn separate(text: &str, sign: char) -> Option<Vec<&str>> {
    let parts: Vec<&str> = text.split(sign).collect();
    let number = |p: &&str| !p.is_empty() && p.bytes().all(|b| b.is_ascii_hexdigit());
    (parts.len() == 6 && parts.iter().all(number)).then_some(parts)
}

/// Twelve digits in groups of this length.
fn groups(text: &str, sign: char, length: usize) -> Option<Vec<u8>> {
    let mut digits = String::with_capacity(12);
    for part in text.split(sign) {
        if part.len() != length || !part.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        digits.push_str(part);
    }
    let pairs = (0..digits.len()).step_by(2);
    pairs
        .map(|at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok())
        .collect()
}

impl Mac8 {
    /// Six bytes get `ff:fe` in their middle.
    pub fn parse(text: &str) -> Result<Mac8> {
        let refused = || invalid(text, DataType::Macaddr8);
        let trimmed = text.trim_matches(|c: char| c.is_ascii_whitespace());
        let bytes = pairs(trimmed).ok_or_else(refused)?;
        match bytes.as_slice() {
            [a, b, c, d, e, f] => Ok(Mac8::from(Mac([*a, *b, *c, *d, *e, *f]))),
            _ => <[u8; 8]>::try_from(bytes).map(Mac8).map_err(|_| refused()),
        }
    }

    /// 22003 where the middle is not `ff:fe`.
    pub fn short(self) -> Result<Mac> {
        match self.0 {
            [a, b, c, 0xff, 0xfe, d, e, f] => Ok(Mac([a, b, c, d, e, f])),
            _ => Err(Error::new(
                SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                "macaddr8 data out of range to convert to macaddr",
            )
            .with_hint("Only addresses that have FF and FE as values in the 4th and 5th bytes from the left, for example xx:xx:xx:ff:fe:xx:xx:xx, are eligible to be converted from macaddr8 to macaddr.")),
        }
    }
}

impl From<Mac> for Mac8 {
    fn from(Mac([a, b, c, d, e, f]): Mac) -> Mac8 {
        Mac8([a, b, c, 0xff, 0xfe, d, e, f])
    }
}

/// Pairs of digits with one kind of sign between some of them.
fn pairs(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut between = None;
    let mut rest = text;
    while !rest.is_empty() {
        let pair = rest
            .get(..2)
            .filter(|p| p.bytes().all(|b| b.is_ascii_hexdigit()))?;
        out.push(u8::from_str_radix(pair, 16).ok()?);
        rest = rest.get(2..)?;
        if out.len() > 8 {
            return None;
        }
        if let Some(sign @ (':' | '-' | '.')) = rest.chars().next() {
            if *between.get_or_insert(sign) != sign {
                return None;
            }
            rest = rest.get(1..)?;
        }
    }
    Some(out)
}

fn write(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (i, byte) in bytes.iter().enumerate() {
        if i > 0 {
            f.write_char(':')?;
        }
        write!(f, "{byte:02x}")?;
    }
    Ok(())
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(&self.0, f)
    }
}

impl fmt::Display for Mac8 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(&self.0, f)
    }
}
