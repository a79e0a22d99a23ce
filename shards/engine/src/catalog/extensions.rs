//! Extensions: which there are, and the functions that come with them.
//!
//! Owns: an extension's declaration, which is its stored form (`stored`). Its functions are made of it and stored nowhere: they have
//! the oids that follow its own, in the order of `KNOWN`, which a later version may only add to. Their bodies are functions without a
//! name in SQL (`exec::functions::extensions`). Never: anything that runs.
//! Source: PostgreSQL 15, `contrib/uuid-ossp`, `contrib/pgcrypto`.

use super::Catalog;
use super::objects::{Function, FunctionArg, Language, Returns, Stated};
use crate::exec::functions::{self, Volatility};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Oids that an extension takes: its own and its functions'.
pub const OIDS: u32 = 128;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extension {
    pub oid: u32,
    pub name: String,
    /// Of its functions.
    pub schema: String,
}

/// One that can be created.
pub struct Known {
    pub name: &'static str,
    pub version: &'static str,
    pub comment: &'static str,
    /// What SQL calls its functions, and what they are here.
    functions: &'static [(&'static str, &'static str)],
}

pub static KNOWN: &[Known] = &[
    Known {
        name: "pgcrypto",
        version: "1.3",
        comment: "cryptographic functions",
        functions: &[
            ("digest", "digest_text"),
            ("digest", "digest_bytea"),
            ("hmac", "hmac_text"),
            ("hmac", "hmac_bytea"),
            ("crypt", "crypt_text"),
            ("gen_salt", "gen_salt"),
            ("gen_salt", "gen_salt_rounds"),
            ("gen_random_bytes", "gen_random_bytes"),
            ("gen_random_uuid", "gen_random_uuid"),
            ("encrypt", "encrypt"),
            ("decrypt", "decrypt"),
            ("encrypt_iv", "encrypt_iv"),
            ("decrypt_iv", "decrypt_iv"),
            ("pgp_sym_encrypt", "pgp_sym_encrypt"),
            ("pgp_sym_encrypt", "pgp_sym_encrypt_options"),
            ("pgp_sym_decrypt", "pgp_sym_decrypt"),
            ("pgp_sym_decrypt", "pgp_sym_decrypt_options"),
            ("pgp_pub_encrypt", "pgp_pub_encrypt"),
            ("pgp_pub_decrypt", "pgp_pub_decrypt"),
            ("armor", "armor"),
            ("dearmor", "dearmor"),
        ],
    },
    Known {
        name: "uuid-ossp",
        version: "1.1",
        comment: "generate universally unique identifiers (UUIDs)",
        functions: &[
            ("uuid_nil", "uuid_nil"),
            ("uuid_ns_dns", "uuid_ns_dns"),
            ("uuid_ns_url", "uuid_ns_url"),
            ("uuid_ns_oid", "uuid_ns_oid"),
            ("uuid_ns_x500", "uuid_ns_x500"),
            ("uuid_generate_v1", "uuid_generate_v1"),
            ("uuid_generate_v1mc", "uuid_generate_v1mc"),
            ("uuid_generate_v3", "uuid_generate_v3"),
            ("uuid_generate_v4", "uuid_generate_v4"),
            ("uuid_generate_v5", "uuid_generate_v5"),
        ],
    },
];

/// The one of that name.
pub fn known(name: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|k| k.name == name)
}

impl Extension {
    /// Its functions, as the catalog has them.
    pub fn functions(&self) -> Vec<Function> {
        let all = known(&self.name).map_or(&[][..], |k| k.functions);
        let oids = self.oid + 1..self.oid + OIDS;
        let made = |(oid, (sql, own)): (u32, &(&str, &str))| {
            functions::by_name(own).map(|f| self.function(oid, sql, f))
        };
        oids.zip(all).filter_map(made).collect()
    }

    fn function(&self, oid: u32, sql: &str, own: &functions::Function) -> Function {
        let arg = |ty: &types::DataType| FunctionArg {
            name: None,
            ty: *ty,
            declared: 0,
            default: None,
        };
        Function {
            oid,
            schema: self.schema.clone(),
            name: sql.to_owned(),
            args: own.args.iter().map(arg).collect(),
            returns: Returns {
                ty: own.ret,
                declared: 0,
                set: false,
                columns: Vec::new(),
                row_of: None,
            },
            volatility: match own.volatility {
                Volatility::Immutable => 'i',
                Volatility::Stable => 's',
                Volatility::Volatile => 'v',
            },
            strict: own.strict,
            body: Stated {
                sql: own.name.to_owned(),
                ..Stated::default()
            },
            language: Language::BuiltIn,
            fixed: false,
            settings: Vec::new(),
            written: Vec::new(),
            definer: false,
        }
    }
}

impl Function {
    /// It came with an extension.
    pub fn is_built_in(&self) -> bool {
        self.language == Language::BuiltIn
    }
}

impl Catalog {
    /// Puts an extension in, with its functions, or in the place of what it was.
    pub(in crate::catalog) fn put_extension(&mut self, extension: Extension) {
        for function in extension.functions() {
            self.functions.insert(function.oid, Arc::new(function));
        }
        self.extensions.insert(extension.oid, Arc::new(extension));
    }

    /// The one that a function came with.
    pub fn extension_of(&self, function: &Function) -> Option<&Arc<Extension>> {
        let before = self.extensions.range(..function.oid);
        before
            .map(|(_, e)| e)
            .next_back()
            .filter(|_| function.is_built_in())
    }

    /// The one that is there by this name.
    pub fn extension_named(&self, name: &str) -> Option<&Arc<Extension>> {
        self.extensions.values().find(|e| e.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_of_an_extension_is_there_and_has_an_oid() {
        for known in KNOWN {
            let extension = Extension {
                oid: 20_000,
                name: known.name.into(),
                schema: "public".into(),
            };
            let functions = extension.functions();
            assert_eq!(functions.len(), known.functions.len());
            let mut oids: Vec<u32> = functions.iter().map(|f| f.oid).collect();
            oids.dedup();
            assert_eq!(oids.len(), functions.len());
            assert!(oids.iter().all(|oid| (20_001..20_000 + OIDS).contains(oid)));
        }
    }
}
