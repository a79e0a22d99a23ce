//! Functions as the third form of the catalog had them: all in SQL.
//!
//! Owns: the declaration, which is the stored form. Asked by: `stored`, for directories that were written before there were
//! triggers. Never: written any more; a function that changes is stored in the form of today.

use crate::catalog::objects::{FunctionArg, Language, Returns, Stated};
use serde::Deserialize;

#[derive(Deserialize)]
pub struct Function {
    oid: u32,
    schema: String,
    name: String,
    args: Vec<FunctionArg>,
    returns: Returns,
    volatility: char,
    strict: bool,
    body: Stated,
}

impl From<Function> for crate::catalog::Function {
    fn from(old: Function) -> crate::catalog::Function {
        crate::catalog::Function {
            oid: old.oid,
            schema: old.schema,
            name: old.name,
            args: old.args,
            returns: old.returns,
            volatility: old.volatility,
            strict: old.strict,
            body: old.body,
            language: Language::Sql,
        }
    }
}
