//! Random transactions at once, over lists that only grow: is there an order that explains what everybody saw?
//!
//! Each transaction reads lists and appends numbers of its own to some. A list's final order tells who wrote after whom
//! (ww), who read whose number (wr) and whose number a reader did not see yet (rw); a transaction that ended before another
//! began comes first. Under SERIALIZABLE these together have no cycle. Under the weaker levels what was written and read is
//! still that of committed transactions alone, in one order. Source: Kingsbury and Alvaro 2020 (Elle).

use crate::support::{Server, client_runtime, code, on_server};
use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};
use tokio_postgres::Client;

const KEYS: u64 = 6;
const CLIENTS: u64 = 6;

#[derive(Clone, Copy, PartialEq, Debug)]
enum Level {
    ReadCommitted,
    RepeatableRead,
    Serializable,
}

/// One committed transaction: what it read of others', and what it appended.
#[derive(Clone)]
struct Done {
    began: Instant,
    /// `None`: the server was gone before it answered.
    ended: Option<Instant>,
    /// Key, and the list without what the transaction itself had appended.
    reads: Vec<(u64, Vec<u64>)>,
    appends: Vec<(u64, u64)>,
}

/// A small generator (xorshift) with its seed in the failure's message.
struct Dice(Cell<u64>);

impl Dice {
    fn below(&self, n: u64) -> u64 {
        let mut x = self.0.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.0.set(x);
        x % n
    }
}

fn list(text: &str) -> Vec<u64> {
    let items = text.split(',').filter(|s| !s.is_empty());
    items.map(|s| s.parse().unwrap()).collect()
}

async fn read(
    c: &Client,
    keys: &str,
    lock: &str,
) -> Result<Vec<(u64, Vec<u64>)>, tokio_postgres::Error> {
    let sql = format!("select k, v from t where k in ({keys}) {lock}");
    let rows = c.query(&sql, &[]).await?;
    let row = |r: &tokio_postgres::Row| (r.get::<_, i32>(0) as u64, list(r.get(1)));
    Ok(rows.iter().map(row).collect())
}

/// `None` when it was rolled back.
async fn one(c: &Client, level: Level, dice: &Dice, next: &Cell<u64>) -> Option<Done> {
    let began = Instant::now();
    let (mut reads, mut appends) = (Vec::new(), Vec::new());
    let work = async {
        let begin = match level {
            Level::ReadCommitted => "begin",
            Level::RepeatableRead => "begin isolation level repeatable read",
            Level::Serializable => "begin isolation level serializable",
        };
        c.batch_execute(begin).await?;
        for _ in 0..=dice.below(4) {
            let key = dice.below(KEYS);
            match dice.below(5) {
                0 | 1 => {
                    next.set(next.get() + 1);
                    let n = next.get();
                    let sql = format!("update t set v = v || ',{n}' where k = {key}");
                    c.batch_execute(&sql).await?;
                    appends.push((key, n));
                }
                kind => {
                    let other = dice.below(KEYS);
                    let lock = if kind == 2 {
                        "order by k for update"
                    } else {
                        ""
                    };
                    for (key, mut seen) in read(c, &format!("{key}, {other}"), lock).await? {
                        let own = |n: &u64| appends.contains(&(key, *n));
                        let mine = seen.iter().position(own).unwrap_or(seen.len());
                        let tail = seen.split_off(mine);
                        let own = appends.iter().filter(|(k, _)| *k == key).map(|(_, n)| *n);
                        assert_eq!(tail, own.collect::<Vec<_>>(), "its own numbers come last");
                        reads.push((key, seen));
                    }
                }
            }
        }
        c.batch_execute("commit").await
    };
    match work.await {
        Ok(()) => Some(Done {
            began,
            ended: Some(Instant::now()),
            reads,
            appends,
        }),
        Err(e) if code(&e) == "lost" => Some(Done {
            began,
            ended: None,
            reads,
            appends,
        }),
        Err(e) => {
            assert!(["40001", "40P01"].contains(&code(&e).as_str()), "{e:?}");
            // The server may be gone meanwhile: the next transaction tells.
            let _ = c.batch_execute("rollback").await;
            None
        }
    }
}

async fn history(server: &Server, level: Level, seed: u64, each: u64) -> Vec<Done> {
    let next = Cell::new(0);
    let mut clients = Vec::new();
    for n in 0..CLIENTS {
        clients.push((n, server.connect().await));
    }
    let next = &next;
    let clients = clients.into_iter().map(async |(n, c)| {
        let dice = Dice(Cell::new(
            seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (n + 1),
        ));
        let mut done = Vec::new();
        for _ in 0..each {
            done.extend(one(&c, level, &dice, next).await);
            if done.last().is_some_and(|d| d.ended.is_none()) {
                break;
            }
        }
        done
    });
    let all = futures_util::future::join_all(clients).await;
    all.into_iter().flatten().collect()
}

/// What is wrong with a history whose lists ended as `last`; nothing if it is as the level promises.
fn wrong(history: &[Done], last: &HashMap<u64, Vec<u64>>, level: Level) -> Option<String> {
    // Of those that nobody has heard the end of, some are there.
    let there =
        |d: &&Done| d.ended.is_some() || d.appends.iter().any(|(key, n)| last[key].contains(n));
    let history: Vec<Done> = history.iter().filter(there).cloned().collect();
    let mut writer: HashMap<u64, usize> = HashMap::new();
    for (t, done) in history.iter().enumerate() {
        for (key, n) in &done.appends {
            if !last[key].contains(n) {
                return Some(format!("lost: {n} of {key}"));
            }
            writer.insert(*n, t);
        }
    }
    let mut edges: HashSet<(usize, usize)> = HashSet::new();
    for (key, order) in last {
        if let Some(n) = order.iter().find(|n| !writer.contains_key(n)) {
            return Some(format!("aborted, yet there: {n} of {key}"));
        }
        edges.extend(order.windows(2).map(|w| (writer[&w[0]], writer[&w[1]])));
    }
    let rw = level == Level::Serializable;
    for (t, done) in history.iter().enumerate() {
        for (key, seen) in &done.reads {
            let order = &last[key];
            if !order.starts_with(seen) {
                return Some(format!("no prefix of {order:?}: {seen:?} of {key}"));
            }
            let before = seen.last().map(|n| writer[n]);
            let after = order.get(seen.len()).map(|n| writer[n]);
            if before.is_some() && before == after && before != Some(t) {
                return Some(format!("in the middle of a transaction: {seen:?} of {key}"));
            }
            edges.extend(before.map(|w| (w, t)));
            edges.extend(after.filter(|_| rw).map(|w| (t, w)));
        }
    }
    if rw {
        for (a, first) in history.iter().enumerate() {
            for (b, second) in history.iter().enumerate() {
                if first.ended.is_some_and(|ended| ended < second.began) {
                    edges.insert((a, b));
                }
            }
        }
    }
    edges.retain(|(a, b)| a != b);
    let left = cyclic(history.len(), &edges);
    (left > 0).then(|| format!("{left} transactions in or behind a cycle"))
}

/// How many cannot be put in an order.
fn cyclic(nodes: usize, edges: &HashSet<(usize, usize)>) -> usize {
    let mut comes_before = vec![0; nodes];
    let mut next: Vec<Vec<usize>> = vec![Vec::new(); nodes];
    for (a, b) in edges {
        comes_before[*b] += 1;
        next[*a].push(*b);
    }
    let mut free: Vec<usize> = (0..nodes).filter(|n| comes_before[*n] == 0).collect();
    let mut left = nodes;
    while let Some(node) = free.pop() {
        left -= 1;
        for n in &next[node] {
            comes_before[*n] -= 1;
            if comes_before[*n] == 0 {
                free.push(*n);
            }
        }
    }
    left
}

fn run(level: Level) {
    // Under the weaker levels deadlocks are what takes time: a second each.
    let sample = if level == Level::Serializable { 40 } else { 12 };
    let scale: u64 = std::env::var("HISTORY_TRANSACTIONS").map_or(sample, |n| n.parse().unwrap());
    for (cores, partitions) in [(1, "1"), (2, "2"), (4, "4"), (2, "3")] {
        let flags = ["--partitions", partitions];
        on_server(cores, &flags, async |server, client| {
            for round in 0..scale.div_ceil(100) {
                client.batch_execute(&table()).await.unwrap();
                let seed = u64::from(std::process::id()) * 1_000 + round;
                let done = history(server, level, seed, scale.min(100)).await;
                assert!(!done.is_empty());
                let last = read(&client, "select k from t", "").await.unwrap();
                let wrong = wrong(&done, &last.into_iter().collect(), level);
                assert_eq!(wrong, None, "{level:?}, {cores} cores, seed {seed}");
            }
        });
    }
}

#[test]
fn serializable_transactions_have_an_order_that_time_agrees_with() {
    run(Level::Serializable);
}

fn table() -> String {
    let last = KEYS - 1;
    format!(
        "drop table if exists t; create table t (k int primary key, v text);
        insert into t select g, '' from generate_series(0, {last}) g"
    )
}

/// Kills the server in the midst of it, and looks at what the next one finds.
fn run_killed(level: Level) {
    for (cores, partitions) in [(1, "1"), (2, "2"), (4, "4"), (1, "3")] {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let flags = ["--partitions", partitions];
        let seed = u64::from(std::process::id()) * 7 + cores as u64;
        let dice = Dice(Cell::new(seed | 1));
        for _ in 0..2 {
            let server = Server::with_flags(&data, cores, &flags);
            let after = Duration::from_millis(40 + dice.below(300));
            let done = client_runtime().block_on(async {
                let client = server.connect().await;
                client.batch_execute(&table()).await.unwrap();
                let kill = async {
                    tokio::time::sleep(after).await;
                    server.signal("KILL");
                };
                let work = history(&server, level, seed, u64::MAX);
                futures_util::future::join(work, kill).await.0
            });
            drop(server);
            let server = Server::with_flags(&data, cores, &flags);
            let last = client_runtime().block_on(async {
                let client = server.connect().await;
                read(&client, "select k from t", "").await.unwrap()
            });
            let wrong = wrong(&done, &last.into_iter().collect(), level);
            assert_eq!(
                wrong, None,
                "{level:?}, {cores} cores, seed {seed}, {after:?}"
            );
            server.stop();
        }
    }
}

#[test]
fn a_kill_in_the_midst_leaves_a_history_with_an_order() {
    run_killed(Level::Serializable);
    run_killed(Level::RepeatableRead);
}

#[test]
fn weaker_transactions_read_what_was_committed_in_one_order() {
    run(Level::ReadCommitted);
    run(Level::RepeatableRead);
}

#[test]
fn what_is_wrong_with_a_history_is_found() {
    let at = Instant::now();
    let ms = |n| at + Duration::from_millis(n);
    let done = |from, to, reads: &[(u64, &[u64])], appends: &[(u64, u64)]| Done {
        began: ms(from),
        ended: Some(ms(to)),
        reads: reads.iter().map(|(k, l)| (*k, l.to_vec())).collect(),
        appends: appends.to_vec(),
    };
    let told = |history: &[Done], last: &[(u64, &[u64])], level| {
        let last = last.iter().map(|(k, l)| (*k, l.to_vec())).collect();
        wrong(history, &last, level).unwrap_or_default()
    };
    let skew = [
        done(0, 9, &[(1, &[]), (2, &[])], &[(1, 1)]),
        done(0, 9, &[(1, &[]), (2, &[])], &[(2, 2)]),
    ];
    let last: &[(u64, &[u64])] = &[(1, &[1]), (2, &[2])];
    assert!(told(&skew, last, Level::Serializable).contains("cycle"));
    assert_eq!(told(&skew, last, Level::RepeatableRead), "");
    let stale = [done(0, 1, &[], &[(1, 1)]), done(2, 3, &[(1, &[])], &[])];
    assert!(told(&stale, &[(1, &[1])], Level::Serializable).contains("cycle"));
    let lost = [done(0, 9, &[], &[(1, 1)]), done(0, 9, &[], &[(1, 2)])];
    assert!(told(&lost, &[(1, &[2])], Level::ReadCommitted).contains("lost"));
    let aborted = [done(0, 1, &[], &[])];
    assert!(told(&aborted, &[(1, &[7])], Level::ReadCommitted).contains("aborted"));
    let twice = [
        done(0, 9, &[], &[(1, 1), (1, 2)]),
        done(0, 9, &[(1, &[1])], &[]),
    ];
    assert!(told(&twice, &[(1, &[1, 2])], Level::ReadCommitted).contains("middle"));
    let writes = [
        done(0, 9, &[], &[(1, 1), (2, 2)]),
        done(0, 9, &[], &[(1, 3), (2, 4)]),
    ];
    let last: &[(u64, &[u64])] = &[(1, &[1, 3]), (2, &[4, 2])];
    assert!(told(&writes, last, Level::ReadCommitted).contains("cycle"));
}
