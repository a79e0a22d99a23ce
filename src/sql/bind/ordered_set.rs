//! Aggregates with WITHIN GROUP.
//!
//! Owns: their direct arguments, which are the same for each row of a group, and the order they want. Asked by: `function`.
//! Source: `parse_func.c` (`AGGKIND_ORDERED_SET`, `unify_hypothetical_args`).

use super::agg::sort_key;
use super::{Binder, Clause, Cx, coerce, syntax};
use engine::exec::resolve;
use engine::plan::{AggregateCall, Expr};
use sqlparser::ast;
use types::{DataType, Error, Result, SqlState};

/// What such a call is, by its name.
pub(super) fn is_ordered_set(name: &str) -> bool {
    matches!(name, "percentile_cont" | "percentile_disc" | "mode")
}

fn is_hypothetical(name: &str) -> bool {
    matches!(name, "rank" | "dense_rank" | "percent_rank" | "cume_dist")
}

/// 42809 for such an aggregate without its clause.
pub(super) fn required(name: &str) -> Error {
    Error::new(
        SqlState::WRONG_OBJECT_TYPE,
        format!("WITHIN GROUP is required for ordered-set aggregate {name}"),
    )
}

impl<'a> Binder<'a> {
    pub(super) fn ordered_set(
        &mut self,
        name: &str,
        args: Vec<&'a ast::Expr>,
        within: &'a [ast::OrderByExpr],
        filter: Option<&'a ast::Expr>,
        cx: &mut Cx,
    ) -> Result<Expr> {
        let mut inner = Cx::new(cx.scope.clone(), Clause::Aggregate);
        let mut direct = Vec::with_capacity(args.len());
        for e in args {
            direct.push(self.expr(e, &mut inner)?);
        }
        let mut keys = Vec::with_capacity(within.len());
        for item in within {
            keys.push(self.expr(&item.expr, &mut inner)?);
        }
        let (func, direct, keys, ty) = self.resolve_ordered_set(name, direct, keys)?;
        let mut order = Vec::with_capacity(keys.len());
        for (key, item) in keys.iter().zip(within) {
            order.push(sort_key(key.clone(), &item.options)?);
        }
        let func = match is_hypothetical(name) {
            false => func,
            true => order.iter().fold(func + ":", |mut func, key| {
                func.push(if key.descending { 'd' } else { 'a' });
                func.push(if key.nulls_first { 'f' } else { 'l' });
                func
            }),
        };
        let filter = match filter {
            Some(e) => {
                inner.clause = Clause::Filter;
                let e = self.expr(e, &mut inner)?;
                Some(self.condition(e, "FILTER")?)
            }
            None => None,
        };
        let fixed = direct.len();
        let call = AggregateCall {
            func,
            args: direct.into_iter().chain(keys).collect(),
            distinct: false,
            filter,
            order,
            ty,
        };
        self.collect(call, fixed, cx)
    }

    /// The aggregate, its arguments as it takes them, and its result.
    fn resolve_ordered_set(
        &mut self,
        name: &str,
        direct: Vec<Expr>,
        keys: Vec<Expr>,
    ) -> Result<(String, Vec<Expr>, Vec<Expr>, DataType)> {
        if is_hypothetical(name) {
            return self.resolve_hypothetical(name, direct, keys);
        }
        let types: Vec<DataType> = direct.iter().chain(&keys).map(Expr::ty).collect();
        if !is_ordered_set(name) {
            if resolve::is_aggregate(name) && resolve::aggregate(name, &types, false).is_ok() {
                return Err(Error::new(
                    SqlState::WRONG_OBJECT_TYPE,
                    format!(
                        "{name} is not an ordered-set aggregate, so it cannot have WITHIN GROUP"
                    ),
                ));
            }
            return Err(resolve::undefined(name, &types));
        }
        let found = resolve::aggregate(name, &types, false)?;
        let split = direct.len();
        let mut all = Vec::with_capacity(types.len());
        for (e, ty) in direct.into_iter().chain(keys).zip(&found.arg_types) {
            all.push(self.coerce_arg(e, *ty)?);
        }
        let keys = all.split_off(split);
        Ok((found.func, all, keys, found.ret))
    }

    /// Each direct argument becomes of one type with the key that it stands beside.
    fn resolve_hypothetical(
        &mut self,
        name: &str,
        direct: Vec<Expr>,
        keys: Vec<Expr>,
    ) -> Result<(String, Vec<Expr>, Vec<Expr>, DataType)> {
        if direct.len() != keys.len() {
            let types: Vec<DataType> = direct.iter().chain(&keys).map(Expr::ty).collect();
            return Err(resolve::undefined(name, &types).with_hint(format!(
                "To use the hypothetical-set aggregate {name}, the number of hypothetical direct arguments (here {}) must match the number of ordering columns (here {}).",
                direct.len(),
                keys.len()
            )));
        }
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for (d, k) in direct.into_iter().zip(keys) {
            let ty = coerce::common_type(&[k.ty(), d.ty()], "WITHIN GROUP")?;
            left.push(self.coerce_arg(d, ty)?);
            right.push(self.coerce_arg(k, ty)?);
        }
        if left.is_empty() {
            return Err(syntax("WITHIN GROUP without ORDER BY"));
        }
        let ret = match name {
            "rank" | "dense_rank" => DataType::Int8,
            _ => DataType::Float8,
        };
        Ok((format!("hypothetical_{name}"), left, right, ret))
    }
}
