//! Aggregate calls: found while an expression is bound, taken out of it, and numbered.
//!
//! Owns: the stand-in columns that `group` later turns into columns of the aggregation. Never: lets one into a clause
//! where PostgreSQL refuses it. Source: `parse_agg.c`.

use super::{Binder, Clause, Cx, syntax, unsupported, walk};
use engine::exec::resolve;
use engine::plan::{AggregateCall, Expr, SortKey};
use sqlparser::ast;
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
        self.allows_aggregates(cx)?;
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
        self.collect(call, cx)
    }

    /// The stand-in for a call.
    pub(super) fn collect(&mut self, call: AggregateCall, cx: &mut Cx) -> Result<Expr> {
        refuse_outer(&call.args)?;
        match &mut cx.aggregates {
            Some(collector) => Ok(collector.add(call)),
            None => Err(Error::internal("aggregates without a collector")),
        }
    }

    /// 42803 where no aggregate may stand.
    pub(super) fn allows_aggregates(&self, cx: &Cx) -> Result<()> {
        if cx.aggregates.is_some() {
            return Ok(());
        }
        let message = if cx.clause == Clause::Aggregate {
            "aggregate function calls cannot be nested".to_string()
        } else {
            format!(
                "aggregate functions are not allowed in {}",
                cx.clause.name()
            )
        };
        Err(Error::new(SqlState::GROUPING_ERROR, message))
    }

    fn aggregate_order(
        &mut self,
        w: &Written<'_, 'a>,
        args: &[Expr],
        cx: &mut Cx,
    ) -> Result<Vec<SortKey>> {
        let mut keys = Vec::with_capacity(w.order.len());
        for item in w.order {
            let expr = self.expr(&item.expr, cx)?;
            let expr = self.settle_unknown(expr)?;
            if w.distinct && !args.iter().any(|a| walk::same(a, &expr)) {
                return Err(Error::new(
                    SqlState::INVALID_COLUMN_REFERENCE,
                    "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list",
                ));
            }
            keys.push(sort_key(expr, &item.options)?);
        }
        Ok(keys)
    }
}

impl Collector {
    /// The stand-in for a call; equal calls share one.
    fn add(&mut self, call: AggregateCall) -> Expr {
        let ty = call.ty;
        let known = self
            .calls
            .iter()
            .position(|c| walk::same_aggregate(c, &call));
        let n = known.unwrap_or_else(|| {
            self.calls.push(call);
            self.calls.len() - 1
        });
        Expr::Column(STAND_IN + n, ty)
    }
}

/// An aggregate over nothing but an enclosing query's columns belongs to that query in SQL.
fn refuse_outer(args: &[Expr]) -> Result<()> {
    let (mut own, mut outer) = (false, false);
    for arg in args {
        arg.each(&mut |x| match x {
            Expr::Column(..) | Expr::Subquery { .. } => own = true,
            Expr::Outer { .. } => outer = true,
            _ => {}
        });
    }
    if outer && !own {
        return Err(unsupported(
            "an aggregate over an enclosing query's columns",
        ));
    }
    Ok(())
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
