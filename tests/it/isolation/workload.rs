//! Random transactions at once, through the PostgreSQL wire, and what their clients have seen.

use super::history::{Level, Op, Outcome, Txn};
use super::lists::{self, Lists};
use super::registers::{self, Registers};
use super::{Anomaly, Client};
use crate::support::{Server, code};
use std::cell::Cell;
use std::time::Instant;
use tokio_postgres::Error;

const KEYS: u64 = 8;
const CLIENTS: u64 = 6;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    Lists,
    Registers,
}

/// A small generator (xorshift), whose seed is in the failure's message.
pub struct Dice(Cell<u64>);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(Cell::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1))
    }

    pub fn below(&self, n: u64) -> u64 {
        let mut x = self.0.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.0.set(x);
        x.wrapping_mul(0x2545_F491_4F6C_DD1D) % n
    }
}

/// What all clients of a history have in common.
struct Common {
    level: Level,
    shape: Shape,
    start: Instant,
    next: Cell<u64>,
}

/// Both tables, empty, in place of what there was.
pub async fn tables(c: &Client) -> Result<(), Error> {
    let last = KEYS - 1;
    let sql = format!(
        "drop table if exists lists, registers;
        create table lists (k int primary key, v text);
        insert into lists select g, '' from generate_series(0, {last}) g;
        create table registers (k int primary key, v int);
        insert into registers select g, null from generate_series(0, {last}) g"
    );
    c.batch_execute(&sql).await
}

/// Lets `CLIENTS` run `each` transactions, or as many as they can until the server is gone.
pub async fn history(
    server: &Server,
    level: Level,
    shape: Shape,
    seed: u64,
    each: u64,
) -> Vec<Txn> {
    let mut clients = Vec::new();
    for n in 0..CLIENTS {
        let client = server.connect().await;
        // Most of them do not wait until a deadlock is found: that takes a second.
        if n > 0 {
            client
                .batch_execute("set lock_timeout = '20ms'")
                .await
                .unwrap();
        }
        clients.push((n, client));
    }
    let common = &Common {
        level,
        shape,
        start: Instant::now(),
        next: Cell::new(0),
    };
    let clients = clients.into_iter().map(async |(n, c)| {
        let dice = Dice::new(seed * 100 + n);
        let mut history = Vec::new();
        for _ in 0..each {
            history.push(one(&c, common, &dice).await);
            if c.is_closed() {
                break;
            }
        }
        history
    });
    let all = futures_util::future::join_all(clients).await;
    all.into_iter().flatten().collect()
}

async fn one(c: &Client, common: &Common, dice: &Dice) -> Txn {
    let now = || common.start.elapsed().as_nanos() as u64;
    let began = now();
    let mut ops = Vec::new();
    let outcome = match operations(c, common, dice, &mut ops).await {
        Ok(()) => Outcome::Committed,
        Err(e) => match code(&e).as_str() {
            "lost" | "08007" | "57P01" => Outcome::Unknown,
            "40001" | "40P01" | "55P03" => {
                // The server may be gone meanwhile: the next transaction tells.
                let _ = c.batch_execute("rollback").await;
                Outcome::RolledBack
            }
            other => panic!("{other}: {e:?}"),
        },
    };
    Txn {
        began,
        ended: now(),
        outcome,
        ops,
    }
}

async fn operations(
    c: &Client,
    common: &Common,
    dice: &Dice,
    ops: &mut Vec<Op>,
) -> Result<(), Error> {
    let begin = match common.level {
        Level::ReadCommitted => "begin isolation level read committed",
        Level::RepeatableRead => "begin isolation level repeatable read",
        Level::Serializable => "begin isolation level serializable",
    };
    c.batch_execute(begin).await?;
    for _ in 0..=dice.below(4) {
        let key = dice.below(KEYS);
        if dice.below(5) < 2 {
            common.next.set(common.next.get() + 1);
            let n = common.next.get();
            // Noted first: of what fails nobody knows how far it came.
            ops.push(match common.shape {
                Shape::Lists => Op::Append { key, n },
                Shape::Registers => Op::Write { key, n },
            });
            c.batch_execute(&write(common.shape, key, n, dice)).await?;
        } else {
            let sql = choice(key, dice);
            match common.shape {
                Shape::Lists => ops.extend(
                    read_lists(c, &sql)
                        .await?
                        .into_iter()
                        .map(|(key, seen)| Op::List { key, seen }),
                ),
                Shape::Registers => ops.extend(
                    read_registers(c, &sql)
                        .await?
                        .into_iter()
                        .map(|(key, seen)| Op::Register { key, seen }),
                ),
            }
        }
    }
    c.batch_execute("commit").await
}

fn write(shape: Shape, key: u64, n: u64, dice: &Dice) -> String {
    match (shape, dice.below(3)) {
        (Shape::Lists, 0) => format!(
            "insert into lists values ({key}, '') on conflict (k) do update set v = lists.v || ',{n}'"
        ),
        (Shape::Lists, _) => format!("update lists set v = v || ',{n}' where k = {key}"),
        (Shape::Registers, 0) => format!(
            "insert into registers values ({key}, {n}) on conflict (k) do update set v = excluded.v"
        ),
        (Shape::Registers, _) => format!("update registers set v = {n} where k = {key}"),
    }
}

/// Which rows are read, and how.
fn choice(key: u64, dice: &Dice) -> String {
    let other = dice.below(KEYS);
    let (from, to) = (key.min(other), key.max(other));
    match dice.below(6) {
        0 => format!("where k in ({key}, {other}) order by k for update"),
        1 => format!("where k = {key} for share"),
        2 => format!("where k between {from} and {to}"),
        3 => "order by k desc".to_owned(),
        4 => format!("where k in ({key}, {other})"),
        _ => format!("where k = {key}"),
    }
}

async fn read_lists(c: &Client, choice: &str) -> Result<Vec<(u64, Vec<u64>)>, Error> {
    let rows = c
        .query(&format!("select k, v from lists {choice}"), &[])
        .await?;
    let list = |text: &str| {
        let items = text.split(',').filter(|s| !s.is_empty());
        items.map(|s| s.parse().unwrap()).collect()
    };
    let row = |r: &tokio_postgres::Row| (r.get::<_, i32>(0) as u64, list(r.get(1)));
    Ok(rows.iter().map(row).collect())
}

async fn read_registers(c: &Client, choice: &str) -> Result<Vec<(u64, Option<u64>)>, Error> {
    let rows = c
        .query(&format!("select k, v from registers {choice}"), &[])
        .await?;
    let row = |r: &tokio_postgres::Row| {
        let seen: Option<i32> = r.get(1);
        (r.get::<_, i32>(0) as u64, seen.map(|n| n as u64))
    };
    Ok(rows.iter().map(row).collect())
}

/// What is wrong with a history, now that nobody works any more.
pub async fn check(c: &Client, shape: Shape, history: &[Txn]) -> Vec<Anomaly> {
    match shape {
        Shape::Lists => {
            let last: Lists = read_lists(c, "").await.unwrap().into_iter().collect();
            lists::check(history, &last)
        }
        Shape::Registers => {
            let last: Registers = read_registers(c, "").await.unwrap().into_iter().collect();
            registers::check(history, &last)
        }
    }
}
