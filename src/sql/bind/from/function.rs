//! Functions in FROM.
//!
//! Owns: column names of a function's rows, WITH ORDINALITY, and scalar functions used as one-row tables.

use super::super::scope::{Entry, Relation, Scope};
use super::super::{Binder, Clause, Cx, syntax, unsupported};
use super::{Lent, Source, apply_alias, ordinality};
use crate::bind::composite::field_at;
use crate::bind::function::{function_name, positional};
use engine::exec::resolve;
use engine::plan::{Expr, Plan, TableFunction};
use sqlparser::ast::{self, FunctionArg, FunctionArgExpr, FunctionArguments, TableAlias};
use std::rc::Rc;
use types::{Column, DataType, RecordField, Result, SqlState, Value};

impl<'a> Binder<'a> {
    pub(super) fn table_function(
        &mut self,
        name: &'a ast::ObjectName,
        args: &'a [FunctionArg],
        with_ordinality: bool,
        alias: Option<&TableAlias>,
    ) -> Result<Source> {
        if let Some((name, rows)) = self.user_rows(name, args)? {
            if with_ordinality {
                return Err(unsupported("WITH ORDINALITY of a user's function"));
            }
            return self.lend(&name, rows, false, alias);
        }
        let name = function_name(name)?;
        let args = positional(args, &name)?;
        if matches!(
            name.as_str(),
            "jsonb_to_record"
                | "jsonb_to_recordset"
                | "json_to_record"
                | "json_to_recordset"
                | "jsonb_populate_record"
                | "jsonb_populate_recordset"
                | "json_populate_record"
                | "json_populate_recordset"
        ) {
            return self.record_rows(&name, &args, with_ordinality, alias);
        }
        self.function_rows(&name, &args, with_ordinality, alias)
    }

    pub(super) fn unnest(
        &mut self,
        arrays: &'a [ast::Expr],
        with_ordinality: bool,
        alias: Option<&TableAlias>,
    ) -> Result<Source> {
        let name = "unnest";
        if let [array] = arrays {
            return self.function_rows(name, &[array], with_ordinality, alias);
        }
        let mut cx = Cx::new(Rc::default(), Clause::FromFunction);
        let mut functions = Vec::with_capacity(arrays.len());
        for array in arrays {
            let array = self.expr(array, &mut cx)?;
            functions.push(self.rows_of(name, vec![array])?);
        }
        let mut functions = functions.into_iter();
        let Some(mut first) = functions.next() else {
            return Err(resolve::undefined(name, &[]));
        };
        first.beside = functions.collect();
        first.ordinality = with_ordinality;
        let columns = first.all_columns().cloned().collect();
        let rows = (Plan::Function(first), columns, DataType::Record);
        self.function_relation(name, rows, with_ordinality, alias)
    }

    /// A call of a set-returning function.
    fn rows_of(&mut self, name: &str, args: Vec<Expr>) -> Result<TableFunction> {
        let types: Vec<DataType> = args.iter().map(Expr::ty).collect();
        let (arg_types, columns) = resolve::table_function(name, &types)?;
        let args = self.row_args(name, args, arg_types)?;
        let columns = columns.into_iter().map(|(n, ty)| Column::new(n, ty));
        Ok(TableFunction {
            name: name.to_string(),
            args,
            columns: columns.collect(),
            ordinality: false,
            beside: Vec::new(),
        })
    }

    /// The arguments of a set-returning function as it takes them.
    pub(in crate::bind) fn row_args(
        &mut self,
        name: &str,
        args: Vec<Expr>,
        types: Vec<DataType>,
    ) -> Result<Vec<Expr>> {
        // Values do not say that they are vectors, whose subscripts begin with 0.
        let vector = name == "generate_subscripts"
            && args.first().is_some_and(|array| array.ty().is_vector());
        let args = args.into_iter().zip(types);
        let mut args = args
            .map(|(e, ty)| self.coerce_arg(e, ty))
            .collect::<Result<Vec<_>>>()?;
        if vector {
            args.push(Expr::Const(Value::Int4(0), DataType::Int4));
        }
        Ok(args)
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
        let (plan, columns) = match resolve::table_function(name, &types) {
            Ok(_) => {
                let mut function = self.rows_of(name, args)?;
                function.ordinality = with_ordinality;
                let columns = function.columns.clone();
                (Plan::Function(function), columns)
            }
            Err(e) if e.code() == SqlState::UNDEFINED_FUNCTION => {
                self.scalar_rows(name, args, with_ordinality)?
            }
            Err(e) => return Err(e),
        };
        let row = match columns.as_slice() {
            [only] if !with_ordinality => only.ty,
            _ => DataType::Record,
        };
        self.lend(name, (plan, columns, row), with_ordinality, alias)
    }

    pub(super) fn lend(
        &mut self,
        name: &str,
        (plan, columns, row): Lent,
        with_ordinality: bool,
        alias: Option<&TableAlias>,
    ) -> Result<Source> {
        let name = name.strip_prefix("information_schema.").unwrap_or(name);
        let (plan, mut columns) = self.spread(plan, columns)?;
        // A function of one column lends its alias to that column, unless the column has a name of its own.
        if let ([only], Some(alias)) = (columns.as_mut_slice(), alias)
            && only.name == name
        {
            only.name = crate::bind::names::ident(&alias.name);
        }
        self.function_relation(name, (plan, columns, row), with_ordinality, alias)
    }

    /// A function whose one column is of a composite type gives that one's fields.
    fn spread(&self, plan: Plan, columns: Vec<Column>) -> Result<(Plan, Vec<Column>)> {
        let [only] = columns.as_slice() else {
            return Ok((plan, columns));
        };
        let DataType::Composite(oid) = only.ty else {
            return Ok((plan, columns));
        };
        let fields = self.env.catalog.fields(oid).unwrap_or_default();
        let ordinal = Expr::Column(1, DataType::Int8);
        let ordinal = matches!(&plan, Plan::Function(f) if f.ordinality).then_some(ordinal);
        let row = |f: (usize, &RecordField)| field_at(Expr::Column(0, only.ty), f.0, f.1.ty);
        let exprs = fields.iter().enumerate().map(row);
        let exprs = exprs.chain(ordinal.map(Ok)).collect::<Result<_>>()?;
        let input = Box::new(plan);
        let columns = fields.iter().map(|f| Column::new(&*f.name, f.ty));
        Ok((Plan::Project { input, exprs }, columns.collect()))
    }

    fn function_relation(
        &mut self,
        name: &str,
        (plan, mut columns, row): Lent,
        with_ordinality: bool,
        alias: Option<&TableAlias>,
    ) -> Result<Source> {
        if let Some(alias) = alias
            && alias.columns.iter().any(|c| c.data_type.is_some())
        {
            return Err(syntax(
                "a column definition list is only allowed for functions returning \"record\"",
            ));
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
            padded: false,
            base: false,
            row_type: row,
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
