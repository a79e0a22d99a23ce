//! bytea functions and operators.
//!
//! Source: PostgreSQL 15 manual, section 9.5.

use super::args::{self, check_size, make_bytes};
use super::{Function, text::bounds};
use DataType::*;
use types::{DataType, Error, Result, SqlState, Value};

pub static FUNCTIONS: &[Function] = &[
    Function::new("byteacat", &[Bytea, Bytea], Bytea, |_, a| {
        let (x, y) = (args::bytea(a, 0)?, args::bytea(a, 1)?);
        check_size(x.len() + y.len())?;
        Ok(make_bytes([x, y].concat()))
    })
    .op("||"),
    Function::new("bytealen", &[Bytea], Int4, |_, a| {
        length(args::bytea(a, 0)?.len())
    })
    .sql("length"),
    Function::new("byteaoctetlen", &[Bytea], Int4, |_, a| {
        length(args::bytea(a, 0)?.len())
    })
    .sql("octet_length"),
    Function::new("byteabitlen", &[Bytea], Int4, |_, a| {
        length(args::bytea(a, 0)?.len() * 8)
    })
    .sql("bit_length"),
    Function::new("bytea_substr", &[Bytea, Int4, Int4], Bytea, |_, a| {
        cut(a, Some(args::int4(a, 2)?))
    })
    .sql("substring"),
    Function::new("bytea_substr_no_len", &[Bytea, Int4], Bytea, |_, a| {
        cut(a, None)
    })
    .sql("substring"),
    Function::new("byteatrim", &[Bytea, Bytea], Bytea, |_, a| {
        trimmed(a, true, true)
    })
    .sql("btrim"),
    Function::new("bytealtrim", &[Bytea, Bytea], Bytea, |_, a| {
        trimmed(a, true, false)
    })
    .sql("ltrim"),
    Function::new("byteartrim", &[Bytea, Bytea], Bytea, |_, a| {
        trimmed(a, false, true)
    })
    .sql("rtrim"),
    Function::new("byteapos", &[Bytea, Bytea], Int4, |_, a| {
        position(args::bytea(a, 0)?, args::bytea(a, 1)?)
    })
    .sql("position"),
    Function::new("byteaGetByte", &[Bytea, Int4], Int4, |_, a| get_byte(a)).sql("get_byte"),
    Function::new("byteaSetByte", &[Bytea, Int4, Int4], Bytea, |_, a| {
        set_byte(a)
    })
    .sql("set_byte"),
    Function::new("byteaGetBit", &[Bytea, Int8], Int4, |_, a| {
        let bytes = args::bytea(a, 0)?;
        let at = index(a, bytes.len() * 8)?;
        Ok(Value::Int4(i32::from(bytes[at / 8] >> (at % 8) & 1)))
    })
    .sql("get_bit"),
    Function::new("byteaSetBit", &[Bytea, Int8, Int4], Bytea, |_, a| {
        set_bit(a)
    })
    .sql("set_bit"),
    Function::new("bytea_bit_count", &[Bytea], Int8, |_, a| {
        let ones: u32 = args::bytea(a, 0)?.iter().map(|b| b.count_ones()).sum();
        Ok(Value::Int8(i64::from(ones)))
    })
    .sql("bit_count"),
    Function::new("pg_convert_from", &[Bytea, Text], Text, |_, a| {
        convert_from(a)
    })
    .sql("convert_from"),
    Function::new("pg_convert_to", &[Text, Text], Bytea, |_, a| {
        utf8_only(args::text(a, 1)?)?;
        Ok(make_bytes(args::text(a, 0)?.as_bytes().to_vec()))
    })
    .sql("convert_to"),
];

/// Without the bytes of the second that it begins and ends with.
fn trimmed(a: &[Value], start: bool, end: bool) -> Result<Value> {
    let (bytes, set) = (args::bytea(a, 0)?, args::bytea(a, 1)?);
    let keeps = |b: &u8| !set.contains(b);
    let from = match start {
        true => bytes.iter().position(keeps).unwrap_or(bytes.len()),
        false => 0,
    };
    let upto = match end {
        true => bytes.iter().rposition(keeps).map_or(from, |last| last + 1),
        false => bytes.len(),
    };
    Ok(make_bytes(
        bytes.get(from..upto).unwrap_or_default().to_vec(),
    ))
}

fn length(n: usize) -> Result<Value> {
    Ok(Value::Int4(i32::try_from(n).unwrap_or(i32::MAX)))
}

fn cut(a: &[Value], len: Option<i32>) -> Result<Value> {
    let bytes = args::bytea(a, 0)?;
    let (from, to) = bounds(args::int4(a, 1)?, len)?;
    let to = to.min(bytes.len());
    Ok(make_bytes(bytes.get(from..to).unwrap_or(&[]).to_vec()))
}

fn position(bytes: &[u8], part: &[u8]) -> Result<Value> {
    if part.is_empty() {
        return Ok(Value::Int4(1));
    }
    let at = bytes.windows(part.len()).position(|w| w == part);
    length(at.map_or(0, |i| i + 1))
}

fn index(a: &[Value], len: usize) -> Result<usize> {
    let i = args::int(a, 1)?;
    let found = usize::try_from(i).ok().filter(|i| *i < len);
    found.ok_or_else(|| {
        Error::new(
            SqlState(*b"2202E"),
            format!("index {i} out of valid range, 0..{}", len as i64 - 1),
        )
    })
}

fn get_byte(a: &[Value]) -> Result<Value> {
    let bytes = args::bytea(a, 0)?;
    Ok(Value::Int4(i32::from(bytes[index(a, bytes.len())?])))
}

fn set_byte(a: &[Value]) -> Result<Value> {
    let mut bytes = args::bytea(a, 0)?.to_vec();
    let i = index(a, bytes.len())?;
    bytes[i] = args::int4(a, 2)? as u8;
    Ok(make_bytes(bytes))
}

fn set_bit(a: &[Value]) -> Result<Value> {
    let mut bytes = args::bytea(a, 0)?.to_vec();
    let at = index(a, bytes.len() * 8)?;
    let mask = 1 << (at % 8);
    match args::int4(a, 2)? {
        0 => bytes[at / 8] &= !mask,
        1 => bytes[at / 8] |= mask,
        _ => {
            return Err(Error::new(
                SqlState::INVALID_PARAMETER_VALUE,
                "new bit must be 0 or 1",
            ));
        }
    }
    Ok(make_bytes(bytes))
}

fn utf8_only(encoding: &str) -> Result<()> {
    match encoding.to_ascii_lowercase().as_str() {
        "utf8" | "utf-8" | "unicode" => Ok(()),
        _ => Err(Error::unsupported(format!(
            "encoding \"{encoding}\" is not supported: this server converts UTF8 only"
        ))),
    }
}

fn convert_from(a: &[Value]) -> Result<Value> {
    utf8_only(args::text(a, 1)?)?;
    let bytes = args::bytea(a, 0)?;
    match std::str::from_utf8(bytes) {
        Ok(s) if !s.contains('\0') => Ok(s.into()),
        Ok(_) => Err(invalid_bytes("0x00")),
        Err(e) => {
            let from = e.valid_up_to();
            let bad = &bytes[from..(from + e.error_len().unwrap_or(1)).min(bytes.len())];
            let shown: Vec<String> = bad.iter().map(|b| format!("0x{b:02x}")).collect();
            Err(invalid_bytes(&shown.join(" ")))
        }
    }
}

fn invalid_bytes(shown: &str) -> Error {
    Error::new(
        SqlState::CHARACTER_NOT_IN_REPERTOIRE,
        format!("invalid byte sequence for encoding \"UTF8\": {shown}"),
    )
}
