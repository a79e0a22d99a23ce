//! The wall of memory: what it costs to find a page in the pool, and what when it is not there.
//!
//! `hit` reads a tree of one leaf: one look at the page table and the policy, one binary search. `miss` reads a tree
//! sixteen times the pool, at random: mostly one read of 4 KiB from the device and one eviction.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use runtime::{Dir, Instant, block_on};
use std::rc::Rc;
use std::time::Duration;
use storage::{Options, Store};
use types::TreeId;

const SMALL: TreeId = TreeId(1);
const LARGE: TreeId = TreeId(2);
const POOL: usize = 4 << 20;
/// 38 cells a page, so this many take sixteen times the pool.
const CELLS: u64 = (POOL / 4096 * 16 * 36) as u64;

/// One iteration is so many reads: making the store costs more than a read, and is not measured.
const HITS: u64 = 1_000_000;
const MISSES: u64 = 2_000;

async fn open() -> (tempfile::TempDir, Rc<Store>) {
    let temporary = tempfile::tempdir().expect("a temporary directory");
    let dir = Dir::open_or_create(temporary.path())
        .await
        .expect("a directory");
    let options = Options {
        pool_bytes: POOL,
        ..Options::default()
    };
    let (store, mut replay) = Store::open(dir, options).await.expect("a store");
    while replay.next().await.expect("a record").is_some() {}
    (temporary, store)
}

async fn fill(store: &Store, tree: TreeId, n: u64) {
    for i in 0..n {
        let key = i.to_be_bytes();
        store.put(tree, &key, &[7; 96]).await.expect("a put");
    }
}

fn hit(n: u64) -> Duration {
    block_on(async move {
        let (_dir, store) = open().await;
        fill(&store, SMALL, 20).await;
        let begun = Instant::now();
        for i in 0..n {
            let key = (i % 20).to_be_bytes();
            let found = store.try_get(SMALL, &key, |value| value.is_some());
            assert!(matches!(found, Ok(true)));
        }
        begun.elapsed()
    })
}

fn miss(n: u64) -> Duration {
    block_on(async move {
        let (_dir, store) = open().await;
        fill(&store, LARGE, CELLS).await;
        store
            .checkpoint(store.wal_end(), &[])
            .await
            .expect("a checkpoint");
        let begun = Instant::now();
        for i in 0..n {
            let key = (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) % CELLS).to_be_bytes();
            assert!(store.get(LARGE, &key).await.expect("a get").is_some());
        }
        begun.elapsed()
    })
}

fn buffer_pool(c: &mut Criterion) {
    let mut group = c.benchmark_group("buffer_pool");
    group.sample_size(10).throughput(Throughput::Elements(HITS));
    group.bench_function("hit", |b| b.iter_custom(|n| hit(n * HITS)));
    group.throughput(Throughput::Elements(MISSES));
    group.bench_function("miss", |b| b.iter_custom(|n| miss(n * MISSES)));
    group.finish();
}

criterion_group!(benches, buffer_pool);
criterion_main!(benches);
