//! The background writer: statements find clean frames, and nothing is written for nothing.

use crate::support::{T, all, open_replayed, small};
use std::time::Duration;
use storage::{Options, Policy, Store};

const CELLS: u32 = 24_000;

fn options(policy: Policy) -> Options {
    Options {
        pool_bytes: 2 << 20,
        policy,
        ..small()
    }
}

async fn update(store: &Store, n: u32) {
    for i in 0..n {
        let key = (u64::from(i) * 7919 % u64::from(CELLS)).to_be_bytes();
        store.put(T, &key, &[i as u8; 150]).await.unwrap();
        runtime::yield_if_needed().await;
    }
}

/// Pages written, once none has been for longer than a batch takes on a busy disk.
async fn settled(store: &Store) -> u64 {
    let (mut written, mut still) = (store.stats().pages_written, 0);
    while still < 10 {
        runtime::sleep(Duration::from_millis(30)).await;
        let now = store.stats().pages_written;
        still = if now == written { still + 1 } else { 0 };
        written = now;
    }
    written
}

#[test]
fn statements_seldom_write_what_they_evict() {
    for policy in Policy::ALL {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_path_buf();
        runtime::block_on(async move {
            let (store, _) = open_replayed(&path, options(policy)).await;
            update(&store, CELLS + CELLS / 4).await;
            let stats = store.stats();
            let (own, writer) = (
                stats.pages_written_by_statements,
                stats.pages_written_by_writer,
            );
            assert_eq!(stats.pages_written, own + writer);
            assert!(own < writer / 2, "{policy}: {own} of {writer}");
            let cells = all(&store, T).await;
            store.close().await.unwrap();
            assert_eq!(cells.len(), CELLS as usize);
        });
    }
}

#[test]
fn an_idle_store_writes_nothing_and_a_pool_with_room_neither() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_path_buf();
    runtime::block_on(async move {
        let (store, _) = open_replayed(&path, options(Policy::Clock)).await;
        for i in 0..4000u64 {
            store.put(T, &i.to_be_bytes(), &[1; 150]).await.unwrap();
        }
        assert_eq!(settled(&store).await, 0, "half of the pool is empty");
        update(&store, CELLS).await;
        let written = settled(&store).await;
        assert!(written > 0);
        // Reading hot pages takes no frames.
        for _ in 0..1000 {
            store.get(T, &7u64.to_be_bytes()).await.unwrap();
        }
        assert_eq!(settled(&store).await, written);
    });
}

#[test]
fn a_checkpoint_beside_the_writer_has_every_page() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_path_buf();
    runtime::block_on(async move {
        let (store, _) = open_replayed(&path, options(Policy::Arc)).await;
        update(&store, CELLS).await;
        for _ in 0..5 {
            let other = store.clone();
            let updates = runtime::spawn(async move { update(&other, CELLS / 4).await });
            store.checkpoint(store.wal_end(), b"").await.unwrap();
            updates.await;
        }
        let before = all(&store, T).await;
        store.checkpoint(store.wal_end(), b"").await.unwrap();
        let stats = store.stats();
        assert!(stats.pages_written_by_checkpoints > 0 && stats.pages_written_by_writer > 0);
        store.close().await.unwrap();
        drop(store);
        let (store, _) = open_replayed(&path, options(Policy::Arc)).await;
        assert!(all(&store, T).await == before);
    });
}

#[test]
fn the_writer_ends_with_its_store() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_path_buf();
    runtime::block_on(async move {
        for _ in 0..3 {
            let (store, _) = open_replayed(&path, options(Policy::Lru)).await;
            update(&store, 20_000).await;
            assert!(store.stats().pages_written_by_writer > 0);
            let left = std::rc::Rc::downgrade(&store);
            drop(store);
            // No longer than the write that it has begun.
            runtime::sleep(Duration::from_millis(100)).await;
            assert!(left.upgrade().is_none());
        }
    });
}
