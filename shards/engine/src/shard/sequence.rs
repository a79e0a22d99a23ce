//! The states of sequences: how far each has got.
//!
//! Owns: the states of those whose home one of this shard's partitions is, in memory and in the partition's tree `SEQUENCES`
//! (key: the number of the state, big endian; docs/format.md). Asked by: the router, for nextval and its like. Never: rolls
//! back. What is durable runs `AHEAD` values before what is given out, as in PostgreSQL (`SEQ_LOG_VALS`): a crash loses at
//! most so many, none is given twice, and most calls write nothing. A state that was never written is the definition's first.
//! Bounds: one entry a sequence. Source: PostgreSQL 15, `sequence.c`.

use super::call::{Reply, SequenceAct, SequenceCall};
use super::{Shard, ShardReply};
use crate::catalog::{Sequence, stored};
use crate::txn::commit::Decides;
use crate::txn::{Isolation, Partition, Stop, TxnRef};
use runtime::sync::Notify;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use types::{Error, PartitionId, Result, SqlState};

/// Values made durable ahead of those given out.
const AHEAD: u32 = 32;
/// Values of one call: a session's cache.
const VALUES_MAX: u32 = 1_000;
const FORM: u8 = 1;

/// Which partition keeps a state.
pub fn home(state: u32, partitions: u16) -> PartitionId {
    PartitionId((state % u32::from(partitions.max(1))) as u16)
}

#[derive(Default)]
pub struct Sequences {
    states: RefCell<HashMap<u32, Rc<State>>>,
}

struct State {
    now: RefCell<Now>,
    changed: Notify,
}

struct Now {
    at: Option<Position>,
    /// Values that may be given out before the next is made durable.
    ahead: u32,
    /// Those were counted with this definition's steps.
    counted: Option<Steps>,
    /// Somebody reads or writes it durably.
    busy: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Position {
    last: i64,
    /// `last` has been given.
    called: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Steps {
    increment: i64,
    min: i64,
    max: i64,
    cycle: bool,
}

impl Steps {
    fn of(s: &Sequence) -> Steps {
        Steps {
            increment: s.increment,
            min: s.min,
            max: s.max,
            cycle: s.cycle,
        }
    }

    /// `None` at the end of a sequence that does not cycle.
    fn next(&self, at: Position) -> Option<i64> {
        if !at.called {
            return Some(at.last);
        }
        let next = at.last.checked_add(self.increment);
        match next.filter(|n| (self.min..=self.max).contains(n)) {
            Some(next) => Some(next),
            None if self.cycle && self.increment > 0 => Some(self.min),
            None if self.cycle => Some(self.max),
            None => None,
        }
    }
}

/// The turn of whoever reads or writes a state durably; given back also when its call is dropped.
struct Turn<'a>(&'a State);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.now.borrow_mut().busy = false;
        self.0.changed.notify_all();
    }
}

impl State {
    async fn turn(&self) -> Turn<'_> {
        while self.now.borrow().busy {
            self.changed.notified().await;
        }
        self.now.borrow_mut().busy = true;
        Turn(self)
    }
}

impl Shard {
    pub(super) async fn sequence(&self, p: &Rc<Partition>, call: SequenceCall) -> ShardReply {
        let sequence = &*call.sequence;
        let state = self.sequences.state(sequence.state);
        match call.act {
            SequenceAct::Next { count } => {
                let count = count.clamp(1, VALUES_MAX);
                loop {
                    if let Some(values) = take(&state, sequence, count)? {
                        return Ok(Reply::Sequence {
                            values,
                            called: true,
                        });
                    }
                    self.fill(p, &state, sequence, count).await?;
                }
            }
            SequenceAct::Set { value, called } => {
                let _turn = state.turn().await;
                let at = Position {
                    last: value,
                    called,
                };
                self.write(p, sequence.state, Some(at)).await?;
                let mut now = state.now.borrow_mut();
                (now.at, now.ahead) = (Some(at), 0);
                Ok(Reply::Done)
            }
            SequenceAct::Forget => {
                let _turn = state.turn().await;
                let kept = p.stored(stored::SEQUENCES, &key(sequence.state)).await?;
                if kept.is_some_and(|(_, payload)| payload.is_some()) {
                    self.write(p, sequence.state, None).await?;
                }
                let mut now = state.now.borrow_mut();
                (now.at, now.ahead, now.counted) = (None, 0, None);
                Ok(Reply::Done)
            }
            SequenceAct::Look => {
                let _turn = state.turn().await;
                let at = self.position(p, &state, sequence).await?;
                Ok(Reply::Sequence {
                    values: vec![at.last],
                    called: at.called,
                })
            }
        }
    }

    /// Makes at least `count` values durable, and some more.
    async fn fill(
        &self,
        p: &Rc<Partition>,
        state: &State,
        sequence: &Sequence,
        count: u32,
    ) -> Result<()> {
        let _turn = state.turn().await;
        let mut at = self.position(p, state, sequence).await?;
        let steps = Steps::of(sequence);
        {
            let now = state.now.borrow();
            if now.counted == Some(steps) && now.ahead >= count {
                return Ok(());
            }
        }
        let mut ahead = 0;
        while ahead < count + AHEAD
            && let Some(last) = steps.next(at)
        {
            at = Position { last, called: true };
            ahead += 1;
        }
        if ahead > 0 {
            self.write(p, sequence.state, Some(at)).await?;
        }
        let mut now = state.now.borrow_mut();
        (now.ahead, now.counted) = (ahead, Some(steps));
        Ok(())
    }

    /// Where the sequence is; with its turn.
    async fn position(
        &self,
        p: &Rc<Partition>,
        state: &State,
        sequence: &Sequence,
    ) -> Result<Position> {
        if let Some(at) = state.now.borrow().at {
            return Ok(at);
        }
        let stored = p.stored(stored::SEQUENCES, &key(sequence.state)).await?;
        let at = match stored.and_then(|(_, payload)| payload) {
            Some(bytes) => decode(&bytes)?,
            None => Position {
                last: sequence.first,
                called: sequence.first_given,
            },
        };
        state.now.borrow_mut().at = Some(at);
        Ok(at)
    }

    async fn write(&self, p: &Rc<Partition>, state: u32, at: Option<Position>) -> Result<()> {
        let by = TxnRef {
            xid: self.new_xid(),
            snapshot: self.clock.now(),
            isolation: Isolation::ReadCommitted,
            savepoint: 0,
            apart: 0,
            stop: Stop::at(None),
        };
        let txn = p.txn(&by);
        let cell = at.map(encode).transpose()?;
        let written = txn.write(stored::SEQUENCES, key(state), cell);
        if let Err(e) = written {
            p.abort(by.xid);
            return Err(e);
        }
        p.commit(by.xid, Decides::default()).await.map(|_| ())
    }

    /// What was made durable ahead and not given out is taken back: after an orderly stop no value is missing.
    pub(super) async fn settle_sequences(&self) -> Result<()> {
        let states: Vec<(u32, Rc<State>)> = {
            let all = self.sequences.states.borrow();
            all.iter().map(|(id, state)| (*id, state.clone())).collect()
        };
        for (id, state) in states {
            let _turn = state.turn().await;
            let at = {
                let now = state.now.borrow();
                now.at.filter(|_| now.ahead > 0)
            };
            let home = home(id, self.partition_count);
            if let (Some(at), Some(p)) = (at, self.partitions.get(&home))
                && p.fenced().is_none()
            {
                self.write(p, id, Some(at)).await?;
                state.now.borrow_mut().ahead = 0;
            }
        }
        Ok(())
    }
}

impl Sequences {
    fn state(&self, id: u32) -> Rc<State> {
        let new = || {
            Rc::new(State {
                now: RefCell::new(Now {
                    at: None,
                    ahead: 0,
                    counted: None,
                    busy: false,
                }),
                changed: Notify::new(),
            })
        };
        let mut states = self.states.borrow_mut();
        states.entry(id).or_insert_with(new).clone()
    }
}

/// Up to `count` values, if so many are durable. 2200H at the end.
fn take(state: &State, sequence: &Sequence, count: u32) -> Result<Option<Vec<i64>>> {
    let mut now = state.now.borrow_mut();
    let steps = Steps::of(sequence);
    let (Some(mut at), false) = (now.at, now.busy) else {
        return Ok(None);
    };
    if steps.next(at).is_none() {
        return Err(exhausted(sequence));
    }
    if now.counted != Some(steps) {
        now.ahead = 0;
    }
    let mut values = Vec::new();
    while (values.len() as u32) < count
        && let Some(next) = steps.next(at)
    {
        values.push(next);
        at = Position {
            last: next,
            called: true,
        };
    }
    if now.ahead < values.len() as u32 {
        return Ok(None);
    }
    now.ahead -= values.len() as u32;
    now.at = Some(at);
    Ok(Some(values))
}

fn exhausted(sequence: &Sequence) -> Error {
    let (end, limit) = match sequence.increment > 0 {
        true => ("maximum", sequence.max),
        false => ("minimum", sequence.min),
    };
    Error::new(
        SqlState::SEQUENCE_GENERATOR_LIMIT_EXCEEDED,
        format!(
            "nextval: reached {end} value of sequence \"{}\" ({limit})",
            sequence.name
        ),
    )
}

/// The key of a state in `SEQUENCES`.
pub fn key(state: u32) -> Vec<u8> {
    state.to_be_bytes().to_vec()
}

/// The state that a key of `SEQUENCES` is of.
pub fn state_of(key: &[u8]) -> Result<u32> {
    let bytes = key.try_into().map_err(|_| corrupt())?;
    Ok(u32::from_be_bytes(bytes))
}

fn encode(at: Position) -> Result<Vec<u8>> {
    let mut out = vec![FORM];
    let body = postcard::to_stdvec(&at);
    out.extend(body.map_err(|e| Error::internal(format!("a sequence's state: {e}")))?);
    Ok(out)
}

fn decode(bytes: &[u8]) -> Result<Position> {
    match bytes.split_first() {
        Some((&FORM, body)) => postcard::from_bytes(body).map_err(|_| corrupt()),
        _ => Err(corrupt()),
    }
}

fn corrupt() -> Error {
    Error::new(
        SqlState::DATA_CORRUPTED,
        "a sequence's state cannot be read",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(increment: i64, min: i64, max: i64, cycle: bool) -> Steps {
        Steps {
            increment,
            min,
            max,
            cycle,
        }
    }

    fn run(steps: Steps, first: i64, count: usize) -> Vec<i64> {
        let mut at = Position {
            last: first,
            called: false,
        };
        let mut out = Vec::new();
        while out.len() < count
            && let Some(last) = steps.next(at)
        {
            at = Position { last, called: true };
            out.push(last);
        }
        out
    }

    #[test]
    fn values_go_up_or_down_to_the_limit_and_cycle_if_they_may() {
        assert_eq!(run(steps(2, 1, 6, false), 1, 9), [1, 3, 5]);
        assert_eq!(run(steps(2, 1, 6, true), 2, 5), [2, 4, 6, 1, 3]);
        assert_eq!(run(steps(-1, -2, -1, true), -1, 4), [-1, -2, -1, -2]);
        assert_eq!(run(steps(i64::MAX, 1, i64::MAX, false), 5, 3), [5]);
    }
}
