//! CREATE and ALTER SEQUENCE, and the sequences of `serial` and identity columns.

use super::{Change, no_relation, taken};
use crate::catalog::{ColumnDef, Default, Identity, Sequence, Table, path};
use crate::plan::ddl::{CreateSequence, OwnedSequence, SequenceAction};
use crate::plan::{Expr, Plan, SequenceCall, SequenceFunction, SubqueryKind};
use std::sync::Arc;
use types::{DataType, Error, Reg, Result, SqlState, TableId, Value};

impl Change {
    pub(super) fn create_sequence(&mut self, def: &CreateSequence) -> Result<()> {
        self.tag = "CREATE SEQUENCE";
        let mut sequence = def.sequence.clone();
        self.known_schema(&sequence.schema)?;
        if self.is_taken(&sequence.schema, &sequence.name) {
            return self.exists(&sequence.name, def.if_not_exists);
        }
        self.check_owner(&sequence)?;
        sequence.id = TableId(self.oid());
        sequence.state = self.fresh_state();
        self.put_sequence(sequence);
        Ok(())
    }

    fn check_owner(&self, sequence: &Sequence) -> Result<()> {
        let Some((table, number)) = sequence.owner else {
            return Ok(());
        };
        let table = self.table(table)?;
        if table.schema != sequence.schema {
            return Err(Error::new(
                SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                "sequence must be in same schema as table it is linked to",
            ));
        }
        match table.ordinal(number) {
            Some(_) => Ok(()),
            None => Err(Error::new(
                SqlState::UNDEFINED_COLUMN,
                format!(
                    "column {number} of relation \"{}\" does not exist",
                    table.name
                ),
            )),
        }
    }

    pub(super) fn alter_sequence(&mut self, id: TableId, action: &SequenceAction) -> Result<()> {
        let found = self.catalog.sequences.get(&id).cloned();
        let old = found.ok_or_else(|| no_relation(&id.to_string()))?;
        let mut next = Sequence::clone(&old);
        match action {
            SequenceAction::RenameTo(name) => {
                if self.is_taken(&old.schema, name) {
                    return Err(taken(name));
                }
                next.name.clone_from(name);
            }
            SequenceAction::SetSchema(schema) => {
                self.known_schema(schema)?;
                if old.owner.is_some() {
                    return Err(owned(&old, self)?);
                }
                if *schema != old.schema && self.is_taken(schema, &old.name) {
                    return Err(super::alter::taken_in(&old.name, schema));
                }
                next.schema.clone_from(schema);
            }
            SequenceAction::Set { sequence, restart } => {
                next = Sequence {
                    id: old.id,
                    schema: old.schema.clone(),
                    name: old.name.clone(),
                    internal: old.internal,
                    state: old.state,
                    first: old.first,
                    first_given: old.first_given,
                    ..Sequence::clone(sequence)
                };
                self.check_owner(&next)?;
                if let Some(value) = restart {
                    self.restart(&mut next, *value);
                }
            }
        }
        self.put_sequence(next);
        self.respell(id);
        Ok(())
    }

    /// The number of a state that is nobody's. What was rolled back may have had it, and states are not rolled back.
    fn fresh_state(&mut self) -> u32 {
        let state = self.oid();
        self.fresh_states.push(state);
        state
    }

    /// A state of its own, that begins with this value.
    pub(super) fn restart(&mut self, sequence: &mut Sequence, value: i64) {
        sequence.state = self.fresh_state();
        sequence.first = value;
        sequence.first_given = false;
    }

    /// The DEFAULTs that use the sequence say its name.
    pub(super) fn respell(&mut self, id: TableId) {
        let Some(sequence) = self.catalog.sequences.get(&id).cloned() else {
            return;
        };
        let uses = |c: &ColumnDef| c.default.as_ref().is_some_and(|d| names(&d.expr, id));
        let tables: Vec<Arc<Table>> = self.catalog.tables.values().cloned().collect();
        for table in tables {
            if !table.columns.iter().any(uses) {
                continue;
            }
            let mut next = Table::clone(&table);
            for column in next.columns.iter_mut().filter(|c| uses(c)) {
                column.default = Some(next_value(&sequence, column.ty));
            }
            self.locks.push(table.id);
            self.put(next);
        }
    }

    /// Makes the sequence of a column, and lets the column have it.
    pub(super) fn own_sequence(&mut self, table: &mut Table, def: &OwnedSequence) -> Result<()> {
        let Some(column) = table.columns.get(def.column) else {
            return Err(Error::internal("a sequence of a column out of range"));
        };
        let (name, number, ty) = (column.name.clone(), column.number, column.ty);
        let mut sequence = def.sequence.clone();
        if sequence.name.is_empty() {
            sequence.name =
                super::names::choose(&table.name, &[&name], "seq", |name| self.taken(table, name));
        } else if self.taken(table, &sequence.name) {
            return Err(Error::new(
                SqlState::DUPLICATE_TABLE,
                format!("relation \"{}\" already exists", sequence.name),
            ));
        }
        sequence.id = TableId(self.oid());
        sequence.state = self.fresh_state();
        sequence.schema.clone_from(&table.schema);
        sequence.owner = Some((table.id, number));
        sequence.internal = def.identity.is_some();
        let column = &mut table.columns[def.column];
        match def.identity {
            Some(always) => {
                column.identity = Some(Identity {
                    always,
                    sequence: sequence.id,
                });
            }
            None => column.default = Some(next_value(&sequence, ty)),
        }
        column.not_null = true;
        self.put_sequence(sequence);
        Ok(())
    }

    /// The sequences that go with a table's columns.
    pub(super) fn owned_by(&self, table: TableId) -> Vec<Arc<Sequence>> {
        let all = self.catalog.sequences.values();
        let own = all.filter(|s| s.owner.is_some_and(|(t, _)| t == table));
        own.cloned().collect()
    }
}

fn owned(sequence: &Sequence, change: &Change) -> Result<Error> {
    let table = match sequence.owner {
        Some((table, _)) => change.table(table)?.name.clone(),
        None => String::new(),
    };
    Ok(
        Error::unsupported("cannot move an owned sequence into another schema").with_detail(
            format!(
                "Sequence \"{}\" is linked to table \"{table}\".",
                sequence.name
            ),
        ),
    )
}

/// `nextval('s'::regclass)`, as a column of this type takes it.
pub fn next_value(sequence: &Sequence, ty: DataType) -> Default {
    let name = path::shown(&sequence.schema, &sequence.name);
    let sql = format!("nextval('{}'::regclass)", name.replace('\'', "''"));
    let reg = Reg {
        oid: sequence.id.0,
        name: name.into(),
    };
    let argument = Expr::Const(Value::Reg(reg), DataType::Regclass);
    let plan = Plan::Sequence(Box::new(SequenceCall {
        input: Plan::Project {
            input: Box::new(Plan::OneRow),
            exprs: vec![argument],
        },
        function: SequenceFunction::Next,
    }));
    let call = Expr::Subquery {
        plan: Arc::new(plan),
        kind: SubqueryKind::Scalar,
        correlated: false,
        ty: DataType::Int8,
    };
    let expr = match ty {
        DataType::Int8 => call,
        to => Expr::Cast {
            expr: Box::new(call),
            to,
            typmod: -1,
            explicit: false,
        },
    };
    Default { sql, expr }
}

/// The value that an identity column takes by itself.
pub fn identity_value(sequence: TableId, ty: DataType) -> Expr {
    let unnamed = Sequence {
        id: sequence,
        schema: String::new(),
        name: String::new(),
        ty,
        start: 1,
        increment: 1,
        min: 1,
        max: i64::MAX,
        cache: 1,
        cycle: false,
        owner: None,
        internal: true,
        state: 0,
        first: 1,
        first_given: false,
    };
    next_value(&unnamed, ty).expr
}

/// Whether an expression names the relation: as a constant of type `regclass`, in its subqueries too.
pub fn names(e: &Expr, id: TableId) -> bool {
    let constant = |e: &Expr| matches!(e, Expr::Const(Value::Reg(r), _) if r.oid == id.0);
    e.any(&mut |e| match e {
        Expr::Subquery { plan, .. } => plan_names(plan, id),
        e => constant(e),
    })
}

fn plan_names(plan: &Plan, id: TableId) -> bool {
    plan.exprs().into_iter().any(|e| names(e, id))
        || plan.inputs().into_iter().any(|p| plan_names(p, id))
}
