//! AND-ed conditions as lists.
//!
//! Owns: splitting and joining them, and reading one as an equality. Asked by: the rules that move filters. Never:
//! reorders them: an earlier condition may guard a later one against an error.

use engine::exec::functions;
use engine::plan::{Comparison, Expr, FuncRef, Plan};
use types::{DataType, Value};

/// The conditions that must all hold, nested ANDs flattened; TRUE is none. What all branches of an OR demand is demanded.
pub(crate) fn split(e: Expr) -> Vec<Expr> {
    match e {
        Expr::Or(items) if items.iter().all(|i| matches!(i, Expr::And(_))) => factored(items),
        Expr::And(items) => items.into_iter().flat_map(split).collect(),
        Expr::Const(Value::Bool(true), _) => Vec::new(),
        e => vec![e],
    }
}

/// `(a AND b) OR (a AND c)` is `a AND (b OR c)`, with NULLs too.
fn factored(items: Vec<Expr>) -> Vec<Expr> {
    let branches: Vec<Vec<Expr>> = items.into_iter().map(split).collect();
    let texts = |branch: &Vec<Expr>| branch.iter().map(|e| format!("{e:?}")).collect();
    let texts: Vec<Vec<String>> = branches.iter().map(texts).collect();
    let in_all = |text: &String| texts.iter().all(|branch| branch.contains(text));
    let (mut common, mut rest) = (Vec::new(), Vec::new());
    for (at, (branch, texts)) in branches.into_iter().zip(&texts).enumerate() {
        let mut own = Vec::new();
        for (condition, text) in branch.into_iter().zip(texts) {
            match in_all(text) && !condition.is_volatile() {
                true if at == 0 => common.push(condition),
                true => {}
                false => own.push(condition),
            }
        }
        rest.push(own);
    }
    if rest.iter().all(|own| !own.is_empty()) {
        common.push(Expr::Or(rest.into_iter().filter_map(join).collect()));
    }
    common
}

pub(super) fn join(mut conditions: Vec<Expr>) -> Option<Expr> {
    match conditions.len() {
        0 => None,
        1 => conditions.pop(),
        _ => Some(Expr::And(conditions)),
    }
}

/// The plan under a filter, where there is something to filter by.
pub(super) fn filtered(plan: Plan, conditions: Vec<Expr>) -> Plan {
    match join(conditions) {
        None => plan,
        Some(predicate) => Plan::Filter {
            input: Box::new(plan),
            predicate,
        },
    }
}

/// `left = right` over one type.
pub(super) fn as_equality(e: &Expr) -> Option<(&Expr, &Expr, DataType)> {
    let Expr::Call { func, args, .. } = e else {
        return None;
    };
    match (func.comparison()?, args.as_slice()) {
        ((Comparison::Eq, ty), [left, right]) => Some((left, right, ty)),
        _ => None,
    }
}

/// As `as_equality`, or between integers of different widths.
pub(super) fn as_hashable(e: &Expr) -> Option<(&Expr, &Expr, DataType)> {
    let Expr::Call { func, args, .. } = e else {
        return None;
    };
    match (func.comparison_between()?, args.as_slice()) {
        ((Comparison::Eq, ty, _), [left, right]) => Some((left, right, ty)),
        _ => None,
    }
}

/// The `=` of a type.
pub(super) fn equality(ty: DataType) -> Option<FuncRef> {
    let names = [format!("{}eq", ty.name()), format!("{}_eq", ty.name())];
    let found = |name: &String| functions::by_name(name).map(FuncRef);
    let func = names.iter().find_map(found)?;
    (func.comparison()? == (Comparison::Eq, ty)).then_some(func)
}

pub(super) fn equal(left: Expr, right: Expr, func: FuncRef) -> Expr {
    Expr::Call {
        func,
        args: vec![left, right],
        ty: DataType::Bool,
    }
}
