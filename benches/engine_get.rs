//! A row by its key when its pages are in memory, below SQL and sockets, on one core.
//!
//! `store` is the tree alone: root to leaf over resident pages, and the value where it lies. `versioned` is what a statement
//! asks of a partition: its own writes, commits on their way, then the newest version at or before its snapshot, copied out.
//! `hot` draws from a thousand rows, whose pages the processor's caches hold; `any` from a million, whose pages they do not.
//! The promise is less than a microsecond for each of them. The percentiles are of reads timed one by one, after those that
//! criterion counts.

mod percentiles;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use engine::txn::{Clock, Horizon, Isolation, Options, Partition, Snapshots, Stop, TxnRef};
use engine::txn::{recovery, versions};
use percentiles::Percentiles;
use runtime::{Dir, Instant, block_on};
use std::hint::black_box;
use std::ops::ControlFlow;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;
use storage::Op;
use types::{Lsn, PartitionId, ShardId, TreeId, Ts, Xid};

const TREE: TreeId = TreeId(1_000);
const ROWS: u64 = 1_000_000;
const HOT: u64 = 1_000;
/// One iteration is so many reads: opening the partition costs more than a read, and is not measured.
const READS: u64 = 10_000;
/// Timed one by one, each time that criterion asks.
const SINGLE: u64 = 10_000;
const ROW: [u8; 112] = [7; 112];
/// When the rows were committed, and when they are read.
const WRITTEN: Ts = Ts(10);
const READ: Ts = Ts(20);

async fn open(path: &Path) -> Rc<Partition> {
    let dir = Dir::open_or_create(path).await.expect("a directory");
    let options = Options {
        storage: storage::Options {
            pool_bytes: 512 << 20,
            ..storage::Options::default()
        },
        txn_memory_bytes: 64 << 20,
        log_loads: false,
        archive_timeout: None,
        restore_to: None,
    };
    let clock = Rc::new(Clock::new(Clock::base_above(READ)));
    let snapshots = Snapshots::new(ShardId(0), Horizon::new(1));
    let opened = recovery::open(
        PartitionId(0),
        dir,
        &options,
        clock,
        snapshots,
        Rc::default(),
    )
    .await;
    opened.expect("a partition").0
}

/// A directory with a version of each row, as a commit and a checkpoint leave them.
fn filled() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().to_path_buf();
    block_on(async move {
        let store = open(&path).await.store.clone();
        let value = versions::cell_value(Some(&ROW));
        for first in (0..ROWS).step_by(1_000) {
            let keys: Vec<Vec<u8>> = (first..first + 1_000)
                .map(|row| versions::cell_key(&row.to_be_bytes(), WRITTEN))
                .collect();
            let mut ops = keys.iter().map(|key| Op::Put {
                tree: TREE,
                key,
                value: &value,
            });
            store.apply(&mut ops).await.expect("the rows");
        }
        let redo: Lsn = store.wal_end();
        let meta = 0u64.to_le_bytes();
        store.checkpoint(redo, &meta).await.expect("a checkpoint");
    });
    dir
}

/// Reads every page into the pool.
async fn warm(partition: &Partition) {
    let mut rows = 0;
    let mut count = |_: &[u8], _: &[u8]| {
        rows += 1;
        ControlFlow::Continue(())
    };
    let scan = partition.store.scan(TREE, &[], &mut count).await;
    scan.expect("the rows");
    assert_eq!(rows, ROWS);
}

/// In an order that nobody can guess.
fn row(n: u64, of: u64) -> [u8; 8] {
    ((n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20) % of).to_be_bytes()
}

fn keys(n: u64, of: u64) -> Vec<Vec<u8>> {
    (0..of.min(n))
        .map(|i| versions::cell_key(&row(i, of), WRITTEN))
        .collect()
}

fn get(partition: &Partition, key: &[u8]) {
    let bytes = partition
        .store
        .try_get(TREE, key, |value| value.map_or(0, <[u8]>::len));
    assert!(matches!(bytes, Ok(113)));
}

fn store(partition: &Partition, n: u64, of: u64, each: &Percentiles) -> Duration {
    let keys = keys(n.max(SINGLE), of);
    let begun = Instant::now();
    for key in keys.iter().cycle().take(n as usize) {
        get(partition, key);
    }
    let took = begun.elapsed();
    for key in keys.iter().cycle().take(SINGLE as usize) {
        let begun = Instant::now();
        get(partition, key);
        each.record(begun.elapsed());
    }
    took
}

async fn read(partition: &Partition, txn: &TxnRef, row: &[u8]) {
    let found = partition.read(txn, TREE, black_box(row)).await;
    assert_eq!(found.expect("a row").map_or(0, |v| v.len()), 112);
}

async fn versioned(partition: &Partition, n: u64, of: u64, each: &Percentiles) -> Duration {
    let txn = TxnRef {
        xid: Xid(1),
        snapshot: READ,
        isolation: Isolation::ReadCommitted,
        savepoint: 0,
        apart: 0,
        stop: Stop::at(None),
    };
    let begun = Instant::now();
    for i in 0..n {
        read(partition, &txn, &row(i, of)).await;
    }
    let took = begun.elapsed();
    for i in 0..SINGLE {
        let begun = Instant::now();
        read(partition, &txn, &row(i, of)).await;
        each.record(begun.elapsed());
    }
    took
}

fn engine_get(c: &mut Criterion) {
    let data = filled();
    let mut group = c.benchmark_group("engine_get");
    group
        .sample_size(10)
        .throughput(Throughput::Elements(READS));
    for (name, of) in [("hot", HOT), ("any", ROWS)] {
        for (layer, tree_alone) in [("store", true), ("versioned", false)] {
            let each = Percentiles::new();
            group.bench_function(format!("{layer}_{name}"), |b| {
                b.iter_custom(|n| {
                    let (path, each) = (data.path().to_path_buf(), each.clone());
                    block_on(async move {
                        let partition = open(&path).await;
                        warm(&partition).await;
                        match tree_alone {
                            true => store(&partition, n * READS, of, &each),
                            false => versioned(&partition, n * READS, of, &each).await,
                        }
                    })
                });
            });
            each.print(&format!("engine_get/{layer}_{name}"));
        }
    }
    group.finish();
}

criterion_group!(benches, engine_get);
criterion_main!(benches);
