//! What a checkpoint takes from those who run beside it on the same shard.
//!
//! A task of its own does nothing but take its turn and look at the clock; the longest time between two turns is what a
//! statement would have waited. Measured with most of a large pool dirty, beside the same work without a checkpoint:
//! changes of random cells, a turn's worth at a time. Prints medians and maxima of several rounds; there is no target but
//! the 10 ms that a checkpoint may cost a statement. `POOL_MIB` is the pool (256).

use runtime::{Dir, Instant, ShardOptions};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;
use storage::{Op, Options, Store};
use types::TreeId;

const TREE: TreeId = TreeId(20_000);
const VALUE: [u8; 400] = [7; 400];
const ROUNDS: usize = 5;
/// Cells that the writer changes before it lets others run.
const RUN: u64 = 16;

struct Round {
    longest: Duration,
    turns: u64,
    took: Duration,
}

async fn open(pool_bytes: usize) -> (tempfile::TempDir, Rc<Store>) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let options = Options {
        pool_bytes,
        checkpoint_wal_bytes: 1 << 40,
        ..Options::default()
    };
    let at = Dir::open_or_create(dir.path()).await.expect("a directory");
    let (store, mut replay) = Store::open(at, options).await.expect("a store");
    while replay.next().await.expect("a record").is_some() {}
    (dir, store)
}

async fn put(store: &Store, keys: &mut dyn Iterator<Item = u64>) {
    let keys: Vec<[u8; 8]> = keys.map(u64::to_be_bytes).collect();
    let mut ops = keys.iter().map(|key| Op::Put {
        tree: TREE,
        key,
        value: &VALUE,
    });
    store.apply(&mut ops).await.expect("a change");
}

/// Changes cells and takes turns until `work` is done.
async fn beside(store: &Rc<Store>, cells: u64, work: impl Future<Output = ()>) -> Round {
    let done = Rc::new(Cell::new(false));
    let (store, stop) = (store.clone(), done.clone());
    let writer = runtime::spawn(async move {
        let mut n = 1u64;
        while !stop.get() {
            let mut keys = (0..RUN).map(|i| (n + i).wrapping_mul(0x9e37_79b9_7f4a_7c15) % cells);
            put(&store, &mut keys).await;
            n += RUN;
            runtime::yield_now().await;
        }
    });
    let stop = done.clone();
    let watcher = runtime::spawn(async move {
        let (mut longest, mut turns) = (Duration::ZERO, 0);
        let mut last = Instant::now();
        while !stop.get() {
            runtime::yield_now().await;
            longest = longest.max(last.elapsed());
            last = Instant::now();
            turns += 1;
        }
        (longest, turns)
    });
    let begun = Instant::now();
    work.await;
    let took = begun.elapsed();
    done.set(true);
    writer.await;
    let (longest, turns) = watcher.await;
    Round {
        longest,
        turns,
        took,
    }
}

fn show(what: &str, rounds: &mut [Round]) {
    rounds.sort_by_key(|r| r.longest);
    let (mid, max) = (&rounds[rounds.len() / 2], &rounds[rounds.len() - 1]);
    println!(
        "{what:<22} longest wait for a turn: median {:>8.2?}, most {:>8.2?}; {} turns in {:.2?}",
        mid.longest, max.longest, mid.turns, mid.took
    );
}

async fn measure(pool_bytes: usize) {
    let (_dir, store) = open(pool_bytes).await;
    // Half of the pool in pages of nine cells.
    let cells = (pool_bytes / 4096 / 2 * 9) as u64;
    for first in (0..cells).step_by(1_000) {
        put(&store, &mut (first..cells.min(first + 1_000))).await;
    }
    store
        .checkpoint(store.wal_end(), b"")
        .await
        .expect("a checkpoint");
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        put(&store, &mut (0..cells).step_by(9)).await;
        let dirty = store.stats().pool_dirty;
        let checkpoint = async {
            store
                .checkpoint(store.wal_end(), b"")
                .await
                .expect("a checkpoint");
        };
        let round = beside(&store, cells, checkpoint).await;
        println!("{dirty} dirty frames written in {:.2?}", round.took);
        let took = round.took;
        with.push(round);
        without.push(beside(&store, cells, runtime::sleep(took)).await);
    }
    show("beside a checkpoint", &mut with);
    show("without", &mut without);
}

fn main() {
    let mib = std::env::var("POOL_MIB").ok().and_then(|m| m.parse().ok());
    let pool_bytes = mib.unwrap_or(256usize) << 20;
    println!("a pool of {} MiB", pool_bytes >> 20);
    let options = ShardOptions {
        shards: 1,
        ..ShardOptions::default()
    };
    // A shard as the server has it: foreground and background tasks with their shares.
    let running = runtime::start(options, move |_| measure(pool_bytes));
    running.expect("an executor").join().expect("a clean end");
}
