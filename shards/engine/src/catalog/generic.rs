//! `anyelement` and its like: what stands in a function's signature for the types that a call has.
//!
//! Owns: which there are, and the types that follow from those of the arguments. An argument or result of such a type has it as
//! `declared`, by its oid, and `Unknown` as its type. Asked by: CREATE FUNCTION, calls, `pg_proc`. Never: coerces an argument.
//! Source: PostgreSQL 15, `parse_coerce.c` (`enforce_generic_type_consistency`), manual 38.2.5.

use super::objects::Function;
use crate::exec::resolve;
use types::{DataType, Error, Result, SqlState};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generic {
    Element,
    Array,
    NonArray,
    Enum,
    Compatible,
    CompatibleArray,
    CompatibleNonArray,
}

const ALL: [(u32, &str, Generic); 7] = [
    (2283, "anyelement", Generic::Element),
    (2277, "anyarray", Generic::Array),
    (2776, "anynonarray", Generic::NonArray),
    (3500, "anyenum", Generic::Enum),
    (5077, "anycompatible", Generic::Compatible),
    (5078, "anycompatiblearray", Generic::CompatibleArray),
    (5079, "anycompatiblenonarray", Generic::CompatibleNonArray),
];

impl Generic {
    pub fn by_oid(oid: u32) -> Option<Generic> {
        ALL.iter().find(|(o, ..)| *o == oid).map(|(.., g)| *g)
    }

    /// Its oid.
    pub fn by_name(name: &str) -> Option<u32> {
        ALL.iter().find(|(_, n, _)| *n == name).map(|(o, ..)| *o)
    }

    pub fn name(oid: u32) -> Option<&'static str> {
        ALL.iter().find(|(o, ..)| *o == oid).map(|(_, n, _)| *n)
    }

    /// It may be another type than those beside it, which all become one.
    fn is_compatible(self) -> bool {
        matches!(
            self,
            Generic::Compatible | Generic::CompatibleArray | Generic::CompatibleNonArray
        )
    }

    fn is_array(self) -> bool {
        matches!(self, Generic::Array | Generic::CompatibleArray)
    }

    /// What it is where the type of elements is this one.
    fn of(self, element: DataType) -> Option<DataType> {
        match self.is_array() {
            true => element.array(),
            false => Some(element),
        }
    }

    /// The type of elements that an argument of this type says; `None` where it is no such argument.
    fn element_of(self, given: DataType) -> Option<DataType> {
        match self {
            Generic::Array | Generic::CompatibleArray => given.element(),
            Generic::Enum => matches!(given, DataType::Enum(_)).then_some(given),
            Generic::NonArray | Generic::CompatibleNonArray => (!given.is_array()).then_some(given),
            Generic::Element | Generic::Compatible => Some(given),
        }
    }
}

impl Function {
    /// What it takes or returns has the types of a call.
    pub fn is_generic(&self) -> bool {
        self.args
            .iter()
            .any(|a| Generic::by_oid(a.declared).is_some())
    }

    /// The function with the types that a call gives it, `Unknown` for none; `None` where these do not go together.
    pub fn with_types(&self, given: &[Option<DataType>]) -> Result<Option<Function>> {
        let mut own = self.clone();
        for compatible in [false, true] {
            let in_family = |declared: u32| {
                Generic::by_oid(declared).filter(|g| g.is_compatible() == compatible)
            };
            if !self.args.iter().any(|a| in_family(a.declared).is_some()) {
                continue;
            }
            let mut elements = Vec::new();
            for (arg, given) in self.args.iter().zip(given) {
                let (Some(generic), Some(given)) = (in_family(arg.declared), given) else {
                    continue;
                };
                if *given == DataType::Unknown {
                    continue;
                }
                match generic.element_of(*given) {
                    Some(element) => elements.push(element),
                    None => return Ok(None),
                }
            }
            let Some(element) = common(&elements, compatible)? else {
                return Ok(None);
            };
            for arg in &mut own.args {
                if let Some(generic) = in_family(arg.declared) {
                    arg.ty = generic.of(element).ok_or_else(|| no_array(element))?;
                }
            }
            if let Some(generic) = in_family(self.returns.declared) {
                own.returns.ty = generic.of(element).ok_or_else(|| no_array(element))?;
            }
        }
        Ok(Some(own))
    }
}

/// The type of elements; `None` where there is no one.
fn common(elements: &[DataType], compatible: bool) -> Result<Option<DataType>> {
    match (elements, compatible) {
        ([], true) => Ok(Some(DataType::Text)),
        ([], false) => Err(Error::new(
            SqlState::DATATYPE_MISMATCH,
            "could not determine polymorphic type because input has type unknown",
        )),
        (all, true) => Ok(resolve::common_type(all).ok()),
        ([first, rest @ ..], false) => Ok(rest.iter().all(|t| t == first).then_some(*first)),
    }
}

fn no_array(element: DataType) -> Error {
    Error::new(
        SqlState::UNDEFINED_OBJECT,
        format!("could not find array type for data type {element}"),
    )
}

/// 42P13 for a result whose type no argument says.
pub fn check_result(f: &Function) -> Result<()> {
    let Some(generic) = Generic::by_oid(f.returns.declared) else {
        return Ok(());
    };
    let mut args = f.args.iter().filter_map(|a| Generic::by_oid(a.declared));
    if args.any(|a| a.is_compatible() == generic.is_compatible()) {
        return Ok(());
    }
    let name = Generic::name(f.returns.declared).unwrap_or_default();
    let said = match generic.is_compatible() {
        true => {
            "anycompatible, anycompatiblearray, anycompatiblenonarray, anycompatiblerange, or anycompatiblemultirange"
        }
        false => "anyelement, anyarray, anynonarray, anyenum, anyrange, or anymultirange",
    };
    let message = "cannot determine result data type";
    Err(
        Error::new(SqlState(*b"42P13"), message).with_detail(format!(
            "A result of type {name} requires at least one input of type {said}."
        )),
    )
}

/// 0A000 for a body that is bound when the function is made.
pub fn no_return(f: &Function) -> Result<()> {
    match f.is_generic() {
        true => Err(Error::unsupported(
            "SQL function with unquoted function body cannot have polymorphic arguments",
        )),
        false => Ok(()),
    }
}
