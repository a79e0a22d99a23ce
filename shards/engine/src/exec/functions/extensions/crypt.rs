//! `pgcrypto`: passwords.
//!
//! Owns: `crypt` and `gen_salt`. What is computed takes the shard's time, so bcrypt is bounded (`COST_MAX`). The algorithms `des` and
//! `xdes` are refused. Source: PostgreSQL 15, `contrib/pgcrypto/px-crypt.c`, `crypt-gensalt.c`.

use super::unixcrypt::{self, BCRYPT, ITOA};
use super::{Function, args};
use DataType::*;
use types::{DataType, Error, Result, SqlState, Value};

/// A password takes 2^cost steps: with this one about a second. More: 54000.
pub(super) const COST_MAX: u32 = 14;
const COST: i32 = 6;

pub static FUNCTIONS: &[Function] = &[
    Function::new("crypt_text", &[Text, Text], Text, |_, a| {
        crypt(args::text(a, 0)?, args::text(a, 1)?).map(Value::from)
    })
    .sql(""),
    Function::new("gen_salt", &[Text], Text, |_, a| {
        gen_salt(args::text(a, 0)?, 0).map(Value::from)
    })
    .sql("")
    .volatile(),
    Function::new("gen_salt_rounds", &[Text, Int4], Text, |_, a| {
        gen_salt(args::text(a, 0)?, args::int4(a, 1)?).map(Value::from)
    })
    .sql("")
    .volatile(),
];

fn crypt(password: &str, salt: &str) -> Result<String> {
    if salt.starts_with("$2a$") {
        let (cost, bytes) = bcrypt_setting(salt).ok_or_else(invalid_salt)?;
        if cost > COST_MAX {
            return Err(Error::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("passwords of a cost above {COST_MAX} are not computed"),
            ));
        }
        return Ok(unixcrypt::bcrypt(password.as_bytes(), cost, bytes));
    }
    if let Some(rest) = salt.strip_prefix("$1$") {
        let end = rest.bytes().position(|b| b == b'$').unwrap_or(rest.len());
        let salt = rest.as_bytes().get(..end.min(8)).unwrap_or_default();
        return Ok(unixcrypt::md5_crypt(password.as_bytes(), salt));
    }
    if salt.len() < 2 {
        return Err(invalid_salt());
    }
    Err(
        Error::unsupported("passwords of this kind are not supported")
            .with_hint("gen_salt('bf') and gen_salt('md5') make salts of those that are."),
    )
}

/// `$2a$`, two digits, `$`, 22 characters.
fn bcrypt_setting(salt: &str) -> Option<(u32, [u8; 16])> {
    let digits = salt
        .get(4..6)
        .filter(|d| d.bytes().all(|b| b.is_ascii_digit()))?;
    let cost: u32 = digits.parse().ok()?;
    let written = salt.as_bytes().get(7..29)?;
    if salt.as_bytes().get(6) != Some(&b'$') || !(4..=31).contains(&cost) {
        return None;
    }
    unixcrypt::from_bcrypt(written).map(|bytes| (cost, bytes))
}

fn invalid_salt() -> Error {
    Error::new(SqlState::INVALID_PARAMETER_VALUE, "invalid salt")
}

fn gen_salt(kind: &str, rounds: i32) -> Result<String> {
    let refused = |what: &str| {
        let message = format!("gen_salt: {what}");
        Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, message))
    };
    let rounds_are_wrong = || refused("Incorrect number of rounds");
    match kind.to_ascii_lowercase().as_str() {
        "bf" => {
            let cost = if rounds == 0 { COST } else { rounds };
            if !(4..=31).contains(&cost) {
                return rounds_are_wrong();
            }
            let mut bytes = [0; 16];
            runtime::random_bytes(&mut bytes);
            let salt = unixcrypt::to_bcrypt(&bytes);
            Ok(format!("$2a${cost:02}${salt}"))
        }
        "md5" => {
            if rounds != 0 && rounds != 1_000 {
                return rounds_are_wrong();
            }
            let mut bytes = [0; 8];
            runtime::random_bytes(&mut bytes);
            let digit = |b: u8| char::from(ITOA[usize::from(b & 63)]);
            let salt: String = bytes.into_iter().map(digit).collect();
            Ok(format!("$1${salt}"))
        }
        name @ ("des" | "xdes") => Err(Error::unsupported(format!(
            "passwords of the kind {name} are not supported"
        ))
        .with_hint("Those of bf and md5 are.")),
        _ => refused("Unknown salt algorithm"),
    }
}

const _: () = assert!(BCRYPT.len() == 64 && ITOA.len() == 64);
