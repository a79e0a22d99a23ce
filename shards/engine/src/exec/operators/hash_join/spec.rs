//! What a join does with its rows, whichever part of them it is at.
//!
//! Owns: the kind, keys and conditions of one join. Asked by: `pass` and `pairs`. The kept input is the right one unless
//! `swapped`; the other one streams past.

use super::super::scope::{Exprs, Scope};
use crate::plan::JoinKind;
use std::cell::Cell;
use types::{Result, Row, Value};

pub(super) struct Spec {
    pub(super) scope: Scope,
    pub(super) operator: &'static str,
    pub(super) kind: JoinKind,
    /// The left input is the one that is kept.
    pub(super) swapped: bool,
    pub(super) left_width: usize,
    pub(super) right_width: usize,
    /// Over streaming and over kept rows.
    pub(super) probe_keys: Exprs,
    pub(super) kept_keys: Exprs,
    pub(super) filter: Exprs,
    pub(super) steps: Cell<u64>,
}

impl Spec {
    pub(super) fn is_keyed(&self) -> bool {
        !self.kept_keys.is_empty()
    }

    pub(super) fn can_spill(&self) -> bool {
        self.scope.exec.temp.is_some()
    }

    /// Kept rows without a match are given out.
    pub(super) fn wants_kept(&self) -> bool {
        match self.kind {
            JoinKind::Right | JoinKind::Full => true,
            JoinKind::Left => self.swapped,
            JoinKind::Inner | JoinKind::Semi | JoinKind::Anti => false,
        }
    }

    /// Streaming rows without a match are given out.
    pub(super) fn wants_probe(&self) -> bool {
        match self.kind {
            JoinKind::Left => !self.swapped,
            JoinKind::Full | JoinKind::Anti => true,
            JoinKind::Inner | JoinKind::Right | JoinKind::Semi => false,
        }
    }

    pub(super) fn joined(&self, probe: &[Value], kept: &[Value]) -> Row {
        match self.swapped {
            false => concat(probe, kept),
            true => concat(kept, probe),
        }
    }

    /// A kept row that nothing matched.
    pub(super) fn kept_alone(&self, kept: &[Value]) -> Row {
        match self.swapped {
            false => concat(&vec![Value::Null; self.left_width], kept),
            true => concat(kept, &vec![Value::Null; self.right_width]),
        }
    }

    /// A streaming row that nothing matched.
    pub(super) fn probe_alone(&self, probe: Row) -> Row {
        match self.kind {
            JoinKind::Anti => probe,
            _ => concat(&probe, &vec![Value::Null; self.right_width]),
        }
    }

    pub(super) async fn kept_key(&self, row: &[Value]) -> Result<Option<Row>> {
        if !self.is_keyed() {
            return Ok(None);
        }
        self.scope.row(&self.kept_keys, row).await.map(Some)
    }

    /// Counts a step of work; now and then yields, and asks whether the statement may go on.
    pub(super) async fn step(&self) -> Result<()> {
        self.steps.set(self.steps.get() + 1);
        self.scope.step(self.steps.get()).await
    }
}

fn concat(left: &[Value], right: &[Value]) -> Row {
    let mut row = Row::with_capacity(left.len() + right.len());
    row.extend_from_slice(left);
    row.extend_from_slice(right);
    row
}
