//! Which functions are comparisons.
//!
//! Owns: reading a function as a comparison over one type. Asked by: the planner, which turns comparisons into key ranges
//! and hash keys, and by IN (subquery). Never: compares.

use super::FuncRef;
use types::DataType;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

impl Comparison {
    /// The comparison with its sides exchanged.
    pub fn flip(self) -> Comparison {
        match self {
            Comparison::Eq => Comparison::Eq,
            Comparison::Ne => Comparison::Ne,
            Comparison::Lt => Comparison::Gt,
            Comparison::Le => Comparison::Ge,
            Comparison::Gt => Comparison::Lt,
            Comparison::Ge => Comparison::Le,
        }
    }
}

impl Comparison {
    /// The comparison that an operator is.
    pub fn of_operator(symbol: &str) -> Option<Comparison> {
        Some(match symbol {
            "=" => Comparison::Eq,
            "<>" => Comparison::Ne,
            "<" => Comparison::Lt,
            "<=" => Comparison::Le,
            ">" => Comparison::Gt,
            ">=" => Comparison::Ge,
            _ => return None,
        })
    }
}

impl FuncRef {
    /// The comparison that this function is, where both sides have one type (and so the order of `types::order`).
    pub fn comparison(self) -> Option<(Comparison, DataType)> {
        match self.comparison_between()? {
            (comparison, left, right) if left == right => Some((comparison, left)),
            _ => None,
        }
    }

    /// As `comparison`, or between integers of different widths, which compare and hash alike.
    pub fn comparison_between(self) -> Option<(Comparison, DataType, DataType)> {
        let comparison = Comparison::of_operator(self.0.operator)?;
        match *self.0.args {
            [left, right] if left == right && is_settled(left) => Some((comparison, left, right)),
            [left, right] if left.is_integer() && right.is_integer() => {
                Some((comparison, left, right))
            }
            _ => None,
        }
    }

    /// Some(true) for an equality that hashing answers, Some(false) for its negation.
    pub fn hashes(self) -> Option<bool> {
        match self.comparison_between()? {
            (_, DataType::Bpchar, _) => None,
            (Comparison::Eq, ..) => Some(true),
            (Comparison::Ne, ..) => Some(false),
            _ => None,
        }
    }
}

/// A type that values have, rather than `anyelement` and its like.
fn is_settled(ty: DataType) -> bool {
    let stands_for_any = [
        DataType::Unknown,
        DataType::UnknownArray,
        DataType::VoidArray,
    ];
    !stands_for_any.contains(&ty)
}
