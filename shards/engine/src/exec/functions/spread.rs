//! `f(a, VARIADIC array)`: the elements of an array as the last arguments of a function.
//!
//! Owns: the call of such a function, which is named by the first argument. It has no name in SQL; the binder has seen that the function
//! takes any number of arguments. Source: PostgreSQL 15, `fmgr.h` (`get_fn_expr_variadic`), `concat_internal`, `text_format`.

use super::{ANY, Function, args, by_name};
use types::{DataType, Error, Value};

/// Its unique name.
pub const SPREAD: &str = "spread";

pub static FUNCTIONS: &[Function] = &[Function::new(SPREAD, &[ANY], DataType::Unknown, |c, a| {
    let (name, rest) = (args::text(a, 0)?, a.get(1..).unwrap_or_default());
    let function =
        by_name(name).ok_or_else(|| Error::internal(format!("there is no function {name}")))?;
    let Some((array, rest)) = rest.split_last() else {
        return Err(Error::internal("VARIADIC without an array"));
    };
    let mut all = rest.to_vec();
    match array {
        Value::Array(array) => all.extend(array.items.iter().cloned()),
        // Without an array it has nothing to put in.
        _ if name == "text_format" => {}
        _ => return Ok(Value::Null),
    }
    if function.strict && all.iter().any(Value::is_null) {
        return Ok(Value::Null);
    }
    (function.eval)(c, &all)
})
.sql("")
.lax()
.variadic()
.stable()];
