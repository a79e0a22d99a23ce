//! What a transaction sees of one tree, in key order.
//!
//! Owns: a position. Versions are resolved against the snapshot, and what lies over the tree is laid over them.
//! Bounds: one run visits at most `RUN` versions before it lets others run, so a scan of any length yields.

use crate::txn::reading::{Layers, overlaid};
use crate::txn::writes::Entry;
use crate::txn::{Isolation, Partition, TxnRef, versions};
use std::ops::ControlFlow;
use types::{Error, Result, TreeId, Ts};

/// Versions visited between two looks at the clock.
const RUN: usize = 512;

/// Called with a key and its payload; `Break` ends the run after it.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>> + 'a;

pub struct Cursor<'a> {
    partition: &'a Partition,
    txn: &'a TxnRef,
    tree: TreeId,
    layers: Layers,
    /// Inclusive; `None` once the end was reached.
    from: Option<Vec<u8>>,
    upper: Option<Vec<u8>>,
}

impl<'a> Cursor<'a> {
    /// Over keys from `from` (inclusive) up to `upper` (exclusive). Waits for commits its snapshot must see.
    pub async fn open(
        partition: &'a Partition,
        txn: &'a TxnRef,
        tree: TreeId,
        from: Vec<u8>,
        upper: Option<Vec<u8>>,
    ) -> Result<Cursor<'a>> {
        let layers = partition.layers(txn, tree).await?;
        partition.reads_span(txn, tree, &from, upper.as_deref());
        Ok(Cursor {
            partition,
            txn,
            tree,
            layers,
            from: Some(from),
            upper,
        })
    }

    /// Where to go on; `None` at the end.
    pub fn position(self) -> Option<Vec<u8>> {
        self.from
    }

    pub fn at_end(&self) -> bool {
        self.from.is_none()
    }

    /// Visits the next run of visible keys. `false` when the end was reached or `visit` broke off.
    pub async fn run(&mut self, visit: &mut Visit<'_>) -> Result<bool> {
        let Some(from) = self.from.take() else {
            return Ok(false);
        };
        self.txn.stop.check()?;
        runtime::yield_if_needed().await;
        let flow = if self.layers.is_empty() {
            self.committed(&from, None, visit).await?
        } else {
            self.merged(&from, visit).await?
        };
        Ok(flow.is_continue() && self.from.is_some())
    }

    /// Sets `from` to where the next run starts, `None` at the end of the range or at `until`.
    async fn committed(
        &mut self,
        from: &[u8],
        until: Option<&[u8]>,
        visit: &mut Visit<'_>,
    ) -> Result<ControlFlow<()>> {
        let (tree, snapshot) = (self.tree, self.txn.snapshot);
        let upper = until.or(self.upper.as_deref());
        let mut run = Run::new(snapshot);
        let mut outcome = Ok(ControlFlow::Continue(()));
        let mut next = None;
        self.partition
            .store
            .scan(
                tree,
                from,
                &mut |cell, value| match run.step(cell, value, upper) {
                    Step::Skip => ControlFlow::Continue(()),
                    Step::End => ControlFlow::Break(()),
                    Step::Pause(key) => {
                        next = Some(key);
                        ControlFlow::Break(())
                    }
                    Step::Corrupt => {
                        outcome = Err(versions::corrupt(tree));
                        ControlFlow::Break(())
                    }
                    Step::Live(key, payload) => match visit(key, payload) {
                        Ok(ControlFlow::Continue(())) => ControlFlow::Continue(()),
                        other => {
                            next = Some(after(key));
                            outcome = other;
                            ControlFlow::Break(())
                        }
                    },
                },
            )
            .await
            .map_err(Error::from)?;
        if run.newer && self.txn.isolation == Isolation::Serializable {
            self.partition.reads.spoilt(self.txn.xid);
        }
        self.from = next;
        outcome
    }

    /// As `committed`, with the layers over it.
    async fn merged(&mut self, from: &[u8], visit: &mut Visit<'_>) -> Result<ControlFlow<()>> {
        let (mut over, until) = self.layers.run(from, self.upper.as_deref()).await?;
        let mut under: Vec<Entry> = Vec::new();
        let mut bytes = 0;
        let _ = self
            .committed(from, until.as_deref(), &mut |key, payload| {
                bytes += payload.len();
                under.push((key.to_vec(), Some(payload.to_vec())));
                let full = bytes > types::limits::BATCH_BYTES_MAX;
                Ok(if full {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                })
            })
            .await?;
        match &self.from {
            Some(end) => over.truncate(over.partition_point(|(key, _)| key < end)),
            None => self.from = until,
        }
        for (key, payload) in overlaid(under, over) {
            let Some(payload) = payload else { continue };
            if visit(&key, &payload)?.is_break() {
                self.from = Some(after(&key));
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// Resolves versions of one run against a snapshot.
struct Run {
    seen: usize,
    key: Vec<u8>,
    /// The key's visible version has been found.
    resolved: bool,
    /// Something has been passed that the snapshot does not see yet.
    newer: bool,
    snapshot: Ts,
}

impl Run {
    fn new(snapshot: Ts) -> Run {
        Run {
            seen: 0,
            key: Vec::new(),
            resolved: false,
            newer: false,
            snapshot,
        }
    }
}

enum Step<'c> {
    Skip,
    End,
    Pause(Vec<u8>),
    Corrupt,
    Live(&'c [u8], &'c [u8]),
}

impl Run {
    fn step<'c>(&mut self, cell: &'c [u8], value: &'c [u8], upper: Option<&[u8]>) -> Step<'c> {
        let Some((key, ts)) = versions::split(cell) else {
            return Step::Corrupt;
        };
        if upper.is_some_and(|u| key >= u) {
            return Step::End;
        }
        if self.seen == 0 || key != self.key {
            if self.seen >= RUN {
                return Step::Pause(key.to_vec());
            }
            self.key.clear();
            self.key.extend_from_slice(key);
            self.resolved = false;
        }
        self.seen += 1;
        if self.resolved || ts > self.snapshot {
            self.newer |= ts > self.snapshot;
            return Step::Skip;
        }
        self.resolved = true;
        match versions::payload(value) {
            Some(Some(payload)) => Step::Live(key, payload),
            Some(None) => Step::Skip,
            None => Step::Corrupt,
        }
    }
}

/// A position behind every version of `key` and before every other key's.
pub fn after(key: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(key.len() + 9);
    out.extend_from_slice(key);
    out.extend_from_slice(&[0xFF; 9]);
    out
}

/// The newest live cells of a small tree, whatever the snapshot.
pub async fn all_live(partition: &Partition, tree: TreeId) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut run = Run::new(Ts(u64::MAX));
    let mut out = Vec::new();
    let mut corrupt = false;
    partition
        .store
        .scan(tree, &[], &mut |cell, value| {
            run.seen = run.seen.min(1);
            match run.step(cell, value, None) {
                Step::Live(key, payload) => out.push((key.to_vec(), payload.to_vec())),
                Step::Corrupt => corrupt = true,
                Step::Skip | Step::End | Step::Pause(_) => {}
            }
            ControlFlow::Continue(())
        })
        .await
        .map_err(Error::from)?;
    if corrupt {
        Err(versions::corrupt(tree))
    } else {
        Ok(out)
    }
}
