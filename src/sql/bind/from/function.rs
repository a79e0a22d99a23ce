//! Functions in FROM.
//!
//! Owns: column names of a function's rows, WITH ORDINALITY, and scalar functions used as one-row tables.

use super::super::scope::{Entry, Relation, Scope};
use super::super::{Binder, Clause, Cx, unsupported};
use super::{Source, apply_alias, ordinality};
use crate::sql::bind::function::{function_name, positional};
use engine::exec::resolve;
use engine::plan::{Expr, Plan, TableFunction};
use sqlparser::ast::{self, FunctionArg, FunctionArgExpr, FunctionArguments, TableAlias};
use std::rc::Rc;
use types::{Column, DataType, Result, SqlState, Value};

impl<'a> Binder<'a> {
    pub(super) fn table_function(
        &mut self,
        name: &'a ast::ObjectName,
        args: &'a [FunctionArg],
        with_ordinality: bool,
        alias: Option<&TableAlias>,
    ) -> Result<Source> {
        let name = function_name(name)?;
        let args = positional(args, &name)?;
        self.function_rows(&name, &args, with_ordinality, alias)
    }

    pub(super) fn unnest(
        &mut self,
        arrays: &'a [ast::Expr],
        with_ordinality: bool,
        alias: Option<&TableAlias>,
    ) -> Result<Source> {
        if arrays.len() != 1 {
            return Err(unsupported("UNNEST of several arrays"));
        }
        let args: Vec<&ast::Expr> = arrays.iter().collect();
        self.function_rows("unnest", &args, with_ordinality, alias)
    }

    fn function_rows(
        &mut self,
        name: &str,
        args: &[&'a ast::Expr],
        with_ordinality: bool,
        alias: Option<&TableAlias>,
    ) -> Result<Source> {
        let mut cx = Cx::new(Rc::default(), Clause::FromFunction);
        let args = args
            .iter()
            .map(|e| self.expr(e, &mut cx))
            .collect::<Result<Vec<_>>>()?;
        let types: Vec<DataType> = args.iter().map(Expr::ty).collect();
        let (plan, mut columns) = match resolve::table_function(name, &types) {
            Ok((arg_types, columns)) => {
                let args = args
                    .into_iter()
                    .zip(arg_types)
                    .map(|(e, ty)| self.coerce_arg(e, ty))
                    .collect::<Result<Vec<_>>>()?;
                let columns = columns.into_iter().map(|(n, ty)| Column::new(n, ty));
                let columns: Vec<Column> = columns.collect();
                let plan = Plan::Function(TableFunction {
                    name: name.to_string(),
                    args,
                    columns: columns.clone(),
                    ordinality: with_ordinality,
                });
                (plan, columns)
            }
            Err(e) if e.code() == SqlState::UNDEFINED_FUNCTION => {
                self.scalar_rows(name, args, with_ordinality)?
            }
            Err(e) => return Err(e),
        };
        // A function of one column lends its alias to that column, unless the column has a name of its own.
        if let ([only], Some(alias)) = (columns.as_mut_slice(), alias)
            && only.name == name
        {
            only.name = crate::sql::bind::names::ident(&alias.name);
        }
        if with_ordinality {
            columns.push(ordinality());
        }
        let entries = columns.iter().enumerate().map(|(i, c)| Entry::of(c, i));
        let mut relation = Relation {
            alias: name.to_string(),
            schema: None,
            table: None,
            columns: entries.collect(),
            key: Vec::new(),
            tableoid: None,
            base: false,
        };
        if let Some(alias) = alias {
            apply_alias(&mut relation, alias)?;
        }
        Ok((plan, Scope::single(relation)))
    }

    /// `FROM lower('X')`: one row of one column.
    fn scalar_rows(
        &mut self,
        name: &str,
        args: Vec<Expr>,
        with_ordinality: bool,
    ) -> Result<(Plan, Vec<Column>)> {
        let call = self.call(name, args)?;
        let column = Column::new(name, call.ty());
        let mut exprs = vec![call];
        if with_ordinality {
            exprs.push(Expr::Const(Value::Int8(1), DataType::Int8));
        }
        let plan = Plan::Project {
            input: Box::new(Plan::OneRow),
            exprs,
        };
        Ok((plan, vec![column]))
    }
}

/// No argument can name a neighbour's column.
pub(super) fn constant_args(args: &[FunctionArg]) -> bool {
    args.iter().all(|a| match a {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) => constant_expr(e),
        _ => false,
    })
}

/// Literals, parameters, and casts, signs, arrays and calls of such.
pub(super) fn constant_expr(e: &ast::Expr) -> bool {
    match e {
        ast::Expr::Value(_) | ast::Expr::TypedString(_) | ast::Expr::Interval(_) => true,
        ast::Expr::Nested(x)
        | ast::Expr::UnaryOp { expr: x, .. }
        | ast::Expr::Cast { expr: x, .. } => constant_expr(x),
        ast::Expr::Array(a) => a.elem.iter().all(constant_expr),
        ast::Expr::Function(f) => match &f.args {
            FunctionArguments::None => true,
            FunctionArguments::List(list) => constant_args(&list.args),
            FunctionArguments::Subquery(_) => false,
        },
        _ => false,
    }
}
