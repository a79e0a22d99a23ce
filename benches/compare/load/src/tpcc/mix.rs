//! Clients that do the five transactions in the specification's proportions, each on a thread of its own, without pause.
//!
//! Owns: who does what, and what it took. A transaction that the server refuses for another's sake (40001, 40P01) is done again and
//! counted; how long it took includes that. Bounds: `TRIES` of one, then it is an error.

use super::Scale;
use super::work::{Client, KINDS, Kind};
use crate::line::{Seen, Usage, Used};
use crate::wire::Connection;
use std::io;
use std::net::SocketAddr;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const TRIES: u64 = 1_000;

/// Of a hundred, in the order of `KINDS`.
const WEIGHTS: [usize; 5] = [45, 43, 4, 4, 4];

#[derive(Clone)]
pub struct Mix {
    pub addr: SocketAddr,
    pub user: String,
    pub database: String,
    pub scale: Scale,
    pub connections: usize,
    pub lasts: Duration,
    pub isolation: String,
    /// Other numbers than those of another run.
    pub seed: u64,
    pub pids: Vec<u32>,
}

/// In the order of `KINDS`.
#[derive(Default)]
pub struct Outcome {
    pub kinds: [Seen; 5],
    pub retries: u64,
    /// New orders of an item that there is not.
    pub undone: u64,
}

impl Mix {
    pub fn connect(&self) -> io::Result<Connection> {
        Connection::open(self.addr, &self.user, &self.database)
    }
}

pub fn run(mix: &Mix) -> io::Result<(Outcome, Usage)> {
    let (ends, ready) = (AtomicBool::new(false), Barrier::new(mix.connections + 1));
    let clients: io::Result<Vec<Client>> = (0..mix.connections as u64)
        .map(|n| {
            let mut client = Client::new(mix.connect()?, mix.scale, n, &mix.isolation)?;
            client.dice = super::Dice::new(mix.seed.wrapping_mul(1_000_003) + n);
            Ok(client)
        })
        .collect();
    let clients = clients?;
    Ok(std::thread::scope(|scope| {
        let (ends, ready) = (&ends, &ready);
        let threads: Vec<_> = clients
            .into_iter()
            .map(|client| scope.spawn(move || work(client, ready, ends)))
            .collect();
        let used = Used::since_now(&mix.pids);
        ready.wait();
        std::thread::sleep(mix.lasts);
        ends.store(true, Ordering::Relaxed);
        let mut all = Outcome::default();
        for thread in threads {
            let one = thread.join().expect("a client that does not panic");
            for (sum, seen) in all.kinds.iter_mut().zip(one.kinds) {
                sum.add(seen);
            }
            all.retries += one.retries;
            all.undone += one.undone;
        }
        (all, used.until_now())
    }))
}

fn work(mut client: Client, ready: &Barrier, ends: &AtomicBool) -> Outcome {
    let mut outcome = Outcome::default();
    ready.wait();
    let mut hand = Vec::new();
    while !ends.load(Ordering::Relaxed) {
        let at = match hand.pop() {
            Some(at) => at,
            None => {
                hand = deck(&mut client);
                continue;
            }
        };
        let (kind, _) = KINDS[at];
        let begun = Instant::now();
        match tried(&mut client, kind, &mut outcome.retries) {
            Ok(done) => {
                outcome.undone += u64::from(!done);
                let took = begun.elapsed().as_nanos() as u64;
                outcome.kinds[at].took.saturating_record(took);
            }
            Err(e) => {
                outcome.kinds[at].failed(format!("{kind:?}: {e}"));
                // A connection that ended fails each time.
                if e.kind() != io::ErrorKind::Other {
                    break;
                }
            }
        }
    }
    outcome
}

/// A hundred transactions in a random order (clause 5.2.4.2).
fn deck(client: &mut Client) -> Vec<usize> {
    let cards = WEIGHTS.iter().enumerate();
    let mut deck: Vec<usize> = cards
        .flat_map(|(at, n)| std::iter::repeat_n(at, *n))
        .collect();
    for at in (1..deck.len()).rev() {
        deck.swap(at, client.dice.between(0, at as u64) as usize);
    }
    deck
}

fn tried(client: &mut Client, kind: Kind, retries: &mut u64) -> io::Result<bool> {
    let mut left = TRIES;
    loop {
        match client.transact(kind) {
            Err(e) if left > 1 && is_for_others(&e) => {
                left -= 1;
                *retries += 1;
            }
            outcome => return outcome,
        }
    }
}

fn is_for_others(error: &io::Error) -> bool {
    let text = error.to_string();
    text.starts_with("40001") || text.starts_with("40P01")
}
