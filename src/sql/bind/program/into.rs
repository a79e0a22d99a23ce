//! Texts of a program, bound for a moment: values of the types of their places, and statements whose rows go somewhere.
//!
//! Owns: what a target is, and that a text is bound once under what it depends on. Asked by: the router, with each text that it comes to;
//! `compile`, which looks whether a text can be bound at all. Never: evaluates. Source: PostgreSQL 15, `pl_exec.c`
//! (`exec_assign_value`, `exec_move_row`).

use super::names::attributes;
use super::text::{Destination, Surroundings};
use super::{Bound, Computed, Into, Kept, Kind, Moment, Place, Program, Put, Run, Shape, Side};
use super::{Target, Text, Use, not_assigned};
use crate::bind::Binder;
use crate::bind::composite::{field_at, row};
use engine::catalog::ColumnDef;
use engine::plan::Expr;
use std::rc::Rc;
use std::sync::Arc;
use types::{Column, DataType, Error, RecordField, Result, SqlState, Value};

impl Program {
    /// A value of the type that its use wants.
    pub fn value(&self, text: &Text, used: Use, at: &Moment) -> Result<Rc<Computed>> {
        let watched = match used {
            Use::To(target) | Use::Part(target) => self.watched(std::slice::from_ref(target)),
            _ => Vec::new(),
        };
        let bound = self.bound(text, watched, at, |around| {
            if let Use::Part(target) = used {
                let (old, column) = self.old(target, at)?;
                let computed = around.part(&text.sql, &old, &column)?;
                return Ok(Bound::Value(Rc::new(computed)));
            }
            let to = self.wanted(used, at)?;
            let computed = around.value(&text.sql, to.as_ref())?;
            Ok(Bound::Value(Rc::new(computed)))
        })?;
        match bound {
            Bound::Value(computed) => Ok(computed),
            Bound::Run(_) => Err(odd()),
        }
    }

    /// A statement, with what its use makes of its rows.
    pub fn run(&self, text: &Text, used: Use, at: &Moment) -> Result<Rc<Run>> {
        let watched = match used {
            Use::Statement(Some(into)) | Use::Rows(into) => self.watched(&into.targets),
            _ => Vec::new(),
        };
        let bound = self.bound(text, watched, at, |around| {
            let run = match used {
                Use::Perform => around.perform(&text.sql),
                Use::Call => {
                    let nowhere: &Destination = &|_, _| Ok(Put::Nowhere);
                    around.statement(&text.sql, Some(nowhere))
                }
                Use::Statement(None) => around.statement(&text.sql, None),
                Use::Statement(Some(into)) | Use::Rows(into) => {
                    let put: &Destination =
                        &|b: &mut Binder<'_>, columns: &[Column]| self.put(b, into, columns, at);
                    around.statement(&text.sql, Some(put))
                }
                Use::ReturnedRows => {
                    let put: &Destination =
                        &|b: &mut Binder<'_>, columns: &[Column]| self.returned(b, columns);
                    around.statement(&text.sql, Some(put))
                }
                _ => Err(odd()),
            };
            Ok(Bound::Run(Rc::new(run?)))
        })?;
        match bound {
            Bound::Run(run) => Ok(run),
            Bound::Value(_) => Err(odd()),
        }
    }

    /// Where the rows of a statement go that is not the body's own (EXECUTE).
    pub fn put_of(&self, used: Use, columns: &[Column], at: &Moment) -> Result<Put> {
        let lines = crate::parse::Lines::of("");
        let mut binder = Binder::new(&at.env, &lines);
        match used {
            Use::Statement(Some(into)) | Use::Rows(into) => {
                self.put(&mut binder, into, columns, at)
            }
            Use::ReturnedRows => self.returned(&mut binder, columns),
            _ => Ok(Put::Nowhere),
        }
    }

    fn bound(
        &self,
        text: &Text,
        watched: Vec<usize>,
        at: &Moment,
        bind: impl FnOnce(&Surroundings) -> Result<Bound>,
    ) -> Result<Bound> {
        let slot = self.kept.get(text.number).ok_or_else(odd)?;
        if let Some(kept) = &*slot.borrow()
            && kept.is_of(at)
        {
            return Ok(kept.bound.clone());
        }
        let mut watched = watched;
        watched.extend(self.named_in(text));
        let around = Rc::new(self.around(text, at)?);
        let types = self.types(at);
        let arguments = self.arguments.clone();
        let arguments: Vec<(usize, DataType)> = arguments
            .filter_map(|n| Some((self.slot(n), self.variables.get(n)?.column.ty)))
            .collect();
        let surroundings = Surroundings {
            env: &at.env,
            types: &types,
            around: &around,
            arguments: &arguments,
            conflict: self.body.conflict,
        };
        let bound = bind(&surroundings)?;
        let shape = |n: usize| (n, at.shapes.get(n).cloned().flatten());
        *slot.borrow_mut() = Some(Kept {
            catalog: Arc::downgrade(at.env.catalog),
            settings: at.settings.clone(),
            shapes: watched.into_iter().map(shape).collect(),
            bound: bound.clone(),
        });
        Ok(bound)
    }

    /// Records that a text may name.
    fn named_in(&self, text: &Text) -> Vec<usize> {
        let shaped = |n: &usize| {
            let v = self.variables.get(*n);
            v.is_some_and(|v| {
                matches!(v.kind, Kind::Record | Kind::Found)
                    && (names(&text.sql, &v.column.name) || self.aliased(*n))
            })
        };
        (0..text.before.min(self.variables.len()))
            .filter(shaped)
            .collect()
    }

    fn aliased(&self, number: usize) -> bool {
        let mut all = self.body.scopes.iter().flat_map(|s| &s.aliases);
        all.any(|(_, n)| *n == number)
    }

    fn watched(&self, targets: &[Target]) -> Vec<usize> {
        let record = |t: &Target| match t {
            Target::Variable(n) | Target::Field(n, _) => Some(*n),
            Target::Column(..) | Target::Side(_) => None,
        };
        targets.iter().filter_map(record).collect()
    }

    /// The types of all slots.
    fn types(&self, at: &Moment) -> Vec<Option<DataType>> {
        let sides = self.sides.iter().map(|c| Some(c.ty));
        let own = self.variables.iter().enumerate().map(|(n, v)| {
            let shape = at.shapes.get(n).and_then(Option::as_ref);
            Some(shape.map_or(v.column.ty, |s| s.ty))
        });
        sides.chain(own).collect()
    }

    /// What a value has to be; `None`: whatever it is.
    fn wanted(&self, used: Use, at: &Moment) -> Result<Option<ColumnDef>> {
        let plain = |ty| Some(ColumnDef::new("value", ty, 1));
        Ok(match used {
            Use::To(target) => self.column_of_target(target, at)?,
            Use::Default(n) => self.column_of_target(&Target::Variable(n), at)?,
            Use::Condition => plain(DataType::Bool),
            Use::Int4 => plain(DataType::Int4),
            Use::Text => plain(DataType::Text),
            Use::Returned => match (&self.gives.row, self.gives.columns.as_slice()) {
                (Some(row), _) => plain(*row),
                (None, [only]) if self.gives.out.is_empty() => Some(only.clone()),
                _ => None,
            },
            _ => None,
        })
    }

    pub fn column_of_target(&self, target: &Target, at: &Moment) -> Result<Option<ColumnDef>> {
        Ok(match target {
            Target::Column(side, name) => {
                let mut own = self.column_of(*side).iter();
                let found = own.find(|c| c.name == *name).cloned();
                Some(found.ok_or_else(|| no_field(*side, name))?)
            }
            Target::Side(_) => Some(ColumnDef::new("row", self.row_type, 1)),
            Target::Variable(n) => {
                let v = self.variables.get(*n).ok_or_else(odd)?;
                match v.kind {
                    Kind::Scalar | Kind::Row(_) => Some(v.column.clone()),
                    Kind::Record | Kind::Found => None,
                }
            }
            Target::Field(n, name) => Some(self.field(*n, name, at)?.1),
        })
    }

    /// What a target of which a part is assigned has in it.
    fn old(&self, target: &Target, at: &Moment) -> Result<(Expr, ColumnDef)> {
        let column = self.column_of_target(target, at)?;
        let column = column.ok_or_else(|| {
            let message = "cannot subscript type record because it does not support subscripting";
            Error::new(SqlState::DATATYPE_MISMATCH, message)
        })?;
        let of_slot = |slot: usize, ty: DataType| Expr::Param(slot as u16, ty);
        let old = match self.place(target, at)? {
            Place::Slot { slot, .. } => of_slot(slot, column.ty),
            Place::Field {
                variable,
                at: number,
            } => {
                let types = self.types(at);
                let slot = self.slot(variable);
                let ty = types.get(slot).copied().flatten().ok_or_else(odd)?;
                field_at(of_slot(slot, ty), number, column.ty)?
            }
            Place::Side(_) | Place::Record(_) => return Err(odd()),
        };
        Ok((old, column))
    }

    /// A field's place, and what it is.
    fn field(&self, number: usize, name: &str, at: &Moment) -> Result<(usize, ColumnDef)> {
        let v = self.variables.get(number).ok_or_else(odd)?;
        let all: Vec<ColumnDef> = match v.kind {
            Kind::Row(oid) => attributes(at.env.catalog, oid),
            Kind::Record => {
                let shape = at.shapes.get(number).and_then(Option::as_ref);
                let shape = shape.ok_or_else(|| not_assigned(&v.column.name))?;
                match shape.ty {
                    DataType::Composite(oid) => attributes(at.env.catalog, oid),
                    _ => fields(&shape.fields),
                }
            }
            Kind::Scalar | Kind::Found => {
                return Err(Error::new(
                    SqlState::SYNTAX_ERROR,
                    format!("\"{}.{name}\" is not a known variable", v.column.name),
                ));
            }
        };
        let found = all.iter().position(|c| c.name == *name);
        let found = found.and_then(|at| Some((at, all.get(at)?.clone())));
        found.ok_or_else(|| crate::bind::around::no_field(&v.column.name, name))
    }

    pub fn place(&self, target: &Target, at: &Moment) -> Result<Place> {
        Ok(match target {
            Target::Column(side, name) => {
                let mut own = self.side(*side).zip(self.column_of(*side));
                let found = own.find(|(_, c)| c.name == *name);
                let (slot, _) = found.ok_or_else(|| no_field(*side, name))?;
                Place::Slot {
                    slot,
                    name: name.clone(),
                    not_null: false,
                    row: None,
                }
            }
            Target::Side(side) => Place::Side(self.side(*side)),
            Target::Variable(n) => {
                let v = self.variables.get(*n).ok_or_else(odd)?;
                match v.kind {
                    Kind::Record | Kind::Found => Place::Record(*n),
                    Kind::Scalar | Kind::Row(_) => Place::Slot {
                        slot: self.slot(*n),
                        name: v.column.name.clone(),
                        not_null: v.not_null,
                        row: matches!(v.kind, Kind::Row(_)).then_some(v.column.ty),
                    },
                }
            }
            Target::Field(n, name) => Place::Field {
                variable: *n,
                at: self.field(*n, name, at)?.0,
            },
        })
    }

    /// Where a row of these columns goes.
    fn put(&self, b: &mut Binder<'_>, into: &Into, columns: &[Column], at: &Moment) -> Result<Put> {
        if let [target] = into.targets.as_slice() {
            let whole = match target {
                Target::Side(_) => Some(self.row_type),
                Target::Variable(n) => match self.variables.get(*n).map(|v| v.kind) {
                    Some(Kind::Record) => return Ok(Put::Record(*n, Rc::new(shape_of(columns)))),
                    Some(Kind::Row(oid)) => Some(DataType::Composite(oid)),
                    _ => None,
                },
                _ => None,
            };
            if let Some(ty @ DataType::Composite(oid)) = whole {
                let value = self.row_of(b, (ty, oid), columns, at)?;
                return Ok(Put::Places(vec![(self.place(target, at)?, value)]));
            }
        }
        let mut out = Vec::with_capacity(into.targets.len());
        for (n, target) in into.targets.iter().enumerate() {
            let to = self.column_of_target(target, at)?;
            let value = match (columns.get(n), &to) {
                (Some(c), to) => b.as_assigned(Expr::Column(n, c.ty), to.as_ref())?,
                (None, Some(to)) => Expr::Const(Value::Null, to.ty),
                (None, None) => Expr::Const(Value::Null, DataType::Text),
            };
            out.push((self.place(target, at)?, value));
        }
        Ok(Put::Places(out))
    }

    fn row_of(
        &self,
        b: &mut Binder<'_>,
        (ty, oid): (DataType, u32),
        columns: &[Column],
        at: &Moment,
    ) -> Result<Expr> {
        let wanted = attributes(at.env.catalog, oid);
        let mut values = Vec::with_capacity(wanted.len());
        for (n, to) in wanted.iter().enumerate() {
            values.push(match columns.get(n) {
                Some(c) => b.as_assigned(Expr::Column(n, c.ty), Some(to))?,
                None => Expr::Const(Value::Null, to.ty),
            });
        }
        let fields = wanted
            .iter()
            .map(|c| RecordField::new(c.name.as_str(), c.ty));
        row(ty, fields.collect(), None, values)
    }

    /// The rows of RETURN QUERY: their columns have to be those that the function returns.
    fn returned(&self, b: &mut Binder<'_>, columns: &[Column]) -> Result<Put> {
        let wanted = &self.gives.columns;
        let wrong = |detail: String| {
            Err(Error::new(
                SqlState::DATATYPE_MISMATCH,
                "structure of query does not match function result type",
            )
            .with_detail(detail))
        };
        if columns.len() != wanted.len() {
            return wrong(format!(
                "Number of returned columns ({}) does not match expected column count ({}).",
                columns.len(),
                wanted.len()
            ));
        }
        let mut values = Vec::with_capacity(columns.len());
        for (n, (column, to)) in columns.iter().zip(wanted).enumerate() {
            let same = column.ty == to.ty || column.ty == DataType::Unknown;
            if !same {
                return wrong(format!(
                    "Returned type {} does not match expected type {} in column {}.",
                    column.ty,
                    to.ty,
                    n + 1
                ));
            }
            values.push(b.as_assigned(Expr::Column(n, column.ty), Some(to))?);
        }
        if let Some(ty) = self.gives.row {
            let fields = wanted
                .iter()
                .map(|c| RecordField::new(c.name.as_str(), c.ty));
            values = vec![row(ty, fields.collect(), None, values)?];
        }
        let place = |(slot, value)| {
            let place = Place::Slot {
                slot,
                name: String::new(),
                not_null: false,
                row: None,
            };
            (place, value)
        };
        Ok(Put::Places(
            values.into_iter().enumerate().map(place).collect(),
        ))
    }
}

fn fields(all: &[RecordField]) -> Vec<ColumnDef> {
    let column = |f: &RecordField| ColumnDef::new(&*f.name, f.ty, 1);
    all.iter().map(column).collect()
}

fn shape_of(columns: &[Column]) -> Shape {
    let field = |c: &Column| {
        let ty = match c.ty {
            DataType::Unknown => DataType::Text,
            ty => ty,
        };
        RecordField::new(c.name.as_str(), ty)
    };
    Shape {
        ty: DataType::Record,
        fields: columns.iter().map(field).collect(),
    }
}

/// Whether the name may stand in the text.
fn names(sql: &str, name: &str) -> bool {
    let (sql, name) = (sql.as_bytes(), name.as_bytes());
    !name.is_empty()
        && sql
            .windows(name.len())
            .any(|w| w.eq_ignore_ascii_case(name))
}

fn no_field(side: Side, name: &str) -> Error {
    let row = match side {
        Side::New => "new",
        Side::Old => "old",
    };
    crate::bind::around::no_field(row, name)
}

fn odd() -> Error {
    Error::internal("a text that is no text of this body")
}
