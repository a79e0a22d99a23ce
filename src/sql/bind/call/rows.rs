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
        let id = f.returns.row_of.ok_or_else(|| stale(f))?;
        let ty = DataType::Composite(id.0);
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
        let fields = columns.iter();
        let fields = fields.map(|c| RecordField::new(c.name.as_str(), c.ty));
        Ok(Rel {
            plan: Plan::Project {
                input: Box::new(rel.plan),
                exprs: vec![row(ty, fields.collect(), None, values)?],
            },
            columns: vec![Column::new(f.name.as_str(), ty)],
        })
    }

    /// The type's columns.
    pub(super) fn unpacked_rows(&mut self, rel: Rel, f: &Function) -> Result<Rel> {
        let own = f.returns.row_of.map(|id| DataType::Composite(id.0));
        let ty = match (rel.columns.as_slice(), own) {
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
