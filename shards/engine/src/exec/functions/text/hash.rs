//! Digests and encodings.

use super::{Function, args};
use crate::exec::functions::args::make_bytes;
use DataType::*;
use md5::Digest;
use types::{DataType, Error, Result, SqlState, Value};

pub static FUNCTIONS: &[Function] = &[
    Function::new("md5_text", &[Text], Text, |_, a| {
        Ok(md5(args::text(a, 0)?.as_bytes()))
    })
    .sql("md5"),
    Function::new("md5_bytea", &[Bytea], Text, |_, a| {
        Ok(md5(args::bytea(a, 0)?))
    })
    .sql("md5"),
    Function::new("sha224_bytea", &[Bytea], Bytea, |_, a| {
        Ok(make_bytes(
            sha2::Sha224::digest(args::bytea(a, 0)?).to_vec(),
        ))
    })
    .sql("sha224"),
    Function::new("sha256_bytea", &[Bytea], Bytea, |_, a| {
        Ok(make_bytes(
            sha2::Sha256::digest(args::bytea(a, 0)?).to_vec(),
        ))
    })
    .sql("sha256"),
    Function::new("sha384_bytea", &[Bytea], Bytea, |_, a| {
        Ok(make_bytes(
            sha2::Sha384::digest(args::bytea(a, 0)?).to_vec(),
        ))
    })
    .sql("sha384"),
    Function::new("sha512_bytea", &[Bytea], Bytea, |_, a| {
        Ok(make_bytes(
            sha2::Sha512::digest(args::bytea(a, 0)?).to_vec(),
        ))
    })
    .sql("sha512"),
    Function::new("binary_encode", &[Bytea, Text], Text, |_, a| {
        encode(args::bytea(a, 0)?, args::text(a, 1)?)
    })
    .sql("encode"),
    Function::new("binary_decode", &[Text, Text], Bytea, |_, a| {
        decode(args::text(a, 0)?, args::text(a, 1)?)
    })
    .sql("decode"),
];

fn md5(bytes: &[u8]) -> Value {
    hexadecimal(&md5::Md5::digest(bytes)).into()
}

fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |d: u8| char::from(DIGITS[usize::from(d & 15)]);
    bytes
        .iter()
        .flat_map(|b| [digit(b >> 4), digit(*b)])
        .collect()
}

fn encode(bytes: &[u8], format: &str) -> Result<Value> {
    match format.to_ascii_lowercase().as_str() {
        "hex" => Ok(hexadecimal(bytes).into()),
        "base64" => Ok(base64(bytes).into()),
        "escape" => Ok(escape(bytes).into()),
        _ => Err(unknown_encoding(format)),
    }
}

fn decode(s: &str, format: &str) -> Result<Value> {
    match format.to_ascii_lowercase().as_str() {
        "hex" => from_hexadecimal(s),
        "base64" => from_base64(s),
        "escape" => unescape(s),
        _ => Err(unknown_encoding(format)),
    }
    .map(make_bytes)
}

fn refuse(message: impl Into<String>) -> Error {
    Error::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn unknown_encoding(format: &str) -> Error {
    refuse(format!("unrecognized encoding: \"{format}\""))
}

fn from_hexadecimal(s: &str) -> Result<Vec<u8>> {
    let mut digits = Vec::with_capacity(s.len());
    for c in s.chars().filter(|c| !matches!(c, ' ' | '\n' | '\t' | '\r')) {
        let digit = c
            .to_digit(16)
            .ok_or_else(|| refuse(format!("invalid hexadecimal digit: \"{c}\"")))?;
        digits.push(digit as u8);
    }
    if digits.len() % 2 == 1 {
        return Err(refuse("invalid hexadecimal data: odd number of digits"));
    }
    Ok(digits.chunks(2).map(|d| d[0] << 4 | d[1]).collect())
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Lines of 76 characters, as MIME has them and PostgreSQL too.
fn base64(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() / 3 * 4 + 8);
    for (i, chunk) in bytes.chunks(3).enumerate() {
        if i > 0 && i % 19 == 0 {
            out.push('\n');
        }
        let byte = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let word = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            if at > chunk.len() {
                out.push('=');
            } else {
                let six = (word >> (18 - 6 * at)) & 63;
                out.push(char::from(ALPHABET[six as usize]));
            }
        }
    }
    out
}

fn from_base64(s: &str) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(s.len() / 4 * 3);
    let (mut word, mut sixes, mut padding) = (0u32, 0, 0);
    for c in s.chars().filter(|c| !c.is_ascii_whitespace()) {
        let six = if c == '=' {
            padding += 1;
            if sixes < 2 {
                return Err(refuse("unexpected \"=\" while decoding base64 sequence"));
            }
            0
        } else {
            let at = ALPHABET.iter().position(|a| char::from(*a) == c);
            match at {
                Some(at) if padding == 0 => at as u32,
                _ => {
                    return Err(refuse(format!(
                        "invalid symbol \"{c}\" found while decoding base64 sequence"
                    )));
                }
            }
        };
        word = word << 6 | six;
        sixes += 1;
        if sixes == 4 {
            let bytes = word.to_be_bytes();
            out.extend_from_slice(&bytes[1..4 - padding.min(2)]);
            (word, sixes) = (0, 0);
        }
    }
    if sixes != 0 {
        return Err(refuse("invalid base64 end sequence")
            .with_hint("Input data is missing padding, is truncated, or is otherwise corrupted."));
    }
    Ok(out)
}

/// Zero and high bytes as `\ooo`, backslashes doubled.
fn escape(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for b in bytes {
        match b {
            b'\\' => out.push_str("\\\\"),
            0 | 0x80.. => out.push_str(&format!("\\{b:03o}")),
            _ => out.push(char::from(*b)),
        }
    }
    out
}

fn unescape(s: &str) -> Result<Vec<u8>> {
    let bytes = s.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while let Some(b) = bytes.get(i) {
        if *b != b'\\' {
            out.push(*b);
            i += 1;
            continue;
        }
        match bytes.get(i + 1..) {
            Some([b'\\', ..]) => {
                out.push(b'\\');
                i += 2;
            }
            Some([a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..]) => {
                out.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                i += 4;
            }
            _ => {
                return Err(Error::new(
                    SqlState::INVALID_TEXT_REPRESENTATION,
                    "invalid input syntax for type bytea",
                ));
            }
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_give_back_what_they_were_given() {
        let all: Vec<u8> = (0..=255).collect();
        for n in 0..all.len() {
            let bytes = &all[..n];
            assert_eq!(from_base64(&base64(bytes)).as_deref(), Ok(bytes));
            assert_eq!(from_hexadecimal(&hexadecimal(bytes)).as_deref(), Ok(bytes));
            assert_eq!(unescape(&escape(bytes)).as_deref(), Ok(bytes));
        }
        assert_eq!(base64(b"hello"), "aGVsbG8=");
        assert!(from_base64("aGVsbG8").is_err());
        assert!(from_base64("=").is_err());
    }
}
