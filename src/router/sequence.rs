//! Sequences as one session uses them: values taken ahead for it, and those it has been given.
//!
//! Owns: a session's memory of sequences (`currval`, `lastval`, what a CACHE above 1 has fetched). Asked by: `TxnSource`.
//! Never: knows how far a sequence is; its home partition does, and is asked once for each `CACHE` values.
//! Bounds: `REMEMBERED_MAX` sequences a session: the memory is then begun anew. Source: PostgreSQL 15, `sequence.c`.

use super::scan::TxnSource;
use super::{Router, odd};
use engine::catalog::change::Change;
use engine::catalog::stored::Object;
use engine::catalog::{Catalog, Relation, Sequence};
use engine::exec::Context;
use engine::plan::SequenceFunction;
use engine::shard::Reply;
use engine::shard::call::{PartitionCall, SequenceAct, SequenceCall};
use engine::shard::sequence::home;
use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};
use types::{Error, Result, Row, SqlState, TableId, Value};

const REMEMBERED_MAX: usize = 10_000;

/// Exists once per session, on its shard.
#[derive(Default)]
pub struct Sequences {
    used: RefCell<HashMap<TableId, Used>>,
    last: RefCell<Option<TableId>>,
}

#[derive(Default)]
struct Used {
    /// Which definition `ahead` is of.
    of: Weak<Sequence>,
    given: Option<i64>,
    /// Taken for this session and not given yet.
    ahead: VecDeque<i64>,
}

impl Sequences {
    /// DISCARD SEQUENCES.
    pub fn forget(&self) {
        self.used.borrow_mut().clear();
        *self.last.borrow_mut() = None;
    }

    fn ahead(&self, sequence: &Arc<Sequence>) -> Option<i64> {
        let mut all = self.used.borrow_mut();
        let used = all.get_mut(&sequence.id)?;
        if !std::ptr::eq(used.of.as_ptr(), Arc::as_ptr(sequence)) {
            used.ahead.clear();
        }
        let value = used.ahead.pop_front()?;
        used.given = Some(value);
        *self.last.borrow_mut() = Some(sequence.id);
        Some(value)
    }

    fn took(&self, sequence: &Arc<Sequence>, values: Vec<i64>) -> Option<i64> {
        let mut all = self.used.borrow_mut();
        if all.len() >= REMEMBERED_MAX && !all.contains_key(&sequence.id) {
            all.clear();
        }
        let used = all.entry(sequence.id).or_default();
        used.of = Arc::downgrade(sequence);
        used.ahead = values.into();
        used.given = used.ahead.pop_front();
        *self.last.borrow_mut() = Some(sequence.id);
        used.given
    }

    fn set(&self, sequence: &Sequence, value: i64, called: bool) {
        let mut all = self.used.borrow_mut();
        let used = all.entry(sequence.id).or_default();
        used.ahead.clear();
        if called {
            used.given = Some(value);
        }
    }
}

impl TxnSource {
    pub(super) async fn of_sequence(
        &self,
        function: SequenceFunction,
        args: &[Value],
        ctx: &Context,
    ) -> Result<Row> {
        let catalog = &ctx.catalog;
        let value = match function {
            SequenceFunction::Next => {
                let sequence = sequence(catalog, args)?;
                let next = self.router.next_value(&self.sequences, &sequence).await?;
                Value::Int8(next)
            }
            SequenceFunction::Current => {
                let sequence = sequence(catalog, args)?;
                let given = self
                    .sequences
                    .used
                    .borrow()
                    .get(&sequence.id)
                    .and_then(|u| u.given);
                Value::Int8(given.ok_or_else(|| undefined(&sequence))?)
            }
            SequenceFunction::Last => Value::Int8(self.last_value(catalog)?),
            SequenceFunction::Set => {
                let sequence = sequence(catalog, args)?;
                Value::Int8(self.set_value(&sequence, args).await?)
            }
            SequenceFunction::Reached => {
                let (last, called) = self.reached(&sequence(catalog, args)?).await?;
                if called {
                    Value::Int8(last)
                } else {
                    Value::Null
                }
            }
            SequenceFunction::Row => {
                let (last, called) = self.reached(&sequence(catalog, args)?).await?;
                return Ok(vec![Value::Int8(last), Value::Int8(0), Value::Bool(called)]);
            }
        };
        Ok(vec![value])
    }

    fn last_value(&self, catalog: &Catalog) -> Result<i64> {
        let undefined = || {
            Error::new(
                SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                "lastval is not yet defined in this session",
            )
        };
        let last = self.sequences.last.borrow().ok_or_else(undefined)?;
        if !catalog.sequences.contains_key(&last) {
            return Err(undefined());
        }
        let used = self.sequences.used.borrow();
        used.get(&last).and_then(|u| u.given).ok_or_else(undefined)
    }

    async fn set_value(&self, sequence: &Arc<Sequence>, args: &[Value]) -> Result<i64> {
        let (value, called) = match args {
            [_, Value::Int8(value)] => (*value, true),
            [_, Value::Int8(value), Value::Bool(called)] => (*value, *called),
            _ => return Err(Error::internal("setval of other types")),
        };
        if !(sequence.min..=sequence.max).contains(&value) {
            return Err(Error::new(
                SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                format!(
                    "setval: value {value} is out of bounds for sequence \"{}\" ({}..{})",
                    sequence.name, sequence.min, sequence.max
                ),
            ));
        }
        let act = SequenceAct::Set { value, called };
        self.router.of_sequence(sequence, act).await?;
        self.sequences.set(sequence, value, called);
        Ok(value)
    }

    async fn reached(&self, sequence: &Arc<Sequence>) -> Result<(i64, bool)> {
        let reply = self.router.of_sequence(sequence, SequenceAct::Look).await?;
        match reply {
            Reply::Sequence { values, called } => match values.as_slice() {
                [last] => Ok((*last, called)),
                _ => Err(odd()),
            },
            _ => Err(odd()),
        }
    }
}

impl Router {
    /// 22023 where a sequence that goes on has gone past the limits that it gets.
    pub(super) async fn within_limits(&self, before: &Catalog, change: &Change) -> Result<()> {
        for object in &change.changed {
            let Object::Sequence(id) = object else {
                continue;
            };
            let both = before
                .sequences
                .get(id)
                .zip(change.catalog.sequences.get(id));
            let Some((old, new)) = both.filter(|(old, new)| old.state == new.state) else {
                continue;
            };
            if (old.min, old.max) == (new.min, new.max) {
                continue;
            }
            let last = match self.of_sequence(new, SequenceAct::Look).await? {
                Reply::Sequence { values, .. } => values.first().copied().ok_or_else(odd)?,
                _ => return Err(odd()),
            };
            let wrong = |what: &str, limit: i64| {
                let message = format!("RESTART value ({last}) cannot be {what} ({limit})");
                Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, message))
            };
            if last < new.min {
                return wrong("less than MINVALUE", new.min);
            }
            if last > new.max {
                return wrong("greater than MAXVALUE", new.max);
            }
        }
        Ok(())
    }

    /// Sequences that begin begin with nothing.
    pub(super) async fn forget_states(&self, change: &Change) -> Result<()> {
        for sequence in change.catalog.sequences.values() {
            if change.fresh_states.contains(&sequence.state) {
                self.of_sequence(sequence, SequenceAct::Forget).await?;
            }
        }
        Ok(())
    }

    pub async fn next_value(&self, own: &Sequences, sequence: &Arc<Sequence>) -> Result<i64> {
        if let Some(value) = own.ahead(sequence) {
            return Ok(value);
        }
        let count = u32::try_from(sequence.cache).unwrap_or(u32::MAX);
        let act = SequenceAct::Next { count };
        match self.of_sequence(sequence, act).await? {
            Reply::Sequence { values, .. } => own.took(sequence, values).ok_or_else(odd),
            _ => Err(odd()),
        }
    }

    /// Asks the home of a sequence's state.
    pub(super) async fn of_sequence(
        &self,
        sequence: &Arc<Sequence>,
        act: SequenceAct,
    ) -> Result<Reply> {
        let home = home(sequence.state, self.shard.partition_count);
        let call = SequenceCall {
            sequence: sequence.clone(),
            act,
        };
        self.call(home, PartitionCall::Sequence(call)).await
    }
}

/// The sequence that the first argument, a regclass, names.
fn sequence(catalog: &Catalog, args: &[Value]) -> Result<Arc<Sequence>> {
    let Some(Value::Reg(named)) = args.first() else {
        return Err(Error::internal("a sequence's name of another type"));
    };
    match catalog.relation_by_oid(named.oid) {
        Some(Relation::Sequence(sequence)) => Ok(sequence),
        Some(other) => Err(Error::new(
            SqlState::WRONG_OBJECT_TYPE,
            format!("\"{}\" is not a sequence", other.name()),
        )),
        None => Err(Error::new(
            SqlState::UNDEFINED_TABLE,
            format!("relation with OID {} does not exist", named.oid),
        )),
    }
}

fn undefined(sequence: &Sequence) -> Error {
    Error::new(
        SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!(
            "currval of sequence \"{}\" is not yet defined in this session",
            sequence.name
        ),
    )
}
