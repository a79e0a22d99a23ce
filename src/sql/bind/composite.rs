//! Rows as values: `ROW(1, 'a')`, a table's row by the table's name, `(r).field`, `(r).*`.
//!
//! Owns: the expressions that make a row (`exec::functions::records`), and what fields an expression's rows have. A row that is made
//! where its field is wanted is not made: the field's expression takes its place. Asked by: names, field access, select lists,
//! calls. Never: compares rows field by field (`rows` does, of rows that are written out).
//! A row whose columns are all NULL, from the nullable side of an outer join over a query without a key, is taken for a missing one.
//! Source: PostgreSQL 15, `parse_func.c` (`ParseComplexProjection`), `parse_coerce.c` (`coerce_record_to_complex`),
//! `parse_target.c` (`expandRecordVariable`).

use super::scope::{Entry, Found, Relation, Scope};
use super::targets::Target;
use super::{Binder, Cx, names};
use crate::parse::star::STAR;
use engine::exec::cast::CastContext;
use engine::exec::functions::records::{FIELD, ROW, ROW_OR_NULL, SHOWN, made_of};
use engine::plan::{Expr, FuncRef, Plan, SubqueryKind};
use sqlparser::ast;
use std::sync::Arc;
use types::{Column, DataType, Error, Record, RecordField, Result, SqlState, Value};

impl<'a> Binder<'a> {
    /// `ROW(…)` of bound values: its fields are f1, f2, …
    pub(super) fn row_value(&mut self, values: Vec<Expr>) -> Result<Expr> {
        let fields = values.iter().enumerate();
        let fields = fields.map(|(i, e)| RecordField::new(format!("f{}", i + 1), e.ty()));
        row(DataType::Record, fields.collect(), None, values)
    }

    /// The row of the item of FROM that has the name, in this query or around it.
    pub(super) fn row_named(
        &mut self,
        schema: Option<&str>,
        alias: &str,
        cx: &Cx,
    ) -> Result<Option<Expr>> {
        let found = self.look_outwards(cx, |scope| match scope.relation(schema, alias)? {
            Some(relation) => self.row_value_of(relation).map(Some),
            None => Ok(None),
        })?;
        if found.is_some() || schema.is_some() {
            return Ok(found);
        }
        let around = self.around.clone();
        let around = around.as_ref().map(|a| a.relation(None, alias));
        match around.transpose()?.flatten() {
            Some(relation) => self.row_value_of(relation).map(Some),
            None => Ok(None),
        }
    }

    fn row_value_of(&self, relation: &Relation) -> Result<Expr> {
        relation.columns.iter().for_each(|e| self.saw(e));
        // What a function gives need be no row.
        if let ([only], false) = (relation.columns.as_slice(), is_of_rows(relation.row_type)) {
            return Ok(only.expr.clone());
        }
        let own = relation.columns.iter();
        let own: Vec<RecordField> = own
            .map(|e| RecordField::new(e.name.as_str(), e.expr.ty()))
            .collect();
        // Of a named type it has that one's names, whatever aliases its columns have.
        let named = match relation.row_type {
            DataType::Composite(oid) => self.env.catalog.fields(oid),
            _ => None,
        };
        let same = |f: &Vec<RecordField>| f.iter().map(|f| f.ty).eq(own.iter().map(|f| f.ty));
        let (ty, fields) = match named.filter(same) {
            Some(fields) => (relation.row_type, fields),
            None => (DataType::Record, own),
        };
        let values = relation.columns.iter().map(|e| e.expr.clone()).collect();
        row(ty, fields, missing(relation), values)
    }

    /// Whether the name means an item of FROM and no column.
    pub(super) fn names_relation(&self, i: &ast::Ident, cx: &Cx) -> Result<bool> {
        let name = names::ident(i);
        let column = self.look_outwards(cx, |scope| match scope.unqualified(&name)? {
            Found::Column(e) => Ok(Some(e.expr.clone())),
            _ => Ok(None),
        })?;
        if column.is_some() {
            return Ok(false);
        }
        let mark = || Some(super::expr::boolean(true));
        let relation = self.look_outwards(cx, |scope: &Scope| {
            Ok(scope.relation(None, &name)?.and_then(|_| mark()))
        })?;
        Ok(relation.is_some() || self.row_around(&name).is_some())
    }

    /// `(e).name`
    pub(super) fn field_of(&mut self, e: Expr, name: &str, cx: &Cx) -> Result<Expr> {
        if name == STAR {
            return Err(Error::unsupported(
                "row expansion via \"*\" is not supported here",
            ));
        }
        let ty = e.ty();
        if !ty.is_record() {
            return Err(Error::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!(
                    "column notation .{name} applied to type {ty}, which is not a composite type"
                ),
            ));
        }
        let fields = self.fields_of(&e, cx).unwrap_or_default();
        let at = fields.iter().position(|f| &*f.name == name);
        let found = at.and_then(|at| Some((at, fields.get(at)?.ty)));
        let Some((at, field)) = found else {
            let message = match ty {
                DataType::Record => {
                    format!("could not identify column \"{name}\" in record data type")
                }
                _ => format!("column \"{name}\" not found in data type {ty}"),
            };
            return Err(Error::new(SqlState::UNDEFINED_COLUMN, message));
        };
        field_at(e, at, field)
    }

    /// `(e).*`: each field as an output column.
    pub(super) fn expanded(&mut self, value: Expr, cx: &Cx) -> Result<Vec<Target>> {
        let ty = value.ty();
        if !ty.is_record() {
            return Err(Error::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("type {ty} is not composite"),
            ));
        }
        let fields = self.fields_of(&value, cx).ok_or_else(|| {
            Error::new(
                SqlState::SYNTAX_ERROR,
                "record type has not been registered",
            )
        })?;
        let mut out = Vec::with_capacity(fields.len());
        for (at, field) in fields.iter().enumerate() {
            let value = self.copy(&value)?;
            out.push(Target {
                expr: field_at(value, at, field.ty)?,
                column: Column::new(&*field.name, field.ty),
            });
        }
        Ok(out)
    }

    /// What fields the rows of an expression have, where that is known.
    pub(super) fn fields_of(&self, e: &Expr, cx: &Cx) -> Option<Vec<RecordField>> {
        if let DataType::Composite(oid) = e.ty() {
            return self.env.catalog.fields(oid);
        }
        match e {
            Expr::Column(at, _) => known(&cx.scope, *at),
            Expr::Outer { depth, column, .. } => {
                let frame = self.frames.iter().rev().nth(depth.checked_sub(1)?)?;
                known(&frame.scope, *column)
            }
            Expr::Param(slot, _) => self.record_around(*slot),
            e => self.fields_in(e, None),
        }
    }

    /// What a record has that is a variable.
    fn record_around(&self, slot: u16) -> Option<Vec<RecordField>> {
        let mut all = self.around.as_ref()?.visible.iter();
        let found = all.find(|e| matches!(e.expr, Expr::Param(n, _) if n == slot))?;
        found.fields.as_deref().map(<[RecordField]>::to_vec)
    }

    /// A row that a statement makes, as one of a named type; `None` where a field is of no type that becomes the attribute's.
    pub(super) fn row_as(&mut self, e: &Expr, oid: u32, how: CastContext) -> Result<Option<Expr>> {
        let ty = DataType::Composite(oid);
        let cannot = |detail: &str| {
            let message = format!("cannot cast type record to {ty}");
            let e = Error::new(SqlState::CANNOT_COERCE, message);
            if detail.is_empty() {
                e
            } else {
                e.with_detail(detail)
            }
        };
        let Some((_, values)) = made_of(e) else {
            return Err(cannot(""));
        };
        let Some(attributes) = self.env.catalog.attributes(oid) else {
            return Ok(None);
        };
        if values.len() != attributes.len() {
            let few = values.len() < attributes.len();
            let which = if few { "few" } else { "many" };
            return Err(cannot(&format!("Input has too {which} columns.")));
        }
        let mut out = Vec::with_capacity(values.len());
        for (at, (value, a)) in values.iter().zip(&attributes).enumerate() {
            let from = value.ty();
            let value = self.coerce(value.clone(), a.ty, a.typmod, how)?;
            let value = value.ok_or_else(|| {
                let to = a.ty;
                cannot(&format!(
                    "Cannot cast type {from} to {to} in column {}.",
                    at + 1
                ))
            })?;
            out.push(self.held(value, a.declared)?);
        }
        let fields = attributes.iter().map(|a| a.field()).collect();
        row(ty, fields, missing_of(e), out).map(Some)
    }

    /// Functions of json are given rows with the names of their fields, and enums as texts: they cannot find either.
    pub(super) fn json_label(&mut self, function: &str, e: Expr) -> Result<Expr> {
        let to = match e.ty() {
            _ if !function.contains("json") => return Ok(e),
            ty if ty.has_records() => return call(SHOWN, vec![e], ty),
            DataType::Enum(_) => DataType::Text,
            DataType::EnumArray(_) => DataType::TextArray,
            _ => return Ok(e),
        };
        let cast = self.coerce(e, to, -1, CastContext::Assignment)?;
        cast.ok_or_else(|| Error::internal("an enum without a text"))
    }
}

/// A row of these values; NULL where `missing` is true.
pub(super) fn row(
    ty: DataType,
    fields: Vec<RecordField>,
    missing: Option<Expr>,
    values: Vec<Expr>,
) -> Result<Expr> {
    let template = Value::Record(Arc::new(Record::template(ty, fields)));
    let mut args = vec![Expr::Const(template, ty)];
    let function = if missing.is_some() { ROW_OR_NULL } else { ROW };
    args.extend(missing);
    args.extend(values);
    call(function, args, ty)
}

pub(super) fn call(function: &str, args: Vec<Expr>, ty: DataType) -> Result<Expr> {
    let func = engine::exec::functions::by_name(function)
        .ok_or_else(|| Error::internal("a function of rows is gone"))?;
    Ok(Expr::Call {
        func: FuncRef(func),
        args,
        ty,
    })
}

/// Or not known yet.
fn is_of_rows(ty: DataType) -> bool {
    ty.is_record() || ty == DataType::Unknown
}

/// What says that an outer join has made the row up.
fn missing(relation: &Relation) -> Option<Expr> {
    if !relation.padded {
        return None;
    }
    let null = |e: &Entry| Expr::IsNull(Box::new(e.expr.clone()));
    Some(match &relation.tableoid {
        Some(oid) => null(oid),
        None => Expr::And(relation.columns.iter().map(null).collect()),
    })
}

fn missing_of(e: &Expr) -> Option<Expr> {
    match e {
        Expr::Call { func, args, .. } if func.0.name == ROW_OR_NULL => args.get(1).cloned(),
        _ => None,
    }
}

pub(super) fn field_at(e: Expr, at: usize, ty: DataType) -> Result<Expr> {
    if let Some((_, values)) = made_of(&e)
        && let Some(value) = values.get(at)
    {
        return Ok(value.clone());
    }
    let number = i32::try_from(at).map_err(|_| Error::internal("a field of no number"))?;
    let number = Expr::Const(Value::Int4(number), DataType::Int4);
    call(FIELD, vec![e, number], ty)
}

fn known(scope: &Scope, at: usize) -> Option<Vec<RecordField>> {
    let all = scope.relations.iter().flat_map(|r| &r.columns);
    let mut all = all.chain(&scope.visible);
    let entry = all.find(|e| matches!(e.expr, Expr::Column(i, _) if i == at))?;
    entry.fields.as_deref().map(<[RecordField]>::to_vec)
}

impl Binder<'_> {
    /// The fields of an expression over the rows of `input`.
    fn fields_in(&self, e: &Expr, input: Option<&Plan>) -> Option<Vec<RecordField>> {
        if let Some((template, _)) = made_of(e) {
            return Some(template.fields().to_vec());
        }
        match e {
            Expr::Const(Value::Record(r), _) => Some(r.fields().to_vec()),
            Expr::Column(at, _) => self.fields_of_output(input?, *at),
            Expr::Cast { expr, .. } => self.fields_in(expr, input),
            Expr::Coalesce(items, _) => self.fields_in(items.first()?, input),
            Expr::Case { branches, .. } => self.fields_in(&branches.first()?.1, input),
            Expr::Subquery {
                plan,
                kind: SubqueryKind::Scalar,
                ..
            } => self.fields_of_output(plan, 0),
            _ => None,
        }
    }

    /// What fields the records in a column of a plan's rows have.
    fn fields_of_output(&self, plan: &Plan, at: usize) -> Option<Vec<RecordField>> {
        match plan {
            Plan::Project { input, exprs } => self.fields_in(exprs.get(at)?, Some(input)),
            Plan::Values { rows } => self.fields_in(rows.first()?.get(at)?, None),
            Plan::Filter { input, .. }
            | Plan::Sort { input, .. }
            | Plan::Limit { input, .. }
            | Plan::Distinct { input }
            | Plan::DistinctOn { input, .. } => self.fields_of_output(input, at),
            Plan::SetOp { left, .. } => self.fields_of_output(left, at),
            Plan::Recursive(r) => self.fields_of_output(&r.base, at),
            Plan::Join(join) => match at.checked_sub(join.left_width) {
                None => self.fields_of_output(&join.left, at),
                Some(at) => self.fields_of_output(&join.right, at),
            },
            Plan::Aggregate(a) => self.fields_in(a.groups.get(at)?, Some(&a.input)),
            Plan::With(with) => self.fields_of_output(&with.input, at),
            Plan::WithScan(scan) => {
                let shared = self.ctes.iter().filter_map(|c| c.shared.as_ref());
                let mut found = shared.filter(|s| s.id == scan.id);
                self.fields_of_output(&found.next()?.plan, at)
            }
            _ => None,
        }
    }

    /// Columns of a query as names see them.
    pub(super) fn entries(&self, plan: &Plan, columns: &[Column]) -> Vec<Entry> {
        let entry = |(at, c): (usize, &Column)| Entry {
            fields: match c.ty {
                DataType::Record => self.fields_of_output(plan, at).map(Arc::from),
                _ => None,
            },
            ..Entry::of(c, at)
        };
        columns.iter().enumerate().map(entry).collect()
    }
}
