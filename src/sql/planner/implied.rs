//! Whether conditions on a row leave no doubt about another.
//!
//! Owns: when a partial index has every row that is wanted: each conjunct of its predicate is demanded, as it is or more
//! strictly. Asked by: `access`, and ON CONFLICT. Never: answers yes without being sure. Source: PostgreSQL 15, `predtest.c`.

use super::conjuncts::split;
use crate::bind::walk::same;
use engine::exec::functions;
use engine::plan::{Comparison, Expr};
use std::cmp::Ordering;
use types::{DataType, Value, order};

/// Rows for which all of `conditions` are true are rows for which `predicate` is.
pub(crate) fn implies(conditions: &[Expr], predicate: &Expr) -> bool {
    let wanted = split(predicate.clone());
    wanted
        .iter()
        .all(|p| conditions.iter().any(|c| implied(c, p)))
}

/// `c` true makes `p` true.
fn implied(c: &Expr, p: &Expr) -> bool {
    if same(c, p) {
        return true;
    }
    if let Expr::And(items) = p {
        return items.iter().all(|p| implied(c, p));
    }
    if let Expr::Or(items) = p
        && items.iter().any(|p| implied(c, p))
    {
        return true;
    }
    match c {
        Expr::And(items) => return items.iter().any(|c| implied(c, p)),
        Expr::Or(items) => return items.iter().all(|c| implied(c, p)),
        _ => {}
    }
    if let Expr::Not(inner) = p
        && let Expr::IsNull(of) = &**inner
    {
        return is_present(c, of);
    }
    if same_truth(c, p) {
        return true;
    }
    let (Some(have), Some(want)) = (comparisons(c), single(p)) else {
        return false;
    };
    // One of several values: each must do.
    have.iter().all(|have| narrower(have, &want))
}

/// `x`, `x = true` and `x IS TRUE` are true together; so are `NOT x`, `x = false` and `x IS FALSE`.
fn same_truth(c: &Expr, p: &Expr) -> bool {
    let (c, p) = (truth(c), truth(p));
    matches!((c, p), (Some((c, a)), Some((p, b))) if a == b && same(c, p))
}

fn truth(e: &Expr) -> Option<(&Expr, bool)> {
    match e {
        // NOT (x IS TRUE) is true of a NULL as well.
        Expr::Not(of) if matches!(**of, Expr::IsBool { .. }) => None,
        Expr::Not(of) => truth(of).map(|(of, is)| (of, !is)),
        Expr::IsBool {
            expr,
            value: Some(value),
            negated: false,
        } => Some((expr, *value)),
        Expr::Call { func, args, .. } => match (func.comparison_between()?, args.as_slice()) {
            ((Comparison::Eq, DataType::Bool, _), [of, Expr::Const(Value::Bool(b), _)])
            | ((Comparison::Eq, DataType::Bool, _), [Expr::Const(Value::Bool(b), _), of]) => {
                Some((of, *b))
            }
            _ => None,
        },
        e if e.ty() == DataType::Bool => Some((e, true)),
        _ => None,
    }
}

/// `c` is not true where `of` is NULL.
fn is_present(c: &Expr, of: &Expr) -> bool {
    match c {
        Expr::Call { func, args, .. } => {
            let reads = |a: &Expr| same(bare(a), of) || same(a, of);
            (func.comparison_between().is_some() || is_like(func.0)) && args.iter().any(reads)
        }
        Expr::InList {
            expr,
            negated: false,
            ..
        } => same(bare(expr), of) || same(expr, of),
        _ => truth(c).is_some_and(|(x, _)| same(x, of)),
    }
}

fn is_like(f: &functions::Function) -> bool {
    matches!(f.operator, "~~" | "~~*" | "~" | "~*")
}

/// Without a conversion that changes no NULL.
fn bare(e: &Expr) -> &Expr {
    match e {
        Expr::Cast { expr, .. } => bare(expr),
        e => e,
    }
}

/// A comparison of something with a constant.
struct Against<'e> {
    of: &'e Expr,
    is: Comparison,
    value: &'e Value,
    ty: DataType,
}

fn single(e: &Expr) -> Option<Against<'_>> {
    let Expr::Call { func, args, .. } = e else {
        return None;
    };
    let (is, left, right) = func.comparison_between()?;
    match args.as_slice() {
        [of, Expr::Const(value, _)] if !value.is_null() => Some(Against {
            of,
            is,
            value,
            ty: left,
        }),
        [Expr::Const(value, _), of] if !value.is_null() => Some(Against {
            of,
            is: is.flip(),
            value,
            ty: right,
        }),
        _ => None,
    }
}

fn comparisons(e: &Expr) -> Option<Vec<Against<'_>>> {
    let Expr::InList {
        expr,
        items,
        eq,
        negated: false,
    } = e
    else {
        return single(e).map(|one| vec![one]);
    };
    let (Comparison::Eq, ty, _) = eq.comparison_between()? else {
        return None;
    };
    let mut all: Vec<Against<'_>> = Vec::with_capacity(items.len());
    for item in items {
        let Expr::Const(value, _) = item else {
            return None;
        };
        all.push(Against {
            of: expr,
            is: Comparison::Eq,
            value,
            ty,
        });
    }
    // A NULL makes nothing true.
    all.retain(|i| !i.value.is_null());
    Some(all)
}

fn narrower(have: &Against<'_>, want: &Against<'_>) -> bool {
    use Comparison::{Eq, Ge, Gt, Le, Lt, Ne};
    let alike = std::mem::discriminant(have.value) == std::mem::discriminant(want.value);
    if !alike || have.ty != want.ty || !same(have.of, want.of) {
        return false;
    }
    let order = order::compare_as(have.ty, have.value, want.value);
    match (have.is, want.is) {
        (Eq, Eq) | (Ne, Ne) => order == Ordering::Equal,
        (Eq, Ne) => order != Ordering::Equal,
        (Eq | Lt | Le, Lt) if have.is != Lt => order == Ordering::Less,
        (Eq | Lt | Le, Lt | Le) => order != Ordering::Greater,
        (Eq | Gt | Ge, Gt) if have.is != Gt => order == Ordering::Greater,
        (Eq | Gt | Ge, Gt | Ge) => order != Ordering::Less,
        (Lt, Ne) => order != Ordering::Greater,
        (Le, Ne) => order == Ordering::Less,
        (Gt, Ne) => order != Ordering::Less,
        (Ge, Ne) => order == Ordering::Greater,
        _ => false,
    }
}
