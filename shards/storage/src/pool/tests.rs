//! Promises of the pool over any order of events, under every policy.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

const FRAMES: usize = 24;
const PAGES: u32 = 40;

/// The pool, and what has to be true of it.
struct Checked {
    pool: Pool,
    pins: Vec<Pin>,
    /// The stamp that each page should have; gone pages are read back from here.
    stamps: BTreeMap<u32, u8>,
    epoch: u64,
    next: u32,
}

impl Checked {
    fn brute(&self, which: impl Fn(&Frame) -> bool) -> usize {
        self.pool.frames.iter().filter(|f| which(f)).count()
    }

    fn frames_that_may_go(&self) -> usize {
        let pinned: Vec<FrameId> = self.pins.iter().map(Pin::frame).collect();
        (0..FRAMES)
            .filter(|f| {
                let s = &self.pool.frames[*f];
                let idle = s.page.0 != 0 && !s.dirty && !s.writing && !s.orphan;
                idle && !pinned.contains(&(*f as FrameId))
            })
            .count()
    }

    fn fetch(&mut self, page: u32) -> Option<FrameId> {
        if let Some(frame) = self.pool.lookup(PageId(page)) {
            return Some(frame);
        }
        let possible = self.pool.free() + self.frames_that_may_go() > 0;
        let frame = self.pool.take(Some(PageId(page)));
        assert_eq!(frame.is_some(), possible, "page {page}");
        let frame = frame?;
        let stamp = *self.stamps.entry(page).or_insert(page as u8);
        self.pool.fill(frame, &[stamp; PAGE_BYTES]);
        self.pool
            .bind(frame, PageId(page), self.epoch, Arrival::Missed);
        Some(frame)
    }

    /// A frame in use, the `n`th.
    fn nth(&self, n: usize, which: impl Fn(&Frame) -> bool) -> Option<FrameId> {
        let used: Vec<usize> = (0..FRAMES)
            .filter(|f| self.pool.frames[*f].page.0 != 0 && which(&self.pool.frames[*f]))
            .collect();
        let n = n.checked_rem(used.len())?;
        Some(used[n] as FrameId)
    }

    fn step(&mut self, op: u8, n: usize) {
        match op {
            0..=4 => drop(self.fetch(1 + n as u32 % PAGES)),
            5 | 6 => {
                if let Some(frame) = self.nth(n, |f| !f.orphan) {
                    let page = self.pool.page_id(frame).0;
                    let stamp = self.stamps[&page].wrapping_add(1);
                    self.stamps.insert(page, stamp);
                    self.pool.page_mut(frame).fill(stamp);
                }
            }
            7 => {
                if let Some(frame) = self.nth(n, |f| !f.orphan).filter(|_| self.pins.len() < 8) {
                    self.pins.push(self.pool.pin(frame));
                }
            }
            8 => drop((!self.pins.is_empty()).then(|| self.pins.swap_remove(n % self.pins.len()))),
            9 => {
                for frame in self.pool.claim_dirty(1 + n % 5) {
                    assert!(self.pool.is_dirty(frame) && self.pool.is_writing(frame));
                    self.pool.begin_write(frame);
                }
            }
            10 | 11 => {
                if let Some(frame) = self.nth(n, |f| f.writing) {
                    match n % 7 {
                        0 => self.pool.abandon_write(frame),
                        _ => drop(self.pool.end_write(frame)),
                    }
                }
            }
            12 => self.copy(n),
            13 => {
                self.pool.freeze(self.epoch);
                self.epoch += 1;
            }
            _ => self.pool.set_policy(Policy::ALL[n % 6]),
        }
    }

    /// Copy on write of a page that may still have to be written.
    fn copy(&mut self, n: usize) {
        let pinned: Vec<FrameId> = self.pins.iter().map(Pin::frame).collect();
        let Some(old) = self.nth(n, |f| !f.orphan).filter(|f| !pinned.contains(f)) else {
            return;
        };
        let stamp = self.stamps[&self.pool.page_id(old).0];
        self.next += 1;
        let page = PageId(self.next);
        self.stamps.insert(page.0, stamp);
        if !self.pool.is_dirty(old) && !self.pool.is_writing(old) {
            self.pool.rename(old, page, self.epoch);
            return;
        }
        let pin = self.pool.pin(old);
        let new = self.pool.take(None);
        drop(pin);
        if let Some(new) = new {
            self.pool.bind(new, page, self.epoch, Arrival::Known);
            self.pool.fill(new, &[stamp; PAGE_BYTES]);
            self.pool.page_mut(new);
            self.pool.supersede(old, new);
        }
    }

    fn check(&self) {
        let pool = &self.pool;
        assert_eq!(pool.dirty(), self.brute(|f| f.dirty));
        assert_eq!(pool.writing(), self.brute(|f| f.writing));
        let frozen = |f: &Frame| f.epoch < self.epoch;
        let left = (
            self.brute(|f| f.dirty && frozen(f) && f.page.0 != 0),
            self.brute(|f| f.writing && frozen(f)),
        );
        assert_eq!(pool.frozen_left(), left);
        assert_eq!(pool.table.len(), self.brute(|f| f.page.0 != 0 && !f.orphan));
        assert_eq!(pool.free(), self.brute(|f| f.page.0 == 0));
        for (frame, state) in pool.frames.iter().enumerate() {
            if state.page.0 != 0 && !state.orphan {
                assert_eq!(pool.find(state.page), Some(frame as FrameId));
                assert_eq!(pool.page(frame as FrameId)[9], self.stamps[&state.page.0]);
            }
        }
    }
}

proptest! {
    #[test]
    fn no_order_of_events_loses_a_page_or_a_frame(ops in prop::collection::vec((0u8..15, 0usize..1000), 1..300)) {
        for policy in Policy::ALL {
            let mut checked = Checked {
                pool: Pool::new(FRAMES, policy),
                pins: Vec::new(),
                stamps: BTreeMap::new(),
                epoch: 1,
                next: PAGES,
            };
            for (op, n) in &ops {
                checked.step(*op, *n);
                checked.check();
            }
        }
    }

    #[test]
    fn frozen_pages_are_claimed_once_each_in_page_order(pages in prop::collection::hash_set(1u32..100_000, 1..200), n in 1usize..50) {
        let mut pool = Pool::new(200, Policy::Clock);
        for page in &pages {
            let frame = pool.take(None).unwrap();
            pool.bind(frame, PageId(*page), 1, Arrival::Known);
            if page % 3 != 0 {
                pool.page_mut(frame);
            }
        }
        pool.freeze(1);
        let mut frozen = FrozenPages::default();
        while frozen.gather(&pool) {}
        let mut seen = Vec::new();
        while !frozen.is_empty() {
            seen.extend(frozen.claim(&mut pool, n).iter().map(|f| pool.page_id(*f).0));
        }
        let mut wanted: Vec<u32> = pages.into_iter().filter(|page| page % 3 != 0).collect();
        wanted.sort_unstable();
        prop_assert_eq!(seen, wanted);
        prop_assert_eq!(pool.frozen_left(), (pool.dirty(), pool.writing()));
    }
}

#[test]
fn the_first_lookup_of_a_missed_page_is_no_hit_and_of_one_read_ahead_is() {
    let mut pool = Pool::new(4, Policy::Lru);
    for (page, arrival) in [
        (1, Arrival::Missed),
        (2, Arrival::Ahead),
        (3, Arrival::Known),
    ] {
        let frame = pool.take(None).unwrap();
        pool.bind(frame, PageId(page), 1, arrival);
    }
    let mut counts = Vec::new();
    for page in [1, 2, 3, 1, 2] {
        pool.lookup(PageId(page)).unwrap();
        counts.push((pool.counters.hits.get(), pool.counters.ahead_used.get()));
    }
    assert_eq!(counts, [(0, 0), (1, 1), (2, 1), (3, 1), (4, 1)]);
}

#[test]
fn a_page_that_was_only_read_once_is_no_hot_page() {
    // The first lookup after a miss is the use that it was read for: LIRS and ARC must not take it for a second.
    for policy in [Policy::Lirs, Policy::Arc] {
        let mut pool = Pool::new(100, policy);
        let read = |pool: &mut Pool, page: u32| {
            if pool.lookup(PageId(page)).is_none() {
                let frame = pool.take(Some(PageId(page))).unwrap();
                pool.bind(frame, PageId(page), 1, Arrival::Missed);
                pool.lookup(PageId(page)).unwrap();
            }
        };
        for _ in 0..3 {
            (1..=50).for_each(|page| read(&mut pool, page));
        }
        (1000..2000).for_each(|page| read(&mut pool, page));
        let kept = (1..=50).filter(|p| pool.find(PageId(*p)).is_some()).count();
        assert!(
            kept >= 48,
            "{policy}: {kept} of 50 hot pages outlived a scan"
        );
    }
}
