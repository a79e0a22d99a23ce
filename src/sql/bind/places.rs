//! Where a statement puts a value: a column, or a part of its value (`a[2]`, `a[1:3]`, `j['k']`, `c.f`, and these inside each other).
//!
//! Owns: the expression of the column's new value, in which what stays is read from the old one. Asked by: UPDATE, INSERT, ON
//! CONFLICT, MERGE. Never: changes a value (`exec::functions::assign` does).
//! Bounds: each part of a place reads the old value once more, counted with what is copied.
//! Source: PostgreSQL 15, `transformAssignmentIndirection`, `transformAssignedExpr`, `jsonb_subscript_transform`.

use super::composite::{call, field_at};
use super::{Binder, Clause, Cx, names, syntax};
use crate::parse::places;
use engine::catalog::{ColumnDef, Table};
use engine::exec::cast::{self, CastContext};
use engine::exec::functions::assign::{DOCUMENT, ELEMENT, FIELD, SLICE};
use engine::plan::Expr;
use sqlparser::ast::{self, AccessExpr, ObjectNamePart, Subscript};
use std::rc::Rc;
use std::sync::Arc;
use types::{Array, DataType, Error, Json, Record, Result, SqlState, Value};

pub(super) struct Place<'a> {
    pub column: usize,
    /// Of the column's value; empty for all of it.
    pub path: Vec<Step<'a>>,
}

pub(super) enum Step<'a> {
    Field(String),
    /// All brackets behind one name.
    Subscripts(Vec<&'a Subscript>),
}

/// What the value of a place has to be, and how errors call it.
struct Slot<'p> {
    ty: DataType,
    typmod: i32,
    /// Oid of a domain.
    declared: u32,
    column: &'p str,
    /// It is in brackets, or the field of this name.
    inside: Option<&'p str>,
}

impl<'a> Binder<'a> {
    /// A column that a statement assigns to, or a part of it.
    pub(super) fn place(&self, table: &Table, name: &ast::ObjectName) -> Result<Place<'a>> {
        let mut parts = name.0.iter();
        let first = match parts.next() {
            Some(ObjectNamePart::Identifier(i)) => i,
            _ => return Err(syntax("syntax error in a column's name")),
        };
        let shown = names::ident(first);
        let column = table.column(&shown).ok_or_else(|| {
            let relation = &table.name;
            let message = format!("column \"{shown}\" of relation \"{relation}\" does not exist");
            self.at(Error::new(SqlState::UNDEFINED_COLUMN, message), first.span)
        })?;
        let path = self.path_of(parts)?;
        Ok(Place { column, path })
    }

    /// A value that was `old` with another in the part that stands behind the name.
    pub(super) fn with_part(
        &mut self,
        name: &'a ast::ObjectName,
        value: &'a ast::Expr,
        old: Expr,
        column: &ColumnDef,
    ) -> Result<Expr> {
        let place = Place {
            column: 0,
            path: self.path_of(name.0.iter().skip(1))?,
        };
        let mut cx = Cx::new(Rc::default(), Clause::Select);
        let value = self.expr(value, &mut cx)?;
        self.put(&place, old, value, column, &mut cx)
    }

    fn path_of<'n>(
        &self,
        parts: impl Iterator<Item = &'n ObjectNamePart>,
    ) -> Result<Vec<Step<'a>>> {
        let mut path = Vec::new();
        for part in parts {
            let ObjectNamePart::Identifier(i) = part else {
                return Err(syntax("syntax error in a column's name"));
            };
            path.push(match places::number(i) {
                None => Step::Field(names::ident(i)),
                Some(number) => self.subscripts_of(number)?,
            });
        }
        Ok(path)
    }

    fn subscripts_of(&self, number: usize) -> Result<Step<'a>> {
        let known: &'a [places::Subscripts] = self.subscripts;
        let chain = known.get(number).map_or(&[][..], Vec::as_slice);
        let only = |step: &'a AccessExpr| match step {
            AccessExpr::Subscript(s) => Ok(s),
            AccessExpr::Dot(_) => Err(Error::internal("a field among subscripts")),
        };
        let subscripts = chain.iter().map(only).collect::<Result<Vec<_>>>()?;
        Ok(Step::Subscripts(subscripts))
    }

    /// The type of what is in the place; of one that is not there the column's.
    pub(super) fn type_in(&self, place: &Place, column: &ColumnDef) -> DataType {
        let inside = |ty: DataType, step: &Step| match step {
            Step::Field(name) => {
                let DataType::Composite(oid) = ty else {
                    return None;
                };
                let attributes = self.env.catalog.attributes(oid)?;
                Some(attributes.iter().find(|a| &a.name == name)?.ty)
            }
            Step::Subscripts(_) if ty == DataType::Jsonb => Some(ty),
            Step::Subscripts(s) if has_slice(s) => Some(ty),
            Step::Subscripts(_) => ty.element(),
        };
        let found = place.path.iter().try_fold(column.ty, inside);
        found.unwrap_or(column.ty)
    }

    /// The column's value, which was `old`, with `value` in the place.
    pub(super) fn put(
        &mut self,
        place: &Place<'a>,
        old: Expr,
        value: Expr,
        column: &ColumnDef,
        cx: &mut Cx,
    ) -> Result<Expr> {
        let slot = Slot {
            ty: column.ty,
            typmod: column.typmod,
            declared: 0,
            column: &column.name,
            inside: None,
        };
        self.put_inside(&place.path, old, value, slot, cx)
    }

    fn put_inside(
        &mut self,
        path: &[Step<'a>],
        old: Expr,
        value: Expr,
        slot: Slot,
        cx: &mut Cx,
    ) -> Result<Expr> {
        let declared = slot.declared;
        let new = match path.split_first() {
            None => self.fitted(value, &slot)?,
            Some((Step::Field(name), rest)) => self.put_field(name, rest, old, value, slot, cx)?,
            Some((Step::Subscripts(s), rest)) if slot.ty == DataType::Jsonb => {
                let steps = self.json_steps(s, cx)?;
                if let Some(Step::Field(name)) = rest.first() {
                    return Err(no_composite(name, slot.column, slot.ty));
                }
                let first = steps.first().map(|(_, number)| *number);
                let empty = match first {
                    Some(true) => Json::Array(Vec::new()),
                    _ => Json::Object(Vec::new()),
                };
                let ty = slot.ty;
                let inside = Some("");
                let value = self.fitted(value, &Slot { inside, ..slot })?;
                let mut args = vec![or_else(old, Value::Jsonb(Arc::new(empty)), ty), value];
                args.extend(steps.into_iter().map(|(e, _)| e));
                call(DOCUMENT, args, ty)?
            }
            Some((Step::Subscripts(s), rest)) => {
                self.put_subscripts(s, rest, old, value, slot, cx)?
            }
        };
        self.held(new, declared)
    }

    fn put_field(
        &mut self,
        name: &str,
        rest: &[Step<'a>],
        old: Expr,
        value: Expr,
        slot: Slot,
        cx: &mut Cx,
    ) -> Result<Expr> {
        let attributes = match slot.ty {
            DataType::Composite(oid) => self.env.catalog.attributes(oid),
            _ => None,
        };
        let attributes = attributes.ok_or_else(|| no_composite(name, slot.column, slot.ty))?;
        let at = attributes.iter().position(|a| a.name == name);
        let found = at.and_then(|at| Some((i32::try_from(at).ok()?, attributes.get(at)?)));
        let Some((number, attribute)) = found else {
            let (column, ty) = (slot.column, slot.ty);
            return Err(Error::new(
                SqlState::UNDEFINED_COLUMN,
                format!(
                    "cannot assign to field \"{name}\" of column \"{column}\" because there is no such column in data type {ty}"
                ),
            ));
        };
        let inner_old = field_at(self.copy(&old)?, number as usize, attribute.ty)?;
        let inner = Slot {
            ty: attribute.ty,
            typmod: attribute.typmod,
            declared: attribute.declared,
            column: slot.column,
            inside: Some(name),
        };
        let value = self.put_inside(rest, inner_old, value, inner, cx)?;
        let like = Record::template(slot.ty, attributes.iter().map(|a| a.field()).collect());
        let args = vec![
            Expr::Const(Value::Record(Arc::new(like)), slot.ty),
            old,
            Expr::Const(Value::Int4(number), DataType::Int4),
            value,
        ];
        call(FIELD, args, slot.ty)
    }

    fn put_subscripts(
        &mut self,
        subscripts: &[&'a Subscript],
        rest: &[Step<'a>],
        old: Expr,
        value: Expr,
        slot: Slot,
        cx: &mut Cx,
    ) -> Result<Expr> {
        let ty = slot.ty;
        let element = ty.element().filter(|_| !ty.is_vector());
        let element = element.ok_or_else(|| no_subscripts(ty))?;
        let slices = has_slice(subscripts);
        let bounds = self.array_bounds(subscripts, slices, cx)?;
        let inner = Slot {
            ty: if slices { ty } else { element },
            inside: Some(""),
            declared: 0,
            ..slot
        };
        let inner_old = match (rest.is_empty(), bounds.as_slice()) {
            (false, [index]) => Expr::Subscript {
                array: Box::new(self.copy(&old)?),
                index: Box::new(index.clone()),
                ty: element,
            },
            (true, _) => Expr::Const(Value::Null, inner.ty),
            (false, _) => self.copy(&old)?,
        };
        let value = self.put_inside(rest, inner_old, value, inner, cx)?;
        let empty = Value::Array(Arc::new(Array {
            element,
            items: Vec::new(),
        }));
        let mut args = vec![or_else(old, empty, ty), value];
        args.extend(bounds);
        call(if slices { SLICE } else { ELEMENT }, args, ty)
    }

    /// Each subscript, or both bounds of each; of a slice one that is left out is `false`, and a subscript is from 1 to it.
    pub(super) fn array_bounds(
        &mut self,
        subscripts: &[&'a Subscript],
        slices: bool,
        cx: &mut Cx,
    ) -> Result<Vec<Expr>> {
        let mut out = Vec::new();
        for s in subscripts {
            match s {
                Subscript::Index { index } => {
                    if slices {
                        out.push(Expr::Const(Value::Int4(1), DataType::Int4));
                    }
                    out.push(self.array_subscript(index, cx)?);
                }
                Subscript::Slice {
                    lower_bound,
                    upper_bound,
                    stride: None,
                } => {
                    for bound in [lower_bound, upper_bound] {
                        out.push(match bound {
                            Some(e) => self.array_subscript(e, cx)?,
                            None => super::expr::boolean(false),
                        });
                    }
                }
                Subscript::Slice { .. } => {
                    return Err(syntax("syntax error at or near \":\""));
                }
            }
        }
        Ok(out)
    }

    fn array_subscript(&mut self, e: &'a ast::Expr, cx: &mut Cx) -> Result<Expr> {
        let index = self.expr(e, cx)?;
        let from = index.ty();
        let index = self.coerce(index, DataType::Int4, -1, CastContext::Assignment)?;
        index.ok_or_else(|| {
            Error::new(
                SqlState::DATATYPE_MISMATCH,
                format!("array subscript must have type integer, not {from}"),
            )
        })
    }

    /// The steps of a path into a document as texts, and whether each was written as a number.
    pub(super) fn json_steps(
        &mut self,
        subscripts: &[&'a Subscript],
        cx: &mut Cx,
    ) -> Result<Vec<(Expr, bool)>> {
        let mut out = Vec::with_capacity(subscripts.len());
        for s in subscripts {
            let Subscript::Index { index } = s else {
                return Err(Error::new(
                    SqlState::DATATYPE_MISMATCH,
                    "jsonb subscript does not support slices",
                ));
            };
            let step = self.expr(index, cx)?;
            let ty = step.ty();
            let becomes = |to| ty == to || cast::can_cast(ty, to, CastContext::Implicit);
            let number = ty != DataType::Unknown && becomes(DataType::Int4);
            let text = ty == DataType::Unknown || becomes(DataType::Text);
            if number == text {
                let hint = match number {
                    true => "jsonb subscript must be coercible to only one type, integer or text.",
                    false => "jsonb subscript must be coercible to either integer or text.",
                };
                return Err(Error::new(
                    SqlState::DATATYPE_MISMATCH,
                    format!("subscript type {ty} is not supported"),
                )
                .with_hint(hint));
            }
            let step = match number {
                true => self.coerce_arg(step, DataType::Int4)?,
                false => step,
            };
            out.push((self.explicit_cast(step, DataType::Text, -1)?, number));
        }
        Ok(out)
    }

    /// The value as the slot's type.
    fn fitted(&mut self, value: Expr, slot: &Slot) -> Result<Expr> {
        let from = value.ty();
        let (column, ty) = (slot.column, slot.ty);
        let fitted = self.coerce(value, ty, slot.typmod, CastContext::Assignment)?;
        fitted.ok_or_else(|| {
            let message = match slot.inside {
                Some("") => format!("subscripted assignment to \"{column}\" requires type {ty} but expression is of type {from}"),
                Some(field) => format!("subfield \"{field}\" is of type {ty} but expression is of type {from}"),
                None => format!("column \"{column}\" is of type {ty} but expression is of type {from}"),
            };
            Error::new(SqlState::DATATYPE_MISMATCH, message)
                .with_hint("You will need to rewrite or cast the expression.")
        })
    }
}

impl Place<'_> {
    /// All of a column.
    pub fn whole(column: usize) -> Self {
        let path = Vec::new();
        Place { column, path }
    }

    /// 0A000 for DEFAULT, which only a whole column has.
    pub fn no_default(&self) -> Error {
        Error::unsupported(match self.path.last() {
            Some(Step::Subscripts(_)) => "cannot set an array element to DEFAULT",
            _ => "cannot set a subfield to DEFAULT",
        })
    }
}

/// 42804 for brackets behind a value that has no parts of that kind.
pub(super) fn no_subscripts(ty: DataType) -> Error {
    Error::new(
        SqlState::DATATYPE_MISMATCH,
        format!("cannot subscript type {ty} because it does not support subscripting"),
    )
}

fn no_composite(field: &str, column: &str, ty: DataType) -> Error {
    Error::new(
        SqlState::DATATYPE_MISMATCH,
        format!(
            "cannot assign to field \"{field}\" of column \"{column}\" because its type {ty} is not a composite type"
        ),
    )
}

fn or_else(old: Expr, empty: Value, ty: DataType) -> Expr {
    match old {
        Expr::Const(Value::Null, _) => Expr::Const(empty, ty),
        old => Expr::Coalesce(vec![old, Expr::Const(empty, ty)], ty),
    }
}

pub(super) fn has_slice(subscripts: &[&Subscript]) -> bool {
    let slice = |s: &&Subscript| matches!(s, Subscript::Slice { .. });
    subscripts.iter().any(slice)
}
