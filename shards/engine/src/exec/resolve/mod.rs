//! Which function, operator or aggregate a call means, given the types of its arguments.
//!
//! Owns: PostgreSQL's rules for overloads: exact match, then implicit conversions, literals of unknown type, preferred types
//! and categories; polymorphic results; the errors when nothing or too much fits.
//! Asked by: the binder. Never: looks at values; adds the casts (it says which types to cast to).
//! Source: PostgreSQL 15 manual, chapter 10; `parse_func.c`, `parse_oper.c`, `parse_coerce.c`.

mod aggregate;
mod polymorphic;
mod select;
mod table;
mod window;

pub use aggregate::{ResolvedAggregate, aggregate, is_aggregate};
pub use table::{EXPAND_ARRAY, is_table_function, run_table_function, table_function};
pub use window::{ResolvedWindow, window_function, window_functions};

use super::cast::{CastContext, can_cast, is_preferred};
use super::functions::{self, Function};
use types::{DataType, Error, Result, SqlState};

/// A chosen overload.
#[derive(Clone, Debug)]
pub struct Resolved {
    pub func: &'static Function,
    /// Cast the arguments to these.
    pub arg_types: Vec<DataType>,
    pub ret: DataType,
}

/// The overload of `name` for these arguments; 42883 when none fits, 42725 when several do equally.
pub fn function(name: &str, args: &[DataType]) -> Result<Resolved> {
    let name = sql_alias(name);
    if let ("pg_typeof", [ty]) = (name, args) {
        // It alone takes a literal's type for what it is, unknown.
        let overload = functions::overloads(name).iter().find(|f| f.args == args);
        return overload.map_or_else(
            || Err(undefined(name, args)),
            |func| {
                Ok(Resolved {
                    func,
                    arg_types: vec![*ty],
                    ret: func.ret,
                })
            },
        );
    }
    match select::choose(functions::overloads(name), args, false) {
        select::Choice::One(r) => Ok(r),
        select::Choice::None => cast_call(name, args).ok_or_else(|| undefined(name, args)),
        select::Choice::Many => Err(ambiguous(name, args)),
    }
}

/// `int4(x)`: a cast written as a call.
fn cast_call(name: &str, args: &[DataType]) -> Option<Resolved> {
    let [from] = *args else {
        return None;
    };
    let ret = *DataType::ALL.iter().find(|t| t.name() == name)?;
    let from = if from == DataType::Unknown {
        DataType::Text
    } else {
        from
    };
    let func = functions::system::cast_function(ret)?;
    can_cast(from, ret, CastContext::Explicit).then(|| Resolved {
        func,
        arg_types: vec![from],
        ret,
    })
}

/// The operator `symbol`; `left` None for a prefix operator.
pub fn operator(symbol: &str, left: Option<DataType>, right: DataType) -> Result<Resolved> {
    let canonical = if symbol == "!=" { "<>" } else { symbol };
    let args: Vec<DataType> = left.into_iter().chain([right]).collect();
    match select::choose(functions::operators(canonical), &args, true) {
        select::Choice::One(r) => Ok(r),
        select::Choice::None => Err(Error::new(
            SqlState::UNDEFINED_FUNCTION,
            format!("operator does not exist: {}", infix(canonical, left, right)),
        )
        .with_hint(if left.is_some() {
            "No operator matches the given name and argument types. You might need to add explicit type casts."
        } else {
            "No operator matches the given name and argument type. You might need to add an explicit type cast."
        })),
        select::Choice::Many => Err(Error::new(
            SqlState::AMBIGUOUS_FUNCTION,
            format!("operator is not unique: {}", infix(canonical, left, right)),
        )
        .with_hint(if left.is_some() {
            "Could not choose a best candidate operator. You might need to add explicit type casts."
        } else {
            "Could not choose a best candidate operator. You might need to add an explicit type cast."
        })),
    }
}

/// The one type for the branches of CASE, COALESCE, UNION, VALUES, ARRAY; only unknown literals make text.
///
/// The error names the two types; the caller says of what (`CASE types … cannot be matched`).
pub fn common_type(types: &[DataType]) -> Result<DataType> {
    let mut chosen = DataType::Unknown;
    for &ty in types.iter().filter(|t| **t != DataType::Unknown) {
        if chosen == DataType::Unknown || chosen == ty {
            chosen = ty;
            continue;
        }
        if chosen.category() != ty.category() {
            return Err(unmatched(chosen, ty));
        }
        let to_new = can_cast(chosen, ty, CastContext::Implicit);
        let to_old = can_cast(ty, chosen, CastContext::Implicit);
        if !is_preferred(chosen) && to_new && !to_old {
            chosen = ty;
        }
    }
    if chosen == DataType::Unknown {
        return Ok(DataType::Text);
    }
    let stray = types
        .iter()
        .find(|t| !can_cast(**t, chosen, CastContext::Implicit));
    match stray {
        Some(ty) => Err(unmatched(chosen, *ty)),
        None => Ok(chosen),
    }
}

fn unmatched(a: DataType, b: DataType) -> Error {
    Error::new(
        SqlState::DATATYPE_MISMATCH,
        format!("types {a} and {b} cannot be matched"),
    )
}

/// 42883 for a function, with PostgreSQL's hint; 0A000 where only PostgreSQL has it.
pub fn undefined(name: &str, args: &[DataType]) -> Error {
    let shown = signature(name, args);
    if let Some(absent) = functions::absent::function(name, &shown) {
        return absent;
    }
    Error::new(
        SqlState::UNDEFINED_FUNCTION,
        format!("function {shown} does not exist"),
    )
    .with_hint(
        "No function matches the given name and argument types. You might need to add explicit type casts.",
    )
}

/// 42725.
fn ambiguous(name: &str, args: &[DataType]) -> Error {
    Error::new(
        SqlState::AMBIGUOUS_FUNCTION,
        format!("function {} is not unique", signature(name, args)),
    )
    .with_hint(
        "Could not choose a best candidate function. You might need to add explicit type casts.",
    )
}

/// `name(type, type)`.
fn signature(name: &str, args: &[DataType]) -> String {
    let types: Vec<String> = args.iter().map(DataType::to_string).collect();
    format!("{name}({})", types.join(", "))
}

fn infix(symbol: &str, left: Option<DataType>, right: DataType) -> String {
    match left {
        Some(left) => format!("{left} {symbol} {right}"),
        None => format!("{symbol} {right}"),
    }
}

/// Spellings that share one implementation.
fn sql_alias(name: &str) -> &str {
    match name {
        "ceiling" => "ceil",
        "pow" => "power",
        "character_length" | "char_length" => "length",
        "log10" => "log",
        other => other,
    }
}
