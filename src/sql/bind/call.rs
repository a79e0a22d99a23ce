//! Calls of functions that users have made.
//!
//! Owns: the body in the place of the call; `choose` says which of a name is meant, `opaque` makes a call of what is not one query
//! that changes nothing. A body is kept as text; it is bound anew at each call, by a binder of its own, as a view's is. What of it is one
//! expression becomes that expression over the arguments; another query becomes a subquery inside a row of them, in FROM a lateral join
//! with that row. So a call costs a statement nothing but the plan of its body.
//! Bounds: `CALLS_MAX` bodies a statement, those inside bodies counted, and `BODIES_DEEP_MAX` inside each other. One more: 54001.
//! Source: PostgreSQL 15, `parse_func.c` (`func_select_candidate`), `clauses.c` (`inline_function`).

mod choose;
mod generic;
mod opaque;
mod procedure;
pub(super) mod rows;

use super::from::Lent;
use super::query::Rel;
use super::user_type::Declared;
use super::{Binder, COPIED_NODES_MAX, Clause, Cx, Frame, series, unplaced, walk, window};
use crate::parse::{self, Ast};
use choose::{Candidate, ambiguous, choose, places, undefined, written};
use engine::catalog::Function;
use engine::exec::cast::CastContext;
use engine::exec::eval;
use engine::exec::functions::{self, FROM_FUNCTION};
use engine::exec::resolve;
use engine::plan::{Expr, FuncRef, Join, JoinKind, Keep, Plan, SubqueryKind};
use opaque::lifted_row;
use sqlparser::ast::{self, FunctionArg, SetExpr};
use std::rc::Rc;
use std::sync::Arc;
use types::{Column, DataType, Error, Result, SqlState, Value};

/// Bodies of functions in one statement.
const CALLS_MAX: usize = 1_000;
/// Bodies inside each other.
const BODIES_DEEP_MAX: usize = 32;
/// An argument of more nodes than this is computed once, however often the body names it.
const REPEATED_NODES_MAX: usize = 16;

/// What the names of its arguments mean inside a body.
pub(super) struct Arguments {
    pub function: String,
    pub names: Vec<Option<String>>,
    pub values: Vec<Argument>,
}

pub(super) enum Argument {
    /// A constant or parameter: the same wherever it stands.
    Value(Expr),
    /// The column of its number in the row around the body.
    Row(DataType),
}

/// A call whose function is known: its arguments in their places, of their types.
struct Call {
    function: Arc<Function>,
    args: Vec<Expr>,
}

impl<'a> Binder<'a> {
    /// `$n`, 0-based, inside of a body.
    pub(super) fn argument(&self, n: usize) -> Option<Result<Expr>> {
        let arguments = self.arguments.as_ref()?;
        Some(self.argument_at(arguments, n).ok_or_else(|| {
            Error::new(
                SqlState::UNDEFINED_PARAMETER,
                format!("there is no parameter ${}", n + 1),
            )
        }))
    }

    /// The argument of that name, where no column has it.
    pub(super) fn argument_named(&self, function: Option<&str>, name: &str) -> Option<Expr> {
        let arguments = self.arguments.as_ref()?;
        if function.is_some_and(|f| f != arguments.function) {
            return None;
        }
        let named = |n: &Option<String>| n.as_deref() == Some(name);
        let at = arguments.names.iter().position(named)?;
        self.argument_at(arguments, at)
    }

    fn argument_at(&self, arguments: &Arguments, at: usize) -> Option<Expr> {
        Some(match arguments.values.get(at)? {
            Argument::Value(e) => e.clone(),
            Argument::Row(ty) if self.frames.is_empty() => Expr::Column(at, *ty),
            Argument::Row(ty) => {
                self.frames.iter().for_each(|f| f.crossed.set(true));
                Expr::Outer {
                    depth: self.frames.len(),
                    column: at,
                    ty: *ty,
                }
            }
        })
    }

    /// The call of a user's function in an expression; `None` where the name is no such function's.
    pub(super) fn user_call(
        &mut self,
        name: &ast::ObjectName,
        list: &'a [FunctionArg],
        cx: &mut Cx,
    ) -> Result<Option<Expr>> {
        let Some(call) = self.call_of(name, list, cx)? else {
            return Ok(None);
        };
        let f = call.function.clone();
        if !f.returns_value() && !f.returns.set {
            return self.called_record(call).map(Some);
        }
        if !f.returns_value() {
            return Err(Error::unsupported(format!(
                "function {} returns rows, which are not supported here",
                f.name
            ))
            .with_hint("Call it in FROM."));
        }
        self.value_of(call, cx.clause).map(Some)
    }

    /// The call of a user's function in FROM: its plan and columns.
    pub(super) fn user_rows(
        &mut self,
        name: &ast::ObjectName,
        list: &'a [FunctionArg],
    ) -> Result<Option<(String, Lent)>> {
        let mut cx = Cx::new(Rc::default(), Clause::FromFunction);
        let Some(call) = self.call_of(name, list, &mut cx)? else {
            return Ok(None);
        };
        let f = call.function.clone();
        let shown = f.name.clone();
        if f.returns_rows() {
            let (plan, columns) = self.rows_of_body(call)?;
            let row = match (f.row_type(), columns.as_slice()) {
                (None, [only]) => only.ty,
                (row, _) => row.unwrap_or(DataType::Record),
            };
            return Ok(Some((shown, (plan, columns, row))));
        }
        let value = self.value_of(call, Clause::FromFunction)?;
        let column = Column::new(f.result_name(0), value.ty());
        let plan = Plan::Project {
            input: Box::new(Plan::OneRow),
            exprs: vec![value],
        };
        let row = column.ty;
        Ok(Some((shown, (plan, vec![column], row))))
    }

    /// The function that is meant, and its arguments.
    fn call_of(
        &mut self,
        name: &ast::ObjectName,
        list: &'a [FunctionArg],
        cx: &mut Cx,
    ) -> Result<Option<Call>> {
        let (schema, base) = self.qualified(name)?;
        let catalog = self.env.catalog;
        let functions = catalog.functions_named(&self.path, schema.as_deref(), &base);
        if functions.is_empty() || schema.is_none() && resolve::is_aggregate(&base) {
            return Ok(None);
        }
        let (given, named) = written(list, &base)?;
        let mut args = Vec::with_capacity(given.len());
        for e in given {
            args.push(self.expr(e, cx)?);
        }
        let types: Vec<DataType> = args.iter().map(Expr::ty).collect();
        let positional = args.len() - named.len();
        let (mut candidates, mut unknown) = (Vec::new(), None);
        for function in functions {
            let Some(places) = places(&function, positional, &named) else {
                continue;
            };
            match generic::of_call(function, &places, &types) {
                Ok(Some(function)) => candidates.push(Candidate { function, places }),
                Ok(None) => {}
                Err(e) => unknown = Some(e),
            }
        }
        // What the system has by that name goes first, unless a user's takes the very types and that one does not.
        let exact = candidates.iter().any(|c| c.hits(&types) == types.len());
        if schema.is_none()
            && let Ok(found) = resolve::function(&base, &types)
            && (!exact || found.arg_types == types)
        {
            return Ok(None);
        }
        let chosen = choose(candidates, &types);
        let (function, places) = match chosen {
            Ok(Some(c)) => (c.function, c.places),
            Ok(None) => return Err(unknown.unwrap_or_else(|| undefined(name, &types, &named))),
            Err(()) => return Err(ambiguous(&base, &types)),
        };
        if function.is_procedure() {
            return Err(procedure::no_function(&function, &types));
        }
        if function.is_of_triggers() {
            return Err(Error::unsupported(
                "trigger functions can only be called as triggers",
            ));
        }
        let mut slots: Vec<Option<Expr>> = args.into_iter().map(Some).collect();
        let mut placed = Vec::with_capacity(places.len());
        for (at, arg) in places.iter().zip(&function.args) {
            let e = match (at, &arg.default) {
                (Some(at), _) => slots.get_mut(*at).and_then(Option::take),
                (None, Some(default)) => Some(default.expr.clone()),
                (None, None) => None,
            };
            let e = e.ok_or_else(|| Error::internal("an argument without a place"))?;
            let e = self.coerce_arg(e, arg.ty)?;
            placed.push(self.held(e, arg.declared)?);
        }
        if let Some(reading) = &self.reading {
            reading.borrow_mut().function(function.oid);
        }
        let args = placed;
        Ok(Some(Call { function, args }))
    }

    /// The value held to the domain, if that is one.
    pub(super) fn held(&mut self, e: Expr, declared: u32) -> Result<Expr> {
        let ty = e.ty();
        let typmod = -1;
        match self.env.catalog.is_domain(declared) {
            true => self.declared_cast(
                e,
                Declared {
                    ty,
                    typmod,
                    declared,
                },
            ),
            false => Ok(e),
        }
    }

    /// The call's value.
    fn value_of(&mut self, call: Call, clause: Clause) -> Result<Expr> {
        let kept = matches!(clause, Clause::Check | Clause::Default | Clause::Generated);
        if call.function.is_built_in() {
            let value = built_in(&call)?;
            return if kept {
                marked(value, call.function.oid)
            } else {
                Ok(value)
            };
        }
        let body = match self.stays_call(&call.function) {
            true => None,
            false => match self.body_value(&call.function, arguments_of(&call.args), kept) {
                Err(e) if e.code() == SqlState::STATEMENT_TOO_COMPLEX => return Err(e),
                // It is for the statement that uses the definition.
                Err(_) if matches!(clause, Clause::Check | Clause::Default) => None,
                body => body?,
            },
        };
        let Some(mut value) = body else {
            return self.called_value(call);
        };
        let Call { function, args } = call;
        let ty = function.value_type();
        let null = Expr::Const(Value::Null, ty);
        if function.strict && args.iter().any(is_null) {
            return Ok(null);
        }
        if ty != DataType::Void {
            let cast = self.coerce(value, ty, -1, CastContext::Assignment)?;
            let cast = cast.ok_or_else(|| stale(&function))?;
            value = self.held(cast, function.returns.declared)?;
        }
        if function.strict {
            value = strict(value, &args, &null);
        }
        let value = self.over_arguments(&function.name, value, args)?;
        // What is kept in a definition says where it comes from, so that it is known what needs the function.
        if !kept {
            return Ok(value);
        }
        marked(value, function.oid)
    }

    /// What the body gives, over the row of arguments; `None`: it is called. `plain`: a subquery would not do.
    fn body_value(
        &mut self,
        f: &Function,
        values: Vec<Argument>,
        plain: bool,
    ) -> Result<Option<Expr>> {
        let wanted = f.value_type();
        let nothing = wanted == DataType::Void;
        let value = self.in_body(f, values, |b, q| {
            if let (Some(e), false) = (only_expr(q), nothing) {
                let mut cx = Cx::new(Rc::default(), Clause::Select);
                match b.expr(e, &mut cx) {
                    Ok(e) if eval::has_subquery(&e) && (plain || b.sees_changes(f)) => {
                        return Ok(None);
                    }
                    Ok(e) if wanted.is_record() && !e.ty().is_record() => {
                        return b.row_value(vec![e]).map(Some);
                    }
                    Ok(e) => return b.settle_unknown(e).map(Some),
                    Err(e) if e.code() == SqlState::STATEMENT_TOO_COMPLEX => return Err(e),
                    // An aggregate, or what else only a query has.
                    Err(_) => {}
                }
            }
            let (mut rel, correlated) =
                b.inside(Frame::new(Rc::default(), Clause::Select), |b| b.query(q))?;
            if plain || rel.plan.is_volatile() || b.sees_changes(f) {
                return Ok(None);
            }
            if wanted.is_record() {
                rel = b.packed_rows(rel, f)?;
            }
            if nothing {
                return Ok(Some(carried_out(rel.plan, correlated)));
            }
            let ty = rel.columns.first().map_or(DataType::Text, |c| c.ty);
            let plan = Plan::Limit {
                input: Box::new(rel.plan),
                limit: Some(Expr::Const(Value::Int8(1), DataType::Int8)),
                offset: None,
            };
            Ok(Some(Expr::Subquery {
                plan: Arc::new(plan),
                kind: SubqueryKind::Scalar,
                correlated,
                ty,
            }))
        })?;
        Ok(value.flatten())
    }

    /// A body that reads has to see what has been changed until it is called, which it does not where it stands in its place.
    fn sees_changes(&mut self, f: &Function) -> bool {
        self.looked |= f.volatility == 'v';
        self.each_call && f.volatility == 'v'
    }

    /// The rows of a body in FROM.
    fn rows_of_body(&mut self, call: Call) -> Result<(Plan, Vec<Column>)> {
        let body = match self.stays_call(&call.function) {
            true => None,
            false => self.body_rows(&call)?,
        };
        let Some((rel, crossed)) = body else {
            return self.called_rows(call);
        };
        let Call { function: f, args } = call;
        let Rel { plan, mut columns } = rel;
        for (at, column) in columns.iter_mut().enumerate() {
            *column = Column::new(f.result_name(at), column.ty);
        }
        // A function of one value gives one row, whatever its query gives.
        let plan = match f.returns.set {
            true => plan,
            false => Plan::Limit {
                input: Box::new(plan),
                limit: Some(Expr::Const(Value::Int8(1), DataType::Int8)),
                offset: None,
            },
        };
        let known = |e: &Expr| matches!(e, Expr::Const(..)) && !is_null(e);
        if !crossed && f.returns.set && (!f.strict || args.iter().all(known)) {
            return Ok((plan, columns));
        }
        let row = Plan::Project {
            input: Box::new(Plan::OneRow),
            exprs: args.clone(),
        };
        // NULL where it is known to be one: the body is not run then.
        let present: Vec<Expr> = args.iter().enumerate().filter_map(present).collect();
        let wanted = (f.strict && !present.is_empty()).then_some(Expr::And(present));
        // No row of its query is no row of a set, and otherwise a row of NULLs.
        let (kind, left, filter) = match (f.returns.set, wanted) {
            (true, Some(predicate)) => {
                let input = Box::new(row);
                (JoinKind::Inner, Plan::Filter { input, predicate }, None)
            }
            (true, None) => (JoinKind::Inner, row, None),
            (false, wanted) => (JoinKind::Left, row, wanted),
        };
        let width = args.len();
        let exprs = columns.iter().enumerate();
        let exprs = exprs.map(|(i, c)| Expr::Column(width + i, c.ty)).collect();
        let join = Plan::Join(Box::new(Join {
            kind,
            left,
            right: plan,
            left_width: width,
            right_width: columns.len(),
            left_keys: Vec::new(),
            right_keys: Vec::new(),
            filter,
            lateral: crossed,
            keep: Keep::Either,
        }));
        let input = Box::new(join);
        Ok((Plan::Project { input, exprs }, columns))
    }

    /// The rows of a body, and whether they depend on the row of arguments; `None`: it is called.
    fn body_rows(&mut self, call: &Call) -> Result<Option<(Rel, bool)>> {
        let f = &call.function;
        let wanted = f.result_types();
        if wanted.is_empty() {
            return Ok(None);
        }
        let rows = self.in_body(f, arguments_of(&call.args), |b, q| {
            let (rel, crossed) =
                b.inside(Frame::new(Rc::default(), Clause::Select), |b| b.query(q))?;
            if b.sees_changes(f) {
                return Ok(None);
            }
            let mut rel = b.unpacked_rows(rel, f)?;
            if rel.columns.len() != wanted.len() {
                return Err(stale(f));
            }
            b.coerce_outputs(&mut rel, &wanted, CastContext::Assignment)?;
            Ok(Some((rel, crossed)))
        })?;
        Ok(rows.flatten())
    }

    /// Reads a body of one query, which changes nothing, with a binder of its own; `None`: it is another.
    fn in_body<T>(
        &mut self,
        f: &Function,
        values: Vec<Argument>,
        read: impl for<'b> FnOnce(&mut Binder<'b>, &'b ast::Query) -> Result<T>,
    ) -> Result<Option<T>> {
        self.calls += 1;
        if self.calls > CALLS_MAX || self.bodies >= BODIES_DEEP_MAX {
            return Err(super::too_complex(&format!(
                "more than {CALLS_MAX} calls of functions, or {BODIES_DEEP_MAX} inside each other"
            )));
        }
        let parsed = parse::parse(&f.body.sql).map_err(|e| within(f, unplaced(e)))?;
        let [parsed] = parsed.as_slice() else {
            return Ok(None);
        };
        let q = match &parsed.ast {
            Ast::Sql(s) => match &**s {
                ast::Statement::Query(q) if super::changed_by(q).is_none() => q,
                _ => return Ok(None),
            },
            Ast::Command(_) => return Ok(None),
        };
        let mut inner = Binder::new(self.env, &parsed.lines);
        if f.fixed {
            inner.path.clone_from(&f.body.path);
            inner.view = Some(&f.body);
        }
        inner.arguments = Some(Arguments {
            function: f.name.clone(),
            names: f.args.iter().map(|a| a.name.clone()).collect(),
            values,
        });
        inner.counts_on_from(self);
        inner.bodies = self.bodies + 1;
        inner.each_call = self.each_call;
        inner.inlining.clone_from(&self.inlining);
        inner.inlining.push(f.oid);
        let out = read(&mut inner, q);
        // Also of what has failed: it may be tried another way.
        self.counts_on_from(&inner);
        if !inner.changes.is_empty() {
            return Ok(None);
        }
        out.map(Some).map_err(|e| within(f, unplaced(e)))
    }

    /// An expression over the row of arguments as one over the row of the call: the arguments in their places, or in a row of
    /// their own where they must not be computed as often as they are named.
    fn over_arguments(&mut self, name: &str, mut value: Expr, args: Vec<Expr>) -> Result<Expr> {
        let mut uses = vec![Uses::default(); args.len()];
        count(&mut value, &mut uses)?;
        let in_place = |(e, uses): (&Expr, &Uses)| {
            let plain = matches!(
                e,
                Expr::Const(..) | Expr::Param(..) | Expr::Column(..) | Expr::Outer { .. }
            );
            let cheap = walk::size(e) <= REPEATED_NODES_MAX || uses.all <= 1;
            plain || (cheap && !e.is_volatile() && !eval::has_subquery(e))
        };
        let hidden = |(e, uses): (&Expr, &Uses)| uses.inside > 0 && is_stand_in(e);
        let pairs = || args.iter().zip(&uses);
        if pairs().any(hidden) || !pairs().all(in_place) {
            refuse_stand_ins(name, &args)?;
        }
        if pairs().all(in_place) {
            let added: usize = pairs().map(|(e, u)| walk::size(e) * u.all).sum();
            self.copied = self.copied.saturating_add(added);
            if self.copied > COPIED_NODES_MAX {
                return Err(super::too_complex("expressions copied too often"));
            }
            substitute(&mut value, &args)?;
            return Ok(value);
        }
        let (ty, volatile) = (value.ty(), value.is_volatile());
        let (row, correlated) = lifted_row(args)?;
        let correlated = correlated || volatile;
        let plan = Plan::Project {
            input: Box::new(row),
            exprs: vec![value],
        };
        Ok(Expr::Subquery {
            plan: Arc::new(plan),
            kind: SubqueryKind::Scalar,
            correlated,
            ty,
        })
    }
}

/// A call of an extension's function.
fn built_in(call: &Call) -> Result<Expr> {
    let name = &call.function.body.sql;
    let func = functions::by_name(name)
        .ok_or_else(|| Error::internal(format!("there is no function {name}")))?;
    Ok(Expr::Call {
        func: FuncRef(func),
        args: call.args.clone(),
        ty: func.ret,
    })
}

/// What is kept in a definition, and which function it comes from.
fn marked(value: Expr, function: u32) -> Result<Expr> {
    let ty = value.ty();
    let func = functions::by_name(FROM_FUNCTION)
        .ok_or_else(|| Error::internal("the mark of functions is gone"))?;
    let oid = Expr::Const(Value::Oid(function), DataType::Oid);
    Ok(Expr::Call {
        func: FuncRef(func),
        args: vec![value, oid],
        ty,
    })
}

/// It stands for what is computed over rows that are not there yet.
fn is_stand_in(e: &Expr) -> bool {
    e.any(&mut |x| {
        matches!(x, Expr::Column(i, _) if series::is_stand_in(*i) || window::is_stand_in(*i))
    })
}

fn refuse_stand_ins(name: &str, args: &[Expr]) -> Result<()> {
    if !args.iter().any(is_stand_in) {
        return Ok(());
    }
    Err(Error::unsupported(format!(
        "window and set-returning functions in the arguments of function {name} are not supported"
    ))
    .with_hint("Compute them in a subquery in FROM."))
}

/// An error of a body, with where it was.
fn within(f: &Function, e: Error) -> Error {
    let place = format!("SQL function \"{}\" during inlining", f.name);
    let context = match e.context() {
        Some(inner) => format!("{inner}\n{place}"),
        None => place,
    };
    e.with_context(context)
}

/// What a body sees of its arguments.
fn arguments_of(args: &[Expr]) -> Vec<Argument> {
    let seen = |e: &Expr| match e {
        Expr::Const(..) | Expr::Param(..) => Argument::Value(e.clone()),
        e => Argument::Row(e.ty()),
    };
    args.iter().map(seen).collect()
}

/// `SELECT e` and nothing else.
pub(super) fn only_expr(q: &ast::Query) -> Option<&ast::Expr> {
    let plain = q.with.is_none()
        && q.order_by.is_none()
        && q.limit_clause.is_none()
        && q.fetch.is_none()
        && q.locks.is_empty();
    let SetExpr::Select(s) = &*q.body else {
        return None;
    };
    let grouped = !matches!(&s.group_by, ast::GroupByExpr::Expressions(e, _) if e.is_empty());
    if !plain
        || grouped
        || s.distinct.is_some()
        || s.having.is_some()
        || s.selection.is_some()
        || !s.from.is_empty()
        || s.into.is_some()
    {
        return None;
    }
    match s.projection.as_slice() {
        [ast::SelectItem::UnnamedExpr(e)] | [ast::SelectItem::ExprWithAlias { expr: e, .. }] => {
            Some(e)
        }
        _ => None,
    }
}

/// NULL, once the query has been run.
fn carried_out(plan: Plan, correlated: bool) -> Expr {
    let null = || Expr::Const(Value::Null, DataType::Void);
    let ran = Expr::Subquery {
        plan: Arc::new(plan),
        kind: SubqueryKind::Exists,
        correlated,
        ty: DataType::Bool,
    };
    Expr::Case {
        branches: vec![(ran, null())],
        otherwise: Some(Box::new(null())),
        ty: DataType::Void,
    }
}

/// NULL where an argument is.
fn strict(value: Expr, args: &[Expr], null: &Expr) -> Expr {
    let nullable = |(_, e): &(usize, &Expr)| !matches!(e, Expr::Const(..));
    let tests = args.iter().enumerate().filter(nullable);
    let tests = tests.map(|(at, e)| match e {
        Expr::Param(..) => Expr::IsNull(Box::new(e.clone())),
        e => Expr::IsNull(Box::new(Expr::Column(at, e.ty()))),
    });
    let mut tests: Vec<Expr> = tests.collect();
    let any = match tests.len() {
        0 => return value,
        1 => tests.swap_remove(0),
        _ => Expr::Or(tests),
    };
    Expr::Case {
        ty: value.ty(),
        branches: vec![(any, null.clone())],
        otherwise: Some(Box::new(value)),
    }
}

/// That an argument is not NULL, where that is not known.
fn present((at, e): (usize, &Expr)) -> Option<Expr> {
    match e {
        Expr::Const(Value::Null, _) => Some(super::expr::boolean(false)),
        Expr::Const(..) => None,
        e => {
            let is_null = Expr::IsNull(Box::new(Expr::Column(at, e.ty())));
            Some(Expr::Not(Box::new(is_null)))
        }
    }
}

fn is_null(e: &Expr) -> bool {
    matches!(e, Expr::Const(Value::Null, _))
}

fn is_correlated(e: &Expr) -> bool {
    matches!(
        e,
        Expr::Subquery {
            correlated: true,
            ..
        }
    )
}

/// How often a body names an argument, and how often inside of a subquery.
#[derive(Clone, Copy, Default)]
struct Uses {
    all: usize,
    inside: usize,
}

fn count(value: &mut Expr, uses: &mut [Uses]) -> Result<()> {
    value.each(&mut |x| {
        if let Expr::Column(at, _) = x
            && let Some(uses) = uses.get_mut(*at)
        {
            uses.all += 1;
        }
    });
    walk::outers(value, 0, &mut |node, inside| {
        if let Expr::Outer { depth, column, .. } = node
            && *depth == inside
            && let Some(uses) = uses.get_mut(*column)
        {
            uses.all += 1;
            uses.inside += 1;
        }
        Ok(())
    })
}

/// The arguments, which have no subqueries in them, in the places of the columns that stand for them.
fn substitute(value: &mut Expr, args: &[Expr]) -> Result<()> {
    walk::outers(value, 0, &mut |node, inside| {
        if let Expr::Outer { depth, column, .. } = node
            && *depth == inside
            && let Some(arg) = args.get(*column)
        {
            *node = walk::lift(arg, inside);
        }
        Ok(())
    })?;
    replace(value, args)
}

fn replace(e: &mut Expr, args: &[Expr]) -> Result<()> {
    if let Expr::Column(at, _) = e {
        let arg = args.get(*at);
        *e = arg
            .cloned()
            .ok_or_else(|| Error::internal("an argument out of range"))?;
        return Ok(());
    }
    walk::parts(e, &mut |x| replace(x, args))
}

/// The value as a subquery over its row.
pub(super) fn over_row(e: Expr) -> Result<Expr> {
    let ty = e.ty();
    let plan = Plan::Project {
        input: Box::new(Plan::OneRow),
        exprs: vec![lifted_by_one(e)?],
    };
    Ok(Expr::Subquery {
        plan: Arc::new(plan),
        kind: SubqueryKind::Scalar,
        correlated: true,
        ty,
    })
}

/// An argument as a query inside of its row sees it.
fn lifted_by_one(mut e: Expr) -> Result<Expr> {
    walk::outers(&mut e, 0, &mut |node, _| {
        if let Expr::Outer { depth, .. } = node {
            *depth += 1;
        }
        Ok(())
    })?;
    e.each_mut(&mut |x| {
        if let Expr::Column(column, ty) = x {
            *x = Expr::Outer {
                depth: 1,
                column: *column,
                ty: *ty,
            };
        }
    });
    Ok(e)
}

/// The body is not what it was when the function was made.
fn stale(f: &Function) -> Error {
    let detail = "Final statement must return as many columns as the function.";
    super::routine::mismatch(f, detail.into())
}
