//! SAVEPOINT, RELEASE and ROLLBACK TO, and the savepoints without a name of programs in PL/pgSQL.
//!
//! Owns: the names of a transaction's savepoints, and what the session itself has to bring back: its catalog and the trees it
//! has made. What was written in the partitions they take back themselves; locks stay until the transaction ends.
//! Bounds: `SAVEPOINTS_MAX` a transaction. Source: PostgreSQL 15, SAVEPOINT.

use super::Session;
use super::assigned::{Parameters, Told};
use super::transaction::{Active, Block, aborted};
use engine::catalog::Catalogs;
use std::collections::BTreeSet;
use std::sync::Arc;
use types::{Error, Result, SqlState, TreeId};

pub const SAVEPOINTS_MAX: usize = 1_000;

/// The session's part of a transaction's changes.
#[derive(Clone)]
pub struct Changes {
    pub catalogs: Option<Arc<Catalogs>>,
    pub dropped: Vec<TreeId>,
    pub fresh: BTreeSet<TreeId>,
    /// Trees that the transaction had made.
    pub made: usize,
    /// Cursors that the session had declared.
    pub cursors: u64,
    /// Notifications announced, and channels asked for.
    pub notes: (usize, usize),
    pub parameters: Parameters,
}

struct Savepoint {
    name: String,
    /// Grows with each; never given twice in a transaction.
    id: u32,
    changes: Changes,
}

/// Those of one transaction, oldest first.
#[derive(Default)]
pub struct Savepoints {
    open: Vec<Savepoint>,
    last: u32,
    rollbacks: u32,
}

impl Savepoints {
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// How often the transaction went back to one.
    pub fn rollbacks(&self) -> u32 {
        self.rollbacks
    }

    /// The newest of this name.
    fn find(&self, name: &str) -> Result<usize> {
        let found = self.open.iter().rposition(|s| s.name == name);
        found.ok_or_else(|| {
            Error::new(
                SqlState::INVALID_SAVEPOINT_SPECIFICATION,
                format!("savepoint \"{name}\" does not exist"),
            )
        })
    }

    /// What statements are under now.
    fn current(&self) -> u32 {
        self.open.last().map_or(0, |s| s.id)
    }
}

impl Session {
    pub(super) fn savepoint(&self, name: &str) -> Result<()> {
        let mut block = self.block.borrow_mut();
        let active = in_block(&mut block, "SAVEPOINT")?;
        self.savepoint_of(active, name).map(drop)
    }

    /// Without a name, in a block or not; its number.
    pub(super) fn savepoint_within(&self) -> Result<u32> {
        let mut block = self.block.borrow_mut();
        let active = block.active_mut().ok_or_else(aborted)?;
        self.savepoint_of(active, "")
    }

    fn savepoint_of(&self, active: &mut Active, name: &str) -> Result<u32> {
        if active.savepoints.open.len() >= SAVEPOINTS_MAX {
            return Err(Error::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("a transaction can have at most {SAVEPOINTS_MAX} savepoints"),
            ));
        }
        let mut changes = active.changes();
        changes.cursors = self.declared.get();
        changes.notes = (self.announcements.mark(), self.listening.acts());
        changes.parameters = self.parameters_now();
        let savepoints = &mut active.savepoints;
        savepoints.last += 1;
        savepoints.open.push(Savepoint {
            name: name.to_owned(),
            id: savepoints.last,
            changes,
        });
        active.txn.at_savepoint(active.savepoints.current());
        Ok(active.savepoints.last)
    }

    /// That of a number and those since.
    pub(super) fn release_within(&self, id: u32) {
        let mut block = self.block.borrow_mut();
        if let Some(active) = block.active_mut() {
            active.savepoints.open.retain(|s| s.id < id);
            active.txn.at_savepoint(active.savepoints.current());
        }
    }

    pub(super) fn release(&self, name: &str) -> Result<()> {
        let mut block = self.block.borrow_mut();
        let active = in_block(&mut block, "RELEASE SAVEPOINT")?;
        let at = active.savepoints.find(name)?;
        active.savepoints.open.truncate(at);
        active.txn.at_savepoint(active.savepoints.current());
        Ok(())
    }

    /// Also out of a failed block.
    pub(super) async fn rollback_to(&self, name: &str) -> Result<Told> {
        let at = {
            let mut block = self.block.borrow_mut();
            if let Block::Failed { saved, .. } = &mut *block {
                match saved.take() {
                    Some(active) => *block = Block::Explicit(active),
                    None => return Err(aborted()),
                }
            }
            let active = in_block(&mut block, "ROLLBACK TO SAVEPOINT")?;
            active.savepoints.find(name)?
        };
        self.go_back_to(at).await
    }

    /// To the one of a number.
    pub(super) async fn rollback_within(&self, id: u32) -> Result<Told> {
        let at = {
            let mut block = self.block.borrow_mut();
            let active = block.active_mut().ok_or_else(aborted)?;
            let found = active.savepoints.open.iter().position(|s| s.id == id);
            found.ok_or_else(|| Error::internal("a savepoint of a program is gone"))?
        };
        self.go_back_to(at).await
    }

    async fn go_back_to(&self, at: usize) -> Result<Told> {
        let (txn, id, changes) = {
            let mut block = self.block.borrow_mut();
            let active = block.active_mut().ok_or_else(aborted)?;
            active.savepoints.open.truncate(at + 1);
            active.savepoints.rollbacks += 1;
            let savepoint = &active.savepoints.open[at];
            let (id, changes) = (savepoint.id, savepoint.changes.clone());
            active.go_back(changes.clone());
            active.txn.at_savepoint(id);
            (active.txn.clone(), id, changes)
        };
        self.forget_cursors(changes.cursors);
        self.announcements.back_to(changes.notes.0);
        self.listening.back_to(changes.notes.1);
        if let Err(e) = txn.rollback_to(id, changes.made).await {
            // Nobody knows how much was taken back: only the whole of it can be.
            txn.abort();
            if let Some(active) = self.block.borrow_mut().active_mut() {
                active.savepoints = Savepoints::default();
            }
            return Err(e);
        }
        Ok(self.parameters_back(changes.parameters))
    }
}

fn in_block<'b>(block: &'b mut Block, what: &str) -> Result<&'b mut Active> {
    match block {
        Block::Explicit(active) => Ok(active),
        Block::Failed { .. } => Err(aborted()),
        Block::Idle | Block::Implicit(_) => Err(Error::new(
            SqlState::NO_ACTIVE_SQL_TRANSACTION,
            format!("{what} can only be used in transaction blocks"),
        )),
    }
}
