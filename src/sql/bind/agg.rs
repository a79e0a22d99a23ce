//! Aggregate calls: found while an expression is bound, taken out of it, and numbered.
//!
//! Owns: which of the queries around it a call belongs to, and the stand-in columns that `group` later turns into columns of
//! that query's aggregation. Never: lets one into a clause where PostgreSQL refuses it. Source: `parse_agg.c`
//! (`check_agglevels_and_constraints`).

use super::{Binder, Clause, Cx, syntax, walk};
use engine::exec::resolve;
use engine::plan::{AggregateCall, Expr, SortKey};
use sqlparser::ast;
use std::cell::RefCell;
use std::rc::Rc;
use types::{DataType, Error, Result, SqlState};

/// Columns from here on stand for aggregates: no row is as wide.
pub(super) const STAND_IN: usize = 1 << 32;

/// The aggregates of one query.
#[derive(Default)]
pub(super) struct Collector {
    pub calls: Vec<AggregateCall>,
    /// GROUPING(…) is called: that alone makes groups.
    pub grouping: bool,
}

/// A query's collector, which the queries inside it share.
pub(super) type Collected = Rc<RefCell<Collector>>;

/// A call as written.
pub(super) struct Written<'n, 'a> {
    pub name: &'n str,
    pub args: Vec<&'a ast::Expr>,
    pub star: bool,
    pub distinct: bool,
    pub order: &'a [ast::OrderByExpr],
    pub filter: Option<&'a ast::Expr>,
}

impl<'a> Binder<'a> {
    pub(super) fn aggregate(&mut self, w: Written<'_, 'a>, cx: &mut Cx) -> Result<Expr> {
        let mut inner = Cx::new(cx.scope.clone(), Clause::Aggregate);
        let args = w.args.iter().map(|e| self.expr(e, &mut inner));
        let args = args.collect::<Result<Vec<_>>>()?;
        let types: Vec<DataType> = args.iter().map(Expr::ty).collect();
        let found = resolve::aggregate(w.name, &types, w.star)?;
        let args = args
            .into_iter()
            .zip(&found.arg_types)
            .map(|(e, ty)| {
                let e = self.coerce_arg(e, *ty)?;
                self.json_label(w.name, e)
            })
            .collect::<Result<Vec<_>>>()?;
        if w.distinct {
            args.iter().try_for_each(|a| needs_equality(a.ty()))?;
        }
        let order = self.aggregate_order(&w, &args, &mut inner)?;
        let filter = match w.filter {
            Some(e) => {
                inner.clause = Clause::Filter;
                let e = self.expr(e, &mut inner)?;
                Some(self.condition(e, "FILTER")?)
            }
            None => None,
        };
        let call = AggregateCall {
            func: found.func,
            args,
            distinct: w.distinct,
            filter,
            order,
            ty: found.ret,
        };
        self.collect(call, 0, cx)
    }

    /// The stand-in for a call, as a column of the query that it belongs to: the innermost whose columns or aggregates its
    /// arguments read. The first `direct` of them are the same for all rows of a group.
    pub(super) fn collect(
        &mut self,
        mut call: AggregateCall,
        direct: usize,
        cx: &mut Cx,
    ) -> Result<Expr> {
        let mut rows = Level::default();
        let direct = direct.min(call.args.len());
        let (fixed, args) = call.args.split_at_mut(direct);
        let keys = call.order.iter_mut().map(|k| &mut k.expr);
        let read = args.iter_mut().chain(keys).chain(&mut call.filter);
        read.for_each(|e| self.note_levels(e, &mut rows));
        let level = rows.lowest().unwrap_or(0);
        if rows.aggregate == Some(level) {
            return Err(nested());
        }
        let mut once = Level::default();
        fixed
            .iter_mut()
            .for_each(|e| self.note_levels(e, &mut once));
        if once.column.is_some_and(|c| c < level) {
            return Err(Error::new(
                SqlState::GROUPING_ERROR,
                "outer-level aggregate cannot contain a lower-level variable in its direct arguments",
            ));
        }
        if once.aggregate.is_some_and(|a| a <= level) {
            return Err(nested());
        }
        let found = self.collector(level, cx)?;
        if level == 0 {
            let (n, ty) = found.borrow_mut().add(call);
            return Ok(Expr::Column(n, ty));
        }
        let order = call.order.iter_mut().map(|k| &mut k.expr);
        let read = call.args.iter_mut().chain(order).chain(&mut call.filter);
        read.for_each(|e| walk::move_out(e, level));
        let (column, ty) = found.borrow_mut().add(call);
        let crossed = self.frames.iter().rev().take(level);
        crossed.for_each(|f| f.crossed.set(true));
        Ok(Expr::Outer {
            depth: level,
            column,
            ty,
        })
    }

    /// How far out the nearest column and the nearest aggregate are that an expression reads.
    fn note_levels(&self, e: &mut Expr, found: &mut Level) {
        e.each(&mut |x| {
            if let Expr::Column(i, _) = x {
                found.note(0, *i);
            }
        });
        // The arguments of a function whose body this is are no columns of a query.
        let around = self.arguments.as_ref().map(|_| self.frames.len());
        // The callback does not fail.
        let _ = walk::outers(e, 0, &mut |x, inside| {
            if let Expr::Outer { depth, column, .. } = x {
                let level = *depth - inside;
                if Some(level) != around {
                    found.note(level, *column);
                }
            }
            Ok(())
        });
    }

    /// The aggregates of the query that is `level` rows out, or 42803 where none may stand.
    fn collector(&self, level: usize, cx: &Cx) -> Result<Collected> {
        let (clause, found) = match level.checked_sub(1) {
            None => (cx.clause, &cx.aggregates),
            Some(n) => {
                let frame = self.frames.iter().rev().nth(n);
                let frame = frame.ok_or_else(|| Error::internal("a column of no query"))?;
                (frame.clause, &frame.aggregates)
            }
        };
        found.clone().ok_or_else(|| match clause {
            Clause::Aggregate => nested(),
            clause => Error::new(
                SqlState::GROUPING_ERROR,
                format!("aggregate functions are not allowed in {}", clause.name()),
            ),
        })
    }

    /// Keys of an aggregate's ORDER BY.
    fn aggregate_order(
        &mut self,
        w: &Written<'_, 'a>,
        args: &[Expr],
        cx: &mut Cx,
    ) -> Result<Vec<SortKey>> {
        let mut keys = Vec::with_capacity(w.order.len());
        for item in w.order {
            let expr = self.expr(&item.expr, cx)?;
            let mut expr = self.settle_unknown(expr)?;
            if w.distinct {
                let arg = args.iter().find(|a| is_arg(&expr, a));
                expr = arg.cloned().ok_or_else(|| {
                    Error::new(
                        SqlState::INVALID_COLUMN_REFERENCE,
                        "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list",
                    )
                })?;
            }
            keys.push(sort_key(expr, &item.options)?);
        }
        Ok(keys)
    }
}

/// Also where the aggregate takes it as a text.
fn is_arg(e: &Expr, arg: &Expr) -> bool {
    match arg {
        Expr::Cast {
            expr,
            to: DataType::Text,
            typmod: -1,
            explicit: false,
        } if expr.ty() == DataType::Varchar => walk::same(expr, e),
        arg => walk::same(arg, e),
    }
}

/// The nearest that something reads, as the number of rows between.
#[derive(Default)]
struct Level {
    column: Option<usize>,
    aggregate: Option<usize>,
}

impl Level {
    fn note(&mut self, level: usize, column: usize) {
        let nearest = match column >= STAND_IN {
            true => &mut self.aggregate,
            false => &mut self.column,
        };
        *nearest = Some(nearest.map_or(level, |n| n.min(level)));
    }

    fn lowest(&self) -> Option<usize> {
        self.column.into_iter().chain(self.aggregate).min()
    }
}

impl Collector {
    /// The stand-in's number and type for a call; equal calls share one.
    fn add(&mut self, call: AggregateCall) -> (usize, DataType) {
        let ty = call.ty;
        let known = self
            .calls
            .iter()
            .position(|c| walk::same_aggregate(c, &call));
        let n = known.unwrap_or_else(|| {
            self.calls.push(call);
            self.calls.len() - 1
        });
        (STAND_IN + n, ty)
    }
}

/// The expression, or a query in it, reads an aggregate of its own query.
pub(super) fn is_read(e: &Expr) -> bool {
    let mut read = false;
    e.each(&mut |x| read |= matches!(x, Expr::Column(i, _) if *i >= STAND_IN));
    // The callback does not fail.
    let _ = walk::outers(&mut e.clone(), 0, &mut |x, inside| {
        if let Expr::Outer { depth, column, .. } = x {
            read |= *depth == inside && *column >= STAND_IN;
        }
        Ok(())
    });
    read
}

fn nested() -> Error {
    Error::new(
        SqlState::GROUPING_ERROR,
        "aggregate function calls cannot be nested",
    )
}

/// ASC/DESC and NULLS FIRST/LAST; NULL is the largest value.
pub(super) fn sort_key(expr: Expr, options: &ast::OrderByOptions) -> Result<SortKey> {
    let descending = match &options.sort {
        None | Some(ast::OrderBySort::Asc) => false,
        Some(ast::OrderBySort::Desc) => true,
        Some(ast::OrderBySort::Using(op)) => {
            match super::names::parts(op)?.last().map(String::as_str) {
                Some("<") => false,
                Some(">") => true,
                _ => return Err(syntax("operator is not a valid ordering operator")),
            }
        }
    };
    if !expr.ty().is_ordered() {
        return Err(Error::new(
            SqlState::UNDEFINED_FUNCTION,
            format!(
                "could not identify an ordering operator for type {}",
                expr.ty()
            ),
        )
        .with_hint("Use an explicit ordering operator or modify the query."));
    }
    Ok(SortKey {
        expr,
        descending,
        nulls_first: options.nulls_first.unwrap_or(descending),
    })
}

/// 42883 for values that nothing says are equal.
pub(super) fn needs_equality(ty: DataType) -> Result<()> {
    if ty.is_ordered() {
        return Ok(());
    }
    Err(Error::new(
        SqlState::UNDEFINED_FUNCTION,
        format!("could not identify an equality operator for type {ty}"),
    ))
}
