//! What one client does, and what it knows of the outcome.

use super::{ACCOUNTS, ROWS, WORDS};
use runtime::sim::Random;
use std::collections::BTreeMap;
use tokio_postgres::Client;

#[derive(Clone, PartialEq, Debug)]
pub struct Item {
    pub v: String,
    pub n: i64,
    pub word: char,
    pub bytes: usize,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Transfer {
    pub source: i32,
    pub target: i32,
    pub amount: i32,
}

/// What one worker has in the database.
#[derive(Clone, Default, PartialEq)]
pub struct World {
    pub items: BTreeMap<i64, Item>,
    pub ledger: BTreeMap<i64, Transfer>,
}

#[derive(Clone)]
pub enum Change {
    Put(i64, Item),
    Gone(i64),
    Moved(i64, Transfer),
}

impl World {
    pub fn apply(&mut self, changes: &[Change]) {
        for change in changes {
            match change.clone() {
                Change::Put(id, item) => drop(self.items.insert(id, item)),
                Change::Gone(id) => drop(self.items.remove(&id)),
                Change::Moved(id, transfer) => drop(self.ledger.insert(id, transfer)),
            }
        }
    }

    /// Where another differs, in few words.
    fn difference(&self, other: &World) -> String {
        let differs = |id: &&i64| self.items.get(id) != other.items.get(id);
        let ids = self.items.keys().chain(other.items.keys());
        let wrong = ids.filter(differs).take(4).map(|id| {
            let (there, expected) = (self.items.get(id), other.items.get(id));
            format!("item {id} is {there:?} and not {expected:?}")
        });
        let mut wrong: Vec<String> = wrong.collect();
        let ids = self.ledger.keys().chain(other.ledger.keys());
        let differs = |id: &&i64| self.ledger.get(id) != other.ledger.get(id);
        wrong.extend(ids.filter(differs).take(4).map(|id| {
            let (there, expected) = (self.ledger.get(id), other.ledger.get(id));
            format!("transfer {id} is {there:?} and not {expected:?}")
        }));
        wrong.join("; ")
    }
}

/// How a transaction is meant to end.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Commits,
    RollsBack,
    /// With 23505.
    Refused,
}

/// One client: what it was told, and what it has begun and not heard of.
pub struct Worker {
    id: i64,
    random: Random,
    next: i64,
    pub told: World,
    begun: Vec<Change>,
    pub acknowledged: u64,
}

impl Worker {
    pub fn new(id: i64, seed: u64) -> Worker {
        let mut random = Random::new(seed);
        random.mix(id as u64);
        Worker {
            id,
            random,
            next: 0,
            told: World::default(),
            begun: Vec::new(),
            acknowledged: 0,
        }
    }

    /// An id that nobody had; ids of one worker are in all partitions.
    fn fresh_id(&mut self) -> i64 {
        self.next += 1;
        self.id * 1_000_000_000 + self.next
    }

    fn fresh_item(&mut self) -> Item {
        let bytes = match self.random.below(20) {
            0 => 4_000 + self.random.below(16_000),
            1..12 => 500 + self.random.below(2_500),
            _ => 1 + self.random.below(200),
        };
        Item {
            v: format!("v{}", self.random.below(WORDS)),
            n: self.fresh_id(),
            word: (b'a' + self.random.below(26) as u8) as char,
            bytes: bytes as usize,
        }
    }

    fn pick(&mut self) -> i64 {
        let at = self.random.below(self.told.items.len() as u64) as usize;
        self.told.items.keys().nth(at).copied().unwrap_or_default()
    }

    pub fn insert(&mut self, changes: &mut Vec<Change>) -> String {
        let mut rows = Vec::new();
        for _ in 0..1 + self.random.below(4) {
            let (id, item) = (self.fresh_id(), self.fresh_item());
            rows.push(self.literal(id, &item));
            changes.push(Change::Put(id, item));
        }
        format!("insert into item values {}", rows.join(", "))
    }

    fn literal(&self, id: i64, item: &Item) -> String {
        let Item { v, n, word, bytes } = item;
        let worker = self.id;
        format!("({id}, {worker}, '{v}', {n}, repeat('{word}', {bytes}))")
    }

    /// One statement that changes rows of this worker.
    fn change(&mut self, changes: &mut Vec<Change>) -> String {
        let full = self.told.items.len() > ROWS;
        let id = self.pick();
        match self.random.below(6) {
            0 | 1 if !full => self.insert(changes),
            0..3 => {
                changes.push(Change::Gone(id));
                format!("delete from item where id = {id}")
            }
            3 => {
                // Mostly to another partition. A row that was changed before in this transaction is left alone.
                let Some(item) = self
                    .told
                    .items
                    .get(&id)
                    .cloned()
                    .filter(|_| changes.is_empty())
                else {
                    return "select 1".into();
                };
                let other = self.fresh_id();
                changes.extend([Change::Gone(id), Change::Put(other, item)]);
                format!("update item set id = {other} where id = {id}")
            }
            _ => {
                let gone = |c: &Change| matches!(c, Change::Gone(other) if *other == id);
                let item = self.fresh_item();
                if !changes.iter().any(gone) {
                    changes.push(Change::Put(id, item.clone()));
                }
                let Item { v, n, word, bytes } = item;
                format!(
                    "update item set v = '{v}', n = {n}, body = repeat('{word}', {bytes}) where id = {id}"
                )
            }
        }
    }

    fn transfer(&mut self, changes: &mut Vec<Change>) -> Vec<String> {
        let mut draw = || self.random.below(ACCOUNTS as u64) as i32;
        let (source, target) = (draw(), draw());
        let amount = 1 + self.random.below(9) as i32;
        let id = self.fresh_id();
        changes.push(Change::Moved(
            id,
            Transfer {
                source,
                target,
                amount,
            },
        ));
        let mut moves = [(source, -amount), (target, amount)];
        // In order of the key, so that two transfers never wait for each other.
        moves.sort_unstable();
        let mut steps: Vec<String> = moves
            .iter()
            .map(|(id, delta)| {
                format!("update account set balance = balance + {delta} where id = {id}")
            })
            .collect();
        steps.push(format!(
            "insert into ledger values ({id}, {source}, {target}, {amount})"
        ));
        steps
    }

    /// The next transaction.
    fn unit(&mut self) -> (Vec<String>, Vec<Change>, End) {
        let mut changes = Vec::new();
        let (mut steps, mut end) = (vec!["begin".to_string()], End::Commits);
        match self.random.below(60) {
            0 => return (vec!["checkpoint".into()], changes, end),
            1..15 => return (vec![self.change(&mut changes)], changes, end),
            15..40 => steps.extend(self.transfer(&mut changes)),
            _ => {
                for _ in 0..1 + self.random.below(4) {
                    steps.push(self.change(&mut changes));
                }
            }
        }
        match self.random.below(6) {
            0 => {
                steps.push("rollback".into());
                end = End::RollsBack;
            }
            1 => {
                steps.push(format!("insert into taken values ({})", self.id));
                end = End::Refused;
            }
            _ => steps.push("commit".into()),
        }
        if end != End::Commits {
            changes.clear();
        }
        (steps, changes, end)
    }

    /// Until the server goes, or whoever waits has waited long enough.
    pub async fn run(&mut self, client: &Client) {
        loop {
            let (steps, changes, end) = self.unit();
            self.begun = changes;
            let last = steps.len() - 1;
            for (n, sql) in steps.iter().enumerate() {
                match client.batch_execute(sql).await {
                    Ok(()) => assert!(
                        n < last || end != End::Refused,
                        "a key was taken twice: {sql}"
                    ),
                    Err(e) if e.code().is_none() => return,
                    Err(e) => {
                        let code = e.code().map(|c| c.code().to_owned()).unwrap_or_default();
                        let expected = n == last && end == End::Refused && code == "23505";
                        assert!(expected, "{code} {e:?}: {sql}");
                        if client.batch_execute("rollback").await.is_err() {
                            return;
                        }
                    }
                }
            }
            self.told.apply(&std::mem::take(&mut self.begun));
            self.acknowledged += 1;
        }
    }

    /// What is found must be what this worker was told, with or without what it had begun.
    pub fn settle(&mut self, found: World) {
        let mut begun = self.told.clone();
        begun.apply(&std::mem::take(&mut self.begun));
        if found != self.told && found != begun {
            panic!(
                "worker {}: neither what it was told: {}\nnor with what it had begun: {}",
                self.id,
                found.difference(&self.told),
                found.difference(&begun)
            );
        }
        self.told = found;
    }
}
