//! Which of the functions of one name a call means.
//!
//! Owns: the arguments' places, by position, by name and by default, and the choice among overloads. Never: binds an argument.
//! Source: PostgreSQL 15, `parse_func.c` (`func_match_argtypes`, `func_select_candidate`).

use super::super::{names, syntax};
use engine::catalog::generic::Generic;
use engine::catalog::{Function, FunctionArg as Declared};
use engine::exec::cast::{self, CastContext, is_preferred};
use engine::exec::functions::absent;
use sqlparser::ast::{self, FunctionArg, FunctionArgExpr, FunctionArgOperator};
use std::sync::Arc;
use types::{DataType, Error, Result, SqlState};

/// A function that a call can mean, and which written argument each of its own is; none: its default.
pub(super) struct Candidate {
    pub function: Arc<Function>,
    pub places: Vec<Option<usize>>,
}

impl Candidate {
    /// How many of the arguments have the very type.
    pub fn hits(&self, types: &[DataType]) -> usize {
        let generic = |arg: &Declared| Generic::by_oid(arg.declared).is_some();
        let args = self.places.iter().zip(&self.function.args);
        let exact = |(at, arg): &(&Option<usize>, &Declared)| {
            let given = at.and_then(|at| types.get(at));
            !generic(arg) && given == Some(&arg.ty)
        };
        args.filter(exact).count()
    }

    /// The types of its own arguments beside those that are given.
    fn pairs<'c>(
        &'c self,
        types: &'c [DataType],
    ) -> impl Iterator<Item = (DataType, DataType)> + 'c {
        let pair = |(at, arg): (&Option<usize>, &Declared)| Some((arg.ty, *types.get((*at)?)?));
        self.places.iter().zip(&self.function.args).filter_map(pair)
    }

    fn takes(&self, types: &[DataType]) -> bool {
        self.pairs(types).all(|(to, from)| {
            to == from
                || from == DataType::Unknown
                || cast::can_cast(from, to, CastContext::Implicit)
        })
    }

    fn preferred(&self, types: &[DataType]) -> usize {
        let fits = |(to, from): &(DataType, DataType)| to == from || is_preferred(*to);
        self.pairs(types).filter(fits).count()
    }

    /// Untyped arguments that would be strings.
    fn strings(&self, types: &[DataType]) -> usize {
        let is =
            |(to, from): &(DataType, DataType)| *from == DataType::Unknown && to.category() == 'S';
        self.pairs(types).filter(is).count()
    }
}

/// The best of those that take the types; none, or (`Err`) more than one.
pub(super) fn choose(
    candidates: Vec<Candidate>,
    types: &[DataType],
) -> Result<Option<Candidate>, ()> {
    let mut left: Vec<Candidate> = candidates.into_iter().filter(|c| c.takes(types)).collect();
    type Score = fn(&Candidate, &[DataType]) -> usize;
    let scores: [Score; 3] = [Candidate::hits, Candidate::preferred, Candidate::strings];
    for score in scores {
        if left.len() < 2 {
            break;
        }
        let best = left.iter().map(|c| score(c, types)).max().unwrap_or(0);
        left.retain(|c| score(c, types) == best);
    }
    match left.len() {
        0 | 1 => Ok(left.pop()),
        _ => Err(()),
    }
}

/// Which written argument each of a function's is; `None` where they do not fit.
pub(super) fn places(
    f: &Function,
    positional: usize,
    named: &[String],
) -> Option<Vec<Option<usize>>> {
    if positional + named.len() > f.args.len() {
        return None;
    }
    let mut out: Vec<Option<usize>> = vec![None; f.args.len()];
    for (at, slot) in out.iter_mut().enumerate().take(positional) {
        *slot = Some(at);
    }
    for (n, name) in named.iter().enumerate() {
        let at = f.args.iter().position(|a| a.name.as_ref() == Some(name))?;
        let slot = out.get_mut(at)?;
        if slot.is_some() {
            return None;
        }
        *slot = Some(positional + n);
    }
    let filled = |(slot, arg): (&Option<usize>, &Declared)| slot.is_some() || arg.default.is_some();
    out.iter().zip(&f.args).all(filled).then_some(out)
}

/// The arguments as they are written, and the names of the last of them.
pub(super) fn written<'a>(
    list: &'a [FunctionArg],
    function: &str,
) -> Result<(Vec<&'a ast::Expr>, Vec<String>)> {
    let (mut exprs, mut named) = (Vec::with_capacity(list.len()), Vec::new());
    for arg in list {
        let (name, e) = match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) => match e {
                // `name := value`, which the grammar crate takes for an operator's.
                ast::Expr::BinaryOp {
                    left,
                    op: ast::BinaryOperator::Assignment,
                    right,
                } => match &**left {
                    ast::Expr::Identifier(name) => (Some(names::ident(name)), &**right),
                    _ => {
                        return Err(syntax(format!(
                            "syntax error in the call of \"{function}\""
                        )));
                    }
                },
                e => (None, e),
            },
            FunctionArg::Named {
                name,
                arg: FunctionArgExpr::Expr(e),
                operator: FunctionArgOperator::RightArrow | FunctionArgOperator::Assignment,
            } => (Some(names::ident(name)), e),
            FunctionArg::ExprNamed {
                name: ast::Expr::Identifier(name),
                arg: FunctionArgExpr::Expr(e),
                operator: FunctionArgOperator::RightArrow | FunctionArgOperator::Assignment,
            } => (Some(names::ident(name)), e),
            _ => {
                return Err(syntax(format!(
                    "syntax error in the call of \"{function}\""
                )));
            }
        };
        match name {
            Some(name) if named.contains(&name) => {
                return Err(syntax(format!(
                    "argument name \"{name}\" used more than once"
                )));
            }
            Some(name) => named.push(name),
            None if !named.is_empty() => {
                return Err(syntax("positional argument cannot follow named argument"));
            }
            None => {}
        }
        exprs.push(e);
    }
    Ok((exprs, named))
}

pub(super) fn undefined(name: &ast::ObjectName, types: &[DataType], named: &[String]) -> Error {
    let positional = types.len() - named.len();
    let shown = types.iter().enumerate().map(|(at, ty)| {
        let name = at.checked_sub(positional).and_then(|at| named.get(at));
        name.map_or_else(|| ty.to_string(), |name| format!("{name} => {ty}"))
    });
    let shown: Vec<String> = shown.collect();
    let parts = names::parts(name).unwrap_or_default();
    let shown = format!("{}({})", parts.join("."), shown.join(", "));
    let system = parts.len() < 2 || parts.iter().rev().nth(1).is_some_and(|s| s == "pg_catalog");
    let base = parts.last().filter(|_| system);
    if let Some(absent) = base.and_then(|base| absent::function(base, &shown)) {
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

pub(super) fn ambiguous(name: &str, types: &[DataType]) -> Error {
    let types: Vec<String> = types.iter().map(DataType::to_string).collect();
    Error::new(
        SqlState::AMBIGUOUS_FUNCTION,
        format!("function {name}({}) is not unique", types.join(", ")),
    )
    .with_hint(
        "Could not choose a best candidate function. You might need to add explicit type casts.",
    )
}
