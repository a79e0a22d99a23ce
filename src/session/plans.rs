//! The shard's plan cache: bound statements by text, parameter types and catalog version.
//!
//! Bounds: `PLAN_CACHE_MAX` plans, the least recently used goes; a text that comes once, as texts with their values in them
//! do, takes no place and drives none out: `SEEN` remembers those that came. Never: keeps a plan whose literals depend on the moment
//! (`'now'`, `'today'` …), or one of a transaction's own catalog.

use super::Planned;
use hashbrown::HashMap;
use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::rc::Rc;
use std::sync::Arc;
use types::{DataType, limits};

#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PlanKey {
    pub text: Arc<str>,
    pub types: Vec<Option<DataType>>,
    /// Literals are read in it.
    pub time_zone: String,
    /// Names are looked up in it.
    pub search_path: String,
}

pub struct PlanCache {
    plans: HashMap<PlanKey, (Rc<Planned>, u64)>,
    /// Uses in order, with their number; an entry that has been used again since is passed over.
    order: VecDeque<(PlanKey, u64)>,
    uses: u64,
    max: usize,
    /// Hashes of keys that came lately, each in the one place that it may have.
    seen: Box<[u64]>,
}

/// Keys that are remembered as having come once.
const SEEN: usize = 4096;

impl PlanCache {
    pub fn new() -> PlanCache {
        PlanCache::with_max(limits::PLAN_CACHE_MAX)
    }

    fn with_max(max: usize) -> PlanCache {
        PlanCache {
            plans: HashMap::new(),
            order: VecDeque::new(),
            uses: 0,
            max,
            seen: vec![0; SEEN].into(),
        }
    }

    /// Whether it came before; it has now.
    pub fn comes_again(&mut self, key: &PlanKey) -> bool {
        let hash = self.plans.hasher().hash_one(key);
        let place = hash as usize % self.seen.len();
        let last = self
            .seen
            .get_mut(place)
            .map(|seen| std::mem::replace(seen, hash));
        last == Some(hash)
    }

    pub fn get(&mut self, key: &PlanKey, version: u64) -> Option<Rc<Planned>> {
        self.uses += 1;
        let uses = self.uses;
        let (plan, used) = self.plans.get_mut(key)?;
        if plan.version != version {
            self.plans.remove(key);
            return None;
        }
        // The order is kept roughly: a plan in steady use moves to the back only now and then.
        if uses - *used > self.max as u64 / 4 {
            *used = uses;
            self.order.push_back((key.clone(), uses));
        }
        Some(self.plans.get(key)?.0.clone())
    }

    pub fn put(&mut self, key: PlanKey, plan: Rc<Planned>) {
        self.uses += 1;
        self.order.push_back((key.clone(), self.uses));
        self.plans.insert(key, (plan, self.uses));
        while self.plans.len() > self.max || self.order.len() > 2 * self.max {
            let Some((key, used)) = self.order.pop_front() else {
                break;
            };
            if self.plans.get(&key).is_some_and(|(_, last)| *last == used) {
                self.plans.remove(&key);
            }
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.plans.len()
    }
}

/// Whether a text may be planned once for many: not if a literal in it may mean the present moment.
pub fn cacheable(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    !["'now", "'today", "'tomorrow", "'yesterday"]
        .iter()
        .any(|word| lower.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{Bound, Statement};

    fn key(n: usize) -> PlanKey {
        PlanKey {
            text: format!("select {n}").into(),
            types: Vec::new(),
            time_zone: String::new(),
            search_path: String::new(),
        }
    }

    fn plan(version: u64) -> Rc<Planned> {
        let bound = Bound {
            statement: Statement::Commit { chain: false },
            params: Vec::new(),
            columns: None,
        };
        Rc::new(Planned::new(
            version,
            None,
            bound,
            std::time::Duration::ZERO,
        ))
    }

    #[test]
    fn one_more_than_the_ceiling_evicts_the_least_recently_used() {
        let mut cache = PlanCache::with_max(4);
        for n in 0..4 {
            cache.put(key(n), plan(1));
        }
        for _ in 0..4 {
            assert!(cache.get(&key(0), 1).is_some());
        }
        cache.put(key(4), plan(1));
        assert_eq!(cache.len(), 4);
        assert!(cache.get(&key(0), 1).is_some(), "it was used last");
        assert!(cache.get(&key(1), 1).is_none(), "it was the oldest");
    }

    #[test]
    fn a_text_is_known_from_the_second_time_on() {
        let mut cache = PlanCache::with_max(4);
        assert!(!cache.comes_again(&key(0)));
        assert!(cache.comes_again(&key(0)));
        assert!(!cache.comes_again(&key(1)));
    }

    #[test]
    fn a_plan_of_another_catalog_version_is_never_answered() {
        let mut cache = PlanCache::with_max(4);
        cache.put(key(0), plan(1));
        assert!(cache.get(&key(0), 2).is_none());
        assert_eq!(cache.len(), 0);
    }

    #[test]
    fn a_literal_that_means_now_is_not_cached() {
        assert!(!cacheable("select 'NOW'::timestamptz"));
        assert!(cacheable("select now()"));
    }
}
