//! Function calls: names, arguments, and what only aggregates may carry.
//!
//! Owns: the order in which a name is tried: form of the grammar, aggregate, function, type name used as a cast.
//! Never: knows a function; `exec::resolve` does. Source: `parse_func.c`.

use super::user_type::with_enum;
use super::{
    Binder, Clause, Cx, agg, datatype, names, ordered_set, syntax, unsupported, walk, window,
};
use engine::exec::cast::{self, CastContext};
use engine::exec::functions;
use engine::exec::functions::system::{advisory, observed, sequence_function};
use engine::exec::resolve;
use engine::plan::{Advise, Expr, FuncRef, Plan, SequenceCall, SubqueryKind, WindowFunc};
use sqlparser::ast::{
    self, DuplicateTreatment, FunctionArg, FunctionArgExpr, FunctionArgumentClause,
    FunctionArguments,
};
use std::rc::Rc;
use std::sync::Arc;
use types::{DataType, Error, Result, SqlState, Value};

impl<'a> Binder<'a> {
    pub(super) fn function(&mut self, f: &'a ast::Function, cx: &mut Cx) -> Result<Expr> {
        let out = self.function_inner(f, cx);
        match names::first_ident(&f.name) {
            Some(i) => out.map_err(|e| {
                if matches!(
                    e.code(),
                    SqlState::UNDEFINED_FUNCTION
                        | SqlState::GROUPING_ERROR
                        | SqlState::AMBIGUOUS_FUNCTION
                        | SqlState::WRONG_OBJECT_TYPE
                        | SqlState::WINDOWING_ERROR
                ) {
                    self.at(e, i.span)
                } else {
                    e
                }
            }),
            None => out,
        }
    }

    fn function_inner(&mut self, f: &'a ast::Function, cx: &mut Cx) -> Result<Expr> {
        if let FunctionArguments::List(list) = &f.args
            && is_plain(f, list)
            && let Some((array, given)) = super::variadic::split(&list.args)
        {
            return self.call_spread(&function_name(&f.name)?, given, array, cx);
        }
        if let FunctionArguments::List(list) = &f.args
            && is_plain(f, list)
            && let Some(call) = self.user_call(&f.name, &list.args, cx)?
        {
            return Ok(call);
        }
        let name = function_name(&f.name)?;
        if f.null_treatment.is_some() || !matches!(f.parameters, FunctionArguments::None) {
            return Err(syntax(format!("syntax error in the call of \"{name}\"")));
        }
        let list = match &f.args {
            FunctionArguments::None => return self.call(&name, Vec::new()),
            FunctionArguments::Subquery(q) if name == "array" => {
                return self.array_subquery(q, cx);
            }
            FunctionArguments::Subquery(_) => {
                return Err(syntax(format!("syntax error at or near \"{name}\"")));
            }
            FunctionArguments::List(list) => list,
        };
        let mut order: &[ast::OrderByExpr] = &[];
        for clause in &list.clauses {
            match clause {
                FunctionArgumentClause::OrderBy(o) => order = o,
                _ => return Err(syntax(format!("syntax error in the call of \"{name}\""))),
            }
        }
        let distinct = matches!(list.duplicate_treatment, Some(DuplicateTreatment::Distinct));
        let star = matches!(
            list.args.as_slice(),
            [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)]
        );
        let written = agg::Written {
            name: &name,
            args: Vec::new(),
            star,
            distinct,
            order,
            filter: f.filter.as_deref(),
        };
        if let Some(call) = self.over_rows(f, &list.args, written, cx)? {
            return Ok(call);
        }
        if WindowFunc::by_name(&name).is_some() {
            return Err(Error::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("window function {name} requires an OVER clause"),
            ));
        }
        if star {
            resolve::function(&name, &[])?;
        }
        only_aggregates_take(&name, star, distinct, !order.is_empty(), f.filter.is_some())?;
        self.plain_function(&name, &list.args, cx)
    }

    /// A call that reads more than its own row; `None` when it is another.
    fn over_rows(
        &mut self,
        f: &'a ast::Function,
        list: &'a [FunctionArg],
        mut written: agg::Written<'_, 'a>,
        cx: &mut Cx,
    ) -> Result<Option<Expr>> {
        let (name, star) = (written.name, written.star);
        let ordered_set = ordered_set::is_ordered_set(name);
        if ordered_set && f.over.is_some() {
            return Err(Error::unsupported(format!(
                "OVER is not supported for ordered-set aggregate {name}"
            )));
        }
        if !f.within_group.is_empty() {
            let args = positional(list, name)?;
            let call = self.ordered_set(name, args, &f.within_group, written.filter, cx);
            return call.map(Some);
        }
        if ordered_set && !list.is_empty() {
            return Err(ordered_set::required(name));
        }
        if name == "grouping" {
            return self.grouping(positional(list, name)?, cx).map(Some);
        }
        let aggregate = resolve::is_aggregate(name);
        if !aggregate && f.over.is_none() {
            return Ok(None);
        }
        if !star {
            written.args = positional(list, name)?;
        } else if aggregate && written.distinct {
            return Err(syntax("DISTINCT cannot be used with *"));
        }
        let Some(over) = &f.over else {
            return self.aggregate(written, cx).map(Some);
        };
        let call = window::Written {
            name,
            args: written.args,
            star,
            distinct: written.distinct,
            ordered: !written.order.is_empty(),
            filter: written.filter,
            over,
        };
        self.window_call(call, cx).map(Some)
    }

    fn plain_function(&mut self, name: &str, args: &'a [FunctionArg], cx: &mut Cx) -> Result<Expr> {
        if name == "set_config" {
            return self.beside(name, args, cx, |input| Plan::Configure {
                input: Box::new(input),
            });
        }
        if let Some((act, shared, for_transaction)) = advisory(name) {
            return self.beside(name, args, cx, |input| {
                Plan::Advise(Box::new(Advise {
                    input,
                    act,
                    shared,
                    for_transaction,
                }))
            });
        }
        if name == "pg_notify" {
            return self.beside(name, args, cx, |input| Plan::Notify {
                input: Box::new(input),
            });
        }
        if let "pg_sleep" | "pg_sleep_for" | "pg_sleep_until" = name {
            return self.beside(name, args, cx, |input| Plan::Sleep {
                input: Box::new(input),
            });
        }
        if let Some(what) = observed(name) {
            return self.beside(name, args, cx, |input| Plan::Observe {
                input: Box::new(input),
                what,
            });
        }
        if let Some(function) = sequence_function(name) {
            return self.beside(name, args, cx, |input| {
                Plan::Sequence(Box::new(SequenceCall { input, function }))
            });
        }
        let args = if name == "make_interval" {
            self.make_interval_args(args, cx)?
        } else if name == "normalize" {
            super::variadic::with_form(self, positional(args, name)?, cx)?
        } else {
            let list = positional(args, name)?;
            let args = list.into_iter().map(|e| self.expr(e, cx));
            args.collect::<Result<Vec<_>>>()?
        };
        let args = match self.choice(name, args)? {
            Ok(e) => return Ok(e),
            Err(args) => args,
        };
        match name {
            "current_timestamp" | "localtimestamp" | "localtime" if args.len() == 1 => {
                self.with_precision(name, args)
            }
            _ if self.is_series(name, &args) => self.series(name, args, cx),
            _ => self.call(name, args),
        }
    }

    /// Advisory locks and notifications are operators, which work beside the expressions: a query of one row inside this
    /// one's.
    fn beside(
        &mut self,
        name: &str,
        args: &'a [FunctionArg],
        cx: &mut Cx,
        operator: impl FnOnce(Plan) -> Plan,
    ) -> Result<Expr> {
        let args = positional(args, name)?;
        let bound = self.inside(cx.frame(), |b| {
            let (_, nothing) = b.from(&[])?;
            let mut cx = Cx::new(Rc::new(nothing), Clause::Select);
            let args = args.iter().map(|e| b.expr(e, &mut cx));
            args.collect::<Result<Vec<_>>>()
        });
        let (key, correlated) = match bound {
            // An aggregate in there is this query's.
            Err(e) if e.code() == SqlState::GROUPING_ERROR && cx.aggregates.is_some() => {
                let own = args.iter().map(|e| self.expr(e, cx));
                let own = own.collect::<Result<Vec<_>>>()?;
                if own.iter().any(engine::exec::eval::has_subquery) {
                    return Err(e);
                }
                (own.iter().map(|e| walk::lift(e, 1)).collect(), true)
            }
            bound => bound?,
        };
        let Expr::Call { args, ty, .. } = self.call(name, key)? else {
            return Err(unsupported("a type of that name"));
        };
        let plan = operator(Plan::Project {
            input: Box::new(Plan::OneRow),
            exprs: args,
        });
        Ok(Expr::Subquery {
            plan: Arc::new(plan),
            kind: SubqueryKind::Scalar,
            correlated,
            ty,
        })
    }

    /// A function or, when there is none and it has one argument, the type of that name.
    pub(super) fn call(&mut self, name: &str, args: Vec<Expr>) -> Result<Expr> {
        let types: Vec<DataType> = args.iter().map(Expr::ty).collect();
        if name == "pg_typeof"
            && let Some(ty) = self.type_of(&args)
        {
            return Ok(ty);
        }
        let found = match resolve::function(name, &types) {
            Ok(found) => found,
            Err(e) => return self.cast_by_name(name, args, e),
        };
        if functions::system::cast_function(found.ret).is_some_and(|f| std::ptr::eq(f, found.func))
            && let [_] = args.as_slice()
        {
            // What it depends on is known of a cast.
            let arg = args.into_iter().next();
            let arg = arg.ok_or_else(|| Error::internal("a cast of nothing"))?;
            return self.explicit_cast(arg, found.ret, -1);
        }
        let args = args.into_iter().zip(&found.arg_types).map(|(e, ty)| {
            let e = self.coerce_arg(e, *ty)?;
            self.json_label(name, e)
        });
        let mut args = args.collect::<Result<Vec<_>>>()?;
        with_enum(name, &found.arg_types, &mut args);
        Ok(Expr::Call {
            func: FuncRef(found.func),
            args,
            ty: found.ret,
        })
    }

    /// `int4('7')`, `date(x)`: a type's name used as a function.
    fn cast_by_name(&mut self, name: &str, args: Vec<Expr>, e: Error) -> Result<Expr> {
        let Some(ty) = datatype::by_name(name) else {
            return Err(e);
        };
        let [arg] = <[Expr; 1]>::try_from(args).map_err(|_| e.clone())?;
        let from = arg.ty();
        if from != DataType::Unknown
            && from != ty
            && !cast::can_cast(from, ty, CastContext::Explicit)
        {
            return Err(e);
        }
        self.explicit_cast(arg, ty, -1)
    }

    /// `current_timestamp(3)`.
    fn with_precision(&mut self, name: &str, args: Vec<Expr>) -> Result<Expr> {
        let digits = match args.first() {
            Some(Expr::Const(Value::Int4(n @ 0..=6), _)) => *n,
            _ => return Err(syntax(format!("syntax error in the call of \"{name}\""))),
        };
        let call = self.call(name, Vec::new())?;
        let ty = call.ty();
        Ok(Expr::Cast {
            expr: Box::new(call),
            to: ty,
            typmod: digits,
            explicit: true,
        })
    }

    /// `make_interval(days => 10)`: the one function that is hardly ever called by position.
    fn make_interval_args(&mut self, args: &'a [FunctionArg], cx: &mut Cx) -> Result<Vec<Expr>> {
        const NAMES: [&str; 7] = ["years", "months", "weeks", "days", "hours", "mins", "secs"];
        let zero = || Expr::Const(Value::Int4(0), DataType::Int4);
        let mut out: Vec<Expr> = std::iter::repeat_with(zero).take(6).collect();
        out.push(Expr::Const(Value::Float8(0.0), DataType::Float8));
        for (i, arg) in args.iter().enumerate() {
            let (slot, e) = match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) => (Some(i), e),
                FunctionArg::Named {
                    name,
                    arg: FunctionArgExpr::Expr(e),
                    ..
                } => {
                    let name = names::ident(name);
                    (NAMES.iter().position(|n| *n == name), e)
                }
                FunctionArg::ExprNamed {
                    name: ast::Expr::Identifier(name),
                    arg: FunctionArgExpr::Expr(e),
                    ..
                } => {
                    let name = names::ident(name);
                    (NAMES.iter().position(|n| *n == name), e)
                }
                _ => return Err(syntax("syntax error in a function's argument")),
            };
            let bound = self.expr(e, cx)?;
            match slot.and_then(|s| out.get_mut(s)) {
                Some(place) => *place = bound,
                None => {
                    return Err(Error::new(
                        SqlState::UNDEFINED_FUNCTION,
                        "function make_interval has no such argument",
                    ));
                }
            }
        }
        Ok(out)
    }
}

/// The call is of a function and its arguments, with nothing that only aggregates and window functions have.
fn is_plain(f: &ast::Function, list: &ast::FunctionArgumentList) -> bool {
    f.over.is_none()
        && f.filter.is_none()
        && f.within_group.is_empty()
        && f.null_treatment.is_none()
        && list.clauses.is_empty()
        && list.duplicate_treatment.is_none()
        && !matches!(
            list.args.as_slice(),
            [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)]
        )
}

/// 42809 for what a plain function cannot carry.
fn only_aggregates_take(
    name: &str,
    star: bool,
    distinct: bool,
    order: bool,
    filter: bool,
) -> Result<()> {
    let what = match (star, distinct, order, filter) {
        (true, ..) => format!("{name}(*)"),
        (_, true, ..) => "DISTINCT".into(),
        (_, _, true, _) => "ORDER BY".into(),
        (.., true) => "FILTER".into(),
        _ => return Ok(()),
    };
    Err(Error::new(
        SqlState::WRONG_OBJECT_TYPE,
        format!("{what} specified, but {name} is not an aggregate function"),
    ))
}

/// Functions live in `pg_catalog` alone.
pub(super) fn function_name(name: &ast::ObjectName) -> Result<String> {
    let (schema, base) = names::qualified(name)?;
    match schema.as_deref() {
        None | Some("pg_catalog") => Ok(base),
        Some("information_schema") if resolve::EXPAND_ARRAY.ends_with(&base) => {
            Ok(resolve::EXPAND_ARRAY.to_owned())
        }
        Some(schema) => Err(names::unknown_function_schema(schema, &base)),
    }
}

/// Arguments by position; a name is refused.
pub(super) fn positional<'a>(args: &'a [FunctionArg], name: &str) -> Result<Vec<&'a ast::Expr>> {
    let one = |a: &'a FunctionArg| match a {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) => Ok(e),
        FunctionArg::Named { .. } | FunctionArg::ExprNamed { .. } => {
            Err(unsupported(&format!("a named argument of {name}")))
        }
        _ => Err(unsupported("a whole-row reference")),
    };
    args.iter().map(one).collect()
}
