//! What clients have seen: transactions in the words of their operations, with when they began and ended.
//!
//! A history may be written down, a line a transaction, and read from that: `0-9 ok r1[2] a1:3` began at 0, ended at 9,
//! committed, read key 1 as the list `[2]` and appended 3 to it. `w1:4` writes a register, `r1=4` reads one, `r1=nil` reads
//! that nobody has written it. `fail` was rolled back; of `info` nobody knows.

use std::fmt;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    ReadCommitted,
    RepeatableRead,
    Serializable,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    Committed,
    RolledBack,
    /// The server was gone before it answered.
    Unknown,
}

/// Every number is written once in a history.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Op {
    Append { key: u64, n: u64 },
    List { key: u64, seen: Vec<u64> },
    Write { key: u64, n: u64 },
    Register { key: u64, seen: Option<u64> },
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Txn {
    /// Since the start of the history, in whatever unit.
    pub began: u64,
    pub ended: u64,
    pub outcome: Outcome,
    pub ops: Vec<Op>,
}

impl Txn {
    /// A line of a written history.
    pub fn parse(line: &str) -> Txn {
        let mut words = line.split_whitespace();
        let (began, ended) = words.next().and_then(|w| w.split_once('-')).expect(line);
        let outcome = match words.next() {
            Some("ok") => Outcome::Committed,
            Some("fail") => Outcome::RolledBack,
            Some("info") => Outcome::Unknown,
            other => panic!("{other:?} in {line}"),
        };
        Txn {
            began: began.parse().expect(line),
            ended: ended.parse().expect(line),
            outcome,
            ops: words.map(op).collect(),
        }
    }

    /// What it wrote to a key, in order.
    pub fn written(&self, key: u64) -> impl Iterator<Item = u64> {
        self.writes()
            .filter(move |(k, _)| *k == key)
            .map(|(_, n)| n)
    }

    /// Keys and numbers, in order.
    pub fn writes(&self) -> impl Iterator<Item = (u64, u64)> {
        self.ops.iter().filter_map(|op| match op {
            Op::Append { key, n } | Op::Write { key, n } => Some((*key, *n)),
            Op::List { .. } | Op::Register { .. } => None,
        })
    }
}

fn op(word: &str) -> Op {
    let number = |text: &str| text.parse::<u64>().expect(word);
    let rest = &word[1..];
    if let Some((key, n)) = rest.split_once(':') {
        let (key, n) = (number(key), number(n));
        return match word.starts_with('a') {
            true => Op::Append { key, n },
            false => Op::Write { key, n },
        };
    }
    if let Some((key, seen)) = rest.split_once('=') {
        let seen = (seen != "nil").then(|| number(seen));
        let key = number(key);
        return Op::Register { key, seen };
    }
    let (key, seen) = list(rest);
    Op::List { key, seen }
}

/// `1[2,3]`
pub fn list(text: &str) -> (u64, Vec<u64>) {
    let (key, seen) = text.split_once('[').expect(text);
    let seen = seen.trim_end_matches(']').split(',');
    let seen = seen
        .filter(|n| !n.is_empty())
        .map(|n| n.parse().expect(text));
    (key.parse().expect(text), seen.collect())
}

impl fmt::Display for Txn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = match self.outcome {
            Outcome::Committed => "ok",
            Outcome::RolledBack => "fail",
            Outcome::Unknown => "info",
        };
        write!(f, "{}-{} {outcome}", self.began, self.ended)?;
        for op in &self.ops {
            match op {
                Op::Append { key, n } => write!(f, " a{key}:{n}")?,
                Op::Write { key, n } => write!(f, " w{key}:{n}")?,
                Op::Register { key, seen: Some(n) } => write!(f, " r{key}={n}")?,
                Op::Register { key, seen: None } => write!(f, " r{key}=nil")?,
                Op::List { key, seen } => {
                    let seen: Vec<String> = seen.iter().map(u64::to_string).collect();
                    write!(f, " r{key}[{}]", seen.join(","))?;
                }
            }
        }
        Ok(())
    }
}

#[test]
fn a_history_reads_as_it_is_written() {
    for line in [
        "0-9 ok r1[2,3] a1:4 r2[]",
        "3-4 fail w1:7 r1=7 r2=nil",
        "1-2 info",
    ] {
        assert_eq!(Txn::parse(line).to_string(), line);
    }
}
