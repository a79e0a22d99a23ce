//! The shard's plan cache: bound statements by text, database, parameter types and catalog version.
//!
//! Bounds: `PLAN_CACHE_MAX` plans that take `BYTES_MAX` by `bytes_of`, the least recently used goes; a text that comes once, as texts with their values in them
//! do, takes no place and drives none out: `SEEN` remembers those that came. Never: keeps a plan whose literals depend on the moment
//! (`'now'`, `'today'` …), or one of a transaction's own catalog.

use super::{Planned, row_counts};
use hashbrown::{Equivalent, HashMap};
use std::collections::VecDeque;
use std::hash::{BuildHasher, DefaultHasher, Hasher};
use std::rc::Rc;
use std::sync::Arc;
use types::{DataType, limits};

#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PlanKey {
    pub text: Arc<str>,
    /// Oid of the one that names are of.
    pub database: u32,
    pub types: Vec<Option<DataType>>,
    /// Literals are read in it.
    pub forms: Rc<str>,
    /// Names are looked up in it.
    pub search_path: Rc<str>,
}

/// A key that nobody owns.
#[derive(Clone, Copy, Hash)]
pub struct PlanRef<'a> {
    pub text: &'a str,
    pub database: u32,
    pub types: &'a [Option<DataType>],
    pub forms: &'a str,
    pub search_path: &'a str,
}

impl PlanRef<'_> {
    pub fn to_key(self) -> PlanKey {
        PlanKey {
            text: self.text.into(),
            database: self.database,
            types: self.types.to_vec(),
            forms: self.forms.into(),
            search_path: self.search_path.into(),
        }
    }
}

impl Equivalent<PlanKey> for PlanRef<'_> {
    fn equivalent(&self, key: &PlanKey) -> bool {
        self.text == &*key.text
            && self.database == key.database
            && self.types == key.types
            && self.forms == &*key.forms
            && self.search_path == &*key.search_path
    }
}

pub struct PlanCache {
    plans: HashMap<PlanKey, (Rc<Planned>, u64)>,
    /// Where `seen` and `unfit` have a key. Which keys share a place decides which statements are learnt.
    places: Places,
    /// Uses in order, with their number; an entry that has been used again since is passed over.
    order: VecDeque<(PlanKey, u64)>,
    uses: u64,
    max: usize,
    /// What the plans take, by `bytes_of`.
    bytes: usize,
    /// Hashes of keys that came lately, each in the one place that it may have.
    seen: Box<[u64]>,
    /// So of shapes whose statements have to be planned each for itself.
    unfit: Box<[u64]>,
}

/// What the plans kept may take. One that would take more than a sixteenth of it is made each time it is needed.
const BYTES_MAX: usize = 128 << 20;

/// About what a plan takes with its text and syntax tree. By the resident memory of a server, 2026-11-29: 22 KiB for a text of
/// 58 bytes, 53 KiB for a join of seven in 186, 127 and 136 KiB for an IN list and for many columns in 1.2 and 1.0 KiB.
fn bytes_of(key: &PlanKey, plan: &Planned) -> usize {
    let plans = match plan.row_counts.is_empty() {
        true => 1,
        false => 1 + row_counts::PLANS_MAX,
    };
    ((16 << 10) + key.text.len() * 128) * plans
}

/// Keys that are remembered as having come once.
const SEEN: usize = 4096;

/// Hashes that nobody can foresee, and that are the same in each run of a simulation.
struct Places(u64);

impl BuildHasher for Places {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.0);
        hasher
    }
}

impl PlanCache {
    pub fn new() -> PlanCache {
        PlanCache::with_max(limits::PLAN_CACHE_MAX)
    }

    fn with_max(max: usize) -> PlanCache {
        PlanCache {
            plans: HashMap::new(),
            places: Places(runtime::random_u64()),
            order: VecDeque::new(),
            uses: 0,
            max,
            bytes: 0,
            seen: vec![0; SEEN].into(),
            unfit: vec![0; SEEN].into(),
        }
    }

    /// Whether it came before; it has now.
    pub fn comes_again(&mut self, key: PlanRef<'_>) -> bool {
        let hash = self.places.hash_one(key);
        let place = hash as usize % self.seen.len();
        let last = self
            .seen
            .get_mut(place)
            .map(|seen| std::mem::replace(seen, hash));
        last == Some(hash)
    }

    pub fn is_unfit(&self, key: PlanRef<'_>) -> bool {
        let hash = self.places.hash_one(key);
        let place = hash as usize % self.unfit.len();
        self.unfit.get(place) == Some(&hash)
    }

    pub fn set_unfit(&mut self, key: PlanRef<'_>) {
        let hash = self.places.hash_one(key);
        let place = hash as usize % self.unfit.len();
        if let Some(unfit) = self.unfit.get_mut(place) {
            *unfit = hash;
        }
    }

    pub fn get(&mut self, key: PlanRef<'_>, version: u64) -> Option<Rc<Planned>> {
        self.uses += 1;
        let uses = self.uses;
        let (plan, used) = self.plans.get_mut(&key)?;
        if plan.version != version {
            self.forget(&key);
            return None;
        }
        // The order is kept roughly: a plan in steady use moves to the back only now and then.
        if uses - *used > self.max as u64 / 4 {
            *used = uses;
            self.order.push_back((key.to_key(), uses));
        }
        Some(plan.clone())
    }

    pub fn put(&mut self, key: PlanKey, plan: Rc<Planned>) {
        if bytes_of(&key, &plan) > BYTES_MAX / 16 {
            return;
        }
        self.forget(&key);
        self.uses += 1;
        self.bytes += bytes_of(&key, &plan);
        self.order.push_back((key.clone(), self.uses));
        self.plans.insert(key, (plan, self.uses));
        while self.plans.len() > self.max
            || self.bytes > BYTES_MAX
            || self.order.len() > 2 * self.max
        {
            let Some((key, used)) = self.order.pop_front() else {
                break;
            };
            if self.plans.get(&key).is_some_and(|(_, last)| *last == used) {
                self.forget(&key);
            }
        }
    }

    fn forget<K: std::hash::Hash + Equivalent<PlanKey>>(&mut self, key: &K) {
        if let Some((key, (plan, _))) = self.plans.remove_entry(key) {
            self.bytes -= bytes_of(&key, &plan);
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
    use sql::{Bound, Statement};

    const TEXTS: [&str; 5] = ["select 0", "select 1", "select 2", "select 3", "select 4"];

    fn key(n: usize) -> PlanRef<'static> {
        PlanRef {
            text: TEXTS[n],
            database: 5,
            types: &[],
            forms: "",
            search_path: "",
        }
    }

    fn plan(version: u64) -> Rc<Planned> {
        let bound = Bound {
            statement: Statement::Commit { chain: false },
            params: [].into(),
            columns: None,
        };
        Rc::new(Planned::new(
            version,
            None,
            None,
            bound,
            std::time::Duration::ZERO,
        ))
    }

    #[test]
    fn one_more_than_the_ceiling_evicts_the_least_recently_used() {
        let mut cache = PlanCache::with_max(4);
        for n in 0..4 {
            cache.put(key(n).to_key(), plan(1));
        }
        for _ in 0..4 {
            assert!(cache.get(key(0), 1).is_some());
        }
        cache.put(key(4).to_key(), plan(1));
        assert_eq!(cache.len(), 4);
        assert!(cache.get(key(0), 1).is_some(), "it was used last");
        assert!(cache.get(key(1), 1).is_none(), "it was the oldest");
    }

    #[test]
    fn what_the_plans_take_has_a_ceiling_too() {
        let mut cache = PlanCache::new();
        let long = |n: usize, bytes: usize| PlanKey {
            text: format!("{}{n:02}", "0".repeat(bytes - 2)).into(),
            ..key(0).to_key()
        };
        let (of_all, of_one) = (BYTES_MAX, BYTES_MAX / 16);
        let most = (of_one - bytes_of(&long(0, 2), &plan(1))) / 128 + 2;
        for n in 0..16 {
            cache.put(long(n, most), plan(1));
        }
        cache.put(long(0, most), plan(1));
        assert_eq!((cache.len(), cache.bytes), (16, of_all));
        cache.put(key(0).to_key(), plan(1));
        assert_eq!(cache.len(), 16, "the oldest has gone");
        assert!(cache.get(key(0), 1).is_some());
        assert!(cache.get(key(0), 2).is_none());
        assert_eq!(cache.bytes, 15 * of_one);
        cache.put(long(0, most + 1), plan(1));
        assert_eq!(cache.len(), 15, "it would take too much");
    }

    #[test]
    fn a_text_is_known_from_the_second_time_on() {
        let mut cache = PlanCache::with_max(4);
        assert!(!cache.comes_again(key(0)));
        assert!(cache.comes_again(key(0)));
        assert!(!cache.comes_again(key(1)));
    }

    #[test]
    fn a_plan_of_another_catalog_version_is_never_answered() {
        let mut cache = PlanCache::with_max(4);
        cache.put(key(0).to_key(), plan(1));
        assert!(cache.get(key(0), 2).is_none());
        assert_eq!(cache.len(), 0);
    }

    #[test]
    fn a_literal_that_means_now_is_not_cached() {
        assert!(!cacheable("select 'NOW'::timestamptz"));
        assert!(cacheable("select now()"));
    }
}
