//! What a transaction still owes its foreign keys.
//!
//! Owns: the keys that rows began to refer to, and those that went, each once, until somebody looks at them: when the
//! statement ends, or at the commit where the constraint is deferred. Asked by: whatever writes rows, and `super`, which settles.
//! Never: calls a partition. What is kept may be wrong by then (a savepoint, a later statement): `super` looks again.
//! Bounds: `LOOK_BYTES` of a statement's are looked at before it goes on; `PENDING_BYTES_MAX` then, and of deferred ones.

use engine::catalog::{Catalog, ForeignKey, ForeignKeyAction, Table};
use engine::codec::key;
use engine::shard::entries::pick;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use types::{Error, Result, Row, SqlState, TableId, Value};

pub const LOOK_BYTES: usize = 1 << 20;
pub const PENDING_BYTES_MAX: usize = 64 << 20;
/// Of a key's place in the maps.
const OVERHEAD: usize = 160;

/// A foreign key: the table that has it, and its oid.
pub type KeyId = (TableId, u32);

/// Values that rows refer to, in the order of the foreign key's columns and of their types.
#[derive(Clone)]
pub struct Wanted {
    /// In which order they came.
    pub seq: u64,
    pub values: Row,
}

/// A referenced key that went.
#[derive(Clone)]
pub struct Gone {
    pub seq: u64,
    pub old: Row,
    /// What the row has now; `None`: it was deleted.
    pub new: Option<Row>,
}

pub type WantedKeys = BTreeMap<Vec<u8>, Wanted>;
pub type GoneKeys = BTreeMap<Vec<u8>, Gone>;

#[derive(Clone, Default)]
pub struct Batch {
    wanted: BTreeMap<KeyId, WantedKeys>,
    gone: BTreeMap<KeyId, GoneKeys>,
    wanted_bytes: usize,
    gone_bytes: usize,
    seq: u64,
}

impl Batch {
    pub fn is_empty(&self) -> bool {
        self.wanted.is_empty() && self.gone.is_empty()
    }

    pub fn bytes(&self) -> usize {
        self.wanted_bytes + self.gone_bytes
    }

    pub fn take_wanted(&mut self) -> BTreeMap<KeyId, WantedKeys> {
        self.wanted_bytes = 0;
        std::mem::take(&mut self.wanted)
    }

    pub fn take_gone(&mut self) -> BTreeMap<KeyId, GoneKeys> {
        self.gone_bytes = 0;
        std::mem::take(&mut self.gone)
    }

    pub fn want(&mut self, id: KeyId, key: Vec<u8>, values: Row) -> Result<()> {
        self.seq += 1;
        let wanted = Wanted {
            seq: self.seq,
            values,
        };
        self.put_wanted(id, key, wanted)
    }

    pub fn put_wanted(&mut self, id: KeyId, key: Vec<u8>, wanted: Wanted) -> Result<()> {
        let keys = self.wanted.entry(id).or_default();
        if let Entry::Vacant(free) = keys.entry(key) {
            self.wanted_bytes +=
                free.key().len() + types::row::row_bytes(&wanted.values) + OVERHEAD;
            free.insert(wanted);
        }
        self.fits()
    }

    pub fn go(&mut self, id: KeyId, key: Vec<u8>, old: Row, new: Option<Row>) -> Result<()> {
        self.seq += 1;
        let seq = self.seq;
        self.put_gone(id, key, Gone { seq, old, new })
    }

    pub fn put_gone(&mut self, id: KeyId, key: Vec<u8>, gone: Gone) -> Result<()> {
        let row = |row: &Row| types::row::row_bytes(row);
        let bytes = key.len() + row(&gone.old) + gone.new.as_ref().map_or(0, row) + OVERHEAD;
        if self.gone.entry(id).or_default().insert(key, gone).is_none() {
            self.gone_bytes += bytes;
        }
        self.fits()
    }

    fn fits(&self) -> Result<()> {
        if self.bytes() <= PENDING_BYTES_MAX {
            return Ok(());
        }
        Err(Error::new(
            SqlState::OUT_OF_MEMORY,
            "too many foreign key checks are waiting",
        )
        .with_detail(format!(
            "A transaction may keep {PENDING_BYTES_MAX} bytes of keys to be checked."
        ))
        .with_hint("Split the statement, or make its constraints IMMEDIATE."))
    }
}

/// One transaction's.
#[derive(Default)]
pub struct Pending {
    /// Until the statement ends.
    pub now: RefCell<Batch>,
    /// Until the transaction commits.
    pub later: RefCell<Batch>,
    modes: RefCell<Modes>,
    /// Something is being settled: what that changes waits for its next round.
    pub settling: Cell<bool>,
}

/// What SET CONSTRAINTS has said.
#[derive(Default)]
struct Modes {
    all: Option<bool>,
    deferred: BTreeMap<u32, bool>,
}

impl Pending {
    pub fn defer_all(&self, deferred: bool) {
        *self.modes.borrow_mut() = Modes {
            all: Some(deferred),
            deferred: BTreeMap::new(),
        };
    }

    pub fn defer(&self, oid: u32, deferred: bool) {
        self.modes.borrow_mut().deferred.insert(oid, deferred);
    }

    pub fn is_deferred(&self, key: &ForeignKey) -> bool {
        let modes = self.modes.borrow();
        let said = modes.deferred.get(&key.oid).copied().or(modes.all);
        key.deferrable && said.unwrap_or(key.initially_deferred)
    }

    /// The statement has failed, and nothing of it is left.
    pub fn forget_statement(&self) {
        self.now.take();
    }

    /// Whether anything is to be settled before the commit.
    pub fn waits(&self) -> bool {
        !self.is_quiet() || !self.later.borrow().is_empty()
    }

    /// Whether the statement has nothing to be settled.
    pub fn is_quiet(&self) -> bool {
        self.now.borrow().is_empty()
    }

    /// A row of a table with foreign keys appears or changes. 23503 where MATCH FULL is broken by the row itself.
    pub fn child(&self, table: &Table, old: Option<&Row>, new: &Row) -> Result<()> {
        for key in &table.foreign_keys {
            let values = pick(new, &key.columns);
            if old.is_some_and(|old| pick(old, &key.columns) == values) {
                continue;
            }
            let nulls = values.iter().filter(|v| v.is_null()).count();
            if nulls > 0 {
                if key.full && nulls < values.len() {
                    return Err(mixed(table, key));
                }
                continue;
            }
            let mut bytes = Vec::new();
            key::encode(&values, &table.types_of(&key.columns), &mut bytes)?;
            let batch = match self.is_deferred(key) {
                true => &self.later,
                false => &self.now,
            };
            let mut batch = batch.borrow_mut();
            batch.want((table.id, key.oid), bytes, values)?;
        }
        Ok(())
    }

    /// A row of a table that others refer to goes or changes.
    pub fn parent(
        &self,
        catalog: &Catalog,
        table: &Table,
        old: &Row,
        new: Option<&Row>,
    ) -> Result<()> {
        for (child, key) in catalog.referrers(table.id) {
            let values = pick(old, &key.referenced_columns);
            if values.iter().any(Value::is_null) {
                continue;
            }
            let types = table.types_of(&key.referenced_columns);
            let mut bytes = Vec::new();
            key::encode(&values, &types, &mut bytes)?;
            let now = new.map(|new| pick(new, &key.referenced_columns));
            if let Some(now) = &now {
                let mut after = Vec::new();
                key::encode(now, &types, &mut after)?;
                if after == bytes {
                    continue;
                }
            }
            let waits = action(key, now.is_some()) == ForeignKeyAction::NoAction;
            let batch = match waits && self.is_deferred(key) {
                true => &self.later,
                false => &self.now,
            };
            let mut batch = batch.borrow_mut();
            batch.go((child.id, key.oid), bytes, values, now)?;
        }
        Ok(())
    }
}

/// What happens to the rows that refer to a key that goes.
pub fn action(key: &ForeignKey, updated: bool) -> ForeignKeyAction {
    match updated {
        true => key.on_update,
        false => key.on_delete,
    }
}

pub fn mixed(table: &Table, key: &ForeignKey) -> Error {
    super::violation(table, key)
        .with_detail("MATCH FULL does not allow mixing of null and nonnull key values.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_counted_once_and_has_a_ceiling() {
        let mut batch = Batch::default();
        let id = (TableId(1), 2);
        let big = || vec![Value::from("x".repeat(1 << 20))];
        batch.want(id, vec![1], big()).unwrap();
        let bytes = batch.bytes();
        batch.want(id, vec![1], big()).unwrap();
        assert_eq!(batch.bytes(), bytes);
        let fit = PENDING_BYTES_MAX / bytes;
        for n in 2..=fit {
            batch.want(id, n.to_be_bytes().to_vec(), big()).unwrap();
        }
        let over = batch.go(id, vec![0], big(), None).unwrap_err();
        assert_eq!(over.code(), SqlState::OUT_OF_MEMORY);
    }
}
