//! Connections themselves: how long one takes from nothing to its first answer, and what one that waits costs.
//!
//! Owns: `run` (connect, ask once, leave; at a rate, counted from when it was due, or one after another) and `idle` (open many,
//! ask each once, look at the server's memory, ask each again).
//! Bounds: `threads` connections at once in `run`; `idle` stops opening after `OPENING_MAX`.

use crate::closed::Load;
use crate::line::{Seen, Usage, Used};
use crate::process;
use std::io::Write;
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const OPENING_MAX: Duration = Duration::from_secs(180);

/// Terminate, of PostgreSQL's protocol.
const LEAVE: [u8; 5] = [b'X', 0, 0, 0, 4];

pub fn run(load: &Load) -> (Seen, Usage) {
    let (next, all) = (AtomicU64::new(0), Mutex::new(Seen::default()));
    let used = Used::since_now(&load.pids);
    let begins = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..load.threads {
            scope.spawn(|| {
                let mut seen = Seen::default();
                while come(load, begins, &next, &mut seen) {}
                all.lock().expect("no panic under it").add(seen);
            });
        }
    });
    let usage = used.until_now();
    (all.into_inner().expect("no panic under it"), usage)
}

/// False at the end.
fn come(load: &Load, begins: Instant, next: &AtomicU64, seen: &mut Seen) -> bool {
    let n = next.fetch_add(1, Ordering::Relaxed);
    let mut due = begins.elapsed();
    if load.rate > 0.0 {
        due = Duration::from_secs_f64(n as f64 / load.rate);
        std::thread::sleep(due.saturating_sub(begins.elapsed()));
    }
    if due >= load.lasts {
        return false;
    }
    let late = begins.elapsed().saturating_sub(due);
    seen.late.saturating_record(late.as_nanos() as u64);
    match first(load, n) {
        Ok(mut stream) => {
            let took = begins.elapsed().saturating_sub(due);
            seen.took.saturating_record(took.as_nanos() as u64);
            leave(load, &mut stream);
        }
        Err(e) => seen.failed(e),
    }
    true
}

/// A connection that has been answered once.
fn first(load: &Load, n: u64) -> std::io::Result<TcpStream> {
    let mut stream = load.talk.begin(TcpStream::connect(load.addr)?)?;
    load.talk.once(&mut stream, n)?;
    Ok(stream)
}

fn leave(load: &Load, stream: &mut TcpStream) {
    use crate::talk::Way;
    if matches!(load.talk.way, Way::Simple | Way::Prepared) {
        // The server may have gone first.
        let _ = stream.write_all(&LEAVE);
    }
}

/// With the KiB that each connection added to the server's memory, while all of them waited for `load.lasts`.
pub fn idle(load: &Load) -> (Seen, Usage, f64) {
    let mut seen = Seen::default();
    let before = process::memory_kib(&load.pids);
    let mut streams = Vec::with_capacity(load.connections);
    let begun = Instant::now();
    for n in 0..load.connections as u64 {
        let at = Instant::now();
        match first(load, n) {
            Ok(stream) => {
                seen.took.saturating_record(at.elapsed().as_nanos() as u64);
                streams.push(stream);
            }
            Err(e) => {
                seen.failed(format!("connection {n}: {e}"));
                break;
            }
        }
        if begun.elapsed() > OPENING_MAX {
            seen.failed(format!("only {n} connections in {OPENING_MAX:?}"));
            break;
        }
    }
    let used = Used::since_now(&load.pids);
    std::thread::sleep(load.lasts);
    let usage = used.until_now();
    let added = process::memory_kib(&load.pids) as f64 - before as f64;
    let each = added / streams.len().max(1) as f64;
    for (n, stream) in streams.iter_mut().enumerate() {
        if let Err(e) = load.talk.once(stream, n as u64) {
            seen.failed(format!("connection {n} after waiting: {e}"));
        }
        leave(load, stream);
    }
    (seen, usage, each)
}
