//! The checker of histories over registers, which keep only what was written last: who read a version and then wrote the key
//! put the new version after it, and all come after nothing. What is not known of the order is not guessed.

use super::anomaly::{Anomaly, Name};
use super::graph::{Graph, Why};
use super::history::{Op, Outcome, Txn};
use super::lists::counted;
use std::collections::{HashMap, HashSet};

pub type Registers = HashMap<u64, Option<u64>>;

/// A version of a key; `None` is what there was at the beginning.
type Version = Option<u64>;

/// Everything wrong with a history whose registers ended as `last`, by whatever level.
pub fn check(history: &[Txn], last: &Registers) -> Vec<Anomaly> {
    // Only what somebody has read or what is left shows that one whose end is not known committed.
    let mut witnessed: HashSet<u64> = last.values().filter_map(|n| *n).collect();
    for txn in history.iter().filter(|t| t.outcome == Outcome::Committed) {
        witnessed.extend(txn.ops.iter().filter_map(|op| match op {
            Op::Register { seen, .. } => *seen,
            Op::Append { .. } | Op::List { .. } | Op::Write { .. } => None,
        }));
    }
    let txns = counted(history, |txn| {
        txn.writes().any(|(_, n)| witnessed.contains(&n))
    });
    let checker = Checker::new(&txns, history);
    let mut found = Vec::new();
    for (t, txn) in txns.iter().enumerate() {
        found.extend(checker.read(t, txn));
    }
    for (key, n) in last {
        found.extend(checker.foreign(*key, *n));
        if n.is_none_or(|n| checker.overwritten(*key, n)) && checker.is_written(*key) {
            found.push(Anomaly::new(
                Name::LostWrite,
                format!("{key} ends as {n:?}"),
            ));
        }
    }
    if found.is_empty() {
        found = checker.graph().anomalies();
        found.extend(checker.lost_updates());
    }
    found
}

struct Checker<'a> {
    txns: &'a [&'a Txn],
    writer: HashMap<u64, usize>,
    rolled_back: HashSet<u64>,
    /// By key and version: the transactions that read it from others, and the versions known to come after it.
    readers: HashMap<(u64, Version), HashSet<usize>>,
    after: HashMap<(u64, Version), HashSet<u64>>,
}

impl<'a> Checker<'a> {
    fn new(txns: &'a [&'a Txn], history: &[Txn]) -> Checker<'a> {
        let mut checker = Checker {
            txns,
            writer: HashMap::new(),
            rolled_back: HashSet::new(),
            readers: HashMap::new(),
            after: HashMap::new(),
        };
        for txn in history.iter().filter(|t| t.outcome == Outcome::RolledBack) {
            checker.rolled_back.extend(txn.writes().map(|(_, n)| n));
        }
        for (t, txn) in txns.iter().enumerate() {
            checker.writer.extend(txn.writes().map(|(_, n)| (n, t)));
            checker.ordered(t, txn);
        }
        checker
    }

    /// Notes what it read of others, and what it wrote after that.
    fn ordered(&mut self, t: usize, txn: &Txn) {
        let mut seen_of: HashMap<u64, Version> = HashMap::new();
        for op in &txn.ops {
            match op {
                Op::Register { key, seen } => {
                    let own = seen.is_some_and(|n| txn.written(*key).any(|w| w == n));
                    if !own {
                        self.readers.entry((*key, *seen)).or_default().insert(t);
                        seen_of.insert(*key, *seen);
                    }
                }
                Op::Write { key, .. } => {
                    // The last of its writes is the version that others get to see.
                    let Some(n) = txn.written(*key).last() else {
                        continue;
                    };
                    let base = seen_of.get(key).copied().flatten();
                    self.after.entry((*key, base)).or_default().insert(n);
                    self.after.entry((*key, None)).or_default().insert(n);
                }
                Op::Append { .. } | Op::List { .. } => {}
            }
        }
    }

    fn is_written(&self, key: u64) -> bool {
        self.after.contains_key(&(key, None))
    }

    fn overwritten(&self, key: u64, n: u64) -> bool {
        self.after.contains_key(&(key, Some(n)))
    }

    fn foreign(&self, key: u64, n: Version) -> Option<Anomaly> {
        let n = n.filter(|n| !self.writer.contains_key(n))?;
        let name = match self.rolled_back.contains(&n) {
            true => Name::G1a,
            false => Name::Garbage,
        };
        Some(Anomaly::new(name, format!("{n} of {key}")))
    }

    fn read(&self, t: usize, txn: &Txn) -> Vec<Anomaly> {
        let mut found = Vec::new();
        let mut own: HashMap<u64, u64> = HashMap::new();
        for op in &txn.ops {
            match op {
                Op::Write { key, n } => drop(own.insert(*key, *n)),
                Op::Register { key, seen } => match own.get(key) {
                    Some(n) if *seen != Some(*n) => {
                        found.push(Anomaly::new(Name::Internal, format!("{key}: {txn}")));
                    }
                    Some(_) => {}
                    None => found.extend(self.read_of_others(t, txn, *key, *seen)),
                },
                Op::Append { .. } | Op::List { .. } => {}
            }
        }
        found
    }

    fn read_of_others(&self, t: usize, txn: &Txn, key: u64, seen: Version) -> Option<Anomaly> {
        if let Some(foreign) = self.foreign(key, seen) {
            return Some(foreign);
        }
        let writer = *self.writer.get(&seen?)?;
        if writer == t {
            return Some(Anomaly::new(Name::Internal, format!("{key}: {txn}")));
        }
        let last = self.txns[writer].written(key).last();
        (last != seen).then(|| Anomaly::new(Name::G1b, format!("{key}: {txn}")))
    }

    /// A version that two transactions have read and then written over.
    fn lost_updates(&self) -> Vec<Anomaly> {
        let mut found = Vec::new();
        for ((key, version), readers) in &self.readers {
            let after = self.after.get(&(*key, *version));
            let writers = after.into_iter().flatten().map(|n| self.writer[n]);
            let both: HashSet<usize> = writers.filter(|t| readers.contains(t)).collect();
            let read_it_last = |t: &&usize| self.base(**t, *key) == Some(*version);
            let both: Vec<&usize> = both.iter().filter(read_it_last).collect();
            if let [first, second, ..] = both.as_slice() {
                let shown_by = format!("{key}: {} and {}", self.txns[**first], self.txns[**second]);
                found.push(Anomaly::new(Name::LostUpdate, shown_by));
            }
        }
        found
    }

    /// The version that a transaction read before it wrote the key.
    fn base(&self, t: usize, key: u64) -> Option<Version> {
        let mut base = None;
        for op in &self.txns[t].ops {
            match op {
                Op::Register { key: k, seen } if *k == key => base = Some(*seen),
                Op::Write { key: k, .. } if *k == key => return base,
                _ => {}
            }
        }
        None
    }

    fn graph(&self) -> Graph<'a> {
        let mut graph = Graph::new(self.txns);
        for ((key, version), readers) in &self.readers {
            if let Some(n) = version {
                for t in readers {
                    graph.add(self.writer[n], Why::Wr(*key), *t);
                }
            }
        }
        for ((key, version), after) in &self.after {
            let writers: HashSet<usize> = after.iter().map(|n| self.writer[n]).collect();
            if let Some(n) = version {
                for to in &writers {
                    graph.add(self.writer[n], Why::Ww(*key), *to);
                }
            }
            for t in self.readers.get(&(*key, *version)).into_iter().flatten() {
                for to in &writers {
                    graph.add(*t, Why::Rw(*key), *to);
                }
            }
        }
        graph
    }
}
