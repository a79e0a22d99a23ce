//! One shard's pool: what is taken, what lies free, who waits.
//!
//! Owns: the accounts of each share, the free lists, the queues. Asked by: `Buffer`, `Hold` and whoever takes them.
//! Never: gives to one who came later what one who waits could use; keeps memory and permits apart: what is in use and
//! what lies free are together within the ceiling, so the least recently useful free memory goes first.
//! Bounds: `Limits`; a waiter a waiting future. Free memory that was not needed for a while goes back to the system,
//! but for `KEEP` bytes a class.

use super::buffer::{Buffer, Hold};
use super::class::{CLASSES, Class};
use super::limits::{Limits, SHARES, Share};
use super::stats::{ClassStats, Counts, PoolStats};
use crate::io::IO_ALIGN;
use crate::sync::store;
use crate::time::monotonic_ns;
use glommio::io::DmaBuffer;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Free memory of a class that `trim` leaves.
const KEEP: usize = 256 << 10;

/// Someone who waits for `units` buffers of a class.
struct Ask {
    units: usize,
    ticket: u64,
    since: u64,
    granted: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

type Queue = VecDeque<Rc<Ask>>;

struct State {
    /// Buffers out, by share and class.
    used: [[usize; CLASSES]; SHARES],
    /// Those of them that are beyond their share's floor, by class and in bytes.
    over: [usize; CLASSES],
    over_bytes: usize,
    bytes: usize,
    bytes_high: usize,
    free: [Vec<DmaBuffer>; CLASSES],
    free_bytes: usize,
    /// The fewest free ones since the last `trim`.
    idle: [usize; CLASSES],
    queues: [[Queue; CLASSES]; SHARES],
    waiting: usize,
    tickets: u64,
    counts: [Counts; CLASSES],
}

/// The buffers of one thread.
pub struct Pool {
    limits: Limits,
    state: RefCell<State>,
}

impl Pool {
    pub fn new(limits: Limits) -> Rc<Pool> {
        Rc::new(Pool {
            limits,
            state: RefCell::new(State {
                used: Default::default(),
                over: Default::default(),
                over_bytes: 0,
                bytes: 0,
                bytes_high: 0,
                free: Default::default(),
                free_bytes: 0,
                idle: Default::default(),
                queues: Default::default(),
                waiting: 0,
                tickets: 0,
                counts: Default::default(),
            }),
        })
    }

    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// None when there is none, or when others wait for it already.
    pub fn try_take(self: &Rc<Self>, share: Share, class: Class) -> Option<Buffer> {
        let hold = self.try_hold(share, class, 1)?;
        Some(Buffer::new(hold, class.bytes()))
    }

    /// Waits for a buffer. `Extra` is not to be waited for: see the rules of the module.
    pub fn take(self: &Rc<Self>, share: Share, class: Class) -> Take {
        self.take_long(share, class.bytes())
    }

    /// Waits for a buffer of the smallest class that holds `len` bytes. One over 1 MiB counts as so many of that class;
    /// its memory is made for it.
    pub fn take_long(self: &Rc<Self>, share: Share, len: usize) -> Take {
        let (class, units, bytes) = match Class::fitting(len) {
            Some(class) => (class, 1, class.bytes()),
            None => {
                let (class, units) = Class::covering(len);
                (class, units, len.next_multiple_of(IO_ALIGN))
            }
        };
        Take {
            hold: self.hold_units(share, class, units),
            bytes,
        }
    }

    /// `units` of a class without memory, or none without waiting.
    pub fn try_hold(self: &Rc<Self>, share: Share, class: Class, units: usize) -> Option<Hold> {
        let (s, c) = (share.index(), class.index());
        let mut state = self.state.borrow_mut();
        let free = state.queues[s][c].is_empty() && {
            let behind = state.waiting > 0;
            state.grant(&self.limits, share, class, units, behind)
        };
        if !free {
            state.counts[c].refused += 1;
            return None;
        }
        Some(Hold::new(self.clone(), share, class, units))
    }

    /// Counts `len` bytes of memory that others manage as the classes that cover them.
    pub fn hold(self: &Rc<Self>, share: Share, len: usize) -> TakeHold {
        let (class, units) = Class::covering(len);
        self.hold_units(share, class, units)
    }

    /// A request beyond all there can be takes that: it runs alone instead of waiting for ever.
    pub fn hold_units(self: &Rc<Self>, share: Share, class: Class, units: usize) -> TakeHold {
        debug_assert!(share != Share::Extra, "nobody waits for what is extra");
        TakeHold {
            pool: self.clone(),
            share,
            class,
            units: units.min(self.limits.request_max(share, class)),
            ask: None,
        }
    }

    /// Free memory of a class, or new.
    pub(super) fn memory(&self, class: Class) -> DmaBuffer {
        let free = {
            let mut state = self.state.borrow_mut();
            let c = class.index();
            let free = state.free[c].pop();
            if free.is_some() {
                state.free_bytes -= class.bytes();
                state.idle[c] = state.idle[c].min(state.free[c].len());
            }
            free
        };
        free.unwrap_or_else(|| new_memory(class.bytes()))
    }

    /// Memory that a hold of `class` was used with, just before that hold ends.
    pub(super) fn recycle(&self, class: Class, memory: DmaBuffer) {
        let mut state = self.state.borrow_mut();
        state.free_bytes += class.bytes();
        state.free[class.index()].push(memory);
    }

    pub(super) fn give_back(&self, share: Share, class: Class, units: usize) {
        let woken = {
            let mut state = self.state.borrow_mut();
            state.revoke(&self.limits, share, class, units);
            state.squeeze(&self.limits, class);
            state.serve(&self.limits)
        };
        wake_all(woken);
    }

    /// Gives back to the system what has lain free since the last call, but for a little of each class.
    pub(crate) fn trim(&self) {
        let mut state = self.state.borrow_mut();
        for class in Class::ALL {
            let c = class.index();
            let spare = state.idle[c].saturating_sub(KEEP / class.bytes());
            let left = state.free[c].len().saturating_sub(spare);
            state.free_bytes -= (state.free[c].len() - left) * class.bytes();
            state.free[c].truncate(left);
            state.idle[c] = left;
        }
    }

    /// How many wait for a buffer of a share, of whatever class.
    pub fn waiting(&self, share: Share) -> usize {
        let queues = &self.state.borrow().queues[share.index()];
        queues.iter().map(VecDeque::len).sum()
    }

    pub fn stats(&self) -> PoolStats {
        let state = self.state.borrow();
        PoolStats {
            classes: Class::ALL.map(|class| {
                let c = class.index();
                let counts = state.counts[c];
                ClassStats {
                    class,
                    ceiling: self.limits.ceiling(class),
                    in_use: counts.in_use,
                    high_water: counts.high_water,
                    free: state.free[c].len(),
                    taken: counts.taken,
                    refused: counts.refused,
                    waiting: state.queues.iter().map(|queues| queues[c].len()).sum(),
                    waits: counts.waits,
                    wait_ns: counts.wait_ns,
                }
            }),
            bytes_max: self.limits.bytes_max(),
            bytes_in_use: state.bytes,
            bytes_high_water: state.bytes_high,
            bytes_free: state.free_bytes,
        }
    }
}

impl State {
    /// How many of the common part `units` more (or fewer) change.
    fn beyond(&self, limits: &Limits, share: Share, class: Class, used: usize) -> usize {
        used.saturating_sub(limits.floor(share, class))
    }

    /// Takes `units` if there are so many. `behind`: somebody waits for the common part already.
    fn grant(
        &mut self,
        limits: &Limits,
        share: Share,
        class: Class,
        units: usize,
        behind: bool,
    ) -> bool {
        let (s, c) = (share.index(), class.index());
        let used = self.used[s][c];
        let more = self.beyond(limits, share, class, used + units)
            - self.beyond(limits, share, class, used);
        if more > 0 {
            let common = match share {
                Share::Extra => limits.common() / 4 * 3,
                Share::Receive | Share::Send | Share::Disk => limits.common(),
            };
            let fits = self.over[c] + more <= limits.common_max(class)
                && self.over_bytes + more * class.bytes() <= common;
            if behind || !fits {
                return false;
            }
        }
        self.used[s][c] += units;
        self.over[c] += more;
        self.over_bytes += more * class.bytes();
        self.bytes += units * class.bytes();
        self.bytes_high = self.bytes_high.max(self.bytes);
        let counts = &mut self.counts[c];
        counts.taken += 1;
        counts.in_use += units;
        counts.high_water = counts.high_water.max(counts.in_use);
        self.squeeze(limits, class);
        true
    }

    fn revoke(&mut self, limits: &Limits, share: Share, class: Class, units: usize) {
        let (s, c) = (share.index(), class.index());
        let used = self.used[s][c];
        let fewer = self.beyond(limits, share, class, used)
            - self.beyond(limits, share, class, used - units);
        self.used[s][c] -= units;
        self.over[c] -= fewer;
        self.over_bytes -= fewer * class.bytes();
        self.bytes -= units * class.bytes();
        self.counts[c].in_use -= units;
    }

    /// Lets free memory go until all is within the ceiling; that of `class` last, as it is about to be used.
    fn squeeze(&mut self, limits: &Limits, class: Class) {
        while self.bytes + self.free_bytes > limits.bytes_max() {
            let others = Class::ALL.into_iter().rev().filter(|c| *c != class);
            let mut order = others.chain([class]);
            let Some(from) = order.find(|c| !self.free[c.index()].is_empty()) else {
                return;
            };
            self.free[from.index()].pop();
            self.free_bytes -= from.bytes();
            let left = self.free[from.index()].len();
            self.idle[from.index()] = self.idle[from.index()].min(left);
        }
    }

    /// Gives what there is to those who wait: by the order of their coming where they want the same.
    fn serve(&mut self, limits: &Limits) -> Vec<Waker> {
        let mut woken = Vec::new();
        while self.waiting > 0 && self.serve_one(limits, &mut woken) {}
        woken
    }

    fn serve_one(&mut self, limits: &Limits, woken: &mut Vec<Waker>) -> bool {
        let mut heads = [(u64::MAX, Share::Extra, Class::Kib4); SHARES * CLASSES];
        let mut n = 0;
        for share in [Share::Receive, Share::Send, Share::Disk] {
            for class in Class::ALL {
                if let Some(ask) = self.queues[share.index()][class.index()].front() {
                    heads[n] = (ask.ticket, share, class);
                    n += 1;
                }
            }
        }
        heads[..n].sort_unstable_by_key(|(ticket, ..)| *ticket);
        let mut behind = false;
        for (_, share, class) in heads.into_iter().take(n) {
            let queue = &self.queues[share.index()][class.index()];
            let Some(units) = queue.front().map(|ask| ask.units) else {
                continue;
            };
            if self.grant(limits, share, class, units, behind) {
                let ask = self.queues[share.index()][class.index()].pop_front();
                if let Some(ask) = ask {
                    self.waiting -= 1;
                    self.counts[class.index()].wait_ns += monotonic_ns().saturating_sub(ask.since);
                    ask.granted.set(true);
                    woken.extend(ask.waker.take());
                }
                return true;
            }
            behind = true;
        }
        false
    }
}

fn wake_all(wakers: Vec<Waker>) {
    for waker in wakers {
        waker.wake();
    }
}

pub(super) fn new_memory(bytes: usize) -> DmaBuffer {
    let mut memory = glommio::allocate_dma_buffer_global(bytes);
    memory.as_bytes_mut().fill(0);
    memory
}

/// Waits for a `Hold`, from its first poll on.
#[must_use = "it waits only when it is awaited"]
pub struct TakeHold {
    pool: Rc<Pool>,
    share: Share,
    class: Class,
    units: usize,
    ask: Option<Rc<Ask>>,
}

impl Future for TakeHold {
    type Output = Hold;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Hold> {
        let (pool, share, class) = (self.pool.clone(), self.share, self.class);
        let Some(ask) = &self.ask else {
            if let Some(hold) = pool.try_hold(share, class, self.units) {
                return Poll::Ready(hold);
            }
            self.ask = Some(pool.queue(share, class, self.units, cx));
            return Poll::Pending;
        };
        if ask.granted.get() {
            self.ask = None;
            return Poll::Ready(Hold::new(pool, share, class, self.units));
        }
        store(&ask.waker, cx);
        Poll::Pending
    }
}

impl Drop for TakeHold {
    fn drop(&mut self) {
        let Some(ask) = self.ask.take() else {
            return;
        };
        if ask.granted.get() {
            self.pool.give_back(self.share, self.class, self.units);
        } else {
            self.pool.leave(self.share, self.class, &ask);
        }
    }
}

impl Pool {
    fn queue(&self, share: Share, class: Class, units: usize, cx: &Context<'_>) -> Rc<Ask> {
        let mut state = self.state.borrow_mut();
        let ticket = state.tickets;
        state.tickets += 1;
        state.waiting += 1;
        let counts = &mut state.counts[class.index()];
        counts.waits += 1;
        let ask = Rc::new(Ask {
            units,
            ticket,
            since: monotonic_ns(),
            granted: Cell::new(false),
            waker: RefCell::new(Some(cx.waker().clone())),
        });
        state.queues[share.index()][class.index()].push_back(ask.clone());
        ask
    }

    /// One who waited gives up: who stood behind him may be served now.
    fn leave(&self, share: Share, class: Class, ask: &Rc<Ask>) {
        let woken = {
            let mut state = self.state.borrow_mut();
            state.queues[share.index()][class.index()].retain(|other| !Rc::ptr_eq(other, ask));
            state.waiting -= 1;
            state.counts[class.index()].wait_ns += monotonic_ns().saturating_sub(ask.since);
            state.serve(&self.limits)
        };
        wake_all(woken);
    }
}

/// Waits for a `Buffer`, from its first poll on. Dropping it gives up its place.
#[must_use = "it waits only when it is awaited"]
pub struct Take {
    hold: TakeHold,
    bytes: usize,
}

impl Future for Take {
    type Output = Buffer;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Buffer> {
        let bytes = self.bytes;
        let hold = Pin::new(&mut self.hold).poll(cx);
        hold.map(|hold| Buffer::new(hold, bytes))
    }
}
