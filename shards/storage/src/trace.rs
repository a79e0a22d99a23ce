//! Replays of page references over the eviction policies, without pages.
//!
//! Owns: a cache of nothing but page numbers under a policy, the optimum it is measured against, and the traces of the
//! papers: skewed, looping, scanning, and a mix. Asked by: `benches/eviction.rs` and tests. Never: used by a store.
//! Bounds: memory in proportion to the trace. A trace is made from a seed and is the same every time.
//! Source: Belady 1966, "A study of replacement algorithms for a virtual-storage computer" (the optimum);
//! Gray et al. 1994, "Quickly generating billion-record synthetic databases" (skewed references).

use crate::page::PageId;
use crate::pool::PageTable;
use crate::pool::policy::Policy;
use std::collections::BTreeSet;

/// The share of references that find their page in a cache of `frames` pages. Pages are numbers from 1 on.
pub fn hit_ratio(policy: Policy, frames: usize, trace: &[u32]) -> f64 {
    let mut cache = policy.build(frames);
    let mut table = PageTable::new(frames);
    let mut pages = Vec::with_capacity(frames);
    let mut hits = 0u64;
    for page in trace.iter().map(|page| PageId(*page)) {
        if let Some(frame) = table.get(page) {
            cache.touched(frame as usize);
            hits += 1;
            continue;
        }
        let frame = if pages.len() < frames {
            pages.push(page);
            pages.len() - 1
        } else {
            let Some(frame) = cache.victim(Some(page), &mut |_| true) else {
                continue;
            };
            table.remove(pages[frame]);
            cache.evicted(frame, pages[frame]);
            pages[frame] = page;
            frame
        };
        table.insert(page, frame as u32);
        cache.admitted(frame, page);
    }
    hits as f64 / trace.len().max(1) as f64
}

/// The share that no policy can exceed: always the page goes that is needed last, or never again.
pub fn optimum(frames: usize, trace: &[u32]) -> f64 {
    let pages = trace.iter().max().map_or(0, |max| *max as usize + 1);
    let mut later = vec![usize::MAX; pages];
    let mut next = vec![usize::MAX; trace.len()];
    for (i, page) in trace.iter().enumerate().rev() {
        next[i] = std::mem::replace(&mut later[*page as usize], i);
    }
    // By when they are needed next; `due` says under which time a page is in it.
    let mut cached: BTreeSet<(usize, u32)> = BTreeSet::new();
    let mut due = vec![None; pages];
    let mut hits = 0u64;
    for (i, page) in trace.iter().enumerate() {
        match due[*page as usize].replace(next[i]) {
            Some(now) => {
                cached.remove(&(now, *page));
                hits += 1;
            }
            None if cached.len() == frames => {
                if let Some((_, gone)) = cached.pop_last() {
                    due[gone as usize] = None;
                }
            }
            None => {}
        }
        cached.insert((next[i], *page));
    }
    hits as f64 / trace.len().max(1) as f64
}

/// Numbers that look random and are the same every time: SplitMix64.
#[derive(Clone, Debug)]
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u32) -> u32 {
        (self.roll() % u64::from(n.max(1))) as u32
    }

    /// From 0 up to, but not including, 1.
    fn unit(&mut self) -> f64 {
        (self.roll() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// `n` references to `pages` pages, the `k`th most popular of which is asked for in proportion to `1 / k^skew`.
pub fn zipf(pages: u32, skew: f64, n: usize, seed: u64) -> Vec<u32> {
    let mut sums = Vec::with_capacity(pages as usize);
    let mut sum = 0.0;
    for k in 1..=pages {
        sum += f64::from(k).powf(-skew);
        sums.push(sum);
    }
    let mut dice = Dice(seed);
    // Popular pages lie anywhere among the others.
    let mut names: Vec<u32> = (1..=pages).collect();
    for i in (1..pages).rev() {
        names.swap(i as usize, dice.below(i + 1) as usize);
    }
    (0..n)
        .map(|_| {
            let at = dice.unit() * sum;
            let k = sums.partition_point(|s| *s <= at);
            names[k.min(names.len() - 1)]
        })
        .collect()
}

/// `pages` pages one after the other, again and again.
pub fn cycle(pages: u32, n: usize) -> Vec<u32> {
    (0..n as u32).map(|i| i % pages + 1).collect()
}

/// References to a hot set of `hot` pages, all alike, among which now and then `scan` pages are read in order, once.
pub fn scans(hot: u32, scan: u32, n: usize, seed: u64) -> Vec<u32> {
    let mut dice = Dice(seed);
    let mut out = Vec::with_capacity(n);
    let mut cold = hot;
    while out.len() < n {
        for _ in 0..4 * hot {
            out.push(1 + dice.below(hot));
        }
        // A scan shares the machine with those who use the hot set.
        for _ in 0..scan {
            cold += 1;
            out.push(cold);
            if dice.below(4) == 0 {
                out.push(1 + dice.below(hot));
            }
        }
    }
    out.truncate(n);
    out
}

/// Skewed references, a loop and scans in turns, over pages of their own each, `n / 9` at a time.
pub fn mixed(pages: u32, looped: u32, n: usize, seed: u64) -> Vec<u32> {
    let turn = (n / 9).max(1);
    let skewed = zipf(pages, 0.9, n, seed);
    let scanning = scans(looped / 2, looped, n, seed + 1);
    let sources: [(u32, Vec<u32>); 3] = [
        (0, skewed),
        (pages, cycle(looped, n)),
        (pages + looped, scanning),
    ];
    (0..n)
        .map(|i| {
            let (from, trace) = &sources[i / turn % 3];
            from + trace[i]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratios(frames: usize, trace: &[u32]) -> impl Fn(Policy) -> f64 + use<> {
        let found = Policy::ALL.map(|p| (p, hit_ratio(p, frames, trace)));
        let optimum = optimum(frames, trace);
        for (policy, ratio) in found {
            assert!(
                ratio <= optimum,
                "{policy}: {ratio}, the optimum is {optimum}"
            );
        }
        move |policy| {
            found
                .iter()
                .find(|(p, _)| *p == policy)
                .map_or(0.0, |f| f.1)
        }
    }

    #[test]
    fn the_optimum_is_exact_where_it_is_known() {
        // Belady's own example: of these twelve, five hit in three frames.
        let trace = [1, 2, 3, 4, 1, 2, 5, 1, 2, 3, 4, 5];
        assert_eq!(optimum(3, &trace), 5.0 / 12.0);
        assert_eq!(hit_ratio(Policy::Lru, 3, &trace), 2.0 / 12.0);
        // Of a loop of n + k pages, all but k of each round's last n - 1 can be kept.
        let ratio = optimum(100, &cycle(110, 110_000));
        assert!((ratio - 99.0 / 109.0).abs() < 0.01, "{ratio}");
    }

    #[test]
    fn lirs_and_arc_beat_lru_on_a_loop() {
        for looped in [1050, 1200, 1500] {
            let of = ratios(1000, &cycle(looped, 60_000));
            assert!(of(Policy::Lru) == 0.0);
            assert!(
                of(Policy::Lirs) > 0.4,
                "{looped}: lirs {}",
                of(Policy::Lirs)
            );
            assert!(of(Policy::Arc) >= of(Policy::Lru));
            assert!(of(Policy::TwoQ) > of(Policy::Lru));
        }
    }

    #[test]
    fn scans_do_not_empty_the_policies_that_resist_them() {
        for seed in 0..3 {
            let of = ratios(1000, &scans(800, 2000, 200_000, seed));
            let lru = of(Policy::Lru);
            for policy in [Policy::TwoQ, Policy::LruK, Policy::Lirs, Policy::Arc] {
                assert!(
                    of(policy) > lru + 0.01,
                    "{policy}: {}, lru {lru}",
                    of(policy)
                );
            }
        }
    }

    #[test]
    fn loops_beside_a_hot_set_cost_arc_less_than_lru() {
        let trace = mixed(5000, 1500, 200_000, 7);
        let of = ratios(1000, &trace);
        assert!(of(Policy::Arc) > of(Policy::Lru));
        assert!(of(Policy::Lirs) > of(Policy::Lru));
    }

    #[test]
    fn clock_is_close_to_lru_and_none_is_far_behind_on_skewed_references() {
        for skew in [0.7, 0.9, 1.1] {
            let of = ratios(1000, &zipf(20_000, skew, 200_000, 1));
            let lru = of(Policy::Lru);
            assert!((of(Policy::Clock) - lru).abs() < 0.03);
            for policy in Policy::ALL {
                assert!(
                    of(policy) > lru - 0.02,
                    "{policy}: {}, lru {lru}",
                    of(policy)
                );
            }
        }
    }
}
