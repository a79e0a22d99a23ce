//! The checker of histories over lists that only grow: a list's final order tells everything about who wrote after whom.

use super::anomaly::{Anomaly, Name};
use super::graph::{Graph, Why};
use super::history::{Op, Outcome, Txn};
use std::collections::{HashMap, HashSet};

pub type Lists = HashMap<u64, Vec<u64>>;

/// What of a history counts: whatever is there of one that nobody has heard the end of shows that it committed.
pub fn counted(history: &[Txn], there: impl Fn(&Txn) -> bool) -> Vec<&Txn> {
    let counts = |txn: &&Txn| match txn.outcome {
        Outcome::Committed => true,
        Outcome::RolledBack => false,
        Outcome::Unknown => there(txn),
    };
    history.iter().filter(counts).collect()
}

/// Everything wrong with a history whose lists ended as `last`, by whatever level.
pub fn check(history: &[Txn], last: &Lists) -> Vec<Anomaly> {
    let none = Vec::new();
    let order = |key: u64| last.get(&key).unwrap_or(&none);
    let txns = counted(history, |txn| {
        txn.writes().any(|(key, n)| order(key).contains(&n))
    });
    let checker = Checker::new(&txns, history, last);
    let mut found = checker.written();
    for (t, txn) in txns.iter().enumerate() {
        found.extend(checker.read(t, txn));
    }
    // Without an order of the writes there is nothing to make a graph of.
    if found.is_empty() {
        found = checker.graph().anomalies();
        found.extend(checker.intermediate());
    }
    found
}

struct Checker<'a> {
    txns: &'a [&'a Txn],
    last: &'a Lists,
    writer: HashMap<u64, usize>,
    rolled_back: HashSet<u64>,
}

impl<'a> Checker<'a> {
    fn new(txns: &'a [&'a Txn], history: &[Txn], last: &'a Lists) -> Checker<'a> {
        let mut writer = HashMap::new();
        for (t, txn) in txns.iter().enumerate() {
            writer.extend(txn.writes().map(|(_, n)| (n, t)));
        }
        let aborted = history
            .iter()
            .filter(|t| t.outcome == Outcome::RolledBack)
            .flat_map(|t| t.writes().map(|(_, n)| n));
        Checker {
            txns,
            last,
            writer,
            rolled_back: aborted.collect(),
        }
    }

    fn order(&self, key: u64) -> &[u64] {
        self.last.get(&key).map_or(&[], Vec::as_slice)
    }

    /// Whether the final lists have what was committed, once each, and nothing else.
    fn written(&self) -> Vec<Anomaly> {
        let mut found = Vec::new();
        for txn in self.txns {
            for (key, n) in txn.writes() {
                if !self.order(key).contains(&n) {
                    found.push(Anomaly::new(
                        Name::LostWrite,
                        format!("{n} of {key}: {txn}"),
                    ));
                }
            }
        }
        for (key, order) in self.last {
            let mut once = HashSet::new();
            for n in order {
                found.extend(self.foreign(*key, *n));
                if !once.insert(n) {
                    found.push(Anomaly::new(Name::Garbage, format!("{n} of {key}, twice")));
                }
            }
        }
        found
    }

    /// A number that no committed transaction has written.
    fn foreign(&self, key: u64, n: u64) -> Option<Anomaly> {
        if self.writer.contains_key(&n) {
            return None;
        }
        let name = match self.rolled_back.contains(&n) {
            true => Name::G1a,
            false => Name::Garbage,
        };
        Some(Anomaly::new(name, format!("{n} of {key}")))
    }

    /// Each read without the transaction's own numbers, which come last.
    fn others(&self, txn: &Txn) -> Vec<(u64, Vec<u64>, bool)> {
        let mut own: HashMap<u64, Vec<u64>> = HashMap::new();
        let mut reads = Vec::new();
        for op in &txn.ops {
            match op {
                Op::Append { key, n } => own.entry(*key).or_default().push(*n),
                Op::List { key, seen } => {
                    let own = own.get(key).map_or(&[][..], Vec::as_slice);
                    let others = seen.strip_suffix(own);
                    reads.push((*key, others.unwrap_or(seen).to_vec(), others.is_some()));
                }
                Op::Write { .. } | Op::Register { .. } => {}
            }
        }
        reads
    }

    fn read(&self, t: usize, txn: &Txn) -> Vec<Anomaly> {
        let mut found = Vec::new();
        for (key, seen, own_are_last) in self.others(txn) {
            let own = seen.iter().any(|n| self.writer.get(n) == Some(&t));
            if !own_are_last || own {
                found.push(Anomaly::new(Name::Internal, format!("{key}: {txn}")));
                continue;
            }
            let foreign: Vec<_> = seen.iter().filter_map(|n| self.foreign(key, *n)).collect();
            if foreign.is_empty() && !self.order(key).starts_with(&seen) {
                let shown_by = format!("{key} is {:?}: {txn}", self.order(key));
                found.push(Anomaly::new(Name::IncompatibleOrder, shown_by));
            }
            found.extend(foreign);
        }
        found
    }

    /// Reads that end in the midst of what one other transaction has written.
    fn intermediate(&self) -> Vec<Anomaly> {
        let mut found = Vec::new();
        for txn in self.txns {
            for (key, seen, _) in self.others(txn) {
                let before = seen.last().map(|n| self.writer[n]);
                let after = self.order(key).get(seen.len()).map(|n| self.writer[n]);
                if before.is_some() && before == after {
                    found.push(Anomaly::new(Name::G1b, format!("{key}: {txn}")));
                }
            }
        }
        found
    }

    fn graph(&self) -> Graph<'a> {
        let mut graph = Graph::new(self.txns);
        for (key, order) in self.last {
            for pair in order.windows(2) {
                graph.add(self.writer[&pair[0]], Why::Ww(*key), self.writer[&pair[1]]);
            }
        }
        for (t, txn) in self.txns.iter().enumerate() {
            for (key, seen, _) in self.others(txn) {
                if let Some(n) = seen.last() {
                    graph.add(self.writer[n], Why::Wr(key), t);
                }
                if let Some(n) = self.order(key).get(seen.len()) {
                    graph.add(t, Why::Rw(key), self.writer[n]);
                }
            }
        }
        graph
    }
}
