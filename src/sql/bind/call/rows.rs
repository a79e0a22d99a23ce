//! Bodies of functions that return a row of a named type: a query of the type's columns, or of one column of the type.

use super::super::Binder;
use super::super::composite::{field_at, row};
use super::super::query::Rel;
use super::stale;
use engine::catalog::Function;
use engine::exec::cast::CastContext;
use engine::plan::{Expr, Plan};
use types::{Column, DataType, RecordField, Result};

impl Binder<'_> {
    /// One column: the row.
    pub(super) fn packed_rows(&mut self, mut rel: Rel, f: &Function) -> Result<Rel> {
        let ty = f.row_type().ok_or_else(|| stale(f))?;
        if matches!(rel.columns.as_slice(), [only] if only.ty == ty) {
            return Ok(rel);
        }
        let columns = &f.returns.columns;
        if rel.columns.len() != columns.len() {
            return Err(stale(f));
        }
        let types: Vec<DataType> = columns.iter().map(|c| c.ty).collect();
        self.coerce_outputs(&mut rel, &types, CastContext::Assignment)?;
        let values = types.iter().enumerate();
        let values = values.map(|(i, ty)| Expr::Column(i, *ty)).collect();
        Ok(Rel {
            plan: Plan::Project {
                input: Box::new(rel.plan),
                exprs: vec![row_of(f, ty, values)?],
            },
            columns: vec![Column::new(f.name.as_str(), ty)],
        })
    }

    /// The type's columns.
    pub(super) fn unpacked_rows(&mut self, rel: Rel, f: &Function) -> Result<Rel> {
        let ty = match (rel.columns.as_slice(), f.row_type()) {
            ([only], Some(own)) if only.ty == own => own,
            _ => return Ok(rel),
        };
        let fields = f.returns.columns.iter().enumerate();
        let exprs = fields.map(|(i, c)| field_at(Expr::Column(0, ty), i, c.ty));
        let columns = f.returns.columns.iter();
        Ok(Rel {
            plan: Plan::Project {
                input: Box::new(rel.plan),
                exprs: exprs.collect::<Result<_>>()?,
            },
            columns: columns
                .map(|c| Column::new(c.name.as_str(), c.ty))
                .collect(),
        })
    }
}

/// The row that a function returns, of its columns.
pub(in crate::bind) fn row_of(f: &Function, ty: DataType, values: Vec<Expr>) -> Result<Expr> {
    let fields = f.returns.columns.iter();
    let fields = fields.map(|c| RecordField::new(c.name.as_str(), c.ty));
    row(ty, fields.collect(), None, values)
}
