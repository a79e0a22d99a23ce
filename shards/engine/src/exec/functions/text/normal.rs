//! Unicode normalization: `normalize(s, NFC)`, `s IS NORMALIZED`.
//!
//! Owns: the names of the forms; the tables are `unicode-normalization`'s. Source: Unicode Standard Annex 15; PostgreSQL 15,
//! `varlena.c` (`unicode_norm_form_from_string`).

use super::{Function, args};
use crate::exec::functions::check_size;
use DataType::*;
use types::{DataType, Error, Result, SqlState};
use unicode_normalization::{UnicodeNormalization, is_nfc, is_nfd, is_nfkc, is_nfkd};

pub static FUNCTIONS: &[Function] = &[
    Function::new("unicode_normalize_func", &[Text, Text], Text, |_, a| {
        let (text, form) = (args::text(a, 0)?, Form::named(args::text(a, 1)?)?);
        let out: String = match form {
            Form::C => text.nfc().collect(),
            Form::D => text.nfd().collect(),
            Form::KC => text.nfkc().collect(),
            Form::KD => text.nfkd().collect(),
        };
        check_size(out.len())?;
        Ok(out.into())
    })
    .sql("normalize"),
    Function::new("unicode_is_normalized", &[Text, Text], Bool, |_, a| {
        let (text, form) = (args::text(a, 0)?, Form::named(args::text(a, 1)?)?);
        let is = match form {
            Form::C => is_nfc(text),
            Form::D => is_nfd(text),
            Form::KC => is_nfkc(text),
            Form::KD => is_nfkd(text),
        };
        Ok(is.into())
    })
    .sql("is_normalized"),
];

enum Form {
    C,
    D,
    KC,
    KD,
}

impl Form {
    fn named(name: &str) -> Result<Form> {
        Ok(match name.to_ascii_uppercase().as_str() {
            "NFC" => Form::C,
            "NFD" => Form::D,
            "NFKC" => Form::KC,
            "NFKD" => Form::KD,
            _ => {
                return Err(Error::new(
                    SqlState::INVALID_PARAMETER_VALUE,
                    format!("invalid normalization form: {name}"),
                ));
            }
        })
    }
}
