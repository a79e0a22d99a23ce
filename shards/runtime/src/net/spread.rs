//! Which shard serves a connection that one of them has just accepted: the one with the fewest.
//!
//! Owns: how many connections of an endpoint each shard has, and those on their way from one shard to another. Crosses
//! cores, behind an `Arc`: touched when a connection begins and when it ends, never in between.
//! Asked by: `Listener`. Never: moves a connection that somebody has begun to serve.
//! Bounds: `INBOX_MAX` connections on their way to a shard; one more stays with the shard that has accepted it.
//! SO_REUSEPORT spreads by a hash: 64 connections on 8 cores leave one with half as many again as the mean.

use crate::ring::Bell;
use atomic_waker::AtomicWaker;
use crossbeam_channel::{Receiver, Sender, bounded};
use socket2::Socket;
use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Context;
use types::ShardId;

/// Connections on their way to one shard.
pub const INBOX_MAX: usize = 64;

/// One endpoint's connections over all shards.
pub struct Spread {
    seats: Vec<Seat>,
}

/// One shard's part of it.
struct Seat {
    open: AtomicUsize,
    /// It accepts: nothing is handed to a shard that has not begun, or that drains.
    listens: AtomicBool,
    bell: OnceLock<Arc<Bell>>,
    waker: AtomicWaker,
    to: Sender<Arrival>,
    from: Receiver<Arrival>,
}

/// A connection and its place among the others of the shard that serves it.
pub(super) struct Arrival {
    pub(super) socket: Socket,
    pub(super) peer: Option<SocketAddr>,
    pub(super) place: Option<Place>,
}

/// Counts as open on its shard until dropped.
pub(super) struct Place {
    spread: Arc<Spread>,
    seat: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(seat) = self.spread.seats.get(self.seat) {
            seat.open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// What the calling shard has accepted, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpreadStats {
    /// Served by another shard than the one that accepted.
    pub handed: u64,
    /// Served where it was accepted, as too many were on their way to where it belonged.
    pub kept: u64,
}

thread_local! {
    static STATS: Cell<SpreadStats> = const { Cell::new(SpreadStats { handed: 0, kept: 0 }) };
}

/// The calling shard's numbers, of all its endpoints.
pub fn spread_stats() -> SpreadStats {
    STATS.get()
}

fn count(change: impl FnOnce(&mut SpreadStats)) {
    let mut stats = STATS.get();
    change(&mut stats);
    STATS.set(stats);
}

impl Spread {
    pub fn new(shards: usize) -> Arc<Spread> {
        let seat = |_| {
            let (to, from) = bounded(INBOX_MAX);
            Seat {
                open: AtomicUsize::new(0),
                listens: AtomicBool::new(false),
                bell: OnceLock::new(),
                waker: AtomicWaker::new(),
                to,
                from,
            }
        };
        Arc::new(Spread {
            seats: (0..shards).map(seat).collect(),
        })
    }

    /// This shard accepts from now on. `bell` wakes it where its executor sleeps in a ring of its own.
    pub(super) fn begin(&self, me: ShardId, bell: Option<Arc<Bell>>) {
        let Some(seat) = self.seat(me) else { return };
        if let Some(bell) = bell {
            let _ = seat.bell.set(bell);
        }
        seat.listens.store(true, Ordering::Release);
    }

    /// It does no longer: what was on its way to it is closed.
    pub(super) fn end(&self, me: ShardId) {
        let Some(seat) = self.seat(me) else { return };
        seat.listens.store(false, Ordering::Release);
        while seat.from.try_recv().is_ok() {}
    }

    /// What another shard has accepted for this one.
    pub(super) fn take(&self, me: ShardId) -> Option<Arrival> {
        self.seat(me)?.from.try_recv().ok()
    }

    /// Whether `take` would give something; else `cx` is woken when it would.
    pub(super) fn poll(&self, me: ShardId, cx: &Context<'_>) -> bool {
        let Some(seat) = self.seat(me) else {
            return false;
        };
        if seat.from.is_empty() {
            seat.waker.register(cx.waker());
        }
        !seat.from.is_empty()
    }

    /// `me` has accepted it: given back, with its place, if it is to be served here.
    pub(super) fn place(
        self: &Arc<Self>,
        me: ShardId,
        socket: Socket,
        peer: Option<SocketAddr>,
    ) -> Option<Arrival> {
        let at = self.lowest(me);
        let mut arrival = Arrival {
            socket,
            peer,
            place: self.take_place(at),
        };
        if at == usize::from(me.0) {
            return Some(arrival);
        }
        let Some(seat) = self.seats.get(at) else {
            return Some(arrival);
        };
        match seat.to.try_send(arrival) {
            Ok(()) => {
                count(|stats| stats.handed += 1);
                match seat.bell.get() {
                    Some(bell) => bell.ring(),
                    None => seat.waker.wake(),
                }
                None
            }
            Err(refused) => {
                arrival = refused.into_inner();
                count(|stats| stats.kept += 1);
                arrival.place = self.take_place(usize::from(me.0));
                Some(arrival)
            }
        }
    }

    /// Wakes whoever waits in `poll` on this shard.
    pub(super) fn wake(&self, me: ShardId) {
        if let Some(seat) = self.seat(me) {
            seat.waker.wake();
        }
    }

    /// The shard with the fewest connections; `me` among equals.
    fn lowest(&self, me: ShardId) -> usize {
        let mine = usize::from(me.0);
        let open = |at: usize| {
            let seat = self.seats.get(at)?;
            let listens = at == mine || seat.listens.load(Ordering::Acquire);
            listens.then(|| seat.open.load(Ordering::Relaxed))
        };
        let others = (0..self.seats.len()).filter_map(|at| Some((open(at)?, at != mine, at)));
        others.min().map_or(mine, |(_, _, at)| at)
    }

    fn take_place(self: &Arc<Self>, at: usize) -> Option<Place> {
        let seat = self.seats.get(at)?;
        seat.open.fetch_add(1, Ordering::Relaxed);
        Some(Place {
            spread: self.clone(),
            seat: at,
        })
    }

    fn seat(&self, shard: ShardId) -> Option<&Seat> {
        self.seats.get(usize::from(shard.0))
    }
}
