//! Who comes before whom, and the circles in it.
//!
//! Transactions are nodes. An edge says why one comes before another: it wrote what the other wrote over (ww) or read (wr), it
//! read what the other wrote over (rw), or it ended before the other began (rt). Time has nodes of its own, one for each end,
//! so that there are as many edges as transactions and not their square.

use super::anomaly::{Anomaly, Name};
use super::history::Txn;
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Why {
    Ww(u64),
    Wr(u64),
    Rw(u64),
    Rt,
}

type Edge = (usize, Why, usize);

pub struct Graph<'a> {
    txns: &'a [&'a Txn],
    next: Vec<Vec<(Why, usize)>>,
    seen: HashSet<Edge>,
}

/// What a circle has to look like.
struct Shape {
    name: Name,
    first: fn(Why) -> bool,
    rest: fn(Why) -> bool,
    /// No anti-dependency next to another.
    apart: bool,
}

impl Shape {
    fn rw_min(&self) -> usize {
        match self.name {
            Name::LongFork | Name::LongForkRealTime | Name::G2Item | Name::G2ItemRealTime => 2,
            _ => 0,
        }
    }
}

fn count(circle: &[Edge], kind: fn(Why) -> bool) -> usize {
    circle.iter().filter(|(_, why, _)| kind(*why)).count()
}

fn ww(why: Why) -> bool {
    matches!(why, Why::Ww(_))
}

fn wr(why: Why) -> bool {
    matches!(why, Why::Wr(_))
}

fn rw(why: Why) -> bool {
    matches!(why, Why::Rw(_))
}

fn rt(why: Why) -> bool {
    why == Why::Rt
}

/// Without time, and with it.
const SHAPES: [(Shape, Shape); 5] = [
    (
        shape(Name::G0, ww, ww),
        shape(Name::G0RealTime, ww, |w| ww(w) || rt(w)),
    ),
    (
        shape(Name::G1c, wr, |w| ww(w) || wr(w)),
        shape(Name::G1cRealTime, wr, |w| !rw(w)),
    ),
    (
        shape(Name::GSingle, rw, |w| ww(w) || wr(w)),
        shape(Name::GSingleRealTime, rw, |w| !rw(w)),
    ),
    (
        apart(Name::LongFork, |w| !rt(w)),
        apart(Name::LongForkRealTime, |_| true),
    ),
    (
        shape(Name::G2Item, rw, |w| !rt(w)),
        shape(Name::G2ItemRealTime, rw, |_| true),
    ),
];

const STALE: Shape = shape(Name::StaleRead, rw, rt);

const fn shape(name: Name, first: fn(Why) -> bool, rest: fn(Why) -> bool) -> Shape {
    Shape {
        name,
        first,
        rest,
        apart: false,
    }
}

const fn apart(name: Name, rest: fn(Why) -> bool) -> Shape {
    Shape {
        name,
        first: rw,
        rest,
        apart: true,
    }
}

impl<'a> Graph<'a> {
    pub fn new(txns: &'a [&'a Txn]) -> Graph<'a> {
        let mut graph = Graph {
            txns,
            next: vec![Vec::new(); txns.len()],
            seen: HashSet::new(),
        };
        graph.time();
        graph
    }

    pub fn add(&mut self, from: usize, why: Why, to: usize) {
        if from != to && self.seen.insert((from, why, to)) {
            self.next[from].push((why, to));
        }
    }

    /// A chain of the ends, which each begin hangs on.
    fn time(&mut self) {
        let known = |t: &usize| self.txns[*t].outcome == super::history::Outcome::Committed;
        let mut ends: Vec<usize> = (0..self.txns.len()).filter(known).collect();
        ends.sort_by_key(|t| self.txns[*t].ended);
        let first = self.next.len();
        self.next.resize(first + ends.len(), Vec::new());
        for (n, t) in ends.iter().enumerate() {
            self.add(*t, Why::Rt, first + n);
            if n > 0 {
                self.add(first + n - 1, Why::Rt, first + n);
            }
        }
        for (t, txn) in self.txns.iter().enumerate() {
            let before = ends.partition_point(|e| self.txns[*e].ended < txn.began);
            if before > 0 {
                self.add(first + before - 1, Why::Rt, t);
            }
        }
    }

    /// One circle of every shape there is, in each part that has circles.
    pub fn anomalies(&self) -> Vec<Anomaly> {
        let mut found = Vec::new();
        for part in self.parts() {
            for (plain, timed) in &SHAPES {
                let circle = self.circle(&part, plain);
                let (shape, circle) = match circle {
                    Some(circle) => (plain, Some(circle)),
                    None => (timed, self.circle(&part, timed)),
                };
                found.extend(circle.map(|c| self.anomaly(shape.name, &c)));
            }
            found.extend(self.lost_update(&part));
            let stale = self.circle(&part, &STALE);
            found.extend(stale.map(|c| self.anomaly(Name::StaleRead, &c)));
        }
        found
    }

    fn anomaly(&self, name: Name, circle: &[Edge]) -> Anomaly {
        let text = |(from, why, _): &Edge| match self.txns.get(*from) {
            Some(txn) => format!("({txn}) -{why:?}->"),
            None => "time ->".to_owned(),
        };
        let shown_by: Vec<String> = circle.iter().map(text).collect();
        Anomaly::new(name, shown_by.join(" "))
    }

    /// Two transactions, each before the other in one key: by what it read, and by what it wrote.
    fn lost_update(&self, part: &BTreeSet<usize>) -> Option<Anomaly> {
        for from in part {
            for (why, to) in &self.next[*from] {
                if let Why::Rw(key) = *why
                    && self.seen.contains(&(*to, Why::Ww(key), *from))
                {
                    let circle = [(*from, *why, *to), (*to, Why::Ww(key), *from)];
                    return Some(self.anomaly(Name::LostUpdate, &circle));
                }
            }
        }
        None
    }

    /// A shortest circle of the shape, from whichever edge is found first.
    fn circle(&self, part: &BTreeSet<usize>, shape: &Shape) -> Option<Vec<Edge>> {
        for from in part {
            for (why, to) in &self.next[*from] {
                if (shape.first)(*why)
                    && part.contains(to)
                    && let Some(mut way) = self.way(part, shape, *to, *from)
                {
                    way.insert(0, (*from, *why, *to));
                    // A shorter one has been named by the shape before.
                    if count(&way, rw) >= shape.rw_min() {
                        return Some(way);
                    }
                }
            }
        }
        None
    }

    /// From where the first edge of a circle leads, back to where it began. A place is a node and whether an
    /// anti-dependency led there.
    fn way(
        &self,
        part: &BTreeSet<usize>,
        shape: &Shape,
        start: usize,
        goal: usize,
    ) -> Option<Vec<Edge>> {
        let begin = (start, shape.apart);
        let mut came: HashMap<(usize, bool), (usize, bool, Why)> = HashMap::new();
        let mut queue = VecDeque::from([begin]);
        while let Some((node, after_rw)) = queue.pop_front() {
            for (why, to) in &self.next[node] {
                let is_rw = shape.apart && rw(*why);
                let fits = (shape.rest)(*why) && part.contains(to) && !(after_rw && is_rw);
                if !fits {
                    continue;
                }
                if *to == goal && !is_rw {
                    let mut way = vec![(node, *why, *to)];
                    let mut at = (node, after_rw);
                    while at != begin {
                        let (from, flag, why) = came[&at];
                        way.push((from, why, at.0));
                        at = (from, flag);
                    }
                    way.reverse();
                    return Some(way);
                }
                let place = (*to, is_rw);
                if place != begin && !came.contains_key(&place) {
                    came.insert(place, (node, after_rw, *why));
                    queue.push_back(place);
                }
            }
        }
        None
    }

    /// The strongly connected parts of more than one node: where circles are. Tarjan 1972, without recursion.
    fn parts(&self) -> Vec<BTreeSet<usize>> {
        const NEW: usize = usize::MAX;
        let count = self.next.len();
        let (mut index, mut low) = (vec![NEW; count], vec![0; count]);
        let (mut on_stack, mut stack) = (vec![false; count], Vec::new());
        let (mut parts, mut counter) = (Vec::new(), 0);
        for root in 0..count {
            if index[root] != NEW {
                continue;
            }
            let mut work = vec![(root, 0)];
            while let Some((node, edge)) = work.pop() {
                if edge == 0 {
                    (index[node], low[node]) = (counter, counter);
                    counter += 1;
                    stack.push(node);
                    on_stack[node] = true;
                }
                if let Some((_, to)) = self.next[node].get(edge) {
                    work.push((node, edge + 1));
                    if index[*to] == NEW {
                        work.push((*to, 0));
                    } else if on_stack[*to] {
                        low[node] = low[node].min(index[*to]);
                    }
                    continue;
                }
                if let Some((parent, _)) = work.last() {
                    low[*parent] = low[*parent].min(low[node]);
                }
                if low[node] == index[node] {
                    let mut part = BTreeSet::new();
                    while let Some(member) = stack.pop() {
                        on_stack[member] = false;
                        part.insert(member);
                        if member == node {
                            break;
                        }
                    }
                    parts.extend((part.len() > 1).then_some(part));
                }
            }
        }
        parts
    }
}
