//! CREATE and ALTER SEQUENCE: options checked and completed.
//!
//! Source: PostgreSQL 15, `init_params` in `sequence.c`.

use super::super::{Binder, datatype, names, unsupported};
use crate::parse::define::{SequenceDef, SequenceOptions};
use crate::statement::Statement;
use engine::catalog::{ColumnDef, Relation as Found, Sequence};
use engine::plan::ddl::{AlterTarget, CreateSequence, Ddl, SequenceAction};
use sqlparser::ast;
use std::sync::Arc;
use types::{DataType, Error, Result, SqlState, TableId};

impl<'a> Binder<'a> {
    pub(super) fn create_sequence(&mut self, s: &'a SequenceDef) -> Result<Statement> {
        let name = self.creation(&s.name, s.temporary)?;
        if s.options.restart.is_some() || s.options.name.is_some() {
            return Err(super::syntax("syntax error in CREATE SEQUENCE"));
        }
        let ty = self.sequence_type(&s.options)?.unwrap_or(DataType::Int8);
        let mut sequence = new_sequence(ty);
        apply(&mut sequence, &s.options, true)?;
        sequence.schema = name.schema;
        sequence.name = name.name;
        if let Some(owner) = &s.options.owned_by {
            sequence.owner = self.sequence_owner(owner.as_ref())?;
        }
        Ok(Statement::Ddl(Ddl::CreateSequence(CreateSequence {
            sequence,
            if_not_exists: s.if_not_exists,
        })))
    }

    pub(super) fn alter_sequence(
        &mut self,
        old: &Arc<Sequence>,
        o: &'a SequenceOptions,
    ) -> Result<AlterTarget> {
        let mut sequence = Sequence::clone(old);
        if let Some(ty) = self.sequence_type(o)? {
            // Limits that were the type's are those of the new one.
            let (low, high) = limits_of(sequence.ty, sequence.increment);
            let (min, max) = limits_of(ty, o.increment.unwrap_or(sequence.increment));
            if sequence.min == low {
                sequence.min = min;
            }
            if sequence.max == high {
                sequence.max = max;
            }
            sequence.ty = ty;
        }
        apply(&mut sequence, o, false)?;
        if let Some(owner) = &o.owned_by {
            if old.internal {
                return Err(Error::unsupported(
                    "cannot change ownership of identity sequence",
                ));
            }
            sequence.owner = self.sequence_owner(owner.as_ref())?;
        }
        let restart = restart(&sequence, o)?;
        Ok(AlterTarget::Sequence {
            id: old.id,
            action: SequenceAction::Set {
                sequence: Box::new(sequence),
                restart,
            },
        })
    }

    fn sequence_type(&self, o: &SequenceOptions) -> Result<Option<DataType>> {
        let Some(ty) = &o.ty else {
            return Ok(None);
        };
        match datatype::resolve(ty)? {
            (ty @ (DataType::Int2 | DataType::Int4 | DataType::Int8), _) => Ok(Some(ty)),
            _ => Err(Error::new(
                SqlState::INVALID_PARAMETER_VALUE,
                "sequence type must be smallint, integer, or bigint",
            )),
        }
    }

    /// OWNED BY table.column, or NONE.
    fn sequence_owner(&self, owner: Option<&ast::ObjectName>) -> Result<Option<(TableId, i16)>> {
        let Some(owner) = owner else {
            return Ok(None);
        };
        let mut parts = names::parts(owner)?;
        let column = parts.pop().unwrap_or_default();
        let found = match parts.as_slice() {
            [table] => self.find(None, table),
            [schema, table] => self.find(Some(schema), table),
            _ => {
                return Err(
                    Error::new(SqlState::SYNTAX_ERROR, "invalid OWNED BY option")
                        .with_hint("Specify OWNED BY table.column or OWNED BY NONE."),
                );
            }
        };
        let shown = parts.join(".");
        match found {
            Some(Found::Table(table)) => {
                let at = table.column(&column).and_then(|at| table.columns.get(at));
                let column = at.ok_or_else(|| {
                    Error::new(
                        SqlState::UNDEFINED_COLUMN,
                        format!("column \"{column}\" of relation \"{shown}\" does not exist"),
                    )
                })?;
                Ok(Some((table.id, column.number)))
            }
            Some(_) => Err(Error::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("sequence cannot be owned by relation \"{shown}\""),
            )),
            None => Err(Error::new(
                SqlState::UNDEFINED_TABLE,
                format!("relation \"{shown}\" does not exist"),
            )),
        }
    }
}

/// The sequence of an identity column.
/// SEQUENCE NAME gives it one, in the table's schema.
pub(super) fn identity_sequence(
    schema: &str,
    column: &ColumnDef,
    o: &SequenceOptions,
) -> Result<Sequence> {
    if !column.ty.is_integer() {
        return Err(Error::new(
            SqlState::INVALID_PARAMETER_VALUE,
            "identity column type must be smallint, integer, or bigint",
        ));
    }
    if o.owned_by.is_some() || o.ty.is_some() {
        return Err(unsupported("this option of an identity column"));
    }
    let mut sequence = new_sequence(column.ty);
    if let Some(name) = &o.name {
        let mut parts = names::parts(name)?;
        sequence.name = parts.pop().unwrap_or_default();
        if parts.pop().is_some_and(|of| of != schema) || !parts.is_empty() {
            return Err(Error::new(
                SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                "sequence must be in same schema as table it is linked to",
            ));
        }
    }
    apply(&mut sequence, o, true)?;
    Ok(sequence)
}

/// ALTER COLUMN … SET and RESTART of an identity column's sequence.
pub(super) fn changed_identity(
    old: &Sequence,
    o: &SequenceOptions,
) -> Result<(Sequence, Option<i64>)> {
    let mut sequence = old.clone();
    apply(&mut sequence, o, false)?;
    let restart = restart(&sequence, o)?;
    Ok((sequence, restart))
}

pub(super) fn new_sequence(ty: DataType) -> Sequence {
    let (min, max) = limits_of(ty, 1);
    Sequence {
        id: TableId(0),
        schema: String::new(),
        name: String::new(),
        ty,
        start: 1,
        increment: 1,
        min,
        max,
        cache: 1,
        cycle: false,
        owner: None,
        internal: false,
        state: 0,
        first: 1,
        first_given: false,
    }
}

/// MINVALUE and MAXVALUE where none is given.
fn limits_of(ty: DataType, increment: i64) -> (i64, i64) {
    let (low, high) = range(ty);
    match increment > 0 {
        true => (1, high),
        false => (low, -1),
    }
}

fn range(ty: DataType) -> (i64, i64) {
    match ty {
        DataType::Int2 => (i16::MIN.into(), i16::MAX.into()),
        DataType::Int4 => (i32::MIN.into(), i32::MAX.into()),
        _ => (i64::MIN, i64::MAX),
    }
}

fn restart(sequence: &Sequence, o: &SequenceOptions) -> Result<Option<i64>> {
    let Some(restart) = o.restart else {
        return Ok(None);
    };
    let value = restart.unwrap_or(sequence.start);
    let refused = |what: &str, limit: i64| {
        Err(invalid(format!(
            "RESTART value ({value}) cannot be {what} ({limit})"
        )))
    };
    if value < sequence.min {
        return refused("less than MINVALUE", sequence.min);
    }
    if value > sequence.max {
        return refused("greater than MAXVALUE", sequence.max);
    }
    Ok(Some(value))
}

fn apply(s: &mut Sequence, o: &SequenceOptions, new: bool) -> Result<()> {
    if let Some(increment) = o.increment {
        if increment == 0 {
            return Err(invalid("INCREMENT must not be zero".into()));
        }
        s.increment = increment;
    }
    if let Some(cycle) = o.cycle {
        s.cycle = cycle;
    }
    let (low, high) = limits_of(s.ty, s.increment);
    match o.max {
        Some(Some(max)) => s.max = max,
        Some(None) => s.max = high,
        None if new => s.max = high,
        None => {}
    }
    match o.min {
        Some(Some(min)) => s.min = min,
        Some(None) => s.min = low,
        None if new => s.min = low,
        None => {}
    }
    let (lowest, highest) = range(s.ty);
    if s.max < lowest || s.max > highest {
        let message = "MAXVALUE ({}) is out of range for sequence data type";
        let message = message.replace("{}", &s.max.to_string());
        return Err(invalid(format!("{message} {}", s.ty)));
    }
    if s.min < lowest || s.min > highest {
        let message = "MINVALUE ({}) is out of range for sequence data type";
        let message = message.replace("{}", &s.min.to_string());
        return Err(invalid(format!("{message} {}", s.ty)));
    }
    if s.min >= s.max {
        return Err(invalid(format!(
            "MINVALUE ({}) must be less than MAXVALUE ({})",
            s.min, s.max
        )));
    }
    match o.start {
        Some(start) => s.start = start,
        None if new => s.start = if s.increment > 0 { s.min } else { s.max },
        None => {}
    }
    if s.start < s.min {
        return Err(invalid(format!(
            "START value ({}) cannot be less than MINVALUE ({})",
            s.start, s.min
        )));
    }
    if s.start > s.max {
        return Err(invalid(format!(
            "START value ({}) cannot be greater than MAXVALUE ({})",
            s.start, s.max
        )));
    }
    if let Some(cache) = o.cache {
        if cache <= 0 {
            return Err(invalid(format!(
                "CACHE ({cache}) must be greater than zero"
            )));
        }
        s.cache = cache;
    }
    if new {
        s.first = s.start;
    }
    Ok(())
}

fn invalid(message: String) -> Error {
    Error::new(SqlState::INVALID_PARAMETER_VALUE, message)
}
