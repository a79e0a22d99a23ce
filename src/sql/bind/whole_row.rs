//! Whole rows as arguments of json functions: `row_to_json(t)`, `json_agg(t)`, `to_jsonb(row(1, 2))`.
//!
//! Owns: which functions take them, and the object made of the row's columns by name. Never: makes a composite value; there
//! are none, so everywhere else a table's name is no expression.
//! Differs: a row whose columns are all NULL, from the nullable side of an outer join, is taken for a missing one (NULL).
//! Source: PostgreSQL 15 manual, 9.16.2; `composite_to_json`.

use super::scope::{Found, Relation};
use super::{Binder, Cx, names, rows};
use engine::exec::functions;
use engine::plan::{Expr, FuncRef};
use sqlparser::ast;
use types::{DataType, Error, Result, Value};

/// Functions whose arguments may be rows.
fn takes_rows(function: &str) -> bool {
    matches!(
        function,
        "row_to_json"
            | "to_json"
            | "to_jsonb"
            | "json_agg"
            | "jsonb_agg"
            | "json_object_agg"
            | "jsonb_object_agg"
            | "json_build_array"
            | "jsonb_build_array"
            | "json_build_object"
            | "jsonb_build_object"
    )
}

impl<'a> Binder<'a> {
    /// The argument as a json object, where it is a row and the function takes one.
    pub(super) fn row_argument(
        &mut self,
        function: &str,
        e: &'a ast::Expr,
        cx: &mut Cx,
    ) -> Result<Option<Expr>> {
        if !takes_rows(function) {
            return Ok(None);
        }
        if let Some(list) = rows::items(e) {
            if matches!(e, ast::Expr::Nested(_)) {
                return Ok(None);
            }
            let mut args = Vec::with_capacity(list.len() * 2);
            for (i, item) in list.into_iter().enumerate() {
                let value = self.expr(item, cx)?;
                let value = self.settle_unknown(value)?;
                let value = self.json_label(function, value)?;
                args.extend([name(&format!("f{}", i + 1)), value]);
            }
            return object(args).map(Some);
        }
        let ast::Expr::Identifier(i) = e else {
            return Ok(None);
        };
        let alias = names::ident(i);
        let scope = cx.scope.clone();
        if !matches!(scope.unqualified(&alias)?, Found::Nothing) {
            return Ok(None);
        }
        let around = self.around.clone();
        let around = around.as_deref().map(|a| a.relation(None, &alias));
        let relation = match scope.relation(None, &alias)? {
            Some(relation) => Some(relation),
            None => around.transpose()?.flatten(),
        };
        let Some(relation) = relation else {
            return Ok(None);
        };
        let mut values = Vec::with_capacity(relation.columns.len());
        for column in &relation.columns {
            values.push(self.json_label(function, column.expr.clone())?);
        }
        row_of(relation, values).map(Some)
    }

    /// A call over a row alone; `None` when it is another.
    pub(super) fn row_call(
        &mut self,
        function: &str,
        args: &[&'a ast::Expr],
        cx: &mut Cx,
    ) -> Result<Option<Expr>> {
        let ("row_to_json", [e]) = (function, args) else {
            return Ok(None);
        };
        self.row_argument(function, e, cx)
    }
}

fn row_of(relation: &Relation, values: Vec<Expr>) -> Result<Expr> {
    let columns = relation.columns.iter().zip(values);
    let args = columns.flat_map(|(c, value)| [name(&c.name), value]);
    let row = object(args.collect())?;
    if !relation.padded {
        return Ok(row);
    }
    let columns = relation.columns.iter();
    let missing = columns.map(|c| Expr::IsNull(Box::new(c.expr.clone())));
    Ok(Expr::Case {
        branches: vec![(
            Expr::And(missing.collect()),
            Expr::Const(Value::Null, DataType::Json),
        )],
        otherwise: Some(Box::new(row)),
        ty: DataType::Json,
    })
}

fn name(name: &str) -> Expr {
    Expr::Const(Value::text(name), DataType::Text)
}

fn object(args: Vec<Expr>) -> Result<Expr> {
    let func = functions::by_name(functions::json::ROW)
        .ok_or_else(|| Error::internal("the function of rows is gone"))?;
    Ok(Expr::Call {
        func: FuncRef(func),
        args,
        ty: DataType::Json,
    })
}
