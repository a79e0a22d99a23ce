//! A closed loop: each connection has `depth` requests on their way, and asks again when it is answered.
//!
//! Owns: the threads, each with its share of the connections, and when what is measured begins and ends. What it measures is
//! what a server can do; how long an answer takes under a load that does not wait is `open`'s.

use crate::lane::{CHUNK, Lane};
use crate::line::{Seen, Usage, Used};
use crate::talk::Talk;
use mio::{Events, Poll};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

#[derive(Clone)]
pub struct Load {
    pub talk: Talk,
    pub addr: SocketAddr,
    pub connections: usize,
    pub threads: usize,
    /// Requests of one connection on their way.
    pub depth: usize,
    /// Not measured, before what is.
    pub warm: Duration,
    pub lasts: Duration,
    /// Requests a second over all connections, of an open loop.
    pub rate: f64,
    pub pids: Vec<u32>,
}

/// What the threads do with what they see.
const WARMS: u8 = 0;
const MEASURES: u8 = 1;
const ENDS: u8 = 2;

pub fn run(load: &Load) -> (Seen, Usage) {
    in_parts(load, drive, false)
}

/// Runs `drive` for each part of the connections on a thread of its own. What is used until it returns counts where it
/// `drains`, else until the time is over.
pub(crate) fn in_parts(
    load: &Load,
    drive: fn(&Load, usize, &AtomicU8, &Barrier) -> Seen,
    drains: bool,
) -> (Seen, Usage) {
    let (stage, ready) = (AtomicU8::new(WARMS), Barrier::new(load.threads + 1));
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..load.threads)
            .map(|part| {
                let (stage, ready) = (&stage, &ready);
                scope.spawn(move || drive(load, part, stage, ready))
            })
            .collect();
        ready.wait();
        std::thread::sleep(load.warm);
        let used = Used::since_now(&load.pids);
        stage.store(MEASURES, Ordering::Relaxed);
        std::thread::sleep(load.lasts);
        let mut usage = used.until_now();
        stage.store(ENDS, Ordering::Relaxed);
        let mut seen = Seen::default();
        for thread in threads {
            seen.add(thread.join().expect("a thread that does not panic"));
        }
        if drains {
            usage = used.until_now();
        }
        (seen, usage)
    })
}

/// The connections of one thread of `threads`.
pub(crate) fn lanes(load: &Load, part: usize, poll: &Poll, seen: &mut Seen) -> Vec<Lane> {
    let mut lanes = Vec::new();
    for id in (part..load.connections).step_by(load.threads) {
        match Lane::open(&load.talk, load.addr, id as u64, poll, lanes.len()) {
            Ok(lane) => lanes.push(lane),
            Err(e) => seen.failed(format!("a connection was not made: {e}")),
        }
    }
    lanes
}

struct Asker {
    lane: Lane,
    asked: u64,
    /// When what is on its way was sent.
    sent: VecDeque<Instant>,
    out: Vec<u8>,
}

impl Asker {
    /// Up to `depth` on their way, in one write.
    fn fill(&mut self, talk: &Talk, depth: usize) -> Result<(), String> {
        self.out.clear();
        let now = Instant::now();
        while self.sent.len() < depth {
            talk.ask(Lane::number(self.lane.id(), self.asked), &mut self.out);
            self.sent.push_back(now);
            self.asked += 1;
        }
        self.lane.write(&self.out)
    }
}

fn drive(load: &Load, part: usize, stage: &AtomicU8, ready: &Barrier) -> Seen {
    let mut seen = Seen::default();
    let mut poll = Poll::new().expect("an epoll descriptor");
    let lanes = lanes(load, part, &poll, &mut seen);
    ready.wait();
    let mut askers: Vec<Option<Asker>> = Vec::new();
    for lane in lanes {
        let mut asker = Asker {
            lane,
            asked: 0,
            sent: VecDeque::new(),
            out: Vec::new(),
        };
        match asker.fill(&load.talk, load.depth) {
            Ok(()) => askers.push(Some(asker)),
            Err(e) => {
                seen.failed(e);
                askers.push(None);
            }
        }
    }
    let (mut events, mut chunk) = (Events::with_capacity(1024), vec![0; CHUNK]);
    while stage.load(Ordering::Relaxed) != ENDS && askers.iter().any(Option::is_some) {
        // Often enough to see the end.
        let polled = poll.poll(&mut events, Some(Duration::from_millis(20)));
        if polled.is_err() {
            continue;
        }
        for event in &events {
            let Some(slot) = askers.get_mut(event.token().0) else {
                continue;
            };
            let Some(asker) = slot else { continue };
            let measures = stage.load(Ordering::Relaxed) == MEASURES;
            let turned = turn(load, asker, &mut chunk, measures, &mut seen);
            if let Err(e) = turned {
                seen.failed(e);
                *slot = None;
            }
        }
    }
    seen
}

/// Takes the answers of one connection and asks as many times again.
fn turn(
    load: &Load,
    asker: &mut Asker,
    chunk: &mut [u8],
    measures: bool,
    seen: &mut Seen,
) -> Result<(), String> {
    let Asker { lane, sent, .. } = asker;
    let mut now = None;
    lane.read(&load.talk, chunk, |_, wrong| {
        let now = *now.get_or_insert_with(Instant::now);
        let took = sent.pop_front().map_or(Duration::ZERO, |at| now - at);
        match wrong {
            Some(why) => seen.failed(why),
            None if measures => seen.took.saturating_record(took.as_nanos() as u64),
            None => {}
        }
    })?;
    asker.fill(&load.talk, load.depth)
}
