//! A seeded mix of everything that writes, cut into transactions whose outcome is known beforehand.
//!
//! Each client has tables of its own, so what it must find depends on its own transactions alone; the log, the pool, the
//! checkpoints and the catalog are everybody's.

use crate::database::{Client, Database};
use crate::model::{COLUMNS, Cells, Content, World};
use runtime::sim::{Disk, Random};
use std::rc::Rc;
use std::time::Duration;
use types::{Result, SqlState};

/// One transaction, or one statement that is its own.
pub struct Unit {
    pub steps: Vec<Step>,
    /// The client's tables when it has committed; the same as before where it rolls back or fails.
    pub after: Rc<World>,
}

pub enum Step {
    Sql(String),
    /// Refused with this.
    Refused(String, SqlState),
    Copy(String, String),
    Pause(Duration),
}

/// All that one client does, made before anything runs.
pub fn script(seed: u64, client: usize, units: usize) -> Vec<Unit> {
    let mut random = Random::new(seed);
    random.mix(client as u64);
    let mut writer = Writer {
        random,
        main: format!("a{client}"),
        other: format!("b{client}"),
        // One backup at a time: only one client takes any.
        backups: (client == 0).then_some(0),
        world: World::new(),
        next: 0,
    };
    let mut all = vec![writer.create()];
    all.extend((1..units).map(|_| writer.unit()));
    all
}

struct Writer {
    random: Random,
    /// Always there.
    main: String,
    /// Comes and goes.
    other: String,
    /// How many it has taken, if it takes any.
    backups: Option<u32>,
    world: World,
    /// Numbers that were never used: `n` is unique.
    next: i32,
}

impl Writer {
    fn create(&mut self) -> Unit {
        let name = self.main.clone();
        let content = Content {
            by_v: true,
            by_n: true,
            ..Content::default()
        };
        self.world.insert(name.clone(), content);
        self.done(vec![Step::Sql(format!(
            "create table {name} {COLUMNS}; create index {name}_v on {name} (v);
             create unique index {name}_n on {name} (n)"
        ))])
    }

    fn done(&self, steps: Vec<Step>) -> Unit {
        Unit {
            steps,
            after: Rc::new(self.world.clone()),
        }
    }

    fn unit(&mut self) -> Unit {
        if let Some(n) = &mut self.backups
            && self.random.one_in(8)
        {
            *n += 1;
            let sql = format!("backup to 'b{n}'");
            return self.done(vec![Step::Sql(sql)]);
        }
        match self.random.below(20) {
            0 => self.done(vec![Step::Sql("checkpoint".into())]),
            1 => {
                let pause = Duration::from_millis(self.random.below(160));
                self.done(vec![Step::Pause(pause)])
            }
            2 => self.refused(),
            3..6 => self.define(),
            6..8 => self.rolled_back(),
            8..13 => self.block(),
            _ => {
                let sql = self.change();
                self.done(vec![Step::Sql(sql)])
            }
        }
    }

    /// Several statements in one transaction.
    fn block(&mut self) -> Unit {
        let n = 1 + self.random.below(4);
        let mut steps = vec![Step::Sql("begin".into())];
        steps.extend((0..n).map(|_| Step::Sql(self.change())));
        steps.push(Step::Sql("commit".into()));
        self.done(steps)
    }

    fn rolled_back(&mut self) -> Unit {
        let before = self.world.clone();
        let mut unit = match self.random.one_in(3) {
            true => self.define_block(),
            false => self.block(),
        };
        unit.steps.pop();
        unit.steps.push(Step::Sql("rollback".into()));
        self.world = before;
        unit.after = Rc::new(self.world.clone());
        unit
    }

    fn refused(&mut self) -> Unit {
        let content = &self.world[&self.main];
        let Some((id, cells)) = content.rows.iter().next() else {
            return self.done(Vec::new());
        };
        let (twice, mut fresh) = (cells.literal(*id), cells.clone());
        fresh.n = -1;
        let sql = format!(
            "insert into {} values {}, {twice}",
            self.main,
            fresh.literal(900_000)
        );
        self.done(vec![Step::Refused(sql, SqlState::UNIQUE_VIOLATION)])
    }

    /// A definition: some alone, some with rows in one transaction.
    fn define(&mut self) -> Unit {
        let name = self.other.clone();
        let indexed = self.world.get(&name).map(|c| (c.by_v, c.by_n));
        let choice = self.random.below(8);
        let sql = match (indexed, choice) {
            (_, 0..3) => return self.define_block(),
            (None, _) => {
                self.world.insert(name.clone(), Content::default());
                format!("create table {name} {COLUMNS}")
            }
            (Some(_), 3) => {
                self.world.remove(&name);
                format!("drop table {name}")
            }
            (Some(_), 4) => {
                self.content(&name).rows.clear();
                format!("truncate {name}")
            }
            (Some((by_v, _)), 5 | 6) => {
                self.content(&name).by_v = !by_v;
                match by_v {
                    false => format!("create index {name}_v on {name} (v)"),
                    true => format!("drop index {name}_v"),
                }
            }
            (Some((_, by_n)), _) => {
                self.content(&name).by_n = !by_n;
                match by_n {
                    false => format!("create unique index {name}_n on {name} (n)"),
                    true => format!("drop index {name}_n"),
                }
            }
        };
        self.done(vec![Step::Sql(sql)])
    }

    /// Makes or empties the table, fills it past the log, and indexes it, in one transaction.
    fn define_block(&mut self) -> Unit {
        let name = self.other.clone();
        let mut steps = vec![Step::Sql("begin".into())];
        if self.world.contains_key(&name) {
            self.content(&name).rows.clear();
            steps.push(Step::Sql(format!("truncate {name}")));
        } else {
            self.world.insert(name.clone(), Content::default());
            steps.push(Step::Sql(format!("create table {name} {COLUMNS}")));
        }
        let mut lines = String::new();
        for _ in 0..3 + self.random.below(30) {
            let (id, cells) = self.fresh();
            if !self.world[&name].rows.contains_key(&id) {
                lines.push_str(&cells.line(id));
                self.content(&name).rows.insert(id, cells);
            }
        }
        steps.push(Step::Copy(format!("copy {name} from stdin"), lines));
        if !self.content(&name).by_n && self.random.one_in(2) {
            self.content(&name).by_n = true;
            steps.push(Step::Sql(format!(
                "create unique index {name}_n on {name} (n)"
            )));
        }
        if self.random.one_in(3) {
            let sql = self.insert(&name);
            steps.push(Step::Sql(sql));
        }
        steps.push(Step::Sql("commit".into()));
        self.done(steps)
    }

    /// One statement that changes rows.
    fn change(&mut self) -> String {
        let there = self.world.contains_key(&self.other) && self.random.one_in(3);
        let name = match there {
            true => self.other.clone(),
            false => self.main.clone(),
        };
        let rows = self.world[&name].rows.len();
        match self.random.below(10) {
            _ if rows < 3 => self.insert(&name),
            0..3 if rows < 60 => self.insert(&name),
            3 => self.update_many(&name),
            4..6 => self.update_one(&name),
            6 => self.rekey(&name),
            7 => self.upsert(&name),
            _ => self.delete(&name),
        }
    }

    fn content(&mut self, name: &str) -> &mut Content {
        self.world.entry(name.to_string()).or_default()
    }

    fn pick(&mut self, name: &str) -> i32 {
        let rows = &self.world[name].rows;
        let at = self.random.below(rows.len() as u64) as usize;
        rows.keys().nth(at).copied().unwrap_or_default()
    }

    fn fresh(&mut self) -> (i32, Cells) {
        self.next += 1;
        // Mostly short, some that fill pages, few that need pages of their own.
        let len = match self.random.below(24) {
            0 => 2_000 + self.random.below(30_000),
            1..4 => self.random.below(1_500),
            _ => self.random.below(80),
        };
        let id = self.random.below(500_000) as i32;
        let word = format!("{:07x}", self.random.draw() & 0xfff_ffff);
        let body: String = word.chars().cycle().take(len as usize).collect();
        let cells = Cells {
            v: format!("v{}", self.random.below(12)),
            n: self.next,
            body: body.into(),
        };
        (id, cells)
    }

    fn insert(&mut self, name: &str) -> String {
        let mut values = Vec::new();
        for _ in 0..1 + self.random.below(5) {
            let (id, cells) = self.fresh();
            if self.world[name].rows.contains_key(&id) {
                continue;
            }
            values.push(cells.literal(id));
            self.content(name).rows.insert(id, cells);
        }
        match values.is_empty() {
            true => "select 1".into(),
            false => format!("insert into {name} values {}", values.join(", ")),
        }
    }

    fn update_one(&mut self, name: &str) -> String {
        let id = self.pick(name);
        let (_, cells) = self.fresh();
        let sql = format!(
            "update {name} set v = '{}', n = {}, body = '{}' where id = {id}",
            cells.v, cells.n, cells.body
        );
        self.content(name).rows.insert(id, cells);
        sql
    }

    fn update_many(&mut self, name: &str) -> String {
        let (of, v) = (self.random.below(3), self.random.below(12));
        let v = format!("v{v}");
        for (id, cells) in &mut self.content(name).rows {
            if *id as u64 % 3 == of {
                cells.v = v.clone();
            }
        }
        format!("update {name} set v = '{v}' where id % 3 = {of}")
    }

    /// The row moves to where its new key belongs.
    fn rekey(&mut self, name: &str) -> String {
        let id = self.pick(name);
        let (other, _) = self.fresh();
        let rows = &mut self.content(name).rows;
        if rows.contains_key(&other) {
            return "select 1".into();
        }
        if let Some(cells) = rows.remove(&id) {
            rows.insert(other, cells);
        }
        format!("update {name} set id = {other} where id = {id}")
    }

    fn upsert(&mut self, name: &str) -> String {
        let id = self.pick(name);
        let (_, fresh) = self.fresh();
        let sql = format!(
            "insert into {name} values {} on conflict (id) do update set v = excluded.v, body = excluded.body",
            fresh.literal(id)
        );
        if let Some(cells) = self.content(name).rows.get_mut(&id) {
            cells.v = fresh.v;
            cells.body = fresh.body;
        }
        sql
    }

    fn delete(&mut self, name: &str) -> String {
        if self.random.one_in(3) {
            let v = format!("v{}", self.random.below(12));
            self.content(name).rows.retain(|_, cells| cells.v != v);
            return format!("delete from {name} where v = '{v}'");
        }
        let id = self.pick(name);
        self.content(name).rows.remove(&id);
        format!("delete from {name} where id = {id}")
    }
}

/// What a mark in a disk's history says: the client has begun, or has been told of, its unit of this number (from 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    pub client: usize,
    pub unit: usize,
    pub told: bool,
}

impl Mark {
    pub fn encode(self) -> u64 {
        (self.client as u64) << 32 | (self.unit as u64) << 1 | u64::from(self.told)
    }

    pub fn decode(word: u64) -> Mark {
        Mark {
            client: (word >> 32) as usize,
            unit: (word as u32 >> 1) as usize,
            told: word & 1 == 1,
        }
    }
}

/// Runs the scripts at once, marking the disk's history. The first surprise ends it.
pub async fn perform(
    database: &Database,
    disk: &Disk,
    scripts: &Rc<Vec<Vec<Unit>>>,
) -> Result<(), String> {
    let mut running = Vec::new();
    for client in 0..scripts.len() {
        let session = database.client().map_err(|e| e.to_string())?;
        let (disk, scripts) = (disk.clone(), scripts.clone());
        running.push(runtime::spawn(async move {
            for (n, unit) in scripts[client].iter().enumerate() {
                let mark = |told| {
                    let unit = n + 1;
                    disk.mark(Mark { client, unit, told }.encode());
                };
                mark(false);
                for step in &unit.steps {
                    take(&session, step).await?;
                }
                mark(true);
            }
            Ok::<_, String>(())
        }));
    }
    for client in running {
        client.await?;
    }
    Ok(())
}

async fn take(session: &Client, step: &Step) -> Result<(), String> {
    let outcome = match step {
        Step::Sql(sql) => session.run(sql).await.map(drop).map_err(|e| (sql, e)),
        Step::Copy(sql, lines) => session.copy(sql, lines).await.map_err(|e| (sql, e)),
        Step::Pause(time) => {
            runtime::sleep(*time).await;
            Ok(())
        }
        Step::Refused(sql, code) => match session.run(sql).await {
            Err(e) if e.code() == *code => Ok(()),
            Err(e) => Err((sql, e)),
            Ok(_) => return Err(format!("was not refused: {}", short(sql))),
        },
    };
    outcome.map_err(|(sql, e)| format!("{e}: {}", short(sql)))
}

fn short(sql: &str) -> String {
    sql.chars().take(200).collect()
}
