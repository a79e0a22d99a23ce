//! LRU-K with K = 2: the page whose last use but one is longest ago goes.
//!
//! Owns: of each page the times of its last two uses, counted in uses of the pool, and a heap of the frames by them.
//! Pages used once have no last use but one and go first, among themselves by their last use. Uses that follow a
//! page's last one within `correlated` are part of it: they are the same statement, and count for nothing but that the
//! page stays as long as they last. A page that has gone keeps its history for a while.
//! Asked by: the pool. Never: moves anything on a touch: the heap holds times that may be behind, and a frame that
//! comes to its top with an old time is put back with the new one.
//! Bounds: 56 bytes a frame, as many histories of pages that have gone as there are frames; a search looks at up to
//! `LOOKS_MAX` frames that were used since, then takes the best it has met.
//! Source: O'Neil, O'Neil and Weikum 1993, "The LRU-K page replacement algorithm for database disk buffering".

use super::EvictionPolicy;
use super::ghosts::Ghosts;
use crate::page::PageId;
use std::cell::Cell;
use std::ops::ControlFlow;

const LOOKS_MAX: usize = 16 * 1024;
/// The correlated reference period, in uses: a sixty-fourth of the frames, within this.
const CORRELATED_MAX: u64 = 256;
const GONE: usize = 0;

/// Times of uses; 0 is never.
#[derive(Clone, Copy, Default)]
struct History {
    /// HIST(p,2): the last use but one.
    before: u64,
    /// HIST(p,1): the last use that was not correlated.
    last: u64,
    /// LAST(p): the last use of any kind.
    seen: u64,
}

/// Sorts first what goes first.
type Key = (u64, u64);

impl History {
    fn key(&self) -> Key {
        (self.before, self.last)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Nowhere,
    Heap(u32),
    /// `victim` was refused it.
    Aside(u32),
}

pub(super) struct LruK {
    now: Cell<u64>,
    correlated: u64,
    history: Vec<Cell<History>>,
    place: Vec<Place>,
    /// A binary heap; a key is at most the frame's true one.
    heap: Vec<(Key, u32)>,
    aside: Vec<u32>,
    gone: Ghosts,
    gone_history: Vec<History>,
}

impl LruK {
    pub fn new(frames: usize) -> LruK {
        LruK {
            now: Cell::new(0),
            correlated: (frames as u64 / 64).min(CORRELATED_MAX),
            history: vec![Cell::new(History::default()); frames],
            place: vec![Place::Nowhere; frames],
            heap: Vec::with_capacity(frames),
            aside: Vec::with_capacity(frames),
            gone: Ghosts::new(frames.max(1), 1),
            gone_history: vec![History::default(); frames.max(1)],
        }
    }

    fn tick(&self) -> u64 {
        self.now.set(self.now.get() + 1);
        self.now.get()
    }

    fn settle(&mut self, at: usize) {
        self.place[self.heap[at].1 as usize] = Place::Heap(at as u32);
    }

    fn up(&mut self, mut at: usize) {
        while at > 0 && self.heap[at].0 < self.heap[(at - 1) / 2].0 {
            self.heap.swap(at, (at - 1) / 2);
            self.settle(at);
            at = (at - 1) / 2;
        }
        self.settle(at);
    }

    fn down(&mut self, mut at: usize) {
        loop {
            let mut least = at;
            for child in [2 * at + 1, 2 * at + 2] {
                if child < self.heap.len() && self.heap[child].0 < self.heap[least].0 {
                    least = child;
                }
            }
            if least == at {
                break;
            }
            self.heap.swap(at, least);
            self.settle(at);
            at = least;
        }
        self.settle(at);
    }

    fn push(&mut self, frame: usize) {
        let key = self.history[frame].get().key();
        self.heap.push((key, frame as u32));
        self.up(self.heap.len() - 1);
    }

    fn take_out(&mut self, frame: usize) {
        match std::mem::replace(&mut self.place[frame], Place::Nowhere) {
            Place::Nowhere => {}
            Place::Heap(at) => {
                let at = at as usize;
                self.heap.swap_remove(at);
                if at < self.heap.len() {
                    self.up(at);
                    self.down(at);
                }
            }
            Place::Aside(at) => {
                self.aside.swap_remove(at as usize);
                if let Some(moved) = self.aside.get(at as usize) {
                    self.place[*moved as usize] = Place::Aside(at);
                }
            }
        }
    }

    fn set_aside(&mut self, frame: usize) {
        self.take_out(frame);
        self.place[frame] = Place::Aside(self.aside.len() as u32);
        self.aside.push(frame as u32);
    }

    /// The frame at the top after all times that are behind have been put right, as far as `looks` go.
    fn top(&mut self, looks: &mut usize) -> Option<usize> {
        loop {
            let (key, frame) = *self.heap.first()?;
            let now = self.history[frame as usize].get().key();
            if key == now || *looks == 0 {
                return Some(frame as usize);
            }
            *looks -= 1;
            self.heap[0].0 = now;
            self.down(0);
        }
    }
}

impl EvictionPolicy for LruK {
    fn admitted(&mut self, frame: usize, page: PageId) {
        let now = self.tick();
        let known = self
            .gone
            .take(page)
            .map(|(_, slot)| self.gone_history[slot]);
        self.history[frame].set(History {
            before: known.map_or(0, |h| h.last),
            last: now,
            seen: now,
        });
        self.push(frame);
    }

    fn touched(&self, frame: usize) {
        let now = self.tick();
        let mut h = self.history[frame].get();
        if now - h.seen > self.correlated {
            // The time that correlated uses took does not count as time between uses.
            h.before = h.seen;
            h.last = now;
        }
        h.seen = now;
        self.history[frame].set(h);
    }

    fn evicted(&mut self, frame: usize, page: PageId) {
        if let Some(slot) = self.gone.put(GONE, page) {
            self.gone_history[slot] = self.history[frame].get();
        }
        self.take_out(frame);
    }

    fn removed(&mut self, frame: usize) {
        self.take_out(frame);
    }

    fn moved(&mut self, from: usize, to: usize, _: PageId) {
        self.history[to].set(self.history[from].get());
        self.take_out(from);
        self.push(to);
        self.touched(to);
    }

    fn victim(
        &mut self,
        _: Option<PageId>,
        allowed: &mut dyn FnMut(usize) -> bool,
    ) -> Option<usize> {
        let now = self.now.get();
        let mut looks = LOOKS_MAX;
        // Used so lately that they may be used again at once: at most `correlated` of them.
        let mut busy: Vec<usize> = Vec::new();
        let chosen = loop {
            let Some(frame) = self.top(&mut looks) else {
                break busy.first().copied();
            };
            if !allowed(frame) {
                self.set_aside(frame);
            } else if now - self.history[frame].get().seen < self.correlated {
                self.take_out(frame);
                busy.push(frame);
            } else {
                break Some(frame);
            }
        };
        for frame in busy {
            self.push(frame);
        }
        chosen
    }

    fn restored(&mut self, frame: usize) {
        if let Place::Aside(_) = self.place[frame] {
            self.take_out(frame);
            self.push(frame);
        }
    }

    fn visit(&self, f: &mut dyn FnMut(usize) -> ControlFlow<()>) {
        let heap = self.heap.iter().map(|(_, frame)| frame);
        for frame in self.aside.iter().chain(heap) {
            if f(*frame as usize).is_break() {
                return;
            }
        }
    }
}
