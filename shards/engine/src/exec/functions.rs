//! The functions and operators that expressions call.

use super::context::Context;
use types::{DataType, Result, Value};

/// One function of fixed argument types; overloads have several.
pub struct Function {
    /// Unique: PostgreSQL's internal name (`pg_proc.prosrc`), such as `int4pl`.
    pub name: &'static str,
    pub args: &'static [DataType],
    pub ret: DataType,
    /// NULL in, NULL out, without a call.
    pub strict: bool,
    pub volatility: Volatility,
    pub eval: fn(&Context, &[Value]) -> Result<Value>,
}

/// What may be computed once: at planning, once a statement, or never.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Volatility {
    Immutable,
    Stable,
    Volatile,
}

impl PartialEq for Function {
    fn eq(&self, other: &Function) -> bool {
        self.name == other.name
    }
}

impl Eq for Function {}

/// By unique name.
pub fn by_name(_name: &str) -> Option<&'static Function> {
    None
}
