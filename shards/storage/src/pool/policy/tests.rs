//! Promises of every policy, and what each paper says of small examples.

use super::*;
use crate::trace;
use proptest::prelude::*;
use std::collections::BTreeMap;

const FRAMES: usize = 24;

fn visited(policy: &dyn EvictionPolicy) -> Vec<usize> {
    let mut seen = Vec::new();
    policy.visit(&mut |f| {
        seen.push(f);
        ControlFlow::Continue(())
    });
    seen
}

/// A policy with the truth beside it: which page is in which frame, and which frames may not go.
struct Checked {
    policy: Box<dyn EvictionPolicy>,
    pages: BTreeMap<usize, PageId>,
    held: [bool; FRAMES],
}

impl Checked {
    fn free(&self) -> Option<usize> {
        (0..FRAMES).find(|f| !self.pages.contains_key(f))
    }

    fn nth(&self, n: usize) -> Option<usize> {
        let n = n.checked_rem(self.pages.len())?;
        self.pages.keys().nth(n).copied()
    }

    fn victim(&mut self, coming: PageId) -> Option<usize> {
        let held = self.held;
        let victim = self.policy.victim(Some(coming), &mut |f| !held[f]);
        let may_go = self.pages.keys().any(|f| !held[*f]);
        assert_eq!(
            victim.is_some(),
            may_go,
            "a frame may go and none is found, or the reverse"
        );
        if let Some(victim) = victim {
            assert!(!held[victim] && self.pages.contains_key(&victim));
            let page = self.pages.remove(&victim)?;
            self.policy.evicted(victim, page);
        }
        victim
    }

    fn step(&mut self, op: u8, n: usize) {
        match op {
            0..=5 => {
                let page = PageId(1 + n as u32 % 60);
                let known = self.pages.iter().find(|(_, p)| **p == page);
                if let Some((frame, _)) = known {
                    self.policy.touched(*frame);
                } else if let Some(frame) = self.free().or_else(|| self.victim(page)) {
                    self.pages.insert(frame, page);
                    self.policy.admitted(frame, page);
                }
            }
            6 => {
                if let Some(frame) = self.nth(n) {
                    self.held[frame] = true;
                }
            }
            7 => {
                if let Some(frame) = self.nth(n) {
                    self.held[frame] = false;
                    self.policy.restored(frame);
                }
            }
            8 => {
                if let Some(frame) = self.nth(n) {
                    self.pages.remove(&frame);
                    self.held[frame] = false;
                    self.policy.removed(frame);
                }
            }
            _ => {
                if let (Some(from), Some(to)) = (self.nth(n), self.free()) {
                    let page = PageId(100 + n as u32);
                    self.pages.remove(&from);
                    self.held[from] = false;
                    self.policy.moved(from, to, page);
                    self.pages.insert(to, page);
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn a_victim_is_found_whenever_there_is_one(ops in prop::collection::vec((0u8..10, 0usize..1000), 1..500)) {
        for name in Policy::ALL {
            let mut checked = Checked {
                policy: name.build(FRAMES),
                pages: BTreeMap::new(),
                held: [false; FRAMES],
            };
            for (op, n) in &ops {
                checked.step(*op, *n);
                let mut seen = visited(&*checked.policy);
                seen.sort_unstable();
                let all: Vec<usize> = checked.pages.keys().copied().collect();
                prop_assert_eq!(seen, all, "{}", name);
            }
        }
    }
}

#[test]
fn names_are_read_back() {
    for policy in Policy::ALL {
        assert_eq!(policy.to_string().parse(), Ok(policy));
    }
    assert!(
        "mru"
            .parse::<Policy>()
            .is_err_and(|e| e.to_string().contains("lru-k"))
    );
}

#[test]
fn what_may_not_go_is_met_once_whatever_the_policy() {
    for name in Policy::ALL {
        let n = 10_000;
        let mut policy = name.build(n);
        for frame in 0..n {
            policy.admitted(frame, PageId(1 + frame as u32));
        }
        let mut asked = 0;
        for _ in 0..100 {
            let victim = policy.victim(None, &mut |f| {
                asked += 1;
                f >= n - 200
            });
            let victim = victim.unwrap();
            policy.evicted(victim, PageId(1 + victim as u32));
        }
        // CLOCK goes round once before it takes anything.
        assert!(
            asked <= 2 * n + 400,
            "{name}: {asked} looks for 100 victims"
        );
    }
}

#[test]
fn a_policy_goes_on_from_where_another_was() {
    for from in Policy::ALL {
        for to in Policy::ALL {
            let mut old = from.build(100);
            for frame in 0..100 {
                old.admitted(frame, PageId(1 + frame as u32));
            }
            let order: Vec<(usize, PageId)> = visited(&*old)
                .into_iter()
                .map(|f| (f, PageId(1 + f as u32)))
                .collect();
            assert_eq!(order.len(), 100, "{from}");
            let mut new = to.build(100);
            new.adopt(&order);
            let victim = new.victim(None, &mut |_| true);
            assert_eq!(victim, Some(order[0].0), "{from} to {to}");
        }
    }
}

fn admit(policy: &mut dyn EvictionPolicy, frames: std::ops::Range<usize>) {
    for frame in frames {
        policy.admitted(frame, PageId(1 + frame as u32));
    }
}

fn next(policy: &mut dyn EvictionPolicy) -> usize {
    let victim = policy.victim(None, &mut |_| true).unwrap();
    policy.evicted(victim, PageId(1 + victim as u32));
    victim
}

#[test]
fn clock_gives_a_used_frame_a_second_chance() {
    let mut clock = clock::Clock::new(3);
    admit(&mut clock, 0..3);
    // All were used when they came: the hand goes round once.
    assert_eq!(next(&mut clock), 0);
    clock.touched(1);
    assert_eq!(next(&mut clock), 2);
    assert_eq!(next(&mut clock), 1);
    assert_eq!(clock.victim(None, &mut |_| true), None);
}

#[test]
fn lru_gives_up_what_was_used_longest_ago() {
    let mut lru = lru::Lru::new(3);
    admit(&mut lru, 0..3);
    lru.touched(0);
    assert_eq!([next(&mut lru), next(&mut lru), next(&mut lru)], [1, 2, 0]);
}

#[test]
fn in_2q_a_page_is_hot_when_it_comes_back_and_not_before() {
    let mut two_q = two_q::TwoQ::new(8);
    admit(&mut two_q, 0..8);
    two_q.touched(0);
    assert_eq!(next(&mut two_q), 0);
    two_q.admitted(0, PageId(1));
    // Am's page 1 outlives all of A1in but the two that it keeps.
    let order: Vec<usize> = (0..5).map(|_| next(&mut two_q)).collect();
    assert_eq!(order, [1, 2, 3, 4, 5]);
    assert_eq!(next(&mut two_q), 0);
}

#[test]
fn lru_2_looks_at_the_last_use_but_one() {
    let mut lru_k = lru_k::LruK::new(4);
    admit(&mut lru_k, 0..4);
    for frame in [3, 0, 1, 1, 0] {
        lru_k.touched(frame);
    }
    // 2 was used once. Last uses but one: 3 at its coming, then 0, then 1.
    assert_eq!([next(&mut lru_k), next(&mut lru_k)], [2, 3]);
    // A page that has gone keeps its history: 3 was used twice lately.
    lru_k.admitted(3, PageId(4));
    lru_k.admitted(2, PageId(99));
    assert_eq!(next(&mut lru_k), 2);
}

#[test]
fn in_lru_2_uses_close_together_are_one() {
    let mut lru_k = lru_k::LruK::new(64 * 4);
    admit(&mut lru_k, 0..8);
    lru_k.touched(7);
    lru_k.touched(7);
    lru_k.touched(0);
    // Frame 0 was used twice, the others once, however often in a row.
    let order: Vec<usize> = (0..8).map(|_| next(&mut lru_k)).collect();
    assert_eq!(order.last(), Some(&0));
}

#[test]
fn lirs_keeps_its_hot_pages_through_a_loop() {
    // As in the paper: a loop over a few pages more than there are frames misses only on those.
    let ratio = trace::hit_ratio(Policy::Lirs, 100, &trace::cycle(110, 11_000));
    assert!(ratio > 0.85, "{ratio}");
}

#[test]
fn in_lirs_a_hir_page_used_again_soon_becomes_lir() {
    let mut lirs = lirs::Lirs::new(5);
    admit(&mut lirs, 0..5);
    // Three LIR pages (0, 1, 2) and two HIR ones: 3 is used again, 0 has not been used for longest.
    lirs.touched(3);
    assert_eq!([next(&mut lirs), next(&mut lirs)], [4, 0]);
    // Page 5 comes back while the stack remembers it, and takes 1's place.
    lirs.admitted(4, PageId(5));
    assert_eq!(next(&mut lirs), 1);
}

#[test]
fn arc_moves_its_aim_to_what_comes_back() {
    let mut arc = arc::Arc::new(4);
    admit(&mut arc, 0..4);
    arc.touched(0);
    arc.touched(1);
    // T1: 2, 3. T2: 0, 1.
    assert_eq!(next(&mut arc), 2);
    arc.admitted(2, PageId(50));
    // Page 3 was in T1 and comes back: recency was worth more, so T2 gives up a frame.
    assert_eq!(next(&mut arc), 3);
    arc.admitted(3, PageId(3));
    assert_eq!(arc.victim(Some(PageId(4)), &mut |_| true), Some(0));
}
