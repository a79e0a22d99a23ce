//! The wall of the tree: cells put, found and visited when all pages are in memory.
//!
//! Rows of 120 bytes under keys of 8, as a table with a bigint key has them. `put_ascending` is a bulk load,
//! `put_random` replaces cells of a tree of a million, `get` finds one of them at random, `scan` visits them in order.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use runtime::{Dir, Instant, block_on};
use std::future::Future;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::time::Duration;
use storage::{Options, Store};
use types::TreeId;

const TREE: TreeId = TreeId(1);
const CELLS: u64 = 1_000_000;
/// One iteration is so many cells: making the store costs more than a cell, and is not measured.
const BATCH: u64 = 200_000;
const ROW: [u8; 112] = [7; 112];

/// Opens a new store with `cells` cells and returns what `work` measured.
fn with_tree<F, Fut>(cells: u64, work: F) -> Duration
where
    F: FnOnce(Rc<Store>) -> Fut + 'static,
    Fut: Future<Output = Duration> + 'static,
{
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().to_path_buf();
    block_on(async move {
        let dir = Dir::open_or_create(&path).await.expect("a directory");
        let options = Options {
            pool_bytes: 1 << 30,
            ..Options::default()
        };
        let (store, mut replay) = Store::open(dir, options).await.expect("a store");
        while replay.next().await.expect("a record").is_some() {}
        put(&store, cells, |i| i).await;
        work(store).await
    })
}

async fn put(store: &Store, n: u64, key: impl Fn(u64) -> u64) -> Duration {
    let begun = Instant::now();
    for i in 0..n {
        let key = key(i).to_be_bytes();
        store.put(TREE, &key, &ROW).await.expect("a put");
        if i % 64 == 0 {
            runtime::yield_if_needed().await;
        }
    }
    begun.elapsed()
}

fn scattered(i: u64) -> u64 {
    i.wrapping_mul(0x9E37_79B9_7F4A_7C15) % CELLS
}

async fn get(store: &Store, n: u64) -> Duration {
    let begun = Instant::now();
    for i in 0..n {
        let key = scattered(i).to_be_bytes();
        let bytes = store.try_get(TREE, &key, |value| value.map_or(0, <[u8]>::len));
        assert!(matches!(bytes, Ok(112)));
    }
    begun.elapsed()
}

async fn scan(store: &Store, n: u64) -> Duration {
    let begun = Instant::now();
    let mut left = n;
    while left > 0 {
        store
            .scan(TREE, &[], &mut |_, _| {
                left -= 1;
                match left {
                    0 => ControlFlow::Break(()),
                    _ => ControlFlow::Continue(()),
                }
            })
            .await
            .expect("a scan");
    }
    begun.elapsed()
}

fn btree(c: &mut Criterion) {
    let mut group = c.benchmark_group("btree");
    group
        .sample_size(10)
        .throughput(Throughput::Elements(BATCH));
    group.bench_function("put_ascending", |b| {
        b.iter_custom(|n| {
            with_tree(0, move |store| async move {
                put(&store, n * BATCH, |i| i).await
            })
        });
    });
    group.bench_function("put_random", |b| {
        b.iter_custom(|n| {
            with_tree(CELLS, move |store| async move {
                put(&store, n * BATCH, scattered).await
            })
        });
    });
    group.bench_function("get", |b| {
        b.iter_custom(|n| {
            with_tree(
                CELLS,
                move |store| async move { get(&store, n * BATCH).await },
            )
        });
    });
    group.bench_function("scan", |b| {
        b.iter_custom(|n| {
            with_tree(
                CELLS,
                move |store| async move { scan(&store, n * BATCH).await },
            )
        });
    });
    group.finish();
}

criterion_group!(benches, btree);
criterion_main!(benches);
