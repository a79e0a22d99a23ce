//! GROUP BY: plain items, ROLLUP, CUBE and GROUPING SETS become one list of grouping sets; and GROUPING(…).
//!
//! Owns: the product of the items' sets. Bounds: `SETS_MAX` sets, as PostgreSQL has it. Source: `parse_agg.c`
//! (`expand_grouping_sets`), `transformGroupClause`.

use super::group::Groups;
use super::select::{Block, unnested};
use super::{Binder, Cx, syntax, unsupported, walk};
use engine::exec::functions;
use engine::plan::{Expr, FuncRef};
use sqlparser::ast::{self, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr};
use types::{DataType, Error, Result, SqlState};

const SETS_MAX: usize = 4_096;
const CUBE_MAX: usize = 12;
const GROUPING_ARGS_MAX: usize = 31;

/// Sets of places in the list of expressions.
type Sets = Vec<Vec<usize>>;

impl<'a> Binder<'a> {
    pub(super) fn group_items(
        &mut self,
        g: &'a GroupByExpr,
        block: &mut Block,
        cx: &mut Cx,
    ) -> Result<Groups> {
        let GroupByExpr::Expressions(items, modifiers) = g else {
            return Err(syntax("syntax error at or near \"all\""));
        };
        if !modifiers.is_empty() {
            return Err(unsupported("this form of GROUP BY"));
        }
        let mut exprs: Vec<Expr> = Vec::with_capacity(items.len());
        let mut sets: Sets = vec![Vec::new()];
        for item in items {
            let more = self.group_sets(item, &mut exprs, block, cx)?;
            if sets.len().saturating_mul(more.len()) > SETS_MAX {
                return Err(Error::new(
                    SqlState::STATEMENT_TOO_COMPLEX,
                    format!("too many grouping sets present (maximum {SETS_MAX})"),
                ));
            }
            let both = |a: &Vec<usize>| {
                let join = |b: &Vec<usize>| a.iter().chain(b).copied().collect();
                more.iter().map(join).collect::<Sets>()
            };
            sets = sets.iter().flat_map(both).collect();
        }
        let mut types = exprs.iter().map(Expr::ty);
        types.try_for_each(super::agg::needs_equality)?;
        let has = |set: &Vec<usize>| (0..exprs.len()).map(|i| set.contains(&i)).collect();
        let sets: Vec<Vec<bool>> = sets.iter().map(has).collect();
        Ok(Groups {
            sets: (sets.len() != 1).then_some(sets),
            exprs,
        })
    }

    /// The sets of one item.
    fn group_sets(
        &mut self,
        e: &'a ast::Expr,
        exprs: &mut Vec<Expr>,
        block: &mut Block,
        cx: &mut Cx,
    ) -> Result<Sets> {
        match unnested(e) {
            ast::Expr::Rollup(items) => {
                let items = self.elements(items, exprs, block, cx)?;
                Ok(rollup(&items))
            }
            ast::Expr::Cube(items) => {
                let items = self.elements(items, exprs, block, cx)?;
                cube(&items)
            }
            ast::Expr::GroupingSets(items) => {
                let mut sets = Vec::with_capacity(items.len());
                for item in items {
                    match item.as_slice() {
                        [one] => sets.extend(self.nested_sets(one, exprs, block, cx)?),
                        many => sets.push(self.element(many, exprs, block, cx)?),
                    }
                }
                Ok(sets)
            }
            ast::Expr::Tuple(items) => Ok(vec![self.element(items, exprs, block, cx)?]),
            _ => Ok(vec![self.element([e], exprs, block, cx)?]),
        }
    }

    /// Inside GROUPING SETS the grammar crate reads ROLLUP and CUBE as calls.
    fn nested_sets(
        &mut self,
        e: &'a ast::Expr,
        exprs: &mut Vec<Expr>,
        block: &mut Block,
        cx: &mut Cx,
    ) -> Result<Sets> {
        let ast::Expr::Function(f) = e else {
            return self.group_sets(e, exprs, block, cx);
        };
        let name = super::names::first_ident(&f.name).filter(|i| i.quote_style.is_none());
        let name = name.map(|i| i.value.to_ascii_lowercase());
        let FunctionArguments::List(list) = &f.args else {
            return self.group_sets(e, exprs, block, cx);
        };
        let is_cube = match name.as_deref() {
            Some("cube") => true,
            Some("rollup") => false,
            _ => return self.group_sets(e, exprs, block, cx),
        };
        let mut items = Vec::with_capacity(list.args.len());
        for arg in &list.args {
            let FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)) = arg else {
                return Err(syntax("syntax error in GROUP BY"));
            };
            items.push(match unnested(arg) {
                ast::Expr::Tuple(list) => self.element(list, exprs, block, cx)?,
                _ => self.element([arg], exprs, block, cx)?,
            });
        }
        if is_cube {
            cube(&items)
        } else {
            Ok(rollup(&items))
        }
    }

    fn elements(
        &mut self,
        items: &'a [Vec<ast::Expr>],
        exprs: &mut Vec<Expr>,
        block: &mut Block,
        cx: &mut Cx,
    ) -> Result<Sets> {
        let element = |item| self.element(item, exprs, block, cx);
        items.iter().map(element).collect()
    }

    /// Expressions that stand or fall together.
    fn element(
        &mut self,
        items: impl IntoIterator<Item = &'a ast::Expr>,
        exprs: &mut Vec<Expr>,
        block: &mut Block,
        cx: &mut Cx,
    ) -> Result<Vec<usize>> {
        let mut places = Vec::new();
        for item in items {
            let e = self.group_item(item, block, cx)?;
            let known = exprs.iter().position(|g| walk::same(g, &e));
            places.push(known.unwrap_or_else(|| {
                exprs.push(e);
                exprs.len() - 1
            }));
        }
        Ok(places)
    }

    /// GROUPING(…), which the groups will turn into bits.
    pub(super) fn grouping(&mut self, args: Vec<&'a ast::Expr>, cx: &mut Cx) -> Result<Expr> {
        if args.len() > GROUPING_ARGS_MAX {
            return Err(Error::new(
                SqlState::TOO_MANY_ARGUMENTS,
                "GROUPING must have fewer than 32 arguments",
            ));
        }
        let Some(found) = cx.aggregates.take() else {
            let place = cx.clause.name();
            return Err(Error::new(
                SqlState::GROUPING_ERROR,
                format!("grouping operations are not allowed in {place}"),
            ));
        };
        let args = args.into_iter().map(|e| self.expr(e, cx));
        let args = args.collect::<Result<Vec<_>>>();
        found.borrow_mut().grouping = true;
        cx.aggregates = Some(found);
        let func = functions::by_name(functions::GROUPING)
            .ok_or_else(|| Error::internal("GROUPING is gone"))?;
        Ok(Expr::Call {
            func: FuncRef(func),
            args: args?,
            ty: DataType::Int4,
        })
    }
}

fn rollup(items: &[Vec<usize>]) -> Sets {
    let first = |n: usize| items.iter().take(n).flatten().copied().collect();
    (0..=items.len()).rev().map(first).collect()
}

fn cube(items: &[Vec<usize>]) -> Result<Sets> {
    if items.len() > CUBE_MAX {
        return Err(Error::new(
            SqlState::TOO_MANY_COLUMNS,
            format!("CUBE is limited to {CUBE_MAX} elements"),
        ));
    }
    let chosen = |mask: usize| {
        let has = |(i, item): (usize, &Vec<usize>)| {
            if mask >> i & 1 == 0 {
                item.clone()
            } else {
                Vec::new()
            }
        };
        items.iter().enumerate().flat_map(has).collect()
    };
    Ok((0..1usize << items.len()).map(chosen).collect())
}
