//! The mark of a user's function in an expression that is kept.
//!
//! Where its body is there in its place, the mark says which it was, by its oid, so that DROP FUNCTION knows who needs it. It has
//! no name in SQL and changes nothing. A function that is called needs none.

use super::{ANY_ELEMENT, Function};
use crate::plan::{Expr, Plan};
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

/// Whether an expression came from the function, or calls it.
pub fn is_from(e: &Expr, function: u32) -> bool {
    e.any(&mut |x| match x {
        Expr::Call { func, args, .. } if func.0.name == FROM_FUNCTION => {
            matches!(args.last(), Some(Expr::Const(Value::Oid(oid), _)) if *oid == function)
        }
        Expr::Subquery { plan, .. } => calls(plan, function),
        _ => false,
    })
}

fn calls(plan: &Plan, function: u32) -> bool {
    plan.any(&mut |p| matches!(p, Plan::Call(call) if call.function == function))
}
