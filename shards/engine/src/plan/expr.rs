//! Bound expressions.

use super::Plan;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use types::{DataType, Value};

/// A bound, typed expression.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Expr {
    Const(Value, DataType),
    /// `$n`, 0-based, of this type.
    Param(u16, DataType),
    /// Input row, 0-based.
    Column(usize, DataType),
    /// Row of an enclosing query: 1 = the nearest.
    Outer {
        depth: usize,
        column: usize,
        ty: DataType,
    },
    /// A function or operator; strictness is in its definition.
    Call {
        func: FuncRef,
        args: Vec<Expr>,
        ty: DataType,
    },
    /// Explicit or implicit conversion, with the target's typmod (-1 none). `explicit` truncates varchar silently, as PostgreSQL does.
    Cast {
        expr: Box<Expr>,
        to: DataType,
        typmod: i32,
        explicit: bool,
    },
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    IsNull(Box<Expr>),
    /// IS TRUE / IS FALSE / IS UNKNOWN (None); `negated` for IS NOT.
    IsBool {
        expr: Box<Expr>,
        value: Option<bool>,
        negated: bool,
    },
    /// IS [NOT] DISTINCT FROM; `eq` is the equality function of the operands.
    Distinct {
        left: Box<Expr>,
        right: Box<Expr>,
        eq: FuncRef,
        negated: bool,
    },
    /// `operand` already folded into the conditions by the binder; each branch is (condition, result).
    Case {
        branches: Vec<(Expr, Expr)>,
        otherwise: Option<Box<Expr>>,
        ty: DataType,
    },
    Coalesce(Vec<Expr>, DataType),
    NullIf {
        left: Box<Expr>,
        right: Box<Expr>,
        eq: FuncRef,
        ty: DataType,
    },
    /// GREATEST / LEAST, `less` = the `<` function of the type.
    Extreme {
        items: Vec<Expr>,
        less: FuncRef,
        greatest: bool,
        ty: DataType,
    },
    /// `expr [NOT] IN (items)` with SQL's NULL rules.
    InList {
        expr: Box<Expr>,
        items: Vec<Expr>,
        eq: FuncRef,
        negated: bool,
    },
    /// `left op ANY/ALL (array)`.
    ArrayQuantified {
        left: Box<Expr>,
        op: FuncRef,
        array: Box<Expr>,
        all: bool,
    },
    /// ARRAY[...]
    Array(Vec<Expr>, DataType),
    /// `array[index]`, 1-based.
    Subscript {
        array: Box<Expr>,
        index: Box<Expr>,
        ty: DataType,
    },
    /// A subquery; its plan may use `Outer` references (correlated).
    Subquery {
        plan: Arc<Plan>,
        kind: SubqueryKind,
        correlated: bool,
        ty: DataType,
    },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum SubqueryKind {
    /// One column, at most one row (21000 otherwise); NULL when none.
    Scalar,
    Exists,
    /// `left op ANY/ALL (subquery)`; IN is `= ANY`, NOT IN is `<> ALL`. `left` is evaluated in the outer row.
    Quantified {
        left: Box<Expr>,
        op: FuncRef,
        all: bool,
    },
    /// ARRAY(SELECT …)
    Array,
}

/// A function of `exec::functions`, by its unique name there (such as `int4pl`), which is also its stored form.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FuncRef(pub &'static crate::exec::functions::Function);

/// One aggregate of a query.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AggregateCall {
    /// By unique name in `exec::aggregates`, such as `count`, `sum_int4`.
    pub func: String,
    pub args: Vec<Expr>,
    pub distinct: bool,
    pub filter: Option<Expr>,
    pub order: Vec<SortKey>,
    /// Result type.
    pub ty: DataType,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SortKey {
    pub expr: Expr,
    pub descending: bool,
    pub nulls_first: bool,
}

impl Expr {
    /// The type of the result.
    pub fn ty(&self) -> DataType {
        match self {
            Expr::Const(_, ty)
            | Expr::Param(_, ty)
            | Expr::Column(_, ty)
            | Expr::Outer { ty, .. }
            | Expr::Call { ty, .. }
            | Expr::Case { ty, .. }
            | Expr::Coalesce(_, ty)
            | Expr::NullIf { ty, .. }
            | Expr::Extreme { ty, .. }
            | Expr::Array(_, ty)
            | Expr::Subscript { ty, .. }
            | Expr::Subquery { ty, .. } => *ty,
            Expr::Cast { to, .. } => *to,
            Expr::And(_)
            | Expr::Or(_)
            | Expr::Not(_)
            | Expr::IsNull(_)
            | Expr::IsBool { .. }
            | Expr::Distinct { .. }
            | Expr::InList { .. }
            | Expr::ArrayQuantified { .. } => DataType::Bool,
        }
    }
}

impl fmt::Debug for FuncRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name)
    }
}

impl Serialize for FuncRef {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.0.name)
    }
}

impl<'de> Deserialize<'de> for FuncRef {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<FuncRef, D::Error> {
        let name = String::deserialize(d)?;
        crate::exec::functions::by_name(&name)
            .map(FuncRef)
            .ok_or_else(|| serde::de::Error::custom(format!("unknown function {name}")))
    }
}
