//! `jsonb_to_record(j) AS r(a int, …)`, `jsonb_to_recordset` and those of json: rows whose columns the statement names; and
//! `jsonb_populate_record(NULL::t, j)` with its like: those of a type.
//!
//! Owns: reading each named field from the object, as text that is cast, or as it is for `jsonb`; json is read as jsonb is.
//! Never: makes arrays of arrays, or rows of objects within, nor fills up a row that is there (0A000).
//! Source: PostgreSQL 15 manual, 9.16.2; `transformRangeFunction`, `populate_record_worker`.

use super::super::scope::{Entry, Relation, Scope};
use super::super::{Binder, Clause, Cx, names, syntax, unsupported};
use super::Source;
use engine::exec::functions;
use engine::exec::resolve;
use engine::plan::{Expr, FuncRef, Plan, TableFunction};
use sqlparser::ast::{self, TableAlias};
use std::rc::Rc;
use types::{Column, DataType, Error, Result, SqlState, Value};

impl<'a> Binder<'a> {
    pub(super) fn record_rows(
        &mut self,
        name: &str,
        args: &[&'a ast::Expr],
        with_ordinality: bool,
        alias: Option<&TableAlias>,
    ) -> Result<Source> {
        if with_ordinality {
            return Err(syntax(
                "WITH ORDINALITY cannot be used with a column definition list",
            ));
        }
        let mut cx = Cx::new(Rc::default(), Clause::FromFunction);
        let args = args.iter().map(|e| self.expr(e, &mut cx));
        let args = args.collect::<Result<Vec<_>>>()?;
        let types: Vec<DataType> = args.iter().map(Expr::ty).collect();
        let undefined = |_| resolve::undefined(name, &types);
        if name.contains("_populate_") {
            let [base, json] = <[Expr; 2]>::try_from(args).map_err(undefined)?;
            let json = self.record_source(name, json)?;
            return self.populated(name, base, json, alias);
        }
        let [json] = <[Expr; 1]>::try_from(args).map_err(undefined)?;
        let json = self.record_source(name, json)?;
        let described = alias.is_some_and(|a| {
            !a.columns.is_empty() && a.columns.iter().all(|c| c.data_type.is_some())
        });
        let (Some(alias), true) = (alias, described) else {
            return Err(syntax(
                "a column definition list is required for functions returning \"record\"",
            ));
        };
        let input = objects(name, json);
        let mut exprs = Vec::with_capacity(alias.columns.len());
        let mut columns = Vec::with_capacity(alias.columns.len());
        for column in &alias.columns {
            let Some(ty) = &column.data_type else {
                continue;
            };
            let (ty, typmod) = self.data_type(ty)?;
            let name = names::ident(&column.name);
            exprs.push(self.field(&name, ty, typmod)?);
            let mut column = Column::new(name, ty);
            column.typmod = typmod;
            columns.push(column);
        }
        let entries = columns.iter().enumerate().map(|(i, c)| Entry::of(c, i));
        let relation = Relation {
            alias: names::ident(&alias.name),
            schema: None,
            table: None,
            columns: entries.collect(),
            key: Vec::new(),
            tableoid: None,
            padded: false,
            base: false,
            row_type: DataType::Record,
        };
        let input = Box::new(input);
        Ok((Plan::Project { input, exprs }, Scope::single(relation)))
    }

    /// Rows of `base`'s type.
    fn populated(
        &mut self,
        name: &str,
        base: Expr,
        json: Expr,
        alias: Option<&TableAlias>,
    ) -> Result<Source> {
        let attributes = match base.ty() {
            DataType::Composite(oid) => self.env.catalog.attributes(oid),
            _ => None,
        };
        let Some(attributes) = attributes else {
            return Err(Error::new(
                SqlState::DATATYPE_MISMATCH,
                format!("first argument of {name} must be a row type"),
            ));
        };
        let mut of = &base;
        while let Expr::Cast { expr, .. } = of {
            of = expr;
        }
        if !matches!(of, Expr::Const(Value::Null, _)) {
            return Err(unsupported(&format!("{name} of a row that is not NULL")));
        }
        let mut exprs = Vec::with_capacity(attributes.len());
        let mut columns = Vec::with_capacity(attributes.len());
        for a in &attributes {
            let value = self.field(&a.name, a.ty, a.typmod)?;
            exprs.push(self.held(value, a.declared)?);
            let mut column = Column::new(a.name.as_str(), a.ty);
            column.typmod = a.typmod;
            columns.push(column);
        }
        let input = Box::new(objects(name, json));
        let plan = Plan::Project { input, exprs };
        self.lend(name, (plan, columns, DataType::Record), false, alias)
    }

    /// What is read from, as jsonb.
    fn record_source(&mut self, name: &str, json: Expr) -> Result<Expr> {
        if !name.starts_with("json_") {
            return self.coerce_arg(json, DataType::Jsonb);
        }
        let json = self.coerce_arg(json, DataType::Json)?;
        self.explicit_cast(json, DataType::Jsonb, -1)
    }

    /// A field of the object in column 0.
    fn field(&mut self, name: &str, ty: DataType, typmod: i32) -> Result<Expr> {
        let key = Expr::Const(Value::text(name), DataType::Text);
        let object = Expr::Column(0, DataType::Jsonb);
        let object = call("jsonb_record", object, DataType::Jsonb)?;
        if matches!(ty, DataType::Jsonb | DataType::Json) {
            let value = self.infix("->", object, key)?;
            let value = call("jsonb_or_null", value, DataType::Jsonb)?;
            return self.explicit_cast(value, ty, typmod);
        }
        if ty.is_array() {
            let value = self.infix("->", object, key)?;
            let texts = call("jsonb_texts", value, DataType::TextArray)?;
            return self.explicit_cast(texts, ty, typmod);
        }
        if ty.has_records() {
            return Err(unsupported("a row from a field of jsonb"));
        }
        let text = self.infix("->>", object, key)?;
        self.explicit_cast(text, ty, typmod)
    }
}

fn call(function: &str, arg: Expr, ty: DataType) -> Result<Expr> {
    let func = functions::by_name(function);
    Ok(Expr::Call {
        func: FuncRef(func.ok_or_else(|| Error::internal("a function of records is gone"))?),
        args: vec![arg],
        ty,
    })
}

/// The objects, one a row.
fn objects(name: &str, json: Expr) -> Plan {
    match name.ends_with("_recordset") {
        true => Plan::Function(TableFunction {
            name: "jsonb_array_elements".into(),
            args: vec![json],
            columns: vec![Column::new("value", DataType::Jsonb)],
            ordinality: false,
            beside: Vec::new(),
        }),
        false => Plan::Project {
            input: Box::new(Plan::OneRow),
            exprs: vec![json],
        },
    }
}
