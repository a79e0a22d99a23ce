//! Putting values where they go: variables, fields of rows and records, columns of NEW.
//!
//! Owns: what shape a record has. Never: casts what has been bound to the type of its place. Source: PostgreSQL 15, `pl_exec.c`
//! (`exec_assign_value`, `exec_move_row`).

use super::Machine;
use engine::catalog::ColumnDef;
use engine::exec::cast;
use engine::exec::eval;
use sql::program::{Kind, Place, Put, Shape, Side, Target};
use std::rc::Rc;
use std::sync::Arc;
use types::{DataType, Error, Record, RecordField, Result, Row, SqlState, Value};

impl Machine<'_> {
    pub(super) fn kind(&self, number: usize) -> Option<Kind> {
        self.program.variables.get(number).map(|v| v.kind)
    }

    /// It is as when its block begins.
    pub(super) fn forget(&mut self, number: usize) {
        self.set(self.program.slot(number), Value::Null);
        if let Some(shape) = self.shapes.get_mut(number) {
            *shape = None;
        }
    }

    /// A value of whatever type, for a variable that is of what it is given.
    pub(super) fn finds(&mut self, number: usize, ty: DataType, value: Value) {
        self.set(self.program.slot(number), value);
        let ty = match ty {
            DataType::Unknown => DataType::Text,
            ty => ty,
        };
        self.shape(
            number,
            Shape {
                ty,
                fields: Vec::new(),
            },
        );
    }

    fn shape(&mut self, number: usize, shape: Shape) {
        if let Some(slot) = self.shapes.get_mut(number)
            && slot.as_deref() != Some(&shape)
        {
            *slot = Some(Rc::new(shape));
        }
    }

    pub(super) fn set(&mut self, slot: usize, value: Value) {
        // Nobody else has them now: a statement that had is done.
        if let Some(slot) = Arc::make_mut(&mut self.ctx).params.get_mut(slot) {
            *slot = value;
        }
    }

    pub(super) fn found(&mut self, found: bool) {
        // The first of the variables.
        self.set(self.program.slot(0), Value::Bool(found));
    }

    pub(super) fn put(&mut self, to: &Place, value: Value) -> Result<()> {
        match to {
            Place::Slot {
                slot,
                name,
                not_null,
                row,
            } => {
                if *not_null && value.is_null() {
                    return Err(Error::new(
                        SqlState::NULL_VALUE_NOT_ALLOWED,
                        format!(
                            "null value cannot be assigned to variable \"{name}\" declared NOT NULL"
                        ),
                    ));
                }
                let value = match row {
                    Some(ty) => self.as_row(value, *ty)?,
                    None => value,
                };
                self.set(*slot, value);
            }
            Place::Side(slots) => {
                let values = match self.values_of(value)? {
                    Some(values) => values,
                    None => vec![Value::Null; slots.len()],
                };
                if values.len() != slots.len() {
                    return Err(Error::new(
                        SqlState::DATATYPE_MISMATCH,
                        "wrong record type supplied in assignment",
                    ));
                }
                for (slot, value) in slots.clone().zip(values) {
                    self.set(slot, value);
                }
            }
            Place::Record(number) => self.put_record(*number, value)?,
            Place::Field { variable, at } => self.put_field(*variable, *at, value)?,
        }
        Ok(())
    }

    fn put_record(&mut self, number: usize, value: Value) -> Result<()> {
        let shape = match &value {
            Value::Record(r) => match r.ty() {
                DataType::Composite(oid) => Shape {
                    ty: r.ty(),
                    fields: self.ctx.catalog.fields(oid).unwrap_or_default(),
                },
                ty => Shape {
                    ty,
                    fields: r.fields().to_vec(),
                },
            },
            Value::Null => {
                self.forget(number);
                return Ok(());
            }
            _ => {
                return Err(Error::new(
                    SqlState::DATATYPE_MISMATCH,
                    "cannot assign non-composite value to a record variable",
                ));
            }
        };
        self.shape(number, shape);
        self.set(self.program.slot(number), value);
        Ok(())
    }

    fn put_field(&mut self, number: usize, at: usize, value: Value) -> Result<()> {
        let slot = self.program.slot(number);
        let old = self.ctx.params.get(slot).cloned().unwrap_or(Value::Null);
        let record = match old {
            Value::Record(r) => r,
            _ => Arc::new(self.template(number)?),
        };
        let mut values = record.values().to_vec();
        if let Some(field) = values.get_mut(at) {
            *field = value;
        }
        let record = record.with(values)?;
        self.set(slot, Value::Record(Arc::new(record)));
        Ok(())
    }

    /// NULLs in the fields of a row or record that is NULL.
    fn template(&self, number: usize) -> Result<Record> {
        let shape = self.shapes.get(number).and_then(Option::as_ref);
        let (ty, fields) = match (self.kind(number), shape) {
            (Some(Kind::Row(oid)), _) => {
                let fields = self.ctx.catalog.fields(oid).unwrap_or_default();
                (DataType::Composite(oid), fields)
            }
            (_, Some(shape)) => (shape.ty, shape.fields.clone()),
            _ => return Err(Error::internal("a record without a shape")),
        };
        Ok(Record::template(ty, fields))
    }

    /// A record as one of a named type.
    pub(super) fn as_row(&self, value: Value, ty: DataType) -> Result<Value> {
        let (Value::Record(r), DataType::Composite(oid)) = (&value, ty) else {
            return Ok(value);
        };
        if r.ty() == ty {
            return Ok(value);
        }
        let wanted = self.ctx.catalog.attributes(oid).unwrap_or_default();
        let (have, expect) = (r.values().len(), wanted.len());
        if have != expect {
            return Err(mismatch(format!(
                "Number of returned columns ({have}) does not match expected column count ({expect})."
            )));
        }
        let mut values = Vec::with_capacity(expect);
        for ((field, value), to) in r.pairs().zip(&wanted) {
            values.push(cast::cast(
                value.clone(),
                field.ty,
                to.ty,
                to.typmod,
                false,
                &self.ctx,
            )?);
        }
        let fields: Vec<RecordField> = wanted.iter().map(|a| a.field()).collect();
        let record = Record::template(ty, fields).with(values)?;
        Ok(Value::Record(Arc::new(record)))
    }

    pub(super) fn values_of(&self, value: Value) -> Result<Option<Row>> {
        match value {
            Value::Null => Ok(None),
            Value::Record(r) => Ok(Some(r.values().to_vec())),
            _ => Err(Error::new(
                SqlState::DATATYPE_MISMATCH,
                "cannot return non-composite value from function returning composite type",
            )),
        }
    }

    pub(super) fn cast_to(&self, value: Value, from: DataType, to: &ColumnDef) -> Result<Value> {
        let value = cast::cast(value, from, to.ty, to.typmod, false, &self.ctx)?;
        let catalog = &self.ctx.catalog;
        if catalog.is_domain(to.declared) {
            catalog.hold_to_domain(to.declared, &value, &self.ctx)?;
        }
        Ok(value)
    }

    /// A value of this type, cast to that of its place.
    pub(super) fn assign_cast(&mut self, to: &Target, value: Value, from: DataType) -> Result<()> {
        let column = self.program.column_of_target(to, &self.moment())?;
        let value = match column {
            Some(column) if column.ty != from => self.cast_to(value, from, &column)?,
            _ => value,
        };
        self.assign(to, value)
    }

    /// The row of a statement goes where it is to go; none: NULLs do.
    pub(super) fn put_row(&mut self, put: &Put, row: Option<Row>) -> Result<()> {
        match put {
            Put::Nowhere => {}
            Put::Record(number, shape) => {
                let value = match row {
                    Some(row) => {
                        let template = Record::template(shape.ty, shape.fields.clone());
                        Value::Record(Arc::new(template.with(row)?))
                    }
                    None => Value::Null,
                };
                self.shape(*number, Shape::clone(shape));
                self.set(self.program.slot(*number), value);
            }
            Put::Places(places) => {
                for (place, value) in places {
                    let value = match &row {
                        Some(row) => eval::eval(value, row, &self.within())?,
                        None => Value::Null,
                    };
                    self.put(place, value)?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn has_side(&self, side: Side) -> bool {
        match side {
            Side::New => self.has.0,
            Side::Old => self.has.1,
        }
    }
}

pub(super) fn mismatch(detail: String) -> Error {
    Error::new(
        SqlState::DATATYPE_MISMATCH,
        "returned record type does not match expected record type",
    )
    .with_detail(detail)
}
