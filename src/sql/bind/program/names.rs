//! What names in a body's texts find around them: variables, fields of records, NEW and OLD.
//!
//! Owns: the scope that a text is bound in, innermost names first. Asked by: `text`, and triggers' conditions. Never: looks a column up
//! (`bind::around` does, after the rows of the statement). Source: PostgreSQL 15, `pl_comp.c` (`resolve_column_ref`).

use super::{Kind, Moment, Program, Side, Text};
use crate::bind::composite::field_at;
use crate::bind::scope::{Entry, Relation, Scope};
use engine::catalog::{Catalog, ColumnDef, Table};
use engine::plan::Expr;
use std::sync::Arc;
use types::{DataType, RecordField, Result};

impl Program {
    /// The names that a text finds around it.
    pub(super) fn around(&self, text: &Text, at: &Moment) -> Result<Scope> {
        let mut out = Scope::default();
        let mut next = Some(text.scope);
        while let Some(scope) = next.and_then(|n| self.body.scopes.get(n)) {
            let mut own = Vec::new();
            for n in scope.variables.iter().filter(|n| **n < text.before) {
                self.name((*n, None), at, &mut own, &mut out)?;
            }
            for (alias, n) in &scope.aliases {
                self.name((*n, Some(alias)), at, &mut own, &mut out)?;
            }
            if let Some(label) = &scope.label {
                put(&mut out, relation(label, own));
            }
            next = scope.around;
        }
        if self.columns > 0 {
            for (side, name) in [(Side::New, "new"), (Side::Old, "old")] {
                let slots = self.side(side);
                let columns = self.column_of(side).iter();
                let columns = slots.zip(columns).map(|(slot, c)| entry(slot, c));
                put(&mut out, relation(name, columns.collect()));
            }
        }
        Ok(out)
    }

    fn name(
        &self,
        (number, alias): (usize, Option<&String>),
        at: &Moment,
        own: &mut Vec<Entry>,
        out: &mut Scope,
    ) -> Result<()> {
        let Some(variable) = self.variables.get(number) else {
            return Ok(());
        };
        let name = alias.unwrap_or(&variable.column.name);
        let mut column = entry(self.slot(number), &variable.column);
        column.name.clone_from(name);
        let fields = match variable.kind {
            Kind::Scalar => None,
            Kind::Row(oid) => at.env.catalog.fields(oid),
            Kind::Record | Kind::Found => {
                let shape = at.shapes.get(number).and_then(Option::as_ref);
                if let Some(shape) = shape {
                    column.expr = Expr::Param(self.slot(number) as u16, shape.ty);
                }
                match (variable.kind, shape) {
                    (Kind::Found, _) => None,
                    (_, shape) => Some(shape.map_or_else(Vec::new, |s| s.fields.clone())),
                }
            }
        };
        if out.visible.iter().any(|e| e.name == *name) {
            own.push(column);
            return Ok(());
        }
        if let Some(fields) = fields {
            let known =
                variable.kind != Kind::Record || at.shapes.get(number).is_some_and(Option::is_some);
            put(out, self.row(name, &column.expr, &fields, known)?);
            column.fields = Some(fields.into());
        }
        out.visible.push(column.clone());
        own.push(column);
        Ok(())
    }

    /// A row or a record, by its fields.
    fn row(
        &self,
        name: &str,
        whole: &Expr,
        fields: &[RecordField],
        known: bool,
    ) -> Result<Relation> {
        let mut columns = Vec::with_capacity(fields.len());
        for (at, field) in fields.iter().enumerate() {
            columns.push(Entry {
                name: field.name.to_string(),
                expr: field_at(whole.clone(), at, field.ty)?,
                typmod: -1,
                table: 0,
                attnum: 0,
                fields: None,
                origin: 0,
            });
        }
        let mut out = relation(name, columns);
        // What it has is not known yet.
        out.row_type = if known { whole.ty() } else { DataType::Unknown };
        Ok(out)
    }
}

/// The nearest of a name hides the others.
fn put(scope: &mut Scope, relation: Relation) {
    if scope.relations.iter().all(|r| r.alias != relation.alias) {
        scope.relations.push(relation);
    }
}

fn entry(slot: usize, c: &ColumnDef) -> Entry {
    Entry {
        name: c.name.clone(),
        expr: Expr::Param(slot as u16, c.ty),
        typmod: c.typmod,
        table: 0,
        attnum: 0,
        fields: None,
        origin: 0,
    }
}

fn relation(alias: &str, columns: Vec<Entry>) -> Relation {
    Relation {
        alias: alias.to_owned(),
        schema: None,
        table: None,
        columns,
        key: Vec::new(),
        tableoid: None,
        padded: true,
        base: false,
        row_type: DataType::Record,
    }
}

/// The names of a trigger's condition: of NEW and OLD alone.
pub(in crate::bind) fn rows_around(table: &Table) -> Scope {
    let width = table.columns.len();
    let side = |name: &str, first: usize| {
        let columns = table.columns.iter().enumerate();
        relation(name, columns.map(|(n, c)| entry(first + n, c)).collect())
    };
    Scope {
        relations: vec![side("new", 0), side("old", width)],
        ..Scope::default()
    }
}

/// What a slot of a trigger's condition is: a column of NEW or of OLD, by its ordinal.
pub(in crate::bind) fn column_at(table: &Table, slot: usize) -> Option<(Side, usize)> {
    let width = table.columns.len();
    match slot {
        at if at < width => Some((Side::New, at)),
        at if at < 2 * width => Some((Side::Old, at - width)),
        _ => None,
    }
}

/// The fields of a named type as places for values.
pub(super) fn attributes(catalog: &Arc<Catalog>, oid: u32) -> Vec<ColumnDef> {
    let all = catalog.attributes(oid).unwrap_or_default();
    let column = |a: engine::catalog::Attribute| {
        let mut column = ColumnDef::new(a.name.as_str(), a.ty, 1);
        column.typmod = a.typmod;
        column.declared = a.declared;
        column
    };
    all.into_iter().map(column).collect()
}
