//! `kill -9` in the middle of everything, again and again on one directory.
//!
//! Clients insert, change, move and delete rows of their own, and move money between rows of all; the server has a small pool
//! and a short log, so that it evicts and checkpoints all the while. It is killed 50 to 600 ms after the load began and started
//! with another number of cores. Then what was acknowledged is there, what was refused or rolled back is not, the last
//! transaction of each client is there whole or not at all, the money is all there, indexes say what scans say, and every few
//! rounds `verify` finds nothing damaged. `KILL_ROUNDS` says how often, `KILL_SEED` what is drawn.

mod worker;

use crate::damage;
use crate::support::{Server, client_runtime, value};
use runtime::sim::Random;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tokio_postgres::Client;
use worker::{Item, Transfer, Worker, World};

const ROUNDS: u64 = 4;
const WORKERS: i64 = 5;
/// A worker's rows, more or less. All of them together do not fit the pool of one core.
const ROWS: usize = 1_200;
const ACCOUNTS: i32 = 40;
/// A round begins with an empty ledger when there is more in it.
const LEDGER_MAX: usize = 4_000;
const WORDS: u64 = 9;
/// As small as they may be.
const FLAGS: [&str; 8] = [
    "--partitions",
    "4",
    "--pool-bytes",
    "4MiB",
    "--wal-segment-bytes",
    "1MiB",
    "--checkpoint-wal-bytes",
    "1MiB",
];

const TABLES: &str = "
    create table account (id int primary key, balance int not null);
    create table taken (id int primary key);
    insert into taken select g from generate_series(1, 100) g;
    create table ledger (id bigint primary key, source int not null, target int not null, amount int not null);
    create table item (id bigint primary key, worker bigint not null, v text not null, n bigint not null, body text not null);
    create index item_v on item (v);
    create unique index item_n on item (n)";

async fn fill(client: &Client, workers: &mut [Worker]) {
    client.batch_execute(TABLES).await.unwrap();
    let accounts = format!(
        "insert into account select g, 100 from generate_series(0, {}) g",
        ACCOUNTS - 1
    );
    client.batch_execute(&accounts).await.unwrap();
    for worker in workers {
        while worker.told.items.len() < ROWS {
            let mut changes = Vec::new();
            let statements: Vec<String> = (0..40).map(|_| worker.insert(&mut changes)).collect();
            client.batch_execute(&statements.join(";")).await.unwrap();
            worker.told.apply(&changes);
        }
    }
}

/// Reads everything and compares it.
async fn check(client: &Client, workers: &mut [Worker]) {
    let mut found: Vec<World> = workers.iter().map(|_| World::default()).collect();
    let mut by_v: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    let scan = "select id, worker, v, n, body from item order by id";
    for row in client.query(scan, &[]).await.unwrap() {
        let (id, worker): (i64, i64) = (row.get(0), row.get(1));
        let (v, n, body): (String, i64, &str) = (row.get(2), row.get(3), row.get(4));
        let word = body.chars().next();
        assert!(body.chars().all(|c| Some(c) == word), "item {id} is torn");
        by_v.entry(v.clone()).or_default().push(id);
        let item = Item {
            v,
            n,
            word: word.unwrap_or('-'),
            bytes: body.len(),
        };
        found[worker as usize - 1].items.insert(id, item);
    }
    let mut balances = vec![100; ACCOUNTS as usize];
    let ledger = "select id, source, target, amount from ledger";
    for row in client.query(ledger, &[]).await.unwrap() {
        let (id, transfer): (i64, _) = (
            row.get(0),
            Transfer {
                source: row.get(1),
                target: row.get(2),
                amount: row.get(3),
            },
        );
        balances[transfer.source as usize] -= transfer.amount;
        balances[transfer.target as usize] += transfer.amount;
        found[(id / 1_000_000_000) as usize - 1]
            .ledger
            .insert(id, transfer);
    }
    let rows = client
        .query("select balance from account order by id", &[])
        .await
        .unwrap();
    let there: Vec<i32> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(
        there.iter().sum::<i32>(),
        ACCOUNTS * 100,
        "money was made or lost"
    );
    assert_eq!(
        there, balances,
        "an account is not what its transfers made it"
    );
    check_indexes(client, &found, &by_v).await;
    for (worker, found) in workers.iter_mut().zip(found) {
        worker.settle(found);
    }
}

async fn check_indexes(client: &Client, found: &[World], by_v: &BTreeMap<String, Vec<i64>>) {
    let sql = "select id from item where v = $1 order by id";
    for word in 0..WORDS {
        let v = format!("v{word}");
        let rows = client.query(sql, &[&v]).await.unwrap();
        let there: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
        assert_eq!(Some(&there), by_v.get(&v), "index item_v at {v}");
    }
    let items = || found.iter().flat_map(|world| &world.items);
    let sql = client
        .prepare("select id from item where n = $1")
        .await
        .unwrap();
    for (id, item) in items().step_by(37) {
        let rows = client.query(&sql, &[&item.n]).await.unwrap();
        let there: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
        assert_eq!(there, [*id], "index item_n at {}", item.n);
    }
    let count: i64 = value(client, "select count(*) from item").await;
    assert_eq!(count as usize, items().count());
}

/// Between two rounds, so that the ledger stays short.
async fn balance_the_books(client: &Client, workers: &mut [Worker]) {
    if workers.iter().map(|w| w.told.ledger.len()).sum::<usize>() > LEDGER_MAX {
        let sql = "begin; delete from ledger; update account set balance = 100; commit";
        client.batch_execute(sql).await.unwrap();
        workers.iter_mut().for_each(|w| w.told.ledger.clear());
    }
}

/// All workers at once, each on a connection of its own, for so long.
async fn load(server: &Server, workers: &mut [Worker], patience: Duration) {
    let mut clients = Vec::new();
    for _ in 0..workers.len() {
        clients.push(server.connect().await);
    }
    let running = workers.iter_mut().zip(&clients).map(|(w, c)| w.run(c));
    let running = futures_util::future::join_all(running);
    let ended = tokio::time::timeout(patience, running).await;
    assert!(ended.is_err(), "the server went before it was killed");
    // Their connections go with the process.
    clients.into_iter().for_each(std::mem::forget);
}

/// Over all partitions.
fn metric(server: &Server, name: &str) -> f64 {
    let (_, text) = server.http("GET", "/metrics", "");
    let of = text.lines().filter(|l| l.starts_with(name));
    of.filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

fn undamaged(dir: &Path) {
    let (content, told) = damage::verify(dir);
    assert!(content && told.contains("nothing damaged"), "{told}");
}

fn number(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.and_then(|n| n.parse().ok()).unwrap_or(default)
}

#[test]
fn kill_9_again_and_again_loses_nothing_acknowledged() {
    let (rounds, seed) = (number("KILL_ROUNDS", ROUNDS), number("KILL_SEED", 1));
    let data = tempfile::tempdir().unwrap();
    let dir = data.path().join("data");
    let mut random = Random::new(seed);
    let mut workers: Vec<Worker> = (1..=WORKERS).map(|id| Worker::new(id, seed)).collect();
    let (mut evictions, mut checkpoints) = (0.0, 0.0);
    for round in 0..=rounds {
        let cores = [1, 2, 4][random.below(3) as usize];
        let patience = Duration::from_millis(50 + random.below(551));
        let server = Server::with_flags(&dir, cores, &FLAGS);
        client_runtime().block_on(async {
            let client = server.connect().await;
            if round == 0 {
                fill(&client, &mut workers).await;
            }
            check(&client, &mut workers).await;
            balance_the_books(&client, &mut workers).await;
            if round < rounds {
                load(&server, &mut workers, patience).await;
            }
            evictions += metric(&server, "rustydb_pool_evictions_total");
            checkpoints += metric(&server, "rustydb_checkpoints_total");
            // While clients are connected and wait.
            server.kill();
        });
        if round % 4 == 3 || round == rounds {
            undamaged(&dir);
        }
    }
    let acknowledged: u64 = workers.iter().map(|w| w.acknowledged).sum();
    println!("{rounds} kills, {acknowledged} transactions acknowledged");
    assert!(acknowledged > 20 * rounds);
    assert!(
        evictions > 0.0 && checkpoints > 0.0,
        "{evictions} {checkpoints}"
    );
}
