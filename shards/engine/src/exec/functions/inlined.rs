//! The mark of a user's function in an expression that is kept.
//!
//! Its body is there in its place; the mark only says which it was, by its oid, so that DROP FUNCTION knows who needs it. It has
//! no name in SQL and changes nothing.

use super::{ANY_ELEMENT, Function};
use crate::plan::Expr;
use types::{DataType, Error, Value};

/// Its unique name.
pub const FROM_FUNCTION: &str = "from_function";

pub static FUNCTIONS: &[Function] = &[Function::new(
    FROM_FUNCTION,
    &[ANY_ELEMENT, DataType::Oid],
    ANY_ELEMENT,
    |_, a| {
        let value = a.first().cloned();
        value.ok_or_else(|| Error::internal("a mark of nothing"))
    },
)
.sql("")
.lax()];

/// Whether an expression came from the function.
pub fn is_from(e: &Expr, function: u32) -> bool {
    e.any(&mut |x| match x {
        Expr::Call { func, args, .. } if func.0.name == FROM_FUNCTION => {
            matches!(args.last(), Some(Expr::Const(Value::Oid(oid), _)) if *oid == function)
        }
        _ => false,
    })
}
