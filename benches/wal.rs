//! The wall of durability: what an append costs, and what a commit costs alone and in company.
//!
//! `append` is the copy and the checksum. `commit_alone` is one record and its fsync: the device. `commit_64` is the
//! same by 64 tasks that share fsyncs; its ratio to `commit_alone` is what group commit gives. The directory is the
//! system's temporary one: set TMPDIR to the disk that is meant.

mod percentiles;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use percentiles::Percentiles;
use runtime::{Dir, Instant, block_on, spawn};
use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;
use storage::{Options, Store};

const RECORD: [u8; 200] = [7; 200];
/// One iteration is so many records: making the store costs more than a record, and is not measured.
const APPENDS: u64 = 100_000;
const ALONE: u64 = 50;
const IN_COMPANY: u64 = 1_000;

/// Opens a new store and returns what `work` measured.
fn with_store<F, Fut>(work: F) -> Duration
where
    F: FnOnce(Rc<Store>) -> Fut + 'static,
    Fut: Future<Output = Duration> + 'static,
{
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().to_path_buf();
    block_on(async move {
        let dir = Dir::open_or_create(&path).await.expect("a directory");
        let (store, mut replay) = Store::open(dir, Options::default()).await.expect("a store");
        while replay.next().await.expect("a record").is_some() {}
        // The first flush opens the segment.
        let first = store.append(&RECORD).expect("an append");
        store.durable(first.end).await.expect("a flush");
        let took = work(store.clone()).await;
        store.close().await.expect("a clean end");
        took
    })
}

async fn append(store: Rc<Store>, n: u64) -> Duration {
    let mut took = Duration::ZERO;
    let mut left = n;
    while left > 0 {
        // As much as the buffer admits, then a flush that is not measured.
        let run = left.min(20_000);
        let begun = Instant::now();
        for _ in 0..run {
            store.append(&RECORD).expect("an append");
        }
        took += begun.elapsed();
        store.durable(store.wal_end()).await.expect("a flush");
        left -= run;
    }
    took
}

async fn commit(store: Rc<Store>, n: u64, tasks: u64, each: Percentiles) -> Duration {
    let left = Rc::new(Cell::new(n));
    let begun = Instant::now();
    let tasks: Vec<_> = (0..tasks)
        .map(|_| {
            let (store, left, each) = (store.clone(), left.clone(), each.clone());
            spawn(async move {
                while let Some(fewer) = left.get().checked_sub(1) {
                    left.set(fewer);
                    let begun = Instant::now();
                    let record = store.append(&RECORD).expect("an append");
                    store.durable(record.end).await.expect("a flush");
                    each.record(begun.elapsed());
                }
            })
        })
        .collect();
    for task in tasks {
        task.await;
    }
    begun.elapsed()
}

fn wal(c: &mut Criterion) {
    let (alone, company) = (Percentiles::new(), Percentiles::new());
    let mut group = c.benchmark_group("wal");
    group
        .sample_size(10)
        .throughput(Throughput::Elements(APPENDS));
    group.bench_function("append", |b| {
        b.iter_custom(|n| with_store(move |store| append(store, n * APPENDS)));
    });
    group.throughput(Throughput::Elements(ALONE));
    group.bench_function("commit_alone", |b| {
        b.iter_custom(|n| {
            let each = alone.clone();
            with_store(move |store| commit(store, n * ALONE, 1, each))
        });
    });
    group.throughput(Throughput::Elements(IN_COMPANY));
    group.bench_function("commit_64", |b| {
        b.iter_custom(|n| {
            let each = company.clone();
            with_store(move |store| commit(store, n * IN_COMPANY, 64, each))
        });
    });
    group.finish();
    alone.print("wal/commit_alone");
    company.print("wal/commit_64");
}

criterion_group!(benches, wal);
criterion_main!(benches);
