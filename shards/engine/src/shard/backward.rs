//! What a transaction sees of one tree, against the order of its keys.
//!
//! Owns: a position that moves down, a leaf at a time; each leaf is read upwards by a `Cursor`, which knows versions and what lies
//! over the tree. Bounds: `KEPT_MAX` cells or `KEPT_BYTES_MAX` at once; of a longer run, as a large transaction's own writes may
//! be, the last ones are kept and the others read again.

use super::cursor::Cursor;
use crate::txn::{Partition, TxnRef, versions};
use std::collections::VecDeque;
use std::ops::ControlFlow;
use types::{Error, Result, TreeId};

/// Cells that one step may keep.
const KEPT_MAX: usize = 4_096;
/// Their keys and payloads, but for one cell.
const KEPT_BYTES_MAX: usize = 4 << 20;

pub struct Backward<'a> {
    partition: &'a Partition,
    txn: &'a TxnRef,
    tree: TreeId,
    lower: Vec<u8>,
    /// Exclusive.
    upper: Option<Vec<u8>>,
    done: bool,
}

/// Keys and payloads, the last first.
pub type Step = Vec<(Vec<u8>, Vec<u8>)>;

impl<'a> Backward<'a> {
    /// Over keys before `upper` (exclusive) down to `lower` (inclusive).
    pub fn new(
        partition: &'a Partition,
        txn: &'a TxnRef,
        tree: TreeId,
        lower: Vec<u8>,
        upper: Option<Vec<u8>>,
    ) -> Backward<'a> {
        Backward {
            partition,
            txn,
            tree,
            lower,
            upper,
            done: false,
        }
    }

    /// The next cells down; `None` at the end.
    pub async fn step(&mut self) -> Result<Option<Step>> {
        while !self.done {
            self.txn.stop.check()?;
            let leaf = self
                .partition
                .store
                .leaf_before(self.tree, self.upper.as_deref())
                .await
                .map_err(Error::from)?;
            let first = leaf.as_deref().and_then(versions::split);
            let from = first.map_or(self.lower.as_slice(), |(key, _)| key);
            let from = from.max(&self.lower).to_vec();
            let (mut kept, cut) = self.read(&from).await?;
            self.done = !cut && from <= self.lower;
            self.upper = Some(match (cut, kept.front()) {
                (true, Some((first, _))) => first.clone(),
                _ => from,
            });
            if !kept.is_empty() {
                kept.make_contiguous().reverse();
                return Ok(Some(kept.into()));
            }
        }
        Ok(None)
    }

    /// The cells from `from` up to `upper`: the last ones, and whether there were more.
    async fn read(&self, from: &[u8]) -> Result<(VecDeque<(Vec<u8>, Vec<u8>)>, bool)> {
        let upper = self.upper.clone();
        let mut cursor =
            Cursor::open(self.partition, self.txn, self.tree, from.to_vec(), upper).await?;
        let mut kept = VecDeque::new();
        let (mut cut, mut bytes) = (false, 0);
        while cursor
            .run(&mut |key, payload| {
                bytes += key.len() + payload.len();
                kept.push_back((key.to_vec(), payload.to_vec()));
                while kept.len() > KEPT_MAX || (kept.len() > 1 && bytes > KEPT_BYTES_MAX) {
                    let gone = kept.pop_front();
                    bytes -= gone.map_or(0, |(k, p): (Vec<u8>, Vec<u8>)| k.len() + p.len());
                    cut = true;
                }
                Ok(ControlFlow::Continue(()))
            })
            .await?
        {}
        Ok((kept, cut))
    }
}
