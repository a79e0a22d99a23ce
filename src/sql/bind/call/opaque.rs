//! Calls that stay calls: of functions in PL/pgSQL, that change rows, have several statements or settings of their own, call themselves, or whose
//! bodies cannot be bound yet.
//!
//! Owns: which these are, as far as the call shows it, and their plans. Never: reads a body. Source: PostgreSQL 15, `clauses.c`
//! (`inline_function`), which leaves most functions calls.

use super::super::Binder;
use super::super::composite::row;
use super::super::query::Rel;
use super::{Call, is_correlated, lifted_by_one, refuse_stand_ins};
use engine::catalog::Function;
use engine::plan::{Expr, FunctionCall, Plan, SubqueryKind};
use std::sync::Arc;
use types::{Column, DataType, RecordField, Result};

impl Binder<'_> {
    /// Nothing of the body is put in the place of the call.
    pub(super) fn stays_call(&self, f: &Function) -> bool {
        self.defining || f.is_program() || !f.settings.is_empty() || self.inlining.contains(&f.oid)
    }

    pub(super) fn called_value(&mut self, call: Call) -> Result<Expr> {
        let Call { function: f, args } = call;
        self.refuse_generic(&f)?;
        refuse_stand_ins(&f.name, &args)?;
        let (input, mut correlated) = lifted_row(args)?;
        let call = of(&f, input);
        correlated |= call.volatile;
        let ty = f.value_type();
        Ok(Expr::Subquery {
            plan: Arc::new(Plan::Call(Box::new(call))),
            kind: SubqueryKind::Scalar,
            correlated,
            ty,
        })
    }

    /// Several values that go out, as a record.
    pub(super) fn called_record(&mut self, call: Call) -> Result<Expr> {
        let Call { function: f, args } = call;
        self.refuse_generic(&f)?;
        refuse_stand_ins(&f.name, &args)?;
        let (input, mut correlated) = lifted_row(args)?;
        let call = of(&f, input);
        correlated |= call.volatile;
        let names = (0..call.types.len()).map(|at| f.result_name(at).to_owned());
        let fields = names
            .zip(&call.types)
            .map(|(name, ty)| RecordField::new(name, *ty));
        let fields = fields.collect();
        let values = call.types.iter().enumerate();
        let values = values.map(|(at, ty)| Expr::Column(at, *ty)).collect();
        let plan = Plan::Project {
            input: Box::new(Plan::Call(Box::new(call))),
            exprs: vec![row(DataType::Record, fields, None, values)?],
        };
        Ok(Expr::Subquery {
            plan: Arc::new(plan),
            kind: SubqueryKind::Scalar,
            correlated,
            ty: DataType::Record,
        })
    }

    pub(super) fn called_rows(&mut self, call: Call) -> Result<(Plan, Vec<Column>)> {
        let Call { function: f, args } = call;
        self.refuse_generic(&f)?;
        let input = Plan::Project {
            input: Box::new(Plan::OneRow),
            exprs: args,
        };
        let call = of(&f, input);
        let columns = call.types.iter().enumerate();
        let columns = columns.map(|(at, ty)| Column::new(f.result_name(at), *ty));
        let columns = columns.collect();
        let plan = Plan::Call(Box::new(call));
        let rel = self.unpacked_rows(Rel { plan, columns }, &f)?;
        Ok((rel.plan, rel.columns))
    }
}

pub(super) fn of(f: &Function, input: Plan) -> FunctionCall {
    let types = match (f.row_type(), f.result_types()) {
        (Some(row), _) => vec![row],
        (None, none) if none.is_empty() => vec![f.returns.ty],
        (None, types) => types,
    };
    FunctionCall {
        input,
        function: f.oid,
        name: f.name.clone(),
        types,
        set: f.returns.set,
        volatile: f.volatility == 'v',
    }
}

/// A row of the arguments inside of the row that they are over; whether it reads that one, or one further out.
pub(super) fn lifted_row(args: Vec<Expr>) -> Result<(Plan, bool)> {
    let mut correlated = false;
    let mut exprs = Vec::with_capacity(args.len());
    for e in args {
        correlated |= e.is_volatile();
        let e = lifted_by_one(e)?;
        correlated |= e.any(&mut |x| matches!(x, Expr::Outer { .. }) || is_correlated(x));
        exprs.push(e);
    }
    let input = Box::new(Plan::OneRow);
    Ok((Plan::Project { input, exprs }, correlated))
}
