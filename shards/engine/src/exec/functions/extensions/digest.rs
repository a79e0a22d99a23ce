//! `pgcrypto`: digests, and what is not there of it.
//!
//! Owns: `digest`, `hmac`, random bytes. Ciphers and PGP are refused. Source: RFC 2104; PostgreSQL 15, `contrib/pgcrypto`.

use super::{Function, args};
use crate::exec::functions::args::make_bytes;
use DataType::*;
use sha1::Digest;
use types::{DataType, Error, Result, SqlState, Value};

/// As PostgreSQL bounds `gen_random_bytes`.
const RANDOM_BYTES_MAX: usize = 1_024;

pub static FUNCTIONS: &[Function] = &[
    of("digest_text", &[Text, Text], Bytea, |_, a| {
        let hash = Hash::named(args::text(a, 1)?)?;
        Ok(make_bytes(hash.of(&[args::text(a, 0)?.as_bytes()])))
    }),
    of("digest_bytea", &[Bytea, Text], Bytea, |_, a| {
        let hash = Hash::named(args::text(a, 1)?)?;
        Ok(make_bytes(hash.of(&[args::bytea(a, 0)?])))
    }),
    of("hmac_text", &[Text, Text, Text], Bytea, |_, a| {
        let hash = Hash::named(args::text(a, 2)?)?;
        let (data, key) = (args::text(a, 0)?, args::text(a, 1)?);
        Ok(make_bytes(hash.keyed(data.as_bytes(), key.as_bytes())))
    }),
    of("hmac_bytea", &[Bytea, Bytea, Text], Bytea, |_, a| {
        let hash = Hash::named(args::text(a, 2)?)?;
        Ok(make_bytes(
            hash.keyed(args::bytea(a, 0)?, args::bytea(a, 1)?),
        ))
    }),
    of("gen_random_bytes", &[Int4], Bytea, |_, a| {
        let length = usize::try_from(args::int4(a, 0)?).unwrap_or(0);
        if !(1..=RANDOM_BYTES_MAX).contains(&length) {
            return Err(Error::new(
                SqlState::EXTERNAL_ROUTINE_INVOCATION_EXCEPTION,
                "Length not in range",
            ));
        }
        let mut bytes = vec![0; length];
        runtime::random_bytes(&mut bytes);
        Ok(make_bytes(bytes))
    })
    .volatile(),
    of("encrypt", &[Bytea, Bytea, Text], Bytea, |_, _| {
        no("encrypt")
    }),
    of("decrypt", &[Bytea, Bytea, Text], Bytea, |_, _| {
        no("decrypt")
    }),
    of("encrypt_iv", &[Bytea, Bytea, Bytea, Text], Bytea, |_, _| {
        no("encrypt_iv")
    }),
    of("decrypt_iv", &[Bytea, Bytea, Bytea, Text], Bytea, |_, _| {
        no("decrypt_iv")
    }),
    of("pgp_sym_encrypt", &[Text, Text], Bytea, |_, _| {
        no("pgp_sym_encrypt")
    })
    .volatile(),
    of(
        "pgp_sym_encrypt_options",
        &[Text, Text, Text],
        Bytea,
        |_, _| no("pgp_sym_encrypt"),
    )
    .volatile(),
    of("pgp_sym_decrypt", &[Bytea, Text], Text, |_, _| {
        no("pgp_sym_decrypt")
    }),
    of(
        "pgp_sym_decrypt_options",
        &[Bytea, Text, Text],
        Text,
        |_, _| no("pgp_sym_decrypt"),
    ),
    of("pgp_pub_encrypt", &[Text, Bytea], Bytea, |_, _| {
        no("pgp_pub_encrypt")
    })
    .volatile(),
    of("pgp_pub_decrypt", &[Bytea, Bytea], Text, |_, _| {
        no("pgp_pub_decrypt")
    }),
    of("armor", &[Bytea], Text, |_, _| no("armor")),
    of("dearmor", &[Text], Bytea, |_, _| no("dearmor")),
];

const fn of(
    name: &'static str,
    args: &'static [DataType],
    ret: DataType,
    eval: super::super::Eval,
) -> Function {
    Function::new(name, args, ret, eval).sql("")
}

fn no(what: &str) -> Result<Value> {
    Err(
        Error::unsupported(format!("{what} of pgcrypto is not supported"))
            .with_hint("Its digests, crypt, gen_salt and random bytes are."),
    )
}

/// An algorithm: the digest of what is put together, and its block.
pub(super) struct Hash {
    digest: fn(&[&[u8]]) -> Vec<u8>,
    block_bytes: usize,
}

fn all<D: Digest>(parts: &[&[u8]]) -> Vec<u8> {
    let mut state = D::new();
    parts.iter().for_each(|part| state.update(part));
    state.finalize().to_vec()
}

impl Hash {
    fn named(name: &str) -> Result<Hash> {
        let digest = match name.to_ascii_lowercase().as_str() {
            "md5" => all::<md5::Md5>,
            "sha1" => all::<sha1::Sha1>,
            "sha224" => all::<sha2::Sha224>,
            "sha256" => all::<sha2::Sha256>,
            "sha384" => all::<sha2::Sha384>,
            "sha512" => all::<sha2::Sha512>,
            _ => {
                return Err(Error::new(
                    SqlState::INVALID_PARAMETER_VALUE,
                    format!("Cannot use \"{name}\": No such hash algorithm"),
                ));
            }
        };
        let wide = matches!(name.to_ascii_lowercase().as_str(), "sha384" | "sha512");
        Ok(Hash {
            digest,
            block_bytes: if wide { 128 } else { 64 },
        })
    }

    fn of(&self, parts: &[&[u8]]) -> Vec<u8> {
        (self.digest)(parts)
    }

    /// RFC 2104.
    fn keyed(&self, data: &[u8], key: &[u8]) -> Vec<u8> {
        let mut block = match key.len() > self.block_bytes {
            true => self.of(&[key]),
            false => key.to_vec(),
        };
        block.resize(self.block_bytes, 0);
        let padded = |with: u8| block.iter().map(|b| b ^ with).collect::<Vec<u8>>();
        let inner = self.of(&[&padded(0x36), data]);
        self.of(&[&padded(0x5C), &inner])
    }
}
