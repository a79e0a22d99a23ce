//! An open loop: requests are sent at a fixed rate, whether or not earlier ones were answered, and how long one took is
//! counted from when it was due. So a server that stands still for a while is charged for all that it kept waiting, which a
//! closed loop forgives (coordinated omission).
//!
//! Owns: two threads for each part of the connections: one sends when it is time, one receives. A request's time follows from
//! its number, so they share nothing but the sockets. Connections take turns; one with an answer on its way gets the next
//! request all the same.
//! Bounds: what is on its way is what fits the sockets' buffers; a sender that finds one full waits, and what is late because
//! of it counts as late. Answers that are not there `GRACE` after the end are errors.
//! Source: Gil Tene, "How NOT to Measure Latency"; his wrk2.

use crate::GRACE;
use crate::closed::{Load, in_parts, lanes};
use crate::lane::{CHUNK, Lane};
use crate::line::{Seen, Usage, histogram};
use crate::talk::Talk;
use hdrhistogram::Histogram;
use mio::net::TcpStream;
use mio::{Events, Poll};
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// When request `index` of a part is due, from the common beginning.
#[derive(Clone, Copy)]
struct Timetable {
    begins: Instant,
    /// Nanoseconds.
    first: f64,
    interval: f64,
    warm: Duration,
    /// Nothing is due from here on.
    last: Duration,
}

impl Timetable {
    fn due(&self, index: u64) -> Duration {
        Duration::from_nanos((self.first + self.interval * index as f64) as u64)
    }
}

pub fn run(load: &Load) -> (Seen, Usage) {
    in_parts(load, drive, true)
}

fn drive(load: &Load, part: usize, _: &AtomicU8, ready: &Barrier) -> Seen {
    let mut seen = Seen::default();
    let poll = Poll::new().expect("an epoll descriptor");
    let lanes = lanes(load, part, &poll, &mut seen);
    let streams: Vec<_> = lanes.iter().map(|l| (l.id(), l.stream.clone())).collect();
    ready.wait();
    let interval = 1e9 * load.threads as f64 / load.rate;
    let table = Timetable {
        begins: Instant::now(),
        first: interval * part as f64 / load.threads as f64,
        interval,
        warm: load.warm,
        last: load.warm + load.lasts,
    };
    if lanes.is_empty() {
        return seen;
    }
    let sent = AtomicU64::new(u64::MAX);
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| send(&load.talk, &streams, table, &sent));
        receive(load, lanes, poll, table, &sent, &mut seen);
        match sender.join().expect("a thread that does not panic") {
            Ok(late) => seen.late = late,
            Err(e) => seen.failed(e),
        }
    });
    seen
}

/// Sends all that is due, also what it is late with, then says in `sent` how many there were.
fn send(
    talk: &Talk,
    streams: &[(u64, Arc<TcpStream>)],
    table: Timetable,
    sent: &AtomicU64,
) -> Result<Histogram<u64>, String> {
    let (mut late, mut out) = (histogram(), Vec::new());
    let mut index = 0;
    let outcome = loop {
        let due = table.due(index);
        if due >= table.last {
            break Ok(());
        }
        let now = table.begins.elapsed();
        if now > table.last + GRACE {
            break Err("the client cannot ask at this rate".into());
        }
        if now < due {
            std::thread::sleep(due - now);
        }
        let by = table.begins.elapsed().saturating_sub(due);
        if due > table.warm {
            late.saturating_record(by.as_nanos() as u64);
        }
        let (turn, of) = (index / streams.len() as u64, index % streams.len() as u64);
        let (id, stream) = &streams[of as usize];
        out.clear();
        talk.ask(Lane::number(*id, turn), &mut out);
        if let Err(e) = write_all(stream, &out, table) {
            break Err(format!("a request was not sent: {e}"));
        }
        index += 1;
    };
    sent.store(index, Ordering::Release);
    outcome.map(|()| late)
}

fn write_all(stream: &TcpStream, mut out: &[u8], table: Timetable) -> io::Result<()> {
    while !out.is_empty() {
        match (&mut &*stream).write(out) {
            Ok(n) => out = &out[n..],
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                if table.begins.elapsed() > table.last + GRACE {
                    return Err(e);
                }
                std::thread::sleep(Duration::from_micros(20));
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

fn receive(
    load: &Load,
    mut lanes: Vec<Lane>,
    mut poll: Poll,
    table: Timetable,
    sent: &AtomicU64,
    seen: &mut Seen,
) {
    let (mut events, mut chunk) = (Events::with_capacity(1024), vec![0; CHUNK]);
    let (count, mut answered, mut broken) = (lanes.len() as u64, 0, false);
    let deadline = table.begins + table.last + GRACE;
    while answered < sent.load(Ordering::Acquire) && Instant::now() < deadline && !broken {
        if poll
            .poll(&mut events, Some(Duration::from_millis(20)))
            .is_err()
        {
            continue;
        }
        for event in &events {
            let of = event.token().0;
            let Some(lane) = lanes.get_mut(of) else {
                continue;
            };
            let read = lane.read(&load.talk, &mut chunk, |turn, wrong| {
                answered += 1;
                let due = table.due(turn * count + of as u64);
                let took = table.begins.elapsed().saturating_sub(due);
                match wrong {
                    Some(why) => seen.failed(why),
                    None if due >= table.warm => {
                        seen.took.saturating_record(took.as_nanos() as u64);
                    }
                    None => {}
                }
            });
            if let Err(e) = read {
                seen.failed(e);
                // Whoever sends on it will fail, too; what was asked of it stays unanswered.
                broken = true;
            }
        }
    }
    let asked = sent.load(Ordering::Acquire);
    if !broken && asked != u64::MAX && answered < asked {
        seen.errors += asked - answered;
        let why = format!("{} requests were not answered", asked - answered);
        seen.why.get_or_insert(why);
    }
}
