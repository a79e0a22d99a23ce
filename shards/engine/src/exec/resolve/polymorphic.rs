//! `anyelement`, `anyarray` and `"any"`: what they stand for in one call.
//!
//! Owns: the unification of polymorphic arguments, by their common type as PostgreSQL's `anycompatible` does.
//! Asked by: `select`. Source: PostgreSQL 15 manual, section 38.2.5.

use super::common_type;
use crate::exec::cast::{CastContext, can_cast};
use crate::exec::functions::{ANY, ANY_ARRAY, ANY_ELEMENT, ANY_ENUM, ANY_NONARRAY, Function};
use types::DataType;

/// A function's arguments for a call of so many.
pub struct Slots {
    /// The declared types, the last repeated for a variadic function; pseudo-types as they would be settled.
    pub declared: Vec<DataType>,
    /// Where a pseudo-type is declared: never an exact match.
    pub pseudo: Vec<bool>,
}

/// `None` when the number of arguments is wrong or the polymorphic ones do not agree.
pub fn slots(f: &'static Function, args: &[DataType]) -> Option<Slots> {
    let declared = expand(f, args.len())?;
    let is_pseudo =
        |t: &DataType| [ANY, ANY_NONARRAY, ANY_ARRAY, ANY_ELEMENT, ANY_ENUM].contains(t);
    let pseudo: Vec<bool> = declared.iter().map(is_pseudo).collect();
    if !pseudo.contains(&true) {
        return Some(Slots { declared, pseudo });
    }
    let (declared, _) = settle(f, args)?;
    Some(Slots { declared, pseudo })
}

/// The types to cast the arguments to, and the type of the result.
pub fn settle(f: &'static Function, args: &[DataType]) -> Option<(Vec<DataType>, DataType)> {
    let declared = expand(f, args.len())?;
    let element = element(&declared, args)?;
    let concrete = |(to, from): (&DataType, &DataType)| match *to {
        ANY_ELEMENT | ANY_ENUM => element,
        ANY_ARRAY => element.and_then(DataType::array),
        ANY_NONARRAY if from.is_array() => None,
        ANY | ANY_NONARRAY if *from == DataType::Unknown => Some(DataType::Text),
        ANY | ANY_NONARRAY => Some(*from),
        other => Some(other),
    };
    let types: Option<Vec<DataType>> = declared.iter().zip(args).map(concrete).collect();
    let ret = match f.ret {
        ANY_ELEMENT | ANY_ENUM => element?,
        ANY_ARRAY => element?.array()?,
        other => other,
    };
    Some((types?, ret))
}

fn expand(f: &'static Function, count: usize) -> Option<Vec<DataType>> {
    let mut declared = f.args.to_vec();
    if f.variadic {
        let last = declared.pop()?;
        // At least one argument is for the variadic place.
        if count <= declared.len() {
            return None;
        }
        declared.resize(count, last);
    }
    (declared.len() == count).then_some(declared)
}

/// What `anyelement` is: `Some(None)` where nothing polymorphic is declared, `None` where the arguments contradict it.
fn element(declared: &[DataType], args: &[DataType]) -> Option<Option<DataType>> {
    let mut found = Vec::new();
    let mut any = false;
    for (to, from) in declared.iter().zip(args) {
        match *to {
            ANY_ELEMENT => {
                any = true;
                found.push(*from);
            }
            ANY_ENUM => {
                any = true;
                match from {
                    DataType::Enum(_) => found.push(*from),
                    DataType::Unknown => {}
                    _ => return None,
                }
            }
            ANY_ARRAY => {
                any = true;
                match from.element() {
                    Some(e) => found.push(e),
                    None if *from == DataType::Unknown => {}
                    None => return None,
                }
            }
            _ => {}
        }
    }
    if !any {
        return Some(None);
    }
    let settles = |t: &DataType| [ANY_ARRAY, ANY_ENUM].contains(t);
    if found.iter().all(|t| *t == DataType::Unknown) && declared.iter().any(settles) {
        // Nothing says which array or enum is meant.
        return None;
    }
    let element = common_type(&found).ok()?;
    let fits = |t: &DataType| can_cast(*t, element, CastContext::Implicit);
    found.iter().all(fits).then_some(Some(element))
}
