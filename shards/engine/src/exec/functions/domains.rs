//! The cast to a domain.
//!
//! Its argument has the type under the domain already; the binder adds the domain's oid. It has no name in SQL, and is not
//! immutable: what it allows is the catalog's to say. Source: PostgreSQL 15, `domains.c`.

use super::{ANY_ELEMENT, Function};
use crate::plan::Expr;
use types::{DataType, Error, Value};

/// Its unique name.
pub const TO_DOMAIN: &str = "to_domain";

pub static FUNCTIONS: &[Function] = &[Function::new(
    TO_DOMAIN,
    &[ANY_ELEMENT, DataType::Oid],
    ANY_ELEMENT,
    |ctx, a| match a {
        [value, Value::Oid(oid)] => {
            ctx.catalog.hold_to_domain(*oid, value, ctx)?;
            Ok(value.clone())
        }
        _ => Err(Error::internal("a cast to a domain without its oid")),
    },
)
.sql("")
.lax()
.stable()];

/// The domain that an expression is a cast to.
pub fn cast_to_domain(e: &Expr) -> Option<u32> {
    match e {
        Expr::Call { func, args, .. } if func.0.name == TO_DOMAIN => match args.last() {
            Some(Expr::Const(Value::Oid(oid), _)) => Some(*oid),
            _ => None,
        },
        _ => None,
    }
}
