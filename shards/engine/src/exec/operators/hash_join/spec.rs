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
            JoinKind::Left | JoinKind::Anti => self.swapped,
            JoinKind::Inner | JoinKind::Semi => false,
        }
    }

    /// It is kept rows that are given out, once it is known whether they have matched.
    pub(super) fn answers_kept(&self) -> bool {
        self.swapped && matches!(self.kind, JoinKind::Semi | JoinKind::Anti)
    }

    /// What a kept row's match must have been for it to be given out at the end.
    pub(super) fn wanted_at_end(&self) -> Option<bool> {
        match self.kind {
            JoinKind::Semi if self.swapped => Some(true),
            _ => self.wants_kept().then_some(false),
        }
    }

    /// Streaming rows without a match are given out.
    pub(super) fn wants_probe(&self) -> bool {
        match self.kind {
            JoinKind::Left => !self.swapped,
            JoinKind::Anti => !self.swapped,
            JoinKind::Full => true,
            JoinKind::Inner | JoinKind::Right | JoinKind::Semi => false,
        }
    }

    pub(super) fn joined(&self, probe: &[Value], kept: &[Value]) -> Row {
        match self.swapped {
            false => concat(probe, kept),
            true => concat(kept, probe),
        }
    }

    /// As `joined`, of a streaming row that nobody looks at afterwards.
    pub(super) fn joined_last(&self, mut probe: Row, kept: &[Value]) -> Row {
        match self.swapped {
            false => {
                probe.reserve_exact(kept.len());
                probe.extend_from_slice(kept);
                probe
            }
            true => {
                let mut row = Row::with_capacity(kept.len() + probe.len());
                row.extend_from_slice(kept);
                row.append(&mut probe);
                row
            }
        }
    }

    /// A kept row at the end.
    pub(super) fn kept_alone(&self, kept: &[Value]) -> Row {
        match self.swapped {
            _ if self.answers_kept() => kept.to_vec(),
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
        let steps = self.steps.get() + 1;
        self.steps.set(steps);
        match steps.is_multiple_of(256) {
            true => self.scope.step(steps).await,
            false => Ok(()),
        }
    }
}

fn concat(left: &[Value], right: &[Value]) -> Row {
    let mut row = Row::with_capacity(left.len() + right.len());
    row.extend_from_slice(left);
    row.extend_from_slice(right);
    row
}
