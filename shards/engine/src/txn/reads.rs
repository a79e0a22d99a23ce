//! What running serializable transactions have read in a partition, and whether it has changed since.
//!
//! Owns: their read sets, and the rule that makes them serializable. Each reads at its snapshot and takes effect at its
//! commit's timestamp; so nothing it read may have been changed by a commit in between. Whoever commits says what it wrote
//! (`wrote`), and that spoils the reads of the others: one that has written something too then fails with 40001 when it
//! commits (`validate`), one that has only read is serial at its snapshot and never asks. A read set that was found
//! untouched stands until its transaction has ended everywhere: a serializable writer that meets it fails with 40001.
//! Asked by: `Partition` when it reads, prepares and commits. Never: waits, or reads a page; blocks writers of other
//! levels, which PostgreSQL's SERIALIZABLE does not answer for either.
//! Bounds: a transaction's reads of one tree are at most `POINTS_MAX` keys and `SPANS_MAX` spans; with more, they are the
//! whole tree. Source: Kung and Robinson 1981 (validation), as Larson et al. 2011 do it over versions.

use super::Isolation;
use super::state::TxnState;
use super::{Partition, TxnRef};
use hashbrown::HashMap;
use std::cell::RefCell;
use types::{Error, Result, SqlState, TreeId, Ts, Xid};

pub const POINTS_MAX: usize = 1_024;
pub const SPANS_MAX: usize = 64;

/// Keys from `lower` up to `upper` (exclusive; `None` = the end).
struct Span {
    lower: Vec<u8>,
    upper: Option<Vec<u8>>,
}

impl Span {
    fn has(&self, key: &[u8]) -> bool {
        *self.lower <= *key && self.upper.as_deref().is_none_or(|u| key < u)
    }

    fn covers(&self, other: &Span) -> bool {
        let upper = match (&self.upper, &other.upper) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(mine), Some(its)) => its <= mine,
        };
        self.lower <= other.lower && upper
    }
}

/// What one transaction has read of one tree.
#[derive(Default)]
struct OfTree {
    points: usize,
    spans: Vec<Span>,
}

impl OfTree {
    fn has(&self, key: &[u8]) -> bool {
        self.spans.iter().any(|s| s.has(key))
    }
}

struct Reader {
    snapshot: Ts,
    trees: HashMap<TreeId, OfTree>,
    /// Something of it is not as it was.
    spoilt: bool,
    /// Found unspoilt, and not ended: it must stay so.
    validated: bool,
}

#[derive(Default)]
struct State {
    readers: HashMap<Xid, Reader>,
    /// Who has read single keys.
    points: HashMap<TreeId, HashMap<Vec<u8>, Vec<Xid>>>,
}

#[derive(Default)]
pub struct Reads {
    state: RefCell<State>,
}

/// 40001 of a transaction that cannot be put in an order with the others.
fn not_serializable(reason: &'static str) -> Error {
    Error::new(
        SqlState::SERIALIZATION_FAILURE,
        "could not serialize access due to read/write dependencies among transactions",
    )
    .with_detail(reason)
    .with_hint("The transaction might succeed if retried.")
}

impl Reads {
    /// Transactions that have read here and not ended.
    pub fn len(&self) -> usize {
        self.state.borrow().readers.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn key(&self, txn: &TxnRef, tree: TreeId, key: &[u8]) {
        let state = &mut *self.state.borrow_mut();
        let of = state.of(txn, tree);
        if of.has(key) {
            return;
        }
        let full = of.points >= POINTS_MAX;
        let readers = state.points.entry(tree).or_default();
        if let Some(readers) = readers.get_mut(key) {
            if readers.contains(&txn.xid) {
                return;
            }
            if !full {
                readers.push(txn.xid);
            }
        } else if !full {
            readers.insert(key.to_vec(), vec![txn.xid]);
        }
        match full {
            true => state.whole_tree(txn, tree),
            false => state.of(txn, tree).points += 1,
        }
    }

    pub fn span(&self, txn: &TxnRef, tree: TreeId, lower: &[u8], upper: Option<&[u8]>) {
        let span = Span {
            lower: lower.to_vec(),
            upper: upper.map(<[u8]>::to_vec),
        };
        let mut state = self.state.borrow_mut();
        let of = state.of(txn, tree);
        if of.spans.iter().any(|s| s.covers(&span)) {
            return;
        }
        if of.spans.len() >= SPANS_MAX {
            return state.whole_tree(txn, tree);
        }
        of.spans.push(span);
    }

    /// The transaction has met something that is newer than its snapshot.
    pub fn spoilt(&self, xid: Xid) {
        if let Some(reader) = self.state.borrow_mut().readers.get_mut(&xid) {
            reader.spoilt = true;
        }
    }

    /// Nothing that the transaction has read here was changed: and nobody serializable may, until `end`.
    pub fn validate(&self, xid: Xid) -> Result<()> {
        match self.state.borrow_mut().readers.get_mut(&xid) {
            Some(reader) if reader.spoilt => Err(not_serializable(
                "What the transaction has read was changed before it could commit.",
            )),
            Some(reader) => {
                reader.validated = true;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// What `by` has written is about to be committed or prepared.
    pub(super) fn wrote(&self, by: &TxnState) -> Result<()> {
        let state = &mut *self.state.borrow_mut();
        if state.readers.keys().all(|xid| *xid == by.xid) {
            return Ok(());
        }
        let mut hit: Vec<Xid> = Vec::new();
        let mut met = |xid: Xid| {
            if xid != by.xid && !hit.contains(&xid) {
                hit.push(xid);
            }
        };
        for (tree, key, _) in by.writes.borrow().iter() {
            let points = state.points.get(&tree).and_then(|p| p.get(key));
            points.into_iter().flatten().for_each(|xid| met(*xid));
        }
        // TRUNCATE and its like leave no writes of what they take away.
        let redefines = !by.exclusive.borrow().is_empty();
        for (xid, reader) in &state.readers {
            if redefines || reader.is_met(by) {
                met(*xid);
            }
        }
        let validated = |xid: &Xid| state.readers.get(xid).is_some_and(|r| r.validated);
        if by.serializable.get() && hit.iter().any(validated) {
            return Err(not_serializable(
                "A transaction that is about to commit has read what this one has written.",
            ));
        }
        for xid in hit {
            if let Some(reader) = state.readers.get_mut(&xid) {
                reader.spoilt = true;
            }
        }
        Ok(())
    }

    /// The transaction has ended everywhere.
    pub fn end(&self, xid: Xid) {
        self.state.borrow_mut().end(xid);
    }

    /// Forgets those whose snapshots are closed: a call that came late may have read for one after its end.
    pub fn forget_below(&self, horizon: Ts) {
        let mut state = self.state.borrow_mut();
        let gone = |r: &Reader| r.snapshot < horizon && !r.validated;
        let gone: Vec<Xid> = state
            .readers
            .iter()
            .filter(|(_, r)| gone(r))
            .map(|(xid, _)| *xid)
            .collect();
        gone.into_iter().for_each(|xid| state.end(xid));
    }
}

impl Reader {
    /// Whether a span of it has something that `by` wrote. Of staged writes only the tree is looked at.
    fn is_met(&self, by: &TxnState) -> bool {
        let writes = by.writes.borrow();
        let staged = by.staged.borrow();
        self.trees.iter().any(|(tree, of)| {
            staged.as_ref().is_some_and(|s| s.touches(*tree))
                || of
                    .spans
                    .iter()
                    .any(|s| writes.has_between(*tree, &s.lower, s.upper.as_deref()))
        })
    }
}

impl State {
    fn of(&mut self, txn: &TxnRef, tree: TreeId) -> &mut OfTree {
        let reader = self.readers.entry(txn.xid).or_insert_with(|| Reader {
            snapshot: txn.snapshot,
            trees: HashMap::new(),
            spoilt: false,
            validated: false,
        });
        reader.trees.entry(tree).or_default()
    }

    fn whole_tree(&mut self, txn: &TxnRef, tree: TreeId) {
        let of = self.of(txn, tree);
        let points = std::mem::take(&mut of.points);
        of.spans = vec![Span {
            lower: Vec::new(),
            upper: None,
        }];
        if points > 0 {
            self.forget_points(txn.xid, tree);
        }
    }

    fn forget_points(&mut self, xid: Xid, tree: TreeId) {
        let Some(points) = self.points.get_mut(&tree) else {
            return;
        };
        points.retain(|_, readers| {
            readers.retain(|r| *r != xid);
            !readers.is_empty()
        });
        if points.is_empty() {
            self.points.remove(&tree);
        }
    }

    fn end(&mut self, xid: Xid) {
        let Some(reader) = self.readers.remove(&xid) else {
            return;
        };
        if self.readers.is_empty() {
            self.points = HashMap::new();
            return;
        }
        for (tree, of) in reader.trees {
            if of.points > 0 {
                self.forget_points(xid, tree);
            }
        }
    }
}

impl Partition {
    /// Before a serializable transaction reads a key.
    pub(super) fn reads_key(&self, txn: &TxnRef, tree: TreeId, key: &[u8]) {
        if txn.isolation == Isolation::Serializable {
            self.reads.key(txn, tree, key);
        }
    }

    /// Before a serializable transaction reads a span, and once all commits it must see are decided.
    pub fn reads_span(&self, txn: &TxnRef, tree: TreeId, lower: &[u8], upper: Option<&[u8]>) {
        if txn.isolation != Isolation::Serializable {
            return;
        }
        self.reads.span(txn, tree, lower, upper);
        let meets = |state: &TxnState| {
            let staged = state.staged.borrow();
            staged.as_ref().is_some_and(|s| s.touches(tree))
                || state.writes.borrow().has_between(tree, lower, upper)
        };
        self.spoil_by_in_flight(txn, meets);
    }

    /// Commits in flight after the snapshot have changed what is being read.
    pub(super) fn spoil_by_in_flight(&self, txn: &TxnRef, meets: impl Fn(&TxnState) -> bool) {
        let newer = self.in_flight.borrow().iter().any(|((ts, xid), state)| {
            let after = *ts > txn.snapshot || state.decided.get().is_some_and(|d| d > txn.snapshot);
            *xid != txn.xid && after && meets(state)
        });
        if newer {
            self.reads.spoilt(txn.xid);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Stop;
    use super::super::writes::WriteSet;
    use super::*;

    const TREE: TreeId = TreeId(7);

    fn txn(xid: u64) -> TxnRef {
        TxnRef {
            xid: Xid(xid),
            snapshot: Ts(xid),
            isolation: Isolation::Serializable,
            savepoint: 0,
            apart: 0,
            stop: Stop::at(None),
        }
    }

    fn writer(xid: u64, key: &[u8]) -> TxnState {
        let state = TxnState::new(Xid(xid), WriteSet::default());
        state.serializable.set(true);
        state.write(TREE, key.to_vec(), None).unwrap();
        state
    }

    #[test]
    fn keys_and_spans_are_spoilt_by_what_lies_in_them_alone() {
        let reads = Reads::default();
        reads.key(&txn(1), TREE, b"k");
        reads.span(&txn(2), TREE, b"a", Some(b"c"));
        reads.span(&txn(3), TreeId(8), b"", None);
        for (key, spoils) in [
            (&b"c"[..], None),
            (b"b", Some(2)),
            (b"a", Some(2)),
            (b"k", Some(1)),
        ] {
            reads.wrote(&writer(9, key)).unwrap();
            for xid in 1..=3 {
                let spoilt = reads.state.borrow().readers[&Xid(xid)].spoilt;
                assert_eq!(spoilt, spoils == Some(xid), "{key:?} {xid}");
            }
            for reader in reads.state.borrow_mut().readers.values_mut() {
                reader.spoilt = false;
            }
        }
        reads.wrote(&writer(1, b"k")).unwrap();
        reads.validate(Xid(1)).unwrap();
    }

    #[test]
    fn a_validated_read_set_stops_serializable_writers_until_it_ends() {
        let reads = Reads::default();
        reads.key(&txn(1), TREE, b"k");
        reads.key(&txn(2), TREE, b"k");
        reads.validate(Xid(1)).unwrap();
        let e = reads.wrote(&writer(2, b"k")).unwrap_err();
        assert_eq!(e.code(), SqlState::SERIALIZATION_FAILURE);
        let weaker = writer(4, b"k");
        weaker.serializable.set(false);
        reads.wrote(&weaker).unwrap();
        assert!(reads.validate(Xid(2)).is_err(), "spoilt by the weaker one");
        reads.forget_below(Ts(100));
        assert_eq!(reads.len(), 1, "the validated one stays");
        reads.end(Xid(1));
        assert!(reads.is_empty() && reads.state.borrow().points.is_empty());
        reads.wrote(&writer(2, b"k")).unwrap();
    }

    #[test]
    fn one_key_or_span_over_the_ceiling_is_the_whole_tree() {
        let reads = Reads::default();
        let key = |n: usize| (n as u32 * 2).to_be_bytes();
        for n in 0..POINTS_MAX {
            reads.key(&txn(1), TREE, &key(n));
            reads.key(&txn(1), TREE, &key(n));
        }
        for n in 0..SPANS_MAX {
            reads.span(&txn(2), TREE, &key(n), Some(&key(n + 1)));
            reads.span(&txn(2), TREE, &key(n), Some(&key(n + 1)));
        }
        let met = |xid| {
            let spoilt = reads.wrote(&writer(9, b"\xff"));
            spoilt.is_ok() && reads.state.borrow().readers[&Xid(xid)].spoilt
        };
        assert!(!met(1) && !met(2));
        reads.key(&txn(1), TREE, &key(POINTS_MAX));
        reads.span(&txn(2), TREE, &key(SPANS_MAX), Some(&key(SPANS_MAX + 1)));
        assert!(met(1) && met(2));
        assert!(reads.state.borrow().points.is_empty());
    }
}
