//! Isolation, by what clients see: histories of random transactions, searched for anomalies that have names.
//!
//! `workload` makes histories against a server (with `kill -9` among them), `lists` and `registers` find what is wrong with
//! one, with `graph` for circles, and `anomaly` says which level allows what. `planted` has a recorded history for every
//! anomaly, so that the checkers are known to see them. `HISTORY_TRANSACTIONS` is how many transactions a run of a level has;
//! without it there is a sample. Source: Kingsbury and Alvaro 2020 (Elle).

mod anomaly;
mod graph;
mod history;
mod lists;
mod planted;
mod registers;
pub mod workload;

use crate::support::{Server, client_runtime, on_server};
use anomaly::{Anomaly, Name};
use history::{Level, Op, Outcome, Txn};
use std::time::Duration;
use tokio_postgres::Client;
use workload::{Dice, Shape};

/// Cores and partitions.
const LAYOUTS: [(usize, &str); 4] = [(1, "1"), (2, "2"), (4, "4"), (2, "3")];
const SHAPES: [Shape; 2] = [Shape::Lists, Shape::Registers];
/// Transactions of a client in one history: a history is searched as a whole.
const ROUND: u64 = 50;

fn forbidden(found: Vec<Anomaly>, level: Level) -> Vec<Anomaly> {
    let mut found = found;
    found.retain(|a| !a.name.allowed(level));
    found
}

/// Transactions of each client, for each layout and shape.
fn each(level: Level) -> u64 {
    // Under the weaker levels deadlocks are what takes time: a second each.
    let sample = if level == Level::Serializable { 50 } else { 20 };
    let runs = (LAYOUTS.len() * SHAPES.len() * 6) as u64;
    std::env::var("HISTORY_TRANSACTIONS")
        .map_or(sample, |n| n.parse::<u64>().unwrap().div_ceil(runs))
}

fn run(level: Level) {
    let each = each(level);
    for (cores, partitions) in LAYOUTS {
        on_server(
            cores,
            &["--partitions", partitions],
            async |server, client| {
                for shape in SHAPES {
                    let mut committed = 0;
                    for round in 0..each.div_ceil(ROUND) {
                        workload::tables(&client).await.unwrap();
                        let seed = u64::from(std::process::id()) * 100_000 + round;
                        let history =
                            workload::history(server, level, shape, seed, each.min(ROUND)).await;
                        let ok = |t: &&Txn| t.outcome == Outcome::Committed;
                        committed += history.iter().filter(ok).count();
                        let found = workload::check(&client, shape, &history).await;
                        let found = forbidden(found, level);
                        assert!(
                            found.is_empty(),
                            "{level:?}, {shape:?}, {cores} cores, seed {seed}: {found:#?}"
                        );
                    }
                    println!("{level:?}, {shape:?}, {cores} cores: {committed} committed");
                    assert!(committed > 0);
                }
            },
        );
    }
}

#[test]
fn serializable_transactions_show_no_anomaly() {
    run(Level::Serializable);
}

#[test]
fn repeatable_read_shows_write_skew_at_most() {
    run(Level::RepeatableRead);
}

#[test]
fn read_committed_shows_what_it_allows_at_most() {
    run(Level::ReadCommitted);
}

/// Kills the server in the midst of it, and looks at what the next one finds.
fn run_killed(level: Level) {
    for (n, (cores, partitions)) in LAYOUTS.into_iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let flags = ["--partitions", partitions];
        let seed = u64::from(std::process::id()) * 7 + n as u64;
        let dice = Dice::new(seed);
        for shape in SHAPES {
            let server = Server::with_flags(&data, cores, &flags);
            let after = Duration::from_millis(40 + dice.below(300));
            let history = client_runtime().block_on(async {
                let client = server.connect().await;
                workload::tables(&client).await.unwrap();
                let kill = async {
                    tokio::time::sleep(after).await;
                    server.signal("KILL");
                };
                let work = workload::history(&server, level, shape, seed, u64::MAX);
                futures_util::future::join(work, kill).await.0
            });
            drop(server);
            let server = Server::with_flags(&data, cores, &flags);
            let found = client_runtime().block_on(async {
                let client = server.connect().await;
                workload::check(&client, shape, &history).await
            });
            let found = forbidden(found, level);
            assert!(
                found.is_empty(),
                "{level:?}, {shape:?}, {cores} cores, seed {seed}, {after:?}: {found:#?}"
            );
            server.stop();
        }
    }
}

#[test]
fn a_kill_in_the_midst_adds_no_anomaly() {
    for level in [
        Level::Serializable,
        Level::RepeatableRead,
        Level::ReadCommitted,
    ] {
        run_killed(level);
    }
}

/// What the checkers see in a server that is known to do it: write skew under REPEATABLE READ, a lost update under READ
/// COMMITTED, and neither where it is forbidden.
#[test]
fn what_a_level_allows_is_seen_when_it_happens() {
    on_server(2, &[], async |server, a| {
        let b = server.connect().await;
        let skew = async |level: &str| {
            workload::tables(&a).await.unwrap();
            let mut history = Vec::new();
            for c in [&a, &b] {
                let sql = format!("begin isolation level {level}; select * from registers");
                c.batch_execute(&sql).await.unwrap();
            }
            for (n, c) in [&a, &b].into_iter().enumerate() {
                let sql = format!("update registers set v = {} where k = {n}", n + 1);
                let wrote = c.batch_execute(&sql).await.is_ok();
                let committed = c.batch_execute("commit").await.is_ok() && wrote;
                let key = n as u64;
                let (seen, n) = (None, key + 1);
                history.push(Txn {
                    began: 0,
                    ended: 9,
                    outcome: [Outcome::RolledBack, Outcome::Committed][usize::from(committed)],
                    ops: vec![
                        Op::Register { key: 0, seen },
                        Op::Register { key: 1, seen },
                        Op::Write { key, n },
                    ],
                });
            }
            let found = workload::check(&a, Shape::Registers, &history).await;
            found.into_iter().map(|a| a.name).collect::<Vec<_>>()
        };
        assert_eq!(skew("repeatable read").await, [Name::G2Item]);
        assert_eq!(skew("serializable").await, []);
    });
}
