//! Functions of any types (`anyelement` …) in a call.
//!
//! Owns: which of the call's arguments say the types. Never: finds them out; `engine::catalog::generic` does. Such a function has to be
//! one query that changes nothing: what is called by its oid is bound without the call's types.
//! Source: PostgreSQL 15 manual, 38.2.5.

use super::super::Binder;
use engine::catalog::Function;
use std::sync::Arc;
use types::{DataType, Error, Result};

/// The function with the types of its arguments; `None` where they do not go together.
pub(super) fn of_call(
    f: Arc<Function>,
    places: &[Option<usize>],
    types: &[DataType],
) -> Result<Option<Arc<Function>>> {
    if !f.is_generic() {
        return Ok(Some(f));
    }
    let given = places.iter().zip(&f.args).map(|(at, arg)| match at {
        Some(at) => types.get(*at).copied(),
        None => arg.default.as_ref().map(|d| d.expr.ty()),
    });
    let given: Vec<Option<DataType>> = given.collect();
    Ok(f.with_types(&given)?.map(Arc::new))
}

impl Binder<'_> {
    /// 0A000 for one that is called rather than put in the place of its call.
    pub(super) fn refuse_generic(&self, f: &Function) -> Result<()> {
        if self.defining || !f.is_generic() {
            return Ok(());
        }
        Err(Error::unsupported(format!(
            "function {} of any types is not one query that changes nothing, which is not supported",
            f.name
        )))
    }
}
